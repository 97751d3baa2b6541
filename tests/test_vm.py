"""surftrace on real kernels. What is checked, and how, is in vm/guest_checks.py: many checks share a boot."""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import guest_checks
import kernels
import machine
import pytest
from helpers import machine_of, made, outcome, types_of, vmlinux

import surftrace

pytestmark = pytest.mark.vm
PROJECT = Path(__file__).resolve().parents[1]
USERS = 'p:users wake_up_new_task comm=%0->comm users=S%0->mm->mm_users f:users<4'


def boot(label: str, checks: list[str], folder: Path) -> dict[str, str]:
    """Runs the checks in one guest; what each came to, '' if it passed."""
    file = vmlinux(label)
    if 'the_vmlinux_of_another_kernel' in checks:
        kernels.kernel('6.1-amd64')
    (folder / 'dwarf.lines').write_text(made('-S', '-v', file, *guest_checks.DWARF))
    if label in guest_checks.FULL:
        (folder / 'jump.labels').write_text('\n'.join(on_jump_labels(file, 60)))
    if 'the_fields_of_system_calls_are_those_of_the_format_files' in checks:
        (folder / 'syscalls').write_text(json.dumps(fields_of_system_calls(types_of(file))))
    made('-v', file, '-o', str(folder / 'script.sh'), USERS)
    made('-v', file, '-o', str(folder / 'one_second.sh'), '-d', '1', USERS)
    made('-m', 'btf', '-v', file, '-o', str(folder / 'tables.sh'), *guest_checks.COUNTED)
    pair = guest_checks.pair_line(label)
    made(*['-v', file] * (pair[0] == 'r'), '-o', str(folder / 'pair.sh'), pair)
    done = machine.run(label, f"python3 tests/vm/guest_checks.py {label} '{folder}' {' '.join(checks)}", timeout=1800)
    results = dict(re.findall(r'^(?:PASS|FAIL) (\w+)(.*)$', done.output, re.M))
    passed = set(re.findall(r'^PASS (\w+)', done.output, re.M))
    return {check: '' if check in passed else results.get(check, f'no result: {done.output[-3000:]}') for check in checks}


def on_jump_labels(file: str, count: int) -> list[str]:
    """FUNC+OFF of so many jump labels and static calls, all over a kernel."""
    elf, found = surftrace.Executable(file), []
    for address in sorted(surftrace.obstacle_tables(elf)[3]):
        symbol = elf.symbol_at(address)
        if symbol and symbol.section == '.text' and len(elf.symbols(symbol.name)) == 1:
            found.append(f'{symbol.name}+{address - symbol.address}')
    return found[::len(found) // count][:count]


def fields_of_system_calls(kernel: surftrace.Module) -> dict[str, list[str]]:
    """The fields of each event of a system call, as a format file has them."""
    elsewhere = machine_of(kernel)
    names = [name.partition('/')[2] for name in elsewhere.event_names() if name.startswith('syscalls/sys_')]
    return {name: surftrace.event_format(f'syscalls/{name}', elsewhere).replace('\t', ' ').splitlines() for name in names}


@pytest.fixture(scope='module')
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """result(LABEL, CHECK): what came of it, in a boot for all the checks of that kernel that were asked for."""
    wanted: dict[str, list[str]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == test_in_a_guest.__name__:
            wanted.setdefault(item.callspec.params['label'], []).append(item.callspec.params['check'])
    with ThreadPoolExecutor(max_workers=2) as pool:     # a guest has one processor
        boots: dict[str, Future[dict[str, str]]] = {
            label: pool.submit(boot, label, checks, tmp_path_factory.mktemp(label)) for label, checks in wanted.items()}
        yield lambda label, check: boots[label].result()[check]


@pytest.mark.parametrize(('label', 'check'), [
    (label, check) for label in ('7-amd64', '6.1-amd64', '6.12-amd64', '5.10-amd64')
    for check, (_, labels) in guest_checks.CHECKS.items() if label in labels])
def test_in_a_guest(label, check, result):
    failure = result(label, check)
    assert not failure, f'{check} on {label}{failure}'


def test_arm64_by_definitions_made_elsewhere(tmp_path, guest_snapshot):
    file = vmlinux('6.1-arm64')
    line = 'p:status proc_pid_status name=%3->comm pid=%3->pid parent=%3->real_parent->pid f:name==known'
    pair = 'r:took proc_pid_status S$retval h:comm retval $dur f:comm==busybox'
    definition = made('-S', '-v', file, line).strip()
    made('-v', file, '-o', str(tmp_path / 'script.sh'), line, 'p:counted proc_pid_status h:comm %3->pid f:comm==grep', pair)
    (tmp_path / 'known').write_text("printf known >/proc/$$/comm; grep -E '^(Name|Pid|PPid):' /proc/$$/status\n")
    status, output = machine.run('6.1-arm64', f"""
        {guest_snapshot}
        cd /sys/kernel/tracing
        snapshot >/run/before
        echo '{definition}' >kprobe_events
        echo 1 >events/kprobes/status/enable
        sh '/host{tmp_path}/known'
        grep known trace
        echo 0 >events/kprobes/status/enable
        : >kprobe_events
        echo '== the script'
        busybox sh '/host{tmp_path}/script.sh' >/run/out 2>/run/err &
        until grep tracing /run/err || ! kill -0 $!; do sleep 0.1; done
        sh '/host{tmp_path}/known'
        until [ -s /run/out ] || ! kill -0 $!; do sleep 0.1; done
        events=$(echo instances/surftrace_*/events/surftrace_*)     # of what the kernel makes pairs is recorded too
        for on in 1 0; do
            for event in took_in took; do echo $on >$events/$event/enable; done
            [ $on = 0 ] || busybox sh -c 'for file in 1 2 self; do busybox cat /proc/$file/status; done' >/dev/null
        done
        kill -TERM $!           # INT is ignored by what a shell runs in the background
        wait $! || echo "failed: $?"
        cat /run/out
        snapshot | diff /run/before - && echo 'nothing left'
        cd events/syscalls && grep 'field:' */format | grep -v ' common_'""", timeout=600)
    assert status == 0, output
    output, events = output.split('nothing left\n')
    wanted: dict[str, list[str]] = {}
    for name, field in re.findall(r'^(\w+)/format:\t(.*)$', events, re.M):
        wanted.setdefault(name, []).append(' '.join(field.split()))
    info = types_of(file, arch=surftrace.arch_named('arm64'))       # whose tables are filled in when it boots
    said = fields_of_system_calls(info)
    assert {name: said.get(name) for name in wanted} == wanted and len(wanted) > 500
    for part in output.split('== the script\n'):
        pid, parent = re.search(r'^Name:\tknown\nPid:\t(\d+)\nPPid:\t(\d+)$', part, re.M).groups()
        assert re.search(rf'name="known" pid={pid} parent={parent}', part), output
    assert re.search(rf'^comm +pid  calls\ngrep +{pid} +1 \|#+\n1 calls$', output, re.M), output
    assert 'failed' not in output, output
    decoder = surftrace.Decoder(surftrace.make_events([surftrace.parse_probe(pair)], machine_of(info)))
    decoder.block(re.sub('(?m)^(?! +busybox-).*\n', '', output).encode())
    decoder.finish()
    assert sorted(guest_checks.rows(decoder.counting.text())) == sorted(guest_checks.rows(output.split('\n\n')[-1])), output
    assert sum(int(row[-1]) for row in guest_checks.rows(decoder.counting.text())) == 3, output


def test_copies_on_a_jump_label_are_left_out():
    done = outcome('-S', '-v', vmlinux('6.1-amd64'), 'p mmap_read_lock mm')
    assert done.status == 0 and re.search(r"places of 'mmap_read_lock' are left out: .*on an instruction that the kernel itself rewrites", done.err)


def test_a_function_that_is_only_inlined():
    done = outcome('-S', '-v', vmlinux('6.1-amd64'), 'r get_task_struct')
    assert done.status == 2
    assert "'get_task_struct' is inlined everywhere it is called" in done.err
