"""What is checked of modules inside a guest, in one boot: the module tun, whose values the kernel tells in sysfs as well.

    python3 tests/vm/module_checks.py FOLDER OTHER CHECK...     prints 'PASS check' or 'FAIL check: reason' for each

FOLDER has the debug file of this kernel's tun.ko; OTHER is that of another kernel.
"""
from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from guest_checks import TRACEFS, KeptBtf, Run

import surftrace

RELEASE = os.uname().release
INSTALLED = Path('/lib/modules', RELEASE)
DEBUG = Path('/usr/lib/debug/lib/modules', RELEASE, 'kernel/drivers/net')
LINE = 'p:w tun:tun_get_user flags=X(tun->flags) owner=tun->owner name=tun->dev->name size=from->count f:owner==1234'
folder, other = Path(sys.argv[1]), Path(sys.argv[2])


def install() -> None:
    """The modules where a distribution has them; depmod's list of them."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    INSTALLED.parent.mkdir(parents=True, exist_ok=True)
    INSTALLED.symlink_to(Path(os.environ['KERNEL'], 'modules'))
    files = [path.relative_to(INSTALLED) for path in INSTALLED.glob('kernel/drivers/net/*.ko*')]
    (INSTALLED / 'modules.dep').write_text(''.join(f'{path}:\n' for path in files))


def load() -> None:
    """Loads tun."""
    path = next(INSTALLED.glob('kernel/drivers/net/tun.ko*'))
    Path('/run/tun.ko').write_bytes(surftrace.unpacked(str(path)) or path.read_bytes())
    subprocess.run(['busybox', 'insmod', '/run/tun.ko'], check=True)


def write(size: int) -> dict[str, str]:
    """Writes a packet of SIZE bytes into a device of owner 1234; what the kernel says of the device."""
    if not Path('/dev/net/tun').exists():
        Path('/dev/net').mkdir(exist_ok=True)
        os.mknod('/dev/net/tun', 0o20600, os.makedev(10, 200))
    file = os.open('/dev/net/tun', os.O_RDWR)
    try:
        fcntl.ioctl(file, 0x400454ca, struct.pack('16sH22x', b'known', 0x1001))     # TUNSETIFF: IFF_TUN, IFF_NO_PI
        fcntl.ioctl(file, 0x400454cc, 1234)                                         # TUNSETOWNER
        try:
            os.write(file, bytes([0x45]) + bytes(size - 1))
        except OSError:
            pass                                                                    # the device is not up
        tells = Path('/sys/class/net/known')
        return {'flags': (tells / 'tun_flags').read_text().strip(), 'owner': (tells / 'owner').read_text().strip(),
                'name': '"known"', 'size': str(size)}
    finally:
        os.close(file)


def traced(run: Run, size: int) -> None:
    """That one write, and what it was."""
    run.wait_for('tracing;')
    said = write(size)
    run.end(2)
    assert [event.values for event in run.events] == [said], (run.out, run.err, said)
    assert run.status == 0, run.err


def a_probe_waits_for_its_module() -> None:
    assert not Path('/sys/module/tun').exists()
    run = Run(LINE)
    run.wait_for('tracing;')
    assert "the module 'tun' is not loaded: the probe waits for it" in run.err, run.err
    load()
    traced(run, 61)


def a_waiting_probe_is_checked_first() -> None:
    assert not Path('/sys/module/tun').exists()
    run = Run('p tun:tun_get_usr').end()
    assert run.status == 2 and "the module tun has no function 'tun_get_usr'; did you mean 'tun_get_user'" in run.err, run.err
    run = Run('-S', '-v', str(other), LINE).end()
    assert run.status == 1 and 'its BTF was made for another kernel' in run.err, run.err


def types_from_split_btf() -> None:
    assert Path('/sys/kernel/btf/tun').exists()
    traced(Run(LINE), 62)


def a_bare_function_of_a_module() -> None:
    traced(Run(LINE.replace('tun:tun_get_user', 'tun_get_user')), 63)


def what_a_module_returns() -> None:
    run = Run('r tun_get_user r=$retval')
    run.wait_for('tracing;')
    write(64)
    run.end(2)
    assert run.values('r') == ['-5'], (run.out, run.err)                    # EIO: the device is not up


def types_from_a_debug_file() -> None:
    DEBUG.mkdir(parents=True, exist_ok=True)
    shutil.copy(next(folder.glob('tun.ko*')), DEBUG)
    lines = Run('-m', 'auto', '-S', LINE.replace('tun_get_user', 'tun_get_user:0')).end()
    assert lines.status == 0 and lines.out.startswith('p:w tun:tun_get_user flags='), lines.err          # only DWARF has lines
    traced(Run('-m', 'auto', LINE), 65)
    shutil.rmtree(DEBUG)


def a_debug_file_of_another_build_is_not_used() -> None:
    DEBUG.mkdir(parents=True, exist_ok=True)
    shutil.copy(other, DEBUG / 'tun.ko')
    run = Run('-m', 'auto', '-S', 'p tun:tun_get_user:1').end()
    assert run.status == 2 and 'line numbers need DWARF' in run.err, run.err
    shutil.rmtree(DEBUG)


def a_file_that_is_named() -> None:
    traced(Run('-m', 'auto', '-v', str(next(folder.glob('tun.ko*'))), LINE), 66)
    run = Run('-m', 'auto', '-v', str(other), LINE).end()
    assert run.status == 1 and "is of another build of 'tun'" in run.err, run.err


def a_module_that_nobody_knows() -> None:
    run = Run('-d', '1', 'p nosuch:function %0').end()
    assert run.status == 0 and "no module 'nosuch' is loaded, and none is installed" in run.err, run.err


def types_carried_in_a_pocket() -> None:
    run = Run('--export-types', '/run/kernel.btf').end()
    assert run.status == 0 and os.path.getsize('/run/kernel.btf') < 6_000_000, run.err
    run = Run('-v', '/run/kernel.btf', '-n', '1', 'p do_nanosleep mode=%1:u32 comm=$comm f:comm==sleep')
    run.wait_for('tracing;')
    subprocess.run(['sleep', '0.1'], check=True)
    run.end()
    assert run.status == 0 and len(run.events) == 1, run.err


def types_of_another_kernel() -> None:
    run = Run('-m', 'auto', '-v', str(folder / 'other.btf'), 'p do_nanosleep').end()
    assert run.status == 1 and 'is of another kernel' in run.err, run.err


CHECKS: tuple[Callable[[], None], ...] = (
    a_waiting_probe_is_checked_first, a_probe_waits_for_its_module, types_from_split_btf, a_bare_function_of_a_module,
    what_a_module_returns, types_from_a_debug_file, a_debug_file_of_another_build_is_not_used, a_file_that_is_named,
    a_module_that_nobody_knows, types_carried_in_a_pocket, types_of_another_kernel)


def main() -> None:
    """Runs all checks, each of which leaves nothing behind."""
    install()
    surftrace.Btf = KeptBtf
    with contextlib.redirect_stdout(io.StringIO()):
        surftrace.main(['-S', '-m', 'btf', LINE])
    for check in (check for check in CHECKS if check.__name__ in sys.argv[3:]):
        try:
            check()
            left = (TRACEFS / 'kprobe_events').read_text() + ''.join(os.listdir(TRACEFS / 'instances'))
            assert not left, left
            print(f'PASS {check.__name__}', flush=True)
        except Exception as error:
            print(f'FAIL {check.__name__}: {error!r} {traceback.format_exc()[-600:]!r}', flush=True)


if __name__ == '__main__':
    main()
