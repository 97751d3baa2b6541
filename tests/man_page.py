"""Makes surftrace.1 of surftrace's own help and of README.md; and is the build backend, setuptools', that installs it.

    python3 tests/man_page.py | man -l -
"""
from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SECTIONS = 'Other machines', 'Reading the output', 'Safety', 'When it fails', 'Limits'


def escaped(text: str) -> str:
    """Text that roff takes as it is."""
    return re.sub(r"^(?=[.'])", r'\\&', text.replace('\\', '\\e').replace('-', '\\-'), flags=re.M)


def spans(text: str) -> str:
    """A paragraph of Markdown: code and what is strong are bold, links are their text."""
    text = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', ' '.join(text.split()))
    parts = re.split(r'(`[^`]+`|\*\*[^*]+\*\*)', text)
    bold = (rf'\fB{escaped(part.strip("`*" if part[0] == "*" else "`"))}\fR' if number % 2 else escaped(part)
            for number, part in enumerate(parts))
    return re.sub(r"^(?=[.'])", r'\\&', ''.join(bold))


def verbatim(text: str) -> list[str]:
    """Lines that stay as they are."""
    return ['.PP', '.RS 2', '.nf', *(escaped(line) for line in text.split('\n')), '.fi', '.RE']


def roff(markdown: str) -> Iterator[str]:
    """The Markdown of README.md and of --help-language: code, headings, rows of items, tables, paragraphs."""
    for number, code in enumerate(re.split(r'^```\n(.*?)\n```$', markdown, flags=re.M | re.S)):
        if number % 2:
            yield from verbatim(code)
            continue
        for block in filter(None, re.split(r'\n\n+|\n(?=- )', code.strip())):
            if block.startswith('#'):
                yield f'.SS {spans(block.lstrip("# "))}'
            elif block.startswith('- '):
                yield from ('.IP \\(bu 2', spans(block[2:]))
            elif block.startswith('|'):
                for row in block.split('\n')[2:]:
                    first, *rest = (cell.strip().replace('\\|', '|') for cell in re.split(r'(?<!\\)\|', row)[1:-1])
                    yield from ('.TP', spans(first), spans('; '.join(filter(None, rest))))
            else:
                yield from ('.PP', spans(block))


def options(groups: dict[str, Any]) -> Iterator[str]:
    """The options, group by group."""
    for title, rows in groups.items():
        yield f'.SS {escaped(title)}'
        for names, value, purpose in rows:
            shown = '' if names == 'lines' else ', '.join(rf'\fB{escaped(name)}\fR' for name in names.split())
            yield from ('.TP', f'{shown} {escaped(value)}'.strip(), escaped(purpose))


def man_page() -> str:
    """The whole page."""
    sys.path.insert(0, str(PROJECT))
    import surftrace
    readme = (PROJECT / 'README.md').read_text()
    lines = [f'.TH SURFTRACE 1 "" "surftrace {surftrace.__version__}" "User Commands"', '.nh', '.ad l', '.SH NAME',
             'surftrace \\- trace functions and events of the kernel and of programs with C expressions',
             '.SH SYNOPSIS', r'.B surftrace', escaped(surftrace.USAGE[0].partition(' ')[2]), '.PP', escaped(surftrace.USAGE[1]),
             '.SH DESCRIPTION', escaped(surftrace.PURPOSE), '.SH EXAMPLES']
    for command, what in surftrace.EXAMPLES:
        lines += ['.TP', f'surftrace {escaped(command)}', escaped(what)]
    lines += ['.SH OPTIONS', *options(surftrace.OPTIONS)]
    lines += ['.SH THE LANGUAGE', *verbatim(surftrace.GRAMMAR.strip()), *roff(surftrace.LANGUAGE)]
    for title in SECTIONS:
        lines += [f'.SH {title.upper()}', *roff(readme.split(f'\n## {title}\n')[1].split('\n## ')[0])]
    page = '\n'.join((*lines, '.SH SEE ALSO', r'.BR perf\-probe (1),', r'.BR bpftrace (8),', r'.BR trace\-cmd (1)', ''))
    return re.sub(r'^(\.S[HS] .*\n)\.PP\n', r'\1', page, flags=re.M)      # mandoc warns of a paragraph behind a heading


def _made() -> None:
    """Put the page where setup.cfg has it from."""
    (PROJECT / 'build').mkdir(exist_ok=True)
    (PROJECT / 'build/surftrace.1').write_text(man_page())


def build_wheel(folder: str, *settings: Any) -> str:
    """See PEP 517."""
    from setuptools import build_meta
    _made()
    return build_meta.build_wheel(folder, *settings)


def build_editable(folder: str, *settings: Any) -> str:
    """See PEP 660."""
    from setuptools import build_meta
    _made()
    return build_meta.build_editable(folder, *settings)


def build_sdist(folder: str, *settings: Any) -> str:
    """See PEP 517; this file goes with it."""
    from setuptools import build_meta
    _made()
    wanted = PROJECT / 'MANIFEST.in'
    wanted.write_text('graft tests\n')
    try:
        return build_meta.build_sdist(folder, *settings)
    finally:
        wanted.unlink()


if __name__ == '__main__':
    sys.stdout.write(man_page())
