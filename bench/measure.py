"""What every group of measurements shares: starting programs, alternating them, rows of the table.

A group is a module NAME.py beside this one with `NAME`, what --only calls it, and
`def measure(context) -> list[Row]`. It starts C++ programs with context.launch() (a program of
taskfarm) and context.launch_raw() (a hand-written loop), alternates them with context.alternate(),
and makes rows of what they report:

  runs = context.alternate({
      'farm': lambda: context.launch(transport, 'probe', '--mode=throughput'),
      'raw': lambda: context.launch_raw(transport, '--mode=throughput')})
  return [make_row('throughput', transport, 'tasks/s', runs['farm'].spread(tasks_per_second),
                   raw=runs['raw'].spread(tasks_per_second), goal=at_least(1e6))]

A report is the JSON object that a program prints as its last line of standard output.
"""

import ctypes
import dataclasses
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time

INPROC = 'inproc'
ZMQ_TCP = 'zmq tcp'  # encrypted, as by default
ZMQ_TCP_PLAIN = 'zmq tcp plain'
ZMQ_IPC = 'zmq ipc'
MPI_FAST = 'mpi fast'
MPI_TOLERANT = 'mpi tolerant'
TRANSPORTS = (INPROC, ZMQ_TCP, ZMQ_TCP_PLAIN, ZMQ_IPC, MPI_FAST, MPI_TOLERANT)

# What MPI gets from tools/mpiexec_tolerant: the raw loop has to have the same.
_TOLERANT_MPIEXEC = ['mpiexec.hydra', '-disable-auto-cleanup', '-genv', 'UCX_TLS', 'tcp,self']

_PR_SET_CHILD_SUBREAPER = 36


class MeasureError(Exception):
  """A measurement that must not be believed, or could not be made."""


@dataclasses.dataclass(frozen=True)
class Goal:
  """What a value, or its ratio to the raw loop, has to be."""
  limit: float
  is_minimum: bool
  of_raw: bool = False

  def text(self):
    sign = '>=' if self.is_minimum else '<='
    return f'{sign} {number(self.limit)}' + (' x raw' if self.of_raw else '')

  def reached_by(self, value, ratio):
    """None: there is no ratio to judge."""
    judged = ratio if self.of_raw else value
    if judged is None:
      return None
    return judged >= self.limit if self.is_minimum else judged <= self.limit


def at_least(limit):
  return Goal(limit, is_minimum=True)


def at_most(limit):
  return Goal(limit, is_minimum=False)


def at_least_of_raw(limit):
  return Goal(limit, is_minimum=True, of_raw=True)


def at_most_of_raw(limit):
  return Goal(limit, is_minimum=False, of_raw=True)


@dataclasses.dataclass(frozen=True)
class Spread:
  """One figure over all runs."""
  median: float
  low: float
  high: float


@dataclasses.dataclass
class Row:
  """One line of the table. value, low and high: median, minimum and maximum of the runs."""
  name: str
  transport: str
  unit: str
  value: float
  low: float
  high: float
  raw_value: float | None = None
  ratio_to_raw: float | None = None
  goal: str = ''
  reached: bool | None = None


def single(value):
  """The spread of what was measured once."""
  return Spread(value, value, value)


def make_row(name, transport, unit, spread, raw=None, goal=None):
  """`raw` is the spread of the raw loop, where there is one; `goal` what is to be reached."""
  raw_value = raw.median if raw else None
  ratio = spread.median / raw_value if raw_value else None
  return Row(name, transport, unit, spread.median, spread.low, spread.high, raw_value, ratio,
             goal.text() if goal else '',
             goal.reached_by(spread.median, ratio) if goal else None)


def number(value):
  """Three digits that count: 1234567 is 1.23 M, 2345 is 2,345, 0.01234 is 0.0123."""
  for size, letter in ((1e9, ' G'), (1e6, ' M'), (1e3, ' k')):
    scaled = float(f'{value / size:.3g}')
    if abs(scaled) >= (10 if letter == ' k' else 1):
      return f'{scaled:g}{letter}'
  return f'{value:,.0f}' if abs(value) >= 999.5 else f'{value:.3g}'


class Runs:
  """The reports of one program, one for each run."""

  def __init__(self, reports):
    self.reports = reports

  def spread(self, figure):
    """`figure` makes a number of a report: one of the functions below, or a lambda."""
    figures = [figure(report) for report in self.reports]
    return Spread(statistics.median(figures), min(figures), max(figures))


def tasks_per_second(report):
  return report['tasks'] * 1e9 / report['wall_ns']


def cpu_us_per_task(report):
  """Processor time of master and workers together."""
  return report['cpu_ns'] / 1e3 / report['tasks']


def check_report(report, what, any_build=False):
  """Raises MeasureError unless the report says that all work was done, by a release build."""
  for name in ('tasks', 'wall_ns', 'cpu_ns', 'checksum', 'expected_checksum'):
    if name not in report:
      raise MeasureError(f'{what}: its report has no {name!r}')
  if report['checksum'] != report['expected_checksum']:
    raise MeasureError(f'{what}: WRONG RESULTS: their sum is {report["checksum"]}, not '
                       f'{report["expected_checksum"]}')
  if not report.get('optimized', False) and not any_build:
    raise MeasureError(f'{what}: not a release build; use bazel run -c opt //bench')


class Process:
  """A started program whose output is collected by threads, so that it never blocks on us."""

  def __init__(self, command, env):
    self.command = command
    self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=env, start_new_session=True)
    self.pid = self._popen.pid
    self._changed = threading.Condition()
    self._text = {'stdout': bytearray(), 'stderr': bytearray()}
    self._open = 2
    self._threads = [threading.Thread(target=self._collect, args=(name,), daemon=True)
                     for name in self._text]
    for thread in self._threads:
      thread.start()

  def _collect(self, name):
    pipe = getattr(self._popen, name)
    while True:
      data = os.read(pipe.fileno(), 1 << 16)
      with self._changed:
        self._text[name] += data
        self._open -= not data
        self._changed.notify_all()
      if not data:
        pipe.close()
        return

  def output(self, name):
    with self._changed:
      return self._text[name].decode(errors='replace')

  def wait_for(self, pattern, deadline):
    """Waits until `pattern` (bytes) is on standard error; the match."""
    with self._changed:
      self._changed.wait_for(
          lambda: re.search(pattern, self._text['stderr']) or not self._open,
          timeout=max(0, deadline - time.monotonic()))
      match = re.search(pattern, self._text['stderr'])
    if not match:
      raise MeasureError(f'{self.describe()}: {pattern!r} did not come')
    return match

  def wait(self, deadline):
    """Until it has ended well; MeasureError if it did not."""
    try:
      status = self._popen.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
      raise MeasureError(f'{self.describe()}: did not end in time') from None
    for thread in self._threads:
      thread.join(max(0, deadline - time.monotonic()))
    if status != 0:
      raise MeasureError(f'{self.describe()}: exit status {status}')

  def describe(self):
    """The command and the end of what it said, for an error."""
    return '\n'.join([' '.join(self.command), self.output('stdout')[-1000:],
                      self.output('stderr')[-3000:]])

  def report(self):
    """The JSON object in the last line of its standard output."""
    lines = self.output('stdout').strip().splitlines()
    try:
      report = json.loads(lines[-1]) if lines else None
    except ValueError:
      report = None
    if not isinstance(report, dict):
      raise MeasureError(f'{self.describe()}: its last line is no JSON object')
    return report


def descendants():
  """The ids of all processes that we have started, directly or not, and that are still there."""
  parents = {}
  for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
      with open(f'/proc/{pid}/stat', 'rb') as file:
        # The name, in parentheses, may hold anything.
        state, parent = file.read().rpartition(b')')[2].split()[:2]
    except OSError:
      continue
    if state != b'Z':
      parents[int(pid)] = int(parent)
  found = set()
  for pid in parents:
    line = [pid]
    while line[-1] in parents:
      line.append(parents[line[-1]])
    if os.getpid() in line[1:]:
      found.add(pid)
  return found


def become_reaper():
  """Orphans among our descendants become our children, so that descendants() knows them."""
  ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants():
  """Kills what we have started and is still there, and what that has started."""
  left = descendants()
  while left:
    for pid in left:
      try:
        os.kill(pid, signal.SIGKILL)
      except ProcessLookupError:
        pass
    for pid in left:
      try:
        os.waitpid(pid, 0)
      except ChildProcessError:
        pass  # its parent, dying too, had it; it comes back as our child if it lives
    left = descendants()


class Context:
  """How to measure here: how often, how long, with which programs.

  runs: how often each measurement is made; quick: one short run of each; seconds: how long the
  timed part of one run should be, for the programs' --seconds; transports: which of TRANSPORTS were
  asked for; compiler: what the programs say that they were built with, once one has run.
  """

  def __init__(self, runfiles, runs=5, quick=False, seconds=None, transports=TRANSPORTS,
               any_build=False, say=lambda text: None):
    self.runs = 1 if quick else runs
    self.quick = quick
    self.seconds = seconds or (0.3 if quick else 1.5)
    self.transports = tuple(transports)
    self.any_build = any_build
    self.compiler = ''
    self.say = say
    self._runfiles = runfiles

  def program(self, name):
    """The path of a program among the driver's data: of this folder, or from the root (a/b)."""
    path = os.path.join(self._runfiles, name if '/' in name else f'bench/{name}')
    if not os.path.exists(path):
      raise MeasureError(f'{path} is not there')
    return path

  def wanted(self, *transports):
    """Those of them that were asked for."""
    return [transport for transport in transports if transport in self.transports]

  def beside_raw(self, transport, *flags):
    """What alternate() gives of the farm's probe and of the loop by hand, both with `flags`."""
    runs = self.alternate({
        f'{transport}, taskfarm': lambda: self.launch(transport, 'probe', *flags),
        f'{transport}, raw': lambda: self.launch_raw(transport, *flags),
    })
    return runs.values()

  def alternate(self, programs):
    """Calls each of {name: function that gives a report} in turn, `runs` times; {name: Runs}."""
    reports = {name: [] for name in programs}
    for run in range(self.runs):
      for name, measure_once in programs.items():
        self.say(f'run {run + 1} of {self.runs}: {name}')
        reports[name].append(measure_once())
    return {name: Runs(of_one) for name, of_one in reports.items()}

  def launch(self, transport, program, *flags, workers=1, slots=1, worker_flags=(),
             timeout_s=100):
    """Runs a taskfarm program (of this folder) and its workers to their end; its checked report.

    `flags` are the master's; `worker_flags` go to whoever starts workers.
    """
    path = self.program(program)
    with self._folder() as folder:
      if transport == INPROC:
        commands = [[path, *flags, f'--workers={workers}', f'--slots={slots}', *worker_flags]]
      elif transport in (MPI_FAST, MPI_TOLERANT):
        launcher = (['mpiexec.hydra'] if transport == MPI_FAST
                    else [self.program('tools/mpiexec_tolerant')])
        commands = [[*launcher, '-n', str(workers + 1), path, *flags, f'--slots={slots}',
                     *worker_flags]]
      else:
        url, security = self._zmq(transport, folder)
        commands = [[path, *flags, f'--transport={url}', f'--min_workers={workers}', *security]]
        commands += workers * [[path, '--worker', f'--slots={slots}', *worker_flags, *security]]
      return self._run(commands, folder, timeout_s)

  def launch_raw(self, transport, *flags, timeout_s=100):
    """Runs the hand-written loop of a transport to its end; its checked report."""
    with self._folder() as folder:
      if transport == INPROC:
        command = [self.program('raw_inproc')]
      elif transport == MPI_FAST:
        command = ['mpiexec.hydra', '-n', '2', self.program('raw_mpi')]
      elif transport == MPI_TOLERANT:
        command = [*_TOLERANT_MPIEXEC, '-n', '2', self.program('raw_mpi'), '--skip_finalize']
      else:
        endpoint = (f'ipc://{folder}/socket' if transport == ZMQ_IPC else 'tcp://127.0.0.1:*')
        command = [self.program('raw_zmq'), f'--endpoint={endpoint}',
                   f'--encrypt={"true" if transport == ZMQ_TCP else "false"}']
      return self._run([[*command, *flags]], folder, timeout_s)

  def run(self, *command, timeout_s=100):
    """Runs any other program to its end; its checked report."""
    with self._folder() as folder:
      return self._run([list(command)], folder, timeout_s)

  @staticmethod
  def _folder():
    # The path of a Unix socket has to be short.
    return tempfile.TemporaryDirectory(prefix='taskfarm_bench_', dir='/tmp',
                                       ignore_cleanup_errors=True)

  @staticmethod
  def _zmq(transport, folder):
    """The address for the master and the flags about keys for all."""
    url = f'zmq+ipc://{folder}/socket' if transport == ZMQ_IPC else 'zmq://127.0.0.1:0'
    security = {ZMQ_TCP: [f'--keys={folder}/keys'], ZMQ_TCP_PLAIN: ['--insecure_no_encryption']}
    return url, security.get(transport, [])

  def _run(self, commands, folder, timeout_s):
    """The first command is the master; the others are told where it listens."""
    env = dict(os.environ, HOME=folder, TMPDIR=folder)
    env.pop('BUILD_WORKING_DIRECTORY', None)
    deadline = time.monotonic() + timeout_s
    try:
      master = Process(commands[0], env)
      processes = [master]
      if len(commands) > 1:
        address = master.wait_for(rb'--transport=(\S+)', deadline).group(1).decode()
        processes += [Process([*command, f'--transport={address}'], env)
                      for command in commands[1:]]
      for process in processes:
        process.wait(deadline)
    finally:
      end_descendants()
    report = master.report()
    check_report(report, ' '.join(commands[0]), self.any_build)
    self.compiler = report.get('compiler', self.compiler)
    return report
