"""Payload: 1 MiB in and 1 MiB out, beside a raw loop that copies nothing; memory for large ones.

The user's requests and replies are bytes (absl::Cord); for comparison, messages with a field of
bytes.
"""

from bench.measure import (MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP, ZMQ_TCP_PLAIN,
                           at_least_of_raw, at_most, make_row, single)

NAME = 'payload'

_BYTES = 1 << 20
_LARGE_BYTES = 256 << 20

_GOALS = {
    ZMQ_TCP: at_least_of_raw(0.8),
    ZMQ_TCP_PLAIN: at_least_of_raw(0.8),
    ZMQ_IPC: at_least_of_raw(0.8),
    MPI_FAST: at_least_of_raw(0.7),
    MPI_TOLERANT: None,
}
_MEMORY_GOAL = at_most(3)


def _gib_per_second(report):
  # Both ways.
  return 2 * _BYTES * report['tasks'] / (1 << 30) / (report['wall_ns'] / 1e9)


def measure(context):
  flags = ['--mode=payload', f'--bytes={_BYTES}', f'--seconds={context.seconds}']
  rows = []
  for transport in context.wanted(*_GOALS):
    runs = context.alternate({
        f'{transport}, bytes': lambda: context.launch(transport, 'probe', *flags),
        f'{transport}, messages': lambda: context.launch(transport, 'probe', '--messages', *flags),
        f'{transport}, raw': lambda: context.launch_raw(transport, *flags),
    })
    bytes_, messages, raw = [runs_of.spread(_gib_per_second) for runs_of in runs.values()]
    rows.append(make_row('1 MiB in and out', transport, 'GiB/s', bytes_, raw, _GOALS[transport]))
    rows.append(make_row('1 MiB in and out, in messages', transport, 'GiB/s', messages, raw))
  for transport in context.wanted(ZMQ_TCP, ZMQ_IPC, MPI_FAST):
    rows += _measure_memory(context, transport)
  return rows


def _measure_memory(context, transport):
  """What one task with a large payload after the other needs; no matter of luck, so one run."""
  context.say(f'{transport}, 256 MiB')
  report = context.launch(transport, 'probe', '--mode=memory', f'--bytes={_LARGE_BYTES}',
                          '--tasks=2')
  rows = []
  for whose in ('master', 'worker'):
    peak = single(report[f'{whose}_peak_bytes'] / _LARGE_BYTES)
    rows.append(make_row(f'peak memory of the {whose}, 256 MiB', transport, 'x payload', peak,
                         goal=_MEMORY_GOAL))
  return rows
