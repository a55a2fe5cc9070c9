#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py [N]: N requests, good and bad, mixed by chance (default 100,000), to one backend with the stand-in behind it. After
the first tenth (at least 10,000, if there are that many) its memory has to stay flat, and at the end no descriptor may be
left over. A row every tenth; the last line says how many passed and failed. OLLACHAT_BIN names the program; --seed
repeats a run."""

import argparse
import random
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.harness import Failed, Server, backend, check, descriptors_of, proportional_kib, wait_until  # noqa: E402
from lib.swarm import Swarm, allow_descriptors, request  # noqa: E402

MODEL = 'ollachat-sim'
AT_ONCE = 100
KEPT = 32          # connections to the stand-in that may stay open for later
SLACK_KIB = 1024   # memory that may come and go
HELLO = [{'role': 'user', 'content': 'hi'}]
SHORT = {'num_predict': 5}


def chat(**more):
    return {'model': MODEL, 'messages': HELLO, 'options': SHORT, **more}


# name: bytes, the statuses that are right (None: no reply is needed); weights follow
KINDS = {
    'lines': (request('POST', '/api/chat', chat()), {200}, 10),
    'whole': (request('POST', '/api/chat', chat(stream=False)), {200}, 5),
    'origin': (request('POST', '/api/chat', {'prompt': 'hi'}), {200}, 5),
    'events': (request('POST', '/v1/chat/completions', {'model': MODEL, 'messages': HELLO, 'stream': True, 'max_tokens': 5}), {200}, 10),
    'embed': (request('POST', '/api/embed', {'model': MODEL, 'input': 'hi'}), {200}, 3),
    'progress': (request('POST', '/api/chat', chat(), {'X-Ollachat-Progress': '1'}), {200}, 3),
    'large': (request('POST', '/api/chat', chat(messages=[{'role': 'user', 'content': 'x' * 100_000}])), {200}, 2),
    'health': (request('GET', '/health'), {200}, 10),
    'models': (request('GET', '/api/models'), {200}, 5),
    'metrics': (request('GET', '/metrics'), {200}, 2),
    'pipelined': (b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n' * 5 + request('GET', '/health'), {200}, 3),
    'nobody': (request('POST', '/api/chat', chat(model='nobody')), {404}, 3),
    'broken': (request('POST', '/api/chat')[:-2] + b'Content-Length: 9\r\n\r\n{"model":', {400}, 3),
    'deep': (request('POST', '/api/chat')[:-2] + b'Content-Length: 2000\r\n\r\n' + b'[' * 2000, {400}, 2),
    'no prompt': (request('POST', '/api/chat', {'prompt': ''}), {400}, 2),
    'nowhere': (request('GET', '/nowhere'), {404}, 3),
    'method': (request('GET', '/api/chat'), {405}, 2),
    'smuggled': (b'POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', {400}, 3),
    'garbage': (bytes(range(256)) * 4, {400}, 3),
    'long head': (b'GET / HTTP/1.1\r\nHost: a\r\nX: ' + b'x' * 70_000 + b'\r\n\r\n', {431}, 1),
    'cross-site': (request('POST', '/api/chat', chat(), {'Origin': 'http://evil.example'}), {403}, 2),
    'half': (request('POST', '/api/chat', chat())[:-20], None, 4),
    'leaves': (request('POST', '/api/chat', chat(options={})), None, 8),
}


class Soak:
    def __init__(self, server, swarm, seed):
        self.server, self.swarm, self.random = server, swarm, random.Random(seed)
        self.names = list(KINDS)
        self.weights = [KINDS[name][2] for name in self.names]
        self.done, self.wrong, self.under_way = 0, [], {}

    def start_one(self):
        name = self.random.choices(self.names, self.weights)[0]
        self.under_way[self.swarm.add(KINDS[name][0])] = name

    def finish(self):
        for one, name in list(self.under_way.items()):
            if not one.over and KINDS[name][1] is None and not one.left and self.random.random() < 0.2:
                self.swarm.leave(one)  # at any moment
            if one.over:
                del self.under_way[one]
                self.judge(name, one)
                self.done += 1
        self.swarm.clients.clear()

    def judge(self, name, one):
        wanted = KINDS[name][1]
        if wanted is None or len(self.wrong) > 20:
            return
        try:
            reply = one.reply()
            if reply.status not in wanted:
                self.wrong.append(f'{name}: {reply}')
            elif reply.ended == 'cut' and name != 'pipelined':
                self.wrong.append(f'{name}: cut: {reply}')
        except (Failed, ValueError) as error:
            if name not in ('long head', 'garbage', 'deep'):  # a reset may overtake what is said to those
                self.wrong.append(f'{name}: {error}')

    def run(self, number):
        started = self.done + len(self.under_way)
        while self.done < number:
            while started < number and len(self.under_way) < AT_ONCE:
                self.start_one()
                started += 1
            self.swarm.turn(0.01)
            self.finish()


def memory(server):
    return sum(proportional_kib(pid) for pid in [server.pid, server.worker()])


def soak(number, seed):
    allow_descriptors()
    options = ['--max-active', 16, '--max-queue', 1000, '--queue-timeout', 86400, '--access-log', 'off', '--log-level', 'error']
    with Server('sim', '--tokens-per-second', 0, '--first-token-delay', 0, '--access-log', 'off') as sim, backend(sim, *options) as server, \
            Swarm(server.address) as swarm:
        descriptors = descriptors_of(server.worker())
        worker = server.worker()
        run = Soak(server, swarm, seed)
        first = min(max(10_000, number // 10), number)
        began, flat, most = time.monotonic(), None, 0
        for part in [first, *range(first + max(1, number // 10), number + 1, max(1, number // 10)), number]:
            run.run(part)
            used = memory(server)
            flat = used if flat is None else flat
            most = max(most, used)
            print(f'requests {run.done} memory {used} KiB (keeper {proportional_kib(server.pid)}, worker {proportional_kib(worker)}) descriptors {descriptors_of(worker)} seconds {time.monotonic() - began:.1f}', flush=True)
        check(not run.wrong, lambda: 'wrong answers: ' + '\n'.join(run.wrong))
        check(most <= flat + SLACK_KIB, f'memory grew from {flat} to {most} KiB')
        wait_until(lambda: server.get('/health').json()['active'] == 0, 'all turns are free')
        wait_until(lambda: descriptors_of(worker) <= descriptors + KEPT, f'descriptors: {descriptors_of(worker)} of {descriptors} at first')
        check(server.worker() == worker, 'the worker died')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('number', nargs='?', type=int, default=100_000)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    try:
        soak(options.number, options.seed)
    except Failed as error:
        print(f'FAIL {error}')
        print('0 passed, 1 failed')
        return 1
    print('1 passed, 0 failed')
    return 0


if __name__ == '__main__':
    sys.exit(main())
