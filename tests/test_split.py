"""Split DWARF: entries in .dwo files or in one .dwp beside the program. The same program with all its entries in itself is what
tells what they mean."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import need, of_programs, outcome

import surftrace

HEADER = '''
struct point { int x, y; struct { short z; } in; };
#ifdef __cplusplus
struct base { int b; virtual ~base() {} virtual int f(int k) { return k + b; } };
namespace ns { template <typename T> struct box : base { T v[2]; struct point *p; static int made; int f(int k) override { return k * p->x; } }; }
#endif
int other(struct point *p, int n);
extern struct own *volatile seen;
'''
FIRST = '''
#include "header.h"
struct own { int q; long r; };
int global = 7; static struct own kept = {1, 2};
static inline int twice(struct point *p, int k) { int sum = 0; for (int i = 0; i < k; i++) sum += p->x * i; return sum; }
__attribute__((noinline)) int work(struct point *p, struct own *o, int n) {
  int local = twice(p, n) + o->q;
  if (n > 3) { int inner = local * 2; seen = o; local += inner; }
  return local + p->y + other(p, local); }
int main(int n, char **v) { struct point p = {3, n, {5}}; return work(&p, &kept, n) + twice(&p, n); }
'''
SECOND = '''
#include "header.h"
struct own { long r; int q; };
struct own *volatile seen; static struct own hidden = {8, 9}; long counter;
#ifdef __cplusplus
template <> int ns::box<long>::made = 3;
__attribute__((noinline)) int boxed(ns::box<long> *b, struct point &p) { b->p = &p; return b->f((int)b->v[1]) + ns::box<long>::made; }
#endif
__attribute__((noinline)) int other(struct point *p, int n) {
#ifdef __cplusplus
  ns::box<long> b; n += boxed(&b, *p);
#endif
  counter += n; hidden.q += n; seen = &hidden; return p->in.z + hidden.q; }
'''
BUILDS = [('gcc', '-gdwarf-4 -O2', 'dwp'), ('g++', '-gdwarf-4 -O0 -fdebug-types-section', 'dwp'), ('gcc', '-gdwarf-5 -O2', ''),
          ('g++', '-gdwarf-5 -O2 -fdebug-types-section', ''), ('clang', '-gdwarf-4 -O0', 'dwp'), ('clang', '-gdwarf-5 -O2', 'llvm-dwp'),
          ('clang++', '-gdwarf-4 -O2', 'dwp'), ('clang++', '-gdwarf-5 -O2 -fdebug-types-section', 'llvm-dwp')]


def built(folder: Path, compiler: str, flags: str) -> Path:
    """The program `split`, and `plain`, the same of one piece; the .dwo files are in `made`."""
    need(compiler)
    made, ending = folder / 'made', '.cc' if '++' in compiler else '.c'
    made.mkdir()
    for name, text in (('header.h', HEADER), (f'first{ending}', FIRST), (f'second{ending}', SECOND)):
        (made / name).write_text(text)
    for split, program in (('-gsplit-dwarf', 'split'), ('-gno-split-dwarf', 'plain')):
        for name in ('first', 'second'):
            subprocess.run([compiler, '-g', *flags.split(), split, '-c', name + ending], cwd=made, check=True)
        subprocess.run([compiler, '-o', folder / program, 'first.o', 'second.o'], cwd=made, check=True)
    return folder / 'split'


def lines(program: Path, *rest: str) -> str:
    """What -S says of parameters and variables at the entries and lines of a program, by names and casts."""
    symbols = surftrace.Executable(str(program)).function_symbols
    name = {word: next(each for each in symbols if re.search(rf'(^|\d){word}([A-Z]|$)', each)) for word in ('work', 'other')}
    asked = [f"{name['work']} p->in.z o->r n @global", f"{name['work']} @kept.r", f"{name['work']} ((struct point *)%di)->y", f"{name['other']} p->y n @counter", f"{name['work']} @hidden.q",
             'first.c*:9 local n', f"{name['work']}:1 local o->q", 'twice p->x k', f"{name['other']} ((struct point *)%di)->in.z", 'main n v:x64',
             f"{name['other']} ((struct own *)%di)->r"]
    if any('boxed' in each for each in symbols):
        boxed = next(each for each in symbols if 'boxed' in each)
        asked += [f'{boxed} b->v[1] b->b p->x @ns::box<long>::made:s32', f'{boxed} ((ns::box<long> *)%di)->p->x']
    ending = 'c' if len(asked) < 10 else 'cc'
    said = [outcome('-S', *rest, f"P {program}:{line.replace('c*', ending)}") for line in asked]
    listed = [outcome('-L', *rest, f'P {program}:*'), outcome('-L', *rest, f'struct point {program}')]
    return '\n'.join(each.out + each.err for each in (*said, *listed)).replace(f'{program.name}:', 'PROGRAM:').replace(str(program), 'PROGRAM')


@pytest.mark.parametrize('compiler, flags, tool', BUILDS)
def test_what_is_in_other_files_is_read_as_if_it_were_in_the_program(compiler: str, flags: str, tool: str, tmp_path: Path) -> None:
    """In the .dwo files, and in the .dwp that a tool makes of them (none reads what gcc makes of DWARF 5)."""
    split = built(tmp_path, compiler, flags)
    found, made = lines(split), tmp_path / 'made'
    assert found == lines(tmp_path / 'plain')
    assert found.count('p:f0') > 7, found
    if tool:
        need(tool, optional=tool == 'llvm-dwp')
        subprocess.run([tool, '-e', split, '-o', f'{split}.dwp'], cwd=made, check=True)
        shutil.rmtree(made)
        assert lines(split) == found


def test_a_file_beside_the_program_will_do_and_a_missing_one_is_named(tmp_path: Path) -> None:
    split = built(tmp_path, 'gcc', '-gdwarf-5 -O2')
    (tmp_path / 'made/first.dwo').rename(tmp_path / 'first.dwo')
    (tmp_path / 'made').rename(tmp_path / 'gone')
    missing = 'second.dwo (-gsplit-dwarf) is not there, or is of another build'
    assert outcome('-S', f'P {split}:work n').out.endswith(' n=%dx:s32\n')
    for line, why in (('other n', "'n' cannot be looked up"), ('work @counter', 'no type is known'), ('work @hidden.q', 'has no members')):
        found = outcome('-S', f'P {split}:{line}')
        assert found.status == 2 and missing in found.err and why in found.err
    assert outcome('-S', f'P {split}:other %0').out.endswith(' arg0=%di:x64\n')
    assert f'note: {missing}; what is inlined there is not seen' in outcome('-S', f'P {split}:twice k').err
    (tmp_path / 'first.dwo').rename(tmp_path / 'away')
    assert f'no function \'twice\': {missing}\n' in outcome('-S', f'P {split}:twice k').err


def test_a_file_of_another_build_is_not_read(tmp_path: Path) -> None:
    """Its entries might fit, and mean other places."""
    split = built(tmp_path, 'gcc', '-gdwarf-5 -O2')
    made = tmp_path / 'made'
    (made / 'second.c').write_text(SECOND.replace('{ long r; int q; }', '{ char pad[64]; long r; int q; }'))
    subprocess.run(['gcc', '-g', '-gdwarf-5', '-O2', '-gsplit-dwarf', '-c', 'second.c'], cwd=made, check=True)
    shutil.copy(made / 'second.dwo', tmp_path)
    for line in ('other n', 'work @hidden.q'):
        found = outcome('-S', f'P {split}:{line}')
        assert found.status == 2 and 'second.dwo (-gsplit-dwarf) is not there, or is of another build' in found.err
    cast = outcome('-S', f'P {split}:main ((struct own *)%di)->r')
    assert cast.out.endswith(' r=+8(%di):s64\n'), cast.err                         # first.c's, the only one that is of this build


def test_what_gcc_has_of_lto_is_not_read(tmp_path: Path) -> None:
    """The references of its entries to those of other units are all 0."""
    built(tmp_path, 'gcc', '-gdwarf-5 -O2')
    subprocess.run(['gcc', '-g', '-O2', '-flto', '-gsplit-dwarf', '-rdynamic', 'first.c', 'second.c', '-o', 'lto'], cwd=tmp_path / 'made', check=True)
    program = tmp_path / 'made/lto'
    found = outcome('-S', f'P {program}:work n')
    assert found.status == 2 and "(-gsplit-dwarf) is of gcc's -flto" in found.err
    assert outcome('-S', f'P {program}:work %1').out.endswith(' arg1=%si:x64\n')


def test_only_the_file_of_the_function_is_opened(tmp_path: Path) -> None:
    split = built(tmp_path, 'gcc', '-gdwarf-5 -O2')
    program = of_programs().program(str(split))
    assert program and program.dwarf and program.function('work')
    opened = [os.path.basename(file.executable.path) for file in program.dwarf.entries._files]
    assert opened == ['split', 'first.dwo']
