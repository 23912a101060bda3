# SPDX-License-Identifier: Apache-2.0
"""seeds.py: writes the first inputs of each target into tests/fuzz/corpus, from files that the tests have anyway.

What fuzzing finds is added there by hand, under the name of what it broke. Run in the top folder.
"""

import glob
import json
import os
import struct

DATA = os.path.join('tests', 'data')
CORPUS = os.path.join('tests', 'fuzz', 'corpus')
IS_SLICE, IS_LIST = 2, 1


def write(target, name, *parts):
    folder = os.path.join(CORPUS, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), 'wb') as file:
        file.write(b''.join(part.encode() if isinstance(part, str) else bytes(part) for part in parts))


def content(path):
    with open(path, 'rb') as file:
        return file.read()


def body(path):
    """Of a recorded response, without its chunks' sizes: the lines that are JSON."""
    return b'\n'.join(line for line in content(path).splitlines() if line.startswith(b'{'))


def of_files():
    for path in sorted(glob.glob(os.path.join(DATA, 'good-services', '*.json'))):
        write('services', os.path.basename(path), content(path))
    for path in sorted(glob.glob(os.path.join(DATA, 'kubernetes', 'list-*.json'))):
        listed = json.loads(content(path))
        listed['items'] = listed.get('items', [])[:2]
        if not listed['items']:
            continue
        kind = IS_SLICE if 'endpointslices' in path else 0
        write('kube', os.path.basename(path), [IS_LIST | kind | 20 << 2], json.dumps(listed))
        listed['kind'] = 'List'
        write('services', os.path.basename(path), json.dumps(listed))
    for path in sorted(glob.glob(os.path.join(DATA, 'kubernetes', 'watch*.http'))):
        kind = IS_SLICE if 'endpointslices' in path else 0
        write('kube', os.path.basename(path)[:-5], [kind | 9 << 2], body(path)[:6000])
    for path in sorted(glob.glob(os.path.join(DATA, 'kubernetes', 'objects', '*.json'))):
        if os.path.getsize(path) < 4000:
            write('inject', os.path.basename(path), content(path))


def of_hand():
    write('inject', 'pod.yaml', 'kind: Pod\napiVersion: v1\nmetadata: {annotations: {fairdial.dev/mode: "on", fairdial.dev/services: a}}\n'
          'spec:\n  containers:\n  - &c {name: a, env: [{name: LD_PRELOAD, value: /x.so}]}\n  - <<: *c\n    name: b\n---\nkind: Service\n'
          'apiVersion: v1\nspec: {ports: [{port: 0o17}, {port: 1e3}]}\n')
    write('metrics', 'accept', 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,'
          'text/plain;version=0.0.4;q=0.5,*/*;q=0.1')
    write('metrics', 'listen', '[::1]:9898')
    write('metrics', 'label', 'a"b\\c\n\u00e4\u20ac\U0001f600', b'\xff\xc3\xed\xa0\x80')
    write('inline', 'web', 'web:80=10.0.0.1:8080,10.0.0.2:8080')
    write('inline', 'several', 'web.shop:80=10.0.0.1:8080;db:3306=[fd00::1]:3306,10.0.0.3:3306')
    write('inline', 'wrong', 'web:0=;=,:[')
    search = 'nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n'
    write('names', 'resolv', [6], 'mysql\0', search)
    write('names', 'hosts', [3], 'web\0', '127.0.0.1 localhost\n::1\tWEB web.shop # x\n10.0.0.1 other')
    write('names', 'long', [63], 'web\0', 'search ' + 'a.' * 1300 + '\n' + 'domain x\noptions  ndots:16 ndots:-1 rotate\n')
    config = {'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'c',
              'contexts': [{'name': 'c', 'context': {'cluster': 'k', 'user': 'u', 'namespace': 'shop'}}],
              'clusters': [{'name': 'k', 'cluster': {'server': 'https://127.0.0.1:6443', 'certificate-authority-data': 'QUJD'}}],
              'users': [{'name': 'u', 'user': {'token': 's3cr3t-t0k3n'}}]}
    write('kubeconfig', 'token.json', json.dumps(config))
    write('kubeconfig', 'token.yaml', 'apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {cluster: k, user: u}\n'
          'clusters:\n- name: k\n  cluster:\n    server: https://[::1]:6443/x\n    insecure-skip-tls-verify: true\n'
          'users:\n- name: u\n  user:\n    token: "s3cr3t-t0k3n"\n    client-certificate-data: QUJD\n    client-key-data: QUJD\n')
    write('kubeconfig', 'refused.yaml', 'current-context: c\nusers: [{name: u, user: {token: s3cr3t-t0k3n, exec: {command: x}}}]\n')


def of_bytes():
    """Tables and ledgers: what is changed of a good one; see the targets."""
    for how in (0, 2, 6):
        write('table', 'good-{}'.format(how), [how])
        write('table', 'count-{}'.format(how), [how], struct.pack('<HBI', 80, 3, 0xffffffff))
    write('ledger', 'calls', [0, 0, 1], range(20), range(20))
    write('ledger', 'words', [0, 3, 1], struct.pack('<HIHIQ', 0x8000 | 40, 0xffffffff, 0x8000 | 43, 0x7fffffff, 0)[:20], range(16))
    # A dial by each policy, of endpoints that all refuse it, and of which one answers; moves; then the kernel's word.
    dials = b''.join(bytes([0, policy, flags, 50, 3, 3, 4, 3, 0]) for policy in range(6) for flags in (0, 2, 6, 9, 18))
    claims = b''.join(struct.pack('<HI', 0x8000 | 120 + 16 * row, 40 * row + 7) for row in range(4))
    write('dials', 'policies', [0, 0, 27], dials)
    write('dials', 'moves', [4], claims, [0, 0], bytes([128, 1, 0, 0, 0, 50, 0, 128, 2, 64, 1, 2, 3, 4, 5] * 4))



if __name__ == '__main__':
    of_files()
    of_hand()
    of_bytes()
