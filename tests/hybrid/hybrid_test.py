"""Farms on several transports at once, without faults: results, coming and going, wrong use."""

import json
import os
import re
import signal
import socket
import time
import unittest

from tests.end_to_end import processes
from tests.mpi_faults import ranks


class HybridTest(ranks.MpiFaultTest):

  def start_master(self, transport, *command):
    """A master, under mpiexec where the transport has it; for ZeroMQ with its `url`."""
    mpi = 'mpi:' in transport.split(',')
    command = [*command, f'--transport={transport}']
    master = self.start(*(processes.mpiexec(3, *command) if mpi else command))
    if 'zmq' in transport:
      master.url = master.wait_for(rb' --transport=(zmq\S+)').group(1).decode()
    return master

  def results(self):
    with open(self.path('results.jsonl'), encoding='utf-8') as file:
      return [json.loads(line) for line in file]

  def write_tasks(self, count):
    return self.write('tasks.txt', ''.join(f'sleep 0.05; echo {i}\n' for i in range(count)))

  def assert_each_is_there_once(self, count, attempts):
    results = self.results()
    self.assertEqual(sorted(result['stdout'] for result in results),
                     sorted(f'{i}\n' for i in range(count)))
    self.assertEqual({result['outcome'] for result in results}, {'ok'})
    self.assertLessEqual({result['attempts'] for result in results}, attempts)

  def wait_for_result_of(self, master, worker):
    """Until one of these workers has a result, or the master has ended."""
    def found():
      return master.ended() or (os.path.exists(self.path('results.jsonl')) and any(
          result['worker'] in worker for result in self.results()))
    deadline = time.monotonic() + processes.TIMEOUT_S
    while not found():
      self.assertLess(time.monotonic(), deadline, f'worker {worker} has no result')
      time.sleep(0.01)  # nobody tells when a file grows
    self.assertFalse(master.ended(), 'too late')

  def test_the_same_sums_on_each_combination(self):
    expected = [(str(i), str(10 * i * (10 * i + 1) // 2)) for i in range(1, 51)]
    for transport in ('inproc:', 'inproc:,zmq://127.0.0.1:0', 'mpi:,inproc:',
                      'mpi:,zmq://127.0.0.1:0', 'zmq://127.0.0.1:0,inproc:,mpi:',
                      f'inproc:,zmq://127.0.0.1:0,zmq+ipc://{self.path("farm.sock")}'):
      with self.subTest(transport=transport):
        program = processes.program('chunk_sum')
        workers = (2 if 'mpi:' in transport else 0) + (3 if 'inproc:' in transport else 0)
        zmq = 'zmq' in transport
        master = self.start_master(transport, program, '--chunks=50',
                                   f'--min_workers={workers + zmq}')
        worker = self.start(program, '--worker', f'--transport={master.url}') if zmq else None
        self.assert_ok(master)
        if worker:
          self.assert_ok(worker)
        sums = re.findall(r'Data Chunk (\d+)\n  Computed Sum: (\d+)\n', master.stdout.decode())
        self.assertEqual(sums, expected)

  def test_zeromq_workers_join_a_job_of_mpi_and_leave_it(self):
    master = self.start_master(
        'mpi:,zmq://127.0.0.1:0', processes.program('master'), self.write_tasks(500), '--slots=1',
        f'--results={self.path("results.jsonl")}')
    self.wait_for_result_of(master, {1, 2})
    for number in (3, 4):
      worker = self.start(processes.program('worker_zmq'), '--slots=1',
                          f'--transport={master.url}')
      worker.wait_for(b'joined the farm')
      self.wait_for_result_of(master, {number})
      worker.signal(signal.SIGTERM)
      self.assert_ok(worker)
    self.assert_ok(master)
    # What a worker that leaves had not begun is given to another, which counts as an attempt.
    self.assert_each_is_there_once(500, attempts={1, 2, 3})
    self.assertNotIn(b'lost', master.stderr)

  def test_the_masters_own_machine_works_along(self):
    master = self.start_master(
        'inproc:,zmq://127.0.0.1:0', processes.program('master'), self.write_tasks(200),
        '--slots=1', f'--results={self.path("results.jsonl")}')
    self.wait_for_result_of(master, {1})
    worker = self.start(processes.program('worker_zmq'), '--slots=1', f'--transport={master.url}')
    self.wait_for_result_of(master, {2})
    worker.signal(signal.SIGKILL)
    self.assert_ok(master)
    self.assert_each_is_there_once(200, attempts={1, 2})
    self.assertEqual(master.stderr.count(b' is lost: '), 1, master.stderr)

  def test_what_cannot_be_opened_ends_all_ranks(self):
    with socket.socket() as occupied:
      occupied.bind(('127.0.0.1', 0))
      occupied.listen()
      taken = f'zmq://127.0.0.1:{occupied.getsockname()[1]}'
      for second, said in ((taken, taken), ('zmq://nowhere', 'zmq://nowhere'), ('mpi:', 'twice')):
        for launcher in (processes.mpiexec(3), self.tolerant(3)):
          with self.subTest(second=second, launcher=launcher[0]):
            master = self.run_to_end(*launcher, processes.program('chunk_sum'),
                                     f'--transport=mpi:,{second}')
            self.assertEqual(master.status, 2, master.stderr)
            self.assertEqual(master.stderr.count(b'chunk_sum: '), 1, master.stderr)
            self.assertIn(said.encode(), master.stderr)


if __name__ == '__main__':
  unittest.main()
