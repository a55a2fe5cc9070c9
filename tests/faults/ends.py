# SPDX-License-Identifier: MIT
"""How answers end: complete when the stream said so, else told in the stream, or visibly cut."""

from faults.forms import (CHAT, CHAT_WHOLE, FORMS, GENERATE, ORIGIN, ORIGIN_STREAM, RESPONSES, STREAMS, V1, V1_WHOLE, WHOLES,
                          check_failed_stream, check_good, check_not_taken_for_whole, check_refused)
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test


def fails(mode, *options, forms=None, text=None, status=502):
    """The mode's failure in every form: the good pieces first, then the failure as the form tells it."""
    with fake.Upstream() as up, backend(up, *options) as server:
        cases = Cases()
        up.on_generations(fake.MODES[mode])
        for form in forms or [*STREAMS, ORIGIN, *WHOLES]:
            with cases(form.name), Client(server.address) as client:
                up.gate().clear()
                form.send(client)
                if form.streamed:
                    failed_stream(up, form, client, text)
                else:
                    up.gate().set()
                    reply = client.read_reply()
                    if form is ORIGIN:
                        check_refused(reply, status)
                    else:
                        check_not_taken_for_whole(reply)
        up.on_generations(None)
        for form in FORMS:
            with cases(f'then {form.name}'), Client(server.address) as client:
                check_good(form, form.ask(client))
        cases.judge()


def failed_stream(up, form, client, text):
    reply = client.read_head()
    while not (b' there' in reply.body or b'xxx' in reply.body):  # the second piece, so that a reset overtakes nothing
        check(client.read_chunk(reply), f'ended before the good pieces had come: {reply}')
    up.gate().set()
    client.read_rest(reply)
    check_failed_stream(form, reply, text)


def completes(mode, *options, forms=None):
    """However the connection ends: the answer had said that it is whole."""
    with fake.Upstream() as up, backend(up, *options) as server:
        cases = Cases()
        up.on_generations(fake.MODES[mode])
        for form in forms or [*STREAMS, ORIGIN]:
            with cases(form.name), Client(server.address) as client:
                check_good(form, form.ask(client))
        cases.judge()


@test
def close_between_lines_is_told():
    fails('cut_between')


@test
def reset_between_lines_is_told():
    fails('reset_between')


@test
def close_inside_a_line_is_told():
    fails('cut_in_line')


@test
def reset_inside_a_line_is_told():
    fails('reset_in_line')


@test
def close_inside_a_chunk_is_told():
    fails('cut_in_chunk')


@test
def bad_chunk_is_told():
    fails('bad_chunk')


@test
def overflowing_chunk_size_is_told():
    fails('huge_chunk_size')


@test
def chunk_without_its_end_is_told():
    fails('chunk_without_end', forms=WHOLES)


@test
def clean_end_without_done_is_told():
    fails('no_end', forms=[*STREAMS, ORIGIN])


@test
def length_that_promises_too_much_is_told():
    fails('length_too_long')


@test
def length_that_ends_too_soon_is_told():
    fails('length_too_short', forms=[*STREAMS, ORIGIN])


@test
def surplus_after_a_whole_reply_is_not_served():
    with fake.Upstream() as up, backend(up) as server:
        up.on_generations(fake.MODES['length_too_short'])
        for form in WHOLES:
            with Client(server.address) as client:
                reply = form.ask(client)
                check(len(reply.body) == 20 or reply.status == 502, f'served more than was announced: {reply}')
                up.on_generations(None)
                check_good(CHAT, CHAT.ask(client))
                up.on_generations(fake.MODES['length_too_short'])


@test
def stall_is_told():
    fails('stall', '--stall-timeout', 0.3, '--max-generation', 2, status=504)


@test
def longest_answer_is_cut_and_told():
    fails('endless_slow', '--max-generation', 0.5, forms=[CHAT, GENERATE, V1, ORIGIN, ORIGIN_STREAM], status=(502, 504))


@test
def error_line_is_passed_on_once():
    fails('error_line', forms=[CHAT, GENERATE, ORIGIN_STREAM], text='CUDA error')


@test
def error_line_becomes_the_origin_form_s_error():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', fake.MODES['error_line'])
        text = check_refused(server.post('/api/chat', ORIGIN.body), (500, 502))
        check('CUDA error' in text, f'says {text!r}')


@test
def error_that_ollama_loses_on_v1_is_told():
    fails('error_line', forms=[V1])


@test
def error_event_is_passed_on_once():
    fails('error_event', forms=[V1], text='CUDA error')


@test
def no_last_chunk_after_a_complete_answer_is_no_failure():
    completes('no_last_chunk')


@test
def silence_after_a_complete_answer_is_no_failure():
    completes('said_then_silent', '--stall-timeout', 0.3)


@test
def body_that_ends_at_close_is_complete_when_it_said_so():
    completes('until_close', forms=[*STREAMS, ORIGIN])


@test
def slow_bytes_are_no_stall():
    completes('slow', '--stall-timeout', 2, forms=[CHAT, ORIGIN])


@test
def responses_stream_that_was_incomplete_or_failed_is_complete():
    with fake.Upstream() as up, backend(up) as server:
        for kind in ('incomplete', 'failed'):
            events = fake.response_events(fake.WORDS, done=False)
            events.append(b'event: response.%s\n' % kind.encode() + fake.sse({'type': f'response.{kind}', 'response': {}}))
            up.on('/v1/responses', lambda x, events=events: x.reply_stream(events, fake.SSE))
            reply = server.post('/v1/responses', RESPONSES.body)
            equal(reply.body, b''.join(events), 'body')
            equal(reply.ended, 'chunked', 'end')


@test
def long_line_that_breaks_off_aborts():
    """So much of the line was already out that nothing but an abort can tell."""
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        def script(x):
            x.head()
            x.chunk(b'{"message":{"content":"' + b'x' * 300000)
            x.pass_gate()
            x.close()
        up.on('/api/chat', script)
        CHAT.send(client)
        reply = client.read_head()
        client.read_chunk(reply)
        up.gate().set()
        client.read_rest(reply)
        check(not reply.whole(), f'ends properly after {len(reply.body)} bytes: {reply.body[-100:]!r}')


@test
def long_lines_pass_unchanged():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for size in (60000, 65535, 65536, 65537, 300000, 8000000):
            lines = fake.chat_lines(['x' * size, 'y'])
            up.on('/api/chat', lambda x, lines=lines: x.reply_stream(lines))
            with cases(f'{size} bytes'), Client(server.address) as client:
                reply = CHAT.ask(client)
                equal(reply.ended, 'chunked', 'end')
                check(reply.body == b''.join(lines), 'bytes differ')
        cases.judge()


@test
def whole_replies_pass_byte_for_byte():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for size in (10, 5000, 200000, 3000000):
            body = fake.chat_whole(['x' * size])
            for chunks in (False, True):
                up.on('/api/chat', lambda x, body=body, chunks=chunks: x.reply(200, body, chunked=chunks))
                with cases(f'{size} bytes, chunked {chunks}'), Client(server.address) as client:
                    reply = CHAT_WHOLE.ask(client)
                    check(reply.whole(), 'not whole')
                    check(reply.body == body, f'bytes differ: {len(reply.body)} of {len(body)}')
                    equal(reply.get('Content-Type'), fake.JSON, 'type')
        cases.judge()


@test
def collected_answer_over_8_mib_is_an_error():
    with fake.Upstream() as up, backend(up) as server:
        def script(x):
            x.reply_stream(fake.chat_lines(['x' * 1000000] * 10))
        up.on('/api/chat', script)
        check_refused(server.post('/api/chat', ORIGIN.body), 502)
        up.on('/api/chat', lambda x: x.reply_stream(fake.chat_lines(['x' * 1000000] * 7)))
        reply = server.post('/api/chat', ORIGIN.body)
        equal((reply.status, len(reply.json()['response'])), (200, 7000000), 'status and length')


@test
def nonsense_lines_do_not_pass_for_an_answer():
    with fake.Upstream() as up, backend(up) as server:
        up.on('/api/chat', lambda x: x.reply_stream([b'<html>not Ollama</html>\n']))
        check_refused(server.post('/api/chat', ORIGIN.body), 502)


@test
def v1_whole_reply_passes():
    completes('normal', forms=[V1_WHOLE, CHAT_WHOLE])
