"""Debian's packages of any release and architecture, by an apt state of their own: the machine's is not touched."""
from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cache import CACHE, Unavailable

KEYRING = Path('/usr/share/keyrings/debian-archive-keyring.gpg')


class Archive(NamedTuple):
    """The packages of some suites of one release for one architecture."""
    architecture: str
    suites: tuple[str, ...]

    def update(self) -> None:
        """Reads the indexes of the suites anew."""
        for folder in ('lists/partial', 'cache/archives/partial', 'etc/sources.list.d', 'log'):
            (self._state / folder).mkdir(parents=True, exist_ok=True)
        (self._state / 'status').touch()
        main, security = mirrors()
        (self._state / 'etc/sources.list').write_text(''.join(
            f'deb [arch={self.architecture} signed-by={KEYRING}] '
            f'{security if suite.endswith("-security") else main} {suite} main\n' for suite in self.suites))
        self.get('update', '--error-on=any')

    def names(self, prefix: str) -> list[str]:
        """The packages whose name begins with PREFIX; the index may be stale and name some that are gone."""
        return self._apt('apt-cache', 'pkgnames', prefix).split()

    def depends(self, package: str) -> list[str]:
        """What PACKAGE depends on directly."""
        lines = self._apt('apt-cache', 'depends', package).splitlines()
        return [line.split()[-1] for line in lines if line.split()[0] == 'Depends:']

    def download(self, packages: Iterable[str], folder: Path) -> list[Path]:
        """Downloads exactly these PACKAGES into an empty FOLDER."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.get('download', *packages, cwd=folder)
        return sorted(folder.glob('*.deb'))

    def download_with_dependencies(self, *packages: str) -> list[Path]:
        """Downloads PACKAGES and all they need, as for a machine that has nothing yet."""
        self.get('clean')
        self.get('install', '-y', '--no-install-recommends', '--download-only', *packages)
        return sorted((self._state / 'cache/archives').glob('*.deb'))

    def get(self, *arguments: str, cwd: Path | None = None) -> None:
        """Runs apt-get."""
        self._apt('apt-get', '-qq', *arguments, cwd=cwd)

    @property
    def _state(self) -> Path:
        return CACHE / 'apt' / f'{self.architecture}-{"_".join(self.suites)}'

    def _apt(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        state = self._state
        options = {
            'APT::Architecture': self.architecture, 'APT::Architectures': self.architecture,
            'APT::Sandbox::User': 'root',   # the state may be where no other user can look
            'Acquire::Retries': '2', 'Acquire::http::Timeout': '30', 'Acquire::https::Timeout': '30',
            'Dir::State': state, 'Dir::State::Lists': state / 'lists', 'Dir::State::status': state / 'status',
            'Dir::Cache': state / 'cache', 'Dir::Log': state / 'log',
            'Dir::Etc::sourcelist': state / 'etc/sources.list', 'Dir::Etc::sourceparts': state / 'etc/sources.list.d',
            'Dir::Etc::preferencesparts': '/dev/null',
        }
        command = [tool, *(f'-o{name}={value}' for name, value in options.items()), *arguments]
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            complaint = (done.stderr.strip().splitlines() or ['no reason given'])[0]
            raise Unavailable(f'{tool} {" ".join(arguments)}: {complaint}')
        return done.stdout


def mirrors() -> tuple[str, str]:
    """Where this machine gets Debian and its security updates from: (main, security)."""
    if not shutil.which('apt-get') or not KEYRING.exists():
        raise Unavailable("not a Debian machine: no apt-get with Debian's archive keys")
    uris = subprocess.run(['apt-get', '--print-uris', 'update'], capture_output=True, text=True, check=True).stdout
    main = re.search(r"'(\S+)/dists/\w+-updates/", uris)   # other vendors have no -updates
    security = re.search(r"'(\S+)/dists/\w+-security/", uris)
    if not main or not security:
        raise Unavailable('the apt sources of this machine name no -updates and -security suite, so no mirror')
    return main[1], security[1]
