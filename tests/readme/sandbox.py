# SPDX-License-Identifier: Apache-2.0
"""Where the commands of a page are executed: a clean copy of the tree, and a network, processes, /tmp, /opt and /run of its own.

`enter` puts this process, and all that it starts, into namespaces of their own, which end with it.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

INSIDE = 'FAIRDIAL_README_INSIDE'

TREE, HOME, BIN = '/tmp/fairdial', '/tmp/home', '/tmp/bin'
HERE = TREE + '/tests/readme'  # the tree itself may lie where this /tmp is now
# What of the build a clean `make` needs not make again.
BUILT = ['libfairdial.so', 'fairdial', 'fairdial-launcher', 'libcore.a', 'shim', 'tool/src']


class Unusable(Exception):
    """This machine does not let the sandbox be made: one line."""


class Failed(Exception):
    """A claim of a page is not so: what, in a few lines."""


class Stuck(Failed):
    """A command that does not end: what follows it in its shell cannot be executed."""


# ---- namespaces ----


def enter():
    """Starts this program anew, inside; returns only there."""
    if os.environ.get(INSIDE):
        return
    if not shutil.which('unshare') or not shutil.which('ip'):
        raise Unusable('unshare or ip is not installed: make deps')
    own = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'] + \
        ([] if os.geteuid() == 0 else ['--map-root-user'])
    if subprocess.run(own + ['true'], stderr=subprocess.DEVNULL).returncode != 0:
        raise Unusable('cannot make namespaces (root can, and who may be root in one)')
    os.environ[INSIDE] = '1'
    os.execvp('unshare', own + [sys.executable] + sys.argv)


def mount(*arguments):
    subprocess.run(['mount'] + list(arguments), check=True)


def cover(path):
    """An empty file system in place of a folder, with what the folder holds still in it; of that, new names are ours alone."""
    old = '/tmp/.covered' + path.replace('/', '-')
    os.makedirs(old)
    mount('--bind', path, old)
    names = sorted(os.listdir(path))
    mount('-t', 'tmpfs', '-o', 'mode=755', 'none', path)
    for name in names:
        below, above = os.path.join(old, name), os.path.join(path, name)
        if os.path.islink(below):
            os.symlink(os.readlink(below), above)
        elif os.path.isdir(below):
            os.makedirs(above, exist_ok=True)
            mount('--bind', below, above)


def prepare(top, build):
    """Once, after `enter`."""
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    kept = os.open(top, os.O_PATH)  # it may lie below /tmp
    built = os.open(build, os.O_PATH)
    mount('-t', 'tmpfs', '-o', 'mode=1777', 'none', '/tmp')
    os.environ.pop('TMPDIR', None)
    cover('/opt')
    cover('/run')
    for folder in (HOME, BIN):
        os.mkdir(folder)
    os.environ['PATH'] = BIN + ':' + os.environ['PATH']
    copy_tree('/proc/self/fd/{}'.format(kept), '/proc/self/fd/{}'.format(built))


def copy_tree(top, build):
    """The files that git knows or would; where there is no git, all but what was built."""
    os.mkdir(TREE)
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=top,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    names = listed.stdout.decode().split('\0') if listed.returncode == 0 else \
        [name for name in os.listdir(top) if name not in ('build', '.git')]
    names = [name for name in names if name and os.path.lexists(os.path.join(top, name))]
    subprocess.run(['cp', '-a', '--parents', '-t', TREE, '--'] + names, cwd=top, check=True)
    os.mkdir(TREE + '/build')
    subprocess.run(['cp', '-a', '--parents', '-t', TREE + '/build', '--'] +
                   [name for name in BUILT if os.path.exists(os.path.join(build, name))], cwd=build, check=True)


# ---- a shell that somebody types into ----


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __str__(self):
        return 'exit status {}\n--- stdout\n{}--- stderr\n{}'.format(self.status, self.out[-3000:], self.err[-3000:])


class Shell:
    """One bash, with its jobs and variables; commands one after the other."""

    def __init__(self, name):
        self.folder, self.count = '/tmp/.shell-' + name, 0
        os.mkdir(self.folder)
        os.makedirs(HOME, exist_ok=True)
        reads, writes = os.pipe()
        env = {'PATH': os.environ['PATH'], 'HOME': HOME, 'LANG': 'C.UTF-8',
               'TERM': 'dumb', 'KUBECONFIG': HOME + '/kubeconfig.json'}
        if os.environ.get('CC'):
            env['CC'] = os.environ['CC']
        self.process = subprocess.Popen(['bash', '--norc', '--noprofile'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=env, cwd=TREE, pass_fds=(writes,), start_new_session=True)
        os.close(writes)
        self.reads, self.writes_fd = reads, writes
        self.run('set -o pipefail')

    def run(self, text, limit=60):
        """`limit` in seconds is a bound, not an expectation."""
        self.count += 1
        base = '{}/{}'.format(self.folder, self.count)
        with open(base + '.sh', 'w') as file:
            file.write(text + '\n')
        line = '{{ . {0}.sh; }} >{0}.out 2>{0}.err </dev/null {1}>&-; echo $? >&{1}\n'.format(base, self.writes_fd)
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        status = self.status(time.monotonic() + limit)
        with open(base + '.out', errors='replace') as out, open(base + '.err', errors='replace') as err:
            result = Result(status, out.read(), err.read())
        if status is None:
            raise Stuck('it has not ended after {} s\n{}'.format(limit, result))
        return result

    def status(self, deadline):
        said = b''
        while not said.endswith(b'\n'):
            if not select.select([self.reads], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            piece = os.read(self.reads, 100)
            if not piece:
                raise Stuck('the shell ended')
            said += piece
        return int(said)

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()


def wait_until(what, is_so, limit=30):
    """For events; a limit that is met is a failure."""
    deadline = time.monotonic() + limit
    while True:
        value = is_so()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed('not so after {} s: {}'.format(limit, what))
        time.sleep(0.05)


def call(*argv, given=None, env=None, is_json=False):
    """A helper's own command, whose failure is the sandbox's."""
    done = subprocess.run(argv, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, cwd=TREE,
                          env=dict(os.environ, HOME=HOME, KUBECONFIG=HOME + '/kubeconfig.json', **(env or {})))
    if done.returncode != 0:
        raise Failed('{}: exit status {}: {}'.format(' '.join(argv), done.returncode, done.stderr.strip()))
    return json.loads(done.stdout) if is_json else done.stdout


def put_executable(name, text):
    path = os.path.join(BIN, name)
    with open(path, 'w') as file:
        file.write(text)
    os.chmod(path, 0o755)
