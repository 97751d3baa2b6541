"""Where every hit of a probe went: shown, lost, or said to be neither. A folder stands for tracefs here, a FIFO for trace_pipe."""
from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import KERNEL, record, sealed, text_of
from imitation import passes

import surftrace
from surftrace import Command, Decoder, Event, Run, Stream, Tracefs, Write, plan, probe_profile, summary

EVENT, = sealed('p f s=+0(%si):string n=%di:u32')
STATS = 'entries: {}\noverrun: {}\ncommit overrun: {}\nbytes: 9\noldest event ts: 1.2\nnow ts: 3.4\ndropped events: {}\nread events: {}\n'


@pytest.fixture
def tracefs(tmp_path: Path) -> Tracefs:
    """One with the files of an instance that has one processor."""
    (tmp_path / 'instances/run/per_cpu/cpu0').mkdir(parents=True)
    os.mkfifo(tmp_path / 'instances/run/trace_pipe')
    for name in ('kprobe_events', 'kprobe_profile', 'uprobe_events', 'uprobe_profile'):
        (tmp_path / name).write_text('')
    return Tracefs(str(tmp_path))


def put(tracefs: Tracefs, **files: str) -> None:
    """Writes files of the root, and the stats of the instance's processor."""
    for name, text in files.items():
        Path(tracefs.path('instances/run/per_cpu/cpu0/stats' if name == 'stats' else name)).write_text(text)


# ---- the profiles

PROFILES = {
    'kprobe_events': ('r3:other/f0 vfs_write a=1\np:run/f0 do_exit\np:run/f0 do_execve\nr4:run/f1 vfs_read\np:run_2/f0 vfs_open\n'
                      'p:runaway/f1 x\n'),
    'kprobe_profile': ('  f0        777     100\n  f0   1   0\n  f0   2   6\n  f1   5   3\n  f0   888   200\n  f1   999   300\n'),
    'uprobe_events': 'p:other/f2 /bin/a:0x1\np:run/f2 /bin/a b=1:0x10\np:run/f2 /bin/b:0x20\n',
    'uprobe_profile': ('  /bin/a f2                    111\n  /bin/a f2       4\n'
                       '  /bin/b f2                                             20\n'),
}


def test_the_hits_of_a_run_are_those_of_its_own_group_and_of_all_places(tracefs: Tracefs) -> None:
    put(tracefs, **PROFILES)
    assert probe_profile(tracefs, 'run') == {'f0': (3, 6), 'f1': (5, 3), 'f2': (24, 0)}
    assert probe_profile(tracefs, 'other') == {'f0': (777, 100), 'f2': (111, 0)}
    assert probe_profile(tracefs, 'nobody') == {}


def test_the_hits_are_read_again_when_others_probes_come_or_go_meanwhile(tracefs: Tracefs, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tracefs, **PROFILES)
    read, times = Tracefs.read, []

    def read_while_others_go(self: Tracefs, path: str) -> str:
        text = read(self, path)
        if path == 'kprobe_events' and len(times) < 2:
            times.append(path)
            for name in ('kprobe_events', 'kprobe_profile'):                # the first row is gone
                put(tracefs, **{name: read(self, name).partition('\n')[2] if len(times) == 1 else read(self, name)})
        return text
    monkeypatch.setattr(Tracefs, 'read', read_while_others_go)
    assert probe_profile(tracefs, 'run')['f0'] == (3, 6)


# ---- the stream

class Fed:
    """A Stream onto an output of the test's, and what it is fed with."""

    def __init__(self, tracefs: Tracefs, output: int, count: int | None = None) -> None:
        self.decoder = Decoder([EVENT], stacks=False)
        self.tracefs = tracefs
        path = tracefs.path('instances/run/trace_pipe')
        self._instance = surftrace.Instance('run', -1, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        self._into = os.open(path, os.O_WRONLY)
        fcntl.fcntl(self._into, surftrace.F_SETPIPE_SZ, 1 << 20)
        self.stream = Stream(tracefs, self.decoder, count=count, output=output)
        self.follower = threading.Thread(target=self.stream.follow, args=(self._instance, lambda: '', lambda: [], Command(())))
        self.follower.start()
        self.fed = 0

    def feed(self, count: int, size: int = 20) -> None:
        """So many records with a string of that size, as the kernel would have recorded them."""
        os.write(self._into, b''.join(text_of(EVENT, {'s': b'x' * size, 'n': self.fed + i}) for i in range(count)))
        self.fed += count
        put(self.tracefs, stats=STATS.format(self.fed - 1, 0, 0, 0, 1))

    def end(self) -> str:
        """Asked for by a signal; the summary."""
        self.stream._stop = True
        self.follower.join(120)
        assert not self.follower.is_alive()
        self.stream.drain()
        return '\n'.join(summary([EVENT], Run('run'), self.stream))

    def close(self) -> None:
        """All that it has open."""
        self.stream._stop = True
        self.follower.join()
        self.stream.close()
        os.close(self._into)
        os.close(self._instance.trace_pipe)


@pytest.fixture
def fed(tracefs: Tracefs) -> Iterator[Callable[..., Fed]]:
    """fed(OUTPUT): a Fed that ends with the test."""
    made = []

    def make(*arguments: object) -> Fed:
        made.append(Fed(tracefs, *arguments))
        return made[-1]
    yield make
    for each in made:
        each.close()


def numbers(text: bytes) -> list[int]:
    """Those of the lines, each of which is whole."""
    lines = text.decode().splitlines(True)
    assert all(re.search(r' s="x*" n=\d+\n$', line) for line in lines), lines[-1][-200:]
    return [int(re.search(r'n=(\d+)$', line)[1]) for line in lines]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize('size', [20, 3000, 6000], ids=lambda size: f'strings of {size}')
def test_what_a_slow_reader_did_not_take_is_counted_and_no_line_is_cut(fed: Callable[..., Fed], size: int) -> None:
    reader, writer = os.pipe()
    run = fed(writer)
    run.feed(400000 // (size + 100), size)
    wait_for(lambda: not surftrace.writable(writer, 0))
    said = run.end()
    os.close(run.stream._output)
    with open(reader, 'rb') as output:
        shown = numbers(output.read())
    assert shown == list(range(len(shown))) and 0 < len(shown) < run.fed
    assert said == f'surftrace: f0 {len(shown)} events, {run.fed - len(shown)} recorded and not shown: the output was not read'


def test_what_comes_in_time_is_shown_and_nothing_said_to_be_lost(fed: Callable[..., Fed], tmp_path: Path) -> None:
    with open(tmp_path / 'out', 'w+b') as output:
        run = fed(output.fileno())
        run.feed(100)
        assert run.end() == 'surftrace: f0 100 events, none lost'
        assert numbers((tmp_path / 'out').read_bytes()) == list(range(100))


def test_a_closed_output_is_said(fed: Callable[..., Fed]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run = fed(writer)
    run.feed(10)
    assert run.end() == 'surftrace: f0 0 events, 10 recorded and not shown: the output is closed'
    assert not run.stream.failure


def test_a_table_that_is_not_shown_is_said(tracefs: Tracefs) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.closing(Stream(tracefs, Decoder(sealed('p f h:')), output=writer)) as stream:
        assert surftrace.losses(Run('run'), stream) == []
        stream.write(b'a table\n')
        assert surftrace.losses(Run('run'), stream) == ['not every table is shown: the output is closed']


@pytest.mark.parametrize('interval', [None, 1.0])
def test_what_is_missing_in_tables_is_all_that_has_been(interval: float | None, tracefs: Tracefs) -> None:
    events = sealed('p f h:')
    with contextlib.closing(Stream(tracefs, Decoder(events), interval=interval)) as stream:
        assert surftrace.unseen(events, Run('run'), stream) == ''
        stream.lost, stream.profile = 3, {'f0': (9, 2)}
        missing = '3 lost (a larger buffer: -b KB), missed by the probes: f0 2'
        assert surftrace.unseen(events, Run('run'), stream) == missing + ', all since the start' * bool(interval)


def test_a_closed_output_is_noticed_in_silence(fed: Callable[..., Fed]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    wait_for(fed(writer).stream.stopped)


def test_a_full_output_is_an_error(fed: Callable[..., Fed]) -> None:
    with open('/dev/full', 'wb') as output:
        run = fed(output.fileno())
        run.feed(10)
        assert run.end() == 'surftrace: f0 0 events, 10 recorded and not shown: the output fails'
        assert run.stream.failure == 'standard output: No space left on device'


def test_the_end_of_the_reader_is_an_error(fed: Callable[..., Fed], tmp_path: Path) -> None:
    with open(tmp_path / 'out', 'w+b') as output:
        run = fed(output.fileno())
        run.feed(10)
        wait_for(lambda: run.decoder.counts['f0'] == 10)
        os.kill(run.stream.reader.process, signal.SIGKILL)
        run.feed(5)
        assert run.end() == 'surftrace: f0 10 events, 5 recorded and not shown: the process that reads them is gone'
        assert run.stream.failure == 'the process that reads trace_pipe was killed by signal 9'


def test_a_reader_that_got_nothing_to_read_ends_well(tracefs: Tracefs) -> None:
    stream = Stream(tracefs, Decoder([EVENT]))
    stream.drain()
    assert not stream.failure and not stream.unshown


def test_what_comes_after_the_number_that_was_asked_for_is_not_missed(fed: Callable[..., Fed], tmp_path: Path) -> None:
    with open(tmp_path / 'out', 'w+b') as output:
        run = fed(output.fileno(), 7)
        run.feed(10)
        wait_for(run.stream.ended)
        assert run.end() == 'surftrace: f0 7 events, none lost'


def test_that_nothing_was_lost_before_the_last_event_is_not_said_where_it_is_not_known(fed: Callable[..., Fed], tmp_path: Path) -> None:
    with open(tmp_path / 'out', 'w+b') as output:
        run = fed(output.fileno(), 7)
        put(run.tracefs, kprobe_events='p:run/f0 f\n', kprobe_profile='  f0 12 0\n')
        run.feed(10)
        wait_for(run.stream.ended)
        assert run.end() == ('surftrace: f0 7 events\n'
                             'surftrace: up to 5 of 12 hits are not shown, after the last one or larger than 4 KB')


# ---- the summary

@pytest.mark.parametrize(('stats', 'profile', 'run', 'said'), [
    ((0, 0, 0, 0, 10), (10, 0), Run('run'), '10 events, none lost'),
    ((0, 3, 2, 4, 10), (19, 0), Run('run'), '10 events, 9 lost (a larger buffer: -b KB)'),
    ((0, 6, 0, 0, 20), (10, 0), Run('run', stacks=True),
     '10 events, up to 6 lost (a larger buffer: -b KB), up to 10 recorded and not shown'),
    ((0, 0, 0, 0, 10), (12, 0), Run('run'),
     '10 events\nsurftrace: up to 2 of 12 hits are not shown, larger than 4 KB'),
    ((0, 2, 0, 0, 10), (15, 0), Run('run', own=(1, 2), pids=(3,)), '10 events, up to 2 lost (a larger buffer: -b KB)\n'
     'surftrace: up to 3 of 15 hits are not shown, in other processes or in surftrace itself or larger than 4 KB'),
    ((0, 0, 0, 0, 10), (10, 6), Run('run'), '10 events, none lost\nsurftrace: missed by the probes: f0 6'),
], ids=['all', 'lost', 'stacks', 'too large', 'others', 'missed'])
def test_a_summary(stats, profile, run, said, tracefs: Tracefs, fed: Callable[..., Fed], tmp_path: Path) -> None:
    with open(tmp_path / 'out', 'w+b') as output:
        each = fed(output.fileno())
        each.feed(10)
        put(tracefs, stats=STATS.format(*stats), kprobe_events='p:run/f0 f\n', kprobe_profile=f'  f0 {profile[0]} {profile[1]}\n')
        each.end()
        assert '\n'.join(summary([EVENT], run, each.stream)) == f'surftrace: f0 {said}'
        bounded, = sealed('p f n=%di:u32')                           # every record fits
        assert 'too large' not in '\n'.join(summary([bounded], run, each.stream))


# ---- the plan

def writes(lines: list[str], run: Run) -> dict[str, str]:
    """What the plan writes, by the last words of the path; in order."""
    steps = [step.do for step in plan(sealed(*lines), run)]
    return {write.path.split('/', 2)[-1]: write.text for write in steps if isinstance(write, Write)}


@pytest.mark.parametrize(('line', 'kb'), [
    ('p f', None), ('p f a=%di:u64 b=+0(%di):x64[64] $comm', None), ('p f s=+0(%si):string', '8'),
    ('p f s=+0(%si):string t=+0(%di):ustring', '12'), ('p f s=+0(%si):string[3]', '16'), ('e a/b', '8'),
])
def test_a_page_of_the_buffer_holds_the_largest_record(line: str, kb: str | None) -> None:
    made = writes([line, 'p f'], Run('run', buffer_kb=100))
    assert made.get('buffer_subbuf_size_kb') == kb
    order = [name for name in made if name.startswith('buffer_s')]
    assert order == ['buffer_subbuf_size_kb', 'buffer_size_kb'][2 - len(order):]


OWN, OTHER, HARD, SOFT, NMI = (7, 8), 5, 8, 16, 64


@pytest.mark.parametrize(('line', 'task', 'flags', 'passing'), [
    ('e a/b', OTHER, 0, True), ('e a/b', 7, 0, False), ('e a/b', 8, 7, False), ('e a/b', 7, HARD, True), ('e a/b', 8, SOFT, True),
    ('e a/b', 8, NMI | HARD, True), ('p f', 7, HARD, True), ('p f', 7, SOFT, True), ('p f', 7, 0, False), ('r f', 8, 0, False),
    ('p f', 7, NMI | HARD, False), ('r f', 7, SOFT, True), ('p f', OTHER, NMI | HARD, True),
])
def test_what_surftrace_does_itself_is_left_out_but_not_interrupts(line: str, task: int, flags: int, passing: bool) -> None:
    values = {'common_pid': ('s32', task), 'common_flags': ('u8', flags), 'n': ('u32', 3)}
    text = next(text for name, text in writes([line], Run('run', own=OWN)).items() if name.endswith('/filter'))
    assert passes(text, values) is passing
    if line[0] == 'p':
        for number in (3, 4):
            text = next(text for name, text in writes([f'{line} n=%di:u32 f:n==3||n==9'], Run('run', own=OWN)).items()
                        if name.endswith('/filter'))
            assert passes(text, {**values, 'n': ('u32', number)}) is (passing and number == 3)


@pytest.mark.parametrize(('from_', 'to', 'passing'), [
    (7, 8, False), (0, 7, False), (8, 0, False), (7, OTHER, True), (OTHER, 7, True), (OTHER, 0, True), (0, OTHER, True)])
def test_a_switch_is_left_out_where_it_is_between_surftrace_and_idleness(from_: int, to: int, passing: bool) -> None:
    event = Event('sched_switch', 'sched', (), (), (), '', '', sealed('e a/b')[0].probe, EVENT.arch)
    assert passes(surftrace.of_others(event, OWN), {'prev_pid': ('s32', from_), 'next_pid': ('s32', to)}) is passing


@pytest.mark.parametrize(('task', 'to', 'passing'), [
    (7, 8, False), (0, 7, False), (8, 0, False), (7, OTHER, True), (OTHER, 7, True), (OTHER, 0, True), (0, OTHER, True)])
def test_of_a_probe_of_switches_too(task: int, to: int, passing: bool) -> None:
    """It fetches unseen who is next; a plain record of it is still decoded with others, all at once."""
    fields = {'events/sched/sched_switch/format': 'field:int prev_prio;\toffset:8;\tsize:4;\tsigned:1;\n'
              'field:int next_pid;\toffset:16;\tsize:4;\tsigned:1;\n'}
    machine = KERNEL._replace(live=True, read=lambda path: fields.get(path, ''))
    event, = surftrace.make_events([surftrace.parse_probe('e:run sched/sched_switch prev_prio')], machine)
    assert event.definitions[0].definition() == 'e:run sched/sched_switch prev_prio=$prev_prio:s32 next1=$next_pid:s32'
    assert passes(surftrace.of_others(event, OWN), {'common_pid': ('s32', task), 'next1': ('s32', to)}) is passing
    line = record('run', [('prev_prio', 's32', 120), ('next1', 's32', to)])
    decoder = surftrace.Decoder([event], stacks=False)
    assert decoder._fast.findall(line) and decoder.block(line).endswith(b' prev_prio=120\n')


def test_nothing_is_left_out_where_that_is_asked_for() -> None:
    assert not any(name.endswith('/filter') for name in writes(['e a/b', 'p f'], Run('run')))
