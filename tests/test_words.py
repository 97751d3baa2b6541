"""What newer kernels have: raw tracepoints, the running task, per-cpu variables; and how it is known which has what."""
from __future__ import annotations

from pathlib import Path

import btf_writer as w
import pytest
from helpers import events_of, machine_of, outcome, types_of, vmlinux

import surftrace

# struct task { u64 state; int pid; struct task *parent; char comm[16]; }, a tracepoint of eight arguments and one with a float's
# worth of struct by value, per-cpu variables and a plain one
TYPES = [
    (w.INT, 'int', 4, 1 << 24 | 32), (w.INT, 'u64', 8, 64), (w.INT, 'char', 1, 1 << 24 | 8), (w.ARRAY, '', 0, 3, 1, 16),
    (w.STRUCT, 'task_struct', 40, 'state', 2, 0, 'pid', 1, 64, 'parent', 6, 128, 'comm', 4, 192), (w.PTR, '', 5), (w.PTR, '', 0),
    (w.PROTO, '', 0, '__data', 7, 'preempt', 3, 'prev', 6, 'next', 6), (w.FUNC, '__probestub_sched_switch', 8),
    (w.PROTO, '', 0, '__data', 7, *(word for i in range(8) for word in (f'n{i}', 2))), (w.FUNC, '__probestub_sched_many', 10),
    (w.STRUCT, 'pair', 16, 'a', 2, 0, 'b', 2, 64), (w.PROTO, '', 0, '__data', 7, 'pair', 12, 'after', 2), (w.FUNC, '__probestub_pairs', 13),
    (w.STRUCT, 'rq', 16, 'nr_running', 1, 0, 'curr', 6, 64), (w.VAR, 'runqueues', 15, 1), (w.VAR, 'current_task', 6, 1),
    (w.VAR, 'jiffies', 2, 1), (w.DATASEC, '.data..percpu', 32, 16, 0, 16, 17, 16, 8),
    (w.PTR, '', 15), (w.STRUCT, 'cache', 16, 'name', 2, 0, 'slab', 20, 64), (w.PTR, '', 21), (w.PROTO, '', 0, 'c', 22, 't', 6),
    (w.FUNC, 'work', 23), (w.STRUCT, 'trace_event_raw_sched_switch', 12, 'ent', 2, 0, 'prev_pid', 1, 64)]
README = {  # the lines of a tracefs that tell them apart
    '6.1': '\tkernel return probes support: $retval, $comm\n',
    '6.12': '\t           t[:[<group>/][<event>]] <tracepoint> [<args>]\n\t kernel return probes support: $retval, $arg<N>, $comm\n',
    '7': ('\t           t[:[<group>/][<event>]] <tracepoint> [<args>]\n\t           $stack<index>, $stack, $retval, $comm, $arg<N>, $current\n'
          '\t           this_cpu_read(<fetcharg>), this_cpu_ptr(<fetcharg>)\n\t kernel return probes support: $retval, $arg<N>, $comm\n')}


@pytest.fixture(scope='module')
def info(tmp_path_factory: pytest.TempPathFactory) -> surftrace.Module:
    path = tmp_path_factory.mktemp('words') / 'vmlinux.btf'
    path.write_bytes(w.btf(*TYPES))
    return types_of(path)


def lines(info: surftrace.Module, text: str, kernel: str = '7') -> list[str]:
    machine = machine_of(info, read=lambda path: README[kernel] if path == 'README' else '')
    return [line for event in events_of(machine, text) for line in event.lines()]


@pytest.mark.parametrize('arch', ['aarch64', 'riscv64'])
def test_the_arguments_of_a_tracepoint_that_are_on_the_stack(arch: str, tmp_path: Path) -> None:
    """$argN of those is 0 on some architectures (a 7.3 of arm64 was asked)."""
    machine, path = surftrace.arch_named(arch), tmp_path / 'vmlinux.btf'
    path.write_bytes(w.btf(*TYPES))
    assert lines(types_of(path, arch=machine), 't sched_many n4 n6 n7') == ['t:f0 sched_many n4=$arg5:u64 n6=$arg7:u64 n7=+0($stack):u64']
    unknown = surftrace.resolver_in(surftrace.Target(surftrace.Module(machine, None, [])), 't')
    fields = [unknown.field(arg) for arg in surftrace.parse_probe('t x %6 $arg7 %7 $arg8').args]
    assert [field.fetches[0].text() for field in fields] == ['$arg7:x64', '$arg7:x64', '+0($stack):x64', '+0($stack):x64']


@pytest.mark.parametrize(('line', 'wanted'), [
    # arguments by name and number, at any depth; the kernel does not count the probe's own in front of them
    ('t:sw sched_switch prev->pid next->parent->comm preempt', 't:sw sched_switch pid=+8($arg2):s32 comm=+24(+16($arg3)):string '
     'preempt=$arg1:s8 #! comm:cut(16)'),
    ('t sched_switch %1->pid %2', 't:f0 sched_switch pid=+8($arg2):s32 next=$arg3:x64'),
    ('t sched_switch $arg2->pid +8($arg3):u32 $comm f:pid>1', 't:f0 sched_switch pid=+8($arg2):s32 mem=+8($arg3):u32 comm=$comm #! f:pid>1'),
    ('t sched_switch h:comm prev->pid', 't:f0 sched_switch comm=$comm pid=+8($arg2):s32 #! h:comm pid'),
    ('t sched_many n0 n4 n5 n7', 't:f0 sched_many n0=$arg1:u64 n4=$arg5:u64 n5=+8($stack):u64 n7=+24($stack):u64'),
    ('t pairs after', 't:f0 pairs after=$arg3:u64'),
    ('t pairs pair.b', '!ftrace reads arguments of a tracepoint that are in one register each'),
    ('t sched_*', 't:f0_sched_many sched_many\nt:f0_sched_switch sched_switch'),
    ('t sched_* next->pid', 't:f0_sched_switch sched_switch pid=+8($arg3):s32'),
    # what it has not
    ('t sched_swich', "!no raw tracepoint 'sched_swich'; did you mean 'sched_switch'?"),
    ('t sched/sched_switch', '!a raw tracepoint is a name alone'),
    ('t sched_switch+4', '!a raw tracepoint is a name alone'),
    ('t sched_switch %4', '!sched_switch has 3 parameters, %0 to %2'),
    ('t sched_switch prv->pid', "!sched_switch has no parameter 'prv'; did you mean 'prev'?"),
    ('t sched_switch %di', '!a raw tracepoint has no registers'),
    ('t sched_switch $retval', '!$retval is there when a function returns'),
    ('t sched_switch $stack2', 't:f0 sched_switch stack2=$stack2:x64'),
    ('t sched_many $arg5 $arg6', '!$arg6 counts registers, and this argument is not in the one it means; write %5'),
    ('t sched_many *', 't:f0 sched_many n0=$arg1:u64 n1=$arg2:u64 n2=$arg3:u64 n3=$arg4:u64 n4=$arg5:u64 n5=+8($stack):u64 n6=+16($stack):u64 '
     'n7=+24($stack):u64'),
    ('t sched_switch $dur', '!$dur is the time a call takes'),
    ('t5 sched_switch', '!only r takes a number'),
    # the running task
    ('p work $current->pid $current->parent->comm', 'p:f0 work pid=+8($current):s32 comm=+24(+16($current)):string #! comm:cut(16)'),
    ('r work $current->pid $retval:u64', '!work returns nothing'),
    ('r work $current', 'r:f0 work current=$current:x64'),
    ('t sched_switch $current->pid', 't:f0 sched_switch pid=+8($current):s32'),
    ('e sched/sched_switch $current', '!an event probe has no $current'),
    # per-cpu variables, as in C and as the kernel has them
    ('p work this_cpu_read(runqueues.nr_running)', 'p:f0 work nr_running=+0(this_cpu_ptr(@runqueues)):s32'),
    ('p work this_cpu_ptr(&runqueues)->curr->pid', 'p:f0 work pid=+8(+8(this_cpu_ptr(@runqueues))):s32'),
    ('p work this_cpu_read(@current_task)->pid', 'p:f0 work pid=+8(+0(this_cpu_ptr(@current_task))):s32'),
    ('p work x=+8(this_cpu_ptr(@runqueues)):u16', 'p:f0 work x=+8(this_cpu_ptr(@runqueues)):u16'),
    ('p work x=+8(+8(this_cpu_ptr(@runqueues+8))):s32', 'p:f0 work x=+8(+16(this_cpu_ptr(@runqueues))):s32'),
    ('p work this_cpu_ptr(&runqueues)', 'p:f0 work runqueues=this_cpu_ptr(@runqueues):x64'),
    ('p work this_cpu_ptr(c->slab)->nr_running', 'p:f0 work nr_running=+0(this_cpu_ptr(+8(%di))):s32'),
    ('p work this_cpu_read(c->slab->curr)->pid', 'p:f0 work pid=+8(+8(this_cpu_ptr(+8(%di)))):s32'),
    ('p work x=this_cpu_read(+8(%di)):u32', 'p:f0 work x=+0(this_cpu_ptr(+8(%di))):u32'),
    ('p work x=this_cpu_read(%di):u32', 'p:f0 work x=+0(this_cpu_ptr(%di)):u32'),
    ('p work @runqueues.nr_running', "!'runqueues' is a per-cpu variable, each processor has its own: this_cpu_read(runqueues) is"),
    ('p work (&runqueues)->nr_running', "!'runqueues' is a per-cpu variable"),
    ('p work current_task->pid', "!'current_task' is a per-cpu variable"),
    ('p work this_cpu_read(current_task->pid)', "!'current_task' is a per-cpu variable"),
    ('p work x=+8(@current_task):u64', "!'current_task' is a per-cpu variable"),
    ('p work &runqueues', '!ftrace reads what is at a symbol'),
    ('p work this_cpu_read(jiffies)', '!this is no per-cpu variable'),
    ('p work this_cpu_ptr(@jiffies)', '!this is no per-cpu variable'),
    ('p work this_cpu_ptr(user(c)->slab)->nr_running', '!this is no per-cpu variable'),
    ('p work this_cpu_ptr(user(c->slab))->curr', '!this is no per-cpu variable'),
    ('e sched/sched_switch this_cpu_read(@runqueues.nr_running)', '!per-cpu variables are for probes in the kernel'),
    ('p work per_cpu(runqueues)', "!'per_cpu' is no function surftrace knows")])
def test_a_word_becomes_the_kernels(line: str, wanted: str, info: surftrace.Module) -> None:
    if wanted[0] != '!':
        assert '\n'.join(lines(info, line)) == wanted
        assert '\n'.join(made for text in wanted.split('\n') for made in lines(info, text)) == wanted, 'read back'
        return
    with pytest.raises(surftrace.InputError) as caught:
        lines(info, line)
    assert caught.value.message.startswith(wanted[1:])
    assert caught.value.at


@pytest.mark.parametrize('start', [0, 0xffff800009000000])
def test_a_per_cpu_variable_that_nothing_but_its_address_tells(start: int) -> None:
    """5.10's BTF has none of them. On x86_64 they begin at 0 until Linux 6.15."""
    names = {'__per_cpu_start': 0, 'cpu_number': 0x19158, '__per_cpu_end': 0x36000, 'jiffies': 0x36000}
    symbols = surftrace.Kallsyms(''.join(f'{start + at:016x} A {name}\n' for name, at in names.items()).encode())
    machine = machine_of(surftrace.Module(surftrace.arch_named('x86_64'), symbols, []))
    resolver = surftrace.resolver_in(surftrace.Target(machine.kernel), abilities=machine.abilities)

    def fetched(text: str) -> str:
        return resolver.field(surftrace.parse_probe(f'p f x={text}').args[0]).fetches[0].text()
    assert fetched('@jiffies:u64') == '@jiffies:u64'
    assert fetched('this_cpu_read(@cpu_number):u32') == '+0(this_cpu_ptr(@cpu_number)):u32'
    for text in ('@cpu_number:u32', '+8(@cpu_number):u32', '@cpu_number+4:u32'):
        with pytest.raises(surftrace.InputError, match="'cpu_number' is a per-cpu variable"):
            fetched(text)


@pytest.mark.parametrize(('line', 'kernels', 'reason'), [
    ('t sched_switch', '6.12 7', 'takes no probes of raw tracepoints (CONFIG_FPROBE_EVENTS, Linux 6.5); e SYSTEM/EVENT'),
    ('p work $current->pid', '7', 'this kernel has no $current (Linux 7.3)'),
    ('p work this_cpu_read(runqueues.nr_running)', '7', 'cannot read the per-cpu variables of the processor that it is on (Linux 7.3)'),
    ('r:back work c->name $retval:u64', '', 'work returns nothing')])
def test_a_word_is_taken_where_the_readme_has_it(line: str, kernels: str, reason: str, info: surftrace.Module) -> None:
    for kernel in README:
        if kernel in kernels.split():
            assert lines(info, line, kernel)
        else:
            with pytest.raises(surftrace.InputError) as caught:
                lines(info, line, kernel)
            assert reason in caught.value.message and caught.value.at


def test_where_nothing_tells_what_a_kernel_has_all_is_taken(info: surftrace.Module) -> None:
    machine = machine_of(info)
    assert machine.abilities == set(surftrace.ABILITIES)
    assert [event.lines() for event in events_of(machine, 't sched_switch prev->pid')] == [['t:f0 sched_switch pid=+8($arg2):s32']]


def test_the_pointers_of_a_per_cpu_chain_are_guarded(info: surftrace.Module) -> None:
    """A per-cpu pointer is no address, and NULL would lead to the first of all per-cpu variables; a symbol is always there."""
    machine = machine_of(info, seal=0)
    event, = events_of(machine, 'p work own=this_cpu_ptr(c->slab)->curr->pid f:own>1')
    guards = [(guard.fetch.text(), hex(guard.low)) for guard in event.fields[0].guards]
    assert guards == [('%di:x64', '0xff00000000000000'), ('+8(%di):x64', '0x1'),
                      ('this_cpu_ptr(+8(%di)):x64', '0xff00000000000000'), ('+8(this_cpu_ptr(+8(%di))):x64', '0xff00000000000000')]
    assert event.filter.replace('&&ptr2>0&&', '&&2&&') != event.filter and event.filter.endswith('&&own>1)')
    assert event.fields[0].guards[1].verdict(0) == '(null)' and not event.fields[0].guards[1].verdict(8)
    event, = events_of(machine, 'p work this_cpu_ptr(&runqueues)->curr->pid $current->pid $current->parent->pid')
    assert [[guard.fetch.text() for guard in field.guards] for field in event.fields] == [
        ['+8(this_cpu_ptr(@runqueues)):x64'], [], ['+16($current):x64']]


def test_raw_tracepoints_are_listed_and_offered(info: surftrace.Module) -> None:
    machine = machine_of(info)
    assert surftrace.listing('t sched_*', machine) == [
        'sched_many(' + ', '.join(f'u64 n{i}' for i in range(8)) + ');',
        'sched_switch(char preempt, struct task_struct *prev, struct task_struct *next);']
    assert surftrace.listing('t sched_switch %1', machine)[:2] == [
        '// %1: struct task_struct *', 'struct task_struct {                                       /* 40 bytes */']
    with pytest.raises(surftrace.InputError, match="no raw tracepoint 'shed_'"):
        surftrace.listing('t shed_', machine)
    for typed, wanted in {'t sched_': ('sched_many', 'sched_switch'), 't sched_switch pr': ('preempt', 'prev'),
                          't sched_switch prev->p': ('parent', 'pid'), 't sched_switch $c': ('comm', 'current'),
                          'p work $current->st': ('state',), 'p work this_': ('this_cpu_ptr(', 'this_cpu_read(')}.items():
        assert surftrace.completions(typed, machine).names == wanted, typed


def test_switches_to_surftrace_itself_are_left_out(info: surftrace.Module) -> None:
    """As of the event; in a live run, whose own tasks are known."""
    run = surftrace.Run('surftrace_1_00000000', own=(7, 8))
    filters = {}
    for line in ('t sched_switch', 't sched_switch next1=next->pid f:next1>1', 't sched_many'):
        event, = events_of(machine_of(info, live=True, seal=5), line)
        filters[line] = [step.do.text for step in surftrace.plan([event], run) if step.do.path.endswith('/filter')]
    switch = 'common_pid!=0&&common_pid!=7&&common_pid!=8||{0}!=0&&{0}!=7&&{0}!=8'
    assert filters == {'t sched_switch': [switch.format('next1')],
                       't sched_switch next1=next->pid f:next1>1': [f"((ptr1>=0xff00000000000000&&ptr1<=0xfffffffffffff000&&next1>1))&&({switch.format('next2')})"],
                       't sched_many': ['common_pid!=7&&common_pid!=8||common_flags&88']}
    assert events_of(machine_of(info), 't sched_switch')[0].definitions[0].unseen == ()


def test_a_program_has_neither() -> None:
    for expression, reason in {'$current->pid': '$current is for the kernel', 'this_cpu_read(%0)': 'are for probes in the kernel'}.items():
        done = outcome('-S', f'P libc:getppid {expression}')
        assert done.status == 2 and reason in done.err


@pytest.mark.oracle
@pytest.mark.parametrize(('label', 'has'), [
    ('6.1-amd64', ''), ('6.1-arm64', ''), ('6.12-amd64', '$arg t'), ('7-amd64', '$arg t $current this_cpu')])
def test_a_vmlinux_has_the_readme_of_its_tracefs(label: str, has: str) -> None:
    assert machine_of(types_of(vmlinux(label), arch=surftrace.arch_named(label.rpartition('-')[2]))).abilities == {
        'ref_ctr', *has.split()}
