"""A kernel's types in a file: raw BTF, an ELF file of BTF, a folder of them, and what --export-types writes."""
from __future__ import annotations

import gzip
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import btf_writer as w
import pytest
from helpers import AMD64, events_of, machine_of, need, types_of, vmlinux

import surftrace
from surftrace import Array, InputError, Module, Pointer, Struct, SurftraceError


def opened(path: Path, mode: str = 'auto') -> Module:
    """The debug information in a file."""
    return surftrace.given_debug_files([str(path)], mode, None, AMD64, 'release', lambda: None)


def exported(info: Module, folder: Path, name: str = 'types.btf') -> Module:
    """What is known of the same kernel from the file that --export-types writes."""
    path = folder / name
    path.write_bytes(surftrace.packed(surftrace.exported_types(info), str(path)))
    return opened(path)


def shown(info: Module, line: str) -> str:
    """What -S makes of a line; why it refuses it, from '!' on."""
    try:
        return events_of(machine_of(info), line)[0].lines()[0].replace('+0 ', ' ', 1)       # 'f+0' where copies of f follow
    except InputError as error:
        return f'!{error.message}'


def chains(info: Module, names: list[str], count: int, seed: int) -> Iterator[str]:
    """Lines that go from a function's parameter through random members to something."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        name = rng.choice(names)
        function = info.function(name)
        if not function or not function.parameters:
            continue
        index = rng.randrange(len(function.parameters))
        text, type_ = f'%{index}', function.parameters[index].type()
        for _ in range(rng.randrange(1, 7)):
            target = type_.target() if isinstance(type_, Pointer) else type_
            if isinstance(type_, Array) and type_.length:
                at = rng.randrange(type_.length)
                text, type_ = f'{text}[{at}]', type_.element()
            elif isinstance(target, Struct) and target.size and surftrace.member_names(target):
                member = rng.choice(surftrace.member_names(target))
                text += ('->' if isinstance(type_, Pointer) else '.') + member
                type_ = surftrace.find_member(target, member).type()
            else:
                break
        if text != f'%{index}':
            made += 1
            yield f'p {name} x={text}'


# ---- which file

@pytest.fixture(scope='module')
def raw() -> bytes:
    """A little BTF."""
    return w.btf((w.INT, 'int', 4, 1 << 24 | 32), (w.STRUCT, 's', 8, 'a', 1, 0, 'b', 1, 32), (w.PTR, '', 2),
                 (w.PROTO, '', 1, 'x', 3), (w.FUNC, 'f', 4))


def test_raw_btf_and_an_elf_file_of_it(raw, tmp_path, capfd):
    (tmp_path / 'raw.btf').write_bytes(raw)
    for arch in (AMD64, surftrace.arch_named('arm64'), surftrace.arch_named('i386')):
        (tmp_path / 'elf').write_bytes(surftrace.elf_of(arch, [('.BTF', 1, raw)]))
        assert surftrace.main(['-S', '-v', str(tmp_path / 'elf'), 'p f x->b']) == 0
        assert surftrace.main(['-S', '-a', arch.name, '-v', str(tmp_path / 'raw.btf'), 'p f x->b']) == 0
        (tmp_path / 'raw.btf.gz').write_bytes(gzip.compress(raw))
        assert surftrace.main(['-S', '-a', arch.name, '-v', str(tmp_path / 'raw.btf.gz'), 'p f x->b']) == 0
        one, other, packed = capfd.readouterr().out.splitlines()
        assert one == other == packed == f'p:f0 f b=+4(%{arch.arguments[0]}):s32'


@pytest.mark.parametrize(('names', 'chosen'), [
    (['6.1.0-1.btf', '6.1.0-11.btf', 'vmlinux-6.1.0'], '6.1.0-1.btf'), (['a.btf'], 'a.btf'), (['vmlinux-6.1.0-1', 'x'], 'vmlinux-6.1.0-1'),
    (['6.1.0-1.btf.xz', '5.4.btf'], '6.1.0-1.btf.xz'), (['16.1.0-1.btf', '6.1.0-10.btf'], None), ([], None),
    (['6.1.0-1.btf', 'vmlinux-6.1.0-1'], None)])
def test_a_folder_has_the_file_of_a_release(names, chosen, tmp_path):
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / 'folder').mkdir()
    if chosen:
        assert surftrace.file_of_release(str(tmp_path), '6.1.0-1') == str(tmp_path / chosen)
        return
    with pytest.raises(SurftraceError, match='files? there for 6.1.0-1'):
        surftrace.file_of_release(str(tmp_path), '6.1.0-1')


def test_btf_of_another_kernel_is_refused_live(raw, tmp_path, monkeypatch):
    """By the build-id where there is one, else byte for byte; where nothing tells, a word."""
    (tmp_path / 'raw').write_bytes(raw)
    (tmp_path / 'running').write_bytes(raw + b'\0')
    (tmp_path / 'elf').write_bytes(surftrace.elf_of(AMD64, [('.BTF', 1, raw), ('.note.gnu.build-id', 7,
                                                            surftrace.build_id_note('ab' * 20, 'little'))]))
    info, elf = opened(tmp_path / 'raw'), opened(tmp_path / 'elf')
    monkeypatch.setattr(surftrace, 'RUNNING_BTF', str(tmp_path / 'running'))
    monkeypatch.setattr(surftrace, 'running_build_id', lambda arch: 'cd' * 20)
    with pytest.raises(SurftraceError, match='is not the BTF of the running kernel'):
        surftrace.check_same_kernel(info, 'x')
    with pytest.raises(SurftraceError, match=r'is of another kernel \(build-id abab'):
        surftrace.check_same_kernel(elf, 'x')
    monkeypatch.setattr(surftrace, 'running_build_id', lambda arch: 'ab' * 20)
    assert surftrace.check_same_kernel(elf, 'x') == ''
    (tmp_path / 'running').write_bytes(raw)
    assert surftrace.check_same_kernel(info, 'x') == ''
    monkeypatch.setattr(surftrace, 'RUNNING_BTF', str(tmp_path / 'nowhere'))
    assert 'nothing tells whether' in surftrace.check_same_kernel(info, 'x')


# ---- --export-types

def test_what_is_exported_says_the_same(types_file, tmp_path):
    """Every parameter of fixtures/types.c, random members of it, before and after: the same fetches."""
    info = types_of(types_file('BTF'), 'btf')
    after, lines = exported(info, tmp_path), set(chains(info, sorted(info.symbols.function_symbols), 1500, 1))
    assert len(lines) > 100
    assert {line: shown(after, line) for line in lines} == {line: shown(info, line) for line in lines}
    assert after.build_id == info.build_id


def test_of_dwarf_alone_the_message_names_the_tool_that_makes_btf(types_file, tmp_path, capfd):
    """And what that makes is taken."""
    program, file = types_file('DWARF 5'), tmp_path / 'types.btf'
    assert surftrace.main(['--export-types', str(file), '-v', str(program)]) == 1 and not file.exists()
    command = re.search(r'pahole (--\w+) FILE VMLINUX', capfd.readouterr().err)
    assert command
    need('pahole')
    subprocess.run(['pahole', command[1], file, program], check=True)
    assert surftrace.main(['-S', '-v', str(file), 'p take_bits p->b']) == 0
    assert capfd.readouterr().out == 'p:f0 take_bits b=+0(%di):b7@3/16\n'


def test_a_kernels_types_are_its_btf_and_small(tmp_path, capfd):
    file = vmlinux('6.1-amd64')
    for name, limit in ('k.btf', 6_000_000), ('k.btf.xz', 1_500_000):
        assert surftrace.main(['--export-types', str(tmp_path / name), '-v', file]) == 0
        assert (tmp_path / name).stat().st_size < limit
    before, after = types_of(file, 'btf'), opened(tmp_path / 'k.btf.xz')
    assert after.build_id == before.build_id and after.btf.data == before.btf.data
    names = list(before.btf.function_names())
    for line in chains(before, names, 150, 3):
        assert shown(Module(AMD64, None, [lambda: before.btf]), line) == shown(after, line)


@pytest.mark.parametrize(('words', 'status', 'message'), [
    (['--export-types', '/nowhere/x', '-v', '{btf}'], 1, 'No such file'),
    (['--export-types', '{folder}/x.zst', '-v', '{btf}'], 2, 'surftrace writes .gz and .xz'),
    (['--export-types', '{folder}/x', '-v', '{btf}', 'p f'], 2, 'takes no lines'),
    (['--export-types', '{folder}/x', '-v', '{folder}/none'], 1, 'No such file'),
    (['--export-types', '{folder}/x', '-m', 'remote'], 2, 'takes no lines'),
])
def test_what_is_refused(words, status, message, raw, tmp_path, capfd):
    (tmp_path / 'raw.btf').write_bytes(raw)
    assert surftrace.main([word.format(folder=tmp_path, btf=tmp_path / 'raw.btf') for word in words]) == status
    said = capfd.readouterr().err
    assert message in said and 'Traceback' not in said
    assert not (tmp_path / 'x').exists()
