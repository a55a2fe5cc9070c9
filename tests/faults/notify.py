# SPDX-License-Identifier: MIT
"""What a service manager is told: ready, stopping, another main process, and that the service is alive."""

import os
import signal
import socket

from faults.upgrade import Upgraded
from lib.clock import Clock
from lib.harness import DEADLINE, Server, TestFolder, check, equal, test, wait_until


class Manager:
    """systemd's end of the notify socket: by a path, or by an abstract name."""

    def __init__(self, abstract=False):
        self.abstract = abstract

    def __enter__(self):
        self.folder = TestFolder()
        name = str(self.folder.__enter__() / 'notify')
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind('\0' + name if self.abstract else name)
        self.sock.setblocking(False)
        self.env = {'NOTIFY_SOCKET': '@' + name if self.abstract else name}
        self.heard = []
        return self

    def __exit__(self, *what):
        self.sock.close()
        self.folder.__exit__(*what)

    def listen(self):
        """All that was said so far, one line each."""
        while True:
            try:
                self.heard += self.sock.recv(4096).decode().split('\n')
            except BlockingIOError:
                return self.heard

    def wait(self, line):
        wait_until(lambda: line in self.listen(), lambda: f'{line} (heard {self.heard})')


@test
def manager_is_told_of_the_beginning_and_of_the_end():
    for abstract in (False, True):
        with Manager(abstract) as manager:
            with Server('frontend', '--workers', 3, '--drain-announce', 0, env=manager.env, may_restart=True) as server:
                manager.wait('READY=1')
                equal(manager.heard, ['READY=1'], 'what it heard')
                os.kill(server.worker(), signal.SIGKILL)
                wait_until(lambda: len(server.workers()) == 3, 'another worker')
                server.process.send_signal(signal.SIGTERM)
                equal(server.process.wait(DEADLINE), 0, 'exit code')
            equal(manager.listen(), ['READY=1', 'STOPPING=1'], 'what it heard')


@test
def service_starts_whether_or_not_the_manager_listens():
    with TestFolder() as folder:
        for name in (f'{folder}/nobody', '@', '', 'vsock:2:1', '/' * 200):
            with Server('frontend', '--workers', 1, env={'NOTIFY_SOCKET': name}) as server:
                equal(server.get('/health').status, 200, f'/health with {name!r}')


@test
def manager_learns_the_new_main_process():
    with Manager() as manager:
        env = {**manager.env, 'INVOCATION_ID': 'some', 'WATCHDOG_USEC': '1000000000'}
        with Upgraded('frontend', '--workers', 1, env=env) as server:
            manager.wait('READY=1')
            for _ in range(2):
                server.wait_end(server.upgrade())
                manager.wait(f'MAINPID={server.pid}')
            check(manager.heard.count('READY=1') == 1 and 'STOPPING=1' not in manager.heard, lambda: f'{manager.heard}')
            os.kill(server.pid, signal.SIGINT)
            equal(server.wait_end(server.pid), 0, 'exit code')
            manager.wait('STOPPING=1')
            server.successors.clear()


@test
def watchdog_is_fed_while_every_worker_turns():
    with Manager() as manager, Clock() as clock:
        env = {**manager.env, 'WATCHDOG_USEC': '20000000'}
        with Server('frontend', '--workers', 2, env=env, clock=clock) as server:
            manager.wait('READY=1')
            clock.stop()
            clock.wind(45)
            equal(manager.listen().count('WATCHDOG=1'), 4, 'times in 45 s')
            victim = server.workers()[1]
            os.kill(victim, signal.SIGSTOP)
            clock.wind(15)  # it may have turned since the last time
            manager.listen()
            before = len(manager.heard)
            clock.wind(60)
            equal(manager.listen()[before:], [], 'said while a worker hangs')
            equal(len(server.logged(f'level=error .*a worker hangs.*pid={victim}')), 1, 'lines about it')
            os.kill(victim, signal.SIGCONT)
            clock.wind(25)
            check('WATCHDOG=1' in manager.listen()[before:], 'it is not fed again')


@test
def watchdog_of_another_process_is_not_fed():
    with Manager() as manager, Clock() as clock:
        env = {**manager.env, 'WATCHDOG_USEC': '20000000', 'WATCHDOG_PID': '1'}
        with Server('frontend', '--workers', 1, env=env, clock=clock):
            manager.wait('READY=1')
            clock.stop()
            clock.wind(60)
            equal(manager.listen(), ['READY=1'], 'what it heard')


class InUnit(Upgraded):
    """Started as systemd does it, by a shell in its place."""

    def __init__(self, words):
        super().__init__('frontend', '--workers', 1)
        self.words = words

    def install(self, source):
        super().install(source)
        self.command = ['sh', '-c', f'export INVOCATION_ID=some {self.words}; exec "$0" "$@"', *self.command]


@test
def upgrade_is_refused_where_it_would_end_the_service():
    """In a unit without a notify socket systemd ends all processes when the first one ends. A shell of a service's is no unit."""
    with InUnit('SYSTEMD_EXEC_PID=$$') as server:
        os.kill(server.pid, signal.SIGUSR2)
        wait_until(lambda: server.logged('level=warn .*SIGUSR2 changes nothing.*Type=notify'), 'a word about it')
        equal(server.get('/health').status, 200, '/health')
    for words in ('SYSTEMD_EXEC_PID=1', ''):
        with InUnit(words) as server:
            equal(server.wait_end(server.upgrade()), 0, 'exit code')
