# SPDX-License-Identifier: MIT
"""What of a request reaches Ollama, and how request bodies are judged before."""

import json

from faults.forms import CHAT, FORMS, MESSAGES, ORIGIN, check_good, check_refused
from fake import upstream as fake
from lib.harness import Cases, Client, backend, check, equal, test

BROWSER_FIELDS = {'Cookie': 'a=b', 'Authorization': 'Bearer secret', 'Forwarded': 'for=1.2.3.4', 'X-Forwarded-For': '1.2.3.4',
                  'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': 'example.org', 'X-Forwarded-Port': '80',
                  'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors', 'Sec-CH-UA': '"x"', 'Sec-GPC': '1'}
FORBIDDEN = ('host', 'origin', 'cookie', 'authorization', 'forwarded', 'x-forwarded', 'sec-')


def sent_for(up, server, body, path='/api/chat', **options):
    """The request that Ollama saw for this one, which must be answered with 200."""
    reply = server.post(path, body, **options)
    equal(reply.status, 200, f'status, body {reply.body[:200]!r}')
    return up.requests(path)[-1]


@test
def ollama_sees_its_own_address_and_nothing_of_the_browser():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        origin = f'http://{server.address[0]}:{server.address[1]}'
        for form in FORMS:
            with cases(form.name):
                seen = sent_for(up, server, form.body, form.path, fields={**BROWSER_FIELDS, 'Origin': origin})
                equal(seen.get('Host'), up.host, 'Host')
                equal(sum(name.lower() == 'host' for name, _ in seen.fields), 1, 'number of Host fields')
                told = [name for name, _ in seen.fields if name.lower().startswith(FORBIDDEN) and name.lower() != 'host']
                equal(told, [], 'fields that must not be forwarded')
                equal((seen.method, seen.target), ('POST', form.path), 'request line')
        for path in ('/api/tags', '/v1/models'):
            with cases(path):
                server.get(path, fields=BROWSER_FIELDS)
                told = [name for name, _ in up.requests(path)[-1].fields
                        if name.lower().startswith(FORBIDDEN) and name.lower() != 'host']
                equal(told, [], 'fields that must not be forwarded')
        cases.judge()


@test
def bodies_pass_byte_for_byte():
    texts = [b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"hi"}]}',
             b'  {"messages" :\t[{"role":"user","content":""}],\r\n"model":"llama3.2:1b","prompt":null , "options":{"num_ctx":1e3,"x":-0.0}}\n ',
             b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00\\/\\b"}],"unknown":[1,[2,{}]]}',
             '{"model":"LLAMA3.2:1b","messages":[{"role":"user","content":"é😀\u2028"}]}'.encode(),
             b'{"mod\\u0065l":"llama3.2:1b","messages":[{"role":"user","content":"x"}],"stream":true,"think":false}']
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for text in texts:
            with cases(repr(text[:60])):
                equal(sent_for(up, server, text).body, text, 'body')
        cases.judge()


@test
def missing_model_is_added():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for body in ({'messages': MESSAGES}, {'model': None, 'messages': MESSAGES}, {'model': '', 'messages': MESSAGES},
                     {'messages': MESSAGES, 'stream': False}):
            with cases(str(body)):
                seen = sent_for(up, server, body).json()
                equal(seen, {**body, 'model': fake.NAME}, 'body')
        for path, body in (('/api/generate', {'prompt': 'x'}), ('/v1/chat/completions', {'messages': MESSAGES}),
                           ('/api/chat', {'prompt': 'hi'}), ('/api/embed', {'input': 'x'}), ('/v1/embeddings', {'input': 'x'})):
            with cases(path):
                equal(sent_for(up, server, body, path).json()['model'], fake.NAME, 'model')
        cases.judge()


@test
def default_model_is_the_one_configured():
    with fake.Upstream(models=['a:latest', 'b:latest']) as up, backend(up, '--model', 'b') as server:
        equal(sent_for(up, server, {'messages': MESSAGES}).json()['model'] in ('b', 'b:latest'), True, 'model')
        equal(sent_for(up, server, {'model': 'a', 'messages': MESSAGES}).json()['model'], 'a', 'model')


@test
def without_a_default_the_choice_is_told():
    with fake.Upstream(models=['a:latest', 'b:latest']) as up, backend(up) as server:
        for body in ({'messages': MESSAGES}, {'prompt': 'hi'}):
            text = check_refused(server.post('/api/chat', body), 400)
            check(text.startswith('model is required; installed: ') and 'a:latest' in text and 'b:latest' in text, f'says {text!r}')
        check_refused(server.post('/v1/chat/completions', {'messages': MESSAGES}), 400, openai=True)
        equal(up.requests('/api/chat'), [], 'requests at the upstream')


@test
def unknown_model_is_404_in_ollama_s_words():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for form in FORMS:
            with cases(form.name), Client(server.address) as client:
                reply = client.post(form.path, {**form.body, 'model': 'nobody'})
                text = check_refused(reply, 404, form.openai)
                check('nobody' in text and 'not found' in text, f'says {text!r}')
        cases.judge()


@test
def model_names_are_compared_as_ollama_does():
    with fake.Upstream(models=['llama3.2:latest', 'hf.co/x/y:q4']) as up, backend(up) as server:
        cases = Cases()
        for name in ('llama3.2', 'LLAMA3.2:latest', 'llama3.2:LATEST', 'hf.co/x/y:q4', 'HF.co/X/Y:Q4'):
            with cases(name):
                equal(sent_for(up, server, {'model': name, 'messages': MESSAGES}).json()['model'], name, 'model')
        cases.judge()


@test
def only_chosen_models_may_be_used():
    with fake.Upstream(models=['a:latest', 'b:latest', 'c:latest']) as up, backend(up, '--models', 'a,b:latest') as server:
        cases = Cases()
        for name in ('a', 'a:latest', 'b', 'B'):
            with cases(name):
                sent_for(up, server, {'model': name, 'messages': MESSAGES})
        before = len(up.requests('/api/chat'))
        for path, body in (('/api/chat', {'messages': MESSAGES}), ('/api/chat', {'prompt': 'hi'}), ('/api/generate', {'prompt': 'x'}),
                           ('/api/show', {}), ('/v1/chat/completions', {'messages': MESSAGES}), ('/api/embed', {'input': 'x'})):
            with cases(f'{path} c'):
                text = check_refused(server.post(path, {**body, 'model': 'c'}), 404, path.startswith('/v1/'))
                check('not found' in text, f'says {text!r}')
        equal(len(up.requests('/api/chat')), before, 'chats at the upstream')
        equal(server.get('/api/models').json()['models'], ['a:latest', 'b:latest'], '/api/models')
        cases.judge()


@test
def alias_replaces_the_model_s_name():
    with fake.Upstream() as up, backend(up, '--model-alias', f'llama2={fake.NAME}', '--model-alias', f'gpt-4={fake.NAME}') as server:
        for form in FORMS:
            seen = sent_for(up, server, {**form.body, 'model': 'llama2'}, form.path)
            equal(seen.json()['model'], fake.NAME, f'{form.name}: model')
        text = b'{ "x":[1], "model" : "gpt-4","messages":[{"role":"user","content":"gpt-4"}] }'
        equal(sent_for(up, server, text).body, text.replace(b'"gpt-4"', b'"llama3.2:1b"', 1), 'body')


@test
def keep_alive_of_a_client_is_cut_out():
    texts = [(b'{"keep_alive":0,"model":"llama3.2:1b","messages":[{"role":"user","content":"x"}]}',
              {'model': fake.NAME, 'messages': [{'role': 'user', 'content': 'x'}]}),
             (b'{"model":"llama3.2:1b" , "keep_alive" : "10m" , "messages":[{"role":"user","content":"x"}]}',
              {'model': fake.NAME, 'messages': [{'role': 'user', 'content': 'x'}]}),
             (b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"x"}],"keep_\\u0061live":-1}',
              {'model': fake.NAME, 'messages': [{'role': 'user', 'content': 'x'}]}),
             (b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"x"}],"options":{"keep_alive":1}}',
              {'model': fake.NAME, 'messages': [{'role': 'user', 'content': 'x'}], 'options': {'keep_alive': 1}})]
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for text, wanted in texts:
            with cases(repr(text[:50])):
                equal(json.loads(sent_for(up, server, text).body), wanted, 'body')
        with cases('/api/generate'):
            seen = sent_for(up, server, {'model': fake.NAME, 'prompt': 'x', 'keep_alive': 5}, '/api/generate')
            check('keep_alive' not in seen.json(), f'sent {seen.body!r}')
        with cases('/api/embed'):
            seen = sent_for(up, server, {'model': fake.NAME, 'input': 'x', 'keep_alive': 0}, '/api/embed')
            check('keep_alive' not in seen.json(), f'sent {seen.body!r}')
        cases.judge()


@test
def client_cannot_unload_the_model():
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for path, body in (('/api/chat', {'messages': [], 'keep_alive': 0}), ('/api/generate', {'keep_alive': 0}),
                           ('/api/chat', {'keep_alive': 0}), ('/api/generate', {'prompt': '', 'keep_alive': '0s'}),
                           ('/api/generate', {'prompt': '', 'keep_alive': 0})):
            with cases(f'{path} {body}'):
                check_refused(server.post(path, {'model': fake.NAME, **body}), 403)
        cases.judge()


@test
def keep_alive_passes_when_allowed():
    with fake.Upstream() as up, backend(up, '--allow-client-keep-alive') as server:
        text = b'{"model":"llama3.2:1b","keep_alive":0,"messages":[{"role":"user","content":"x"}]}'
        equal(sent_for(up, server, text).body, text, 'body')
        equal(sent_for(up, server, {'model': fake.NAME, 'keep_alive': 0}, '/api/generate').json()['keep_alive'], 0, 'keep_alive')


# --- how bodies are judged ------------------------------------------------------------------------------------------


def refusals(cases_of_text, path='/api/chat', openai=False):
    """(body, words that the error must contain) -> 400, and nothing reaches the upstream."""
    with fake.Upstream() as up, backend(up) as server:
        cases = Cases()
        for body, words in cases_of_text:
            with cases(repr(body[:70])):
                text = check_refused(server.post(path, body), 400, openai)
                for word in words:
                    check(word in text, f'{word!r} is not in {text!r}')
        equal(up.requests(path), [], 'requests at the upstream')
        cases.judge()
        check_good(CHAT, server.post('/api/chat', CHAT.body))


BROKEN = [(b'{"model":"m",}', ['13']), (b'{"a":1 x}', ['7']), (b'{"a":1}{', ['7']), (b'{"a":01}', []), (b'{"a":\xff"}', ['5']),
          (b'{"a":"\xc3("}', []), (b'{"a":"\xed\xa0\x80"}', []), (b'{"a":1', ['6']), (b'{\'a\':1}', ['1']), (b'', []), (b'   ', []),
          (b'\xef\xbb\xbf{}', ['0']), ('{"a":1}'.encode('utf-16'), []), (b'{"a":nul}', []), (b'{"a":"\n"}', ['6']),
          (b'{"a":1,,"b":2}', ['7']), (b'{"a" 1}', ['5']), (b'[1,2', []), (b'{"a":"\\x"}', []), (b'{"a":+1}', ['5']),
          (b'{"a":' + b'[' * 70 + b']' * 70 + b'}', []), (b'{"a":NaN}', ['5']), (b'// c\n{}', ['0']), (b'{a:1}', ['1'])]


@test
def broken_json_is_400_with_its_offset():
    refusals([(body, [f'byte {word}' for word in words]) for body, words in BROKEN])


@test
def broken_json_is_400_on_v1():
    refusals(BROKEN, '/v1/chat/completions', openai=True)


@test
def other_json_than_an_object_is_400():
    refusals([(body, ['body must be an object']) for body in (b'[]', b'"x"', b'1', b'true', b'[{"model":"m"}]', b' -1e5 ')])


@test
def deep_json_is_taken_up_to_the_limit():
    with fake.Upstream() as up, backend(up) as server:
        deep = b'[' * 62 + b']' * 62
        body = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"x"}],"x":' + deep + b'}'
        equal(sent_for(up, server, body).body, body, 'body')


@test
def repeated_and_respelt_keys_are_400():
    refusals([(b'{"model":"a","model":"b","messages":[]}', ['repeated key', 'model']),
              (b'{"model":"a","mod\\u0065l":"b"}', ['repeated key']),
              (b'{"x":1,"x":2,"messages":[]}', ['repeated key']),
              (b'{"x":1,"X":2,"messages":[]}', ['repeated key']),
              (b'{"Model":"a","messages":[]}', ['unknown spelling']),
              (b'{"STREAM":false,"messages":[]}', ['unknown spelling']),
              ('{"me\u017f\u017fages":[]}'.encode(), ['unknown spelling']),
              ('{"\u212aeep_alive":0,"messages":[]}'.encode(), ['unknown spelling']),
              (b'{"\\u017ftream":false,"messages":[]}', ['unknown spelling']),
              (b'{"Prompt":"x"}', ['unknown spelling'])])


@test
def keys_inside_other_values_are_nobody_s_business():
    with fake.Upstream() as up, backend(up) as server:
        body = b'{"model":"llama3.2:1b","messages":[{"role":"user","content":"x","Role":"y"}],"options":{"A":1,"a":2}}'
        equal(sent_for(up, server, body).body, body, 'body')


@test
def wrong_types_are_400_naming_the_field():
    refusals([(b'{"model":5,"messages":[]}', ['model']), (b'{"prompt":5}', ['prompt']), (b'{"prompt":["x"]}', ['prompt']),
              (b'{"prompt":"x","messages":"y"}', ['messages']),
              (b'{"prompt":"x","stream":"yes"}', ['stream']), (b'{"messages":[],"stream":"yes"}', ['stream'])])


@test
def origin_form_is_written_anew():
    with fake.Upstream() as up, backend(up) as server:
        earlier = [{'role': 'user', 'content': 'a "quoted" é'}, {'role': 'assistant', 'content': 'b\n'}]
        cases = Cases()
        for stream in (None, False, True):
            body = {'model': fake.NAME, 'prompt': 'now \u0001 "x" 😀', 'messages': earlier, 'conversation_id': 'c1'}
            if stream is not None:
                body['stream'] = stream
            with cases(f'stream {stream}'):
                seen = sent_for(up, server, body).json()
                equal(seen['messages'], [*earlier, {'role': 'user', 'content': 'now \u0001 "x" 😀'}], 'messages')
                equal((seen['model'], seen['stream']), (fake.NAME, True), 'model and stream')
                check('prompt' not in seen and 'conversation_id' not in seen, f'sent {seen}')
        with cases('messages null'):
            equal(sent_for(up, server, {**ORIGIN.body, 'messages': None}).json()['messages'], [{'role': 'user', 'content': 'hi'}],
                  'messages')
        cases.judge()
