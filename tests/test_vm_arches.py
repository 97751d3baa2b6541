"""Programs in guests: uprobes, return probes and USDT on each kernel, by surftrace itself and by a script made elsewhere."""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kernels
import machine
import pytest
from cache import Unavailable
from helpers import need

pytestmark = pytest.mark.vm
PROJECT = Path(__file__).resolve().parents[1]
COMPILERS = {'amd64': 'gcc', 'arm64': 'aarch64-linux-gnu-gcc'}
LETTERS = 'ABCD' * 75

COUNT = '120'           # events, of a dozen in a round: some rounds may be over before the last probe is armed

# A line, and what it shows in each round of fixtures/guest.c
LINES = {
    'P:h /run/guest:handle id narrow name=r->name low=r->low high=r->high a=r->inner->a c=r->colour': [
        'id=1 narrow=-5 name="alice" low=-3 high=9 a=42 c=GREEN', 'id=2 narrow=5 name="bob" low=4 high=-9 a=(null) c=3'],
    'P:m /run/guest:many a b c f g h i j': ['a=1 b=2 c=3 f=6 g=7 h=8 i=-9 j=-10'],
    'P:v /run/guest:by_value a=p.a b=p.b last': ['a=-11 b=12 last=13'],
    'P:s /run/guest:say s=s:text(n) n=n': [
        f's="{LETTERS[:256]}"... (300 bytes) n=300', f's="{LETTERS[:40]}" (60 more, from a NUL or an unreadable byte on) n=100',
        's="ABCDAB" n=6', 's="" (5 more, from a NUL or an unreadable byte on) n=5', 's=(null) n=5'],
    'P:t /run/guest:twice id f:id==21': ['id=21'],
    'R:r /run/guest:twice v=$retval': ['v=-42'],
    'u:u /run/guest:shop:sale id=%0 what=%1:string five=%2': ['id=17 what="tea" five=5'],
}


@pytest.fixture(scope='session')
def guest_program(compile_c: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """guest_program(ARCHITECTURE): fixtures/guest.c, which needs nothing of its guest."""
    def made(architecture: str) -> Path:
        need(COMPILERS[architecture])
        headers = [path.parent for path in Path('/usr/include').glob('**/sys/sdt.h')]
        if not headers:
            raise Unavailable('systemtap-sdt-dev is not installed')
        folder = tmp_path_factory.mktemp('sdt')
        shutil.copytree(headers[0], folder / 'sys', ignore=lambda folder, found: [one for one in found if not one.startswith('sdt')])
        return compile_c(PROJECT / 'tests/fixtures/guest.c', '-O2', '-g', '-w', '-ffreestanding', '-nostdlib', '-static', '-fno-pie', '-no-pie',
                         '-fno-stack-protector', '-I', str(folder), '-lgcc', compiler=COMPILERS[architecture])
    return made


@pytest.mark.parametrize('label', kernels.LABELS)
def test_a_program_in_a_guest(label, guest_program, guest_snapshot, tmp_path):
    program = guest_program(label.split('-')[1])
    made = subprocess.run([sys.executable, PROJECT / 'surftrace.py', '-o', tmp_path / 'script.sh', '-n', COUNT, '-v', program, *LINES],
                          capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (tmp_path / 'lines').write_text('\n'.join(LINES))
    status, output = machine.run(label, f"""
        {guest_snapshot}
        here=/host{tmp_path}
        [ -d "$here" ] || here={tmp_path}
        [ -d /host ] && program=/host{program} || program={program}
        cp $program /run/guest
        /run/guest &
        guest=$!
        snapshot >/run/before
        python3 -m surftrace --raw -q -n {COUNT} -f $here/lines 2>&1 || echo "failed: $?"
        echo '== the script'
        busybox sh $here/script.sh >/run/out 2>/run/err || {{ echo "failed: $?"; cat /run/err; }}
        grep ': (0x' /run/out
        echo '== the end'
        kill $guest
        snapshot | diff /run/before - && echo 'nothing left'""", timeout=600)
    assert status == 0, output
    live, by_script, end = re.split(r'== the (?:script|end)\n', output)
    assert 'failed' not in output and end.endswith('nothing left\n'), output
    shown: dict[str, set[str]] = {}
    for event, values in re.findall(r'^.{16}-\d+ .*?: (\w): \(0x[^)]*\) (.*)$', live, re.M):
        shown.setdefault(event, set()).add(values)
    assert shown == {line[2]: set(values) for line, values in LINES.items()}, output
    raw = ''.join(re.findall(r'^.*: \w: \(0x.*\n', by_script, re.M))
    for text in ('v=-42', 'id=17 what="tea" five=5', 'i=-9 j=-10', 'a=-11 b=12 last=13'):
        assert text in raw, output


# ---- the kernel of arm64

# Members, bit-fields, returns, user memory: what each shows when /etc/known is read, and a file that is not there
KERNEL_LINES = {
    'p:o do_sys_openat2 file=user(filename) flags=X(how->flags) f:file==/etc/known': {'file="/etc/known" flags=0x20000'},
    'p:n do_filp_open name=pathname->name mode=op->mode f:name==/etc/known': {'name="/etc/known" mode=0'},
    'r:r do_sys_openat2 fd=$retval f:fd==-2': {'fd=-2'},
    'p:s proc_pid_status comm=%3->comm first=%3->comm[0] parent=%3->real_parent->parent->comm exec=%3->in_execve nice=%3->static_prio '
    'mm=%3->mm->mm_users f:comm==kthreadd': {'comm="kthreadd" first=107 parent="swapper/0" exec=0 nice=120 mm=(null)'},
}
TRIGGER = 'touch /etc/known; while :; do cat /etc/known /etc/unknown /proc/2/status >/dev/null 2>&1; sleep 0.1; done'


@pytest.mark.parametrize('label', kernels.ARM64)
def test_the_kernel_of_arm64(label, tmp_path, guest_snapshot):
    """By surftrace there with the kernel's BTF, by surftrace there with definitions made here from DWARF, and by a script."""
    vmlinux = kernels.kernel(label) / 'vmlinux'
    surftrace = [sys.executable, PROJECT / 'surftrace.py', '-v', vmlinux]
    (tmp_path / 'lines').write_text('\n'.join(KERNEL_LINES))
    (tmp_path / 'made').write_text(subprocess.run([*surftrace, '-S', *KERNEL_LINES], capture_output=True, text=True, check=True).stdout)
    subprocess.run([*surftrace, '-o', tmp_path / 'script.sh', '-n', '12', *KERNEL_LINES], capture_output=True, check=True)
    status, output = machine.run(label, f"""
        {guest_snapshot}
        sh -c '{TRIGGER}' &
        trigger=$!
        snapshot >/run/before
        python3 -m surftrace --raw -q -n 12 -f /host{tmp_path}/lines 2>&1 || echo "failed: $?"
        echo '== made elsewhere'
        python3 -m surftrace --raw -q -n 12 -f /host{tmp_path}/made 2>&1 || echo "failed: $?"
        echo '== the script'
        busybox sh /host{tmp_path}/script.sh 2>&1 || echo "failed: $?"
        echo '== the end'
        kill $trigger
        snapshot | diff /run/before - && echo 'nothing left'""", timeout=600)
    assert status == 0, output
    *runs, script, end = re.split(r'== (?:made elsewhere|the script|the end)\n', output)
    assert 'failed' not in output and end.endswith('nothing left\n'), output
    for run in runs:
        shown: dict[str, set[str]] = {}
        for event, values in re.findall(r'^.{16}-\d+ .*?: (\w): \([^)]*\) (.*)$', run, re.M):
            shown.setdefault(event, set()).add(values)
        assert shown == {line[2]: values for line, values in KERNEL_LINES.items()}, output
    for text in ('file="/etc/known" flags=0x20000', 'fd=-2', 'name="/etc/known" mode=0', 'comm="kthreadd"'):
        assert text in script, output
