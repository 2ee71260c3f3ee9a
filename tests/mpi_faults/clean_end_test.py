"""Small jobs without faults end cleanly under plain mpiexec and under mpiexec_tolerant; none hangs."""

import os
import unittest

from tests.end_to_end import processes
from tests.mpi_faults import ranks

RUNS = int(os.environ.get('TASKFARM_RUNS', '5'))


class CleanEndTest(ranks.MpiFaultTest):

  def run_small_jobs(self, launcher):
    for run in range(RUNS):
      with self.subTest(run=run):
        job = self.start_job(*launcher(4, ranks.program('squares'), '--tasks=50'))
        self.assert_all_ok(job, 50)
        self.assert_nothing_left(job)

  def test_fast(self):
    self.run_small_jobs(processes.mpiexec)

  def test_tolerant(self):
    self.run_small_jobs(self.tolerant)

  def test_the_start_line_of_the_fast_mode_names_the_launcher_once(self):
    run = self.run_to_end(*processes.mpiexec(3, processes.program('chunk_sum')))
    self.assertEqual(run.status, 0, run.stderr)
    self.assertEqual(run.stderr.count(b'chunk_sum: mpi: 2 workers; if a rank dies the run ends'), 1)
    self.assertIn(b'tools/mpiexec_tolerant', run.stderr)

  def test_the_tolerant_mode_says_nothing(self):
    plain = self.run_to_end(*processes.mpiexec(3, processes.program('chunk_sum')))
    run = self.run_to_end(*self.tolerant(3, processes.program('chunk_sum')))
    self.assertEqual((run.status, run.stdout, run.stderr), (0, plain.stdout, b''))

  def test_one_rank_works_by_itself(self):
    run = self.run_to_end(*self.tolerant(1, ranks.program('squares'), '--tasks=10'))
    self.assertEqual((run.status, run.stdout.splitlines()[-1]), (0, b'10 ok of 10'), run.stderr)

  def test_standard_input_goes_to_the_master(self):
    master = self.start(*self.tolerant(3, processes.program('master'), '-'), stdin=-1)
    for i in range(3):
      master.stdin.write(b'echo answer %d\n' % i)
      master.stdin.flush()
      master.wait_for(b'answer %d\n' % i, where='stdout')
    master.stdin.close()
    self.assert_ok(master)


if __name__ == '__main__':
  unittest.main()
