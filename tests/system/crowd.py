# SPDX-License-Identifier: MIT
"""Fifty people and one who asks for everything: each gets a fair share, nothing is lost or answered twice, and the metrics
say what the clients saw."""

from collections import Counter

from fake import upstream as fake
from lib.harness import backend, check, equal, test, wait_until
from lib.prometheus import scrape
from lib.swarm import Swarm, allow_descriptors, request

PEOPLE, GREEDY, ACTIVE, QUEUE = 50, 150, 2, 100


def chat(word, address):
    return request('POST', '/api/chat', {'model': fake.NAME, 'messages': [{'role': 'user', 'content': word}]},
                   {'X-Forwarded-For': address})


def words_at(up):
    return [r.json()['messages'][0]['content'] for r in up.requests('/api/chat')]


def results(server):
    return Counter({labels['result']: int(value) for labels, value in scrape(server).of('ollachat_generations_total')})


@test
def fifty_people_and_a_greedy_one():
    allow_descriptors()
    with fake.Upstream() as up, backend(up, '--max-active', ACTIVE, '--max-queue', QUEUE, '--queue-timeout', 600) as server:
        def script(x):
            x.pass_gate()
            x.reply_stream(fake.chat_lines([x.request.json()['messages'][0]['content']]))

        def counts():
            health = server.get('/health').json()
            return health['active'], health['queued']

        up.on('/api/chat', script)
        up.gate().set()
        for n in range(32):  # so that answers are known to take no time, and no wait is estimated at minutes
            equal(server.post('/api/chat', {'model': fake.NAME, 'messages': [{'role': 'user', 'content': f'warm {n}'}]}).status, 200, 'warm up')
        wait_until(lambda: results(server)['ok'] == 32, 'the first ones are counted')
        before = results(server)
        up.gate().clear()
        with Swarm(server.address) as swarm:
            greedy = [swarm.add(chat(f'greedy {n}', '203.0.113.1')) for n in range(GREEDY)]
            swarm.run(lambda: sum(one.over for one in greedy) >= GREEDY - ACTIVE - QUEUE, 20, 'the greedy one fills the queue')
            equal(counts(), (ACTIVE, QUEUE), 'running and waiting')
            people = [swarm.add(chat(f'person {n}', f'198.51.100.{n + 1}')) for n in range(PEOPLE)]
            swarm.run(lambda: sum(one.over for one in greedy) >= GREEDY - ACTIVE - QUEUE + PEOPLE, 20, 'they make room for the people')
            equal(counts(), (ACTIVE, QUEUE), 'running and waiting')
            up.gate().set()
            swarm.run(swarm.all_over, 60, 'the end of all')
        judge_people(people)
        served = judge_greedy(greedy)
        judge_order(words_at(up)[32:], served)
        wait_until(lambda: sum((results(server) - before).values()) == PEOPLE + GREEDY, 'all are counted')
        equal(results(server) - before, Counter(ok=PEOPLE + len(served), rejected=GREEDY - len(served)), 'metrics')


def answer(one):
    reply = one.reply()
    equal((reply.status, reply.ended), (200, 'chunked'), 'status and end')
    lines = reply.lines()
    equal([line['done'] for line in lines], [False, True], 'lines')
    return lines[0]['message']['content']


def judge_people(people):
    for n, one in enumerate(people):
        equal(answer(one), f'person {n}', 'own answer')


def judge_greedy(greedy):
    """Which of its requests were served; each of the others was refused in words."""
    served = []
    for n, one in enumerate(greedy):
        if one.reply().status == 200:
            equal(answer(one), f'greedy {n}', 'own answer')
            served.append(n)
        else:
            equal(one.reply().status, 503, 'status')
            check(1 <= int(one.reply().get('Retry-After')) <= 360, 'Retry-After')
    equal(len(served), ACTIVE + QUEUE - PEOPLE, 'served')
    return served


def judge_order(words, served):
    """Each was asked once. The people come at once, all within the first round, in which the greedy one has one turn."""
    equal(Counter(words), Counter([f'person {n}' for n in range(PEOPLE)] + [f'greedy {n}' for n in served]), 'at the upstream')
    first_round = words[:ACTIVE + PEOPLE + 1]
    equal(sum(word.startswith('person') for word in first_round), PEOPLE, 'people in the first round')
    first_of = {word: words.index(word) for word in words if word.startswith('greedy')}
    check(sorted(first_of.values())[ACTIVE + 1] >= ACTIVE + PEOPLE, 'the greedy one had a second turn before all others had one')
