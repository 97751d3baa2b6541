"""surftrace LINE -- COMMAND: the command is traced, with its children and nobody else, from its first instruction to its end."""
from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
from live import COMMAND, FORK, PROJECT, Running, children, forked, surftrace

from surftrace import Command, SurftraceError, cgroups, chosen, processes_with

EXEC = 'e sched/sched_process_exec'
traced = pytest.mark.live


@pytest.mark.parametrize(('command', 'status'), [
    (['true'], 0), (['sh', '-c', 'exit 7'], 7), (['sh', '-c', 'kill -9 $$'], 137), (['sh', '-c', 'kill -TERM $$'], 143)])
@traced
def test_the_exit_status_is_the_commands(command: list[str], status: int, tracefs: Path) -> None:
    run = surftrace('-q', EXEC, '--', *command)
    assert run.returncode == status
    assert re.search(rf'sched_process_exec: filename=\S*/{command[0]} ', run.stdout), run.stderr
    assert len(run.stdout.splitlines()) == 1


@pytest.mark.parametrize(('command', 'status', 'message'), [
    ('surftrace-no-such', 127, "there is no command 'surftrace-no-such'"), ('./no/such', 127, 'no command'),
    (str(PROJECT / 'README.md'), 126, 'cannot be executed'), ('/tmp', 126, 'cannot be executed')])
@traced
def test_a_command_that_cannot_run_is_refused_before_anything_is_set(command: str, status: int, message: str, tracefs: Path) -> None:
    run = surftrace(EXEC, '--', command)
    assert (run.returncode, run.stdout) == (status, '')
    assert message in run.stderr and 'mkdir' not in run.stderr


@traced
def test_what_is_found_only_as_it_is_executed(tracefs: Path, tmp_path: Path) -> None:
    broken = tmp_path / 'broken'
    broken.write_text('#!/no/such/interpreter\n')
    broken.chmod(0o755)
    run = surftrace('-q', EXEC, '--', str(broken))
    assert run.returncode == 126 and f'{broken}: No such file' in run.stderr


@traced
def test_children_are_traced_and_others_are_not(tracefs: Path) -> None:
    run = Running('-q', EXEC, FORK, '--', 'sh', '-c', 'sleep 1; (true; /bin/true); env true; :')
    others = children(5)
    shown = run.ended()
    assert [re.sub(r'.*filename=\S*/(\w+) .*', r'\1', line) for line in shown if 'exec' in line] == ['sh', 'sleep', 'true', 'env', 'true']
    assert len(forked(shown)) >= 3 and not set(others) & set(forked(shown))


@traced
def test_a_line_of_a_program_from_its_first_instruction_on(tracefs: Path, compile_c: Callable[..., Path]) -> None:
    program = compile_c('int f(int n) { return n + 1; }\nint main(int count, char **words) { return f(count) - 3; }\n')
    run = surftrace('-q', f'P {program}:_start', f'P {program}:f n=%0:s32', f'R {program}:main $retval:s32', '--', str(program), 'a', 'b')
    assert [re.sub(r'.*(f\d): \(.*?\)', r'\1', line) for line in run.stdout.splitlines()] == ['f0', 'f1 n=3', 'f2 retval=1']
    assert run.returncode == 1 and 'f0 1, f1 1, f2 1 events, none lost' in run.stderr


@pytest.mark.parametrize('key', [b'\x03', b''], ids=['Ctrl-C', 'the terminal hangs up'])
@traced
def test_an_end_from_the_terminal_goes_to_both(key: bytes, tracefs: Path) -> None:
    pid, master = pty.fork()
    if not pid:
        os.execv(sys.executable, [*COMMAND, '-q', EXEC, '--', 'sh', '-c', 'sleep 100; echo never'])
    said = b''
    while b'sleep' not in said:
        said += os.read(master, 4096)
    if key:
        os.write(master, key)
    else:
        os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in ((130,) if key else (129, 143))
    if key:
        os.close(master)


@pytest.mark.parametrize('how', [['-d', '0.3'], ['-n', '1']])
@traced
def test_what_ends_before_the_command_ends_it(how: list[str], tracefs: Path) -> None:
    run = surftrace('-q', *how, EXEC, '--', 'sleep', '100')
    assert run.returncode == 143 and "the command 'sleep' (" in run.stderr


@traced
def test_a_table_of_a_command(tracefs: Path) -> None:
    run = surftrace('-q', 'P libc:fopen64 h:comm %0:string', '--', 'sh', '-c', 'id >/dev/null')
    assert '"/etc/passwd"' in run.stdout and {line.split()[0] for line in run.stdout.splitlines()[1:-1]} == {'id'}
    assert run.returncode == 0


USER = 60000 + os.getpid() % 5000      # a number that nobody has
NAPPER = """
import os, sys, threading, time
def nap():
    os.write(1, b'%d\\n' % threading.get_native_id())  # print() writes the end of a line apart, behind another thread's number
    while True:
        os.getppid(), time.sleep(0.02)
open('/proc/self/comm', 'w').write(sys.argv[1])
os.setresuid(int(sys.argv[2]), 0, 0)
threading.Thread(target=nap).start()
nap()
"""


@traced
def test_processes_by_name_and_threads(tracefs: Path) -> None:
    nap, other = f'nap-{os.getpid()}', f'other-{os.getpid()}'       # nobody else's, also where tests run twice
    nappers = [subprocess.Popen([sys.executable, '-c', NAPPER, name, user], stdout=subprocess.PIPE, text=True)
               for name, user in ((nap, '0'), (nap, '0'), (other, str(USER)))]
    try:
        threads = [int(napper.stdout.readline()) for napper in nappers for _ in (0, 1)]

        def shows(wanted: list[int], *arguments: str) -> None:
            shown: set[int] = set()
            for _ in range(20):                             # one may have to wait for a processor
                run = surftrace('-n', '60', '--raw', *arguments, 'P libc:getppid')
                assert run.returncode == 0, run.stderr
                said.append(run.stderr)
                shown.update(map(int, re.findall(r'-(\d+) .*: f0: ', run.stdout)))
                if len(shown) >= len(wanted):
                    break
            assert shown == {*wanted}
        said: list[str] = []
        shows(threads[:4], '-p', nap)
        assert f'note: -p {nap}: {nappers[0].pid}, {nappers[1].pid}\n' in said[0] or nappers[0].pid > nappers[1].pid
        shows(threads[:2] + threads[4:], '-p', f'{other},{nappers[0].pid}')
        shows(threads[:2] + threads[4:], '-p', other, '-p', str(threads[1]))
        shows([threads[0], threads[3]], '--tid', f'{threads[0]},{threads[3]}')
        shows(threads[4:], '--uid', str(USER))              # their real user
        assert 'note: processes: 1, and their children. Those that come otherwise' in said[-1]
        mount = re.search(r'^\S+ (\S+) cgroup2 ', Path('/proc/mounts').read_text(), re.M)
        if mount and os.access(mount[1], os.W_OK):
            cgroup = Path(mount[1]) / 'surftrace-test' / 'inner'
            try:
                cgroup.mkdir(parents=True)
                (cgroup / 'cgroup.procs').write_text(str(nappers[1].pid))
                shows(threads[2:4], '--cgroup', str(cgroup.parent))
                assert 'there are /surftrace-test/inner\n' in surftrace('--cgroup', 'surftrace', FORK).stderr
            finally:
                nappers[1].kill()
                nappers[1].wait()
                cgroup.rmdir()
                cgroup.parent.rmdir()
    finally:
        for napper in nappers:
            napper.kill()
            napper.communicate()
    assert surftrace('-p', nap, 'P libc:getppid').stderr == f'surftrace: there is no process {nap}\n'
    assert 'no thread' in surftrace('--tid', str(threads[0]), 'P libc:getppid').stderr
    assert f"user '{USER}' has no process; one that is to come: -- sudo -u {USER} " in surftrace('--uid', str(USER), FORK).stderr
    assert "there is no user 'noboby'; did you mean 'nobody'?" in surftrace('--uid', 'noboby', FORK).stderr


def test_the_processes_of_a_cgroup(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /proc says it, with either version of cgroups; the children of a cgroup, not those that begin alike."""
    files = {'/proc/mounts': 'x /fs/v2 cgroup2 rw 0 0\ny /fs/v2/pids cgroup rw 0 0\nz / ext4 rw 0 0\n',
             '/proc/1/cgroup': '0::/\n', '/proc/2/cgroup': '1:name=systemd:/a b/x.scope\n0::/\n', '/proc/3/cgroup': '0::/c:d/sub\n',
             '/proc/4/cgroup': '0::/c:dd\n'}
    monkeypatch.setattr('surftrace.read_text', lambda path: files.get(path, ''))
    monkeypatch.setattr('surftrace.processes', lambda: [1, 2, 3, 4])
    for cached in (processes_with, cgroups):
        cached.cache_clear()
    try:
        for path, found in (('c:d', (3,)), ('/c:d', (3,)), ('/fs/v2/c:d/sub/', (3,)), ('/', (1, 2, 3, 4)), ('/fs/v2', (1, 2, 3, 4)),
                            ('a b', (2,)), ('/fs/v2/pids/a b/x.scope', (2,)), ('c:d+', ()), ('c:', ()), ('sub', ())):
            try:
                assert chosen(Namespace(uid=None, cgroup=path, pid=[])) == found, path
            except SurftraceError as error:
                assert not found, error
                assert str(error).startswith(f"no process is in the cgroup '/{path}'")
    finally:
        for cached in (processes_with, cgroups):
            cached.cache_clear()


@pytest.mark.parametrize('arguments', [['-S', 'e sched/x', '--', 'true'], ['-p', '1', 'e sched/x', '--', 'true'],
                                       ['--uid', '0', 'e sched/x', '--', 'true'], ['e sched/x', '--'],
                                       ['-L', 'p x', '--', 'true'], ['-o', '-', 'e sched/x', '--', 'true']])
def test_a_command_is_for_a_run(arguments: list[str]) -> None:
    run = surftrace(*arguments)
    assert run.returncode == 2 and 'command' in run.stderr


def test_a_command_waits_and_never_begins_where_surftrace_ends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for begins in (True, False):
        file = tmp_path / f'{begins}'
        command = Command(['touch', str(file)])
        assert not command.ended() and not file.exists()
        if begins:
            command.begin()
            command.ended(0)
        command.close()
        assert file.exists() == begins and capfd.readouterr().err == ''


def test_a_command_that_waits_ends_with_a_killed_surftrace(tmp_path: Path) -> None:
    code = f"import surftrace, os, signal; c = surftrace.Command(['touch', {str(tmp_path / 'x')!r}]); print(c.processes[0], flush=True); os.kill(os.getpid(), 9)"
    run = subprocess.run([sys.executable, '-c', code], cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL
    stat = Path(f'/proc/{int(run.stdout)}/stat')
    with contextlib.suppress(OSError):                      # it is no more
        while stat.read_text().rpartition(')')[2].split()[0] != 'Z':
            time.sleep(0.01)
    assert not (tmp_path / 'x').exists()


def test_a_command_has_the_signals_that_it_would_have(tmp_path: Path) -> None:
    command = Command([sys.executable, '-c', f'import signal; open({str(tmp_path / "x")!r}, "w").write(str(signal.getsignal(signal.SIGINT)))'])
    command.begin()
    command.ended(0)
    assert 'default_int_handler' in (tmp_path / 'x').read_text() and command.status == 0
    command.close()
    broken = Command(['sh', '-c', 'yes | head -n 1; kill -PIPE $$'])
    broken.begin()
    broken.ended(0)
    assert broken.status == 128 + signal.SIGPIPE
    broken.close()
    with pytest.raises(SurftraceError) as refusal:
        Command([''])
    assert refusal.value.status == 126


STACKS = '''#include <unistd.h>
#define kept __attribute__((noipa))
kept int leaf(int n) { return getppid() > n; }
kept int middle(int n) { return leaf(n) + 1; }
int main(void) { return middle(1) + middle(2) + middle(3) == 0; }
'''


@traced
def test_stacks_of_one_line_alone(tracefs: Path, compile_c: Callable[..., Path]) -> None:
    program = compile_c(STACKS, '-O1', '-fno-omit-frame-pointer')
    run = surftrace('-q', '--raw', f'P {program}:leaf n=%0:s32 +ustack f:n>1', f'P {program}:middle n=%0:s32',
                    'e syscalls/sys_enter_getppid +stack +ustack', '--', str(program))
    found = re.findall(r'(f[01]): .* n=(\d)|(sys_getppid)|<(user )?stack trace>\n((?: => .*\n)+)', run.stdout)
    order = [name or number or call or ('user' if user else 'kernel') for name, number, call, user, frames in found]
    plain, stacks = ['f1', 'sys_getppid', 'kernel', 'user'], ['f1', 'f0', 'user', 'sys_getppid', 'kernel', 'user']
    assert order == plain + stacks * 2, run.stdout
    assert all('do_syscall_64' in frames for *_, user, frames in found if frames and not user) or os.uname().machine != 'x86_64'
    assert all('(' in frames or '<' in frames for *_, user, frames in found if user)      # a name, where it still runs
