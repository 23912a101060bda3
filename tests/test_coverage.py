# SPDX-License-Identifier: Apache-2.0
"""Of coverage.py: what counts as named, and what fails."""

import unittest

import coverage


def line(number, count, **more):
    return dict({'line_number': number, 'count': count, 'branches': []}, **more)


SOURCE = """#include <errno.h>

struct room {
	int (*run)(struct room *room);
};

__attribute__((noinline)) /* its room is not for others */
static int start(struct room *room,
		 int more)
{
	return room->run(room);
}

int declared(struct room *room);

__attribute__((constructor)) static void begin(void)
{
	start(NULL, 0);
}

HOOK int connect(int fd)
{
	return declared(NULL);
}
"""

SPAWN = {'file': 'src/shim/spawn.c',
         'lines': [line(10, 7), line(11, 0), line(12, 0), line(13, 0, **{'gcovr/noncode': True}), line(14, 0), line(20, 0)]}
TOOL = {'file': 'src/cli/main.c', 'lines': [line(1, 0)]}
OF_SPAWN = {'src/shim/spawn.c': [(10, 'start'), (20, 'later')]}
FOUND = {('src/shim/spawn.c', 'start'): [11, 12, 14], ('src/shim/spawn.c', 'later'): [20]}
FUNCTIONS = {('src/shim/spawn.c', 'start'), ('src/shim/spawn.c', 'later'), ('src/cli/main.c', 'main')}


class Coverage(unittest.TestCase):
    def test_each_line_belongs_to_the_function_that_begins_last_before_it(self):
        self.assertEqual(coverage.unreached([SPAWN, TOOL], OF_SPAWN), FOUND)
        self.assertEqual(coverage.function_at(OF_SPAWN['src/shim/spawn.c'], 9), '?')

    def test_functions_are_found_by_their_heads(self):
        self.assertEqual(coverage.functions_in(SOURCE), [(8, 'start'), (16, 'begin'), (21, 'connect')])

    def test_only_folders_with_a_bound_count(self):
        self.assertEqual(coverage.count_lines([SPAWN, TOOL]), 5)
        self.assertFalse(coverage.has_bound('src/shimmer/a.c'))

    def test_list_is_read_with_its_comments(self):
        named = coverage.read_named('# why\n\nsrc/shim/spawn.c start - no memory: a page - or two\n')
        self.assertEqual(named, {('src/shim/spawn.c', 'start'): 'no memory: a page - or two'})
        self.assertEqual(coverage.kind_of('no memory: a page - or two'), 'no memory')
        self.assertEqual(coverage.kind_of('a race'), 'a race')

    def test_line_that_is_no_entry_is_told_by_its_number(self):
        for text in ('src/a.c start', 'src/a.c start -', 'src/a.c - a race', 'src/a.c a b - a race', 'a b - c\na b - c'):
            with self.assertRaisesRegex(ValueError, 'line {}:'.format(len(text.splitlines()))):
                coverage.read_named(text)

    def test_lines_are_told_in_short(self):
        self.assertEqual(coverage.ranges([14, 11, 12]), '11-12,14')
        self.assertEqual(coverage.ranges([3]), '3')

    def test_what_nobody_named_is_told_and_fails_beyond_a_share(self):
        named = {('src/shim/spawn.c', 'later'): 'a race'}
        said, fails = coverage.judge_unnamed(FOUND, named, FUNCTIONS, 300)
        self.assertEqual(said, ['not reached and not named: src/shim/spawn.c:11-12,14 start'])
        self.assertFalse(fails)
        said, fails = coverage.judge_unnamed(FOUND, named, FUNCTIONS, 299)
        self.assertIn('3 lines are not reached and not named', said[-1])
        self.assertTrue(fails)

    def test_named_ones_are_not_told_again_whether_reached_or_not(self):
        named = dict.fromkeys(FUNCTIONS, 'a race')
        self.assertEqual(coverage.judge_unnamed(FOUND, named, FUNCTIONS, 5), ([], False))

    def test_entry_of_a_function_that_is_gone_fails(self):
        said, fails = coverage.judge_unnamed({}, {('src/shim/spawn.c', 'renamed'): 'a race'}, FUNCTIONS, 5)
        self.assertEqual(said, ['named, but no such function: src/shim/spawn.c renamed'])
        self.assertTrue(fails)

    def test_folders_and_the_whole_have_their_bounds(self):
        row = {'line_covered': 95, 'line_total': 100, 'branch_covered': 1, 'branch_total': 2}
        sums = coverage.sum_folders([dict(row, filename='src/shim/a.c'), dict(row, filename='src/shim/b.c', line_covered=94)])
        self.assertEqual(sums['src/shim'], [189, 200, 2, 4])
        self.assertEqual(sums['src'], sums['src/shim'])
        self.assertTrue(coverage.show_folders(sums, True))
        self.assertFalse(coverage.show_folders({'src/shim': [95, 100, 0, 0], 'src/cli': [0, 9, 0, 0]}, True))
        self.assertFalse(coverage.show_folders(sums, False))  # of some tests alone


if __name__ == '__main__':
    unittest.main()
