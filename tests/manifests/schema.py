# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects against the API's own schemas, as strictly as `kubectl apply --validate=strict`.

OpenAPI leaves open what a server does not: unknown fields are mistakes here, a Quantity and an int-or-string have their forms,
numbers their width, and lists that are maps no key twice. A field that is null is one that is absent, as to the API's decoder.
"""

import base64
import binascii
import copy
import json
import os
import re

import jsonschema

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'kubernetes', 'openapi')
PREFIX = '#/components/schemas/'
QUANTITY = 'io.k8s.apimachinery.pkg.api.resource.Quantity'

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
QUANTITY_FORM = r'^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|[eE][+-]?[0-9]+)?$'

# A server takes these twice; the later one counts, or both do.
MAY_REPEAT = [('io.k8s.api.core.v1.Container', 'env'), ('io.k8s.api.core.v1.Container', 'ports')]

# Kinds that this server had in an earlier version only, whose fields are the same: (group, version), and the one to look at.
SAME_AS = {
    ('admissionregistration.k8s.io', 'v1'): ('admissionregistration.k8s.io', 'v1alpha1'),
    ('admissionregistration.k8s.io', 'v1beta1'): ('admissionregistration.k8s.io', 'v1alpha1'),
}

formats = jsonschema.FormatChecker(formats=())


@formats.checks('int32')
def is_int32(value):
    return not isinstance(value, int) or -2 ** 31 <= value < 2 ** 31


@formats.checks('int64')
def is_int64(value):
    return not isinstance(value, int) or -2 ** 63 <= value < 2 ** 63


@formats.checks('date-time')
def is_time(value):
    return not isinstance(value, str) or bool(re.match(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$', value))


@formats.checks('byte', raises=(binascii.Error, ValueError))
def is_base64(value):
    return not isinstance(value, str) or base64.b64decode(value, validate=True) is not None


def no_key_twice(_, keys, instance, schema):
    if not isinstance(instance, list) or schema.get('x-kubernetes-list-type') != 'map':
        return
    seen = []
    for item in instance:
        key = [item.get(k) for k in keys] if isinstance(item, dict) else item
        if key in seen:
            yield jsonschema.ValidationError('{} is there twice'.format(', '.join(str(k) for k in key)))
        seen.append(key)


def whole_number(_, instance):
    """To a server 1.0 is no integer, and true is none either."""
    return isinstance(instance, int) and not isinstance(instance, bool)


Validator = jsonschema.validators.extend(
    jsonschema.Draft7Validator, {'x-kubernetes-list-map-keys': no_key_twice},
    type_checker=jsonschema.Draft7Validator.TYPE_CHECKER.redefine('integer', whole_number))


def made_strict(value):
    """Where fields are named, all others are mistakes."""
    if isinstance(value, list):
        return [made_strict(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: made_strict(item) for key, item in value.items()}
    if isinstance(made.get('properties'), dict) and 'additionalProperties' not in made:
        made['additionalProperties'] = False
    return made


def without_nulls(value):
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(item) for key, item in value.items() if item is not None}


def place(path):
    """spec.containers[0].ports"""
    text = ''
    for part in path:
        text += '[{}]'.format(part) if isinstance(part, int) else ('.' if text else '') + str(part)
    return text or 'the object'


def said(error):
    if error.validator == 'additionalProperties':
        known = error.schema.get('properties', {})
        return '{}: unknown field {}'.format(place(error.absolute_path), ', '.join(k for k in error.instance if k not in known))
    return '{}: {}'.format(place(error.absolute_path), error.message[:200])


def flattened(errors):
    """The reasons behind an allOf; an int-or-string's are its own."""
    for error in errors:
        if error.validator == 'allOf' and error.context:
            yield from flattened(error.context)
        else:
            yield error


class Schemas:
    def __init__(self, folder=FOLDER):
        self.document = {'components': {'schemas': {}}}
        schemas = self.document['components']['schemas']
        for name in ('schemas.json', 'written.json'):
            with open(os.path.join(folder, name)) as file:
                schemas.update(json.load(file)['components']['schemas'])
        for name, field in MAY_REPEAT:
            schemas[name]['properties'][field] = {k: v for k, v in schemas[name]['properties'][field].items()
                                                  if k != 'x-kubernetes-list-map-keys'}
        self.by_kind = {(gvk['group'], gvk['version'], gvk['kind']): name for name, schema in schemas.items()
                        for gvk in schema.get('x-kubernetes-group-version-kind', [])}
        schemas.update({name: made_strict(schema) for name, schema in schemas.items()})
        schemas[QUANTITY] = {'oneOf': [{'type': 'string', 'pattern': QUANTITY_FORM}, {'type': 'number'}]}
        self.resolver = jsonschema.RefResolver('', self.document)

    def name_of(self, api_version, kind):
        """None where there is none."""
        group, _, version = api_version.rpartition('/')
        found = self.by_kind.get((group, version, kind))
        if not found and (group, version) in SAME_AS:
            found = self.by_kind.get(SAME_AS[group, version] + (kind,))
        return found

    def errors(self, manifest):
        """Lines; None where the kind is not known here."""
        name = self.name_of(str(manifest.get('apiVersion', '')), str(manifest.get('kind', '')))
        if not name:
            return None
        validator = Validator({'$ref': PREFIX + name}, resolver=self.resolver, format_checker=formats)
        return [said(error) for error in flattened(validator.iter_errors(without_nulls(copy.deepcopy(manifest))))]
