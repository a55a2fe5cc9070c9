#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py: figures of the program, one row a line: `name value unit`. Nothing is judged here; the machine's noise is in the
figures, so compare rows of one run, or the processor time a unit. OLLACHAT_BIN names the program."""

import json
import os
import select
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fake import upstream as fake  # noqa: E402
from lib.harness import (ROOT, Client, Server, backend, binary, clean_environment, cpu_seconds, proportional_kib,  # noqa: E402
                         wait_until)

STARTS = 21
JSON_BODIES = 200
LOAD_SECONDS = 2.0
LOAD_CONNECTIONS = 64
HEALTH = b'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'


def row(name, value, unit):
    text = f'{value:.3f}'.rstrip('0').rstrip('.') if isinstance(value, float) else str(value)
    print(f'{name} {text} {unit}', flush=True)


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


# --- start and memory -----------------------------------------------------------------------------------------------


def first_answer(port):
    """Asks for /health again and again until it is answered."""
    while True:
        with socket.socket() as sock:
            if sock.connect_ex(('127.0.0.1', port)) == 0:
                sock.sendall(HEALTH)
                return sock.recv(4096)


def start_milliseconds(role, *options):
    port = free_port()
    command = [binary(), role, '--listen', f'127.0.0.1:{port}', *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
    reply = first_answer(port)
    took = (time.perf_counter() - began) * 1000
    process.kill()
    process.wait()
    assert reply.startswith(b'HTTP/1.1 200 '), reply
    return took


def bench_start(up):
    for role, options in (('backend', ['--ollama', up.url]), ('frontend', [])):
        times = [start_milliseconds(role, *options) for _ in range(STARTS)]
        row(f'start_{role}_median', statistics.median(times), 'ms')
        row(f'start_{role}_slowest', max(times), 'ms')


def processes_of(server):
    return [server.pid, *server.workers()]


def bench_memory(up):
    servers = {'backend': Server('backend', '--ollama', up.url), 'frontend': Server('frontend'),
               'frontend_one_worker': Server('frontend', '--workers', '1')}
    for name, server in servers.items():
        with server:
            wait_until(server.workers, 'workers')
            time.sleep(1)
            row(f'idle_pss_{name}', sum(map(proportional_kib, processes_of(server))), 'KiB')


# --- requests per second --------------------------------------------------------------------------------------------


def load(address, request, seconds):
    """Keeps LOAD_CONNECTIONS connections busy, one request at a time each; how many were answered."""
    poll, socks, done = select.epoll(), {}, 0
    for _ in range(LOAD_CONNECTIONS):
        sock = socket.create_connection(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        socks[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
        sock.sendall(request)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for descriptor, _ in poll.poll(0.1):
            sock = socks[descriptor]
            if not sock.recv(65536):
                raise RuntimeError('closed under load')
            done += 1  # the replies are small: one read each
            sock.sendall(request)
    for sock in socks.values():
        sock.close()
    return done


def wrk(server, path, seconds):
    """Requests answered as wrk counts them; None where there is no wrk."""
    if not shutil.which('wrk'):
        return None
    done = subprocess.run(['wrk', '-t1', f'-c{LOAD_CONNECTIONS}', f'-d{seconds:g}s', server.url + path], capture_output=True, text=True)
    return next(int(line.split()[0]) for line in done.stdout.split('\n') if 'requests in' in line)


def bench_requests(up):
    with backend(up, '--access-log', 'off') as server:
        bench_one_load('health', server, '/health')
    with Server('frontend', '--workers', '1', '--access-log', 'off') as server:
        bench_one_load('page', server, '/')


def bench_one_load(name, server, path):
    before = cpu_seconds(server.worker())
    request = f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    done, by = wrk(server, path, LOAD_SECONDS), 'wrk'
    if done is None:
        done, by = load(server.address, request, LOAD_SECONDS), 'python'
    spent = cpu_seconds(server.worker()) - before
    row(f'{name}_requests_{by}', done / LOAD_SECONDS, '1/s')
    row(f'{name}_cpu', spent * 1e6 / done, 'us/request')


# --- streams --------------------------------------------------------------------------------------------------------


def line_delays(address):
    """One-way times of the lines of a timed stream, in microseconds."""
    delays = []
    with Client(address) as client:
        client.request('POST', '/api/chat', {'model': fake.NAME, 'messages': [{'role': 'user', 'content': 'x'}]})
        reply = client.read_head()
        while True:
            line = client.read_chunk(reply)
            now = time.monotonic_ns()
            if not line:
                return delays
            content = json.loads(line)['message']['content']
            if content:
                delays.append((now - int(content)) / 1000)


def bench_relay():
    """The upstream is a process of its own: in ours it would share the interpreter with the client."""
    process = subprocess.Popen([sys.executable, '-B', str(ROOT / 'tests/fake/upstream.py'), '--mode', 'timed'], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().split()[-1]
        host, port = url[len('http://'):].split(':')
        with backend(url, '--access-log', 'off') as server:
            direct, relayed, spent = [], [], 0.0
            for _ in range(5):
                direct += line_delays((host, int(port)))
                before = cpu_seconds(server.worker())
                relayed += line_delays(server.address)
                spent += cpu_seconds(server.worker()) - before
            row('line_direct_median', statistics.median(direct), 'us')
            row('line_relayed_median', statistics.median(relayed), 'us')
            row('line_added_median', statistics.median(relayed) - statistics.median(direct), 'us')
            row('line_relayed_p99', statistics.quantiles(relayed, n=100)[98], 'us')
            row('line_direct_p99', statistics.quantiles(direct, n=100)[98], 'us')
            row('line_cpu', spent * 1e6 / len(relayed), 'us/line')
    finally:
        process.kill()
        process.wait()


# --- JSON -----------------------------------------------------------------------------------------------------------


def bench_json(up):
    """A chat of 1 MiB whose very last byte is missing: all of it is judged, and nothing is sent on."""
    messages = []
    while len(json.dumps(messages)) < (1 << 20) and len(messages) < 20000:
        messages += [{'role': 'user', 'content': 'a "quoted" word, é, and\nmore'}] * 500
    body = json.dumps({'model': fake.NAME, 'messages': messages}, ensure_ascii=False).encode()[:-1]
    with backend(up, '--access-log', 'off') as server, Client(server.address) as client:
        times = []
        before = cpu_seconds(server.worker())
        for _ in range(JSON_BODIES):
            began = time.perf_counter()
            reply = client.post('/api/chat', body)
            times.append((time.perf_counter() - began) * 1000)
            assert reply.status == 400, reply
        row('json_body', len(body), 'bytes')
        row('json_judged_median', statistics.median(times), 'ms')
        row('json_cpu', (cpu_seconds(server.worker()) - before) * 1e3 / JSON_BODIES, 'ms/body')


def main():
    if not os.access(binary(), os.X_OK):
        print(f'{binary()} is not there: build it first', file=sys.stderr)
        return 1
    row('binary_size', os.path.getsize(binary()), 'bytes')
    with fake.Upstream() as up:
        bench_start(up)
        bench_memory(up)
        bench_requests(up)
        bench_json(up)
    bench_relay()
    return 0


if __name__ == '__main__':
    sys.exit(main())
