"""Counting and pairs on this machine's own kernel: what a program does is known, and the tables and times have to say it."""
from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from live import COMMAND, PATIENCE, Running, surftrace
from programs import Compile

from surftrace import TRACE_OPTIONS

pytestmark = pytest.mark.live

PROGRAM = r'''
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
struct in { int n; };
struct o { int id; struct in *in; const char *name; };
__attribute__((noinline)) long handle(struct o *o, long size) { __asm__ volatile("" :: "r"(o) : "memory"); o->id += 1000; return size; }
__attribute__((noinline)) int other(int n) { __asm__ volatile("" ::: "memory"); return n; }
__attribute__((noinline)) int rec(int n) { usleep(2000); int v = n ? rec(n - 1) : 0; __asm__ volatile("" ::: "memory"); return v + n; }
__attribute__((noinline)) int slow(int ms) { usleep(1000 * ms); return ms; }
static void *many(void *p) { for (int i = 0; i < 20; i++) rec(1); return p; }
int main(int argc, char **argv)
{
    struct in in = {7};
    int count = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(argv[1], "handle"))
        for (int i = 0; i < count; i++) {
            struct o o = {i % 5 - 2, i % 3 ? &in : 0, i % 4 ? "abc" : "x"};
            handle(&o, i);
            other(i % 2);
        }
    if (!strcmp(argv[1], "rec"))
        for (int i = 0; i < count; i++)
            rec(2);
    if (!strcmp(argv[1], "slow"))
        for (int i = 0; i < count; i++)
            slow(i % 2 ? 20 : 1);
    if (!strcmp(argv[1], "threads")) {
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) pthread_create(threads + i, 0, many, 0);
        for (int i = 0; i < 8; i++) pthread_join(threads[i], 0);
    }
    if (argc > 3) {             // a stack is told by what the process has mapped
        puts("done");
        fclose(stdout);
        getchar();
    }
}'''


@pytest.fixture(scope='module')
def program(compile_c: Compile) -> Path:
    return compile_c(PROGRAM, '-g', '-O1', '-pthread', '-fno-omit-frame-pointer')


def ran(program: Path, *arguments: object) -> None:
    subprocess.run([str(word) for word in (program, *arguments)], check=True, timeout=PATIENCE)


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of each row of all tables."""
    return [re.split(r' {2,}', line.split(' |')[0].strip()) for line in lines if ' |' in line]


def traced(lines: list[str], program: Path, *arguments: object, options: tuple[str, ...] = ()) -> tuple[list[str], str]:
    """What is printed on both outputs while the program runs."""
    run = Running('-q', *options, *lines)
    ran(program, *arguments)
    out = run.end()
    assert run.process.returncode == 0, run.err
    return out, ''.join(run.err)


def test_a_table_says_what_the_program_did(program):
    out, err = traced([f'P {program}:handle h:o->id o->in->n sum(size)'], program, 'handle', 1000)
    expected = Counter()
    sums = Counter()
    for i in range(1000):
        key = str(i % 5 - 2), '7' if i % 3 else '(null)'
        expected[key] += 1
        sums[key] += i
    assert {(row[0], row[1]): (int(row[2]), int(row[3])) for row in rows(out)} == {key: (expected[key], sums[key]) for key in expected}
    assert out[-1] == '1000 calls' and 'f0 1000 events, none lost' in err


def test_several_functions_and_lines_are_one_table(program):
    out, _ = traced([f'P {program}:handle h:', f'P {program}:other h:'], program, 'handle', 30)
    assert rows(out) == [['handle', '30'], ['other', '30']] and out[-1] == '60 calls'


def test_what_is_filtered_is_not_counted(program):
    out, _ = traced([f'P {program}:handle h:o->name step(size,100) f:name==x&&size<250'], program, 'handle', 400)
    assert rows(out) == [['"x"', '0-99', '25'], ['"x"', '100-199', '25'], ['"x"', '200-299', '13']]


def test_options_that_somebody_has_set_for_the_whole_machine_change_nothing(program, tracefs):
    files = [path for name in (*TRACE_OPTIONS, 'latency-format') if (path := tracefs / 'options' / name).exists()]
    before = {path: path.read_text().strip() for path in files}
    assert len(files) > 5
    try:
        for path in files:
            path.write_text('0' if TRACE_OPTIONS.get(path.name) == '1' else '1')
        out, err = traced([f'P {program}:handle id=o->id name=o->name', f'P {program}:other h:n=%0:s32'], program, 'handle', 4)
    finally:
        for path, value in before.items():
            path.write_text(value)
    shown = [match[1] for match in map(re.compile(r'.*: f0: \(0x[0-9a-f]+\) (.*)').fullmatch, out) if match]
    assert shown == ['id=-2 name="x"', 'id=-1 name="abc"', 'id=0 name="abc"', 'id=1 name="abc"'], out
    assert rows(out) == [['0', '2'], ['1', '2']] and 'none lost' in err and not [line for line in out if ' =>' in line]


def test_many_events_are_exact(program):
    out, err = traced([f'P {program}:handle h:o->id'], program, 'handle', 100000, options=('-b', '65536'))
    lost = re.search(r'(\d+) lost', err)
    assert sum(int(row[1]) for row in rows(out)) + int(lost[1] if lost else 0) == 100000
    assert not lost or out[-1].startswith('at least: ')


def test_what_is_lost_makes_a_table_a_lower_bound(program):
    run = Running('-q', '-b', '4', f'P {program}:handle h:o->id')
    run.process.send_signal(signal.SIGSTOP)                 # the reader goes on until the pipe is full
    ran(program, 'handle', 100000)
    run.process.send_signal(signal.SIGCONT)
    out = run.end()
    lost = re.search(r'(\d+) lost', ''.join(run.err))
    assert lost and out[-1].startswith('at least: ') and lost[1] in out[-1]
    assert sum(int(row[1]) for row in rows(out)) + int(lost[1]) == 100000


def test_only_the_largest_rows(program):
    out, _ = traced([f'P {program}:handle h:o->name'], program, 'handle', 100, options=('--top', '1'))
    assert rows(out) == [['"abc"', '75']] and out[-1] == '100 calls, 25 of them in 1 more rows'


def test_a_table_each_second(program):
    run = Running('-q', '-i', '0.3', f'P {program}:handle h:')
    ran(program, 'handle', 10)
    run.shows(' calls', 2)
    ran(program, 'handle', 20)
    run.shows(' calls', 4)
    out = run.end()
    counts = [int(match[1]) for match in (re.match(r'handle: (\d+) calls', line) for line in out) if match]
    assert len(counts) > 4 and sum(counts) == 30, counts     # of what came since the last one
    assert len([line for line in out if re.fullmatch(r'\d\d:\d\d:\d\d', line)]) == len(counts) - 1


def test_quit_shows_the_tables_in_between(program):
    run = Running('-q', f'P {program}:handle h:', f'P:read {program}:other')
    ran(program, 'handle', 10)
    run.shows(': read: ', 10)
    run.process.send_signal(signal.SIGQUIT)
    run.shows(' calls')
    ran(program, 'handle', 5)
    out = run.end()
    assert [line for line in out if 'calls' in line] == ['handle: 10 calls', 'handle: 15 calls']


def test_on_a_terminal_a_table_takes_the_place_of_the_last_one(program):
    leader, terminal = pty.openpty()
    process = subprocess.Popen([*COMMAND, '-q', '-i', '0.3', f'P {program}:handle h:'], stdin=subprocess.DEVNULL,
                               stdout=terminal, stderr=subprocess.DEVNULL)
    os.close(terminal)
    text = b''
    while text.count(b'\x1b[H\x1b[2J') < 2:
        text += os.read(leader, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    os.close(leader)
    assert text.startswith(b'\x1b[H\x1b[2J') and b'handle: 0 calls' in text


def test_calls_by_who_called(program):
    run = Running('-q', f'P {program}:other h:stack')
    with subprocess.Popen([program, 'handle', '10', 'stay'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b'done\n'
        out = run.end()
        process.communicate()
    assert rows(out)[0] == ['10'] and any('other+0x0' in line for line in out)


def test_p_counts_that_process_only(program, tmp_path):
    sleeper = subprocess.Popen(['sleep', '60'])
    try:
        run = Running('-q', '-p', str(sleeper.pid), f'P {program}:handle h:')
        ran(program, 'handle', 10)
        assert run.end()[-1] == 'handle: 0 calls'
    finally:
        sleeper.kill()
        sleeper.wait()


# ---- pairs


def test_a_return_shows_what_the_entry_had(program):
    """The function changes o->id before it returns."""
    out, err = traced([f'R {program}:handle id=o->id size n=o->in->n name=o->name $retval'], program, 'handle', 6)
    assert [line.split(') ', 1)[1] for line in out] == [
        f'id={i % 5 - 2} size={i} n={7 if i % 3 else "(null)"} name="{"abc" if i % 4 else "x"}" retval={i}' for i in range(6)]
    assert 'f0 6 events, none lost' in err


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r'([\d.]+)(us|ms|s)', text).groups()
    return float(number) * {'us': 1e-6, 'ms': 1e-3, 's': 1}[unit]


def test_recursion_and_threads(program):
    """Each level sleeps 2 ms: what holds others is longer than they are."""
    out, err = traced([f'R {program}:rec n $retval $dur'], program, 'rec', 20)
    calls = [re.search(r'n=(\d) retval=(\d) dur=(\S+)', line).groups() for line in out]
    assert [n for n, _, _ in calls] == ['0', '1', '2'] * 20
    for (_, _, first), (_, _, second), (_, _, third) in zip(calls[::3], calls[1::3], calls[2::3]):
        assert 0.002 <= seconds(first) and seconds(first) + 0.002 <= seconds(second) and seconds(second) + 0.002 <= seconds(third)
    out, err = traced([f'R {program}:rec n $dur'], program, 'threads')
    assert len(out) == 8 * 20 * 2 and 'entry was not seen' not in err
    for line in out:
        n, dur = re.search(r'n=(\d) dur=(\S+)', line).groups()
        assert seconds(dur) >= 0.002 * (int(n) + 1)


def test_only_the_slow_ones(program):
    out, _ = traced([f'R {program}:slow ms $dur f:dur>19ms'], program, 'slow', 10)
    calls = [re.search(r'ms=(\d+) dur=(\S+)', line).groups() for line in out]
    assert [ms for ms, _ in calls].count('20') == 5 and all(seconds(dur) > 0.019 for _, dur in calls)


def test_times_in_a_table(program):
    out, _ = traced([f'R {program}:slow h:ms log2($dur)'], program, 'slow', 10)
    assert sum(int(row[2]) for row in rows(out)) == 10
    assert all(int(row[1].split('-')[0]) >= 16385 for row in rows(out) if row[0] == '20')


def test_lines_that_were_shown_do_the_same(program, tmp_path):
    line = f'R {program}:handle id=o->id name=o->name $retval $dur f:id<0&&name==abc'
    shown = subprocess.run([*COMMAND, '-S', line], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(shown) == 2
    outs = [traced(lines, program, 'handle', 12)[0] for lines in ([line], shown)]
    assert [[re.search(r'\) (id=.*) dur=', text)[1] for text in out] for out in outs] == [
        [f'id={i % 5 - 2} name="abc" retval={i}' for i in range(12) if i % 5 < 2 and i % 4]] * 2


def test_a_call_that_began_before_is_not_timed(program):
    process = subprocess.Popen([program, 'slow', '400'])
    try:
        time.sleep(0.5)
        out, err = traced([f'R {program}:slow ms $dur'], program, 'slow', 2)
        assert all(re.search(r'ms=(1|20) dur=', line) for line in out)
        for line in out:
            ms, dur = re.search(r'ms=(\d+) dur=(\S+)', line).groups()
            assert int(ms) / 1000 <= seconds(dur)
    finally:
        process.kill()
        process.wait()


def test_the_time_since_another_line(program):
    """Of handle() to the next other(), by the thread; of two calls of slow(), 20 ms apart at least."""
    out, err = traced([f'P:h {program}:handle o->id', f'P:o {program}:other $dur(h) n'], program, 'handle', 6)
    assert [re.sub(r'^.*: (h|o): .*\) (dur=\S+ )?', r'\1 ', line) for line in out] == [
        text for i in range(6) for text in (f'h id={i % 5 - 2}', f'o n={i % 2}')]
    assert 'h 6, o 6 events, none lost' in err
    out, err = traced([f'P:s {program}:slow ms $dur(s) f:dur>19ms'], program, 'slow', 7)
    assert ['ms=1 ' in line for line in out].count(True) == 3      # and others only where they had to wait
    assert all(seconds(re.search(r'dur=(\S+)', line)[1]) > 0.019 for line in out), out
    out, err = traced([f'P:s {program}:slow', f'P:e {program}:slow ms h:ms log2($dur(s,cpu))'], 'taskset', '-c',
                      min(os.sched_getaffinity(0)), program, 'slow', 4)
    assert sum(int(row[-1]) for row in rows(out)) == 4 and 'e 4 events' in err


FORKS = """
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noipa, noinline)) int f(int n) { int child = fork(); wait(0); return child ? n : 100 + n; }
int main(void) { return f(7) > 100; }
"""
DEEP = """
__attribute__((noipa, noinline)) int f(int n) { int r = n ? f(n - 1) : 0; __asm__ volatile("" : "+r"(r)); return r + 1; }
int main(void) { return f(69) - 70; }
"""


@pytest.mark.parametrize(('source', 'calls', 'lacks'), [
    (FORKS, 1, '1 of 2 returns of g are not shown: their entry was not seen'),      # the child returns from what it has not called
    (DEEP, 64, '6 returns are not shown: of calls nested more than 64 deep the kernel sees none')])
def test_a_table_says_which_returns_it_lacks(source: str, calls: int, lacks: str, compile_c: Compile, tracefs: Path) -> None:
    program = compile_c(source, '-g', '-O1')
    run = surftrace(f'R:g {program}:f h:sum(n)', '--', str(program))
    assert f'surftrace: {lacks}' in run.stderr
    assert re.fullmatch(rf'g: {calls} calls, sum\(n\) \d+\nat least: {lacks}\n', run.stdout)
