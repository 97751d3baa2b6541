"""C types out of DWARF 4, DWARF 5 and BTF: the same from each, and laid out as the compiler says."""
from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest
from btf_writer import ENUM, ENUM64, FLOAT, FUNC, INT, KFLAG, PROTO, STRUCT, btf
from golden import ENUMERATORS
from helpers import AMD64, TYPES, resolved, types_of
from imitation import WORD, Machine, printed

import surftrace
from surftrace import Array, Enum, Float, InputError, Int, Module, Pointer, Struct, differ, find_member, member_names, size_of, spell

STRUCTS = re.findall(r'^(struct|union) (\w+) \{', TYPES, re.M)


def named(info: Module, keyword: str, name: str) -> surftrace.Type:
    """The type of that name, which has to be there."""
    found = info.named(keyword, name)
    assert found is not None
    return found


def leaves(struct: Struct, path: str = '', bit: int = 0) -> Iterator[tuple[str, surftrace.Member, int]]:
    """Every member that can be named, to the bottom: its path, itself, its bit from the start of all."""
    for name in member_names(struct):
        member = find_member(struct, name)
        inner = member.type()
        yield f'{path}{name}', member, bit + member.bit
        if isinstance(inner, Struct) and inner.size is not None:
            yield from leaves(inner, f'{path}{name}.', bit + member.bit)


def test_offsets_and_sizes_are_the_compilers(backend, info: Module, compile_c):
    ours, asked = {}, []
    for keyword, name in STRUCTS:
        struct = named(info, keyword, name)
        ours[f'{keyword} {name}'] = size_of(struct)
        asked.append(f'printf("{keyword} {name}=%zu\\n", sizeof({keyword} {name}));')
        for path, member, bit in leaves(struct):
            if member.width is None:
                whole = f'{keyword} {name}, {path}'
                ours[f'offset {whole}'], ours[f'size {whole}'] = bit, size_of(member.type())
                asked.append(f'printf("offset {whole}=%zu\\n", 8 * __builtin_offsetof({whole}));')
                flexible = re.search(rf'\b{path}\[0?\];', TYPES)
                asked.append('' if flexible else f'printf("size {whole}=%zu\\n", sizeof((({keyword} {name} *)0)->{path}));')
                if flexible:
                    assert ours.pop(f'size {whole}') is None
    program = compile_c(f'#include <stdio.h>\n{TYPES}\nint main(void) {{\n{chr(10).join(asked)}\n}}\n', '-w')
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert ours == {what: int(number) for what, number in (line.split('=') for line in said.splitlines())}
    assert len(ours) > 240


@pytest.mark.parametrize(('keyword', 'name', 'path', 'bit', 'spelled'), [
    ('struct', 'nested', 'a', 64, 'short int'), ('struct', 'nested', 'b', 96, 'unsigned char'),
    ('struct', 'nested', 'c', 96, 'char [3]'),
    ('struct', 'nested', 'skip', 96, 'unsigned char'), ('struct', 'nested', 'd', 104, 'int'),
    ('struct', 'nested', 'f', 64, 'long int'),
    ('struct', 'nested', 'named.deep.y', 160, 'short int [3]'), ('struct', 'nested', 'u.hi', 236, 'int'),
    ('struct', 'nested', 'next', 320, 'struct nested *'), ('struct', 'text', 'cvs', 128, 'char *'),
    ('struct', 'text', 'list', 384, 'char **'),
    ('struct', 'scalars', 'chain', 320, 'short unsigned int'), ('struct', 'scalars', 'refs', 704, 'atomic_t'),
    ('struct', 'scalars', 'uid', 736, 'kuid_t'), ('struct', 'scalars', 'fn', 832, 'int (*)(int)'),
    ('struct', 'scalars', 'handle', 896, 'int (*)(struct point *, long int)'),
    ('struct', 'scalars', 'hidden', 960, 'struct opaque *'),
    ('struct', 'scalars', 'en', 448, 'enum negative'), ('struct', 'scalars', 'anonymous', 672, 'enum <anonymous>'),
    ('struct', 'arrays', 'tail', 10208, 'struct point []'), ('struct', 'arrays', 'words', 9600, 'char *[4]'),
    ('union', 'bit_union', 'mid', 4, 'unsigned int'), ('', 'atomic_t', 'counter', 0, 'int'),
    ('', 'kuid_t', 'val', 0, 'unsigned int'),
])
def test_a_member_is_found(keyword, name, path, bit, spelled, info: Module):
    at, type_ = 0, named(info, keyword, name)
    for part in path.split('.') if path else ():
        member = find_member(type_, part)
        at, type_ = at + member.bit, member.type()
    assert (at, spell(type_)) == (bit, spelled)


def test_a_member_that_is_not_there_is_not_found(info: Module):
    struct = named(info, 'struct', 'nested')
    assert [find_member(struct, name) for name in ('x', 'deep', 'beforehand', 'befor')] == [None] * 4
    assert member_names(struct) == ['before', 'a', 'b', 'c', 'skip', 'd', 'e', 'f', 'named', 'u', 'where', 'next']


@pytest.mark.parametrize(('name', 'size', 'signed', 'names'), [
    ('plain', 4, False, 'ZERO ONE TWO NINE'), ('negative', 4, True, 'MINUS_TWO MINUS_ONE NOUGHT SOME'),
    ('wide', 8, False, 'SMALL LARGE'),
    ('wide_negative', 8, True, 'LOW HIGH'), ('tiny', 1, False, 'T0 T1 T200'), ('tiny_negative', 1, True, 'M5 P6'),
])
def test_an_enum_has_the_values_of_c(name, size, signed, names, info: Module):
    enum = named(info, 'enum', name)
    assert isinstance(enum, Enum)
    assert (enum.size, enum.signed) == (size, signed)
    assert enum.enumerators() == tuple((each, ENUMERATORS[each]) for each in names.split())


@pytest.mark.parametrize(('name', 'kind', 'size', 'signed'), [
    ('c', Int, 1, True), ('sc', Int, 1, True), ('uc', Int, 1, False),
])
def test_a_character_has_the_sign_of_c(name, kind, size, signed, info: Module):
    type_ = find_member(named(info, 'struct', 'text'), name).type()
    assert (type(type_), type_.size, type_.signed, surftrace.is_char(type_)) == (kind, size, signed, name == 'c')


@pytest.mark.parametrize(('name', 'kind', 'size'), [
    ('b', Int, 1), ('wide', Int, 16), ('f', Float, 4), ('d', Float, 8), ('ld', Float, 16), ('ul', Int, 8),
])
def test_a_base_type_has_the_kind_and_size_of_c(name, kind, size, info: Module):
    type_ = find_member(named(info, 'struct', 'scalars'), name).type()
    assert (type(type_), type_.size) == (kind, size)


def test_arrays_of_arrays_are_nested_in_dwarf_and_flat_in_btf(backend, info: Module):
    """pahole writes one dimension, as long as all together: what BTF cannot tell, nobody can ask for."""
    shapes = {}
    for name in ('grid', 'matrix'):
        type_, counts = find_member(named(info, 'struct', 'arrays'), name).type(), []
        while isinstance(type_, Array):
            counts.append(type_.length)
            type_ = type_.element()
        shapes[name] = counts
    assert shapes == ({'grid': [48], 'matrix': [12]} if backend == 'BTF' else {'grid': [3, 16], 'matrix': [3, 4]})


def test_a_type_that_is_only_declared_has_no_size(info: Module):
    for name, keyword in (('hidden', 'struct'), ('unseen', 'union')):
        pointer = find_member(named(info, 'struct', 'scalars'), name).type()
        assert isinstance(pointer, Pointer)
        target = pointer.target()
        assert (type(target), target.keyword, target.size, size_of(target)) == (Struct, keyword, None, None)
        with pytest.raises(surftrace.DebugInfoError, match='declared, but defined nowhere'):
            target.members()


@pytest.mark.parametrize(('keyword', 'name'),
                         [('struct', 'plain'), ('enum', 'bits'), ('union', 'nested'), ('struct', 'nonsense'), ('', 'bits'),
                                               ('struct', 'bit'), ('struct', 'its'), ('struct', '')])
def test_what_has_no_such_name_is_not_found(keyword, name, info: Module):
    assert info.named(keyword, name) is None


@pytest.mark.parametrize(('name', 'returns', 'parameters'), [
    ('take_holder', 'int', 'p: struct holder *, l: struct list *, address: long unsigned int'), ('take_nothing', 'int', ''),
    ('take_any', 'int', 'a: int, ...'), ('give_nothing', 'void', 'a: int'), ('give_text', 'char *', ''),
    ('give_enum', 'enum negative', 'a: int'),
    ('take_float', 'int', 'a: int, b: float, c: int, d: double, e: long int'), ('take_s12', 'int', 'v: struct s12, after: int'),
])
def test_a_function_has_its_prototype(name, returns, parameters, info: Module):
    function = info.function(name)
    told = [f'{parameter.name}: {spell(parameter.type())}' for parameter in function.parameters] + ['...'] * function.variadic
    assert (spell(function.returns()), ', '.join(told)) == (returns, parameters)


# ---- what older kernels have in their BTF

INTEGER = (INT, 'int', 4, 1 << 24 | 32)


def old_btf(*types: tuple) -> surftrace.Btf:
    """BTF with these types behind `int`."""
    return surftrace.Btf(btf(INTEGER, *types), 'made', AMD64)


@pytest.mark.parametrize(('kind', 'values', 'signed', 'expected'), [
    (ENUM, [1, 5], False, [1, 5]), (ENUM | KFLAG, [0xfffffffe, 5], True, [-2, 5]), (ENUM, [0xffffffff, 5], True, [-1, 5]),
    (ENUM, [0xffffffff, 0xfffffffe], True, [-1, -2]), (ENUM, [0x80000000, 1], False, [0x80000000, 1]),
    (ENUM64, [(5, 1), (0, 0)], False, [(1 << 32) + 5, 0]), (ENUM64 | KFLAG, [(0xfffffffe, 0xffffffff), (1, 0)], True, [-2, 1]),
])
def test_an_enum_is_signed_where_btf_says_so_or_has_minus_one(kind, values, signed, expected):
    """The flag is there since Linux 6.0; before, -1 was the only value that could not be meant otherwise."""
    words = [word for number, value in enumerate(values)
             for word in (f'E{number}', *(value if isinstance(value, tuple) else (value,)))]
    enum = old_btf((kind, 'e', 8 if kind & 0xff == ENUM64 else 4, *words)).named('enum', 'e')
    assert (enum.signed, [value for _, value in enum.enumerators()]) == (signed, expected)


def test_two_definitions_that_differ_in_the_type_of_a_member_alone():
    """As elf_note_info of fs/binfmt_elf.c and of its compat twin (every kernel here): one size, one name, one place."""
    unsigned, one, other = (INT, 'unsigned int', 4, 32), (STRUCT, 's', 4, 'a', 1, 0), (STRUCT, 's', 4, 'a', 2, 0)
    assert old_btf(unsigned, one, one).named('struct', 's').size == 4
    with pytest.raises(surftrace.InputError, match="'struct s' has several definitions"):
        old_btf(unsigned, one, other).named('struct', 's')


@pytest.mark.parametrize(('copy', 'refused'), [
    ('f', False), ('f.constprop.0', False), ('f.isra.0', True), ('f.constprop.0.isra.0', True), ('f.isra.0.constprop.0', True),
    ('f.part.0', True), ('unknown.isra.0', True), ('unknown', False)])
def test_what_a_copy_returns_that_the_compiler_changed(copy, refused):
    """gcc takes away what no caller uses (__crypto_sha1_import_core.isra.0 of a 7.3); BTF has the source's prototype."""
    info = old_btf((PROTO, '', 1, 'n', 1), (FUNC, 'f', 2))
    target = surftrace.Target(surftrace.Module(info.arch, None, []), info.function(copy), name=copy)
    arg, = surftrace.parse_probe('r f $retval').args
    resolver = surftrace.resolver_in(target, 'r')
    if not refused:
        assert resolver.field(arg).kind == ('x64' if copy == 'unknown' else 's32')
        return
    with pytest.raises(surftrace.InputError, match='may have taken away what it returned'):
        resolver.field(arg)


def test_a_bit_field_of_a_struct_without_the_flag_has_its_width_in_its_int():
    """btf.rst, 2.2.4: bits in the lowest byte, their offset in the third."""
    info = old_btf((INT, 'unsigned int', 4, 5), (INT, 'unsigned int', 4, 3 << 16 | 7),
                   (STRUCT, 's', 8, 'a', 2, 3, 'b', 3, 8, 'c', 1, 32))
    members = info.named('struct', 's').members()
    assert [(member.name, member.bit, member.width) for member in members] == [('a', 3, 5), ('b', 11, 7), ('c', 32, None)]


@pytest.mark.parametrize(('char', 'signed_char', 'arch', 'expected'), [
    (1, 1, 'x86_64', True), (0, 1, 'x86_64', False), (0, 0, 'x86_64', True), (0, 0, 'aarch64', False), (0, 1, 'aarch64', False),
    (1, 1, 'aarch64', True), (0, None, 'x86_64', True), (0, None, 'aarch64', False),
])
def test_a_char_without_a_flag_has_a_sign_where_signed_char_has_no_flag_either(char, signed_char, arch, expected):
    """Linux is built with -funsigned-char since 6.2; older pahole has the flag for neither."""
    types = [(INT, 'char', 1, char << 24 | 8)] + ([] if signed_char is None else [(INT, 'signed char', 1, signed_char << 24 | 8)])
    info = surftrace.Btf(btf(*types), 'made', surftrace.arch_named(arch))
    assert info.named('', 'char') == Int('char', 1, expected)
    assert signed_char is None or info.named('', 'signed char') == Int('signed char', 1, True)


@pytest.mark.parametrize(('flag', 'letter'), [('-fsigned-char', 's'), ('-funsigned-char', 'u')])
def test_a_char_has_the_sign_the_compiler_was_told(flag, letter, backend, compile_c, with_btf):
    source = """struct s { char c; signed char s; unsigned char u; };
        __attribute__((noipa)) int f(struct s *p, char c) { return p->c + c; }
        int main(void) { return 0; }"""
    program = compile_c(source, flag, '-O2', '-gdwarf-4' if backend == 'DWARF 4' else '-gdwarf-5')
    path, mode = (with_btf(program), 'btf') if backend == 'BTF' else (program, 'dwarf')
    info = types_of(path, mode)
    shown, = resolved(info, 'p f p->c c (char)p->u *(char *)p p->s p->u').lines()
    assert shown.split(' ', 2)[2] == (f'c=+0(%di):{letter}8 c_2=%si:{letter}8 u=+2(%di):{letter}8 p=+0(%di):{letter}8 '
                                      's=+1(%di):s8 u_2=+2(%di):u8')


NETWORK = """
#include <linux/types.h>
#include <netinet/in.h>
typedef __be16 port_type;
struct s { __be16 port; __be32 addr; __be64 id; __be32 list[3]; const port_type own; struct in_addr in; struct in6_addr six; __u16 plain; __le16 le; __be32 part:8; };
__attribute__((noipa)) int take(struct s *s, __be16 port, struct in_addr in) { return s->port + port + in.s_addr; }
int main(void) { return 0; }
"""


@pytest.mark.parametrize('backend', ['DWARF', 'BTF'])
def test_what_is_declared_in_network_order_is_shown_in_the_hosts(backend: str, compile_c, with_btf):
    program = compile_c(NETWORK, '-O2', '-g')
    info = types_of(with_btf(program), 'btf') if backend == 'BTF' else types_of(program, 'dwarf')
    for asked, wanted in {
            's->port s->addr s->id s->own port f:port==443': 'port=+0(%di):u16 addr=+4(%di):u32 id=+8(%di):u64 own=+28(%di):u16 port_2=%si:u16 '
            '#! port:be16 addr:be32 id:be64 own:be16 port_2:be16 f:port==443',
            's->list X(s->addr) U(s->addr)': 'list=+16(%di):u32[3] addr=+4(%di):u32 addr_2=+4(%di):u32 #! list:be32 addr:BE32 addr_2:be32',
            's->in in s->six ip_a=s->addr': 'in=+32(%di):u32 in_2=%dx:u32 six=+36(%di):x64 six_2=+44(%di):x64 ip_a=+4(%di):u32 '
            '#! in:ip in_2:ip six+six_2:ip6 ip_a:ip',
            's->port:u16 (__u16)s->port (unsigned)s->port (__be16)s->plain s->plain s->le': 'port=+0(%di):u16 port_2=+0(%di):u16 port_3=+0(%di):u16 '
            'plain=+52(%di):u16 plain_2=+52(%di):u16 le=+54(%di):u16 #! plain:be16'}.items():
        lines = resolved(info, f'p take {asked}').lines()
        assert [line.split(' ', 2)[2] for line in lines] == [wanted] and resolved(info, lines[0]).lines() == lines
    filtered = resolved(info, 'p take port s->in f:port==443&&in==10.1.2.3').filter
    assert f'port=={0xbb01}' in filtered and f'in=={0x0302010a}' in filtered
    for asked, words in {'S(port)': 'has no sign', 'port f:port<1024': 'cannot order', 'port f:port==x': "'x' is no value"}.items():
        with pytest.raises(InputError, match=words):
            resolved(info, f'p take {asked}')


def test_a_floating_point_number_is_known_by_its_name():
    """pahole without --btf_gen_floats writes integers of that name."""
    info = old_btf((INT, 'float', 4, 32), (INT, 'long double', 16, 128), (FLOAT, 'double', 8),
                   (STRUCT, 's', 28, 'a', 2, 0, 'b', 3, 32, 'c', 4, 160, 'd', 1, 0))
    assert [type(member.type()) for member in info.named('struct', 's').members()] == [Float, Float, Float, Int]


# ---- structs nobody has thought of

INTEGERS = {'unsigned char': 8, 'signed char': 8, 'char': 8, '_Bool': 1, 'short': 16, 'unsigned short': 16, 'int': 32,
            'unsigned': 32,
            'long': 64, 'unsigned long': 64, 'enum plain': 32, 'enum negative': 32}
COUNT, ROUNDS = 120, 25


def random_members(random_: random.Random, names: Iterator[str], depth: int) -> str:
    """The members of a struct or union, some of them anonymous structs and unions."""
    members = []
    for _ in range(random_.randint(1, 6)):
        kind = random_.random()
        if kind < 0.15 and depth:
            inner = random_members(random_, names, depth - 1)
            members.append(f"{random_.choice(('struct', 'union'))} {{ {inner} }}{random_.choice(('', '', ' packed'))};")
        elif kind < 0.2:
            members.append(f"{random_.choice(('int', 'unsigned char', 'long'))} :{random_.randint(0, 7)};")
        else:
            type_ = random_.choice(list(INTEGERS))
            width = f':{random_.randint(1, INTEGERS[type_])}' if kind < 0.85 or type_ == '_Bool' else ''
            members.append(f'{type_} {next(names)}{width};')
    return ' '.join(members) + f' int {next(names)}:{random_.randint(1, 32)};'


@pytest.fixture(scope='module')
def strange() -> tuple[str, dict[str, list[str]]]:
    """A C source of random structs, each the parameter of a function, and the names of their members."""
    random_, source, members = random.Random(20), [], {}
    for number in range(COUNT):
        names = (f'm{i}' for i in range(1000))
        body = random_members(random_, names, 3)
        packed = random_.choice(('', '', ' packed'))
        source.append(f'struct s{number} {{ {body} }}{packed};\n'
                      f'__attribute__((noipa)) void f{number}(struct s{number} *p) {{ *(char *)p = 1; }}')
        members[f's{number}'] = re.findall(r'\b(m\d+)\b', body)
    enums = 'enum plain { ZERO, ONE, TWO, NINE = 9 };\nenum negative { MINUS_TWO = -2, MINUS_ONE, NOUGHT, SOME = 100 };'
    return f'#define packed __attribute__((packed))\n{enums}\n' + '\n'.join(source), members


@pytest.fixture(scope='module')
def strange_values(strange, compile_c) -> dict[str, list[tuple[bytes, dict[str, int]]]]:
    """Of each struct, some of random bytes, and what C says its members are then."""
    source, members = strange
    shows = [f'for (int i = 0; i < {ROUNDS}; i++) {{ static struct {name} x; fill("{name}", &x, sizeof x);' + ''.join(
        f' printf(" %lld", (long long)x.{member});' for member in members[name]) + ' printf("\\n"); }' for name in members]
    fill = '''static void fill(const char *name, void *object, unsigned size) {
        printf("%s ", name);
        for (unsigned i = 0; i < size; i++)
            printf("%02x", ((unsigned char *)object)[i] = random() % 4 ? random() : random() % 2 ? 0 : 0xff);
    }'''
    program = compile_c('\n'.join(['#include <stdio.h>\n#include <stdlib.h>', source, fill, 'int main(void) {', *shows, '}\n']),
                        '-w')
    values: dict[str, list[tuple[bytes, dict[str, int]]]] = {}
    for line in subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines():
        name, data, *numbers = line.split(' ')
        values.setdefault(name, []).append((bytes.fromhex(data), dict(zip(members[name], map(int, numbers)))))
    return values


def test_members_of_random_structs_are_read_as_c_reads_them(strange, strange_values, backend, compile_c, with_btf):
    source, members = strange
    program = compile_c(source + '\nint main(void) { return 0; }\n', '-O2', '-gdwarf-4' if backend == 'DWARF 4' else '-gdwarf-5',
                        '-w')
    path, mode = (with_btf(program), 'btf') if backend == 'BTF' else (program, 'dwarf')
    info = types_of(path, mode)
    wrong, refused, right = {}, [], 0
    for number in range(COUNT):
        for member in members[f's{number}']:
            try:
                field, = resolved(info, f'p f{number} p->{member}').fields
            except surftrace.InputError as error:
                refused.append((number, member, error.message))
                continue
            text = field.fetches[0].text()
            for data, values in strange_values[f's{number}']:
                raw = printed(field.kind, Machine({'di': 0x1000}, {0x1000: data + bytes(8)}).fetch(text)).decode()
                shown = field.format.show([raw]) if field.format else raw
                right += 1
                if (ENUMERATORS[shown] if shown in ENUMERATORS else int(shown, 0)) & WORD != values[member] & WORD:
                    wrong[f'struct s{number}.{member}'] = (text, data.hex(), shown, values[member])
    assert not wrong
    assert right > COUNT * ROUNDS * 4
    assert {message for _, _, message in refused} <= {f'a bit-field of {bits} bits in more than 8 bytes'
                                                      for bits in range(58, 65)}


def test_one_definition_is_not_looked_into() -> None:
    def unread() -> NoReturn:
        raise AssertionError('the types of its members are read')
    alone = Struct('struct', 'task_struct', 8, unread)
    assert not differ([alone]) and not differ([])
    with pytest.raises(AssertionError):
        differ([alone, alone])
