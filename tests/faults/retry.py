# SPDX-License-Identifier: MIT
"""Connections to Ollama: kept, looked at before they are used again, and the one retry."""

from faults.forms import CHAT, FORMS, ORIGIN, V1, check_good, check_refused
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test, wait_until


def fails_on_reuse(fail):
    """A script that answers the first request of a connection, and fails those after it."""
    def script(x):
        if x.request.number == 1:
            fake.answer(x)
        else:
            fail(x)
    return script


def prepared(up, server, path='/api/chat'):
    """One good chat, after which a connection is kept."""
    up.on(path, None)
    check_good(CHAT, server.post('/api/chat', CHAT.body))
    return len(up.requests(path))


@test
def kept_connection_that_ollama_closed_is_not_used():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        up.on_generations(fake.MODES['idle_close'])
        cases = Cases()
        for form in [*FORMS, *FORMS]:
            with cases(form.name):
                check_good(form, form.ask(client))
        cases.judge()
        chats = up.requests('/api/chat')
        equal(len({r.connection for r in chats}), len(chats), 'connections')


@test
def request_lost_on_a_kept_connection_is_sent_once_more():
    for fail in (fake.mode_close, fake.mode_reset):
        with fake.Upstream() as up, backend(up) as server:
            cases = Cases()
            for form in FORMS:
                with cases(f'{form.name}, {fail.__name__}'):
                    prepared(up, server, form.path)
                    up.on(form.path, fails_on_reuse(fail))
                    before = len(up.requests(form.path))
                    check_good(form, server.post(form.path, form.body))
                    tries = up.requests(form.path)[before:]
                    equal(len(tries), 2, 'times it was sent')
                    equal(tries[1].body, tries[0].body, 'body of the second time')
                    check(tries[0].connection != tries[1].connection, 'twice on one connection')
            cases.judge()


@test
def it_is_sent_once_more_and_not_again():
    with fake.Upstream() as up, backend(up) as server:
        before = prepared(up, server)
        up.on('/api/chat', fake.mode_close)
        check_refused(server.post('/api/chat', CHAT.body), 502)
        equal(len(up.requests('/api/chat')) - before, 2, 'times it was sent')


@test
def request_on_a_new_connection_is_never_sent_again():
    with fake.Upstream() as up, backend(up) as server:
        for fail in (fake.mode_close, fake.mode_reset, fake.mode_half_head_close):
            up.on('/api/chat', fail)
            before = len(up.requests('/api/chat'))
            check_refused(server.post('/api/chat', CHAT.body), 502)
            fresh = [r for r in up.requests('/api/chat')[before:] if r.number == 1]
            equal((len(fresh), len(up.requests('/api/chat')) - before), (1, 1), f'{fail.__name__}: times it was sent')


@test
def nothing_is_sent_again_once_a_reply_byte_came():
    with fake.Upstream() as up, backend(up) as server:
        for fail in (fake.mode_half_head_close, fake.mode_half_head_reset, fake.mode_garbage):
            before = prepared(up, server)
            up.on('/api/chat', fails_on_reuse(fail))
            check_refused(server.post('/api/chat', CHAT.body), 502)
            equal(len(up.requests('/api/chat')) - before, 1, f'{fail.__name__}: times it was sent')


@test
def nothing_is_sent_again_after_a_timeout():
    with fake.Upstream() as up, backend(up, '--first-byte-timeout', 0.3) as server:
        before = prepared(up, server)
        up.on('/api/chat', fails_on_reuse(fake.mode_silent))
        check_refused(server.post('/api/chat', CHAT.body), 504)
        equal(len(up.requests('/api/chat')) - before, 1, 'times it was sent')
        check(up.exchanges('/api/chat')[-1].left.wait(5), 'the silent connection stays open')


@test
def large_body_lost_on_a_kept_connection_is_sent_once_more():
    with fake.Upstream() as up, backend(up) as server:
        before = prepared(up, server)
        up.on('/api/chat', fails_on_reuse(fake.mode_close))
        messages = [{'role': 'user', 'content': 'x' * 2000000}]
        check_good(CHAT, server.post('/api/chat', {'model': fake.NAME, 'messages': messages}))
        tries = up.requests('/api/chat')[before:]
        equal([r.json()['messages'] == messages for r in tries], [True, True], 'bodies are whole')


@test
def connection_of_a_failed_or_left_answer_is_not_used_again():
    with fake.Upstream() as up, backend(up, '--stall-timeout', 0.3) as server:
        cases = Cases()
        up.gate().set()
        for mode in ('stall', 'no_end', 'bad_chunk', 'said_then_silent', 'error_line'):
            with cases(mode):
                up.on('/api/chat', fake.MODES[mode])
                server.post('/api/chat', CHAT.body)
                failed = up.requests('/api/chat')[-1].connection
                up.on('/api/chat', None)
                check_good(CHAT, server.post('/api/chat', CHAT.body))
                used = up.requests('/api/chat')[-1].connection
                # After a clean end the connection is sound, whatever the lines said.
                check(used != failed or mode in ('no_end', 'error_line'), 'used again')
        cases.judge()


@test
def connection_close_from_ollama_is_heeded():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        def script(x):
            x.reply(200, fake.chat_whole(fake.WORDS), fields=[('Connection', 'close')])
            x.wait_left(5)
        up.on('/api/chat', script)
        for _ in range(3):
            equal(client.post('/api/chat', {**CHAT.body, 'stream': False}).status, 200, 'status')
        equal([r.number for r in up.requests('/api/chat')], [1, 1, 1], 'place on their connections')


@test
def no_descriptor_is_left_by_any_fault():
    modes = ['close', 'reset', 'half_head_close', 'garbage', 'giant_head', 'both_lengths', 'cut_between', 'reset_in_line',
             'bad_chunk', 'no_end', 'stall', 'silent', 'no_last_chunk', 'until_close', 'length_too_long', 'length_too_short',
             'error_line', 'busy', 'empty_403', 'idle_close', 'endless_slow']
    with fake.Upstream() as up, backend(up, '--first-byte-timeout', 0.15, '--stall-timeout', 0.15,
                                        '--max-generation', 0.4) as server:
        up.gate().set()

        def round_of_faults():
            for mode in modes:
                up.on_generations(fake.MODES[mode])
                for form in (CHAT, ORIGIN, V1):
                    server.post(form.path, form.body)
            up.on_generations(None)
            check_good(CHAT, server.post('/api/chat', CHAT.body))
            wait_until(lambda: server.get('/health').json()['active'] == 0, 'nothing runs')
        round_of_faults()
        before = server.descriptors()
        for _ in range(2):
            round_of_faults()
        wait_until(lambda: server.descriptors() <= before + 1, f'no more than {before} descriptors')


@test
def refused_connections_leave_no_descriptor():
    with fake.RefusingPort() as port, backend(port.url, ready=False) as server, Client(server.address) as client:
        check_refused(CHAT.ask(client), 502)
        before = server.descriptors()
        for _ in range(200):
            check_refused(CHAT.ask(client), 502)
        wait_until(lambda: server.descriptors() <= before + 1, f'no more than {before} descriptors')
