# SPDX-License-Identifier: MIT
"""wound.py: a backend whose clock the test winds, and what a client has been sent by now."""

import contextlib
import ssl

from fake import upstream as fake
from lib.clock import Clock
from lib.harness import Reply, backend, check


@contextlib.contextmanager
def wound_backend(*options, models=(fake.NAME,), loaded=None, **keywords):
    """The clock, the upstream and the backend, which knows its Ollama; the clock still runs."""
    with Clock() as clock, fake.Upstream(models=models, loaded=loaded) as up:
        with backend(up, *options, clock=clock, **keywords) as server:
            yield clock, up, server


def take(client):
    """Takes what has come by now; whether the other side has closed."""
    client.sock.setblocking(False)
    try:
        while True:
            data = client.sock.recv(1 << 20)
            if not data:
                return True
            client.ahead += data
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except (ConnectionResetError, ssl.SSLError):
        return True
    finally:
        client.sock.settimeout(10)


def said(client):
    """What has come by now and was not yet looked at."""
    take(client)
    return bytes(client.ahead)


def check_silent(client, what):
    check(said(client) == b'', lambda: f'{what}: said {bytes(client.ahead)[:300]!r}')


def read_now(client, reply=None):
    """The reply whose head has come by now (or the one given), with the chunks that have come since."""
    take(client)
    if reply is None:
        head, mark, rest = bytes(client.ahead).partition(b'\r\n\r\n')
        check(mark, lambda: f'no head yet: {head[:200]!r}')
        reply = Reply(head)
        client.ahead = bytearray(rest)
    while reply.ended is None and (b'\r\n' in client.ahead) and _has_chunk(client.ahead):
        client.read_chunk(reply)
    return reply


def _has_chunk(ahead):
    line, _, rest = bytes(ahead).partition(b'\r\n')
    return len(rest) >= int(line.split(b';')[0], 16) + 2
