"""Wrong use is one clear line and an exit status of 2; nothing runs."""

import os
import socket
import unittest

from tests.end_to_end import processes


class WrongUseTest(processes.EndToEndTest):

  def refused(self, name, *arguments, lines=1):
    """Runs it; what it says on standard error."""
    run = self.run_to_end(processes.program(name), *arguments)
    self.assertEqual(run.status, 2, run.stderr)
    self.assertEqual(run.stdout, b'')
    self.assertEqual(run.stderr.count(b'\n'), lines, run.stderr)
    return run.stderr.decode()

  def marker_task(self):
    """A task file whose task leaves a trace if it is ever run."""
    return self.write('marker.txt', f'touch {self.path("ran")}\n')

  def test_arguments(self):
    tasks = self.marker_task()
    for arguments, text in (
        ([], 'name a file of tasks'),
        ([tasks, 'more'], "what is 'more'?"),
        (['--nonsense', tasks], "unknown flag '--nonsense'"),
        (['--slots=many', tasks], '--slots'),
        (['--slots=-1', tasks], '--slots must be between 1 and 4096'),
        (['--workers=0x', tasks], '--workers'),
        (['--format=xml', tasks], '--format is auto, text or jsonl'),
        (['--progress=maybe', tasks], '--progress is auto, on or off'),
        (['--timeout=-3s', tasks], '--timeout must be longer than zero'),
        (['--retries=-1', tasks], '--retries must not be negative'),
        (['--lease=1ms', tasks], '--lease must be between'),
        (['--min_workers=5', tasks], '--min_workers=5 can never be there'),
        ([self.path('missing.txt')], 'missing.txt'),
        ([self.folder], 'directory'),
        ([f'--results={self.path("no/such/folder")}', tasks], 'no/such/folder'),
    ):
      with self.subTest(arguments=arguments):
        self.assertIn(text, self.refused('master', *arguments))
    self.assert_nothing_ran()

  def assert_nothing_ran(self):
    with self.assertRaises(FileNotFoundError):
      open(self.path('ran'), encoding='utf-8').close()

  def test_transports(self):
    tasks = self.marker_task()
    for url, text in (
        ('mpi', 'mpi'),
        ('smoke:signals', 'smoke'),
        ('zmq://127.0.0.1', '127.0.0.1'),
        ('zmq://127.0.0.1:port', 'port'),
        ('zmq://127.0.0.1:70000', '70000'),
        ('zmq://:5555', ':5555'),
        ('zmq+ipc://', 'zmq+ipc'),
        ('inproc:x', 'inproc'),
        ('zmq://192.0.2.1:5555', 'cannot listen'),
    ):
      with self.subTest(url=url):
        self.assertIn(text, self.refused('master', f'--transport={url}', tasks))
    self.assertIn('has: inproc, zmq', self.refused('master_zmq', '--transport=mpi:', tasks))
    self.assert_nothing_ran()

  def test_security(self):
    tasks = self.marker_task()
    plain = '--insecure_no_encryption'
    for arguments, text in (
        ([plain, '--transport=zmq://0.0.0.0:5555'], '--insecure_anywhere'),
        ([plain, '--transport=zmq://*:5555'], '--insecure_anywhere'),
        ([plain], '--insecure_no_encryption is for zmq://'),
        ([plain, '--transport=zmq://127.0.0.1:0', '--keys=keys'], 'no use for --keys'),
        (['--insecure_anywhere', '--transport=zmq://127.0.0.1:0'], '--insecure_anywhere is for'),
        (['--keys=keys'], '--keys is for zmq://'),
    ):
      with self.subTest(arguments=arguments):
        self.assertIn(text, self.refused('master', *arguments, tasks))
    nothing = self.path('nothing')
    self.assertIn(nothing, self.refused('worker', '--transport=zmq://127.0.0.1:5555',
                                        f'--keys={nothing}'))
    self.assert_nothing_ran()

  def test_keys_that_others_can_read(self):
    keys = self.path('keys')
    os.mkdir(keys, mode=0o755)
    os.chmod(keys, 0o755)
    said = self.refused('master', '--transport=zmq://127.0.0.1:0', f'--keys={keys}',
                        self.marker_task())
    self.assertIn('chmod', said)
    self.assert_nothing_ran()

  def test_a_port_in_use(self):
    with socket.socket() as taken:
      taken.bind(('127.0.0.1', 0))
      taken.listen()
      url = f'zmq://127.0.0.1:{taken.getsockname()[1]}'
      said = self.refused('master', f'--transport={url}', self.marker_task())
    self.assertIn(url, said)
    self.assertIn('in use', said)
    self.assert_nothing_ran()

  def test_a_worker_without_an_address(self):
    self.assertIn('--transport=zmq://HOST:PORT', self.refused('worker'))
    self.assertIn('--transport=zmq://HOST:PORT', self.refused('chunk_sum', '--worker'))

  def test_malformed_lines_are_named_before_any_task_runs(self):
    good = f'{{"id": "a", "shell": "touch {self.path("ran")}"}}'
    for line, text in (
        ('{"id": "b"', ''),
        ('[]', ''),
        ('{"id": "b"}', 'argv'),
        ('{"id": "b", "argv": [], "shell": "x"}', ''),
        ('{"id": "b", "argv": []}', 'argv'),
        ('{"id": "b", "shell": "x", "colour": "red"}', 'colour'),
        ('{"id": "b", "shell": "x", "timeout": -1}', 'timeout'),
        ('{"id": "b", "shell": "x", "retries": 1.5}', 'retries'),
        ('{"id": "a", "shell": "x"}', 'used on line 1 already'),
    ):
      with self.subTest(line=line):
        tasks = self.write('tasks.jsonl', f'{good}\n{line}\n')
        said = self.refused('master', tasks)
        self.assertTrue(said.startswith(f'{tasks}:2: '), said)
        self.assertIn(text, said)
    self.assert_nothing_ran()

  def test_under_mpiexec_it_is_said_once(self):
    tasks = self.marker_task()
    for arguments, text in (
        (['--nonsense', tasks], b"unknown flag '--nonsense'"),
        ([self.path('missing.txt')], b'missing.txt'),
    ):
      with self.subTest(arguments=arguments):
        run = self.run_to_end(*processes.mpiexec(3, processes.program('master'), *arguments))
        self.assertEqual(run.stderr.count(text), 1, run.stderr)
        self.assertEqual(run.status, 2)
    self.assert_nothing_ran()

  def test_a_program_without_mpi_under_mpiexec(self):
    run = self.run_to_end(*processes.mpiexec(2, processes.program('master_zmq'),
                                             self.marker_task()))
    self.assertEqual(run.status, 2)
    self.assertEqual(run.stderr.count(b'has no MPI transport'), 1, run.stderr)
    self.assert_nothing_ran()

  def test_no_master_to_be_found(self):
    url = f'zmq+ipc://{self.path("nobody.sock")}'
    run = self.run_to_end(processes.program('worker_zmq'), f'--transport={url}',
                          '--master_patience=300ms')
    self.assertEqual(run.status, 3)
    self.assertIn(b'no master', run.stderr)


if __name__ == '__main__':
  unittest.main()
