"""What is behind pointers: any chain of any kind shows the value, or that there is none, and a filter takes only what is there.

The machine is imitated (see imitation.py): what cannot be read is whatever makes it look right."""
from __future__ import annotations

import operator
import re
from fnmatch import fnmatchcase
from random import Random
from typing import Union

import pytest
from helpers import KERNEL, events_of
from imitation import Machine, is_string, number, passes, printed, record

from surftrace import Decoder, Event, Fetch, make_events, parse_probe, visible

HEAP, USER = 0xffff888000000000, 0x7f0000000000
OBJECTS, SLOTS = 12, 16
NOTHING = [0, 8, 4095, (1 << 64) - 12, 0xc141414141414141, 1 << 63]        # no address of either space
STRINGS = ('string', 'ustring', 'string[2]', '%pd', 'symstr')
KINDS = (*STRINGS, 'u8', 's16', 'x32', 's64', 'b5@3/16', 'x64', 'symbol', 'x8[3]', 'u32[2]')


def some_machine(random: Random) -> Machine:
    """Objects of the kernel and of a program, full of pointers to each other, of text and of what is neither."""
    def slot() -> bytes:
        text = bytes(random.choice(b'abc') for _ in range(random.randint(0, 6)))
        return (text + b'\0').ljust(8, b'\xc1') if random.random() < 0.3 else pointer().to_bytes(8, 'little')

    def pointer() -> int:
        space = random.choices([HEAP, USER, 0], [6, 3, 2])[0]
        return space + 0x1000 * random.randrange(1, OBJECTS) + 8 * random.randrange(4) if space else random.choice(NOTHING)
    memory = {space + 0x1000 * i: b''.join(slot() for _ in range(SLOTS)) + bytes(64) for space in (HEAP, USER) for i in range(1, OBJECTS)}
    return Machine({name: pointer() for name in ('di', 'si')} | {'sp': HEAP + 0x1000}, memory, old=random.choice([b'ab', b'b', b'']))


def some_fetch(random: Random, kind: str) -> str:
    """A fetch-arg: up to three dereferences from a register, the stack or a fixed address."""
    text = random.choice(['%di', '%di', '%si', '$stack', '$stack2', f'@{HEAP + 0x1000:#x}'])
    numbers = kind.endswith(']') and kind not in STRINGS
    if kind == 'symstr':
        text = random.choice(['%di', '%si'])
    for left in reversed(range(random.randint(1, 3))):
        if random.random() < 0.9 or not left:
            text = f"+{'u' if random.random() < 0.3 and not (numbers and not left) else ''}{8 * random.randrange(5)}({text})"
    return f'{text}:{kind}'


def truth(machine: Machine, fetch: Fetch) -> Union[bytes, None]:
    """What is there, as it is to be shown; the walk stops at the first pointer that is none of its space."""
    value = machine._word(fetch.base) if fetch.base[0] != '@' else None
    steps = list(fetch.derefs)
    if value is None:
        value = int(fetch.base[1:], 16)
    fixed = fetch.base[0] == '@' or fetch.base == '$stack'
    plain = fetch.kind in ('string', 'ustring')
    steps += [(40, False), (0, False)] if fetch.kind == '%pd' else []
    for index, (offset, user) in enumerate(steps):
        last = index == len(steps) - 1
        if not (fixed and index == 0) and not (fetch.kind == '%pd' and last):
            if value < 4096:
                return b'(null)'
            low, high = (USER, USER + 0x100000) if user else (HEAP, HEAP + 0x100000)
            if not low <= value < high and not (plain and last):
                return b'(fault)'
        if not last:
            value = int.from_bytes(machine.read(value + offset, 8), 'little')
    return visible(printed(fetch.kind, machine.fetch(fetch.text())))


def event_of(line: str) -> Event:
    event, = events_of(KERNEL._replace(seal=0x5ea15ea1), line)
    return event


def stored(event: Event, machine: Machine) -> list:
    """The record that the kernel makes of the event."""
    definition = event.definitions[0]
    return [(name, fetch.kind or 'string', machine.fetch(fetch.text())) for name, fetch in (*definition.args, *definition.unseen)]


@pytest.mark.parametrize('kind', KINDS)
def test_a_value_behind_pointers_is_the_one_there_or_said_not_to_be(kind: str) -> None:
    seen = []
    for seed in range(100):
        random = Random(f'{kind} {seed}')
        machine = some_machine(random)
        kinds = [kind, random.choice(KINDS), 'string']
        event = event_of('p f ' + ' '.join(f'v{i}={some_fetch(random, each)}' for i, each in enumerate(kinds)))
        wanted = [truth(machine, fetch) for _, fetch in event.definitions[0].args]
        line = Decoder([event]).block(record(event.name, stored(event, machine)))
        pattern = rb'v0=(.*?) v1=(.*?) v2=(.*)\n$'
        assert b'not decoded' in line or list(re.search(pattern, line, re.S).groups()) == wanted, (seed, event.lines(), line)
        seen.append(wanted[0])
    assert seen.count(b'(null)') > 3 and len(set(seen)) > 3 and (seen.count(b'(fault)') > 3 or kind == 'symstr'), set(seen)


OPERATORS = {'==': operator.eq, '!=': operator.ne, '<': operator.lt, '~': fnmatchcase}


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind[-1] != ']'])
def test_a_filter_takes_a_value_behind_pointers_only_where_there_is_one(kind: str) -> None:
    results = []
    for seed in range(200):
        random = Random(f'{kind} {seed}')
        machine = some_machine(random)
        line = f'p f v={some_fetch(random, kind)} w={some_fetch(random, "string")} c=$comm'
        fetch = event_of(line).definitions[0].args[0][1]
        there, have = truth(machine, fetch), machine.fetch(fetch.text())
        there = there not in (b'(null)', b'(fault)')
        text = random.choice(['ab', 'b', 'bash', '*', 'a*', *([have.decode('latin-1')] if there and is_string(kind) else [])])
        op = random.choice(['==', '!=', '~'] if is_string(kind) else ['==', '!=', '<'])
        plain = have if isinstance(have, int) else number(kind, bytes(8)) if not is_string(kind) else 0
        want = text if is_string(kind) else plain
        if is_string(kind) and not re.fullmatch('[ -!#-~]*', text) or isinstance(want, int) and op == '<' and want < 0:
            continue
        event = event_of(f'{line} f:' + random.choice(['{}', '!(!({}))', 'c==x||{}']).format(f'v{op}"{want}"' if is_string(kind) else f'v{op}{want}'))
        negated = event_of(f'{line} f:!(' + (f'v{op}"{want}")' if is_string(kind) else f'v{op}{want})'))
        values = {name: (kind_, value) for name, kind_, value in stored(event, machine)}
        true = OPERATORS[op](have.decode('latin-1') if is_string(kind) else have, want) if there else None
        assert passes(event.filter, values) == (true is True), (seed, event.lines(), event.filter, values)
        assert passes(negated.filter, values) == (true is False), (seed, negated.lines(), negated.filter, values)
        results.append(true)
    assert min(map(results.count, (True, False, None))) > 2, results


@pytest.mark.parametrize('first, second', [('+8(%di)', '+u8(%di)'), ('+u8(%di)', '+8(%di)'), ('+8(%di)', '+u8(+8(%di))')])
def test_at_each_of_several_places_the_pointers_are_those_of_its_own_memory(first: str, second: str) -> None:
    """A kernel's address is no user's, in one event too."""
    event, = make_events([parse_probe(f'p:x f{at} v={fetch}:u32') for at, fetch in (('', first), ('+4', second))], KERNEL)
    for definition in event.definitions:
        known = {name: fetch.text() for name, fetch in definition.unseen}
        for pointer, space in definition.args[0][1].pointers():
            guards = [guard for guard in event.fields[0].guards if known[guard.name] == f'{pointer.text()}:x64']
            for value, good in ((HEAP, space == 'kernel'), (USER, space == 'user'), (0, False)):
                assert guards and (not any(guard.verdict(value) for guard in guards)) == good, (definition, pointer, value)
        others = [guard for guard in event.fields[0].guards if known[guard.name].startswith('\\')]
        assert not any(guard.verdict(int(known[guard.name][1:].split(':')[0])) for guard in others)
