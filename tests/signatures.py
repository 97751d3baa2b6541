"""C programs of functions with random signatures, each called once with known values, and what each argument is then."""
from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

# what C calls it: (bytes, 0 for the machine's word; signed; None where the compiler decides)
NUMBERS: dict[str, tuple[int, bool | None]] = {
    'char': (1, None), 'signed char': (1, True), 'unsigned char': (1, False), 'short': (2, True), 'unsigned short': (2, False),
    'int': (4, True), 'unsigned int': (4, False), 'long': (0, True), 'unsigned long': (0, False), 'long long': (8, True),
    'unsigned long long': (8, False), '_Bool': (1, False), 'enum colour': (4, False), 'void *': (0, False),
    'struct s_ll *': (0, False)}
FLOATS = ('float', 'double', 'long double')
WIDE = ('_Complex double', '_Complex float', 'vector', '__int128')
STRUCTS: dict[str, str] = {     # members: TYPE NAME[:WIDTH]; the rest is attributes
    's_c': 'signed char a', 's_sc': 'short a; signed char b', 's_ccc': 'unsigned char a; unsigned char b; signed char c',
    's_i': 'int a', 's_ii': 'int a; unsigned int b', 's_l': 'long a', 's_li': 'long a; int b', 's_ll': 'long a; long b',
    's_lll': 'long a; int b; long c', 's_q': 'long long a', 's_qi': 'long long a; int b', 's_p': 'void * a; int b',
    's_f': 'float f', 's_fi': 'float f; int b', 's_dd': 'double f; double g', 's_il': 'int a; long b',
    's_bits': 'int a:5; unsigned int b:9; short c', 's_deep': 'struct s_ii x; short c', 's_wide': 'long long a:20; long long b:40; int c',
    's_packed': 'signed char a; long b __attribute__((packed))', 's_aligned': 'long a; long b __attribute__((aligned(16)))',
    'u_li': 'long a', 's_none': ''}
START = '''#if defined __x86_64__ || defined __i386__
__attribute__((force_align_arg_pointer))    // nobody calls it, so the stack is not as after a call
#endif
void _start(void) { calls(); __builtin_trap(); }
'''


class Argument(NamedTuple):
    """An argument: its type, its text in the call, and the numbers in it: behind its name, as '' or '.x.a', and the value."""
    type: str
    text: str
    leaves: tuple[tuple[str, int], ...]


class Function(NamedTuple):
    """A function, and whether all that it is passed are integers and pointers of at most a word."""
    name: str
    returns: str
    arguments: tuple[Argument, ...]
    variadic: bool
    plain: bool


def members(name: str) -> Iterator[tuple[str, str, int]]:
    """(type, name, width) of each member of a struct."""
    for text in filter(None, STRUCTS[name].split('; ')):
        match = re.fullmatch(r'(.+?) (\w+)(?::(\d+))?(?: __attribute__.*)?', text)
        yield match[1], match[2], int(match[3] or 0)


class Dice:
    """Everything that is drawn, for a machine of that word, whose plain char is signed or not."""

    def __init__(self, seed: int, word: int, char_signed: bool) -> None:
        self.dice, self.word, self.char_signed = random.Random(seed), word, char_signed

    def number(self, type_: str, width: int = 0) -> int:
        """A value of that type, often one whose narrow form tells whether it was extended."""
        size, signed = NUMBERS[type_]
        bits = width or 8 * (size or self.word)
        if type_ == '_Bool':
            return self.dice.randrange(2)
        if type_ == 'enum colour':
            return self.dice.choice((0, 1, 0x80000001))
        value = self.dice.getrandbits(bits) | (self.dice.random() < 0.6) << bits - 1
        signed = self.char_signed if signed is None else signed
        return value - (1 << bits) if signed and value >> bits - 1 else value

    def literal(self, type_: str, value: int) -> str:
        """The value in C."""
        return f'({type_})({value & (1 << 64) - 1:#x}ull)'

    def struct(self, name: str) -> tuple[str, tuple[tuple[str, int], ...]]:
        """The text and the leaves of a struct."""
        parts: list[str] = []
        leaves: list[tuple[str, int]] = []
        for type_, member, width in members(name):
            if type_ in FLOATS:
                parts.append(f'.{member} = 1.5')
            elif type_.startswith('struct ') and type_[-1] != '*':
                text, inner = self.struct(type_[7:])
                parts.append(f'.{member} = {text}')
                leaves += [(f'.{member}{path}', value) for path, value in inner]
            else:
                value = self.number(type_, width)
                parts.append(f'.{member} = {self.literal(type_, value)}')
                leaves.append((f'.{member}', value))
        return f'{{{", ".join(parts)}}}', tuple(leaves)

    def argument(self, type_: str) -> Argument:
        """An argument of that type."""
        if type_ in NUMBERS:
            value = self.number(type_)
            return Argument(type_, self.literal(type_, value), (('', value),))
        if type_.startswith('struct '):
            text, leaves = self.struct(type_[7:])
            return Argument(type_, f'({type_}){text}', leaves)
        return Argument(type_, '(vector){1, 2, 3, 4}' if type_ == 'vector' else '3', ())

    def function(self, number: int) -> Function:
        """A function: every third has plain arguments only, the others of everything."""
        plain = number % 3 == 0
        narrow = [name for name, (size, _) in NUMBERS.items() if (size or self.word) <= self.word]
        wide = [name for name in WIDE if self.word == 8 or name != '__int128']
        structs = [f'struct {name}' for name in STRUCTS]
        pools = [(narrow, 1.0)] if plain else [(list(NUMBERS), 0.55), (structs, 0.3), (FLOATS, 0.12), (wide, 0.03)]
        pool = [dice for dice, _ in pools]
        kinds = self.dice.choices(pool, [weight for _, weight in pools], k=self.dice.choice((1, 2, 3, 4, 5, 7, 9, 12)))
        arguments = tuple(self.argument(self.dice.choice(kind)) for kind in kinds)
        others = ['void', *FLOATS, *wide, *structs, 'long long']
        returns = self.dice.choice(narrow if plain or self.dice.random() < 0.6 else others)
        return Function(f'f{number}', returns, arguments, number % 7 == 1, plain)


def source(functions: list[Function]) -> str:
    """The program: it needs no library."""
    structs = '\n'.join(f'{"union" if name[0] == "u" else "struct"} {name} {{ {body + ";" if body else ""} }};'
                        for name, body in STRUCTS.items()).replace('union u_li { long a; };', 'struct u_li { long a; };')
    text = ['enum colour { RED, GREEN, BLUE = 0x80000001 };', 'typedef int vector __attribute__((vector_size(16)));', structs,
            'volatile long long keep[16]; volatile int seen;',
            '__attribute__((weak)) void *memcpy(void *to, const void *from, unsigned long n) '
            '{ char *t = to; const char *f = from; while (n--) *t++ = *f++; return to; }',
            '__attribute__((weak)) void *memset(void *to, int c, unsigned long n) { char *t = to; while (n--) *t++ = c; return to; }']
    for f in functions:
        parameters = ', '.join(f'{argument.type} a{i}' for i, argument in enumerate(f.arguments)) + ', ...' * f.variadic
        body = ' '.join(f'*(volatile __typeof__(a{i}) *)keep = a{i};' for i in range(len(f.arguments)) if i % 3 != 2)
        result = '' if f.returns == 'void' else f' static {f.returns} r; return r;'
        text.append(f'__attribute__((noipa)) {f.returns} {f.name}({parameters}) {{ seen++; {body}{result} }}')
    calls = '\n'.join(f"{f.name}({', '.join([a.text for a in f.arguments] + ['7', '8ll'] * f.variadic)});" for f in functions)
    start = '__attribute__((noipa)) int calls(void) {\nchar room[4096]; __asm__ volatile("" :: "r"(room) : "memory");\n'
    return '\n'.join(text) + f'\n{start}{calls}\nreturn seen; }}\n{START}'
