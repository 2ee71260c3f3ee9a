"""Latency: from Submit to the result in hand, one task at a time, beside the raw round trip."""

from bench.measure import (INPROC, MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP, ZMQ_TCP_PLAIN,
                           at_most, at_most_of_raw, make_row)

NAME = 'latency'

_GOALS = {
    INPROC: None,
    ZMQ_TCP: at_most_of_raw(1.5),
    ZMQ_TCP_PLAIN: at_most_of_raw(1.5),
    ZMQ_IPC: at_most_of_raw(1.5),
    MPI_FAST: at_most(15),
    MPI_TOLERANT: None,
}


def _p50_us(report):
  return report['p50_ns'] / 1e3


def _p99_us(report):
  return report['p99_ns'] / 1e3


def measure(context):
  flags = ['--mode=latency', f'--seconds={context.seconds}']
  rows = []
  for transport in context.wanted(*_GOALS):
    farm, raw = context.beside_raw(transport, *flags)
    rows.append(make_row('latency, p50', transport, 'us', farm.spread(_p50_us),
                         raw.spread(_p50_us), _GOALS[transport]))
    rows.append(make_row('latency, p99', transport, 'us', farm.spread(_p99_us),
                         raw.spread(_p99_us)))
  return rows
