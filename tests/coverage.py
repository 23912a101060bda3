# SPDX-License-Identifier: Apache-2.0
"""coverage.py SUMMARY [LINES UNREACHED]: lines and branches by folder of src, from what gcovr counted, and what no test reaches.

SUMMARY and LINES are gcovr's --json-summary and --json. UNREACHED names what is not reached, an entry a line:

	FILE FUNCTION - REASON, or REASON: what exactly

Named are functions, so that an edit above them changes nothing. 1 where a folder is below its bound; where an entry names no
function of its file; or where more lines are neither reached nor named than UNNAMED_MOST: a few may be, as which rare race is met
differs from run to run. By SUMMARY alone, of some tests, nothing fails.
"""

import collections
import json
import re
import sys

ALL = 90
BOUNDS = {'src/shim': 95, 'src/table': 95, 'src/ledger': 95, 'src/balance': 95}
UNNAMED_MOST = 1  # percent of all lines of the folders that have a bound


def share(covered, total):
    return 100.0 * covered / total if total else 100.0


# ---- by folder ----

def sum_folders(files):
    sums = collections.defaultdict(lambda: [0, 0, 0, 0])
    for row in files:
        for name in ('src', row['filename'].rpartition('/')[0]):
            for i, key in enumerate(('line_covered', 'line_total', 'branch_covered', 'branch_total')):
                sums[name][i] += row[key]
    return sums


def show_folders(sums, bounded):
    """Whether one is below its bound; some tests alone have none to reach."""
    low = False
    print('  {:<14} {:>7} {:>8} {:>9}'.format('FOLDER', 'LINES', '', 'BRANCHES'))
    for name in sorted(sums):
        lines, of, branches, of_branches = sums[name]
        bound = BOUNDS.get(name, ALL if name == 'src' else 0) if bounded else 0
        is_low = share(lines, of) < bound
        low |= is_low
        print('  {:<14} {:>6.1f}% {:>8} {:>8.1f}%{}'.format(name, share(lines, of), '{}/{}'.format(lines, of), share(branches, of_branches),
                                                           '  below {}%'.format(bound) if is_low else ''))
    return low


# ---- what is not reached ----

def has_bound(path):
    return path.rpartition('/')[0] in BOUNDS


def is_code(line):
    return not line.get('gcovr/noncode') and not line.get('gcovr/excluded')


HEAD = re.compile(r'^[A-Za-z_].*?\b(\w+)\(')
ATTRIBUTE = re.compile(r'__attribute__\(\(.*?\)\)')


def functions_in(source):
    """[(LINE, NAME)] of each function by the look of the source, where a head and its brace begin a line: gcovr tells only some."""
    found, head = [], None
    for number, line in enumerate(source.splitlines(), 1):
        match = HEAD.match(ATTRIBUTE.sub('', line).lstrip(' '))
        if match and not line[0].isspace():
            head = (number, match[1])
        elif line == '{' and head:
            found.append(head)
        elif line == '}':
            head = None
    return found


def function_at(functions, number):
    """The last that begins there or above: C has none inside another."""
    begun = [f for f in functions if f[0] <= number]
    return max(begun)[1] if begun else '?'


def unreached(files, functions):
    """(FILE, FUNCTION): the numbers of its lines that nothing reached."""
    found = collections.defaultdict(list)
    for file in files:
        if has_bound(file['file']):
            for line in file['lines']:
                if is_code(line) and line['count'] == 0:
                    found[file['file'], function_at(functions[file['file']], line['line_number'])].append(line['line_number'])
    return found


def read_functions(files):
    """FILE: its functions, of the folders that have a bound, below this one."""
    functions = {}
    for file in files:
        if has_bound(file['file']):
            with open(file['file']) as source:
                functions[file['file']] = functions_in(source.read())
    return functions


def count_lines(files):
    return sum(is_code(line) for file in files if has_bound(file['file']) for line in file['lines'])


def read_named(text):
    """(FILE, FUNCTION): the reason. ValueError for a line that is none of both."""
    named = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        where, dash, reason = line.partition(' - ')
        words = where.split()
        if not dash or not reason.strip() or len(words) != 2:
            raise ValueError('line {}: expected FILE FUNCTION - REASON'.format(number))
        if tuple(words) in named:
            raise ValueError('line {}: {} {} is named twice'.format(number, *words))
        named[tuple(words)] = reason.strip()
    return named


def kind_of(reason):
    return reason.partition(':')[0]


def ranges(numbers):
    """'3-5,8' of 3, 4, 5, 8. Lines between that are no code part them."""
    parts = []
    for n in sorted(numbers):
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ','.join('{}-{}'.format(*p) if p[0] < p[1] else str(p[0]) for p in parts)


def show_named(found, named):
    by_kind = collections.Counter()
    for where, numbers in found.items():
        if where in named:
            by_kind[kind_of(named[where])] += len(numbers)
    print('  not reached, and named: {} lines'.format(sum(by_kind.values())) +
          (': ' if by_kind else '') + ', '.join('{} {}'.format(n, kind) for kind, n in by_kind.most_common()))


def judge_unnamed(found, named, functions, total):
    """What to say, and whether that fails."""
    said = ['not reached and not named: {}:{} {}'.format(where[0], ranges(numbers), where[1])
            for where, numbers in sorted(found.items()) if where not in named]
    gone = sorted(where for where in named if where not in functions)
    said += ['named, but no such function: {} {}'.format(*where) for where in gone]
    lines = sum(len(numbers) for where, numbers in found.items() if where not in named)
    too_many = lines * 100 > total * UNNAMED_MOST
    if too_many:
        said.append('{} lines are not reached and not named, more than {}% of {}'.format(lines, UNNAMED_MOST, total))
    return said, bool(too_many or gone)


def show_unreached(lines_path, named_path):
    with open(lines_path) as file:
        files = json.load(file)['files']
    with open(named_path) as file:
        try:
            named = read_named(file.read())
        except ValueError as error:
            print('  {}: {}'.format(named_path, error))
            return True
    functions = read_functions(files)
    found = unreached(files, functions)
    show_named(found, named)
    said, fails = judge_unnamed(found, named, {(path, f[1]) for path in functions for f in functions[path]}, count_lines(files))
    for line in said:
        print('  ' + line)
    return fails


def main(summary, *more):
    with open(summary) as file:
        fails = show_folders(sum_folders(json.load(file)['files']), bool(more))
    if more:
        fails |= show_unreached(*more)
    return int(fails)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
