# SPDX-License-Identifier: Apache-2.0
"""What a server refuses beyond its schemas, as far as manifests of this project can get it wrong.

Each rule yields lines. Source: k8s.io/kubernetes/pkg/apis/*/validation, and the API reference.
"""

import re

LABEL = re.compile(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')
SUBDOMAIN = re.compile(r'^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$')
# Of RBAC, whose names may be nearly anything: system:node.
PATH_SEGMENT = re.compile(r'^[^/%]+$')
LABEL_VALUE = re.compile(r'^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$')
PORT_NAME = re.compile(r'^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$')
ENV_NAME = re.compile(r'^[-._a-zA-Z][-._a-zA-Z0-9]*$')
FIELD = re.compile(r"^(metadata\.(name|namespace|uid|(labels|annotations)\['[^']+'\])|"
                   r"spec\.(nodeName|serviceAccountName)|status\.(hostIP|hostIPs|podIP|podIPs))$")
# Of a projected file, which is no environment variable.
FILE_FIELD = re.compile(r"^metadata\.(name|namespace|uid|labels|annotations|(labels|annotations)\['[^']+'\])$")
SCALE = {'': 1, 'm': 1e-3, 'u': 1e-6, 'n': 1e-9, 'k': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12, 'P': 1e15, 'E': 1e18,
         'Ki': 2 ** 10, 'Mi': 2 ** 20, 'Gi': 2 ** 30, 'Ti': 2 ** 40, 'Pi': 2 ** 50, 'Ei': 2 ** 60}


def template_of(manifest):
    """(metadata, spec) of the pods that a manifest makes; None where it makes none."""
    kind, spec = manifest.get('kind'), manifest.get('spec') or {}
    if kind == 'Pod':
        return manifest.get('metadata') or {}, spec
    if kind == 'CronJob':
        spec = (spec.get('jobTemplate') or {}).get('spec') or {}
    elif kind == 'PodTemplate':
        spec = manifest
    elif kind not in ('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job'):
        return None
    template = spec.get('template') or {}
    return template.get('metadata') or {}, template.get('spec') or {}


def amount(quantity):
    number, suffix = re.match(r'^([-+.0-9]+(?:[eE][-+]?[0-9]+)?)([A-Za-z]*)$', str(quantity)).groups()
    return float(number) * SCALE[suffix]


def all_containers(spec):
    for group in ('initContainers', 'containers'):
        for container in spec.get(group) or []:
            yield group, container


def of_metadata(manifest):
    meta = manifest.get('metadata') or {}
    form = PATH_SEGMENT if 'rbac' in str(manifest.get('apiVersion')) else SUBDOMAIN
    if not meta.get('name') and not meta.get('generateName'):
        yield 'metadata.name is missing'
    elif meta.get('name') and not form.match(meta['name']):
        yield 'metadata.name: {!r} is no name'.format(meta['name'])
    for key, value in (meta.get('labels') or {}).items():
        if not LABEL_VALUE.match(str(value)):
            yield 'label {}: {!r} is no value of a label'.format(key, value)


def of_names(spec):
    seen = set()
    for group, container in all_containers(spec):
        name = str(container.get('name'))
        if not LABEL.match(name):
            yield '{}: {!r} is no name of a container'.format(group, name)
        if name in seen:
            yield 'two containers are called ' + name
        seen.add(name)
        if not container.get('image'):
            yield 'container {} has no image'.format(name)


def of_ports(spec):
    for _, container in all_containers(spec):
        for port in container.get('ports') or []:
            for key in ('containerPort', 'hostPort'):
                if key in port and not 0 < port[key] < 65536:
                    yield 'container {}: {} {} is no port'.format(container.get('name'), key, port[key])
            if 'name' in port and not PORT_NAME.match(port['name']):
                yield 'container {}: {!r} is no name of a port'.format(container.get('name'), port['name'])


def of_volumes(spec):
    for volume in spec.get('volumes') or []:
        if len(set(volume) - {'name'}) != 1:
            yield 'volume {} has {} sources'.format(volume.get('name'), len(set(volume) - {'name'}))
        if not LABEL.match(str(volume.get('name'))):
            yield '{!r} is no name of a volume'.format(volume.get('name'))
        for source in (volume.get('projected') or {}).get('sources') or []:
            if (source.get('serviceAccountToken') or {}).get('expirationSeconds', 3600) < 600:
                yield 'volume {}: a token lasts ten minutes at least'.format(volume.get('name'))
            for item in (source.get('downwardAPI') or {}).get('items') or []:
                if 'fieldRef' in item and not FILE_FIELD.match(item['fieldRef'].get('fieldPath', '')):
                    yield 'volume {}: a file cannot hold {}'.format(volume.get('name'), item['fieldRef'].get('fieldPath'))


def of_mounts(spec, claims):
    """`claims`: names of volumes that a StatefulSet adds."""
    volumes = {v.get('name') for v in spec.get('volumes') or []} | claims
    for _, container in all_containers(spec):
        for mount in container.get('volumeMounts') or []:
            if mount.get('name') not in volumes:
                yield 'container {}: there is no volume {}'.format(container.get('name'), mount.get('name'))
            if ':' in str(mount.get('mountPath')):
                yield 'container {}: a mountPath has no colon'.format(container.get('name'))


def of_environment(spec):
    for _, container in all_containers(spec):
        for variable in container.get('env') or []:
            if not ENV_NAME.match(str(variable.get('name'))):
                yield 'container {}: {!r} is no variable'.format(container.get('name'), variable.get('name'))
            if variable.get('value') and variable.get('valueFrom'):
                yield 'container {}: {} has value and valueFrom'.format(container.get('name'), variable.get('name'))
            path = ((variable.get('valueFrom') or {}).get('fieldRef') or {}).get('fieldPath')
            if path and not FIELD.match(path):
                yield 'container {}: {} cannot be {}'.format(container.get('name'), variable.get('name'), path)


def of_restarts(kind, spec):
    for group, container in all_containers(spec):
        policy = container.get('restartPolicy')
        if policy and (group == 'containers' or policy != 'Always'):
            yield 'container {}: restartPolicy {} is for init containers, and Always'.format(container.get('name'), policy)
    policy = spec.get('restartPolicy', 'Always')
    if kind in ('Job', 'CronJob') and policy not in ('OnFailure', 'Never'):
        yield 'restartPolicy of a {} is OnFailure or Never'.format(kind)
    if kind in ('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController') and policy != 'Always':
        yield 'restartPolicy of a {} is Always'.format(kind)


def of_resources(spec):
    for _, container in all_containers(spec):
        resources = container.get('resources') or {}
        for key, limit in (resources.get('limits') or {}).items():
            if amount((resources.get('requests') or {}).get(key, 0)) > amount(limit):
                yield 'container {} requests more {} than its limit'.format(container.get('name'), key)


def of_selector(manifest):
    if manifest.get('kind') not in ('Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'):
        return
    wanted = ((manifest.get('spec') or {}).get('selector') or {}).get('matchLabels') or {}
    labels = template_of(manifest)[0].get('labels') or {}
    if not wanted or any(labels.get(key) != value for key, value in wanted.items()):
        yield 'spec.selector does not select the pods of the template'


def of_service(manifest):
    for port in (manifest.get('spec') or {}).get('ports') or []:
        for key in ('port', 'targetPort'):
            if isinstance(port.get(key), int) and not 0 < port[key] < 65536:
                yield '{} {} is no port'.format(key, port[key])


def of_binding(manifest):
    if (manifest.get('roleRef') or {}).get('apiGroup') != 'rbac.authorization.k8s.io':
        yield 'roleRef.apiGroup is rbac.authorization.k8s.io'
    for subject in manifest.get('subjects') or []:
        if subject.get('kind') == 'ServiceAccount' and not subject.get('namespace'):
            yield 'subject {} has no namespace'.format(subject.get('name'))


def of_schedule(manifest):
    if len(str((manifest.get('spec') or {}).get('schedule')).split()) != 5:
        yield 'spec.schedule has five parts'


def of_mutations(manifest):
    spec = manifest.get('spec') or {}
    if not spec.get('mutations'):
        yield 'spec.mutations is empty'
    for key in ('matchConstraints', 'reinvocationPolicy'):
        if not spec.get(key):
            yield 'spec.{} is missing'.format(key)
    for mutation in spec.get('mutations') or []:
        field = {'JSONPatch': 'jsonPatch', 'ApplyConfiguration': 'applyConfiguration'}.get(mutation.get('patchType'))
        if set(mutation) - {'patchType'} != {field}:
            yield 'a mutation of type {} has {}'.format(mutation.get('patchType'), field)


BY_KIND = {'Service': of_service, 'RoleBinding': of_binding, 'ClusterRoleBinding': of_binding, 'CronJob': of_schedule,
           'MutatingAdmissionPolicy': of_mutations}


def errors(manifest):
    """Only of a manifest that its schema lets pass."""
    found = list(of_metadata(manifest)) + list(of_selector(manifest))
    found += BY_KIND.get(manifest.get('kind'), lambda _: [])(manifest)
    template = template_of(manifest)
    if template:
        spec = template[1]
        claims = {c['metadata']['name'] for c in (manifest.get('spec') or {}).get('volumeClaimTemplates') or []}
        for rule in (of_names, of_ports, of_volumes, of_environment, of_resources):
            found += rule(spec)
        found += list(of_mounts(spec, claims)) + list(of_restarts(manifest.get('kind'), spec))
    return found
