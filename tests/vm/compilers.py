"""The compilers of each architecture; one that this machine's Debian has not is that of a newer one, in a folder of its own."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from cache import Unavailable, once
from debian import Archive

PACKAGE, COMPILER = 'gcc-14-loongarch64-linux-gnu', 'loongarch64-linux-gnu-gcc-14'
SUITES = ('trixie', 'trixie-updates', 'trixie-security')

# It needs a newer C library, so it runs with the folder for its /; of this machine it sees /tmp and the current folder.
SCRIPT = f'''#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
mkdir -p "$root/tmp" "$root$PWD"
exec unshare -m sh -c 'root=$1; shift; mount --bind /tmp "$root/tmp" && mount --bind "$PWD" "$root$PWD" &&
    exec unshare --root "$root" --wd "$PWD" /usr/bin/{COMPILER} "$@"' sh "$root" "$@"
'''


def loongarch64_compiler() -> Path:
    """A program that is used like gcc."""
    if os.geteuid() != 0:
        raise Unavailable('the compiler for loongarch64 is another Debian, which needs root')
    compiler = once('root-loongarch64', _fill) / 'gcc'
    tried = subprocess.run([compiler, '--version'], capture_output=True, text=True)
    if tried.returncode:
        raise Unavailable(f'the compiler for loongarch64 does not run: {tried.stderr.strip()}')
    return compiler


def _fill(root: Path) -> None:
    archive = Archive('amd64', SUITES)
    archive.update()
    for package in archive.download_with_dependencies(PACKAGE):
        subprocess.run(['dpkg-deb', '-x', package, root], check=True)
    archive.get('clean')
    for folder in ('lib', 'lib64', 'bin'):
        if not (root / folder).exists():
            (root / folder).symlink_to(f'usr/{folder}')
    (root / 'gcc').write_text(SCRIPT)
    (root / 'gcc').chmod(0o755)


class Toolchain(NamedTuple):
    """What compiles and runs for an architecture."""
    compiler: str
    qemu: str
    flags: tuple[str, ...] = ()


TOOLCHAINS = {
    'x86_64': Toolchain('gcc', 'qemu-x86_64'),
    'i386': Toolchain('i686-linux-gnu-gcc', 'qemu-i386'),
    'aarch64': Toolchain('aarch64-linux-gnu-gcc', 'qemu-aarch64'),
    'arm': Toolchain('arm-linux-gnueabihf-gcc', 'qemu-arm', ('-marm',)),
    'riscv64': Toolchain('riscv64-linux-gnu-gcc', 'qemu-riscv64', ('-Wl,--no-relax',)),
    's390x': Toolchain('s390x-linux-gnu-gcc', 'qemu-s390x'),
    'ppc64le': Toolchain('powerpc64le-linux-gnu-gcc', 'qemu-ppc64le', ('-mcpu=power8',)),
    'loongarch64': Toolchain(COMPILER, 'qemu-loongarch64', ('-march=loongarch64', '-msimd=none')),
}
