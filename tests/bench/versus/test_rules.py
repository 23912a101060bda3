# SPDX-License-Identifier: Apache-2.0
"""Of the rules' text: what is chosen how often, and that all that is jumped to is there."""
import re
import unittest

import rules

WEB = ("shop/web", ("10.96.0.5", 80), [("10.244.0.%d" % i, 8080) for i in range(11, 16)])


class Rules(unittest.TestCase):
	def test_each_endpoint_has_the_same_chance(self):
		left, shares = 1.0, []
		_, lines = rules.service_chains(*WEB)
		for line in lines:
			if "-j KUBE-SEP-" in line:
				found = re.search(r"--probability ([\d.]+)", line)
				chance = float(found[1]) if found else 1.0
				shares.append(left * chance)
				left *= 1 - chance
		self.assertEqual(len(shares), 5)
		for share in shares:
			self.assertAlmostEqual(share, 0.2, places=6)

	def test_every_endpoint_has_a_chain_that_leads_to_it(self):
		names, lines = rules.service_chains(*WEB)
		for endpoint in WEB[2]:
			leap = rules.chain("SEP", WEB[0], *endpoint)
			self.assertIn(leap, names)
			self.assertTrue(any(line.startswith("-A %s " % leap) and line.endswith("--to-destination %s:%d" % endpoint)
					    for line in lines))

	def test_the_dialed_service_is_behind_the_others(self):
		text = rules.iptables(rules.others(300) + [WEB])
		leaps = re.findall(r"^-A KUBE-SERVICES -d (\S+)/32", text, re.M)
		self.assertEqual((len(leaps), len(set(leaps)), leaps[-1]), (301, 301, "10.96.0.5"))

	def test_all_chains_are_declared(self):
		text = rules.iptables([WEB])
		declared = set(re.findall(r"^:(\S+)", text, re.M)) | {"RETURN", "MARK", "MASQUERADE", "DNAT", "ACCEPT", "DROP"}
		self.assertEqual(set(re.findall(r"-j (\S+)", text)) - declared, set())

	def test_names_of_chains_are_short_enough_and_differ(self):
		names = {rules.chain("SVC", name) for name, _, _ in rules.others(5000)}
		self.assertEqual(len(names), 5000)
		self.assertLessEqual(max(map(len, names)), 28)

	def test_a_change_in_nft_deletes_what_is_gone_after_the_last_leap_to_it(self):
		text = rules.nft_change(WEB[0], WEB[1], WEB[2][:4], WEB[2][4:])
		gone = rules.chain("SEP", WEB[0], *WEB[2][4])
		self.assertIn("numgen random mod 4 ", text)
		self.assertTrue(text.rstrip().endswith("delete chain ip kube-proxy " + gone))
		self.assertNotIn("goto " + gone, text)


if __name__ == "__main__":
	unittest.main()
