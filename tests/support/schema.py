# SPDX-License-Identifier: Apache-2.0
"""schema.py SCHEMA FILE: holds a document against a schema. 1, and a line for each place that does not fit; 2: a bad schema."""

import json
import sys

import jsonschema

SHOWN = 20


def once(pairs):
    keys = [key for key, _ in pairs]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError('{} is there twice'.format(', '.join(sorted(twice))))
    return dict(pairs)


def no_constant(name):
    raise ValueError(name + ' is no JSON')


def open_objects(schema, where='#'):
    """The objects of a schema that leave open what else may be there."""
    if isinstance(schema, list):
        for i, item in enumerate(schema):
            yield from open_objects(item, '{}/{}'.format(where, i))
        return
    if not isinstance(schema, dict):
        return
    types = schema.get('type', ())
    if types == 'object' or (not isinstance(types, str) and 'object' in types):
        if schema.get('additionalProperties', True) is True:
            yield where
    for key, value in schema.items():
        if key not in ('enum', 'const', 'required'):
            yield from open_objects(value, '{}/{}'.format(where, key))


def load_schema(path):
    with open(path, encoding='utf-8') as file:
        schema = json.load(file, object_pairs_hook=once)
    jsonschema.Draft7Validator.check_schema(schema)
    for where in open_objects(schema):
        raise ValueError('{} leaves open what else may be there'.format(where))
    return schema


def line_of(error):
    where = '/'.join(str(step) for step in error.absolute_path)
    text = error.message
    return '  {}: {}'.format(where or 'the whole', text if len(text) < 300 else text[:300] + '...')


def main():
    try:
        schema = load_schema(sys.argv[1])
    except (OSError, ValueError, jsonschema.SchemaError) as error:
        print("schema.py: {}: {}".format(sys.argv[1], str(error).splitlines()[0]), file=sys.stderr)
        return 2
    try:
        with open(sys.argv[2], encoding='utf-8') as file:
            document = json.load(file, object_pairs_hook=once, parse_constant=no_constant)
    except ValueError as error:
        print('  no JSON: {}'.format(error))
        return 1
    lines = [line_of(error) for error in jsonschema.Draft7Validator(schema).iter_errors(document)]
    print('\n'.join(lines[:SHOWN]), end='\n' if lines else '')
    return 1 if lines else 0


if __name__ == '__main__':
    sys.exit(main())
