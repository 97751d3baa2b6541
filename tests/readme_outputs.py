"""Runs the examples of README.md for real, and writes what they print below them.

    tests/readme_outputs.py                 all of them
    tests/readme_outputs.py WORD...         those with one of these words in the command

A block of the README that begins with '$ ' or '# ' is a row of commands, each followed by what it printed; '# ' begins a
line of prose. A `surftrace` that traces functions of the kernel runs in a guest with Debian's 6.1, one that traces
programs on this machine, both as root, while the example's script makes something happen. All others run in a folder
with the vmlinux of that kernel. Nothing is edited but by rule: of a run only standard output and notes are taken,
`...` stands for lines that are left out, and a line of a table, a stack or a listing is never left out silently.
"""
from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
README = HERE.parent / 'README.md'
PROSE = re.compile(r'^# (?!echo ).*\n', re.M)         # -S prints such an echo
MARK = '@@RESULTS '
READY = 'Ctrl-C ends it'


class Example(NamedTuple):
    """How an example is run."""
    act: str = ''               # a script of bash, run while it traces
    most: int = 99              # so many lines are shown, then '...'
    shown: str = ''             # only lines that match, and '...' for each row of others
    before: str = ''            # a script that is run first; what it leaves running ends with the example
    dwarf: bool = False         # it needs DWARF, which is read here: in a guest that takes minutes
    whole: bool = False         # the end is shown, too: ^C and the summary


# ---- what happens meanwhile

SEND = '''python3 - <<'END'
import socket, threading
server = socket.create_server(('127.0.0.1', 4433))
def serve():
    one = server.accept()[0]
    while one.recv(9000): pass
thread = threading.Thread(target=serve); thread.start()
one = socket.create_connection(('127.0.0.1', 4433))
for size in (100, 120, 5000, 3000): one.send(bytes(size))
one.close(); thread.join()
END
'''
REFUSED = '''python3 - <<'END'
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))
try: socket.create_connection(('127.0.0.1', 81))
except OSError: pass
END
'''
THREADS = '''python3 - <<'END'
import threading, time
for one in [threading.Thread(target=time.sleep, args=(.01,)) for _ in range(2)]: one.start()
END
'''
SLEEPS = 'for i in 1 2 3 4 5; do sleep 0.01; done; sleep 0.2'
READS = 'busybox dd if=/dev/urandom of=/tmp/file bs=1M count=9 2>/dev/null; grep -c wiki /tmp/file /etc/passwd /etc/hosts'

SERVER = '''
cat >server.c <<'END'
#include <unistd.h>
enum color { RED, GREEN };
struct inner { int a; };
struct order { const char *name; struct inner *in; };
__attribute__((noinline)) void handle(int id, struct order *o, enum color color) {
    asm volatile ("" : : "r" (id), "r" (o), "r" (color) : "memory");
}
int main() {
    struct inner inner = { 42 };
    struct order bob = { "bob", &inner }, ann = { "ann", 0 };
    for (int id = 0; id < 4; id++) handle(id, id % 2 ? &ann : &bob, GREEN);
}
END
gcc -g -O1 -o server server.c'''
TLS = '''
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost 2>/dev/null
openssl s_server -accept 44330 -cert cert.pem -key key.pem -www >/dev/null 2>&1 &
sleep 1'''
SQL = '''
B=/usr/lib/postgresql/15/bin; chown postgres . && setpriv --reuid=postgres --regid=postgres --clear-groups sh -c "
$B/initdb -D $PWD/data -A trust >/dev/null
exec $B/postgres -D $PWD/data -k $PWD -c listen_addresses= -F >/dev/null 2>&1" &
until psql -h $PWD -U postgres -c 'select 1' >/dev/null 2>&1; do sleep 0.2; done'''
GC = '''
cat >Churn.java <<'END'
public class Churn {
    public static void main(String[] arguments) throws Exception {
        byte[][] kept = new byte[64][];
        for (int i = 0; i < 30000; i++) {
            kept[i % 64] = new byte[10000];
            Thread.sleep(1);
        }
    }
}
END
javac Churn.java
java -Xmx8m -XX:+UseSerialGC Churn &
sleep 1'''

# By the command behind 'surftrace', or its beginning; what is not here needs nothing.
EXAMPLES = {
    "'p wake_up_new_task": Example('busybox insmod $KERNEL/modules/kernel/drivers/md/md-mod.ko; ' + THREADS, 4, whole=True),
    "'p:open do_sys_openat2": Example('cat /etc/hosts'),
    "'r:open do_sys_openat2": Example('LC_ALL=C cat /etc/nosuch', 2),
    "'e:kill": Example('sleep 9 & sleep 0.1; busybox kill -9 $!'),
    "'r vfs_read": Example(READS, 2),
    "'e:drop": Example(REFUSED),
    "'p ip_rcv": Example('ping -c 1 127.0.0.1'),
    "-n 1 -s 'p tcp_sendmsg": Example(SEND, 5),
    "'p:open fs/namei.c": Example('cat /etc/wiki_nosuch', dwarf=True),
    "-t 'p do_sys_openat2": Example('LC_ALL=C sleep 0.1', 5, shown=' sleep-'),
    "--top 3 'p tcp_send* h:'": Example(SEND),
    "'p vfs_write h:": Example('for many in 4k 500; do dd if=/dev/zero of=/tmp/zeros bs=$many count=9 status=none; done'),
    "'e:in raw_syscalls": Example(SEND),
    "'r hrtimer_nanosleep": Example(SLEEPS),
    "'R:cmd": Example("""script -qc 'bash --norc' /dev/null <<'END'
echo hello world
exit
END
"""),
    "'R:dns": Example('getent ahosts localhost; getent ahosts www.nosuch.invalid'),
    "'P:send libssl": Example('curl -sk https://localhost:44330/secret -o /dev/null', 2, before=TLS),
    "'u:sql": Example('psql -h $PWD -U postgres -c "select count(*) from pg_class where relname = \'x\'"', before=SQL),
    "-t 'u libjvm": Example('sleep 2', 2, before=GC),
    "'P ./server": Example('./server', before=SERVER),
}


def example_of(command: str) -> Example:
    """How that command is run."""
    arguments = command.partition('surftrace ')[2]
    return next((EXAMPLES[key] for key in EXAMPLES if arguments.startswith(key)), Example())


# What prints nothing, or needs another machine.
KEPT = ('scp ', '--export-types', '-m remote', '-o ')

# ---- the README

def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """(the command, the lines it printed) of every example of that README."""
    for block in re.findall(r'^```\n([$#] .*?)^```', text, re.M | re.S):
        for part in re.split(r'^\$ ', re.sub(PROSE, '', block), flags=re.M)[1:]:
            command, *printed = part.rstrip('\n').split('\n')
            yield command, printed


def rewritten(text: str, printed: dict[str, list[str]]) -> str:
    """The README with what those commands printed."""
    lines, inside, kept = [], False, True
    for line in text.split('\n'):
        if line.startswith('```'):
            inside, kept = not inside, True
        command = line[2:] if inside and line.startswith('$ ') else ''
        if command or inside and PROSE.match(f'{line}\n'):
            kept = True
        if kept or not inside:
            lines.append(line)
        if command in printed:
            lines += printed[command]
            kept = False
    return '\n'.join(lines)


def cut(example: Example, out: list[str], err: list[str]) -> list[str]:
    """What is shown of a run."""
    notes = [line for line in err if ' note: ' in line and 'counted by the kernel' not in line]
    if not out and not any(READY in line for line in err):
        notes = err                             # it was refused, and that is what is shown
    lines = [line for line in out if line]
    if example.shown:
        lines = ['' if not re.search(example.shown, line) else line for line in lines]
        lines = [line or '...' for at, line in enumerate(lines) if line or at and lines[at - 1]]
    if len(lines) > example.most:
        lines = [*lines[:example.most], '...']
    if example.whole:
        begun = next(at for at, line in enumerate(err) if READY in line) + 1
        return [*err[:begun], *lines, '^C', *err[begun:]]
    return [line.rstrip() for line in notes + lines]


# ---- running

def traced(command: str, example: Example, folder: Path) -> tuple[list[str], list[str]]:
    """What a run printed to its two outputs while the example's script ran."""
    def shell(script: str) -> None:
        subprocess.run(['bash', '-c', script], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       stdin=subprocess.DEVNULL, check=False)
    shell(example.before)
    err: list[str] = []
    with open(folder / 'out', 'w+') as out, subprocess.Popen(
            ['sh', '-c', f'exec {command}'], cwd=folder, env=environment(folder), text=True,
            stdout=out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as run:
        while not err or err[-1] and READY not in err[-1]:      # nothing of our own is to be seen: no file is opened
            err.append(run.stderr.readline())
        time.sleep(0.5)
        shell(example.act)
        time.sleep(1)
        run.send_signal(signal.SIGINT)          # unless it has ended by itself
        err += run.stderr
        out.seek(0)
        return out.read().splitlines(), ''.join(err).splitlines()


def environment(folder: Path) -> dict[str, str]:
    """One where the commands of the README mean what they should: surftrace is this one, sudo is needless."""
    ours = os.environ.get('SURFTRACE', str(HERE.parent / 'surftrace.py'))
    for name, text in (('surftrace', shlex.join(['exec', sys.executable, ours])), ('sudo', 'exec')):
        (folder / name).write_text(f'#!/bin/sh\n{text} "$@"\n')
        (folder / name).chmod(0o755)
    return {**os.environ, 'PATH': f"{folder}:{os.environ['PATH']}"}


def in_guest(file: Path) -> None:
    """Run in the guest: the commands of the file, one after the other; what each printed goes to the console."""
    os.system('busybox ip link set lo up; mkdir -p /lib/modules; ln -sfn $KERNEL/modules /lib/modules/$(uname -r)')
    with tempfile.TemporaryDirectory() as name:
        for command, done_as in json.loads(file.read_text()).items():
            print(MARK + json.dumps([command, *traced(done_as, example_of(command), Path(name))]), flush=True)


def of_the_kernel(wanted: Sequence[str]) -> dict[str, tuple[list[str], list[str]]]:
    """What those commands print in a guest with 6.1."""
    import machine
    with tempfile.TemporaryDirectory() as name:
        done_as, notes = {command: command for command in wanted}, {}
        for number, command in enumerate(command for command in wanted if example_of(command).dwarf):
            lines, notes[command] = of_files(command.replace('sudo surftrace', 'surftrace -S -v vmlinux'))
            done_as[command] = f'sudo surftrace -f {name}/{number}'
            Path(name, str(number)).write_text('\n'.join(lines) + '\n')
        file = Path(name, 'commands')
        file.write_text(json.dumps(done_as))
        done = machine.run('6.1-amd64', f'python3 {__file__} --in-guest {file}', 1500, env={'SURFTRACE': os.environ['SURFTRACE']})
    found = [json.loads(line.partition(MARK)[2]) for line in done.output.splitlines() if MARK in line]
    if len(found) < len(wanted):
        print(f'not all was run: {done.output[-3000:]}')
    return {command: (out, notes.get(command, err)) for command, out, err in found}


def of_programs(command: str) -> tuple[list[str], list[str]]:
    """What it prints on this machine."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        before = set(os.listdir('/proc'))
        try:
            return traced(command, example_of(command), Path(name))
        finally:
            for pid in filter(str.isdigit, set(os.listdir('/proc')) - before):      # servers that it started
                if os.path.exists(f'/proc/{pid}/cwd') and os.readlink(f'/proc/{pid}/cwd').startswith(name):
                    os.kill(int(pid), signal.SIGTERM)


def of_files(command: str) -> tuple[list[str], list[str]]:
    """What it prints in a folder with the files that it names; nothing is traced."""
    import kernels
    with tempfile.TemporaryDirectory() as name:
        Path(name, 'vmlinux').symlink_to(kernels.kernel('6.1-amd64') / 'vmlinux')
        Path(name, 'vmlinux-6.1-arm64').symlink_to(kernels.kernel('6.1-arm64') / 'vmlinux')
        done = subprocess.run(['sh', '-c', command], cwd=name, env=environment(Path(name)), capture_output=True, text=True, check=False)
        return done.stdout.splitlines(), done.stderr.splitlines()


def main(words: Sequence[str]) -> int:
    """Run the examples with one of the words, and write the README."""
    text = README.read_text()
    with tempfile.NamedTemporaryFile(suffix='.py') as copy:         # a guest sees a file that changes cut
        copy.write((HERE.parent / 'surftrace.py').read_bytes())
        copy.flush()
        os.environ['SURFTRACE'] = copy.name
        return run(text, words)


def run(text: str, words: Sequence[str]) -> int:
    """Run them with the surftrace that $SURFTRACE names."""
    wanted = [command for command, _ in commands(text) if not any(kept in command for kept in KEPT)
              and (not words or any(word in command for word in words))]
    tracing = {command: bool(re.search(r"'(e|p|r)\b", command)) for command in wanted if command.startswith('sudo')}
    found = {command: of_files(command) for command in wanted if command not in tracing}
    found |= {command: of_programs(command) for command, in_kernel in tracing.items() if not in_kernel}
    kernel = [command for command, in_kernel in tracing.items() if in_kernel]
    found |= of_the_kernel(kernel) if kernel else {}
    wanted = [command for command in wanted if command in found]
    printed = {command: cut(example_of(command), *found[command]) for command in wanted}
    README.write_text(rewritten(README.read_text(), printed))
    empty = [command for command in wanted if not printed[command]]
    for command in empty:
        print(f'nothing was printed by: {command}\n  ' + '\n  '.join(found[command][1]))
    return int(bool(empty))


if __name__ == '__main__':
    sys.path.insert(0, str(HERE / 'vm'))
    if sys.argv[1:2] == ['--in-guest']:
        in_guest(Path(sys.argv[2]))
    else:
        sys.exit(main(sys.argv[1:]))
