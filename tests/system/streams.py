# SPDX-License-Identifier: MIT
"""Thousands of slow streams at a time: all of them held, all of them complete, none of them dear."""

import os
import signal
import time

from lib.harness import Client, Server, backend, check, descriptors_of, equal, proportional_kib, test, wait_until
from lib.swarm import Swarm, allow_descriptors, request

STREAMS = 2000
TOKENS = 16         # of each answer
TOKENS_A_SECOND = 2
KIB_A_STREAM = 40   # most that one may cost the worker; measured: about half of it
MODEL = 'ollachat-sim'
KEPT = 32           # connections to Ollama that may stay open for later

CHAT = request('POST', '/api/chat', {'model': MODEL, 'messages': [{'role': 'user', 'content': 'hi'}],
                                     'options': {'num_predict': TOKENS}})


def health(server):
    """Its reply, and how long it took."""
    began = time.monotonic()
    with Client(server.address) as client:
        reply = client.get('/health')
    equal(reply.status, 200, '/health')
    return reply.json(), time.monotonic() - began


def check_complete(one):
    reply = one.reply()
    equal((reply.status, reply.ended), (200, 'chunked'), 'status and end')
    lines = reply.lines()
    equal(lines[-1].get('done'), True, 'done')
    equal(lines[-1]['eval_count'], TOKENS, 'tokens')


@test
def two_thousand_slow_streams_are_held_and_complete():
    allow_descriptors()
    with Server('sim', '--tokens-per-second', TOKENS_A_SECOND, '--first-token-delay', 0) as sim, \
            backend(sim, '--max-active', STREAMS + 48, '--access-log', 'off') as server, Swarm(server.address) as swarm:
        worker = server.worker()
        descriptors, memory = descriptors_of(worker), proportional_kib(worker)
        for _ in range(STREAMS):
            swarm.add(CHAT)
            if len(swarm.clients) % 100 == 0:
                swarm.turn(0)
        swarm.run(lambda: sum(one.first is not None for one in swarm.clients) == STREAMS, 60, 'a first byte for each')
        held = health(server)[0]['active']
        each = (proportional_kib(worker) - memory) / STREAMS
        stopped = [sim.pid, *sim.workers()]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        slowest = max(health(server)[1] for _ in range(20))
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        swarm.run(swarm.all_over, 90, 'the end of all streams')
        print(f'{held} streams at a time, {each:.1f} KiB each, slowest /health {slowest * 1000:.1f} ms')
        check(held > STREAMS * 0.9, f'only {held} streams at a time: the machine is too slow to tell')
        check(each < KIB_A_STREAM, f'{each:.1f} KiB for each stream')
        for one in swarm.clients:
            check_complete(one)
        wait_until(lambda: descriptors_of(worker) <= descriptors + KEPT, 'descriptors are given back')
        equal(health(server)[0]['active'], 0, 'active')
