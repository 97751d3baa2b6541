"""A folder for what is fetched once and kept between test runs: kernels, and a userland for another architecture."""
from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

CACHE = Path(os.environ.get('SURFTRACE_VM_CACHE') or Path.home() / '.cache' / 'surftrace-vm')

_refused: dict[str, str] = {}   # what could not be had in this process, and why: asked for once, not once a test


class Unavailable(Exception):
    """What a test needs cannot be had on this machine; the text is the reason a person reads."""


def once(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder CACHE/NAME, filled by `fill` if it is not there: by one process at a time, and whole or not at all."""
    whole, part = CACHE / name, CACHE / f'{name}.part'
    if whole.is_dir():
        return whole
    if name in _refused:
        raise Unavailable(_refused[name])
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(CACHE / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(part, ignore_errors=True)   # left by a process that was killed
        if not whole.is_dir():
            part.mkdir()
            try:
                fill(part)
                part.rename(whole)
            except Unavailable as reason:
                _refused[name] = str(reason)
                raise
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return whole
