"""A worker that was let in and does its worst: others' tasks and results are none of its business."""

import unittest

from tests.end_to_end import processes
from tests.hostile import hostile


class HostileWorkerTest(hostile.HostileTest):

  master_flags = ['--lease=2s']
  tasks = 8

  def eve(self, does):
    """A hostile worker that has joined, with a key of its own."""
    self.keygen('eve')
    worker = self.start(processes.runfile('tests/hostile/hostile_worker'), f'--does={does}',
                        f'--transport={self.master.url}', f'--keys={self.path("eve.key")}',
                        env=self.env)
    worker.wait_for(b'joined', where='stdout')
    return worker

  def test_takes_tasks_and_is_silent(self):
    eve = self.eve('silence')
    eve.wait_for(b'was given task', where='stdout')
    # As long as it is alive its tasks are its own. What its user can do about it:
    self.keygen('--revoke', 'eve')
    eve.wait_for(b'ended', where='stdout')
    self.assert_nothing_happened()

  def test_takes_tasks_and_is_deaf(self):
    eve = self.eve('deafness')
    eve.wait_for(b'was given task', where='stdout')
    # Its connection may stay: it could come to its senses.
    self.master.wait_for(rb'is lost: silent for longer than the lease')
    eve.kill()
    self.assert_nothing_happened()

  def test_says_too_much(self):
    self.eve('chatter').wait_for(b'ended: .*it says too much', where='stdout')
    self.assert_nothing_happened()

  def test_floods_the_master_with_results(self):
    self.eve('flood').wait_for(b'ended: .*it answers what it was not asked', where='stdout')
    self.assert_nothing_happened()

  def test_sends_a_result_twice(self):
    self.eve('replay').wait_for(b'ended: .*it answers what it was not asked', where='stdout')
    self.assert_nothing_happened()

  def test_sends_results_of_others_tasks(self):
    eve = self.eve('forgery')
    eve.wait_for(b'has forged', where='stdout')
    eve.kill()
    self.assert_nothing_happened()


if __name__ == '__main__':
  unittest.main()
