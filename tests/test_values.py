"""Values that are more than a number: a file's path, a struct, every parameter; numbers that are shown by a name.

The paths are those of a small kernel in Python, with dentries and mounts at random: what is shown is what its own d_path() says,
or marked where more names would be needed than are fetched."""
from __future__ import annotations

import contextlib
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Optional

import pytest
from helpers import events_of, machine_of, resolved, types_of
from imitation import Machine, passes, record

import surftrace
from surftrace import ARCHES, Decoder, Event, InputError, Module, format_named

HEAP = 0xffff888000000000
SOURCE = '''
typedef unsigned int u32; typedef u32 gfp_t; typedef u32 __kernel_dev_t; typedef __kernel_dev_t dev_t; typedef unsigned short __be16; typedef u32 __be32;
enum state { IDLE, BUSY = 4 };
struct in6_addr { unsigned char s6_addr[16]; };
struct node { struct node *next, **pprev; };
struct qstr { u32 hash, len; const unsigned char *name; };
struct super_block { dev_t s_dev; struct dentry *s_root; char s_id[32]; };
struct dentry { u32 flags, seq; struct node d_hash; struct dentry *d_parent; struct qstr d_name; void *d_inode;
                unsigned char d_iname[32]; struct super_block *d_sb; unsigned char other[4]; };
struct vfsmount { struct dentry *mnt_root; struct super_block *mnt_sb; int mnt_flags; };
struct ns_common { void *ops; u32 inum; };
struct mnt_namespace { struct ns_common ns; };
struct mount { long hash[2]; struct mount *mnt_parent; struct dentry *mnt_mountpoint; struct vfsmount mnt; struct mnt_namespace *mnt_ns; };
struct path { struct vfsmount *mnt; struct dentry *dentry; };
struct file { u32 f_mode; struct path f_path; long f_pos; };
struct one { int value; };
struct many { int a; unsigned char bits:3; signed char sign:5; char name[8]; const char *text; enum state state; __be16 port; struct in6_addr six;
              struct one one; struct path path; short list[3]; struct one ones[2]; void (*call)(void); dev_t dev;
              struct { long inner; }; union { int left; float right; }; };
struct large { long words[1]; int LARGE };
#define KEEP __attribute__((noipa, used))
KEEP long take_file(struct file *file, struct dentry *dentry, struct path *path, dev_t dev) { return file->f_pos + dentry->flags + !path + dev; }
KEEP int take_many(struct many *many, int count, double real, const char *name, struct path pair) { return many->a + count + real + *name + !pair.mnt; }
KEEP struct file *give(struct mount *m, struct large *large) { return (struct file *)m + large->words[0]; }
KEEP int take_flags(gfp_t gfp, struct many *many) { return gfp + many->a; }
KEEP unsigned give_unsigned(long long big, struct super_block *sb) { return big + sb->s_dev; }
int main(void) { return 0; }
'''.replace('LARGE', ', '.join(f'w{i}' for i in range(130)) + ';')


@pytest.fixture(scope='module', params=['dwarf', 'btf'])
def kernel(request: pytest.FixtureRequest, compile_c: Callable[..., Path], with_btf: Callable[[Path], Path]) -> Module:
    """The types of SOURCE, by both backends."""
    program = compile_c(SOURCE, '-O2', '-g')
    return types_of(with_btf(program) if request.param == 'btf' else program, request.param)


# ---- paths

class Node:
    """A dentry or a mount of the small kernel, at its address."""
    made: list[Node] = []

    def __init__(self, parent: Optional[Node] = None, name: str = '/', **parts: Node) -> None:
        self.parent, self.name, self.parts = parent or self, name, parts
        self.address, self.gone = HEAP + 0x1000 * (len(Node.made) + 1), False
        Node.made.append(self)


def memory_of(nodes: list[Node], inum: int = 0xf0000001) -> dict[int, bytes]:
    """What lies at their addresses: of a dentry its name too, of a mount what it is of."""
    sb, namespace, memory = HEAP + 0xfff000, HEAP + 0xffe000, {}
    memory[sb] = struct.pack('<QQ32s', 0x800001, nodes[0].address, b'vda1')
    memory[namespace] = struct.pack('<QI', 0, inum)
    for node in nodes:
        if 'root' in node.parts:
            memory[node.address] = struct.pack('<16xQQQQQQ', node.parent.address, node.parts['point'].address,
                                               node.parts['root'].address, sb, 0, namespace * (not node.gone))
        else:
            hashed = 0 if node.gone else HEAP
            head = struct.pack('<QQQQQQQ32sQ', 0, 0, hashed, node.parent.address, len(node.name), node.address + 0x100, 0, b'', sb)
            memory[node.address] = head.ljust(0x100, b'\0') + node.name.encode() + b'\0'
    return memory


def d_path(dentry: Node, mount: Node, most: tuple[int, ...] = (8, 4, 2, 0)) -> str:
    """The path, by the kernel's own way (fs/d_path.c), with as many names as are fetched."""
    names: list[str] = []
    for count in most:
        for _ in range(count + 1):
            if dentry is mount.parts['root']:
                break
            names.append(dentry.name)
            dentry = dentry.parent
        else:
            return '.../' + '/'.join(reversed(names[:-1]))
        if mount.parent is mount:
            return '/' + '/'.join(reversed(names))
        dentry, mount = mount.parts['point'], mount.parent
    return '.../' + '/'.join(reversed(names))


def some_tree(random: Random, depth: int) -> tuple[Node, Node]:
    """(root, a dentry below it), with names of all lengths."""
    root = dentry = Node()
    for _ in range(depth):
        dentry = Node(dentry, random.choice(['a', 'x' * 255, 'some name', 'na"me', 'path=', '...']))
    return root, dentry


def some_file(random: Random) -> tuple[Node, Node]:
    """(dentry, mount) below a few mounts, some of them of a part of a file system."""
    root, point = some_tree(random, random.choice([0, 1, 1, 2, 3, 5]))
    mount = Node(root=root, point=root)
    for _ in range(random.choice([0, 1, 2, 2, 3, 4])):
        root, dentry = some_tree(random, random.choice([1, 2, 3, 7, 8, 9, 10]))
        part = root if random.random() < 0.7 else random.choice([dentry, dentry.parent])
        mount, point = Node(mount, root=part, point=point), dentry
    return point, mount


def shown(event: Event, machine: Machine) -> str:
    """What a hit of the event is shown as, from its first value on."""
    definition = event.definitions[0]
    line = record(event.name, [(name, fetch.kind or 'string', machine.fetch(fetch.text()))
                               for name, fetch in (*definition.args, *definition.unseen)])
    return Decoder([event]).block(line).decode('utf-8', 'surrogateescape').rstrip('\n').partition(') ')[2]


def event_of(kernel: Module, line: str) -> Event:
    event, = events_of(machine_of(kernel, seal=0x5ea15ea1), line)
    return event


def file_machine(dentry: Node, mount: Node, inum: int = 0xf0000001) -> Machine:
    """%di is a struct file, %si its dentry, %dx its struct path."""
    memory = memory_of(Node.made, inum)
    memory[HEAP] = struct.pack('<QQQQ', 3, mount.address + 32, dentry.address, 5)
    return Machine({'di': HEAP, 'si': dentry.address, 'dx': HEAP + 8, 'sp': HEAP + 0xffd000}, memory)


@pytest.fixture(autouse=True)
def _empty_world() -> None:
    Node.made.clear()


def test_a_path_is_the_kernels_own_or_says_that_it_is_not_whole(kernel: Module) -> None:
    event = event_of(kernel, 'p take_file file:path path:path')
    seen = []
    for seed in range(150):
        Node.made.clear()
        dentry, mount = some_file(Random(seed))
        wanted = d_path(dentry, mount)
        line = shown(event, file_machine(dentry, mount))
        assert line in (f'file="{wanted}" path="{wanted}"', '') or 'not decoded' in line, (seed, wanted)
        seen.append(wanted)
    assert sum(path[0] == '/' for path in seen) > 30 and sum(path[0] == '.' for path in seen) > 30
    assert '/' in seen and max(path.count('/') for path in seen) > 10


def test_of_a_dentry_the_file_system_is_said(kernel: Module) -> None:
    event = event_of(kernel, 'p take_file dentry:path')
    root, dentry = some_tree(Random(3), 3)
    for node, wanted in ((root, '/'), (dentry.parent.parent, f'/{dentry.parent.parent.name}'),
                         (dentry, '/'.join(['', dentry.parent.parent.name, dentry.parent.name, dentry.name]))):
        assert shown(event, file_machine(node, Node(root=root, point=root))) == f'dentry="vda1:{wanted}"'


def test_what_has_no_path_or_none_any_more_is_marked(kernel: Module) -> None:
    event = event_of(kernel, 'p take_file file:path')
    root = Node()
    below, alone, mount = Node(Node(root, 'a'), 'b'), Node(None, 'TCP'), Node(root=root, point=root)
    assert shown(event, file_machine(below, mount)) == 'file="/a/b"'
    assert shown(event, file_machine(alone, mount)) == 'file="vda1:TCP"'            # a socket
    for inum in (0, 0xeffffff7):
        assert shown(event, file_machine(below, mount, inum)) == 'file="/a/b" (not mounted)'    # of fsmount(2)
    below.gone = root.gone = True
    assert shown(event, file_machine(below, mount)) == 'file="/a/b" (deleted)'
    assert shown(event, file_machine(root, mount)) == 'file="/"'                    # a root is in no directory
    mount.gone = True
    assert shown(event, file_machine(below, mount)) == 'file="/a/b" (deleted) (not mounted)'
    strange = Node(Node(None, 'else'), 'x')             # the mount's root is not above it
    assert shown(event, file_machine(strange, mount)) == 'file=".../x" (not mounted)'


def test_a_path_goes_as_far_as_its_pointers_are_good(kernel: Module) -> None:
    event = event_of(kernel, 'p take_file file:path')
    root = Node()
    middle = Node(Node(root, 'a'), 'b')
    machine = file_machine(Node(Node(middle, 'c'), 'd'), Node(root=root, point=root))
    assert shown(event, machine) == 'file="/a/b/c/d"'
    for bad in (0, 8, 0x7fff12345000, (1 << 64) - 1):
        child = middle.address + 0x1000
        data = machine.memory[child]
        broken = {**machine.memory, child: data[:24] + bad.to_bytes(8, 'little') + data[32:]}
        assert shown(event, machine._replace(memory=broken)) == 'file=".../c/d"'
    data = machine.memory[HEAP]
    for broken in (data[:8] + bytes(8) + data[16:], data[:16] + bytes(8) + data[24:]):          # no mount, no dentry
        assert shown(event, machine._replace(memory={**machine.memory, HEAP: broken})) == 'file=(null)'
    assert shown(event, machine._replace(registers={**machine.registers, 'di': 0})) == 'file=(null)'


def test_a_filter_compares_the_last_name(kernel: Module) -> None:
    event = event_of(kernel, 'p take_file file:path f:file==b')
    root = Node()
    machine = file_machine(Node(Node(root, 'a'), 'b'), Node(root=root, point=root))
    for name, wanted in (('b', True), ('c', False)):
        Node.made[-2].name = name
        machine = machine._replace(memory={**machine.memory, **memory_of(Node.made)})
        values = {name: (fetch.kind, machine.fetch(fetch.text())) for name, fetch in (
            *event.definitions[0].args, *event.definitions[0].unseen)}
        assert passes(event.filter, values) is wanted, event.filter
    with pytest.raises(InputError, match='compares the last name: file==passwd'):
        event_of(kernel, 'p take_file file:path f:file==/etc/passwd')


@pytest.mark.parametrize('line, message', [
    ('p take_file file->f_pos:path', 'struct file, path or dentry'), ('p take_file user(file):path', 'struct file, path or dentry'),
    ('p take_file X(file):path', 'both say how'), ('p take_many %di:path', 'struct file, path or dentry')])
def test_a_path_is_that_of_a_file(kernel: Module, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        event_of(kernel, line)


def test_two_paths_find_room_in_a_line(kernel: Module) -> None:
    line = 'p take_file file_in=file:path file_out=path:path dev'
    assert len(event_of(kernel, line).definitions[0].args) == 2 * 44 + 1
    with pytest.raises(InputError, match='the kernel takes (128|4094)'):
        event_of(kernel, line + ' third=file:path')


def test_a_long_way_to_the_file_leaves_fewer_names(kernel: Module) -> None:
    long = '((struct file *)dentry->d_parent->d_parent->d_parent->d_inode)'
    event = event_of(kernel, f'p take_file f={long}:path')
    assert event.annotation.endswith(':path(4,4,2,0)')
    assert max(len(fetch.text()) for _, fetch in event.definitions[0].args) <= 63


# ---- structs, every parameter

MANY = struct.pack('<iB8s3xQIH16s2xi4xQQ3h2xiiQI4xqi', -3, 0b11110_101, b'eightful', HEAP, 4, 443, bytes(15) + b'\1', 77, 1, 2, -1, 0, 1, 8, 9,
                   0xffffffff81000000, 0x800011, 1 << 40, -7)
SHOWN = ('{a=-3 bits=5 sign=-2 name="eightful" text=0xffff888000000000 state=BUSY port=47873 six=::1 one=77 list={-1,0,1} ones={8,9} call=0xffffffff81000000 '
         'dev=8:17 inner=1099511627776 left=-7 right=nan}')


def test_a_struct_is_its_members(kernel: Module) -> None:
    notes: list[str] = []
    event, = events_of(machine_of(kernel, notes.append, seal=1), 'p take_many *many last=many->a')
    assert notes == ["'many' is shown without path: each more than one value, or without room"]
    machine = Machine({'di': HEAP, 'sp': HEAP}, {HEAP: MANY.ljust(200, b'\0')})
    assert shown(event, machine) == f'many={SHOWN} last=-3'
    assert shown(event, machine._replace(registers={'di': 0, 'sp': HEAP})) == 'many=(null) last=(null)'
    for refused, words in (('f:many==1', 'is a struct, and a filter'), ('h:*many', "'many' is a struct: count by a member"),
                           ('h:sum(*many)', "'many' is a struct"), ('h:*', 'every parameter')):
        with pytest.raises(InputError, match=words):
            events_of(machine_of(kernel), f"p take_many {'*many ' * refused.startswith('f')}{refused}")


def test_a_struct_by_value_is_its_members_in_registers(kernel: Module) -> None:
    assert resolved(kernel, 'p take_many pair').lines()[0].split(' ', 2)[2] == 'pair=%cx:x64 pair_2=%r8:x64 #! pair+pair_2:{mnt;dentry}'


def test_of_a_large_struct_what_finds_room_is_shown(kernel: Module) -> None:
    notes: list[str] = []
    event, = events_of(machine_of(kernel, notes.append, seal=1), 'p give *large *m')
    assert len(event.fields[0].fetches) == 100 and len(event.definitions[0].args) == 104
    assert notes == ["'large' is shown without w99, w100, w101, w102, w103, w104, w105, w106, w107, w108, w109, w110, ...: each more than "
                     'one value, or without room', "'m' is shown without mnt: each more than one value, or without room"]
    with pytest.raises(InputError, match='the kernel takes 128'):
        event_of(kernel, 'p give *large %0:x64 copy=*large')


@pytest.mark.parametrize('line', ['p take_many *many', 'p take_many many->path', 'p take_file *dentry', 'p take_file file:path dentry:path',
                                  'r give $retval:errno f:retval==-ENOENT', 'p take_file dev X(dev) f:dev==8:17'])
def test_it_is_read_back_as_it_is_printed(kernel: Module, line: str) -> None:
    printed, = resolved(kernel, line).lines()
    assert resolved(kernel, printed).lines() == [printed]


def test_a_struct_of_other_fields_than_it_says_is_refused(kernel: Module) -> None:
    for words in ('{a;b;c}', '{a}', '{a:ip6;b}', '{a:nothing;b}', '{}'):
        with pytest.raises(InputError):
            resolved(kernel, f'p take_file v=%di:u32 w=%si:u32 #! v+w:{words}')
    assert resolved(kernel, 'p take_file v=%di:u32 w=%si:u32 #! v+w:{a;b:ip}').lines()


def test_a_star_alone_is_every_parameter(kernel: Module) -> None:
    notes: list[str] = []
    made = {line: [one.lines()[0].split(' ', 2)[2] for one in events_of(machine_of(kernel, notes.append), line)] for line in (
        'p take_many *', 'p take_many count * f:count>3', 'p take_many * *many')}
    every = 'many=%di:x64 count=%si:s32 name=+0(%dx):string pair=%cx:x64 pair_2=%r8:x64'
    assert made['p take_many *'] == [f'{every} #! pair+pair_2:{{mnt;dentry}}']
    assert made['p take_many count * f:count>3'][0].startswith('count=%si:s32 many=%di:x64 count_2=%si:s32 name')
    assert made['p take_many * *many'][0].startswith(every + ' many_2=+0(%di):s32')
    assert notes == ["'*' leaves 'real' out: 'real' is not available here: ftrace reads no floating-point registers"] * 3 + [
        "'many_2' is shown without path: each more than one value, or without room"]


def test_what_a_star_stands_for_has_to_be_known(kernel: Module) -> None:
    for line, words in (('p take_many many=*', 'an expression expected'), ('p take_many X(*)', 'an expression expected'),
                        ('e no/such *', 'not known here')):
        with pytest.raises(InputError, match=words):
            resolved(kernel, line)


# ---- by name

@pytest.mark.parametrize('kind, numbers, shown', [
    ('s32', '-2 -4095 -4096 0 7 -516 -11', '-ENOENT -4095 -4096 0 7 -ERESTART_RESTARTBLOCK -EAGAIN'), ('s64', '-95 -35', '-EOPNOTSUPP -EDEADLK'),
    ('x64', '0xfffffffffffffffe 0xfffffffffffff000 0xffff888000000000 0x0 0xfffffffe 0xfffffffffffff001',
     '-ENOENT 0xfffffffffffff000 0xffff888000000000 0x0 0xfffffffe -4095'), ('x32', '0xfffffffe 0x7', '-ENOENT 0x7')])
def test_an_error_is_shown_by_its_name(kind: str, numbers: str, shown: str) -> None:
    format_ = format_named('errno', ARCHES[0], kind)
    assert format_ and [format_.show([text]) for text in numbers.split()] == shown.split()
    for number, text in zip(numbers.split(), shown.split()):
        assert (format_.parse(text)[0] - int(number, 0)) % (1 << int(kind[1:])) == 0


def test_what_a_function_returns_may_be_an_error(kernel: Module) -> None:
    for line, wanted in (('r take_many $retval:errno f:retval<0', 'retval=$retval:s32'), ('r give $retval:errno', 'retval=$retval:x64'),
                         ('r give_unsigned $retval:errno', 'retval=$retval:x32'), ('p give_unsigned big:errno', 'big=%di:s64')):
        assert resolved(kernel, line).lines()[0].split(' ', 2)[2].startswith(f'{wanted} #! ')
    assert resolved(kernel, 'r give $retval:errno f:retval==-ENOENT').filter == f'retval=={(1 << 64) - 2}'
    assert resolved(kernel, 'r take_many $retval:errno f:retval!=-ENOENT&&retval<0').filter == 'retval!=-2&&retval<0'
    for line, words in (('p take_many many->name:errno', 'an error is an int'), ('p take_many X(count):errno', 'both say how'),
                        ('r take_many $retval:errno f:retval==-ENOSUCH', 'is no value of')):
        with pytest.raises(InputError, match=words):
            resolved(kernel, line)


def test_a_device_is_its_two_numbers(kernel: Module) -> None:
    line, = resolved(kernel, 'p take_file dev U(dev) X(dev) dev:u32 dev:dev (u32)dev f:dev==8:17&&dev>=1:0').lines()
    assert line.split(' ', 2)[2].split(' #! ') == ['dev=%cx:u32 dev_2=%cx:u32 dev_3=%cx:x32 dev_4=%cx:u32 dev_5=%cx:u32 dev_6=%cx:u32',
                                                   'dev:dev dev_5:dev f:dev==8:17&&dev>=1:0']
    assert resolved(kernel, 'p take_file dev f:dev==8:17&&dev>=1:0').filter == f'dev=={8 << 20 | 17}&&dev>={1 << 20}'
    assert 's_dev=+0(%si):u32 #! s_dev:dev' in resolved(kernel, 'p give_unsigned sb->s_dev').lines()[0]
    for wrong in ('8', '8:', '4096:1', '1:1048576', '-1:0', 'a:b', '1:2:3'):
        with pytest.raises(InputError, match='is no value of'):
            resolved(kernel, f'p take_file dev f:dev=={wrong}')


def test_names_of_files_are_text_and_other_bytes_are_not(kernel: Module) -> None:
    line, = resolved(kernel, 'p take_file dentry->d_name.name dentry->d_iname dentry->other').lines()
    assert line.split(' ', 2)[2] == 'name=+0(+40(%si)):string d_iname=+56(%si):string other=+96(%si):u8[4] #! d_iname:cut(32)'


GFP = ('__print_flags(REC->gfp_flags, "|", {( unsigned long)((( gfp_t)(0x400u|0x800u)) | (( gfp_t)((((1UL))) << (6)))), "GFP_X"}, '
       '{( unsigned long)(( gfp_t)0x100u), "__GFP_ZERO"}, {( unsigned long)(( gfp_t)0), "__GFP_NOTHING"}, {0x40, "__GFP_IO"})')
STATE = '__print_symbolic(REC->state, { 0, "IDLE" }, {(1 << 1), "on|hold"}, { 3, "last one" }, { 3, "again" }, { -1, "NONE" }, { -1, ((void *)0) })'


def format_of(*printed: str) -> str:
    """A format file of an event that prints these."""
    fields = (('unsigned long', 'gfp_flags', 8, 0), ('int', 'state', 4, 1), ('u64', 'big', 8, 0), ('char', 'name[8]', 8, 0), ('u8', 'isa', 1, 0))
    lines = [f'\tfield:{words} {name};\toffset:8;\tsize:{size};\tsigned:{signed};\n' for words, name, size, signed in fields]
    return ''.join(lines) + f'\nprint fmt: "of %s, {{", REC->isa, {", ".join(printed)}'


def printed_by(*printed: str) -> dict[str, tuple[bool, dict[str, int]]]:
    """Of the fields that are shown by name: whether these are flags, and the names."""
    text = format_of(*printed)
    fields = surftrace.with_printed('kmem/kmalloc', surftrace.event_fields(text, ARCHES[0]), text)
    return {name: (each.type.flags, dict(each.type.enumerators()[::-1])) for name, each in fields.items() if isinstance(each.type, surftrace.Enum)}


def test_the_fields_of_an_event_have_the_names_that_it_prints() -> None:
    flags = {'GFP_X': 0xc40, '__GFP_ZERO': 0x100, '__GFP_NOTHING': 0, '__GFP_IO': 0x40}
    assert printed_by(GFP, STATE) == {'gfp_flags': (True, flags), 'state': (
        False, {'IDLE': 0, 'on|hold': 2, 'last one': 3, 'again': 3, 'NONE': -1})}
    assert printed_by(f'(REC->gfp_flags) ? {GFP} : "none"', '__print_symbolic_u64((u64)REC->big, { -9ULL, "DATA" })') == {
        'gfp_flags': (True, flags), 'big': (False, {'DATA': (1 << 64) - 9})}


@pytest.mark.parametrize('printed', [
    f'(REC->isa == 1) ? {STATE} : "?"', f'REC->isa == 1 ? REC->isa : {STATE}',                  # where something else is so
    '__print_symbolic(REC->state & 0xff, { 1, "A" })', f'{STATE}, __print_flags(REC->state & ~1, "|", {{ 4, "B" }})',
    '__print_symbolic(REC->state, { 1, "A" }, { A_NUMBER, "B" })', '__print_symbolic(REC->state, { sizeof(int), "A" })',
    '__print_symbolic(REC->state, NAMES)', '__print_symbolic(REC->nothing, { 1, "A" })', '__print_symbolic(REC->name, { 1, "A" })',
    '__print_symbolic(7, { 1, "A" })', '__print_hex(REC->state, 4)'])
def test_a_field_whose_name_is_not_sure_stays_a_number(printed: str) -> None:
    assert not printed_by(printed)


@pytest.fixture(scope='module')
def printing(kernel: Module) -> surftrace.Machine:
    """That kernel, whose event kmem/kmalloc prints names."""
    kernel = Module(kernel.arch, kernel.symbols, kernel.sources)
    machine = machine_of(kernel, read=lambda path: format_of(GFP, STATE) if path == 'events/kmem/kmalloc/format' else '')
    kernel.printed = lambda name: surftrace.printed_type(machine, name)
    return machine


def test_flags_are_shown_as_the_kernel_shows_them(printing: surftrace.Machine) -> None:
    event, = events_of(printing, 'p take_flags gfp')
    show = event.fields[0].format.show
    assert {text: show([text]) for text in ('3136', '3392', '256', '2147483648', '257', '64', '0', '0x940')} == {
        '3136': 'GFP_X', '3392': 'GFP_X|__GFP_ZERO', '256': '__GFP_ZERO', '2147483648': '0x80000000', '257': '__GFP_ZERO|0x1',
        '64': '__GFP_IO', '0': '0', '0x940': '__GFP_ZERO|__GFP_IO|0x800'}
    state, = events_of(printing, 'e kmem/kmalloc state')
    assert [state.fields[0].format.show([text]) for text in ('0', '2', '3', '-1', '7')] == ['IDLE', 'on|hold', 'last one', 'NONE', '7']


@pytest.mark.parametrize('line, written, filter_', [
    ('p take_flags gfp f:gfp&__GFP_ZERO', 'take_flags gfp=%di:u32 #! gfp:enum(kmem/kmalloc.gfp_flags) f:gfp&__GFP_ZERO', 'gfp&256'),
    ('p take_flags f:gfp==GFP_X|__GFP_ZERO', 'take_flags gfp=%di:u32 #! gfp:enum(kmem/kmalloc.gfp_flags),hidden f:gfp==GFP_X|__GFP_ZERO',
     'gfp==3392'),
    ('p take_flags X(gfp) gfp:u32 U(gfp)', 'take_flags gfp=%di:x32 gfp_2=%di:u32 gfp_3=%di:u32', ''),
    ('e kmem/kmalloc gfp_flags f:state==NONE', 'kmem/kmalloc gfp_flags=$gfp_flags:u64 state=$state:s32 #! gfp_flags:enum(kmem/kmalloc.gfp_flags) '
     'state:enum(kmem/kmalloc.state),hidden f:state==NONE', 'state==-1'),
    ('e kmem/kmalloc f:gfp_flags&GFP_X&&state==NONE||isa==1', '', 'gfp_flags&3136&&state==-1||isa==1')])
def test_names_go_both_ways(printing: surftrace.Machine, line: str, written: str, filter_: str) -> None:
    event, = events_of(printing, line)
    assert event.filter == filter_
    if written:
        assert event.lines()[0].split(' ', 1)[1] == written
        again, = events_of(printing, event.lines()[0])
        assert (again.lines(), again.filter) == (event.lines(), filter_)


@pytest.mark.parametrize('value, hint', [
    ('__GFP_ZER0', "did you mean '__GFP_ZERO'?"), ('GFP_X|__GFP_IOS', "did you mean '__GFP_IO'?"), ('WHOLLY', r'\(enum\)\n'), ('3x', r'\(enum\)\n')])
def test_a_name_that_is_none_is_told(printing: surftrace.Machine, value: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"is no value of 'gfp'.*{hint}"):
        events_of(printing, f'p take_flags f:gfp=={value}')


def test_flags_are_numbers_where_no_event_tells(kernel: Module) -> None:
    assert resolved(kernel, 'p take_flags gfp').lines() == ['p:f0 take_flags gfp=%di:u32']


def test_the_numbers_are_those_of_the_compiler(_mounted_tracefs: Path, compile_c: Callable[..., Path]) -> None:
    """Of every name that an event of the running kernel prints."""
    said = subprocess.run(['sh', '-c', f'cat {_mounted_tracefs}/events/*/*/format'], capture_output=True, text=True)     # some go meanwhile
    rows = {row for table in surftrace.TABLE.finditer(said.stdout)
            for row in re.findall(r'{([^"]*),\s*"([^"]*)"\s*}', table['rows'])}
    ours = {}
    for value, _ in sorted(rows):
        with contextlib.suppress(ValueError):               # an enumerator that the kernel does not tell there
            ours[value] = surftrace.printed_rows(f'{{{value}, "x"}}', False, surftrace.whole_number)[0][1]
    casts = {name for value in ours for name in re.findall(r'\(\s*([a-z_]\w*)\s*\)', value)} - {'int', 'long', 'unsigned'}
    source = ''.join(f"typedef unsigned {'long' * (name == 'u64')} {name};\n" for name in casts) + '#include <stdio.h>\nint main(void) {\n'
    program = compile_c(source + ''.join(f'    printf("%llu\\n", (unsigned long long)({value}));\n' for value in ours) + '}\n', '-w')
    theirs = [int(line) for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()]
    assert list(ours.values()) == theirs and len(ours) > 100
