# SPDX-License-Identifier: Apache-2.0
"""The README's figures of what a dial costs, from a whole run of `make bench BENCH=versus` that is kept in tests/bench/figures.

    figures.py TOP BUILD    keeps BUILD/bench/versus.json and its pictures, and writes TOP/README.md anew

Nobody types a figure: `check` finds a README that says another thing than what is kept.
"""

import json
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from sandbox import Failed  # noqa: E402

BEGIN, END = '<!-- versus: by make readme-figures -->\n', '<!-- end of versus -->'
KEPT = 'tests/bench/figures'
PICTURES = ['dials', 'rates', 'processor', 'evenness', 'change']
SHOWN = ['direct', 'iptables', 'iptables-many', 'nftables-many', 'haproxy', 'nginx', 'fairdial', 'fairdial-many']
COLUMNS = [('dial_p50', 'connect(), median', 'us', True), ('dial_p99', '99 of 100', 'us', False), ('answer_p50', 'first answer, median', 'us', True),
           ('http_rate', 'HTTP requests', '', True), ('mysql_rate', 'MySQL queries', '', True),
           ('http_cpu', 'processor time, HTTP', '', True)]
WAYS = [(['iptables'], "kube-proxy's rules"), (['haproxy'], 'HAProxy'), (['nginx'], 'nginx'), (['fairdial', 'fairdial, no rank'], 'fairdial'),
        (['fairdial, ordinals'], 'pods with ordinals'), (['fairdial, rebalance'], '`rebalance`')]


def row(cells):
    return '| ' + ' | '.join(cells) + ' |\n'


def table(head, rows):
    return row(head) + '|' + '---|' * len(head) + '\n' + ''.join(map(row, rows))


def brief(value):
    return '{:,.0f}'.format(value) if value >= 100 else '{:.2g}'.format(value) if value < 10 else '{:.0f}'.format(value)


def cost(of, unit, with_ratio):
    """9.7 µs (1.08): the value where it has a unit worth reading, and its ratio to a direct dial."""
    ratio = '{:.2f}'.format(of['ratio']['median'])
    if not unit:
        return ratio
    value = '{} µs'.format(brief(of['median']))
    return '{} ({})'.format(value, ratio) if with_ratio else value


def costs(result):
    numbers = {name: of for part in result['parts'].values() for name, of in part['numbers'].items()}
    rows = []
    for way in SHOWN:
        if way in result['titles']:
            rows.append([result['titles'][way]] + [cost(numbers[name]['variants'][way], unit, with_ratio)
                                                   for name, _, unit, with_ratio in COLUMNS])
    return table([''] + [title for _, title, _, _ in COLUMNS], rows)


def pairs(result):
    def cell(of):
        return '{median:.3f} ({low:.3f} to {high:.3f})'.format(**of)
    rounds = max(of['rounds'] for of in result['pairs'])
    head = 'requests a second, by those of a direct dial just before and after: the median of {} turns (95 % interval)'.format(rounds)
    return table([head, 'fairdial', 'a direct dial again'],
                 [[of['what'], cell(of['fairdial']), cell(of['itself'])] for of in result['pairs']])


def memories(result):
    numbers = result['parts']['memory']['numbers']
    life = result['parts']['life']['numbers']['life']['variants']

    def kib(name, way):
        return '{:,.0f} KiB'.format(numbers[name]['variants'][way]['median'])
    return table(['', 'private memory of a client', 'of what helps it in the pod', 'a process that dials once'],
                 [[result['titles'][way], kib('client_memory', way), kib('helper_memory', way),
                   '{:.2f} ms'.format(life[way]['median'])] for way in ('direct', 'haproxy', 'nginx', 'fairdial')])


def evenness(result):
    """The worst of all trials. Pods of a Deployment have no rank, and those rows name it; the others have one pod."""
    most = {(of['scenario'], of['way']): of['most'] for of in result['evenness']}
    rows = []
    for scenario in dict.fromkeys(of['scenario'] for of in result['evenness']):
        found = [[most[scenario, name] for name in names if (scenario, name) in most] for names, _ in WAYS]
        rows.append([scenario] + [str(of[0]) if of else '' for of in found])
    return table(['connections of the busiest server less those of the idlest'] + [title for _, title in WAYS], rows)


def changes(result):
    crowd = '{:,}'.format(result['settings']['services'])
    return table(['a change of one Service beside {} others'.format(crowd), 'median', '99 of 100'],
                 [[of['title'], '{} ms'.format(brief(of['median'])), '{} ms'.format(brief(of['p99']))] for of in result['change']])


def text(result):
    machine, settings = result['machine'], result['settings']
    return '\n'.join([
        'Of one run on {processor}, {processors} processors, Linux {kernel}'.format(**machine) +
        ' ({rounds} rounds in turns; ratios are to the direct dial of the same round):\n'.format(**settings),
        costs(result), pairs(result), memories(result), evenness(result), changes(result),
        '![time to dial]({}/versus-dials.svg)\n![requests]({}/versus-rates.svg)\n![evenness]({}/versus-evenness.svg)\n'.format(
            KEPT, KEPT, KEPT)])


def kept(top):
    with open(os.path.join(top, KEPT, 'versus.json')) as file:
        return json.load(file)


def parts(page):
    found = re.search('(.*' + re.escape(BEGIN) + ')(.*)(' + re.escape(END) + '.*)', page, re.S)
    if not found:
        raise Failed('README.md has no place for the figures of make bench: ' + BEGIN.strip())
    return found.groups()


def read(top):
    with open(os.path.join(top, 'README.md')) as file:
        return file.read()


def check(top):
    if parts(read(top))[1] != text(kept(top)):
        raise Failed('README.md has other figures than {}: make readme-figures'.format(KEPT))


def keep(top, build):
    """The values of each round are left behind: nobody reads them there."""
    with open(os.path.join(build, 'bench/versus.json')) as file:
        result = json.load(file)
    if result['settings'].get('quick') or result['troubles']:
        raise Failed('the last run of make bench BENCH=versus was quick, or missed something: make bench BENCH=versus')
    for part in [*result['parts'].values()]:
        for number in part['numbers'].values():
            for of in number['variants'].values():
                of.pop('values', None)
    for of in result['change']:
        of.pop('values', None)
    os.makedirs(os.path.join(top, KEPT), exist_ok=True)
    with open(os.path.join(top, KEPT, 'versus.json'), 'w') as file:
        json.dump(result, file, indent=1)
        file.write('\n')
    for name in PICTURES:
        shutil.copy(os.path.join(build, 'bench/versus-{}.svg'.format(name)), os.path.join(top, KEPT))


def main():
    top, build = [os.path.abspath(path) for path in sys.argv[1:3]]
    keep(top, build)
    before, _, behind = parts(read(top))
    with open(os.path.join(top, 'README.md'), 'w') as file:
        file.write(before + text(kept(top)) + behind)
    print('README.md: its figures are those of the last run')


if __name__ == '__main__':
    try:
        main()
    except (OSError, KeyError, Failed) as error:
        print('readme-figures: {}'.format(error), file=sys.stderr)
        sys.exit(1)
