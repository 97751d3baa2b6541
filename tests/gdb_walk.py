"""Runs inside gdb, never under pytest: a random walk over a kernel's types, by gdb's own reader of DWARF.

    GDB_WALK=ORDER gdb -nx -batch -ex 'file vmlinux' -x gdb_walk.py

ORDER is JSON: {"seed", "chains": for each function, "functions": [[symbol, address of its code], ...], "out": a file}.
For each function one line of JSON: its parameters with where gdb sees them at the first instruction, and chains from
them, as `p->a.b[1]->c`, each with the bit at which every pointer on its way is followed, and what lies at the end.
"""
import json
import os
import random
import re

import gdb

STEPS = 9                                    # a chain is no longer than this
STRUCTS = (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION)
NUMBERS = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_BOOL)


def plain(type_):
    """Without typedefs and qualifiers; a declaration becomes its definition."""
    return type_.strip_typedefs().unqualified().strip_typedefs()


def own_members(type_):
    """The members themselves; not what C++ has besides."""
    return [field for field in type_.fields() if hasattr(field, 'bitpos')]


def members(type_, start=0):
    """(name, bit, width or 0, type) of each member, those of anonymous structs and unions among them."""
    for field in own_members(type_):
        inner = plain(field.type)
        if field.name:
            yield field.name, start + field.bitpos, field.bitsize, inner
        elif inner.code in STRUCTS:
            yield from members(inner, start + field.bitpos)


def count_of(array):
    """How many elements an array has, 0 where its type does not say."""
    low, high = array.range()
    return high - low + 1 if array.sizeof else 0


def leaf(type_, width=0):
    """What lies at the end of a chain, in words of our own."""
    if type_.code in STRUCTS:
        inner = own_members(type_)
        single = len(inner) == 1 and not inner[0].bitsize and inner[0].type.sizeof == type_.sizeof
        return {'is': 'struct', 'only': leaf(plain(inner[0].type)) if single else None}
    if type_.code == gdb.TYPE_CODE_ARRAY:
        element = plain(type_.target())
        return {'is': 'text' if element.name == 'char' else 'array', 'count': count_of(type_), 'of': leaf(element)}
    found = {'size': type_.sizeof, 'width': width, 'signed': False}
    if type_.code in NUMBERS or type_.code == gdb.TYPE_CODE_ENUM:
        return {**found, 'is': 'enum' if type_.code == gdb.TYPE_CODE_ENUM else 'number', 'signed': type_.is_signed}
    if type_.code == gdb.TYPE_CODE_PTR:
        target = plain(type_.target())
        kind = 'code pointer' if target.code == gdb.TYPE_CODE_FUNC else 'text pointer' if target.name == 'char' else 'pointer'
        return {**found, 'is': kind}
    return {'is': 'other'}


def step(dice, type_, width):
    """One step on, or None: (how it is written, whether it follows a pointer, by how many bits on, type, width)."""
    if type_.code in STRUCTS:
        found = list(members(type_))
        bits = [member for member in found if member[2]]
        if not found:
            return None
        name, *rest = dice.choice(bits if bits and dice.random() < 0.5 else found)
        return '{}.' + name, False, rest[0], rest[2], rest[1]
    if width or type_.code not in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_PTR):
        return None
    target, pointer = plain(type_.target()), type_.code == gdb.TYPE_CODE_PTR
    if target.code in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC) or not target.sizeof:
        return None
    if pointer and target.code in STRUCTS and dice.random() < 0.85:
        inner = step(dice, target, 0)
        return inner and (inner[0].replace('{}.', '{}->'), True, *inner[2:])
    if pointer and dice.random() < 0.5:
        return '(*{})', True, 0, target, 0
    count = 8 if pointer else count_of(type_)
    index = dice.choice([0, count - 1, dice.randrange(count)]) if count else 0
    return f'{{}}[{index}]', pointer, 8 * index * target.sizeof, target, 0


def chain(dice, name, type_):
    """A chain that begins at a parameter: its text, where it leads, what is there."""
    text, path, width = name, [0] if type_.code in STRUCTS else [], 0       # a struct by value is its own place
    begins, nested = 'inside' if path else 'value', False
    for _ in range(dice.choice(range(STEPS + 1))):
        after = step(dice, type_, width)
        if not after:
            break
        nested = nested or type_.code == gdb.TYPE_CODE_ARRAY and plain(type_.target()).code == gdb.TYPE_CODE_ARRAY
        form, follows, bit, type_, width = after
        text = form.format(text)
        path = [*path, bit] if follows else [*path[:-1], path[-1] + bit]
    return {'text': text, 'begins': begins, 'path': path, 'leaf': leaf(type_, width), 'type': str(type_), 'nested': nested}


def at_entry(place, address):
    """What gdb says of a place in a function, of several ranges the one that its first instruction is in."""
    ranges = re.split(r'Range (0x\w+)-(0x\w+): ', place)
    for start, end, text in zip(ranges[1::3], ranges[2::3], ranges[3::3]):
        if int(start, 16) == address or int(start, 16) <= address < int(end, 16):
            return text.strip()
    return place.strip() if len(ranges) == 1 else ''


def parameters(symbol, address):
    """(name, place, symbol) of each parameter of the function whose code begins there; [] if gdb knows it not."""
    block = gdb.block_for_pc(address)
    while block and not (block.function and block.superblock.is_static):
        block = block.superblock
    if not block or block.function.name != symbol.split('.')[0]:
        return []
    try:
        scope = gdb.execute(f'info scope *{address:#x}', to_string=True)
    except gdb.error:                        # it takes another symbol of the scope for damaged
        scope = ''
    places = dict(re.findall(r'^Symbol (\S+) is (.*?)(?:, length \d+)?\.$', scope, re.M | re.S))
    return [(p.name, at_entry(places.get(p.name, ''), address), p) for p in block if p.is_argument]


def walk(order):
    """All that was ordered."""
    dice = random.Random(order['seed'])
    with open(order['out'], 'w') as out:
        for symbol, address in order['functions']:
            found = [(name, place, plain(p.type)) for name, place, p in parameters(symbol, address)]
            worth = [1 if step(dice, type_, 0) is None else 6 for _, _, type_ in found]      # a number leads nowhere
            chosen = dice.choices(found, worth, k=order['chains']) if found else []
            chains = {row['text']: row for row in (chain(dice, name, type_) for name, _, type_ in chosen)}
            print(json.dumps({'function': symbol, 'chains': list(chains.values()),
                              'parameters': [[name, place, leaf(type_)] for name, place, type_ in found]}), file=out)


gdb.execute('set complaints 0')
walk(json.loads(os.environ['GDB_WALK']))
