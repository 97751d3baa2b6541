#!/usr/bin/env python3
"""Another surftrace.py against this one: what -S, -L, -F and -l print for random functions, parameters, members and lines
must be the same, or the difference explained in the commit. For whoever changes the program without changing what it does.

    python3 tests/same.py OLD/surftrace.py [-n LINES] [-s SEED] FILE...

A FILE is a vmlinux, a BTF file or a program; a vmlinux is asked as DWARF and as BTF. Prints each difference and a count;
the exit status is 1 where there is any."""
from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

NEW = Path(__file__).resolve().parents[1] / 'surftrace.py'
DEEPEST = 4                                             # members in one another


def loaded(path: Path, name: str) -> ModuleType:
    """A surftrace.py as a module of that name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def shower(module: ModuleType, file: str, mode: str) -> Callable[[str], str]:
    """What -S says of a line, its refusal behind a '!'; the file is opened once."""
    options = module.arguments().parse_args(['-S', '-v', file, '-m', mode] if mode else ['-S'])
    notes: list[str] = []
    info = module.debug_info(options, bool(mode))
    machine = getattr(module, 'Machine', None) or module.Kernel                     # its name in files of before
    kernel = machine(info, notes.append, program=functools.lru_cache(None)(functools.partial(module.find_program, options, not mode)))

    def show(line: str) -> str:
        notes.clear()
        try:
            probe = module.parse_probe(line)
            events = module.make_events([probe if hasattr(probe, 'source') else (probe, '')], kernel)     # as it was once
        except module.SurftraceError as error:
            return '!' + str(getattr(error, 'message', error))
        return '\n'.join([each for event in events for each in event.lines()] + sorted(f'note: {note}' for note in notes))
    return show


def printed(module: ModuleType, arguments: list[str]) -> str:
    """What a whole command prints, and its exit status."""
    out, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    kept = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    for file, descriptor in ((out, 1), (errors, 2)):
        os.dup2(file.fileno(), descriptor)
    try:
        status = module.main(arguments)
        sys.stdout.flush()
    finally:
        for descriptor, number in zip(kept, (1, 2)):
            os.dup2(descriptor, number)
            os.close(descriptor)
    texts = []
    for file in (out, errors):
        file.seek(0)
        texts.append(file.read().decode(errors='replace'))
        file.close()
    return f'{texts[0]}{texts[1]}exit {status}'


def functions_of(file: str) -> list[str]:
    """The names of functions in the symbol table, one of several that are alike left out."""
    from elftools.elf.elffile import ELFFile
    with open(file, 'rb') as stream:
        table = ELFFile(stream).get_section_by_name('.symtab')
        names = [symbol.name for symbol in table.iter_symbols() if symbol['st_info']['type'] == 'STT_FUNC'] if table else []
    return sorted({name for name in names if re.fullmatch(r'[A-Za-z_][\w.]*', name)})


def chains(module: ModuleType, file: str, mode: str, name: str, chance: random.Random) -> Iterator[str]:
    """The parameters of a function, with random members behind them, as the given surftrace knows them."""
    info = infos(module, file, mode)
    with contextlib.suppress(module.SurftraceError):
        function = info.function(name)
        for number, parameter in enumerate(function.parameters if function else ()):
            text = chance.choice([f'%{number}', parameter.name or f'%{number}'])
            yield text
            yield text + walk(module, parameter.type(), chance)


KNOWN: dict[tuple[str, str], object] = {}


def infos(module: ModuleType, file: str, mode: str) -> object:
    """The types of a file by the given surftrace."""
    if (file, mode) not in KNOWN:
        if mode:
            KNOWN[file, mode] = module.given_debug_info(file, mode, None, module.arch_named('x86_64'))
        else:
            KNOWN[file, mode] = module.program_at(file)
    return KNOWN[file, mode]


def walk(module: ModuleType, type_: object, chance: random.Random) -> str:
    """'->a.b[1]' by chance."""
    text = ''
    for _ in range(chance.randint(1, DEEPEST)):
        if isinstance(type_, module.Array):
            text, type_ = f'{text}[{chance.randint(0, 2)}]', type_.element()
            continue
        arrow = isinstance(type_, module.Pointer)
        type_ = type_.target() if arrow else type_
        if not isinstance(type_, module.Struct) or type_.size is None or not (names := module.member_names(type_)):
            break
        name = chance.choice(names)
        text, type_ = f"{text}{'->' if arrow else '.'}{name}", module.find_member(type_, name).type()
    return text


def main() -> int:
    """Every line to both."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('old', type=Path)
    parser.add_argument('files', nargs='+')
    parser.add_argument('-n', type=int, default=300, help='functions for each file')
    parser.add_argument('-s', type=int, default=random.randrange(1 << 16), help='seed')
    options = parser.parse_args()
    old, new, asked, different = loaded(options.old, 'surftrace_old'), loaded(NEW, 'surftrace'), 0, 0
    print(f'seed {options.s}')
    for file, mode, line in questions(old, options.files, options.n, random.Random(options.s)):
        asked += 1
        answers = [answer(module, file, mode, line) for module in (old, new)]
        if answers[0] != answers[1]:
            different += 1
            print(f'== {file} {mode}: {line}\n-- old\n{answers[0]}\n-- new\n{answers[1]}', flush=True)
    print(f'{asked} asked, {different} different')
    return int(different > 0)


SHOWERS: dict[tuple[str, str, str], Callable[[str], str]] = {}


def answer(module: ModuleType, file: str, mode: str, line: str) -> str:
    """The answer to a line of -S, or to a command that begins with a dash."""
    if line.startswith('-'):
        option, what = line.split(' ', 1)
        return printed(module, ['-v', file, '-m', mode, option, what] if mode else [option, what])
    key = module.__name__, file, mode
    if key not in SHOWERS:
        SHOWERS[key] = shower(module, file, mode)
    return SHOWERS[key](line)


def questions(old: ModuleType, files: list[str], count: int, chance: random.Random) -> Iterator[tuple[str, str, str]]:
    """(file, mode, line) by chance."""
    for file in files:
        names = functions_of(file)
        has = old.Executable(file).sections
        modes = [mode for mode, section in (('dwarf', '.debug_info'), ('btf', '.BTF')) if section in has]
        modes = modes if 'vmlinux' in Path(file).name else ['']
        for mode in modes:
            place, kinds = ('{}' if mode else f'{file}:{{}}'), 'ppppr' if mode else 'PPPPR'
            for name in chance.sample(names, min(count, len(names))):
                for chain in [*chains(old, file, mode, name, chance), '$comm']:
                    kind = chance.choice(kinds)
                    yield file, mode, f'{kind} {place.format(name)} {chain}'
                yield file, mode, f'{kinds[0]} {place.format(name)}+{chance.randrange(64)} %1'
            for name in chance.sample(names, min(count // 30 + 1, len(names))):
                yield file, mode, f'-F {place.format(name)}'
                yield file, mode, f'-l {place.format(name)}'
                yield file, mode, f'-L {kinds[0]} {place.format(name)}'
                yield file, mode, f'-l {place.format(name)}:{chance.randrange(1, 20)}'
        print(f'{file}: {modes}', flush=True)


if __name__ == '__main__':
    sys.exit(main())
