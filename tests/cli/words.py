# SPDX-License-Identifier: MIT
"""words.py: help, version, --print-config, and what is refused."""

import re

from cli.command import ROLES, SERVING, refused, shown
from lib.harness import Cases, TestFolder, binary, check, equal, test


def link(folder, name):
    (folder / name).symlink_to(binary())
    return str(folder / name)


def config_of(args, program=None, **env):
    """--print-config as {name: (value, source)}, with the role under ''."""
    first, *lines = shown([*args, '--print-config'], program=program, **env).splitlines()
    found = re.fullmatch(r'ollachat \d+\.\d+\.\d+, role (\w+)', first)
    check(found, f'first line: {first!r}')
    config = {'': (found.group(1), '')}
    for line in lines:
        found = re.fullmatch(r'--([a-z-]+) +(\S+) +(default|option|environment [A-Z_]+)', line)
        check(found, f'line: {line!r}')
        config[found.group(1)] = found.groups()[1:]
    return config


# --- what is shown ----------------------------------------------------------------------------------------------------


@test
def version_is_one_line():
    cases = Cases()
    for args in (['version'], ['--version'], *([role, '--version'] for role in SERVING)):
        with cases(' '.join(args)):
            text = shown(args)
            check(re.fullmatch(r'ollachat \d+\.\d+\.\d+\n', text), repr(text))
    cases.judge()


@test
def help_fits_a_terminal():
    cases = Cases()
    general = [['help'], ['--help'], ['-h'], ['help', 'help']]
    for args in (*general, *(['help', role] for role in SERVING), *([role, '--help'] for role in SERVING)):
        with cases(' '.join(args)):
            for line in shown(args, 'usage: ollachat').splitlines():
                check(len(line) < 100 and line == line.rstrip() and line.isprintable(), repr(line))
    cases.judge()


@test
def help_names_what_the_role_takes():
    takes = {'backend': ('--ollama URL', '--max-queue N'), 'frontend': ('--workers N', '--api-proxy URL'),
             'demo': ('--ollama URL', '--root DIR', '--load-delay S'), 'sim': ('--tokens-per-second N',)}
    others = {'backend': ('--workers', '--load-delay'), 'frontend': ('--max-queue',), 'demo': ('--api-proxy',),
              'sim': ('--workers', '--model ')}
    for role in SERVING:
        text = shown([role, '--help'], '--listen ADDR:PORT', '--print-config', *takes[role])
        equal(text, shown(['help', role]), f'help {role}')
        for option in others[role]:
            check(option not in text, f'{role} --help has {option}')
    text = shown(['help'])
    for role in ROLES.split(', '):
        check(re.search(rf'^  {role}  ', text, re.M), f'help does not list {role}')


@test
def every_option_of_help_is_known():
    """What --help lists, --print-config prints, or it is done instead of running."""
    for role in SERVING:
        listed = re.findall(r'^  --([a-z-]+)', shown([role, '--help']), re.M)
        equal(sorted(listed), sorted([*list(config_of([role]))[1:], 'help', 'version', 'print-config']), f'options of {role}')
        equal(len(listed), len(set(listed)), f'options of {role}, each once')


# --- the role ---------------------------------------------------------------------------------------------------------


@test
def a_symlink_chooses_the_role():
    with TestFolder() as folder:
        for role in ('backend', 'frontend'):
            equal(config_of([], program=link(folder, f'ollachat-{role}'))[''][0], role)
        for name in ('a.out', 'ollachat-demo', 'ollachat-backend2', 'backend'):
            equal(config_of(['sim'], program=link(folder, name))[''][0], 'sim')


@test
def no_role_is_usage():
    cases = Cases()
    for args in ([], ['--listen', '3000'], ['--print-config'], ['-x']):
        with cases(' '.join(args)):
            refused(args, 'usage: ollachat ROLE', ROLES)
    cases.judge()


@test
def an_unknown_role_is_named():
    refused(['bakend'], '"bakend"', ROLES)
    refused(['help', 'bakend'], '"bakend"', ROLES)
    refused([''], '""', ROLES)


# --- where values come from -------------------------------------------------------------------------------------------


@test
def defaults_of_each_role():
    listen = {'backend': '0.0.0.0:8000', 'frontend': '0.0.0.0:3000', 'demo': '127.0.0.1:3000', 'sim': '127.0.0.1:11434'}
    for role in SERVING:
        config = config_of([role])
        equal(config['listen'], (listen[role], 'default'))
        check(all(source == 'default' for name, (_, source) in config.items() if name), f'{role}: {config}')
    config = config_of(['backend'])
    for name, value in (('ollama', 'http://127.0.0.1:11434'), ('max-active', '1'), ('max-queue', '64'), ('model', '-'),
                        ('max-body', '16M'), ('allow-client-keep-alive', 'off'), ('drain-timeout', '300'), ('log', 'text')):
        equal(config[name], (value, 'default'), name)
    equal(config_of(['frontend'])['workers'], ('auto', 'default'))


@test
def an_option_wins_over_the_environment():
    env = {'OLLACHAT_MAX_QUEUE': '7', 'OLLACHAT_LOG_LEVEL': 'debug', 'OLLACHAT_MODEL': ''}
    config = config_of(['backend', '--max-queue', '9'], **env)
    equal(config['max-queue'], ('9', 'option'))
    equal(config['log-level'], ('debug', 'environment OLLACHAT_LOG_LEVEL'))
    equal(config['model'], ('-', 'default'), 'an empty variable')
    equal(config_of(['frontend'], **env)['log-level'], ('debug', 'environment OLLACHAT_LOG_LEVEL'))


@test
def variables_of_ollama_count():
    cases = Cases()
    for env, url, variable in (
            ({'OLLAMA_HOST': 'gpu'}, 'http://gpu:11434', 'OLLAMA_HOST'),
            ({'OLLAMA_HOST': 'http://gpu:9'}, 'http://gpu:9', 'OLLAMA_HOST'),
            ({'OLLAMA_HOST': '0.0.0.0:9'}, 'http://127.0.0.1:9', 'OLLAMA_HOST'),
            ({'OLLAMA_HOST': 'gpu', 'OLLAMA_PORT': '9'}, 'http://gpu:9', 'OLLAMA_HOST'),
            ({'OLLAMA_PORT': '9'}, 'http://127.0.0.1:9', 'OLLAMA_PORT'),
            ({'OLLAMA_HOST': 'gpu', 'OLLACHAT_OLLAMA': 'http://other:1'}, 'http://other:1', 'OLLACHAT_OLLAMA')):
        with cases(str(env)):
            equal(config_of(['backend'], **env)['ollama'], (url, f'environment {variable}'))
    with cases('--ollama'):
        equal(config_of(['backend', '--ollama=http://x'], OLLAMA_HOST='gpu')['ollama'], ('http://x', 'option'))
    with cases('OLLAMA_MODEL'):
        equal(config_of(['backend'], OLLAMA_MODEL='tiny')['model'], ('tiny', 'environment OLLAMA_MODEL'))
    cases.judge()


@test
def repeated_options_add():
    config = config_of(['demo', '--model-alias', 'a=b', '--model-alias=c=d,e=f', '--cors-origin', 'http://x',
                        '--cors-origin', 'https://y:443/', '--max-queue', '1', '--max-queue', '2'])
    equal(config['model-alias'], ('a=b,c=d,e=f', 'option'))
    equal(config['cors-origin'], ('http://x,https://y', 'option'))
    equal(config['max-queue'], ('2', 'option'))
    config = config_of(['demo'], OLLACHAT_MODEL_ALIAS='a=b,c=d')
    equal(config['model-alias'], ('a=b,c=d', 'environment OLLACHAT_MODEL_ALIAS'))


@test
def a_flag_needs_no_value():
    flag = 'allow-client-keep-alive'
    for args, env, value in (([f'--{flag}'], {}, ('on', 'option')), ([f'--{flag}=off'], {}, ('off', 'option')),
                             ([], {'OLLACHAT_ALLOW_CLIENT_KEEP_ALIVE': 'yes'},
                              ('on', 'environment OLLACHAT_ALLOW_CLIENT_KEEP_ALIVE'))):
        equal(config_of(['backend', *args], **env)[flag], value)


# --- what is refused --------------------------------------------------------------------------------------------------


@test
def wrong_options_are_one_line():
    cases = Cases()
    for args, *words in (
            (['backend', '--max-activ', '1'], 'unknown option --max-activ', 'did you mean --max-active?'),
            (['backend', '--colour'], 'unknown option --colour', 'ollachat backend --help'),
            (['demo', '-x'], 'unknown option -x', 'ollachat demo --help'),
            (['backend', '--workers', '2'], '--workers', 'frontend', 'backend'),
            (['sim', '--max-queue=2'], '--max-queue', 'backend and demo', 'sim'),
            (['frontend', '--tokens-per-second', '2'], '--tokens-per-second', 'demo and sim'),
            (['backend', 'extra'], '"extra"', 'too many'),
            (['version', 'extra'], '"extra"', 'too many'),
            (['backend', '--listen'], '--listen needs a value'),
            (['backend', '--max-active', '--log', 'json'], '--max-active needs a value', '1 to 4096'),
            (['backend', '--help=1'], '--help takes no value')):
        with cases(' '.join(args)):
            refused(args, *words)
    cases.judge()


@test
def wrong_values_are_one_line():
    cases = Cases()
    for args, *words in (
            (['backend', '--max-active', 'abc'], '--max-active: "abc" is no number; accepted: 1 to 4096'),
            (['backend', '--max-active=0'], '"0" is out of range', '1 to 4096'),
            (['backend', '--max-body', '3X'], '"3X"', 'k, M or G'),
            (['backend', '--stall-timeout', '0'], '"0"', 'seconds'),
            (['backend', '--sandbox', 'perhaps'], '"perhaps"', 'on, off'),
            (['frontend', '--metrics', 'sometimes'], '"sometimes"', 'on, off'),
            (['sim', '--metrics', 'on'], '--metrics'),
            (['backend', '--listen', 'example.com:80'], '"example.com:80"', 'IP:PORT'),
            (['backend', '--listen', '127.0.0.1:70000'], '--listen', '65535'),
            (['backend', '--ollama', 'https://gpu'], '--ollama', '--ollama-ca'),
            (['backend', '--tls', 'yes'], '--tls: "yes"', 'off, self-signed, files'),
            (['frontend', '--tls', 'files', '--tls-cert', 'c'], '--tls files needs both --tls-cert and --tls-key'),
            (['demo', '--tls-key', 'k'], '--tls files'),
            (['backend', '--ollama', 'gpu:11434'], '"gpu:11434"', 'http://HOST[:PORT]'),
            (['backend', '--ollama', 'sim'], '"sim"', 'demo'),
            (['frontend', '--api-proxy', 'https://gpu'], 'https is not supported here'),
            (['frontend', '--api-base', 'https://x/path'], '"https://x/path"', 'without a path'),
            (['backend', '--cors-origin', 'http://a,b'], '"b"', 'or *'),
            (['backend', '--admin-from', '10.0.0.0/40'], '"10.0.0.0/40"', 'loopback'),
            (['backend', '--model', 'a\nb'], '"a\\x0ab"'),
            (['backend', '--model-alias', 'a'], '"a"', 'OLD=NEW'),
            (['backend', '--max-active', 'x' * 5000], 'xxx...', '1 to 4096')):
        with cases(' '.join(args)[:80]):
            line = refused(args, *words)
            check(len(line) < 300, f'{len(line)} bytes')
    cases.judge()


@test
def wrong_variables_are_named():
    refused(['backend'], 'OLLACHAT_MAX_ACTIVE: "abc"', '1 to 4096', OLLACHAT_MAX_ACTIVE='abc')
    refused(['backend'], '--ollama-ca', OLLAMA_HOST='https://gpu')
    refused(['backend'], 'OLLAMA_PORT: "x"', OLLAMA_HOST='gpu', OLLAMA_PORT='x')
    shown(['frontend', '--print-config'], OLLACHAT_MAX_ACTIVE='abc', OLLAMA_HOST='https://gpu')
