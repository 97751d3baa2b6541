"""Probes in programs, as -S prints them: nothing here needs root. The programs are built as a distribution may build them, and
what must come of a line is written from the System V ABI, from what nm and readelf say, or from what the source says."""
from __future__ import annotations

import functools
import re
import shutil
import struct
import types
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from cache import Unavailable
from helpers import AMD64, check, events_of, machine_of, need, of_programs, outcome, output
from programs import (
    APP,
    BUILDS,
    CPP,
    GO,
    HAND,
    NAMES,
    OTHER,
    RUST,
    RUST_ENUMS,
    SCOPES,
    USDT,
    Compile,
    behind,
    build,
    go,
    loads,
    notes,
    of_two_files,
    offset,
    stripped,
    symbols,
)

import surftrace

AARCH64 = surftrace.arch_named('aarch64')


@pytest.fixture(scope='module', autouse=True)
def _machine() -> None:
    """The programs are x86-64's."""
    if surftrace.os.uname().machine != 'x86_64':
        raise Unavailable('the programs of these tests are for x86-64')


# ---- the programs


# ---- surftrace


class Told(NamedTuple):
    """What main returned, and what it printed."""
    status: int
    out: list[str]
    err: str


def told(*arguments: str) -> Told:
    """A run of main with nothing printed here."""
    status, out, err = outcome(*arguments)
    return Told(status, out.splitlines(), err)


def shown(*arguments: str) -> list[str]:
    """What -S prints, which is the same again when it is read back."""
    first = told('-S', *arguments)
    assert first.status == 0, first.err
    options = [word for word, before in zip(arguments, ('', *arguments)) if word[0] == '-' or before in ('-p', '-v', '-a')]
    again = told('-S', *options, *first.out)
    assert again.out == first.out, again.err
    return first.out


def refusal(*arguments: str) -> tuple[str, str]:
    """(the message, what the caret marks)"""
    said = told('-S', *arguments)
    assert said.status == 2 and not said.out, said
    message, *lines = said.err.rstrip('\n').split('\n')
    assert message.startswith('surftrace: ') and len(lines) == 2, f'no caret: {said.err}'
    start = lines[1].index('^')
    return message[11:], lines[0][start:len(lines[1])]


def value(line: str) -> str:
    """The arguments of a line that -S printed, with what is behind #!."""
    return ' '.join(line.split(' ')[2:])


# ---- names that several have, and files of any name


@pytest.fixture(params=['gcc', 'clang'])
def two_files(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A program of two files, each with a helper() of its own."""
    return of_two_files(tmp_path, request.param)


def test_one_of_several_functions_of_a_name_is_that_of_its_file(two_files: Path) -> None:
    """As nm and addr2line say, which of the two has which static variable."""
    message, _ = refusal(f'P {two_files}:helper')
    ways = message.partition('behind the colon: ')[2].split(', ')
    assert len(ways) == 2 and all(re.fullmatch(r'helper@\S+\.c', way) for way in ways)
    seen = []
    for way in ways:
        line, = shown(f'P {two_files}:{way} x calls')
        found = re.fullmatch(rf'p:f0 {two_files}:(0x\w+) x=%di:s32 calls=@\+(0x\w+):s32', line)
        assert found
        address = next(int(found[1], 16) - at + start for at, start, _ in loads(two_files) if at <= int(found[1], 16))
        at_line = output('addr2line', '-e', two_files, hex(address))
        assert way.partition('@')[2].rpartition('/')[2] in at_line
        seen.append((address, found[2]))
        assert shown(f'R {two_files}:{way} calls')[0].split(' ')[2] == f'calls=@+{found[2]}:s32'
    assert {address for address, _ in seen} == set(symbols(two_files)['helper']) and len({place for _, place in seen}) == 2
    both = shown(f'P {two_files}:helper@* x calls')
    assert sorted(both) == sorted(shown(f'P:f0 {two_files}:{ways[0]} x calls') + shown(f'P:f0 {two_files}:{ways[1]} x calls'))
    assert shown(f'P {two_files}:main@*') == shown(f'P {two_files}:main')
    assert 'whole functions' in refusal(f'P {two_files}:helper@*:1')[0]
    assert "no 'helper' in nowhere.c; it is in" in refusal(f'P {two_files}:helper@nowhere.c')[0]


@pytest.mark.parametrize(('place', 'function'), [('gram.y:12', 'reduce'), ('main.zig:20', 'main')])
def test_a_line_of_a_file_of_any_suffix(place: str, function: str, two_files: Path) -> None:
    line, = shown(f'P {two_files}:{place}')
    start = offset(two_files, function)
    assert start <= int(line.rpartition(':')[2], 16) < start + 80
    said = told('-l', f'{two_files}:{place}')
    assert said.status == 0 and place in said.out[0]


def test_a_function_of_a_file_is_listed_alone(two_files: Path) -> None:
    assert told('-L', f'P {two_files}:helper@uses.c').out == ['int helper(int x);']
    assert len(told('-L', f'P {two_files}:helper').out) == 2
    assert told('-L', f'P {two_files}:helper@none.c').status == 2


def test_a_typedef_that_only_one_file_has_of_a_struct_that_all_have(tmp_path: Path) -> None:
    for number in range(12):
        text = f'struct twin {{ int a, b; }};\nint use{number}(struct twin *p) {{ return p->b; }}\n'
        (tmp_path / f'f{number:02}.c').write_text(text)
    (tmp_path / 'main.c').write_text('typedef struct twin twin; struct twin { int a, b; };\n'
                                     'int main(int n, char **v) { return ((twin *)v)->b; }\n')
    output('gcc', '-g', '-O1', *sorted(tmp_path.glob('*.c')), '-o', tmp_path / 'twins')
    assert value(shown(f'P {tmp_path}/twins:main ((twin *)v)->b')[0]) == 'b=+4(%si):s32'


def test_a_static_that_is_linked_in_another_unit_has_its_type(compile_c: Compile) -> None:
    """gcc's LTO: where a variable is stands in another unit than its name and type."""
    program = compile_c('static volatile struct pair { int a; short b; } table[2] = { { 1, 2 }, { 3, 4 } };\n'
                        'int main(int n, char **v) { return table[n].b + table[0].a; }\n', '-flto', '-O2', '-g')
    assert re.fullmatch(r'b=@\+0x[0-9a-f]+:s16', value(shown(f'P {program}:main @table[1].b')[0]))


def test_a_file_that_is_not_there_is_no_function_either(two_files: Path) -> None:
    assert 'gram.q: no line numbers for a function or source file of that name' in refusal(f'P {two_files}:gram.q:12')[0]
    assert 'line 11 of this function' not in refusal(f'P {two_files}:gram.y:1')[0]


def test_a_program_in_this_folder_is_named_with_it(two_files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, message in (('mine', "no program or library 'mine'"), ('ls', "ls has no function 'helper'")):
        shutil.copy(two_files, tmp_path / name)
        assert refusal(f'P {name}:helper')[0].endswith(f'{message}; the one in this folder is ./{name}')


def test_two_paths_to_one_library_are_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, two_files: Path) -> None:
    """As libssl.so is a link to libssl.so.3, both in the linker's list."""
    file, link, twin = (tmp_path / name for name in ('libtwo.so.3', 'libtwo.so', 'libtwo.so.4'))
    shutil.copy(two_files, file)
    link.symlink_to(file.name)
    listed = [(path.name, str(path)) for path in (file, link)]
    monkeypatch.setattr(surftrace, 'library_paths', lambda: listed)
    assert surftrace.object_paths('libtwo', []) == [str(file)]
    shutil.copy(two_files, twin)
    listed.append((twin.name, str(twin)))
    assert surftrace.object_paths('libtwo', []) == [str(twin), str(file)]


# ---- C: where things are

PLAIN = [       # PLACE and what is asked; what must be printed
    ('handle id', 'id=%di:s32'), ('handle %0', 'id=%di:s32'), ('handle o', 'o=%si:x64'),
    ('handle o->name', 'name=+0(+0(%si)):string'), ('handle o->name[1]', 'name=+1(+0(%si)):s8'),
    ('handle %1->own.a', 'a=+16(%si):s32'),
    ('handle o->own.b', 'b=+20(%si):b3@0/8'), ('handle o->own.c', 'c=+20(%si):b5@3/8 #! c:S(5)'),
    ('handle o->own.d', 'd=+24(%si):s64'), ('handle o->own.u.i', 'i=+32(%si):s32'),
    ('handle o->own.u.t', 't=+32(%si):u8[8]'), ('handle o->own.u.t[3]', 't=+35(%si):u8'),
    ('handle o->in->c', 'c=+4(+8(%si)):b5@3/8 #! c:S(5)'), ('handle o->in->d', 'd=+8(+8(%si)):s64'),
    ('handle o->arr', 'arr=+40(%si):s16[4]'), ('handle o->arr[3]', 'arr=+46(%si):s16'),
    ('handle o->word', 'word=+48(%si):string #! word:cut(8)'),
    ('handle o->next->next->in->u.i', 'i=+16(+8(+56(+56(%si)))):s32'),
    ('handle (&o->own)->d', 'd=+24(%si):s64'),
    ('handle ((struct inner *)%1)->c', 'c=+4(%si):b5@3/8 #! c:S(5)'),
    ('handle container_of(&o->own, struct outer, own)->name', 'name=+0(+0(%si)):string'),
    ('handle user(o)->name', 'name=+0(+0(%si)):string'),
    ('handle (char *)o->in', 'in=+0(+8(%si)):string'), ('handle X%0 U(id) S(o->own.b)', 'id=%di:x32 id_2=%di:u32 b=+20(%si):b3@0/8 #! b:S(3)'),
    ('handle $comm $stack0 %ax', 'comm=$comm stack0=$stack0:x64 ax=%ax:x64'),
    ('handle x=-8(%sp):u64 y=+0(+8(%si)):string', 'x=-8(%sp):u64 y=+0(+8(%si)):string'),
    ('eight a b c d e f=f:s16 g h', 'a=%di:s8 b=%si:u16 c=%dx:s32 d=%cx:s64 e=%r8:u8 f=%r9:s16 g=+8($stack):s32 h=+16($stack):s32 #! =h:enum(color)'),
    ('eight %7 %6', 'h=+16($stack):s32 g=+8($stack):s32 #! =h:enum(color)'),
    ('withpair p.a p.b after', 'a=%di:s64 b=%si:s64 after=%dx:s32'),
    ('withsmall s.x s.y after', 'x=%di:s16 y=%di:b16@16/64 after=%si:s32 #! y:S(16)'),
    ('withbig before p.a p.c after', 'before=%di:s32 a=+8($stack):s64 c=+24($stack):s64 after=%si:s32'),
    ('withfloat after last', 'after=%di:s32 last=%si:s64'),
    ('withbits b->lo b->hi b->wide', 'lo=+0(%di):b4@0/8 hi=+0(%di):b12@4/16 wide=+0(%di):b40@16/64'),
    ('withbits by.lo by.hi by.wide', 'lo=%si:b4@0/64 hi=%si:b12@4/64 wide=%si:b40@16/64'),
    ('retbig n', 'n=%si:s32'),          # the struct's address comes first
    ('retpair n', 'n=%di:s32'), ('paint c', 'c=%di:s32 #! c:enum(color)'), ('paint c f:c!=BLUE', 'c=%di:s32 #! c:enum(color) f:c!=BLUE'),
    ('variadic f', 'f=+0(%di):string'),
    ('text p n', 'p=+0(%di):string n=%si:u64'),
    ('text s=p:text(n)', 's=%si:u64 s_2=+0(%di):x8[64] s_3=+64(%di):x8[64] s_4=+128(%di):x8[64] s_5=+192(%di):x8[64] #! s+s_2+s_3+s_4+s_5:text'),
    ('signedtext s=%0:text(%1)', 's=%si:s32 s_2=+0(%di):x8[64] s_3=+64(%di):x8[64] s_4=+128(%di):x8[64] s_5=+192(%di):x8[64] #! s+s_2+s_3+s_4+s_5:text'),
]
TYPED = [name for name in BUILDS if name != 'no types']


@pytest.mark.parametrize('name', TYPED)
def test_members_and_arguments_are_where_the_abi_has_them(name: str, compile_c: Compile) -> None:
    program = build(compile_c, name)
    lines = shown(*(f'P {program}:{asked}' for asked, _ in PLAIN))
    assert len(lines) == len(PLAIN)
    for i, (line, (asked, wanted)) in enumerate(zip(lines, PLAIN)):
        assert line.startswith(f'p:f{i} {program}:{offset(program, asked.split()[0]):#x} '), asked
        assert value(line) == wanted, asked


RETURNS = [('retbig $retval.a $retval.c', 'a=+0($retval):s64 c=+16($retval):s64'), ('retpair $retval.a $retval.b', 'a=$retval:s64 b=%dx:s64'),
           ('paint $retval', 'retval=$retval:s32 #! retval:enum(color)'), ('handle $retval f:retval<0', 'retval=$retval:s64 #! f:retval<0'),
           ('handle v=$retval:u8', 'v=$retval:u8'), ('text', '')]


@pytest.mark.parametrize('name', ['-O0', '-O2', 'not PIE', 'DWARF 4'])
def test_what_is_returned_is_where_the_abi_has_it(name: str, compile_c: Compile) -> None:
    program = build(compile_c, name)
    for asked, wanted in RETURNS:
        line, = shown(f'R {program}:{asked}')
        assert line.startswith(f'r:f0 {program}:{offset(program, asked.split()[0]):#x}') and value(line) == wanted, asked


@pytest.mark.parametrize('name', TYPED)
def test_globals_are_counted_from_where_the_file_begins(name: str, compile_c: Compile) -> None:
    program = build(compile_c, name)
    at = functools.partial(behind, program, 'handle')
    asked = '@counter @counter:x8 @global_one.name @global_one.in->a @global_one.own.c @sink'
    line, = shown(f'P {program}:handle {asked}')
    glob = at('global_one')
    assert value(line) == (f'counter=@+{at("counter"):#x}:s32 counter_2=@+{at("counter"):#x}:x8 name=+0(@+{glob:#x}):string '
                           f'a=+0(@+{glob + 8:#x}):s32 c=@+{glob + 20:#x}:b5@3/8 sink=@+{at("sink"):#x}:s64 #! c:S(5)')


REFUSED = [     # what is asked; what is said; what is marked
    ('P {}:handle o->own.u.f f:f==1.5', 'the kernel compares integers', 'f'), ('P {}:handle S(o->own.u.f)', ':x32 shows the bits', 'S(o->own.u.f)'),
    ('P {}:handle X(o->own)', 'is more than one value; name a member: a, b, c, d, u', 'X(o->own)'),
    ('P {}:handle o->nmae', "no member 'nmae'; did you mean 'name'", 'nmae'),
    ('P {}:handle o.name', 'is a pointer: write ->name', 'name'),
    ('P {}:handle di', "no parameter 'di'; its parameters are id, o", 'di'), ('P {}:eight aa', "no parameter 'aa'", 'aa'),
    ('P {}:handle %2', 'handle has 2 parameters, %0 to %1', '%2'),
    ('P {}:handle o->arr[4]', 'the array has 4 elements', None),
    ('P {}:handle $arg1', 'an argument is %0, %1', '$arg1'),
    ('P {}:handle $retval', 'use R', '$retval'),
    ('P {}:handle %rax', "no register '%rax'", '%rax'),
    ('P {}:handle o->name:symbol', 'symbol is for the kernel', 'symbol'),
    ('P {}:handle a=\\"x"', 'the kernel shows (fault)', '\\"x"'),
    ('P {}:handle @mine', "is a thread's own (TLS)", '@mine'),
    ('P {}:handle @counted_twice', "has 2 symbols 'counted_twice'", '@counted_twice'),
    ('P {}:handle @nowhere', "has no symbol 'nowhere'", '@nowhere'),
    ('P {}:handle &@counter', None, None),
    ('P {}:handle @counter+2', 'no type is known', None),
    ('P {}:same x', "'same' is there 2 times", '{}:same'),
    ('P {}:withfloat d', 'ftrace reads no floating-point registers', 'd'),
    ('P {}:withfloat x=f:x32', 'ftrace reads no floating-point registers', None), ('P {}:withfloat %0:double', 'floating-point registers', '%0'),
    ('P {}:variadic %1', 'variadic function', '%1'),
    ('P {}:wide w', 'is not available here', 'w'),
    ('R {}:retdouble $retval', 'floating-point', '$retval'), ('R {}:nothing $retval', 'returns nothing', '$retval'),
    ('R {}:handle @counter+1', None, None), ('R {}:handle+3', 'no offset', '{}:handle+3'),
    ('P {}:printf', "calls 'printf' and has it not: it is in libc.so.6, write libc.so.6:printf", '{}:printf'),
    ('P {}:counter', 'is data, not a function', '{}:counter'),
    ('P {}:hnadle', "no function 'hnadle'; did you mean 'handle'", '{}:hnadle'),
    ('P {}:xyz*', "no function in {} matches 'xyz*'", '{}:xyz*'),
    ('P {}:0x1', 'not in a part of {} that is loaded to be executed', '{}:0x1'), ('P {}:0x99999999', 'not in a part', '{}:0x99999999'),
    ('P {}:handle+9999', 'is behind it', '{}:handle+9999'),
    ('P {}:handle @(struct iphdr *)%1->saddr', 'sk_buff', '%1'),
    ('P {}:text s=p:text', 'carries no length: say it', None), ('P {}:text s=p:text(', None, None), ('P {}:text s=p:text()', 'expected', ')'),
    ('P {}:text s=p:text(p)', 'the length is char *, and not a number', None), ('P {}:text s=n:text(n)', 'text is bytes in memory', None),
    ('P {}:handle s=o->arr:text(id)', 'text is bytes in memory', None), ('P {}:text s=p:text(n):x', 'complete before this', ':'),
    ('P {}:text s=p:text(n) f:s==hello', None, None), ('P {}:text s=p:text(n) f:s~"h*"', 'only the length can be compared', 's'),
    ('P {}:handle f:nix==1', "no field 'nix'", 'nix'),
    ('u {}:nix', 'has no USDT probes', '{}:nix'), ('u {}:a:b', 'has no USDT probes', None),
]


@pytest.mark.parametrize('line, words, marked', REFUSED, ids=[line for line, _, _ in REFUSED])
def test_what_cannot_be_had_is_refused_with_a_caret(line: str, words: str, marked: str, compile_c: Compile) -> None:
    program = build(compile_c, '-O0')
    message, found = refusal(line.format(program))
    assert len(message) > 15 and (words or '').format(program) in message
    assert marked is None or found == marked.format(program)


@pytest.mark.parametrize('name', ['-O0', '-O2'])
def test_a_struct_with_a_float_is_had_only_where_the_debug_information_has_it(name: str, compile_c: Compile) -> None:
    program = build(compile_c, name)
    if name == '-O2':
        assert value(shown(f'P {program}:withmixed m.n after')[0]) == 'n=%di:s64 after=%si:s32'
    for asked in ('m.d', *['m.n', 'after'] * (name == '-O0')):
        refusal(f'P {program}:withmixed {asked}')


def test_without_types_an_argument_is_a_word_and_can_be_cast(compile_c: Compile) -> None:
    program = build(compile_c, 'no types')
    line, = shown(f'P {program}:eight %0 %5 %6 %7 v=%2:s32 c=!(char *)%1')
    assert value(line) == 'arg0=%di:x64 arg5=%r9:x64 arg6=+8($stack):x64 arg7=+16($stack):x64 v=%dx:s32 c=+0(%si):string'
    assert value(shown(f'R {program}:eight $retval')[0]) == 'retval=$retval:x64'
    assert 'no debug information for this function' in refusal(f'P {program}:eight a')[0]
    assert 'struct' in refusal(f'P {program}:handle !(struct outer *)%1->name')[0]


def test_functions_of_one_name_can_be_had_by_their_offsets(compile_c: Compile) -> None:
    program = build(compile_c, 'text apart')
    first, second = sorted(symbols(program)['same'])
    assert all(f'{address:#x}' in refusal(f'P {program}:same')[0] for address in (first, second))
    assert [line.split()[1] for line in shown(f'P {program}:sam[e] x')] == [f'{program}:{a:#x}' for a in (first, second)]
    assert shown(f'P {program}:{first:#x} x') == [f'p:f0 {program}:{first:#x} x=%di:s32']


def test_a_pattern_that_fits_one_function_or_more(compile_c: Compile) -> None:
    program = build(compile_c, '-O2')
    assert shown(f'P {program}:hand* id') == [f'p:f0_handle {program}:{offset(program, "handle"):#x} id=%di:s32'] or shown(
        f'P {program}:hand* id') == [f'p:f0 {program}:{offset(program, "handle"):#x} id=%di:s32']
    lines = shown(f'P {program}:ret*')
    assert {line.split()[1] for line in lines} == {f'{program}:{offset(program, name):#x}' for name in ('retbig', 'retpair', 'retdouble')}


# ---- where a probe may be


def instructions(program: Path, function: str) -> list[int]:
    """The offsets of the instructions of a function, as objdump has them."""
    text = output('objdump', '-d', '--no-show-raw-insn', f'--disassemble={function}', program)
    found = [int(address, 16) for address in re.findall(r'^ +([0-9a-f]+):\t', text, re.M)]
    return [address - found[0] for address in found]


@pytest.mark.parametrize('function', ['handle', 'withfloat', 'main'])
@pytest.mark.parametrize('by', ['name', 'offset in the file'])
def test_a_probe_is_set_only_where_an_instruction_begins(function: str, by: str, compile_c: Compile) -> None:
    pytest.importorskip('capstone')
    program = build(compile_c, '-O2')
    good = instructions(program, function)
    start = offset(program, function)
    for at in range(min(good[-1], 120) + 1):
        place = f'{program}:{function}+{at}' if by == 'name' else f'{program}:{start + at:#x}'
        probe = surftrace.parse_probe(f'P {place} %ax')
        if at in good:
            assert surftrace.locate(probe, of_programs())[0].place == f'{program}:{start + at:#x}'
        else:
            with pytest.raises(surftrace.InputError, match='is inside an instruction'):
                surftrace.locate(probe, of_programs())


@pytest.mark.parametrize('broken', [False, True])
def test_force_sets_a_probe_anywhere_and_without_a_disassembler_nothing_else_does(
        broken: bool, compile_c: Compile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = build(compile_c, '-O2')
    start = offset(program, 'handle')
    assert told('-S', '--force', f'P {program}:handle+1').out == [f'p:f0 {program}:{start + 1:#x}']
    if broken:                                          # as one for another machine
        (tmp_path / 'capstone.py').write_text('raise OSError("cannot open shared object file")')
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(surftrace.sys.modules, 'capstone', raising=False)
    else:
        monkeypatch.setitem(surftrace.sys.modules, 'capstone', None)
    message, marked = refusal(f'P {program}:handle+1')
    assert 'capstone' in message and '--force' in message and marked == f'{program}:handle+1'
    assert shown(f'P {program}:handle+0') == [f'p:f0 {program}:{start:#x}']


# ---- separate debug files


@pytest.mark.parametrize('how', ['link', 'link in a folder', 'build-id', 'link, no build-id'])
def test_a_debug_file_is_found(how: str, compile_c: Compile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surftrace, 'DEBUG_FOLDER', str(tmp_path / 'debug'))
    flags = ['-Wl,--build-id=none'] if 'no build-id' in how else []
    whole = compile_c(APP, str(compile_c(OTHER, '-c', '-O2', '-g')), '-O2', '-g', *flags)
    program = stripped(whole, tmp_path, how)
    assert symbols(program) == {}
    lines = shown(f'P {program}:handle o->own.c @counter', f'P {program}:eight a b c d e f g h')
    assert lines == [line.replace(str(whole), str(program)) for line in shown(
        f'P {whole}:handle o->own.c @counter', f'P {whole}:eight a b c d e f g h')]


def test_the_symbols_of_minidebuginfo_are_found(compile_c: Compile, tmp_path: Path) -> None:
    whole = build(compile_c, '-O2')
    program = stripped(whole, tmp_path, 'packed')
    assert shown(f'P {program}:handle %0') == [f'p:f0 {program}:{offset(whole, "handle"):#x} arg0=%di:x64']
    assert 'no debug information' in refusal(f'P {program}:handle id')[0]


@pytest.mark.parametrize('wrong', ['of another build', 'with another checksum', 'that is no ELF file', 'that is a folder'])
def test_a_debug_file_of_another_program_is_not_taken(wrong: str, compile_c: Compile, tmp_path: Path) -> None:
    flags = ['-Wl,--build-id=none'] if 'checksum' in wrong else []
    whole = compile_c(APP, str(compile_c(OTHER, '-c', '-O2', '-g')), '-O2', '-g', *flags)
    program, debug = stripped(whole, tmp_path, 'link'), tmp_path / 'app.debug'
    assert told('-S', f'P {program}:handle id').status == 0
    if 'another' in wrong:
        other = compile_c(APP.replace('int id', 'long more, int id').replace('handle(i,', 'handle(3, i,'),
                          str(compile_c(OTHER, '-c', '-O2', '-g')), '-O2', '-g', *flags)
        output('objcopy', '--only-keep-debug', other, debug)
    elif 'no ELF' in wrong:
        debug.write_text('nothing')
    else:
        debug.unlink()
        debug.mkdir()
    message, _ = refusal(f'P {program}:handle id')
    assert 'stripped' in message


FRAMED = '''#include <stdio.h>
struct s { int v; } told;
__attribute__((noinline)) int work(int n, struct s *p) {
  int twice = n * 2;
  struct s mine = {n};
  printf("%d %p\\n", twice + p->v, (void *)&mine);
  return twice; }
int main(int argc, char **argv) { struct s s = {argc}; return work(3, &s); }
'''


@pytest.mark.parametrize('how', ['link', 'build-id', 'named'])
def test_the_frames_of_a_debug_file_are_those_of_the_program(how: str, compile_c: Compile, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no contents of .eh_frame."""
    whole = compile_c(FRAMED, '-g', '-O0', '-fno-omit-frame-pointer')
    monkeypatch.setattr(surftrace, 'DEBUG_FOLDER', str(tmp_path / 'debug'))
    program = stripped(whole, tmp_path, how)
    given = ('-v', str(tmp_path / 'app.debug')) if how == 'named' else ()
    line = 'P {}:test.c:6 twice mine.v n v=p->v'
    expected = outcome('-S', line.format(whole)).out.replace(str(whole), str(program))
    assert expected.count('(%bp)') >= 2 and outcome('-S', *given, line.format(program)).out == expected


def test_where_nothing_is_told_of_parameters_they_are_words(compile_c: Compile, tmp_path: Path) -> None:
    """As without debug information: of -g1, whose entries are names and lines, and of an assembler's functions."""
    thin, plain = compile_c(FRAMED, '-g1', '-O1'), compile_c(FRAMED, '-O1')
    for line in ('P {}:work %0 %1', 'R {}:work $retval'):
        lines = [outcome('-S', line.format(program)).out.partition(' ')[2].partition(' ')[2] for program in (thin, plain)]
        assert lines[0] == lines[1] != ''
    refused = outcome('-S', f'P {thin}:work n')
    assert refused.status == 2 and 'no debug information for this function' in refused.err
    told = compile_c('void nothing(void) {} int main(void) { nothing(); return 0; }', '-g', '-O0')
    assert 'nothing has no parameters' in outcome('-S', f'P {told}:nothing %0').err
    assert 'nothing returns nothing' in outcome('-S', f'R {told}:nothing $retval').err
    source = tmp_path / 'add.S'
    source.write_text('.globl add\n.type add, %function\nadd: ret\n.size add, .-add\n.section .note.GNU-stack,"",%progbits\n')
    output('gcc', '-g', '-c', source, '-o', tmp_path / 'add.o')
    mixed = compile_c('long add(long, long); int main(int n, char **v) { return add(n, 2); }', str(tmp_path / 'add.o'), '-g')
    assert outcome('-S', f'P {mixed}:add %0 %1').out.count(':x64') == 2
    assert outcome('-S', f'R {mixed}:add $retval').out.endswith(' retval=$retval:x64\n')


def test_debug_information_that_is_not_read_is_named(compile_c: Compile) -> None:
    program, why = compile_c(FRAMED, '-g', '-O1', '-gdwarf64'), '64-bit DWARF (-gdwarf64) is not read; '
    assert why in outcome('-S', f'P {program}:work n').err
    assert outcome('-S', f'P {program}:work %0').out.endswith(' arg0=%di:x64\n')
    assert why in refusal(f'P {program}:work @told.v')[0]
    plain = compile_c(OTHER, '-g', '-O1', '-c')
    for objects in ((str(plain), '-xc'), ()):                           # one unit of two, the second or the first
        mixed = compile_c(APP, *objects, '-g', '-O1', '-gdwarf64', *([] if objects else [str(plain)]))
        assert value(shown(f'P {mixed}:call_other x')[0]) == 'x=%di:s32'
        assert why in outcome('-S', f'P {mixed}:handle id').err


def test_the_file_that_dwz_made_of_several_is_named_where_it_is_missing(compile_c: Compile, tmp_path: Path) -> None:
    need('dwz')
    common, programs = tmp_path / 'common.debug', [tmp_path / 'one', tmp_path / 'two']
    for program in programs:
        shutil.copy(build(compile_c, '-O2'), program)
    output('dwz', '-m', common, '-M', common, *programs)
    line = f'P {programs[0]}:handle o->own.a'
    assert value(shown(line)[0]) == 'a=+16(%si):s32'
    common.unlink()
    assert f'is missing: {common}' in outcome('-S', line).err


def test_v_names_the_debug_file_and_refuses_one_of_another_program(compile_c: Compile, tmp_path: Path) -> None:
    program = stripped(build(compile_c, '-O2'), tmp_path, 'none')
    debug = tmp_path / 'app.debug'
    assert value(shown('-v', str(debug), f'P {program}:handle id')[0]) == 'id=%di:s32'
    said = told('-S', '-v', str(debug), f'P {build(compile_c, "-O0")}:handle id')
    assert said.status == 2 and 'is not the debug file of' in said.err


# ---- libraries: versions, data, IFUNC

LIBRARY = r'''
int exported = 5;
static int hidden = 6;
__thread int own = 7;
int old_one(int a) { return a + hidden; }
int new_one(int b) { return b + exported + own; }
__asm__(".symver old_one, twin@V1");
__asm__(".symver new_one, twin@@V2");
int only_old(int a) { return a; }
__asm__(".symver only_old, gone@V1");
static int fast_one(int a) { return a; }
static void *choose(void) { return fast_one; }
int chosen(int a) __attribute__((ifunc("choose")));
int chosen_fast(int a) { return a; }
void *use(void) { return (void *)fast_one; }
'''


@pytest.fixture(scope='module')
def library(compile_c: Compile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with versions, an IFUNC, TLS and exported data, stripped of all but its dynamic symbols."""
    folder = tmp_path_factory.mktemp('library')
    (folder / 'map').write_text('V1 { global: gone; twin; };\nV2 { global: twin; exported; own; chosen; chosen_fast; use; local: *; } V1;\n')
    path = compile_c(LIBRARY, '-shared', '-fPIC', '-g', '-Wl,-soname,libshop.so.1', f'-Wl,--version-script={folder / "map"}')
    copy = folder / 'libshop.so.1'
    output('objcopy', '-S', path, copy)
    shutil.copy(path, folder / 'whole.so')
    return copy


def test_the_version_that_programs_are_linked_with_is_taken(library: Path) -> None:
    whole = library.with_name('whole.so')
    for path in library, whole:
        assert shown(f'P {path}:twin')[0] == f'p:f0 {path}:{symbols(whole)["new_one"][0]:#x}'
        assert shown(f'P {path}:gone')[0] == f'p:f0 {path}:{symbols(whole)["only_old"][0]:#x}'


@pytest.mark.parametrize('which', ['libshop.so.1', 'whole.so'])
@pytest.mark.parametrize('line, words', [
    ('P {}:chosen', "'chosen' is an IFUNC"), ('P {}:exported', 'is data'), ('P {}:use @exported', 'is exported: a program'),
    ('P {}:use @own', 'TLS')])
def test_what_only_the_linker_knows_is_refused(line: str, words: str, which: str, library: Path) -> None:
    assert words in refusal(line.format(library.with_name(which)))[0]


def test_an_ifunc_names_those_that_may_be_chosen(library: Path) -> None:
    assert 'chosen_fast' in refusal(f'P {library}:chosen')[0]


def test_a_librarys_own_static_is_had(library: Path) -> None:
    whole = library.with_name('whole.so')
    assert value(shown(f'P {whole}:use @hidden')[0]) == f'hidden=@+{behind(whole, "use", "hidden"):#x}:s32'


# ---- OBJ


def test_a_program_is_found_by_path_and_in_path_and_a_file_of_the_folder_only_with_a_slash(
        tmp_path: Path, compile_c: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    program, path_of = build(compile_c, '-O2'), tmp_path
    at = f'{offset(program, "handle"):#x}'
    monkeypatch.setenv('PATH', str(path_of))
    shutil.copy(program, path_of / 'shop')
    monkeypatch.chdir(program.parent)
    assert shown('P shop:handle') == [f'p:f0 {path_of}/shop:{at}']
    assert shown(f'P ./{program.name}:handle') == [f'p:f0 {program}:{at}']
    assert "no program or library 'nosuchprog'" in refusal('P nosuchprog:handle')[0]
    (path_of / 'shop').chmod(0o644)
    assert refusal('P shop:handle')[1] == 'shop'


def test_a_path_with_a_colon_is_the_shortest_that_names_a_file(tmp_path: Path, compile_c: Compile) -> None:
    program = build(compile_c, '-O2')
    shutil.copy(program, tmp_path / 'a:b')
    assert shown(f'P {tmp_path}/a:b:handle')[0].startswith(f'p:f0 {tmp_path}/a:b:0x')


@pytest.mark.parametrize('name', ['with#hash', 'à', '\udca0'])
def test_a_path_the_kernel_cannot_take_is_refused_by_s(name: str, tmp_path: Path, compile_c: Compile) -> None:
    shutil.copy(build(compile_c, '-O2'), tmp_path / name)
    message, marked = refusal(f'P {tmp_path / name}:handle')
    assert 'a blank, a #' in message and 'link' in message and marked == surftrace.printable(f'{tmp_path / name}:handle')


def test_a_path_with_a_blank_is_written_in_quotes_and_refused_by_s(tmp_path: Path, compile_c: Compile) -> None:
    (tmp_path / 'a b').mkdir()
    shutil.copy(build(compile_c, '-O2'), tmp_path / 'a b/app')
    message, _ = refusal(f'P "{tmp_path}/a b/app":handle')
    assert 'blank' in message


@pytest.mark.parametrize('line, words', [
    ('P {}/script:main', 'script'), ('P {}/text:main', 'no ELF file'), ('P {}:main', 'no program or library'), ('P {}/nix:main', 'no program'),
    ('P bash', 'OBJ:FUNC expected'), ('P bash:', 'OBJ:FUNC expected'), ('P :x', 'OBJ:FUNC expected'), ('u bash', 'OBJ:PROVIDER:NAME expected'),
    ('P', 'the place is missing')])
def test_what_is_no_program_is_refused_with_a_caret(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / 'script').write_text('#!/bin/sh\n')
    (tmp_path / 'text').write_text('text')
    assert words in refusal(line.format(tmp_path))[0]


def test_a_library_is_found_by_its_soname_whole_and_short() -> None:
    if not any(name == 'libc.so.6' for name, _ in surftrace.library_paths()):
        raise Unavailable('the library cache has no libc.so.6')
    listed = [line.split(' => ')[1] for line in output('/sbin/ldconfig', '-p').splitlines() if re.match(r'\s*libc\.so\.6 .*x86-64', line)]
    for name in ('libc', 'libc.so.6', listed[0]):
        line, = shown(f'P {name}:sleep seconds=%0:u32')
        assert line == f'p:f0 {listed[0]}:{offset_of_dynamic(listed[0], "sleep"):#x} seconds=%di:u32'
    assert 'no program or library' in refusal('P lib:sleep')[0]


def offset_of_dynamic(path: str, name: str) -> int:
    """Where in the file a dynamic symbol is."""
    address = int(re.findall(rf'^(\w+) [TWi] {name}(?:@@\S+)?$', output('nm', '-D', path), re.M)[0], 16)
    return next(address - start + at for at, start, size in loads(Path(path)) if start <= address < start + size)


def test_a_name_of_several_libraries_is_refused(monkeypatch: pytest.MonkeyPatch, library: Path, tmp_path: Path) -> None:
    second = tmp_path / 'libshop.so.2'
    shutil.copy(library, second)
    monkeypatch.setattr(surftrace, 'library_paths', lambda: [('libshop.so.1', str(library)), ('libshop.so.2', str(second))])
    message, _ = refusal('P libshop:use')
    assert str(library) in message and str(second) in message
    assert shown('P libshop.so.2:use')[0].startswith(f'p:f0 {second}:')


def test_an_object_file_and_a_debug_file_are_refused(compile_c: Compile, tmp_path: Path) -> None:
    part = compile_c(OTHER, '-c', '-O2', '-g')
    said = told('-S', f'P {part}:same')
    assert said.status and 'ever loaded' in said.err
    output('objcopy', '--only-keep-debug', build(compile_c, '-O2'), tmp_path / 'app.debug')
    said = told('-S', f'P {tmp_path}/app.debug:handle')
    assert said.status and 'Traceback' not in said.err and not said.out


# ---- C++

STRING = 'std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >'
CHUNKS = ' '.join('{0}_' + str(i + 2) + '=+' + str(64 * i) + '({1}):x8[64]' for i in range(4))


def counted(name: str, length: str, pointer: str) -> str:
    """Counted text as -S has it."""
    return f'{name}={length} {CHUNKS.format(name, pointer)} #! {"+".join([name, *(f"{name}_{i}" for i in (2, 3, 4, 5))])}:text'


CPP_LINES = [   # the function, its symbol, what is asked, what must come of it
    ('shop::Cart::add', '_ZN4shop4Cart3addEiSt17basic_string_viewIcSt11char_traitsIcEE', 'count this->items this->tag this->where.x',
     'count=%si:s32 items=+16(%di):s32 tag=+8(%di):s64 x=+0(+56(%di)):s32'),
    ('shop::Cart::add', '_ZN4shop4Cart3addEiSt17basic_string_viewIcSt11char_traitsIcEE', 'what:text', counted('what', '%dx:u64', '%cx')),
    ('shop::Cart::add', '_ZN4shop4Cart3addEiSt17basic_string_viewIcSt11char_traitsIcEE', 'this->owner:text',
     counted('owner', '+32(%di):u64', '+24(%di)')),
    ('"shop::total(shop::Point const&, int)"', '_ZN4shop5totalERKNS_5PointEi', 'p.y n', 'y=+4(%di):s32 n=%si:s32'),
    (f'"shop::total({STRING}, int)"', '_ZN4shop5totalENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEi', 's:text',
     counted('s', '+8(%di):u64', '+0(%di)')),
    (f'"shop::total({STRING}, int)"', '_ZN4shop5totalENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEi', 'n', 'n=%si:s32'),
    ('shop::byvalue', '_ZN4shop7byvalueENS_5PointEi', 'p.x p.y n', 'x=%di:s32 y=%di:b32@32/64 n=%si:s32 #! y:S(32)'),
    ('shop::make', '_ZN4shop4makeEi', 'n', 'n=%si:s32'),                    # what is returned is made where %di says
    ('shop::owned', '_ZN4shop5ownedESt10unique_ptrIiSt14default_deleteIiEEi', 'n', 'n=%si:s32'),
    ('shop::twice<int>', '_ZN4shop5twiceIiEET_S1_', 'v', 'v=%di:s32'),
    ('"int shop::twice<int>(int)"', '_ZN4shop5twiceIiEET_S1_', 'v', 'v=%di:s32'),
    ('shop::twice<long>', '_ZN4shop5twiceIlEET_S1_', 'v', 'v=%di:s64'),
    ('shop::Cart::operator==', '_ZNK4shop4CarteqERKS0_', 'other.items', 'items=+16(%si):s32'),
    ('shop::Cart::made', '_ZN4shop4Cart4madeEi', 'n', 'n=%di:s32'),         # static: no this
    ('shop::Cart::label', '_ZNK4shop4Cart5labelB5cxx11Ev', 'this->items', 'items=+16(%si):s32'),
    ('shop::paint', '_ZN4shop5paintENS_6ColourEbDs', 'c shiny wide', 'c=%di:u8 shiny=%si:u8 wide=%dx:u16 #! c:enum(shop::Colour)'),
    ('"(anonymous namespace)::hidden"', '_ZN12_GLOBAL__N_16hiddenEi', 'n', 'n=%di:s32'),
    ('_ZN4shop4Cart4madeEi', '_ZN4shop4Cart4madeEi', 'n', 'n=%di:s32'),
    ('main', 'main', '', ''),
]


@pytest.mark.parametrize('flags', ['-O0', '-O2', '-O2 -gdwarf-5 -no-pie'])
def test_functions_of_cpp_by_their_names(flags: str, compile_c: Compile) -> None:
    program = compile_c(CPP, '-x', 'c++', '-g', *flags.split(), compiler='g++')
    lines = shown(*(f'P {program}:{place} {asked}' for place, _, asked, _ in CPP_LINES))
    for line, (place, symbol, _, wanted) in zip(lines, CPP_LINES):
        assert line.split()[1] == f'{program}:{offset(program, symbol):#x}', place
        assert value(line) == wanted, place
    line, = shown(f'R {program}:shop::Cart::label $retval:text')
    assert value(line) == counted('retval', '+8($retval):u64', '+0($retval)')


def test_dwarf_4_does_not_tell_how_cpp_passes_a_class(compile_c: Compile) -> None:
    program = compile_c(CPP, '-x', 'c++', '-gdwarf-4', '-gstrict-dwarf', '-O0', compiler='g++')
    assert value(shown(f'P {program}:shop::Cart::made n')[0]) == 'n=%di:s32'
    assert 'whether C++ passes' in refusal(f'P {program}:shop::Cart::add what:text')[0]
    assert value(shown(f'P {program}:shop::owned n')[0]) == 'n=%si:s32'               # the form of its place tells
    assert 'moves its arguments' in refusal(f'P {program}:shop::make n')[0]
    assert value(shown(f'P {program}:shop::byvalue n')[0]) == 'n=%si:s32'


@pytest.mark.parametrize('line, words', [
    ('P {}:shop::total', '"shop::total(shop::Point const&, int)"'), ('P {}:shop::Cart::ad', "did you mean 'shop::Cart::add'"),
    ('P {}:shop::Cart::add this->where->x', 'is no pointer: write .x'), ('R {}:shop::make $retval', 'name a member'),
    ('P {}:shop::owned p', None), ('P {}:shop::twice<char>', None)])
def test_what_cannot_be_had_of_cpp_is_refused(line: str, words: str, compile_c: Compile) -> None:
    program = compile_c(CPP, '-x', 'c++', '-g', '-O0', compiler='g++')
    assert (words or '') in refusal(line.format(program))[0]


def test_names_that_are_one_in_the_source_are_told_apart(compile_c: Compile) -> None:
    """Every one of the ways that the refusal names leads somewhere, and not all to the same place."""
    program = compile_c(CPP, '-x', 'c++', '-g', '-O0', compiler='g++')
    for name in ('shop::Cart::~Cart', 'shop::total'):
        ways = refusal(f'P {program}:{name}')[0].split('colon: ')[1]
        each = re.findall(r'"[^"]*"|[^\s,]+', ways)
        assert len({shown(f'P {program}:{way}')[0] for way in each}) == len(each) == 2, ways


@pytest.mark.parametrize('line, words', [
    ('both p->v', "'v' is ambiguous in struct M: struct A and struct B have one; say which: ((struct A *)x)->v or ((struct B *)x)->v"),
    ('hidden p->v', 'a static member, a function or a type'), ('method p->v', 'a static member, a function'),
    ('virt p->seen', 'in the virtual base struct V of struct V1'), ('virt ((V *)p)->seen', 'in the virtual base struct V'),
    ('twice p->v', "say which: ((struct L *)x)->v or ((struct R *)x)->v"), ('twice ((A *)p)->v', 'struct A is several times in struct Twice'),
    ('derived ((Node *)p)->x', "'Node' may be a::Node or b::Cls::Node or b::Node"), ('derived ((::Node *)p)->x', "no type '::Node'"),
    ('derived container_of(p, Node, x)->pad', 'say which'), ('a::later p->z', 'struct a::Later is declared, but'),
    ('derived ((c::Node *)p)->x', "no type 'c::Node'"), ('object p->v', 'struct D is no pointer: write .v'),
    ('number *p', 'no pointer, but int')])
def test_what_cpp_would_refuse_is_refused(line: str, words: str, compile_c: Compile) -> None:
    program = compile_c(SCOPES, '-x', 'c++', '-g', '-O1', compiler='g++')
    assert words in refusal(f'P {program}:{line}')[0]


def test_a_base_class_is_listed_without_its_own_virtual_bases(compile_c: Compile) -> None:
    program = compile_c(SCOPES, '-x', 'c++', '-g', '-O1', compiler='g++')
    lines = told('-v', str(program), '-L', 'struct VD').out
    assert [' '.join(line.split()) for line in lines] == [
        'struct VD { /* 56 bytes */', 'struct V1; /* 0 12 */', '/* hole: 4 bytes */', 'struct V2; /* 16 16 */', 'int c; /* 32 4 */',
        '/* virtual bases: 20 bytes */', '};']
    lines = told('-v', str(program), '-L', 'struct Refs').out
    assert [line.split(';')[0].strip() for line in lines[1:4]] == ['struct VD &whole', 'struct A *&pointer', 'const int &number']
    assert told('-v', str(program), '-L', 'struct Box<int, 3>.held').out[0].split()[:2] == ['int', 'held;']


def test_a_base_class_that_is_only_declared_hides_no_other_member(compile_c: Compile) -> None:
    """As the classes of libstdc++ are, where its own debug information is not there."""
    program = compile_c('''#include <sstream>
        __attribute__((noinline)) int f(std::stringstream &s) { asm volatile("" :: "r"(&s) : "memory"); return 1; }
        int main() { std::stringstream s; return f(s); }''', '-x', 'c++', '-g', '-O1', compiler='clang++')
    assert value(shown(f'P {program}:f s._M_gcount')[0]) == '_M_gcount=+8(%di):s64'
    assert 'in the virtual base class std::basic_ios' in refusal(f'P {program}:f s._M_fill')[0]
    assert "'nosuch' is in no class that is known here" in refusal(f'P {program}:f s.nosuch')[0]


@pytest.mark.parametrize('version', [4, 5])
def test_a_type_in_a_unit_of_its_own_is_found(version: int, compile_c: Compile) -> None:
    """.debug_types of DWARF 4, type units of DWARF 5: what refers to them has their signature."""
    program = compile_c('struct point { int x, y; struct point *next; }; union u { int a; float f; };\n'
                        'int g(struct point *p, union u *q) { return p->x + q->a; }\nint main(void) { return 0; }',
                        '-O1', f'-gdwarf-{version}', '-fdebug-types-section')
    assert value(shown(f'P {program}:g p->next->y q->a')[0]) == 'y=+4(+8(%di)):s32 a=+0(%si):s32'
    assert value(shown(f'P {program}:main y=((struct point *)%di)->y')[0]) == 'y=+4(%di):s32'


@pytest.mark.parametrize('asked, wanted', [
    ('derived ((a::Node *)p)->x', '+4(%di)'), ('derived ((struct b::Node *)p)->x', '+0(%di)'), ('a::fa ((::b::Cls::Node *)p)->x', '+8(%di)'),
    ('b::fb ((Cls::Node *)p)->x', '+8(%di)'), ('both ((A *)p)->v', '+0(%di)'), ('back container_of(p, b::Cls::Node, x)->pad[1]', None),
    ('both container_of(&((B *)p)->v, B, v)->w', '+8(%di)')])
def test_a_type_is_the_one_of_that_scope(asked: str, wanted: str | None, compile_c: Compile) -> None:
    program = compile_c(SCOPES, '-x', 'c++', '-g', '-O1', compiler='g++')
    if wanted is None:
        assert 'this points to struct B' in refusal(f'P {program}:{asked}')[0]
    else:
        assert re.search(r'=(\S+):', value(shown(f'P {program}:{asked}')[0]))[1] == wanted        # type: ignore[index]


def test_a_pattern_is_one_event_for_each_function_of_a_template(compile_c: Compile) -> None:
    program = compile_c(CPP, '-x', 'c++', '-g', '-O2', compiler='g++')
    lines = shown(f'P {program}:shop::twi* v')
    assert [line.split()[1:] for line in lines] == [[f'{program}:{offset(program, f"_ZN4shop5twiceI{t}EET_S1_"):#x}', f'v=%di:s{s}']
                                                    for t, s in (('i', 32), ('l', 64))]


# ---- names of C++ and Rust


@pytest.mark.parametrize('name, wanted', NAMES, ids=[name for name, _ in NAMES])
def test_a_mangled_name_is_what_the_source_has(name: str, wanted: str) -> None:
    if name.startswith('_Z') and not surftrace._cxa_demangle():
        raise Unavailable('there is no libstdc++.so.6')
    found = surftrace.demangled(name)
    assert found == wanted or not wanted and name.startswith('_RNvNt') and found == 'rs::shop::buy'


@pytest.mark.parametrize('name, wanted', [
    ('f(int)', 'f'), ('ns::f(int) const', 'ns::f'), ('f(void (*)(int))', 'f'), ('operator()(int)', 'operator()'), ('a::operator()', 'a::operator()'),
    ('(anonymous namespace)::f(int)', '(anonymous namespace)::f'), ('f', 'f'), ('f(int) &&', 'f')])
def test_a_name_without_its_parameters(name: str, wanted: str) -> None:
    assert surftrace.without_parameters(name) == wanted


def rust(compile_c: Compile, *flags: str) -> Path:
    """The program of RUST."""
    need('rustc', optional=True)
    return compile_c(RUST, '--crate-name', 'rs', '-g', *flags, compiler='rustc')


ENUMS_LINES = [
    ('P opt_u32 o', 'o=%di:u32 o_2=%si:u32 #! o+o_2:variant(None=0,Some=1/1)'), ('P opt_ref o', 'o=%di:u64 o_2=%di:x64 #! o+o_2:variant(None=0,Some=*/1)'),
    ('P result r', 'r=%di:u32 r_2=%si:u32 r_3=%si:u32 #! r+r_2+r_3:variant(Ok=0/1,Err=1/2)'), ('P node n->next.Some.__0->val', r'val=+\d+(+\d+(%di)):u64'),
    ('P node *n->next.Some.__0->shape', None), ('R twice $retval', 'retval=$retval:u32 retval_2=%dx:u32 #! retval+retval_2:variant(None=0,Some=1/1)'),
    ('P node n->opt.Some.__0', 'only the object tells'), ('P unlike u', 'is not available here'), ('P node n->shape.Circle', 'only the object tells')]


@pytest.mark.parametrize('line, wanted', ENUMS_LINES)
def test_an_enum_of_rust_is_read_by_its_discriminant(line: str, wanted: str | None, compile_c: Compile) -> None:
    need('rustc', optional=True)
    program = compile_c(RUST_ENUMS, '--crate-name', 'rs', '-g', '-Copt-level=0', compiler='rustc')
    text = re.sub(r'^(\w) ', rf'\1 {program}:rs::', line)
    if wanted and '=' in wanted:
        assert re.fullmatch(re.sub(r'(?<!\\d)([+()$*])', r'\\\1', wanted), value(shown(text)[0])), shown(text)
    else:
        assert (wanted or 'no pointer') in refusal(text)[0]


@pytest.mark.parametrize('text, values, wanted', [
    ('None=0,Some=1/1', ['1', '-5'], 'Some(-5)'), ('None=0,Some=1/1', ['0', '7'], 'None'), ('None=0,Some=1/1', ['2', '7'], '(no variant: 2)'),
    ('None=0,Some=*/1', ['4096', '0x1000'], 'Some(0x1000)'), ('A=255,B=*/,C=3', ['4'], 'B(..)'), ('A=255,B=*/,C=3', ['255'], 'A'),
    ('Ok=0/1,Err=1/2', ['1', '8', '9'], 'Err(9)')])
def test_a_variant_is_shown_with_what_it_holds(text: str, values: list[str], wanted: str) -> None:
    format_ = surftrace.format_named(f'variant({text})', AMD64)
    assert format_ and format_.show(values) == wanted and len(format_.takes) == len(values)


@pytest.mark.parametrize('flags', ['-Copt-level=0', '-Copt-level=2', '-Copt-level=0 -Csymbol-mangling-version=v0'])
def test_functions_of_rust_by_their_names(flags: str, compile_c: Compile) -> None:
    program = rust(compile_c, *flags.split())
    plain = next(name for name in symbols(program) if re.search(r'4shop5plain', name))
    assert shown(f'P {program}:rs::shop::plain a b c') == [f'p:f0 {program}:{offset(program, plain):#x} a=%di:s32 b=%si:u8 c=%dx:u8']
    if 'level=0' in flags:                              # else what is not used of it is left out
        assert value(shown(f'P {program}:rs::shop::buy count who:text')[0]) == 'count=%si:u64 ' + counted('who', '%cx:u64', '%dx')


def test_functions_of_go_by_its_registers(pytestconfig: pytest.Config) -> None:
    """Go's ABIInternal on amd64: rax rbx rcx rdi rsi r8 ..., a string in two of them."""
    program = go(Path(pytestconfig.cache.mkdir('go')), GO)
    line, = shown(f'P {program}:main.handle r->Id n b s:text')
    assert line.split()[1] == f'{program}:{offset(program, "main.handle"):#x}'
    assert value(line) == 'Id=+16(%ax):s32 n=%bx:s64 b=%si:u8 ' + counted('s', '%di:s64', '%cx')
    assert value(shown(f'P {program}:main.handle r->Name:text')[0]) == counted('Name', '+8(%ax):s64', '+0(%ax)')
    assert value(shown(f'P {program}:"main.(*Req).Method" x')[0]) == 'x=%bx:s64'
    assert 'Go program' in refusal(f'R {program}:main.handle')[0]
    assert told('-S', '--force', f'R {program}:main.handle').out == [f'r:f0 {program}:{offset(program, "main.handle"):#x}']


# ---- USDT


def in_file(program: Path, address: int) -> int:
    """An address as an offset in the file."""
    return next(address - start + at for at, start, size in loads(program) if start <= address < start + size)


@pytest.fixture
def usdt(compile_c: Compile) -> Callable[..., Path]:
    """usdt(*FLAGS): the program of USDT."""
    if not Path('/usr/include/x86_64-linux-gnu/sys/sdt.h').exists() and not Path('/usr/include/sys/sdt.h').exists():
        raise Unavailable('systemtap-sdt-dev is not installed')
    return lambda *flags: compile_c(USDT, *flags)


@pytest.mark.parametrize('flags', ['-O2', '-O2 -no-pie', '-O0', '-O2 -Wl,-z,max-page-size=0x200000'])
def test_every_site_is_where_readelf_has_it(flags: str, usdt: Callable[..., Path]) -> None:
    program = usdt(*flags.split())
    for name in ('shop:four', 'shop:several', 'other:none'):
        sites = [in_file(program, note.address) for note in notes(program) if f'{note.provider}:{note.name}' == name]
        assert [line.split()[1] for line in shown(f'u {program}:{name}')] == [f'{program}:{site:#x}' for site in sites]


def test_the_place_of_a_usdt_probe_is_the_function_that_it_is_in(usdt: Callable[..., Path]) -> None:
    program = surftrace.program_at(str(usdt('-O2', '-fno-inline')))
    machine = surftrace.Machine(surftrace.Module(AMD64, None, []), print, program=lambda name: program)
    event, = surftrace.make_events([surftrace.parse_probe(f'u {program.path}:constants')], machine)
    site = next(note.address for note in program.executable.usdt_notes() if note.name == 'constants')
    symbol = program.symbols.symbol_at(site)
    place = b'(0x%x)' % (0x555555554000 + site)
    assert surftrace.caller_and_place(event, place) == ('', f'{symbol.name}+{site - symbol.address:#x}')


def test_arguments_of_usdt_are_typed_by_their_operands(usdt: Callable[..., Path]) -> None:
    program = usdt('-O2', '-g')
    assert value(shown(f'u {program}:shop:four %0 %1 %2 %3 s=!(char *)%3')[0]) == (
        'arg0=%di:s32 arg1=%si:u8 arg2=%dx:s64 arg3=%cx:x64 s=+0(%cx):string')
    assert value(shown(f'u {program}:constants %0 %1')[0]) == r'arg0=\5:s32 arg1=\-9:s64'
    site = next(note for note in notes(program) if note.name == 'memory')
    moved = symbols(program)['kept'][0] + 8 - (site.address - in_file(program, site.address))
    assert value(shown(f'u {program}:memory %0')[0]) == f'arg0=@+{moved:#x}:s64'
    four = next(note for note in notes(program) if note.name == 'four')
    moved = symbols(program)['kept'][0] - (four.address - in_file(program, four.address))
    assert value(shown(f'u {program}:four @kept.b')[0]) == f'b=@+{moved + 8:#x}:s64'


def test_a_text_is_read_where_a_word_in_memory_points_and_not_from_the_word(usdt: Callable[..., Path], compile_c: Compile) -> None:
    program = usdt('-O0', '-no-pie')
    assert value(shown(f'u {program}:shop:four %0 %1 %2 %3 %3:string s=!(char *)%3')[0]) == (
        'arg0=-4(%bp):s32 arg1=-8(%bp):u8 arg2=-16(%bp):s64 arg3=-24(%bp):x64 arg3_2=+0(-24(%bp)):string s=+0(-24(%bp)):string')
    assert value(shown(f'u {program}:shop:four %3:x8[4] %3:u32 t=%3:text(%0)')[0]).startswith(
        'arg3=+0(-24(%bp)):x8[4] arg3_2=-24(%bp):u32 t=-4(%bp):s32 t_2=+0(-24(%bp)):x8[64] ')
    plain = build(compile_c, 'no types')
    assert value(shown(f'P {plain}:eight %6 %6:string s=!(char *)%6')[0]) == 'arg6=+8($stack):x64 arg6_2=+0(+8($stack)):string s=+0(+8($stack)):string'


def test_sites_of_one_type_are_one_event_and_the_others_have_numbers(usdt: Callable[..., Path]) -> None:
    program = usdt('-O2')
    lines = shown(f'u {program}:several %0')
    assert [(line.split()[0], value(line)) for line in lines] == [
        ('p:f0', 'arg0=%di:s16'), ('p:f0_2', 'arg0=%si:s64'), ('p:f0_3', 'arg0=%si:s32')]
    said = told('-S', f'u {program}:several a=%0:s32')
    assert [(line.split()[0], value(line)) for line in said.out] == [('p:f0', 'a=%si:s32')] * 2
    assert '1 of the 3 places' in said.err
    assert [line.split()[0] for line in shown(f'u:mine {program}:several')] == ['p:mine'] * 3
    assert len({line.split()[0] for line in shown(f'u {program}:shop:*')}) == 5


@pytest.mark.parametrize('line, words, marked', [
    ('u {}:none', 'several providers', '{}:none'), ('u {}:shop:none %0', 'has 0 arguments', '%0'), ('u {}:shop:four %4', 'has 4 arguments', '%4'),
    ('u {}:four a', 'have numbers, not names', 'a'), ('u {}:four $retval', 'use R', '$retval'), ('u {}:for', "did you mean", '{}:for'),
    ('u {}:four %0->x', None, None)])
def test_what_a_usdt_probe_has_not_is_refused(line: str, words: str, marked: str, usdt: Callable[..., Path]) -> None:
    program = usdt('-O2')
    message, found = refusal(line.format(program))
    assert (words or '') in message and (marked is None or found == marked.format(program))


HAND_LINES = [
    ('ah', '%0', 'arg0=%ax:b8@8/64'), ('signedah', '%0', 'arg0=%ax:b8@8/64 #! arg0:S(8)'),
    ('low', '%0 %1 %2 %3 %4', 'arg0=%ax:u8 arg1=%cx:s8 arg2=%cx:u16 arg3=%cx:s32 arg4=%cx:x64'),
    ('rip', '%0 %1 %2 %3', 'arg0=@+{8}:s64 arg1=@+{16}:x64 arg2=@+{0}:x64 arg3=@+{24}:s64'),
    ('memory', '%0 %1 %2 %3', 'arg0=+24(%dx):s64 arg1=+0(%dx):x64 arg2=+8(%dx):u32 arg3=-8($stack):s64'),
    ('constant', '%0 %1 %2 %3 %4', r'arg0=\1:u32 arg1=\-9:s32 arg2=\16:x64 arg3=\255:s8 arg4=\-1:u8'),
    ('mixed', '%0', 'arg0=%di:x64'), ('extra', '%0 %1 %2 %3 %4', 'arg0=%r9:u16 arg1=%r10:u8 arg2=%r11:u32 arg3=%r12:x64 arg4=%si:u8'),
    ('counted', '%0', 'arg0=%di:x64'), ('empty', '', ''),
]
HAND_REFUSED = [('sib', '8@(%rdx,%rsi,8)'), ('noindex', '8@(,%rsi,8)'), ('fs', '8@%fs:0x28'), ('xmm', '8f@%xmm0'), ('x87', '10@%st'), ('ip', '8@16(%rip)'),
                ('nosymbol', '8@nosuch(%rip)'), ('sixteen', '16@(%rdx)'), ('address', '8@$table')]


def hand(compile_c: Compile, base: str = '_.stapsdt.base', *flags: str) -> Path:
    """The program of HAND; the base may be one that prelink has left behind."""
    return compile_c(HAND.replace('BASE', base), '-O1', *flags)


@pytest.mark.parametrize('name, asked, wanted', HAND_LINES, ids=[name for name, _, _ in HAND_LINES])
@pytest.mark.parametrize('flags', [(), ('-no-pie',)], ids=['PIE', 'not PIE'])
def test_every_operand_of_x86_is_what_the_assembler_means(name: str, asked: str, wanted: str, flags: tuple[str, ...],
                                                          compile_c: Compile) -> None:
    program = hand(compile_c, '_.stapsdt.base', *flags)
    note = next(note for note in notes(program) if note.name == name)
    line, = shown(f'u {program}:hand:{name} {asked}')
    start = symbols(program)['table'][0] - (note.address - in_file(program, note.address))
    wanted = re.sub(r'\{(\d+)\}', lambda match: f'{start + int(match[1]):#x}', wanted)
    assert line.split()[1].split('(')[0] == f'{program}:{in_file(program, note.address):#x}' and value(line) == wanted


@pytest.mark.parametrize('name, operand', HAND_REFUSED, ids=[name for name, _ in HAND_REFUSED])
def test_an_operand_ftrace_cannot_read_is_shown_and_refused(name: str, operand: str, compile_c: Compile) -> None:
    message, marked = refusal(f'u {hand(compile_c)}:{name} %0')
    assert f"'{operand}'" in message and marked == '%0'


def test_what_is_no_operand_is_none(compile_c: Compile) -> None:
    assert 'has 0 arguments' in refusal(f'u {hand(compile_c)}:empty %0')[0]
    refusal(f'u {hand(compile_c)}:colon %0')


@pytest.mark.parametrize('flags', [(), ('-no-pie',), ('-Wl,-z,max-page-size=0x200000',)], ids=['PIE', 'not PIE', 'far apart'])
def test_a_semaphore_is_an_offset_in_the_file(flags: tuple[str, ...], compile_c: Compile) -> None:
    program = hand(compile_c, '_.stapsdt.base', *flags)
    semaphore = in_file(program, symbols(program)['counter'][0])
    assert shown(f'u {program}:counted')[0].split()[1].endswith(f'({semaphore:#x})')


def test_a_moved_base_moves_the_site_and_its_semaphore(compile_c: Compile) -> None:
    """As if the file had been linked 0x1000 lower than it is: the notes are not adjusted, the base tells."""
    source = HAND.replace('BASE', '_.stapsdt.base - 0x1000').replace('.8byte 990b\\n', '.8byte 990b - 0x1000\\n').replace(
        '"counter")', '"counter - 0x1000")')
    program = compile_c(source, '-O1')
    straight = hand(compile_c)
    for name in ('counted', 'low'):
        assert shown(f'u {program}:{name}')[0].split()[1].split(':')[1] == shown(f'u {straight}:{name}')[0].split()[1].split(':')[1]


def operand_of(arch: surftrace.Arch, text: str) -> list[str]:
    """What the kernel would be told for each operand; '!' where it is refused."""
    symbol = surftrace.Symbol('known', 0x4000, 8, False, '.data')

    class Names:
        """The symbols of the program."""
        def symbols(self, name: str) -> list[surftrace.Symbol]:
            """One that is known."""
            return [symbol] if name == 'known' else []

    class File:
        """Loaded as it lies."""
        def offset_of(self, address: int) -> int:
            """The same."""
            return address
    program = types.SimpleNamespace(arch=arch, executable=File(), symbols=Names())
    operands = surftrace.split_operands(text)
    resolver = surftrace.resolver_in(surftrace.Target(program, None, False, 0x1000, operands))
    found = []
    for i in range(len(operands)):
        try:
            field = resolver.field(surftrace.parse_probe(f'u a:b v=%{i}').args[0])
            found.append(f'{field.fetches[0].text()}' + ''.join(f' {word}' for word in field.words))
        except surftrace.InputError:
            found.append('!')
    return found


@pytest.mark.parametrize('arch, text, wanted', [
    (AARCH64, '8@x0 -4@w1 4@x2 -8@x30', ['%x0:x64', '%x1:s32', '%x2:u32', '%x30:s64']),
    (AARCH64, '-4@[sp, 12] 8@[sp] 8@[x0] 8@[x29, -8]', ['+12($stack):s32', '+0($stack):x64', '+0(%x0):x64', '-8(%x29):x64']),
    (AARCH64, '-4@[sp, #12] -4@[sp,12]', ['+12($stack):s32', '+12($stack):s32']),
    (AARCH64, '4@5 -4@-9 8@[x0, x1] 8@[x0, x1, lsl 3] -2@w3', [r'\5:u32', r'\-9:s32', '!', '!', '%x3:s16']),
    (AARCH64, '8@x31 8@xzr 8f@d0 8@v0', ['!', '!', '!', '!']), (AARCH64, '8f@[sp, 8] 4f@w1', ['+8($stack):x64 double', '%x1:x32 float']),
    (AMD64, '8f@-8(%rbp) 4f@%eax 8f@%xmm1 16f@(%rdi) 8f@$1 2f@(%rdi)', ['-8(%bp):x64 double', '%ax:x32 float', '!', '!', '!', '!']),
    (AMD64, '-4@%esi 8@%rdi 1@%al 2@%r8w 1@%r9b', ['%si:s32', '%di:x64', '%ax:u8', '%r8:u16', '%r9:u8']),
    (AMD64, '8@-136(%rbp) 8@(%rsp) 4@+8(%rax)', ['-136(%bp):x64', '+0($stack):x64', '+8(%ax):u32']),
    (AMD64, '8@known(%rip) 8@known+8(%rip) 8@4+known(%rip) 8@known-8(%rip)', ['@+0x4000:x64', '@+0x4008:x64', '@+0x4004:x64', '@+0x3ff8:x64']),
    (AMD64, '8@unknown(%rip) 8@%xmm0 8@%st(1) 8@%rip 8@%gs:8 8@known(,%rax,8)', ['!'] * 6),
    (AMD64, '1@%ah -1@%bh 1@%dh', ['%ax:b8@8/64', '%bx:b8@8/64 S(8)', '%dx:b8@8/64']),
    (AMD64, '8@known(%rbx)', ['!']), (AMD64, '8@*%rax', ['!']), (AMD64, '', []), (AMD64, '2@%ah', None),
])
def test_operands_of_two_architectures(arch: surftrace.Arch, text: str, wanted: list[str]) -> None:
    if wanted is not None:
        assert operand_of(arch, text) == wanted
    else:
        assert operand_of(arch, text) in (['!'], ['%ax:b16@8/64'])


# ---- counted text


def chunks(data: bytes) -> list[str]:
    """Four arrays as the kernel prints them."""
    data = data.ljust(256, b'\xaa')
    return ['{' + ','.join(f'{byte:#x}' for byte in data[i:i + 64]) + '}' for i in range(0, 256, 64)]


@pytest.mark.parametrize('length, data, wanted', [
    (5, b'hello world', '"hello"'), (0, b'hello', '""'), (256, b'x' * 256, '"' + 'x' * 256 + '"'),
    (400, b'y' * 256, '"' + 'y' * 256 + '"... (400 bytes)'), (64, b'z' * 100, '"' + 'z' * 64 + '"'), (65, b'z' * 100, '"' + 'z' * 65 + '"'),
    (5, b'ab\0cd', '"ab" (3 more, from a NUL or an unreadable byte on)'), (3, b'\0cd', '"" (3 more, from a NUL or an unreadable byte on)'),
    (400, b'ab\0cd', '"ab" (398 more, from a NUL or an unreadable byte on)'), (2, b'ab\0cd', '"ab"'),
    (-4, b'hello', '(no text: its length is -4)'), (1 << 63, b'x', f'(no text: its length is {1 << 63})'),
    (4, 'é€'.encode()[:4], '"é\udce2\udc82"'), (2, b'\xff\xfe', '"\udcff\udcfe"')])
def test_text_is_as_long_as_it_says_and_no_longer(length: int, data: bytes, wanted: str) -> None:
    assert surftrace.text_format().show([str(length), *chunks(data)]) == wanted


@pytest.mark.parametrize('begins, wanted', [
    (b'\0', '""'), (b'\x0ahello', '"hello"'), (b'\x2c' + b'a' * 22, '"' + 'a' * 22 + '"'),
    (struct.pack('<QQ', 49, 23), '"the text that is elsewh"'), (struct.pack('<QQ', 49, 1 << 40), f'(no text: its length is {1 << 40})')])
def test_a_string_of_libcxx_is_held_in_the_object_or_elsewhere(begins: bytes, wanted: str) -> None:
    whole = '{' + ','.join(f'{byte:#x}' for byte in begins.ljust(24, b'\0')) + '}'
    assert surftrace.STRING_OBJECT.show([whole, *chunks(b'the text that is elsewhere')]) == wanted
    assert whole.startswith(surftrace.HELD) == (begins[0] % 2 == 0)


# ---- what is damaged


@pytest.fixture(scope='module')
def damaged(compile_c: Compile, library: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """A file for each kind of section, and the line that reads it."""
    folder = tmp_path_factory.mktemp('damaged')
    app = build(compile_c, '-O2')
    for name in ('link', 'packed'):
        (folder / name).mkdir()
    return {
        '.dynsym .dynstr .gnu.version .dynamic': (library, 'P {}:twin'), '.note.stapsdt .stapsdt.base': (hand(compile_c), 'u {}:rip %0 %1'),
        '.gnu_debuglink .note.gnu.build-id': (stripped(app, folder / 'link', 'link'), 'P {}:handle id'),
        '.gnu_debugdata': (stripped(app, folder / 'packed', 'packed'), 'P {}:handle %0'),
        '.symtab .strtab .debug_info .debug_abbrev .debug_str': (build(compile_c, '-O0'), 'P {}:handle o->own.c @counter'),
        '.debug_info .debug_line .debug_loclists': (build(compile_c, 'compressed'), 'P {}:handle o->own.c @counter'),
    }


def damage(random: Random, data: bytes, places: list[tuple[int, int]]) -> bytes:
    """The file cut, or with some bytes of these sections, or of its headers, changed."""
    if random.random() < 0.15:
        return data[:random.randrange(4, len(data))]
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8])):
        start, size = random.choice([*places, *places, (0, 64), (len(data) - 64 * 30, 64 * 30)])
        at = start + random.randrange(max(1, size))
        changed[at:at + 1] = bytes([random.choice([0, 1, 0x7f, 0x80, 0xff, random.randrange(256)])])
    return bytes(changed)


KINDS_OF_DAMAGE = ['.dynsym .dynstr .gnu.version .dynamic', '.note.stapsdt .stapsdt.base', '.gnu_debuglink .note.gnu.build-id', '.gnu_debugdata',
                   '.symtab .strtab .debug_info .debug_abbrev .debug_str', '.debug_info .debug_line .debug_loclists']


@pytest.mark.parametrize('kind', KINDS_OF_DAMAGE)
def test_a_damaged_program_gives_one_message(kind: str, damaged: dict[str, tuple[Path, str]]) -> None:
    path, line = damaged[kind]
    data, random = path.read_bytes(), Random(kind)
    sections = surftrace.Executable(str(path)).sections
    places = [(sections[name].offset, sections[name].size) for name in kind.split() if name in sections]
    assert places
    copy, statuses = path.with_name('damaged'), set()
    for _ in range(60):
        copy.write_bytes(damage(random, data, places))
        statuses.add(check('-S', line.format(copy)))
    assert statuses & {1, 2}, 'nothing was damaged'


def test_no_name_from_outside_reaches_the_terminal_as_it_is(tmp_path: Path, compile_c: Compile, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither what a terminal obeys, nor a line that reads like one of ours."""
    program = tmp_path / 'x\x1b[2J\nsurftrace: note: all is well\u202e'
    shutil.copy(build(compile_c, '-O2'), program)
    for arguments in ('-S', f'P "{program}":nix'), ('-F', f'"{program}":nix'), ('-l', f'"{program}":nix'), ('-S', f'P {program}x:nix'):
        assert surftrace.main(arguments) == 2
        said = capfd.readouterr().err
        assert said.replace('\n', '').isprintable() and said.count('surftrace: ') > said.count('\nsurftrace: ') == 0, said


# ---- copies with other parameters


TWO_KINDS = r'''
typedef int (*function)(int);
__attribute__((noinline)) int apply(int n, function f) {
    int sum = 0;
    for (int i = 0; i < n; i++) { sum += f(i); __asm__ volatile("" :: "r"(sum) : "memory"); }
    return sum;
}
static __attribute__((noinline)) int scaled(int n, int by) {
    int sum = 0;
    for (int i = 0; i < n; i++) { sum += i * by; __asm__ volatile("" :: "r"(sum) : "memory"); }
    return sum;
}
static int one(int x) { return x + 1; }
static int two(int x) { return x * 2; }
int main(int argc, char **argv) {
    function volatile f = two;
    int sum = scaled(argc, 7) + scaled(argc + 1, 7);
    for (int i = 0; i < 3; i++) sum += apply(argc + i, one);
    return sum + apply(argc + 9, f) == 0;
}
'''


@pytest.mark.parametrize('line, wanted', [
    ('p apply n', ['p:f0 apply+0 n=%di:s32', 'p:f0 apply.constprop.0 n=%di:s32']), ('p scaled n by', [r'p:f0 scaled.constprop.0 n=%di:s32 by=\7:s32']),
    ('r scaled $retval', ['r:f0 scaled.constprop.0 retval=$retval:s32']),
    ('p apply+0 n', ['p:f0 apply+0 n=%di:s32']), ('p apply.constprop.0 n', ['p:f0 apply.constprop.0 n=%di:s32'])])
def test_a_function_of_a_kernel_is_probed_with_its_copies(line: str, wanted: list[str], compile_c: Compile) -> None:
    assert shown('-v', str(compile_c(TWO_KINDS, '-g', '-O3')), line) == wanted


def test_a_copy_that_is_not_probed_is_said(compile_c: Compile) -> None:
    program = compile_c(TWO_KINDS, '-g', '-O3')
    for line in ('p apply x=%di', 'r apply $retval', f'P {program}:apply x=%di', f'R {program}:apply $retval'):
        said = told('-S', '-v', str(program), line) if line[0] in 'pr' else told('-S', line)
        assert len(said.out) == 1 and "'apply' is also there as apply.constprop.0" in said.err and 'calls of that are not seen' in said.err
    assert 'Name the copy' in told('-S', '-v', str(program), 'p scaled x=%di').err
    assert 'Name the copy' in told('-S', f'P {program}:scaled x=%di').err
    places = [line.split()[1] for line in shown(f'P {program}:appl* n')]
    assert len(places) == 2 == len(set(places))                         # each has its event, and no other


def test_the_names_of_copies(compile_c: Compile) -> None:
    """Two files may have a function of one name; what is only part of a function is none of its copies."""
    names = 'f f.constprop.0 f.isra.1 f.constprop.0.isra.0 f.lto_priv.0 f.part.0 f.cold f.constprop.0.cold f.0 af.constprop.0 f.constpropped.0 _Z1fi _Z1fi.isra.0'
    program = compile_c('int main(void) { return 0; }\n' + ''.join(
        f'__asm__(".text\\n.type {name}, @function\\n{name}: ret\\n.size {name}, 1");\n' for name in names.split()), '-no-pie')
    found = [symbol.name for symbol in surftrace.Executable(str(program)).copies_of('f')]
    assert sorted(found) == ['f.constprop.0', 'f.constprop.0.isra.0', 'f.isra.1', 'f.lto_priv.0']
    assert [symbol.name for symbol in surftrace.Executable(str(program)).copies_of('_Z1fi')] == ['_Z1fi.isra.0']
    lines = ''.join(f'ffffffff8{number:07x} t {name}\n' for number, name in enumerate(names.split())).encode()
    assert sorted(symbol.name for symbol in surftrace.Kallsyms(lines).copies_of('f')) == [name for name in sorted(found) if 'lto' not in name]        # no kernel's


HAZARDS = {                     # a C++ program, what is said of a return probe on its f()
    'plain': ('int f(int n) { return n; } int main() { return f(1); }', None),
    'coroutines': ('#include <ucontext.h>\nint f(int n) { return n; } int main() { ucontext_t c; getcontext(&c); makecontext(&c, (void (*)())f, 0); }',
                   'coroutines: a return probe ends it where the function switches'),
    'exceptions': ('int f(int n) { if (n) throw n; return n; } int main() { try { f(1); } catch (int n) { return n; } }',
                   'exceptions (or panics): a return probe ends it where one passes'),
    'cleanups': ('struct T { ~T(); }; void g(int); int f(int n) { T t; g(n); return n; } T::~T() {} __attribute__((weak)) void g(int) {} int main() { f(1); }',
                 'exceptions (or panics): a return probe ends it where one passes')}


@pytest.mark.parametrize('name', HAZARDS)
def test_what_a_return_probe_may_end_is_said(name, compile_c, tmp_path):
    source, said = HAZARDS[name]
    (tmp_path / 'h.cc').write_text(source)
    for flags in ((), ('-static',)) if name == 'exceptions' else ((),):
        output('g++', '-g', '-O0', '-w', *flags, tmp_path / 'h.cc', '-o', tmp_path / 'h')
        for arguments in (('R {}:f',), ('-t', 'P {}:f'), ('P {}:f',)):
            done = outcome('-S', *(each.format(tmp_path / 'h') for each in arguments))
            assert done.status == 0 and f'h has {said}' * bool(said and arguments != ('P {}:f',)) in done.err
            assert (' has ' in done.err) == bool(said and arguments != ('P {}:f',))


@pytest.mark.parametrize(('names', 'odd'), [
    ('_start setjmp _setjmp __sigsetjmp __GI___sigsetjmp getcontext swapcontext dlsym dlopen f.cold _Z1fi.cold f.cold.12 _Unwind_Resume __cxa_throw', True),
    ('main f cold f.constprop.0 f.part.0 longjmp dlclose __libc_start_main restart f_setjmp', False)])
def test_functions_whose_return_address_is_more_or_less_than_that(names, odd):
    assert [name for name in names.split() if bool(surftrace.ODD_RETURNS.fullmatch(name)) != odd] == []


def test_a_return_probe_where_it_would_break_the_program_is_refused(compile_c):
    program = compile_c('int main(void) { return 0; }')
    refused = outcome('-S', f'R {program}:_start')
    assert refused.status == 2 and '_start: no call leads there' in refused.err and '^' in refused.err
    assert outcome('-S', '--force', f'R {program}:_start').status == outcome('-S', f'P {program}:_start').status == 0
    some = outcome('-S', f'R {program}:*')
    assert 'main' in some.out and '_start' not in some.out and ' functions of ' in some.err and 'left out (_start)' in some.err
    tree = outcome('-S', '-t', f'P {program}:*').out
    assert re.search('^p:\\w*_start ', tree, re.M) and re.search('^r:\\w*main_out ', tree, re.M) and not re.search('^r:\\w*_start', tree, re.M)
    with pytest.raises(surftrace.InputError, match='no call leads there'):
        events_of(machine_of(surftrace.Module(AMD64, surftrace.Kallsyms(b'ffffffff81000000 T f\nffffffff81000010 t f.cold\n'), [])), 'r f.cold')


LOOPS = """
__asm__(".globl around, near, far, apart, plain\\n.type around, @function\\n.type near, @function\\n.type far, @function\\n.type apart, @function\\n"
        ".type plain, @function\\naround: dec %edi\\n jnz around\\n ret\\n.size around, .-around\\nnear: ret\\n jmp near\\n.size near, .-near\\n"
        "far: dec %edi\\n .zero 200, 0x90\\n jnz far\\n ret\\n.size far, .-far\\napart: nop\\n1: dec %edi\\n jnz 1b\\n call apart\\n ret\\n.size apart, .-apart\\n"
        "plain: mov $0xfceb, %eax\\n ret\\n.size plain, .-plain");
int main(void) { return 0; }
"""


@pytest.mark.parametrize(('name', 'loops'), [('around', True), ('near', True), ('far', True), ('apart', False), ('main', False)])
def test_a_function_that_begins_with_a_loop_is_said(name, loops, compile_c):
    """Its first instruction is hit in every round; not that of one that calls itself, or has a loop behind it."""
    done = outcome('-S', f'P {compile_c(LOOPS)}:{name}')
    assert done.status == 0 and (f'{name} begins with a loop: each round of it is an event' in done.err) == loops


@pytest.mark.parametrize(('text', 'call'), [('callq   ', True), ('bl      #', True), ('jal     ra, ', True), ('brasl   %r14, ', True),
                                            ('blt     ', False), ('b.le    #', False), ('jne     ', False), ('blez    a0, ', False), ('j       ', False)])
def test_calls_are_no_jumps(text, call):
    assert bool(surftrace.CALL.match(text)) == call


def test_what_only_looks_like_a_jump_is_none(compile_c):
    """The immediate of plain() is the bytes of a jump to it, where its mov has one byte of code."""
    pytest.importorskip('capstone')
    assert 'loop' not in outcome('-S', f'P {compile_c(LOOPS)}:plain').err


def test_the_copies_that_begin_with_a_loop_are_counted(compile_c):
    program = compile_c("""
struct n { struct n *next; int v; };
static inline __attribute__((always_inline)) int last(struct n *p) { while (p->next) p = p->next; return p->v; }
__attribute__((noinline, noipa)) int one(struct n *p) { return last(p) + 1; }
__attribute__((noinline, noipa)) int two(struct n *p) { __asm__ volatile("nop"); return last(p) + 2; }
int main(void) { struct n n = {0, 1}; return one(&n) + two(&n); }
""", '-g', '-O2')
    assert re.search('last begins with a loop at [12] of 2 places', outcome('-S', f'P {program}:last').err)


def test_functions_at_one_address_are_said_and_other_spellings_of_a_name_are_not(compile_c):
    program = compile_c("""
__attribute__((noinline)) int same(int x) { __asm__ volatile(""); return x + 1; }
int other(int x) __attribute__((alias("same")));
int __libc_same(int x) __attribute__((alias("same")));
int same64(int x) __attribute__((alias("same")));
int main(void) { return other(1); }
""")
    said = {name: outcome('-S', f'{name}').err for name in (f'P {program}:same', f'R {program}:other', f'P {program}:main', f'P {program}:*m*')}
    assert ["'same' is at one address with other: calls of all are seen" in each for each in said.values()] == [True, False, False, False]
    assert "'other' is at one address with" in said[f'R {program}:other'] and 'address' not in said[f'P {program}:main'] + said[f'P {program}:*m*']


INLINED = """
static inline __attribute__((always_inline)) int inner(int k) { __asm__ volatile("nop"); return k * 3; }
__attribute__((noinline)) int one(int z) { return inner(z) + 1; }
__attribute__((noinline)) int two(int z) { int s = 0; for (int i = 0; i < z; i++) s += inner(i); return s; }
int main(int c, char **v) { return one(c) + two(c); }
"""


def test_a_place_that_is_left_out_is_told_by_its_function(compile_c):
    program = compile_c(INLINED, '-g', '-O2')
    _, out, err = outcome('-S', f'P {program}:inner k')
    assert len(out.splitlines()) == 1 and re.search(r"1 of the 2 places of '\S+:inner' are left out \(two\+0x\w+\): 'k' is not", err)
