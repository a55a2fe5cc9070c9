# SPDX-License-Identifier: MIT
"""command.py: runs the program to its end, and judges the three ways it can end without serving."""

import subprocess

from lib.harness import DEADLINE, SANITIZER, binary, check, clean_environment, equal

SERVING = ('backend', 'frontend', 'demo', 'sim')
ROLES = 'backend, frontend, demo, sim, version, help'


class Ended:
    """What a command left: its exit code and both outputs."""

    def __init__(self, args, program=None, **env):
        command = [program or binary(), *args]
        self.name = ' '.join([command[0].rsplit('/', 1)[-1], *args, *(f'{{{k}={v}}}' for k, v in env.items())])
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE,
                                  env={**clean_environment(), **env})
        except subprocess.TimeoutExpired:
            check(False, f'{self.name}: still running after {DEADLINE:g} s')
        self.code = done.returncode
        self.out = done.stdout.decode('utf-8', 'backslashreplace')
        self.err = done.stderr.decode('utf-8', 'backslashreplace')
        check(not SANITIZER.search(self.err), self.err)


def refused(args, *words, code=2, **env):
    """Ends with `code` and one line on stderr that has all the words; says nothing on stdout. Returns the line."""
    ended = Ended(args, **env)
    equal(ended.code, code, f'{ended.name}: exit code ({ended.err!r})')
    equal(ended.out, '', f'{ended.name}: stdout')
    check(ended.err.endswith('\n') and ended.err.count('\n') == 1, f'{ended.name}: not one line: {ended.err!r}')
    for word in words:
        check(word in ended.err, f'{ended.name}: no {word!r} in {ended.err!r}')
    return ended.err


def shown(args, *words, program=None, **env):
    """Ends with 0 and text on stdout alone. Returns the text."""
    ended = Ended(args, program, **env)
    equal(ended.code, 0, f'{ended.name}: exit code ({ended.err!r})')
    equal(ended.err, '', f'{ended.name}: stderr')
    check(ended.out.endswith('\n'), f'{ended.name}: no whole lines: {ended.out!r}')
    for word in words:
        check(word in ended.out, f'{ended.name}: no {word!r} in {ended.out!r}')
    return ended.out
