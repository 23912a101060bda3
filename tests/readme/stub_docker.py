# SPDX-License-Identifier: Apache-2.0
"""docker, where no engine is: `build -f FILE -t NAME .` and `push NAME`.

Of a build, what can be so without a distribution: each COPY names files that are there, stages name stages, and the tree that the
builder's last RUN installs is made, by the tool that was built here. A push is of what was built.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), 'manifests'))
import dockerfile  # noqa: E402  from that folder

IMAGES = os.path.join(os.environ['HOME'], 'images')


def path_of(name):
    return os.path.join(IMAGES, re.sub('[/:]', '_', name))


def fail(what):
    sys.exit('docker: {}'.format(what))


def built_in(stage, name):
    """Executes the part of a RUN that is ours."""
    for run in dockerfile.of(stage, 'RUN'):
        install = re.search(r'(build/fairdial) install (/\w+)$', run)
        if install:
            subprocess.run([install.group(1), 'install', path_of(name)], check=True, stdout=subprocess.DEVNULL)
            return install.group(2)
    return None


def build(file, name):
    with open(file) as text:
        stages = dockerfile.stages(text.read())
    names = {stage['name'] for stage in stages}
    made = None
    for stage in stages:
        for copy in dockerfile.of(stage, 'COPY'):
            *sources, _ = copy.split()
            origin = sources.pop(0)[len('--from='):] if sources[0].startswith('--from=') else None
            if origin and origin not in names:
                fail('{}: no stage is called {}'.format(file, origin))
            for source in sources:
                if origin and source != made:
                    fail('{}: stage {} makes {}, not {}'.format(file, origin, made, source))
                if not origin and not os.path.exists(source):
                    fail('{}: COPY {}: it is not there'.format(file, source))
        made = built_in(stage, name) or made
    if not made:
        fail('{}: no RUN ends with build/fairdial install'.format(file))
    print('built', name)


def main():
    words = sys.argv[1:]
    if len(words) == 6 and words[0] == 'build' and words[1] == '-f' and words[3] == '-t' and words[5] == '.':
        build(words[2], words[4])
    elif len(words) == 2 and words[0] == 'push' and os.path.isdir(path_of(words[1])):
        print('pushed', words[1])
    else:
        fail('this stub does not understand, or has not built: {}'.format(' '.join(words)))


main()
