"""Fails when master and worker come to execute far more instructions a task than was recorded."""

import unittest

from bench.gates import costs


class InstructionsTest(unittest.TestCase):
    def test_instructions(self):
        instructions = costs.instructions_per_task()
        print(f"{instructions} instructions a task")
        self.assertGreater(instructions, 0)
        recorded = costs.recorded()["instructions_per_task"]
        self.assertLessEqual(instructions, costs.INSTRUCTION_SLACK * recorded)


if __name__ == "__main__":
    unittest.main()
