"""Lines that count (h:): what they may be, and the tables that come of records, compared with a count of our own. Whole
blocks of plain records are counted another way than single ones: both must say the same."""
from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from helpers import AMD64, KERNEL, events_of, machine_of, need, sealed, text_of

import surftrace
from surftrace import (
    ENTRIES_ELSEWHERE,
    Column,
    Counting,
    Decoder,
    Event,
    Field,
    Histogram,
    InputError,
    Kallsyms,
    Module,
    Pair,
    Run,
    Step,
    Write,
    arch_named,
    bucket,
    event_names,
    histograms,
    key_text,
    make_events,
    number_range,
    parse_probe,
    paused,
    plan,
    printable,
    run_histograms,
    script,
    shown_command,
    shown_lines,
    tallies,
)

STACK = b'            bash-77      (     77) [001]   421.123456: <stack trace>\n'
PLAIN, = sealed('p f n=%di:s32 size=%si:u64 h:n log2(size)')
BEHIND, = sealed('p f n=%di:s32 users=+84(+2272(%di)):s32 h:users sum(n)')
TEXT, = sealed('p f s=+0(%si):string n=%di:u32 h:s comm')


def table(events: list[Event], data: bytes, top: int | None = None, **options) -> list[str]:
    """The lines of the tables of these records; nothing is shown of the records themselves."""
    decoder = Decoder(events, **options)
    assert decoder.block(data) + decoder.finish() == b''
    return decoder.counting.text(top).splitlines()


def rows(lines: list[str]) -> list[str]:
    """The rows between the titles and the number of all, without their bars."""
    return [line.split(' |')[0].strip() for line in lines[1:-1]]


# ---- what a line may be


@pytest.mark.parametrize(('line', 'told'), [
    ('p f h:', 'h:'), ('p f h:comm', 'h:comm'), ('p f h:cpu common_pid stack', 'h:cpu common_pid stack'),
    ('p f a=%di:u32 h:a', 'h:a'), ('p f h:a=%di:u32', 'h:a'), ('p f h:log2(%di)', 'h:log2(di)'),
    ('p f h:n=step(%di,100) f:common_pid!=1', 'h:step(n,100) f:common_pid!=1'),
    ('p f a=%di:u32 h:comm sum(a) avg(a) f:a>3', 'h:comm sum(a) avg(a) f:a>3'),
    ('p f h:+8(+240(%di)):u32', 'h:mem'), ('p f h:X%di', 'h:di'), ('p f a=+0(%di):u16:be16 h:a', None),
    ('p f cpu=%di:u32 h:cpu', 'h:cpu'), ('p f h:cpu=%di:u32', 'h:cpu'), ('p f a=%di:u32 h: log2(a)', 'h:log2(a)'),
])
def test_what_is_shown_of_a_counting_line_can_be_read_again(line, told):
    if told is None:
        with pytest.raises(InputError):
            sealed(line)
        return
    event, = sealed(line)
    shown, = event.lines()
    assert shown.partition(' #! ')[2] == told
    again, = sealed(shown)
    assert again.lines() == [shown]
    assert (again.columns, again.definitions) == (event.columns, event.definitions)


def test_a_key_that_a_line_has_is_not_fetched_twice():
    event, = sealed('p f a=%di:u32 h:a log2(a) sum(a) avg(a)')
    assert event.definitions[0].definition() == 'p:f0 f a=%di:u32'
    event, = sealed('p f h:log2(%di) sum(%di)')
    assert event.definitions[0].definition() == 'p:f0 f di=%di:x64'


def test_a_name_of_ours_is_that_of_the_line_first():
    event, = sealed('p f cpu=%di:u32 h:cpu')
    assert event.columns == (Column('cpu', '', 0, 0, True),)
    event, = sealed('p f h:cpu')
    assert event.columns == (Column('cpu', '', -1, 0, True),)
    event, = sealed('e system/event h:comm')
    assert not event.definitions and event.columns == (Column('comm', ''),)
    event, = sealed('e system/event prev_pid h:comm')       # in trace_pipe it may be an older one
    assert event.lines() == ['e:f0 system/event prev_pid=$prev_pid:s32 comm=$comm:string #! h:comm']


def test_what_is_shown_and_counted_by_is_fetched_once():
    for line in ('r f $retval:errno h:$retval:errno', 'p f a=%di:ip h:%di:ip log2(%si)', 'p f h:%di:x64 %di:x64 f:%di:x64>3'):
        event, = sealed(line)
        fetches = [fetch for _, fetch in event.definitions[0].args]
        assert len(fetches) == len(set(fetches)), line


@pytest.mark.parametrize(('line', 'message', 'at'), [
    ('p f h:%di %si %dx %cx', 'at most 3 keys', '%cx'), ('p f h:sum(%di) avg(%si) sum(%dx)', 'at most 2 of sum', 'sum(%dx)'),
    ('p f h:step(%di)', "',' expected", ')'), ('p f h:step(%di,0)', 'above 0', '0'), ('p f h:step(%di,x)', 'above 0', 'x'),
    ('p f h:log2(+0(%di):string)', "')' expected", ':'), ('p f s=+0(%di):string h:log2(s)', "'s' is no number", 'log2(s)'),
    ('p f a=+0(%di):x8[4] h:sum(a)', "'a' is no number", 'sum(a)'), ('p f h:u32', 'h=h:u32', 'u32'),
    ('p f h:log2(%di', 'nothing follows', ''), ('p f h:log2(%di)x', 'complete before this', 'x'),
    ('p f h:common_type=%di', 'a field every event has', 'common_type=%di'),
    ('p f h:a=%di a=%si', 'there already', 'a=%si'), ('p f a=%di h:a=log2(%di)', 'there already', 'a=log2(%di)'),
])
def test_what_a_counting_line_may_not_be(line, message, at):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        make_events([parse_probe(line)], KERNEL)
    error = caught.value
    start = error.at[0] if error.at else -1
    assert line[start:].startswith(at)


# ---- tables


def test_buckets_are_those_of_the_kernel():
    powers = Column('n', 'log2', 0, 0, True)
    expected = {0: '0-1', 1: '0-1', 2: '2', 3: '3-4', 4: '3-4', 5: '5-8', 8: '5-8', 9: '9-16', 1 << 63: f'{(1 << 62) + 1}-{1 << 63}',
                (1 << 64) - 1: f'{(1 << 63) + 1}-{1 << 64}', -1: '-1', -100: '-100'}
    assert {value: key_text(powers, bucket(powers, str(value))) for value in expected} == expected
    steps = Column('n', 'step', 0, 100, True)
    expected = {0: '0-99', 99: '0-99', 100: '100-199', -1: '-1', -250: '-250'}
    assert {value: key_text(steps, bucket(steps, str(value))) for value in expected} == expected
    assert bucket(powers, '(null)') == '(null)'


def test_a_table():
    data = b''.join(text_of(PLAIN, {'n': n, 'size': size}) for n, size in [(-3, 5), (-3, 7), (-3, 70), (12, 0), (2, 1)])
    assert table([PLAIN], data) == [
        ' n    size  calls',
        '-3     5-8      2 |########################################',
        '-3    9-16      0 |',
        '-3   17-32      0 |',
        '-3   33-64      0 |',
        '-3  65-128      1 |####################',
        ' 2     0-1      1 |####################',
        '12     0-1      1 |####################',
        '5 calls']


def test_nothing_is_counted_as_nothing():
    assert table([PLAIN], b'')[-1] == '0 calls'
    bare, = sealed('p f h:')
    assert table([bare], b'') == ['f: 0 calls']
    added, = sealed('p f n=%di:s32 h:sum(n) avg(n)')
    assert table([added], b'') == ['f: 0 calls, sum(n) 0, avg(n) -']
    assert table([added], b''.join(text_of(added, {'n': n}) for n in (-5, 2))) == ['f: 2 calls, sum(n) -3, avg(n) -1.5']


def test_what_could_not_be_read_is_a_row_of_its_own_and_in_no_sum():
    good, null = {'users': 7, 'n': 1}, {'users': 9, 'n': 100}
    data = text_of(BEHIND, good) * 3 + text_of(BEHIND, null, {'ptr2': 0}) * 2 + text_of(BEHIND, null, {'ptr2': 0x7f0000001000})
    assert rows(table([BEHIND], data)) == ['7      3       3', '(null)      2     200', '(fault)      1     100']
    added, = sealed('p f users=+84(+2272(%di)):s32 h:sum(users) avg(users)')
    data = text_of(added, {'users': 7}) * 3 + text_of(added, {'users': 9}, {'ptr2': 0}) * 2
    assert table([added], data) == ['f: 5 calls, sum(users) 21 (+2 not read), avg(users) 7.0 (+2 not read)']


def test_texts_stand_by_their_size_and_numbers_in_their_order():
    data = b''.join(text_of(TEXT, {'s': s, 'n': 1, 'comm': b'x'}) * times for s, times in ((b'a', 1), (b'b', 3), (b'c', 2)))
    assert [row.split()[0] for row in rows(table([TEXT], data))] == ['"b"', '"c"', '"a"']
    number, = sealed('p f h:n=%di:u32')
    data = b''.join(text_of(number, {'n': n}) * times for n, times in ((9, 1), (10, 3), (1, 2)))
    assert [row.split()[0] for row in rows(table([number], data))] == ['1', '9', '10']
    address, = sealed('p f h:n=%di:x64')
    data = b''.join(text_of(address, {'n': n}) * times for n, times in ((9, 1), (10, 3), (1, 2)))
    assert [row.split()[0] for row in rows(table([address], data))] == ['0xa', '0x1', '0x9']


def test_a_field_called_stack_is_a_number_like_any_other():
    event, = sealed('p f stack=%di:u32 h:stack')
    assert rows(table([event], text_of(event, {'stack': 7}) * 2)) == ['7      2']


def test_a_tasks_name_keeps_its_own_quotes():
    event, = sealed('p f h:comm')
    data = text_of(event, {'comm': b'"a"'}) + text_of(event, {'comm': b'a'}) * 2
    assert [row.split() for row in rows(table([event], data))] == [['a', '2'], ['"a"', '1']]


def test_only_the_largest_rows():
    number, = sealed('p f h:n=%di:u32')
    data = b''.join(text_of(number, {'n': n}) * (n + 1) for n in range(10))
    assert table([number], data, top=2)[1:] == [
        '8      9 |####################################', '9     10 |########################################',
        '55 calls, 36 of them in 8 more rows']


@pytest.mark.parametrize('lines', [('p f h:', 'r f h:'), ('p f n=%di:s32 h:', 'p f n=%di:s32 h: f:n==5')])
def test_two_lines_of_one_function_are_two_rows(lines):
    events = sealed(*lines)
    data = b''.join(text_of(event, {'n': 5}) for event in [*events, events[1]])
    assert sorted(row.split() for row in rows(table(events, data))) == [['f0', 'f', '1'], ['f1', 'f', '2']]


def test_of_a_pattern_each_function_is_a_row_however_long_its_name():
    names = ['g' * 70 + end for end in ('_one', '_two', '.x_(int*)', '.x_(int&)')]
    assert len(set(event_names('f0', {name: name for name in names}).values())) == 4
    assert event_names('f0', {'a.b': 'a.b', 'a/b': 'a/b'}) == {'a.b': 'f0_a_b', 'a/b': 'f0_a_b_2'}
    symbols = ''.join(f'ffffffff8100000{i} T {name}\n' for i, name in enumerate(names[:2]))
    machine = machine_of(Module(AMD64, Kallsyms(symbols.encode()), []))
    events = events_of(machine, 'p g* h:')
    data = b''.join(text_of(event, {}) for event in [*events, events[1]])
    assert sorted(row.split() for row in rows(table(events, data))) == [[names[0], '1'], [names[1], '2']]


def test_a_row_between_the_largest_is_counted_once():
    size, = sealed('p f n=%di:u32 h:log2(n)')
    data = b''.join(text_of(size, {'n': n}) * times for n, times in ((4, 5), (8, 1), (16, 3), (64, 1)))
    assert table([size], data, top=2)[1:] == [
        ' 3-4      5 |########################################', ' 5-8      1 |########', '9-16      3 |########################',
        '10 calls, 1 of them in 1 more rows']


def test_events_that_count_alike_are_one_table():
    events = sealed('p:one f h:comm', 'p:two f h:comm', 'p:other f h:cpu')
    data = b''.join(text_of(event, {'comm': b'bash'}) for event in events[:2]) + text_of(events[2], {})
    assert table(events, data) == [
        'event  comm  calls', 'one    bash      1 |########################################',
        'two    bash      1 |########################################', '2 calls', '',
        'cpu  calls', '  1      1 |########################################', '1 calls']


@pytest.mark.parametrize('seed', range(4))
def test_every_way_to_count_says_the_same(seed):
    """Random records, in blocks of random size, plain or not, of several events, some shown."""
    random = Random(seed)
    for event, names in ((PLAIN, ('n', 'size')), (TEXT, ('s', 'comm')), (BEHIND, ('users', 'n'))):
        records, expected = [], Counter()
        for _ in range(400):
            values = {'n': random.randrange(3), 'size': random.randrange(9), 'users': random.randrange(3),
                      's': random.choice((b'x', b'a "b', b'new\nline')), 'comm': b'bash'}
            bad = event is BEHIND and random.random() < 0.1
            records.append(text_of(event, values, {'ptr2': 0} if bad else None))
            expected[str(values[names[0]]) if not bad else '(null)'] += 1
        decoder = Decoder([event])
        while records:
            count = random.randrange(1, 60)
            decoder.block(b''.join(records[:count]))
            del records[:count]
        decoder.finish()
        counted = Counter()
        for key, row in decoder.counting.tables[0].rows.items():
            counted[str(key[0])] += row.calls
        if event is TEXT:
            expected = Counter({f'"{eval(text).decode()}"': count for text, count in expected.items()})
        assert counted == expected
        assert decoder.counts == {'f0': 400} and decoder.records == 400


def test_a_record_that_could_be_read_in_two_ways_is_counted_as_such():
    two, = sealed('p f s=+0(%si):string t=+0(%di):string h:s')
    data = text_of(two, {'s': b'x" t="y', 't': b'z'})
    assert rows(table([two], data)) == ['(not decoded)      1']


def test_tasks_that_are_not_wanted_are_not_counted():
    data = text_of(PLAIN, {'n': 1, 'size': 1}, tgid='77') + text_of(PLAIN, {'n': 1, 'size': 1}, pid=78, tgid='78')
    assert rows(table([PLAIN], data, tasks=frozenset([78]))) == ['1   0-1      1']


def test_shown_and_counted_events_side_by_side():
    shown, counted = sealed('p:shown f n=%di:u32', 'p:counted f n=%di:u32 h:n')
    decoder = Decoder([shown, counted])
    text = decoder.block(text_of(shown, {'n': 1}) + text_of(counted, {'n': 2}) + text_of(shown, {'n': 3}))
    assert text.count(b'\n') == 2 and b'n=1' in text and b'n=3' in text
    assert rows(decoder.counting.text().splitlines()) == ['2      1']
    assert decoder.counts == {'shown': 2, 'counted': 1}


# ---- stacks


BY_STACK, = sealed('p f h:stack')


def stack(frames: str, cpu: int = 1, kind: str = '') -> bytes:
    """A stack, as the kernel prints it."""
    head = STACK.split(b'\n')[0].replace(b'[001]', b'[%03d]' % cpu).replace(b'<stack', f'<{kind}stack'.encode())
    return head + b'\n' + b''.join(b' => %s\n' % frame.encode() for frame in frames.split())


def test_calls_by_their_stack():
    record = text_of(BY_STACK, {})
    data = record + stack('a b') + record + stack('c') + record + stack('a b')
    assert table([BY_STACK], data) == [
        'calls', '    2 |########################################', '    a', '    b', '    1 |####################', '    c', '3 calls']


@pytest.mark.parametrize('view', [None, surftrace.Json])
def test_a_stack_is_read_in_pieces(view):
    """What is read of a pipe ends anywhere: it was cut there, in a table and in JSON, and the rest was shown."""
    shown = sealed('p f' if view else 'p f h:stack')
    data = (text_of(shown[0], {}) + stack('a b') + text_of(shown[0], {}) + stack('a b')).splitlines(True)
    for size in range(1, len(data)):
        whole, decoder = (Decoder(shown, stacks=bool(view), view=view and view(shown)) for _ in range(2))
        out = whole.block(b''.join(data))
        pieces = [decoder.block(b''.join(data[:size]), None, True), decoder.block(b''.join(data[size:]), None, True)]
        assert decoder.waits
        pieces += [decoder.block(b'')] if size % 2 else [decoder.finish()]
        assert b''.join(pieces) == out
        assert decoder.counting.text() == whole.counting.text()


def test_the_frames_of_the_probe_itself_are_no_part_of_it():
    data = text_of(BY_STACK, {}) + stack('kprobe_ftrace_handler 0xffffffffc0400000 f do_syscall_64')
    assert table([BY_STACK], data)[2:-1] == ['    f', '    do_syscall_64']


def test_an_interrupt_between_a_record_and_its_stack():
    inner, = sealed('p:inner f h:stack comm')
    outer = BY_STACK
    events = [outer, inner]
    data = text_of(outer, {}) + text_of(inner, {'comm': b'irq'}) + stack('in') + stack('out')
    lines = Decoder(events), data
    lines[0].block(data)
    text = lines[0].counting.text()
    assert text.index('    out') < text.index('irq') < text.index('    in')


def test_a_shown_event_does_not_take_the_stack_of_a_counted_one():
    shown, = sealed('p:shown f n=%di:u32')
    decoder = Decoder([BY_STACK, shown], stacks=False)
    text = decoder.block(text_of(BY_STACK, {}) + text_of(shown, {'n': 1}) + stack('of_shown') + stack('of_counted'))
    assert text.count(b'\n') == 1 and b'of_counted' in decoder.counting.text().encode() and b'of_shown' not in text
    assert 'of_shown' not in decoder.counting.text()


def test_the_stack_of_a_counted_record_is_not_shown():
    shown, counted = sealed('p:shown f n=%di:u32', 'p:counted f h:comm')
    decoder = Decoder([shown, counted])
    text = decoder.block(text_of(shown, {'n': 1}) + stack('of_shown') + text_of(counted, {'comm': b'x'}) + stack('of_counted'))
    assert b'of_shown' in text and b'of_counted' not in text and text.count(b'<stack trace>') == 1


def test_a_stack_that_was_lost_is_no_other_one():
    record = text_of(BY_STACK, {})
    data = record + b'CPU:1 [LOST 3 EVENTS]\n' + stack('of_a_lost_record') + record + stack('a')
    decoder = Decoder([BY_STACK], stacks=False)
    decoder.block(data)
    decoder.finish()
    text = decoder.counting.text()
    assert '(no stack)' in text and 'of_a_lost_record' not in text and text.count('    1 |') == 2


def test_a_user_stack_is_that_of_a_programs_event():
    assert rows(table([BY_STACK], text_of(BY_STACK, {}) + stack('kernel') + stack('user', kind='user '), stacks=False))[1] == 'kernel'


# ---- histograms of the kernel


def triggers(line: str) -> list[str]:
    """The histograms that count the event of a line."""
    event, = sealed(line)
    return [each.trigger() for each in histograms(event, [event.filter] if event.filter else [])]


GOOD = 'ptr1>=0xff00000000000000&&ptr1<=0xfffffffffffff000'


@pytest.mark.parametrize(('line', 'expected'), [
    ('p f h:', ['hist:keys=common_type:size=128']),
    ('p f n=%di:s32 h:n cpu common_pid', ['hist:keys=n,common_cpu,common_pid:size=128']),
    ('p f n=%di:u32 h:comm n f:comm==x', ['hist:keys=n,comm:size=128 if comm=="x"']),
    ('p f n=%di:s32 h:log2(n)', ['hist:keys=n.log2:size=128 if n>=1', 'hist:keys=n:size=128 if n<1']),
    ('p f n=%di:u64 h:log2(n)', [
        'hist:keys=n.log2:size=128 if n>=1&&n<=9223372036854775808', 'hist:keys=n:size=128 if n<1||n>9223372036854775808']),
    ('p f n=%di:u32 h:step(n,100)', ['hist:keys=n.buckets=100:size=128']),
    ('p f n=%di:s32 h:step(n,100)', ['hist:keys=n.buckets=100:size=128 if n>=0', 'hist:keys=n:size=128 if n<0']),
    ('p f n=%di:u32 h:n log2(n) step(n,9) sum(n)', ['hist:keys=n:size=128']),
    ('p f n=%di:u32 h:sum(n) avg(n)', ['hist:keys=common_type:vals=n:size=128']),
    ('p f n=%di:u64 h:comm sum(n) f:n>3||n==1', [
        'hist:keys=comm:vals=n:size=128 if (n<=4294967296)&&(n>3||n==1)', 'hist:keys=n,comm:size=128 if (n>4294967296)&&(n>3||n==1)']),
    ('p f n=+8(%di):u32 h:n', [
        f'hist:keys=n:size=128 if {GOOD}', 'hist:keys=common_type:size=128 if ptr1<4096',
        f'hist:keys=common_type:size=128 if ptr1>4095&&!({GOOD})']),
    ('P /bin/sh:0x1000 n=%di:u32 h:n', ['hist:keys=n:size=128']), ('r f h:$retval', ['hist:keys=retval:size=128']),
    ('p f a=+0(%di):string n=%si:u32 h:n', ['hist:keys=n:size=128']),
])
def test_the_histograms_of_a_line(line, expected):
    if line[0] == 'P':
        event, = sealed(line.replace('P /bin/sh:0x1000', 'p f'))
        event = event._replace(definitions=(event.definitions[0]._replace(letter='P'),))
        assert [each.trigger() for each in histograms(event, [])] == expected
    else:
        assert triggers(line) == expected


@pytest.mark.parametrize(('line', 'words', 'at'), [
    ('p f s=+0(%di):string h:s', 'no plain number', 's'), ('p f h:stack', 'by the stack', 'stack'),
    ('p f n=+u8(%di):u32 h:n', 'memory of a program', 'n'), ('p f n=+0(+u8(%di)):u32 m=%di h:m n', 'memory of a program', 'n'),
    ('p f a=+0(%di):x8[4] h:a', 'no plain number', 'a'), ('p f h:hitcount=%di:u32', "called 'hitcount'", 'hitcount=%di:u32'),
    ('p f h:cpu=%di:u32', "called 'cpu'", 'cpu=%di:u32'), ('p f h:a=$comm b=$comm', 'two texts', None),
    ('e system/event h:cpu comm', 'not ours', 'comm'), ('p f h:n=%di:symbol', 'no plain number', 'n=%di:symbol'),
    ('p f n=%di:u64 m=%si:u64 h:comm cpu sum(n) sum(m)', 'so many keys', None),
    ('p f n=%di:u64 h:comm cpu common_pid sum(n)', 'so many keys', None),
])
def test_what_only_user_space_counts_is_told_with_its_reason(line, words, at):
    event, = sealed(line)
    with pytest.raises(InputError, match=words) as caught:
        histograms(event, [])
    assert (caught.value.at and line[slice(*caught.value.at)]) == at
    assert run_histograms([event], Run('g', entries=1 << 17)) == []
    assert shown_lines([event], Run('', entries=1 << 14)) == [*event.lines(), f'# {event.name}: {caught.value.message}']


def test_numbers_in_the_memory_of_a_program_are_counted_in_user_space():
    event, = sealed('p f n=+8(%di):u32 h:n')
    assert histograms(event, [])
    for other in event._replace(definitions=(event.definitions[0]._replace(letter='P'),)), event._replace(pair=Pair('f_in')):
        with pytest.raises(InputError, match='only surftrace itself'):
            histograms(other, [])


# ---- pairs that the kernel makes


BEGAN, TOOK = 'began=common_timestamp.usecs', 'took=common_timestamp.usecs-$began:onmatch(g.f0_in).trace'


@pytest.mark.parametrize(('line', 'expected'), [
    ('r f h:comm log2($dur)', [
        's:g_pair char[] comm; u64 dur', f'f0_in hist:keys=sp1:{BEGAN}:size=2048',
        'g_pair hist:keys=dur.log2,comm:size=2048 if dur>=1&&dur<=9223372036854775808',
        'g_pair hist:keys=dur,comm:size=2048 if dur<1||dur>9223372036854775808',
        f'f0 hist:keys=sp1-8:{TOOK}(g_pair,comm,$took):size=2048']),
    ('r f name=+0(%0):string $retval h:$dur f:dur>1500us&&retval>0', [         # what is not counted by is not kept
        's:g_pair u64 dur', f'f0_in hist:keys=sp1:{BEGAN}:size=4096', 'g_pair hist:keys=dur:size=4096 if dur>1500',
        f'f0 hist:keys=sp1-8:{TOOK}(g_pair,$took):size=4096 if retval>0']),
    ('r f n=%1:u32 ret=$retval:u32 h:n step($dur,10) sum(ret) f:!(dur<1001ns||n==3||cpu>1)', [
        's:g_pair u32 n; u32 ret; u64 dur', f'f0_in hist:keys=sp1:{BEGAN},kept_n=n:size=4096',
        'g_pair hist:keys=n,dur.buckets=10:vals=ret:size=4096 if dur>=2&&n!=3&&cpu<=1',
        f'f0 hist:keys=sp1-8:{TOOK}(g_pair,$kept_n,ret,$took):size=4096']),
])
def test_a_pair_is_made_of_what_both_know(line, expected):
    steps = [step.do for step in plan(sealed(line), Run('g', entries=1 << 14))]
    made = [step.text if step.path == 'dynamic_events' else f"{step.path.split('/')[-2]} {step.text}"
            for step in steps if step.path == 'dynamic_events' or step.path.endswith('/trigger')]
    assert made == expected
    assert not [step for step in steps if step.path.endswith('/enable')]
    assert {step.path for step in steps if 'g_pair ' in step.path} <= {'instances/g/events/synthetic/g_pair/trigger'}


@pytest.mark.parametrize(('op', 'time', 'whole'), [
    ('>', '1ns', '>0'), ('>', '1us', '>1'), ('>', '1999ns', '>1'), ('>=', '1us', '>=1'), ('>=', '1001ns', '>=2'), ('<', '1us', '<1'),
    ('<', '1001ns', '<2'), ('<=', '1999ns', '<=1'), ('<=', '2us', '<=2'), ('==', '2us', '==2'), ('!=', '1.5ms', '!=1500')])
def test_times_are_compared_in_whole_microseconds(op, time, whole):
    *_, entry, counted, back = run_histograms(sealed(f'r f h:$dur f:dur{op}{time}'), Run('g', entries=1 << 14))
    assert counted.filter == f'dur{whole}'
    nanoseconds = int(whole.lstrip('<=>!')) * 1000 if op in ('==', '!=') else int(
        float(time[:-2]) * {'ns': 1, 'us': 1000, 'ms': 1000000}[time[-2:]])
    for dur in range(5):
        assert eval(f'{dur}{whole}') == eval(f'{1000 * dur}{op}{nanoseconds}')


@pytest.mark.parametrize(('lines', 'words'), [
    (['r f n=+8(%0):u32 h:n $dur'], "'n' of a call: that is no plain number"), (['r f h:$dur stack'], 'by the stack'),
    (['r f s=+0($retval):string h:s $dur'], "'s' of a call"), (['r f h:n=$retval $dur'], "a name of one letter, 'n'"),
    (['r f n=%1 h:n'], 'without its time'), (['r f h:$dur', 'r:other f h:$dur'], 'the times of several lines'),
    (['r f h:$dur f:dur==1500ns'], 'no whole microseconds'), (['r f h:$dur', 'p:then f h:$dur(f0)'], 'here'),
])
def test_pairs_that_only_user_space_makes(lines, words):
    events = sealed(*lines)
    lines = shown_lines(events, Run('', entries=1 << 14))
    assert any(re.search(words, line) for line in lines if line[0] == '#'), lines
    assert not [each for each in run_histograms(events, Run('g', entries=1 << 17)) if each.keeps]


def test_pairs_are_made_where_the_stack_pointer_is_known_and_each_task_has_room():
    events = sealed('r f h:$dur')
    kept = [each for each in run_histograms(events, Run('g', entries=1 << 14, tasks=100)) if each.keeps]
    assert [each.entries for each in kept] == [4096, 4096]
    assert run_histograms(events, Run('g', entries=1 << 14, tasks=200)) == []
    for name, key in ('aarch64', 'sp1'), ('i386', None), ('riscv64', None):
        there = [event._replace(arch=arch_named(name)) for event in events]
        made = run_histograms(there, Run('g', entries=1 << 14))
        assert [each.keys[-1].title for each in made[-1:]] == [key] * bool(key)


def test_pairs_come_before_what_else_is_counted_since_they_set_the_clock():
    events = sealed('p:a f h:', 'r f h:$dur', 'p:b f')
    paths = [step.do.path for step in plan(events, Run('g', entries=1 << 14))]
    order = [path.rsplit('/', 2)[1] for path in paths if path.endswith(('/trigger', '/enable'))]
    assert order == ['f1_in', 'g_pair', 'f1', 'a', 'b']


def test_what_found_no_room_before_it_was_a_pair_is_said():
    events = sealed('r f n=%1:u32 h:n sum($dur)')
    made, counting = run_histograms(events, Run('g', entries=1 << 14)), Counting(events)
    tally, = tallies(made)
    assert (tally.event.name, [each.event.name for each in tally.keep]) == ('f0', ['f0_in', 'f0'])
    records = [({'n': 5, 'dur': 1200}, '')] * 3 + [({'n': 7, 'dur': 1 << 33}, '')]
    assert tally.take(histogram_file(list(tally.histograms), records), counting) == 4
    assert tally.losses() == []
    for kept, dropped in zip(tally.keep, (3, 1)):
        tally.take_kept(kept, histogram_file([kept._replace(keys=())], [({}, '')] * 9, dropped=dropped))
    assert tally.losses() == ['up to 4 with keys that found no room in the kernel']
    assert (tally.returns, tally.alone) == (9, 2)       # returns whose entry was not seen, beside 3 of entries that found no room
    assert counting.text().splitlines()[1:3] == [f"5      3           3600 |{'':40}".rstrip(), f"7      1     {1 << 33} |{'#' * 40}"]


@pytest.mark.parametrize('seen', [True, False, None])
def test_a_script_that_lives_has_its_trace_pipe_open(seen, tmp_path, monkeypatch):
    """In a PID namespace, whose processes are not all that there are, it may."""
    monkeypatch.setattr(surftrace, 'has_kernels_pids', lambda process: seen)
    name = f'{tmp_path.name}/trace_pipe'
    with open(tmp_path / 'trace_pipe', 'w'):
        assert surftrace.is_open(name)
    assert surftrace.is_open(name) == (not seen)


def test_a_histogram_is_paused_with_its_filter():
    assert paused(Write('f/trigger', 'hist:keys=a:size=128 if b if c')).text == 'hist:keys=a:size=128:pause if b if c'
    assert paused(Write('f/trigger', 'hist:keys=a:size=128')).text == 'hist:keys=a:size=128:pause'


# ---- what -S and a script have of it


def test_what_is_shown_is_what_one_would_type():
    events = events_of(KERNEL, 'p f users=+84(+2272(%di)):s32 h:users', 'e system/event h:', 'p f h:stack', 'p:plain f n=%di:u32')
    lines = shown_lines(events, Run('', entries=1 << 14))
    file = '>> events/kprobes/f0/trigger'
    assert [re.sub(r" if .*(?=')", '', line) for line in lines] == [
        'p:f0 f users=+84(+2272(%di)):s32 ptr1=%di:x64 ptr2=+2272(%di):x64 #! ptr1+ptr2:unseen h:users',
        f"# echo 'hist:keys=users:size=16384' {file}", *[f"# echo 'hist:keys=common_type:size=128' {file}"] * 2,
        '#! e system/event h:', "# echo 'hist:keys=common_type:size=128' >> events/system/event/trigger",
        'p:f2 f #! h:stack', '# f2: only surftrace itself, not the kernel, can count by the stack', 'p:plain f n=%di:u32']
    again = events_of(KERNEL, *[line for line in lines if line[:2] != '# '])
    assert shown_lines(again, Run('', entries=1 << 14)) == lines
    assert [(event.columns, event.definitions) for event in again] == [(event.columns, event.definitions) for event in events]


def holds(filter_: str, values: dict[str, int]) -> bool:
    """Whether the kernel's filter lets these numbers in."""
    python = re.sub(r'!(?=\()', ' not ', filter_).replace('&&', ' and ').replace('||', ' or ')
    return not filter_ or eval(python, {}, dict(values))


def entry(histogram: Histogram, values: dict[str, int], comm: str) -> tuple[str, list[int]]:
    """The keys of a record as the kernel prints them, and what it adds to that entry's numbers."""
    texts = []
    for key in histogram.keys or (Column('common_type', ''),):
        value, how = values.get(key.title, 7) % (1 << 64), key.how
        if how == 'log2':
            texts.append(f'{key.title}: ~ 2^{(value - 1).bit_length() if value else 0:<2}')
        elif how == 'step':
            texts.append(f'{key.title}: ~ {value - value % key.step}-{value - value % key.step + key.step - 1}')
        else:
            texts.append(f'{key.title}: {comm:<50}' if key.title in ('comm', 'who') else f'{key.title}: {value:>10}')
    sums = [values[histogram.event.fields[number].name] % (1 << 64) for number in histogram.sums]
    return ', '.join(texts), [1, *sums]


def histogram_file(made: list[Histogram], records: list[tuple[dict[str, int], str]], dropped: int = 0) -> bytes:
    """What the kernel would print of these records."""
    parts = []
    for histogram in made:
        entries: dict[str, list[int]] = {}
        for values, comm in records:
            if holds(histogram.filter, values):
                keys, numbers = entry(histogram, values, comm)
                known = entries.setdefault(keys, [0] * len(numbers))
                known[:] = [(old + new) % (1 << 64) for old, new in zip(known, numbers)]
        names = [histogram.event.fields[number].name for number in histogram.sums]
        lines = [f'{{ {keys} }} hitcount: {hits:>10}' + ''.join(f'  {name}: {n:>10}' for name, n in zip(names, sums)) + '\n'
                 for keys, (hits, *sums) in entries.items()]
        condition = f' if {histogram.filter}' if histogram.filter else ''
        parts.append(f'# event histogram\n#\n# trigger info: hist:keys=x:vals=hitcount:sort=hitcount:size=128{condition} [paused]\n#\n\n'
                     + ''.join(lines) + f'\nTotals:\n    Hits: {sum(numbers[0] for numbers in entries.values())}\n'
                     f'    Entries: {len(entries)}\n    Dropped: {dropped}\n')
    return '\n\n'.join(parts).encode('utf-8', 'surrogateescape')


LINES = ('p f n=%di:s32 h:log2(n) sum(n) comm', 'p f n=%di:u64 h:log2(n) sum(n) avg(n)', 'p f n=%di:s64 m=%si:u8 h:step(n,100) m sum(n)',
         'p f n=+8(%di):s64 h:n', 'p f n=+84(+2272(%di)):u32 m=%si:s16 h:log2(n) comm sum(m)', 'p f n=+84(+2272(%di)):u64 h:sum(n) avg(n)',
         'p f n=+8(%di):x32 m=+8(%si):s8 h:n m', 'p f n=%di:u16 h:n log2(n) sum(n)', 'p f n=+8(%di):u64 h:comm log2(n) avg(n)',
         'p f n=%di:u32 h:step(n,7) step(n,1000)', 'p f n=+8(%di):b3@5/16 h:comm n', 'p f n=%di:u64 m=%si:s64 h:n sum(n) sum(m)',
         'p f who=$comm n=%di:u32 h:who step(n,1)', 'p f n=%di:s64 h:log2(n) comm')
NUMBERS = (0, 1, 2, 3, 4, 5, 99, 100, 127, 1 << 15, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 63) + 1,
           (1 << 64) - 1, (1 << 64) - 100)
POINTERS = (0, 1, 4095, 4096, 0x7f0000001000, 0xff00000000000000, 0xffff888000000000, 0xfffffffffffff000, 0xfffffffffffffff5)


def numbers_of(event: Event, random: Random) -> dict[str, int]:
    """What an event may have fetched."""
    values = {}
    for name, fetch in event.definitions[0].args:
        if fetch.base != '$comm':
            low, high = number_range(Field(name, (fetch,)))
            high = high if '@' not in fetch.kind else 7
            value = random.choice(NUMBERS) % (high - low + 1)
            values[name] = value if value <= high else value - (high - low + 1)
    return {**values, **{name: random.choice(POINTERS) for name, fetch in event.definitions[0].unseen if fetch.base[0] != '\\'}}


@pytest.mark.parametrize('line', LINES)
def test_a_table_of_histograms_is_that_of_the_records(line):
    event, = sealed(line)
    random, made = Random(line), histograms(event, [])
    names = ['bash', 'a b ', '', '} hitcount: 9', '\nTotals:\n', '"', 'a, n: 7', '\udcff', '# event\n#']
    records = [(numbers_of(event, random), random.choice(names).rstrip(' ')) for _ in range(600)]
    for values, _ in records:
        assert sum(holds(each.filter, values) for each in made) == 1
    pointers = {name for name, fetch in event.definitions[0].unseen if fetch.base[0] != '\\'}
    decoder = Decoder([event])
    tally, = tallies(made)
    counting, total = Counting([event]), 0
    for count in (200, 200, 350, 600):
        total += tally.take(histogram_file(made, records[:count]), counting)
        assert (total, tally.losses()) == (count, [])
    for values, comm in records:
        own = {name: value for name, value in values.items() if name not in pointers}
        texts = {name: comm.encode('utf-8', 'surrogateescape') for name, fetch in event.definitions[0].args if fetch.base == '$comm'}
        assert decoder.block(text_of(event, {**own, **texts}, {name: values[name] for name in pointers})) == b''
    decoder.finish()
    assert counting.text() == decoder.counting.text()


AWKS = ['busybox awk', 'mawk']


def table_by_awk(awk: str, events: list[Event], files: dict[str, bytes], folder: Path, arguments: str = '', **options) -> list[str]:
    """The tables that a script makes of the files of histograms, of BEFORE and then those of NOW."""
    need(awk.split()[0])
    text = script(events, Run(''), **options)
    functions = text[text.index("tables='"):text.index('counts() {')]
    for name, data in files.items():
        (folder / name).write_bytes(data)
    made = subprocess.run(['sh'], capture_output=True, cwd=folder, env={**os.environ, 'LC_ALL': 'C'}, input=(
        f'group=G\n{functions}' "{ layout; echo before; cat before 2>/dev/null; echo now; cat now; } | "
        f'{awk} -v last=1 {arguments} "$tables"').encode('utf-8', 'surrogateescape'))
    assert made.stderr == b''
    return made.stdout.decode('utf-8', 'surrogateescape').splitlines()


def test_a_script_refuses_what_awk_cannot_tell():
    line = 'p f n=%di:u64 h:step(n,1000000000000000) sum(n)'
    with pytest.raises(InputError, match='so large steps') as caught:
        script(sealed(line), Run(''))
    assert line in str(caught.value)
    with pytest.raises(InputError, match='-n counts what is shown'):
        script(sealed('p f h:'), Run(''), count=5)


def same_cells(lines: list[str], counting: Counting) -> bool:
    """Whether a script's table has the rows of ours, and the largest first."""
    table, = counting.tables
    wanted = [[*map(printable, map(key_text, table.keys, key)), *table._amounts(row)] if key else
              [*table.labels.values(), *table._amounts(row)] for key, row in table.rows.items()]
    bars = [line.count('#', line.rindex(' |')) for line in lines[1:-1] if ' |' in line]
    rounded = re.compile(r'\d{15,}\.\d')             # an average, of 53 bits
    texts = ['  '.join(filter(None, row)) for row in wanted], [re.sub(' {2,}', '  ', line.split(' |')[0].strip()) for line in lines[1:-1]]
    ours, its = (sorted(rounded.sub(lambda match: f'{float(match[0]):.12g}', text) for text in each) for each in texts)
    assert its == ours
    return bars == sorted(bars, reverse=True) and lines[-1] == f'{table.calls} {table.unit}'


def of_event(event: Event, text: bytes) -> bytes:
    """The file as a script reads it."""
    return f'event {event.folder("G")[7:]}\n'.encode() + text + b'\n'


@pytest.mark.parametrize('awk', AWKS)
@pytest.mark.parametrize('line', LINES)
def test_a_table_of_a_script_is_that_of_surftrace(line, awk, tmp_path):
    event, = sealed(line)
    random, made = Random(line), run_histograms([event], Run('', entries=ENTRIES_ELSEWHERE))
    names = ['bash', 'a b', '', '} hitcount: 9', '\nTotals:\n', '"', 'a, n: 7', '\nnow\n', '# event\n#', '\x1b[2J']
    records = [(numbers_of(event, random), random.choice(names)) for _ in range(600)]
    half, whole = histogram_file(made, records[:300]), histogram_file(made, records)
    tally, counting = tallies(made)[0], Counting([event])
    tally.take(half, counting)
    assert same_cells(table_by_awk(awk, [event], {'now': of_event(event, half)}, tmp_path), counting)
    counting.clear()
    tally.take(whole, counting)
    files = {'before': of_event(event, half), 'now': of_event(event, whole)}
    assert same_cells(table_by_awk(awk, [event], files, tmp_path), counting)


@pytest.mark.parametrize('awk', AWKS)
@pytest.mark.parametrize('line', ['r f n=%1:u32 ret=$retval:s32 h:n log2($dur) sum(ret)', 'r f h:comm step($dur,100) avg($dur)',
                                  'r f ret=$retval:x64 h:ret sum($dur) f:dur>5us', 'r f n=%1:s16 h:n f:dur>=0us'])
def test_pairs_in_a_script_are_those_of_surftrace(line, awk, tmp_path):
    events = sealed(line)
    random, made = Random(line), run_histograms(events, Run('G', entries=4 * ENTRIES_ELSEWHERE))
    counted, counting = [each for each in made if not each.keeps], Counting(events)
    records = [(numbers_of(counted[0].event, random), random.choice(['bash', 'a b', '} hitcount: 9'])) for _ in range(200)]
    tally, = tallies(made)
    tally.take(histogram_file(counted, records), counting)
    kept = [histogram_file([each._replace(keys=())], [({'n': 0, 'ret': 0, 'dur': 0}, '')], dropped=3) for each in tally.keep]
    for each, text in zip(tally.keep, kept):
        tally.take_kept(each, text)
    files = [f'event {each.folder("G")[7:]}\n'.encode() + text for each, text in zip(
        (counted[0], *tally.keep), (histogram_file(counted, records), *kept))]
    lines = table_by_awk(awk, events, {'now': b'\n'.join(files) + b'\n'}, tmp_path)
    assert same_cells(lines[:-1], counting)
    assert lines[-1] == 'at least: up to 6 with keys that found no room in the kernel' == f'at least: {tally.losses()[0]}'
    assert same_cells(table_by_awk(awk, events, {'now': files[0] + b'\n'}, tmp_path), counting)


@pytest.mark.parametrize('awk', AWKS)
def test_what_a_table_of_a_script_lacks_is_said(awk, tmp_path):
    events = sealed('p f n=%di:s32 h:log2(n) f:comm!="a\tb\\c if d [x]"', 'p:other f n=%di:s32 h:log2(n)', 'e system/event h:')
    made = [histograms(event, [event.filter] if event.filter else []) for event in events]
    bare, condition = [each._replace(filter='') for each in made[0][:1]], made[0][0].filter
    text = histogram_file(bare, [({'n': 5}, '')] * 7, dropped=2).replace(b' [paused]', f' if {condition} [paused]'.encode())
    files = {'now': of_event(events[0], text.replace(b'Hits: 7', b'Hits: 9')) + of_event(events[1], histogram_file(
        made[1], [({'n': n}, '') for n in (5, 5, 5, 1, 0)])) + of_event(events[2], histogram_file(made[2], [({}, '')] * 3))}
    assert "-v since=''" in script(events, Run('')) and "-v since=', all since the start'" in script(events, Run(''), interval=1.0)
    lines = table_by_awk(awk, events, files, tmp_path, '-v missed="f0 3" -v top=2 -v since=", since"', seconds=2.5)
    assert lines == [
        'event    n  calls', 'f      5-8      7 |########################################', 'other  5-8      3 |#################',
        '12 calls, 2 of them in 1 more rows', 'at least: 2 with keys that found no room in the kernel, 2 in entries that cannot be read, '
        'what the kernel does not show of G/f0, missed by the probes: f0 3, since', '',
        'event  events', 'event       3 |########################################', '3 events', 'at least: missed by the probes: f0 3, since']


def test_what_histograms_lack_is_said():
    event, = sealed('p f n=%di:s32 h:log2(n)')
    made, counting = histograms(event, []), Counting([event])
    tally, = tallies(made)
    text = histogram_file(made, [({'n': 5}, '')] * 3 + [({'n': -5}, '')], dropped=2)
    assert tally.take(text, counting) == 4
    assert tally.losses() == ['4 with keys that found no room in the kernel']
    assert tally.take(text.replace(b'{ n: 1844', b'{ n: ??'), counting) == 0
    assert tally.losses() == ['4 with keys that found no room in the kernel', '1 in entries that cannot be read']
    assert tally.take(b'', counting) == 0
    assert tally.losses() == ['what the kernel does not show of the histograms of f0']


def test_histograms_share_their_memory():
    events = sealed('p:a f n=%di:s32 h:n', 'p:b f h:', 'p:c f n=%di:s32 h:n comm', 'p:d f n=%di:s32')
    sizes = {each.event.name: each.entries for each in run_histograms(events, Run('g', entries=1 << 17))}
    assert sizes == {'a': 1 << 15, 'b': 128, 'c': 1 << 15}
    assert [each.entries for each in run_histograms(events[:1], Run('g', entries=1 << 18))] == [1 << 17]
    assert run_histograms(events, Run('g')) == []
    steps = plan(events, Run('g', entries=1 << 17))
    folder = 'instances/g/events/g'
    assert Step(Write(f'{folder}/b/trigger', 'hist:keys=common_type:size=128'),
                Write(f'{folder}/b/trigger', '!hist:keys=common_type:size=128')) in steps
    assert [step.do.path for step in steps if step.do.path.endswith('enable')] == [f'{folder}/d/enable']
    assert shown_command(steps[-2].do, '/t') == f"echo 'hist:keys=n,comm:size=32768' >> /t/{folder}/c/trigger"
