# SPDX-License-Identifier: MIT
"""The log: what is in a line and what never is, and what happens when nobody reads it."""

import calendar
import json
import os
import re
import signal
import subprocess
import threading
import time

from faults.demo import keys_of
from faults.forms import CHAT, FORMS, MESSAGES, RESPONSES
from fake import upstream as fake
from lib.harness import Client, Server, TestFolder, backend, check, equal, test, wait_until
from lib.prometheus import scrape

STAMP = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')


# --- nobody reads ---------------------------------------------------------------------------------------------------


class Unread(Server):
    """Its log is not read before `reading` is set, or its pipe closed when `closing` is."""

    def __init__(self, *what, **options):
        super().__init__(*what, **options)
        self.reading, self.closing = threading.Event(), threading.Event()

    def _collect(self, stream, lines):
        if lines is self.log:
            while not self.reading.wait(0.01):
                if self.closing.is_set():
                    stream.close()
                    return
        super()._collect(stream, lines)

    def __exit__(self, *what):
        self.reading.set()
        super().__exit__(*what)


def dropped(server):
    return int(scrape(server).value('ollachat_log_dropped_total'))


def ask_until_dropped(server, number):
    """Requests until so many lines were dropped; says how many requests it took."""
    asked = 0
    with Client(server.address) as client:
        while dropped(server) < number:
            for _ in range(100):
                equal(client.get('/health').status, 200, 'status with a full log')
            asked += 100
            check(asked < 100000, 'nothing is dropped')
    return asked


@test
def full_log_pipe_stops_nothing_and_drops_are_told():
    with Unread('frontend', '--workers', 2) as server:
        asked = ask_until_dropped(server, 300)
        server.reading.set()

        def told():
            server.get('/health')
            return sum(int(re.search(r' count=(\d+)$', line).group(1)) for line in server.logged('msg="log lines were dropped"'))
        wait_until(lambda: told() == dropped(server), 'the number of dropped lines in the log')
        equal(len(server.logged('msg="log lines were dropped"')), 1, 'lines about it')
        page = scrape(server)
        wait_until(lambda: len(server.logged('msg=request')) + dropped(server) >= page.sum('ollachat_http_requests_total'),
                   'each request in the log or among the dropped')
        check(asked >= 300, 'too few')
        for line in server.log:
            keys_of(line)


@test
def closed_log_pipe_stops_nothing():
    with Unread('frontend', '--workers', 1) as server:
        server.closing.set()
        ask_until_dropped(server, 50)
        equal(server.get('/').status, 200, 'the page')


@test
def log_that_was_closed_from_the_start_stops_nothing():
    with Server('frontend', '--workers', 1) as server:
        command = ['sh', '-c', 'exec "$@" 2>&-', 'sh', *server.command]
    server = Server('frontend', '--workers', 1)
    server.command = command
    with server:
        for _ in range(50):
            equal(server.get('/health').status, 200, 'status')


@test
def line_that_a_full_disk_cuts_is_no_part_of_the_next():
    with TestFolder() as folder:
        server = Server('frontend', '--workers', 1)
        server.command = ['prlimit', '--fsize=5000:unlimited', 'sh', '-c', 'exec "$@" 2>"$0"', str(folder / 'log'), *server.command]
        with server:
            ask_until_dropped(server, 10)
            subprocess.run(['prlimit', f'--pid={server.pid}', '--fsize=unlimited:unlimited'], check=True)

            def lines():
                server.get('/health')
                return (folder / 'log').read_text().split('\n')

            def told_of_a_full_file(text):
                return [n for n, line in enumerate(text) if 'dropped' in line and sum(map(len, text[:n])) > 4500]
            wait_until(lambda: told_of_a_full_file(lines()), 'the number of lines dropped when the file was full')
            text = lines()
            told = told_of_a_full_file(text)[0]
            for n, line in enumerate(text[:-1]):
                check(n == told - 1 or judge_text(line) is None, line)


@test
def full_log_pipe_does_not_keep_it_from_stopping():
    with Unread('frontend', '--workers', 1, '--drain-announce', 0, may_restart=True) as server:
        ask_until_dropped(server, 50)
        server.process.send_signal(signal.SIGTERM)
        equal(server.process.wait(10), 0, 'exit code')


@test
def last_words_of_a_killed_worker_are_read():
    with Server('frontend', '--workers', 1, may_restart=True) as server:
        victim = server.worker()
        os.kill(server.pid, signal.SIGSTOP)  # so that the lines wait
        with Client(server.address) as client:
            for n in range(200):
                client.get(f'/last-words-{n}.js')
            client.get('/')  # its line may be lost: they leave at the end of a turn
        os.kill(victim, signal.SIGKILL)
        os.kill(server.pid, signal.SIGCONT)
        wait_until(lambda: len(server.logged('path=/last-words-')) == 200, 'all lines')


# --- what is in a line ----------------------------------------------------------------------------------------------


def judge_text(line):
    check(len(line) < 4096, f'{len(line)} bytes')
    check(re.match(r'time=' + STAMP.pattern + r' level=(error|warn|info|debug) role=\w+ msg=', line), line)
    keys = keys_of(line)
    equal(len(keys), len(set(keys)), f'a key twice: {line}')


def judge_json(line):
    check(len(line) < 4096, f'{len(line)} bytes')
    pairs = json.loads(line, object_pairs_hook=list)
    keys = [key for key, _ in pairs]
    equal(keys[:4], ['time', 'level', 'role', 'msg'], line)
    equal(len(keys), len(set(keys)), f'a key twice: {line}')
    check(STAMP.fullmatch(pairs[0][1]), line)


EVIL = ['forged', '"', '" forged="1', '\\" forged=1', '\n', '\r\ntime=2026-01-01T00:00:00.000Z forged=1', '\u2028forged', '\x1b[2Jforged',
        '{"forged":1}', '","forged":"1', '%0aforged=1', 'x' * 5000, 'é' * 3000, '\x00forged', '\x7f\x80\xff']


def send_evil(server):
    """Every byte a client may choose, in every place that could come into the log."""
    for evil in EVIL:
        raw = evil.encode('utf-8', 'surrogateescape')
        escaped = ''.join(f'%{byte:02x}' for byte in raw)
        one_line = re.sub(rb'[\r\n\x00]', b'', raw)
        for head in (b'GET /' + escaped.encode() + b' HTTP/1.1\r\nHost: localhost\r\n',
                     b'GET /' + one_line + b' HTTP/1.1\r\nHost: localhost\r\n',
                     one_line + b' / HTTP/1.1\r\nHost: localhost\r\n',
                     b'GET / HTTP/1.1\r\nHost: ' + one_line + b'\r\n',
                     b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Amzn-Trace-Id: Root=' + one_line + b'\r\n',
                     b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: ' + one_line + b'\r\n',
                     b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: ' + one_line + b'\r\nUser-Agent: ' + one_line + b'\r\n'):
            with Client(server.address) as client:
                client.send(head + b'\r\n')
                client.read_head()
        if len(evil) < 1000:
            server.post('/api/chat', {'model': evil, 'messages': MESSAGES})
            server.post('/api/chat', {**CHAT.body, 'conversation_id': evil, 'format': evil, 'options': evil, evil: evil})


def evil_log(form, judge):
    with fake.Upstream() as up, backend(up, '--log', form, '--log-level', 'debug', '--model-alias', 'llama2=' + fake.NAME) as server:
        send_evil(server)
        up.on('/api/tags', lambda x: x.send(b'HTTP/1.1 200 OK" forged=1\r\nforged: 1\r\n\xff\r\n\r\n'))
        up.models = ['" forged=1 "', 'a\nforged=1']
        server.get('/api/tags')
        server.get('/last')
        wait_until(lambda: server.logged(r'/last\b'), 'the last request')
        check(len(server.log) > len(EVIL) * 7, f'only {len(server.log)} lines')
        for line in list(server.log):
            judge(line)
            if form == 'text':
                check('forged' not in keys_of(line), f'forged: {line}')
            else:
                check('forged' not in json.loads(line), f'forged: {line}')


@test
def no_byte_of_a_client_forges_a_line_of_text():
    evil_log('text', judge_text)


@test
def no_byte_of_a_client_forges_a_line_of_json():
    evil_log('json', judge_json)


@test
def line_of_a_request_says_all_of_it():
    with fake.Upstream() as up, backend(up) as server:
        reply = server.post('/api/chat', CHAT.body, fields={'X-Amzn-Trace-Id': 'Self=1-2;Root=1-67891233-abcdef012345678912345678'})
        identity = '1-67891233-abcdef012345678912345678'
        equal(reply.get('X-Request-Id'), identity, 'X-Request-Id')
        line = wait_until(lambda: server.logged(f'msg=request request_id={identity} '), 'its line')[0]
        values = dict(pair.split('=', 1) for pair in line.split(' '))
        for key, value in (('client', '127.0.0.1'), ('method', 'POST'), ('path', '/api/chat'), ('status', '200'),
                           ('bytes', str(len(reply.body))), ('model', fake.NAME), ('tokens', '3'), ('result', 'ok')):
            equal(values.get(key), value, key)
        for key in ('duration_ms', 'queue_ms', 'ttft_ms'):
            check(re.fullmatch(r'\d+', values.get(key, '')), f'{key} in {line}')
        check(abs(time.time() - _seconds(values['time'])) < 60, f'time {values["time"]}')


def _seconds(stamp):
    return calendar.timegm(time.strptime(stamp[:19], '%Y-%m-%dT%H:%M:%S'))


# --- what never is --------------------------------------------------------------------------------------------------

SECRET = 'zanzibar'
ANSWER = 'timbuktu'


def bodies():
    """Requests in every form with the secret in every place that a client fills with words."""
    tool_call = {'role': 'assistant', 'content': SECRET, 'thinking': SECRET,
                 'tool_calls': [{'id': SECRET, 'type': 'function', 'function': {'name': SECRET, 'arguments': {'x': SECRET}}}]}
    messages = [{'role': 'system', 'content': SECRET}, tool_call, {'role': 'tool', 'content': SECRET, 'tool_name': SECRET},
                {'role': 'user', 'content': SECRET, 'images': [SECRET * 4]}]
    tools = [{'type': 'function', 'function': {'name': SECRET, 'description': SECRET, 'parameters': {'type': SECRET}}}]
    extra = {'format': {'title': SECRET}, 'options': {'stop': [SECRET]}, 'tools': tools, 'conversation_id': SECRET,
             'system': SECRET, 'template': SECRET, 'suffix': SECRET, 'user': SECRET, 'metadata': {'x': SECRET}, SECRET: SECRET}
    for form in (*FORMS, RESPONSES):
        body = {**form.body, **extra}
        if 'messages' in body:
            body['messages'] = messages
        for key in ('prompt', 'input'):
            if key in body:
                body[key] = SECRET
        yield form.path, body
    for path in ('/api/embed', '/api/embeddings', '/v1/embeddings', '/v1/completions'):
        yield path, {'model': fake.NAME, 'input': SECRET, 'prompt': SECRET, 'stream': path == '/v1/completions'}


KEY = {'Authorization': f'Bearer {SECRET}', 'Cookie': f'key={SECRET}', 'X-Api-Key': SECRET, 'User-Agent': SECRET,
       'Referer': f'http://x/{SECRET}', 'X-Ollachat-Progress': '1'}


def ask_everything(server):
    return [ask_quietly(server, path + '?q=' + SECRET, json.dumps(body).encode()) for path, body in bodies()]


def ask_quietly(server, path, body):
    """What came back is no matter, only what is logged of it."""
    try:
        with Client(server.address) as client:
            return client.ask('POST', path, body, fields=KEY).body
    except (OSError, AssertionError):
        return b''


def ask_broken(server):
    """Bodies that are refused, each of them for another reason."""
    whole = json.dumps({'model': fake.NAME, 'messages': [{'role': 'user', 'content': SECRET}]}).encode()
    for body in (whole[:-1], whole + SECRET.encode(), whole[:20] + b'\xff' + whole[20:], b'[' * 100 + SECRET.encode(),
                 b'"' + SECRET.encode() + b'"', SECRET.encode(), b'{"prompt":["%s"]}' % SECRET.encode(),
                 b'{"prompt":"%s","prompt":"%s"}' % (2 * (SECRET.encode(),)), b'{"PROMPT":"%s"}' % SECRET.encode(),
                 b'{"prompt":"%s\\x"}' % SECRET.encode(), b'{"messages":"%s"}' % SECRET.encode(),
                 b'{"prompt":"x","stream":"%s"}' % SECRET.encode(), b'{"prompt":"x","messages":[{"role":"%s"}]}' % SECRET.encode(),
                 b'{"prompt":"x","model":{"%s":1}}' % SECRET.encode(), b'{"keep_alive":0,"messages":[],"x":"%s"}' % SECRET.encode()):
        for path in ('/api/chat', '/api/generate', '/v1/chat/completions'):
            ask_quietly(server, path, body)


def check_silent(server):
    """After one more request, so that everything before it is in the log."""
    server.get('/the-end')
    wait_until(lambda: server.logged('path=/the-end'), 'the last line')
    equal(server.logged(f'{SECRET}|{ANSWER}'), [], 'lines that tell too much')


def secret_pieces(request, words):
    return _pieces_for(request, [ANSWER] * len(words))


_pieces_for = fake.pieces_for


@test
def no_secret_is_logged_in_good_and_refused_requests():
    with fake.Upstream() as up, backend(up, '--log-level', 'debug', '--max-body', '64k') as server:
        fake.pieces_for = secret_pieces
        answered = [body for body in ask_everything(server) if ANSWER.encode() in body]
        check(len(answered) >= len(FORMS), 'too few answers to give away')
        ask_broken(server)
        ask_quietly(server, '/api/chat', b'{"prompt":"' + SECRET.encode() * 20000 + b'"}')
        check(len(server.logged('method=POST')) > 50, 'too few requests')
        check_silent(server)


@test
def no_key_is_logged():
    with TestFolder() as folder, fake.Upstream() as up:
        (folder / 'keys').write_text(f'{SECRET}-good\n')
        with backend(up, '--log-level', 'debug', '--api-keys', folder / 'keys') as server:
            for key in (f'{SECRET}-good', f'{SECRET}-bad', SECRET * 100, f'{SECRET}"\\ x=1'):
                for name, value in (('Authorization', f'Bearer {key}'), ('authorization', f'Basic {key}'), ('Authorization', key)):
                    server.get('/api/tags', fields={name: value})
                    server.post('/api/chat', CHAT.body, fields={name: value})
            (folder / 'keys').write_text(f'{SECRET} two words\n' * 3)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: server.logged('keeper.*keys'), 'word of the keys that were read again')
            check_silent(server)


def modes_of(part, parts=4):
    names = sorted(set(fake.MODES) - {'continues', 'endless_continues', 'timed', 'slow', 'endless', 'endless_slow'})
    return names[part::parts]


def secret_in_modes(part):
    with fake.Upstream() as up, backend(up, '--log-level', 'debug', '--first-byte-timeout', 0.1, '--stall-timeout', 0.1,
                                        '--max-generation', 0.3, '--max-active', 8) as server:
        fake.pieces_for = secret_pieces
        up.gate().set()
        for name in modes_of(part):
            up.on_generations(fake.MODES[name])
            threads = [threading.Thread(target=ask_quietly, args=(server, path, json.dumps(body).encode())) for path, body in bodies()]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        check_silent(server)


@test
def no_secret_is_logged_in_failures_1():
    secret_in_modes(0)


@test
def no_secret_is_logged_in_failures_2():
    secret_in_modes(1)


@test
def no_secret_is_logged_in_failures_3():
    secret_in_modes(2)


@test
def no_secret_is_logged_in_failures_4():
    secret_in_modes(3)


@test
def words_of_ollama_are_not_logged():
    said = f'cannot say {ANSWER} to {SECRET}'
    with fake.Upstream() as up, backend(up, '--log-level', 'debug') as server:
        for status in (400, 403, 404, 429, 500, 503):
            up.on_generations(lambda x: x.reply_json({'error': said}, status))
            ask_everything(server)
            up.on_generations(lambda x: x.reply_json({'error': {'message': said}}, status))
            ask_everything(server)
        for script in (lambda x: x.reply_stream([fake.dump({'error': said}) + b'\n']),
                       lambda x: x.reply_stream([fake.sse({'error': {'message': said}})], fake.SSE),
                       lambda x: x.send(b'HTTP/1.1 200 ' + said.encode() + b'\r\nX: ' + said.encode() + b'\r\nContent-Length: x\r\n\r\n'),
                       lambda x: x.send(said.encode() + b'\r\n\r\n'),
                       lambda x: x.reply(200, said.encode(), said)):
            up.on_generations(script)
            ask_everything(server)
        check_silent(server)
