#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py [WORD...]: sends the cases of this folder (README.md has the format) to both roles of the program over a
socket: whole, in pieces, and with a good request behind every refused one. Then throws random bytes at both. Words
choose cases by name. $OLLACHAT_BIN names the program; $RANDOM_ROUNDS is 50."""

import itertools
import json
import os
import random
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fake import upstream as fake  # noqa: E402
from lib.harness import Failed, Server, backend, check  # noqa: E402

ROLES = ('backend', 'frontend')
DEADLINE = 10.0
PAUSE = 0.05
BYTE_PAUSE = 0.0001  # so that bytes arrive one by one
EACH_BYTE_MAX = 700  # longer ones are cut at line ends, or it takes minutes
PIECE = 4000
HEALTH = b'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
WORKERS = 16


# --- cases ----------------------------------------------------------------------------------------------------------


def decode(text):
    """Bytes of a line with escapes and repetitions."""
    escapes = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\'}

    def escape(found):
        return chr(int(found[1], 16)) if found[1] else escapes[found[2]]

    def bytes_of(part):
        return re.sub(r'\\(?:x([0-9a-fA-F]{2})|([rnt0\\]))', escape, part).encode('latin-1')

    out, at = b'', 0
    for found in re.finditer(r"\{(\d+) x '([^']*)'\}", text):
        out += bytes_of(text[at:found.start()]) + int(found[1]) * bytes_of(found[2])
        at = found.end()
    return out + bytes_of(text[at:])


class Case:
    def __init__(self, file, name):
        self.name = f'{file.stem}: {name}'
        self.parts = [b'']  # sent with a pause between them
        self.fin = False
        self.heads = set()
        self.verdicts = []
        self.wanted = {}

    def read(self, key, value):
        if key == 'in':
            self.parts[-1] += decode(value)
        elif key == 'host':
            self.parts[-1] += b'Host: localhost\r\n'
        elif key == 'pause':
            self.parts.append(b'')
        elif key == 'fin':
            self.fin = True
        elif key == 'heads':
            self.heads = {int(word) for word in value.split()}
        elif key == 'pure':
            self.verdicts.append(value)
        elif key == 'both':
            self.wanted = dict.fromkeys(ROLES, value.split())
        elif key in ROLES:
            self.wanted[key] = value.split()
        else:
            raise SystemExit(f'{self.name}: unknown key {key}')

    def complete(self):
        if self.is_refused() and not self.wanted:
            self.wanted = dict.fromkeys(ROLES, [self.verdicts[0].split()[1], 'closed'])
        for role, wanted in self.wanted.items():
            if wanted[-1] not in ('open', 'closed', 'any'):
                raise SystemExit(f'{self.name}: {role}: what becomes of the connection?')
        return self

    def is_refused(self):
        return self.verdicts[:1] != [] and self.verdicts[0].startswith('BAD')

    def is_old(self):
        return b' HTTP/1.0\r\n' in self.parts[0]


def cases_of(file):
    case = None
    for line in file.read_text(encoding='ascii').splitlines():
        if not line.strip() or line.startswith('#'):
            continue
        key, _, value = line.partition(':')
        value = value[1:] if value.startswith(' ') else value
        if key == 'case':
            if case:
                yield case.complete()
            case = Case(file, value)
        else:
            case.read(key, value.rstrip(' '))
    if case:
        yield case.complete()


# --- a client that takes what comes ---------------------------------------------------------------------------------


class Peer:
    """A connection. `left` says that the server ended it while something was being sent."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ahead = b''
        self.left = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.left = True

    def fin(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.left = True

    def more(self):
        """Reads on. False at the end, be it a close or a reset."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            return False
        except socket.timeout:
            raise Failed(f'nothing came for {DEADLINE:g} s; had {self.ahead[:200]!r}') from None
        self.ahead += data
        return bool(data)

    def take_until(self, mark):
        while mark not in self.ahead:
            check(self.more(), lambda: f'ended within a reply: {self.ahead[:200]!r}')
        taken, _, self.ahead = self.ahead.partition(mark)
        return taken

    def take(self, n):
        while len(self.ahead) < n:
            check(self.more(), lambda: f'ended within a body: {self.ahead[:200]!r}')
        taken, self.ahead = self.ahead[:n], self.ahead[n:]
        return taken

    def take_chunks(self):
        body = b''
        while True:
            size = int(self.take_until(b'\r\n'), 16)
            if size == 0:
                check(self.take(2) == b'\r\n', 'trailers')
                return body
            body += self.take(size)
            check(self.take(2) == b'\r\n', 'no CRLF behind a chunk')

    def take_rest(self):
        while self.more():
            pass
        return self.take(len(self.ahead))

    def reply(self, to_head=False, to_old=False):
        """The next reply, or None when the connection ended before it."""
        while not self.ahead:
            if not self.more():
                return None
        return Reply(self, to_head, to_old)


class Reply:
    """A reply, judged as it is read. `to_old`: the client speaks HTTP/1.0."""

    def __init__(self, peer, to_head, to_old):
        lines = peer.take_until(b'\r\n\r\n').decode('latin-1').split('\r\n')
        found = re.fullmatch(r'HTTP/1\.1 (\d{3}) [ -~]*', lines[0])
        check(found, lambda: f'status line: {lines[0]!r}')
        self.status = int(found[1])
        self.fields = {}
        for line in lines[1:]:
            found = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~]*)", line)
            check(found, lambda: f'field line: {line!r}')
            check(found[1].lower() not in self.fields, lambda: f'field twice: {line!r}')
            self.fields[found[1].lower()] = found[2].strip()
        self.body = b'' if to_head or self.has_no_body() else self.read_body(peer, to_old)
        self.judge(to_head)

    def has_no_body(self):
        return self.status < 200 or self.status in (204, 304)

    def read_body(self, peer, to_old):
        length, coding = self.fields.get('content-length'), self.fields.get('transfer-encoding')
        check(length is None or coding is None, lambda: f'{self.status}: both length and chunks: {self.fields}')
        if length is not None:
            return peer.take(int(length))
        if coding is not None:
            check(not to_old, 'chunks for an HTTP/1.0 client (RFC 9112, 6.1)')
            return peer.take_chunks()
        check(to_old, lambda: f'{self.status}: neither length nor chunks: {self.fields}')
        return peer.take_rest()

    def judge(self, to_head):
        """What is true of every reply of ours."""
        framed = {'content-length', 'transfer-encoding'} & self.fields.keys()
        check(not framed or self.status not in (204, 205) and self.status >= 200,
              lambda: f'{self.status} with framing: {framed} (RFC 9110, 8.6; RFC 9112, 6.1)')
        if self.status < 200:
            check(not self.fields, lambda: f'{self.status} with fields: {self.fields}')
            return
        check('date' in self.fields, lambda: f'{self.status} without Date (RFC 9110, 6.6.1)')
        check(self.status != 405 or 'allow' in self.fields, '405 without Allow (RFC 9110, 15.5.6)')
        check(self.status != 503 or 'retry-after' in self.fields, '503 without Retry-After')
        if self.status >= 400 and not to_head:
            self.judge_error()

    def judge_error(self):
        try:
            error = json.loads(self.body)['error']
        except (ValueError, KeyError, TypeError):
            raise Failed(f'{self.status}: no error object: {self.body[:200]!r}') from None
        text = error.get('message') if isinstance(error, dict) else error
        check(isinstance(text, str) and text, lambda: f'{self.status}: no error text: {self.body[:200]!r}')
        check(self.fields.get('content-type', '').startswith('application/json'), 'an error that is no JSON by its type')

    def says_close(self):
        return 'close' in self.fields.get('connection', '').lower()


# --- one run of a case ----------------------------------------------------------------------------------------------


def matches(word, status):
    return str(status) in word.rstrip('?').split('|')


def read_replies(peer, case, words):
    """Reads the replies that `words` ask for; returns the last one."""
    last, got, number = None, [], 1
    words = list(words)
    while words:
        word = words.pop(0)
        if word == 'NONE':
            continue
        if word.endswith('?') and not words and not peer.ahead and not peer.more():
            continue
        reply = peer.reply(number in case.heads, case.is_old())
        got.append(reply.status if reply else 'end')
        while word.endswith('?') and words and (reply is None or not matches(word, reply.status)):
            word = words.pop(0)
        if reply is None and word.endswith('?'):
            continue
        check(reply and matches(word, reply.status),
              lambda: f'replies {got}, wanted {word} now {reply.body[:200] if reply else ""}')
        last = reply
        if reply.status >= 200:
            number += 1
    return last


def judge_end(peer, case, last, end):
    if end in ('open', 'any') and not case.fin:
        # When the server may have closed already, nothing but a good reply or the end may come.
        peer.send(HEALTH)
        reply = peer.reply()
        check(reply or end == 'any', 'the connection should still be open')
        check(reply is None or reply.status == 200,
              lambda: f'the next request was answered {reply.status} {reply.body[:200]!r}')
    elif end == 'closed' and last is not None and not case.is_old() and not case.fin:
        check(last.says_close(), 'closed without Connection: close')
    while peer.more():
        pass
    check(not peer.ahead, lambda: f'more came: {peer.ahead[:300]!r}')


def pieces_whole(part):
    yield part


def pieces_small(part):
    """Each byte, or each line of what is long (and long lines in pieces)."""
    if len(part) <= EACH_BYTE_MAX:
        for n in range(len(part)):
            yield part[n:n + 1]
        return
    for count, line in enumerate(part.split(b'\r\n')):
        line = b'\n' + line if count else line  # so CR and LF come apart
        line += b'\r'
        for n in range(0, len(line), PIECE):
            yield line[n:n + PIECE]


def run_case(case, role, address, pieces, behind=b''):
    words = case.wanted[role]
    with Peer(address) as peer:
        for count, part in enumerate(case.parts):
            if count:
                time.sleep(PAUSE)
            data = part + behind if count + 1 == len(case.parts) else part
            sent = 0
            for piece in pieces(data):
                piece = piece[:len(data) - sent]  # the last line has no CR of its own
                sent += len(piece)
                if peer.left:
                    break
                peer.send(piece)
                if len(piece) == 1:
                    time.sleep(BYTE_PAUSE)
        if case.fin:
            peer.fin()
        last = read_replies(peer, case, words[:-1])
        judge_end(peer, case, last, words[-1])


def runs_of(case, role):
    yield 'whole', pieces_whole, b''
    if len(case.parts[0]) > 1:
        yield 'in pieces', pieces_small, b''
    if case.is_refused() and not case.fin:
        yield 'with a request behind it', pieces_whole, HEALTH


# --- random bytes ---------------------------------------------------------------------------------------------------

STARTS = (b'', b'GET / HTTP/1.1\r\nHost: localhost\r\n', b'GET /', b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nX: ',
          b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n',
          b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n')


def throw_random(address, seed):
    """64 KiB of anything, from some place of a request on; then a good request must be served."""
    rng = random.Random(seed)
    with Peer(address) as peer:
        peer.send(STARTS[seed % len(STARTS)] + rng.randbytes(65536))
        peer.fin()
        while peer.more():
            pass
    with Peer(address) as peer:
        peer.send(HEALTH)
        reply = peer.reply()
        check(reply and reply.status == 200, lambda: f'the next request: {reply and reply.status}')


# --- all of it ------------------------------------------------------------------------------------------------------


def jobs_of(cases, servers, rounds):
    """(name, function) pairs, the roles by turns."""
    for case in cases:
        for role, server in servers.items():
            if role not in case.wanted:
                continue
            for how, pieces, behind in runs_of(case, role):
                yield (f'{role}: {case.name} ({how})',
                       lambda c=case, r=role, a=server.address, p=pieces, b=behind: run_case(c, r, a, p, b))
    for seed in range(rounds):
        for role, server in servers.items():
            yield f'{role}: random bytes, seed {seed}', lambda a=server.address, s=seed: throw_random(a, s)


def attempt(job):
    name, function = job
    try:
        function()
    except (Failed, OSError, ValueError) as error:
        return f'FAILED {name}\n    {type(error).__name__ if not isinstance(error, Failed) else ""} {error}'
    return None


def run_all(jobs):
    passed = failed = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for trouble in pool.map(attempt, jobs):
            if trouble:
                failed += 1
                print(trouble, flush=True)
            else:
                passed += 1
    return passed, failed


def main():
    words = sys.argv[1:]
    cases = list(itertools.chain.from_iterable(cases_of(file) for file in sorted(HERE.glob('*.txt'))))
    cases = [case for case in cases if not words or any(word in case.name for word in words)]
    rounds = 0 if words else int(os.environ.get('RANDOM_ROUNDS', '50'))
    options = ('--max-body', '64k', '--log-level', 'warn', '--access-log', 'off')
    try:
        with fake.Upstream() as up, backend(up, *options) as back, Server('frontend', *options) as front:
            passed, failed = run_all(jobs_of(cases, {'backend': back, 'frontend': front}, rounds))
    except (Failed, OSError) as error:  # a role that does not start, or ends badly
        print(f'FAILED {error}')
        passed, failed = 0, 1
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
