# SPDX-License-Identifier: Apache-2.0
"""Of what is made of the numbers: JSON that can be read again, ratios, goals, the table, gnuplot's input."""
import json
import unittest

import pairs
import plots
import report
import spread
import variants


def result():
	numbers = {"http_rate": ("requests a second", "/s", True)}
	values = {"http_rate": {"direct": [100, 200, 400], "fairdial": [99, 200, 396], "haproxy": [50, 100, 200]}}
	dials = {"dial_p50": ("connect(), median", "us", False), "answer_p50": ("first answer", "us", False)}
	dial_values = {"dial_p50": {"direct": [10, 10], "iptables": [20, 22], "fairdial": [10, 33]},
		       "answer_p50": {"direct": [30, 30], "iptables": [40, 40], "fairdial": [30, 30]}}
	made = {"machine": {"processor": "one", "processors": 2, "kernel": "6"}, "settings": {"rounds": 3, "services": 5000},
		"troubles": {"nginx": "is not here"},
		"titles": {"direct": "a pod", "iptables": "rules", "haproxy": "HAProxy, TCP", "fairdial": "fairdial"},
		"parts": {"http": report.part("HTTP", numbers, values), "dial": report.part("dials", dials, dial_values)},
		"pairs": [pairs.row("HTTP", [100, 100, 100], [99, 99, 99], [100, 102, 98])],
		"evenness": [spread.row("2 clients of one pod on 5 servers", 2, 5, way, trials) for way, trials in (
			("iptables", [[2, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 2, 0, 0, 0]]), ("fairdial", [[1, 1, 0, 0, 0]]))],
		"change": [{"way": "fairdial", "title": "fairdial", "unit": "ms", "values": [1, 2], "median": 1, "low": 1,
			    "high": 2, "p99": 2},
			   {"way": "nft", "title": "nft", "trouble": "no nft"}]}
	made["goals"] = report.goals(made)
	return made


class Report(unittest.TestCase):
	def test_ratios_are_to_direct_in_the_same_round(self):
		of = result()["parts"]["http"]["numbers"]["http_rate"]["variants"]
		self.assertEqual(of["fairdial"]["ratio"], {"median": 0.99, "low": 0.99, "high": 1.0})
		self.assertEqual(of["haproxy"]["ratio"]["median"], 0.5)

	def test_a_pair_is_by_the_mean_of_the_direct_turns_beside_it(self):
		found = result()["pairs"][0]
		self.assertEqual((found["fairdial"]["median"], found["itself"]["median"], found["rounds"]), (0.99, 1.0, 3))
		self.assertEqual((found["itself"]["low"], found["itself"]["high"]), (0.98, 1.02))

	def test_a_load_that_could_not_be_measured_has_no_pair(self):
		ways = {"direct": variants.Variant("direct", "", None, {}), "fairdial": variants.Variant("fairdial", "", None, {})}
		self.assertEqual(pairs.measure(None, ways, {}, {}, self.fail, self.fail), [])

	def test_goals_are_met_or_missed_by_their_numbers(self):
		found = {of["what"]: of for of in result()["goals"]}
		self.assertTrue(found["HTTP over long-lived connections, ratio to direct"]["met"])
		self.assertFalse(found["connect(), median, ratio to kube-proxy's rules"]["met"])
		self.assertTrue(found["first answer, ratio to kube-proxy's rules"]["met"])
		self.assertEqual(found["2 clients of one pod on 5 servers, max - min (at random 2)"]["value"], 1)
		self.assertEqual(len(found), 4)

	def test_it_is_json_and_the_same_again(self):
		made = result()
		self.assertEqual(json.loads(json.dumps(made)), made)

	def test_the_table_tells_all_of_it(self):
		text = report.text(result())
		for part in ("fairdial / HAProxy", "2.000", "nft", "not measured: no nft", "nginx: is not here", "missed",
			     "direct / direct 1.000 (0.980 to 1.020)",
			     "median   2, most   2 of  3"):
			self.assertIn(part, text)
		self.assertLessEqual(max(map(len, text.splitlines())), 132)

	def test_pictures_have_a_column_for_each_number_that_is_there(self):
		made = plots.pictures(result())
		self.assertEqual(sorted(made), ["change", "dials", "evenness", "rates"])
		self.assertIn('"direct" 10 10 10 30 30 30', made["dials"])
		self.assertIn('"haproxy" 0.5 0.5 0.5', made["rates"])
		self.assertIn('"haproxy" NaN NaN NaN', made["dials"])


if __name__ == "__main__":
	unittest.main()
