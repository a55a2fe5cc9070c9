# SPDX-License-Identifier: MIT
"""Every deadline at its default or documented length, to the second; the clock is wound by hand."""

import contextlib
import os
import signal
import socket

from faults.forms import CHAT, CHAT_WHOLE, ORIGIN, STREAMS, V1, check_failed_stream, check_good, check_refused
from faults.leaving import wait_standstill
from faults.turns import ask, gated, wait_counts
from faults.wound import check_silent, read_now, take, wound_backend
from fake import upstream as fake
from lib.clock import Clock
from lib.harness import Cases, Client, Server, backend, check, equal, test, wait_until


# --- towards Ollama -------------------------------------------------------------------------------------------------


@test
def first_byte_of_a_stream_may_take_600_s():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        up.on_generations(fake.MODES['silent'])
        cases = Cases()
        for form in STREAMS:
            with cases(form.name), Client(server.address) as client:
                number = len(up.exchanges(form.path)) + 1
                form.send(client)
                x = up.wait_exchange(form.path, number)
                clock.stop()
                clock.wind(599)
                check_silent(client, 'after 599 s')
                check(not x.left.is_set(), 'Ollama was left before')
                clock.wind(2)
                check_refused(client.read_reply(), 504, form.openai)
                check(x.left.wait(5), 'the connection to Ollama stays open')
                clock.go_on()
        cases.judge()


@test
def whole_answers_may_take_900_s():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        up.on_generations(fake.MODES['silent'])
        for form in (CHAT_WHOLE, ORIGIN):
            with Client(server.address) as client:
                form.send(client)
                wait_counts(server, 1, 0)
                clock.stop()
                clock.wind(599 if form is ORIGIN else 899)  # the gateway itself asks for a stream in the origin's form
                check_silent(client, form.name)
                clock.wind(2)
                check_refused(client.read_reply(), 504)
                clock.go_on()
                wait_counts(server, 0, 0)


@test
def stall_of_120_s_is_told_and_not_before():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        up.on_generations(fake.MODES['stall'])
        cases = Cases()
        for form in STREAMS:
            with cases(form.name), Client(server.address) as client:
                form.send(client)
                reply = client.read_head()
                while (b'"stop"' if form is V1 else b'!') not in reply.body:  # the last that comes
                    client.read_chunk(reply)
                clock.stop()
                clock.wind(119)
                check_silent(client, 'after 119 s')
                clock.wind(2)
                check_failed_stream(form, client.read_rest(reply))
                clock.go_on()
                wait_counts(server, 0, 0)
        cases.judge()


@test
def stall_timeout_begins_anew_with_each_byte():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        lines = fake.chat_lines(['one', 'two', 'three'])

        def script(x):
            x.head()
            for n, line in enumerate(lines):
                x.chunk(line)
                x.pass_gate(str(n))
            x.last_chunk()

        up.on('/api/chat', script)
        with Client(server.address) as client:
            CHAT.send(client)
            reply = client.read_head()
            clock.stop()
            for n, line in enumerate(lines):
                equal(client.read_chunk(reply), line, f'line {n}')
                clock.wind(110 if n < len(lines) - 1 else 0.5)  # after the last one only the end is to come
                up.gate(str(n)).set()
            equal(client.read_rest(reply).ended, 'chunked', 'end')


@test
def longest_answer_is_900_s():
    with wound_backend() as (clock, up, server):
        def script(x):
            kind = fake.SSE if x.request.path == V1.path else fake.NDJSON
            x.head(200, kind)
            for n in range(1000):
                x.chunk(fake.numbered(kind, n, 10))
                x.pass_gate(f'{x.request.path} {n + 1}')

        up.on_generations(script)
        for form in (CHAT, V1):
            with Client(server.address) as client:
                form.send(client)
                wait_counts(server, 1, 0)
                clock.stop()
                reply = client.read_head()
                for n in range(1, 9):
                    clock.wind(110)
                    up.gate(f'{form.path} {n}').set()
                    wait_until(lambda: f'"{n} xx'.encode() in read_now(client, reply).body, f'line {n}')
                check(reply.ended is None, 'ended before')
                clock.wind(21)
                client.read_rest(reply)
                reply._body = [reply.body.replace(b': ping\n\n', b'')]
                check_failed_stream(form, reply)
                clock.go_on()
                wait_counts(server, 0, 0)


@test
def connecting_may_take_2_s():
    with Clock() as clock, fake.DeafPort() as port, backend(port.url, ready=False, clock=clock) as server:
        with Client(server.address) as client:
            CHAT.send(client)
            wait_counts(server, 1, 0)
            clock.stop()
            clock.wind(1.5, step=0.5)
            check_silent(client, 'after 1.5 s')
            clock.wind(1, step=0.1)
            check_refused(client.read_reply(), 502)


# --- towards clients ------------------------------------------------------------------------------------------------


@test
def head_may_take_10_s_however_it_trickles():
    with wound_backend() as (clock, up, server), Client(server.address) as client, Client(server.address) as mute:
        clock.stop()
        wait_until(lambda: connections(server) >= 2, 'both are accepted')
        for byte in b'GET / HT':
            client.send(bytes([byte]))
            clock.wind(1)
        check_silent(client, 'after 8 s')
        clock.wind(1)
        check_silent(client, 'after 9 s')
        clock.wind(2)
        check_refused(client.read_reply(), 408)
        check(take(client), 'still open')
        check(take(mute), 'one that says nothing is still there')


def connections(server):
    """Client connections that the worker has taken."""
    port = f':{server.address[1]:04X}'
    inodes = set()
    for line in open('/proc/net/tcp').read().split('\n')[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[1].endswith(port) and fields[3] == '01':
            inodes.add(f'socket:[{fields[9]}]')
    held = set()
    for name in os.listdir(f'/proc/{server.worker()}/fd'):
        with contextlib.suppress(OSError):
            held.add(os.readlink(f'/proc/{server.worker()}/fd/{name}'))
    return len(inodes & held)


@test
def silence_in_a_body_may_last_30_s():
    with wound_backend() as (clock, up, server), Client(server.address) as client:
        clock.stop()
        client.send(client.head('POST', '/api/chat', {'Content-Length': 1000}) + b'{"model":')
        wait_until(lambda: connections(server) == 1, 'it is accepted')
        clock.wind(29)
        check_silent(client, 'after 29 s')
        client.send(b'   ')
        clock.settle()
        clock.wind(29)
        check_silent(client, 'after 29 s more')
        clock.wind(2)
        check_refused(client.read_reply(), 408)
        equal(up.requests('/api/chat'), [], 'requests at the upstream')


@test
def body_that_trickles_is_refused_after_60_s():
    """It never is silent for long, but comes at less than 16 KiB a second."""
    with wound_backend() as (clock, up, server), Client(server.address) as client:
        clock.stop()
        client.send(client.head('POST', '/api/chat', {'Content-Length': 10_000_000}) + b'{"model":"')
        wait_until(lambda: connections(server) == 1, 'it is accepted')
        for second in range(58):
            client.send(b'x' * 1000)
            clock.wind(1)
            check(not client.ahead and not said_now(client), f'refused after {second} s')
        for _ in range(5):
            client.send(b'x' * 1000)
            clock.wind(1)
        check_refused(client.read_reply(), 408)


def said_now(client):
    take(client)
    return bytes(client.ahead)


@test
def body_at_20_kib_a_second_is_taken():
    with wound_backend() as (clock, up, server), Client(server.address) as client:
        body = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"' + b'x' * 20480 * 90 + b'"}]}'
        clock.stop()
        client.send(client.head('POST', '/api/chat', {'Content-Length': len(body)}))
        for at in range(0, len(body), 20480):
            client.send(body[at:at + 20480])
            clock.wind(1)
        check_good(CHAT, client.read_reply())


@test
def idle_connections_are_closed_after_75_s():
    with wound_backend() as (clock, up, server), Client(server.address) as client:
        equal(client.get('/health').status, 200, '/health')
        clock.stop()
        clock.wind(74)
        check(not take(client), 'closed after 74 s')
        clock.wind(2)
        check(take(client), 'still open after 76 s')


@test
def client_that_takes_nothing_is_reset_after_30_s():
    with wound_backend() as (clock, up, server):
        up.on('/api/chat', fake.MODES['endless'])
        with Client(server.address, receive_buffer=4096) as client:
            CHAT.send(client)
            x = up.wait_exchange('/api/chat')
            wait_standstill(x)
            clock.stop()
            clock.wind(28)
            check(not x.left.is_set(), 'given up after 28 s')
            clock.wind(4)
            check(x.left.wait(5), 'Ollama goes on for a client that takes nothing')
            check(not client.read_rest(client.read_head()).whole(), 'it ends as if it were whole')
        wait_counts(server, 0, 0)


# --- health ---------------------------------------------------------------------------------------------------------


@test
def starting_becomes_degraded_after_600_s():
    with Clock() as clock, fake.RefusingPort() as port, backend(port.url, ready=False, clock=clock) as server:
        clock.stop()
        clock.wind(590, step=5)
        first = server.get('/health')
        equal((first.status, first.json()['status']), (200, 'starting'), 'after 590 s')
        clock.wind(15)
        late = server.get('/health')
        equal((late.status, late.json()['status']), (503, 'degraded'), 'after 605 s')


@test
def refused_connects_make_it_degraded_after_30_s():
    with wound_backend() as (clock, up, server):
        clock.stop()
        up.refuse()
        clock.wind(8)  # a probe has met a refusal
        equal(server.get('/health').json()['status'], 'healthy', 'at first')
        clock.wind(19)
        equal(server.get('/health').json()['status'], 'healthy', 'after 27 s')
        clock.wind(12)
        reply = server.get('/health')
        equal((reply.status, reply.json()['status']), (503, 'degraded'), 'after 39 s')
        up.listen_again()
        clock.wind(6)
        wait_until(lambda: server.get('/health').json()['status'] == 'healthy', 'healthy again')


@test
def silent_probes_make_it_degraded_but_not_while_a_generation_moves():
    with wound_backend() as (clock, up, server):
        def script(x):
            x.head()
            for n in range(1000):
                x.chunk(fake.numbered(fake.NDJSON, n, 10))
                x.pass_gate(str(n))

        up.on('/api/chat', script)
        for path in ('/api/version', '/api/tags', '/api/ps'):
            up.on(path, lambda x: x.wait_left())
        with Client(server.address) as client:
            CHAT.send(client)
            reply = client.read_head()
            clock.stop()
            for n in range(8):
                up.gate(str(n)).set()
                client.read_chunk(reply)
                clock.wind(20)
                equal(server.get('/health').json()['status'], 'healthy', f'after {20 * (n + 1)} s of a busy Ollama')
            clock.wind(40)
            health = server.get('/health')
            equal((health.status, health.json()['status']), (503, 'degraded'), 'after 60 s in which nothing moved')


# --- the drain ------------------------------------------------------------------------------------------------------


def refused(server):
    with socket.socket() as sock:
        return sock.connect_ex(server.address) != 0


@test
def drain_announces_for_30_s_then_closes_then_ends_at_300_s():
    with wound_backend(may_restart=True) as (clock, up, server):
        up.on('/api/chat', gated)
        running = ask(server, 'running')
        up.wait_exchange('/api/chat')
        idle = server.client()
        equal(idle.get('/health').status, 200, '/health')
        clock.stop()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.get('/health').status == 503, '/health: draining')
        equal(server.get('/health').json()['status'], 'draining', 'status')
        clock.wind(29)
        equal(server.get('/ready').status, 503, '/ready after 29 s')
        check(not take(idle), 'an idle connection was closed during the announcement')
        clock.wind(2)
        check(take(idle), 'an idle connection is still open')
        check(refused(server), 'new connections are still taken')
        clock.wind(268)
        reply = read_now(running)
        check(reply.ended is None, 'the answer ended before the deadline')
        clock.wind(2)
        running.read_rest(reply)
        reply._body = [reply.body.lstrip(b' ')]
        check_failed_stream(CHAT, reply)
        equal(server.process.wait(10), 0, 'exit code')


@test
def drain_ends_when_the_last_answer_has():
    with wound_backend('--queue-timeout', 600, may_restart=True) as (clock, up, server):
        up.on('/api/chat', gated)
        clients = [ask(server, 'running')]
        wait_counts(server, 1, 0)
        clients.append(ask(server, 'waiting'))
        wait_counts(server, 1, 1)
        clock.stop()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.get('/health').status == 503, '/health: draining')
        clock.wind(31)
        for n, word in enumerate(('running', 'waiting')):
            up.gate(word).set()
            reply = clients[n].read_reply()
            equal((reply.status, reply.whole()), (200, True), f'{word}: status and end')
            equal(reply.lines()[-1].get('done'), True, f'{word}: done')
        equal(server.process.wait(10), 0, 'exit code')


@test
def drain_refuses_what_cannot_come_to_its_turn():
    with wound_backend('--heartbeat', 0, '--queue-timeout', 3000, may_restart=True) as (clock, up, server):
        up.on('/api/chat', gated)
        clients = [ask(server, 'running')]
        for n in range(12):  # 30 s each is assumed: the tenth would begin at 300 s
            wait_counts(server, 1, n)
            clients.append(ask(server, f'waiting {n}'))
        wait_counts(server, 1, 12)
        clock.stop()
        server.process.send_signal(signal.SIGTERM)
        for client in clients[11:]:
            check_refused(client.read_reply(), 503)
        clock.settle()
        for client in clients[:9]:
            check_silent(client, 'one that can still come to its turn')
        check_refused(server.post('/api/chat', CHAT.body), 503)


@test
def frontend_drains_for_30_s():
    with Clock() as clock, Server('frontend', '--workers', 1, clock=clock, may_restart=True) as server:
        idle = server.client()
        equal(idle.get('/').status, 200, '/')
        clock.stop()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.get('/health').status == 503, '/health: draining')
        clock.wind(28)
        reply = server.get('/')
        equal((reply.status, (reply.get('Connection') or '').lower()), (200, 'close'), 'the page while draining')
        check(not take(idle), 'an idle connection was closed')
        clock.wind(3)
        equal(server.process.wait(10), 0, 'exit code')
