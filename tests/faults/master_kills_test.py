"""kill -9 of a journalled master at random moments, resumed each time."""

import collections
import re

from tests.end_to_end import processes
from tests.faults import faults

TASKS = faults.size(150, 3000)
KILLS = faults.size(4, 30)
WORKERS = 2
SLOTS = 2


class MasterKillsTest(faults.FaultTest):

  def kill_at_random(self, start, left):
    """Starts a master and kills it; the lines of output that its user has seen.

    left: tasks to be shown by this run and as many kills as are still to come.
    """
    master = start()
    tasks, kills = left
    if self.random.random() < 0.3:
      # While it opens its journal, waits for workers, has the first results.
      self.random_pause(0.1)
    else:
      master.wait_for_lines(self.random.randint(1, max(1, tasks // (kills + 1))))
    master.signal(9)
    status = master.wait()
    self.assertIn(status, (-9, 0), master.stderr)
    self.killed += status == -9
    return master.stdout.split(b'\n')[:-1]

  def run_with_kills(self, start, tasks):
    """Kills and resumes, then lets it end; the last master and what was shown before and by it.

    No task that was shown begins again, and none is shown twice.
    """
    shown = set()
    for kill in range(KILLS):
      lines = set(self.kill_at_random(start, (tasks - len(shown), KILLS - kill)))
      self.assertFalse(shown & lines, 'shown twice')
      shown |= lines
      self.note_kill(shown)
    self.assertGreater(self.killed, 0)
    last = start()
    self.assert_ok(last)
    final = set(last.stdout.split(b'\n')[:-1])
    self.assertFalse(shown & final, 'shown twice')
    return last, shown, final

  def note_kill(self, shown):
    """For tests that count starts: which tasks may begin once more than those before."""
    begun = self.starts()
    self.at_kill.append((begun, {task for task in begun if task.encode() not in shown}))

  def setUp(self):
    super().setUp()
    self.killed = 0  # masters; one may be quicker than we are
    self.at_kill = []  # for each kill: the starts so far, and the tasks begun but not shown

  def assert_nothing_runs_again(self, in_flight_at_kill):
    """Of what was shown. Of the rest, what was in flight at a kill may."""
    starts = self.starts()
    for begun, unfinished in self.at_kill:
      again = {task for task in begun if starts[task] > begun[task]}
      self.assertLessEqual(again, unfinished, 'begun again after they were shown')
    self.assertLessEqual(sum(starts.values()) - TASKS, in_flight_at_kill * KILLS)

  def assert_all_leave(self, workers, last, tasks):
    """As told by the last master; one that found all tasks ended has not waited to tell them."""
    was_over = f': {tasks} tasks have ended in earlier runs'.encode() in last.stderr
    for worker in workers:
      if was_over and worker.wait() == 3:
        self.assertIn(b'no master has answered', worker.stderr)
      else:
        self.assert_ok(worker)

  def start_commands(self, *flags, **options):
    tasks = self.path('tasks.jsonl')
    return lambda: self.master(f'--journal={self.path("journal")}',
                               f'--results={self.path("results.jsonl")}', *flags, tasks, **options)

  def assert_exact(self, last, shown, final):
    """What was shown, and in the end all results, those from earlier runs included."""
    self.assertLessEqual({int(line) for line in shown | final}, set(range(TASKS)))
    self.assert_all_ok(self.results(), faults.ids(TASKS))
    earlier = re.search(rb'; (\d+) in an earlier run; ', last.stderr)
    self.assertEqual(len(final), TASKS - (int(earlier.group(1)) if earlier else 0))

  def test_workers_that_stay_alive(self):
    for durability in ('group', 'each', 'none'):
      with self.subTest(durability=durability):
        self.setUp()
        self.write_tasks(TASKS, f'{self.append}; echo $i')
        url = self.url()
        # It begins when all workers are back, so what they hold is known before it is given out.
        start = self.start_commands(f'--durability={durability}', f'--min_workers={WORKERS}',
                                    url=url)
        crew = self.crew(WORKERS, url, f'--slots={SLOTS}')
        last, shown, final = self.run_with_kills(start, TASKS)
        self.assert_all_leave(crew.workers, last, TASKS)
        self.assert_exact(last, shown, final)
        # The workers keep what runs and what has ended: nothing runs twice.
        self.assert_nothing_runs_again(0)
        self.assertEqual(self.starts(), collections.Counter(faults.ids(TASKS)))

  def test_workers_that_die_with_it(self):
    for durability in ('group', 'each'):
      with self.subTest(durability=durability):
        self.setUp()
        self.write_tasks(TASKS, f'{self.append}; echo $i')
        start = self.start_commands(f'--durability={durability}', f'--workers={WORKERS}',
                                    f'--slots={SLOTS}')
        last, shown, final = self.run_with_kills(start, TASKS)
        self.assert_exact(last, shown, final)
        # What runs, and what has ended within the interval of the group commit.
        self.assert_nothing_runs_again(WORKERS * SLOTS * 4)

  def test_functions(self):
    program = processes.runfile('tests/faults/scramble')
    tasks = faults.size(1000, 30000)
    flags = [f'--tasks={tasks}', '--rounds=20000']
    wanted = self.run_to_end(program, *flags).stdout.split(b'\n')[:-1]
    self.assertEqual(len(wanted), tasks)
    url = self.url()
    crew = faults.Crew(self, WORKERS, program, '--worker', f'--transport={url}')

    def start():
      return self.start_zmq_master(program, *flags, f'--journal={self.path("journal")}',
                                   f'--min_workers={WORKERS}', url=url)

    for kill in range(KILLS):
      # A function's caller is given every result in every run.
      lines = self.kill_at_random(start, (tasks * (kill + 1) // (KILLS + 1), 0))
      self.assertEqual(len(lines), len(set(lines)))
      self.assertLessEqual(set(lines), set(wanted))
    last = start()
    self.assert_ok(last)
    self.assertEqual(sorted(last.stdout.split(b'\n')[:-1]), sorted(wanted))
    self.assertRegex(last.stderr, rb'\d+ tasks have ended in earlier runs and will not run again')
    self.assert_all_leave(crew.workers, last, tasks)


if __name__ == '__main__':
  faults.main()
