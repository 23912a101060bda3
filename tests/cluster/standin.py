# SPDX-License-Identifier: Apache-2.0
"""A stand-in for an API server: as much of it, in memory, as cluster.py and the agent ask for.

    standin.py DIR      makes certificates in DIR, serves on a port of 127.0.0.1, writes DIR/kubeconfig.json, and runs
                        until SIGTERM

A generic store of objects with one resourceVersion; GET, POST, PUT, PATCH (merge), DELETE, lists and watches with label
selectors and bookmarks; TokenRequest; Roles and RoleBindings as far as they let a ServiceAccount read; graceful deletion and
finalizers; and an endpointslice controller, which runs beside the requests, so that a change of a pod is seen some
time before that of its slice, as in a cluster. Its slices are small, so that a Service has several of them and endpoints
move from one to another.

What is created by dry run is judged (standin_admission.py) and not kept.
"""

import copy
import http.server
import ipaddress
import json
import os
import random
import secrets
import signal
import ssl
import string
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid

try:
    import standin_admission
except ImportError:  # without the modules that judge manifests; cluster.py then sends none
    standin_admission = None

SERVICE_LABEL = 'kubernetes.io/service-name'
MANAGED_LABEL = 'endpointslice.kubernetes.io/managed-by'
HEADLESS_LABEL = 'service.kubernetes.io/headless'
MANAGER = 'endpointslice-controller.k8s.io'

# The real controller's is 100.
ENDPOINTS_PER_SLICE = 3

# plural: (group, kind, namespaced)
KINDS = {
    'namespaces': ('', 'Namespace', False),
    'nodes': ('', 'Node', False),
    'services': ('', 'Service', True),
    'pods': ('', 'Pod', True),
    'serviceaccounts': ('', 'ServiceAccount', True),
    'endpointslices': ('discovery.k8s.io', 'EndpointSlice', True),
    'roles': ('rbac.authorization.k8s.io', 'Role', True),
    'rolebindings': ('rbac.authorization.k8s.io', 'RoleBinding', True),
    'clusterroles': ('rbac.authorization.k8s.io', 'ClusterRole', False),
    'clusterrolebindings': ('rbac.authorization.k8s.io', 'ClusterRoleBinding', False),
    'configmaps': ('', 'ConfigMap', True),
    'podtemplates': ('', 'PodTemplate', True),
    'replicationcontrollers': ('', 'ReplicationController', True),
    'daemonsets': ('apps', 'DaemonSet', True),
    'deployments': ('apps', 'Deployment', True),
    'replicasets': ('apps', 'ReplicaSet', True),
    'statefulsets': ('apps', 'StatefulSet', True),
    'cronjobs': ('batch', 'CronJob', True),
    'jobs': ('batch', 'Job', True),
    'networkpolicies': ('networking.k8s.io', 'NetworkPolicy', True),
    'mutatingadmissionpolicies': ('admissionregistration.k8s.io', 'MutatingAdmissionPolicy', False),
    'mutatingadmissionpolicybindings': ('admissionregistration.k8s.io', 'MutatingAdmissionPolicyBinding', False),
}


# What it says of itself, as far as it is asked.
DISCOVERY = {
    '/apis/admissionregistration.k8s.io': {'kind': 'APIGroup', 'name': 'admissionregistration.k8s.io', 'versions': [
        {'groupVersion': 'admissionregistration.k8s.io/v1', 'version': 'v1'}]},
    '/apis/admissionregistration.k8s.io/v1': {'kind': 'APIResourceList', 'resources': [
        {'name': 'mutatingadmissionpolicies'}, {'name': 'mutatingadmissionpolicybindings'}]},
}


class Refusal(Exception):
    """Becomes a Status."""

    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason = code, reason

    def status(self):
        return {'kind': 'Status', 'apiVersion': 'v1', 'metadata': {}, 'status': 'Failure', 'message': str(self),
                'reason': self.reason, 'code': self.code}


def now():
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())


def api_version(plural):
    return '{}/v1'.format(KINDS[plural][0]) if KINDS[plural][0] else 'v1'


def merged(base, patch):
    """JSON merge patch, RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def selects(selector, labels):
    """The forms that agents use: a, !a, a=b, a==b, a!=b, with commas between."""
    for term in filter(None, (selector or '').split(',')):
        if term.startswith('!'):
            good = term[1:] not in labels
        elif '!=' in term:
            key, value = term.split('!=')
            good = labels.get(key) != value
        elif '=' in term:
            key, _, value = term.partition('=')
            good = labels.get(key) == value.lstrip('=')
        else:
            good = term in labels
        if not good:
            return False
    return True


class Store:
    """All objects, and all that ever happened to them. `changed` guards everything here."""

    def __init__(self):
        self.changed = threading.Condition(threading.RLock())
        self.version = 1000
        self.objects = {}  # (plural, namespace, name): object, never changed in place
        self.history = []  # (version, plural, object before, object after): one of them may be None
        self.next_address = int(ipaddress.ip_address('10.96.0.10'))

    def _put(self, key, before, after):
        self.version += 1
        if after is not None:
            after['metadata']['resourceVersion'] = str(self.version)
            self.objects[key] = after
        else:
            del self.objects[key]
            before = copy.deepcopy(before)
            before['metadata']['resourceVersion'] = str(self.version)
        self.history.append((self.version, key[0], before, after))
        self.changed.notify_all()
        return after if after is not None else before

    def get(self, plural, namespace, name):
        with self.changed:
            found = self.objects.get((plural, namespace, name))
        if found is None:
            raise Refusal(404, 'NotFound', '{} "{}" not found'.format(plural, name))
        return found

    def list(self, plural, namespace=None, selector=None):
        with self.changed:
            return [o for (p, ns, _), o in sorted(self.objects.items(), key=lambda item: item[0])
                    if p == plural and namespace in (None, ns) and selects(selector, o['metadata'].get('labels') or {})]

    def home(self, namespace):
        """Of what is to be made there."""
        home = self.get('namespaces', '', namespace)
        if home['metadata'].get('deletionTimestamp'):
            raise Refusal(403, 'Forbidden', 'namespace {} is being terminated'.format(namespace))
        return home

    def create(self, plural, namespace, given, is_dry=False):
        made = copy.deepcopy(given)
        meta = made.setdefault('metadata', {})
        with self.changed:
            if namespace:
                self.home(namespace)
                meta['namespace'] = namespace
            if 'name' not in meta:
                meta['name'] = meta['generateName'] + ''.join(random.choices(string.ascii_lowercase, k=5))
            key = (plural, namespace, meta['name'])
            if key in self.objects:
                raise Refusal(409, 'AlreadyExists', '{} "{}" already exists'.format(plural, meta['name']))
            meta.update(uid=str(uuid.uuid4()), creationTimestamp=now())
            made.update(apiVersion=api_version(plural), kind=KINDS[plural][1])
            self._defaults(plural, made)
            return made if is_dry else self._put(key, None, made)

    def _defaults(self, plural, made):
        spec = made.get('spec', {})
        if plural == 'services':
            spec.setdefault('type', 'ClusterIP')
            spec.setdefault('sessionAffinity', 'None')
            for port in spec.get('ports', []):
                port.setdefault('protocol', 'TCP')
                port.setdefault('targetPort', port['port'])
            if spec['type'] != 'ExternalName' and 'clusterIP' not in spec:
                spec['clusterIP'] = str(ipaddress.ip_address(self.next_address))
                self.next_address += 1
            if 'clusterIP' in spec:
                spec['clusterIPs'] = [spec['clusterIP']]
        if plural == 'pods':
            made['status'] = {'phase': 'Pending'}  # what is given at creation does not count
        if plural == 'endpointslices':
            check_slice(made)

    def update(self, plural, namespace, name, change, subresource=None):
        """`change` makes a new object of the old one."""
        with self.changed:
            before = self.get(plural, namespace, name)
            wanted = change(copy.deepcopy(before))
            expected = wanted.get('metadata', {}).get('resourceVersion')
            if expected and expected != before['metadata']['resourceVersion']:
                raise Refusal(409, 'Conflict', 'the object has been modified; please apply your changes to the latest version')
            after = copy.deepcopy(before)
            if subresource == 'status':
                after['status'] = wanted.get('status', {})
            else:
                after.update({k: v for k, v in wanted.items() if k not in ('metadata', 'status')})
                for part in ('spec', 'data', 'rules', 'endpoints', 'ports'):
                    if part in after and part not in wanted:
                        del after[part]
                after['metadata'] = dict(before['metadata'])
                for part in ('labels', 'annotations', 'finalizers'):
                    after['metadata'].pop(part, None)
                    if wanted['metadata'].get(part):
                        after['metadata'][part] = wanted['metadata'][part]
            if plural in ('services', 'endpointslices'):
                self._defaults(plural, after)
            key = (plural, namespace, name)
            if after == before:
                return before
            if after['metadata'].get('deletionTimestamp') and not after['metadata'].get('finalizers') and \
                    before['metadata'].get('finalizers'):
                return self._put(key, before, None)
            return self._put(key, before, after)

    def delete(self, plural, namespace, name, grace=None):
        with self.changed:
            before = self.get(plural, namespace, name)
            meta = before['metadata']
            if grace is None:
                grace = (before.get('spec', {}).get('terminationGracePeriodSeconds', 30)
                         if plural == 'pods' and before['spec'].get('nodeName') else 0)
            if plural == 'namespaces':
                for (p, ns, n) in list(self.objects):
                    if ns == name:
                        self.delete(p, ns, n, 0)
            if grace > 0 or meta.get('finalizers'):
                after = copy.deepcopy(before)
                after['metadata'].setdefault('deletionTimestamp', now())
                after['metadata']['deletionGracePeriodSeconds'] = grace
                return after if after == before else self._put((plural, namespace, name), before, after)
            return self._put((plural, namespace, name), before, None)


def check_slice(made):
    for endpoint in made.get('endpoints') or []:
        for text in endpoint['addresses']:
            address = ipaddress.ip_address(text)
            if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
                raise Refusal(422, 'Invalid', 'endpoints: {}: may not be in a special range'.format(text))
    for port in made.get('ports') or []:
        port.setdefault('name', '')
        port.setdefault('protocol', 'TCP')


# ---- the endpointslice controller ----


def pod_ready(pod):
    return any(c['type'] == 'Ready' and c['status'] == 'True' for c in pod.get('status', {}).get('conditions', []))


def endpoint_of(pod, service):
    terminating = 'deletionTimestamp' in pod['metadata']
    everyone = service['spec'].get('publishNotReadyAddresses', False)
    return {
        'addresses': [pod['status']['podIP']],
        'conditions': {
            'ready': everyone or (pod_ready(pod) and not terminating),
            'serving': pod_ready(pod),
            'terminating': terminating,
        },
        'nodeName': pod['spec']['nodeName'],
        'targetRef': {'kind': 'Pod', 'name': pod['metadata']['name'], 'namespace': pod['metadata']['namespace'],
                      'uid': pod['metadata']['uid']},
    }


def find_port(pod, wanted):
    """A pod's own port of that name; None where it has none."""
    if isinstance(wanted, int):
        return wanted
    for container in pod['spec']['containers']:
        for port in container.get('ports', []):
            if port.get('name') == wanted:
                return port['containerPort']
    return None


def ports_of(pod, service):
    """Of each port of the Service that the pod has, its number there: pods that differ in this lie in different slices."""
    ports = []
    for port in service['spec'].get('ports', []):
        number = find_port(pod, port['targetPort'])
        if number is not None:
            ports.append((port.get('name', ''), number, port['protocol']))
    return tuple(ports)


class Controller(threading.Thread):
    def __init__(self, store):
        super().__init__(daemon=True)
        self.store = store
        self.seen = 0

    def run(self):
        while True:
            with self.store.changed:
                self.store.changed.wait_for(lambda: len(self.store.history) > self.seen)
                news = self.store.history[self.seen:]
                self.seen += len(news)
            namespaces = {(after or before)['metadata']['namespace'] for _, plural, before, after in news
                          if plural in ('services', 'pods', 'endpointslices')}
            for namespace in namespaces:
                self.reconcile(namespace)

    def reconcile(self, namespace):
        services = {s['metadata']['name']: s for s in self.store.list('services', namespace)}
        for piece in self.store.list('endpointslices', namespace):
            labels = piece['metadata'].get('labels') or {}
            if labels.get(MANAGED_LABEL) == MANAGER and labels.get(SERVICE_LABEL) not in services:
                self.attempt(self.store.delete, 'endpointslices', namespace, piece['metadata']['name'])
        for service in services.values():
            if service['spec'].get('selector') and service['spec']['type'] != 'ExternalName':
                self.reconcile_service(service)

    @staticmethod
    def attempt(call, *arguments):
        """What somebody else deleted or made meanwhile is looked at again, for it is in the history."""
        try:
            call(*arguments)
        except Refusal as refusal:
            if refusal.code not in (403, 404, 409):
                raise

    def wanted(self, service):
        """The slices that there should be: (ports, endpoints) each."""
        selector = ','.join('{}={}'.format(*item) for item in service['spec']['selector'].items())
        nodes = {n['metadata']['name'] for n in self.store.list('nodes')}
        groups = {}
        for pod in self.store.list('pods', service['metadata']['namespace'], selector):
            status = pod.get('status', {})
            if not status.get('podIP') or status.get('phase') in ('Failed', 'Succeeded') or \
                    pod['spec'].get('nodeName') not in nodes:
                continue
            groups.setdefault(ports_of(pod, service), []).append(endpoint_of(pod, service))
        slices = [(ports, endpoints[i:i + ENDPOINTS_PER_SLICE]) for ports, endpoints in sorted(groups.items())
                  for i in range(0, len(endpoints), ENDPOINTS_PER_SLICE)]
        return slices or [((), [])]  # the placeholder

    def reconcile_service(self, service):
        namespace, name = service['metadata']['namespace'], service['metadata']['name']
        labels = dict(service['metadata'].get('labels') or {})
        labels.update({SERVICE_LABEL: name, MANAGED_LABEL: MANAGER})
        if service['spec'].get('clusterIP') == 'None':
            labels[HEADLESS_LABEL] = ''
        have = self.store.list('endpointslices', namespace, '{}={},{}={}'.format(SERVICE_LABEL, name, MANAGED_LABEL, MANAGER))
        for ports, endpoints in self.wanted(service):
            body = {
                'metadata': {'generateName': name + '-', 'labels': labels},
                'addressType': 'IPv4',
                'endpoints': endpoints,
                'ports': [{'name': n, 'port': p, 'protocol': t} for n, p, t in ports],
            }
            if have:
                self.attempt(self.store.update, 'endpointslices', namespace, have.pop(0)['metadata']['name'],
                             lambda old, new=body: dict(old, **dict(new, metadata=dict(old['metadata'], labels=labels))))
            else:
                self.attempt(self.store.create, 'endpointslices', namespace, body)
        for piece in have:
            self.attempt(self.store.delete, 'endpointslices', namespace, piece['metadata']['name'])


# ---- requests ----


class Request:
    """What a path and its query ask for."""

    def __init__(self, verb, target):
        path, _, query = target.partition('?')
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parts = path.strip('/').split('/')
        if parts[:2] == ['api', 'v1']:
            group, rest = '', parts[2:]
        elif parts[0] == 'apis' and len(parts) > 3 and parts[2] == 'v1':
            group, rest = parts[1], parts[3:]
        else:
            raise Refusal(404, 'NotFound', 'the server could not find the requested resource')
        self.namespace = ''
        if rest[0] == 'namespaces' and len(rest) > 2:
            self.namespace, rest = rest[1], rest[2:]
        self.plural = rest[0]
        self.name = rest[1] if len(rest) > 1 else None
        self.subresource = rest[2] if len(rest) > 2 else None
        if self.plural not in KINDS or KINDS[self.plural][0] != group:
            raise Refusal(404, 'NotFound', 'the server could not find the requested resource')
        self.group = group
        self.watches = self.query.get('watch') in ('1', 'true') and self.name is None
        self.verb = verb
        if verb == 'get' and self.name is None:
            self.verb = 'watch' if self.watches else 'list'


class Authority:
    """Who may what: the bearer of the administrator's token all, a ServiceAccount what its Roles say."""

    def __init__(self, store):
        self.store = store
        self.admin = secrets.token_hex(16)
        self.accounts = {}  # token: (namespace, name)

    def new_token(self, namespace, name):
        self.store.get('serviceaccounts', namespace, name)
        token = secrets.token_hex(16)
        self.accounts[token] = (namespace, name)
        return token

    def check(self, header, request):
        token = (header or '').partition('Bearer ')[2]
        if token == self.admin:
            return
        if token not in self.accounts:
            raise Refusal(401, 'Unauthorized', 'Unauthorized')
        namespace, name = self.accounts[token]
        if not self.allows(namespace, name, request):
            where = ' in the namespace "{}"'.format(request.namespace) if request.namespace else ' at the cluster scope'
            raise Refusal(403, 'Forbidden', '{0} is forbidden: User "system:serviceaccount:{1}:{2}" cannot {3} resource "{4}" '
                          'in API group "{5}"{6}'.format(
                              request.plural + ('.' + request.group if request.group else ''), namespace, name, request.verb,
                              request.plural, request.group, where))

    def allows(self, namespace, name, request):
        subject = {'kind': 'ServiceAccount', 'namespace': namespace, 'name': name}
        for binding in self.store.list('rolebindings', request.namespace):
            subjects = [{k: s.get(k) for k in subject} for s in binding.get('subjects', [])]
            role = self.store.objects.get(('roles', request.namespace, binding['roleRef']['name']))
            if subject in subjects and role and any(
                    request.group in r['apiGroups'] and request.plural in r['resources'] and request.verb in r['verbs']
                    for r in role['rules']):
                return True
        return False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    store = authority = judgement = None  # set by main
    warning = ''  # to the one request that is being answered

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer('get')

    def do_POST(self):
        self.answer('create')

    def do_PUT(self):
        self.answer('update')

    def do_PATCH(self):
        self.answer('patch')

    def do_DELETE(self):
        self.answer('delete')

    def body(self):
        text = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        return json.loads(text) if text else {}

    def answer(self, verb):
        self.warning = ''
        try:
            given = self.body()
            if self.path in DISCOVERY:
                self.reply(200, DISCOVERY[self.path])
                return
            request = Request(verb, self.path)
            self.authority.check(self.headers.get('Authorization'), request)
            if request.verb == 'watch':
                self.watch(request)
                return
            self.reply(201 if verb == 'create' else 200, self.result(request, given))
        except Refusal as refusal:
            self.reply(refusal.code, refusal.status())
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def reply(self, code, value):
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        if self.warning:
            self.send_header('Warning', '299 - "{}"'.format(self.warning.replace('"', "'")))
        self.end_headers()
        self.wfile.write(text)

    def result(self, request, given):
        store, where = self.store, (request.plural, request.namespace)
        if request.verb == 'list':
            return self.listing(request)
        if request.verb == 'get':
            return store.get(*where, request.name)
        if request.verb == 'create' and request.subresource == 'token':
            token = self.authority.new_token(request.namespace, request.name)
            return {'kind': 'TokenRequest', 'apiVersion': 'authentication.k8s.io/v1', 'metadata': {}, 'status': {'token': token}}
        if request.verb == 'create':
            return store.create(*where, self.judged(request, given), request.query.get('dryRun') == 'All')
        if 'dryRun' in request.query:
            raise Refusal(400, 'BadRequest', 'dry run of {}: not here'.format(request.verb))
        if request.verb == 'update':
            return store.update(*where, request.name, lambda _: given, request.subresource)
        if request.verb == 'patch':
            if self.headers.get('Content-Type') != 'application/merge-patch+json':
                raise Refusal(415, 'UnsupportedMediaType', 'merge patches only')
            return store.update(*where, request.name, lambda old: merged(old, given), request.subresource)
        grace = given.get('gracePeriodSeconds', request.query.get('gracePeriodSeconds'))
        return store.delete(*where, request.name, None if grace is None else int(grace))

    def judged(self, request, given):
        """What is to be created, as policies made it, or a Refusal."""
        if not self.judgement:
            return given
        if request.query.get('fieldValidation') == 'Strict':
            of_fields, of_values = self.judgement.errors(given)
            if of_fields:
                raise Refusal(400, 'BadRequest', 'strict decoding error: ' + ', '.join(of_fields))
            if of_values:
                raise Refusal(422, 'Invalid', ', '.join(of_values))
        if not request.namespace:
            return given
        home = self.store.home(request.namespace)
        if request.plural == 'pods':
            given = self.judgement.mutated(home, given, self.store.list('mutatingadmissionpolicies'),
                                           self.store.list('mutatingadmissionpolicybindings'))
        found = self.judgement.violation(home, given, 'enforce' if request.plural == 'pods' else 'warn')
        if found and request.plural == 'pods':
            raise Refusal(403, 'Forbidden', 'pods "{}" is forbidden: violates PodSecurity "{}'.format(
                given['metadata'].get('name'), found))
        self.warning = 'would violate PodSecurity "' + found if found else ''
        return given

    def matches(self, request, o):
        meta = o['metadata']
        for term in filter(None, request.query.get('fieldSelector', '').split(',')):
            key, _, value = term.partition('!=' if '!=' in term else '=')
            found = {'metadata.name': meta['name'], 'metadata.namespace': meta.get('namespace', ''),
                     'spec.clusterIP': o.get('spec', {}).get('clusterIP', '')}.get(key)
            if (found == value) == ('!=' in term):
                return False
        return request.namespace in ('', meta.get('namespace')) and \
            selects(request.query.get('labelSelector'), meta.get('labels') or {})

    def current(self, request):
        with self.store.changed:
            return self.store.version, [o for o in self.store.list(request.plural) if self.matches(request, o)]

    def listing(self, request):
        """Pages as a real server makes them, though each tells how things stand when it is asked for."""
        version, items = self.current(request)
        start, limit = int(request.query.get('continue') or 0), int(request.query.get('limit') or 0)
        meta = {'resourceVersion': str(version)}
        if limit and start + limit < len(items):
            meta['continue'] = str(start + limit)
        items = items[start:start + limit] if limit else items[start:]
        return {'kind': KINDS[request.plural][1] + 'List', 'apiVersion': api_version(request.plural), 'metadata': meta,
                'items': [{k: v for k, v in o.items() if k not in ('kind', 'apiVersion')} for o in items]}

    # A watch is one chunk an event.

    def event(self, kind, o):
        text = json.dumps({'type': kind, 'object': o}).encode() + b'\n'
        self.wfile.write(b'%x\r\n%s\r\n' % (len(text), text))

    def bookmark(self, request, version, is_first=False):
        meta = {'resourceVersion': str(version)}
        if is_first:
            meta['annotations'] = {'k8s.io/initial-events-end': 'true'}
        self.event('BOOKMARK', {'kind': KINDS[request.plural][1], 'apiVersion': api_version(request.plural), 'metadata': meta})

    def watch(self, request):
        store = self.store
        since = request.query.get('resourceVersion') or '0'
        if not since.isdigit():
            raise Refusal(400, 'BadRequest', 'invalid resource version')
        wants_all = request.query.get('sendInitialEvents') == 'true' or since == '0'
        with store.changed:
            version, items = self.current(request)
            position = len(store.history)
            if not wants_all:
                while position and store.history[position - 1][0] > int(since):
                    position -= 1
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        if wants_all:
            for o in items:
                self.event('ADDED', o)
            if request.query.get('sendInitialEvents') == 'true':
                self.bookmark(request, version, True)
        self.follow(request, position, time.monotonic() + int(request.query.get('timeoutSeconds') or 1800))
        self.wfile.write(b'0\r\n\r\n')

    def follow(self, request, position, deadline):
        store = self.store
        wants_bookmarks = request.query.get('allowWatchBookmarks') in ('1', 'true')
        while time.monotonic() < deadline:
            with store.changed:
                store.changed.wait_for(lambda: len(store.history) > position, min(5, max(0, deadline - time.monotonic())))
                news = store.history[position:]
                position += len(news)
                version = store.version
            for _, plural, before, after in news:
                if plural == request.plural:
                    self.tell(request, before, after)
            if not news and wants_bookmarks:
                self.bookmark(request, version)
        if wants_bookmarks:
            self.bookmark(request, version)

    def tell(self, request, before, after):
        was = before is not None and self.matches(request, before)
        is_now = after is not None and self.matches(request, after)
        if is_now:
            self.event('MODIFIED' if was else 'ADDED', after)
        elif was:
            gone = before if after is None else dict(before, metadata=dict(
                before['metadata'], resourceVersion=after['metadata']['resourceVersion']))
            self.event('DELETED', gone)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def finish_request(self, request, client_address):
        """The handshake is the connection's own thread's, so that a slow one holds nobody up."""
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request, client_address):
        """Clients that break off are none."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def make_certificate(folder):
    cert, key = os.path.join(folder, 'cert.pem'), os.path.join(folder, 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=standin', '-addext',
                    'subjectAltName=IP:127.0.0.1'], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


def write_kubeconfig(path, port, ca, token):
    config = {
        'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'standin',
        'contexts': [{'name': 'standin', 'context': {'cluster': 'standin', 'user': 'admin'}}],
        'clusters': [{'name': 'standin', 'cluster': {'server': 'https://127.0.0.1:{}'.format(port),
                                                     'certificate-authority': ca}}],
        'users': [{'name': 'admin', 'user': {'token': token}}],
    }
    with open(path + '.new', 'w', opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        json.dump(config, file)
    os.rename(path + '.new', path)


def main():
    folder = sys.argv[1]
    cert, key = make_certificate(folder)
    store = Store()
    Handler.store, Handler.authority = store, Authority(store)
    Handler.judgement = standin_admission.Judgement() if standin_admission else None
    Controller(store).start()
    Server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Server.context.load_cert_chain(cert, key)
    server = Server(('127.0.0.1', 0), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    write_kubeconfig(os.path.join(folder, 'kubeconfig.json'), server.server_port, cert, Handler.authority.admin)
    server.serve_forever(poll_interval=0.1)


if __name__ == '__main__':
    main()
