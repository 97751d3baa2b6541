"""Inside functions: lines, copies, variables at any instruction, and what -F and -l show of them.

Three oracles. A program that gdb runs: at every instruction and line of it, what gdb reads of a variable is what the
fetch-arg would. A kernel's line table as readelf decodes it: a line is where its rows say. And gdb's `info scope` and
perf's -V and -D on the same kernel.

Where they disagree. On lines, readelf is right: it prints the table. gdb forgets rows that begin a line but have no
instruction before the next row, and then names a later place "that contains no code", or one of another line: what it calls
code is always among ours. On variables gdb takes what is told from the stack pointer for the whole function for true while
that is elsewhere, and a parameter in its frame before the first instructions have put it there: we refuse both. perf
adds to the places of a line those where a function that is called there was inlined, which are of other lines.
"""
from __future__ import annotations

import collections
import functools
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cache import Unavailable
from helpers import AMD64, GDB_REGISTERS, SEED, events_of, machine_of, need, types_of, vmlinux
from inside import answered_by_gdb, field_of, in_c, info_of

import surftrace

HERE = Path(__file__).resolve().parent
CLANG = 'clang-19' if shutil.which('clang-19') else 'clang'
BUILDS = [('gcc', '-gdwarf-4', '-O0'), ('gcc', '-gdwarf-4', '-O2'), ('gcc', '-gdwarf-5', '-O0'),
          ('gcc', '-gdwarf-5', '-O1'), ('gcc', '-gdwarf-5', '-O2'),
          (CLANG, '-gdwarf-4', '-O2'), (CLANG, '-gdwarf-5', '-O0'), (CLANG, '-gdwarf-5', '-O2')]


@pytest.fixture(params=BUILDS, ids=' '.join)
def program(request: pytest.FixtureRequest, compile_c: Callable[..., Path]) -> Path:
    """fixtures/inside.c, compiled."""
    compiler, *flags = request.param
    return compile_c(HERE / 'fixtures/inside.c', *flags, '-no-pie', compiler=compiler)


def spots_of(dwarf: surftrace.Dwarf) -> list[surftrace.Spot]:
    """Every instruction of its functions, every line, every inlined copy."""
    spots = []
    for name in ('walk', 'many', 'recursive', 'keep'):
        symbol, = dwarf.executable.symbols(name)
        code = dwarf.executable.bytes_at(symbol.address, symbol.size)
        spots += [dwarf.spot_at(i.address) for i in surftrace.disassembled(code, symbol.address, dwarf.arch)]
    for line in range(1, (HERE / 'fixtures/inside.c').read_text().count('\n')):
        try:
            spots += dwarf.line_spots('inside.c', line)
        except surftrace.InputError as refusal:
            assert 'has no code' in str(refusal)
    return spots + dwarf.copies('scaled')


def gdb_answers(program: Path, folder: Path) -> tuple[list[list[Any]], int]:
    """gdb's answers (see gdb_values.py) about every variable at every place, and how often one was refused."""
    info, questions, refused = info_of(str(program)), [], 0
    for spot in spots_of(info.dwarf):
        function = info.dwarf.function_here(spot)
        for name in dict.fromkeys(v.name for v in (*function.parameters, *function.locals)):
            try:
                field = field_of(info, spot, name)
            except surftrace.InputError:
                refused += 1
                continue
            fetch, = field.fetches[:1]
            if fetch.kind != 'string' and not (field.format and field.format.word.startswith('{')):     # no struct
                text, bits = in_c(fetch, lambda name: info.dwarf.executable.symbols(name)[0].address)
                questions.append([spot.address, spot.function, name, fetch.text(), text, bits])
    return answered_by_gdb(program, questions, folder), refused


def test_a_variable_is_what_gdb_reads_at_every_instruction(program: Path, tmp_path: Path) -> None:
    answers, refused = gdb_answers(program, tmp_path)
    compared = [answer for answer in answers if answer[4] is not None]
    assert [answer for answer in compared if answer[4] != answer[5]] == []
    assert len(compared) > 1000
    named = {answer[2] for answer in compared}
    assert {'product', 'factor', 'node', 'value', 'sum'} <= named
    assert {'before', 'seen'} <= named or b'clang version' in program.read_bytes()
    assert refused


def test_the_innermost_variable_shadows_the_others(program: Path) -> None:
    """In the block of `unsigned short value` that one is meant, behind it the int. Where the compiler has put the beginning
    of such a line outside of the block, gdb reads the other variable; we refuse both."""
    info = info_of(str(program))
    kinds = {}
    for text, line in (('sink = value', 'inner'), ('sum -= value', 'outer')):
        number = next(n for n, source in enumerate((HERE / 'fixtures/inside.c').read_text().split('\n'), 1) if text in source)
        for spot in info.dwarf.line_spots('inside.c', number):
            here = next(v for v in info.dwarf.function_here(spot).locals if v.name == 'value')
            if 'whose code is elsewhere' not in here.location.why:
                kinds.setdefault(line, set()).add(surftrace.spell(here.type()))
    assert kinds.pop('inner', set()) <= {'short unsigned int', 'unsigned short'}
    assert kinds == {'outer': {'int'}}


def shown(program: Path | str, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, HERE.parent / 'surftrace.py', '-v', program, *lines], capture_output=True, text=True)


@pytest.fixture(scope='session')
def optimised(compile_c: Callable[..., Path]) -> Path:
    return compile_c(HERE / 'fixtures/inside.c', '-gdwarf-5', '-O2', '-no-pie')


def refusal(program: Path, line: str) -> str:
    """The message about a line that is refused, where the caret is too."""
    done = shown(program, '-S', line)
    assert done.returncode == 2 and '\n  p ' in done.stderr and '^' in done.stderr, done.stderr
    return done.stderr


def test_an_optimised_out_variable_can_be_had_where_the_refusal_says(optimised: Path) -> None:
    info, told = info_of(str(optimised)), 0
    symbol, = info.dwarf.executable.symbols('walk')
    for instruction in surftrace.disassembled(info.dwarf.executable.bytes_at(symbol.address, symbol.size), symbol.address, AMD64):
        for name in ('sum', 'value', 'after', 'node'):
            try:
                field_of(info, info.dwarf.spot_at(instruction.address), name)
            except surftrace.InputError as error:
                for place, end in re.findall(r'(walk\+\d+) \(until \+(\d+)\)', str(error)):
                    offset = int(place.split('+')[1])
                    assert offset < int(end)
                    assert field_of(info, info.dwarf.spot_at(symbol.address + offset), name).fetches
                    told += 1
    assert told > 20


def test_an_inlined_function_is_one_event_at_every_copy(optimised: Path) -> None:
    done = shown(optimised, '-S', 'p scaled node->at.x node->weight')
    lines = done.stdout.splitlines()
    assert len(lines) >= 2 and not done.returncode, done.stderr
    assert {line.split('+')[0] for line in lines} >= {'p:f0 walk', 'p:f0 recursive'}
    assert all(re.fullmatch(r'p:f0 \w+\+\d+ x=\S+:s32 weight=\S+:s64', line) for line in lines)
    again = shown(optimised, '-S', *lines)
    assert again.stdout.splitlines() == lines


def test_a_copy_without_the_variable_is_left_out_with_a_word(optimised: Path) -> None:
    done = shown(optimised, '-S', 'p scaled product')
    assert done.returncode == 2 and 'places' in done.stderr     # nothing has been computed where it begins
    done = shown(optimised, '-S', 'p scaled sum')
    assert done.returncode == 2 and "no parameter or variable 'sum'" in done.stderr


def test_a_line_is_probed_once_in_each_copy(optimised: Path) -> None:
    number = next(n for n, text in enumerate((HERE / 'fixtures/inside.c').read_text().split('\n'), 1) if 'product > 40' in text)
    dwarf = info_of(str(optimised)).dwarf
    every, first = dwarf.line_spots('inside.c', number), dwarf.first_of_each(dwarf.line_spots('inside.c', number))
    assert len(first) == len(dwarf.copies('scaled')) < len(every) + 1
    assert all(spot.inlined and spot.function == 'scaled' for spot in first)
    counted = shown(optimised, '-S', f'p scaled:{number - dwarf.copies("scaled")[0].line}').stdout
    assert counted == shown(optimised, '-S', f'p inside.c:{number}').stdout != ''


@pytest.mark.parametrize(('line', 'words'), [
    ('p inside.c:1', r'line 1 of inside\.c has no code; lines that have: \d+, \d+, \d+'),
    ('p outside.c:1', "no source file 'outside.c'"),
    ('p walk:1000', r'line 1000 of this function \(line \d+ of its file\) has no code; lines that have: \d+'),
    ('p walk+100000', r'walk has \d+ bytes: \+100000 is behind its end'),
    ('p inside.c:30 node', 'is not available|has no code'),
], ids=str)
def test_a_place_that_is_none_is_refused(optimised: Path, line: str, words: str) -> None:
    if line == 'p inside.c:30 node' and not shown(optimised, '-S', line).returncode:
        return
    assert re.search(words, refusal(optimised, line))


def test_the_lines_offered_instead_have_code(optimised: Path) -> None:
    offered = re.search('lines that have: (.*)', refusal(optimised, 'p inside.c:1'))[1].split(', ')
    assert all(shown(optimised, '-S', f'p inside.c:{line}').returncode == 0 for line in offered)


@pytest.mark.parametrize('live', [False, True])
def test_a_function_that_shares_its_name_with_data_is_counted_from_text(tmp_path: Path, live: bool) -> None:
    """The kernel looks a name up among all symbols: it would take the other one, or refuse."""
    (tmp_path / 'one.c').write_text('asm(".globl _text; _text: .skip 64"); int alone(int a) { return a; }\n'
                                    'int shared(int a) { return a + 1; }\n')
    (tmp_path / 'two.c').write_text('static int shared = 5; int *where(void) { return &shared; }\n')
    path = tmp_path / 'vmlinux'
    sources = [str(tmp_path / 'one.c'), str(tmp_path / 'two.c')]
    need('gcc')
    subprocess.run(['gcc', '-g', '-nostdlib', '-static', '-Wl,-e,alone', '-o', path, *sources], check=True)
    info = info_of(str(path))
    if live:                                                            # with symbols that say where it runs
        names = [symbol for name in ('alone', 'shared', '_text') for symbol in info.symbols.symbols(name)]
        lines = [f"{symbol.address + 0x1000:x} {'t' if symbol.code else 'd'} {symbol.name}\n" for symbol in names]
        info = surftrace.Module(AMD64, surftrace.Kallsyms(''.join(lines).encode()), [lambda: info_of(str(path)).dwarf])
    function, = [symbol for symbol in info_of(str(path)).symbols.symbols('shared') if symbol.code]
    text, = info_of(str(path)).symbols.symbols('_text')
    machine = surftrace.Machine(info, str)
    places = [surftrace.make_events([surftrace.parse_probe(f'p {name} %0')], machine)[0].definitions[0].place
              for name in ('alone', 'shared', 'alone+0')]
    assert places == ['alone', f'_text+{function.address - text.address}', 'alone+0']


def test_an_offset_begins_an_instruction(optimised: Path) -> None:
    pytest.importorskip('capstone')
    need('objdump')
    info = types_of(optimised, 'dwarf')
    kernel = machine_of(info)
    symbol, = info.dwarf.executable.symbols('many')
    starts = set()
    for offset in range(1, symbol.size):
        try:
            events_of(kernel, f'p many+{offset}')
            starts.add(offset)
        except surftrace.InputError as error:
            offered = [int(text) for text in re.findall(r'many\+(\d+)', error.message)]
            assert 'inside an instruction' in error.message and offset not in offered[1:]
    listed = subprocess.run(['objdump', '-d', '--disassemble=many', optimised], capture_output=True, text=True, check=True).stdout
    assert starts == {int(a, 16) - symbol.address for a in re.findall(r'^ +([0-9a-f]+):', listed, re.M)} - {0}


def test_disassembly_without_a_disassembler_names_the_package(monkeypatch: pytest.MonkeyPatch, optimised: Path) -> None:
    monkeypatch.setattr(surftrace, '_capstone', lambda arch: None)
    with pytest.raises(surftrace.SurftraceError, match='python3-capstone'):
        surftrace.code_listing(surftrace.parse_place('p', 'many', (0, 4)), info_of(str(optimised)))
    assert events_of(machine_of(info_of(str(optimised))), 'p many+1')      # then the kernel checks it


def test_the_listing_names_what_it_calls_and_its_lines(optimised: Path) -> None:
    pytest.importorskip('capstone')
    lines = surftrace.code_listing(surftrace.parse_place('p', 'many', (0, 4)), info_of(str(optimised)))
    assert any('<keep>' in line for line in lines) and any('inside.c:' in line and 'seen += seven' in line for line in lines)


def test_F_shows_variables_as_a_probe_there_reads_them(optimised: Path) -> None:
    info, live, checked = info_of(str(optimised)), {}, 0
    symbol, = info.dwarf.executable.symbols('walk')
    for line in surftrace.code_listing(surftrace.parse_place('p', 'walk', (0, 4)), info):
        match = re.match(r'  <\+(\d+)>.{47}(.*)$', line.ljust(60))
        if not match:
            continue
        for word in match[2].split():
            live.pop(word[1:], None) if word[0] == '-' else live.update([word.split('=', 1)])
        spot = info.dwarf.spot_at(symbol.address + int(match[1]))
        for name, place in live.items():
            if name in ('sum', 'node', 'limit', 'product'):
                lvalue = surftrace.Resolver(surftrace.Target(info, info.dwarf.function_here(spot), False)).value(surftrace.Expr('name', (0, 1), name))
                assert surftrace.place_text(lvalue) == place
                checked += 1
    assert checked > 50


@pytest.mark.parametrize('flags', ['-O0', '-O0 -fomit-frame-pointer', '-O2 -fomit-frame-pointer'])
@pytest.mark.parametrize('compiler', ['gcc', CLANG])
def test_what_is_kept_on_the_stack_is_there_while_the_frame_is(compiler: str, flags: str, compile_c: Callable[..., Path]) -> None:
    """Without a frame pointer clang counts from the stack pointer, which the function moves first and moves back at its end;
    gdb does not mind."""
    program = compile_c('''
        __attribute__((noinline)) int g(int *x, int n) { return *x + n; }
        __attribute__((noinline)) int f(int a, int b) { int kept[40]; kept[a] = b; return g(kept, a * b) + kept[a]; }
        int main(int argc, char **argv) { return f(argc, 5); }''', '-g', '-no-pie', *flags.split(), compiler=compiler)
    dwarf = info_of(str(program)).dwarf
    symbol, = dwarf.executable.symbols('f')
    code = surftrace.disassembled(dwarf.executable.bytes_at(symbol.address, symbol.size), symbol.address, AMD64)
    set_up = [i.address for i in code if i.text.startswith('sub') and i.text.endswith('sp')][-1]
    for instruction in code:
        known = {v.name: v.location for v in dwarf.function_here(dwarf.spot_at(instruction.address)).locals}
        frame = known['kept'].how == 'memory' and AMD64.dwarf[known['kept'].number]
        assert frame != 'sp' or set_up < instruction.address
    stored = [i.address for i in code if re.match(r'mov.*%e[sd]i, .*\(', i.text)]
    if '-O0' in flags:
        for instruction in code:
            parameters = dwarf.function_here(dwarf.spot_at(instruction.address)).parameters
            assert (instruction.address > max(stored)) >= all(p.location.how == 'memory' for p in parameters)
        lines = surftrace.code_listing(surftrace.parse_place('p', 'f', (0, 1)), info_of(str(program)))
        assert any(' a=' in line and ' b=' in line for line in lines)
    assert known['kept'].how == 'gone' or AMD64.dwarf[known['kept'].number] == 'bp'      # at the ret


def test_a_function_within_a_function_has_lines_and_variables(compile_c: Callable[..., Path]) -> None:
    program = compile_c('''
        __attribute__((noinline)) int outer(int a) {
            int seen = a * 3;
            __attribute__((noinline)) int inner(int b) { int sum = b + seen; return sum * sum + (sum > 3); }
            return inner(a) + inner(a + 1);
        }
        int main(int argc, char **argv) { return outer(argc); }''', '-g', '-O1', '-no-pie')
    dwarf = info_of(str(program)).dwarf
    name, = (name for name in dwarf.function_names() if name.startswith('inner'))
    spot = dwarf.spot_at(dwarf.executable.symbols(name)[0].address)
    assert (spot.function, spot.line) == ('inner', 4) and dwarf.line_spots('test.c', 4)[0].function == 'inner'
    offset = min(row.address for row, _ in dwarf.rows_in(spot.address, spot.address + 64) if row.address > spot.address) - spot.address
    known = {v.name: v.location.how for v in dwarf.function(name, offset=offset).locals}
    assert known['sum'] == 'register'


def test_members_that_are_macros(compile_c: Callable[..., Path]) -> None:
    program = compile_c('''
        struct sock_common { unsigned short skc_family; volatile unsigned char skc_state; };
        struct sock { struct sock_common __sk_common; int sk_mark; };
        struct inet_sock { struct sock sk; int inet_saddr; };
        struct other { int sk_family; };
        __attribute__((noinline)) void f(struct sock *sk, struct other *other, struct inet_sock *inet) { __asm__ volatile("" :: "r"(sk), "r"(other), "r"(inet)); }
        int main(void) { f(0, 0, 0); }''', '-g', '-O2', '-no-pie')
    done = shown(program, '-S', 'p f sk->sk_state sk->sk_family sk->sk_mark f=other->sk_family inet->sk.sk_state')
    assert done.stdout.split('f ', 1)[1].split() == [
        'sk_state=+2(%di):u8', 'sk_family=+0(%di):u16', 'sk_mark=+4(%di):s32', 'f=+0(%si):s32', 'sk_state_2=+2(%dx):u8']
    assert "has no member 'sk_daddr'" in shown(program, '-S', 'p f sk->sk_daddr').stderr
    assert "has no member 'sk_state'" in shown(program, '-S', 'p f other->sk_state').stderr


def test_places_with_more_and_fewer_pointers_are_one_event(optimised: Path) -> None:
    """Each place fetches as many guards; a place that needs none fetches a number that passes."""
    lines = ['p:e walk v=+4(+8(%bp)):s32 w=+0(%di):s32', 'p:e many v=+4(%di):s32 w=+8(%di):s32 f:v>3']
    info = info_of(str(optimised))
    event, = events_of(machine_of(info), f'{lines[0]} f:v>3', lines[1])
    first, second = ([(name, fetch.text()) for name, fetch in d.unseen] for d in event.definitions)
    passing = f'\\{AMD64.kernel_from}:x64'
    assert first == [('ptr1', '%bp:x64'), ('ptr2', '+8(%bp):x64'), ('ptr3', '%di:x64')]
    assert second == [('ptr1', passing), ('ptr2', '%di:x64'), ('ptr3', '%di:x64')]
    assert event.filter.startswith('(ptr1>=') and 'ptr2>=' in event.filter and 'ptr3' not in event.filter
    good, bad = f'{AMD64.kernel_from:#x}', '0x0'
    lines = [f'               a-1       [000]     1.000000: e: (walk+0x0/0x9) v=1 w=2 ptr1={one} ptr2={two} ptr3={three}\n'.encode()
             for one, two, three in ((good, good, good), (good, bad, good), (good, good, bad))]
    decoder = surftrace.Decoder([event])
    assert [decoder.block(line).split(b') ', 1)[1] for line in lines] == [b'v=1 w=2\n', b'v=(null) w=2\n', b'v=1 w=(null)\n']


# the rest of a function

RESTS = [('-Os',), ('-O3', '--param', 'max-inline-insns-auto=300')]     # in the function; in its copies too


@pytest.fixture(params=RESTS, ids=' '.join)
def split(request: pytest.FixtureRequest, compile_c: Callable[..., Path]) -> Path:
    """fixtures/rest.c, whose function the compiler has split and inlined again."""
    program = compile_c(HERE / 'fixtures/rest.c', *request.param, '-g', '-fpartial-inlining', '-no-pie')
    need('readelf')
    entries = subprocess.run(['readelf', '--debug-dump=info', program], capture_output=True, text=True).stdout
    line = (HERE / 'fixtures/rest.c').read_text().split('void put')[0].count('\n') + 1
    if not re.search(rf'DW_AT_call_line +: {line}\n', entries):
        raise Unavailable('this gcc does not split the function')
    return program


def test_the_rest_of_a_function_is_no_call_of_it(split: Path) -> None:
    """The copies are those in main and user, and none where only the rest of a function begins."""
    info = info_of(str(split))
    copies = info.dwarf.copies('put')
    holders = [info.dwarf.executable.symbol_at(spot.address).name for spot in copies]
    assert sorted(holders) in ([], ['main', 'main', 'user'])
    own, = info.dwarf.executable.symbols('put')
    assert info.function('put').inlined == len(copies)
    lines = shown(split, '-S', 'p put count amount').stdout.splitlines()
    assert len(lines) == 1 + len(copies) and f' put{"+0" * bool(copies)} ' in lines[0]
    listed = shown(split, '-l', 'put').stdout
    places = [own.address, *(spot.address for spot in copies)]
    assert re.findall('^  [a-z]+.* (0x[0-9a-f]+)', listed, re.M) == [hex(place) for place in places]
    assert listed.count('(copy of put)') == len(copies)
    assert '(put, inlined)' not in shown(split, '-F', 'put').stdout
    note = f"'put' is also inlined at {len(copies)} places" if copies else ''
    assert note in (said := shown(split, '-S', 'r put').stderr) and bool(said) == bool(copies)


def test_a_line_in_the_rest_of_a_function_has_its_variables(split: Path) -> None:
    number = (HERE / 'fixtures/rest.c').read_text().split('if (left > 0)')[0].count('\n') + 1
    spots = info_of(str(split)).dwarf.line_spots('rest.c', number)
    first = info_of(str(split)).dwarf.first_of_each(spots)
    assert len(first) == 1 + len(info_of(str(split)).dwarf.copies('put'))
    for spot in first:
        assert field_of(info_of(str(split)), spot, 'left').fetches[0].kind == 's32'


def test_a_call_that_a_macro_writes_at_the_declaration_is_one(compile_c: Callable[..., Path]) -> None:
    """As in the kernel's SYSCALL_DEFINE."""
    program = compile_c('''
        #define DEFINE(name) static inline int do_##name(int x); \\
            int name(int x) { return do_##name(x); } static inline int do_##name(int x)
        volatile int seen;
        DEFINE(call) { seen = x; return x + seen; }
        int main(void) { return call(seen); }''', '-g', '-O2', '-no-pie')
    lines = shown(program, '-S', 'p do_call x').stdout.splitlines()
    assert {line.split()[1].partition('+')[0] for line in lines} == {'main', 'call'}


# kernels


SPLIT = 'bprm_execve submit_bio fput consume_skb netif_rx iput'.split()         # all of them, in Debian's 6.1


@pytest.mark.parametrize('name', SPLIT)
def test_the_rest_of_a_kernel_function_is_no_call_of_it(name: str) -> None:
    dwarf = info_of(vmlinux()).dwarf
    assert dwarf.copies(name) == [] and info_of(vmlinux()).function(name).inlined == 0
    assert shown(vmlinux(), '-S', f'p {name}').stdout == f'p:f0 {name}\n'


@functools.lru_cache(None)
def some_functions(count: int) -> list[str]:
    """Functions that have their name for themselves, by SEED."""
    print(f'SURFTRACE_ORACLE_SEED={SEED}')
    table = info_of(vmlinux()).dwarf.executable.function_symbols
    names = sorted(name for name, found in table.items() if len(found) == 1 and found[0].size and '.init' not in found[0].section
                   and re.fullmatch(r'\w+', name))
    return random.Random(SEED).sample(names, count)


@functools.lru_cache(None)
def table_by_readelf() -> dict[tuple[str, int], set[int]]:
    """(file, line) -> the addresses of its statements, for some files whose last name is theirs alone."""
    need('readelf')
    dwarf, files = info_of(vmlinux()).dwarf, set()
    for name in some_functions(160):
        file = dwarf.source_at(dwarf.executable.symbols(name)[0].address)
        if file.endswith('.c') and len(dwarf.lines.files_like(os.path.basename(file))) == 1:
            files.add(os.path.basename(file))
        if len(files) == 10:
            break
    wanted = '^(' + '|'.join(map(re.escape, sorted(files))) + ') '
    command = f'readelf -W --debug-dump=decodedline {shlex.quote(vmlinux())} 2>/dev/null | grep -E {shlex.quote(wanted)}'
    text = subprocess.run(command, shell=True, capture_output=True, text=True).stdout
    table: dict[tuple[str, int], set[int]] = {}
    for match in re.finditer(r'^(\S+) +(\d+) +(0x[0-9a-f]+)(?: +\d+)? +x$', text, re.M):
        table.setdefault((match[1], int(match[2])), set()).add(int(match[3], 16))
    assert len(table) > 500
    return table


@functools.lru_cache(None)
def some_lines(count: int) -> list[tuple[str, int]]:
    return random.Random(SEED).sample(sorted(table_by_readelf()), count)


def test_a_line_is_where_readelf_has_it() -> None:
    dwarf, table = info_of(vmlinux()).dwarf, table_by_readelf()
    wrong = {(file, line): places for file, line in sorted(some_lines(200))
             if (places := {spot.address for spot in dwarf.line_spots(file, line)}) != table[file, line]}
    assert wrong == {}


@functools.lru_cache(None)
def said_by_gdb() -> dict[tuple[str, ...], str]:
    """What gdb says of some lines and of some instructions; one run of it, in which a command may fail."""
    need('gdb')
    executable, rng = info_of(vmlinux()).dwarf.executable, random.Random(SEED)
    asked = [('line', f'{file}:{line}') for file, line in some_lines(60)]
    for name in some_functions(110):
        symbol, = executable.symbols(name)
        code = surftrace.disassembled(executable.bytes_at(symbol.address, symbol.size), symbol.address, AMD64)
        asked.append(('scope', f'*{rng.choice(code).address:#x}'))
    commands = '\n'.join(f'python said({what!r}, {where!r})' for what, where in asked)
    script = '''python
def said(what, where):
    try:
        print('@@', what, where, gdb.execute(f'info {what} {where}', to_string=True))
    except Exception as error:
        print('@@', what, where, 'failed', error)
end
''' + commands
    with tempfile.NamedTemporaryFile('w', suffix='.gdb') as file:
        file.write(script)
        file.flush()
        run = subprocess.run(['gdb', '-nx', '-batch', '-x', file.name, vmlinux()], capture_output=True, text=True)
    parts = [part.split(' ', 2) for part in run.stdout.split('@@ ')[1:]]
    return {(what, where): text for what, where, text in parts}


def test_a_line_that_gdb_has_code_of_is_there() -> None:
    table, agreed = table_by_readelf(), 0
    for file, line in some_lines(60):
        text = said_by_gdb().get(('line', f'{file}:{line}'), '')
        places = {int(place, 16) for place in re.findall(r'^Line \d+ .*? starts at address (0x[0-9a-f]+)', text, re.M)}
        assert places <= table[file, line], (file, line, text)
        agreed += bool(places)
    assert agreed > 20


def gdb_place(text: str, pc: int) -> tuple[Any, ...] | None:
    """gdb's word of where a variable is at pc: ('register', DWARF's number), ('memory', number, offset), ('gone',); None for
    what this test does not read."""
    if text.startswith('multi-location'):
        ranges = re.findall(r'Range (0x[0-9a-f]+)-(0x[0-9a-f]+): (.*?)(?=\n  Range|\n  Base|, length)', text, re.S)
        text = next((place for start, end, place in ranges if int(start, 16) <= pc < int(end, 16)), 'gone')
    text = text.split(', length')[0].strip()
    register = re.fullmatch(r'a variable in \$(\w+)', text)
    memory = re.fullmatch(r'a complex DWARF expression:\s+0: DW_OP_breg(\d+) (-?\d+) \[\$\w+\]', text)
    if register and register[1] in GDB_REGISTERS[:16]:
        return 'register', GDB_REGISTERS.index(register[1])
    return ('memory', int(memory[1]), int(memory[2])) if memory else ('gone',) if text == 'gone' else (
        'static', int(static[1], 16)) if (static := re.match('static storage at address (0x[0-9a-f]+)', text)) else None


def test_a_variable_is_where_gdb_has_it_or_refused() -> None:
    dwarf, counts = info_of(vmlinux()).dwarf, collections.Counter()
    for (what, where), text in said_by_gdb().items():
        spot = dwarf.spot_at(int(where[1:], 16)) if what == 'scope' else None
        if not spot:
            continue
        inner = [scope for scope in dwarf.scopes.path_to(spot.scope, spot.address) if scope.function][-1]
        function = dwarf.function_here(spot._replace(scope=inner, inlined=inner is not spot.scope))
        ours = {variable.name: variable.location for variable in reversed((*function.parameters, *function.locals))}
        found = re.findall(r'^Symbol (\S+) is (.*?)(?=^Symbol |\Z)', text, re.M | re.S)
        names = collections.Counter(name for name, _ in found)
        for name, place in found:
            wanted = gdb_place(place, spot.address) if names[name] == 1 and name in ours else None
            if wanted:
                location = ours[name]
                mine = {'register': ('register', location.number), 'memory': ('memory', location.number, location.offset),
                        'address': ('static', location.offset)}.get(location.how, (location.how,))
                counts[f'{wanted[0]} {"the same" if mine == wanted else mine[0]}'] += 1
                assert mine == wanted or mine == ('gone',), (where, name, place, location)
    assert counts['register the same'] > 50 and counts['memory the same'] and counts['gone the same'] > 20, counts
    assert counts['register gone'] < counts['register the same'] / 10, counts


def test_perf_probes_the_same_places_and_knows_the_same_variables() -> None:
    """perf names files by their paths, and refuses a line whose address is another line's too."""
    need('perf')
    dwarf, agreed, named = info_of(vmlinux()).dwarf, 0, 0
    for file, line in some_lines(200)[:6]:
        spots = dwarf.line_spots(file, line)
        place = f'{dwarf.short_path(spots[0].file)}:{line}'
        run = subprocess.run(['perf', 'probe', '-k', vmlinux(), '-D', place], capture_output=True, text=True)
        places = {dwarf.executable.symbols(name)[0].address + int(offset or 0)
                  for name, offset in re.findall(r'^p:\S+ ([\w.]+)(?:\+(\d+))?$', run.stdout, re.M)}
        assert not places or places & {spot.address for spot in spots}, (place, run.stdout)
        agreed += bool(places)
        run = subprocess.run(['perf', 'probe', '-k', vmlinux(), '-V', place], capture_output=True, text=True)
        for block in re.split(r'^\t@', run.stdout, flags=re.M)[1:2]:
            known = {v.name for spot in spots if (f := dwarf.function_here(spot)) for v in (*f.parameters, *f.locals)}
            named += len(set(re.findall(r'^\t\t.*?[\s*](\w+)$', block, re.M)) & known)
    assert agreed and named


def test_an_event_at_the_copies_of_a_kernel_function() -> None:
    """Of the functions with a symbol and copies, one whose parameters are at hand in most."""
    done = shown(vmlinux(), '-S', 'p skb_put skb->len len')
    lines = done.stdout.splitlines()
    assert lines[0] == re.sub(r'\+\d+\(', '+112(', lines[0]) or lines[0].startswith('p:f0 skb_put+0 len=')
    assert len(lines) > 5 and len({line.split()[1] for line in lines}) == len(lines)
    own = shown(vmlinux(), '-S', 'p skb_put+0 skb->len len').stdout.splitlines()
    assert own == lines[:1]
    assert 'also inlined at' in shown(vmlinux(), '-S', 'p skb_put x=%di').stderr     # a register, in a copy, is another
    assert shown(vmlinux(), '-S', *lines).stdout.splitlines() == lines


@pytest.mark.parametrize('label', ['6.1-amd64', '6.1-arm64', '5.10-amd64'])
def test_F_and_l_of_kernels(label: str) -> None:
    pytest.importorskip('capstone')
    listed = shown(vmlinux(label), '-F', 'do_filp_open')
    assert listed.returncode == 0, listed.stderr
    offsets = [int(offset) for offset in re.findall(r'^  <\+(\d+)>', listed.stdout, re.M)]
    assert offsets == sorted(offsets) and len(offsets) > 30
    assert '<path_openat>' in listed.stdout and 'pathname=' in listed.stdout
    line = re.search(r'^fs/namei\.c:(\d+)\n(?:  <\+\d+> .*\n)*?  <\+\d+> +(?:call|bl)\S* <path_openat>', listed.stdout, re.M)[1]
    place = shown(vmlinux(label), '-l', f'fs/namei.c:{line}')
    assert re.search(rf'^fs/namei\.c:{line}\n  do_filp_open\+\d+ +0xffff\w+\n      dfd +int ', place.stdout), place.stdout + place.stderr
    offset = re.search(r'do_filp_open\+(\d+)', place.stdout)[1]
    done = shown(vmlinux(label), '-S', f'p fs/namei.c:{line} pathname->name')
    assert done.returncode == 0 and f' do_filp_open+{offset} name=' in done.stdout, done.stderr


def test_l_of_one_of_several_functions_is_that_of_its_file() -> None:
    """Of the two seq_show in a kernel."""
    for place in ('seq_show@proc/fd.c', 'seq_show@proc/fd.c:3'):
        said = shown(vmlinux(), '-l', place).stdout
        assert said.startswith('fs/proc/fd.c:') and 'nf_log' not in said
    assert 'nf_log' in shown(vmlinux(), '-l', 'seq_show').stdout
    assert 'say which: seq_show@FILE:3 with one of fs/proc/fd.c' in shown(vmlinux(), '-l', 'seq_show:3').stderr


def test_a_part_of_a_path_that_means_several_files_is_refused() -> None:
    done = shown(vmlinux(), '-S', 'p namei.c:100')
    assert done.returncode == 2 and 'fs/ext4/namei.c, fs/namei.c' in done.stderr


def test_a_copy_in_code_without_a_symbol_is_left_out(compile_c: Callable[..., Path], tmp_path: Path) -> None:
    """As where another function takes the place of a weak one, whose code stays: in Linux 6.1's pcpu_populate_pte()."""
    need('objcopy')
    program, bare = compile_c(HERE / 'fixtures/inside.c', '-gdwarf-5', '-O2', '-no-pie'), tmp_path / 'bare'
    subprocess.run(['objcopy', '--strip-symbol=walk', '--add-symbol=_text=.text:0,function', program, bare], check=True)
    info, notes = info_of(str(bare)), []
    event, = events_of(machine_of(info, notes.append), 'p scaled')
    walk, = info_of(str(program)).functions_named('walk')
    assert {definition.place.partition('+')[0] for definition in event.definitions} == {'recursive'}
    said = re.compile(r"\d of the \d places of 'scaled' are left out: where no function is")
    assert len(list(filter(said.fullmatch, notes))) == 1
    listed = re.findall(r'^  (\S+) +(0x\w+)  \(copy', '\n'.join(surftrace.place_listing(
        surftrace.parse_place('p', 'scaled', (0, 6)), info)), re.M)
    assert {place.split('+')[0] for place, at in listed if 0 <= int(at, 16) - walk.address < walk.size} == {'_text'}
