"""What is checked inside a guest, many checks in one boot: each traces, causes what is traced, and compares.

    python3 tests/vm/guest_checks.py LABEL FOLDER [CHECK...]     prints 'PASS check' or 'FAIL check: reason' for each

LABEL is the kernel's (see kernels.py); FOLDER holds what test_vm.py has made ready outside, by DWARF.
surftrace runs in children of this process, which has it loaded already: Python starts slowly in a guest.
"""
from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import json
import lzma
import mmap
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (1, 2)]
import picture  # noqa: E402

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


EVENT = re.compile(r'^ *(.{0,15})-(\d+) +(?:\([^)]*\) +)?\[\d+\] +[\d.]+: (\w+): (.*)$', re.M)
VALUE = re.compile(r' (\w+)=("[^"]*"|\{[^}]*\}|\([^)]*\)|\S+)')


class Run:
    """surftrace, begun; `end()` waits for it, and then there are `status`, `out` and `err`."""
    count = 0

    def __init__(self, *arguments: str, stdin: int = -1, stdout: int = -1, stderr: int = -1,
                 before: Callable[[], object] = lambda: None) -> None:
        Run.count += 1
        self._files = [open(f'/run/surftrace-{Run.count}.{name}', 'w+b', buffering=0) for name in ('out', 'err')]
        self.status = -1
        self.pid = os.fork()
        if not self.pid:
            out, err = (file.fileno() if given < 0 else given for file, given in zip(self._files, (stdout, stderr)))
            _be_surftrace(arguments, stdin, out, err, before)

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

    def wait_for(self, text: str) -> None:
        """Waits until surftrace has said TEXT."""
        wait_until(lambda: text in self.err or self.ended(), f'surftrace to say {text!r}')
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
        try:
            wait_until(self.ended, 'surftrace to end')
        except AssertionError as failure:
            raise AssertionError(f'{failure}; {self._where()}') from None
        return self

    def _where(self) -> str:
        """What keeps it, in Python and in the kernel."""
        stacks = [stack.read_text() for stack in Path(f'/proc/{self.pid}/task').glob('*/stack')]
        os.kill(self.pid, signal.SIGUSR2)
        time.sleep(1)
        return f'{self.err} {stacks}'


def _be_surftrace(arguments: tuple[str, ...], stdin: int, stdout: int, stderr: int, before: Callable[[], object]) -> None:
    status: object = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY) if stdin < 0 else stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, 64)
        faulthandler.register(signal.SIGUSR2)
        before()
        status = surftrace.main(['-m', 'btf', '--raw', '--verbose', *arguments])   # the checks read the kernel's lines
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


def wait_until(condition: Callable[[], object], what: str = 'it', seconds: float = 120) -> None:
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


@check('6.1-amd64')
def the_picture_of_the_readme() -> None:
    for command, shown in picture.shown_in(picture.FILE.read_text()).items():
        if ' -- ' in command:
            equal(picture.shape(picture.on_a_terminal(command)), picture.shape(shown))


@check(*ALL)
def a_string_behind_a_null_pointer_is_not_the_next_string() -> None:
    def start_threads() -> None:
        set_comm(b'next')
        threads_one_after_another(2)
    line = 'wake_up_new_task drv=%0->signal->tty->driver->name comm=%0->comm drivers=%0->signal->tty->driver:string[1]'
    filters = {'same': 'drv==pts', 'next': 'drv==next', 'other': 'drv!=pts', 'neither': '!(drv~next)&&!(drv~pt*)'}
    with tracing(f'p:all {line}', *(f'p:{name} {line} f:{filter_}' for name, filter_ in filters.items())) as run:
        without = in_child(lambda: (os.setsid(), start_threads()))
        pid, terminal = pty.fork()
        if not pid:
            start_threads()
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(terminal)
    shown = [(event.name, event.values['drv'], event.values['comm']) for event in run.events if event.pid in (pid, without)]
    wanted = [('all', '"pts"', '"next"'), ('all', '(null)', '"next"'), ('same', '"pts"', '"next"')]
    equal(sorted(shown), sorted(wanted * 2), run.out)
    equal({event.values['drivers'] for event in run.events if event.pid == without}, {'(null)'}, run.out)


LIBC = next(line.split()[-1] for line in Path('/proc/self/maps').read_text().splitlines() if 'libc.so' in line or 'libc-2' in line)
UNMAPPED = 0x7f1234567000


def access_badly() -> None:
    """Asks for a file 20 times, 10 times with no name, and 10 times with one at an address where nothing is."""
    access = ctypes.CDLL(None).access
    access.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    set_comm(b'badly')
    name, nothing = ctypes.create_string_buffer(b'/nonexistent'), [None] * 10 + [UNMAPPED] * 10
    for bad in nothing:
        access(ctypes.addressof(name), 0)
        access(bad, 0)


BADLY = {'all': '', 'eq': 'name==/nonexistent', 'ne': 'name!=/other', 'glob': 'name~/non*', 'no': '!(name==/other)&&!(name~/o*)',
         'none': 'name!=/nonexistent||name==x||!(name~/n*)'}
COUNTS = {'all': 40, 'eq': 20, 'ne': 20, 'glob': 20, 'no': 20, 'none': 0}


@check(*ALL)
def a_filter_takes_no_string_that_cannot_be_read() -> None:
    for place in ('p:{} do_faccessat name=filename', 'p:{} do_faccessat name=user(filename)', f'P:{{}} {LIBC}:access name=%0:string'):
        lines = [f"{place.format(name)} f:comm==badly{f'&&({text})' if text else ''}" for name, text in BADLY.items()]
        with tracing(*lines) as run:
            in_child(access_badly)
        shown = {name: run.values('name', name) for name in BADLY}
        equal({name: len(values) for name, values in shown.items()}, COUNTS, run.out)
        equal({value: shown['all'].count(value) for value in shown['all']}, {'"/nonexistent"': 20, '(null)': 10, '(fault)': 10})
        equal({value for name in BADLY if name != 'all' for value in shown[name]}, {'"/nonexistent"'}, place)
        made = Path('/run/strings.sh')
        said('-o', str(made), *lines, status=0)
        with script('busybox', str(made)) as (process, out):
            in_child(access_badly)
            wait_until(lambda: len(re.findall(' all: ', out.read_text())) == 40, 'the script')
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        equal({name: len(re.findall(f' {name}: ', out.read_text())) for name in BADLY}, COUNTS, out.read_text())


@check(*ALL)
def strings_of_programs_behind_null_pointers() -> None:
    def structs() -> None:
        """access(&(struct { char *name; char **inner; }){...}, "MESSAGE"), the struct and its pointers there or not."""
        access = ctypes.CDLL(None).access
        access.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        set_comm(b'structs')
        inner = (ctypes.c_char_p * 1)(b'inner')
        for number, (name, pointer) in enumerate(((b'one', ctypes.addressof(inner)), (b'two', None), (b'three', UNMAPPED), (None, None))):
            both = (ctypes.c_void_p * 2)(ctypes.cast(name, ctypes.c_void_p).value if name else None, pointer)
            access(ctypes.addressof(both), b'message%d' % number)
        access(None, b'last')
    line = (f'{LIBC}:access s=+0(+0(+8(%di))):string name=+0(+0(%di)):string list=+0(+8(%di)):string[1] message=+0(%si):string '
            'f:comm==structs')
    wrong = 's==two||s==message1||s==message3||s==last||name==last'
    with tracing(f'P:all {line}', f'P:wrong {line}&&({wrong})', f'P:right {line}&&(s!=x||name!=two)') as run:
        in_child(structs)
    shown = [event.values for event in run.events if event.name == 'all']
    null = '(null)'
    equal([values['message'] for values in shown], [*(f'"message{i}"' for i in range(4)), '"last"'], run.out)
    equal([values['s'] for values in shown], ['"inner"', null, null, null, null], run.out)
    equal([values['name'] for values in shown], ['"one"', '"two"', '"three"', null, null], run.out)
    unreadable = '{(fault)}' if label == '5.10-amd64' else null             # there the kernel tells an earlier fault itself
    equal([values['list'] for values in shown], ['{"inner"}', null, unreadable, null, null], run.out)
    equal((run.values('message', 'wrong'), run.values('message', 'right')), ([], ['"message0"', '"message2"']), run.out)


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


@check()
def stacks_and_sizes_of_tcp_sendmsg() -> None:
    with tracing('-s', 'p tcp_sendmsg size f:size>1000') as run:
        in_child(lambda: send_tcp(500, 1001, 4096, 1000))
    equal(run.values('size'), ['1001', '4096'], run.out)
    equal(len(re.findall(r'^ => .*(?:sock_sendmsg|__sys_sendto)', run.out, re.M)) >= 2, True, run.out)


@check()
def stacks_of_one_line_alone() -> None:
    with tracing('p:large tcp_sendmsg size +stack +ustack f:size>1000&&sk->sk_family==2', 'p:all tcp_sendmsg size sk->sk_family') as run:
        in_child(lambda: send_tcp(500, 1001, 4096, 1000))
    equal((run.values('size', 'large'), run.values('size', 'all')), (['1001', '4096'], ['500', '1001', '4096', '1000']), run.out)
    order = re.findall(r': (large|all): |<(user )?stack trace>\n => (.*)', run.out)
    equal([(before[0], user) for before, (_, user, frame) in zip(order, order[1:]) if frame], [('large', ''), ('', 'user ')] * 2, run.out)
    equal([frame for _, user, frame in order if frame and not user], ['tcp_sendmsg'] * 2, run.out)


@check()
def sched_stat_wait_needs_a_setting_and_comes_with_it() -> None:
    setting = Path('/proc/sys/kernel/sched_schedstats')
    line = 'e sched/sched_stat_wait f:delay>1000000'
    with tracing(line) as run:
        run.wait_for('nothing yet')
    contains(run.err, 'kernel.sched_schedstats=1')
    setting.write_text('1')
    try:
        with tracing('-n', '3', line) as run:
            rivals = [os.fork() or busy() for _ in range(2)]
            try:
                run.end()
            finally:
                for rival in rivals:
                    os.kill(rival, signal.SIGKILL)
                    os.waitpid(rival, 0)
    finally:
        setting.write_text('0')
    holds(run.events, run.err)
    holds(all(int(delay) > 1000000 for delay in re.findall(r'delay=(\d+)', run.out)), run.out)


def busy() -> NoReturn:
    """Works until it is killed."""
    while True:
        pass


@check(*ALL)
def a_filter_on_a_trace_events_field() -> None:
    def program() -> None:
        set_comm(b'dozing')
        for _ in range(3):
            time.sleep(0.01)
    with tracing('e sched/sched_switch f:prev_comm~*zing') as run:
        pid = in_child(program)
    holds(len(run.events) >= 3, run.out)
    equal({(event.values['prev_comm'], event.values['prev_pid']) for event in run.events}, {('dozing', str(pid))}, run.out)


@check('5.10-amd64', '7-amd64')
def flags_by_name() -> None:
    def program() -> None:
        set_comm(b'asking')
        mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE).write(b'x' * (1 << 20))
    names, filter_ = ['mm_page_alloc'], 'f:comm==asking&&gfp_flags&__GFP_ZERO'
    lines = [f'e kmem/mm_page_alloc {filter_}']
    if not label.startswith('5.10-'):                               # has no event probes
        names.append('ours')
        lines.append(f'e:ours kmem/mm_page_alloc gfp_flags {filter_}')
    with tracing(*lines) as run:
        in_child(program)
    shown = [run.values('gfp_flags', name) for name in names]
    holds(len(shown[0]) > 100 and all('__GFP_ZERO' in value for value in shown[0]), run.out)
    equal(shown[1:], shown[:-1], run.out)


PACKET = ('p:icmp ip_rcv proto=@(struct iphdr *)l3%0->protocol ip_src=@(struct iphdr *)%0->saddr '
          'ip_dst=@(struct iphdr *)l3%0->daddr data=X@(struct icmphdr *)l3%0->sdata[1] '
          'filler=X@(struct icmphdr *)l3%0->sdata[8] f:proto==1&&ip_src==127.0.0.1')
PORTS = ('p:ports ip_rcv sport=@(struct tcphdr *)l3%0->source:be16 dport=@(struct tcphdr *)l3%0->dest:be16 '
         'uport=@(struct udphdr *)l3%0->dest:be16 proto=@(struct iphdr *)l3%0->protocol f:proto!=1')
ONE_PORT = 'p:one_port ip_rcv dport=@(struct tcphdr *)l3%0->dest f:dport==8080'
UDP_DATA = 'p:udp_data ip_rcv len=@(struct udphdr *)l3%0->len:be16 text=@(struct udphdr *)l3%0->Sdata[0] f:len==21'
MAC = 'p:mac __dev_queue_xmit to=@(struct ethhdr *)l2%0->h_dest:mac ether=@(struct ethhdr *)l2%0->h_proto f:to==02:11:22:33:44:55'
IP6 = 'p:ip6 ipv6_rcv from=@(struct ipv6hdr *)%0->saddr next=@(struct ipv6hdr *)%0->nexthdr f:from==::1'


@check()
def packet_headers() -> None:
    with tracing(PACKET, PORTS, ONE_PORT, UDP_DATA, MAC, IP6) as run:
        subprocess.run(['ping', '-c', '2', '-i', '0.2', '-p', '1234', '127.0.0.1'], check=True, stdout=subprocess.DEVNULL)
        second = int(time.time())       # ping sends a struct timeval, and then its pattern
        send_tcp(100, port=8080)
        send_udp(b'hello, world\0')
        send_udp(b'hello, world\0', family=socket.AF_INET6)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(('lo', 0x88b5))
            raw.send(bytes.fromhex('021122334455 021122334466 88b5') + bytes(50))
            raw.send(bytes.fromhex('021122334477 021122334466 88b5') + bytes(50))
    by_name = {name: [event.values for event in run.events if event.name == name] for name in
               ('icmp', 'ports', 'one_port', 'udp_data', 'mac', 'ip6')}
    equal(by_name['icmp'], 4 * [{'proto': '1', 'ip_src': '127.0.0.1', 'ip_dst': '127.0.0.1',
                                 'data': hex(second >> 16 & 0xffff), 'filler': '0x3412'}], run.out)
    equal({(v['sport'] == '8080', v['dport'] == '8080', v['uport']) for v in by_name['ports'] if v['proto'] == '6'},
          {(True, False, '(no udphdr)'), (False, True, '(no udphdr)')}, run.out)
    equal([v for v in by_name['ports'] if v['proto'] == '17'],
          [{'sport': '(no tcphdr)', 'dport': '(no tcphdr)', 'uport': '9999', 'proto': '17'}], run.out)
    equal({v['dport'] for v in by_name['one_port']}, {'8080'}, run.out)
    equal(by_name['udp_data'], [{'len': '21', 'text': '"hello, world"'}], run.out)
    equal(by_name['mac'], [{'to': '02:11:22:33:44:55', 'ether': str(0x88b5)}], run.out)
    equal(by_name['ip6'], [{'from': '::1', 'next': '17'}], run.out)


@check(*ALL)
def what_is_behind_the_end_of_a_packet_is_not_shown() -> None:
    """Nor what is not behind skb->data: data of more than some 16 kB lies in pages."""
    udp = '@(struct udphdr *)l3%0'
    line = f'ip_rcv to={udp}->dest:be16 text={udp}->Sdata[0] last={udp}->cdata[3] beyond={udp}->cdata[4] word=X{udp}->ldata[0]'
    with tracing(f'p:all {line} f:to==9999', f'p:begins {line} f:to==9999&&text~"ab*"', f'p:more {line} f:to==9999&&text~"abcd?*"') as run:
        for payload in (b'Z' * 1000, b'abcd', b'ab', b'', b'abcdef', b'P' * 20000):
            send_udp(payload)
    wanted = [(b'"%s"' % (b'Z' * 1000), 90, 90, '0x5a5a5a5a'), (b'"abcd"', 100, None, '0x64636261'), (b'"ab"', None, None, None),
              (None, None, None, None), (b'"abcdef"', 100, 101, '0x64636261'), 4 * ('(in pieces)',)]
    texts = [[value.decode() if isinstance(value, bytes) else '(too short)' if value is None else str(value) for value in values]
             for values in wanted]
    shown = {name: [[e.values[key] for key in ('text', 'last', 'beyond', 'word')] for e in run.events if e.name == name]
             for name in ('all', 'begins', 'more')}
    equal(shown, {'all': texts, 'begins': [texts[1], texts[2], texts[4]], 'more': [texts[4]]}, run.out)


# Values compared with /proc, or with what was asked for

STATUS = ('p:status proc_pid_status name=%3->comm pid=%3->pid tgid=%3->tgid ppid=%3->real_parent->tgid uid=%3->cred->uid '
          'threads=%3->signal->nr_threads oom=%3->signal->oom_score_adj reset=%3->sched_reset_on_fork '
          'prio=%3->static_prio flags=%3->flags switches=%3->nvcsw policy=%3->policy exit=%3->exit_signal')


@check()
def a_task_is_what_proc_says_of_it() -> None:
    def program() -> None:
        set_comm(b'known one')
        Path('/proc/self/oom_score_adj').write_text('-500')
        os.nice(-5)
        os.setresuid(1234, 0, 0)
        for policy in (os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.SCHED_BATCH):
            os.sched_setscheduler(0, policy, os.sched_param(0))
            threads = [threading.Thread(target=gate.wait) for _ in range(2)] if policy == os.SCHED_BATCH else []
            for thread in threads:
                thread.start()
            with open('/proc/self/status') as status, open('/run/status', 'a') as copy:
                copy.write(status.read())
        gate.set()
    gate = threading.Event()
    Path('/run/status').unlink(missing_ok=True)
    with tracing(STATUS) as run:
        pid = in_child(program)
    first, second = [event.values for event in run.events if event.pid == pid]
    proc = [dict(re.findall(r'^(\w+):\t(.*)$', text, re.M)) for text in Path('/run/status').read_text().split('Name:')[1:]]
    for values, expected, threads, reset, policy in ((first, proc[0], '1', '1', '0'), (second, proc[1], '3', '0', '3')):
        known = {'name': '"known one"', 'pid': str(pid), 'tgid': expected['Tgid'], 'ppid': str(os.getpid()),
                 'uid': expected['Uid'].split('\t')[0], 'threads': threads, 'oom': '-500', 'reset': reset, 'prio': '115',
                 'policy': policy, 'exit': '17', 'switches': expected['voluntary_ctxt_switches'], 'flags': values['flags']}
        equal(values, known, run.out)
    equal([proc[1]['Threads'], first['uid']], ['3', '1234'])


FILES = ['p:path vfs_read file:path f:count==77', 'p:every vfs_read * f:count==77',
         'p:whole vfs_read *file dev=file->f_inode->i_rdev f:count==77',
         'r:error do_sys_openat2 name=user(filename) $retval:errno f:name=="/run/nosuch"']


def open_files_of_all_kinds() -> None:
    """Reads 77 bytes of each, in a mount namespace of its own; /run/links says what the kernel calls them."""
    libc, deep = ctypes.CDLL(None, use_errno=True), Path('/mnt/1/2/3/4/5/6/7/8/9')
    equal([libc.unshare(0x20000), libc.mount(b'tmpfs', b'/mnt', b'tmpfs', 0, None)], [0, 0], os.strerror(ctypes.get_errno()))
    deep.mkdir(parents=True)
    files = [Path('/etc/passwd'), Path('/proc/self/stat'), Path('/dev/zero'), *(parent / 'file' for parent in (deep, *deep.parents[:-2])),
             Path('/mnt/' + 'n' * 255), Path('/mnt/bound'), Path('/mnt/gone')]
    for file in files[3:]:
        file.write_text('x' * 100)
    equal(libc.mount(bytes(deep / 'file'), b'/mnt/bound', None, 4096, None), 0, os.strerror(ctypes.get_errno()))
    opened = [os.open(file, os.O_RDONLY) for file in files]
    Path('/mnt/gone').unlink()
    (reader, writer), memory, (one, other) = os.pipe(), os.memfd_create('known'), socket.socketpair()
    for descriptor in (writer, memory, other.fileno()):
        os.write(descriptor, b'x' * 100)
    os.lseek(memory, 5, os.SEEK_SET)
    links = []
    for descriptor in (*opened, reader, memory, one.fileno()):
        equal(len(os.read(descriptor, 77)), 77)
        links.append(os.readlink(f'/proc/self/fd/{descriptor}'))
    with contextlib.suppress(OSError):
        os.open('/run/nosuch', os.O_RDONLY)
    Path('/run/links').write_text('\n'.join(links))


@check(*ALL)
def a_path_is_what_the_kernel_itself_calls_the_file() -> None:
    with tracing(*FILES) as run:
        pid = in_child(open_files_of_all_kinds)
    mine = [line for line in run.out.splitlines() if f'-{pid} ' in line]
    shown = [line.partition(' file=')[2] for line in mine if ': path: ' in line]
    links = Path('/run/links').read_text().split('\n')
    root = shown[0].removesuffix('/etc/passwd"')          # the tests run in a chroot
    wanted = [f'{root}{link}"' for link in links]
    most = 6 if label.startswith('7') else 8
    wanted = [f'".../{"/".join(text[:-1].split("/")[-most:])}"' if text.count('/') > root.count('/') + 1 + most else text
              for text in wanted]
    wanted = [text.replace(' (deleted)"', '" (deleted)').replace(f'{root}/mnt/bound', '".../mnt/bound') for text in wanted]
    wanted[-3:-1] = ['"pipefs:"', '"tmpfs:memfd:known"']
    equal(shown[:-1], wanted[:-1], run.out)
    holds(re.fullmatch('"sockfs:UNIX.*"', shown[-1]), shown[-1])
    whole = [event.values for event in run.events if event.pid == pid and event.name == 'whole']
    contains(whole[-2]['file'], ' f_pos=5 ', ' f_flags=32770 ')         # O_RDWR, O_LARGEFILE
    equal(whole[2]['dev'], '1:5')
    every = [list(event.values) for event in run.events if event.pid == pid and event.name == 'every']
    equal(every, [['file', 'buf', 'count', 'pos']] * len(links), run.out)
    equal([event.values for event in run.events if event.name == 'error'], [{'name': '"/run/nosuch"', 'retval': '-ENOENT'}], run.out)


SIGNAL = 'p:signal do_send_sig_info sig type to=%2->pid f:type==PIDTYPE_TGID'


@check(*ALL)
def an_enumerator_by_name() -> None:
    def program() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    with tracing(SIGNAL, 'p:every ' + SIGNAL.split(' ', 1)[1].split(' f:')[0]) as run:
        pid = in_child(program)
    values = [event.values for event in run.events if event.pid == pid and event.values['sig'] == '10']
    equal([v['type'] for v in values], ['PIDTYPE_TGID', 'PIDTYPE_TGID', 'PIDTYPE_PID'], run.out)
    equal({v['to'] for v in values}, {str(pid)}, run.out)


SKB = 'p:skb ip_make_skb length=%4 header=%5 to=%6->addr:ip flags=X%9'


@check(*ALL)
def arguments_on_the_stack() -> None:
    with tracing(SKB) as run:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b'x' * 100, socket.MSG_DONTWAIT, ('127.0.0.7', 9))
    equal([event.values for event in run.events], [{'length': '108', 'header': '8', 'to': '127.0.0.7', 'flags': '0x40'}], run.out)


OPEN = 'p:open do_sys_openat2 dfd file=user(filename) flags=X(how->flags)'


@check(*ALL)
def strings_of_the_user() -> None:
    with tracing(OPEN + ' f:file~"/run/hello*"') as run:
        Path('/run/hello there').write_text('')
        Path('/run/other').write_text('')
    equal([event.values for event in run.events], [{'dfd': '-100', 'file': '"/run/hello there"', 'flags': '0x88241'}], run.out)


@check(*ALL)
def functions_of_a_module() -> None:
    file = '!(struct file *)%1' if label.startswith('5.10-') else '%1'      # which has no types of its modules' own
    with tracing(f'p:open overlay:ovl_open name={file}->f_path.dentry->d_name.name:string f:name~"host*"') as run:
        Path('/etc/hostname').read_text()
    equal(run.values('name')[:1], ['"hostname"'], run.out)


@check()
def registers_of_a_system_call() -> None:
    with tracing('p __x64_sys_openat file=user((char *)%0->si) mode=%0->r10 f:file~"/run/*"') as run:
        pid = in_child(lambda: os.open('/run/by call', os.O_CREAT, 0o640))
    equal([event.values for event in run.events if event.pid == pid], [{'file': '"/run/by call"', 'mode': str(0o640)}], run.out)


@check(*ALL)
def arguments_at_return() -> None:
    line = 'r do_sys_openat2 dfd=%0 file=user(filename) fd=$retval'
    with tracing(line + ' f:file~"/run/kept*"') as run:
        fd = os.open('/run/kept', os.O_CREAT)
    equal([event.values for event in run.events], [{'dfd': '-100', 'file': '"/run/kept"', 'fd': str(fd)}], run.out)


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the first table."""
    return [re.split(r' {2,}', line.split(' |')[0].strip()) for line in text.splitlines() if ' |' in line]


@check(*ALL)
def calls_are_counted_by_what_they_were() -> None:
    filters = 'f:comm==badly'
    with tracing(f'p do_faccessat h:user(filename) {filters}') as run:
        in_child(access_badly)
    equal(sorted(rows(run.out)), sorted([['"/nonexistent"', '20'], ['(null)', '10'], ['(fault)', '10']]), run.out)
    contains(run.out, '40 calls')
    with tracing(f'p do_faccessat h:dfd comm sum(dfd) {filters}', 'e syscalls/sys_enter_getppid h:comm',
                 f'p:s do_faccessat h:stack {filters}') as run:
        in_child(access_badly)
        in_child(lambda: (set_comm(b'asking'), [os.getppid() for _ in range(7)]))
    tables = run.out.split('\n\n')
    equal(rows(tables[0]), [['-100', 'badly', '40', '-4000']], run.out)
    equal([row for row in rows(tables[1]) if row[0] == 'asking'], [['asking', '7']], run.out)
    contains(tables[2], '40 |', '    do_faccessat\n', 'do_syscall_64')
    holds('ftrace' not in tables[2], tables[2])
    with tracing(f'p do_faccessat h:log2(mode) step(mode,3) {filters}') as run:
        in_child(lambda: (set_comm(b'badly'), [os.access('/', mode) for mode in (0, 1, 2, 4, 7, 7)]))
    equal(rows(run.out), [['0-1', '0-2', '2'], ['2', '0-2', '1'], ['3-4', '3-5', '1'], ['5-8', '6-8', '2']], run.out)


OF_LOAD = 'f:comm!=python3&&comm!=kthreadd&&comm!=dash'
COUNTED = (
    'p:dfd do_sys_openat2 h:dfd f:comm~*oader', 'p:logs do_sys_openat2 h:log2(dfd) comm sum(dfd) avg(dfd) f:comm==loader',
    'p:steps do_sys_openat2 h:step(dfd,7) cpu common_pid f:comm==loader', 'p:both do_sys_openat2 h:dfd log2(dfd) f:comm==loader',
    'p:sizes vfs_read h:log2(count) sum(count) f:comm==loader', 'p:sums vfs_read h:sum(count) avg(count) f:comm==loader&&count<100000',
    'p:large vfs_read h:step(count,4096) comm f:comm==loader',
    f'p:users wake_up_new_task h:comm users=S%0->mm->mm_users sum(users) {OF_LOAD}',
    f'p:ttys wake_up_new_task h:comm %0->signal->tty->index sum(%0->signal->tty->count) {OF_LOAD}',
    'p:bad do_faccessat h:*(long *)filename f:comm==badly', 'p:odd do_faccessat name=user(filename) h:mode f:name~"/non*"',
    'r:back do_sys_openat2 h:$retval comm f:comm==loader', f'P:own {LIBC}:access h:%1 comm f:comm==loader',
    f'R:done {LIBC}:access h:S$retval f:comm==loader', 'p:pids do_sys_openat2 h:common_pid sum(dfd) f:comm==loader',
    f'e:forks sched/sched_process_fork h:child_pid {OF_LOAD}', 'e raw_syscalls/sys_exit h: f:comm==loader')


def load_for_tables() -> None:
    """Opens, reads and asks for files, with all kinds of numbers."""
    set_comm(b'loader')
    libc, data = ctypes.CDLL(None), ctypes.create_string_buffer(1)
    libc.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    for i in range(300):
        libc.openat(-100 if i % 3 else i % 40, b'/nonexistent', 0)
    nothing = os.open('/dev/null', os.O_RDONLY)
    for size in (0, 1, 2, 3, 4, 5, 100, 4095, 4096, 4097, 70000, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40, 1 << 62,
                 (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1, (1 << 64) - 1):
        libc.read(nothing, data, size)
    for mode in (0, 0, 4, 8):
        libc.access(b'/', mode)


@check('6.1-amd64', '6.12-amd64', '7-amd64')
def tables_are_the_same_whoever_counts() -> None:
    before, lines = snapshot(), COUNTED[:4] if label.startswith('5.10-') else COUNTED
    alone = {'before': lambda: setattr(surftrace, 'MOST_ENTRIES', 0)}
    with script('dash', 'tables.sh') as (process, out), tracing('-b', '8000', *lines, **alone) as ours, tracing(*lines) as theirs:
        in_child(load_for_tables)
        in_child(access_badly)
        in_child(lambda: (set_comm(b' } hitcount: 9'), threads_one_after_another(2)))
        in_child(lambda: (set_comm(b'a\nb, x: 1'), threads_one_after_another(1)))
        if not pty.fork()[0]:
            set_comm(b'terminal')
            threads_one_after_another(2)
            os._exit(0)
        os.wait()
        ours.end(signal.SIGINT), theirs.end(signal.SIGINT), process.send_signal(signal.SIGINT)
        equal(process.wait(120), 0)
    names = re.search(r'counted by the kernel: (.*)', theirs.err)
    wanted = None if label.startswith('5.10-') else [re.split('[:/ ]', line)[2 if line[:2] == 'e ' else 1] for line in lines]
    equal(names and names[1].split(', '), wanted, theirs.err)
    holds('counted by the kernel' not in ours.err, ours.err)
    holds('at least' not in ours.out + theirs.out, ours.out + theirs.out)
    for mine, its, of_script in zip(*(text.split('\n\n') for text in (ours.out, theirs.out, out.read_text()))):
        equal(its, mine)
        if ' |' in mine:
            at = [word in ('calls', 'events') for word in mine.split('\n')[0].split()].index(True)
            equal(sorted(rows(of_script)), sorted(row for row in rows(mine) if row[at] != '0'), of_script)
        else:
            equal([row[1:] for row in rows(of_script)], [re.findall(r' (-?\d+\.?\d*)', mine)], of_script)
    contains(theirs.out, '-100', 'loader')
    if wanted:
        contains(theirs.out, '(null)', '(fault)', f'{(1 << 63) + 1}-{1 << 64}', 'terminal')
    equal([line for line in theirs.err.splitlines() if ' events' in line], [line for line in ours.err.splitlines() if ' events' in line])
    equal(snapshot(), before)


@check('6.1-amd64')
def keys_that_find_no_room_are_said() -> None:
    line = 'p do_sys_openat2 h:dfd f:comm==loader'
    with tracing(line, before=lambda: setattr(surftrace, 'MOST_ENTRIES', 128)) as run:
        in_child(lambda: (set_comm(b'loader'), [ctypes.CDLL(None).openat(i % 200, b'/nonexistent', 0) for i in range(600)]))
    calls = sum(int(row[1]) for row in rows(run.out[:run.out.index('at least')]))
    dropped = re.search(r'^at least: (\d+) with keys that found no room in the kernel$', run.out, re.M)
    holds(dropped, run.out)
    equal(calls + int(dropped[1]), 600, run.out)
    contains(run.err, f'f0 {calls} events, {dropped[1]} with keys that found no room')
    before = snapshot()
    with tracing(line, before=lambda: setattr(surftrace, 'SMALLEST_HISTOGRAM', 1 << 20)) as run:    # more than one may have
        in_child(lambda: (set_comm(b'loader'), [ctypes.CDLL(None).openat(i % 3, b'/nonexistent', 0) for i in range(60)]))
    contains(run.err, 'note: not counted by the kernel, which refuses a histogram: Invalid argument', 'f0 60 events, none lost')
    equal(rows(run.out), [['0', '20'], ['1', '20'], ['2', '20']])
    equal(snapshot(), before)


@check('7-amd64')
def tables_of_the_kernel_in_between() -> None:
    def ask(times: int) -> None:
        in_child(lambda: (set_comm(b'loader'), [ctypes.CDLL(None).openat(i % 3, b'/nonexistent', 0) for i in range(times)]))
    line, asked = 'p do_sys_openat2 h:dfd sum(dfd) f:comm==loader', []
    with tracing('-i', '0.4', line) as run:
        while run.out.count(' calls\n') < 5:
            asked.append(100 + len(asked))
            ask(asked[-1])
    tables = re.findall(r'^(\d+) calls$', run.out, re.M)
    holds(len([table for table in tables if table != '0']) > 2, run.out)
    equal(sum(map(int, tables)), sum(asked), run.out)
    each = [row for row in map(str.split, run.out.splitlines()) if len(row) in (3, 4) and row[0] in '012']
    equal(sum(int(row[1]) for row in each), sum(map(int, tables)), run.out)
    holds(all(int(row[2]) == int(row[0]) * int(row[1]) for row in each), run.out)
    with tracing(line) as run:
        ask(300)
        os.kill(run.pid, signal.SIGQUIT)
        wait_until(lambda: '300 calls' in run.out, what='the table')
        ask(30)
    contains(run.out, '330 calls')


@check('6.1-amd64', '6.12-amd64')
def histograms_of_a_killed_run_are_swept() -> None:
    before, lines = snapshot(), ('p do_sys_openat2 h:comm log2(dfd)', 'p wake_up_new_task h:S%0->mm->mm_users')
    killed = Run(*lines)
    killed.wait_for('counted by the kernel')
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(killed.ended)
    holds(f'surftrace_{killed.pid}' in snapshot()['instances'])
    with tracing(*lines) as run:
        pass
    contains(run.err, f'removed what the killed run surftrace_{killed.pid}_')
    equal(snapshot(), before)


@check('5.10-amd64', '6.1-amd64')
def a_script_that_counts_leaves_nothing() -> None:
    before, line = snapshot(), 'p do_sys_openat2 h:comm log2(dfd)'
    if label.startswith('5.10-'):
        try:
            with script('busybox', 'pair.sh'):
                pass
        except AssertionError as failure:
            contains(str(failure), 'this kernel has no histograms (CONFIG_HIST_TRIGGERS, Linux 5.14): it cannot count by itself\n')
        equal((snapshot(), Path('/run/busybox.out').read_text()), (before, ''))
        return
    with script('busybox', 'pair.sh') as (process, _):
        process.kill()
        wait_until(lambda: snapshot() == before, 'its end')
    with script('busybox', 'pair.sh') as (process, _):
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: f'surftrace_{process.pid}_' in snapshot()['instances'], 'its rest')
    with tracing(line) as run:
        pass
    contains(run.err, f'removed what the killed run surftrace_{process.pid}_')
    equal(snapshot(), before)


def napping(seconds: list[float]) -> list[float]:
    """Sleeps so, and says how long it took by its own clock. Python's own sleep ends at a time that it reads before, so
    it may have less left when it comes to the kernel."""
    set_comm(b'napper')
    sleep = ctypes.CDLL(None).usleep
    times = []
    for each in seconds:
        start = time.monotonic()
        sleep(int(each * 1e6))
        times.append(time.monotonic() - start)
    return times


@check(*ALL)
def returns_know_their_calls() -> None:
    naps = [0.001, 0.04, 0.002, 0.09, 0.003]
    reader, writer = os.pipe()
    line = 'hrtimer_nanosleep $retval $dur f:comm==napper'
    with tracing(f'r:all {line}', f'r:slow {line}&&dur>30ms',
                 'r:counted hrtimer_nanosleep h:comm log2($dur) f:comm==napper&&dur<1s') as run:
        in_child(lambda: os.write(writer, ' '.join(map(str, napping(naps))).encode()))
    took = [float(text) for text in os.read(reader, 1000).decode().split()]
    units = {'us': 1e-6, 'ms': 1e-3, 's': 1.0}
    found = re.findall(r': (all|slow): .* dur=([\d.]+)(us|ms|s)$', run.out, re.M)
    times = [float(number) * units[unit] for name, number, unit in found if name == 'all']
    equal(len(times), len(naps), run.out)
    for asked, dur, own in zip(naps, times, took):
        holds(asked * 0.7 < dur < own * 1.3 + 0.005, (asked, dur, own, run.out))    # by another clock
    equal(len([name for name, *_ in found if name == 'slow']), len([dur for dur in times if dur > 0.03]), run.out)
    equal(sum(int(row[-1]) for row in rows(run.out)), len(naps), run.out)
    holds('returns of' not in run.err, run.err)


WITH_HISTOGRAMS = ('6.1-amd64', '6.12-amd64', '7-amd64')


@contextlib.contextmanager
def calls_recorded(pid: int) -> Iterator[None]:
    """The entries and returns of a run or script that leaves pairs of them to the kernel are recorded too."""
    group, = (path.name for path in TRACEFS.glob(f'instances/surftrace_{pid}_*'))
    events = f'instances/{group}/events/{group}'
    put(f'{events}/f0/filter', 'comm=="napper"')
    for on in '10':
        for event in ('f0_in', 'f0'):
            put(f'{events}/{event}/enable', on)
        if on == '1':
            yield


@contextlib.contextmanager
def counted_twice(line: str) -> Iterator[Run]:
    """A run by which the kernel counts times of calls (h:$dur); surftrace counts those that are recorded once more, by the
    same clock: each row has to come out even."""
    with tracing(line) as run:
        wait_until(lambda: 'counted by the kernel: f0' in run.err, what='the kernel to count')
        with calls_recorded(run.pid):
            yield run
    holds('at least' not in run.out or 'missed' in run.out, run.out)
    equal([row for row in rows(run.out) if int(row[-1]) % 2], [], run.out)


def calls(run: Run) -> int:
    """How many are in its table."""
    return sum(int(row[-1]) for row in rows(run.out))


def sort_in_a_sort(depth: int) -> None:
    """Calls qsort(), whose comparison calls qsort(), and so on, DEPTH deep."""
    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    def compare(*_: object) -> int:
        if depth > 1:
            sort_in_a_sort(depth - 1)
        return 0
    ctypes.CDLL(None).qsort(ctypes.create_string_buffer(2 * depth), 2, depth, compare)


@check(*WITH_HISTOGRAMS)
def pairs_of_the_kernel_are_those_of_surftrace() -> None:
    with counted_twice('r hrtimer_nanosleep h:comm S$retval $dur f:comm==napper&&dur>=2ms&&dur<2s') as run:
        in_child(lambda: napping([0.001, 0.002, 0.003] * 8))
    equal({row[0] for row in rows(run.out)}, {'napper'}, run.out)
    holds(calls(run) >= 2 * 8 and all(int(row[2]) >= 2000 for row in rows(run.out)), run.out)
    with counted_twice(f'R {LIBC}:qsort size=%2:u64 h:size $dur f:comm==napper') as run:
        in_child(lambda: (set_comm(b'napper'), [sort_in_a_sort(3) for _ in range(20)]))
    equal([sum(int(row[-1]) for row in rows(run.out) if row[0] == size) for size in '123'], [40] * 3, run.out)
    outer, inner = (sum(int(row[1]) * int(row[2]) for row in rows(run.out) if row[0] == size) for size in '31')
    holds(outer > inner, run.out)


def pair_line(label: str) -> str:
    """What pair.sh of the folder counts."""
    if label.startswith('6.12-'):
        return f'R {LIBC}:qsort size=%2:u64 h:size $dur f:comm==napper'
    return 'r hrtimer_nanosleep h:comm S$retval $dur f:comm==napper&&dur>=2ms&&dur<2s'


@check('6.12-amd64', '7-amd64')
def pairs_of_a_script_are_those_of_surftrace() -> None:
    def calls() -> None:
        napping([0.001, 0.002, 0.003] * 4)
        [sort_in_a_sort(3) for _ in range(9)]
    with script('busybox', 'pair.sh') as (process, out), script('dash', 'pair.sh') as (other, table):
        with calls_recorded(process.pid):
            in_child(calls)
            with tracing('p do_sys_openat2 h:') as run:     # which leaves these two alone
                pass
        holds('removed' not in run.err, run.err)
        for each in (process, other):
            each.send_signal(signal.SIGINT)
        equal([each.wait(120) for each in (process, other)], [0, 0])

    def of_records(options: object, events: object, run: object, machine: surftrace.Machine, *_: object) -> None:
        decoder = surftrace.Decoder(surftrace.make_events([surftrace.parse_probe(pair_line(label))], machine._replace(seal=0)))
        decoder.block(out.read_bytes()[:out.read_bytes().index(b'calls\n')].rpartition(b'\n')[0] + b'\n')
        decoder.finish()
        print(decoder.counting.text())
    found = said(pair_line(label), status=0, before=lambda: setattr(surftrace, 'trace_events', of_records))
    holds(len(rows(found)) > 5, found)
    equal(sorted(rows(out.read_text())), sorted(rows(found)), out.read_text())
    calls_of = sum(int(row[-1]) for row in rows(table.read_text()))
    holds(calls_of == 27 if label.startswith('6.12-') else 4 <= calls_of <= 12, table.read_text())   # those of 3 ms, by another clock
    holds('at least' not in out.read_text() + table.read_text(), out.read_text())


@check('6.12-amd64')
def pairs_that_find_no_room_are_said() -> None:
    line = f'R {LIBC}:qsort size=%2:u64 h:size f:dur>=0us&&comm==napper'
    with tracing(line, before=lambda: setattr(surftrace, 'MOST_ENTRIES', 128)) as run:
        [in_child(lambda: (set_comm(b'napper'), sort_in_a_sort(60))) for _ in range(3)]
    lost = re.search(r'^at least: up to (\d+) with keys that found no room in the kernel$', run.out, re.M)
    holds(lost and int(lost[1]) >= 3 * 60 - 128, run.out)
    equal(calls(run) + int(lost[1]), 3 * 60, run.out)      # type: ignore[index]
    with tracing('r hrtimer_nanosleep h:$dur f:comm==napper', before=lambda: setattr(surftrace, 'MOST_ENTRIES', 128)) as run:
        in_child(lambda: napping([0.001] * 3))
    holds(re.search(r'note: times are not counted by the kernel: it has no room for the calls of \d+ tasks\n', run.err), run.err)
    equal(calls(run), 3, run.out)


@check(*FULL)
def pairs_of_killed_runs_are_swept() -> None:
    """Killed behind each change that makes them; what undoes these goes the same way back. So does a run that ends there."""
    before = snapshot()

    def refuse(step: object, error: Exception) -> None:
        raise error

    def killed(options: object, events: list[surftrace.Event], run: surftrace.Run, machine: object,
               tracefs: surftrace.Tracefs, *_: object) -> None:
        run = run._replace(entries=512, tasks=0)
        names = [step.do.text[:2] for step in surftrace.plan(events, run)]
        for count in range(names.index('s:') + 1, len(names) + 1):
            if not os.fork():
                own = run._replace(group=surftrace.claim(tracefs, str).group)
                for step in surftrace.plan(events, own)[:count]:
                    tracefs.write(step.do)
                os.kill(os.getpid(), signal.SIGKILL)
            os.wait()
        left = tracefs.read('dynamic_events').count('s:synthetic/surftrace_')
        surftrace.note(f'{left} left, {len(set(surftrace.sweep(tracefs)))} swept')
        for count in range(names.index('s:') + 1, len(names) + 1):
            instance, undone = surftrace.claim(tracefs, str), {}        # type: ignore[var-annotated]
            steps = surftrace.plan(events, run._replace(group=instance.group))
            with surftrace.session(tracefs, instance, steps, str, refuse, iter([False] * count + [True]).__next__, lambda _: None, undone):
                pass
            equal(set(undone.values()), {''}, str(undone))
    said_ = said('r hrtimer_nanosleep h:comm $dur f:dur>1us', status=0, before=lambda: setattr(surftrace, 'trace_events', killed))
    contains(said_, '4 left, 4 swept')
    equal(snapshot(), before)


@check('7-amd64')
def the_end_of_a_run_is_no_end_of_a_call() -> None:
    """What returns behind it would have its time by another clock: tracing is off, and histograms go on."""
    def slowly() -> None:
        drain = surftrace.Stream.drain
        surftrace.Stream.drain = lambda *given: (time.sleep(2.5), drain(*given))    # type: ignore[assignment, func-returns-value]
    reader, writer = os.pipe()
    with tracing('r hrtimer_nanosleep h:$dur f:comm==napper', before=slowly) as run:
        pid = os.fork()
        if not pid:
            napping([0.1])
            os.write(writer, b'x')
            napping([2.0])
            os._exit(0)
        os.read(reader, 1)
    os.waitpid(pid, 0)
    equal(len(rows(run.out)), 1, run.out)


@check('5.10-amd64', '6.1-amd64', '7-amd64')
def a_missed_return_makes_no_wrong_pair() -> None:
    count = 60
    counting = contextlib.nullcontext if label.startswith('5.10-') else counted_twice

    def program() -> None:
        set_comm(b'napper')
        threads = [threading.Thread(target=lambda: (time.sleep(1.0), time.sleep(0.001))) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with tracing('r2 hrtimer_nanosleep $dur f:comm==napper') as run, \
            counting('r2 hrtimer_nanosleep h:$dur f:comm==napper') as table:
        in_child(program)
    times = re.findall(r' dur=([\d.]+)(us|ms|s)$', run.out, re.M)
    missed = re.search(r'missed by the probes: .*f0 (\d+)', run.err)
    holds(missed and int(missed[1]) >= count // 3, run.err)
    equal(len(times) + int(missed[1]), 2 * count, run.err)      # type: ignore[index]
    if isinstance(table, Run):
        missed = re.search(r'missed by the probes: .*f0 (\d+)', table.err)
        equal(calls(table) // 2 + int(missed[1]), 2 * count, table.err)     # type: ignore[index]


@check()
def calls_are_a_tree() -> None:
    def program() -> None:
        set_comm(b'opener')
        for path in ('/proc/version', '/nonexistent'):
            with contextlib.suppress(FileNotFoundError), open(path, 'rb', buffering=0):
                pass

    def shown(*lines: str) -> list[str]:
        with tracing('-t', *lines) as run:
            in_child(program)
        text = re.sub(r'  [\d.]+(us|ms|s)$', '  TIME', re.sub('= 0xff[0-9a-f]+', '= POINTER', run.out), flags=re.M)
        return re.findall(r'^ +opener-\d+ .*?\d\.\d{6}: (.*)$', re.sub(r'= \d+\b', '= FILE', text), re.M)
    inner = 'do_file_open' if label.startswith('7') else 'do_filp_open'
    equal(shown('p do_sys_openat2 filename=user(filename)', f'p {inner} %1->name', 'r vfs_open'), [
        '-> do_sys_openat2(filename="/proc/version")', f'  -> {inner}(name="/proc/version")', '    <- vfs_open',
        f'  <- {inner} = POINTER  TIME', '<- do_sys_openat2 = FILE  TIME', '-> do_sys_openat2(filename="/nonexistent")',
        f'  -> {inner}(name="/nonexistent")', f'  <- {inner} = POINTER  TIME', '<- do_sys_openat2 = -2  TIME'])
    equal(shown('p do_sys_openat2 filename=user(filename) f:filename~"/nonex*"'), [
        '-> do_sys_openat2(filename="/nonexistent")', '<- do_sys_openat2 = -2  TIME'])


GLOBAL = 'p:global __x64_sys_getppid timeout=@panic_timeout:s32 same=@panic_timeout+0:u32 pids=@max_threads:s32'


@check(*ALL)
def globals_of_the_kernel() -> None:
    with tracing(GLOBAL) as run:
        os.getppid()
    timeout, threads = (Path('/proc/sys/kernel', name).read_text().strip() for name in ('panic', 'threads-max'))
    equal(timeout, '-1')    # as the guest was booted
    equal(run.events[0].values, {'timeout': timeout, 'same': '4294967295', 'pids': threads}, run.out)


@check('6.1-amd64')
def patterns_of_functions() -> None:
    with tracing('p tcp_sendm*', 'r vfs_rea* n=$retval f:n==777') as run:
        send_tcp(10)
        with open('/run/777', 'w+b', buffering=0) as file:
            file.write(bytes(777))
            file.seek(0)
            file.read(1000)
    names = {event.name for event in run.events}
    holds({'f0_tcp_sendmsg', 'f0_tcp_sendmsg_locked', 'f1_vfs_read'} <= names, run.out)
    equal({value for event in run.events if event.name[:2] == 'f1' for value in event.values.values()}, {'777'}, run.out)


@check(*ALL)
def one_event_at_several_places() -> None:
    with tracing('p:io __x64_sys_getppid who=$comm', 'p:io __x64_sys_getpgrp who=$comm') as run:
        os.getppid()
        os.getpgrp()
    # which of the names of an address the kernel shows is its affair
    equal(re.findall(r'io: \(__\w+_sys_(\w+)\+', run.out), ['getppid', 'getpgrp'], run.out)


@check(*ALL)
def an_event_probe() -> None:
    line = 'e sched/sched_process_fork child=child_pid who=child_comm'
    if label.startswith('5.10-'):
        contains(said(line, status=1), 'no event probes')
        return
    with tracing(line) as run:
        pid = in_child(lambda: None)
    equal([event.values['child'] for event in run.events if event.pid == os.getpid()], [str(pid)], run.out)


# Words of newer kernels

SHRINK = 'shrink nr_objects_to_shrink cache_items delta total_scan priority'.split()
SHRUNK = re.compile(r'objects to shrink (\d+) .* cache items (\d+) delta (\d+) total_scan (\d+) priority (\d+) *$', re.M)


@check('6.12-amd64', '7-amd64')
def a_raw_tracepoint_has_what_its_event_is_made_of() -> None:
    """Also behind the arguments in registers, of which mm_shrink_slab_start has too many."""
    fork = 'sched_process_fork parent->pid child=child->pid child->comm kernel=child->mm->mm_users'
    with tracing('e sched/sched_process_fork', 'e vmscan/mm_shrink_slab_start', f't:fork {fork}',
                 f't:shrink mm_shrink_slab_start {" ".join(SHRINK[1:])}', 't:some task_newtask task->pid task->comm f:comm~"kw*"',
                 't:switch sched_switch next->pid',
                 't:count sched_process_exit h:comm') as run:
        pids = [in_child(lambda: set_comm(b'known')) for _ in range(10)]
        start_kernel_threads()
        Path('/proc/sys/vm/drop_caches').write_text('2')
    ours = [event.values for event in run.events if event.name == 'fork']
    theirs = [event.values for event in run.events if event.name == 'sched_process_fork']
    equal([(e['pid'], e['child'], e['comm'].strip('"')) for e in ours], [(e['pid'], e['child_pid'], e['child_comm']) for e in theirs])
    holds({str(pid) for pid in pids} <= {e['child'] for e in ours}, run.out)
    equal({e['kernel'] for e in ours if e['pid'] == '2'}, {'(null)'}, run.out)
    of_events = [tuple(map(int, match)) for match in SHRUNK.findall(run.out)]
    raw = [tuple(int(event.values[name]) for name in SHRINK[1:]) for event in run.events if event.name == 'shrink']
    equal(raw, of_events, run.out)
    holds(len({one[3:] for one in raw}) > 1, raw)
    some = [event.values['comm'] for event in run.events if event.name == 'some']
    holds(all(comm.startswith('"kw') for comm in some), some)
    switches = [event for event in run.events if event.name == 'switch']
    holds(switches, run.out)
    equal([event for event in switches if event.values['pid'] == str(run.pid) and event.pid == 0], [], run.out)
    equal([int(row[1]) for row in rows(run.out) if row[0] == 'known'], [10], run.out)


def as_another_user() -> None:
    set_comm(b'known')
    os.setuid(1234)
    os.getppid()


@check('7-amd64')
def the_running_task_and_processor() -> None:
    task = 'uid=$current->cred->uid.val $current->tgid name=$current->comm parent=$current->real_parent->tgid'
    here = ('cpu=this_cpu_read(@cpu_number) task=this_cpu_read(@current_task)->pid count=this_cpu_read(@runqueues.nr_running) '
            'curr=this_cpu_ptr(&@runqueues)->curr->pid')
    with tracing(f'p:entry __x64_sys_getppid {task} {here} f:uid==1234', f'r:back __x64_sys_getppid {task} {here} f:uid==1234',
                 f't:raw sys_enter nr=id {task} {here} f:uid==1234&&nr==110',
                 'p:lo loopback_xmit dev->name sent=this_cpu_ptr(dev->lstats)->packets:u64') as run:
        pid = in_child(as_another_user)
        sent = int(Path('/proc/net/dev').read_text().split('lo:')[1].split()[9])
        send_udp(b'one')
    mine = {event.name: event.values for event in run.events if event.pid == pid}
    wanted = {**dict.fromkeys(('tgid', 'task', 'curr'), str(pid)), 'uid': '1234', 'name': '"known"', 'parent': str(os.getpid()), 'cpu': '0'}
    equal(sorted(mine), ['back', 'entry', 'raw'], run.out)
    for values in mine.values():
        equal({name: values[name] for name in wanted}, wanted, run.out)
        holds(1 <= int(values['count']) < 20, values)
    equal([event.values for event in run.events if event.name == 'lo'][0], {'name': '"lo"', 'sent': str(sent)}, run.out)


@check('6.1-amd64', '6.12-amd64')
def what_this_kernel_has_no_word_for_is_refused() -> None:
    asked = {'p do_exit $current->pid': 'no $current (Linux 7.3)', 'p do_exit this_cpu_read(runqueues.nr_running)': '(Linux 7.3)'}
    asked.update({'t sched_switch prev->pid': 'Linux 6.5'} if label.startswith('6.1-') else {})
    for line, reason in asked.items():
        contains(said(line, status=2), reason, '^~~~')
    if label.startswith('6.12-'):
        contains(said('t:one sched_switch', 't:two sched_switch', status=1), 'has a probe already, and this kernel takes one at a time')


# Made outside, by DWARF

DWARF = (
    'p:at_line do_sys_openat2:3 dfd f:dfd==-100',
    'p:in_file m_start@fs/namespace.c position=*%1',
    'p:typed __x64_sys_getppid @panic_timeout',
    STATUS.replace('p:status', 'p:by_dwarf'),
    'p:copies mmap_read_lock mm',
)


@check()
def lines_of_the_source() -> None:
    with tracing(prepared('at_line')) as run:
        pid = in_child(lambda: os.open('/run', os.O_RDONLY))
    equal([event.values for event in run.events if event.pid == pid], [{'dfd': '-100'}], run.out)
    holds(not re.search(r'\(do_sys_openat2\+0x0/', run.out), run.out)


@check()
def the_function_of_a_file() -> None:
    with tracing(prepared('in_file')) as run:
        Path('/proc/modules').read_bytes()
        equal(run.events, [])
        Path('/proc/self/mounts').read_bytes()
        wait_until(lambda: run.events, 'an event')
    equal(run.values('position')[0], '0', run.out)


@check()
def a_global_has_its_type() -> None:
    with tracing(prepared('typed')) as run:
        os.getppid()
    equal(run.events[0].values, {'panic_timeout': '-1'}, run.out)


@check('6.1-amd64')
def dwarf_inside() -> None:
    vmlinux = f'{os.environ["KERNEL"]}/vmlinux'
    run = Run('-v', vmlinux, '-m', 'dwarf', 'p m_start@fs/namespace.c position=*%1')
    run.wait_for('surftrace: tracing')
    Path('/proc/self/mounts').read_bytes()
    equal(run.end(signal.SIGINT).status, 0, run.err)
    equal(run.values('position')[:1], ['0'], run.out)


@check()
def the_kernel_takes_no_probe_where_it_rewrites_its_code() -> None:
    for place in on_jump_labels():
        refused(f'p:on_jump_label {place}')


def on_jump_labels() -> list[str]:
    """FUNC+OFF of 60 jump labels and static calls, all over the kernel, that were found outside."""
    return (folder / 'jump.labels').read_text().split()


def refused(definition: str) -> None:
    """Requires that the kernel refuses a DEFINITION."""
    try:
        descriptor = os.open(TRACEFS / 'kprobe_events', os.O_WRONLY | os.O_APPEND)
        with open(descriptor, 'wb', buffering=0) as file:
            file.write(definition.encode())
    except OSError:
        return
    raise AssertionError(f'the kernel takes {definition}')


@check('7-amd64')
def a_refused_place_costs_no_more_than_that_place() -> None:
    before, places = snapshot(), on_jump_labels()[::20]
    run = Run('p:x __x64_sys_getppid', *(f'p:x {place}' for place in places))
    run.wait_for('surftrace: tracing')
    os.getppid()
    equal(run.end(signal.SIGINT).status, 0, run.err)
    holds(run.events, run.err)
    contains(run.err, f'3 of the 4 places of \'__x64_sys_getppid\' are left out ({", ".join(places)}), the kernel refuses them: ')
    text = said(*(f'p:x {place}' for place in places), status=2)
    contains(text, 'the kernel refuses', places[2])
    for ours, status in ((['p:x __x64_sys_getppid'], 0), ([], 1)):
        said('-o', '/run/places.sh', '-d', '0.5', '--force', *ours, *(f'p:x {place}' for place in places), status=0)
        done = subprocess.run(['sh', '/run/places.sh'], capture_output=True, text=True)
        equal((done.returncode, done.stderr.count('left out, the kernel refuses it: p:surftrace_')), (status, 3), done.stderr)
        contains(done.stderr, 'tracing' if ours else "the kernel takes no place of 'x'")
    equal(snapshot(), before, text)


@check('6.1-amd64')
def copies_on_a_jump_label_are_left_out() -> None:
    """Outside: here the kernel takes all others."""
    copies = [line for line in (folder / 'dwarf.lines').read_text().splitlines() if line.startswith('p:copies ')]
    holds(copies)
    with tracing(*copies) as run:
        pass
    holds('left out' not in run.err, run.err)


@check('6.1-amd64')
def the_fields_of_system_calls_are_those_of_the_format_files() -> None:
    """Those that surftrace has found outside."""
    said = json.loads((folder / 'syscalls').read_text())
    folders = sorted((TRACEFS / 'events/syscalls').glob('sys_*'))
    wanted = {event.name: [' '.join(line.split()) for line in (event / 'format').read_text().splitlines()
                           if line.startswith('\tfield:') and ' common_' not in line] for event in folders}
    equal([(name, said.get(name), fields) for name, fields in wanted.items() if said.get(name) != fields][:3], [])
    holds(len(folders) > 500, folders)


# Whatever ends a run, nothing is left


QUIET = 'p:quiet __x64_sys_getppid'


@check('6.1-amd64')
def signals_end_it_in_order() -> None:
    before = snapshot()
    for when, signals in (('surftrace: tracing', (signal.SIGINT,)), ('surftrace: tracing', (signal.SIGTERM,)),
                          ('surftrace: tracing', (signal.SIGHUP,)), ('surftrace: tracing', (signal.SIGINT, signal.SIGINT)),
                          ('mkdir', (signal.SIGINT,)), ('kprobe_events', (signal.SIGTERM,))):
        run = Run(QUIET, 'e sched/sched_process_fork')
        run.wait_for(when)
        equal(run.end(*signals).status, 0, f'{signals} {run.err}')
        equal(snapshot(), before, f'after {signals}')


@check('7-amd64')
def it_ends_by_itself() -> None:
    said('-d', '0.2', QUIET, status=0)
    run = Run('-n', '3', QUIET)
    run.wait_for('surftrace: tracing')
    for _ in range(5):
        os.getppid()
    equal(run.end().status, 0, run.err)
    equal(len(run.events), 3, run.out)


@check()
def a_closed_pipe_ends_it() -> None:
    reader, writer = os.pipe()
    run = Run(QUIET, stdout=writer)
    os.close(writer)
    run.wait_for('surftrace: tracing')
    os.close(reader)            # and nothing happens that could be written
    equal(run.end().status, 0, run.err)


@check('6.1-amd64')
def the_program_into_head() -> None:
    command = f"{{ '{sys.executable}' -m surftrace -m btf '{QUIET}'; echo $? >/run/status; }} 2>/run/said | head -n 3"
    Path('/run/said').write_text('')
    with subprocess.Popen(['sh', '-c', command], stdout=subprocess.PIPE) as shell:
        with contextlib.suppress(AssertionError):       # the shell is waited for all the same
            wait_until(lambda: 'surftrace: tracing' in Path('/run/said').read_text(), 'tracing')
        for _ in range(5):
            os.getppid()
        assert shell.stdout
        equal(len(shell.stdout.read().splitlines()), 3)
    equal([Path('/run/status').read_text().strip(), 'Traceback' in Path('/run/said').read_text()], ['0', False])


@check('6.1-amd64')
def messages_that_cannot_be_written_stop_nothing() -> None:
    before = snapshot()
    for lines in (1, 5, 7):             # at the making of the instance, at the definition, when it traces
        reader, writer = os.pipe()
        run = Run('-d', '0.5', QUIET, stderr=writer)
        os.close(writer)
        with open(reader) as messages:
            holds(all(messages.readline() for _ in range(lines)))
        equal((run.end().status, snapshot()), (0, before))
    run = Run(QUIET)
    run.wait_for('surftrace: tracing')
    subprocess.run(['umount', '-l', str(TRACEFS)], check=True)
    equal(run.end(signal.SIGINT).status, 0, run.err)
    subprocess.run(['mount', '-t', 'tracefs', 'tracefs', str(TRACEFS)], check=True)
    equal(snapshot(), before)


@check(*ALL)
def an_error_half_way() -> None:
    for function, reason in (('get_kprobe', 'blacklist'), ('trace_clock_local', 'notrace')):
        run = Run('p:good __x64_sys_getppid', f'p:bad {function}').end()
        holds(run.status in (1, 2), run.status)
        contains(run.err, function, reason)


@check(*ALL)
def what_a_killed_run_left_is_swept() -> None:
    before = snapshot()
    killed = Run(QUIET)
    killed.wait_for('surftrace: tracing')
    os.kill(killed.pid, signal.SIGKILL)
    wait_until(killed.ended)
    holds(f'surftrace_{killed.pid}' in snapshot()['instances'])
    with tracing(QUIET, before=lambda: setattr(surftrace, 'sweep', lambda tracefs: [])) as living:      # sweeps nothing itself
        holds(f'surftrace_{killed.pid}' in snapshot()['instances'])
        with tracing(QUIET) as third, tracing(QUIET) as fourth:
            equal(re.sub(r'_[0-9a-f]{8}\b', '', snapshot()['instances']),
                  ' '.join(sorted(f'surftrace_{run.pid}' for run in (living, third, fourth))) + ' theirs')
            os.getppid()
        os.getppid()
    contains(third.err, f'removed what the killed run surftrace_{killed.pid}_')
    equal([len(run.events) for run in (living, third, fourth)], [2, 1, 1], living.out)
    equal(snapshot(), before)


# Where every hit went


@check(*ALL)
def a_record_larger_than_a_page_of_the_buffer() -> None:
    path = '/' * 4080 + 'etc/passwd'

    def program() -> None:
        for name in (path, '/etc/group', path):
            os.close(os.open(name, os.O_RDONLY))
    with tracing('p do_sys_openat2 file=user(filename)') as run:
        pid = in_child(program)
    shown = [event.values['file'] for event in run.events if event.pid == pid and event.values['file'] in (f'"{path}"', '"/etc/group"')]
    large = label == '7-amd64'                                          # has larger pages, and heeds them
    equal(shown, [f'"{path}"', '"/etc/group"', f'"{path}"'] if large else ['"/etc/group"'], run.err)
    left = re.search(r'up to (\d+) of (\d+) hits are not shown, in surftrace itself or larger than', run.err)
    holds(left and int(left[1]) >= 2 - 2 * large and int(left[2]) - int(left[1]) == len(run.events), run.err)
    holds('none lost' not in run.err, run.err)


@check(*ALL)
def what_return_probes_missed_at_any_of_several_places() -> None:
    with tracing('r1:back hrtimer_nanosleep', 'r1:back __x64_sys_getppid') as run:
        sleepers = [threading.Thread(target=time.sleep, args=(1.0,)) for _ in range(5)]
        for sleeper in sleepers:
            sleeper.start()
        for sleeper in sleepers:
            sleeper.join()
        os.getppid()
    missed = re.search(r'missed by the probes: back (\d+)$', run.err, re.M)
    holds(missed and int(missed[1]) >= 2, run.err)


@check('5.10-amd64', '7-amd64')
def two_runs_do_not_read_each_others_hits() -> None:
    with tracing(QUIET.replace('quiet', 'same')) as busy:
        for _ in range(50):
            os.getppid()
        with tracing('p:same __x64_sys_sethostname') as idle:
            idle.wait_for('nothing yet')
        with tracing('p:same __x64_sys_getppid f:common_pid==1') as filtered:
            for _ in range(7):
                os.getppid()
            filtered.wait_for('nothing yet')
    holds('were hit' not in idle.err, idle.err)
    contains(filtered.err, 'the probes were hit 7 times, stopped by the filter or in surftrace itself')
    equal(len(busy.events), 57, busy.err)


@check(*ALL)
def what_surftrace_does_itself_is_left_out() -> None:
    for options in [], ['--self']:
        with tracing(*options, 'p ksys_write', 'r:back vfs_read', 'e raw_syscalls/sys_enter') as run:
            children = Path(f'/proc/{run.pid}/task/{run.pid}/children').read_text()
            pid = in_child(lambda: os.write(os.open(os.devnull, os.O_WRONLY), b'x'))
            wait_until(lambda pid=pid: f'-{pid} ' in run.out, 'its events')     # which surftrace has read and written
        own = {run.pid, int(children)}
        equal({event.name for event in run.events if event.pid == pid}, {'f0', 'sys_enter'}, run.err)
        equal({event.name for event in run.events if event.pid in own} != set(), bool(options), run.err)


# Scripts


@contextlib.contextmanager
def script(shell: str, name: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A script of the folder, tracing in that shell without any Python in reach; and what it prints."""
    tools = Path('/run/tools')
    tools.mkdir(exist_ok=True)
    for tool in ('sh', 'dd', 'sed', 'ls', 'mkdir', 'rmdir', 'id', 'awk', 'sleep', 'mount', 'mkfifo', 'rm'):
        with contextlib.suppress(FileExistsError):
            (tools / tool).symlink_to(shutil.which(tool) or tool)
    out, err = Path(f'/run/{shell}.out'), Path(f'/run/{shell}.err')
    command = [*([shutil.which('busybox'), 'sh'] if shell == 'busybox' else [shutil.which(shell)]), str(folder / name)]
    with open(out, 'wb') as to_out, open(err, 'wb') as to_err, \
            subprocess.Popen(command, stdout=to_out, stderr=to_err, env={'PATH': str(tools)}, start_new_session=True) as process:
        wait_until(lambda: b'tracing' in err.read_bytes() or process.poll() is not None, 'the script')
        if process.poll() is not None:
            raise AssertionError(err.read_text())
        yield process, out
    equal([line for line in err.read_text().splitlines() if not line.startswith('tracing')], [])


@check('6.1-amd64')
def scripts_in_three_shells() -> None:
    before = snapshot()
    for shell, number in (('busybox', signal.SIGINT), ('dash', signal.SIGTERM), ('bash', signal.SIGHUP),
                          ('busybox', signal.SIGTERM), ('dash', signal.SIGINT)):
        with script(shell, 'script.sh') as (process, out):
            pid = in_child(lambda: threads_one_after_another(4))
            wait_until(lambda: 'users=3' in out.read_text(), f'an event in {shell}')
            process.send_signal(number)
            equal(process.wait(120), 0, f'{shell} {number}')
        text = out.read_text()
        equal(re.findall(rf'-{pid} .* users=(\d+)', text), ['2', '3'], f'{shell}: {text}')
        holds(re.search(r' users=2 ptr1=0xff\w+ ptr2=0xff\w+$', text, re.M), text)
        equal(snapshot(), before, f'{shell} {number}')


@check()
def a_script_ends_by_itself() -> None:
    before = snapshot()
    with script('busybox', 'one_second.sh') as (process, out):
        in_child(lambda: threads_one_after_another(1))
        equal(process.wait(120), 0)
    contains(out.read_text(), 'users=2')
    equal(snapshot(), before)


# Options


def family() -> None:
    """Opens a file in a child, in a thread that is born now, and in itself."""
    in_child(lambda: Path('/run/by-child').write_text(''))
    thread = threading.Thread(target=lambda: Path('/run/by-thread').write_text(''))
    thread.start()
    thread.join()
    Path('/run/by-main').write_text('')


@check()
def only_a_process_and_its_threads() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1,))
    for options, shown in (((), ['thread', 'main']), (('-n', '1'), ['thread']), (('-c',), ['child', 'thread', 'main'])):
        pid = os.fork()
        if not pid:
            signal.sigwait((signal.SIGUSR1,))
            family()
            os._exit(0)
        run = Run('-p', str(pid), *options, 'p do_sys_openat2 file=user(filename) f:file~"/run/by-*"')
        run.wait_for('surftrace: tracing')
        os.kill(pid, signal.SIGUSR1)
        equal(os.waitpid(pid, 0)[1], 0)
        Path('/run/by-somebody-else').write_text('')
        run.end(*(() if '-n' in options else (signal.SIGINT,)))
        equal(run.values('file'), [f'"/run/by-{name}"' for name in shown], f'{options} {run.out}')


@check('6.1-amd64')
def options_of_the_command() -> None:
    lines = Path('/run/lines')
    lines.write_text('# a comment\n\np:first __x64_sys_getppid\n  # another\ne sched/sched_process_fork\n')
    with tracing('-b', '777', '-f', str(lines)) as run:
        size = next(TRACEFS.glob(f'instances/surftrace_{run.pid}_*/buffer_size_kb')).read_text()
        os.getppid()
        in_child(lambda: None)
    holds(777 <= int(size) < 800, size)
    equal([event.name for event in run.events if event.pid == os.getpid()], ['first', 'sched_process_fork'], run.out)
    with open(lines) as stdin, tracing('-f', '-', stdin=stdin.fileno()) as run:
        pass
    contains(run.err, "echo 'p:surftrace_", f'mkdir {TRACEFS}/instances/surftrace_{run.pid}', f'rmdir {TRACEFS}/')


# Messages


@check('6.1-amd64')
def why_not() -> None:
    symbols = re.findall(r'^\w+ [tT] (\S+)$', Path('/proc/kallsyms').read_text(), re.M)
    copy = next(name for name in symbols if re.fullmatch(r'[a-z]\w+\.isra\.0', name) and name[:-7] not in symbols)
    for line, *words in (
            ('p wake_up_new_tas', "no function 'wake_up_new_tas'", "did you mean 'wake_up_new_task'"),
            ('p m_start', "'m_start' is there 3 times"),
            (f'p {copy[:-7]}', f'only as {copy}')):
        contains(said(line, status=2), *words)
    contains(said('-S', 'p __x64_sys_openat dfd=%0', status=0), '%0->di, %0->si', 'struct pt_regs')
    contains(said(QUIET, status=1, before=lambda: os.setuid(65534)), 'tracing needs root')


@check('7-amd64')
def the_vmlinux_of_another_kernel() -> None:
    contains(said('-v', f'{os.environ["KERNEL"]}/../6.1-amd64/vmlinux', '-m', 'auto', QUIET, status=1), 'of another kernel')


# What is read back


@check()
def lines_shown_are_lines_read() -> None:
    lines = [f'{kind}:n{number}{rest}' for number, line in enumerate(LINES)
             for kind, rest in re.findall(r'^(\w)(?::\w+)?( .*)', line)]
    shown = said('-S', *lines, status=0).splitlines()
    equal(said('-S', *shown, status=0).splitlines(), shown)
    for line in shown:
        put('dynamic_events' if line[0] == 'e' else 'kprobe_events', line)
    put('dynamic_events', '-:kprobes/')
    put('dynamic_events', '-:eprobes/')
    holds(sum(line[0] in 'pre' for line in shown) >= 15, shown)


@check('7-amd64')
def lines_read_back_show_the_same() -> None:
    lines = (SIGNAL, STATUS, PACKET, MAC, IP6)
    with tracing(*lines) as first, tracing(*said('-S', *lines, status=0).splitlines()) as second:
        Path('/proc/self/status').read_text()
        send_udp(b'', family=socket.AF_INET6)
        os.kill(os.getpid(), signal.SIGCHLD)
    texts = [re.findall(r'\d: (\w+: .*)', re.sub(r'.*sig=2 .*', '', run.out)) for run in (first, second)]
    holds(len({text.split(':')[0] for text in texts[0]}) >= 3, first.out)
    equal(texts[0], texts[1])


# Text that a program chose


NASTY = b'/run/a" dfd=7 \n b="x" ptr1=0x1 \x1b[31m\n'
FORGED = b'/run/b" flags=0x1\n            bash-1       [000]     1.000000: one: (x) dfd=7 file="c'


@check(*ALL)
def text_of_a_program_stays_text() -> None:
    def program() -> None:
        set_comm(b'x\x1b[2J\ny')
        for name in (NASTY, FORGED):
            Path(os.fsdecode(name)).write_text('')
    with tracing('p:one do_sys_openat2 dfd file=user(filename) flags=X(how->flags)',
                 'p:two do_sys_openat2 file=user(filename) flags=X(how->flags) who=$comm more=how->mode') as run:
        pid = in_child(program)
    nasty, forged = (name.decode().replace('\n', '\\x0a').replace('\x1b', '\\x1b') for name in (NASTY, FORGED))
    lines = run.out.split('\n')
    equal([line for line in lines if '\x1b' in line or not re.match(r' *\S.{0,15}-\d+ .*: (one|two): \(', line)], [''])
    lines = [line.split(': ', 2)[2] for line in lines if f'-{pid} ' in line and ('/run/' in line or 'decoded' in line)]
    equal(sorted(re.sub(r'\(do_sys_openat2\S+ ', '', line) for line in lines), [
        '(a string in it reads like other values: not decoded)',        # who could be a part of the file's name
        f'dfd=-100 file="{nasty}" flags=0x88241',
        f'dfd=-100 file="{forged}" flags=0x88241',
        f'file="{nasty}" flags=0x88241 who="x\\x1b[2J\\x0ay" more=438'])


@check(*ALL)
def the_kernel_had_nothing_to_complain_of() -> None:
    said_by_kernel = subprocess.run(['busybox', 'dmesg'], check=True, capture_output=True, text=True, errors='replace').stdout
    equal([line for line in said_by_kernel.splitlines() if re.search(r'WARNING|BUG|Oops|Call Trace|hung task|rcu.*stall', line)], [])


LINES = (PACKET, PORTS, ONE_PORT, UDP_DATA, MAC, IP6, STATUS, SIGNAL, SKB, OPEN, GLOBAL, QUIET,
         'p wake_up_new_task comm=%0->comm users=S%0->mm->mm_users', 'p tcp_sendmsg size f:size>1000', 'r do_sys_openat2 fd=$retval',
         'e sched/sched_stat_wait f:delay>1000000', 'e sched/sched_process_fork child=child_pid who=child_comm')


class KeptBtf(surftrace.Btf):
    """BTF that is read by the first run and kept for all."""
    known: dict[str, KeptBtf] = {}

    def __new__(cls, data: bytes, path: str, *rest: object) -> KeptBtf:
        return cls.known.get(path) or super().__new__(cls)

    def __init__(self, data: bytes, path: str, *rest: object) -> None:
        if path not in self.known:
            super().__init__(data, path, *rest)
            self.known[path] = self


LISTS = ('/proc/kallsyms', surftrace.RUNNING_BTF, 'available_filter_functions', '/sys/kernel/debug/kprobes/blacklist')


def kept(read: Callable[..., Any]) -> Callable[..., Any]:
    """A function that reads a file, the kernel's own lists but once: it takes a second to tell them, and no check changes
    what is read of them."""
    known: dict[str, Any] = {}

    def reading(*arguments: Any) -> Any:
        if arguments[-1] not in LISTS:
            return read(*arguments)
        if arguments[-1] not in known:
            known[arguments[-1]] = read(*arguments)
        return known[arguments[-1]]
    return reading


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
    surftrace.Btf, surftrace.read_file = KeptBtf, kept(surftrace.read_file)
    surftrace.Tracefs.read = kept(surftrace.Tracefs.read)
    with contextlib.redirect_stdout(io.StringIO()):
        surftrace.main(['-S', '-m', 'btf', 'p wake_up_new_task comm=%0->comm'])
    (TRACEFS / 'instances/theirs').mkdir()
    put('kprobe_events', 'p:mine/x do_exit')
    put('instances/theirs/events/mine/x/enable', '1')
    for name in sys.argv[3:] or [name for name, (_, labels) in CHECKS.items() if label in labels]:
        run_check(name)


if __name__ == '__main__':
    main()
