"""A kernel's types in a file: raw BTF, an ELF file of BTF, a folder of them, and what --export-types writes."""
from __future__ import annotations

import gzip
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import btf_writer as w
import kernels
import pytest
from test_resolve import kernel_of

import surftrace
from surftrace import Array, DebugInfo, InputError, Pointer, Struct, SurftraceError

AMD64 = surftrace.arch_named('x86_64')


def opened(path: Path, mode: str = 'auto') -> DebugInfo:
    """The debug information in a file."""
    return surftrace.given_debug_files([str(path)], mode, None, AMD64, 'release', lambda: None)


def exported(info: DebugInfo, folder: Path, name: str = 'types.btf') -> DebugInfo:
    """What is known of the same kernel from the file that --export-types writes."""
    path = folder / name
    path.write_bytes(surftrace.packed(surftrace.exported_types(info, lambda *_: None), str(path)))
    return opened(path)


def shown(info: DebugInfo, line: str) -> str:
    """What -S makes of a line; why it refuses it, from '!' on."""
    try:
        return surftrace.make_events([(surftrace.parse_probe(line), '')], kernel_of(info))[0].lines()[0].replace('+0 ', ' ', 1)       # 'f+0' where copies of f follow
    except InputError as error:
        return f'!{error.message}'


def chains(info: DebugInfo, names: list[str], count: int, seed: int) -> Iterator[str]:
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


def test_a_big_endian_elf_file_can_be_read_by_others(tmp_path):
    arch = surftrace.arch_named('s390x')
    writer = surftrace.BtfWriter(arch, lambda keyword, name: False)
    writer.function('f', writer.add(surftrace.Function('f', surftrace.Void, (surftrace.Parameter('n', lambda: surftrace.Int('int', 4, True)),))))
    (tmp_path / 'big').write_bytes(surftrace.elf_of(arch, [('.BTF', 1, writer.finish()), ('.note.gnu.build-id', 7,
                                                           surftrace.build_id_note('ab' * 20, 'big'))]))
    info = opened(tmp_path / 'big')
    assert (info.arch.name, info.build_id, info.function('f').parameters[0].type().size) == ('s390x', 'ab' * 20, 4)
    if not shutil.which('readelf'):
        pytest.skip('readelf is not installed')
    said = subprocess.run(['readelf', '-hn', tmp_path / 'big'], capture_output=True, text=True)
    assert 'IBM S/390' in said.stdout and f"Build ID: {'ab' * 20}" in said.stdout and said.stderr == ''


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

@pytest.mark.parametrize('backend', ['DWARF 4', 'DWARF 5', 'BTF'])
def test_what_is_exported_says_the_same(backend, types_file, tmp_path):
    """Every parameter of fixtures/types.c, random members of it, before and after: the same fetches, or no fetch."""
    info = surftrace.given_debug_info(str(types_file(backend)), 'btf' if backend == 'BTF' else 'dwarf', None, AMD64)
    after, lines = exported(info, tmp_path), set(chains(info, sorted(info.symbols.function_symbols), 1500, 1))
    assert len(lines) > 100
    different = {line: (shown(info, line), shown(after, line)) for line in lines if shown(info, line) != shown(after, line)}
    assert not {line: pair for line, pair in different.items() if pair[1][0] != '!' and pair[0] != pair[1]}, different
    assert len(different) <= len(lines) // 20, different        # structs by value, whose places only DWARF has
    assert after.build_id == info.build_id


def test_bpftool_and_pahole_read_what_is_exported(types_file, tmp_path):
    info = surftrace.given_debug_info(str(types_file('DWARF 5')), 'dwarf', None, AMD64)
    exported(info, tmp_path)
    if not shutil.which('pahole'):
        pytest.skip('pahole is not installed')
    ours, theirs = (subprocess.run(['pahole', '-F', kind, '-C', 'bits,scalars', file], capture_output=True, text=True).stdout
                    for kind, file in (('btf', tmp_path / 'types.btf'), ('dwarf', types_file('DWARF 5'))))
    offsets = [re.findall(r'; +/\* +(\d+)(?:: *(\d+))? +\d+ \*/', text) for text in (ours, theirs)]
    assert offsets[0] == offsets[1] and len(offsets[0]) > 10


AMBIGUOUS = ('''struct twin { int a; int mine; int more; };
struct priv { int a; int first; }; struct shared { struct priv *p; int n; struct later *l; };
int one(struct shared *s, struct priv *p) { return s->n + p->first; } static int twice(struct priv *p) { return p->a; }
struct later { char x; int y; };
__attribute__((used)) int (*const keep)(struct priv *) = twice; int early(struct later *l) { return l->y; }
int twin_one(struct twin *t) { return t->mine; }
''', '''struct twin { int a; short more, mine; int c; };
struct priv { long b[3];
  long second; }; struct shared { struct priv *p; int n; struct later *l; }; struct later;
long two(struct shared *s, struct priv *p) { return s->n + p->second; } static long twice(struct priv *p) { return p->b[0]; }
__attribute__((used)) long (*const keep2)(struct priv *) = twice; int same(struct shared *s) { return s->n; }
int twin_two(struct twin *t) { return t->mine; }
int main(void) { return 0; }
''')


@pytest.fixture(scope='module')
def ambiguous(tmp_path_factory) -> DebugInfo:
    """Two files that have different structs and functions of one name."""
    if not shutil.which('gcc'):
        pytest.skip('gcc is not installed')
    folder = tmp_path_factory.mktemp('ambiguous')
    for name, text in zip('ab', AMBIGUOUS):
        (folder / f'{name}.c').write_text(text)
    subprocess.run(['gcc', '-g', '-O1', '-o', 'prog', 'a.c', 'b.c'], cwd=folder, check=True)
    return exported(surftrace.given_debug_info(str(folder / 'prog'), 'dwarf', None, AMD64), folder)


@pytest.mark.parametrize(('line', 'becomes'), [
    ('p one p->first', 'first=+4(%si):s32'), ('p two p->second', 'second=+24(%si):s64'), ('p same s->n', 'n=+8(%di):s32'),
    ('p same s->l->y', 'y=+4(+16(%di)):s32'), ('p early l->y', 'y=+4(%di):s32'),
    ('p twin_one t->mine', 'mine=+4(%di):s32'), ('p twin_two t->mine', 'mine=+6(%di):s16'),     # in one line, of one size
    ('p one s->p->first', '!'), ('p two s->p->second', '!'), ('p same s->p->a', '!'),        # whose priv it is nobody knows there
    ('p one !(struct priv *)%1->first', '!'), ('p twice p->a', '!')])
def test_nobody_is_sent_to_the_struct_of_another_file(line, becomes, ambiguous):
    said = shown(ambiguous, line)
    assert said.startswith('!') if becomes == '!' else said.endswith(f' {becomes}'), said


def test_a_modules_dwarf_exported_says_the_same(tmp_path):
    """A larger one: what a module's functions lead to, the kernel's own structs among them."""
    file = surftrace.Executable(str(kernels.module_debug('6.1-amd64', 'nf_conntrack', 'tun') / 'tun.ko'))
    info = DebugInfo(AMD64, file, [lambda: surftrace.Dwarf(file)])
    after = exported(info, tmp_path)
    lines = list(chains(info, sorted(file.function_symbols), 400, 2))
    pairs = {line: (shown(info, line), shown(after, line)) for line in lines}
    wrong = {line: pair for line, pair in pairs.items() if pair[0] != pair[1] and pair[1][0] != '!'}
    assert not wrong
    assert sum(pair[1][0] != '!' for pair in pairs.values()) > 200
    assert sum(pair[0] != pair[1] for pair in pairs.values()) < 20, {line: pair for line, pair in pairs.items() if pair[0] != pair[1]}


def test_a_kernels_types_are_its_btf_and_small(tmp_path, capfd):
    vmlinux = str(kernels.kernel('6.1-amd64') / 'vmlinux')
    for name, limit in ('k.btf', 6_000_000), ('k.btf.xz', 1_500_000):
        assert surftrace.main(['--export-types', str(tmp_path / name), '-v', vmlinux]) == 0
        assert (tmp_path / name).stat().st_size < limit
    before, after = surftrace.given_debug_info(vmlinux, 'btf', None, AMD64), opened(tmp_path / 'k.btf.xz')
    assert after.build_id == before.build_id and after.btf.bytes() == before.btf.bytes()
    names = list(before.btf.function_names())
    for line in chains(before, names, 150, 3):
        assert shown(DebugInfo(AMD64, None, [lambda: before.btf]), line) == shown(after, line)


def test_per_cpu_variables_are_still_known_as_such(tmp_path, compile_c):
    text = ('__attribute__((section("percpu_data"))) long counter = 1; long plain; long f(long *x) { return *x + plain; }'
            'int main(void) { return f(&counter); }')
    info = exported(surftrace.given_debug_info(str(compile_c(text, '-g', '-O1')), 'dwarf', None, AMD64), tmp_path)
    assert info.variable('counter').per_cpu and info.variable('plain') is None


def test_plain_char_keeps_its_sign(tmp_path, compile_c):
    for flag, signed in ('-fsigned-char', True), ('-funsigned-char', False):
        info = surftrace.given_debug_info(str(compile_c('int f(char *p) { return *p; } int main(void) { return f(""); }', '-g', '-O1', flag)),
                                          'dwarf', None, AMD64)
        after = exported(info, tmp_path)
        assert after.function('f').parameters[0].type().target().signed is signed


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


def test_damaged_types_never_reach_a_file_or_a_traceback(types_file, tmp_path, capfd):
    data = bytearray(types_file('DWARF 5').read_bytes())
    section = surftrace.Executable(str(types_file('DWARF 5'))).sections['.debug_info']
    rng = random.Random(4)
    for count in range(25):
        broken = bytearray(data)
        for _ in range(20):
            broken[section.offset + rng.randrange(section.size)] = rng.randrange(256)
        (tmp_path / 'broken').write_bytes(broken)
        status = surftrace.main(['-m', 'dwarf', '--export-types', str(tmp_path / f'{count}'), '-v', str(tmp_path / 'broken')])
        assert status in (0, 1) and (status == 0) == (tmp_path / f'{count}').exists()
        assert 'Traceback' not in capfd.readouterr().err
