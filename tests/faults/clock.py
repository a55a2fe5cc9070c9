# SPDX-License-Identifier: MIT
"""Deadlines of seconds and minutes, with a clock that is wound by hand: nothing here waits for time to pass."""

from faults.forms import CHAT, STREAMS, V1, WHOLES, check_failed_stream, check_refused
from faults.turns import ask, chat, counts, gated, wait_counts
from fake import upstream as fake
from lib.clock import Clock
from lib.harness import Cases, Client, backend, check, equal, test, wait_until


def closed(client):
    """Whether the other side has closed, as far as is known now."""
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) == b''
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        client.sock.settimeout(10)


def said(client):
    """What has come by now and was not yet looked at."""
    client.sock.setblocking(False)
    try:
        while True:
            data = client.sock.recv(65536)
            client.ahead += data
            if not data:
                break
    except BlockingIOError:
        pass
    finally:
        client.sock.settimeout(10)
    return bytes(client.ahead)


@test
def first_byte_timeout_comes_to_the_second():
    with Clock() as clock, fake.Upstream() as up, backend(up, '--heartbeat', 0, clock=clock) as server:
        up.on_generations(fake.MODES['silent'])
        with Client(server.address) as client:
            CHAT.send(client)
            up.wait_exchange(CHAT.path)
            clock.stop()
            clock.wind(598)
            equal(said(client), b'', 'said after 598 s')
            clock.wind(3)
            check_refused(client.read_reply(), 504)


@test
def idle_connections_are_closed_after_75_s():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server:
        with Client(server.address) as client:
            equal(client.get('/health').status, 200, '/health')
            clock.stop()
            clock.wind(74)
            check(not closed(client), 'closed after 74 s')
            clock.wind(2)
            check(closed(client), 'still open after 76 s')
