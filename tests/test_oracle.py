"""Random walks over real kernels, to be told by others: gdb and pahole where members are, gdb and perf where parameters.

The walk is gdb's (gdb_walk.py): hundreds of functions, thousands of chains of members, each with the bits that gdb has
between pointers. Surftrace resolves the same text, with DWARF and with BTF, and what the kernel would be told to read
has to be that. A walk is repeated with its seed, which is printed: SURFTRACE_ORACLE_SEED=7 walks another way, and
SURFTRACE_ORACLE_SCALE=10 ten times as far.
"""
from __future__ import annotations

import collections
import functools
import io
import json
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

import kernels
import pytest
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
from helpers import AMD64, GDB_REGISTERS, SCALE, SEED, WALKS, machine_of, need, types_of, vmlinux

import surftrace

HERE = Path(__file__).resolve().parent


class Answer(NamedTuple):
    """What the kernel is told to read: from a register (or $stack) on, at which bit of each object a pointer leads to;
    as what; how wide if it is a bit-field, and whether that is signed."""
    base: str
    bits: tuple[int, ...]
    kind: str
    width: int = 0
    signed: bool = False


class Refusal(NamedTuple):
    """Why surftrace does not."""
    message: str


# surftrace's side


@functools.lru_cache(None)
def surftrace_kernel(label: str, mode: str) -> surftrace.Machine:
    """A kernel as -v VMLINUX -m MODE gives it."""
    info = types_of(vmlinux(label), mode)
    return machine_of(info)


@functools.lru_cache(None)
def target(label: str, mode: str, function: str) -> surftrace.Target:
    """The place `p FUNCTION`."""
    return surftrace.locate(surftrace.parse_probe(f'p {function}'), surftrace_kernel(label, mode)._replace(note=str))[0]


def asked(label: str, mode: str, function: str, text: str) -> Union[Answer, Refusal]:
    """What surftrace makes of `p FUNCTION v=TEXT`; anything but an answer or a refusal is a bug."""
    try:
        probe = surftrace.parse_probe(f'p {function} v={text}')
        place = target(label, mode, function)
        field = surftrace.Resolver(surftrace.Target(surftrace_kernel(label, mode).kernel, place.function, place.entry)).field(probe.args[0])
    except surftrace.SurftraceError as error:
        assert str(error).strip(), f'{function} {text}: refused without a word'
        return Refusal(str(error).split('\n')[0])
    if field.format and field.format.word.startswith('{'):
        return Refusal('a struct, shown by its members')
    assert len(field.fetches) == 1
    return understood(field.fetches[0].text(), bool(field.format) and field.format.word.startswith('S('))


def understood(text: str, signed: bool = False) -> Answer:
    """A fetch-arg as Documentation/trace/kprobetrace.rst has it; a bit-field's place counted from its struct's begin."""
    text, _, kind = text.rpartition(':')
    offsets: list[int] = []
    while match := re.fullmatch(r'([-+]\d+)\((.*)\)', text):
        offsets.insert(0, int(match[1]))
        text = match[2]
    bits = [8 * offset for offset in offsets]
    match = re.fullmatch(r'b(\d+)@(\d+)/(8|16|32|64)', kind)
    if not match:
        return Answer(text, tuple(bits), kind)
    width, shift, container = map(int, match.groups())
    assert width + shift <= container, f'{text}:{kind} is beyond its container'
    return Answer(text, (*bits[:-1], (bits or [0])[-1] + shift), 'bits', width, signed)


# gdb's side


@functools.lru_cache(None)
def functions(label: str) -> list[tuple[str, int]]:
    """The functions that have their name for themselves, and where their code begins: on arm64 behind ftrace's no-ops."""
    need('nm')
    listed = subprocess.run(['nm', kernels.kernel(label) / 'vmlinux'], capture_output=True, text=True, check=True).stdout
    found = [(name, int(address, 16)) for address, name in re.findall(r'^(\w+) [tT] (\S+)$', listed, re.M)]
    count = collections.Counter(name for name, _ in found)
    return sorted((name, address + (8 if 'arm64' in label else 0)) for name, address in found
                  if count[name] == 1 and not re.match(r'__pfx_|__kvm_nvhe|__efistub|_R|\$', name) and '.cold' not in name)


def some_functions(label: str, count: int) -> list[tuple[str, int]]:
    """As many of them, or SCALE times as many, by SEED."""
    print(f'{label}: SURFTRACE_ORACLE_SEED={SEED}')
    listed = functions(label)
    return random.Random(SEED).sample(listed, min(int(SCALE * count), len(listed)))


@pytest.fixture(scope='module')
def walk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, Any]]]:
    """walk(LABEL): what gdb says of some of that kernel's functions; one run of gdb."""
    @functools.lru_cache(None)
    def walk(label: str) -> list[dict[str, Any]]:
        need('gdb')
        vmlinux, out = kernels.kernel(label) / 'vmlinux', tmp_path_factory.mktemp('walk') / 'out.json'
        count, chains = WALKS[label]
        chosen = some_functions(label, count)
        order = json.dumps({'seed': SEED, 'chains': chains, 'functions': chosen, 'out': str(out)})
        run = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'set architecture i386:x86-64', '-ex', f'file {vmlinux}',
                              '-x', HERE / 'gdb_walk.py'], capture_output=True, text=True, env={**os.environ, 'GDB_WALK': order})
        assert 'Traceback' not in run.stderr and out.exists(), run.stderr
        return [json.loads(line) for line in out.read_text().splitlines()]
    return walk


class Start(NamedTuple):
    """Where a chain begins: a register, or one after the other with 8 bytes each; or $stack and a bit from there."""
    bases: tuple[str, ...]
    bits: tuple[int, ...] = ()


def begin(label: str, place: str) -> Optional[Start]:
    """gdb's word of where a parameter is, as surftrace would begin to read it. None where gdb has it nowhere, or computed;
    or in a register that holds no argument: gcc could not follow it, and that is where it will be later."""
    arch = surftrace_kernel(label, 'dwarf').kernel.arch
    piece = r'a variable in \$(\w+)(?: \[8-byte piece\])?'
    if re.fullmatch(f'{piece}(?:, and {piece})*', place):
        names = [arch.dwarf.get(GDB_REGISTERS.index(name), '') for name in re.findall(r'\$(\w+)', place)]
        return Start(tuple(f'%{name}' for name in names)) if set(names) <= set(arch.arguments) else None
    frame = re.fullmatch(r'a complex DWARF expression:\s+0: DW_OP_fbreg (\d+)', place)
    if frame:                                # from where the stack pointer was before the call; x86 pushes 8 bytes
        return Start(('$stack',), (8 * (int(frame[1]) + (8 if arch == AMD64 else 0)),))
    return None


def number(leaf: dict[str, Any]) -> Optional[str]:
    """The fetch type of a scalar, None where there is none; README, What a type becomes."""
    while leaf['is'] == 'struct' and leaf['only']:
        leaf = leaf['only']
    if leaf.get('size') not in (1, 2, 4, 8):
        return None
    letter = 'x' if leaf['is'].endswith('pointer') else 's' if leaf['signed'] else 'u'
    return f"{letter}{8 * leaf['size']}"


def expected(start: Start, chain: dict[str, Any]) -> Optional[Answer]:
    """What surftrace should say of a chain that begins there, by what gdb said; None if it should refuse."""
    leaf, bits, base = chain['leaf'], start.bits, start.bases[0]
    first, *rest = chain['path'] or [0]
    if chain['begins'] == 'value':
        bits = (*bits, *chain['path'])
    elif bits:                                                              # a struct by value, on the stack
        bits = (bits[0] + first, *rest)
    else:                                                                   # ... in registers
        base, first, bits = start.bases[min(first // 64, len(start.bases) - 1)], first % 64, tuple(rest)
        width = leaf.get('width') or first and 8 * leaf.get('size', 0)
        if not rest and width:
            return Answer(base, (first,), 'bits', width, leaf['signed'])
    if leaf.get('width'):
        return Answer(base, bits, 'bits', leaf['width'], leaf['signed'] and leaf['is'] == 'number')
    if leaf['is'] == 'text':
        return Answer(base, bits, 'string')
    if leaf['is'] == 'text pointer':
        return Answer(base, (*bits, 0), 'string')
    if leaf['is'] == 'code pointer':
        return Answer(base, bits, 'symbol')
    if leaf['is'] == 'array':
        element = number(leaf['of'])
        return Answer(base, bits, f"{element}[{leaf['count']}]") if element and 0 < leaf['count'] <= 64 else None
    kind = number(leaf)
    return Answer(base, bits, kind) if kind else None


# the comparison


# Refusals that are right though gdb has an answer.
EXPLAINED = {
    'both': {
        'a name with several definitions': r'is defined differently in|has several definitions',
        'a declaration without a definition': r'is declared, but defined nowhere',
    },
    'dwarf': {},
    'btf': {
        "a compiler's copy": r'the compiler changed the parameters of this copy',
        'two functions of that name': r'BTF has two functions of that name',
        'no function of that name in BTF': r'no debug information for this function',
        'the prototype of a weak function of that name': r'has no parameter',
    },
}


class Comparison(NamedTuple):
    """Disagreements in words, and how many chains there were of each kind, or refused for each reason."""
    wrong: list[str]
    count: collections.Counter[str]

    @property
    def compared(self) -> int:
        """How many were answered."""
        return sum(number for kind, number in self.count.items() if not kind.startswith('refused'))


def compare(label: str, mode: str, rows: list[dict[str, Any]]) -> Comparison:
    """Ask surftrace for every chain."""
    result = Comparison([], collections.Counter())
    for row in rows:
        places = {name: begin(label, place) for name, place, _ in row['parameters']}
        for chain in row['chains']:
            start = places[re.findall(r'\w+', chain['text'])[0]]
            kind, complaint = verdict(mode, start, chain, asked(label, mode, row['function'], chain['text']))
            if mode == 'btf' and chain['nested']:        # there surftrace can only believe BTF
                kind, complaint = 'refused: an array of arrays', ''
            result.count[kind] += 1
            result.wrong.extend([f"p {row['function']} v={chain['text']} ({chain['type']}): {complaint}"] * bool(complaint))
    return result


def verdict(mode: str, start: Optional[Start], chain: dict[str, Any], answer: Union[Answer, Refusal]) -> tuple[str, str]:
    """(what kind of chain it was, what is wrong with the answer). Where gdb does not know the parameter's place, only what
    follows from there on is compared."""
    wanted = expected(start or Start(('?',)), chain)
    if isinstance(answer, Refusal):
        reasons = {**EXPLAINED['both'], **EXPLAINED[mode]}
        reasons |= {} if start else {'no place at entry': r'is not available here|of this copy, DWARF does not tell'}
        reason = next((word for word, pattern in reasons.items() if re.search(pattern, answer.message)), '')
        reason = reason or ('no single value' if wanted is None else '')
        return f'refused: {reason}', '' if reason else f'refused: {answer.message}'
    if start is None and wanted:
        if chain['begins'] == 'inside' and len(chain['path']) == 1:
            return 'of a struct by value, its place unknown', ''
        answer = answer._replace(base='?', bits=answer.bits[len(answer.bits) - len(wanted.bits):])
    kind = re.sub(r'\d+$', '', wanted.kind) if wanted else 'nothing'
    return kind, '' if answer == wanted else f'surftrace has {answer}, gdb {wanted}'


# the tests


Walk = Callable[[str], 'list[dict[str, Any]]']


def told(result: Comparison) -> str:
    """What a failure shows."""
    return f'SURFTRACE_ORACLE_SEED={SEED}: {len(result.wrong)} wrong, as\n  ' + '\n  '.join(result.wrong[:20])


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
@pytest.mark.parametrize('label', WALKS)
def test_every_chain_of_a_walk_is_what_gdb_says(walk: Walk, label: str, mode: str) -> None:
    """Offsets, widths, signs, bit-fields' places, the register the chain begins in; or a refusal that has a reason."""
    result = compare(label, mode, walk(label))
    print(f'{label} {mode}: {result.compared} compared; {dict(result.count)}')
    assert not result.wrong, told(result)
    assert result.compared > 0.6 * sum(result.count.values())
    if label == '6.1-amd64' and SCALE >= 1:
        assert sum(result.count.values()) >= 1300
        few = [kind for kind, least in {'u': 300, 's': 100, 'x': 100, 'bits': 150, 'symbol': 50, 'string': 5}.items()
               if result.count[kind] < least]
        assert not few, f'a walk that meets too few of {few}: {result.count}'


def wrong_members(change: Callable[[surftrace.Member], surftrace.Member]) -> Callable[..., Optional[surftrace.Member]]:
    """surftrace.find_member with a defect."""
    right = surftrace.find_member

    def find_member(struct: surftrace.Struct, name: str) -> Optional[surftrace.Member]:
        found = right(struct, name)
        return found and change(found)
    return find_member


def other_sign(member: surftrace.Member) -> surftrace.Member:
    """The member with its sign turned, where it has one."""
    type_ = member.type()
    if isinstance(type_, surftrace.Int):
        return member._replace(written=lambda: type_._replace(signed=not type_.signed))
    return member


DEFECTS = {
    'each member a byte on': lambda member: member._replace(bit=member.bit + 8),
    'each bit-field a bit on': lambda member: member._replace(bit=member.bit + bool(member.width)),
    'each bit-field a bit wider': lambda member: member._replace(width=member.width and member.width + 1),
    'each number of the other sign': other_sign,
}


@pytest.mark.parametrize('defect', DEFECTS)
def test_the_comparison_would_find(walk: Walk, monkeypatch: pytest.MonkeyPatch, defect: str) -> None:
    """A test that cannot fail proves nothing: with a defect put in, what can show it does."""
    rows = walk('6.1-amd64')[:60]
    monkeypatch.setattr(surftrace, 'find_member', wrong_members(DEFECTS[defect]))
    assert len(compare('6.1-amd64', 'btf', rows).wrong) >= 10


def test_the_comparison_would_find_a_wrong_register(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for where a chain begins."""
    right = surftrace.convention
    monkeypatch.setattr(surftrace, 'convention', lambda arch, function: right(arch, function)[::-1])
    assert len(compare('6.1-amd64', 'btf', walk('6.1-amd64')[:60]).wrong) >= 10


def impossible(chain: dict[str, Any]) -> Iterator[str]:
    """What nobody can mean, made of a chain by what gdb says is at its end."""
    text, leaf = chain['text'], chain['leaf']
    yield f'{text}->no_such_member'
    yield f'{text}.no_such_member'
    if leaf['is'] in ('array', 'text') and leaf['count']:
        yield f"{text}[{leaf['count']}]"
    if leaf.get('width'):
        yield from (f'&{text}', f'*{text}', f'{text}[0]', f'{text}:u8')
    if leaf['is'] in ('number', 'enum'):
        yield from (f'*{text}', f'{text}[0]')
        if leaf['size'] < 8:                 # an unsigned long may well be an address
            yield f'{text}:x64[2]'
    if leaf['is'] == 'struct':
        yield from (f'*{text}', f'{text}[0]')


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
def test_what_c_would_not_compile_is_refused(walk: Walk, mode: str) -> None:
    """A member that is not there, an index past the end, the address of a bit-field, a number as a pointer."""
    rows = [row for row in walk('6.1-amd64')[:100] if '.' not in row['function']]
    texts = [(row['function'], text) for row in rows for chain in row['chains'] for text in impossible(chain)]
    answered = [(function, text, answer) for function, text in texts
                if isinstance(answer := asked('6.1-amd64', mode, function, text), Answer)]
    assert len(texts) > 1000
    assert not answered, answered[:10]


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
@pytest.mark.parametrize('label', WALKS)
def test_parameters_by_number_and_by_name_are_where_gdb_has_them(walk: Walk, label: str, mode: str) -> None:
    """Registers, and the stack behind the last of them; numbers count as the source does."""
    wrong, compared = [], 0
    for row in walk(label):
        for index, (name, place, leaf) in enumerate(row['parameters']):
            start = begin(label, place)
            named = asked(label, mode, row['function'], name)           # gdb counts those of a copy in another way
            numbered = named if '.' in row['function'] else asked(label, mode, row['function'], f'%{index}')
            if isinstance(named, Refusal) and re.search('no debug information|has no parameter', named.message):
                named = numbered                                         # a number is worth something by itself
            if start is None or leaf['is'] == 'struct' or isinstance(numbered, Refusal) and isinstance(named, Refusal):
                continue
            compared += 1
            if numbered != named or ((numbered.base,), numbered.bits[:len(start.bits)]) != start:
                wrong.append((row['function'], index, name, place, numbered, named))
    print(f'{label} {mode}: {compared} parameters')
    assert not wrong, wrong[:10]
    assert compared > WALKS[label][0] * min(SCALE, 1) / 2


# what is an entry


@pytest.mark.parametrize('label', ['6.1-amd64', '5.10-amd64'])
def test_bytes_that_look_like_an_entry_are_none(label: str) -> None:
    """Surftrace finds DWARF's entries by the bytes they begin with, and each kernel has thousands of places that begin so
    and are something else. Whether one is an entry is not guessed: pyelftools, which reads all of a unit, agrees."""
    dwarf = surftrace_kernel(label, 'dwarf').kernel.dwarf
    assert dwarf
    dice = random.Random(SEED)
    for offset in dice.sample(dwarf.entries.offsets, 2):
        unit = dwarf.entries.unit(offset)
        entries = {die.offset for die in alone(unit, dwarf.executable).iter_DIEs() if die.tag}
        some = dice.sample(range(unit.first, len(unit.data)), min(500, len(unit.data) // 2))
        some += dice.sample(sorted(entries), min(200, len(entries)))
        assert [at for at in some if unit.is_entry(at) != (at in entries)] == []


def alone(unit: surftrace.Unit, executable: surftrace.Executable) -> Any:
    """The unit as pyelftools reads it, as if it were the only one."""
    sections: dict[str, Any] = dict.fromkeys(DWARFInfo.__init__.__code__.co_varnames[2:DWARFInfo.__init__.__code__.co_argcount])
    for name, data in (('info', unit.data), *((name, executable.contents('.debug_' + name)) for name in ('abbrev', 'str', 'line_str'))):
        sections[f'debug_{name}_sec'] = DebugSectionDescriptor(io.BytesIO(bytes(data)), name, 0, len(data), 0)
    return DWARFInfo(DwarfConfig(True, 'x64', 8), **sections).get_CU_at(0)


# perf and pahole


def test_registers_are_those_that_perf_probe_would_take(walk: Walk) -> None:
    """A third reader of DWARF, elfutils'. It takes a second for each function, so a few: those with the most parameters.
    Where perf and gdb differ from us there is one reason, which `begin` has: gcc could not follow the parameter."""
    need('perf')
    label = '6.1-amd64'
    rows = [row for row in walk(label) if '.' not in row['function'] and all(begin(label, p[1]) for p in row['parameters'])]
    rows = sorted(rows, key=lambda row: -len(row['parameters']))[:3]
    definitions = [word for row in rows for word in ('-D', f"{row['function']} $params")]
    command = ['perf', 'probe', '-k', kernels.kernel(label) / 'vmlinux', *definitions]
    run = subprocess.run(command, capture_output=True, text=True)
    for row in rows:
        line = re.search(rf"^p:probe/\S+ {row['function']}\+0 (.*)", run.stdout, re.M)
        assert line, f"perf knows no {row['function']}: {run.stdout}{run.stderr}"
        for name, text in re.findall(r'(\S+)=(\S+)', line[1]):
            ours, theirs = asked(label, 'dwarf', row['function'], name), understood(text.replace('(%sp)', '($stack)'))
            if isinstance(ours, Answer):             # a struct by value is refused; behind a pointer we go on to the text
                ours = (ours.base, ours.bits[:len(theirs.bits)])
                assert ours == (theirs.base, theirs.bits), (row['function'], name, text)


class BitField(NamedTuple):
    """A line of pahole's: a path of members from a struct, its bit there, its width."""
    struct: str
    path: str
    bit: int
    width: int
    type: str


def bit_fields(text: str) -> Iterator[BitField]:
    """Every bit-field in what pahole prints, also those in anonymous and in nested structs."""
    stack: list[tuple[str, list[BitField]]] = []                            # what is open: its first line, its fields
    for line in text.splitlines():
        field = re.match(r'\s+(.+?)\s+(\w+):(\d+);\s+/\*\s*(\d+):\s*(\d+)\s', line)
        if line.endswith('{'):
            stack.append((line[:-1].strip(), []))
        elif close := re.match(r'\s*}\s*(?:__attribute__\(\(\S+\)\)\s*)*(\w*)((?:\[\d+\])*)', line):
            (head, inner), prefix = stack.pop(), close[1] and close[1] + re.sub(r'\d+', '0', close[2]) + '.'
            if stack:
                stack[-1][1].extend(each._replace(path=prefix + each.path) for each in inner)
            elif re.fullmatch(r'(struct|union) \w+', head):
                yield from (each._replace(struct=head) for each in inner)
        elif field and stack:
            stack[-1][1].append(BitField('', field[2], 8 * int(field[4]) + int(field[5]), int(field[3]), field[1]))


@pytest.mark.parametrize(('label', 'mode', 'share', 'most'), [
    ('6.1-amd64', 'btf', 0.5, 99), ('6.1-arm64', 'btf', 0.3, 99), ('5.10-amd64', 'btf', 0.3, 99),
    ('6.1-amd64', 'dwarf', 0.06, 1), ('5.10-amd64', 'dwarf', 0.15, 1)])
def test_bit_fields_are_where_pahole_has_them(label: str, mode: str, share: float, most: int) -> None:
    """Those of all structs with BTF; with DWARF, which takes longer, two of some: of version 4 in 5.10, which counts from
    the other end."""
    need('pahole')
    vmlinux = kernels.kernel(label) / 'vmlinux'
    listed = subprocess.run(['pahole', '-F', 'btf', vmlinux], capture_output=True, text=True, check=True).stdout
    every = list(bit_fields(listed))
    assert len(every) > 1000
    structs = collections.Counter(re.findall(r'^((?:struct|union) \w+) {', listed, re.M))
    single = sorted({field.struct for field in every if structs[field.struct] == 1})
    chosen = set(random.Random(SEED).sample(single, int(min(1, share * SCALE) * len(single))))
    wrong, compared, done = [], 0, collections.Counter[str]()
    for field in random.Random(SEED).sample(every, len(every)):
        if field.struct in chosen and done[field.struct] < most:
            done[field.struct] += 1
            answer = asked(label, mode, 'vfs_read', f'!({field.struct} *)%0->{field.path}')
            signed = bool(re.fullmatch(r'(__)?s\d+|(signed |long )?int', field.type))
            bit = answer.bits[-1] if isinstance(answer, Answer) else None
            if isinstance(answer, Refusal) and 'is defined differently in' in answer.message:
                continue
            compared += 1
            if bit != field.bit or answer != Answer(answer.base, (bit,), 'bits', field.width, signed):
                wrong.append((field, answer))
    print(f'{label} {mode}: {compared} bit-fields')
    assert not wrong, wrong[:10]
    assert compared > 12


# the calling convention


def at_convention(arch: surftrace.Arch, location: surftrace.Location) -> surftrace.Location:
    """A place in the terms of the convention: from the stack pointer, and a lone piece as its register."""
    if location.how == 'frame':
        stack = next(number for number, name in arch.dwarf.items() if name == arch.stack_pointer)
        return surftrace.Location('memory', number=stack, offset=location.offset + (8 if arch == AMD64 else 0))
    if location.how == 'pieces' and len(location.pieces) == 1:
        return location.pieces[0][0]
    return location


@pytest.mark.parametrize(('label', 'count'), [('6.1-amd64', 220), ('6.1-arm64', 100)])
def test_the_calling_convention_is_right_for_every_function_with_its_own_name(label: str, count: int) -> None:
    """BTF knows only the convention. DWARF knows where each argument came in; they differ for the copies that gcc makes
    (.isra, .constprop, .part), which is why these have no arguments with BTF, and for nothing else. (Of all the
    parameters of 6.1, 92,595 on x86-64 and 96,600 on arm64, 52 differ, in 45 functions: gcc could not follow them, and
    DWARF names at entry where they are moved to later. Such a place is none to surftrace.)"""
    info = surftrace_kernel(label, 'dwarf').kernel
    assert info.dwarf
    same, wrong, copies = 0, [], 0
    changed = [name for name, _ in functions(label) if re.search(r'\.(isra|constprop|part)\.', name)]
    changed = random.Random(SEED).sample(changed, 40)
    for name in [*dict(some_functions(label, count)), *changed]:
        function = info.dwarf.function(name)
        places = surftrace.convention(info.arch, function) if function else []
        for parameter, place in zip(function.parameters if function else (), places):
            location = parameter.location and at_convention(info.arch, parameter.location)
            if location is None or location.how not in ('register', 'memory') or place.how == 'gone' or (
                    isinstance(parameter.type(), surftrace.Struct) and location.how == 'memory'):
                continue
            if location == at_convention(info.arch, place):
                same += 1
            elif '.' in name:
                copies += 1
            else:
                wrong.append((name, parameter.name, location, place))
    print(f'{label}: {same} parameters as the convention has them, {copies} of copies elsewhere')
    assert not wrong, wrong[:10]
    assert same > count * min(SCALE, 1)
    assert copies, 'no copy that differs: whatever this compares, it does not see a difference'


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
@pytest.mark.parametrize(('label', 'function', 'text', 'answer'), [
    pytest.param('6.1-amd64', 'ip_rt_update_pmtu', 'mtu', Answer('%cx', (), 'u32'), id='DWARF has %r14 all the time'),
    pytest.param('6.1-amd64', 'dmar_alloc_hwirq', 'id', Answer('%di', (), 's32'), id='DWARF has %rbx all the time'),
    pytest.param('6.1-amd64', 'css_rightmost_descendant', 'pos', Answer('%di', (), 'x64'), id='DWARF has 0'),
    pytest.param('6.1-amd64', 'acpi_sleep_run_lps0_dsm', 'dsm_guid.b[9]', Answer('%cx', (8,), 'bits', 8), id='DWARF has %sp'),
    pytest.param('6.1-amd64', 'address_val', 'spec.type', Answer('%cx', (0,), 'bits', 8), id='a bit-field at bit 0'),
    pytest.param('6.1-amd64', '__napi_poll', 'n->weight', Answer('%di', (192,), 's32'), id='a function in two parts'),
    pytest.param('6.1-arm64', 'trace_vprintk', 'args.__stack', Answer('%x2', (0,), 'x64'), id='DWARF has %x3, of another'),
    pytest.param('6.1-arm64', 'down_killable', 'sem->count', Answer('%x0', (32,), 'u32'), id='code that begins behind no-ops'),
])
def test_what_dwarf_makes_hard(label: str, mode: str, function: str, text: str, answer: Answer) -> None:
    """Functions of 6.1 that walks have found; one that a later 6.1 has no more proves nothing."""
    ours = asked(label, mode, function, text)
    if isinstance(ours, Refusal) and 'the kernel has no function' in ours.message:
        pytest.skip(ours.message)
    assert ours == answer
