# SPDX-License-Identifier: MIT
"""Every fault of Ollama a hundred times, many at once: the right status or an end that nobody takes for an answer, the
metrics name the fault, and nothing is left behind."""

import json
from collections import Counter

from fake import upstream as fake
from lib.harness import Cases, backend, check, descriptors_of, equal, test, wait_until
from lib.prometheus import scrape
from lib.swarm import Swarm, allow_descriptors, request

TIMES = 100
AT_ONCE = 50
KEPT = 32  # connections to Ollama that may stay open for later
MESSAGES = [{'role': 'user', 'content': 'hi'}]
FORMS = {
    'lines': request('POST', '/api/chat', {'model': fake.NAME, 'messages': MESSAGES}),
    'events': request('POST', '/v1/chat/completions', {'model': fake.NAME, 'messages': MESSAGES, 'stream': True}),
    'whole': request('POST', '/api/chat', {'model': fake.NAME, 'messages': MESSAGES, 'stream': False}),
    'origin': request('POST', '/api/chat', {'model': fake.NAME, 'prompt': 'hi'}),
}


def outcome(one):
    """What a client makes of it: a status other than 200, 'good', 'failed' (and told so), or 'cut'."""
    reply = one.reply()
    if reply.status != 200:
        equal(reply.ended, 'length', f'end of a {reply.status}')
        error = reply.json()['error']
        check(len(error if isinstance(error, str) else error['message']) > 3, f'no words: {error!r}')
        check(reply.status not in (429, 503) or reply.has('Retry-After'), 'no Retry-After')
        return reply.status
    if reply.ended == 'cut' or one.error:
        return 'cut'
    if (reply.get('Content-Type') or '').startswith('text/event-stream'):
        events = [json.loads(event[6:]) for event in reply.body.split(b'\n\n') if event.startswith(b'data: {')]
        good = b'data: [DONE]\n\n' in reply.body
        told = any('error' in event for event in events)
    elif 'ndjson' in (reply.get('Content-Type') or ''):
        lines = reply.lines()
        good, told = lines[-1].get('done') is True, 'error' in lines[-1]
    else:
        value = reply.json()
        good, told = value.get('done') is True or 'response' in value, 'error' in value
    check(good != told, lambda: f'neither good nor told: {reply.body[-300:]!r}')
    return 'good' if good else 'failed'


def kinds(server):
    return Counter({labels['kind']: int(value) for labels, value in scrape(server).of('ollachat_upstream_errors_total')})


# mode: outcomes as lines, events, whole, in the origin's form (None: not asked for, nothing to tell by); kinds counted
GOOD = ('good', 'good', 'good', 'good')
IN_BAND = ('failed', 'failed', 502, 502)
STATUS = {status: (status,) * 4 for status in (400, 404, 429, 500, 502, 503, 504)}
EXPECTED = {
    'normal': (GOOD, ()), 'head_bytes': (GOOD, ()), 'pieces': (GOOD, ()), 'merged': (GOOD, ()), 'until_close': (GOOD, ()),
    'continues': (GOOD, ()), 'ten_continues': (GOOD, ()), 'idle_close': (GOOD, ()), 'slow': (GOOD, ()),
    'close': (STATUS[502], ('hangup',)), 'reset': (STATUS[502], ('hangup',)),
    'half_head_close': (STATUS[502], ('hangup',)), 'half_head_reset': (STATUS[502], ('hangup',)),
    'silent': (STATUS[504], ('first_byte_timeout', 'too_long')), 'half_head_silent': (STATUS[504], ('first_byte_timeout', 'too_long')),
    'garbage': (STATUS[502], ('nonsense',)), 'not_http': (STATUS[502], ('nonsense',)), 'giant_head': (STATUS[502], ('nonsense',)),
    'both_lengths': (STATUS[502], ('nonsense',)), 'two_lengths': (STATUS[502], ('nonsense',)), 'odd_coding': (STATUS[502], ('nonsense',)),
    '204_with_body': (STATUS[502], ('nonsense',)), 'endless_continues': (STATUS[502], ('nonsense',)),
    'cut_between': (IN_BAND, ('broken',)), 'reset_between': (IN_BAND, ('broken',)), 'cut_in_line': (IN_BAND, ('broken',)),
    'reset_in_line': (IN_BAND, ('broken',)), 'cut_in_chunk': (IN_BAND, ('broken',)), 'length_too_long': (IN_BAND, ('broken',)),
    'bad_chunk': (IN_BAND, ('nonsense',)), 'huge_chunk_size': (IN_BAND, ('nonsense',)),
    'chunk_without_end': (('good', 'good', 502, 'good'), ('nonsense',)),
    'no_last_chunk': (('good', 'good', 502, 'good'), ('broken',)),
    'said_then_silent': (('good', 'good', 504, 'good'), ('stall_timeout',)),
    'stall': (('failed', 'failed', 504, 504), ('stall_timeout',)),
    'no_end': (('failed', 'failed', 502, 502), ('unfinished', 'nonsense')),
    'length_too_short': (('failed', 'failed', 502, 502), ('unfinished', 'nonsense')),
    'error_line': (('failed', 'failed', None, 502), ('in_stream', 'unfinished')),
    'error_event': ((None, 'failed', None, None), ('in_stream',)),
    'busy': (STATUS[503], ('status',)), 'server_error': (STATUS[500], ('status',)), 'empty_403': (STATUS[502], ('status',)),
    'too_many': (STATUS[429], ()), 'bad_request': (STATUS[400], ()), 'not_found': (STATUS[404], ()),
}
QUICK = ['--first-byte-timeout', 0.3, '--stall-timeout', 0.3, '--max-generation', 2]
SILENT = ('silent', 'half_head_silent', 'stall', 'said_then_silent')
ENDLESS = ('endless', 'endless_slow', 'timed')  # only limits end them; they have tests of their own


def often(mode, wanted, fault_kinds):
    options = QUICK if mode in SILENT else []
    with fake.Upstream() as up, backend(up, '--max-active', AT_ONCE, '--max-queue', TIMES, '--queue-timeout', 3000, *options,
                                        '--access-log', 'off') as server:
        up.gate().set()
        up.on_generations(fake.MODES[mode])
        worker, before, counted = server.worker(), descriptors_of(server.worker()), kinds(server)
        forms = [form for form, outcome in zip(FORMS, wanted) if outcome is not None]
        with Swarm(server.address) as swarm:
            asked = [(forms[n % len(forms)], swarm.add(FORMS[forms[n % len(forms)]])) for n in range(TIMES)]
            swarm.run(swarm.all_over, 60, f'{TIMES} x {mode}')
        outcomes = Counter((form, outcome(one)) for form, one in asked)
        equal({form: end for form, end in outcomes}, {form: end for form, end in zip(FORMS, wanted) if end is not None}, 'outcomes')
        equal(len(outcomes), len(forms), f'one outcome for each form: {outcomes}')
        faults = kinds(server) - counted
        equal(sum(faults.values()), sum(n for (_, end), n in outcomes.items() if end != 'good') if fault_kinds else 0, f'errors counted: {faults}')
        check(set(faults) <= set(fault_kinds), lambda: f'kinds counted: {faults}')
        wait_until(lambda: server.get('/health').json()['active'] == 0, 'all turns are free')
        wait_until(lambda: descriptors_of(worker) <= before + KEPT, 'descriptors are given back')


@test
def every_fault_a_hundred_times():
    allow_descriptors()
    equal(set(EXPECTED) | set(ENDLESS), set(fake.MODES), 'modes of the scripted Ollama')
    cases = Cases()
    for mode, (wanted, fault_kinds) in EXPECTED.items():
        with cases(mode):
            often(mode, wanted, fault_kinds)
    cases.judge()
