# SPDX-License-Identifier: Apache-2.0
"""What the README lists is what there is: targets, verbs, options, variables, keys, folders, files."""

import json
import os
import re
import subprocess

import figures
import picture
from sandbox import HOME, TREE, Failed, call

PAGES = ['README.md', 'examples/RECIPES.md', 'examples/DETAILS.md']
FAIRDIAL = TREE + '/build/fairdial'


def text_of(path):
    with open(os.path.join(TREE, path)) as file:
        return file.read()


def section(title):
    """Of the README: what is below that heading."""
    found = re.search(r'^#+ {}\n(.*?)(?=^#+ |\Z)'.format(re.escape(title)), text_of('README.md'), re.M | re.S)
    if not found:
        raise Failed('the README has no section "{}"'.format(title))
    return found.group(1)


def first_cells(title):
    """The spans of code in the first column of that section's tables."""
    rows = [line for line in section(title).splitlines() if line.startswith('|')]
    return [span for row in rows for span in re.findall(r'`([^`]+)`', row.replace('\\|', '!').split('|')[1])]


def must_agree(what, have, wanted):
    """`have`: of the README."""
    lacks, extra = sorted(set(wanted) - set(have)), sorted(set(have) - set(wanted))
    if lacks or extra:
        raise Failed('{}: the README lacks {}, and has {} that there is not'.format(what, lacks or 'none', extra or 'none'))


# ---- the tool ----


def help_of(verb):
    return call(FAIRDIAL, verb, '--help')


def verbs():
    listed = call(FAIRDIAL, '--help').split('\n\n')[2]
    return re.findall(r'^  ([a-z]+) ', listed, re.M)


def check_mention(text):
    """`fairdial VERB --option`: as far as it says, that is what the verb knows."""
    _, verb, *rest = text.split()
    if verb not in verbs():
        raise Failed('there is no verb {}'.format(verb))
    known = set(re.findall(r'--[a-z-]+', help_of(verb)))
    for option in re.findall(r'--[a-z][a-z-]*', ' '.join(rest)):
        if option not in known:
            raise Failed('fairdial {} has no option {}'.format(verb, option))


def check_verbs():
    must_agree('verbs', [span.split()[1] for span in first_cells('The tool') if span.startswith('fairdial ')], verbs())


# ---- policy and variables ----


def policy_rows():
    """{key: default} of the README."""
    found = {}
    for row in section('The tool').splitlines():
        cells = row.replace('\\|', '!').split('|')
        if row.startswith('| `') and len(cells) == 5:
            keys = re.findall(r'`([^`]+)`', cells[1])
            found.update(zip(keys, [d.strip(' `') for d in cells[3].split(',')]))
    return found


def check_policy():
    """By a table of one Service, of which nothing is said."""
    services = {'services': [{'name': 'web', 'ports': [{'port': 80}], 'endpoints': ['127.0.0.1:8080']}]}
    call(FAIRDIAL, 'publish', '--services', '-', '--dir', HOME + '/policy', given=json.dumps(services))
    told = call(FAIRDIAL, 'status', '--json', '--dir', HOME + '/policy', is_json=True)['services'][0]['policy']
    have = policy_rows()
    must_agree('keys of a policy', have, told)
    wrong = [key for key in have if have[key] != told[key]['value']]
    if wrong:
        raise Failed('defaults that are not so: ' + ', '.join('{}: {}, not {}'.format(k, told[k]['value'], have[k]) for k in wrong))


def check_variables():
    known = re.findall(r'"(FAIRDIAL[A-Z_]*)"', text_of('src/shim/settings.c'))
    must_agree('variables of the shim', [v for v in first_cells('Environment of the program')],
               set(known) - {'FAIRDIAL_SERVICES'} | {'LD_PRELOAD'})


# ---- the tree ----


def check_targets():
    """That the README has all of them is the picture's to prove."""
    listed = re.findall(r'^  ([a-z0-9-]+) ', call('make', '--no-print-directory', 'help'), re.M)
    for page in PAGES:
        told = re.findall(r'(?:`|^ *|&& )(?:[A-Z]+=\S+ )?make ([a-z][a-z0-9-]*)', text_of(page), re.M)
        if not set(told) <= set(listed):
            raise Failed('{} has targets that there are not: {}'.format(page, sorted(set(told) - set(listed))))


def check_names_of_tests(command):
    """T and N of a command name tests that there are."""
    name, pattern = re.search(r'\bT=(\w+)', command), re.search(r"\bN='\*(\w+)\*'", command)
    if not name:
        return
    kind = 'unit' if 'make unit' in command else 'integration'
    path = 'tests/{}/test_{}.c'.format(kind, name.group(1))
    if not os.path.exists(os.path.join(TREE, path)):
        raise Failed('there is no {}'.format(path))
    if pattern and not re.search(r'TEST\(\w*{}'.format(pattern.group(1)), text_of(path)):
        raise Failed('{} has no test that {} matches'.format(path, pattern.group(0)))


def check_folders():
    have = [span.rstrip('/') for span in first_cells('The code')]
    there = ['src/' + name for name in os.listdir(TREE + '/src') if name not in ('man', 'completion', 'package')]
    must_agree('folders', have, there)
    for row in section('The code').splitlines():
        if row.startswith('| `src'):
            folder = re.match(r'\| `(src/\w+)`', row).group(1)
            for name in re.findall(r'`([a-z_*]+\.[ch])`', row):
                if subprocess.run('ls {}/{} >/dev/null 2>&1'.format(folder, name), shell=True, cwd=TREE).returncode != 0:
                    raise Failed('{} has no {}'.format(folder, name))


def check_links():
    for page in PAGES + ['examples/kubernetes/README.md']:
        for target in re.findall(r'\]\(([^)\s]+)\)', text_of(page)):
            path, _, anchor = target.partition('#')
            if '://' in path:
                continue
            file = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(os.path.join(TREE, file)):
                raise Failed('{} links to {}, which is not there'.format(page, target))
            headings = re.findall(r'^#+ (.*)$', text_of(file), re.M) if anchor else []
            if anchor and anchor not in [re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings]:
                raise Failed('{} links to {}, and there is no such heading'.format(page, target))


ALL = [
    ('the picture of fairdial top is what it prints', lambda: picture.check(picture.TOP)),
    ('the picture of make help is what it prints', lambda: picture.check(picture.HELP)),
    ('figures are those of the run that is kept', lambda: figures.check(TREE)),
    ('verbs are those of fairdial --help', check_verbs),
    ('keys of a policy, and their defaults, are those of a table', check_policy),
    ('variables are those that the shim reads', check_variables),
    ('targets are those of make help', check_targets),
    ('folders and files of the code are there', check_folders),
    ('links lead somewhere', check_links),
]
