# SPDX-License-Identifier: MIT
"""Turns: who may generate, who waits, who is refused, and when the next one starts."""

from faults.forms import CHAT, FORMS, V1, check_good, check_refused
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test, wait_until


def chat(word, model=fake.NAME):
    return {'model': model, 'messages': [{'role': 'user', 'content': word}]}


def word_of(request):
    return request.json()['messages'][0]['content']


def gated(x):
    """Answers a chat when the gate named like its word opens."""
    x.pass_gate(word_of(x.request))
    x.reply_stream(fake.chat_lines([word_of(x.request)]))


def ask(server, word):
    """A client whose chat is under way: running or waiting."""
    client = server.client()
    client.request('POST', '/api/chat', chat(word))
    return client


def counts(server):
    health = server.get('/health').json()
    return health['active'], health['queued']


def wait_counts(server, active, queued):
    wait_until(lambda: counts(server) == (active, queued), f'{active} active, {queued} queued')


def words_at(up):
    return [word_of(request) for request in up.requests('/api/chat')]


@test
def second_generation_starts_when_the_first_has_ended():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        second = ask(server, 'second')
        wait_counts(server, 1, 1)
        up.wait_exchange('/api/chat')
        equal(words_at(up), ['first'], 'at the upstream')
        up.gate('second').set()
        up.gate('first').set()
        check(first.read_reply().whole(), 'the first is not whole')
        equal(second.read_reply().lines()[0]['message']['content'], 'second', 'second answer')
        check(up.exchanges('/api/chat')[0].ended.is_set(), 'the second began before the first had ended')
        wait_counts(server, 0, 0)


@test
def waiters_are_served_in_the_order_they_came():
    words = ['a', 'b', 'c', 'd']
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        clients = []
        for n, word in enumerate(words):
            clients.append(ask(server, word))
            wait_counts(server, 1, n)
        for n, word in enumerate(words):
            up.gate(word).set()
            check(clients[n].read_reply().whole(), f'{word} is not whole')
        equal(words_at(up), words, 'order at the upstream')


@test
def as_many_run_as_max_active_says():
    with fake.Upstream() as up, backend(up, '--max-active', 3) as server:
        up.on('/api/chat', gated)
        clients = [ask(server, str(n)) for n in range(5)]
        wait_counts(server, 3, 2)
        up.wait_exchange('/api/chat', 3)
        equal(len(up.requests('/api/chat')), 3, 'requests at the upstream')
        for n in range(5):
            up.gate(str(n)).set()
        for client in clients:
            check(client.read_reply().whole(), 'an answer is not whole')
        wait_counts(server, 0, 0)


@test
def full_queue_refuses_in_every_form():
    with fake.Upstream() as up, backend(up, '--max-queue', 1) as server:
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        second = ask(server, 'second')
        wait_counts(server, 1, 1)
        cases = Cases()
        for form in FORMS:
            with cases(form.name), Client(server.address) as client:
                check_refused(form.ask(client), 503, form.openai)
                equal(client.get('/health').status, 200, '/health on the same connection')
        cases.judge()
        up.gate('first').set()
        up.gate('second').set()
        for client in (first, second):
            check(client.read_reply().whole(), 'an accepted one is not whole')
        equal(words_at(up), ['first', 'second'], 'at the upstream')


@test
def queue_timeout_refuses():
    with fake.Upstream() as up, backend(up, '--queue-timeout', 0.3) as server:
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        for form in (CHAT, V1):
            check_refused(server.post(form.path, form.body), 503, form.openai)
        wait_counts(server, 1, 0)
        up.gate('first').set()
        check(first.read_reply().whole(), 'the first is not whole')
        equal(words_at(up), ['first'], 'at the upstream')


@test
def waiter_that_leaves_is_removed():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        cases = Cases()
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        for leave in (Client.close, Client.reset, Client.fin):
            with cases(leave.__name__):
                waiter = ask(server, 'leaver')
                wait_counts(server, 1, 1)
                leave(waiter)
                wait_counts(server, 1, 0)
        last = ask(server, 'last')
        wait_counts(server, 1, 1)
        up.gate('first').set()
        up.gate('last').set()
        check(first.read_reply().whole() and last.read_reply().whole(), 'an answer is not whole')
        equal(words_at(up), ['first', 'last'], 'at the upstream')
        cases.judge()


@test
def turn_is_free_when_its_client_leaves():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        up.wait_exchange('/api/chat')
        second = ask(server, 'second')
        wait_counts(server, 1, 1)
        up.gate('second').set()
        first.close()
        check(second.read_reply().whole(), 'the second is not whole')


@test
def turn_is_free_after_every_failure():
    with fake.Upstream() as up, backend(up, '--first-byte-timeout', 0.3, '--stall-timeout', 0.3) as server:
        cases = Cases()
        up.gate().set()
        for mode in ('close', 'garbage', 'silent', 'stall', 'reset_in_line', 'busy', 'empty_403', 'no_end', 'error_line'):
            with cases(mode):
                up.on('/api/chat', fake.MODES[mode])
                server.post('/api/chat', CHAT.body)
                up.on('/api/chat', None)
                check_good(CHAT, server.post('/api/chat', CHAT.body))
                wait_counts(server, 0, 0)
        cases.judge()


@test
def what_needs_no_turn_passes_a_busy_ollama():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        for path in ('/api/tags', '/api/ps', '/api/version', '/v1/models', f'/v1/models/{fake.NAME}', '/api/models', '/health'):
            equal(server.get(path).status, 200, path)
        equal(server.post('/api/show', {'model': fake.NAME}).status, 200, '/api/show')
        equal(counts(server), (1, 0), 'turns')
        up.gate('first').set()
        check(first.read_reply().whole(), 'the first is not whole')


@test
def every_generation_takes_a_turn():
    bodies = {'/api/chat': chat('x'), '/api/generate': {'model': fake.NAME, 'prompt': 'x'},
              '/api/embed': {'model': fake.NAME, 'input': 'x'}, '/api/embeddings': {'model': fake.NAME, 'prompt': 'x'},
              '/v1/chat/completions': chat('x'), '/v1/completions': {'model': fake.NAME, 'prompt': 'x'},
              '/v1/embeddings': {'model': fake.NAME, 'input': 'x'}, '/v1/responses': {'model': fake.NAME, 'input': 'x'}}
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for path, body in bodies.items():
            def script(x):
                x.pass_gate()
                fake.answer(x)
            up.gate().clear()
            up.on(path, script)
            with cases(path), Client(server.address) as client:
                client.request('POST', path, body)
                up.wait_exchange(path)
                equal(counts(server), (1, 0), 'turns')
                up.gate().set()
                reply = client.read_reply()
                equal((reply.status, reply.whole()), (200, True), 'status and end')
        cases.judge()


@test
def what_can_be_known_is_said_before_waiting():
    """Broken requests and unknown models do not queue behind a running generation."""
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', gated)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        check_refused(server.post('/api/chat', b'{"model":'), 400)
        check_refused(server.post('/api/chat', {'prompt': ''}), 400)
        check_refused(server.post('/api/chat', chat('x', model='nobody')), 404)
        up.gate('first').set()
        check(first.read_reply().whole(), 'the first is not whole')
