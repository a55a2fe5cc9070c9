# SPDX-License-Identifier: MIT
"""The page server: the embedded page, and folders given by --root."""

import gzip
import os
import re
import subprocess

from faults.forms import check_refused
from lib.harness import Cases, Client, Server, TestFolder, binary, check, clean_environment, equal, test, wait_until

SECURITY = ('Content-Security-Policy', 'X-Content-Type-Options', 'Referrer-Policy', 'Permissions-Policy')


def asset_paths(server, ending='.js'):
    page = server.get('/').body.decode()
    found = re.findall(r'(?:src|href)="(/?assets/[^"]+%s)"' % re.escape(ending), page)
    check(found, f'the page names no asset ending in {ending}')
    return [path if path.startswith('/') else '/' + path for path in found]


@test
def page_and_its_assets_are_served():
    with Server('frontend') as server:
        page = server.get('/')
        equal((page.status, page.get('Content-Type')), (200, 'text/html; charset=utf-8'), 'page')
        equal(page.get('Cache-Control'), 'no-cache', 'Cache-Control of the page')
        check(page.body.lower().startswith(b'<!doctype html>'), 'no page')
        for path in [*asset_paths(server), *asset_paths(server, '.css')]:
            asset = server.get(path)
            equal(asset.status, 200, path)
            check('immutable' in asset.get('Cache-Control', ''), f'Cache-Control of {path}: {asset.get("Cache-Control")}')
            check(asset.get('Content-Type').startswith(('text/javascript', 'text/css')), f'type of {path}')


@test
def extensionless_paths_give_the_page():
    with Server('frontend') as server:
        page = server.get('/').body
        for path in ('/chat', '/chat/17', '/a/b/c', '/?x=1', '/chat?y=.js', '/assets', '/%C3%A9'):
            reply = server.get(path)
            equal((reply.status, reply.body == page), (200, True), path)
            equal(reply.get('Cache-Control'), 'no-cache', f'Cache-Control of {path}')


@test
def unknown_assets_are_404():
    with Server('frontend') as server:
        for path in ('/assets/nope.js', '/nope.js', '/a/b.css', '/favicon.png', '/assets/app-00000000.js'):
            equal(server.get(path).status, 404, path)


@test
def reserved_paths_never_give_the_page():
    with Server('frontend') as server:
        equal(server.get('/health').json()['status'] in ('healthy', 'ok', 'running'), True, '/health')
        for path in ('/api/', '/api/chat', '/api/models', '/v1/', '/v1/models', '/api', '/v1'):
            for method in ('GET', 'POST'):
                reply = server.ask(method, path, b'{}' if method == 'POST' else None)
                if path in ('/api', '/v1'):
                    continue  # the contract reserves what is below them
                check_refused(reply, 404, path.startswith('/v1/') and isinstance(reply.json()['error'], dict))
        for path in ('/ready', '/metrics'):
            check(b'<!doctype' not in server.get(path).body.lower(), f'{path} gives the page')


@test
def security_fields_are_on_every_reply():
    with Server('frontend') as server:
        cases = Cases()
        tag = server.get('/').get('ETag')
        asks = {'page': ('GET', '/', {}), 'head': ('HEAD', '/', {}), 'asset': ('GET', asset_paths(server)[0], {}),
                'not found': ('GET', '/x.js', {}), 'api': ('GET', '/api/x', {}), 'health': ('GET', '/health', {}),
                'not modified': ('GET', '/', {'If-None-Match': tag}), 'range': ('GET', '/', {'Range': 'bytes=0-3'}),
                'unsatisfiable': ('GET', '/', {'Range': 'bytes=99999999-'}), 'method': ('DELETE', '/', {})}
        for name, (method, path, fields) in asks.items():
            with cases(name):
                reply = server.ask(method, path, fields=fields)
                missing = [field for field in SECURITY if not reply.has(field)]
                equal(missing, [], f'missing with status {reply.status}')
                equal(reply.get('X-Content-Type-Options'), 'nosniff', 'X-Content-Type-Options')
                policy = reply.get('Content-Security-Policy')
                check("'unsafe-inline'" not in policy.split('style-src')[0] and "'unsafe-eval'" not in policy, f'policy {policy}')
                check('default-src' in policy and '*' not in policy, f'policy {policy}')
                check("frame-ancestors 'none'" in policy or reply.get('X-Frame-Options') == 'DENY', 'frames are not denied')
        cases.judge()


@test
def no_foreign_origin_in_the_page():
    with Server('frontend') as server:
        page = server.get('/').body.decode()
        foreign = re.findall(r'(?:src|href)="((?:https?:)?//[^"]+)"', page)
        equal(foreign, [], 'foreign addresses')
        equal(re.findall(r'<script(?![^>]*\bsrc=)[^>]*>', page), [], 'inline scripts')


@test
def etag_saves_the_body():
    with Server('frontend') as server, Client(server.address) as client:
        cases = Cases()
        for path in ('/', '/chat/1', asset_paths(server)[0]):
            tag = client.get(path).get('ETag')
            check(re.fullmatch(r'(W/)?"[^"]+"', tag or ''), f'ETag {tag!r}')
            strong = tag.replace('W/', '')
            for given in (tag, '*', f'"x", {tag}', f'W/{strong}', f'"x",{strong},"y"'):
                with cases(f'{path} {given}'):
                    reply = client.get(path, fields={'If-None-Match': given})
                    equal((reply.status, reply.body, reply.get('ETag')), (304, b'', tag), 'reply')
            for given in ('"x"', strong.strip('"'), '"' + strong[1:4] + '"'):
                with cases(f'{path} {given}'):
                    equal(client.get(path, fields={'If-None-Match': given}).status, 200, 'status')
            with cases(f'{path}, HEAD'):
                equal(client.ask('HEAD', path, fields={'If-None-Match': tag}).status, 304, 'status')
        cases.judge()


@test
def ranges_of_one_part():
    with Server('frontend') as server, Client(server.address) as client:
        path = asset_paths(server)[0]
        whole = client.get(path)
        n, tag = len(whole.body), whole.get('ETag')
        cases = Cases()
        for given, first, last in (('0-0', 0, 0), ('0-9', 0, 9), ('5-', 5, n - 1), ('-10', n - 10, n - 1), (f'{n - 1}-', n - 1, n - 1),
                                   (f'0-{n + 100}', 0, n - 1), (f'-{n + 100}', 0, n - 1), ('10-10', 10, 10)):
            with cases(given):
                reply = client.get(path, fields={'Range': f'bytes={given}'})
                equal(reply.status, 206, 'status')
                equal(reply.get('Content-Range'), f'bytes {first}-{last}/{n}', 'Content-Range')
                check(reply.body == whole.body[first:last + 1], 'other bytes')
        for given in (f'{n}-', f'{n + 5}-{n + 9}', '-0'):
            with cases(given):
                reply = client.get(path, fields={'Range': f'bytes={given}'})
                equal((reply.status, reply.get('Content-Range')), (416, f'bytes */{n}'), 'reply')
        for given in ('bytes=9-5', 'bytes=x-5', 'bytes=', 'lines=0-5', 'bytes=-', 'bytes 0-5', 'bytes=0-5x', 'bytes=0-' + '9' * 40):
            with cases(given):
                reply = client.get(path, fields={'Range': given})
                check(reply.body == whole.body and reply.status == 200 or given.endswith('9' * 40) and reply.status == 206, f'{reply.status}')
        for given in ('0-0,5-9', '0-,0-,0-', ','.join(f'{i}-{i}' for i in range(300))):
            with cases(given[:20]):
                reply = client.get(path, fields={'Range': f'bytes={given}'})
                check(reply.status in (200, 206, 416), f'status {reply.status}')
                check(len(reply.body) <= n and 'multipart' not in reply.get('Content-Type'), 'more than one part')
        for condition, status in ((tag, 206), ('"x"', 200), ('W/' + tag.replace('W/', ''), 200), ('Wed, 21 Oct 2015 07:28:00 GMT', 200)):
            with cases(f'If-Range {condition}'):
                reply = client.get(path, fields={'Range': 'bytes=0-4', 'If-Range': condition})
                equal(reply.status, status, 'status')
        with cases('not modified wins'):
            equal(client.get(path, fields={'Range': 'bytes=0-4', 'If-None-Match': tag}).status, 304, 'status')
        cases.judge()


@test
def codings_are_negotiated():
    with Server('frontend') as server, Client(server.address) as client:
        path = asset_paths(server)[0]
        whole = client.get(path)
        check(not whole.has('Content-Encoding'), 'coded although nobody asked')
        cases = Cases()
        tags = {None: whole.get('ETag')}
        asks = {'gzip': 'gzip', 'br': 'br', 'gzip, deflate, br': 'br', 'deflate, gzip;q=0.5': 'gzip', 'GZIP': 'gzip', 'gzip;q=0': None,
                'identity': None, 'deflate': None, '': None, 'gzip;q=0.0, br;q=0': None, '*;q=0': None, 'br;q=0, gzip': 'gzip',
                'xgzip': None, 'gzip;q=1.000': 'gzip', 'zstd, br;q=0.1': 'br'}
        for given, wanted in asks.items():
            with cases(given):
                reply = client.get(path, fields={'Accept-Encoding': given})
                equal((reply.status, reply.get('Content-Encoding')), (200, wanted), 'coding')
                check('accept-encoding' in reply.get('Vary', '').lower(), f'Vary: {reply.get("Vary")}')
                if wanted == 'gzip':
                    check(gzip.decompress(reply.body) == whole.body, 'other bytes when unpacked')
                check(wanted is None or len(reply.body) < len(whole.body), 'not smaller')
                tags[wanted] = reply.get('ETag')
                again = client.get(path, fields={'Accept-Encoding': given, 'If-None-Match': reply.get('ETag')})
                equal((again.status, again.get('ETag')), (304, reply.get('ETag')), 'asked again')
        with cases('tags'):
            strong = [tag for tag in tags.values() if not tag.startswith('W/')]
            equal(len(set(strong)), len(strong), 'strong tags of different bytes differ')
        with cases('page'):
            check(client.get('/', fields={'Accept-Encoding': 'gzip'}).get('Content-Encoding') in ('gzip', None), 'page')
        cases.judge()


@test
def head_says_what_get_would():
    with Server('frontend') as server, Client(server.address) as client:
        for path in ('/', asset_paths(server)[0], '/x.js', '/chat'):
            for coding in ('', 'gzip', 'br'):
                whole, head = (client.ask(method, path, fields={'Accept-Encoding': coding}) for method in ('GET', 'HEAD'))
                for name in ('Content-Length', 'Content-Type', 'ETag', 'Content-Encoding', 'Cache-Control'):
                    equal(head.get(name), whole.get(name), f'{path} {coding}: {name}')


@test
def other_methods_are_405():
    with Server('frontend') as server:
        for method in ('POST', 'PUT', 'DELETE', 'PATCH'):
            reply = server.ask(method, '/', b'')
            check_refused(reply, 405)
            check('GET' in reply.get('Allow', ''), f'Allow: {reply.get("Allow")}')


@test
def config_json_tells_where_the_api_is():
    with Server('frontend') as server:
        reply = server.get('/config.json')
        equal(reply.status, 200, 'status')
        check(reply.json().get('api_base') in ('', None), f'api_base {reply.body!r}')
        check(reply.json().get('version'), 'version')
        check('immutable' not in (reply.get('Cache-Control') or ''), 'may be cached for ever')
    with Server('frontend', '--api-base', 'https://api.example:8443') as server:
        equal(server.get('/config.json').json()['api_base'], 'https://api.example:8443', 'api_base')
        policy = server.get('/').get('Content-Security-Policy')
        connect = [part for part in policy.split(';') if part.strip().startswith('connect-src')][0].split()
        check('https://api.example:8443' in connect, f'connect-src {connect}')
        equal([source for source in connect[1:] if source not in ("'self'", 'https://api.example:8443')], [], 'other sources')


@test
def several_workers_serve():
    with Server('frontend', '--workers', 2) as server:
        wait_until(lambda: len(server.workers()) == 2, 'two workers')
        for _ in range(40):
            equal(server.get('/').status, 200, '/')


# --- --root ---------------------------------------------------------------------------------------------------------


class Folder(TestFolder):
    """root/ with a small page, and a secret beside it."""

    def __enter__(self):
        top = super().__enter__()
        self.root = top / 'root'
        (self.root / 'assets').mkdir(parents=True)
        (self.root / 'sub' / 'deeper').mkdir(parents=True)
        (top / 'secret.txt').write_text('SECRET')
        (top / 'rootsecret.txt').write_text('SECRET')
        (self.root / 'index.html').write_text('<!doctype html><title>mine</title>')
        (self.root / 'assets' / 'app-AB12CD34.js').write_text('console.log("mine")' * 200)
        (self.root / 'plain.txt').write_text('plain')
        (self.root / 'with space.txt').write_text('space')
        (self.root / 'é.txt').write_text('accent')
        (self.root / 'sub' / 'page.txt').write_text('sub')
        (self.root / 'empty.txt').write_text('')
        return self


@test
def folder_is_served_by_the_same_rules():
    with Folder() as folder, Server('frontend', '--root', folder.root) as server:
        equal(server.get('/').body, b'<!doctype html><title>mine</title>', '/')
        equal(server.get('/some/route').body, b'<!doctype html><title>mine</title>', 'extensionless path')
        equal(server.get('/plain.txt').body, b'plain', '/plain.txt')
        equal(server.get('/with%20space.txt').body, b'space', 'escaped space')
        equal(server.get('/%C3%A9.txt').body, b'accent', 'escaped accent')
        equal(server.get('/sub/page.txt').body, b'sub', '/sub/page.txt')
        equal(server.get('/empty.txt').body, b'', '/empty.txt')
        equal(server.get('/nope.txt').status, 404, '/nope.txt')
        asset = server.get('/assets/app-AB12CD34.js')
        check('immutable' in asset.get('Cache-Control', ''), 'hashed asset is not immutable')
        equal(server.get('/plain.txt', fields={'If-None-Match': server.get('/plain.txt').get('ETag')}).status, 304, 'If-None-Match')
        part = server.get('/plain.txt', fields={'Range': 'bytes=1-2'})
        equal((part.status, part.body), (206, b'la'), 'Range')
        check(server.get('/plain.txt').has('Content-Security-Policy'), 'no security fields')
        check_refused(server.get('/api/x'), 404)


@test
def traversal_finds_nothing_in_any_spelling():
    ups = ['..', '%2e%2e', '.%2e', '%2E.', '..;', '%252e%252e', '%c0%ae%c0%ae', '..%00', '....', '..\\', '%2e%2e%5c', '.\\.']
    paths = [f'/{up}/secret.txt' for up in ups] + [f'/sub/{up}/{up}/secret.txt' for up in ups]
    paths += [f'/{up}%2fsecret.txt' for up in ups] + [f'/{up}%5csecret.txt' for up in ups] + [f'/assets/{up}/../../secret.txt' for up in ups]
    paths += ['//../secret.txt', '/./../secret.txt', '/../root/../secret.txt', '/../rootsecret.txt', '/..%2f..%2fetc/passwd', '/%2fetc/passwd',
              '//etc/passwd', '/sub/deeper/../../../secret.txt', '/secret.txt%00.html', '/%00', '/plain.txt%00.js', '/..', '/sub/../..',
              'http://localhost/../secret.txt', '/proc/self/environ', '/sub//../../secret.txt', '/plain.txt/', '/plain.txt/../../secret.txt']
    with Folder() as folder, Server('frontend', '--root', folder.root) as server:
        cases = Cases()
        for path in paths:
            with cases(path), Client(server.address) as client:
                reply = client.get(path)
                check(b'SECRET' not in reply.body and b'root:' not in reply.body, f'found: {reply}')
                check(reply.status in (200, 400, 403, 404), f'status {reply.status}')
                check(reply.status != 200 or b'mine' in reply.body or reply.body == b'plain', f'200 with {reply.body!r}')
        cases.judge()


@test
def links_out_of_the_folder_lead_nowhere():
    with Folder() as folder:
        os.symlink('../secret.txt', folder.root / 'out.txt')
        os.symlink(folder.root.parent / 'secret.txt', folder.root / 'absolute.txt')
        os.symlink('..', folder.root / 'up')
        os.symlink('/etc', folder.root / 'etc')
        os.symlink('plain.txt', folder.root / 'inside.txt')
        os.symlink('loop.txt', folder.root / 'loop.txt')
        os.symlink('../../secret.txt', folder.root / 'assets' / 'out-AB12CD34.js')
        os.symlink('gone.txt', folder.root / 'dangling.txt')
        with Server('frontend', '--root', folder.root) as server:
            cases = Cases()
            for path in ('/out.txt', '/absolute.txt', '/up/secret.txt', '/etc/passwd', '/etc/hosts', '/loop.txt', '/assets/out-AB12CD34.js',
                         '/dangling.txt'):
                with cases(path):
                    reply = server.get(path)
                    check(b'SECRET' not in reply.body and b'root:' not in reply.body and b'localhost' not in reply.body, f'found: {reply}')
                    check(reply.status in (403, 404) or b'mine' in reply.body, f'status {reply.status}')
            with cases('inside.txt'):
                reply = server.get('/inside.txt')
                check(reply.body == b'plain' or reply.status in (403, 404), f'{reply}')
            cases.judge()


@test
def link_that_appears_later_leads_nowhere_either():
    with Folder() as folder, Server('frontend', '--root', folder.root) as server:
        equal(server.get('/plain.txt').status, 200, 'before')
        (folder.root / 'plain.txt').unlink()
        os.symlink('../secret.txt', folder.root / 'plain.txt')
        (folder.root / 'sub' / 'page.txt').unlink()
        (folder.root / 'sub' / 'deeper').rmdir()
        (folder.root / 'sub').rmdir()
        os.symlink('..', folder.root / 'sub')
        for path in ('/plain.txt', '/sub/secret.txt'):
            wait_until(lambda: server.get(path).status in (403, 404), f'{path} is gone')


@test
def changed_file_is_noticed():
    with Folder() as folder, Server('frontend', '--root', folder.root) as server:
        before = server.get('/plain.txt')
        (folder.root / 'plain.txt').write_text('PLAIN')  # of the same size
        wait_until(lambda: server.get('/plain.txt').body == b'PLAIN', 'text of the same size')
        equal(server.get('/plain.txt', fields={'If-None-Match': before.get('ETag')}).status, 200, 'status with the old tag')
        (folder.root / 'plain.txt').write_text('changed!')
        wait_until(lambda: server.get('/plain.txt').body == b'changed!', 'the new text')
        after = server.get('/plain.txt', fields={'If-None-Match': before.get('ETag')})
        equal((after.status, after.body), (200, b'changed!'), 'with the old tag')
        (folder.root / 'new.txt').write_text('new')
        wait_until(lambda: server.get('/new.txt').body == b'new', 'a new file')
        (folder.root / 'new.txt').unlink()
        wait_until(lambda: server.get('/new.txt').status == 404, 'a file that is gone')
        replaced = folder.root / 'index.new'
        replaced.write_text('<!doctype html><title>second</title>')
        replaced.rename(folder.root / 'index.html')
        wait_until(lambda: b'second' in server.get('/').body, 'the new page')


@test
def what_is_no_file_hangs_nobody():
    with Folder() as folder:
        os.mkfifo(folder.root / 'pipe.txt')
        with Server('frontend', '--root', folder.root) as server:
            for path in ('/pipe.txt', '/sub', '/sub/', '/assets/', '/assets'):
                reply = server.get(path)
                check(reply.status in (403, 404) or b'mine' in reply.body, f'{path}: {reply}')
                equal(server.get('/plain.txt').status, 200, f'after {path}')


@test
def missing_root_is_refused_at_start():
    with Folder() as folder:
        for bad in (folder.root / 'nope', folder.root / 'plain.txt'):
            done = subprocess.run([binary(), 'frontend', '--listen', '127.0.0.1:0', '--root', str(bad)], capture_output=True,
                                  env=clean_environment(), timeout=20, text=True)
            check(done.returncode in (1, 2), f'{bad.name}: exit code {done.returncode}')
            check(str(bad) in done.stderr and done.stderr.count('\n') == 1, f'{bad.name}: says {done.stderr!r}')


@test
def large_file_of_a_folder_is_served_whole():
    with Folder() as folder:
        data = os.urandom(5000000)
        (folder.root / 'big.bin').write_bytes(data)
        with Server('frontend', '--root', folder.root) as server, Client(server.address, receive_buffer=4096) as client:
            check(client.get('/big.bin').body == data, 'other bytes')
            equal(client.get('/big.bin', fields={'Range': 'bytes=4000000-4000009'}).body, data[4000000:4000010], 'a part')
