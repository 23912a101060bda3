# SPDX-License-Identifier: Apache-2.0
"""A cluster of one pod, as far as the pages need one: kubectl is the real one and its server a stand-in (standin_kubectl.py).

What a kubelet would do with the Deployment `web` is done here: it installs the files, runs the agent, and puts the ConfigMap into
its place.
"""

import json
import os
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))

import api  # noqa: E402  from that folder
from sandbox import HERE, HOME, TREE, Failed, call, put_executable, wait_until  # noqa: E402

PODS = ['10.244.1.11', '10.244.1.12']
CONFIG = HOME + '/etc-fairdial'
ACCOUNT = '/run/secrets/kubernetes.io/serviceaccount'  # /var/run is /run

WEB = {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'name': 'web', 'namespace': 'shop'}, 'spec': {
    'selector': {'matchLabels': {'app': 'web'}}, 'template': {'metadata': {'labels': {'app': 'web'}}, 'spec': {
        'containers': [{'name': 'web', 'image': 'web:1', 'env': [{'name': 'COLOUR', 'value': 'blue'}]}]}}}}

KUBECTL = '''#!/bin/sh
# Nobody runs pods here: what is to be executed in one is executed in this sandbox, by stub_exec.py.
[ "$1" = exec ] && exec {python} {here}/stub_exec.py {real} "$@"
exec {real} "$@"
'''


def mysql():
    """A Service without a selector, so that its endpoints are ours to name."""
    labels = {'kubernetes.io/service-name': 'mysql', 'endpointslice.kubernetes.io/managed-by': 'readme'}
    return [{'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'mysql', 'namespace': 'shop'},
             'spec': {'ports': [{'name': 'mysql', 'port': 3306, 'targetPort': 3306, 'protocol': 'TCP'}]}},
            {'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice',
             'metadata': {'name': 'mysql-1', 'namespace': 'shop', 'labels': labels},
             'addressType': 'IPv4', 'ports': [{'name': 'mysql', 'port': 3306, 'protocol': 'TCP'}],
             'endpoints': [{'addresses': [address], 'conditions': {'ready': True}} for address in PODS]}]


class Cluster:
    def __init__(self, real_kubectl):
        self.children = []
        self.agent = None
        folder = HOME + '/api'
        os.mkdir(folder)
        self.start(sys.executable, HERE + '/standin_kubectl.py', folder)
        wait_until('the stand-in had begun', lambda: os.path.exists(folder + '/kubeconfig.json'))
        with open(folder + '/kubeconfig.json') as file:
            config = json.load(file)
        config['contexts'][0]['context']['namespace'] = 'shop'
        with open(HOME + '/kubeconfig.json', 'w') as file:
            json.dump(config, file)
        self.api = api.Api(api.Credentials(config, folder))
        put_executable('kubectl', KUBECTL.format(python=sys.executable, here=HERE, real=real_kubectl))
        self.kubectl = real_kubectl
        self.create({'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'shop'}}, WEB, *mysql(), {
            'apiVersion': 'v1', 'kind': 'ServiceAccount', 'metadata': {'name': 'default', 'namespace': 'shop'}}, {
            'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'web', 'namespace': 'shop'},
            'spec': {'ports': [{'port': 80}]}})
        for i, address in enumerate(PODS):
            call('ip', 'address', 'add', address + '/32', 'dev', 'lo')
            self.start('python3', 'examples/curl/backend.py', address, '3306', 'mysql-{}'.format(i + 1))
        os.mkdir(CONFIG)

    def start(self, *argv, env=None):
        child = subprocess.Popen(argv, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=open(HOME + '/children.log', 'a'), env=dict(os.environ, HOME=HOME, PYTHONDONTWRITEBYTECODE='1', **(env or {})))
        self.children.append(child)
        return child

    def create(self, *objects):
        for o in objects:
            call(self.kubectl, 'create', '--validate=false', '-f', '-', given=json.dumps(o))

    def get(self, kind, name):
        return call(self.kubectl, '-n', 'shop', 'get', kind, name, '-o', 'json', is_json=True)

    def template(self):
        return self.get('deployment', 'web')['spec']['template']

    def agents(self):
        return [c for c in self.template()['spec'].get('initContainers', []) if c['name'] == 'fairdial-agent']

    def give_account(self):
        """The token of the pod's account, which may do what the Roles say, and no more."""
        token = self.api.request('POST', self.api.path('ServiceAccount', 'shop', 'default', 'token'), {})['status']['token']
        os.makedirs(ACCOUNT, exist_ok=True)
        for name, text in (('token', token), ('namespace', 'shop'), ('ca.crt', open(HOME + '/api/cert.pem').read())):
            with open(os.path.join(ACCOUNT, name), 'w') as file:
                file.write(text)
        return {'KUBERNETES_SERVICE_HOST': '127.0.0.1', 'KUBERNETES_SERVICE_PORT': str(self.api.url.port)}

    def roll(self):
        """A pod of what the Deployment says now: what inject put there is executed, but for the image."""
        if self.agent:
            self.agent.terminate()
            self.agent.wait()
            self.agent = None
        os.makedirs('/run/fairdial', exist_ok=True)  # the volume
        for container in self.template()['spec'].get('initContainers', []):
            command = [word.replace('/bin/fairdial', TREE + '/build/fairdial').replace('/etc/fairdial', CONFIG)
                       for word in container['command']]
            if container.get('restartPolicy') == 'Always':
                self.agent = self.start(*command, env=dict(
                    self.give_account(), FAIRDIAL_DIR='/run/fairdial/pod', POD_NAME='web-1', POD_NAMESPACE='shop',
                    POD_IP='10.244.9.9', POD_IPS='10.244.9.9', HOST_IP='192.0.2.1', NODE_NAME='node-1'))
            else:
                call(*command)

    def sync_config(self):
        """What a kubelet does with the volume, within a minute or so."""
        for name, text in self.get('configmap', 'fairdial')['data'].items():
            self.write_config(name, text)

    @staticmethod
    def write_config(name, text):
        with open(CONFIG + '/.new', 'w') as file:
            file.write(text)
        os.rename(CONFIG + '/.new', os.path.join(CONFIG, name))

    def mode(self, service='mysql'):
        """As the table says; None: it is not there."""
        done = subprocess.run([TREE + '/build/fairdial', 'status', '--json', '--dir', '/run/fairdial/pod'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            return None
        found = [s for s in json.loads(done.stdout)['services'] if s['name'] == service]
        return found[0]['mode'] if found else None

    def wait_for_mode(self, mode, service='mysql'):
        wait_until('{} is {} in the table'.format(service, mode), lambda: self.mode(service) == mode)

    def dial(self):
        """What answers a shimmed dial of the Service's address: a pod's name, or '' where there is no kube-proxy to take it."""
        address = self.get('service', 'mysql')['spec']['clusterIP']
        env = dict(os.environ, FAIRDIAL_DIR='/run/fairdial/pod', LD_PRELOAD='/opt/fairdial/libfairdial.so')
        done = subprocess.run(['curl', '-s', '--max-time', '20', 'http://{}:3306/'.format(address)], stdout=subprocess.PIPE,
                              universal_newlines=True, env=env)
        return done.stdout.strip()

    def must_dial(self, is_spread):
        answers = {self.dial() for _ in range(4)}
        wanted = {'mysql-1', 'mysql-2'} if is_spread else {''}
        if answers != wanted:
            raise Failed('dials of the Service are answered by {}, and should be by {}'.format(answers, wanted))

    def end(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            child.wait()
