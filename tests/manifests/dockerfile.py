# SPDX-License-Identifier: Apache-2.0
"""As much of a Dockerfile as is to be said of ours: stages, and their instructions."""

import json
import re


def stages(text):
    """A list of {'from': image, 'name': name or None, 'steps': [(INSTRUCTION, rest)]}."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith('#')]
    made = []
    for line in re.sub(r'\\\n\s*', ' ', '\n'.join(lines)).splitlines():
        word, _, rest = line.strip().partition(' ')
        if word == 'FROM':
            image, *alias = rest.split()
            made.append({'from': image, 'name': alias[1] if alias else None, 'steps': []})
        elif word:
            made[-1]['steps'].append((word, rest.strip()))
    return made


def of(stage, word):
    """All that a stage says of one instruction."""
    return [rest for w, rest in stage['steps'] if w == word]


def errors(text, packages):
    """`packages`: text in which those that it installs are named."""
    built, shipped = stages(text)
    wanted = [
        ('the images have no registry', not any('/' in stage['from'] for stage in (built, shipped))),
        ('the last stage is from scratch', shipped['from'] == 'scratch'),
        ('it has what `fairdial install` made, at /', of(shipped, 'COPY') == ['--from={} /out /'.format(built['name'])]),
        ('its user is 65532', of(shipped, 'USER') == ['65532:65532']),
        ('it begins with the tool', [json.loads(e) for e in of(shipped, 'ENTRYPOINT')] == [['/bin/fairdial']]),
        ('nothing runs in it', not of(shipped, 'RUN')),
        ('the builder makes and installs', of(built, 'RUN')[-1:] == ['make && build/fairdial install /out']),
    ]
    for word in of(built, 'RUN')[0].partition('install ')[2].split():
        if not word.startswith('-') and word not in ('libc6-dev', 'make'):
            wanted.append(('tests/deps.sh names ' + word, word in packages.split()))
    return ['not so: ' + what for what, is_so in wanted if not is_so]


def copied(text):
    """What the builder takes of the top folder."""
    return [rest.split()[0] for rest in of(stages(text)[0], 'COPY')]
