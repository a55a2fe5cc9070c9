# SPDX-License-Identifier: MIT
"""The origin's form of /api/chat and the backend's own pages: shapes that old clients rely on."""

from faults.forms import MESSAGES, ORIGIN, ORIGIN_STREAM, TEXT, check_good, check_refused
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test, wait_until


@test
def answer_has_the_origin_s_shape():
    with fake.Upstream() as up, backend(up) as server:
        reply = server.post('/api/chat', {'prompt': 'hi', 'model': fake.NAME, 'conversation_id': '17"é'})
        equal(reply.status, 200, 'status')
        check(reply.get('Content-Type').startswith('application/json'), f'type {reply.get("Content-Type")}')
        equal(reply.json(), {'response': TEXT, 'conversation_id': '17"é', 'model': fake.NAME}, 'body')
        equal(server.post('/api/chat', {'prompt': 'hi'}).json()['conversation_id'], 'default', 'conversation_id')


@test
def collected_text_is_escaped_rightly():
    words = ['"', '\\', '\n', '\u0000\u001f', 'é', '😀', '\u2028', '</script>', ' ', '']
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', lambda x: x.reply_stream(fake.chat_lines(words)))
        equal(server.post('/api/chat', {'prompt': 'hi'}).json()['response'], ''.join(words), 'response')
        escaped = [b'{"message":{"content":"\\ud83d"},"done":false}\n', b'{"message":{"content":"\\ude00"},"done":false}\n',
                   b'{"message":{"content":""},"done":true}\n']
        up.on('/api/chat', lambda x: x.reply_stream(escaped))
        check('�' in server.post('/api/chat', {'prompt': 'hi'}).json()['response'] or
              server.post('/api/chat', {'prompt': 'hi'}).json()['response'] == '😀', 'halves of a surrogate pair')


@test
def origin_s_refusals():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for body, text in ((b'{}', 'No JSON data provided'), (b'null', 'No JSON data provided'), (b' { } ', 'No JSON data provided'),
                           ({'prompt': ''}, 'Prompt is required'), ({'prompt': '', 'messages': MESSAGES}, 'Prompt is required')):
            with cases(str(body)):
                equal(check_refused(server.post('/api/chat', body), 400), text, 'error')
        cases.judge()
        equal(up.requests('/api/chat'), [], 'requests at the upstream')


@test
def null_prompt_means_ollama_s_form():
    with fake.Upstream() as up, backend(up) as server:
        reply = server.post('/api/chat', {'prompt': None, 'model': fake.NAME, 'messages': MESSAGES})
        check_good(ORIGIN_STREAM, reply)
        equal(reply.get('Content-Type'), fake.NDJSON, 'type')


@test
def content_type_is_not_required():
    with fake.Upstream() as up, backend(up) as server:
        for kind in (None, 'text/plain', 'text/event-stream', 'application/x-www-form-urlencoded', 'application/json; charset=utf-8'):
            check_good(ORIGIN, server.post('/api/chat', ORIGIN.body, fields={'Content-Type': kind}))


@test
def root_tells_what_this_is():
    with fake.Upstream() as up, backend(up) as server:
        value = server.get('/').json()
        equal((value['message'], value['status']), ('Ollama Chat API', 'running'), 'message and status')
        equal(value['endpoints'], {'health': '/health', 'chat': '/api/chat (POST)', 'models': '/api/models (GET)'}, 'endpoints')
        check(isinstance(value['version'], str) and value['version'], f'version {value["version"]!r}')


@test
def health_has_its_fields():
    with fake.Upstream(models=['a:latest', 'b:latest']) as up, backend(up, '--model', 'a') as server:
        value = server.get('/health').json()
        equal((value['status'], value['ollama_connected'], value['models_available']), ('healthy', True, 2), 'state')
        check({'model', 'model_ready', 'version', 'ollama_host', 'active', 'queued', 'uptime_seconds'} <= set(value), f'fields {sorted(value)}')
        check(value['ollama_host'] in (up.host, up.url), f'ollama_host {value["ollama_host"]}')
        equal(server.get('/api/health').json()['status'], 'healthy', '/api/health')
        through = server.get('/health', fields={'X-Forwarded-For': '203.0.113.7'}).json()
        check(not {'ollama_host', 'active', 'queued', 'instance_id', 'availability_zone', 'uptime_seconds'} & set(through),
              f'through a proxy: {sorted(through)}')
        check({'status', 'ollama_connected', 'models_available', 'model', 'model_ready', 'version'} <= set(through), 'public fields')


@test
def ready_follows_the_loaded_model():
    with fake.Upstream(loaded=[]) as up, backend(up, '--model', fake.NAME) as server:
        equal(server.get('/ready').status, 503, 'not loaded')
        up.loaded.append(fake.NAME)
        wait_until(lambda: server.get('/ready').status == 200, '/ready once the model is loaded', 20)
        equal(server.get('/ready').json()['model_ready'], True, 'model_ready')


@test
def models_are_listed_with_details():
    with fake.Upstream(models=['a:latest', 'b:7b']) as up, backend(up) as server:
        value = server.get('/api/models').json()
        equal((value['models'], value['count']), (['a:latest', 'b:7b'], 2), 'models')
        equal(value['details'][1]['name'], 'b:7b', 'name in details')
        wanted = {'name', 'size', 'family', 'parameter_size', 'quantization_level', 'capabilities'}
        check(wanted <= set(value['details'][0]), f'details {value["details"][0]}')
        equal(value['details'][0]['size'], 1321098329, 'size')


@test
def many_models_are_listed():
    names = [f'model-{n}:{n}b' for n in range(500)]
    with fake.Upstream(models=names) as up, backend(up) as server:
        value = server.get('/api/models').json()
        equal((value['models'], value['count']), (names, 500), 'models')
        check_refused(server.post('/api/chat', {'messages': MESSAGES}), 400)
        equal(server.post('/api/chat', {'model': names[-1], 'messages': MESSAGES}).status, 200, 'the last model')


@test
def models_without_ollama_are_503_in_the_origin_s_shape():
    with fake.RefusingPort() as port, backend(port.url, ready=False) as server:
        reply = server.get('/api/models')
        check_refused(reply, 503)
        equal(reply.json()['models'], [], 'models')


@test
def unknown_paths_are_404_in_shape():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for method, path in (('GET', '/nowhere'), ('POST', '/api/nowhere'), ('GET', '/api'), ('GET', '/api/chat/x'), ('GET', '/index.html'),
                             ('GET', '/api/../health/x'), ('GET', '//')):
            with cases(f'{method} {path}'):
                reply = server.ask(method, path)
                check_refused(reply, 404)
                value = reply.json()
                equal(value['error'], 'Not Found', 'error')
                check(isinstance(value['message'], str), 'message')
                check(isinstance(value['available_endpoints'], dict) and value['available_endpoints'], 'available_endpoints')
        with cases('/v1'):
            check_refused(server.get('/v1/nowhere'), 404, openai=True)
        cases.judge()


@test
def wrong_methods_are_405_with_allow():
    wrong = {'/api/chat': ('GET', 'POST'), '/api/generate': ('PUT', 'POST'), '/api/tags': ('POST', 'GET'), '/health': ('POST', 'GET'),
             '/': ('DELETE', 'GET'), '/api/models': ('POST', 'GET'), '/v1/chat/completions': ('GET', 'POST'), '/v1/models': ('POST', 'GET'),
             '/api/show': ('GET', 'POST'), '/api/version': ('PATCH', 'GET')}
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for path, (method, allowed) in wrong.items():
            with cases(f'{method} {path}'):
                reply = server.ask(method, path, b'{}' if method != 'GET' else None)
                check_refused(reply, 405, path.startswith('/v1/'))
                check(allowed in (reply.get('Allow') or '').replace(' ', '').split(','), f'Allow: {reply.get("Allow")}')
        cases.judge()


@test
def dangerous_requests_are_403_and_stay_here():
    dangerous = [('POST', '/api/pull'), ('POST', '/api/push'), ('DELETE', '/api/delete'), ('POST', '/api/create'), ('POST', '/api/copy'),
                 ('POST', '/api/blobs/sha256:' + 'a' * 64), ('HEAD', '/api/blobs/sha256:' + 'a' * 64), ('POST', '/api/%70ull'),
                 ('POST', '/api/./pull'), ('POST', '/api/x/../pull'), ('POST', '//api/pull'), ('POST', '/api/pull/'), ('POST', '/API/PULL')]
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for method, path in dangerous:
            with cases(f'{method} {path}'):
                reply = server.ask(method, path, None if method == 'HEAD' else {'model': 'x'})
                plain = path in [p for _, p in dangerous[:7]]
                check(reply.status == 403 if plain else reply.status in (400, 403, 404), f'status {reply.status}')
                if method != 'HEAD' and plain:
                    check_refused(reply, 403)
        for path in ('/api/signout', '/api/me', '/api/web_search', '/v1/messages', '/v1/audio/transcriptions'):
            with cases(path):
                check(server.post(path, {'model': 'x'}).status in (403, 404), 'is reachable')
        cases.judge()
        unwanted = [r.path for r in up.requests() if r.path not in ('/', '/api/tags', '/api/ps', '/api/version', '/api/show')]
        equal(unwanted, [], 'requests at the upstream')


@test
def pass_through_list():
    paths = [('GET', '/api/tags', None), ('GET', '/api/ps', None), ('GET', '/api/version', None), ('GET', '/v1/models', None),
             ('GET', f'/v1/models/{fake.NAME}', None), ('POST', '/api/show', {'model': fake.NAME}),
             ('POST', '/api/show', {'name': fake.NAME}), ('POST', '/api/embed', {'model': fake.NAME, 'input': 'x'}),
             ('POST', '/api/embeddings', {'model': fake.NAME, 'prompt': 'x'}), ('POST', '/v1/completions', {'model': fake.NAME, 'prompt': 'x'}),
             ('POST', '/v1/embeddings', {'model': fake.NAME, 'input': 'x'}), ('POST', '/v1/responses', {'model': fake.NAME, 'input': 'x'})]
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for method, path, body in paths:
            with cases(f'{method} {path}'):
                with Client(up.address) as direct:
                    wanted = direct.ask(method, path, body)
                reply = server.ask(method, path, body)
                equal((reply.status, reply.body, reply.get('Content-Type')), (200, wanted.body, wanted.get('Content-Type')), 'reply')
                equal(up.requests(path)[-1].method, method, 'method')
        cases.judge()


@test
def head_is_where_get_is():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        cases = Cases()
        for path in ('/', '/health', '/ready', '/api/models', '/api/tags', '/api/ps', '/api/version', '/v1/models', '/nowhere'):
            with cases(path):
                whole = client.get(path)
                head = client.ask('HEAD', path)
                equal(head.status, whole.status, 'status')
                equal(head.get('Content-Type'), whole.get('Content-Type'), 'type')
                if whole.has('Content-Length') and head.has('Content-Length') and path not in ('/health', '/ready'):
                    equal(head.get('Content-Length'), whole.get('Content-Length'), 'length')
                equal(client.get('/').status, 200, 'the next request on the connection')
        cases.judge()
