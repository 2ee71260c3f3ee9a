"""Under mpiexec_tolerant ranks other than 0 are killed with SIGKILL: all results are there."""

import os
import random
import time
import unittest

from tests.end_to_end import processes
from tests.mpi_faults import ranks

RUNS = int(os.environ.get('TASKFARM_RUNS', '4'))
FIRST_SEED = int(os.environ.get('TASKFARM_FIRST_SEED', '1'))
RANKS = 6


class KilledRanksTest(ranks.MpiFaultTest):

  def kill_two(self, job, seed, begin, end):
    """Kills two ranks, a supervisor, or both, some time from begin to end; what was killed, when."""
    choice = random.Random(seed)
    start = time.monotonic()
    log = []
    victims = choice.sample(range(1, RANKS), 2)
    for moment, rank in sorted((choice.uniform(begin, end), rank) for rank in victims):
      # The moment is what the test is about; no outcome depends on it.
      time.sleep(max(0.0, start + moment - time.monotonic()))
      what = choice.choice(['rank', 'rank', 'supervisor', 'both'])
      killed = 0
      if what != 'rank':
        killed += job.kill(rank, supervisor=True)
      if what != 'supervisor':
        killed += job.kill(rank)
      log.append(f'{time.monotonic() - start:.3f} s: {killed} of {what} {rank}')
    return log

  def run_jobs(self, flags, tasks, begin, end, after=None):
    for seed in range(FIRST_SEED, FIRST_SEED + RUNS):
      with self.subTest(seed=seed):
        job = self.start_job(*self.tolerant(RANKS, ranks.program('squares'), *flags))
        if after:
          job.process.wait_for(after, where='stdout')
        log = self.kill_two(job, seed, begin, end)
        self.assert_all_ok(job, tasks, f'seed {seed}: {log}')
        self.assert_nothing_left(job)

  def test_while_it_comes_up(self):
    self.run_jobs(['--tasks=100', '--milliseconds=5'], 100, 0.0, 0.3)

  def test_while_it_works(self):
    self.run_jobs(['--tasks=300', '--milliseconds=20'], 300, 0.0, 1.0, after=b'first result')

  def test_while_large_payloads_are_under_way(self):
    self.run_jobs(['--tasks=6', '--window=4', f'--payload={64 << 20}'], 6, 0.2, 2.0)

  def test_before_the_first_message_is_answered(self):
    for run in range(RUNS):
      with self.subTest(run=run):
        job = self.start_job(*self.tolerant(4, ranks.program('hello')))
        self.assertEqual(job.process.wait(), 0, job.process.stderr)
        self.assertIn(b'rank 0 goes on', job.process.stdout)


if __name__ == '__main__':
  unittest.main()
