"""What the tests of faults share: sizes, workers that are replaced, results files."""

import collections
import json
import os
import random
import sys
import time
import unittest

from tests.end_to_end import processes

LONG = '--long' in sys.argv


def size(small, long):
  """How much of something the test is to do: `long` in the version that takes minutes."""
  return long if LONG else small


def main():
  """Runs the tests of the module that calls it."""
  if LONG:
    sys.argv.remove('--long')
    processes.TIMEOUT_S = 3600
  unittest.main()


class Crew:
  """Worker processes of one farm. A worker that is killed gets a successor."""

  def __init__(self, test, count, *command, **options):
    self._start = lambda: test.start(*command, **options)
    self.workers = [self._start() for _ in range(count)]

  def kill_one(self, which):
    """kill -9."""
    self.workers[which].signal(9)
    self.workers[which].wait()
    self.workers[which] = self._start()

  def has_joined(self, which):
    return b'joined the farm' in self.workers[which].stderr

  def replace_dead(self):
    """Those that something else has killed."""
    for which, worker in enumerate(self.workers):
      if worker.ended() and worker.wait() < 0:
        self.workers[which] = self._start()

  def joined(self):
    """Those that have found the master; a late successor may have come after its end."""
    return [worker for worker in self.workers if b'joined the farm' in worker.stderr]


class FaultTest(processes.EndToEndTest):
  """A test that breaks something. What it draws by lot comes from `random`."""

  def setUp(self):
    super().setUp()
    seed = random.SystemRandom().randrange(1 << 32)
    print(f'{self.id()}: seed {seed}', file=sys.stderr)
    self.random = random.Random(seed)

  def eventually(self, condition, what):
    """Waits until condition() is true of something that nobody tells us about."""
    deadline = time.monotonic() + processes.TIMEOUT_S
    while not condition():
      self.assertLess(time.monotonic(), deadline, f'never happened: {what}')
      time.sleep(0.01)

  def random_pause(self, at_most_s):
    """To break something at a moment that no event marks."""
    time.sleep(self.random.uniform(0, at_most_s))

  def wait_a_second(self):
    """To see that nothing happens in it."""
    time.sleep(1)

  def master(self, *flags, url=None, **options):
    """A started master of commands; on ZeroMQ, with its `url`, if there is one."""
    command = [processes.program('master'), *flags]
    if url is None:
      return self.start(*command, **options)
    return self.start_zmq_master(*command, url=url, **options)

  def crew(self, count, url, *flags, **options):
    """So many workers for commands."""
    return Crew(self, count, processes.program('worker_zmq'), f'--transport={url}', *flags,
                **options)

  def url(self):
    """An address for a master that is to be started again at the same one."""
    return f'zmq+ipc://{self.path("farm.sock")}'

  def assert_all_end_well(self, workers):
    for worker in workers:
      self.assert_ok(worker)

  def read_lines(self, name):
    """The lines of a file that tasks append to; none before the first does."""
    if not os.path.exists(self.path(name)):
      return []
    with open(self.path(name), encoding='utf-8') as file:
      return file.read().split('\n')[:-1]

  def results(self, name='results.jsonl'):
    """A results file by task; no task is in it twice."""
    results = {}
    for line in map(json.loads, self.read_lines(name)):
      self.assertNotIn(line['id'], results, 'a task has two results')
      results[line['id']] = line
    return results

  def assert_all_ok(self, results, ids):
    """Each of the tasks is there, and only they, with its number as its output."""
    self.assertEqual(sorted(results), sorted(ids))
    wrong = [line for line in results.values()
             if line['outcome'] != 'ok' or line['stdout'] != line['id'] + '\n']
    self.assertEqual(wrong, [])

  def write_tasks(self, count, script, name='tasks.jsonl'):
    """A file of tasks "0", "1", ...; `script` runs in a shell with its number as $i."""
    return self.write(name, ''.join(
        json.dumps({'id': str(i), 'shell': f'i={i}; {script}'}) + '\n' for i in range(count)))

  def starts(self):
    """How often each task has begun, for scripts that say so with APPEND."""
    return collections.Counter(self.read_lines('starts'))

  @property
  def append(self):
    """The part of a script that leaves a trace of each start."""
    return f'echo $i >> {self.path("starts")}'

  def wait_for_starts(self, count):
    self.eventually(lambda: sum(self.starts().values()) >= count, f'{count} tasks have begun')

  def until(self, name):
    """The part of a script that waits until the test opens this gate."""
    return f'until [ -e {self.path(name)} ]; do sleep 0.05; done'

  def open(self, name):
    self.write(name, '')


def ids(count):
  return [str(i) for i in range(count)]
