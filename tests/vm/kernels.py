"""Real kernels to test on: Debian's cloud kernels with their vmlinux, and a userland for the arm64 ones.

A label is a version and an architecture, and means the newest such kernel that can be downloaded: 6.1-amd64.
"""
from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from cache import Unavailable, once
from debian import Archive

BULLSEYE = ('bullseye', 'bullseye-security', 'bullseye-updates')
BOOKWORM = ('bookworm', 'bookworm-updates', 'bookworm-security')
SUITES = {'5.10': BULLSEYE, '6.1': BOOKWORM, '6.12': BOOKWORM, '7': ('trixie-backports',)}
LABELS = ('5.10-amd64', '6.1-amd64', '6.12-amd64', '7-amd64', '6.1-arm64', '6.12-arm64')
ARM64 = tuple(label for label in LABELS if 'arm64' in label)

# What is taken out of the packages (1.7 GB unpacked), and where it goes. Since 7.x a kernel has no /boot.
PARTS = (
    (r'(?:boot/vmlinuz-[^/]*|usr/lib/modules/[^/]*/vmlinuz)', 'vmlinuz'),
    (r'(?:boot/config-[^/]*|usr/lib/modules/[^/]*/config)', 'config'),
    (r'usr/lib/debug/(?:boot|lib/modules/[^/]*)/vmlinux[^/]*', 'vmlinux'),
    (r'(?:usr/)?lib/modules/[^/]*/(.*)', r'modules/\1'),
)


def kernel(label: str) -> Path:
    """The folder of that kernel: vmlinuz, vmlinux, config, modules/ and release; fetched if it is not there yet."""
    if label not in LABELS:
        raise ValueError(f'no such kernel: {label}; there are {" ".join(LABELS)}')
    return once(f'kernels/{label}', lambda folder: _fetch(label, folder))


def module_debug(label: str, *modules: str) -> Path:
    """A folder with the debug files NAME.ko of those modules of that kernel, out of its 300 MB debug package."""
    kernel(label)
    return once(f'debug/{label}-{"-".join(modules)}', lambda folder: _fetch_module_debug(label, modules, folder))


def arm64_userland() -> Path:
    """A folder to be an arm64 guest's root: Python, binutils and busybox."""
    return once('root-arm64', _make_userland)


def load_order(modules: Path, wanted: Iterable[str]) -> list[tuple[str, bytes]]:
    """The WANTED modules of a modules/ tree, each after those it depends on; what is built in falls out."""
    files = {_module_name(path): path for path in modules.rglob('*.ko*')}
    builtin = {_module_name(Path(line)) for line in (modules / 'modules.builtin').read_text().splitlines()}
    order: dict[str, bytes] = {}

    def load(name: str) -> None:
        if name in order or name in builtin:
            return
        if name not in files:
            raise ValueError(f'{modules} has no module {name}')
        code = files[name].read_bytes()
        code = lzma.decompress(code) if files[name].suffix == '.xz' else code
        depends = re.search(rb'(?<!\w)depends=([^\0]+)\0', code)   # in .modinfo
        for need in depends[1].decode().split(',') if depends else ():
            load(need.replace('-', '_'))
        order[name] = code

    for name in wanted:
        load(name.replace('-', '_'))
    return list(order.items())


def _module_name(path: Path) -> str:
    return path.name.split('.')[0].replace('-', '_')


def _fetch(label: str, folder: Path) -> None:
    version, architecture = label.split('-')
    archive = Archive(architecture, SUITES[version])
    archive.update()
    for release in _releases(archive, version):
        packages = [f'linux-image-{release}', f'linux-image-{release}-dbg']
        # since 7.x linux-image is empty and needs linux-base, -binary and -modules
        packages += [name for name in archive.depends(packages[0])
                     if re.fullmatch(f'linux-(base|binary|modules)-{re.escape(release)}', name)]
        try:
            files = archive.download(packages, folder / 'packages')
        except Unavailable:   # the index still names it, the mirror has it no longer: the next older one
            continue
        for file in files:
            _unpack(file, folder)
        shutil.rmtree(folder / 'packages')
        missing = {'vmlinuz', 'vmlinux', 'config', 'modules'} - {path.name for path in folder.iterdir()}
        if missing:
            raise Unavailable(f"Debian's packages of {release} are not as expected: no {', '.join(sorted(missing))}")
        (folder / 'release').write_text(f'{release}\n')
        return
    raise Unavailable(f'no {label} kernel with a vmlinux on the Debian mirror')


def _fetch_module_debug(label: str, modules: Iterable[str], folder: Path) -> None:
    version, architecture = label.split('-')
    archive = Archive(architecture, SUITES[version])
    archive.update()
    package = f'linux-image-{(kernel(label) / "release").read_text().strip()}-dbg'
    parts = tuple((rf'usr/lib/debug/lib/modules/.*/({module}\.ko[^/]*)', r'\1') for module in modules)
    for file in archive.download([package], folder / 'packages'):
        _unpack(file, folder, parts)
    shutil.rmtree(folder / 'packages')
    missing = set(modules) - {_module_name(path) for path in folder.iterdir()}
    if missing:
        raise Unavailable(f'{package} has no {", ".join(sorted(missing))}')


def _releases(archive: Archive, version: str) -> Iterator[str]:
    """The releases of that version, newest first."""
    wanted = re.compile(rf'linux-image-({re.escape(version)}\.[^_]*-cloud-{archive.architecture})-dbg')
    found = (wanted.fullmatch(name) for name in archive.names(f'linux-image-{version}.'))
    releases = [match[1] for match in found if match]
    yield from sorted(releases, key=lambda release: [int(n) for n in re.findall(r'\d+', release)], reverse=True)


def _unpack(package: Path, folder: Path, parts: Iterable[tuple[str, str]] = PARTS) -> None:
    """Takes the PARTS out of a package."""
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', package], stdout=subprocess.PIPE) as unpacker:
        tar = tarfile.open(fileobj=unpacker.stdout, mode='r|')
        for member in filter(tarfile.TarInfo.isfile, tar):
            matches = ((re.fullmatch(pattern, member.name[2:]), goal) for pattern, goal in parts)   # ./boot/...
            goal = next((match.expand(goal) for match, goal in matches if match), None)
            if goal:
                (folder / goal).parent.mkdir(parents=True, exist_ok=True)
                with open(folder / goal, 'wb') as file:
                    shutil.copyfileobj(tar.extractfile(member), file, 1 << 20)


def _make_userland(root: Path) -> None:
    archive = Archive('arm64', BOOKWORM)
    archive.update()
    for package in archive.download_with_dependencies('python3', 'busybox-static', 'binutils'):
        subprocess.run(['dpkg-deb', '-x', package, root], check=True)   # nothing of it is run here
    archive.get('clean')
    for folder in ('proc', 'sys', 'dev', 'run', 'tmp', 'root', 'host', 'etc', 'bin', 'usr/bin'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    applets = subprocess.run(['busybox', '--list'], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if not any((root / folder / applet).exists() for folder in ('bin', 'usr/bin')):
            (root / 'bin' / applet).symlink_to('busybox')
    (root / 'etc/passwd').write_text('root:x:0:0:root:/root:/bin/sh\n')
    (root / 'etc/group').write_text('root:x:0:\n')
    _compile_library(root)


def _compile_library(root: Path) -> None:
    """Byte-compiles the guest's Python library, for imports three times faster; byte code knows no architecture."""
    library = root / f'usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}'
    if library.is_dir():   # only a Python of the same version can
        subprocess.run([sys.executable, '-m', 'compileall', '-q', '-s', root,
                        '--invalidation-mode', 'unchecked-hash', library], check=False)
