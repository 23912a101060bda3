# SPDX-License-Identifier: Apache-2.0
"""As much of CEL (https://github.com/google/cel-spec) as an admission policy here uses, evaluated.

It is as strict as a server where our own mistakes are likely: literals of lists and maps are of one type, and an object's type
is called after the field it is the value of (Object.spec.volumes{emptyDir: Object.spec.volumes.emptyDir{}}). It is not a
server: what it takes, a server may refuse; tests/cluster asks one.
"""

import re

TOKEN = re.compile(r"""\s*(?:(?P<number>\d+)|(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_]\w*)|
                   (?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,(){}\[\]]))""", re.X)
LEVELS = [('||',), ('&&',), ('==', '!=', '<', '<=', '>', '>=', 'in'), ('+', '-')]
MACROS = ('map', 'filter', 'exists', 'all')


class CelError(Exception):
    pass


class Made:
    """An object that an expression made, of a type: JSONPatch, Object.spec.containers."""

    def __init__(self, type_name, fields):
        self.type_name, self.fields = type_name, fields


def plain(value, where=None):
    """As JSON. `where` is the name that an object's type is to have."""
    if isinstance(value, Made):
        if where and value.type_name != where:
            raise CelError('an object of type {}, where {} belongs'.format(value.type_name, where))
        return {key: plain(item, value.type_name + '.' + key) for key, item in value.fields.items()}
    if isinstance(value, list):
        return [plain(item, where) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def type_of(value):
    return value.type_name if isinstance(value, Made) else type(value).__name__


def of_one_type(values):
    if len({type_of(value) for value in values}) > 1:
        raise CelError('a literal of several types: ' + ', '.join(sorted({type_of(value) for value in values})))
    return values


# ---- text to a tree of functions: each takes the variables, and gives a value ----


class Parser:
    def __init__(self, text):
        self.tokens, position = [], 0
        text = text.strip()
        while position < len(text):
            found = TOKEN.match(text, position)
            if not found:
                raise CelError('cannot read ' + text[position:position + 20])
            self.tokens.append((found.lastgroup, found.group(found.lastgroup)))
            position = found.end()
        self.tokens.append(('end', ''))

    def peek(self):
        return self.tokens[0][1]

    def next(self, expected=None):
        kind, text = self.tokens.pop(0)
        if expected is not None and text != expected:
            raise CelError('{!r} where {!r} was expected'.format(text, expected))
        return kind, text

    def whole(self):
        made = self.ternary()
        if self.tokens[0][0] != 'end':
            raise CelError('{!r} is too much'.format(self.peek()))
        return made

    def ternary(self):
        condition = self.binary(0)
        if self.peek() != '?':
            return condition
        self.next('?')
        yes = self.ternary()
        self.next(':')
        no = self.ternary()
        return lambda v: yes(v) if condition(v) else no(v)

    def binary(self, level):
        if level == len(LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in LEVELS[level] and self.tokens[0][0] in ('sign', 'word'):
            sign = self.next()[1]
            left = joined(sign, left, self.binary(level + 1))
        return left

    def unary(self):
        if self.tokens[0] == ('sign', '!'):
            self.next()
            operand = self.unary()
            return lambda v: not operand(v)
        return self.member(self.primary())

    def primary(self):
        kind, text = self.next()
        if kind == 'number':
            return lambda v: int(text)
        if kind == 'text':
            return lambda v: re.sub(r'\\(.)', r'\1', text[1:-1])
        if text in ('true', 'false'):
            return lambda v: text == 'true'
        if text == '(':
            inner = self.ternary()
            self.next(')')
            return inner
        if text == '[':
            items = self.items(']')
            return lambda v: of_one_type([item(v) for item in items])
        if text == '{':
            return self.map_literal()
        if kind != 'word':
            raise CelError('{!r} begins nothing'.format(text))
        if text == 'has':
            return self.has()
        if self.peek() == '(':
            self.next()
            arguments = self.items(')')
            return lambda v: FUNCTIONS[text](*[a(v) for a in arguments])
        return self.named(text)

    def named(self, name):
        """A variable, or the literal of an object."""
        ahead, parts = 0, [name]
        while self.tokens[ahead][1] == '.' and self.tokens[ahead + 1][0] == 'word':
            parts.append(self.tokens[ahead + 1][1])
            ahead += 2
        if self.tokens[ahead][1] == '{' and parts[0] in ('Object', 'JSONPatch'):
            del self.tokens[:ahead]
            return self.object_literal('.'.join(parts))
        return lambda v: v[name]

    def items(self, end):
        made = []
        while self.peek() != end:
            made.append(self.ternary())
            if self.peek() != end:
                self.next(',')
        self.next(end)
        return made

    def object_literal(self, type_name):
        self.next('{')
        fields = {}
        while self.peek() != '}':
            key = self.next()[1]
            self.next(':')
            fields[key] = self.ternary()
            if self.peek() != '}':
                self.next(',')
        self.next('}')
        return lambda v: Made(type_name, {key: field(v) for key, field in fields.items()})

    def map_literal(self):
        pairs = []
        while self.peek() != '}':
            key = self.ternary()
            self.next(':')
            pairs.append((key, self.ternary()))
            if self.peek() != '}':
                self.next(',')
        self.next('}')
        return lambda v: dict(zip([key(v) for key, _ in pairs], of_one_type([item(v) for _, item in pairs])))

    def has(self):
        """Of a field alone, whose holder has to be there."""
        self.next('(')
        path = []
        while self.peek() != ')':
            path.append(self.tokens.pop(0))
        self.next(')')
        if len(path) < 3 or path[-2][1] != '.':
            raise CelError('has() is asked of a field')
        inner = Parser('')
        inner.tokens = path[:-2] + [('end', '')]
        holder = inner.whole()
        return lambda v: path[-1][1] in holder(v)

    def member(self, value):
        while self.peek() in ('.', '['):
            if self.next()[1] == '[':
                index = self.ternary()
                self.next(']')
                value = element(value, index)
            else:
                name = self.next()[1]
                value = self.call(value, name) if self.peek() == '(' else field_of(value, name)
        return value

    def call(self, value, name):
        self.next('(')
        if name in MACROS:
            variable = self.next()[1]
            self.next(',')
            body = self.ternary()
            self.next(')')
            return macro(name, value, variable, body)
        arguments = self.items(')')
        return lambda v: METHODS[name](value(v), *[a(v) for a in arguments])


def joined(sign, left, right):
    if sign == '||':
        return lambda v: left(v) or right(v)
    if sign == '&&':
        return lambda v: left(v) and right(v)
    return lambda v: OPERATORS[sign](left(v), right(v))


def field_of(value, name):
    def get(v):
        holder = value(v)
        if not isinstance(holder, dict) or name not in holder:
            raise CelError('no such key: ' + name)
        return holder[name]
    return get


def element(value, index):
    def get(v):
        try:
            return value(v)[index(v)]
        except (LookupError, TypeError) as error:
            raise CelError('no such element: {}'.format(error))
    return get


def macro(name, value, variable, body):
    def each(v):
        for item in value(v):
            yield item, body(dict(v, **{variable: item}))
    return {
        'map': lambda v: [result for _, result in each(v)],
        'filter': lambda v: [item for item, result in each(v) if result],
        'exists': lambda v: any([result for _, result in each(v)]),
        'all': lambda v: all([result for _, result in each(v)]),
    }[name]


def added(a, b):
    if type(a) is not type(b) or not isinstance(a, (str, int, list)):
        raise CelError('no such overload: {} + {}'.format(type_of(a), type_of(b)))
    return a + b


OPERATORS = {
    '==': lambda a, b: a == b, '!=': lambda a, b: a != b, '<': lambda a, b: a < b, '<=': lambda a, b: a <= b,
    '>': lambda a, b: a > b, '>=': lambda a, b: a >= b, 'in': lambda a, b: a in b, '+': added, '-': lambda a, b: a - b,
}
FUNCTIONS = {'string': str, 'size': len, 'int': int}
METHODS = {
    'size': len, 'split': lambda text, by: text.split(by), 'trim': str.strip, 'join': lambda items, by='': by.join(items),
    'contains': lambda text, part: part in text, 'matches': lambda text, form: bool(re.search(form, text)),
    'indexOf': lambda items, item: items.index(item) if item in items else -1, 'startsWith': str.startswith,
}


def evaluate(text, variables):
    try:
        return Parser(text).whole()(variables)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CelError('{}: {}'.format(type(error).__name__, error))
