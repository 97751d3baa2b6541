"""What a new user types, and what is said instead: where it takes more than the line itself to tell."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import events_of, machine_of, types_of

import surftrace
from surftrace import InputError

SOURCE = '''
struct task { int pid; char comm[16]; struct task *parent; }; struct taskbar { int x; };
int __x64_sys_openat(struct task *t) { return t->pid; }
int __ia32_sys_openat(struct task *t) { return t->pid + 1; }
int work(struct task *t, struct taskbar *bar) { return t->pid + bar->x; }
int main(void) { return 0; }
'''
EVENTS = {'available_events': 'sched:sched_switch\nsched:sched_wakeup\nirq:timer\nother:timer\n'}
LATER = 'int later_work(int x) { return x; } int later_end(int x) { return x + 1; }'


@pytest.fixture(scope='module')
def machine(compile_c: Callable[..., Path]) -> surftrace.Machine:
    """A kernel with a few events; one module, `later`, is installed and not loaded."""
    kernel = types_of(compile_c(SOURCE, '-g', '-O1'))
    waiting = surftrace.Executable(str(compile_c(LATER, '-c', '-O1', '-g')))

    def module(name: str) -> surftrace.Module:
        known = {'later': waiting}.get(name)
        return surftrace.Module(kernel.arch, kernel.symbols, [], known, loaded=False)
    program = surftrace.machine_for(surftrace.arguments().parse_args(['-S', '-v', '/']), kernel, True).program
    return machine_of(kernel.with_modules(module), read=lambda name: EVENTS.get(name, ''), program=program)


@pytest.mark.parametrize(('marked', 'message'), [
    ('p work ((^struct tsak *)%0)->pid', "no type 'struct tsak' in the debug information; did you mean 'task'?"),
    ('p work ((^task *)%0)->pid', "no type 'task' in the debug information; did you mean 'struct task'?"),
    ('p work ((^enum task *)%0)->pid', "did you mean 'struct task'?"),
    ('e ^sched_switch', "SYSTEM/EVENT, as in e sched/sched_switch; did you mean 'sched/sched_switch'?"),
    ('e ^sched_swich', "did you mean 'sched/sched_switch'"), ('e ^timer', "did you mean 'irq/timer' or 'other/timer'?"),
    ('e ^sched_*', "did you mean 'sched/sched_switch' or 'sched/sched_wakeup'?"),
    ('p ^sys_openat', "did you mean '__x64_sys_openat', or the event 'syscalls/sys_enter_openat'?"),
    ('p ^openat', "'__x64_sys_openat', or"), ('p ^SyS_openat', "'__x64_sys_openat', or"), ('r ^__se_sys_openat', "'__x64_sys_openat', or"),
    ('p ^libc:malloc', "'libc' is no module here but /"), ('r ^libc:malloc', 'P libc:malloc'),
    ('p ^later_work', 'it is in a module that is not loaded: later:later_work'), ('p ^later_on', "no function 'later_on'"),
    *[(f'p work t->pid:^{word}', 'X(x) hexadecimal') for word in ('d', 'u', 'x', 'hex')],
    ('^f work t', "did you mean 'p work'?"), ('^f:mine work t', "did you mean 'p:mine work'?"), ('^fprobe:work', "'p work'?"),
    # the words of bpftrace, bcc and perf probe
    ('^kprobe:work', "did you mean 'p work'?"), ('^kretprobe:work { print }', "did you mean 'r work'?"), ('^kprobe work', "'p work'?"),
    ('^tracepoint:sched:sched_switch', "did you mean 'e sched:sched_switch'?"), ('^uprobe:/bin/bash:readline', "'P /bin/bash:readline'?"),
    ('^usdt:./x:a:b', "'u ./x:a:b'?"), ('^work t', "did you mean 'p work'?"), ('^comm=%0->comm', 'quotes round the whole line'),
    ('^@x->y', 'quotes round'), ('^"p work"', 'a line begins with the kind'), ('^kprobe', "did you mean 'p ...'?"),
    ('p:^:work', "behind a blank its place; did you mean 'p work'?"), ('t:^sched:sched_switch', "did you mean 'e sched:sched_switch'?"),
    ('r:^bash:readline "%s"', "did you mean 'R bash:readline'?"), ('u:^pthread:start', "did you mean 'u pthread:start'?"),
    ('p ^work%return', "did you mean 'r work'?"), ('p ^mine=work', "did you mean 'p:mine work'?"), ('p ^./x:y', 'is for P'),
    ('e ^sched', "all of that system's are e sched/*"),
    ('p work ^comm', "no parameter 'comm'; did you mean 't->comm'?"), ('p work ^pid', "'t->pid'?"), ('p work ^x', "'bar->x'?"),
    ('p work ^tid', 'in front of each line'), ('r work ^retval', 'here that is $retval'), ('r work ^$ret', 'here that is $retval'),
    ('p work ^arg1', '%0, %1, ...'), ('p work ^args->t', '* for every parameter'), ('p work ^$arg*', '* for every parameter'),
    ('p work ^str(t)', 'here that is x:string'), ('p work h:^hist(t)', 'here that is h:log2(x)'), ('p work ^kstack', 'here that is +stack'),
    ('p work ^nothing', 'its parameters are t, bar (a global is @nothing)'), ('p work ^nothing(t)', 'this_cpu_read(x) are'),
    ('p work t->comm:^strng', "unknown type 'strng'; did you mean 'string'"), ('p work t->pid:^xyz', "unknown type 'xyz'; the kernel's are"),
])
def test_what_could_be_meant_is_said(marked: str, message: str, machine: surftrace.Machine):
    with pytest.raises(InputError) as caught:
        events_of(machine, marked.replace('^', ''))
    assert message in caught.value.message and caught.value.at[0] == marked.index('^')


def test_a_module_that_is_waited_for_may_have_a_programs_name(machine: surftrace.Machine):
    assert events_of(machine, 'p libc:no_function_of_that')[0].lines() == ['p:f0 libc:no_function_of_that']


@pytest.mark.parametrize(('what', 'message'), [
    ('sched_switch', "-L 'e sched/sched_switch'"), ('work', "-L 'p work'"), ('libc', "-L 'P libc:*'"), ('struct tsak', "did you mean 'task'")])
def test_a_listing_without_its_kind(what: str, message: str, machine: surftrace.Machine):
    with pytest.raises(InputError) as caught:
        surftrace.listing(what, machine)
    assert message in caught.value.message
