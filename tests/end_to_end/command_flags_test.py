"""What a worker lets commands do and gives them: the flags, on every transport."""

import json
import os
import stat
import unittest

from tests.end_to_end import farms
from tests.end_to_end import processes

SECRETS = {'AWS_SECRET_ACCESS_KEY': 'secret', 'MY_SETTING': 'mine', 'SLURM_JOB_ID': '7',
           'OMP_NUM_THREADS': '3', 'LD_LIBRARY_PATH': '/opt/module/lib'}


class CommandFlagsTest(processes.EndToEndTest):

  def run_tasks(self, transport, tasks, *worker_flags, status=0, **options):
    """The results of the tasks (a list of dicts) by their ids; workers have the flags."""
    path = self.write('tasks.jsonl', ''.join(json.dumps(task) + '\n' for task in tasks))
    results = self.path('results.jsonl')
    flags = [f'--results={results}', path]
    master = processes.program('master')
    if transport == 'inproc':
      run = self.run_to_end(master, *worker_flags, *flags, **options)
    elif transport == 'mpi':
      run = self.run_to_end(*processes.mpiexec(2, master, *worker_flags, *flags), **options)
    else:
      run = self.start_zmq_master(master, *flags)
      worker = self.start(processes.program('worker_zmq'), f'--transport={run.url}', *worker_flags,
                          **options)
      run.status = run.wait()
      self.assert_ok(worker)
    self.assertEqual(run.status, status, run.stderr)
    with open(results, encoding='utf-8') as file:
      return {line['id']: line for line in map(json.loads, file)}

  def test_the_environment_of_a_command_is_what_is_listed(self):
    task = [{'id': 'env', 'shell': 'env'}]
    for transport in ('inproc', 'zmq', 'mpi'):
      for flags, wanted in (((), {'OMP_NUM_THREADS', 'LD_LIBRARY_PATH'}),
                            (('--pass_environment=MY_SETTING,SLURM_*',), SECRETS.keys() -
                             {'AWS_SECRET_ACCESS_KEY'}),
                            (('--pass_environment=*',), SECRETS.keys())):
        with self.subTest(transport=transport, flags=flags):
          results = self.run_tasks(transport, task, *flags, env=SECRETS)
          names = {line.split('=')[0] for line in results['env']['stdout'].splitlines()}
          self.assertEqual(names & SECRETS.keys(), wanted)
          self.assertLessEqual({'PATH', 'TMPDIR', 'TMP', 'TEMP', 'TASKFARM_SLOT'}, names)
          for prefix in ('PMI_', 'HYDI_', 'MPI', 'HYDRA_', 'UCX_', 'TASKFARM_MPI'):
            self.assertFalse([n for n in names if n.startswith(prefix)], names)

  def test_descriptors_are_closed_with_limits_and_without(self):
    task = [{'id': 'fds', 'shell': 'ls /proc/$$/fd; echo $$; '
                                   'cut -d" " -f6 /proc/$$/stat'}]
    for transport in ('inproc', 'zmq', 'mpi'):
      for flags in ((), ('--task_memory=1G', '--task_cpu_time=1h')):
        with self.subTest(transport=transport, flags=flags):
          lines = self.run_tasks(transport, task, *flags)['fds']['stdout'].split()
          self.assertEqual(lines[:3], ['0', '1', '2'])
          self.assertEqual(len(lines), 5, lines)
          self.assertEqual(lines[3], lines[4], 'it leads a session of its own')

  def test_only_listed_programs_run(self):
    bin_folder = self.path('bin')
    os.mkdir(bin_folder)
    evil = os.path.join(bin_folder, 'cat')
    with open(evil, 'w', encoding='utf-8') as file:
      file.write('#!/bin/sh\necho smuggled\n')
    os.chmod(evil, 0o755)
    tasks = [
        {'id': 'good', 'argv': ['cat'], 'stdin': 'text'},
        {'id': 'path', 'argv': ['cat'], 'stdin': 'text', 'env': {'PATH': bin_folder}},
        {'id': 'preload', 'argv': ['cat'], 'stdin': 'text', 'env': {'LD_PRELOAD': evil}},
        {'id': 'variable', 'argv': ['cat'], 'stdin': 'text', 'env': {'ANY': 'x'}},
        {'id': 'cwd', 'argv': ['cat'], 'stdin': 'text', 'cwd': bin_folder},
        {'id': 'relative', 'argv': ['./cat'], 'stdin': 'text', 'cwd': bin_folder},
        {'id': 'absolute', 'argv': [evil], 'stdin': 'text'},
        {'id': 'shell', 'shell': 'cat'},
    ]
    for transport in ('inproc', 'zmq', 'mpi'):
      with self.subTest(transport=transport):
        results = self.run_tasks(transport, tasks, '--allow_commands=cat,sort', status=1)
        for name, result in results.items():
          if name in ('good', 'cwd'):
            self.assertEqual((result['outcome'], result['stdout']), ('ok', 'text'), result)
            continue
          self.assertEqual((result['outcome'], result['exit_code'], result['stdout'],
                            result['attempts']), ('failed', 126, '', 1), result)
          self.assertIn('--allow_commands', result['error'])
          self.assertIn(result['host'], result['error'])
        self.assertIn("'/bin/sh' is refused", results['shell']['error'])

  def test_what_can_be_allowed_is_checked_at_the_start(self):
    for value, why in (('no-such-program', b"no program 'no-such-program' in PATH"),
                       ('', b'names no program'), ('cat,', b'names no program'),
                       ('./cat', b'neither a name nor an absolute path')):
      for name in ('worker', 'worker_zmq', 'master', 'chunk_sum'):
        rest = {'master': ['/dev/null'], 'chunk_sum': []}.get(name, ['--transport=zmq://[::1]:1'])
        run = self.run_to_end(processes.program(name), f'--allow_commands={value}', *rest)
        self.assertEqual(run.status, 2, run.stderr)
        self.assertIn(b'--allow_commands: ', run.stderr)
        self.assertIn(why, run.stderr)

  def test_a_program_of_the_users_runs_commands_where_it_is_its_own_master(self):
    for transport in ('inproc', 'mpi'):
      with self.subTest(transport=transport):
        run = farms.run_on(self, transport, 'greet', workers=1)
        self.assertEqual((run.status, run.stdout), (0, b'hello\n'), run.stderr)
        run = farms.run_on(self, transport, 'greet', '--allow_commands=none', workers=1)
        self.assertEqual(run.status, 1, run.stderr)

  def test_a_program_of_the_users_as_a_worker_runs_commands_only_if_told(self):
    greet = processes.program('greet')
    for flags, output in (((), b''), (('--allow_commands=cat',), b''),
                          (('--allow_commands=echo',), b'hello\n'),
                          (('--allow_commands=all',), b'hello\n')):
      with self.subTest(flags=flags):
        master = self.start_zmq_master(greet)
        worker = self.start(greet, '--worker', f'--transport={master.url}', *flags)
        self.assertEqual((master.wait(), master.stdout), (0 if output else 1, output),
                         master.stderr)
        self.assert_ok(worker)
        if not output:
          self.assertIn(b"'echo' is refused: ", master.stderr)
          self.assertIn(b'--allow_commands', master.stderr)

  def test_a_master_without_workers_says_that_the_flag_is_not_its_own(self):
    tasks = self.write('tasks.txt', 'true\n')
    run = self.run_to_end(processes.program('master'), '--transport=zmq://127.0.0.1:0',
                          '--allow_commands=cat', tasks)
    self.assertEqual(run.status, 2, run.stderr)
    self.assertIn(b'--allow_commands: is for workers', run.stderr)

  def test_every_program_shows_the_flags(self):
    for name in ('worker', 'worker_zmq', 'master', 'master_zmq', 'chunk_sum'):
      text = self.run_to_end(processes.program(name), '--help').stdout
      for flag in (b'allow_commands', b'pass_environment', b'task_memory', b'task_cpu_time'):
        self.assertIn(b'\n  --' + flag + b'  ', text)

  def test_limits_end_a_command_and_say_so(self):
    tasks = [
        {'id': 'spin', 'shell': 'while :; do :; done'},
        {'id': 'eat', 'argv': ['tail', '/dev/zero']},
        {'id': 'modest', 'shell': 'sort </dev/null'},
    ]
    for transport in ('inproc', 'zmq', 'mpi'):
      with self.subTest(transport=transport):
        results = self.run_tasks(transport, tasks, '--task_memory=100M', '--task_cpu_time=1s',
                                 status=1)
        self.assertEqual(results['modest']['outcome'], 'ok')
        self.assertEqual(results['spin']['outcome'], 'failed')
        self.assertEqual(results['spin']['error'], 'used more than --task_cpu_time=1s')
        self.assertEqual(results['eat']['outcome'], 'failed')
        self.assertIn('--task_memory', results['eat']['error'])

  def test_each_command_has_a_private_directory_that_is_gone_afterwards(self):
    outside = self.path('outside')
    os.mkdir(outside)
    self.write('outside/kept', 'text')
    temporary = self.path('tmp')
    os.mkdir(temporary)
    script = ('test -z "$(ls -A "$TMPDIR")" || exit 3; echo $TMPDIR $TMP $TEMP; stat -c %a $TMPDIR;'
              f'mkdir -p $TMPDIR/a/b; ln -s {outside} $TMPDIR/a/b/link; echo x >$TMPDIR/a/b/file;'
              'chmod 0500 $TMPDIR/a/b; ')
    tasks = [{'id': str(i), 'shell': script + 'mktemp'} for i in range(20)]
    tasks.append({'id': 'late', 'shell': script + 'sleep 100', 'timeout': 0.5})
    tasks.append({'id': 'killed', 'shell': script + 'kill -9 $$'})
    for transport in ('inproc', 'zmq', 'mpi'):
      with self.subTest(transport=transport):
        results = self.run_tasks(transport, tasks, '--slots=3', status=1,
                                 env={'TMPDIR': temporary})
        for i in range(20):
          self.assertEqual(results[str(i)]['outcome'], 'ok', results[str(i)])
        self.assertEqual(results['late']['outcome'], 'timed_out')
        self.assertEqual(results['killed']['exit_code'], 137)
        for result in results.values():
          lines = result['stdout'].splitlines()
          one, two, three = lines[0].split()
          self.assertEqual((one, one), (two, three))
          self.assertTrue(one.startswith(temporary + '/taskfarm-worker-'), one)
          self.assertEqual(lines[1], '700')
        self.assertEqual(os.listdir(temporary), [])
        self.assertEqual(os.listdir(outside), ['kept'])

  def test_what_a_killed_worker_leaves_goes_with_the_next(self):
    temporary = self.path('tmp')
    os.mkdir(temporary)
    os.mkdir(os.path.join(temporary, 'taskfarm-of-somebody'))
    # The first attempt says that it is there, and outlives its worker until the gate is gone.
    started = self.path('started')
    os.mkfifo(started)
    gate = self.write('gate', '')
    tasks = self.write('tasks.txt', f'echo x >$TMPDIR/file; test -e {gate} && echo >{started}; '
                                    f'while test -e {gate}; do sleep 0.05; done\n')
    master = self.start_zmq_master(processes.program('master'), '--lease=1s', tasks)
    first = self.start(processes.program('worker_zmq'), f'--transport={master.url}',
                       env={'TMPDIR': temporary})
    with open(started, encoding='utf-8') as pipe:
      pipe.read()
    first.kill()
    left = [name for name in os.listdir(temporary) if name != 'taskfarm-of-somebody']
    self.assertEqual(len(left), 1)
    self.assertTrue(stat.S_ISDIR(os.lstat(os.path.join(temporary, left[0])).st_mode))
    os.unlink(gate)
    second = self.start(processes.program('worker_zmq'), f'--transport={master.url}',
                        env={'TMPDIR': temporary})
    self.assert_ok(master)
    self.assert_ok(second)
    self.assertEqual(os.listdir(temporary), ['taskfarm-of-somebody'])


if __name__ == '__main__':
  unittest.main()
