# SPDX-License-Identifier: Apache-2.0
"""check.py TOP BUILD: executes every command of the pages of cases.py, in their order, in a sandbox, and tells what came of each.

cases.py says what has to. A command that no case executes is a failure, and so is a case whose command is on no page.
"""

import collections
import os
import re
import shutil
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cases  # noqa: E402
import claims  # noqa: E402
import markdown  # noqa: E402
import picture  # noqa: E402
import sandbox  # noqa: E402
from sandbox import TREE, Failed  # noqa: E402

Run = collections.namedtuple('Run', 'item result shell world')


class World:
    """What is there for all pages."""

    def __init__(self):
        self.cluster = None


class Count:
    def __init__(self):
        self.executed = self.elsewhere = self.failed = 0
        self.skipped, self.stubs = [], []

    def tell(self, word, item, more=''):
        what = 'a document: ' + item.shown if item.kind == markdown.DOCUMENT else item.text.splitlines()[0][:150]
        print('{:9} {}:{}  {}{}'.format(word, item.page, item.line, what, more), flush=True)

    def fail(self, item, what):
        self.failed += 1
        self.tell('FAIL', item)
        print('    ' + str(what).replace('\n', '\n    '), flush=True)


# ---- which case is whose ----


def key_of(item):
    return item.shown if item.kind == markdown.DOCUMENT else item.text


def is_mention(item):
    """Of a verb, not of what it is to be asked: `fairdial status`, or the form of its arguments."""
    return item.kind == markdown.INLINE and item.text.split()[0] in ('fairdial', 'build/fairdial')


def paired(items, rows):
    """(item, case or None) for each, and the rows that are left over."""
    used, pairs = collections.Counter(), []
    for item in items:
        row = rows.get(key_of(item)) or next((row for form, row in cases.FORMS if re.match(form, item.text)), None)
        if isinstance(row, list):
            row = row[used[key_of(item)]] if used[key_of(item)] < len(row) else None
        used[key_of(item)] += 1
        pairs.append((item, row))
    left = [text for text, row in rows.items() if used[text] == 0 or isinstance(row, list) and used[text] < len(row)]
    return pairs, left


# ---- executing ----


def compare_shown(item, result):
    """
    What a console shows is what was printed, but for numbers, the width of columns, and the order of lines: which endpoint comes
    first is the policy's to say.
    """
    printed = result.err + result.out
    if set(picture.form(printed)) != set(picture.form(item.shown)):
        raise Failed('the page shows\n{}\nand it prints\n{}'.format(item.shown, printed))


def execute(item, row, shell, world):
    """Raises Failed, or cases.Skipped."""
    if 'kubectl' in item.text and not shutil.which('kubectl'):
        raise cases.Skipped('kubectl is not installed')
    if row.before:
        row.before(Run(item, None, shell, world))
    if item.kind == markdown.DOCUMENT:
        row.after(Run(item, None, shell, world))
        return
    result = shell.run(row.variant or item.text, row.limit)
    if result.status != row.status:
        raise Failed('{}, not {}'.format(result, row.status))
    for what, patterns, text in (('stdout', row.out, result.out), ('stderr', row.err, result.err)):
        for pattern in patterns:
            if not re.search(pattern, text, re.M):
                raise Failed('no "{}" on {}\n{}'.format(pattern, what, result))
    if item.kind == markdown.CONSOLE:
        compare_shown(item, result)
    if row.after:
        row.after(Run(item, result, shell, world))


def holds_line(path, needle):
    with open(os.path.join(TREE, path)) as file:
        return any(needle in line and not line.lstrip().startswith('#') for line in file)


def check_elsewhere(item, row):
    if not holds_line(row.where, row.needle):
        raise Failed('{} was to execute it, and has no line with "{}"'.format(row.where, row.needle))
    claims.check_names_of_tests(item.text)


def check_item(item, row, shell, world, count):
    if row is None and is_mention(item):
        claims.check_mention(item.text)
        count.executed += 1
        count.tell('ok', item, '   (its --help has the verb and these options)')
    elif row is None:
        raise Failed('no case executes this: give it a row in tests/readme/cases.py')
    elif isinstance(row, cases.Elsewhere):
        check_elsewhere(item, row)
        count.elsewhere += 1
        count.tell('elsewhere', item, '   ({}: {}; {})'.format(row.where, row.needle, row.why))
    else:
        begun = time.monotonic()
        execute(item, row, shell, world)
        count.executed += 1
        if row.stub and row.stub not in count.stubs:
            count.stubs.append(row.stub)
        count.tell('ok', item, '   ({:.1f} s{}{})'.format(time.monotonic() - begun, ', as: ' + row.variant if row.variant else '',
                                                       ', stub' if row.stub else ''))


def check_page(page, world, count):
    with open(os.path.join(TREE, page)) as file:
        items = markdown.items(page, file.read())
    pairs, left = paired([item for item in items if not picture.is_of(item)], cases.PAGES[page])
    shell = sandbox.Shell(page.replace('/', '-'))
    for item, row in pairs:
        try:
            check_item(item, row, shell, world, count)
        except cases.Skipped as why:
            count.skipped.append('{}: {}'.format(item.text.splitlines()[0], why))
            count.tell('skip', item, '   ({})'.format(why))
        except sandbox.Stuck as failure:
            count.fail(item, failure)
            print('FAIL      {}  the rest of the page is not executed'.format(page))
            break
        except Failed as failure:
            count.fail(item, failure)
        except Exception:  # what a case met that it did not expect
            count.fail(item, traceback.format_exc())
    shell.close()
    for text in left:
        count.failed += 1
        print('FAIL      {}  has no command that tests/readme/cases.py has a row for: {}'.format(page, text))


def check_claims(count):
    for what, check in claims.ALL:
        try:
            check()
            print('ok        ' + what, flush=True)
        except Failed as failure:
            count.failed += 1
            print('FAIL      {}\n    {}'.format(what, str(failure).replace('\n', '\n    ')))


def main():
    top, build = sys.argv[1:]
    sandbox.enter()
    import mistakes  # which needs this module whole
    sandbox.prepare(top, build)
    world, count = World(), Count()
    mistakes.all_are_seen()
    for page in cases.PAGES:
        check_page(page, world, count)
    check_claims(count)
    if world.cluster:
        world.cluster.end()
    for why in count.stubs:
        print('stub: ' + why)
    for why in count.skipped:
        print('skip: ' + why)
    print('{} commands executed, {} are executed elsewhere, {} skipped, {} failures'.format(
        count.executed, count.elsewhere, len(count.skipped), count.failed))
    return 1 if count.failed or not count.executed else 0


if __name__ == '__main__':
    sys.modules['check'] = sys.modules['__main__']
    try:
        sys.exit(main())
    except sandbox.Unusable as error:
        print('skip: check-readme: {}'.format(error))
    except (markdown.Unreadable, Failed) as error:
        print('check-readme: {}'.format(error), file=sys.stderr)
        sys.exit(1)
