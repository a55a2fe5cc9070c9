#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py: every test of tests/faults again, with TLS on both sides of the program: HTTPS listeners, and an Ollama behind
https. Arguments as there."""

import inspect
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import harness, pki  # noqa: E402
from fake import upstream as fake  # noqa: E402
from faults import run  # noqa: E402,F401

LEFT_OUT = {
    'tls.': 'arranges its own',
    'https_ollama.': 'the same',
    'proxy.': '--api-proxy speaks http only; and so wherever a test names it',
    'origin.pass_through_list': 'asks the scripted Ollama itself, by http',
    'passing.abort_towards_http_1_0_is_a_reset': 'Python tells no reset from an end without close_notify',
    'timeouts.client_that_takes_nothing_is_reset_and_ollama_freed': 'the same',
    'deadlines.client_that_takes_nothing_is_reset_after_30_s': 'the same',
    'life.broken_streams_are_recognised_and_the_door_stays_open': 'the same',
    'life.request_that_came_before_the_end_is_served': 'nobody shakes hands while no worker runs',
    'life.queue_of_a_dead_worker_passes_to_its_successor': 'the same',
    'access.requests_of_other_sites_are_403': 'https is the other scheme there',
    'identity.allowed_hosts_and_schemes_behind_a_proxy': 'the same',
    'uploads.failures_of_the_upstream_are_told': 'two threads at once on a TLS socket of Python\'s',
    'regressions.file_that_cannot_be_opened_for_want_of_descriptors_is_503': 'a client that is still in its handshake makes room',
}


def is_left_out(name, function):
    if '--api-proxy' in inspect.getsource(function):
        return True
    return any(name == out or (out.endswith('.') and name.startswith(out)) for out in LEFT_OUT)


def secure(folder):
    pair = pki.self_signed(Path(folder))
    context, plain = pair.server_context(), fake.Upstream.__init__

    def secure_upstream(self, *args, **options):
        plain(self, *args, **{'tls': context, **options})

    def options_for(role, options):
        if '--tls' not in options and role in ('backend', 'frontend'):
            yield from ('--tls', 'self-signed')
        if '--ollama-ca' not in options and role in ('backend', 'demo'):
            yield from ('--ollama-ca', str(pair.cert))

    fake.Upstream.__init__ = secure_upstream
    harness.added_options = options_for


if __name__ == '__main__':
    harness.leave_out(is_left_out)
    with tempfile.TemporaryDirectory(prefix='ollachat-test-') as scratch:
        secure(scratch)
        code = harness.main(__doc__)
    sys.exit(code)
