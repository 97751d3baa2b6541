"""The README says what the program does: its options, its examples and its tables are held against it. What its examples
print is written by readme_outputs.py, from real runs."""
from __future__ import annotations

import re
import shlex

import compilers
import guest_checks
import kernels
import picture
import pytest
import readme_outputs
from helpers import WALKS, outcome, vmlinux

import surftrace

README = readme_outputs.README.read_text()
COMMANDS = list(readme_outputs.commands(README))
OURS = [command for command, _ in COMMANDS if 'surftrace ' in command.split('&&')[0]]


def arguments_of(command: str) -> list[str]:
    """What stands behind surftrace in a command; $(...) is a number."""
    words = shlex.split(re.sub(r'\$\([^)]*\)', '1', command))
    words = words[words.index('surftrace') + 1:]
    return words[:words.index('--')] if '--' in words else words


def test_it_is_short_and_narrow() -> None:
    prose = [line for line in re.sub(r'^```\n.*?^```', '', README, flags=re.M | re.S).split('\n') if not line.startswith('|')]
    assert README.count('\n') <= 350 and max(map(len, prose)) <= 130, (README.count('\n'), max(prose, key=len))


def test_its_links_lead_to_headings() -> None:
    headings = {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in re.findall(r'^#+ (.*)$', README, re.M)}
    assert set(re.findall(r'\]\(#([^)]*)\)', README)) <= headings


def test_every_option_that_it_names_is_there() -> None:
    known = {option for action in surftrace.arguments()._actions for option in action.option_strings}
    spans = re.findall(r'`(-[^`]*|surftrace [^`]*)`', re.sub(r'^```\n.*?^```', '', README, flags=re.M | re.S))
    named = {word for span in spans for word in re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", re.sub(r"'[^']*'", '', span))}
    assert len(named) > 15
    assert named - known == {'-dbg', '-dbgsym', '-old'} & named


@pytest.mark.parametrize('command', OURS)
def test_every_line_of_an_example_can_be_parsed(command: str) -> None:
    for line in surftrace.arguments().parse_args(arguments_of(command)).lines:
        try:
            surftrace.parse_probe(line)
        except surftrace.InputError:
            pytest.fail(f'{line} is no line')


@pytest.mark.parametrize('command', [command for command in OURS if command.startswith('sudo')])
def test_every_example_says_what_happens_meanwhile(command: str) -> None:
    kept = any(word in command for word in readme_outputs.KEPT)
    assert kept or readme_outputs.example_of(command).act, 'an entry of EXAMPLES in readme_outputs.py makes its events come'


@pytest.mark.parametrize('command, printed', COMMANDS)
def test_no_example_is_without_output(command: str, printed: list[str]) -> None:
    assert bool(printed) != any(word in command for word in readme_outputs.KEPT), 'tests/readme_outputs.py writes what it prints'


@pytest.mark.parametrize('command, printed', [(c, p) for c, p in COMMANDS if 'vmlinux' in c and re.search(' -[SLFl] ', c)])
def test_what_is_printed_is_what_it_printed(command: str, printed: list[str]) -> None:
    for label in ('6.1-amd64', '6.1-arm64'):
        vmlinux(label)                              # or skip
    found = readme_outputs.cut(readme_outputs.example_of(command), *readme_outputs.of_files(command))
    # another build of that kernel has other offsets: those are not the README's promise, the words are
    assert [re.sub(r'\d+', 'N', line) for line in found] == [re.sub(r'\d+', 'N', line) for line in printed]


def test_the_picture_shows_what_is_printed() -> None:
    """What it shows of runs is compared in a guest."""
    text = picture.FILE.read_text()
    shown = picture.shown_in(text)
    assert tuple(shown) == picture.COMMANDS and f'](tests/{picture.FILE.name})' in README and len(text) < 20000
    assert picture.drawn(''.join(f'{picture.PROMPT}{command}\n{text}' for command, text in shown.items())) == text
    refused = [command for command in shown if ' -- ' not in command]
    for command in refused:
        assert outcome('-S', '-m', 'btf', '-v', vmlinux(), *arguments_of(command)).err == shown[command]
    assert refused


def what_is_run() -> str:
    """The README's table of what is run where, from the tests' own tables."""
    in_kernel = {label for _, labels in guest_checks.CHECKS.values() for label in labels} | set(kernels.ARM64)
    rows = [('', 'kernel probes', 'programs', 'types and places'), ('---',) * 4]
    for label in kernels.LABELS:
        version, architecture = label.split('-')
        name = f"Linux {version}{' (the newest in Debian)' if version == '7' else ''}, {architecture}"
        where = 'in a VM' if label in in_kernel else ''
        rows.append((name, where, 'in a VM', 'against gdb' if label in WALKS else ''))
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows).replace('  ', ' ')


def test_the_table_of_what_is_run_where_is_the_tests_own() -> None:
    found = re.search(r'^\| \| kernel probes .*(?:\n\|.*)*', README, re.M)
    assert found and found[0] == what_is_run(), f"it has to be:\n{what_is_run()}"
    assert ', '.join(compilers.TOOLCHAINS) in ' '.join(README.split()), 'the architectures whose arguments are compared with a compiler'
