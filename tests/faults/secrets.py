# SPDX-License-Identifier: MIT
"""What a worker can reach in memory: whoever takes it over must not be able to change what the keeper and others believe, and
finds no text of a private key."""

import os
import signal

from fake import upstream as fake
from lib import pki
from lib.harness import Server, TestFolder, backend, check, equal, test, wait_until


def shown(pid):
    """The mappings of what the keeper read from files: their rights, and whether the kernel would give more ("mw")."""
    found = []
    for line in open(f'/proc/{pid}/smaps'):
        fields = line.split()
        if '-' in fields[0]:
            inside = 'memfd:' in line
            rights = fields[1]
        elif fields[0] == 'VmFlags:' and inside:
            found.append((rights, 'mw' in fields))
    return found


@test
def workers_cannot_write_what_the_keeper_shows():
    with TestFolder() as folder, fake.Upstream() as up:
        keys = folder / 'keys'
        keys.write_text('one\n')
        with backend(up, '--api-keys', keys, '--tls', 'self-signed', may_restart=True) as server:
            for _ in range(2):
                wait_until(lambda: server.get('/health').status == 200, 'the worker works')
                equal(shown(server.pid), [('rw-s', True)] * 2, 'mappings of the keeper')
                equal(shown(server.worker()), [('r--s', False)] * 2, 'mappings of the worker')
                first = server.worker()
                os.kill(first, signal.SIGKILL)
                wait_until(lambda: server.workers() not in ([], [first]), 'another worker')


def places_of(pid, text):
    """How often a process has these bytes in memory that it can write."""
    count = 0
    with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as memory:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split('-'))
            if not line.split()[1].startswith('rw') or end - start > 64 << 20:
                continue
            try:
                memory.seek(start)
                count += memory.read(end - start).count(text)
            except OSError:
                continue
    return count


@test
def no_text_of_a_private_key_stays_in_memory():
    with TestFolder() as folder:
        pair = pki.self_signed(folder)
        both = pki.Pair(folder / 'both.pem', folder / 'both.pem')
        both.cert.write_bytes(pair.cert.read_bytes() + pair.key.read_bytes())
        secret = pair.key.read_bytes().splitlines()[1]
        for files in (pair, both):
            with Server('frontend', '--workers', 1, *files.options()) as server:
                for _ in range(2):
                    equal(server.get('/health').status, 200, '/health')
                    check(places_of(server.worker(), str(files.cert).encode()) > 0, 'the search finds nothing at all')
                    equal((places_of(server.pid, secret), places_of(server.worker(), secret)), (0, 0), 'places with the key')
                    server.process.send_signal(signal.SIGHUP)
                    wait_until(lambda: server.logged('certificate read again'), 'the certificate is read again')
