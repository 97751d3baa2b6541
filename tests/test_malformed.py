"""Whatever is typed, and whatever a debug file holds: an exit status of 0, 1 or 2, a message, and an end."""
from __future__ import annotations

import contextlib
import gzip
import itertools
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from btf_writer import ARRAY, CONST, FUNC, INT, PROTO, PTR, STRUCT, TYPEDEF, btf
from golden import EVENTS, GOLDEN, HOSTILE, LINES, NESTED, hostile_line, nested
from helpers import check, limited, machine_of, need, outcome, types_of

import surftrace


@pytest.fixture(scope='module')
def raw_btf(types_file, tmp_path_factory) -> Path:
    """The BTF of fixtures/types.c alone."""
    path = tmp_path_factory.mktemp('btf') / 'types.btf'
    elf = surftrace.Executable(str(types_file('BTF')))
    path.write_bytes(bytes(elf.contents('.BTF')))
    return path


# ---- lines

SEEDS = [case.line for case in GOLDEN] + LINES + EVENTS + [hostile_line(text) for text in HOSTILE] + [
    'p take_bits a=p->a b=S%0:u32 c=$comm d=+8(%di):b3@4/32 e=@held f=f:x8 #! a:ip b+c:ip6 f:a==1&&!(b<2||c~"x*")',
    'p:x take_eight+4 *a',
    'p nonsense', 'p take_eight %0 %1 %2', 'p take_bits @(struct iphdr *)l3%0->saddr', 'e a/b c=$d f:c==1', 'p take_*',
    'r99:x give_* $retval']
CHARACTERS = 'pre %0123456789$@()[]<>->.,:;=!&|~*+#"\'\\/_^{}?abxfSUX\t\n\0\x1b\x7fé\udcff\udc80٣　'
MUTATIONS = 1500


INSERTED = [' f:', ' #! ', '->', '(', ')', '"', "'", ':', '[0]', '%', '9' * 20, '0x', '-', '\\', '(T *)', '&', '*', '()', '=']
WRONG = [   # what may go wrong with a line between two of its columns
    lambda random, line, at, to: line[:at] + line[at + 1:],
    lambda random, line, at, to: line[:at] + line[to:],
    lambda random, line, at, to: line[:at],
    lambda random, line, at, to: line[at:],
    lambda random, line, at, to: line[:at] + random.choice(CHARACTERS) + line[at:],
    lambda random, line, at, to: line[:at] + random.choice(CHARACTERS) + line[at + 1:],
    lambda random, line, at, to: line[:at] + line[to:] + line[at:to],
    lambda random, line, at, to: line[:to] + line[at:],
    lambda random, line, at, to: line.replace(' ', random.choice(['', '  ', '\t', '\0'])),
    lambda random, line, at, to: line[:at] + random.choice(INSERTED) + line[at:],
    lambda random, line, at, to: ''.join(random.sample(line, len(line))),
    lambda random, line, at, to: line[:at] + ''.join(random.choices(CHARACTERS, k=9)) + line[to:],
    lambda random, line, at, to: line.swapcase(),
    lambda random, line, at, to: line[::-1],
    lambda random, line, at, to: line + ' ' + random.choice(SEEDS),
]


def mutated(random: Random, line: str) -> str:
    """The line with something wrong in it."""
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        at, to = sorted(random.randint(0, len(line)) for _ in range(2))
        line = random.choice(WRONG)(random, line, at, to)
    return line


def test_mutated_lines_are_read_or_refused(raw_btf):
    counts = {0: 0, 1: 0, 2: 0}
    for seed in range(MUTATIONS):
        random = Random(seed)
        line = mutated(random, random.choice(SEEDS))
        if not line.startswith('-'):
            counts[check('-S', '-v', str(raw_btf), line, caret=bool(line))] += 1
    assert counts[0] > 30 and counts[2] > MUTATIONS // 2


def test_mutated_files_of_lines_are_read_or_refused(raw_btf, tmp_path):
    for seed in range(60):
        random = Random(seed)
        lines = [mutated(random, line) if random.random() < 0.1 else line for line in random.sample(SEEDS, 5)]
        (tmp_path / 'lines').write_bytes('\n'.join(lines).encode('utf-8',
                                                                 'surrogateescape') + bytes(random.choices(range(256),
                                                                     k=random.choice([0, 0, 40]))))
        check('-S', '-v', str(raw_btf), '-f', str(tmp_path / 'lines'))


@pytest.mark.parametrize('kind', NESTED)
@pytest.mark.parametrize('depth', [30, 63, 65, 500, 5000])
def test_what_is_nested_deeply_is_read_or_refused(kind, depth, raw_btf):
    line = nested(kind, depth).replace('p f ', 'p take_void ', 1)
    assert check('-S', '-v', str(raw_btf), line, caret=True) == 2 or depth < 64


@pytest.mark.parametrize('line', [
    'p ' + 'f' * 100_000, 'p take_bits ' + 'a' * 100_000, 'p take_bits ' + 'a=%0 ' * 10_000,
    'p take_bits ' + ' '.join(f'a{i}=p->a' for i in range(500)),
    'p take_bits ' + ' '.join('p->a' for _ in range(125)), 'p take_bits ' + ' ' * 100_000,
    'p take_bits p->a f:a==' + '1' * 100_000, 'p take_bits f:' + 'common_pid==1||' * 20_000 + 'cpu==1',
    'p take_text p->s f:s=="' + 'x' * 100_000 + '"', 'p:' + 'x' * 100_000 + ' take_bits', 'r' + '9' * 100_000 + ' take_bits',
    'p take_bits+' + '9' * 100_000, 'p take_bits:' + '9' * 100_000,
    'p take_bits p->a #! ' + 'a:ip ' * 20_000, 'p take_bits p->a #! a:' + 'S(9)' * 20_000,
    'p take_bits p->a #! a:enum(' + 'x=1,' * 20_000 + 'x=1)', 'p take_bits p->a:' + 'u32' * 50_000,
    'p take_bits %' + '9' * 100_000, 'p take_bits $stack' + '9' * 5_000, 'p take_bits $arg' + '9' * 5_000,
    'p take_bits @0x' + 'f' * 5_000, 'p take_bits +' + '9' * 5_000 + '(%di)',
    'p take_bits \\' + '9' * 5_000, 'p take_bits @held+' + '9' * 5_000, 'p take_arrays p->text[' + '9' * 5_000 + ']',
    'p take_text p->s[' + '9' * 4_000 + ']', 'p take_arrays p->text:x8[' + '9' * 5_000 + ']',
    'p take_bits ' + '"' * 100_000, 'p take_bits ' + '(' * 100_000, 'p take_bits ' + ')' * 100_000, '(' * 100_000,
    'p take_bits f:' + '(a==1)||' * 20_000, 'p take_bits p->' + 'x' * 10_000,
    'p ' + '*' * 1000, 'p ' + '[' * 50, 'p ' + '*a' * 30 + 'b', 'p [', 'p [!', 'p [a-', 'p ?*[]]', 'e ' + 'a' * 10_000 + '/*',
    'p take_bits\0', '\0', 'p take_bits a=\0%0', '', ' ', '\n', '#', '#!', '#! ', '#! p',
], ids=lambda line: line[:40].strip() or repr(line))
def test_what_is_long_or_strange_is_read_or_refused(line, raw_btf):
    check('-S', '-v', str(raw_btf), line)


# ---- options

def test_files_that_are_none_are_refused(tmp_path, raw_btf):
    (tmp_path / 'empty').write_bytes(b'')
    (tmp_path / 'short').write_bytes(b'\x7fEL')
    (tmp_path / 'text').write_bytes(b'p take_bits\n')
    (tmp_path / 'elf').write_bytes(b'\x7fELF')
    (tmp_path / 'btf').write_bytes(b'\x9f\xeb\x01\x00')
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    for name in ('nowhere', 'empty', 'short', 'text', 'elf', 'btf', 'link', 'loop', '.', '', 'text/below', 'x' * 5000, '\udcff'):
        path = str(tmp_path / name) if name else ''
        for mode in ('auto', 'btf', 'dwarf'):
            assert check('-S', '-m', mode, '-v', path, 'p take_bits') == (2 if (name, mode) == ('btf', 'dwarf')
                or not name else 1)
    for path, status in (('nowhere', 1), ('.', 1), ('loop', 1), ('empty', 2), ('elf', 2), ('text', 0)):
        assert check('-S', '-v', str(raw_btf), '-f', str(tmp_path / path)) == status
    for path in ('nowhere/x', '.', 'text/below', 'loop'):
        assert check('-o', str(tmp_path / path), '-v', str(raw_btf), 'p take_bits') == 1


def test_o_overwrites_no_file_that_is_no_script_of_surftrace(tmp_path, raw_btf):
    wanted, line = tmp_path / 'trace.txt', ('-v', str(raw_btf), 'p take_bits')
    wanted.write_text('what somebody has recorded\n')
    assert check('-o', str(wanted), *line) == 1 and check('-S', '-o', str(wanted), *line) == 1
    assert wanted.read_text() == 'what somebody has recorded\n'
    assert outcome('--force', '-o', str(wanted), *line).status == 0 and wanted.read_text().startswith('#!/bin/sh\n# Made by surftrace')
    assert outcome('-o', str(wanted), *line).status == 0
    wanted.write_text('')
    assert outcome('-o', str(wanted), *line).status == 0


def test_files_that_may_not_be_read_are_refused(tmp_path, raw_btf):
    secret = tmp_path / 'secret'
    secret.write_bytes(raw_btf.read_bytes())
    secret.chmod(0)
    with as_nobody():
        assert check('-S', '-v', str(secret), 'p take_bits') == 1
        assert check('-S', '-f', str(secret)) == 1
    assert check('-S', '-v', str(raw_btf), '-f', '/proc/self/mem') == 1
    assert check('-o', '/proc/version', '-v', str(raw_btf), 'p take_bits') == 1


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Not as root, who may read anything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


OPTIONS = [['-S'], ['-m', 'btf'], ['-m', 'dwarf'], ['-m', 'x'], ['-a', 'x86_64'], ['-a', 'arm64'], ['-a', 's390x'],
           ['-a', 'i386'], ['-a', ''], ['-a', 'nonsense'], ['-s'], ['-d', '1'], ['-d', '0'],
           ['-d', 'nan'], ['-d', 'inf'], ['-d', '-1'], ['-d', 'x'], ['-n', '5'], ['-n', '0'], ['-n', '1.5'], ['-n', '9' * 5000],
           ['-b', '64'], ['-b', 'x'], ['-q'], ['-c'], ['-p', '1'], ['-p', ''], ['-p', '1,x'], ['--uid', '0'],
           ['--uid', ''], ['--uid', '\xb2'], ['--uid', '9' * 5000], ['--cgroup', '/'], ['--cgroup', '\udcff('], ['--cgroup', ''],
           ['-p', '0'], ['-p', '99999999'], ['-f', '/nowhere'], ['-v', '/nowhere'], ['--nonsense'], ['-o'], ['-S',
               '-S'], ['p take_bits p->a'], ['p take_bits'], ['p'], ['']]


def test_any_options_together_are_obeyed_or_refused(raw_btf, tmp_path, monkeypatch):
    """Never without -S: that would trace. -o takes what follows for a file, which is not to lie in the project."""
    monkeypatch.chdir(tmp_path)
    for seed in range(250):
        random = Random(seed)
        chosen = list(itertools.chain(*random.sample(OPTIONS, random.randint(0, 4))))
        check('-S', '-v', str(raw_btf), *chosen, *['p take_scalars p->i'] * random.randint(0, 1))


@pytest.mark.parametrize('arch', [arch.name for arch in surftrace.ARCHES] + sorted(surftrace.ARCH_ALIASES))
def test_every_architecture_reads_every_line(arch, raw_btf):
    for line in SEEDS[::9]:
        check('-S', '-a', arch, '-v', str(raw_btf), line)


# ---- debug files

LINES_ON_FILES = [
    'p take_nested p->next->next->d p->u.hi p->named.deep.y',
    'p take_scalars p->en p->ewn p->refs p->anonymous p->hidden f:en==MINUS_ONE',
    'p take_arrays p->grid[1] p->counters p->words[1]',
    'p take_holder container_of(l, struct holder, link)->bits.h ((struct holder *)address)->s->fn',
    'p take_eight a b c d e f=f g h', 'p take_s16 v.d after', 'r give_s24 $retval.b a', 'p take_bits+3 p', 'p take_bits:1 %di',
    'p take_void @held (u32)@held', 'p nonsense', 'p take_*', 'p take_scalars (nonsense *)p->v',
]


@pytest.fixture(scope='module')
def files(types_file, raw_btf, tmp_path_factory) -> dict[str, bytes]:
    """Small debug files of all kinds."""
    compressed = tmp_path_factory.mktemp('compressed') / 'types'
    subprocess.run(['objcopy', '--compress-debug-sections=zlib', types_file('DWARF 5'), compressed], check=True)
    return {'DWARF 4': types_file('DWARF 4').read_bytes(), 'DWARF 5': types_file('DWARF 5').read_bytes(),
            'compressed DWARF': compressed.read_bytes(),
            'BTF in ELF': types_file('BTF').read_bytes(), 'BTF': raw_btf.read_bytes()}


KINDS = ('DWARF 4', 'DWARF 5', 'compressed DWARF', 'BTF in ELF', 'BTF')


def interesting(kind: str, data: bytes, path: Path) -> list[tuple[int, int]]:
    """Where what is read stands in the file."""
    if kind == 'BTF':
        return [(0, 24), (24, len(data))]
    path.write_bytes(data)
    sections = surftrace.Executable(str(path)).sections
    names = ('.BTF',) if kind == 'BTF in ELF' else ('.debug_info', '.debug_abbrev', '.debug_str', '.debug_aranges', '.debug_loc',
                                                    '.debug_loclists', '.debug_line', '.debug_ranges')
    spans = [(sections[name].offset, sections[name].offset + sections[name].size)
             for name in (*names, '.symtab', '.strtab', '.shstrtab') if name in sections]
    table = int.from_bytes(data[40:48], 'little')
    return [*spans, (0, 64), (table, len(data))]


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_that_is_cut_short_is_read_or_refused(kind, files, tmp_path):
    data, path, statuses = files[kind], tmp_path / 'file', set()
    ends = [0, 1, 3, 4, 16, 17, 20, 23, 24, 25, 40, 63, 64, 65] + [len(data) * i // 40 for i in range(40)] + [len(data) - i
        for i in range(1, 9)]
    for end in ends:
        path.write_bytes(data[:end])
        statuses.add(check('-S', '-m', 'btf' if 'BTF' in kind else 'auto', '-v', str(path), Random(end).choice(LINES_ON_FILES)))
    assert 1 in statuses


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_with_wrong_bits_is_read_or_refused(kind, files, tmp_path):
    data, path, statuses = files[kind], tmp_path / 'file', []
    spans = interesting(kind, data, path)
    for seed in range(160):
        random, damaged = Random(seed), bytearray(data)
        for _ in range(random.choice([1, 1, 3, 20])):
            start, end = random.choice(spans)
            at = random.randrange(start, end)
            damaged[at] = random.choice([damaged[at] ^ 1 << random.randrange(8), 0, 0xff, 0x80, random.randrange(256)])
        path.write_bytes(damaged)
        statuses.append(check('-S', '-m', 'btf' if 'BTF' in kind else 'auto', '-v', str(path), random.choice(LINES_ON_FILES)))
    assert len(set(statuses)) > 1


def test_lines_on_a_whole_file_are_read(files, tmp_path):
    """What the files above are damaged versions of: the same with nothing wrong."""
    for kind in KINDS:
        (tmp_path / 'file').write_bytes(files[kind])
        statuses = [check('-S', '-m', 'btf' if 'BTF' in kind else 'auto', '-v', str(tmp_path / 'file'), line)
                    for line in LINES_ON_FILES]
        assert statuses.count(0) >= 6


# ---- types that no compiler makes

NUMBER = (INT, 'int', 4, 1 << 24 | 32)
FUNCTION = [(PROTO, '', 1, 'p', 4), (FUNC, 'f', 2)]                     # types 2 and 3: int f(TYPE_4 p)
STRANGE = {
    'a pointer to itself': [(PTR, '', 4)],
    'a typedef of itself': [(TYPEDEF, 't', 4)],
    'const const const, in a circle': [(CONST, '', 5), (CONST, '', 4)],
    'an array of itself': [(PTR, '', 5), (ARRAY, '', 0, 5, 1, 3)],
    'arrays of one another': [(PTR, '', 5), (ARRAY, '', 0, 6, 1, 3), (ARRAY, '', 0, 5, 1, 0xffffffff)],
    'a struct with itself in it, without a name': [(PTR, '', 5), (STRUCT, 's', 4, '', 5, 0)],
    'a struct with itself in it twice, without a name': [(PTR, '', 5), (STRUCT, 's', 4, '', 5, 0, '', 5, 0)],
    'structs in one another, without names': [(PTR, '', 5), (STRUCT, 's', 4, '', 6, 0, 'x', 1, 0), (STRUCT, 's', 4, '', 5, 0)],
    'a struct that is its only member': [(PTR, '', 5), (STRUCT, 's', 4, 'x', 5, 0)],
    'a struct by value in itself': [(STRUCT, 's', 4, 'x', 4, 0)],
    'a struct by value with an array of itself': [(STRUCT, 's', 4, 'x', 5, 0), (ARRAY, '', 0, 4, 1, 1)],
    'a function that returns itself': [(PTR, '', 5), (PROTO, '', 5, 'x', 4)],
    'a type that is not there': [(PTR, '', 99)],
    'a member whose type is not there': [(PTR, '', 5), (STRUCT, 's', 4, 'x', 99, 0)],
    'a member whose name is not there': [(PTR, '', 5), (STRUCT, 's', 4, 1 << 30, 1, 0)],
    'a member at the end of the world': [(PTR, '', 5), (STRUCT, 's', 4, 'x', 1, 0xffffffff)],
    'a struct of the largest size': [(PTR, '', 5), (STRUCT, 's', 0xffffffff, 'x', 1, 0)],
    'an int of no size': [(INT, 'x', 0, 0)],
    'an int of a strange size': [(INT, 'x', 3, 24)],
    'a function as the type of a parameter': [(FUNC, 'x', 2)],
    'an unknown kind': [(31, 'x', 0)],
}
QUESTIONS = ['p f', 'p f %0', 'p f p', 'p f *p', 'p f p->x', 'p f p->x->x', 'p f p[1]', 'p f p->x[1]', 'p f *p->x', 'p f p.x',
             'p f p.x[0]', 'p f p.x.x', 'p f &p->x', 'p f p->nope', 'p f (struct s *)p',
             'p f p:u8', 'p f p:string', 'p f p->x:x8[2]', 'p f (int)p', 'p f (long)p->x',
             'p f container_of(p, struct s, x)->x', 'p f user(p)->x', 'p f S(p) X(p->x)', 'r f $retval', 'p f (t)p']


@pytest.mark.parametrize('types', STRANGE.values(), ids=STRANGE)
def test_types_that_no_compiler_makes_are_read_or_refused(types, tmp_path):
    (tmp_path / 'btf').write_bytes(btf(NUMBER, *FUNCTION, *types))
    for question in QUESTIONS:
        check('-S', '-v', str(tmp_path / 'btf'), question)


def test_types_that_a_compiler_makes_are_read(tmp_path):
    """What the strange ones are made with gives good ones as well."""
    (tmp_path / 'btf').write_bytes(btf(NUMBER, *FUNCTION, (PTR, '', 5), (STRUCT, 's', 8, 'x', 1, 0, 'y', 4, 32)))
    assert check('-S', '-v', str(tmp_path / 'btf'), 'p f p->x p->y->x') == 0


# ---- what grows when it is unpacked

def section_of(program: Path, folder: Path, data: bytes, name: str = '.debug_info', compressed: bool = False) -> Path:
    """A copy of a program in which a section is this."""
    (folder / 'section').write_bytes(data)
    subprocess.run(['objcopy', '--remove-section', name, '--add-section', f'{name}={folder / "section"}', program, folder / 'copy'],
                   check=True)
    subprocess.run(['objcopy', *['--compress-debug-sections=zlib'] * compressed, folder / 'copy'], check=True)
    return folder / 'copy'


@pytest.mark.parametrize('how', ['.gz', '.xz', '.zst', 'a compressed section', '.gnu_debugdata'])
def test_what_unpacks_to_more_than_can_be_true_is_not_unpacked(how, types_file, tmp_path):
    zeros, bomb = bytes(300 << 20), tmp_path / f'bomb{how}'
    if how in ('.gz', '.xz'):
        bomb.write_bytes(gzip.compress(zeros, 1) if how == '.gz' else lzma.compress(zeros, preset=0))
    elif how == '.zst':
        need('zstd')
        bomb.write_bytes(subprocess.run(['zstd', '-1'], input=zeros, capture_output=True, check=True).stdout)
    elif how == '.gnu_debugdata':
        bomb = section_of(types_file('DWARF 5'), tmp_path, lzma.compress(zeros, preset=0), how)
    else:
        bomb = section_of(types_file('DWARF 5'), tmp_path, zeros, compressed=True)
    del zeros
    with limited():
        if how == '.gnu_debugdata':
            assert len(surftrace.program_at(str(bomb)).symbols.files) == 1
        else:
            with pytest.raises(surftrace.DebugInfoError, match='unpack to more than|says it is one of|damaged zstd'):
                types_of(bomb, 'dwarf').function('take_bits')


# ---- what lies beside the program

def test_what_a_reader_raises_is_called_damage_and_shown_as_it_is_to_whoever_asks(types_file, monkeypatch):
    def defect(self: surftrace.Executable) -> None:
        raise KeyError('of ours')
    monkeypatch.setattr(surftrace, 'DEBUGGING', False)              # put back at the end, since it is the process's
    monkeypatch.setattr(surftrace.Executable, '_read_headers', defect)
    command = ['-S', '-v', str(types_file('DWARF 5')), 'p take_bits p->a']
    assert 'the file is damaged' in outcome(*command)[2]
    monkeypatch.setenv('SURFTRACE_DEBUG', '1')
    with pytest.raises(KeyError, match='of ours'):
        surftrace.main(command)


def test_modules_beside_the_program_are_not_imported(tmp_path, types_file):
    """Root may run it in a folder where others can write."""
    shutil.copy(surftrace.__file__, tmp_path / 'surftrace.py')
    for name in ('elftools', 'argcomplete', 'bisect', 'struct', 'lzma'):
        (tmp_path / f'{name}.py').write_text("raise SystemExit('imported what lies there')")
    line = ['-S', '-v', str(types_file('DWARF 5')), 'p take_bits p->a']
    for command in (['surftrace.py'], ['./surftrace.py'], ['-m', 'surftrace']):
        done = subprocess.run([sys.executable, *command, *line], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, '') and done.stdout.startswith('p:f0 take_bits'), command


WHATS = ['p *', 'p take_*', 'p take_bits', 'p *(struct nested *)', 'p *(struct bits *)', 'p take_nested p->next p->named.deep', 'struct nested',
         'struct nested.next.named', 'struct arrays.words[1]', 'union bit_union', 'enum plain', 'struct s*', 'atomic_t', 'e */*', 'e x', 'r take_*',
         'struct scalars.handle', 'p m:take_*']


def test_mutated_words_are_listed_or_refused(raw_btf: Path) -> None:  # noqa: F811
    statuses = []
    for seed in range(400):
        random_ = Random(seed)
        what = mutated(random_, random_.choice(WHATS))
        statuses.append(check('-v', str(raw_btf), f'--list={what}'))
    assert {0, 2} <= set(statuses)


@pytest.mark.parametrize('kind', KINDS)
def test_a_damaged_file_is_listed_or_refused(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:  # noqa: F811
    data, path, statuses = files[kind], tmp_path / 'file', []
    mode, spans = 'btf' if 'BTF' in kind else 'dwarf', interesting(kind, data, path)
    path.write_bytes(data)
    assert [check('-m', mode, '-v', str(path), '-L', what) for what in WHATS].count(0) > 9
    for seed in range(100):
        random_, damaged = Random(seed), bytearray(data[:Random(seed).randrange(len(data))] if seed % 5 == 0 else data)
        for _ in range(random_.choice([1, 1, 3, 20])):
            at = random_.randrange(*random_.choice(spans))
            if at < len(damaged):
                damaged[at] = random_.choice([damaged[at] ^ 1 << random_.randrange(8), 0, 0xff, 0x80, random_.randrange(256)])
        path.write_bytes(damaged)
        statuses.append(check('-m', mode, '-v', str(path), '-L', random_.choice(WHATS)))
    assert len(set(statuses)) > 1


@pytest.mark.parametrize('types', STRANGE.values(), ids=STRANGE)
def test_types_that_no_compiler_makes_are_listed_or_refused(types: list[tuple], tmp_path: Path) -> None:
    (tmp_path / 'btf').write_bytes(btf(NUMBER, *FUNCTION, *types))
    for what in ('p *', 'p f p', 'p *(struct s *)', 'struct s', 'struct s.x', 'struct s.x.x', 'struct s.x[3]', 't', 'struct *', 'e */*'):
        check('-v', str(tmp_path / 'btf'), '-L', what)
    kernel_ = None if (31, 'x', 0) in types else machine_of(types_of(tmp_path / 'btf', 'btf'))     # refused as a whole
    for text in ('p f p->', 'p f p->x.', 'p f (struct ', 'p f p', 'p f f:p'):
        assert kernel_ is None or isinstance(surftrace.completions(text, kernel_), surftrace.Offer)
