"""Interrupts, closed pipes, and what is left behind: nothing."""

import os
import signal
import subprocess
import unittest

from tests.end_to_end import processes


def alive(marker):
  """Whether a process with `marker` in its command line is there."""
  for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
      with open(f'/proc/{pid}/cmdline', 'rb') as file:
        if marker in file.read() and int(pid) != os.getpid():
          return True
    except OSError:
      pass
  return False


class SignalsTest(processes.EndToEndTest):

  def sleepers(self, seconds, count=50):
    # The sleep's own length is the marker by which its process is known.
    return self.write('tasks.txt', f'echo start; sleep {seconds}; echo end\n' * count)

  def test_one_interrupt_drains(self):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
      with self.subTest(signal=number):
        gate = self.path(f'gate{number}')
        os.mkfifo(gate)
        tasks = self.write('tasks.txt', f'read x < {gate}; echo done\n' + 'echo later\n' * 100)
        master = self.start(processes.program('master'), '--slots=1', tasks)
        with open(gate, 'w', encoding='utf-8') as writer:  # opens when the task reads
          master.signal(number)
          master.wait_for(b'interrupted: waiting for')
          writer.write('go\n')
        self.assertEqual(master.wait(), 1)
        # The one task that the worker had in advance may start before it is recalled.
        self.assertIn(master.stdout, (b'done\n', b'done\nlater\n'))

  def test_two_interrupts_cancel(self):
    tasks = self.sleepers('98765.25')
    master = self.start(processes.program('master'), '--slots=3', tasks)
    while not alive(b'98765.25'):
      pass
    master.signal(signal.SIGINT)
    master.wait_for(b'interrupted: waiting for')
    master.signal(signal.SIGINT)
    self.assertEqual(master.wait(), 1)
    self.assertFalse(alive(b'98765.25'), 'nothing is left running')

  def test_two_interrupts_cancel_on_zmq_workers(self):
    tasks = self.sleepers('98765.5')
    master = self.start_zmq_master(processes.program('master'), tasks)
    worker = self.start(processes.program('worker_zmq'), f'--transport={master.url}', '--slots=3')
    while not alive(b'98765.5'):
      pass
    master.signal(signal.SIGINT)
    master.wait_for(b'interrupted: waiting for')
    master.signal(signal.SIGINT)
    self.assertEqual(master.wait(), 1)
    self.assert_ok(worker)
    self.assertFalse(alive(b'98765.5'), 'nothing is left running')

  def test_an_interrupt_while_waiting_for_workers(self):
    master = self.start_zmq_master(processes.program('master'), self.sleepers('1'))
    master.signal(signal.SIGINT)
    self.assertEqual(master.wait(), 1)
    program = self.start_zmq_master(processes.program('chunk_sum'))
    program.signal(signal.SIGINT)
    self.assertIn(program.wait(), (0, 1))

  def test_an_interrupted_worker_that_waits_for_a_master(self):
    worker = self.start(processes.program('worker_zmq'),
                        f'--transport=zmq+ipc://{self.path("nobody.sock")}')
    worker.wait_for(b'looking for a master')
    worker.signal(signal.SIGTERM)
    self.assert_ok(worker)

  def test_a_closed_standard_output_stops_the_job(self):
    tasks = self.write('tasks.txt', 'echo something\n' * 100000)
    with subprocess.Popen(['head', '-n', '1'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as head:
      master = self.start(processes.program('master'), tasks, stdout=head.stdin)
      head.stdin.close()
      self.assertEqual(master.wait(), 3)
      self.assertEqual(head.stdout.read(), b'something\n')

  def test_a_slow_reader_holds_the_job_up_and_loses_nothing(self):
    tasks = self.write('tasks.txt', 'head -c 100000 /dev/zero\n' * 100)
    os.mkfifo(self.path('gate'))
    with subprocess.Popen(['sh', '-c', 'read line < ' + self.path('gate') + '; wc -c'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
      master = self.start(processes.program('master'), tasks, stdout=reader.stdin)
      reader.stdin.close()
      with open(self.path('gate'), 'w', encoding='utf-8') as gate:
        gate.write('go\n')
      self.assert_ok(master)
      self.assertEqual(int(reader.stdout.read()), 100 * 100000)


if __name__ == '__main__':
  unittest.main()
