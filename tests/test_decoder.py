"""Decoder: from the lines of trace_pipe to what is shown. What a string holds may look like anything, and a number behind
a bad pointer may be anything: neither may become a wrong value."""
from __future__ import annotations

import re
from json import loads
from random import Random

import pytest
from helpers import SEAL, SETS, sealed, some_records, text_of
from imitation import Old

import surftrace
from surftrace import Decoder, Event

STACK = b'            bash-77      (     77) [001]   421.123456: <stack trace>\n => f\n => do_syscall_64\n'


def shown(events: list[Event], data: bytes, **options) -> bytes:
    """What a new decoder shows of those lines; what is plain goes the quick way."""
    decoder = Decoder(events, stacks=False, **options)
    return decoder.block(data) + decoder.finish()


def fields_of(line: bytes) -> str:
    """What stands behind the place."""
    return re.search(rb'\(f\+0x0/0x40\) (.*)\n$', line, re.S)[1].decode('utf-8', 'surrogateescape')


# ---- one record

CHAIN, = sealed('p f users=+84(+2272(%di)):s32 pid=+1256(%di):s32 n=%si:u32')


@pytest.mark.parametrize(('pointers', 'expected'), [
    ({}, 'users=7 pid=8 n=9'),
    ({'ptr2': 0}, 'users=(null) pid=8 n=9'), ({'ptr2': 0x10}, 'users=(null) pid=8 n=9'),
    ({'ptr2': 4095}, 'users=(null) pid=8 n=9'),
    ({'ptr2': 4096}, 'users=(fault) pid=8 n=9'), ({'ptr2': 0x7fffdeadbeef}, 'users=(fault) pid=8 n=9'),
    ({'ptr2': (1 << 64) - 12}, 'users=(fault) pid=8 n=9'), ({'ptr2': (1 << 64) - 4096}, 'users=7 pid=8 n=9'),
    ({'ptr1': 0}, 'users=(null) pid=(null) n=9'), ({'ptr1': (1 << 64) - 1}, 'users=(fault) pid=(fault) n=9'),
    # behind a bad pointer the next one is whatever the buffer held: the first decides
    ({'ptr1': 0, 'ptr2': 0x1234567}, 'users=(null) pid=(null) n=9'),
    ({'ptr1': 0x1234567, 'ptr2': 0}, 'users=(fault) pid=(fault) n=9'),
])
def test_a_number_behind_a_bad_pointer_is_not_shown(pointers, expected):
    line = text_of(CHAIN, {'users': 7, 'pid': 8, 'n': 9}, pointers)
    assert fields_of(shown([CHAIN], line)) == expected
    assert shown([CHAIN], line).startswith(b'            bash-77      [001]   421.123456: f0: (f+0x0/0x40) ')


def test_what_only_the_filter_wants_is_not_shown():
    event, = sealed('p f a=%si:u32 c=$comm f:+84(+2272(%di)):s32<4||%dx:s32 != 1||$comm~x*||+0(%cx):string==x||a==1')
    values = {'a': 1, 'c': b'abc', 'mem': 7, 'dx': -1, 'mem_2': b'x" a=3 c="y'}
    plain = text_of(event, {**values, 'mem_2': b'x'})
    assert re.fullmatch(Decoder([event])._fast.pattern, plain)
    for line in (plain, text_of(event, values), text_of(event, values, {'ptr2': 0})):
        assert fields_of(shown([event], line)) == 'a=1 c="abc"'


@pytest.mark.parametrize(('line', 'values', 'expected'), [
    ('p f a=%di:s32 b=%si:x64 c=%dx:u8', {'a': -5, 'b': 255, 'c': 7}, 'a=-5 b=0xff c=7'),
    ('p f a=+0(%di):b5@3/8 #! a:S(5)', {'a': 31}, 'a=-1'), ('p f a=+0(%di):b5@3/8 #! a:S(5)', {'a': 15}, 'a=15'),
    ('p f a=+0(%di):b5@3/8 #! a:X', {'a': 31}, 'a=0x1f'),
    ('p f a=%di:s32 #! a:enum(A=-1,B=2)', {'a': -1}, 'a=A'), ('p f a=%di:s32 #! a:enum(A=-1,B=2)', {'a': 3}, 'a=3'),
    ('p f a=+0(%di):b3@0/8 #! a:enum(A=-1,B=2)', {'a': 7}, 'a=A'), ('p f a=+0(%di):b3@0/8 #! a:enum(A=-1,B=2)', {'a': 6}, 'a=-2'),
    ('p f a=+0(%di):x32 #! a:float', {'a': 0x3dcccccd}, 'a=0.1'), ('p f a=+0(%di):x64 #! a:double', {'a': 0x3fb999999999999a}, 'a=0.1'),
    ('p f a=+0(%di):x32[3] #! a:float', {'a': [0xff7fffff, 0x80000000, 0x7fc00000]}, 'a={-3.4028235e+38,-0,nan}'),
    ('p f a=+0(%di):x32 #! a:float', {'a': 0x4b800000}, 'a=16777216'), ('p f a=+0(%di):u16[2] #! a:be16', {'a': [0x5000, 0xbb01]}, 'a={80,443}'),
    ('p f a=%di:u16 #! a:be16', {'a': 0x5000}, 'a=80'), ('p f a=%di:u16 #! a:BE16', {'a': 0x5000}, 'a=0x50'),
    ('p f a=%di:u32:ip', None, None),
    ('p f a=+8(%di):u32 #! a:ip', {'a': 0x0100007f}, 'a=127.0.0.1'),
    ('p f a=+0(%di):x64 a_2=+8(%di):x64 #! a+a_2:ip6', {'a': 0, 'a_2': 1 << 56}, 'a=::1'),
    ('p f a=+0(%di):x32 a_2=+4(%di):x16 #! a+a_2:mac', {'a': 0x33221100, 'a_2': 0x5544}, 'a=00:11:22:33:44:55'),
    ('p f a=+0(%di):string b=%si:u32', {'a': b'x y', 'b': 1}, 'a="x y" b=1'),
    ('p f a=+0(%di):string b=%si:u32', {'a': Old(b'x'), 'b': 1}, 'a=(fault) b=1'),
    ('p f a=+0(%di):string #! a:cut(4)', {'a': b'abcdefg'}, 'a="abcd"'),
    ('p f a=+0(%di):string #! a:cut(4)', {'a': b'abcd'}, 'a="abcd"'),
    ('p f a=+0(%di):string #! a:cut(4)', {'a': 'aéé'.encode()}, r'a="aé\xc3"'),
    ('p f a=+0(%di):string #! a:cut(4)', {'a': Old(b'x')}, 'a=(fault)'),
    ('p f a=+0(%di):string #! a:cut(4)', {'a': b'(fault)'}, 'a="(fau"'),
    ('p f a=+0(%di):string #! a:cut(2)', {'a': b'a"b'}, 'a="a""'),
    ('p f a=+0(%di):x8[3]', {'a': [1, 2, 255]}, 'a={0x1,0x2,0xff}'),
    ('p f c=$comm n=%di:s8', {'c': b'a b', 'n': -1}, 'c="a b" n=-1'),
    ('p f a=$stack2:x64 b=+8($stack):u32', {'a': 1, 'b': 2}, 'a=0x1 b=2'), ('p f a=@jiffies:u64', None, None),
])
def test_a_value_is_shown(line, values, expected):
    if values is None:
        with pytest.raises(surftrace.InputError):
            sealed(line)
        return
    event, = sealed(line)
    assert fields_of(shown([event], text_of(event, values))) == expected


def test_what_does_not_fit_a_guard_is_not_decoded():
    """A packet header where there is none; a guard that decides for a string, and not for its neighbour."""
    event, = sealed('p f src=+12(+208(%di)):u32 s=+0(+16(%di)):string #! src:ip,iphdr@l3+112')
    values, labels = {'src': 0x0100007f, 's': b'x'}, [name for name, _ in event.definitions[0].unseen]
    assert labels == ['ptr1', 'ptr2', 'hdr1', 'hdr2', 'ptr3', 'end1']
    assert fields_of(shown([event], text_of(event, values))) == 'src=127.0.0.1 s="x"'
    assert fields_of(shown([event], text_of(event, values, {'hdr2': 0x60}))) == 'src=(no iphdr) s="x"'
    assert fields_of(shown([event], text_of(event, values, {'hdr2': 0x60, 'ptr2': 0}))) == 'src=(null) s="x"'
    assert fields_of(shown([event], text_of(event, values, {'hdr1': 15, 'hdr2': 0x60}))) == 'src=(too short) s="x"'
    assert fields_of(shown([event], text_of(event, values, {'hdr1': 16}))) == 'src=127.0.0.1 s="x"'
    assert fields_of(shown([event], text_of(event, {**values, 's': Old(b'x')}))) == 'src=127.0.0.1 s=(fault)'
    assert fields_of(shown([event], text_of(event, values, {'ptr3': 0}))) == 'src=127.0.0.1 s=(null)'
    assert fields_of(shown([event], text_of(event, values, {'ptr3': 0x7fff0000}))) == 'src=127.0.0.1 s="x"'
    assert fields_of(shown([event], text_of(event, values, {'ptr1': 0x7fff0000}))) == 'src=(fault) s=(fault)'


def test_a_text_in_a_packet_ends_with_the_packet():
    event, = sealed('p f s=+8(+208(%di)):string s_2=+112(%di):u32 #! s+s_2:packet(8),udphdr.data@l4+112')
    unseen = dict(event.definitions[0].unseen)
    assert [unseen[name].text() for name in ('ptr1', 'ptr2', 'hdr1', 'hdr2')] == ['%di:x64', '+208(%di):x64', '+112(%di):u32', '+116(%di):u32']
    for length, pieces, expected in ((12, 0, '"abcd"'), (14, 0, '"abcdef"'), (40, 0, '"abcdefgh"'), (9, 0, '"a"'), (8, 0, '(too short)'),
                                     (12, 4, '(in pieces)'), (8, 4, '(too short)')):
        line = text_of(event, {'s': b'abcdefgh', 's_2': length}, {'hdr1': length, 'hdr2': pieces})
        assert fields_of(shown([event], line)) == f's={expected}'


# ---- heads

@pytest.mark.parametrize('comm', [
    b'bash', b'a b', b'a-1', b'a-1 [000]', b'[000] 1.0: f0:', b'a: f0: (x) n=1', b'-', b' => x', b'kworker/0:1-ev',
    b'x' * 15, b'=> xxxxxxxxxxxx', b'<...>', b'CPU:1 [LOST 5', b'\xff\xfe',
    'été'.encode(), b'"', b'(f) n=1 ptr1=0', b'f0: (f) users=', b'1', b' ', b'a\tb', b'<stack trace>',
])
def test_a_task_may_have_any_name(comm):
    line = text_of(CHAIN, {'users': 7, 'pid': 8, 'n': 9}, {'ptr2': 0}, comm=comm)
    for data in (line, line * 3):
        out = shown([CHAIN], data)
        assert re.findall(rb' users=(\S+) pid=(\S+) n=(\S+)\n', out) == [(b'(null)', b'8', b'9')] * data.count(b'\n')
        assert out.count(b'\n') == data.count(b'\n') and b'ptr2' not in out


@pytest.mark.parametrize('comm', [b'a\nb', b'\n', b'a\n', b'\nx-1 [000] 1: ', b'\x1b[31m', b'a\rb', b'=> x\nxxxxxxxxx', b'=> /a[+0x1]\nxx',
                                  b'=> ??\nxxxxxxxx', b'\x9b31m'])
def test_a_task_named_with_control_characters_does_not_reach_the_terminal(comm):
    out = shown([CHAIN], text_of(CHAIN, {'users': 7, 'pid': 8, 'n': 9}, {'ptr2': 0}, comm=comm) * 2)
    assert out.replace(b'\n', b'').decode().isprintable()
    assert out.count(b'users=(null) pid=8 n=9\n') == out.count(b'\n') == 2


@pytest.mark.parametrize('comm', [b'=> xxxxxxxxxxxx', b'=> x\nxxxxxxxxx', b'x\n => /a[+0x1]', b'=> -1       [00', b'\n => f'])
@pytest.mark.parametrize('frame', [b' => f', b' => /bin/a[+0x1]', b' =>  <00007fff>', b' => ??', b' => abcdefghij', b' => /a[+0x1]',
                                   b' => /x-1       [000]     1.000000: f0: (f+0x0/0x40) users=1 pid=1 n=1[+0x1]'])
def test_a_task_may_have_any_name_among_stacks(comm, frame):
    """Its record is one, its stack's head shows no frame, and a path is no record."""
    values = {'users': 7, 'pid': 8, 'n': 9}
    for name in (comm, b'bash'):
        head = b'%16s-77      (     77) [001]   421.123456: <user stack trace>\n' % name
        record_ = text_of(CHAIN, values, {'ptr2': 0}, comm=name)
        data = record_ + head + frame + b'\n' + b' => ??\n' + frame + b'\n'
        decoder = Decoder([CHAIN], function_at=lambda path, place: '')
        out = decoder.block(data * 3 + data) + decoder.block(data) + decoder.finish()
        assert decoder.counts == {'f0': 5} and out.count(b'users=(null) pid=8 n=9\n') == 5
        assert [line for line in out.split(b'\n') if line.startswith(b' =>') and b'77' not in line] == [frame, b' => ??', frame] * 5


def test_a_path_in_a_stack_is_no_event():
    event, = sealed('e a/b')
    out = shown([event], b' => /a: b: x=1[+0x1]\n', function_at=lambda path, place: 'main+0x1')
    assert out == b' => main+0x1 (/a: b: x=1)\n'
    assert surftrace.Decoder([event]).counts == {'b': 0}


def test_the_group_of_threads_may_stand_in_the_head():
    values = {'users': 7, 'pid': 8, 'n': 9}
    for tgid in ('4711', '-------'):
        assert fields_of(shown([CHAIN], text_of(CHAIN, values, {'ptr2': 0}, tgid=tgid))) == 'users=(null) pid=8 n=9'


@pytest.mark.parametrize(('tasks', 'wanted', 'untold'), [
    ((77,), [1, 2, 3], [1, 2, 3]), ((4711,), [1, 4], [1, 2, 3, 4]), ((5,), [4], [2, 3, 4]), ((4711, 77), [1, 2, 3, 4], [1, 2, 3, 4]),
    ((6,), [], [2, 3]), ((88,), [1, 2, 3], [2, 3])])
def test_only_wanted_tasks_are_shown(tasks, wanted, untold):
    """Of a thread that has not yet left its processor the kernel prints no process, or that of an older thread of its number; where
    nothing else tells it is shown."""
    event, = sealed('p f n=%di:u32')
    heads = [{'tgid': '4711'}, {'tgid': '-------'}, {}, {'pid': 5, 'tgid': '4711'}]
    data = b''.join(text_of(event, {'n': number}, **head) for number, head in enumerate(heads, 1))
    for decoder, shown in ((Decoder([event], frozenset(tasks), process_of={77: 88, 5: 4711}.__getitem__), wanted), (Decoder([event], frozenset(tasks)), untold)):
        assert [int(number) for number in re.findall(rb'n=(\d)', decoder.block(data))] == shown
        assert decoder.counts == {'f0': len(shown)}


@pytest.mark.parametrize(('tgid', 'process', 'shown', 'told'), [
    ('4711', 88, b'(88)', 88), ('4711', 0, b'(4711)', 4711), ('4711', 77, b'', 77), ('-------', 88, b'(88)', 88), ('-------', 0, b'', None),
    (None, 88, b'', None)])
def test_the_process_is_not_that_of_an_older_thread(tgid, process, shown, told):
    """Which the kernel may print of a new one; in text and in objects."""
    event, = sealed('p f n=%di:u32')
    data = text_of(event, {'n': 1}, **{'tgid': tgid} if tgid else {})
    text, json = (Decoder([event], stacks=False, view=view([event]), process_of=lambda tid: {77: process}[tid]).block(data)
                  for view in (surftrace.Text, surftrace.Json))
    assert re.search(rb'-77(\S*) ', text)[1] == shown
    assert loads(json).get('tgid') == told


def test_flags_may_stand_in_the_head():
    line = text_of(CHAIN, {'users': 7, 'pid': 8, 'n': 9}, {'ptr2': 0}).replace(b'[001] ', b'[001] d..2. ')
    assert fields_of(shown([CHAIN], line)) == 'users=(null) pid=8 n=9'


# ---- lines between records

def test_lost_events_are_shown_between_records():
    event, = sealed('p f n=%di:u32 s=+0(%si):string')
    line = text_of(event, {'n': 1, 's': b'x'})
    decoder = Decoder([event])
    out = decoder.block(line + b'CPU:0 [LOST 5760 EVENTS]\n' + line + b'CPU:11 [LOST EVENTS]\n')
    out += decoder.block(b'CPU:1 [LOST 2 EVENTS]\n' + line)
    assert (decoder.records, decoder.counts) == (3, {'f0': 3})
    assert out.count(b'LOST') == 3 and out.count(b'n=1 s="x"\n') == 3


def test_a_string_that_looks_like_lost_events_is_none():
    event, = sealed('p f n=%di:u32 s=+0(%si):string')
    decoder = Decoder([event])
    out = decoder.block(text_of(event, {'n': 1, 's': b'x\nCPU:0 [LOST 5760 EVENTS]\ny'}) + text_of(event, {'n': 2, 's': b'x'}))
    assert fields_of(out.split(b'\n')[0] + b'\n') == r'n=1 s="x\x0aCPU:0 [LOST 5760 EVENTS]\x0ay"'


def test_the_lines_of_a_stack_follow_their_record():
    event, = sealed('p f n=%di:u32 s=+0(%si):string')
    kernel, = sealed('e a/b')
    for stack in (STACK, STACK.replace(b'<stack', b'<user stack')):
        data = text_of(event, {'n': 1, 's': b'x'}) + stack + text_of(event, {'n': 2, 's': b'"'}) + stack
        decoder = Decoder([event, kernel])
        out = decoder.block(data) + decoder.finish()
        assert decoder.counts == {'f0': 2, 'b': 0}
        assert out.count(stack) == 2 and b'n=1 s="x"\n' + stack in out and b'n=2 s="""\n' + stack in out


TOO_BIG = b'[LINE TOO BIG]\n'


@pytest.mark.parametrize('line', ['p f n=%di:u32 s=+0(%si):string', 'e a/f0'])
def test_a_record_that_the_kernel_could_not_print_is_counted_and_spoils_no_other(line):
    event, = sealed(line)
    data = text_of(event, {'n': 1, 's': b'x'}) if event.definitions else b'            bash-77      [001]   421.123456: f0: n=1 s="x"\n'
    decoder = Decoder([event])
    out = decoder.block(TOO_BIG + data + TOO_BIG + TOO_BIG) + decoder.block(data + TOO_BIG) + decoder.finish()
    assert (decoder.too_big, decoder.records, decoder.counts) == (4, 2, {'f0': 2})
    assert out.count(b'n=1 s="x"\n') == 2 and out.count(TOO_BIG) == 4


def test_a_string_that_looks_like_a_record_too_big_is_none():
    event, = sealed('p f n=%di:u32 s=+0(%si):string')
    decoder = Decoder([event])
    out = decoder.block(text_of(event, {'n': 1, 's': b'x\n[LINE TOO BIG]\ny'}) * 2)
    assert (decoder.too_big, decoder.counts, out.count(b'\n')) == (0, {'f0': 2}, 2)


@pytest.mark.parametrize('comm', [b'bash', b'a\nb', b'\x1b' * 15, b'\\x1b-1 [000]', '\x9b\u2028'.encode(), b'x-1 [000] 1.0: '])
def test_what_could_not_be_written_is_taken_back(comm):
    events = sealed('p f s=+0(%si):string n=%di:u32', 'e a/b')
    decoder = Decoder(events)
    line = text_of(events[0], {'s': b'x\nbash-77 [001] 4.1: b: y', 'n': 7}, comm=comm)
    lines = decoder.block((line + STACK + TOO_BIG + b'            bash-77      [001]   421.123456: b: x=1\n') * 2).splitlines(True)
    assert (decoder.counts, decoder.records) == ({'f0': 2, 'b': 2}, 6)
    decoder.take_back(len(b''.join(lines[len(lines) // 2:])))
    assert (decoder.counts, decoder.records) == ({'f0': 1, 'b': 1}, 3)


SYSCALLS = [    # as the kernel prints them (kernel/trace/trace_syscalls.c)
    ('e syscalls/sys_enter_openat', b'sys_openat(dfd: 0xffffff9c, filename: 0x7ffe30c81ad7, flags: 0, mode: 0)'),
    ('e syscalls/sys_exit_openat', b'sys_openat -> 0x4'),
    ('e raw_syscalls/sys_enter', b'sys_enter: NR 257 (ffffff9c, 7f, 0, 0, 0, 0)'),
]


def test_the_events_of_system_calls_are_counted_though_they_are_printed_in_their_own_way():
    events = sealed(*(line for line, _ in SYSCALLS), 'p:sys_openat f n=%di:u32')
    texts = [b'             cat-18675   [000]   760.012192: ' + text + b'\n' for _, text in SYSCALLS]
    texts.append(text_of(events[3], {'n': 1}))
    for odd in (b'', STACK, b'             a\tb-77      [001]   421.123456: sys_openat -> 0x4\n'):     # all at once; record by record
        decoder = Decoder(events, stacks=odd == STACK)
        out = decoder.block(b''.join(texts[i] for i in (0, 1, 0, 3, 2)) + odd)
        assert out.count(b'\n') == 5 + odd.count(b'\n')
        assert decoder.counts == {'sys_enter_openat': 2, 'sys_exit_openat': 1 + (b'0x4' in odd), 'sys_enter': 1, 'sys_openat': 1}
    decoder = Decoder(events)
    assert decoder.block(b''.join(texts), 2) == b''.join(texts[:2]) and sum(decoder.counts.values()) == 2


def test_two_trace_events_of_one_name_are_counted_together():
    decoder = Decoder(sealed('e a/b', 'e c/b', 'e c/d'), stacks=False)
    line = b'            bash-77      [001]   421.123456: b: x=1\n'
    assert decoder.block(line * 2 + STACK + line).count(b'b: x=1') == 3
    assert decoder.block(line * 2) == line * 2
    assert decoder.counts == {'b': 5, 'd': 0}


def test_an_event_of_ours_is_not_called_like_a_trace_event_that_is_traced_too():
    for lines in (['p:b f n=%di:u32', 'e a/b'], ['e a/b', 'p:b f n=%di:u32']):
        with pytest.raises(surftrace.InputError, match="'b' is the name of a trace event"):
            sealed(*lines)
    assert len(sealed('p:sys_enter_x f', 'e syscalls/sys_enter_x')) == 2


def test_a_tracepoint_is_shown_as_the_kernel_prints_it():
    event, = sealed('e a/b')
    line = b'            bash-77      [001]   421.123456: b: comm=x pid=1 \x1b[31m [a ==> b]\n'
    assert shown([event], line * 2) == line.replace(b'\x1b', b'\\x1b') * 2


# ---- strings

@pytest.mark.parametrize('text', [
    b'', b'"', b'""', b'a"b', b'" n=5', b'" n=5 end1=1', b'\n', b'a\nb\n', b'"\n', b'\\', b'\xff\xfe', 'é'.encode(),
    b'x' * 3000, b'\t', b'a=b', b'(fault)', b'{', b'}', b') n=4',
    b'f0: (f+0x0/0x40) s="y" n=5', b'x\n            bash-77      [001]   421.123456: f0: (f+0x0/0x40) s="y" n=5 end1=1\n',
    b'x" n=5\n            bash-77      [001]   4.1: f0: (f) s="y',
    b'\n' * 5, b'\n => f\n', b'\n<stack trace>\n', b'\nCPU:0 [LOST 5 EVENTS]\n', b'\nx-1 [000] 1.0: ',
    b'\nx-1 [000] 1.0: other: ', b'" n=5 end1=1587633825', b'\r\n',
])
def test_a_string_may_hold_anything(text):
    """Its neighbours' values are never what it says, and lines behind it are read as before."""
    event, = sealed('p f s=+0(%si):string n=+4(%di):u32')
    data = text_of(event, {'s': text, 'n': 7}, {'ptr2': 0})
    for pieces in ([data * 2], [data, data]):
        decoder = Decoder([event])
        out = b''.join(decoder.block(piece) for piece in pieces) + decoder.finish()
        lines = out.split(b'\n')[:-1]
        assert [fields_of(line + b'\n').encode('utf-8', 'surrogateescape')
                for line in lines] == [b's="' + visible(text) + b'" n=(null)'] * 2
        assert decoder.counts == {'f0': 2}


def visible(text: bytes) -> bytes:
    """The text with the bytes of what is no printable character as \\xNN."""
    return ''.join(c if c.isprintable() else ''.join(f'\\x{byte:02x}' for byte in c.encode('utf-8', 'surrogateescape'))
                   for c in text.decode('utf-8', 'surrogateescape')).encode()


@pytest.mark.parametrize('text',
                         [b'\x1b[2J', b'\x07', b'\x00', b'\x7f', b'\r', b'\x9b31m', '\x9b31m'.encode(), b'\x0b\x0c', b'a\x08b',
                          b'\x1b]0;title\x07', '\u202e\u2066\u2069\u2028\u2029\u200b'.encode(), b'\xe2\x80', b'\xe9t\xe9', b'\t'])
def test_what_a_terminal_would_obey_is_made_visible(text):
    event, = sealed('p f s=+0(%si):string n=%di:u32')
    out = shown([event], text_of(event, {'s': text, 'n': 7}))
    assert out.decode()[:-1].isprintable()
    assert fields_of(out).encode() == b's="' + visible(text) + b'" n=7'


@pytest.mark.parametrize(('text', 'expected'), [
    ('été λ 日本', 'été λ 日本'), ('a\x1b\x9b\n', r'a\x1b\xc2\x9b\x0a'), ('\u202e', r'\xe2\x80\xae'), ('\udc9b\udcff', r'\x9b\xff'), ('', '')])
def test_what_is_no_character_is_written_as_its_bytes(text, expected):
    assert surftrace.printable(text) == expected


def test_of_two_strings_none_lends_its_end_to_the_other():
    """Where the end of one cannot be told from the other's text, the record is not decoded."""
    event, = sealed('p f a=+0(%si):string n=+4(%di):u32 b=+0(%dx):string m=%cx:u32')
    decoded = 0
    for a, b in ((b'x', b'y'), (b'x" n=5 b="y', b'z'), (b'x', b'y" n=5 b="z'), (b'" n=5', b'" m=5'), (b'" n=5 b="" m=6', b''),
                 (b'x', b'y\n" n=5 b="z" m=5')):
        out = shown([event], text_of(event, {'a': a, 'b': b, 'n': 7, 'm': 8}, {'ptr2': 0}) * 2)
        right = b'a="' + visible(a) + b'" n=(null) b="' + visible(b) + b'" m=8'
        for line in out.split(b'\n')[:-1]:
            if b'not decoded' not in line:
                decoded += 1
                assert fields_of(line + b'\n').encode() == right
    assert decoded >= 2                                     # where nothing is strange


# ---- blocks

VIEWS = {
    'raw': lambda events: surftrace.Raw(),
    'text': surftrace.Text, 'coloured': lambda events: surftrace.Text(events, cpu=True, colour=True),
    'delta': lambda events: surftrace.Text(events, 'delta'), 'wall': lambda events: surftrace.Text(events, 'wall', 1_500_000_000)}


@pytest.mark.parametrize('view', VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize('lines', SETS.values(), ids=SETS)
def test_the_fast_way_and_the_slow_way_give_the_same(lines, view):
    """All at once, one line after the other, and record by record, as a filter by task makes it be done."""
    events, random = sealed(*lines), Random(7)
    for size in (0, 1, 2, 10, 300):
        records = some_records(random, events, size)
        decoders = [Decoder(events, frozenset(tasks), None, False, view(events)) for tasks in ([], [77], [], [])]
        out = [decoders[0].block(b''.join(records)), decoders[1].block(b''.join(records)),
               b''.join(map(decoders[2].block, records))]
        out.append(b''.join(decoders[3].block(line) for line in b''.join(records).splitlines(True)))
        out = [text + decoder.finish() for text, decoder in zip(out, decoders)]
        assert out[0] == out[1] == out[2]
        assert b'\n' not in re.sub(rb'(?m)^.*\n', b'', out[3]) and out[3].count(b'\n') >= out[0].count(b'\n')
        assert decoders[0].counts == decoders[1].counts == decoders[2].counts
        assert decoders[0].records == decoders[1].records == decoders[2].records >= sum(decoders[0].counts.values())


@pytest.mark.parametrize('lines', SETS.values(), ids=SETS)
def test_a_record_cut_by_the_end_of_a_block_is_read_when_it_is_whole(lines):
    events = sealed(*lines)
    event = next(event for event in events
                 if any((fetch.kind or 'string') == 'string' for _,
                        fetch in event.definitions[0].args)) if 'string' in str(lines) else events[0]
    values = {name: b'x\ny\n\nz' if (fetch.kind or 'string') == 'string' else [1, 2, 3] if fetch.kind.endswith(']') else 1
              for name, fetch in event.definitions[0].args}
    data = text_of(event, values) * 3
    whole = shown(events, data)
    for at in (match.end() for match in re.finditer(rb'\n', data)):
        decoder = Decoder(events, stacks=False)
        assert decoder.block(data[:at]) + decoder.block(data[at:]) + decoder.finish() == whole
    assert whole.count(b'\n') == 3


def test_a_record_that_never_ends_is_said_to_be_broken():
    event, = sealed('p f s=+0(%si):string n=%di:u32')
    data = text_of(event, {'s': b'x\ny', 'n': 7})
    decoder = Decoder([event])
    out = decoder.block(data[:data.index(b'\n') + 1]) + decoder.finish()
    assert b'not decoded' in out and b'n=' not in out
    assert decoder.counts == {'f0': 1}


@pytest.mark.parametrize('size', [1, 3, 1000])
@pytest.mark.parametrize('limit', [1, 2, 5, 8, 9, 100])
def test_no_more_than_so_many_events(limit, size):
    event, = sealed('p f n=%di:u32 s=+0(%si):string')
    records = [text_of(event, {'n': number, 's': b'x' if number % 3 else b'"'}) for number in range(9)]
    records.insert(3, b'CPU:0 [LOST 5 EVENTS]\n')
    decoder, out = Decoder([event], stacks=False), b''
    for start in range(0, len(records), size):
        left = limit - sum(decoder.counts.values())
        if left:
            out += decoder.block(b''.join(records[start:start + size]), left)
    assert [int(number) for number in re.findall(rb'n=(\d+)', out)] == list(range(min(limit, 9)))
    assert decoder.counts == {'f0': min(limit, 9)}


@pytest.mark.parametrize('view', [*VIEWS, 'json'])
def test_the_last_of_so_many_has_its_stack_and_no_other_one(view):
    """Another processor, an interrupt or the end of a block may come between."""
    event, = sealed('p f n=%di:u32')

    def hit(number: int, cpu: int) -> bytes:
        return text_of(event, {'n': number}).replace(b'[001]', b'[%03d]' % cpu)

    def stack(name: bytes, cpu: int) -> bytes:
        return STACK.replace(b'[001]', b'[%03d]' % cpu).replace(b'=> f', b'=> ' + name)
    for blocks in ([hit(5, 1), stack(b'mine', 1) + hit(6, 1) + stack(b'other', 1)],
                   [hit(5, 1) + hit(6, 2) + stack(b'mine', 1) + stack(b'other', 2)],
                   [hit(5, 1) + hit(6, 1) + stack(b'other', 1), stack(b'mine', 1)]):
        decoder, out = Decoder([event], view=surftrace.Json([event]) if view == 'json' else VIEWS[view]([event])), b''
        for block in blocks:
            assert not out or decoder.lacks_stacks()
            out += decoder.block(block, 1 - sum(decoder.counts.values()))
        assert not decoder.lacks_stacks() and decoder.counts == {'f0': 1}
        assert out.count(b'mine') == 1 and b'other' not in out
    table = sealed('p f h:stack')
    decoder = Decoder(table, stacks=False)
    decoder.block(hit(0, 1).replace(b' n=0', b''), 1)
    assert decoder.lacks_stacks() and decoder.block(stack(b'mine', 1), 0) == b'' and not decoder.lacks_stacks()
    assert 'mine' in decoder.counting.text()


def test_nothing_is_taken_back_for_a_table():
    events = sealed('p f n=%di:u32', 'p:g f h:')
    decoder = Decoder(events, stacks=False, view=surftrace.Text(events))
    decoder.block(text_of(events[0], {'n': 1}) + text_of(events[1], {}))
    decoder.take_back(len(decoder.tables(None, '')))
    assert decoder.counts == {'f0': 1, 'g': 1}


# ---- any string at all

PIECES = [b'"', b'\n', b' n=5', b' end1=', str(SEAL).encode(), b'x', b' => ', b'bash-77 [001] 4.1: ',
          b'            bash-77      [001]   421.123456: ', b'f0: ', b'g0: ', b'(f+0x0/0x40)',
          b' s="', b' ptr1=0xffff888000001000', b'CPU:0 [LOST 5 EVENTS]', b'\x1b[2J', b'\xff', b'(fault)', b'{', b'1',
          b' b=', b'="']


def test_no_string_changes_what_is_said_of_its_neighbours():
    """Strings made of all that lines are made of, but not of the seal, which nobody outside can know."""
    event, other = sealed('p:f0 f s=+0(%si):string n=+4(%di):u32', 'p:g0 f n=%di:u32')
    for seed in range(400):
        random = Random(seed)
        expected, data, known = [], b'', []
        for number in range(random.randint(1, 4)):
            text = b''.join(random.choice(PIECES) for _ in range(random.randint(0, 9)))
            seal = b' end1=%d\n' % SEAL
            while seal in text + b'\n':
                text = text.replace(seal[:-1], b'')
            null = random.random() < 0.5
            data += text_of(event, {'s': text, 'n': number}, {'ptr2': 0} if null else {}) + text_of(other, {'n': 100 + number})
            expected += [b's="%s" n=%s' % (visible(text), b'(null)' if null else b'%d' % number), b'n=%d' % (100 + number)]
        out = shown([event, other], data)
        known = [fields_of(line + b'\n').encode() if b'not decoded' not in line else None
                 for line in out.split(b'\n')[:-1]]
        assert len(known) == len(expected), (seed, out)
        assert all(have in (None, want) for have, want in zip(known, expected)), (seed, known, expected)
        assert known.count(None) <= len(known) // 2


# ---- stacks of some lines


def stack(kind: str, frame: str, pid: int = 77, cpu: int = 1) -> bytes:
    """A stack as the kernel prints it."""
    return b'            bash-%-7d      [%03d]   421.123456: <%sstack trace>\n => %s\n' % (pid, cpu, kind.encode(), frame.encode())


def test_stacks_of_one_line_alone_are_shown():
    one, other = sealed('p:one f n=%di:s32 +stack', 'p:other f n=%di:s32')
    first, second = text_of(one, {'n': 1}), text_of(other, {'n': 2})
    out = shown([one, other], first + stack('', 'f') + second + stack('', 'g'))
    assert b' => f\n' in out and b'=> g' not in out and out.count(b'stack trace') == 1
    # an interrupt between an event and its stack, on the same processor
    out = shown([one, other], first + second + stack('', 'g') + stack('', 'f'))
    assert b' => f\n' in out and b'=> g' not in out
    assert b'=> g' in Decoder([one, other]).block(first + stack('', 'f') + second + stack('', 'g'))     # with -s


def test_both_stacks_of_a_line():
    one, other = sealed('p:one f n=%di:s32 +ustack +stack', 'p:other f n=%di:s32 +ustack')
    first, second = text_of(one, {'n': 1}), text_of(other, {'n': 2})
    data = first + second + stack('', 'k2') + stack('user ', 'u2') + stack('', 'k1') + stack('user ', 'u1')
    assert re.findall(rb'=> (\w+)', shown([one, other], data)) == [b'u2', b'k1', b'u1']
    # one whose stack never came does not get that of another task, or of another processor
    data = first + text_of(other, {'n': 3}, pid=88) + stack('', 'k3', 88) + stack('user ', 'u3', 88)
    assert re.findall(rb'=> (\w+)', shown([one, other], data)) == [b'u3']
    data = first + stack('', 'k4', 77, 2) + stack('', 'k1') + stack('user ', 'u9', 99) + stack('user ', 'u1')
    assert re.findall(rb'=> (\w+)', shown([one, other], data)) == [b'k1', b'u1']


def test_what_has_no_stack_is_not_kept_for_ever():
    one, = sealed('p:one f n=%di:s32 +ustack')
    decoder = Decoder([one], stacks=False)
    decoder.block(text_of(one, {'n': 1}) * 1000)
    assert len(decoder._waiting[1]) == surftrace.MOST_AWAITED
