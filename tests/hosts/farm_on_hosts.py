"""What the tests of farms on several hosts share: a master and workers, each on a host of its own."""

import contextlib
import json
import subprocess
import time

from tests.end_to_end import processes
from tests.faults import faults
from tests.hosts import network

WORKERS = 3
SLOTS = 2
JOINED = rb'joined the farm as worker (\d+)'
JOINED_AGAIN = JOINED + rb'(?s:.)*?' + JOINED
LOST = rb'worker (\d+) \(.*\) is lost: '


class FarmTest(faults.FaultTest):
  """A running farm (`master`, and `workers` where they are ours) that is given tasks bit by bit."""

  def setUp(self):
    super().setUp()
    self.network = network.Network()
    self.addCleanup(self.network.remove)
    self.workers = []
    self.tasks = 0

  @contextlib.contextmanager
  def anew(self, **case):
    """One case of several: nothing is left of the one before."""
    with self.subTest(**case):
      self.doCleanups()
      self.setUp()
      yield

  def master_command(self, *flags):
    return [processes.program('master'), *flags, '--format=jsonl', f'--min_workers={WORKERS}',
            f'--results={self.path("results.jsonl")}', '-']

  def give(self, count, script):
    """So many further tasks, which leave a trace of each start, run `script`, print their number."""
    for task in range(self.tasks, self.tasks + count):
      line = {'id': str(task), 'shell': f'i={task}; {self.append}; {script}; echo $i'}
      self.master.stdin.write(json.dumps(line).encode() + b'\n')
    self.master.stdin.flush()
    self.tasks += count

  def give_all_slots(self, script):
    """One task for each slot of the farm, all of which run when this returns."""
    before = sum(self.starts().values())
    self.give(WORKERS * SLOTS, script)
    self.wait_for_starts(before + WORKERS * SLOTS)

  def wait_in_time(self, process, pattern, since, at_most_s):
    """The line comes so soon after `since`, or little later on a busy machine."""
    match = process.wait_for(pattern)
    self.assertLess(time.monotonic() - since, at_most_s + 4, match.group())
    return match

  def end_farm(self):
    """No more tasks: all end well, and each result is there once."""
    self.master.stdin.close()
    self.assert_ok(self.master)
    self.assert_all_end_well(self.workers)
    results = self.results()
    self.assert_all_ok(results, faults.ids(self.tasks))
    shown = sorted(map(int, self.master.stdout.split()))
    self.assertEqual(shown, list(range(self.tasks)))
    return results

  def assert_started(self, wanted):
    """How often each task has begun: as in `wanted`, else once."""
    once = dict.fromkeys(faults.ids(self.tasks), 1)
    self.assertEqual(dict(self.starts()), {**once, **wanted})

  def wait_out(self, since, seconds):
    """Until a cut has lasted so long, which is what the test is about."""
    time.sleep(max(0.0, since + seconds - time.monotonic()))


class ZmqHostsTest(FarmTest):
  """A master and three workers on four hosts that share a home directory."""

  def start_farm(self, *flags, worker_flags=(), wire=lambda: None):
    """Starts both sides, each host on a wire that wire() makes."""
    self.master_host, *self.worker_hosts = [
        self.network.add_host(wire()) for _ in range(1 + WORKERS)]
    self.master = self.start_zmq_master(
        *self.master_host.command(*self.master_command(*flags)),
        url=f'zmq://{self.master_host.address}:5555', stdin=subprocess.PIPE)
    self.worker_flags = worker_flags
    self.workers = [self.start_worker(host) for host in self.worker_hosts]
    for worker in self.workers:
      worker.wait_for(JOINED)

  def start_worker(self, host):
    return self.start(
        *host.command(processes.program('worker_zmq'), f'--transport={self.master.url}',
                      f'--slots={SLOTS}', *self.worker_flags))

  @property
  def until_own_gate(self):
    """The part of a script that waits until the test opens the gate of the worker that runs it."""
    return f'until [ -e {self.path("gate")}$TASKFARM_WORKER ]; do sleep 0.05; done'

  def open_gate_of(self, worker_number):
    self.open(f'gate{worker_number}')

  @staticmethod
  def number_of(worker):
    """The number by which the master knows it first."""
    return int(worker.wait_for(JOINED).group(1))


def main():
  network.enter()
  faults.main()
