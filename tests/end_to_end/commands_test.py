"""Commands from a file, on every transport."""

import json
import os
import unittest

from tests.end_to_end import farms
from tests.end_to_end import processes


class CommandsTest(processes.EndToEndTest):

  def run_tasks(self, transport, tasks, *flags, **options):
    return farms.run_on(self, transport, 'master', *flags, tasks, worker_flag=False, **options)

  def test_ten_thousand_commands_on_each_transport(self):
    tasks = self.write('tasks.txt', ''.join(f'echo line {i}\n' for i in range(10000)))
    wanted = sorted(b'line %d' % i for i in range(10000))
    for transport in farms.TRANSPORTS:
      with self.subTest(transport=transport):
        run = self.run_tasks(transport, tasks, workers=2)
        self.assertEqual(run.status, 0, run.stderr[-2000:])
        self.assertEqual(sorted(run.stdout.splitlines()), wanted)

  def test_outputs_are_whole_and_keep_their_order(self):
    # Each task writes more than a pipe holds, in many pieces.
    tasks = self.write('tasks.txt', ''.join(
        f'for j in $(seq 3000); do echo task {i} piece $j of some length; done\n'
        for i in range(20)))
    wanted = [b'task %d piece %d of some length' % (i, j)
              for i in range(20) for j in range(1, 3001)]
    run = self.run_tasks('inproc', tasks, '--keep_order', '--slots=4', workers=1)
    self.assertEqual(run.status, 0, run.stderr)
    self.assertEqual(run.stdout.splitlines(), wanted)
    run = self.run_tasks('zmq', tasks)
    lines = run.stdout.splitlines()
    for first in range(0, len(lines), 3000):
      block = lines[first:first + 3000]
      self.assertEqual(len({line.split()[1] for line in block}), 1, 'outputs are mixed')

  def test_json_lines(self):
    tasks = self.write('tasks.jsonl', '\n'.join(json.dumps(task) for task in (
        {'id': 'argv', 'argv': ['printf', '%s-', 'a b', '$HOME', '*']},
        {'id': 'stdin', 'argv': ['cat'], 'stdin': 'to be\nread'},
        {'id': 'env', 'shell': 'echo $GREETING $TASKFARM_TASK_ID $TASKFARM_ATTEMPT',
         'env': {'GREETING': 'hello'}},
        {'id': 'cwd', 'argv': ['pwd'], 'cwd': self.folder},
        {'id': 'slow', 'shell': 'sleep 100', 'timeout': 0.3},
        {'id': 'flaky', 'shell': 'test "$TASKFARM_ATTEMPT" = 3', 'retries': 5},
        {'id': 'bad', 'shell': 'echo oops >&2; exit 7'},
        {'id': 'killed', 'shell': 'kill -9 $$'},
        {'id': 'missing', 'argv': ['/no/such/program']},
    )) + '\n')
    for transport in ('inproc', 'zmq', 'mpi'):
      with self.subTest(transport=transport):
        path = self.path('results.jsonl')
        run = self.run_tasks(transport, tasks, f'--results={path}', workers=2)
        self.assertEqual(run.status, 1, run.stderr)
        with open(path, encoding='utf-8') as file:
          results = {line['id']: line for line in map(json.loads, file)}
        self.assertEqual(len(results), 9)
        self.assertEqual(results['argv']['stdout'], 'a b-$HOME-*-')
        self.assertEqual(results['stdin']['stdout'], 'to be\nread')
        self.assertEqual(results['env']['stdout'], 'hello env 1\n')
        self.assertEqual(results['cwd']['stdout'].strip(), os.path.realpath(self.folder))
        self.assertEqual(results['slow']['outcome'], 'timed_out')
        self.assertEqual(results['flaky']['outcome'], 'ok')
        self.assertEqual(results['flaky']['attempts'], 3)
        self.assertEqual((results['bad']['outcome'], results['bad']['exit_code'],
                          results['bad']['stderr']), ('failed', 7, 'oops\n'))
        self.assertEqual(results['killed']['exit_code'], 137)
        self.assertEqual(results['missing']['exit_code'], 127)
        self.assertIn(b'oops', run.stderr)
        for name in (b'slow', b'bad', b'killed', b'missing'):
          self.assertIn(name, run.stderr, 'the summary names what failed')

  def test_standard_input_is_run_as_it_comes(self):
    for transport in ('inproc', 'zmq'):
      with self.subTest(transport=transport):
        if transport == 'inproc':
          master = self.start(processes.program('master'), '-', stdin=-1)
        else:
          master = self.start_zmq_master(processes.program('master'), '-', stdin=-1)
          worker = self.start(processes.program('worker_zmq'), f'--transport={master.url}')
        for i in range(3):
          master.stdin.write(b'echo answer %d\n' % i)
          master.stdin.flush()
          master.wait_for(b'answer %d\n' % i, where='stdout')
        master.stdin.close()
        self.assert_ok(master)
    self.assert_ok(worker)

  def test_the_environment_of_a_command_is_clean(self):
    tasks = self.write('tasks.txt', 'env; ls /proc/self/fd | wc -l\n')
    for transport in farms.TRANSPORTS:
      with self.subTest(transport=transport):
        run = self.run_tasks(transport, tasks, workers=1)
        self.assertEqual(run.status, 0, run.stderr)
        lines = run.stdout.decode().splitlines()
        names = {line.split('=')[0] for line in lines if '=' in line}
        self.assertLessEqual({'TASKFARM_TASK_ID', 'TASKFARM_ATTEMPT', 'TASKFARM_SLOT',
                              'TASKFARM_WORKER'}, names)
        for prefix in ('PMI_', 'HYDI_', 'MPI', 'HYDRA_', 'UCX_'):
          self.assertFalse([n for n in names if n.startswith(prefix)], names)
        # 0, 1, 2 and the folder that ls itself reads.
        self.assertEqual(lines[-1].strip(), '4')

  def test_paths_are_relative_to_where_bazel_run_was_called(self):
    self.write('here.txt', 'pwd; echo "<$BUILD_WORKING_DIRECTORY>"\n')
    run = self.run_to_end(processes.program('master'), 'here.txt', cwd='/',
                          env={'BUILD_WORKING_DIRECTORY': self.folder})
    self.assertEqual((run.status, run.stdout.decode()), (0, f'{self.folder}\n<>\n'), run.stderr)

  def test_workers_come_and_go(self):
    tasks = self.write('tasks.txt', ''.join(f'sleep 0.05; echo {i}\n' for i in range(200)))
    master = self.start_zmq_master(processes.program('master'), tasks)
    first = self.start(processes.program('worker_zmq'), f'--transport={master.url}', '--slots=2')
    master.wait_for(rb'\n', where='stdout')
    second = self.start(processes.program('worker_zmq'), f'--transport={master.url}', '--slots=2')
    first.signal(15)  # it finishes what runs and hands back the rest
    self.assert_ok(first)
    third = self.start(processes.program('worker_zmq'), f'--transport={master.url}', '--slots=8')
    self.assert_ok(master)
    self.assert_ok(second)
    self.assert_ok(third)
    self.assertEqual(sorted(map(int, master.stdout.split())), list(range(200)))
    self.assertNotIn(b'lost', master.stderr.split(b'waiting for workers')[1].split(b'\n', 1)[1]
                     .split(b'0 lost')[0])

  def test_a_killed_worker_costs_nothing(self):
    tasks = self.write('tasks.txt', ''.join(f'sleep 0.05; echo {i}\n' for i in range(100)))
    master = self.start_zmq_master(processes.program('master'), tasks)
    victim = self.start(processes.program('worker_zmq'), f'--transport={master.url}', '--slots=4')
    master.wait_for(rb'\n', where='stdout')
    victim.kill()
    rescuer = self.start(processes.program('worker_zmq'), f'--transport={master.url}', '--slots=4')
    self.assert_ok(master)
    self.assert_ok(rescuer)
    self.assertEqual(sorted(map(int, master.stdout.split())), list(range(100)))


if __name__ == '__main__':
  unittest.main()
