"""What clang makes: whole programs of ThinLTO objects like its kernels, units that no .debug_aranges names,
functions whose parameters it took away. What gdb reads of a parameter at a function's entry is what the
fetch-arg would."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cache import Unavailable
from helpers import events_of, machine_of, need, output, types_of
from inside import answered_by_gdb, field_of, in_c, info_of

import surftrace

HERE = Path(__file__).resolve().parent
VERSION = '-19' if shutil.which('clang-19') else ''
CLANG, PARTS = f'clang{VERSION}', 12


def made(folder: Path, *command: str) -> None:
    need(command[0])
    subprocess.run(command, cwd=folder, check=True)


@pytest.fixture(scope='module', params=['-gdwarf-4', '-gdwarf-5'])
def thin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fixtures/thin.c and thin.S, linked as a whole: only the .S has .debug_aranges."""
    if os.uname().machine != 'x86_64':
        raise Unavailable('fixtures/thin.S is for x86-64')
    need(f'ld.lld{VERSION}')
    folder, flags = tmp_path_factory.mktemp(f'thin{request.param}'), ('-O2', '-flto=thin', request.param)
    for part in range(PARTS):
        macros = f'-DPART={part}', f'-DNEXT_PART={(part + 1) % PARTS}'
        made(folder, CLANG, *flags, *macros, '-c', str(HERE / 'fixtures/thin.c'), '-o', f'{part}.o')
    made(folder, 'gcc', '-g', '-c', str(HERE / 'fixtures/thin.S'), '-o', 'counter.o')
    linker = f'-fuse-ld={shutil.which(f"ld.lld{VERSION}")}'
    objects = 'counter.o', *(f'{part}.o' for part in range(PARTS))
    made(folder, CLANG, *flags, linker, '-no-pie', '-o', 'thin', *objects)
    return folder / 'thin'


def shown(program: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, HERE.parent / 'surftrace.py', '-v', program, '-S', *lines]
    return subprocess.run(command, capture_output=True, text=True)


def test_units_that_aranges_do_not_name_are_known(thin: Path) -> None:
    assert info_of(str(thin)).dwarf.executable.size('.debug_aranges')
    for part in range(PARTS):
        done = shown(thin, f'p part_{part} weight node->weight n=node->list.next->name y=node->at.y')
        fields = 'weight=%si:s32 weight_2=+16(%di):s32 n=+0(+8(+0(%di))):string y=+32(%di):s64'
        assert done.stdout == f'p:f0 part_{part} {fields}\n'
    assert shown(thin, 'p read_counter x=%di').stdout == 'p:f0 read_counter x=%di:x64\n'


def test_names_that_are_numbers_are_found(thin: Path) -> None:
    """DWARF 5 of clang: a struct, a global variable, a typedef and an enum (which begin with their types)."""
    casts = 'w=((struct node *)%di)->weight t=((total_t *)%di)->sum k=((enum kind *)%di)[0]'
    done = shown(thin, f'p part_5 @sink {casts}')
    if '-gdwarf-5' in thin.parent.name:
        fields = 'sink=@sink:s64 w=+16(%di):s32 t=+8(%di):s64 k=+0(%di):u32 #! k:enum(kind)'
        assert done.stdout == f'p:f0 part_5 {fields}\n', done.stderr


def test_the_copies_in_other_files_are_places_too(thin: Path) -> None:
    """One in each file, and the function itself, which nobody calls any more."""
    lines = shown(thin, 'p scaled node->weight factor').stdout.splitlines()
    functions = {line.split()[1].partition('+')[0] for line in lines}
    assert functions == {'scaled', *(f'part_{part}' for part in range(PARTS))}
    assert len(lines) == PARTS + 1
    assert f"'scaled' is also inlined at {PARTS} places" in shown(thin, 'r scaled').stderr


def test_a_parameter_at_entry_is_what_gdb_reads_or_refused(thin: Path, tmp_path: Path) -> None:
    """Of every function, and every copy; the first of helper() and both of nothing() are not there."""
    info, questions, refused = info_of(str(thin)), [], set()
    for name in ('helper', 'nothing', 'scaled', *(f'part_{part}' for part in range(PARTS))):
        for symbol in info.dwarf.executable.symbols(name):
            function = info.function(name, symbol.address)
            for number, parameter in enumerate(function.parameters):
                for text in (parameter.name, f'%{number}'):
                    probe = surftrace.parse_probe(f'p x v={text}')
                    try:
                        fetch, = surftrace.Resolver(surftrace.Target(info, function)).field(probe.args[0]).fetches
                    except surftrace.InputError:
                        refused.add((name, parameter.name))
                        continue
                    expression = in_c(fetch, lambda name: 0)
                    questions.append([symbol.address, name, parameter.name, fetch.text(), *expression])
    for spot in info.dwarf.copies('scaled', info.dwarf.executable.symbols('scaled')[0].address):
        for name in ('node', 'factor'):
            fetch = field_of(info, spot, name).fetches[0]
            questions.append([spot.address, 'scaled', name, fetch.text(), *in_c(fetch, lambda name: 0)])
    assert refused == {('helper', 'unused'), ('nothing', 'left'), ('nothing', 'right')}
    answers = answered_by_gdb(thin, questions, tmp_path)
    assert len([answer for answer in answers if answer[4] is not None]) > 100
    assert [answer for answer in answers if answer[4] not in (None, answer[5])] == []


def test_files_of_two_compilers(tmp_path: Path) -> None:
    """gcc's is named by .debug_aranges, clang's is not."""
    (tmp_path / 'gcc.c').write_text('struct a { int x, y; }; int by_gcc(struct a *a) { return a->y; }\n')
    (tmp_path / 'clang.c').write_text('''
        struct b { long x, y; };
        extern int by_gcc(void *);
        int by_clang(struct b *b) { return b->y; }
        int main(void) { struct b b = {1, 2}; return by_gcc(&b) + by_clang(&b); }
    ''')
    made(tmp_path, 'gcc', '-g', '-O1', '-c', 'gcc.c')
    made(tmp_path, CLANG, '-g', '-O1', '-c', 'clang.c')
    made(tmp_path, 'gcc', '-no-pie', '-o', 'both', 'gcc.o', 'clang.o')
    done = shown(tmp_path / 'both', 'p by_gcc a->y', 'p by_clang b->y')
    assert done.stdout == 'p:f0 by_gcc y=+4(%di):s32\np:f1 by_clang y=+8(%di):s64\n'


# Once inlined, twice called, with parameters that are used nowhere; clang marks it in the entry that all have
# in common.
CHANGED = '''
    #include <stdio.h>
    volatile int seen;
    static int one(int gone, int kept) { for (int i = 0; i < kept; i++) puts("one"), seen += i; return seen; }
    static int none(int gone, int other) { for (int i = 0; i < seen; i++) puts("none"), seen--; return seen; }
    int unused(int first, int second) { return 0; }
    int user(int n) {
        int x, y, z;
        [[clang::always_inline]] x = one(n, 4) + none(n, 4);
        [[clang::noinline]] y = one(n, seen) + one(2, seen + 1);
        [[clang::noinline]] z = none(n, 5) + none(3, n);
        return x + y + z; }
    int main(void) { return user(3) + unused(4, 5); }
'''


@pytest.mark.parametrize('marked', [True, False])
def test_a_parameter_that_was_taken_away_is_no_register(
        marked: bool, compile_c: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM before 15 marks nothing: a function of one file is then not trusted where a parameter is
    nowhere."""
    program = compile_c(CHANGED, '-std=c2x', '-O2', '-gdwarf-5', '-no-pie', '-Wno-everything', compiler=CLANG)
    changed = (surftrace.Variables, '_lost_some') if marked else (surftrace.Die, 'inherited')
    monkeypatch.setattr(*changed, lambda *_: None)
    info = types_of(program, 'dwarf')

    def fetched(line: str) -> str:
        probe = surftrace.parse_probe(line)
        function = info.function(probe.place.function)
        return surftrace.Resolver(surftrace.Target(info, function), probe.kind).field(probe.args[0]).fetches[0].text()
    for line in ('p one gone', 'p one %0', 'p none gone', 'p none other', 'p none %1', 'r one $retval',
                 'r none $retval'):
        with pytest.raises(surftrace.InputError, match='left no place for it|may have taken away'):
            fetched(line)
    assert fetched('p one kept') == fetched('p one %1') == '%di:s32'
    for line, text in (('p unused first', '%di'), ('p unused %1', '%si'), ('r unused $retval', '$retval')):
        assert fetched(line) == f'{text}:s32'


def test_a_function_that_the_debug_information_leaves_out_gets_a_word(tmp_path: Path) -> None:
    (tmp_path / 'without.c').write_text('long without(long a, char *b) { return a + *b; }\n')
    (tmp_path / 'with.c').write_text('''extern long without(long, char *);
        int main(int count, char **words) { return without(count, words[0]); }\n''')
    made(tmp_path, 'gcc', '-O1', '-c', 'without.c')
    made(tmp_path, 'gcc', '-g', '-O1', '-c', 'with.c')
    made(tmp_path, 'gcc', '-no-pie', '-o', 'both', 'with.o', 'without.o')
    for kind, place in (('p', ''), ('P', f'{tmp_path}/both:')):
        done = shown(tmp_path / 'both', f'{kind} {place}without x=%1')
        assert done.stdout.endswith(' x=%si:x64\n')
        assert "note: DWARF tells nothing of 'without': " in done.stderr
        assert shown(tmp_path / 'both', f'{kind} {place}without x=%si', f'{kind} {place}main %1').stderr == ''


def test_a_function_that_only_btf_tells_of_gets_a_word(
        compile_c: Callable[..., Path], with_btf: Callable[[Path], Path],
        monkeypatch: pytest.MonkeyPatch) -> None:
    program = with_btf(compile_c('int f(int a, long b) { return a + b; } int main(void) { return f(1, 2); }',
                                 '-g', '-O1', '-no-pie'))
    words: list[str] = []
    for hidden in (False, True):
        info = types_of(program, 'auto')
        kernel = machine_of(info, words.append)
        if hidden:
            monkeypatch.setattr(surftrace.Dwarf, 'function', lambda *_: None)
        event, = events_of(kernel, 'p f+0 b')
        assert event.lines() == ['p:f0 f+0 b=%si:s64']
    word, = words
    assert "DWARF tells nothing of 'f': its parameters are those that BTF tells" in word
PROGRAM = r'''
#include <cstdio>
#include <string_view>
namespace ns {
struct T { int a; long b; };
template<class K> struct Box { K v; int n; };
template<unsigned N, bool B, class... Ts> struct Many { int v[N]; int n; };
}
int counter = 3;
static inline __attribute__((always_inline)) int inl(ns::T *p, int k) { counter += k; return p->a * k; }
__attribute__((noinline)) int boxed(ns::Box<int> *b, ns::Box<ns::Box<ns::T>> *r, ns::Many<2, true> *m, ns::T *t) {
  std::printf("%d\n", b->n); return b->v + r->n + m->n + inl(t, b->n); }
__attribute__((noinline)) size_t text(std::string_view v) { std::printf("%c\n", v[0]); return v.size(); }
__attribute__((noinline)) int behind(int a, int b, int c, int d, int e, int f, long g, ns::T *h, int dead) {
  char text[500];
  std::sprintf(text, "%ld %p", g, h); dead = std::puts(text);
  for (int i = 0; i < a; i++) { g += b; inl(h, std::puts(text)); }
  return text[3] + dead + c + d + e + f + (int)g; }
int main(int argc, char **argv) {
  ns::T t = {argc, 4}; ns::Box<int> b = {1, 2}; ns::Box<ns::Box<ns::T>> r = {{t, 3}, 4}; ns::Many<2, true> m = {{5, 6}, 7};
  return boxed(&b, &r, &m, &t) + (int)text("text") + behind(argc, 2, 3, 4, 5, 6, 7, &t, 9); }
'''


@pytest.fixture(scope='module', params=['-gdwarf-4', '-gdwarf-5', '-gsimple-template-names'])
def plus_plus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PROGRAM, whose entries begin with the linker's name, how a class is passed, or a template without arguments."""
    folder = tmp_path_factory.mktemp(f'plus{request.param}')
    (folder / 'program.cc').write_text(PROGRAM)
    made(folder, f'clang++{VERSION}', '-std=c++17', '-O2', '-g', request.param, 'program.cc', '-o', 'program')
    return folder / 'program'


def in_program(program: Path, place: str, fields: str) -> str:
    done = subprocess.run([sys.executable, HERE.parent / 'surftrace.py', '-S', f'P {program}:{place} {fields}'],
                          capture_output=True, text=True)
    return done.stdout + done.stderr


def test_names_behind_other_attributes_are_found(plus_plus: Path) -> None:
    assert len(in_program(plus_plus, 'inl', 'p->a').splitlines()) == 2                      # its copies
    assert ' counter=@+0x' in in_program(plus_plus, 'main', '@counter')
    listed = subprocess.run([sys.executable, HERE.parent / 'surftrace.py', '-v', plus_plus, '-L', 'struct T'],
                            capture_output=True, text=True)
    assert listed.stdout.startswith('struct ns::T {'), listed.stderr


def test_templates_have_their_arguments(plus_plus: Path) -> None:
    casts = '((ns::Box<ns::Box<ns::T>>*)%1)->v.n ((ns::Many<2U, true>*)%1)->n ((ns::Box<int> *)%0)->n r->v.v.b'
    assert ' n=+16(%si):s32 n_2=+8(%si):s32 n_3=+4(%di):s32 b=+8(%si):s64\n' in in_program(plus_plus, 'boxed', casts)
    assert '#! v+' in in_program(plus_plus, 'text', 'v')


def test_an_argument_on_the_stack_is_there_at_entry(plus_plus: Path) -> None:
    """Though the list of its places begins behind the prologue; callers put nothing where `dead` would be."""
    assert ' g=+8($stack):s64 a=+0(+16($stack)):s32 g_2=+8($stack):s64\n' in in_program(plus_plus, 'behind', 'g h->a %6')
    assert "'dead' is not available here" in in_program(plus_plus, 'behind', 'dead')


def test_what_is_counted_from_a_stack_pointer_that_is_moved_is_refused(tmp_path: Path) -> None:
    """An aligned variable has the stack realigned, and clang -O0 counts parameters from where it is afterwards."""
    (tmp_path / 'a.c').write_text('''
        int g(int x, double d, long double more, int y) { _Alignas(64) volatile char b[64]; b[y] = x + d + more; return b[0]; }
        int h(int x, int y) { _Alignas(64) volatile char b[64]; b[y] = x; return b[0]; }
        int k(int x, double d, long double more, int y) { _Alignas(64) volatile char b[64], c[y]; b[y] = c[0] = x + d + more; return b[0]; }
        int main(void) { return g(1, 2, 3, 4) + h(6, 7) + k(1, 2, 3, 4); }''')
    made(tmp_path, CLANG, '-g', '-O0', 'a.c', '-o', 'a')
    assert in_program(tmp_path / 'a', 'g', 'x').endswith('x=%di:s32\n')
    assert "'y' is not available here: it comes after a floating-point argument" in in_program(tmp_path / 'a', 'g', 'y')
    assert "'y' is not available here: it comes after a floating-point argument" in in_program(tmp_path / 'a', 'k', 'y')
    assert in_program(tmp_path / 'a', 'h', 'x y').endswith('x=%di:s32 y=%si:s32\n')
    for behind in (1, 4):
        assert "'y' is not available here: the stack pointer is elsewhere" in in_program(tmp_path / 'a', f'h+{behind}', 'y')


def test_what_is_on_the_stack_is_had_only_while_the_stack_pointer_is_where_clang_counts_from(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LLVM's lists have one distance for it, also while arguments are pushed and registers popped; readelf tells
    how far the frame is from the stack pointer at each instruction."""
    (tmp_path / 'a.c').write_text('''
        long many(long a, long b, long c, long d, long e, long f, long g, long h, long i);
        extern volatile int zero;
        long f(long x, long y, long z, int w) {
          long p = zero + 1, q = zero + 2, r = zero + 3, t = zero + 4, u = zero + 5, v = zero + 6, a = zero + 7, b = zero + 8;
          long sum = many(x, y, z, w, a, b, u, p, q);
          if (zero) return many(1, 2, 3, 4, 5, 6, 7, x, w);
          sum += many(r, t, u, v, a, b, x, y, z);
          for (int k = 0; k < 2; k++) sum += many(p, q, r, t, u, v, a, b, k) * x + y * z + w;
          return sum + x + y + z + w; }''')
    made(tmp_path, CLANG, '-g', '-O1', '-shared', '-fPIC', 'a.c', '-o', 'a.so')
    frames = output('readelf', '--debug-dump=frames-interp', tmp_path / 'a.so')
    low = next(symbol.address for symbol in surftrace.Executable(str(tmp_path / 'a.so')).symbols('f'))
    rows = re.findall(r'^([0-9a-f]{16}) rsp\+(\d+) ', frames[frames.index(f'pc={low:016x}'):].partition('FDE')[0], re.M)
    heights = sorted((int(address, 16), int(height)) for address, height in rows)
    found, refused = set(), 0
    for at in re.findall(r'^ +([0-9a-f]+):', output('objdump', '-d', '--no-show-raw-insn', '--disassemble=f', tmp_path / 'a.so'), re.M):
        height = [height for address, height in heights if address <= int(at, 16)][-1]
        for name in 'xy':
            done = surftrace.main(['-S', f'P {tmp_path}/a.so:f+{int(at, 16) - low} {name}'])
            place = re.search(r'\+(\d+)\(\$stack\)', capsys.readouterr().out)
            refused += done != 0
            found |= {(name, int(place[1]) - height)} if place else set()
    assert refused and 0 < len(found) == len({name for name, _ in found}), found


@pytest.mark.parametrize('compiler', ['gcc', CLANG])
@pytest.mark.parametrize('level', ['-O0', '-O2'])
def test_arguments_of_another_calling_convention_are_refused_where_dwarf_has_no_place_of_them(compiler: str, level: str, tmp_path: Path) -> None:
    """A function of ms_abi has its first argument in rcx, and room for it on the stack, where gcc -O0 says that it is. Only clang marks it."""
    (tmp_path / 'a.c').write_text('''
        struct s { long a, b; };
        __attribute__((ms_abi, noinline)) int f(int x, int y, struct s s) { __asm__ volatile("" ::: "memory"); return x + y + s.b; }
        int main(void) { return f(1, 2, (struct s){3, 4}); }''')
    made(tmp_path, compiler, '-g', level, 'a.c', '-o', 'a')
    for name, place in (('x', 'x=%cx:s32\n'), ('y', 'y=%dx:s32\n'), ('s.b', 'b=+8(%r8):s64\n')):
        shown = in_program(tmp_path / 'a', 'f', name)
        assert shown.endswith(place) if level == '-O2' and name != 's.b' else shown.endswith(place) or 'name a register (%REG)' in shown, shown
