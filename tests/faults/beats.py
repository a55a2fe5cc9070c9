# SPDX-License-Identifier: MIT
"""Heartbeats: what a client gets while there is nothing to say, with a clock that is wound by hand."""

import json

from faults.forms import (CHAT, CHAT_WHOLE, ORIGIN, STREAMS, TEXT, V1, V1_WHOLE, answer_of, check_failed_stream,
                          check_good)
from faults.loading import gated_load, loaded, wait_load
from faults.turns import ask, wait_counts
from faults.wound import check_silent, read_now, take, wound_backend
from fake import upstream as fake
from lib.harness import Cases, Client, check, equal, test

WAIT_WHOLE = 45
BEAT = {'ndjson': b' ', 'sse': b': ping\n\n', 'json': b' ', 'origin': b' '}
TYPE = {'ndjson': 'application/x-ndjson', 'sse': 'text/event-stream', 'json': 'application/json', 'origin': 'application/json'}
EMBED = {'model': fake.NAME, 'input': 'hi'}


def thinks(x):
    """Answers as it should, when the gate opens."""
    x.pass_gate()
    fake.answer(x)


def each_form(server, up, clock, forms, run):
    """Runs each form while the clock stands still; the upstream thinks until up.gate() opens."""
    cases = Cases()
    up.on_generations(thinks)
    for number, form in enumerate(forms):
        up.gate().clear()
        with cases(form.name), Client(server.address) as client:
            seen = len(up.exchanges(form.path))
            form.send(client)
            up.wait_exchange(form.path, seen + 1)
            clock.settle()
            run(form, client)
        clock.go_on()
        up.gate().set()
        wait_counts(server, 0, 0)
        clock.stop()
    cases.judge()


def check_beats(reply, form, number):
    equal(reply.status, 200, 'status')
    equal(reply.get('Content-Type'), TYPE[form.family], 'type')
    equal(reply.chunks, [BEAT[form.family]] * number, 'chunks so far')


@test
def silent_streams_beat_every_15_s():
    with wound_backend() as (clock, up, server):
        clock.stop()

        def run(form, client):
            clock.wind(14)
            check_silent(client, 'after 14 s')
            clock.wind(2)
            reply = read_now(client)
            check_beats(reply, form, 1)
            clock.wind(13)
            check_beats(read_now(client, reply), form, 1)
            for number in range(2, 6):
                clock.wind(15 if number > 2 else 2)
                check_beats(read_now(client, reply), form, number)
            up.gate().set()
            client.read_rest(reply)
            check_good_after_beats(form, reply, 5)

        each_form(server, up, clock, STREAMS, run)


def check_good_after_beats(form, reply, number):
    """The same bytes as without, behind the beats."""
    beats = BEAT[form.family] * number
    check(reply.body.startswith(beats), lambda: f'begins {reply.body[:100]!r}')
    check(not reply.body[len(beats):].startswith(BEAT[form.family]), f'more than {number} beats')
    equal(reply.ended, 'chunked', 'end')
    equal(answer_of(form, reply), TEXT, 'answer')


@test
def heartbeat_0_is_silence():
    with wound_backend('--heartbeat', 0) as (clock, up, server):
        clock.stop()

        def run(form, client):
            clock.wind(590)
            check_silent(client, 'after 590 s')
            up.gate().set()
            check_good(form, client.read_reply())

        each_form(server, up, clock, [CHAT, V1, CHAT_WHOLE, ORIGIN], run)


@test
def whole_replies_beat_after_45_s_only():
    with wound_backend() as (clock, up, server):
        clock.stop()

        def run(form, client):
            clock.wind(44)
            check_silent(client, 'after 44 s')
            clock.wind(2)
            reply = read_now(client)
            check_beats(reply, form, 1)
            clock.wind(13)
            check_beats(read_now(client, reply), form, 1)
            clock.wind(2)
            check_beats(read_now(client, reply), form, 2)
            up.gate().set()
            client.read_rest(reply)
            equal(reply.ended, 'chunked', 'end')
            check(reply.body.lstrip(b' ').startswith(b'{'), f'begins {reply.body[:50]!r}')
            equal(answer_of(form, reply), TEXT, 'answer')

        each_form(server, up, clock, [CHAT_WHOLE, V1_WHOLE, ORIGIN], run)


@test
def whole_replies_wait_for_the_larger_of_heartbeat_and_45_s():
    with wound_backend('--heartbeat', 100) as (clock, up, server):
        clock.stop()

        def run(form, client):
            clock.wind(99)
            check_silent(client, 'after 99 s')
            clock.wind(2)
            check_beats(read_now(client), form, 1)

        each_form(server, up, clock, [CHAT_WHOLE, ORIGIN, CHAT], run)


@test
def beats_come_between_lines_and_never_inside_one():
    with wound_backend() as (clock, up, server):
        lines = fake.chat_lines(['one', 'two'])

        def script(x):
            x.head()
            x.chunk(lines[0])
            x.pass_gate('half')
            x.chunk(lines[1][:30])
            x.pass_gate('rest')
            x.chunk(lines[1][30:])
            x.chunk(lines[2])
            x.last_chunk()

        up.on('/api/chat', script)
        with Client(server.address) as client:
            CHAT.send(client)
            reply = client.read_head()
            equal(client.read_chunk(reply), lines[0], 'first line')
            clock.stop()
            clock.wind(16)
            equal(read_now(client, reply).chunks[1:], [b' '], 'after 16 s')
            up.gate('half').set()
            clock.wind(46)
            read_now(client, reply)
            check(len(reply.chunks) in (4, 5) and set(reply.chunks[1:]) == {b' '}, f'with half a line: {reply.chunks[1:]}')
            up.gate('rest').set()
            client.read_rest(reply)
            equal(reply.body.replace(b' ', b''), b''.join(lines).replace(b' ', b''), 'lines')
            equal([line['message']['content'] for line in reply.lines()], ['one', 'two', ''], 'words')
            check(all(line in reply.chunks for line in lines), f'a line was divided: {reply.chunks}')


@test
def line_too_long_to_hold_is_not_beaten_into():
    with wound_backend('--stall-timeout', 1000) as (clock, up, server):
        line = fake.chat_lines(['x' * 400000])[0]

        def script(x):
            x.head()
            x.chunk(line[:300000])
            x.pass_gate()
            x.chunk(line[300000:])
            x.chunk(fake.chat_lines([])[-1])
            x.last_chunk()

        up.on('/api/chat', script)
        with Client(server.address) as client:
            CHAT.send(client)
            reply = client.read_head()
            while len(reply.body) < 300000:  # a client that takes nothing is another matter
                client.read_chunk(reply)
            clock.stop()
            clock.wind(100)
            up.gate().set()
            client.read_rest(reply)
            equal(reply.ended, 'chunked', 'end')
            check(reply.body.startswith(line), 'the long line was changed')


@test
def events_are_not_beaten_into():
    with wound_backend() as (clock, up, server):
        events = fake.completion_events(['one', 'two'])

        def script(x):
            x.head(200, fake.SSE)
            x.chunk(events[0] + events[1][:20])
            x.pass_gate()
            x.chunk(events[1][20:] + b''.join(events[2:]))
            x.last_chunk()

        up.on(V1.path, script)
        with Client(server.address) as client:
            V1.send(client)
            reply = client.read_head()
            client.read_chunk(reply)
            clock.stop()
            clock.wind(31)
            up.gate().set()
            client.read_rest(reply)
            equal(reply.body.replace(b': ping\n\n', b''), b''.join(events), 'events')
            equal(reply.body.count(b': ping\n\n'), 2, 'pings')
            equal(answer_of(V1, reply), 'onetwo', 'answer')


@test
def embeddings_beat_too():
    with wound_backend() as (clock, up, server):
        up.on('/api/embed', thinks)
        with Client(server.address) as client:
            client.request('POST', '/api/embed', EMBED)
            up.wait_exchange('/api/embed')
            clock.stop()
            clock.wind(WAIT_WHOLE + 1)
            reply = read_now(client)
            equal(reply.chunks, [b' '], 'chunks so far')
            up.gate().set()
            equal(client.read_rest(reply).json()['embeddings'], [[0.25, -0.5]], 'embeddings')


@test
def waiting_requests_beat_in_the_queue():
    with wound_backend('--queue-timeout', 600) as (clock, up, server):
        up.on_generations(thinks)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        clients = {form: server.client() for form in (CHAT, V1, CHAT_WHOLE, ORIGIN)}
        for number, (form, client) in enumerate(clients.items(), 1):
            form.send(client)
            wait_counts(server, 1, number)
        clock.stop()
        clock.wind(16)
        replies = {form: read_now(clients[form]) for form in (CHAT, V1)}
        for form, reply in replies.items():
            check_beats(reply, form, 1)
        for form in (CHAT_WHOLE, ORIGIN):
            check_silent(clients[form], form.name)
        clock.wind(30)
        for form, client in clients.items():
            reply = replies[form] = read_now(client, replies.get(form))
            check_beats(reply, form, 3 if form.streamed else 1)
        up.gate().set()
        check(first.read_reply().whole(), 'the first is not whole')
        for form, client in clients.items():
            client.read_rest(replies[form])
            equal(replies[form].ended, 'chunked', f'end of {form.name}')
            equal(answer_of(form, replies[form]), TEXT, form.name)


@test
def model_that_loads_for_minutes_is_beaten_through():
    with wound_backend('--preload', 'off', loaded=[]) as (clock, up, server):
        up.on_load(gated_load)
        clients = {form: server.client() for form in (CHAT, V1)}
        for form, client in clients.items():
            form.send(client)
        wait_load(up)
        clock.stop()
        clock.wind(91)
        equal(up.requests('/api/chat'), [], 'requests before the model was there')
        replies = {form: read_now(client) for form, client in clients.items()}
        for form, reply in replies.items():
            check_beats(reply, form, 6)
        up.gate('load').set()
        for form, client in clients.items():
            client.read_rest(replies[form])
            equal(replies[form].ended, 'chunked', 'end')
            equal(answer_of(form, replies[form]), TEXT, 'answer')


@test
def who_leaves_during_a_load_does_not_cancel_it():
    with wound_backend('--preload', 'off', loaded=[]) as (clock, up, server):
        def load(x):
            x.pass_gate('load')
            check(not x.wait_left(0.05), 'the load was cancelled')
            loaded(x)

        up.on_load(load)
        with Client(server.address) as client:
            CHAT.send(client)
            loading = wait_load(up)
            clock.stop()
            clock.wind(16)
            check_beats(read_now(client), CHAT, 1)
        clock.wind(30)
        check(not loading.left.is_set(), 'the load was cancelled')
        with Client(server.address) as client:
            CHAT.send(client)
            clock.wind(16)
            reply = read_now(client)
            check_beats(reply, CHAT, 1)
            up.gate('load').set()
            check_good_after_beats(CHAT, client.read_rest(reply), 1)
        check(loading.ended.wait(5) and not loading.left.is_set(), 'the load was cancelled')
        equal(len(up.requests('/api/chat')), 1, 'generations')


@test
def failure_after_a_beat_goes_in_band():
    with wound_backend('--first-byte-timeout', 100, '--max-generation', 100) as (clock, up, server):
        clock.stop()

        def run(form, client):
            clock.wind(99)
            reply = read_now(client)
            check(reply.chunks, 'no beat')
            clock.wind(2)
            client.read_rest(reply)
            if form.streamed:
                check_failed_stream(form, strip_beats(form, reply))
                if form.family == 'ndjson':
                    equal(reply.lines()[-1]['status'], 504, 'intended status')
            else:
                check(not reply.whole(), 'a failed reply ends as if it were whole')
                error = json.loads(reply.body)['error']
                check(len(error['message'] if form.openai else error) > 3, f'no words: {error!r}')

        each_form(server, up, clock, [*STREAMS, CHAT_WHOLE, V1_WHOLE, ORIGIN], run)


def strip_beats(form, reply):
    reply._body = [reply.body.replace(b': ping\n\n', b'') if form.family == 'sse' else reply.body.lstrip(b' ')]
    return reply


@test
def refusal_by_ollama_after_a_beat_goes_in_band():
    for mode, status, words in (('busy', 503, 'server busy'), ('not_found', 404, 'not found'), ('server_error', 500, 'terminated'),
                                ('close', 502, '')):
        with wound_backend('--heartbeat', 1) as (clock, up, server), Client(server.address) as client:
            def script(x, mode=mode):
                x.pass_gate()
                fake.MODES[mode](x)

            up.on('/api/chat', script)
            CHAT.send(client)
            up.wait_exchange('/api/chat')
            clock.stop()
            clock.wind(2)
            reply = read_now(client)
            up.gate().set()
            client.read_rest(reply)
            check_failed_stream(CHAT, reply, words)
            last = reply.lines()[-1]
            equal(last.get('status'), status, f'intended status of {mode}')
            check(status != 503 or 1 <= last['retry_after'] <= 300, f'retry_after: {last}')


@test
def who_leaves_after_beats_frees_ollama():
    with wound_backend() as (clock, up, server):
        for form in (CHAT, V1, CHAT_WHOLE):
            up.on(form.path, fake.MODES['silent'])
            with Client(server.address) as client:
                number = len(up.exchanges(form.path)) + 1
                form.send(client)
                x = up.wait_exchange(form.path, number)
                clock.stop()
                clock.wind(50)
                check(read_now(client).chunks, 'no beat')
            check(x.left.wait(5), f'{form.name}: the connection to Ollama stays open')
            wait_counts(server, 0, 0)
            clock.go_on()


@test
def http_1_0_gets_beats_without_chunks():
    with wound_backend() as (clock, up, server):
        up.on('/api/chat', thinks)
        with Client(server.address) as client:
            client.request('POST', '/api/chat', CHAT.body, version='HTTP/1.0')
            up.wait_exchange('/api/chat')
            clock.stop()
            clock.wind(31)
            take(client)
            check(client.ahead.endswith(b'\r\n\r\n  '), f'said {bytes(client.ahead)!r}')
            up.gate().set()
            reply = client.read_reply()
            check(not reply.has('Transfer-Encoding'), 'chunks to a 1.0 client')
            equal(reply.ended, 'close', 'end')
            equal(answer_of(CHAT, reply), TEXT, 'answer')


@test
def many_beats_never_end_a_stream_that_ollama_did_not_begin():
    """Ten minutes of silence are allowed, and the answer still comes."""
    with wound_backend() as (clock, up, server):
        up.on('/api/chat', thinks)
        with Client(server.address) as client:
            CHAT.send(client)
            up.wait_exchange('/api/chat')
            clock.stop()
            clock.wind(595, step=5)
            reply = read_now(client)
            equal(len(reply.chunks), 39, 'beats')
            up.gate().set()
            check_good_after_beats(CHAT, client.read_rest(reply), 39)
