# SPDX-License-Identifier: MIT
"""frontend --api-proxy: the page server in front of a backend, for machines without a load balancer."""

from faults.forms import CHAT, FORMS, V1, check_good, check_refused
from faults.leaving import wait_standstill
from fake import upstream as fake
from lib.harness import Cases, Client, Server, backend, check, equal, test, wait_until


def proxy(upstream, *options):
    return Server('frontend', '--api-proxy', getattr(upstream, 'url', upstream), *options)


@test
def whole_chain_answers_in_every_form():
    with fake.Upstream() as up, backend(up) as server, proxy(server) as page, Client(page.address) as client:
        cases = Cases()
        for form in [*FORMS, *FORMS]:
            with cases(form.name):
                check_good(form, form.ask(client))
        equal(client.get('/api/models').json()['models'], [fake.NAME], '/api/models')
        cases.judge()


@test
def lines_pass_the_chain_at_once():
    lines = fake.chat_lines([f'word {n}' for n in range(10)])
    with fake.Upstream() as up, backend(up) as server, proxy(server) as page, Client(page.address) as client:
        def script(x):
            x.head()
            for n, line in enumerate(lines):
                x.chunk(line)
                x.pass_gate(f'seen {n}')
            x.last_chunk()
        up.on('/api/chat', script)
        CHAT.send(client)
        reply = client.read_head()
        for n, line in enumerate(lines):
            equal(client.read_chunk(reply), line, f'chunk {n}')
            up.gate(f'seen {n}').set()
        equal(client.read_chunk(reply), b'', 'last chunk')


@test
def pieces_smaller_than_lines_pass_at_once():
    """Heartbeats are single spaces: they must not wait for a line's end."""
    with fake.Upstream() as up, proxy(up) as page, Client(page.address) as client:
        pieces = [b' ', b' ', b'{"done":false}\n', b' ', b'{"done":true}\n']

        def script(x):
            x.head()
            for n, piece in enumerate(pieces):
                x.chunk(piece)
                x.pass_gate(f'seen {n}')
            x.last_chunk()
        up.on('/api/chat', script)
        CHAT.send(client)
        reply = client.read_head()
        for n in range(len(pieces)):
            wanted = b''.join(pieces[:n + 1])
            while len(reply.body) < len(wanted):
                check(client.read_chunk(reply), 'ended early')
            equal(reply.body, wanted, f'after piece {n}')
            up.gate(f'seen {n}').set()
        equal(client.read_rest(reply).ended, 'chunked', 'end')


@test
def client_that_leaves_the_chain_frees_ollama():
    with fake.Upstream() as up, backend(up) as server, proxy(server) as page:
        cases = Cases()
        for mode in ('silent', 'endless_slow', 'stall'):
            up.on('/api/chat', fake.MODES[mode])
            for leave in (Client.close, Client.reset, Client.fin):
                with cases(f'{mode}, {leave.__name__}'), Client(page.address) as client:
                    number = len(up.exchanges('/api/chat')) + 1
                    CHAT.send(client)
                    x = up.wait_exchange('/api/chat', number)
                    leave(client)
                    check(x.left.wait(5), 'Ollama works on for nobody')
        cases.judge()


@test
def backend_that_is_down_is_502_in_words():
    with fake.RefusingPort() as port, proxy(port.url) as page:
        check_refused(page.post('/api/chat', CHAT.body), 502)
        check_refused(page.get('/api/models'), 502)
        check_refused(page.post(V1.path, V1.body), 502, openai=True)
        equal(page.get('/health').status, 200, '/health')
        equal(page.get('/').status, 200, '/')


@test
def backend_that_goes_and_comes_back_is_served_again():
    with fake.Upstream() as up, proxy(up) as page:
        equal(page.get('/api/tags').status, 200, 'before')
        up.refuse()
        up.on('/api/tags', fake.mode_close)
        check_refused(page.get('/api/tags'), 502)
        up.on('/api/tags', None)
        up.listen_again()
        wait_until(lambda: page.get('/api/tags').status == 200, 'served again')


@test
def request_fields_pass_as_the_contract_says():
    with fake.Upstream() as up, proxy(up) as page:
        fields = {'Host': 'localhost:1234', 'Origin': 'http://evil.example', 'Sec-Fetch-Site': 'cross-site', 'Authorization': 'Bearer key',
                  'X-Forwarded-For': '203.0.113.7', 'X-Ollachat-Progress': '1', 'Content-Type': 'application/json', 'Cookie': 'a=b',
                  'Connection': 'keep-alive, X-Hop', 'X-Hop': '1', 'Keep-Alive': 'timeout=5', 'TE': 'trailers', 'Proxy-Authorization': 'x'}
        equal(page.post('/api/chat?x=1', CHAT.body, fields=fields).status, 200, 'status')
        seen = up.requests('/api/chat')[0]
        for name in ('Host', 'Origin', 'Sec-Fetch-Site', 'Authorization', 'X-Ollachat-Progress', 'Content-Type'):
            equal(seen.get(name), fields[name], name)
        equal(seen.get('X-Forwarded-For').replace(' ', ''), '203.0.113.7,127.0.0.1', 'X-Forwarded-For')
        for name in ('X-Hop', 'Keep-Alive', 'TE', 'Proxy-Authorization'):
            check(not seen.has(name), f'{name} was forwarded')
        check('x-hop' not in (seen.get('Connection') or '').lower(), f'Connection: {seen.get("Connection")}')
        equal(seen.target, '/api/chat?x=1', 'target')
        page.post('/api/chat', CHAT.body)
        equal(up.requests('/api/chat')[1].get('X-Forwarded-For'), '127.0.0.1', 'X-Forwarded-For where there was none')


@test
def every_path_and_method_of_the_api_passes():
    with fake.Upstream() as up, proxy(up) as page:
        for method, path in (('GET', '/api/nowhere'), ('DELETE', '/api/delete'), ('GET', '/v1/x'), ('POST', '/v1/x'), ('OPTIONS', '/api/chat')):
            page.ask(method, path, b'{}' if method == 'POST' else None)
            equal((up.requests()[-1].method, up.requests()[-1].target), (method, path), 'at the upstream')
        equal(page.ask('HEAD', '/api/tags').status, 200, 'HEAD')


@test
def replies_pass_unchanged():
    with fake.Upstream() as up, proxy(up) as page, Client(page.address) as client:
        cases = Cases()
        for status, body, fields in ((200, b'{"a":1}', [('X-Ollachat-Instance', 'i-1')]), (404, b'{"error":"Not Found"}', []),
                                     (503, b'{"error":"busy"}', [('Retry-After', '7')]), (401, b'{"error":"key"}', [('WWW-Authenticate', 'Bearer')]),
                                     (405, b'{"error":"x"}', [('Allow', 'POST')]), (200, b'x' * 300000, [])):
            for chunks in (False, True):
                up.on('/api/x', lambda x: x.reply(status, body, fields=fields, chunked=chunks))
                with cases(f'{status}, chunked {chunks}, {len(body)} bytes'):
                    reply = client.get('/api/x')
                    check(reply.whole(), 'not whole')
                    equal((reply.status, reply.body, reply.get('Content-Type')), (status, body, fake.JSON), 'reply')
                    for name, value in fields:
                        equal(reply.get(name), value, name)
        cases.judge()


@test
def broken_backend_replies_are_told_or_cut():
    with fake.Upstream() as up, proxy(up) as page:
        cases = Cases()
        up.gate().set()
        for mode in ('close', 'reset', 'half_head_close', 'garbage', 'giant_head', 'both_lengths'):
            up.on('/api/chat', fake.MODES[mode])
            with cases(mode):
                check_refused(page.post('/api/chat', CHAT.body), 502)
        for mode in ('cut_between', 'reset_in_line', 'bad_chunk', 'length_too_long', 'cut_in_chunk'):
            up.on('/api/chat', fake.MODES[mode])
            with cases(mode):
                reply = page.post('/api/chat', CHAT.body)
                whole = reply.whole() and b'"done":true' in reply.body and b'"error"' not in reply.body
                check(not whole and (not reply.whole() or b'"error"' in reply.body), f'taken for whole: {reply}')
        cases.judge()


@test
def slow_reader_of_the_chain_costs_nobody_anything():
    with fake.Upstream() as up, backend(up, '--max-active', 2) as server, proxy(server) as page:
        up.on('/api/chat', fake.MODES['endless'])
        slow = page.client(receive_buffer=4096)
        CHAT.send(slow)
        wait_standstill(up.wait_exchange('/api/chat'))
        check_good(V1, page.post(V1.path, V1.body))
        equal(page.get('/').status, 200, '/')


@test
def page_server_adds_nothing_to_cors_judgement():
    """Only the backend judges origins: what it refuses is refused through the page server too."""
    with fake.Upstream() as up, backend(up) as server, proxy(server) as page:
        own = f'http://127.0.0.1:{page.address[1]}'
        check_good(CHAT, page.post('/api/chat', CHAT.body, fields={'Origin': own}))
        check_refused(page.post('/api/chat', CHAT.body, fields={'Origin': 'http://evil.example'}), 403)
        check_refused(page.post('/api/chat', CHAT.body, fields={'Sec-Fetch-Site': 'cross-site'}), 403)
