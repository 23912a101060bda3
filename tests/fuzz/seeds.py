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


def of_watches():
    def answer(status, text, error=0, piece=40):
        body = text.encode() if isinstance(text, str) else text
        return struct.pack('<BBBH', status, error, piece, len(body)) + body

    def list_of(kind, version, more, *items):
        meta = {'resourceVersion': version}
        if more:
            meta['continue'] = more
        return json.dumps({'kind': kind + 'List', 'metadata': meta, 'items': list(items)})

    def event(kind, thing):
        return json.dumps({'type': kind, 'object': thing}) + '\n'

    service = {'kind': 'Service', 'metadata': {'name': 'web', 'namespace': 'shop', 'resourceVersion': '4', 'annotations':
               {'fairdial.dev/balance': 'p2c', 'fairdial.dev/mode': 'observe'}},
               'spec': {'clusterIP': '10.96.0.1', 'clusterIPs': ['10.96.0.1'], 'ports': [{'name': 'http', 'port': 80, 'targetPort': 8080}]}}
    mark = {'kind': 'Service', 'metadata': {'resourceVersion': '8', 'annotations': {'k8s.io/initial-events-end': 'true'}}}
    gone = {'kind': 'Status', 'code': 410, 'reason': 'Expired', 'message': 'too old resource version', 'details': {'retryAfterSeconds': 2}}
    changes = event('ADDED', service) + event('BOOKMARK', {'metadata': {'resourceVersion': '5'}}) + event('DELETED', service)
    write('watch', 'stream', [4], answer(0, event('ADDED', service) + event('BOOKMARK', mark) + changes), answer(0, changes + event('ERROR', gone)))
    write('watch', 'pages', [0], answer(7, ''), answer(0, list_of('Service', '3', 'next', service)), answer(0, list_of('Service', '4', '', service)),
          answer(0, changes, 4), answer(9, json.dumps({'message': 'User "x" cannot list', 'code': 403})))
    write('watch', 'slices', [3], answer(14, json.dumps({'message': 'Too large resource version', 'code': 504})),
          answer(0, list_of('EndpointSlice', '3', '')), answer(0, '{"type":"ADDED","object":{"kind":"Status"}}{"type":1}'))


def of_hand():
    write('inject', 'pod.yaml', 'kind: Pod\napiVersion: v1\nmetadata: {annotations: {fairdial.dev/mode: "on", fairdial.dev/services: a}}\n'
          'spec:\n  containers:\n  - &c {name: a, env: [{name: LD_PRELOAD, value: /x.so}]}\n  - <<: *c\n    name: b\n---\nkind: Service\n'
          'apiVersion: v1\nspec: {ports: [{port: 0o17}, {port: 1e3}]}\n')
    pod = {'kind': 'Pod', 'apiVersion': 'v1', 'metadata': {'name': 'a'}, 'spec': {'containers': [{'name': 'a', 'image': 'b'}]}}
    write('inject', 'list-in-list.json', json.dumps({'kind': 'List', 'apiVersion': 'v1', 'items': [pod, {'kind': 'List', 'apiVersion': 'v1',
          'items': [pod, {'kind': 'Service', 'spec': {'ports': [{'port': 1.50}]}}]}, {'kind': 'PodList', 'items': [pod]}]}), '\n', json.dumps(pod))
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
    write('kubeconfig', 'certificates.yaml', 'apiVersion: v1\ncurrent-context: b\ncontexts:\n- {name: a, context: {cluster: x}}\n- name: b\n'
          '  context: {cluster: k, user: u, namespace: shop}\nclusters:\n- name: k\n  cluster: {server: "https://k:6443/", tls-server-name: n, '
          'proxy-url: "http://p:1", certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==}\nusers:\n- name: u\n  user:\n'
          '    client-certificate-data: QUJD\n    client-key-data: QUJDRA==\n')
    write('kubeconfig', 'password.json', '{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"clusters":[{"name":'
          '"k","cluster":{"server":"http://localhost"}}],"users":[{"name":"u","user":{"username":"x","password":"s3cr3t-t0k3n"}}]}')
    write('kubeconfig', 'files.yaml', 'current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: '
          '{server: "https://k", certificate-authority: /dev/null}}]\nusers: [{name: u, user: {tokenFile: /nowhere, client-certificate: a, '
          'client-key: b, as: root}}]\n')
    write('kubeconfig', 'exec.json', '{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"clusters":[{"name":"k",'
          '"cluster":{"server":"https://k"}}],"users":[{"name":"u","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":'
          '"aws","args":["eks"],"env":[{"name":"A","value":"s3cr3t-t0k3n"}]}}}]}')
    write('kubeconfig', 'refused.yaml', 'current-context: c\nusers: [{name: u, user: {token: s3cr3t-t0k3n, exec: {command: x}}}]\n')


def of_bytes():
    """Tables and ledgers: what is changed of a good one; see the targets."""
    for how in (0, 2, 6):
        write('table', 'good-{}'.format(how), [how])
        write('table', 'count-{}'.format(how), [how], struct.pack('<HBI', 80, 3, 0xffffffff))
        claims = b''.join(struct.pack('<HI', 0x8000 | 128 + word, 3 + n) for n in range(64) for word in (0, 3, 4))
        write('status', 'good-{}'.format(how), [0, how], claims)
        write('status', 'count-{}'.format(how), [7, how], struct.pack('<HBI', 80, 3, 0xffffffff), claims)
    write('ledger', 'calls', [0, 0, 1], range(20), range(20))
    write('ledger', 'words', [0, 3, 1], struct.pack('<HIHIQ', 0x8000 | 40, 0xffffffff, 0x8000 | 43, 0x7fffffff, 0)[:20], range(16))
    # A dial by each policy, of endpoints that all refuse it, and of which one answers; moves; then the kernel's word.
    dials = b''.join(bytes([0, policy, flags, 50, 3, 3, 4, 3, 0]) for policy in range(6) for flags in (0, 2, 6, 9, 18))
    claims = b''.join(struct.pack('<HI', 0x8000 | 120 + 16 * row, 40 * row + 7) for row in range(4))
    write('dials', 'policies', [0, 0, 27], dials)
    write('dials', 'moves', [4], claims, [0, 0], bytes([128, 1, 0, 0, 0, 50, 0, 128, 2, 64, 1, 2, 3, 4, 5] * 4))



EM_X86_64, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 62, 1, 2, 3, 4
SHT_STRTAB, SHT_RELA, SHT_DYNAMIC, SHT_DYNSYM = 3, 4, 6, 11


def note(kind, owner, value):
    return struct.pack('<III', len(owner), len(value), kind) + owner + b'\0' * (-len(owner) % 4) + value + b'\0' * (-len(value) % 4)


def elf_file():
    """A small program for x86-64 with all that is looked at."""
    names = [b'', b'connect', b'getaddrinfo', b'io_uring_queue_init', b'syscall', b'dlopen', b'dlmopen', b'libc.so.6', b'libnone.so.1',
             b'$ORIGIN/../lib:/nowhere/${LIB}']
    strings = b'\0'.join(names) + b'\0'
    at = {name: sum(len(n) + 1 for n in names[:i]) for i, name in enumerate(names)}
    symbols = bytes(24) + b''.join(struct.pack('<IBBHQQ', at[name], 0x12, 0, 0, 0, 0) for name in names[1:7])
    dynamic = b''.join(struct.pack('<QQ', tag, value) for tag, value in
                       ((1, at[names[7]]), (1, at[names[8]]), (29, at[names[9]]), (5, 0), (0, 0)))
    relocations = struct.pack('<QQq', 0x4000, 5 << 32 | 7, 0)
    notes = note(3, b'GNU\0', bytes(range(20))) + note(1, b'fairdial\0', b'0.1.0\0') + note(4, b'Go\0\0', b'x')
    code = bytes.fromhex('b82a0000000f05 b8aa0100000f05 be0a000000 e8') + struct.pack('<i', 4) + b'\x90' * 4
    code += bytes.fromhex('f30f1efa ff25') + struct.pack('<i', 0x4000 - 0x1000 - len(code) - 10) + b'\x90' * 4
    parts = [b'/lib64/ld-linux-x86-64.so.2\0', notes, code, dynamic, strings, symbols, relocations]
    begin, places = 64 + 4 * 56 + 6 * 64, []
    for part in parts:
        places.append((begin, len(part)))
        begin += len(part)
    loader, noted, coded, dyn, strs, syms, relas = places

    def segment(kind, flags, place, address):
        return struct.pack('<IIQQQQQQ', kind, flags, place[0], address, address, place[1], place[1], 1)

    def section(kind, place, link):
        return struct.pack('<IIQQQQIIQQ', 0, kind, 0, 0, place[0], place[1], link, 0, 1, 0)

    head = struct.pack('<4sBBBB8xHHIQQQIHHHHHH', b'\x7fELF', 2, 1, 1, 0, 3, EM_X86_64, 1, 0x1000, 64, 64 + 4 * 56, 0, 64, 56, 4, 64, 6, 2)
    segments = segment(PT_INTERP, 4, loader, 0) + segment(PT_NOTE, 4, noted, 0) + segment(PT_LOAD, 5, coded, 0x1000) + \
        segment(PT_DYNAMIC, 6, dyn, 0)
    sections = bytes(64) + section(SHT_DYNAMIC, dyn, 2) + section(SHT_STRTAB, strs, 0) + section(SHT_DYNSYM, syms, 2) + \
        section(SHT_RELA, relas, 3) + section(SHT_STRTAB, strs, 0)
    return head + segments + sections + b''.join(parts)


def of_programs():
    whole = elf_file()
    write('elf', 'program', whole)
    write('elf', 'without-note-of-go', whole.replace(b'Go\0\0', b'No\0\0'))
    write('elf', 'big-endian-32', struct.pack('>4sBBBB8xHHIIIIIHHHHHH', b'\x7fELF', 1, 2, 1, 0, 2, 8, 1, 0, 52, 0, 0, 52, 32, 1, 40, 0, 0),
          struct.pack('>IIIIIIII', PT_INTERP, 84, 0, 0, 13, 13, 4, 1), b'/lib/ld.so.1\0')
    write('elf', 'script', '#!/usr/bin/env -S -i LD_PRELOAD=/x/libfairdial.so -u HOME sh -x\necho\n')
    write('elf', 'script-of-itself', '#! /proc/self/fd/3 -x\n')
    write('elf', 'text', 'echo\n')


def of_proc():
    write('proc', 'stat', [0], '42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 6 7\n')
    write('proc', 'maps', [1], '7f65a0-7f66b0 r-xp 00001000 00:27 2 /opt/fairdial/libfairdial.so\n7f66-7f67 r--s 00000000 00:2a 3 '
          '/run/fairdial/table (deleted)\n7f68-7f69 r--s 00000000 00:2a 4 /run/fairdial/table\n7ffc-7ffd rw-p 0 00:00 0 [stack]\n')
    write('proc', 'environ', [2], 'LD_PRELOAD=/x.so:/opt/fairdial/libfairdial.so\0FAIRDIAL=observe\0FAIRDIAL_DIR=/run/x\0'
          'FAIRDIAL_LEDGER=/run/y\0FAIRDIAL_ONLY=web.shop, db\0FAIRDIAL_EXCEPT=\0FAIRDIAL_BALANCE=p2c\0PATH=/bin\0')
    write('proc', 'preloads', [3], '/x/libfairdial.so:liba.so  /b/$LIB/c.so\t\x1b[1m:/d')
    files = [b'7f65a0-7f66b0 r-xp 00001000 00:27 2 /x/libfairdial.so\n', b'Name:\ta\nNSpid:\t42\t1\n',
             b'  sl  local_address rem_address   st\n   0: 00000000:3A99 00000000:0000 0A 00000000:00000000\n', b'',
             b'A=b\0LD_PRELOAD=/x/libfairdial.so\0', b'/bin/a\0-b\0']
    write('proc', 'process', [4], b''.join(struct.pack('<H', len(file)) + file for file in files))
    auxv = struct.pack('<QQQQ', 6, 4096, 23, 1)
    files = [b'7f65a0-7f66b0 r--p 00001000 00:27 2 /x/' + b'y' * 300 + b'\n7f65a0-7f66b0 r-xp 0 00:27 2 /x/libfairdial.so (deleted)\n', auxv, auxv]
    write('proc', 'process-with-shim', [4], b''.join(struct.pack('<H', len(file)) + file for file in files))
    write('mark', 'started', [1], struct.pack('<QII', 1, 1, 3))
    write('mark', 'failed', [1], struct.pack('<QII', 1 << 62, 3, 0xffffffff), 'cannot follow')
    write('mark', 'other', [3], 'not a mark of ours')


def of_words():
    for name, what, text in (('v4', 0, '10.0.0.1:80'), ('v6', 0, '[2001:db8::1]:443'), ('mapped', 0, '::ffff:10.0.0.1'),
                             ('seconds', 1, '1.5s'), ('hours', 1, '24h'), ('lists', 2, 'web.shop, db\0other'),
                             ('base64', 3, 'QUJD\nRA==\n'), ('mode', 4, 'observe'),
                             ('shown', 5, 'a\x1b[1m\u009b\u202e\u00e4\u20ac\U0001f600')):
        write('words', name, [what], text)
    # A value of each form; the byte says of which key, which is whatever that number is.
    for value in ('on', 'off', 'least_conn', 'order', '3', '1500ms', '5m', 'leave', 'idle', 'deadline:30s'):
        write('words', 'policy-' + value.replace(':', '-'), [6 + len(value)], value)


if __name__ == '__main__':
    of_files()
    of_watches()
    of_hand()
    of_bytes()
    of_programs()
    of_proc()
    of_words()
