# SPDX-License-Identifier: MIT
"""The life of the service's processes: the drain phase by phase, and workers that die."""

import os
import resource
import signal
import socket
import threading
import time

from faults.forms import CHAT, check_failed_stream, check_good, check_refused
from fake import upstream as fake
from lib.clock import Clock
from lib.harness import DEADLINE, Client, Server, backend, check, children_of, equal, name_of, test, wait_until


def terminate(server):
    server.process.send_signal(signal.SIGTERM)


def wait_exit(server, code=0, deadline=DEADLINE):
    equal(server.process.wait(deadline), code, 'exit code')


def wait_draining(server):
    wait_until(lambda: server.get('/health').status == 503, '/health tells of the drain')


def warned(server):
    """What was cut or went wrong, in the log; a busy machine's slow Ollama and log readers are no matter."""
    return server.logged('level=(error|warn .*(drain deadline|request failed))')


def refused(server):
    with socket.socket() as sock:
        return sock.connect_ex(server.address) != 0


def waiting_stream(x):
    parts, kind = fake.begin(x)
    x.pass_gate()
    x.chunk(parts[-1])
    x.last_chunk()


def started(server, form=CHAT):
    """A stream that has begun."""
    client = server.client(deadline=60)
    form.send(client)
    return client, client.read_head()


# --- the drain ------------------------------------------------------------------------------------------------------


@test
def announcement_serves_everybody_with_connection_close():
    with fake.Upstream() as up, backend(up, '--drain-announce', 60, may_restart=True) as server:
        with Client(server.address) as idle, Client(server.address) as silent:
            equal(idle.get('/health').status, 200, 'before')
            terminate(server)
            wait_draining(server)
            equal(server.get('/ready').status, 503, '/ready')
            with Client(server.address) as fresh:
                reply = CHAT.ask(fresh)
                check_good(CHAT, reply)
                equal(reply.get('Connection'), 'close', 'Connection of a fresh one')
            for client, name in ((idle, 'an idle one'), (silent, 'one that had said nothing')):
                reply = CHAT.ask(client)
                check_good(CHAT, reply)
                equal(reply.get('Connection'), 'close', f'Connection of {name}')


@test
def announcement_ends_on_time_and_idle_connections_with_it():
    with Clock() as clock, fake.Upstream() as up, backend(up, '--stall-timeout', 900, clock=clock, may_restart=True) as server:
        up.on('/api/chat', waiting_stream)
        with Client(server.address) as idle, Client(server.address) as running:
            equal(idle.get('/health').status, 200, 'before')
            CHAT.send(running)
            reply = running.read_head()
            terminate(server)
            wait_draining(server)
            clock.stop()
            clock.wind(29)
            check(not refused(server), 'refused after 29 s')
            clock.wind(2)
            check(refused(server), 'not refused after 31 s')
            equal(idle.read_close(), b'', 'the idle connection')
            clock.wind(200)
            up.gate().set()
            clock.go_on()
            check_good(CHAT, running.read_rest(reply))
            wait_exit(server)


@test
def waiting_answers_finish_too():
    with fake.Upstream() as up, backend(up, '--drain-announce', 0, '--heartbeat', 0, may_restart=True) as server:
        up.on('/api/chat', waiting_stream)
        first, reply = started(server)
        with Client(server.address) as second:
            CHAT.send(second)
            wait_until(lambda: server.get('/health').json()['queued'] == 1, 'the second waits')
            terminate(server)
            wait_until(lambda: refused(server), 'the listener is closed')
            up.gate().set()
            check_good(CHAT, first.read_rest(reply))
            check_good(CHAT, second.read_reply())
            wait_exit(server)


@test
def deadline_is_told_with_one_warning():
    with Clock() as clock, fake.Upstream() as up:
        with backend(up, '--max-active', 5, '--drain-timeout', 120, '--stall-timeout', 900, clock=clock, may_restart=True) as server:
            up.on('/api/chat', waiting_stream)
            streams = [started(server) for _ in range(5)]
            terminate(server)
            wait_draining(server)
            clock.stop()
            clock.wind(118)
            equal(server.process.poll(), None, 'exit code after 118 s')
            clock.wind(4)
            clock.go_on()
            for client, reply in streams:
                check_failed_stream(CHAT, client.read_rest(reply))
            wait_exit(server)
            warnings = wait_until(lambda: warned(server), 'the warning')
            check(len(warnings) == 1 and 'drain deadline' in warnings[0] and 'connections=5' in warnings[0], lambda: f'{warnings}')


@test
def deadline_before_the_end_of_the_announcement_waits_for_it():
    with Clock() as clock, fake.Upstream() as up:
        with backend(up, '--drain-announce', 30, '--drain-timeout', 5, clock=clock, may_restart=True) as server:
            up.on('/api/chat', waiting_stream)
            client, reply = started(server)
            terminate(server)
            wait_draining(server)
            clock.stop()
            clock.wind(28)
            check(not refused(server), 'refused after 28 s')
            clock.wind(4)
            clock.go_on()
            check_failed_stream(CHAT, client.read_rest(reply))
            wait_exit(server)


@test
def sigint_and_no_announcement_finish_at_once():
    for number, options in ((signal.SIGINT, ()), (signal.SIGTERM, ('--drain-announce', 0))):
        with fake.Upstream() as up, backend(up, *options, may_restart=True) as server:
            up.on('/api/chat', waiting_stream)
            client, reply = started(server)
            server.process.send_signal(number)
            wait_until(lambda: refused(server), 'the listener is closed')
            up.gate().set()
            check_good(CHAT, client.read_rest(reply))
            wait_exit(server)


@test
def second_signal_ends_at_once():
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
        with fake.Upstream() as up, backend(up, '--drain-announce', 60, may_restart=True) as server:
            up.on('/api/chat', waiting_stream)
            client, reply = started(server)
            server.process.send_signal(first)
            wait_until(lambda: server.logged('msg=stopping'), 'the first signal is seen')
            server.process.send_signal(second)
            wait_exit(server)
            client.read_rest(reply)
            check(not reply.whole(), f'cut, but it looks whole: {reply}')


@test
def worker_that_dies_is_replaced_in_the_announcement_only():
    with fake.Upstream() as up, backend(up, '--drain-announce', 60, may_restart=True) as server:
        victim = server.worker()
        terminate(server)
        wait_draining(server)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: server.workers() and victim not in server.workers(), 'another worker')
        wait_draining(server)
        check_good(CHAT, server.post('/api/chat', CHAT.body))
        server.process.send_signal(signal.SIGINT)
        wait_exit(server)
    with fake.Upstream() as up, backend(up, '--drain-announce', 0, may_restart=True) as server:
        up.on('/api/chat', waiting_stream)
        client, reply = started(server)
        terminate(server)
        wait_until(lambda: refused(server), 'the listener is closed')
        os.kill(server.worker(), signal.SIGKILL)
        wait_exit(server)
        wait_until(lambda: len(server.logged('a worker died.*SIGKILL')) == 1, 'a line about it')


@test
def request_that_came_before_the_end_is_served():
    """On a kept connection, unread at the moment of the finish; and in the listener's queue."""
    for _ in range(20):
        with Server('frontend', '--workers', 1, '--drain-announce', 0, may_restart=True) as server:
            with Client(server.address) as kept:
                equal(kept.get('/health').status, 200, 'before')
                worker = server.worker()
                os.kill(worker, signal.SIGSTOP)
                with Client(server.address) as queued:
                    kept.request('GET', '/')
                    queued.request('GET', '/')
                    terminate(server)
                    wait_until(lambda: server.logged('msg=stopping'), 'the signal is seen')
                    os.kill(worker, signal.SIGCONT)
                    equal((kept.read_reply().status, queued.read_reply().status), (200, 200), 'both')
            wait_exit(server)


class Balancer:
    """Routes requests here as long as its probes say so: every `interval` s one, out after two that fail."""

    def __init__(self, server, interval):
        self.server, self.interval = server, interval
        self.out, self.failures, self.served = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self._probe, daemon=True)]
        self.threads += [threading.Thread(target=self._route, daemon=True) for _ in range(3)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.out.set()
        for thread in self.threads:
            thread.join(DEADLINE)

    def _probe(self):
        bad = 0
        while bad < 2 and not self.out.is_set():
            try:
                bad = 0 if self.server.get('/health').status == 200 else bad + 1
            except (OSError, AssertionError):
                bad += 1
            time.sleep(self.interval)
        self.out.set()

    def _route(self):
        kept = None
        while not self.out.is_set():
            try:
                kept = kept or Client(self.server.address)
                reply = kept.get('/api/models')
                check(reply.status == 200 and reply.whole(), f'{reply}')
                self.served += 1
                if reply.get('Connection') == 'close':
                    kept.close()
                    kept = None
            except (OSError, AssertionError) as error:
                if not self.out.is_set():
                    self.failures.append(repr(error))
                return


@test
def balancer_that_probes_loses_nothing():
    """SIGTERM under 100 running streams."""
    options = ('--max-active', 100, '--drain-announce', 5, '--drain-timeout', 60)
    with fake.Upstream() as up, backend(up, *options, may_restart=True) as server:
        up.on('/api/chat', waiting_stream)
        streams = [started(server) for _ in range(100)]
        with Balancer(server, 0.2) as balancer:
            wait_until(lambda: balancer.served > 100, 'traffic')
            terminate(server)
            check(balancer.out.wait(DEADLINE), 'the load balancer was not told')
        equal(balancer.failures, [], 'what the load balancer saw fail')
        wait_until(lambda: refused(server), 'the listener is closed')
        up.gate().set()
        for client, reply in streams:
            check_good(CHAT, client.read_rest(reply))
        wait_exit(server)
        equal(warned(server), [], 'warnings')


# --- workers --------------------------------------------------------------------------------------------------------


def kill_worker(server, number=signal.SIGKILL):
    victim = server.worker()
    os.kill(victim, number)
    wait_until(lambda: server.workers() and victim not in server.workers(), 'another worker')


@test
def death_is_told_by_the_name_of_its_signal():
    with fake.Upstream() as up, backend(up, may_restart=True) as server:
        for name in ('SIGKILL', 'SIGABRT', 'SIGQUIT'):
            kill_worker(server, getattr(signal, name))
            wait_until(lambda: server.logged(f'level=error .*a worker died and is replaced.* worker=backend signal={name}'), name)


@test
def broken_streams_are_recognised_and_the_door_stays_open():
    with fake.Upstream() as up, backend(up, '--max-active', 20, may_restart=True) as server:
        up.on('/api/chat', waiting_stream)
        streams = [started(server) for _ in range(5)]
        old = [server.client() for _ in range(5)]
        for client in old:
            client.send(client.head('POST', '/api/chat', {'Content-Length': 75}, version='HTTP/1.0')
                        + b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"hi"}]}'.ljust(75))
        replies = [client.read_head() for client in old]
        knocks = []
        stopping = threading.Event()

        def knock():
            while not stopping.is_set():
                knocks.append(refused(server))
                time.sleep(0.001)
        thread = threading.Thread(target=knock, daemon=True)
        thread.start()
        kill_worker(server)
        for client, reply in streams:
            client.read_rest(reply)
            check(reply.ended in ('cut', 'reset'), f'a broken stream ended by {reply.ended}')
        for client, reply in zip(old, replies):
            client.read_rest(reply)
            equal(reply.ended, 'reset', 'end of a broken stream that has no length')
        equal(server.get('/health').status, 200, '/health')
        stopping.set()
        thread.join(DEADLINE)
        equal(knocks.count(True), 0, 'refused connections')


@test
def worker_of_a_page_that_dies_under_load_hurts_only_its_own():
    with Server('frontend', '--workers', 3, may_restart=True) as server:
        wait_until(lambda: len(server.workers()) == 3, 'three workers')
        kept = [Client(server.address) for _ in range(60)]
        for client in kept:
            equal(client.get('/health').status, 200, 'before')
        victim = server.workers()[0]
        mine = {link_of(victim, fd) for fd in os.listdir(f'/proc/{victim}/fd')}
        check(any('socket' in link for link in mine), 'it has no connections')
        os.kill(victim, signal.SIGKILL)
        alive = 0
        for client in kept:
            try:
                alive += client.get('/health').status == 200
            except (OSError, AssertionError):
                pass
            client.close()
        wait_until(lambda: len(server.workers()) == 3, 'three workers again')
        check(0 < alive < 60, f'{alive} of 60 connections live')
        for _ in range(60):
            equal(server.get('/health').status, 200, 'a new connection')


def link_of(pid, fd):
    try:
        return os.readlink(f'/proc/{pid}/fd/{fd}')
    except OSError:
        return ''


@test
def queue_of_a_dead_worker_passes_to_its_successor():
    with Server('frontend', '--workers', 2, may_restart=True) as server:
        workers = wait_until(lambda: len(server.workers()) == 2 and server.workers(), 'two workers')
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        clients = [Client(server.address) for _ in range(40)]
        for client in clients:
            client.request('GET', '/')
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            equal(client.read_reply().status, 200, 'a reply by the successor')
            client.close()


@test
def crash_loop_backs_off():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock, may_restart=True) as server:
        clock.stop()
        waits = []
        for _ in range(8):
            victim = wait_until(server.workers, 'a worker')[0]
            os.kill(victim, signal.SIGKILL)
            deaths = len(waits) + 1
            wait_until(lambda: len(server.logged('a worker died')) == deaths, 'its death in the log')
            waited = 0
            while not children_of(server.pid):  # a child is there with the fork; when it has its name is its own affair
                clock.wind(0.1, 0.1)
                waited += 0.1
                check(waited < 10, 'nobody replaces it')
            waits.append(round(waited, 1))
        check(waits[0] <= 0.2 and waits[-1] >= 4.9, f'{waits}')
        clock.wind(11)
        victim = server.worker()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: server.workers() and victim not in server.workers(), 'one that lived for long is replaced at once')
        clock.go_on()
        check_good(CHAT, server.post('/api/chat', CHAT.body))


@test
def worker_that_cannot_be_started_is_tried_again_after_its_back_off():
    with Clock() as clock, Server('frontend', '--workers', 1, clock=clock, may_restart=True) as server:
        clock.stop()
        clock.wind(11)
        victim = server.worker()
        limit = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        open_files = [int(name) for name in os.listdir(f'/proc/{server.pid}/fd')]
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (max(open_files) - 1, limit[1]))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: server.logged('a worker cannot be started'), 'the failure in the log')
        clock.wind(1, 0.1)
        failures = len(server.logged('a worker cannot be started'))
        check(2 <= failures <= 5, f'{failures} failures in a second')
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limit)
        clock.wind(6, 0.5)
        wait_until(lambda: server.workers() and victim not in server.workers(), 'another worker')
        equal(server.get('/health').status, 200, '/health')


@test
def nothing_in_memory_is_dumped_to_disk():
    with Server('frontend', '--workers', 1) as server:
        for pid in (server.pid, server.worker()):
            limit = resource.prlimit(pid, resource.RLIMIT_CORE)
            equal(limit, (0, 0), f'limit of core files of {name_of(pid)}')


@test
def port_is_free_when_the_keeper_was_killed():
    for role, options in (('frontend', ('--workers', 3)), ('backend', ('--ollama', 'http://127.0.0.1:9'))):
        server = Server(role, *options).__enter__()
        workers = server.workers()
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait(DEADLINE)

        def free():
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(server.address)
                    return True
                except OSError:
                    return False
        wait_until(free, f'the port is free ({workers})')


@test
def hangup_with_nothing_to_read_is_told_and_changes_nothing():
    with Server('frontend', '--workers', 1) as server:
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.logged('nothing to read again'), 'a word about it')
        equal(server.get('/health').status, 200, '/health')
