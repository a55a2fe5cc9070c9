# SPDX-License-Identifier: MIT
"""SIGUSR2: a newer process takes over in place, and no client notices; one that fails changes nothing."""

import ctypes
import os
import re
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

from faults.forms import CHAT, check_good
from fake import upstream as fake
from lib.harness import (DEADLINE, Client, Server, TestFolder, binary, check, children_of, descriptors_of, equal, name_of, test, wait_until)

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """A process whose starter ended becomes this test's child, so that its exit code can be had."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Upgraded(Server):
    """A server started through a file of its own, which a test may replace. `pid` is the main process of the moment."""

    def __init__(self, role, *options, **keywords):
        # a storm's access log could push out lines that are waited for
        super().__init__(role, '--access-log', 'off', *options, may_restart=True, **keywords)
        self.folder = TestFolder()
        self.successors = []

    def __enter__(self):
        adopt_orphans()
        self.program = self.folder.__enter__() / 'ollachat'
        self.command[0] = str(self.program)
        self.install(binary())
        return super().__enter__()

    def install(self, source):
        """As install(1) does it: another file under the same name."""
        fresh = self.program.with_name('fresh')
        shutil.copy(source, fresh)
        fresh.rename(self.program)

    def install_text(self, text):
        fresh = self.program.with_name('fresh')
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def upgrade(self):
        """Returns the old main process, which may still finish what it has."""
        old, before = self.pid, len(self.logged('the new process serves'))
        os.kill(old, signal.SIGUSR2)
        line = wait_until(lambda: self.logged('the new process serves')[before:], 'the new process serves')[0]
        self.pid = int(re.search(r'pid=(\d+)', line).group(1))
        self.successors.append(self.pid)
        return old

    def wait_end(self, pid, deadline=DEADLINE):
        """The exit code of a main process."""
        if pid == self.process.pid:
            return self.process.wait(deadline)

        def ended():
            try:
                got, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # its starter lives still, and may have collected it
                return None if name_of(pid) else (0,)
            return (os.waitstatus_to_exitcode(status),) if got else None
        return wait_until(ended, f'the end of {pid}', deadline)[0]

    def stop(self):
        for client in self.clients:
            client.close()
        if self.process.poll() is None or self.successors:
            os.kill(self.pid, signal.SIGINT)
            equal(self.wait_end(self.pid), 0, 'exit code')
        super().stop()
        self.folder.__exit__(None, None, None)

    def _kill(self):
        for self.pid in [*self.successors, self.process.pid]:
            for pid in [*children_of(self.pid), self.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        super()._kill()


def healthy(server):
    wait_until(lambda: server.get('/health').json().get('status') == 'healthy', '/health: healthy')


class Storm:
    """Short requests without a pause, each judged: on kept connections, on fresh ones, and /health."""

    def __init__(self, server, paths):
        self.server, self.paths = server, paths
        self.stopping = threading.Event()
        self.failures, self.count = [], 0
        self.threads = [threading.Thread(target=self._guard, args=(run,), daemon=True)
                        for run in (self.kept, self.kept, self.fresh, self.fresh, self.silent_first)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(DEADLINE)

    def wait(self, more):
        target = self.count + more
        wait_until(lambda: self.count >= target or self.failures, f'{more} more short requests')

    def _guard(self, run):
        while not self.stopping.is_set():
            try:
                run()
            except (OSError, AssertionError) as error:
                self.failures.append(f'{run.__name__}: {error!r}')
                return

    def _judge(self, reply):
        check(reply.status == 200 and reply.whole(), f'{reply}')
        self.count += 1

    def kept(self):
        with Client(self.server.address) as client:
            while not self.stopping.is_set():
                for path in self.paths:
                    reply = client.get(path)
                    self._judge(reply)
                    if reply.get('Connection') == 'close':
                        return

    def fresh(self):
        for path in self.paths:
            with Client(self.server.address) as client:
                self._judge(client.get(path, fields={'Connection': 'close'}))

    def silent_first(self):
        """Accepted by one process, asked when another may have taken over."""
        with Client(self.server.address) as client:
            time.sleep(0.05)
            self._judge(client.get(self.paths[0]))

    def judge(self):
        check(not self.failures, lambda: f'{len(self.failures)} of {self.count}: {self.failures[:3]}')


def waiting_stream(x):
    parts, kind = fake.begin(x)
    x.pass_gate()
    x.chunk(parts[-1])
    x.last_chunk()


@test
def nobody_notices_three_upgrades_under_load():
    options = ('--max-active', 100, '--drain-timeout', 60)
    with fake.Upstream() as up, Upgraded('backend', '--ollama', up.url, *options) as server:
        healthy(server)
        up.on('/api/chat', waiting_stream)
        streams, replies, old = [], [], []
        with Storm(server, ['/health', '/health?gate=model', '/ready', '/api/models']) as storm:
            for generation in range(4):
                for _ in range(25):
                    client = server.client(deadline=60)
                    CHAT.send(client)
                    streams.append(client)
                    replies.append(client.read_head())
                storm.wait(200)
                if generation < 3:
                    old.append(server.upgrade())
                    storm.wait(200)
        storm.judge()
        equal([reply.status for reply in replies], [200] * 100, 'streams')
        check(all(name_of(pid) for pid in old), 'a process ended before its streams')
        up.gate().set()
        for client, reply in zip(streams, replies):
            check_good(CHAT, client.read_rest(reply))
            client.close()
        for pid in old:
            equal(server.wait_end(pid), 0, 'exit code of an older process')


@test
def frontend_with_several_workers_is_upgraded():
    with Upgraded('frontend', '--workers', 3) as server:
        with Storm(server, ['/health', '/']) as storm:
            for _ in range(3):
                storm.wait(200)
                old = server.upgrade()
                storm.wait(200)
                equal(server.wait_end(old), 0, 'exit code')
            equal(len(wait_until(lambda: len(server.workers()) == 3 and server.workers(), 'three workers')), 3, 'workers')
        storm.judge()


@test
def another_number_of_workers_takes_the_same_listeners():
    """As when `auto` finds other processors than it found then."""
    for first, then in ((4, 1), (1, 3)):
        with Upgraded('frontend', '--workers', first) as server:
            server.install_text(f'#!/bin/sh\nshift\nexec "{binary()}" frontend "$@" --workers {then}\n')
            with Storm(server, ['/health', '/']) as storm:
                storm.wait(100)
                old = server.upgrade()
                storm.wait(200)
                equal(server.wait_end(old), 0, 'exit code')
                storm.wait(200)
                equal(len(server.workers()), then, 'workers')
            storm.judge()


@test
def idle_connection_is_served_once_more_by_the_old_process():
    with Upgraded('frontend', '--workers', 1) as server, Client(server.address) as kept:
        equal(kept.get('/health').status, 200, 'before')
        old = server.upgrade()
        wait_until(lambda: not server.get('/health').has('Connection'), 'only the new process accepts')
        check(name_of(old), 'the old process left its idle connection')
        reply = kept.get('/health')
        equal((reply.status, reply.get('Connection')), (200, 'close'), 'after')
        equal(kept.read_close(), b'', 'and nothing behind it')
        equal(server.wait_end(old), 0, 'exit code')


@test
def drain_deadline_ends_the_old_process():
    with fake.Upstream() as up, Upgraded('backend', '--ollama', up.url, '--drain-timeout', 0.5) as server:
        healthy(server)
        up.on('/api/chat', fake.MODES['endless_slow'])
        with Client(server.address) as idle, Client(server.address) as client:
            equal(idle.get('/health').status, 200, 'idle')
            CHAT.send(client)
            reply = client.read_head()
            old = server.upgrade()
            client.read_rest(reply)
            check(reply.whole() and b'"error"' in reply.body.split(b'\n')[-2], f'cut without a word: {reply}')
            equal(server.wait_end(old), 0, 'exit code')
            wait_until(lambda: len(server.logged('level=warn .*drain deadline')) == 1, 'one warning about it')


@test
def sigterm_ends_a_process_that_has_handed_over():
    with fake.Upstream() as up, Upgraded('backend', '--ollama', up.url, '--drain-announce', 0) as server:
        healthy(server)
        up.on('/api/chat', waiting_stream)
        with Client(server.address) as client, Client(server.address) as kept:
            equal(kept.get('/health').status, 200, 'idle')
            CHAT.send(client)
            reply = client.read_head()
            old = server.upgrade()
            os.kill(old, signal.SIGTERM)
            equal(kept.read_close(), b'', 'the idle connection is closed')
            up.gate().set()
            check_good(CHAT, client.read_rest(reply))
            equal(server.wait_end(old), 0, 'exit code')
            equal(server.get('/health').status, 200, '/health of the new process')


def upgrade_fails(server, pattern):
    """Sends SIGUSR2 and waits for the error that says why."""
    before = len(server.logged('the upgrade failed'))
    os.kill(server.pid, signal.SIGUSR2)
    line = wait_until(lambda: server.logged('the upgrade failed')[before:], 'the failure in the log', 40)[0]
    check(re.search(pattern, line) and 'level=error' in line, f'{pattern!r} is not in: {line}')
    equal(server.get('/health').status, 200, '/health')
    equal(server.process.poll(), None, 'the first process')


@test
def failing_successors_change_nothing():
    with fake.Upstream() as up, Upgraded('backend', '--ollama', up.url) as server:
        healthy(server)
        open_before = descriptors_of(server.pid)
        with Storm(server, ['/health', '/api/models']) as storm:
            server.program.unlink()
            upgrade_fails(server, 'cannot run .*No such file')
            server.install_text('\x7fELF no program')
            upgrade_fails(server, 'cannot run .*Exec format error')
            server.program.chmod(0o644)
            upgrade_fails(server, 'cannot run .*Permission denied')
            server.install_text('#!/bin/sh\nexit 1\n')
            upgrade_fails(server, 'ended before it was ready')
            server.install_text('#!/bin/sh\nkill -9 $$\n')
            upgrade_fails(server, 'killed before it was ready')
            server.install_text(f'#!/bin/sh\nexec "{binary()}" "$@" --no-such-option\n')
            upgrade_fails(server, 'ended before it was ready')
            check(server.logged('no-such-option'), 'what the new process said is lost')
            wait_until(lambda: descriptors_of(server.pid) <= open_before + 1, 'nothing is left open')  # a probe may be under way
            storm.wait(100)
            server.install(binary())
            old = server.upgrade()
            storm.wait(100)
            equal(server.wait_end(old), 0, 'exit code')
        storm.judge()


@test
def successor_that_hangs_is_given_up():
    with Upgraded('frontend', '--workers', 1) as server:
        server.install_text('#!/bin/sh\nexec sleep 1000\n')
        os.kill(server.pid, signal.SIGUSR2)
        line = wait_until(lambda: server.logged('a new process is started'), 'the start in the log')[0]
        hanging = int(re.search(r'pid=(\d+)', line).group(1))
        os.kill(server.pid, signal.SIGUSR2)
        wait_until(lambda: server.logged('SIGUSR2 changes nothing.*under way'), 'the second one is ignored in words')
        upgrade_fails_in_time(server)
        wait_until(lambda: not name_of(hanging), 'the one that hangs is gone')
        equal(server.get('/health').status, 200, '/health')
        server.install(binary())
        server.upgrade()


def upgrade_fails_in_time(server):
    wait_until(lambda: server.logged('the upgrade failed.*not ready in time'), 'the failure in the log', 28)


@test
def stopping_gives_an_unfinished_upgrade_up():
    with Upgraded('frontend', '--workers', 1) as server:
        server.install_text('#!/bin/sh\nexec sleep 1000\n')
        os.kill(server.pid, signal.SIGUSR2)
        line = wait_until(lambda: server.logged('a new process is started'), 'the start in the log')[0]
        hanging = int(re.search(r'pid=(\d+)', line).group(1))
        os.kill(server.pid, signal.SIGINT)
        equal(server.process.wait(DEADLINE), 0, 'exit code')
        wait_until(lambda: name_of(hanging) is None or Path(f'/proc/{hanging}/stat').read_text().split()[2] == 'Z', 'it is gone')


@test
def stopping_lets_a_successor_serve_that_was_ready_already():
    """Both wait for the old process when it comes to itself: SIGTERM, and the word that the new one is ready."""
    with Upgraded('frontend', '--workers', 1, '--drain-announce', 0) as server:
        old, worker = server.pid, server.worker()
        gate = server.program.with_name('gate')
        server.install_text(f'#!/bin/sh\nuntil [ -e {gate} ]; do sleep 0.01; done\nexec "{binary()}" "$@"\n')
        os.kill(old, signal.SIGUSR2)
        line = wait_until(lambda: server.logged('a new process is started'), 'the start in the log')[0]
        os.kill(old, signal.SIGSTOP)
        os.kill(worker, signal.SIGSTOP)  # so that the new one alone accepts
        server.pid = int(re.search(r'pid=(\d+)', line).group(1))
        server.successors.append(server.pid)
        os.kill(old, signal.SIGTERM)
        gate.touch()
        with Client(server.address) as kept:
            equal(kept.get('/health').status, 200, 'a client of the new process')
            os.kill(worker, signal.SIGCONT)
            os.kill(old, signal.SIGCONT)
            equal(server.process.wait(DEADLINE), 0, 'exit code of the old process')
            equal(kept.get('/health').status, 200, 'the same client')
        equal(server.get('/health').status, 200, 'a new client')


@test
def demo_and_sim_are_not_upgraded():
    for role, options in (('demo', ('--ollama', 'sim')), ('sim', ())):
        with Server(role, *options) as server:
            os.kill(server.pid, signal.SIGUSR2)
            wait_until(lambda: server.logged('SIGUSR2 changes nothing.*not upgraded in place'), 'a word about it')


@test
def listeners_are_free_when_all_have_ended():
    with Upgraded('frontend', '--workers', 2) as server:
        server.wait_end(server.upgrade())
        address = server.address
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
