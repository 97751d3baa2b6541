"""Probes inside functions on a real kernel: what they read is what the caller in the guest did."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import machine
import pytest
from helpers import vmlinux

pytestmark = pytest.mark.vm
PROGRAM = Path(__file__).resolve().parents[1] / 'surftrace.py'

OPENING = {'6.1-amd64': 'do_filp_open'}

# Opens a file with known flags, and says on which processor a child with a known name may run.
CALLER = '''
import os
file = os.open('/run/known-to-us', os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
ready, told = os.pipe()
child = os.fork()
if not child:
    open('/proc/self/comm', 'w').write('known-child')
    os.write(told, b'x')
    os.kill(os.getpid(), 19)
os.read(ready, 1)
os.sched_setaffinity(child, {0})
os.kill(child, 9)
os.waitpid(child, 0)
print('CALLER', os.getpid(), child)
'''


def surftrace(vmlinux: str, *arguments: str) -> str:
    """What it prints on this machine for the guest's kernel."""
    done = subprocess.run([sys.executable, PROGRAM, '-v', vmlinux, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_for(label: str, vmlinux: str) -> list[str]:
    """A line with parameters, an instruction behind a call with the local variable that it returned into, an inlined function.
    Where they are is looked up: the last line before the first call that has the file's name, the first place of `filp`."""
    function = OPENING[label]
    code = surftrace(vmlinux, '-F', function)
    calling = re.search(r'^fs/namei\.c:(\d+)\n(?:  <\+\d+> .*\n)*?  <\+\d+> +call\S* +<path_openat>', code, re.M)[1]
    returned = re.search(r'^  <\+(\d+)> .* filp=%', code, re.M)[1]
    return [f'p:line fs/namei.c:{calling} name=pathname->name flags=op->open_flag f:name=="/run/known-to-us"',
            f'p:local {function}+{returned} name=filp->f_path.dentry->d_name.name:string flags=filp->f_flags '
            'mode=filp->f_inode->i_mode f:name==known-to-us',
            'p:inlined get_task_struct t->comm t->pid f:comm==known-child']


@pytest.mark.parametrize('label', OPENING)
def test_values_inside_functions_are_the_callers(label: str, tmp_path: Path) -> None:
    file = vmlinux(label)
    surftrace(file, '-o', str(tmp_path / 'script.sh'), *lines_for(label, file))
    (tmp_path / 'caller.py').write_text(CALLER)
    status, output = machine.run(label, f"""
        sh '{tmp_path}/script.sh' >/run/out 2>/run/err &
        until grep -q tracing /run/err || ! kill -0 $!; do sleep 0.1; done
        python3 '{tmp_path}/caller.py'
        kill -TERM $!
        wait $!
        cat /run/err /run/out
        cat /sys/kernel/tracing/kprobe_events; ls /sys/kernel/tracing/instances""", timeout=600)
    caller, child = re.search(r'^CALLER (\d+) (\d+)$', output, re.M).groups()
    seen = re.findall(rf'-{caller} .*?: (\w+): \((\w+).*?\) (.*)$', output, re.M)
    events = {name: (place, values) for name, place, values in seen}
    assert set(events) == {'line', 'local', 'inlined'}, output
    flags = 0x8000 | 2 | 0o100 | 0o2000                     # O_LARGEFILE, O_RDWR, O_CREAT, O_APPEND
    assert events['line'][0] == events['local'][0] == OPENING[label] and f' flags={flags} ' in f"{events['line'][1]} "
    kept = flags & ~0o100                                   # do_dentry_open() takes O_CREAT away
    assert f' flags={kept} mode={0o100600} ' in f"{events['local'][1]} "
    assert events['inlined'][0] != 'get_task_struct' and events['inlined'][1].startswith(f'comm="known-child" pid={child} ')


def test_a_function_that_is_split_is_seen_once_a_call(tmp_path: Path) -> None:
    """gcc has inlined the rest of bprm_execve() into itself."""
    file, count = vmlinux('6.1-amd64'), 20
    line = 'p bprm_execve name=filename->name f:name=="/bin/true"'
    surftrace(file, '-o', str(tmp_path / 'script.sh'), line)
    status, output = machine.run('6.1-amd64', f"""
        sh '{tmp_path}/script.sh' >/run/out 2>/run/err &
        until grep -q tracing /run/err || ! kill -0 $!; do sleep 0.1; done
        for number in $(seq {count}); do /bin/true; done
        kill -TERM $!
        wait $!
        cat /run/err /run/out""", timeout=600)
    assert len(re.findall(r': f0: \(bprm_execve\+?\S*\) name="/bin/true"', output)) == count, output
