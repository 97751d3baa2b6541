"""$dur(NAME{,FIELD}): the time since the event of another line. What is shown is what a simple reader of the same records finds."""
from __future__ import annotations

import re
from random import Random

import pytest
from helpers import KERNEL, SEAL, events_of, record, sealed, text_of

import surftrace
from surftrace import Decoder, Event, InputError, parse_probe, time_text

BEGIN, END = 'p:b f n=%0:s32', 'p:e f n=%0:s32 $dur(b,n)'


def at(event: Event, values: dict, time: float, pointers: dict | None = None, **head) -> bytes:
    """A record of that time."""
    return re.sub(rb'\d+\.\d{6}', b'%.6f' % time, text_of(event, values, pointers, **head), count=1)


def decoded(events: list[Event], *records: bytes) -> list[str]:
    """What is shown behind the places of all events."""
    text = Decoder(events, stacks=False).block(b''.join(records)).decode()
    return [f'{name}: {rest}' for name, rest in re.findall(r': (\w+): \([^)]*\) (.*)$', text, re.M)]


def test_the_definition_fetches_nothing_for_it():
    events = sealed(BEGIN, END)
    assert [event.definitions[0].definition() for event in events] == ['p:b f n=%di:s32', 'p:e f n=%di:s32']
    assert events[1].lines() == ['p:e f n=%di:s32 #! dur:$dur(b,n)']


def test_by_a_field_of_both():
    """The last one with that field counts, for one end; another thread may be that."""
    b, e = events = sealed(BEGIN, END)
    assert decoded(events, at(b, {'n': 1}, 1), at(b, {'n': 2}, 1.5), at(b, {'n': 1}, 2), at(e, {'n': 1}, 2.000007, pid=9),
                   at(e, {'n': 1}, 3), at(e, {'n': 2}, 3.5), at(e, {'n': 7}, 4)) == [
        'b: n=1', 'b: n=2', 'b: n=1', 'e: n=1 dur=7us', 'e: n=1 dur=(no b)', 'e: n=2 dur=2.000000s', 'e: n=7 dur=(no b)']


def test_by_the_task_where_no_field_is_named():
    b, e = events = sealed(BEGIN, 'p:e f $dur(b) x=%0:s32')
    assert decoded(events, at(b, {'n': 1}, 1, pid=7), at(b, {'n': 2}, 2, pid=8), at(e, {'x': 3}, 2.5, pid=7),
                   at(e, {'x': 4}, 2.75, pid=8), at(e, {'x': 5}, 3, pid=9))[2:] == [
        'e: dur=1.500000s x=3', 'e: dur=750.000ms x=4', 'e: dur=(no b) x=5']


def test_each_line_that_names_it_has_a_time_of_its_own():
    b, e, g = events = sealed(BEGIN, END, 'p:g f m=%1:u32 $dur(b) u=$dur(e,m=n)'.replace(':u32', ':s32'))
    assert decoded(events, at(b, {'n': 1}, 1), at(e, {'n': 1}, 2), at(g, {'m': 1}, 4))[1:] == [
        'e: n=1 dur=1.000000s', 'g: m=1 dur=3.000000s u=2.000000s']


def test_since_the_last_of_itself():
    events = sealed('p:b f $dur(b)')
    assert decoded(events, *(at(events[0], {}, time) for time in (1, 1.25, 3))) == [
        'b: dur=(no b)', 'b: dur=250.000ms', 'b: dur=1.750000s']


def test_what_could_not_be_read_is_no_key():
    b, e = events = sealed('p:b f n=+8(%0):s32', 'p:e f n=+8(%0):s32 $dur(b,n)')
    null = {b.fields[0].guards[0].name: 0}
    assert decoded(events, at(b, {'n': 1}, 1, null), at(e, {'n': 1}, 2)) == ['b: n=(null)', 'e: n=1 dur=(no b)']
    assert decoded(events, at(b, {'n': 1}, 1), at(e, {'n': 1}, 2, null)) == ['b: n=1', 'e: n=(null) dur=(no b)']


@pytest.mark.parametrize(('gap', 'shown'), [(b'CPU:1 [LOST 9 EVENTS]\n', '(no b)'), (b'[LINE TOO BIG]\n', '(no b)'), (b'', '1.000000s')])
def test_after_what_was_lost_nothing_older_begins(gap, shown):
    b, e = events = sealed(BEGIN, END)
    text = Decoder(events, stacks=False).block(at(b, {'n': 1}, 1) + gap + at(e, {'n': 1}, 2)).decode()
    assert f'n=1 dur={shown}\n' in text


@pytest.mark.parametrize(('gap', 'shown'), [(b'CPU:2 [LOST 9 EVENTS]\n', '(no b)'), (b'', '1.000000s')])
def test_nor_before_what_another_processor_has_lost_and_tells_with_its_next_record(gap, shown):
    b, e = events = sealed(BEGIN, END)
    decoder = Decoder(events, stacks=False)
    decoder.gaps.overruns = lambda: {1: 0, 2: 9}
    later = at(b, {'n': 2}, 3).replace(b'[001]', b'[002]')
    text = decoder.block(at(b, {'n': 1}, 1) + at(e, {'n': 1}, 2) + gap + later).decode()
    assert f'n=1 dur={shown}\n' in text


def test_a_beginning_that_is_read_behind_its_end_begins_nothing():
    b, e = events = sealed(BEGIN, END)
    assert decoded(events, at(e, {'n': 1}, 2), at(b, {'n': 1}, 1.5), at(e, {'n': 1}, 3)) == [
        'e: n=1 dur=(no b)', 'b: n=1', 'e: n=1 dur=(no b)']
    assert decoded(events, at(b, {'n': 1}, 2), at(e, {'n': 1}, 1.5), at(e, {'n': 1}, 3))[1:] == ['e: n=1 dur=(no b)', 'e: n=1 dur=1.000000s']


@pytest.mark.parametrize(('filter_', 'kernel', 'shown'), [
    ('dur>1ms', '', ['n=2 dur=2.000ms']), ('!(dur>1ms)', '', ['n=1 dur=1us']), ('dur>1us&&n<9', 'n<9', ['n=2 dur=2.000ms']),
    ('dur<1s||n==7', '', ['n=1 dur=1us', 'n=2 dur=2.000ms', 'n=7 dur=(no b)'])])
def test_filters_of_the_time_are_judged_here(filter_, kernel, shown):
    b, e = events = sealed(BEGIN, f'{END} f:{filter_}')
    assert e.filter == kernel
    records = at(b, {'n': 1}, 1), at(e, {'n': 1}, 1.000001), at(b, {'n': 2}, 2), at(e, {'n': 2}, 2.002), at(e, {'n': 7}, 3)
    assert [text[3:] for text in decoded(events, *records) if text[0] == 'e'] == shown


def test_a_table_of_times_has_a_row_of_what_has_none():
    """What begins is there for the table alone, and is not shown."""
    b, e = events = sealed(BEGIN, 'p:e f n=%0:s32 h:log2($dur(b,n)) sum($dur(b,n))')
    decoder = Decoder(events, stacks=False)
    assert decoder.block(at(b, {'n': 1}, 1) + at(e, {'n': 1}, 1.000003) + at(e, {'n': 1}, 2)) == b''
    assert [line.split() for line in decoder.counting.text().splitlines()[1:3]] == [
        ['3-4', '1', '3', '|' + 40 * '#'], ['(no', 'b)', '1', '0', '(+1', 'not', 'read)', '|']]
    assert b.unshown and not e.unshown and decoder.calls.seen == {'b': 1}


def test_an_event_of_the_kernel_begins_too():
    formats = {'events/sched/sched_x/format': 'field:int cpu;\toffset:8;\tsize:4;\tsigned:1;\n'}
    machine = KERNEL._replace(seal=SEAL, read=lambda path: formats.get(path, ''))
    own, e = events = events_of(machine, 'e sched/sched_x', 'p:e f $dur(sched_x)')
    text = Decoder(events, stacks=False).block(record('sched_x', [], pid=7).replace(b'(f+0x0/0x40)', b'cpu=1') + at(e, {}, 99999, pid=7))
    assert re.search(rb'dur=\d+\.\d+s\n$', text)


@pytest.mark.parametrize('seed', range(4))
def test_random_records_against_a_simple_reader(seed):
    random, clock, right, came = Random(seed), 0, [], []
    b, e = events = sealed(BEGIN, END)
    begun: dict[int, int] = {}
    for _ in range(800):
        clock += random.randrange(1, 100)
        n = random.randrange(12)
        if random.random() < 0.5:
            begun[n] = clock
            came.append(at(b, {'n': n}, clock / 1e6, pid=random.randrange(1, 9)))
        else:
            right.append(f'e: n={n} dur={time_text(clock - begun.pop(n)) if n in begun else "(no b)"}')
            came.append(at(e, {'n': n}, clock / 1e6, pid=random.randrange(1, 9)))
    assert [text for text in decoded(events, *came) if text[0] == 'e'] == right


def test_what_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(surftrace.Times, 'MOST', 3)
    b, e = events = sealed(BEGIN, END)
    decoder = Decoder(events, stacks=False)
    text = decoder.block(b''.join([*(at(b, {'n': n}, 1 + n) for n in range(5)), at(e, {'n': 0}, 9), at(e, {'n': 4}, 10)])).decode()
    assert 'n=0 dur=(no b)' in text and 'n=4 dur=5.000000s' in text
    assert decoder.calls.times.given_up == 2


@pytest.mark.parametrize(('lines', 'message', 'shown'), [
    ([BEGIN, 'p f $dur(c)'], "no other line has the name 'c'", '$dur(c)'), ([BEGIN, 'p f $dur(b,n)'], "the line of f1 fetches no 'n'", '$dur(b,n)'),
    ([BEGIN, 'p f n=%0:s32 $dur(b,n=m)'], "the line of b fetches no 'm': it is named", '$dur(b,n=m)'),
    ([BEGIN, 'p f n=%0:u64 $dur(b,n)'], 'differ in type, u64 and s32', '$dur(b,n)'), ([BEGIN, 'p f $dur()'], 'the name of the event', ')'),
    ([BEGIN, 'p f $dur(b,)'], 'the name of a field expected', ')'), ([BEGIN, 'p f $dur(b):u32'], 'its own type', '$dur(b)'),
    ([BEGIN, 'p f $dur(b)->x'], 'it stands alone', '$dur(b)'), ([BEGIN, 'p f $dur(b) f:dur>1'], 'a number and its unit', '1'),
])
def test_what_cannot_be_asked(lines, message, shown):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        sealed(*lines)
    assert lines[-1][caught.value.at[0]:].startswith(shown)


def test_in_a_tree_it_is_refused():
    with pytest.raises(InputError, match='with -t calls have their own times'):
        surftrace.make_events([parse_probe(BEGIN), parse_probe('e sched/x f:a==1'), parse_probe(END)][::2],
                              KERNEL._replace(tree=True))


@pytest.mark.parametrize('lines', [[BEGIN, END], [BEGIN, 'p:e f n=%0:s32 h:log2($dur(b,n=n)) f:dur>1ms'],
                                   [BEGIN, 'r:e f n=%0:s32 $retval $dur d=$dur(b,n,cpu) f:d<1s&&retval>0'],
                                   ['p:b f h:', 'r:e f $retval:s32 $dur(b,cpu)']])
def test_what_is_shown_can_be_read_again(lines):
    def told(events):
        return [(event.name, event.definitions, event.filter, event.columns, event.lines(), event.begins,
                 event.pair and [(field.name, field.when, field.since) for field in event.pair.fields]) for event in events]
    first = sealed(*lines)
    assert told(sealed(*[line for event in first for line in event.lines()])) == told(first)


def test_the_kernel_judges_the_time_that_is_judged_here():
    """'dur' in a filter is the first time of the line; the kernel has only that since the entry."""
    events = sealed(BEGIN, 'r:e f x=$dur(b) y=$dur h:log2(y) f:dur>1ms')
    with pytest.raises(InputError, match="by 'x' of a call"):
        surftrace.histograms_of(events[2], events, surftrace.Run('g', entries=1000))
    events = sealed(BEGIN, 'r:e f y=$dur h:log2(y) f:dur>1ms')
    assert any('took>1000' in each.filter or 'y>1000' in each.filter
               for each in surftrace.histograms_of(events[2], events, surftrace.Run('g', entries=1000)))
