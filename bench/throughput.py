"""Throughput: 8-byte tasks through one worker with one slot, beside 32 single-task messages.

Every task is submitted, executed, and its result taken by the program.
"""

import tempfile

from bench.measure import (INPROC, MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP, ZMQ_TCP_PLAIN,
                           at_least, at_least_of_raw, at_most, cpu_us_per_task, make_row,
                           tasks_per_second)

NAME = 'throughput'

_GOALS = {
    INPROC: at_least(1e6),
    ZMQ_TCP: at_least_of_raw(2),
    ZMQ_TCP_PLAIN: at_least_of_raw(2),
    ZMQ_IPC: None,
    MPI_FAST: at_least(1e6),
    MPI_TOLERANT: at_least_of_raw(3),
}
_JOURNAL_GOAL = at_least_of_raw(0.6)
_CPU_GOAL = at_most(2)


def measure(context):
  flags = ['--mode=throughput', f'--seconds={context.seconds}']
  rows = []
  for transport in context.wanted(*_GOALS):
    farm, raw = context.beside_raw(transport, *flags)
    rows.append(make_row('throughput', transport, 'tasks/s', farm.spread(tasks_per_second),
                         raw.spread(tasks_per_second), _GOALS[transport]))
    rows.append(make_row('CPU, all processes', transport, 'us/task',
                         farm.spread(cpu_us_per_task), raw.spread(cpu_us_per_task), _CPU_GOAL))
  for transport in context.wanted(INPROC, ZMQ_TCP):
    rows += _measure_journal(context, transport, flags)
  return rows


def _measure_journal(context, transport, flags):
  def with_journal():
    with tempfile.TemporaryDirectory(prefix='taskfarm_bench_', dir='/tmp') as folder:
      return context.launch(transport, 'probe', *flags, f'--journal={folder}/journal')

  runs = context.alternate({
      f'{transport}, with --journal': with_journal,
      f'{transport}, without': lambda: context.launch(transport, 'probe', *flags),
  })
  journal, without = runs.values()
  return [make_row('with --journal; raw: without', transport, 'tasks/s',
                   journal.spread(tasks_per_second), without.spread(tasks_per_second),
                   _JOURNAL_GOAL)]
