"""Uneven tasks: jobs of 40 tasks of exponentially distributed lengths on two workers.

What counts is when the last task is over, beside what no schedule can be better than. `raw` is the
best schedule of a farm that does not know the lengths and costs nothing.
"""

import random

from bench.measure import (INPROC, MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP, Spread, at_most,
                           make_row)
from bench.schedules import in_order, lower_bound

NAME = 'uneven'

_WORKERS = 2
_TASKS = 20 * _WORKERS
_MEAN_NS = 1e6
_JOBS = 10
_SEED = 2026


def measure(context):
  jobs = _draw_jobs()
  best_ns = sum(lower_bound(job, _WORKERS) for job in jobs)
  in_order_ratio = sum(in_order(job, _WORKERS) for job in jobs) / best_ns
  lengths = ','.join(str(length) for job in jobs for length in job)
  flags = ['--mode=uneven', f'--job_tasks={_TASKS}', f'--lengths_ns={lengths}']

  def ratio(report):
    return sum(report['makespans_ns']) / report['slowness'] / best_ns

  rows = []
  for transport in context.wanted(INPROC, ZMQ_TCP, ZMQ_IPC, MPI_FAST, MPI_TOLERANT):
    runs = context.alternate({
        f'{transport}, uneven': lambda: context.launch(transport, 'load_probe', *flags,
                                                       workers=_WORKERS)})
    farm, = runs.values()
    rows.append(make_row('uneven tasks; raw: in order, at no cost', transport, 'of best',
                         farm.spread(ratio), Spread(in_order_ratio, in_order_ratio, in_order_ratio),
                         at_most(1.03)))
  return rows


def _draw_jobs():
  """Lists of lengths in nanoseconds, always the same."""
  draw = random.Random(_SEED)
  return [[round(draw.expovariate(1 / _MEAN_NS)) for _ in range(_TASKS)] for _ in range(_JOBS)]
