# SPDX-License-Identifier: MIT
"""pki.py: certificates for tests, made on the spot with the openssl command.

    with TestFolder() as folder:
        ca = Authority(folder)
        leaf = ca.issue('server', names=['localhost'], addresses=['127.0.0.1'])
        context = leaf.server_context()"""

import itertools
import ssl
import subprocess

from lib.harness import check

KEYS = {'p256': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], 'p384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
        'p521': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], 'rsa': ['rsa:2048'], 'rsa1024': ['rsa:1024'], 'ed25519': ['ed25519']}


def openssl(*args, given=None):
    done = subprocess.run(['openssl', *map(str, args)], input=given, capture_output=True, timeout=20)
    check(done.returncode == 0, lambda: f'openssl {" ".join(map(str, args))}: {done.stderr.decode()}')
    return done.stdout


class Pair:
    """A certificate (or a chain) and its key, as files."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key

    def options(self):
        return ['--tls', 'files', '--tls-cert', self.cert, '--tls-key', self.key]

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def serial(self):
        return openssl('x509', '-noout', '-serial', '-in', self.cert).decode().strip().split('=')[1]


def expired(pair):
    """The same certificate, by itself, with an end that has passed."""
    request = openssl('x509', '-x509toreq', '-in', pair.cert, '-signkey', pair.key)
    extensions = pair.cert.with_suffix('.ext')
    extensions.write_text('basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n')
    pair.cert.write_bytes(openssl('x509', '-req', '-signkey', pair.key, '-days', -1, '-extfile', extensions, given=request))
    return pair


def self_signed(folder, name='self', key='p256', days=30, ca=False, alt='DNS:localhost,IP:127.0.0.1'):
    pair = Pair(folder / f'{name}.pem', folder / f'{name}.key')
    extensions = ['-addext', f'subjectAltName={alt}'] if alt else []
    openssl('req', '-x509', '-newkey', *KEYS[key], '-nodes', '-keyout', pair.key, '-out', pair.cert, '-days', days, '-subj', f'/CN={name}',
            '-addext', f'basicConstraints=critical,CA:{"TRUE" if ca else "FALSE"}', *extensions)
    return pair


class Authority(Pair):
    _serials = itertools.count(0x1001)

    def __init__(self, folder, name='authority', key='p256', above=None):
        self.folder, self.name, self.above = folder, name, above
        folder.mkdir(exist_ok=True)
        if above is None:
            super().__init__(*vars(self_signed(folder, name, key, ca=True, alt=None)).values())
        else:
            pair = above.issue(name, key=key, ca=True)
            super().__init__(pair.cert, pair.key)

    def issue(self, name, names=(), addresses=(), key='p256', days=30, ca=False, more=''):
        """A certificate signed by this authority, with `more` extensions; its file also has the authorities between it and the
        root."""
        pair = Pair(self.folder / f'{name}.pem', self.folder / f'{name}.key')
        request = openssl('req', '-newkey', *KEYS[key], '-nodes', '-keyout', pair.key, '-subj', f'/CN={name}')
        alt = [f'DNS:{n}' for n in names] + [f'IP:{a}' for a in addresses]
        extensions = self.folder / f'{name}.ext'
        extensions.write_text(f'basicConstraints=critical,CA:{"TRUE" if ca else "FALSE"}\n'
                              + (f'subjectAltName={",".join(alt)}\n' if alt else '') + more)
        cert = openssl('x509', '-req', '-CA', self.cert, '-CAkey', self.key, '-set_serial', next(self._serials), '-days', days,
                       '-sha256', '-extfile', extensions, given=request)
        pair.cert.write_bytes(cert + (self.cert.read_bytes() if self.above else b''))
        return pair
