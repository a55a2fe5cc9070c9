# SPDX-License-Identifier: MIT
"""/metrics: its form, who sees it, and that its figures are what the clients saw."""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter

from faults.forms import CHAT, MESSAGES, ORIGIN, check_refused
from fake import upstream as fake
from lib.clock import Clock
from lib.harness import Client, Server, backend, check, clean_environment, equal, test, wait_until
from lib.prometheus import Page, scrape

SERVICE = {'ollachat_build_info', 'ollachat_http_requests_total', 'ollachat_http_connections', 'ollachat_log_dropped_total',
           'ollachat_worker_restarts_total', 'ollachat_draining', 'process_cpu_seconds_total', 'process_resident_memory_bytes',
           'process_virtual_memory_bytes', 'process_open_fds', 'process_max_fds', 'process_start_time_seconds'}
OLLAMA = {'ollachat_generations_active', 'ollachat_generations_queued', 'ollachat_generations_total',
          'ollachat_queue_wait_seconds', 'ollachat_time_to_first_token_seconds', 'ollachat_generation_seconds',
          'ollachat_output_tokens_total', 'ollachat_input_tokens_total', 'ollachat_upstream_errors_total',
          'ollachat_heartbeats_total', 'ollachat_ollama_up', 'ollachat_model_ready'}
RESULTS = {'ok', 'error', 'cancelled', 'rejected', 'timeout'}
REQUESTS = 'ollachat_http_requests_total'
METHODS = {'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'other'}


def labels_of(page, name, label):
    return {labels[label] for labels, _ in page.of(name)}


def requests_of(page, *wanted):
    """Counts by the wanted labels; scrapes themselves are left out."""
    counts = Counter()
    for labels, value in page.of(REQUESTS):
        if labels['route'] != '/metrics':
            counts[tuple(labels[label] for label in wanted)] += int(value)
    return counts


def wait_requests(server, number):
    """The page, once so many requests are counted."""
    def counted():
        page = scrape(server)
        return page if sum(requests_of(page, 'role').values()) >= number else None
    return wait_until(counted, f'{number} requests in the metrics')


# --- form -----------------------------------------------------------------------------------------------------------


def judge_by_others(text):
    """The parser of Prometheus's own Python client (Debian's python3-prometheus-client), and promtool where it is."""
    script = ('import sys\nfrom prometheus_client.parser import text_string_to_metric_families as read\n'
              'print(sum(len(family.samples) for family in read(sys.stdin.read())))')
    done = subprocess.run(['/usr/bin/python3', '-c', script], input=text, capture_output=True, text=True, env=clean_environment())
    check(done.returncode == 0, f'prometheus_client: {done.stderr[-300:]}')
    equal(int(done.stdout), len(Page(text).samples), 'samples that prometheus_client reads')
    promtool = shutil.which('promtool')
    if promtool:
        done = subprocess.run([promtool, 'check', 'metrics'], input=text, capture_output=True, text=True)
        check(done.returncode == 0 and not done.stderr, f'promtool: {done.stderr}')


@test
def backend_tells_all_names_of_the_contract():
    with fake.Upstream() as up, backend(up) as server:
        for _ in range(3):
            server.post('/api/chat', CHAT.body)
        server.get('/"\\')
        page = wait_requests(server, 4)
        equal(set(page.families), SERVICE | OLLAMA, 'names')
        equal(labels_of(page, 'ollachat_generations_total', 'result'), RESULTS, 'results')
        equal(labels_of(page, 'ollachat_http_connections', 'state'), {'active', 'idle'}, 'states')
        equal(len(page.of('ollachat_upstream_errors_total')), 11, 'kinds of errors')
        equal(page.value('ollachat_ollama_up'), 1, 'ollama_up')
        equal(page.value('ollachat_draining'), 0, 'draining')
        equal([value for _, value in page.of('ollachat_build_info')], [1], 'build_info')
        judge_by_others(server.get('/metrics').body.decode())


@test
def frontend_tells_only_what_it_can_have():
    with Server('frontend', '--workers', 1) as server:
        wait_until(lambda: set(scrape(server).families) == SERVICE, 'the names')  # process_* after a first measure
        judge_by_others(server.get('/metrics').body.decode())
    with fake.Upstream() as up, backend(up) as behind, Server('frontend', '--api-proxy', behind.url) as server:
        wait_until(lambda: set(scrape(server).families) == SERVICE, 'the names with --api-proxy')


@test
def demo_tells_of_both_roles_in_one_page():
    with Server('demo', '--ollama', 'sim') as server:
        server.get('/')
        server.get('/api/models')
        page = wait_requests(server, 4)
        equal(set(page.families), SERVICE | OLLAMA, 'names')
        equal(labels_of(page, REQUESTS, 'role'), {'backend', 'frontend'}, 'roles')
        equal(page.value(REQUESTS, role='backend', route='/api/models', method='GET', code='200'), 1, 'at the backend')
        equal(page.value(REQUESTS, role='frontend', route='/api/*', method='GET', code='200'), 1, 'at the frontend')
        judge_by_others(server.get('/metrics').body.decode())


@test
def head_and_other_methods():
    with Server('frontend') as server:
        reply = server.ask('HEAD', '/metrics')
        equal((reply.status, reply.body), (200, b''), 'HEAD')
        check(int(reply.get('Content-Length')) > 1000, 'no length')
        reply = server.post('/metrics', b'')
        equal((reply.status, reply.get('Allow')), (405, 'GET, HEAD, OPTIONS'), 'POST')


# --- who sees it ----------------------------------------------------------------------------------------------------


@test
def switched_off_it_is_404():
    with fake.Upstream() as up, backend(up, '--metrics', 'off') as server:
        check_refused(server.get('/metrics'), 404)
    with Server('frontend', '--metrics=off') as server:
        check_refused(server.get('/metrics'), 404)


@test
def through_a_proxy_only_admins_see_it():
    for role in ('backend', 'frontend'):
        options = ('--ollama', 'http://127.0.0.1:9') if role == 'backend' else ()
        with Server(role, '--admin-from', '10.1.0.0/16', *options) as server:
            for seen_from, status in (('10.1.2.3', 200), ('10.2.2.3', 403), ('8.8.8.8', 403), ('nonsense', 403)):
                reply = server.get('/metrics', fields={'X-Forwarded-For': seen_from})
                equal(reply.status, status, f'{role}, for {seen_from}')
                check(status == 200 or b'ollachat_' not in reply.body, 'figures in a refusal')


@test
def any_host_and_the_reserve_are_good_for_it():
    with Server('frontend', '--workers', 1, '--max-connections', 16, '--head-timeout', 60) as server:
        with Client(server.address) as client:
            client.send(b'GET /metrics HTTP/1.1\r\nHost: metrics.example.com:9090\r\n\r\n')
            equal(client.read_reply().status, 200, 'status under a foreign Host')
        busy = []
        for _ in range(16):
            busy.append(server.client())
            busy[-1].send(b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345')
            wait_until(lambda: scrape(server).value('ollachat_http_connections', state='active') == len(busy) + 1, 'it is busy')
        equal(server.get('/').status, 503, 'the page from the reserve')


# --- figures --------------------------------------------------------------------------------------------------------


def mixed_load(server, saw):
    """Good and bad requests of many kinds; saw[(route, method, status)] counts what came back."""
    def ask(route, method, path, body=None, **options):
        reply = server.ask(method, path, body, **options)
        saw[route, method, str(reply.status)] += 1

    for n in range(5):
        ask('/health', 'GET', '/health')
        ask('/health', 'HEAD', '/health')
        ask('/health', 'GET', '/health?gate=model')
        ask('/', 'GET', '/')
        ask('/api/chat', 'POST', '/api/chat', CHAT.body)
        ask('/api/chat', 'POST', '/api/chat', ORIGIN.body)
        ask('/api/chat', 'POST', '/api/chat', b'{"broken')
        ask('/api/chat', 'POST', '/api/chat', {'model': 'absent', 'messages': MESSAGES})
        ask('/api/chat', 'PUT', '/api/chat', b'{}')
        ask('/api/chat', 'OPTIONS', '/api/chat')
        ask('/v1/chat/completions', 'POST', '/v1/chat/completions', {'model': fake.NAME, 'messages': MESSAGES})
        ask('/v1/models/*', 'GET', f'/v1/models/{n}')
        ask('/v1/*', 'GET', f'/v1/{n}')
        ask('other', 'GET', f'/nothing/{n}')
        ask('/', 'DELETE', '/')
        ask('/api/tags', 'GET', '/api/tags')
        ask('/api/models', 'GET', '/api/models')
        ask('/api/pull', 'POST', '/api/pull', b'{}')
        ask('/api/blobs/*', 'POST', '/api/blobs/x', b'{}')
        with Client(server.address) as client:
            client.send(b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
            saw['none', 'GET', str(client.read_reply().status)] += 1


@test
def requests_are_what_the_clients_saw():
    with fake.Upstream() as up, backend(up) as server:
        before = requests_of(scrape(server), 'route', 'method', 'code')
        saw = Counter()
        mixed_load(server, saw)
        up.on_generations(fake.MODES['close'])
        for _ in range(3):
            saw['/api/chat', 'POST', str(server.post('/api/chat', CHAT.body).status)] += 1
        page = wait_requests(server, sum(before.values()) + sum(saw.values()))
        counted = requests_of(page, 'route', 'method', 'code')
        counted.subtract(before)
        counted['none', 'GET', '400'] += counted.pop(('none', 'other', '400'), 0)
        equal(+counted, saw, 'requests')


@test
def requests_are_counted_without_an_access_log():
    with Server('frontend', '--workers', 1, '--access-log', 'off') as server:
        for _ in range(5):
            server.get('/no.js')
        page = wait_requests(server, 6)
        equal(page.value(REQUESTS, role='frontend', route='/*', method='GET', code='404'), 5, 'count')
        equal(server.logged('msg=request'), [], 'lines')


@test
def client_that_left_before_a_status_is_499():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', fake.MODES['silent'])
        with Client(server.address) as client:
            CHAT.send(client)
            up.wait_exchange('/api/chat')
        wait_until(lambda: scrape(server).sum(REQUESTS, route='/api/chat', code='499') == 1, 'a request of code 499')
        wait_until(lambda: server.logged('status=499 .*end=gone'), 'the same in the log')


@test
def no_client_makes_a_label():
    evil = ['/%0a', '/"x', '/{evil}', '/evil', '/api/evil', '/v1/evil', '/v1/models/evil', '/api/blobs/evil', '/evil' * 500, '*', 'evil']
    with fake.Upstream() as up, backend(up) as server, Server('frontend', '--workers', 1) as page_server:
        for one in (server, page_server):
            for path in evil:
                for method in ('GET', 'EVIL', 'CONNECT', 'TRACE', 'PATCH', 'evil"evil', 'E' * 300):
                    with Client(one.address) as client:
                        client.send(f'{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: evil\r\n\r\n'.encode())
                        client.read_head()
            text = one.get('/metrics').body.decode()
            check('evil' not in text.lower(), lambda: next(line for line in text.split('\n') if 'evil' in line.lower()))
            page = Page(text)
            check(labels_of(page, REQUESTS, 'method') <= METHODS, labels_of(page, REQUESTS, 'method'))
            codes = labels_of(page, REQUESTS, 'code')
            check(all(re.fullmatch(r'[1-5]\d\d|other', code) for code in codes), codes)
            check(len(labels_of(page, REQUESTS, 'route')) < 15, labels_of(page, REQUESTS, 'route'))


@test
def odd_status_of_ollama_is_other():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/tags', lambda x: x.reply(299, b'{}'))
        equal(server.get('/api/tags').status, 299, 'status')
        wait_until(lambda: scrape(server).sum(REQUESTS, route='/api/tags', code='other') == 1, 'a request of code other')


@test
def any_worker_tells_of_all():
    with Server('frontend', '--workers', 3) as server:
        pages = [server.get('/config.json').status for _ in range(60)]
        equal(pages, [200] * 60, 'replies')

        def sums():
            return {scrape(server).value(REQUESTS, role='frontend', route='/config.json', method='GET', code='200') for _ in range(10)}
        wait_until(lambda: sums() == {60}, 'the same sum from whichever worker')


@test
def counters_survive_a_killed_worker():
    with Server('frontend', '--workers', 2, may_restart=True) as server:
        for _ in range(40):
            server.get('/config.json')
        wait_until(lambda: scrape(server).sum(REQUESTS, route='/config.json') == 40, 'what was asked')
        for victim in server.workers():
            os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == 2 and not set(server.workers()) & server.first_workers, 'other workers')
        page = scrape(server)
        equal(page.sum(REQUESTS, route='/config.json'), 40, 'requests')
        equal(page.value('ollachat_worker_restarts_total'), 2, 'restarts')


@test
def connections_are_counted_as_they_are():
    with Server('frontend', '--workers', 1, may_restart=True) as server:
        watch = server.client()

        def counted():
            page = Page(watch.get('/metrics').body.decode())
            return [page.value('ollachat_http_connections', state=state) for state in ('active', 'idle')]
        kept = [server.client() for _ in range(7)]
        for client in kept:
            client.get('/health')
        wait_until(lambda: counted() == [1, 7], 'the scrape and the idle ones')
        for client in kept[:3]:
            client.close()
        wait_until(lambda: counted() == [1, 4], 'fewer idle ones')
        victim = server.worker()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: server.workers() and victim not in server.workers(), 'another worker')
        watch = server.client()
        wait_until(lambda: counted() == [1, 0], 'the connections of the successor')


@test
def process_figures_are_those_of_the_whole_service():
    with Clock() as clock, Server('frontend', '--workers', 2, clock=clock) as server:
        def measured():
            clock.wind(6)
            return scrape(server)
        wait_until(lambda: measured().value('process_open_fds') == server.descriptors(), 'descriptors of keeper and workers')
        page = measured()
        resident = page.value('process_resident_memory_bytes')
        check(500e3 < resident < 100e6, f'resident {resident}')
        check(page.value('process_virtual_memory_bytes') > resident, 'virtual memory')
        check(page.value('process_max_fds') > page.value('process_open_fds'), 'descriptor limit')
        started = page.value('process_start_time_seconds')
        with open('/proc/uptime', encoding='ascii') as up, open('/proc/stat', encoding='ascii') as stat:
            now = float(re.search(r'^btime (\d+)', stat.read(), re.M).group(1)) + float(up.read().split()[0])
        check(now - 120 < started < now + 5, f'started {started}, now {now}')
        with Client(server.address) as client:
            for _ in range(5000):
                client.get('/health')
        wait_until(lambda: measured().value('process_cpu_seconds_total') > 0, 'processor time')


@test
def draining_is_told():
    with Server('frontend', '--workers', 1, '--drain-announce', 30) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: scrape(server).value('ollachat_draining') == 1, 'draining')


@test
def ollama_that_is_gone_is_told():
    with fake.RefusingPort() as port, backend(port.url, ready=False) as server:
        wait_until(lambda: scrape(server).value('ollachat_ollama_up') == 0, 'ollama_up 0')
        equal(scrape(server).value('ollachat_model_ready'), 0, 'model_ready')
