"""Commands that use up what there is: output, memory. Master and worker stay as they are."""

import re

from tests.faults import faults

OUTPUT_BYTES = faults.size(128 << 20, 1 << 30)
MAX_GROWTH_KB = 64 << 10
# A sanitizer would keep what is freed for a while, which is not what is measured here.
ENV = {'ASAN_OPTIONS': 'quarantine_size_mb=1:malloc_context_size=0'}


def peak_kb(process):
  """The most memory that the process has had so far."""
  with open(f'/proc/{process.pid}/status', encoding='ascii') as file:
    return int(re.search(r'VmHWM:\s+(\d+) kB', file.read()).group(1))


class ResourcesTest(faults.FaultTest):

  def farm(self, scripts, *flags):
    """A master and its one worker; when the first task has ended, the peaks of both."""
    tasks = self.write('tasks.txt', ''.join(script + '\n' for script in scripts))
    master = self.master(f'--results={self.path("results.jsonl")}', *flags, tasks,
                         url='zmq://127.0.0.1:0', env=ENV)
    worker = self.crew(1, master.url, '--slots=1', env=ENV).workers[0]
    master.wait_for(b'first\n', where='stdout')
    return master, worker, [peak_kb(process) for process in (master, worker)]

  def assert_little_more(self, processes, before):
    for process, kb in zip(processes, before):
      self.assertLess(peak_kb(process) - kb, MAX_GROWTH_KB, process.command)

  def test_a_command_that_prints_a_lot(self):
    gate = self.path('gate')
    master, worker, before = self.farm([
        'echo first',
        f'yes aaaaaaaaaaaaaaa | head -c {OUTPUT_BYTES}',
        f'yes aaaaaaaaaaaaaaa | head -c {OUTPUT_BYTES} >&2',
        f'echo then; until [ -e {gate} ]; do sleep 0.05; done',
    ])
    # The last one holds the job up until both have been looked at.
    self.eventually(lambda: b'aaaa' in master.stderr,
                    'the second output is there')
    self.assert_little_more((master, worker), before)
    self.write('gate', '')
    self.assert_ok(master)
    self.assert_ok(worker)
    results = self.results()
    self.assertEqual(results['2']['stdout_total_bytes'], OUTPUT_BYTES)
    self.assertEqual(results['3']['stderr_total_bytes'], OUTPUT_BYTES)
    for output in (results['2']['stdout'], results['3']['stderr']):
      self.assertLessEqual(len(output), (1 << 20) + 200)
      self.assertEqual((output[:4], output[-4:]), ('aaaa', 'aaa\n'))

  def test_commands_that_eat_memory(self):
    master, worker, _ = self.farm([
        'echo first',
        'ulimit -v 100000; exec tail /dev/zero',
        'ulimit -v 100000; tail /dev/zero 2>/dev/null || kill -9 $$',
        'echo last',
    ])
    self.assertEqual(master.wait(), 1)
    self.assert_ok(worker)
    self.assertEqual(master.stdout, b'first\nlast\n')
    self.assertRegex(master.stderr, rb'\n\S+ +2: failed, exit code 1: ulimit')
    self.assertRegex(master.stderr, rb'\n\S+ +3: failed, signal 9 \(Killed\): ulimit')
    results = self.results()
    self.assertEqual((results['2']['exit_code'], results['3']['exit_code']), (1, 137))
    self.assertEqual(results['3']['signal'], 9)

  def test_timeouts_are_hard(self):
    # One ignores TERM, and one leaves a process behind that holds its outputs open.
    marker = self.path('alive')
    master, worker, _ = self.farm([
        'echo first',
        f'trap "" TERM; while :; do touch {marker}; sleep 0.05; done',
        'sleep 1000 & sleep 1000',
        'sleep 1000 &',
        'echo last',
    ], '--timeout=1s')
    self.assertEqual(master.wait(), 1)
    self.assert_ok(worker)
    self.assertEqual(master.stdout, b'first\nlast\n')
    outcomes = {task: line['outcome'] for task, line in self.results().items()}
    self.assertEqual(outcomes,
                     {'1': 'ok', '2': 'timed_out', '3': 'timed_out', '4': 'ok', '5': 'ok'})
    self.assertLess(max(line['ran_s'] for line in self.results().values()), 60)


if __name__ == '__main__':
  faults.main()
