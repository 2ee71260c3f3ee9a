"""One farm of MPI ranks, ZeroMQ workers and a thread: one of each kind is killed, no result is."""

import contextlib
import os
import signal
import unittest

from tests.mpi_faults import ranks

TASKS = 400
RANKS = 4  # the master and three workers
ZMQ_WORKERS = 2
WORKERS = RANKS - 1 + ZMQ_WORKERS + 1  # and a thread


class HybridKillsTest(ranks.MpiFaultTest):

  def start_farm(self, transport):
    """The job and its ZeroMQ workers; each worker of any kind has done something."""
    program = ranks.program('squares')
    # In the thread's slot the functions run in a process, which can be killed alone.
    job = self.start_job(*self.tolerant(
        RANKS, program, f'--transport={transport}', '--workers=1', '--slots=1',
        '--isolation=process', f'--min_workers={WORKERS}', f'--tasks={TASKS}',
        '--milliseconds=20'))
    url = job.process.wait_for(rb' --transport=(zmq://\S+)').group(1).decode()
    workers = [self.start(program, '--worker', f'--transport={url}', '--slots=1')
               for _ in range(ZMQ_WORKERS)]
    # The ranks are known by their numbers, the others by the next ones.
    for worker in range(1, WORKERS + 1):
      job.process.wait_for(rb'first of worker %d\n' % worker, where='stdout')
    return job, workers

  def kill_the_process_of_the_threads_slot(self, job):
    killed = 0
    for pid in job.children(0):
      with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        killed += 1
    self.assertEqual(killed, 1)

  def test_a_kill_of_each_kind(self):
    for transport in ('mpi:,inproc:,zmq://127.0.0.1:0', 'zmq://127.0.0.1:0,inproc:,mpi:'):
      with self.subTest(transport=transport):
        job, workers = self.start_farm(transport)
        self.assertEqual(job.kill(2), 1)
        workers[0].signal(signal.SIGKILL)
        self.kill_the_process_of_the_threads_slot(job)
        self.assert_all_ok(job, TASKS)
        self.assert_nothing_left(job)
        self.assertEqual(workers[0].wait(), -signal.SIGKILL)
        self.assert_ok(workers[1])
        lost = job.process.stderr
        self.assertIn(b'worker 2 (', lost)
        self.assertEqual(lost.count(b' is lost: '), 2, lost)  # the thread is not: it goes on

  def test_the_last_of_them_finishes_the_job(self):
    job, workers = self.start_farm('mpi:,inproc:,zmq://127.0.0.1:0')
    for rank in range(1, RANKS):
      self.assertEqual(job.kill(rank), 1)
    workers[1].signal(signal.SIGKILL)
    self.assert_all_ok(job, TASKS)
    self.assert_nothing_left(job)
    self.assert_ok(workers[0])


if __name__ == '__main__':
  unittest.main()
