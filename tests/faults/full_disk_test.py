"""A full disk under the journal or the results: a small tmpfs, for which one has to be root."""

import os
import subprocess
import sys

from tests.faults import faults

INSIDE = 'TASKFARM_FULL_DISK_TEST_INSIDE'
DISK_BYTES = faults.size(4, 16) << 20
TASKS = faults.size(100, 2000)
FULL = rb'no task starts until there is room'
ROOM = rb'there is room for the journal again: going on'


class FullDiskTest(faults.FaultTest):

  def setUp(self):
    super().setUp()
    # Nobody else sees it, and it goes with the last process of the test.
    os.mkdir(self.path('disk'))
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={DISK_BYTES}', 'none', self.path('disk')],
                   check=True)
    self.addCleanup(subprocess.run, ['umount', '--lazy', self.path('disk')], check=True)

  def fill(self, room):
    """Leaves so many bytes of the disk."""
    with open(self.path('disk/filler'), 'wb') as file:
      file.write(bytes(DISK_BYTES - room))

  def free(self):
    os.unlink(self.path('disk/filler'))

  def write_tasks_of_4_kib(self):
    return self.write_tasks(TASKS, f'{self.append}; head -c 4095 /dev/zero | tr "\\0" .; echo')

  def assert_all_there(self):
    results = self.results()
    self.assertEqual(sorted(results), sorted(faults.ids(TASKS)))
    for line in results.values():
      self.assertEqual((line['outcome'], line['stdout']), ('ok', '.' * 4095 + '\n'))

  def test_the_journal(self):
    for durability in faults.size(('group',), ('group', 'each', 'none')):
      with self.subTest(durability=durability):
        self.doCleanups()
        self.setUp()
        self.fill(room=160 << 10)
        master = self.master(f'--journal={self.path("disk/journal")}', f'--durability={durability}',
                             f'--results={self.path("results.jsonl")}', '--slots=2',
                             self.write_tasks_of_4_kib())
        master.wait_for(FULL)
        # What the worker had in advance may still begin. Then nothing does.
        begun = self.quiet_starts()
        self.assertLess(begun, TASKS * 3 // 4)
        shown = master.stdout.count(b'\n')
        self.assertLess(shown, begun)
        self.free()
        master.wait_for(ROOM)
        self.assert_ok(master)
        self.assertEqual(len(master.stdout.splitlines()), TASKS)
        self.assert_all_there()
        self.assertEqual(self.starts(), dict.fromkeys(faults.ids(TASKS), 1))
        self.assertEqual(len(master.stderr.splitlines()), 3, master.stderr)  # full, room, summary

  def quiet_starts(self):
    """How many tasks have begun, once none has for a second."""
    begun = -1
    while begun != sum(self.starts().values()):
      begun = sum(self.starts().values())
      self.wait_a_second()
    return begun

  def test_a_journal_that_stays_full(self):
    self.fill(room=160 << 10)
    tasks = self.write_tasks_of_4_kib()
    flags = [f'--journal={self.path("disk/journal")}', f'--results={self.path("results.jsonl")}']
    master = self.master(*flags, '--slots=2', tasks)
    master.wait_for(FULL)
    master.signal(9)
    master.wait()
    shown = master.stdout.count(b'\n')
    self.free()
    again = self.master(*flags, tasks)
    self.assert_ok(again)
    self.assert_all_there()
    # What was not durable was not shown.
    self.assertLessEqual(shown + again.stdout.count(b'\n'), TASKS)

  def test_a_new_journal_without_any_room(self):
    self.fill(room=0)
    master = self.master(f'--journal={self.path("disk/journal")}', self.write_tasks_of_4_kib())
    self.assertEqual(master.wait(), 3, master.stderr)
    self.assertEqual(master.stderr.count(b'\n'), 1, master.stderr)
    self.assertIn(b'No space left on device', master.stderr)
    self.assertEqual(self.starts(), {})

  def test_the_results(self):
    self.fill(room=160 << 10)
    tasks = self.write_tasks_of_4_kib()
    flags = [f'--journal={self.path("journal")}', tasks]
    master = self.master(f'--results={self.path("disk/results.jsonl")}', *flags)
    self.assertEqual(master.wait(), 3, master.stderr)
    self.assertEqual(len(master.stdout.splitlines()), TASKS)
    self.assertEqual(master.stderr.count(b'No space left on device'), 1, master.stderr)
    self.assertIn(b'; the job goes on without it\n', master.stderr)
    self.assertLess(0, len(self.results('disk/results.jsonl')), 'whole lines are kept')
    again = self.master(f'--results={self.path("results.jsonl")}', *flags)
    self.assert_ok(again)
    self.assertEqual(again.stdout, b'')
    self.assert_all_there()
    self.assertEqual(self.starts(), dict.fromkeys(faults.ids(TASKS), 1))


def enter():
  """Starts this test again where it may mount; does not return. False if it may not."""
  for command in (['unshare', '--mount'], ['unshare', '--user', '--map-root-user', '--mount']):
    probe = [*command, 'mount', '-t', 'tmpfs', 'none', '/mnt']
    if subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0:
      os.environ[INSIDE] = '1'
      os.execvp(command[0], [*command, sys.executable, *sys.argv])
  return False


if __name__ == '__main__':
  if INSIDE in os.environ or enter():
    faults.main()
  print('skipped: this user may not mount a tmpfs, so no disk can be filled')
