"""Run inside gdb: stops where it is told, and says for each variable what gdb reads and what a fetch-arg would.

    gdb -batch -x gdb_values.py PROGRAM     with SURFTRACE_VALUES=FILE, a JSON list of [address, function, name, fetch, bits]

Prints one JSON list a question: [address, function, name, fetch, gdb's value or null where it has none, the fetch-arg's], and with
SURFTRACE_JUMP set, whether gdb has a value of whatever type. There the program does not run: it is made to stand at each address, with
a stack and registers of random contents.
"""
from __future__ import annotations

import json
import os
import random

import gdb

HITS = 3        # stops at one address


def variable(address: int, function: str, name: str) -> gdb.Value | None:
    """The variable of that name in the innermost copy of the function there, as gdb has it."""
    block, own = gdb.block_for_pc(address), []
    while block is not None and not block.is_static:
        own.append(block)
        if block.function is not None:
            if block.function.name == function:
                break
            own = []
        block = block.superblock
    for inner in own:
        for symbol in inner:
            if symbol.name == name and (symbol.is_variable or symbol.is_argument):
                value = symbol.value(gdb.selected_frame()) if symbol.needs_frame else symbol.value()
                return None if value.is_optimized_out else value
    return None


def number(value: gdb.Value | None, bits: int) -> int | None:
    """Its bits as an unsigned number."""
    try:
        if value is None or value.type.strip_typedefs().code == gdb.TYPE_CODE_FLT:
            return None
        return int(value.cast(gdb.lookup_type('long'))) & (1 << bits) - 1
    except gdb.error:
        return None


def fetched(expression: str, bits: int) -> int | None:
    try:
        return int(gdb.parse_and_eval(expression)) & (1 << bits) - 1
    except gdb.error:
        return None


def jump(questions: list) -> None:
    """Ask everything of a program that has only begun."""
    gdb.execute('start', to_string=True)
    dice, base = random.Random(1), int(gdb.parse_and_eval('(long)$rsp')) - 65536
    gdb.selected_inferior().write_memory(base, dice.randbytes(32768))
    for place, register in enumerate('rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15 rsp'.split()):
        gdb.execute(f'set ${register} = {base + 1024 + 1504 * place}', to_string=True)
    for address, function, name, text, expression, bits in questions:
        gdb.execute(f'set $pc = {address}', to_string=True)
        value = variable(address, function, name)
        answer = [number(value, bits), fetched(expression, bits), value is not None]
        print('ANSWER', json.dumps([address, function, name, text, *answer]))
    gdb.execute('kill')


def main() -> None:
    with open(os.environ['SURFTRACE_VALUES']) as file:
        questions = json.load(file)
    if os.environ.get('SURFTRACE_JUMP'):
        jump(questions)
        return
    by_address: dict[int, list] = {}
    for question in questions:
        by_address.setdefault(question[0], []).append(question)
    stops = {address: gdb.Breakpoint(f'*{address:#x}') for address in by_address}
    hits = dict.fromkeys(stops, 0)
    gdb.execute('run', to_string=True)
    while gdb.selected_inferior().threads():
        pc = int(gdb.parse_and_eval('(long)$pc')) & (1 << 64) - 1
        for address, function, name, text, expression, bits in by_address.get(pc, []):
            value = number(variable(address, function, name), bits)
            print('ANSWER', json.dumps([address, function, name, text, value, fetched(expression, bits)]))
        hits[pc] = hits.get(pc, 0) + 1
        if hits[pc] >= HITS and pc in stops:
            stops.pop(pc).delete()
        gdb.execute('continue', to_string=True)


gdb.execute('set pagination off')
gdb.execute('set confirm off')
main()
