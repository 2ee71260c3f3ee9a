"""Functions that crash, leave or hang, in a whole program on real processes."""

import os
import re
import subprocess
import tempfile
import unittest

# Generous: reached only when something is broken.
TIMEOUT_S = 120

PROGRAM = os.path.join(os.environ['TEST_SRCDIR'], os.environ['TEST_WORKSPACE'],
                       'tests/isolation/trouble')
# A sanitizer would turn signals into exit statuses.
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS='handle_segv=0:handle_abort=0')


def run(*command):
  return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, env=ENVIRONMENT,
                        check=False)


class IsolationTest(unittest.TestCase):

  def trouble(self, *arguments, launcher=()):
    """The lines that the program prints; it ends well."""
    ended = run(*launcher, PROGRAM, *arguments)
    self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
    return ended.stdout.splitlines()

  def test_a_crash_costs_its_attempts_and_nothing_else(self):
    died = 'the process of the function'
    expected = [
        'ok: ok after 1: ok',
        f'segfault: crashed after 5: {died} died of signal 11 (Segmentation fault)',
        f'abort: crashed after 5: {died} died of signal 6 (Aborted)',
        f'kill9: crashed after 5: {died} died of signal 9 (Killed), perhaps for want of memory',
        f'exit: crashed after 5: {died} exited with status 3 in the middle of the task',
        'ok: ok after 1: ok',
    ]
    kinds = [line.split(':')[0] for line in expected]
    self.assertEqual(self.trouble('--isolation=process', *kinds), expected)
    self.assertEqual(self.trouble('--task_isolation=process', *kinds), expected)
    # Tasks that wait for one worker may be given to another, which counts as an attempt.
    by_mpi = self.trouble('--isolation=process', *kinds, launcher=('mpiexec.hydra', '-n', '3'))
    self.assertEqual([re.sub(r'after \d+', 'after n', line) for line in by_mpi],
                     [re.sub(r'after \d+', 'after n', line) for line in expected])

  def test_a_timeout_of_a_process_is_hard(self):
    self.assertEqual(
        self.trouble('--isolation=process', '--task_timeout=300ms', '--slots=1', 'hang', 'ok'),
        ['hang: timed_out after 1: timed out after 300ms', 'ok: ok after 1: ok'])

  def test_a_zeromq_worker_that_has_lost_a_slot_starts_anew(self):
    with tempfile.TemporaryDirectory() as folder:
      url = f'--transport=zmq+ipc://{folder}/farm'
      worker = subprocess.Popen([PROGRAM, '--worker', '--slots=1', url], stdin=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
      try:
        lines = self.trouble('--task_timeout=300ms', url, 'hang', 'ok', 'ok', 'ok')
        _, said = worker.communicate(timeout=TIMEOUT_S)
      finally:
        worker.kill()
        worker.wait()
    self.assertEqual(lines[0], 'hang: timed_out after 1: timed out after 300ms')
    self.assertEqual([line.split(' after')[0] for line in lines[1:]], ['ok: ok'] * 3)
    self.assertEqual(worker.returncode, 0, said)
    self.assertIn('keeps its slot: 0 of 1 slots are left', said)
    self.assertIn('starting anew, with all slots', said)

  def test_the_program_ends_though_a_function_on_a_thread_does_not(self):
    for _ in range(5):
      self.assertEqual(
          self.trouble('--task_timeout=300ms', '--slots=2', 'hang', 'ok', 'ok'),
          ['hang: timed_out after 1: timed out after 300ms', 'ok: ok after 1: ok',
           'ok: ok after 1: ok'])

  def test_functions_see_the_programs_flags(self):
    for isolation in ('thread', 'process'):
      self.assertEqual(self.trouble(f'--isolation={isolation}', '--word=given', 'word'),
                       ['word: ok after 1: given'])

  def test_what_a_function_prints_is_printed(self):
    for isolation in ('thread', 'process'):
      lines = self.trouble(f'--isolation={isolation}', 'print')
      self.assertCountEqual(lines, ['printed by a function', 'print: ok after 1: print'])

  def test_the_tasks_choice_wins(self):
    for worker in ('thread', 'process'):
      for task in ('', 'thread', 'process'):
        self.assertEqual(
            self.trouble(f'--isolation={worker}', f'--task_isolation={task}', 'where'),
            [f'where: ok after 1: {task or worker}'])

  def test_a_wrong_flag_is_wrong_use(self):
    ended = run(PROGRAM, '--isolation=jail')
    self.assertEqual(ended.returncode, 2)
    self.assertEqual(ended.stderr, "trouble: --isolation is thread or process, not 'jail'\n")


if __name__ == '__main__':
  unittest.main()
