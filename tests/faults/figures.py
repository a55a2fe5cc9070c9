# SPDX-License-Identifier: MIT
"""The figures of generations: how they ended, how long that took, and what Ollama did wrong, as the clients saw it."""

from collections import Counter

from faults.forms import CHAT, CHAT_WHOLE, FORMS, ORIGIN, RESPONSES, V1, check_good
from faults.turns import ask, gated, wait_counts
from fake import upstream as fake
from lib.clock import Clock
from lib.harness import Cases, Client, backend, check, equal, test, wait_until
from lib.prometheus import scrape

TOTAL = 'ollachat_generations_total'
FAULTS = 'ollachat_upstream_errors_total'
SPANS = ('ollachat_queue_wait_seconds', 'ollachat_time_to_first_token_seconds', 'ollachat_generation_seconds')


def counts_of(page, name, label):
    return +Counter({labels[label]: int(value) for labels, value in page.of(name)})


def buckets_of(page, name):
    """What fell into each bucket alone, by its upper bound."""
    cumulative = sorted((float(labels['le'].replace('+Inf', 'inf')), int(value)) for labels, value in page.of(name + '_bucket'))
    before = [0] + [value for _, value in cumulative]
    return {bound: value - before[n] for n, (bound, value) in enumerate(cumulative) if value > before[n]}


def leave(server, up, number):
    """A client that goes while its generation runs."""
    up.on('/api/chat', fake.MODES['silent'])
    with Client(server.address) as client:
        CHAT.send(client)
        up.wait_exchange('/api/chat', number)


@test
def generations_are_what_the_clients_saw():
    saw = Counter()
    with fake.Upstream() as up, backend(up, '--max-queue', 2, '--first-byte-timeout', 0.5) as server:
        before = counts_of(scrape(server), TOTAL, 'result')
        for form in (*FORMS, RESPONSES) * 3:
            reply = server.post(form.path, form.body)
            check_good(form, reply)
            saw['ok'] += 1
        up.on('/api/chat', gated)
        running = [ask(server, f'go {n}') for n in range(1)]
        wait_counts(server, 1, 0)
        running += [ask(server, f'go {n}') for n in (1, 2)]
        wait_counts(server, 1, 2)
        for _ in range(4):
            equal(server.post('/api/chat', CHAT.body).status, 503, 'with a full queue')
            saw['rejected'] += 1
        running[2].close()
        saw['cancelled'] += 1
        wait_counts(server, 1, 1)
        for n in (0, 1):
            up.gate(f'go {n}').set()
            check(running[n].read_reply().lines()[-1]['done'], 'not whole')
            saw['ok'] += 1
        number = len(up.exchanges('/api/chat'))
        for n in (1, 2):
            leave(server, up, number + n)
            saw['cancelled'] += 1
            wait_counts(server, 0, 0)
        equal(server.post('/api/chat', CHAT.body).status, 504, 'of a silent Ollama')
        saw['timeout'] += 1
        for mode, form in (('close', CHAT), ('no_end', V1), ('error_line', CHAT), ('server_error', ORIGIN), ('bad_request', CHAT_WHOLE)):
            up.gate().set()
            up.on_generations(fake.MODES[mode])
            server.post(form.path, form.body)
            saw['error'] += 1
        up.on_generations(None)

        def counted():
            counts = counts_of(scrape(server), TOTAL, 'result')
            counts.subtract(before)
            return +counts
        wait_until(lambda: sum(counted().values()) >= sum(saw.values()), 'all generations in the metrics')
        equal(counted(), saw, 'generations')


@test
def tokens_are_what_ollama_said():
    with fake.Upstream() as up, backend(up) as server:
        for form in (CHAT, CHAT_WHOLE, ORIGIN) * 2:
            check_good(form, server.post(form.path, form.body))
        page = scrape(server)
        equal(page.value('ollachat_input_tokens_total'), 6 * 7, 'input')
        equal(page.value('ollachat_output_tokens_total'), 6 * len(fake.WORDS), 'output')


@test
def histograms_hold_the_time_that_passed():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server:
        def script(x):
            word = x.request.json()['messages'][0]['content']
            x.pass_gate(f'{word} begins')
            x.head()
            x.chunk(fake.chat_lines([word])[0])
            x.pass_gate(f'{word} ends')
            x.chunk(fake.chat_lines([])[-1])
            x.last_chunk()
        up.on('/api/chat', script)
        first = ask(server, 'first')
        wait_counts(server, 1, 0)
        second = ask(server, 'second')
        wait_counts(server, 1, 1)
        clock.stop()
        clock.wind(3)
        up.gate('first begins').set()
        first.read_chunk(first.read_head())
        clock.wind(9)
        for name in ('second begins', 'second ends', 'first ends'):
            up.gate(name).set()
        second.read_reply()
        wait_counts(server, 0, 0)
        page = scrape(server)
        equal(buckets_of(page, SPANS[0]), {0.1: 1, 30: 1}, SPANS[0])
        equal(buckets_of(page, SPANS[1]), {0.05: 1, 5: 1}, SPANS[1])
        equal(buckets_of(page, SPANS[2]), {0.1: 1, 30: 1}, SPANS[2])
        for name, seconds in zip(SPANS, (12, 3, 12)):
            equal(page.value(name + '_count'), 2, name)
            check(seconds <= page.value(name + '_sum') < seconds + 5, f'sum of {name}: {page.value(name + "_sum")}')


@test
def heartbeats_are_counted():
    with Clock() as clock, fake.Upstream() as up, backend(up, clock=clock) as server:
        up.on('/api/chat', gated)
        client = ask(server, 'slow')
        up.wait_exchange('/api/chat')
        clock.stop()
        clock.wind(100)
        up.gate('slow').set()
        body = client.read_reply().body
        spaces = len(body) - len(body.lstrip(b' '))
        check(spaces >= 6, f'{spaces} in 100 s')
        equal(scrape(server).value('ollachat_heartbeats_total'), spaces, 'heartbeats')


@test
def status_of_a_failure_told_in_band_is_the_intended_one():
    with fake.Upstream() as up, backend(up, '--stall-timeout', 0.3) as server:
        for mode, status in (('no_end', '502'), ('stall', '504')):
            up.gate().set()
            up.on('/api/chat', fake.MODES[mode])
            equal(server.post('/api/chat', CHAT.body).status, 200, 'status on the wire')
            wait_until(lambda: scrape(server).sum('ollachat_http_requests_total', route='/api/chat', code=status) == 1,
                       f'{mode} as {status}')
            wait_until(lambda: server.logged(f'path=/api/chat status={status} '), f'{status} in the log')


# --- what Ollama did wrong ------------------------------------------------------------------------------------------

KINDS = {
    'hangup': ('close', 'reset', 'half_head_close', 'half_head_reset'),
    'nonsense': ('garbage', 'not_http', 'giant_head', 'both_lengths', 'two_lengths', 'odd_coding', '204_with_body',
                 'endless_continues', 'bad_chunk', 'huge_chunk_size'),
    'first_byte_timeout': ('silent', 'half_head_silent'),
    'stall_timeout': ('stall',),
    'broken': ('cut_between', 'reset_between', 'cut_in_line', 'reset_in_line', 'cut_in_chunk', 'length_too_long'),
    'unfinished': ('no_end', 'length_too_short'),
    'too_long': ('endless_slow',),
    'in_stream': ('error_line',),
    'status': ('busy', 'server_error', 'empty_403'),
    None: ('normal', 'head_bytes', 'pieces', 'merged', 'until_close', 'no_last_chunk', 'said_then_silent', 'ten_continues',
           'bad_request', 'too_many', 'not_found', 'idle_close'),
}
OF_FORM = {  # what a form makes of it, where that differs
    ('error_line', V1): 'unfinished', ('error_event', V1): 'in_stream',
    ('silent', CHAT_WHOLE): 'too_long', ('half_head_silent', CHAT_WHOLE): 'too_long',  # --max-generation is its deadline
    ('error_line', CHAT_WHOLE): 'nonsense', ('no_end', CHAT_WHOLE): 'nonsense', ('length_too_short', CHAT_WHOLE): 'nonsense',
    ('no_last_chunk', CHAT_WHOLE): 'broken', ('said_then_silent', CHAT_WHOLE): 'stall_timeout',
}


DEADLINES = {'first_byte_timeout': ('--first-byte-timeout', 0.3), 'stall_timeout': ('--stall-timeout', 0.3),
             'too_long': ('--max-generation', 0.6)}


def each_fault_is_of_its_kind(form):
    """The faults that are a matter of time each at a backend that is patient in all else."""
    kinds = {mode: kind for kind, modes in KINDS.items() for mode in modes}
    kinds.update({mode: kind for (mode, of), kind in OF_FORM.items() if of is form})
    cases = Cases()
    for deadline in (None, *DEADLINES):
        with fake.Upstream() as up, backend(up, *DEADLINES.get(deadline, ())) as server:
            up.gate().set()
            for mode, kind in kinds.items():
                if kind == deadline or (deadline is None and kind not in DEADLINES):
                    with cases(mode):
                        up.on_generations(fake.MODES[mode])
                        judge_kind(server, form, kind)
    cases.judge()


def judge_kind(server, form, kind):
    before = counts_of(scrape(server), FAULTS, 'kind')
    server.post(form.path, form.body)
    after = counts_of(scrape(server), FAULTS, 'kind')
    after.subtract(before)
    equal(dict(+after), {kind: 1} if kind else {}, 'kinds')


@test
def each_fault_of_ollama_is_counted_as_its_kind():
    each_fault_is_of_its_kind(CHAT)


@test
def each_fault_of_ollama_is_counted_as_its_kind_in_whole_replies():
    each_fault_is_of_its_kind(CHAT_WHOLE)


@test
def each_fault_of_ollama_is_counted_as_its_kind_in_events():
    each_fault_is_of_its_kind(V1)


@test
def each_fault_of_ollama_is_counted_as_its_kind_in_collected_answers():
    each_fault_is_of_its_kind(ORIGIN)


@test
def ollama_that_cannot_be_reached_is_of_its_kind():
    for port, kind, options in ((fake.RefusingPort(), 'refused', ()), (fake.DeafPort(), 'connect', ('--connect-timeout', 0.3))):
        with port, backend(port.url, *options, ready=False) as server:
            server.post('/api/chat', CHAT.body)
            equal(counts_of(scrape(server), FAULTS, 'kind'), {kind: 1}, 'kinds')


@test
def client_that_leaves_is_no_fault_of_ollama():
    with fake.Upstream() as up, backend(up) as server:
        leave(server, up, 1)
        wait_until(lambda: scrape(server).value(TOTAL, result='cancelled') == 1, 'cancelled')
        equal(counts_of(scrape(server), FAULTS, 'kind'), {}, 'kinds')
