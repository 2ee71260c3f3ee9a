"""Tests of efficiency.py."""

import unittest

from bench.efficiency import shortest_efficient, useful_share


class EfficiencyTest(unittest.TestCase):

  def test_both_cores_at_work_all_the_time_are_all_useful(self):
    self.assertEqual(useful_share({'useful_ns': 2000, 'wall_ns': 1000}), 1.0)
    self.assertEqual(useful_share({'useful_ns': 500, 'wall_ns': 1000}), 0.25)

  def test_interpolates_in_the_logarithm_of_the_length(self):
    self.assertAlmostEqual(shortest_efficient({1: 0.2, 4: 0.4, 16: 0.6, 64: 0.9}), 8)

  def test_a_length_that_just_reaches_it_is_the_answer(self):
    self.assertAlmostEqual(shortest_efficient({1: 0.2, 4: 0.5, 16: 0.6}), 4)

  def test_a_dip_at_longer_tasks_counts(self):
    self.assertAlmostEqual(shortest_efficient({1: 0.6, 4: 0.4, 16: 0.6}), 8)

  def test_knows_no_shorter_length_than_the_shortest(self):
    self.assertEqual(shortest_efficient({2: 0.7, 4: 0.8}), 2)

  def test_knows_no_longer_length_than_the_longest(self):
    self.assertEqual(shortest_efficient({2: 0.1, 4: 0.2}), 4)

  def test_another_share_may_be_wanted(self):
    self.assertAlmostEqual(shortest_efficient({1: 0.8, 100: 1.0}, wanted=0.9), 10)


if __name__ == '__main__':
  unittest.main()
