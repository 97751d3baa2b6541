#!/usr/bin/env python3
"""Speed: of -L in seconds, and as ratios measured in the same run against perf probe -D, gdb, and cat trace_pipe. Prints,
asserts nothing.

    python3 tests/bench.py [VMLINUX]        (left out: Debian's 6.1, fetched as the tests do)
    python3 tests/bench.py counting         only what a counted call costs, in a guest (bpftrace where it is installed)

Draining needs root and uprobes: an event that looks like a kprobe's is made with a uprobe in a small program."""
from __future__ import annotations

import functools
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / 'tests' / 'vm')]

import kernels  # noqa: E402
import machine  # noqa: E402

import surftrace  # noqa: E402

OURS = [sys.executable, '-m', 'surftrace', '-S']        # as a module: compiled once, as an installed one is
LINE = 'p wake_up_new_task comm=%0->comm users=S%0->mm->mm_users'
EVENTS = 200_000
KEPT = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}


def measured(command: Sequence[str]) -> Tuple[float, float]:
    """(seconds, MB at the most) of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=PROJECT, env=KEPT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def compare(title: str, ours: Sequence[str], theirs: Sequence[str], runs: int, wanted: float) -> None:
    """Both in turn, and the median of the ratios."""
    measured(ours), measured(theirs)
    pairs = [(measured(ours), measured(theirs)) for _ in range(runs)]
    ratio = statistics.median(a[0] / b[0] for a, b in pairs)
    seconds, memory = (tuple(statistics.median(pair[i][j] for pair in pairs) for i in (0, 1)) for j in (0, 1))
    print(f'{title}: {seconds[0]:.2f} s against {seconds[1]:.2f} s: {ratio:.3f} (wanted: at most {wanted}); '
          f'{memory[0]:.0f} MB against {memory[1]:.0f} MB', flush=True)


def starting() -> None:
    """What every run has to wait for, against what Python itself needs."""
    compare('--version, python3 -c pass', [*OURS[:-1], '--version'], [sys.executable, '-c', 'pass'], 20, 2.2)


def listing(vmlinux: str) -> None:
    """-L: all functions that take an sk_buff, and a layout."""
    for mode, what, wanted in (('btf', 'p *(struct sk_buff *)', 1), ('dwarf', 'p *(struct sk_buff *)', 10), ('btf', 'p *sk_buff*', 1),
                               ('dwarf', 'p *sk_buff*', 10), ('btf', 'struct task_struct', 1), ('dwarf', 'struct task_struct', 1)):
        runs = [measured([*OURS[:-1], '-v', vmlinux, '-m', mode, '-L', what]) for _ in range(3)]
        seconds, memory = (statistics.median(column) for column in zip(*runs))
        print(f"listing '{what}', {mode}: {seconds:.2f} s (wanted: at most {wanted}); {memory:.0f} MB", flush=True)


def hundred(vmlinux: str) -> Tuple[List[str], List[str]]:
    """A hundred lines on a hundred functions, the same for perf: an integer behind the first parameter."""
    module = surftrace.debug_info(surftrace.arguments().parse_args(['-S', '-v', vmlinux, '-m', 'btf']), True)
    ours, perfs = [], []
    for name in sorted(module.function_names(), key=hash_of):
        symbols = module.functions_named(name)
        function = module.function(name) if len(symbols) == 1 and name.isidentifier() else None
        first = function.parameters[0] if function and function.parameters else None
        type_ = surftrace.bare(first.type()) if first else None
        struct_ = surftrace.bare(type_.target()) if isinstance(type_, surftrace.Pointer) else None
        members = struct_.members() if isinstance(struct_, surftrace.Struct) and struct_.size else ()
        found = [m.name for m in members if m.name and m.width is None and isinstance(surftrace.bare(m.type()), surftrace.Int)]
        if first and found:
            ours.append(f'p {name} v=%0->{found[0]}')
            perfs.append(f'{name} v={first.name}->{found[0]}')
        if len(ours) == 100:
            break
    return ours, perfs


def hash_of(name: str) -> int:
    """The same order in every run, and none that means anything."""
    return sum(ord(c) * 131 ** i for i, c in enumerate(name)) % 1_000_003


def resolving(vmlinux: str) -> None:
    """-S against perf probe -D and gdb."""
    perf = ['perf', 'probe', '-k', vmlinux, '-D']
    one = [*perf, 'wake_up_new_task comm=p->comm:string users=p->mm->mm_users.counter']
    for title, line, theirs, wanted in (
            ('one line, DWARF, perf', LINE, one, 0.25),
            ('an inlined function, perf', 'p get_task_struct t->pid', [*perf, 'get_task_struct pid=t->pid'], 0.6),
            ('446 copies, perf for one plain line', 'p kfree_skb skb->len', one, 3),
            ('1,347 copies, perf for one plain line', 'p kmalloc size', one, 8),
            ('a line of a header, perf', 'p include/linux/skbuff.h:2440', [*perf, 'include/linux/skbuff.h:2440'], 1),
            ('a misspelt name, perf for one plain line', 'p do_filp_opn', one, 0.5)):
        compare(title, [*OURS, '-v', vmlinux, line], theirs, 3, wanted)
    gdb = ['gdb', '-nx', '-batch', '-ex', 'print &((struct task_struct *)0)->comm', '-ex',
           'print &((struct mm_struct *)0)->mm_users', vmlinux]
    compare('one line, DWARF, gdb', [*OURS, '-v', vmlinux, LINE], gdb, 1, 0.03)
    compare('one line, BTF, perf', [*OURS, '-m', 'btf', '-v', vmlinux, LINE], one, 5, 0.18)
    disassembly = ['gdb', '-nx', '-batch', '-ex', 'disassemble /s do_filp_open', vmlinux]
    compare('-F, gdb', [*OURS[:-1], '-F', 'do_filp_open', '-v', vmlinux], disassembly, 3, 0.3)
    ours, perfs = hundred(vmlinux)
    with tempfile.NamedTemporaryFile('w', suffix='.lines') as lines:
        lines.write('\n'.join(ours) + '\n')
        lines.flush()
        command = ['perf', 'probe', '-f', '-k', vmlinux]
        for line in perfs:
            command += ['-D', line]
        compare('a hundred lines, perf', [*OURS, '-v', vmlinux, '-f', lines.name], command, 1, 0.05)


HIT = '''#include <stdlib.h>
__attribute__((noinline)) void hit(char *comm, int users) { __asm__ volatile("" :: "r"(comm), "r"(users)); }
int main(int n, char **argv) { for (int i = 0; i < atoi(argv[1]); i++) hit("bash-worker", i & 7); }'''


def draining() -> None:
    """A full buffer read by cat, and decoded by us."""
    if os.geteuid() != 0:
        print('draining: needs root')
        return
    with tempfile.TemporaryDirectory() as folder, surftrace.tracefs_mounted(print) as tracefs:
        program = Path(folder, 'hit')
        program.with_suffix('.c').write_text(HIT)
        subprocess.run(['gcc', '-O1', '-no-pie', '-o', program, program.with_suffix('.c')], check=True)
        symbols = subprocess.run(['nm', program], capture_output=True, text=True, check=True).stdout
        offset = int(re.search(r'^(\w+) T hit$', symbols, re.M)[1], 16) - 0x400000       # type: ignore[index]
        instance = surftrace.claim(tracefs, lambda text: None)
        group, place = instance.group, instance.path
        good = f'\\{0xffff888000001000}:x64'
        write = surftrace.Write
        steps = [surftrace.Step(write(f'{place}/buffer_size_kb', '40000'), None),
                 surftrace.Step(write(f'{place}/options/irq-info', '0'), None),
                 surftrace.Step(write('uprobe_events', f'p:{group}/f0 {program}:{offset:#x} comm=+0(%di):string '
                                      f'users=%si:s32 ptr1={good} ptr2={good}'), write('uprobe_events', f'-:{group}/f0')),
                 surftrace.Step(write(f'{place}/events/{group}/f0/enable', '1'), write(f'{place}/events/{group}/f0/enable', '0'))]
        probes = [surftrace.parse_probe(LINE)]
        options = surftrace.arguments().parse_args(['-S', LINE])
        events = surftrace.make_events(probes, surftrace.Machine(surftrace.debug_info(options), str))
        counted = surftrace.make_events([surftrace.parse_probe(f'{LINE} h:comm users')],
                                        surftrace.Machine(surftrace.debug_info(options), str))
        ways = {'shown': functools.partial(by_us, events, surftrace.Text, instance),
                'shown raw': functools.partial(by_us, events, lambda events: surftrace.Raw(), instance),
                'counted': functools.partial(by_us, counted, surftrace.Text, instance), 'cat': functools.partial(by_cat, instance)}

        def refused(step: surftrace.Step, error: surftrace.TracefsError) -> None:
            raise error
        with surftrace.session(tracefs, instance, steps, lambda text: None, refused, lambda: False, lambda _: None, {}):
            hit = ['taskset', '-c', '0', str(program), str(EVENTS)]
            runs = [{way: drained(tracefs, hit, reader) for way, reader in ways.items()} for _ in range(5)]
    for way in list(ways)[:-1]:
        ratio = statistics.median(run['cat'] / run[way] for run in runs)
        ours, cats = (statistics.median(run[each] for run in runs) for each in (way, 'cat'))
        print(f'{EVENTS} events, {way}: {EVENTS / ours:.0f}/s against {EVENTS / cats:.0f}/s by cat: {ratio:.2f} (wanted: at least 0.99)')


def drained(tracefs: surftrace.Tracefs, hit: Sequence[str], reader: Callable[[surftrace.Tracefs], None]) -> float:
    """Seconds in which a full buffer is read to its end."""
    subprocess.run(hit, check=True)
    start = time.perf_counter()
    reader(tracefs)
    return time.perf_counter() - start


def by_cat(instance: surftrace.Instance, tracefs: surftrace.Tracefs) -> None:
    subprocess.run(['cat'], stdin=instance.trace_pipe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)    # till EAGAIN
    assert 'entries: 0\n' in tracefs.read(f'{instance.path}/per_cpu/cpu0/stats')


def by_us(events: Sequence[surftrace.Event], view: Callable[[Sequence[surftrace.Event]], surftrace.Raw],
          instance: surftrace.Instance, tracefs: surftrace.Tracefs) -> None:
    decoder = surftrace.Decoder(events, stacks=False, view=view(events))
    stream = surftrace.Stream(tracefs, decoder, output=os.open(os.devnull, os.O_WRONLY))
    stream.reader.read(instance.trace_pipe)
    stream.read_to_the_end()
    stream.close()
    assert decoder.counts['f0'] == EVENTS, decoder.counts


OPEN = '''#include <fcntl.h>
#include <stdlib.h>
int main(int n, char **argv) { for (int i = atoi(argv[1]); i; i--) openat(i % 7, "/nonexistent", 0); }'''
OPENS = 10_000


def counting() -> None:
    """What a call costs that is counted, or shown, in a guest with kprobes whose clock counts instructions: what else this
    machine does is not in it."""
    machine.QEMU['amd64'] += ('-icount', 'shift=1,sleep=off')
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, 'opens')
        program.with_suffix('.c').write_text(OPEN)
        subprocess.run(['gcc', '-O1', '-static', '-o', program, program.with_suffix('.c')], check=True)
        print(machine.run('6.1-amd64', f"python3 tests/bench.py in-guest '{program}'", timeout=900).output, end='')


def in_guest(program: str) -> None:
    """Each way of tracing in turn: processor time of the calls, beyond what they take alone, and that of a tracer which reads
    of each, beyond what it takes without one (bpftrace compiles, which is never the same). What counts has to have all calls."""
    ours, line = [sys.executable, 'surftrace.py', '-b', '20000'], 'p do_sys_openat2 dfd'
    ways = {'nobody': ['sleep', '1000'], 'shown': [*ours, line], 'counted in user space': [*ours, '-n', '1000000000', f'{line} h:dfd'],
            'counted by the kernel': [*ours, f'{line} h:dfd'], 'timed by the kernel': [*ours, 'r do_sys_openat2 h:log2($dur)']}
    if shutil.which('bpftrace'):
        ways['counted by bpftrace'] = ['bpftrace', '-e', 'kprobe:do_sys_openat2 { @[arg0] = count(); }']
        ways['timed by bpftrace'] = ['bpftrace', '-e', 'kprobe:do_sys_openat2 { @start[tid] = nsecs; } kretprobe:do_sys_openat2 '
                                     '/@start[tid]/ { @ = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]); }']
    else:
        print('counting: no bpftrace here (apt-get install bpftrace)')
    costs: dict[str, float] = {}
    for way, command in ways.items():
        reads = way in ('shown', 'counted in user space')
        (few, _), (many, out) = (traced_opens(command, program, count) for count in (0, OPENS))
        costs[way] = sum(many[:1 + reads]) / OPENS - sum(few[:1 + reads]) / OPENS - costs.get('nobody', 0)
        known = sum(map(int, re.findall(r'^ *(?:@\[-?\d+\]:|\[\S+(?: \S+)?[])]|[\d-]+) +(\d+)(?: \||$)', out, re.M)))
        assert known >= OPENS or way in ('nobody', 'shown'), (way, known, out)
        ratio = f': {costs[way] / costs["shown"]:.3f} of one that is shown' if len(costs) > 2 else ''
        print(f'a call, {way}{ratio}: {1e6 * costs[way]:.1f} us of 2 ns an instruction', flush=True)
    _, out = traced_opens([*ours, f'{line} h:dfd f:comm==opens'], program, 1_000_000)
    print('a million calls, counted by the kernel:', out.splitlines()[-1].rpartition('surftrace: ')[2])


def traced_opens(command: Sequence[str], program: str, count: int) -> Tuple[List[float], str]:
    """(seconds of processor time of so many calls and of the tracer, what the tracer prints)"""
    with tempfile.TemporaryFile('w+') as out:
        tracer = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        while command[0] != 'sleep' and not re.search('tracing|Attaching', os.pread(out.fileno(), 10000, 0).decode()):
            assert tracer.poll() is None, os.pread(out.fileno(), 10000, 0).decode()
            time.sleep(0.1)
        time.sleep(2)
        calls = subprocess.Popen([program, str(count)])
        spent = [os.wait4(calls.pid, 0)[2]]
        tracer.send_signal(signal.SIGINT)
        spent.append(os.wait4(tracer.pid, 0)[2])
        out.seek(0)
        return [usage.ru_utime + usage.ru_stime for usage in spent], out.read()


if __name__ == '__main__':
    if sys.argv[1:2] in (['counting'], ['in-guest']):
        sys.exit(counting() if sys.argv[1] == 'counting' else in_guest(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    image = sys.argv[1] if len(sys.argv) > 1 else str(kernels.kernel('6.1-amd64') / 'vmlinux')
    starting()
    listing(image)
    resolving(image)
    draining()
    counting()
