"""SIGSTOP and SIGCONT of a worker and of the master."""

import signal
import time

from tests.faults import faults

LEASE_S = faults.size(2, 10)
# Beyond what the others need to notice.
STOPPED_S = faults.size(1, 30 - LEASE_S)
LOST = rb'worker (\d+) \(.*\) is lost: silent for longer than the lease'


class PauseTest(faults.FaultTest):

  def test_a_stopped_worker(self):
    # 6 tasks fill both workers; 2 wait, for the end of the test.
    tasks = self.write_tasks(
        8, f'{self.append}; [ $i -lt 6 ] && {self.until("first")} || {self.until("last")}; '
           'echo $i $TASKFARM_ATTEMPT')
    master = self.master(f'--lease={LEASE_S}s', '--min_workers=2',
                         f'--results={self.path("results.jsonl")}', tasks, url='zmq://127.0.0.1:0')
    stopped, other = (self.crew(1, master.url, f'--slots={slots}').workers[0] for slots in (2, 4))
    self.wait_for_starts(6)
    joined = rb'joined the farm as worker (\d+)'
    number = stopped.wait_for(joined).group(1)
    stopped.signal(signal.SIGSTOP)
    self.assertEqual(master.wait_for(LOST).group(1), number)
    # Its commands go on without it, and end before those that run in their place.
    self.open('first')
    master.wait_for_lines(6)
    time.sleep(STOPPED_S)
    stopped.signal(signal.SIGCONT)
    again = stopped.wait_for(joined + rb'(?s:.)*' + joined).group(2)
    self.open('last')
    self.assert_ok(master)
    self.assert_all_end_well([stopped, other])

    results = self.results()
    self.assertEqual(sorted(results), faults.ids(8))
    begun = self.starts()
    # What waited on the stopped worker may begin there before it notices; what ran has moved.
    moved = [task for task in faults.ids(6) if begun[task] > 1]
    self.assertEqual(len(moved), 2)
    for task, line in results.items():
      self.assertEqual((line['outcome'], line['stdout']), ('ok', f'{task} {line["attempts"]}\n'))
      self.assertGreater(line['attempts'], 1 if task in moved else 0)
      self.assertNotEqual(line['worker'], int(number), 'a result of the session that was lost')
    self.assertNotEqual(again, number)
    self.assertRegex(master.stderr, rb'; \d workers?, 1 lost\n')

  def test_a_stopped_master(self):
    count = 40
    tasks = self.write_tasks(
        count, f'{self.append}; [ $i -ge 4 ] || {self.until("first")}; echo $i')
    master = self.master(f'--lease={LEASE_S}s', '--min_workers=2',
                         f'--results={self.path("results.jsonl")}', tasks, url='zmq://127.0.0.1:0')
    crew = self.crew(2, master.url, '--slots=2')
    self.wait_for_starts(4)
    master.signal(signal.SIGSTOP)
    for worker in crew.workers:
      worker.wait_for(rb'left the farm: no word from the master for')
    self.open('first')
    time.sleep(STOPPED_S)
    master.signal(signal.SIGCONT)
    self.assert_ok(master)
    self.assert_all_end_well(crew.workers)
    self.assert_all_ok(self.results(), faults.ids(count))
    # What ran meanwhile is taken back from the workers, unless the master hears of one too late.
    again = {task for task, begun in self.starts().items() if begun > 1}
    self.assertLessEqual(again, set(faults.ids(4)))


if __name__ == '__main__':
  faults.main()
