# SPDX-License-Identifier: MIT
"""A worker that somebody has taken over: whatever it writes into memory that it shares with the keeper, the keeper lives
and puts another in its place."""

import os
import random
import re
import signal
from pathlib import Path

from faults.pull import LAYER, WANTED, line
from fake import upstream as fake
from lib.clock import Clock
from lib.harness import Server, TestFolder, backend, check, equal, test, wait_until


def shared_spans(pid):
    """Where the pages lie that keeper and workers share."""
    text = Path(f'/proc/{pid}/maps').read_text()
    return [(int(low, 16), int(high, 16)) for low, high in re.findall(r'^(\w+)-(\w+) rw-s .*/dev/zero', text, re.M)]


def scribble(pid, make):
    """Fills all of them by make(size), which says nothing about what lies where."""
    spans = shared_spans(pid)
    check(spans, 'no shared pages are found')
    with open(f'/proc/{pid}/mem', 'r+b', buffering=0) as memory:
        for low, high in spans:
            memory.seek(low)
            equal(memory.write(make(high - low)), high - low, 'bytes written')


def words(value, size=4):
    return lambda n: value.to_bytes(size, 'little') * (n // size)


PATTERNS = {
    'ones': words(2**32 - 1),
    'zeros': words(0),
    'threes': words(3),
    'one of eight': words(1, 8),
    'large': words(2**31 - 1),
    'noise': lambda n: random.Random(1).randbytes(n),
}


def replaced(server, victim):
    wait_until(lambda: server.workers() and victim not in server.workers(), 'another worker')


def judge(server, clock, name, make):
    """The worker is stopped first, so that it is the keeper that is judged."""
    victim = server.worker()
    os.kill(victim, signal.SIGSTOP)
    scribble(victim, make)
    clock.wind(30)  # it measures, probes, pulls
    equal(server.process.poll(), None, f'exit code of the keeper after {name}')
    deaths = len(server.logged('a worker died and is replaced'))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(server.logged('a worker died and is replaced')) > deaths, f'a death in the log after {name}')
    clock.wind(6, 0.5)
    replaced(server, victim)
    equal(server.get('/metrics').status, 200, f'/metrics after {name}')
    clock.go_on()
    wait_until(lambda: server.get('/health').status == 200, f'/health after {name}')


@test
def frontend_lives_on_whatever_a_worker_writes():
    for name, make in PATTERNS.items():
        with Clock() as clock, Server('frontend', '--workers', 1, clock=clock, may_restart=True) as server:
            clock.stop()
            judge(server, clock, name, make)


@test
def backend_lives_on_whatever_a_worker_writes():
    for name, make in PATTERNS.items():
        with Clock() as clock, fake.Upstream(loaded=[]) as up:
            def pull(x):
                x.head()
                line(x, **LAYER, completed=10)
                x.pass_gate()
                for n in range(20):
                    line(x, **LAYER, completed=20 + n)
                x.wait_left()
            up.on('/api/pull', pull)
            options = ('--model', WANTED, '--pull', 'missing', '--stall-timeout', 900)
            with backend(up, *options, clock=clock, may_restart=True) as server:
                wait_until(lambda: up.requests('/api/pull'), 'a pull')
                clock.stop()
                up.gate().set()
                judge(server, clock, name, make)


@test
def keys_count_on_whatever_a_worker_writes():
    with Clock() as clock, TestFolder() as folder, fake.Upstream() as up:
        (folder / 'keys').write_text('the-one\n')
        with backend(up, '--api-keys', folder / 'keys', clock=clock, may_restart=True) as server:
            for name, make in PATTERNS.items():
                clock.stop()
                judge(server, clock, name, make)
                for key, status in (('the-one', 200), ('another', 401)):
                    reply = server.get('/api/tags', fields={'Authorization': f'Bearer {key}'})
                    equal(reply.status, status, f'/api/tags with {key} after {name}')
