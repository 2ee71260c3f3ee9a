"""Processes: commands from a file beside posix_spawn, and functions in processes of their own."""

import json
import os
import resource
import subprocess
import tempfile
import time

from bench.measure import (INPROC, ZMQ_IPC, MeasureError, at_least_of_raw, at_most,
                           cpu_us_per_task, make_row, tasks_per_second)

NAME = 'processes'

_SLOTS = 2


def measure(context):
  rows = []
  if context.wanted(INPROC):
    rows.append(_measure_commands(context, 'true, a shell command', 'true\n',
                                  ['/bin/sh', '-c', 'true']))
  tasks = 3000 if context.quick else 30000
  for transport in context.wanted(INPROC, ZMQ_IPC):
    runs = context.alternate({
        f'{transport}, --isolation=process': lambda: context.launch(
            transport, 'load_probe', '--mode=isolated', f'--tasks={tasks}',
            worker_flags=['--isolation=process'])})
    farm, = runs.values()
    rows.append(make_row('empty function, --isolation=process', transport, 'us CPU/task',
                         farm.spread(cpu_us_per_task), goal=at_most(15)))
  return rows


def _measure_commands(context, name, line, command):
  tasks = 1000 if context.quick else 4000
  runs = context.alternate({
      'commands of a file': lambda: _run_master(context, tasks, line),
      'posix_spawn': lambda: context.run(context.program('raw_spawn'), f'--tasks={tasks}',
                                         f'--at_a_time={_SLOTS}', '--', *command),
  })
  farm, raw = runs.values()
  return make_row(name, INPROC, 'tasks/s', farm.spread(tasks_per_second),
                  raw.spread(tasks_per_second), at_least_of_raw(0.9))


def _run_master(context, tasks, line):
  """Runs `line` so often as a user would, the start of //master included; a report like others."""
  with tempfile.TemporaryDirectory(prefix='taskfarm_bench_', dir='/tmp') as folder:
    task_file, results = os.path.join(folder, 'tasks.txt'), os.path.join(folder, 'results')
    with open(task_file, 'w', encoding='utf-8') as file:
      file.write(line * tasks)
    command = [context.program('master/master'), f'--slots={_SLOTS}', f'--results={results}',
               task_file]
    cpu_before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic_ns()
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, timeout=100, check=False)
    wall_ns = time.monotonic_ns() - start
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode != 0:
      raise MeasureError(f'{command}: exit status {ended.returncode}\n{ended.stderr.decode()}')
    with open(results, encoding='utf-8') as file:
      ok = sum(json.loads(result)['outcome'] == 'ok' for result in file)
  if ok != tasks:
    raise MeasureError(f'{command}: {ok} of {tasks} tasks were ok')
  return {'tasks': tasks, 'wall_ns': wall_ns,
          'cpu_ns': round((cpu.ru_utime + cpu.ru_stime - cpu_before.ru_utime - cpu_before.ru_stime)
                          * 1e9)}
