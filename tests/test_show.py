"""-S and -o: what is printed can be read again and means the same, and a shell reads in a script what was meant."""
from __future__ import annotations

import os
import re
import resource
import signal
import subprocess

import pytest
from golden import EVENTS, GOLDEN, HOSTILE, LINES, hostile_line
from helpers import ARGS, KERNEL, events_of, machine_of, need

import surftrace
from surftrace import Event, InputError, Module, Run, plan, script

GOOD = [case.line for case in GOLDEN if case.dwarf[0] != '!']


def meaning(events: list[Event]) -> list:
    """All that makes two lists of events do and show the same."""
    return [(event.name, event.system, event.definitions, event.seal, event.filter, event.lines(), [
        (field.name, field.fetches, field.format and field.format.word,
         field.guards) for field in event.fields]) for event in events]


def shown(events: list[Event]) -> list[str]:
    """What -S prints."""
    return [line for event in events for line in event.lines()]


@pytest.mark.parametrize('line', [*GOOD, *LINES])
def test_what_is_shown_can_be_read_again_and_means_the_same(line: str, info: Module):
    try:
        first = events_of(machine_of(info), line)
    except InputError as error:
        if any(case.line == line and case.btf[0] == '!' for case in GOLDEN):
            return
        raise error
    again = events_of(machine_of(info), *shown(first))
    assert meaning(again) == meaning(first)
    assert shown(again) == shown(first)


@pytest.mark.parametrize('line', EVENTS, ids=[line[:60] for line in EVENTS])
def test_what_is_shown_of_events_can_be_read_again(line: str):
    first = events_of(KERNEL, line)
    assert meaning(events_of(KERNEL, *shown(first))) == meaning(first)


def test_several_lines_can_be_read_again(info: Module):
    lines = ['p:one take_bits p->a', 'p take_scalars p->i', 'r:one_more take_bits', 'p:two take_bits a=p->a',
             'p:two take_long_bits a=S(p->low)']
    with pytest.raises(InputError, match='several places'):
        events_of(machine_of(info), *lines)
    lines[-1] = 'p:two take_union a=p->lo:b3@0/8' if False else 'p:two take_nested a=+0(%di):b3@0/8'
    first = events_of(machine_of(info), *lines)
    assert [len(event.definitions) for event in first] == [1, 1, 1, 2]
    assert meaning(events_of(machine_of(info), *shown(first))) == meaning(first)


def test_a_line_may_be_broken_where_it_has_blanks_but_not_in_a_text():
    first = events_of(KERNEL, 'p f\n  a=%di:u32\n  b=%si:u32\nf:a==1 &&\n  b==2')
    assert len(shown(first)) == 1 and '\n' not in shown(first)[0]
    assert meaning(events_of(KERNEL, *shown(first))) == meaning(first)
    with pytest.raises(InputError, match='on one line'):
        events_of(KERNEL, 'p f a=+0(%di):string f:a=="x\ny"')


def test_lines_in_a_file_are_those_that_were_shown(tmp_path, capfdbinary, types_file):
    """What str.splitlines() takes for the end of a line may stand in a string."""
    line = f'p take_text p->s f:s=="{"".join(chr(code) for code in (9, 11, 12, 13, 28, 29, 30, 0x85, 0x2028, 0xdcff))}"'
    command = ['-S', '-v', str(types_file('DWARF 5'))]
    for given in ([line], ['-f', str(tmp_path / 'lines')]):
        assert surftrace.main([*command, *given]) == 0
        (tmp_path / 'lines').write_bytes(b'# a comment\n\n' + (said := capfdbinary.readouterr().out))
    assert said.decode('utf-8',
                       'surrogateescape') == f"p:f0 take_text s=+0(+0(%di)):string {line[line.index('f:'):]}\n".replace(' f:',
                           ' #! f:')


def test_what_is_shown_of_lines_that_count_is_read_again_as_lines_and_as_a_file(tmp_path, capfdbinary, types_file):
    command = ['-S', '-v', str(types_file('DWARF 5'))]
    assert surftrace.main([*command, 'p take_scalars h:comm p->i', 'p take_text h:p->s']) == 0
    said = capfdbinary.readouterr().out
    assert said.count(b"\n# echo 'hist:keys=i,comm:") == 1 and b':unseen h:comm i\n' in said and b'\n# f1: only surftrace' in said
    (tmp_path / 'lines').write_bytes(said)
    for given in said.decode().splitlines(), ['-f', str(tmp_path / 'lines')]:
        assert surftrace.main([*command, *given]) == 0
        assert capfdbinary.readouterr().out == said


def test_what_is_shown_is_what_the_kernel_reads():
    """A line of kprobe_events: words without blanks, and what is for surftrace behind a #."""
    for line in shown(events_of(KERNEL, ARGS)):
        definition = line.partition(' #! ')[0]
        assert re.fullmatch(r'p:\w+ [\w.+:]+( \w+=[^\s#"\']+)*', definition)
        assert 'ptr1' not in line and 'hdr' not in line


@pytest.mark.parametrize('args, names', [
    ('$comm comm=%di', ['comm_2', 'comm']), ('comm=%di $comm', ['comm', 'comm_2']), ('$comm $comm', ['comm', 'comm_2']),
    ('$comm comm=%di comm_2=%si', ['comm_3', 'comm', 'comm_2'])])
def test_a_name_that_was_left_out_gives_way_to_one_that_was_written(args: str, names: list[str]):
    event, = events_of(KERNEL, f'p f {args}')
    assert [field.name for field in event.fields] == names


def test_the_words_are_not_read_from_a_string():
    event, = events_of(KERNEL, 'p f s=+0(%di):string f:s=="x #! s:ip f:s==1"')
    assert event.filter == '(ptr1>4095&&s~"*"&&s=="x #! s:ip f:s==1")'
    assert meaning(events_of(KERNEL, *shown([event]))) == meaning([event])


@pytest.mark.parametrize(('line', 'message'), [
    ('p f a=%di:u32 #! b:ip', 'no argument is called b'), ('p f a=%di:u32 #! a:nonsense', 'no format surftrace knows'),
    ('p f a=%di:u32 #! a:enum(nonsense)', 'no format'),
    ('p f a=%di:u32 #! a+b:ip6', 'no argument'), ('p f a=%di:u32 b=%si:u8 #! a+b:ip6', 'wants'),
    ('p f a=%di:u8 #! a:ip', 'wants'), ('p f a=%di:u32 #! a:S(5)', 'wants'),
    ('p f a=+0(%di):string #! a:be16', 'wants'), ('p f a=%di:u32 #! a:cut(3)', 'wants'),
    ('p f a=+0(%di):b5@0/8 #! a:S(6)', 'wants'),
    ('p f a=%di:s8 #! a:X', None), ('p f a=+0(%di):u8[4] #! a:X', None), ('p f a=+0(%di):string #! a:enum(A=1)', 'wants'),
    ('p f a=%di:u16 b=%si:u16 #! a+b:be16', 'wants'),
    ('p f a=%di:u32 #! a+a:ip', 'no argument'),
])
def test_words_that_do_not_fit_are_refused(line, message):
    if message is None:
        events_of(KERNEL, line)
        return
    with pytest.raises(InputError, match=message) as caught:
        events_of(KERNEL, line)
    assert line.index('#!') < caught.value.at[0] < len(line)


# ---- scripts

SHELLS = [['bash', '-n'], ['bash', '--posix', '-n'], ['dash', '-n'], ['busybox', 'sh', '-n']]


def hostile() -> list[str]:
    """Lines with filters for all texts the kernel can compare with."""
    return [hostile_line(text) for text in HOSTILE if not ('"' in text and "'" in text)]


def counting() -> list[str]:
    """The same, counted."""
    return [line.replace(' f:', ' h:comm f:', 1) for line in hostile()]


def run_sh(*command: str, text: str) -> subprocess.CompletedProcess:
    """The command with the text as its input."""
    return subprocess.run(command, input=text.encode('utf-8', 'surrogateescape'), capture_output=True, timeout=120)


@pytest.mark.parametrize('shell', SHELLS, ids=[' '.join(shell) for shell in SHELLS])
def test_a_shell_can_read_the_script(shell):
    need(shell[0])
    for lines, *more in (hostile(), None, None), ([ARGS], 2.5, 7), (['e system/event f:prev_pid==1', 'r f $retval'], 1.0, None), (
            [*counting(), 'e system/event', 'r f h:$dur'], None, None, 1.5, 7):
        text = script(events_of(KERNEL, *lines), Run('', stacks=True, buffer_kb=100), *more)
        run = run_sh(*shell, text=text)
        assert (run.returncode, run.stderr) == (0, b'')
        assert '\0' not in text


@pytest.mark.parametrize('shell', [shell[:-1] for shell in SHELLS], ids=[' '.join(shell[:-1]) for shell in SHELLS])
def test_what_a_script_writes_is_what_a_run_writes(shell, tmp_path):
    """Its commands, as that shell understands them, without what they would do."""
    need(shell[0])
    events = events_of(KERNEL, *hostile(), ARGS, 'e system/event f:prev_comm=="$(x)"', *counting(), 'e system/other h:', 'r f h:$dur')
    text = script(events, Run(''))
    changes = text[text.index('\nclaim || ') + 1:text.index('\nif pipe 4')]
    stubs = """group=G; tracefs=/nowhere
        put() { printf '%s\\0%s\\0' "$1" "$2"; }
        maybe() { put "$@"; }
        claim() { :; }
        sed() { echo ' hist .buckets='; }
        fail() { echo "FAILED $*"; }
    """
    said = run_sh(*shell, text=f'{stubs}\ncd {tmp_path}\n{changes}')
    told = said.stdout.decode('utf-8', 'surrogateescape').split('\0')[:-1]
    wanted = [part for step in plan(events, Run('G', entries=4 * surftrace.ENTRIES_ELSEWHERE)) for part in step.do[:2]]
    assert told == wanted
    assert len(wanted) > 100 and said.stderr == b'' and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('shell', [shell[:-1] for shell in SHELLS], ids=[' '.join(shell[:-1]) for shell in SHELLS])
def test_a_script_halts_and_undoes_what_it_did(shell, tmp_path):
    """Histograms are halted while tracing is on, which keeps their clock; only such as were made: to halt one makes it."""
    need(shell[0])
    events = events_of(KERNEL, 'r f h:log2($dur)', 'p f h:')
    text = script(events, Run(''))
    functions = text[text.index('\nending() {'):text.index('\n[ "$(id -u)"')]
    (tmp_path / 'instances/G').mkdir(parents=True)
    steps = plan(events, Run('G', entries=4 * surftrace.ENTRIES_ELSEWHERE))
    for done in range(len(steps) + 1):
        (tmp_path / 'instances/G/tracing_on').write_text('1\n')
        told = run_sh(*shell, text=f"""
            group=G; tracefs={tmp_path}; done={done}; timer= nap= reader= counter= mounted= watch=
            put() {{ read -r on <$tracefs/instances/G/tracing_on; printf '%s\\0' "$on" "$1" "$2"; }}
            maybe() {{ put "$@"; }}; trace() {{ :; }}; rmdir() {{ :; }}; sleep() {{ :; }}{functions}
            ending""")
        parts = told.stdout.decode().split('\0')
        behind = [step for step in reversed(steps[:done]) if step.undo]
        halts = [('1', *surftrace.paused(step.do)[:2]) for step in behind if step.do.text.startswith('hist:')]
        assert list(zip(parts[::3], parts[1::3], parts[2::3])) == halts + [('0', *step.undo[:2]) for step in behind], told.stderr
    assert len(halts) == 5


@pytest.mark.parametrize('text', HOSTILE)
def test_a_command_that_is_shown_is_what_a_run_does(text):
    """The echo commands of a live run: sh gives the kernel the same bytes."""
    if '"' in text and "'" in text:
        return
    event, = events_of(KERNEL, hostile_line(text))
    for step in plan([event], Run('G')):
        if isinstance(step.do, surftrace.Write):
            command = surftrace.shown_command(step.do, '/tracefs').rpartition(' >')[0].rstrip('>')
            said = run_sh('bash', text=command).stdout.decode('utf-8', 'surrogateescape')
            assert said == step.do.text + '\n'


def test_seconds_have_no_exponent():
    assert [surftrace.in_seconds(seconds) for seconds in (1e6, 0.5, 3.0, 1e-05, 1234567.25)] == ['1000000', '0.5', '3', '0.00001', '1234567.25']


def test_a_script_says_what_it_was_made_from_without_obeying_it():
    text = script(events_of(KERNEL, 'p f s=+0(%di):string f:s=="\x1b[2J\r"'), Run(''))
    assert '\x1b' not in text.partition('group=')[0] and '\r' not in text.partition('group=')[0]


# ---- files that are written

def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    old = os.umask(0o027)
    try:
        surftrace.write_file(str(tmp_path / 'new'), b'text', 0o777)
    finally:
        os.umask(old)
    assert (tmp_path / 'new').stat().st_mode & 0o7777 == 0o750
    (tmp_path / 'new').chmod(0o600)
    surftrace.write_file(str(tmp_path / 'new'), b'more', 0o777)
    assert (tmp_path / 'new').read_bytes() == b'more' and (tmp_path / 'new').stat().st_mode & 0o7777 == 0o600
    (tmp_path / 'link').symlink_to('new')
    surftrace.write_file(str(tmp_path / 'link'), b'through', 0o777)
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'new').read_bytes() == b'through'
    assert (tmp_path / 'new').stat().st_mode & 0o7777 == 0o600 and len(list(tmp_path.iterdir())) == 2


def test_a_device_is_written_through(tmp_path):
    before = os.stat('/dev/null')
    surftrace.write_file('/dev/null', b'text', 0o777)
    assert os.stat('/dev/null').st_mode == before.st_mode
    with pytest.raises(surftrace.SurftraceError, match='No space left'):
        surftrace.write_file('/dev/full', b'text', 0o777)


def test_where_there_is_no_room_the_old_file_stays(tmp_path):
    (tmp_path / 'file').write_bytes(b'old')
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limit[1]))
    try:
        with pytest.raises(surftrace.SurftraceError, match='file: File too large'):
            surftrace.write_file(str(tmp_path / 'file'), b'a longer text', 0o777)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path.name for path in tmp_path.iterdir()] == ['file'] and (tmp_path / 'file').read_bytes() == b'old'
