"""What is checked inside a guest, many checks in one boot: each traces, causes what is traced, and compares.

    python3 tests/vm/guest_checks.py LABEL FOLDER [CHECK...]     prints 'PASS check' or 'FAIL check: reason' for each

LABEL is the kernel's (see kernels.py); FOLDER holds what test_vm.py has made ready outside, by DWARF.
surftrace runs in children of this process, which has it loaded already: Python starts slowly in a guest.
"""
from __future__ import annotations

import contextlib
import ctypes
import functools
import lzma
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import surftrace  # noqa: E402

TRACEFS = Path('/sys/kernel/tracing')
ALL = ('5.10-amd64', '6.1-amd64', '6.12-amd64', '7-amd64')
FULL = ('6.1-amd64', '7-amd64')
CHECKS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {}
label, folder = '', Path()          # of this guest


def check(*labels: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Makes a function a check for guests with these kernels."""
    def add(function: Callable[[], None]) -> Callable[[], None]:
        CHECKS[function.__name__] = function, labels or FULL
        return function
    return add


# Running surftrace


class Event(NamedTuple):
    """A line that was shown."""
    comm: str
    pid: int
    name: str
    values: dict[str, str]


EVENT = re.compile(r'^ *(.*)-(\d+) +(?:\([^)]*\) +)?\[\d+\] +[\d.]+: (\w+): (.*)$', re.M)
VALUE = re.compile(r' (\w+)=("[^"]*"|\{[^}]*\}|\([^)]*\)|\S+)')


class Run:
    """surftrace, begun; `end()` waits for it, and then there are `status`, `out` and `err`."""
    count = 0

    def __init__(self, *arguments: str, stdin: int = -1, stdout: int = -1, before: Callable[[], object] = lambda: None) -> None:
        Run.count += 1
        self._files = [open(f'/run/surftrace-{Run.count}.{name}', 'w+b', buffering=0) for name in ('out', 'err')]
        self.status = -1
        self.pid = os.fork()
        if not self.pid:
            _be_surftrace(arguments, stdin, stdout if stdout >= 0 else self._files[0].fileno(), self._files[1].fileno(), before)

    @property
    def out(self) -> str:
        return Path(self._files[0].name).read_text(errors='surrogateescape')

    @property
    def err(self) -> str:
        return Path(self._files[1].name).read_text(errors='surrogateescape')

    @property
    def events(self) -> list[Event]:
        return [Event(comm, int(pid), name, dict(VALUE.findall(' ' + text))) for comm, pid, name, text in EVENT.findall(self.out)]

    def values(self, name: str, event: str = '') -> list[str]:
        """The values of that NAME in all events, or in those called EVENT."""
        return [e.values[name] for e in self.events if not event or e.name == event]

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Waits until surftrace has said TEXT."""
        wait_until(lambda: text in self.err or self.ended(), seconds, f'surftrace to say {text!r}')
        if text not in self.err:
            raise AssertionError(f'surftrace ended with {self.status}: {self.err}')

    def ended(self) -> bool:
        """Whether it is no more."""
        if self.status < 0:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status) & 0xff
        return self.status >= 0

    def end(self, *signals: int) -> Run:
        """Sends it SIGNALS and waits for its end."""
        for number in signals:
            os.kill(self.pid, number)
        wait_until(self.ended, 20, 'surftrace to end')
        return self


def _be_surftrace(arguments: tuple[str, ...], stdin: int, stdout: int, stderr: int, before: Callable[[], object]) -> None:
    status: object = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY) if stdin < 0 else stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, 64)
        before()
        status = surftrace.main(['-m', 'btf', *arguments])
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 71)


@contextlib.contextmanager
def tracing(*arguments: str, **how: object) -> Iterator[Run]:
    """surftrace, tracing; interrupted at the end."""
    run = Run(*arguments, **how)    # type: ignore[arg-type]
    try:
        run.wait_for('surftrace: tracing')
        yield run
    finally:
        if not run.ended():
            run.end(signal.SIGINT)
    equal(run.status, 0, run.err)


def said(*arguments: str, status: int, **how: object) -> str:
    """What surftrace says when it ends by itself with that STATUS."""
    run = Run(*arguments, **how).end()   # type: ignore[arg-type]
    equal(run.status, status, run.err)
    return run.err + run.out


def prepared(event: str) -> str:
    """The line of that EVENT's name that was made outside, by DWARF."""
    lines = (folder / 'dwarf.lines').read_text().splitlines()
    return next(line for line in lines if re.match(rf'\w+:{event} ', line))


# Comparing


def equal(actual: object, expected: object, context: str = '') -> None:
    if actual != expected:
        raise AssertionError(f'{actual!r} is not {expected!r} {context}')


def holds(condition: object, context: object = '') -> None:
    if not condition:
        raise AssertionError(str(context))


def contains(text: str, *parts: str) -> None:
    for part in parts:
        if part not in text:
            raise AssertionError(f'no {part!r} in {text!r}')


def wait_until(condition: Callable[[], object], seconds: float = 10, what: str = 'it') -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f'waited {seconds} s for {what}')
        time.sleep(0.02)


# Causing


def put(path: str, text: str) -> None:
    """Writes into a file of tracefs as the shell's >> does."""
    file = os.open(TRACEFS / path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, text.encode() + b'\n')
    finally:
        os.close(file)


def snapshot() -> dict[str, str]:
    """All that a tracer may leave behind, and whether other people's probe is still there and on."""
    files = 'kprobe_events uprobe_events dynamic_events set_event tracing_on instances/theirs/events/mine/x/enable'
    there = [TRACEFS / name for name in files.split() if (TRACEFS / name).exists()]
    return {**{str(path): path.read_text() for path in there}, 'instances': ' '.join(sorted(os.listdir(TRACEFS / 'instances')))}


def start_kernel_threads() -> None:
    """Makes kthreadd fork: md-mod has workqueues with rescuers."""
    packed = next((Path(os.environ['KERNEL']) / 'modules').rglob('md-mod.ko*'))
    code = packed.read_bytes()
    module = Path('/run/md-mod.ko')
    module.write_bytes(lzma.decompress(code) if packed.suffix == '.xz' else code)
    subprocess.run(['busybox', 'insmod', module], check=True)
    subprocess.run(['busybox', 'rmmod', 'md_mod'], check=True)


def in_child(function: Callable[[], object]) -> int:
    """Runs it in a process of its own, and gives its process id."""
    pid = os.fork()
    if not pid:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    equal(os.waitpid(pid, 0)[1], 0, 'the child failed')
    return pid


def set_comm(name: bytes) -> None:
    ctypes.CDLL(None).prctl(15, name)       # PR_SET_NAME


def send_tcp(*sizes: int, port: int = 0) -> int:
    """Sends so many bytes at a time over loopback; the port they went to."""
    with socket.create_server(('127.0.0.1', port)) as server, socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        for size in sizes:
            client.sendall(bytes(size))
            peer.recv(size, socket.MSG_WAITALL)
        peer.close()
        return int(server.getsockname()[1])


def send_udp(payload: bytes, port: int = 9999, family: int = socket.AF_INET) -> None:
    """Sends a datagram over loopback."""
    address = '127.0.0.1' if family == socket.AF_INET else '::1'
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        server.bind((address, port))
        client.sendto(payload, (address, port))
        equal(server.recv(65536), payload)


# The guard: what is behind a pointer that is NULL


def threads_one_after_another(count: int) -> None:
    """A program of COUNT further threads, all alive until the last has begun."""
    gate = threading.Event()
    threads = [threading.Thread(target=gate.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    gate.set()


@check(*ALL)
def no_number_behind_a_null_pointer() -> None:
    old_bytes = ' '.join(f'a{i}=\\0x5a5a5a5a5a5a5a5a:x64' for i in range(8))
    line = 'wake_up_new_task users=S%0->mm->mm_users'
    unguarded = said('-S', f'p {line}', status=0).split(' ', 1)[1]
    theirs = TRACEFS / 'instances/theirs'
    put('kprobe_events', f'p:control/fill __x64_sys_getppid {old_bytes}')
    put('kprobe_events', f'p:control/users {unguarded}')
    put('instances/theirs/buffer_size_kb', '8')
    put('instances/theirs/events/control/enable', '1')
    try:
        with tracing('-b', '8', f'p:fill __x64_sys_getppid {old_bytes}', f'p:users {line}',
                     f'p:low {line} f:users<4', f'p:high {line} f:!(users<4)') as run:
            for _ in range(2000):
                os.getppid()
            put('instances/theirs/events/control/fill/enable', '0')
            start_kernel_threads()
            pid = in_child(lambda: threads_one_after_another(4))
    finally:
        raw = (theirs / 'trace').read_text()
        put('instances/theirs/events/control/enable', '0')
        put('kprobe_events', '-:control/fill')
        put('kprobe_events', '-:control/users')
    garbage = [int(n) for n in re.findall(r'kthreadd-2 .* users=(-?\d+)', raw)]
    holds([n for n in garbage if n], f'the control shows no garbage, so this proves nothing: {raw[-800:]}')
    kernel = [event for event in run.events if event.pid == 2]
    equal({(event.name, event.values['users']) for event in kernel}, {('users', '(null)')}, run.out)
    mine = {name: [e.values['users'] for e in run.events if e.name == name and e.pid == pid] for name in ('users', 'low', 'high')}
    equal(mine, {'users': ['2', '3', '4', '5'], 'low': ['2', '3'], 'high': ['4', '5']}, run.out)


# The lines of the examples


@check(*ALL)
def a_return_value_is_what_the_program_got() -> None:
    def program() -> None:
        for name in ('/etc/passwd', '/etc/group'):
            os.write(1, b'%d ' % os.open(name, os.O_RDONLY))
        with contextlib.suppress(FileNotFoundError):
            os.open('/nonexistent', os.O_RDONLY)
    with tracing('r do_sys_openat2 fd=$retval') as run:
        reader, writer = os.pipe()
        pid = in_child(lambda: (os.dup2(writer, 1), program()))
        got = os.read(reader, 100).decode().split()
    equal([event.values['fd'] for event in run.events if event.pid == pid], [*got, '-2'], run.out)


def run_check(name: str) -> None:
    """Prints what came of a check, on one line; every one has to leave tracefs as it found it."""
    before, start = snapshot(), time.monotonic()
    try:
        CHECKS[name][0]()
        equal(snapshot(), before, 'left behind')
        print(f'PASS {name} {time.monotonic() - start:.1f} s', flush=True)
    except Exception as failure:
        where = ' < '.join(f'{frame.name}:{frame.lineno}' for frame in reversed(traceback.extract_tb(failure.__traceback__)))
        print(f'FAIL {name}: {ascii(str(failure))} {type(failure).__name__} in {where}', flush=True)


def main() -> None:
    """All checks for this kernel, among other people's probes."""
    global label, folder
    label, folder = sys.argv[1], Path(sys.argv[2])
    surftrace.SILENCE = 1.0
    surftrace.Btf = functools.lru_cache(None)(surftrace.Btf)    # read once for all runs
    surftrace.main(['-S', '-m', 'btf', 'p wake_up_new_task comm=%0->comm'])
    (TRACEFS / 'instances/theirs').mkdir()
    put('kprobe_events', 'p:mine/x do_exit')
    put('instances/theirs/events/mine/x/enable', '1')
    for name in sys.argv[3:] or [name for name, (_, labels) in CHECKS.items() if label in labels]:
        run_check(name)


if __name__ == '__main__':
    main()
