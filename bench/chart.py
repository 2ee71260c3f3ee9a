"""The chart of efficiency against task length, drawn by gnuplot."""

import subprocess

from bench.granularity import curves
from bench.measure import INPROC, MPI_FAST, MPI_TOLERANT, ZMQ_IPC, ZMQ_TCP

# Colours that people with any sight can tell apart (Okabe and Ito).
_COLOURS = {INPROC: '#000000', ZMQ_TCP: '#D55E00', ZMQ_IPC: '#E69F00', MPI_FAST: '#0072B2',
            MPI_TOLERANT: '#56B4E9'}

_HEADER = """
set output '{path}'
set encoding utf8
set title 'taskfarm: a master and two workers on two cores'
set xlabel 'length of a task'
set ylabel 'share of the core time that is useful work'
set logscale x
set xrange [1:10000]
set xtics ('1 µs' 1, '10 µs' 10, '100 µs' 100, '1 ms' 1000, '10 ms' 10000)
set mxtics 10
set yrange [0:1]
set ytics 0.1
set grid xtics ytics linecolor '#dddddd' linetype 1
set key outside right center vertical Left reverse samplen 3 spacing 1.3
"""
_TERMINALS = {'.svg': "set terminal svg size 900,520 font 'sans,14' background 'white'",
              '.png': "set terminal pngcairo size 900,520 font 'sans,11' background 'white'"}


def draw(rows, path):
  """Writes the chart of what granularity has measured to `path`, which ends in .svg or .png.

  Returns whether there was anything to draw.
  """
  points = curves(rows)
  if points:
    subprocess.run(['gnuplot'], input=_script(points, path), text=True, check=True)
  return bool(points)


def _script(points, path):
  data, lines = [], []
  for transport, colour in _COLOURS.items():
    if transport not in points:
      continue
    block = f'$points_{len(data)}'
    rows = '\n'.join(f'{length} {farm} {raw}' for length, farm, raw in points[transport])
    data.append(f'{block} << END\n{rows}\nEND\n')
    lines.append(f"{block} using 1:2 with linespoints pointtype 7 pointsize 0.5 linewidth 2 "
                 f"linecolor '{colour}' title '{transport}'")
    lines.append(f"{block} using 1:3 with lines dashtype 2 linewidth 1.5 linecolor '{colour}' "
                 "notitle")
  lines.append("NaN with lines linewidth 2 linecolor '#888888' title 'taskfarm'")
  lines.append("NaN with lines dashtype 2 linewidth 1.5 linecolor '#888888' title 'by hand'")
  return ''.join([_TERMINALS[path[-4:]], _HEADER.format(path=path), *data,
                  'plot ' + ', \\\n  '.join(lines) + '\n'])
