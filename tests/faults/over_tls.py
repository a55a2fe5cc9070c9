#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""over_tls.py: every test of run.py again, with TLS on both sides of the program: HTTPS listeners, and an Ollama behind
https. Arguments as of run.py."""

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
    'proxy.': '--api-proxy speaks http only',
    'regressions.head_through_the_proxy_tells_the_length_of_a_get': '--api-proxy',
    'origin.pass_through_list': 'asks the scripted Ollama itself, by http',
    'passing.abort_towards_http_1_0_is_a_reset': 'Python tells no reset from an end without close_notify',
    'timeouts.client_that_takes_nothing_is_reset_and_ollama_freed': 'the same',
    'access.requests_of_other_sites_are_403': 'https is the other scheme there',
    'regressions.file_that_cannot_be_opened_for_want_of_descriptors_is_503': 'a client that is still in its handshake makes room',
}


def is_left_out(name):
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
