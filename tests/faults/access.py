# SPDX-License-Identifier: MIT
"""Who may ask: Host on loopback listeners, Origin and Sec-Fetch-Site, CORS."""

from faults.forms import CHAT, FORMS, check_good, check_refused
from fake import upstream as fake
from lib.harness import Cases, Client, Server, backend, check, equal, test


def statuses(server, fields, method='POST', path='/api/chat'):
    return server.ask(method, path, CHAT.body if method == 'POST' else None, fields=fields).status


@test
def foreign_host_on_loopback_is_421():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        port = server.address[1]
        for host in ('evil.example', f'evil.example:{port}', 'localhost.evil.example', 'notlocalhost', '127.0.0.1.nip.io', 'evil.local'):
            for form in FORMS[:1] + FORMS[5:6]:
                with cases(f'{host} {form.path}'), Client(server.address) as client:
                    check_refused(client.post(form.path, form.body, fields={'Host': host}), 421, form.openai)
            with cases(f'{host} GET'):
                equal(server.get('/', fields={'Host': host}).status, 421, 'status of /')
                equal(server.get('/api/tags', fields={'Host': host}).status, 421, 'status of /api/tags')
        for host in ('localhost', f'localhost:{port}', 'LOCALHOST', 'chat.localhost', '127.0.0.1', '[::1]', f'[::1]:{port}', '10.1.2.3:80'):
            with cases(host):
                check_good(CHAT, server.post('/api/chat', CHAT.body, fields={'Host': host}))
        cases.judge()
        equal(len(up.requests('/api/chat')), 8, 'chats at the upstream')


@test
def health_probes_are_exempt_from_the_host_rule():
    with fake.Upstream() as up, backend(up) as server, Server('frontend') as page:
        for one, path in ((server, '/health'), (server, '/ready'), (page, '/health')):
            check(one.get(path, fields={'Host': 'evil.example'}).status != 421, f'{path} is refused')


@test
def allowed_hosts_are_allowed_and_no_others():
    with fake.Upstream() as up, backend(up, '--allowed-hosts', 'chat.example,other.example') as server:
        for host in ('chat.example', 'chat.example:80', 'CHAT.example', 'other.example'):
            equal(statuses(server, {'Host': host}), 200, host)
        for host in ('evil.example', 'x.chat.example', 'chat.example.evil.example'):
            equal(statuses(server, {'Host': host}), 421, host)


@test
def any_host_may_be_allowed():
    with fake.Upstream() as up, backend(up, '--allowed-hosts', '*') as server:
        equal(statuses(server, {'Host': 'evil.example'}), 200, 'status')


@test
def absolute_target_s_authority_is_the_host():
    with fake.Upstream() as up, backend(up) as server:
        equal(server.get('http://evil.example/api/tags').status, 421, 'foreign authority')
        equal(server.get('http://localhost/api/tags', fields={'Host': 'evil.example'}).status, 200, 'own authority')


@test
def frontend_on_loopback_refuses_foreign_hosts():
    with Server('frontend') as server:
        equal(server.get('/', fields={'Host': 'evil.example'}).status, 421, 'foreign')
        equal(server.get('/', fields={'Host': 'localhost'}).status, 200, 'own')


@test
def requests_of_other_sites_are_403():
    with fake.Upstream() as up, backend(up) as server:
        own = f'127.0.0.1:{server.address[1]}'
        cases = Cases()
        for fields in ({'Origin': 'http://evil.example'}, {'Origin': 'null'}, {'Origin': f'https://{own}'}, {'Origin': 'http://127.0.0.1'},
                       {'Origin': f'http://{own}.evil.example'}, {'Sec-Fetch-Site': 'cross-site'}, {'Sec-Fetch-Site': 'same-site'},
                       {'Origin': 'http://evil.example', 'Sec-Fetch-Site': 'same-origin'}, {'Origin': f'http://localhost:{server.address[1]}'}):
            for form in (FORMS[0], FORMS[5]):
                with cases(f'{fields} {form.path}'):
                    check_refused(server.post(form.path, form.body, fields=fields), 403, form.openai)
        equal(up.requests('/api/chat'), [], 'chats at the upstream')
        for fields in ({'Origin': f'http://{own}'}, {'Origin': f'http://{own}', 'Sec-Fetch-Site': 'same-origin'}, {'Sec-Fetch-Site': 'same-origin'},
                       {'Sec-Fetch-Site': 'none'}, {}, {'Origin': f'HTTP://{own}'},
                       {'Origin': f'https://{own}', 'X-Forwarded-Proto': 'https'}):
            with cases(str(fields)):
                check_good(CHAT, server.post('/api/chat', CHAT.body, fields=fields))
        cases.judge()


@test
def reading_what_is_safe_is_not_cross_site():
    with fake.Upstream() as up, backend(up) as server, Server('frontend') as page:
        foreign = {'Origin': 'http://evil.example', 'Sec-Fetch-Site': 'cross-site'}
        for one, path in ((server, '/health'), (server, '/'), (page, '/'), (page, '/health')):
            equal(one.get(path, fields=foreign).status, 200, path)
        # A link from another site to the page must work, and a reply must never be opened to other origins unasked.
        check(not server.get('/health', fields=foreign).has('Access-Control-Allow-Origin'), 'CORS although nobody asked for it')


@test
def allowed_origin_may_ask_and_read():
    with fake.Upstream() as up, backend(up, '--cors-origin', 'https://chat.example', '--cors-origin', 'http://b.example:81') as server:
        cases = Cases()
        for origin in ('https://chat.example', 'http://b.example:81'):
            for form in FORMS:
                with cases(f'{origin} {form.name}'):
                    reply = server.post(form.path, form.body, fields={'Origin': origin, 'Sec-Fetch-Site': 'cross-site'})
                    check_good(form, reply)
                    equal(reply.get('Access-Control-Allow-Origin'), origin, 'Access-Control-Allow-Origin')
                    check('origin' in (reply.get('Vary') or '').lower(), f'Vary: {reply.get("Vary")}')
            with cases(f'{origin}, an error'):
                reply = server.post('/api/chat', b'{', fields={'Origin': origin})
                equal((reply.status, reply.get('Access-Control-Allow-Origin')), (400, origin), 'an error that the page can read')
        for origin in ('https://chat.example:444', 'http://chat.example', 'https://x.chat.example', 'null'):
            with cases(origin):
                reply = server.post('/api/chat', CHAT.body, fields={'Origin': origin})
                check_refused(reply, 403)
                check(not reply.has('Access-Control-Allow-Origin'), 'is let in')
        cases.judge()


@test
def preflight_is_answered():
    asks = {'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type'}
    with fake.Upstream() as up, backend(up, '--cors-origin', 'https://chat.example') as server:
        for path in ('/api/chat', '/v1/chat/completions'):
            reply = server.ask('OPTIONS', path, fields={'Origin': 'https://chat.example', **asks})
            equal((reply.status, reply.body), (204, b''), 'reply')
            equal(reply.get('Access-Control-Allow-Origin'), 'https://chat.example', 'origin')
            check('POST' in reply.get('Access-Control-Allow-Methods', ''), 'methods')
            allowed = {name.strip().lower() for name in reply.get('Access-Control-Allow-Headers', '').split(',')}
            check({'authorization', 'content-type', 'x-ollachat-progress'} <= allowed, f'fields {allowed}')
            equal(reply.get('Access-Control-Max-Age'), '600', 'Max-Age')
            check('origin' in (reply.get('Vary') or '').lower(), f'Vary: {reply.get("Vary")}')
        foreign = server.ask('OPTIONS', '/api/chat', fields={'Origin': 'https://evil.example', **asks})
        equal(foreign.status, 403, 'preflight of another origin')
        check(not foreign.has('Access-Control-Allow-Origin'), 'is let in')


@test
def every_origin_may_be_allowed():
    with fake.Upstream() as up, backend(up, '--cors-origin', '*') as server:
        reply = server.post('/api/chat', CHAT.body, fields={'Origin': 'https://anyone.example'})
        check_good(CHAT, reply)
        check(reply.get('Access-Control-Allow-Origin') in ('*', 'https://anyone.example'), 'Access-Control-Allow-Origin')


@test
def public_listener_takes_any_host():
    with fake.Upstream() as up, backend(up, listen='0.0.0.0:0') as server:
        equal(server.post('/api/chat', CHAT.body, fields={'Host': 'alb-1.example.com'}).status, 200, 'status')
