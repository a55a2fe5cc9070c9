#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""upstream.py: a scripted Ollama. It answers as Ollama does unless a test gives a path a script of its own, keeps every
request byte for byte, and notices when the other side closes the connection.

    with Upstream() as up:
        up.on('/api/chat', lambda x: x.reply_stream(up.chat_lines(['one', 'two'])))

A script is a function of one Exchange. `MODES` names ready-made ones, most of them faults; run as a program
(upstream.py --listen 127.0.0.1:11434 --mode NAME) it answers all generations in that mode."""

import argparse
import json
import select
import socket
import struct
import sys
import threading
import time

NAME = 'llama3.2:1b'
NDJSON = 'application/x-ndjson'
JSON = 'application/json; charset=utf-8'
SSE = 'text/event-stream'
CREATED = '2026-01-02T03:04:05.678901234Z'
GENERATIONS = ('/api/chat', '/api/generate', '/api/embed', '/api/embeddings', '/v1/chat/completions', '/v1/completions',
               '/v1/embeddings', '/v1/responses')


class Gone(Exception):
    """The other side closed the connection while a script was at work."""


class Request:
    def __init__(self, head, body, connection, number):
        self.raw_head, self.body = head, body
        self.raw = head + body
        lines = head[:-4].decode('latin-1').split('\r\n')
        self.method, self.target, self.version = lines[0].split(' ', 2)
        self.path = self.target.split('?')[0]
        self.fields = [tuple(part.strip() for part in line.split(':', 1)) for line in lines[1:]]
        self.connection = connection  # which one it came on
        self.number = number          # the how-manieth on it, from 1

    def get(self, name, default=None):
        values = [v for k, v in self.fields if k.lower() == name.lower()]
        return ', '.join(values) if values else default

    def has(self, name):
        return self.get(name) is not None

    def json(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def is_load(self):
        """Only loads the model: an empty chat or embedding, as a gateway may send for itself."""
        body = self.json()
        if self.path == '/api/embed':
            return body.get('input') == []
        return self.path == '/api/chat' and body.get('messages') == [] and 'prompt' not in body


class Exchange:
    """One request and the means to answer it, well or badly."""

    def __init__(self, upstream, connection, request):
        self.upstream, self.connection, self.request = upstream, connection, request
        self.left = threading.Event()  # the other side was seen to close
        self.ended = threading.Event()
        self.keep = True
        self.until_close = False  # the body under way ends with the connection

    # raw

    def send(self, data):
        try:
            self.connection.sock.sendall(data)
        except OSError:
            self._gone()

    def send_each_byte(self, data, pause=0.0):
        for n in range(len(data)):
            self.send(data[n:n + 1])
            if pause:
                time.sleep(pause)

    def send_apart(self, *parts, pause=0.002):
        """Pieces in writes apart, each of which had time to leave."""
        for n, part in enumerate(parts):
            if n:
                time.sleep(pause)
            self.send(part)

    def close(self):
        self.keep = False
        if self.until_close:
            self.connection.say_bye()
        self.connection.close()

    def fin(self):
        self.keep = False
        self.connection.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.keep = False
        self.connection.reset()

    def pass_gate(self, name='go'):
        """Waits until the test opens the gate; so an order of events is sure without any pause."""
        if not self.upstream.gate(name).wait(20):
            raise Gone

    def wait_left(self, seconds=20.0):
        """Waits for the other side's close; True when it came."""
        end = time.monotonic() + seconds
        sock = self.connection.sock
        while time.monotonic() < end and not self.upstream.stopping:
            try:
                if select.select([sock], [], [], 0.05)[0] and sock.recv(65536) == b'':
                    break
            except (OSError, ValueError):
                break
        else:
            return False
        self.left.set()
        self.keep = False
        return True

    def _gone(self):
        self.left.set()
        raise Gone

    # framed

    def head(self, status=200, kind=NDJSON, fields=(), chunked=True, length=None):
        lines = [f'HTTP/1.1 {status} {REASONS.get(status, "Status")}', 'Date: Fri, 02 Jan 2026 03:04:05 GMT']
        if kind:
            lines.append(f'Content-Type: {kind}')
        lines += [f'{name}: {value}' for name, value in fields]
        if length is not None:
            lines.append(f'Content-Length: {length}')
        elif chunked:
            lines.append('Transfer-Encoding: chunked')
        else:
            lines.append('Connection: close')
            self.until_close = True
        self.send(('\r\n'.join(lines) + '\r\n\r\n').encode())

    def chunk(self, data):
        self.send(chunk(data))

    def last_chunk(self):
        self.send(b'0\r\n\r\n')

    def reply(self, status, body, kind=JSON, fields=(), chunked=False):
        """A whole reply, with its length or in chunks of at most 2048 bytes as Go makes them."""
        if self.request.method == 'HEAD':
            self.head(status, kind, fields, length=len(body))
        elif chunked:
            self.head(status, kind, fields)
            self.send(b''.join(chunk(body[n:n + 2048]) for n in range(0, len(body), 2048)))
            self.last_chunk()
        else:
            self.head(status, kind, fields, length=len(body))
            self.send(body)

    def reply_json(self, value, status=200, **options):
        self.reply(status, dump(value), **options)

    def reply_stream(self, pieces, kind=NDJSON):
        self.head(200, kind)
        for piece in pieces:
            self.chunk(piece)
        self.last_chunk()


def chunk(data):
    return b'%x\r\n%s\r\n' % (len(data), data) if data else b''


def dump(value):
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False).encode()


REASONS = {200: 'OK', 204: 'No Content', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
           405: 'Method Not Allowed', 429: 'Too Many Requests', 500: 'Internal Server Error', 503: 'Service Unavailable'}


# --- what Ollama says -----------------------------------------------------------------------------------------------


def chat_lines(words, model=NAME, thinking=None):
    """The lines of a streamed chat, the last one with its counts."""
    lines = [{'model': model, 'created_at': CREATED, 'message': {'role': 'assistant', 'content': word}, 'done': False}
             for word in words]
    lines.append({'model': model, 'created_at': CREATED, 'message': {'role': 'assistant', 'content': ''}, 'done': True,
                  'done_reason': 'stop', **counts(len(words))})
    return [dump(line) + b'\n' for line in lines]


def generate_lines(words, model=NAME):
    lines = [{'model': model, 'created_at': CREATED, 'response': word, 'done': False} for word in words]
    lines.append({'model': model, 'created_at': CREATED, 'response': '', 'done': True, 'done_reason': 'stop',
                  'context': [1, 2, 3], **counts(len(words))})
    return [dump(line) + b'\n' for line in lines]


def counts(n):
    return {'total_duration': 5000000, 'load_duration': 1000000, 'prompt_eval_count': 7, 'prompt_eval_duration': 1000000,
            'eval_count': n, 'eval_duration': 3000000}


def chat_whole(words, model=NAME):
    return dump({'model': model, 'created_at': CREATED, 'message': {'role': 'assistant', 'content': ''.join(words)},
                 'done': True, 'done_reason': 'stop', **counts(len(words))})


def sse(value):
    return b'data: ' + (value if isinstance(value, bytes) else dump(value)) + b'\n\n'


def completion_event(delta, finish=None, model=NAME):
    return sse({'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'created': 1767323045, 'model': model,
                'system_fingerprint': 'fp_ollama', 'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})


def completion_events(words, model=NAME, done=True):
    """The events of /v1/chat/completions; done=False leaves out the finish and [DONE]."""
    events = [completion_event({'role': 'assistant', 'content': word}, None, model) for word in words]
    if done:
        events += [completion_event({'role': 'assistant', 'content': ''}, 'stop', model), sse(b'[DONE]')]
    return events


def completion_whole(words, model=NAME):
    return dump({'id': 'chatcmpl-1', 'object': 'chat.completion', 'created': 1767323045, 'model': model,
                 'system_fingerprint': 'fp_ollama',
                 'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': ''.join(words)}, 'finish_reason': 'stop'}],
                 'usage': {'prompt_tokens': 7, 'completion_tokens': len(words), 'total_tokens': 7 + len(words)}})


def response_events(words, model=NAME, done=True):
    events = [b'event: response.created\n' + sse({'type': 'response.created', 'response': {'id': 'resp_1', 'model': model}})]
    events += [b'event: response.output_text.delta\n' + sse({'type': 'response.output_text.delta', 'delta': word})
               for word in words]
    if done:
        events.append(b'event: response.completed\n' + sse({'type': 'response.completed', 'response': {'id': 'resp_1'}}))
    return events


def model_entry(name):
    return {'name': name, 'model': name, 'modified_at': CREATED, 'size': 1321098329, 'digest': 'ab' * 32,
            'details': {'parent_model': '', 'format': 'gguf', 'family': 'llama', 'families': ['llama'],
                        'parameter_size': '1.2B', 'quantization_level': 'Q8_0'},
            'capabilities': ['completion', 'tools']}


def same_model(a, b):
    def full(name):
        name = name.lower()
        return name if ':' in name.rsplit('/', 1)[-1] else name + ':latest'
    return full(a) == full(b)


# --- normal behaviour -----------------------------------------------------------------------------------------------

WORDS = ['Hello', ' there', '!']


def answer(x):
    """As Ollama would, near enough for a gateway."""
    up, path, method = x.upstream, x.request.path, x.request.method
    if path == '/':
        x.reply(200, b'Ollama is running', 'text/plain; charset=utf-8')
    elif path == '/api/version':
        x.reply_json({'version': '0.12.0'})
    elif path == '/api/tags':
        x.reply_json({'models': [model_entry(name) for name in up.models]}, chunked=len(up.models) > 4)
    elif path == '/api/ps':
        x.reply_json({'models': [{**model_entry(name), 'expires_at': CREATED, 'size_vram': 0, 'context_length': 4096}
                                 for name in up.loaded]})
    elif path == '/v1/models':
        x.reply_json({'object': 'list', 'data': [{'id': name, 'object': 'model', 'created': 1, 'owned_by': 'library'}
                                                 for name in up.models]})
    elif path.startswith('/v1/models/'):
        x.reply_json({'id': path[len('/v1/models/'):], 'object': 'model', 'created': 1, 'owned_by': 'library'})
    elif method == 'POST' and path in (*GENERATIONS, '/api/show'):
        answer_model(x)
    else:
        x.reply(404, b'404 page not found', 'text/plain')


def answer_model(x):
    path, body = x.request.path, x.request.json()
    model = body.get('model') or body.get('name') or ''
    known = next((name for name in x.upstream.models if same_model(name, model)), None)
    if known is None:
        refuse_model(x, model)
    elif path == '/api/show':
        x.reply_json({'modelfile': 'FROM x', 'parameters': '', 'template': '{{ .Prompt }}', 'details': model_entry(known)['details'],
                      'model_info': {'general.architecture': 'llama'}, 'capabilities': ['completion', 'tools']})
    elif x.request.is_load():
        x.reply_json({'model': model, 'created_at': CREATED, 'message': {'role': 'assistant', 'content': ''},
                      'done': True, 'done_reason': 'load'})
    else:
        answer_generation(x, path, body, model)


def refuse_model(x, model):
    if x.request.path.startswith('/v1/'):
        x.reply_json({'error': {'message': f"model '{model}' not found", 'type': 'not_found_error', 'param': None,
                                'code': None}}, 404)
    else:
        x.reply_json({'error': f"model '{model}' not found"}, 404)


def answer_generation(x, path, body, model):
    if path in ('/api/embed', '/api/embeddings', '/v1/embeddings'):
        x.reply_json({'/api/embed': {'model': model, 'embeddings': [[0.25, -0.5]], 'total_duration': 1, 'prompt_eval_count': 2},
                      '/api/embeddings': {'embedding': [0.25, -0.5]},
                      '/v1/embeddings': {'object': 'list', 'model': model,
                                         'data': [{'object': 'embedding', 'index': 0, 'embedding': [0.25, -0.5]}],
                                         'usage': {'prompt_tokens': 2, 'total_tokens': 2}}}[path])
        return
    pieces, kind = pieces_for(x.request, WORDS)
    if kind == JSON:
        x.reply(200, pieces[0])
    else:
        x.reply_stream(pieces, kind)


def pieces_for(request, words):
    """The answer in the form that the request asks for: its pieces, and their type."""
    path, body = request.path, request.json()
    model = body.get('model') or NAME
    streamed = body.get('stream', not path.startswith('/v1/'))
    if path == '/v1/responses':
        return (response_events(words, model), SSE) if streamed else ([dump({'id': 'resp_1', 'object': 'response'})], JSON)
    if path.startswith('/v1/'):
        return (completion_events(words, model), SSE) if streamed else ([completion_whole(words, model)], JSON)
    if path == '/api/generate':
        lines = generate_lines(words, model)
        return (lines, NDJSON) if streamed else ([dump({**json.loads(lines[-1]), 'response': ''.join(words)})], JSON)
    return (chat_lines(words, model), NDJSON) if streamed else ([chat_whole(words, model)], JSON)


# --- the server -----------------------------------------------------------------------------------------------------


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.ahead = b''

    def say_bye(self):
        """With TLS, an end in order needs close_notify."""
        try:
            self.sock.unwrap()
        except (AttributeError, OSError, ValueError):
            pass

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads or writes it
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.sock.close()

    def _more(self):
        data = self.sock.recv(65536)
        self.ahead += data
        return bool(data)

    def read_until(self, mark):
        while mark not in self.ahead:
            if not self._more():
                return None
        n = self.ahead.index(mark) + len(mark)
        taken, self.ahead = self.ahead[:n], self.ahead[n:]
        return taken

    def read_exactly(self, n):
        while len(self.ahead) < n:
            if not self._more():
                return None
        taken, self.ahead = self.ahead[:n], self.ahead[n:]
        return taken

    def read_request(self, number):
        head = self.read_until(b'\r\n\r\n')
        if head is None:
            return None
        request = Request(head, b'', self.number, number)
        if request.has('Content-Length'):
            body = self.read_exactly(int(request.get('Content-Length')))
        elif (request.get('Transfer-Encoding') or '').lower() == 'chunked':
            body = self._read_chunks()
        else:
            body = b''
        return None if body is None else Request(head, body, self.number, number)

    def _read_chunks(self):
        body = b''
        while True:
            line = self.read_until(b'\r\n')
            if line is None:
                return None
            size = int(line.split(b';')[0], 16)
            data = self.read_exactly(size + 2)
            if data is None:
                return None
            if size == 0:
                return body
            body += data[:-2]


class Upstream:
    def __init__(self, models=(NAME,), loaded=None, address=('127.0.0.1', 0), tls=None, ca=None, host=None):
        """tls: a server's ssl context (and ca: the file a client has to trust); host: what the URL calls us."""
        self.tls, self.ca, self.url_host = tls, ca, host
        self.models = list(models)
        self.loaded = list(models if loaded is None else loaded)
        self.wanted_address = address
        self.stopping = False
        self._scripts = {}
        self._accept_script = self._load_script = None
        self._gates = {}
        self._lock = threading.Condition()
        self._requests, self._exchanges, self._connections = [], [], []

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.wanted_address)
        self.address = self.listener.getsockname()
        self.url = f'{"https" if self.tls else "http"}://{self.url_host or self.address[0]}:{self.address[1]}'
        self.host = f'{self.address[0]}:{self.address[1]}'
        self.listener.listen(256)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for gate in list(self._gates.values()):
            gate.set()
        self.refuse()
        with self._lock:
            for connection in self._connections:
                connection.close()

    # what a test arranges

    def on(self, path, script):
        """Answers requests for this path by the script; None brings the normal behaviour back."""
        self._scripts[path] = script

    def on_load(self, script):
        """Answers load requests by the script."""
        self._load_script = script

    def on_generations(self, script):
        for path in GENERATIONS:
            self.on(path, script)

    def on_accept(self, script):
        """Gives each new connection to script(connection) before anything is read; True from it: go on as usual."""
        self._accept_script = script

    def gate(self, name='go'):
        with self._lock:
            return self._gates.setdefault(name, threading.Event())

    def refuse(self):
        """From now on connections are refused; those that are open stay."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def listen_again(self):
        self.wanted_address = self.address
        self.__enter__()

    # what a test looks at

    def requests(self, path=None):
        with self._lock:
            return [r for r in self._requests if not r.is_load() and (path is None or r.path == path)]

    def exchanges(self, path):
        with self._lock:
            return [x for x in self._exchanges if x.request.path == path and not x.request.is_load()]

    def loads(self):
        with self._lock:
            return [x for x in self._exchanges if x.request.is_load()]

    def wait_exchange(self, path, number=1, seconds=10.0):
        """The number-th exchange for a path, once it is there."""
        end = time.monotonic() + seconds
        with self._lock:
            while True:
                found = [x for x in self._exchanges if x.request.path == path and not x.request.is_load()]
                if len(found) >= number:
                    return found[number - 1]
                if time.monotonic() > end:
                    raise AssertionError(f'request {number} for {path} did not reach the upstream within {seconds:g} s')
                self._lock.wait(0.1)

    # the machine

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                connection = Connection(sock, len(self._connections) + 1)
                self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.tls:
                connection.sock = self.tls.wrap_socket(connection.sock, server_side=True)
            if self._accept_script and not self._accept_script(connection):
                return
            number = 0
            while True:
                number += 1
                request = connection.read_request(number)
                if request is None or not self._exchange(connection, request):
                    break
        except OSError:
            pass
        connection.sock.close()

    def _exchange(self, connection, request):
        x = Exchange(self, connection, request)
        with self._lock:
            self._requests.append(request)
            self._exchanges.append(x)
            self._lock.notify_all()
        script = self._load_script if request.is_load() else self._scripts.get(request.path)
        try:
            (script or answer)(x)
        except Gone:
            x.keep = False
        x.ended.set()
        return x.keep


class RefusingPort:
    """A port of our own on which every connection is refused."""

    def __enter__(self):
        self.sock = socket.socket()
        self.sock.bind(('127.0.0.1', 0))
        self.url = 'http://127.0.0.1:%d' % self.sock.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.sock.close()


class DeafPort:
    """A port on which connections are neither taken nor refused: its queue is full."""

    def __enter__(self):
        self.sock = socket.socket()
        self.sock.bind(('127.0.0.1', 0))
        self.sock.listen(0)
        self.url = 'http://127.0.0.1:%d' % self.sock.getsockname()[1]
        self.fill = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(self.sock.getsockname())
            self.fill.append(one)
        return self

    def __exit__(self, *_):
        for one in [*self.fill, self.sock]:
            one.close()


# --- ready-made behaviours ------------------------------------------------------------------------------------------
# Those that begin to answer do it in the form that the request asks for, so one mode serves all forms.


def pieces(x):
    return pieces_for(x.request, WORDS)


def begin(x, **framing):
    """The head and all pieces but the last; they are returned with the type."""
    parts, kind = pieces(x)
    if kind == JSON:  # one piece: half of it
        parts = [parts[0][:len(parts[0]) // 2], parts[0][len(parts[0]) // 2:]]
    x.head(200, kind, **framing)
    for part in parts[:-1]:
        (x.send if framing else x.chunk)(part)
    return parts, kind


def mode_normal(x):
    answer(x)


def mode_close(x):
    x.close()


def mode_reset(x):
    x.reset()


def mode_silent(x):
    x.wait_left()


def mode_head_bytes(x):
    """Everything byte by byte."""
    parts, kind = pieces(x)
    body = b''.join(chunk(part) for part in parts) + b'0\r\n\r\n'
    head = f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n'.encode()
    x.send_each_byte(head + body, 0.0002)


def mode_half_head_close(x):
    x.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/x-nd')
    x.close()


def mode_half_head_reset(x):
    x.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/x-nd')
    x.reset()


def mode_half_head_silent(x):
    x.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/x-nd')
    x.wait_left()


def mode_garbage(x):
    x.send(bytes(range(256)) * 16)
    x.close()


def mode_not_http(x):
    x.send(b'SSH-2.0-OpenSSH_9.2\r\n\r\n')
    x.close()


def mode_giant_head(x):
    x.send(b'HTTP/1.1 200 OK\r\n' + b''.join(b'X-Field-%d: %s\r\n' % (n, b'v' * 1000) for n in range(64)))
    parts, kind = pieces(x)
    x.send(f'Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n'.encode() + b''.join(map(chunk, parts)) + b'0\r\n\r\n')


def mode_both_lengths(x):
    parts, kind = pieces(x)
    body = b''.join(map(chunk, parts)) + b'0\r\n\r\n'
    x.send(f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n\r\n'.encode() + body)


def mode_two_lengths(x):
    parts, kind = pieces(x)
    body = b''.join(parts)
    x.send(f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nContent-Length: 5\r\n\r\n'.encode() + body)


def mode_odd_coding(x):
    parts, kind = pieces(x)
    x.send(f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'.encode()
           + b''.join(map(chunk, parts)) + b'0\r\n\r\n')


def mode_204_with_body(x):
    x.send(b'HTTP/1.1 204 No Content\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"error":"hello"}')


def mode_continues(x, number=1000):
    x.send(b'HTTP/1.1 100 Continue\r\n\r\n' * number)
    answer(x)


def mode_ten_continues(x):
    mode_continues(x, 10)


def mode_endless_continues(x):
    while not x.upstream.stopping:
        x.send(b'HTTP/1.1 100 Continue\r\n\r\n' * 100)
        time.sleep(0.001)


def mode_cut_between(x):
    begin(x)
    x.pass_gate()
    x.close()


def mode_reset_between(x):
    begin(x)
    x.pass_gate()
    x.reset()


def mode_cut_in_line(x):
    parts, _ = begin(x)
    x.chunk(parts[-1][:len(parts[-1]) // 2])
    x.pass_gate()
    x.close()


def mode_reset_in_line(x):
    parts, _ = begin(x)
    x.chunk(parts[-1][:len(parts[-1]) // 2])
    x.pass_gate()
    x.reset()


def mode_cut_in_chunk(x):
    parts, _ = begin(x)
    x.send(chunk(parts[-1])[:-10])
    x.pass_gate()
    x.close()


def mode_bad_chunk(x):
    begin(x)
    x.pass_gate()
    x.send(b'zz\r\nnonsense\r\n0\r\n\r\n')
    x.wait_left()


def mode_huge_chunk_size(x):
    begin(x)
    x.pass_gate()
    x.send(b'fffffffffffffffff\r\nnonsense\r\n0\r\n\r\n')
    x.wait_left()


def mode_chunk_without_end(x):
    parts, _ = begin(x)
    x.pass_gate()
    x.send(b'%x\r\n%sXX' % (len(parts[-1]), parts[-1]))
    x.wait_left()


def mode_no_end(x):
    """A clean end of the body that does not say that the answer is whole."""
    begin(x)
    x.pass_gate()
    x.last_chunk()


def mode_stall(x):
    begin(x)
    x.wait_left()


def mode_endless(x):
    """Lines (or bytes) without end, as fast as they are taken."""
    parts, kind = pieces(x)
    x.head(200, kind)
    n = 0
    while not x.upstream.stopping:
        x.chunk(numbered(kind, n))
        n += 1


def mode_endless_slow(x):
    parts, kind = pieces(x)
    x.head(200, kind)
    n = 0
    while not x.upstream.stopping:
        x.chunk(numbered(kind, n))
        n += 1
        time.sleep(0.02)


def numbered(kind, n, size=1000):
    text = f'{n} ' + 'x' * size
    if kind == SSE:
        return completion_event({'content': text})
    return dump({'model': NAME, 'created_at': CREATED, 'message': {'role': 'assistant', 'content': text}, 'done': False}) + b'\n'


def mode_pieces(x):
    """In pieces of 7 bytes of their own chunks, with pauses."""
    parts, kind = pieces(x)
    body = b''.join(parts)
    x.head(200, kind)
    for n in range(0, len(body), 7):
        x.chunk(body[n:n + 7])
        time.sleep(0.001)
    x.last_chunk()


def mode_merged(x):
    """All in one chunk and one write."""
    parts, kind = pieces(x)
    x.send(f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n'.encode()
           + chunk(b''.join(parts)) + b'0\r\n\r\n')


def mode_until_close(x):
    """Neither length nor chunks: the body ends with the connection."""
    parts, kind = pieces(x)
    x.head(200, kind, chunked=False)
    x.send(b''.join(parts))
    x.close()


def mode_no_last_chunk(x):
    """Everything is said, but the last chunk never comes: the connection closes."""
    parts, kind = pieces(x)
    x.head(200, kind)
    for part in parts:
        x.chunk(part)
    x.close()


def mode_said_then_silent(x):
    """Everything is said, but neither last chunk nor close comes."""
    parts, kind = pieces(x)
    x.head(200, kind)
    for part in parts:
        x.chunk(part)
    x.wait_left()


def mode_length_too_long(x):
    """Content-Length promises more than comes before the close; the last piece does not come."""
    parts, kind = pieces(x)
    if kind == JSON:
        parts = [parts[0][:20], parts[0][20:]]
    x.head(200, kind, length=sum(map(len, parts)) + 100)
    x.send(b''.join(parts[:-1]))
    x.pass_gate()
    x.close()


def mode_length_too_short(x):
    """Content-Length ends the body before its last piece; the rest follows all the same."""
    parts, kind = pieces(x)
    if kind == JSON:
        parts = [parts[0][:20], parts[0][20:]]
    x.head(200, kind, length=sum(map(len, parts[:-1])))
    x.send(b''.join(parts))


def mode_error_line(x):
    """As Ollama fails in mid-stream: an error, then a clean end (on /v1 the error is lost on the way)."""
    parts, kind = pieces(x)
    x.head(200, kind)
    for part in parts[:-2 if kind == SSE else -1]:
        x.chunk(part)
    if kind == SSE:
        x.chunk(completion_event({'role': 'assistant', 'content': ''}))
    elif kind == NDJSON:
        x.chunk(b'{"error":"an error was encountered while running the model: CUDA error"}\n')
    x.last_chunk()


def mode_error_event(x):
    """/v1 that tells its failure."""
    parts, kind = pieces(x)
    x.head(200, kind)
    for part in parts[:-2]:
        x.chunk(part)
    x.chunk(sse({'error': {'message': 'CUDA error', 'type': 'api_error', 'param': None, 'code': None}}))
    x.last_chunk()


def mode_slow(x):
    """One byte at a time, slowly."""
    parts, kind = pieces(x)
    x.head(200, kind)
    for byte in b''.join(parts):
        x.chunk(bytes([byte]))
        time.sleep(0.002)
    x.last_chunk()


def mode_timed(x):
    """200 lines, 5 ms apart, each of which says when it was sent (monotonic nanoseconds)."""
    x.head()
    for _ in range(200):
        time.sleep(0.005)
        x.chunk(chat_lines([str(time.monotonic_ns())])[0])
    x.chunk(chat_lines([])[-1])
    x.last_chunk()


def mode_busy(x):
    x.reply_json({'error': 'server busy, please try again.  maximum pending requests exceeded'}, 503)


def mode_too_many(x):
    x.reply_json({'error': 'too many requests'}, 429)


def mode_server_error(x):
    x.reply_json({'error': 'llama runner process has terminated: exit status 2'}, 500)


def mode_bad_request(x):
    x.reply_json({'error': '"llama3.2:1b" does not support thinking'}, 400)


def mode_empty_403(x):
    x.reply(403, b'', None)


def mode_not_found(x):
    refuse_model(x, x.request.json().get('model'))


def mode_idle_close(x):
    """Answers, then closes the kept-alive connection without having said so."""
    answer(x)
    x.close()


MODES = {name[len('mode_'):]: function for name, function in list(globals().items()) if name.startswith('mode_')}


def main():
    parser = argparse.ArgumentParser(description='A scripted Ollama.')
    parser.add_argument('--listen', default='127.0.0.1:0', metavar='ADDR:PORT')
    parser.add_argument('--mode', default='normal', choices=sorted(MODES), help='how generations are answered')
    options = parser.parse_args()
    host, port = options.listen.rsplit(':', 1)
    with Upstream(address=(host, int(port))) as up:
        up.gate().set()
        if options.mode != 'normal':
            up.on_generations(MODES[options.mode])
        print(f'listening on {up.url}', flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0


if __name__ == '__main__':
    sys.exit(main())
