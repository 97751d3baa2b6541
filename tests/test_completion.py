"""Completion: what may follow a line that is being typed, in a real bash and a real zsh, and as the text alone. On this
machine's kernel, from its BTF; the time each answer took is printed (-rP), and nothing is asserted of it."""
from __future__ import annotations

import argparse
import importlib.util
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cache import Unavailable
from helpers import machine_of, need, types_of

import surftrace

HERE = Path(__file__).resolve().parents[1]
QUIET = 1.5                                 # seconds without output after which a shell is thought to have nothing to say,
PATIENCE = 60                               # or where it ought to say something to be too slow


class Shell:
    """An interactive shell on a terminal of its own, with surftrace's completion."""

    def __init__(self, name: str, folder: Path) -> None:
        program = folder / 'surftrace'
        program.write_text(f'#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(HERE)!r})\nimport surftrace\n'
                           'sys.exit(surftrace.main())\n')
        program.chmod(0o755)
        (folder / 'sudo').write_text('#!/bin/sh\nexec "$@"\n')
        (folder / 'sudo').chmod(0o755)
        for file in ('vmlinux-of-mine', 'oddname', "odd'name", 'odd\vname', 'odd\x1bname'):     # one of these can stand in quotes
            (folder / file).touch()
        environment = {'PATH': f'{folder}:{os.environ["PATH"]}', 'HOME': str(folder), 'TERM': 'dumb', 'LANG': 'C.UTF-8'}
        command = {'bash': ['bash', '--norc', '--noprofile', '-i'], 'zsh': ['zsh', '-f', '-i']}[name]
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        start = {'bash': "PS1='%% '; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; "
                         "bind 'set completion-query-items 0'; bind 'set page-completions off'",
                 'zsh': "PS1='%%%% '; unsetopt beep zle_bracketed_paste prompt_cr prompt_sp; LISTMAX=0; autoload -U compinit; compinit -u -D"}
        self.name, self._said = name, b''
        self.send(f'stty cols 500; {start[name]}; eval "$(surftrace --completion {name})"; echo rea""dy\r')
        self.until('ready\r?\n%% ', PATIENCE)

    def send(self, text: str) -> None:
        """Type it."""
        os.write(self._file, text.encode())

    def until(self, pattern: str, quiet: float = QUIET) -> str:
        """What was said until the pattern turned up in it, or nothing more came for a while."""
        said = ''
        while not (said and re.search(pattern, said)) and select.select([self._file], [], [], quiet)[0]:
            self._said += os.read(self._file, 65536)
            said = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|\x07', '', self._said.decode(errors='replace'))
        self._said = b''
        return said

    def typed(self, text: str, pattern: str, tabs: int = 1) -> tuple[str, float]:
        """The screen's text after a line's beginning and TAB, and the seconds that took; the line is thrown away."""
        self.send(text)
        self.until(re.escape(text) + '$')
        start = time.monotonic()
        for left in reversed(range(tabs)):
            self.send('\t')
            said = self.until(pattern, QUIET if left or pattern == 'never' else PATIENCE)
        taken = time.monotonic() - start
        said += self.until('never', 0.1)                        # a quote that closes comes behind
        self.send('\x15\r')
        self.until(r'%% $')
        return said, taken

    def end(self) -> None:
        """Be gone."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._file)


@pytest.fixture(scope='module', params=['bash', 'zsh'])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    needs_btf()
    if importlib.util.find_spec('argcomplete') is None:
        raise Unavailable('argcomplete is not installed')
    need(request.param)
    shell = Shell(request.param, tmp_path_factory.mktemp(request.param))
    yield shell
    shell.end()


def needs_btf() -> None:
    """Skip where this machine's kernel has no BTF."""
    if not Path(surftrace.RUNNING_BTF).exists():
        raise Unavailable(f'this kernel has no {surftrace.RUNNING_BTF}')


# what is typed, and what the shell has added to it when it has answered
ADDED = [
    ('an option', 'surftrace --vml', 'inux'),
    ('an option behind sudo', 'sudo surftrace --vml', 'inux'),
    ('a value of an option', 'surftrace -m dw', 'arf'),
    ('a file', 'surftrace -v vmlinux-o', 'f-mine'),
    ('a function', "surftrace 'p wake_up_new_ta", 'sk'),
    ('a function behind sudo', "sudo surftrace 'p wake_up_new_ta", 'sk'),
    ('a function whose return is traced', "surftrace 'r wake_up_new_ta", 'sk'),
    ('a system', "surftrace 'e sche", 'd/'),
    ('a parameter', "surftrace 'r do_sys_openat2 filen", 'ame'),
    ('a member', "surftrace 'p wake_up_new_task comm=%0->co", 'm'),
    ('a member of what a member points to', "surftrace 'p wake_up_new_task a=%0->mm->mmap_ba", 'se'),
    ('a member in user()', "surftrace 'p wake_up_new_task a=user(%0->sas_ss_fl", 'ags'),
    ('a member behind a dot', "surftrace 'p wake_up_new_task a=p->se.vrunt", 'ime'),
    ('a member of a cast register', "surftrace 'p wake_up_new_task a=!(struct file *)%si->f_fla", 'gs'),
    ('a member in container_of()', "surftrace 'p wake_up_new_task a=container_of(p, struct task_struct, wake_ent", 'ry'),
    ('a type in a cast', "surftrace 'p wake_up_new_task a=(struct mm_walk_o", 'ps'),
    ('a packet header', "surftrace 'p ip_rcv a=@(struct icm", 'phdr'),
    ("a packet header's member", "surftrace 'p ip_rcv a=@(struct iphdr *)l3%0->prot", 'ocol'),
    ('a register', "surftrace 'p wake_up_new_task a=%orig", '_ax'),
    ('a variable', "surftrace 'r wake_up_new_task a=$ret", 'val'),
    ('a format', "surftrace 'p wake_up_new_task a=p->comm:ust", 'ring'),
    ('an arrow', "surftrace 'p wake_up_new_task a=%0", '->'),
    ("an event's field", "surftrace 'e sched/sched_switch prev_st", 'ate'),
    ("an event's field in a filter", "surftrace 'e sched/sched_switch f:prev_co", 'mm'),
    ('a member in a filter', "surftrace 'p wake_up_new_task f:p->static_pr", 'io'),
    ('a name in a filter', "surftrace 'p wake_up_new_task mine=%0->prio f:mi", 'ne'),
    ('what -L lists', "surftrace -L 'struct task_struct.wake_ent", 'ry'),
    ('the type of what -L lists', "surftrace -L 'un", 'ion'),
    ('a file with a name that can stand in quotes', "surftrace 'P ./odd", 'name:'),
    ('a program', "surftrace 'P redis-serv", 'er:'), ('a library', "surftrace 'P libstdc", '++:'),
    ('a function of a library', "surftrace 'P libc:getaddri", 'nfo'),
    ('a USDT probe', "surftrace 'u libstdc++:libstdcxx:cat", 'ch'),
    ("a parameter of a library's function", "surftrace 'P libc:getaddrinfo serv", 'ice'),
    ("a member of a library's struct", "surftrace 'P libc:getaddrinfo a=hints->ai_fam", 'ily'),
    ('double quotes', 'surftrace "p wake_up_new_task comm=%0->co', 'm'),
]


@pytest.mark.parametrize(('typed', 'added'), [pytest.param(*rest, id=name) for name, *rest in ADDED])
def test_a_shell_completes(typed: str, added: str, shell: Shell, request: pytest.FixtureRequest) -> None:
    if typed.endswith("'e sche"):
        request.getfixturevalue('_mounted_tracefs')                  # which knows the systems; few kernels have symbols of them
    said, taken = shell.typed(typed, re.escape(added))
    print(f'{taken:.2f} s: {typed}[TAB]{added}')
    after = said.rpartition(typed)[2] if typed in said else said
    assert after.startswith(added), said
    assert "'" not in after and '"' not in after, f'the quote was closed: {after}'


@pytest.mark.parametrize('typed', ['surftrace r', 'surftrace -q r', 'sudo surftrace r'])
def test_a_line_begun_without_a_quote_gets_one(typed: str, shell: Shell) -> None:
    said, _ = shell.typed(typed, "'r ")
    said = said.replace('\b', '')
    assert re.search(r"'r $", said.partition('%%')[0]), said


def test_a_shell_lists_the_last_parts_only(shell: Shell) -> None:
    said, _ = shell.typed("surftrace 'p wake_up_new_task a=p->se.", r'vruntime', 2 if shell.name == 'bash' else 1)
    assert {'vruntime', 'run_node', 'on_rq'} <= set(said.split()), said
    assert 'p->se.vruntime' not in said


def test_a_wrong_line_is_left_as_it_is(shell: Shell) -> None:
    said, _ = shell.typed("surftrace 'p no_such_function_at_all a=p->x", 'never', 1)
    assert said.strip() in ('', "surftrace 'p no_such_function_at_all a=p->x"), said


# without a shell


def kernel() -> surftrace.Machine:
    """This machine's, as completion sees it."""
    needs_btf()
    return surftrace.completion_machine(argparse.Namespace(vmlinux=None, mode='auto', arch=None))


@pytest.fixture(scope='module')
def fixture_kernel(types_file: Callable[[str], Path]) -> surftrace.Machine:
    """fixtures/types.c as a kernel, so that every name is known."""
    info = types_of(types_file('BTF'), 'btf')
    return machine_of(info)


@pytest.mark.parametrize(('text', 'names'), [
    ('', 'P |R |e |p |r |t |u '), ('q', ''), ('p', 'p '), ('x y z', ''), ('p nope x=%0->', ''), ('p main) a=%', ''),
    ('p main a=(str', 'struct '), ('p main a=((struct nested *)%di)->bef', 'before'),
    ('p main a=((struct nested *)%di)->named.deep.', 'y'), ('p main a=*((struct nested *)%di)->befo', 'before'),
    ('p main a=!(struct nested *)%di->ne', 'next'), ('p main a=((struct nested *)%di)->next->next->ne', 'next'),
    ('p main a=&((struct nested *)%di)->bef', 'before'), ('p main a=@(struct ip', 'iphdr|ipv6hdr'),
    ('p main a=container_of(%di, struct nested, nam', 'named'), ('p main a=%r1', 'r10|r11|r12|r13|r14|r15'),
    ('p main a=%di:st', 'string'), ('p main a=%di b=X!(union bit_union *)%si->mi', 'mid'),
    ('p main x=!(struct scalars *)%di->en f:x==MINUS_O', 'MINUS_ONE'), ('p main x=%di f:x==', ''),
    ('p main one=%di two=%si f:one==1&&t', 'two'), ('p main one=%di two=%si f:(one==1||!t', 'two'),
    ('r main $r', 'retval'), ('p main $r', ''), ('r main $retval $d', 'dur'),
    ('p main h:co', 'comm|common_pid|container_of('), ('p main h:comm st', 'stack|step('), ('p main h:log2(((struct nested *)%di)->bef', 'before'),
    ('p main h:comm sum(%r1', 'r10|r11|r12|r13|r14|r15'), ('p main a=%di h:avg', 'avg('), ('p main a=%di h:a f:a==', ''),
])
def test_what_may_follow(text: str, names: str, fixture_kernel: surftrace.Machine) -> None:
    offer = surftrace.completions(text, fixture_kernel)
    assert '|'.join(offer.names) == names
    assert all(name.startswith(text[offer.start:]) for name in offer.names)


def test_of_very_many_names_only_the_beginnings_are_offered() -> None:
    names = [f'tcp_{a}_{i}' for a in ('ack', 'send') for i in range(300)]
    assert surftrace.offered('p tcp', 2, names).names == ('tcp_',)
    assert surftrace.offered('p tcp_', 2, names).names == ('tcp_ack_', 'tcp_send_')
    assert len(surftrace.offered('p tcp_ack_', 2, names).names) == 300


def test_nothing_a_person_may_have_typed_raises(fixture_kernel: surftrace.Machine) -> None:
    whole = ('p main a=((struct nested *)%0)->named.deep.x b=@(struct iphdr *)l3%0->saddr:ip c=container_of(%di, struct nested, '
             'named.deep) d=+8(%di):u32 e="x" f:a==1&&(b==127.0.0.1||c~"x*")')
    for at in range(len(whole) + 1):
        assert isinstance(surftrace.completions(whole[:at], fixture_kernel, True), surftrace.Offer)


@pytest.mark.parametrize(('typed', 'offered'), [
    ("surftrace 'p wake_up_new_task comm=%0->co", "p wake_up_new_task comm=%0->comm"), ('surftrace --vml', '--vmlinux'),
    ("surftrace 'p wake_up_new_ta", 'p wake_up_new_task'), ("surftrace 'p vfs_read file->f_p", 'p vfs_read file->f_pos'), ('surftrace -m dw', 'dwarf'), ('surftrace -q r', 'r ')])
def test_fish_offers(typed: str, offered: str, tmp_path: Path) -> None:
    need('fish')
    needs_btf()
    (tmp_path / 'surftrace').write_text(f'#!/bin/sh\nexec {sys.executable} {surftrace.__file__} "$@"\n')
    (tmp_path / 'surftrace').chmod(0o755)
    script = 'surftrace --completion fish | source; complete -C $argv[1]'
    done = subprocess.run(['fish', '-c', script, typed], capture_output=True, text=True, env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'})
    assert offered in done.stdout.split('\n'), done


@pytest.mark.parametrize('name', ['bash', 'zsh', 'fish'])
def test_the_glue_is_printed(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert surftrace.main(['--completion', name]) == 0
    assert '_surftrace' in capfd.readouterr().out
