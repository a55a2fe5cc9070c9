# SPDX-License-Identifier: MIT
"""forms.py: the forms in which a generation can be asked for, and what a good and a failed end look like in each."""

import json

from fake import upstream as fake
from lib.harness import check, equal

MESSAGES = [{'role': 'user', 'content': 'hi'}]
TEXT = ''.join(fake.WORDS)


class Form:
    """family: 'ndjson', 'sse' (streams), 'json' (a whole reply that passes through), 'origin' (collected by the gateway)."""

    def __init__(self, name, path, body, family):
        self.name, self.path, self.body, self.family = name, path, body, family
        self.streamed = family in ('ndjson', 'sse')
        self.openai = path.startswith('/v1/')

    def send(self, client):
        client.request('POST', self.path, self.body)

    def ask(self, client):
        return client.post(self.path, self.body)


CHAT = Form('chat, streamed', '/api/chat', {'model': fake.NAME, 'messages': MESSAGES}, 'ndjson')
CHAT_WHOLE = Form('chat, whole', '/api/chat', {'model': fake.NAME, 'messages': MESSAGES, 'stream': False}, 'json')
ORIGIN = Form('origin, whole', '/api/chat', {'model': fake.NAME, 'prompt': 'hi'}, 'origin')
ORIGIN_STREAM = Form('origin, streamed', '/api/chat', {'model': fake.NAME, 'prompt': 'hi', 'stream': True}, 'ndjson')
GENERATE = Form('generate, streamed', '/api/generate', {'model': fake.NAME, 'prompt': 'hi'}, 'ndjson')
V1 = Form('/v1 chat, streamed', '/v1/chat/completions', {'model': fake.NAME, 'messages': MESSAGES, 'stream': True}, 'sse')
V1_WHOLE = Form('/v1 chat, whole', '/v1/chat/completions', {'model': fake.NAME, 'messages': MESSAGES}, 'json')
EMBED = Form('embed', '/api/embed', {'model': fake.NAME, 'input': 'hi'}, 'embed')
RESPONSES = Form('/v1 responses, streamed', '/v1/responses', {'model': fake.NAME, 'input': 'hi', 'stream': True}, 'sse')

FORMS = [CHAT, CHAT_WHOLE, ORIGIN, ORIGIN_STREAM, GENERATE, V1, V1_WHOLE]
STREAMS = [form for form in FORMS if form.streamed] + [RESPONSES]
WHOLES = [form for form in FORMS if form.family == 'json']


# --- errors before a reply ------------------------------------------------------------------------------------------


def error_text(reply, openai=False):
    """The error a person reads, out of a JSON reply in the right shape."""
    check((reply.get('Content-Type') or '').startswith('application/json'), f'error of type {reply.get("Content-Type")}')
    error = reply.json().get('error')
    if openai:
        check(isinstance(error, dict) and {'message', 'type', 'param', 'code'} <= set(error), f'not OpenAI\'s shape: {reply}')
        error = error['message']
    check(isinstance(error, str) and len(error) > 3, f'no error text: {reply}')
    return error


def check_refused(reply, status, openai=False):
    """A whole error reply with this status (or one of these) and words in it; the text is returned."""
    wanted = status if isinstance(status, (tuple, set)) else (status,)
    check(reply.status in wanted, lambda: f'status {reply.status}, wanted {status}: {reply.body[:300]!r}')
    check(reply.whole(), f'error reply is not whole: {reply}')
    text = error_text(reply, openai)
    if reply.status in (429, 503):
        check_retry_after(reply)
    return text


def check_retry_after(reply):
    value = reply.get('Retry-After')
    check(value is not None and value.isdigit() and 1 <= int(value) <= 360, f'Retry-After is {value!r}')


# --- streams --------------------------------------------------------------------------------------------------------


def events_of(reply):
    """The data of an event stream's events; every event must be whole."""
    check(reply.body.endswith(b'\n\n') or not reply.body, lambda: f'ends inside an event: {reply.body[-200:]!r}')
    blocks = [block for block in reply.body.split(b'\n\n') if block and not block.startswith(b':')]
    return [b'\n'.join(line[6:] for line in block.split(b'\n') if line.startswith(b'data: ')) for block in blocks]


def check_good(form, reply):
    """A complete answer that says TEXT."""
    equal(reply.status, 200, 'status')
    check(reply.whole(), lambda: f'not whole: {reply}')
    if form is EMBED:
        equal(reply.json()['embeddings'], [[0.25, -0.5]], 'answer')
    else:
        equal(answer_of(form, reply), TEXT, 'answer')


def answer_of(form, reply):
    if form.family == 'ndjson':
        lines = reply.lines()
        check(lines and lines[-1].get('done') is True, lambda: f'no done line: {lines[-1:]}')
        check(not any('error' in line for line in lines), lambda: f'an error in a good stream: {lines[-1]}')
        return ''.join(line.get('response', '') if form is GENERATE else line['message']['content'] for line in lines)
    if form.family == 'sse':
        events = events_of(reply)
        if form is RESPONSES:
            check(json.loads(events[-1])['type'] == 'response.completed', f'last event {events[-1]!r}')
            return ''.join(json.loads(event).get('delta', '') for event in events)
        equal(events[-1], b'[DONE]', 'last event')
        choices = [json.loads(event)['choices'] for event in events[:-1]]
        return ''.join(choice[0]['delta'].get('content') or '' for choice in choices)
    value = reply.json()
    if form.family == 'origin':
        return value['response']
    return value['choices'][0]['message']['content'] if form.openai else value['message']['content']


def check_failed_stream(form, reply, text=None):
    """A stream that ended in failure and says so, once, at its end; and the body ended properly."""
    equal(reply.status, 200, 'status')
    equal(reply.ended, 'chunked', 'end of the body')
    if form.family == 'ndjson':
        values = reply.lines()
    else:
        events = events_of(reply)
        check(b'[DONE]' not in events, 'a failed stream says [DONE]')
        values = [json.loads(event) for event in events]
    errors = [value['error'] for value in values if 'error' in value]
    errors += [value for value in values if value.get('type') == 'error' and 'error' not in value]
    equal(len(errors), 1, f'errors in {reply.body[-400:]!r}')
    check('error' in values[-1] or values[-1].get('type') == 'error', f'the error is not last: {values[-1]}')
    check(not any(value.get('done') is True for value in values), 'a failed stream says done')
    if form.family == 'sse':
        check(isinstance(errors[0], dict) and isinstance(errors[0].get('message'), str), f'error event: {errors[0]}')
        said = errors[0]['message']
        if form is RESPONSES:
            check(b'event: error\n' in reply.body, 'no `event: error`')
    else:
        said = errors[0]
    check(isinstance(said, str) and len(said) > 3, f'no words in the error: {errors[0]!r}')
    check(text is None or text in said, f'{text!r} is not in {said!r}')
    return said


def check_not_taken_for_whole(reply):
    """A reply of which a part is missing: refused in words, or visibly cut."""
    if reply.status in (502, 504):
        error_text(reply, isinstance(reply.json().get('error'), dict))
    else:
        check(not reply.whole(), lambda: f'a cut answer looks whole: {reply}')
