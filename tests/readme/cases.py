# SPDX-License-Identifier: Apache-2.0
"""What executes each command of each page, and what has to come of it.

A row is a command as the page has it, word for word, and a case; where a page has it more than once, a list of cases in its order.
A command without a row, and a row whose command is gone, are failures.
"""

import collections
import json
import os
import re
import shutil
import socket
import subprocess

import cluster
from sandbox import BIN, HERE, HOME, TREE, Failed, call, put_executable, wait_until


listeners = []


class Skipped(Exception):
    """Not to be executed on this machine: why."""


# `before` and `after` are functions of the run (check.py): .item, .result, .shell, .world. `variant`: what is executed in its
# place.
Case = collections.namedtuple('Case', 'status out err before after variant stub limit')


def case(*, status=0, out='', err='', before=None, after=None, variant=None, stub=None, limit=60):
    """`out`, `err`: patterns that have to be found there, one or a list. `stub`: why a part of it is not the real one."""
    out, err = [[patterns] if isinstance(patterns, str) else patterns for patterns in (out, err)]
    return Case(status, out, err, before, after, variant, stub, limit)


# Executed by `where`, which has to hold `needle` on a line; `why` not here.
Elsewhere = collections.namedtuple('Elsewhere', 'where needle why')


def ci(needle, why='takes longer than a reader of this check waits'):
    return Elsewhere('.ci/run', needle, why)


def must(condition, what):
    if not condition:
        raise Failed(what)


# ---- servers and programs ----


def answers(address):
    url = 'http://{}:8080/'.format(address)
    return subprocess.run(['curl', '-s', '--max-time', '5', url], stdout=subprocess.DEVNULL).returncode == 0


def servers_answer(run):
    for address in ('127.0.0.1', '127.0.0.2'):
        wait_until('a server answers at ' + address, lambda a=address: answers(a))


def first_server_is_gone(run):
    wait_until('the first server has ended', lambda: not answers('127.0.0.1'))


def servers_are_gone(run):
    for address in ('127.0.0.1', '127.0.0.2'):
        wait_until('the server at {} has ended'.format(address), lambda a=address: not answers(a))


def both_answered(run):
    must(sorted(run.result.out.split()) == ['server-1', 'server-2'], 'not one answer of each server:\n{}'.format(run.result))


def is_built(run):
    for name in ('libfairdial.so', 'fairdial'):
        must(os.path.exists(os.path.join(TREE, 'build', name)), 'build/{} is not there'.format(name))


def is_in_path(run):
    os.symlink(HOME + '/.local/bin/fairdial', BIN + '/fairdial')
    must(os.path.exists(HOME + '/.local/lib/libfairdial.so'), 'the shim is not installed')
    call(BIN + '/fairdial', '--version')


# A program that nobody can change: it asks a server for its page, and prints what comes.
REPORT = r'''
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	const char *request = "GET / HTTP/1.0\r\n\r\n";
	char page[4096];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t n;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &found) || connect(fd, found->ai_addr, found->ai_addrlen))
		return 1;
	if (write(fd, request, strlen(request)) < 0)
		return 1;
	while ((n = read(fd, page, sizeof(page))) > 0)
		fwrite(page, 1, (size_t)n, stdout);
	return 0;
}
'''


def make_report(run):
    if not shutil.which('musl-gcc'):
        raise Skipped('musl-gcc is not installed')
    call('musl-gcc', '-x', 'c', '-o', TREE + '/report', '-', given=REPORT)


def make_api(run):
    if not shutil.which('go'):
        raise Skipped('go is not installed')
    with open(HOME + '/api.go', 'w') as file:
        file.write('package main\nimport "net"\nfunc main() { net.Dial("tcp", "web:80") }\n')
    call('go', 'build', '-o', TREE + '/api', HOME + '/api.go',
         env={'GOFLAGS': '-mod=mod', 'GOPROXY': 'off', 'GOCACHE': HOME + '/go'})


def needs_file(path):
    def check(run):
        if not os.path.exists(path):
            raise Skipped('{} is not installed'.format(path))
    return check


def needs_program(name):
    def check(run):
        if not shutil.which(name):
            raise Skipped('{} is not installed'.format(name))
    return check


def all_say(mode):
    def check(run):
        found = call('fairdial', 'status', '--json', '--dir', '/tmp/shop', is_json=True)['services']
        must({service['mode'] for service in found} == {mode}, 'not every Service is {}'.format(mode))
    return check


def with_own_ledger(run):
    must(os.path.exists(HOME + '/ledger'), 'there is no ledger where FAIRDIAL_LEDGER says')


def agents_can_be_trusted(run):
    if os.stat('/').st_uid != 0:
        raise Skipped('in this user namespace no folder belongs to root, and so no agent is started from one')


def agent_was_started(run):
    must(os.path.exists(HOME + '/auto/table'), 'no agent has made a table')


# ---- the cluster ----


def begin_cluster(run):
    """Real kubectl, and a server that stands in for a cluster's."""
    if run.world.cluster is None:
        real = shutil.which('kubectl')
        if not real:
            raise Skipped('kubectl is not installed')
        run.world.cluster = cluster.Cluster(real)


def inject_web(run):
    """What the pages say is so before them."""
    begin_cluster(run)
    if not run.world.cluster.agents():
        injected = call('fairdial', 'inject', given=json.dumps(run.world.cluster.get('deployment', 'web')))
        call(run.world.cluster.kubectl, 'apply', '-f', '-', given=injected)
        run.world.cluster.roll()
    elif not run.world.cluster.agent:
        run.world.cluster.roll()


def web_is_injected(run):
    spec = run.world.cluster.template()['spec']
    names, env = [c['name'] for c in spec.get('initContainers', [])], spec['containers'][0]['env']
    must(names == ['fairdial-install', 'fairdial-agent'], 'the Deployment is not injected')
    must({'name': 'LD_PRELOAD', 'value': '/opt/fairdial/libfairdial.so'} in env, 'the program has no LD_PRELOAD')
    must({'name': 'COLOUR', 'value': 'blue'} in env, 'the program has lost a variable of its own')


def web_is_as_before(run):
    must('fairdial' not in json.dumps(run.world.cluster.template()), 'fairdial is left in the Deployment')
    must(run.world.cluster.template()['spec'] == cluster.WEB['spec']['template']['spec'], 'the Deployment is not as before')
    run.world.cluster.roll()


def rolled_in_observe(run):
    web_is_injected(run)
    must(run.world.cluster.agents()[0]['image'] == 'REGISTRY/fairdial:0.1.0', 'the image is another one')
    run.world.cluster.roll()
    run.world.cluster.wait_for_mode('observe')
    run.world.cluster.must_dial(False)


def config_is_read(*modes):
    def check(run):
        run.world.cluster.sync_config()
        if run.world.cluster.agent:
            for mode in modes:
                run.world.cluster.wait_for_mode(mode)
            run.world.cluster.must_dial(modes[-1] == 'on')
    return check


def mysql_says_on(run):
    """So that what follows has something to override."""
    inject_web(run)
    run.world.cluster.write_config('services.json', '{"defaults": {"mode": "observe"}}')
    call(run.world.cluster.kubectl, 'annotate', '--overwrite', 'service', 'mysql', 'fairdial.dev/mode=on')
    run.world.cluster.wait_for_mode('on')
    run.world.cluster.must_dial(True)


def mode_is(mode):
    def check(run):
        run.world.cluster.wait_for_mode(mode)
        run.world.cluster.must_dial(mode == 'on')
    return check


def rights_are_there(run):
    rules = run.world.cluster.get('role', 'fairdial')['rules']
    resources = sorted(resource for rule in rules for resource in rule['resources'])
    must(resources == ['endpointslices', 'services'], 'the Role is about something else')
    must({v for rule in rules for v in rule['verbs']} == {'list', 'watch'}, 'the Role has other verbs than list and watch')
    run.world.cluster.get('rolebinding', 'fairdial:default')


def can_be_published(run):
    call('fairdial', 'publish', '--services', '-', '--dir', HOME + '/list', given=run.result.out)
    must('10.244.1.12:3306' in call('fairdial', 'status', '--dir', HOME + '/list'), 'the endpoints are not in the table')


def put_web_yaml(run):
    """As JSON, which is YAML."""
    begin_cluster(run)
    with open(TREE + '/web.yaml', 'w') as file:
        json.dump(cluster.WEB, file)


HELM = '''#!/bin/sh
[ "$*" = "template shop ./chart" ] || { echo "helm: this stub was to be asked for ./chart, not: $*" >&2; exit 1; }
echo ---
cat web.yaml
'''


def put_helm(run):
    put_web_yaml(run)
    put_executable('helm', HELM)


def put_docker(run):
    put_executable('docker', '#!/bin/sh\nexec python3 {}/stub_docker.py "$@"\n'.format(HERE))


def is_off_in_env(run):
    env = run.world.cluster.template()['spec']['containers'][0]['env']
    must({'name': 'FAIRDIAL', 'value': 'off'} in env, 'FAIRDIAL is not in the template')


def mesh_listens(run):
    """A mesh's proxy is known by where it listens."""
    mysql_says_on(run)
    listener = socket.create_server(('127.0.0.1', 15001))
    listeners.append(listener)
    status = TREE + '/build/fairdial status --dir /run/fairdial/pod'
    wait_until('the agent stands down', lambda: 'Istio listens on port 15001' in call(*status.split()))
    run.world.cluster.must_dial(False)


def mesh_is_ignored(run):
    command = run.world.cluster.agents()[0]['command']
    call('fairdial', *command[1:], '--help')
    must(command[-1] == '--ignore-mesh', 'the agent has another command: {}'.format(command))
    must(run.world.cluster.agents()[0]['image'], 'the rest of the container is gone')
    annotations = run.world.cluster.template()['metadata']['annotations']
    must(annotations['traffic.sidecar.istio.io/excludeOutboundPorts'] == '3306', 'the annotation is not there')
    run.world.cluster.roll()
    wait_until('the Service is spread', run.world.cluster.dial)
    run.world.cluster.must_dial(True)


def workers_are_there(run):
    found = run.world.cluster.get('statefulset', 'worker')
    must(found['spec']['template']['spec']['initContainers'][1]['name'] == 'fairdial-agent', 'the StatefulSet has no agent')


# ---- documents ----


def services_are_accepted(run):
    folder = '{}/document-{}'.format(HOME, run.item.line)
    call('fairdial', 'publish', '--services', '-', '--dir', folder, given=run.item.text)
    json.loads(run.item.text)


def nginx_accepts(run):
    needs_program('nginx')(run)
    with open(HOME + '/nginx.conf', 'w') as file:
        file.write(run.item.text + 'pid {0}/nginx.pid;\nevents {{}}\nhttp {{ access_log off; }}\n'.format(HOME))
    done = subprocess.run(['nginx', '-t', '-e', 'stderr', '-p', HOME, '-c', HOME + '/nginx.conf'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    must(done.returncode == 0, 'nginx refuses it: {}'.format(done.stdout.decode()))


def image_is_sound(run):
    """Each file that a variable names is where COPY puts it, of the image that the README builds."""
    copied = re.findall(r'^COPY --from=(\S+) (\S+) (\S+)$', run.item.text, re.M)
    must(len(copied) == 1, 'it does not COPY from one image')
    image, source, target = copied[0]
    tree = os.path.join(HOME, 'images', re.sub('[/:]', '_', image)) + source
    must(os.path.isdir(tree), 'no page builds the image {}'.format(image))
    shim = re.search(r'LD_PRELOAD=(\S+)', run.item.text).group(1)
    must(shim.startswith(target), 'LD_PRELOAD is not below what was copied')
    must(os.path.exists(os.path.join(tree, shim[len(target):])), 'the image has no {}'.format(shim))
    for name in re.findall(r'FAIRDIAL_[A-Z]+', run.item.text):
        with open(TREE + '/src/shim/settings.c') as file:
            must('"{}"'.format(name) in file.read(), 'the shim does not know {}'.format(name))


def is_written(run):
    """The first line of the document is its name."""
    name = re.match(r'# (\S+)\n', run.item.text)
    must(name, 'the first line does not name the file')
    with open(os.path.join(TREE, name.group(1)), 'w') as file:
        file.write(run.item.text)


# ---- the rows ----

LOOPS = case(after=servers_answer)
CURL = case(out=r'^server-[12]\n$')
KUBECTL = 'no cluster here: kubectl is the real one, its server a stand-in'
NO_POD = 'no pod runs here: what it would execute is executed in this sandbox, with the variables and mounts of the container'
INJECT = 'kubectl get deployment web -o json | fairdial inject '
CONFIGMAP = 'kubectl create configmap fairdial --from-file=services.json --dry-run=client -o yaml | kubectl apply -f -'

README = {
    'make build-deps && make': case(after=is_built, limit=900),
    'for i in 1 2; do python3 examples/curl/backend.py 127.0.0.$i 8080 server-$i & server[$i]=$!; done; sleep 1': LOOPS,
    "build/fairdial run --service 'web:80=127.0.0.1:8080,127.0.0.2:8080' -- sh -c 'curl -s http://web/; curl -s http://web/'": case(
        after=both_answered),
    'build/fairdial publish --services examples/services.json --dir /tmp/shop': case(out='published 2 services'),
    'FAIRDIAL_DIR=/tmp/shop LD_PRELOAD=$PWD/build/libfairdial.so curl -s http://web/': CURL,
    'build/fairdial status --dir /tmp/shop': case(out=[r'web .* mode on', r'127.0.0.[12]:8080 +0 +1 ']),
    'make install': case(variant='make install PREFIX=$HOME/.local', after=is_in_path, limit=900),
    'fairdial status --dir /tmp/shop': case(out='evenness'),
    'fairdial top --dir /tmp/shop': case(
        variant='fairdial top --dir /tmp/shop --once', out='web', stub='no terminal here: one frame of fairdial top'),
    'fairdial explain --dir /tmp/shop web:80': case(out=[r'next +127.0.0.[12]:8080', 'candidates']),
    'fairdial check --dir /tmp/shop curl': case(out='curl: covered'),
    'fairdial status --coverage --dir /tmp/shop': case(out='connections'),
    'kill ${server[1]}; sleep 1': case(after=first_server_is_gone),
    'for i in 1 2; do FAIRDIAL_TRACE=dial FAIRDIAL_DIR=/tmp/shop LD_PRELOAD=$PWD/build/libfairdial.so curl -s http://web/; done': case(
        out='^server-2\nserver-2\n$'),
    'kill ${server[2]}': case(after=servers_are_gone),
    'docker build -f examples/kubernetes/Dockerfile -t REGISTRY/fairdial:0.1.0 . && docker push REGISTRY/fairdial:0.1.0': case(
        before=put_docker, out='pushed',
        stub='no container engine here: docker is a stub that reads the Dockerfile; make check-image builds it'),
    'echo \'{"defaults": {"mode": "observe"}}\' >services.json': case(),
    CONFIGMAP: [
        case(before=begin_cluster, out='configmap/fairdial created', after=config_is_read('observe'), stub=KUBECTL),
        case(before=mysql_says_on, out='configmap/fairdial configured', after=config_is_read('off'), stub=KUBECTL)],
    INJECT + '--role | kubectl apply -f -': case(out='role.*created', after=rights_are_there, stub=KUBECTL),
    INJECT + '--image REGISTRY/fairdial:0.1.0 | kubectl diff -f -': case(
        status=1, out=r'\+ +value: /opt/fairdial/libfairdial.so', stub=KUBECTL),
    INJECT + '--image REGISTRY/fairdial:0.1.0 | kubectl apply -f -': case(
        out='web configured', after=rolled_in_observe, stub=KUBECTL),
    'kubectl exec deploy/web -- /opt/fairdial/bin/fairdial status': case(out=r'mysql.shop .* mode observe', stub=NO_POD),
    'kubectl exec deploy/web -- /opt/fairdial/bin/fairdial status --coverage': case(out=r'connections', stub=NO_POD),
    'kubectl annotate --overwrite service mysql fairdial.dev/mode=on': case(after=mode_is('on'), stub=KUBECTL),
    'kubectl annotate --overwrite service mysql fairdial.dev/mode=off': case(after=mode_is('off'), stub=KUBECTL),
    'echo \'{"mode": "off", "defaults": {"mode": "observe"}}\' >services.json': case(),
    INJECT + '--remove | kubectl apply -f -': case(out='web configured', after=web_is_as_before, stub=KUBECTL),
    'fairdial inject < web.yaml | kubectl apply -f -': case(before=put_web_yaml, after=web_is_injected, stub=KUBECTL),
    'helm template shop ./chart | fairdial inject | kubectl apply -f -': case(
        before=put_helm, after=web_is_injected, stub='no helm here: it is a stub that prints a chart of one Deployment'),
    'kubectl get services,endpointslices -o json': case(after=can_be_published, stub=KUBECTL),
    'fairdial help VERB': case(
        variant='for verb in run publish agent status top explain check install inject; do fairdial help $verb || break; done',
        out='Options:'),
    'json': case(after=services_are_accepted),
    'make': case(after=is_built, limit=900),
    'make deps': case(),
    'make build-deps': case(),
    'man -l src/man/fairdial.1': case(before=needs_program('man'), out='VERBS'),
    'make install PREFIX=$HOME/.local': case(after=lambda run: call(HOME + '/.local/bin/fairdial', '--version')),
    'make readme': case(out='README.md', limit=300),
    'make demo': ci('make demo'),
    'make bench': ci('make bench BENCH=', 'all of it is for a quiet machine; there, the parts that measure no time'),
    'make bench BENCH="calls memory"': ci('make bench BENCH="calls memory"'),
    'make bench BENCH=versus': ci('make bench BENCH=versus QUICK=1', 'all of it is for a quiet machine; there, what shows that it works'),
    'make bench-instructions': ci('make bench-instructions'),
    'make fuzz TIME=60': ci('fuzz TIME=4 SEED=1', 'takes minutes; there, for less long'),
    'make coverage': ci('make coverage T=duration', 'takes twenty minutes; there, of one test'),
    'make check-model': ci('make check-model'),
    'make chaos TIME=120': ci('make test', 'takes minutes; there, tests/integration/test_chaos.c plays seeds again'),
    'make soak': ci('make soak TIME=10', 'takes ten minutes; there, a few seconds of it'),
    'make test-cluster STANDIN=1': ci('make test-cluster STANDIN=1'),
    'KUBECONFIG=FILE make test-cluster': ci(
        'make test-cluster STANDIN=1', 'no cluster here: the same suite, against a stand-in, which it reaches by a KUBECONFIG'),
    'make check-layers': ci('check-layers'),
    'make check-hazards': ci('make check-hazards'),
    '.ci/run': Elsewhere('.ci/run', 'make check-readme', 'it executes this'),
}

RECIPES = {
    'fairdial install /opt/fairdial': case(after=lambda run: call('/opt/fairdial/bin/fairdial', '--version')),
    'fairdial publish --services examples/services.json --dir /tmp/shop': [
        case(out='published 2 services'),
        case(out='published 2 services', after=all_say('on'))],
    'for i in 1 2; do python3 examples/curl/backend.py 127.0.0.$i 8080 server-$i & server[$i]=$!; done; sleep 1': LOOPS,
    'export FAIRDIAL_DIR=/tmp/shop': case(),
    'kubectl annotate --overwrite service mysql fairdial.dev/mode=off': case(before=begin_cluster, out='annotated', stub=KUBECTL),
    'kubectl create configmap fairdial --from-literal=services.json=\'{"mode": "off"}\' --dry-run=client -o yaml | kubectl apply -f -': case(
        before=mysql_says_on, out='configmap/fairdial', after=config_is_read('off'), stub=KUBECTL),
    'sed \'1s/{/{ "mode": "off",/\' examples/services.json | fairdial publish --services - --dir /tmp/shop': case(
        out='published 2 services', after=all_say('off')),
    'kubectl set env deployment/web FAIRDIAL=off': case(before=inject_web, after=is_off_in_env, stub=KUBECTL),
    INJECT + '--remove | kubectl apply -f -': case(out='web configured', stub=KUBECTL),
    'dockerfile': case(after=image_is_sound),
    'fairdial check ./report': case(before=make_report, out='report: covered'),
    'fairdial run -- ./report web 80': case(before=make_report, out='^server-[12]$'),
    'readelf -V /opt/fairdial/libfairdial.so': case(out='^\nNo version information found in this file.'),
    'readelf -d /opt/fairdial/libfairdial.so | grep -c NEEDED': case(status=1, out='^0\n$'),
    'fairdial check java': case(before=needs_program('java'), out='java: covered'),
    'nginx': case(after=nginx_accepts),
    'env LD_PRELOAD=/opt/fairdial/libfairdial.so FAIRDIAL_DIR=/tmp/shop curl -s http://web/': CURL,
    "fairdial run -- sh -c 'curl -s http://web/; curl -s http://web/'": case(after=both_answered),
    'kubectl apply -f examples/kubernetes/sidecar/rbac.yaml -f examples/kubernetes/statefulset-client.yaml': case(
        before=begin_cluster, out='statefulset.apps/worker created', after=workers_are_there, stub=KUBECTL),
    'json': case(after=services_are_accepted),
    'yaml': case(after=is_written),
    'kubectl patch deployment web --patch-file beside-a-mesh.yaml': case(before=mesh_listens, after=mesh_is_ignored, stub=KUBECTL),
    'LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2:/opt/fairdial/libfairdial.so curl -s http://web/': case(
        before=needs_file('/usr/lib/x86_64-linux-gnu/libjemalloc.so.2'), out=r'^server-[12]\n$'),
    'fairdial inject --existing-preload /usr/lib/x86_64-linux-gnu/libjemalloc.so.2 < web.yaml': case(
        before=put_web_yaml, out='"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2:/opt/fairdial/libfairdial.so"'),
    'fairdial check ./api': case(before=make_api, status=1, out='go: a Go program'),
    'kubectl annotate --overwrite service web fairdial.dev/balance=round_robin': case(out='annotated', stub=KUBECTL),
    'FAIRDIAL_LEDGER=$HOME/ledger fairdial run -- curl -s http://web/': case(out=r'^server-[12]\n$', after=with_own_ledger),
    "FAIRDIAL_SERVICES='web:80=127.0.0.1:8080,127.0.0.2:8080' FAIRDIAL_AUTOSTART=1 FAIRDIAL_WAIT=30s FAIRDIAL_DIR=$HOME/auto "
    'LD_PRELOAD=/opt/fairdial/libfairdial.so curl -s http://web/': case(
        before=agents_can_be_trusted, out=r'^server-[12]\n$', after=agent_was_started),
    'kill ${server[@]}': case(after=servers_are_gone),
    'make demo': ci('make demo'),
    'make check-readme': Elsewhere('Makefile', 'tests/readme/check.py', 'this is it'),
}

# Commands of a form, on any page.
FORMS = [(r"make (unit|integration) T=\w+( N='[^']+')?$", ci('make test', 'it builds the tests; there, all of them run'))]

DETAILS = {
    **{text: README[text] for text in ('fairdial inject < web.yaml | kubectl apply -f -',
                                       'helm template shop ./chart | fairdial inject | kubectl apply -f -')},
    INJECT + '--remove | kubectl replace -f -': case(before=inject_web, out='web replaced', after=web_is_as_before, stub=KUBECTL),
    'kubectl replace --force -f web.yaml': case(out='web replaced', stub=KUBECTL),
    'SECONDS=300 make integration T=torture': ci('make test', 'there, for less long'),
    'make test-cluster': ci('make test-cluster STANDIN=1', 'no cluster here'),
    'make check-manifests': ci('make check-manifests'),
}

PAGES = {'README.md': README, 'examples/RECIPES.md': RECIPES, 'examples/DETAILS.md': DETAILS}
