"""-w and -R: what is shown of a recording is what the run would have shown, with any option; a file from a stranger does no harm."""
from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from helpers import ARGS, SETS, events_of, of_programs, outcome, sealed, some_records, text_of
from live import COMMAND, FORK

import surftrace
from surftrace import Beginning, Decoder, Event, Json, Raw, Recorder, Recording, Results, Run, SurftraceError, Template, Text

RUN = Run('surftrace_1_00000000', pids=(7,), own=(1, 2))
VIEWS: dict[str, Callable[[list[Event]], Raw]] = {
    'text': Text, 'raw': lambda events: Raw(), 'json': Json, 'day': lambda events: Text(events, 'wall', 10**15),
    'columns': lambda events: Text(events, 'delta', 0, True, True), 'template': lambda events: Template('{time} {function} {caller} {text}', events)}


def losing(decoder: Decoder) -> None:
    """It is told that more and more was lost on two processors."""
    decoder.gaps.overruns = lambda: {0: decoder.records // 30, 1: decoder.records // 50}


def recorded(events: list[Event], blocks: list[bytes], stacks: bool = False, most: int | None = None, tasks: tuple[int, ...] = (),
             function_at: Callable[[str, int], str] | None = None) -> bytes:
    """The recording of a run that read these blocks, and lost some of what came."""
    recorder = Recorder(Beginning(10**15, most, stacks, function_at is not None, tasks, tuple(events)), ['here', 'p:f g'], function_at)
    losing(recorder)
    results = Results(recorder, most)
    data = [recorder.start, *(recorder.block(block, results.left()) for block in blocks), recorder.finish()]
    results.lost, results.unshown, results.why, results.profile = 5, 2, ': why', {'f': (9, 1)}
    return b''.join(data) + recorder.end(RUN, results)


def shown(data: bytes, view: Callable[[list[Event]], Raw]) -> tuple[bytes, Results, Recording]:
    """What is shown of a recording, and what is known of it then."""
    recording = Recording(io.BytesIO(data), 'x')
    with surftrace.reading('x'):
        results = Results(recording.decoder(view(list(recording.beginning.events))), recording.beginning.most)
    return b''.join(recording.decoded(results)), results, recording


def cut(random: Random, records: list[bytes]) -> list[bytes]:
    """The records in blocks of whole lines, of any size."""
    lines = b''.join(records).splitlines(keepends=True)
    ends = sorted({0, len(lines), *(random.randrange(len(lines)) for _ in range(5))})
    return [b''.join(lines[start:end]) for start, end in zip(ends, ends[1:])]


KINDS = {
    **SETS, 'all formats': (ARGS,), 'a table': ('p f n=%di:u32 h:comm log2(n) sum(n) f:n>1', 'p:g f h:'),
    'since': ('p:a f n=%di:u32', 'p:b f n=%si:u32 $dur(a,n) f:dur>1us'), 'a pair': ('r f n=%di:u32 $retval $dur f:dur<1s', 'p:x f h:stack'),
    'stacks': ('p f n=%di:u32 +stack', 'p f s=+0(%si):string'), 'a struct': ('p f a=%di:s32 b=%si:u32 #! a+b:{x:enum(A=1,B=2);y}',)}


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('lines', KINDS.values(), ids=KINDS)
def test_a_recording_is_shown_as_the_run_was(lines: tuple[str, ...], view: str) -> None:
    events, random = sealed(*lines), Random(f'{lines}')
    for stacks in (False, True):
        for most in (None, 7):
            blocks = cut(random, some_records(random, events, 60))
            decoder = Decoder(events, view=VIEWS[view](events), stacks=stacks)
            losing(decoder)
            live = b''.join([*(decoder.block(block, most and most - sum(decoder.counts.values())) for block in blocks), decoder.finish()])
            out, results, recording = shown(recorded(events, blocks, stacks, most), VIEWS[view])
            assert out == live
            assert (results.decoder.counts, results.decoder.records, results.decoder.too_big) == (decoder.counts, decoder.records, decoder.too_big)
            assert results.decoder.counting.text() == decoder.counting.text()
            assert (results.lost, results.unshown, results.why, results.profile, results.unknown) == (5, 2, ': why', {'f': (9, 1)}, '')
            assert recording.run == RUN and recording.about == ['here', 'p:f g']


def test_what_a_decoder_needs_of_an_event_is_kept() -> None:
    """But for what made it: C's types are not there any more, nor the program."""
    events = sealed(*KINDS['since'], *KINDS['all formats']) + events_of(of_programs()._replace(seal=1), 'R libc:getppid $retval $dur')
    for event, kept in zip(events, Recording(io.BytesIO(recorded(events, [])), 'x').beginning.events):
        probe = event.probe._replace(args=(), filter=None, words=(), keys=None, entry=None, back=None)
        fields = [field._replace(format=None) for field in event.fields]
        assert [field._replace(format=None) for field in kept.fields] == fields
        assert [field.format and field.format.word for field in kept.fields] == [
            field.format and (field.format.alone or field.format.word) for field in event.fields]
        same = ('name', 'system', 'definitions', 'seal', 'filter', 'annotation', 'arch', 'columns', 'begins', 'role', 'label')
        assert {name: getattr(kept, name) for name in same} == {name: getattr(event, name) for name in same}
        assert kept.probe == probe and (kept.program and kept.program.path) == (event.program and event.program.path)


def test_places_and_frames_of_programs_have_their_names() -> None:
    """The program is not read again: it may be on another machine, and it is not there here."""
    events = events_of(of_programs()._replace(seal=3), 'P:one libc:getppid', 'R libc:getppid $retval:u32')
    code = events[0].program.executable
    offset = int(re.search(r'0x[0-9a-f]+', events[0].definitions[0].place.rpartition(':')[2])[0], 16)
    place = 0x555500000000 + code.code_at(offset)
    back = f'({place + 1:#x} <- {place:#x})'.encode()
    head = b'            bash-77      (     77) [001]   421.123456: '
    unseen = ''.join(f' {name}={5 if name[:2] != "en" else 3}' for name, _ in events[1].definitions[0].unseen).encode()
    data = head + f'one: ({place:#x})\n'.encode() + head + b'f1: ' + back + b' retval=7' + unseen + b'\n'
    stack = head + b'<user stack trace>\n => /bin/app[+0x12]\n => /bin/app[+0x99]\n'

    def function_at(path: str, behind: int) -> str:
        return 'main+0x2' if (path, behind) == ('/bin/app', 0x12) else ''
    for view in VIEWS.values():
        decoder = Decoder(events, function_at=function_at, view=view(events))
        live = decoder.block(data + stack) + decoder.finish()
        out, _, recording = shown(recorded(events, [data + stack], True, function_at=function_at), view)
        assert out == live and b'main+0x2 (/bin/app)' in out
        assert (b'getppid+0x1' in out) == (view is not VIEWS['raw'])
        assert not hasattr(recording.beginning.events[0].program, 'executable')


def damaged(data: bytes) -> Iterator[bytes]:
    """The file cut anywhere, or with some bytes that are others."""
    yield from (data[:size] for size in range(0, len(data), 23))
    random = Random(5)
    for _ in range(200):
        changed = bytearray(data)
        for _ in range(random.randint(1, 3)):
            changed[random.randrange(len(changed))] = random.choice(b'\0\n"[]{}:,019aZ\xff')
        yield bytes(changed)


def test_a_damaged_file_is_shown_as_far_as_it_can_be_read() -> None:
    events = sealed('p f s=+0(%si):string e=%di:u32 #! e:enum(A=1,B=2)', 'r:back f $dur $retval')
    blocks = cut(Random(2), some_records(Random(1), events[:1], 20))
    data = recorded(events, blocks)
    whole, refused = shown(data, Text)[0], 0
    for changed in damaged(data):
        out = []
        try:
            recording = Recording(io.BytesIO(changed), 'x')
            with surftrace.reading('x'):
                results = Results(recording.decoder(Text(recording.beginning.events)), None)
            out += recording.decoded(results)
            assert not results.unknown
        except SurftraceError as error:
            refused += 1
            assert str(error).startswith('x') and len(str(error)) < 500
        kept = b''.join(out).rpartition(b'\n')[0]           # the last record may have an end that is not its own
        assert whole.startswith(kept[:kept.rfind(b'\n') + 1])       # and nothing else is shown than what was recorded
    assert refused > 60


def resummed(data: bytes) -> bytes:
    """The file with the sums that it ought to have, as somebody who means harm makes it."""
    file, out, total = io.BytesIO(data), [surftrace.RECORDING], 0
    file.readline()
    for line in iter(file.readline, b''):
        text = b''
        if line.startswith(b'{"text": ['):
            text = file.read(json.loads(line)['text'][0])
            line = surftrace.line_of('text', [len(text), zlib.crc32(text, total)])
        else:
            text, line = line, b''
        total = zlib.crc32(text, total)
        out += [line, text]
    return b''.join(out)


BEGIN = {'begin': {'Beginning': {'zero': 0, 'most': None, 'stacks': False, 'user_stacks': False, 'tasks': [], 'events': []}}}
END = {'end': [{'Run': {'group': 'x'}}, 0, 0, '', [], '']}


@pytest.mark.parametrize('lines', [
    [], [{}], [1], [[]], ['x'], [{'begin': 1}], [{'begin': {'Beginning': {}}}], [{'begin': {'Beginning': {**BEGIN['begin']['Beginning'], 'events': [1]}}}],
    [{'begin': {'Beginning': {**BEGIN['begin']['Beginning'], 'more': 1}}}], [BEGIN, {'end': [*END['end'], 1]}], [BEGIN, {'end': [[], 0, 0, '', [], '']}],
    [BEGIN, {'text': [1 << 80, 0]}], [BEGIN, {'text': [-1, 0]}], [BEGIN, {'text': [0, 1]}],
    [BEGIN, {}], [BEGIN, {'text': -1}], [BEGIN, {'text': 'x'}], [BEGIN, {'text': 1 << 80}], [BEGIN, {'end': 5}], [BEGIN, {'end': []}],
    [BEGIN, {'name': []}], [BEGIN, {'name': [[]]}], [BEGIN, {'text': 5}], [{'os.system': ['true']}], [BEGIN, {'begin': 2}]])
def test_what_is_no_recording_is_refused_in_a_sentence(lines: list[object]) -> None:
    data = surftrace.RECORDING + b'# x\n' + b''.join(json.dumps(line).encode() + b'\n' for line in lines)
    assert shown(surftrace.RECORDING + b''.join(json.dumps(line).encode() + b'\n' for line in (BEGIN, END)), Text)[0] == b''
    with pytest.raises(SurftraceError, match='^x: .*damaged'):
        shown(data, Text)


@pytest.mark.parametrize('data', [b'', b'surftrace recording 2\n', b'\x7fELF', surftrace.RECORDING[:-1], surftrace.RECORDING + b'[' * 100000,
                                  surftrace.RECORDING + b'# ' + b'x' * 10000, surftrace.RECORDING + b'{"begin": ' + b'9' * 5000 + b'}\n'])
def test_what_is_another_file_too(data: bytes) -> None:
    with pytest.raises(SurftraceError):
        shown(data, Text)


@pytest.mark.parametrize(('old', 'new'), [
    (b'"f0"', b'"f0(x"'), (b'"f0"', b'"(a+)+"'), (b' end1=', b' .*='), (b'"n"', b'"n) "'), (b'"end1"', b'"[' + b'x' * 9 + b'"'), (b'x86_64', b'x87'),
    (b'"S(5)"', b'"rm -rf"'), (b'"S(5)"', b'"enum(unknown)"'), (b'"S(5)"', b'"ip6"')])
def test_no_name_becomes_part_of_a_pattern(old: bytes, new: bytes) -> None:
    events = sealed('p f s=+0(%si):string n=+0(%di):b5@3/8 #! n:S(5)')
    data = recorded(events, [])
    assert data.count(old)
    with pytest.raises(SurftraceError):
        shown(resummed(data.replace(old, new)), Text)
    assert resummed(data) == data


def test_control_characters_in_a_recording_do_not_reach_the_terminal() -> None:
    events = sealed('p f n=%di:u32')
    data = recorded(events, [text_of(events[0], {'n': 1}, comm=b'a\x1b[2Jb')])
    data = resummed(data.replace(b'# here', b'# h\x1b[2Jere'))
    out, _, recording = shown(data, Text)
    assert b'\x1b' not in out and b'a\\x1b[2Jb' in out
    assert '\x1b' in recording.about[0]          # say() makes it visible


def test_what_cannot_be_written_of_a_recording_is_taken_back() -> None:
    event, = sealed('p f n=%di:u32')
    recorder = Recorder(Beginning(0, None, False, False, (), (event,)), [], None)
    blocks = [text_of(event, {'n': 1}) * count for count in (3, 4)]
    sizes = [len(recorder.block(block)) for block in blocks]
    assert recorder.finish() == b'' and recorder.counts == {'f0': 7}
    recorder.take_back(0)
    assert recorder.counts == {'f0': 7}
    recorder.take_back(1)               # of a block that is not whole some may be read, which nobody counts on
    assert recorder.counts == {'f0': 3} and sizes[1] > 1
    recorder.end(RUN, Results(recorder))
    recorder.take_back(1)
    assert recorder.counts == {'f0': 3}


# ---- the command

@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One with a table, one event, and losses."""
    events = sealed('p f n=%di:u32 h:n', 'p:g f n=%di:u32')
    file = tmp_path / 'some.rec'
    file.write_bytes(recorded(events, [text_of(event, {'n': n}) for event in events for n in (1, 2, 2)]))
    return file


def test_R_shows_it_and_says_what_became_of_all(recording: Path) -> None:
    status, out, err = outcome('-R', str(recording))
    assert status == 0
    assert [line.split()[1:] for line in out.splitlines()[:3]] == [['bash-77', 'g:', '(f)', f'n={n}'] for n in (1, 2, 2)]
    assert re.search(r'^n +calls\n1 +1 \|.*\n2 +2 \|.*\n3 calls\nat least: up to 5 lost', out, re.M)
    assert 'p:f g\nsurftrace: recorded here\n' in err
    assert 'surftrace: f 3, g 3 events, up to 5 lost (a larger buffer: -b KB), up to 2 recorded and not shown: why' in err


def test_R_goes_with_what_shows(recording: Path) -> None:
    status, out, err = outcome('-q', '-R', str(recording), '--json', '-n', '5', '--top', '1')
    rows = [json.loads(line) for line in out.splitlines()]
    assert (status, [row['values']['n'] for row in rows if 'values' in row]) == (0, [1, 2])
    assert [(row['keys'], row['calls']) for row in rows if 'keys' in row] == [({'n': 2}, 2)]
    for options in (['-s'], ['-w', 'x'], ['p f'], ['-p', '1'], ['-t'], ['-d', '1'], ['-i', '1'], ['-v', 'x'], ['-f', 'x'], ['-S'], ['--', 'true'], ['-b', '64']):
        status, out, err = outcome('-R', str(recording), *options)
        assert (status, out) == (2, '') and err.count('\n') == 1, (options, err)
    for options in (['--json', '--raw'], ['-T', '--delta'], ['--format', '{x}']):
        assert outcome('-R', str(recording), *options)[:2] == (2, '')


def test_no_rows_are_no_lines_of_json(recording: Path) -> None:
    recording.write_bytes(recorded(sealed('p f n=%di:u32 h:n'), []))
    assert outcome('-q', '-R', str(recording), '--json')[:2] == (0, '')
    assert outcome('-q', '-R', str(recording))[:2] == (0, 'n  calls\n0 calls\nat least: up to 5 lost (a larger buffer: -b KB), '
                                                          'up to 2 recorded and not shown: why, missed by the probes: f 1\n')


def test_R_of_a_file_that_was_cut(recording: Path) -> None:
    data = recording.read_bytes()
    recording.write_bytes(data[:data.rindex(b'{"end"')])
    status, out, err = outcome('-R', str(recording))
    assert status == 1 and out.count('bash-77') == 3 and 'at least: what was lost is not known' in out
    assert err.endswith(f'3 events, what was lost is not known\nsurftrace: {recording}: the file is damaged, or not what it seems (its end is missing)\n')
    assert 'none lost' not in err


@pytest.mark.parametrize('options', [['--json'], ['-S'], ['-o', '-'], ['-i', '1'], ['--raw'], ['-H'], ['-T']])
def test_w_shows_nothing(options: list[str]) -> None:
    status, out, err = outcome('-w', '/nowhere/x', *options, 'p:x vfs_read h:')
    assert (status, out) == (2, '') and '-w' in err


def test_an_end_is_heard_while_a_fifo_has_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surftrace, 'ENDING', surftrace.Ending())        # that an end was asked for stays with it
    os.mkfifo(tmp_path / 'fifo')
    options = surftrace.arguments().parse_args(['-w', str(tmp_path / 'fifo')])
    timers = [threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)),
              threading.Timer(10, os.open, (tmp_path / 'fifo', os.O_RDONLY | os.O_NONBLOCK))]
    with surftrace.ENDING.heard(), surftrace.ENDING.waiting(True), pytest.raises(KeyboardInterrupt):
        for timer in timers:                                # from here on: a signal that nobody expects ends the tests
            timer.start()
        with surftrace.record_file(options):
            pass
    timers[1].cancel()


@pytest.mark.live
def test_a_run_is_kept_and_shown(tracefs: Path, tmp_path: Path) -> None:
    file, lines = tmp_path / 'run.rec', ('P libc:fopen64 file=%0:string', 'R:back libc:fopen64 $dur', FORK)

    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=300)
    run, again = ran('-w', str(file), *lines, '--', 'sh', '-c', 'id; :'), ran('-R', str(file))
    assert (run.returncode, again.returncode) == (0, 0), (run.stderr, again.stderr)
    assert 'uid=' in run.stdout and run.stdout.count('\n') == 1 and 'file="/etc/passwd"' in again.stdout and ' dur=' in again.stdout
    assert run.stderr.splitlines()[-1] == again.stderr.splitlines()[-1] and 'events' in again.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    full = ran('-w', '/dev/full', *lines, '--', 'sh', '-c', 'id; :')
    assert full.returncode == 1 and full.stderr.endswith('surftrace: /dev/full: No space left on device\n')
    assert 'none lost' not in full.stderr and 'recorded and not shown: the output fails' in full.stderr
