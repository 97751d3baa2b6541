"""Modules on real kernels: what is checked, and how, is in vm/module_checks.py; one boot for all of a kernel."""
from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import kernels
import machine
import pytest
from helpers import made, vmlinux

pytestmark = pytest.mark.vm
LABELS = ('6.1-amd64', '7-amd64')
EVERYWHERE = ('a_probe_waits_for_its_module', 'types_from_split_btf')     # the others on one kernel


def checks() -> list[str]:
    """The names of the checks; what has them cannot be imported outside a guest."""
    tree = ast.parse((Path(__file__).parent / 'vm/module_checks.py').read_text())
    table = next(node for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == 'CHECKS')
    return [ast.unparse(name) for name in table.value.elts]


WANTED = {label: [check for check in checks() if label == LABELS[0] or check in EVERYWHERE] for label in LABELS}


@pytest.fixture(scope='module')
def result(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """result(LABEL, CHECK): what came of it, '' if it passed."""
    outputs: dict[str, str] = {}

    def result(label: str, check: str) -> str:
        if label not in outputs:
            folder, other = tmp_path_factory.mktemp(label), next(one for one in LABELS if one != label)
            for file in kernels.module_debug(label, 'nf_conntrack', 'tun').glob('tun.ko*'):
                shutil.copy(file, folder)
            made('-v', vmlinux(other), '--export-types', str(folder / 'other.btf'))
            foreign = next(kernels.module_debug(other, 'nf_conntrack', 'tun').glob('tun.ko*'))
            outputs[label] = machine.run(label, f"python3 tests/vm/module_checks.py '{folder}' '{foreign}' {' '.join(WANTED[label])}", timeout=900,
                                         env={'PYTHONPATH': f'{machine.PROJECT}:{machine.HERE}'}).output
        failed = re.search(rf'^FAIL {check}: (.*)$', outputs[label], re.M)
        passed = re.search(rf'^PASS {check}$', outputs[label], re.M)
        return '' if passed else failed[1] if failed else f'no result: {outputs[label][-3000:]}'
    return result


@pytest.mark.parametrize(('label', 'check'), [(label, check) for label in LABELS for check in WANTED[label]])
def test_in_a_guest(label, check, result):
    failure = result(label, check)
    assert not failure, f'{check} on {label}: {failure}'
