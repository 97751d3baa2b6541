"""From expressions to fetch-args: a golden list that all backends give alike, and C itself as the judge of what it means.

Each expression is also compiled by gcc, in a program that fills objects with random values and prints what C reads there;
the fetch-args, read from that program's memory as the kernel would, have to give the same.
"""
from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from golden import ENUMERATORS, GOLDEN, Case
from helpers import TYPES, need, resolved
from imitation import Machine, printed, width

import surftrace
from surftrace import InputError, Module


@pytest.mark.parametrize('case', GOLDEN, ids=[case.line for case in GOLDEN])
def test_an_expression_becomes_fetch_args(case: Case, backend: str, info: Module):
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
    'take_bits': '&all.bits', 'take_packed': '&all.packed_bits', 'take_long_bits': '&all.long_bits',
    'take_union': '&all.bit_union',
    'take_nested': '&all.nested[0]', 'take_arrays': '&all.arrays', 'take_text': '&all.text', 'take_scalars': '&all.scalars',
    'take_holder': '&all.holder[0], all.holder[1].link.next, (u64)&all.holder[2]',
    'take_void': '&all.bits, all.words[4], random(), (unsigned char *)all.words[5], &all.refs'}
SCALARS = {'p->refs': 'p->refs.counter', '(int)p->refs': 'p->refs.counter', 'p->uid': 'p->uid.val',
           'p->counters[1]': 'p->counters[1].counter', 'p->onefloat.x': '*(u32 *)&p->onefloat.x', '*refs': 'refs->counter'}
FLOATS = {'p->onefloat': 'p->onefloat.x'}
ARRAYS = {'p->points': '(short *)p->points', 'p->points[2]': '(short *)&p->points[2]', 'p->tail[1]': '(short *)&p->tail[1]',
          'p->counters': '(int *)p->counters', 'p->u': '(u8 *)&p->u', 'p->d': '(u8 *)&p->d', 'p->s': '(u8 *)p->s'}


def in_c(case: Case) -> str:
    """The expression of a case in C, without format letter and type; '' where C has no word for it."""
    asked = case.place[0] == 'p' and case.place[2:] in CALLS and case.dwarf[0] != '!' and '{' not in case.dwarf
    if not asked or re.search(r'[%$@\\]|^[-+]', case.expression):
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
    if is_float(CASES[index]):
        return f'printf("{index} %.17g\\n", {FLOATS.get(expression, expression)});'
    return f'NUMBER({index}, {SCALARS.get(expression, expression)})'


def is_float(case: Case) -> bool:
    """Whether it is a floating-point number."""
    return re.search(r':(float|double)$', case.dwarf) is not None


def kind_of(case: Case) -> str:
    """The fetch type of a case."""
    return case.dwarf.partition(' #! ')[0].rpartition(':')[2]


def oracle_source() -> str:
    """The C program that prints, round by round, its memory, each function's arguments, and the values of the cases."""
    functions = []
    for name in CALLS:
        parameters = re.search(rf'probed int {name}\((.*?)\) ', TYPES)[1]
        words = [re.search(r'(\w+)$', parameter)[1] for parameter in parameters.split(', ')]
        show = f'printf("call {" %llx" * len(words)}\\n", {", ".join(f"(unsigned long long){word}" for word in words)});'
        body = [show, *(statement(index) for index, case in CASES.items() if case.place == f'p {name}')]
        functions.append(f'static void show_{name}({parameters}) {{\n    ' + '\n    '.join(body) + '\n}\n')
    calls = ' '.join(f'show_{name}({arguments});' for name, arguments in CALLS.items())
    main = f'int main(void) {{\n    for (int round = 0; round < {ROUNDS}; round++) {{ memory(); {calls} }}\n}}\n'
    oracle = (Path(__file__).parent / 'fixtures/oracle.c').read_text()
    return '\n'.join([TYPES, oracle, *functions, main])


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


def same_float(shown_: str, kind: str, said: list[str]) -> bool:
    """Whether what is shown is the number that C said, a whole one exactly."""
    layout = 'f' if kind == 'x32' else 'd'
    have, want = (struct.pack(layout, float(text)) for text in (shown_, said[0]))
    if re.fullmatch(r'-?\d+', shown_):
        return int(shown_) == float(said[0])
    return have == want or 'nan' in shown_ and 'nan' in said[0]


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


def test_what_is_fetched_is_what_c_reads(oracle, backend: str, info: Module):
    events = {index: resolved(info, case.line) for index, case in CASES.items() if case.result(backend) == case.dwarf}
    assert len(events) > 150
    wrong = {}
    for machine, index, said in oracle:
        if index in events:
            case = CASES[index]
            asked = bool(re.match(r'[SUX]\(', case.expression)) or re.search(r':[suxb]?\w*(@|\[|$)', case.expression) is not None
            text = shown(events[index], machine)
            good = same_float(text, kind_of(case), said) if is_float(case) else same(text, kind_of(case), said, asked)
            if not good:
                wrong.setdefault(case.line, (text, said))
    assert not wrong


# ---- what a debugger sees at entry and at return

# Calls with known arguments, and what each expression has to give in them. A word is wider than most arguments: what
# stands above them in their registers is whatever the caller left there.
CALLED = {
    'take_eight(-7, 60000, -123456, 0x1122334455667788, bytes, NINE, -300, 0xfedcba9876543210)': {
        'a': -7, 'b': 60000, 'c': -123456, 'd': 0x1122334455667788, 'f': 9, 'g': -300, 'h': 0xfedcba9876543210, '%0': -7,
        '%6': -300,
        '%7': 0xfedcba9876543210, '$arg6': 9, '(long)c': -123456, '(u8)d': 0x88, 'X(g)': 0xfed4, 'h=h:x16': 0x3210},
    'take_float(-1, 2.5, -3, 4.5, -5)': {'a': -1, 'c': -3, 'e': -5, '%2': -3},
    'take_int128(-1, (__int128)-2, -3)': {'a': -1, 'c': -3},
    'take_s4((struct s4){-4}, -5)': {'v.a': -4, 'v': -4, 'after': -5},
    'take_s8((struct s8){-1, 2, -3}, -4)': {'v.a': -1, 'v.b': 2, 'v.c': -3, 'after': -4},
    'take_s12((struct s12){-1, -2, -3}, -4)': {'v.a': -1, 'v.b': -2, 'v.c': -3, 'after': -4},
    'take_s16((struct s16){-1, -2, -3, -4}, -5)': {
        'v.a': -1, 'v.b': -2, 'v.c': -3, 'v.d': -4, 'after': -5, '(u8)v.b': 0xfe, '(char)v.d': -4, 'v.b:u8': 0xfe,
        'X(v.d)': 0xffffc},
    'take_s24((struct s24){-1, -2, -3}, -4)': {'v.a': -1, 'v.b': -2, 'v.c': -3, 'after': -4, '(&v)->b': -2},
    'take_sfloat((struct sfloat){-1, 2.5}, -3)': {'v.a': -1, 'after': -3},
    'take_spacked((struct spacked){-1, -2}, -3)': {'v.a': -1, 'v.b': -2, 'after': -3},
    'take_sarray((struct sarray){-1, {-2, -3}}, -4)': {'v.a': -1, 'v.b[1]': -3, 'after': -4},
    'take_sbits((struct sbits){1, 0xabcde}, -3)': {'v.a': 1, 'v.b': 0xabcde, 'after': -3},
    'take_swide(-1, (struct swide){-2}, -3)': {'before': -1, 'after': -3},
    'take_doubles(1, 2, 3, 4, 5, 6, 7, 8, 9, -10, 11, 12, 13, 14, -15, -16)': {'j': -10, 'o': -15, 'p': -16},
    'take_long_double(1, -2, 3, 4, 5, 6, 7, -8)': {'b': -2, 'h': -8},
    'take_full(-1, 2, 3, 4, -5, (struct s16){-6, -7, -8, -9}, -10)': {
        'a': -1, 'e': -5, 'v.a': -6, 'v.b': -7, 'v.c': -8, 'v.d': -9, 'after': -10},
    'take_any(-1, 2)': {'a': -1},
    'give_s4(-1)': {'$retval': -1, '$retval.a': -1},
    'give_s12(-1)': {'a': -1, '$retval.a': -1, '$retval.b': -1},
    'give_s16(-1)': {'a': -1, '$retval.a': -1},
    'give_s24(-1, "x")': {'a': -1, '*name': ord('x'), '$retval.a': -1, '$retval.b': ord('x'), '$retval.c': -1},
    'give_sfloat(-1)': {'a': -1},
    'give_spacked(-1)': {'a': -1},
    'give_pointer(77)': {'$retval->id': 77, '$retval->bits.h': 0},
    'give_enum(-2)': {'$retval': -2},
    'give_text()': {'$retval': 'text', '$retval[1]': ord('e')},
    'give_bool(300)': {'$retval': 1},
    'give_double(-1)': {'a': -1},
}
ASKED = {(case.place[2:], case.expression): case for case in GOLDEN
         if case.dwarf[0] != '!' and case.place[0] == ('r' if '$retval' in case.expression else 'p')}


def gdb_script() -> str:
    """What makes gdb print registers, stack and what some point to, at each function's first instruction and return."""
    script = ['set pagination off', 'set confirm off', 'set disable-randomization off']
    script += [f"break *{call.partition('(')[0]}" for call in CALLED] + ['run']
    for call, values in CALLED.items():
        pointers = ['$rsi'] if '*name' in values else []
        script += ['printf "stop\\n"', 'info registers', 'x/40xb $rsp', 'x/40xb $rsp+40'] + ['x/40xb $rdx'] * len(pointers)
        if any('$retval' in expression for expression in values):
            behind = any(re.search(r'->|\[|\.c', expression) for expression in values)
            script += ['finish', 'printf "stop\\n"', 'info registers'] + ['x/40xb $rax', 'x/40xb $rax+40'] * (
                behind and 's12' not in call and 's16' not in call)
        script.append('continue')
    return '\n'.join(script) + '\n'


def machines(said: str) -> Iterator[Machine]:
    """The states of the machine that gdb printed."""
    for stop in said.split('stop\n')[1:]:
        registers = dict(re.findall(r'^r?(\w+) +(0x[0-9a-f]+)', stop, re.M))
        rows = re.findall(r'^(0x[0-9a-f]+)[^:]*:((?:\s+0x[0-9a-f]{2})+)$', stop, re.M)
        memory: dict[int, bytes] = {}
        for start, row in ((int(start, 16), bytes(int(byte, 16) for byte in row.split())) for start, row in rows):
            before = next((at for at, data in memory.items() if at + len(data) == start), start)
            memory[before] = memory.get(before, b'') + row
        yield Machine({f'r{name}' if name.isdigit() else name: int(value, 16) for name, value in registers.items()}, memory)


@pytest.fixture(scope='module')
def stops(compile_c, tmp_path_factory) -> dict[tuple[str, str], Machine]:
    """The machine at each function's entry ('p') and return ('r')."""
    calls = '\n'.join(f'    {call};' for call in CALLED)
    program = compile_c(f'{TYPES}\nint main(void) {{\n    u8 bytes[4] = {{0}};\n{calls}\n    return 0;\n}}\n', '-O2', '-g', '-w')
    script = tmp_path_factory.mktemp('gdb') / 'script'
    script.write_text(gdb_script())
    need('gdb')
    run = subprocess.run(['gdb', '-nx', '-batch', '-x', script, program], capture_output=True, text=True, timeout=300)
    if 'ptrace' in run.stderr or 'not permitted' in run.stderr:
        pytest.skip(f'gdb may not run programs here: {run.stderr.strip()}')
    found = machines(run.stdout)
    stops = {}
    for call, values in CALLED.items():
        name = call.partition('(')[0]
        stops[name, 'p'] = next(found)
        if any('$retval' in expression for expression in values):
            stops[name, 'r'] = next(found)
    assert next(found, None) is None, run.stdout
    return stops


@pytest.mark.parametrize('call', CALLED, ids=[call.partition('(')[0] for call in CALLED])
def test_an_argument_is_where_a_debugger_finds_it(call: str, stops, backend: str, info: Module):
    name, seen = call.partition('(')[0], {}
    for expression in CALLED[call]:
        kind = 'r' if '$retval' in expression else 'p'
        case = ASKED[name, expression]
        if case.result(backend)[0] != '!':
            machine = stops[name, kind]
            text = shown(resolved(info, case.line), with_arguments(machine))
            seen[expression] = text.strip('"') if text[0] == '"' else number(text)
    assert seen == {expression: value for expression, value in CALLED[call].items() if expression in seen}
    assert seen or backend == 'BTF'


def with_arguments(machine: Machine) -> Machine:
    """The same with the kernel's $argN."""
    arguments = {f'arg{count}': machine.registers[name] for count, name in enumerate(REGISTERS, 1)}
    return machine._replace(registers={**machine.registers, **arguments})


@pytest.mark.parametrize(('name', 'registers'), [('aarch64', 8), ('riscv64', 8), ('s390x', 5)])
def test_an_argument_whose_address_is_on_the_stack_is_read_behind_it(name: str, registers: int) -> None:
    arch, long = surftrace.arch_named(name), surftrace.Int('long', 8, True)
    large = surftrace.Struct('struct', 'large', 24, lambda: tuple(
        surftrace.Member(member, lambda: long, 64 * i) for i, member in enumerate('abc')))
    given = [surftrace.Parameter(f'p{i}', lambda: long) for i in range(registers)]
    function = surftrace.Function('f', surftrace.Void, (*given, surftrace.Parameter('last', lambda: large)))
    resolver = surftrace.Resolver(surftrace.Target(surftrace.Module(arch, None, []), function))
    field = resolver.field(surftrace.parse_probe('p f last.c').args[0])
    assert [fetch.text() for fetch in field.fetches] == [f'+16(+{arch.stack}($stack)):s64']


def test_an_address_that_is_a_part_of_a_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's @symbol is what is there, and not the address itself."""
    arch, long = surftrace.arch_named('x86_64'), surftrace.Int('long', 8, True)
    pair = surftrace.Struct('struct', 'pair', 16, lambda: (
        surftrace.Member('a', lambda: long, 0), surftrace.Member('b', lambda: long, 64)))
    parts = ((surftrace.Location('address', offset=64, value=True), 8), (surftrace.Location('register', number=5), 8))
    given = surftrace.Parameter('p', lambda: pair, surftrace.Location('pieces', pieces=parts))
    function = surftrace.Function('f', surftrace.Void, (given,))
    resolver = surftrace.Resolver(surftrace.Target(surftrace.Module(arch, None, []), function, False))
    monkeypatch.setattr(resolver, '_symbol_of', lambda address: (surftrace.Fetch('@known'), 0))
    first, second = surftrace.parse_probe('p f p.a p.b').args
    assert resolver.field(second).fetches[0].text() == '%di:s64'
    with pytest.raises(InputError, match='in no single register'):
        resolver.field(first)
