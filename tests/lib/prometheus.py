# SPDX-License-Identifier: MIT
"""prometheus.py: a page of metrics in the Prometheus text format 0.0.4, read strictly: what the format does not allow, or
what `promtool check metrics` would find fault with, fails."""

import math
import re

from lib.harness import check

NAME = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)')
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\d+(?:\.\d+)?)')
SUFFIXES = ('_bucket', '_sum', '_count')


class Page:
    """families: name -> kind; samples: (name, frozenset of label pairs) -> value."""

    def __init__(self, text):
        self.families, self.samples = {}, {}
        self._family = None
        self._helped = set()
        check(text.endswith('\n'), 'the last line does not end')
        for line in text.split('\n')[:-1]:
            self._read(line)
        for name, kind in self.families.items():
            if kind == 'histogram':
                self._judge_histogram(name)

    def _read(self, line):
        if line.startswith('# HELP '):
            _, _, name, text = line.split(' ', 3)
            check(NAME.fullmatch(name) and name not in self._helped and len(text) > 3, f'HELP: {line}')
            self._helped.add(name)
        elif line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ')
            check(name in self._helped and name not in self.families, f'TYPE without HELP, or twice: {line}')
            check(kind in ('counter', 'gauge', 'histogram'), line)
            check(name.endswith('_total') == (kind == 'counter'), f'a {kind} called {name}')
            self.families[name] = kind
            self._family = name
        else:
            self._read_sample(line)

    def _read_sample(self, line):
        found = SAMPLE.fullmatch(line)
        check(found, f'no sample: {line!r}')
        name, labels, value = found.groups()
        allowed = [self._family]
        if self.families.get(self._family) == 'histogram':
            allowed = [self._family + suffix for suffix in SUFFIXES]
        check(name in allowed, f'{name} among the samples of {self._family}')
        pairs = []
        at = 0
        while labels and at < len(labels):
            pair = LABEL.match(labels, at)
            check(pair, f'labels: {line!r}')
            pairs.append(pair.groups())
            at = pair.end()
        check(len(dict(pairs)) == len(pairs), f'a label twice: {line!r}')
        key = (name, frozenset(pairs))
        check(key not in self.samples, f'a sample twice: {line!r}')
        self.samples[key] = float(value)

    def _judge_histogram(self, name):
        buckets = sorted((math.inf if dict(labels)['le'] == '+Inf' else float(dict(labels)['le']), value)
                         for (n, labels), value in self.samples.items() if n == name + '_bucket')
        check(len(buckets) > 5 and buckets[-1][0] == math.inf, f'buckets of {name}: {buckets}')
        counts = [count for _, count in buckets]
        check(counts == sorted(counts), f'{name} is not cumulative: {buckets}')
        check(counts[-1] == self.value(name + '_count'), f'{name}: +Inf is not the count')
        self.value(name + '_sum')

    def value(self, name, **labels):
        """Of one sample; it has to be there."""
        key = (name, frozenset(labels.items()))
        check(key in self.samples, lambda: f'no {name}{labels}; there are {sorted(n for n, _ in self.samples)}')
        return self.samples[key]

    def of(self, name):
        """The samples of that name: [(labels, value)]."""
        return [(dict(labels), value) for (n, labels), value in self.samples.items() if n == name]

    def sum(self, name, **labels):
        """Of all samples that have these labels."""
        return sum(value for (n, have), value in self.samples.items() if n == name and set(labels.items()) <= have)


def scrape(server):
    """The page of a server of the harness."""
    reply = server.get('/metrics')
    check(reply.status == 200, lambda: f'/metrics: {reply}')
    check(reply.get('Content-Type') == 'text/plain; version=0.0.4; charset=utf-8', reply.get('Content-Type'))
    return Page(reply.body.decode('utf-8'))
