"""Granularity: how short tasks may be for most of the machine's core time to be useful work.

A master and two workers of one slot, on two cores; beside hand-written loops with 32 single-task
messages outstanding to each of two workers. The tasks' work is counted (busy_work.h).
"""

import statistics
import tempfile

from bench.efficiency import CORES, shortest_efficient, useful_share
from bench.measure import (INPROC, MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP, Spread, at_least,
                           at_most, make_row)

NAME = 'granularity'

WORKERS = 2
_LENGTHS_US = (1, 2, 4, 8, 16, 32, 100, 1000, 10000)
_QUICK_LENGTHS_US = (2, 8, 32, 100, 1000)
_SHORTEST_US = {INPROC: 4, ZMQ_TCP: 8, ZMQ_IPC: 8, MPI_FAST: 4, MPI_TOLERANT: 8}
_SHARES = {100: at_least(0.95), 1000: at_least(0.98)}

# What a task may cost beside its work, to tell how many of them take how long.
_COST_US = 3

_SHARE_NAME = 'useful share, tasks of {} us'


def measure(context):
  lengths_us = _QUICK_LENGTHS_US if context.quick else _LENGTHS_US
  rows = []
  for transport in context.wanted(*_SHORTEST_US):
    farm, raw = {}, {}
    for length_us in lengths_us:
      flags = _flags(length_us, context.seconds / 3)
      runs = context.alternate({
          f'{transport}, {length_us} us': lambda: context.launch(
              transport, 'load_probe', '--mode=granularity', *flags, workers=WORKERS),
          f'{transport}, {length_us} us, raw': lambda: _launch_raw(context, transport, flags),
      })
      farm[length_us], raw[length_us] = runs.values()
    rows.append(make_row('METG(50 %)', transport, 'us', _shortest(farm), _shortest(raw),
                         at_most(_SHORTEST_US[transport])))
    rows += [make_row(_SHARE_NAME.format(length_us), transport, 'of 1',
                      farm[length_us].spread(useful_share), raw[length_us].spread(useful_share),
                      _SHARES.get(length_us))
             for length_us in lengths_us]
  return rows


def curves(rows):
  """{transport: [(task length in us, share of taskfarm, share of the raw loop)]} of the rows."""
  lengths_us = {_SHARE_NAME.format(length_us): length_us
                for length_us in {*_LENGTHS_US, *_QUICK_LENGTHS_US}}
  found = {}
  for row in rows:
    if row.name in lengths_us:
      point = (lengths_us[row.name], row.value, row.raw_value)
      found.setdefault(row.transport, []).append(point)
  return found


def _flags(length_us, seconds):
  tasks = CORES * seconds * 1e6 / (length_us + _COST_US)
  # An even number, so that both workers can end together.
  return [f'--tasks={max(20, round(tasks / 2) * 2)}', f'--length_ns={length_us * 1000}']


def _launch_raw(context, transport, flags):
  if transport == INPROC:
    return context.run(context.program('raw_load_inproc'), *flags)
  if transport == ZMQ_TCP:
    return context.run(context.program('raw_load_zmq'), '--encrypt', *flags)
  if transport == ZMQ_IPC:
    with tempfile.TemporaryDirectory(prefix='taskfarm_bench_', dir='/tmp') as folder:
      return context.run(context.program('raw_load_zmq'), f'--endpoint=ipc://{folder}/socket',
                         *flags)
  ranks = ['-n', str(WORKERS + 1), context.program('raw_load_mpi')]
  if transport == MPI_FAST:
    return context.run('mpiexec.hydra', *ranks, *flags)
  return context.run('mpiexec.hydra', '-disable-auto-cleanup', '-genv', 'UCX_TLS', 'tcp,self',
                     *ranks, '--skip_finalize', *flags)


def _shortest(runs_of_length):
  """The shortest efficient length, of each run by itself."""
  runs = len(next(iter(runs_of_length.values())).reports)
  found = [shortest_efficient({length_us: useful_share(of_length.reports[run])
                               for length_us, of_length in runs_of_length.items()})
           for run in range(runs)]
  return Spread(statistics.median(found), min(found), max(found))
