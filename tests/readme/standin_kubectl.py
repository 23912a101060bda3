# SPDX-License-Identifier: Apache-2.0
"""The stand-in of the cluster suite, with what kubectl asks for besides: discovery, strategic merge patches, dry runs of them.

    standin_kubectl.py DIR      as ../cluster/standin.py
"""

import copy
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cluster'))

import standin  # noqa: E402  from that folder

SHORT_NAMES = {'deployments': ['deploy'], 'statefulsets': ['sts'], 'daemonsets': ['ds'], 'services': ['svc'], 'configmaps': ['cm'],
               'pods': ['po'], 'namespaces': ['ns'], 'serviceaccounts': ['sa'], 'replicasets': ['rs'], 'cronjobs': ['cj']}
VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

# By what the entries of a list are told from each other; lists that are not here are replaced whole.
MERGE_KEYS = {'containers': 'name', 'initContainers': 'name', 'volumes': 'name', 'env': 'name', 'volumeMounts': 'mountPath'}


def groups():
    return sorted({group for group, _, _ in standin.KINDS.values() if group})


def resources(group):
    version = group + '/v1' if group else 'v1'
    return {'kind': 'APIResourceList', 'apiVersion': 'v1', 'groupVersion': version, 'resources': [
        {'name': plural, 'singularName': kind.lower(), 'kind': kind, 'namespaced': namespaced, 'verbs': VERBS,
         'shortNames': SHORT_NAMES.get(plural, [])}
        for plural, (of, kind, namespaced) in sorted(standin.KINDS.items()) if of == group]}


def group_entry(group):
    version = {'groupVersion': group + '/v1', 'version': 'v1'}
    return {'name': group, 'versions': [version], 'preferredVersion': version}


def operations(group):
    """Of a version of the API, as much as kubectl looks for: that a patch may be a dry run, and is validated there."""
    query = [{'name': name, 'in': 'query'} for name in ('dryRun', 'fieldValidation')]
    return {'openapi': '3.0.0', 'info': {'title': 'stand-in', 'version': 'v1'}, 'paths': {
        '/{}'.format(plural): {'patch': {
            'parameters': query, 'responses': {},
            'x-kubernetes-group-version-kind': {'group': group, 'version': 'v1', 'kind': kind}}}
        for plural, (of, kind, _) in standin.KINDS.items() if of == group}}


def discovery(path):
    """What it says of itself there; None: nothing."""
    names = {'/api/v1': '', **{'/apis/{}/v1'.format(group): group for group in groups()}}
    if path == '/version':
        return {'major': '1', 'minor': '32', 'gitVersion': 'v1.32.0'}
    if path == '/api':
        return {'kind': 'APIVersions', 'versions': ['v1']}
    if path == '/apis':
        return {'kind': 'APIGroupList', 'apiVersion': 'v1', 'groups': [group_entry(group) for group in groups()]}
    if path in names:
        return resources(names[path])
    if path == '/openapi/v3':
        return {'paths': {name[1:]: {'serverRelativeURL': '/openapi/v3' + name} for name in names}}
    if path.startswith('/openapi/v3/') and path[len('/openapi/v3'):] in names:
        return operations(names[path[len('/openapi/v3'):]])
    return None


def merged_list(old, patch, key):
    kept = [copy.deepcopy(entry) for entry in old or []]
    for entry in patch:
        found = [i for i, e in enumerate(kept) if e.get(key) == entry.get(key)]
        if entry.get('$patch') == 'delete':
            kept = [e for e in kept if e.get(key) != entry.get(key)]
        elif found:
            kept[found[0]] = merged(kept[found[0]], entry)
        else:
            kept.append(merged({}, entry))
    return kept


def ordered(entries, key, order):
    """As the patch names them; what it does not name goes last."""
    places = {entry[key]: i for i, entry in enumerate(order)}
    return sorted(entries, key=lambda e: places.get(e[key], len(places)))


def merged(old, patch):
    """A strategic merge patch, of the lists that pods have."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get('$patch') == 'replace':
        return {k: v for k, v in patch.items() if k != '$patch'}
    result = copy.deepcopy(old) if isinstance(old, dict) else {}
    if '$retainKeys' in patch:
        result = {k: v for k, v in result.items() if k in patch['$retainKeys']}
    for name, value in patch.items():
        if name.startswith('$'):
            continue
        if value is None:
            result.pop(name, None)
        elif isinstance(value, list) and name in MERGE_KEYS:
            result[name] = merged_list(result.get(name), value, MERGE_KEYS[name])
        else:
            result[name] = merged(result.get(name), value)
    for name, order in patch.items():
        what = name.partition('$setElementOrder/')[2]
        if what in MERGE_KEYS and what in result:
            result[what] = ordered(result[what], MERGE_KEYS[what], order)
    return result


def selects(selector, labels, plain=standin.selects):
    """Besides what the suite's agents ask for: `KEY in (A,B)`, alone, as an agent of a few Services does."""
    found = re.match(r'(\S+) in \(([^)]*)\)$', selector or '')
    return labels.get(found.group(1)) in found.group(2).split(',') if found else plain(selector, labels)


class Handler(standin.Handler):
    def body(self):
        if 'protobuf' in (self.headers.get('Content-Type') or ''):
            self.close_connection = True
            raise standin.Refusal(415, 'UnsupportedMediaType', 'JSON only: make it with kubectl apply -f')
        return super().body()

    def answer(self, verb):
        path = self.path.partition('?')[0]
        found = discovery(path) if verb == 'get' else None
        if path == '/openapi/v2':
            self.reply_nothing()
        elif found is None:
            super().answer(verb)
        else:
            self.reply(200, found)

    def reply_nothing(self):
        """An empty document, as protobuf has it: of Lists, which kubectl judges by itself, nothing is known."""
        self.send_response(200)
        self.send_header('Content-Type', 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def result(self, request, given):
        strategic = self.headers.get('Content-Type') == 'application/strategic-merge-patch+json'
        if request.verb not in ('patch', 'update') or not (strategic or 'dryRun' in request.query):
            return super().result(request, given)
        where = (request.plural, request.namespace, request.name)

        def change(old):
            if request.verb == 'update':
                return given
            return merged(old, given) if strategic else standin.merged(old, given)

        if 'dryRun' in request.query:
            return change(self.store.get(*where))
        return self.store.update(*where, change, request.subresource)


if __name__ == '__main__':
    standin.Handler, standin.selects = Handler, selects
    standin.main()
