# SPDX-License-Identifier: MIT
"""Deadlines towards Ollama and towards clients, with small values; the bounds asserted are only that they come."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from faults.forms import (CHAT, CHAT_WHOLE, FORMS, ORIGIN, V1, V1_WHOLE, check_failed_stream, check_good, check_refused)
from fake import upstream as fake
from lib.harness import ROOT, Cases, Client, backend, check, equal, test, wait_until


@test
def connect_timeout_is_502():
    with fake.DeafPort() as port, backend(port.url, '--connect-timeout', 0.3, ready=False) as server:
        cases = Cases()
        for form in FORMS:
            with cases(form.name), Client(server.address) as client:
                check_refused(form.ask(client), 502, form.openai)
        cases.judge()


@test
def health_answers_while_connects_hang():
    with fake.DeafPort() as port, backend(port.url, '--connect-timeout', 30, ready=False) as server:
        with Client(server.address) as chat:
            CHAT.send(chat)
            wait_until(lambda: server.get('/health').json()['active'] == 1, 'the chat has its turn')
            equal(server.get('/health').status, 200, '/health')


def is_stopped(pid):
    states = [task.joinpath('stat').read_text().rsplit(')', 1)[1].split()[0] for task in Path(f'/proc/{pid}/task').iterdir()]
    return set(states) == {'T'}


@test
def stopped_ollama_keeps_health_answering_and_chat_fails_in_words():
    fake_program = [sys.executable, str(ROOT / 'tests/fake/upstream.py')]
    process = subprocess.Popen(fake_program, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().split()[-1]
        with backend(url, '--first-byte-timeout', 0.5) as server, Client(server.address) as chat:
            check_good(CHAT, CHAT.ask(chat))
            os.kill(process.pid, signal.SIGSTOP)
            wait_until(lambda: is_stopped(process.pid), 'every thread of it stands still')
            CHAT.send(chat)
            for _ in range(20):
                equal(server.get('/health').status, 200, '/health')
            check_refused(chat.read_reply(), 504)
            os.kill(process.pid, signal.SIGCONT)
            wait_until(lambda: CHAT.ask(chat).status == 200, 'a chat after SIGCONT')
    finally:
        process.kill()
        process.wait()


@test
def whole_answers_may_take_longer_than_the_first_byte_timeout():
    """The first byte of a whole answer is its last: --max-generation stands in."""
    with fake.Upstream() as up, backend(up, '--first-byte-timeout', 0.2) as server:
        def script(x):
            time.sleep(0.8)
            fake.answer(x)
        up.on_generations(script)
        cases = Cases()
        for form in (CHAT_WHOLE, V1_WHOLE):
            with cases(form.name), Client(server.address) as client:
                check_good(form, form.ask(client))
        cases.judge()


@test
def whole_answers_end_at_max_generation():
    with fake.Upstream() as up, backend(up, '--max-generation', 0.3) as server:
        up.on_generations(fake.MODES['silent'])
        for form in (CHAT_WHOLE, V1_WHOLE):
            check_refused(server.post(form.path, form.body), 504, form.openai)


@test
def timed_out_generation_leaves_ollama():
    with fake.Upstream() as up, backend(up, '--first-byte-timeout', 0.3) as server:
        up.on('/api/chat', fake.MODES['silent'])
        check_refused(server.post('/api/chat', CHAT.body), 504)
        check(up.wait_exchange('/api/chat').left.wait(5), 'the connection to Ollama stays open')
        wait_until(lambda: server.get('/health').json()['active'] == 0, 'the turn is free')


@test
def stalled_generation_leaves_ollama():
    with fake.Upstream() as up, backend(up, '--stall-timeout', 0.3) as server:
        up.on(V1.path, fake.MODES['stall'])
        check_failed_stream(V1, server.post(V1.path, V1.body))
        check(up.wait_exchange(V1.path).left.wait(5), 'the connection to Ollama stays open')


@test
def moving_bytes_hold_off_the_stall_timeout():
    with fake.Upstream() as up, backend(up, '--stall-timeout', 1) as server:
        def script(x):
            x.head()
            for byte in b''.join(fake.chat_lines(['a' * 10])):
                x.chunk(bytes([byte]))
                time.sleep(0.004)
            x.last_chunk()
        up.on('/api/chat', script)
        equal(server.post('/api/chat', CHAT.body).lines()[-1]['done'], True, 'done')
        equal(server.post('/api/chat', ORIGIN.body).json()['response'], 'a' * 10, 'collected')


@test
def slow_head_is_408():
    with fake.Upstream() as up, backend(up, '--head-timeout', 0.3) as server, Client(server.address) as client:
        client.send(b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\n')
        reply = client.read_reply()
        check_refused(reply, 408)
        client.read_close()


@test
def silent_connection_is_closed():
    with fake.Upstream() as up, backend(up, '--head-timeout', 0.3, '--idle-timeout', 0.3) as server:
        with Client(server.address) as fresh, Client(server.address) as kept:
            equal(kept.get('/health').status, 200, '/health')
            equal(kept.read_close('the idle close'), b'', 'bytes before the idle close')
            left = fresh.read_close('the close of a connection that never asked')
            check(left == b'' or left.startswith(b'HTTP/1.1 408 '), f'said {left!r}')


@test
def slow_body_is_408():
    with fake.Upstream() as up, backend(up, '--body-timeout', 0.3) as server, Client(server.address) as client:
        client.send(b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"model":')
        check_refused(client.read_reply(), 408)
        client.read_close()
        equal(up.requests('/api/chat'), [], 'requests at the upstream')


@test
def body_in_slow_pieces_is_taken():
    with fake.Upstream() as up, backend(up, '--body-timeout', 2, '--head-timeout', 1) as server:
        with Client(server.address) as client:
            body = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"hi"}]}'
            client.send(client.head('POST', '/api/chat', {'Content-Length': len(body)}))
            for n in range(len(body)):
                client.send(body[n:n + 1])
                time.sleep(0.02)
            check_good(CHAT, client.read_reply())


@test
def client_that_takes_nothing_is_reset_and_ollama_freed():
    with fake.Upstream() as up, backend(up, '--send-timeout', 0.5) as server:
        up.on('/api/chat', fake.MODES['endless'])
        with Client(server.address, receive_buffer=4096) as client:
            CHAT.send(client)
            x = up.wait_exchange('/api/chat')
            check(x.left.wait(10), 'Ollama goes on for a client that takes nothing')
            reply = client.read_rest(client.read_head())
            equal(reply.ended, 'reset', 'end')
        wait_until(lambda: server.get('/health').json()['active'] == 0, 'the turn is free')


@test
def start_timeout_turns_starting_into_degraded():
    with fake.RefusingPort() as port, backend(port.url, '--start-timeout', 1.5, ready=False) as server:
        first = server.get('/health')
        equal((first.status, first.json()['status']), (200, 'starting'), '/health at first')
        wait_until(lambda: server.get('/health').json()['status'] == 'degraded', 'degraded')

