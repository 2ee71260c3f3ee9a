"""How much of the machine's core time is useful work, and from which task length on enough is."""

import math

CORES = 2


def useful_share(report):
  """Of the time of all cores, that which tasks needed by themselves."""
  return report['useful_ns'] / (CORES * report['wall_ns'])


def shortest_efficient(shares, wanted=0.5):
  """METG: the task length from which on at least `wanted` of the core time is useful.

  `shares` is {length: share}. Between two lengths the share is taken to be linear in the logarithm
  of the length. The shortest length, if all of them are efficient; the longest, if not even that
  one is.
  """
  lengths = sorted(shares)
  inefficient = [length for length in lengths if shares[length] < wanted]
  if not inefficient:
    return lengths[0]
  below = inefficient[-1]
  if below == lengths[-1]:
    return below
  above = lengths[lengths.index(below) + 1]
  way = (wanted - shares[below]) / (shares[above] - shares[below])
  return math.exp(math.log(below) + way * (math.log(above) - math.log(below)))
