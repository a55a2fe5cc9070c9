# SPDX-License-Identifier: MIT
"""--allow-admin: Ollama's pull, push, create, copy and delete behind the gateway, and their ends. Blobs are in uploads.py."""

import json

from fake import upstream as fake
from faults.forms import CHAT, check_good, check_refused
from faults.keys import KEY, bearer, keyed
from faults.wound import check_silent
from lib.clock import Clock
from lib.harness import Cases, Client, Server, backend, check, equal, test, wait_until

PULL = [{'status': 'pulling manifest'}, {'status': 'pulling 74701a8c35f6', 'digest': 'sha256:74', 'total': 10, 'completed': 4},
        {'status': 'verifying sha256 digest'}, {'status': 'writing manifest'}, {'status': 'success'}]
LINES = [fake.dump(line) + b'\n' for line in PULL]
STREAMS = ('/api/pull', '/api/push', '/api/create')
ROUTES = [('POST', path) for path in (*STREAMS, '/api/copy')] + [('DELETE', '/api/delete'), ('POST', '/api/blobs/sha256:' + 'a' * 64),
                                                                 ('HEAD', '/api/blobs/sha256:' + 'a' * 64)]


def script(up, path, lines=LINES):
    up.on(path, lambda x: x.reply_stream(lines))


@test
def closed_unless_asked_for():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for method, path in [*ROUTES, ('GET', '/api/pull'), ('PUT', '/api/blobs/x'), ('POST', '/api/delete')]:
            with cases(f'{method} {path}'):
                equal(server.ask(method, path, b'{"model":"m"}').status, 403, 'status')
                equal(len(up.requests(path)), 0, 'requests at the upstream')
        cases.judge()


@test
def needs_a_key_where_keys_are_asked_for():
    with fake.Upstream() as up, keyed(up, '--allow-admin') as (server, _):
        for method, path in ROUTES:
            equal(server.ask(method, path, b'{"model":"m"}').status, 401, f'{method} {path}')
            equal(len(up.requests(path)), 0, 'requests at the upstream')
        script(up, '/api/pull')
        equal(server.post('/api/pull', {'model': 'm'}, fields=bearer(KEY)).lines(), PULL, 'with a key')


@test
def other_sites_are_refused():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        for fields in ({'Origin': 'http://evil.example'}, {'Sec-Fetch-Site': 'cross-site'}, {'Host': 'evil.example'}):
            for method, path in ROUTES:
                check(server.ask(method, path, b'{}', fields=fields).status in (403, 421), f'{method} {path} {fields}')
                equal(len(up.requests(path)), 0, 'requests at the upstream')
    with fake.Upstream() as up, backend(up, '--allow-admin', '--cors-origin', 'https://a.example') as server:
        reply = server.ask('OPTIONS', '/api/delete', fields={'Origin': 'https://a.example', 'Access-Control-Request-Method': 'DELETE'})
        equal(reply.status, 204, 'preflight')
        check('DELETE' in reply.get('Access-Control-Allow-Methods'), 'DELETE is not allowed')


@test
def bodies_pass_byte_for_byte():
    body = b' {"model" : "any/one:else", "stream":true, "x":1.0e1, "keep_alive":0,\n"insecure":false}'
    with fake.Upstream() as up, backend(up, '--allow-admin', '--models', fake.NAME, '--model-alias', 'any/one:else=x') as server:
        cases = Cases()
        for method, path in ROUTES[:5]:
            with cases(path):
                if path in STREAMS:
                    script(up, path)
                else:
                    up.on(path, lambda x: x.reply(200, b'', None))
                reply = server.ask(method, path, body, fields={'Cookie': 'a=b', 'Authorization': 'Bearer x', 'X-Forwarded-For': '1.2.3.4'})
                equal(reply.status, 200, 'status')
                request = up.requests(path)[0]
                equal((request.method, request.body), (method, body), 'what Ollama got')
                names = sorted(name.lower() for name, _ in request.fields)
                equal(names, ['content-length', 'content-type', 'host'], 'fields')
                equal(request.get('Host'), up.host, 'Host')
        cases.judge()
        wait_until(lambda: server.logged('path=/api/pull .*model=any/one:else'), 'the model in the log')


@test
def progress_passes_line_by_line():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        cases = Cases()
        for path in STREAMS:
            with cases(path), Client(server.address) as client:
                def steps(x):
                    x.head()
                    for line in LINES:
                        x.chunk(line)
                        x.pass_gate(f'{x.request.path} {line}')
                    x.last_chunk()
                up.on(path, steps)
                client.request('POST', path, {'model': 'm'})
                reply = client.read_head()
                for line in LINES:
                    equal(client.read_chunk(reply), line, 'a line, before the next is sent')
                    up.gate(f'{path} {line}').set()
                client.read_chunk(reply)
                equal(reply.ended, 'chunked', 'end')
        cases.judge()
        wait_until(lambda: len(server.logged('path=/api/p.* result=ok')) == 2, 'results in the log')


@test
def ends_are_told_for_what_they_are():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        cases = Cases()

        def cut(x):
            x.head()
            x.chunk(LINES[0])
            x.reset()

        def no_success(x):
            x.reply_stream(LINES[:-1])

        def other_success(x):
            x.reply_stream([LINES[0], b'{"status":"success soon"}\n'])

        for name, how, words in (('cut', cut, 'broke off'), ('no success', no_success, 'before it was done'),
                                 ('nearly', other_success, 'before it was done')):
            for path in STREAMS:
                with cases(f'{path} {name}'):
                    up.on(path, how)
                    reply = server.post(path, {'model': 'm'})
                    equal((reply.status, reply.ended), (200, 'chunked'), 'status and end')
                    lines = reply.lines()
                    check(words in lines[-1].get('error', ''), f'last line {lines[-1]}')
                    equal(sum('error' in line for line in lines), 1, 'errors')
        with cases("Ollama's own error"):
            up.on('/api/pull', lambda x: x.reply_stream([LINES[0], b'{"error":"pull model manifest: file does not exist"}\n']))
            reply = server.post('/api/pull', {'model': 'm'})
            equal(reply.lines(), [PULL[0], {'error': 'pull model manifest: file does not exist'}], 'lines')
        with cases('success without a newline'):
            up.on('/api/pull', lambda x: x.reply_stream([LINES[0], LINES[-1][:-1]]))
            equal(server.post('/api/pull', {'model': 'm'}).lines(), [PULL[0], PULL[-1]], 'lines')
        cases.judge()


@test
def silence_of_half_an_hour_is_work_and_then_told():
    """Digests of large models are verified, and models converted, without a word."""
    with Clock() as clock, fake.Upstream() as up, backend(up, '--allow-admin', '--heartbeat', 0, clock=clock) as server:
        def stall(x):
            x.head()
            x.chunk(LINES[0])
            x.wait_left()
        cases = Cases()
        for path in STREAMS:
            with cases(path), Client(server.address) as client:
                up.on(path, stall)
                client.request('POST', path, {'model': 'm'})
                reply = client.read_head()
                client.read_chunk(reply)
                clock.stop()
                clock.wind(1799)
                check_silent(client, path)
                clock.wind(2)
                client.read_rest(reply)
                check('fell silent' in reply.lines()[-1].get('error', ''), f'last line {reply.lines()[-1]}')
                clock.go_on()
        cases.judge()


@test
def silence_is_broken_by_heartbeats():
    def verify(x):
        x.pass_gate('first')
        x.head()
        x.chunk(LINES[0])
        x.pass_gate('second')
        x.chunk(LINES[-1])
        x.last_chunk()

    with fake.Upstream() as up, backend(up, '--allow-admin', '--heartbeat', 1) as server, Client(server.address) as client:
        up.on('/api/pull', verify)
        client.request('POST', '/api/pull', {'model': 'm'})
        reply = client.read_head()
        equal((reply.status, reply.get('Content-Type')), (200, 'application/x-ndjson'), 'head before Ollama answered')
        for gate, line in (('first', LINES[0]), ('second', LINES[-1])):
            equal(client.read_chunk(reply), b' ', 'a heartbeat')
            up.gate(gate).set()
            wait_until(lambda line=line: client.read_chunk(reply) == line, 'the line')
        client.read_rest(reply)
        equal((reply.lines(), reply.ended), ([PULL[0], PULL[-1]], 'chunked'), 'lines')
        up.on('/api/push', lambda x: x.pass_gate('third') or x.reply_json({'error': 'no such model'}, 404))
        client.request('POST', '/api/push', {'model': 'm'})
        reply = client.read_head()
        equal(client.read_chunk(reply), b' ', 'a heartbeat')
        up.gate('third').set()
        client.read_rest(reply)
        equal((reply.lines(), reply.ended), ([{'error': 'no such model', 'status': 404}], 'chunked'), 'a refusal behind a heartbeat')


@test
def refusals_and_whole_replies_pass():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        cases = Cases()
        for method, path in ROUTES[:5]:
            for status, text in ((404, "model 'm' not found"), (400, 'invalid model name'), (500, 'disk full')):
                with cases(f'{path} {status}'):
                    up.on(path, lambda x, status=status, text=text: x.reply_json({'error': text}, status))
                    reply = server.ask(method, path, {'model': 'm'})
                    equal((reply.status, reply.json()), (status, {'error': text}), 'reply')
        for path in STREAMS:
            with cases(f'{path} not streamed'):
                up.on(path, lambda x: x.reply_json({'status': 'success'}))
                reply = server.post(path, {'model': 'm', 'stream': False})
                equal((reply.status, reply.json(), reply.ended), (200, {'status': 'success'}, 'length'), 'reply')
        for method, path in ROUTES[3:5]:
            with cases(f'{path} empty'):
                up.on(path, lambda x: x.reply(200, b'', None))
                reply = server.ask(method, path, {'model': 'm'})
                equal((reply.status, reply.body, reply.ended), (200, b'', 'length'), 'reply')
        with cases('busy'):
            up.on('/api/pull', lambda x: x.reply_json({'error': 'busy'}, 503))
            check_refused(server.post('/api/pull', {'model': 'm'}), 503)
        with cases('a wrong method'):
            for method, path, allow in (('GET', '/api/pull', 'POST'), ('POST', '/api/delete', 'DELETE'), ('GET', ROUTES[5][1], 'HEAD, POST')):
                reply = server.ask(method, path)
                equal(reply.status, 405, f'{method} {path}')
                equal(reply.get('Allow'), f'{allow}, OPTIONS', 'Allow')
        cases.judge()


@test
def bodies_are_judged_as_strictly_as_others():
    with fake.Upstream() as up, backend(up, '--allow-admin', '--max-body', '64k') as server:
        cases = Cases()
        deep = b'{"model":"m","x":' + b'[' * 70 + b']' * 70 + b'}'
        for body, words in ((b'{"model":"m"', 'invalid JSON'), (b'[]', 'must be an object'), (b'', 'invalid JSON'), (deep, 'invalid JSON'),
                            (b'{"model":"m","model":"n"}', 'repeated key'), (b'{"model":"m","Model":"n"}', 'repeated key'),
                            (b'{"MODEL":"m"}', 'unknown spelling'), (b'{"model":7}', 'must be a string'), (b'{"model":"m","stream":"no"}', 'stream'),
                            (b'{"model":"\xff"}', 'invalid JSON'), (b'{"model":"m","mode\\u006c":"n"}', 'repeated key')):
            for method, path in ROUTES[:5]:
                with cases(f'{path} {body[:40]}'):
                    check(words in check_refused(server.ask(method, path, body), 400), 'other words')
                    equal(len(up.requests(path)), 0, 'requests at the upstream')
        with cases('length'):
            equal(server.post('/api/create', b'{"model":"' + b'm' * 65536 + b'"}').status, 413, 'status')
        cases.judge()


@test
def a_client_that_leaves_ends_a_pull():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        def endless(x):
            x.head()
            x.chunk(LINES[0])
            x.wait_left()

        up.on('/api/pull', endless)
        for number, leave in enumerate(('close', 'reset', 'fin'), 1):
            with Client(server.address) as client:
                client.request('POST', '/api/pull', {'model': 'm'})
                client.read_chunk(client.read_head())
                getattr(client, leave)()
                check(up.wait_exchange('/api/pull', number).left.wait(10), f'{leave}: still pulled')


@test
def a_pull_takes_no_turn_and_no_passage():
    with fake.Upstream() as up, backend(up, '--allow-admin', '--max-active', 1, '--max-queue', 0) as server:
        def held(x):
            x.head()
            x.chunk(LINES[0])
            x.pass_gate()
            x.chunk(LINES[-1])
            x.last_chunk()

        up.on('/api/pull', held)
        clients = [server.client() for _ in range(20)]
        replies = []
        for client in clients:
            client.request('POST', '/api/pull', {'model': 'm'})
            replies.append(client.read_head())
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        equal(server.get('/api/version').status, 200, 'a passage')
        up.gate('go').set()
        for client, reply in zip(clients, replies):
            client.read_rest(reply)
            equal(reply.lines()[-1], PULL[-1], 'last line')


@test
def admin_requests_are_never_sent_twice():
    """On a kept connection that dies a generation is tried again; a pull is not, and does not use one."""
    with fake.Upstream() as up, backend(up, '--allow-admin') as server:
        cases = Cases()
        for method, path in ROUTES[:5]:
            with cases(path):
                check_good(CHAT, server.post('/api/chat', CHAT.body))  # leaves a connection to be used again
                up.on(path, lambda x: x.close())
                check_refused(server.ask(method, path, {'model': 'm'}), 502)
                equal(len(up.requests(path)), 1, 'requests at the upstream')
        cases.judge()


@test
def through_the_frontend():
    with fake.Upstream() as up, backend(up, '--allow-admin') as server, Server('frontend', '--api-proxy', server.url) as page:
        script(up, '/api/pull')
        equal(page.post('/api/pull', {'model': 'm'}).lines(), PULL, 'a pull')
        for method, path in ROUTES[3:5]:
            up.on(path, lambda x: x.reply(200, b'', None))
            reply = page.ask(method, path, {'model': 'm'})
            equal((reply.status, reply.body), (200, b''), path)
        up.on(ROUTES[6][1], lambda x: x.reply(404, b'', None))
        equal(page.ask('HEAD', ROUTES[6][1]).status, 404, 'HEAD')
        up.on(ROUTES[6][1], lambda x: x.reply(201, b'', None))
        equal(page.post(ROUTES[6][1], b'abc').status, 201, 'a blob')


@test
def lists_show_what_models_allows():
    names = ['a:latest', 'b:1', 'hub/c:q4']
    with fake.Upstream(models=names) as up, backend(up, '--models', 'a, hub/c:q4'.replace(' ', ''), '--model', 'a') as server:
        direct = {'models': [fake.model_entry(name) for name in ('a:latest', 'hub/c:q4')]}
        reply = server.get('/api/tags')
        equal(reply.body, fake.dump(direct), '/api/tags')
        equal(reply.get('Content-Length'), str(len(reply.body)), 'length')
        equal([entry['id'] for entry in server.get('/v1/models').json()['data']], ['a:latest', 'hub/c:q4'], '/v1/models')
        equal(len(server.get('/api/ps').json()['models']), 3, '/api/ps')
        equal(server.get('/v1/models/b:1').status, 404, '/v1/models/b:1')
        head = server.ask('HEAD', '/api/tags')
        equal((head.status, head.get('Content-Length')), (200, str(len(reply.body))), 'HEAD')
        up.on('/api/tags', lambda x: x.reply_json({'error': 'no'}, 500))
        equal(server.get('/api/tags').json(), {'error': 'no'}, 'an error')
        cases = Cases()
        for name, body in (('broken', b'{"models":['), ('other', b'{}'), ('empty', b'')):
            with cases(name):
                up.on('/v1/models', lambda x, body=body: x.reply(200, body))
                check_refused(server.get('/v1/models'), 502, True)
        with cases('cut'):
            def cut(x):
                x.head(200, fake.JSON, length=1000)
                x.send(b'{"models":[')
                x.close()
            up.on('/v1/models', cut)
            check_refused(server.get('/v1/models'), 502, True)
        cases.judge()


@test
def long_lists_are_filtered_too():
    names = [f'model-{n}:latest' for n in range(400)]
    with fake.Upstream(models=names) as up, backend(up, '--models', 'model-7,model-399', '--model', 'model-7') as server:
        equal([entry['name'] for entry in server.get('/api/tags').json()['models']], ['model-7:latest', 'model-399:latest'], 'names')
        up.on('/api/tags', lambda x: x.reply(200, b'{"models":[' + b' ' * (5 << 20) + b']}', chunked=True))
        check_refused(server.get('/api/tags'), 502)


@test
def without_models_lists_pass_unchanged():
    text = b' {"models" : [ {"name":"x"} , 7 ] }\n'
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/tags', lambda x: x.reply(200, text))
        equal(server.get('/api/tags').body, text, '/api/tags')
        equal(json.loads(server.get('/v1/models').body)['object'], 'list', '/v1/models')
