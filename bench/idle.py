"""Idle: what a master and a worker use while there is nothing to do, and how soon they answer."""

import statistics

from bench.measure import (INPROC, MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP, Spread, at_most,
                           make_row)

NAME = 'idle'

# Percent of a core, of both together.
_GOALS = {INPROC: None, ZMQ_TCP: at_most(1), ZMQ_IPC: at_most(1), MPI_FAST: at_most(2),
          MPI_TOLERANT: at_most(2)}


def measure(context):
  seconds = 2 if context.quick else 10
  rows = []
  for transport in context.wanted(*_GOALS):
    context.say(f'{transport}, idle for {seconds} s')
    report = context.launch(transport, 'load_probe', '--mode=idle', f'--idle_seconds={seconds}',
                            f'--short_idle_seconds={seconds / 10}')
    rows.append(make_row('idle, master and worker', transport, '% of a core',
                         _once(100 * report['idle_cpu']), goal=_GOALS[transport]))
    answers_ms = [answer / 1e6 for answer in report['answers_ns']]
    rows.append(make_row('first task after it', transport, 'ms',
                         Spread(statistics.median(answers_ms), min(answers_ms), max(answers_ms)),
                         goal=at_most(3)))
  return rows


def _once(value):
  return Spread(value, value, value)
