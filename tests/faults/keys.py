# SPDX-License-Identifier: MIT
"""--api-keys: what needs one, how a missing or wrong one is told, what SIGHUP does, and that no key is ever repeated."""

import os
import signal
import threading
from contextlib import contextmanager

from fake import upstream as fake
from faults.forms import CHAT, FORMS, V1_WHOLE, check_good, check_refused
from faults.upgrade import Upgraded, healthy, upgrade_fails
from lib.harness import Cases, Client, Server, TestFolder, backend, check, equal, one_stack, test, wait_until

KEY, OTHER = 'sk-MARKER-one/+=~', 'MARKER-two'
NEEDS_KEY = [('GET', '/api/models'), ('GET', '/api/tags'), ('GET', '/api/ps'), ('GET', '/api/version'), ('GET', '/v1/models'),
             ('GET', f'/v1/models/{fake.NAME}'), ('POST', '/api/chat'), ('POST', '/api/show'), ('POST', '/v1/responses'),
             ('GET', '/api/nothing'), ('GET', '/v1/nothing'), ('POST', '/api/pull'), ('DELETE', '/api/delete'), ('GET', '/api/chat'),
             ('OPTIONS', '/api/chat'), ('GET', '/api'), ('GET', '/v1'), ('GET', '/%61pi/tags'), ('GET', '/x/../api/tags')]
NEEDS_NONE = [('GET', '/'), ('GET', '/health'), ('GET', '/api/health'), ('GET', '/ready'), ('GET', '/api/status'), ('HEAD', '/health')]


def bearer(key):
    return {'Authorization': f'Bearer {key}'}


@contextmanager
def keyed(up, *options, keys=f'# of the page\n{KEY}\r\n\n  {OTHER}  \n', **keywords):
    """A backend that asks for keys, and the file they are in."""
    with TestFolder() as folder:
        path = folder / 'keys'
        path.write_text(keys)
        with backend(up, '--api-keys', path, *options, **keywords) as server:
            yield server, path
        leaked = [line for line in server.log + server.out if 'MARKER' in line]
        check(not leaked, f'a key in the log: {leaked}')


def check_unauthorised(reply, path, wrong):
    text = check_refused(reply, 401, path.startswith('/v1/'))
    challenge = reply.get('WWW-Authenticate') or ''
    check(challenge.startswith('Bearer'), f'WWW-Authenticate: {challenge!r}')
    equal('error="invalid_token"' in challenge, wrong, 'invalid_token said')
    check('MARKER' not in text and b'MARKER' not in reply.raw_head, f'a key in the reply: {text}')
    if path.startswith('/v1/'):
        error = reply.json()['error']
        equal((error['type'], error['code']), ('invalid_request_error', 'invalid_api_key'), 'type and code')


@test
def api_needs_a_key_and_the_rest_does_not():
    with fake.Upstream() as up, keyed(up) as (server, _):
        cases = Cases()
        before = len(up.requests())
        for method, path in NEEDS_KEY:
            with cases(f'{method} {path}'):
                check_unauthorised(server.ask(method, path), path, False)
                check_unauthorised(server.ask(method, path, fields=bearer('MARKER-wrong')), path, True)
        with cases('HEAD'):
            equal(server.ask('HEAD', '/api/tags').status, 401, 'HEAD /api/tags')
        with cases('upstream'):
            seen = [r.path for r in up.requests()[before:]]
            check(not set(seen) - {'/api/tags', '/api/ps', '/api/version', '/'}, f'passed without a key: {seen}')
        for method, path in NEEDS_NONE:
            with cases(f'{method} {path}'):
                equal(server.ask(method, path).status, 200, 'status without a key')
                equal(server.ask(method, path, fields=bearer('MARKER-wrong')).status, 200, 'status with a wrong key')
        with cases('nothing there'):
            equal(server.get('/nothing').status, 404, 'status')
        cases.judge()


@test
def each_key_opens_each_form():
    with fake.Upstream() as up, keyed(up) as (server, _):
        for form in FORMS:
            for key in (KEY, OTHER):
                check_good(form, server.post(form.path, form.body, fields=bearer(key)))
        for request in up.requests('/api/chat'):
            check(not request.has('Authorization') and b'MARKER' not in request.raw, 'the key went to Ollama')


@test
def forms_of_the_field():
    with fake.Upstream() as up, keyed(up) as (server, _):
        cases = Cases()
        for value in (f'Bearer {KEY}', f'bearer {KEY}', f'BEARER {KEY}', f'Bearer   {KEY}', f'Bearer {KEY}  '):
            with cases(value):
                equal(server.get('/api/tags', fields={'Authorization': value}).status, 200, 'status')
        wrong = ['Bearer', 'Bearer ', f'Bearer {KEY[:-1]}', f'Bearer {KEY}x', f'Bearer {KEY.lower()}', f'Bearer {KEY} {KEY}', f'Bearer {KEY},{OTHER}',
                 f'Bearer "{KEY}"', 'Bearer # of the page', 'Bearer ' + 'x' * 5000]
        for value in wrong:
            with cases(value[:40]):
                check_unauthorised(server.get('/api/tags', fields={'Authorization': value}), '/api/tags', True)
        for value in (KEY, f'Basic {KEY}', f'Bearer{KEY}', '', f'Token {KEY}'):
            with cases(f'no bearer: {value}'):
                check_unauthorised(server.get('/api/tags', fields={'Authorization': value}), '/api/tags', False)
        for values in ([f'Bearer {KEY}', f'Bearer {KEY}'], [f'Bearer {KEY}', 'Bearer x'], ['Basic x', f'Bearer {KEY}']):
            with cases(f'two: {values}'):
                check_unauthorised(server.get('/api/tags', fields={'Authorization': values}), '/api/tags', True)
        with cases('elsewhere'):
            for path in (f'/api/tags?api_key={KEY}', f'/api/tags?access_token={KEY}'):
                check_unauthorised(server.get(path), '/api/tags', False)
            check_unauthorised(server.get('/api/tags', fields={'X-Api-Key': KEY, 'Proxy-Authorization': f'Bearer {KEY}'}), '/api/tags', False)
        cases.judge()


@test
def without_the_option_a_key_is_nobody_s_business():
    with fake.Upstream() as up, backend(up) as server:
        check_good(CHAT, server.post('/api/chat', CHAT.body, fields=bearer('anything')))


@test
def refused_before_the_body_is_read():
    with fake.Upstream() as up, keyed(up) as (server, _):
        cases = Cases()
        for fields in ({'Content-Length': 15 << 20}, {'Transfer-Encoding': 'chunked'}, {'Content-Length': 1 << 40},
                       {'Content-Length': 100, 'Expect': '100-continue'}):
            with cases(str(fields)), Client(server.address) as client:
                client.send(client.head('POST', '/v1/chat/completions', fields))
                reply = client.read_rest(client.read_head(interim=True))
                check_unauthorised(reply, '/v1/chat/completions', False)
                equal(reply.get('Connection'), 'close', 'Connection')
        with cases('a body that is there already'), Client(server.address) as client:
            check_unauthorised(client.post('/api/chat', CHAT.body), '/api/chat', False)
            check_good(CHAT, client.post('/api/chat', CHAT.body, fields=bearer(KEY)))
        with cases('before method and syntax'):
            check_unauthorised(server.post('/api/chat', b'{'), '/api/chat', False)
            equal(server.post('/api/chat', b'{', fields=bearer(KEY)).status, 400, 'with a key')
        cases.judge()


@test
def host_and_origin_come_before_the_key_and_a_preflight_needs_none():
    asks = {'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization'}
    with fake.Upstream() as up, keyed(up, '--cors-origin', 'https://chat.example', '--rate-limit', '1/3600') as (server, _):
        for path in ('/api/chat', '/v1/chat/completions'):
            for _ in range(3):
                reply = server.ask('OPTIONS', path, fields={'Origin': 'https://chat.example', **asks})
                equal(reply.status, 204, 'preflight')
                check('authorization' in reply.get('Access-Control-Allow-Headers', '').lower(), 'Authorization is not allowed')
        equal(server.ask('OPTIONS', '/api/chat', fields={'Origin': 'https://evil.example', **asks}).status, 403, 'preflight of another origin')
        equal(server.post('/api/chat', CHAT.body, fields={'Origin': 'https://evil.example', **bearer(KEY)}).status, 403, 'another origin with a key')
        equal(server.post('/api/chat', CHAT.body, fields={'Host': 'evil.example', **bearer(KEY)}).status, 421, 'another host with a key')
        reply = server.post('/api/chat', CHAT.body, fields={'Origin': 'https://chat.example'})
        check_unauthorised(reply, '/api/chat', False)
        equal(reply.get('Access-Control-Allow-Origin'), 'https://chat.example', 'a page can read the 401')
        check_good(CHAT, server.post('/api/chat', CHAT.body, fields={'Origin': 'https://chat.example', **bearer(KEY)}))
        equal(server.post('/api/chat', CHAT.body, fields=bearer(KEY)).status, 429, 'the rate comes after the key')


@test
def sighup_reads_the_keys_again():
    with fake.Upstream() as up, keyed(up) as (server, path):
        def status(key):
            return server.get('/api/version', fields=bearer(key)).status

        path.write_text('MARKER-three\n')
        equal((status(KEY), status('MARKER-three')), (200, 401), 'before the signal')
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.logged('API keys were read again'), 'a line in the log')
        wait_until(lambda: server.logged('keys=1'), 'how many there are')
        equal((status(KEY), status(OTHER), status('MARKER-three')), (401, 401, 200), 'after the signal')
        for number, (name, text) in enumerate((('blank', 'MARKER-four\nMARKER five\n'), ('empty', ''), ('comments', '# no MARKER\n'), ('absent', None))):
            path.unlink() if text is None else path.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            lines = wait_until(lambda: len(found := server.logged('API keys cannot be read')) > number and found, name)
            check('level=error' in lines[-1].lower() or 'error' in lines[-1].lower(), f'not an error: {lines[-1]}')
            equal((status('MARKER-three'), status('MARKER-four')), (200, 401), f'{name}: the old key')
        check('line 2' in lines[0], f'where is not said: {lines[0]}')
        path.write_text(f'{KEY}\n')
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: status(KEY) == 200, 'the first key counts again')


@test
def sighup_under_load_refuses_nobody_whose_key_stays():
    with fake.Upstream() as up, keyed(up, '--access-log', 'off') as (server, path):
        stop, bad, served = threading.Event(), [], [0]

        def ask(key, wanted):
            with Client(server.address) as client:
                while not stop.is_set():
                    status = client.get('/api/status/', fields=bearer(key)).status
                    served[0] += 1
                    if status != wanted:
                        bad.append((key, status))

        threads = [threading.Thread(target=ask, args=pair) for pair in ((KEY, 404), (KEY, 404), ('MARKER-wrong', 401))]
        for thread in threads:
            thread.start()
        filler = '\n'.join(f'MARKER-{n}' for n in range(1000))
        for number in range(1, 31):
            path.write_text(f'{filler}\n{KEY}\n' if number % 2 else f'{KEY}\nMARKER-x\n')
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.logged('API keys were read again')) >= number, f'reading {number}')
        wait_until(lambda: served[0] > 300, 'requests')
        stop.set()
        for thread in threads:
            thread.join()
        equal(bad, [], 'wrong answers')


@test
def a_fifo_does_not_stop_the_keeper():
    with fake.Upstream() as up, keyed(up) as (server, path):
        path.unlink()
        os.mkfifo(path)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.logged('API keys cannot be read'), 'a line in the log')
        equal(server.get('/api/version', fields=bearer(KEY)).status, 200, 'status')


@test
def a_new_worker_knows_the_newest_keys():
    with fake.Upstream() as up, keyed(up, may_restart=True) as (server, path):
        path.write_text('MARKER-three\n')
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.logged('API keys were read again'), 'a line in the log')
        first = server.worker()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: server.workers() and server.worker() != first, 'a new worker')
        equal(server.get('/api/version', fields=bearer(KEY)).status, 401, 'the old key')
        equal(server.get('/api/version', fields=bearer('MARKER-three')).status, 200, 'the new key')


@test
def no_worker_has_a_key_in_its_memory():
    """The file is the keeper's; a worker that nobody showed a key knows digests only."""
    with fake.Upstream() as up, keyed(up, keys='MARKER-never-sent-by-anybody\n', env=one_stack()) as (server, path):
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.logged('API keys were read again'), 'a line in the log')
        pid, found, path_found = server.worker(), [], False
        with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as memory:
            for line in maps:
                bounds, rights = line.split()[:2]
                start, end = (int(part, 16) for part in bounds.split('-'))
                if not rights.startswith('rw') or end - start > 1 << 28:
                    continue
                memory.seek(start)
                try:
                    text = memory.read(end - start)
                except OSError:
                    continue
                path_found = path_found or str(path).encode() in text
                if b'never-sent-by-anybody' in text:
                    found.append(line)
        check(path_found, 'the search finds nothing at all')
        equal(found, [], 'places with the key')


@test
def keys_through_the_frontend():
    with fake.Upstream() as up, keyed(up) as (server, _), Server('frontend', '--api-proxy', server.url) as page:
        equal(page.get('/').status, 200, 'the page itself')
        reply = page.post('/api/chat', CHAT.body)
        check_unauthorised(reply, '/api/chat', False)
        check_unauthorised(page.post(V1_WHOLE.path, V1_WHOLE.body, fields=bearer('MARKER-x')), V1_WHOLE.path, True)
        check_good(CHAT, page.post('/api/chat', CHAT.body, fields=bearer(KEY)))


@test
def demo_asks_for_keys_too():
    with TestFolder() as folder:
        (folder / 'keys').write_text(KEY)
        with Server('demo', '--ollama', 'sim', '--api-keys', folder / 'keys', '--first-token-delay', 0) as server:
            equal(server.get('/').status, 200, 'the page')
            equal(server.get('/api/models').status, 401, 'without a key')
            wait_until(lambda: server.get('/api/models', fields=bearer(KEY)).status == 200, 'with a key')


@test
def an_upgrade_reads_the_keys_and_fails_on_a_bad_file():
    with fake.Upstream() as up, TestFolder() as folder:
        path = folder / 'keys'
        path.write_text(KEY)
        with Upgraded('backend', '--ollama', up.url, '--api-keys', path) as server:
            def status(key):
                return server.get('/api/version', fields=bearer(key)).status

            healthy(server)
            path.write_text('MARKER one\n')
            upgrade_fails(server, 'its own words say why')
            wait_until(lambda: server.logged('cannot read --api-keys .*line 1'), 'its own words')
            equal((status(KEY), status('MARKER')), (200, 401), 'after an upgrade that failed')
            path.write_text(OTHER)
            server.wait_end(server.upgrade())
            wait_until(lambda: (status(KEY), status(OTHER)) == (401, 200), 'the keys of the new process')
            check(not server.logged('MARKER'), 'a key in the log')
