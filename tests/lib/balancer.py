#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""balancer.py: HAProxy or nginx as the load balancer in front of backends, on a free port, cutting whoever is silent for
too long. As a program (balancer.py haproxy|nginx URL IDLE) it stays in front of one until it is killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HAPROXY = '''
global
    maxconn 4000
    stats socket {folder}/admin mode 600 level admin
defaults
    mode http
    maxconn 4000
    retries 0
    timeout connect 2s
    timeout client {idle}s
    timeout server {idle}s
    timeout http-request 10s
    timeout http-keep-alive 10s
frontend door
    bind fd@{fd}
    default_backend rooms
backend rooms
    balance roundrobin
    option httpchk GET /health
    http-check expect status 200
    default-server check inter {probe}ms fall 2 rise 1
    {servers}
'''

NGINX = '''
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream rooms {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location / {{
            proxy_pass http://rooms;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_next_upstream off;
            proxy_buffering off;
            proxy_read_timeout {idle}s;
        }}
    }}
}}
'''


class Balancer:
    """kind: 'haproxy' or 'nginx'; urls: of the backends; idle: seconds of silence after which it cuts."""

    def __init__(self, kind, urls, idle, probe_ms=200):
        self.kind, self.idle, self.probe_ms = kind, idle, probe_ms
        self.places = [url.split('//', 1)[1] for url in urls]

    def __enter__(self):
        program = shutil.which(self.kind, path=f'{os.environ.get("PATH", "")}:/usr/sbin:/usr/local/sbin')
        if program is None:
            raise AssertionError(f'{self.kind} is not installed')
        self.folder = Path(tempfile.mkdtemp(prefix=f'ollachat-{self.kind}-'))
        with socket.socket() as door:  # handed on listening, so that the port is ours from the beginning
            door.bind(('127.0.0.1', 0))
            door.listen(1024)
            door.set_inheritable(True)
            self.address = door.getsockname()
            self.url = f'http://127.0.0.1:{self.address[1]}'
            command, env = getattr(self, f'_{self.kind}')(program, door.fileno())
            self.log = (self.folder / 'log').open('w+')
            self.process = subprocess.Popen(command, env=env, pass_fds=[door.fileno()], stdin=subprocess.DEVNULL,
                                            stdout=self.log, stderr=self.log)
        return self

    def __exit__(self, *_):
        self.process.terminate()  # at once for both, with their children
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, text, **values):
        path = self.folder / 'config'
        path.write_text(text.format(folder=self.folder, idle=self.idle, **values))
        return str(path)

    def _haproxy(self, program, fd):
        servers = '\n    '.join(f'server room{n} {place}' for n, place in enumerate(self.places))
        path = self._write(HAPROXY, fd=fd, probe=self.probe_ms, servers=servers)
        return [program, '-db', '-q', '-f', path], None

    def _nginx(self, program, fd):
        servers = ' '.join(f'server {place};' for place in self.places)
        path = self._write(NGINX, port=self.address[1], servers=servers)
        return [program, '-c', path], {**os.environ, 'NGINX': f'{fd};'}  # as it hands sockets to its own successor

    def states(self):
        """HAProxy's view of its backends: name -> UP, DOWN, ..."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.folder / 'admin'))
            sock.sendall(b'show stat\n')
            text = b''.join(iter(lambda: sock.recv(65536), b'')).decode()
        rows = [line.split(',') for line in text.split('\n') if line.startswith('rooms,room')]
        return {row[1]: row[17] for row in rows}


def main():
    kind, url, idle = sys.argv[1:]
    ends = [signal.SIGTERM, signal.SIGINT]
    with Balancer(kind, [url], idle) as balancer:
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # only now: the balancer itself has to obey them
        time.sleep(0.3)  # HAProxy's first probes
        print(f'listening on {balancer.url}', flush=True)
        signal.sigwait(ends)


if __name__ == '__main__':
    main()
