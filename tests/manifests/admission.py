# SPDX-License-Identifier: Apache-2.0
"""What a MutatingAdmissionPolicy makes of a pod, offline: match conditions, variables, patches of type JSONPatch (RFC 6902)."""

import copy

import cel


class Variables(dict):
    """Evaluated when they are asked for, as a server does."""

    def __init__(self, rows, known):
        super().__init__()
        self.rows, self.known = {row['name']: row['expression'] for row in rows}, known

    def __contains__(self, name):
        return name in self.rows

    def __getitem__(self, name):
        if not super().__contains__(name):
            self[name] = cel.evaluate(self.rows[name], dict(self.known, variables=self))
        return super().__getitem__(name)


def holder_of(document, path):
    """(what holds it, its key)"""
    parts = [part.replace('~1', '/').replace('~0', '~') for part in path.split('/')[1:]]
    for part in parts[:-1]:
        document = document[int(part) if isinstance(document, list) else part]
    return document, parts[-1]


def apply(document, patch):
    operation, path, value = patch['op'], patch['path'], patch['value']
    holder, key = holder_of(document, path)
    if isinstance(holder, list):
        index = len(holder) if key == '-' else int(key)
        if operation == 'add':
            holder.insert(index, value)
        else:
            holder[index] = value
    elif operation == 'replace' and key not in holder:
        raise cel.CelError('nothing is at ' + path)
    else:
        holder[key] = value


def json_of(value):
    """A patch's value. A server panics where it is a list of objects."""
    if isinstance(value, list) and any(isinstance(item, cel.Made) for item in value):
        raise cel.CelError('the value of a patch is a list of objects')
    return cel.plain(value)


def selects(selector, labels):
    """A LabelSelector."""
    if any(labels.get(key) != value for key, value in (selector.get('matchLabels') or {}).items()):
        return False
    for term in selector.get('matchExpressions') or []:
        is_there, value = term['key'] in labels, labels.get(term['key'])
        if not {'In': value in term.get('values', []), 'NotIn': value not in term.get('values', []), 'Exists': is_there,
                'DoesNotExist': not is_there}[term['operator']]:
            return False
    return True


def concerns(policy, binding, namespace_labels, pod):
    """Whether the two are about this pod at all."""
    wanted = [policy['spec'].get('matchConstraints') or {}, binding['spec'].get('matchResources') or {}]
    return binding['spec']['policyName'] == policy['metadata']['name'] and all(
        selects(part.get('objectSelector') or {}, pod['metadata'].get('labels') or {}) and
        selects(part.get('namespaceSelector') or {}, namespace_labels) for part in wanted)


def admitted(policy, pod):
    """The pod as it becomes. A CelError is what failurePolicy is about."""
    pod = copy.deepcopy(pod)
    spec = policy['spec']
    known = {'object': pod}
    variables = Variables(spec.get('variables') or [], known)
    known['variables'] = variables
    if not all(cel.evaluate(c['expression'], known) for c in spec.get('matchConditions') or []):
        return pod
    for mutation in spec['mutations']:
        patches = cel.evaluate(mutation['jsonPatch']['expression'], dict(known, object=copy.deepcopy(pod)))
        for patch in patches:
            apply(pod, {key: json_of(value) for key, value in patch.fields.items()})
    return pod
