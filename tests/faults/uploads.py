# SPDX-License-Identifier: MIT
"""Blobs: bodies that go on to Ollama as they come, of any length, in bounded memory; and what ends them early."""

import hashlib
import os
import re
import select
import signal
import threading

from fake import upstream as fake
from faults.forms import check_refused
from lib.harness import Cases, Client, backend, check, equal, one_stack, resident_bytes, test, wait_until

DIGEST = 'sha256:' + '0a' * 32
PATH = f'/api/blobs/{DIGEST}'
MIB = 1 << 20
FLAT = 3 * MIB  # what a worker may grow by, whatever it passes on: buffers, and pages touched for the first time


class Upload:
    """What one upload was, as Ollama saw it."""

    def __init__(self, connection, head):
        self.connection, self.head = connection, head
        self.count, self.sha, self.tail = 0, hashlib.sha256(), b''
        self.whole = False  # its framing said so
        self.over = threading.Event()

    def field(self, name):
        found = re.search(rb'\r\n' + name + rb': ?([^\r]*)\r\n', self.head, re.I)
        return found.group(1).decode() if found else None

    def take(self, data):
        self.count += len(data)
        self.sha.update(data)

    def read(self, most=1 << 60):
        """Reads the body, or about `most` bytes of it; False when the connection ended first."""
        if self.field(b'Content-Length') is not None:
            return self._read_length(most)
        return self._read_chunks(most)

    def _read_length(self, most):
        length = int(self.field(b'Content-Length'))
        while self.count < min(length, most):
            if not self.connection.ahead and not self.connection._more():
                return False
            data, self.connection.ahead = self.connection.ahead[:length - self.count], self.connection.ahead[length - self.count:]
            self.take(data)
        self.whole = self.count == length
        return True

    def _read_chunks(self, most):
        while self.count < most:
            line = self.connection.read_until(b'\r\n')
            if line is None:
                return False
            size = int(line, 16)
            data = self.connection.read_exactly(size + 2)
            if data is None:
                return False
            if size == 0:
                self.whole = True
                return True
            self.take(data[:-2])
        return True

    def reply(self, status=201, body=b'', kind='application/json; charset=utf-8'):
        reason = {200: 'OK', 201: 'Created', 400: 'Bad Request', 500: 'Internal Server Error', 503: 'Service Unavailable'}.get(status, 'X')
        type_field = f'Content-Type: {kind}\r\n' if body else ''
        self.connection.sock.sendall(f'HTTP/1.1 {status} {reason}\r\n{type_field}Content-Length: {len(body)}\r\n\r\n'.encode() + body)


def take_all(upload):
    if upload.read():
        upload.reply()


class Store(fake.Upstream):
    """A scripted Ollama whose uploads are handled as they come, by script(upload)."""

    def __init__(self, script=take_all):
        super().__init__()
        self.script, self.uploads = script, []
        self.on_accept(self._first)

    def _first(self, connection):
        head = connection.read_until(b'\r\n\r\n')
        if head is None:
            return False
        if not head.startswith(b'POST /api/blobs/'):
            connection.ahead = head + connection.ahead
            return True
        upload = Upload(connection, head)
        with self._lock:
            self.uploads.append(upload)
        try:
            self.script(upload)
        except OSError:
            pass
        upload.over.set()
        connection.close()
        return False

    def upload(self, number=1):
        return wait_until(lambda: len(self.uploads) >= number and self.uploads[number - 1], f'upload {number} at the upstream')


def admin(up, *options, **keywords):
    return backend(up, '--allow-admin', *options, **keywords)


def pattern(n):
    """n bytes that differ from place to place."""
    block = b''.join(i.to_bytes(4, 'big') for i in range(16384))
    return (block * (n // len(block) + 1))[:n]


def send_many(client, total, piece, wrap=lambda data: data):
    """Sends `total` bytes of a pattern; their SHA-256."""
    sha, block, sent = hashlib.sha256(), pattern(piece), 0
    while sent < total:
        data = block[:total - sent]
        client.send(wrap(data))
        sha.update(data)
        sent += len(data)
    return sha.hexdigest()


def as_chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data)


@test
def a_hundred_megabytes_with_flat_memory():
    total = 100 * MIB
    with Store() as up, admin(up, '--max-body', '1k', '--body-memory', '64k', env=one_stack()) as server:
        before = resident_bytes(server.worker())
        for number, (fields, wrap, last) in enumerate((({'Content-Length': total}, lambda data: data, b''),
                                                       ({'Transfer-Encoding': 'chunked'}, as_chunk, b'0\r\n\r\n')), 1):
            with Client(server.address, deadline=25) as client:
                client.send(client.head('POST', PATH, fields))
                sha = send_many(client, total, 100003, wrap)
                client.send(last)
                grown = resident_bytes(server.worker()) - before
                reply = client.read_reply()
                equal((reply.status, reply.body, reply.get('Content-Length')), (201, b'', '0'), 'reply')
                upload = up.upload(number)
                equal((upload.count, upload.whole, upload.sha.hexdigest()), (total, True, sha), f'what came: {fields}')
                check(grown < FLAT, f'{fields}: grown by {grown} bytes')
        equal(up.uploads[0].field(b'Content-Length'), str(total), 'Content-Length')
        equal(up.uploads[1].field(b'Transfer-Encoding'), 'chunked', 'Transfer-Encoding')


@test
def what_ollama_is_sent():
    with Store() as up, admin(up) as server:
        reply = server.post(PATH, b'abc', fields={'Authorization': 'Bearer x', 'Cookie': 'a=b', 'X-Forwarded-For': '1.2.3.4', 'Content-Type': 'text/x'})
        equal(reply.status, 201, 'status')
        equal(up.uploads[0].head.decode(), f'POST {PATH} HTTP/1.1\r\nHost: {up.host}\r\nContent-Type: application/octet-stream\r\n'
              'Content-Length: 3\r\n\r\n', 'head')


@test
def small_bodies_in_every_form():
    with Store() as up, admin(up) as server:
        cases = Cases()
        for number, (name, fields, raw, content) in enumerate((
                ('empty', {'Content-Length': 0}, b'', b''), ('one byte', {'Content-Length': 1}, b'x', b'x'),
                ('empty, chunked', {'Transfer-Encoding': 'chunked'}, b'0\r\n\r\n', b''),
                ('chunks', {'Transfer-Encoding': 'chunked'}, b'1\r\na\r\n2;x=y\r\nbc\r\n00\r\nTrailer: x\r\n\r\n', b'abc'),
                ('many chunks', {'Transfer-Encoding': 'chunked'}, b'1\r\nz\r\n' * 20000 + b'0\r\n\r\n', b'z' * 20000),
                ('60000', {'Content-Length': 60000}, pattern(60000), pattern(60000))), 1):
            for slowly in (False, True) if len(raw) < 100 else (False,):
                with cases(f'{name}, {slowly}'), Client(server.address) as client:
                    seen = len(up.uploads)
                    client.send(client.head('POST', PATH, fields)) if slowly else client.send(client.head('POST', PATH, fields) + raw)
                    if slowly:
                        client.send_each_byte(raw)
                    equal(client.read_reply().status, 201, 'status')
                    upload = up.upload(seen + 1)
                    equal((upload.whole, upload.sha.hexdigest()), (True, hashlib.sha256(content).hexdigest()), 'content')
                    equal(client.get('/health').status, 200, 'the next request on this connection')
        cases.judge()


@test
def pipelined_behind_an_upload():
    with Store() as up, admin(up) as server, Client(server.address) as client:
        body = pattern(300000)
        client.send(client.head('POST', PATH, {'Content-Length': len(body)}) + body + client.head('GET', '/health')
                    + client.head('POST', PATH, {'Transfer-Encoding': 'chunked'}) + as_chunk(body) + b'0\r\n\r\n' + client.head('GET', '/health'))
        equal([client.read_reply().status for _ in range(4)], [201, 200, 201, 200], 'statuses')
        equal([upload.count for upload in up.uploads], [300000] * 2, 'lengths')


@test
def asking_for_a_blob():
    with fake.Upstream() as up, admin(up) as server:
        for status in (200, 404):
            for path in (PATH, PATH.replace(':', '-'), PATH.upper().replace('/API/BLOBS/SHA256', '/api/blobs/sha256')):
                up.on(path, lambda x, status=status: x.reply(status, b'', None))
                reply = server.ask('HEAD', path)
                equal((reply.status, reply.body), (status, b''), path)
                equal(up.requests(path)[-1].method, 'HEAD', 'method')
                check(not up.requests(path)[-1].has('Content-Length'), 'a HEAD with a body')
        for name in ('', 'x', 'sha256:', 'sha256:' + 'a' * 63, 'sha256:' + 'a' * 65, 'sha256:' + 'g' * 64, 'md5:' + 'a' * 64, 'sha256:' + 'a' * 64 + '/x',
                     'sha256%2f' + 'a' * 64, 'sha256:..%2f' + 'a' * 61, 'SHA256:' + 'a' * 64):
            before = len(up.requests())
            for method in ('HEAD', 'POST'):
                check(server.ask(method, f'/api/blobs/{name}', b'x' if method == 'POST' else None).status in (400, 404), f'{method} {name}')
            check(not any('blobs' in r.path for r in up.requests()[before:]), f'{name} went on')


@test
def length_is_needed_and_coding_is_not_undone():
    with Store() as up, admin(up) as server:
        equal(server.ask('POST', PATH).status, 411, 'no length')
        equal(server.post(PATH, b'x', fields={'Content-Encoding': 'gzip'}).status, 415, 'encoded')
        equal(up.uploads, [], 'uploads')


@test
def continue_is_said_when_ollama_is_there():
    with Store() as up, admin(up) as server, Client(server.address) as client:
        client.send(client.head('POST', PATH, {'Content-Length': 3, 'Expect': '100-continue'}))
        equal(client.read_head(interim=True).status, 100, 'interim')
        client.send(b'abc')
        equal(client.read_reply().status, 201, 'status')
    with fake.RefusingPort() as port, backend(port, '--allow-admin', ready=False) as server, Client(server.address) as client:
        client.send(client.head('POST', PATH, {'Content-Length': 30 * MIB, 'Expect': '100-continue'}))
        check_refused(client.read_rest(client.read_head(interim=True)), 502)


@test
def a_client_that_leaves_leaves_half_a_blob():
    with Store() as up, admin(up) as server:
        number = 0
        for fields, part in (({'Content-Length': 1000}, b'x' * 999), ({'Transfer-Encoding': 'chunked'}, as_chunk(b'x' * 500)),
                             ({'Transfer-Encoding': 'chunked'}, b'5\r\nabc'), ({'Content-Length': 1000}, b'')):
            for leave in ('fin', 'close', 'reset'):
                number += 1
                with Client(server.address) as client:
                    client.send(client.head('POST', PATH, fields) + part)
                    upload = up.upload(number)
                    getattr(client, leave)()
                    check(upload.over.wait(10), f'{leave}: the upstream still waits')
                    check(not upload.whole, f'{fields} {leave}: taken for whole')
        wait_until(lambda: len(server.logged('path=/api/blobs/.*(end=gone|result=cancelled)')) == number, 'lines in the log')


@test
def bad_framing_ends_it():
    with Store() as up, admin(up) as server:
        for number, raw in enumerate((b'5\r\nabcdeX', b'zz\r\n', b'5\r\nabcde\r\n-1\r\n', b'1\r\na\n'), 1):
            with Client(server.address) as client:
                client.send(client.head('POST', PATH, {'Transfer-Encoding': 'chunked'}))
                upload = up.upload(number)
                client.send(raw)
                check_refused(client.read_reply(), 400)
                check(upload.over.wait(10) and not upload.whole, 'the upstream took it for whole')


@test
def a_silent_client_is_408():
    with Store() as up, admin(up, '--body-timeout', 1) as server, Client(server.address) as client:
        client.send(client.head('POST', PATH, {'Content-Length': 1000}) + b'x')
        check_refused(client.read_reply(), 408)
        check(up.upload().over.wait(10) and not up.upload().whole, 'the upstream took it for whole')


@test
def a_refusal_in_mid_upload_is_told_at_once():
    refusals = ((500, b'{"error":"write: no space left on device"}'), (400, b'{"error":"invalid digest format"}'), (200, b''), (503, b'{"error":"busy"}'))
    with Store() as up, admin(up) as server:
        cases = Cases()
        for number, (status, body) in enumerate(refusals, 1):
            def refuse(upload, status=status, body=body):
                upload.read(100000)
                upload.reply(status, body)
                upload.connection._more()

            up.script = refuse
            with cases(str(status)), Client(server.address) as client:
                client.send(client.head('POST', PATH, {'Content-Length': 100 * MIB}) + pattern(200000))
                reply = client.read_reply()
                equal((reply.status, reply.body), (status, body), 'reply')
                equal(reply.get('Connection'), 'close', 'Connection')
                equal(reply.has('Retry-After'), status == 503, 'Retry-After')
                check(not up.uploads[number - 1].whole, 'taken for whole')
        cases.judge()


@test
def failures_of_the_upstream_are_told():
    def reset(upload):
        upload.read(100000)
        upload.connection.reset()

    def close(upload):
        upload.read(100000)

    def no_reply(upload):
        upload.read()

    def half_reply(upload):
        upload.read()
        upload.connection.sock.sendall(b'HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\n{')

    def nonsense(upload):
        upload.read()
        upload.connection.sock.sendall(b'220 smtp ready\r\n\r\n')

    def redirect(upload):
        upload.read()
        upload.reply(302)

    def long_head(upload):
        upload.read()
        upload.connection.sock.sendall(b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 200000)

    def mute(upload):
        upload.read()
        upload.reply(403)

    def interim(upload):
        upload.read(1000)
        upload.connection.sock.sendall(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n')
        upload.read()
        upload.connection.sock.sendall(b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')

    def byte_by_byte(upload):
        upload.read()
        for byte in b'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"error":"x"}':
            upload.connection.sock.sendall(bytes([byte]))

    def until_close(upload):
        upload.read()
        upload.connection.sock.sendall(b'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"error":"x"}')

    def deaf(upload):
        upload.read(1000)
        while upload.connection._more() and len(upload.connection.ahead) < 2 * MIB:
            pass
        up.gate('deaf').wait(20)

    def silent(upload):
        upload.read()
        upload.connection._more()

    with Store() as up, admin(up, '--stall-timeout', 1, '--first-byte-timeout', 1) as server:
        cases = Cases()
        for script, status, words in ((reset, 502, ''), (close, 502, ''), (no_reply, 502, 'hung up'), (half_reply, 502, 'broke off'),
                                      (nonsense, 502, 'nonsense'), (redirect, 502, 'nonsense'), (long_head, 502, 'nonsense'), (mute, 502, 'OLLAMA_HOST'),
                                      (interim, 201, None), (byte_by_byte, 400, 'x'), (until_close, 400, 'x'), (silent, 504, 'no answer'),
                                      (deaf, 504, 'took no more')):
            up.script = script
            with cases(script.__name__), Client(server.address) as client:
                total = 60 * MIB if script is deaf else 200000
                client.send(client.head('POST', PATH, {'Content-Length': total}))
                sender = threading.Thread(target=send_quietly, args=(client, total))
                sender.start()
                reply = client.read_reply()
                equal(reply.status, status, 'status')
                check(words is None or words in reply.json()['error'], f'{reply}')
                stop_sending(client)
                sender.join()
        up.gate('deaf').set()
        with cases('each was sent once'):
            equal(len(up.uploads), 13, 'uploads')
        cases.judge()


def stop_sending(client):
    try:
        client.sock.shutdown(2)  # wakes a thread that is about to send
    except OSError:  # there is nobody any more to send to
        pass


def send_quietly(client, total):
    try:
        send_many(client, total, 65536)
    except OSError:  # refused in the middle
        pass


@test
def a_slow_upstream_slows_the_client_down():
    total = 64 * MIB
    sent = [0]
    go = threading.Event()

    def slow(upload):
        upload.read(1000)
        go.wait(25)
        take_all(upload)

    with Store(slow) as up, admin(up, '--body-timeout', 1) as server, Client(server.address, deadline=25) as client:
        before = resident_bytes(server.worker())
        block = pattern(65536)

        def send():
            while sent[0] < total:
                client.send(block)
                sent[0] += len(block)

        client.send(client.head('POST', PATH, {'Content-Length': total}))
        sender = threading.Thread(target=send)
        sender.start()
        up.upload()
        # somebody else's silence costs him his request meanwhile; ours is not ours, and costs nothing
        with Client(server.address) as other:
            other.send(other.head('POST', '/api/chat', {'Content-Length': 10}))
            equal(other.read_reply().status, 408, 'a silent client')
        held = sent[0]
        check(held < total // 2, f'{held} bytes were taken while the upstream took none')
        grown = resident_bytes(server.worker()) - before
        check(grown < FLAT, f'grown by {grown} bytes')
        go.set()
        sender.join()
        equal(client.read_reply().status, 201, 'status')
        equal((up.uploads[0].count, up.uploads[0].whole), (total, True), 'what came')


@test
def a_client_that_resets_while_it_is_held_back():
    def slow(upload):
        upload.read(1000)
        up.gate('go').wait(20)
        upload.read()

    with Store(slow) as up, admin(up) as server:
        with Client(server.address) as client:
            client.send(client.head('POST', PATH, {'Content-Length': 60 * MIB}))
            client.sock.setblocking(False)
            block = pattern(65536)
            while select.select([], [client.sock], [], 0.3)[1]:
                client.sock.send(block)
            client.reset()
        wait_until(lambda: server.logged('path=/api/blobs/'), 'the end of the request')
        up.gate('go').set()
        check(up.upload().over.wait(10) and not up.upload().whole, 'the upstream took it for whole')


@test
def many_uploads_at_once():
    with Store() as up, admin(up) as server:
        before, threads, results = resident_bytes(server.worker()), [], []

        def one(n):
            with Client(server.address, deadline=25) as client:
                client.send(client.head('POST', PATH, {'Transfer-Encoding': 'chunked'}))
                sha = send_many(client, 2 * MIB + n, 30000 + n, as_chunk)
                client.send(b'0\r\n\r\n')
                results.append((client.read_reply().status, sha))

        for n in range(20):
            threads.append(threading.Thread(target=one, args=(n,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        equal({status for status, _ in results}, {201}, 'statuses')
        equal(sorted(sha for _, sha in results), sorted(u.sha.hexdigest() for u in up.uploads), 'contents')
        check(resident_bytes(server.worker()) - before < 20 * 256 * 1024 + FLAT, 'memory')


@test
def the_drain_s_deadline_is_told():
    def endless(upload):
        upload.read()

    with Store(endless) as up, admin(up, '--drain-announce', 0, '--drain-timeout', 1) as server, Client(server.address) as client:
        client.send(client.head('POST', PATH, {'Content-Length': 1000}) + b'x')
        up.upload()
        os.kill(server.pid, signal.SIGTERM)
        reply = client.read_reply()
        check_refused(reply, 503)
        equal(server.process.wait(10), 0, 'exit code')
        server.first_workers = set()
