# SPDX-License-Identifier: MIT
"""Long waits: whole replies that begin before Ollama has said a word, places that are lost, and waits that a drain makes
hopeless."""

import json
import signal

from fake import upstream as fake
from faults.forms import CHAT, CHAT_WHOLE, EMBED, GENERATE, ORIGIN, RESPONSES, V1, V1_WHOLE, check_failed_stream, check_good, check_refused
from lib.clock import Clock
from lib.harness import Cases, Client, backend, check, equal, test, wait_until

WHOLES = [CHAT_WHOLE, ORIGIN, V1_WHOLE, EMBED]


def gated(script):
    def gated_script(x):
        x.pass_gate()
        script(x)
    return gated_script


def whole_under_way(client, form, clock, up, server):
    """Asks, and takes the first heartbeat of a whole reply."""
    number = len(up.exchanges(form.path)) + 1
    form.send(client)
    up.wait_exchange(form.path, number)
    clock.stop()
    clock.wind(44)
    equal(metric(server, 'ollachat_heartbeats_total'), 0 if number == 1 else number - 1, 'heartbeats before 45 s')
    clock.wind(2)
    reply = client.read_head()
    equal((reply.status, reply.get('Content-Type')), (200, 'application/json'), 'head')
    client.read_chunk(reply)
    equal(reply.chunks, [b' '], 'heartbeat')
    return reply


def metric(server, name):
    lines = server.get('/metrics').body.decode().splitlines()
    return sum(float(line.rsplit(' ', 1)[1]) for line in lines if line.startswith((name + ' ', name + '{')))


@test
def whole_reply_follows_its_heartbeats():
    cases = Cases()
    for form in WHOLES:
        with cases(form.name), Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server, \
                Client(server.address) as client:
            up.on(form.path, gated(fake.answer))
            reply = whole_under_way(client, form, clock, up, server)
            clock.wind(16)  # from now on every --heartbeat
            client.read_chunk(reply)
            up.gate().set()
            client.read_rest(reply)
            equal(reply.ended, 'chunked', 'end')
            check(reply.body.startswith(b'  {'), lambda: f'{reply.body[:20]}')
            check_good(form, reply)
            form.send(client)
            check_good(form, client.read_reply())  # the connection serves on
    cases.judge()


def refuse(x):
    if x.request.path.startswith('/v1/'):
        x.reply_json({'error': {'message': 'no memory', 'type': 'api_error', 'param': None, 'code': None}}, 500)
    else:
        x.reply_json({'error': 'no memory'}, 500)


def hang_up(x):
    x.reset()


def break_off(x):
    x.head(200, fake.JSON, length=1000)
    x.send(b'{"model":"')
    x.reset()


@test
def whole_reply_that_fails_after_its_heartbeat_is_never_taken_for_an_answer():
    cases = Cases()
    for form in WHOLES:
        for failure, status in ((refuse, 500), (hang_up, 502), (break_off, 502)):
            with cases(f'{form.name}, {failure.__name__}'), Clock() as clock, fake.Upstream() as up, \
                    backend(up, clock=clock) as server, Client(server.address) as client:
                up.on(form.path, gated(failure))
                reply = whole_under_way(client, form, clock, up, server)
                up.gate().set()
                client.read_rest(reply)
                equal(reply.ended, 'cut', 'end')
                error = reply.json()['error']
                if form.openai:
                    error = error['message']
                else:
                    equal(reply.json()['status'], status, 'intended status')
                check(error, 'no words')
                wait_until(lambda: server.logged(rf'msg=request .*status={status} '), 'the intended status in the log')
    cases.judge()


@test
def heartbeats_do_not_change_the_wait_of_a_client_of_http_1_0():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server, Client(server.address) as client:
        up.on('/api/chat', gated(fake.answer))
        client.request('POST', '/api/chat', CHAT_WHOLE.body, version='HTTP/1.0')
        up.wait_exchange('/api/chat')
        clock.stop()
        clock.wind(46)
        up.gate().set()
        reply = client.read_reply()
        equal((reply.ended, reply.body[:2]), ('close', b' {'), 'reply')
        check_good(CHAT_WHOLE, reply)


def ask(server, fields=(), body=CHAT.body):
    client = server.client()
    client.request('POST', '/api/chat', body, fields=fields)
    return client


def wait_counts(server, active, queued):
    def counts():
        health = server.get('/health').json()
        return health['active'], health['queued']
    wait_until(lambda: counts() == (active, queued), f'{active} active, {queued} queued')


def as_client(n):
    return [('X-Forwarded-For', f'198.51.100.{n}')]


@test
def greedy_client_gives_its_last_place_to_a_newcomer():
    with fake.Upstream() as up, backend(up, '--max-queue', '4', '--queue-timeout', '600') as server:
        up.on('/api/chat', gated(fake.answer))
        running = ask(server, as_client(1))
        wait_counts(server, 1, 0)
        greedy = []
        for n in range(4):
            greedy.append(ask(server, as_client(1)))
            wait_counts(server, 1, n + 1)
        newcomers = []
        for n in (2, 3):  # the first finds it with 4 places, the next with 3
            newcomers.append(ask(server, as_client(n)))
            check_refused(greedy.pop().read_reply(), 503)
            wait_counts(server, 1, 4)
        check_refused(ask(server, as_client(2)).read_reply(), 503)  # has one place less than the greediest
        up.gate().set()
        for client in (running, *greedy, *newcomers):
            check_good(CHAT, client.read_reply())
        wait_counts(server, 0, 0)


@test
def waiter_that_was_told_something_keeps_its_place():
    with fake.Upstream() as up, backend(up, '--max-queue', '2', '--queue-timeout', '600') as server:
        up.on('/api/chat', gated(fake.answer))
        running = ask(server, as_client(1))
        wait_counts(server, 1, 0)
        first = ask(server, as_client(1))
        wait_counts(server, 1, 1)
        told = ask(server, [*as_client(1), ('X-Ollachat-Progress', '1')])
        reply = told.read_head()
        told.read_chunk(reply)
        equal(json.loads(reply.chunks[0]), {'queue': {'position': 2}}, 'progress')
        check_refused(ask(server, as_client(2)).read_reply(), 503)
        up.gate().set()
        for client in (running, first):
            check_good(CHAT, client.read_reply())
        told.read_rest(reply)
        check(reply.lines()[-1]['done'], 'not done')


@test
def waits_that_would_outlast_the_drain_end_at_once():
    """Service takes 100 s; the drain 150 s: of three who wait the first comes to its turn, the others never would."""
    with Clock() as clock, fake.Upstream() as up, \
            backend(up, '--drain-timeout', '150', '--queue-timeout', '1000', clock=clock,
                    may_restart=True) as server:
        up.on('/api/chat', gated(fake.answer))
        first = ask(server)
        up.wait_exchange('/api/chat')
        clock.wind(100)
        up.gate().set()
        check_good(CHAT, first.read_reply())
        up.gate().clear()
        running = ask(server)
        wait_counts(server, 1, 0)
        waiting = []
        for n in range(3):
            waiting.append(ask(server, as_client(n)))
            wait_counts(server, 1, n + 1)
        server.process.send_signal(signal.SIGTERM)
        for client in waiting[1:]:
            check('stopping' in check_refused(client.read_reply(), 503), 'why')
        wait_counts(server, 1, 1)
        late = ask(server)
        check('stopping' in check_refused(late.read_reply(), 503), 'why')
        up.gate().set()
        for client in (running, waiting[0]):
            reply = client.read_reply()
            check_good(CHAT, reply)
        clock.wind(31)
        equal(server.process.wait(10), 0, 'exit code')


@test
def whole_reply_to_a_client_that_reads_events_is_told_as_a_failure():
    """Its head went out with the first heartbeat; what the reply says of itself changes nothing."""
    for body in ({'done': True}, {'error': 'late'}, {'id': 'x'}):
        with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server, Client(server.address) as client:
            up.on(V1.path, gated(lambda x, body=body: x.reply_json(body)))
            V1.send(client)
            up.wait_exchange(V1.path)
            clock.stop()
            clock.wind(16)
            reply = client.read_head()
            up.gate().set()
            client.read_rest(reply)
            check_failed_stream(V1, reply)


@test
def whole_reply_that_is_no_json_is_502():
    for kind in (fake.JSON, 'text/html'):
        with fake.Upstream() as up, backend(up) as server:
            up.on_generations(lambda x, kind=kind: x.reply(200, b'<html>It works!</html>', kind))
            for form in WHOLES:
                with Client(server.address) as client:
                    form.send(client)
                    check_refused(client.read_reply(), 502, form.openai)


@test
def last_line_longer_than_we_keep_is_understood():
    """The context of /api/generate, and a response that repeats itself whole, come in the last line or event."""
    line = {'model': fake.NAME, 'response': '', 'done': True, 'context': list(range(100000, 130000)), 'prompt_eval_count': 3,
            'eval_count': 5}
    event = fake.sse({'type': 'response.completed', 'response': {'output': 'x' * 200000}})
    cases = Cases()
    for form, kind, last in ((GENERATE, fake.NDJSON, fake.dump(line) + b'\n'), (RESPONSES, fake.SSE, event),
                             (GENERATE, fake.NDJSON, fake.dump({'error': 'e' * 70000}) + b'\n')):
        with cases(f'{form.name}, {last[:20]}'), fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
            up.on(form.path, lambda x, kind=kind, last=last: x.reply_stream([last], kind))
            form.send(client)
            reply = client.read_reply()
            equal((reply.ended, len(reply.body)), ('chunked', len(last)), 'what came')
            equal(reply.body, last, 'the line')
            result = 'error' if b'eeee' in last else 'ok'
            wait_until(lambda result=result: server.logged(f'msg=request .*result={result}'), 'the result in the log')
            if b'context' in last:
                equal(metric(server, 'ollachat_output_tokens_total'), 5, 'tokens')
    cases.judge()


@test
def event_that_goes_out_in_pieces_is_not_beaten_into():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server, Client(server.address) as client:
        def script(x):
            x.head(200, fake.SSE)
            x.chunk(b'data: ' + b'x' * 100000)
            x.chunk(b'\n')
            x.pass_gate()
            x.chunk(b'data: y\n\n')
            x.chunk(fake.sse(b'[DONE]'))
            x.last_chunk()
        up.on(V1.path, script)
        up.gate().clear()
        V1.send(client)
        reply = client.read_head()
        while not reply.body.endswith(b'\n'):
            client.read_chunk(reply)
        clock.stop()
        clock.wind(40)
        up.gate().set()
        client.read_rest(reply)
        check(b'ping' not in reply.body, 'a ping inside an event')
        check(reply.body.endswith(b'x\ndata: y\n\ndata: [DONE]\n\n'), 'the events')


@test
def names_longer_than_any_model_s_are_refused():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        equal(server.get('/v1/models/' + '%20' * 3790).status, 404, 'status')
        equal(server.post('/api/pull', {'model': 'a' * 16100}).status, 400, 'status')
        equal(up.requests('/api/pull'), [], 'requests at the upstream')


@test
def passage_whose_client_left_in_the_queue_is_not_asked_for():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/show', gated(fake.answer))
        clients = [server.client() for _ in range(20)]
        for n, client in enumerate(clients, 1):
            client.request('POST', '/api/show', {'model': fake.NAME})
            if n <= 16:
                up.wait_exchange('/api/show', n)
        for client in clients[16:]:
            client.fin()
        wait_until(lambda: len(server.logged('path=/api/show .*result=cancelled')) == 4, 'four have left')
        up.gate().set()
        for client in clients[:16]:
            equal(client.read_reply().status, 200, 'status')
        equal(len(up.requests('/api/show')), 16, 'requests at the upstream')


@test
def retry_after_differs_also_behind_a_load_balancer():
    with fake.Upstream() as up, backend(up, '--max-queue', '0') as server:
        up.on('/api/chat', gated(fake.answer))
        running = ask(server)
        wait_counts(server, 1, 0)
        waits = {server.post('/api/chat', CHAT.body, fields=[('X-Amzn-Trace-Id', 'Root=1-67891233-abcdef012345678912345678')])
                 .get('Retry-After') for _ in range(30)}
        check(len(waits) > 3, f'{waits}')
        up.gate().set()
        check_good(CHAT, running.read_reply())
