# SPDX-License-Identifier: MIT
"""A good stream on its way through: lines as chunks, at once, unchanged, however Ollama's bytes arrive."""

from faults.forms import CHAT, FORMS, ORIGIN, ORIGIN_STREAM, V1, check_good, events_of
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test


def stepwise(x, pieces, kind):
    """Sends each piece only when the test has seen the one before."""
    x.head(200, kind)
    for n, piece in enumerate(pieces):
        x.chunk(piece)
        x.pass_gate(f'seen {n}')
    x.last_chunk()


@test
def each_line_arrives_as_one_chunk_before_the_next_is_sent():
    lines = fake.chat_lines([f'word {n}' for n in range(20)])
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', lambda x: stepwise(x, lines, fake.NDJSON))
        for form in (CHAT, ORIGIN_STREAM):
            with Client(server.address) as client:
                form.send(client)
                reply = client.read_head()
                equal(reply.get('Content-Type'), fake.NDJSON, 'type')
                for n, line in enumerate(lines):
                    equal(client.read_chunk(reply), line, f'chunk {n}')
                    check(client.ahead == b'', 'more than one line came')
                    up.gate(f'seen {n}').set()
                equal(client.read_chunk(reply), b'', 'last chunk')
            for n in range(len(lines)):
                up.gate(f'seen {n}').clear()


@test
def head_of_a_stream_comes_before_its_first_line():
    """Ollama's head alone is passed on, or held until the first line; but the first line is never held."""
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        line = fake.chat_lines(['one'])[0]

        def script(x):
            x.head()
            x.chunk(line)
            x.wait_left()
        up.on('/api/chat', script)
        CHAT.send(client)
        equal(client.read_chunk(client.read_head()), line, 'first chunk')


@test
def each_event_arrives_before_the_next_is_sent():
    events = fake.completion_events([f'word {n}' for n in range(10)])
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        up.on(V1.path, lambda x: stepwise(x, events, fake.SSE))
        V1.send(client)
        reply = client.read_head()
        check(reply.get('Content-Type').startswith('text/event-stream'), f'type {reply.get("Content-Type")}')
        for n in range(len(events)):
            wanted = b''.join(events[:n + 1])
            while len(reply.body) < len(wanted):
                check(client.read_chunk(reply), 'ended early')
            equal(reply.body, wanted, f'after event {n}')
            up.gate(f'seen {n}').set()
        client.read_rest(reply)
        equal(reply.ended, 'chunked', 'end')


@test
def lines_split_at_every_byte_are_mended():
    lines = fake.chat_lines(['a', 'é€😀'])
    head = f'HTTP/1.1 200 OK\r\nContent-Type: {fake.NDJSON}\r\nTransfer-Encoding: chunked\r\n\r\n'.encode()
    wire = head + b''.join(map(fake.chunk, lines)) + b'0\r\n\r\n'
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        cases = Cases()
        for n in range(1, len(wire)):
            up.on('/api/chat', lambda x, n=n: x.send_apart(wire[:n], wire[n:], pause=0.001))
            with cases(f'split after {n} of {len(wire)} bytes'):
                reply = CHAT.ask(client)
                equal(reply.chunks, lines, 'chunks')
                equal(reply.ended, 'chunked', 'end')
        cases.judge()


@test
def lines_cut_into_chunks_at_every_byte_are_mended():
    lines = fake.chat_lines(['a', 'é€😀'])
    body = b''.join(lines)
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        cases = Cases()
        for n in range(1, len(body)):
            up.on('/api/chat', lambda x, n=n: x.reply_stream([body[:n], body[n:]]))
            with cases(f'two chunks, the first of {n} bytes'):
                equal(CHAT.ask(client).chunks, lines, 'chunks')
        cases.judge()


@test
def merged_lines_are_taken_apart():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        up.on_generations(fake.MODES['merged'])
        equal(CHAT.ask(client).chunks, fake.chat_lines(fake.WORDS), 'chunks')


@test
def every_form_survives_every_shape_of_arrival():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for mode in ('normal', 'pieces', 'merged', 'head_bytes', 'idle_close'):
            up.on_generations(fake.MODES[mode])
            for form in FORMS:
                with cases(f'{mode}, {form.name}'), Client(server.address) as client:
                    check_good(form, form.ask(client))
        cases.judge()


@test
def unknown_fields_and_odd_spacing_pass_unchanged():
    lines = [b'{ "message" : {"role":"assistant","content":"a\\u00e9\\/"},\t"x":{"y":[1e5,-0.0]} , "done":false }\n',
             b'{"done":true,"message":{"content":""},"z":null}\n']
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', lambda x: x.reply_stream(lines))
        equal(server.post('/api/chat', CHAT.body).chunks, lines, 'chunks')
        equal(server.post('/api/chat', ORIGIN.body).json()['response'], 'aé/', 'collected')


@test
def last_line_without_newline_is_passed_on():
    lines = fake.chat_lines(['a'])
    body = b''.join(lines)[:-1]
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', lambda x: x.reply_stream([body]))
        reply = server.post('/api/chat', CHAT.body)
        equal(reply.ended, 'chunked', 'end')
        equal(reply.body.rstrip(b'\n'), body, 'body')
        equal(server.post('/api/chat', ORIGIN.body).json()['response'], 'a', 'collected')


@test
def client_of_http_1_0_gets_no_chunks():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for form in FORMS:
            with cases(form.name), Client(server.address) as client:
                client.request('POST', form.path, form.body, version='HTTP/1.0')
                reply = client.read_reply()
                check(not reply.has('Transfer-Encoding'), 'a transfer coding')
                check_good(form, reply)
        cases.judge()


@test
def abort_towards_http_1_0_is_a_reset():
    """An end would be taken for the answer's end."""
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        def script(x):
            x.head()
            x.chunk(b'{"message":{"content":"' + b'x' * 300000)
            x.pass_gate()
            x.close()
        up.on('/api/chat', script)
        client.request('POST', CHAT.path, CHAT.body, version='HTTP/1.0')
        reply = client.read_head()
        client.read_exactly(1000, 'the beginning')
        up.gate().set()
        equal(client.read_rest(reply).ended, 'reset', 'end')


@test
def kept_alive_1_0_client_is_closed_after_a_stream():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        client.request('POST', CHAT.path, CHAT.body, {'Connection': 'keep-alive'}, version='HTTP/1.0')
        reply = client.read_reply()
        equal(reply.ended, 'close', 'end')
        check_good(CHAT, reply)


@test
def two_pipelined_chats_are_answered_in_order():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        def script(x):
            x.reply_stream(fake.chat_lines([x.request.json()['messages'][0]['content']]))
        up.on('/api/chat', script)
        for word in ('first', 'second', 'third'):
            client.request('POST', '/api/chat', {'model': fake.NAME, 'messages': [{'role': 'user', 'content': word}]})
        client.request('GET', '/health')
        said = [client.read_reply().lines()[0]['message']['content'] for _ in range(3)]
        equal(said, ['first', 'second', 'third'], 'answers')
        equal(client.read_reply().status, 200, '/health after them')


@test
def connection_is_kept_alive_over_all_forms():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        for form in [*FORMS, *FORMS]:
            check_good(form, form.ask(client))


@test
def requests_and_connections_to_ollama_are_reused():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        for form in [*FORMS, *FORMS]:
            check_good(form, form.ask(client))
        used = {r.connection for path in ('/api/chat', '/api/generate', V1.path) for r in up.requests(path)}
        equal(len(used), 1, 'connections used for generations one after the other')


@test
def events_pass_unchanged():
    events = fake.completion_events(['a', 'é😀'])
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        body = b''.join(events)
        for n in range(1, len(body), 3):
            up.on(V1.path, lambda x, n=n: x.reply_stream([body[:n], body[n:]], fake.SSE))
            with cases(f'first chunk of {n} bytes'):
                reply = server.post(V1.path, V1.body)
                equal(reply.body, body, 'body')
                events_of(reply)
        cases.judge()
