"""The ranks of an MPI job as processes: finding them, killing them, seeing that none is left."""

import contextlib
import os
import signal
import time
import uuid

from tests.end_to_end import processes


LAUNCHER = 'tools/mpiexec_tolerant'
MARK = 'TEST_MARK'  # a variable; commands have it only with --pass_environment


def program(name):
  """The path of one of the programs made for these tests."""
  return processes.runfile(f'tests/mpi_faults/{name}')


def _read(pid, name):
  try:
    with open(f'/proc/{pid}/{name}', 'rb') as file:
      return file.read()
  except OSError:
    return b''


def _stat(pid):
  """(state, parent) of a process; None if it is gone."""
  # The name, in parentheses, may hold anything.
  fields = _read(pid, 'stat').rpartition(b')')[2].split()
  return (fields[0], int(fields[1])) if fields else None


class Job:
  """One mpiexec (tolerant or plain), whose processes are known by a mark in their environment."""

  def __init__(self, test, *command, **options):
    self._mark = f'{MARK}={uuid.uuid4()}'
    name, value = self._mark.split('=')
    # What a killed launcher leaves there goes with the test's folder.
    self.process = test.start(*command, env={name: value, 'TMPDIR': test.folder}, **options)

  def pids(self):
    """All living processes of the job but the launcher itself, and what they started."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):
      stat = _stat(pid)
      if (pid != self.process.pid and stat and stat[0] != b'Z' and
          self._mark.encode() in _read(pid, 'environ').split(b'\0')):
        found.append(pid)
    return found

  def _pids_of(self, rank, supervisors):
    found = []
    for pid in self.pids():
      if f'PMI_RANK={rank}'.encode() not in _read(pid, 'environ').split(b'\0'):
        continue
      stat = _stat(pid)
      # Hydra's own child is the supervisor, or is going to be.
      is_supervisor = stat is not None and _read(stat[1], 'comm').startswith(b'hydra_pmi_proxy')
      if is_supervisor == supervisors:
        found.append(pid)
    return found

  def kill(self, rank, supervisor=False, number=signal.SIGKILL):
    """Sends the signal to a rank, or its supervisor; how many processes that were."""
    killed = 0
    for pid in self._pids_of(rank, supervisor):
      try:
        os.kill(pid, number)
        killed += 1
      except ProcessLookupError:
        pass
    return killed

  def children(self, rank):
    """The processes that a rank has started."""
    parents = self._pids_of(rank, supervisors=False)
    stats = ((int(pid), _stat(pid)) for pid in os.listdir('/proc') if pid.isdigit())
    return [pid for pid, stat in stats if stat and stat[1] in parents and stat[0] != b'Z']

  def _wait(self, condition, what):
    deadline = time.monotonic() + processes.TIMEOUT_S
    while not condition():
      if time.monotonic() > deadline:
        raise AssertionError(f'{what}: {self.process.stderr.decode()}')
      time.sleep(0.01)  # a process that is no child of ours can only be looked at

  def _runs(self, word):
    # A command's environment does not have the rank's variables; the mark is passed on.
    return any(word in _read(pid, 'cmdline').split(b'\0') for pid in self.pids())

  def wait_for_command(self, word):
    """Until one of the job's processes has `word` as an argument."""
    self._wait(lambda: self._runs(word), f'no command {word}')

  def wait_until_gone(self, word):
    self._wait(lambda: not self._runs(word), f'command {word} stays')

  def wait_until_nothing_is_left(self):
    try:
      self._wait(lambda: not self.pids(), 'processes are left')
    except AssertionError:
      self.kill_all()
      raise

  def kill_all(self):
    """All that is left of it, the launcher aside."""
    for pid in self.pids():
      with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class MpiFaultTest(processes.EndToEndTest):
  """What the tests of MPI's faults share."""

  def start_job(self, *command):
    return Job(self, *command)

  def tolerant(self, ranks, *command):
    return [processes.runfile(LAUNCHER), '-n', str(ranks), *command]

  def assert_all_ok(self, job, tasks, what=''):
    """The job ends with status 0 and all its results."""
    status = job.process.wait()
    text = f'{what}\n{job.process.stdout.decode()}\n{job.process.stderr.decode()}'
    self.assertEqual(status, 0, text)
    # Where a supervisor was killed, mpiexec adds lines of its own.
    self.assertIn(b'\n%d ok of %d\n' % (tasks, tasks), job.process.stdout, text)

  def assert_nothing_left(self, job):
    """Every process of the job ends."""
    job.wait_until_nothing_is_left()
