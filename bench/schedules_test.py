"""Tests of schedules.py."""

import unittest

from bench.schedules import in_order, longest_first, lower_bound


class SchedulesTest(unittest.TestCase):

  def test_no_schedule_is_shorter_than_an_even_share_or_the_longest_task(self):
    self.assertEqual(lower_bound([3, 1, 2], 2), 3)
    self.assertEqual(lower_bound([5, 1, 2], 2), 5)

  def test_in_order_takes_the_worker_that_is_free_first(self):
    self.assertEqual(in_order([1, 2, 3, 4], 2), 6)  # 1+3, 2+4
    self.assertEqual(in_order([4, 1, 1, 1, 1], 2), 4)

  def test_in_order_may_end_late(self):
    self.assertEqual(in_order([1, 1, 1, 1, 4], 2), 6)

  def test_the_longest_first_end_earlier(self):
    self.assertEqual(longest_first([1, 1, 1, 1, 4], 2), 4)

  def test_one_worker_does_it_all(self):
    self.assertEqual(in_order([1, 2, 3], 1), 6)
    self.assertEqual(lower_bound([1, 2, 3], 1), 6)


if __name__ == '__main__':
  unittest.main()
