"""Kernel modules: relocated DWARF, compressed files, split BTF and what of another build is refused."""
from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import btf_writer as w
import kernels
import pytest
from helpers import AMD64, events_of, machine_of, need, types_of

import surftrace
from surftrace import Btf, DebugInfoError, DistilledBtf, InputError

SOURCE = '''
struct other; struct priv { char pad[24]; int value; unsigned low : 3, high : 5; struct priv *next; const char *name; };
typedef struct { long a, b; } pair;
enum color { RED, GREEN = 5 };
struct priv global = { .value = 7 };
__attribute__((noinline)) int work(struct priv *p, long count, enum color c) { return p->value + count + c; }
__attribute__((noinline, section(".init.text"))) int start(struct priv *p) { return work(p, 3, GREEN) + 1; }
__attribute__((noinline, section(".exit.text"))) long end(pair *x, struct priv *p) { return x->b + work(p, 1, RED); }
'''
# (the line, what it becomes): with addresses in three sections that all begin at 0
LINES = [('p probe:work p->value p->next->name count c', 'p:f0 probe:work value=+24(%di):s32 name=+0(+40(+32(%di))):string '
          'count=%si:s64 c=%dx:u32 #! c:enum(color)'),
         ('p probe:start p->high p->next->low', 'p:f0 probe:start high=+28(%di):b5@3/8 low=+28(+32(%di)):b3@0/8'),
         ('p end x->b p->value', 'p:f0 probe:end b=+8(%di):s64 value=+24(%si):s32'), ('p end:0', 'p:f0 probe:end')]


@pytest.fixture(scope='module')
def module(compile_c: Callable[..., Path]) -> Callable[..., Path]:
    """module(*FLAGS): an object file, as a module is one."""
    return lambda *flags: compile_c(SOURCE, '-c', '-O2', '-mcmodel=kernel', '-fno-pie', *(flags or ['-g']))


def copied(file: Path, folder: Path, name: str = 'probe.ko') -> Path:
    """The file under a module's name."""
    return Path(shutil.copy(file, folder / name))


def show(*words: str) -> int:
    """surftrace -S."""
    return surftrace.main(['-S', '-a', 'x86_64', *words])


@pytest.fixture(scope='module')
def vmlinux(compile_c: Callable[..., Path]) -> Path:
    """A file that stands for the kernel's, and has a function of the same name as the module."""
    return compile_c('struct task { int pid; }; int work(struct task *t) { return t->pid; } int main(void) { return 0; }', '-g', '-O1')


@pytest.mark.parametrize('flags', [('-g',), ('-gdwarf-4',), ('-gdwarf-5', '-gz=zlib'), ('-g', '-ffunction-sections'), ('-g', '-O0')],
                         ids=' '.join)
@pytest.mark.parametrize(('line', 'shown'), LINES)
def test_dwarf_of_an_object_file(line, shown, flags, module, vmlinux, tmp_path, capfd):
    if '-O0' in flags and 'work' not in line:
        pytest.skip('without optimisation the first parameters have no registers in DWARF; one line shows that')
    file = copied(module(*flags), tmp_path)
    assert show('-v', str(vmlinux), '-v', str(file), line) == 0, capfd.readouterr()
    assert capfd.readouterr().out.strip() == shown


@pytest.mark.parametrize('compiler', ['gcc', 'clang'])
def test_relocations_are_those_a_linker_applies(compiler, module, compile_c, tmp_path):
    """The same file linked: its .debug_info differs only where addresses do; its strings may be merged."""
    need(compiler)
    file = compile_c(SOURCE, '-c', '-O2', '-g', '-fno-pie', compiler=compiler)
    linked = tmp_path / 'linked'
    subprocess.run(['ld', '-e', '0', '-o', linked, file], check=True, capture_output=True)
    one, other = (surftrace.Dwarf(surftrace.Executable(str(path))) for path in (file, linked))
    for name in ('work', 'start', 'end'):
        assert [(p.name, surftrace.spell(p.type()), p.location) for p in one.function(name).parameters] == \
            [(p.name, surftrace.spell(p.type()), p.location) for p in other.function(name).parameters]
    assert surftrace.shape(one.named('struct', 'priv')) == surftrace.shape(other.named('struct', 'priv'))
    assert one.variable('global').type.name == 'priv' and one.named('', 'pair').size == 16
    assert len({one.executable.symbols(name)[0].address for name in ('work', 'start', 'end')}) == 3


@pytest.mark.parametrize('tool', ['riscv64-linux-gnu-gcc', 'aarch64-linux-gnu-gcc', 's390x-linux-gnu-gcc', 'powerpc64le-linux-gnu-gcc'])
def test_object_files_of_other_machines(tool, compile_c):
    need(tool)
    dwarf = surftrace.Dwarf(surftrace.Executable(str(compile_c(SOURCE, '-c', '-O2', '-g', compiler=tool))))
    assert [p.name for p in dwarf.function('end').parameters] == ['x', 'p']
    assert [m.bit for m in dwarf.named('struct', 'priv').members()][:2] == [0, 192]


def test_an_unknown_relocation_is_refused_and_not_guessed(module, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(surftrace.RELOCATIONS, 'x86_64', '1=64')
    assert show('-v', str(copied(module(), tmp_path)), 'p probe:work p->value') == 1
    assert 'relocations of the unknown type 10' in capfd.readouterr().err


@pytest.mark.parametrize('ending', ['.ko.xz', '.ko.gz', '.ko.zst', '.ko.debug'])
def test_compressed_files(ending, module, vmlinux, tmp_path, capfd):
    data = module().read_bytes()
    path = tmp_path / f'probe{ending}'
    if ending == '.ko.zst':
        need('zstd')
        subprocess.run(['zstd', '-q', '-o', path, module()], check=True)
    else:
        path.write_bytes({'.ko.xz': lzma.compress, '.ko.gz': gzip.compress, '.ko.debug': bytes}[ending](data))
    assert show('-v', str(vmlinux), '-v', str(path), LINES[0][0]) == 0
    assert capfd.readouterr().out.strip() == LINES[0][1]
    cut = path.read_bytes()
    path.write_bytes(cut[:len(cut) // 2])
    assert show('-v', str(vmlinux), '-v', str(path), LINES[0][0]) == 1
    said = capfd.readouterr()
    assert said.out == '' and str(path) in said.err and 'Traceback' not in said.err


def test_zstd_without_a_library_says_so(tmp_path, monkeypatch, capfd):
    import ctypes

    def none(name: str) -> None:
        raise OSError(name)
    monkeypatch.setattr(ctypes, 'CDLL', none)
    (tmp_path / 'x.ko.zst').write_bytes(b'\x28\xb5\x2f\xfd' + bytes(20))
    assert show('-v', str(tmp_path / 'x.ko.zst'), 'p x:f') == 1
    assert 'zstd -d' in capfd.readouterr().err
    section = surftrace.Section('.debug_info', 0, 20, 0, 1, False, 100, 2)
    with pytest.raises(surftrace.DebugInfoError, match='unpack it with objcopy --decompress-debug-sections'):
        surftrace.inflated_section('x', section, memoryview(bytes(20)))


def test_a_function_of_the_kernel_is_not_that_of_the_module(module, vmlinux, tmp_path, capfd):
    """Both have work(): neither gets the types of the other, and the bare name is refused."""
    file = str(copied(module(), tmp_path))
    assert show('-v', str(vmlinux), '-v', file, 'p work') == 2
    assert "'work' is there 2 times; say which: probe:work" in capfd.readouterr().err
    assert show('-v', str(vmlinux), '-v', file, 'p nosuch:work %0->pid') == 2
    assert 'a word of no known type' in capfd.readouterr().err
    assert show('-v', str(vmlinux), 'p probe:work %0') == 0
    assert capfd.readouterr().out == 'p:f0 probe:work arg0=%di:x64\n'


@pytest.mark.parametrize(('line', 'message', 'column'), [
    ('p probe:wrk', "the module probe has no function 'wrk'; did you mean 'work'", 2),
    ('p probe:work p->valu', "did you mean 'value'", 16), ('p probe:work+2 p->value', 'inside an instruction', 2),
    ('p probe:work@x.c', '', 2)])
def test_what_is_wrong_is_said_where_it_is(line, message, column, module, vmlinux, tmp_path):
    file = str(copied(module(), tmp_path))
    info = surftrace.given_debug_files([str(vmlinux), file], 'auto', None, AMD64, 'x', lambda: None)
    try:
        events_of(machine_of(info), line)
    except InputError as error:
        assert re.search(message, error.message) and error.at[0] == column
    else:
        assert 'work+2' in line or '@' in line         # there it may well be, in the same register


def test_a_modules_file_may_have_a_dash_and_its_name_has_none(module, tmp_path, capfd):
    file = str(copied(module(), tmp_path, 'my-probe.ko'))
    assert show('-v', file, 'p my-probe:work p->value') == 0
    assert capfd.readouterr().out == 'p:f0 my_probe:work value=+24(%di):s32\n'


def test_two_kernels_or_another_architecture(module, vmlinux, tmp_path, capfd):
    assert show('-v', str(vmlinux), '-v', str(vmlinux), 'p main') == 2
    assert "is a kernel's file too" in capfd.readouterr().err
    other = tmp_path / 'arm.ko'
    data = bytearray(module().read_bytes())
    data[18:20] = (183).to_bytes(2, 'little')
    other.write_bytes(data)
    assert show('-v', str(vmlinux), '-v', str(other), 'p arm:work') == 2
    assert 'is for aarch64, and the kernel for x86_64' in capfd.readouterr().err


# ---- split BTF, by hand

BASE = [(w.INT, 'int', 4, 1 << 24 | 32), (w.STRUCT, 'sock', 16, 'a', 1, 0, 'b', 1, 64), (w.PTR, '', 2),
        (w.PROTO, '', 1, 's', 3), (w.FUNC, 'work', 4), (w.STRUCT, 'sock_two', 4, 'c', 1, 0)]


def split(base: bytes, *types: tuple) -> bytes:
    """BTF on top of another: names and numbers go on where that ends; numbers in `types` are final."""
    data = w.btf(*types)
    size = int.from_bytes(base[20:24], 'little')
    words, strings = bytearray(data[24:24 + int.from_bytes(data[12:16], 'little')]), data[24 + int.from_bytes(data[12:16], 'little'):]
    at = 0
    for _kind, _, _, *more in types:
        places = [at] + [at + 12 + 4 * i for i, word in enumerate(more) if isinstance(word, str)]
        for place in places:
            name = int.from_bytes(words[place:place + 4], 'little')
            words[place:place + 4] = (name + size - 1 if name else 0).to_bytes(4, 'little')
        at += 12 + 4 * len(more)
    header = [0x1eb9f, 24, 0, len(words), len(words), len(strings) - 1]
    return b''.join(word.to_bytes(4, 'little') for word in header) + bytes(words) + strings[1:]


MODULE = [(w.STRUCT, 'own', 24, 'sk', 3, 0, 'n', 1, 64), (w.PTR, '', 7), (w.PROTO, '', 1, 'o', 8, 's', 3), (w.FUNC, 'work', 9)]


def test_split_btf(tmp_path, capfd):
    base, top = w.btf(*BASE), split(w.btf(*BASE), *MODULE)
    assert surftrace.is_split_btf(top) and not surftrace.is_split_btf(base)
    (tmp_path / 'vmlinux.btf').write_bytes(base)
    (tmp_path / 'my-mod.btf').write_bytes(top)
    files = ['-v', str(tmp_path / 'vmlinux.btf'), '-v', str(tmp_path / 'my-mod.btf')]
    assert show(*files, 'p my_mod:work o->n o->sk->b s->a', 'p:k work s->b') == 0
    assert capfd.readouterr().out.splitlines() == [
        'p:f0 my_mod:work n=+8(%di):s32 b=+8(+0(%di)):s32 a=+0(%si):s32', 'p:k work b=+8(%di):s32']


@pytest.mark.parametrize('change', ['another string', 'another type', 'one less'])
def test_split_btf_of_another_kernel_is_refused(change):
    other = {'another string': [(w.INT, 'integer', 4, 1 << 24 | 32), *BASE[1:]], 'another type': [*BASE, (w.PTR, '', 1)],
             'one less': BASE[:-1]}[change]
    with pytest.raises(DebugInfoError, match='was made for another kernel'):
        Btf(split(w.btf(*BASE), *MODULE), 'm', AMD64, Btf(w.btf(*other), 'k', AMD64))


def test_a_per_cpu_variable_of_the_kernel_is_one_for_a_module_too():
    kernel = w.btf(*BASE, (w.VAR, 'counter', 1, 1), (w.DATASEC, '.data..percpu', 4, len(BASE) + 1, 0, 4))
    top = split(kernel, (w.PTR, '', 1))
    btf = Btf(top, 'm', AMD64, Btf(kernel, 'k', AMD64))
    assert btf.variable('counter').per_cpu


DISTILLED = [(w.INT, 'int', 4, 1 << 24 | 32), (w.STRUCT, 'sock', 16), (w.FWD, 'sock_two', 0)]
OUTSIDE = [(w.STRUCT, 'own', 40, 'sk', 2, 0, 'p', 5, 128, 'n', 1, 192), (w.PTR, '', 3), (w.PTR, '', 4),
           (w.PROTO, '', 1, 'o', 6), (w.FUNC, 'go', 7)]


def test_a_distilled_base_is_looked_up_in_the_kernel():
    kernel, kept = Btf(w.btf(*BASE), 'k', AMD64), w.btf(*DISTILLED)
    btf = Btf(split(kept, *OUTSIDE), 'm', AMD64, DistilledBtf(kept, 'm', AMD64, kernel))
    own = btf.function('go').parameters[0].type().target()
    members = {member.name: member.type() for member in own.members()}
    assert [(m.name, m.bit) for m in members['sk'].members()] == [('a', 0), ('b', 64)]
    assert [(m.name, m.bit) for m in members['p'].target().members()] == [('c', 0)]


def test_a_distilled_base_that_does_not_fit_is_refused():
    kernel, kept = Btf(w.btf(*BASE), 'k', AMD64), w.btf(DISTILLED[0], (w.STRUCT, 'sock', 20), DISTILLED[2])
    btf = Btf(split(kept, *OUTSIDE), 'm', AMD64, DistilledBtf(kept, 'm', AMD64, kernel))
    with pytest.raises(DebugInfoError, match="built with a 'struct sock' that k does not have"):
        btf.named('struct', 'own').members()[0].type()


# ---- a distribution's module

@pytest.fixture(scope='module')
def conntrack() -> tuple[Path, Path, Path]:
    """(vmlinux, the stripped module with split BTF, its debug file) of a real kernel."""
    folder = kernels.kernel('6.1-amd64')
    debug = kernels.module_debug('6.1-amd64', 'nf_conntrack', 'tun')
    return folder / 'vmlinux', next(folder.glob('modules/kernel/net/netfilter/nf_conntrack.ko*')), debug / 'nf_conntrack.ko'


@pytest.mark.parametrize('way', ['BTF', 'DWARF'])
def test_every_struct_of_a_module_is_as_pahole_has_it(way, conntrack):
    """Offsets of all members, pahole being the oracle for the debug file."""
    need('pahole')
    vmlinux, stripped, debug = conntrack
    file = surftrace.Executable(str(stripped if way == 'BTF' else debug))
    kernel = types_of(vmlinux, 'btf')
    types = surftrace.types_in(file, way.lower(), kernel)[0]()
    said = subprocess.run(['pahole', '-F', 'dwarf', '--hex', '-C', 'nf_conn,nf_conntrack_tuple,nf_conntrack_expect,nf_ct_ext,nf_conntrack_net,'
                           'nf_conntrack_l4proto,nf_conntrack_helper,nf_conn_labels,nf_ct_iter_data,nf_queue_entry', debug],
                          capture_output=True, text=True, check=True).stdout
    compared = 0
    for text in re.findall(r'^struct \w+ \{\n.*?^\}', said, re.M | re.S):
        struct = types.named('struct', re.match(r'struct (\w+)', text)[1])
        if not struct:
            continue
        ours = [(m.name, m.bit // 8) for m in struct.members() if m.name and m.width is None]
        theirs = {name: int(at, 16) for name, at in re.findall(r'^\t(?!\t).*?\b(\w+)(?:\[[^\]]*\])*; +/\* +(0x[0-9a-f]+|0) ', text, re.M)}
        for name, offset in ours:
            if name in theirs:
                compared += 1
                assert theirs[name] == offset, (struct.name, name)
    assert compared > 50


def test_btf_and_dwarf_of_a_module_say_the_same(conntrack, capfd):
    vmlinux, stripped, debug = map(str, conntrack)
    lines = ['p nf_conntrack:nf_conntrack_in skb->len state->hook state->net->ns.inum', 'p nf_ct_delete ct->status X(ct->mark) portid',
             'p nf_conntrack:__nf_ct_refresh_acct ct->timeout ct->proto.tcp.state ct->tuplehash[1].tuple.src.u3.ip:ip',
             'r nf_conntrack:nf_conntrack_alloc $retval']
    assert show('-m', 'btf', '-v', vmlinux, '-v', stripped, *lines) == 0
    by_btf = capfd.readouterr().out
    assert show('-m', 'dwarf', '-v', vmlinux, '-v', debug, *lines) == 0
    assert capfd.readouterr().out == by_btf
    assert by_btf.count('nf_conntrack:') == 4


def test_a_module_is_found_where_distributions_put_it(conntrack, tmp_path, monkeypatch):
    """Not loaded: the installed file tells the build-id; a debug file of another build is passed over."""
    _, stripped, debug = conntrack
    folders = tuple(f'{tmp_path}/{name}/{{release}}' for name in ('debug', 'debug/usr', 'lib'))
    monkeypatch.setattr(surftrace, 'MODULE_FOLDERS', folders)
    monkeypatch.setattr(surftrace, 'MODULES_LOADED', str(tmp_path / 'loaded'))
    release = surftrace.Executable(str(stripped)).module_info['vermagic'].split(' ')[0]
    place = tmp_path / 'lib' / release / 'kernel/net'
    place.mkdir(parents=True)
    shutil.copy(stripped, place / 'nf_conntrack.ko')
    (place.parents[1] / 'modules.dep').write_text('kernel/net/nf-other.ko.xz:\nkernel/net/nf_conntrack.ko: kernel/net/nf-other.ko.xz\n')
    shutil.copy(stripped, place / 'nf-other.ko')
    assert surftrace.installed_module('nf_other', AMD64, release)[1].path == str(place / 'nf-other.ko')
    assert [file and file.path for file in surftrace.installed_module('nf_conntrack', AMD64, release)] == [None, str(place / 'nf_conntrack.ko')]
    beside = tmp_path / 'debug' / release / 'kernel/net'
    beside.mkdir(parents=True)
    shutil.copy(debug.with_name('tun.ko'), beside / 'nf_conntrack.ko.debug')
    assert surftrace.installed_module('nf_conntrack', AMD64, release)[0] is None
    monkeypatch.setattr(surftrace, 'DEBUG_FOLDER', str(tmp_path))
    linked = tmp_path / '.build-id' / (build_id := surftrace.Executable(str(stripped)).build_id)[:2] / f'{build_id[2:]}.debug'
    linked.parent.mkdir(parents=True)
    shutil.copy(debug, linked)
    assert surftrace.installed_module('nf_conntrack', AMD64, release)[0].path == str(linked)
    os.replace(shutil.copy(debug, tmp_path), beside / 'nf_conntrack.ko')
    assert surftrace.installed_module('nf_conntrack', AMD64, release)[0].path == str(beside / 'nf_conntrack.ko')
    monkeypatch.setattr(surftrace, 'running_build_id', lambda arch, module: '00' * 20)
    (tmp_path / 'loaded/nf_conntrack').mkdir(parents=True)
    assert surftrace.installed_module('nf_conntrack', AMD64, release) == (None, None)


def test_a_file_of_another_build_than_the_loaded_module_is_refused(conntrack, monkeypatch):
    vmlinux, stripped, _ = map(str, conntrack)
    info = surftrace.given_debug_files([vmlinux, stripped], 'auto', None, AMD64, 'x', lambda: None)
    assert info.given == ('nf_conntrack',)
    release = info.module('nf_conntrack').file.module_info['vermagic'].split(' ')[0]
    assert surftrace.check_same_module(info, 'nf_conntrack', release) == ''
    for name, value, other in ('running_build_id', '00' * 20, release), ('running_build_id', '', '6.2.0'):
        monkeypatch.setattr(surftrace, name, lambda arch, module='', value=value: value)
        with pytest.raises(surftrace.SurftraceError, match='another build'):
            surftrace.check_same_module(info, 'nf_conntrack', other)


def test_a_module_that_comes_as_another_build_is_told(conntrack, tmp_path, monkeypatch):
    """A probe was waiting, its offsets from the file that was installed then."""
    _, stripped, _ = conntrack
    file = surftrace.Executable(str(stripped))
    info = surftrace.Module(AMD64, None, [])

    def module(name: str) -> surftrace.Module:
        found = surftrace.Module(AMD64, None, [], file=file)
        found.loaded = name == 'loaded'
        return found
    info.with_modules(module)
    monkeypatch.setattr(surftrace, 'MODULES_LOADED', str(tmp_path))
    lines = 'p nf_conntrack:nf_conntrack_in', 'r16 other:nf_ct_delete', 'p loaded:nf_ct_delete'
    events = events_of(machine_of(info), *lines)
    arrivals = surftrace.changes(events, info).__next__
    assert arrivals() == []
    monkeypatch.setattr(surftrace, 'running_build_id', lambda arch, module: file.build_id if module == 'nf_conntrack' else '00')
    for name in ('nf_conntrack', 'other', 'loaded'):
        (tmp_path / name).mkdir()
    told, = arrivals()
    assert "the module 'other' that was loaded is another build" in told
    assert arrivals() == []


def test_the_btf_of_real_modules_is_on_top_of_their_kernels(conntrack):
    """No module is refused that was made for its kernel."""
    vmlinux, _, _ = conntrack
    kernel = types_of(vmlinux, 'btf')
    files = sorted((vmlinux.parent / 'modules').rglob('*.ko*'))[::40]
    with_btf = [file for file in map(surftrace.Executable, map(str, files)) if file.size('.BTF')]
    assert len(with_btf) > 10
    for file in with_btf:
        list(surftrace.btf_in(file, kernel).function_names())
