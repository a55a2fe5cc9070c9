# SPDX-License-Identifier: MIT
"""swarm.py: thousands of clients in one thread. Each sends one request and takes what comes, at its own time.

    swarm = Swarm(server.address)
    one = swarm.add(request)        # bytes
    swarm.run(lambda: all(one.over for one in swarm.clients), 60)
"""

import json
import resource
import select
import socket
import time

from lib.harness import Failed, Reply, check


def allow_descriptors():
    """As many as the machine lets us have; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def request(method, path, body=None, fields=()):
    """The bytes of a request that closes its connection."""
    content = b'' if body is None else json.dumps(body, separators=(',', ':')).encode()
    lines = [f'{method} {path} HTTP/1.1', 'Host: localhost', 'Connection: close',
             *(f'{name}: {value}' for name, value in dict(fields).items())]
    if body is not None:
        lines.append(f'Content-Length: {len(content)}')
    return ('\r\n'.join(lines) + '\r\n\r\n').encode() + content


class One:
    def __init__(self, sock, data):
        self.sock, self.left = sock, data
        self.parts = []
        self.over = False
        self.error = None  # an OSError that ended it
        self.began = time.monotonic()
        self.first = self.ended = None

    @property
    def raw(self):
        if len(self.parts) > 1:
            self.parts = [b''.join(self.parts)]
        return self.parts[0] if self.parts else b''

    def reply(self):
        """What came, judged: .ended is 'length' or 'chunked' when it is whole, else 'cut'."""
        head, mark, body = self.raw.partition(b'\r\n\r\n')
        if not mark:
            raise Failed(f'no reply: {self.raw[:100]!r} {self.error}')
        reply = Reply(head)
        if (reply.get('Transfer-Encoding') or '').lower() == 'chunked':
            reply.ended = _unchunk(reply, body)
        else:
            reply.add(body)
            whole = reply.has('Content-Length') and len(body) == int(reply.get('Content-Length'))
            reply.ended = 'length' if whole else 'cut'
        return reply


def _unchunk(reply, body):
    at = 0
    while True:
        end = body.find(b'\r\n', at)
        if end < 0:
            return 'cut'
        size = int(body[at:end].split(b';')[0], 16)
        if size == 0:
            return 'chunked' if body[end:] == b'\r\n\r\n' else 'cut'
        data = body[end + 2:end + 2 + size]
        if len(data) < size:
            return 'cut'
        reply.add(data)
        reply.chunks.append(data)
        at = end + 2 + size + 2


class Swarm:
    def __init__(self, address):
        self.address = address
        self.clients = []
        self._poll = select.epoll()
        self._open = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in list(self._open.values()):
            self.leave(one)
        self._poll.close()

    def add(self, data):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(self.address)
        one = One(sock, data)
        self.clients.append(one)
        self._open[sock.fileno()] = one
        self._poll.register(sock, select.EPOLLOUT)
        return one

    def leave(self, one):
        """The client goes away."""
        if not one.over:
            self._end(one)

    def _end(self, one, error=None):
        self._open.pop(one.sock.fileno(), None)
        one.sock.close()
        one.over, one.error, one.ended = True, error, time.monotonic()

    def turn(self, seconds=0.05):
        """Moves whatever can be moved."""
        for descriptor, events in self._poll.poll(seconds, 1024):
            one = self._open.get(descriptor)
            if one is None:
                continue
            try:
                if one.left:
                    one.left = one.left[one.sock.send(one.left):]
                    if not one.left:
                        self._poll.modify(descriptor, select.EPOLLIN)
                elif events:
                    self._take(one)
            except BlockingIOError:
                pass
            except OSError as error:
                self._end(one, error)

    def _take(self, one):
        data = one.sock.recv(65536)
        if one.first is None:
            one.first = time.monotonic()
        if data:
            one.parts.append(data)
        else:
            self._end(one)

    def run(self, done, seconds, what='the swarm'):
        """Turns until done() says so."""
        end = time.monotonic() + seconds
        while not done():
            check(time.monotonic() < end, f'waited {seconds:g} s for {what}')
            self.turn()

    def all_over(self):
        return not self._open
