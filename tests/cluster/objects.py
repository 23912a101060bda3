# SPDX-License-Identifier: Apache-2.0
"""What the suite makes, and what a table should say of what is there."""

SERVICE_LABEL = 'kubernetes.io/service-name'
TAINT = 'fairdial.dev/test'

# ---- manifests ----


def meta(name, namespace=None, labels=None):
    made = {'name': name, 'labels': labels or {}}
    if namespace:
        made['namespace'] = namespace
    return made


def namespace(name, labels=None):
    return {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': meta(name, labels=labels)}


def node(name):
    """Nobody runs on it, and nobody is to be put there."""
    return {'apiVersion': 'v1', 'kind': 'Node', 'metadata': meta(name, labels={'fairdial.dev/test': 'true'}),
            'spec': {'unschedulable': True, 'taints': [{'key': TAINT, 'effect': 'NoExecute'}]}}


def service(ns, name, ports, selector=None, **spec):
    """`ports`: (name, port, targetPort) each; a name of None is left out, as a Service of one port may."""
    made = []
    for port_name, port, target in ports:
        made.append({'port': port, 'targetPort': target, 'protocol': 'TCP'})
        if port_name is not None:
            made[-1]['name'] = port_name
    spec = dict(spec, ports=made)
    if selector:
        spec['selector'] = selector
    return {'apiVersion': 'v1', 'kind': 'Service', 'metadata': meta(name, ns), 'spec': spec}


def external_name(ns, name):
    return {'apiVersion': 'v1', 'kind': 'Service', 'metadata': meta(name, ns),
            'spec': {'type': 'ExternalName', 'externalName': 'example.com'}}


def pod(ns, name, node_name, account, labels, ports):
    """`ports`: {name: number}. It never runs: the suite is its kubelet."""
    return {
        'apiVersion': 'v1', 'kind': 'Pod', 'metadata': meta(name, ns, labels),
        'spec': {
            'nodeName': node_name, 'serviceAccountName': account, 'automountServiceAccountToken': False,
            'terminationGracePeriodSeconds': 3600,  # so that one which is deleted stays until the suite says otherwise
            'tolerations': [{'operator': 'Exists'}],
            'containers': [{'name': 'main', 'image': 'pause',
                            'ports': [{'name': n, 'containerPort': p} for n, p in ports.items()]}],
        },
    }


def pod_status(address, ready):
    return {'status': {'phase': 'Running', 'podIP': address, 'podIPs': [{'ip': address}],
                       'conditions': [{'type': t, 'status': 'True' if ready else 'False'} for t in ('Ready', 'ContainersReady')]}}


def slice_(ns, name, of, ports, endpoints):
    """`ports`: {name: number}; `endpoints`: {address: conditions}, where None leaves them to their defaults."""
    made = []
    for address, conditions in endpoints.items():
        made.append({'addresses': [address]})
        if conditions is not None:
            made[-1]['conditions'] = conditions
    return {'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice', 'metadata': meta(name, ns, {SERVICE_LABEL: of}),
            'addressType': 'IPv4', 'endpoints': made,
            'ports': [{'name': n, 'port': p, 'protocol': 'TCP'} for n, p in ports.items()]}


def account(ns, name):
    return {'apiVersion': 'v1', 'kind': 'ServiceAccount', 'metadata': meta(name, ns)}


def role(ns, name):
    """All that an agent needs."""
    verbs = ['list', 'watch']
    return {'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'Role', 'metadata': meta(name, ns),
            'rules': [{'apiGroups': [''], 'resources': ['services'], 'verbs': verbs},
                      {'apiGroups': ['discovery.k8s.io'], 'resources': ['endpointslices'], 'verbs': verbs}]}


def role_binding(ns, name, role_name, account_name):
    return {'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'RoleBinding', 'metadata': meta(name, ns),
            'roleRef': {'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role', 'name': role_name},
            'subjects': [{'kind': 'ServiceAccount', 'name': account_name, 'namespace': ns}]}


# ---- a table, as {Service: {'addresses': [...], 'ports': {'80/TCP NAME': {'ADDRESS:PORT': state}}}} ----
#
# A state is what `fairdial status` says of an endpoint in words: whether it is dialed, and why not.

READY, LEFT_OUT, NOT_READY = 'ready', 'left out', 'not ready'
SERVING, TERMINATING = 'terminating, serving', 'terminating'


def state_of(is_ready, is_terminating, is_usable):
    if is_usable:
        return SERVING if is_terminating else READY
    return TERMINATING if is_terminating else LEFT_OUT if is_ready else NOT_READY


def of_status(status, ns):
    """What `fairdial status --json` says of one namespace."""
    table = {}
    for found in status['services']:
        if found['namespace'] != ns:
            continue
        ports = {}
        for port in found['ports']:
            ports['{}/{} {}'.format(port['port'], port['protocol'], port['name'])] = {
                '{}:{}'.format(e['address'], e['port']): state_of(e['ready'], e['terminating'], e['usable'])
                for e in port['endpoints']}
        table[found['name']] = {'addresses': sorted(found['addresses']), 'ports': ports}
    return table


def candidates(port, slices):
    """{'ADDRESS:PORT': conditions} of all slices together. One that is not terminating replaces what was seen of its address
    before; another replaces nothing."""
    found = {}
    for piece in slices:
        numbers = [p['port'] for p in piece.get('ports') or []
                   if p.get('name') == port.get('name', '') and p.get('port') and p.get('protocol', 'TCP') == port['protocol']]
        for number in numbers:
            for endpoint in piece.get('endpoints') or []:
                conditions = {'ready': True, 'serving': True, 'terminating': False}
                conditions.update({k: v for k, v in (endpoint.get('conditions') or {}).items() if v is not None})
                where = '{}:{}'.format(endpoint['addresses'][0], number)
                if where not in found or not conditions['terminating']:
                    found[where] = conditions
    return found


def endpoints_of(port, slices, is_local):
    """All that are ready are dialed, else all that serve while they terminate. `is_local`: of another node, so none."""
    found = candidates(port, slices)
    usable = {where for where, c in found.items() if c['ready']} or \
        {where for where, c in found.items() if c['serving'] and c['terminating']}
    return {where: state_of(c['ready'], c['terminating'], where in usable and not is_local) for where, c in found.items()}


def of_api(services, slices):
    """What it should say: written anew here, from the API's rules and not from the agent's code."""
    table = {}
    for s in services:
        spec = s['spec']
        if spec.get('type') == 'ExternalName' or not spec.get('clusterIP') or not spec.get('ports'):
            continue
        own = sorted((piece for piece in slices if (piece['metadata'].get('labels') or {}).get(SERVICE_LABEL) ==
                      s['metadata']['name'] and piece['addressType'] in ('IPv4', 'IPv6')),
                     key=lambda piece: piece['metadata']['name'])
        is_local = spec.get('internalTrafficPolicy') == 'Local' and spec['clusterIP'] != 'None'
        table[s['metadata']['name']] = {
            'addresses': sorted(a for a in spec.get('clusterIPs') or [spec['clusterIP']] if a != 'None'),
            'ports': {'{}/{} {}'.format(p['port'], p['protocol'], p.get('name', '')): endpoints_of(p, own, is_local)
                      for p in spec['ports']},
        }
    return table


def differences(expected, got):
    """Lines that say what is expected and not there, and what is there and not expected."""
    def flat(table):
        lines = set()
        for name, one in table.items():
            lines.add('{} at {}'.format(name, ', '.join(one['addresses']) or 'no address'))
            for port, endpoints in one['ports'].items():
                lines.add('{} {}'.format(name, port))
                lines.update('{} {} {} {}'.format(name, port, where, state) for where, state in endpoints.items())
        return lines
    want, have = flat(expected), flat(got)
    return ['missing:    ' + line for line in sorted(want - have)] + ['unexpected: ' + line for line in sorted(have - want)]
