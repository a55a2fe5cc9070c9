# SPDX-License-Identifier: MIT
"""harness.py: what the system tests share: the program in a role, an HTTP client that sees bytes, chunks and the moments
they arrive, waits for conditions, and a runner that gives each test a process of its own.

Standard library only. $OLLACHAT_BIN names the program, default dist/ollachat."""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from lib.clock import wound_program

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 10.0  # seconds after which a thing that did not happen is a failure: generous, for machines are shared
TEST_TIMEOUT = 30.0

SANITIZER = re.compile(r'(ERROR|WARNING|SUMMARY): \w*Sanitizer|runtime error: ')


class Failed(AssertionError):
    """A test's expectation that was not met."""


def check(condition, text):
    if not condition:
        raise Failed(text() if callable(text) else text)


def equal(got, wanted, what='value'):
    check(got == wanted, lambda: f'{what}: got {got!r}, wanted {wanted!r}')


def wait_until(condition, what, deadline=DEADLINE):
    """Polls until the condition holds and returns its value; fails when it does not within the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f'waited {deadline:g} s for: {what}')
        time.sleep(0.005)


def binary():
    path = Path(os.environ.get('OLLACHAT_BIN') or ROOT / 'dist' / 'ollachat')
    return str(path if path.is_absolute() else Path.cwd() / path)


# --- processes, as /proc shows them ---------------------------------------------------------------------------------


def children_of(pid):
    try:
        return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    except FileNotFoundError:
        return []


def name_of(pid):
    try:
        return Path(f'/proc/{pid}/comm').read_text().strip()
    except OSError:
        return None


def descriptors_of(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def resident_bytes(pid):
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'^VmRSS:\s+(\d+) kB', text, re.M).group(1)) * 1024


def proportional_kib(pid):
    text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'^Pss:\s+(\d+) kB', text, re.M).group(1))


def cpu_seconds(pid):
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


# --- the program under test -----------------------------------------------------------------------------------------

_servers = []  # of this test's process, so that a failure can show what they logged
_contexts = {}  # address -> how a client speaks TLS with the server there


class _Socket(ssl.SSLSocket):
    """Says that nothing is there in the words of a plain socket."""

    def recv(self, *args):
        try:
            return super().recv(*args)
        except ssl.SSLWantReadError as error:
            raise BlockingIOError(*error.args) from None


def trusting():
    """A TLS client that believes whatever it is shown."""
    context = ssl.create_default_context()
    context.sslsocket_class = _Socket
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def clean_environment():
    return {k: v for k, v in os.environ.items()
            if not k.startswith(('OLLACHAT_', 'OLLAMA_', 'LISTEN_', 'NOTIFY_', 'WATCHDOG_'))}


def added_options(role, options):
    """What a runner wants every server to be started with."""
    return ()


def one_stack():
    """For a look at a process's memory: the address sanitizer then keeps no copies of stack frames that are gone."""
    options = os.environ.get('ASAN_OPTIONS', '')
    return {'ASAN_OPTIONS': ':'.join(filter(None, (options, 'detect_stack_use_after_return=0')))}


class Server:
    """The program in a role, on a free port of 127.0.0.1; a context manager that also judges its end."""

    def __init__(self, role, *options, env=None, nofile=None, may_restart=False, listen='127.0.0.1:0', clock=None):
        self.role = role
        self.clock = clock
        options = (*added_options(role, options), *options)
        program = wound_program(binary()) if clock else binary()
        self.command = [program, role, '--listen', listen, *map(str, options)]
        if nofile:
            self.command = ['prlimit', f'--nofile={nofile}', *self.command]
        self.env = {**clean_environment(), **(clock.env if clock else {}), **(env or {})}
        self.may_restart = may_restart
        self.out, self.log = [], []
        self.clients = []
        self.first_workers = set()
        self._changed = threading.Condition()

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=self.env)
        _servers.append(self)
        self.pid = self.process.pid
        self._readers = [threading.Thread(target=self._collect, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.out), (self.process.stderr, self.log))]
        for reader in self._readers:
            reader.start()
        try:
            line = self._wait_out(re.compile(r'listening on (https?)://(\S+):(\d+)'))
            self.address = (line.group(2).strip('[]'), int(line.group(3)))
            self.url = f'{line.group(1)}://{self.address[0]}:{self.address[1]}'
            if line.group(1) == 'https':
                _contexts[self.address] = trusting()
            self.get('/' if self.role == 'sim' else '/health')
            self.first_workers = set(wait_until(self.workers, f'a worker of {self.role}'))
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            self._kill()
            return
        self.stop()

    def _collect(self, stream, lines):
        for line in stream:
            with self._changed:
                lines.append(line.decode('utf-8', 'backslashreplace').rstrip('\n'))
                self._changed.notify_all()
        stream.close()

    def _wait_out(self, pattern):
        end = time.monotonic() + DEADLINE
        with self._changed:
            while True:
                for line in self.out:
                    found = pattern.search(line)
                    if found:
                        return found
                check(self.process.poll() is None, lambda: f'{self.role} ended with {self.process.returncode}: {self.log}')
                check(time.monotonic() < end, f'{self.role} did not say that it listens; said {self.out}')
                self._changed.wait(0.05)

    def stop(self):
        """Ends it as Ctrl-C would and judges the end: exit code 0, no worker lost, nothing said by a sanitizer."""
        if self.clock:
            self.clock.go_on()
        for client in self.clients:
            client.close()
        lost = set() if self.may_restart else self.first_workers - set(self.workers())
        code = self._interrupt()
        for reader in self._readers:
            reader.join(DEADLINE)
        reports = [line for line in self.log if SANITIZER.search(line)]
        check(not reports, lambda: f'sanitizer: {reports[0]}')
        equal(code, 0, f'exit code of {self.role}')
        check(not lost, f'worker(s) {lost} of {self.role} did not live to the end')

    def _interrupt(self):
        for _ in range(2):  # a second SIGINT ends a drain at once
            self.process.send_signal(signal.SIGINT)
            try:
                return self.process.wait(DEADLINE / 2)
            except subprocess.TimeoutExpired:
                pass
        self._kill()
        raise Failed(f'{self.role} did not end after two SIGINT')

    def _kill(self):
        for pid in [*children_of(self.pid), self.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for reader in self._readers:
            reader.join(1)

    def workers(self):
        """The serving processes (a keeper may have other children for a moment)."""
        return [pid for pid in children_of(self.pid) if name_of(pid) in ('backend', 'frontend', 'sim')]

    def worker(self):
        """The one worker of a backend (of a frontend: the first)."""
        return wait_until(self.workers, f'a worker of {self.role}')[0]

    def descriptors(self):
        """Open descriptors of keeper and workers together."""
        return sum(descriptors_of(pid) for pid in [self.pid, *self.workers()])

    def logged(self, pattern):
        with self._changed:
            return [line for line in self.log if re.search(pattern, line)]

    def client(self, **options):
        client = Client(self.address, **options)
        self.clients.append(client)
        return client

    def get(self, path, **options):
        return self.ask('GET', path, **options)

    def post(self, path, body=b'', **options):
        return self.ask('POST', path, body, **options)

    def ask(self, method, path, body=None, **options):
        """One request on a connection of its own."""
        with Client(self.address) as client:
            return client.ask(method, path, body, **options)


def backend(upstream, *options, ready=True, **keywords):
    """A backend in front of the upstream (an object with .url, or a URL)."""
    url = getattr(upstream, 'url', upstream)
    if getattr(upstream, 'ca', None):
        options = ('--ollama-ca', upstream.ca, *options)
    server = Server('backend', '--ollama', url, *options, **keywords)
    return _WhenHealthy(server) if ready else server


class _WhenHealthy:
    """Enters a backend and waits until it knows its Ollama."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.__enter__()
        try:
            wait_until(lambda: self.server.get('/health').json().get('status') == 'healthy', '/health: healthy')
        except BaseException:
            self.server._kill()
            raise
        return self.server

    def __exit__(self, *what):
        return self.server.__exit__(*what)


# --- an HTTP client that hides nothing ------------------------------------------------------------------------------


class Reply:
    """What came back. `ended` says how the body ended: 'none', 'length', 'chunked', 'close' (until close), or in failure
    'cut' (closed too early) and 'reset'."""

    def __init__(self, raw_head):
        self.raw_head = raw_head
        lines = raw_head.decode('latin-1').split('\r\n')
        found = re.fullmatch(r'(HTTP/1\.[01]) (\d{3}) ?(.*)', lines[0])
        check(found, lambda: f'no status line: {lines[0]!r}')
        self.version, self.status, self.reason = found.group(1), int(found.group(2)), found.group(3)
        self.fields = [tuple(part.strip() for part in line.split(':', 1)) for line in lines[1:] if line]
        self._body = [b'']
        self.chunks = []  # of a chunked body, whole
        self.times = []   # when each of them was complete
        self.ended = None

    @property
    def body(self):
        if len(self._body) > 1:
            self._body = [b''.join(self._body)]
        return self._body[0]

    def add(self, data):
        self._body.append(data)

    def get(self, name, default=None):
        values = [v for k, v in self.fields if k.lower() == name.lower()]
        return ', '.join(values) if values else default

    def has(self, name):
        return self.get(name) is not None

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f'no JSON: {self.body[:300]!r} ({self.status}, ended {self.ended})') from None

    def lines(self):
        """The body as NDJSON."""
        parts = self.body.split(b'\n')
        check(parts[-1].strip() == b'', lambda: f'ends inside a line: {parts[-1][:200]!r}')
        try:
            return [json.loads(part) for part in parts if part.strip()]
        except ValueError:
            raise Failed(f'a line is no JSON: {self.body[:500]!r}') from None

    def whole(self):
        return self.ended in ('none', 'length', 'chunked', 'close')

    def __repr__(self):
        return f'<{self.status} {self.ended} {self.body[:200]!r}>'


class Client:
    """A socket and what was read from it ahead of time. Where a server of ours speaks TLS, so does the client (`context`: in
    its own way; False: not even there). `ragged`: the connection ended without close_notify."""

    def __init__(self, address, receive_buffer=None, deadline=DEADLINE, context=None, name='localhost'):
        family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        self.sock = socket.socket(family)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = _contexts.get(tuple(address)) if context is None else context
        if context:
            self.sock = context.wrap_socket(self.sock, server_hostname=name, suppress_ragged_eofs=False)
        self.ragged = False
        self.host = f'[{address[0]}]:{address[1]}' if ':' in address[0] else f'{address[0]}:{address[1]}'
        self.ahead = bytearray()
        self.fresh = time.monotonic()
        self.reads = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def fin(self):
        socket.socket.shutdown(self.sock, socket.SHUT_WR)  # with TLS: and no close_notify

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()

    def hurry(self):
        """Ends the smallness of the receive buffer."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def send(self, data):
        self.sock.sendall(data)

    def send_each_byte(self, data):
        for n in range(len(data)):
            self.sock.sendall(data[n:n + 1])

    def head(self, method, path, fields=(), version='HTTP/1.1'):
        """A request head; a field given as None is left out (Host, say)."""
        given = dict(fields)
        names = {name.lower() for name in given}
        lines = [f'{method} {path} {version}']
        if 'host' not in names:
            lines.append(f'Host: {self.host}')
        for name, value in given.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is not None:
                    lines.append(f'{name}: {one}')
        return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1')

    def request(self, method, path, body=None, fields=(), version='HTTP/1.1'):
        """Sends a request: `body` bytes, text, or something to be made JSON."""
        given = dict(fields)
        content = b'' if body is None else encode(body)
        if body is not None and not {'content-length', 'transfer-encoding'} & {name.lower() for name in given}:
            given['Content-Length'] = len(content)
        self.send(self.head(method, path, given, version) + content)

    def ask(self, method, path, body=None, **options):
        self.request(method, path, body, **options)
        return self.read_reply(head_only=method == 'HEAD')

    def get(self, path, **options):
        return self.ask('GET', path, **options)

    def post(self, path, body=b'', **options):
        return self.ask('POST', path, body, **options)

    # reading

    def _more(self, what):
        """Reads on; False at the end. A reset raises ConnectionResetError."""
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise Failed(f'nothing came while waiting for {what}; had {self.ahead[:200]!r}') from None
        except ssl.SSLEOFError:
            self.ragged = True
            return False
        self.fresh = time.monotonic()
        self.reads += 1
        self.ahead += data
        return bool(data)

    def _take(self, n):
        taken = bytes(self.ahead[:n])
        del self.ahead[:n]
        return taken

    def read_until(self, mark, what):
        while mark not in self.ahead:
            if not self._more(what):
                return None
        return self._take(self.ahead.index(mark) + len(mark))

    def read_exactly(self, n, what):
        while len(self.ahead) < n:
            if not self._more(what):
                return None
        return self._take(n)

    def read_head(self, interim=False):
        """The next reply's head; interim (1xx) ones are passed over unless asked for."""
        while True:
            raw = self.read_until(b'\r\n\r\n', 'a head')
            check(raw is not None, lambda: f'closed before a head was whole: {self.ahead[:200]!r}')
            reply = Reply(raw[:-4])
            if interim or reply.status >= 200:
                return reply

    def read_chunk(self, reply):
        """The next chunk (b'' for the last one, with its trailer); None if the connection ended too early."""
        try:
            line = self.read_until(b'\r\n', 'a chunk')
            if line is None:
                reply.ended = 'cut'
                return None
            size = int(re.fullmatch(rb'([0-9A-Fa-f]+)(;.*)?\r\n', line).group(1), 16)
            if size == 0:
                while line not in (b'\r\n', None):
                    line = self.read_until(b'\r\n', 'the end of the trailer')
                reply.ended = 'chunked' if line else 'cut'
                return b'' if line else None
            data = self.read_exactly(size + 2, 'a chunk')
        except ConnectionResetError:
            reply.ended = 'reset'
            return None
        if data is None:
            reply.ended = 'cut'
            return None
        check(data.endswith(b'\r\n'), lambda: f'chunk without its end: {data[-20:]!r}')
        reply.chunks.append(data[:-2])
        reply.times.append(self.fresh)
        reply.add(data[:-2])
        return data[:-2]

    def read_rest(self, reply, head_only=False):
        """The body that follows a head (or what is still to come of it)."""
        if head_only or reply.status in (204, 304) or reply.status < 200:
            reply.ended = 'none'
        elif (reply.get('Transfer-Encoding') or '').lower() == 'chunked':
            while self.read_chunk(reply):
                pass
        elif reply.has('Content-Length'):
            self._read_length(reply, int(reply.get('Content-Length')))
        else:
            self._read_to_close(reply)
        return reply

    def _read_length(self, reply, length):
        try:
            while len(self.ahead) + len(reply.body) < length:
                if not self._more('a body'):
                    reply.ended = 'cut'
                    break
        except ConnectionResetError:
            reply.ended = 'reset'
        reply.add(self._take(length - len(reply.body)))
        reply.ended = reply.ended or 'length'

    def _read_to_close(self, reply):
        try:
            while self._more('the close'):
                pass
            reply.ended = 'cut' if self.ragged else 'close'
        except ConnectionResetError:
            reply.ended = 'reset'
        reply.add(self._take(len(self.ahead)))

    def read_reply(self, head_only=False):
        return self.read_rest(self.read_head(), head_only)

    def read_close(self, what='the close'):
        """Waits for the other side's end; what came before it is returned."""
        try:
            while self._more(what):
                pass
        except ConnectionResetError:
            pass
        return self._take(len(self.ahead))


def encode(body):
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, separators=(',', ':')).encode()


def chunked(*parts):
    """Bytes as a chunked body, one chunk a part, with the last chunk."""
    return b''.join(b'%x\r\n%s\r\n' % (len(part), part) for part in parts) + b'0\r\n\r\n'


# --- tests and their runner -----------------------------------------------------------------------------------------

_tests = []


def test(function):
    """Registers a test: a function without arguments, named by what it shows."""
    _tests.append(function)
    return function


def leave_out(is_out):
    """Forgets the tests for which is_out(name, function) is true."""
    _tests[:] = [t for t in _tests if not is_out(_name_of(t), t)]


class Cases:
    """Collects failures of cases that share one server, so that one does not hide the others.

        cases = Cases()
        with cases('name'): ...
        cases.judge()
    """

    def __init__(self):
        self.failures = []

    def __call__(self, name):
        return _Case(self, name)

    def judge(self):
        check(not self.failures, lambda: '\n'.join(f'[{name}] {text}' for name, text in self.failures))


class _Case:
    def __init__(self, cases, name):
        self.cases, self.name = cases, name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, (AssertionError, OSError, ValueError, KeyError, TypeError, AttributeError)):
            where = traceback.extract_tb(trace)
            own = [frame for frame in where if not frame.filename.endswith('harness.py')] or where
            text = str(error) if isinstance(error, Failed) else f'{kind.__name__}: {error}'
            self.cases.failures.append((self.name, f'{text} (line {own[-1].lineno})'))
            return True
        return False


class TestFolder:
    """A scratch folder that goes away."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix='ollachat-test-'))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def _name_of(function):
    module = function.__module__
    return f'{module.rsplit(".", 1)[-1]}.{function.__name__}'


def _run_here(function):
    """The body of a test's own process; what it prints is shown if it fails."""
    try:
        function()
        return 0
    except BaseException as error:  # whatever it was, it is reported
        if isinstance(error, Failed):
            frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.endswith('harness.py')]
            where = f' ({Path(frames[-1].filename).name}:{frames[-1].lineno})' if frames else ''
            print(f'{error}{where}')
        else:
            traceback.print_exc(file=sys.stdout)
        for server in _servers:
            for line in filter(SANITIZER.search, server.log):
                print(f'{server.role}: {line}')
        for server in _servers:
            print(f'--- log of {server.role} {" ".join(server.command[server.command.index(server.role) + 1:])}')
            for line in server.log[-15:]:
                print(f'    {line[:600]}')
        return 1


class _Running:
    def __init__(self, function, timeout):
        self.name = _name_of(function)
        self.timeout = timeout
        self.output = tempfile.TemporaryFile()
        self.started = time.monotonic()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.dup2(self.output.fileno(), 1)
            os.dup2(self.output.fileno(), 2)
            sys.stdout = os.fdopen(1, 'w', buffering=1, errors='backslashreplace')
            code = _run_here(function)
            sys.stdout.flush()
            os._exit(code)

    def poll(self):
        """None while it runs, then whether it passed."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        late = time.monotonic() - self.started > self.timeout
        if pid == 0 and not late:
            return None
        self._end_group()
        if pid == 0:
            os.waitpid(self.pid, 0)
        self.took = time.monotonic() - self.started
        self.output.seek(0)
        self.text = self.output.read().decode('utf-8', 'replace')
        self.output.close()
        if pid == 0:
            self.text += f'not over after {self.timeout:g} s\n'
        return pid != 0 and status == 0

    def _end_group(self):
        """Whatever the test started and left is in its process group, which is ours to end."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run_tests(tests, jobs, verbose, timeout):
    waiting, running = list(tests), []
    passed = failed = 0
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_Running(waiting.pop(0), timeout))
            for one in list(running):
                outcome = one.poll()
                if outcome is None:
                    continue
                running.remove(one)
                passed, failed = passed + outcome, failed + (not outcome)
                _report(one, outcome, verbose)
            time.sleep(0.005)
    finally:
        for one in running:
            one._end_group()
    return passed, failed


def _report(one, outcome, verbose):
    if not outcome:
        print(f'FAIL {one.name} ({one.took:.2f} s)')
        print('\n'.join('     ' + line for line in one.text.rstrip().split('\n')))
    elif verbose:
        print(f'ok   {one.name} ({one.took:.2f} s)')
        for line in filter(None, one.text.split('\n')):
            print('     ' + line)
    sys.stdout.flush()


def main(description, timeout=TEST_TIMEOUT, jobs=3 * (os.cpu_count() or 1)):
    """Runs the registered tests; the last line says how many passed and failed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('only', nargs='*', help='run only tests whose name contains one of these')
    parser.add_argument('-j', '--jobs', type=int, default=jobs, help='tests at a time')
    parser.add_argument('-v', '--verbose', action='store_true', help='name passed tests too')
    parser.add_argument('-l', '--list', action='store_true', help='only list them')
    options = parser.parse_args()
    tests = [t for t in _tests if not options.only or any(part in _name_of(t) for part in options.only)]
    if options.list:
        print('\n'.join(_name_of(t) for t in tests))
        return 0
    if not os.access(binary(), os.X_OK):
        print(f'{binary()} is not there: build it first (or name it by OLLACHAT_BIN)')
        print(f'0 passed, {len(tests)} failed')
        return 1
    os.environ.setdefault('ASAN_OPTIONS', 'detect_leaks=1:abort_on_error=0:exitcode=99')
    passed, failed = run_tests(tests, options.jobs, options.verbose, timeout)
    print(f'{passed} passed, {failed} failed')
    return 0 if failed == 0 and passed > 0 else 1
