# SPDX-License-Identifier: MIT
"""--rate-limit: how many requests each client may make, who a client is, and what does not count."""

from fake import upstream as fake
from faults.forms import CHAT, V1_WHOLE, check_good, check_refused
from faults.keys import KEY, OTHER, bearer, keyed
from lib.harness import Cases, Client, Server, backend, check, equal, test, wait_until

SLOW = '3/3600'  # none comes free while a test runs


def statuses(server, n, path='/api/version', **options):
    return [server.get(path, **options).status for _ in range(n)]


def from_(address, *rest):
    return {'fields': {'X-Forwarded-For': ', '.join((address, *rest))}}


@test
def too_many_are_429():
    with fake.Upstream() as up, backend(up, '--rate-limit', SLOW) as server:
        equal(statuses(server, 3), [200] * 3, 'within the limit')
        cases = Cases()
        for method, path, openai in (('GET', '/api/version', False), ('GET', '/v1/models', True), ('POST', V1_WHOLE.path, True),
                                     ('POST', '/api/chat', False), ('GET', '/api/nothing', False), ('GET', '/v1/nothing', True)):
            with cases(path):
                reply = server.ask(method, path)
                check_retry(reply, openai)
        with cases('before method and syntax'):
            equal(server.post('/api/version', b'{').status, 429, 'status')
        for path in ('/health', '/api/health', '/ready', '/api/status', '/'):
            with cases(path):
                equal(statuses(server, 5, path), [200] * 5, 'does not count')
        with cases('upstream'):
            equal(len(up.requests('/v1/models')) + len(up.requests('/api/chat')), 0, 'refused ones at the upstream')
        cases.judge()


def check_retry(reply, openai):
    equal(reply.status, 429, 'status')
    wait = int(reply.get('Retry-After') or 0)
    check(1 <= wait <= 3600, f'Retry-After: {wait}')
    error = reply.json()['error']
    if openai:
        equal((error['type'], error['code']), ('rate_limit_error', 'rate_limit_exceeded'), 'type and code')
    else:
        check('too many requests' in error, error)


@test
def it_comes_free_again():
    with fake.Upstream() as up, backend(up, '--rate-limit', '2/1') as server:
        wait_until(lambda: statuses(server, 1) == [429], 'the limit')
        equal(server.get('/api/version').get('Retry-After') or '1', '1', 'Retry-After')
        wait_until(lambda: statuses(server, 1) == [200], 'a free one')


@test
def refused_before_the_body_is_read():
    with fake.Upstream() as up, backend(up, '--rate-limit', '1/3600') as server:
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        with Client(server.address) as client:
            client.send(client.head('POST', '/api/chat', {'Content-Length': 10 << 20, 'Expect': '100-continue'}))
            check_retry(client.read_rest(client.read_head(interim=True)), False)


@test
def clients_behind_a_trusted_proxy_count_apart():
    with fake.Upstream() as up, backend(up, '--rate-limit', SLOW) as server:
        for address in ('203.0.113.1', '203.0.113.2:5555', '[2001:db8:1::1]:80', '2001:db8:2::1'):
            equal(statuses(server, 4, **from_(address)), [200, 200, 200, 429], address)
        equal(statuses(server, 1, **from_('203.0.113.1:1234')), [429], 'another port of the first')
        equal(statuses(server, 1, **from_('198.51.100.7', '203.0.113.1')), [429], 'what stands further left is hearsay')
        equal(statuses(server, 1, **from_('2001:db8:1::ffff:1')), [429], 'another address of the same /64')
        equal(statuses(server, 1, **from_('2001:db8:1:1::1')), [200], 'the next /64')
        equal(statuses(server, 4, **from_('nonsense')), [200, 200, 200, 429], 'unparsable: the proxy itself')
        equal(statuses(server, 1), [429], 'the proxy itself')
        equal(statuses(server, 1, **from_('::ffff:203.0.113.1')), [429], 'the first one in mapped form')


@test
def nobody_else_s_word_counts():
    with fake.Upstream() as up, backend(up, '--rate-limit', SLOW, '--trusted-proxies', '192.0.2.0/24') as server:
        equal([server.get('/api/version', **from_(f'203.0.113.{n}')).status for n in range(5)], [200] * 3 + [429] * 2, 'forged addresses')


@test
def hops_are_counted_from_the_right():
    with fake.Upstream() as up, backend(up, '--rate-limit', SLOW, '--forwarded-hops', 2) as server:
        equal([server.get('/api/version', **from_('198.51.100.9', '203.0.113.1', f'10.0.0.{n}')).status for n in range(4)], [200, 200, 200, 429],
              'one client behind several inner proxies')
        equal(statuses(server, 1, **from_('203.0.113.2', '10.0.0.1')), [200], 'another client')
        fields = {'fields': {'X-Forwarded-For': ['203.0.113.1', '10.0.0.1']}}
        equal(statuses(server, 1, **fields), [429], 'in two fields')


@test
def a_key_counts_wherever_it_comes_from():
    with fake.Upstream() as up, keyed(up, '--rate-limit', SLOW) as (server, _):
        seen = [server.get('/api/version', fields={'X-Forwarded-For': f'203.0.113.{n}', **bearer(KEY)}).status for n in range(4)]
        equal(seen, [200, 200, 200, 429], 'one key from four addresses')
        equal(statuses(server, 4, fields=bearer(OTHER)), [200, 200, 200, 429], 'another key')
        equal(statuses(server, 5), [401] * 5, 'without a key it is 401, however often')
        equal(statuses(server, 2, fields=bearer('MARKER-wrong')), [401] * 2, 'with a wrong one too')


@test
def through_the_frontend_and_in_demo():
    with fake.Upstream() as up, backend(up, '--rate-limit', SLOW, '--forwarded-hops', 2) as server, \
            Server('frontend', '--api-proxy', server.url) as page:
        for address in ('203.0.113.1', '203.0.113.2'):
            equal(statuses(page, 4, **from_(address)), [200, 200, 200, 429], address)
        check(page.get('/api/version', **from_('203.0.113.1')).has('Retry-After'), 'Retry-After is lost')
        equal(statuses(page, 6, '/'), [200] * 6, 'the page')
    with fake.Upstream() as up, Server('demo', '--ollama', up.url, '--rate-limit', SLOW) as server:
        wait_until(lambda: server.get('/health').status == 200, 'health')
        equal(statuses(server, 4), [200, 200, 200, 429], 'demo')
        equal(statuses(server, 6, '/'), [200] * 6, 'the page of demo')
