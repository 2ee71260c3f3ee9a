"""Memory of a real master: of tasks that wait, and of results that were delivered."""

from bench.measure import INPROC, at_most, make_row

NAME = 'memory'

_MEBIBYTE = 1 << 20


def measure(context):
  if not context.wanted(INPROC):
    return []
  sizes = {'1 M': 1_000_000} if context.quick else {'1 M': 1_000_000, '10 M': 10_000_000}
  rows = []
  for name, tasks in sizes.items():
    queued = _measure(context, 'queued', tasks)
    rows.append(make_row(f'memory, {name} tasks queued', INPROC, 'bytes/task',
                         queued.spread(lambda report: report['queued_bytes'] / report['tasks']),
                         goal=at_most(160)))
  name, tasks = list(sizes.items())[-1]
  flow = _measure(context, 'flow', tasks)
  rows.append(make_row(f'memory grown by {name} results', INPROC, 'MiB', flow.spread(_growth),
                       goal=at_most(8)))
  return rows


def _measure(context, mode, tasks):
  name = f'{mode}, {tasks} tasks'
  return context.alternate({name: lambda: context.launch(
      INPROC, 'memory_probe', f'--mode={mode}', f'--tasks={tasks}')})[name]


def _growth(report):
  """From when a tenth of the results were delivered to when it was most."""
  return (report['most_bytes'] - report['after_a_tenth_bytes']) / _MEBIBYTE
