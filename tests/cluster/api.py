# SPDX-License-Identifier: Apache-2.0
"""A client of the Kubernetes API: the kubeconfig, and one request at a time."""

import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import urllib.parse

PLURALS = {  # kind: (prefix of the path, plural)
    'Namespace': ('/api/v1', 'namespaces'),
    'Node': ('/api/v1', 'nodes'),
    'Service': ('/api/v1', 'services'),
    'Pod': ('/api/v1', 'pods'),
    'ServiceAccount': ('/api/v1', 'serviceaccounts'),
    'EndpointSlice': ('/apis/discovery.k8s.io/v1', 'endpointslices'),
    'Role': ('/apis/rbac.authorization.k8s.io/v1', 'roles'),
    'RoleBinding': ('/apis/rbac.authorization.k8s.io/v1', 'rolebindings'),
}


def place_of(manifest, namespace):
    """The path of a manifest's kind, of whatever group and version it says."""
    version, kind = manifest['apiVersion'], manifest['kind'].lower()
    plural = kind[:-1] + 'ies' if kind.endswith('y') else kind + 's'
    return '/'.join([('/apis/' if '/' in version else '/api/') + version] +
                    (['namespaces', namespace] if namespace else []) + [plural])


class Unusable(Exception):
    """The cluster, or this machine, does not let the suite begin: one line."""


class ApiError(Exception):
    def __init__(self, method, path, code, message):
        super().__init__('{} {}: {} {}'.format(method, path, code, message))
        self.code = code


def read_kubeconfig():
    """The one context that counts, with all files in it. Through kubectl, which knows what a kubeconfig may be."""
    path = os.environ['KUBECONFIG']
    if not any(os.path.exists(piece) for piece in path.split(':')):
        raise Unusable('KUBECONFIG={}: there is no such file'.format(path))
    if shutil.which('kubectl'):
        done = subprocess.run(['kubectl', 'config', 'view', '--raw', '--minify', '--flatten', '-o', 'json'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        if done.returncode != 0:
            raise Unusable('kubectl cannot read KUBECONFIG={}: {}'.format(path, done.stderr.strip()))
        return json.loads(done.stdout)
    try:
        with open(path) as file:
            return json.load(file)
    except OSError as error:
        raise Unusable('cannot read KUBECONFIG={}: {}'.format(path, error.strerror))
    except ValueError:
        raise Unusable('KUBECONFIG={} is no JSON, and kubectl, which would convert it, is not installed'.format(path))


def named(config, kind, name):
    for entry in config.get(kind + 's') or []:
        if entry['name'] == name:
            return entry.get(kind) or {}
    raise Unusable('the kubeconfig has no {} {}'.format(kind, name))


class Credentials:
    """Of the current context."""

    def __init__(self, config, folder):
        """`folder` is where relative names begin."""
        context = named(config, 'context', config.get('current-context'))
        self.context = config['current-context']
        self.cluster = named(config, 'cluster', context['cluster'])
        self.user = named(config, 'user', context['user']) if context.get('user') else {}
        self.folder = folder
        self.token = self.user.get('token')
        if not self.token and self.user.get('tokenFile'):
            self.token = self.data(self.user, 'tokenFile').decode().strip()
        if not self.token and not self.data(self.user, 'client-certificate') and (
                self.user.get('exec') or self.user.get('auth-provider')):
            raise Unusable('context {} needs a program for its token: give KUBECONFIG a user with a token or a certificate '
                           '(kubectl create token ...)'.format(self.context))

    def data(self, entry, key):
        """KEY-data, else what the file KEY holds; None."""
        if entry.get(key + '-data'):
            return base64.b64decode(entry[key + '-data'])
        if not entry.get(key):
            return None
        with open(os.path.join(self.folder, entry[key]), 'rb') as file:
            return file.read()

    def tls(self):
        ca = self.data(self.cluster, 'certificate-authority')
        context = ssl.create_default_context(cadata=ca.decode() if ca else None)
        if self.cluster.get('insecure-skip-tls-verify'):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        cert = self.data(self.user, 'client-certificate')
        if cert:
            with tempfile.NamedTemporaryFile() as file:  # only its owner can read it
                file.write(cert + b'\n' + (self.data(self.user, 'client-key') or b''))
                file.flush()
                context.load_cert_chain(file.name)
        return context

    def kubeconfig_for(self, token, namespace):
        """For somebody else, at the same server."""
        cluster = {k: v for k, v in self.cluster.items() if k in ('server', 'tls-server-name', 'insecure-skip-tls-verify',
                                                                  'proxy-url')}
        ca = self.data(self.cluster, 'certificate-authority')
        if ca:
            cluster['certificate-authority-data'] = base64.b64encode(ca).decode()
        return {
            'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'agent',
            'contexts': [{'name': 'agent', 'context': {'cluster': 'c', 'user': 'agent', 'namespace': namespace}}],
            'clusters': [{'name': 'c', 'cluster': cluster}],
            'users': [{'name': 'agent', 'user': {'token': token}}],
        }


class Connection(http.client.HTTPSConnection):
    """Whose certificate may be for another name than the one it is dialed by."""

    def __init__(self, host, port, context, server_name):
        super().__init__(host, port, timeout=30, context=context)
        self.tls, self.server_name = context, server_name

    def connect(self):
        plain = socket.create_connection((self.host, self.port), self.timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # headers and body are sent one after the other
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.server_name)


class Api:
    def __init__(self, credentials):
        self.credentials = credentials
        self.url = urllib.parse.urlsplit(credentials.cluster['server'])
        self.context = credentials.tls() if self.url.scheme == 'https' else None
        self.warnings = []  # of the last answer

    def connect(self):
        host = self.url.hostname
        if not self.context:
            return http.client.HTTPConnection(host, self.url.port or 80, timeout=30)
        return Connection(host, self.url.port or 443, self.context, self.credentials.cluster.get('tls-server-name') or host)

    def request(self, method, path, body=None, media='application/json'):
        """The answer, decoded. Each request has a connection of its own: a suite is in no hurry, and none goes stale."""
        headers = {'Accept': 'application/json', 'Content-Type': media}
        if self.credentials.token:
            headers['Authorization'] = 'Bearer ' + self.credentials.token
        connection = self.connect()
        try:
            connection.request(method, self.url.path.rstrip('/') + path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read().decode()
            self.warnings = response.headers.get_all('Warning') or []
        finally:
            connection.close()
        if response.status >= 300:
            try:
                message = json.loads(text).get('message', '')
            except ValueError:
                message = text[:200]
            raise ApiError(method, path, response.status, message)
        return json.loads(text)

    @staticmethod
    def path(kind, namespace, name=None, subresource=None):
        prefix, plural = PLURALS[kind]
        parts = [prefix] + (['namespaces', namespace] if namespace else []) + [plural] + [p for p in (name, subresource) if p]
        return '/'.join(parts)

    def create(self, manifest):
        meta = manifest['metadata']
        return self.request('POST', self.path(manifest['kind'], meta.get('namespace')), manifest)

    def put(self, manifest):
        """Of any group and version."""
        return self.request('POST', place_of(manifest, manifest['metadata'].get('namespace')), manifest)

    def dry_run(self, manifest):
        """What the server would have made of it, as strict as it can be."""
        path = place_of(manifest, manifest['metadata'].get('namespace'))
        return self.request('POST', path + '?dryRun=All&fieldValidation=Strict', manifest)

    def take(self, manifest):
        """Removes what `put` made."""
        meta = manifest['metadata']
        return self.request('DELETE', '{}/{}'.format(place_of(manifest, meta.get('namespace')), meta['name']),
                            {'kind': 'DeleteOptions', 'apiVersion': 'v1'})

    def get(self, kind, namespace, name):
        return self.request('GET', self.path(kind, namespace, name))

    def items(self, kind, namespace):
        return self.request('GET', self.path(kind, namespace))['items']

    def patch(self, kind, namespace, name, change, subresource=None):
        """A merge patch."""
        return self.request('PATCH', self.path(kind, namespace, name, subresource), change, 'application/merge-patch+json')

    def delete(self, kind, namespace, name, grace=None):
        body = {'kind': 'DeleteOptions', 'apiVersion': 'v1'}
        if grace is not None:
            body['gracePeriodSeconds'] = grace
        return self.request('DELETE', self.path(kind, namespace, name), body)
