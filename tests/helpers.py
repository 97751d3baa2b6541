"""What several test files use."""
from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import surftrace


class Printed(NamedTuple):
    """What main returned, and what went to the two outputs."""
    status: int
    out: str
    err: str


@contextlib.contextmanager
def descriptor_to(descriptor: int, file: int) -> Iterator[None]:
    """What is written to the descriptor goes to the file meanwhile."""
    kept = os.dup(descriptor)
    os.dup2(file, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def outcome(*arguments: str) -> Printed:
    """A run of main; its messages are written to the descriptor itself, argparse's to sys.stderr."""
    texts = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with descriptor_to(1, out.fileno()), descriptor_to(2, err.fileno()), open(1, 'w', closefd=False) as stdout, \
                open(2, 'w', closefd=False) as stderr, contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            try:
                status = surftrace.main(arguments)
            except SystemExit as error:     # argparse's own
                status = int(error.code or 0)
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode('utf-8', 'surrogateescape'))
    return Printed(status, *texts)
