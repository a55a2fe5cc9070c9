# SPDX-License-Identifier: MIT
"""--pull missing: the default model is fetched by Ollama, whatever happens on the way; and what /api/status tells."""

import os
import re
import signal
import threading

from fake import upstream as fake
from lib.clock import Clock
from lib.harness import DEADLINE, Server, backend, check, equal, test, wait_until

WANTED = 'wanted:1b'
LAYER = {'status': 'pulling aabbccddeeff', 'digest': 'sha256:' + 'aabbccddeeff' * 5, 'total': 1000}


def line(x, **members):
    x.chunk(fake.dump(members) + b'\n')


def fetch(x):
    """A pull that waits at the gate in the middle of a layer."""
    equal(x.request.json(), {'model': WANTED}, 'request')
    x.head()
    line(x, status='pulling manifest')
    line(x, **LAYER)
    line(x, **LAYER, completed=420)
    x.pass_gate()
    line(x, **LAYER, completed=1000)
    line(x, status='verifying sha256 digest')
    x.upstream.models.append(WANTED)
    line(x, status='success')
    x.last_chunk()


def pull_of(server):
    return server.get('/api/status').json()['pull']


def wait_pull(server, **wanted):
    def there():
        pull = pull_of(server)
        return pull if pull and all(pull.get(key) == value for key, value in wanted.items()) else None
    return wait_until(there, f'a pull with {wanted}')


def pulling(up, *options, **keywords):
    return backend(up, '--model', WANTED, '--pull', 'missing', *options, **keywords)


@test
def missing_model_is_pulled_and_loaded():
    with fake.Upstream(loaded=[]) as up:
        up.on('/api/pull', fetch)
        with pulling(up, '--preload', 'off') as server:
            equal(wait_pull(server, completed=420),
                  {'state': 'running', 'status': LAYER['status'], 'completed': 420, 'total': 1000, 'percent': 42}, 'pull')
            health = server.get('/health')
            equal((health.status, health.json()['status']), (200, 'healthy'), '/health meanwhile')
            equal(server.get('/ready').status, 503, '/ready meanwhile')
            up.gate().set()
            wait_pull(server, state='done')
            wait_until(lambda: WANTED in server.get('/api/models').json()['models'], 'the model is listed')
            up.loaded.append(WANTED)
            wait_until(lambda: server.get('/ready').status == 200, '/ready')
            equal(len(up.requests('/api/pull')), 1, 'pulls')
            equal(len(server.logged('is missing and is pulled')), 1, 'lines about the beginning')
            equal(len(server.logged('the model was pulled')), 1, 'lines about the end')
            check(len(server.logged('msg=pulling')) <= 2, lambda: f'a flood: {server.logged("msg=pulling")}')


@test
def model_that_is_there_is_not_pulled():
    with fake.Upstream() as up, backend(up, '--model', fake.NAME, '--pull', 'missing') as server:
        wait_until(lambda: server.get('/ready').status == 200, '/ready')
        equal((pull_of(server), up.requests('/api/pull')), (None, []), 'pull')


@test
def nothing_is_pulled_unless_asked_for():
    with fake.Upstream() as up, backend(up, '--model', WANTED) as server:
        wait_until(lambda: server.get('/api/models').json()['models'], 'the models are known')
        equal((pull_of(server), up.requests('/api/pull')), (None, []), 'pull')


@test
def failed_pull_is_tried_again_after_longer_and_longer_times():
    with Clock() as clock, fake.Upstream() as up:
        def refuse(x):
            x.head()
            line(x, status='pulling manifest')
            line(x, error='pull model manifest: file does not exist')
            x.last_chunk()
        up.on('/api/pull', refuse)
        with pulling(up, clock=clock) as server:
            equal(wait_pull(server, state='waiting')['status'], 'pull model manifest: file does not exist', 'status')
            clock.stop()
            for seconds in (2, 4, 8, 16, 32, 60, 60):
                clock.wind(seconds)
                wait_until(lambda: pull_of(server)['state'] == 'waiting', 'it waits again')
            waits = [int(re.search(r'after_ms=(\d+)', line).group(1)) for line in server.logged('was not pulled')]
            equal(waits[:8], [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000], 'times until the next try')
            up.on('/api/pull', fetch)
            up.gate().set()
            clock.wind(61)
            wait_pull(server, state='done')


@test
def stop_ends_pulls():
    """One that runs, and one that would be tried again in the announcement."""
    with fake.Upstream(loaded=[]) as up:
        def stall(x):
            x.head()
            line(x, **LAYER, completed=10)
            x.wait_left()
        up.on('/api/pull', stall)
        with pulling(up, '--drain-announce', 60) as server:
            wait_pull(server, completed=10)
            server.process.send_signal(signal.SIGTERM)
            check(up.exchanges('/api/pull')[0].left.wait(DEADLINE), 'it goes on')
    with Clock() as clock, fake.Upstream(loaded=[]) as up:
        def refuse(x):
            x.head()
            line(x, error='pull model manifest: file does not exist')
            x.last_chunk()
        up.on('/api/pull', refuse)
        with pulling(up, '--drain-announce', 600, '--preload', 'off', clock=clock) as server:
            wait_pull(server, state='waiting')
            clock.stop()
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: server.logged('msg=stopping'), 'the signal is seen')
            before = len(up.requests('/api/pull'))
            clock.wind(300)
            equal(len(up.requests('/api/pull')), before, 'pulls')


@test
def pull_that_stalls_is_begun_anew():
    with Clock() as clock, fake.Upstream() as up:
        def stall(x):
            x.head()
            line(x, **LAYER, completed=10)
            x.wait_left()
        up.on('/api/pull', stall)
        with pulling(up, '--stall-timeout', 120, clock=clock) as server:
            wait_pull(server, completed=10)
            clock.stop()
            clock.wind(119)
            equal((pull_of(server)['state'], len(up.requests('/api/pull'))), ('running', 1), 'after 119 s')
            clock.wind(3)
            wait_until(lambda: len(up.requests('/api/pull')) == 2, 'another pull')
            check(up.exchanges('/api/pull')[0].left.wait(DEADLINE), 'the first one is not given up')
            check(server.logged('not pulled.*stall-timeout'), 'no word about it in the log')


@test
def verifying_may_take_half_an_hour():
    """Ollama says nothing while it does, and does not verify again what a broken pull left behind."""
    with Clock() as clock, fake.Upstream() as up:
        def verify(x):
            x.head()
            line(x, status='pulling manifest')
            line(x, **LAYER, completed=1000)
            line(x, status='verifying sha256 digest')
            x.wait_left()
        up.on('/api/pull', verify)
        with pulling(up, '--stall-timeout', 120, clock=clock) as server:
            wait_pull(server, status='verifying sha256 digest')
            clock.stop()
            clock.wind(1799)
            equal((pull_of(server)['state'], len(up.requests('/api/pull'))), ('running', 1), 'after 1799 s')
            clock.wind(3)
            wait_until(lambda: len(up.requests('/api/pull')) == 2, 'another pull')


@test
def manifest_that_never_comes_is_a_stall():
    with Clock() as clock, fake.Upstream() as up:
        def silent(x):
            x.head()
            line(x, status='pulling manifest')
            x.wait_left()
        up.on('/api/pull', silent)
        with pulling(up, '--stall-timeout', 120, clock=clock) as server:
            wait_pull(server, status='pulling manifest')
            clock.stop()
            clock.wind(123)
            wait_until(lambda: len(up.requests('/api/pull')) == 2, 'another pull')


@test
def pull_survives_a_restart_of_ollama():
    with fake.Upstream() as up:
        broken = threading.Event()

        def break_off(x):
            x.head()
            line(x, **LAYER, completed=10)
            broken.wait(DEADLINE)
            x.reset()
        up.on('/api/pull', break_off)
        with pulling(up) as server:
            wait_pull(server, completed=10)
            up.refuse()
            up.on('/api/pull', fetch)
            up.gate().set()
            broken.set()
            wait_pull(server, state='waiting')
            up.listen_again()
            wait_pull(server, state='done')
            equal(server.get('/health').status, 200, '/health')


@test
def odd_replies_to_a_pull_only_delay_it():
    def whole(status, body):
        return lambda x: x.reply(status, body)

    def nonsense(x):
        x.head()
        x.chunk(b'x' * 50000)
        x.wait_left()
    for script in (whole(500, b'{"error":"no space left on device"}'), whole(403, b''), whole(200, b'[]'), whole(200, b''), nonsense,
                   fake.MODES['garbage']):
        with fake.Upstream() as up:
            up.on('/api/pull', script)
            with pulling(up) as server:
                wait_pull(server, state='waiting')
                up.on('/api/pull', fetch)
                up.gate().set()
                wait_pull(server, state='done')


@test
def pull_goes_on_when_the_worker_dies():
    with fake.Upstream() as up:
        up.on('/api/pull', fetch)
        with pulling(up, may_restart=True) as server:
            wait_pull(server, completed=420)
            os.kill(server.worker(), signal.SIGKILL)
            wait_pull(server, completed=420)
            up.gate().set()
            wait_pull(server, state='done')
            equal(len(up.requests('/api/pull')), 1, 'pulls')
            equal(server.get('/api/status').json()['worker_restarts'], 1, 'worker_restarts')


@test
def the_stand_in_can_be_told_to_pull():
    with Server('sim') as sim, Server('backend', '--ollama', sim.url, '--model', 'another', '--pull', 'missing') as server:
        wait_until(lambda: pull_of(server) and pull_of(server)['state'] == 'done', 'it is pulled')
        wait_until(lambda: server.get('/ready').status == 200, '/ready')


# --- /api/status ----------------------------------------------------------------------------------------------------

PUBLIC = {'version', 'status', 'model', 'ready', 'active', 'queued', 'draining'}


@test
def status_tells_more_to_those_near():
    with fake.Upstream() as up, backend(up, '--model', fake.NAME) as server:
        near = server.get('/api/status').json()
        far = server.get('/api/status', fields={'X-Forwarded-For': '203.0.113.9'}).json()
        equal(set(far), PUBLIC, 'what anyone is told')
        equal(set(near) - PUBLIC, {'boot', 'instance', 'provenance', 'pull', 'worker_restarts'}, 'what the operator is told')
        equal({key: near[key] for key in far}, far, 'and both agree')


@test
def boot_timeline_fills_up():
    with fake.Upstream(loaded=[]) as up, backend(up, '--model', fake.NAME, '--preload', 'off') as server:
        def boot():
            return server.get('/api/status').json()['boot']
        first = boot()
        equal((first['model_loaded_ms'], first['first_answer_ms']), (None, None), 'nothing yet')
        check(0 < first['process_start_ms'] <= first['ollama_up_ms'], lambda: f'{first}')
        up.loaded.append(fake.NAME)
        loaded = wait_until(lambda: boot()['model_loaded_ms'], 'the model is loaded')
        equal(server.post('/api/chat', {'model': fake.NAME, 'prompt': 'hi'}).status, 200, 'a chat')
        last = boot()
        check(first['ollama_up_ms'] <= loaded <= last['first_answer_ms'], lambda: f'{last}')
        check(last['kernel_start'].endswith('Z'), lambda: f'{last}')
        equal({key: last[key] for key in ('process_start_ms', 'ollama_up_ms')},
              {key: first[key] for key in ('process_start_ms', 'ollama_up_ms')}, 'what was known')
