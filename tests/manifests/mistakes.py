# SPDX-License-Identifier: Apache-2.0
"""Objects with one mistake each, which the checks must refuse: who never says no proves nothing.

A mistake is (what it is, how it is made of a good object, what the refusal has in it).
"""

import copy

import contract

RESTRICTED = {'allowPrivilegeEscalation': False, 'capabilities': {'drop': ['ALL']}, 'runAsNonRoot': True,
              'seccompProfile': {'type': 'RuntimeDefault'}}


def good_pod():
    """With fairdial in it, as the contract says."""
    return {
        'containers': [{
            'name': 'main', 'image': 'web', 'ports': [{'name': 'http', 'containerPort': 8080}],
            'securityContext': dict(RESTRICTED),
            'env': [{'name': 'LD_PRELOAD', 'value': contract.SHIM}, {'name': 'FAIRDIAL_DIR', 'value': '/run/fairdial/pod'}],
            'volumeMounts': copy.deepcopy(contract.PROGRAM_MOUNTS), 'resources': {'limits': {'memory': '64Mi'}}}],
        'initContainers': [contract.install_container('fairdial', False),
                           copy.deepcopy(contract.agent_container('fairdial', False, {}))],
        'volumes': [dict(copy.deepcopy(volume), name=name) for name, volume in contract.VOLUMES.items()],
    }


def good_deployment():
    return {'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'name': 'web', 'labels': {'app': 'web'}},
            'spec': {'replicas': 2, 'selector': {'matchLabels': {'app': 'web'}},
                     'template': {'metadata': {'labels': {'app': 'web'}, 'creationTimestamp': None}, 'spec': good_pod()}}}


def at(value, path):
    """Where a path of names and numbers ends: (holder, last part)."""
    parts = [int(p) if p.lstrip('-').isdigit() else p for p in path.split('/')]
    for part in parts[:-1]:
        value = value[part]
    return value, parts[-1]


def put(path, item):
    def change(value):
        holder, key = at(value, path)
        holder[key] = item
    return change


def gone(path):
    def change(value):
        holder, key = at(value, path)
        del holder[key]
    return change


def more(path, item):
    def change(value):
        holder, key = at(value, path)
        holder[key] = (holder.get(key) or []) + [item]
    return change


POD = 'spec/template/spec/'
MAIN = POD + 'containers/0/'

OF_DEPLOYMENT = [
    ('a number that is text', put('spec/replicas', '2'), 'spec.replicas'),
    ('a number with a fraction', put('spec/replicas', 2.0), 'spec.replicas'),
    ('a number that is true', put('spec/replicas', True), 'spec.replicas'),
    ('a number too wide', put('spec/replicas', 2 ** 31), 'spec.replicas'),
    ('a text that is a number', put(MAIN + 'env/0/value', 1), 'env[0].value'),
    ('a list that is an object', put(POD + 'containers', {}), 'containers'),
    ('an unknown field at the top', put('specs', {}), 'unknown field specs'),
    ('an unknown field deep down', put(MAIN + 'enviroment', []), 'unknown field enviroment'),
    ('an unknown field of a volume', put(POD + 'volumes/0/emptyDir/size', '1Mi'), 'unknown field size'),
    ('no selector', gone('spec/selector'), "'selector' is a required property"),
    ('no containers', gone(POD + 'containers'), "'containers' is a required property"),
    ('a container without a name', gone(MAIN + 'name'), "'name' is a required property"),
    ('a port without its number', gone(MAIN + 'ports/0/containerPort'), "'containerPort' is a required property"),
    ('a word that is not of the list', put(MAIN + 'imagePullPolicy', 'Sometimes'), 'Sometimes'),
    ('a quantity that is none', put(MAIN + 'resources/limits/memory', '64 MiB'), 'memory'),
    ('an int-or-string that is neither', put('spec/strategy', {'rollingUpdate': {'maxSurge': []}}), 'maxSurge'),
    ('a mountPath twice', more(MAIN + 'volumeMounts', {'name': 'fairdial-bin', 'mountPath': '/run/fairdial'}), 'there twice'),
    ('a time that is none', put('metadata/creationTimestamp', 'today'), 'creationTimestamp'),
    ('another apiVersion', put('apiVersion', 'apps/v1beta2'), 'no schema'),
    ('a port out of range', put(MAIN + 'ports/0/containerPort', 70000), '70000 is no port'),
    ('a name that is none', put(MAIN + 'name', 'Main'), 'no name of a container'),
    ('a name of a port that is none', put(MAIN + 'ports/0/name', 'http_port'), 'no name of a port'),
    ('two containers of one name', put(MAIN + 'name', contract.AGENT), 'two containers are called'),
    ('no image', gone(MAIN + 'image'), 'has no image'),
    ('a mount without its volume', gone(POD + 'volumes/0'), 'there is no volume'),
    ('a volume of two sources', put(POD + 'volumes/0/hostPath', {'path': '/'}), 'has 2 sources'),
    ('a selector of others', put('spec/selector/matchLabels/app', 'other'), 'does not select'),
    ('a label that is none', put('metadata/labels/app', 'a b'), 'no value of a label'),
    ('restartPolicy of a program', put(MAIN + 'restartPolicy', 'Always'), 'for init containers'),
    ('restartPolicy of the pods', put(POD + 'restartPolicy', 'Never'), 'is Always'),
    ('more requested than allowed', put(MAIN + 'resources/requests', {'memory': '1Gi'}), 'more memory than its limit'),
    ('value and valueFrom', put(MAIN + 'env/0/valueFrom', {'fieldRef': {'fieldPath': 'metadata.name'}}), 'value and valueFrom'),
    ('a field that no variable can have', put(POD + 'initContainers/1/env/1/valueFrom/fieldRef/fieldPath', 'spec.zone'),
     'spec.zone'),
    ('a token of a minute', put(POD + 'volumes/2/projected/sources/0/serviceAccountToken/expirationSeconds', 60),
     'ten minutes'),
]

# Of the control that its first word names in standards.py.
OF_STANDARDS = [
    ('HostProcess', put('containers/0/securityContext/windowsOptions', {'hostProcess': True})),
    ('Host Namespaces', put('hostNetwork', True)),
    ('Host Namespaces', put('hostPID', True)),
    ('Host Namespaces', put('hostIPC', True)),
    ('Privileged Containers', put('initContainers/0/securityContext/privileged', True)),
    ('Capabilities', put('containers/0/securityContext/capabilities/add', ['NET_ADMIN'])),
    ('HostPath Volumes', more('volumes', {'name': 'host', 'hostPath': {'path': '/run'}})),
    ('Host Ports', put('containers/0/ports/0/hostPort', 80)),
    ('Host Probes / Lifecycle Hooks', put('containers/0/livenessProbe', {'httpGet': {'host': '192.0.2.1', 'port': 80}})),
    ('Host Probes / Lifecycle Hooks', put('containers/0/lifecycle', {'preStop': {'tcpSocket': {'host': '192.0.2.1'}}})),
    ('AppArmor', put('securityContext', {'appArmorProfile': {'type': 'Unconfined'}})),
    ('SELinux', put('containers/0/securityContext/seLinuxOptions', {'type': 'spc_t'})),
    ('SELinux', put('securityContext', {'seLinuxOptions': {'user': 'system_u'}})),
    ('/proc Mount Type', put('containers/0/securityContext/procMount', 'Unmasked')),
    ('Seccomp', put('initContainers/1/securityContext/seccompProfile/type', 'Unconfined')),
    ('Sysctls', put('securityContext', {'sysctls': [{'name': 'kernel.msgmax', 'value': '1'}]})),
    ('Volume Types', more('volumes', {'name': 'share', 'nfs': {'server': 'a', 'path': '/'}})),
    ('Privilege Escalation', gone('containers/0/securityContext/allowPrivilegeEscalation')),
    ('Privilege Escalation', put('initContainers/0/securityContext/allowPrivilegeEscalation', True)),
    ('Running as Non-root', gone('containers/0/securityContext/runAsNonRoot')),
    ('Running as Non-root', put('securityContext', {'runAsNonRoot': False})),
    ('Running as Non-root user', put('containers/0/securityContext/runAsUser', 0)),
    ('Running as Non-root user', put('securityContext', {'runAsUser': 0})),
    ('Seccomp (restricted)', gone('containers/0/securityContext/seccompProfile')),
    ('Capabilities (restricted)', gone('containers/0/securityContext/capabilities')),
    ('Capabilities (restricted)', put('initContainers/0/securityContext/capabilities/add', ['CHOWN'])),
    ('Privilege Escalation', more('ephemeralContainers', {'name': 'debug', 'image': 'debian'})),
]

OF_CONTRACT = [
    ('no size limit', gone('volumes/0/emptyDir/sizeLimit'), 'fairdial-bin'),
    ('tables on a disk', gone('volumes/1/emptyDir/medium'), 'medium'),
    ('a token that only root reads', put('volumes/2/projected/defaultMode', 0o400), 'defaultMode'),
    ('a ConfigMap that must be there', put('volumes/3/configMap/optional', False), 'optional'),
    ('no volume', gone('volumes/1'), 'fairdial-run'),
    ('another order', lambda spec: spec['initContainers'].reverse(), 'first init containers'),
    ('an agent that ends', gone('initContainers/1/restartPolicy'), 'restartPolicy'),
    ('an agent that is probed', put('initContainers/1/startupProbe', {'exec': {'command': ['true']}}), 'startupProbe'),
    ('another directory', put('initContainers/1/command/3', '/run/fairdial'), 'command'),
    ('no ledger for all', lambda spec: spec['initContainers'][1]['command'].remove('--share-ledger'), 'command'),
    ('a variable less', gone('initContainers/1/env/1'), 'env'),
    ('no directory for who asks the agent', gone('initContainers/1/env/0'), 'env'),
    ('a root that may write', put('initContainers/1/securityContext/readOnlyRootFilesystem', False), 'readOnlyRootFilesystem'),
    ('no memory limit', gone('initContainers/0/resources/limits'), 'limits'),
    ('a user where none is needed', put('initContainers/0/securityContext/runAsUser', 65532), 'runAsUser'),
    ('no user where one is needed', put('securityContext', {'runAsUser': 0}), 'runAsUser'),
    ('the shim before another', put('containers/0/env/0/value', contract.SHIM + ':liba.so'), 'LD_PRELOAD'),
    ('the shim twice', put('containers/0/env/0/value', contract.SHIM + ':' + contract.SHIM), 'LD_PRELOAD'),
    ('no shim', gone('containers/0/env/0'), 'LD_PRELOAD'),
    ('no directory', gone('containers/0/env/1'), 'FAIRDIAL_DIR'),
    ('files that the program may change', gone('containers/0/volumeMounts/0/readOnly'), 'does not mount'),
    ('a ledger that it may not', put('containers/0/volumeMounts/1/readOnly', True), 'does not mount'),
    ('a shim in an init container',
     more('initContainers', {'name': 'own', 'env': [{'name': 'LD_PRELOAD', 'value': contract.SHIM}]}), 'should not'),
]
