# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/kubernetes/openapi/schemas.json: of an API server's OpenAPI v3, what manifests here need and no more.

    prune.py FOLDER OUT     FOLDER holds what `kubectl get --raw /openapi/v3/apis/GROUP/VERSION` printed, a file a group

Kept are the schemas of KINDS and all that they name, without prose (descriptions) and without defaults, which the server
fills in and nobody checks. Nothing else is changed: what schema.py makes of them, strictness above all, is its own.
"""

import glob
import json
import os
import sys

KINDS = {
    '': ['ConfigMap', 'Namespace', 'Pod', 'PodTemplate', 'ReplicationController', 'Service', 'ServiceAccount'],
    'apps': ['DaemonSet', 'Deployment', 'ReplicaSet', 'StatefulSet'],
    'batch': ['CronJob', 'Job'],
    'rbac.authorization.k8s.io': ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'],
    'admissionregistration.k8s.io': ['MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding'],
}
PREFIX = '#/components/schemas/'


def read(folder):
    """(schemas by name, version of the server)"""
    schemas, version = {}, ''
    for path in sorted(glob.glob(os.path.join(folder, '*.json'))):
        with open(path) as file:
            document = json.load(file)
        schemas.update(document['components']['schemas'])
        version = document['info']['version']
    return schemas, version


def wanted(schemas):
    """Names of the schemas of KINDS."""
    return [name for name, schema in schemas.items()
            if any(gvk['kind'] in KINDS.get(gvk['group'], []) for gvk in schema.get('x-kubernetes-group-version-kind', []))
            and not any(gvk['kind'] == 'DeleteOptions' for gvk in schema['x-kubernetes-group-version-kind'])]


def without_prose(value, is_properties=False):
    """`is_properties`: the keys are names of fields, and one may be called "description"."""
    if isinstance(value, list):
        return [without_prose(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_prose(item, key == 'properties' and not is_properties) for key, item in value.items()
            if is_properties or key not in ('description', 'default')}


def references(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key == '$ref' and isinstance(item, str):
                yield item[len(PREFIX):]
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def closure(schemas, names):
    kept, todo = {}, list(names)
    while todo:
        name = todo.pop()
        if name not in kept:
            kept[name] = without_prose(schemas[name])
            todo.extend(references(kept[name]))
    return kept


def main():
    folder, out = sys.argv[1:]
    schemas, version = read(folder)
    kept = closure(schemas, wanted(schemas))
    with open(out, 'w') as file:
        # A schema a line, so that a difference between two versions can be read.
        file.write('{"info": {"title": "Kubernetes, what tests/manifests/prune.py keeps", "version": "%s"},\n' % version)
        file.write('"components": {"schemas": {\n')
        file.write(',\n'.join('{}: {}'.format(json.dumps(name), json.dumps(schema, sort_keys=True, separators=(',', ':')))
                              for name, schema in sorted(kept.items())))
        file.write('\n}}}\n')
    print('{}: {} of {} schemas, {} KiB'.format(out, len(kept), len(schemas), os.path.getsize(out) // 1024))


if __name__ == '__main__':
    main()
