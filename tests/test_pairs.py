"""Returns with the entry of their call: parameters as they were, and the time. Random threads call, recurse, are interrupted and
miss returns: what is shown is right, or is not shown and counted."""
from __future__ import annotations

import re
from random import Random

import pytest
from helpers import KERNEL, machine_of, sealed, text_of

import surftrace
from surftrace import Decoder, Event, InputError, Run, make_events, parse_probe, script, time_text

LINE = 'r f n=%0:s32 $retval:s32 $dur'


def pair(line: str = LINE) -> tuple[Event, Event]:
    """The event of the entries and that of the returns."""
    entry, back = sealed(line)
    return entry, back


def written(event: Event, values: dict, stack: int, time: float, pointers: dict | None = None, **head) -> bytes:
    """A record of one of them, of a call whose stack pointer that is."""
    text = text_of(event, values, {event.pair.stack: stack, **(pointers or {})}, **head)
    place = b'(f+0x0/0x40)' if not event.pair.entry else b'(g+0x10/0x40 <- f)'
    return re.sub(rb'\d+\.\d{6}', b'%.6f' % time, text.replace(b'(f+0x0/0x40)', place), count=1)


def shown(events: tuple[Event, Event], *records: bytes) -> list[str]:
    """What is shown of the returns behind their place."""
    decoder = Decoder(list(events), stacks=False)
    text = decoder.block(b''.join(records)) + decoder.finish()
    return re.findall(r'\(g\+0x10/0x40 <- f\) (.*)$', text.decode(), re.M)


def call(events, n: int, stack: int = 0x1000, start: float = 1.0, dur: float = 0.5, **head) -> tuple[bytes, bytes]:
    """A call's two records."""
    return written(events[0], {'n': n}, stack, start, **head), written(events[1], {'retval': n}, stack, start + dur, **head)


def test_a_call():
    entry, back = pair()
    assert [event.definitions[0].definition() for event in (entry, back)] == [
        'p:f0_in f n=%di:s32 sp1=$stack:x64', 'r:f0 f retval=$retval:s32 sp1=$stack:x64']
    assert shown((entry, back), *call((entry, back), 7, dur=0.000012)) == ['n=7 retval=7 dur=12us']


@pytest.mark.parametrize('lines', [('r:a f n=%0:s32 $dur', 'p:a_in f n=%di:s32'), ('p:a_in f n=%di:s32', 'r:a f n=%0:s32 $dur')])
def test_a_line_is_not_taken_for_the_entries_of_another(lines):
    with pytest.raises(InputError, match="'a_in' has several places"):
        sealed(*lines)


def test_a_line_without_a_name_has_none_that_another_was_given():
    assert [event.name for event in sealed('p:f1 f', 'p f', 'r:f3 f', 'p f')] == ['f1', 'f1_', 'f3', 'f3_']
    assert [event.name for event in sealed('p:f1 f', 'r f $dur')] == ['f1', 'f1__in', 'f1_']


def test_a_function_is_compared_by_its_address():
    events = pair('r f f:%0:symbol!=0&&$dur>10us')
    records = [written(event, {'arg0': n}, 0x1000 + 8 * n, 1.0 + when) for n in (0, 1) for event, when in zip(events, (0, 0.5))]
    assert shown(events, *records) == ['dur=500.000ms']
    for line, at in (('r f fn=%0:symbol $dur f:fn==0&&dur>1us', 24), ('r f fn=%0:symbol $dur f:!(dur>1us||fn!=0)', 35)):
        with pytest.raises(InputError, match='fn=...:x64') as caught:
            pair(line)
        assert caught.value.at[0] == at


def test_what_only_the_filter_wants_is_judged_and_not_shown():
    events = pair('r f $retval:s32 f:%0:s32>(1<<2)+1&&$dur>10us&&$retval:s32>0||$dur>1s')
    assert [event.definitions[0].definition() for event in events] == [
        'p:f0_in f arg0=%di:s32 sp1=$stack:x64', 'r:f0 f retval=$retval:s32 sp1=$stack:x64']
    records = [written(event, {'arg0': n, 'retval': n}, 0x1000 + 8 * n, start + when) for n, start, dur in (
        (7, 1.0, 0.000012), (7, 2.0, 0.000009), (4, 3.0, 0.000012), (-1, 4.0, 2.0)) for event, when in zip(events, (0, dur))]
    assert shown(events, *records) == ['retval=7 dur=12us', 'retval=-1 dur=2.000000s']


@pytest.mark.parametrize(('line', 'at_entry', 'at_return', 'told'), [
    ('r take_eight f:h>3', 'h=+16($stack):u64', '', '=h:after(f0_in) f:h>3'), ('r take_eight a=h f:a>3', 'a=+16($stack):u64', '', 'a:after(f0_in) f:a>3'),
    ('r take_eight h', 'h=+16($stack):u64', '', '=h:after(f0_in)'), ('r take_s12 v.a', 'a=%di:s32', '', 'a:after(f0_in)'),
    ('r take_eight h $comm a', 'h=+16($stack):u64 a=%di:s8', 'comm=$comm', 'h+comm+a:after(f0_in)'),
    ('r take_eight $dur d f:d>0', 'd=%cx:s64', '', 'dur+d:after(f0_in) f:d>0'),
])
def test_what_a_return_does_not_keep_is_fetched_at_the_entry(line, at_entry, at_return, told, info):
    made = make_events([parse_probe(line)], machine_of(info))
    assert [' '.join(f'{name}={fetch.text()}' for name, fetch in event.definitions[0].args) for event in made] == [at_entry, at_return]
    assert made[1].annotation == told


@pytest.mark.parametrize(('microseconds', 'text'), [
    (0, '0us'), (999, '999us'), (1000, '1.000ms'), (12345, '12.345ms'), (999999, '999.999ms'), (1000000, '1.000000s'),
    (61000001, '61.000001s')])
def test_times(microseconds, text):
    assert time_text(microseconds) == text


def test_what_is_behind_a_null_pointer_at_the_entry():
    entry, back = pair('r f users=+84(+2272(%0)):s32 $dur')
    bad = {entry.fields[0].guards[1].name: 0}
    records = written(entry, {'users': 9}, 0x1000, 1.0, bad), written(back, {}, 0x1000, 1.000001)
    assert shown((entry, back), *records) == ['users=(null) dur=1us']


@pytest.mark.parametrize('microseconds', [1, 1001, 1009, 4035, 299792, 999999])
@pytest.mark.parametrize(('unit', 'places'), [('ns', 0), ('us', 0), ('ms', 3), ('s', 6)])
def test_a_time_in_a_filter_is_exact(microseconds, unit, places):
    number = microseconds * 1000 if unit == 'ns' else microseconds
    text = f'{number // 10**places}.{number % 10**places:0{places}}' if places else str(number)
    events = pair(f'{LINE} f:dur=={text}{unit}')
    records = [record for n, dur in ((1, microseconds - 1), (2, microseconds), (3, microseconds + 1))
               for record in call(events, n, start=100 * n, dur=dur / 1e6)]
    assert [line.split()[0] for line in shown(events, *records)] == ['n=2']


def test_after_a_record_too_long_to_print_nothing_older_makes_a_pair():
    """It may have been the entry that took the place of one whose return was missed."""
    events = pair()
    first, second = call(events, 1), call(events, 2, start=2.0)
    assert shown(events, first[0], b'[LINE TOO BIG]\n', second[1]) == []


@pytest.mark.parametrize(('filter_', 'kernel', 'expected'), [
    ('n>1', '', [2, 3]), ('dur>=2us', '', [2, 3]), ('dur==2us', '', [2]), ('dur<2us', '', [1]), ('!(dur<2us)', '', [2, 3]),
    ('dur>0.002ms', '', [3]), ('dur<1s&&n!=2', '', [1, 3]), ('n==1||dur>2us', '', [1, 3]), ('n&1', '', [1, 3]),
    ('retval>1&&n<3', 'retval>1', [1, 2]), ('comm==bash&&dur>2us', 'comm=="bash"', [3]), ('common_pid==77||n==9', '', [1, 2, 3]),
    ('common_pid!=77||n==3', '', [3]), ('retval>1', 'retval>1', [1, 2, 3]), ('!(n==1&&dur<5us)', '', [2, 3]),
])
def test_filters_on_what_the_kernel_does_not_know_are_judged_here(filter_, kernel, expected):
    events = pair(f'{LINE} f:{filter_}')
    assert events[0].filter == '' and events[1].filter == kernel
    records = [record for n in (1, 2, 3) for record in call(events, n, start=n, dur=n / 1e6)]
    assert [int(re.match(r'n=(\d)', text)[1]) for text in shown(events, *records)] == expected


@pytest.mark.parametrize(('args', 'values', 'filter_', 'lets'), [
    ('s=+0(%di):string', {'s': b'bash'}, 's==bash', True), ('s=+0(%di):string', {'s': b'bash'}, 's!=bash', False),
    ('s=+0(%di):string', {'s': b'bash'}, 's~"b*"', True), ('s=+0(%di):string', {'s': b'bash'}, '!(s~"b*")', False),
    ('e=%di:s32 #! e:enum(A=-1,B=2)', {'e': -1}, 'e==A', True), ('e=%di:s32 #! e:enum(A=-1,B=2)', {'e': 2}, 'e==A', False),
    ('a=+8(%di):u32 #! a:ip', {'a': 0x0100007f}, 'a==127.0.0.1', True),
    ('a=+0(%di):x64 a_2=+8(%di):x64 #! a+a_2:ip6', {'a': 0, 'a_2': 1 << 56}, 'a!=::1', False),
    ('p=%di:u16 #! p:be16', {'p': 0x5000}, 'p==80', True), ('u=%di:u32', {'u': 0xffffffff}, 'u==-1', True),
    ('b=+0(%di):b5@3/8 #! b:S(5)', {'b': 31}, 'b<0', True), ('b=+0(%di):b5@3/8 #! b:S(5)', {'b': 31}, 'b>=-1', True),
    ('b=+0(%di):b5@3/8 #! b:S(5)', {'b': 15}, 'b<=-1', False), ('c=%di:char', {'c': ord('x')}, "c=='x'", True),
    ('x=%di:x64', {'x': 0xff}, 'x>=0xff', True), ('x=%di:s64', {'x': -5}, 'x<-4', True),
])
def test_every_kind_of_value_is_compared(args, values, filter_, lets):
    lines = [f'p:f0_in f {args}', f"r:f0 f #! {'+'.join(re.findall(r'(?:^| )([a-z])=', args))}+dur:after(f0_in) f:{filter_}"]
    entry, back = sealed(*lines)
    records = written(entry, values, 0x1000, 1.0).replace(b'c=120', b"c='x'"), written(back, {}, 0x1000, 1.000001)
    assert len(shown((entry, back), *records)) == lets


@pytest.mark.parametrize(('line', 'message', 'at'), [
    ('p f $dur', r'\$dur is the time a call takes', '$dur'), ('p f f:dur>1ms', r'\$dur is the time a call takes', 'dur'),
    ('r f $dur f:dur>10', 'a number and its unit', '10'), ('r f $dur f:dur~1ms', 'a number and its unit', '1ms'),
    ('r f n=%0:s32 $dur f:n==1||foo==2', "'foo' is no argument of this line", 'foo'),
    ('r f n=%0:s32 $dur f:n==1||comm==x', "'comm' is no argument of this line", 'comm'),
    ('r f n=%0:s32 $dur f:n==x', "'x' is no number", 'x'), ('r f $dur:u32', 'a time has its own type', '$dur'),
    ('r f $retval #! retval:after(nobody)', 'names no line', 'retval:after'),
])
def test_what_cannot_be_asked_of_a_pair(line, message, at):
    with pytest.raises(InputError, match=message) as caught:
        make_events([parse_probe(line)], KERNEL)
    assert caught.value.at and line[caught.value.at[0]:].startswith(at)


@pytest.mark.parametrize('lines', [[LINE], [f'{LINE} f:dur>1ms&&retval>0'], ['r:x f n=%0:s32 h:n log2($dur)'],
                                   ['r f h: f:dur>1ms'], ['r f n=%0:s32 d=$dur f:d>1ms'], ['r16:y f $dur $retval'],
                                   ['r f f=%0:s32 $dur'], ['r f s=+0(%0):string m=+0(%1):x32 m_2=+4(%1):x16 $dur']])
def test_what_is_shown_can_be_read_again(lines):
    def told(events):
        return [(event.name, event.definitions, event.filter, event.columns, event.lines(), event.pair and (
            event.pair.entry, event.pair.stack, [(field.name, field.fetches, field.when) for field in event.pair.fields]))
            for event in events]
    first = sealed(*lines)
    again = sealed(*[line for event in first for line in event.lines()])
    assert told(again) == told(first)


def test_times_are_counted_in_microseconds():
    events = pair('r f n=%0:s32 h:n log2($dur) sum($dur)')
    decoder = Decoder(list(events), stacks=False)
    decoder.block(b''.join(record for n, dur in ((1, 3), (1, 4), (2, 1000)) for record in call(events, n, start=dur, dur=dur / 1e6)))
    assert decoder.counting.text().splitlines()[:3] == [
        'n  dur (us)  calls  sum(dur) (us)', '1       3-4      2              7 |',
        '2  513-1024      1           1000 |########################################']


class Thread:
    """A task that calls f, from itself too; `popped` is how far its stack pointer is up at a return."""

    def __init__(self, random: Random, pid: int, popped: int) -> None:
        self.random, self.pid, self.popped = random, pid, popped
        self.stack, self.calls = 0x7000000 + pid * 0x100000, []

    def step(self, events, clock: float, number: int) -> tuple[bytes, str]:
        """Its next record, and what is right to be shown of it; '' where nothing may be."""
        head = {'pid': self.pid}
        if self.calls and self.random.random() < 0.5 or len(self.calls) > 5:
            n, stack, began = self.calls.pop()
            right = f'n={n} retval={n} dur={time_text(round((clock - began) * 1e6))}'
            return written(events[1], {'retval': n}, stack + self.popped, clock, **head), right
        stack = self.calls[-1][1] - self.random.choice((16, 32, 48)) if self.calls else self.stack
        self.calls.append((number, stack, clock))
        return written(events[0], {'n': number}, stack, clock, **head), ''


@pytest.mark.parametrize('popped', [0, 8])
@pytest.mark.parametrize('seed', range(6))
def test_nothing_wrong_is_ever_shown(seed, popped):
    """Threads, recursion, returns that are missed, and stretches of records that are lost."""
    random, events, clock = Random(seed), pair(), 100.0
    threads = [Thread(random, pid, popped) for pid in (71, 72, 73)]
    right, came, lossy = {}, [], seed % 2
    for number in range(1500):
        clock = round(clock + random.randrange(1, 5000) / 1e6, 6)
        record, expected = random.choice(threads).step(events, clock, number)
        if expected and random.random() < 0.05:
            continue                                    # a return that the kernel missed
        if lossy and random.random() < 0.02:            # what was overwritten, with the word about it
            for more in range(random.randrange(20)):
                clock = round(clock + 0.000001, 6)
                random.choice(threads).step(events, clock, 10000 + 20 * number + more)
            record, expected = b'CPU:1 [LOST 9 EVENTS]\n', ''
        if expected:
            right[expected.split()[0]] = expected
        came.append(record)
    decoder, lines = Decoder(list(events), stacks=False), []
    while came:
        count = random.randrange(1, 40)
        lines += re.findall(r'<- f\) (.*)$', decoder.block(b''.join(came[:count])).decode(), re.M)
        del came[:count]
    assert [line for line in lines if right[line.split()[0]] != line] == []
    assert len(lines) == len(right) if not lossy else len(lines) > len(right) / 3
    assert len(lines) + decoder.calls.alone.get('f0', 0) == len(right)


@pytest.mark.parametrize('seed', range(6))
def test_what_another_processor_has_lost_and_not_told_yet_makes_no_wrong_pair(seed):
    """Threads go from one processor to another, where some of what they do is overwritten: told with the next record of that one."""
    random, events, clock = Random(seed), pair(), 100.0
    threads, cpus = [Thread(random, pid, 8) for pid in (71, 72, 73)], {71: 0, 72: 1, 73: 1}
    came, untold, lost, right = [], {0: 0, 1: 0}, {0: 0, 1: 0}, {}
    losing = {0: False, 1: False}
    for number in range(4000):
        clock = round(clock + random.randrange(1, 900) / 1e6, 6)
        thread = random.choice(threads)
        cpu = cpus[thread.pid] = random.choice((0, 1)) if random.random() < 0.1 else cpus[thread.pid]
        losing[cpu] ^= random.random() < 0.05
        record, expected = thread.step(events, clock, number)
        if losing[cpu]:
            untold[cpu] += 1
            lost[cpu] += 1
            continue
        if untold[cpu]:
            came.append(b'CPU:%d [LOST %d EVENTS]\n' % (cpu, untold[cpu]))
            untold[cpu] = 0
        if expected:
            right[expected.split()[0]] = expected
        came.append(record.replace(b'[001]', b'[%03d]' % cpu))
    assert any(b'[000]' in record for record in came) and any(b'[001]' in record for record in came)

    def shown_of(overruns):
        decoder, lines, rest = Decoder(list(events), stacks=False), [], came[:]
        decoder.gaps.overruns = overruns
        while rest:
            count = random.randrange(1, 300)
            lines += re.findall(r'<- f\) (.*)$', decoder.block(b''.join(rest[:count])).decode(), re.M)
            del rest[:count]
        return lines, [line for line in lines if right.get(line.split()[0]) != line]
    lines, wrong = shown_of(lambda: lost)
    assert not wrong and len(lines) > len(right) / 5
    assert shown_of(dict)[1]                            # who does not look ahead makes wrong ones


def test_the_first_round_of_a_function_that_begins_with_a_loop_is_the_call():
    entry, back = (event._replace(loop=True) for event in pair())
    rounds = [written(entry, {'n': n}, 0x1000, 1 + n / 10) for n in range(3)]
    returns = [written(back, {'retval': 9}, 0x1000, 2) for _ in rounds]
    assert shown((entry, back), *rounds, *returns, *call((entry, back), 7, start=3.0)) == [
        'n=0 retval=9 dur=1.000000s', 'n=7 retval=7 dur=500.000ms']
    with pytest.raises(InputError, match='begins with a loop'):
        surftrace.kept_fields(sealed('r f h:log2($dur)')[1]._replace(loop=True))


def test_an_entry_that_is_read_behind_its_return_makes_no_pair_with_the_next_one():
    events = pair()
    first, second = call(events, 1, start=1.0), call(events, 2, start=2.0)
    assert shown(events, first[1], first[0], second[1], second[0], *call(events, 3, start=3.0)) == ['n=3 retval=3 dur=500.000ms']


@pytest.mark.parametrize(('line', 'words'), [('r f $dur', 'cannot show a pair'), ('p f h:stack', 'only surftrace itself, not the kernel, can count by the stack'),
                                             ('r f n=%0:s32 f:n>1', 'cannot show a pair')])
def test_a_script_does_not_leave_out_in_silence_what_it_cannot_do(line, words):
    with pytest.raises(InputError, match=words) as caught:
        script(sealed(line), Run(''))
    assert line in str(caught.value)
