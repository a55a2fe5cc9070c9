# SPDX-License-Identifier: MIT
"""An Ollama behind https: whom we believe, what we say when we do not, and where a reply ends."""

import re
import signal
import socket
import ssl

from faults.forms import CHAT, CHAT_WHOLE, FORMS, V1, check_failed_stream, check_good, check_refused
from fake import upstream as fake
from lib import pki
from lib.harness import Cases, Client, TestFolder, backend, check, equal, test, wait_until


def ollama(pair, ca, **options):
    return fake.Upstream(tls=pair.server_context(), ca=str(ca), **options)


def reason(server):
    """What a client is told."""
    return check_refused(server.post('/api/chat', CHAT.body), 502)


@test
def trusted_ollama_is_used():
    cases = Cases()
    with TestFolder() as folder:
        for key, other in (('p256', 'rsa'), ('p384', 'p256'), ('rsa', 'p384')):
            root = pki.Authority(folder, f'root-{key}', key=other)
            between = pki.Authority(folder, f'between-{key}', key=key, above=root)
            leaf = between.issue(f'leaf-{key}', names=['x.example', 'localhost'], addresses=['10.0.0.1', '127.0.0.1'], key=key)
            for host in ('localhost', '127.0.0.1') if key == 'p256' else ('localhost',):
                with cases(f'{key}, {host}'), ollama(leaf, root.cert, host=host) as up, backend(up) as server:
                    check_good(CHAT, server.post('/api/chat', CHAT.body))
    cases.judge()


@test
def anchor_may_be_the_certificate_itself_or_one_of_many():
    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        bundle = folder / 'bundle.pem'
        bundle.write_bytes(b'a comment\n' + b''.join(pki.self_signed(folder, f'a{n}', key=key, ca=True).cert.read_bytes()
                                                     for n, key in enumerate(('rsa', 'p384', 'ed25519', 'p256'))) + pair.cert.read_bytes())
        for ca in (pair.cert, bundle):
            with ollama(pair, ca, host='localhost') as up, backend(up) as server:
                for form in FORMS:
                    check_good(form, server.post(form.path, form.body))


def nobody_is_talked_to(rows):
    """rows: a name, a certificate, what the URL calls the server, and what is said of it."""
    cases = Cases()
    with TestFolder() as folder:
        ca = pki.Authority(folder)
        for name, make, host, words in rows:
            with cases(name):
                pair = make(ca)
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.set_ciphers('DEFAULT:@SECLEVEL=0')
                context.load_cert_chain(pair.cert, pair.key)
                with fake.Upstream(tls=context, ca=str(ca.cert), host=host) as up, backend(up, ready=False) as server:
                    text = reason(server)
                    check(words in text and 'cannot reach Ollama' in text, f'says {text!r}')
                    check(server.get('/health').json()['ollama_connected'] is False, '/health says that Ollama is there')
                    wait_until(lambda: server.logged(f'does not answer.*{words}'), 'the reason in the log')
                    equal(up.requests(), [], 'requests that it got')
    cases.judge()


GOOD = dict(names=['localhost'], addresses=['127.0.0.1'])


@test
def untrusted_and_expired_certificates_are_refused():
    nobody_is_talked_to([
        ('another authority', lambda ca: pki.Authority(ca.folder, 'stranger').issue('foreign', **GOOD), 'localhost', 'not signed by an authority'),
        ('one of the same name', lambda ca: pki.Authority(ca.folder / 'other').issue('fake', **GOOD), 'localhost', 'not signed by an authority'),
        ('signed by itself', lambda ca: pki.self_signed(ca.folder), '127.0.0.1', 'not signed by an authority'),
        ('expired', lambda ca: ca.issue('expired', days=-1, **GOOD), 'localhost', 'expired'),
        ('a weak key', lambda ca: ca.issue('weak', key='rsa1024', **GOOD), 'localhost', 'too weak'),
    ])


@test
def certificates_of_others_are_refused():
    nobody_is_talked_to([
        ('another name', lambda ca: ca.issue('wrong', names=['ollama.example']), 'localhost', 'another name'),
        ('no name at all', lambda ca: ca.issue('none'), 'localhost', 'another name'),
        ('a longer name', lambda ca: ca.issue('longer', names=['localhost.example', 'xlocalhost']), 'localhost', 'another name'),
    ])


@test
def certificates_of_other_addresses_are_refused():
    nobody_is_talked_to([
        ('another address', lambda ca: ca.issue('address', addresses=['127.0.0.2', '::1']), '127.0.0.1', 'another name'),
        ('a name instead of an address', lambda ca: ca.issue('named', names=['127.0.0.1', 'localhost']), '127.0.0.1', 'another name'),
        ('an address as title', lambda ca: ca.issue('127.0.0.1'), '127.0.0.1', 'no subjectAltName'),
    ])


@test
def certificates_for_other_uses_are_refused():
    nobody_is_talked_to([
        ('for clients', lambda ca: ca.issue('client', more='extendedKeyUsage=clientAuth\n', **GOOD), 'localhost', 'not be used for that'),
        ('for mail', lambda ca: ca.issue('mail', more='extendedKeyUsage=critical,emailProtection\n', **GOOD), '127.0.0.1', 'cannot be used'),
        ('signs nothing', lambda ca: ca.issue('signs', key='rsa', more='keyUsage=critical,keyEncipherment\n', **GOOD), 'localhost', 'not be used for that'),
        ('a title, and no name', lambda ca: ca.issue('localhost'), 'localhost', 'no subjectAltName'),
    ])


@test
def certificates_for_servers_are_used():
    cases = Cases()
    with TestFolder() as folder:
        ca = pki.Authority(folder)
        for usage in ('serverAuth', 'clientAuth,serverAuth', 'anyExtendedKeyUsage'):
            leaf = ca.issue('leaf', more=f'extendedKeyUsage={usage}\nkeyUsage=digitalSignature\n', **GOOD)
            with cases(usage), ollama(leaf, ca.cert, host='localhost') as up, backend(up) as server:
                check_good(CHAT, server.post('/api/chat', CHAT.body))
    cases.judge()


@test
def expired_authorities_are_left_out():
    with TestFolder() as folder:
        old = pki.expired(pki.Authority(folder, 'old'))
        leaf = old.issue('leaf', **GOOD)
        good = pki.Authority(folder, 'good')
        both = folder / 'both.pem'
        both.write_bytes(old.cert.read_bytes() + good.cert.read_bytes())
        with ollama(leaf, both, host='localhost') as up, backend(up, ready=False) as server:
            check('not signed by an authority' in reason(server), f'says {reason(server)!r}')
            equal(len(server.logged('level=warn.*have expired are not used.*count=1')), 1, 'warnings')
            both.write_bytes(old.cert.read_bytes())
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.logged('anchors stay as they were.*not expired'), 'an error in the log')


@test
def name_is_asked_for_and_an_address_is_not():
    """Server name indication: names only (RFC 6066, 3)."""
    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        for host, wanted in (('localhost', 'localhost'), ('127.0.0.1', None)):
            asked = []
            context = pair.server_context()
            context.sni_callback = lambda sock, name, ctx: asked.append(name)
            with fake.Upstream(tls=context, ca=str(pair.cert), host=host) as up, backend(up) as server:
                check_good(CHAT, server.post('/api/chat', CHAT.body))
                equal(set(asked), {wanted}, f'names asked for at {host}')
                equal(up.requests('/api/chat')[0].get('Host'), f'127.0.0.1:{up.address[1]}', 'Host')


@test
def old_versions_and_strangers_are_told():
    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        old, new = pair.server_context(), pair.server_context()
        old.set_ciphers('ALL:@SECLEVEL=0')
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        new.minimum_version = ssl.TLSVersion.TLSv1_3
        for context in (old, new):
            with fake.Upstream(tls=context, ca=str(pair.cert)) as up, backend(up, ready=False) as server:
                check('TLS' in reason(server), f'says {reason(server)!r}')
        with fake.Upstream() as up:  # speaks no TLS at all
            up.url, up.ca = up.url.replace('http:', 'https:'), str(pair.cert)
            with backend(up, ready=False) as server:
                check('TLS' in reason(server), f'says {reason(server)!r}')


@test
def silent_handshake_has_the_connect_timeout():
    with TestFolder() as folder, socket.create_server(('127.0.0.1', 0)) as listener:
        pair = pki.self_signed(folder)
        url = 'https://localhost:%d' % listener.getsockname()[1]
        with backend(url, '--ollama-ca', pair.cert, '--connect-timeout', 0.5, ready=False) as server:
            check('in time' in reason(server), f'says {reason(server)!r}')
            wait_until(lambda: server.logged('does not answer'), 'the probe gives up')


@test
def connections_are_kept_and_looked_at():
    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        with ollama(pair, pair.cert) as up, backend(up) as server:
            for _ in range(5):
                check_good(CHAT, server.post('/api/chat', CHAT.body))
            equal(len({r.connection for r in up.requests('/api/chat')}), 1, 'connections')
            up.on('/api/chat', fake.MODES['idle_close'])
            for _ in range(5):
                check_good(CHAT, server.post('/api/chat', CHAT.body))


@test
def lines_pass_at_once_from_many_in_one_record():
    """Lines that arrive in one record leave together; those that arrive apart leave apart; none waits in the engine."""
    lines = fake.chat_lines([f'{n} ' + 'x' * 300 for n in range(400)])

    def script(x):
        x.head()
        for start in range(0, len(lines), 100):
            x.send(b''.join(fake.chunk(line) for line in lines[start:start + 100]))
            x.pass_gate(str(start))
        x.last_chunk()

    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        with ollama(pair, pair.cert) as up, backend(up, '--tls', 'self-signed') as server, Client(server.address) as client:
            up.on('/api/chat', script)
            CHAT.send(client)
            reply = client.read_head()
            for n, line in enumerate(lines[:400]):
                equal(client.read_chunk(reply), line, f'line {n}')
                if n % 100 == 99:
                    up.gate(str(n - 99)).set()
            up.gate('400').set()
            equal(client.read_rest(reply).ended, 'chunked', 'end')


@test
def truncation_is_no_end():
    """A body that ends with the connection is whole only after close_notify (RFC 9112, 9.8)."""
    def script(notify):
        def answer(x):
            x.head(200, fake.NDJSON, chunked=False)
            x.send(b''.join(fake.chat_lines(['one', 'two'])[:-1]))
            finish(x, notify)
        return answer

    def whole(notify):
        def answer(x):
            x.head(200, fake.JSON, chunked=False)
            x.send(fake.chat_whole(['one']))
            finish(x, notify)
        return answer

    def finish(x, notify):
        x.until_close = notify
        x.close()

    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        with ollama(pair, pair.cert) as up, backend(up) as server:
            for notify, words in ((True, 'ended its answer before it was done'), (False, 'broke off in mid-answer')):
                up.on('/api/chat', script(notify))
                check_failed_stream(CHAT, server.post('/api/chat', CHAT.body), words)
            up.on('/api/chat', whole(True))
            equal(server.post('/api/chat', CHAT_WHOLE.body).status, 200, 'a whole reply')
            up.on('/api/chat', whole(False))
            check('broke off' in check_refused(server.post('/api/chat', CHAT_WHOLE.body), 502), 'a cut one')
            up.on(V1.path, fake.MODES['cut_between'])
            up.gate().set()
            check_failed_stream(V1, server.post(V1.path, V1.body))


@test
def sighup_reads_the_authorities_again():
    with TestFolder() as folder:
        first, second = pki.Authority(folder, 'first'), pki.Authority(folder, 'second')
        leaf = second.issue('leaf', names=['localhost'])
        ca = folder / 'ca.pem'
        ca.write_bytes(first.cert.read_bytes())
        with ollama(leaf, ca, host='localhost') as up, backend(up, ready=False) as server:
            check('not signed' in reason(server), f'says {reason(server)!r}')
            ca.write_bytes(b'nonsense')
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.logged('trust anchors stay as they were'), 'an error in the log')
            ca.write_bytes(first.cert.read_bytes() + second.cert.read_bytes())
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.post('/api/chat', CHAT.body).status == 200, 'Ollama is trusted')
            wait_until(lambda: server.get('/health').json()['status'] == 'healthy', 'the probe trusts it, too')
            check(not [line for line in server.log if re.search('PRIVATE|BEGIN', line)], 'the log quotes files')
