# SPDX-License-Identifier: Apache-2.0
"""What examples/kubernetes/metrics has for Prometheus and Grafana, held against Prometheus' own tool and the agent's metrics.

Grafana itself is not here: its dashboard is read for what it asks and where it draws, and Prometheus parses each question.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile

import yaml

TOOL = 'promtool'
# What a dashboard's variables stand for.
VARIABLES = {'$__rate_interval': '5m', '$instance': '.*', '$namespace': '.*', '$service': '.*', '$datasource': 'prometheus'}
# What Prometheus itself adds to what it scrapes.
OF_PROMETHEUS = {'up'}
COLUMNS = 24


def loaded(path):
    with open(path) as file:
        return yaml.safe_load(file)


def is_there():
    return shutil.which(TOOL) is not None


def lines_of(*command, **options):
    """What the tool complains of."""
    done = subprocess.run([TOOL, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, **options)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode else []


def known(text):
    """Names of the samples of tests/data/metrics.txt: "NAME TYPE ..." a line."""
    names = set(OF_PROMETHEUS)
    for line in text.splitlines():
        name, kind = line.split()[:2]
        names |= {'histogram': {name + '_bucket', name + '_sum', name + '_count'}}.get(kind, {name})
    return names


def asked(expression):
    """Metrics that an expression names: identifiers of ours, and `up`."""
    bare = re.sub(r'"(\\.|[^"\\])*"', '""', expression)
    return set(re.findall(r'\b(?:fairdial_\w+|up)\b(?!\s*:)', bare)) - {w for w in re.findall(r'\bfairdial_?:[\w:]+', bare)}


def unknown(what, expressions, names):
    for expression in expressions:
        for name in sorted(asked(expression) - names):
            yield '{}: asks for {}, which no agent serves'.format(what, name)


def rule_errors(path, names):
    """By promtool, and by what the agent serves."""
    found = lines_of('check', 'rules', path)
    groups = loaded(path)['groups']
    found += unknown(os.path.basename(path), [rule['expr'] for group in groups for rule in group['rules']], names)
    return found


def alerts_untested(path, test):
    """Each alert has to be seen firing once."""
    alerts = {rule['alert'] for group in loaded(path)['groups'] for rule in group['rules'] if 'alert' in rule}
    fired = {row['alertname'] for case in loaded(test)['tests'] for row in case['alert_rule_test'] if row['exp_alerts']}
    return ['{} never fires in {}'.format(name, os.path.basename(test)) for name in sorted(alerts - fired)]


def config_errors(path):
    """Debian's Prometheus is built without discovery in Kubernetes: its part is put aside, and the rest is checked."""
    config = loaded(path)
    with tempfile.TemporaryDirectory() as folder:
        for job in config['scrape_configs']:
            found = job.pop('kubernetes_sd_configs', None)
            if found != [{'role': 'pod'}]:
                yield '{}: looks for {}'.format(job['job_name'], found)
            job['static_configs'] = [{'targets': ['127.0.0.1:9898']}]
        for name in config['rule_files']:
            shutil.copy(os.path.join(os.path.dirname(path), name), folder)
        with open(os.path.join(folder, 'prometheus.yml'), 'w') as file:
            yaml.safe_dump(config, file)
        yield from lines_of('check', 'config', 'prometheus.yml', cwd=folder)


# ---- the dashboard ----


def substituted(text):
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


def overlapping(panels):
    taken = {}
    for panel in panels:
        at = panel['gridPos']
        if at['x'] + at['w'] > COLUMNS:
            yield '{}: goes beyond the right edge'.format(panel['title'])
        for x in range(at['x'], at['x'] + at['w']):
            for y in range(at['y'], at['y'] + at['h']):
                if (x, y) in taken:
                    yield '{}: lies on {}'.format(panel['title'], taken[x, y])
                    return
                taken[x, y] = panel['title']


def parsed(expressions):
    """By Prometheus: each as a rule, which has to be an expression of PromQL."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'rules.yml')
        rules = [{'record': 'dashboard:question:{}'.format(i), 'expr': substituted(e)} for i, e in enumerate(expressions)]
        with open(path, 'w') as file:
            yaml.safe_dump({'groups': [{'name': 'dashboard', 'rules': rules}]}, file)
        return lines_of('check', 'rules', path)


def dashboard_errors(text, names):
    board = json.loads(text)
    panels = board['panels']
    expressions = [target['expr'] for panel in panels for target in panel.get('targets', ())]
    variables = {'$' + row['name'] for row in board['templating']['list']}
    queries = [row['query']['query'] for row in board['templating']['list'] if row['type'] == 'query']
    found = parsed(expressions) + list(overlapping(panels)) + list(unknown('a panel', expressions, names))
    found += unknown('a variable', [re.sub(r'label_values\((.*), \w+\)', r'\1', query) for query in queries], names)
    if len({panel['id'] for panel in panels}) != len(panels):
        found.append('two panels have one id')
    for expression in expressions:
        found += ['{} is no variable of it: {}'.format(name, expression)
                  for name in re.findall(r'\$\w+', expression) if name not in variables | {'$__rate_interval'}]
    if len(expressions) < 10:
        found.append('it asks {} questions alone'.format(len(expressions)))
    return found
