"""--json and --format: what programs read of a record is what people see of it, with its type."""
from __future__ import annotations

import json
import re
from random import Random

import pytest
from helpers import ARGS, SETS, outcome, sealed, some_records, text_of
from imitation import Old

import surftrace
from surftrace import Decoder, Json, Template, Text

HEAD = b'            bash-77      [001]   421.123456: '
STACK = HEAD + b'<stack trace>\n => f\n => do_syscall_64\n'


def objects(events: list[surftrace.Event], *data: bytes, stacks: bool = False) -> list[dict]:
    """The objects of those records, each on a line of ASCII."""
    decoder = Decoder(events, view=Json(events), stacks=stacks)
    text = b''.join(map(decoder.block, data)) + decoder.finish()
    assert text.decode('ascii').replace('\n', '').isprintable()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(('line', 'values', 'expected'), [
    ('p f a=%di:s32 b=%si:x64 c=%dx:u8', {'a': -5, 'b': (1 << 64) - 1, 'c': 7}, {'a': -5, 'b': (1 << 64) - 1, 'c': 7}),
    ('p f a=+0(%di):b5@3/8 #! a:S(5)', {'a': 31}, {'a': -1}), ('p f a=+0(%di):b5@3/8 #! a:X', {'a': 31}, {'a': 31}),
    ('p f a=%di:s32 #! a:enum(A=-1,B=2)', {'a': -1}, {'a': 'A'}), ('p f a=%di:s32 #! a:enum(A=-1,B=2)', {'a': 3}, {'a': 3}),
    ('p f a=+0(%di):x32 #! a:float', {'a': 0x3dcccccd}, {'a': 0.1}), ('p f a=+0(%di):x64 #! a:double', {'a': 0x3fb999999999999a}, {'a': 0.1}),
    ('p f a=+0(%di):x32[3] #! a:float', {'a': [0xff7fffff, 0x80000000, 0x7fc00000]}, {'a': [-3.4028235e+38, 0, 'nan']}),
    ('p f a=+0(%di):u16[2] #! a:be16', {'a': [0x5000, 0xbb01]}, {'a': [80, 443]}),
    ('p f a=+8(%di):u32 #! a:ip', {'a': 0x0100007f}, {'a': '127.0.0.1'}),
    ('p f a=+0(%di):x64 a_2=+8(%di):x64 #! a+a_2:ip6', {'a': 0, 'a_2': 1 << 56}, {'a': '::1'}),
    ('p f a=+0(%di):x32 a_2=+4(%di):x16 #! a+a_2:mac', {'a': 0x33221100, 'a_2': 0x5544}, {'a': '00:11:22:33:44:55'}),
    ('p f a=+0(%di):string b=%si:u32', {'a': b'x "y"\n\x1b', 'b': 1}, {'a': 'x "y"\n\x1b', 'b': 1}),
    ('p f a=+0(%di):string', {'a': b'\xff\xc3\xa9'}, {'a': '\udcffé'}), ('p f a=+0(%di):string', {'a': b'(null)'}, {'a': '(null)'}),
    ('p f a=+0(%di):string', {'a': Old(b'x')}, {'a': {'error': 'fault'}}),
    ('p f a=+0(%di):string #! a:cut(4)', {'a': b'abcdefg'}, {'a': 'abcd'}),
    ('p f a=+0(%di):x8[3]', {'a': [1, 2, 255]}, {'a': [1, 2, 255]}), ('p f c=$comm n=%di:s8', {'c': b'a b', 'n': -1}, {'c': 'a b', 'n': -1}),
])
def test_a_value_has_its_type(line, values, expected):
    event, = sealed(line)
    found, = objects([event], text_of(event, values))
    assert found == {'time': 0.0, 'comm': 'bash', 'pid': 77, 'cpu': 1, 'event': 'f', 'function': 'f', 'values': expected}


@pytest.mark.parametrize(('text', 'kind', 'count', 'expected'), [
    ('"a","b"', 'string', 2, ['a', 'b']), ('"a",(fault)', 'string', 2, ['a', {'error': 'fault'}]),
    ('"a","b","c"', 'string', 2, {'error': 'a string in it reads like other values', 'text': '"a","b","c"'}),
    ("'a',',','\udcff'", 'char', 3, ['a', ',', '\udcff']), ('0x1,0xff', 'x8', 2, [1, 255]), ('f+0x0/0x4,g', 'symbol', 2, ['f+0x0/0x4', 'g'])])
def test_the_elements_of_an_array(text, kind, count, expected):
    assert surftrace.elements(text, kind, count) == expected


@pytest.mark.parametrize(('text', 'expected'), [
    ('"a"', 'a'), ('"a"... (300 bytes)', {'text': 'a', 'more': '... (300 bytes)'}), ('"a"b"', 'a"b'), ('(null)', None),
    ('(no text: its length is 5000)', {'error': 'no text: its length is 5000'}), ('12', 12), ('-0x1', -1), ('1.5', 1.5), ('1e+300', 1e300),
    ('10.0.0.1', '10.0.0.1'), ('inf', 'inf'), ('-', '-'), ('E5', 'E5')])
def test_what_a_format_shows_has_its_type(text, expected):
    assert surftrace.value_shown(text) == expected


def test_a_pointer_that_is_null_is_null_and_other_words_are_errors():
    event, = sealed('p f users=+84(+2272(%di)):s32 n=%si:u32')
    for pointer, expected in ((0, None), (5000, {'error': 'fault'})):
        found, = objects([event], text_of(event, {'users': 7, 'n': 9}, {'ptr2': pointer}))
        assert found['values'] == {'users': expected, 'n': 9}
    event, = sealed('p f src=+12(+208(%di)):u32 #! src:ip,iphdr@l3+112')
    found, = objects([event], text_of(event, {'src': 1}, {'hdr2': 0x60}))
    assert found['values'] == {'src': {'error': 'no iphdr'}}


def as_text(value: object) -> str:
    """A value as a line of text has it, but for the base of a number."""
    if value is None:
        return '(null)'
    if isinstance(value, dict):
        return f"({value['error']})"
    if isinstance(value, list):
        return '{%s}' % ','.join(map(as_text, value))
    return f'"{surftrace.printable(value)}"' if isinstance(value, str) else str(value)


def in_tens(text: str) -> str:
    return re.sub(r'(?<![\w"])0x[0-9a-f]+', lambda number: str(int(number[0], 16)), text)


@pytest.mark.parametrize('lines', [lines for name, lines in SETS.items() if name != 'formats'])
def test_json_says_what_the_text_says(lines):
    """The same events in the same order, the same values; and what is no event is an object, too."""
    events, random = sealed(*lines), Random(11)
    for size in (1, 20, 300):
        records = b''.join(some_records(random, events, size))
        decoder = Decoder(events, view=Text(events), stacks=False)
        texts = (decoder.block(records) + decoder.finish()).decode().splitlines()
        found = objects(events, records)
        assert len(found) == len(texts)
        for line, each in zip(texts, found):
            if 'values' in each:
                shown = ' '.join(f'{name}={as_text(value)}' for name, value in each['values'].items())
                assert in_tens(line).endswith(f": {shown}") or in_tens(line).endswith(f":{' ' * 3}{shown}") or shown in in_tens(line)
                assert line.startswith(f"{each['time']:10.6f} {each['comm']}-{each['pid']}")
            elif 'text' in each:
                assert line.split()[-1] == each['text'].split()[-1] and each['event'] == 'b'
            else:
                assert set(each) == {'lost', 'cpu'} and line == f"CPU:{each['cpu']} [LOST {each['lost']} EVENTS]" or 'not decoded' in line


STRUCT = ('p f a=+0(%di):x8[2] a_2=+2(%di):u32 a_3=+8(%di):string a_4=+24(%di):string a_5=+40(%di):x64 a_6=+48(%di):x64 a_7=+56(%di):u16[2] '
          'a_8=+60(%di):b5@3/8 a_9=+64(%di):x64 z=%si:u32 #! a+a_2+a_3+a_4+a_5+a_6+a_7+a_8+a_9:{x;e:enum(A=1,B=2);s;t:cut(3);i:ip6;p:be16;b:S(5);q}')
TEXTS = b'', b'x y', b'a" b=5', b'" z=7', b'\xff\xc3\xa9', b'\n\x1b[2J', b'(null)', b'(fault)', b'{', b'x' * 300, b'"', Old(b'old')


def test_a_struct_is_an_object():
    event, = sealed(STRUCT)
    values = {'a': [1, 255], 'a_2': 2, 'a_3': Old(b'x'), 'a_4': b'a"} e=', 'a_5': 0, 'a_6': 1 << 56, 'a_7': [0x5000, 0xbb01], 'a_8': 31, 'a_9': 10, 'z': 3}
    found, = objects([event], text_of(event, values))
    assert found['values'] == {'z': 3, 'a': {'x': [1, 255], 'e': 'B', 's': {'error': 'fault'}, 't': 'a"}', 'i': '::1', 'p': [80, 443], 'b': -1, 'q': 10}}


def says(value: object, text: str) -> bool:
    """Whether a value of JSON is what the text shows."""
    if isinstance(value, dict) and 'more' in value:
        return text == f'"{surftrace.printable(value["text"])}"{value["more"]}' or text == f'"{surftrace.printable(value["text"])}" {value["more"]}'
    if value is None or isinstance(value, dict) and set(value) <= {'error', 'text'}:
        return text == as_text(value) or 'text' in (value or {})
    if isinstance(value, list):
        return len(value) == text.count(',') + 1 and all(map(says, value, text.strip('{}').split(',')))
    if isinstance(value, dict):
        return text == '{' + ' '.join(f'{name}=' for name in value) + '}' or all(f'{name}=' in text for name in value)
    if isinstance(value, str):
        return text in (value, f'"{surftrace.printable(value)}"', f"'{surftrace.printable(value)}'")
    return value == (float(text) if isinstance(value, float) else int(text, 0))


@pytest.mark.parametrize('line', [ARGS, STRUCT, 'p f a=+0(%di):x32 b=+0(%di):x64 d=+0(%si):u32 e=%di:s32 #! a:float b:double d:dev e:errno',
                                  'p f s=+0(%si):string t=+8(%si):string u=+9(%si):ustring n=%di:u32'])
def test_each_kind_of_value_is_the_same_for_programs_and_people(line):
    """Any text in it, invalid or not; a record that is not decoded is so in both."""
    event, = sealed(line)
    names, random = [field.name for field in event.fields], Random(line)
    template = Template('~|~'.join(f'{{{name}}}' for name in names), [event])
    for _ in range(200):
        values = {}
        for name, fetch in event.definitions[0].args:
            kind, _, count = fetch.kind.partition('[')
            bits = int(re.search(r'\d+', kind)[0]) if re.search(r'\d', kind) else 0
            number = random.choice([0, 1, (1 << bits) - 1, random.getrandbits(bits or 1)])
            number = number - (1 << bits) * (kind[:1] == 's' and kind[1:].isdigit() and number >> (bits - 1)) if bits else number
            texts = kind in ('string', 'ustring', '')
            values[name] = random.choice(TEXTS) if texts else [random.getrandbits(bits)] * int(count[:-1]) if count else number
            values[name] = random.choice([65, 97]) if kind == 'char' else values[name]
        guards = [guard.name for field in event.fields for guard in field.guards]
        data = text_of(event, values, {name: random.choice([0, 5000]) for name in guards if random.random() < 0.05})
        found, = objects([event], data)
        decoder = Decoder([event], view=template, stacks=False)
        shown = (decoder.block(data) + decoder.finish()).decode()
        if 'error' in found:
            assert 'not decoded' in shown
            continue
        texts = shown[:-1].split('~|~')
        assert set(found['values']) == set(names)
        for name, text in zip(names, texts):
            assert says(found['values'][name], text), (name, found['values'][name], text)


def test_nothing_vanishes():
    events = sealed('p f s=+0(%si):string n=%di:u32', 'e a/b')
    data = text_of(events[0], {'s': b'x', 'n': 1}) + b'CPU:3 [LOST EVENTS]\n' + HEAD + b'b: x="1"\n' + b'[LINE TOO BIG]\n' + STACK
    broken = text_of(events[0], {'s': b'x\ny', 'n': 7})
    found = objects(events, data, broken[:broken.index(b'\n') + 1], stacks=True)
    head = {'time': 0.0, 'comm': 'bash', 'pid': 77, 'cpu': 1}
    assert found == [{'lost': None, 'cpu': 3}, {'error': '[LINE TOO BIG]'},
                     {**head, 'event': 'b', 'text': 'b: x="1"', 'stack': ['f', 'do_syscall_64']},
                     {**head, 'event': 'f', 'function': 'f', 'values': {'s': 'x', 'n': 1}, 'stack': None},
                     {**head, 'event': 'f', 'error': 'a string in it reads like other values: not decoded', 'stack': None}]


def test_an_event_has_its_stack():
    event, = sealed('p f n=%di:u32')
    first, second = (text_of(event, {'n': n}) for n in (1, 2))
    elsewhere = text_of(event, {'n': 3}).replace(b'[001]', b'[000]')
    other = STACK.replace(b'[001]', b'[000]').replace(b'=> f', b'=> g')
    stacks = [(each['values']['n'], each['stack']) for each in objects([event], first + elsewhere + STACK + other + second, STACK, stacks=True)]
    assert stacks == [(1, ['f', 'do_syscall_64']), (3, ['g', 'do_syscall_64']), (2, ['f', 'do_syscall_64'])]
    # an interrupt comes between; one is lost; one never comes
    nested = first + second + other.replace(b'[000]', b'[001]') + STACK
    stacks = [(each['values']['n'], each['stack']) for each in objects([event], nested, stacks=True)]
    assert stacks == [(2, ['g', 'do_syscall_64']), (1, ['f', 'do_syscall_64'])]
    found = objects([event], first + b'CPU:1 [LOST 5 EVENTS]\n' + second, stacks=True)
    assert [(each.get('lost'), each.get('stack', ()), each.get('values')) for each in found] == [
        (None, None, {'n': 1}), (5, (), None), (None, None, {'n': 2})]
    never = [text_of(event, {'n': n}) for n in range(20)]
    assert [each['values']['n'] for each in objects([event], *never, stacks=True)] == list(range(20))
    assert all('stack' not in each for each in objects([event], first))


@pytest.mark.parametrize('stacks', [True, False])
def test_what_could_not_be_written_is_taken_back(stacks):
    event, = sealed('p f n=%di:u32')
    for data in (text_of(event, {'n': 1}) * 4, (text_of(event, {'n': 1}) + STACK * stacks) * 4):
        decoder = Decoder([event], view=Json([event]), stacks=stacks)
        out = decoder.block(data) + decoder.finish()
        decoder.take_back(len(out) // 2)
        assert decoder.counts == {'f0': 2}


def test_a_table():
    events = sealed('p f n=%di:u32 h:comm log2(n) sum(n)', 'p:g f h:')
    data = b''.join(text_of(events[0], {'n': n, 'comm': comm}) for n in (0, 2, 5) for comm in (b'a"', b'(null)')) + text_of(events[1], {})
    decoder = Decoder(events, view=Json(events))
    assert decoder.block(data) == b''
    lines = decoder.view.tables(decoder.counting, None, '').splitlines()
    rows = [{'event': 'f', 'keys': {'comm': comm, 'log2(n)': bounds}, 'calls': 1, 'sum(n)': total}
            for comm in ('a"', '(null)') for bounds, total in (([0, 1], 0), ([2, 2], 2), ([5, 8], 5))]
    assert sorted(map(json.loads, lines), key=str) == sorted([*rows, {'event': 'g', 'keys': {}, 'calls': 1}], key=str)
    more = json.loads(decoder.view.tables(decoder.counting, 1, '5 lost', '12:00:00').splitlines()[0])
    assert (more['at'], more['missing']) == ('12:00:00', '5 lost')


def test_a_key_may_be_called_event():
    events = sealed('p f event=%di:u32 h:event', 'p:g f event=%di:u32 h:event')
    decoder = Decoder(events, view=Json(events))
    decoder.block(text_of(events[1], {'event': 5}))
    assert json.loads(decoder.view.tables(decoder.counting, None, '')) == {'event': 'g', 'keys': {'event': 5}, 'calls': 1}


# ---- --format

def formatted(template: str, *lines: str) -> list[str]:
    events = sealed(*lines)
    data = b''.join(text_of(event, values, comm=comm)
                    for event, values, comm in zip(events, ({'n': 7}, {'s': b'x\ny'}), (b'a\x1bb', b'-')))
    decoder = Decoder(events, view=Template(template, events))
    return (decoder.block(data) + decoder.finish()).decode().splitlines()


def test_a_line_is_what_the_template_says():
    lines = 'p f n=%di:u32', 'p f s=+0(%si):string'
    assert formatted('{time} {pid}/{cpu} {comm:>8}|{event} {n:<3}|{s}{{}}', *lines) == [
        r'0.000000 77/1   a\x1bb|f0 f 7  |-{}', r'0.000000 77/1        -|f1 f -  |"x\x0ay"{}']
    assert formatted('{task} {text} {function}', *lines) == [r'a\x1bb-77 n=7 f', r'--77 s="x\x0ay" f']
    assert formatted('{comm}', 'p f comm=%di:u32'.replace('comm', 'n'), lines[1]) == [r'a\x1bb', '-']


@pytest.mark.parametrize(('template', 'at'), [('{time} {nn}', 7), ('{', 0), ('a}', 1), ('{n:x}', 0), ('{}', 0), ('{n:05}', 0), ('{n:>0}', 0)])
def test_a_template_that_means_nothing_is_refused(template, at):
    with pytest.raises(surftrace.InputError) as error:
        Template(template, sealed('p f n=%di:u32'))
    assert error.value.at and error.value.at[0] == at and str(error.value).startswith('--format: ')


@pytest.mark.parametrize('arguments', [('--json', '--raw'), ('--json', '--format', 'x'), ('--raw', '-T'), ('--json', '-H'), ('-T', '--delta'),
                                       ('-t', '--json'), ('-o', '-', '--json'), ('--format', 'x', '--cpu')])
def test_options_that_do_not_go_together(arguments):
    status, out, err = outcome(*arguments, 'e sched/sched_switch')
    assert (status, out) == (2, '') and 'do not go together' in err and len(err) < 100
