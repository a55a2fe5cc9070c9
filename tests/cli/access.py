# SPDX-License-Identifier: MIT
"""access.py: the options about who may ask: their values, and what keeps a backend from starting."""

import os
import socket
import subprocess

from cli.command import refused
from cli.life import NOBODY, Started
from cli.words import config_of
from lib.harness import DEADLINE, Cases, TestFolder, binary, check, clean_environment, equal, test

START = ('--listen', '127.0.0.1:0', '--ollama', NOBODY)


@test
def defaults_and_values():
    for role in ('backend', 'demo'):
        config = config_of([role])
        for name, value in (('api-keys', '-'), ('rate-limit', 'off'), ('allow-admin', 'off')):
            equal(config[name], (value, 'default'), f'{role} --{name}')
    for value in ('1/1', '60/60', '1000000/86400', '5/3600', 'off'):
        equal(config_of(['backend', f'--rate-limit={value}'])['rate-limit'], (value, 'option'))
    equal(config_of(['backend'], OLLACHAT_RATE_LIMIT='9/10')['rate-limit'], ('9/10', 'environment OLLACHAT_RATE_LIMIT'))
    equal(config_of(['backend', '--api-keys', '/x/y'])['api-keys'], ('/x/y', 'option'))
    equal(config_of(['backend', '--allow-admin'])['allow-admin'], ('on', 'option'))


@test
def wrong_values():
    cases = Cases()
    for value in ('', '1', '/', '1/', '/1', '1/1/1', 'a/b', '-1/5', '1/-5', '1.5/2', '10/1.5', ' 1/2', '1 /2', '1/2s', 'on', 'OFF'):
        with cases(f'--rate-limit {value!r}'):
            refused(['backend', f'--rate-limit={value}'], f'--rate-limit: "{value}" is not of the form N/S', 'off, or requests/seconds')
    for value in ('0/1', '1/0', '1000001/1', '1/86401'):
        with cases(f'--rate-limit {value!r}'):
            refused(['backend', f'--rate-limit={value}'], f'--rate-limit: "{value}" is out of range', '1 to 86400')
    with cases('no values'):
        refused(['backend', '--rate-limit'], '--rate-limit needs a value')
        refused(['backend', '--api-keys'], '--api-keys needs a value')
        refused(['backend', '--api-keys', ''], '--api-keys: "" names no file')
        refused(['backend', '--allow-admin=perhaps'], '"perhaps"', 'on, off')
    with cases('other roles'):
        for option in ('--rate-limit=1/1', '--api-keys=x', '--allow-admin'):
            refused(['frontend', option], option.split('=')[0], 'backend and demo')
            refused(['sim', option], option.split('=')[0], 'backend and demo')
    cases.judge()


@test
def bad_key_files_keep_it_from_starting():
    cases = Cases()
    with TestFolder() as folder:
        path = folder / 'keys'
        for text, *words in ((None, 'No such file'), ('', 'no key in it'), ('# nothing\n\n', 'no key in it'), ('good\nSECRET KEY\n', 'line 2', 'blank'),
                             ('a\nb\nSECR\u00c9T\n', 'line 3', 'visible ASCII'), ('SECRET' * 100, 'line 1', 'longer than 512 bytes'),
                             ('SECRET\n' * 1025, 'line 1025', 'more than 1024'), ('x\0SECRET\n', 'line 1', 'visible ASCII'),
                             ('#' * (1 << 20) + '\nSECRET', 'too large')):
            with cases(f'{text if text is None else text[:20]!r}'):
                if text is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_text(text, encoding='utf-8')
                for role, ollama in (('backend', NOBODY), ('demo', 'sim')):
                    line = refused([role, '--listen', '127.0.0.1:0', '--ollama', ollama, '--api-keys', str(path)], f'cannot read --api-keys {path}: ',
                                   *words, code=1)
                    check('SECR' not in line.replace(str(path), ''), f'a key is repeated: {line}')
        with cases('a folder'):
            refused(['backend', *START, '--api-keys', str(folder)], 'no regular file', code=1)
        with cases('a fifo'):
            os.mkfifo(folder / 'fifo')
            refused(['backend', *START, '--api-keys', str(folder / 'fifo')], 'no regular file', code=1)
        with cases('by the environment'):
            refused(['backend', *START], 'cannot read --api-keys /nowhere/keys', code=1, OLLACHAT_API_KEYS='/nowhere/keys')
    cases.judge()


@test
def good_key_files():
    with TestFolder() as folder:
        for text in ('one', 'one\r\n', 'k\n' * 1024, '#\n' * 5000 + 'x' * 512):
            (folder / 'keys').write_text(text, newline='')
            with Started('backend', '--api-keys', str(folder / 'keys')) as one:
                one.answers()


@test
def admin_needs_keys_unless_on_loopback():
    words = ('--allow-admin', 'needs --api-keys', 'loopback')
    for listen in ('0.0.0.0:0', '[::]:0'):
        if listen == '[::]:0' and not socket.has_ipv6:
            continue
        refused(['backend', '--listen', listen, '--ollama', NOBODY, '--allow-admin'], *words, code=1)
    refused(['demo', '--listen', '0.0.0.0:0', '--ollama', 'sim', '--allow-admin'], *words, code=1)
    refused(['backend', '--listen', '0.0.0.0:0', '--ollama', NOBODY], *words, code=1, OLLACHAT_ALLOW_ADMIN='on')
    with TestFolder() as folder:
        (folder / 'keys').write_text('one')
        with Started('backend', '--allow-admin', '--api-keys', str(folder / 'keys'), listen='0.0.0.0:0') as one:
            one.answers()
    for role in ('backend', 'demo'):
        with Started(role, '--allow-admin') as one:
            one.answers()


@test
def an_inherited_listener_is_judged_by_its_true_address():
    """--listen says loopback, but the socket that systemd hands over is open to all."""
    with socket.socket() as ours:
        ours.bind(('0.0.0.0', 0))
        ours.listen()
        shell = 'exec 3<&%d; LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"' % ours.fileno()
        command = ['sh', '-c', shell, 'sh', binary(), 'backend', *START, '--allow-admin']
        done = subprocess.run(command, capture_output=True, timeout=DEADLINE, pass_fds=[ours.fileno()], env=clean_environment(), check=False)
        equal((done.returncode, done.stdout), (1, b''), f'exit code ({done.stderr!r})')
        check(b'--allow-admin' in done.stderr and b'loopback' in done.stderr, f'{done.stderr!r}')
