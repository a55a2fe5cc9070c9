# SPDX-License-Identifier: MIT
"""Who the client is, as the log and --admin-from see it: --trusted-proxies, --forwarded-hops."""

from fake import upstream as fake
from lib.harness import Cases, Server, backend, check, equal, test, wait_until

INNER = {'ollama_host', 'active', 'queued', 'uptime_seconds'}


def sees_inner(server, forwarded=None):
    fields = {} if forwarded is None else {'X-Forwarded-For': forwarded}
    value = server.get('/health', fields=fields).json()
    check(set(value) >= INNER or not set(value) & INNER, f'some of it: {sorted(value)}')
    return set(value) >= INNER


@test
def admin_from_sees_details_through_a_proxy():
    with fake.Upstream() as up, backend(up, '--admin-from', '203.0.113.0/24,2001:db8::/32') as server:
        cases = Cases()
        for forwarded, wanted in ((None, True), ('203.0.113.7', True), ('203.0.113.7:1234', True), ('2001:db8::1', True), ('[2001:db8::1]:80', True),
                                  ('203.0.114.7', False), ('2001:db9::1', False), ('127.0.0.1', False), ('::1', False), ('nonsense', False),
                                  ('203.0.113.7, 198.51.100.1', False), ('198.51.100.1, 203.0.113.7', True), ('', False)):
            with cases(str(forwarded)):
                equal(sees_inner(server, forwarded), wanted, 'sees the details')
        cases.judge()


@test
def by_default_a_client_behind_a_proxy_sees_none():
    with fake.Upstream() as up, backend(up) as server:
        equal([sees_inner(server, f) for f in (None, '203.0.113.7', '10.0.0.1', '127.0.0.1')], [True, False, False, True], 'sees the details')


@test
def an_untrusted_peer_s_word_is_not_taken():
    with fake.Upstream() as up, backend(up, '--admin-from', '203.0.113.7', '--trusted-proxies', '192.0.2.1') as server:
        check(not sees_inner(server, '203.0.113.7'), 'a forged address opens the details')


@test
def hops_say_which_element_counts():
    with fake.Upstream() as up, backend(up, '--admin-from', '203.0.113.7', '--forwarded-hops', '2') as server:
        equal([sees_inner(server, f) for f in ('203.0.113.7, 10.0.0.1', '10.0.0.1, 203.0.113.7', '203.0.113.7', '203.0.113.7, 10.0.0.2, 10.0.0.1')],
              [True, False, False, False], 'sees the details')


@test
def the_log_names_the_client():
    with fake.Upstream() as up, backend(up) as server:
        for n, (forwarded, client) in enumerate((('203.0.113.7:55', '203.0.113.7'), ('[2001:db8::1]:80', '2001:db8::1'), ('x', '127.0.0.1'),
                                                 ('8.8.8.8, 203.0.113.9', '203.0.113.9'))):
            server.get(f'/x{n}', fields={'X-Forwarded-For': forwarded})
            wait_until(lambda: server.logged(f'client={client} .*path=/x{n} '), f'{forwarded} in the log')


@test
def allowed_hosts_and_schemes_behind_a_proxy():
    own = {'Host': 'chat.example', 'Origin': 'https://chat.example', 'X-Forwarded-Proto': 'https'}
    with fake.Upstream() as up, backend(up, '--allowed-hosts', 'chat.example') as server, \
            backend(up, '--allowed-hosts', 'chat.example', '--trusted-proxies', '192.0.2.1') as doubting:
        body = {'model': fake.NAME, 'messages': []}
        equal(server.post('/api/show', body, fields=own).status, 200, 'https outside')
        equal(server.post('/api/show', body, fields={**own, 'X-Forwarded-Proto': 'http'}).status, 403, 'http outside')
        equal(doubting.post('/api/show', body, fields=own).status, 403, 'whose word on the scheme is not taken')


@test
def a_frontend_tells_the_backend_who_asks():
    with fake.Upstream() as up, backend(up, '--forwarded-hops', 2) as server, Server('frontend', '--api-proxy', server.url) as page:
        page.get('/api/x', fields={'X-Forwarded-For': '203.0.113.7'})
        wait_until(lambda: server.logged('client=203.0.113.7 .*path=/api/x '), 'the client in the log')
