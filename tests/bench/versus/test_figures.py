# SPDX-License-Identifier: Apache-2.0
"""Of the arithmetic: python3 -m unittest discover tests/bench/versus (make bench BENCH=versus QUICK=1)."""
import unittest

import figures


class Figures(unittest.TestCase):
	def test_a_summary_is_made_of_values_that_occurred(self):
		self.assertEqual(figures.summary([9, 1, 5, 3, 7]), {"median": 5, "low": 3, "high": 7})
		self.assertEqual(figures.summary([4]), {"median": 4, "low": 4, "high": 4})

	def test_a_percentile_is_not_exceeded_by_that_many(self):
		values = list(range(1, 101))
		self.assertEqual([figures.percentile(values, percent) for percent in (50, 99, 100)], [50, 99, 100])
		self.assertEqual(figures.percentile([7], 99), 7)
		self.assertEqual(figures.percentile([3, 1, 2], 1), 1)

	def test_an_interval_is_narrower_than_all_and_no_wider_than_there_is(self):
		self.assertEqual(figures.interval(list(range(101))), {"median": 50, "low": 40, "high": 60})
		self.assertEqual(figures.interval([3]), {"median": 3, "low": 3, "high": 3})

	def test_ratios_are_taken_round_by_round(self):
		self.assertEqual(figures.ratios([10, 40], [20, 20]), [0.5, 2])
		self.assertEqual(figures.ratios([0, 5], [0, 5]), [1])

	def test_evenness_is_between_the_busiest_and_the_idlest(self):
		even, not_even = figures.evenness([7, 7, 8]), figures.evenness([0, 2, 4])
		self.assertEqual((even["spread"], even["idle"]), (1, 0))
		self.assertEqual([not_even[of] for of in ("least", "most", "spread", "idle", "mean")], [0, 4, 4, 1, 2])
		self.assertAlmostEqual(not_even["deviation"], (8 / 3) ** 0.5)


if __name__ == "__main__":
	unittest.main()
