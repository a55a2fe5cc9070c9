# SPDX-License-Identifier: MIT
"""A client that reads slowly or not at all costs a bounded amount of memory and holds up nobody else."""

import json
import threading
import time

from faults.forms import CHAT, GENERATE, V1, check_good
from faults.leaving import wait_standstill
from fake import upstream as fake
from lib.harness import Client, backend, check, equal, resident_bytes, test, wait_until

MEGABYTE = 1 << 20


def is_sanitized(server):
    """Sanitizers keep freed memory for a while."""
    return any('libasan' in line for line in open(f'/proc/{server.worker()}/maps'))


@test
def clients_that_do_not_read_cost_bounded_memory_and_hold_up_nobody():
    number = 8
    with fake.Upstream() as up, backend(up, '--max-active', number + 2) as server:
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        before = resident_bytes(server.worker())
        up.on('/api/chat', fake.MODES['endless'])
        up.on(V1.path, fake.MODES['endless'])
        clients = [server.client(receive_buffer=4096) for _ in range(number)]
        for n, client in enumerate(clients):
            (CHAT if n % 2 else V1).send(client)
        for path in ('/api/chat', V1.path):
            for n in range(number // 2):
                wait_standstill(up.wait_exchange(path, n + (2 if path == '/api/chat' else 1)))
        grown = resident_bytes(server.worker()) - before
        bound = number * 256 * 1024 * 2 + MEGABYTE * (30 if is_sanitized(server) else 1)
        check(grown <= bound, f'{number} streams that nobody reads grew the worker by {grown >> 10} KiB')
        equal(server.get('/health').status, 200, '/health')
        check_good(GENERATE, server.post(GENERATE.path, GENERATE.body))


@test
def slow_client_gets_every_line_in_order():
    with fake.Upstream() as up, backend(up, '--stall-timeout', 0.4, '--send-timeout', 20) as server:
        up.on('/api/chat', fake.MODES['endless'])
        with Client(server.address, receive_buffer=4096) as client:
            CHAT.send(client)
            wait_standstill(up.wait_exchange('/api/chat'))
            time.sleep(0.8)  # twice the stall timeout: it stands still while we do not read
            client.hurry()
            reply = client.read_head()
            for n in range(2000):
                line = client.read_chunk(reply)
                check(line, f'the stream ended after {n} lines')
                said = json.loads(line).get('message', {}).get('content', '')
                check(said.startswith(f'{n} '), f'line {n} is {line[:100]!r}')


@test
def slow_client_of_a_whole_reply_gets_all_of_it():
    with fake.Upstream() as up, backend(up) as server:
        body = fake.chat_whole(['x' * 12000000])
        up.on('/api/chat', lambda x: x.reply(200, body))
        with Client(server.address, receive_buffer=4096) as client:
            client.request('POST', '/api/chat', {**CHAT.body, 'stream': False})
            wait_until(lambda: up.exchanges('/api/chat'), 'the request is there')
            time.sleep(0.3)  # lets the buffers on the way fill
            client.hurry()
            reply = client.read_reply()
            check(reply.whole() and reply.body == body, f'{len(reply.body)} of {len(body)} bytes, ended {reply.ended}')


@test
def ollama_that_reads_late_gets_the_whole_body():
    """A request larger than all buffers on the way waits for Ollama to take it, while others are served."""
    with fake.Upstream() as up, backend(up, '--max-active', 2) as server:
        waiting = threading.Event()

        def accept(connection):
            waiting.set()
            return up.gate().wait(20)
        up.on_accept(accept)
        messages = [{'role': 'user', 'content': 'x' * 14000000}]
        with Client(server.address) as client:
            client.request('POST', '/api/chat', {'model': fake.NAME, 'messages': messages})
            check(waiting.wait(10), 'no connection to Ollama')
            equal(server.get('/health').status, 200, '/health')
            up.gate().set()
            check_good(CHAT, client.read_reply())
        check(up.requests('/api/chat')[0].json()['messages'] == messages, 'other messages at the upstream')


@test
def client_that_sends_bodies_slowly_takes_no_turn():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as slow:
        slow.send(b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{')
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        equal(server.get('/health').json()['active'], 0, 'active turns')
