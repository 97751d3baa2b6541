"""Draws tests/readme.svg, the picture at the top of README.md: a terminal on which surftrace ran, in a guest with Debian's 6.1.

    tests/picture.py
"""
from __future__ import annotations

import contextlib
import html
import itertools
import os
import pty
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = HERE / 'readme.svg'
COMMANDS = (
    "sudo surftrace 'p vfs_read file->f_path.dentry->d_nam.name'",
    "sudo surftrace -q 'r vfs_read file->f_path.dentry->d_name.name $retval $dur' -- wc /etc/hosts",
    "sudo surftrace -q 'r vfs_read h:file->f_path.dentry->d_name.name sum($retval) avg($dur)' -- id")
PROMPT = '\x1b[1m$\x1b[0m '
COLUMNS = 110
STYLES = {'0': '', '1': 'b', '36': 'c'}                 # of the terminal's codes, those that surftrace writes
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="13" xml:space="preserve">
<style>text {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d8dee4 }}
.b {{ font-weight: bold; fill: #fff }} .c {{ fill: #56c2d6 }}</style>
<rect width="100%" height="100%" rx="6" fill="#16191d"/>
"""


def on_a_terminal(command: str) -> str:
    """What that command shows on a terminal, codes and all; root runs it."""
    import surftrace
    pid, terminal = pty.fork()
    if not pid:
        os.environ.update(TERM='xterm', LC_ALL='C')
        status = surftrace.main(shlex.split(command)[2:])
        sys.stdout.flush()
        os._exit(status)
    shown = b''
    with contextlib.suppress(OSError):                  # its end
        while True:
            shown += os.read(terminal, 1 << 16)
    os.close(terminal)
    os.waitpid(pid, 0)
    return shown.decode().replace('\r\n', '\n')


def rows(text: str) -> Iterator[str]:
    """The rows of a terminal that shows the text."""
    for line in text.splitlines():
        style, cells = '', []
        for code, character in re.findall(r'\x1b\[(\d+)m|(.)', line):
            style = style if character else STYLES[code]
            cells += [(style, character)] * bool(character)
        for start in range(0, len(cells), COLUMNS):
            row = ''
            for style, group in itertools.groupby(cells[start:start + COLUMNS], lambda cell: cell[0]):
                words = html.escape(''.join(character for _, character in group), False)
                row += f'<tspan class="{style}">{words}</tspan>' if style else words
            yield row


def drawn(text: str) -> str:
    """The picture of a terminal that shows the text."""
    lines = [f'<text x="12" y="{24 + 17 * number}">{row}</text>\n' for number, row in enumerate(rows(text))]
    return HEAD.format(width=24 + 8 * COLUMNS, height=24 + 17 * len(lines)) + ''.join(lines) + '</svg>\n'


def shown_in(picture: str) -> dict[str, str]:
    """What the picture shows of each command; the inverse of drawn()."""
    text, codes = '', {style: code for code, style in STYLES.items()}
    for row in re.findall(r'<text [^>]*>(.*)</text>', picture):
        whole = len(html.unescape(re.sub(r'<[^>]*>', '', row))) < COLUMNS       # or it goes on in the next
        row = re.sub('<tspan class="(.)">', lambda match: f'\x1b[{codes[match[1]]}m', row).replace('</tspan>', '\x1b[0m')
        text += html.unescape(row) + '\n' * whole
    return dict(part.split('\n', 1) for part in text.split(PROMPT)[1:])


def shape(text: str) -> set[str]:
    """The kinds of lines that it has, of a run: without numbers, names, places and summaries, which are others each time."""
    text = re.sub(r'"[^"]*"|\(\w+\+0x\w+\)|#+|\n(surftrace: .*\n)+', 'X', text)
    return set(re.sub(' +', ' ', re.sub(r'(?<![\[\d])\d[\w.]*', 'N', text)).splitlines())


if __name__ == '__main__':
    sys.path[:0] = [str(HERE / 'vm'), str(HERE.parent)]
    if sys.argv[1:]:                                    # in the guest
        print('@@PICTURE' + ''.join(f'{PROMPT}{command}\n{on_a_terminal(command)}' for command in COMMANDS) + '@@PICTURE')
    else:
        import machine
        done = machine.run('6.1-amd64', f'python3 {__file__} --in-guest', 300)
        FILE.write_text(drawn(done.output.split('@@PICTURE')[1]))
