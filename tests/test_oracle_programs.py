"""Programs of Debian's, to be told by others: perf and nm where functions are, readelf where USDT probes, gdb where parameters,
c++filt what names mean.

SURFTRACE_ORACLE_SEED=7 takes other functions, SURFTRACE_ORACLE_SCALE=10 ten times as many.
"""
from __future__ import annotations

import functools
import glob
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from cache import Unavailable
from helpers import GDB_REGISTERS, SCALE, SEED, events_of, need, of_programs, output
from inside import answered_by_gdb, in_c
from programs import NAMES, RUST, Compile, notes, symbols

import surftrace


def path_of(name: str) -> str:
    """The file of a program or library, or a skip."""
    if os.uname().machine != 'x86_64':
        raise Unavailable('the tables of these tests are for x86-64')
    if name == 'postgres':
        found = sorted(glob.glob('/usr/lib/postgresql/*/bin/postgres'))
    elif name == 'libjvm':
        found = sorted(glob.glob('/usr/lib/jvm/*/lib/server/libjvm.so'))
    elif name.startswith('lib'):
        found = [path for soname, path in surftrace.library_paths() if surftrace.is_library(soname, name) and '/x86_64' in path]
    else:
        found = [f'/usr/bin/{name}'] if os.path.exists(f'/usr/bin/{name}') else []
    if not found:
        raise Unavailable(f'{name} is not installed')
    return os.path.realpath(found[0])


def place(path: str, function: str) -> str:
    """PATH:0xOFFSET of a function, or the refusal."""
    try:
        target, *_ = surftrace.locate(surftrace.parse_probe(f'P {path}:{function}'), of_programs())
    except surftrace.InputError as error:
        return error.message
    return target.place


def listed(path: str) -> dict[str, set[int]]:
    """The functions that readelf has in the dynamic symbols, of the version that is linked with."""
    text = output('readelf', '--dyn-syms', '-W', path)
    found: dict[str, set[int]] = {}
    for address, name in re.findall(r'^ *\d+: ([0-9a-f]+) +\d+ FUNC +\w+ +\w+ +\d+ (\w[^@\s]*)(?:@@\S+)?$', text, re.M):
        found.setdefault(name, set()).add(int(address, 16))
    return found


# ---- where functions are


def perf(path: str, functions: list[str]) -> dict[str, set[str]]:
    """0xOFFSET of each function as `perf probe -D` has it, also where it is inlined; what perf cannot find is left out."""
    need('perf')
    words = [word for name in functions for word in ('-D', name)]
    run = subprocess.run(['perf', 'probe', '-x', path, *words], capture_output=True, text=True)
    missing = set(re.findall(r"Probe point '(\w+)' not found|symbol '?(\w+)", run.stderr)[0] if run.returncode else [])
    if run.returncode:
        return perf(path, [name for name in functions if name not in missing]) if missing & set(functions) else {}
    found: dict[str, set[str]] = {name: set() for name in functions}
    for name, offset in re.findall(r'^p:\w+/(\S+) \S+:(0x[0-9a-f]+)', run.stdout, re.M):
        found.setdefault(name if name in found else re.sub(r'_\d+$', '', name), set()).add(offset)
    return found


@pytest.mark.parametrize('name', ['libc', 'bash', 'python3', 'libstdc++', 'redis-server'])
def test_functions_are_where_perf_probes_them(name: str) -> None:
    path = path_of(name)
    every = {function for function in listed(path) if not function.startswith('_Z') and re.fullmatch(r'[A-Za-z]\w*[A-Za-z]', function)}
    random = Random(SEED)
    print(f'SURFTRACE_ORACLE_SEED={SEED}')
    chosen = random.sample(sorted(every), min(int(100 * SCALE), len(every)))
    program = surftrace.Executable(path)
    starts = {f'{program.offset_of(address):#x}' for addresses in listed(path).values() for address in addresses}
    told = {function: found for at in range(0, len(chosen), 25) for function, found in perf(path, chosen[at:at + 25]).items()
            if found & starts}                          # else perf has only where it is inlined
    assert len(told) >= 0.85 * len(chosen), 'perf found too few'
    for function, found in told.items():
        assert place(path, function).rpartition(':')[2] in found, f'{path}:{function}: {place(path, function)}, perf {found}'


@pytest.mark.parametrize('name', ['libc', 'bash', 'python3', 'libstdc++', 'redis-server', 'libm', 'libjvm'])
def test_every_dynamic_function_is_where_readelf_has_it(name: str) -> None:
    path = path_of(name)
    program = surftrace.Executable(path)
    loads = [(int(a, 16), int(b, 16), int(c, 16)) for a, b, c in re.findall(
        r'LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) 0x\w+ R E', output('readelf', '-lW', path))]
    wanted = listed(path)
    assert len(wanted) > 50
    for function in Random(SEED).sample(sorted(wanted), min(int(400 * SCALE), len(wanted))):
        found = {symbol.address for symbol in program.symbols(function) if symbol.code}
        assert found == wanted[function], function
        offsets = [address - start + at for address in found for at, start, size in loads if start <= address < start + size]
        assert [program.offset_of(address) for address in found] == offsets, function
    every = {symbol.address for symbols_ in program.function_symbols.values() for symbol in symbols_}
    assert every >= {address for addresses in wanted.values() for address in addresses}


def test_what_is_undefined_is_said_to_be_so() -> None:
    path = path_of('bash')
    undefined = re.findall(r'UND (\w+)@\S+ \(\d+\)$', output('readelf', '--dyn-syms', '-W', path), re.M)
    functions = [name for name in Random(SEED).sample(sorted(undefined), 20)]
    assert functions
    for name in functions:
        assert re.search('and has it not|is an IFUNC|is data|has 2|no function', place(path, name)), name


# ---- USDT


@pytest.mark.parametrize('name', ['python3', 'libstdc++', 'postgres', 'libjvm'])
def test_usdt_notes_are_those_of_readelf(name: str) -> None:
    path = path_of(name)
    if '.note.stapsdt' not in surftrace.Executable(path).sections:
        raise Unavailable(f'{path} has no USDT probes')
    wanted = notes(Path(path))
    base = int((re.findall(r'\.stapsdt\.base +PROGBITS +([0-9a-f]+)', output('readelf', '-SW', path)) or ['0'])[0], 16)
    moved = [(note.provider, note.name, note.address + (base - note.base if base else 0),
              note.semaphore and note.semaphore + (base - note.base if base else 0), note.operands) for note in wanted]
    assert [tuple(note) for note in surftrace.Executable(path).usdt_notes()] == moved
    assert len(moved) > 2


@pytest.mark.parametrize('name', ['python3', 'libstdc++', 'postgres', 'libjvm'])
def test_every_operand_of_debians_probes_is_read_or_refused_with_its_text(name: str) -> None:
    """Written down again from the operand, by a rule for each of the three plain forms of x86."""
    path = path_of(name)
    registers = {**{f'{p}{r}': r for p in ('r', 'e', '') for r in ('ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp')},
                 **{f'r{i}{s}': f'r{i}' for i in range(8, 16) for s in ('', 'd', 'w', 'b')},
                 **{f'{r}l': f'{r}x' for r in 'abcd'}, 'sil': 'si', 'dil': 'di', 'bpl': 'bp'}
    count = 0
    program = surftrace.program_at(path)
    for note in surftrace.Executable(path).usdt_notes():
        operands = surftrace.split_operands(note.operands)
        assert ' '.join(operands) == note.operands.strip()
        resolver = surftrace.resolver_in(surftrace.Target(program, None, False, note.address, operands))
        for i, operand in enumerate(operands):
            match = re.fullmatch(r'(-?)(\d)@(?:%(\w+)|(-?\d*)\(%(\w+)\)|\$(-?\d+))', operand)
            arg = surftrace.parse_probe(f'u a:b v=%{i}').args[0]
            if not match:
                try:
                    resolver.field(arg)
                except surftrace.InputError as error:
                    assert f"'{operand}'" in error.message
                continue
            sign, size, register, moved, base, constant = match.groups()
            letter = 's' if sign else 'x' if size == '8' else 'u'
            wanted = f'%{registers[register]}' if register else f'\\{constant}' if constant else (
                f"{int(moved or 0):+d}({'$stack' if base == 'rsp' else '%' + registers[base]})")
            assert resolver.field(arg).fetches[0].text() == f'{wanted}:{letter}{8 * int(size)}', (note, operand)
            count += 1
    assert count > 2


# ---- where parameters are


@functools.lru_cache(None)
def gdb_scopes(path: str, functions: tuple[tuple[str, int], ...]) -> dict[str, dict[str, str]]:
    """Of each function, what gdb says of where each of its variables is when it is entered: a register's name."""
    need('gdb')
    words = [word for name, _ in functions for word in ('-ex', f'echo \\n== {name}\\n', '-ex', f'info scope *{name}')]
    text = subprocess.run(['gdb', '-nx', '-batch', *words, path], capture_output=True, text=True).stdout
    found: dict[str, dict[str, str]] = {}
    for (name, address), part in zip(functions, re.split(r'^== \w+$', text, flags=re.M)[1:]):
        places = found.setdefault(name, {})
        for symbol in re.split(r'^Symbol ', part, flags=re.M)[1:]:
            variable, _, rest = symbol.partition(' ')
            register = re.match(r'is a variable in \$(\w+), length', rest)
            ranges = re.findall(r'Range (0x\w+)-(0x\w+): a variable in \$(\w+)$', rest, re.M)
            at_entry = [register_ for low, high, register_ in ranges if int(low, 16) <= address < int(high, 16)]
            if variable not in places:          # of the outer scope
                places[variable] = register[1] if register else at_entry[0] if at_entry else ''
    return found


@pytest.mark.parametrize('name', ['libc', 'libm'])
def test_parameters_are_in_the_registers_that_gdb_has(name: str) -> None:
    path = path_of(name)
    program = of_programs().program(path)
    assert program
    if not program.dwarf:
        raise Unavailable('libc6-dbg is not installed')
    kernel_names = dict(zip(GDB_REGISTERS, ['ax', 'dx', 'cx', 'bx', 'si', 'di', 'bp', 'sp', 'r8', 'r9']))
    chosen, functions = Random(SEED).sample(sorted(listed(path).items()), int(60 * SCALE)), {}
    for symbol, addresses in chosen:
        function = program.function(symbol, min(addresses), 0) if len(addresses) == 1 else None
        if function and function.parameters:
            functions[symbol] = (min(addresses), function)
    told = gdb_scopes(path, tuple((symbol, address) for symbol, (address, _) in functions.items()))
    compared = 0
    for symbol, (address, function) in functions.items():
        resolver = surftrace.resolver_in(surftrace.Target(program, function, True, address))
        for i, parameter in enumerate(function.parameters):
            register = kernel_names.get(told[symbol].get(parameter.name, ''))
            if not register:
                continue
            try:
                text = resolver.field(surftrace.parse_probe(f'P a:b v=%{i}').args[0]).fetches[0].text()
            except surftrace.InputError:
                continue                                    # a struct, a union
            compared += 1
            assert re.search(r'%(\w+)', text) and re.search(r'%(\w+)', text)[1] == register, f'{symbol} {parameter.name}: {text}, gdb {register}'
    assert compared > (30 if name == 'libc' else 3) * min(SCALE, 1)


# ---- what is refused


TAKEN = ('int', 'unsigned char', 'short', 'long', 'unsigned long', 'struct pair *', 'const char *', 'struct pair', 'struct big', 'double',
         'enum color', '_Bool')


def mixed_up(dice: Random, functions: int) -> str:
    """A program of random functions that call one another: some are inlined, of some the parameters are changed or go."""
    lines, taken = [], {}
    for number in range(functions):
        types = taken[number] = [dice.choice(TAKEN) for _ in range(dice.choice(range(10)))]
        numbers = [i for i, type_ in enumerate(types) if type_ not in ('struct pair', 'struct big', 'double')]
        leaves = [f'(long)p{i}' for i in numbers] + [f'p{i}.b' for i, type_ in enumerate(types) if 'struct' in type_ and '*' not in type_]
        leaves += [f'(long)p{i}' for i, type_ in enumerate(types) if type_ == 'double'] + ['7']
        statements = []
        for place in range(dice.choice((1, 2, 4))):
            callee = dice.choice(sorted(taken)[:-1] or [None])
            given = ', '.join('kept.pair' if type_ == 'struct pair' else 'kept.big' if type_ == 'struct big' else
                              f'({type_})({dice.choice(leaves)})' for type_ in taken.get(callee, ()))
            call = f'f{callee}({given})' if callee is not None else 'seen'
            statements.append(f"long v{place} = {dice.choice(leaves)} {dice.choice('+-*^')} {dice.choice([call, call, 'seen', '5'])}; seen += v{place};")
            leaves.append(f'v{place}')
        word = dice.choice(['', '', 'static ', 'static __attribute__((noinline)) ', '__attribute__((noinline)) '])
        parameters = ', '.join(f'{type_} p{i}' for i, type_ in enumerate(types)) or 'void'
        loop = f"for (int i = 0; i < ({dice.choice(leaves)} & 7); i++) seen ^= {dice.choice(leaves)} + i;" * (dice.random() < 0.4)
        lines.append(f"{word}long f{number}({parameters}) {{ {' '.join(statements)} {loop} return {dice.choice(leaves)} + seen; }}")
    return ('enum color { RED, GREEN }; struct pair { long a, b; }; struct big { long a, b, c; };\n'
            'volatile long seen; struct { struct pair pair; struct big big; } kept;\n' + '\n'.join(lines) + '\nint main(void) { return 0; }\n')


class Variable(NamedTuple):
    """A variable at a place: what -S has of it, or why it is refused."""
    address: int
    function: str
    name: str
    entry: bool
    fetch: surftrace.Fetch | None
    refused: str


def variables_at(program: surftrace.Program, function: surftrace.Function | None, address: int, entry: bool) -> Iterator[Variable]:
    if function is None:
        return
    resolver = surftrace.resolver_in(surftrace.Target(program, function, entry, address))
    for name in dict.fromkeys(each.name for each in (*function.parameters, *([] if entry else function.locals))):
        fetch, refused = None, ''
        try:
            lvalue = resolver.value(surftrace.Expr('name', (0, 1), name))
            if isinstance(lvalue.type, (surftrace.Int, surftrace.Enum, surftrace.Pointer)):
                word = f'x{8 * lvalue.type.size}'
                fetch = resolver.field(surftrace.parse_probe(f'P a:b v={name}:{word}').args[0]).fetches[0]
        except surftrace.InputError as error:
            refused = error.message
        yield Variable(address, function.name, name, entry, fetch, refused)


@pytest.mark.parametrize('compiler', ['gcc', 'clang'])
def test_what_is_refused_gdb_has_not_either(compiler: str, compile_c: Compile, tmp_path: Path) -> None:
    """A thousand parameters at the entries of functions, and as many variables at lines within. The rest that gdb has: what must be computed,
    and floating-point registers. At entry gdb takes the stack pointer for clang's frame base, which it is not yet."""
    need(compiler)
    print(f'SURFTRACE_ORACLE_SEED={SEED}')
    built = compile_c(mixed_up(Random(SEED), int(240 * SCALE)), '-g', '-O2', '-no-pie', '-w', compiler=compiler)
    program = of_programs().program(str(built))
    assert program and program.dwarf
    asked: list[Variable] = []
    for symbol in (symbol for symbols_ in program.symbols.function_symbols.values() for symbol in symbols_ if symbol.name[0] == 'f'):
        asked += variables_at(program, program.function(symbol.name, symbol.address), symbol.address, True)
        rows = {row.address for row, _ in program.dwarf.rows_in(symbol.address + 1, symbol.address + symbol.size) if row.is_stmt}
        for spot in map(program.dwarf.spot_at, Random(symbol.name).sample(sorted(rows), min(1, len(rows)))):
            asked += variables_at(program, program.dwarf.function_here(spot) if spot else None, spot.address if spot else 0, False)
    questions = [[each.address, each.function, each.name, each.fetch.text() if each.fetch else '',
                  *(in_c(each.fetch, lambda name: 0) if each.fetch and each.fetch.base[0] not in '@' else ('0', 64))] for each in asked]
    answers = answered_by_gdb(built, questions, tmp_path, 'jump')
    assert len(answers) == len(asked)
    counts: Counter[str] = Counter()
    for each, (_, _, _, text, theirs, ours, known) in zip(asked, answers):
        place = 'at entry' if each.entry else 'inside'
        if each.refused and known:
            left = re.search('floating-point|it is computed' + ('|DWARF does not tell' if each.entry else '|cannot add|did not say from where'), each.refused)
            assert left, f'{each}: gdb has it'
            counts[f'{place} only gdb has: {left[0]}'] += 1
        elif each.refused:
            counts[f'{place} neither has'] += 1
        elif each.fetch and theirs is not None and not (compiler == 'clang' and each.entry and '$stack' in text):
            assert ours == theirs, f'{each}: {ours}, gdb {theirs}'
            counts[f'{place} the same'] += 1
    print(compiler, dict(counts))
    assert counts['at entry the same'] > 300 * SCALE and counts['inside the same'] > 250 * SCALE


# ---- names


def test_names_of_cpp_are_those_of_cplusplusfilt() -> None:
    need('c++filt')
    path = path_of('libstdc++')
    names = [name for name in surftrace.Executable(path).function_symbols if name.startswith('_Z')]
    told = subprocess.run(['c++filt', '-i'], input='\n'.join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(names) == len(told) > 1000
    wrong = [(name, text, surftrace.demangled(name)) for name, text in zip(names, told) if surftrace.demangled(name) != text]
    assert not wrong, wrong[:5]


def test_a_name_of_cpp_finds_its_function() -> None:
    """Each of some demangled names, with parameters, is one function's; it is at the address of its symbol."""
    path = path_of('libstdc++')
    program = surftrace.Executable(path)
    names = sorted(name for name in program.function_symbols if name.startswith('_Z') and len(surftrace.demangled(name)) < 200)
    for name in Random(SEED).sample(names, 12):
        text = surftrace.demangled(name)
        found = {symbol.address for symbol in program.named_in_source(text)}
        assert found >= {symbol.address for symbol in program.symbols(name)}, text
        assert all(surftrace.demangled(s.name) == text or text in surftrace.spellings(surftrace.demangled(s.name))
                   for s in program.named_in_source(text)), text


def test_names_of_rust_are_those_of_cplusplusfilt(compile_c: Compile) -> None:
    need('c++filt')
    if shutil.which('rustc'):
        program = compile_c(RUST, '--crate-name', 'rs', '-g', '-Copt-level=0', compiler='rustc')
        names = [name for name in symbols(program) if re.search('17h[0-9a-f]{16}E$', name)]
    else:
        names = [name for name, _ in NAMES if re.search('17h[0-9a-f]{16}E$', name)]
    told = subprocess.run(['c++filt'], input='\n'.join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    wrong = [(name, text, surftrace.demangled(name)) for name, text in zip(names, told)
             if surftrace.demangled(name) != re.sub('::h[0-9a-f]{16}$', '', text)]
    assert names and not wrong, wrong[:5]


# ---- classes


KINDS = ('char', 'short', 'int', 'long', 'unsigned char', 'unsigned :3', 'int :5', 'unsigned :11')


def hierarchy(random: Random) -> str:
    """Classes derived from one another, with few names for their members; main says of each what C++ has for every name, and the
    bytes of an object."""
    classes = []
    for number in range(14):
        earlier = random.sample(range(number), min(number, random.choice((0, 1, 1, 2, 2, 3))))
        bases = ', '.join(f"{'virtual ' * (random.random() < 0.15)}C{base}" for base in earlier)
        members = []
        for name in random.sample('abcdef', random.choice((0, 1, 1, 2, 3))):
            type_, _, width = random.choice(KINDS).partition(' :')
            bits = int(width or 7)
            low, high = (0, (1 << bits) - 1) if type_.startswith('unsigned') else (-(1 << bits - 1), (1 << bits - 1) - 1)
            plain = f"{type_} {name}{':' * bool(width)}{width} = {random.randint(low, high)};"
            members.append(random.choice([plain] * 8 + [f'static inline int {name} = 1;', f'int {name}() {{ return 1; }}', f'union {{ {plain.split(":")[0].split("=")[0]}; }};']))
        classes.append(f"struct C{number} {': ' * bool(bases)}{bases} {{ {' '.join(members)} }};\n")
    tests = ''.join(f"""template <typename T> concept is_{n} = requires (T *p) {{ p->{n} + 0; }};
template <typename T> concept static_{n} = requires {{ T::{n} + 0; requires !std::is_member_pointer_v<decltype(&T::{n})>; }};
template <typename T> void say_{n}(T *p) {{ if constexpr (is_{n}<T> && !static_{n}<T>) printf(" {n}=%ld", (long)p->{n}); }}
""" for n in 'abcdef')
    shows = ''.join(f"""extern "C" NOINLINE void show{number}(C{number} *p) {{ asm volatile("" :: "r"(p) : "memory"); printf("{number}");
    for (unsigned i = 0; i < sizeof *p; i++) printf("%s%02x", i ? "" : " ", ((unsigned char *)p)[i]);
    {' '.join(f'say_{n}(p);' for n in 'abcdef')} {' '.join(f'say_base<C{base}>(p, {base});' for base in range(number))} puts(""); }}
""" for number in range(len(classes)))
    tests += """template <typename B, typename T> void say_base(T *p, int number) {
    if constexpr (std::is_base_of_v<B, T>) { if constexpr (std::is_convertible_v<T *, B *>) printf(" %d=%d", number, int((char *)(B *)p - (char *)p));
                                             else printf(" %d=-1", number); } }
"""
    used = ''.join(f' kept = &C{class_}::{name};' for class_, text in enumerate(classes) for name in re.findall(r'static inline int (\w)', text))
    main = f'int main() {{ static int *volatile kept;{used}' + ''.join(f' {{ auto *p = new (memory) C{n}(); show{n}(p); }}' for n in range(len(classes))) + ' }'
    return f"""#include <cstdio>
#include <new>
#include <type_traits>
#define NOINLINE __attribute__((noinline))
static char memory[65536] __attribute__((aligned(16)));
{''.join(classes)}{tests}{shows}{main}
"""


def read_from(fetch: str, data: bytes) -> int | None:
    """What a fetch-arg below %di gives, of the bytes there."""
    offset, kind = re.fullmatch(r'\w+=\+(\d+)\(%di\):(\w+(?:@\d+/\d+)?)', fetch).groups()  # type: ignore[union-attr]
    part = re.fullmatch(r'b(\d+)@(\d+)/(\d+)', kind)
    size = int(part[3]) // 8 if part else int(kind[1:]) // 8
    number = int.from_bytes(data[int(offset):int(offset) + size], 'little', signed=kind[0] == 's')
    return number >> int(part[2]) & (1 << int(part[1])) - 1 if part else number


def line_of(program: Path, class_: str, expression: str) -> str:
    """What -S prints of an argument, or the refusal."""
    try:
        event, = events_of(of_programs(), f'P {program}:show{class_} {expression}')
    except surftrace.InputError as error:
        return error.message
    return event.lines()[0].split(' ')[2]


@pytest.mark.parametrize('number', range(int(6 * SCALE)))
@pytest.mark.parametrize('compiler', ['g++', 'clang++'])
def test_members_of_derived_classes_are_those_that_cpp_takes(compiler: str, number: int, compile_c: Compile) -> None:
    need(compiler)
    print(f'SURFTRACE_ORACLE_SEED={SEED}')
    program = compile_c(hierarchy(Random(f'{SEED} {number}')), '-x', 'c++', '-std=c++20', '-g', '-O1', '-w', compiler=compiler)
    words: dict[str, dict[str, str]] = {}
    for line in output(program).splitlines():
        class_, text, *values = line.split()
        has, data = {name: int(number_) for name, number_ in (value.split('=') for value in values)}, bytes.fromhex(text)
        own = words[class_] = {}
        for name in 'abcdef':
            word = line_of(program, class_, f'p->{name}')
            if ' ' in word:
                assert re.search('virtual base' if name in has else 'no member|ambiguous|static member', word), f'C{class_}::{name}: {word}'
                continue
            assert name in has, f'C{class_}::{name}: {word}, and C++ has none'
            own[name], width = word, re.search(r':b(\d+)@', word)
            wanted = has[name] & (1 << int(width[1])) - 1 if width else has[name]
            assert read_from(word, data) == wanted, f'C{class_}::{name}: {word}'
        for base in [base for base in words if base in has and words[base]]:
            name, word = next(iter(words[base].items()))
            cast = line_of(program, class_, f'((struct C{base} *)p)->{name}')
            moved = re.sub(r'\d+(?=\(%di)', lambda match: str(int(match[0]) + has[base]), word)         # noqa: B023
            assert 'several times' in cast if has[base] < 0 else cast == moved or 'virtual base' in cast, f'C{class_} as C{base}: {cast}, {moved}'
    assert sum(map(len, words.values())) > 5
