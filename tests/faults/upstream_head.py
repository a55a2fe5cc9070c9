# SPDX-License-Identifier: MIT
"""Ollama that fails, lies or answers nonsense before the first byte of a reply, and its own refusals."""

from faults.forms import CHAT, FORMS, ORIGIN, V1, check_good, check_refused, error_text
from fake import upstream as fake
from lib.harness import Cases, Client, Server, backend, check, chunked, equal, test, wait_until


def each_form(server, judge, forms=None):
    """Asks in each form, each time on a connection of its own."""
    cases = Cases()
    for form in forms or FORMS:
        with cases(form.name), Client(server.address) as client:
            judge(form, form.ask(client))
    cases.judge()


def refused_in_each_form(mode, status, *options):
    with fake.Upstream() as up, backend(up, *options) as server:
        up.on_generations(fake.MODES[mode])
        each_form(server, lambda form, reply: check_refused(reply, status, form.openai))
        up.on_generations(None)
        each_form(server, check_good)


def good_in_each_form(mode):
    with fake.Upstream() as up, backend(up) as server:
        up.on_generations(fake.MODES[mode])
        each_form(server, check_good)


@test
def refused_connection_is_502_in_every_form():
    with fake.RefusingPort() as port, backend(port.url, ready=False) as server:
        each_form(server, lambda form, reply: check_refused(reply, 502, form.openai))
        equal(server.get('/health').status, 200, '/health just after the start')


@test
def ollama_that_goes_and_comes_back_is_served_again():
    with fake.Upstream() as up, backend(up) as server:
        up.refuse()
        with Client(server.address) as client:
            for _ in range(3):
                check_refused(CHAT.ask(client), 502)
            up.listen_again()
            wait_until(lambda: CHAT.ask(client).status == 200, 'a chat is served again')


@test
def accept_then_close_is_502():
    with fake.Upstream() as up, backend(up) as server:
        up.on_accept(lambda connection: connection.close())
        each_form(server, lambda form, reply: check_refused(reply, 502, form.openai))


@test
def close_after_the_request_is_502():
    refused_in_each_form('close', 502)


@test
def reset_after_the_request_is_502():
    refused_in_each_form('reset', 502)


@test
def close_inside_the_head_is_502():
    refused_in_each_form('half_head_close', 502)


@test
def reset_inside_the_head_is_502():
    refused_in_each_form('half_head_reset', 502)


@test
def silence_is_504():
    refused_in_each_form('silent', 504, '--first-byte-timeout', 0.3, '--max-generation', 0.6)


@test
def silence_inside_the_head_is_504():
    refused_in_each_form('half_head_silent', 504, '--first-byte-timeout', 0.3, '--stall-timeout', 0.3, '--max-generation', 0.6)


@test
def garbage_is_502():
    refused_in_each_form('garbage', 502)


@test
def another_protocol_is_502():
    refused_in_each_form('not_http', 502)


@test
def giant_head_is_502():
    refused_in_each_form('giant_head', 502)


@test
def both_lengths_are_502():
    refused_in_each_form('both_lengths', 502)


@test
def two_lengths_are_502():
    refused_in_each_form('two_lengths', 502)


@test
def unknown_transfer_coding_is_502():
    refused_in_each_form('odd_coding', 502)


@test
def no_content_with_a_body_is_502():
    refused_in_each_form('204_with_body', 502)


@test
def heads_and_bodies_byte_by_byte_are_read():
    good_in_each_form('head_bytes')


@test
def ten_interim_heads_are_passed_over():
    good_in_each_form('ten_continues')


@test
def a_thousand_interim_heads_are_passed_over_or_refused():
    with fake.Upstream() as up, backend(up) as server:
        up.on_generations(fake.MODES['continues'])
        each_form(server, lambda form, reply: check_good(form, reply) if reply.status == 200
                  else check_refused(reply, 502, form.openai))


@test
def endless_interim_heads_come_to_an_end():
    refused_in_each_form('endless_continues', (502, 504), '--first-byte-timeout', 0.5, '--stall-timeout', 0.5,
                         '--max-generation', 1)


@test
def head_cut_at_every_byte_is_502():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        head = b'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n'
        cases = Cases()
        for n in range(1, len(head)):
            def script(x, n=n):
                x.send(head[:n])
                x.close()
            up.on('/api/chat', script)
            with cases(f'after {n} bytes'):
                check_refused(CHAT.ask(client), 502)
        cases.judge()


@test
def ollama_s_own_errors_pass_unchanged():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for mode, status in (('server_error', 500), ('bad_request', 400), ('not_found', 404)):
            up.on_generations(fake.MODES[mode])
            for form in FORMS:
                with cases(f'{mode}, {form.name}'), Client(server.address) as client:
                    reply = form.ask(client)
                    equal(reply.status, status, 'status')
                    text = error_text(reply, form.openai and mode == 'not_found')
                    if mode == 'not_found':
                        check('not found' in text, f'says {text!r}')
                    elif form.family != 'origin':
                        equal(reply.body, {'server_error': b'{"error":"llama runner process has terminated: exit status 2"}',
                                           'bad_request': b'{"error":"\\"llama3.2:1b\\" does not support thinking"}'}[mode], 'body')
        cases.judge()


@test
def busy_ollama_gains_retry_after():
    with fake.Upstream() as up, backend(up) as server:
        for mode, status in (('busy', 503), ('too_many', 429)):
            up.on_generations(fake.MODES[mode])

            def judge(form, reply, status=status):
                equal(reply.status, status, 'status')
                check(int(reply.get('Retry-After') or 0) >= 1, f'Retry-After is {reply.get("Retry-After")}')
                check(b'please try again' in reply.body or b'too many' in reply.body, f'body {reply.body!r}')
            each_form(server, judge)


@test
def empty_403_becomes_502_in_words():
    refused_in_each_form('empty_403', 502)


@test
def connection_with_surplus_bytes_is_not_used_again():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        def script(x):
            x.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
                   b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"evil": 1}')
            x.wait_left()
        up.on('/api/chat', script)
        equal(client.post('/api/chat', {**CHAT.body, 'stream': False}).body, b'{}', 'body')
        up.on('/api/chat', None)
        check_good(CHAT, CHAT.ask(client))
        first, second = up.requests('/api/chat')
        check(first.connection != second.connection, 'the connection was used again')


@test
def host_name_that_does_not_exist_stalls_nothing():
    with Server('backend', '--ollama', 'http://name.invalid:1', '--connect-timeout', 3) as server:
        with Client(server.address) as chat, Client(server.address) as other:
            CHAT.send(chat)
            equal(other.get('/health').status, 200, '/health meanwhile')
            check_refused(chat.read_reply(), (502, 504))
            equal(other.get('/').status, 200, '/ afterwards')


@test
def compressed_request_never_reaches_ollama():
    with fake.Upstream() as up, backend(up) as server:
        for form in (CHAT, ORIGIN, V1):
            reply = server.post(form.path, b'\x1f\x8b\x08', fields={'Content-Encoding': 'gzip'})
            check_refused(reply, 415, form.openai)
        reply = server.post('/api/chat', CHAT.body, fields={'Content-Encoding': 'identity'})
        equal(reply.status, 200, 'identity')
        equal(len(up.requests('/api/chat')), 1, 'requests that reached the upstream')


@test
def chunked_request_body_is_undone():
    with fake.Upstream() as up, backend(up) as server:
        body = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"hi"}]}'
        reply = server.post('/api/chat', chunked(body[:5], body[5:20], body[20:]), fields={'Transfer-Encoding': 'chunked'})
        check_good(CHAT, reply)
        request = up.requests('/api/chat')[0]
        equal(request.body, body, 'body at the upstream')
        equal(request.get('Content-Length'), str(len(body)), 'Content-Length at the upstream')
