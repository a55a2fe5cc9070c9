# SPDX-License-Identifier: MIT
"""HAProxy and nginx in front, as load balancers are: they cut what is silent, probe, and route away from who drains."""

import contextlib
import os
import signal
import threading
import time

from fake import upstream as fake
from lib.balancer import Balancer
from lib.harness import Cases, Client, Server, backend, check, equal, test, wait_until
from lib.swarm import Swarm, allow_descriptors, request

CHAT = {'model': fake.NAME, 'messages': [{'role': 'user', 'content': 'hi'}]}
FORMS = {'lines': ('/api/chat', CHAT), 'events': ('/v1/chat/completions', {**CHAT, 'stream': True})}
KINDS = ('haproxy', 'nginx')
IDLE = 1  # seconds of silence after which they cut
BEAT = 0.3


@contextlib.contextmanager
def in_front(kind, *options):
    """An Ollama whose model loads when told so, a backend before it, a load balancer before that."""
    with fake.Upstream(loaded=[]) as up, backend(up, '--preload', 'off', *options) as server, \
            Balancer(kind, [server.url], IDLE) as balancer:
        wait_until(lambda: asked(balancer).status == 200, f'{kind} routes')
        yield up, server, balancer


def asked(balancer, path='/health'):
    with Client(balancer.address) as client:
        return client.get(path)


def slow_load(x):
    """Longer than the balancer's patience; it is the balancer that counts, so this is real time."""
    time.sleep(IDLE * 2.5)
    x.upstream.loaded.append(x.request.json()['model'])
    fake.answer(x)


@test
def model_that_loads_longer_than_the_balancer_waits():
    cases = Cases()
    for kind in KINDS:
        for name, (path, body) in FORMS.items():
            with cases(f'{kind}, {name}'), in_front(kind, '--heartbeat', BEAT) as (up, server, balancer):
                up.on_load(slow_load)
                with Client(balancer.address) as client:
                    reply = client.post(path, body)
                equal((reply.status, reply.ended), (200, 'chunked'), 'status and end')
                check(b'Hello' in reply.body and (b'"done":true' in reply.body or b'[DONE]' in reply.body), lambda: f'{reply}')
    cases.judge()


@test
def without_heartbeats_the_balancer_cuts():
    """So that the test above is known to be able to fail."""
    cases = Cases()
    for kind in KINDS:
        with cases(kind), in_front(kind, '--heartbeat', 0) as (up, server, balancer):
            up.on_load(slow_load)
            with Client(balancer.address) as client:
                equal(client.post('/api/chat', CHAT).status, 504, 'status')
    cases.judge()


@test
def deltas_arrive_apart_through_a_balancer():
    cases = Cases()
    for kind in KINDS:
        with cases(kind), in_front(kind) as (up, server, balancer), Client(balancer.address) as client:
            lines = fake.chat_lines(['one', 'two', 'three'])

            def script(x):
                x.head()
                for n, line in enumerate(lines):
                    x.chunk(line)
                    x.pass_gate(str(n))
                x.last_chunk()

            up.on('/api/chat', script)
            client.request('POST', '/api/chat', CHAT)
            reply = client.read_head()
            for n, line in enumerate(lines):  # the next one is not even sent before this one is here
                equal(client.read_chunk(reply), line, f'line {n}')
                up.gate(str(n)).set()
            equal(client.read_rest(reply).ended, 'chunked', 'end')
    cases.judge()


# --- going away -----------------------------------------------------------------------------------------------------

STREAMS = 100
SLOW = request('POST', '/api/chat', {'model': 'ollachat-sim', 'messages': [{'role': 'user', 'content': 'hi'}],
                                     'options': {'num_predict': 40}})
QUICK = request('POST', '/api/chat', {'model': 'ollachat-sim', 'messages': [{'role': 'user', 'content': 'hi'}],
                                      'options': {'num_predict': 1}})


def check_complete(one, what):
    reply = one.reply()
    equal((reply.status, reply.ended), (200, 'chunked'), f'{what}: status and end')
    equal(reply.lines()[-1].get('done'), True, f'{what}: done')


class Visitors:
    """Somebody always comes anew, and is served."""

    def __init__(self, address):
        self.address, self.count, self.failures = address, 0, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(20)

    def _run(self):
        while not self._stop.wait(0.01):
            with Swarm(self.address) as swarm:
                one = swarm.add(QUICK)
                try:
                    swarm.run(swarm.all_over, 10)
                    check_complete(one, 'a visitor')
                    self.count += 1
                except Exception as error:
                    self.failures.append(f'{error}')


def running(swarm):
    return sum(one.first is not None for one in swarm.clients)


@test
def one_of_two_backends_drains_and_nobody_notices():
    allow_descriptors()
    options = ['--max-active', 2 * STREAMS, '--access-log', 'off', '--drain-announce', 1.5, '--drain-timeout', 60]
    with Server('sim', '--tokens-per-second', 10, '--first-token-delay', 0) as sim, backend(sim, *options) as stays, \
            backend(sim, *options, may_restart=True) as goes, Balancer('haproxy', [stays.url, goes.url], 60) as balancer:
        wait_until(lambda: asked(balancer, '/api/models').status == 200, 'haproxy routes')
        with Swarm(balancer.address) as swarm, Visitors(balancer.address) as visitors:
            for _ in range(STREAMS):
                swarm.add(SLOW)
            swarm.run(lambda: running(swarm) == STREAMS, 20, 'all streams run')
            active = goes.get('/health').json()['active']
            check(active >= STREAMS // 4, f'only {active} streams run there')
            goes.process.send_signal(signal.SIGTERM)
            swarm.run(lambda: balancer.states()['room1'].startswith('DOWN'), 10, 'haproxy routes away from who drains')
            seen = visitors.count
            swarm.run(swarm.all_over, 30, 'the end of all streams')
            wait_until(lambda: visitors.count > seen + 5, 'visitors are served by the other one')
        equal(goes.process.wait(20), 0, 'exit code')
        for n, one in enumerate(swarm.clients):
            check_complete(one, f'stream {n}')
        equal(visitors.failures, [], f'visitors that were not served ({visitors.count} were)')


@test
def worker_that_dies_breaks_its_streams_and_refuses_nobody():
    allow_descriptors()
    options = ['--max-active', 2 * STREAMS, '--access-log', 'off']
    with Server('sim', '--tokens-per-second', 10, '--first-token-delay', 0) as sim, backend(sim, *options, may_restart=True) as server:
        with Swarm(server.address) as swarm:
            for _ in range(STREAMS):
                swarm.add(SLOW)
            swarm.run(lambda: running(swarm) == STREAMS, 20, 'all streams run')
            died = time.monotonic()
            os.kill(server.worker(), signal.SIGKILL)
            late = swarm.add(QUICK)  # while nobody is there: it waits at the door
            swarm.run(swarm.all_over, 10, 'the end of all')
            took = late.ended - died
        check_complete(late, 'one that came meanwhile')
        print(f'served again after {took:.2f} s')
        for one in swarm.clients[:-1]:
            check(one.reply().ended == 'cut', lambda: f'a broken stream ends as if it were whole: {one.raw[-100:]!r}')
