# SPDX-License-Identifier: MIT
"""pull.py: --pull as an option."""

from cli.command import refused
from cli.words import config_of
from lib.harness import Cases, equal, test


@test
def pull_is_off_or_missing():
    cases = Cases()
    with cases('values'):
        equal(config_of(['backend'])['pull'], ('off', 'default'))
        equal(config_of(['backend', '--model', 'a', '--pull', 'missing'])['pull'], ('missing', 'option'))
        equal(config_of(['demo', '--model', 'a', '--pull=off'])['pull'], ('off', 'option'))
    with cases('bad values'):
        refused(['backend', '--pull=always'], '--pull: "always"', 'off, missing')
        refused(['backend', '--pull', 'missing'], '--pull missing needs --model')
    with cases('other roles'):
        refused(['frontend', '--pull=off'], '--pull', 'backend and demo')
    cases.judge()
