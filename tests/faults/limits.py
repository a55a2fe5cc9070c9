# SPDX-License-Identifier: MIT
"""Limits on what clients send: bodies too large, too many, unread; and that our refusal reaches the client."""

import select

from faults.forms import CHAT, V1, check_good, check_refused
from fake import upstream as fake
from lib.harness import Client, Server, backend, check, chunked, equal, test, wait_until

K = 1024


def chat_of(size):
    """A valid chat of exactly so many bytes."""
    frame = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"%s"}]}'
    return frame % (b'x' * (size - len(frame) + 2))


@test
def body_up_to_the_limit_is_taken():
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server:
        check_good(CHAT, server.post('/api/chat', chat_of(64 * K)))
        body = chat_of(64 * K)
        parts = [body[n:n + 1000] for n in range(0, len(body), 1000)]
        check_good(CHAT, server.post('/api/chat', chunked(*parts), fields={'Transfer-Encoding': 'chunked'}))
        equal([len(r.body) for r in up.requests('/api/chat')], [64 * K, 64 * K], 'bodies at the upstream')


@test
def body_over_the_limit_is_413_from_the_head_alone():
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server:
        for form in (CHAT, V1):
            with Client(server.address) as client:
                client.send(client.head('POST', form.path, {'Content-Length': 64 * K + 1}))
                check_refused(client.read_reply(), 413, form.openai)
        with Client(server.address) as client:
            client.send(client.head('POST', '/api/chat', {'Content-Length': '18446744073709551616'}))
            check_refused(client.read_reply(), (400, 413))


@test
def chunked_body_over_the_limit_is_413():
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server, Client(server.address) as client:
        client.send(client.head('POST', '/api/chat', {'Transfer-Encoding': 'chunked'}))
        client.send(b'%x\r\n%s\r\n' % (60 * K, b' ' * 60 * K))
        client.send(b'%x\r\n%s\r\n' % (10 * K, b' ' * 10 * K))
        check_refused(client.read_reply(), 413)
        equal(up.requests('/api/chat'), [], 'requests at the upstream')


@test
def refusal_reaches_a_client_that_is_still_sending():
    """A close with unread bytes would be a reset, and the reply lost."""
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server:
        for _ in range(10):
            with Client(server.address) as client:
                client.send(client.head('POST', '/api/chat', {'Content-Length': 900 * K}) + b'x' * 900 * K)
                check_refused(client.read_reply(), 413)
                equal(client.read_close(), b'', 'after the reply')


@test
def expect_continue_is_answered_before_the_body():
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server, Client(server.address) as client:
        body = chat_of(1000)
        client.send(client.head('POST', '/api/chat', {'Content-Length': len(body), 'Expect': '100-continue'}))
        equal(client.read_head(interim=True).status, 100, 'interim status')
        client.send(body)
        check_good(CHAT, client.read_reply())


@test
def expect_continue_of_a_refused_body_gets_no_continue():
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server:
        for fields, path, status in (({'Content-Length': 65 * K}, '/api/chat', 413),
                                     ({'Content-Length': 10, 'Content-Encoding': 'br'}, '/api/chat', 415),
                                     ({'Content-Length': 10, 'Host': 'evil.example'}, '/api/chat', 421),
                                     ({'Content-Length': 10, 'Origin': 'http://evil.example'}, '/api/chat', 403)):
            with Client(server.address) as client:
                client.send(client.head('POST', path, {**fields, 'Expect': '100-continue'}))
                equal(client.read_head(interim=True).status, status, f'{path} {fields}')


@test
def spent_body_memory_is_503_for_large_bodies_only():
    with fake.Upstream() as up, backend(up, '--body-memory', '512k', '--max-body', '400k') as server:
        with Client(server.address) as one, Client(server.address) as other:
            for client in (one, other):  # nearly all of it, so that both hold their memory
                client.send(client.head('POST', '/api/chat', {'Content-Length': 390 * K}) + b'x' * 380 * K)
            answered = select.select([one.sock, other.sock], [], [], 10)[0]
            equal(len(answered), 1, 'clients that were answered')
            check_refused((one if answered[0] is one.sock else other).read_reply(), 503)
            check_good(CHAT, server.post('/api/chat', chat_of(20 * K)))
        wait_until(lambda: server.post('/api/chat', chat_of(390 * K)).status == 200, 'the memory is free again')


@test
def requests_without_body_or_length_are_told():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        check_refused(client.post('/api/chat', None), (400, 411))


@test
def frontend_refuses_large_bodies_too():
    with Server('frontend', '--max-body', '64k') as server, Client(server.address) as client:
        client.send(client.head('POST', '/', {'Content-Length': 900 * K}) + b'x' * 900 * K)
        check(client.read_reply().status in (405, 413), 'status')


@test
def descriptors_of_refused_requests_are_closed():
    with fake.Upstream() as up, backend(up, '--max-body', '64k') as server:
        before = server.descriptors()
        for _ in range(50):
            with Client(server.address) as client:
                client.send(client.head('POST', '/api/chat', {'Content-Length': 900 * K}))
        wait_until(lambda: server.descriptors() <= before, 'descriptors are closed')
