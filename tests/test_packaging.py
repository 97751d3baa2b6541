"""What is installed, and how: the file alone, the man page, Pythons that are too old, a Debian that has nothing yet."""
from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import man_page
import pytest
from cache import Unavailable, once
from debian import mirrors
from helpers import made, need, outcome, vmlinux

import surftrace

FILE = Path(surftrace.__file__)


def test_the_man_page_has_every_option_and_the_whole_language() -> None:
    page = man_page.man_page().replace('\\-', '-').replace('\\e', '\\')
    plain = re.sub(r'\\f[BR]', '', page)
    for options in surftrace.OPTIONS.values():
        for names, _, purpose in options:
            assert purpose in plain
            assert all(f'\\fB{name}\\fR' in page for name in names.split() if name.startswith('-'))
    assert all(command in plain for command, _ in surftrace.EXAMPLES)
    language = surftrace.LANGUAGE.replace('| C type | becomes |\n|---|---|\n', '') + surftrace.GRAMMAR
    assert set(re.sub(r'[`|]', '', language).split()) <= {'-', *re.sub(r'[`|]|\\&', '', plain).split()}


@pytest.mark.parametrize('command', [('groff', '-man', '-Tutf8', '-ww', '-z'), ('mandoc', '-T', 'lint', '-W', 'warning')])
def test_the_man_page_has_no_mistakes(command: tuple[str, ...], tmp_path: Path) -> None:
    need(command[0])
    page = tmp_path / 'surftrace.1'
    page.write_text(man_page.man_page())
    done = subprocess.run([*command, page], capture_output=True, text=True, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if 'missing date' not in line]    # it has a version
    assert not complaints


@pytest.mark.oracle
def test_what_pip_installs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '-w', tmp_path, man_page.PROJECT],
                          capture_output=True, text=True, check=False, cwd=tmp_path)
    if 'setuptools' in done.stderr and done.returncode:
        pytest.skip('pip cannot fetch setuptools')
    assert done.returncode == 0, done.stderr
    wheel = zipfile.ZipFile(next(tmp_path.glob('surftrace-*.whl')))
    assert {'surftrace.py', f'surftrace-{surftrace.__version__}.data/data/share/man/man1/surftrace.1'} <= set(wheel.namelist())


def test_the_first_help_fits_a_screen() -> None:
    done = outcome('-h')
    lines = done.out.splitlines()
    assert done.status == 0 and 20 < len(lines) < 24 and max(map(len, lines)) <= 80
    assert all(line.split()[0].rstrip(',') in surftrace.EVERY_DAY for line in lines if line.startswith('  -') and "'" not in line)
    assert outcome('--help').out.count('\n') > 80


@pytest.mark.parametrize('line', [command for command, _ in surftrace.EXAMPLES])
def test_the_examples_of_the_help_are_commands(line: str) -> None:
    import shlex
    for text in surftrace.arguments().parse_args(shlex.split(line.partition(' -- ')[0])).lines:
        assert text == 'p ...' or surftrace.parse_probe(text)


def test_an_older_python_is_refused_in_a_sentence() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 7))         # or it would be a SyntaxError
    older = [path for version in ('3.7', '3.8') for path in
             [shutil.which(f'python{version}'), *map(str, Path.home().glob(f'.pyenv/versions/{version}.*/bin/python'))] if path]
    ran = [subprocess.run([path, FILE, '--version'], capture_output=True, text=True, check=False) for path in older]
    ran = [done for done in ran if 'version' not in done.stderr]         # pyenv's name for one that is not chosen
    if not ran:
        pytest.skip('no Python 3.7 or 3.8 is installed')
    for done in ran:
        assert re.fullmatch(r'surftrace needs Python 3.9 or later, and this is 3.[78]\n', done.stderr) and done.returncode == 1


def test_the_file_alone_traces_functions_of_programs_by_symbol(tmp_path: Path) -> None:
    copy = tmp_path / 'surftrace'
    copy.write_bytes(FILE.read_bytes())
    done = subprocess.run([sys.executable, '-I', '-S', copy, '-S', 'P libc:fopen64 file=%0:string'], capture_output=True, text=True,
                          check=False, env={'PATH': os.environ['PATH']})
    assert re.fullmatch(r'(surftrace: note: /\S+: its DWARF is not read, pyelftools is not installed\n)?', done.stderr)
    assert re.fullmatch(r'p:f0 /\S*libc\S*:0x[0-9a-f]+ file=\+0\(%di\):string\n', done.stdout), done.stderr


def make_debian(release: str, folder: Path) -> None:
    """A Debian that has Python and nothing else."""
    need('mmdebstrap')          # with apt's lists and half of debootstrap's time
    done = subprocess.run(['mmdebstrap', '--variant=apt', '--include=python3', '--skip=cleanup/apt/lists', release, folder, mirrors()[0]],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f'mmdebstrap: {done.stderr[-300:]}')


INSTALL = re.search(r'^## Install\n.*?^```\n(.*?)\n(.*?)\n```', (man_page.PROJECT / 'README.md').read_text(), re.M | re.S)
IN_THE_ROOT = """for folder in proc dev sys; do mount --rbind /$folder $1/$folder; done
cp /etc/resolv.conf $1/etc; export DEBIAN_FRONTEND=noninteractive; exec chroot $1 sh -ec "cd /; $2" """


@pytest.mark.oracle
@pytest.mark.parametrize('release', ['bookworm', 'trixie'])
def test_the_two_commands_of_the_readme_on_a_fresh_debian(release: str, compile_c: Callable[..., Path],
                                                          request: pytest.FixtureRequest) -> None:
    if os.geteuid():
        pytest.skip('chroot needs root')
    assert INSTALL and all(command.startswith('sudo ') for command in INSTALL.groups())
    copy, packages = (command[len('sudo '):] for command in INSTALL.groups())
    program = compile_c('int main(int argc, char **argv) { return argc > 9; }', '-gdwarf-4', '-gsplit-dwarf', '-Og')   # for an older pyelftools
    script = f"""{copy}
        surftrace -S -v /types 'p wake_up_new_task comm=%0->comm'
        surftrace -q -n 1 'P libc:fopen64 file=%0:string' -- id
        {packages.replace('install', 'install -qqy')} >/dev/null
        surftrace -q -n 1 'P /{program.name}:main argc last=argv[1]:string' -- /{program.name} word"""
    fresh = once(f'debian-{release}', partial(make_debian, release))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, 'root')
        subprocess.run(['cp', '-a', fresh, root], check=True)
        made('--export-types', str(root / 'types'), '-v', vmlinux())
        for file in (FILE, program, *program.parent.glob('*.dwo')):
            shutil.copy(file, root)
        request.getfixturevalue('tracefs')          # not while the root is made: other tests wait for it
        done = subprocess.run(['unshare', '-m', 'sh', '-ec', IN_THE_ROOT, 'sh', root, script.replace('$', '\\$')],
                              capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith('uid=')]
    wanted = (r'p:f0 wake_up_new_task comm=\+\d+\(%di\):string #! comm:cut\(16\)', r'  0\.000000 (id|<\.\.\.>)-\d+ +fopen64 \(libc\): file="/[^"]+"',
              rf'  0\.000000 ({program.name}|<\.\.\.>)-\d+ +main \({program.name}\): argc=2 last="word"')
    assert len(lines) == 3 and all(map(re.fullmatch, wanted, lines)), done.stdout + done.stderr
