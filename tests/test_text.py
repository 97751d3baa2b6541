"""Text: what people see of a record."""
from __future__ import annotations

import contextlib
import io
import re
import time

import pytest
from helpers import SEAL, sealed, text_of
from imitation import record

import surftrace
from surftrace import Decoder, Text


def shown(lines: list[str], *records: bytes, **how) -> list[str]:
    """What is shown of those records, which are of events of those lines."""
    events = sealed(*lines)
    decoder = Decoder(events, stacks=any(b'stack trace' in each for each in records), view=Text(events, **how))
    return (decoder.block(b''.join(records)) + decoder.finish()).decode('utf-8', 'surrogateescape').splitlines()


def hit(name: str = 'f0', place: str = 'f+0x0/0x40', **values) -> bytes:
    return record(name, [(key, 'u32', value) for key, value in values.items()], place=place)


def at(line: bytes, seconds: str) -> bytes:
    """The same record at another time."""
    return line.replace(b'421.123456', seconds.encode())


# ---- the event and its place

@pytest.mark.parametrize(('line', 'name', 'place', 'expected'), [
    ('p f n=%di:u32', 'f0', 'f+0x0/0x40', 'f: n=1'),
    ('p f n=%di:u32', 'f0', 'f+0x4/0x40', 'f: n=1'),               # where functions begin with endbr
    ('p:open f n=%di:u32', 'open', 'f+0x0/0x40', 'open: (f) n=1'),
    ('p:f f n=%di:u32', 'f', 'f+0x0/0x40', 'f: (f) n=1'),
    ('p f+33 n=%di:u32', 'f0', 'f+0x21/0x40', 'f+0x21: n=1'),
    ('p:at f+33 n=%di:u32', 'at', 'f+0x21/0x40', 'at: (f+0x21) n=1'),
    ('p f n=%di:u32', 'f0', 'f.constprop.0+0x0/0x40', 'f: (f.constprop.0) n=1'),
    ('p m:f n=%di:u32', 'f0', 'f+0x0/0x40 [m]', 'f: n=1'),
    ('r f n=$retval:u32', 'f0', 'g+0x6a/0xa0 <- f', '<- f: (g+0x6a) n=1'),
    ('r f n=$retval:u32', 'f0', 'g+0x6a/0xa0 [m] <- f', '<- f: (g+0x6a [m]) n=1'),
    ('r:ret f n=$retval:u32', 'ret', 'g+0x6a/0xa0 <- f', 'ret: (g+0x6a <- f) n=1'),
    ('r:ret f n=$retval:u32', 'ret', '0xffffffff81000000 <- f', 'ret: (0xffffffff81000000 <- f) n=1'),
])
def test_an_event_is_called_by_its_function_and_its_place_is_shown_where_it_says_more(line, name, place, expected):
    for records in ([hit(name, place, n=1)], [hit(name, place, n=1), hit(name, place, n=2).replace(b'bash', b'b\tsh')]):
        assert shown([line], *records)[0] == f'  0.000000 bash-77            {expected}'


def test_two_events_are_not_called_alike():
    lines = shown(['p f n=%di:u32', 'p f m=%di:u32', 'r f', 'p:f1_ f'], hit(n=1), hit('f1', m=2), hit('f2', 'h+0x1/0x2 <- f'),
                  hit('f1_'))
    assert [line[30:] for line in lines] == ['f0 f: n=1', 'f1 f: m=2', '<- f: (h+0x1)', 'f1_:  (f)']


def test_an_event_of_the_kernel_and_a_system_call_are_shown_as_the_kernel_prints_them():
    head = b'            bash-77      [001]   421.123456: '
    texts = [b'b: x=1 y="2"', b'sys_openat(dfd: 0xffffff9c)', b'sys_openat -> 0x4']
    lines = shown(['e a/b', 'e syscalls/sys_enter_openat', 'e syscalls/sys_exit_openat'], *(head + text + b'\n' for text in texts))
    assert [re.sub(' +', ' ', line[30:]) for line in lines] == [text.decode() for text in texts]


# ---- task, processor, time

def test_the_process_is_shown_where_it_is_another_than_the_thread():
    event, = sealed('p f n=%di:u32')
    for comm, tgid, expected in ((b'bash', '77', 'bash-77'), (b'bash', '76', 'bash-77(76)'), (b'a-1 (5)', '', 'a-1 (5)-77'),
                                 (b'a-1 (5)', '3', 'a-1 (5)-77(3)'), (b'x\x1b\n', '', r'x\x1b\x0a-77')):
        for count in (1, 3):
            lines = shown(['p f n=%di:u32'], *[text_of(event, {'n': 1}, comm=comm, tgid=tgid)] * count)
            assert lines == [f'  0.000000 {expected:18} f: n=1'] * count


def test_the_times():
    records = [at(hit(n=1), each) for each in ('421.123456', '421.123457', '1421.000000', '1421.500000')]
    texts = {'': ['  0.000000', '  0.000001', '999.876544', '1000.376544'],
             'delta': ['  0.000000', '  0.000001', '999.876543', '  0.500000']}
    for clock, expected in texts.items():
        assert [line.partition(' bash')[0] for line in shown(['p f n=%di:u32'], *records, clock=clock)] == expected
    lines = shown(['p f n=%di:u32'], *records, clock='wall', zero=1_000_000_000_900_000)
    days = [time.strftime('%H:%M:%S', time.localtime(1_000_000_000 + each)) for each in (422, 422, 1421, 1422)]
    assert [line.partition(' bash')[0] for line in lines] == [
        f'{day}.{micros}' for day, micros in zip(days, ('023456', '023457', '900000', '400000'))]


def test_the_processor_and_the_titles():
    view = Text(sealed('p f n=%di:u32'), cpu=True)
    assert shown(['p f n=%di:u32'], hit(n=1), cpu=True) == ['  0.000000 bash-77            [001] f: n=1']
    assert view.titles() == '      TIME TASK-PID           CPU   EVENT\n'


# ---- stacks

STACK = b'            bash-77      [001]   421.123456: <stack trace>\n => f\n => g\n'


def test_a_stack_has_no_line_of_its_own_below_its_event():
    other = STACK.replace(b'[001]', b'[000]')
    head = '  0.000000 bash-77            '
    assert shown(['p f n=%di:u32'], hit(n=1), STACK) == [f'{head}f: n=1', ' => f', ' => g']
    assert shown(['p f n=%di:u32'], hit(n=1), other) == [f'{head}f: n=1', f'{head}<stack trace>', ' => f', ' => g']
    assert shown(['p f n=%di:u32'], hit(n=1), b'CPU:1 [LOST 5 EVENTS]\n', STACK)[2:] == [f'{head}<stack trace>', ' => f', ' => g']


# ---- colours, and what a text cannot do

def test_names_are_in_colour_and_what_a_string_holds_is_not():
    event, = sealed('p f s=+0(%si):string n=%di:u32')
    for text in (b'x', b'a n=5', b'"', b'\x1b[1m n=6'):
        line = text_of(event, {'s': text, 'n': 7})
        for records in ([line], [line] * 3):
            for out in shown(['p f s=+0(%si):string n=%di:u32'], *records, colour=True):
                assert re.findall(r'\x1b\[36m(\w+)\x1b\[0m=', out) == ['s', 'n'] and out.count('\x1b') == 6
                plain = re.sub(r'\x1b\[\d*m', '', out)
                assert [plain] == shown(['p f s=+0(%si):string n=%di:u32'], line)
    assert str(SEAL) not in plain


def test_what_could_not_be_written_is_taken_back():
    events = sealed('p f n=%di:u32', 'e a/b')
    other = b'            bash-77      [001]   421.123456: b: x=1\n'
    for pieces in ([hit(n=1), other] * 4, [hit(n=1), STACK, other] * 4):
        decoder = Decoder(events, stacks=STACK in pieces, view=Text(events))
        out = decoder.block(b''.join(pieces))
        records = decoder.records
        decoder.take_back(len(out) // 2)
        assert (decoder.counts, decoder.records) == ({'f0': 2, 'b': 2}, records // 2), pieces


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'utf-16'])
def test_the_bytes_of_a_text_are_the_same_whatever_the_locale(encoding):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with contextlib.redirect_stdout(stdout):
        surftrace.check_descriptors()
        surftrace.put_out('é\u20ac\udcff\n')
        assert stdout.buffer.getvalue() == 'é\u20ac'.encode() + b'\xff\n'


# ---- programs

def test_the_clock_of_the_day_is_that_of_the_system():
    zero = surftrace.time_of_day_offset()
    assert min(abs(time.monotonic_ns() // 1000 + zero - time.time_ns() // 1000) for _ in range(9)) < 1000
