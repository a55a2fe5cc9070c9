# SPDX-License-Identifier: MIT
"""HTTPS on the listener: handshakes good and bad, records in odd sizes, ends in order and out of order. (tests/tls/run.py runs
all other tests over TLS, too; https_ollama.py has the other side.)"""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

from faults.forms import CHAT, ORIGIN, V1, check_good, check_refused
from faults.leaving import wait_standstill
from fake import upstream as fake
from lib import pki
from lib.harness import (DEADLINE, Cases, Client, Server, TestFolder, backend, check, clean_environment, equal, resident_bytes, test,
                         trusting, wait_until)

SELF = ('--tls', 'self-signed')


def page_server(*options, **keywords):
    return Server('frontend', '--workers', 1, *(options or SELF), **keywords)


def restricted(change):
    """A client that can only do what `change` leaves of it."""
    context = trusting()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers('ALL:@SECLEVEL=0')
    change(context)
    return context


def refusal_of(server, context, name='localhost'):
    """What a client says of a handshake that came to nothing: by the alert it got, in words."""
    try:
        with Client(server.address, context=context, name=name):
            return 'accepted'
    except ssl.SSLError as error:
        return str(error).lower().replace('_', ' ')


class ByteBuffers:
    """A TLS client that hands out the bytes of its records, to be sent in any way."""

    def __init__(self, client, context=None, name='localhost'):
        self.client = client
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trusting()).wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def run(self, step, send):
        """A step of the engine, with what it wants to send sent by send(bytes), and what it wants to read read."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                send(self.outgoing.read())
                data = self.client.sock.recv(65536)
                check(data, 'closed in the middle')
                self.incoming.write(data)
            finally:
                if self.outgoing.pending:
                    send(self.outgoing.read())


# --- what is spoken --------------------------------------------------------------------------------------------------


@test
def every_form_is_answered_over_https():
    with fake.Upstream() as up, backend(up, *SELF) as server, Client(server.address) as client:
        check(server.url.startswith('https://'), f'listens on {server.url}')
        for form in (CHAT, ORIGIN, V1):
            check_good(form, form.ask(client))
        equal(client.sock.version(), 'TLSv1.2', 'version')
        check('GCM' in client.sock.cipher()[0] or 'CHACHA20' in client.sock.cipher()[0], f'{client.sock.cipher()}')


@test
def each_line_leaves_at_once():
    """The next line is only written when the one before has arrived: one that waits for another would wait for ever."""
    lines = fake.chat_lines([f'word {n} ' for n in range(20)])

    def script(x):
        x.head()
        for n, line in enumerate(lines):
            x.pass_gate(str(n))
            x.chunk(line)
        x.last_chunk()

    with fake.Upstream() as up, backend(up, *SELF) as server, Client(server.address) as client:
        up.on('/api/chat', script)
        CHAT.send(client)
        reply = None
        for n, line in enumerate(lines):
            up.gate(str(n)).set()
            reply = reply or client.read_head()
            equal(client.read_chunk(reply), line, f'line {n}')
        equal(client.read_rest(reply).ended, 'chunked', 'end')


@test
def self_signed_certificate_is_for_this_machine():
    with page_server() as server:
        pem = ssl.get_server_certificate(server.address)
        context = ssl.create_default_context(cadata=pem)
        for name in ('localhost', '127.0.0.1', '::1'):
            with Client(server.address, context=context, name=name) as client:
                equal(client.get('/health').status, 200, name)
        check('mismatch' in refusal_of(server, context, 'elsewhere.example'), 'a foreign name is believed')
    with page_server() as server:
        check(ssl.get_server_certificate(server.address) != pem, 'the same certificate after a restart')


@test
def every_kind_of_key_is_served():
    cases = Cases()
    with TestFolder() as folder:
        for key in ('p256', 'p384', 'rsa'):
            with cases(key):
                pair = pki.self_signed(folder, key, key=key)
                with page_server(*pair.options()) as server:
                    context = ssl.create_default_context(cafile=pair.cert)
                    with Client(server.address, context=context) as client:
                        equal(client.get('/health').status, 200, 'status')
                for form in ('EC PRIVATE KEY', 'RSA PRIVATE KEY'):
                    traditional = pki.Pair(pair.cert, folder / 'traditional.key')
                    if form.startswith('RSA') == (key == 'rsa'):
                        kind = 'rsa' if key == 'rsa' else 'ec'
                        text = pki.openssl(kind, '-in', pair.key, *(['-traditional'] if kind == 'rsa' else []))
                        check(form.encode() in text, f'not the traditional form: {text[:40]!r}')
                        traditional.key.write_bytes(text)
                        with page_server(*traditional.options()) as server:
                            equal(server.get('/health').status, 200, 'traditional key')
    cases.judge()


@test
def chain_with_an_authority_between_is_sent_whole():
    with TestFolder() as folder:
        root = pki.Authority(folder, 'root')
        between = pki.Authority(folder, 'between', key='rsa', above=root)
        leaf = between.issue('leaf', names=['localhost'])
        both = pki.Pair(folder / 'both.pem', folder / 'both.pem')  # the key in the same file, as some tools like it
        both.cert.write_bytes(leaf.key.read_bytes() + leaf.cert.read_bytes())
        for pair in (leaf, both):
            with page_server(*pair.options()) as server:
                context = ssl.create_default_context(cafile=root.cert)
                with Client(server.address, context=context) as client:
                    equal(client.get('/health').status, 200, 'status')


@test
def only_http_1_1_is_negotiated():
    with page_server() as server:
        for offered, wanted in ((['h2', 'http/1.1'], 'http/1.1'), (['http/1.1'], 'http/1.1'), ([], None)):
            context = trusting()
            if offered:
                context.set_alpn_protocols(offered)
            with Client(server.address, context=context) as client:
                equal(client.sock.selected_alpn_protocol(), wanted, f'protocol out of {offered}')
        context = trusting()
        context.set_alpn_protocols(['h2'])
        check('no application protocol' in refusal_of(server, context), 'only h2')


@test
def old_and_weak_and_new_clients_are_refused_cleanly():
    v = ssl.TLSVersion

    def versions(lowest, highest):
        def change(context):
            context.minimum_version, context.maximum_version = lowest, highest
        return restricted(change)

    def ciphers(text):
        def change(context):
            context.maximum_version = v.TLSv1_2
            context.set_ciphers(text + ':@SECLEVEL=0')
        return restricted(change)

    with TestFolder() as folder:
        for pair in (pki.self_signed(folder, 'ec'), pki.self_signed(folder, 'rsa', key='rsa')):
            with page_server(*pair.options()) as server:
                cases = Cases()
                for name, context, reason in (
                        ('TLS 1.0', versions(v.TLSv1, v.TLSv1), 'version'), ('TLS 1.1', versions(v.TLSv1, v.TLSv1_1), 'version'),
                        ('TLS 1.3', versions(v.TLSv1_3, v.TLSv1_3), 'handshake failure'),
                        ('CBC', ciphers('ECDHE+AES:!AESGCM:!AESCCM'), 'handshake failure'),
                        ('RSA key exchange', ciphers('kRSA'), 'handshake failure'), ('DHE', ciphers('DHE'), 'handshake failure'),
                        ('CCM', ciphers('ECDHE+AESCCM'), 'handshake failure'), ('no certificate', ciphers('aNULL'), 'handshake failure')):
                    with cases(f'{pair.cert.stem}, {name}'):
                        said = refusal_of(server, context)
                        check(reason in said, f'said {said}')
                for name in ('ECDHE+AESGCM', 'ECDHE+CHACHA20', 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'):
                    with cases(f'{pair.cert.stem}, {name}'), Client(server.address, context=ciphers(name)) as client:
                        equal(client.get('/health').status, 200, 'status')
                cases.judge()
                check(not server.logged('level=(warn|error).*TLS|a connection broke'), f'logged {server.log}')


@test
def signatures_use_no_sha_1():
    context = trusting()
    with page_server() as server:
        host, port = server.address
        done = subprocess.run(['openssl', 's_client', '-connect', f'{host}:{port}', '-sigalgs', 'ECDSA+SHA1', '-cipher', 'ALL:@SECLEVEL=0'],
                              input=b'', capture_output=True, timeout=20)
        check(b'handshake failure' in done.stderr, f'a client that only takes SHA-1: {done.stderr[-300:]!r}')
        with Client(server.address, context=context) as client:
            equal(client.get('/health').status, 200, 'others')


@test
def renegotiation_is_refused():
    with page_server() as server:
        host, port = server.address
        done = subprocess.run(['openssl', 's_client', '-connect', f'{host}:{port}', '-tls1_2'], input=b'R\n', capture_output=True, timeout=20)
        said = done.stdout + done.stderr
        check(b'RENEGOTIATING' in said and b'no renegotiation' in said, f'said {said[-300:]!r}')
        equal(server.get('/health').status, 200, '/health')


@test
def scanner_finds_nothing_else():
    check(shutil.which('sslscan'), 'sslscan is not there: apt-get install sslscan')
    cases = Cases()
    with TestFolder() as folder:
        for pair in (pki.self_signed(folder, 'ec'), pki.self_signed(folder, 'rsa', key='rsa')):
            with cases(pair.cert.stem), page_server(*pair.options()) as server:
                # without the search for curves, in which sslscan waits for what a server never says
                said = subprocess.run(['sslscan', '--no-colour', '--no-groups', '%s:%s' % server.address], capture_output=True, timeout=25,
                                      env=clean_environment()).stdout.decode()
                for version, state in (('SSLv2', 'disabled'), ('SSLv3', 'disabled'), ('TLSv1.0', 'disabled'), ('TLSv1.1', 'disabled'),
                                       ('TLSv1.2', 'enabled'), ('TLSv1.3', 'disabled')):
                    check(re.search(rf'^{re.escape(version)} +{state}$', said, re.M), f'{version} is not {state}: {said}')
                found = re.findall(r'^(?:Preferred|Accepted) +(\S+) +\d+ bits +(\S+)', said, re.M)
                check(len(found) == 3, f'suites: {found}')
                for version, suite in found:
                    check(version == 'TLSv1.2' and re.fullmatch(r'ECDHE-(ECDSA|RSA)-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)', suite), suite)
                check('Session renegotiation not supported' in said, f'renegotiation: {said}')
                check('Compression disabled' in said or 'does not support compression' in said, f'compression: {said}')
                check('not vulnerable to heartbleed' in said and 'supports TLS Fallback SCSV' in said, said)
    cases.judge()


@test
def curl_speaks_with_it():
    check(shutil.which('curl'), 'curl is not there: apt-get install curl')
    with TestFolder() as folder, fake.Upstream() as up:
        pair = pki.self_signed(folder)
        with backend(up, *pair.options()) as server:
            url = f'https://localhost:{server.address[1]}/api/chat'
            done = subprocess.run(['curl', '-sS', '-N', '-4', '--cacert', pair.cert, url, '-d', '{"model":"llama3.2:1b","messages":[]}'],
                                  capture_output=True, timeout=20, env=clean_environment())
            equal(done.stderr, b'', 'curl says')
            check(b'"done":true' in done.stdout, f'got {done.stdout[-200:]!r}')


# --- bytes and records -----------------------------------------------------------------------------------------------


@test
def handshake_and_request_may_come_byte_by_byte():
    with page_server() as server, Client(server.address, context=False) as client:
        tls = ByteBuffers(client)
        tls.run(tls.tls.do_handshake, client.send_each_byte)
        tls.run(lambda: tls.tls.write(client.head('GET', '/health')), client.send_each_byte)
        got = tls.run(lambda: tls.tls.read(65536), client.send_each_byte)
        check(got.startswith(b'HTTP/1.1 200 '), f'got {got!r}')


@test
def request_may_come_in_records_of_a_byte():
    with page_server() as server, Client(server.address) as client:
        client.send_each_byte(client.head('GET', '/health', {'X-Long': 'x' * 3000}))
        equal(client.read_reply().status, 200, 'status')


@test
def handshake_and_request_may_come_in_one_write():
    """The last message of the handshake and the request in one piece: no event tells of the second."""
    with page_server() as server:
        for n in range(20):
            with Client(server.address, context=False) as client:
                tls = ByteBuffers(client)
                held = []

                def keep_last(data):
                    held.append(data)

                def hello(data):
                    client.send(data)

                try:
                    tls.tls.do_handshake()
                except ssl.SSLWantReadError:
                    hello(tls.outgoing.read())
                while True:  # up to our Finished, which is kept back
                    tls.incoming.write(client.sock.recv(65536))
                    try:
                        tls.tls.do_handshake()
                    except ssl.SSLWantReadError:
                        pass
                    if tls.outgoing.pending:
                        keep_last(tls.outgoing.read())
                        break
                client.send(held[0][:-1])
                client.send(held[0][-1:])
                tls.run(tls.tls.do_handshake, client.send)
                tls.tls.write(client.head('GET', '/health') * 3)
                client.send(tls.outgoing.read())
                got = b''
                while got.count(b'HTTP/1.1 200 ') < 3:
                    got += tls.run(lambda: tls.tls.read(65536), client.send)


@test
def pipelined_requests_are_all_answered():
    with page_server() as server, Client(server.address) as client:
        number = 200
        for fields in ({}, {'X-Long': 'x' * 600}):  # together more than a record, and than our input holds at a time
            client.send(client.head('GET', '/health', fields) * number)
            for n in range(number):
                equal(client.read_reply().status, 200, f'reply {n}')


@test
def request_behind_a_generation_is_answered_when_that_is_over():
    with fake.Upstream() as up, backend(up, *SELF) as server, Client(server.address) as client:
        body = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"hi"}]}'
        one = client.head('POST', '/api/chat', {'Content-Length': len(body)}) + body
        client.send(one + one + client.head('GET', '/health'))  # one record: it lies in the server, and its socket is silent
        for n in range(2):
            check_good(CHAT, client.read_reply())
        equal(client.read_reply().status, 200, '/health')


@test
def large_bodies_pass_whole():
    text = ''.join(chr(97 + n % 26) for n in range(9_000_000))
    with fake.Upstream() as up, backend(up, *SELF) as server, Client(server.address) as client:
        body = fake.chat_whole([text])
        up.on('/api/chat', lambda x: x.reply(200, body))
        reply = client.post('/api/chat', {'model': fake.NAME, 'messages': [{'role': 'user', 'content': text}], 'stream': False})
        check(reply.status == 200 and reply.body == body, f'{reply.status}: {len(reply.body)} of {len(body)} bytes')
        equal(up.requests('/api/chat')[0].json()['messages'][0]['content'], text, 'what the upstream got')


@test
def files_come_whole_to_slow_readers():
    with TestFolder() as folder:
        content = bytes(range(256)) * 40_000
        (folder / 'big.bin').write_bytes(content)
        with page_server(*SELF, '--root', folder) as server, Client(server.address, receive_buffer=4096) as client:
            client.request('GET', '/big.bin')
            client.hurry()
            reply = client.read_reply()
            check(reply.whole() and reply.body == content, f'{len(reply.body)} of {len(content)} bytes, ended {reply.ended}')


@test
def slow_readers_cost_bounded_memory():
    number = 4
    with fake.Upstream() as up, backend(up, *SELF, '--max-active', number + 1) as server:
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        before = resident_bytes(server.worker())
        up.on('/api/chat', fake.MODES['endless'])
        clients = [server.client(receive_buffer=4096) for _ in range(number)]
        for client in clients:
            CHAT.send(client)
        for n in range(number):
            wait_standstill(up.wait_exchange('/api/chat', n + 2))
        grown = resident_bytes(server.worker()) - before
        sanitized = any('libasan' in line for line in open(f'/proc/{server.worker()}/maps'))
        check(grown <= number * (512 + 64) * 1024 + (30 << 20 if sanitized else 1 << 20), f'{number} streams cost {grown >> 10} KiB')
        up.on('/api/chat', None)
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        clients[0].hurry()
        reply = clients[0].read_head()
        for n in range(500):
            check(f'"{n} '.encode() in clients[0].read_chunk(reply), f'line {n}')


@test
def connections_give_their_memory_back():
    with page_server() as server:
        def come_and_go(number):
            clients = []
            for _ in range(number):
                clients.append(Client(server.address))
                equal(clients[-1].get('/health').status, 200, 'status')
            for client in clients:
                client.close()
            wait_until(lambda: server.descriptors() <= open_before, 'the connections are gone')

        server.get('/health')
        open_before = server.descriptors()
        come_and_go(30)
        before = resident_bytes(server.worker())
        for _ in range(4):
            come_and_go(30)
        grown = resident_bytes(server.worker()) - before
        sanitized = any('libasan' in line for line in open(f'/proc/{server.worker()}/maps'))
        check(grown < (12 << 20 if sanitized else 512 << 10), f'120 connections left {grown >> 10} KiB behind')


# --- ends ------------------------------------------------------------------------------------------------------------


@test
def closes_are_announced():
    with fake.Upstream() as up, backend(up, *SELF) as server:
        for path, version, fields in (('/health', 'HTTP/1.1', {'Connection': 'close'}), ('/health', 'HTTP/1.0', {}), ('/nowhere', 'HTTP/1.0', {})):
            with Client(server.address) as client:
                client.request('GET', path, fields=fields, version=version)
                check(client.read_reply().whole(), 'whole')
                client.read_close()
                check(not client.ragged, f'{path}, {version}: closed without close_notify')
        with Client(server.address) as client:  # a refusal, with bytes of the client's on their way
            client.send(client.head('POST', '/api/chat', {'Content-Length': 99_000_000}) + b'x' * 100_000)
            check_refused(client.read_reply(), 413)
            client.read_close()
            check(not client.ragged, 'after a refusal: closed without close_notify')
        with Client(server.address) as client:  # a body whose end is the close
            client.request('POST', '/api/chat', CHAT.body, version='HTTP/1.0')
            equal(client.read_reply().ended, 'close', 'end of a good stream')
        up.on('/api/chat', abandoned)
        with Client(server.address) as client:
            client.request('POST', '/api/chat', CHAT.body, version='HTTP/1.0')
            equal(client.read_reply().ended, 'cut', 'end of an aborted stream')


def abandoned(x):
    """A line without end, and then nothing more."""
    x.head()
    x.chunk(b'{"message":{"content":"' + b'x' * 300_000)
    x.close()


@test
def client_s_close_notify_is_answered():
    with page_server() as server, Client(server.address) as client:
        equal(client.get('/health').status, 200, 'status')
        plain = client.sock.unwrap()  # raises if ours does not come
        equal(plain.recv(1), b'', 'then the close')


@test
def truncated_body_is_never_acted_on():
    with fake.Upstream() as up, backend(up, *SELF) as server:
        for end in (lambda c: c.fin(), lambda c: c.sock.unwrap()):
            with Client(server.address) as client:
                client.send(client.head('POST', '/api/chat', {'Content-Length': 100}) + b'{"model":"llama3.2:1b"}')
                end(client)
                if isinstance(client.sock, ssl.SSLSocket):
                    client.read_close()
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        equal(len(up.requests('/api/chat')), 1, 'requests at the upstream')


@test
def damaged_records_end_the_connection():
    with page_server() as server, Client(server.address, context=False) as client:
        tls = ByteBuffers(client)
        tls.run(tls.tls.do_handshake, client.send)
        tls.tls.write(client.head('GET', '/health'))
        record = bytearray(tls.outgoing.read())
        record[-1] ^= 1
        client.send(record)
        client.read_close()
        equal(server.get('/health').status, 200, 'others')


@test
def client_that_leaves_frees_ollama():
    with fake.Upstream() as up, backend(up, *SELF) as server:
        up.on('/api/chat', fake.MODES['endless_slow'])
        for n, leave in enumerate((Client.close, Client.reset, Client.fin)):
            with Client(server.address) as client:
                CHAT.send(client)
                client.read_chunk(client.read_head())
                leave(client)
                check(up.wait_exchange('/api/chat', n + 1).left.wait(5), f'{leave.__name__}: Ollama works on for nobody')


def served_late(server, clients):
    for n, client in enumerate(clients):
        if server.url.startswith('https'):
            client.sock = trusting().wrap_socket(client.sock, server_hostname='localhost', suppress_ragged_eofs=False)
        equal(client.get('/').status, 200, f'connection {n}')
        client.close()


@test
def connections_that_wait_at_the_end_are_served():
    """In the listener's queue, with nothing sent yet: at the drain's finish they get a moment for their first request."""
    for options in ((), SELF):
        with Server('frontend', '--workers', 1, '--drain-announce', 0, *options, may_restart=True) as server:
            worker = server.worker()
            os.kill(worker, signal.SIGSTOP)
            queued = [Client(server.address, context=False) for _ in range(3)]
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: server.logged('msg=stopping'), 'the signal is seen')
            os.kill(worker, signal.SIGCONT)
            served_late(server, queued)
            equal(server.process.wait(DEADLINE), 0, 'exit code')


@test
def handshake_under_way_at_the_end_is_finished_and_silence_is_not_waited_for():
    with page_server('--drain-announce', 0, '--head-timeout', 60, *SELF, may_restart=True) as server:
        with Client(server.address) as idle, Client(server.address, context=False) as silent, Client(server.address, context=False) as client:
            equal(idle.get('/health').status, 200, 'before')
            tls = ByteBuffers(client)
            hello = []

            def cut_in_two(data):
                if hello or not data:
                    client.send(data)
                    return
                hello.append(data)
                client.send(data[:20])
                server.process.send_signal(signal.SIGTERM)
                idle.read_close()  # so the worker has come to its finish
                client.send(data[20:])

            tls.run(tls.tls.do_handshake, cut_in_two)
            tls.run(lambda: tls.tls.write(client.head('GET', '/health')), client.send)
            got = tls.run(lambda: tls.tls.read(65536), client.send)
            check(got.startswith(b'HTTP/1.1 '), f'got {got!r}')
            silent.read_close()
            equal(server.process.wait(DEADLINE), 0, 'exit code')


# --- strangers -------------------------------------------------------------------------------------------------------


@test
def plain_http_is_told_in_the_clear():
    with page_server() as server:
        for sent in (b'GET / HTTP/1.1\r\nHost: x\r\n\r\n', b'G', b'POST /api/chat HTTP/1.1\r\nContent-Length: 20000\r\n\r\n' + b'x' * 20000):
            with Client(server.address, context=False) as client:
                client.send(sent)
                text = check_refused(client.read_reply(), 400)
                check('HTTPS' in text, f'says {text!r}')
                equal(client.read_close(), b'', 'then')
        check(not [line for line in server.log if 'speak TLS' in line], f'logged {server.log}')


@test
def failed_handshakes_are_told_in_the_debug_log_alone():
    def strangers(server):
        for sent in (b'\x16\x03\x01\x00\x05hello', b'\x16\x02\x00\x00\x05hello', b'\x16\x03\x03\xff\xff', bytes(1000), b'\x80\x2e\x01\x03\x01', b''):
            with Client(server.address, context=False) as client:
                client.send(sent)
                try:
                    client.fin()
                except OSError:  # it has hung up already
                    pass
                client.read_close()
        client = Client(server.address, context=False)
        client.reset()
        equal(server.get('/health').status, 200, '/health')

    with page_server() as server:
        before = len(server.log)
        for _ in range(5):
            strangers(server)
        wait_until(lambda: len(server.logged('msg=request')) >= 6, 'the access log')
        strange = [line for line in server.log[before:] if 'msg=request' not in line]
        equal(strange, [], 'lines logged')
    with page_server(*SELF, '--log-level', 'debug') as server:
        strangers(server)
        wait_until(lambda: len(server.logged('level=debug.*why=.*')) >= 4, 'reasons in the debug log')


@test
def handshake_has_the_head_s_time():
    with page_server(*SELF, '--head-timeout', 1) as server:
        hello = ByteBuffers(None)
        try:
            hello.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = hello.outgoing.read()
        cases = Cases()
        for name, sent in (('nothing', b''), ('half a hello', hello[:60]), ('a hello', hello)):
            with cases(name), Client(server.address, context=False, deadline=8) as client:
                client.send(sent)
                client.read_close('the end of its time')
        with cases('no request'), Client(server.address, deadline=8) as client:
            client.read_close('the end of its time')
        cases.judge()


@test
def half_handshakes_make_room_for_others():
    with page_server(*SELF, '--max-connections', 16) as server:
        held = [socket.create_connection(server.address) for _ in range(40)]
        for sock in held:
            sock.sendall(b'\x16\x03\x01')
        with Client(server.address) as client:
            equal(client.get('/').status, 200, 'status')
        for sock in held:
            sock.close()


# --- certificates that change ----------------------------------------------------------------------------------------


def shown_serial(server):
    pem = ssl.get_server_certificate(server.address)
    return pki.openssl('x509', '-noout', '-serial', given=pem.encode()).decode().strip().split('=')[1]


class Load:
    """Clients that come and go, and one that stays; any error of theirs is kept."""

    def __init__(self, server):
        self.server, self.errors, self.served, self.over = server, [], 0, threading.Event()
        self.threads = [threading.Thread(target=work) for work in (self.come_and_go, self.come_and_go, self.stay)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def one(self, client):
        reply = client.get('/health')
        if reply.status != 200:
            self.errors.append(repr(reply))
        self.served += 1

    def come_and_go(self):
        while not self.over.is_set():
            try:
                with Client(self.server.address) as client:
                    self.one(client)
            except (OSError, AssertionError) as error:
                self.errors.append(repr(error))

    def stay(self):
        try:
            with Client(self.server.address) as client:
                while not self.over.wait(0.01):
                    self.one(client)
        except (OSError, AssertionError) as error:
            self.errors.append(repr(error))


@test
def sighup_shows_the_new_certificate_and_breaks_nobody():
    with TestFolder() as folder:
        pairs = [pki.self_signed(folder, 'first'), pki.self_signed(folder, 'second', key='rsa'), pki.self_signed(folder, 'third', key='p384')]
        live = pki.Pair(folder / 'live.pem', folder / 'live.key')

        def install(pair):
            shutil.copy(pair.cert, live.cert)
            shutil.copy(pair.key, live.key)

        install(pairs[0])
        with page_server(*live.options()) as server, Load(server) as load:
            for n in range(6):
                pair = pairs[(n + 1) % 3]
                install(pair)
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: shown_serial(server) == pair.serial(), 'the new certificate')
            served = load.served
            wait_until(lambda: load.served > served + 20, 'the load goes on')
            equal(load.errors, [], 'errors of clients')
            equal(len(server.logged('certificate read again')), 6, 'lines in the log')


@test
def bad_file_keeps_the_old_certificate():
    with TestFolder() as folder:
        pair, other = pki.self_signed(folder, 'live'), pki.self_signed(folder, 'other')
        serial = pair.serial()
        with page_server(*pair.options()) as server, Client(server.address) as old:
            equal(old.get('/health').status, 200, 'before')
            texts = pair.cert.read_bytes(), pair.key.read_bytes()
            for n, (cert, key, words) in enumerate(((b'', texts[1], 'no certificate'), (texts[0][:300], texts[1], 'broken'),
                                                    (texts[0], other.key.read_bytes(), 'does not belong'), (None, texts[1], 'cannot be read'))):
                pair.cert.unlink(missing_ok=True)
                if cert is not None:
                    pair.cert.write_bytes(cert)
                pair.key.write_bytes(key)
                server.process.send_signal(signal.SIGHUP)
                lines = wait_until(lambda: len(found := server.logged('stays as it was')) > n and found, 'an error in the log')
                check(words in lines[-1] and 'level=error' in lines[-1], f'says {lines[-1]}')
                equal(shown_serial(server), serial, 'certificate')
            equal(old.get('/health').status, 200, 'after')


@test
def expired_certificate_is_served_at_start_but_replaces_none():
    with TestFolder() as folder:
        old, pair = pki.expired(pki.self_signed(folder, 'old')), pki.self_signed(folder, 'live')
        with page_server(*old.options()) as server:
            equal(shown_serial(server), old.serial(), 'certificate')
            equal(len(server.logged('level=warn.*not good now.*has expired')), 1, 'warnings')
        with page_server(*pair.options()) as server:
            check(not server.logged('not good now'), f'logged {server.log}')
            serial = pair.serial()
            shutil.copy(old.cert, pair.cert)
            shutil.copy(old.key, pair.key)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.logged('level=error.*stays as it was.*has expired'), 'an error in the log')
            equal(shown_serial(server), serial, 'certificate')


@test
def replaced_worker_shows_the_current_certificate():
    with TestFolder() as folder:
        pair, other = pki.self_signed(folder, 'live'), pki.self_signed(folder, 'other')
        with page_server(*pair.options(), may_restart=True) as server:
            shutil.copy(other.cert, pair.cert)
            shutil.copy(other.key, pair.key)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: shown_serial(server) == other.serial(), 'the new certificate')
            first = server.worker()
            subprocess.run(['kill', '-9', str(first)], check=True)
            wait_until(lambda: server.workers() and server.worker() != first, 'a new worker')
            equal(shown_serial(server), other.serial(), 'certificate')


@test
def sighup_leaves_a_self_signed_certificate_alone():
    with page_server() as server:
        serial = shown_serial(server)
        server.process.send_signal(signal.SIGHUP)
        for _ in range(3):
            equal(shown_serial(server), serial, 'certificate')
        equal(server.get('/health').status, 200, '/health')


# --- files that are no good ------------------------------------------------------------------------------------------


@test
def bad_files_are_one_line_and_exit_1():
    with TestFolder() as folder:
        ca, late = pki.Authority(folder), pki.expired(pki.self_signed(folder, 'late'))
        good, other = ca.issue('good', names=['x']), ca.issue('other', names=['y'])
        missing, empty, text, folded = folder / 'missing.pem', folder / 'empty.pem', folder / 'text.pem', folder / 'turned.pem'
        empty.write_text('')
        text.write_text('-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n')
        strange = folder / 'strange.pem'
        strange.write_bytes(good.cert.read_bytes() + other.cert.read_bytes())
        folded.write_bytes(ca.cert.read_bytes() + good.cert.read_bytes())
        encrypted, legacy = folder / 'encrypted.key', folder / 'legacy.key'
        encrypted.write_bytes(pki.openssl('pkcs8', '-topk8', '-in', good.key, '-passout', 'pass:x'))
        legacy.write_bytes(pki.openssl('ec', '-aes128', '-in', good.key, '-passout', 'pass:x'))
        garbled = folder / 'garbled.pem'
        garbled.write_bytes(good.cert.read_bytes().replace(b'MII', b'AAA', 1))
        cases = Cases()
        for name, cert, key, words in (
                ('no such file', missing, good.key, ['--tls-cert', 'missing.pem', 'No such file']),
                ('no such key', good.cert, missing, ['--tls-key', 'No such file']),
                ('a folder', folder, good.key, ['--tls-cert', 'no regular file']),
                ('empty', empty, good.key, ['empty.pem has no certificate']), ('a key for a certificate', good.key, good.key, ['has no certificate']),
                ('a certificate for a key', good.cert, good.cert, ['--tls-key', 'has no private key']),
                ('no PEM', text, good.key, ['text.pem is broken']), ('no certificate', garbled, good.key, ['cannot be read']),
                ('the wrong key', good.cert, other.key, ['other.key does not belong to the certificate']),
                ('the chain turned round', folded, good.key, ["must begin with the key's own certificate"]),
                ('a stranger in the chain', strange, good.key, ['strange.pem is in disorder']),
                ('encrypted', good.cert, encrypted, ['encrypted.key is encrypted']), ('encrypted, as of old', good.cert, legacy, ['legacy.key is encrypted']),
                *((kind, (pair := pki.self_signed(folder, kind, key=kind)).cert, pair.key, ['not supported', 'P-256'])
                  for kind in ('ed25519', 'p521', 'rsa1024'))):
            for role in ('frontend', 'backend') if name == 'empty' else ('frontend',):
                with cases(f'{name}, {role}'):
                    check_start_fails(role, pki.Pair(cert, key).options(), words)
        for ca_file, words in ((missing, ['--ollama-ca', 'No such file']), (empty, ['--ollama-ca', 'no certificate']), (good.key, ['no certificate']),
                               (late.cert, ['late.pem', 'not expired'])):
            with cases(f'--ollama-ca {ca_file.name}'):
                check_start_fails('backend', ['--ollama', 'https://localhost:1', '--ollama-ca', ca_file], words)
        cases.judge()


def check_start_fails(role, options, words):
    server = Server(role, *options)
    done = subprocess.run(server.command, env=server.env, capture_output=True, timeout=10)
    said = done.stderr.decode()
    equal((done.returncode, done.stdout), (1, b''), f'exit code and stdout ({said!r})')
    check(said.count('\n') == 1 and said.startswith('ollachat: '), f'not one line: {said!r}')
    for word in words:
        check(word in said, f'no {word!r} in {said!r}')


# --- what follows from https -----------------------------------------------------------------------------------------


@test
def origin_is_judged_by_the_listener_s_scheme():
    with fake.Upstream() as up, backend(up, *SELF) as server:
        own = '%s:%s' % server.address
        check_good(CHAT, server.post('/api/chat', CHAT.body, fields={'Origin': f'https://{own}'}))
        for origin in (f'http://{own}', 'https://127.0.0.1', 'https://evil.example'):
            equal(server.post('/api/chat', CHAT.body, fields={'Origin': origin}).status, 403, origin)
        # the load balancer knows better how the browser came
        fields = {'Origin': f'http://{own}', 'X-Forwarded-Proto': 'http'}
        check_good(CHAT, server.post('/api/chat', CHAT.body, fields=fields))


@test
def page_server_tells_the_backend_that_it_speaks_https():
    with fake.Upstream() as up, backend(up) as gateway, page_server(*SELF, '--api-proxy', gateway.url) as server:
        own = '%s:%s' % server.address
        check_good(CHAT, server.post('/api/chat', CHAT.body, fields={'Origin': f'https://{own}'}))
        equal(server.post('/api/chat', CHAT.body, fields={'Origin': f'http://{own}'}).status, 403, 'the other scheme')
    with fake.Upstream() as up, page_server(*SELF, '--api-proxy', up.url) as server:
        server.get('/api/version')
        server.get('/api/version', fields={'X-Forwarded-Proto': 'http'})
        equal([r.get('X-Forwarded-Proto') for r in up.requests('/api/version')], ['https', 'http'], 'X-Forwarded-Proto')


@test
def demo_speaks_https():
    with fake.Upstream() as up, Server('demo', '--ollama', up.url, *SELF) as server, Client(server.address) as client:
        wait_until(lambda: client.get('/api/models').status == 200, 'the models')
        check_good(CHAT, CHAT.ask(client))
        check(client.get('/').get('Content-Type').startswith('text/html'), 'the page')
