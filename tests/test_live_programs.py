"""Probes in programs on this machine's own kernel: each printed value is compared with what the program did.

The programs are those of test_programs.py, and Debian's own; servers are started here, on sockets of their own."""
from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import need, output
from live import COMMAND, PATIENCE, Running, surftrace
from programs import APP, CPP, HAND, OTHER, RUST, RUST_ENUMS, SCOPED, SCOPES, USDT, Compile, build, go, of_two_files, stripped, symbols

import surftrace as module

pytestmark = pytest.mark.live


def shown(lines: list[str], name: str = 'f0', pid: int = 0) -> list[str]:
    """What is behind the address of each event of that name, of that process."""
    found = [re.match(rf'.*-(\d+) .*?: {name}: \(0x[^)]*\) ?(.*)$', line, re.S) for line in lines]
    return [match[2] for match in found if match and (not pid or int(match[1]) == pid)]


def traced(lines: list[str], act: Callable[[], object], *options: str) -> list[str]:
    """What is printed while that is done."""
    run = Running('-q', *options, *lines)
    act()
    printed = run.end()
    assert run.process.returncode == 0, run.err
    assert not re.search(r'\d lost|recorded and not shown|too long', ''.join(run.err)), run.err
    return printed


def ran(*command: object) -> subprocess.CompletedProcess[str]:
    """A program that has run, whatever it returned."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)


# ---- our own program

EVERYTHING = [
    ("P:h {}:handle id name=o->name a=o->in->a c=o->in->c own=o->own.c b=o->own.b d=o->own.d t=o->own.u.t arr=o->arr last=o->arr[3] "
     'w=o->word n=@counter gn=@global_one.name gc=@global_one.own.c s=@greeting far=o->next->arr[1]'),
    'P:e {}:eight a b c d e f=f:s16 g h', 'R:er {}:eight $retval', 'P:pair {}:withpair p.a p.b after', 'P:small {}:withsmall s.x s.y after',
    'P:big {}:withbig before p.a p.b p.c after', 'P:flt {}:withfloat after last', 'R:fr {}:withfloat $retval', 'R:rb {}:retbig $retval.a $retval.c',
    'R:rp {}:retpair $retval.a', 'P:bits {}:withbits b->lo b->hi b->wide l=by.lo h=by.hi w=by.wide', 'P:c {}:paint c f:c==BLUE', 'R:cr {}:paint $retval',
    'P:txt {}:text s=p:text(n)', 'P:neg {}:signedtext s=p:text(n) p', 'P:v {}:variadic f', 'P:none {}:nothing',
]


def everything(count: int) -> dict[str, list[str]]:
    """What APP does in so many rounds, and how that is shown."""
    rounds = range(count)
    eight = -1 + 65535 - 70000 + (1 << 33) + 255 - 2 - 7
    behind = 'a=42 c=-3'
    return {
        'h': [f'id={i} name="bob" {"a=(null) c=(null)" if i == 1 else behind} own=-1 b=2 d=5 t={{99,0,0,0,0,0,0,0}} arr={{10,20,30,-40}} '
              f'last=-40 w="eightchr" n={3 + i} gn="glob" gc=-2 s="hello" far={"(null)" if i == 1 else -2}' for i in rounds],
        'e': [f'a=-1 b=65535 c=-70000 d=8589934592 e=255 f=-2 g=-7 h={"BLUE" if i else "GREEN"}' for i in rounds],
        'er': [f'retval={eight + (-1 if i else 5)}' for i in rounds], 'pair': ['a=1 b=-2 after=3' for i in rounds],
        'small': ['x=-3 y=300 after=4' for i in rounds], 'big': ['before=4 a=5 b=6 c=7 after=8' for i in rounds],
        'flt': ['after=9 last=10' for i in rounds], 'fr': ['retval=23' for i in rounds], 'rb': ['a=3 c=9' for i in rounds],
        'rp': [f'a={i + 1}' for i in rounds], 'bits': [f'lo=9 hi={0xabc} wide={0x3456789a | 0x12 << 32} l=9 h={0xabc} w={0x3456789a | 0x12 << 32}' for i in rounds],
        'c': ['c=BLUE'] * (count - 1), 'cr': [f'retval={"BLUE" if i else "GREEN"}' for i in rounds],
        'txt': [f's={text}' for i in rounds for text in (
            '"hello"', '""', '(null)', '"" (8 more, from a NUL or an unreadable byte on)', '"' + 'y' * 256 + '"... (400 bytes)',
            '"ab" (3 more, from a NUL or an unreadable byte on)', '""')],
        'neg': ['s=(no text: its length is -4) p="negative"' for i in rounds], 'v': ['f="v"' for i in rounds], 'none': ['' for i in rounds],
    }


@pytest.mark.parametrize('name', ['-O0', '-O2', 'not PIE', 'static', 'text apart', 'one text', 'stripped'])
def test_every_value_is_what_the_program_has(name: str, compile_c: Compile, tmp_path: Path) -> None:
    program = stripped(build(compile_c, '-O2'), tmp_path, 'link') if name == 'stripped' else build(compile_c, name)
    lines = traced([line.format(program) for line in EVERYTHING], lambda: ran(program, 2))
    found = {event: shown(lines, event) for event in everything(2)}
    assert found == everything(2)
    assert sum(map(len, found.values())) == len(lines)


def test_a_filter_takes_no_value_that_is_not_there(compile_c: Compile) -> None:
    program = build(compile_c, '-O2')
    lines = traced([f'P:a {program}:handle id v=o->in->a f:v!=42', f'P:b {program}:handle id v=o->in->a f:v<43', f'P:c {program}:handle id f:!(id==1)',
                    f'P:d {program}:handle id name=o->name f:name==bob&&id>=1', f'P:e {program}:eight h f:h==GREEN||h==BLUE',
                    f'P:f {program}:handle id c=o->own.c f:c<0', f'P:g {program}:handle id c=o->own.c f:c>=0', f'P:h {program}:handle v=@counter f:v==4',
                    f'P:i {program}:handle id f:common_pid==1', f'P:j {program}:handle id f:comm=={program.name}'], lambda: ran(program, 2))
    assert {name: shown(lines, name) for name in 'abcdefghij'} == {
        'a': [], 'b': ['id=0 v=42'], 'c': ['id=0'], 'd': ['id=1 name="bob"'], 'e': ['h=GREEN', 'h=BLUE'], 'f': ['id=0 c=-1', 'id=1 c=-1'], 'g': [],
        'h': ['v=4'], 'i': [], 'j': ['id=0', 'id=1']}


STRINGS = r'''
struct in { int n; char *s; char *list[2]; char arr[8]; };
struct o { char *name; struct in *in; };
__attribute__((noinline)) void f(struct o *o, char *message) { __asm__ volatile("" :: "r"(o), "r"(message) : "memory"); }
__attribute__((noinline)) void g(char *s) { __asm__ volatile("" :: "r"(s) : "memory"); }
int main(void)
{
    char *nowhere = (char *)0x7f1234567000;
    struct in in = {7, "inner", {"one", 0}, "array"}, hollow = {8, 0, {0, "two"}, ""};
    struct o all[] = {{"name1", &in}, {"name2", 0}, {"name3", (struct in *)nowhere}, {0, &hollow}, {nowhere, &in}};
    f(all, "m1"); f(all + 1, "m2"); f(all + 2, "m3"); f(all + 3, "m4"); f(all + 4, "m5"); f(0, "m6");
    for (int i = 0; i < 10; i++) { g("/x"); g(0); g("/x"); g(nowhere); }
    g("/y");
    g(0);
    g(nowhere);
}'''


def test_a_string_that_cannot_be_read_is_not_the_next_one(compile_c: Compile) -> None:
    """The kernel shows that where a pointer on the way is NULL."""
    program = compile_c(STRINGS, '-g', '-O1')
    line = f'{program}:f s=o->in->s name=o->name list=o->in->list:string[2] arr=o->in->arr message'
    lines = traced([f'P:all {line}', f'P:wrong {line} f:s==name2||s==m4||arr~n*||arr~m*||name==m4||name==m6', f'P:some {line} f:s!=x&&!(name==name1)',
                    f'P:no {line} f:!(s!=x)'], lambda: ran(program))
    assert [text.replace('"', '') for text in shown(lines, 'all')] == [
        's=inner name=name1 list={one,(fault)} arr=array message=m1', 's=(null) name=name2 list=(null) arr=(null) message=m2',
        's=(null) name=name3 list=(null) arr=(fault) message=m3', 's=(null) name=(null) list={(fault),two} arr= message=m4',
        's=inner name=(fault) list={one,(fault)} arr=array message=m5', 's=(null) name=(null) list=(null) arr=(null) message=m6']
    assert len(lines) == 6


def test_a_filter_takes_no_string_that_cannot_be_read(compile_c: Compile) -> None:
    """The kernel compares what lay there before."""
    program = compile_c(STRINGS, '-g', '-O1')
    filters = {'eq': 's==/x', 'ne': 's!=/x', 'glob': 's~"/*"', 'no': '!(s~"/x*")', 'either': 's==/x||s!=/x', 'not': '!(s==/y)'}
    lines = traced([f'P:{name} {program}:g s f:{text}' for name, text in filters.items()], lambda: ran(program))
    x, y = ['s="/x"'] * 20, ['s="/y"']
    assert {name: shown(lines, name) for name in filters} == {'eq': x, 'ne': y, 'glob': x + y, 'no': y, 'either': x + y, 'not': x}


@pytest.mark.xfail(strict=True, reason='the kernel stores 0 for a number it cannot read, and the guards know only NULL and the address space')
def test_a_number_behind_an_address_where_nothing_is_is_no_number(compile_c: Compile) -> None:
    """In round 2, o->in is an address that could be one and is not mapped."""
    program = build(compile_c, '-O2')
    lines = traced([f'P {program}:handle id a=o->in->a f:id==2', f'P:zero {program}:handle a=o->in->a f:a==0'], lambda: ran(program, 3))
    assert shown(lines) in (['id=2 a=(fault)'], ['id=2 a=(null)']) and shown(lines, 'zero') == []


def test_a_probe_inside_a_function_reads_its_registers(compile_c: Compile) -> None:
    pytest.importorskip('capstone')
    program = build(compile_c, '-O0')
    listing = output('objdump', '-d', '--no-show-raw-insn', '--disassemble=call_other', program)
    start, at = (int(re.search(pattern, listing, re.M)[1], 16) for pattern in (r'^ +(\w+):', r'^ +(\w+):.*call '))     # type: ignore[index]
    assert shown(traced([f'P {program}:call_other+{at - start} x=%di:s32'], lambda: ran(program, 2))) == ['x=6'] * 2


def test_two_functions_of_one_name_by_their_offsets(compile_c: Compile) -> None:
    program = build(compile_c, '-O2')
    first, second = sorted(int(line.split()[0], 16) for line in output('nm', program).splitlines() if line.endswith(' same'))
    lines = traced([f'P:one {program}:{first:#x} x', f'R:two {program}:{second:#x} $retval', f'P:both {program}:sam[e] x'], lambda: ran(program, 1))
    assert {shown(lines, 'one')[0], shown(lines, 'two')[0]} <= {'x=5', 'x=6', 'retval=6', 'retval=7'}
    assert sorted(shown(lines, 'both') or shown(lines, 'both_same')) == ['x=5', 'x=6']


@pytest.mark.parametrize('compiler', ['gcc', 'clang'])
def test_a_static_variable_is_that_of_its_file_from_the_entry_on(compiler: str, tmp_path: Path) -> None:
    """one() calls a helper that counts by 1 from 7, two() another by 2 from 100; `inside` of an inner block counts from 0."""
    program = of_two_files(tmp_path, compiler)
    inside = ' inside' if compiler == 'gcc' else ''             # clang has both in the function: it cannot be told which is meant
    lines = traced([f'P:u {program}:helper@uses.c x calls{inside}', f'P:m {program}:helper@main.c x calls{inside}',
                    f'R:r {program}:helper@main.c calls $retval', f'P:l {program}:gram.y:12 rule'], lambda: ran(program))
    assert [re.sub(' inside=.*', '', line) for line in shown(lines, 'u')] == ['x=1 calls=7', 'x=2 calls=8']
    assert [re.sub(' inside=.*', '', line) for line in shown(lines, 'm')] == ['x=2 calls=100', 'x=3 calls=102']
    if inside:
        assert [line.rpartition('=')[2] for name in 'um' for line in shown(lines, name)] == ['7', '6', '100', '99']
    assert shown(lines, 'r') == ['calls=102 retval=204', 'calls=104 retval=312']
    assert ran(program).stdout.splitlines()[-1] == f'{1 * 8 + 2 * 9} {204 + 312}'


@pytest.mark.parametrize('name', ['a b', 'a#b', "a'b", 'a$b', 'a:b', 'é', 'à', 'a\tb'])
def test_a_program_with_an_odd_path(name: str, compile_c: Compile, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    program = tmp_path / name / 'app'
    shutil.copy(build(compile_c, '-O2'), program)
    place = f'"{program}"' if re.search(r'\s', name) else program
    assert shown(traced([f'P {place}:handle id', f'R:r {place}:paint $retval'], lambda: ran(program, 2))) == ['id=0', 'id=1']


# ---- options


@contextlib.contextmanager
def looping(program: Path, rounds: int = 100000, *before: object) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs a round each millisecond until it is ended."""
    process = subprocess.Popen([str(word) for word in (*before, program, rounds, 1000)], stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and not os.readlink(f'/proc/{process.pid}/exe').endswith('/app'):
            time.sleep(0.01)
        switches = naps(process.pid)
        while process.poll() is None and naps(process.pid) < switches + 20:
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def naps(pid: int) -> int:
    """How often the process has waited for something."""
    return int(re.search(r'^voluntary_ctxt_switches:\t(\d+)', Path(f'/proc/{pid}/status').read_text(), re.M)[1])     # type: ignore[index]


@pytest.fixture
def app(compile_c: Compile, tmp_path: Path) -> Path:
    """A copy of APP called app."""
    shutil.copy(build(compile_c, '-O2'), tmp_path / 'app')
    return tmp_path / 'app'


def tasks(lines: list[str]) -> set[int]:
    """The processes that events are of."""
    return {int(match[1]) for match in (re.match(r'.*?-(\d+) +(?:\(|\[)', line) for line in lines) if match}


def test_p_traces_that_process_only(app: Path) -> None:
    with looping(app) as one, looping(app) as other:
        for name in ('app', str(app), f'{app.parent}/../{app.parent.name}/app'):
            lines = surftrace('-q', '-n', '5', '-p', str(one.pid), f'P {name}:handle id').stdout.splitlines()
            assert tasks(lines) == {one.pid}
        lines = surftrace('-q', '-n', '1000', f'P {app}:handle id').stdout.splitlines()
        assert tasks(lines) == {one.pid, other.pid}
        both = surftrace('-q', '-n', '1000', '-p', f'{one.pid},{other.pid}', 'P app:handle id').stdout.splitlines()
        assert tasks(both) == {one.pid, other.pid}
        libc = surftrace('-q', '-n', '2', '-p', str(one.pid), 'P libc:usleep us=%0:u32')
        assert shown(libc.stdout.splitlines()) == ['us=1000'] * 2, libc.stderr


def test_p_sees_a_process_in_a_chroot_by_the_path_it_has_there(compile_c: Compile, tmp_path: Path) -> None:
    (tmp_path / 'root').mkdir()
    shutil.copy(build(compile_c, 'static'), tmp_path / 'root/app')
    with looping(Path('/app'), 100000, 'chroot', tmp_path / 'root') as process:
        for name in ('/app', 'app', f'{tmp_path}/root/app'):
            said = surftrace('-q', '-n', '3', '-p', str(process.pid), f'P {name}:handle name=o->name')
            assert shown(said.stdout.splitlines()) == ['name="bob"'] * 3, said.stderr


def test_p_sees_a_process_in_a_mount_namespace_through_its_root(compile_c: Compile, tmp_path: Path) -> None:
    """Here there is another program of that path, which must not be the one that is probed."""
    need('unshare')
    inner = tmp_path / 'inner'
    inner.mkdir()
    shutil.copy('/bin/true', inner / 'app')
    code = f'mount -t tmpfs none {inner} && cp {build(compile_c, "static")} {inner}/app && exec {inner}/app 100000 1000'
    process = subprocess.Popen(['unshare', '-m', 'sh', '-c', code], stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and not os.readlink(f'/proc/{process.pid}/exe').endswith('/app'):
            time.sleep(0.01)
        for name in (f'{inner}/app', 'app'):
            said = surftrace('-q', '-n', '3', '-p', str(process.pid), f'P {name}:handle name=o->name')
            assert shown(said.stdout.splitlines()) == ['name="bob"'] * 3, said.stderr
    finally:
        process.kill()
        process.wait()


def test_p_refuses_what_the_process_has_not_mapped_or_has_no_more(app: Path) -> None:
    with looping(app) as process:
        app.unlink()
        shutil.copy('/bin/true', app)
        said = surftrace('-q', '-p', str(process.pid), 'P app:handle id')
        assert said.returncode and 'deleted or replaced' in said.stderr
        said = surftrace('-q', '-p', str(process.pid), 'P nosuchlibrary:handle id')
        assert said.returncode == 2 and 'no program or library' in said.stderr
    said = surftrace('-q', '-p', str(process.pid), f'P {app}:main')
    assert said.returncode and 'Traceback' not in said.stderr


@pytest.mark.parametrize('children', [(), ('-c',)], ids=['alone', 'with its children'])
def test_c_traces_the_children_too(children: tuple[str, ...], app: Path) -> None:
    shell = subprocess.Popen(['sh', '-c', f'read line; {app} 1; {app} 2; :'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    lines = traced([f'P {app}:handle id'], lambda: shell.communicate('\n'), '-p', str(shell.pid), *children)
    assert shown(lines) == (['id=0', 'id=0', 'id=1'] if children else [])


def test_n_and_d_end_it(app: Path) -> None:
    with looping(app):
        said = surftrace('-q', '-n', '4', f'P {app}:handle id', f'R {app}:paint $retval')
        assert len(said.stdout.splitlines()) == 4
        assert 'f0: ' in surftrace('-q', '-d', '0.5', f'P {app}:handle id').stdout


def test_s_shows_the_functions_that_called(compile_c: Compile, tmp_path: Path) -> None:
    """While the program lives: of one that has ended the kernel has only the addresses. It follows frame pointers, and a function
    that has just been called has none yet, so its direct caller is left out."""
    program = tmp_path / 'app'
    shutil.copy(compile_c(APP, str(compile_c(OTHER, '-c', '-O0', '-g', '-fno-omit-frame-pointer')), '-g', '-O0', '-fno-omit-frame-pointer'), program)
    with looping(program):
        first, second = sorted(int(line.split()[0], 16) for line in output('nm', program).splitlines() if line.endswith(' same'))
        run = Running('-q', '-s', f'P:a {program}:{first:#x}', f'P:b {program}:{second:#x}')
        run.shows(': a: ', 2)                               # so the first is whole
        run.shows(': b: ', 2)
        text = '\n'.join(run.end())
    stacks = {name: re.search(rf': {name}: .*\n.*<user stack trace>\n((?: => .*\n)*)', text) for name in 'ab'}
    assert all(stacks.values()), text
    frames = [re.sub(r'\+0x[0-9a-f]+ ', '+ ', found[1]).splitlines() for found in stacks.values() if found]
    assert all(re.match(rf' => same\+0x0 \({program}\)\n', found[1]) for found in stacks.values() if found), text
    assert any(f' => main+ ({program})' in stack for stack in frames), text        # of the one that call_other calls
    assert all('__libc_start' in stack[-1] or '_start' in stack[-1] for stack in frames), text


def test_a_script_does_the_same(app: Path, tmp_path: Path) -> None:
    script = str(tmp_path / 'run.sh')
    made = surftrace('-d', '100', '-o', script, f'P:h {app}:handle id name=o->name f:id<2', f'R:r {app}:eight $retval', f'P:t {app}:text p n f:n==5')
    assert made.returncode == 0, made.stderr
    process = subprocess.Popen(['sh', script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr and 'tracing' in process.stderr.readline()
    ran(app, 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    values = {name: [re.sub(r' ptr\d+=.*', '', text) for text in shown(out.splitlines(), name)] for name in 'hrt'}
    assert values['h'] == ['id=0 name="bob"', 'id=1 name="bob"'], err
    assert values['r'] == everything(3)['er'] or [f'retval={int(text.split("=")[1]):d}' for text in values['r']] == everything(3)['er']
    assert values['t'] == ['p="hello world" n=5', 'p="ab" n=5'] * 3


def test_lines_that_were_shown_do_the_same(app: Path, tmp_path: Path) -> None:
    asked = [line.format(app) for line in EVERYTHING]
    listed = surftrace('-S', *asked)
    assert listed.returncode == 0
    (tmp_path / 'lines').write_text(listed.stdout)
    lines = traced(['-f', str(tmp_path / 'lines')], lambda: ran(app, 2))
    assert {event: shown(lines, event) for event in everything(2)} == everything(2)


@pytest.mark.parametrize('line, words', [
    ('P {}:text s=p:text(n) f:s==hello', ''), ('R {}:handle+3', 'no offset'), ('P {}:nix', 'no function'), ('u {}:a:b', 'no USDT probes')])
def test_what_is_refused_leaves_nothing(line: str, words: str, app: Path) -> None:
    said = surftrace(line.format(app))
    assert said.returncode == 2 and words in said.stderr and '^' in said.stderr and 'Traceback' not in said.stderr


# ---- several runs


def test_two_runs_at_once_on_the_same_function(app: Path) -> None:
    first, second = (Running('-q', f'P {app}:handle id', f'R:r {app}:eight $retval') for _ in range(2))
    ran(app, 2)
    assert shown(first.end()) == ['id=0', 'id=1']
    ran(app, 1)
    lines = second.end()
    assert shown(lines) == ['id=0', 'id=1', 'id=0'] and len(shown(lines, 'r')) == 3


def test_what_a_killed_run_left_is_swept_and_a_living_one_goes_on(app: Path, tracefs: Path) -> None:
    killed, living = (Running('-q', f'P {app}:handle id name=o->name') for _ in range(2))
    ran(app, 1)
    killed.end(signal.SIGKILL)
    assert len((tracefs / 'uprobe_events').read_text().splitlines()) >= 2
    said = surftrace('-q', '-d', '0.1', f'P {app}:handle id')
    assert 'removed what the killed run' in said.stderr
    assert len([line for line in (tracefs / 'uprobe_events').read_text().splitlines() if re.match(r'p:surftrace_\w+/f0 ', line)]) == 1
    ran(app, 1)
    assert shown(living.end()) == ['id=0 name="bob"'] * 2


def test_a_program_that_is_replaced_gets_a_word(app: Path, compile_c: Compile) -> None:
    run = Running('-q', f'P {app}:handle id')
    shutil.copy(build(compile_c, '-O0'), app.with_name('new'))
    app.with_name('new').rename(app)
    ran(app, 2)
    limit = time.monotonic() + PATIENCE
    while not any('replaced' in line for line in run.err) and time.monotonic() < limit:
        time.sleep(0.05)
    assert shown(run.end()) == []
    notes = [line for line in run.err if 'has been replaced' in line]
    assert len(notes) == 1 and str(app) in notes[0]


def test_what_is_replaced_in_the_last_second_is_said_too(app: Path, tracefs: Path) -> None:
    run = surftrace('-q', f'P {app}:handle id', '--', 'sh', '-c', 'cp "$0" "$0.new" && mv "$0.new" "$0" && "$0" 2', str(app))
    assert f'note: {app} has been replaced' in run.stderr and ' 0 events' in run.stderr


@pytest.mark.parametrize('line', ['R {}:*', '-t P {}:*'])
def test_all_functions_of_a_program_can_return(line: str, compile_c: Compile, tracefs: Path) -> None:
    """A return probe at _start, to which no call leads, would write over argc."""
    program = compile_c('int main(int argc, char **argv) { return argc; }')
    *option, kind, place = line.format(program).split()
    run = surftrace(*option, f'{kind} {place}', '--', str(program), 'a', 'b')
    assert run.returncode == 3 and 'main' in run.stdout


REPLACING = """
import os, sys, surftrace
function, new, old, *arguments = sys.argv[1:]
real = getattr(surftrace, function)
def replacing(*arguments):
    result = real(*arguments)
    if os.path.exists(new):
        os.replace(new, old)
    return result
setattr(surftrace, function, replacing)
sys.exit(surftrace.main(arguments))
"""


@pytest.mark.parametrize('function', ['program_at', 'make_events'])
def test_a_program_that_is_replaced_before_the_probes_are_set(function: str, app: Path, compile_c: Compile) -> None:
    """Its offsets are good in the file that was read alone: that one is probed, or none."""
    shutil.copy(build(compile_c, '-O0'), app.with_name('new'))
    with looping(app) as process:
        said = subprocess.run([sys.executable, '-c', REPLACING, function, app.with_name('new'), app, '--raw', '-n', '3', f'P {app}:handle id'],
                              capture_output=True, text=True, timeout=PATIENCE, cwd=Path(module.__file__).parent)
        if function == 'program_at':
            assert said.returncode == 1 and f'{app} was replaced or changed while it was read' in said.stderr
        else:
            assert tasks(said.stdout.splitlines()) == {process.pid}, said.stderr
            assert f' {app}:0x' in said.stderr and '/fd/' not in said.stderr
            assert ran(app, 3).returncode == 0


# ---- USDT


def memory(pid: int, address: int) -> int:
    """The u16 there."""
    with open(f'/proc/{pid}/mem', 'rb') as file:
        file.seek(address)
        return int(struct.unpack('<H', file.read(2))[0])


def semaphore_of(pid: int, path: str, name: str) -> int:
    """Where a running process has the semaphore of a probe."""
    program = module.Executable(path)
    address = next(note.semaphore for note in program.usdt_notes() if note.name == name)
    if program.type == 2:
        return address
    lines = [line for line in Path(f'/proc/{pid}/maps').read_text().splitlines() if line.endswith(' ' + os.path.realpath(path))]
    return int(lines[0].split('-')[0], 16) - (program.segments[0].address & ~0xfff) + address


def debians_python() -> str:
    """A python3 with USDT probes."""
    for path in ('/usr/bin/python3', *glob.glob('/usr/bin/python3.?*')):
        with contextlib.suppress(module.SurftraceError):
            if any(note.name == 'function__entry' for note in module.Executable(os.path.realpath(path)).usdt_notes()):
                return os.path.realpath(path)
    return pytest.skip('no python3 here has USDT probes')


# Python 3.11 fires function__entry only where an exception is thrown into a generator (Python/ceval.c: DTRACE_FUNCTION_ENTRY
# is left in the throwflag path alone), as close() does.
PYTHON = '''import sys
def work(x):
    yield x
print(flush=True)
for line in sys.stdin:
    for word in line.split():
        generator = work(word)
        next(generator)
        generator.close()
    print(line, end='', flush=True)
'''


@pytest.fixture
def python() -> Iterator[tuple[str, subprocess.Popen[str], Callable[[str], str]]]:
    """(its path, a Python that makes a generator `work` for each word of a line, a function that sends it a line)"""
    path = debians_python()
    process = subprocess.Popen([path, '-c', PYTHON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    process.stdout.readline()

    def ask(text: str) -> str:
        assert process.stdin and process.stdout
        process.stdin.write(text + '\n')
        process.stdin.flush()
        return process.stdout.readline().strip()
    try:
        yield path, process, ask
    finally:
        process.stdin.close()
        process.wait()


def test_pythons_function_entry_and_its_semaphore(python: tuple[str, subprocess.Popen[str], Callable[[str], str]]) -> None:
    path, process, ask = python
    place = semaphore_of(process.pid, path, 'function__entry')
    assert memory(process.pid, place) == 0
    line = f'u {path}:python:function__entry file=!(char *)%0 func=!(char *)%1 line=%2 f:func==work'
    run = Running('-q', line)
    assert memory(process.pid, place) > 0
    assert ask('3 1 2') == '3 1 2'
    lines = run.end()
    if sys.version_info[:2] == (3, 11):
        assert shown(lines, pid=process.pid) == ['file="<string>" func="work" line=3'] * 3
    assert {text.split(' line')[0] for text in shown(lines, pid=process.pid)} == {'file="<string>" func="work"'}
    assert memory(process.pid, place) == 0
    assert ask('3 1') == '3 1'


def test_a_semaphore_is_back_after_two_runs_and_a_killed_one(python: tuple[str, subprocess.Popen[str], Callable[[str], str]]) -> None:
    path, process, ask = python
    place = semaphore_of(process.pid, path, 'function__entry')
    line = f'u {path}:function__entry func=!(char *)%1 f:func==work'
    first, killed = Running('-q', '-p', str(process.pid), line), Running('-q', line)
    assert memory(process.pid, place) > 0
    killed.end(signal.SIGKILL)
    assert ask('5 6') == '5 6'
    assert set(shown(first.end())) == {'func="work"'}
    surftrace('-q', '-d', '0.1', 'e sched/sched_process_fork f:common_pid==1')         # sweeps
    assert memory(process.pid, place) == 0


def test_usdt_operands_are_what_the_program_has(compile_c: Compile) -> None:
    program = compile_c(HAND.replace('BASE', '_.stapsdt.base'), '-O1', '-g')
    asked = ['ah %0', 'signedah %0', 'low %0 %1 %2 %3 %4', 'rip %0 %1 %2 %3', 'memory %0 %1 %2 %3', 'constant %0 %1 %2 %3 %4', 'counted %0', 'mixed %0', 'empty']
    lines = traced([f'u:{text.split()[0]} {program}:hand:{text}' for text in asked] + [f'u:table {program}:hand:ah t=@table[3]'], lambda: ran(program, 1))
    assert {text.split()[0]: shown(lines, text.split()[0]) for text in [*asked, 'table']} == {
        'ah': ['arg0=154'], 'signedah': [f'arg0={0x9a - 256}'], 'low': ['arg0=0 arg1=-3 arg2=65533 arg3=-3 arg4=0xfffffffd'],
        'rip': ['arg0=-200 arg1=0x12c arg2=0x64 arg3=-400'], 'memory': ['arg0=-400 arg1=0x64 arg2=4294967096 arg3=77'],
        'constant': ['arg0=1 arg1=-9 arg2=0x10 arg3=-1 arg4=255'], 'counted': ['arg0=0x1100'], 'mixed': ['arg0=0x1100'], 'empty': [''], 'table': ['t=-400']}
    assert ran(program, 1).returncode == 0


@pytest.mark.parametrize('flags', ['-O0', '-O2'])
def test_arguments_of_a_usdt_probe_in_memory_and_in_registers(flags: str, compile_c: Compile) -> None:
    program = compile_c(USDT, flags)
    lines = traced([f'u {program}:four %0 %1 %2 s=%3:string c=!(char *)%3 t=%3:text(%1)', f'u:m {program}:shop:memory %0 f:arg0<0',
                    f'u:n {program}:other:none %0'], lambda: ran(program, 2))
    text = 's="text" c="text" t="text" (196 more, from a NUL or an unreadable byte on)'
    assert shown(lines) == [f'arg0={i - 5} arg1=200 arg2={-1 << 40} {text}' for i in range(2)]
    assert shown(lines, 'm') == ['arg0=-72'] * 2 and shown(lines, 'n') == [f'arg0={(1 << 33) + i}' for i in range(2)]


FLOATS = r"""
#include <stdio.h>
#include <math.h>
#include <sys/sdt.h>
struct one { float x; };
struct s { int n; float f; double d; struct one one; float v[3]; double w[2]; } *volatile kept;
double global = 2.75;
__attribute__((noinline)) long take(struct s *s, double x) { __asm__ volatile("" :: "r"(s) : "memory"); return s->n + x; }
__attribute__((noinline)) void probe(double d, float f, int k) { DTRACE_PROBE3(fl, pt, d, f, k); }
int main(void) {
  struct s s = { 1, 0, 0, {16777216.0f}, {1, 0.1f, -3.25f}, {1e300, 5e-324} };
  kept = &s;
  for (int i = 0; i < 40; i++) {
    s.n = i; s.f = 0.1f * i; s.d = 1.0 / i; s.v[2] = powf(-7.5f, i); s.w[1] = pow(1.7, 30 * i - 600);
    printf("%.9g %.17g %.9g %.9g %.9g %.9g %.17g %.17g\n", s.f, s.d, s.one.x, s.v[0], s.v[1], s.v[2], s.w[0], s.w[1]);
    take(&s, 1.5); probe(s.d, s.f, i);
  }
  return 0;
}
"""


@pytest.mark.parametrize('compiler, flags', [('gcc', '-O0'), ('gcc', '-O2'), ('clang', '-O2')])
def test_floating_point_numbers_in_memory_are_what_the_program_prints(compiler: str, flags: str, compile_c: Compile) -> None:
    program, said = compile_c(FLOATS, flags, '-g', '-lm', compiler=compiler), []
    lines = traced([f'P {program}:take s->f s->d s->one s->v s->w g=@global first=s->v[0]', f'u:u {program}:pt %0 %1'],
                   lambda: said.extend(ran(program).stdout.splitlines()))
    wanted = [[float(number) for number in line.split()] for line in said]
    found = [[float(number) for number in re.findall(r'[={,](-?(?:[\d.]+(?:e[-+]\d+)?|inf|nan))', line)] for line in shown(lines)]
    assert len(wanted) == 40 and [[*map(single, row)] for row in found] == [[*map(single, [*row, 2.75, 1])] for row in wanted]
    assert [[row[1], *row[6:8]] for row in found] == [[row[1], *row[6:8]] for row in wanted]
    assert shown(lines, 'u') == [re.sub(r'f=(\S+) d=(\S+) .*', r'arg0=\2 arg1=\1', line) for line in shown(lines)]


NETWORK = r"""
#include <string.h>
#include <arpa/inet.h>
#include <linux/types.h>
struct s { __be16 port; __be32 addr; __be64 id; __be32 list[3]; struct in_addr in; struct in6_addr six; struct sockaddr_in sin; };
__attribute__((noinline)) int take(struct s *s, __be16 port, struct in_addr in) { __asm__ volatile("" :: "r"(s) : "memory"); return port; }
int main(void) {
  struct s s = { htons(443), htonl(0x01020304), 0, { htonl(1), htonl(2), htonl(3000000000u) } };
  s.id = (__u64)htonl(5) << 32; inet_pton(AF_INET6, "fe80::1:2", &s.six); inet_aton("10.1.2.3", &s.in); s.sin.sin_addr = s.in;
  return take(&s, htons(80), s.in) == 0;
}
"""


def test_what_is_declared_in_network_order_is_what_the_program_means(compile_c: Compile) -> None:
    program = compile_c(NETWORK, '-O2', '-g')
    take = f'{program}:take'
    lines = traced([f'P:a {take} s->port s->addr s->id s->list s->in s->six s->sin.sin_addr port in f:port==443',
                    f'P:b {take} port in X(port) U(port) port:x16 f:in==10.1.2.3&&port==80', f'P:c {take} s->six f:six==fe80::1:2',
                    f'P:d {take} port f:port==443||port==20480'], lambda: ran(program))
    assert {name: shown(lines, name) for name in 'abcd'} == {
        'a': ['port=443 addr=16909060 id=5 list={1,2,3000000000} in=10.1.2.3 six=fe80::1:2 sin_addr=10.1.2.3 port_2=80 in_2=10.1.2.3'],
        'b': ['port=80 in=10.1.2.3 port_2=0x50 port_3=80 port_4=0x5000'], 'c': ['six=fe80::1:2'], 'd': []}


def single(value: float) -> float:
    """The float next to it, as C has it."""
    return ctypes.c_float(value).value


def test_a_semaphore_counts_while_it_is_traced_and_then_no_more(compile_c: Compile) -> None:
    """main returns the counter."""
    program = compile_c(HAND.replace('BASE', '_.stapsdt.base'), '-O1', '-no-pie')
    assert ran(program, 1).returncode == 0
    run = Running('-q', f'u {program}:counted')
    assert ran(program, 1).returncode > 0
    run.end()
    assert ran(program, 1).returncode == 0


def test_libstdcpp_throw_and_catch(compile_c: Compile) -> None:
    program = compile_c(CPP, '-x', 'c++', '-g', '-O2', compiler='g++')
    library = next((line.split()[2] for line in ran('ldd', program).stdout.splitlines() if 'libstdc++' in line), '')
    if not module.Executable(library).usdt_notes():
        pytest.skip('this libstdc++ has no USDT probes')
    lines = traced([f'u:t {library}:libstdcxx:throw object=%0 type=+0(+8(%si)):string', f'u:c {library}:catch object=%0', 'P:p libstdc++:__cxa_throw object=%0'],
                   lambda: ran(program))
    thrown = shown(lines, 't')
    assert [text.split()[1] for text in thrown] == ['type="St13runtime_error"'] * 2
    objects = [text.split()[0] for text in thrown]
    assert shown(lines, 'p') == objects and len(shown(lines, 'c')) == 2
    assert all(re.fullmatch('object=0x[0-9a-f]{6,}', text) for text in objects)


# ---- other people's programs


def test_bash_readline_and_what_it_returns() -> None:
    """Typed into a real bash, on a terminal."""
    need('bash')
    run = Running('-q', 'P:in bash:readline', 'R:out bash:readline cmd=!(char *)$retval', 'R:ends bash:readline cmd=$retval f:cmd==0')
    master, slave = pty.openpty()
    shell = subprocess.Popen(['bash', '--norc', '--noprofile', '-i'], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                             env={**os.environ, 'HISTFILE': '/dev/null', 'TERM': 'dumb', 'PS1': 'ready> '})
    os.close(slave)
    typed = ['echo one "two  three"', 'true # é', '']
    said = b''
    for number, text in enumerate([*typed, None], 1):
        while said.count(b'ready> ') < number:          # or the terminal would take the end of the file for its own
            said += os.read(master, 4096)
        os.write(master, b'\x04' if text is None else text.encode() + b'\n')      # for the end readline returns NULL
    shell.wait(PATIENCE)
    os.close(master)
    lines = run.end()
    assert shown(lines, 'out', shell.pid) == [f'cmd="{text}"' for text in typed] + ['cmd=(null)']
    assert shown(lines, 'in', shell.pid) == [''] * 4
    assert shown(lines, 'ends', shell.pid) == ['cmd=0x0']


def test_functions_of_libc_called_by_a_program_of_debians(tmp_path: Path) -> None:
    need('date', 'env')
    (tmp_path / 'there').write_text('2001-02-03\n')
    pids = []

    def act() -> None:
        for name in ('there', 'gone'):
            process = subprocess.Popen(['date', '-f', tmp_path / name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            process.wait()
            pids.append(process.pid)
    lines = traced(['P:open libc:fopen name=!(char *)%0 mode=!(char *)%1', 'R:null libc:fopen file=$retval:x64 f:file==0',
                    f'P:mine libc.so.6:fopen name=!(char *)%0 f:name=="{tmp_path}/gone"'], act)
    for name, pid in zip(('there', 'gone'), pids):
        assert [text for text in shown(lines, 'open', pid) if str(tmp_path) in text] == [f'name="{tmp_path}/{name}" mode="r"']
    assert [shown(lines, 'null', pid) for pid in pids] == [[], ['file=0x0']]
    assert shown(lines, 'mine') == [f'name="{tmp_path}/gone"']


def test_libcs_own_types(tmp_path: Path) -> None:
    if not glob.glob('/usr/lib/debug/.build-id/*/*.debug'):
        pytest.skip('libc6-dbg is not installed')
    before = time.time()
    code = 'import time, os; time.sleep(0.001); os.getenv("x"); print(os.getpid())'
    process = []
    lines = traced(['P libc:clock_nanosleep clock=clock_id flags req->tv_nsec'],
                   lambda: process.append(int(ran(debians_python(), '-c', code).stdout)))
    values = [text for text in shown(lines, pid=process[0])]
    assert values and all(re.fullmatch(r'clock=1 flags=1 tv_nsec=\d{1,9}', text) for text in values), lines
    assert before


def test_redis_strings_while_redis_cli_sets_and_gets(tmp_path: Path) -> None:
    need('redis-server', 'redis-cli')
    socket = str(tmp_path / 's')
    server = subprocess.Popen(['redis-server', '--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', tmp_path],
                              stdout=subprocess.DEVNULL)
    try:
        while ran('redis-cli', '-s', socket, 'ping').stdout != 'PONG\n':
            time.sleep(0.02)

        def act() -> None:
            assert ran('redis-cli', '-s', socket, 'set', 'greeting', 'hello  world').stdout == 'OK\n'
            assert ran('redis-cli', '-s', socket, 'get', 'greeting').stdout == 'hello  world\n'
            ran('redis-cli', '-s', socket, 'set', 'long', 'x' * 300)
        lines = traced(['P /usr/bin/redis-server:createStringObject s=%0:text(%1)'], act, '-p', str(server.pid))
    finally:
        server.terminate()
        server.wait(PATIENCE)
    found = shown(lines)
    for text in ('"set"', '"greeting"', '"hello  world"', '"get"', '"long"', '"' + 'x' * 256 + '"... (300 bytes)'):
        assert f's={text}' in found
    assert found.count('s="greeting"') >= 2


def test_the_queries_of_a_postgresql_server() -> None:
    """As an unprivileged user, on a socket of its own."""
    need('setpriv', 'psql')
    places = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'))
    if not places or not module.Executable(places[-1]).usdt_notes():
        pytest.skip('no PostgreSQL with USDT probes')
    binaries, folder = Path(places[-1]).parent, Path(output('mktemp', '-d', '/tmp/surftrace-pg-XXXXXX').strip())
    user = ('setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups')
    try:
        shutil.chown(folder, 'postgres', 'postgres')
        made = ran(*user, binaries / 'initdb', '-D', folder / 'data', '--no-sync', '-A', 'trust')
        assert made.returncode == 0, made.stderr
        server = subprocess.Popen([*user, binaries / 'postgres', '-D', folder / 'data', '-k', folder, '-c', 'listen_addresses=', '-F'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            psql = (*user, 'psql', '-qtAX', '-h', folder, '-d', 'postgres', '-c')
            while ran(*psql, 'SELECT 1').stdout != '1\n' and server.poll() is None:
                time.sleep(0.05)
            queries = ['SELECT 40 + 2', "SELECT 'two  words'", 'SELECT nothing FROM nowhere']
            lines = traced([f'u {places[-1]}:query__start q=!(char *)%0', f'u:done {places[-1]}:postgresql:query__done q=%0:string'],
                           lambda: [ran(*psql, query) for query in queries])
        finally:
            server.terminate()
            server.wait(PATIENCE)
    finally:
        shutil.rmtree(folder)
    assert shown(lines) == [f'q="{query}"' for query in queries]
    assert shown(lines, 'done') == [f'q="{query}"' for query in queries[:2]]


def test_cpp_by_its_names(compile_c: Compile) -> None:
    program = compile_c(CPP, '-x', 'c++', '-g', '-O2', compiler='g++')
    lines = traced([f'P:a {program}:shop::Cart::add count what:text this->items this->tag this->where.y', f'P:o {program}:shop::Cart::add this->owner:text',
                    f'P:s {program}:shop::total*string* s:text n', f'P:p {program}:"shop::total(shop::Point const&, int)" p.x n',
                    f'P:b {program}:shop::byvalue p.x p.y n', f'P:t {program}:shop::twice<long> v', f'R:l {program}:shop::Cart::label $retval:text',
                    f'P:c {program}:shop::paint c shiny wide', f'P:m {program}:shop::make n', f'P:q {program}:shop::Cart::operator== other.items',
                    f'P:u {program}:shop::owned n', f'R:ar {program}:shop::Cart::add $retval'], lambda: ran(program))
    found = {name: shown(lines, name) for name in 'a o p b t l c m q u ar'.split()}
    assert found == {
        'a': [f'count={10 + i} what="apples and pears" items={items} tag=77 y=6' for i, items in ((0, 3), (1, 13))], 'o': ['owner="alice"'] * 2,
        'p': ['x=5 n=1'] * 2, 'b': ['x=5 y=6 n=2'] * 2, 't': ['v=22'] * 2, 'l': ['retval="alice!"'] * 2, 'c': [f'c=Green shiny=1 wide={0x20ac}'] * 2,
        'm': ['n=9'] * 2, 'q': ['items=13', 'items=24'], 'u': ['n=8'] * 2, 'ar': ['retval=13', 'retval=24']}
    assert [line.partition(') ')[2] for line in lines if 'that is on the heap' in line] == ['s="a long string that is on the heap" n=4'] * 2


@pytest.mark.parametrize('flags', ['-O0', '-O2', '-O1 -gdwarf-4'])
@pytest.mark.parametrize('compiler', ['g++', 'clang++'])
def test_members_and_types_of_cpp_are_those_the_program_takes(compiler: str, flags: str, compile_c: Compile) -> None:
    need(compiler)
    program = compile_c(SCOPES, '-x', 'c++', '-g', *flags.split(), compiler=compiler)
    said: list[str] = []
    lines = traced([f'P {program}:{place} v={asked}' for place, asked in SCOPED.items()], lambda: said.extend(ran(program).stdout.split()))
    values = [match[1] for line in lines for match in [re.search(r' v=(\S+)$', line)] if match]
    assert len(said) == len(SCOPED) and dict(zip(SCOPED, values)) == dict(zip(SCOPED, said))


CPP_STRINGS = r'''
#include <string>
#include <string_view>
struct S { int n; std::string inside; };
__attribute__((noinline)) int take(std::string s, const std::string &r, std::string_view v, S *p, std::string *q) {
  asm volatile("" :: "r"(&s), "r"(&r), "r"(v.data()), "r"(p), "r"(q) : "memory"); return 1; }
int main() {
  std::string empty, held(22, 'a'), longer(23, 'b'), wide(300, 'c'); S one{1, "inside"}, two{2, "inside that is longer than it could be"};
  take(empty, held, "view", &one, nullptr); take(longer, wide, std::string_view(), &two, &held); }
'''


@pytest.mark.parametrize('library', ['', '-stdlib=libc++'])
def test_strings_of_two_libraries(library: str, compile_c: Compile) -> None:
    need('clang++')
    program = compile_c(CPP_STRINGS, *library.split(), '-std=c++17', '-x', 'c++', '-g', '-O1', compiler='clang++')
    lines = traced([f'P {program}:take s r v in=p->inside *q'], lambda: ran(program))
    assert shown(lines) == [
        f's="" r="{"a" * 22}" v="view" in="inside" q=(null)',
        f's="{"b" * 23}" r="{"c" * 256}"... (300 bytes) v="" in="inside that is longer than it could be" q="{"a" * 22}"']


FORTRAN = r'''
module shop
  type :: point
    integer :: x, y
  end type
  type, extends(point) :: place
    integer :: z
  end type
contains
  subroutine sold(n, big, p, name, word, list, grid, from, k)
    integer, intent(in) :: n
    integer(8), intent(in) :: big
    type(place), intent(in) :: p
    character(len=*), intent(in) :: name
    character(len=5), intent(in) :: word
    integer, intent(in) :: list(3), grid(2, 3), from(0:4)
    integer, value :: k
    print '(20(i0, 1x))', n, big, p%x, p%z, list, grid(2, 3), from(4), k
    print *, name, word
  end subroutine
  integer function total(list)
    integer, intent(in) :: list(:)
    total = sum(list)
    print *, total
  end function
end module
program main
  use shop
  type(place) :: p
  integer :: grid(2, 3), sold_all
  p%x = 5; p%y = 6; p%z = 7
  grid = reshape((/ 1, 2, 3, 4, 5, 66 /), (/ 2, 3 /))
  call sold(42, 5000000000_8, p, 'a longer name', 'words', (/ 7, 8, 9 /), grid, (/ 10, 11, 12, 13, 14 /), -3)
  sold_all = total((/ 1, 2 /))
end program
'''


@pytest.mark.parametrize('flags', ['-O0', '-O1', '-O2'])
def test_what_fortran_passes_by_its_address_is_read_there(flags: str, compile_c: Compile, tmp_path: Path) -> None:
    need('gfortran')
    (tmp_path / 'shop.f90').write_text(FORTRAN)
    program = compile_c(tmp_path / 'shop.f90', '-g', flags, compiler='gfortran')
    said: list[str] = []
    lines = traced([f'P {program}:__shop_MOD_sold n big p.point.x p.z list last=grid[2][1] from=from[4] k t=(char *)name:text(_name) word',
                    f'P:d {program}:__shop_MOD_total one=((int *)list)[1]'], lambda: said.extend(ran(program).stdout.splitlines()))
    n, big, x, z, *list_, last, from_, k = said[0].split()
    assert shown(lines) == [f'n={n} big={big} x={x} z={z} list={{{",".join(list_)}}} last={last} from={from_} k={k} t="a longer name" word="words"']
    assert n == '42' and shown(lines, 'd') == ['one=2']
    assert 'behind a descriptor' in surftrace('-S', f'P {program}:__shop_MOD_total list').stderr


ADA = '''
with Ada.Text_IO; with Interfaces;
procedure Shop is
   type Color is (Red, Green, Blue);
   type Small is range -5 .. 100;
   type Place is record X : Integer; Y : Long_Integer; C : Color; end record;
   type Place_Access is access all Place;
   procedure Count (N : Integer; P : Place_Access; C : Color; S : Small; W : Interfaces.Unsigned_16; T : String);
   pragma No_Inline (Count);
   procedure Count (N : Integer; P : Place_Access; C : Color; S : Small; W : Interfaces.Unsigned_16; T : String) is
   begin
      Ada.Text_IO.Put_Line (N'Image & P.X'Image & " " & P.Y'Image & " " & P.C'Image & " " & C'Image & " " & S'Image & W'Image & T'Last'Image);
   end Count;
   P : aliased Place := (7, -8, Blue);
begin
   for I in 1 .. 3 loop
      P.X := I * 10;
      Count (I, P'Unchecked_Access, Color'Val (I mod 3), Small (-I), 65000, "text");
   end loop;
end Shop;
'''


@pytest.mark.parametrize('flags', ['-O0', '-O1'])
def test_ada_by_its_names(flags: str, compile_c: Compile, tmp_path: Path) -> None:
    need('gnatmake', optional=True)
    (tmp_path / 'shop.adb').write_text(ADA)
    program, said = compile_c(tmp_path / 'shop.adb', '-g', flags, compiler='gnatmake'), []
    lines = traced([f'P {program}:shop__count.0 n p->x p->y p->c c s w t.P_BOUNDS->UB0'], lambda: said.extend(ran(program).stdout.splitlines()))
    assert [re.sub(r'\w+=|"', '', line).upper() for line in shown(lines)] == [' '.join(line.split()).upper() for line in said]
    assert len(said) == 3


D = '''
import core.stdc.stdio;
struct Place { int x; long y; Kind k; }
enum Kind : ushort { none, some = 5 }
class Item { int price; short left; Item next; string name; }
pragma(inline, false)
int sell(int n, Place* p, Item item, int[] list, string text, Kind k, ref int total, bool fast) {
    printf("%d %d %ld %d %d %d %zu \\"%.*s\\" \\"%.*s\\" %s %d %d\\n", n, p.x, p.y, item.price, item.next.left, list[1], list.length,
        cast(int) text.length, text.ptr, cast(int) item.name.length, item.name.ptr, k ? "some".ptr : "none".ptr, total, fast);
    return total += n * item.price;
}
void main() {
    Place p = Place(3, -9, Kind.some); int total = 4;
    auto item = new Item; item.price = 12; item.next = new Item; item.next.left = -7; item.name = "lamp";
    foreach (i; 0 .. 2) sell(i + 1, &p, item, [5, 6 + i, 7], "words", i ? Kind.some : Kind.none, total, i == 1);
}
'''


@pytest.mark.parametrize('flags', ['-O0', '-O1'])
def test_d_by_its_names(flags: str, compile_c: Compile, tmp_path: Path) -> None:
    need('gdc', optional=True)
    (tmp_path / 'shop.d').write_text(D)
    program, said = compile_c(tmp_path / 'shop.d', '-g', flags, compiler='gdc'), []
    name, = (name for name in symbols(program) if name.startswith('_D4shop4sell'))
    lines = traced([f'P {program}:{name} n p->x p->y item->price item->next->left list.ptr[1] list.length text item->name k total fast'],
                   lambda: said.extend(ran(program).stdout.splitlines()))
    assert [re.sub(r'\w+=', '', line) for line in shown(lines)] == said and len(said) == 2


@pytest.mark.parametrize('flags', ['-Copt-level=0', '-Copt-level=0 -Csymbol-mangling-version=v0'])
def test_rust_by_its_names(flags: str, compile_c: Compile) -> None:
    need('rustc', optional=True)
    program = compile_c(RUST, '--crate-name', 'rs', '-g', *flags.split(), compiler='rustc')
    lines = traced([f'P:b {program}:rs::shop::buy count who:text item->price item->neg item->name:text', f'P:p {program}:rs::shop::plain a b c',
                    f'R:r {program}:rs::shop::buy $retval'], lambda: ran(program))
    assert shown(lines, 'b') == [f'count={i + 2} who="customer" price={7 + 3 * i} neg=-3 name="lamp"' for i in range(2)]
    assert shown(lines, 'p') == ['a=-5 b=6 c=1'] * 2
    assert shown(lines, 'r') == [f'retval={(7 + 3 * i) * (i + 2) + 8}' for i in range(2)]


@pytest.mark.parametrize('flags', ['-Copt-level=0', '-Copt-level=2'])
def test_enums_of_rust_by_their_variant(flags: str, compile_c: Compile) -> None:
    need('rustc', optional=True)
    program = compile_c(RUST_ENUMS, '--crate-name', 'rs', '-g', flags, compiler='rustc')
    returned = [f'R:g {program}:rs::twice $retval', f'R:h {program}:rs::word $retval'] if '=0' in flags else []
    lines = traced([f'P:a {program}:rs::opt_u32 o', f'P:b {program}:rs::opt_ref o', f'P:c {program}:rs::result r', f'P:f {program}:rs::small b c p',
                    f'P:d {program}:rs::node n->opt n->next n->name n->shape n->next.Some.__0->val', *returned], lambda: ran(program))
    hidden = [re.sub('0x[0-9a-f]+', 'X', line) for name in 'bd' for line in shown(lines, name)]
    assert (shown(lines, 'a'), shown(lines, 'c')) == (['o=Some(5)', 'o=None'], ['r=Ok(3)', 'r=Err(4)'])
    assert hidden == ['o=Some(X)', 'o=None', 'opt=Some(6) next=Some(X) name=None shape=Circle(8) val=1',
                      'opt=None next=None name=Some(..) shape=Rect(..) val=(null)', 'opt=None next=None name=None shape=Empty val=(null)']
    assert shown(lines, 'f') == [f'b=Some(1) c=Some({ord("x")}) p=None', 'b=None c=None p=Some(4)']
    if returned:
        assert (shown(lines, 'g'), shown(lines, 'h')) == (['retval=Some(6)', 'retval=None'], ['retval="big"'])


GO = '''package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
)

type Req struct {
	Name string
	Id   int32
	Tags []string
	Next *Req
}

//go:noinline
func handle(r *Req, n int, s string, b byte) int {
	if r.Next != nil {
		n++
	}
	return n + len(s) + int(b) + int(r.Id)
}

func grow(n int) int { // makes the stack move
	var room [256]byte
	room[n%256] = byte(n)
	if n == 0 {
		return handle(&Req{}, int(room[3]), "deep", 7)
	}
	return grow(n-1) + int(room[n%256])
}

func main() {
	r := &Req{Name: "gopher", Id: -9}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, "ok") }))
	if len(os.Args) > 1 {
		done := make(chan int)
		for g := 0; g < 8; g++ {
			go func(g int) {
				t := 0
				for i := 0; i < 300; i++ {
					t += handle(r, i, fmt.Sprint("load", g), 1) + grow(i)
				}
				done <- t
			}(g)
		}
		for g := 0; g < 8; g++ {
			<-done
		}
		fmt.Println("survived")
		return
	}
	for i := 0; i < 2; i++ {
		handle(r, i, "some text", 200)
		resp, err := http.Get(fmt.Sprint(srv.URL, "/path/", i))
		if err == nil {
			resp.Body.Close()
		}
	}
	fmt.Println(srv.URL)
}
'''


@pytest.fixture(scope='module')
def go_program(pytestconfig: pytest.Config) -> Path:
    """The program of GO."""
    return go(Path(pytestconfig.cache.mkdir('go')), GO)


def test_go_by_its_registers(go_program: Path) -> None:
    urls = []
    lines = traced([f'P:h {go_program}:main.handle r->Name:text r->Id n s:text b', f'P:u {go_program}:net/http.(*Client).Get url:text'],
                   lambda: urls.append(ran(go_program).stdout.strip()))
    assert shown(lines, 'h') == [f'Name="gopher" Id=-9 n={i} s="some text" b=200' for i in range(2)]
    assert shown(lines, 'u') == [f'url="{urls[0]}/path/{i}"' for i in range(2)]


def test_a_go_program_lives_through_it_and_nothing_is_missed(go_program: Path) -> None:
    done = []
    lines = traced([f'P {go_program}:main.handle n s:text'], lambda: done.append(ran(go_program, 'load')), '-b', '8192')
    assert (done[0].returncode, done[0].stdout) == (0, 'survived\n')
    found = shown(lines)
    assert len(found) >= 8 * 600 and {text.split('s=')[1] for text in found} == {'"deep"', *(f'"load{g}"' for g in range(8))}
    for g in range(8):
        numbers = {int(text.split()[0][2:]) for text in found if text.endswith(f'"load{g}"')}
        assert numbers == set(range(300))


def test_a_return_probe_on_go_is_refused(go_program: Path) -> None:
    said = surftrace(f'R {go_program}:main.handle')
    assert said.returncode == 2 and 'Go program' in said.stderr and '--force' in said.stderr


def test_jvm_sees_a_thread_begin(tmp_path: Path) -> None:
    need('java', 'javac', optional=True)
    libraries = glob.glob('/usr/lib/jvm/*/lib/server/libjvm.so')
    if not libraries or not module.Executable(libraries[0]).usdt_notes():
        pytest.skip('no libjvm.so with USDT probes')
    (tmp_path / 'T.java').write_text('public class T { public static void main(String[] a) throws Exception { Thread t = new Thread(() -> {}, '
                                     '"my-own-thread"); t.start(); t.join(); } }')
    ran('javac', '-d', tmp_path, tmp_path / 'T.java')
    java = os.path.realpath(Path(libraries[0]).parents[2] / 'bin/java')
    lines = traced([f'u {libraries[0]}:hotspot:thread__start name=%0:text(%1)'], lambda: ran(java, '-cp', tmp_path, '-Xint', 'T'))
    assert 'name="my-own-thread"' in shown(lines)


assert COMMAND[0] == sys.executable


# ---- inside functions


INSIDE = r'''struct thing { int n; struct thing *next; };
static inline __attribute__((always_inline)) int added(int left, int right) { int sum = left + right; __asm__ volatile("" :: "r"(sum)); return sum; }
__attribute__((noinline)) int work(int rounds) {
    int total = 0;
    for (int i = 0; i < rounds; i++) {
        struct thing it = { i * 10, 0 };
        total += added(it.n, i); /* here */
    }
    return total;
}
int main(void) { return work(3) + added(100, 1) == 0; }
'''
HERE = INSIDE.split('/* here */')[0].count('\n') + 1


@pytest.mark.parametrize('flags', ['-gdwarf-4', '-gdwarf-5'])
def test_a_line_and_the_copies_of_an_inlined_function_have_their_variables(flags: str, compile_c: Compile) -> None:
    program = compile_c(INSIDE, '-O0', flags)
    declared = HERE - 1 - INSIDE.split('int work')[0].count('\n')
    lines = traced([f'P:line {program}:test.c:{HERE} i total it.n x=it.next->n', f'P:below {program}:work:{declared} i rounds f:i>0',
                    f'P:copies {program}:added left right'], lambda: subprocess.run([program]))
    assert shown(lines, 'line') == [f'i={i} total={total} n={10 * i} x=(null)' for i, total in enumerate((0, 0, 11))]
    assert shown(lines, 'below') == ['i=1 rounds=3', 'i=2 rounds=3']
    assert sorted(shown(lines, 'copies')) == ['left=0 right=0', 'left=10 right=1', 'left=100 right=1', 'left=20 right=2']


@pytest.mark.parametrize('flags', [('-Os',), ('-O3', '--param', 'max-inline-insns-auto=300')], ids=' '.join)
def test_a_function_that_is_split_is_seen_once_a_call(flags: tuple[str, ...], compile_c: Compile) -> None:
    program = compile_c(Path(__file__).parent / 'fixtures/rest.c', *flags, '-g', '-fpartial-inlining')
    lines = traced([f'P {program}:put count amount'], lambda: subprocess.run([program]))
    assert [line.split('amount=')[1] for line in shown(lines)] == [str(i) for i in range(7) for _ in range(3)]


def test_what_a_line_became_and_the_code_of_a_function_are_listed(compile_c: Compile) -> None:
    program = compile_c(INSIDE, '-O0', '-gdwarf-5')
    said = surftrace('-l', f'{program}:test.c:{HERE}')
    starts = output('gdb', '-nx', '-batch', '-ex', f'info line test.c:{HERE}', program)
    first = re.search(r'address (0x[0-9a-f]+)', starts)
    assert first and first[1] in said.stdout and re.search(r'^ +it +struct thing', said.stdout, re.M), (said, starts)
    pytest.importorskip('capstone')
    code = surftrace('-F', f'{program}:work').stdout
    listing = output('objdump', '-d', '--no-show-raw-insn', '--disassemble=work', program)
    wanted = [int(at, 16) for at in re.findall(r'^ +([0-9a-f]+):\t', listing, re.M)]
    assert [int(at) for at in re.findall(r'^ +<\+(\d+)>', code, re.M)] == [at - wanted[0] for at in wanted]
    refused = surftrace('-S', f'P {program}:test.c:1 i')
    assert refused.returncode == 2 and 'has no code; lines that have' in refused.stderr


# ---- every call of a function is seen once, whatever the compiler made of it


COPIES = r'''
#include <stdio.h>
#define KEEP __asm__ volatile("" :: "r"(sum) : "memory")
static __attribute__((noinline)) long scaled(long x, int by, const char *why) {
    long sum = 0;
    for (int i = 0; i < x; i++) { sum += i * by; KEEP; }
    printf("scaled x=%ld by=%d why=\"%s\"\n", x, by, why);
    return sum;
}
struct three { long a, b, c; };
static __attribute__((noinline)) long part(struct three *p, int k) { printf("part b=%ld k=%d\n", p->b, k); return p->b + k; }
static inline long small(long x) { long sum = x; KEEP; printf("small x=%ld\n", x); return sum + 1; }
__attribute__((noinline)) long both(long x, int by) {
    long sum = 0;
    for (int i = 0; i < x * by; i++) { sum += i; KEEP; }
    printf("both x=%ld by=%d\n", x, by);
    return sum;
}
long (*volatile pointer)(long, int) = both;
int main(int argc, char **argv) {
    struct three p = { 1, argc, 3 };
    long sum = scaled(argc + 1, 7, "why") + scaled(argc + 2, 7, "why") + part(&p, argc) + part(&p, 2);
    sum += both(argc + 3, 5) + both(argc + 4, 5) + pointer(2, 3) + small(argc + 5) + small(argc + 6);
    return sum == 0;
}
'''
INLINE = r'''
#include <cstdio>
#line 1 "/include/inline.h"
#define KEEP asm volatile("" :: "r"(v) : "memory")
inline int shared(int v) { KEEP; printf("shared v=%d\n", v); return v + 1; }
template <typename T> T twice(T v) { KEEP; printf("twice<int> v=%d\n", (int)v); return v * 2; }
struct Held { int n; int get(int v) { KEEP; printf("Held::get v=%d\n", v); return n + v; } };
int other(int x);
#line 1 "test.c"
#ifdef OTHER
int other(int x) { Held held{ x }; return shared(10) + twice<int>(20) + held.get(30); }
#else
int (*volatile pointer)(int) = shared;
int (*volatile made)(int) = twice<int>;
int (Held::*volatile get)(int) = &Held::get;
int main() {
    Held held{ 3 };
    int sum = shared(1) + twice<int>(2) + held.get(3);
    return other(sum + pointer(4) + made(5) + (held.*get)(6)) == 0;
}
#endif
'''


def said_and_seen(program: Path, asked: dict[str, str]) -> tuple[list[str], list[str]]:
    """What the program prints of its calls, and what the probes show of them, in any order."""
    said: list[str] = []
    events = {name: f'e{number}' for number, name in enumerate(asked)}
    lines = traced([f'P:{events[name]} {program}:{name} {words}' for name, words in asked.items()],
                   lambda: said.extend(ran(program).stdout.splitlines()))
    return sorted(said), sorted(f'{name} {values}' for name in asked for values in shown(lines, events[name]))


@pytest.mark.parametrize('flags', ['-O0', '-O1', '-O2', '-O3', '-O2 -flto', '-O3 -gdwarf-4'])
def test_every_call_is_seen_once_whatever_copies_there_are(flags: str, compile_c: Compile) -> None:
    program = compile_c(COPIES, '-g', *flags.split())
    said, seen = said_and_seen(program, {'scaled': 'x by why', 'part': 'b=p->b k', 'both': 'x by', 'small': 'x'})
    assert len(said) == 9 and seen == said
    assert ('constprop' in output('nm', program)) == (flags[2] in '23')


@pytest.mark.parametrize('flags', ['-O0', '-O1', '-O2', '-O3', '-O2 -flto'])
def test_every_call_of_an_inline_function_of_a_header_is_seen_once(flags: str, compile_c: Compile) -> None:
    other = compile_c(INLINE, '-c', '-x', 'c++', '-DOTHER', '-g', *flags.split(), compiler='g++')
    linked = compile_c(INLINE, '-c', '-x', 'c++', '-g', *flags.split(), compiler='g++')
    program = linked.with_name('program')
    output('g++', '-g', *flags.split(), linked, other, '-o', program)
    value = '' if 'lto' in flags else 'v'                               # LTO leaves none of some constants, which is said
    said, seen = said_and_seen(program, dict.fromkeys(('shared', 'twice<int>', 'Held::get'), value))
    assert len(said) == 9 and [line.strip() for line in seen] == [line if value else line.split()[0] for line in said]


APPLY = r'''
#include <stdio.h>
typedef int (*function)(int);
__attribute__((noinline)) int apply(int n, function f) {
    int sum = 0;
    for (int i = 0; i < n; i++) { sum += f(i); __asm__ volatile("" :: "r"(sum) : "memory"); }
    printf("n=%d retval=%d\n", n, sum);
    return sum;
}
static int one(int x) { return x + 1; }
static int two(int x) { return x * 2; }
int main(int argc, char **argv) {
    function volatile f = two;
    int sum = 0;
    for (int i = 0; i < 3; i++) sum += apply(argc + i, one);
    return sum + apply(argc + 9, f) == 0;
}
'''


def test_a_function_and_its_copies_are_one_and_what_is_not_seen_is_said(compile_c: Compile, tmp_path: Path) -> None:
    """A register is another thing in a copy; without DWARF nobody knows where a copy has its parameters."""
    program, said = compile_c(APPLY, '-g', '-O3'), []  # type: Path, list[str]
    bare = stripped(program, tmp_path, 'packed')
    assert {'apply', 'apply.constprop.0'} <= set(re.findall(r'\w (apply\S*)$', output('nm', program), re.M))
    lines = traced([f'P:entry {program}:apply n', f'R:back {program}:apply.constprop.0 $retval', f'P:own {program}:apply n=%di:s32', f'P:f {program}:apply n f:n>3'],
                   lambda: said.extend(ran(program).stdout.splitlines()))
    calls = [line.split() for line in said]
    assert len(calls) == 4 and shown(lines, 'entry') == [n for n, _ in calls] and shown(lines, 'back') == [retval for _, retval in calls[:3]]
    assert shown(lines, 'own') == [calls[3][0]] and shown(lines, 'f') == [n for n, _ in calls if int(n[2:]) > 3]
    assert shown(traced([f'P {bare}:apply n=%0:s32'], lambda: ran(bare))) == [calls[3][0]]
    note = surftrace('-S', f'P {bare}:apply %0')
    assert note.returncode == 0 and 'also there as apply.constprop.0' in note.stderr, note
    refused = surftrace('-S', f'P {bare}:apply.constprop.0 %0')
    assert refused.returncode == 2 and 'no debug information' in refused.stderr
