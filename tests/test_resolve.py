"""From expressions to fetch-args: a golden list that all backends give alike, and C itself as the judge of what it means.

Each expression is also compiled by gcc, in a program that fills objects with random values and prints what C reads there;
the fetch-args, read from that program's memory as the kernel would, have to give the same.
"""
from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from golden import ENUMERATORS, GOLDEN, Case
from imitation import Machine, printed, width

import surftrace
from surftrace import DebugInfo, InputError, Kernel, make_events, parse_probe

SOURCE = (Path(__file__).parent / 'fixtures/types.c').read_text()


def kernel_of(info: DebugInfo) -> Kernel:
    """The kernel whose types these are, of which nothing else is known, but that return probes may read arguments."""
    return Kernel(info, frozenset(['$arg']), lambda system, name: None, lambda: [], lambda: None, lambda text: None)


def resolved(info: DebugInfo, line: str) -> surftrace.Event:
    """The event of a line."""
    return make_events([(parse_probe(line), '')], kernel_of(info))[0]


@pytest.mark.parametrize('case', GOLDEN, ids=[case.line for case in GOLDEN])
def test_an_expression_becomes_fetch_args(case: Case, backend: str, info: DebugInfo):
    wanted = case.result(backend)
    if wanted[0] != '!':
        assert [line.split(' ', 2)[2] for line in resolved(info, case.line).lines()] == [wanted]
        return
    with pytest.raises(InputError) as caught:
        resolved(info, case.line)
    assert caught.value.message.startswith(wanted[1:])
    start, end = caught.value.at
    assert len(case.place) < start < end <= len(case.line)


# ---- what C says of members

REGISTERS = ('di', 'si', 'dx', 'cx', 'r8', 'r9')
ROUNDS = 60
CALLS = {   # the arguments of each function that is asked
    'take_bits': '&all.bits', 'take_packed': '&all.packed_bits', 'take_long_bits': '&all.long_bits', 'take_union': '&all.bit_union',
    'take_nested': '&all.nested[0]', 'take_arrays': '&all.arrays', 'take_text': '&all.text', 'take_scalars': '&all.scalars',
    'take_holder': '&all.holder[0], all.holder[1].link.next, (u64)&all.holder[2]',
    'take_void': '&all.bits, all.words[4], random(), (unsigned char *)all.words[5], &all.refs'}
SCALARS = {'p->refs': 'p->refs.counter', '(int)p->refs': 'p->refs.counter', 'p->uid': 'p->uid.val', 'p->counters[1]': 'p->counters[1].counter', '*refs': 'refs->counter'}
ARRAYS = {'p->points': '(short *)p->points', 'p->points[2]': '(short *)&p->points[2]', 'p->tail[1]': '(short *)&p->tail[1]',
          'p->counters': '(int *)p->counters', 'p->u': '(u8 *)&p->u', 'p->d': '(u8 *)&p->d', 'p->s': '(u8 *)p->s'}


def in_c(case: Case) -> str:
    """The expression of a case in C, without format letter and type; '' where C has no word for it."""
    if case.place[0] != 'p' or case.place[2:] not in CALLS or case.dwarf[0] == '!' or re.search(r'[%$@\\]|^[-+]', case.expression):
        return ''
    text = re.sub(r':\w+(@.*|\[\d+\])?$', '', case.expression)
    text = re.sub(r'^[SUX](?=\()', '', text)
    return re.sub(r'!(\([^()]*\))(\w+|\([^()]*\))', r'(\1\2)', text)


CASES = {index: case for index, case in enumerate(GOLDEN) if in_c(case)}


def statement(index: int) -> str:
    """The C statement that prints the value of a case."""
    expression, kind = in_c(CASES[index]), kind_of(CASES[index])
    if kind.endswith(']'):
        return f"ARRAY({index}, ({ARRAYS.get(expression, expression)}), {kind[:-1].rpartition('[')[2]})"
    if kind == 'string':
        cut = re.search(r'cut\((\d+)\)', CASES[index].dwarf)
        return f'TEXT({index}, {expression}, {cut[1] if cut else 1000})'
    return f'NUMBER({index}, {SCALARS.get(expression, expression)})'


def kind_of(case: Case) -> str:
    """The fetch type of a case."""
    return case.dwarf.partition(' #! ')[0].rpartition(':')[2]


def oracle_source() -> str:
    """The C program that prints, round by round, its memory, each function's arguments, and the values of the cases."""
    functions = []
    for name in CALLS:
        parameters = re.search(rf'probed int {name}\((.*?)\) ', SOURCE)[1]
        words = [re.search(r'(\w+)$', parameter)[1] for parameter in parameters.split(', ')]
        show = f'printf("call {" %llx" * len(words)}\\n", {", ".join(f"(unsigned long long){word}" for word in words)});'
        body = [show, *(statement(index) for index, case in CASES.items() if case.place == f'p {name}')]
        functions.append(f'static void show_{name}({parameters}) {{\n    ' + '\n    '.join(body) + '\n}\n')
    calls = ' '.join(f'show_{name}({arguments});' for name, arguments in CALLS.items())
    main = f'int main(void) {{\n    for (int round = 0; round < {ROUNDS}; round++) {{ memory(); {calls} }}\n}}\n'
    oracle = (Path(__file__).parent / 'fixtures/oracle.c').read_text()
    return '\n'.join([SOURCE, oracle, *functions, main])


@pytest.fixture(scope='module')
def oracle(compile_c) -> list[tuple[Machine, int, list[str]]]:
    """What C says: the machine, the case, its value in hexadecimal."""
    program = compile_c(oracle_source(), '-w')
    said, memory, machine = [], {}, None
    for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines():
        first, *values = line.split(' ')
        if first == 'memory':
            memory = {int(values[0], 16): bytes.fromhex(values[1])}
        elif first == 'call':       # above a narrow argument, a register holds whatever it held
            machine = Machine({name: int(value, 16) for name, value in zip(REGISTERS, values[1:])}, memory)
        else:
            said.append((machine, int(first), values))
    assert len(said) == ROUNDS * len(CASES)
    return said


def shown(event: surftrace.Event, machine: Machine) -> str:
    """The one field of an event as it is shown when the kernel is in that state, and its pointers are good."""
    field, = event.fields
    values = [printed(fetch.kind, machine.fetch(fetch.text())).decode('utf-8', 'surrogateescape')
              for fetch in field.fetches]
    assert None not in [machine.fetch(fetch.text()) for fetch in field.fetches], 'it cannot be read'
    return field.format.show(values) if field.format else values[0]


def number(text: str) -> int:
    """A number as it is shown, an enumerator by its value."""
    return ENUMERATORS[text] if text in ENUMERATORS else int(text, 0)


def same(shown_: str, kind: str, said: list[str], letter: bool) -> bool:
    """Whether what is shown is what C said; a FORMAT shows the same bits in another way."""
    if kind == 'string':
        return shown_.encode('utf-8', 'surrogateescape') == b'"%s"' % bytes.fromhex(said[0])
    have = [number(part) for part in shown_.strip('{}').split(',')]
    want = [int(part, 16) for part in said]
    bits = bit_count(kind) if letter else 64
    return [value & (1 << bits) - 1 for value in have] == [value & (1 << bits) - 1 for value in want]


def bit_count(kind: str) -> int:
    """The bits of the value of a fetch type."""
    return int(re.match(r'b(\d+)', kind)[1]) if kind[0] == 'b' else width(kind.partition('[')[0])


def test_what_is_fetched_is_what_c_reads(oracle, backend: str, info: DebugInfo):
    events = {index: resolved(info, case.line) for index, case in CASES.items() if case.result(backend) == case.dwarf}
    assert len(events) > 150
    wrong = {}
    for machine, index, said in oracle:
        if index in events:
            case = CASES[index]
            asked = bool(re.match(r'[SUX]\(', case.expression)) or re.search(r':[suxb]?\w*(@|\[|$)', case.expression) is not None
            text = shown(events[index], machine)
            if not same(text, kind_of(case), said, asked):
                wrong.setdefault(case.line, (text, said))
    assert not wrong
