# SPDX-License-Identifier: MIT
"""The demo role: page and gateway on one port, routed by path as a load balancer would; and what the log may say."""

import re

from faults.forms import CHAT, FORMS, MESSAGES, V1, answer_of, check_good, check_refused
from fake import upstream as fake
from lib.harness import Cases, Client, Server, backend, check, equal, test, wait_until


@test
def one_port_serves_page_and_gateway():
    with fake.Upstream() as up, Server('demo', '--ollama', up.url) as server, Client(server.address) as client:
        wait_until(lambda: client.get('/api/models').status == 200, 'the models')
        page = client.get('/')
        check(page.get('Content-Type').startswith('text/html'), f'type of the page: {page.get("Content-Type")}')
        equal(client.get('/chat/1').body, page.body, 'extensionless path')
        cases = Cases()
        for form in FORMS:
            with cases(form.name):
                check_good(form, form.ask(client))
        cases.judge()
        check_refused(client.get('/api/nowhere'), 404)
        equal(client.get('/health').status, 200, '/health')
        equal(client.post('/api/chat', CHAT.body, fields={'Origin': 'http://evil.example'}).status, 403, 'another site')


@test
def stand_in_answers_when_asked_for():
    with Server('demo', '--ollama', 'sim', '--tokens-per-second', 1000, '--first-token-delay', 0) as server:
        models = wait_until(lambda: (x := server.get('/api/models').json()).get('default') and x['models'], 'the models')
        check(models[0].startswith('ollachat-sim'), f'models {models}')
        reply = server.post('/api/chat', {'messages': MESSAGES})
        check(len(answer_of(CHAT, reply)) > 10, f'answer {reply}')
        reply = server.post('/v1/chat/completions', {'messages': MESSAGES, 'stream': True})
        check(len(answer_of(V1, reply)) > 10, f'answer {reply}')
        said = '\n'.join(server.out).lower()
        check('no model' in said or 'stand-in' in said, f'does not say what answers: {said!r}')


@test
def demo_says_that_an_ollama_answers():
    with fake.Upstream() as up, Server('demo', '--ollama', up.url) as server:
        said = wait_until(lambda: [line for line in server.out if 'answers come from' in line], 'who answers, on stdout')
        check('Ollama' in said[0] and 'stand-in' not in said[0], f'says {said[0]!r}')


@test
def client_that_leaves_the_demo_frees_ollama():
    with fake.Upstream() as up, Server('demo', '--ollama', up.url) as server:
        wait_until(lambda: server.get('/api/models').status == 200, 'the models')
        up.on('/api/chat', fake.MODES['endless_slow'])
        with Client(server.address) as client:
            CHAT.send(client)
            client.read_chunk(client.read_head())
        check(up.wait_exchange('/api/chat').left.wait(5), 'Ollama works on for nobody')


# --- the log --------------------------------------------------------------------------------------------------------

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^" ]*)(?: |$)')


def keys_of(line):
    """The keys of a line; fails when it is no sequence of key=value."""
    keys, at = [], 0
    while at < len(line):
        pair = PAIR.match(line, at)
        check(pair, f'no key=value from byte {at}: {line}')
        keys.append(pair.group(1))
        at = pair.end()
    return keys


@test
def prompts_and_answers_are_never_logged():
    secret, answer = 'zanzibar', 'timbuktu'
    with fake.Upstream() as up, backend(up, '--log-level', 'debug') as server:
        up.on_generations(lambda x: x.reply_stream(*fake.pieces_for(x.request, [answer])))
        bodies = [{**form.body, 'prompt' if 'prompt' in form.body else 'messages':
                   secret if 'prompt' in form.body else [{'role': 'user', 'content': secret}]} for form in FORMS]
        for form, body in zip(FORMS, bodies):
            server.post(form.path, body, fields={'Authorization': 'Bearer zanzibar'})
        server.post('/api/chat', b'{"messages":"zanzibar')
        server.get('/api/tags?x=zanzibar')
        up.on('/api/chat', lambda x: x.reply_json({'error': f'cannot say {answer}'}, 500))
        server.post('/api/chat', {'prompt': secret})
        wait_until(lambda: len(server.logged('method=POST')) >= len(FORMS) + 2, 'the access log')
        equal(server.logged(f'{secret}|{answer}'), [], 'lines that tell too much')


@test
def no_client_can_forge_a_line_of_the_log():
    with fake.Upstream() as up, backend(up, '--log-level', 'debug') as server:
        evil = 'x" forged=1 y=" \\" forged=1 \n forged=1'
        for path in ('/%0aforged=1', '/x%20forged=1', '/"forged=1', "/a'%22%20forged=1", '/é', '/' + 'y' * 9000):
            with Client(server.address) as client:
                client.send(f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode('utf-8'))
                client.read_reply()
        server.post('/api/chat', {'model': evil, 'messages': MESSAGES})
        server.post('/api/chat', {**CHAT.body, 'conversation_id': evil})
        server.get('/', fields={'X-Amzn-Trace-Id': 'Root=1-2"forged=1', 'User-Agent': 'a" forged=1', 'X-Forwarded-For': '1.2.3.4" forged=1'})
        wait_until(lambda: len(server.logged('method=GET path=/ ')) >= 1, 'the last request')
        for line in server.log:
            check(line.startswith('time='), f'line {line!r}')
            check(len(line) <= 4096, f'{len(line)} bytes')
            check('forged' not in keys_of(line), f'forged: {line}')
