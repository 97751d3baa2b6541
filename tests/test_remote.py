"""-m remote: debug information from debuginfod servers, a real one and some that fail; nothing is asked unasked."""
from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers import need

import surftrace

LINE = 'p take_bits p->a'
SHOWN = 'p:f0 take_bits a=+0(%di):b3@0/8\n'


@pytest.fixture(scope='module')
def program(compile_c: Callable[..., Path], with_btf: Callable[[Path], Path]) -> Path:
    """A small file with DWARF, BTF and a build-id, which stands for a vmlinux."""
    source = (Path(__file__).parent / 'fixtures/types.c').read_text() + '\nint main(void) { return 0; }\n'
    return with_btf(compile_c(source, '-O2', '-g', '-Wl,--build-id'))


@pytest.fixture(scope='module')
def build_id(program: Path) -> str:
    """Its build-id."""
    return surftrace.Executable(str(program)).build_id


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of debuginfod's clients, empty; no server is known."""
    monkeypatch.setenv('DEBUGINFOD_CACHE_PATH', str(tmp_path / 'cache'))
    monkeypatch.setenv('DEBUGINFOD_TIMEOUT', '60')
    monkeypatch.delenv('DEBUGINFOD_URLS', raising=False)
    return tmp_path / 'cache'


def files(cache: Path) -> list[str]:
    """What the cache holds."""
    return sorted(str(path.relative_to(cache)) for path in cache.rglob('*') if path.is_file())


def ask(build_id: str, url: str, *more: str, line: str = LINE) -> int:
    """surftrace -S for the kernel of that build-id, by that server."""
    return surftrace.main(['-S', '-m', 'remote', '-r', url, '-a', 'x86_64', '--build-id', build_id, *more, line])


# ---- a real server

@pytest.fixture(scope='module')
def real(program: Path, build_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A debuginfod on this machine that has the file."""
    need('debuginfod')
    folder = tmp_path_factory.mktemp('debuginfod')
    shutil.copy(program, folder / 'vmlinux')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if name != 'DEBUGINFOD_URLS'}
    with open(folder / 'log', 'w') as log:
        server = subprocess.Popen(['debuginfod', '-F', '-p', str(port), '-d', ':memory:', str(folder)], stdout=log, stderr=log, env=environ)
    url = f'http://127.0.0.1:{port}'
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f'{url}/buildid/{build_id}/debuginfo', timeout=60).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(f"debuginfod does not serve the file: {(folder / 'log').read_text()[-1000:]}")
        yield url
    finally:
        server.terminate()
        server.wait()


def test_a_real_server_sends_the_small_thing_and_it_is_kept(real, build_id, cache, capfd):
    assert ask(build_id, real) == 0
    assert capfd.readouterr() == (SHOWN, '')
    assert files(cache) == [f'{build_id}/section-.BTF']
    assert ask(build_id, 'http://127.0.0.1:1') == 0         # nobody is there, and nobody is asked
    assert capfd.readouterr().out == SHOWN


def test_what_is_kept_is_where_other_clients_look(real, build_id, cache, program, capfd):
    ask(build_id, real)
    environ = {**os.environ, 'DEBUGINFOD_URLS': 'http://127.0.0.1:1'}
    found = subprocess.run(['debuginfod-find', 'section', build_id, '.BTF'], env=environ, capture_output=True, text=True)
    assert found.stdout.strip() == str(cache / build_id / 'section-.BTF'), found.stderr
    assert Path(found.stdout.strip()).read_bytes() == bytes(surftrace.Executable(str(program)).contents('.BTF'))


def test_a_line_that_needs_dwarf_gets_the_whole_file(real, build_id, cache, capfd, monkeypatch):
    monkeypatch.setenv('DEBUGINFOD_URLS', f'http://127.0.0.1:1 {real}')
    assert surftrace.main(['-S', '-m', 'remote', '-a', 'x86_64', '--build-id', build_id, 'p take_bits@test.c p->a']) == 0
    assert capfd.readouterr().out == SHOWN
    assert files(cache) == [f'{build_id}/debuginfo']


def test_a_server_that_has_it_not(real, cache, capfd):
    assert ask('00' * 20, real) == 1
    said = capfd.readouterr().err
    assert 'no debuginfod server has' in said and said.count('not there') == 2
    assert files(cache) == []


# ---- servers that fail

class Server(ThreadingHTTPServer):
    """A server on this machine: `answer` is what it does with a request; `asked` are the paths and Range headers."""
    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        asked: list[tuple[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, self.headers.get('Range', '')))
                answer(self)

            def log_message(self, *_: object) -> None:
                pass
        super().__init__(('127.0.0.1', 0), Handler)
        self.asked, self.url = asked, f'http://127.0.0.1:{self.server_port}'


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], Server]]:
    """serve(ANSWER): a server that answers so."""
    servers = []

    def serve(answer: Callable[[BaseHTTPRequestHandler], None]) -> Server:
        server = Server(answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def send(request: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = -1, **headers: str) -> None:
    """An answer that says it has LENGTH bytes (-1: as many as it has, None: it does not say)."""
    request.send_response(status)
    if length is not None:
        request.send_header('Content-Length', str(len(body) if length < 0 else length))
    for name, value in headers.items():
        request.send_header(name.replace('_', '-'), value)
    request.end_headers()
    request.wfile.write(body)


def whole(program: Path, request: BaseHTTPRequestHandler) -> bytes:
    """What is asked for."""
    return program.read_bytes() if request.path.endswith('/debuginfo') else bytes(
        surftrace.Executable(str(program)).contents('.BTF'))


BAD = {
    'fails': (lambda request, data: send(request, b'', 503), 'Service Unavailable'),
    'sends a page': (lambda request, data: send(request, b'<html>please log in</html>'), 'damaged|no BTF'),
    'sends nothing': (lambda request, data: send(request, b''), 'no BTF|damaged|empty'),
    'stalls before it answers': (lambda request, data: time.sleep(2.5), 'timed out'),
    'stalls half-way': (lambda request, data: (send(request, data[:100], length=len(data)), time.sleep(2.5)), 'timed out'),
    'breaks half-way': (lambda request, data: send(request, data[:len(data) // 2], length=len(data)), 'broken off after'),
    'breaks half-way and never said how much': (lambda request, data: send(request, data[:len(data) // 2], length=None), 'cut short|damaged'),
    'cuts the connection': (lambda request, data: request.connection.close(), 'closed|reset|Bad'),
    'says it goes elsewhere, in a circle': (lambda request, data: send(request, b'', 302, Location=request.path), '302|redirect'),
    'says it goes to another protocol': (lambda request, data: send(request, b'', 302, Location='ftp://127.0.0.1/x'), 'ftp'),
    'says it has more than any kernel': (lambda request, data: send(request, data, length=5 << 30), 'more than 4 GB'),
    'sends another kernel': (lambda request, data: send(request, Path('/bin/true').read_bytes()), 'another build-id'),
    'speaks no HTTP': (lambda request, data: request.wfile.write(b'SSH-2.0-x\r\n\r\n'), 'SSH'),
}


@pytest.mark.parametrize('how', BAD)
def test_a_server_that(how, serve, program, build_id, cache, capfd, monkeypatch):
    """Refused with the reason, and no part of anything is kept; the next server is asked."""
    answer, reason = BAD[how]
    bad = serve(lambda request: answer(request, whole(program, request)))
    with monkeypatch.context() as impatient:
        if 'stalls' in how:
            impatient.setenv('DEBUGINFOD_TIMEOUT', '1')
        assert ask(build_id, bad.url) == 1
    said = capfd.readouterr()
    assert said.out == '' and re.search(reason, said.err) and 'Traceback' not in said.err, said.err
    assert files(cache) == []
    assert {path for path, _ in bad.asked} == {f'/buildid/{build_id}/section/.BTF', f'/buildid/{build_id}/debuginfo'}
    good = serve(lambda request: send(request, whole(program, request)))
    assert ask(build_id, bad.url, '-r', good.url) == 0
    assert capfd.readouterr().out == SHOWN
    assert files(cache) == [f'{build_id}/section-.BTF']


def test_a_server_without_sections_is_asked_for_the_whole(serve, program, build_id, cache, capfd):
    old = serve(lambda request: send(request, whole(program, request)) if 'section' not in request.path else send(request, b'', 406))
    assert ask(build_id, old.url) == 0
    assert capfd.readouterr().out == SHOWN
    assert files(cache) == [f'{build_id}/debuginfo']


@pytest.mark.parametrize('ranges', [True, False])
def test_what_broke_is_asked_from_there_on(ranges, serve, program, build_id, cache, capfd):
    """Twice a part of the rest, then all; a server that sends the whole each time gets on as well."""
    data = bytes(surftrace.Executable(str(program)).contents('.BTF'))

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked = len(server.asked)
        start = int(request.headers.get('Range', 'bytes=0-')[6:-1]) if ranges else 0
        rest = data[start:]
        part = rest if asked > 2 else rest[:len(rest) * (asked + 1) // 4]
        send(request, part, 206 if start else 200, len(rest), Content_Range=f'bytes {start}-{len(data) - 1}/{len(data)}')
    server = serve(answer)
    assert ask(build_id, server.url) == 0
    assert capfd.readouterr().out == SHOWN
    assert (cache / build_id / 'section-.BTF').read_bytes() == data
    assert [bool(range_) for _, range_ in server.asked] == [False, True, True]


def test_half_a_file_in_the_cache_is_not_taken_for_a_whole_one(serve, program, build_id, cache, capfd):
    (cache / build_id).mkdir(parents=True)
    (cache / build_id / 'section-.BTF').write_bytes(bytes(surftrace.Executable(str(program)).contents('.BTF'))[:-5])
    (cache / build_id / 'debuginfo').touch()                    # how libdebuginfod remembers that nobody has it
    good = serve(lambda request: send(request, whole(program, request)))
    assert ask(build_id, good.url) == 0
    assert capfd.readouterr().out == SHOWN and len(good.asked) == 1


def test_a_cache_that_cannot_be_written(serve, program, build_id, cache, capfd):
    cache.write_text('a file')
    good = serve(lambda request: send(request, whole(program, request)))
    assert ask(build_id, good.url) == 1
    assert 'Not a directory' in capfd.readouterr().err


def test_servers_learn_a_build_id_and_no_more(serve, program, build_id, cache, capfd):
    seen: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append(f'{request.requestline}\n{request.headers}')
        send(request, whole(program, request))
    assert ask(build_id, serve(answer).url, line='p take_scalars secret=p->i f:secret==1') == 0
    text, = seen
    assert re.fullmatch(rf'GET /buildid/{build_id}/section/\.BTF HTTP/1\.1\n(Accept-Encoding: identity|User-Agent: surftrace/[\d.]+|'
                        r'Host: [\d.:]+|Connection: close|\n)+', text), text


def test_no_server_is_asked_unasked(serve, program, build_id, cache, capfd, monkeypatch):
    """Neither with $DEBUGINFOD_URLS, nor when types are missing."""
    server = serve(lambda request: send(request, whole(program, request)))
    monkeypatch.setenv('DEBUGINFOD_URLS', server.url)
    surftrace.main(['-S', '-v', str(program), LINE])
    surftrace.main(['-S', LINE])
    surftrace.main(['-S', '-m', 'dwarf', LINE])
    surftrace.main(['-S', '-m', 'remote', 'P bash:main'])           # programs have nothing to do with it
    assert server.asked == [] and not cache.exists()


@pytest.mark.parametrize(('words', 'status', 'message'), [
    (['-m', 'remote', '-S'], 2, 'no server to ask: name one with -r URL'),
    (['-m', 'remote', '-S', '-r', 'file:///etc/passwd'], 2, 'a server is http://'),
    (['-m', 'remote', '-S', '-r', 'http://127.0.0.1:1', '-v', 'vmlinux'], 2, 'two ways to the same'),
    (['-m', 'remote', '-S', '-r', 'http://127.0.0.1:1', '--build-id', '00' * 20], 2, 'say the architecture'),
    (['-m', 'remote', '-r', 'http://127.0.0.1:1', '--build-id', '00' * 20, '-a', 'x86_64'], 2, 'is not the running kernel'),
    (['-S', '-r', 'http://127.0.0.1:1'], 2, 'no server is asked unless you say so'),
    (['-S', '--build-id', '00' * 20], 2, 'no server is asked unless you say so'),
    (['-m', 'remote', '-S', '-r', 'http://127.0.0.1:1', '--build-id', '00' * 20, '-a', 'arm64'], 1, 'Connection refused'),
    (['-m', 'remote', '-S', '-r', 'http://a b/', '--build-id', '00' * 20, '-a', 'arm64'], 1, 'http://a b/'),
])
def test_what_is_refused(words, status, message, cache, capfd):
    assert surftrace.main([*words, LINE]) == status
    assert message in capfd.readouterr().err


@pytest.mark.parametrize('text', ['..', '../../etc', 'xyz', 'abc', '', 'ab' * 3, '/' * 20])
def test_a_build_id_is_hexadecimal(text, capfd):
    with pytest.raises(SystemExit) as end:
        surftrace.main(['-S', '-m', 'remote', '--build-id', text, LINE])
    assert end.value.code == 2 and 'build-id' in capfd.readouterr().err


def test_a_bar_is_drawn_on_a_terminal_only(serve, program, build_id, cache, capfd, monkeypatch):
    good = serve(lambda request: send(request, whole(program, request)))
    monkeypatch.setattr('sys.stderr.isatty', lambda: True)
    assert ask(build_id, good.url) == 0
    said = capfd.readouterr()
    assert said.out == SHOWN and re.search(r'\rsection/\.BTF: [\d.]+ of [\d.]+ MB', said.err) and said.err.endswith('\n')
