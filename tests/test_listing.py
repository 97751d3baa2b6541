"""What -L prints: layouts against pahole, functions against nm, perf and pfunct, events against tracefs, and small C texts
of which everything is known."""
from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import kernels
import pytest
from cache import Unavailable
from helpers import AMD64, SCALE, SEED, events_of, machine_of, need, of_programs, outcome, types_of, vmlinux

import surftrace


@pytest.fixture(scope='module', params=['btf', 'dwarf'])
def stock(request: pytest.FixtureRequest) -> surftrace.Machine:
    """Debian's 6.1, from each backend."""
    return machine_of(types_of(vmlinux(), request.param))


@pytest.fixture(scope='module')
def compiled(compile_c: Callable[..., Path], with_btf: Callable[[Path], Path]) -> Callable[..., surftrace.Machine]:
    """compiled(SOURCE, MODE, *FLAGS): a C text as a kernel."""
    def compiled(source: str, mode: str, *flags: str) -> surftrace.Machine:
        program = compile_c(source, *(flags or ('-O2',)), '-g')
        return machine_of(types_of(str(with_btf(program) if mode == 'btf' else program), mode))
    return compiled


# layouts

Line = tuple[str, int, int, bool]           # a member's name, the bit it begins at, its bytes (bits of a bit-field), bit-field or not


def understood(text: str) -> tuple[list[Line], list[int], int]:
    """The members of a layout in C, its holes in bits, its bytes: ours, and pahole's."""
    members: list[Line] = []
    holes: list[int] = []
    size, near = 0, False
    for line in re.sub(r'__attribute__\(\(.*?\)\)\)?', '', text).splitlines():
        found = re.search(r'/\* +(\d+)(?:: *(\d+))? +(\d+) \*/', line)
        hole = re.search(r'(?:hole: |XXX )(\d+) (bit|byte)s?', line)
        total = re.search(r'^\t/\* size: (\d+),|\{ +/\* (\d+) bytes', line)
        if found:
            name = re.search(r'\(\*+(?:const |volatile )?(\w+)(?:\[\d*\])*\)[(\[]|(\w*) *(?:\[\d*\])* *(?::(\d+))?; *$', line[:found.start()])
            assert name, line
            width = int(name[3]) if name[3] else 0
            members.append((name[1] or name[2], 8 * int(found[1]) + int(found[2] or 0), width or int(found[3]), bool(width)))
        elif hole and 'hole' in line:
            bits = int(hole[1]) * (8 if hole[2] == 'byte' else 1)
            holes = [*holes[:-1], holes[-1] + bits] if near and holes else [*holes, bits]
        elif total and not size:
            size = int(total[1] or total[2])
        near = bool(hole) or near and not line.strip()
    return members, holes, size


def random_structs(count: int) -> list[str]:
    """Names of structs of Debian's 6.1, by SEED, of which there is one definition."""
    info = types_of(vmlinux(), 'btf')
    print(f'SURFTRACE_ORACLE_SEED={SEED}')
    names = sorted(set(info.type_names(['struct'], '')))
    chosen: list[str] = []
    for name in random.Random(SEED).sample(names, min(4 * count, len(names))):
        try:
            if info.named('struct', name) is not None:
                chosen.append(name)
        except surftrace.InputError:
            continue
        if len(chosen) == count:
            break
    return ['task_struct', 'sk_buff', 'tcp_sock', 'mm_struct', *chosen]


def test_a_layout_is_paholes(stock: surftrace.Machine) -> None:
    need('pahole')
    names = random_structs(round(SCALE * (100 if stock.kernel.dwarf else 200)))           # DWARF is searched for each, 160 MB
    printed = subprocess.run(['pahole', '-F', 'btf', '-C', ','.join(names), vmlinux()], capture_output=True, text=True, check=True).stdout
    theirs = {match[1]: understood(match[0]) for match in re.finditer(r'^struct (\w+) \{.*?^\}', printed, re.M | re.S)}
    compared, different = 0, []
    for name in names:
        try:
            ours = understood('\n'.join(surftrace.listing(f'struct {name}', stock)))
        except surftrace.InputError:                            # DWARF tells that two differ where BTF has one
            continue
        if name in theirs:
            compared += 1
            different += [(name, a, b) for a, b in zip(ours, theirs[name]) if a != b]
    assert different == []
    assert compared > 0.9 * len(names) - 4


HOLES = '''
typedef unsigned long word_t;
enum colour { RED, GREEN = 5, BLUE = -1 };
struct holes {
    char a;
    int b;
    unsigned c:3, d:7;
    word_t e[2];
    const char *const f;
    int (*g)(struct holes *, enum colour, ...);
    union { char h; struct { short i; long j; } k; };
    enum { ON, OFF } l;
    struct { char m; } n[3];
    void *(*o[2])(void);
    char p;
};
int use(struct holes *x, const enum colour y) { return x->b + y; }
int main(void) { return 0; }
'''
LAYOUT = '''\
struct holes { /* 120 bytes */
char a; /* 0 1 */
/* hole: 3 bytes */
int b; /* 4 4 */
unsigned int c:3; /* 8:0 4 */
unsigned int d:7; /* 8:3 4 */
/* hole: 54 bits */
word_t e[2]; /* 16 16 */
const char *const f; /* 32 8 */
int (*g)(struct holes *, enum colour, ...); /* 40 8 */
union {
char h; /* 48 1 */
struct {
short int i; /* 48 2 */
/* hole: 6 bytes */
long int j; /* 56 8 */
} k; /* 48 16 */
}; /* 48 16 */
enum { ON = 0, OFF = 1 } l; /* 64 4 */
struct {
char m; /* 68 1 */
} n[3]; /* 68 3 */
/* hole: 1 bytes */
void *(*o[2])(void); /* 72 16 */
char p; /* 88 1 */
/* padding: 7 bytes */
};'''


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
def test_a_layout_is_c_with_offsets_sizes_and_holes(mode: str, compiled: Callable[..., surftrace.Machine]) -> None:
    lines = surftrace.listing('struct holes', compiled(HOLES, mode))
    assert [' '.join(line.split()) for line in lines] == LAYOUT.replace('120 bytes', '96 bytes').splitlines()


@pytest.mark.parametrize('mode', ['dwarf', 'btf'])
@pytest.mark.parametrize(('what', 'lines'), [
    ('enum colour', ['enum colour { /* 4 bytes */', 'RED = 0,', 'GREEN = 5,', 'BLUE = -1,', '};']),
    ('struct holes.c', ['unsigned int c:3; /* 8:0 4 */']),
    ('struct holes.k.j', ['long int j; /* 56 8 */']),
    ('struct holes.e', ['word_t e[2]; /* 16 16 */']),
    ('struct hole*', ['struct holes;']),
    ('word_t', ['typedef long unsigned int word_t;']),
    ('wor?_t', ['word_t;']),
    ('p use', ['int use(struct holes *x, const enum colour y);']),
    ('p use x->b x->k.i', ['// x->b: int', '// x->k.i: short int']),
    ('p *(struct holes*)', ['int use(struct holes *x, const enum colour y);']),
    ('p u*(enum colour)', ['int use(struct holes *x, const enum colour y);']),
])
def test_what_a_listing_is(mode: str, what: str, lines: list[str], compiled: Callable[..., surftrace.Machine]) -> None:
    said = [' '.join(line.split()) for line in surftrace.listing(what, compiled(HOLES, mode, '-O0'))]
    assert said == lines


@pytest.mark.parametrize(('what', 'message'), [
    ('', 'what is to be listed?'), ('p', "behind 'p' is missing"), ('P nosuch:x', 'no program or library'),
    ('struct hole', "did you mean 'holes'?"), ('struct holes.bb', "no member 'bb'"), ('struct holes.b.x', 'has no members'),
    ('struct holes.b[1]', 'has no elements'), ('holes', "did you mean 'struct holes'?"),
    ('enum holes', "did you mean 'struct holes'?"), ('use', "did you mean -L 'p use'?"), ('p us', 'no function'),
    ('p use*(struct none *)', 'no function matches'), ('p use nope', "no parameter 'nope'"), ('enum none', 'no enum'),
    ('e x/y', "no event matches 'x/y'"), ('struct *none*', 'no struct matches'), ('struct a b', 'struct NAME'),
])
def test_what_is_wrong_is_said_where_it_is(what: str, message: str, compiled: Callable[..., surftrace.Machine]) -> None:
    with pytest.raises(surftrace.InputError) as refusal:
        surftrace.listing(what, compiled(HOLES, 'dwarf', '-O0'))
    assert message in str(refusal.value)


# functions

INLINED = '''
static inline __attribute__((always_inline)) int copied(int a) { return a * 3 + 1; }
static __attribute__((noinline)) int changed(int a, int b) { return a * a; }
__attribute__((noinline)) int holder(int a) { return copied(a) + copied(a + 1); }
__attribute__((noinline)) int caller(int a) { return changed(a, 7) + changed(a + 1, 7); }
int main(int n, char **v) { return holder(n) + caller(n); }
'''


def test_an_inlined_function_says_who_holds_its_copies(compiled: Callable[..., surftrace.Machine]) -> None:
    info = compiled(INLINED, 'dwarf')
    assert surftrace.listing('p copie*', info) == ['int copied(int a);  // no probe: inlined into holder (test.c)']
    with pytest.raises(surftrace.InputError, match=r"'copied' is inlined everywhere .*: holder \(test.c\)"):
        events_of(info, 'r copied')


def test_a_copy_the_compiler_changed_is_marked(compiled: Callable[..., surftrace.Machine]) -> None:
    said = surftrace.listing('p changed*', compiled(INLINED, 'dwarf'))
    copies = [line for line in said if re.search(r'changed\.(isra|constprop)', line)]
    assert copies and all('the compiler changed its parameters' in line for line in copies), said


def names(lines: list[str], probed: Optional[bool] = None) -> set[str]:
    """The functions of a listing."""
    return {re.search(r'([\w.]+)\(', line)[1] for line in lines                       # type: ignore[index]
            if probed is None or ('// no probe' not in line) == probed}


@pytest.mark.parametrize('pattern', ['tcp_send*', 'ip_rcv'])
def test_the_functions_are_those_of_the_symbol_table(pattern: str, stock: surftrace.Machine) -> None:
    need('nm')
    table = subprocess.run(['nm', vmlinux()], capture_output=True, text=True, check=True).stdout
    regex = re.compile(pattern.replace('*', r'[\w.]*'))
    wanted = {name for name in re.findall(r'^\w+ [tTwW] (\S+)$', table, re.M) if regex.fullmatch(name) and '.cold' not in name}
    said = surftrace.listing(f'p {pattern}', stock)
    assert {name for name in names(said) if name in wanted or 'inlined' not in ''.join(line for line in said if f'{name}(' in line)} == wanted


def test_the_functions_are_those_of_perf() -> None:
    need('perf')
    run = subprocess.run(['perf', 'probe', '-k', vmlinux(), '-F', 'tcp_*'], capture_output=True, text=True)
    if run.returncode or not run.stdout:
        raise Unavailable(f'perf probe -F: {run.stderr.strip()[-200:]}')
    ours = names(surftrace.listing('p tcp_*', machine_of(types_of(vmlinux(), 'btf'))))
    theirs = {name for name in run.stdout.split() if '.cold' not in name}
    assert theirs - ours == set()
    assert len(theirs) > 300


def test_both_backends_have_the_same_prototypes() -> None:
    both = [{line.split(';')[0] for line in surftrace.listing('p tcp_v[46]_*', machine_of(types_of(vmlinux(), mode))) if '// ' not in line}
            for mode in ('btf', 'dwarf')]
    assert len(both[0] & both[1]) > 40
    assert {line for line in both[0] - both[1] if f"{line.split('(')[0]}(" in ' '.join(both[1])} == set()


def test_a_prototype_is_pfuncts(types_file: Callable[[str], Path]) -> None:
    need('pfunct')
    program = types_file('BTF')
    said = subprocess.run(['pfunct', '-F', 'btf', '--prototypes', program], capture_output=True, text=True, check=True).stdout
    theirs = {re.sub(r'\s+', '', line) for line in said.splitlines()}
    ours = {re.sub(r'\s+', '', prototype.text + ';') for prototype in types_of(str(program), 'btf').prototypes('*')}
    assert ours == {line.replace('inline', '', 1) for line in theirs} and len(ours) > 20


@pytest.mark.parametrize(('name', 'why'), [
    ('native_sched_clock', 'not traceable (notrace)'), ('notify_die', "on the kernel's blacklist"), ('start_kernel', '__init'),
    ('wake_up_new_task', ''), ('tcp_sendmsg', ''),
])
def test_what_cannot_be_probed_is_said(name: str, why: str, stock: surftrace.Machine) -> None:
    line, = surftrace.listing(f'p {name}', stock)
    assert ('// no probe' in line) == bool(why)
    assert why in line


def test_what_is_not_traceable_does_not_begin_with_a_call_of_fentry() -> None:
    """gcc -mfentry: of 44,000 functions those that ftrace knows are those whose first instruction (behind endbr64) calls it. A part
    of one (f.cold, f.part.0) takes a probe where the whole does (within_notrace_func in kernel/trace/trace_kprobe.c)."""
    elf = surftrace.Executable(vmlinux())
    fentry = elf.symbols('__fentry__')[0].address
    wrong, counted, text, start = [], 0, bytes(elf.contents('.text')), elf.sections['.text'].address
    for symbol in (symbol for symbols in elf.function_symbols.values() for symbol in symbols
                   if symbol.section == '.text' and not re.search(r'\.(cold|part)', symbol.name)):
        code = text[symbol.address - start:symbol.address - start + 16]
        at = 4 if code[:4] == b'\xf3\x0f\x1e\xfa' else 0
        calls = code[at:at + 1] == b'\xe8' and symbol.address + at + 5 + int.from_bytes(code[at + 1:at + 5], 'little', signed=True) == fentry
        said = surftrace.linked_obstacle(symbol, symbol.address, elf)
        counted += calls
        wrong += [(symbol.name, said)] if calls and 'notrace' in said or not calls and not said else []
    assert wrong == [] and counted > 30_000


def test_where_the_kernel_rewrites_its_code_there_is_a_jump_or_a_nop_or_a_call() -> None:
    """A jump label is a jump or a nop of 2 or 5 bytes (arch/x86/include/asm/jump_label.h), a static call a call or a jump."""
    elf = surftrace.Executable(vmlinux())
    patched = surftrace.obstacle_tables(elf)[3]
    codes = ('0f1f440000', '6690', 'e9', 'eb', 'e8')
    assert [f'{at:#x}' for at in patched if not elf.bytes_at(at, 5).hex().startswith(codes)] == [] and len(patched) > 5_000
    name, at = next((symbol.name, at - symbol.address) for at in sorted(patched) if (symbol := elf.symbol_at(at))
                    if len(elf.symbols(symbol.name)) == 1 and symbol.section == '.text')
    done = outcome('-S', '-v', vmlinux(), f'p {name}+{at}')
    assert done.status == 0 and 'itself rewrites (a jump label, a static call); the kernel will refuse a probe there' in done.err


def test_copies_on_a_jump_label_are_left_out() -> None:
    done = outcome('-S', '-v', vmlinux(), '-m', 'dwarf', 'p mmap_read_lock mm')
    assert done.out.splitlines() == ['p:f0 do_madvise+3425 mm=+24($stack):x64']
    assert "59 of the 60 places of 'mmap_read_lock' are left out: not traceable (notrace); on an instruction that" in done.err


def test_a_listing_of_the_running_kernel_takes_its_word_for_what_can_be_traced() -> None:
    info = types_of(vmlinux(), 'btf')
    symbols = surftrace.Kallsyms(b'0000 T vfs_read\n0000 T vfs_write\n0000 T vfs_open\n0000 t vfs_mine\t[mine]\n')
    known = surftrace.Module(AMD64, symbols, [lambda: info])
    tracefs = {'available_filter_functions': 'vfs_read\nvfs_write\nvfs_mine [mine]\n',
             '/sys/kernel/debug/kprobes/blacklist': '0xffff-0xffff\tvfs_write\n'}
    running = machine_of(known, read=lambda path: tracefs.get(path, ''))
    said = {line.split('(')[0].split(' ')[-1].lstrip('*'): line.partition('// ')[2] for line in surftrace.listing('p vfs_*', running)}
    assert said == {'vfs_read': '', 'vfs_write': "no probe: on the kernel's blacklist: kprobes themselves run through it",
                    'vfs_open': 'no probe: not traceable (notrace)',
                    'vfs_mine': 'no prototype in the debug information; in module mine'}


def test_the_functions_of_a_module_that_is_not_loaded_are_those_of_its_file() -> None:
    folder = kernels.kernel('6.1-amd64') / 'modules'
    path = next((str(path) for path in sorted(folder.rglob('nf_nat.ko'))), '')
    if not path:
        raise Unavailable(f'no nf_nat.ko in {folder}')
    info = surftrace.Module(AMD64, surftrace.Kallsyms(b'0000 T f\n'), [lambda: types_of(vmlinux(), 'btf').btf])
    file = surftrace.Executable(path)
    nat = surftrace.Module(AMD64, info.symbols, surftrace.types_in(file, 'btf', info), file)
    info.with_modules(lambda name: nat if name == 'nf_nat' else surftrace.Module(AMD64, None, []))
    away = machine_of(info)
    said = surftrace.listing('p nf_nat:nf_nat_alloc*', away)
    assert said == ["unsigned int nf_nat_alloc_null_binding(struct nf_conn *ct, unsigned int hooknum);  // no probe: the module 'nf_nat' "
                    'is not loaded']
    with pytest.raises(surftrace.InputError, match="the module 'nosuch' is not loaded"):
        surftrace.listing('p nosuch:*', away)


# events


def test_the_events_of_a_vmlinux_have_their_systems_and_fields(stock: surftrace.Machine) -> None:
    lines = [' '.join(line.split()) for line in surftrace.listing('e sched/sched_wak*', stock)]
    assert lines[:2] == ['e sched/sched_wake_idle_without_ipi', 'int cpu; /* 8 4 */']
    assert {line for line in lines if line[:2] == 'e '} == {f'e sched/sched_{name}' for name in (
        'wake_idle_without_ipi', 'wakeup', 'wakeup_new', 'waking')}
    assert 'char comm[16]; /* 8 16 */' in lines


@pytest.mark.parametrize('line, wanted', [
    ('e sched/sched_wakeup prio', 'e:f0 sched/sched_wakeup prio=$prio:s32'),
    ('e block/block_rq_issue sector', 'e:f0 block/block_rq_issue sector=$sector:u64'),
    ('e syscalls/sys_enter_openat dfd filename', 'e:f0 syscalls/sys_enter_openat dfd=$dfd:s32 filename=$filename:string'),
    ('e syscalls/sys_exit_openat ret', 'e:f0 syscalls/sys_exit_openat ret=$ret:s64'),
    ('e made_by_a_module/event', '#! e made_by_a_module/event'),
    ('e sched/sched_wakeup_[a-n]*', '#! e sched/sched_wakeup_new')])
def test_a_probe_knows_the_events_and_fields_that_are_listed(line: str, wanted: str, stock: surftrace.Machine) -> None:
    """Those of an event whose class has another name, and those that match a pattern."""
    event, = events_of(stock, line)
    assert event.lines() == [wanted]


@pytest.mark.parametrize('line, filter_', [
    ('e kmem/kmalloc f:gfp_flags==GFP_KERNEL|__GFP_ZERO', 'gfp_flags==3520'), ('e irq/softirq_entry vec f:vec!=TIMER', 'vec!=1'),
    ('e sock/inet_sock_set_state f:newstate==TCP_CLOSE', 'newstate==7'),                # of struct trace_eval_map
    ('e skb/kfree_skb f:reason==NO_SOCKET', 'reason==2'),
    ('e timer/hrtimer_start f:mode==HRTIMER_MODE_REL_SOFT', 'mode==5')])                # not printed by a number: the enum's own
def test_the_names_that_the_events_of_a_vmlinux_print(line: str, filter_: str, stock: surftrace.Machine) -> None:
    event, = events_of(stock, line)
    assert event.filter == filter_


def test_an_event_that_a_vmlinux_has_not_is_refused(stock: surftrace.Machine) -> None:
    with pytest.raises(surftrace.InputError, match="no event 'syscalls/enter__openat'; did you mean"):
        events_of(stock, 'e syscalls/enter__openat')
    with pytest.raises(surftrace.InputError, match="no field 'filname'; did you mean 'filename'"):
        events_of(stock, 'e syscalls/sys_enter_openat filname')


def test_the_events_of_system_calls_have_the_names_they_are_registered_with(stock: surftrace.Machine) -> None:
    lines = [' '.join(line.split()) for line in surftrace.listing('e syscalls/*_openat', stock)]
    assert lines == ['e syscalls/sys_enter_openat', 'int __syscall_nr; /* 8 4 */', 'int dfd; /* 16 8 */',
                     'const char * filename; /* 24 8 */', 'int flags; /* 32 8 */', 'umode_t mode; /* 40 8 */',
                     'e syscalls/sys_exit_openat', 'int __syscall_nr; /* 8 4 */', 'long ret; /* 16 8 */']


def fields_of(text: str) -> list[tuple[str, int, int]]:
    """(name, offset, size) of the fields of a format file, or of our lines."""
    ours = re.findall(r'(\w+)(?:\[[^;]*\])?; +/\* +(\d+) +(\d+) \*/', text)
    found = ours or re.findall(r'field:[^;]*?(\w+)(?:\[[^;]*\])?;\s*offset:(\d+);\s*size:(\d+);', text)
    return [(name, int(offset), int(size)) for name, offset, size in found if not name.startswith('common_')]


def test_the_fields_are_those_of_the_format_files(_mounted_tracefs: Path) -> None:
    if not Path(surftrace.RUNNING_BTF).exists():
        raise Unavailable(f'this kernel has no {surftrace.RUNNING_BTF}')
    info = surftrace.running_debug_info('btf', AMD64, os.uname().release)
    running = machine_of(info, read=surftrace.Tracefs(str(_mounted_tracefs)).read)
    blocks = re.split(r'^e ', '\n'.join(surftrace.listing('e */*', running)), flags=re.M)[1:]
    said = {block.split('\n')[0]: fields_of(block) for block in blocks if not re.match('surftrace|[ku]probes', block)}   # made by others
    wanted = {name: fields_of((_mounted_tracefs / 'events' / name / 'format').read_text()) for name in said}
    assert said == wanted and len(said) > 300
    elsewhere = machine_of(info)
    raw = {name: fields_of('\n'.join(surftrace.event_layout(name, elsewhere))) for name in said if name.startswith('sched/')}
    raw = {name: fields for name, fields in raw.items() if fields}             # one of a class of several has no struct of its name
    assert raw == {name: wanted[name] for name in raw} and len(raw) > 10


def test_without_a_vmlinux_the_systems_of_events_are_not_known(compiled: Callable[..., surftrace.Machine]) -> None:
    source = """typedef void (*btf_trace_mine)(void *, int);
        struct trace_event_raw_mine { unsigned long ent; unsigned __data_loc_name; int delay; char __data[]; };
        int use(btf_trace_mine x, struct trace_event_raw_mine *y) { return y->delay; }
        int main(void) { return 0; }"""
    lines = surftrace.listing('e sched/m*', compiled(source, 'btf'))
    assert [' '.join(line.split()) for line in lines] == ['e */mine', '__data_loc name; /* 8 4 */', 'int delay; /* 12 4 */']


# how it is printed


def test_a_pipe_gets_plain_text(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], types_file: Callable[[str], Path]) -> None:
    assert surftrace.main(['-v', str(types_file('BTF')), '-L', 'struct nested']) == 0
    assert '\x1b' not in capfd.readouterr().out


def test_colours_do_not_change_the_text() -> None:
    for line in ('struct a {    /* 4 bytes */', 'int f(struct x *);  // no probe: x; y', 'e sched/sched_switch', '    int (*g)(int);   /*  1  2 */'):
        shown = surftrace.coloured(line)
        assert shown != line
        assert re.sub(r'\x1b\[\d+m', '', shown) == line


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What surftrace says on a terminal."""
    code = f'import sys; sys.path.insert(0, {str(Path(surftrace.__file__).parent)!r}); import surftrace; sys.exit(surftrace.main())'
    pid, file = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, '-c', code, *arguments],
                  {'PATH': os.environ['PATH'], 'TERM': 'xterm', 'COLUMNS': '80', **environment})
    said = b''
    with contextlib.suppress(OSError):                      # Linux's word for the other end having closed
        while data := os.read(file, 4096):
            said += data
    os.close(file)
    os.waitpid(pid, 0)
    return said.decode().replace('\r', '')


def test_a_terminal_gets_colours_and_a_pager(types_file: Callable[[str], Path]) -> None:
    arguments = ('-v', str(types_file('BTF')), '-L', 'struct point')
    plain = on_a_terminal(*arguments, PAGER='cat', NO_COLOR='1')
    assert plain.startswith('struct point {') and '\x1b' not in plain
    shown = on_a_terminal(*arguments, PAGER='cat')
    assert '\x1b[36mstruct\x1b[0m point' in shown and re.sub(r'\x1b\[\d+m', '', shown) == plain
    assert on_a_terminal(*arguments, PAGER='sed s/^/paged:/', NO_COLOR='1') == ''.join(
        f'paged:{line}\n' for line in plain.splitlines())
    assert on_a_terminal(*arguments, PAGER='no-such-pager', NO_COLOR='1') == plain


def test_a_line_on_what_cannot_be_probed_says_so(stock: surftrace.Machine) -> None:
    said: list[str] = []
    for name in ('notify_die', 'start_kernel', 'wake_up_new_task'):
        events_of(stock._replace(note=said.append), f'p {name}')
    assert [note.split("' is ")[0] for note in said] == ["'notify_die", "'start_kernel"], said


# whatever is typed, and whatever a file holds


PROGRAM = '''struct thing { int a; char *name; };
__attribute__((noinline)) long use(struct thing *it, unsigned char count) { __asm__ volatile("" :: "r"(it), "r"(count)); return 1; }
__attribute__((noinline)) void user_of(void) { __asm__ volatile(""); }
static inline int twice(int n) { return 2 * n; }
int main(int n, char **v) { struct thing it = { n, v[0] }; user_of(); return use(&it, twice(n)); }'''


def test_the_functions_of_a_program_are_listed_with_their_prototypes(compile_c: Callable[..., Path]) -> None:
    program = compile_c(PROGRAM, '-O1', '-g')
    assert surftrace.listing(f'P {program}:use*', of_programs()) == [
        'long int use(struct thing *it, unsigned char count);', 'void user_of(void);']
    assert surftrace.listing(f'P {program}:use it->name it', of_programs())[:3] == [
        '// it->name: char *', '// it: struct thing *', surftrace.listing(f'P {program}:use it', of_programs())[1]]
    bare = compile_c(PROGRAM, '-O1', '-g0')
    assert surftrace.listing(f'R {bare}:use', of_programs()) == ['use();']


def test_a_pattern_lists_what_a_probe_with_it_takes(compile_c: Callable[..., Path]) -> None:
    """Also the functions of C++, whose symbols begin with _Z."""
    source = '''namespace far { __attribute__((noinline)) int fine(int a) { __asm__ volatile(""); return a; } }
        __attribute__((noinline)) int find(int a) { __asm__ volatile(""); return far::fine(a); }
        __attribute__((noinline)) int find(char a) { __asm__ volatile(""); return a; }
        int main(int n, char **) { return find(n) + find((char)n); }'''
    program = compile_c(source, '-x', 'c++', '-O1', compiler='g++')
    for pattern, wanted in (('fi*', ['find(char)', 'find(int)']), ('far::*', ['far::fine(int)']), ('f*(int)', ['far::fine(int)', 'find(int)'])):
        assert surftrace.listing(f'P {program}:{pattern}', of_programs()) == [f'{name};' for name in wanted]
        events = events_of(of_programs(), f'P {program}:{pattern}')
        assert len(events) == len(wanted)


def test_usdt_probes_are_listed_as_readelf_has_them() -> None:
    path = next((path for path in surftrace.object_paths('libstdc++', [])), None) or pytest.skip('no libstdc++ here')
    said = subprocess.run(['readelf', '-n', path], capture_output=True, text=True, check=True).stdout
    notes = re.findall(r'Provider: (\S+)\n\s*Name: (\S+)\n.*Semaphore: (\S+)\n\s*Arguments:(.*)', said)
    assert notes
    wanted = {f"{provider}:{name}({', '.join(operands.split())});" + '  // counts who listens (semaphore)' * bool(int(semaphore, 16))
              for provider, name, semaphore, operands in notes}
    assert {re.sub(r'(;|  //) \d+ places$', '', line) for line in surftrace.listing('u libstdc++:*', of_programs())} == wanted
    with pytest.raises(surftrace.InputError, match="has no USDT probe 'nosuch'"):
        surftrace.listing('u libstdc++:nosuch', of_programs())


@pytest.mark.parametrize(('name', 'names'), [
    ('__do_sys_a', ['__do_sys_a', '__se_sys_a']), ('b', ['b']), ('c', []), ('hidden', []), ('m', ['m', 'm_too'])])
def test_other_names_of_a_function_of_the_running_kernel(name: str, names: list[str]) -> None:
    table = surftrace.Kallsyms(b'ffffffff81000010 T __do_sys_a\nffffffff81000010 t __se_sys_a\nffffffff81000100 T b\n'
                               b'0000000000000000 T hidden\n0000000000000000 T as_well\nffffffffc0000010 t m\t[mod]\n'
                               b'ffffffffc0000010 t m_too\t[mod]\n')
    assert table.aliases(name) == names
