"""A worker that a master does not let in ends with one plain line and an exit status of 3."""

import os
import signal
import socket
import unittest

from tests.end_to_end import processes


class RefusedWorkerTest(processes.EndToEndTest):

  def setUp(self):
    super().setUp()
    self.keys = self.path('keys')

  def start_master(self, *flags, keys=True, **options):
    """A master with a task that ends when the test opens the gate."""
    tasks = self.write('tasks.txt', f'until [ -e {self.path("gate")} ]; do sleep 0.05; done\n')
    if keys:
      flags += (f'--keys={self.keys}',)
    return self.start_zmq_master(processes.program('master_zmq'), *flags, tasks, **options)

  def start_worker(self, master, *flags):
    return self.start(processes.program('worker_zmq'), f'--transport={master.url}', *flags)

  def keygen(self, *arguments, keys=None):
    run = self.run_to_end(processes.runfile('tools/keygen'), f'--keys={keys or self.keys}',
                          *arguments, cwd=self.folder)
    self.assertEqual(run.status, 0, run.stderr)

  def assert_refused(self, worker, text):
    """It ends with the one line, after those of what went before."""
    self.assertEqual(worker.wait(), 3, worker.stderr)
    lines = worker.stderr.decode().splitlines()
    self.assertIn('worker_zmq: worker: ', lines[-1])
    self.assertIn(text, lines[-1])
    self.assertEqual(sum('worker_zmq: worker: ' in line for line in lines), 1, lines)

  def assert_job_ends(self, master, *workers):
    self.write('gate', '')
    for process in (master, *workers):
      self.assert_ok(process)

  def test_a_worker_that_comes_before_the_first_master_waits_for_the_keys(self):
    home = {'HOME': self.path('home')}
    os.mkdir(home['HOME'], 0o700)
    with socket.create_server(('127.0.0.1', 0)) as free:
      url = f'zmq://127.0.0.1:{free.getsockname()[1]}'
    worker = self.start(processes.program('worker_zmq'), f'--transport={url}', env=home)
    worker.wait_for(rb'the first master that you start makes keys there.*; waiting for them')
    master = self.start_master(keys=False, url=url, env=home)
    self.assert_job_ends(master, worker)

  def test_a_worker_without_keys_ends(self):
    home = {'HOME': self.path('home')}
    os.mkdir(home['HOME'], 0o700)
    command = [processes.program('worker_zmq'), '--transport=zmq://127.0.0.1:9']
    worker = self.start(*command, '--master_patience=0.5s', env=home)
    self.assertEqual(worker.wait(), 2)
    worker = self.start(*command, env=home)
    worker.wait_for(rb'waiting for them')
    worker.signal(signal.SIGTERM)
    self.assertEqual(worker.wait(), 2)
    self.assertIn(b'this worker has no key', worker.stderr.splitlines()[-1])

  def test_wrong_master_key(self):
    master = self.start_master()
    other = self.path('other')
    self.keygen('bert', keys=other)
    worker = self.start_worker(master, f'--keys={other}')
    self.assert_refused(worker, f'has another key than {other}/worker.key expects')
    self.assert_job_ends(master, self.start_worker(master, f'--keys={self.keys}'))

  def test_not_on_the_list(self):
    master = self.start_master()
    self.keygen('anna')
    self.keygen('--revoke', 'anna')
    worker = self.start_worker(master, f'--keys={self.path("anna.key")}')
    self.assert_refused(worker, f"key 'anna' of {self.path('anna.key')} is not on its list")
    master.wait_for(rb'refused a worker at 127.0.0.1: its key is not on the list')
    self.assert_job_ends(master, self.start_worker(master, f'--keys={self.keys}'))

  def test_revoked_while_it_works(self):
    master = self.start_master()
    self.keygen('anna')
    worker = self.start_worker(master, f'--keys={self.path("anna.key")}')
    worker.wait_for(rb'joined the farm')
    self.keygen('--revoke', 'anna')
    self.assert_refused(worker, 'is not on its list')
    master.wait_for(rb'is lost: its key was revoked')
    # Its task runs elsewhere.
    self.assert_job_ends(master, self.start_worker(master, f'--keys={self.keys}'))

  def test_encryption_on_one_side_only(self):
    plain = '--insecure_no_encryption'
    master = self.start_master()
    self.assert_refused(self.start_worker(master, plain), 'wants encryption')
    self.assert_job_ends(master, self.start_worker(master, f'--keys={self.keys}'))
    os.remove(self.path('gate'))
    master = self.start_master(plain, keys=False)
    self.assertIn(b'WARNING: --insecure_no_encryption', master.stderr)
    self.assert_refused(self.start_worker(master, f'--keys={self.keys}'), 'has no encryption')
    self.assert_job_ends(master, self.start_worker(master, plain))
    self.assertIn(b'WARNING: this job ran without encryption', master.stderr)

  def test_no_answer(self):
    master = self.start_master()
    master.signal(19)
    worker = self.start_worker(master, f'--keys={self.keys}', '--master_patience=1s')
    self.assert_refused(worker, 'no master')
    master.signal(18)
    self.assert_job_ends(master, self.start_worker(master, f'--keys={self.keys}'))

  def test_a_master_that_comes_again(self):
    keys = f'--keys={self.keys}'
    master = self.start_master()
    worker = self.start_worker(master, keys)
    worker.wait_for(rb'joined the farm')
    master.kill()
    master = self.start_master(url=master.url)
    self.assert_job_ends(master, worker)

  def test_every_address(self):
    master = self.start_master(url='zmq://0.0.0.0:0')
    host, port = master.url.removeprefix('zmq://').split(':')
    self.assertEqual(host, os.uname().nodename)
    worker = self.start(processes.program('worker_zmq'), f'--transport=zmq://127.0.0.1:{port}',
                        f'--keys={self.keys}')
    self.assert_job_ends(master, worker)


if __name__ == '__main__':
  unittest.main()
