"""Fails when a task comes to cost more allocations, messages or memory than was recorded."""

import unittest

from bench.gates import costs


class CountsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.counts = costs.counts()
        cls.recorded = costs.recorded()
        print(cls.counts)

    def check(self, name):
        self.assertGreater(self.counts[name], 0)
        self.assertLessEqual(self.counts[name], costs.COUNT_SLACK * self.recorded[name])

    def test_allocations(self):
        self.check("allocations_per_task")

    def test_messages(self):
        self.check("messages_per_task")

    def test_bytes(self):
        self.check("bytes_per_queued_task")
        self.assertLessEqual(self.counts["bytes_per_queued_task"], costs.MAX_BYTES)


if __name__ == "__main__":
    unittest.main()
