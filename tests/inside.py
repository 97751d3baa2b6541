"""What stands at an instruction, as surftrace and as gdb have it."""
from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers import need, types_of

import surftrace

HERE = Path(__file__).resolve().parent


@functools.lru_cache(None)
def info_of(path: str) -> surftrace.Module:
    return types_of(path, 'dwarf')


def field_of(info: surftrace.Module, spot: surftrace.Spot, text: str) -> surftrace.Field:
    """What an expression becomes at a place."""
    function = info.dwarf.function_here(spot)
    return surftrace.Resolver(surftrace.Target(info, function, False)).field(surftrace.parse_probe(f'p x v={text}').args[0])


def in_c(fetch: surftrace.Fetch, symbol: Callable[[str], int]) -> tuple[str, int]:
    """A fetch-arg as an expression for gdb, and how many bits it has."""
    bits = int(re.search(r'\d+$', fetch.kind)[0])
    base = fetch.base
    text = '(long)$rsp' if base == '$stack' else f'(long){base[1:]}' if base[0] == '\\' else hex(symbol(base[1:])) if base[0] == '@' else (
        f'(long)${base[1:]}' if base[2:].isdigit() else f'(long)$r{base[1:]}')
    for number, (offset, _) in enumerate(fetch.derefs, 1):
        last = {8: 'char', 16: 'short', 32: 'int', 64: 'long'}[bits] if number == len(fetch.derefs) else 'long'
        text = f'(long)*({last} *)({text} + {offset})'
    return text, bits


def answered_by_gdb(program: Path, questions: list[list[Any]], folder: Path, jump: str = '') -> list[list[Any]]:
    """See gdb_values.py."""
    need('gdb')
    (folder / 'questions').write_text(json.dumps(questions))
    run = subprocess.run(['gdb', '-nx', '-batch', '-x', HERE / 'gdb_values.py', program], capture_output=True, text=True,
                         env={**os.environ, 'SURFTRACE_VALUES': str(folder / 'questions'), 'SURFTRACE_JUMP': jump})
    assert 'Traceback' not in run.stderr, run.stderr
    return [json.loads(line[7:]) for line in run.stdout.splitlines() if line.startswith('ANSWER ')]
