# SPDX-License-Identifier: Apache-2.0
"""The README's pictures of a terminal: what the program itself prints of a small pod, and what make prints.

    picture.py TOP BUILD                   takes them anew, and puts them into TOP/README.md
    picture.py TOP BUILD --show COMMAND    prints one

The pod: three servers behind a Service `web`, two behind a Service `mysql`, programs that dial the one, one after the other, and
some that keep what they have.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import sandbox  # noqa: E402
from sandbox import Failed, wait_until  # noqa: E402

TOP, HELP = 'fairdial top --once', 'make help'
COMMANDS = [TOP, HELP]
BEGIN, END = '<!-- picture:', '<!-- end of picture -->'

WEB = ['10.244.1.11', '10.244.1.12', '10.244.2.13']
MYSQL = ['10.244.1.21', '10.244.2.22']
SERVICES = {'services': [
    {'name': 'web', 'namespace': 'shop', 'addresses': ['10.96.0.10'], 'ports': [{'port': 80}], 'balance': 'round_robin',
     'endpoints': [a + ':8080' for a in WEB]},
    {'name': 'mysql', 'namespace': 'shop', 'addresses': ['10.96.0.20'], 'ports': [{'port': 3306}], 'balance': 'least_conn',
     'endpoints': [a + ':3306' for a in MYSQL]}]}

# Connections that are kept until the end of its input.
KEEP = '''import socket, sys
kept = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(int(sys.argv[3]))]
print('kept', flush=True)
sys.stdin.read()
'''


def is_of(item):
    return item.page == 'README.md' and item.kind == 'console' and item.text in COMMANDS


def form(text):
    """What stays of a text when numbers and the width of columns do not count."""
    text = re.sub(r'^[0-9]{4}-[0-9-]+T[0-9:.]+Z ', '', text, flags=re.M)  # of a trace
    text = re.sub('[\u2580-\u259f]+', ' ', text)  # bars
    lines = [re.sub(r'[0-9]+(\.[0-9]+)*', '0', re.sub(r'[ \t]+', ' ', line.strip())) for line in text.strip().splitlines()]
    return [re.sub(r'\b0 (ms|s|m|min)\b', '0 s', line) for line in lines]


class Scene:
    def __init__(self, top, build):
        self.top, self.build, self.folder, self.children = top, build, tempfile.mkdtemp(prefix='fairdial-picture-'), []

    def start(self, *argv, **more):
        child = subprocess.Popen(argv, stderr=subprocess.DEVNULL, **more)
        self.children.append(child)
        return child

    def serve(self, address, port):
        subprocess.run(['ip', 'address', 'add', address + '/32', 'dev', 'lo'], check=True)
        self.start(sys.executable, self.top + '/examples/curl/backend.py', address, str(port), 'x', stdout=subprocess.DEVNULL)
        wait_until('a server answers at ' + address, lambda: self.dial('http://{}:{}/'.format(address, port), {}))

    def env(self):
        return {'FAIRDIAL_DIR': self.folder + '/run', 'LD_PRELOAD': self.build + '/libfairdial.so'}

    def dial(self, url, env):
        return subprocess.run(['curl', '-s', '--max-time', '10', url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=dict(os.environ, **env)).returncode == 0

    def keep(self, host, port, count):
        child = self.start(sys.executable, '-c', KEEP, host, str(port), str(count), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           env=dict(os.environ, **self.env()))
        if child.stdout.readline() != b'kept\n':
            raise Failed('the picture: {} is not dialed'.format(host))

    def play(self):
        with open(self.folder + '/services.json', 'w') as file:
            json.dump(SERVICES, file)
        subprocess.run([self.build + '/fairdial', 'publish', '--services', 'services.json', '--dir', 'run'], cwd=self.folder,
                       check=True, stdout=subprocess.DEVNULL)
        for address in WEB:
            self.serve(address, 8080)
        for address in MYSQL:
            self.serve(address, 3306)
        self.keep('web', 80, 4)
        self.keep('mysql', 3306, 6)
        self.dial_web(26)

    def dial_web(self, count):
        for _ in range(count):
            if not self.dial('http://web/', self.env()):
                raise Failed('the picture: a dial has failed')

    def tell(self, *words):
        env = dict(os.environ, LANG='C.UTF-8', LC_ALL='C.UTF-8', COLUMNS='112')
        done = subprocess.run([self.build + '/fairdial'] + list(words) + ['--dir', self.folder + '/run'], stdout=subprocess.PIPE,
                              check=True, universal_newlines=True, cwd=self.folder, env=env)
        return done.stdout.replace(self.folder + '/', '')

    def shot(self):
        """While somebody dials, so that there are rates."""
        dialing = threading.Event()
        thread = threading.Thread(target=lambda: [self.dial_web(1) for _ in iter(dialing.is_set, True)])
        thread.start()
        try:
            return self.tell(*TOP.split()[1:])
        finally:
            dialing.set()
            thread.join()

    def end(self):
        for child in self.children:
            child.kill()
            child.wait()
        shutil.rmtree(self.folder)


def taken(command, top, build):
    if command == HELP:
        return subprocess.run(command.split() + ['--no-print-directory'], cwd=top, check=True, stdout=subprocess.PIPE,
                              universal_newlines=True).stdout
    scene = Scene(top, build)
    try:
        scene.play()
        return scene.shot()
    finally:
        scene.end()


def parts(page, command):
    """Before a picture, it, and behind it."""
    form_of_it = r'({}[^\n]*\n```console\n\$ {}\n)(.*?)(```\n{})'.format(*map(re.escape, (BEGIN, command, END)))
    found = re.search(form_of_it, page, re.S)
    if not found:
        raise Failed('the README has no place for the picture of "{}"'.format(command))
    return page[:found.start(2)], found.group(2), page[found.end(2):]


def check(command):
    with open(sandbox.TREE + '/README.md') as file:
        shown = parts(file.read(), command)[1]
    # In a network of its own.
    env = {k: v for k, v in os.environ.items() if k != sandbox.INSIDE}
    done = subprocess.run([sys.executable, sandbox.HERE + '/picture.py', sandbox.TREE, sandbox.TREE + '/build', '--show', command],
                          env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        raise Failed(done.stderr)
    if form(shown) != form(done.stdout):
        raise Failed('its form is another one now (make readme takes it anew); the README shows\n{}\nand this is printed\n{}'.format(
            shown, done.stdout))


def main():
    top, build = [os.path.abspath(path) for path in sys.argv[1:3]]
    sandbox.enter()
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    if sys.argv[3:4] == ['--show']:
        print(taken(sys.argv[4], top, build), end='')
        return
    path = os.path.join(top, 'README.md')
    with open(path) as file:
        page = file.read()
    for command in COMMANDS:
        before, _, behind = parts(page, command)
        page = before + taken(command, top, build) + behind
    with open(path, 'w') as file:
        file.write(page)
    print('README.md: its pictures are taken anew')


if __name__ == '__main__':
    try:
        main()
    except (sandbox.Unusable, Failed) as error:
        print('readme: {}'.format(error), file=sys.stderr)
        sys.exit(1)
