"""The README says what the program does: its grammar, its options and its examples are held against it."""
from __future__ import annotations

import re
import shlex
from pathlib import Path

import kernels
import pytest

import surftrace

README = (Path(__file__).resolve().parents[1] / 'README.md').read_text()
SOURCE = Path(surftrace.__file__).read_text()


def grammar() -> str:
    """The comment at the top of the Expressions room, without its hashes."""
    lines = SOURCE.split('# ---- Expressions ', 1)[1].split('\n')[2:]
    comment = lines[:next(i for i, line in enumerate(lines) if not line.startswith('#'))]
    return '\n'.join(re.sub('^# ? ? ?', '', line) for line in comment).strip()


def options(monkeypatch: pytest.MonkeyPatch) -> str:
    """The options as -h prints them on a terminal of 110 columns."""
    monkeypatch.setenv('COLUMNS', '110')
    return surftrace.arguments().format_help().split('options:\n')[1].split('\n\n')[0]


def block(heading: str) -> str:
    """The first code block below a heading."""
    return README.split(f'## {heading}\n')[1].split('```')[1].strip('\n')


def commands() -> list[tuple[str, list[str]]]:
    """(the command after '$', the lines it printed) of every example."""
    found = []
    for text in re.findall(r'```\n(\$ .*?)```', README, re.S):
        for part in re.split(r'^\$ ', text, flags=re.M)[1:]:
            command, *printed = part.rstrip('\n').split('\n')
            found.append((command, printed))
    return found


def test_the_grammar_is_the_one_in_the_file() -> None:
    assert block('The language') == grammar()


def test_the_options_are_those_of_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    assert block('Options') == options(monkeypatch)


@pytest.mark.parametrize('command', [c for c, _ in commands() if 'surftrace ' in c.split('&&')[0]])
def test_every_line_of_an_example_can_be_parsed(command: str) -> None:
    words = shlex.split(command)
    words = words[words.index('surftrace') + 1:]
    parsed = surftrace.arguments().parse_args(words)
    for line in parsed.lines:
        try:
            surftrace.parse_probe(line)
        except surftrace.InputError:
            pytest.fail(f'{line} is no line')


@pytest.mark.parametrize('command, printed', [(c, p) for c, p in commands() if 'vmlinux' in c and ' -S ' in c])
def test_what_S_prints_is_what_it_printed(command: str, printed: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    label = '6.1-arm64' if 'arm64' in command else '6.1-amd64'
    words = shlex.split(command)[1:]
    words = [str(kernels.kernel(label) / 'vmlinux') if word.startswith('vmlinux') else word for word in words]
    words = [str(kernels.module_debug(label, 'nf_conntrack', 'tun') / word) if word.endswith('.ko') else word for word in words]
    surftrace.main(words)
    captured = capfd.readouterr()
    # another build of that kernel has other offsets: those are not the README's promise, the words are
    plain = [re.sub(r'\d+', 'N', line) for line in (captured.out + captured.err).splitlines() if 'note:' not in line]
    assert not printed or plain == [re.sub(r'\d+', 'N', line) for line in printed]
