# SPDX-License-Identifier: Apache-2.0
"""What a server says of our manifests: the examples, what `fairdial inject` makes, and the admission policy.

All but the policy is sent by dry run, with strict validation of fields. Pod Security admission refuses pods, and only warns of
what makes them: so pods are made of the templates too.
"""

import copy
import functools
import json
import os
import re
import sys

import api
from outcome import Failed, Skipped, wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(TOP, 'tests', 'manifests'))
try:
    import check
    import contract
    import semantics
    import standards
except ImportError as error:
    check, lacking = None, str(error)

CLUSTER_WIDE = ('Namespace', 'ClusterRole', 'ClusterRoleBinding', 'MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding')
OF_SERVER = ('uid', 'resourceVersion', 'creationTimestamp', 'generation', 'managedFields', 'ownerReferences', 'selfLink',
             'deletionTimestamp', 'deletionGracePeriodSeconds')
VERSIONS = ('v1', 'v1beta1', 'v1alpha1')

steps = []


def step(function):
    """As in cluster.py; none of them needs another."""
    steps.append(function)
    return function


def need_checker():
    if not check:
        raise Skipped('python3-yaml and python3-jsonschema are needed: ' + lacking)


# ---- manifests, as this cluster can be sent them ----


def moved(manifest, namespace, suffix):
    """Into a namespace of ours; what is of the whole cluster gets a name of its own."""
    made = copy.deepcopy(manifest)
    meta = made['metadata']
    for key in OF_SERVER:
        meta.pop(key, None)
    made.pop('status', None)
    if made['kind'] in CLUSTER_WIDE:
        meta['name'] += '-' + suffix
        meta.pop('namespace', None)
    else:
        meta['namespace'] = namespace
    for subject in made.get('subjects') or []:
        if 'namespace' in subject:
            subject['namespace'] = namespace
    if made['kind'] == 'Job':  # the server writes them
        made['spec'].pop('selector', None)
        labels = semantics.template_of(made)[0].get('labels') or {}
        for key in [k for k in labels if k.endswith(('controller-uid', 'job-name'))]:
            del labels[key]
    return made


def pod_of(manifest, namespace):
    """The pod that a controller would make of it, with an account that is there."""
    meta, spec = copy.deepcopy(semantics.template_of(manifest))
    spec['serviceAccountName'] = 'agent'
    for key in ('serviceAccount', 'ephemeralContainers', 'priorityClassName', 'priority', 'nodeName', 'runtimeClassName'):
        spec.pop(key, None)
    for claim in (manifest.get('spec') or {}).get('volumeClaimTemplates') or []:
        spec.setdefault('volumes', []).append({'name': claim['metadata']['name'], 'emptyDir': {}})
    return {'apiVersion': 'v1', 'kind': 'Pod', 'spec': spec,
            'metadata': {'name': manifest['metadata']['name'] + '-0', 'namespace': namespace,
                         'labels': meta.get('labels') or {}, 'annotations': meta.get('annotations') or {}}}


@functools.lru_cache()
def examples():
    """(where it is from, object): of the files, and of what kustomize makes."""
    found = [(check.rendered(path), manifest) for path, manifest in check.manifests()
             if manifest['kind'] not in check.KUSTOMIZE and not check.is_patch(path)]
    try:
        found += [('overlay/', manifest) for manifest in check.built(os.path.join(check.EXAMPLES, 'overlay'))]
    except check.Skipped as skipped:
        print('      the overlay is left out: {}'.format(skipped))
    return found


def injected(s):
    """(file, what it was, what `fairdial inject` made of it): one of each kind, and all that were restricted before."""
    check.tool = os.path.join(s.build, 'fairdial')
    if not check.is_verb('inject'):
        raise Skipped('fairdial has no verb inject')
    seen = set()
    for path in check.object_files():
        name, text = os.path.basename(path), check.file_text(path)
        for old, new in zip(check.read(text), check.read(check.injected(text))):
            template = semantics.template_of(new)
            if template and contract.has_agent(template[1]) and (new['kind'] not in seen or was_restricted(old)):
                seen.add(new['kind'])
                yield name, old, new


def was_restricted(manifest):
    return not standards.violations(*semantics.template_of(manifest))


def suffix(s):
    return s.name.rpartition('-')[2]


class Judge:
    """Collects what the server says."""

    def __init__(self, s):
        self.api, self.wrong, self.count = s.api, [], 0

    def said(self, manifest):
        """A refusal, or warnings."""
        try:
            self.api.dry_run(manifest)
        except api.ApiError as error:
            return [str(error)]
        return self.api.warnings

    def send(self, where, manifest, known=()):
        """`known`: what was said of it before."""
        self.count += 1
        self.wrong += ['{}: {}: {}'.format(where, check.called(manifest), line) for line in self.said(manifest)
                       if line not in known]

    def refused(self, where, manifest):
        """For its security alone."""
        self.count += 1
        try:
            self.api.dry_run(manifest)
            self.wrong.append('{}: {} was not refused'.format(where, check.called(manifest)))
        except api.ApiError as error:
            if error.code != 403 or 'violates PodSecurity' not in str(error):
                self.wrong.append('{}: {}: {}'.format(where, check.called(manifest), error))

    def end(self, at_least):
        if self.wrong:
            raise Failed('\n'.join(self.wrong))
        if self.count < at_least:
            raise Failed('only {} were sent'.format(self.count))


# ---- the steps ----


def is_unrestricted(where):
    return where.startswith(check.UNRESTRICTED)


@step
def examples_are_accepted(s):
    """the server takes every example by dry run, strictly, and warns of none"""
    need_checker()
    restricted, privileged = s.namespace_of('restricted'), s.namespace_of('privileged')
    judge = Judge(s)
    for where, manifest in examples():
        if manifest['kind'].startswith('MutatingAdmission'):
            continue
        judge.send(where, moved(manifest, privileged if is_unrestricted(where) else restricted, suffix(s)))
    judge.end(20)


@step
def pods_are_admitted(s):
    """pods of the examples are admitted where "restricted" is enforced, and those of node/ only where nothing is"""
    need_checker()
    restricted, privileged = s.namespace_of('restricted'), s.namespace_of('privileged')
    judge = Judge(s)
    for where, manifest in examples():
        if not semantics.template_of(manifest):
            continue
        if is_unrestricted(where):
            judge.refused(where, pod_of(manifest, restricted))
            judge.send(where, pod_of(manifest, privileged))
        else:
            judge.send(where, pod_of(manifest, restricted))
    judge.end(8)


@step
def injected_is_accepted(s):
    """the server takes what `fairdial inject` makes of each kind, and admits pods that were restricted before"""
    need_checker()
    restricted, privileged = s.namespace_of('restricted'), s.namespace_of('privileged')
    judge, admitted = Judge(s), 0
    for where, old, new in injected(s):
        was, made = (pod_of(m, privileged) if m['kind'] == 'Pod' else moved(m, privileged, suffix(s)) for m in (old, new))
        known = judge.said(was)
        if known:
            print('      {}: said before fairdial was in it: {}'.format(where, '; '.join(known)))
        judge.send(where, made, known)
        if was_restricted(old):
            judge.send(where, pod_of(new, restricted))
            admitted += 1
    if not admitted:
        raise Failed('no pod was restricted before')
    judge.end(5)


def policy_version(s):
    """The newest in which the server has the kind."""
    group = '/apis/admissionregistration.k8s.io'
    served = [v['version'] for v in s.api.request('GET', group)['versions']]
    for version in VERSIONS:
        if version in served:
            resources = s.api.request('GET', '{}/{}'.format(group, version))['resources']
            if any(r['name'] == 'mutatingadmissionpolicies' for r in resources):
                return version
    raise Skipped('the server does not serve MutatingAdmissionPolicy')


def policy_for(s, namespace):
    """Policy and binding, of the server's version, for pods of that namespace."""
    text = check.file_text(os.path.join(check.EXAMPLES, 'policy', 'policy.yaml'))
    text = re.sub(r'k8s.io/v1$', 'k8s.io/' + policy_version(s), text, flags=re.M)
    policy, binding = (moved(manifest, None, suffix(s)) for manifest in check.read(text))
    binding['spec']['policyName'] = policy['metadata']['name']
    binding['spec']['matchResources']['namespaceSelector'] = {'matchLabels': {'kubernetes.io/metadata.name': namespace}}
    return policy, binding


@step
def policy_is_accepted(s):
    """the server takes the admission policy and its binding, in the version that it serves"""
    need_checker()
    judge = Judge(s)
    for manifest in policy_for(s, s.namespace_of('restricted')):
        judge.send('policy/policy.yaml', manifest)
    judge.end(2)


def wanted_pod(namespace):
    """Restricted, with two containers, one of which preloads something."""
    context = {'allowPrivilegeEscalation': False, 'capabilities': {'drop': ['ALL']}, 'runAsNonRoot': True,
               'seccompProfile': {'type': 'RuntimeDefault'}}
    return {'apiVersion': 'v1', 'kind': 'Pod',
            'metadata': {'name': 'web', 'namespace': namespace, 'labels': {'fairdial.dev/inject': 'true'},
                         'annotations': {'fairdial.dev/services': 'web, mysql.shop', 'fairdial.dev/mode': 'observe'}},
            'spec': {'serviceAccountName': 'agent', 'automountServiceAccountToken': False,
                     'containers': [{'name': 'web', 'image': 'web', 'securityContext': context},
                                    {'name': 'cache', 'image': 'cache', 'securityContext': context,
                                     'env': [{'name': 'LD_PRELOAD', 'value': '/lib/a.so'}, {'name': 'A', 'value': 'b'}]}]}}


@step
def policy_injects(s):
    """a pod with the label becomes what the contract says, by the admission policy"""
    need_checker()
    namespace = s.namespace_of('restricted')
    made = []

    def attempt():
        pod = s.api.dry_run(wanted_pod(namespace))
        if not contract.has_agent(pod['spec']):
            raise Failed('it became ' + json.dumps(pod['spec'])[:2000])
        return pod
    try:
        for manifest in policy_for(s, namespace):
            s.api.put(manifest)
            made.append(manifest)
        pod = wait_until('the pod had the agent', attempt)
    finally:
        for manifest in made:
            s.removed(s.api.take, manifest)
    wrong = contract.errors(pod['metadata'], pod['spec'])
    if wrong:
        raise Failed('\n'.join(wrong))
