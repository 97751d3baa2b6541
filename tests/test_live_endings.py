"""How a run ends: nothing is left and nobody else's is touched, whatever breaks, whoever else runs, at whatever step.

A step is a call that touches tracefs. One is broken, or the run is stopped before it, by an audit hook (sys.addaudithook) in a
process that then is surftrace; nothing of surftrace itself is replaced."""
from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import http.server
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers import need
from live import COMMAND, FORK, PATIENCE, PROJECT, Running, children, forked, is_anothers, surftrace

pytestmark = pytest.mark.live
PROBE = 'P:ending libc:getppid'
ENOUGH = 72             # calls that touch tracefs; a run has fewer
SEED = random.randrange(1 << 32)

# argv: how, the number of the call, surftrace's arguments. At that call, `stop` stops the process, `fail` makes the call fail.
AT_A_CALL = f'''
import errno, os, signal, sys
how, left, parent = sys.argv[1], int(sys.argv[2]), os.getpid()
def hook(event, arguments):
    global left
    touches = event == 'fcntl.flock' or event in ('open', 'os.mkdir', 'os.rmdir') and (
        'instances' in str(arguments[0]) or str(arguments[0]).endswith('_events'))
    if touches and os.getpid() == parent:
        left -= 1
        if left == 0 and how == 'stop':
            os.kill(parent, signal.SIGSTOP)
        if left == 0 and how == 'fail':
            raise OSError(errno.EIO, 'broken by the test')
sys.argv[:3] = [{str(PROJECT / 'surftrace.py')!r}]
sys.path.insert(0, {str(PROJECT)!r})
import surftrace
sys.addaudithook(hook)
status = surftrace.main()
print('calls left:', left, file=sys.stderr)
sys.exit(status)
'''


def at_call(how: str, number: int, *arguments: str) -> 'subprocess.Popen[str]':
    """A surftrace to which that happens at the call with that number."""
    return subprocess.Popen([sys.executable, '-c', AT_A_CALL, how, str(number), '-q', *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ran(do: Callable[[int], object], numbers: Sequence[int]) -> None:
    """The same with each of the numbers, some at a time."""
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for _ in pool.map(do, numbers):
            pass


@pytest.fixture
def left(tracefs: Path) -> Callable[[], list[str]]:
    """left(): what there is of surftrace's in tracefs, and was not before the test."""
    def now() -> set[str]:
        names = [entry.name for entry in (tracefs / 'instances').iterdir()]
        return set(re.findall(r'\bsurftrace_\w+', ' '.join([*names, (tracefs / 'uprobe_events').read_text()])))
    before = now()
    return lambda: sorted(name for name in now() - before if not is_anothers(name))


def wait_until(what: Callable[[], object]) -> None:
    """Wait for that."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, 'it did not come in time'
        time.sleep(0.02)


def state(pid: int) -> str:
    """The letter of ps: T is stopped, Z dead."""
    return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]


# ---- what breaks

@pytest.mark.parametrize('sink', ['a reader that goes', 'a full disk'])
def test_messages_that_cannot_be_written_stop_nothing(sink: str, left: Callable[[], list[str]]) -> None:
    """Standard error breaks after so many lines of the 26 of a run."""
    def broken_after(lines: int) -> None:
        process = subprocess.Popen([*COMMAND, '--verbose', '-d', '0.3', PROBE, f'{FORK} f:common_pid==1'], stdout=subprocess.DEVNULL,
                                   stderr=full if full >= 0 else subprocess.PIPE, bufsize=0)
        if process.stderr:
            for _ in range(lines):
                while process.stderr.read(1) not in (b'\n', b''):
                    pass
            process.stderr.close()
        assert process.wait(PATIENCE) == 0, lines
    full = os.open('/dev/full', os.O_WRONLY) if sink == 'a full disk' else -1
    ran(broken_after, range(1) if full >= 0 else range(0, 26, 3))
    assert left() == []


@pytest.mark.parametrize('how', ['a signal', 'seconds'])
def test_messages_that_nobody_reads_keep_no_probe_armed(how: str, left: Callable[[], list[str]]) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen([*COMMAND, *(['-d', '3'] if how == 'seconds' else []), PROBE], stdout=subprocess.DEVNULL, stderr=writer)
    said = b''
    while b'Ctrl-C' not in said:
        said += os.read(reader, 4096)
    os.set_blocking(writer, False)                          # of the process, too: it shares the file
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    assert left() != []
    if how == 'a signal':
        process.terminate()
    wait_until(lambda: not left())
    while process.poll() is None:
        process.terminate()                                 # it would wait for a reader of its last words
        time.sleep(0.1)
    assert process.returncode == 0
    os.close(reader)
    os.close(writer)


def test_events_that_nobody_reads_keep_no_probe_armed(left: Callable[[], list[str]]) -> None:
    """The time is over, and what came in it waits for a reader."""
    reader, writer = os.pipe()
    run = Running('-d', '3', PROBE, 'e sched/sched_switch', stdout=writer)
    switches = [run.instance / 'events' / path / 'enable' for path in (f'{run.instance.name}/ending', 'sched/sched_switch')]
    assert [switch.read_text() for switch in switches] == ['1\n', '1\n']
    while select.select([], [writer], [], 0)[1] and run.process.poll() is None:
        children(1)                                         # switches
    os.close(writer)
    wait_until(lambda: [switch.read_text() for switch in switches] == ['0\n', '0\n'])
    assert run.process.poll() is None
    with open(reader, 'rb') as output:
        assert output.read().count(b'sched_switch: ') > 100
    run.ended()
    assert run.process.returncode == 0 and 'none lost' in run.err[-1] and left() == []


def test_tee_ends_by_the_same_ctrl_c(left: Callable[[], list[str]], tmp_path: Path) -> None:
    log = tmp_path / 'log'
    shell = subprocess.Popen(['sh', '-c', f"'{sys.executable}' '{PROJECT}/surftrace.py' '{PROBE}' 2>&1 | tee '{log}'"],
                             stdout=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: log.exists() and 'Ctrl-C' in log.read_text())
    os.killpg(shell.pid, signal.SIGINT)
    shell.wait(PATIENCE)
    wait_until(lambda: not left())


def test_a_terminal_that_hangs_up(left: Callable[[], list[str]]) -> None:
    master, slave = pty.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    process = subprocess.Popen([*COMMAND, PROBE, 'e sched/sched_switch'], stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
    os.close(slave)
    seen = b''
    while b'sched_switch:' not in seen:
        seen += os.read(master, 4096)
    os.close(master)
    process.wait(PATIENCE)
    assert left() == []


def test_any_call_fails_once(left: Callable[[], list[str]]) -> None:
    """Whatever the call is for, in the setup, the run, the undoing: nothing is left."""
    def failing_at(number: int) -> None:
        process = at_call('fail', number, '-d', '0.2', PROBE, f'{FORK} f:common_pid==1')
        err = process.communicate(timeout=PATIENCE)[1]
        assert 'Traceback' not in err and process.returncode in (0, 1), err
        assert ('broken by the test' in err or 'Input/output' in err) == (process.returncode == 1), err
        ended.append(number if 'calls left: 0' in err or re.search(r'calls left: -', err) else 0)
    ended: list[int] = []
    ran(failing_at, range(1, ENOUGH))
    assert left() == []
    assert 0 in ended and len(set(ended)) > 15               # every call there is, and then some


def test_what_cannot_be_undone_is_said(tracefs: Path, left: Callable[[], list[str]]) -> None:
    run = Running(PROBE)
    with open(run.instance / 'tracing_on') as held:
        run.end()
        assert run.process.returncode == 1
        assert f'not undone (Device or resource busy); let the next run try, or do: rmdir {run.instance}' in ''.join(run.err)
        assert left() == [run.instance.name]          # the probe went
        assert held
    assert f'what the killed run {run.instance.name}' in surftrace('-d', '0.1', FORK).stderr


# ---- unmounted, or mounted by us: in a mount namespace of its own, in which tracefs comes and goes

def apart(script: str) -> 'subprocess.CompletedProcess[str]':
    """What a shell does in a mount namespace of its own, without tracefs."""
    if subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        pytest.skip('no mount namespace can be made here')
    setup = 'for at in $(awk \'$3 == "tracefs" { print $2 }\' /proc/mounts); do umount "$at"; done\n'
    return subprocess.run(['unshare', '-m', 'sh', '-c', setup + script], capture_output=True, text=True, timeout=PATIENCE)


def test_tracefs_unmounted_under_a_run(tracefs: Path, left: Callable[[], list[str]]) -> None:
    done = apart(f"""mount -t tracefs none {tracefs}
        '{sys.executable}' '{PROJECT}/surftrace.py' '{PROBE} f:common_pid==1' 2>/dev/null & run=$!
        until grep -q ending {tracefs}/uprobe_events; do sleep 0.1; done
        sleep 0.5; umount -l {tracefs}; kill -INT $run; wait $run; echo $?""")
    assert done.stdout == '0\n', done.stderr
    assert left() == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_while_nothing_is_traced_yet(number: int, tracefs: Path, left: Callable[[], list[str]], tmp_path: Path) -> None:
    """Tracefs is mounted, and the first thing below it looked at."""
    (tmp_path / 'at_a_call.py').write_text(AT_A_CALL)
    done = apart(f"""'{sys.executable}' '{tmp_path}/at_a_call.py' stop 1 -q '{PROBE}' & run=$!
        until grep -q '^State:.T' /proc/$run/status; do sleep 0.1; done
        grep -c tracefs /proc/mounts
        kill -{number} $run; kill -CONT $run; wait $run; echo $?; grep -c tracefs /proc/mounts""")
    assert done.stdout == '1\n0\n0\n', done.stderr
    assert left() == []


# ---- signals

def test_a_signal_ends_a_download_and_no_part_of_it_stays(tmp_path: Path) -> None:
    class Stalling(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header('Content-Length', '1000000')
            self.end_headers()
            self.wfile.write(bytes(1000))
            asked.set()
            over.wait(PATIENCE)

    asked, over = threading.Event(), threading.Event()
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Stalling) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process = subprocess.Popen([*COMMAND, '-S', '-m', 'remote', '-r', f'http://127.0.0.1:{server.server_port}', '-a', 'x86_64',
                                    '--build-id', 'ab' * 20, 'p wake_up_new_task comm=%0->comm'],
                                   env={**os.environ, 'DEBUGINFOD_CACHE_PATH': str(tmp_path)}, stderr=subprocess.PIPE, text=True)
        assert asked.wait(PATIENCE)
        wait_until(lambda: [path for path in tmp_path.rglob('*') if path.is_file()])
        process.terminate()
        err = process.communicate(timeout=PATIENCE)[1]
        over.set()
        server.shutdown()
    assert (process.returncode, err) == (0, '')
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == []


def test_ctrl_c_during_the_imports(tmp_path: Path) -> None:
    (tmp_path / 'bisect.py').write_text('import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint("went on")\n')
    done = subprocess.run([*COMMAND, '-S', FORK], env={**os.environ, 'PYTHONPATH': str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, '', '')


@pytest.mark.parametrize('number, ends', [(signal.SIGINT, True), (signal.SIGQUIT, True), (signal.SIGTERM, True), (signal.SIGHUP, False),
                                          (signal.SIGUSR1, False)])
def test_signals_ignored_by_whoever_started_it(number: int, ends: bool, left: Callable[[], list[str]]) -> None:
    """A script's & ignores INT and QUIT, and kill -INT is meant; nohup ignores HUP, and means it."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        run = Running('-q', PROBE)
    finally:
        signal.signal(number, before)
    run.process.send_signal(number)
    if not ends:
        time.sleep(0.5)
        assert run.process.poll() is None
        run.process.terminate()
    run.ended()
    assert run.process.returncode == 0 and left() == []


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU],
                         ids=lambda n: n.name)
def test_signals_blocked_by_whoever_started_it(number: int, left: Callable[[], list[str]]) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        run = Running('-q', PROBE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    run.end(number)
    assert 'none lost' in run.err[-1] and run.process.returncode == 0
    assert left() == []


def test_the_end_of_a_run_whose_reader_is_still_stopped(left: Callable[[], list[str]]) -> None:
    """Ctrl-Z stops both processes; kill -CONT makes one go on."""
    run = Running('-q', f'{FORK} f:common_pid=={os.getpid()}')
    (reader,) = Path(f'/proc/{run.process.pid}/task/{run.process.pid}/children').read_text().split()
    os.kill(int(reader), signal.SIGSTOP)
    pids = children(3)
    assert forked(run.end()) == pids and run.process.returncode == 0
    assert left() == []


def test_titles_that_nobody_reads_keep_no_probe_armed(left: Callable[[], list[str]]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    process = subprocess.Popen([*COMMAND, '-H', PROBE], stdout=writer, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    wait_until(lambda: 'Ctrl-C' in process.stderr.readline())
    process.terminate()
    assert process.wait(30) == 0 and left() == []
    process.stderr.close()
    os.close(reader)
    os.close(writer)


def test_children_ignored_by_whoever_started_it(tracefs: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        run = Running('-q', '-d', '0.2', PROBE)
    finally:
        signal.signal(signal.SIGCHLD, before)
    run.ended()
    assert 'Traceback' not in ''.join(run.err) and 'none lost' in run.err[-1]


# ---- bad surroundings

@pytest.mark.parametrize('arguments', [('-q', '-d', '20', 'e sched/sched_switch'), ('-S', FORK), ('-o', '-', FORK), ('-L', 'e sched/*'),
                                       ('--version',), ('--completion', 'bash'), ('--help-language',)], ids=lambda a: a[0])
@pytest.mark.parametrize('output', ['full', 'closed'])
def test_without_standard_output_there_is_one_message(output: str, arguments: tuple[str, ...], left: Callable[[], list[str]]) -> None:
    redirection = {'full': '>/dev/full', 'closed': '>&-'}[output]
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'}
    done = subprocess.run(['sh', '-c', f'exec "$@" {redirection}', 'sh', *COMMAND, *arguments], capture_output=True, text=True,
                          timeout=PATIENCE, env=environment)
    lines = [line for line in done.stderr.splitlines() if 'Ctrl-C' not in line and 'not shown: the output fails' not in line]
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith('surftrace: standard output'), done.stderr
    assert left() == []


def test_without_standard_error_it_traces(left: Callable[[], list[str]]) -> None:
    for redirection in ('2>&-', '2>/dev/full', '2>&- <&-'):
        done = subprocess.run(['sh', '-c', f'exec "$@" {redirection}', 'sh', *COMMAND, '-n', '3', 'e sched/sched_switch'],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0 and done.stderr == '' and done.stdout.count('sched_switch: ') == 3
    assert left() == []


def test_few_files_may_be_open(left: Callable[[], list[str]]) -> None:
    def limited(count: int) -> None:
        done = subprocess.run(['sh', '-c', f'ulimit -n {count}; exec "$@"', 'sh', *COMMAND, '-d', '0.2', PROBE],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        if 'Traceback' in done.stderr:
            assert 'Too many open files' in done.stderr and 'surftrace.main' not in done.stderr and count < 7, done.stderr
        elif done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith('surftrace: ') and 'Ctrl-C' not in line]
            assert done.returncode == 1 and len(errors) == 1 and 'Too many open files' in errors[0], done.stderr
        statuses.append(done.returncode)
    statuses: list[int] = []
    ran(limited, range(6, 24))
    assert set(statuses) == {0, 1}
    assert left() == []


# ---- other runs

def test_a_run_stopped_at_any_call_is_not_swept(left: Callable[[], list[str]]) -> None:
    """All of them at once, each stopped before another call; a killed one's remains are there to be swept by them, too."""
    killed = Running(PROBE)
    killed.end(signal.SIGKILL)
    stopped = [at_call('stop', ENOUGH, '-d', '0.3', PROBE, f'{FORK} f:common_pid==1')]     # alone: each more has more calls
    wait_until(lambda: state(stopped[0].pid) in 'TZ')
    assert state(stopped[0].pid) == 'Z', 'there are more calls than that'
    stopped += [at_call('stop', number, '-d', '0.3', PROBE, f'{FORK} f:common_pid==1') for number in range(1, ENOUGH)]
    try:
        wait_until(lambda: all(state(run.pid) in 'TZ' for run in stopped))
        for _ in range(2):
            swept = surftrace('-d', '0.2', PROBE)
            assert swept.returncode == 0 and 'Traceback' not in swept.stderr, swept.stderr
    finally:
        for run in stopped:
            run.send_signal(signal.SIGCONT)
    for number, run in enumerate(stopped):
        err = run.communicate(timeout=PATIENCE)[1]
        assert run.returncode == 0 and 'ending 0 events' in err or 'none lost' in err, (number, err)
        assert 'not undone' not in err, (number, err)
    surftrace('-d', '0.1', FORK)
    assert left() == []


@pytest.mark.parametrize('file, text', [('tracing_on', '0'), ('events/enable', '0'), ('trace_clock', 'global'),
                                        ('events/sched/sched_process_fork/filter', 'common_pid==1')])
def test_what_somebody_else_changes_in_our_instance_is_said(file: str, text: str, left: Callable[[], list[str]]) -> None:
    run = Running('-q', f'{FORK} f:common_pid=={os.getpid()}')
    (run.instance / file).write_text(text)
    run.end()
    name = 'set_event' if file == 'events/enable' else file
    assert f'what is missing is not known: somebody has changed {run.instance / name}' in run.err[-1]
    assert left() == []


def test_an_instance_made_by_hand_is_not_ours(tracefs: Path) -> None:
    theirs = [tracefs / 'instances' / name for name in ('surftrace_123', 'surftrace_4_5', 'surftrace', 'surftrace_mine')]
    for instance in theirs:
        instance.mkdir()
    try:
        assert surftrace('-d', '0.1', FORK).returncode == 0
        assert all(instance.is_dir() for instance in theirs)
    finally:
        for instance in theirs:
            instance.rmdir()


@pytest.mark.parametrize('shell', ['bash', 'dash', 'busybox sh'])
def test_a_script_that_lives_is_not_swept(shell: str, left: Callable[[], list[str]], tmp_path: Path) -> None:
    need(shell.split()[0])
    script = tmp_path / 'run.sh'
    assert surftrace('-o', str(script), f'{FORK} f:common_pid=={os.getpid()}').returncode == 0
    process = subprocess.Popen([*shell.split(), script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr and 'tracing' in process.stderr.readline()
    time.sleep(0.5)
    assert 'removed' not in surftrace('-d', '0.1', FORK).stderr
    pids = children(3)
    time.sleep(0.5)
    process.terminate()
    assert forked(process.communicate(timeout=PATIENCE)[0].splitlines())[-3:] == pids
    assert left() == []


# ---- all at once

def test_many_runs_that_end_in_all_ways(tracefs: Path, left: Callable[[], list[str]], tmp_path: Path) -> None:
    """For some seconds: loops of runs, each ended at random; two runs, a script and an instance by hand that live through it."""
    assert surftrace('-o', str(tmp_path / 'run.sh'), f'{FORK} f:common_pid==1').returncode == 0
    hand = tracefs / 'instances/surftrace_123'
    hand.mkdir()
    script = subprocess.Popen(['sh', tmp_path / 'run.sh'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert script.stderr and 'tracing' in script.stderr.readline()
        foreign = [Running('-q', f'{FORK} f:common_pid=={os.getpid()}') for _ in range(2)]
        end = time.monotonic() + 12
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(lambda seed: loop(random.Random(seed), end), range(SEED, SEED + 8)))
        assert all(run.process.poll() is None for run in foreign) and script.poll() is None and hand.is_dir(), f'seed {SEED}'
        pids = children(3)
        for run in foreign:
            assert forked(run.end())[-3:] == pids and run.process.returncode == 0, (f'seed {SEED}', run.err)
    finally:
        script.terminate()
        script.communicate(timeout=PATIENCE)
        hand.rmdir()
    surftrace('-d', '0.1', FORK)
    assert left() == [], f'seed {SEED}'
    assert sum(counts) > 8, 'it was too slow to show anything'


def loop(choose: random.Random, end: float) -> int:
    """Runs, one after another; how many there were."""
    count = 0
    while time.monotonic() < end:
        one_run(choose, f'seed {SEED}, run {count}')
        count += 1
    return count


def one_run(choose: random.Random, name: str) -> None:
    """One run that ends by itself, or is ended by signals: early, or when it traces."""
    catchable = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
    way = choose.choice(['by itself', 'signals', 'signals', 'killed', 'killed early', 'early'])
    seconds = choose.choice([0.01, 0.2, 0.5]) if way == 'by itself' else 60
    process = subprocess.Popen([*COMMAND, '-d', str(seconds), PROBE, f'{FORK} f:common_pid==1'], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    err = ''
    if 'early' in way:
        time.sleep(choose.uniform(0, 1.5))
    else:
        while 'Ctrl-C' not in err:
            line = process.stderr.readline()
            assert line, (name, way, err)
            err += line
        time.sleep(choose.choice([0, choose.uniform(0, 0.3)]))
    if way != 'by itself':
        for _ in range(choose.choice([1, 1, 2])):
            process.send_signal(signal.SIGKILL if 'killed' in way else choose.choice(catchable[1:] if way == 'early' else catchable))
            time.sleep(choose.choice([0, choose.uniform(0, 0.1)]))
    err += process.communicate(timeout=PATIENCE)[1]
    killed_by_default = [-number for number in catchable] if way == 'early' else []     # before its own first line
    assert process.returncode in (killed_by_default + [0] if 'killed' not in way else [-signal.SIGKILL]), (name, way, err)
    assert 'Traceback' not in err and 'not undone' not in err, (name, way, err)
    assert 'none lost' in err or way not in ('by itself', 'signals'), (name, way, err)
