# SPDX-License-Identifier: MIT
"""A client that goes away frees Ollama, in whatever state its request is and however it goes."""

import select
import time

from faults.forms import CHAT, CHAT_WHOLE, FORMS, GENERATE, ORIGIN, RESPONSES, V1, V1_WHOLE, check_good
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test, wait_until

SOON = 5  # the contract says a second; this only tells whether it happens


def leave_by_close(client):
    client.close()


def leave_by_reset(client):
    client.reset()


def leave_by_fin(client):
    client.fin()


WAYS = [leave_by_close, leave_by_reset, leave_by_fin]


def ollama_is_freed(mode, forms, before_leaving=lambda client: None, ways=WAYS):
    """For each form and way of leaving: the upstream sees its connection closed, and the turn is free again."""
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for form in forms:
            up.on(form.path, fake.MODES[mode])
            for way in ways:
                with cases(f'{form.name}, {way.__name__}'), Client(server.address, receive_buffer=4096) as client:
                    number = len(up.exchanges(form.path)) + 1
                    form.send(client)
                    x = up.wait_exchange(form.path, number)
                    before_leaving(client)
                    way(client)
                    check(x.left.wait(SOON), 'Ollama works on for nobody')
            up.on(form.path, None)
            with cases(f'then {form.name}'), Client(server.address) as client:
                check_good(form, form.ask(client))
        cases.judge()
        equal(server.get('/health').json()['active'], 0, 'active turns')


@test
def client_leaves_while_ollama_is_silent():
    ollama_is_freed('silent', FORMS)


@test
def client_leaves_while_ollama_is_inside_its_head():
    ollama_is_freed('half_head_silent', [CHAT, ORIGIN, V1])


@test
def client_leaves_in_mid_stream():
    ollama_is_freed('endless_slow', [CHAT, GENERATE, V1], lambda client: client.read_chunk(client.read_head()))


@test
def client_leaves_while_the_stream_stands_still():
    ollama_is_freed('stall', [CHAT, V1], lambda client: client.read_chunk(client.read_head()))


@test
def client_leaves_while_its_answer_is_collected():
    ollama_is_freed('stall', [ORIGIN, CHAT_WHOLE, V1_WHOLE])


@test
def client_leaves_without_having_read():
    """Also while we do not read from Ollama, because the client takes nothing."""
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for way in WAYS:
            for form in (CHAT, V1):
                up.on(form.path, fake.MODES['endless'])
                with cases(f'{form.name}, {way.__name__}'), Client(server.address, receive_buffer=4096) as client:
                    number = len(up.exchanges(form.path)) + 1
                    form.send(client)
                    x = up.wait_exchange(form.path, number)
                    wait_standstill(x)
                    way(client)
                    check(x.left.wait(SOON), 'Ollama works on for nobody')
        cases.judge()


def wait_standstill(x):
    """Until the upstream cannot send: nobody reads it any more."""
    end = time.monotonic() + 15
    full_since = None
    while time.monotonic() < end:
        writable = select.select([], [x.connection.sock], [], 0.02)[1]
        if writable:
            full_since = None
            time.sleep(0.002)
        elif full_since is None:
            full_since = time.monotonic()
        elif time.monotonic() - full_since > 0.3:
            return
    check(False, 'the gateway never stops reading Ollama for a client that takes nothing')


@test
def pipelined_bytes_are_not_a_leave():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        def script(x):
            x.pass_gate()
            fake.answer(x)
        up.on('/api/chat', script)
        CHAT.send(client)
        up.wait_exchange('/api/chat')
        client.request('GET', '/health')
        equal(server.get('/health').json()['active'], 1, 'active turns')
        up.gate().set()
        check_good(CHAT, client.read_reply())
        equal(client.read_reply().status, 200, '/health')


@test
def half_closed_client_still_gets_what_memory_can_answer():
    with fake.Upstream() as up, backend(up) as server:
        for path in ('/health', '/', '/nowhere'):
            with Client(server.address) as client:
                client.request('GET', path)
                client.fin()
                check(client.read_reply().whole(), f'{path}: no whole reply')
                equal(client.read_close(), b'', f'{path}: after the reply')


@test
def client_leaves_in_mid_request():
    with fake.Upstream() as up, backend(up) as server:
        before = server.descriptors()
        for part in (b'POST /api/ch', b'POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"model"'):
            for way in WAYS:
                with Client(server.address) as client:
                    client.send(part)
                    way(client)
        wait_until(lambda: server.descriptors() <= before, 'their descriptors are closed')
        equal(up.requests('/api/chat'), [], 'requests at the upstream')


@test
def client_leaves_while_we_connect():
    with fake.DeafPort() as port, backend(port.url, '--connect-timeout', 30, ready=False) as server:
        for way in WAYS:
            with Client(server.address) as client:
                CHAT.send(client)
                wait_until(lambda: server.get('/health').json()['active'] == 1, 'it has its turn')
                way(client)
                wait_until(lambda: server.get('/health').json()['active'] == 0, 'the turn is free', SOON)


@test
def many_clients_leave_at_once():
    with fake.Upstream() as up, backend(up, '--max-active', 8) as server:
        before = server.descriptors()
        for _ in range(3):
            up.on('/api/chat', fake.MODES['endless_slow'])
            earlier = len(up.exchanges('/api/chat'))
            clients = [Client(server.address) for _ in range(30)]
            for client in clients:
                CHAT.send(client)
            wait_until(lambda: server.get('/health').json()['queued'] == 22, '22 wait')
            for client in clients:
                client.close()
            wait_until(lambda: counts(server) == (0, 0), 'nobody runs or waits')
            check(all(x.left.wait(SOON) for x in up.exchanges('/api/chat')[earlier:]), 'Ollama works on for nobody')
            up.on('/api/chat', None)
            check_good(CHAT, server.post('/api/chat', CHAT.body))
        # A connection whose client left before it was there is kept for the next one: so many at most.
        wait_until(lambda: server.descriptors() <= before + 8, 'descriptors are closed')


def counts(server):
    health = server.get('/health').json()
    return health['active'], health['queued']


@test
def responses_client_leaves():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        up.on('/v1/responses', fake.MODES['endless_slow'])
        RESPONSES.send(client)
        client.read_chunk(client.read_head())
        client.close()
        check(up.wait_exchange('/v1/responses').left.wait(SOON), 'Ollama works on for nobody')
