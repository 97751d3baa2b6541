"""What several test files use."""
from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import kernels
import pytest
from cache import Unavailable
from imitation import record

import surftrace

SEED = int(os.environ.get('SURFTRACE_ORACLE_SEED') or 1)               # of what is chosen by chance, and how much of it
SCALE = float(os.environ.get('SURFTRACE_ORACLE_SCALE') or 1)
AMD64 = surftrace.arch_named('x86_64')
TYPES = (Path(__file__).parent / 'fixtures/types.c').read_text()
# gdb's names of the registers that DWARF numbers 0, 1, ... on x86-64. A gdb that knows no arm64 reads an arm64 kernel
# as if it were one of x86-64, so there too they stand for the numbers.
GDB_REGISTERS = 'rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip xmm0 xmm1 xmm2 xmm3'.split()
# Kernels that gdb walks through: functions, and chains from each.
WALKS = {'6.1-amd64': (125, 26), '6.1-arm64': (35, 12), '5.10-amd64': (25, 12), '7-amd64': (20, 12)}


def need(*tools: str, optional: bool = False) -> None:
    """Skip without one of them; tests/run does not install the `optional` ones."""
    for tool in tools:
        if not shutil.which(tool):
            raise pytest.skip.Exception(f'{tool} is not installed') if optional else Unavailable(f'{tool} is not installed')


def output(*command: object) -> str:
    """What a tool prints."""
    need(str(command[0]))
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def made(*arguments: str) -> str:
    """What a surftrace of its own makes, for a kernel elsewhere, without a complaint."""
    done = subprocess.run([sys.executable, surftrace.__file__, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def vmlinux(label: str = '6.1-amd64') -> str:
    """That kernel's file."""
    return str(kernels.kernel(label) / 'vmlinux')


def types_of(path: object, mode: str = 'auto', arch: surftrace.Arch = AMD64) -> surftrace.Module:
    """The kernel that -v PATH -m MODE gives."""
    return surftrace.given_debug_info(str(path), mode, None if arch == AMD64 else arch, arch)


def machine_of(info: surftrace.Module, note: Callable[[str], None] = lambda text: None, **known: Any) -> surftrace.Machine:
    """The machine with this kernel, of which nothing else is known, but that return probes may read arguments."""
    return surftrace.Machine(info, note, **known)


@functools.lru_cache(None)
def of_programs() -> surftrace.Machine:
    """This machine as -S sees it, of whose kernel nothing is known; programs are read once."""
    machine = surftrace.machine_for(surftrace.arguments().parse_args(['-S']), surftrace.Module(AMD64, None, []))
    return machine._replace(note=str)


class Printed(NamedTuple):
    """What main returned, and what went to the two outputs."""
    status: int
    out: str
    err: str


@contextlib.contextmanager
def descriptor_to(descriptor: int, file: int) -> Iterator[None]:
    """What is written to the descriptor goes to the file meanwhile."""
    kept = os.dup(descriptor)
    os.dup2(file, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def outcome(*arguments: str) -> Printed:
    """A run of main; its messages are written to the descriptor itself, argparse's to sys.stderr."""
    texts = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with descriptor_to(1, out.fileno()), descriptor_to(2, err.fileno()), open(1, 'w', closefd=False) as stdout, \
                open(2, 'w', closefd=False) as stderr, contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            try:
                status = surftrace.main(arguments)
            except SystemExit as error:     # argparse's own
                status = int(error.code or 0)
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode('utf-8', 'surrogateescape'))
    return Printed(status, *texts)


FORMAT = '''\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:char prev_comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t prev_pid;	offset:24;	size:4;	signed:1;
	field:long prev_state;	offset:32;	size:8;	signed:1;
	field:__data_loc char[] name;	offset:40;	size:4;	signed:0;
	field:const char * filename;	offset:48;	size:8;	signed:0;
	field:u8 mac[6];	offset:56;	size:6;	signed:0;
	field:unsigned int flags;	offset:64;	size:4;	signed:0;
	field:int dfd;	offset:72;	size:8;	signed:0;
'''
KERNEL = machine_of(surftrace.Module(AMD64, surftrace.Kallsyms(b'ffffffff81000000 T f\n'), []),
                    read=lambda path: FORMAT if path.endswith('/event/format') else '')

# One field of each kind; those behind pointers are b to a6, m, users.
ARGS = ('p f n=%di:s32 u8=%si:u8 u=%si:u32 x=%si:x64 s64=%cx:s64 s8=%cx:s8 b=+4(%dx):b5@3/8 sb=+4(%dx):b5@3/8 '
        'xb=+4(%dx):b5@3/8 e=%di:s32 eb=+0(%r8):b3@0/8 port=%di:u16 PORT=%di:u32 a=+12(%r9):u32 a6=+0(%r9):x64 '
        'a6_2=+8(%r9):x64 m=+0(%r9):x32 m_2=+4(%r9):x16 s=+0(%si):string c=+8(+16(%si)):string users=+84(+2272(%di)):s32 '
        'fn=%ax:symbol ch=%di:char arr=+0(%bx):u8[4] comm=$comm us=+u0(%r10):s32 '
        '#! sb:S(5) xb:X e:enum(A=-1,B=2) eb:enum(A=-1,B=2) port:be16 PORT:BE32 a:ip a6+a6_2:ip6 m+m_2:mac s:cut(8)')


def events_of(machine: surftrace.Machine, *lines: str) -> list[surftrace.Event]:
    """The events of those lines on that machine."""
    return surftrace.make_events([surftrace.parse_probe(line) for line in lines], machine)


def resolved(info: surftrace.Module, line: str) -> surftrace.Event:
    """The event of a line in a kernel with those types."""
    return events_of(machine_of(info), line)[0]


SEAL = 0x5ea15ea1
GOOD = 0xffff888000001000


def sealed(*lines: str) -> list[surftrace.Event]:
    """The events of those lines, as the live run has them."""
    return events_of(KERNEL._replace(seal=SEAL), *lines)


def text_of(event: surftrace.Event, values: dict, pointers: dict | None = None, **head) -> bytes:
    """The line of an event of ours: its values, the pointers that are not good, and what stands in its head."""
    definition = event.definitions[0]
    good = {guard.name: max(guard.low, min(GOOD, guard.high)) for field in event.fields for guard in field.guards}
    unseen = {name: int(fetch.base[1:]) if fetch.base[0] == '\\' else good.get(name, GOOD)
              for name, fetch in definition.unseen}
    known = {**unseen, **values, **(pointers or {})}
    return record(event.name, [(name, fetch.kind or 'string', known[name]) for name, fetch in (
        *definition.args, *definition.unseen)], **head)


A_STACK = b'            bash-77      (     77) [001]   421.123456: <stack trace>\n => f\n => do_syscall_64\n'


def some_records(random: Random, events: list[surftrace.Event], count: int) -> list[bytes]:
    """Records and lines between them, in which now and then something is not as usual."""
    lines = []
    for _ in range(count):
        event = random.choice(events)
        values, rare = {}, random.random() < 0.05
        for name, fetch in event.definitions[0].args if event.definitions else ():
            text = bytes(random.choice(b'ab"\n\x1b\xc3 =') for _ in range(random.randint(0, 6))) if rare else b'ab'
            number = random.randint(0, 7) if fetch.kind[:1] == 'b' else random.randint(0, 100)
            values[name] = text if (fetch.kind or 'string') == 'string' else [number] * 3 if fetch.kind.endswith(']') else number
        names = [guard.name for field in event.fields for guard in field.guards]
        pointers = {name: random.choice([0, 5000, GOOD]) for name in names} if random.random() < 0.1 else {}
        head = {'comm': random.choice([b'bash', b'a b', b'x-1']), 'tgid': random.choice(['', '77'])} if rare else {'tgid': '77'}
        lines.append(text_of(event, values, pointers, **head)
                     if event.definitions else b'            bash-77      (     77) [001]   421.123456: b: x=1 y=2\n')
        if random.random() < 0.02:
            lines.append(random.choice([b'CPU:0 [LOST 5 EVENTS]\n', A_STACK]))
    return lines


SETS = {
    'numbers': ('p f users=+84(+2272(%di)):s32 n=%si:x32',),
    'strings': ('p f s=+0(%si):string n=+4(%di):u32',),
    'cut strings': ('p f s=+0(%si):string n=%di:u32 #! s:cut(3)',),
    'arrays': ('p f a=+0(%si):u8[3] c=$comm',),
    'formats': ('p f a=+0(%di):b3@0/8 e=%si:u32 #! a:S(3) e:enum(A=1,B=2)',),
    'three events': ('p f users=+84(+2272(%di)):s32', 'p f s=+0(%si):string', 'e a/b'),
}


SECONDS, BYTES = 10, 2 << 30            # what a case may take: of a processor, for which it may have to wait


class TooLong(BaseException):
    """The case did not end in time."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """An end to what takes too long or too much memory."""
    def stop(*_: object) -> None:
        raise TooLong
    before, limits = signal.signal(signal.SIGPROF, stop), resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE')
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def check(*arguments: str, caret: bool = False) -> int:
    """Run that, and hold it to the promise; with a line alone, a complaint shows where."""
    with limited():
        status, out, err = outcome(*arguments)
    assert status in (0, 1, 2), arguments
    assert 'Traceback' not in err
    if status:
        assert out == '' and (err.startswith('surftrace: ')
                              or 'surftrace: error: ' in err) and len(err.splitlines()[0]) > 20, arguments
    else:
        assert out.strip() and err.count('\n') == err.count('surftrace: note: '), arguments
    if status == 2 and caret:
        assert '\n  ' in err and '^' in err.splitlines()[-1], err
    return status


