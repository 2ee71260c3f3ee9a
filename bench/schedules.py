"""When the last of some tasks of known length can be over, on workers that cost nothing."""

import heapq


def lower_bound(lengths, workers):
  """No schedule is shorter."""
  return max(sum(lengths) / workers, max(lengths))


def in_order(lengths, workers):
  """Each task goes, in the order given, to the worker that is free first: the best that a farm can
  do that does not know the lengths."""
  free_at = [0] * workers
  for length in lengths:
    heapq.heapreplace(free_at, free_at[0] + length)
  return max(free_at)


def longest_first(lengths, workers):
  """The same, the longest tasks first: at most 4/3 of the best, with many tasks next to none."""
  return in_order(sorted(lengths, reverse=True), workers)
