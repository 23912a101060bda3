# SPDX-License-Identifier: Apache-2.0
"""kubectl exec, where no pod runs: stub_exec.py KUBECTL exec KIND/NAME -- COMMAND...

Fails unless the object is there, and its first container has what the command needs: the files where the command looks for
them, and the variables. Then executes it here, with the container's variables.
"""

import json
import os
import subprocess
import sys


def main():
    kubectl, _, name, dashes, *command = sys.argv[1:]
    if dashes != '--' or not command:
        sys.exit('stub_exec: this is not kubectl exec NAME -- COMMAND: {}'.format(' '.join(sys.argv[2:])))
    found = subprocess.run([kubectl, 'get', name, '-o', 'json'], stdout=subprocess.PIPE)
    if found.returncode != 0:
        sys.exit(found.returncode)
    container = json.loads(found.stdout)['spec']['template']['spec']['containers'][0]
    mounts = [mount['mountPath'] for mount in container.get('volumeMounts', [])]
    if not any(command[0].startswith(path + '/') for path in mounts):
        sys.exit('stub_exec: no volume of the container has {}: its mounts are {}'.format(command[0], mounts))
    variables = {e['name']: e['value'] for e in container.get('env', []) if 'value' in e}
    if not any(variables.get('FAIRDIAL_DIR', '').startswith(path + '/') for path in mounts):
        sys.exit('stub_exec: FAIRDIAL_DIR of the container is in none of its volumes')
    os.execve(command[0], command, dict(os.environ, **variables))


main()
