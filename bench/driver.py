"""The benchmark: runs groups of measurements on every transport and prints a table.

  bazel run -c opt //bench -- [--quick] [--only=NAME,...] [--json=FILE]

bench/README.md tells how to read the table.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import shutil
import signal
import sys

from bench import (chart, granularity, idle, latency, measure, memory, payload, processes, scale,
                   table, throughput, uneven)

GROUPS = (throughput, granularity, uneven, latency, payload, memory, scale, processes, idle)


class _Parser(argparse.ArgumentParser):

  def error(self, message):
    """One line, no usage."""
    self.exit(2, f'{self.prog}: {message}; --help lists the flags\n')


def _listed(allowed):
  """A type for argparse: a list of `allowed` names, with commas."""
  def parse(text):
    names = text.split(',')
    for name in names:
      if name not in allowed:
        raise argparse.ArgumentTypeError(f'no {name!r} here, only {", ".join(allowed)}')
    return names
  return parse


def _positive(kind):
  def parse(text):
    value = kind(text)
    if not value > 0:
      raise ValueError
    return value
  parse.__name__ = f'positive {kind.__name__}'
  return parse


def _parse(arguments):
  names = [group.NAME for group in GROUPS]
  transports = {name.replace(' ', '_'): name for name in measure.TRANSPORTS}
  parser = _Parser(prog='bench', description='Measures taskfarm beside hand-written loops.',
                   epilog='Groups of measurements: ' + ', '.join(names), allow_abbrev=False)
  parser.add_argument('--quick', action='store_true', help='one short run of each: a few minutes')
  parser.add_argument('--only', type=_listed(names), default=names, metavar='NAME,...',
                      help='these groups only')
  parser.add_argument('--transports', type=_listed(list(transports)), default=list(transports),
                      metavar='NAME,...', help='these only, of: ' + ', '.join(transports))
  parser.add_argument('--runs', type=_positive(int), default=5,
                      help='how often each is measured, in turn with its raw loop; default: 5')
  parser.add_argument('--seconds', type=_positive(float),
                      help='how long about each timed run is; default: 1.5, with --quick 0.3')
  parser.add_argument('--json', metavar='FILE', help='writes all figures')
  parser.add_argument('--markdown', metavar='FILE', help='writes the table')
  parser.add_argument('--chart', metavar='FILE',
                      help='draws efficiency against task length (.svg or .png)')
  parser.add_argument('--any_build', action='store_true',
                      help='measures programs that are no release build too, for tests')
  options = parser.parse_args(arguments)
  options.transports = [transports[name] for name in options.transports]
  _check_chart(parser, options)
  for name in ('json', 'markdown', 'chart'):
    path = getattr(options, name)
    if path:
      # `bazel run` starts us elsewhere; the path is meant from where the user is.
      path = os.path.join(os.environ.get('BUILD_WORKING_DIRECTORY', ''), path)
      if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        parser.error(f'--{name}: there is no folder for {path!r}')
      setattr(options, name, path)
  return options


def _check_chart(parser, options):
  if not options.chart:
    return
  if not options.chart.endswith(('.svg', '.png')):
    parser.error(f'--chart: {options.chart!r} does not end in .svg or .png')
  if granularity.NAME not in options.only:
    parser.error(f'--chart draws what {granularity.NAME} measures, which --only leaves out')
  if not shutil.which('gnuplot'):
    parser.error('--chart wants gnuplot, which is not installed')


def _first(path, pattern):
  """What follows `pattern` and a colon in a file of /proc."""
  with open(path, encoding='utf-8') as file:
    for line in file:
      if line.startswith(pattern):
        return line.partition(':')[2].strip()
  return 'unknown'


def _machine(compiler):
  """Where this was measured."""
  memory_gib = int(_first('/proc/meminfo', 'MemTotal').split()[0]) / (1 << 20)
  return {
      'cpu': _first('/proc/cpuinfo', 'model name'),
      'cores': len(os.sched_getaffinity(0)),
      'memory_gib': round(memory_gib),
      'kernel': platform.release(),
      'compiler': compiler,
  }


def _head(machine, runs, seconds):
  date = datetime.date.today().isoformat()
  how = f'medians of {runs} runs' if runs > 1 else 'one run'
  return (f'{date}; {machine["cores"]} cores of {machine["cpu"]}, {machine["memory_gib"]} GiB, '
          f'Linux {machine["kernel"]}, GCC {machine["compiler"]}; {how} of {seconds} s each.')


def _say(text):
  """Progress, on one line of a terminal."""
  if sys.stderr.isatty():
    print(f'\r\x1b[K{text}', end='', file=sys.stderr, flush=True)
  else:
    print(text, file=sys.stderr, flush=True)


def _write(path, text):
  with open(path, 'w', encoding='utf-8') as file:
    file.write(text)


def measure_all(context, groups):
  """(rows, what went wrong)."""
  rows = []
  failures = []
  for group in groups:
    context.say(f'{group.NAME}:')
    try:
      rows += group.measure(context)
    except measure.MeasureError as error:
      failures.append(f'{group.NAME} failed: {error}')
  context.say('')
  return rows, failures


def run(options, groups):
  """Measures, prints and writes what was asked for; the exit status."""
  context = measure.Context(
      os.path.dirname(os.path.dirname(os.path.abspath(measure.__file__))), runs=options.runs,
      quick=options.quick, seconds=options.seconds, transports=options.transports,
      any_build=options.any_build, say=_say)
  rows, failures = measure_all(context, groups)
  machine = _machine(context.compiler)
  head = _head(machine, context.runs, context.seconds)
  print(f'{head}\n\n{table.as_text(rows)}\n{table.goals_line(rows)}')
  if options.json:
    everything = {'machine': machine, 'runs': context.runs, 'seconds': context.seconds,
                  'rows': [dataclasses.asdict(row) for row in rows], 'failures': failures}
    _write(options.json, json.dumps(everything, indent=2) + '\n')
  if options.markdown:
    _write(options.markdown, table.as_markdown(rows, head))
  if options.chart and not chart.draw(rows, options.chart):
    failures.append('--chart: nothing to draw')
  for failure in failures:
    print(f'\nbench: {failure}', file=sys.stderr)
  return 1 if failures else 0


def main(arguments):
  options = _parse(arguments)
  measure.become_reaper()
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    return run(options, [group for group in GROUPS if group.NAME in options.only])
  except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    measure.end_descendants()
    print('\nbench: interrupted', file=sys.stderr)
    return 130


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
