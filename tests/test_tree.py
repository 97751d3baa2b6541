"""-t: entries and returns as a tree by thread. What threads do is made up here, and the tree has to say it."""
from __future__ import annotations

import re
from random import Random
from types import SimpleNamespace

import pytest
from helpers import KERNEL, SEAL, outcome, text_of

from surftrace import Decoder, Event, InputError, in_tree, make_events, parse_probe

TREE = KERNEL._replace(seal=SEAL, tree=True)


def made(*lines: str) -> list[Event]:
    return make_events([parse_probe(line) for line in lines], TREE)


def written(event: Event, stack: int, time: float, values: dict | None = None, function: bytes = b'', **head) -> bytes:
    """A record with that stack pointer, of a function that is called as its event unless it is named."""
    name = function or event.name[:-len('_out')].encode() if event.role == 'return' else function or event.name.encode()
    place = b'(g+0x10/0x40 <- %s)' % name if event.role in ('return', 'alone') else b'(%s+0x0/0x40)' % name
    text = text_of(event, values or {}, {event.pair.stack: stack} if event.pair and event.pair.stack else {}, **head)
    return re.sub(rb'\d+\.\d{6}', b'%.6f' % time, text.replace(b'(f+0x0/0x40)', place), count=1)


def tree(events: list[Event], *records: bytes) -> list[str]:
    """The lines behind the time."""
    decoder = Decoder(events, stacks=False)
    text = decoder.block(b''.join(records)) + decoder.finish()
    assert sum(decoder.counts.values()) == len(re.findall(rb'\d\.\d{6}: ', text))
    return re.findall(r'\d\.\d{6}: (.*)$', text.decode(), re.M)


def calls(events: list[Event], *steps: str, start: float = 1.0, pid: int = 77) -> list[bytes]:
    """Records of steps like 'a>100' (a enters, its stack pointer is that), 'a<100' (that call returns)."""
    found = []
    for number, step in enumerate(steps):
        name, stack = re.split('[<>]', step)
        event = next(each for each in events if each.name == name + '_out' * ('<' in step))
        values = {field.name: 3 for field in event.fields}
        found.append(written(event, 0x10000 + int(stack), start + number / 1e6, values, pid=pid))
    return found


THREE = ['p:a f n=%0:s32', 'p:b f', 'p:c f']


def test_the_two_events_of_a_line():
    entry, back = made('p:a f n=%0:s32')
    assert [event.definitions[0].definition() for event in (entry, back)] == [
        'p:a f n=%di:s32 sp1=$stack:x64', 'r:a_out f sp1=$stack:x64']
    assert [line for event in (entry, back) for line in event.lines()] == [
        'p:a f n=%di:s32', 'r:a_out f #! n+dur:both(a)']
    assert (entry.role, back.role) == ('entry', 'return')


def test_calls_within_calls():
    events = made(*THREE)
    assert tree(events, *calls(events, 'a>90', 'b>80', 'c>70', 'c<70', 'b<80', 'b>80', 'b<80', 'a<90', 'c>90', 'c<90')) == [
        '-> f(n=3)', '  -> f()', '    -> f()', '    <- f  1us', '  <- f  3us', '  -> f()', '  <- f  1us', '<- f  7us', '-> f()', '<- f  1us']


@pytest.mark.parametrize('popped', [0, 8])
def test_recursion(popped):
    events = made('p:a f')
    steps = calls(events, 'a>90', 'a>80', 'a>70') + calls(events, *(f'a<{at + popped}' for at in (70, 80, 90)), start=1.00001)
    assert tree(events, *steps) == ['-> f()', '  -> f()', '    -> f()', '    <- f  8us', '  <- f  10us', '<- f  12us']


def test_a_tail_call_has_the_same_stack_pointer():
    events = made(*THREE)
    assert tree(events, *calls(events, 'b>90', 'c>90', 'c<90', 'b<90')) == ['-> f()', '  -> f()', '  <- f  1us', '<- f  3us']


@pytest.mark.parametrize(('steps', 'expected'), [
    (('b>90', 'c>80', 'b<90', 'c>90', 'c<90'), ['-> f()', '  -> f()', '<- f  2us', '-> f()', '<- f  1us']),
    (('b>90', 'c>80', 'c>80', 'c<80', 'b<90'), ['-> f()', '  -> f()', '  -> f()', '  <- f  1us', '<- f  4us']),
    (('b>90', 'c>80', 'a>85', 'a<85', 'b<90'), ['-> f()', '  -> f()', '  -> f(n=3)', '  <- f  1us', '<- f  4us']),
    (('b>90', 'b>90', 'b<90'), ['-> f()', '-> f()', '<- f  1us']),
    (('b>90', 'a<85', 'b<90'), ['-> f()', '<- f  (its entry was not seen)', '<- f  2us']),
    # an interrupt has a stack of its own, and is over when what it interrupted goes on
    (('b>90000', 'c>10', 'b<90000', 'b>90000'), ['-> f()', '  -> f()', '<- f  2us', '-> f()']),
    (('b>90000', 'c>10', 'a>80000', 'a<80000'), ['-> f()', '  -> f()', '  -> f(n=3)', '  <- f  1us']),
])
def test_returns_that_are_missed_shift_nothing_for_good(steps, expected):
    events = made(*THREE)
    first = calls(events, 'a>90', 'a<90', start=0.5)
    assert tree(events, *first, *calls(events, *steps))[2:] == expected


def test_returns_before_any_entry_was_traced_are_not_shown():
    events = made(*THREE)
    decoder = Decoder(events, stacks=False)
    assert decoder.block(b''.join(calls(events, 'a<90', 'b<90'))) == b''
    assert decoder.calls.alone == {'a_out': 1, 'b_out': 1}


def test_threads_have_trees_of_their_own_and_idle_tasks_one_a_processor():
    events = made('p:b f', 'p:c f')
    one, two = calls(events, 'b>90', 'c>80', pid=1), calls(events, 'b>90', 'c>80', pid=2)
    assert tree(events, one[0], two[0], two[1], one[1]) == ['-> f()', '-> f()', '  -> f()', '  -> f()']
    idle = [record.replace(b'[001]', cpu) for record, cpu in zip(calls(events, 'b>90', 'c>80', pid=0), (b'[001]', b'[000]'))]
    assert tree(events, *idle) == ['-> f()', '-> f()']


def test_when_something_is_lost_all_is_closed():
    events = made('p:b f', 'p:c f')
    lost = b'CPU:1 [LOST 9 EVENTS]\n'
    decoder = Decoder(events, stacks=False)
    text = decoder.block(b''.join([*calls(events, 'b>90'), lost, *calls(events, 'c>80', 'c<80', 'b<90')])).decode()
    assert re.findall(r'\d\.\d{6}: (.*)$', text, re.M) == ['-> f()', '-> f()', '<- f  1us', '<- f  (its entry was not seen)']


def test_a_filter_takes_or_leaves_whole_calls():
    events = made('p:a f n=%0:s32 f:n>2&&common_pid==77', 'p:b f')
    assert all(event.filter == '' for event in events)

    def call(n, pid=77):
        return [written(events[0], 0x1090, 1.0, {'n': n}, pid=pid), *calls(events, 'b>10', 'b<10', start=1.1, pid=pid),
                written(events[1], 0x1090, 1.2, pid=pid)]
    assert tree(events, *call(3)) == ['-> f(n=3)', '  -> f()', '  <- f  1us', '<- f  200.000ms']
    assert tree(events, *call(2)) == ['-> f()', '<- f  1us']
    assert tree(events, *call(3, pid=5)) == ['-> f()', '<- f  1us']


def test_returns_alone_and_places_inside_are_shown_in_the_tree():
    events = made('p:b f', 'r:x f v=$retval:s32 f:v>1', 'p:y f+4 m=%di:s32', 'e sys/event', 'r:z f n=%0:s32 $dur')
    by_name = {event.name: event for event in events}
    assert by_name['x'].filter == 'v>1' and [event.role for event in events] == ['entry', 'return', 'alone', 'leaf', 'leaf', '', 'alone']
    records = [*calls(events, 'b>90'), written(by_name['z_in'], 0x10090 - 64, 1.1, {'n': 5}, function=b'z'),
               written(by_name['y'], 0x10090 - 68, 1.2, {'m': 4}), b'            bash-77      [001]   1.300000: event: a=5\n',
               written(by_name['z'], 0x10090 - 64, 1.4, function=b'z'), written(by_name['x'], 0x10090 - 64, 1.5, {'v': 2}),
               *calls(events, 'b<90', start=2)]
    assert tree(events, *records) == ['-> f()', '  y: (y+0x0/0x40) m=4', '  event: a=5', '  <- f(n=5, dur=300.000ms)',
                                      '  <- f(v=2)', '<- f  1.000000s']


def test_what_could_not_be_written_is_not_counted():
    events = made('p:b f', 'e sys/event')
    decoder = Decoder(events, stacks=False)
    event = b'            bash-77      [001]   1.300000: event: a=5\n'
    lines = decoder.block(b''.join([*calls(events, 'b>90'), event, *calls(events, 'b<90')])).splitlines(True)
    decoder.take_back(len(b''.join(lines[1:])))
    assert decoder.counts == {'b': 1, 'b_out': 0, 'event': 0} and decoder.records == 1


@pytest.mark.parametrize(('line', 'message', 'at'), [
    ('p f f:comm==x', 'comm=.comm in front of f: fetches it', 'comm'), ('p f f:dur>1ms', 'is the time a call takes', 'dur'),
    ('p f n=%0:s32 f:n==x', "'x' is no number", 'x'), ('p f f:foo==1', "'foo' is none of that", 'foo')])
def test_what_cannot_be_judged_at_the_entry(line, message, at):
    with pytest.raises(InputError, match=message) as caught:
        made(line)
    assert line[caught.value.at[0]:].startswith(at)


@pytest.mark.parametrize('lines', [['p f'], ['p:x f n=%0:s32 f:n>1'], ['p f f=%0:s32', 'r f $dur'], ['p f s=+0(%0):string', 'p f+4']])
def test_what_is_shown_can_be_read_again(lines):
    def told(events):
        return [(event.name, event.definitions, event.filter, event.role, event.lines(), event.pair and (
            event.pair.entry, event.pair.stack, [(field.name, field.fetches) for field in event.pair.fields],
            bool(event.pair.condition))) for event in events]
    first = made(*lines)
    shown = [line for event in first for line in event.lines()]
    assert told(made(*shown)) == told(first)
    pairs = make_events([parse_probe(line) for line in shown], KERNEL)
    assert [event.role for event in pairs] == [''] * len(pairs) and any(event.pair and event.pair.entry for event in pairs)


@pytest.mark.parametrize(('arguments', 'message'), [
    (('-S', '-t', 'p f h:'), '-t shows each call, and a line with h: counts them'),
    (('-o', '-', '-t', 'p f'), 'cannot make a tree')])
def test_what_does_not_go_with_a_tree(arguments, message):
    status, out, err = outcome(*arguments)
    assert status == 2 and message in err and not out


class Thread:
    """A task that calls functions; returns are missed now and then."""

    def __init__(self, random: Random, pid: int) -> None:
        self.random, self.pid, self.open = random, pid, []

    def step(self, events: list[Event], clock: float) -> tuple[list[bytes], str]:
        """Its next record, and the line of it without its indent."""
        if self.open and self.random.random() < 0.5 or len(self.open) > 6:
            name, stack, began = self.open.pop()
            back = next(event for event in events if event.name == f'{name}_out')
            if self.random.random() < 0.05:
                return [], ''
            return [written(back, stack, clock, pid=self.pid)], f"{'  ' * len(self.open)}<- f"
        name = 'bc'[len(self.open) % 2]     # at one place of the stack another function would look like one that was jumped to
        stack = (self.open[-1][1] if self.open else 0x7000000) - 16
        self.open.append((name, stack, clock))
        entry = next(event for event in events if event.name == name)
        return [written(entry, stack, clock, pid=self.pid)], f"{'  ' * (len(self.open) - 1)}-> f"


@pytest.mark.parametrize('seed', range(4))
def test_the_depth_is_that_of_the_calls_whatever_is_missed(seed):
    random, events, clock = Random(seed), made('p:b f', 'p:c f'), 10.0
    threads, expected, came = [Thread(random, pid) for pid in (1, 2, 3)], [], []
    for _ in range(1000):
        clock += 0.00001
        records, line = random.choice(threads).step(events, clock)
        came += records
        expected += [line] * len(records)
    assert [re.match(' *(->|<-) f', line)[0] for line in tree(events, *came)] == expected


@pytest.mark.parametrize(('begins', 'ends', 'name'), [
    ('method__entry', 'method__return', 'method'), ('method-entry', 'method-return', 'method'), ('gc_begin', 'gc_end', 'gc'),
    ('query__start', 'query__done', 'query'), ('gc__begin', 'gc__end', 'gc'), ('a_start', 'a__done', ''), ('a_entry', 'b_return', ''),
    ('a_begin', 'a_done', ''), ('begin', 'end', '')])
def test_usdt_probes_are_calls_by_the_endings_of_their_names(begins, ends, name):
    events = of_usdt('p:b f+1 n=%di:s32', begins, 'p:e f+2', ends)
    assert [(event.role, event.label) for event in events] == (
        [('entry', f'x:{name}'), ('return', f'x:{name}')] if name else [('leaf', f'x:{begins}'), ('leaf', f'x:{ends}')])


def in_program(events: list[Event]) -> list[Event]:
    return [event._replace(definitions=tuple(definition._replace(letter=definition.letter.upper())
                                             for definition in event.definitions)) for event in events]


def of_usdt(*lines_and_names: str) -> list[Event]:
    """Events of USDT probes of those names, as their lines have them."""
    events = [made(line)[0]._replace(label=f'x:{name}', program=SimpleNamespace(path='/x'), pair=None)
              for line, name in zip(lines_and_names[::2], lines_and_names[1::2])]
    return in_tree(in_program(events))


def test_usdt_calls():
    """By a stack for each thread and name: an end ends what is inside it too."""
    one = of_usdt('p:b f+1 n=%di:s32', 'm__entry', 'p:e f+2 n=%di:s32', 'm__return', 'p:g f+3', 'gc__begin', 'p:h f+4', 'gc__end', 'p:l f+5', 'l')
    two = in_program(made('p:a f'))
    begin, end, gc, gc_end, leaf = (lambda time, event=event, **head: written(event, 0, time, {'n': 1}, b'f', **head) for event in one)
    enter, back = (lambda stack, time, event=event: written(event, stack, time) for event in two)
    assert tree([*one, *two], begin(1), begin(1.1), leaf(1.2), end(1.3), gc(1.4), begin(1.5), gc_end(1.6), end(1.7), end(1.8)) == [
        '-> x:m(n=1)', '  -> x:m(n=1)', '    l: (f+0x0/0x40)', '  <- x:m(n=1)  200.000ms', '  -> x:gc()', '    -> x:m(n=1)',
        '  <- x:gc  200.000ms', '<- x:m(n=1)  700.000ms', '<- x:m(n=1)  (its entry was not seen)']
    assert tree([*one, *two], enter(0x900, 1), begin(1.1), enter(0x800, 1.2), back(0x800, 1.3), back(0x900, 1.4), end(1.5), gc(1.6)) == [
        '-> f()', '  -> x:m(n=1)', '    -> f()', '    <- f  100.000ms', '<- f  400.000ms', '<- x:m(n=1)  (its entry was not seen)',
        '-> x:gc()']


def test_a_filter_of_usdt_probes_belongs_to_what_begins():
    events = of_usdt('p:b f+1 n=%di:s32 f:n>1', 'm__entry', 'p:e f+2 n=%di:s32 f:n>1', 'm__return')
    assert [event.filter for event in events] == ['', '']
    records = [written(events[i % 2], 0, 1 + i, {'n': n}, b'f') for i, n in enumerate((1, 9, 2, 0))]
    assert tree(events, *records) == ['-> x:m(n=2)', '<- x:m(n=0)  1.000000s']
    with pytest.raises(InputError, match='belongs to what begins'):
        of_usdt('p:b f+1 n=%di:s32', 'm__entry', 'p:e f+2 n=%di:s32 f:n>1', 'm__return')
