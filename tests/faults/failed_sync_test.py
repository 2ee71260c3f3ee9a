"""A disk that does not keep what it was given: the run ends, and its journal resumes."""

import re

from tests.end_to_end import processes
from tests.faults import faults

TASKS = faults.size(100, 3000)


class FailedSyncTest(faults.FaultTest):

  def test_the_run_ends_and_resumes(self):
    for durability in ('group', 'each'):
      # The first call opens the journal.
      for number in (2, faults.size(8, 60)):
        with self.subTest(durability=durability, number=number):
          self.doCleanups()
          self.setUp()
          self.run_and_resume(durability, number)

  def run_and_resume(self, durability, number):
    url = self.url()
    crew = self.crew(2, url, '--slots=2')
    flags = [f'--journal={self.path("journal")}', f'--durability={durability}', '--min_workers=2',
             f'--results={self.path("results.jsonl")}',
             self.write_tasks(TASKS, f'{self.append}; echo $i')]
    broken = self.master(*flags, url=url, env={
        'LD_PRELOAD': processes.runfile('tests/faults/libfailing_sync.so'),
        'FAILING_SYNC': str(number),
        'ASAN_OPTIONS': 'verify_asan_link_order=0',
    })
    self.assertEqual(broken.wait(), 3, broken.stderr)
    said = rb'the farm failed: cannot sync .*/journal: Input/output error\n'
    self.assertEqual(len(re.findall(said, broken.stderr)), 1, broken.stderr)
    shown = set(broken.stdout.split())
    begun = self.starts()

    again = self.master(*flags, url=url)
    self.assert_ok(again)
    self.assert_all_end_well(crew.workers)
    self.assertFalse(shown & set(again.stdout.split()), 'shown twice')
    self.assert_all_ok(self.results(), faults.ids(TASKS))
    for task, count in self.starts().items():
      if task.encode() in shown:
        self.assertEqual(count, begun[task], 'begun again after it was shown')


if __name__ == '__main__':
  faults.main()
