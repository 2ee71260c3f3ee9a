"""Memory of a real master: of tasks that wait, and of results that were delivered."""

from bench.measure import INPROC, at_most, make_row

NAME = 'memory'

_MEBIBYTE = 1 << 20


def measure(context):
  """Queues 1 M tasks: a queue takes 2^20 before Submit waits. scale.py queues 10 M in a master."""
  if not context.wanted(INPROC):
    return []
  queued = _measure(context, 'queued', 1_000_000)
  results, name = (1_000_000, '1 M') if context.quick else (10_000_000, '10 M')
  flow = _measure(context, 'flow', results)
  return [
      make_row('memory, 1 M tasks queued', INPROC, 'bytes/task',
               queued.spread(lambda report: report['queued_bytes'] / report['tasks']),
               goal=at_most(160)),
      make_row(f'memory grown by {name} results', INPROC, 'MiB', flow.spread(_growth),
               goal=at_most(8)),
  ]


def _measure(context, mode, tasks):
  name = f'{mode}, {tasks} tasks'
  return context.alternate({name: lambda: context.launch(
      INPROC, 'memory_probe', f'--mode={mode}', f'--tasks={tasks}')})[name]


def _growth(report):
  """From when a tenth of the results were delivered to when it was most."""
  return (report['most_bytes'] - report['after_a_tenth_bytes']) / _MEBIBYTE
