"""Real processes for the end-to-end tests: starting, waiting, stopping, and the programs' paths."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

# Generous: reached only when something is broken.
TIMEOUT_S = 120

_PROGRAMS = {
    'bytes': 'tests/end_to_end/bytes',
    'chunk_sum': 'examples/chunk_sum',
    'greet': 'tests/end_to_end/greet',
    'mandelbrot': 'examples/mandelbrot',
    'pi': 'examples/pi',
    'master': 'master/master',
    'master_zmq': 'master/master_zmq',
    'worker': 'worker/worker',
    'worker_zmq': 'worker/worker_zmq',
}


def _use_home_of_our_own():
  """Programs find, and leave, their keys below the test's own folder."""
  os.environ['HOME'] = os.path.join(os.environ['TEST_TMPDIR'], 'home')
  os.makedirs(os.environ['HOME'], mode=0o700, exist_ok=True)


_use_home_of_our_own()


def runfile(path):
  """Where a file that the test lists in its data is; `path` is from the workspace's root."""
  return os.path.join(os.environ['TEST_SRCDIR'], os.environ['TEST_WORKSPACE'], path)


def program(name):
  """The path of a program that the test lists in its data."""
  return runfile(_PROGRAMS[name])


def mpiexec(ranks, *command):
  """The command that runs `command` on so many ranks."""
  return ['mpiexec.hydra', '-n', str(ranks), *command]


class Process:
  """A started program whose output is collected by threads, so that it never blocks on us."""

  def __init__(self, command, stdin=subprocess.DEVNULL, cwd=None, env=None,
               stdout=subprocess.PIPE):
    environment = dict(os.environ)
    environment.update(env or {})
    self.command = command
    self._popen = subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd,
        env=environment, start_new_session=True)
    self.pid = self._popen.pid
    self.stdin = self._popen.stdin
    self._changed = threading.Condition()
    self._text = {'stdout': bytearray(), 'stderr': bytearray()}
    self._lines = {'stdout': 0, 'stderr': 0}
    self._threads = []
    for name in ('stdout', 'stderr'):
      pipe = getattr(self._popen, name)
      if pipe is None:
        continue
      thread = threading.Thread(target=self._collect, args=(name, pipe), daemon=True)
      thread.start()
      self._threads.append(thread)

  def _collect(self, name, pipe):
    while True:
      data = os.read(pipe.fileno(), 1 << 16)
      with self._changed:
        self._text[name] += data
        self._lines[name] += data.count(b'\n')
        self._changed.notify_all()
      if not data:
        pipe.close()
        return

  @property
  def stdout(self):
    with self._changed:
      return bytes(self._text['stdout'])

  @property
  def stderr(self):
    with self._changed:
      return bytes(self._text['stderr'])

  def wait_for(self, pattern, where='stderr'):
    """Waits until `pattern` (bytes, a regular expression) is in the output; the match."""
    return self._wait_until(lambda: re.search(pattern, self._text[where]),
                            f'{pattern!r} in {where}')

  def wait_for_lines(self, count):
    """Waits until so many lines are in the standard output, or it has ended."""
    self._wait_until(lambda: self._lines['stdout'] >= count or self.ended(), f'line {count}')

  def _wait_until(self, look, what):
    """Waits until look() gives something true and returns that; its end is the last chance."""
    found = []

    def found_or_ended():
      ended = self.ended() and not any(thread.is_alive() for thread in self._threads)
      found[:] = [look()]
      return bool(found[0]) or ended

    with self._changed:
      # The end of the process is not signalled to us, so look for it now and then.
      for _ in range(TIMEOUT_S * 10):
        if self._changed.wait_for(found_or_ended, timeout=0.1):
          break
    if not found[0]:
      raise AssertionError(f'{self.command}: no {what}:\n'
                           f'{self.stdout.decode()[-4000:]}\n{self.stderr.decode()[-4000:]}')
    return found[0]

  def ended(self):
    return self._popen.poll() is not None

  def signal(self, number):
    """No effect once it has ended."""
    self._popen.send_signal(number)

  def wait(self):
    """The exit status, negative for a signal."""
    try:
      status = self._popen.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
      self.kill()
      raise AssertionError(f'{self.command} did not end:\n{self.stdout.decode()}\n'
                           f'{self.stderr.decode()}') from None
    for thread in self._threads:
      thread.join(TIMEOUT_S)
    return status

  def kill(self):
    """Ends the process and all it has started that is still in its session."""
    if self._popen.poll() is None:
      try:
        os.killpg(self.pid, signal.SIGKILL)
      except ProcessLookupError:
        pass
      self._popen.wait()


class EndToEndTest(unittest.TestCase):
  """A test with a folder of its own whose processes do not outlive it."""

  def setUp(self):
    # Not in TEST_TMPDIR: the path of a Unix socket has to be short.
    self.folder = tempfile.mkdtemp(prefix='taskfarm_', dir='/tmp')
    self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

  def path(self, name):
    return os.path.join(self.folder, name)

  def write(self, name, text):
    with open(self.path(name), 'w', encoding='utf-8') as file:
      file.write(text)
    return self.path(name)

  def start(self, *command, **options):
    process = Process(list(command), **options)
    self.addCleanup(process.kill)
    return process

  def run_to_end(self, *command, **options):
    process = self.start(*command, **options)
    process.status = process.wait()
    return process

  def start_zmq_master(self, *command, url='zmq://127.0.0.1:0', **options):
    """A master that listens; its address for workers is in `url` of what is returned."""
    process = self.start(*command, f'--transport={url}', **options)
    process.url = process.wait_for(rb'--transport=(\S+)').group(1).decode()
    return process

  def assert_ok(self, process):
    status = process.wait()
    self.assertEqual(status, 0, f'{process.command}\n{process.stdout.decode()[-2000:]}\n'
                                f'{process.stderr.decode()[-4000:]}')
