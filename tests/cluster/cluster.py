# SPDX-License-Identifier: Apache-2.0
"""The agent against a cluster: any that KUBECONFIG names, also a bare control plane without kubelets or a scheduler.

    cluster.py BUILD               (make test-cluster)
    cluster.py BUILD --standin     (make test-cluster STANDIN=1): against standin.py, on a machine without a cluster

The suite makes a namespace and a Node of its own, both named fairdial-test-RANDOM, and removes all that it made, also when
it fails or is interrupted. It needs the rights of an administrator. Nothing has to run in the cluster but the controllers:
pods are made by hand on that Node, which no kubelet stands for, and their addresses, conditions and ends are written by the
suite; so the cluster's own endpointslice controller writes the slices. The Node is tainted and unschedulable; DaemonSets that
tolerate everything may put a pod there, which goes with it.

The agent is a child of the suite, with a ServiceAccount's token. After each change, what `fairdial status --json` says has to
become what the API's Services and slices say, by rules that objects.py writes anew, and what the step expects of both.
The pods' addresses are of 10.99.0.0/16; they are dialed in a network namespace where they are this machine's own, by curl
under the shim, with the agent's table.

What the stand-in cannot prove, and a cluster can: that the requests, selectors and parameters are such as a real API server
takes; its validation and its defaults; versions that expire (410), 429, closed connections and GOAWAY; slices as the real
controller cuts, orders and keeps them, and mirrors those of a Service that lost its selector; the time between a change and
its slice; RBAC that takes a while to be known; tokens that expire; a certificate that a cluster issued; that manifests are
valid beyond the schemas and rules of tests/manifests, with which the stand-in judges them; Pod Security admission itself; and
the admission policy's CEL as a server compiles and evaluates it. The manifests are sent by dry run, into two more namespaces;
only the admission policy is made, for one of these, and removed.

Exit status: 0 all passed, 1 something failed, 2 it could not begin.
"""

import argparse
import json
import os
import random
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import threading
import time

import accepted
import api
import objects
from objects import LEFT_OUT, NOT_READY, READY, SERVING, TERMINATING
from outcome import Failed, Skipped, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SUFFIX = ''.join(random.choices(string.ascii_lowercase + string.digits, k=6))

steps = []


def step(function):
    """One test; its docstring is its name. They run in the order they are written in, on what the ones before left."""
    steps.append(function)
    return function


# ---- the agent ----


class Agent:
    """`fairdial agent` as a child."""

    def __init__(self, tool, folder):
        self.tool, self.folder = tool, folder
        self.dir = os.path.join(folder, 'run')
        self.log_path = os.path.join(folder, 'agent.log')
        self.child = None
        os.mkdir(self.dir, 0o700)
        open(self.log_path, 'w').close()

    def start(self, kubeconfig, namespace):
        with open(self.log_path, 'ab') as log:
            self.child = subprocess.Popen([self.tool, 'agent', '--kubeconfig', kubeconfig, '--namespace', namespace, '--dir',
                                           self.dir], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self):
        with open(self.log_path, errors='replace') as file:
            return file.read().splitlines()

    def check_alive(self):
        if self.child and self.child.poll() is not None:
            raise Failed('the agent ended with status {}:\n{}'.format(self.child.returncode, '\n'.join(self.log()[-5:])))

    def status_text(self):
        """As people read it, with what it says on standard error."""
        return subprocess.run([self.tool, 'status', '--dir', self.dir], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True).stdout

    def status(self):
        self.check_alive()
        done = subprocess.run([self.tool, 'status', '--json', '--dir', self.dir], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return json.loads(done.stdout)

    def end(self, number=signal.SIGTERM, timeout_s=10):
        """Its exit status."""
        child, self.child = self.child, None
        if not child:
            return None
        if child.poll() is None:
            child.send_signal(number)
        try:
            return child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise Failed('the agent was still there {} s after signal {}'.format(timeout_s, number))


# ---- what the steps work on ----


class Suite:
    def __init__(self, cluster, build, folder):
        self.api = cluster
        self.name = self.ns = self.node = 'fairdial-test-' + SUFFIX
        self.folder = folder
        self.build = build
        self.shim = os.path.join(build, 'libfairdial.so')
        self.agent = Agent(os.path.join(build, 'fairdial'), folder)
        self.kubeconfig = os.path.join(folder, 'agent.json')
        self.addresses = {}  # of pods, by name
        self.made_namespace = self.made_node = False
        self.more_namespaces = []
        self.has_controller = False
        self.has_rights = False
        self.leaving = threading.Event()

    # -- the kubelet that the Node has not

    def heartbeat(self):
        """A Node that says nothing has its pods marked as not ready."""
        while not self.leaving.is_set():
            stamp = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
            try:
                self.api.patch('Node', None, self.node, {'status': {'conditions': [
                    {'type': 'Ready', 'status': 'True', 'reason': 'Test', 'lastHeartbeatTime': stamp}]}}, 'status')
            except (api.ApiError, OSError):
                pass  # the next one may come through
            self.leaving.wait(10)

    def add_pod(self, name, ready=True, labels=None, **ports):
        self.need_controller()
        if name not in self.addresses:
            self.addresses[name] = '10.99.{}.{}'.format(len(self.addresses) // 250, len(self.addresses) % 250 + 1)
        self.api.create(objects.pod(self.ns, name, self.node, 'agent', labels or {'app': 'web'},
                                    ports or {'http': 8080, 'alt': 8081}))
        self.set_ready(name, ready)

    def set_ready(self, name, ready):
        self.api.patch('Pod', self.ns, name, objects.pod_status(self.addresses[name], ready), 'status')

    def end_pod(self, name):
        self.api.delete('Pod', self.ns, name, 0)

    # -- what is expected

    def at(self, port, **states):
        """Endpoints by pods: at(8080, web_1=READY)."""
        return {'{}:{}'.format(self.addresses[name.replace('_', '-')], port): state for name, state in states.items()}

    def need_controller(self):
        if not self.has_controller:
            raise Skipped('the cluster has no endpointslice controller, or it passes pods of our Node over')

    def need_rights(self):
        if not self.has_rights:
            raise Skipped('the agent was given no rights')

    def said_by_api(self):
        return objects.of_api(self.api.items('Service', self.ns), self.api.items('EndpointSlice', self.ns))

    @staticmethod
    def check_wanted(want, table, who):
        wrong = []
        for key, endpoints in want.items():
            name, _, port = key.partition(' ')
            got = table[name]['ports'].get(port) if name in table else None
            if not port:  # whether the Service is there at all
                got = None if name not in table else table[name]['ports']
            if got != endpoints:
                wrong.append('{}: {} says {}, expected is {}'.format(key, who, got, endpoints))
        if wrong:
            raise Failed('\n'.join(wrong))

    def settle(self, want):
        """Waits until table and API say the same, and of what `want` names that. `want`: {'web 80/TCP http': endpoints},
        {'web': None} where there is to be no such Service."""
        self.need_rights()

        def attempt():
            expected = self.said_by_api()
            self.check_wanted(want, expected, 'the API')
            status = self.agent.status()
            table = objects.of_status(status, self.ns)
            self.check_wanted(want, table, 'fairdial')
            wrong = objects.differences(expected, table)
            if wrong:
                raise Failed('\n'.join(['fairdial status, beside the API:'] + wrong))
            if not status['agent']['alive']:
                raise Failed('fairdial status says that the agent is silent')
            return True
        wait_until('the table said what the API does', attempt)

    def namespace_of(self, level):
        """One of its own that enforces a level of the Pod Security Standards, with the account that pods name."""
        name = '{}-{}'.format(self.ns, level)
        if name not in self.more_namespaces:
            self.api.create(objects.namespace(name, {'pod-security.kubernetes.io/' + mode: level
                                                     for mode in ('enforce', 'warn')}))
            self.more_namespaces.append(name)
            self.api.create(objects.account(name, 'agent'))
        return name

    # -- beginning and end

    def begin(self):
        self.api.create(objects.namespace(self.ns))
        self.made_namespace = True
        self.api.create(objects.account(self.ns, 'agent'))
        token = self.api.request('POST', self.api.path('ServiceAccount', self.ns, 'agent', 'token'), {
            'kind': 'TokenRequest', 'apiVersion': 'authentication.k8s.io/v1', 'spec': {'expirationSeconds': 3600}})
        with open(self.kubeconfig, 'w', opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(self.api.credentials.kubeconfig_for(token['status']['token'], self.ns), file)
        self.api.create(objects.node(self.node))
        self.made_node = True
        threading.Thread(target=self.heartbeat, daemon=True).start()

    @staticmethod
    def removed(call, *arguments):
        """True when it is gone; what cannot be removed is told by the caller."""
        try:
            call(*arguments)
        except api.ApiError as error:
            return error.code == 404
        return False

    def remove_contents(self):
        for kind in ('Pod', 'Service', 'EndpointSlice', 'RoleBinding', 'Role'):
            for item in self.api.items(kind, self.ns):
                self.removed(self.api.delete, kind, self.ns, item['metadata']['name'], 0)

    def end(self):
        """Removes everything. What stays is named."""
        self.leaving.set()
        try:
            self.agent.end()
        except Failed as failed:
            print('note: ' + str(failed))
        try:
            for name in self.more_namespaces:
                self.removed(self.api.delete, 'Namespace', None, name)
            if self.made_namespace:
                self.remove_contents()
                self.removed(self.api.delete, 'Namespace', None, self.ns)
            if self.made_node:
                self.removed(self.api.delete, 'Node', None, self.node)
            for name in self.more_namespaces + [self.ns] * self.made_namespace:
                wait_until('a namespace was gone', lambda it=name: self.removed(self.api.get, 'Namespace', None, it))
        except (Failed, api.ApiError, OSError) as error:
            print('note: namespace and node {} may be left: {}'.format(self.name, error))


# ---- without rights ----


def about_rights(lines):
    """Those that tell which Role is missing: of what resource."""
    return [line for line in lines if 'role' in line.lower() and ('services' in line or 'endpointslices' in line)]


@step
def without_rights(s):
    """without rights, log and status say what is missing and which Role mends it"""
    s.agent.start(s.kubeconfig, s.ns)

    def said():
        s.agent.check_alive()
        if not about_rights(s.agent.log()):
            raise Failed('its log:\n' + '\n'.join(s.agent.log()[-5:]))
        if not about_rights(s.agent.status_text().splitlines()):
            raise Failed('fairdial status:\n' + s.agent.status_text())
        return True
    wait_until('both named the Role', said)


# ---- the first objects ----


@step
def objects_are_made(s):
    """the cluster takes the Services, and its controller writes slices of their pods"""
    create, ns = s.api.create, s.ns
    create(objects.service(ns, 'web', [('http', 80, 'http'), ('admin', 81, 9090)], {'app': 'web'}))
    create(objects.service(ns, 'peers', [('http', 8080, 'http')], {'app': 'web'}, clusterIP='None'))
    create(objects.service(ns, 'sticky', [(None, 80, 'http')], {'app': 'web'}, sessionAffinity='ClientIP'))
    create(objects.service(ns, 'local', [(None, 80, 'http')], {'app': 'web'}, internalTrafficPolicy='Local'))
    create(objects.service(ns, 'empty', [(None, 80, 80)], {'app': 'nobody'}))
    create(objects.service(ns, 'manual', [('', 3306, 3306)]))
    create(objects.external_name(ns, 'outside'))
    create(objects.slice_(ns, 'manual-1', 'manual', {'': 3306}, {'10.99.200.1': None, '10.99.200.2': {'ready': True}}))
    create(objects.slice_(ns, 'manual-2', 'manual', {'': 3307}, {'10.99.200.3': {'ready': False}}))
    s.has_controller = True
    for name in ('web-1', 'web-2', 'web-3'):
        s.add_pod(name)
    try:
        wait_until('the controller had written slices of three pods',
                   lambda: len(s.said_by_api()['web']['ports']['80/TCP http']) == 3)
    except Failed:
        s.has_controller = False
        s.need_controller()


@step
def with_rights(s):
    """given the Role, the agent recovers and the table says what the API does"""
    s.agent.check_alive()
    s.api.create(objects.role(s.ns, 'fairdial'))
    s.api.create(objects.role_binding(s.ns, 'fairdial', 'fairdial', 'agent'))
    s.has_rights = True
    s.settle({'manual 3306/TCP ': {'10.99.200.1:3306': READY, '10.99.200.2:3306': READY, '10.99.200.3:3307': NOT_READY}})


@step
def rights_are_said_once(s):
    """the log says once what was missing, and status no longer"""
    s.need_rights()
    lines = about_rights(s.agent.log())
    for resource in ('services', 'endpointslices'):
        said = [line for line in lines if resource in line]
        if len(said) > 2:  # one line may name both in its Role, and another be about the other one
            raise Failed('{} times:\n{}'.format(len(said), '\n'.join(said)))
    if len(set(lines)) != len(lines):
        raise Failed('the same again:\n' + '\n'.join(lines))
    wait_until('status forgot about the Role', lambda: not about_rights(s.agent.status_text().splitlines()))


@step
def kinds_of_services(s):
    """two ports, headless, sticky, local, empty and external Services are what they are in the API"""
    s.need_controller()
    ready = s.at(8080, web_1=READY, web_2=READY, web_3=READY)
    s.settle({
        'web 80/TCP http': ready,
        'web 81/TCP admin': s.at(9090, web_1=READY, web_2=READY, web_3=READY),
        'peers 8080/TCP http': ready,
        'sticky 80/TCP ': ready,
        'local 80/TCP ': s.at(8080, web_1=LEFT_OUT, web_2=LEFT_OUT, web_3=LEFT_OUT),
        'empty 80/TCP ': {},
        'outside': None,
    })


# ---- pods come and go ----


@step
def scale_up(s):
    """pods that are added come in"""
    s.need_controller()
    for i in range(4, 8):
        s.add_pod('web-{}'.format(i))
    s.settle({'web 80/TCP http': s.at(8080, **{'web_{}'.format(i): READY for i in range(1, 8)})})


@step
def scale_down(s):
    """pods that are gone leave"""
    s.need_controller()
    for name in ('web-2', 'web-6', 'web-7'):
        s.end_pod(name)
    s.settle({'web 80/TCP http': s.at(8080, web_1=READY, web_3=READY, web_4=READY, web_5=READY)})


@step
def readiness(s):
    """a pod that is not ready stays and is not dialed, until it is ready again"""
    s.need_controller()
    s.set_ready('web-3', False)
    s.settle({'web 80/TCP http': s.at(8080, web_1=READY, web_3=NOT_READY, web_4=READY, web_5=READY)})
    s.set_ready('web-3', True)
    s.settle({'web 80/TCP http': s.at(8080, web_1=READY, web_3=READY, web_4=READY, web_5=READY)})


@step
def named_port_differs(s):
    """a pod whose port of that name has another number is dialed there"""
    s.need_controller()
    s.add_pod('web-8', http=8088, alt=8081)
    s.settle({'web 80/TCP http': dict(s.at(8080, web_1=READY, web_3=READY, web_4=READY, web_5=READY), **s.at(8088, web_8=READY)),
              'web 81/TCP admin': s.at(9090, web_1=READY, web_3=READY, web_4=READY, web_5=READY, web_8=READY)})


@step
def port_is_missing(s):
    """a pod without a port of that name is an endpoint of the other port alone"""
    s.need_controller()
    s.add_pod('web-9', other=1234)
    want = dict(s.at(8080, web_1=READY, web_3=READY, web_4=READY, web_5=READY), **s.at(8088, web_8=READY))
    s.settle({'web 80/TCP http': want, 'peers 8080/TCP http': want,
              'web 81/TCP admin': s.at(9090, web_1=READY, web_3=READY, web_4=READY, web_5=READY, web_8=READY, web_9=READY)})
    s.end_pod('web-9')


@step
def one_terminates(s):
    """a pod that terminates is kept and not dialed while others are ready"""
    s.need_controller()
    s.api.delete('Pod', s.ns, 'web-1')
    s.settle({'web 80/TCP http': dict(s.at(8080, web_1=TERMINATING, web_3=READY, web_4=READY, web_5=READY),
                                      **s.at(8088, web_8=READY))})


# ---- dials ----


def can_enter_namespace():
    """The command that runs another in a network namespace of its own."""
    for command in (['unshare', '-n'], ['unshare', '-rn']):
        if shutil.which('unshare') and subprocess.run(command + ['true'], stderr=subprocess.DEVNULL).returncode == 0:
            return command
    raise Skipped('no network namespace of its own: this needs unshare(1), and root or user namespaces')


def check_even(url, counts, expected, runs):
    if set(counts) - set(expected):
        raise Failed('{}: answers that none of the ready endpoints gave: {}'.format(url, dict(counts)))
    numbers = [counts.get(where, 0) for where in expected]
    if max(numbers) - min(numbers) > 2:
        raise Failed('{}: {} dials were not even: {}'.format(url, runs, dict(counts)))


@step
def dials_are_even(s):
    """curl under the shim reaches all ready endpoints evenly, and no other"""
    s.need_controller()
    s.need_rights()
    missing = [program for program in ('curl', 'ip') if not shutil.which(program)]
    if missing:
        raise Skipped('{} is not installed'.format(missing[0]))
    enter = can_enter_namespace()
    s.set_ready('web-3', False)
    ready = dict(s.at(8080, web_4=READY, web_5=READY), **s.at(8088, web_8=READY))
    others = s.at(8080, web_1=TERMINATING, web_3=NOT_READY)
    s.settle({'web 80/TCP http': dict(ready, **others)})
    # The Service exists nowhere there: a dial that the shim let through would not find a route.
    urls = {'http://{}/'.format(s.api.get('Service', s.ns, 'web')['spec']['clusterIP']): sorted(ready)}
    urls[next(iter(urls))[:-1] + ':81/'] = sorted(s.at(9090, web_4=READY, web_5=READY, web_8=READY))
    runs = 30
    spec = {'backends': sorted({where for one in list(urls.values()) + [others] for where in one}), 'urls': sorted(urls),
            'runs': runs, 'preload': s.shim,
            # A ledger of its own: the agent sees no connections of another network namespace.
            'environment': {'FAIRDIAL_DIR': s.agent.dir, 'FAIRDIAL_LEDGER': os.path.join(s.folder, 'ledger')}}
    path = os.path.join(s.folder, 'dial.json')
    with open(path, 'w') as file:
        json.dump(spec, file)
    done = subprocess.run(enter + [sys.executable, os.path.join(HERE, 'dial.py'), path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        raise Failed('dial.py: ' + done.stderr.strip())
    for url, counts in json.loads(done.stdout).items():
        check_even(url, counts, urls[url], runs)


@step
def all_terminate(s):
    """while all terminate, those that still serve are dialed"""
    s.need_controller()
    s.set_ready('web-3', False)
    for name in ('web-4', 'web-5', 'web-8'):
        s.api.delete('Pod', s.ns, name)
    s.settle({'web 80/TCP http': dict(s.at(8080, web_1=SERVING, web_3=NOT_READY, web_4=SERVING, web_5=SERVING),
                                      **s.at(8088, web_8=SERVING))})
    s.set_ready('web-1', False)
    s.settle({'web 80/TCP http': dict(s.at(8080, web_1=TERMINATING, web_3=NOT_READY, web_4=SERVING, web_5=SERVING),
                                      **s.at(8088, web_8=SERVING))})


@step
def all_are_replaced(s):
    """new pods take over, and nothing of the old ones stays"""
    s.need_controller()
    for i in (10, 11, 12):
        s.add_pod('web-{}'.format(i))
    for name in ('web-1', 'web-3', 'web-4', 'web-5', 'web-8'):
        s.end_pod(name)
    s.settle({'web 80/TCP http': s.at(8080, web_10=READY, web_11=READY, web_12=READY)})


@step
def address_is_given_on(s):
    """an address that a terminating pod had, and a new one has, is dialed"""
    s.need_controller()
    for old, new in (('web-10', 'web-13'), ('web-12', 'web-0')):  # one before, one behind the other in the order of names
        s.api.delete('Pod', s.ns, old)
        s.addresses[new] = s.addresses[old]
        s.add_pod(new)
    s.settle({'web 80/TCP http': s.at(8080, web_0=READY, web_11=READY, web_13=READY)})
    for old in ('web-10', 'web-12'):
        s.end_pod(old)
    s.settle({'web 80/TCP http': s.at(8080, web_0=READY, web_11=READY, web_13=READY)})


# ---- Services change ----


def patch_ports(s, *ports):
    s.api.patch('Service', s.ns, 'web', {'spec': {'ports': [
        {'name': name, 'port': port, 'targetPort': target, 'protocol': 'TCP'} for name, port, target in ports]}})


@step
def port_is_renamed(s):
    """a port of a Service that gets another name keeps its endpoints"""
    s.need_controller()
    patch_ports(s, ('www', 80, 'http'), ('admin', 81, 9090))
    s.settle({'web 80/TCP www': s.at(8080, web_0=READY, web_11=READY, web_13=READY)})


@step
def target_port_changes(s):
    """another targetPort, by name or number, is where the endpoints are then"""
    s.need_controller()
    patch_ports(s, ('www', 80, 'alt'), ('admin', 81, 9091))
    s.settle({'web 80/TCP www': s.at(8081, web_0=READY, web_11=READY, web_13=READY),
              'web 81/TCP admin': s.at(9091, web_0=READY, web_11=READY, web_13=READY)})


@step
def port_is_removed(s):
    """a port that a Service no longer has is gone, and a new one is there"""
    s.need_controller()
    patch_ports(s, ('www', 8000, 'http'))
    s.settle({'web': {'8000/TCP www': s.at(8080, web_0=READY, web_11=READY, web_13=READY)}})


@step
def service_is_made_anew(s):
    """a Service that is deleted is gone, and one made anew has its own address"""
    s.need_controller()
    s.api.delete('Service', s.ns, 'web')
    try:
        s.settle({'web': None})
    finally:  # the steps that follow need it
        s.api.create(objects.service(s.ns, 'web', [('http', 80, 'http')], {'app': 'web'}))
    s.settle({'web': {'80/TCP http': s.at(8080, web_0=READY, web_11=READY, web_13=READY)}})


# ---- slices by hand ----


@step
def slice_changes_hands(s):
    """a slice whose label is changed belongs to the other Service"""
    s.api.create(objects.service(s.ns, 'other', [('', 3306, 3306)]))
    s.api.patch('EndpointSlice', s.ns, 'manual-1', {'metadata': {'labels': {objects.SERVICE_LABEL: 'other'}}})
    s.settle({'manual 3306/TCP ': {'10.99.200.3:3307': NOT_READY},
              'other 3306/TCP ': {'10.99.200.1:3306': READY, '10.99.200.2:3306': READY}})
    s.api.patch('EndpointSlice', s.ns, 'manual-1', {'metadata': {'labels': {objects.SERVICE_LABEL: None}}})
    s.settle({'manual 3306/TCP ': {'10.99.200.3:3307': NOT_READY}, 'other 3306/TCP ': {}})
    s.api.patch('EndpointSlice', s.ns, 'manual-1', {'metadata': {'labels': {objects.SERVICE_LABEL: 'manual'}}})
    s.settle({'manual 3306/TCP ': {'10.99.200.1:3306': READY, '10.99.200.2:3306': READY, '10.99.200.3:3307': NOT_READY},
              'other 3306/TCP ': {}})


@step
def slice_loses_its_port(s):
    """a slice whose port has another name than the Service's adds nothing"""
    s.api.patch('EndpointSlice', s.ns, 'manual-2', {'ports': [{'name': 'mysql', 'port': 3307, 'protocol': 'TCP'}]})
    s.settle({'manual 3306/TCP ': {'10.99.200.1:3306': READY, '10.99.200.2:3306': READY}})
    s.api.delete('EndpointSlice', s.ns, 'manual-1')
    s.settle({'manual 3306/TCP ': {}})


@step
def selector_is_lost(s):
    """a Service that loses its selector keeps its endpoints, and gets what is written by hand but no pods"""
    s.need_controller()
    was = s.at(8080, web_0=READY, web_11=READY, web_13=READY)
    s.api.patch('Service', s.ns, 'web', {'spec': {'selector': None}})
    s.settle({'web 80/TCP http': was})
    s.add_pod('web-14')
    s.settle({'peers 8080/TCP http': dict(was, **s.at(8080, web_14=READY)), 'web 80/TCP http': was})
    s.api.create(objects.slice_(s.ns, 'by-hand', 'web', {'http': 8089}, {'10.99.200.9': None}))
    s.settle({'web 80/TCP http': dict(was, **{'10.99.200.9:8089': READY})})


# ---- the agent's own end ----


@step
def killed_agent_is_succeeded(s):
    """after an agent was killed, the next one publishes what happened meanwhile"""
    s.need_rights()
    s.agent.end(signal.SIGKILL)
    s.api.create(objects.slice_(s.ns, 'manual-3', 'manual', {'': 3308}, {'10.99.200.4': None}))
    s.api.delete('EndpointSlice', s.ns, 'manual-2')
    s.agent.start(s.kubeconfig, s.ns)
    s.settle({'manual 3306/TCP ': {'10.99.200.4:3308': READY}})


@step
def agent_ends_well(s):
    """SIGTERM ends the agent with status 0"""
    s.agent.check_alive()
    status = s.agent.end()
    if status != 0:
        raise Failed('it was {}'.format(status))


# ---- running ----


def run_steps(suite):
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    reasons = []
    for function in steps + accepted.steps:
        name = function.__doc__
        begun = time.monotonic()
        try:
            function(suite)
            outcome, text = 'passed', ''
        except Skipped as skipped:
            outcome, text = 'skipped', str(skipped)
            if text not in reasons:
                reasons.append(text)
        except (Failed, api.ApiError, OSError, KeyError, RuntimeError) as failed:
            outcome, text = 'failed', str(failed) or repr(failed)
        counts[outcome] += 1
        word = {'passed': 'ok', 'failed': 'FAIL', 'skipped': 'skip'}[outcome]
        print('{:5} {} ({:.1f} s)'.format(word, name, time.monotonic() - begun))
        if text:
            print('      ' + text.replace('\n', '\n      '))
        sys.stdout.flush()
    if counts['failed']:
        print('the end of the agent\'s log:\n      ' + '\n      '.join(suite.agent.log()[-30:]))
    return counts, reasons


def start_standin(folder):
    """Its process, when it answers; KUBECONFIG names it from then on."""
    child = subprocess.Popen([sys.executable, os.path.join(HERE, 'standin.py'), folder])
    path = os.path.join(folder, 'kubeconfig.json')
    try:
        wait_until('the stand-in had begun', lambda: child.poll() is not None or os.path.exists(path), 30)
        if child.poll() is not None:
            raise Failed('the stand-in ended with status {}'.format(child.returncode))
    except BaseException:
        child.kill()
        raise
    os.environ['KUBECONFIG'] = path
    for name in ('http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'):
        os.environ.pop(name, None)
    return child


def run(build, folder):
    config = api.read_kubeconfig()
    credentials = api.Credentials(config, os.path.dirname(os.path.abspath(os.environ['KUBECONFIG'])))
    suite = Suite(api.Api(credentials), build, folder)
    print('cluster {}, context {}, namespace {}'.format(credentials.cluster['server'], credentials.context, suite.ns))
    try:
        try:
            suite.begin()
        except (api.ApiError, OSError) as error:
            raise api.Unusable('cannot begin: {}'.format(error))
        counts, reasons = run_steps(suite)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the end is not to be cut short
        suite.end()
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**counts) +
          (': ' + '; '.join(reasons) if reasons else ''))
    return 1 if counts['failed'] else 0


def interrupted(number, _):
    raise KeyboardInterrupt(number)


def main():
    parser = argparse.ArgumentParser(description='The agent against the cluster that KUBECONFIG names.')
    parser.add_argument('build', help='the folder with fairdial and libfairdial.so')
    parser.add_argument('--standin', action='store_true', help='against a stand-in for a cluster, on this machine')
    args = parser.parse_args()
    if not args.standin and not os.environ.get('KUBECONFIG'):
        print('test-cluster: set KUBECONFIG to the kubeconfig of a cluster you administer, or try STANDIN=1', file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    folder = tempfile.mkdtemp(prefix='fairdial-cluster-')
    standin = None
    try:
        if args.standin:
            os.mkdir(os.path.join(folder, 'standin'))
            standin = start_standin(os.path.join(folder, 'standin'))
        return run(os.path.abspath(args.build), folder)
    except (api.Unusable, Failed) as error:
        print('test-cluster: {}'.format(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('test-cluster: interrupted', file=sys.stderr)
        return 130
    finally:
        if standin:
            standin.terminate()
            standin.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
