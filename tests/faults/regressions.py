# SPDX-License-Identifier: MIT
"""Bugs that were found by reading or by attack; each came back to life in its test before it was mended."""

import os
import socket
import subprocess
import tempfile
import threading

from fake import upstream as fake
from faults.forms import CHAT, CHAT_WHOLE, ORIGIN, STREAMS, check_good, check_refused
from lib.harness import (Cases, Client, Server, backend, binary, check, children_of, clean_environment, cpu_seconds, equal,
                         test, wait_until)


class Activated:
    """A frontend that is handed its listener, as socket activation does it (sd_listen_fds(3))."""

    def __init__(self, *options):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(200)
        self.address = self.listener.getsockname()
        fd = self.listener.fileno()
        words = ' '.join([binary(), 'frontend', *map(str, options)])
        script = f'exec 3<&{fd}; export LISTEN_PID=$$ LISTEN_FDS=1; exec {words} 2>/dev/null'
        self.process = subprocess.Popen(['bash', '-c', script], pass_fds=[fd], env=clean_environment(),
                                        stdout=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(2)
        equal(self.process.wait(10), 0, 'exit code')
        self.process.stdout.close()
        self.listener.close()


@test
def nonsense_behind_the_end_of_an_answer_is_nothing():
    def no_newline(x):
        x.chunk(b'garbage without newline')

    def split_error(x):
        x.chunk(b'{"error":"late')
        x.pass_gate()
        x.chunk(b'"}\n')

    for after in (no_newline, split_error):
        with fake.Upstream() as up, backend(up) as server:
            def script(x):
                x.head(200, fake.NDJSON)
                for line in fake.chat_lines(['a', 'b']):
                    x.chunk(line)
                after(x)
                x.last_chunk()
            up.on('/api/chat', script)
            worker = server.worker()
            up.gate().clear()
            with Client(server.address) as client:
                client.request('POST', '/api/chat', {'model': fake.NAME, 'prompt': 'hi'})
                up.wait_exchange('/api/chat')
                up.gate().set()
                equal(client.read_reply().json()['response'], 'ab', 'answer')
            equal(server.worker(), worker, 'the worker')


@test
def conversation_id_is_the_client_s_own_however_long_the_answer_takes():
    """It once pointed into memory that the next request's body was written to."""
    with fake.Upstream() as up, backend(up) as server:
        def script(x):
            x.head(200, fake.NDJSON)
            lines = list(fake.chat_lines(['a', 'b']))
            x.chunk(lines[0])
            x.pass_gate()
            for line in lines[1:]:
                x.chunk(line)
            x.last_chunk()
        up.on('/api/chat', script)
        up.gate().clear()
        replies = []
        def first():
            replies.append(server.post('/api/chat', {'model': fake.NAME, 'prompt': 'hi', 'conversation_id': 'mine'}).json())
        asking = threading.Thread(target=first)
        asking.start()
        up.wait_exchange('/api/chat')
        with Client(server.address) as other:
            other.send(other.head('POST', '/api/chat', {'Content-Length': 9000}) + b'{"prompt":"' + b'SECRET ' * 500)
            wait_until(lambda: server.get('/health').json()['active'] == 1, 'the turn')
            up.gate().set()
            asking.join(20)
        equal(replies[0]['conversation_id'], 'mine', 'conversation_id')


@test
def full_shared_listener_does_not_spin():
    with Activated('--workers', 2, '--max-connections', 16, '--head-timeout', 60) as server:
        held = [socket.create_connection(server.address) for _ in range(80)]
        try:
            for one in held:
                one.send(b'GET / HT')
            workers = wait_until(lambda: children_of(server.process.pid), 'the workers')

            def is_quiet():
                before = sum(map(cpu_seconds, workers))
                threading.Event().wait(1)  # the span that is measured
                return sum(map(cpu_seconds, workers)) - before < 0.3
            wait_until(is_quiet, 'a second that costs next to nothing')
        finally:
            for one in held:
                one.close()


@test
def activated_loopback_listener_refuses_foreign_hosts():
    with Activated('--workers', 1) as server, Client(server.address) as client:
        check(f'http://127.0.0.1:{server.address[1]}' in server.said, f'says {server.said!r}')
        equal(client.get('/config.json', fields={'Host': 'evil.example'}).status, 421, 'foreign host')


@test
def silent_connections_do_not_starve_probes():
    with fake.Upstream() as up, backend(up, '--max-connections', 16, '--head-timeout', 600) as server:
        silent = [server.client() for _ in range(60)]
        with Client(server.address) as client:
            equal(client.get('/health').status, 200, '/health')
        for one in silent:
            one.close()


@test
def head_through_the_proxy_tells_the_length_of_a_get():
    with fake.Upstream() as up, backend(up) as behind, Server('frontend', '--api-proxy', behind.url) as server:
        length = server.get('/api/tags').get('Content-Length')
        check(int(length) > 0, f'length of a GET: {length}')
        equal(server.ask('HEAD', '/api/tags').get('Content-Length'), length, 'length of a HEAD')


@test
def demo_on_all_addresses_serves_the_api_by_any_name():
    with Server('demo', '--ollama', 'sim', listen='0.0.0.0:0') as server, Client(('127.0.0.1', server.address[1])) as client:
        for path in ('/', '/api/tags'):
            equal(client.get(path, fields={'Host': 'mybox.lan'}).status, 200, path)


@test
def file_that_cannot_be_opened_for_want_of_descriptors_is_503():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'big.bin'), 'wb') as file:
            file.write(b'x' * 9000000)
        # two descriptors a download, and the limit leaves room for fewer than are asked for
        with Server('frontend', '--workers', 1, '--root', folder, '--max-connections', 400, nofile=256) as server:
            clients, statuses = [], set()
            for _ in range(120):
                clients.append(Client(server.address, receive_buffer=4096))
                clients[-1].send(b'GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n')
            for client in clients:
                try:
                    statuses.add(client.read_head().status)
                except (OSError, AssertionError):
                    statuses.add('closed')  # it had not been heard of yet when room was needed
                client.close()
            check(200 in statuses and statuses <= {200, 503, 'closed'}, f'statuses {statuses}')


@test
def half_heads_do_not_starve_probes():
    with fake.Upstream() as up, backend(up, '--max-connections', 16, '--head-timeout', 600) as server:
        held = [server.client() for _ in range(60)]
        for one in held:
            try:
                one.send(b'GET / HT')
            except OSError:
                pass  # it has made room already
        with Client(server.address) as client:
            equal(client.get('/health').status, 200, '/health')
        for one in held:
            one.close()


@test
def drain_deadline_is_told_to_those_it_cuts():
    with fake.Upstream() as up, backend(up, '--drain-announce', 0, '--drain-timeout', 0.5, may_restart=True) as server:
        up.on('/api/chat', fake.MODES['endless_slow'])
        with Client(server.address) as first, Client(server.address) as second:
            CHAT.send(first)
            reply = first.read_head()
            first.read_chunk(reply)
            CHAT.send(second)
            wait_until(lambda: server.get('/health').json()['queued'] == 1, 'the second waits')
            server.process.terminate()
            first.read_rest(reply)
            check(reply.whole() and b'"error"' in reply.body.split(b'\n')[-2], f'cut without a word: {reply}')
            check_refused(second.read_reply(), 503)
            equal(server.process.wait(10), 0, 'exit code')


@test
def chunk_that_is_too_long_is_refused_by_its_size_line():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        client.send(client.head('POST', '/api/chat', {'Transfer-Encoding': 'chunked'}) + b'80000000\r\n')
        check_refused(client.read_reply(), 413)


@test
def refused_route_does_not_wait_for_its_body():
    with fake.Upstream() as up, backend(up) as server, Client(server.address) as client:
        client.send(client.head('POST', '/nowhere', {'Content-Length': 100000}) + b'x')
        check_refused(client.read_reply(), 404)


@test
def stream_ends_with_its_done_however_long_ollama_keeps_it_open():
    with fake.Upstream() as up, backend(up, '--stall-timeout', 300) as server:
        up.on_generations(fake.MODES['said_then_silent'])
        cases = Cases()
        for form in [*STREAMS, ORIGIN]:
            with cases(form.name), Client(server.address) as client:
                check_good(form, form.ask(client))
        cases.judge()


@test
def replies_that_are_not_ollama_s_are_502():
    heads = {'redirect': (302, [('Location', 'http://elsewhere.example/'), ('Content-Length', '0')]),
             'part': (206, [('Content-Type', 'application/json'), ('Content-Length', '2')]),
             'encoded': (200, [('Content-Type', 'application/json'), ('Content-Encoding', 'gzip'), ('Content-Length', '2')])}
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for name, (status, fields) in heads.items():
            def script(x, status=status, fields=fields):
                text = ''.join(f'{k}: {v}\r\n' for k, v in fields)
                x.send(f'HTTP/1.1 {status} Some\r\n{text}\r\n'.encode() + (b'{}' if status != 302 else b''))
            up.on('/api/chat', script)
            for form in (CHAT, CHAT_WHOLE, ORIGIN):
                with cases(f'{name}, {form.name}'), Client(server.address) as client:
                    check_refused(form.ask(client), 502)
        cases.judge()


@test
def long_names_and_unlisted_models_are_refused():
    with fake.Upstream() as up, backend(up, '--models', 'good') as server:
        text = check_refused(server.post('/api/chat', {'model': 'a' * 100000, 'messages': []}), 400)
        check('too long' in text, f'says {text!r}')
        for path in ('/v1/models/bad', '/v1/models/b%61d', '/v1/models/./bad', '/v1/models/'):
            check_refused(server.get(path), 404, True)
        equal(up.requests('/v1/models/bad'), [], 'requests at the upstream')


@test
def words_of_ollama_are_passed_on_but_not_logged():
    """An error may quote the prompt; the log must not."""
    with fake.Upstream() as up, backend(up) as server:
        def script(x):
            x.head(200, fake.NDJSON)
            x.chunk(b'{"error":"cannot tokenize MARKER-OF-A-PROMPT"}\n')
            x.last_chunk()
        up.on('/api/chat', script)
        text = check_refused(server.post('/api/chat', {'model': fake.NAME, 'prompt': 'MARKER-OF-A-PROMPT'}), 502)
        check('MARKER-OF-A-PROMPT' in text, f'the client is not told: {text!r}')
        wait_until(lambda: server.logged('status=502'), 'the log of the failure')
        check(not server.logged('MARKER-OF-A-PROMPT'), 'the log quotes a prompt')


@test
def announced_drain_serves_on_and_a_second_signal_ends_it():
    with fake.Upstream() as up, backend(up, '--drain-announce', 60, may_restart=True) as server, Client(server.address) as kept:
        equal(kept.get('/health').status, 200, '/health before')
        server.process.terminate()
        wait_until(lambda: server.get('/health').status == 503, '/health tells of the drain')
        equal(server.get('/health').json()['status'], 'draining', 'status')
        reply = kept.post('/api/chat', CHAT.body)
        check_good(CHAT, reply)
        equal(reply.get('Connection'), 'close', 'Connection')
        server.process.terminate()
        equal(server.process.wait(10), 0, 'exit code')


class Inheriting:
    """A frontend that is handed several sockets."""

    def __init__(self, *sockets, count=None):
        fds = [sock.fileno() for sock in sockets]
        moves = ' '.join(f'{100 + n}<&{fd}' for n, fd in enumerate(fds)), ' '.join(f'{3 + n}<&{100 + n}' for n in range(len(fds)))
        script = f'exec {moves[0]}; exec {moves[1]}; export LISTEN_PID=$$ LISTEN_FDS={count or len(fds)}; exec {binary()} frontend --workers $0'
        self.script, self.fds = script, fds

    def start(self, workers):
        return subprocess.Popen(['bash', '-c', self.script, str(workers)], pass_fds=self.fds, env=clean_environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def listener(host, family=socket.AF_INET):
    sock = socket.socket(family)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((host, 0))
    sock.listen(200)
    return sock


@test
def every_inherited_address_is_served():
    for workers in (1, 3):
        for first, then in ((('0.0.0.0',), ('::', socket.AF_INET6)), (('127.0.0.1',), ('127.0.0.2',))):
            with listener(*first) as one, listener(*then) as other:
                process = Inheriting(one, other).start(workers)
                said = [process.stdout.readline(), process.stdout.readline()]
                ports = [sock.getsockname()[1] for sock in (one, other)]
                equal([int(line.rsplit(':', 1)[1]) for line in said], ports, 'ports it says it listens on')
                for sock in (one, other):
                    host, port = sock.getsockname()[:2]
                    with Client(({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host), port)) as client:
                        equal(client.get('/health').status, 200, f'/health at {host}')
                process.send_signal(2)
                process.communicate(timeout=10)
                equal(process.returncode, 0, 'exit code')


@test
def inherited_sockets_that_cannot_be_served_are_refused_in_one_line():
    with listener('127.0.0.1') as loopback, listener('0.0.0.0') as open_to_all, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        for sockets, count, word in (((loopback, open_to_all), 2, 'loopback'), ((loopback, datagrams), 2, 'no listening TCP socket'),
                                     ((loopback,), 65, 'more than 64')):
            out, said = (process := Inheriting(*sockets, count=count).start(1)).communicate(timeout=10)
            equal((process.returncode, out), (1, ''), f'exit code ({said})')
            check(word in said and said.count('\n') == 1, f'{word!r} is not in: {said!r}')


@test
def listener_that_is_shut_from_outside_does_not_hold_the_end_up():
    """Whoever handed it over can do that; every accept() then fails, for good."""
    with listener('127.0.0.1') as one:
        process = Inheriting(one).start(1)
        check('listening' in process.stdout.readline(), 'it does not start')
        with Client(one.getsockname()) as client:
            equal(client.get('/health').status, 200, '/health')
            one.shutdown(socket.SHUT_RDWR)
            equal(client.get('/health').status, 200, '/health on a connection that is there')
        process.send_signal(2)
        process.communicate(timeout=10)
        equal(process.returncode, 0, 'exit code')
