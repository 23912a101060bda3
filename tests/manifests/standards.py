# SPDX-License-Identifier: Apache-2.0
"""The Pod Security Standards, offline: every control of the levels baseline and restricted, as of Kubernetes 1.36.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ and what enforces them, pod-security-admission.
Windows pods, to which some do not apply, and pods with a user namespace (hostUsers: false), to which some are relaxed, are held
to all.

A control is a function of a pod (metadata and spec) that yields what is wrong with it; CONTROLS has a row for each.
"""

SAFE_SYSCTLS = {
    'kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.tcp_syncookies',
    'net.ipv4.ping_group_range', 'net.ipv4.ip_local_reserved_ports', 'net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout',
    'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes', 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem',
}
DEFAULT_CAPABILITIES = {
    'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP', 'SETGID',
    'SETPCAP', 'SETUID', 'SYS_CHROOT',
}
SELINUX_TYPES = {None, '', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'}
VOLUMES = {'configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret'}
APPARMOR = 'container.apparmor.security.beta.kubernetes.io/'


def containers(spec):
    for group in ('initContainers', 'containers', 'ephemeralContainers'):
        for container in spec.get(group) or []:
            yield container


def context(holder):
    """Of a pod's spec, or of a container."""
    return holder.get('securityContext') or {}


def contexts(spec):
    """(who, securityContext): the pod's, and all containers'."""
    yield 'the pod', context(spec)
    for container in containers(spec):
        yield 'container ' + str(container.get('name')), context(container)


# ---- baseline ----


def host_process(_, spec):
    for who, c in contexts(spec):
        if (c.get('windowsOptions') or {}).get('hostProcess'):
            yield '{} is a host process'.format(who)


def host_namespaces(_, spec):
    for key in ('hostNetwork', 'hostPID', 'hostIPC'):
        if spec.get(key):
            yield 'has {}'.format(key)


def privileged(_, spec):
    for who, c in contexts(spec):
        if c.get('privileged'):
            yield '{} is privileged'.format(who)


def added_capabilities(_, spec):
    for who, c in contexts(spec):
        for name in (c.get('capabilities') or {}).get('add') or []:
            if name not in DEFAULT_CAPABILITIES:
                yield '{} adds {}'.format(who, name)


def host_path(_, spec):
    for volume in spec.get('volumes') or []:
        if 'hostPath' in volume:
            yield 'volume {} is a hostPath'.format(volume.get('name'))


def host_ports(_, spec):
    for container in containers(spec):
        for port in container.get('ports') or []:
            if port.get('hostPort'):
                yield 'container {} has hostPort {}'.format(container.get('name'), port['hostPort'])


def hosts_of_handlers(_, spec):
    for container in containers(spec):
        handlers = [container.get(probe) for probe in ('livenessProbe', 'readinessProbe', 'startupProbe')]
        handlers += [(container.get('lifecycle') or {}).get(hook) for hook in ('postStart', 'preStop')]
        for handler in filter(None, handlers):
            for action in ('httpGet', 'tcpSocket'):
                if (handler.get(action) or {}).get('host'):
                    yield 'container {} names a host in {}'.format(container.get('name'), action)


def apparmor(meta, spec):
    for who, c in contexts(spec):
        if (c.get('appArmorProfile') or {}).get('type') not in (None, 'RuntimeDefault', 'Localhost'):
            yield '{} is of AppArmor profile {}'.format(who, c['appArmorProfile']['type'])
    for key, value in (meta.get('annotations') or {}).items():
        if key.startswith(APPARMOR) and value not in ('', 'runtime/default') and not value.startswith('localhost/'):
            yield 'annotation {} is {}'.format(key, value)


def selinux(_, spec):
    for who, c in contexts(spec):
        options = c.get('seLinuxOptions') or {}
        if options.get('type') not in SELINUX_TYPES or options.get('user') or options.get('role'):
            yield '{} has SELinux options'.format(who)


def proc_mount(_, spec):
    for container in containers(spec):
        if context(container).get('procMount') not in (None, 'Default'):
            yield 'container {} has another procMount'.format(container.get('name'))


def seccomp_unconfined(_, spec):
    for who, c in contexts(spec):
        if (c.get('seccompProfile') or {}).get('type') == 'Unconfined':
            yield '{} is Unconfined'.format(who)


def sysctls(_, spec):
    for item in context(spec).get('sysctls') or []:
        if item.get('name') not in SAFE_SYSCTLS:
            yield 'sets {}'.format(item.get('name'))


# ---- restricted ----


def volume_types(_, spec):
    for volume in spec.get('volumes') or []:
        for kind in set(volume) - VOLUMES - {'name'}:
            yield 'volume {} is a {}'.format(volume.get('name'), kind)


def escalation(_, spec):
    for container in containers(spec):
        if context(container).get('allowPrivilegeEscalation') is not False:
            yield 'container {} does not say allowPrivilegeEscalation: false'.format(container.get('name'))


def non_root(_, spec):
    of_pod = context(spec).get('runAsNonRoot')
    for container in containers(spec):
        own = context(container).get('runAsNonRoot')
        if (of_pod if own is None else own) is not True:
            yield 'container {} does not say runAsNonRoot: true'.format(container.get('name'))
    if of_pod is False:
        yield 'the pod says runAsNonRoot: false'


def user_zero(_, spec):
    for who, c in contexts(spec):
        if c.get('runAsUser') == 0:
            yield '{} is user 0'.format(who)


def seccomp_missing(_, spec):
    of_pod = (context(spec).get('seccompProfile') or {}).get('type')
    for container in containers(spec):
        own = (context(container).get('seccompProfile') or {}).get('type') or of_pod
        if own not in ('RuntimeDefault', 'Localhost'):
            yield 'container {} has no seccompProfile'.format(container.get('name'))


def dropped_capabilities(_, spec):
    for container in containers(spec):
        capabilities = context(container).get('capabilities') or {}
        if 'ALL' not in (capabilities.get('drop') or []):
            yield 'container {} does not drop ALL'.format(container.get('name'))
        for name in capabilities.get('add') or []:
            if name != 'NET_BIND_SERVICE':
                yield 'container {} adds {}'.format(container.get('name'), name)


CONTROLS = [
    ('baseline', 'HostProcess', host_process),
    ('baseline', 'Host Namespaces', host_namespaces),
    ('baseline', 'Privileged Containers', privileged),
    ('baseline', 'Capabilities', added_capabilities),
    ('baseline', 'HostPath Volumes', host_path),
    ('baseline', 'Host Ports', host_ports),
    ('baseline', 'Host Probes / Lifecycle Hooks', hosts_of_handlers),
    ('baseline', 'AppArmor', apparmor),
    ('baseline', 'SELinux', selinux),
    ('baseline', '/proc Mount Type', proc_mount),
    ('baseline', 'Seccomp', seccomp_unconfined),
    ('baseline', 'Sysctls', sysctls),
    ('restricted', 'Volume Types', volume_types),
    ('restricted', 'Privilege Escalation', escalation),
    ('restricted', 'Running as Non-root', non_root),
    ('restricted', 'Running as Non-root user', user_zero),
    ('restricted', 'Seccomp (restricted)', seccomp_missing),
    ('restricted', 'Capabilities (restricted)', dropped_capabilities),
]


def violations(meta, spec, level='restricted'):
    """(control, what is wrong) of a pod at that level, which is "privileged", "baseline" or "restricted"."""
    levels = {'privileged': (), 'baseline': ('baseline',), 'restricted': ('baseline', 'restricted')}[level]
    return [(name, text) for of, name, control in CONTROLS if of in levels for text in control(meta, spec)]
