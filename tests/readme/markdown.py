# SPDX-License-Identifier: Apache-2.0
"""What a page tells its reader to type, and what it shows: in the order of the page.

A command is a line of a block of shell or of an indented block, a line of a console that begins with "$ ", or `…` in
the text that begins as a command does. What is not closed at the end of a line (a quote, a backslash, a loop) goes on in the next.
"""

import collections
import re
import subprocess

# What a command begins with, behind variables that it sets for itself.
WORDS = {'make', 'fairdial', 'build/fairdial', 'kubectl', 'curl', 'docker', 'podman', 'buildah', 'helm', 'sh', 'bash', 'env', 'sudo',
         'git', 'readelf', 'python3', 'apt', 'apt-get', 'apk', 'dnf', 'mysql', 'kill', 'nginx', 'tini', 'man', 'istioctl',
         'sed', 'promtool', 'dpkg', 'rpm', '.ci/run'}
# Of these a word alone is a name.
NEEDS_ARGUMENTS = WORDS - {'make', '.ci/run'}

SHELL, CONSOLE, INLINE, DOCUMENT = 'shell', 'console', 'inline', 'document'

# `text` is the command, or the document; `shown` what a console shows below it, or the language of a document.
Item = collections.namedtuple('Item', 'page line kind text shown section')


class Unreadable(Exception):
    """A page that hides a command: one line."""


def begins_as_command(text):
    words = text.split()
    while words and re.match(r'[A-Z_]+=', words[0]) and len(words) > 1:
        words = words[1:]
    return bool(words) and words[0] in WORDS and (len(words) > 1 or words[0] not in NEEDS_ARGUMENTS)


def is_whole(text):
    """Whether a shell would begin to execute it."""
    if text.endswith('\\'):
        return False
    return subprocess.run(['bash', '-n', '-c', text], stderr=subprocess.PIPE).returncode == 0


def commands(lines, number):
    """(line, text) of each; `number` is the page's line of the first."""
    found, begun, at = [], '', number
    for offset, line in enumerate(lines):
        if not begun:
            at = number + offset
            if not line.strip() or line.lstrip().startswith('#'):
                continue
        begun = begun + '\n' + line if begun else line
        if is_whole(begun):
            found.append((at, begun.strip()))
            begun = ''
    if begun:
        raise Unreadable('line {}: no end of the command "{}"'.format(at, begun.splitlines()[0]))
    return found


def console(lines, number):
    """(line, text, what is shown below it) of each."""
    found = []
    for offset, line in enumerate(lines):
        if line.startswith('$ '):
            found.append([number + offset, line[2:], []])
        elif found:
            found[-1][2].append(line)
        elif line.strip():
            raise Unreadable('line {}: a console begins with "$ COMMAND"'.format(number + offset))
    return [(at, text, '\n'.join(shown)) for at, text, shown in found]


def items_of_block(page, language, lines, number, section):
    if language in ('sh', 'shell', 'bash', ''):
        return [Item(page, at, SHELL, text, None, section) for at, text in commands(lines, number)]
    if language == 'console':
        return [Item(page, at, CONSOLE, text, shown, section) for at, text, shown in console(lines, number)]
    if language == 'text':
        for offset, line in enumerate(lines):
            if line.lstrip().startswith('$ ') or begins_as_command(line):
                raise Unreadable('line {}: a command in a block of text'.format(number + offset))
        return []
    return [Item(page, number, DOCUMENT, '\n'.join(lines) + '\n', language, section)]


def items_of_line(page, line, number, section):
    if line.count('`') % 2:
        raise Unreadable('line {}: a span of code has no end in its line, and could hide a command'.format(number))
    spans = re.findall(r'(?<!`)`([^`]+)`(?!`)', line)
    return [Item(page, number, INLINE, text.replace('\\|', '|'), None, section) for text in spans if begins_as_command(text)]


def dedented(lines):
    margin = min([len(line) - len(line.lstrip()) for line in lines if line.strip()] or [0])
    return [line[margin:] for line in lines]


def items(page, text):
    """All of a page, given as text."""
    found, lines, i, section, in_list = [], text.splitlines(), 0, '', False
    try:
        while i < len(lines):
            line, begin = lines[i], i
            fence = re.match(r'\s*```(\w*)\s*$', line)
            i += 1
            if fence:
                while i < len(lines) and lines[i].strip() != '```':
                    i += 1
                if i == len(lines):
                    raise Unreadable('line {}: no end of the block'.format(begin + 1))
                found += items_of_block(page, fence.group(1), dedented(lines[begin + 1:i]), begin + 2, section)
                i += 1
                continue
            if line.startswith('#'):
                section = line.lstrip('# ')
            if line.strip() and not line.startswith(' '):
                in_list = bool(re.match(r'(-|\*|\d+\.) ', line))
            if re.match(r' {8}\S' if in_list else r' {4}\S', line) and not lines[begin - 1].strip():
                while i < len(lines) and (lines[i].startswith('    ') or not lines[i].strip()):
                    i += 1
                found += items_of_block(page, '', dedented(lines[begin:i]), begin + 1, section)
                continue
            found += items_of_line(page, line, begin + 1, section)
    except Unreadable as error:
        raise Unreadable('{}: {}'.format(page, error))
    return found
