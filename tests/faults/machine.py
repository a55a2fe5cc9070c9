# SPDX-License-Identifier: MIT
"""The machine at its limits: descriptors run out, a worker is killed; random bytes arrive."""

import os
import random
import signal
import socket
import threading
import time

from faults.forms import CHAT, check_good
from fake import upstream as fake
from lib.harness import Client, Server, backend, binary, check, cpu_seconds, equal, test, wait_until


def idle_connections(server, number):
    """Connections that say nothing; those that cannot be had are left out."""
    clients = []
    for _ in range(number):
        try:
            clients.append(Client(server.address))
        except OSError:
            break
    return clients


@test
def running_out_of_descriptors_does_not_spin():
    with fake.Upstream() as up, backend(up, '--head-timeout', 60, nofile=64) as server:
        clients = idle_connections(server, 120)
        pids = [server.pid, *server.workers()]
        time.sleep(0.3)
        before = sum(map(cpu_seconds, pids))
        time.sleep(1.5)
        spent = sum(map(cpu_seconds, pids)) - before
        check(spent < 0.5, f'{spent:.2f} s of processor time in 1.5 s of doing nothing')
        for client in clients:
            client.close()
        wait_until(lambda: works(server), 'a chat is served again')


def works(server):
    try:
        with Client(server.address) as client:
            return CHAT.ask(client).status == 200
    except (OSError, AssertionError):
        return False


@test
def frontend_that_ran_out_of_descriptors_recovers():
    with Server('frontend', '--workers', 1, '--head-timeout', 60, nofile=48) as server:
        clients = idle_connections(server, 100)
        time.sleep(0.3)
        before = cpu_seconds(server.worker())
        time.sleep(1)
        check(cpu_seconds(server.worker()) - before < 0.4, 'spins')
        for client in clients:
            client.close()
        wait_until(lambda: page_works(server), 'the page is served again')


def page_works(server):
    try:
        return server.get('/').status == 200
    except (OSError, AssertionError):
        return False


@test
def full_server_still_answers_health():
    """Silent connections fill it; probes have a reserve."""
    with fake.Upstream() as up, backend(up, '--max-connections', 40, '--head-timeout', 60) as server:
        clients = idle_connections(server, 40)
        wait_until(lambda: health_status(server) == 200, '/health is answered')
        for client in clients:
            client.close()
        wait_until(lambda: works(server), 'a chat is served again')


def health_status(server):
    try:
        return server.get('/health').status
    except (OSError, AssertionError):
        return None


@test
def kept_alive_connections_make_room():
    with fake.Upstream() as up, backend(up, '--max-connections', 40) as server:
        clients = idle_connections(server, 60)
        for client in clients:
            try:
                client.get('/health')
            except (OSError, AssertionError):
                pass
        for _ in range(10):
            check_good(CHAT, server.post('/api/chat', CHAT.body))


@test
def lowered_connection_limit_is_said_in_the_log():
    with fake.Upstream() as up, backend(up, nofile=64) as server:
        wait_until(lambda: server.logged(r'max.connections|descriptor'), 'a line in the log')


@test
def killed_worker_is_replaced_and_no_connection_refused():
    with fake.Upstream() as up, backend(up, may_restart=True) as server:
        refused, stop = [], threading.Event()

        def knock():
            while not stop.is_set():
                with socket.socket() as sock:
                    if sock.connect_ex(server.address):
                        refused.append(time.monotonic())
                time.sleep(0.001)
        knocker = threading.Thread(target=knock, daemon=True)
        knocker.start()
        for _ in range(2):
            victim = server.worker()
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: server.workers() and victim not in server.workers(), 'another worker')
            wait_until(lambda: works(server), 'a chat is served again')
        stop.set()
        knocker.join()
        equal(refused, [], 'refused connections')
        check(server.logged('worker'), 'nothing about it in the log')


@test
def killed_page_worker_is_replaced():
    with Server('frontend', '--workers', 2, may_restart=True) as server:
        wait_until(lambda: len(server.workers()) == 2, 'two workers')
        victim = server.worker()
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == 2 and victim not in server.workers(), 'another worker')
        for _ in range(20):
            wait_until(lambda: page_works(server), 'the page')


@test
def connection_of_a_killed_worker_to_ollama_is_closed():
    with fake.Upstream() as up, backend(up, may_restart=True) as server, Client(server.address) as client:
        up.on('/api/chat', fake.MODES['silent'])
        CHAT.send(client)
        x = up.wait_exchange('/api/chat')
        os.kill(server.worker(), signal.SIGKILL)
        check(x.left.wait(5), 'Ollama works on for nobody')
        wait_until(lambda: health_status(server) == 200, '/health is answered')
        equal(server.get('/health').json()['active'], 0, 'active turns of the new worker')


@test
def workers_do_not_outlive_their_keeper():
    with fake.Upstream() as up:
        server = backend(up, ready=False).__enter__()
        workers = server.workers()
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        wait_until(lambda: not any(os.path.exists(f'/proc/{pid}/exe') and is_running(pid) for pid in workers), 'the workers are gone')


def is_running(pid):
    try:
        with open(f'/proc/{pid}/stat') as stat:
            return stat.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


@test
def workers_may_neither_connect_nor_start_programs():
    """The sandbox as the kernel reports it: a seccomp filter, and no new privileges."""
    with fake.Upstream() as up, backend(up) as server:
        if 'libasan' in open(f'/proc/{server.worker()}/maps').read():
            return  # sanitizers need what the sandbox takes away
        status = open(f'/proc/{server.worker()}/status').read()
        check('Seccomp:\t2' in status, 'no seccomp filter')
        check('NoNewPrivs:\t1' in status, 'may gain privileges')


@test
def random_bytes_hurt_nobody():

    numbers = random.Random(7)
    with fake.Upstream() as up, backend(up) as server, Server('frontend') as page:
        for one in (server, page):
            before = one.descriptors()
            for n in range(150):
                try:
                    with Client(one.address) as client:
                        client.send(numbers.randbytes(numbers.choice((1, 100, 5000, 65536))))
                        if n % 3 == 0:
                            client.fin()
                        client.sock.settimeout(0.05)
                        client.sock.recv(1000)
                except OSError:
                    pass
            equal(one.get('/health').status, 200, '/health')
            wait_until(lambda: one.descriptors() <= before, 'descriptors are closed')
        check_good(CHAT, server.post('/api/chat', CHAT.body))


@test
def relocated_data_is_read_only():
    """The linker marks it (RELRO); musl's static start code leaves it writable, so the program seals it itself."""
    with Server('frontend') as server:
        for pid in [server.process.pid, *server.workers()]:
            with open(f'/proc/{pid}/maps', encoding='ascii') as maps:
                rights = [line.split()[1] for line in maps if line.rstrip().endswith(os.path.realpath(binary()))]
            code = rights.index('r-xp')
            check('r--p' in rights[code + 2:], f'{pid}: no sealed page behind the constants: {rights}')
