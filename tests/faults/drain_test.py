"""SIGTERM to a worker: it finishes what runs, the others do the rest, nothing has failed."""

import signal

from tests.faults import faults


class DrainTest(faults.FaultTest):

  def test_a_draining_worker(self):
    # 4 tasks fill both workers; the last 2 hold up the end of the job.
    count = 30
    tasks = self.write_tasks(
        count, f'{self.append}; [ $i -ge 4 ] || {self.until("first")}; '
               f'[ $i -lt {count - 2} ] || {self.until("last")}; echo $i')
    master = self.master('--min_workers=2', f'--results={self.path("results.jsonl")}', tasks,
                         url='zmq://127.0.0.1:0')
    leaver, other = self.crew(2, master.url, '--slots=2').workers
    self.wait_for_starts(4)
    number = int(leaver.wait_for(rb'joined the farm as worker (\d+)').group(1))
    leaver.signal(signal.SIGTERM)
    self.open('first')
    self.assert_ok(leaver)
    self.open('last')
    self.assert_ok(master)
    self.assert_ok(other)
    results = self.results()
    self.assert_all_ok(results, faults.ids(count))
    self.assertEqual(self.starts(), dict.fromkeys(faults.ids(count), 1))
    finished_there = [task for task in faults.ids(4) if results[task]['worker'] == number]
    self.assertEqual(len(finished_there), 2, 'what ran when it was told to leave')
    self.assertEqual({results[task]['attempts'] for task in faults.ids(4)}, {1})
    self.assertNotEqual({line['worker'] for line in results.values()}, {number})
    self.assertNotIn(b'lost', master.stderr)


if __name__ == '__main__':
  faults.main()
