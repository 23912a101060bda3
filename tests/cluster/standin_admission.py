# SPDX-License-Identifier: Apache-2.0
"""The stand-in's judgement of what it is sent: by the schemas and rules of tests/manifests, which are no server's.

Strict validation of fields; Pod Security admission as the labels of a namespace say (enforce for pods, warn for what makes
them); and MutatingAdmissionPolicies of JSON patches, with CEL as far as ours goes.
"""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'manifests'))
import admission  # noqa: E402
import cel  # noqa: E402
import schema  # noqa: E402
import semantics  # noqa: E402
import standards  # noqa: E402

LABEL = 'pod-security.kubernetes.io/'


class Judgement:
    def __init__(self):
        self.schemas = schema.Schemas()

    def errors(self, manifest):
        """(of the fields, of the values): lines."""
        found = self.schemas.errors(manifest)
        if found is None:
            return ['no kind {}'.format(manifest.get('kind'))], []
        return found, [] if found else semantics.errors(manifest)

    @staticmethod
    def violation(namespace, manifest, mode):
        """What the namespace's label for that mode, "enforce" or "warn", has against it; '' where nothing."""
        level = (namespace['metadata'].get('labels') or {}).get(LABEL + mode, 'privileged')
        template = semantics.template_of(manifest)
        found = standards.violations(*template, level=level) if template else []
        return '{}:latest": {}'.format(level, ', '.join('{} ({})'.format(*v) for v in found)) if found else ''

    @staticmethod
    def mutated(namespace, pod, policies, bindings):
        """As all policies make it that are bound. One that fails is as if it were not there (failurePolicy: Ignore)."""
        labels = dict(namespace['metadata'].get('labels') or {})
        labels['kubernetes.io/metadata.name'] = namespace['metadata']['name']
        for binding in bindings:
            for policy in policies:
                if admission.concerns(policy, binding, labels, pod):
                    try:
                        pod = admission.admitted(policy, pod)
                    except cel.CelError as error:
                        print('standin: policy {}: {}'.format(policy['metadata']['name'], error), file=sys.stderr)
        return pod
