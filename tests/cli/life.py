# SPDX-License-Identifier: MIT
"""life.py: a role starts, says where it listens, and ends."""

import os
import re
import signal
import socket
import subprocess
import time

from cli.command import SERVING, refused
from lib.harness import DEADLINE, SANITIZER, Cases, TestFolder, binary, check, clean_environment, equal, test

NOBODY = 'http://127.0.0.1:9'  # the discard port: nothing answers there
ARGS = {'backend': ('--ollama', NOBODY), 'frontend': ('--workers', '2'), 'demo': ('--ollama', 'sim'), 'sim': ()}


class Started:
    """The program, running; its first line on stdout has been read."""

    def __init__(self, role, *args, listen='127.0.0.1:0', program=None, env=None, **popen):
        chosen = [role] if program is None else []
        listening = ['--listen', listen] if listen else []
        self.process = subprocess.Popen(
            [program or binary(), *chosen, *listening, '--drain-announce', '0', *ARGS[role], *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**clean_environment(), **(env or {})}, **popen)

    def __enter__(self):
        self.first = self.process.stdout.readline().decode()
        found = re.fullmatch(r'listening on http://(\[?[0-9a-f.:]+\]?):(\d+)\n', self.first)
        if not found:
            self.process.kill()
            check(False, f'first line: {self.first!r}; stderr: {self.process.stderr.read()!r}')
        self.host, self.port = found.group(1).strip('[]'), int(found.group(2))
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.kill() if error else self.stop(signal.SIGINT)
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def answers(self):
        with socket.create_connection((self.host, self.port), DEADLINE) as sock:
            sock.sendall(b'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n')
            check(sock.recv(100).startswith(b'HTTP/1.1 '), 'no answer')

    def stop(self, number):
        """Returns the exit code, and how long it took to come."""
        begin = time.monotonic()
        self.process.send_signal(number)
        try:
            _, err = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            check(False, f'still there {DEADLINE:g} s after signal {number}')
        check(not SANITIZER.search(err.decode('utf-8', 'replace')), err.decode('utf-8', 'replace'))
        return self.process.returncode, time.monotonic() - begin


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(('::1', 0))
        return True
    except OSError:
        return False


@test
def port_0_finds_a_free_one():
    for role in SERVING:
        with Started(role) as one, Started(role) as other:
            equal((one.host, other.host), ('127.0.0.1', '127.0.0.1'))
            check(one.port not in (0, other.port), f'{role}: {one.port} and {other.port}')
            one.answers()
            other.answers()


@test
def a_signal_is_a_clean_end():
    cases = Cases()
    for role in SERVING:
        for number in (signal.SIGTERM, signal.SIGINT):
            with cases(f'{role}, {number.name}'):
                with Started(role) as one:
                    one.answers()
                    code, took = one.stop(number)
                equal(code, 0, 'exit code')
                check(took < 3, f'it took {took:.1f} s')
    cases.judge()


@test
def nothing_is_left_behind():
    for role in SERVING:
        with Started(role, start_new_session=True) as one:
            group = one.process.pid
            one.answers()
            one.stop(signal.SIGTERM)
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            continue
        check(False, f'{role}: a process of it still lives')


@test
def a_taken_port_is_one_line():
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        for role in SERVING:
            refused([role, '--listen', f'127.0.0.1:{port}', *ARGS[role]], f'127.0.0.1:{port}', code=1)


@test
def a_port_taken_by_our_like_is_one_line():
    """Workers share a port among themselves, but with nobody else."""
    with Started('frontend') as one:
        refused(['frontend', '--listen', f'127.0.0.1:{one.port}', '--workers', '2'], str(one.port), code=1)
        one.answers()


@test
def an_address_not_ours_is_one_line():
    refused(['backend', '--listen', '192.0.2.1:8000'], '192.0.2.1:8000', code=1)  # TEST-NET-1


@test
def listens_on_ipv6():
    if not has_ipv6():
        return
    with Started('sim', listen='[::1]:0') as one:
        equal(one.host, '::1')
        one.answers()


@test
def the_environment_says_where_to_listen():
    with Started('sim', listen=None, env={'OLLACHAT_LISTEN': 'localhost:0'}) as one:
        equal(one.host, '127.0.0.1')
        one.answers()


@test
def a_symlink_serves():
    with TestFolder() as folder:
        for role in ('backend', 'frontend'):
            path = folder / f'ollachat-{role}'
            path.symlink_to(binary())
            with Started(role, program=str(path)) as one:
                one.answers()


@test
def a_listener_that_was_handed_over_wins():
    """systemd's socket activation: descriptor 3, and LISTEN_PID naming us."""
    with socket.socket() as ours:
        ours.bind(('127.0.0.1', 0))
        ours.listen()
        shell = 'exec 3<&%d; LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"' % ours.fileno()
        command = ['sh', '-c', shell, 'sh', binary(), 'sim', '--listen', '127.0.0.1:1']
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[ours.fileno()],
                                   env=clean_environment())
        try:
            line = process.stdout.readline().decode()
            equal(line, f'listening on http://127.0.0.1:{ours.getsockname()[1]}\n', 'first line')
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE)
            equal(process.returncode, 0, 'exit code')
        finally:
            process.kill()
            process.wait()
