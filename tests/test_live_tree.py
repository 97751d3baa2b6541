"""-t on this machine's own kernel: a program calls as is known, and the tree has to be that."""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from cache import Unavailable
from live import COMMAND, PATIENCE, Running
from programs import Compile

pytestmark = pytest.mark.live

PROGRAM = r'''
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/sdt.h>
struct o { int id; const char *name; };
enum color { RED, GREEN = 5 };
#define N __attribute__((noinline, noclone))
#define KEEP __asm__ volatile("" ::: "memory")
N int leaf(int n) { KEEP; return n + 1; }
N int rec(int n) { usleep(2000); int v = n ? rec(n - 1) : leaf(n); KEEP; return v + n; }
N void nothing(struct o *o) { __asm__ volatile("" :: "r"(o) : "memory"); leaf(o->id); KEEP; }
N int tail(int n) { KEEP; return leaf(n); }
N const char *text(struct o *o) { __asm__ volatile("" :: "r"(o) : "memory"); return o->name; }
N double number(int n) { KEEP; return n; }
N enum color paint(int n) { KEEP; return n ? GREEN : RED; }
N int handle(struct o *o) {
  DTRACE_PROBE2(prog, request__entry, o->id, o->name);
  rec(1); nothing(o); tail(3); text(o); number(o->id);
  DTRACE_PROBE1(prog, middle, o->id);
  DTRACE_PROBE(prog, gc__begin); paint(o->id); DTRACE_PROBE(prog, gc__end);
  DTRACE_PROBE1(prog, request__return, o->id);
  return o->id;
}
static void *many(void *p) { for (int i = 0; i < 10; i++) rec(2); return p; }
int main(int argc, char **argv) {
  for (int i = 0; i < atoi(argv[1]); i++) { struct o o = {i, "bob"}; handle(&o); }
  pthread_t threads[8];
  if (argc > 2) {
    for (int i = 0; i < 8; i++) pthread_create(threads + i, 0, many, 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
  }
}'''


@pytest.fixture(scope='module')
def program(compile_c: Compile) -> Path:
    if not list(Path('/usr/include').glob('**/sys/sdt.h')):
        raise Unavailable('systemtap-sdt-dev is not installed')
    return compile_c(PROGRAM, '-g', '-O2', '-pthread')


def traced(program: Path, arguments: list[str], *options: str) -> list[tuple[str, str]]:
    """The thread of each line, and the line, times taken out."""
    run = Running('-q', '-t', *options)
    subprocess.run([program, *arguments], check=True, timeout=PATIENCE)
    out = run.end()
    assert run.process.returncode == 0 and 'none lost' in ''.join(run.err), run.err
    lines = [re.fullmatch(r' +prog.*-(\d+) .*?\d\.\d{6}: (.*)|.{16}-(\d+) .*?\d\.\d{6}: (.*)', line) for line in out]
    return [(match[1] or match[3], re.sub(r'  ([\d.]+)(us|ms|s)$', '  TIME', match[2] or match[4])) for match in lines if match]


def lines(program: Path, *options: str) -> list[str]:
    return [re.sub('0x[0-9a-f]{6,}', 'POINTER', line) for _, line in traced(program, ['2'], *options)]


def test_functions(program):
    expected = []
    for i, color in enumerate(('RED', 'GREEN')):
        expected += [f'-> handle(id={i}, name="bob")', '  -> rec(n=1)', '    -> rec(n=0)', '      -> leaf()', '      <- leaf = 1  TIME',
                     '    <- rec = 1  TIME', '  <- rec = 2  TIME', '  -> nothing()', '    -> leaf()', f'    <- leaf = {i + 1}  TIME',
                     '  <- nothing  TIME', '  -> tail()', '    -> leaf()', '    <- leaf = 4  TIME', '  <- tail = 4  TIME', '  -> text()',
                     '  <- text = POINTER  TIME', '  -> number()', '  <- number  TIME', f'  -> paint(n={i})', f'  <- paint = {color}  TIME',
                     f'<- handle = {i}  TIME']
    assert lines(program, *(f'P {program}:{words}' for words in (
        'handle id=o->id name=o->name', 'rec n', 'leaf', 'nothing', 'tail', 'text', 'number', 'paint n'))) == expected


def test_usdt_probes_and_functions(program):
    expected = []
    for i, color in enumerate(('RED', 'GREEN')):
        place = '(POINTER)'
        expected += ['-> handle()', '  -> prog:request()', f'  | f1_prog_middle: {place}', '    -> prog:gc()', '      -> paint()',
                     f'      <- paint = {color}  TIME', '    <- prog:gc  TIME', '  <- prog:request  TIME', '<- handle = TIME']
        expected[-1] = f'<- handle = {i}  TIME'
    assert lines(program, f'P {program}:handle', f'u {program}:prog:*', f'P {program}:paint') == [
        line.replace('  | ', '    ') for line in expected]


@pytest.mark.parametrize('option', [[], ['-s']])
def test_a_filter_leaves_whole_calls_out(program, option):
    wanted = ['-> handle(id=1)', '  -> paint()', '  <- paint = GREEN  TIME', '<- handle = 1  TIME']
    found = lines(program, *option, f'P {program}:handle id=o->id f:id==1', f'P {program}:paint')
    assert [line for line in found if 'stack trace' not in line] == ['-> paint()', '<- paint = RED  TIME', *wanted]


def test_a_filter_of_usdt_probes(program):
    assert lines(program, f'u {program}:request__* id=%0:s32 f:id==1') == ['-> prog:request(id=1)', '<- prog:request(id=1)  TIME']


def test_places_and_returns_alone(program):
    found = lines(program, f'P {program}:handle', f'R {program}:rec n $retval', f'R:x {program}:leaf $retval f:retval==4',
                  f'P:place {program}:paint+0 n', f'P:inside {program}:0x{inside(program):x}')
    assert [line for line in found if 'inside' not in line] == [
        line for i, color in enumerate(('RED', 'GREEN')) for line in (
            '-> handle()', '  <- rec(n=0, retval=1)', '  <- rec(n=1, retval=2)', '  <- leaf(retval=4)', f'  -> paint(n={i})',
            f'  <- paint = {color}  TIME', f'<- handle = {i}  TIME')]
    assert [line for line in found if 'inside' in line] == ['  inside: (POINTER)'] * 2


def inside(program: Path) -> int:
    """Where in the file the probe in the middle is."""
    import surftrace
    executable = surftrace.Executable(str(program))
    return executable.offset_of(next(note.address for note in executable.usdt_notes() if note.name == 'middle'))


def test_threads(program):
    by_thread: dict[str, list[str]] = {}
    for thread, line in traced(program, ['0', 'threads'], f'P {program}:rec n'):
        by_thread.setdefault(thread, []).append(line)
    assert list(by_thread.values()) == [['-> rec(n=2)', '  -> rec(n=1)', '    -> rec(n=0)', '    <- rec = 1  TIME', '  <- rec = 2  TIME',
                                         '<- rec = 4  TIME'] * 10] * 8


def test_lines_that_were_shown_do_the_same(program, tmp_path):
    given = [f'P {program}:handle id=o->id f:id>0', f'u {program}:prog:*', f'P {program}:paint']
    shown = subprocess.run([*COMMAND, '-S', '-t', *given], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines(program, *given) == lines(program, *shown)
