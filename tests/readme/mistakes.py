# SPDX-License-Identifier: Apache-2.0
"""That the check can fail: pages with one mistake each, and a shell that executes what is not so."""

import check
import claims
import markdown
from cases import Elsewhere, case
from sandbox import Failed, Shell

PAGE = '''# Page

    make stew

Then `kubectl eat stew`, and:

```sh
echo salt
```
'''
ROWS = {'make stew': case(), 'kubectl eat stew': case(), 'echo salt': case(out='^salt$')}


def items(text):
    return markdown.items('page', text)


def refuses(what, call, *arguments):
    try:
        call(*arguments)
    except (Failed, markdown.Unreadable):
        return
    raise Failed('it does not see ' + what)


def executed(text, row, shell):
    check.execute(items('```sh\n' + text + '\n```\n')[0], row, shell, None)


def all_are_seen():
    """Raises Failed, unless each mistake is one."""
    pairs, left = check.paired(items(PAGE), ROWS)
    if left or [item.text for item, row in pairs if row] != list(ROWS):
        raise Failed('a sound page is not one: {}'.format(pairs))
    for more in ('\n    fairdial eat\n',
                 '\n```\nfairdial eat\n```\n', '\nOr `X=1 make soup`.\n', '\n```console\n$ kubectl eat soup\n```\n'):
        pairs, _ = check.paired(items(PAGE + more), ROWS)
        if not [item for item, row in pairs if not row]:
            raise Failed('it does not see the new command in "{}"'.format(more))
    if check.paired(items(PAGE.replace('salt', 'pepper')), ROWS)[1] != ['echo salt']:
        raise Failed('it does not see that a command of a row is gone')
    for hidden in ('```text\nkubectl eat\n```\n', '```text\n$ eat\n```\n', '```sh\nfor i in 1; do\n```\n', '```sh\nmake stew\n',
                   'Then `make\nstew`.\n'):
        refuses('what is wrong in "{}"'.format(hidden), items, hidden)
    shell = Shell('mistakes')
    executed('echo salt', ROWS['echo salt'], shell)
    refuses('an exit status', executed, 'echo salt; false', ROWS['echo salt'], shell)
    refuses('a pipe that fails in front', executed, 'false | echo salt', ROWS['echo salt'], shell)
    refuses('another output', executed, 'echo sand', ROWS['echo salt'], shell)
    refuses('a command that is missing', executed, 'no-such-command', case(), shell)
    wrong = items('```console\n$ echo salt\nsand\n```\n')[0]
    refuses('what a console shows wrongly', check.execute, wrong, case(), shell, None)
    shell.close()
    refuses('who does not execute it', check.check_elsewhere, items('`make stew`')[0], Elsewhere('.ci/run', 'make stew', ''))
    refuses('an option that there is not', claims.check_mention, 'fairdial status --stew')
    refuses('a verb that there is not', claims.check_mention, 'fairdial stew')
    refuses('a test that there is not', claims.check_names_of_tests, 'make unit T=stew')
