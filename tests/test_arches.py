"""Architectures, as Debian's cross compilers and qemu's emulators have them: code that is run is the judge.

Functions with random signatures are compiled for each, run by qemu, and stopped where surftrace would set the probe.
What the kernel would then read, told by surftrace's fetch-args, has to be what was passed, or surftrace has to refuse.
SURFTRACE_ORACLE_SEED=7 draws others, SURFTRACE_ORACLE_SCALE=10 ten times as many.
"""
from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import compilers
import pytest
import signatures
import stub
from cache import Unavailable
from helpers import SCALE, SEED, machine_of, need, types_of
from imitation import Machine, width

import surftrace

HERE = Path(__file__).resolve().parent
COUNT = 60                  # functions of an architecture
ALONE = ('-g', '-w', '-nostdlib', '-nostartfiles', '-static', '-fno-pie', '-no-pie', '-fno-stack-protector')    # without a library
KERNEL = ((), ('-mregparm=3',))             # how the kernel of i386 is compiled (arch/x86/Makefile)


def machines_at(program: Path, name: str, addresses: list[int], folder: Path) -> dict[int, Machine]:
    """The machine as the program first comes to each of these addresses."""
    need(compilers.TOOLCHAINS[name].qemu)
    return stub.machines_at(program, compilers.TOOLCHAINS[name].qemu, surftrace.arch_named(name), addresses, folder)


class Asked(NamedTuple):
    """An expression in a function, what it was worth, and what surftrace would have the kernel read, or why it does not."""
    function: signatures.Function
    text: str
    value: int
    address: int
    field: surftrace.Field | None
    refusal: str = ''


def resolve_in(kind: str, here: surftrace.Program, kernel: surftrace.Machine, function: signatures.Function) -> Iterator[Asked]:
    """All that can be asked of a function's arguments, by name."""
    line = f'{kind} {here.path}:{function.name}' if kind == 'P' else f'p {function.name}'
    for index, argument in enumerate(function.arguments):
        for path_, value in argument.leaves:
            text = f'a{index}{path_}'
            probe = surftrace.parse_probe(f'{line} v={text}')
            target = surftrace.locate(probe, kernel)[0]
            symbol = here.executable.symbols(function.name)[0]
            address = target.address or symbol.address + symbol.entry       # as the kernel does by itself
            resolver = surftrace.resolver_in(target)
            try:
                yield Asked(function, text, value, address, resolver.field(probe.args[0]))
            except surftrace.InputError as error:
                yield Asked(function, text, value, address, None, error.message)


def read(machine: Machine, field: surftrace.Field) -> int:
    """What would be shown, as a number."""
    assert len(field.fetches) == 1
    value = machine.fetch(field.fetches[0].text())
    assert isinstance(value, int), f'{field.fetches[0].text()} cannot be read'
    signed = re.fullmatch(r'S\((\d+)\)', field.format.word) if field.format else None
    return surftrace.extended(str(value), int(signed[1])) if signed else value


def compiler(name: str) -> str:
    """The compiler for that architecture."""
    wanted = compilers.TOOLCHAINS[name].compiler
    if wanted == compilers.COMPILER:
        return str(compilers.loongarch64_compiler())
    need(wanted)
    return wanted


def signed_char(compiler: str) -> bool:
    """Whether plain char is signed there."""
    said = subprocess.run([compiler, '-dM', '-E', '-x', 'c', '-'], input='', capture_output=True, text=True, check=True).stdout
    return '__CHAR_UNSIGNED__' not in said


@pytest.fixture(scope='session')
def signature_program(compile_c: Callable[..., Path]) -> Callable[..., tuple[Path, list[signatures.Function]]]:
    """signature_program(ARCH, *FLAGS): a program of random signatures."""
    def made(name: str, *flags: str) -> tuple[Path, list[signatures.Function]]:
        tools, arch = compilers.TOOLCHAINS[name], surftrace.arch_named(name)
        dice = signatures.Dice(SEED, arch.word, signed_char(compiler(name)))
        functions = [dice.function(number) for number in range(int(COUNT * SCALE))]
        program = compile_c(signatures.source(functions), *ALONE, *tools.flags, *flags, '-lgcc', compiler=compiler(name))
        return program, functions
    return made


@pytest.fixture(scope='session')
def types_apart() -> Callable[[Path], Path]:
    """types_apart(PROGRAM): its types as raw BTF, in the byte order of its machine."""
    def types_apart(program: Path) -> Path:
        need('pahole')
        made, new = (program.with_name(f'{program.name}.{end}') for end in ('raw.btf', f'new-{os.getpid()}'))
        subprocess.run(['pahole', '-J', '--btf_encode_detached', new, program], check=True)
        new.rename(made)
        return made
    return types_apart


CASES = [(name, kind, mode, level) for name in compilers.TOOLCHAINS for kind, mode, level in (
    ('P', 'dwarf', '-O2'), ('P', 'dwarf', '-O0'), ('p', 'btf', '-O2'))]


@pytest.mark.parametrize(('name', 'kind', 'mode', 'level'), CASES)
def test_arguments_at_entry(name, kind, mode, level, signature_program, types_apart, tmp_path):
    """P in programs; p as if it were a kernel, which on i386 is compiled with -mregparm=3 (arch/x86/Makefile)."""
    arch = surftrace.arch_named(name)
    program, functions = signature_program(name, level, *KERNEL[name == 'i386' and kind == 'p'])
    info = types_of(types_apart(program) if mode == 'btf' else program, mode, arch)
    here = surftrace.program_at(str(program))
    kernel = machine_of(info, program=lambda path: here)
    asked = [one for function in functions for one in resolve_in(kind, here, kernel, function)]
    addresses = sorted({one.address for one in asked})
    machines = machines_at(program, name, addresses, tmp_path)
    wrong = [f'{one.function.name} {one.text}: {one.field.fetches[0].text()} is {read(machines[one.address], one.field):#x}, not '
             f'{one.value:#x} in {[a.type for a in one.function.arguments]} -> {one.function.returns}'
             for one in asked if one.field and read(machines[one.address], one.field) != one.value]
    refused = collections.Counter(re.sub(r"'[^']*'|\d+", '', one.refusal) for one in asked if not one.field)
    print(f'{name} {mode} {level}: SURFTRACE_ORACLE_SEED={SEED}, {len(asked)} asked, {refused.total()} refused: {refused.most_common(8)}')
    assert not wrong, '\n'.join(wrong)
    plain = [one for one in asked if one.function.plain and not one.field]
    assert not plain, plain[0]


# ---- structs


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
@pytest.mark.parametrize('name', list(compilers.TOOLCHAINS))
def test_members_are_where_the_compiler_has_them(name, mode, compile_c, types_apart):
    """Each member gets a value in an object of its own, which lies in the file as it would in memory."""
    tools, arch = compilers.TOOLCHAINS[name], surftrace.arch_named(name)
    dice = signatures.Dice(SEED, arch.word, signed_char(compiler(name)))
    objects = {name_: dice.struct(name_) for name_ in signatures.STRUCTS if name_ != 's_none'}
    text = signatures.source([]) + ''.join(f'struct {name_} object_{name_} = {text};\nvoid take_{name_}(struct {name_} *p) {{}}\n'
                                           for name_, (text, _) in objects.items())
    program = compile_c(text, '-O1', *ALONE, *tools.flags, '-lgcc', *KERNEL[name == 'i386'], compiler=compiler(name))
    here = surftrace.program_at(str(program))
    info = types_of(types_apart(program) if mode == 'btf' else program, mode, arch)
    kernel = machine_of(info)
    compared = 0
    for name_, (_, leaves) in objects.items():
        symbol = here.executable.symbols(f'object_{name_}')[0]
        machine = Machine({arch.arguments[0]: 0x10000}, {0x10000: here.executable.bytes_at(symbol.address, symbol.size)}, arch.word,
                          arch.order, arch.stack_pointer)
        for path, value in leaves:
            probe = surftrace.parse_probe(f'p take_{name_} v=p->{path[1:]}')
            target = surftrace.locate(probe, kernel)[0]
            field = surftrace.Resolver(surftrace.Target(info, target.function, target.entry)).field(probe.args[0])
            assert read(machine, field) == value, f'{name_}{path}: {field.fetches[0].text()}'
            compared += 1
    assert compared > 30


# ---- USDT probes

USDT_ARGUMENTS = {'go': (-7, 0x123456789abc, -3, 65535, -12, -13, 5, -9, -6, -3), 'mem': (-4, -6, 77, None)}


@pytest.mark.parametrize('level', ['-O0', '-O2'])
@pytest.mark.parametrize('name', list(compilers.TOOLCHAINS))
def test_operands_of_usdt_probes(name, level, compile_c, tmp_path):
    """As the compiler writes them into <sys/sdt.h>'s assembler; an index register cannot be had, and is refused."""
    tools, arch = compilers.TOOLCHAINS[name], surftrace.arch_named(name)
    headers = [path.parent for path in Path('/usr/include').glob('**/sys/sdt.h')]
    if not headers:
        raise Unavailable('systemtap-sdt-dev is not installed')
    shutil.copytree(headers[0], tmp_path / 'sys', ignore=lambda folder, found: [one for one in found if not one.startswith('sdt')])
    program = compile_c(HERE / 'fixtures/usdt.c', '-ffreestanding', *ALONE, level, *tools.flags, '-I', str(tmp_path), '-lgcc',
                        compiler=compiler(name))
    here = surftrace.program_at(str(program))
    kernel = machine_of(here, program=lambda path: here)
    notes = {note.name: note for note in here.executable.usdt_notes()}
    machines = machines_at(program, name, [notes['go'].address, notes['mem'].address], tmp_path)
    refused = []
    for probe_name, values in USDT_ARGUMENTS.items():
        target = surftrace.locate(surftrace.parse_probe(f'u {program}:t:{probe_name}'), kernel)[0]
        assert target.place.endswith(f'({here.executable.offset_of(notes[probe_name].semaphore):#x})')
        for index, value in enumerate(values):
            resolver = surftrace.resolver_in(target)
            try:
                field = resolver.field(surftrace.parse_probe(f'u {program}:go v=%{index}').args[0])
            except surftrace.InputError:
                refused.append(target.operands[index])
                continue
            wanted = value if value is not None else here.executable.symbols('numbers')[0].address + 8
            text, machine = field.fetches[0].text(), machines[target.address]
            wanted = wanted if field.kind[0] == 's' else wanted & (1 << arch.bits) - 1
            if text.startswith('@+'):
                base = target.address - here.executable.offset_of(target.address)
                address = int(text[2:].split(':')[0], 16) + base
                machine = machine._replace(registers={'g': address}, memory={address: here.executable.bytes_at(address, width(field.kind) // 8)})
                text = f"+0(%g):{text.split(':')[1]}"
            assert machine.fetch(text) == wanted, f'{target.operands[index]} is not {text}'
    assert all(re.search(r',|GOTOFF|%lo', operand) for operand in refused), refused
    assert len(refused) <= 2


# ---- places in programs


@pytest.mark.parametrize('name', ['aarch64', 'arm', 'riscv64', 's390x', 'ppc64le'])
def test_instructions_begin_where_the_disassembler_has_them(name, signature_program):
    program, functions = signature_program(name, '-O2')
    executable = surftrace.Executable(str(program))
    objdump = compilers.TOOLCHAINS[name].compiler.replace('gcc', 'objdump')
    said = subprocess.run([objdump, '-dz', '--no-show-raw-insn', program], capture_output=True, text=True, check=True).stdout
    listed = {int(address, 16) for address in re.findall(r'^ +([0-9a-f]+):\t', said, re.M)}
    for function in functions:
        symbol = executable.symbols(function.name)[0]
        code = executable.bytes_at(symbol.address, symbol.size)
        ours = {found.address for found in surftrace.disassembled(code, symbol.address, executable.arch)}
        assert ours == {at for at in listed if symbol.address <= at < symbol.address + symbol.size}


def test_a_place_in_a_program_for_ppc64le_is_read_back(signature_program, capsys):
    """Callers in the same file come in behind the symbol: that is where the probe has to be, and it is still the entry."""
    program, functions = signature_program('ppc64le', '-O2')
    function = next(function for function in functions if function.plain)
    assert surftrace.main(['-S', f'P {program}:{function.name} a0']) == 0
    made = capsys.readouterr().out
    symbol = surftrace.Executable(str(program)).symbols(function.name)[0]
    assert symbol.entry == 8
    place = made.split()[1]
    assert surftrace.main(['-S', f'P {place} a0']) == 0
    assert capsys.readouterr().out == made


def test_thumb_code_is_refused(compile_c, capfd):
    flags = ('-mthumb', *ALONE)
    program = compile_c('int f(int a) { return a; } void _start(void) { f(1); for (;;) ; }', *flags, compiler=compiler('arm'))
    assert surftrace.main(['-S', f'P {program}:f a']) == 2
    assert 'Thumb' in capfd.readouterr().err
    address = surftrace.Executable(str(program)).symbols('f')[0].address
    assert address % 2 == 0


@pytest.mark.parametrize(('source', 'passed'), [
    ('struct none {}; extern "C" int f(none e, int x) { return x; }', 'f(none(), 5)'),
    ('struct c { int m(); }; extern "C" int f(int (c::*p)(), int x) { return x; }', 'f(0, 5)')])
def test_what_cpp_passes_in_no_register_or_in_two(source, passed, compile_c, capfd):
    """An empty class takes none, a pointer to a member function two: what comes after it is not where it would be in C."""
    need('g++')
    program = compile_c(f'{source} int main() {{ return {passed}; }}', '-g', '-O0', '-xc++', compiler='g++')
    assert surftrace.main(['-S', f'P {program}:f x']) == 2
    assert 'it comes after an argument whose place is not settled' in capfd.readouterr().err
