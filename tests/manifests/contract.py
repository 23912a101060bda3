# SPDX-License-Identifier: Apache-2.0
"""What a pod with fairdial in it has, whoever put it there: `fairdial inject`, the component, the policy, or a person.

Written here once more, and not taken from any of them.
"""

INSTALL, AGENT = 'fairdial-install', 'fairdial-agent'
SHIM = '/opt/fairdial/libfairdial.so'
TABLE = '/run/fairdial/pod'
USER = 65532

VOLUMES = {
    'fairdial-bin': {'emptyDir': {'sizeLimit': '64Mi'}},
    'fairdial-run': {'emptyDir': {'medium': 'Memory', 'sizeLimit': '64Mi'}},
    'fairdial-token': {'projected': {'defaultMode': 0o444, 'sources': [
        {'serviceAccountToken': {'path': 'token', 'expirationSeconds': 3600}},
        {'configMap': {'name': 'kube-root-ca.crt', 'items': [{'key': 'ca.crt', 'path': 'ca.crt'}]}},
        {'downwardAPI': {'items': [{'path': 'namespace', 'fieldRef': {'fieldPath': 'metadata.namespace'}}]}}]}},
    'fairdial-config': {'configMap': {'name': 'fairdial', 'optional': True}},
}

ENVIRONMENT = {'POD_NAME': 'metadata.name', 'POD_NAMESPACE': 'metadata.namespace', 'POD_IPS': 'status.podIPs',
               'NODE_NAME': 'spec.nodeName', 'POD_IP': 'status.podIP', 'HOST_IP': 'status.hostIP'}

AGENT_MOUNTS = [
    {'name': 'fairdial-run', 'mountPath': '/run/fairdial'},
    {'name': 'fairdial-token', 'mountPath': '/var/run/secrets/kubernetes.io/serviceaccount', 'readOnly': True},
    {'name': 'fairdial-config', 'mountPath': '/etc/fairdial', 'readOnly': True},
]

PROGRAM_MOUNTS = [
    {'name': 'fairdial-bin', 'mountPath': '/opt/fairdial', 'readOnly': True},
    {'name': 'fairdial-run', 'mountPath': '/run/fairdial'},
]


def own_context(as_user):
    made = {'allowPrivilegeEscalation': False, 'capabilities': {'drop': ['ALL']}, 'readOnlyRootFilesystem': True,
            'runAsNonRoot': True, 'seccompProfile': {'type': 'RuntimeDefault'}}
    if as_user:
        made.update(runAsUser=USER, runAsGroup=USER)
    return made


def resources(memory):
    return {'requests': {'cpu': '10m', 'memory': '32Mi'}, 'limits': {'cpu': '500m', 'memory': memory}}


def agent_command(annotations):
    command = ['/bin/fairdial', 'agent', '--dir', TABLE, '--share-ledger', '--services',
               '-/etc/fairdial/services.json']
    services = ','.join(filter(None, (name.strip() for name in annotations.get('fairdial.dev/services', '').split(','))))
    if services:
        command += ['--service', services]
    if annotations.get('fairdial.dev/mode'):
        command += ['--mode', annotations['fairdial.dev/mode']]
    if annotations.get('fairdial.dev/metrics'):
        command += ['--listen', ':' + annotations['fairdial.dev/metrics']]
    return command


def install_container(image, as_user):
    return {'name': INSTALL, 'image': image, 'command': ['/bin/fairdial', 'install', '/opt/fairdial'],
            'resources': resources('64Mi'), 'securityContext': own_context(as_user),
            'volumeMounts': [{'name': 'fairdial-bin', 'mountPath': '/opt/fairdial'}]}


def agent_container(image, as_user, annotations):
    port = annotations.get('fairdial.dev/metrics')
    ports = {'ports': [{'name': 'fd-metrics', 'containerPort': int(port)}]} if port else {}
    return {'name': AGENT, 'image': image, 'restartPolicy': 'Always', 'command': agent_command(annotations), **ports,
            'env': [{'name': 'FAIRDIAL_DIR', 'value': TABLE}] + [
                {'name': name, 'valueFrom': {'fieldRef': {'fieldPath': path}}} for name, path in ENVIRONMENT.items()],
            'resources': resources('256Mi'), 'securityContext': own_context(as_user), 'volumeMounts': AGENT_MOUNTS}


def in_order(value):
    """Lists of named things are the same in any order; what a server adds by default is no difference."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in value.items() if (key, item) not in (
            ('apiVersion', 'v1'), ('imagePullPolicy', 'IfNotPresent'), ('terminationMessagePath', '/dev/termination-log'),
            ('terminationMessagePolicy', 'File'))}
    if isinstance(value, list):
        items = [in_order(item) for item in value]
        if all(isinstance(item, dict) and ('name' in item or 'mountPath' in item) for item in items):
            items.sort(key=lambda item: (item.get('name', ''), item.get('mountPath', '')))
        return items
    return value


def differences(what, wanted, got):
    """Lines that name the fields that differ."""
    wanted, got = in_order(wanted), in_order(got)
    if isinstance(wanted, dict) and isinstance(got, dict):
        return [line for key in sorted(set(wanted) | set(got)) if wanted.get(key) != got.get(key)
                for line in differences('{}.{}'.format(what, key), wanted.get(key), got.get(key))]
    return [] if wanted == got else ['{}: is {!r}, and should be {!r}'.format(what, got, wanted)]


def has_agent(spec):
    return any(c.get('name') == AGENT for c in spec.get('initContainers') or [])


def value_of(container, name):
    """Of the last one, which is the one that counts."""
    values = [v.get('value') for v in container.get('env') or [] if v.get('name') == name]
    return values[-1] if values else None


def of_program(container):
    name = container.get('name')
    preload = value_of(container, 'LD_PRELOAD') or ''
    if preload.split(':')[-1] != SHIM or preload.split(':').count(SHIM) != 1:
        yield 'container {}: LD_PRELOAD is {!r}, and should end with {}, once'.format(name, preload, SHIM)
    if value_of(container, 'FAIRDIAL_DIR') != TABLE:
        yield 'container {}: FAIRDIAL_DIR is {!r}'.format(name, value_of(container, 'FAIRDIAL_DIR'))
    for mount in PROGRAM_MOUNTS:
        if in_order(mount) not in [in_order(m) for m in container.get('volumeMounts') or []]:
            yield 'container {}: does not mount {}'.format(name, mount)


def of_bystander(container):
    """One that was left out, or that runs before the pod's own."""
    if SHIM in (value_of(container, 'LD_PRELOAD') or '') or any(
            str(m.get('name', '')).startswith('fairdial-') for m in container.get('volumeMounts') or []):
        yield 'container {} has fairdial in it, and should not'.format(container.get('name'))


def errors(meta, spec):
    """Of a pod that has the agent."""
    annotations = meta.get('annotations') or {}
    found = []
    volumes = {v.get('name'): {k: i for k, i in v.items() if k != 'name'} for v in spec.get('volumes') or []}
    for name, wanted in VOLUMES.items():
        got = volumes.get(name)
        if got and 'configMap' in got:  # a server adds it
            got = {'configMap': {k: i for k, i in got['configMap'].items() if (k, i) != ('defaultMode', 0o644)}}
        found += differences('volume ' + name, wanted, got)
    init = spec.get('initContainers') or []
    if [c.get('name') for c in init[:2]] != [INSTALL, AGENT]:
        return found + ['the first init containers are not {} and {}'.format(INSTALL, AGENT)]
    image = init[0].get('image')
    as_user = (spec.get('securityContext') or {}).get('runAsUser') == 0
    found += differences(INSTALL, install_container(image, as_user), init[0])
    found += differences(AGENT, agent_container(image, as_user, annotations), init[1])
    left_out = [name.strip() for name in annotations.get('fairdial.dev/skip-containers', '').split(',')]
    for container in spec.get('containers') or []:
        found += (of_bystander if container.get('name') in left_out else of_program)(container)
    for container in init[2:]:
        found += of_bystander(container)
    return found


# ---- a client of the node's agent ----


def is_of_node(spec):
    """Has the shim, and no agent."""
    return not has_agent(spec) and any(c.get('name') == INSTALL for c in spec.get('initContainers') or [])


def of_node(namespace, spec):
    image = spec['initContainers'][0].get('image')
    found = differences(INSTALL, install_container(image, False), spec['initContainers'][0])
    table = [v for v in spec.get('volumes') or [] if 'hostPath' in v]
    if [v['hostPath'] for v in table] != [{'path': '/run/fairdial/' + str(namespace), 'type': 'DirectoryOrCreate'}]:
        return found + ['its one hostPath is not /run/fairdial/{}, DirectoryOrCreate'.format(namespace)]
    for container in spec['containers']:
        if value_of(container, 'LD_PRELOAD') != SHIM or value_of(container, 'FAIRDIAL_DIR') != '/run/fairdial/node':
            found.append('container {}: LD_PRELOAD or FAIRDIAL_DIR is another'.format(container['name']))
        mounts = {m['mountPath']: m for m in container.get('volumeMounts') or []}
        if mounts.get('/run/fairdial/node') != {'name': table[0]['name'], 'mountPath': '/run/fairdial/node', 'readOnly': True}:
            found.append('container {}: does not mount the node\'s table, read-only'.format(container['name']))
        ledger = value_of(container, 'FAIRDIAL_LEDGER') or ''
        home = mounts.get(ledger.rpartition('/')[0], {})
        if home.get('readOnly') or not any(v['name'] == home.get('name') and 'emptyDir' in v for v in spec['volumes']):
            found.append('container {}: its ledger {!r} is not in an emptyDir of its own'.format(container['name'], ledger))
    return found
