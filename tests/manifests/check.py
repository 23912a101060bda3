# SPDX-License-Identifier: Apache-2.0
"""Every manifest of examples/kubernetes, and what `fairdial inject` makes, against the API's own schemas and our own rules.

    check.py BUILD               (make check-manifests)
    check.py BUILD FILE...       these files instead, YAML or JSON, by schema and semantics alone

First the checks are checked: each of the objects in mistakes.py has one mistake and must be refused for it. Nothing is asked of
a cluster; tests/cluster does that. Kinds that no schema is known of are named.
"""

import copy
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

import admission
import contract
import dockerfile
import mistakes
import monitoring
import schema
import semantics
import standards
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
EXAMPLES = os.path.join(TOP, 'examples', 'kubernetes')
OBJECTS = os.path.join(TOP, 'tests', 'data', 'kubernetes', 'objects')
# What kustomize reads and refuses by itself, when it builds.
KUSTOMIZE = ('Kustomization', 'Component')
# Outside of the standards, and said to be: the agent of a node, and its clients.
UNRESTRICTED = 'node/'

schemas = schema.Schemas()
tool = None  # set by main
steps = []


def step(function):
    """One check; its docstring is its name. It yields what is wrong."""
    steps.append(function)
    return function


class Skipped(Exception):
    pass


class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):
    """No key twice, and times are text, as in JSON."""


def no_key_twice(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError('the key {!r} is there twice, {}'.format(key, node.start_mark))
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor('tag:yaml.org,2002:map', no_key_twice)
Loader.yaml_implicit_resolvers = {first: [(tag, form) for tag, form in rows if not tag.endswith(':timestamp')]
                                  for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def read(text):
    """All objects of a YAML or JSON text, those of Lists too."""
    for document in yaml.load_all(text, Loader):
        if document and str(document.get('kind', '')).endswith('List') and 'items' in document:
            yield from document['items']
        elif document:
            yield document


def file_text(path):
    with open(path) as file:
        return file.read()


def rendered(path):
    """Relative to the examples."""
    return os.path.relpath(path, EXAMPLES)


def manifests(folder=EXAMPLES):
    """(path, object) of all examples."""
    for path in sorted(glob.glob(os.path.join(folder, '**', '*.yaml'), recursive=True)):
        for manifest in read(file_text(path)):
            yield path, manifest


def is_patch(path):
    """A part of what kustomize builds, no object by itself."""
    return 'not to be applied by itself' in file_text(path)


def called(manifest):
    return '{} {}'.format(manifest.get('kind'), (manifest.get('metadata') or {}).get('name'))


def errors_of(manifest):
    """By schema, and if that lets it pass, by what a server asks beyond it."""
    found = schemas.errors(manifest)
    if found is None:
        return ['no schema of {} {} is known here'.format(manifest.get('apiVersion'), manifest.get('kind'))]
    return found or semantics.errors(manifest)


def pod_errors(manifest, is_restricted=True):
    """Of the pods that it makes: the contract, and the standard "restricted"."""
    template = semantics.template_of(manifest)
    if not template:
        return []
    meta, spec = template
    found = contract.errors(meta, spec) if contract.has_agent(spec) else []
    if contract.is_of_node(spec):
        found += contract.of_node((manifest.get('metadata') or {}).get('namespace'), spec)
    if is_restricted:
        found += ['{}: {}'.format(*violation) for violation in standards.violations(meta, spec)]
    return found


# ---- the checks themselves ----


def changed(good, change):
    made = copy.deepcopy(good)
    change(made)
    return made


def unrefused(rows, good, check):
    """Those of mistakes.py that nothing, or something else, was said of."""
    for line in check(good):
        yield 'what is good is refused: ' + line
    for what, change, reason in rows:
        said = check(changed(good, change))
        if not any(reason in line for line in said):
            yield '{}: {}'.format(what, said or 'nothing is said')


@step
def mistakes_are_refused():
    """an object with one mistake is refused for it"""
    yield from unrefused(mistakes.OF_DEPLOYMENT, mistakes.good_deployment(), errors_of)


@step
def controls_are_refused():
    """a pod that breaks one control of the Pod Security Standards is refused for it, and each control is broken once"""
    good = mistakes.good_pod()
    yield from ('{}: {}'.format(*violation) for violation in standards.violations({}, good))
    for control, change in mistakes.OF_STANDARDS:
        found = {name for name, _ in standards.violations({}, changed(good, change))}
        if control not in found:
            yield '{}: only {} is said'.format(control, sorted(found))
    for name in {row[1] for row in standards.CONTROLS} - {row[0] for row in mistakes.OF_STANDARDS}:
        yield '{} is never broken'.format(name)
    if not standards.violations({'annotations': {standards.APPARMOR + 'main': 'unconfined'}}, good):
        yield 'AppArmor by annotation is not seen'
    host = changed(good, mistakes.more('volumes', {'name': 'host', 'hostPath': {'path': '/run'}}))
    if not standards.violations({}, host, 'baseline') or standards.violations({}, host, 'privileged'):
        yield 'a hostPath is for privileged alone'


@step
def broken_contracts_are_refused():
    """a pod that lacks a part of fairdial is refused for it"""
    yield from unrefused(mistakes.OF_CONTRACT, mistakes.good_pod(), lambda spec: contract.errors({}, spec))


# ---- the examples ----


@step
def examples_are_said():
    """each file says its licence, what it is for, and how it is applied and taken out"""
    for path in sorted(glob.glob(os.path.join(EXAMPLES, '**', '*.yaml'), recursive=True)):
        head = [line for line in file_text(path).splitlines() if line.startswith('#')]
        words = ' '.join(head)
        if head[0] != '# SPDX-License-Identifier: Apache-2.0' or len(head) < 2:
            yield rendered(path) + ': has no head'
        is_part = '/overlay/' in path or '/component/' in path and not path.endswith('kustomization.yaml')
        if not is_part and not ('apply' in words and ('delete' in words or 'take it out' in words)):
            yield rendered(path) + ': does not say how it is applied and taken out'
        if any(len(line) > 128 for line in file_text(path).splitlines()):
            yield rendered(path) + ': has a line of more than 128 columns'


@step
def examples_are_valid():
    """each object of the examples is as the API wants it"""
    for path, manifest in manifests():
        if manifest['kind'] not in KUSTOMIZE and not is_patch(path):
            yield from ('{}: {}: {}'.format(rendered(path), called(manifest), line) for line in errors_of(manifest))


@step
def examples_keep_the_contract():
    """each pod of the examples has what a pod with fairdial has, and those outside of node/ are restricted"""
    with_agent = 0
    for path, manifest in manifests():
        template = semantics.template_of(manifest)
        if not template or is_patch(path):
            continue
        with_agent += contract.has_agent(template[1])
        is_restricted = not rendered(path).startswith(UNRESTRICTED)
        yield from ('{}: {}'.format(rendered(path), line) for line in pod_errors(manifest, is_restricted))
        if not is_restricted and not standards.violations(*template):
            yield rendered(path) + ': is said to be outside of the standards, and is not'
    if with_agent < 3:
        yield 'only {} pods with an agent were seen'.format(with_agent)


@step
def examples_are_of_this_version():
    """every image of fairdial is of the version in the Makefile"""
    version = re.search(r'^VERSION := (.*)$', file_text(os.path.join(TOP, 'Makefile')), re.M).group(1)
    for path in glob.glob(os.path.join(EXAMPLES, '**', '*'), recursive=True):
        if os.path.isfile(path):
            for found in re.findall(r'\bfairdial:(\d[\w.]*)', file_text(path)):
                if found.rstrip('.') != version:
                    yield '{}: fairdial:{}'.format(rendered(path), found)


@step
def agents_may_what_they_need():
    """every Role of the examples is list and watch of services and endpointslices, and no more"""
    seen = 0
    for path, manifest in manifests():
        if manifest['kind'] in ('Role', 'ClusterRole'):
            seen += 1
            if manifest['rules'] != [
                    {'apiGroups': [''], 'resources': ['services'], 'verbs': ['list', 'watch']},
                    {'apiGroups': ['discovery.k8s.io'], 'resources': ['endpointslices'], 'verbs': ['list', 'watch']}]:
                yield '{}: {} may something else'.format(rendered(path), called(manifest))
    if seen < 4:
        yield 'only {} Roles were seen'.format(seen)


@step
def kinds_without_schema():
    """kinds without a schema of their own are known by name"""
    for path, manifest in manifests():
        kind = (manifest['apiVersion'], manifest['kind'])
        if manifest['kind'] in KUSTOMIZE:
            print('      {} {}: by kustomize itself'.format(*kind))
        elif tuple(kind[0].rpartition('/')[::2]) in schema.SAME_AS:
            print('      {} {}: by the schema of v1alpha1'.format(*kind))
        elif (schemas.name_of(*kind) or '').startswith('written.'):
            print('      {} {}: by a schema written by hand'.format(*kind))
        elif not schemas.name_of(*kind):
            yield '{}: {} {}'.format(rendered(path), *kind)


@step
def services_file_is_taken():
    """the services file of the ConfigMap is one that the tool takes"""
    for path, manifest in manifests():
        if manifest['kind'] == 'ConfigMap':
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([tool, 'publish', '--services', '-', '--dir', folder], universal_newlines=True,
                                      input=manifest['data']['services.json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if done.returncode != 0:
                yield '{}: {}'.format(rendered(path), done.stderr.strip())


@step
def image_is_small():
    """the Dockerfile ships the installed tree from scratch, as a user that is a number"""
    text = file_text(os.path.join(EXAMPLES, 'Dockerfile'))
    yield from dockerfile.errors(text, file_text(os.path.join(TOP, 'tests', 'deps.sh')))
    with tempfile.TemporaryDirectory() as folder:
        for name in dockerfile.copied(text):
            source = os.path.join(TOP, name)
            (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, os.path.join(folder, name))
            if '!' + name not in file_text(os.path.join(TOP, '.dockerignore')).splitlines():
                yield '.dockerignore leaves {} out'.format(name)
        done = subprocess.run(['make', '-n', 'all'], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True, env={k: v for k, v in os.environ.items() if not k.startswith('MAKE')})
        if done.returncode != 0 or 'libfairdial.so' not in done.stdout:
            yield 'make, with what it copies: ' + done.stderr.strip()


# ---- what looks at the metrics ----

METRICS = os.path.join(EXAMPLES, 'metrics')
METRIC_NAMES = os.path.join(TOP, 'tests', 'data', 'metrics.txt')
RULES_TEST = os.path.join(TOP, 'tests', 'data', 'prometheus', 'rules-test.yml')


def metric_names():
    if not monitoring.is_there():
        raise Skipped('promtool is not installed: make deps')
    return monitoring.known(file_text(METRIC_NAMES))


@step
def alert_rules_hold():
    """Prometheus takes the rules, which ask for what the agent serves, and each alert fires where it should"""
    path, names = os.path.join(METRICS, 'rules.yml'), metric_names()
    yield from monitoring.rule_errors(path, names)
    yield from monitoring.lines_of('test', 'rules', RULES_TEST)
    yield from monitoring.alerts_untested(path, RULES_TEST)


@step
def scraping_is_configured():
    """Prometheus takes the configuration that scrapes the agents"""
    metric_names()
    yield from monitoring.config_errors(os.path.join(METRICS, 'prometheus.yml'))


@step
def dashboard_asks_what_there_is():
    """each question of the dashboard is PromQL, of metrics that the agent serves, and its panels lie side by side"""
    names, text = metric_names(), file_text(os.path.join(METRICS, 'dashboard.json'))
    yield from monitoring.dashboard_errors(text, names)
    for what, changed_text in [('another metric', text.replace('fairdial_table_age', 'fairdial_tables_age', 1)),
                               ('a question that is none', text.replace('sum by (reason) (', 'sum by reason) (', 1)),
                               ('another variable', text.replace('$instance', '$pod', 1)),
                               ('a panel on another', text.replace('"y": 15', '"y": 14', 1))]:
        if changed_text == text or not monitoring.dashboard_errors(changed_text, names):
            yield 'nothing is said of ' + what


# ---- the admission policy ----


def policy():
    """(policy, binding)"""
    return list(read(file_text(os.path.join(EXAMPLES, 'policy', 'policy.yaml'))))


def pod_for_policy(**spec):
    made = {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'web', 'labels': {'fairdial.dev/inject': 'true'}},
            'spec': {'containers': [{'name': 'web', 'image': 'web'}]}}
    made['spec'].update(spec)
    return made


def pods_for_policy():
    """Of all sorts."""
    yield pod_for_policy()
    yield pod_for_policy(securityContext={'runAsUser': 0}, initContainers=[{'name': 'own', 'image': 'own'}],
                         volumes=[{'name': 'own', 'emptyDir': {}}])
    several = pod_for_policy(containers=[
        {'name': 'web', 'image': 'web', 'volumeMounts': [{'name': 'own', 'mountPath': '/own'}],
         'env': [{'name': 'A', 'value': 'b'}, {'name': 'LD_PRELOAD', 'value': '/lib/a.so:/lib/b.so'}]},
        {'name': 'left', 'image': 'left', 'env': [{'name': 'LD_PRELOAD', 'value': ''}]},
        {'name': 'right', 'image': 'right',
         'env': [{'name': 'A', 'value': 'b'}, {'name': 'LD_PRELOAD', 'value': '/opt/fairdial/libfairdial.so'}]},
    ], volumes=[{'name': 'own', 'emptyDir': {}}])
    several['metadata']['annotations'] = {'fairdial.dev/services': 'web, mysql.shop,', 'fairdial.dev/mode': 'observe',
                                          'fairdial.dev/metrics': '9898',
                                          'fairdial.dev/skip-containers': 'left, none'}
    yield several


@step
def policy_injects():
    """the admission policy makes of a pod what the contract says, once, and leaves other pods alone"""
    rule, binding = policy()
    for pod in pods_for_policy():
        made = admission.admitted(rule, pod)
        yield from errors_of(made) + contract.errors(made['metadata'], made['spec'])
        if admission.admitted(rule, made) != made:
            yield 'a pod that has it gets it again'
        if not admission.concerns(rule, binding, {'kubernetes.io/metadata.name': 'shop'}, pod):
            yield 'it does not concern a pod with the label'
    yield from ['it concerns ' + what for what, labels, pod in [
        ('a pod without the label', {'kubernetes.io/metadata.name': 'shop'}, {'metadata': {'labels': {'app': 'web'}}}),
        ('pods of the cluster', {'kubernetes.io/metadata.name': 'kube-system'}, pod_for_policy()),
    ] if admission.concerns(rule, binding, labels, pod)]


@step
def policy_is_careful():
    """the admission policy passes over what it does not know, and keeps what a person has set"""
    rule = policy()[0]
    windows, refused = pod_for_policy(os={'name': 'windows'}), pod_for_policy()
    refused['metadata']['annotations'] = {'fairdial.dev/inject': 'disabled'}
    yield from ('{} gets it'.format(what) for what, pod in (('a pod of Windows', windows), ('a pod that says no', refused))
                if admission.admitted(rule, pod) != pod)
    untold = pod_for_policy(containers=[{'name': 'web', 'image': 'web', 'env': [
        {'name': 'LD_PRELOAD', 'valueFrom': {'fieldRef': {'fieldPath': 'metadata.name'}}}]}])
    if admission.admitted(rule, untold)['spec']['containers'] != untold['spec']['containers']:
        yield 'a container whose LD_PRELOAD is not known is changed'
    elsewhere = pod_for_policy(containers=[{'name': 'web', 'image': 'web',
                                            'env': [{'name': 'FAIRDIAL_DIR', 'value': '/run/it'}]}])
    elsewhere['metadata']['annotations'] = {'fairdial.dev/services': '$(POD_NAME), -x', 'fairdial.dev/mode': 'On',
                                          'fairdial.dev/metrics': '80'}
    made = admission.admitted(rule, elsewhere)['spec']
    if contract.value_of(made['containers'][0], 'FAIRDIAL_DIR') != '/run/it':
        yield 'FAIRDIAL_DIR is another'
    if made['initContainers'][1]['command'] != contract.agent_command({}):
        yield 'the command is {}'.format(made['initContainers'][1]['command'])


@step
def policy_of_older_servers():
    """the command that makes the admission policy an older version's makes a valid one"""
    text = file_text(os.path.join(EXAMPLES, 'policy', 'policy.yaml'))
    script = re.search(r"sed '(s,[^']*)' policy.yaml", text).group(1)
    for version in ('v1beta1', 'v1alpha1'):
        done = subprocess.run(['sed', script.replace('v1beta1', version)], input=text, stdout=subprocess.PIPE,
                              universal_newlines=True, check=True)
        for manifest in read(done.stdout):
            if manifest['apiVersion'] != 'admissionregistration.k8s.io/' + version:
                yield '{}: is {}'.format(called(manifest), manifest['apiVersion'])
            yield from errors_of(manifest)


# ---- kustomize ----


def built(folder):
    if not shutil.which('kubectl'):
        raise Skipped('kubectl is not installed')
    done = subprocess.run(['kubectl', 'kustomize', folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode != 0:
        # Before 4.5 it knew no components, or did not create what a replacement names.
        if 'unknown field "components"' in done.stderr or 'unknown field "replacements"' in done.stderr:
            raise Skipped('the kustomize of this kubectl is too old for components and replacements')
        raise RuntimeError(done.stderr.strip())
    return list(read(done.stdout))


@step
def overlay_builds():
    """kustomize builds the overlay, and all workloads of it have fairdial, in all their containers"""
    made = built(os.path.join(EXAMPLES, 'overlay'))
    kinds = {manifest['kind'] for manifest in made}
    missing = {'Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'Role', 'RoleBinding'} - kinds
    if missing or 'PodTemplate' in kinds:
        yield 'it has {}'.format(sorted(kinds))
    for manifest in made:
        yield from ('{}: {}'.format(called(manifest), line) for line in errors_of(manifest) + pod_errors(manifest))
        template = semantics.template_of(manifest)
        if template and not contract.has_agent(template[1]):
            yield called(manifest) + ': has no agent'
        if manifest['kind'] == 'RoleBinding' and {s['namespace'] for s in manifest['subjects']} != {'shop'}:
            yield 'the RoleBinding is of {}'.format(manifest['subjects'])


# ---- fairdial inject ----


def is_verb(name):
    return subprocess.run([tool, name, '--help'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def object_files():
    """What `fairdial inject` is tried on."""
    return sorted(glob.glob(os.path.join(OBJECTS, '*.json')))


def injected(text):
    """What the tool makes of a JSON text: a text."""
    done = subprocess.run([tool, 'inject'], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def need_inject():
    if not is_verb('inject'):
        raise Skipped('fairdial has no verb inject')


@step
def injected_objects_are_valid():
    """what `fairdial inject` makes of each object is as the API wants it, keeps the contract, and is as restricted as before"""
    paths = object_files()
    if not paths:
        raise Skipped('tests/data/kubernetes/objects has no objects yet')
    if not is_verb('inject'):
        yield 'there are objects, and {} has no verb inject'.format(tool)
        return
    for path in paths:
        name = os.path.basename(path)
        before = list(read(file_text(path)))
        after = list(read(injected(file_text(path))))
        if len(before) != len(after):
            yield '{}: {} objects became {}'.format(name, len(before), len(after))
        for old, new in zip(before, after):
            known = errors_of(old)
            yield from ('{}: {}: {}'.format(name, called(new), line) for line in errors_of(new) if line not in known)
            was, template = semantics.template_of(old), semantics.template_of(new)
            if not template:
                continue
            is_restricted = not standards.violations(*was)
            yield from ('{}: {}: {}'.format(name, called(new), line) for line in pod_errors(new, is_restricted))


def preload_is_untold(container):
    """What the admission policy leaves alone, and `fairdial inject` does not."""
    entries = [e for e in container.get('env') or [] if e['name'] == 'LD_PRELOAD']
    return len(entries) > 1 or any('valueFrom' in e for e in entries)


@step
def policy_says_what_inject_does():
    """the admission policy makes of the pods of each object what `fairdial inject` does"""
    need_inject()
    rule, compared = policy()[0], 0
    for path in object_files():
        text = file_text(path)
        for old, new in zip(read(text), read(injected(text))):
            if not semantics.template_of(old) or any(map(preload_is_untold, semantics.template_of(old)[1]['containers'])):
                continue
            meta, spec = semantics.template_of(old)
            made = admission.admitted(rule, {'metadata': meta, 'spec': spec})
            compared += 1
            yield from contract.differences(os.path.basename(path), semantics.template_of(new)[1], made['spec'])
    if compared < 10:
        yield 'only {} were compared'.format(compared)


def without_colon(spec):
    """LD_PRELOAD as it is without the colon that a replacement leaves before the first of them."""
    for container in spec['containers']:
        for entry in container.get('env') or []:
            if entry['name'] == 'LD_PRELOAD':
                entry['value'] = entry['value'].lstrip(':')
    return spec


@step
def component_says_what_inject_does():
    """the component makes of each workload of the overlay what `fairdial inject` does"""
    need_inject()
    made = {called(manifest): manifest for manifest in built(os.path.join(EXAMPLES, 'overlay'))}
    workloads = [m for m in read(file_text(os.path.join(EXAMPLES, 'overlay', 'workloads.yaml'))) if semantics.template_of(m)]
    for workload in workloads:
        wanted = semantics.template_of(json.loads(injected(json.dumps(workload))))[1]
        got = without_colon(semantics.template_of(made[called(workload)])[1])
        yield from contract.differences(called(workload), wanted, got)


# ---- running ----


def run_steps():
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for function in steps:
        try:
            lines = list(function())
            outcome = 'failed' if lines else 'passed'
        except Skipped as skipped:
            outcome, lines = 'skipped', [str(skipped)]
        except (RuntimeError, OSError, KeyError, yaml.YAMLError) as error:
            outcome, lines = 'failed', [str(error)] + traceback.format_exc().splitlines()[-4:]
        counts[outcome] += 1
        print('{:5} {}'.format({'passed': 'ok', 'failed': 'FAIL', 'skipped': 'skip'}[outcome], function.__doc__))
        for line in lines:
            print('      ' + line)
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**counts))
    return 1 if counts['failed'] else 0


def check_files(paths):
    lines = ['{}: {}: {}'.format(path, called(manifest), line) for path in paths
             for manifest in read(file_text(path)) for line in errors_of(manifest)]
    print('\n'.join(lines) or 'nothing is wrong')
    return 1 if lines else 0


def main():
    global tool
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    tool = os.path.join(os.path.abspath(sys.argv[1]), 'fairdial')
    return check_files(sys.argv[2:]) if len(sys.argv) > 2 else run_steps()


if __name__ == '__main__':
    sys.exit(main())
