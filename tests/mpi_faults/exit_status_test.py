"""How a run under mpiexec_tolerant ends: with the master's status, or with its death."""

import signal
import time
import unittest

from tests.end_to_end import processes
from tests.mpi_faults import ranks


class ExitStatusTest(ranks.MpiFaultTest):

  def run_tolerant(self, count, name, *flags):
    path = ranks.program(name) if name == 'squares' else processes.program(name)
    return self.run_to_end(*self.tolerant(count, path, *flags))

  def test_it_is_the_masters(self):
    good = self.write('good.txt', 'echo one\necho two\n')
    bad = self.write('bad.txt', 'echo one\nexit 7\n')
    for flags, status in (([good], 0), ([bad], 1), (['--nonsense'], 2), ([], 2),
                          ([self.path('missing.txt')], 2), (['--help'], 0)):
      with self.subTest(flags=flags):
        run = self.run_tolerant(3, 'master', *flags)
        self.assertEqual(run.status, status, run.stderr)

  def test_wrong_use_of_the_launcher(self):
    launcher = processes.runfile(ranks.LAUNCHER)
    for arguments, status in ((['--help'], 0), ([], 2), (['-n', '2', self.path('nothing')], 3)):
      with self.subTest(arguments=arguments):
        run = self.run_to_end(launcher, *arguments)
        self.assertEqual(run.status, status, run.stderr)
    self.assertEqual(run.stderr.count(b'mpiexec_tolerant: '), 1, run.stderr)

  def test_arguments_arrive_as_they_are(self):
    text = '''one  two "three" 'four' $HOME * \\ end'''
    tasks = self.write('with a blank.txt', 'cat\n')
    run = self.run_tolerant(2, 'master', '--nonsense=' + text, tasks)
    self.assertEqual(run.status, 2)
    self.assertIn(b'nonsense', run.stderr)
    run = self.run_tolerant(2, 'master', tasks)
    self.assertEqual(run.status, 0, run.stderr)

  def test_a_task_that_kills_its_worker_ends_as_crashed(self):
    # With two tasks at a time none is given to a worker in advance: each death counts.
    run = self.run_tolerant(8, 'squares', '--tasks=40', '--crash=3', '--window=2')
    self.assertEqual(run.status, 1, run.stderr)
    lines = run.stdout.decode().splitlines()
    self.assertEqual(lines[-1], '39 ok of 40', run.stderr)
    crashed = [line for line in lines if line.startswith('task ')]
    self.assertEqual(len(crashed), 1, lines)
    self.assertIn('task 3 after 5 attempts: ABORTED', crashed[0])

  def test_the_environment_of_a_command_is_clean(self):
    tasks = self.write('tasks.txt', 'env\n')
    run = self.run_tolerant(2, 'master', tasks)
    self.assertEqual(run.status, 0, run.stderr)
    for name in (b'PMI_', b'UCX_', b'TASKFARM_MPI_'):
      self.assertNotIn(name, run.stdout)

  def test_the_death_of_rank_0_ends_everything(self):
    for victims in ((False,), (False, True), (True, False)):
      with self.subTest(supervisor_too=victims):
        job = self.start_job(*self.tolerant(
            4, ranks.program('squares'), '--tasks=100000', '--milliseconds=20', '--lease=1s',
            '--master_patience=2s'))
        job.process.wait_for(b'first result', where='stdout')
        start = time.monotonic()
        # The death of the first may be the end of the second.
        self.assertGreaterEqual(sum([job.kill(0, supervisor) for supervisor in victims]), 1)
        self.assertEqual(job.process.wait(), 3, job.process.stderr)
        self.assertIn(b'left no exit status', job.process.stderr)
        self.assert_nothing_left(job)
        self.assertLess(time.monotonic() - start, 60)

  def test_a_killed_worker_leaves_no_command_behind(self):
    tasks = self.write('tasks.txt', 'sleep 98765.75\n')
    job = self.start_job(*self.tolerant(2, processes.program('master'), '--slots=1',
                                        f'--pass_environment={ranks.MARK}', tasks))
    job.wait_for_command(b'98765.75')
    job.kill(1)
    job.wait_until_gone(b'98765.75')
    job.process.signal(signal.SIGTERM)
    job.process.signal(signal.SIGKILL)
    self.assert_nothing_left(job)

  def test_signals_drain(self):
    for number in (signal.SIGINT, signal.SIGTERM):
      with self.subTest(signal=number):
        job = self.start_job(*self.tolerant(3, ranks.program('squares'), '--tasks=100000',
                                            '--milliseconds=20'))
        job.process.wait_for(b'first result', where='stdout')
        job.process.signal(number)
        job.process.wait_for(b'interrupted: running tasks finish')
        self.assertEqual(job.process.wait(), 1, job.process.stderr)
        self.assert_nothing_left(job)

  def test_nothing_is_left_of_a_stopped_rank(self):
    job = self.start_job(*self.tolerant(3, ranks.program('squares'), '--tasks=100000',
                                        '--milliseconds=20'))
    job.process.wait_for(b'first result', where='stdout')
    self.assertEqual(job.kill(1, number=signal.SIGSTOP), 1)
    job.process.signal(signal.SIGTERM)
    self.assertEqual(job.process.wait(), 1, job.process.stderr)
    self.assert_nothing_left(job)

  def test_nothing_is_left_of_a_killed_launcher(self):
    for number in (1, 2):
      with self.subTest(signals=number):
        job = self.start_job(*self.tolerant(3, ranks.program('squares'), '--tasks=100000',
                                            '--milliseconds=20'))
        job.process.wait_for(b'first result', where='stdout')
        job.process.signal(signal.SIGKILL)
        self.assert_nothing_left(job)


if __name__ == '__main__':
  unittest.main()
