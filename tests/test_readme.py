"""The README says what the program does: its grammar, its options and its examples are held against it."""
from __future__ import annotations

import re
import shlex
from pathlib import Path

import compilers
import guest_checks
import kernels
import pytest
from helpers import WALKS, vmlinux

import surftrace

README = (Path(__file__).resolve().parents[1] / 'README.md').read_text()


def options(monkeypatch: pytest.MonkeyPatch) -> str:
    """The options as -h prints them on a terminal of 110 columns, group by group, behind the examples."""
    monkeypatch.setenv('COLUMNS', '110')
    text = surftrace.arguments().format_help()
    return text[text.index('what to trace:\n'):].rstrip('\n')


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


def test_the_language_is_what_help_language_prints(capfd: pytest.CaptureFixture[str]) -> None:
    assert surftrace.main(['--help-language']) == 0
    assert README.split('## The language\n')[1].split('\n## ')[0].strip('\n') == capfd.readouterr().out.rstrip('\n')


def test_every_option_is_in_a_group_of_the_readme() -> None:
    wanted = {option for action in surftrace.arguments()._actions for option in action.option_strings}
    assert wanted == {word for word in re.findall(r'(?<![\w-])--?[\w-]+', block('Options')) if word in wanted}


def test_the_options_are_those_of_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    assert block('Options') == options(monkeypatch)


@pytest.mark.parametrize('command', [c for c, _ in commands() if 'surftrace ' in c.split('&&')[0]])
def test_every_line_of_an_example_can_be_parsed(command: str) -> None:
    words = shlex.split(command.split(' && ')[0])
    words = words[words.index('surftrace') + 1:]
    words = words[:next((at for at, word in enumerate(words) if word in ('--', '&&')), len(words))]
    parsed = surftrace.arguments().parse_args(words)
    for line in parsed.lines:
        try:
            surftrace.parse_probe(line)
        except surftrace.InputError:
            pytest.fail(f'{line} is no line')


@pytest.mark.parametrize('command, printed', [(c, p) for c, p in commands() if 'vmlinux' in c and re.search(' -[SL] ', c)])
def test_what_is_printed_is_what_it_printed(command: str, printed: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    label = '6.1-arm64' if 'arm64' in command else '6.1-amd64'
    words = shlex.split(command)[1:]
    words = [vmlinux(label) if word.startswith('vmlinux') else word for word in words]
    words = [str(kernels.module_debug(label, 'nf_conntrack', 'tun') / word) if word.endswith('.ko') else word for word in words]
    surftrace.main(words)
    captured = capfd.readouterr()
    # another build of that kernel has other offsets: those are not the README's promise, the words are
    plain = [re.sub(r'\d+', 'N', line) for line in (captured.out + captured.err).splitlines() if 'note:' not in line]
    assert not printed or plain == [re.sub(r'\d+', 'N', line) for line in printed]


def what_is_run() -> str:
    """The README's table of what is run where, from the tests' own tables."""
    in_kernel = {label for _, labels in guest_checks.CHECKS.values() for label in labels} | set(kernels.ARM64)
    rows = [('', 'kernel probes', 'programs', 'types and places', 'arguments, members, USDT')]
    for label in kernels.LABELS:
        version, architecture = label.split('-')
        name = f"Linux {version}{' (the newest in Debian)' if version == '7' else ''}, {architecture}"
        where = 'in a VM' if label in in_kernel else ''
        rows.append((name, where, 'in a VM', 'against gdb' if label in WALKS else '', ''))
    for name, tools in compilers.TOOLCHAINS.items():
        rows.append((name, '', '', '', f'against code by `{tools.compiler}` in `{tools.qemu}`'))
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in (rows[0], ('---',) * 5, *rows[1:])).replace('  ', ' ')


def test_the_table_of_what_is_run_where_is_the_tests_own() -> None:
    found = re.search(r'^\| \| kernel probes .*(?:\n\|.*)*', README, re.M)
    assert found and found[0] == what_is_run(), f"it has to be:\n{what_is_run()}"
