# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of what was measured: medians and quartiles, ratios taken turn by turn, and how even a spread is. Pure."""
import math


def summary(values):
	"""Median and quartiles, each a value that occurred, as tests/bench/stats.c takes them."""
	ordered = sorted(values)
	n = len(ordered)
	return {"median": ordered[n // 2], "low": ordered[n // 4], "high": ordered[n - 1 - n // 4]}


def percentile(values, percent):
	"""The smallest value that so many percent of them do not exceed."""
	ordered = sorted(values)
	return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def interval(values):
	"""The median, and between which values that of all turns lies, with a chance of 95 in 100 (order statistics, normal limit)."""
	ordered = sorted(values)
	n = len(ordered)
	reach = math.ceil(0.98 * math.sqrt(n))
	return {"median": ordered[n // 2], "low": ordered[max(0, n // 2 - reach)], "high": ordered[min(n - 1, n // 2 + reach)]}


def ratios(values, base):
	"""Each turn by the base's of the same round: what the machine did meanwhile met both."""
	return [value / of for value, of in zip(values, base) if of]


def evenness(counts):
	"""Of connections by server."""
	mean = sum(counts) / len(counts)
	deviation = math.sqrt(sum((count - mean) ** 2 for count in counts) / len(counts))
	return {"least": min(counts), "most": max(counts), "spread": max(counts) - min(counts), "mean": mean,
		"deviation": deviation, "idle": sum(1 for count in counts if count == 0)}
