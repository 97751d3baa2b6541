"""What a user sees: on a terminal of 80 and of 120 columns, and in a pipe; the same by --json and --format."""
from __future__ import annotations

import datetime
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from live import COMMAND, PATIENCE, children
from programs import Compile

pytestmark = pytest.mark.live

PROGRAM = r'''
#include <unistd.h>
#include <stdlib.h>
struct o { int id; const char *name; unsigned long large; };
__attribute__((noinline)) int inner(struct o *o) { __asm__ volatile("" :: "r"(o) : "memory"); return o->id; }
__attribute__((noinline)) int handle(struct o *o) { __asm__ volatile("" :: "r"(o) : "memory"); return inner(o) + 1; }
static void caller(int i) {
    static const char *names[] = {"plain", "two words", "a \"quote\" n=5", "line\nfeed", "\033[31mred", 0};
    struct o o = {i, names[i % 6], ~0ul - i};
    handle(&o);
    __asm__ volatile("" ::: "memory");
}
int main(int n, char **argv) { for (int i = 0; i < atoi(argv[1]); i++) caller(i); usleep(100000); }'''
NAMES = ['plain', 'two words', 'a "quote" n=5', 'line\nfeed', '\x1b[31mred', None]


@pytest.fixture(scope='module')
def program(compile_c: Compile) -> Path:
    return compile_c(PROGRAM, '-g', '-O1', '-fno-inline', '-fno-omit-frame-pointer')


def seen(program: Path, *arguments: str, columns: int = 0, times: int = 6, environ: dict[str, str] | None = None) -> tuple[str, str]:
    """What surftrace shows of a run of the program on standard output, a terminal that wide or a pipe, and on standard error."""
    leader, output = pty.openpty() if columns else os.pipe()
    if columns:
        fcntl.ioctl(output, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    process = subprocess.Popen([*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, 'TERM': 'xterm', **(environ or {})})
    os.close(output)
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if 'Ctrl-C ends it' in line:
            subprocess.run([program, str(times)], check=True, timeout=PATIENCE)
            process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0, said
    text = b''
    try:
        while True:
            piece = os.read(leader, 1 << 16)
            text += piece
            if not piece:
                break
    except OSError:                                                     # EIO: nobody has the terminal any more
        pass
    os.close(leader)
    return text.decode('utf-8', 'surrogateescape').replace('\r\n', '\n'), ''.join(said)


def plain(text: str) -> str:
    """Without colours, times and tasks, whose names the kernel keeps for a while only, when it prints a record."""
    return re.sub(r'(?m)^ *\d+\.\d{6} .{1,16}?-\d+ +|\x1b\[\d*m', '', text)


def test_a_terminal_and_a_pipe_show_the_same(tracefs: Path, program: Path) -> None:
    """Colours only on a terminal that wants them; a line has its values from the same column on, wherever it is shown."""
    lines = f'P {program}:handle o->id o->name', f'R:back {program}:inner $retval'
    terminals = [seen(program, *lines, columns=columns)[0] for columns in (80, 120)]
    assert all(text.count('\x1b[1m') == 12 and '\x1b[36mname\x1b[0m="two words"' in text for text in terminals)
    pipe, said = seen(program, *lines)
    name = program.name.split('.so')[0]
    assert said.splitlines()[:3] == [f'p:f0 {program}:{said.split(":")[2].split(" ")[0]} id=+0(%di):s32 name=+0(+8(%di)):string',
                                     said.splitlines()[1], 'surftrace: tracing; Ctrl-C ends it']
    assert said.splitlines()[-1] == f'surftrace: handle ({name}) 6, back 6 events, none lost'
    for text in (pipe, seen(program, *lines, columns=80, environ={'NO_COLOR': '1'})[0]):
        assert '\x1b' not in text and text.count('\n') == 12
    assert plain(terminals[0]) == plain(terminals[1]) == plain(pipe)
    shown = [line.partition(': ')[2].strip() for line in pipe.splitlines()]
    assert shown[::2] == [f'id={i} name={text}' for i, text in enumerate((
        '"plain"', '"two words"', '"a "quote" n=5"', r'"line\x0afeed"', r'"\x1b[31mred"', '(null)'))]
    assert shown[1::2] == [f'(handle+{shown[1].partition("+")[2].partition(" ")[0]} <- inner) retval={i}' for i in range(6)]
    assert all(len(line.partition(': ')[0]) <= 36 + len(f'handle ({name})') for line in pipe.splitlines())


def test_json_and_format_say_the_same(tracefs: Path, program: Path) -> None:
    line = f'P {program}:handle o->id o->name o->large o:x64'
    text, _ = seen(program, '-s', '--json', line)
    found = [json.loads(each) for each in text.splitlines()]
    assert [(each['values']['id'], each['values']['name'], each['values']['large']) for each in found] == [
        (i, NAMES[i], (1 << 64) - 1 - i) for i in range(6)]
    assert all(re.match(r'handle\+0x0 ', each['user_stack'][0]) and isinstance(each['values']['o'], int) for each in found)
    text, _ = seen(program, '--format', '{id}|{name}|{function}|{pid}', line)
    assert [each.rpartition('|')[0] for each in text.splitlines()] == [
        f'{i}|{surftrace_text(NAMES[i])}|handle' for i in range(6)]


def surftrace_text(name: str | None) -> str:
    return '(null)' if name is None else '"%s"' % ''.join(c if c.isprintable() else f'\\x{ord(c):02x}' for c in name)


def test_the_time_of_day_is_the_systems(tracefs: Path) -> None:
    """Each event is between the times read before and after it, to the microsecond."""
    with subprocess.Popen([*COMMAND, '-T', '--json', f'e sched/sched_process_fork f:common_pid=={os.getpid()}'], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        while 'Ctrl-C' not in process.stderr.readline():
            pass
        spans = []
        for _ in range(20):
            before = time.time_ns()
            children(1)
            spans.append((before // 1000 - 2, time.time_ns() // 1000 + 2))
        process.send_signal(signal.SIGINT)
        lines = process.stdout.read().splitlines()
    times = [datetime.datetime.strptime(json.loads(line)['time'], '%Y-%m-%dT%H:%M:%S.%f%z') for line in lines]
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    micros = [(each - epoch) // datetime.timedelta(microseconds=1) for each in times]
    assert len(micros) == 20 and all(low <= each <= high for each, (low, high) in zip(micros, spans)), list(zip(micros, spans))


def test_quiet_and_verbose(tracefs: Path, program: Path) -> None:
    for option, expected in (('-q', 1), ('--verbose', 8)):
        done = subprocess.run([*COMMAND, option, '-d', '0.1', f'P {program}:handle'], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0 and done.stdout == '' and len(done.stderr.splitlines()) >= expected
        assert ('mkdir' in done.stderr, 'Ctrl-C' in done.stderr) == (option == '--verbose',) * 2
        assert option == '--verbose' or done.stderr == f'surftrace: handle ({program.name}) 0 events, none lost\n'
