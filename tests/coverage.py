# SPDX-License-Identifier: Apache-2.0
"""coverage.py SUMMARY: lines and branches by folder of src, from what gcovr counted; 1 where a folder is below its bound."""

import collections
import json
import sys

ALL = 90
BOUNDS = {'src/shim': 95, 'src/table': 95, 'src/ledger': 95, 'src/balance': 95}


def share(covered, total):
    return 100.0 * covered / total if total else 100.0


def main(path):
    with open(path) as file:
        files = json.load(file)['files']
    sums = collections.defaultdict(lambda: [0, 0, 0, 0])
    for row in files:
        for name in ('src', row['filename'].rpartition('/')[0]):
            for i, key in enumerate(('line_covered', 'line_total', 'branch_covered', 'branch_total')):
                sums[name][i] += row[key]
    low = 0
    print('  {:<14} {:>7} {:>8} {:>9}'.format('FOLDER', 'LINES', '', 'BRANCHES'))
    for name in sorted(sums):
        lines, of, branches, of_branches = sums[name]
        bound = BOUNDS.get(name, ALL if name == 'src' else 0)
        is_low = share(lines, of) < bound
        low |= is_low
        print('  {:<14} {:>6.1f}% {:>8} {:>8.1f}%{}'.format(name, share(lines, of), '{}/{}'.format(lines, of), share(branches, of_branches),
                                                           '  below {}%'.format(bound) if is_low else ''))
    return int(low)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
