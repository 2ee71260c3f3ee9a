"""chunk_sum prints exactly what the course asks for, on every transport."""

import unittest

from tests.end_to_end import farms
from tests.end_to_end import processes


def expected(chunks):
  text = 'Master process receiving results...\n\n'
  for i in range(1, chunks + 1):
    last = 10 * i
    text += (f'Received from process {i}:\n'
             f'  Assigned Task: Data Chunk {i}\n'
             f'  Computed Sum: {last * (last + 1) // 2}\n\n')
  return text.encode()


class ChunkSumTest(processes.EndToEndTest):

  def test_the_text_is_that_of_the_course(self):
    self.assertEqual(
        expected(3), b'Master process receiving results...\n\n'
        b'Received from process 1:\n  Assigned Task: Data Chunk 1\n  Computed Sum: 55\n\n'
        b'Received from process 2:\n  Assigned Task: Data Chunk 2\n  Computed Sum: 210\n\n'
        b'Received from process 3:\n  Assigned Task: Data Chunk 3\n  Computed Sum: 465\n\n')

  def test_threads_by_default(self):
    for _ in range(20):
      run = self.run_to_end(processes.program('chunk_sum'))
      self.assertEqual((run.status, run.stdout, run.stderr), (0, expected(3), b''))

  def test_each_transport(self):
    for transport in farms.TRANSPORTS:
      for _ in range(5):
        with self.subTest(transport=transport):
          run = farms.run_on(self, transport, 'chunk_sum')
          self.assertEqual((run.status, run.stdout), (0, expected(3)), run.stderr)

  def test_workers_that_come_before_the_master(self):
    url = f'zmq+ipc://{self.path("early.sock")}'
    workers = [self.start(processes.program('chunk_sum'), '--worker', f'--transport={url}')
               for _ in range(3)]
    run = self.run_to_end(processes.program('chunk_sum'), f'--transport={url}', '--min_workers=3')
    self.assertEqual((run.status, run.stdout), (0, expected(3)), run.stderr)
    for worker in workers:
      self.assert_ok(worker)

  def test_more_chunks_than_workers(self):
    for transport in farms.TRANSPORTS:
      with self.subTest(transport=transport):
        run = farms.run_on(self, transport, 'chunk_sum', '--chunks=1000', workers=2)
        self.assertEqual(run.status, 0, run.stderr)
        text = run.stdout.decode()
        self.assertEqual(text.count('Received from process'), 1000)
        for i in (1, 2, 500, 1000):
          total = 10 * i * (10 * i + 1) // 2
          self.assertIn(f'Assigned Task: Data Chunk {i}\n  Computed Sum: {total}\n', text)

  def test_one_rank_works_by_itself(self):
    run = self.run_to_end(*processes.mpiexec(1, processes.program('chunk_sum')))
    self.assertEqual((run.status, run.stdout), (0, expected(3)), run.stderr)
    self.assertIn(b'one MPI rank: working by itself', run.stderr)

  def test_another_program_is_refused_as_worker(self):
    master = self.start_zmq_master(processes.program('chunk_sum'))
    worker = self.run_to_end(processes.program('pi'), '--worker', f'--transport={master.url}')
    self.assertEqual(worker.status, 3)
    self.assertRegex(worker.stderr, rb'pi: worker: .*the worker lacks SumChunk\(')
    self.assertEqual(worker.stderr.count(b'refused'), 1, worker.stderr)
    right = [self.start(processes.program('chunk_sum'), '--worker', f'--transport={master.url}')]
    self.assert_ok(master)
    self.assert_ok(right[0])


if __name__ == '__main__':
  unittest.main()
