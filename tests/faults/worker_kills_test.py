"""kill -9 of ZeroMQ workers at random moments: every result once, as without it."""

from tests.end_to_end import processes
from tests.faults import faults

TASKS = faults.size(20000, 100000)
COMMANDS = faults.size(1000, 100000)
KILLS = faults.size(8, 100)
WORKERS = 3


class WorkerKillsTest(faults.FaultTest):

  def kill_at_random(self, master, crew, tasks):
    """So many kills, spread over the job by the number of its results."""
    for moment in sorted(self.random.sample(range(tasks * 9 // 10), KILLS)):
      master.wait_for_lines(moment)
      victim = self.random.randrange(WORKERS)
      self.eventually(lambda: crew.has_joined(victim) or master.ended(), 'a worker joins')
      crew.kill_one(victim)

  def test_functions(self):
    program = processes.runfile('tests/faults/scramble')
    undisturbed = self.run_to_end(program, f'--tasks={TASKS}')
    self.assertEqual(undisturbed.status, 0, undisturbed.stderr)
    wanted = sorted(undisturbed.stdout.split(b'\n'))
    self.assertEqual(len(wanted), TASKS + 1)

    master = self.start_zmq_master(program, f'--tasks={TASKS}', '--crash_limit=100')
    crew = faults.Crew(self, WORKERS, program, '--worker', f'--transport={master.url}')
    self.kill_at_random(master, crew, TASKS)
    self.assert_ok(master)
    self.assertEqual(sorted(master.stdout.split(b'\n')), wanted)
    self.assert_lost(master, KILLS)
    self.assert_all_end_well(crew.joined())

  def test_commands(self):
    tasks = self.write_tasks(COMMANDS, 'echo $i')
    results = self.path('results.jsonl')
    master = self.master(f'--results={results}', '--crash_limit=100', tasks,
                         url='zmq://127.0.0.1:0')
    crew = self.crew(WORKERS, master.url, '--slots=2')
    self.kill_at_random(master, crew, COMMANDS)
    self.assert_ok(master)
    self.assertEqual(sorted(map(int, master.stdout.split())), list(range(COMMANDS)))
    self.assert_all_ok(self.results(), faults.ids(COMMANDS))
    self.assert_lost(master, KILLS)
    self.assert_all_end_well(crew.joined())

  def assert_lost(self, master, count):
    self.assertLessEqual(master.stderr.count(b' is lost: '), count)
    # The job may have come to its end meanwhile.
    self.assertGreaterEqual(master.stderr.count(b' is lost: '), 1)

  def test_a_task_that_kills_its_worker(self):
    count = 40
    tasks = self.write_tasks(count, '[ $i != 7 ] || kill -9 $PPID; echo $i')
    results = self.path('results.jsonl')
    master = self.master(f'--results={results}', '--crash_limit=3', tasks, url='zmq://127.0.0.1:0')
    crew = self.crew(2, master.url, '--slots=1')
    self.eventually(lambda: crew.replace_dead() or master.ended(), 'the job ends')
    self.assertEqual(master.wait(), 1, master.stderr)
    lines = self.results()
    killer = lines.pop('7')
    self.assertEqual(killer['outcome'], 'crashed')
    # It may also have waited on a worker that another attempt of it had killed.
    self.assertGreaterEqual(killer['attempts'], 3)
    self.assert_all_ok(lines, set(faults.ids(count)) - {'7'})
    self.assertRegex(
        master.stderr,
        rb'\n\S+ +7: crashed, its worker was lost while it ran \(crash 3 of 3, attempt \d+\); given up')
    self.assertGreaterEqual(master.stderr.count(b' is lost: '), 3)
    self.assert_all_end_well(crew.joined())

  def test_a_function_that_kills_its_worker(self):
    program = processes.runfile('tests/faults/scramble')
    flags = ['--tasks=200', '--killer=77', '--rounds=1']
    master = self.start_zmq_master(program, *flags, '--crash_limit=2')
    crew = faults.Crew(self, 2, program, '--worker', f'--transport={master.url}', '--slots=1')
    self.eventually(lambda: crew.replace_dead() or master.ended(), 'the job ends')
    self.assert_one_crashed(master)

  def assert_one_crashed(self, master):
    self.assert_ok(master)
    lines = dict(line.split(b' ') for line in master.stdout.splitlines())
    self.assertEqual(len(lines), 200)
    self.assertEqual(len(master.stdout.splitlines()), 200)
    self.assertEqual([number for number in lines if not lines[number].isdigit()], [b'77'])
    self.assertEqual(lines[b'77'], b'crashed')

  def test_a_function_that_kills_its_own_process(self):
    run = self.run_to_end(processes.runfile('tests/faults/scramble'), '--tasks=200', '--killer=77',
                          '--rounds=1', '--crash_limit=3', '--isolation=process')
    self.assert_one_crashed(run)


if __name__ == '__main__':
  faults.main()
