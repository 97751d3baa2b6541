"""What the tests share: when a test cannot run here and why, a tracefs that ends as it began, and compiled C."""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cache import Unavailable
from helpers import need, types_of
from live import Running, is_anothers

import surftrace

TRACEFS = Path('/sys/kernel/tracing')
MOUNTED = Path(tempfile.gettempdir(), 'surftrace-tests-mounted')        # there while the tests have mounted it

for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:                  # as in a shell's background, and so in all that is started
        signal.signal(number, handler)

# A shell function that prints all that a tracer may leave behind; the live tests use it here, and others in a guest.
SNAPSHOT = f'''snapshot() {{
    for file in kprobe_events uprobe_events dynamic_events set_event tracing_on; do
        if [ -e {TRACEFS}/$file ]; then echo "== $file"; cat {TRACEFS}/$file; fi
    done
    echo "== instances"
    ls {TRACEFS}/instances
}}
'''


ORACLES = {f'test_{name}' for name in (
    'arches clang completion guards inside listing machine malformed modules oracle oracle_programs programs readme remote '
    'types_elsewhere').split()}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests that are neither live nor in a virtual machine are units or oracles. Those take longest, and come first."""
    for item in items:
        if item.path.stem in ORACLES and not any(map(item.get_closest_marker, ('live', 'vm'))):
            item.add_marker('oracle')
    items.sort(key=lambda item: next((i for i, layer in enumerate(('live', 'vm')) if item.get_closest_marker(layer)), 2))


@pytest.hookimpl(optionalhook=True)                     # xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker has all tests of a file, which share a boot, and one all live files, which would only wait for one another."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition('::')[0]
            return 'live' if Path(file).name.startswith('test_live') else file
    return ByFile(config, log)


# A test says what it cannot have by raising Unavailable, from wherever: that is a skip with the reason, or, where the
# environment says that it must be there (SURFTRACE_REQUIRE_VM=1), a failure.

@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Fixtures."""
    return (yield from _unavailable_is_a_skip())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Tests."""
    return (yield from _unavailable_is_a_skip())


def _unavailable_is_a_skip() -> Iterator[None]:
    try:
        return (yield)
    except Unavailable as reason:
        if os.environ.get('SURFTRACE_REQUIRE_VM') == '1':
            raise
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def _live(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test marked live is skipped with a reason where it cannot run, and may not leave anything in tracefs; a run that it
    forgot as it failed ends first."""
    if request.node.get_closest_marker('live'):
        request.getfixturevalue('tracefs')
    yield
    for run in Running.started:
        if run.process.poll() is None:
            run.end(signal.SIGTERM)
    Running.started.clear()


@pytest.fixture
def tracefs(_mounted_tracefs: Path) -> Iterator[Path]:
    """The tracefs of this machine, which has to be after the test what it was before; one test at a time has it."""
    with _alone('tracefs'):
        _mount()
        before = _snapshot()
        yield _mounted_tracefs
        after = _snapshot()
        assert [line for line in after if line not in before and not is_anothers(line)] == []
        assert [line for line in before if line not in after and 'surftrace_' not in line] == []     # or a killed run's, and swept


@pytest.fixture(scope='session')
def _mounted_tracefs() -> Path:
    """Mounts tracefs if nothing has; skips where probes cannot be had."""
    if os.geteuid() != 0:
        pytest.skip('live: needs root')
    _mount()
    if not (TRACEFS / 'uprobe_events').exists():
        pytest.skip('live: this kernel has no uprobe_events')
    return TRACEFS


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where the tests have mounted tracefs, it is unmounted when the last worker is done."""
    if not hasattr(session.config, 'workerinput'):
        with contextlib.suppress(BlockingIOError), _alone('tracefs', fcntl.LOCK_NB), _alone('mount of tracefs'):
            if MOUNTED.exists():        # another session that has it is to do this when it ends
                subprocess.run(['umount', '-l', TRACEFS], check=True)
                MOUNTED.unlink()


@contextlib.contextmanager
def _alone(what: str, how: int = 0) -> Iterator[None]:
    """One process at a time does that with tracefs."""
    with open(Path(tempfile.gettempdir(), f"surftrace-tests-{what.replace(' ', '-')}"), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
        yield


def _mount() -> None:
    """Mount tracefs where it is not, and remember that the tests did."""
    with _alone('mount of tracefs'):
        if not (TRACEFS / 'README').exists():
            mount = subprocess.run(['mount', '-t', 'tracefs', 'tracefs', TRACEFS], capture_output=True, text=True)
            if mount.returncode:
                pytest.skip(f'live: tracefs cannot be mounted: {mount.stderr.strip()}')
            MOUNTED.touch()


def _snapshot() -> list[str]:
    return subprocess.run(['sh', '-c', f'{SNAPSHOT} snapshot'], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope='session')
def guest_snapshot() -> str:
    """Shell code that defines `snapshot`: for a guest's script, to compare what it prints before and after."""
    return SNAPSHOT


@pytest.fixture(scope='session')
def compile_c(pytestconfig: pytest.Config) -> Callable[..., Path]:
    """compile_c(SOURCE, *FLAGS, compiler='gcc'): the program made of a C text, or of a file; made once and kept.

    The source lies beside the program: a text as test.c, a file under its own name; the program is without the .c.
    """
    def compile_c(source: str | Path, *flags: str, compiler: str = 'gcc') -> Path:
        name, text = (source.name, source.read_text()) if isinstance(source, Path) else ('test.c', source)
        identity = '\0'.join((name, text, *flags, _version(compiler)))
        folder = pytestconfig.cache.mkdir('compiled') / hashlib.sha256(identity.encode()).hexdigest()[:16]
        program = folder / Path(name).stem
        if not program.exists():
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
            new = folder / f'new-{os.getpid()}'
            subprocess.run([compiler, name, '-o', new, *flags], cwd=folder, check=True)
            new.rename(program)   # only a whole one has the name
        return program
    return compile_c


@pytest.fixture(scope='session')
def with_btf() -> Callable[[Path], Path]:
    """with_btf(PROGRAM): a copy of it that has its types as BTF too."""
    def with_btf(program: Path) -> Path:
        _version('pahole')
        copy = program.with_name(f'{program.name}.btf')
        if not copy.exists():
            new = copy.with_name(f'{copy.name}-{os.getpid()}')
            shutil.copy(program, new)
            subprocess.run(['pahole', '-J', new], check=True)
            new.rename(copy)
        return copy
    return with_btf


@pytest.fixture(scope='session')
def types_file(compile_c: Callable[..., Path], with_btf: Callable[[Path], Path]) -> Callable[[str], Path]:
    """types_file(BACKEND): fixtures/types.c compiled for x86-64, with optimisation, so that arguments are in registers."""
    def types_file(backend: str) -> Path:
        if platform.machine() != 'x86_64':
            pytest.skip('fixtures/types.c is compiled for x86-64')
        source = (Path(__file__).parent / 'fixtures/types.c').read_text() + '\nint main(void) { return 0; }\n'
        program = compile_c(source, '-O2', '-gdwarf-4' if backend == 'DWARF 4' else '-gdwarf-5')
        return with_btf(program) if backend == 'BTF' else program
    return types_file


@pytest.fixture(scope='session', params=['DWARF 4', 'DWARF 5', 'BTF'])
def backend(request: pytest.FixtureRequest) -> str:
    """What tells the types."""
    return request.param


@pytest.fixture(scope='session')
def info(backend: str, types_file: Callable[[str], Path]) -> surftrace.Module:
    """The debug information of fixtures/types.c, from each backend."""
    return types_of(types_file(backend), 'btf' if backend == 'BTF' else 'dwarf')


def _version(tool: str) -> str:
    need(tool)
    return subprocess.run([tool, '--version'], capture_output=True, text=True, check=True).stdout
