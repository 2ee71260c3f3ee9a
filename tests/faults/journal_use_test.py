"""What a user meets with a journal: a second master, a changed job, damage, wrong use."""

import json
import os
import signal

from tests.faults import faults


class JournalUseTest(faults.FaultTest):

  def setUp(self):
    super().setUp()
    self.journal = f'--journal={self.path("journal")}'
    self.file = self.path('journal/journal')

  def run_master(self, *flags, status=0):
    master = self.master(*flags)
    self.assertEqual(master.wait(), status, master.stderr)
    return master

  def assert_one_line(self, master, *texts):
    self.assertEqual(master.stderr.count(b'\n'), 1, master.stderr)
    self.assertEqual(master.stdout, b'')
    for text in texts:
      self.assertIn(text.encode(), master.stderr)

  def finished_job(self, count=20):
    """A file of tasks that have all ended in a run with the journal."""
    tasks = self.write_tasks(count, f'{self.append}; echo $i')
    self.run_master(self.journal, tasks)
    return tasks

  def test_a_second_master_is_refused(self):
    gate = self.path('gate')
    tasks = self.write_tasks(3, f'until [ -e {gate} ]; do sleep 0.05; done; echo $i')
    first = self.master(self.journal, tasks)
    self.eventually(lambda: os.path.exists(self.file), 'the first has its journal')
    second = self.run_master(self.journal, tasks, status=2)
    self.assert_one_line(second, 'is in use by process', str(first.pid), self.path('journal'))
    self.write('gate', '')
    self.assert_ok(first)
    self.assertEqual(sorted(first.stdout.split()), [b'0', b'1', b'2'])

  def test_a_second_run_does_nothing_again(self):
    tasks = self.finished_job()
    before = self.starts()
    results = self.path('results.jsonl')
    again = self.run_master(self.journal, f'--results={results}', tasks)
    self.assertEqual(again.stdout, b'')
    self.assertIn(b': 20 tasks have ended in earlier runs and will not run again\n', again.stderr)
    self.assertIn(b'20 tasks: 20 ok; 20 in an earlier run; ', again.stderr)
    self.assert_all_ok(self.results(), faults.ids(20))
    self.assertEqual(self.starts(), before)

  def test_what_has_failed_stays_failed(self):
    tasks = self.write_tasks(3, f'{self.append}; echo $i; [ $i != 1 ]')
    self.run_master(self.journal, tasks, status=1)
    again = self.run_master(self.journal, tasks, status=1)
    self.assertEqual(self.starts(), dict.fromkeys(faults.ids(3), 1))
    self.assertIn(b'  1: failed, exit code 1', again.stderr)

  def test_changed_added_and_removed_tasks(self):
    def write(*tasks):
      return self.write('tasks.jsonl', ''.join(
          json.dumps({'id': id, 'shell': f'echo {id} >> {self.path("starts")}; echo {text}'}) + '\n'
          for id, text in tasks))

    self.run_master(self.journal, write(('kept', 1), ('changed', 2), ('removed', 3)))
    second = self.run_master(self.journal, write(('kept', 1), ('changed', 'anew'), ('added', 4)))
    self.assertEqual(sorted(second.stdout.split()), [b'4', b'anew'])
    self.assertEqual(self.starts(), {'kept': 1, 'changed': 2, 'removed': 1, 'added': 1})
    self.assertIn(b'task "changed" is not what it was in an earlier run of this job: it runs again',
                  second.stderr)
    self.assertIn(b'1 of its tasks is not in this job any more: "removed"', second.stderr)
    self.assertIn(b'task "added" is new: no earlier run of this job had it', second.stderr)
    self.assertNotIn(b'"kept"', second.stderr)

  def test_a_task_that_changes_before_it_has_ended(self):
    def write(text):
      rest = 'true' if text == 'third' else 'sleep 20'  # which outlives the master
      return self.write('tasks.jsonl', json.dumps(
          {'id': 'one', 'shell': f'echo {text} >> {self.path("starts")}; {rest}'}))

    changed = b'task "one" is not what it was in an earlier run of this job: it runs again'
    runs = ('first', False), ('first', False), ('second', True), ('second', False), ('third', True)
    for number, (text, says_so) in enumerate(runs, 1):
      master = self.master(self.journal, write(text))
      self.wait_for_starts(number)
      if text == 'third':
        self.assert_ok(master)
      else:
        master.signal(9)
        master.wait()
      self.assertEqual(changed in master.stderr, says_so, master.stderr)

  def test_a_worker_of_an_earlier_run_that_comes_too_late_is_accused_of_nothing(self):
    # The thread and the worker are of different identities.
    tasks = self.write_tasks(1, f'{self.append}; {self.until("gate")}; echo $i')
    first = self.master(self.journal, tasks, url='zmq://127.0.0.1:0')
    worker, = self.crew(1, first.url, '--slots=1').workers
    self.wait_for_starts(1)
    first.signal(9)
    first.wait()
    worker.signal(signal.SIGSTOP)
    second = self.master(f'--transport=inproc:,{first.url}', '--slots=1', self.journal, tasks)
    self.wait_for_starts(2)
    worker.signal(signal.SIGCONT)
    self.eventually(lambda: worker.stderr.count(b'joined the farm') == 2, 'it is back')
    self.wait_a_second()
    self.open('gate')
    self.assert_ok(second)
    self.assert_ok(worker)
    self.assertNotIn(b'identity', second.stderr)

  def test_nobody_waits_for_workers_when_all_has_ended(self):
    tasks = self.write('tasks.txt', f'echo once >> {self.path("starts")}\n')
    self.run_master(self.journal, tasks)
    self.run_master(self.journal, f'--transport=zmq+ipc://{self.path("farm.sock")}',
                    '--min_workers=3', tasks)
    self.assertEqual(self.starts(), {'once': 1})

  def test_the_same_command_many_times(self):
    tasks = self.write('tasks.txt', f'echo again >> {self.path("starts")}\n' * 3)
    self.run_master(self.journal, tasks)
    self.run_master(self.journal, tasks)
    self.assertEqual(self.starts(), {'again': 3})
    self.write('tasks.txt', f'echo again >> {self.path("starts")}\n' * 5)
    self.run_master(self.journal, tasks)
    self.assertEqual(self.starts(), {'again': 5})

  def test_a_damaged_journal(self):
    tasks = self.finished_job()
    with open(self.file, 'r+b') as file:
      middle = os.path.getsize(self.file) // 2
      file.seek(middle)
      byte = file.read(1)[0]
      file.seek(middle)
      file.write(bytes([byte ^ 0x10]))
    damaged = self.read()
    refused = self.run_master(self.journal, tasks, status=3)
    self.assert_one_line(refused, f'{self.file} is damaged: 1 record (', '--repair keeps')
    self.assertEqual(self.read(), damaged, 'it was touched all the same')
    repaired = self.run_master(self.journal, '--repair', f'--results={self.path("results.jsonl")}',
                               tasks)
    self.assertRegex(repaired.stderr,
                     rb'repair of .*: dropped 1 record \(\d+ bytes\) at byte \d+\n')
    self.assertEqual(len(repaired.stdout.split()), 1, 'one runs again')
    self.assert_all_ok(self.results(), faults.ids(20))
    self.assertEqual(sum(self.starts().values()), 21)
    self.assertEqual(self.run_master(self.journal, tasks).stdout, b'')

  def test_a_torn_end(self):
    tasks = self.finished_job()
    os.truncate(self.file, os.path.getsize(self.file) - 1)
    again = self.run_master(self.journal, f'--results={self.path("results.jsonl")}', tasks)
    self.assertRegex(again.stderr,
                     rb'end of .*: cut off \d+ bytes after byte \d+ that a crash left unfinished\n')
    self.assertEqual(len(again.stdout.split()), 1, 'one runs again')
    self.assert_all_ok(self.results(), faults.ids(20))

  def test_something_else_in_its_place(self):
    tasks = self.write_tasks(1, self.append)
    os.mkdir(self.path('journal'))
    self.write('journal/journal', 'dear diary,\n' * 100)
    refused = self.run_master(self.journal, '--repair', tasks, status=2)
    self.assert_one_line(refused, 'is not a journal of taskfarm')
    self.assertEqual(self.starts(), {})

  def test_wrong_use(self):
    tasks = self.write_tasks(1, self.append)
    for flags, text in (
        (['--repair'], '--repair is for a --journal'),
        (['--journal='], '--journal needs a directory'),
        ([self.journal, '--durability=x'], "--durability is each, group or none, not 'x'"),
        (['--journal=/proc/nowhere/at/all'], '/proc/nowhere'),
        ([f'--journal={tasks}'], tasks),
        ([self.journal, '--crash_limit=0'], '--crash_limit must be between 1 and 1000'),
    ):
      with self.subTest(flags=flags):
        self.assert_one_line(self.run_master(*flags, tasks, status=2), text)
    self.assertEqual(self.starts(), {})

  def read(self):
    with open(self.file, 'rb') as file:
      return file.read()


if __name__ == '__main__':
  faults.main()
