"""Runs of surftrace on this machine's tracefs."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import List, Optional

PROJECT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, str(PROJECT / 'surftrace.py')]
PARSED = ('--raw', '--verbose')         # the tests read the kernel's lines, and the commands
FORK = 'e sched/sched_process_fork'
PATIENCE = 120          # seconds that nothing takes: the machine may have much else to do


class Running:
    """A surftrace that traces; its two outputs grow while it runs."""
    started: List['Running'] = []

    def __init__(self, *arguments: str, stdout: Optional[int] = None, command: Optional[List[str]] = None) -> None:
        arguments = (*PARSED, *(word for word in arguments if word != '-q'))        # which would not say when it traces
        self.process = subprocess.Popen(command or [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors='surrogateescape', start_new_session=bool(command))
        self.started.append(self)
        self.err: List[str] = []
        self._out: List[str] = []
        self._tracing = threading.Event()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        assert self._tracing.wait(PATIENCE), ''.join(self.err)

    def _listen(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.err.append(line)
            if 'Ctrl-C ends it' in line:
                self._tracing.set()
        self._tracing.set()

    def end(self, number: int = signal.SIGINT) -> List[str]:
        """The lines it printed, after a signal."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> List[str]:
        """The lines it printed, when it ends by itself."""
        out = self.process.stdout.read() if self.process.stdout else ''
        self.process.wait(PATIENCE)
        self._listener.join()
        return self._out + out.splitlines()

    def shows(self, text: str, times: int = 1) -> None:
        """Wait until so many of the lines that it printed hold that text."""
        while sum(text in line for line in self._out) < times:
            line = self.process.stdout.readline() if self.process.stdout else ''
            assert line, (self._out, self.err)
            self._out.append(line.rstrip('\n'))

    @property
    def instance(self) -> Path:
        found = re.search(r'mkdir (\S+)', ''.join(self.err))
        assert found
        return Path(found[1])


def surftrace(*arguments: str, text: str = '') -> 'subprocess.CompletedProcess[str]':
    """A run that ends by itself."""
    return subprocess.run([*COMMAND, *PARSED[:1], *arguments], input=text, capture_output=True, text=True, timeout=PATIENCE)


def is_anothers(text: str) -> bool:
    """Whether it names what a surftrace has that somebody else has running, no test of ours."""
    run = re.search(r'\bsurftrace_(\d+)_', text)
    pid = int(run[1]) if run else 0
    if not os.path.exists(f'/proc/{pid}'):
        return False
    while pid not in (0, os.getpid()):
        try:
            pid = int(Path(f'/proc/{pid}/stat').read_text(errors='replace').rpartition(')')[2].split()[1])
        except OSError:                                     # it has just ended
            return True
    return pid == 0


def children(count: int) -> List[int]:
    """The process ids of so many children that have come and gone."""
    pids = []
    for _ in range(count):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        pids.append(child)
    return pids


def forked(lines: List[str]) -> List[int]:
    return [int(match[1]) for match in (re.search(r'child_pid=(\d+)', line) for line in lines) if match]
