"""The session on this machine's own tracefs: what is shown is what happened, and nothing is left, however it ends.

Trace events stand for all probes here (a kernel without kprobes will do); kprobes are tried in virtual machines."""
from __future__ import annotations

import contextlib
import functools
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Optional

import pytest
from helpers import need
from live import COMMAND, FORK, PATIENCE, PROJECT, Running, children, forked, surftrace

pytestmark = pytest.mark.live


def test_every_fork_is_shown_with_the_childs_pid(tracefs: Path) -> None:
    run = Running('-q', f'{FORK} f:common_pid=={os.getpid()}')
    pids = children(7)
    assert forked(run.end()) == pids
    assert run.process.returncode == 0
    assert 'surftrace: sched_process_fork 7 events, none lost' in run.err[-1]


def test_a_filter_on_a_string_lets_only_its_task_through(tracefs: Path) -> None:
    comm = Path('/proc/self/comm').read_text().strip()
    run = Running('-q', f'{FORK} f:parent_comm=={comm}&&child_pid>1&&!(child_pid==1)')
    if 'parent_comm' not in (tracefs / 'events/sched/sched_process_fork/format').read_text():
        pytest.skip('sched_process_fork has other fields here')
    pids = children(3)
    shown = forked(run.end())
    assert shown and set(pids) <= set(shown)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
def test_a_signal_ends_it_with_everything_drained_and_undone(tracefs: Path, number: int) -> None:
    run = Running(f'{FORK} f:common_pid=={os.getpid()}')
    assert run.instance.is_dir()
    pids = children(5)
    assert forked(run.end(number)) == pids
    assert run.process.returncode == 0
    assert not run.instance.exists()


def test_a_second_signal_does_not_stop_the_undoing(tracefs: Path) -> None:
    run = Running(FORK)
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGTERM)
    run.end()
    assert not run.instance.exists() and run.process.returncode == 0


def test_a_closed_pipe_ends_it(tracefs: Path) -> None:
    shell = subprocess.run(f'{sys.executable} surftrace.py -q "e sched/sched_switch" | head -n 3', shell=True, cwd=PROJECT,
                           capture_output=True, text=True, timeout=PATIENCE)
    assert len(shell.stdout.splitlines()) == 3


def test_a_pipe_closed_in_silence_ends_it(tracefs: Path) -> None:
    reader, writer = os.pipe()
    run = Running(f'{FORK} f:common_pid==1', stdout=writer)
    os.close(writer)
    os.close(reader)
    run.ended()
    assert not run.instance.exists()


def test_a_pipe_that_nobody_reads_does_not_keep_it_from_hearing_a_signal(tracefs: Path) -> None:
    reader, writer = os.pipe()
    run = Running('e sched/sched_switch', stdout=writer)
    os.close(writer)
    time.sleep(1)                   # the pipe holds 64 KB; a second of switches is more, or the test proves less, not wrong
    run.end(signal.SIGTERM)
    os.close(reader)
    assert not run.instance.exists()


def unshown(run: Running) -> int:
    """How many events the summary says were not shown."""
    match = re.search(r'(\d+) recorded and not shown: the output was not read$', ''.join(run.err), re.M)
    return int(match[1]) if match else 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize('kind', ['pipe', 'terminal'])
def test_what_a_slow_reader_did_not_take_is_counted_and_no_line_is_cut(tracefs: Path, kind: str, number: int) -> None:
    if not (tracefs / 'events/syscalls').exists():
        pytest.skip('this kernel has no events of system calls')
    reader, writer = os.pipe() if kind == 'pipe' else pty.openpty()
    run = Running('-q', '-b', '4000', f'e syscalls/sys_enter_chdir f:common_pid=={os.getpid()}', stdout=writer)
    os.close(writer)
    for _ in range(6000):
        os.chdir('.')
    time.sleep(0.3)
    run.process.send_signal(number)
    text = b''
    with contextlib.suppress(OSError):                                  # EIO: nobody has the terminal any more
        while kind == 'pipe' or run.process.poll() is None or text:
            if kind == 'pipe':
                run.process.wait(PATIENCE)
            piece = os.read(reader, 1 << 16)
            text += piece
            if not piece:
                break
    os.close(reader)
    run.ended()
    lines = text.decode().replace('\r\n', '\n').splitlines(True)
    assert all(re.search(r'sys_chdir\(filename: .*\)\n$', line) for line in lines), lines[-1]
    assert len(lines) + unshown(run) == 6000 and run.process.returncode == 0, run.err[-1]
    assert kind == 'terminal' or unshown(run), 'the pipe took all: this proves nothing'


def test_the_end_of_the_process_that_reads_is_an_error(tracefs: Path) -> None:
    run = Running('-q', f'{FORK} f:common_pid=={os.getpid()}')
    pids = children(2)
    run.shows('child_pid=', 2)
    reader = int(Path(f'/proc/{run.process.pid}/task/{run.process.pid}/children').read_text())
    os.kill(reader, signal.SIGKILL)
    assert forked(run.ended()) == pids
    assert run.process.returncode == 1
    assert 'surftrace: the process that reads trace_pipe was killed by signal 9' in run.err[-1]


def test_what_surftrace_does_itself_is_left_out(tracefs: Path) -> None:
    if not (tracefs / 'events/syscalls').exists():
        pytest.skip('this kernel has no events of system calls')
    for options in [], ['--self'], ['-p', str(os.getpid())]:
        run = Running('-q', *options, 'e syscalls/sys_enter_write', 'e syscalls/sys_enter_read', 'e sched/sched_switch')
        own = {run.process.pid, int(Path(f'/proc/{run.process.pid}/task/{run.process.pid}/children').read_text())}
        os.write(os.open(os.devnull, os.O_WRONLY), b'x')
        run.shows(f'-{os.getpid()} ')                        # it has read and written that
        lines = [line for line in run.end() if 'sched_switch' not in line]
        writers = {int(pid) for line in lines for pid in re.findall(r'^.{16}-(\d+) ', line)}
        assert os.getpid() in writers, lines
        assert bool(own & writers) is (options == ['--self'])


def test_n_ends_it_after_so_many_events(tracefs: Path) -> None:
    run = Running('-n', '3', f'{FORK} f:common_pid=={os.getpid()}')
    pids = children(5)
    assert forked(run.ended()) == pids[:3]


def test_the_events_of_system_calls_are_counted(tracefs: Path) -> None:
    if not (tracefs / 'events/syscalls').exists():
        pytest.skip('this kernel has no events of system calls')
    mine = f'f:common_pid=={os.getpid()}'
    run = Running('-q', '-n', '5', f'e syscalls/sys_enter_chdir {mine}', f'e syscalls/sys_exit_chdir {mine}')
    for _ in range(4):
        os.chdir('.')
    lines = run.ended()
    assert [re.search(r': (sys_chdir.)', line)[1] for line in lines] == 2 * ['sys_chdir(', 'sys_chdir '] + ['sys_chdir(']  # type: ignore[index]
    assert 'surftrace: sys_enter_chdir 3, sys_exit_chdir 2 events, none lost' in run.err[-1]


def test_d_ends_it_after_so_many_seconds(tracefs: Path) -> None:
    run = Running('-d', '0.5', FORK)
    run.ended()
    assert any('tracing for 0.5 seconds' in line for line in run.err)
    assert run.process.returncode == 0


def test_p_follows_threads_and_not_children(tracefs: Path) -> None:
    source = ('import os, threading, sys, subprocess\nsys.stdin.readline()\n'
              't = threading.Thread(target=lambda: os.getppid()); t.start(); t.join()\n'
              'os.system("/bin/true; /bin/true")\n')
    for option, more in ((), False), (('-c',), True):
        target = subprocess.Popen([sys.executable, '-c', source], stdin=subprocess.PIPE, text=True)
        run = Running('-q', '-p', str(target.pid), *option, FORK)
        target.communicate('\n')
        lines = run.end()
        tasks = {int(re.search(r'-(\d+) ', line)[1]) for line in lines}        # type: ignore[index]
        assert target.pid in tasks
        assert (len(tasks) > 1) == more, lines


def test_p_in_a_pid_namespace_is_refused_with_the_way_out(tracefs: Path) -> None:
    """The kernel would take the number for that of another process."""
    need('unshare')
    run = subprocess.run(['unshare', '--pid', '--fork', '--mount-proc', *COMMAND, '-d', '0.1', '-p', '1', FORK],
                         capture_output=True, text=True, timeout=PATIENCE)
    assert run.returncode == 1 and '-p: in a PID namespace' in run.stderr and '--pid=host' in run.stderr


def test_two_runs_at_once_see_the_same_and_clean_up_their_own(tracefs: Path) -> None:
    first, second = (Running(f'{FORK} f:common_pid=={os.getpid()}') for _ in range(2))
    pids = children(3)
    assert forked(first.end())[-3:] == pids              # before them it saw the second one started
    assert second.instance.is_dir()
    more = children(2)
    assert forked(second.end()) == pids + more


def test_what_a_killed_run_left_the_next_one_sweeps_and_a_living_one_is_let_be(tracefs: Path) -> None:
    killed, living = Running(FORK), Running(FORK)
    killed.end(signal.SIGKILL)
    assert killed.instance.is_dir()
    result = surftrace('-d', '0.2', FORK)
    assert killed.instance.name in result.stderr and living.instance.name not in result.stderr
    assert not killed.instance.exists() and living.instance.is_dir()
    living.end()


def test_what_others_set_up_is_let_be(tracefs: Path) -> None:
    other = tracefs / 'instances' / 'not_surftraces'
    other.mkdir()
    try:
        (other / 'events/sched/sched_process_exit/enable').write_text('1')
        assert surftrace('-d', '0.2', FORK).returncode == 0
        assert (other / 'events/sched/sched_process_exit/enable').read_text() == '1\n'
    finally:
        other.rmdir()


def test_an_error_half_way_leaves_nothing(tracefs: Path) -> None:
    result = surftrace('-b', '2000000000', FORK)        # more memory than there is
    assert result.returncode == 1
    assert 'buffer_size_kb' in result.stderr and 'Traceback' not in result.stderr


@pytest.mark.parametrize('line, words', [
    ('e sched/sched_process_frok', 'did you mean'),
    ('e sched/sched_process_fork f:child_pdi==3', "no field 'child_pdi'"),
    ('e sched/sched_process_fork f:child_pid==three', 'is no number'),
    ('e sched/sched_process_fork f:parent_comm<3', 'is a string'),
    ('e nosuch/*', 'no event matches'),
])
def test_what_is_wrong_with_an_event_is_said_with_a_caret(tracefs: Path, line: str, words: str) -> None:
    result = surftrace(line)
    assert result.returncode == 2
    assert words in result.stderr and '^' in result.stderr


def test_a_kernel_without_event_probes_is_named(tracefs: Path) -> None:
    result = surftrace('-n', '1', '-d', '0.1', 'e sched/sched_process_fork child_pid')
    if result.returncode == 0:
        pytest.skip('this kernel has event probes')
    assert result.returncode == 1 and 'CONFIG_EPROBE_EVENTS' in result.stderr


def test_without_root_it_says_so(tracefs: Path) -> None:
    copy = Path('/tmp') / f'surftrace-{os.getpid()}.py'
    shutil.copy(PROJECT / 'surftrace.py', copy)
    copy.chmod(0o755)
    python = shutil.which('python3', path='/usr/bin:/bin')
    if not python:
        pytest.skip('no python3 that every user can run')
    try:
        result = subprocess.run([python, copy, FORK], capture_output=True, text=True, user='nobody', cwd='/')
    finally:
        copy.unlink()
    assert result.returncode == 1
    assert 'needs root' in result.stderr


@functools.lru_cache(None)
def script_text(*arguments: str) -> str:
    """The script that does that."""
    made = surftrace('-o', '-', *arguments)
    assert made.returncode == 0, made.stderr
    return made.stdout


def script(folder: Path, *arguments: str) -> Path:
    """It in a file, a new one: a shell may still read the last."""
    path = folder / 'run.sh'
    path.unlink(missing_ok=True)
    path.write_text(script_text(*arguments))
    return path


class Script(Running):
    """A script that traces, in a group of its own as a terminal has it."""

    def __init__(self, shell: str, path: Path, stdout: Optional[int] = None) -> None:
        need(shell.split()[0])
        super().__init__(command=[*shell.split(), str(path)], stdout=stdout)


SHELLS = pytest.mark.parametrize('shell', ['bash', 'dash', 'busybox sh'])


@SHELLS
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL], ids=lambda n: n.name)
def test_the_script_traces_and_cleans_up_without_python(tracefs: Path, tmp_path: Path, shell: str, number: int) -> None:
    runs = [Script(shell, script(tmp_path, *options, f'{FORK} f:common_pid=={os.getpid()}'))
            for options in ((), ('-n', '1000', '-d', '1000000'))]
    pids = children(4)
    time.sleep(0.3)
    for run in runs:
        if number in (signal.SIGINT, signal.SIGQUIT):
            os.killpg(run.process.pid, number)          # as a terminal does
        assert forked(run.ended() if number in (signal.SIGINT, signal.SIGQUIT) else run.end(number))[-4:] == pids, run.err
        limit = time.monotonic() + PATIENCE                   # killed, it is ended by another
        while group_of(run) and time.monotonic() < limit:
            time.sleep(0.05)
        assert not group_of(run) and not [*(tracefs / 'instances').glob(f'surftrace_{run.process.pid}_*')]


def group_of(run: Running) -> list[str]:
    """The processes of a run that are left."""
    stats = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):                  # it has just ended
            stats.append(path.read_text(errors='replace'))
    return [text for text in stats if text.rpartition(')')[2].split()[2] == str(run.process.pid)]


@pytest.mark.parametrize('shell', ['dash', 'mksh'])     # mksh keeps what a { ...; } & closes, and gives a command no 3 and above
def test_a_script_killed_at_any_line_keeps_no_process(tracefs: Path, tmp_path: Path, shell: str) -> None:
    """Where it already watches for that, it still ends itself; before, the next run sweeps, which a reader left would not let it."""
    lines = script_text('-d', '1', 'P libc:getppid f:common_pid==1').splitlines(keepends=True)
    runs = []
    for number in range(lines.index('timer=$!\n'), len(lines)):
        path = tmp_path / f'{number}.sh'
        path.write_text(''.join([*lines[:number], 'kill -9 $$\n', *lines[number:]]))
        runs.append(Script(shell, path))
    limit = time.monotonic() + 60
    while any(run.process.poll() is None or group_of(run) for run in runs) and time.monotonic() < limit:
        time.sleep(0.1)
    assert [group_of(run) for run in runs] == [[]] * len(runs) and len(runs) > 8
    assert [run.process.wait(30) for run in runs].count(-signal.SIGKILL) > 7        # of the others the line is never run
    surftrace('-d', '0.1', FORK)
    assert not [path for run in runs for path in (tracefs / 'instances').glob(f'surftrace_{run.process.pid}_*')]


@SHELLS
@pytest.mark.parametrize('options', [(), ('-s',)], ids=['', 'with stacks'])
def test_the_script_ends_after_so_many_events(tracefs: Path, tmp_path: Path, shell: str, options: tuple[str, ...]) -> None:
    run = Script(shell, script(tmp_path, '-n', '3', '-d', '1000', *options, f'{FORK} f:common_pid=={os.getpid()}'))
    pids = children(5)
    lines = run.ended()
    assert forked(lines) == pids[:3] and run.process.returncode == 0
    assert len(lines) == 3 if not options else lines[-1].startswith(' => ')


@SHELLS
def test_what_a_script_has_read_is_written_before_it_ends(tracefs: Path, tmp_path: Path, shell: str) -> None:
    if not (tracefs / 'events/syscalls').exists():
        pytest.skip('this kernel has no events of system calls')
    reader, writer = os.pipe()
    run = Script(shell, script(tmp_path, '-b', '4000', f'e syscalls/sys_enter_chdir f:common_pid=={os.getpid()}'), stdout=writer)
    for _ in range(3000):
        os.chdir('.')
    while select.select([], [writer], [], 0)[1]:
        time.sleep(0.1)                                     # a pipe full of the first of them
    os.close(writer)
    run.process.terminate()
    with open(reader) as output:
        lines = output.readlines()
    run.ended()
    assert len(lines) == 3000 and all(re.search(r'sys_chdir\(filename: .*\)\n$', line) for line in lines)


def test_the_script_ends_by_itself_after_its_seconds(tracefs: Path, tmp_path: Path) -> None:
    assert 'sleep 1000000 ' in script(tmp_path, '-d', '1000000', FORK).read_text()
    assert subprocess.run(['sh', script(tmp_path, '-d', '0.5', FORK)], capture_output=True, timeout=PATIENCE).returncode == 0


def test_lines_come_from_a_file_and_from_standard_input(tracefs: Path, tmp_path: Path) -> None:
    lines = tmp_path / 'probes'
    lines.write_text(f'# two events\n\n{FORK}\ne sched/sched_process_exit\n')
    for arguments, text in (('-f', str(lines)), ''), (('-f', '-'), lines.read_text()):
        result = surftrace('-d', '0.2', *arguments, text=text)
        assert result.returncode == 0 and 'sched_process_exit' in result.stderr
    lines.write_text(f'{FORK}\nq nothing\n')
    result = surftrace('-f', str(lines))
    assert result.returncode == 2 and f'{lines}:2: ' in result.stderr
