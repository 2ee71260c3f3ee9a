"""Scale: what many workers and many waiting tasks cost the master, in processor time and memory.

The real master over simulated workers (bench/scaling), so there is no raw loop: in its place stands
the same farm with few workers, or few tasks. Processor time is the master's share of the program's,
which stands for the workers too.
"""

from bench.measure import Spread, at_least, at_most, at_most_of_raw, make_row

NAME = 'scale'

_TRANSPORT = 'simulated'
_FEW_WORKERS = 10
_FEW_TASKS = 1000
_MEMORY_GOAL = at_most(160)


def measure(context):
  many = (10_000,) if context.quick else (100, 1000, 10_000)
  return [
      *(_workers(context, workers, slots) for slots in (1, 16) for workers in many),
      _queue(context),
      *_joining(context),
      *_memory(context),
  ]


def _master_ns_per_task(report):
  """The master's share of the processor time that the program took."""
  master = report['master_ns'] + report['submit_ns']
  return (report['cpu_ns'] * master / (master + report['simulated_workers_ns'])) / report['tasks']


def _run(context, *flags):
  return context.run(context.program('bench/scaling/scale'), *flags)


def _compare(context, name, more, few):
  tasks = 200_000 if context.quick else 1_000_000
  runs = context.alternate({
      f'{name}: more': lambda: _run(context, f'--tasks={tasks}', *more),
      f'{name}: few': lambda: _run(context, f'--tasks={tasks}', *few)})
  of_more, of_few = (one.spread(_master_ns_per_task) for one in runs.values())
  return make_row(name, _TRANSPORT, 'CPU ns/task', of_more, of_few, at_most_of_raw(1.5))


def _workers(context, workers, slots):
  return _compare(context, f'{workers:,} workers x {slots}; raw: {_FEW_WORKERS}',
                  [f'--workers={workers}', f'--slots={slots}'],
                  [f'--workers={_FEW_WORKERS}', f'--slots={slots}'])


def _queue(context):
  tasks = 1_000_000 if context.quick else 10_000_000
  return _compare(context, f'{tasks:,} tasks wait; raw: {_FEW_TASKS:,}', [f'--queued={tasks}'],
                  [f'--queued={_FEW_TASKS}'])


def _joining(context):
  workers = 10_000 if context.quick else 100_000
  runs = context.alternate({'join': lambda: _run(context, f'--join={workers}')})['join']
  name = f'{workers:,} workers join within 1 s'
  return [
      make_row(f'{name}: are given a task', _TRANSPORT, 'workers',
               runs.spread(lambda report: report['served']), goal=at_least(workers)),
      make_row(f'{name}: master', _TRANSPORT, 'CPU us/worker',
               runs.spread(lambda report: report['master_ns'] / 1e3 / workers)),
  ]


def _memory(context):
  """Once each: it is long, and the same every time."""
  tasks = 1_000_000 if context.quick else 10_000_000
  for through in ('inbox', 'map', 'future'):
    context.say(f'memory, {through}')
    report = context.run(context.program('bench/scaling/memory'), f'--tasks={tasks}',
                         f'--through={through}')
    most = max(one['bytes_a_task'] for one in report['rounds'])
    yield make_row(f'{tasks:,} tasks wait, by {through}', _TRANSPORT, 'bytes/task',
                   Spread(most, most, most), goal=_MEMORY_GOAL)
