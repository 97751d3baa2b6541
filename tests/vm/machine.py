"""Runs a shell command inside a guest with a kernel of choice, on this machine's own files.

    python3 tests/vm/machine.py 6.1-amd64 -- 'uname -r; ls /sys/kernel/tracing'

The guest is qemu without KVM, and sees the host's / through virtiofs, read-only, below a tmpfs: programs, the virtual
environment and the project are there under the same paths, and nothing it writes reaches the host. An arm64 guest has
an arm64 userland as its / instead, and the host's / at /host. A run takes 3 to 6 s; Python is some ten times
slower in there, so run many tests in one boot.
"""
from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import select
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cache import Unavailable
from cpio import initramfs
from kernels import LABELS, arm64_userland, kernel, load_order

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
BOOT_SECONDS = 60       # a boot takes 3 s; now and then one hangs
MEMORY = 1024           # MB; half of it is what a guest may write
QEMU = {'amd64': ('qemu-system-x86_64', '-machine', 'q35,memory-backend=memory', '-cpu', 'max'),
        'arm64': ('qemu-system-aarch64', '-machine', 'virt,memory-backend=memory', '-cpu', 'cortex-a72')}
TIMED_OUT = 124         # the status of a command that was not done in time, as with timeout(1)
DIED = 125              # the status of a command that took its guest down


class CompletedRun(NamedTuple):
    """What became of a command in a guest."""
    status: int
    output: str         # the command's stdout and stderr, and what the kernel had to say meanwhile


class BootFailed(Exception):
    """A guest did not come up, twice; the text is what it printed."""


def run(label: str, command: str, timeout: float = 120, modules: Sequence[str] = (), root: Path | None = None,
        env: Mapping[str, str] | None = None) -> CompletedRun:
    """Boots the kernel LABEL and runs a shell COMMAND there, in the project's folder, for at most TIMEOUT seconds.

    MODULES are loaded first. ROOT is a folder of the host to be the guest's / (the host's / is then at /host).
    For the command python3 is the one that runs this, KERNEL the folder of its kernel (see kernels.py), and ENV is set.
    Raises Unavailable where there can be no guest, BootFailed where there was none.
    """
    _require_tools(label)
    folder = kernel(label)
    root = arm64_userland() if root is None and _is_arm64(label) else root
    with tempfile.TemporaryDirectory(prefix='surftrace-vm-') as scratch:
        image = Path(scratch, 'initramfs')
        image.write_bytes(_initramfs(folder, modules, root, _script(command, folder, root, env or {})))
        for _ in range(2):
            with _booting(label, folder / 'vmlinuz', image) as console:
                if console.read_until(rb'@@READY\r?\n', BOOT_SECONDS):
                    return _completed(console, timeout)
    raise BootFailed(f'{label} did not boot in {BOOT_SECONDS} s, twice:\n{_text(console.seen)[-3000:]}')


class _Console:
    """A guest's serial line."""

    def __init__(self, descriptor: int) -> None:
        self.seen = bytearray()     # all that came
        self.mark = 0               # the end of what was waited for last
        self._descriptor = descriptor

    def read_until(self, pattern: bytes, seconds: float) -> re.Match[bytes] | None:
        """Waits for PATTERN after the mark and moves the mark behind it; None if it does not come in time or at all."""
        start, deadline = self.mark, time.monotonic() + seconds
        while not (match := re.compile(pattern).search(self.seen, start)):
            start = max(self.mark, len(self.seen) - 100)    # no pattern is longer; what lies before has been searched
            left = max(0, deadline - time.monotonic())
            piece = os.read(self._descriptor, 1 << 16) if select.select([self._descriptor], [], [], left)[0] else b''
            if not piece:
                return None
            self.seen += piece
        self.mark = match.end()
        return match


def _completed(console: _Console, timeout: float) -> CompletedRun:
    """Waits for the command's end."""
    start, deadline = console.mark, time.monotonic() + timeout
    end = console.read_until(rb'@@STATUS (\d+)\r?\n', timeout)
    if end:
        return CompletedRun(int(end[1]), _text(console.seen[start:end.start()]))
    in_time = time.monotonic() < deadline
    reason = 'the guest died' if in_time else f'not done in {timeout:g} s'
    return CompletedRun(DIED if in_time else TIMED_OUT, f'{_text(console.seen[start:])}\nmachine.py: {reason}\n')


def _text(output: bytes | bytearray) -> str:
    return output.replace(b'\r\n', b'\n').decode(errors='replace')   # the kernel's own lines end in \r\n


@contextlib.contextmanager
def _booting(label: str, vmlinuz: Path, image: Path) -> Iterator[_Console]:
    """A guest that begins to boot, and is gone at the end."""
    socket = image.with_name('virtiofs')
    # x86 with two CPUs hangs now and then while a kprobe is switched: always one CPU, and one thread for it
    qemu = [*QEMU[label.split('-')[1]], '-accel', 'tcg,thread=single', '-smp', '1', '-m', str(MEMORY),
            '-object', f'memory-backend-memfd,id=memory,size={MEMORY}M,share=on',
            '-chardev', f'socket,id=files,path={socket}', '-device', 'vhost-user-fs-pci,chardev=files,tag=host',
            '-nodefaults', '-no-reboot', '-display', 'none', '-serial', 'stdio',
            '-kernel', str(vmlinuz), '-initrd', str(image),
            '-append', f'console={"ttyAMA0" if _is_arm64(label) else "ttyS0"} quiet panic=-1']
    with _serving_files(socket), subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                  stderr=subprocess.STDOUT) as guest:
        try:
            yield _Console(guest.stdout.fileno())
        finally:
            guest.kill()


@contextlib.contextmanager
def _serving_files(socket: Path) -> Iterator[None]:
    """A virtiofsd that serves / on SOCKET."""
    options = ('-f', '-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot', '-o', 'log_level=err')
    with open(socket.with_suffix('.log'), 'w+b') as log, \
            subprocess.Popen([_virtiofsd(), f'--socket-path={socket}', *options], stdin=subprocess.DEVNULL,
                             stdout=log, stderr=log) as server:
        try:
            while not socket.exists():
                if server.poll() is not None:
                    log.seek(0)
                    raise Unavailable(f'virtiofsd does not start: {_text(log.read()).strip()}')
                time.sleep(0.01)
            yield
        finally:
            server.kill()
            socket.unlink(missing_ok=True)


def _initramfs(folder: Path, modules: Sequence[str], root: Path | None, script: str) -> bytes:
    """What init.sh expects to find."""
    busybox = root / 'bin/busybox' if root else Path(shutil.which('busybox') or '')
    files = {
        'init': (HERE / 'init.sh').read_bytes(),
        'bin/busybox': busybox.read_bytes(),
        'root_folder': bytes(root or b''),
        'command': script.encode(),
    }
    needed = load_order(folder / 'modules', ('virtio_pci', 'virtiofs', 'overlay', *modules))
    files |= {f'modules/{number:02}-{name}': code for number, (name, code) in enumerate(needed)}
    return initramfs(files, ('proc', 'sys', 'dev', 'lower', 'changes', 'tree'))


def _script(command: str, folder: Path, root: Path | None, env: Mapping[str, str]) -> str:
    """The shell script that the guest runs."""
    host = '/host' if root else ''
    path = '/usr/bin:/usr/sbin:/bin:/sbin' if root else f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    variables = {'PATH': path, 'HOME': '/root', 'LC_ALL': 'C.UTF-8', 'KERNEL': f'{host}{folder}', **env}
    if root:   # of Python's modules, those in pure Python serve another architecture as well
        variables.setdefault('PYTHONPATH', host + sysconfig.get_path('purelib'))
    exports = ''.join(f'export {name}={shlex.quote(value)}\n' for name, value in variables.items())
    return f'{exports}cd {shlex.quote(host + str(PROJECT))}\n{command}\n'


def _is_arm64(label: str) -> bool:
    return label.endswith('-arm64')


def _virtiofsd() -> str:
    return shutil.which('virtiofsd', path=f'/usr/lib/qemu:/usr/libexec:{os.environ["PATH"]}') or ''


def _require_tools(label: str) -> None:
    """Raises Unavailable, with the reason, unless this machine can run such a guest."""
    if os.geteuid() != 0:
        raise Unavailable('a virtual machine needs root, for virtiofsd')
    if not _is_arm64(label) and platform.machine() != 'x86_64':
        raise Unavailable('an amd64 guest runs the programs of this machine, which is no amd64')
    for tool in (QEMU[label.split('-')[1]][0], 'busybox'):
        if not shutil.which(tool):
            raise Unavailable(f'{tool} is not installed')
    if not _virtiofsd():
        raise Unavailable('virtiofsd is not installed')


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: prints what the command printed and returns its status."""
    parser = argparse.ArgumentParser(description='Runs a command in a guest with that kernel.')
    parser.add_argument('--timeout', type=float, default=120, metavar='SECONDS', help='for the command; default 120')
    parser.add_argument('--module', action='append', default=[], help='a kernel module to load first')
    parser.add_argument('label', help=', '.join(LABELS))
    parser.add_argument('command', nargs='+', help='one word: a shell script')
    options = parser.parse_args(argv)
    command = options.command[0] if len(options.command) == 1 else shlex.join(options.command)
    try:
        status, output = run(options.label, command, options.timeout, options.module)
    except (Unavailable, BootFailed, ValueError) as failure:
        print(f'machine.py: {failure}', file=sys.stderr)
        return 1
    sys.stdout.write(output)
    return status


if __name__ == '__main__':
    sys.exit(main())
