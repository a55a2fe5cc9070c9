# SPDX-License-Identifier: MIT
"""Models that are not in Ollama's memory: one load request of the gateway's own, behind which everybody waits and which
nobody cancels; the preload; and what a waiting client is told."""

import contextlib
import json
import threading

from fake import upstream as fake
from faults.forms import CHAT, CHAT_WHOLE, EMBED, ORIGIN, V1, V1_WHOLE, check_good
from lib.clock import Clock
from lib.harness import Cases, Client, backend, check, equal, test, wait_until

OTHER = 'qwen3:0.6b'
PROGRESS = [('X-Ollachat-Progress', '1')]


def chat(word='hi', model=fake.NAME, **more):
    return {'model': model, 'messages': [{'role': 'user', 'content': word}], **more}


@contextlib.contextmanager
def unloaded(*options):
    """An Ollama with nothing in memory, and a backend that does not preload."""
    with fake.Upstream(models=(fake.NAME, OTHER), loaded=[]) as up, backend(up, '--preload', 'off', *options) as server:
        yield up, server


def loaded(x):
    """Ends a load well: from now on the model is in memory."""
    x.upstream.loaded.append(x.request.json()['model'])
    fake.answer(x)


def gated_load(x):
    x.pass_gate('load')
    loaded(x)


def wait_load(up, number=1):
    return wait_until(lambda: up.loads()[number - 1:number], f'load request {number}')[0]


@test
def request_waits_behind_a_load_of_our_own():
    forms = {CHAT: '/api/chat', CHAT_WHOLE: '/api/chat', ORIGIN: '/api/chat', V1: '/api/chat', V1_WHOLE: '/api/chat',
             EMBED: '/api/embed'}
    cases = Cases()
    for form, path in forms.items():
        with cases(form.name), unloaded() as (up, server), Client(server.address) as client:
            up.on_load(gated_load)
            form.send(client)
            load = wait_load(up)
            equal(load.request.path, path, 'path of the load')
            equal(load.request.json()['model'], fake.NAME, 'its model')
            check('keep_alive' not in load.request.json(), 'Ollama decides how long a model stays')
            equal(server.get('/health').json()['active'], 1, 'the load has a turn')
            equal(len(up.requests(form.path)), 0, 'requests before the model is there')
            up.gate('load').set()
            check_good(form, client.read_reply())
            equal(len(up.loads()), 1, 'loads')
    cases.judge()


@test
def nobody_cancels_a_load():
    """Ollama gives up a load when whoever asked for it leaves; the next client would begin again, for ever."""
    with unloaded() as (up, server):
        up.on_load(gated_load)
        for leave in (Client.close, Client.reset, Client.fin):
            client = Client(server.address)
            CHAT.send(client)
            load = wait_load(up)
            leave(client)
            wait_until(lambda: server.logged('result=cancelled'), 'the end of the request')
            client.close()
        check(not load.left.is_set(), 'the load was given up')
        with Client(server.address) as client:
            CHAT.send(client)
            wait_until(lambda: server.get('/health').json()['queued'] == 1, 'the next one in the queue')
            up.gate('load').set()
            check_good(CHAT, client.read_reply())
        equal(len(up.loads()), 1, 'loads')
        check(not load.left.is_set(), 'the load was given up')


@test
def many_wait_behind_one_load():
    with unloaded('--max-active', '3') as (up, server):
        up.on_load(gated_load)
        clients = [server.client() for _ in range(6)]
        for client in clients:
            CHAT.send(client)
        wait_load(up)
        wait_until(lambda: server.get('/health').json()['queued'] == 3, 'three in the queue')
        up.gate('load').set()
        for client in clients:
            check_good(CHAT, client.read_reply())
        equal(len(up.loads()), 1, 'loads')
        wait_until(lambda: server.get('/health').json()['active'] == 0, 'no turn taken')


@test
def two_models_load_side_by_side():
    with unloaded('--max-active', '2') as (up, server):
        up.on_load(gated_load)
        one, two = server.client(), server.client()
        one.request('POST', '/api/chat', chat(model=fake.NAME))
        two.request('POST', '/api/chat', chat(model=OTHER))
        wait_load(up, 2)
        equal({x.request.json()['model'] for x in up.loads()}, {fake.NAME, OTHER}, 'models')
        up.gate('load').set()
        for client in (one, two):
            check(client.read_reply().lines()[-1]['done'], 'not done')


def fail_500(x):
    x.reply_json({'error': 'llama runner process has terminated'}, 500)


def fail_reset(x):
    x.reset()


def fail_nonsense(x):
    x.send(b'ICY 200 OK\r\n\r\n')
    x.close()


def fail_truncated(x):
    x.head(200, fake.JSON, length=100)
    x.send(b'{"model"')
    x.close()


def fail_interim(x):
    x.send(b'HTTP/1.1 101 Switching Protocols\r\n\r\n')


@test
def failed_load_leaves_the_answer_to_ollama():
    cases = Cases()
    for fail in (fail_500, fail_reset, fail_nonsense, fail_truncated, fail_interim):
        with cases(fail.__name__), unloaded() as (up, server):
            up.on_load(fail)
            up.on('/api/chat', lambda x: x.reply_json({'error': 'model requires more system memory'}, 500))
            reply = server.post('/api/chat', chat())
            equal((reply.status, reply.json()['error']), (500, 'model requires more system memory'), 'reply')
            up.on('/api/chat', None)
            check(server.post('/api/chat', chat()).lines()[-1]['done'], 'the next answer')
            wait_until(lambda: server.get('/health').json()['active'] == 0, 'no turn taken')
    cases.judge()


@test
def load_that_never_ends_is_told():
    with unloaded('--first-byte-timeout', '1') as (up, server):
        up.on_load(lambda x: x.wait_left())
        reply = server.post('/api/chat', chat())
        equal(reply.status, 504, 'status')
        equal(reply.json()['error'], 'Ollama gave no answer in time', 'error')
        check(wait_load(up).left.wait(5), 'the load goes on for nobody')
        equal(server.get('/health').json()['active'], 0, 'turns taken')


@test
def model_that_is_not_installed_is_not_loaded():
    with unloaded() as (up, server):
        reply = server.post('/api/chat', chat(model='nowhere:1b'))
        equal((reply.status, reply.json()['error']), (404, "model 'nowhere:1b' not found"), 'reply')
        equal(len(up.loads()), 0, 'loads')


@test
def waiting_client_is_told_of_the_load():
    with unloaded() as (up, server), Client(server.address) as client:
        up.on_load(gated_load)
        client.request('POST', '/api/chat', chat(), fields=PROGRESS)
        reply = client.read_head()
        equal((reply.status, reply.get('Content-Type')), (200, 'application/x-ndjson'), 'head')
        for seconds in (0, 1):
            client.read_chunk(reply)
            equal(json.loads(reply.chunks[-1]), {'load': {'seconds': seconds}}, 'line')
        up.gate('load').set()
        client.read_rest(reply)
        check(reply.lines()[-1]['done'], 'not done')


@test
def progress_is_only_for_streams_of_lines():
    cases = Cases()
    for form, version in ((CHAT_WHOLE, 'HTTP/1.1'), (ORIGIN, 'HTTP/1.1'), (V1, 'HTTP/1.1'), (CHAT, 'HTTP/1.0')):
        with cases(f'{form.name}, {version}'), unloaded() as (up, server), Client(server.address) as client:
            up.on_load(gated_load)
            client.request('POST', form.path, form.body, fields=PROGRESS, version=version)
            wait_load(up)
            other = server.client()
            other.request('POST', '/api/chat', chat(), fields=PROGRESS)
            equal(other.read_head().status, 200, 'the other one is told')  # so 250 ms are over
            up.gate('load').set()
            reply = client.read_reply()
            check(b'"load"' not in reply.body and b'"queue"' not in reply.body, lambda: f'{reply.body[:100]}')
            check_good(form, reply)
    cases.judge()


@test
def failure_after_the_first_byte_goes_in_band():
    def refuse(x):
        x.reply_json({'error': 'model requires more system memory'}, 500)

    def refuse_v1(x):
        x.reply_json({'error': {'message': 'model requires more system memory', 'type': 'api_error'}}, 500)
    with unloaded('--heartbeat', '1') as (up, server):
        up.on_load(lambda x: (x.pass_gate('load'), refuse(x)))
        with Client(server.address) as client:
            up.on('/api/chat', refuse)
            client.request('POST', '/api/chat', chat())
            reply = client.read_head()
            equal((reply.status, reply.get('Content-Type')), (200, 'application/x-ndjson'), 'head')
            client.read_chunk(reply)
            equal(reply.chunks, [b' '], 'heartbeat')
            up.gate('load').set()
            client.read_rest(reply)
            equal((reply.ended, reply.lines()), ('chunked', [{'error': 'model requires more system memory', 'status': 500}]),
                  'the failure')
            wait_until(lambda: server.logged(r'msg=request .*status=500'), 'the intended status in the log')
        up.gate('load').clear()
        with Client(server.address) as client:
            up.on(V1.path, refuse_v1)
            V1.send(client)
            reply = client.read_head()
            equal((reply.status, reply.get('Content-Type')), (200, 'text/event-stream'), 'head')
            client.read_chunk(reply)
            equal(reply.chunks, [b': ping\n\n'], 'heartbeat')
            up.gate('load').set()
            client.read_rest(reply)
            event = reply.body.split(b'\n\n')[-2]
            equal(json.loads(event[6:])['error']['message'], 'model requires more system memory', 'the failure')
            equal(reply.ended, 'chunked', 'end')


# --- the preload ------------------------------------------------------------------------------------------------------


@test
def default_model_is_loaded_at_start_and_again_when_it_was_dropped():
    with Clock() as clock, fake.Upstream(loaded=[]) as up:
        up.on_load(loaded)
        with backend(up, clock=clock) as server:
            equal(wait_load(up).request.json(), {'model': fake.NAME, 'messages': [], 'keep_alive': -1, 'stream': False}, 'load')
            clock.wind(6)
            wait_until(lambda: server.get('/ready').status == 200, '/ready')
            up.loaded.clear()
            clock.wind(12)
            wait_load(up, 2)
            clock.wind(6)
            wait_until(lambda: server.get('/ready').status == 200, '/ready again')
            equal(len(up.requests('/api/chat')), 0, 'generations')


@test
def preload_is_not_done_while_somebody_works_or_for_a_model_that_is_there():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server:
        up.on('/api/chat', lambda x: (x.pass_gate(), fake.answer(x)))
        with Client(server.address) as client:
            CHAT.send(client)
            up.wait_exchange('/api/chat')
            polls = len(up.requests('/api/ps'))
            up.loaded.clear()
            clock.wind(20)
            wait_until(lambda: len(up.requests('/api/ps')) >= polls + 2, 'two polls')
            equal(len(up.loads()), 0, 'loads while the turn is taken')
            up.gate().set()
            check_good(CHAT, client.read_reply())


@test
def preload_that_fails_is_tried_again_later():
    with fake.Upstream(loaded=[]) as up:
        up.on_load(fail_500)
        with backend(up) as server:
            wait_load(up)
            wait_until(lambda: server.logged('could not be loaded'), 'a word in the log')
            equal(len(up.loads()), 1, 'loads in a row')
            up.on_load(loaded)
            check(server.post('/api/chat', chat()).lines()[-1]['done'], 'an answer meanwhile')


@test
def client_behind_the_preload_is_told_that_the_model_loads():
    with fake.Upstream(loaded=[]) as up:
        up.on_load(gated_load)
        with backend(up) as server, Client(server.address) as client:
            wait_load(up)
            client.request('POST', '/api/chat', chat(), fields=PROGRESS)
            reply = client.read_head()
            client.read_chunk(reply)
            check('load' in json.loads(reply.chunks[0]), lambda: f'{reply.chunks}')
            up.gate('load').set()
            client.read_rest(reply)
            check(reply.lines()[-1]['done'], 'not done')
            equal(len(up.loads()), 1, 'loads')


@test
def demo_and_stand_in_have_their_model_at_once():
    from lib.harness import Server
    with Server('demo', '--ollama', 'sim', '--tokens-per-second', '0', '--first-token-delay', '0', '--load-delay', '1') as server:
        threads = [threading.Thread(target=server.post, args=('/api/chat', {'prompt': 'hi'})) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            check(not thread.is_alive(), 'no answer')
