"""Rows as a table, for a terminal and for Markdown."""

from bench.measure import number

_HEADS = ('measurement', 'transport', 'median [min max]', 'raw loop', 'to raw', 'goal', 'reached')


def _cells(row):
  spread = f'{number(row.value)} {row.unit}'
  if row.low != row.high:
    spread += f' [{number(row.low)} {number(row.high)}]'
  return (row.name, row.transport, spread,
          '' if row.raw_value is None else number(row.raw_value),
          '' if row.ratio_to_raw is None else f'{row.ratio_to_raw:.2f}',
          row.goal, {None: '', True: 'yes', False: 'NO'}[row.reached])


def as_text(rows):
  lines = [_HEADS] + [_cells(row) for row in rows]
  widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADS))]
  lines.insert(1, tuple('-' * width for width in widths))
  return ''.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + '\n'
                 for line in lines)


def as_markdown(rows, head):
  """`head`: the line above the table."""
  lines = [_HEADS, len(_HEADS) * ('---',)] + [_cells(row) for row in rows]
  return head + '\n\n' + ''.join('| ' + ' | '.join(line) + ' |\n' for line in lines)


def goals_line(rows):
  judged = [row for row in rows if row.reached is not None]
  return f'{sum(row.reached for row in judged)} of {len(judged)} goals reached'
