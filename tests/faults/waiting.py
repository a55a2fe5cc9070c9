# SPDX-License-Identifier: MIT
"""Who waits for a turn, how long, who makes room for whom, and what each is told meanwhile; the clock is wound by hand."""

import json

from faults.forms import CHAT, ORIGIN, V1, check_failed_stream, check_refused
from faults.loading import gated_load, wait_load
from faults.turns import ask, chat, gated, wait_counts, words_at
from faults.wound import check_silent, read_now, wound_backend
from fake import upstream as fake
from lib.harness import backend, check, equal, test

PROGRESS = {'X-Ollachat-Progress': '1'}


def ask_as(server, address, word, fields=()):
    """A chat that is running or waiting, of a client at this address (as a trusted proxy says)."""
    client = server.client()
    client.request('POST', '/api/chat', chat(word), fields={'X-Forwarded-For': address, **dict(fields)})
    return client


def progress(reply):
    """The progress lines of a stream so far."""
    return [json.loads(one) for one in reply.chunks if one.startswith((b'{"queue"', b'{"load"'))]


def learn(clock, up, server, seconds, number=32):
    """Service times of so many seconds, so that estimates are of that. The clock stands still."""
    for n in range(number):
        seen = len(up.exchanges('/api/chat'))
        client = ask(server, f'{seconds} {n}')
        up.wait_exchange('/api/chat', seen + 1)
        clock.wind(seconds, step=seconds)
        up.gate(f'{seconds} {n}').set()
        client.read_reply()
        wait_counts(server, 0, 0)


# --- fairness -------------------------------------------------------------------------------------------------------


@test
def turns_go_round_between_clients():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        clients = [ask_as(server, '203.0.113.1', 'first')]
        wait_counts(server, 1, 0)
        order = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']
        for n, word in enumerate(order, 1):
            clients.append(ask_as(server, f'203.0.113.{ord(word[0])}', word))
            wait_counts(server, 1, n)
        for word in ['first', *order]:
            up.gate(word).set()
        for client in clients:
            check(client.read_reply().whole(), 'an answer is not whole')
        equal(words_at(up), ['first', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3'], 'order at the upstream')


@test
def one_ipv6_network_is_one_client():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        clients = [ask_as(server, '203.0.113.1', 'first')]
        wait_counts(server, 1, 0)
        addresses = {'a1': '2001:db8:1:2::1', 'a2': '2001:db8:1:2:ffff::9', 'a3': '2001:db8:1:2:1:2:3:4', 'b1': '2001:db8:1:3::1'}
        for n, (word, address) in enumerate(addresses.items(), 1):
            clients.append(ask_as(server, address, word))
            wait_counts(server, 1, n)
        for word in ['first', *addresses]:
            up.gate(word).set()
        for client in clients:
            check(client.read_reply().whole(), 'an answer is not whole')
        equal(words_at(up), ['first', 'a1', 'b1', 'a2', 'a3'], 'order at the upstream')


@test
def newcomer_takes_the_last_place_of_the_greediest():
    with fake.Upstream() as up, backend(up, '--max-queue', 3) as server:
        up.on('/api/chat', gated)
        running = ask_as(server, '203.0.113.1', 'running')
        wait_counts(server, 1, 0)
        greedy = []
        for n in range(3):
            greedy.append(ask_as(server, '203.0.113.1', f'greedy {n}'))
            wait_counts(server, 1, n + 1)
        newcomer = ask_as(server, '203.0.113.2', 'newcomer')
        check_refused(greedy[2].read_reply(), 503)
        wait_counts(server, 1, 3)
        second = ask_as(server, '203.0.113.2', 'second')  # one more would hold as many as the greedy one
        check_refused(second.read_reply(), 503)
        wait_counts(server, 1, 3)
        for word in ('running', 'greedy 0', 'greedy 1', 'newcomer'):
            up.gate(word).set()
        for client in (running, greedy[0], greedy[1], newcomer):
            check(client.read_reply().whole(), 'an answer is not whole')
        equal(words_at(up), ['running', 'greedy 0', 'newcomer', 'greedy 1'], 'order at the upstream')


@test
def who_was_told_something_keeps_its_place():
    with wound_backend('--max-queue', 2) as (clock, up, server):
        up.on('/api/chat', gated)
        clients = [ask_as(server, '203.0.113.1', 'running')]
        wait_counts(server, 1, 0)
        for n in (1, 2):
            clients.append(ask_as(server, '203.0.113.1', f'greedy {n}'))
            wait_counts(server, 1, n)
        clock.stop()
        clock.wind(16)
        for client in clients[1:]:
            equal(read_now(client).chunks, [b' '], 'a beat')
        newcomer = ask_as(server, '203.0.113.2', 'newcomer')
        check_refused(newcomer.read_reply(), 503)
        wait_counts(server, 1, 2)


# --- estimates ------------------------------------------------------------------------------------------------------


@test
def wait_that_would_be_too_long_is_refused_at_once():
    with wound_backend('--queue-timeout', 60) as (clock, up, server):
        up.on('/api/chat', gated)
        clients = [ask(server, 'running')]
        for n in (0, 1):
            wait_counts(server, 1, n)
            clients.append(ask(server, f'waits {n}'))
        wait_counts(server, 1, 2)
        clock.stop()
        for form in (CHAT, V1, ORIGIN):  # 30 s each is assumed, and three are ahead
            reply = server.post(form.path, form.body)
            check_refused(reply, 503, form.openai)
            check(90 <= int(reply.get('Retry-After')) <= 108, f'Retry-After: {reply.get("Retry-After")}')
        other = ask_as(server, '203.0.113.9', 'other')  # but for another client only two are
        wait_counts(server, 1, 3)
        del other
        equal(words_at(up), ['running'], 'at the upstream')


@test
def retry_after_grows_with_what_answers_take():
    with wound_backend('--max-queue', 0, '--heartbeat', 0) as (clock, up, server):
        up.on('/api/chat', gated)
        clock.stop()
        for seconds in (10, 20, 250):
            learn(clock, up, server, seconds)
            seen = len(up.exchanges('/api/chat'))
            running = ask(server, f'run {seconds}')
            up.wait_exchange('/api/chat', seen + 1)
            waits = set()
            for _ in range(20):
                reply = server.post('/api/chat', CHAT.body)
                check_refused(reply, 503)
                waits.add(int(reply.get('Retry-After')))
            check(seconds <= min(waits) and max(waits) <= min(300, 1.2 * seconds + 1), f'after answers of {seconds} s: {waits}')
            check(len(waits) > 1, f'no jitter: {waits}')
            up.gate(f'run {seconds}').set()
            running.read_reply()
            wait_counts(server, 0, 0)


@test
def waiting_ends_at_the_queue_timeout():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        clients = {form: server.client() for form in (CHAT, V1)}
        for n, (form, client) in enumerate(clients.items(), 1):
            form.send(client)
            wait_counts(server, 1, n)
        clock.stop()
        clock.wind(119)
        for client in clients.values():
            check_silent(client, 'after 119 s')
        clock.wind(2)
        for form, client in clients.items():
            check_refused(client.read_reply(), 503, form.openai)
        wait_counts(server, 1, 0)
        up.gate('first').set()
        check(first.read_reply().whole(), 'the first is not whole')
        equal(words_at(up), ['first'], 'at the upstream')


@test
def who_got_a_beat_is_told_of_the_queue_timeout_in_band():
    with wound_backend() as (clock, up, server):
        up.on('/api/chat', gated)
        ask(server, 'first')
        wait_counts(server, 1, 0)
        clients = {form: server.client() for form in (CHAT, V1)}
        for n, (form, client) in enumerate(clients.items(), 1):
            form.send(client)
            wait_counts(server, 1, n)
        clock.stop()
        clock.wind(121)
        for form, client in clients.items():
            reply = client.read_reply()
            body = reply.body.replace(b': ping\n\n', b'').lstrip(b' ')
            reply._body = [body]
            check_failed_stream(form, reply)
            if form is CHAT:
                last = reply.lines()[-1]
                equal(last['status'], 503, 'status')
                check(1 <= last['retry_after'] <= 300, f'retry_after: {last}')
        wait_counts(server, 1, 0)


# --- progress -------------------------------------------------------------------------------------------------------


@test
def progress_tells_the_position_on_change():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        up.on('/api/chat', gated)
        clients = [ask(server, 'first')]
        for n, word in enumerate(('second', 'third')):
            wait_counts(server, 1, n)
            clients.append(ask(server, word))
        wait_counts(server, 1, 2)
        clock.stop()
        last = ask_as(server, '203.0.113.7', 'last', PROGRESS)  # another client: served after the second
        wait_counts(server, 1, 3)
        check_silent(last, 'at first')
        clock.wind(0.2, step=0.1)
        check_silent(last, 'after 0.2 s')
        clock.wind(0.1)
        reply = read_now(last)
        equal((reply.status, reply.get('Content-Type')), (200, 'application/x-ndjson'), 'status and type')
        equal(progress(reply), [{'queue': {'position': 2}}], 'progress')
        clock.wind(10)
        equal(len(read_now(last, reply).chunks), 1, 'lines without a change')
        up.gate('first').set()
        check(clients[0].read_reply().whole(), 'the first is not whole')
        up.wait_exchange('/api/chat', 2)
        clock.wind(0.9, step=0.3)
        clock.wind(0.2)
        equal(progress(read_now(last, reply)), [{'queue': {'position': 2}}, {'queue': {'position': 1}}], 'progress')
        for word in ('second', 'third', 'last'):
            up.gate(word).set()
        last.read_rest(reply)
        equal(reply.ended, 'chunked', 'end')
        equal(reply.lines()[-1]['done'], True, 'done')
        equal([line['message']['content'] for line in reply.lines() if 'message' in line], ['last', ''], 'words')


@test
def progress_comes_at_most_once_a_second():
    with wound_backend('--heartbeat', 0, '--queue-timeout', 600) as (clock, up, server):
        up.on('/api/chat', gated)
        words = [str(n) for n in range(8)]
        clients = []
        for n, word in enumerate(words):
            clients.append(ask(server, word))
            wait_counts(server, 1, n)
        clock.stop()
        last = server.client()
        last.request('POST', '/api/chat', chat('last'), fields=PROGRESS)
        wait_counts(server, 1, 8)
        clock.wind(0.3)
        reply = read_now(last)
        for n, word in enumerate(words[:4]):  # four changes in no time
            up.gate(word).set()
            check(clients[n].read_reply().whole(), 'not whole')
        wait_counts(server, 1, 4)
        clock.wind(0.9, step=0.1)
        equal(len(read_now(last, reply).chunks), 1, 'lines within a second')
        clock.wind(0.2)
        equal(progress(read_now(last, reply)), [{'queue': {'position': 8}}, {'queue': {'position': 4}}], 'progress')


@test
def progress_tells_how_long_the_model_loads():
    with wound_backend('--heartbeat', 0, '--preload', 'off', loaded=[]) as (clock, up, server):
        up.on_load(gated_load)
        clock.stop()
        client = server.client()
        client.request('POST', '/api/chat', CHAT.body, fields=PROGRESS)
        wait_load(up)
        clock.wind(3.5, step=0.1)
        reply = read_now(client)
        equal(progress(reply)[0], {'load': {'seconds': 0}}, 'first line')
        seconds = [line['load']['seconds'] for line in progress(reply)]
        check(seconds == sorted(set(seconds)) and seconds[-1] in (2, 3), f'seconds: {seconds}')
        check(len(seconds) <= 4, f'more than one a second: {seconds}')
        up.gate('load').set()
        client.read_rest(reply)
        equal(reply.lines()[-1]['done'], True, 'done')


@test
def progress_is_only_for_lines_that_were_asked_for():
    with wound_backend('--heartbeat', 0, '--queue-timeout', 600) as (clock, up, server):
        up.on_generations(gated_any)
        ask(server, 'first')
        wait_counts(server, 1, 0)
        waiting = {}
        for n, (name, path, body, fields, version) in enumerate((
                ('no field', '/api/chat', CHAT.body, {}, 'HTTP/1.1'),
                ('another value', '/api/chat', CHAT.body, {'X-Ollachat-Progress': '0'}, 'HTTP/1.1'),
                ('events', V1.path, V1.body, PROGRESS, 'HTTP/1.1'),
                ('whole', '/api/chat', {**CHAT.body, 'stream': False}, PROGRESS, 'HTTP/1.1'),
                ('origin', '/api/chat', ORIGIN.body, PROGRESS, 'HTTP/1.1'),
                ('1.0', '/api/chat', CHAT.body, PROGRESS, 'HTTP/1.0')), 1):
            waiting[name] = server.client()
            waiting[name].request('POST', path, body, fields=fields, version=version)
            wait_counts(server, 1, n)
        clock.stop()
        clock.wind(10)
        for name, client in waiting.items():
            check_silent(client, name)


def gated_any(x):
    x.pass_gate('go')
    fake.answer(x)


@test
def failure_after_progress_goes_in_band():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        up.on('/api/chat', gated)
        ask(server, 'first')
        wait_counts(server, 1, 0)
        clock.stop()
        client = server.client()
        client.request('POST', '/api/chat', chat('x'), fields=PROGRESS)
        wait_counts(server, 1, 1)
        clock.wind(121)
        reply = client.read_reply()
        check_failed_stream(CHAT, reply)
        equal(reply.lines()[-1]['status'], 503, 'status')
