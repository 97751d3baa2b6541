#!/usr/bin/env python3
# /// script
# requires-python = ">=3.9"
# dependencies = ["pyelftools>=0.29"]
# ///
"""surftrace: trace functions and events of the kernel and of programs with C expressions, through ftrace.

    text --parse--> Probe --resolve(types, arch)--> Field --> EventDef --plan--> [Step(do, undo), ...]
    "p wake_up.."   (AST)                     "+2976(%di):string"              |       |       |
                                                                           session  script    -S
                                                                           tracefs   sh      print
                                                                              |
                                          trace_pipe --decode--> lines or tables --> stdout
                                          histograms --tally---> tables

The file is a row of rooms, each under a banner. A room uses only the rooms above it. Printing, argv, the
environment and exiting live in the last room; writing to tracefs lives in Tracefs; everything else is values
in, values out.

Words: a Probe and its Args are what the user wrote; a Fetch is what the kernel reads (a fetch-arg of
Documentation/trace/kprobetrace.rst); a Field is one value shown, made of one or more Fetches; an EventDef is
the definition line; an Lvalue is a place while walking C; TypeInfo is the interface of Dwarf and Btf; Steps
are changes of the machine, each with its undo. Fetched too, and unseen, are a Guard, a number that tells
whether a value means anything; the seal, by which the end of a record is told from a text that imitates it;
the stack pointer, by which the entry and the return of a call make a Pair.
"""
from __future__ import annotations  # surftrace needs Python 3.9 or later

import signal  # first: until main() hears it, Ctrl-C ends the imports without a traceback

if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import sys

if sys.version_info < (3, 9):
    sys.exit('surftrace needs Python 3.9 or later, and this is %d.%d' % sys.version_info[:2])
if __name__ == '__main__' and not (sys.flags.isolated or getattr(sys.flags, 'safe_path', False)):
    del sys.path[0]     # the folder of this file, or the current one: root imports nothing that lies there

import array
import bisect
import collections
import contextlib
import errno
import fcntl
import fnmatch
import functools
import io
import itertools
import mmap
import operator
import os
import re
import select
import stat
import struct
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, AnyStr, NamedTuple, NoReturn, Optional, Union

__version__ = '0.1.0'


# ---- Errors ------------------------------------------------------------------------------------------------

Span = tuple[int, int]      # columns [start, end) in the line the user wrote


class SurftraceError(Exception):
    """A normal failure: its text is the whole message, and the fault is the machine's (exit status 1)."""
    status = 1


class DebugInfoError(SurftraceError):
    """A debug file that is damaged, or does not hold what is asked of it."""


class TracefsError(SurftraceError):
    """The kernel refused a change; `errno` is its reason, `path` the file below tracefs."""

    def __init__(self, message: str, errno: int = 0, path: str = '') -> None:
        super().__init__(message)
        self.errno, self.path = errno, path


class InputError(SurftraceError):
    """What was typed is wrong (exit status 2), at the span `at` of `line` of the file `source`."""
    status = 2

    def __init__(self, message: str, at: Span | None = None, line: str = '', source: str = '') -> None:
        super().__init__(message)
        self.message, self.at, self.line, self.source = message, at, line, source

    def __str__(self) -> str:
        text = f'{self.source}: {self.message}' if self.source else self.message
        return text + caret(self.line, self.at) if self.line and self.at else text


def caret(line: str, at: Span, width: int = 100) -> str:
    """The line and, below the span, a caret; a long line is cut to a window round it."""
    start, end = min(at[0], len(line)), max(at[0] + 1, min(at[1], len(line)))
    left = max(0, start - width // 2) if len(line) > width else 0
    right = left + width
    before, marked = printable(line[left:start]), printable(line[start:min(end, right)])
    below = ' ' * len(before) + '^' + '~' * (len(marked) - 1)
    return f'\n  {before}{marked}{printable(line[end:right])}\n  {below}'


def printable(text: str) -> str:
    """The text for a terminal: each byte of what is not printable, and might be obeyed, as \\xNN."""
    if text.isprintable():
        return text

    def escaped(char: str) -> str:
        return ''.join(f'\\x{byte:02x}' for byte in encoded(char))
    return ''.join(char if char.isprintable() else escaped(char) for char in text)


def encoded(text: str) -> bytes:
    """The bytes of a text from outside: UTF-8, and what is none as it came (PEP 383)."""
    return text.encode('utf-8', 'surrogateescape')


def decoded(text: bytes) -> str:
    """The text of such bytes."""
    return text.decode('utf-8', 'surrogateescape')


@contextlib.contextmanager
def located(line: str = '', source: str = '', at: Span | None = None) -> Iterator[None]:
    """Errors from within are about this line, and where they do not say better, about these columns."""
    try:
        yield
    except InputError as error:
        raise InputError(error.message, error.at or at, error.line or line, error.source or source) from None


class Regex:
    """A regular expression that is compiled when it is first used: many runs use few of them."""

    def __init__(self, text: AnyStr, flags: int) -> None:
        self._made: tuple[Any, int] = (text, flags)

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._made), name)
        setattr(self, name, value)
        return value


def regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """A Regex, for all uses one of re.compile()."""
    made: Any = Regex(text, flags)
    return made  # type: ignore[no-any-return]


def near(word: str, names: Iterable[str]) -> str:
    """'; did you mean ...?' with the names most like the word, or ''. Of a kernel's hundred thousand, only
    those that begin or end alike are compared."""
    import difflib
    names = list(dict.fromkeys(names))
    if len(names) > 5000:
        names = [name for name in names if (name[:2] == word[:2] or name[-4:] == word[-4:])
                 and 2 * abs(len(name) - len(word)) < len(word)]
    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.7)
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ''


def first_of(names: Sequence[str], count: int) -> str:
    """So many of the names, for a message."""
    return ', '.join(names[:count]) + ', ...' * (len(names) > count)


# ---- Architectures -----------------------------------------------------------------------------------------

class Arch(NamedTuple):
    """What differs between processors. Register names are the kernel's (regs_query_register_offset)."""
    name: str
    machine: int                            # e_machine of ELF
    bits: int
    order: str                              # byte order, 'little' or 'big'
    registers: frozenset[str]
    arguments: tuple[str, ...]              # registers of integer arguments, as the kernel calls
    stack: int                              # bytes from the stack pointer at entry to the first argument
    stack_pointer: str
    dwarf: dict[int, str]                   # DWARF register number -> kernel name
    kernel_from: int                        # the lowest address the kernel has anything at
    syscall: tuple[str, ...]                # members of pt_regs that hold a system call's arguments
    by_value: str                           # the rules for structs passed by value (BY_VALUE)
    nops: int                               # bytes of no-ops for ftrace (gcc -fpatchable-function-entry,
                                            # arch/*/Makefile) between a function's symbol and its DWARF
    frame: int                              # bytes from the stack pointer at entry to the call frame address

    @property
    def word(self) -> int:
        """Bytes of a register."""
        return self.bits // 8

    @property
    def popped(self) -> int | None:
        """How much higher the stack pointer is at a return than at the entry; None: not known here."""
        return {'x86_64': 8, 'aarch64': 0}.get(self.name)

    @property
    def last_address(self) -> int:
        """The highest address that is not an error pointer (include/linux/err.h: MAX_ERRNO is 4095)."""
        return (1 << self.bits) - 4096


class ByValue(NamedTuple):
    """How a psABI passes structs without floating-point numbers, and integers of two words."""
    largest: int            # bytes of a struct that still goes into registers; 0: any
    larger: str             # a larger one goes on the 'stack', or by 'reference': its address in a register
    short: str              # with too few registers: 'stack'; 'last', the stack, and so all after it; 'split'
    returned: int           # bytes of a struct still returned in registers; -1: none is, -2: not known here


# System V AMD64 ABI 3.2.3; aapcs64 6.8; riscv-cc and LoongArch lapcs (integer calling convention); OpenPOWER
# ELF v2 2.2.3; aapcs32 6.5; s390x ELF ABI 1.2.2; System V i386 ABI 2.2.3
BY_VALUE = {'sysv': ByValue(16, 'stack', 'stack', 16), 'aapcs64': ByValue(16, 'reference', 'last', 1 << 30),
            'riscv': ByValue(16, 'reference', 'split', 16), 'elfv2': ByValue(0, 'stack', 'split', 16),
            'aapcs32': ByValue(0, 'stack', 'split', 4), 's390': ByValue(8, 'reference', 'stack', -1),
            'i386': ByValue(0, 'stack', 'last', -2)}


def _listed(text: str) -> Iterator[str]:
    """'r0..r2 pc' -> r0, r1, r2, pc"""
    for word in text.split():
        first, several, last = word.partition('..')
        stem = first.rstrip('0123456789')
        if several:
            numbers = range(int(first[len(stem):]), int(last[len(stem):]) + 1)
            yield from (f'{stem}{number}' for number in numbers)
        else:
            yield word


def _arch(name: str, machine: int, bits: int, order: str, arguments: str, stack: int, stack_pointer: str,
          registers: str, dwarf: str, kernel_from: int, syscall: str, by_value: str, nops: int = 0,
          frame: int = 0) -> Arch:
    """An Arch from lists of registers; '-' in `dwarf` leaves a number out."""
    numbers = {number: register for number, register in enumerate(_listed(dwarf)) if register != '-'}
    return Arch(name, machine, bits, order, frozenset(_listed(registers)), tuple(_listed(arguments)), stack,
                stack_pointer, numbers, kernel_from, tuple(syscall.split()), by_value, nops, frame)


ARCHES: tuple[Arch, ...] = (
    # arch/x86/kernel/ptrace.c, arch/x86/include/asm/ptrace.h; System V AMD64 ABI figure 3.36 (DWARF), 3.2.3
    # (arguments); Documentation/arch/x86/x86_64/mm.rst: with five levels the kernel begins at 0xff00...
    _arch('x86_64', 62, 64, 'little', 'di si dx cx r8 r9', 8, 'sp',
          'r8..r15 bx cx dx si di bp ax orig_ax ip cs flags sp ss',
          'ax dx cx bx si di bp sp r8..r15 ip', 0xff00 << 48, 'di si dx r10 r8 r9', 'sysv', frame=8),
    # the same files; the kernel is built with -mregparm=3 (arch/x86/Makefile)
    _arch('i386', 3, 32, 'little', 'ax dx cx', 4, 'sp',
          'bx cx dx si di bp ax orig_ax ip cs ds es fs gs flags sp ss',
          'ax cx dx bx sp bp si di ip', 4096, 'bx cx dx si di bp', 'i386', frame=4),
    # arch/arm64/kernel/ptrace.c; aadwarf64, aapcs64. Pointers may be tagged in bits 56-59 (KASAN)
    _arch('aarch64', 183, 64, 'little', 'x0..x7', 0, 'sp', 'x0..x30 lr sp pc pstate', 'x0..x30 sp',
          0xf000 << 48, 'regs[0] regs[1] regs[2] regs[3] regs[4] regs[5]', 'aapcs64', nops=8),
    # arch/arm/kernel/ptrace.c; aadwarf32, aapcs32
    _arch('arm', 40, 32, 'little', 'r0..r3', 0, 'sp', 'r0..r10 fp ip sp lr pc cpsr ORIG_r0',
          'r0..r10 fp ip sp lr pc', 4096, 'uregs[0] uregs[1] uregs[2] uregs[3] uregs[4] uregs[5]', 'aapcs32'),
    # arch/riscv/kernel/ptrace.c; riscv-elf-psabi-doc. Until Linux 6.2 there were 16 bytes of no-ops
    _arch('riscv64', 243, 64, 'little', 'a0..a7', 0, 'sp',
          'epc ra sp gp tp t0..t6 s0..s11 a0..a7 status badaddr cause orig_a0',
          '- ra sp gp tp t0 t1 t2 s0 s1 a0..a7 s2..s11 t3..t6', 0xff00 << 48,
          'orig_a0 a1 a2 a3 a4 a5', 'riscv', nops=8),
    # arch/s390/kernel/ptrace.c; s390x ELF ABI: arguments in r2-r6, then at 160(%r15). User and kernel have
    # separate spaces
    _arch('s390x', 22, 64, 'big', 'r2..r6', 160, 'r15', 'r0..r15', 'r0..r15', 4096,
          'orig_gpr2 gprs[3] gprs[4] gprs[5] gprs[6] gprs[7]', 's390', frame=160),
    # arch/powerpc/kernel/ptrace/ptrace.c; OpenPOWER ELF v2: r3-r10, then the parameter save area 32 bytes up
    _arch('ppc64le', 21, 64, 'little', 'r3..r10', 96, 'r1',
          'r0..r31 gpr0..gpr31 nip msr ctr link xer ccr softe trap dar dsisr', 'r0..r31', 0xc000 << 48,
          'gpr[3] gpr[4] gpr[5] gpr[6] gpr[7] gpr[8]', 'elfv2'),
    # arch/loongarch/kernel/ptrace.c; LoongArch ELF psABI. The direct map begins at 0x8000...
    _arch('loongarch64', 258, 64, 'little', 'r4..r11', 0, 'r3',
          'r0..r31 orig_a0 csr_era csr_badvaddr csr_crmd csr_prmd csr_euen csr_ecfg csr_estat', 'r0..r31',
          0x8000 << 48, 'orig_a0 regs[5] regs[6] regs[7] regs[8] regs[9]', 'riscv', nops=8),
)

ARCH_ALIASES = {
    'amd64': 'x86_64', 'x86-64': 'x86_64', 'i486': 'i386', 'i586': 'i386', 'i686': 'i386', 'x86': 'i386',
    'arm64': 'aarch64', 'armv6l': 'arm', 'armv7l': 'arm', 'armhf': 'arm', 'riscv': 'riscv64', 's390': 's390x',
    'ppc64el': 'ppc64le', 'loongarch': 'loongarch64'}


def arch_named(name: str) -> Arch:
    """The architecture called that by uname -m, Debian or the kernel's source."""
    known = {arch.name: arch for arch in ARCHES}
    found = known.get(ARCH_ALIASES.get(name, name))
    if not found:
        raise InputError(f"unknown architecture '{name}'; known are {', '.join(known)}")
    return found


# ---- Types -------------------------------------------------------------------------------------------------
# C's types as the source writes them; bare() leaves out typedefs and qualifiers. What would make the graph of
# types infinite is a function that gives the next type: a backend reads a struct's members when somebody
# asks.

class Void(NamedTuple):
    """No value, or a type nothing is known of."""
    name: str = 'void'


class Int(NamedTuple):
    """An integer, character or _Bool; size in bytes. With no name: a register's word, of no C type yet."""
    name: str
    size: int
    signed: bool


class Float(NamedTuple):
    """A floating-point number; no fetch type of ftrace can hold one, but its bits."""
    name: str
    size: int
    binary: bool = True                     # of IEEE 754; not complex, not decimal


class Enum(NamedTuple):
    """An enumeration; `enumerators()` gives (name, value) in the order of the source. `flags`: a value is
    some of them together."""
    name: str
    size: int
    signed: bool
    enumerators: Callable[[], tuple[tuple[str, int], ...]]
    flags: bool = False


class Alias(NamedTuple):
    """A name for another type: a typedef, or 'struct NAME' where a unit only declares it."""
    name: str
    written: Callable[[], Written]


class Qualified(NamedTuple):
    """A type with the qualifier `name` before it: 'const', 'volatile'."""
    name: str
    written: Callable[[], Written]


class Pointer(NamedTuple):
    """A pointer of `size` bytes, or a reference of C++, which is one to the machine ('&', '&&')."""
    size: int
    written: Callable[[], Written]
    mark: str = '*'

    def target(self) -> Type:
        """The type it points to."""
        return bare(self.written())


class Array(NamedTuple):
    """An array of `length` elements; None where the type does not say (`char name[]`)."""
    written: Callable[[], Written]
    length: int | None

    def element(self) -> Type:
        """The type of its elements."""
        return bare(self.written())


class Struct(NamedTuple):
    """A struct, union or class; of one that is only declared `size` is None, and `members()` raises."""
    keyword: str                                            # '' where its only name is a typedef's
    name: str
    size: int | None
    members: Callable[[], tuple[Member, ...]]
    passed: Callable[[], str] = str                         # in C++: 'reference', 'value', '' not known
    others: Callable[[], frozenset[str]] = frozenset        # its static members, functions and types
    variants: Callable[[], Variants] = lambda: Variants(None, ())       # of an enum of Rust

    def own_member(self, name: str) -> Member | None:
        """Its own member of that name, also within anonymous structs and unions, its bit from here."""
        for member in self.members():
            if member.name == name:
                return member
            inner = None if member.name or member.base else member.type()
            found = inner.own_member(name) if isinstance(inner, Struct) else None
            if found:
                return found._replace(bit=found.bit + member.bit)
        return None


class Location(NamedTuple):
    """Where a parameter is at the probed instruction, in DWARF's words."""
    how: str                                        # 'register' (number), 'frame' (offset from the call frame
                                                    # address), 'memory' (at register `number` + offset),
                                                    # 'address' (offset, at link time), 'constant' (offset),
                                                    # 'pieces', 'gone' (why)
    number: int = 0
    offset: int = 0
    pieces: tuple[tuple[Location, int], ...] = ()   # with their sizes in bytes
    why: str = ''
    derefs: tuple[int, ...] = ()                    # each reads a word at the address so far, and is added
    value: bool = False                             # that gives the value, not its address, as of a pointer
                                                    # kept only as another one and a number of bytes

    def plus(self, count: int) -> Location:
        """As many bytes further on."""
        if self.derefs:
            return self._replace(derefs=(*self.derefs[:-1], self.derefs[-1] + count))
        return self._replace(offset=self.offset + count)


class Parameter(NamedTuple):
    """A parameter or variable of a function."""
    name: str
    written: Callable[[], Written]
    location: Location | None = None        # None where only the calling convention tells it
    by_address: bool = False                # its address is given: Fortran; C++, of a class with a destructor

    def type(self) -> Type:
        """Its type."""
        return bare(self.written())


class Function(NamedTuple):
    """A function's prototype, at the probed place."""
    name: str
    written: Callable[[], Written]          # the type it returns
    parameters: tuple[Parameter, ...]
    variadic: bool = False
    inlined: int | None = None              # copies of it within other functions, None where nobody counted
    language: str = ''                      # '' is C, called by the psABI; 'C++', 'Rust', 'Go' add to it
    changed: bool = False                   # the compiler changed how it is called
    locals: tuple[Parameter, ...] = ()      # at a place inside it, the innermost first
    home: str = ''                          # of a copy inlined elsewhere the symbol whose code it is in
    scope: tuple[str, ...] = ()             # the names of what it is in, its own last

    def returns(self) -> Type:
        """The type it returns."""
        return bare(self.written())


Type = Union[Void, Int, Float, Enum, Pointer, Array, Struct, Function]
Written = Union[Type, Alias, Qualified]


class Member(NamedTuple):
    """A member of a struct, or without a name a base class of it."""
    name: str
    written: Callable[[], Written]
    bit: int                                # from the struct's start; of a bit-field as the ABI counts: from
                                            # the least significant one, on big-endian machines from the most
    width: int | None = None                # bits of a bit-field
    base: str = ''                          # 'base', or 'virtual': where that is, only the object tells

    def type(self) -> Type:
        """Its type."""
        return bare(self.written())


class Variant(NamedTuple):
    """What an enum of Rust may hold: where its discriminant has that value, without one where it has none of
    the others'."""
    value: int | None
    member: Member


class Variants(NamedTuple):
    """What an enum of Rust may be, and the number that tells what it is."""
    discriminant: Member | None
    each: tuple[Variant, ...]


class Variable(NamedTuple):
    """A global variable."""
    name: str
    type: Type
    per_cpu: bool = False


class Prototype(NamedTuple):
    """A function as the source declares it."""
    name: str
    text: str
    file: str = ''                          # the source file of its unit, '' where nothing tells
    inline: bool = False                    # the compiler put copies of it into other functions
    holders: tuple[str, ...] = ()           # some of these, with their files


# Integers whose names say how they are to be shown: include/uapi/linux/types.h, include/linux/kdev_t.h
NETWORK_ORDER = {f'__be{bits}': f'be{bits}' for bits in (16, 32, 64)}
TELLING = {**NETWORK_ORDER, 'dev_t': 'dev'}
PRINTED = {'gfp_t': 'kmem/kmalloc.gfp_flags'}           # those that an event prints by name, and that field


def bare(type_: Written) -> Type:
    """The type behind typedefs and qualifiers; one that has no name takes that of its innermost typedef, and
    an integer whose name tells how to show it keeps that."""
    alias = telling = ''
    for _ in range(64):
        if not isinstance(type_, (Alias, Qualified)):
            break
        alias = type_.name if isinstance(type_, Alias) else alias
        telling = alias if alias in TELLING or alias in PRINTED else telling
        type_ = type_.written()
    if isinstance(type_, (Alias, Qualified)):                   # of a damaged file: it leads back to itself
        return Void(type_.name)
    if telling and isinstance(type_, Int) and (telling != 'dev_t' or type_.size == 4):  # 8: the C library's
        return type_._replace(name=telling)
    if alias and isinstance(type_, Struct) and not type_.name:
        return type_._replace(keyword='', name=alias)
    return type_._replace(name=alias) if alias and isinstance(type_, Enum) and not type_.name else type_


def declaration(type_: Written, declarator: str = '', plain: bool = False) -> str:
    """'char *argv[3]' from a type and 'argv'; an anonymous struct is 'struct {...}'. `plain`: without
    typedefs, qualifiers and names of parameters."""
    if isinstance(type_, (Struct, Enum)):
        keyword = type_.keyword if isinstance(type_, Struct) else 'enum'
        return f"{keyword} {type_.name or '{...}'} {declarator}".strip()
    if not isinstance(type_, (Qualified, Pointer, Array, Function)):
        return f"{type_.name or 'a word of no known type'} {declarator}".rstrip()
    inner = bare(type_.written()) if plain else type_.written()
    if isinstance(type_, Qualified):
        if not isinstance(inner, Pointer):
            return f'{type_.name} {declaration(inner, declarator)}'
        declarator = f'{type_.name} {declarator}'.rstrip()
    elif isinstance(type_, Pointer):
        declarator = f'{type_.mark}{declarator}'
        declarator = f'({declarator})' if isinstance(inner, (Array, Function)) else declarator
    elif isinstance(type_, Array):
        declarator += '[]' if type_.length is None else f'[{type_.length}]'
    else:
        listed = [declaration(each.type(), '', True) if plain else declaration(each.written(), each.name)
                  for each in type_.parameters] + ['...'] * type_.variadic
        declarator += f"({', '.join(listed) or 'void'})"
    return declaration(inner, declarator, plain)


def spell(type_: Type) -> str:
    """The type, without typedefs and qualifiers, as one would say it in C."""
    return declaration(type_, plain=True).replace('{...}', '<anonymous>')


def unqualified(text: str) -> str:
    """A declaration without qualifiers and without blanks that mean nothing, to be compared."""
    text = re.sub(r'\b(const|volatile|restrict|_Atomic) ?', '', text)
    return re.sub(r'\s*([*&(),\[\]])\s*', r'\1', text).strip()


def takes(function: Function, wanted: str) -> bool:
    """Tell whether a parameter has that type, as unqualified() writes it; '' is any."""
    found = (unqualified(declaration(each.written())) for each in function.parameters)
    return not wanted or wanted in found


def innermost(type_: Type) -> Type:
    """The type itself, of an array (of arrays) that of its elements."""
    return innermost(type_.element()) if isinstance(type_, Array) else type_


def size_of(type_: Type) -> int | None:
    """sizeof in bytes; None where C would not tell either."""
    if isinstance(type_, Array):
        element = size_of(type_.element())
        return None if element is None or type_.length is None else element * type_.length
    return None if isinstance(type_, (Void, Function)) else type_.size


def shape(type_: Type) -> object:
    """A value that is equal for types that are laid out alike, looking one level into structs."""
    if isinstance(type_, Struct):
        members = type_.members() if type_.size is not None else ()
        return (type_.keyword, type_.size, tuple((m.name, m.bit, m.width, spell(m.type())) for m in members))
    if isinstance(type_, Enum):
        return (type_.size, type_.enumerators())
    return spell(type_)


def differ(types: Sequence[Type]) -> bool:
    """Tell whether not all are laid out alike. (To look into one alone would take all debug information.)"""
    return len(types) > 1 and len(set(map(shape, types))) > 1


class Base(NamedTuple):
    """A class that another is derived from, and the row of bases that leads to it."""
    struct: Struct
    way: tuple[Member, ...]

    @property
    def same(self) -> tuple[object, ...]:
        """Equal for two ways to one object: a virtual base is there once."""
        first = max((i for i, base in enumerate(self.way) if base.base == 'virtual'), default=0)
        return (self.way[first].base, *(base.type() for base in self.way[first:]))

    def bit(self, derived: Struct, what: str) -> int:
        """Its bits from the start of `derived`; InputError where only the object tells."""
        virtual = next((spell(base.type()) for base in self.way if base.base == 'virtual'), '')
        if virtual:
            raise InputError(
                f'{what} is in the virtual base {virtual} of {spell(derived)}: where that is, only the '
                f"object's virtual table tells, and ftrace cannot add; probe a function that has a pointer "
                f'to {virtual}')
        return sum(base.bit for base in self.way)


def bases(struct_: Struct, way: tuple[Member, ...] = ()) -> Iterator[Base]:
    """Each class that a class is derived from; `way` leads to the class itself."""
    for member in struct_.members():
        type_ = member.type() if member.base else None
        if isinstance(type_, Struct):
            yield Base(type_, (*way, member))
            yield from bases(type_, (*way, member)) if type_.size is not None else ()


def bases_declaring(struct_: Struct, name: str) -> list[Base]:
    """The bases that `name` may be of (C++, [class.member.lookup]): a class hides it in its own bases, also
    in a virtual one that is reached by another way."""
    declaring = [base for base in bases(struct_) if base.struct.size is not None
                 and (name in base.struct.others() or base.struct.own_member(name))]
    ways = {base.way for base in declaring}
    found = {base.same: base for base in declaring
             if not any(base.way[:length] in ways for length in range(len(base.way)))}
    hidden = {below.same for base in found.values() for below in bases(base.struct, base.way)
              if any(member.base == 'virtual' for member in below.way[len(base.way):])}
    return [base for same, base in found.items() if same not in hidden]


def find_member(struct_: Struct, name: str) -> Member | None:
    """The member of that name, its bit counted from `struct_`: its own, else that of its bases. InputError
    where C++ would refuse it, or nobody but the object knows where it is."""
    own, hidden = struct_.own_member(name), name in struct_.others()
    found = [] if own or hidden else bases_declaring(struct_, name)
    if own or not found and not hidden:
        unknown = [spell(base.struct) for base in bases(struct_) if base.struct.size is None]
        if unknown and not own:
            raise InputError(f"'{name}' is in no class that is known here of which {spell(struct_)} is made; "
                             f'{unknown[0]} is declared, but the debug information has no definition of it')
        return own
    if len(found) > 1:
        found = [base for base in found if not is_empty(base.struct.own_member(name))] or found
    if len(found) > 1:
        same = len(os.path.commonprefix([[member.type() for member in base.way] for base in found]))
        owners = ' and '.join(spell(base.struct) for base in found)
        casts = ' or '.join(f'(({spell(base.way[same].type())} *)x)->{name}' for base in found)
        raise InputError(f"'{name}' is ambiguous in {spell(struct_)}: {owners} have one; say which: {casts}")
    owner = found[0].struct if found else struct_
    member = owner.own_member(name)
    if not member:
        raise InputError(f"'{name}' of {spell(owner)} is a static member, a function or a type: its objects "
                         f"do not hold it; a base's is (({owner.keyword} BASE *)x)->{name}")
    return member._replace(bit=member.bit + found[0].bit(struct_, f"'{name}'"))


def is_empty(member: Member | None) -> bool:
    """Tell whether nothing could be read of a member (libstdc++ has one for every deleter and allocator)."""
    type_ = member.type() if member else Void()
    return isinstance(type_, Struct) and type_.size is not None and all(
        bool(inner.base) and is_empty(inner) for inner in type_.members())


def size_within(member: Member) -> int:
    """The bytes that a member takes where it is: of a base class without that one's own virtual bases, which
    are elsewhere in the whole object."""
    type_ = member.type()
    if not member.base or not isinstance(type_, Struct) or not has_virtual_base(type_):
        return size_of(type_) or 0
    inner = [each for each in type_.members() if each.base != 'virtual']
    return max((each.bit // 8 + size_within(each) for each in inner), default=0)


def has_virtual_base(struct_: Struct) -> bool:
    """Tell whether only an object tells where a part of the class is."""
    return any(base.way[-1].base == 'virtual' for base in bases(struct_))


def base_offset(derived: Struct, base: Struct) -> int | None:
    """How many bits from the start of a class its base is; None where it is none of its."""
    found = {each.same: each for each in bases(derived) if spell(each.struct) == spell(base)}
    if len(found) > 1:
        raise InputError(
            f'{spell(base)} is several times in {spell(derived)}; cast to a class between them first')
    return next((each.bit(derived, spell(base)) for each in found.values()), None)


def member_names(struct_: Struct) -> list[str]:
    """The names find_member may know."""
    names: dict[str, None] = {}
    for member in struct_.members():
        inner = None if member.name else member.type()
        whole = inner if isinstance(inner, Struct) and inner.size is not None else None
        names.update(dict.fromkeys(member_names(whole) if whole else [member.name]))
    names.pop('', None)
    return list(names)


GLOB = regex(r'[*?\[]')


def name_test(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether a name matches, to be asked often."""
    matches = re.compile(fnmatch.translate(pattern)).match
    return (lambda name: matches(name) is not None) if GLOB.search(pattern) else pattern.__eq__


class TypeInfo:
    """What debug information of any format can be asked. Nothing found is None; damage, DebugInfoError."""
    path = ''
    arch: Arch

    def function(self, name: str, address: int | None = None, offset: int = 0) -> Function | None:
        """The function of that name (at that link-time address), parameters as at `offset` bytes into it."""
        raise NotImplementedError

    def named(self, keyword: str, name: str, function: Function | None = None) -> Type | None:
        """The struct, union or enum (`keyword`), or typedef or base type ('', in C++ any type) of that name,
        which may have namespaces before it, as the function sees it."""
        raise NotImplementedError

    def variable(self, name: str) -> Variable | None:
        """The global variable of that name."""
        raise NotImplementedError

    def function_names(self) -> Iterable[str]:
        """Names of functions, for globs and for near misses."""
        return ()

    def prototypes(self, pattern: str, taken: str = '') -> Iterable[Prototype]:
        """The functions whose name matches and that take a parameter of the type `taken` (unqualified(); '':
        any), those without code of their own included; several of one name where files have their own."""
        return ()

    def type_names(self, keywords: Sequence[str], prefix: str) -> Iterable[str]:
        """The names of structs, unions, enums (`keywords`) or typedefs ('') that begin so, maybe twice."""
        return ()


def is_changed_copy(name: str) -> bool:
    """Tell whether it is a name of gcc or LLVM for a copy with other parameters or a part of a function."""
    return re.search(r'\.(isra|constprop|part|cold|specialized)(\.|$)', name) is not None


# C's own type names and those of the kernel's include/uapi/asm-generic/int-ll64.h and of stdint.h: (bytes,
# signed); 0 bytes is the machine's word.
PLAIN_TYPES: dict[str, tuple[int, bool]] = {
    'char': (1, True), 'signed char': (1, True), 'unsigned char': (1, False), 'bool': (1, False),
    '_Bool': (1, False), 'short': (2, True), 'unsigned short': (2, False), 'int': (4, True),
    'unsigned int': (4, False), 'long': (0, True), 'unsigned long': (0, False), 'long long': (8, True),
    'unsigned long long': (8, False), 'size_t': (0, False), 'ssize_t': (0, True), 'uintptr_t': (0, False),
    'intptr_t': (0, True),
    **{f'{prefix}{letter}{bits}': (bits // 8, letter == 's')
       for prefix in ('', '__') for letter in 'us' for bits in (8, 16, 32, 64)},
    **{f'{letter}int{bits}_t': (bits // 8, not letter) for letter in ('u', '') for bits in (8, 16, 32, 64)},
    **{f'__{end}{bits}': (bits // 8, False) for end in ('be', 'le') for bits in (16, 32, 64)},
}


def plain_type(words: str, arch: Arch) -> Type | None:
    """The type C itself gives these words ('unsigned long int' as well as 'unsigned long'), or None."""
    if words in ('float', 'double'):
        return Float(words, 4 if words == 'float' else 8)
    if words == 'void':
        return Void()
    parts = words.split()
    name = ' '.join(part for part in parts if part not in ('signed', 'unsigned', 'int')) or 'int'
    if 'unsigned' in parts or 'signed' in parts and name == 'char':
        name = f"{'unsigned' if 'unsigned' in parts else 'signed'} {name}"
    if name not in PLAIN_TYPES:
        return None
    size, signed = PLAIN_TYPES[name]
    if name == 'char':                                                          # by each psABI
        signed = arch.name in ('x86_64', 'i386', 'loongarch64')
    return Int(name, size or arch.word, signed)


# ---- ELF files ---------------------------------------------------------------------------------------------

class Symbol(NamedTuple):
    """A symbol of a file, or of a running kernel."""
    name: str
    address: int            # at link time; of kallsyms the running one
    size: int
    code: bool
    section: str = ''
    module: str = ''
    sort: str = ''          # 'ifunc', 'tls', 'undefined', an 'old' version, 'thumb' code, 'exported' data (a
                            # program may have a copy of it)
    entry: int = 0          # bytes behind it where its own file enters (OpenPOWER ELF v2 3.4.1)
    local: bool = False     # only its own file knows it


PROGBITS, NOTE, NOBITS = 1, 7, 8            # sh_type of ELF's gABI
DT_NEEDED, DT_SONAME = 1, 14                # tags of .dynamic


class SectionHeader(NamedTuple):
    """An Elf64_Shdr or Elf32_Shdr."""
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class Section(NamedTuple):
    """A section of a file; sizes in bytes."""
    name: str
    offset: int             # in the file, of what is stored there: `size` bytes
    size: int
    address: int
    kind: int
    code: bool
    unpacked: int           # the size of what it holds
    packing: int = 0        # ch_type of ELF's gABI: 1 zlib, 2 zstd, 0: not compressed


class Segment(NamedTuple):
    """What of a file is loaded where, in bytes (PT_LOAD)."""
    offset: int
    address: int
    size: int
    code: bool


class UsdtNote(NamedTuple):
    """A site of a USDT probe: link-time addresses of its instruction and semaphore (0: none), operands."""
    provider: str
    name: str
    address: int
    semaphore: int
    operands: str


RawSymbol = tuple[int, int, int, int, int, int]     # name, info, other, section, value, size: as in Elf64_Sym


class SymbolTable(NamedTuple):
    """.symtab or .dynsym, of Elf64_Sym or Elf32_Sym (ELF gABI), whose name is the first of their words."""
    entries: memoryview
    starts: bytes               # where the name of each begins, u32
    names: bytes
    versions: bytes             # of dynamic symbols, u16
    layout: struct.Struct

    def rows(self, start: int = 0) -> Iterator[RawSymbol]:
        """The entries from that one on."""
        size = self.layout.size
        fields = self.layout.iter_unpack(self.entries[start * size:len(self.entries) // size * size])
        if size == 24:
            return fields
        return ((name, *rest, value, extent) for name, value, extent, *rest in fields)

    def name(self, row: RawSymbol) -> str:
        """The name of an entry."""
        return text_at(self.names, row[0])

    def named_at(self, address: int) -> Iterator[str]:
        """The names of the functions that have that address."""
        at, word = (8, 'Q') if self.layout.size == 24 else (4, 'I')
        value = struct.pack(self.layout.format[0] + word, address)
        for place in occurrences(bytes(self.entries), value):
            number, rest = divmod(place - at, self.layout.size)
            row = None if rest else next(self.rows(number))
            if row and row[1] & 15 in (0, 2) and row[3]:
                yield self.name(row)

    def numbers(self) -> dict[bytes, tuple[int, ...]]:
        """The numbers of the entries by name."""
        found: dict[bytes, tuple[int, ...]] = {}
        starts = struct.iter_unpack(self.layout.format[0] + 'I', self.starts)
        for number, (start,) in enumerate(starts):
            name = self.names[start:self.names.find(b'\0', start)]
            found[name] = (*found[name], number) if name in found else (number,)
        return found

    def named(self, name: str) -> Iterator[int]:
        """The numbers of the entries of that name: a search for its bytes, and one for each place of these,
        or where many names end so (linkers merge tails) one pass over all."""
        word = self.layout.format[0] + 'I'
        texts = set(occurrences(self.names, name.encode() + b'\0'))
        if len(texts) > 16:
            starts = enumerate(struct.iter_unpack(word, self.starts))
            yield from (number for number, (start,) in starts if start in texts)
            return
        for text in texts:
            yield from (at // 4 for at in occurrences(self.starts, struct.pack(word, text)) if at % 4 == 0)


# What reading a damaged file raises beside pyelftools' own; anything else is a defect of ours.
DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError,
          RecursionError, EOFError, MemoryError, NotImplementedError, struct.error, zlib.error)
DEBUGGING = False       # main() sets it for $SURFTRACE_DEBUG: what may be a defect of ours is not caught


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Make whatever reading a file raises an error about that file."""
    try:
        yield
    except OSError as error:
        raise DebugInfoError(f'{path}: {error.strerror}') from None
    except Exception as error:
        damage = isinstance(error, DAMAGE) or type(error).__module__.startswith('elftools.')
        if DEBUGGING or not damage:
            raise
        what = str(error) or type(error).__name__
        raise DebugInfoError(f'{path}: the file is damaged, or not what it seems ({what})') from error


class DisassemblyError(SurftraceError):
    """Nothing here takes apart the code of that architecture."""


class Executable:
    """An ELF file, mapped, or its bytes where it is compressed."""

    def __init__(self, path: str, data: bytes = b'') -> None:
        self.path = path
        with reading(path):
            self._map: Any = data or unpacked(path)
            self.identity = identity(path)
            if not self._map:
                with open(path, 'rb') as file:
                    self.identity = identity(file.fileno())
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._read_headers()
        self._inflated = functools.cache(
            lambda section: inflated_section(path, section, self._packed(section)))
        self._relocated = functools.cache(self._relocate)
        self._extents = functools.cache(self._read_extents)
        self.every_symbol = functools.lru_cache(1 << 10)(self._read_named)

    def _read_headers(self) -> None:
        """Read the headers of the file, of its segments and of its sections (ELF gABI)."""
        if self._map[:4] != b'\x7fELF':
            raise ValueError('no ELF file')
        bits, order = {1: 32, 2: 64}[self._map[4]], {1: 'little', 2: 'big'}[self._map[5]]
        self.mark, self.word = '<' if order == 'little' else '>', 'Q' if bits == 64 else 'I'
        self.type, machine, _, _, segments, sections, _, _, _, count, _, number, names = struct.unpack_from(
            f'{self.mark}HHI3{self.word}I6H', self._map, 16)
        self.is_object = self.type == 1                                     # ET_REL
        arches = [arch for arch in ARCHES if (arch.machine, arch.bits, arch.order) == (machine, bits, order)]
        if not arches:
            raise DebugInfoError(f'{self.path}: a file for machine {machine} of ELF, {order}-endian, {bits} '
                                 'bits: no architecture surftrace knows')
        self.arch, self.segments = arches[0], []
        for kind, *fields in self._records('II6Q' if bits == 64 else '8I', segments, count):
            flags = fields.pop(0 if bits == 64 else 5)
            offset, address, _, size, *_ = fields
            if kind == 1:                                                   # PT_LOAD
                self.segments.append(Segment(offset, address, size, bool(flags & 1)))
        layout = f'II4{self.word}II2{self.word}'
        if sections and number == 0:                    # more than fit there; the first section has it
            first = SectionHeader(*self._records(layout, sections, 1)[0])
            number, names = first.size, first.link if names == 0xffff else names
        entries = self._records(layout, sections, number) if sections else []
        headers = [SectionHeader(*entry) for entry in entries]
        addresses = object_addresses(headers) if self.is_object else [header.address for header in headers]
        strings = headers[names] if headers else SectionHeader(*[0] * 10)
        texts = self._map[strings.offset:strings.offset + strings.size]
        self._numbered = [self._section(header, text_at(texts, header.name), address)
                          for header, address in zip(headers, addresses)]
        self.sections = {section.name: section for section in self._numbered}

    def _records(self, layout: str, at: int, count: int) -> list[tuple[int, ...]]:
        entry = struct.Struct(self.mark + layout)
        data = self._map[at:at + count * entry.size]
        if len(data) < count * entry.size:
            raise ValueError('a table ends behind the end of the file')
        return list(entry.iter_unpack(data))

    def _section(self, header: SectionHeader, name: str, address: int) -> Section:
        """A section; compressed debug sections had their own names, and a header 'ZLIB' and the size in eight
        bytes, before the gABI had SHF_COMPRESSED."""
        flags, kind, size = header.flags, header.kind, header.size
        start, head, packing, unpacked_size = header.offset, 0, 0, 0 if kind == NOBITS else size
        if name.startswith('.zdebug_'):
            name, head, packing = f'.{name[2:]}', 12, 1
            unpacked_size = int.from_bytes(self._map[start + 4:start + 12], 'big')
        elif flags & 0x800:
            layout = struct.Struct(self.mark + ('IIQQ' if self.arch.bits == 64 else 'III'))
            head, (packing, *_, unpacked_size, _) = layout.size, layout.unpack_from(self._map, start)
        code = bool(flags & 4)                                              # SHF_EXECINSTR
        return Section(name, start + head, size - head, address, kind, code, unpacked_size, packing)

    def contents(self, name: str) -> memoryview:
        """The bytes of a section, inflated where it is compressed, a debug section of an object file
        relocated; empty when there is none of that name."""
        relocated = self.is_object and name.startswith('.debug_') and (
            '.rela' + name in self.sections or '.rel' + name in self.sections)
        return self._relocated(name) if relocated else self._stored(name)

    def _stored(self, name: str) -> memoryview:
        """The bytes of a section as contents(), not relocated."""
        section = self.sections.get(name)
        if not section or section.kind == NOBITS:
            return memoryview(b'')
        if not name.endswith('.dwo'):
            return self._held(section)
        parts = [self._held(part) for part in self._numbered if part.name == name]     # each type has its own
        return parts[0] if len(parts) == 1 else memoryview(b''.join(parts))

    def _held(self, section: Section) -> memoryview:
        if section.offset + section.size > len(self._map):
            raise DebugInfoError(
                f'{self.path}: cut short: section {section.name} ends behind the end of the file')
        return self._inflated(section) if section.packing else self._packed(section)

    def _packed(self, section: Section) -> memoryview:
        return memoryview(self._map)[section.offset:section.offset + section.size]

    def release(self, name: str) -> None:
        """Take a section's pages out of memory; those that are read again come back."""
        section = self.sections[name]
        if isinstance(self._map, mmap.mmap) and self.contents(name).obj is self._map:
            start = section.offset // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, start, section.offset + section.size - start)

    def size(self, name: str) -> int:
        """The bytes contents() will give, without inflating anything."""
        return self.sections[name].unpacked if name in self.sections else 0

    def _relocate(self, name: str) -> memoryview:
        """A copy of a debug section of an object file with its relocations applied, as a linker does. A
        kernel module is such a file: in it all references to strings, abbreviations and addresses are 0."""
        with reading(self.path):
            data, shift = bytearray(self._stored(name)), 32 if self.arch.bits == 64 else 8
            values = [value + self._base(section) for _, _, _, section, value, _ in self.tables[0].rows()]
            codes = {'8': 'B', '16': 'H', '32': 'I', '64': 'Q'}
            ways = {int(kind): (how, struct.Struct(self.mark + codes[bits]), (1 << int(bits)) - 1)
                    for kind, how, bits in re.findall(r'(\d+)(\D)(\d+)', RELOCATIONS[self.arch.name])}
            table, addend = ('.rela', self.word.lower()) if '.rela' + name in self.sections else ('.rel', '')
            for fields in struct.iter_unpack(self.mark + 2 * self.word + addend, self._stored(table + name)):
                at, symbol, kind = fields[0], fields[1] >> shift, fields[1] & (1 << shift) - 1
                if kind == 0:                                               # R_*_NONE everywhere
                    continue
                if kind not in ways:
                    raise ValueError(f'{name} has relocations of the unknown type {kind}')
                how, number, mask = ways[kind]
                before = number.unpack_from(data, at)[0] if how in '+-' or not addend else 0
                value = values[symbol] + (fields[2] if addend else before)
                if how == 'p':
                    value -= at
                elif how != '=':
                    value = before + value if how == '+' else before - value
                number.pack_into(data, at, value & mask)
            return memoryview(data)

    def _base(self, section: int) -> int:
        """The address of what a symbol of an object file counts from; elsewhere symbols hold addresses."""
        return self._numbered[section].address if self.is_object and section < len(self._numbered) else 0

    @functools.cached_property
    def module(self) -> str:
        """The name of the kernel module this is the file of, or the debug file; '' if it is none."""
        if not self.is_object:
            return ''
        file = re.sub(r'\.ko\b.*|\.debug$|\.o$', '', os.path.basename(self.path)).replace('-', '_')
        return self.module_info.get('name', '') or file

    @functools.cached_property
    def module_info(self) -> dict[str, str]:
        """What a module says of itself (.modinfo), as its name and the release it is for (vermagic)."""
        texts = bytes(self.contents('.modinfo')).decode(errors='replace').split('\0')
        return dict(text.split('=', 1) for text in reversed(texts) if '=' in text)

    @functools.cached_property
    def build_id(self) -> str:
        """The GNU build-id in hexadecimal, '' when the linker left none."""
        names = [name for name, section in self.sections.items() if section.kind == NOTE]
        notes = (bytes(self.contents(name)) for name in names)
        return next(filter(None, (build_id_of(note, self.arch.order) for note in notes)), '')

    # symbols

    @functools.cached_property
    def tables(self) -> list[SymbolTable]:
        """The two that it may have."""
        layout, tables = struct.Struct(self.mark + ('IBBHQQ' if self.arch.bits == 64 else 'IIIBBH')), []
        for names in (('.symtab', '.strtab', ''), ('.dynsym', '.dynstr', '.gnu.version')):
            entries, strings, versions = map(self.contents, names)
            words = entries[:len(entries) // layout.size * layout.size].cast('I')
            starts = words[::layout.size // 4].tobytes()
            tables.append(SymbolTable(entries, starts, bytes(strings), bytes(versions), layout))
        return tables

    def _symbol(self, table: SymbolTable, number: int, row: RawSymbol | None = None) -> Symbol:
        row = row or next(table.rows(number))
        _, info, other, index, value, size = row
        section = self._numbered[index] if index < len(self._numbered) else None
        type_, sort, entry = info & 15, {6: 'tls', 10: 'ifunc'}.get(info & 15, ''), 0
        version = table.versions[2 * number:2 * number + 2]
        if index == 0 or index >= 0xff00 and index != 0xfff1:          # undefined, common; 0xfff1 is absolute
            sort = 'undefined'
        elif int.from_bytes(version, self.arch.order) & 0x8000:  # type: ignore[arg-type]
            sort = sort or 'old'
        elif table.versions and type_ == 1 and self._is_library:
            sort = 'exported'
        elif self.arch.name == 'arm' and type_ == 2 and value & 1:    # AAELF32 5.5.3: bit 0 of functions
            sort, value = 'thumb', value - 1
        if self.arch.name == 'ppc64le':
            entry = 1 << (other >> 5) >> 2 << 2
        if sort != 'undefined':
            value += self._base(index)
        return Symbol(table.name(row), value, size, type_ in (0, 2) and section is not None and section.code,
                      section.name if section else '', sort=sort, entry=entry, local=info >> 4 == 0)

    def _rows(self, types: Container[int], code: bool = False) -> Iterator[tuple[int, int, RawSymbol]]:
        """(which table, which entry, the entry) of each defined symbol of those ELF types (in code)."""
        sections: Container[int] = range(1, 1 << 16)
        if code:
            sections = {number for number, section in enumerate(self._numbered) if section.code}
        for which, table in enumerate(self.tables):
            for number, row in enumerate(table.rows()):
                if row[1] & 15 in types and row[3] in sections:
                    yield which, number, row

    def dynamic(self, tag: int) -> list[str]:
        """The names that .dynamic has for a tag: DT_NEEDED, DT_SONAME."""
        layout, data = struct.Struct(self.mark + 2 * self.word), self.contents('.dynamic')
        entries = layout.iter_unpack(data[:len(data) // layout.size * layout.size])
        return [text_at(self.tables[1].names, value) for key, value in entries if key == tag]

    @functools.cached_property
    def _is_library(self) -> bool:
        """Tell whether it has a soname: programs may have copies of its data (R_*_COPY)."""
        return self.dynamic(DT_SONAME) != []

    def _read_named(self, name: str) -> list[Symbol]:
        """The symbols of that name, also undefined ones."""
        few = self.every_symbol.cache_info().misses < 128       # which take longer than an index
        found = {self._symbol(table, number) for i, table in enumerate(self.tables)
                 for number in (table.named(name) if few else self._numbers[i].get(name.encode(), ()))}
        return sorted(found, key=lambda symbol: (symbol.address, not symbol.sort))      # .dynsym knows more

    @functools.cached_property
    def _numbers(self) -> list[dict[bytes, tuple[int, ...]]]:
        return [table.numbers() for table in self.tables]

    def symbols(self, name: str) -> list[Symbol]:
        """The defined symbols of that name; an old version only where there is no other."""
        found = [symbol for symbol in self.every_symbol(name) if symbol.sort != 'undefined']
        return [symbol for symbol in found if symbol.sort != 'old'] or found

    def copies_of(self, name: str) -> list[Symbol]:
        """The copies of a function with other parameters: NAME.constprop.0, NAME.isra.0.constprop.1."""
        form = re.compile(re.escape(name) + r'(\.(constprop|isra|lto_priv)\.\d+)+')
        names = {text_at(table.names, at)
                 for table in self.tables for at in occurrences(table.names, name.encode() + b'.')}
        found = {symbol for copy in filter(form.fullmatch, names) for symbol in self.symbols(copy)}
        return sorted((symbol for symbol in found if symbol.code), key=lambda symbol: symbol.address)

    def matching(self, wanted: Callable[[str], bool], code: bool = False) -> Iterator[Symbol]:
        """The defined symbols whose name is wanted, or the functions (STT_NOTYPE, STT_FUNC) among them."""
        for which, number, row in self._rows((0, 2) if code else range(16), code):
            name = self.tables[which].name(row)
            symbol = self._symbol(self.tables[which], number, row) if name and wanted(name) else None
            if symbol and symbol.sort != 'undefined':
                yield symbol

    @functools.cached_property
    def function_symbols(self) -> dict[str, list[Symbol]]:
        """Every defined function, by name, without the paddings before them."""
        found: dict[str, list[Symbol]] = {}
        for symbol in self.matching(lambda name: name[:6] != '__pfx_', code=True):
            if symbol not in found.setdefault(symbol.name, []):
                found[symbol.name].append(symbol)
        return found

    def named_in_source(self, name: str) -> list[Symbol]:
        """The functions whose name in C++ or Rust is that, with its parameters or without them."""
        last = re.search(r'(\w+)[^\w:]*$', without_parameters(name).partition('<')[0])
        word = last[1] if last and 'operator' not in name else ''
        if re.fullmatch(r'(basic_)?(string|istream|ostream|iostream)|allocator', word):
            word = ''                                           # Sb Ss Si So Sd Sa (Itanium C++ ABI, 5.1.8)
        piece = f'{len(word)}{word}' if word else ''
        if not any(piece.encode() in table.names for table in self.tables):
            return []
        return [symbol for mangled, symbols in self.function_symbols.items()
                if mangled[:2] in ('_Z', '_R') and piece in mangled and name in spellings(demangled(mangled))
                for symbol in symbols]

    def _read_extents(self, type_: int) -> list[tuple[int, int, int, int]]:
        """(address, size, which table, which entry) of each defined symbol of that ELF type, sorted."""
        return sorted((self._base(row[3]) + row[4], row[5], which, number)
                      for which, number, row in self._rows((type_,)))

    def symbol_at(self, address: int, code: bool = True) -> Symbol | None:
        """The function, or label of assembly (or the object), that has the link-time address; of several
        names for it one that nothing else has."""
        for type_ in (2, 0) if code else (1,):
            extents = self._extents(type_)
            end = bisect.bisect(extents, (address, 1 << 64, 0, 0))
            start = extents[end - 1][0] if end else 0
            holding = (self._symbol(self.tables[which], number)
                       for _, size, which, number in reversed(extents[bisect.bisect(extents, (start,)):end])
                       if address < start + max(size, 1))
            found = [symbol for symbol in holding
                     if symbol.sort != 'undefined' and symbol.name[:6] != '__pfx_' and symbol.name[:1] != '$']
            if found:
                alone = (symbol for symbol in found if len(found) == 1 or len(self.symbols(symbol.name)) == 1)
                return next(alone, found[0])
        return None

    # what is loaded

    @functools.cached_property
    def descriptor(self) -> int:
        """A file descriptor for the very file that was read, kept open as long as this process lives."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if identity(descriptor) != self.identity:
            raise SurftraceError(f'{self.path} was replaced or changed while it was read; start again')
        return descriptor

    def offset_of(self, address: int) -> int | None:
        """Where in the file is what is loaded at that address."""
        return next((address - s.address + s.offset for s in self.segments
                     if s.address <= address < s.address + s.size), None)

    def code_at(self, offset: int) -> int | None:
        """The address at which the code at that place of the file is loaded."""
        return next((offset - s.offset + s.address for s in self.segments
                     if s.code and s.offset <= offset < s.offset + s.size), None)

    def bytes_at(self, address: int, size: int) -> bytes:
        """What the file has for that link-time address; b'' where it has nothing, as a debug file."""
        for section in self.sections.values():
            at = address - section.address
            if section.address and 0 <= at <= section.size - size and section.kind == PROGBITS:
                return bytes(self.contents(section.name)[at:at + size])
        return b''

    def table(self, start: str, stop: str, layout: str = '') -> list[int]:
        """The words between two symbols, as linkers make tables of them; of entries with a layout the address
        that each begins with, counted from the entry."""
        ends = [symbol.address for name in (start, stop) for symbol in self.symbols(name)]
        data = self.bytes_at(ends[0], ends[1] - ends[0]) if len(ends) == 2 and ends[0] < ends[1] else b''
        entry = struct.Struct(self.mark + (layout or self.word))
        places = range(0, len(data) - entry.size + 1, entry.size)
        return [entry.unpack_from(data, at)[0] + (ends[0] + at if layout else 0) for at in places]

    def usdt_notes(self) -> list[UsdtNote]:
        """The sites of USDT probes (.note.stapsdt;
        https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation)."""
        base, found = self.sections.get('.stapsdt.base'), []
        with reading(self.path):
            for name, kind, text in notes_in(bytes(self.contents('.note.stapsdt')), self.arch.order):
                if name == b'stapsdt\0' and kind == 3:
                    address, linked, semaphore = struct.unpack_from(self.mark + 3 * self.word, text)
                    moved = base.address - linked if base and linked else 0
                    semaphore += moved if semaphore else 0
                    texts = text[3 * self.arch.word:].decode(errors='replace').split('\0')
                    operands = ''.join(texts[2:3])
                    found.append(UsdtNote(texts[0], texts[1], address + moved, semaphore, operands))
        return found


def text_at(data: bytes, at: int) -> str:
    """The text there, up to a NUL."""
    return data[at:data.find(b'\0', at)].decode(errors='replace')


def identity(file: str | int) -> tuple[int, ...]:
    """What tells a file from another of its name and from what it was; () where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


# How the relocations of debug sections are computed: number, how, bits. '=' is symbol plus addend, 'p' that
# less its own place, '+' and '-' that added to or taken from what is there (RISC-V and LoongArch write
# differences). From the psABI of each; names in include/elf/*.h of binutils.
RELOCATIONS = {
    'x86_64': '1=64 2p32 10=32 11=32 17=64 21=32 24p64',
    'i386': '1=32 2p32',
    'aarch64': '257=64 258=32 259=16 260p64 261p32',
    'arm': '2=32 3p32',
    'riscv64': '1=32 2=64 33+8 34+16 35+32 36+64 37-8 38-16 39-32 40-64 54=8 55=16 56=32 57p32',
    's390x': '4=32 5p32 22=64 23p64',
    'ppc64le': '1=32 26p32 38=64 44p64',
    'loongarch64': '1=32 2=64 47+8 48+16 50+32 51+64 52-8 53-16 55-32 56-64 99p32',
}


def object_addresses(sections: Sequence[SectionHeader]) -> list[int]:
    """An address for each section of an object file, where all begin at 0: those that are loaded stand in a
    row, the others at 0, since what refers to them counts from their start."""
    found, at = [], 0x1000
    for section in sections:
        loaded, align = section.flags & 2, max(1, section.align)        # SHF_ALLOC
        at = -(-at // align) * align if loaded else at
        found.append(at if loaded else 0)
        at += section.size if loaded else 0
    return found


def unpacked(path: str) -> bytes:
    """What a file compressed as .gz, .xz or .zst holds; b'' for one that is not compressed."""
    with reading(path), open(path, 'rb') as file:
        head = file.read(6)
        file.seek(0)
        if head[:2] == b'\x1f\x8b':
            return inflated(file.read(), lambda: zlib.decompressobj(31))            # with gzip's header
        if head == b'\xfd7zXZ\0':
            import lzma
            return inflated(file.read(), lzma.LZMADecompressor)
        return unpacked_zstd(path, file.read()) if head[:4] == b'\x28\xb5\x2f\xfd' else b''


def inflatable(size: int) -> int:
    """The bytes that so many may unpack to: debug information shrinks to a tenth, a bomb to a thousandth."""
    return (1 << 24) + 100 * size


def inflated(data: bytes | memoryview, decompressor: Callable[[], Any]) -> bytes:
    """What one or several compressed streams hold; ValueError where damaged, or more than can be true."""
    limit, found, rest = inflatable(len(data)), b'', data
    while rest:
        stream = decompressor()
        try:
            found += stream.decompress(rest, limit + 1 - len(found))
        except Exception as error:                      # of zlib, lzma or zstd, each its own
            raise ValueError(str(error)) from error
        if len(found) > limit:
            raise ValueError(f'{len(data)} bytes that unpack to more than {limit}')
        if not stream.eof:
            raise ValueError('cut short')
        rest = stream.unused_data.lstrip(b'\0')
    return found


def unpacked_zstd(path: str, data: bytes, way: str = 'zstd -d') -> bytes:
    """What a zstd frame holds, by Python's own library (3.14) or the machine's (zstd.h: the simple API)."""
    with contextlib.suppress(ImportError):
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
        return inflated(data, zstd.ZstdDecompressor)
    import ctypes
    try:
        library = ctypes.CDLL('libzstd.so.1')
    except OSError:
        raise DebugInfoError(f'{path}: to read zstd, libzstd.so.1 or Python 3.14 is needed; '
                             f'or unpack it with {way}') from None
    library.ZSTD_getFrameContentSize.restype = library.ZSTD_decompress.restype = ctypes.c_ulonglong
    size = library.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    size = min(size, inflatable(len(data)))                                 # 2**64 - 1: it does not say
    buffer = ctypes.create_string_buffer(size or 1)
    got = library.ZSTD_decompress(buffer, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    if got > size:                                                          # an error code is close to 2**64
        raise ValueError('damaged zstd')
    return buffer.raw[:got]


def inflated_section(path: str, section: Section, data: memoryview) -> memoryview:
    """The contents of a compressed section."""
    with reading(path):
        if section.packing == 1:
            found = inflated(data, zlib.decompressobj)
        elif section.packing == 2:
            found = unpacked_zstd(path, bytes(data), 'objcopy --decompress-debug-sections')
        else:
            raise ValueError(f'{section.name} is compressed in a way unknown here, {section.packing}')
        if len(found) != section.unpacked:
            raise ValueError(f'{section.name} of {len(found)} bytes says it is one of {section.unpacked}')
        return memoryview(found)


def readable_files(paths: Iterable[str]) -> Iterator[Executable]:
    """The ELF files among the paths that are there and can be read, unpacked where they are compressed."""
    for path in filter(os.path.isfile, paths):
        with contextlib.suppress(SurftraceError):
            yield Executable(path)


def named_file(executable: Executable, section: str) -> str:
    """The name of another file at the beginning of a section."""
    return bytes(executable.contents(section)).partition(b'\0')[0].decode(errors='replace')


def occurrences(data: Any, wanted: bytes) -> Iterator[int]:
    """Where the bytes stand, also within longer strings, whose tails linkers merge, and overlapping."""
    if isinstance(data, bytes):                                             # faster than a pattern
        at = data.find(wanted)
        while at >= 0:
            yield at
            at = data.find(wanted, at + 1)
        return
    pattern = re.compile(re.escape(wanted))
    match = pattern.search(data)
    while match:
        yield match.start()
        match = pattern.search(data, match.start() + 1)


def uleb128(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number (DWARF 5, 7.6) and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def sleb128(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A signed LEB128 number (DWARF 5, 7.6) and where it ends."""
    value, end = uleb128(data, at)
    bits = 7 * (end - at)
    return value - (1 << bits if value >> bits - 1 else 0), end


def notes_in(notes: bytes, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    """(name, type, descriptor) of each note of a SHT_NOTE section."""
    at, head = 0, struct.Struct('<III' if order == 'little' else '>III')
    while at + 12 <= len(notes):
        name_size, size, kind = head.unpack_from(notes, at)
        name_at, text_at = at + 12, at + 12 + (name_size + 3 & ~3)
        yield notes[name_at:name_at + name_size], kind, notes[text_at:text_at + size]
        at = text_at + (size + 3 & ~3)


def build_id_of(notes: bytes, order: str) -> str:
    """The descriptor of the note 'GNU' of type 3 (NT_GNU_BUILD_ID), in hexadecimal, or ''."""
    found = (text.hex() for name, kind, text in notes_in(notes, order) if name == b'GNU\0' and kind == 3)
    return next(found, '')


def build_id_note(build_id: str, order: str) -> bytes:
    """The note that build_id_of() reads."""
    text = bytes.fromhex(build_id)
    head = struct.pack('<III' if order == 'little' else '>III', 4, len(text), 3)
    return head + b'GNU\0' + text + bytes(-len(text) % 4)


def elf_of(arch: Arch, sections: Sequence[tuple[str, int, bytes]]) -> bytes:
    """An ELF file of nothing but these sections (name, type, bytes), for that architecture (ELF gABI)."""
    mark, wide = '<' if arch.order == 'little' else '>', arch.bits == 64
    size, names, headers, contents = 64 if wide else 52, b'\0', bytes(64 if wide else 40), b''
    for name, kind, data in [*sections, ('.shstrtab', 3, b'')]:
        at, names = len(names), names + name.encode() + b'\0'
        data = names if kind == 3 else data
        contents += bytes(-len(contents) % 4)
        headers += struct.pack(mark + ('IIQQQQIIQQ' if wide else '10I'), at, kind, 0, 0, size + len(contents),
                               len(data), 0, 0, 4, 0)
        contents += data
    contents += bytes(-(size + len(contents)) % 8)
    count = len(sections) + 2
    head = b'\x7fELF' + bytes([1 + wide, 1 if mark == '<' else 2, 1]) + bytes(9)
    head += struct.pack(mark + ('HHIQQQIHHHHHH' if wide else 'HHIIIIIHHHHHH'), 2, arch.machine, 1, 0, 0,
                        size + len(contents), 0, size, 0, 0, len(headers) // count, count, count - 1)
    return head + contents + headers


# names of C++ and Rust


@functools.cache
def _cxa_demangle() -> Callable[[str], str] | None:
    """The C++ library's own demangler (Itanium C++ ABI, 3.4: __cxa_demangle), where there is one."""
    import ctypes
    try:
        library = ctypes.CDLL('libstdc++.so.6')
    except OSError:
        return None
    library.__cxa_demangle.restype = ctypes.c_void_p
    release = ctypes.CDLL(None).free
    release.argtypes = [ctypes.c_void_p]

    def demangle(name: str) -> str:
        text = library.__cxa_demangle(name.encode(), None, None, ctypes.byref(ctypes.c_int()))
        found = ctypes.string_at(text).decode(errors='replace') if text else ''
        release(text)
        return found
    return demangle


RUST_ESCAPES = {'SP': '@', 'BP': '*', 'RF': '&', 'LT': '<', 'GT': '>', 'LP': '(', 'RP': ')', 'C': ','}


def demangled(name: str) -> str:
    """A C++ or Rust name as its source has it, '' for one that is not mangled. Of Rust's newer mangling (RFC
    2603) only plain paths are read; of its older one (C++'s, with a hash behind it) the hash is left out."""
    if name.startswith('_R'):
        path = re.fullmatch(
            r'_R(?:N[a-zA-Z])*C(?:s[0-9a-zA-Z]*_)?((?:(?:s[0-9a-zA-Z]*_)?\d+_?[A-Za-z_]\w*)+)', name)
        return '::'.join(_identifiers(path[1])) if path else ''
    demangle = _cxa_demangle() if name.startswith('_Z') else None
    text = demangle(name) if demangle else ''
    rust = re.fullmatch(r'(.*)::h[0-9a-f]{16}', text)
    if not rust:
        return text
    text = re.sub(r'(^|::)_(?=\$)', r'\1', rust[1])       # an identifier begins with no $
    return re.sub(r'\$(\w+)\$', _rust_character, text).replace('..', '::')


def _rust_character(match: re.Match[str]) -> str:
    """$LT$ is <, $u20$ the character with that number."""
    if re.fullmatch('u(?!d[89a-f]..$)[0-9a-f]{1,5}', match[1]):
        return chr(int(match[1][1:], 16))
    return RUST_ESCAPES.get(match[1], match[0])


def _identifiers(text: str) -> list[str]:
    """'4prog6module' -> ['prog', 'module']"""
    found = []
    while text:
        head = re.match(r'(?:s[0-9a-zA-Z]*_)?(\d+)_?', text)
        if not head:
            return []
        end = head.end() + int(head[1])
        found.append(text[head.end():end])
        text = text[end:]
    return found


def without_parameters(name: str) -> str:
    """'ns::f(int) const' -> 'ns::f'"""
    name = re.sub(r'( const| volatile| &&?|\[[^\]]*\])*$', '', name)
    depth = 0
    for at in range(len(name) - 1, -1, -1) if name.endswith(')') else ():
        depth += {')': 1, '(': -1}.get(name[at], 0)
        if not depth:
            return name if name[:at].endswith('operator') or not at else name[:at]
    return name


def spellings(name: str) -> set[str]:
    """The ways to write a demangled name: with and without parameters, a template's result, an ABI tag."""
    if '[abi:' in name:
        return {name} | spellings(re.sub(r'\[abi:\w+\]', '', name))
    bare, depth = without_parameters(name), 0
    found = {name, bare}
    for at, char in enumerate(bare):
        depth += {'<': 1, '(': 1, '>': -1, ')': -1}.get(char, 0)
        if char == ' ' and not depth and 'operator' not in bare:
            found |= {bare[at + 1:], name[at + 1:]}
    return found - {''}


# where programs and libraries are


def library_paths() -> list[tuple[str, str]]:
    """(soname, path) of every library the dynamic linker knows (glibc: sysdeps/generic/dl-cache.h; the new
    format, which may stand behind the old one)."""
    try:
        with open('/etc/ld.so.cache', 'rb') as file:
            data = file.read()
    except OSError:
        return []
    start = data.find(b'glibc-ld.so.cache1.1')
    if start < 0:
        return []
    count = struct.unpack_from('=I', data, start + 20)[0]
    entries = data[start + 48:start + 48 + 24 * count]
    return [(text_at(data, start + name), text_at(data, start + path))
            for _, name, path, _, _ in struct.iter_unpack('=iIIIQ', entries[:len(entries) // 24 * 24])]


def is_library(file: str, name: str) -> bool:
    """Tell whether a library is called so: 'libc' is libc.so.6, and libc-2.31.so in old files."""
    return file == name or re.fullmatch(re.escape(name) + r'(-[\d.]+)?\.so(\.[\w.]+)?', file) is not None


def read_text(path: str) -> str:
    """A small text file, '' where it cannot be read."""
    try:
        with open(path, encoding='utf-8', errors='surrogateescape') as file:
            return file.read()
    except OSError:
        return ''


def mapped_objects(pid: int) -> list[str]:
    """The files a process has mapped to execute, as /proc/PID/maps has them."""
    maps = read_text(f'/proc/{pid}/maps')
    return list(dict.fromkeys(re.findall(r'^\S+ \S\Sx\S \S+ \S+ [1-9]\d* +(/.*)$', maps, re.M)))


def object_of_process(pid: int, name: str) -> str | None:
    """The file that a process calls so, by a path that is good here: through its root where that differs."""
    root = ''                                           # of a chroot: maps has the paths as seen from here
    with contextlib.suppress(OSError):
        root = os.readlink(f'/proc/{pid}/root').rstrip('/')
    for path in mapped_objects(pid):
        inside = re.sub(r' \(deleted\)$', '', path)
        base = os.path.basename(inside)
        if inside in (name, root + name) or '/' not in name and (base == name or is_library(base, name)):
            if inside != path:
                raise SurftraceError(
                    f"process {pid} runs a '{base}' that has been deleted or replaced since; start it again, "
                    'or name the new file by its path without -p')
            through = f'/proc/{pid}/root{inside}'
            with contextlib.suppress(OSError):
                return inside if os.path.samefile(inside, through) else through
            return inside if root else through
    return None


def object_paths(name: str, folders: Sequence[str]) -> list[str]:
    """The files that may be meant: a path, a program in one of the folders, a library by its soname."""
    if '/' in name:
        return [os.path.abspath(name)] if os.path.isfile(name) else []
    for path in (os.path.join(folder or '.', name) for folder in folders):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return [os.path.abspath(path)]
    found = [path for soname, path in library_paths() if is_library(soname, name)]
    return list({identity(path): path for path in reversed(found)}.values())    # links lead to one file


# code as text


class Instruction(NamedTuple):
    """A machine instruction: its address and bytes, its text without the address it jumps to or calls
    (`target`); `data` is the address of what it reads or writes where that is told from its own place."""
    address: int
    size: int
    text: str
    target: int | None = None
    data: int | None = None


# What capstone calls an architecture, and its modes; up to capstone 5 AARCH64 is ARM64.
CAPSTONE = {'x86_64': ('X86', '64'), 'i386': ('X86', '32'), 'aarch64': ('AARCH64 ARM64', 'ARM'),
            'arm': ('ARM', 'ARM'), 'riscv64': ('RISCV', 'RISCV64 RISCVC'),
            's390x': ('SYSTEMZ SYSZ', 'BIG_ENDIAN'), 'ppc64le': ('PPC', '64 LITTLE_ENDIAN'),
            'loongarch64': ('LOONGARCH', 'LOONGARCH64')}


def disassembled(code: bytes, address: int, arch: Arch) -> list[Instruction]:
    """The instructions of these bytes, by capstone, or DisassemblyError."""
    decoder = _capstone(arch)
    if not decoder:
        raise DisassemblyError(
            f"disassembling {arch.name} needs capstone (pip install capstone, or your distribution's "
            f'python3-capstone) of a release that knows it')
    return [_instruction(found) for found in decoder.disasm(code, address)]


def _capstone(arch: Arch) -> Any:
    try:
        import capstone  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, OSError):                              # its library may be another machine's
        return None
    names, modes = CAPSTONE[arch.name]
    numbers = [getattr(capstone, f'CS_ARCH_{name}', None) for name in names.split()]
    number = next((number for number in numbers if number is not None), None)
    if number is None or not capstone.cs_support(number):
        return None
    decoder = capstone.Cs(number, sum(getattr(capstone, f'CS_MODE_{mode}', 0) for mode in modes.split()))
    decoder.skipdata = decoder.detail = True
    if names == 'X86':
        decoder.syntax = capstone.CS_OPT_SYNTAX_ATT         # as gdb, objdump and the kernel write
    return decoder


def _instruction(found: Any) -> Instruction:
    text = f'{found.mnemonic:7} {found.op_str}'.rstrip()
    jumps = found.id and any(map(found.group, (1, 2, 7)))           # CS_GRP_JUMP, CALL, BRANCH_RELATIVE
    place = re.fullmatch(r'(.*?)[#$]?(0x[0-9a-f]+)', text) if jumps and '*' not in text else None
    if place:
        return Instruction(found.address, found.size, place[1].rstrip(), int(place[2], 16))
    own = re.search(r'(-?)(0x[0-9a-f]+|\d+)\(%rip\)', text)
    data = found.address + found.size + int(own[1] + own[2], 0) if own else None
    return Instruction(found.address, found.size, text, None, data)


# ---- DWARF -------------------------------------------------------------------------------------------------

class LineRow(NamedTuple):
    """A row of a line-number table: the code from this address to the next row's is of that line."""
    address: int
    file: int                               # its number
    line: int
    is_stmt: bool                           # a good place to stop


class LineHeader(NamedTuple):
    """A line-number program and the numbers it is read with (DWARF 5, 6.2.4)."""
    directories: tuple[str, ...]
    files: tuple[tuple[int, str], ...]      # (directory, name), as DW_AT_decl_file counts them
    start: int                              # in .debug_line
    end: int
    step: int                               # bytes of the shortest instruction
    is_stmt: bool
    line_base: int
    line_range: int
    lengths: tuple[int, ...]                # operands of the standard opcodes

    def path(self, file: int) -> str:
        """The path of the file with that number, as far as the table has it."""
        if not 0 <= file < len(self.files):
            return ''
        directory, name = self.files[file]
        folder = self.directories[directory] if directory < len(self.directories) else ''
        return os.path.normpath(os.path.join(self.directories[0] if self.directories else '', folder, name))


class Scope(NamedTuple):
    """A function, a copy of one inlined into it, or a block."""
    die: Any                                # its Die; None where no entry has the code
    function: bool                          # no block, and not what Scopes._is_rest() finds
    ranges: tuple[tuple[int, int], ...]     # the addresses of its code
    variables: tuple[Any, ...]              # the Dies of what is declared in it
    inner: tuple[Scope, ...]

    def holds(self, address: int) -> bool:
        """Tell whether the address is in its code."""
        return any(start <= address < end for start, end in self.ranges)

    def whole(self) -> Iterator[Scope]:
        """The scope and all that are in it."""
        yield self
        for inner in self.inner:
            yield from inner.whole()

    def rank(self, address: int) -> tuple[int, int]:
        """What its places are sorted by: the part that it is entered by comes first."""
        found = (i for i, (start, end) in enumerate(self.ranges) if start <= address < end)
        return next(found, len(self.ranges)), address


class Spot(NamedTuple):
    """An instruction of a function or of a copy of it."""
    address: int                            # at link time
    function: str                           # its name in the source
    file: str
    line: int
    home: Any                               # the Die of the function that the code is part of
    scope: Scope                            # the copy itself
    inlined: bool                           # whether these differ


STRUCT_TAGS = {'DW_TAG_structure_type': 'struct', 'DW_TAG_class_type': 'class', 'DW_TAG_union_type': 'union'}
CLASS_TAGS = ('DW_TAG_structure_type', 'DW_TAG_class_type')
KEYWORD_TAGS = {'struct': CLASS_TAGS, 'class': CLASS_TAGS, 'union': ('DW_TAG_union_type',),
                'enum': ('DW_TAG_enumeration_type',), '': ('DW_TAG_typedef', 'DW_TAG_base_type')}
SCOPED_TAGS = (*STRUCT_TAGS, 'DW_TAG_enumeration_type')     # which C++ names without a keyword
QUALIFIERS = {f'DW_TAG_{word}_type': word for word in ('const', 'volatile', 'restrict')}
QUALIFIERS['DW_TAG_atomic_type'] = '_Atomic'
POINTER_TAGS = {'DW_TAG_pointer_type': '*', 'DW_TAG_reference_type': '&',
                'DW_TAG_rvalue_reference_type': '&&'}
MEMBER_TAGS = ('DW_TAG_member', 'DW_TAG_inheritance')
TEMPLATE_TAGS = ('DW_TAG_template_type_param', 'DW_TAG_template_value_param',
                 'DW_TAG_GNU_template_template_param', 'DW_TAG_GNU_template_parameter_pack')
LITERALS = {'int': '', 'unsigned int': 'U', 'long': 'L', 'unsigned long': 'UL', 'long long': 'LL',
            'unsigned long long': 'ULL'}                    # how C++ tells them apart, with clang's names
FUNCTION_TAGS = ('DW_TAG_subprogram',)
COPY_TAGS = ('DW_TAG_inlined_subroutine',)
CODE_TAGS = (*FUNCTION_TAGS, *COPY_TAGS)
VARIABLE_TAGS = ('DW_TAG_formal_parameter', 'DW_TAG_variable')
PARAMETER_TAGS = frozenset(['DW_TAG_formal_parameter'])
NAME = ('DW_AT_name',)
LINKAGE = 'DW_AT_linkage_name'
ORIGINS = ('DW_AT_abstract_origin', 'DW_AT_specification')
# DWARF 5 table 7.17, and those added since (https://dwarfstd.org/languages.html); C and what is like it is ''
LANGUAGES = {**dict.fromkeys((4, 0x1a, 0x21, 0x2b, 0x3a), 'C++'), 0x16: 'Go', 0x1c: 'Rust',
             **dict.fromkeys((7, 8, 0xe, 0x22, 0x23, 0x2d), 'Fortran')}
# Those whose arrays begin at 1.
FROM_ONE = {3, 5, 6, 7, 8, 9, 0xa, 0xd, 0xe, 0xf, 0x17, 0x22, 0x23, 0x2d, 0x2e, 0x2f}
# DWARF 5, 7.5.1: the bytes of a unit's header, by its type.
UNIT_HEADERS = {2: 24, 4: 20, 5: 20, 6: 24}
# DWARF 5, 7.5.6: the numbers that an attribute of a form is, as struct has them ('addr' is a word).
FORM_CODES = {form: code for code, forms in {
    '': 'flag_present implicit_const', 'B': 'data1 ref1 flag strx1 addrx1', 'H': 'data2 ref2 strx2 addrx2',
    '3s': 'strx3 addrx3', 'Q': 'data8 ref8 ref_sig8 ref_sup8', '16s': 'data16',
    'I': 'data4 ref4 ref_addr ref_sup4 GNU_ref_alt strx4 strp line_strp strp_sup GNU_strp_alt addrx4 '
         'sec_offset'
}.items() for form in forms.split()}
# DWARF 5, 7.5.3: a code; a tag, whether it has children, names with forms (behind 0x21 a value), two zeros.
ABBREVIATION = regex(rb'(%(n)s)(%(n)s[\x00\x01](?:(?!\x00\x00)%(n)s(?:\x21%(n)s|(?!\x21)%(n)s))*\x00\x00)' % {
    b'n': rb'[\x80-\xff]*[\x00-\x7f]'}, re.S)

Bytes = Union[bytes, memoryview]
FormReader = Callable[[Bytes, int], tuple[Any, int]]        # gives the value at a place, and where that ends


@functools.cache
def reads_dwarf() -> bool:
    """Tell whether DWARF can be read: pyelftools is there."""
    try:
        import elftools  # noqa: F401
    except ImportError:
        return False
    return True


# https://gcc.gnu.org/wiki/DebugFission; pyelftools has them since 0.30
GNU_SPLIT = {'DW_AT_GNU_dwo_name': 0x2130, 'DW_AT_GNU_ranges_base': 0x2132, 'DW_AT_GNU_addr_base': 0x2133}


@functools.cache
def dwarf_names() -> tuple[dict[int, str], ...]:
    """The names of tags, attributes and forms (these without DW_FORM_) by number."""
    try:
        from elftools.dwarf.enums import ENUM_DW_AT, ENUM_DW_FORM, ENUM_DW_TAG
    except ImportError:
        raise SurftraceError("reading DWARF needs pyelftools (pip install pyelftools, or your distribution's "
                             'python3-pyelftools); BTF needs nothing: -m btf') from None
    attributes = {**ENUM_DW_AT, **GNU_SPLIT}
    return tuple({number: name[prefix:] for name, number in table.items() if isinstance(number, int)}
                 for table, prefix in ((ENUM_DW_TAG, 0), (attributes, 0), (ENUM_DW_FORM, len('DW_FORM_'))))


def abbreviation(data: bytes) -> tuple[str, bool, list[tuple[str, str, int]]]:
    """Of an abbreviation without its code: the tag, whether it has children, each attribute's name, form and
    implicit constant."""
    tags, names, forms = dwarf_names()
    tag, at = uleb128(data, 0)
    children, at = data[at], at + 1
    attributes: list[tuple[str, str, int]] = []
    while True:
        name, at = uleb128(data, at)
        form, at = uleb128(data, at)
        value, at = sleb128(data, at) if form == 0x21 else (0, at)      # DW_FORM_implicit_const
        if not name and not form:
            return tags.get(tag, ''), bool(children), attributes
        attributes.append((names.get(name, ''), forms.get(form, ''), value))


def c_string(data: Bytes, at: int) -> tuple[str, int]:
    """The text there that a NUL ends, and where that is over."""
    for size in (64, 1 << 12, 1 << 24):
        part = bytes(data[at:at + size])
        end = part.find(0)
        if end >= 0:
            return part[:end].decode(errors='replace'), at + end + 1
    raise ValueError('a text without an end')


def block(data: Bytes, at: int, length: FormReader = uleb128) -> tuple[bytes, int]:
    """The bytes behind their number, and where they end."""
    size, at = length(data, at)
    return bytes(data[at:at + size]), at + size


def tables(data: Bytes, mark: str, wide: bool = False) -> Iterator[int]:
    """Where the units or tables of a section begin, which have their lengths before them; those of 64-bit
    DWARF (`wide`) or the others (DWARF 5, 7.4)."""
    at = 0
    while at + 12 <= len(data):
        length = struct.unpack_from(mark + 'I', data, at)[0]
        if (length >= 0xfffffff0) == wide:
            yield at
        if length >= 0xfffffff0:
            length = 8 + struct.unpack_from(mark + 'Q', data, at + 4)[0]
        at += 4 + length


def unknown_form(data: Bytes, at: int) -> NoReturn:
    """Refuse an attribute that nobody knows the length of."""
    raise ValueError(f'an attribute of an unknown form, {at} bytes into its unit of {len(data)}')


def form_readers(order: Any) -> dict[str, FormReader]:
    """What reads the forms without a fixed size (DWARF 5, 7.5.6)."""
    def number(size: int) -> FormReader:
        return lambda data, at: (int.from_bytes(data[at:at + size], order), at + size)
    numbers = 'udata ref_udata strx addrx loclistx rnglistx GNU_addr_index GNU_str_index'.split()
    blocks = {f'block{size}': functools.partial(block, length=number(size)) for size in (1, 2, 4)}
    return {**dict.fromkeys(numbers, uleb128), 'sdata': sleb128, 'string': c_string,
            'exprloc': block, 'block': block, **blocks}


class Shape:
    """An abbreviation: what its entries are and how they are laid out.

    `layout`: runs of numbers of fixed sizes, and what may follow each. `size`, and the places of the
    references to the `sibling` and the `type` and of the `name` in .debug_str, are bytes from where the
    attributes begin; -1 where that varies or there is none. `places` has all that do not vary.
    """

    def __init__(self, text: bytes, mark: str, word: int, readers: dict[str, FormReader]) -> None:
        self.tag, self.children, attributes = abbreviation(text)
        self.forms = {name: form for name, form, _ in attributes}       # gcc may repeat one, the last counts
        self.constants: dict[str, Any] = {}
        self.stored: list[tuple[str, str]] = []
        self.layout: list[tuple[struct.Struct, FormReader | None]] = []
        self.places: dict[tuple[str, str], int] = {}                    # by name and form
        run = mark
        for name, form, constant in attributes:
            code = FORM_CODES.get(form) if form != 'addr' else {2: 'H', 4: 'I', 8: 'Q'}[word]
            if code == '':
                self.constants[name] = constant if form == 'implicit_const' else True
                continue
            self.stored.append((name, form))
            if not self.layout:
                self.places.setdefault((name, form), struct.calcsize(run))
            if code:
                run += code
            else:
                self.layout.append((struct.Struct(run), readers.get(form, unknown_form)))
                run = mark
        self.layout.append((struct.Struct(run), None))
        self.size = self.layout[0][0].size if len(self.layout) == 1 else -1
        wanted = ('DW_AT_sibling', 'ref4'), ('DW_AT_name', 'strp'), ('DW_AT_type', 'ref4')
        self.sibling, self.name, self.type = (self.places.get(pair, -1) for pair in wanted)
        self.indirect = {name: INDIRECT[form] for name, form in self.forms.items() if form in INDIRECT}
        self.declared = 'DW_AT_declaration' in self.forms
        self.code = self.tag in FUNCTION_TAGS and not {'DW_AT_low_pc', 'DW_AT_ranges'}.isdisjoint(self.forms)

    def end(self, data: bytes, at: int) -> int:
        """Where the attributes end that begin there."""
        for fixed, reader in self.layout:
            at += fixed.size
            if reader is not None:
                at = reader(data, at)[1]
        return at

    def read(self, data: bytes, at: int) -> dict[str, Any]:
        """The attributes that begin there, as they stand in the entry."""
        values: list[Any] = []
        for fixed, reader in self.layout:
            values += fixed.unpack_from(data, at)
            at += fixed.size
            if reader is not None:
                value, at = reader(data, at)
                values.append(value)
        if at > len(data):
            raise ValueError('an entry that ends behind its unit')
        found = {name: value for (name, _), value in zip(self.stored, values)}
        found.update(self.constants)
        return found


class Unit:
    """A unit of .debug_info: where it begins, its bytes, its header (DWARF 5, 7.5.1). `parts` is where its
    parts of other sections begin, and offsets are counted from, as `ranges`, where that is not 0."""

    def __init__(self, entries: Entries, offset: int) -> None:
        self.entries, self.offset, self.data = entries, offset, entries.bytes_of(offset)
        number = struct.Struct(entries.mark + 'I').unpack_from
        self.version: int = struct.unpack_from(entries.mark + 'H', self.data, 4)[0]
        old_types = offset - entries.start >= len(entries.info)
        if self.version >= 5:
            kind, table = self.data[6], 8
            self.first = UNIT_HEADERS.get(kind, 12)
        else:
            kind, table = 1 + old_types, 6
            self.first = 23 if old_types else 11
        self.parts = dict(entries.index.get(offset, ()))
        self.table: int = number(self.data, table)[0] + self.parts.get('abbrev', 0)
        self.signature, self.signed, self._identity = 0, 0, 0
        if kind in (4, 5):                              # a skeleton, and what it stands for
            self._identity = int.from_bytes(self.data[12:20], entries.order)
        if kind in (2, 6):                              # of a type, which is at `signed`
            self.signature = int.from_bytes(self.data[self.first - 12:self.first - 4], entries.order)
            self.signed = number(self.data, self.first - 4)[0]

    def die(self, at: int) -> Die:
        """The entry at that place of the unit."""
        code, start = uleb128(self.data, at)
        return Die(self, at, self.entries.shapes(self.table)[code], start)

    @functools.cached_property
    def top(self) -> Die:
        """The unit's own entry."""
        return self.die(self.first)

    @functools.cached_property
    def _stored(self) -> dict[str, Any]:
        """The attributes of its own entry, as they stand there."""
        return self.top.shape.read(self.data, self.top.start)

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """The attributes of its own entry, and of its skeleton's."""
        return {**self.top.values, **(self.skeleton.values if self.skeleton else {})}

    @functools.cached_property
    def bases(self) -> dict[str, int]:
        """Where the unit's parts of other sections begin (`ranges`: what counts from there), as far as an
        attribute says so, or the sections are apart from the skeleton's."""
        if self.entries.main is self.entries:
            return {name[len('DW_AT_'):-len('_base')]: value for name, value in self._stored.items()
                    if name.endswith('_base')}
        found = self.skeleton.bases if self.skeleton else {}
        return {'addr': found.get('addr', found.get('GNU_addr', 0)), 'ranges': found.get('GNU_ranges', 0),
                'str_offsets': self.parts.get('str_offsets', 0) + (8 if self.version >= 5 else 0)}

    # split DWARF (DWARF 5, 7.3.2; before that GNU's)

    @functools.cached_property
    def identity(self) -> int:
        """What a skeleton and the unit it stands for have in common; 0 of others."""
        return self._identity if self.version >= 5 else int(self._stored.get('DW_AT_GNU_dwo_id', 0))

    @functools.cached_property
    def skeleton(self) -> Unit | None:
        """The unit that stands for this one in the program's file, where this one is in another."""
        main = self.entries.main
        place = main.identities.get(self.identity) if main is not self.entries else None
        return None if place is None else main.unit(place)

    @functools.cached_property
    def is_stray(self) -> bool:
        """Tell whether nothing in the program stands for the unit, which is in another file."""
        return bool(self.entries.suffix) and not self.skeleton and not self.signature

    @functools.cached_property
    def whole(self) -> Unit:
        """What a skeleton stands for, where that is found; else the unit itself."""
        return self.entries.whole(self) if self.identity and self.entries.main is self.entries else self

    # what its own entry says

    @functools.cached_property
    def language(self) -> str:
        """See LANGUAGES."""
        return LANGUAGES.get(self.values.get('DW_AT_language', 0), '')

    @functools.cached_property
    def producer(self) -> str:
        """The compiler's name and options."""
        return str(self.values.get('DW_AT_producer', ''))

    @functools.cached_property
    def is_gnu(self) -> bool:
        """Tell whether gcc, or gas, made the unit."""
        return 'GNU' in self.producer

    @property
    def path(self) -> str:
        """The path of its source file."""
        return os.path.normpath(os.path.join(self.values.get('DW_AT_comp_dir', ''), self.top.name))

    @functools.cached_property
    def low(self) -> int:
        """What addresses in its lists are counted from."""
        return int(self.values.get('DW_AT_low_pc', 0))

    # what stands in other sections

    def base(self, kind: str) -> int:
        """Where the unit's part of .debug_KIND begins."""
        return self.bases.get(kind, self.parts.get(kind, 0) + (12 if kind.endswith('lists') else 8))

    def indexed(self, kind: str, index: Any, size: int = 4) -> int:
        """The number, of `size` bytes, that has an index in the unit's part of .debug_KIND."""
        if isinstance(index, bytes):                                    # of three bytes
            index = int.from_bytes(index, self.entries.order)
        return self.entries.number(f'.debug_{kind}', self.base(kind) + index * size, size)

    def address(self, index: Any) -> int:
        """An address of .debug_addr."""
        return self.indexed('addr', index, self.entries.executable.arch.word)

    # its entries

    @functools.cached_property
    def _rows(self) -> tuple[Sequence[int], Sequence[int]]:
        """Where the entries right below the unit's own are, and `functions`, by one pass."""
        outer, functions = array.array('I'), array.array('I')
        within = ('DW_TAG_namespace', 'DW_TAG_module', *STRUCT_TAGS) if self.language else ()
        for at, shape, start in self.top.scan():
            outer.append(at)
            if shape.code:
                functions.append(at)
            elif shape.tag in within:
                functions.extend(self._functions_in(Die(self, at, shape, start), within))
        return outer, functions

    def _functions_in(self, die: Die, within: Sequence[str]) -> Iterator[int]:
        for child in die.children((*FUNCTION_TAGS, *within)):
            if child.shape.code:
                yield child.at
            elif child.tag in within:
                yield from self._functions_in(child, within)

    @property
    def functions(self) -> Sequence[int]:
        """Where in it the entries of functions with code are, sorted; each is followed by what is in it."""
        return self._rows[1]

    @functools.cached_property
    def every_function(self) -> Sequence[int]:
        """The same, and those within functions."""
        below = self.top.scan(FUNCTION_TAGS, deep=True)
        return array.array('I', (at for at, shape, _ in below if shape.code))

    def function_of(self, die: Die) -> Die | None:
        """The function with code whose entry an entry is in, or is."""
        index = bisect.bisect(self.functions, die.at) - 1
        return self.die(self.functions[index]) if index >= 0 else None

    def around(self, at: int) -> list[Die]:
        """The entries below the unit's own that a place of the unit is in, from the outermost; if one begins
        there, it is the last."""
        outer, found = self._rows[0], []  # type: Sequence[int], list[Die]
        index = bisect.bisect(outer, at) - 1
        place = outer[index] if index >= 0 else -1
        while place >= 0:
            found.append(self.die(place))
            below = (start for start, _, _ in found[-1].scan()) if place < at else iter(())
            place = max(itertools.takewhile(lambda start: start <= at, below), default=-1)
        return found

    def is_entry(self, at: int) -> bool:
        """Tell whether an entry begins there, and not bytes that look like one (a kernel has 20,000 such)."""
        found = self.around(at)
        return bool(found) and found[-1].at == at or at == self.first


# The values of attributes whose forms only tell where they are (DWARF 5, 7.5.5).
INDIRECT: dict[str, Callable[[Unit, Any], Any]] = {
    **dict.fromkeys('ref1 ref2 ref4 ref8 ref_udata'.split(), lambda unit, at: at + unit.offset),
    'ref_addr': lambda unit, at: at + unit.entries.start,
    'ref_sig8': lambda unit, signature: unit.entries.signatures[signature],
    **dict.fromkeys('GNU_ref_alt ref_sup4 ref_sup8'.split(), lambda _, at: ~at),
    **dict.fromkeys('GNU_strp_alt strp_sup'.split(),
                    lambda unit, at: unit.entries.shared.text(at) if unit.entries.shared else ''),
    'strp': lambda unit, at: unit.entries.text(at),
    'line_strp': lambda unit, at: unit.entries.text(at, '.debug_line_str'),
    'rnglistx': lambda unit, index: unit.base('rnglists') + unit.indexed('rnglists', index),
    'loclistx': lambda unit, index: unit.base('loclists') + unit.indexed('loclists', index),
    **dict.fromkeys('strx strx1 strx2 strx3 strx4 GNU_str_index'.split(),
                    lambda unit, index: unit.entries.text(unit.indexed('str_offsets', index))),
    **dict.fromkeys('addrx addrx1 addrx2 addrx3 addrx4 GNU_addr_index'.split(), Unit.address)}


class Die:
    """A debugging information entry: its unit, its place there, its shape, where its attributes begin."""

    def __init__(self, unit: Unit, at: int, shape: Shape, start: int) -> None:
        self.unit, self.at, self.shape, self.start = unit, at, shape, start
        self.tag, self.offset = shape.tag, unit.offset + at             # two with one offset are the same

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """The attributes: numbers, texts, bytes; a reference is the place of the other among all entries."""
        values = self.shape.read(self.unit.data, self.start)
        for name, value in self.shape.indirect.items():
            values[name] = value(self.unit, values[name])
        return values

    @property
    def name(self) -> str:
        """Its own name, or ''."""
        return str(self.values.get('DW_AT_name', ''))

    def _number_at(self, place: int) -> int:
        return self.unit.entries.word_at(self.unit.data, self.start + place)[0]

    @property
    def name_at(self) -> int:
        """Where .debug_str has its name; -1 where it has none there."""
        return self._number_at(self.shape.name) if self.shape.name >= 0 else -1

    @property
    def type_at(self) -> int:
        """Where in the unit its type is; 0 where it has none."""
        if self.shape.type >= 0:
            return self._number_at(self.shape.type)
        return int(self.values.get('DW_AT_type', self.unit.offset)) - self.unit.offset

    def form(self, attribute: str) -> str:
        """The form of an attribute, without DW_FORM_; '' where it has none of that name."""
        return self.shape.forms.get(attribute, '')

    def scan(self, tags: Iterable[str] = (), deep: bool = False) -> Iterator[tuple[int, Shape, int]]:
        """(place in the unit, shape, where the attributes begin) of the entries right below (`deep`: of all
        below) with these tags (none: any)."""
        if not self.shape.children:
            return
        data, depth, word_at = self.unit.data, 0, self.unit.entries.word_at
        at, end = self.shape.end(data, self.start), len(data)
        plan = self.unit.entries.plan(self.unit.table, frozenset(tags), deep)
        while at < end:
            start, code = at, data[at]
            at += 1
            if code > 0x7f:
                code, at = uleb128(data, start)
            if not code:
                depth -= 1
                if depth < 0:
                    return
                continue
            shape, wanted, sibling, size = plan[code]
            if wanted and (deep or not depth):
                yield start, shape, at
            if sibling >= 0:
                at = max(word_at(data, at + sibling)[0], at)            # one that leads back ends it: damage
                continue
            depth += shape.children
            at = at + size if size >= 0 else shape.end(data, at)

    def children(self, tags: Iterable[str] = (), deep: bool = False) -> Iterator[Die]:
        """The entries that scan() finds."""
        for at, shape, start in self.scan(tags, deep):
            yield Die(self.unit, at, shape, start)

    # entries that refer to others

    def refer(self, attribute: str) -> Die:
        """The entry that an attribute refers to."""
        return self.unit.entries.die(self.values[attribute])

    def _chain(self, links: Sequence[str]) -> Iterator[Die]:
        """The entry, what it refers to, and so on; in a damaged file without an end."""
        die = self
        for _ in range(8):
            yield die
            link = next((name for name in links if name in die.shape.forms), '')
            if not link:
                return
            die = die.refer(link)

    @functools.cached_property
    def abstract(self) -> Die:
        """The entry with the names and types of a function that this one is a copy of, or itself."""
        return list(self._chain(ORIGINS[:1]))[-1]

    @functools.cached_property
    def origin(self) -> Die:
        """The entry this one is a copy or the definition of, to the end of the chain."""
        return list(self._chain(ORIGINS))[-1]

    def inherited(self, attribute: str) -> Any:
        """An attribute's value in the entry, or in one that this is a copy of."""
        found = (die.values[attribute] for die in self._chain(ORIGINS) if attribute in die.shape.forms)
        return next(found, None)

    def holding(self, attribute: str) -> Die:
        """The entry itself, or its origin where only that one has the attribute."""
        return self if self.form(attribute) or not self.origin.form(attribute) else self.origin


APART = 1 << 40                             # no file is larger
# DWARF 5, 7.3.5.3, and GNU's: the sections that the columns of an index are of.
INDEX_COLUMNS = {2: ' info types abbrev line loc str_offsets macinfo macro'.split(' '),
                 5: ' info  abbrev line loclists str_offsets macro rnglists'.split(' ')}


class Entries:
    """The entries of .debug_info, and behind them those of .debug_types (DWARF 4); those of a file that
    several share (dwz) are the negative places, those of the files that its units are split into (.dwo and
    .dwp, whose `main` this is) are from a multiple of APART on. No index is built: rows of entries are walked
    by their siblings, and since gcc and clang begin an entry with its name or its origin, it is found by
    searching for the bytes of that reference."""

    def __init__(self, executable: Executable, shared: Entries | None = None,
                 main: Entries | None = None, program: str = '') -> None:
        self.executable, self.program = executable, program or executable.path
        self.shared: Entries | None = shared
        self.main = main or self
        self._files: list[Entries] = main._files if main else []
        self.start: int = APART * len(self._files)
        self.suffix = '.dwo' * (main is not None)
        self._files.append(self)
        self.missing: dict[str, str] = {}               # those that are not read, and why
        self.file = functools.cache(self._read_file)
        self.order: Any = executable.arch.order
        self.mark = '<' if self.order == 'little' else '>'
        self.section = functools.cache(self._read_section)
        if not self.section('.debug_info'):
            raise DebugInfoError(f'{executable.path}: no DWARF in this file (no .debug_info)')
        self.info, self.types, self.strings = map(self.section, ('.debug_info', '.debug_types', '.debug_str'))
        self.unit = functools.cache(functools.partial(Unit, self))
        self.shapes = functools.cache(self._read_shapes)
        self._shape = functools.cache(functools.partial(
            Shape, mark=self.mark, word=executable.arch.word, readers=form_readers(self.order)))
        self.plan = functools.cache(self._read_plan)
        self.codes = functools.cache(self._read_codes)
        self.texts = functools.lru_cache(8)(self._read_texts)
        self.word_at: Callable[[Bytes, int], tuple[int]] = struct.Struct(self.mark + 'I').unpack_from

    # units

    @functools.cached_property
    def offsets(self) -> list[int]:
        """Where each unit begins."""
        sections = (self.start, self.info), (self.start + len(self.info), self.types)
        offsets = [base + at for base, data in sections for at in tables(data, self.mark)]
        self.executable.release(f'.debug_info{self.suffix}')
        return offsets

    def bytes_of(self, offset: int) -> bytes:
        """The bytes of the unit there."""
        data, at = self.info, offset - self.start
        if at >= len(data):
            data, at = self.types, at - len(data)
        return bytes(data[at:at + 4 + self.word_at(data, at)[0]])

    def unit_of(self, offset: int) -> Unit:
        """The unit that has this place."""
        file = self._files[offset // APART]
        return file.unit(file.offsets[bisect.bisect(file.offsets, offset) - 1])

    def die(self, offset: int) -> Die:
        """The entry at that place."""
        if offset < 0:
            if not self.shared:
                name = named_file(self.executable, '.gnu_debugaltlink')
                raise DebugInfoError(f'{self.executable.path}: the file that it shares entries with (dwz) is '
                                     f"missing: {name or 'it has no name'}")
            return self.shared.die(~offset)
        unit = self.unit_of(offset)
        return unit.die(offset - unit.offset)

    def units(self, names: Sequence[str] = ()) -> Iterator[Unit]:
        """Every unit, or those that may mention all these names; none is kept."""
        for file in self.files:
            if not file.strings or file.section('.debug_str_offsets'):
                names = ()                                              # they are in the entries, or numbers
            wanted = [[at.to_bytes(4, self.order) for at in file.texts(name)]
                      for name in names if len(name) >= 4]
            for number, offset in enumerate(file.offsets):
                if number % 256 == 0:                                   # all of .debug_info goes by
                    file.executable.release(f'.debug_info{file.suffix}')
                unit = Unit(file, offset)
                if not unit.is_stray and all(any(at in unit.data for at in places) for places in wanted):
                    yield unit

    @functools.cached_property
    def signatures(self) -> dict[int, int]:
        """The places of types by their signature."""
        units = map(self.unit, self.offsets)
        return {unit.signature: unit.offset + unit.signed for unit in units if unit.signature}

    # split DWARF

    def _read_section(self, name: str) -> memoryview:
        apart = self.main is not self and name not in ('.debug_addr', '.debug_ranges')
        return self.executable.contents(f'{name}.dwo') if apart else self.main.executable.contents(name)

    @functools.cached_property
    def index(self) -> dict[int, dict[str, int]]:
        """The parts of other sections that the units of a .dwp have (DWARF 5, 7.3.5)."""
        return {place: parts for _, place, parts in self._index_rows()}

    def _index_rows(self) -> Iterator[tuple[int, int, dict[str, int]]]:
        """(identity or signature, where it is, its parts) of each unit in the indexes of a .dwp."""
        for name in ('.debug_cu_index', '.debug_tu_index') if self.suffix else ():
            data = self.executable.contents(name)
            if not data:
                continue
            version, width, _, slots = struct.unpack_from(f'{self.mark}4I', data)
            identities = struct.unpack_from(f'{self.mark}{slots}Q', data, 16)
            numbers = struct.unpack_from(f'{self.mark}{slots}I', data, 16 + 8 * slots)
            rows = struct.Struct(f'{self.mark}{width}I')
            first = 16 + 12 * slots
            names = [INDEX_COLUMNS[2 if version == 2 else 5][kind] for kind in rows.unpack_from(data, first)]
            for identity, number in zip(identities, numbers):
                if number:
                    parts = dict(zip(names, rows.unpack_from(data, first + number * rows.size)))
                    place = parts['info'] if 'info' in parts else len(self.info) + parts['types']
                    yield identity, self.start + place, parts

    @functools.cached_property
    def identities(self) -> dict[int, int]:
        """The places of the units that have an identity: skeletons, or what these stand for."""
        if self.index:
            return {identity: place for identity, place, _ in self._index_rows()}
        if not self.section('.debug_addr'):
            return {}
        units = map(self.unit, self.offsets)
        return {unit.identity: unit.offset for unit in units if unit.identity}

    def whole(self, skeleton: Unit) -> Unit:
        """The unit that a skeleton stands for, in a .dwp beside the program, or in the .dwo that it names,
        there or beside the program; itself where there is none of its identity."""
        values, folder = skeleton.values, os.path.dirname(self.program)
        name = str(values.get('DW_AT_dwo_name', values.get('DW_AT_GNU_dwo_name', '')))
        compiled = os.path.join(values.get('DW_AT_comp_dir', ''), name)
        why = 'is not there, or is of another build'
        for path in (f'{self.program}.dwp', *(os.path.join(folder, path) for path in (
                compiled, name, os.path.basename(name)))):
            file = self.file(path)
            if file and skeleton.identity in file.identities:
                unit = file.unit(file.identities[skeleton.identity])
                if '-fltrans' not in unit.producer:
                    return unit
                why = "is of gcc's -flto: no linker has told it what its entries refer to"
        self.missing[name] = why
        return skeleton

    def _read_file(self, path: str) -> Entries | None:
        file = next(readable_files([path]), None)
        apart = file and file.arch == self.executable.arch and file.size('.debug_info.dwo')
        return Entries(file, main=self) if file and apart else None

    @functools.cached_property
    def files(self) -> list[Entries]:
        """This file and all that its units are split into."""
        wholes = (self.unit(place).whole for place in self.identities.values())
        return list(dict.fromkeys((self, *(unit.entries for unit in wholes))))

    # shapes, and what stands in other sections

    def _read_shapes(self, at: int) -> dict[int, Shape]:
        """The shapes of a table by code; most tables have most of them in common."""
        found = {}
        for match in ABBREVIATION.finditer(self.section('.debug_abbrev'), at):
            if match.start() != at:
                break
            found[uleb128(match[1], 0)[0]] = self._shape(match[2])
            at = match.end()
        return found

    def _read_plan(self, table: int, tags: frozenset[str], deep: bool
                   ) -> dict[int, tuple[Shape, bool, int, int]]:
        """What Die.scan() needs by code: (shape, whether it is wanted, the sibling's place, size)."""
        plan = {}
        for code, shape in self.shapes(table).items():
            sibling = shape.sibling if shape.children and not deep else -1
            plan[code] = shape, not tags or shape.tag in tags, sibling, shape.size
        return plan

    def number(self, section: str, at: int, size: int) -> int:
        """A number of so many bytes in a section."""
        return int.from_bytes(self.section(section)[at:at + size], self.order)

    def text(self, at: int, section: str = '.debug_str') -> str:
        """The text there."""
        return c_string(self.section(section), at)[0]

    # search

    def by_name(self, name: str, tags: Sequence[str], unit: Unit | None = None, defined: bool = False
                ) -> Iterator[Die]:
        """The entries of that name in the unit, or in all; `defined` leaves declarations out."""
        for file in self.files if unit is None else [unit.entries]:
            yield from (die for die in file._by_name(name, tags, unit, defined) if not die.unit.is_stray)

    def _by_name(self, name: str, tags: Sequence[str], unit: Unit | None, defined: bool) -> Iterator[Die]:
        if unit is not None and (self.suffix or not unit.is_gnu):
            for die in unit.top.children(tags, deep=True):
                code, declared = die.shape.code, die.shape.declared
                fits = code if die.tag in FUNCTION_TAGS else not (defined and declared)
                if fits and die.name == name:
                    yield die
            return
        if len(name) < 4:                                               # it stands in the entry itself
            yield from self.beginning(name.encode() + b'\0', NAME, 'string', tags, unit, defined)
        if unit is None:
            yield from self._by_number(name, tags, defined)
        for at in self.texts(name):
            found = False
            for die in self.beginning(at, NAME, 'strp', tags, unit, defined):
                found = True
                yield die
            if found if unit is not None else not self.executable.is_object:    # ld -r merges no strings
                return

    def _by_number(self, name: str, tags: Sequence[str], defined: bool) -> Iterator[Die]:
        """The entries whose name is a number in their unit's part of .debug_str_offsets (DWARF 5, 7.26), as
        clang has them."""
        for unit, number in self._numbers_of(name):
            if self.suffix and tags == FUNCTION_TAGS and not unit.is_gnu:       # behind another number
                yield from (die for die in unit.top.children(tags, deep=True) if die.name == name)
                continue
            of_size, varying = f'strx{max(1, (number.bit_length() + 7) // 8)}', uleb128_bytes(number)
            for form, value in ((of_size, number), ('strx', varying), ('GNU_str_index', varying)):
                yield from self.beginning(value, NAME, form, tags, unit, defined)

    def _numbers_of(self, name: str) -> Iterator[tuple[Unit, int]]:
        """(unit, number) wherever a part of .debug_str_offsets has a name."""
        data = self.section('.debug_str_offsets')
        for text in self.texts(name) if data else ():
            for place in occurrences(data, text.to_bytes(4, self.order)):
                at = bisect.bisect(self.name_tables, (place, 1 << 64)) - 1
                base = self.name_tables[at][0] if at >= 0 else place + 1
                if (place - base) % 4 == 0:
                    first = bisect.bisect(self.name_tables, (base, -1))
                    for _, unit in self.name_tables[first:at + 1]:
                        yield self.unit(unit), (place - base) // 4

    @functools.cached_property
    def name_tables(self) -> list[tuple[int, int]]:
        """(where its part of .debug_str_offsets begins, unit), sorted; those of one object file share one."""
        bases = ((self.unit(offset).bases.get('str_offsets'), offset) for offset in self.offsets)
        return sorted((base, offset) for base, offset in bases if base is not None)

    def _read_texts(self, name: str) -> tuple[int, ...]:
        """Where .debug_str has the name, first the one place that a linker which merges strings refers to:
        the whole string where there is one, else the tail of its neighbour in the order of reversed strings
        (bfd/merge.c; LLVM's StringTableBuilder does the same)."""
        def reversed_head(at: int) -> bytes:
            head = bytes(self.strings[max(0, at - 256):at])
            return head[head.rfind(b'\0') + 1:][::-1]
        return tuple(sorted(occurrences(self.strings, name.encode() + b'\0'), key=reversed_head))

    def beginning(self, value: int | bytes, attributes: Sequence[str], form: str, tags: Sequence[str],
                  unit: Unit | None = None, defined: bool = False) -> Iterator[Die]:
        """The entries with one of the tags that have one of these attributes, in that form, with that number
        or these bytes, where nothing of varying size is before it: C++'s begin with the name that linkers
        know, clang's classes with how they are passed, its typedefs with the type."""
        if isinstance(value, int):
            value = (value % APART).to_bytes(struct.calcsize('<' + FORM_CODES[form]), self.order)
        where = attributes, form, tags, defined
        if unit and not unit.entries.codes(unit.table, *where):
            return
        for place in occurrences(unit.data, value) if unit else self._occurrences(value):
            holder = unit or self.unit_of(place)
            at = place if unit else place - holder.offset
            for before, codes in holder.entries.codes(holder.table, *where).items():
                end = at - before
                starts = (end - size for size in (1, 2, 3) if holder.data[max(0, end - size):end] in codes)
                start = next(starts, -1)
                if start >= 0 and holder.is_entry(start):
                    yield holder.die(start)

    def _occurrences(self, value: bytes) -> Iterator[int]:
        """Where the bytes stand among all entries, which are not kept in memory for that."""
        for base, section in ((self.start, '.debug_info'), (self.start + len(self.info), '.debug_types')):
            data, step = self.section(section), 1 << 24
            for start in range(0, len(data), step):
                part = data[start:start + step + len(value) - 1]
                yield from (base + start + at for at in occurrences(part, value))
                self.executable.release(section + self.suffix)

    def _read_codes(self, table: int, attributes: Sequence[str], form: str, tags: Sequence[str], defined: bool
                    ) -> dict[int, set[bytes]]:
        """The codes that the entries which beginning() looks for begin with, by the bytes between."""
        found: dict[int, set[bytes]] = {}
        for code, shape in self.shapes(table).items():
            places = (shape.places[name, form] for name in attributes if (name, form) in shape.places)
            place = next(places, -1) if shape.tag in tags and not (defined and shape.declared) else -1
            if place >= 0:
                found.setdefault(place, set()).add(uleb128_bytes(code))
        return found


# DWARF 5, 7.25 and 7.7.3: an entry of a list, by its kind: addresses (a; x: by their index), numbers (u; I:
# of four bytes); 'loc' is GNU's before that, in a .dwo.
LIST_ENTRIES = {'rnglists': ('', 'x', 'xx', 'xu', 'uu', 'a', 'aa', 'au'),
                'loclists': ('', 'x', 'xx', 'xu', 'uu', '', 'a', 'aa', 'au'),
                'loc': ('', 'x', 'xx', 'xI', 'II')}
# By DW_AT_location or not, before DWARF 5 and since.
LIST_SECTIONS = {True: ('loc', 'loclists'), False: ('ranges', 'rnglists')}
ADDRESS_NUMBERS = ADDRX, GNU_ADDR_INDEX = 0xa1, 0xfb      # operations of one operand, and one meaning
ENTRY_VALUES = ('DW_OP_entry_value', 'DW_OP_GNU_entry_value')
# A place of a variable: (first address, end, pyelftools' operations); without addresses its only one.
Range = tuple[Optional[int], Optional[int], Sequence[Any]]


def gone(why: str) -> Location:
    """The Location of what no probe can read."""
    return Location('gone', why=why)


NOWHERE = gone('it is optimised out')


class Places:
    """Where entries' code is, and where variables are: range lists, location lists and expressions."""

    def __init__(self, entries: Entries) -> None:
        self._entries, self._arch = entries, entries.executable.arch
        self._parsed = functools.lru_cache(1 << 12)(self._parse)
        self._expressions: dict[str, FormReader] = {
            'loc': form_readers(entries.order)['block2'], 'loclists': block,
            'rnglists': lambda _, at: (b'', at)}
        self._of = functools.cache(self._read_of)

    # addresses

    def ranges(self, die: Die) -> list[tuple[int, int]]:
        """The address ranges of an entry: one from low_pc and high_pc, or its range list."""
        low, high = die.values.get('DW_AT_low_pc'), die.values.get('DW_AT_high_pc')
        if low is not None and high is not None:
            return [(low, high if 'addr' in die.form('DW_AT_high_pc') else low + high)]
        base = die.unit.low if low is None else low
        spans = self._spans(die, 'DW_AT_ranges', base) if 'DW_AT_ranges' in die.shape.forms else ()
        return [(start, end) for start, end, _ in spans]

    def low(self, die: Die) -> int | None:
        """Where a function's code begins; of one that is split (f, f.cold) the first range has the entry."""
        return next((start for start, _ in self.ranges(die)), None)

    def entry(self, die: Die) -> int | None:
        """The address that a scope is entered at; where an instruction of another comes first, behind that
        (one of x86 has up to 15 bytes)."""
        entry = die.values.get('DW_AT_entry_pc')
        if entry is None:
            return self.low(die)
        at = int(entry) + (0 if 'addr' in die.form('DW_AT_entry_pc') else self.low(die) or 0)
        ranges = self.ranges(die)
        behind = [start for start, end in ranges if at < start <= at + 15 and start < end]
        return min(behind) if behind and (at, at) in ranges else at

    def is_entered(self, die: Die) -> bool:
        """Tell whether a scope is entered in its own code."""
        entry = self.entry(die)
        return entry is not None and any(start <= entry < end for start, end in self.ranges(die))

    def _spans(self, die: Die, attribute: str, base: int) -> Iterator[tuple[int, int, bytes]]:
        """(first address, end, expression) of the entries of the location list or, without expressions, of
        the range list that an attribute refers to."""
        unit, located, at = die.unit, attribute == 'DW_AT_location', die.values[attribute]
        kind = LIST_SECTIONS[located][unit.version >= 5]
        if die.form(attribute) == 'sec_offset':
            at += (unit.bases if kind == 'ranges' else unit.parts).get(kind, 0)
        section, number, sizes = f'.debug_{kind}', unit.entries.number, {'a': self._arch.word, 'I': 4}
        data = unit.entries.section(section)
        if kind not in LIST_ENTRIES or kind == 'loc' and not unit.entries.suffix:
            yield from self._old_spans(unit, kind, at, base)
            return
        while data[at]:
            form, numbers, at = LIST_ENTRIES[kind][data[at]], [], at + 1
            for sort in form:
                size = sizes.get(sort, 0)
                value, at = (number(section, at, size), at + size) if size else uleb128(data, at)
                numbers.append(unit.address(value) if sort == 'x' else value)
            if len(numbers) == 1:
                base = numbers[0]
                continue
            expression, at = self._expressions[kind](data, at)
            start, end = numbers or (0, 0)                              # none: where no other place is
            if form in ('uu', 'II'):
                start, end = base + start, base + end
            elif form[1:] in ('u', 'I'):
                end += start
            yield start, end, expression

    def _old_spans(self, unit: Unit, kind: str, at: int, base: int) -> Iterator[tuple[int, int, bytes]]:
        """The same of .debug_ranges and .debug_loc (DWARF 4, 2.17.3 and 2.6.2)."""
        section, word = f'.debug_{kind}', self._arch.word
        data, number = unit.entries.section(section), unit.entries.number
        while at + 2 * word <= len(data):
            start, end, at = number(section, at, word), number(section, at + word, word), at + 2 * word
            if not start and not end:
                return
            if start == (1 << self._arch.bits) - 1:
                base = end
                continue
            size, at = (number(section, at, 2), at + 2) if kind == 'loc' else (0, at)
            yield base + start, base + end, bytes(data[at:at + size])
            at += size

    # locations

    def of(self, die: Die) -> list[Range]:
        """The places of a variable."""
        return self._of(die.offset) if 'DW_AT_location' in die.shape.forms else []

    def _read_of(self, offset: int) -> list[Range]:
        die = self._entries.die(offset)
        location, unit = die.values['DW_AT_location'], die.unit
        if isinstance(location, bytes):                                 # Go has DWARF 3's form still
            return [(None, None, self.operations(unit, location))]
        spans = self._spans(die, 'DW_AT_location', unit.low)
        return [(start, end, self.operations(unit, expression)) for start, end, expression in spans]

    def operations(self, unit: Unit, expression: Any) -> Sequence[Any]:
        """A DWARF expression; an address takes the place of its number in .debug_addr."""
        operations = self._parsed(unit.version, expression) if isinstance(expression, bytes) else ()
        if not any(operation.op in ADDRESS_NUMBERS for operation in operations):
            return operations
        return [operation._replace(op_name='DW_OP_addr', args=[unit.address(operation.args[0])])
                if operation.op in ADDRESS_NUMBERS else operation for operation in operations]

    def _parse(self, version: int, expression: bytes) -> Sequence[Any]:
        from elftools.dwarf.dwarf_expr import DWARFExprOp, DWARFExprParser
        from elftools.dwarf.structs import DWARFStructs
        structs = DWARFStructs(self._arch.order == 'little', 32, self._arch.word, version)
        parser: Any = DWARFExprParser(structs)
        known = parser._dispatch_table                      # pyelftools 0.32 lacks GNU's
        known.setdefault(GNU_ADDR_INDEX, known.get(ADDRX))
        try:
            return tuple(parser.parse_expr(list(expression)))
        except KeyError as error:                           # an operation that pyelftools does not know
            return (DWARFExprOp(0, f'operation {error}', [], 0),)

    def place(self, operations: Sequence[Any], frame: Location, entry: bool = False) -> Location:
        """The Location that an expression tells, 'gone' with its operations where no probe could compute it.
        `frame` is the frame base; `entry`: registers still hold what they held when the function was
        called."""
        names = [operation.op_name for operation in operations]
        if 'DW_OP_piece' in names:
            return self._pieces(operations, frame, entry)
        stack: list[Location] = []
        for operation in operations:
            if stack and stack[-1].how == 'gone':
                return stack[-1]
            if stack and stack[-1].how == 'register' or not self._step(stack, operation, frame, entry):
                if names[0] in ENTRY_VALUES:
                    return gone('only its value at entry is known')
                if len(names) == 1:
                    return gone(f'DWARF has it as {names[0]}')
                return gone(f"it is computed ({' '.join(names)})")
        return stack[0] if len(stack) == 1 else NOWHERE

    def _step(self, stack: list[Location], operation: Any, frame: Location, entry: bool) -> bool:
        """One operation on the stack; False where a probe cannot do it. (DWARF 5, 2.5 and 2.6)"""
        name, arguments = operation.op_name, operation.args
        register = re.fullmatch(r'DW_OP_(b?reg)(x|\d+)', name)
        if register:
            number, based = arguments[0] if register[2] == 'x' else int(register[2]), register[1] == 'breg'
            stack.append(Location('memory', number, arguments[-1]) if based else Location('register', number))
        elif name.startswith('DW_OP_lit'):
            stack.append(Location('constant', offset=int(name[len('DW_OP_lit'):])))
        elif re.fullmatch(r'DW_OP_const\d?[us]', name):
            stack.append(Location('constant', offset=arguments[0]))
        elif name in ('DW_OP_fbreg', 'DW_OP_call_frame_cfa'):
            stack.append(frame.plus(arguments[0] if arguments else 0))
        elif name == 'DW_OP_addr':
            stack.append(Location('address', offset=arguments[0]))
        elif name == 'DW_OP_implicit_value':
            value = int.from_bytes(bytes(arguments[0]), self._entries.order)
            stack.append(Location('constant', offset=value, value=True))
        elif name in ENTRY_VALUES and entry:
            held = self.place(arguments[0], frame, True)
            known = held.how == 'register'
            stack.append(Location('memory', held.number) if known else gone('it is computed'))
        else:
            return self._combine(stack, name, arguments)
        return True

    @staticmethod
    def _combine(stack: list[Location], name: str, arguments: list[Any]) -> bool:
        if not stack or stack[-1].value:
            return False
        top, below = stack[-1], stack[-2] if len(stack) > 1 else None
        if name == 'DW_OP_plus_uconst':
            stack[-1] = top.plus(arguments[0])
        elif name in ('DW_OP_plus', 'DW_OP_minus') and below and top.how == 'constant' and not top.derefs:
            stack[-2:] = [below.plus(top.offset if name == 'DW_OP_plus' else -top.offset)]
        elif name == 'DW_OP_plus' and below and below.how == 'constant' and not below.derefs:
            stack[-2:] = [top.plus(below.offset)]
        elif name == 'DW_OP_deref':
            stack[-1] = top._replace(derefs=(*top.derefs, 0))
        elif name == 'DW_OP_stack_value':
            plain = top.how == 'memory' and not top.offset and not top.derefs
            stack[-1] = Location('register', top.number) if plain else top._replace(value=True)
        else:
            return False
        return True

    def _pieces(self, operations: Sequence[Any], frame: Location, entry: bool) -> Location:
        pieces, part = [], []  # type: list[tuple[Location, int]], list[Any]
        for operation in operations:
            part.append(operation)
            if operation.op_name == 'DW_OP_piece':
                pieces.append((self.place(part[:-1], frame, entry), int(operation.args[0])))
                part = []
        return Location('pieces', pieces=tuple(pieces))


def template_spellings(name: str) -> list[str]:
    """A template's name as compilers write it: gcc and older clangs have a blank between two '>', and clang
    may have its arguments elsewhere (-gsimple-template-names)."""
    text = re.sub(r'\s*,\s*', ', ', re.sub(r'>\s*(?=>)', '>', name))
    return list(dict.fromkeys((text, re.sub(r'>(?=>)', '> ', text), text.partition('<')[0])))


class DwarfTypes:
    """The types of one file."""

    def __init__(self, entries: Entries, places: Places) -> None:
        self.entries, self._places = entries, places
        self.path, self._arch = entries.executable.path, entries.executable.arch
        self._types: dict[int, Written] = {}

    def lazy(self, die: Die) -> Callable[[], Written]:
        """The type that an entry's DW_AT_type refers to, read when asked for."""
        def read() -> Written:
            with reading(self.path):
                return self._type(die.refer('DW_AT_type')) if 'DW_AT_type' in die.values else Void()
        return read

    def _once(self, read: Callable[[], Any]) -> Callable[[], Any]:
        """What is read when it is first asked for."""
        @functools.cache
        def once() -> Any:
            with reading(self.path):
                return read()
        return once

    def _type(self, die: Die) -> Written:
        if 'DW_AT_signature' in die.shape.forms:                            # a type unit has it
            die = die.refer('DW_AT_signature')
        key = ~die.offset if die.unit.entries is self.entries.shared else die.offset
        if key not in self._types:
            self._types[key] = self._read_type(die)
        return self._types[key]

    def _read_type(self, die: Die) -> Written:
        tag, name, size = die.tag, die.name, die.values.get('DW_AT_byte_size')
        if tag == 'DW_TAG_typedef' or tag == 'DW_TAG_subrange_type' and 'DW_AT_GNU_bias' not in die.values:
            return Alias(name, self.lazy(die))
        if tag in QUALIFIERS:
            return Qualified(QUALIFIERS[tag], self.lazy(die))
        if tag in POINTER_TAGS:
            return Pointer(size or self._arch.word, self.lazy(die), POINTER_TAGS[tag])
        if name and tag in SCOPED_TAGS and die.unit.language == 'C++':
            name = self._whole_name(die)
        if tag in STRUCT_TAGS:
            return self._struct(die, STRUCT_TAGS[tag], name, size)
        if tag == 'DW_TAG_base_type':
            kind, size = die.values.get('DW_AT_encoding', 0), size or 0     # DWARF 5 table 7.11
            if kind in (3, 4, 9, 0xf):
                return Float(name, size, kind == 4)
            return Int(name, size, kind in (5, 6, 0xd))
        if tag == 'DW_TAG_enumeration_type':
            enumerators = self._once(lambda: tuple((child.name, child.values['DW_AT_const_value'])
                                                   for child in die.children(('DW_TAG_enumerator',))))
            return Enum(name, size or 4, any(value < 0 for _, value in enumerators()), enumerators)
        if tag == 'DW_TAG_array_type':
            return self._array(die)
        if tag == 'DW_TAG_string_type':                                     # of Fortran, which no NUL ends
            return Array(lambda: Int('char', 1, True) if size else Void('character'), size)
        return self.function(die) if tag == 'DW_TAG_subroutine_type' else Void(name or tag[len('DW_TAG_'):])

    def function(self, die: Die) -> Function:
        """The function that an entry declares, or a pointer's type says is there."""
        listed = list(die.children(('DW_TAG_formal_parameter', 'DW_TAG_unspecified_parameters')))
        found = [Parameter(each.name, self.lazy(each)) for each in listed if each.tag in PARAMETER_TAGS]
        return Function(die.name, self.lazy(die), tuple(found), len(found) < len(listed))

    def _array(self, die: Die) -> Type:
        """Nested Arrays, the first dimension outermost, in Fortran innermost; none behind a descriptor."""
        if 'DW_AT_data_location' in die.values:
            return Void('an array behind a descriptor')
        counts: list[int | None] = []
        first = 1 if die.unit.values.get('DW_AT_language') in FROM_ONE else 0
        for child in die.children(('DW_TAG_subrange_type',)):
            bound, start = child.values.get('DW_AT_upper_bound'), child.values.get('DW_AT_lower_bound', first)
            extent = bound + 1 - start if isinstance(bound, int) and isinstance(start, int) else None
            number = child.values.get('DW_AT_count', extent)
            counts.append(number if isinstance(number, int) and 0 <= number < 1 << 32 else None)
        if die.values.get('DW_AT_ordering', 0):                             # columns first
            counts.reverse()
        inner = counts.pop() if counts else None
        whole = Array(self.lazy(die), inner or None)                    # [0] is C's old [], as BTF has it too
        while counts:
            whole = Array(functools.partial(Array, *whole), counts.pop())
        return whole

    # structs and classes

    def _struct(self, die: Die, keyword: str, name: str, size: int | None) -> Written:
        if 'DW_AT_declaration' in die.values:
            return Alias(f'{keyword} {name}', functools.partial(self._declared, keyword, name, die))
        members = self._once(lambda: tuple(
            self._member(child) for child in die.children(MEMBER_TAGS) if is_in_object(child)))
        others = self._once(lambda: frozenset(
            child.name for child in die.children() if child.tag != 'DW_TAG_member' or not is_in_object(child)
            ) - {''})
        return Struct(keyword, name, size, members, functools.partial(self._passed, die),
                      others if die.unit.language else frozenset, self._once(lambda: self._variants(die)))

    def _variants(self, die: Die) -> Variants:
        """The variants of an enum of Rust (DWARF 5, 5.7.10)."""
        part = next(die.children(('DW_TAG_variant_part',)), None) if die.unit.language == 'Rust' else None
        told = list(part.children(('DW_TAG_variant',))) if part else []
        listed = any('DW_AT_discr_list' in each.values for each in told)
        if not part or 'DW_AT_discr' not in part.values or listed:
            return Variants(None, ())
        discriminant = self._member(part.refer('DW_AT_discr'))
        mask = (1 << 8 * (size_of(discriminant.type()) or 0)) - 1
        values = [each.values.get('DW_AT_discr_value') for each in told]
        return Variants(discriminant, tuple(
            Variant(None if value is None else value & mask, self._member(member))
            for each, value in zip(told, values) for member in each.children(MEMBER_TAGS)))

    def _declared(self, keyword: str, name: str, die: Die) -> Type:
        """A type this unit only declares: the one definition that the other units have."""
        found = self._definition(keyword, '::' * (die.unit.language == 'C++') + name)
        if isinstance(found, Struct):
            return found

        def none() -> NoReturn:
            raise DebugInfoError(f"'{keyword} {name}' is declared, but defined nowhere in {self.path}")
        return Struct(keyword, name, None, none)

    def _member(self, die: Die) -> Member:
        base = 'base' if die.tag == 'DW_TAG_inheritance' else ''
        if base and die.values.get('DW_AT_virtuality', 0):
            return Member(die.name, self.lazy(die), 0, base='virtual')
        return Member(die.name, self.lazy(die), self._member_bit(die), die.values.get('DW_AT_bit_size'), base)

    def _member_bit(self, die: Die) -> int:
        """By data_bit_offset, from the start of the struct, or the older bit_offset, from the most
        significant bit of the storage unit at data_member_location (DWARF 5, 5.7.6)."""
        values = die.values
        if 'DW_AT_data_bit_offset' in values:
            return int(values['DW_AT_data_bit_offset'])
        start = values.get('DW_AT_data_member_location', 0)
        if isinstance(start, bytes):                                    # DWARF 2: DW_OP_plus_uconst
            start = self._places.operations(die.unit, start)[0].args[0]
        if 'DW_AT_bit_offset' not in values:
            return 8 * int(start)
        size = values.get('DW_AT_byte_size') or size_of(bare(self.lazy(die)())) or 0
        from_top, width = values['DW_AT_bit_offset'], values['DW_AT_bit_size']
        return int(8 * start + (8 * size - from_top - width if self._arch.order == 'little' else from_top))

    def _passed(self, die: Die) -> str:
        """How C++ passes an object of this class (Itanium C++ ABI, 3.1.1): by reference where it has a copy
        or move constructor or a destructor that is not trivial, of its own or of what it holds. Clang says
        it, gcc does not."""
        said = die.values.get('DW_AT_calling_convention', 0)            # DWARF 5 table 7.18
        if said in (4, 5):
            return 'reference' if said == 4 else 'value'
        with reading(self.path):
            found = {self._passed_by(child, die) for child in die.children()}
        return next((word for word in ('reference', '', 'value') if word in found), 'value')

    def _passed_by(self, child: Die, owner: Die) -> str:
        """What an entry of a class says of it: 'reference', 'value' (nothing against it), '' (not known)."""
        if child.values.get('DW_AT_virtuality', 0) or child.name.startswith('_vptr'):
            return 'reference'
        if child.tag in MEMBER_TAGS and is_in_object(child):
            type_ = innermost(bare(self.lazy(child)()))
            return type_.passed() if isinstance(type_, Struct) else 'value'
        special = child.tag in FUNCTION_TAGS and copies_or_ends(child, owner)
        if not special or 'DW_AT_artificial' in child.values:
            return 'value'
        if 'DW_AT_deleted' in child.values or child.unit.version < 5:      # DW_AT_defaulted came with DWARF 5
            return ''
        return 'value' if child.values.get('DW_AT_defaulted', 0) == 1 else 'reference'

    # by name

    def named(self, keyword: str, name: str, scope: tuple[str, ...], unit: Unit | None) -> Type | None:
        """The type of that name as a function in that scope of the unit sees it."""
        if (keyword, name) == ('', 'char'):
            return self._char(unit)
        own = self._definition(keyword, name, scope, unit) if unit is not None else None
        return own or self._definition(keyword, name, scope)

    def _char(self, unit: Unit | None) -> Type | None:
        """Plain char, whose sign is the compiler's option (Linux is built with -funsigned-char since 6.2). A
        base type does not begin with its name, but is among the first entries of a unit."""
        for holder in [unit] if unit is not None else map(self.entries.unit, self.entries.offsets[:8]):
            for die in itertools.islice(holder.whole.top.children(), 1000):
                if die.tag == 'DW_TAG_base_type' and die.name == 'char':
                    return bare(self._type(die))
        return None

    def _definition(self, keyword: str, name: str, scope: tuple[str, ...] = (), unit: Unit | None = None
                    ) -> Type | None:
        """The type of that name in the unit, or in all: that of the innermost scope round `scope`, else the
        only one in all units; what one unit has in another scope may not be all of that name."""
        wanted = re.sub(r'\s', '', name)
        found = self._named_so(keyword, name, unit)
        for depth in range(0 if wanted[:2] == '::' else len(scope), -1, -1):
            dies = found.get('::'.join((*scope[:depth], wanted.lstrip(':'))))
            if dies:
                return self._one_of(keyword, name, dies)
        others = sorted(whole for whole in found if f'::{whole}'.endswith(f'::{wanted}'))
        if unit is not None or not others:
            return None
        if len(others) > 1:
            raise InputError(f"'{name}' may be {' or '.join(others)}; say which")
        return self._one_of(keyword, name, found[others[0]])

    def _named_so(self, keyword: str, name: str, unit: Unit | None) -> dict[str, list[Die]]:
        """The definitions of types with that last name, by their whole names without blanks."""
        last = re.search(r'(?:[^:<>]|<.*>)+$', name)                        # of a::b<c::d>
        tags = KEYWORD_TAGS[keyword] if keyword else (*KEYWORD_TAGS[''], *SCOPED_TAGS)
        found: dict[str, list[Die]] = {}
        dies = [die for text in template_spellings(last[0] if last else name)
                for die in self._sample(each for each in self.entries.by_name(text, tags, unit, defined=True)
                                        if keyword or each.tag not in SCOPED_TAGS or each.unit.language)]
        if len(dies) == 1 and not dies[0].unit.language:            # of C, where only functions are scopes
            return {name: dies}
        for die in dies:
            found.setdefault(re.sub(r'\s', '', self._whole_name(die)), []).append(die)
        return found

    def _whole_name(self, die: Die) -> str:
        """The name of a type with the scopes it is in; C's have none but functions."""
        return die.name if die.unit.entries is self.entries.shared else '::'.join(self.names(die))

    def names(self, die: Die) -> tuple[str, ...]:
        """The names of the scopes that an entry is in, the outermost first, and its own, without inline and
        nameless namespaces, which C++ looks through."""
        names: tuple[str, ...] = ()
        for entry in die.unit.around(die.at):
            link = next((name for name in reversed(ORIGINS) if name in entry.values), '')
            if link:
                names = self.names(entry.refer(link))
            elif entry.name and 'DW_AT_export_symbols' not in entry.values:
                names = (*names, self._own_name(entry))
        return names

    def _own_name(self, die: Die) -> str:
        """The name of an entry; clang may leave a template's arguments to the entries of these
        (-gsimple-template-names)."""
        if die.tag not in STRUCT_TAGS or die.name.endswith('>') or die.unit.language != 'C++':
            return die.name
        given = list(die.children(TEMPLATE_TAGS))
        each = (part for child in given for part in (
            child.children(TEMPLATE_TAGS) if child.tag == TEMPLATE_TAGS[-1] else (child,)))
        texts = ', '.join(map(self._template_argument, each))
        return f"{die.name}<{texts}{' ' * texts.endswith('>')}>" if given else die.name

    def _template_argument(self, die: Die) -> str:
        """An argument of a template, as C++ writes it."""
        type_, value = declaration(self.lazy(die)()), die.values.get('DW_AT_const_value')
        if die.values.get('DW_AT_GNU_template_name'):
            return str(die.values['DW_AT_GNU_template_name'])
        if value is None:
            return re.sub(r'\b(struct|class|union|enum) ', '', type_)
        if type_ == 'bool':
            return 'true' if value else 'false'
        return f'{value}{LITERALS[type_]}' if type_ in LITERALS else f'({type_}){value}'

    def _sample(self, dies: Iterator[Die]) -> Iterator[Die]:
        """Entries enough to see whether the definitions differ: a header's struct is in a thousand units, a
        source file's own in few."""
        seen: set[object] = set()
        for count, die in enumerate(dies):
            scoped = bool(die.unit.language)
            size, line = die.values.get('DW_AT_byte_size'), die.values.get('DW_AT_decl_line')
            key = size, line, scoped and self._whole_name(die)
            if key not in seen:
                seen.add(key)
                yield die
            if count >= 7 and not scoped:
                return

    def _one_of(self, keyword: str, name: str, dies: list[Die]) -> Type:
        types = [bare(self._type(die)) for die in dies]
        if differ(types):
            files = sorted({die.unit.top.name for die in dies})
            what = f'{keyword} {name}'.strip()
            raise InputError(f"'{what}' is defined differently in {', '.join(files[:4])}; reach it through a "
                             'member or a parameter of that type')
        return types[0]

    def variable(self, name: str, address: int) -> Type | None:
        """The type of the variable of that name at that address."""
        for die in itertools.islice(self.entries.by_name(name, ('DW_TAG_variable',)), 66):
            if any(self._is_at(each, address) for each in (die, *self._linked(die))):
                return bare(self.lazy(die.origin)())
        return None

    def _linked(self, die: Die) -> Iterable[Die]:
        """The entries with the place of a variable that is linked in another unit (gcc's LTO)."""
        if 'DW_AT_location' in die.values or '-flto' not in die.unit.producer:
            return ()
        return self.entries.beginning(die.offset, ORIGINS[:1], 'ref_addr', ('DW_TAG_variable',))

    def _is_at(self, die: Die, address: int) -> bool:
        """Tell whether the variable is the one at that address, by its location, or declares it."""
        location = die.values.get('DW_AT_location')
        if location is None:
            return 'DW_AT_external' in die.values and 'DW_AT_type' in die.values
        operations = self._places.operations(die.unit, location)
        return [(each.op_name, each.args) for each in operations] == [('DW_OP_addr', [address])]


def is_in_object(die: Die) -> bool:
    """Tell whether a member is no static one."""
    return 'DW_AT_external' not in die.values


def copies_or_ends(function: Die, owner: Die) -> bool:
    """Tell whether it is a class's destructor, or a constructor from another object of the class."""
    name = function.name
    if name != owner.name.partition('<')[0]:
        return name.startswith('~')
    parameters = function.children(PARAMETER_TAGS)
    other = next((each for each in parameters if 'DW_AT_artificial' not in each.values), None)
    while other is not None and other.offset != owner.offset and 'DW_AT_type' in other.values:
        other = other.refer('DW_AT_type')
    return other is not None and other.offset == owner.offset


ENOUGH = 4                                  # functions that hold a copy of another, of a thousand
NAMED_TAGS = {tag for tags in KEYWORD_TAGS.values() for tag in tags}
# Behind which a type is still what a parameter takes.
INNER_TAGS = {'DW_TAG_pointer_type', 'DW_TAG_typedef', 'DW_TAG_immutable_type', 'DW_TAG_packed_type',
              'DW_TAG_shared_type', *QUALIFIERS}


class Declarations:
    """What one file declares, as its source has it; for that all its entries are looked at."""

    def __init__(self, entries: Entries, types: DwarfTypes) -> None:
        self._entries, self._types = entries, types

    def prototypes(self, wanted: Callable[[str], bool], types: Sequence[str], taken: str, names: Sequence[str]
                   ) -> list[Prototype]:
        """The functions that are wanted. `types` is the name of the type in `taken`, `names` those that can
        be wanted, where they are few: units that mention none are passed over."""
        found: dict[Prototype, dict[str, None]] = {}
        known: dict[int, bool] = {}
        for unit in self._entries.units((*types, *names)):
            pointing = self._pointing(unit, types[0]) if types else set()
            functions = list(unit.top.children(FUNCTION_TAGS))
            for die in self._named((die for die in functions if not die.shape.declared), wanted, known):
                if types and not any(child.type_at in pointing for child in die.children(PARAMETER_TAGS)):
                    continue
                function = self._types.function(die)
                if takes(function, taken):
                    inline = die.values.get('DW_AT_inline', 0) in (1, 3)                # DWARF 5, table 7.20
                    file, text = '' if inline else unit.top.name, declaration(function, die.name)
                    holders = found.setdefault(Prototype(die.name, text, file, inline), {})
                    if inline and len(holders) < ENOUGH:
                        holders.update(dict.fromkeys(self._holders(die, functions)))
        return [prototype._replace(holders=tuple(holders)) for prototype, holders in found.items()]

    def _named(self, dies: Iterable[Die], wanted: Callable[[str], bool], known: dict[int, bool]
               ) -> Iterator[Die]:
        """Those with a wanted name; `known` is the answer for each text of .debug_str."""
        for die in dies:
            place = die.name_at
            if place < 0:
                fits = bool(die.name) and wanted(die.name)
            elif place in known:
                fits = known[place]
            else:
                fits = known[place] = wanted(self._entries.text(place))
            if fits:
                yield die

    def _pointing(self, unit: Unit, name: str) -> set[int]:
        """Where in the unit the types are of that name, and those that point to one or qualify one."""
        known = dict.fromkeys(self._entries.texts(name), True)
        dies = list(unit.top.children(NAMED_TAGS | INNER_TAGS))
        named = (die for die in dies if die.tag in NAMED_TAGS)
        found = {die.at for die in self._named(named, name.__eq__, known)}
        edges, before = [(die.at, die.type_at) for die in dies if die.tag in INNER_TAGS], -1
        while before != len(found):
            before = len(found)
            found.update(at for at, inner in edges if inner in found)
        return found

    def _holders(self, source: Die, functions: Sequence[Die]) -> Iterator[str]:
        """Those of a unit's functions that hold a copy of one, with the unit's file."""
        starts, unit = [die.at for die in functions], source.unit
        for copy in self._entries.beginning(source.at, ORIGINS[:1], 'ref4', COPY_TAGS, unit):
            index = bisect.bisect(starts, copy.at) - 1
            if index >= 0:
                yield f"{functions[index].inherited('DW_AT_name') or ''} ({unit.top.name})"

    def type_names(self, tags: Sequence[str], prefix: str) -> Iterator[str]:
        """The names of types with those tags that begin so."""
        known: dict[int, bool] = {}
        for unit in self._entries.units():
            defined = (die for die in unit.top.children(tags) if not die.shape.declared)
            for die in self._named(defined, lambda text: text.startswith(prefix), known):
                known[die.name_at] = False                              # each text once
                yield die.name


def uleb128_bytes(value: int) -> bytes:
    """The number as unsigned LEB128."""
    more = value > 0x7f
    return bytes((value & 0x7f | more << 7,)) + (uleb128_bytes(value >> 7) if more else b'')


by_address = operator.attrgetter('address')


class Lines:
    """The line-number programs of one file; read here, since a kernel has millions of rows."""
    # (content, form) of the parts of entries up to DWARF 4 (DWARF 5, 6.2.4.1): path, directory, time, size.
    OLD_DIRECTORY = [(1, 0x08)]
    OLD_FILE = [(1, 0x08), (2, 0x0f), (3, 0x0f), (4, 0x0f)]
    FORMS: dict[int, FormReader] = {0x08: c_string, 0x09: block, 0x0f: uleb128}
    SIZES = {0x0b: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1e: 16}              # DW_FORM_data1, 2, 4, 8, 16

    def __init__(self, entries: Entries) -> None:
        self._path, self._mark, self._order = entries.executable.path, entries.mark, entries.order
        self._entries, self._lines_of = entries, functools.cache(Lines)
        self._data, line_strings = entries.section('.debug_line'), entries.section('.debug_line_str')
        self._strings = {0x0e: entries.strings, 0x1f: line_strings}     # by DW_FORM_strp, DW_FORM_line_strp
        self._header_at = functools.cache(self._read_header)
        self._string = functools.cache(lambda form, at: c_string(self._strings[form], at)[0])
        self._sorted = functools.lru_cache(64)(lambda header: sorted(self._rows(header), key=by_address))
        self.in_file = functools.lru_cache(4)(self._read_file)

    # headers

    @functools.cached_property
    def _offsets(self) -> list[int]:
        return list(tables(self._data, self._mark))

    def _read_header(self, at: int) -> LineHeader:
        """The header of the program there (DWARF 5, 6.2.4; up to DWARF 4 its files are numbered from 1)."""
        data = self._data
        length, version = struct.unpack_from(self._mark + 'IH', data, at)
        if not 2 <= version <= 5:
            raise DebugInfoError(f'{self._path}: line numbers of DWARF {version} are not read')
        place = at + (8 if version >= 5 else 6)
        start = place + 4 + struct.unpack_from(self._mark + 'I', data, place)[0]
        step, place = data[place + 4], place + (6 if version >= 4 else 5)
        is_stmt, base, range_, opcodes = struct.unpack_from(self._mark + 'BbBB', data, place)
        lengths, place = tuple(data[place + 4:place + 3 + opcodes]), place + 3 + opcodes
        if version >= 5:
            directories, place = self._table(place)
            files, _ = self._table(place)
        else:
            directories, place = self._names(place, self.OLD_DIRECTORY)
            files, _ = self._names(place, self.OLD_FILE)
            directories, files = [(0, ''), *directories], [(0, ''), *files]
        names = tuple(name for _, name in directories)
        end = at + 4 + length
        return LineHeader(names, tuple(files), start, end, step, bool(is_stmt), base, range_, lengths)

    def _table(self, at: int) -> tuple[list[tuple[int, str]], int]:
        """(directory, name) of the entries of a table of DWARF 5, which names their parts, and its end."""
        parts, count, at = [], self._data[at], at + 1
        for _ in range(count):
            content, at = uleb128(self._data, at)
            form, at = uleb128(self._data, at)
            parts.append((content, form))
        count, at = uleb128(self._data, at)
        return self._names(at, parts, count)

    def _names(self, at: int, parts: Sequence[tuple[int, int]], count: int | None = None
               ) -> tuple[list[tuple[int, str]], int]:
        """(directory, name) of so many entries (None: up to a 0) with these parts, and their end."""
        found: list[tuple[int, str]] = []
        while self._data[at] if count is None else len(found) < count:
            values: dict[int, Any] = {}
            for content, form in parts:
                values[content], at = self._value(form, at)
            found.append((values.get(2, 0), values.get(1, '')))
        return found, at + (count is None)

    def _value(self, form: int, at: int) -> tuple[Any, int]:
        """A part of an entry, and where it ends."""
        if form in self._strings:
            return self._string(form, struct.unpack_from(self._mark + 'I', self._data, at)[0]), at + 4
        if form in self.FORMS:
            return self.FORMS[form](self._data, at)
        end = at + self.SIZES[form]
        return int.from_bytes(self._data[at:end], self._order), end

    def header(self, unit: Unit) -> LineHeader | None:
        """The header of the unit's line numbers."""
        at, file = unit.values.get('DW_AT_stmt_list'), unit.entries.main if unit.skeleton else unit.entries
        if at is None:
            return None
        if file is not self._entries:                   # a type's unit in a .dwo, or what several files share
            return self._lines_of(file)._header_at(at + unit.parts.get('line', 0))
        return self._header_at(at)

    # rows

    def _rows(self, header: LineHeader, files: set[int] | None = None) -> list[LineRow]:
        """The rows of a program, in its order (DWARF 5, 6.2.5), of all or of some files."""
        data, at, rows = bytes(self._data[header.start:header.end]), 0, []  # type: bytes, int, list[LineRow]
        first = len(header.lengths) + 1                                 # of the special opcodes: rows
        steps = [(code - first) // header.line_range * header.step for code in range(256)]
        moves = [(code - first) % header.line_range + header.line_base for code in range(256)]
        address, file, line, is_stmt, end = 0, 1, 1, header.is_stmt, len(data)
        while at < end:
            opcode = data[at]
            at += 1
            if opcode >= first:
                address += steps[opcode]
                line += moves[opcode]
                opcode = 1
            if opcode == 1:
                if files is None or file in files:
                    rows.append(LineRow(address, file, line, is_stmt))
            elif opcode == 5:                                           # the column
                at = at + 1 if data[at] < 0x80 else uleb128(data, at)[1]
            elif opcode == 6:
                is_stmt = not is_stmt
            elif opcode == 3:
                count, at = sleb128(data, at)
                line += count
            elif opcode == 4:
                file, at = uleb128(data, at)
            elif opcode == 8:
                address += steps[255]
            else:
                state = address, file, line, is_stmt
                at, address, file, line, is_stmt = self._opcode(header, data, opcode, at, state)
        return rows

    def _opcode(self, header: LineHeader, data: bytes, opcode: int, at: int, state: tuple[int, int, int, bool]
                ) -> tuple[int, int, int, int, bool]:
        """The next place and (address, file, line, is_stmt) after an opcode that is less frequent."""
        address, file, line, is_stmt = state
        if opcode == 0:
            size, at = uleb128(data, at)
            if data[at] == 1:                                           # the end of a sequence
                address, file, line, is_stmt = 0, 1, 1, header.is_stmt
            elif data[at] == 2:
                address = int.from_bytes(data[at + 1:at + size], self._order)
            at += size
        elif opcode == 2:
            count, at = uleb128(data, at)
            address += count * header.step
        elif opcode == 9:
            address, at = address + int(struct.unpack_from(self._mark + 'H', data, at)[0]), at + 2
        else:                                                           # block, prologue, epilogue, isa
            for _ in range(header.lengths[opcode - 1]):
                at = uleb128(data, at)[1]
        return at, address, file, line, is_stmt

    def statements(self, unit: Unit, file: str) -> list[LineRow]:
        """The rows of the unit that are statements of the file with that path, sorted by address."""
        header = self.header(unit)
        if header is None:
            return []
        numbers = {number for number in range(len(header.files)) if header.path(number) == file}
        return [row for row in self._sorted(header) if row.file in numbers and row.is_stmt]

    def rows_in(self, unit: Unit, start: int, end: int) -> list[tuple[LineRow, str]]:
        """The rows of the code between two addresses, sorted by these, each with the path of its file."""
        header = self.header(unit)
        if header is None:
            return []
        rows = self._sorted(header)
        first, behind = (bisect.bisect_left(rows, LineRow(address, -1, 0, False)) for address in (start, end))
        paths = {number: header.path(number) for number in {row.file for row in rows[first:behind]}}
        return [(row, paths[row.file]) for row in rows[first:behind]]

    # files

    def _programs_naming(self, name: bytes) -> set[int]:
        """The programs that may have a file with this last name (a NUL behind it): by its bytes or those of a
        reference, also to the end of a longer string, since linkers merge tails."""
        data = bytes(self._data)
        places = set(occurrences(data, name))
        strings = self._strings[0x1f] or self._strings[0x0e]
        for at in occurrences(strings, name):
            start = bytes(strings[max(0, at - 4096):at]).rfind(b'\0') + 1 + max(0, at - 4096)
            starts = [at, *(i for i in range(start, at) if i == start or strings[i - 1] == 0x2f)]
            for reference in (struct.pack(self._mark + 'I', start) for start in starts):
                places.update(occurrences(data, reference))
        return {self._offsets[bisect.bisect(self._offsets, place) - 1] for place in places}

    def files_like(self, file: str) -> dict[str, dict[int, set[int]]]:
        """The files whose path ends so: by path, the numbers of the file in each program (by its place)."""
        found: dict[str, dict[int, set[int]]] = {}
        base = os.path.basename(file)
        for at in sorted(self._programs_naming(base.encode() + b'\0')):
            header = self._header_at(at)
            for number, (_, name) in enumerate(header.files):
                path = header.path(number) if name.endswith(base) else ''
                if path and f'/{path}'.endswith(f'/{file}'):
                    found.setdefault(path, {}).setdefault(at, set()).add(number)
        return found

    def _read_file(self, file: str) -> tuple[str, list[LineRow]]:
        """The path that its end means, and that file's rows of statements; InputError for none or several."""
        files = self.files_like(file)
        if not files:
            raise InputError(f"no source file '{file}' in {self._path}")
        exact = [path for path in files if self.short_path(path) == file]
        if len(files) > 1 and len(exact) != 1:
            raise InputError(f"'{file}' is the end of {len(files)} paths; say more of it: "
                             f'{first_of(sorted(map(self.short_path, files)), 6)}')
        path = exact[0] if exact else next(iter(files))
        rows: list[LineRow] = []
        for at, numbers in files[path].items():
            header = self._header_at(at)
            program, set_file = bytes(self._data[header.start:header.end]), b'\x04'      # DW_LNS_set_file
            if 1 in numbers or any(set_file + uleb128_bytes(number) in program for number in numbers):
                rows += (row for row in self._rows(header, numbers) if row.is_stmt)
        return path, rows

    def short_path(self, path: str) -> str:
        """The path without what it has in common with the directory that one of the units was compiled in."""
        root = self._source_root
        if path.startswith('/') and root.startswith('/') and not path.startswith(root + '/'):
            root = os.path.commonpath([root, path])
        return path[len(root) + 1:] if len(root) > 1 and path.startswith(root + '/') else path

    @functools.cached_property
    def _source_root(self) -> str:
        offsets = self._offsets
        folders = self._header_at(offsets[len(offsets) // 2]).directories if offsets else ()
        return os.path.normpath(folders[0]) if folders and folders[0] else ''


class Scopes:
    """The functions of one file by address and by line, the scopes in them, and their copies."""

    def __init__(self, entries: Entries, places: Places, lines: Lines) -> None:
        self._entries, self._places, self._lines = entries, places, lines
        self._executable, self._arch = entries.executable, entries.executable.arch
        self._code_of = functools.cache(self._read_code_of)
        self._scope_of = functools.cache(lambda offset: self._scope(entries.die(offset)))

    # by address

    @functools.cached_property
    def _address_ranges(self) -> list[tuple[int, int, int]]:
        """(first address, end, unit offset), sorted: from .debug_aranges, and of units that it does not name
        (clang makes none) from their own ranges."""
        table, data = [], self._executable.contents('.debug_aranges')
        unnamed = set(self._entries.offsets)
        pair = struct.Struct(self._entries.mark + ('QQ' if self._arch.bits == 64 else 'II'))
        for at in tables(data, self._entries.mark):
            length, _, unit, size = struct.unpack_from(self._entries.mark + 'IHIB', data, at)
            unnamed.discard(unit)
            first = at + 12 + (-12 % (2 * size or 1))
            end = min(at + 4 + length, len(data))
            pairs = data[first:end - (end - first) % pair.size] if size == pair.size // 2 else b''
            table += [(start, start + extent, unit) for start, extent in pair.iter_unpack(pairs) if extent]
        table += [(start, end, offset) for offset in unnamed
                  for start, end in self._places.ranges(self._entries.unit(offset).top)]
        return sorted(table)

    def _found(self, table: list[tuple[int, int, int]], address: int) -> int | None:
        """The third of the row in a sorted table whose range has the address, or is behind no-ops there."""
        for place in (address, address + self._arch.nops):
            at = bisect.bisect(table, (place, 1 << 64, 0)) - 1
            if at >= 0 and place < table[at][1]:
                return table[at][2]
        return None

    def unit_at(self, address: int) -> Unit | None:
        """The unit whose code is at that address."""
        offset = self._found(self._address_ranges, address)
        return None if offset is None else self._entries.unit(offset).whole

    def _read_code_of(self, unit: Unit, nested: bool) -> list[tuple[int, int, int]]:
        """(first address, end, where the entry is) of functions, sorted; `nested`: of those in others too."""
        functions = map(unit.die, unit.every_function if nested else unit.functions)
        return sorted((start, end, die.at) for die in functions for start, end in self._places.ranges(die))

    def home(self, address: int) -> Die | None:
        """The function whose code the address is in."""
        unit = self.unit_at(address)
        if unit is not None:
            for nested in (False, True):
                at = self._found(self._code_of(unit, nested), address)
                if at is not None:
                    return unit.die(at)
        return None

    def beginning(self, name: str, address: int) -> Die | None:
        """The function with a symbol there; of several (linkers fold what is alike) that of the name."""
        unit, starts = self.unit_at(address), (address, address + self._arch.nops)
        if unit is None:
            return None
        for nested in (False, True):
            dies = [unit.die(at) for start, _, at in self._code_of(unit, nested) if start in starts]
            dies = [die for die in dies if self._places.low(die) in starts]
            named = [die for die in dies if die.inherited('DW_AT_name') == name.split('.')[0]]
            if dies:
                return (named or dies)[0]
        return None

    def rows_in(self, start: int, end: int) -> list[tuple[LineRow, str]]:
        """See Lines."""
        unit = self.unit_at(start)
        return self._lines.rows_in(unit, start, end) if unit else []

    # scopes

    def _scope(self, die: Die, holder: Die | None = None) -> Scope:
        """The scope that an entry is, with those in it; `holder` is the function or copy that it is in."""
        function = die.tag != 'DW_TAG_lexical_block' and not (holder and self._is_rest(die, holder))
        below = list(die.children((*VARIABLE_TAGS, 'DW_TAG_lexical_block', 'DW_TAG_inlined_subroutine')))
        variables = tuple(child for child in below if child.tag in VARIABLE_TAGS)
        inner = tuple(self._scope(child, die if function else holder)
                      for child in below if child.tag not in VARIABLE_TAGS)
        entry = self._places.entry(die)
        ranges = sorted(((start, end) for start, end in self._places.ranges(die) if end > start),
                        key=lambda pair: (entry is None or not pair[0] <= entry < pair[1], pair))
        return Scope(die, function, tuple(ranges), variables, inner)

    def _is_call(self, copy: Die) -> bool:
        """Say whether an inlined copy has code, and is not the rest of another."""
        return self._places.is_entered(copy) and not self._is_rest(copy)

    def _is_rest(self, copy: Die, holder: Die | None = None) -> bool:
        """Tell the rest of a function from a call of it. Where a function can return early, gcc may split off
        what is behind that and inline it again, into the function or a copy of its first part (`holder`): as
        a call that stands where the function is declared (gcc/ipa-split.cc). So does one that the same macro
        writes as the function (SYSCALL_DEFINE), but in another function."""
        source, parts = copy.abstract, ('line', 'column', 'file')
        call, declared = ([die.inherited(f'DW_AT_{kind}_{part}') for part in parts]
                          for die, kind in ((copy, 'call'), (source, 'decl')))
        if call != declared or not call[0]:
            return False
        if holder is None:
            around = copy.unit.around(copy.at)[:-1]
            holder = next((die for die in reversed(around) if die.tag in CODE_TAGS), None)
        if holder is None or holder.abstract.offset != source.offset:
            return False
        return self._places.is_entered(holder)

    @staticmethod
    def path_to(scope: Scope, address: int) -> list[Scope]:
        """The scopes that the address is in, from the outermost."""
        path: list[Scope] = []
        inner: Scope | None = scope
        while inner is not None:
            path.append(inner)
            inner = next((below for below in inner.inner if below.holds(address)), None)
        return path

    def inlined_at(self, spot: Spot) -> str:
        """The name of the function whose copy the address is in, '' for the function's own code."""
        scopes = [scope for scope in self.path_to(spot.scope, spot.address) if scope.function]
        return str(scopes[-1].die.origin.name) if len(scopes) > 1 else ''

    def declared_at(self, die: Die) -> tuple[str, int]:
        """The file and line of a function's declaration."""
        values, header = die.origin.values, self._lines.header(die.origin.unit)
        path = header.path(values.get('DW_AT_decl_file', -1)) if header else ''
        return path, values.get('DW_AT_decl_line', 0)

    # places

    def spot_at(self, address: int) -> Spot | None:
        """The place of an instruction in the function whose code it is."""
        home = self.home(address)
        if home is None:
            return None
        file, line = self.declared_at(home)
        low = self._places.low(home) or 0
        place = max(address, low) if address + self._arch.nops == low else address
        return Spot(place, home.origin.name, file, line, home, self._scope_of(home.offset), False)

    def _spot(self, address: int, path: str, line: int) -> Spot:
        """The place of a line: of the scopes there, the copy is that of the function the line is of."""
        home = self.home(address)
        if home is None:
            symbol, nothing = self._executable.symbol_at(address), Scope(None, True, (), (), ())
            return Spot(address, symbol.name if symbol else '', path, line, None, nothing, False)
        scopes = [scope for scope in self.path_to(self._scope_of(home.offset), address) if scope.function]
        lines = [self.declared_at(scope.die) for scope in scopes]
        fitting = [number for number, (file, start) in enumerate(lines) if file == path and start <= line]
        chosen = max(fitting, key=lambda number: lines[number][1]) if fitting else len(scopes) - 1
        return Spot(address, scopes[chosen].die.origin.name, path, line, home, scopes[chosen], chosen > 0)

    def in_line(self, file: str, line: int) -> list[Spot]:
        """The places of a line of the source file whose path ends so; InputError where there are none."""
        path, rows = self._lines.in_file(file)
        places = sorted({row.address for row in rows if row.line == line})
        if not places:
            refuse_line(line, {row.line for row in rows}, f'line {line} of {self._lines.short_path(path)}')
        return [self._spot(address, path, line) for address in places]

    def in_function(self, name: str, address: int | None, line: int) -> list[Spot]:
        """The places of a line, counted from its declaration, of the function at that address and of its
        copies; InputError where there are none."""
        own = self.spot_at(address) if address is not None else None
        copies = [*([own] if own else []), *self.copies(name, address)]
        if not copies:
            raise InputError(f'{name}: no line numbers for a function or source file of that name in '
                             f'{self._executable.path}')
        wanted, spots = copies[0].line + line, []  # type: int, list[Spot]
        lines: set[int] = set()
        for copy in copies:
            rows = list(self._rows_of_copy(copy))
            lines.update(row.line for row in rows)
            places = sorted({row.address for row in rows if row.line == wanted})
            spots += [copy._replace(address=place, line=wanted) for place in places]
        if not spots:
            text = f'line {line} of this function (line {wanted} of its file)'
            refuse_line(wanted, lines, text, copies[0].line)
        return spots

    def _rows_of_copy(self, copy: Spot) -> Iterator[LineRow]:
        """The rows that are statements of the copy's own function, not of what is inlined into it."""
        for row in self._lines.statements(copy.home.unit, copy.file):
            if row.line >= copy.line and copy.scope.holds(row.address):
                if self._spot(row.address, copy.file, row.line).scope.die.offset == copy.scope.die.offset:
                    yield row

    # copies

    def copies(self, name: str, near: int | None = None, file: str = '') -> list[Spot]:
        """The inlined copies, by address, of all functions of that name, of those in a source file, or of the
        one whose own code is at the address `near`."""
        unit, name = self.unit_at(near) if near is not None else None, name.split('.')[0]
        if near is not None and unit is not None and not unit.is_gnu:
            return self.copies_near(near)
        sources = list(self._entries.by_name(name, FUNCTION_TAGS, unit))
        if unit is not None and any(self.declared_at(die)[0] != die.unit.path for die in sources):
            sources = list(self._entries.by_name(name, FUNCTION_TAGS))        # a header's
        spots = (spot for die in sources if not file or f'/{die.unit.path}'.endswith(f'/{file}')
                 for spot in self._copies_of(die))
        return sorted(spots, key=lambda spot: spot.address)

    def copies_near(self, address: int) -> list[Spot]:
        """The inlined copies of the function that has the address, in all files with its definition."""
        home = self.home(address)
        sources = self.sources(home.abstract) if home is not None else []
        spots = {spot.address: spot for die in sources for spot in self._copies_of(die)}
        return [spots[at] for at in sorted(spots)]

    def _copies_of(self, source: Die) -> Iterator[Spot]:
        path, line = self.declared_at(source)
        for die in self.inlined(source):
            entry, home = self._places.entry(die), die.unit.function_of(die)
            if entry is not None and home is not None:
                yield Spot(entry, source.name, path, line, home, self._scope(die), True)

    def sources(self, source: Die) -> list[Die]:
        """The entries with a function's names and types: clang has one in each unit with a copy (ThinLTO),
        and C++ one in each unit that includes a function's header (of a member it refers to the
        declaration)."""
        origin, unit = source.origin, source.unit
        if unit.is_gnu and not unit.language:
            return [source]
        declared, linkage = self.declared_at(source), origin.values.get(LINKAGE)
        header = unit.language == 'C++' and 'DW_AT_external' in origin.values and declared[0] != unit.path
        if unit.language and not header:                        # in C++ and Rust thousands have one name
            return [source]
        found = {source.offset: source}
        for die in self._entries.by_name(origin.name, FUNCTION_TAGS):
            if die.values.get(LINKAGE) != linkage or not linkage and self.declared_at(die) != declared:
                continue
            found[die.offset] = die
            if header:
                users = self._entries.beginning(die.at, ORIGINS, 'ref4', FUNCTION_TAGS, die.unit)
                found.update((user.offset, user) for user in users)
        return list(found.values())

    def inlined(self, source: Die) -> Iterator[Die]:
        """The inlined copies of a function, in its own unit and, where these are linked as one, in others."""
        unit, search = source.unit, self._entries.beginning
        if 'DW_AT_inline' not in source.values and '-flto' not in unit.producer:
            return
        yield from filter(self._is_call, search(source.at, ORIGINS[:1], 'ref4', COPY_TAGS, unit))
        if '-flto' in unit.producer or not unit.is_gnu:
            names, file = unit.bases.get('str_offsets', 0), unit.entries
            offsets = [offset for base, offset in file.name_tables if base == names]
            for other in map(file.unit, offsets) if offsets else (None,):
                far = search(source.offset, ORIGINS[:1], 'ref_addr', COPY_TAGS, other)
                yield from filter(self._is_call, far)


def refuse_line(line: int, lines: Iterable[int], what: str, first: int = 0) -> NoReturn:
    """Say which lines near one have code; they are counted from `first`."""
    nearest = sorted(sorted(sorted(lines), key=lambda number: abs(number - line))[:3])
    if not nearest:
        raise InputError(f'{what} has no code, nor has another')
    listed = ', '.join(str(number - first) for number in nearest)
    raise InputError(f'{what} has no code; lines that have: {listed}')


class CommonFrame(NamedTuple):
    """What the frame descriptions of many functions share (a CIE; DWARF 5, 6.4.1): factors of numbers, the
    encoding of addresses, whether augmentation data follows them, the initial instructions."""
    step: int
    factor: int
    encoding: str
    relative: bool
    augmented: bool
    instructions: bytes


class Frames:
    """The call frame addresses of one file's functions, by .debug_frame or .eh_frame (DWARF 5, 6.4), which a
    separate debug file leaves to the one with the code.
    pyelftools 0.29 knows no DW_CFA_AARCH64_negate_ra_state, and takes milliseconds for a function."""
    # Numbers by their encoding (LSB, 10.5.1: DW_EH_PE_*); W is a word.
    ENCODINGS = {0: 'W', 2: 'H', 3: 'I', 4: 'Q', 8: 'W', 10: 'h', 11: 'i', 12: 'q'}
    # The operands of instructions (DWARF 5, 7.24): r the register that the address is counted from, o the
    # offset, f that with a factor; W an address, B H I steps; u a LEB128 number, b a block.
    OPERANDS = {
        0x01: 'W', 0x02: 'B', 0x03: 'H', 0x04: 'I',
        0x0c: 'ro', 0x0d: 'r', 0x0e: 'o', 0x0f: 'b', 0x12: 'rf', 0x13: 'f',
        **dict.fromkeys((0x00, 0x0a, 0x0b, 0x2d, 0x40, 0xc0), ''),
        **dict.fromkeys((0x06, 0x07, 0x08, 0x2e, 0x80), 'u'), **dict.fromkeys((0x10, 0x16), 'ub'),
        **dict.fromkeys((0x05, 0x09, 0x11, 0x14, 0x15, 0x2f), 'uu')}

    def __init__(self, executable: Executable, code: Executable | None = None) -> None:
        self._executable, self._arch = executable, executable.arch
        self._other = Frames(code) if code is not None and code is not executable else None
        mark, word = executable.mark, executable.word
        self._numbers = {kind: struct.Struct(mark + kind.replace('W', word)) for kind in 'WBHIQhiq'}
        self._pairs = {kind: struct.Struct(mark + 2 * kind.replace('W', word)) for kind in 'WBHIQhiq'}
        self._common = functools.cache(self._read_common)
        self.rows = functools.lru_cache(64)(self._read_rows)

    def cfa(self, pc: int) -> Location:
        """The call frame address at an instruction."""
        found = (place for start, end, place in self.rows(pc) if start <= pc < end)
        return next(found, gone('no call frame information tells where its frame is'))

    def usual(self, pc: int) -> Location:
        """The call frame address in most of the code of the function at an instruction."""
        lengths: dict[Location, int] = {}
        for start, end, place in self.rows(pc):
            lengths[place] = lengths.get(place, 0) + end - start
        return max(lengths, key=lambda place: lengths[place], default=self.cfa(pc))

    def usual_stack(self, pc: int) -> bool:
        """Say whether the stack pointer is where it is in most of the function's code."""
        here = self.cfa(pc)
        known = here.how == 'memory' and self._arch.dwarf.get(here.number) == self._arch.stack_pointer
        return known and here == self.usual(pc)

    @functools.cached_property
    def _descriptions(self) -> list[tuple[int, int, str, int]]:
        """(first address, end, section, where) of every frame description entry, sorted."""
        found, mask, head = [], (1 << self._arch.bits) - 1, self._pairs['I']
        for section in ('.debug_frame', '.eh_frame'):
            data, is_eh = self._executable.contents(section), section == '.eh_frame'
            base = self._executable.sections[section].address if data else 0
            pair, relative = self._pairs['W'], False
            for at in tables(data, self._executable.mark):
                length, identity = head.unpack_from(data, at)
                if length and identity != (0 if is_eh else 0xffffffff):
                    if is_eh:
                        common = self._common(section, at + 4 - identity)
                        pair, relative = self._pairs[common.encoding], common.relative
                    start, size = pair.unpack_from(data, at + 8)
                    start = start + relative * (base + at + 8) & mask
                    found.append((start, start + size, section, at))
        return sorted(found)

    def _read_common(self, section: str, at: int) -> CommonFrame:
        length = self._pairs['I'].unpack_from(self._executable.contents(section), at)[0]
        data = bytes(self._executable.contents(section)[at:at + 4 + length])
        version, place = data[8], data.index(0, 9) + 1
        augmentation, encoding = data[9:place - 1].decode(errors='replace'), 0
        augmented = augmentation[:1] == 'z'
        place += 2 if version >= 4 else 0                               # address and segment size
        step, place = uleb128(data, place)
        factor, place = sleb128(data, place)
        place = uleb128(data, place)[1] if version > 1 else place + 1   # the return address's register
        if augmented:
            size, inside = uleb128(data, place)
            place = inside + size
            for letter in augmentation[1:]:
                if letter == 'R':
                    encoding = data[inside]
                if letter == 'P':                               # the encoding and the address of a function
                    inside += self._numbers[self.ENCODINGS[data[inside] & 15]].size
                inside += letter in 'RLP'
        relative = encoding & 0x70 == 0x10                              # DW_EH_PE_pcrel
        return CommonFrame(step, factor, self.ENCODINGS[encoding & 15], relative, augmented, data[place:])

    def _read_rows(self, pc: int) -> list[tuple[int, int, Location]]:
        """(first address, end, call frame address) in the function at `pc`."""
        at = bisect.bisect(self._descriptions, (pc, 1 << 64, '', 0)) - 1
        if at < 0 or pc >= self._descriptions[at][1]:
            return self._other.rows(pc) if self._other else []
        start, end, section, place = self._descriptions[at]
        data = self._executable.contents(section)
        length, identity = self._pairs['I'].unpack_from(data, place)
        common = self._common(section, place + 4 - identity if section == '.eh_frame' else identity)
        begin = place + 8 + self._pairs[common.encoding].size
        if common.augmented:
            size, begin = uleb128(data, begin)
            begin += size
        rows = self._run(common, common.instructions + data[begin:place + 4 + length], start, end)
        computed = gone('its frame is computed in a way no probe can')
        return [(first, behind, Location('memory', number=number, offset=offset) if number >= 0 else computed)
                for first, behind, number, offset in rows if first < behind]

    def _run(self, common: CommonFrame, data: bytes, address: int, end: int
             ) -> Iterator[tuple[int, int, int, int]]:
        """(first address, end, register, offset) of the call frame address up to an end, by instructions;
        register -1 where it is an expression."""
        number, offset, kept, at = -1, 0, [], 0  # type: int, int, list[tuple[int, int]], int
        while at < len(data):
            opcode, at = data[at], at + 1
            high, until = opcode & 0xc0, address
            if high == 0x40:                                            # DW_CFA_advance_loc
                until += (opcode & 0x3f) * common.step
            for kind in self.OPERANDS[high or opcode]:
                if kind in self._numbers:
                    value, at = self._numbers[kind].unpack_from(data, at)[0], at + self._numbers[kind].size
                    until = value if kind == 'W' else address + value * common.step
                elif kind == 'f':
                    value, at = sleb128(data, at)
                    offset = value * common.factor
                else:
                    value, at = uleb128(data, at)
                    number, offset = value if kind == 'r' else number, value if kind == 'o' else offset
                    at += value if kind == 'b' else 0
            if until != address:
                yield address, until, number, offset
                address = until
            if opcode == 0x0a:                                          # DW_CFA_remember_state
                kept.append((number, offset))
            elif opcode == 0x0b:                                        # DW_CFA_restore_state
                number, offset = kept.pop()
            elif opcode == 0x0f:                                        # DW_CFA_def_cfa_expression
                number = -1
        yield address, end, number, offset


# Conventions that pass arguments or return values in other places than C's (DWARF 5, 7.15: nocall; of LLVM's
# vectorcall, Win64, X86RegCall, PreserveNone).
CALLED_OTHERWISE = {3, 0xc0, 0xc1, 0xcb, 0xcd}


class Variables:
    """The parameters and variables of functions, and where they are."""

    def __init__(self, types: DwarfTypes, places: Places, scopes: Scopes, code: Executable | None) -> None:
        self._entries, self._types, self._places, self._scopes = types.entries, types, places, scopes
        self._executable, self._arch = self._entries.executable, self._entries.executable.arch
        self._frames = Frames(self._executable, code)

    # functions

    def at_entry(self, name: str, address: int) -> Function | None:
        """The function with a symbol at that address, its parameters where they are when it is called."""
        die = self._scopes.beginning(name, address)
        if die is None or self._is_untold(die):
            return None
        scope = Scope(die, True, (), tuple(die.children(PARAMETER_TAGS)), ())
        spot = Spot(self._places.low(die) or 0, name, '', 0, die, scope, False)
        function = self._prototype(spot, scope.variables, self._frame(spot, True), True)
        changed = (is_changed_copy(name) or die.inherited('DW_AT_calling_convention') in CALLED_OTHERWISE
                   or self._lost_some(name, die.unit, function.parameters))
        source, parameters = die.abstract, function.parameters
        if not changed and all(p.location and p.location.how == 'gone' for p in parameters):
            parameters = tuple(p._replace(location=None) for p in parameters)
        copies = sum(1 for entry in self._scopes.sources(source) for _ in self._scopes.inlined(entry))
        names = self._types.names(source.origin) if die.unit.language else ()
        return function._replace(parameters=parameters, inlined=copies, changed=changed, scope=names,
                                 locals=tuple(self._statics(die)))

    def _statics(self, function: Die) -> Iterator[Parameter]:
        """The static variables of a function, there when it is called, but for names that it has twice: clang
        has those of inner blocks here too."""
        named = [(die.origin.name, die) for die in function.children(('DW_TAG_variable',))]
        names = collections.Counter(name for name, _ in named)
        for die in (die for name, die in named if names[name] == 1):
            holder = die.holding('DW_AT_location')
            operations = self._places.operations(holder.unit, holder.values.get('DW_AT_location'))
            if [operation.op_name for operation in operations] == ['DW_OP_addr']:
                place = self._places.place(operations, Location('frame'))
                yield Parameter(die.origin.name, self._types.lazy(die.origin), place)

    def at(self, spot: Spot) -> Function | None:
        """The function of a place with its parameters, and the variables that can be named there: those of
        the innermost block first, then of what is inlined there."""
        if spot.home is None or self._is_untold(spot.scope.die):
            return None
        own, others = self._visible(spot)
        frame = self._frame(spot)
        function = self._prototype(spot, own, frame)
        inner = [self._variable(die, spot, frame) for die in others if 'DW_AT_declaration' not in die.values]
        shadowed, symbol = self._shadowed(spot, [*own, *others]), self._executable.symbol_at(spot.address)
        parameters, variables = (
            tuple(known._replace(location=shadowed.get(known.name, known.location)) for known in group)
            for group in (function.parameters, [known for known in inner if known.name]))
        return function._replace(parameters=parameters, locals=variables, home=symbol.name if symbol else '',
                                 scope=self._types.names(spot.scope.die.abstract.origin))

    def _prototype(self, spot: Spot, own: Sequence[Die], frame: Location, entry: bool = False) -> Function:
        """The function of a place; `own` are the entries of parameters that may have places."""
        source, language = spot.scope.die.abstract, spot.home.unit.language
        placed = {die.origin.offset: die for die in own}
        listed = list(source.children((*PARAMETER_TAGS, 'DW_TAG_unspecified_parameters')))
        parameters = tuple(                                     # Go has its results among these, marked
            self._variable(placed.get(child.origin.offset, child), spot, frame, entry) for child in listed
            if child.tag in PARAMETER_TAGS and not child.values.get('DW_AT_variable_parameter'))
        variadic = any(child.tag not in PARAMETER_TAGS for child in listed)
        returns = self._types.lazy(source.origin)
        return Function(spot.function, returns, parameters, variadic, language=language)

    @staticmethod
    def _is_untold(die: Die) -> bool:
        """Say whether nothing is told of what a function takes and returns: in a unit without types (-g1), or
        of an assembler."""
        source = die.origin
        if 'DW_AT_prototyped' in source.values or next(die.abstract.children(), None):
            return False
        if 'DW_AT_type' in source.values:
            type_ = source.refer('DW_AT_type')
            return type_.tag == 'DW_TAG_unspecified_type' and not type_.name    # C++ has decltype(nullptr)
        shapes = die.unit.entries.shapes(die.unit.table).values()
        return not any('DW_AT_type' in shape.forms for shape in shapes)

    def _lost_some(self, name: str, unit: Unit, parameters: Sequence[Parameter]) -> bool:
        """Say whether the function may take fewer arguments than its source says, unmarked: LLVM removes
        those of functions that one file alone knows (DeadArgumentElimination), and marks it since release
        15."""
        if unit.is_gnu or unit.language == 'Go':
            return False
        missing = any(p.location and p.location.how in ('gone', 'constant') for p in parameters)
        return missing and any(symbol.local for symbol in self._executable.symbols(name))

    # names

    def _visible(self, spot: Spot) -> tuple[list[Die], list[Die]]:
        """The function's parameters, and what else is declared, in the order in which a name is looked up; of
        what the rest of a function (_is_rest) has again, the entry that has a place."""
        parts: list[dict[int, Die]] = [{}]                      # by function, from the innermost
        for scope in reversed(self._scopes.path_to(spot.scope, spot.address)):
            for die in scope.variables:
                before = parts[-1].setdefault(die.origin.offset, die)
                if not {'DW_AT_location', 'DW_AT_const_value'} & before.shape.forms.keys():
                    parts[-1][die.origin.offset] = die
            if scope.function:
                parts.append({})
        *copies, mine, _ = parts
        own = [die for die in mine.values() if die.tag in PARAMETER_TAGS]
        others = [die for die in mine.values() if die.tag not in PARAMETER_TAGS]
        return own, others + [die for part in copies for die in part.values()]

    def _shadowed(self, spot: Spot, visible: Sequence[Die]) -> dict[str, Location]:
        """The names that mean another variable at this line than at this instruction: a block with a variable
        of its own has code of the line, but the compiler has put its first instruction outside."""
        found, scopes = {}, [scope for scope in spot.scope.inner if not scope.function]
        known = {source.offset: source.name for source in (die.origin for die in visible)}
        for scope in scopes:
            scopes += [inner for inner in scope.inner if not inner.function]
            for die in scope.variables if not scope.holds(spot.address) else ():
                source = die.origin
                line = source.values.get('DW_AT_decl_line', spot.line + 1)
                other = source.offset not in known and source.name in known.values()
                if other and line <= spot.line <= self._last_line(scope, spot.file):
                    text = f'this line means the one of line {line}, whose code is elsewhere'
                    found[source.name] = gone(text + self._elsewhere(die, spot))
        return found

    def _last_line(self, scope: Scope, file: str) -> int:
        """The last line of a file that has code in a scope."""
        rows = (pair for start, end in scope.ranges for pair in self._scopes.rows_in(start, end))
        return max((row.line for row, path in rows if path == file), default=0)

    # places

    def _variable(self, die: Die, spot: Spot, frame: Location, entry: bool = False) -> Parameter:
        """A variable at a place, or at the entry of its function."""
        source, location = die.origin, self._location(die, spot, frame, entry)
        if location and location.how == 'gone' and not entry:
            location = location._replace(why=location.why + self._elsewhere(die, spot))
        by_address = entry and self._is_by_address(die, spot.address)
        return Parameter(source.name, self._types.lazy(source), location, by_address)

    def _location(self, die: Die, spot: Spot, frame: Location, entry: bool) -> Location | None:
        """The place of a variable; at entry None where only the calling convention says it. There the first
        range that begins there counts, though it be empty: the next one is after the first statement."""
        pc, holder = spot.address, die.holding('DW_AT_location')
        if 'DW_AT_location' not in holder.shape.forms:
            number = die.values.get('DW_AT_const_value', die.origin.values.get('DW_AT_const_value'))
            if isinstance(number, bytes):
                number = int.from_bytes(number, self._entries.order)
            if isinstance(number, int):
                return Location('constant', offset=number, value=True)
            return gone('the compiler left no place for it')
        called = not spot.inlined and pc == self._places.low(spot.home)
        begins = entry or die.tag in PARAMETER_TAGS and pc == self._places.entry(spot.scope.die)
        for start, end, operations in self._places.of(holder):
            if start is not None and not start <= pc < (end or 0) and not (begins and start == pc):
                continue
            found = self._places.place(operations, frame, called)
            if entry:
                return self._at_entry(found, die.unit, start is None)
            if start is not None:
                return self._on_stack(found, spot)
            return self._kept(self._places.place(operations, Location('frame')), found, die, spot)
        handed = self._handed_over(holder) if entry else None
        return handed or gone('the compiler has it nowhere at this instruction')

    def _handed_over(self, holder: Die) -> Location | None:
        """Where on the stack the caller put a parameter, of a list of places that begins behind the first
        instructions (clang's)."""
        for start, _, operations in self._places.of(holder):
            place, cfa = self._places.place(operations, gone('')), self._frames.cfa(start or 0)
            offset = place.offset - cfa.offset
            above = offset >= self._arch.stack - self._arch.frame
            if cfa.how == 'memory' and above and place == cfa._replace(offset=place.offset):
                return Location('frame', offset=offset)
        return None

    def _at_entry(self, found: Location, unit: Unit, only: bool) -> Location | None:
        """The place of a parameter at the call; None where the function puts it there later: below its
        arguments on the stack (on ppc64le also room that the caller left), or in the `only` place that it
        ever has; and where its value must be computed (clang's bool, one bit of a register). Where gcc cannot
        follow variables (ip_rt_update_pmtu in every x86 kernel), the only place is any register it is moved
        to at some time, which is right at entry for the registers of arguments alone; so is what clang -O0,
        in a function with an aligned variable, counts from the stack pointer or another register."""
        below = found.offset < self._arch.stack - self._arch.frame or unit.language == 'Go'
        if found.how == 'frame' and below:
            return None
        moved = (found.how in ('memory', 'register') and not self._is_argument(found)
                 and (unit.is_gnu or not self._is_argument(found._replace(how='register'))))
        computed = found.how == 'gone' and (only or found != NOWHERE)
        return None if computed or only and moved else found

    def _is_argument(self, found: Location) -> bool:
        """Say whether it is a register of arguments."""
        return found.how == 'register' and self._arch.dwarf.get(found.number) in self._arch.arguments

    @staticmethod
    def _follows(spot: Spot) -> bool:
        """Say whether the compiler could follow a function's variables: then one has a list of places."""
        dies = (die for scope in spot.scope.whole() for die in scope.variables)
        return any(isinstance(die.values.get('DW_AT_location'), int) for die in dies)

    def _is_by_address(self, die: Die, low: int) -> bool:
        """Say whether, from the entry on, a register or a word of the frame points to a parameter."""
        places = self._places.of(die)
        found = (self._places.place(operations, Location('frame')) for _, _, operations in places)
        known = [place for place in found if place.how != 'gone']
        if not known or places[0][0] not in (None, low):
            return False
        for place in known:
            held = place._replace(number=0) == Location('memory') and not self._is_stack(place)
            read = place.how in ('frame', 'memory') and place.derefs == (0,) and not place.value
            if not held and not read:
                return False
        return True

    def _is_stack(self, place: Location) -> bool:
        """Say whether a place is counted from the stack pointer."""
        return place.how == 'memory' and self._arch.dwarf.get(place.number) == self._arch.stack_pointer

    def _on_stack(self, found: Location, spot: Spot) -> Location:
        """The Location, refused where it is below the stack pointer, and what is there belongs to nobody: in
        a function that calls none the 128 bytes below it do (x86-64's psABI, 3.2.2). Only gcc has it follow
        the stack pointer: LLVM counts from where that (or the frame pointer) is in most of the function, also
        while arguments are pushed and when registers have been popped."""
        usual, gnu = self._frames.usual(spot.address), spot.home.unit.is_gnu
        places = [place for place, _ in found.pieces] or [found]
        based = [place for place in places if place.how == 'memory'
                 and (self._is_stack(place) and (place.offset < 0 or not gnu)
                      or place.number == usual.number and not gnu)]
        moved = self._frames.cfa(spot.address) != usual
        if based and (moved or any(place.number != usual.number for place in based)):
            return gone('its place on the stack is not there at this instruction')
        return found

    def _kept(self, bare: Location, found: Location, die: Die, spot: Spot) -> Location:
        """The only place that a variable ever has (`bare`: with the frame base left open), where that is so:
        after the first instructions for a parameter in the frame; while the stack pointer is where it is in
        most of the function; and not where gcc, which cannot follow variables, names where it is at some
        time. Where it can, a parameter that has only one is in that from the call on (dw_loc_list() in
        gcc/dwarf2out.cc: as soon as it leaves it, there is a list)."""
        if bare.how == 'frame':
            cfa = self._frames.cfa(spot.address)
            below = bare.offset < 0 or self._is_stack(found) and found.offset < cfa.offset
            if below and die.tag in PARAMETER_TAGS and not spot.inlined:
                low, end = self._places.low(spot.home) or 0, self._prologue_end(spot.home)
                if low <= spot.address < end:
                    return gone('the first instructions put it in its place')
            return self._on_stack(found, spot)
        if self._is_stack(bare) and not self._frames.usual_stack(spot.address):
            return gone('the stack pointer is elsewhere at this instruction')
        if self._is_stack(bare) or bare.how not in ('memory', 'register') or not die.unit.is_gnu:
            return found
        if self._is_argument(bare) and die.tag in PARAMETER_TAGS and not spot.inlined and self._follows(spot):
            return found
        return gone('the compiler did not say from where on it is in its place')

    def _prologue_end(self, home: Die) -> int:
        """The second row of its line numbers: what it is called with is in its frame (gdb stops there)."""
        low = self._places.low(home) or 0
        behind = (row.address for row, _ in self._scopes.rows_in(low, low + 4096) if row.address > low)
        return min(behind, default=low + 1)

    def _frame(self, spot: Spot, entry: bool = False) -> Location:
        """The frame base of a function at an instruction, as a place in memory; at entry as one counted from
        the call frame address, by where the register that it will be in is in most of the function."""
        base = spot.home.holding('DW_AT_frame_base').values.get('DW_AT_frame_base')
        operations = self._places.operations(spot.home.unit, base)
        is_cfa = [operation.op_name for operation in operations] == ['DW_OP_call_frame_cfa']
        if is_cfa or isinstance(base, int) and spot.home.unit.is_gnu:   # DWARF 2, convert_cfa_to_fb_loc_list
            return Location('frame') if entry else self._frames.cfa(spot.address)
        found = self._places.place(operations, gone('it has no frame base')) if operations else gone('')
        if found.how != 'register':
            return gone('where its frame is, is not known') if entry or not operations else found
        address = (self._frames.usual if entry else self._frames.cfa)(spot.address)
        place = Location('memory', found.number)
        if address.how != 'memory' or address.number != found.number:   # clang's frame pointer, not one yet
            return gone('its frame is not set up, or not any more, at this instruction')
        if entry:
            return Location('frame', offset=-address.offset)
        if self._is_stack(place) and not self._frames.usual_stack(spot.address):
            return gone('the stack pointer is elsewhere at this instruction')
        return place

    # other places

    def _elsewhere(self, die: Die, spot: Spot) -> str:
        """The nearest places where a variable can be had that cannot be here, for the message."""
        holder = die.holding('DW_AT_location')
        if 'DW_AT_location' not in holder.shape.forms:
            return ''
        places, offset = self._places.of(holder), die.offset
        declaring = (scope for scope in spot.scope.whole()
                     if any(other.offset == offset for other in scope.variables))
        declared = next(declaring, spot.scope).ranges
        known = ((start, end) for start, end, operations in places if start is not None and end is not None
                 and self._places.place(operations, Location('frame')).how != 'gone')
        within = [(max(start, low), min(end, high)) for start, end in known for low, high in declared]
        within.sort(key=lambda pair: min(abs(pair[0] - spot.address), abs(pair[1] - spot.address)))
        meant = ((start, end) for start, end in within
                 if start < end and self._meant(spot._replace(address=start), die))
        ranges = list(itertools.islice(meant, 4))
        if not ranges:
            return '' if any(start is None for start, _, _ in places) else ', and nowhere in this copy'
        return f'; it can be had at {first_of(list(itertools.starmap(self._range_text, ranges)), 3)}'

    def _meant(self, spot: Spot, die: Die) -> bool:
        """Say whether at that place the name of a variable means this one."""
        source, (own, others) = die.origin, self._visible(spot)
        sources, name = (other.origin for other in (*own, *others)), source.name
        return next((other for other in sources if other.name == name), source).offset == source.offset

    def _range_text(self, start: int, end: int) -> str:
        """A range as a place to type, and the offset it ends before."""
        symbol = self._executable.symbol_at(start)
        if symbol is None:
            return f'{start:#x}'
        return f'{symbol.name}+{start - symbol.address} (until +{end - symbol.address})'

    def changes(self, spot: Spot) -> list[int]:
        """The addresses in a function at which a variable, its place, or what is in scope may change."""
        found = {self._prologue_end(spot.home), *(start for start, _, _ in self._frames.rows(spot.address))}
        for scope in spot.scope.whole():
            found.update(address for pair in scope.ranges for address in pair)
            found.update(address or 0 for die in scope.variables
                         for place in self._places.of(die.holding('DW_AT_location')) for address in place[:2])
        return sorted(found)


class Dwarf(TypeInfo):
    """DWARF 2 to 5 of one file. `shared` is a file that several have entries in (dwz); `code` has the code
    where this one is apart from it."""

    def __init__(self, executable: Executable, shared: Dwarf | None = None,
                 code: Executable | None = None) -> None:
        self.executable, self.path, self.arch = executable, executable.path, executable.arch
        with reading(self.path):
            self.entries: Entries = Entries(executable, shared.entries if shared else None,
                                            program=code.path if code else '')
        places, self.lines = Places(self.entries), Lines(self.entries)
        self.scopes = Scopes(self.entries, places, self.lines)
        self._types = DwarfTypes(self.entries, places)
        self.declarations = Declarations(self.entries, self._types)
        self._variables = Variables(self._types, places, self.scopes, code)
        read = reading(self.path)                                       # a decorator of what follows
        self.files_like = read(self.lines.files_like)
        self.short_path, self.rows_in = read(self.lines.short_path), read(self.scopes.rows_in)
        self.spot_at, self.line_spots = read(self.scopes.spot_at), read(self.scopes.in_line)
        self.function_line, self.inlined_at = read(self.scopes.in_function), read(self.scopes.inlined_at)
        self.copies, self.copies_near = read(self.scopes.copies), read(self.scopes.copies_near)
        self.function_here, self.changes_in = read(self._variables.at), read(self._variables.changes)

    @property
    def unread(self) -> str:
        """Why entries that the file should have are not read, for a message."""
        with reading(self.path):
            found = next(reversed(self.entries.missing), '')
            if not found and next(tables(self.entries.info, self.entries.mark, wide=True), None) is not None:
                return '64-bit DWARF (-gdwarf64) is not read; '
            return f'{found} (-gsplit-dwarf) {self.entries.missing[found]}; ' if found else ''

    def source_at(self, address: int) -> str:
        """The path, as compiled, of the source file whose unit holds the address; '' if no unit does."""
        with reading(self.path):
            unit = self.scopes.unit_at(address)
            return unit.top.name if unit else ''

    def same_source(self, one: int, other: int) -> bool:
        """Say whether the code at two addresses is, as far as is known, of one function of the source."""
        spots = self.spot_at(one), self.spot_at(other)
        return len({(spot.function, spot.file, spot.line) for spot in spots if spot}) < 2

    @staticmethod
    def first_of_each(spots: Sequence[Spot]) -> list[Spot]:
        """Of the places of a line the first in each copy of its function."""
        best: dict[Any, Spot] = {}
        for spot in sorted(spots, key=lambda spot: spot.scope.rank(spot.address)):
            best.setdefault(spot.scope.die.offset if spot.scope.die is not None else spot.function, spot)
        return sorted(best.values(), key=lambda spot: spot.address)

    # see TypeInfo

    def _symbol(self, name: str, code: bool) -> Symbol | None:
        """The symbol of a function (or of a variable) that is the only one of its name."""
        found = [symbol for symbol in self.executable.symbols(name) if symbol.code == code]
        return found[0] if len(found) == 1 else None

    def function(self, name: str, address: int | None = None, offset: int = 0) -> Function | None:
        """See TypeInfo; a compiler's copy (`f.isra.0`) has the source's prototype and its own locations."""
        with reading(self.path):
            if address is None:
                symbol = self._symbol(name, True)
                if symbol is None:
                    return None
                address = symbol.address
            if not offset:
                return self._variables.at_entry(name, address)
            spot = self.scopes.spot_at(address + offset)
            return self._variables.at(spot) if spot else None

    def named(self, keyword: str, name: str, function: Function | None = None) -> Type | None:
        """See TypeInfo; definitions that differ between files are refused unless the function's has one."""
        with reading(self.path):
            symbol = self._symbol(function.home or function.name, True) if function else None
            unit = self.scopes.unit_at(symbol.address) if symbol else None
            return self._types.named(keyword, name, function.scope if function else (), unit)

    def variable(self, name: str) -> Variable | None:
        """See TypeInfo; a name that several files have for variables of their own gives None."""
        with reading(self.path):
            symbol = self._symbol(name, False)
            if symbol is None:
                return None
            type_ = self._types.variable(name, symbol.address)
            return Variable(name, type_ or Void(), 'percpu' in symbol.section)

    def function_names(self) -> Iterable[str]:
        """See TypeInfo: those with a symbol."""
        return self.executable.function_symbols

    def prototypes(self, pattern: str, taken: str = '') -> Iterable[Prototype]:
        with reading(self.path):
            return self.declarations.prototypes(name_test(pattern), re.findall(r'\w+', taken)[-1:], taken,
                                                () if GLOB.search(pattern) else (pattern,))

    def type_names(self, keywords: Sequence[str], prefix: str) -> Iterable[str]:
        with reading(self.path):
            tags = [tag for keyword in keywords for tag in KEYWORD_TAGS[keyword]]
            yield from self.declarations.type_names(tags, prefix)


# ---- BTF ---------------------------------------------------------------------------------------------------

# include/uapi/linux/btf.h: words behind the three of struct btf_type, and words for each of vlen elements.
BTF_KINDS = ('void int ptr array struct union enum fwd typedef volatile const restrict func func_proto var '
             'datasec float decl_tag type_tag enum64').split()
BTF_WORDS = {'int': (1, 0), 'array': (3, 0), 'struct': (0, 3), 'union': (0, 3), 'enum': (0, 2),
             'func_proto': (0, 2), 'var': (1, 0), 'datasec': (0, 3), 'decl_tag': (1, 0), 'enum64': (0, 3)}
BTF_QUALIFIERS = ('const', 'volatile', 'restrict')
BTF_TRANSPARENT = ('typedef', 'type_tag', *BTF_QUALIFIERS)      # which bare() leaves out
BTF_MAGIC = {b'\x9f\xeb': '<', b'\xeb\x9f': '>'}                # 0xeb9f, and the byte order as struct has it
BTF_DEFINING = {'enum': ('enum', 'enum64')}                     # of a C keyword that is not itself the kind


class BtfRecord(NamedTuple):
    """A struct btf_type: `value` is its size or type, `words` are those behind it."""
    kind: str
    name: str
    vlen: int
    flag: bool
    value: int
    words: Sequence[int]

    @property
    def keyword(self) -> str:
        """The C keyword of a struct, union or enum, or of the declaration of one; else ''."""
        if self.kind == 'fwd':
            return 'union' if self.flag else 'struct'
        return self.kind.replace('64', '') if self.kind in ('struct', 'union', 'enum', 'enum64') else ''

    def elements(self, size: int) -> Iterator[tuple[int, ...]]:
        """The words in groups of that size: (name, type) of parameters, (name, value) of enumerators, (name,
        type, offset) of members, (name, low, high) of 64-bit enumerators."""
        return zip(*[iter(self.words)] * size)


class BtfLengths(dict[int, int]):
    """The words of a type by its info word; few of these differ."""

    def __missing__(self, info: int) -> int:
        fixed, each = BTF_WORDS.get(BTF_KINDS[info >> 24 & 0x1f], (0, 0))
        self[info] = 3 + fixed + (info & 0xffff) * each
        return self[info]


def btf_parts(data: Bytes, path: str) -> tuple[str, Bytes, bytes]:
    """The byte order, the types and the strings of BTF."""
    order = BTF_MAGIC.get(bytes(data[:2]))
    if len(data) < 24 or not order:
        raise DebugInfoError(f'{path}: no BTF (its first two bytes are not eb9f)')
    version, _, header, *places = struct.unpack_from(order + 'BBIIIII', data, 2)
    types, types_size, strings, strings_size = places
    if version != 1 or header < 24 or max(types + types_size, strings + strings_size) + header > len(data):
        raise DebugInfoError(f'{path}: BTF of version {version} that is damaged or cut short')
    types, strings = header + types, header + strings
    return order, data[types:types + types_size], bytes(data[strings:strings + strings_size])


def is_split_btf(data: bytes) -> bool:
    """Tell whether it is BTF on top of another, whose strings alone begin with the empty one."""
    with contextlib.suppress(DebugInfoError):
        return btf_parts(data, '')[2][:1] not in (b'\0', b'')
    return False


class Btf(TypeInfo):
    """BTF (Documentation/bpf/btf.rst) of a kernel, or of a module on top of its kernel's (`base`). One pass
    over the types gives where each begins; names are searched for when asked for."""

    def __init__(self, data: Bytes, path: str, arch: Arch, base: Btf | None = None) -> None:
        self.data, self.path, self.arch, self._base = data, path, arch, base
        order, types, strings = btf_parts(data, path)
        self._strings = b'\0' + strings if base else strings        # so that each name stands behind a NUL
        self._first_string: int = base._first_string + len(base._strings) - 1 if base else 0
        self._first_id: int = base._first_id + len(base._offsets) if base else 1
        self._words = array.array('I')
        self._words.frombytes(types[:len(types) & ~3])
        if (order == '<') != (sys.byteorder == 'little'):
            self._words.byteswap()
        self._lengths = BtfLengths()
        self._offsets: list[int] = self._index()
        self._types: dict[int, Written] = {}
        if base:
            self._check_base(base)

    def _damaged(self, how: str) -> DebugInfoError:
        return DebugInfoError(f'{self.path}: the file is damaged, or not what it seems ({how})')

    def _index(self) -> list[int]:
        """Where each type begins, in words; the end is noticed only when it has passed, which is faster."""
        words, lengths, at, offsets = self._words, self._lengths, 0, [0]
        append = offsets.append
        with contextlib.suppress(IndexError):
            while True:
                at += lengths[words[at + 1]]
                append(at)
        if offsets.pop() != len(words):
            raise self._damaged('its last type is cut short, or one is of an unknown kind')
        return offsets

    def _check_base(self, base: Btf) -> None:
        """Refuse BTF made on top of another: its numbers would mean other types. On the right one each name
        begins where a string does, and each function has a prototype."""
        for at in self._offsets:
            name, info, type_ = self._words[at:at + 3]
            start = name - self._first_string
            before = self._strings[start - 1:start] if start > 0 else base._strings[name - 1:name] or b'\0'
            function = BTF_KINDS[info >> 24 & 0x1f] == 'func'
            if before != b'\0' or function and self._record(type_).kind != 'func_proto':
                raise DebugInfoError(
                    f'{self.path}: its BTF was made for another kernel than that of {base.path}')

    # one type

    def _record(self, number: int) -> BtfRecord:
        """The type of that number, of its base too."""
        if number == 0:
            return BtfRecord('void', '', 0, False, 0, ())
        if number < self._first_id and self._base:
            return self._base._record(number)
        if not 0 <= number - self._first_id < len(self._offsets):
            raise self._damaged(f'no type has the number {number}')
        at = self._offsets[number - self._first_id]
        name, info, value = self._words[at:at + 3]
        words = self._words[at + 3:at + self._lengths[info]]
        kind = BTF_KINDS[info >> 24 & 0x1f]
        return BtfRecord(kind, self._string(name), info & 0xffff, bool(info >> 31), value, words)

    def _of_kind(self, *kinds: str) -> Iterator[tuple[int, int]]:
        """(number, where its words begin) of its own types of those kinds."""
        wanted = {BTF_KINDS.index(kind) for kind in kinds}
        for number, at in enumerate(self._offsets, self._first_id):
            if self._words[at + 1] >> 24 & 0x1f in wanted:
                yield number, at

    def _string(self, offset: int) -> str:
        if offset < self._first_string and self._base:
            return self._base._string(offset)
        start = offset - self._first_string
        end = self._strings.find(b'\0', start)
        if end < 0:
            raise self._damaged(f'no string begins at {offset}')
        return self._strings[start:end].decode(errors='replace')

    def _lazy(self, number: int) -> Callable[[], Written]:
        return functools.partial(self._type, number)

    def _type(self, number: int) -> Written:
        if number not in self._types:
            distilled = isinstance(self._base, DistilledBtf) and number < self._first_id
            owner = self._base if self._base and distilled else self
            self._types[number] = owner._read_type(number)
        return self._types[number]

    def _read_type(self, number: int) -> Written:
        kind, name, _, flag, value, words = record = self._record(number)
        if kind == 'typedef':
            return Alias(name, self._lazy(value))
        if kind in BTF_QUALIFIERS:
            return Qualified(kind, self._lazy(value))
        if kind == 'type_tag':
            return self._type(value)
        if kind == 'int':
            return self._integer(record)
        if kind in ('struct', 'union'):
            members = functools.cache(functools.partial(self._members, record))
            return Struct(kind, name, value, members)
        if kind == 'ptr':
            return Pointer(self.arch.word, self._lazy(value))
        if kind == 'array':
            return Array(self._lazy(words[0]), words[2] or None)
        if kind in ('enum', 'enum64'):
            signed = flag or any(v < 0 for _, v in self._enumerators(record))
            return Enum(name, value, signed, functools.partial(self._enumerators, record))
        if kind == 'float':
            return Float(name, value, 'complex' not in name)
        if kind == 'fwd':
            return Alias(f'{record.keyword} {name}', functools.partial(self._forward, record.keyword, name))
        return self._prototype('', record) if kind == 'func_proto' else Void()

    def _integer(self, record: BtfRecord) -> Type:
        name, signed = record.name, bool(record.words[0] >> 24 & 1)
        if re.search(r'\b(float|double|_Float\d+x?)\b', name):        # which pahole calls integers by default
            return Float(name, record.value, 'complex' not in name)
        if name == '__SANITIZED_FAKE_INT__':                          # of 12 bytes and the like, by pahole
            return Void(name)
        if name in ('char', 'signed char'):
            signed = signed or name == 'signed char' or self._plain_char_signed()
        return Int(name, record.value, signed)

    def _plain_char_signed(self) -> bool:
        """Tell whether a char without the flag has a sign. Where `signed char` has the flag, pahole knew: no
        (Linux is built with -funsigned-char since 6.2); else as always on this architecture."""
        if any(self._record(number).words[0] >> 24 & 1 for number in self._numbered('signed char', ('int',))):
            return False
        plain = plain_type('char', self.arch)
        return isinstance(plain, Int) and plain.signed

    def _forward(self, keyword: str, name: str) -> Type:
        """A declaration: its definition if this or the base BTF has one."""
        def none() -> NoReturn:
            raise DebugInfoError(f"'{keyword} {name}' is declared, but defined nowhere in {self.path}")
        return self.named(keyword, name) or Struct(keyword, name, None, none)

    def _members(self, record: BtfRecord) -> tuple[Member, ...]:
        """With kind_flag an offset is a bit-field's width in 8 bits and its bit in 24; else it is the bit."""
        members = []
        for name, type_, bit in record.elements(3):
            width, bit = (bit >> 24, bit & 0xffffff) if record.flag else self._old_bit_field(type_, bit)
            members.append(Member(self._string(name), self._lazy(type_), bit, width or None))
        return tuple(members)

    def _old_bit_field(self, number: int, bit: int) -> tuple[int, int]:
        """Without kind_flag a bit-field's width and shift stand in its INT (btf.rst, 2.2.4)."""
        record = self._record(number)
        for _ in range(64):
            record = self._record(record.value) if record.kind in BTF_TRANSPARENT else record
        if record.kind != 'int':
            return 0, bit
        width, shift = record.words[0] & 0xff, record.words[0] >> 16 & 0xff
        return (width, bit + shift) if width != 8 * record.value or bit % 8 else (0, bit)

    def _enumerators(self, record: BtfRecord) -> tuple[tuple[str, int], ...]:
        bits, raw = 32, list(record.elements(2))
        if record.kind == 'enum64':
            bits, raw = 64, [(name, low | high << 32) for name, low, high in record.elements(3)]
        signed = record.flag or any(value == 0xffffffff for _, value in raw)    # the only sign before Linux 6
        sign = 1 << bits - 1 if signed else 0
        return tuple((self._string(name), (value ^ sign) - sign) for name, value in raw)

    # by name

    def _texts(self, name: str) -> Iterator[int]:
        """Where the name stands in its strings, and in those of its base."""
        for before in occurrences(self._strings, b'\0' + name.encode() + b'\0'):
            yield before + 1 + self._first_string
        if self._base:
            yield from self._base._texts(name)

    def _numbered(self, name: str, kinds: tuple[str, ...], own: bool = False) -> Iterator[int]:
        """The numbers of the types of that name and of one of those kinds, those of its base too or not."""
        for text in self._texts(name):
            for at in occurrences(self._names, struct.pack('=I', text)):
                if at % 4 == 0 and self._record(self._first_id + at // 4).kind in kinds:
                    yield self._first_id + at // 4
        if self._base and not own:
            yield from self._base._numbered(name, kinds)

    @functools.cached_property
    def _names(self) -> bytes:
        """Where the name of each of its own types is, four bytes each."""
        return array.array('I', [self._words[at] for at in self._offsets]).tobytes()

    def function(self, name: str, address: int | None = None, offset: int = 0) -> Function | None:
        """See TypeInfo. BTF has no addresses: the prototype is that of the source, so a compiler's copy
        (`f.isra.0`) or a place inside the function has no parameters that could be trusted."""
        with reading(self.path):
            functions = self._numbered(name.split('.')[0], ('func',), own=True)
            numbers = dict.fromkeys(self._record(number).value for number in functions)
            prototypes = [self._prototype(name, self._record(number)) for number in numbers]
            if not prototypes:
                return None
            if len(prototypes) > 1 and len({spell(prototype) for prototype in prototypes}) > 1:
                why = 'BTF has two functions of that name'
            elif is_changed_copy(name):
                why = 'the compiler changed the parameters of this copy, and only DWARF tells how'
            elif offset:
                why = 'only DWARF tells where it is inside a function'
            else:
                return prototypes[0]
            parameters = tuple(each._replace(location=gone(why)) for each in prototypes[0].parameters)
            return prototypes[0]._replace(parameters=parameters, changed=is_changed_copy(name))

    def _prototype(self, name: str, record: BtfRecord) -> Function:
        """The function of a FUNC_PROTO; where others may follow, its last parameter is (0, 0)."""
        pairs = list(record.elements(2))
        variadic = pairs[-1:] == [(0, 0)]
        pairs = pairs[:len(pairs) - variadic]
        parameters = tuple(Parameter(self._string(text), self._lazy(type_)) for text, type_ in pairs)
        return Function(name, self._lazy(record.value), parameters, variadic)

    def named(self, keyword: str, name: str, function: Function | None = None) -> Type | None:
        """See TypeInfo; two definitions that differ are refused, since BTF does not say whose they are."""
        with reading(self.path):
            kinds = BTF_DEFINING.get(keyword, (keyword,)) if keyword else ('typedef', 'int', 'float')
            types = [bare(self._type(number)) for number in self._numbered(name, kinds)]
            if differ(types):
                wanted = f'{keyword} {name}'.strip()
                raise InputError(
                    f"'{wanted}' has several definitions in the kernel, and BTF does not say which file has "
                    'which; reach it through a member or a parameter of that type')
            return types[0] if types else None

    def variable(self, name: str) -> Variable | None:
        """See TypeInfo; BTF has only the per-cpu ones, unless the kernel was built to have all."""
        for number in self._numbered(name, ('var',)):
            return Variable(name, bare(self._type(self._record(number).value)), self._is_per_cpu(number))
        return None

    def _is_per_cpu(self, variable: int) -> bool:
        if self._base and variable < self._first_id:
            return self._base._is_per_cpu(variable)
        sections = (self._record(number) for number, _ in self._of_kind('datasec'))
        return any('percpu' in section.name and variable in section.words[::3] for section in sections)

    def prototypes(self, pattern: str, taken: str = '') -> Iterable[Prototype]:
        """See TypeInfo; BTF has only functions with code of their own."""
        with reading(self.path):
            seen, wanted = set(), name_test(pattern)
            pointing = self._pointing(re.findall(r'\w+', taken)[-1]) if taken else set()
            for _, at in self._of_kind('func'):
                name, prototype = self._string(self._words[at]), self._words[at + 2]
                if not name or not wanted(name):
                    continue
                if taken and not pointing.intersection(self._record(prototype).words[1::2]):
                    continue
                function = self._prototype(name, self._record(prototype))
                found = declaration(function, name)
                if found not in seen and takes(function, taken):
                    seen.add(found)
                    yield Prototype(name, found)

    def _pointing(self, name: str) -> set[int]:
        """The types of that name, and those that point to one or qualify one."""
        inner = self._of_kind('ptr', 'type_tag', *BTF_QUALIFIERS)
        edges = [(number, self._words[at + 2]) for number, at in inner]
        found = set(self._numbered(name, tuple(BTF_KINDS)))
        if self._base:
            found |= self._base._pointing(name)
        before = -1
        while before != len(found):
            before = len(found)
            found.update(number for number, below in edges if below in found)
        return found

    def type_names(self, keywords: Sequence[str], prefix: str) -> Iterable[str]:
        kinds = {kind for keyword in keywords for kind in BTF_DEFINING.get(keyword, (keyword or 'typedef',))}
        names = {self._string(self._words[at]) for _, at in self._of_kind(*kinds)}
        yield from (name for name in names if name and name.startswith(prefix))
        if self._base:
            yield from self._base.type_names(keywords, prefix)

    def function_names(self) -> Iterable[str]:
        return [self._string(self._words[at]) for _, at in self._of_kind('func')]


class DistilledBtf(Btf):
    """The names and sizes of its kernel's types that a module built outside the kernel's tree keeps
    (.BTF.base, Linux 6.11). The definitions are the kernel's own, where name and size agree."""

    def __init__(self, data: bytes, path: str, arch: Arch, kernel: Btf) -> None:
        super().__init__(data, path, arch)
        self._kernel = kernel

    def _read_type(self, number: int) -> Written:
        record = self._record(number)
        name, keyword, declared = record.name, record.keyword, record.kind == 'fwd'
        if not keyword or not name or record.vlen:
            return super()._read_type(number)
        numbers = self._kernel._numbered(name, BTF_DEFINING.get(keyword, (keyword,)))
        types = [bare(self._kernel._type(found)) for found in numbers]
        if declared and not types:
            return super()._read_type(number)
        fitting = [type_ for type_ in types if declared or size_of(type_) == record.value]
        if not fitting or differ(fitting):
            how = 'has several of' if fitting else 'does not have'
            raise DebugInfoError(f"{self.path}: the module was built with a '{keyword} {name}' that "
                                 f'{self._kernel.path} {how}')
        return fitting[0]


# ---- Debug info --------------------------------------------------------------------------------------------

RUNNING_BTF = '/sys/kernel/btf/vmlinux'
DEBUG_FOLDER = '/usr/lib/debug'
VMLINUX_PLACES = (
    '/usr/lib/debug/boot/vmlinux-{release}', '/usr/lib/debug/lib/modules/{release}/vmlinux',
    '/lib/modules/{release}/vmlinux', '/lib/modules/{release}/build/vmlinux', '/boot/vmlinux-{release}',
    '/usr/lib/debug/boot/vmlinux-{release}.debug', '/usr/lib/debug/vmlinux-{release}')
MODULES_LOADED = '/sys/module'
MODULE_FOLDERS = ('/usr/lib/debug/lib/modules/{release}', '/usr/lib/debug/usr/lib/modules/{release}',
                  '/lib/modules/{release}')
MODULE_ENDINGS = ('.ko.debug', '.ko', '.ko.xz', '.ko.zst', '.ko.gz')


class Kallsyms:
    """The running kernel's symbols. Addresses are 0 to whoever may not see them; names are always there."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def symbols(self, name: str) -> list[Symbol]:
        """The symbols of that name, functions and data, of the kernel and of loaded modules."""
        found = []
        for at in occurrences(self._data, b' ' + name.encode()):
            end = at + 1 + len(name.encode())
            if self._data[end:end + 1] in (b'\n', b'\t'):
                start = self._data.rfind(b'\n', 0, at) + 1
                address, kind, _, *module = self._data[start:self._data.find(b'\n', end)].decode().split()
                found.append(Symbol(name, int(address, 16), 0, kind in 'tTwW', module=''.join(module)[1:-1]))
        return found

    def functions(self, name: str) -> list[Symbol]:
        """The functions of that name."""
        return [symbol for symbol in self.symbols(name) if symbol.code]

    def copies_of(self, name: str) -> list[Symbol]:
        """See Executable."""
        copy = re.compile(rb' (%b(?:\.(?:constprop|isra)\.\d+)+)\s' % re.escape(name.encode()))
        matches = (copy.match(self._data, at) for at in occurrences(self._data, b' ' + name.encode() + b'.'))
        names = sorted({match[1].decode() for match in matches if match})
        return [symbol for name in names for symbol in self.functions(name)]

    def aliases(self, name: str) -> list[str]:
        """The names at the address of that one, where it may be seen: a system call's function has two, of
        which ftrace lists one."""
        found = []
        for address in {symbol.address for symbol in self.symbols(name)} - {0}:
            for at in occurrences(self._data, b'%x ' % address):
                if not self._data[self._data.rfind(b'\n', 0, at) + 1:at].strip(b'0'):
                    found.append(self._data[at:self._data.find(b'\n', at)].decode().split()[2])
        return found

    def beginning(self, prefix: str, code: bool) -> set[str]:
        """The names of functions, or of other symbols, that begin so."""
        kinds = b'tTwW' if code else b'a-su-vx-zA-SU-VX-Z'
        found = re.findall(rb' [%b] (%b[^\s]*)' % (kinds, re.escape(prefix.encode())), self._data)
        return {name.decode(errors='replace') for name in found}

    @functools.cached_property
    def modules(self) -> frozenset[str]:
        """The names of the modules that are loaded."""
        return frozenset(name.decode() for name in re.findall(rb'\t\[([^\]\n]+)\]$', self._data, re.M))

    @functools.cached_property
    def function_symbols(self) -> dict[str, list[Symbol]]:
        """Every function, by name."""
        table: dict[str, list[Symbol]] = {}
        for address, name, module in re.findall(rb'^(\w+) [tTwW] (\S+)(?:\t\[(\S+)\])?$', self._data, re.M):
            text = name.decode(errors='replace')
            if not text.startswith('__pfx_'):           # the padding before a function, never to be probed
                symbol = Symbol(text, int(address, 16), 0, True, module=module.decode())
                table.setdefault(text, []).append(symbol)
        return table


class Symbols:
    """The symbols of a kernel's file and its modules' files, or of a program's file and its debug files, at
    link-time addresses; of one name and address the first file's."""

    def __init__(self, files: Sequence[Executable]) -> None:
        self.files = files
        self.modules = frozenset(file.module for file in files) - {''}

    def symbols(self, name: str) -> list[Symbol]:
        """The defined symbols of that name."""
        return self._first(lambda file: file.symbols(name))

    def every_symbol(self, name: str) -> list[Symbol]:
        """Also the undefined ones."""
        return self._first(lambda file: file.every_symbol(name))

    def functions(self, name: str) -> list[Symbol]:
        """The functions of that name, one an address: by symbols, else as C++'s or Rust's source has them."""
        found = [symbol for symbol in self.symbols(name) if symbol.code]
        found = found or self._first(lambda file: file.named_in_source(name))
        whole = [symbol for symbol in found if demangled(symbol.name) == name]      # f(), not f[abi:cxx11]()
        found = whole or found
        return list({(symbol.module, symbol.address): symbol for symbol in found}.values())

    def names_at(self, address: int) -> set[str]:
        """All names of the function at an address of a program."""
        return {name for file in self.files for table in file.tables for name in table.named_at(address)}

    def copies_of(self, name: str) -> list[Symbol]:
        """See Executable."""
        return self._first(lambda file: file.copies_of(name))

    def symbol_at(self, address: int, code: bool = True) -> Symbol | None:
        """The function (or the object) that has the address."""
        return next(filter(None, (file.symbol_at(address, code) for file in self.files)), None)

    def beginning(self, prefix: str, code: bool) -> set[str]:
        """The names of functions, or of other symbols, that begin so."""
        def begins(name: str) -> bool:
            return name.startswith(prefix)
        found = (symbol for file in self.files for symbol in file.matching(begins))
        return {symbol.name for symbol in found if symbol.code == code}

    def _first(self, ask: Callable[[Executable], list[Symbol]]) -> list[Symbol]:
        found: dict[tuple[str, int, str], Symbol] = {}
        for file in self.files:
            for symbol in ask(file):
                symbol = symbol._replace(module=file.module)
                found.setdefault((symbol.module, symbol.address, symbol.name), symbol)
        return sorted(found.values(), key=lambda symbol: (symbol.module, symbol.address))

    @functools.cached_property
    def function_symbols(self) -> dict[str, list[Symbol]]:
        """Every function, by name."""
        found: dict[str, list[Symbol]] = {}
        for file in self.files:
            for name, symbols in file.function_symbols.items():
                if file.module:
                    symbols = [symbol._replace(module=file.module) for symbol in symbols]
                known = found.setdefault(name, symbols)
                if known is not symbols:
                    places = {(symbol.module, symbol.address) for symbol in known}
                    new = [symbol for symbol in symbols if (symbol.module, symbol.address) not in places]
                    found[name] = known + new
        return found


Source = Callable[[], TypeInfo]


class Module(TypeInfo):
    """A kernel, one of its modules, a program or a library: its symbols, and its sources of types in the
    order in which they are asked; one is opened when those before it had no answer. A module's own functions
    are its only ones, types are then its kernel's."""

    def __init__(self, arch: Arch, symbols: Kallsyms | Symbols | None, sources: Sequence[Source],
                 file: Executable | None = None, path: str = '', build_id: str = '',
                 loaded: bool | None = None) -> None:
        self.arch, self.path = arch, path
        self.symbols = symbols                          # None where only types are known
        self.sources: list[Source] = [functools.cache(source) for source in sources]
        self.file = file                                # has the code
        self.build_id = build_id or (file.build_id if file else '')             # '' where nothing tells it
        self.base: Module | None = None                 # a module's kernel
        self.loaded = loaded                            # None where that is not the running one
        self.unread = ''                                # a file whose DWARF would be read with pyelftools
        self.given: tuple[str, ...] = ()                # modules whose files were named
        self.printed: Callable[[str], Type | None] = lambda name: None      # the type of SYSTEM/EVENT.FIELD
        self._modules: Callable[[str], Module] = lambda name: Module(self.arch, self.symbols, ())

    def module(self, name: str) -> Module:
        """The module of that name of this kernel; the kernel itself for ''."""
        if not name:
            return self
        found = self._modules(name)
        found.base = self
        return found

    def with_modules(self, find: Callable[[str], Module]) -> Module:
        """This kernel, whose modules are found so."""
        self._modules = functools.cache(find)
        return self

    def _first(self, ask: Callable[[TypeInfo], Any]) -> Any:
        answers = (ask(source()) for source in self.sources)
        return next((answer for answer in answers if answer is not None), None)

    def function(self, name: str, address: int | None = None, offset: int = 0) -> Function | None:
        """See TypeInfo; `address` is for DWARF only, the others have none. What DWARF tells nothing of, an
        assembler's, pahole makes void f(void) in BTF."""
        for number, source in enumerate(self.sources):
            found = source().function(name, address, offset)
            untold = found is None or not found.parameters and isinstance(found.returns(), Void)
            if found is not None and not (number and untold and isinstance(source(), Btf)):
                return found
        return None

    def named(self, keyword: str, name: str, function: Function | None = None) -> Type | None:
        """See TypeInfo; 'SYSTEM/EVENT.FIELD' is what an event prints by name."""
        if '/' in name:
            return (self.base or self).printed(name)
        found: Type | None = self._first(lambda source: source.named(keyword, name, function))
        return self.base.named(keyword, name) if self.base and not found else found

    def variable(self, name: str) -> Variable | None:
        found: Variable | None = self._first(lambda source: source.variable(name))
        return self.base.variable(name) if self.base and not found else found

    def function_names(self) -> Iterable[str]:
        if self.symbols is not None:
            return self.symbols.function_symbols
        return sorted({name for source in self.sources for name in source().function_names()})

    def prototypes(self, pattern: str, taken: str = '') -> Iterable[Prototype]:
        """See TypeInfo: those of the first source."""
        return self.sources[0]().prototypes(pattern, taken) if self.sources else ()

    def type_names(self, keywords: Sequence[str], prefix: str) -> Iterable[str]:
        """See TypeInfo: those of the first source."""
        return self.sources[0]().type_names(keywords, prefix) if self.sources else ()

    @functools.cached_property
    def linked(self) -> Symbols | None:
        """The symbols at link-time addresses, where a file tells these."""
        if self.base:
            return Symbols([self.file]) if self.file else None
        if isinstance(self.symbols, Symbols):
            return self.symbols
        return Symbols([self.dwarf.executable]) if self.dwarf else None

    @property
    def executable(self) -> Executable | None:
        """The file that has the code, or at least its symbols."""
        return self.linked.files[0] if self.linked else None

    def functions_named(self, name: str) -> list[Symbol]:
        """The functions of that name, at link-time addresses where a file tells them."""
        table = self.linked or self.symbols
        return table.functions(name) if table else []

    def symbol_at(self, address: int, code: bool = True) -> Symbol | None:
        """The function (or the object) that the link-time address is in."""
        return self.linked.symbol_at(address, code) if self.linked else None

    @property
    def untold(self) -> str:
        """See Dwarf.unread."""
        return self.dwarf.unread if self.dwarf else ''

    @functools.cached_property
    def btf(self) -> Btf | None:
        """The BTF among the sources."""
        return next((source for source in (s() for s in self.sources) if isinstance(source, Btf)), None)

    @functools.cached_property
    def dwarf(self) -> Dwarf | None:
        """The DWARF among the sources."""
        return next((source for source in (s() for s in self.sources) if isinstance(source, Dwarf)), None)


# files and their types


def read_file(path: str, size: int = -1) -> bytes:
    """The bytes of a file that debug information is in, or its first ones."""
    try:
        with open(path, 'rb') as file:
            return file.read(size)
    except OSError as error:
        raise DebugInfoError(f'{path}: {error.strerror}') from None


def build_id_path(build_id: str) -> str:
    """Where distributions put the debug file of a build-id (GDB manual, 18.3)."""
    return f'{DEBUG_FOLDER}/.build-id/{build_id[:2]}/{build_id[2:]}.debug'


def types_in(file: Executable, mode: str, kernel: Module | None = None) -> list[Source]:
    """The DWARF and the BTF of a file, as far as -m allows; of a kernel's module one is enough."""
    sources: list[Source] = []
    has_btf = mode != 'dwarf' and file.size('.BTF')
    if mode != 'btf' and file.size('.debug_info') and (not has_btf or reads_dwarf()):
        sources.append(functools.partial(Dwarf, file))
    if has_btf and not (kernel and sources):
        sources.append(functools.partial(btf_in, file, kernel))
    if not sources:
        wanted = {'dwarf': 'DWARF', 'btf': 'BTF'}.get(mode, 'debug information: neither .debug_info nor .BTF')
        raise DebugInfoError(f'{file.path}: has no {wanted}')
    return sources


def btf_in(file: Executable, kernel: Module | None = None) -> Btf:
    """The BTF in a kernel's file, or in a module's on top of its kernel's or what it kept of that."""
    base, kept = base_btf(kernel, file.path) if kernel else None, bytes(file.contents('.BTF.base'))
    if base and kept:
        base = DistilledBtf(kept, f'{file.path} (.BTF.base)', file.arch, base)
    return Btf(file.contents('.BTF'), file.path, file.arch, base)


def split_btf(path: str, kernel: Module) -> Btf:
    """A file of a module's BTF on top of its kernel's."""
    return Btf(read_file(path), path, kernel.arch, base_btf(kernel, path))


def base_btf(kernel: Module, path: str) -> Btf:
    """The BTF that a module's is on top of."""
    if not kernel.btf:
        raise DebugInfoError(f"{path}: the BTF of a module is on top of its kernel's, and that is not known "
                             'here; name it with -v too')
    return kernel.btf


# the running kernel


def running_build_id(arch: Arch, module: str = '') -> str:
    """The build-id of the running kernel or of a module that is loaded, '' where it tells none."""
    notes = f'{MODULES_LOADED}/{module}/notes/.note.gnu.build-id' if module else '/sys/kernel/notes'
    with contextlib.suppress(DebugInfoError):
        return build_id_of(read_file(notes), arch.order)
    return ''


def running_symbols() -> Kallsyms | None:
    """The running kernel's symbols, where it was built to tell them."""
    return Kallsyms(read_file('/proc/kallsyms')) if os.path.exists('/proc/kallsyms') else None


def find_vmlinux(arch: Arch, release: str) -> Executable | None:
    """A vmlinux with DWARF of exactly the running kernel, where distributions put it."""
    wanted = running_build_id(arch)
    places = [place.format(release=release) for place in VMLINUX_PLACES] + [build_id_path(wanted)]
    return next((file for file in readable_files(places if wanted else ())
                 if file.build_id == wanted and '.debug_info' in file.sections), None)


def running_debug_info(mode: str, arch: Arch, release: str) -> Module:
    """The running kernel: the DWARF of a vmlinux of the same build-id, and the BTF the kernel carries."""
    def no_types() -> TypeInfo:
        missing = {'auto': f'neither a vmlinux with debug information nor {RUNNING_BTF}',
                   'btf': f'no {RUNNING_BTF}', 'dwarf': 'no vmlinux with debug information'}[mode]
        raise SurftraceError(f'{missing} for the running kernel {release}; install its debug package '
                             f'(Debian: linux-image-{release}-dbg) or name a file with -v')
    sources: list[Source] = []
    has_btf = mode != 'dwarf' and os.path.exists(RUNNING_BTF)
    vmlinux = find_vmlinux(arch, release) if mode != 'btf' else None
    if vmlinux and (not has_btf or reads_dwarf()):
        sources.append(functools.partial(Dwarf, vmlinux))
    if has_btf:
        sources.append(lambda: Btf(read_file(RUNNING_BTF), RUNNING_BTF, arch))
    kernel = Module(arch, running_symbols(), sources or [no_types], build_id=running_build_id(arch))
    kernel.unread = vmlinux.path if vmlinux and not reads_dwarf() else ''
    return kernel.with_modules(functools.partial(running_module, mode, kernel, release))


def running_module(mode: str, kernel: Module, release: str, name: str) -> Module:
    """A module of the running kernel: the DWARF of its file, and the BTF that the kernel has of it, or its
    file where it is not loaded."""
    debug, whole = installed_module(name, kernel.arch, release)
    has_btf = mode != 'dwarf' and os.path.exists(RUNNING_BTF)
    wanted = debug if mode != 'btf' and (not has_btf or reads_dwarf()) else None
    sources: list[Source] = [functools.partial(Dwarf, wanted)] if wanted else []
    if has_btf:
        sources += loaded_btf(kernel, name)
        if whole and not is_loaded(name) and whole.size('.BTF'):
            sources.append(functools.partial(btf_in, whole, kernel))
    return Module(kernel.arch, kernel.symbols, sources, whole or debug, loaded=is_loaded(name))


def is_loaded(module: str) -> bool:
    """Tell whether a module is loaded."""
    return os.path.isdir(f'{MODULES_LOADED}/{module}')


def loaded_btf(kernel: Module, name: str) -> list[Source]:
    """The BTF that the running kernel has of a module."""
    path = os.path.join(os.path.dirname(RUNNING_BTF), name)
    return [functools.partial(split_btf, path, kernel)] if os.path.exists(path) else []


def release_of(module: Executable) -> str:
    """The release of the kernel that a module was built for, '' of a debug file."""
    return module.module_info.get('vermagic', '').split(' ')[0]


def installed_module(module: str, arch: Arch, release: str) -> tuple[Executable | None, Executable | None]:
    """(the file with DWARF, the file that would be loaded) of a module: those of the build-id that the loaded
    one has, or of the one that is installed for this release."""
    folders = [folder.format(release=release) for folder in MODULE_FOLDERS]
    dependencies = f'{folders[-1]}/modules.dep'                         # modules.dep(5): all installed ones
    listed = read_file(dependencies).decode(errors='replace') if os.path.exists(dependencies) else ''
    file_name = re.escape(module).replace('_', '[-_]')                  # a '-' in it is a '_' in the module's
    stem = re.search(rf'^(?:.*/)?{file_name}(?=\.ko(?:\.\w+)?:)', listed, re.M)
    paths = [f'{folder}/{stem[0]}{ending}' for folder in folders for ending in MODULE_ENDINGS] if stem else []
    files = list(readable_files(paths))
    installed = [file for file in files if file.path.startswith(folders[-1] + '/')]
    whole = next((file for file in installed if release_of(file) == release), None)
    wanted = whole.build_id if whole else ''
    if is_loaded(module):
        wanted = running_build_id(arch, module)
    if not wanted:
        return None, None
    files += readable_files([build_id_path(wanted)])
    same = [file for file in files if file.build_id == wanted]
    debug = next((file for file in same if file.size('.debug_info')), None)
    return debug, whole if whole in same else None


# files given by name


def given_debug_info(path: str, mode: str, asked: Arch | None, arch: Arch) -> Module:
    """The debug information of one file: an ELF with DWARF or .BTF, of the architecture that was asked for,
    or raw BTF, which is taken to be of `arch`."""
    inside = unpacked(path)
    head = inside[:4] or read_file(path, 4)
    if head[:2] in BTF_MAGIC:
        if mode == 'dwarf':
            raise InputError(f'{path} is BTF, but -m dwarf was asked for')
        return Module(arch, None, [lambda: Btf(inside or read_file(path), path, arch)], path=path)
    if head != b'\x7fELF':
        raise DebugInfoError(f'{path}: neither an ELF file nor BTF')
    file = Executable(path, inside)
    if asked and asked != file.arch:
        raise InputError(f'{path} is for {file.arch.name}, but -a {asked.name} was asked for')
    symbols = Symbols([file]) if '.symtab' in file.sections else None
    module = Module(file.arch, symbols, types_in(file, mode), file, path)
    module.unread = path if mode == 'auto' and file.size('.debug_info') and not reads_dwarf() else ''
    return module


def given_debug_files(paths: Sequence[str], mode: str, asked: Arch | None, arch: Arch, release: str,
                      running: Callable[[], Module]) -> Module:
    """The debug information of the files of -v: one of a kernel (or a folder that has it), else that of the
    running one; and those of modules."""
    paths = [file_of_release(path, release) if os.path.isdir(path) else path for path in paths]
    objects = [file for file in readable_files(paths) if file.is_object]
    split = [path for path in paths if read_file(path, 2) in BTF_MAGIC and is_split_btf(read_file(path))]
    others = {*split, *(file.path for file in objects)}
    kernels = [given_debug_info(path, mode, asked, arch) for path in paths if path not in others]
    if len(kernels) > 1:
        raise InputError(f"-v {kernels[1].path}: {kernels[0].path} is a kernel's file too; one kernel and "
                         'its modules can be named')
    kernel = kernels[0] if kernels else running()
    for file in objects:
        if file.arch != kernel.arch:
            raise InputError(f'{file.path} is for {file.arch.name}, and the kernel for {kernel.arch.name}')
    if isinstance(kernel.symbols, Symbols):                         # the running kernel's stay those it has
        kernel.symbols = Symbols([*kernel.symbols.files, *objects])
    given = {file.module: Module(kernel.arch, kernel.symbols, types_in(file, mode, kernel), file)
             for file in objects}
    for path in split:
        source = functools.partial(split_btf, path, kernel)
        name = os.path.basename(path).split('.')[0].replace('-', '_')
        given[name] = Module(kernel.arch, kernel.symbols, [source])
    find, kernel.given = kernel._modules, tuple(given)
    for name, module in given.items():
        module.loaded = find(name).loaded
    return kernel.with_modules(lambda name: given.get(name) or find(name))


def file_of_release(folder: str, release: str) -> str:
    """The file in a folder of kernels' files whose name has that release (6.1.0.btf), or the only one."""
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_file()]
    except OSError as error:
        raise DebugInfoError(f'{folder}: {error.strerror}') from None
    has_release = re.compile(rf'(?<![\w.]){re.escape(release)}(?=$|\.(btf|debug|elf|gz|xz|zst))')
    fitting = [name for name in names if has_release.search(name)]
    if len(fitting) == 1 or len(names) == 1 and not fitting:
        return os.path.join(folder, (fitting or names)[0])
    listed = ', '.join(sorted(fitting or names)[:6]) or 'nothing'
    count = f"{len(fitting) or 'no'} file{'s' * (len(fitting) != 1)}"
    raise DebugInfoError(f'-v {folder}: {count} there for {release}; there is {listed}')


# debuginfod


LARGEST_ANSWER = 4 << 30                    # of a server: no kernel's debug file has a quarter of it


class Debuginfod(NamedTuple):
    """The servers to be asked, in order, which learn a build-id and a section's name, no more; and the folder
    in which debuginfod's clients keep what they have fetched (debuginfod_find_debuginfo(3)), all that
    surftrace writes but in tracefs: BUILDID/debuginfo, BUILDID/section-NAME."""
    urls: tuple[str, ...]
    folder: str
    timeout: float                                  # seconds; less than 100 kB in these is a stall
    progress: Callable[[str, int, int], None]       # of what, bytes so far (-1: broken off), in all, or 0

    def find(self, build_id: str, what: str, check: Callable[[str], None], reasons: list[str]) -> str | None:
        """The path of 'debuginfo' or 'section/NAME' of a build-id, None where no server has it; why each has
        not is added to `reasons`."""
        path = os.path.join(self.folder, build_id, what.replace('/', '-'))
        if os.path.exists(path) and os.path.getsize(path):      # an empty one says that nobody had it then
            with contextlib.suppress(DebugInfoError):
                check(path)
                return path
        for url in self.urls:
            try:
                self._fetch(f"{url.rstrip('/')}/buildid/{build_id}/{what}", what, path, check)
                return path
            except DebugInfoError as error:
                self.progress(what, -1, 0)
                reasons.append(str(error).replace(path, url))
        return None

    def _fetch(self, address: str, what: str, path: str, check: Callable[[str], None]) -> None:
        """Make the file, which gets its name when it is whole and `check` finds nothing wrong with it; else
        no part of it stays."""
        import tempfile
        folder, name = os.path.split(path)
        temporary = ''
        try:
            os.makedirs(folder, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=f'{name}.', dir=folder)
            with os.fdopen(descriptor, 'wb') as file:
                self._receive(address, what, file)
            check(temporary)
            os.replace(temporary, path)
        except OSError as error:
            raise DebugInfoError(f'{path}: {error.strerror or error}') from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def _receive(self, address: str, what: str, file: Any) -> None:
        """Write what is at the address into the file; where it breaks, ask for the rest while more comes."""
        import http.client
        while True:
            before = file.tell()
            try:
                self._receive_from(address, what, file)
                return
            except (OSError, http.client.HTTPException, ValueError) as error:
                code = getattr(error, 'code', 0)
                if code == 404:
                    raise DebugInfoError(f'{address}: not there') from None
                if code or file.tell() <= before:
                    reason = getattr(error, 'reason', error)
                    text = getattr(reason, 'strerror', '') or reason or 'broken off'
                    raise DebugInfoError(f'{address}: {text}') from None

    def _receive_from(self, address: str, what: str, file: Any) -> None:
        """One request, for what is behind the file's end; where the server sends the whole again, for all."""
        import time
        headers = {'Range': f'bytes={file.tell()}-'} if file.tell() else {}
        with open_url(address, headers, self.timeout) as response:
            rest = str(response.headers.get('Content-Range')).startswith(f'bytes {file.tell()}-')
            if file.tell() and not (response.status == 206 and rest):
                file.seek(0)
                file.truncate()
            length = response.headers.get('Content-Length')
            total, mark, since = file.tell() + int(length) if length else 0, file.tell(), time.monotonic()
            for data in iter(lambda: response.read1(1 << 16), b''):
                file.write(data)
                if max(total, file.tell()) > LARGEST_ANSWER:
                    raise DebugInfoError(f'{address}: more than {LARGEST_ANSWER >> 30} GB')
                self.progress(what, file.tell(), total)
                if time.monotonic() - since > self.timeout:
                    if file.tell() - mark < 100_000:
                        raise DebugInfoError(f'{address}: less than 100 kB in {self.timeout:g} seconds')
                    mark, since = file.tell(), time.monotonic()
            if total and file.tell() != total:
                raise ValueError(f'broken off after {file.tell()} of {total} bytes')
        if not total:
            self.progress(what, file.tell(), file.tell())


def open_url(address: str, headers: dict[str, str], timeout: float) -> Any:
    """The answer to a request by http or https alone, also where a server sends us on."""
    from urllib import request
    opener = request.OpenerDirector()
    for handler in (request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, request.UnknownHandler,
                    request.HTTPRedirectHandler, request.HTTPDefaultErrorHandler, request.HTTPErrorProcessor):
        opener.add_handler(handler())
    headers = {'User-Agent': f'surftrace/{__version__}', **headers}
    return opener.open(fullurl=request.Request(address, headers=headers), timeout=timeout)


def remote_debug_info(servers: Debuginfod, build_id: str, arch: Arch, lines: bool, running: bool) -> Module:
    """The kernel of that build-id: its .BTF, unless `lines` needs DWARF; else its whole debug file."""
    def check_btf(path: str) -> None:
        Btf(read_file(path), path, arch)
    reasons: list[str] = []
    symbols: Kallsyms | Symbols | None = running_symbols() if running else None
    btf = servers.find(build_id, 'section/.BTF', check_btf, reasons) if not lines else None
    file = remote_file(servers, build_id, reasons) if not btf else None
    if btf:
        kernel = Module(arch, symbols, [lambda: Btf(read_file(btf), btf, arch)], build_id=build_id)
    elif file:
        if file.arch != arch:
            raise InputError(
                f'{build_id} is a kernel for {file.arch.name}, and not {arch.name}; say so with -a')
        kernel = Module(arch, symbols or Symbols([file]), [functools.partial(Dwarf, file)], file)
    else:
        listed = ''.join(f'\n  {printable(reason)}' for reason in reasons)
        raise SurftraceError(f'no debuginfod server has the debug information of {build_id}:{listed}')
    return kernel.with_modules(functools.partial(remote_module, servers, kernel)) if running else kernel


def remote_module(servers: Debuginfod, kernel: Module, name: str) -> Module:
    """A module of the running kernel: the BTF that the kernel has of it, else its debug file."""
    sources, build_id = loaded_btf(kernel, name) if kernel.btf else [], running_build_id(kernel.arch, name)
    file = remote_file(servers, build_id, []) if build_id and not sources else None
    if file:
        sources = [functools.partial(Dwarf, file)]
    return Module(kernel.arch, kernel.symbols, sources, file, loaded=is_loaded(name))


def remote_file(servers: Debuginfod, build_id: str, reasons: list[str]) -> Executable | None:
    """The debug file of a build-id; refuse what is not whole, or not what was asked for."""
    def check(path: str) -> None:
        file = Executable(path)
        if file.build_id != build_id:
            raise DebugInfoError(f'{path}: sent a file of another build-id ({file.build_id})')
        for name, section in file.sections.items():
            file.size(name) if section.packing else file.contents(name)
        if not file.size('.debug_info'):
            raise DebugInfoError(f'{path}: no DWARF in this file (no .debug_info)')
    path = servers.find(build_id, 'debuginfo', check, reasons)
    return Executable(path) if path else None


# programs


class Program(Module):
    """A program or library that is traced."""
    symbols: Symbols
    executable: Executable              # the file that was read; its probes are set in `path`

    def __init__(self, executable: Executable, debug: Sequence[Executable], path: str) -> None:
        with_dwarf = [file for file in (executable, *debug) if file.size('.debug_info')]
        readable = with_dwarf if with_dwarf and reads_dwarf() else []
        sources = [source for file in readable for source in program_types(file, executable)]
        arch = executable.arch
        if arch.name == 'i386':
            arch = arch._replace(arguments=())                          # all on the stack
        super().__init__(arch, Symbols([executable, *debug]), sources, executable, path)
        self.unread = '' if readable or not with_dwarf else with_dwarf[0].path

    @property
    def is_go(self) -> bool:
        """Tell whether it is Go's, whose stacks move: a return address put there by the kernel crashes it."""
        return '.gopclntab' in self.executable.sections or '.note.go.buildid' in self.executable.sections

    @property
    def hazards(self) -> list[str]:
        """What it has that may end it where a return probe is: the kernel takes calls on a stack that is left
        for ones that are over, and kills the program where such a one returns (SIGILL); an exception finds no
        caller, and so no handler (SIGABRT)."""
        def has(*names: str, defined: bool) -> bool:
            symbols = itertools.chain(*map(self.executable.every_symbol, names))
            return any(defined or symbol.sort == 'undefined' for symbol in symbols)
        coroutines = has('makecontext', 'jump_fcontext', defined=False)
        exceptions = has('__gxx_personality_v0', 'rust_eh_personality', defined=True) or has(
            '_Unwind_Resume', '_Unwind_RaiseException', defined=False)
        return (['coroutines: a return probe ends it where the function switches to another'] * coroutines
                + ['exceptions (or panics): a return probe ends it where one passes through the function'
                   ] * exceptions)

    @property
    def opened(self) -> str:
        """The file that was read, as this process and the kernel on its behalf find it."""
        return f"/proc/{os.readlink('/proc/self')}/fd/{self.executable.descriptor}"


def program_at(path: str, debug: Executable | None = None, shown: str = '') -> Program:
    """The program in that file, with its debug file (the one given, else where distributions put it); `shown`
    is its path on the traced machine where that is another."""
    executable = Executable(path)
    if not executable.segments:
        raise DebugInfoError(f'{path}: nothing in this file is ever loaded: an object file, or a debug file?')
    return Program(executable, [debug] if debug else debug_files(executable), shown or path)


def debug_files(executable: Executable) -> list[Executable]:
    """The separate debug file (GDB manual, 18.3: by build-id, then by .gnu_debuglink), and MiniDebugInfo."""
    own = os.path.realpath(executable.path)
    folder, root = os.path.dirname(own), ''.join(re.findall(r'^/proc/\d+/root', executable.path))
    places = [root + build_id_path(executable.build_id)] if executable.build_id else []
    link = named_file(executable, '.gnu_debuglink')
    if link and '/' not in link:
        places += [f'{folder}/{link}', f'{folder}/.debug/{link}', f'{DEBUG_FOLDER}{folder}/{link}']
    others = readable_files(place for place in places if os.path.realpath(place) != own)
    found = [*itertools.islice((other for other in others if is_debug_file_of(other, executable)), 1)]
    packed = bytes(executable.contents('.gnu_debugdata'))
    if packed:
        import lzma
        with contextlib.suppress(SurftraceError), reading(executable.path):
            data = inflated(packed, lzma.LZMADecompressor)
            found.append(Executable(f'{executable.path} (.gnu_debugdata)', data))
    return found


def is_debug_file_of(other: Executable, executable: Executable) -> bool:
    """Tell by the build-id, or where there is none by the checksum beside the name in .gnu_debuglink."""
    if executable.build_id or other.build_id:
        return executable.build_id == other.build_id
    link = bytes(executable.contents('.gnu_debuglink'))
    order: Any = executable.arch.order
    return link[-4:] == zlib.crc32(read_file(other.path)).to_bytes(4, order)


def program_types(file: Executable, code: Executable) -> list[Source]:
    """The DWARF of a program's file or of its debug file, and that which dwz moved out of several such
    (.gnu_debugaltlink: its path)."""
    name = named_file(file, '.gnu_debugaltlink')
    path = os.path.join(os.path.dirname(os.path.realpath(file.path)), name)
    other = next(readable_files([path] if name else []), None)
    if not other:
        return [functools.partial(Dwarf, file, code=code)]
    shared = Dwarf(other)
    return [functools.partial(Dwarf, file, shared, code), lambda: shared]


def exported_types(info: Module) -> bytes:
    """The types of a kernel as a file that -v takes: an ELF file of its BTF, with its build-id."""
    if not info.btf:
        raise DebugInfoError('this kernel carries no BTF; pahole --btf_encode_detached FILE VMLINUX makes it '
                             'of DWARF, and -v takes FILE')
    sections = [('.BTF', 1, bytes(info.btf.data))]                             # SHT_PROGBITS
    if info.build_id:
        note = build_id_note(info.build_id, info.arch.order)
        sections.append(('.note.gnu.build-id', 7, note))                # SHT_NOTE
    return elf_of(info.arch, sections)


def packed(data: bytes, path: str) -> bytes:
    """The bytes, compressed where the name of the file says so."""
    if path.endswith('.gz'):
        import gzip
        return gzip.compress(data, mtime=0)
    if path.endswith('.xz'):
        import lzma
        return lzma.compress(data)
    if path.endswith('.zst'):
        raise InputError(f'{path}: surftrace writes .gz and .xz; for .zst use zstd')
    return data


def check_same_kernel(info: Module, path: str) -> str:
    """Refuse the file of another kernel than the running one: its offsets would read the wrong members. A
    note where nothing tells whether it is."""
    running, given, btf = running_build_id(info.arch), info.build_id, info.btf
    if given and running:
        if given == running:
            return ''
        raise SurftraceError(
            f'{path} is of another kernel (build-id {given[:12]}) than the running one ({running[:12]}): '
            'what it says would be read from the wrong places. -S and -o take it')
    if not btf or not os.path.exists(RUNNING_BTF):
        return (f'nothing tells whether {path} is of the running kernel; if it is not, values are read from '
                'the wrong places')
    if btf.data != read_file(RUNNING_BTF):
        raise SurftraceError(f'{path} is not the BTF of the running kernel; -S and -o take it')
    return ''


def check_same_module(info: Module, name: str, release: str) -> str:
    """Refuse a module's file of another build than the one that is loaded, or would be. A note where nothing
    tells whether it is."""
    file, loaded = info.module(name).file, running_build_id(info.arch, name)
    if not file:
        return f"nothing tells whether the BTF given for '{name}' is of the module that is loaded"
    installed = installed_module(name, info.arch, release)[1]
    wanted = loaded or (installed.build_id if installed else '')
    given, built_for = file.build_id, release_of(file)
    other_release = not wanted and built_for not in ('', release)
    if other_release or given and wanted and given != wanted:
        there = f"{'loaded' if loaded else 'installed'} here ({wanted[:12] or release})"
        raise SurftraceError(
            f"{file.path} is of another build of '{name}' ({given[:12] or built_for}) than the one that is "
            f'{there}: what it says would be read from the wrong places. -S and -o take it')
    if built_for or given and wanted:
        return ''
    return f"nothing tells whether {file.path} is of the module '{name}' that will be loaded"


KCORE = '/proc/kcore'


def running_code(address: int, size: int) -> bytes:
    """The running kernel's code there, from /proc/kcore (an ELF core file of 64 bits, for root alone)."""
    try:
        with open(KCORE, 'rb', buffering=0) as file:
            head = file.read(64)
            start, (entry, count) = struct.unpack_from('=Q', head, 32)[0], struct.unpack_from('=HH', head, 54)
            file.seek(start)
            segments = struct.iter_unpack('=IIQQQQQQ', file.read(entry * count))
            for kind, _, offset, place, _, extent, *_ in segments:
                if kind == 1 and place <= address and address + size <= place + extent:         # PT_LOAD
                    file.seek(offset + address - place)
                    return file.read(size)
    except (OSError, struct.error) as error:
        reason = getattr(error, 'strerror', '') or error
        raise DebugInfoError(f"{KCORE}: the running kernel's code cannot be read: {reason}") from None
    raise DebugInfoError(f'{KCORE}: the address {address:#x} is not in it')


# ---- Expressions -------------------------------------------------------------------------------------------

GRAMMAR = r'''
line    := KIND[:EVENT] PLACE { ARG | +stack | +ustack } [h:{ KEY }] [f:FILTER]    h: and f: begin a word
KIND    := p kprobe | r[MAXACTIVE] kretprobe | e trace event | t raw tracepoint
         | P uprobe | R uretprobe | u USDT probe
ARG     := [NAME=][FORMAT]EXPR[:TYPE] | *       ends at a blank outside ( ) [ ] " " once EXPR is complete
FORMAT  := S | U | X                            only before a character that cannot continue a name
EXPR    := (* | &) EXPR | (CTYPE)EXPR | POSTFIX
POSTFIX := START { ->m | .m | [n] }     START := ATOM | !(CTYPE)ATOM | @(struct HEADER *)[l2|l3|l4]ATOM
ATOM    := %N | %REG | $VAR | NAME | @SYM[+-N] | @0xADDR | (EXPR) | RAW
         | container_of(EXPR, CTYPE, member) | user(EXPR) | this_cpu_ptr(EXPR) | this_cpu_read(EXPR)
         | $dur(NAME{,FIELD[=FIELD]})
RAW     := [+|-][u]N(EXPR) | \N | @+N
KEY     := ARG | [NAME=](log2(EXPR) | step(EXPR,N)) | sum(EXPR) | avg(EXPR)
         | comm | common_pid | cpu | stack
FILTER  := AND { || AND }      AND := NOT { && NOT }      NOT := ! NOT | ( FILTER ) | LEFT OP VALUE
LEFT    := FIELD | [FORMAT]EXPR[:TYPE]          OP := == != < <= > >= & ~

Behind ' #! ' surftrace tells itself what the kernel cannot be told:
WORDS   := { NAME{+NAME}:WORD | NAME:$dur(...) | +stack | +ustack } [h:{ KEY }] [f:FILTER]
'''


class TypeName(NamedTuple):
    """A type as written: 'struct task_struct' and the number of stars behind it."""
    words: str
    stars: int
    at: Span


class Expr(NamedTuple):
    """An expression. By `kind` it is a leaf,

    argument     %N: number
    register     %REG: name
    special      $retval, $comm, $current, $stack, $stackN, $argN; in an event's probe $FIELD: name
    since        $dur(NAME{,FIELD[=ITS]}), a time: name, member (FIELD or FIELD=ITS each)
    name         a parameter, or an event's field: name
    global       @SYM[+-N], the memory at a symbol: name, number
    address      @0xADDR, the memory at an address: number
    fileoffset   @+N, the memory at an offset that the kernel counts from a program's probe: number
    every        *, each parameter
    immediate    \\N or \\"text", for the kernel as it stands: name

    or it is made of another, `inner`:

    offset       [+|-][u]N(inner), the kernel's own dereference: number, user
    memberof     inner->name or inner.name: name, arrow; `at` is that of the name
    index        inner[number]; `at` is that of [number]
    dereference  *inner
    addressof    &inner
    cast         (type)inner
    containerof  container_of(inner, type, member)
    usermemory   user(inner): it points to user memory
    this_cpu_ptr, this_cpu_read  (inner): where, or what it is of the processor that it happens on
    packet       @(struct name *)layer inner: a header in an sk_buff, whose data points at layer
    """
    kind: str
    at: Span
    name: str = ''
    number: int = 0
    inner: Any = None                       # an Expr
    type: Any = None                        # a TypeName
    member: tuple[str, ...] = ()
    layer: str = ''
    arrow: bool = False
    user: bool = False

    def parts(self) -> Iterator[Expr]:
        """Itself, and what it is made of."""
        yield self
        if self.inner:
            yield from self.inner.parts()


class Arg(NamedTuple):
    """One argument as written; `word` is the type behind its colon, `length` that of text(LENGTH)."""
    name: str
    format: str
    expr: Expr
    word: str
    at: Span
    word_at: Span
    length: Expr | None = None


class Key(NamedTuple):
    """What a line counts by: its value, or what it is within ('log2', 'step' of that many); or what is added
    up ('sum', 'avg')."""
    how: str
    arg: Arg
    step: int = 0


class Compare(NamedTuple):
    """LEFT OP VALUE; a quoted value has lost its quotes. `arg` is what stands on the left where that is more
    than a name."""
    field: str
    op: str
    value: str
    quoted: bool
    at: Span                # of the left side
    value_at: Span
    arg: Arg | None = None


class Not(NamedTuple):
    """!a"""
    inner: Filter


class Junction(NamedTuple):
    """a && b && ..., or the same with ||."""
    op: str
    parts: tuple[Filter, ...]


Filter = Union[Compare, Not, Junction]


class Place(NamedTuple):
    """The place of a probe; which parts are there depends on the kind and the form."""
    text: str
    at: Span
    function: str = ''                      # or a pattern (glob); of e the event, of u the probe's name
    module: str = ''
    offset: int | None = None               # into the function, or without one into the object's file
    line: int | None = None
    file: str = ''
    glob: bool = False
    system: str = ''                        # of e; of u the provider
    object: str = ''                        # the program or library
    semaphore: int = 0                      # where it is in the file


UNSEEN_WORD = 'unseen'                      # behind #!, of what is fetched for histograms alone


class Probe(NamedTuple):
    """One line, as written: `words` are what stands behind #!, (names, word, span) each."""
    text: str
    kind: str
    event: str
    maxactive: str
    place: Place
    args: tuple[Arg, ...]
    filter: Filter | None
    words: tuple[tuple[tuple[str, ...], str, Span], ...] = ()
    keys: tuple[Key, ...] | None = None                 # of a line that counts; there may be none
    source: str = ''                                    # the file and line that it is from
    entry: Probe | None = None              # of a return: the line that says what its entry fetches
    back: Probe | None = None                           # of an entry in a tree: the line of its return
    stacks: tuple[str, ...] = ()                        # that are shown of it, '+stack', '+ustack'

    @property
    def all_args(self) -> tuple[Arg, ...]:
        """Its arguments, and those of its keys."""
        return (*self.args, *(key.arg for key in self.keys or ()))


class Token(NamedTuple):
    """A piece of a line: its group in the pattern, its text, its columns, and what the group has of it."""
    kind: str
    text: str
    at: Span
    value: str = ''


NUMBER = r'(?:0[xX][0-9a-fA-F]+|\d+)'
ARGUMENTS = r'(?:<(?:[^<>]|<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>)*>)'          # of a template
TOKENS = regex(rf'''
    (?P<blank>\s+)
  | (?P<immediate>\\(?:[-+]?{NUMBER}|"[^"\s]*"))
  | %(?P<register>[A-Za-z_]\w*)  | %(?P<argument>\d+)  | (?P<special>\$\w+\*?)
  | @\+(?P<fileoffset>{NUMBER})  | @(?P<address>{NUMBER})
  | @(?P<global>[A-Za-z_]\w*(?:\.\d+)*(?:[-+]{NUMBER})?)
  | (?P<offset>[-+]u?{NUMBER}(?=\())
  | (?P<number>{NUMBER})         | (?P<name>(?:::)?[A-Za-z_]\w*{ARGUMENTS}?(?:::[A-Za-z_]\w*{ARGUMENTS}?)*)
  | (?P<mark>-?->|[-+()\[\].*&!,:=@/])
''', re.X | re.A)
FILTER_TOKENS = regex(r'''
    (?P<blank>\s+)
  | (?P<mark>&&|\|\||<<|>>|==|!=|<=|>=|[=<>&|~!()])
  | (?P<string>"[^"]*"|'[^']*')  | (?P<unclosed>["'].*)
  | (?P<word>CPUS\{[^}]*\}|(?:->|[^\s()&|!=<>~"'])+)
''', re.X)
COMPARING = ('==', '!=', '<', '<=', '>', '>=', '&', '~')
TYPE_WORDS = {'struct', 'union', 'enum', 'class', 'const', 'volatile', 'unsigned', 'signed', 'char', 'short',
              'int', 'long', 'void', 'bool', '_Bool', 'float', 'double'}
KIND_PATTERN = regex(r'\s*(?P<kind>[pretPRu])(?P<maxactive>\d*)'
                     r'(?::(?:(?P<group>[\w-]+)/)?(?P<event>[^\s/]*))?(?=\s|$)', re.A)
KINDS = 'p kprobe, r kretprobe, e trace event, t raw tracepoint, P uprobe, R uretprobe, u USDT probe'
# How the kernel itself writes a place in a program (uprobetracer.rst), with the offset of a semaphore
PROGRAM_PLACE = regex(rf'(?P<path>/.*):(?P<offset>{NUMBER})(?:\((?P<semaphore>{NUMBER})\))?')
PLACE_PATTERN = regex(r'''(?:(?P<module>[\w-]+):(?=\D))?(?P<function>[A-Za-z_.*?\[][\w.*?\[\]!^$-]*)
                               (?:@(?P<file>[\w./+-]+?|\*))?(?:\+(?P<offset>0[xX][0-9a-fA-F]+|\d+))?
                               (?::(?P<line>\d+))?$''', re.X)
FILE_LINE_PATTERN = regex(r'(?P<file>[^@:]*(?:/[^@:]*|\.(?:c|h|S|rs|inc|cc|cpp|cxx|hh|hpp|go))):'
                          r'(?P<line>\d{1,9})$')
# Behind OBJ: in a program: an offset in its file, with that of a semaphore; or FUNC[@FILE][+OFFSET],
# FUNC[@FILE]:LINE, "FUNC". NAME@VERSION is a symbol's.
OFFSET_PATTERN = regex(rf'(?P<offset>{NUMBER})(?:\((?P<semaphore>{NUMBER})\))?')
PROGRAM_PATTERN = regex(rf'(?:"(?P<exact>[^"]*)"|(?P<function>.+?))(?:@(?P<file>[^@:]*\.[A-Za-z]\w*|\*))?'
                        rf'(?:\+(?P<offset>{NUMBER})|:(?P<line>\d{{1,9}}))?$')
NO_SYSTEM = 'an event is SYSTEM/EVENT, as in e sched/sched_switch'
NAME_ALONE = 'a raw tracepoint is a name alone, as in t sched_switch, or a pattern'
FUNCTIONS = {'user': 'usermemory', 'container_of': 'containerof', 'this_cpu_ptr': 'this_cpu_ptr',
             'this_cpu_read': 'this_cpu_read'}  # and the kinds of their Expr
COUNTED_BY = ('log2', 'step', 'sum', 'avg')
DEEPEST = 64                                # levels of an expression or a filter
RESERVED = {'common_type', 'common_flags', 'common_preempt_count', 'common_pid', 'common_tgid', '__probe_ip',
            '__probe_ret_ip', '__probe_func'}


# What is meant by a mark that other tools have: anywhere, where an expression begins, where it has ended
BEHIND_F = 'a comparison is part of the filter, behind f: as in f:comm==bash'
ADVICE = {',': 'a blank separates arguments, no comma', '>': f"'->' leads to a member; {BEHIND_F}",
          **dict.fromkeys('=!<', BEHIND_F), '"': 'a text stands in the filter alone, to compare with',
          '{': 'there are no actions: arguments stand behind the place, h: counts, f: filters'}
ADVICE_BEFORE = {**ADVICE, '/': BEHIND_F}
ADVICE_BEHIND = {**ADVICE, '-->': "'->' leads to a member", '@user': 'what points to user memory is user(x)',
                 **dict.fromkeys('+-*/&', 'ftrace fetches values, and computes nothing of them')}

# What other tools write, and what it is here
OTHER_KINDS = {
    'kprobe': 'p', 'k': 'p', 'fentry': 'p', 'fprobe': 'p', 'kretprobe': 'r', 'kr': 'r', 'fexit': 'r',
    'tracepoint': 'e', 'rawtracepoint': 't', 'rt': 't', 'uprobe': 'P', 'uretprobe': 'R', 'usdt': 'u'}
OTHER_NAMES = {
    'comm': '$comm', 'pid': 'in front of each line, and common_pid in a filter', 'ret': '$retval',
    'retval': '$retval', 'curtask': '$current', 'kstack': '+stack', 'stack': '+stack', 'ustack': '+ustack',
    'nsecs': 'in front of each line, and $dur a time', 'str': 'x:string, or user(x) where it is user memory',
    'buf': 'x:text(LENGTH)', 'ntop': 'x:ip', 'hist': 'h:log2(x)', 'lhist': 'h:step(x,N)', 'count': 'h: alone'}
OTHER_NAMES.update(tid=OTHER_NAMES['pid'], kstr=OTHER_NAMES['str'], ustring=OTHER_NAMES['str'],
                   **dict.fromkeys(('arg', 'args', 'vars', 'params'), '* for every parameter'))


def otherwise(name: str) -> str:
    """'; here that is ...' where other tools have that name for something."""
    number_ = re.fullmatch(r'arg\d+', name)
    here = 'a name, or %0, %1, ...' if number_ else OTHER_NAMES.get(name, '')
    return f'; here that is {here}' if here else ''


def other_kind(text: str) -> str:
    """'; did you mean ...?' for a line as other tools write it, or without its kind."""
    found = re.match(r'\s*(\w+)(?:[:\s]+(\S+))?', text)
    if found and found[1] == 'f':                       # the kernel's fprobe
        return f"; did you mean 'p{' '.join(text.split()[:2])[1:]}'?"
    if found and found[1] in OTHER_KINDS:
        return f"; did you mean '{OTHER_KINDS[found[1]]} {found[2] or '...'}'?"
    if re.match(r'\s*\w+(\s|$)', text):
        return f"; did you mean 'p {text.split()[0]}'?"
    return '; quotes round the whole line keep it together' if re.match(r'\s*[\w%$@]+[=%$>.-]', text) else ''


def whole_number(text: str) -> int:
    """A number in C's notation, where 010 is eight."""
    if not re.fullmatch(r'[-+]?(0[xX][0-9a-fA-F]+|[0-9]+)', text):
        raise ValueError(text)
    return int(text, 8) if re.match(r'[-+]?0[0-9]', text) else int(text, 0)


UNITS = {'k': 1 << 10, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}
OPERATIONS: dict[str, Callable[..., int]] = {               # those of C that Python has, and binds as it does
    'USub': operator.neg, 'Invert': operator.invert, 'Mult': operator.mul, 'Div': operator.floordiv,
    'Mod': operator.mod, 'Add': operator.add, 'Sub': operator.sub, 'LShift': operator.lshift,
    'RShift': operator.rshift, 'BitAnd': operator.and_, 'BitXor': operator.xor, 'BitOr': operator.or_}


def computed(text: str, named: Callable[[str], int]) -> int:
    """The number that a constant expression is: names, numbers, also as 4k, 10M, 1G (of 1024), and C's
    operators; ValueError where it is none."""
    import ast

    def operand(token: re.Match[str]) -> str:
        size = re.fullmatch(r'(\d+)([kKMG])', token[0])
        if size:
            return str(int(size[1]) * UNITS[size[2]])
        return f"({whole_number(token[0]) if token[0][:1].isdigit() else named(token[0])})"

    def value(node: Any) -> int:
        kind, op = type(node).__name__, type(getattr(node, 'op', None)).__name__
        if kind == 'Constant':
            return int(node.value)
        names = ('operand',) if kind == 'UnaryOp' else ('left', 'right')
        numbers = [value(getattr(node, name)) for name in names if op in OPERATIONS]
        if not numbers or op[1:] == 'Shift' and not 0 <= numbers[1] < 64 or (
                op in ('Div', 'Mod') and (numbers[0] < 0 or numbers[1] <= 0)):
            raise ValueError(text)
        return OPERATIONS[op](*numbers)
    if len(text) > 2048 or re.search(r'[^\w.:\s()*/%+<>&^|~-]', text):
        raise ValueError(text)
    try:
        plain = re.sub(r'[\w.:]+', operand, ' '.join(text.split()))
        return value(ast.parse(plain, mode='eval').body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(text) from None


def numbers_of(text: str, parse: Callable[[str], tuple[int, ...]]) -> tuple[int, ...]:
    """The numbers that a value is to `parse`, or that what it comes to is."""
    try:
        return parse(text)
    except (ValueError, OverflowError):
        return parse(str(computed(text, lambda name: parse(name)[0])))


def plain_number(text: str) -> tuple[int]:
    """A number as the parts of a value."""
    return (whole_number(text),)


def tokens(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[Token]:
    """The pieces of text[start:end], blanks left out."""
    while start < end:
        match = pattern.match(text, start, end)
        if not match:
            raise InputError(ADVICE.get(text[start], 'this character means nothing here'), (start, start + 1))
        if match.lastgroup != 'blank':
            yield Token(match.lastgroup or '', match[0], match.span(), match[match.lastgroup or 0])
        start = match.end()


class Parser:
    """A cursor over the tokens of a line; one method a construct of the grammar above."""

    def __init__(self, pattern: re.Pattern[str], text: str, start: int, end: int) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._tokens = list(tokens(pattern, text, start, end))
        self._end = self._tokens[-1].at[1] if self._tokens else start

    def ahead(self, count: int = 1) -> Token:
        """A token further on; at the end one that equals nothing."""
        at = self._at + count
        return self._tokens[at] if at < len(self._tokens) else Token('end', '', (self._end, self._end + 1))

    @property
    def here(self) -> Token:
        """The next token."""
        return self.ahead(0)

    def spaced(self) -> bool:
        """Tell whether a blank stands before the next token."""
        return self._at > 0 and self.here.at[0] > self._tokens[self._at - 1].at[1]

    def take(self) -> Token:
        """The next token, passed."""
        token = self.here
        self._at += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        """The next token if it is one of these, passed."""
        return self.take() if self.here.text in texts and self.here.kind != 'end' else None

    def expect(self, text: str, why: str) -> Token:
        """The next token, which has to be this."""
        return self.accept(text) or self.fail(f"'{text}' expected {why}")

    def fail(self, message: str, at: Span | None = None) -> NoReturn:
        """Refuse the line at the next token."""
        if self.here.kind == 'end' and not at:
            message += ', but nothing follows'
        raise InputError(message, at or self.here.at)

    def deeper(self) -> None:
        """One step down; nobody writes more than a few, and Python's own stack has an end."""
        self._depth += 1
        if self._depth > DEEPEST:
            self.fail(f'more than {DEEPEST} casts, stars, brackets and members in one another')

    def number(self, token: Token, text: str) -> int:
        """The number in a token, in C's notation."""
        try:
            return whole_number(text)
        except ValueError:
            self.fail(f"'{printable(text[:20])}' is no number", token.at)

    def span(self, start: Span) -> Span:
        """From there to the last token passed."""
        return start[0], self._tokens[self._at - 1].at[1]

    # arguments

    def arg(self) -> Arg:
        """ARG"""
        start, name, format_, self._depth = self.here.at, '', '', 0
        if self.here.text == '*' and (self.ahead().kind == 'end' or self.ahead().at[0] > start[1]):
            return Arg('', '', Expr('every', self.take().at), '', start, start)
        if self.here.kind == 'name' and self.ahead().text == '=':
            name = self.take().text
            self.take()
        after = self.ahead()
        begins = (after.kind not in ('mark', 'number', 'name', 'end')
                  or after.text in ('!', '@', '(', '*', '&'))
        if self.here.kind == 'name' and self.here.text in 'SUX' and after.at[0] == self.here.at[1] and begins:
            format_ = self.take().text
        expr = self.expr()
        if self.here.text in ('->', '.', '[') and self.here.kind == 'mark':
            mark = self.here.text
            self.fail(f"a blank ends an argument, and '{mark}' cannot begin one: no blank before it")
        word, word_at, length = '', self.here.at, None
        if self.here.text == ':' and not self.spaced():
            self.take()
            after = self.ahead()
            if self.here.text == 'text' and after.text == '(' and after.at[0] == self.here.at[1]:
                word, word_at, length = self.counted_text()
            else:
                word, word_at = self.type_word()
        if self.here.kind != 'end' and not self.spaced():
            self.fail(ADVICE_BEHIND.get(self.here.text, 'the expression is complete before this'))
        return Arg(name, format_, expr, word, self.span(start), word_at, length)

    def counted_text(self) -> tuple[str, Span, Expr]:
        """text(LENGTH)"""
        start = self.take().at
        self.take()
        length = self.expr()
        self.expect(')', 'behind the length, as in text(%1)')
        return 'text', self.span(start), length

    def type_word(self) -> tuple[str, Span]:
        """The words behind the colon, up to the next blank outside brackets."""
        start, depth = self.here.at, 0
        first = self._at
        while self.here.kind != 'end' and (depth or self._at == first or not self.spaced()):
            depth += {'(': 1, '[': 1, ')': -1, ']': -1}.get(self.here.text, 0)
            self.take()
        if self._at == first or depth or self._tokens[first].at[0] != self._tokens[first - 1].at[1]:
            self.fail('a type expected behind the colon (u32, x64, string, symbol, x8[6], ip, ...)', start)
        at = self.span(start)
        return self._text[at[0]:at[1]], at

    def expr(self) -> Expr:
        """EXPR; as in C the prefixes bind weaker than what follows."""
        start = self.here.at
        self.deeper()
        if self.accept('*'):
            return self.made('dereference', start, self.expr())
        if self.accept('&'):
            return self.made('addressof', start, self.expr())
        if self.here.text == '(' and self.at_type():
            type_ = self.bracketed_type('')
            return self.made('cast', start, self.expr(), type=type_)
        return self.postfix()

    def made(self, kind: str, start: Span, inner: Expr | None, **parts: Any) -> Expr:
        """An expression from there to the last token passed."""
        return Expr(kind, self.span(start), inner=inner, **parts)

    def postfix(self) -> Expr:
        """POSTFIX: the three ways to begin, then members and elements."""
        start = self.here.at
        if self.accept('!'):
            type_ = self.bracketed_type("after '!': !(struct T *)x->member")
            inner = self.made('cast', start, self.atom(), type=type_)
        elif self.here.text == '@':
            inner = self.packet()
        else:
            inner = self.atom()
        while self.here.text in ('->', '.', '[') and self.here.kind == 'mark' and not self.spaced():
            self.deeper()
            mark = self.take()
            if mark.text == '[':
                if self.here.kind != 'number':
                    self.fail('a number expected as index (ftrace cannot compute one)')
                index = self.take()
                self.expect(']', 'after the index')
                inner = self.made('index', mark.at, inner, number=self.number(index, index.text))
            elif self.here.kind != 'name' or self.spaced():
                self.fail(f"a member's name expected after '{mark.text}'")
            else:
                token = self.take()
                inner = self.made('memberof', token.at, inner, name=token.text, arrow=mark.text == '->')
        return inner

    def packet(self) -> Expr:
        """@(struct HEADER *)[l2|l3|l4]ATOM"""
        start = self.take().at
        type_ = self.bracketed_type("after '@': @(struct iphdr *)l3%0->saddr", 'the header')
        layer = self.take().text if self.here.text in ('l2', 'l3', 'l4') else 'l3'
        if not type_.words.startswith('struct ') or type_.stars != 1:
            self.fail('a pointer to a packet header expected, as in @(struct iphdr *)', type_.at)
        return self.made('packet', start, self.atom(), name=type_.words[7:], layer=layer)

    def bracketed_type(self, why: str, what: str = 'the type') -> TypeName:
        """(CTYPE)"""
        self.expect('(', why)
        type_ = self.type_name()
        self.expect(')', f'after {what}')
        return type_

    def at_type(self) -> bool:
        """Tell whether the bracket here opens a cast: a type's word, or a name and then stars, or a name
        whose bracket closes before something that begins an EXPR."""
        first, second = self.ahead(), self.ahead(2)
        if first.kind != 'name':
            return False
        if first.text in TYPE_WORDS:
            return True
        at = 2
        while self.ahead(at).text == '*':
            at += 1
        if self.ahead(at).text != ')':
            return False
        after = self.ahead(at + 1)
        begins = after.kind not in ('end', 'mark', 'number') or after.text in ('(', '*', '&', '!')
        return second.text == '*' or begins and after.at[0] == self.ahead(at).at[1]

    def type_name(self) -> TypeName:
        """CTYPE; qualifiers are dropped."""
        start, words, stars = self.here.at, [], 0
        while self.here.kind == 'name':
            words.append(self.take().text)
        while self.accept('*'):
            stars += 1
            self.deeper()
            while self.accept('const', 'volatile'):
                pass
        words = [word for word in words if word not in ('const', 'volatile')]
        if not words:
            self.fail('a type expected (struct T *, unsigned long, u32, ...)')
        if words[0] in ('struct', 'union', 'enum', 'class') and len(words) != 2:
            self.fail(f"the name of the {words[0]} expected", self.span(start))
        return TypeName(' '.join(words), stars, self.span(start))

    def atom(self) -> Expr:
        """ATOM"""
        if self.accept('('):
            inner = self.expr()
            self.expect(')', 'to close the bracket')
            return inner
        token = self.here
        if token.kind in ('mark', 'number', 'end'):
            self.fail(ADVICE_BEFORE.get(
                token.text, 'an expression expected (%0, a parameter, %di, $retval, @symbol, ...)'))
        self.take()
        if token.kind in ('argument', 'address', 'fileoffset'):
            return Expr(token.kind, token.at, number=self.number(token, token.value))
        if token.kind == 'global':
            name, sign, offset = re.split(r'([-+]|$)', token.value, maxsplit=1)
            return Expr('global', token.at, name, self.number(token, sign + offset or '0'))
        if token.kind == 'offset':
            self.expect('(', 'after the offset')
            inner = self.expr()
            self.expect(')', 'to close the bracket')
            offset = self.number(token, token.value.replace('u', ''))
            return self.made('offset', token.at, inner, number=offset, user='u' in token.value)
        if token.kind == 'name' and self.here.text == '(' and not self.spaced():
            return self.call(token)
        if token.value == '$dur' and self.here.text == '(' and not self.spaced():
            return self.since(token)
        return Expr(token.kind, token.at, token.value)

    def call(self, name: Token) -> Expr:
        """container_of(EXPR, CTYPE, member) | user(EXPR) | this_cpu_ptr(EXPR) | this_cpu_read(EXPR)"""
        if name.text not in FUNCTIONS:
            known = '; container_of(x, struct T, member), user(x), this_cpu_ptr(&x) and this_cpu_read(x) are'
            self.fail(f"'{name.text}' is no function surftrace knows{otherwise(name.text) or known}", name.at)
        self.take()
        inner = self.expr()
        if name.text != 'container_of':
            self.expect(')', f'to close {name.text}(')
            return self.made(FUNCTIONS[name.text], name.at, inner)
        self.expect(',', 'in container_of(x, struct T, member)')
        type_, path = self.type_name(), []
        self.expect(',', 'in container_of(x, struct T, member)')
        while self.here.kind == 'name':
            path.append(self.take().text)
            if not self.accept('.'):
                break
        else:
            self.fail("a member's name expected in container_of(x, struct T, member)")
        self.expect(')', 'to close container_of(')
        return self.made('containerof', name.at, inner, type=type_, member=tuple(path))

    def since(self, start: Token) -> Expr:
        """$dur(NAME{,FIELD[=FIELD]})"""
        self.take()
        names: list[str] = []
        while not names or self.accept(','):
            if self.here.kind != 'name':
                self.fail(f"the name of {'a field' if names else 'the event of another line'} expected")
            names.append(self.take().text)
            if len(names) > 1 and self.accept('='):
                names[-1] += f'={self.take().text}'
        self.expect(')', 'to close $dur(')
        return self.made('since', start.at, None, name=names[0], member=tuple(names[1:]))

    # keys

    def key(self) -> Key:
        """KEY"""
        start, name = self.here.at, ''
        if self.here.kind == 'name' and self.ahead().text == '=' and self.ahead(2).text in COUNTED_BY:
            name = self.take().text
            self.take()
        how = self.here.text
        if how not in COUNTED_BY or self.ahead().text != '(' or self.ahead().at[0] != self.here.at[1]:
            return Key('', self.arg())
        self.take()
        self.take()
        self._depth, step = 0, 0
        expr = self.expr()
        if how == 'step':
            self.expect(',', 'in step(EXPR,N)')
            token = self.take()
            step = self.number(token, token.text) if token.kind == 'number' else 0
            if not 0 < step < 1 << 63:
                self.fail('a number above 0 expected in step(EXPR,N)', token.at)
        self.expect(')', f'to close {how}(')
        if self.here.kind != 'end' and not self.spaced():
            self.fail('the key is complete before this')
        return Key(how, Arg(name, '', expr, '', self.span(start), self.here.at), step)


class FilterParser(Parser):
    """The same for the tokens of a filter."""

    def filter(self) -> Filter:
        """FILTER"""
        return self.junction('||', lambda: self.junction('&&', self.negation))

    def junction(self, op: str, part: Callable[[], Filter]) -> Filter:
        """part { op part }"""
        parts = [part()]
        while self.accept(op):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(op, tuple(parts))

    def negation(self) -> Filter:
        """NOT"""
        self.deeper()
        negates = self.accept('!')
        if negates and self.here.text == '(' and not self.opens_filter():
            self.fail("'!' negates the comparison in the bracket behind it; a cast is ((struct T *)x)->m",
                      negates.at)
        if negates:
            inner: Filter = Not(self.negation())
        elif self.here.text == '(' and self.opens_filter():
            self.take()
            inner = self.filter()
            self.expect(')', 'to close the bracket')
        else:
            inner = self.comparison()
        self._depth -= 1
        return inner

    def opens_filter(self) -> bool:
        """Tell whether the bracket here holds comparisons, and is none of an expression."""
        end = self.closing()
        inside = {self.ahead(i).text for i in range(end)}
        return self.ahead(end + 1).text in ('', ')', '&&', '||') or bool(
            inside & {'==', '!=', '&&', '||', '~'})

    def closing(self) -> int:
        """How far ahead the bracket here is closed."""
        depth = count = 0
        while True:
            token = self.ahead(count)
            depth += (token.text == '(') - (token.text == ')')
            if not depth or token.kind == 'end':
                return count
            count += 1

    def left_side(self) -> tuple[Span, Arg | None]:
        """LEFT, up to a blank or an operator outside brackets; as an argument where it is no mere name."""
        start = self.here.at
        if self.here.kind in ('end', 'string', 'unclosed') or self.here.text in ('&&', '||', ')'):
            self.fail("a field's name, or an expression, expected in the filter")
        self.accept('&')
        while self.here.kind == 'word' or self.here.text == '(':
            if self.spaced() and self.here.at != start:
                break
            self.pass_word()
        at = self.span(start) if self.here.at != start else start
        if re.fullmatch(r'[A-Za-z_]\w*(\.(ustring|function))?', self._text[at[0]:at[1]]):
            return at, None
        parser = Parser(TOKENS, self._text, *at)
        arg = parser.arg()
        if arg.name or parser.here.kind != 'end':
            parser.fail('the left side of a comparison is complete before this')
        return at, arg

    def comparison(self) -> Compare:
        """LEFT OP VALUE"""
        at, arg = self.left_side()
        if self.here.text not in COMPARING or self.here.kind != 'mark':
            known = 'an operator expected: == != < <= > >= & ~'
            self.fail(f"{known}; '==' compares" if self.here.text == '=' else known)
        op = self.take().text
        quoted, value_at = self.here.kind == 'string', self.value()
        value = self._text[value_at[0] + quoted:value_at[1] - quoted]
        return Compare(self._text[at[0]:at[1]], op, value, quoted, at, value_at, arg)

    def value(self) -> Span:
        """VALUE: a string, or what a number is computed from, without blanks outside brackets but at a
        shift or |."""
        start = self.here.at
        if self.here.kind == 'string':
            return self.take().at
        while True:
            if self.here.kind != 'word' and self.here.text != '(':
                self.fail('the string is not closed' if self.here.kind == 'unclosed' else 'a value expected')
            self.pass_word()
            while not self.spaced() and (self.here.kind == 'word' or self.here.text == '('):
                self.pass_word()
            joins = ('<<', '>>', '|')[:2 + (self.ahead(2).text not in COMPARING)]      # not in a==1|b==2
            if not self.accept(*joins):
                return self.span(start)

    def pass_word(self) -> None:
        """Pass a word, or a bracket with what is in it."""
        self._at = min(self._at + self.closing() + 1, len(self._tokens))


def parse_filter(text: str, start: int, end: int) -> Filter:
    """The filter in text[start:end]."""
    parser = FilterParser(FILTER_TOKENS, text, start, end)
    parsed = parser.filter()
    if parser.here.kind != 'end':
        parser.fail('the filter is complete before this; join comparisons with && or ||')
    return parsed


class Parts(NamedTuple):
    """The columns at which the parts of a line begin behind its place, each up to the next: the arguments,
    the words behind #!, the keys behind h:, the filter behind f:. What is not there begins where the next
    part does."""
    args: int
    words: int
    keys: int
    filter: int
    end: int

    def source(self, text: str, part: str) -> str:
        """The text of a part, with what marks it; '' where it is not there."""
        at = self._fields.index(part)
        return re.sub(r'\s*\n\s*', ' ', text[self[at]:self[at + 1]].strip())


def split_line(text: str, start: int) -> Parts:
    """The parts of a line from there on: the filter is from the first word that begins with f: outside quotes
    and brackets to the end, the keys from one with h: before it."""
    depth, found = 0, {}  # type: int, dict[str, int]
    for match in re.compile(r'"[^"]*"?|[()\[\]]|(?<=\s)(?:[fh]:|#!(?!\S))').finditer(text, start):
        depth += (match[0] in '([') - (match[0] in ')]')
        if depth <= 0 and match[0] in ('#!', 'h:', 'f:'):
            found.setdefault(match[0], match.start())
            if match[0] == 'f:':
                break
    filter_ = found.get('f:', len(text))
    keys = found.get('h:', filter_)
    words = min(found.get('#!', keys), keys)
    return Parts(start, words, keys, filter_, len(text))


def event_name(head: re.Match[str]) -> str:
    """The event's name in the beginning of a line, '' for none."""
    event, kind = head['event'] or '', head['kind']
    if ':' in event:                                    # a place as bcc and bpftrace write it
        kind = {'t': 'e'}.get(kind, kind.upper() if kind in 'pr' and event[0] != ':' else kind)
        raise InputError("behind ':' is the event's name, and behind a blank its place; did you mean "
                         f"'{kind} {event.lstrip(':')}'?", head.span('event'))
    if event and (not re.fullmatch(r'[A-Za-z_]\w{0,62}', event, re.A) or event in ('enable', 'filter')):
        raise InputError("an event's name is letters, digits and _, and neither 'enable' nor 'filter'",
                         head.span('event'))
    return event


def parse_probe(text: str) -> Probe:
    """The AST of one line."""
    comment = re.match(r'\s*#!\s+', text)                # an event that needs no definition, as -S prints it
    head = KIND_PATTERN.match(text, comment.end() if comment else 0)
    if not head:
        start = len(text) - len(text.lstrip())
        end = start + max(1, len(text.split(' ')[0]))
        raise InputError(f'a line begins with the kind of probe: {KINDS}{other_kind(text)}', (start, end))
    event = event_name(head)
    where = re.compile(r'\s*((?:"[^"]*"|[^\s"])*)').match(text, head.end())
    assert where
    kind, written = head['kind'], where[1]
    kind = kind.upper() if kind in 'pr' and PROGRAM_PLACE.fullmatch(written) else kind
    if not written or event and re.match(r'[%$(@&!+-]|\w+=', written):
        refuse_no_place(kind, event, (head.end(), head.end() + 1) if not event else head.span('event'))
    if head['maxactive'] and kind != 'r':
        raise InputError('only r takes a number (of calls followed at once)', head.span('maxactive'))
    place = parse_place(kind, written, (where.start(1), max(where.end(1), where.start(1) + 1)))
    parts = split_line(text, where.end())
    args, stacks = parse_args(text, parts.args, parts.words)
    parsed = parse_filter(text, parts.filter + 2, len(text.rstrip())) if parts.filter < parts.end else None
    words = []
    for names, word, at in parse_words(text, parts.words + 2, parts.keys, stacks):
        if word == UNSEEN_WORD:
            args = [arg for arg in args if arg.name not in names]       # they follow from the others
        elif word.startswith('$dur('):
            args.append(Parser(TOKENS, text, at[1] - len(word), at[1]).arg()._replace(name=names[0]))
        else:
            words.append((names, word, at))
    keys = parse_keys(text, parts.keys + 2, parts.filter) if parts.keys < parts.filter else None
    probe = Probe(text, kind, event, head['maxactive'], place, tuple(args), parsed, tuple(words), keys,
                  stacks=tuple(stacks))
    check_names(probe)
    check_stacks(probe, stacks)
    return probe


def parse_args(text: str, start: int, end: int) -> tuple[list[Arg], dict[str, Span]]:
    """The arguments in text[start:end], and the words for stacks."""
    parser, args = Parser(TOKENS, text, start, end), []
    stacks: dict[str, Span] = {}
    while parser.here.kind != 'end':
        word = parser.here.text + parser.ahead().text
        if word in STACK_WORDS:
            stacks[word] = parser.take().at[0], parser.take().at[1]
        else:
            args.append(parser.arg())
    return args, stacks


def check_stacks(probe: Probe, stacks: Mapping[str, Span]) -> None:
    """Refuse stacks that are not shown, or say nothing."""
    for at in stacks.values() if probe.keys is not None else ():
        raise InputError('a line that counts shows no stacks: h:stack counts by them', at)
    if probe.kind in 'PRu' and '+stack' in stacks:
        raise InputError("the kernel's stack at a probe in a program is that of the probe itself; +ustack is "
                         "the program's", stacks['+stack'])


def refuse_no_place(kind: str, event: str, at: Span) -> NoReturn:
    """Refuse a line that ends behind its kind: the shell has split it, or a colon is before the place."""
    forms = {'e': 'SYSTEM/EVENT', 't': 'TRACEPOINT', 'P': 'OBJ:FUNC', 'R': 'OBJ:FUNC',
             'u': 'OBJ:PROVIDER:NAME'}
    form = forms.get(kind, 'FUNC')
    if event:
        raise InputError(f"'{event}' is the event's name here, and its place is missing: {kind} {event}, or "
                         f'{kind}:NAME {form}', at)
    raise InputError(
        f"the place is missing: '{kind} {form} ...', in quotes, or the shell takes the line apart", at)


def parse_keys(text: str, start: int, end: int) -> tuple[Key, ...]:
    """The keys in text[start:end]: no more than a histogram of the kernel has (kernel/trace/tracing_map.h,
    TRACING_MAP_KEYS_MAX, trace_events_hist.c, two values beside the count), so that what a line may be does
    not depend on who counts."""
    parser, keys = Parser(TOKENS, text, start, end), []
    if re.fullmatch(r'[sux](8|16|32|64)|u?string|symbol', parser.here.text) and parser.here.at[0] == start:
        parser.fail(f"h: counts by what follows; an argument called h is h=h:{parser.here.text}")
    while parser.here.kind != 'end':
        keys.append(parser.key())
    for most, name, what in ((3, 'keys', [key for key in keys if key.how not in ('sum', 'avg')]),
                             (2, 'of sum() and avg()', [key for key in keys if key.how in ('sum', 'avg')])):
        if len(what) > most:
            raise InputError(f'at most {most} {name}', what[most].arg.at)
    return tuple(keys)


def parse_place(kind: str, text: str, at: Span) -> Place:
    """PLACE"""
    if kind in 'et':
        event = re.fullmatch(r'(?:([\w*?\[\]-]+)[/:.])?([\w*?\[\]-]+)', text)
        if not event or kind == 't' and event[1]:
            raise InputError(NO_SYSTEM if kind == 'e' else NAME_ALONE, at)
        return Place(text, at, event[2], system=event[1] or '', glob=GLOB.search(text) is not None)
    object_, rest = split_object(kind, text, at) if kind in 'PRu' else ('', text)
    if kind == 'u':
        provider, _, name = rest.rpartition(':')
        return Place(text, at, name, object=object_, system=provider)
    raw = OFFSET_PATTERN.fullmatch(rest) if object_ else None
    if raw:
        start, semaphore = place_number(raw['offset'], at), place_number(raw['semaphore'] or '0', at)
        return Place(text, at, object=object_, offset=start, semaphore=semaphore)
    line_of_file = FILE_LINE_PATTERN.match(rest)
    match = line_of_file or (PROGRAM_PATTERN if object_ else PLACE_PATTERN).match(rest)
    if not match:
        program = '; one of a program is for P' if text[:1] in ('/', '.') else ''
        name, mark, rest = re.split('(%return|=|$)', text, maxsplit=1)      # as perf probe writes it
        meant = {'=': f'{kind}:{name} {rest}', '%return': f'r {name}'}.get(mark, '')
        program = f"; did you mean '{meant}'?" if meant else program
        raise InputError('a function expected: FUNC, FUNC+OFFSET, FUNC:LINE, FUNC@FILE.c, FILE:LINE, '
                         f'MODULE:FUNC, or a pattern (tcp_*){program}', at)
    part = {name: value or '' for name, value in match.groupdict().items()}
    offset = place_number(part['offset'], at) if part.get('offset') else None
    line = place_number(part['line'], at, 10) if part['line'] else None
    if kind in 'rR' and (offset or line is not None):
        raise InputError('a return is that of a whole function: no offset or line', at)
    if offset and line is not None:
        raise InputError('an offset or a line, not both', at)
    function = part.get('exact') or part.get('function', '')
    glob = GLOB.search(part.get('function', '')) is not None
    line = None if function and not line else line      # FUNC:0 is FUNC
    every = part.get('file') == '*'
    if (every or glob and not object_) and (offset or line is not None or part['file'] and not every):
        raise InputError('a pattern stands for whole functions: no offset, line or file', at)
    module = part.get('module', '').replace('-', '_')
    return Place(text, at, function, module, offset, line, part.get('file', ''),
                 glob and offset is None and line is None, object=object_)


def split_object(kind: str, text: str, at: Span) -> tuple[str, str]:
    """(OBJ, what is behind its colon) of a place in a program: a path ends before the first colon at which it
    is a file's; either part may be quoted, or the whole."""
    quoted = re.fullmatch(r'"([^"]*)"(:.*)?', text)
    bare = text if not quoted else f'{quoted[1]}{quoted[2] or ""}'
    ends = [match.start() for match in re.finditer(':', bare[:-1]) if match.start()]
    if not ends:
        form = {'P': 'OBJ:FUNC', 'R': 'OBJ:FUNC', 'u': 'OBJ:PROVIDER:NAME'}[kind]
        raise InputError(f'{form} expected, OBJ being a path, a program in $PATH or a library (libc)', at)
    end = len(quoted[1]) if quoted and quoted[2] else next(
        (end for end in ends if '/' not in bare[:end] or os.path.isfile(bare[:end])), ends[0])
    return bare[:end], f'"{bare[end + 1:]}"' if quoted and not quoted[2] else bare[end + 1:]


def place_number(text: str, at: Span, base: int = 0) -> int:
    """A number in a place, in C's notation or, as lines are, with that base."""
    try:
        return int(text, base) if base else whole_number(text)
    except ValueError:
        raise InputError('no number is so long, or begins with 0 and has an 8 or a 9', at) from None


STACK_WORDS = {'+stack': 'kernel', '+ustack': 'user'}       # and whose they are


def parse_words(text: str, start: int, end: int, stacks: dict[str, Span]
                ) -> Iterator[tuple[tuple[str, ...], str, Span]]:
    """WORDS behind #!; those for stacks are added to these."""
    for match in re.finditer(r'\S+', text[start:end]):
        at = (start + match.start(), start + match.end())
        pair = re.fullmatch(r'=?(\w+(?:\+\w+)*):(\S+)', match[0])
        if match[0] in STACK_WORDS:
            stacks[match[0]] = at
        elif pair:
            yield tuple(pair[1].split('+')), pair[2], at
        else:
            raise InputError('NAME:FORMAT expected behind #!', at)


def check_names(probe: Probe) -> None:
    """Refuse names of arguments that the kernel would refuse, or that would hide one of its own fields."""
    seen: dict[str, Span] = {}
    for arg in probe.all_args:
        if arg.name in RESERVED:
            raise InputError(f"'{arg.name}' is a field every event has; choose another name", arg.at)
        if len(arg.name) > 31:
            raise InputError("the kernel takes names of up to 31 characters", arg.at)
        if arg.name and arg.name in seen:
            raise InputError(f"'{arg.name}' is there already", arg.at)
        seen[arg.name] = arg.at


# ---- Formats -----------------------------------------------------------------------------------------------

INTEGER, STRING = r'[sux]\d+|b\d+@\d+/\d+', r'u?string|symstr|%p[dD]'         # fetch types


def no_value(text: str) -> tuple[int, ...]:
    """Refuse to compare it with that text."""
    raise ValueError(text)


class Format(NamedTuple):
    """How a field looks to a person; `show` and `parse` are inverse. Values are what trace_pipe prints, a
    text for each part."""
    word: str                                               # its name, in a TYPE and behind #!
    takes: tuple[str, ...]                                  # patterns of the fetch types of its parts
    show: Callable[[Sequence[str]], str]
    parse: Callable[[str], tuple[int, ...]] = no_value      # ValueError where the text is no such value
    ordered: bool = False                               # whether < means the same for the kernel
    signed: int = 0                                     # bits of a signed bit-field, unsigned to the kernel
    missing: tuple[str, ...] = ()                       # of a struct: the members that are not shown
    alone: str = ''                                     # the word where no C type explains it, if another
    members: tuple[tuple[str, Any], ...] = ()           # of a struct: their names and formats, None: as it is


class Layout(NamedTuple):
    """A value that is the same bytes in memory on every machine: the fetch types of its parts, its text and
    its bytes. `native`: they lie in the order of the machine's numbers."""
    kinds: tuple[str, ...]
    text: Callable[[bytes], str]
    data: Callable[[str], bytes]
    native: bool = False

    @property
    def sizes(self) -> list[int]:
        """The bytes of its parts."""
        return [int(kind[1:]) // 8 for kind in self.kinds]

    def format(self, word: str, order: Any) -> Format:
        """The format, on a machine of that byte order."""
        sizes, order = self.sizes, 'big' if self.native else order

        def show(values: Sequence[str]) -> str:
            parts = (number(value).to_bytes(size, order) for value, size in zip(values, sizes))
            return self.text(b''.join(parts))

        def parse(text: str) -> tuple[int, ...]:
            data, numbers = self.data(text), []
            if len(data) != sum(sizes):
                raise ValueError(text)
            for size in sizes:
                numbers.append(int.from_bytes(data[:size], order))
                data = data[size:]
            return tuple(numbers)
        takes = tuple(rf'[ux]{8 * size}|b{8 * size}@\d+/\d+' for size in sizes)
        return Format(word, takes, show, parse, order == 'big' and word[:2] in ('be', 'BE', 'de'))


def number(text: str) -> int:
    """An integer as the kernel prints it."""
    return int(text, 0)


def ip_text(data: bytes) -> str:
    """An IPv4 or IPv6 address."""
    import ipaddress
    return str(ipaddress.ip_address(data))


def ip_data(text: str) -> bytes:
    """Its bytes."""
    import ipaddress
    return ipaddress.ip_address(text).packed


def network_order(bits: int, spec: str) -> Layout:
    """A number in network byte order."""
    return Layout((f'u{bits}',), lambda data: format(int.from_bytes(data, 'big'), spec),
                  lambda text: whole_number(text).to_bytes(bits // 8, 'big'))


def float_text(data: bytes) -> str:
    """A binary floating-point number: exact where whole, else in as few digits as tell it from others."""
    value, = struct.unpack('>f' if len(data) == 4 else '>d', data)
    if abs(value) < 1e16 and value == int(value):
        return f'{value:.0f}'
    if len(data) == 8:
        return repr(value)
    texts = (f'{value:.{digits}g}' for digits in (6, 7, 8))
    return next((text for text in texts if struct.pack('>f', float(text)) == data), f'{value:.9g}')


def float_data(text: str) -> bytes:
    """Refuse to compare: the kernel knows integers only."""
    raise InputError('the kernel compares integers, and in the order of their bits floating-point numbers '
                     'do not stand')


def device_text(data: bytes) -> str:
    """A kernel's dev_t (include/linux/kdev_t.h): twelve bits of major number, twenty of minor."""
    value = int.from_bytes(data, 'big')
    return f'{value >> 20}:{value & 0xfffff}'


def device_data(text: str) -> bytes:
    """Its bytes."""
    major, minor = map(int, text.split(':'))
    if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
        raise ValueError(text)
    return (major << 20 | minor).to_bytes(4, 'big')


FORMATS = {
    'float': Layout(('x32',), float_text, float_data, True),
    'double': Layout(('x64',), float_text, float_data, True),
    'dev': Layout(('u32',), device_text, device_data, True),
    'ip': Layout(('u32',), ip_text, ip_data),
    'ip6': Layout(('x64', 'x64'), ip_text, ip_data),    # two words: no filter of the kernel compares arrays
    'mac': Layout(('x32', 'x16'), lambda data: data.hex(':'),
                  lambda text: bytes(int(byte, 16) for byte in text.split(':'))),
    **{f'be{bits}': network_order(bits, 'd') for bits in (16, 32, 64)},
    **{f'BE{bits}': network_order(bits, '#x') for bits in (16, 32, 64)}}
OWN_WORDS = ('text', 'path', 'errno')       # those whose fetches are as the value needs
ADDRESSES = {'in_addr': 'ip', 'in6_addr': 'ip6'}     # structs that are one
PREFIX_FORMATS = {'ip_': 'ip', **{f'{letter}{bits}_': f'{end}{bits}'
                                  for letter, end in (('b', 'be'), ('B', 'BE')) for bits in (16, 32, 64)}}
# in hexadecimal what no fetch type of the kernel prints so (bit-fields)
HEX = Format('X', (INTEGER,), lambda values: f'{number(values[0]):#x}', lambda text: (whole_number(text),),
             ordered=True)


def cut(text: str, count: int) -> str:
    """The string in an array of that many bytes: one that fills its array has no NUL, and the kernel reads
    on."""
    if len(text) <= count + 2 and text.isascii() or text[0] != '"':
        return text
    raw = encoded(text)
    return text if len(raw) <= count + 2 else decoded(raw[:count + 1]) + '"'


def cut_format(count: int) -> Format:
    """The string in an array of that many bytes."""
    return Format(f'cut({count})', (STRING,), lambda values: cut(values[0], count))


def packet_format(before: int) -> Format:
    """The string so many bytes into a packet, which ends with it; the second part is the packet's length."""
    return Format(f'packet({before})', (STRING, 'u32'),
                  lambda values: cut(values[0], number(values[1]) - before))


def signed_format(width: int) -> Format:
    """A signed bit-field of that many bits; the kernel's are always unsigned."""
    return Format(f'S({width})', (rf'b{width}@\d+/\d+',), lambda values: str(extended(values[0], width)),
                  lambda text: (cut_to(text, width),), signed=width)


def extended(text: str, width: int) -> int:
    """The number that these bits of a signed bit-field are."""
    value = number(text)
    return value - (1 << width) if value >> (width - 1) else value


def cut_to(text: str, width: int) -> int:
    """The bits that a number is in a signed bit-field."""
    value = whole_number(text)
    if not -(1 << width - 1) <= value < 1 << width - 1:
        raise ValueError(text)
    return value & (1 << width) - 1


def enum_format(type_: Enum, width: int = 0) -> Format:
    """An enumerator's name, of flags several; the number where it has none. `width`: of a bit-field."""
    values, word = type_.enumerators(), type_.name
    names = {value: name for name, value in reversed(values)}
    numbers = {name: str(value) for name, value in values}
    signed = width if min(names, default=0) < 0 else 0
    flags = functools.lru_cache(1 << 10)(lambda value: flags_text(value, values))

    def show(shown: Sequence[str]) -> str:
        value = extended(shown[0], signed) if signed else number(shown[0])
        return flags(value) if type_.flags else names.get(value, str(value))

    def parse(text: str) -> tuple[int, ...]:
        if text.isidentifier() and text not in numbers:
            raise ValueError(near(text, numbers))
        text = numbers.get(text, text)
        return (cut_to(text, signed) if signed else whole_number(text),)
    kind, pairs = 'flags' if type_.flags else 'enum', ','.join(f'{name}={value}' for name, value in values)
    alone = f'{kind}({pairs})'                          # all that an anonymous one has
    word = f'enum({word})' if re.fullmatch(r'[\w:/.-]+', word) else alone
    return Format(word, (INTEGER,), show, parse, not signed, signed, alone=alone)


def flags_text(value: int, names: Sequence[tuple[str, int]]) -> str:
    """Flags by their names, and in hexadecimal those that have none, as the kernel does
    (kernel/trace/trace_output.c, trace_print_flags_seq)."""
    found: list[str] = []
    for name, mask in names if value > 0 else ():
        if mask > 0 and value & mask == mask:
            found, value = [*found, name], value & ~mask
    return '|'.join(found + [f'{value:#x}'] * (value > 0)) or str(value)


# Those of uapi/asm-generic/errno.h, by their first names, and the kernel's own (include/linux/errno.h)
ERRORS = {**errno.errorcode, errno.EDEADLK: 'EDEADLK', errno.EOPNOTSUPP: 'EOPNOTSUPP', **{
    512 + i: name for i, name in enumerate(
        '''ERESTARTSYS ERESTARTNOINTR ERESTARTNOHAND ENOIOCTLCMD ERESTART_RESTARTBLOCK EPROBE_DEFER
        EOPENSTALE ENOPARAM - EBADHANDLE ENOTSYNC EBADCOOKIE ENOTSUPP ETOOSMALL ESERVERFAULT EBADTYPE EJUKEBOX
        EIOCBQUEUED ERECALLCONFLICT ENOGRACE'''.split()) if name != '-'}}


def error_format(kind: str) -> Format:
    """An error by its name where the value of that fetch type is one, from -4095 to -1 (include/linux/err.h);
    any other number as it is."""
    end, numbers = 1 << int(kind[1:]), {f'-{name}': -value for value, name in ERRORS.items()}

    def show(values: Sequence[str]) -> str:
        value = number(values[0])
        value -= end * (value >= end - 4095)
        if -4096 < value < 0:
            return f'-{ERRORS[-value]}' if -value in ERRORS else str(value)
        return values[0]

    def parse(text: str) -> tuple[int, ...]:
        return (numbers[text] if text in numbers else whole_number(text),)
    return Format('errno', (r'[sx](?:32|64)',), show, parse, ordered=True)


def each(format_: Format) -> Format:
    """The format of an array of such."""
    def show(values: Sequence[str]) -> str:
        return '{' + ','.join(format_.show([value]) for value in values[0][1:-1].split(',')) + '}'
    return format_._replace(takes=(rf'(?:{format_.takes[0]})\[\d+\]',), show=show, parse=no_value,
                            ordered=False, signed=0)


def struct_format(members: Sequence[tuple[str, Format | None]], missing: Sequence[str] = ()) -> Format:
    """Members of a struct, each by its name."""
    def show(values: Sequence[str]) -> str:
        rest = iter(values)
        texts = [format_.show([next(rest) for _ in format_.takes]) if format_ else next(rest)
                 for _, format_ in members]
        return '{' + ' '.join(f'{name}={text}' for (name, _), text in zip(members, texts)) + '}'
    takes = tuple(kind for _, format_ in members for kind in (format_.takes if format_ else ('.*',)))

    def word(of: Callable[[Format], str]) -> str:
        words = (f'{name}:{of(format_)}' if format_ else name for name, format_ in members)
        return '{' + ';'.join(words) + '}'
    return Format(word(operator.attrgetter('word')), takes, show, missing=tuple(missing),
                  members=tuple(members), alone=word(lambda format_: format_.alone or format_.word))


TEXT_CHUNKS = 4                             # of 64 bytes, the longest array ftrace fetches


def text_format(most: int | None = None) -> Format:
    """Counted text: its length and up to 256 bytes of it, in an array of `most`. A byte that cannot be read
    becomes 0 and those behind it are old (copy_from_user in kernel/trace/trace_uprobe.c), so what is behind a
    zero is not shown."""
    def show(values: Sequence[str]) -> str:
        return counted_text(number(values[0]), array_bytes(values[1:]), most)
    return Format('text' if most is None else f'text[{most}]', (INTEGER, *[r'x8\[64\]'] * TEXT_CHUNKS), show)


def array_bytes(values: Sequence[str]) -> bytes:
    """The bytes of arrays of x8."""
    return bytes(int(byte, 16) for part in values for byte in part[1:-1].split(','))


def counted_text(length: int, data: bytes, most: int | None = None) -> str:
    """As much of it as there is."""
    if not 0 <= length < (1 << 31 if most is None else most + 1):
        return f'(no text: its length is {length})'
    whole, more = data[:length].split(b'\0')[0], ''
    if len(whole) < min(length, len(data)):
        more = f' ({length - len(whole)} more, from a NUL or an unreadable byte on)'
    elif length > len(data):
        more = f'... ({length} bytes)'
    return f'"{decoded(whole)}"{more}'


# libc++'s std::string where bytes are little-endian: the lowest bit of the first byte is set where a text is
# elsewhere, its length in the second word; else the rest of that byte is its length, and it is behind it.
OBJECT_BYTES = 24
HELD = tuple(f'{{{2 * length:#x},' for length in range(OBJECT_BYTES - 1))       # how such an object begins


def string_text(values: Sequence[str]) -> str:
    """The text of an object of libc++'s std::string; the others are the bytes that it may point to."""
    data = array_bytes(values[:1])
    if data[0] & 1:
        return counted_text(int.from_bytes(data[8:16], 'little'), array_bytes(values[1:]))
    return counted_text(data[0] >> 1, data[1:])


STRING_OBJECT = Format('libc++', (rf'x8\[{OBJECT_BYTES}\]', *[r'x8\[64\]'] * TEXT_CHUNKS), string_text)


# Of a file's path: the names on its own file system that are fetched, at most, then those on the file systems
# that this is mounted on. The last has none: below the root of most machines there is rootfs. Two paths find
# room in a line of the kernel's.
PATH_NAMES = (8, 4, 2, 0)
UNNAMED = (0, 0xeffffff7)   # numbers of mount namespaces that nobody is in: those of fsmount(2), open_tree(2)


class FilePath(NamedTuple):
    """What is fetched of a file's path: for each way up, from a dentry to the root of its mount, the names,
    their dentries and the one above them, and that root; then the mounts that the ways behind the first are
    in, and the one above; the mount's namespace, by its address and number; the link that is null where the
    last name was taken from its directory; the file system's name. Of a dentry alone, one way and that
    name."""
    ways: list[tuple[list[Any], list[Any], Any]]
    mounts: list[Any]
    namespace: list[Any]
    hashed: list[Any]
    system: Any

    @classmethod
    def of(cls, counts: Sequence[int], values: Iterable[Any]) -> FilePath:
        """From what stands for each part, in the order in which they are fetched."""
        rest, mounted = iter(values), len(counts) > 1

        def take(count: int) -> list[Any]:
            return list(itertools.islice(rest, count))
        ways = [(take(count), take(count + 1), next(rest)) for count in counts]
        return cls(ways, take(len(counts) * mounted), take(2 * mounted), take(mounted), next(rest))

    def values(self) -> list[Any]:
        """The parts in that order."""
        ways = [part for names, dentries, root in self.ways for part in (*names, *dentries, root)]
        return [*ways, *self.mounts, *self.namespace, *self.hashed, self.system]

    def text(self, is_address: Callable[[str], bool]) -> str:
        """As the kernel would write it (fs/d_path.c, prepend_path), from the root of the mount namespace on;
        '...' stands for names that were not fetched."""
        path: list[str] = []
        before = '' if self.mounts else f'{self.system[1:-1]}:'
        for level, (names, dentries, root) in enumerate(self.ways):
            good = list(itertools.takewhile(is_address, dentries))
            ends = (i for i, dentry in enumerate(good) if dentry == root or [dentry] == good[i + 1:i + 2])
            top = next(ends, len(good))
            read = list(itertools.takewhile(lambda name: name[0] == '"', names[:top]))
            path += [name[1:-1] for name in read]
            if good[top:top + 1] != [root] or len(read) < top:
                alone = not level and not top and len(good) > 1     # of a pipe, a socket, a memfd
                if alone:
                    return f'"{self.system[1:-1]}:{names[0][1:-1]}"'
                before += '...'
                break
            if not self.mounts or level and self.mounts[level] == self.mounts[level - 1]:
                break
            if not is_address(self.mounts[level]) or level == len(self.ways) - 1:
                before = '...'
                break
        dentries = self.ways[0][1]
        deleted = bool(self.hashed) and number(self.hashed[0]) == 0 and dentries[0] != dentries[1]
        adrift = bool(self.mounts) and (
            not is_address(self.namespace[0]) or number(self.namespace[1]) in UNNAMED)
        text = f'"{before}/{"/".join(reversed(path))}"'
        return text + ' (deleted)' * deleted + ' (not mounted)' * adrift


def path_format(counts: tuple[int, ...], arch: Arch) -> Format:
    """A file's path with up to so many names on each of its file systems."""
    def is_address(text: str) -> bool:
        return arch.kernel_from <= number(text) <= arch.last_address

    @functools.lru_cache(1 << 10)                       # the same files come again and again
    def text(values: tuple[str, ...]) -> str:
        return FilePath.of(counts, values).text(is_address)
    address = f'x{arch.bits}'
    ways = [([STRING] * count, [address] * (count + 1), address) for count in counts]
    mounts = [address] * len(counts) * (len(counts) > 1)
    takes = FilePath(ways, mounts, [address, 'u32'] * bool(mounts), [address] * bool(mounts), STRING).values()
    return Format(f"path({','.join(map(str, counts))})", tuple(takes), lambda values: text(tuple(values)))


def variant_format(text: str) -> Format:
    """The variant of an enum of Rust by its discriminant, the first part, and what it holds where that is one
    number, another part: 'None=0,Some=1/1'; '*': any other value, '/': it holds more than a number."""
    known: dict[str, tuple[str, str]] = {
        value: (name, held) for name, value, held in re.findall(r'(\w+)=(\d+|\*)(/?\d*)', text)}

    def show(values: Sequence[str]) -> str:
        name, held = known.get(str(number(values[0])), known.get('*', ('', '')))
        if not name:
            return f'(no variant: {values[0]})'
        inner = values[int(held[1:])] if held[1:] else '..'
        return name + f'({inner})' * bool(held)
    parts = max([int(held[1:] or 0) for _, held in known.values() if held], default=0)
    return Format(f'variant({text})', (INTEGER,) * (1 + parts), show)


SIZED_FORMATS = ((r'text\[(\d{1,9})\]', text_format), (r'cut\((\d{1,9})\)', cut_format),
                 (r'packet\((\d{1,9})\)', packet_format), (r'S\(([1-9]\d?)\)', signed_format))


def bit_width(kind: str) -> int:
    """The bits of a fetch type that is a bit-field, else 0."""
    return int(kind[1:kind.index('@')]) if '@' in kind else 0


def format_named(word: str, arch: Arch, kind: str = '') -> Format | None:
    """The format of that word, for a value of that fetch type, where no C type is needed to explain it."""
    if word in FORMATS:
        return FORMATS[word].format(word, arch.order)
    if word == 'errno' and re.fullmatch(r'[sx](32|64)', kind):
        return error_format(kind)
    if re.fullmatch(r'path\(\d(,\d)*\)', word):
        return path_format(tuple(map(int, word[5:-1].split(','))), arch)
    if re.fullmatch(r'(enum|flags)\((\w+=-?\d{1,20})(,\w+=-?\d{1,20})*\)', word):
        pairs = tuple((name, int(value)) for name, value in re.findall(r'(\w+)=([-\d]+)', word))
        return enum_format(Enum('', 0, False, lambda: pairs, word[0] == 'f'), bit_width(kind))
    variant = re.fullmatch(r'variant\((\w+=(?:\d+|\*)(?:/\d?)?(?:,\w+=(?:\d+|\*)(?:/\d?)?)*)\)', word)
    if variant:
        return variant_format(variant[1])
    sized = ((make, re.fullmatch(pattern, word)) for pattern, make in SIZED_FORMATS)
    found = next((make(int(match[1])) for make, match in sized if match), None)
    return found or {'X': HEX, 'text': text_format(), 'libc++': STRING_OBJECT}.get(word)


def missing(text: str) -> dict[str, str] | None:
    """For JSON, a word in the place of a value."""
    return None if text == '(null)' else {'error': text.strip('()')}


def value_shown(text: str) -> object:
    """What a format, or a table, shows: a text in quotes, a number, a name."""
    if text[:1] == '"':
        whole, _, more = text[1:].rpartition('"')
        return {'text': whole, 'more': more.strip()} if more else whole
    if text[:1] == '(':
        return missing(text)
    if re.fullmatch(r'-?(\d+|0x[0-9a-f]+)', text):
        return int(text, 0)
    return float(text) if re.fullmatch(r'-?\d[\d.]*(e[+-]?\d+)?', text) and text.count('.') < 2 else text


# ---- Resolve -----------------------------------------------------------------------------------------------

class Fetch(NamedTuple):
    """A fetch-arg: a base, dereferences (offset, space) from the inside out, a fetch type. The base is a
    value ('%di', '\\5'), or an address ('@symbol', '@0x..') for the first dereference. The space is '' for
    the memory of what is probed, 'u' for user memory; 'cpu' reads nothing: it leads to this processor's
    copy of a per-cpu variable."""
    base: str
    derefs: tuple[tuple[int, str], ...] = ()
    kind: str = ''

    def at(self, offset: int, space: str = '') -> Fetch:
        """The memory that many bytes from where this points."""
        own = ((0, 'cpu'),) * (space == 'cpu')
        return self._replace(derefs=(*self.derefs, *own, (offset, space if not own else '')))

    def text(self) -> str:
        """The text the kernel reads (kprobetrace.rst, FETCHARGS)."""
        text, derefs = self.base, self.derefs
        if text.startswith('@') and derefs and derefs[0][1] != 'cpu':
            offset, derefs = derefs[0][0], derefs[1:]
            if text[1] == '+' or text[1].isdigit():
                text = f"@{'+' * (text[1] == '+')}{int(text[1:], 0) + offset:#x}"
            elif offset:
                text = f'{text}{offset:+d}'
        for offset, space in derefs:
            step = f"{'-' if offset < 0 else '+'}{space}{abs(offset)}"
            text = f'this_cpu_ptr({text})' if space == 'cpu' else f'{step}({text})'
        return f'{text}:{self.kind}' if self.kind else text

    def size(self) -> int:
        """The bytes that the last step reads; of a text at least one."""
        bits, count = re.search(r'(\d*)(?:\[(\d+)\])?$', self.kind).groups()  # type: ignore[union-attr]
        return int(bits or 8) // 8 * int(count or 1)

    def pointers(self) -> list[tuple[Fetch, str]]:
        """The pointers that its dereferences start from, the register first, and the memory each must point
        to: 'kernel', 'user', 'cpu' for a per-cpu pointer, or 'any' where the kernel says (fault) itself: in
        the last step to a string (fetch_store_string in kernel/trace/trace_probe_kernel.h). Fixed addresses
        can always be read."""
        spaces = [{'u': 'user', '': 'kernel'}.get(space, space) for _, space in self.derefs]
        if self.kind in ('string', 'ustring'):
            spaces[-1:] = ['any'] * bool(spaces)
        if self.kind in ('%pd', '%pD'):  # the kernel reads on from the value (traceprobe_expand_dentry_args)
            spaces.append('kernel')
        if self.kind.startswith(('string[', 'ustring[')):  # the value is the first of several pointers
            spaces.append('any')
        fixed = int(self.base.startswith('@') or self.base in ('$stack', '%sp', '$current'))
        fixed += spaces[:1] == ['cpu'] if fixed else 0
        return [(Fetch(self.base, self.derefs[:i]), space) for i, space in enumerate(spaces)][fixed:]


class Guard(NamedTuple):
    """A number fetched unseen beside a field, whose value means something where it is from `low` to `high`;
    else `word` is shown, or for a pointer ('') whether it is null."""
    fetch: Fetch
    low: int
    high: int
    word: str = ''
    unless: tuple[str, ...] = ()            # where the value begins so, the number may be any
    name: str = ''                          # what it is fetched under

    def verdict(self, value: int) -> str:
        """The word to show instead of the field, '' when that can be trusted."""
        if self.low <= value <= self.high:
            return ''
        return self.word or ('(null)' if value < 4096 else '(fault)')

    def tests(self) -> list[str]:
        """The same as predicates of a filter."""
        if self.low == self.high:
            return [f'{self.name}=={self.low}']
        low = f'{self.name}>={self.low:#x}' if self.low > 4096 or self.word else f'{self.name}>{self.low - 1}'
        return [low] + [f'{self.name}<={self.high:#x}'] * (self.high + 1 < 1 << int(self.fetch.kind[1:]))


class Since(NamedTuple):
    """What a time counts from, $dur(NAME{,FIELD[=ITS]}): the last event NAME of the same task, or the last
    one whose fields ITS are what the fields here are."""
    event: str
    fields: tuple[tuple[str, str], ...] = ()            # (here, there)


HIDDEN = 'hidden'                           # behind #!, of a field that is not shown


class Field(NamedTuple):
    """One value shown, of one fetch, or of as many as its format has parts."""
    name: str
    fetches: tuple[Fetch, ...]
    format: Format | None = None            # None: as the kernel prints it
    guards: tuple[Guard, ...] = ()          # the outermost pointer first
    words: tuple[str, ...] = ()             # for -S, behind #!
    at: Span = (0, 1)
    when: str = ''              # 'entry': fetched at the entry of a return; 'dur': a time, of a call or since
    since: Since | None = None
    hidden: bool = False                    # fetched for the filter alone, behind what is shown

    def unshown(self) -> Field:
        """The same, for the filter alone."""
        return self._replace(hidden=True, words=(*self.words, HIDDEN))

    def is_as(self, other: Field) -> bool:
        """Tell whether it is fetched, and shown where that is, as one that is not hidden."""
        words = tuple(word for word in self.words if word != HIDDEN)
        return (self.fetches, self.since, self.when, words) == (
            other.fetches, other.since, other.when, other.words)

    @property
    def kind(self) -> str:
        """The fetch type of its first part."""
        return self.fetches[0].kind


class Lvalue(NamedTuple):
    """An object of a type, found while walking C, `bit` bits from 'memory': the address that `fetch` gives;
    'value': the value that it gives (a pointer's bits / 8 are added to it); 'pieces': the first of several
    registers. `width` is a bit-field's. `space` is that of a Fetch, of a pointer's value the one it points
    into; 'each': that of a per-cpu variable of no one processor."""
    type: Type
    how: str
    fetch: Fetch
    bit: int = 0
    width: int | None = None
    space: str = ''
    pieces: tuple[tuple[Fetch | None, int], ...] = ()       # (None where it cannot be read, bytes) each
    name: str = ''
    packet: Packet | None = None                            # that it is in

    def read(self, kind: str = '', offset: int = 0) -> Fetch:
        """The memory that it is in, or so many bytes behind its beginning."""
        if self.space == 'each':
            name = self.fetch.base[1:]
            refuse(f"'{name}' is a per-cpu variable, each processor has its own: this_cpu_read({name}) is "
                   'that of the processor that the probe is hit on (Linux 7.3)')
        return self.fetch.at(self.bit // 8 + offset, self.space)._replace(kind=kind)


class EventField(NamedTuple):
    """A field of a trace event, from its format file: `string` for what the kernel prints as text, `unsigned`
    for an int that the kernel has as a word without a sign."""
    name: str
    type: Type
    string: bool
    unsigned: bool = False


class Target(NamedTuple):
    """One place a probe is put at."""
    module: Module
    function: Function | None = None
    entry: bool = True                              # at its first instruction
    address: int = 0                                # in a program, at link time
    operands: tuple[str, ...] | None = None         # of a USDT probe, 'N@OP' each
    place: str = ''                                 # what the kernel is told
    name: str = ''                                  # what is shown
    obstacle: str = ''                              # why the kernel takes no probe there, where a table tells
    whole: bool = False                             # a function from its entry on, which has a return
    loop: bool = False                              # whether a loop in it begins there


KERNEL_TYPE = regex(r'''(?P<base>[sux](?P<bits>8|16|32|64)|char|u?string|symbol|symstr|%p[dD]
    |b(?P<width>\d{1,3})@(?P<start>\d{1,3})/(?P<container>8|16|32|64))(?:\[(?P<count>\d{1,9})\])?''', re.X)
STRINGS = ('string', 'ustring', 'symstr', '%pd', '%pD')
CHAR = Int('char', 1, True)
CHARS = Array(lambda: CHAR, None)


def is_string(fetch: Fetch) -> bool:
    """Tell whether it is shown as a text, or an array of such."""
    return (fetch.kind or 'string').split('[')[0] in STRINGS


def is_char(type_: Type) -> bool:
    """Tell plain char, in which C writes text, from Rust's of four bytes."""
    return isinstance(type_, Int) and type_.name == 'char' and type_.size == 1


def is_untyped(type_: Type) -> bool:
    """Tell whether nothing is known of what is there: a register's word, or memory at an address."""
    return isinstance(type_, Void) or isinstance(type_, Int) and not type_.name


def as_text(type_: Type) -> Type:
    """A pointer to bytes, or an array of them, as one of char."""
    if isinstance(type_, (Array, Pointer)):
        return type_._replace(written=lambda: Int('char', 1, False))
    return type_


def refuse(message: str, at: Span | None = None) -> NoReturn:
    """Refuse what is written there; without columns, what located() says."""
    raise InputError(message, at)


def near_type(info: TypeInfo, words: str) -> str:
    """'; did you mean ...?' with the types most like one that is not there; BTF tells it ten times faster."""
    keyword, name = words.rpartition(' ')[::2]
    others = [f'{other} {name}' for other in ('struct', 'union', 'enum') if info.named(other, name)]
    source = getattr(info, 'btf', None) or info
    return near(others[0], others) if others else near(name, source.type_names([keyword], name[:1]))


NO_FLOATS = 'ftrace reads no floating-point registers'


# Where arguments are when only the prototype is known


def convention(arch: Arch, function: Function) -> list[Location]:
    """The Location of each parameter at entry, by the calling convention of integers, pointers and plain
    structs; from the first one that this does not settle, 'gone' with the reason."""
    call = Call(arch, function)
    return [call.place(parameter) for parameter in function.parameters]


class Call:
    """The registers that the arguments of a call have left, and the words of stack they have taken; `why`
    once the places of those to come are not settled."""

    def __init__(self, arch: Arch, function: Function) -> None:
        self.arch, self.language, self.abi = arch, function.language, BY_VALUE[arch.by_value]
        self.numbers = {name: number_ for number_, name in reversed(sorted(arch.dwarf.items()))}
        self.free, self.stack = [self.numbers[name] for name in arch.arguments], 0
        if function.variadic and arch.name == 'i386':
            self.free = []  # gcc's regparm is not for them
        hidden = _hidden_pointer(arch, function)
        self.why = 'the function returns a struct, which moves its arguments' if hidden < 0 else ''
        if function.language == 'Go':
            self.why = 'Go has its own calling convention, and DWARF tells no place for it here'
        self._take(max(hidden, 0))
        # in registers of their own, as long as these last
        floats = sum(_parts(given.type()) for given in function.parameters if not given.by_address)
        self.floats_apart = arch.by_value in ('sysv', 'aapcs64') and floats <= 8

    def place(self, parameter: Parameter) -> Location:
        """Where the next parameter is."""
        type_, word = parameter.type(), self.arch.word
        size = size_of(type_)
        if self.why:
            return gone(self.why)
        if parameter.by_address:
            return self._at_address()
        if isinstance(type_, Void):  # a C++ pointer to a member, a number BTF has no word for
            return self._unsettled('nothing tells what it is')
        if isinstance(type_, Float):
            return self._float(type_)
        if not isinstance(type_, (Struct, Array)) and (size or 0) <= word:
            return self._scalar(size or word)
        if self.language == 'Rust':
            parts = rust_parts(type_)
            if 0 < len(parts) <= len(self.free):
                return self._in_registers(parts)
            return self._unsettled(f'where Rust passes {spell(type_)} here is not settled')
        if self.language == 'C++' and isinstance(type_, Struct) and type_.passed() != 'value':
            if type_.passed() == 'reference':
                return self._at_address()
            return self._unsettled(f'whether C++ passes {spell(type_)} by value or by reference is not known '
                                   '(DWARF 5 tells)')
        return self._by_value(type_, size)

    def _take(self, words: int) -> list[int]:
        """The next registers; what they do not suffice for is taken of the stack."""
        taken, self.free = self.free[:words], self.free[words:]
        self.stack += words - len(taken)
        return taken

    def _unsettled(self, why: str) -> Location:
        """A place that is not known, and neither are those of what comes after it."""
        self.why = 'it comes after an argument whose place is not settled'
        return Location('gone', why=why)

    def _scalar(self, size: int) -> Location:
        return Location('register', number=self.free.pop(0)) if self.free else self._on_stack(size)

    def _at_address(self) -> Location:
        """The object whose address is passed instead."""
        address = self._scalar(self.arch.word)
        return address._replace(how='memory') if address.how == 'register' else address._replace(derefs=(0,))

    def _in_registers(self, sizes: Sequence[int]) -> Location:
        registers = [Location('register', number=number_) for number_ in self._take(len(sizes))]
        return Location('pieces', pieces=tuple(zip(registers, sizes)))

    def _on_stack(self, size: int) -> Location:
        """The next words of the stack; big-endian machines put a narrow value at the end of its word."""
        arch, offset = self.arch, self.arch.stack + self.stack * self.arch.word
        self.stack += -(-size // arch.word)
        offset += arch.word - size if arch.order == 'big' else 0
        return Location('memory', number=self.numbers[arch.stack_pointer], offset=offset)

    def _float(self, type_: Float) -> Location:
        """ELF v2 keeps room for it among the integers; i386 has all on the stack."""
        if not self.arch.arguments:
            return self._on_stack(type_.size)
        if self.arch.by_value == 'elfv2' and type_.size <= 8:
            self._take(_parts(type_))
        elif not self.floats_apart or type_.size > 8:
            self.why = 'it comes after a floating-point argument'
        return gone(NO_FLOATS)

    def _by_value(self, type_: Type, size: int | None) -> Location:
        """A struct or a double word, by the rules of the psABI."""
        abi, rules, word = self.abi, self.arch.by_value, self.arch.word
        double = isinstance(type_, (Int, Enum)) and self.arch.bits == 32
        regparm = rules == 'i386' and self.arch.arguments
        settled = isinstance(type_, Struct) and not regparm and _is_plain(type_) and _has_members(type_)
        if size is None or not double and not settled:
            return self._unsettled(f'it is {spell(type_)} by value: DWARF would tell its place, the calling '
                                   'convention known here does not')
        if rules == 'aapcs32' and _alignment(type_) == 8:  # begins at an even register, or word
            self._take(len(self.free) % 2 if self.free else self.stack % 2)
        words, odd = -(-size // word), rules == 's390' and size not in (1, 2, 4, 8)
        if abi.larger == 'reference' and (size > abi.largest or odd):
            return self._at_address()
        if words <= len(self.free) and size <= (abi.largest or size):
            return self._in_registers([min(size, word)] * words)
        if abi.short == 'split' and self.free:
            self._take(words)
            return gone('a part of it is in registers, and the rest on the stack')
        self.free = self.free if abi.short == 'stack' else []
        return self._on_stack(size)


def _is_complex(type_: Type) -> bool:
    return isinstance(type_, Float) and 'omplex' in type_.name


def _parts(type_: Type) -> int:
    """The registers of their own that floating-point numbers may take."""
    return isinstance(type_, Float) + _is_complex(type_)


def _hidden_pointer(arch: Arch, function: Function) -> int:
    """Words taken by the address of what is to be returned; -1 where that is not settled here."""
    type_, abi, cxx = function.returns(), arch.by_value, function.language == 'C++'
    size = size_of(type_)
    if isinstance(type_, (Int, Float)):
        if abi == 's390':  # in memory what is wider than a register or complex
            return int(type_.size > 8 or _is_complex(type_))
        # of what is wider than 16 bytes, and of complex numbers, arm and i386 have more than one convention
        return -1 if type_.size > 16 and abi != 'aapcs64' or _is_complex(type_) and arch.bits == 32 else 0
    if isinstance(type_, Array) or isinstance(type_, Void) and type_.name != 'void':
        return -1  # a vector, a C++ pointer to a member
    if not isinstance(type_, Struct) or function.language == 'Rust' and rust_parts(type_):
        return 0
    if function.language == 'Rust' or cxx and not type_.passed() and (size or 0) <= 16:
        return -1
    if abi == 'aapcs64':
        return 0  # in x8, no argument's register
    if cxx and type_.passed() == 'reference':
        return 1 if abi == 'sysv' else -1
    if abi == 'i386':
        return -1 if arch.arguments else 1  # the kernel has -freg-struct-return
    if size is None or abi not in ('riscv', 's390') and not _is_plain(type_):
        return -1
    return int(size > BY_VALUE[abi].returned)


def rust_parts(type_: Type) -> tuple[int, ...]:
    """The bytes of a Rust value in each of its registers, where these are plain (rustc_abi: Scalar,
    ScalarPair): one for a number or pointer, also as a struct's only member, two for a reference that carries
    a length, and for an enum with its discriminant and a number at one place; else none."""
    if not isinstance(type_, Struct):
        return (8,) * (not isinstance(type_, (Array, Float)) and (size_of(type_) or 0) <= 8)
    discriminant, each = type_.variants()
    if discriminant:
        held = {place for variant in each for place in scalars_in(variant.member)}
        held -= {(discriminant.bit, type_.size or 0)}
        first, size = (held or {(0, 0)}).pop()
        if not held and discriminant.bit == 0 and size_of(discriminant.type()) == type_.size:
            return (8,)
        return (first // 8, size) if not held and discriminant.bit == 0 < first and size else ()
    members = [member for member in type_.members() if size_of(member.type()) != 0] if type_.size else []
    if [member.name for member in members] == ['data_ptr', 'length']:
        return 8, 8
    only = members[0].type() if len(members) == 1 else None
    return rust_parts(only) if only and size_of(only) == type_.size else ()


def scalars_in(member: Member, bit: int = 0) -> Iterator[tuple[int, int]]:
    """(bit, bytes) of all numbers in a member; (-1, 0) of what is none."""
    type_ = member.type()
    if isinstance(type_, Struct) and not type_.variants().discriminant:
        for inner in type_.members():
            yield from scalars_in(inner, bit + member.bit)
    elif size_of(type_):
        number_ = isinstance(type_, (Int, Enum, Pointer))
        yield (bit + member.bit, size_of(type_) or 0) if number_ else (-1, 0)


def _is_plain(struct_: Struct) -> bool:
    """Tell whether a struct goes where its size tells."""
    return not _has_float(struct_) and not _is_laid_out_by_hand(struct_)


def _has_float(type_: Type) -> bool:
    if isinstance(type_, Struct):
        return any(_has_float(member.type()) for member in type_.members())
    return isinstance(type_, Float) or isinstance(type_, Array) and _has_float(type_.element())


def _has_members(type_: Type) -> bool:
    """Tell whether there is anything to be passed: C++ gives an empty class a byte, and no register."""
    if isinstance(type_, Struct):
        return any(_has_members(member.type()) for member in type_.members())
    return not isinstance(type_, Array) or type_.length != 0 and _has_members(type_.element())


def _is_laid_out_by_hand(struct_: Struct) -> bool:
    """Tell whether a member is not where its type would have it (packed, or aligned by an attribute), or is
    wider than a register, which aligns the struct to 16: it is passed in memory, or by rules of its own."""
    end = 0
    for member in struct_.members():
        type_ = member.type()
        inner, align = innermost(type_), 8 * _alignment(type_)
        if align > 64 or isinstance(inner, Struct) and _is_laid_out_by_hand(inner):
            return True
        if member.width is None and (member.bit % align or member.bit - end >= align):
            return True
        end = max(end, member.bit + (member.width or 8 * (size_of(type_) or 0)))
    return 8 * (struct_.size or 0) - end >= 8 * _alignment(struct_)


def _alignment(type_: Type) -> int:
    """The bytes a type is aligned to where nobody says otherwise."""
    type_ = innermost(type_)
    if isinstance(type_, Struct):
        return max((_alignment(member.type()) for member in type_.members()), default=1)
    return size_of(type_) or 1


# Members that are macros of the kernel's headers, where the struct has none of that name: include/net/sock.h
# (struct sock), inet_sock.h (inet_sock, inet_request_sock), request_sock.h, inet_timewait_sock.h
_MACROS = {
    'sk': ('__sk_common', '''node nulls_node refcnt tx_queue_mapping rx_queue_mapping dontcopy_begin hash
           dontcopy_end portpair num dport addrpair daddr rcv_saddr family state reuse reuseport ipv6only
           net_refcnt bound_dev_if bind_node prot net v6_daddr v6_rcv_saddr cookie incoming_cpu flags
           rxhash'''),
    'inet': ('sk.__sk_common', 'daddr rcv_saddr dport num'),
    'ir': ('req.__req_common', '''loc_addr=rcv_saddr num rmt_addr=daddr rmt_port=dport v6_rmt_addr=v6_daddr
           v6_loc_addr=v6_rcv_saddr iif=bound_dev_if cookie'''),
    'ireq': ('req.__req_common', 'net state family'),
    'rsk': ('__req_common', 'refcnt hash listener'),
    'tw': ('__tw_common', '''family state reuse reuseport ipv6only bound_dev_if node nulls_node bind_node hash
           refcnt prot net daddr v6_daddr rcv_saddr v6_rcv_saddr dport num cookie''')}
MEMBER_MACROS = {f"{prefix}_{name.partition('=')[0]}": f"{path}.skc_{name.rpartition('=')[2]}"
                 for prefix, (path, names) in _MACROS.items() for name in names.split()}


# Packet headers


class Header(NamedTuple):
    """A packet header: its layer, its bytes without options, and what says that it is there: the EtherType or
    the IPv4 protocol number before it (RFC 791, include/uapi/linux/if_ether.h, in.h)."""
    layer: str
    size: int
    number: int


HEADERS = {'ethhdr': Header('l2', 14, 0), 'iphdr': Header('l3', 20, 0x0800),
           'ipv6hdr': Header('l3', 40, 0x86dd), 'icmphdr': Header('l4', 8, 1),
           'tcphdr': Header('l4', 20, 6), 'udphdr': Header('l4', 8, 17)}
PAYLOAD = {'cdata': 1, 'sdata': 2, 'ldata': 4, 'qdata': 8, 'Sdata': 0}


class Packet(NamedTuple):
    """A header in a packet that begins at `layer`, or (`payload`) what is behind it. `data` is skb->data;
    `length` is where in the sk_buff len is, before data_len of what is elsewhere (include/linux/skbuff.h)."""
    data: Fetch
    header: str
    layer: str
    length: int
    payload: bool = False

    @property
    def word(self) -> str:
        """What -S has for it behind #!."""
        return f"{self.header}{'.data' * self.payload}@{self.layer}+{self.length}"

    @property
    def offset(self) -> int:
        """Bytes from the data to the header, behind an IPv4 header of 20 bytes, without options."""
        wanted = HEADERS[self.header].layer
        return 14 * (self.layer == 'l2' and wanted != 'l2') + 20 * (self.layer != 'l4' and wanted == 'l4')

    def in_skb(self, offset: int = 0) -> Fetch:
        """skb->len, or what is so many bytes behind it."""
        return Fetch(self.data.base, self.data.derefs[:-1], 'u32').at(self.length + offset)

    def guards(self, order: Any, end: int) -> list[Guard]:
        """The conditions for the header to be there, and for the packet to have `end` bytes."""
        wanted, ip = HEADERS[self.header], 14 if self.layer == 'l2' else 0

        def expect(offset: int, low: int, high: int, kind: str = 'u8') -> Guard:
            return Guard(self.data.at(offset)._replace(kind=kind), low, high, f'(no {self.header})')
        guards = [Guard(self.in_skb(), end, (1 << 32) - 1, '(too short)')]
        guards += [Guard(self.in_skb(4), 0, 0, '(in pieces)')] * self.payload
        if self.layer == 'l2' and wanted.layer != 'l2':
            ether = wanted.number if wanted.layer == 'l3' else HEADERS['iphdr'].number
            ether = int.from_bytes(ether.to_bytes(2, 'big'), order)
            guards.append(expect(12, ether, ether, 'u16'))
        if self.header == 'ipv6hdr':
            guards.append(expect(ip, 0x60, 0x6f))
        if self.header == 'iphdr':  # with something behind it, without options
            guards.append(expect(ip, 0x45, 0x45) if self.payload else expect(ip, 0x40, 0x4f))
        if wanted.layer == 'l4' and self.layer != 'l4':  # no options, that protocol, the first fragment
            guards += [expect(ip, 0x45, 0x45), expect(ip + 9, wanted.number, wanted.number),
                       expect(ip + 7, 0, 0), expect(ip + 6, 0, 0, 'b5@0/8')]
        if self.payload and self.header == 'tcphdr':
            guards.append(expect(self.offset + 12, 0x50, 0x5f))
        return guards


# Texts that carry their length: (the type's name, the member that is or points to the text, its length)
TEXT_TYPES: tuple[tuple[str, str, str], ...] = (
    (r'string', 'str', 'len'), (r'\[\]uint8', 'array', 'len'),  # Go
    (r'string|const\(char\)\[\]|char\[\]', 'ptr', 'length'),  # D
    (r'&(mut )?(str|\[u8\])', 'data_ptr', 'length'),  # Rust
    (r'String', 'vec.buf.ptr.pointer.pointer', 'vec.len'),
    (r'String', 'vec.buf.inner.ptr.pointer.pointer', 'vec.len'),
    (r'(std::)?(\w+::)*basic_string_view<char,.*', '_M_str', '_M_len'),  # libstdc++
    (r'(std::)?(\w+::)*basic_string<char,.*', '_M_dataplus._M_p', '_M_string_length'),
    (r'(std::)?(\w+::)*basic_string_view<char,.*', '__data', '__size'),  # libc++, of old and new
    (r'(std::)?(\w+::)*basic_string_view<char,.*', '__data_', '__size_'),
    (r'(std::)?(\w+::)*basic_string<char,.*', '__r_.__value_.__l.__data_', '__r_.__value_.__s.__data_'),
    (r'(std::)?(\w+::)*basic_string<char,.*', '__rep_.__l.__data_', '__rep_.__s.__data_'),
    (r'qstr', 'name', 'len'), (r'Symbol', '_body', '_length'))  # the kernel; HotSpot


# Members that hold a file's name, though of unsigned char (include/linux/dcache.h); others need not be text
NAME_MEMBERS = {('qstr', 'name'), ('dentry', 'd_iname'), ('shortname_store', 'string')}


# Operands of USDT probes


def split_operands(text: str) -> tuple[str, ...]:
    """The operands of a USDT note; those of some architectures have blanks within."""
    return tuple(re.findall(r'(?:-?\d+f?@)?\S(?:\[[^\]]*\]|(?!\s+-?\d+f?@).)*', text.strip()))


X86_NAMES = {**{f'{prefix}{name}{suffix}': name for name in ('ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp')
                for prefix, suffix in (('r', ''), ('e', ''), ('', ''), ('', 'l'))},
             **{f'{name}l': f'{name}x' for name in 'abcd'},
             **{f'r{i}{suffix}': f'r{i}' for i in range(8, 16) for suffix in ('', 'd', 'w', 'b')}}


def operand_register(arch: Arch, name: str) -> str:
    """The kernel's name for a register as an assembler writes it, '' for one that ftrace cannot read."""
    if arch.name in ('x86_64', 'i386'):
        name = X86_NAMES.get(name, '')
    elif arch.name == 'aarch64' and re.fullmatch(r'w\d+', name):
        name = 'x' + name[1:]
    elif arch.name == 'ppc64le' and name.isdigit():
        name = 'r' + name  # gas there has plain numbers for registers
    return name if name in arch.registers else ''


class Leaves:
    """The leaves of expressions at a target, in a probe of `kind` 'p', 'r' or 'e'. `abilities` is what a
    return probe may read ('$arg': the kernel keeps the arguments of the call)."""
    fields: dict[str, EventField] | None = None         # of an event
    in_program = False
    refused = {'every': '* is every parameter, and an argument by itself: p FUNC *',
               'since': '$dur() is a time, in microseconds: it stands alone, as an argument or a key',
               'fileoffset': '@+OFFSET is for programs (P, R); in the kernel write @symbol'}

    def __init__(self, target: Target, kind: str = 'p', abilities: frozenset[str] = frozenset()) -> None:
        self.target, self.kind, self.abilities = target, kind, abilities
        self.info, self.function, self.entry = target.module, target.function, target.entry
        self.arch = target.module.arch
        self.word = Int('', self.arch.word, False)

    def every(self, at: Span) -> list[Expr]:
        """What '*' stands for: the parameters."""
        if not self.function:
            refuse('no debug information for this function tells its parameters', at)
        return [Expr('argument', at, each.name, i) for i, each in enumerate(self.function.parameters)]

    def _argument(self, expr: Expr) -> Lvalue:
        if not self.function:
            return self._word_argument(expr.number)
        count = len(self.function.parameters)
        if expr.number < count:
            return self._parameter(expr.number)
        has = f'{count} parameters, %0 to %{count - 1}'
        has = has if count > 1 else ('no parameters', 'one parameter, %0')[count]
        more = '; where further arguments of a variadic function are is not known' * self.function.variadic
        return refuse(f'{self.function.name} has {has}{more}')

    def _word_argument(self, index: int) -> Lvalue:
        """An argument of a function nothing is known of: the place it has if all are integers or pointers."""
        if self.kind == 'r' or not self.entry:
            refuse('no debug information for this function tells where its arguments are here; '
                   'name a register (%REG)')
        beyond, name = index - len(self.arch.arguments), f'arg{index}'
        if beyond < 0:
            return Lvalue(self.word, 'value', Fetch('%' + self.arch.arguments[index]), name=name)
        bit = 8 * (self.arch.stack + beyond * self.arch.word)
        return Lvalue(Pointer(self.arch.word, Void), 'memory', Fetch('$stack'), bit, name=name)

    def _parameter(self, index: int) -> Lvalue:
        """The parameter with that number. At entry the function has not yet filled its places in memory."""
        assert self.function
        parameter, changed = self.function.parameters[index], self.function.changed
        location, name = parameter.location, parameter.name
        if location is None and not self.entry:
            refuse(f"'{name}' is known only at the function's entry; name a register (%REG)")
        if location is None and changed:
            refuse(f"where '{name}' is at the entry of this copy, DWARF does not tell; "
                   'name a register (%REG)')
        if self.entry and not changed and (
                location is None or location.how in ('memory', 'pieces', 'frame')):
            places = convention(self.arch, self.function)
            if any(map(self._is_unlike, self.function.parameters, places)):
                refuse(f"where '{name}' is at the entry, DWARF does not tell, and other arguments are not "
                       "where C's calling convention has them; name a register (%REG)")
            if location is None or location.how != 'frame' and places[index].how != 'gone':
                location = places[index]
        assert location
        return (self._kept_argument if self.kind == 'r' else self._at_location)(parameter, location)

    def _is_unlike(self, parameter: Parameter, ours: Location) -> bool:
        """Say whether DWARF has an argument elsewhere than the calling convention: gcc marks no function of
        another one."""
        told = parameter.location or gone('')
        ours = ours.pieces[0][0] if len(ours.pieces) == 1 else ours
        if told.how == 'frame' and not told.derefs:
            return ours.how in ('register', 'pieces')
        is_argument = self.arch.dwarf.get(told.number) in self.arch.arguments
        return (told.how in ('register', 'memory') and is_argument and ours.how != 'gone'
                and (told.how, told.number) != (ours.how, ours.number))

    def _kept_argument(self, parameter: Parameter, location: Location) -> Lvalue:
        """An argument at return: its register is used up, so only what the kernel kept of the call."""
        if '$arg' not in self.abilities:
            refuse("at return the argument's register holds something else, and this kernel keeps no "
                   'arguments ($argN in return probes: Linux 6.9); trace it at entry with p')
        number = self._register_number(parameter, location)
        if number < 0:
            refuse('the kernel keeps only arguments passed in one register each; trace it at entry with p')
        return self._whole(parameter.type(), Fetch(f'$arg{number + 1}'), parameter.name)

    def _register_number(self, parameter: Parameter, location: Location) -> int:
        """Which of the registers of arguments it is passed in, -1 where it is not in one alone."""
        location = location.pieces[0][0] if len(location.pieces) == 1 else location
        register = self.arch.dwarf.get(location.number, '') if location.how == 'register' else ''
        fits = register in self.arch.arguments and (size_of(parameter.type()) or 99) <= self.arch.word
        return self.arch.arguments.index(register) if fits else -1

    def _whole(self, type_: Type, fetch: Fetch, name: str) -> Lvalue:
        """A value that one fetch reads."""
        if isinstance(type_, (Struct, Array)):
            size = size_of(type_) or self.arch.word
            return Lvalue(type_, 'pieces', fetch, pieces=((fetch, size),), name=name)
        return Lvalue(type_, 'value', fetch, name=name)

    def _at_location(self, parameter: Parameter, location: Location) -> Lvalue:
        type_, name = parameter.type(), parameter.name
        if location.how == 'pieces':
            pieces = tuple((self._piece_at(piece), size) for piece, size in location.pieces)
            return Lvalue(type_, 'pieces', Fetch(''), pieces=pieces, name=name)
        place = self._place(location)
        if place is None:
            unread = NO_FLOATS if isinstance(type_, Float) else 'ftrace cannot read where it is'
            refuse(f"'{name}' is not available here: {location.why or unread}")
        fetch, offset, is_value = place
        if not is_value:
            return Lvalue(type_, 'memory', fetch, 8 * offset, name=name)
        if offset and not isinstance(type_, Pointer):
            refuse(f"'{name}' is not available here: it is {fetch.text()} {offset:+d}, and ftrace cannot add")
        return self._whole(type_, fetch, name)._replace(bit=8 * offset)

    def _place(self, location: Location) -> tuple[Fetch, int, bool] | None:
        """(what is fetched, bytes to be added, whether that is the value and not its address)."""
        how, register = location.how, self.arch.dwarf.get(location.number)
        begin: tuple[Fetch, int] | None = None
        if how == 'constant':
            begin = Fetch(f'\\{location.offset}'), 0
        elif how == 'register' and register:
            begin = Fetch('%' + register), 0
        elif how == 'frame' and self.entry:
            begin = Fetch('$stack'), location.offset + self.arch.frame
        elif how == 'memory' and register:
            begin = self._base(register), location.offset
        elif how == 'address':
            begin = self._symbol_of(location.offset)
        if begin is None:
            return None
        for step in location.derefs:
            begin = begin[0].at(begin[1]), step
        return (*begin, location.value or how in ('constant', 'register'))

    def _base(self, register: str) -> Fetch:
        """A register as an address: the stack pointer can always be read."""
        return Fetch('$stack' if register == self.arch.stack_pointer else '%' + register)

    def _piece_at(self, location: Location) -> Fetch | None:
        """What reads a part of a variable that is in several places."""
        fetch, offset, is_value = self._place(location) or (None, 0, True)
        if fetch and not is_value:
            return fetch.at(offset)
        return fetch if fetch and not offset and not fetch.derefs else None

    def _symbol_of(self, address: int) -> tuple[Fetch, int] | None:
        """A link-time address by a symbol that only one thing has, else by the start of the image."""
        executable = self.info.dwarf.executable if self.info.dwarf else None
        if not executable:
            return None
        symbol = executable.symbol_at(address, False) or executable.symbol_at(address)
        if symbol and 'percpu' in symbol.section:
            return None
        names = self.info.symbols.symbols(symbol.name) if symbol and self.info.symbols else []
        if symbol and len(names) == 1 and re.fullmatch(r'[A-Za-z_]\w*(\.\d+)*', symbol.name):
            return Fetch('@' + symbol.name), address - symbol.address
        text = executable.symbols('_text')
        return (Fetch('@_text'), address - text[0].address) if text and address >= text[0].address else None

    def _register(self, expr: Expr) -> Lvalue:
        name, known = expr.name, self.arch.registers
        if name not in known:
            refuse(f"{self.arch.name} has no register '%{name}' for ftrace{near(name, known)}")
        return Lvalue(self.word, 'value', Fetch('%' + name), name=name)

    def _special(self, expr: Expr) -> Lvalue:
        name = expr.name
        if name in ('$comm', '$COMM'):
            return Lvalue(CHARS, 'value', Fetch('$comm'), name='comm')
        if name == '$current':
            return self._current()
        if name == '$retval':
            return self._returned()
        if re.fullmatch(r'\$stack\d*', name):
            return Lvalue(self.word, 'value', Fetch(name), name=name[1:])
        return self._numbered(expr)

    def _current(self) -> Lvalue:
        if self.in_program:
            refuse('$current is for the kernel: a program cannot be told where its task is')
        if '$current' not in self.abilities:
            refuse('this kernel has no $current (Linux 7.3): where a parameter is the task, or leads to it, '
                   'that can be named; $comm and common_pid are always there')
        task = self.info.named('struct', 'task_struct') or Void()
        return Lvalue(Pointer(self.arch.word, lambda: task), 'value', Fetch('$current'), name='current')

    def _numbered(self, expr: Expr) -> Lvalue:
        """$argN counts registers: the parameter that is in that one. At return and of a tracepoint it is the
        only way to write the others as well, for who says the type (as -S does)."""
        name, match, only = expr.name, re.fullmatch(r'\$arg([1-9]\d?)', expr.name), self.kind in 'rt'
        if not match:
            here = otherwise(name[1:].rstrip('*'))
            refuse(f'the variables are $retval, $comm, $current, $stack, $stackN and $argN{here}')
        if not self.entry:
            refuse(f"{name} is an argument only at the function's entry; name a register (%REG)")
        if self.kind == 'r' and '$arg' not in self.abilities:
            refuse('this kernel has no $argN in return probes (Linux 6.9)')
        index, word = int(match[1]) - 1, Lvalue(self.word, 'value', Fetch(name), name=name[1:])
        register, place = ''.join(self.arch.arguments[index + (self.kind == 't'):][:1]), None
        if not self.function:
            return word if register else self._word_argument(index)
        unkept = (InputError,) if only else ()  # passed in no register
        with contextlib.suppress(*unkept):
            place = self._argument(Expr('argument', expr.at, number=index))
        if place and place.how == 'value' and place.fetch in (Fetch('%' + register), word.fetch):
            return place._replace(fetch=word.fetch)
        if only and register:
            return word
        return refuse(f'{name} counts registers, and this argument is not in the one it means; '
                      f'write %{index}')

    def _returned(self) -> Lvalue:
        if self.kind != 'r':
            refuse(f"$retval is there when a function returns: use {'R' if self.in_program else 'r'}")
        function, word = self.function, Lvalue(self.word, 'value', Fetch('$retval'), name='retval')
        name = function.name if function else self.target.name
        changed = function.changed if function else is_changed_copy(name)
        if function and isinstance(function.returns(), Void):
            refuse(f'{name} returns nothing')
        other = re.sub(r'(\.constprop\.\d+)+$', '', name)          # which returns what the function does
        if changed and (other == name or is_changed_copy(other)):
            refuse(f"the compiler changed '{name}', and may have taken away what it returned; "
                   'name a register (%REG)')
        if not function:
            return word
        type_, size = function.returns(), size_of(function.returns()) or 0
        if isinstance(type_, Float):
            refuse(f'{name} returns a {spell(type_)}: {NO_FLOATS}')
        if isinstance(type_, Struct):
            passed = {'': 'value', 'C++': type_.passed()}.get(function.language, '')
            second = Fetch('%dx') if self.arch.by_value == 'sysv' else None
            parts = rust_parts(type_) if function.language == 'Rust' else ()
            if len(parts) == 1 or parts and second:
                pieces = tuple(zip((word.fetch, second), parts))
                return word._replace(type=type_, how='pieces', pieces=pieces)
            if self.arch.by_value != 'sysv' or not passed or passed == 'value' and not _is_plain(type_):
                refuse(f'{name} returns {spell(type_)} by value: where it is then is not settled')
            if passed == 'reference' or size > 16:
                return word._replace(type=type_, how='memory')
            return word._replace(type=type_, how='pieces', pieces=((word.fetch, 8), (second, 8)))
        if size > self.arch.word:
            refuse(f'{name} returns {spell(type_)}: wider than a register')
        return word._replace(type=type_)

    def _name(self, expr: Expr) -> Lvalue:
        function, name = self.function, expr.name
        if not function:
            refuse(f"no debug information for this function: {self.info.untold}'{name}' cannot be looked up; "
                   f'%0 or a register (%REG) can, and a global (@{name})')
        names = [parameter.name for parameter in function.parameters]
        if name in names:
            return self._parameter(names.index(name))
        others: dict[str, Parameter] = {}
        for local in function.locals:
            others.setdefault(local.name, local)
        location = others[name].location if name in others else None
        if location:
            return self._at_location(others[name], location)
        variable = self.info.variable(name)
        if variable and not isinstance(variable.type, Void):
            return self._global(expr)
        listed = f"; its parameters are {', '.join(names)}" if names else '; it has no parameters'
        if others:
            listed += f"; variables here: {', '.join([*others][:12])}"
        what = 'parameter or variable' if function.home else 'parameter'
        hint = near(name, [*names, *others]) or self._as_member(name) or otherwise(name)
        return refuse(f"{function.name} has no {what} '{name}'" + (hint or f'{listed} (a global is @{name})'))

    def _as_member(self, name: str) -> str:
        """'; did you mean ...?' with the parameters that point to a struct which has such a member."""
        found = []
        for each in self.function.parameters if self.function else ():
            type_ = each.type()
            target = type_.target() if isinstance(type_, Pointer) else None
            if isinstance(target, Struct) and find_member(target, name):
                found.append(f"'{each.name}->{name}'")
        return f"; did you mean {' or '.join(found)}?" if found else ''

    def _global(self, expr: Expr) -> Lvalue:
        variable, name = self.info.variable(expr.name), expr.name
        type_ = variable.type if variable and not expr.number else Void()
        fetch = self._symbol(name)
        each = variable.per_cpu if variable else self._is_per_cpu(name)
        return Lvalue(type_, 'memory', fetch, 8 * expr.number, space='each' * each, name=name)

    def _is_per_cpu(self, name: str) -> bool:
        """Tell whether a symbol that no debug information knows is one of those (include/linux/percpu.h)."""
        table, marks = self.info.symbols, ('__per_cpu_start', name, '__per_cpu_end')
        places = [symbol.address for mark in marks for symbol in table.symbols(mark)] if table else []
        return len(places) == 3 and places[0] <= places[1] < places[2]

    def _symbol(self, name: str) -> Fetch:
        found = self.info.symbols.symbols(name) if self.info.symbols else None
        if found is not None and not found:
            refuse(f"the kernel has no symbol '{name}'")
        if found and len(found) > 1:
            refuse(f"'{name}' is the name of {len(found)} symbols, and the kernel would take the first")
        return Fetch('@' + name)

    def _address(self, expr: Expr) -> Lvalue:
        plus = '+' * (expr.kind == 'fileoffset')
        return Lvalue(Void(), 'memory', Fetch(f'@{plus}{expr.number:#x}'), name='mem')

    _fileoffset = _address

    def _immediate(self, expr: Expr) -> Lvalue:
        is_text = expr.name[1] == '"'
        if is_text and self.in_program:
            refuse('the kernel shows (fault) for a text written here when the probe is in a program')
        return Lvalue(CHARS if is_text else self.word, 'value', Fetch(expr.name), name='imm')


class Walk(Leaves):
    """From an expression to the object it names, by the rules of C."""

    def value(self, expr: Expr) -> Lvalue:
        """The object an expression names."""
        with located(at=expr.at):
            if expr.kind in self.refused:
                refuse(self.refused[expr.kind])
            lvalue: Lvalue = getattr(self, '_' + expr.kind)(expr)       # C++'s reference is what it refers to
            is_reference = isinstance(lvalue.type, Pointer) and lvalue.type.mark != '*'
            return self.pointee(lvalue) if is_reference else lvalue

    def _offset(self, expr: Expr) -> Lvalue:
        inner = self.value(expr.inner)
        if expr.inner.kind == 'special' and inner.how == 'memory':  # $retval of a struct is where it lies
            inner = Lvalue(self.word, 'value', inner.fetch)
        place = self._address_in(inner)._replace(type=self.word, how='memory', name='mem')
        return place._replace(bit=place.bit + 8 * expr.number, space='u' if expr.user else place.space)

    def _address_in(self, lvalue: Lvalue) -> Lvalue:
        """The value of what is to be used as an address: a pointer, or an integer as wide as one."""
        type_ = lvalue.type
        wide = isinstance(type_, (Pointer, Void)) or isinstance(type_, Int) and type_.size == self.arch.word
        if not wide and not (isinstance(type_, Array) and self.kind == 'e'):
            way = ': & before it gives its address' * (lvalue.how == 'memory' and lvalue.width is None)
            refuse(f'{spell(type_)} is no address{way}')
        return self._loaded(lvalue)

    def _loaded(self, lvalue: Lvalue) -> Lvalue:
        """The value of a pointer (or of what is used as one): 'value', its bit what is to be added to it."""
        if lvalue.how == 'value':
            return lvalue
        if lvalue.width is not None:
            refuse('a bit-field is no address')
        space = lvalue.space if lvalue.space == 'u' else ''
        return lvalue._replace(how='value', fetch=self._fetched(lvalue), bit=0, space=space)

    def _fetched(self, lvalue: Lvalue) -> Fetch:
        """The fetch of a scalar that is no bit-field; its kind is left open."""
        fetch = lvalue.fetch
        if lvalue.how == 'memory':
            return lvalue.read()
        if lvalue.how == 'pieces':
            return self._piece(lvalue, 8 * (size_of(lvalue.type) or 0))
        if lvalue.bit:
            refuse(f'ftrace cannot add: this is {fetch.text()} {lvalue.bit // 8:+d}; trace the pointer '
                   'alone, or a member it points to')
        if lvalue.space == 'cpu':
            return fetch._replace(derefs=(*fetch.derefs, (0, 'cpu')))
        if fetch.base.startswith('@') and not fetch.derefs:
            refuse('ftrace reads what is at a symbol; the address itself is in /proc/kallsyms')
        return fetch

    def _piece(self, lvalue: Lvalue, bits: int) -> Fetch:
        """The one register that holds these bits of an object in registers."""
        start = lvalue.bit
        for fetch, size in lvalue.pieces:
            if not 0 <= start <= 8 * size - bits:
                start -= 8 * size
                continue
            if not fetch or fetch.base[0] == '@' and not fetch.derefs:  # an address itself cannot be read
                break
            if fetch.derefs and not bits % 8 and not start % 8:
                (*before, (offset, space)) = fetch.derefs
                return fetch._replace(derefs=(*before, (offset + start // 8, space)))
            if fetch.derefs:
                break
            # what is in a register is at its end
            shift = start if self.arch.order == 'little' else 8 * size - bits - start
            if fetch.base[0] == '\\':
                return Fetch(f'\\{int(fetch.base[1:]) >> shift & (1 << bits) - 1}')
            return fetch._replace(kind=f'b{bits}@{shift}/{self.arch.bits}') if shift else fetch
        return refuse('this part of the value is in no single register that ftrace can read')

    def pointee(self, lvalue: Lvalue) -> Lvalue:
        """*lvalue"""
        type_ = lvalue.type
        if isinstance(type_, Array):
            if lvalue.how == 'value':
                refuse(f'{spell(type_)} is not in memory')
            return lvalue._replace(type=type_.element())
        if not isinstance(type_, Pointer):
            hint = ': write !(struct T *) before it' * is_untyped(type_)
            refuse(f'no pointer, but {spell(type_)}{hint}')
        return self._loaded(lvalue)._replace(type=type_.target(), how='memory')

    def _memberof(self, expr: Expr) -> Lvalue:
        inner, name = self.value(expr.inner), expr.name
        if inner.packet and expr.inner.kind == 'packet' and name in PAYLOAD:
            return self._payload(inner, inner.packet, expr)
        if expr.arrow:
            if isinstance(inner.type, Struct):
                refuse(f'{spell(inner.type)} is no pointer: write .{name}')
            inner = self.pointee(inner)
        elif isinstance(inner.type, Pointer):
            refuse(f'{spell(inner.type)} is a pointer: write ->{name}')
        return self._member(inner, name)

    def _member(self, inner: Lvalue, name: str) -> Lvalue:
        type_ = inner.type
        if not isinstance(type_, Struct):
            ways = {Pointer: ': write *x before ->', Void: ': cast the pointer first, ((struct T *)x)->m'}
            untold = self.info.untold if isinstance(type_, Void) else ''
            refuse(f"{untold}{spell(type_)} has no members{ways.get(type(type_), '')}")
        type_ = self._defined(type_)
        variant = next((each for each in type_.variants().each if each.member.name == name), None)
        if variant:
            return self._in_variant(inner, type_, variant)
        found = find_member(type_, name)
        if found:
            wanted = as_text(found.type()) if (type_.name, name) in NAME_MEMBERS else found.type()
            return self._part_of(inner, found)._replace(type=wanted, name=name)
        if name in MEMBER_MACROS:
            with contextlib.suppress(InputError):  # a macro is for one kind of struct
                return self._path(inner, MEMBER_MACROS[name])._replace(name=name)
        return refuse(f"'{spell(type_)}' has no member '{name}'{near(name, member_names(type_))}")

    def _in_variant(self, inner: Lvalue, type_: Struct, variant: Variant) -> Lvalue:
        """What an enum of Rust holds, where it says itself whether it does: a pointer that is else 0."""
        discriminant, each = type_.variants()
        place = self._part_of(inner, variant.member)
        held, values = self._scalar(place), {other.value for other in each}
        is_null = held and discriminant and isinstance(held.type, Pointer) and (variant.value, values) == (
            None, {None, 0}) and held.bit == inner.bit + discriminant.bit
        if not is_null:
            refuse(f'whether it is {variant.member.name}, only the object tells: without a member '
                   f'{spell(type_)} is shown by its variant')
        return place

    def _part_of(self, inner: Lvalue, member: Member) -> Lvalue:
        bit = inner.bit + member.bit
        return inner._replace(type=member.type(), bit=bit, width=member.width, name=member.name)

    def _path(self, inner: Lvalue, path: str) -> Lvalue:
        return functools.reduce(self._member, path.split('.'), inner)

    def complete(self, type_: Struct) -> Struct:
        """The struct with its members, where one source of types only declares it, from another."""
        found: Type | None = type_
        if type_.size is None and type_.name:
            found = self.info.named(type_.keyword, type_.name, self.function)
        return found if isinstance(found, Struct) else type_

    def _defined(self, type_: Struct) -> Struct:
        """The struct, refused where nothing tells its members."""
        found = self.complete(type_)
        if found.size is None:
            refuse(f'{spell(type_)} is declared, but the debug information has no definition of it; '
                   'cast to a type it has')
        return found

    def _index(self, expr: Expr) -> Lvalue:
        inner = self.value(expr.inner)
        type_ = inner.type
        if isinstance(type_, Array) and type_.length is not None and expr.number >= type_.length:
            refuse(f'the array has {type_.length} elements, the last is [{type_.length - 1}]')
        element = self.pointee(inner)
        size = size_of(element.type) or refuse(f'{spell(element.type)} has no size to step by')
        return element._replace(bit=element.bit + 8 * size * expr.number)

    def _dereference(self, expr: Expr) -> Lvalue:
        return self.pointee(self.value(expr.inner))

    def _addressof(self, expr: Expr) -> Lvalue:
        inner = self.value(expr.inner)
        if inner.how != 'memory' or inner.width is not None:
            refuse('only what is in memory, and no bit-field, has an address')
        return inner._replace(type=self._pointer_to(inner.type), how='value')

    def _pointer_to(self, type_: Type) -> Pointer:
        return Pointer(self.arch.word, lambda: type_)

    def type_named(self, name: TypeName) -> Type:
        """The C type a TypeName means, stars included."""
        words, (keyword, _, rest) = name.words, name.words.partition(' ')
        with located(at=name.at):
            if keyword in ('struct', 'union', 'enum', 'class'):
                found = self.info.named(keyword, rest, self.function)
            else:
                plain = plain_type(words, self.arch)
                found = plain if words != 'char' else None
                found = found or self.info.named('', words, self.function) or plain
            if not found:
                refuse(f"no type '{words}' in the debug information{near_type(self.info, words)}")
        for _ in range(name.stars):
            found = self._pointer_to(found)
        return found

    def _cast(self, expr: Expr) -> Lvalue:
        inner = self.value(expr.inner)
        type_, known = self.type_named(expr.type), not is_untyped(inner.type)
        inner, wanted = self._moved(inner, type_), spell(type_)
        if isinstance(type_, (Struct, Void, Float, Array)):
            refuse(f'{wanted} is nothing a value could become; a pointer to it would be ({wanted} *)',
                   expr.type.at)
        decays = isinstance(inner.type, Array) and (inner.how == 'memory' or self.kind == 'e')
        if decays and isinstance(type_, Pointer):
            return inner._replace(type=type_, how='value')
        scalar = self._scalar(inner) if isinstance(inner.type, (Struct, Array, Float)) else inner
        if not scalar or isinstance(scalar.type, Float):
            refuse(f'{spell(inner.type)} cannot be cast')
        inner = scalar
        had = spell(inner.type)
        if known and isinstance(type_, Pointer) and (size_of(inner.type) or 0) < self.arch.word:
            refuse(f'{had} is too narrow for a pointer')
        if known and wanted in ('bool', '_Bool') and had not in ('bool', '_Bool'):
            refuse(f'{had} as {wanted} is 0 or 1, which ftrace cannot compute; compare it in the filter')
        return self._resized(inner, type_) if known else inner._replace(type=type_)

    def _moved(self, inner: Lvalue, wanted: Type) -> Lvalue:
        """A pointer to an object as one to its base or derived class (C++, [expr.static.cast])."""
        targets = [type_.target() for type_ in (inner.type, wanted) if isinstance(type_, Pointer)]
        classes = [self.complete(target) for target in targets if isinstance(target, Struct)]
        if len(classes) < 2 or None in (classes[0].size, classes[1].size):
            return inner
        back = base_offset(classes[1], classes[0])
        bits = (base_offset(*classes) or 0) if back is None else -back
        inner = self._loaded(inner) if bits else inner
        return inner._replace(bit=inner.bit + bits)

    def _resized(self, inner: Lvalue, type_: Type) -> Lvalue:
        """A scalar as one of another size, if that has the same value: a narrower one is its low bits."""
        had = 8 * (size_of(inner.type) or 0) if inner.width is None else inner.width
        bits = 8 * (size_of(type_) or 0)
        if bits > had:
            signed = isinstance(inner.type, (Int, Enum)) and inner.type.signed
            if signed and isinstance(type_, (Int, Enum)) and not type_.signed:
                refuse(f'{spell(inner.type)} as {spell(type_)} makes large numbers of negative ones, '
                       'which ftrace cannot do')
            if isinstance(inner.type, Int) and inner.type.name in TELLING:
                return inner._replace(type=inner.type._replace(name=spell(type_)))
            return inner
        if self.arch.order == 'big' and inner.how == 'memory':
            inner = inner._replace(bit=inner.bit + had - bits)
        return inner._replace(type=type_, width=inner.width and bits)

    def _containerof(self, expr: Expr) -> Lvalue:
        inner, type_ = self._address_in(self.value(expr.inner)), self.type_named(expr.type)
        if not isinstance(type_, Struct):
            refuse('container_of(x, struct T, member) needs a struct and one of its members', expr.type.at)
        path = '.'.join(expr.member)
        place = self._path(Lvalue(type_, 'memory', inner.fetch), path)
        had = inner.type.target() if isinstance(inner.type, Pointer) else place.type
        if not isinstance(had, Void) and spell(had) != spell(place.type):
            refuse(f"this points to {spell(had)}, and '{path}' of {spell(type_)} is {spell(place.type)}")
        return inner._replace(type=self._pointer_to(type_), bit=inner.bit - place.bit)

    def _usermemory(self, expr: Expr) -> Lvalue:
        place = self._address_in(self.value(expr.inner))
        return place._replace(space='u' * (not self.in_program))     # where there is no other memory

    def _this_cpu_ptr(self, expr: Expr) -> Lvalue:
        """A per-cpu pointer, or the address of a per-cpu variable, as that of this processor's."""
        place = self.value(expr.inner)
        if expr.inner.kind == 'global':                                 # the kernel's own way to write it
            place = place._replace(type=self._pointer_to(place.type), how='value')
        return self._own(self._address_in(place))

    def _this_cpu_read(self, expr: Expr) -> Lvalue:
        """A per-cpu variable, or a part of it, of this processor; what is at a per-cpu address, as the kernel
        has it, where that is what is written."""
        place = self.value(expr.inner)
        if expr.inner.kind == 'offset' or place.how == 'value':
            place = self._loaded(place)._replace(type=self.word, how='memory')
        return self._own(place)

    def _own(self, place: Lvalue) -> Lvalue:
        if self.in_program or self.kind == 'e':
            refuse('per-cpu variables are for probes in the kernel (p, r, t)')
        plain = place.space != 'each' and place.fetch.text()[0] == '@'  # whose address the kernel would take
        if plain or place.how == 'pieces' or place.space == 'u':
            refuse('this is no per-cpu variable, and no pointer to one that ftrace could follow')
        if 'this_cpu' not in self.abilities:
            refuse('this kernel cannot read the per-cpu variables of the processor that it is on (Linux 7.3)')
        return place._replace(space='cpu')

    def _scalar(self, lvalue: Lvalue) -> Lvalue | None:
        """The one scalar that a struct of one member holds (atomic_t, kuid_t), or the scalar itself."""
        for _ in range(16):
            type_ = lvalue.type
            if not isinstance(type_, Struct):
                break
            type_ = self.complete(type_)
            members = type_.members() if type_.size is not None else ()
            if len(members) != 1 or members[0].width is not None or size_of(members[0].type()) != type_.size:
                return None
            lvalue = lvalue._replace(type=members[0].type(), bit=lvalue.bit + members[0].bit)
        return lvalue if isinstance(lvalue.type, (Int, Float, Enum, Pointer)) else None

    def _object_of(self, pointer: Lvalue, held: Lvalue) -> Fetch:
        """The object whose text is behind a pointer, or held in it (libc++), by the places of both."""
        begin = held.bit - 8
        little = (self.arch.bits, self.arch.order) == (64, 'little')
        if held.how != 'memory' or pointer.bit != begin + 128 or not little:
            refuse('this is no std::string as libc++ has it where words have 64 bits; name a member')
        return held._replace(bit=begin).read(f'x8[{OBJECT_BYTES}]')

    def _text_parts(self, lvalue: Lvalue) -> tuple[Lvalue, Lvalue] | None:
        """(the text, its length) in an object of a type that is known to be text."""
        for pattern, text, length in TEXT_TYPES:
            if isinstance(lvalue.type, Struct) and re.fullmatch(pattern, lvalue.type.name):
                with contextlib.suppress(InputError):
                    return self._path(lvalue, text), self._path(lvalue, length)
        return None

    def _packet(self, expr: Expr) -> Lvalue:
        header, name = HEADERS.get(expr.name), expr.name
        if not header:
            refuse(f"'{name}' is no packet header surftrace knows; they are {', '.join(HEADERS)}")
        if expr.layer > header.layer:
            refuse(f'with skb->data at {expr.layer}, {name} lies before it, and how far is not known; reach '
                   f'it through %0->head and an offset, or probe a function where data points at '
                   f'{header.layer}')
        skb = self.value(expr.inner)
        if isinstance(skb.type, Int) and not skb.type.name:
            skb = skb._replace(type=self.type_named(TypeName('struct sk_buff', 1, expr.at)))
        given = spell(skb.type)
        if given != 'struct sk_buff *':
            written = {'argument': f'%{expr.inner.number}', 'name': expr.inner.name}.get(expr.inner.kind, 'x')
            way = f': write (*{written})' * (given == 'struct sk_buff **')
            refuse(f'a struct sk_buff * is needed, and this is {given}{way}', expr.inner.at)
        data, length = (self._member(self.pointee(skb), member) for member in ('data', 'len'))
        packet = Packet(self._loaded(data).fetch, name, expr.layer, length.bit // 8)
        type_ = self.type_named(TypeName('struct ' + name, 1, expr.at))
        return Lvalue(type_, 'value', packet.data, 8 * packet.offset, name=name, packet=packet)

    def _payload(self, header: Lvalue, packet: Packet, expr: Expr) -> Lvalue:
        """cdata, sdata, ... behind a header: an array of as many bytes each as there may be."""
        if not expr.arrow:
            refuse(f'write ->{expr.name}')
        size = PAYLOAD[expr.name]
        element: Type = Int(f'u{8 * size}', size, False) if size else Array(lambda: CHAR, 1)
        behind = header.bit + 8 * HEADERS[packet.header].size
        return header._replace(type=Array(lambda: element, None), how='memory', bit=behind, name=expr.name,
                               packet=packet._replace(payload=True))


Shown = tuple[tuple[Fetch, ...], Optional[Format]]
FETCH_ROOM, FETCH_DEPTH = 63, 13            # characters of a fetch-arg, up to Linux 6.18; its dereferences


class PathWalk(Walk):
    """From a file to the parts of its path (include/linux/dcache.h, fs/mount.h): a dentry has a name and a
    parent, which of a root is itself; so has a mount, which lies around a struct vfsmount."""

    def _file_path(self, lvalue: Lvalue, at: Span) -> Shown:
        """Of a struct file, path or dentry, or of what points to one."""
        whole = self.pointee(lvalue) if isinstance(lvalue.type, Pointer) else lvalue
        name = whole.type.name if isinstance(whole.type, Struct) else ''
        if self.in_program or whole.space or name not in ('file', 'path', 'dentry'):
            refuse('a path is that of a struct file, path or dentry in the kernel, and this is '
                   f'{spell(lvalue.type)}')
        whole = self._member(whole, 'f_path') if name == 'file' else whole
        dentry = whole._replace(type=self._pointer_to(whole.type), how='value')
        dentry = dentry if name == 'dentry' else self._member(whole, 'dentry')
        super_block = self.pointee(self._path(self.pointee(dentry), 'd_sb'))
        parts = FilePath([], [], [], [], self._member(super_block, 's_id').read('string'))
        if name == 'dentry':
            parts.ways.append(self._way_up(dentry, self._member(super_block, 's_root'), PATH_NAMES[0]))
        else:
            self._add_mounts(parts, dentry, self._member(whole, 'mnt'), at)
        return tuple(parts.values()), path_format(tuple(len(way[0]) for way in parts.ways), self.arch)

    def _add_mounts(self, parts: FilePath, dentry: Lvalue, mnt: Lvalue, at: Span) -> None:
        """The ways up through the mounts that a file is on, and whether these are anywhere."""
        mount = self.type_named(TypeName('struct mount', 0, at))
        inside = self._member(Lvalue(mount, 'memory', mnt.fetch), 'mnt').bit
        here = self._loaded(mnt)._replace(type=mount, how='memory', bit=-inside)
        namespace = self._member(here, 'mnt_ns')
        number_ = self._path(self.pointee(namespace), 'ns.inum').read('u32')
        parts.namespace.extend([self._pointer(namespace), number_])
        parts.hashed.append(self._pointer(self._path(self.pointee(dentry), 'd_hash.pprev')))
        for most in PATH_NAMES:
            parts.ways.append(self._way_up(dentry, self._path(here, 'mnt.mnt_root'), most))
            dentry, above = self._member(here, 'mnt_mountpoint'), self._member(here, 'mnt_parent')
            parts.mounts.append(self._pointer(above))
            here = self.pointee(above)

    def _way_up(self, dentry: Lvalue, root: Lvalue, most: int) -> tuple[list[Fetch], list[Fetch], Fetch]:
        """The names from a dentry on, as many as an expression reaches, their dentries, the root. Since 2026
        the kernel has a stack of dereferences, in struct traceprobe_parse_context."""
        names: list[Fetch] = []
        dentries, depth = [self._pointer(dentry)], FETCH_DEPTH
        context = self.info.named('struct', 'traceprobe_parse_context')
        stack = find_member(context, 'stack') if isinstance(context, Struct) else None
        if stack:
            depth = (size_of(stack.type()) or 0) // (size_of(innermost(stack.type())) or 1) - 1
        while len(names) < most:
            inner = self.pointee(dentry)
            name = self.pointee(self._path(inner, 'd_name.name')).read('string')
            if names and (len(name.text()) > FETCH_ROOM or len(name.derefs) > depth):
                break
            dentry = self._member(inner, 'd_parent')
            names.append(name)
            dentries.append(self._pointer(dentry))
        return names, dentries, self._pointer(root)

    def _pointer(self, lvalue: Lvalue) -> Fetch:
        return self._fetched(lvalue)._replace(kind=f'x{self.arch.bits}')


class Guards(PathWalk):
    """The conditions on which a field means something."""

    def guarded(self, field: Field, packet: Packet | None = None) -> Field:
        """The field with a guard for each pointer it goes through, and those of the packet it is in."""
        first, fetches = field.fetches[0], field.fetches
        if any(abs(offset) >= 1 << 31 for fetch in fetches for offset, _ in fetch.derefs):
            refuse('the offset is wider than any kernel object', field.at)
        unless: dict[tuple[Fetch, str], tuple[str, ...]] = {}
        elsewhere = {'text': ('0',), 'libc++': HELD}.get(field.format.word if field.format else '')
        if elsewhere:  # of no bytes, or held in the object: wherever its pointer leads
            unless = dict.fromkeys(fetches[1].pointers()[-1:], elsewhere)
            unless.update(dict.fromkeys(first.pointers(), ()))
        elif first.kind.startswith(('string[', 'ustring[')):  # the first pointer was read, and leads nowhere
            unless[first.pointers()[-1]] = ('{(fault)',)
        ends = [fetch.derefs[-1][0] + fetch.size() for fetch in fetches
                if fetch.derefs and fetch.derefs[:-1] == first.derefs[:-1]]
        conditions = packet.guards(self.arch.order, max(ends)) if packet else []
        if field.format and field.format.word.startswith('path('):  # which judges what is above the last name
            fetches = fetches[:1] + fetches[2 * int(field.format.word[5]) + 1:][:1]
        everything = (*fetches, *(guard.fetch for guard in conditions))
        guards = {pointer: self._pointer_guard(*pointer)._replace(unless=unless.get(pointer, ()))
                  for fetch in everything for pointer in fetch.pointers()}
        words = tuple(shown.word for shown in (field.format, packet) if shown)
        return field._replace(guards=(*guards.values(), *conditions), words=words)

    def _pointer_guard(self, pointer: Fetch, space: str) -> Guard:
        arch = self.arch
        low, high = 4096, (1 << arch.bits) - 1
        if space == 'kernel' and not self.in_program:
            low, high = arch.kernel_from, arch.last_address
        elif space == 'cpu':
            low = 1
        elif space != 'any':
            high = (1 << 63) - 1 if arch.bits == 64 else arch.last_address
        return Guard(pointer._replace(kind=f'x{arch.bits}'), low, high)


class Resolver(Guards):
    """From expressions to fields, at one target."""

    def field(self, arg: Arg) -> Field:
        """The Field of an argument: what the kernel is asked, and how the answer is shown."""
        if arg.expr.kind == 'since':
            return time_field(arg)
        lvalue = self.value(arg.expr)
        fetch, packet = lvalue.fetch, lvalue.packet
        if packet and lvalue.how == 'value':
            refuse('name a member of the header, with ->', arg.at)
        is_word = fetch.base.startswith('$arg') and not fetch.derefs and lvalue.type == self.word
        if is_word and self.function and not arg.word:
            refuse(f'{fetch.base} counts registers, and none of the parameters is in that one alone; '
                   'say a type', arg.at)
        with located(at=arg.word_at if arg.word else arg.at):
            fetches, format_ = self._shown(lvalue, arg)
        behind = any(fetch.base.startswith('$arg') and fetch.derefs for fetch in fetches)
        asked = any(part.name.startswith('$arg') for part in arg.expr.parts())
        if behind and self.kind == 'r' and not asked:
            refuse('at return what an argument pointed to may be gone, or changed: trace it at entry with p; '
                   '$arg1->m is what is there then', arg.at)
        if packet and fetches[0].kind in STRINGS:
            format_ = packet_format(fetches[0].derefs[-1][0])
            fetches = (*fetches, packet.in_skb())
        return self.guarded(Field(arg.name or lvalue.name or 'arg', fetches, format_, at=arg.at), packet)

    def _shown(self, lvalue: Lvalue, arg: Arg) -> Shown:
        word, type_ = arg.word, lvalue.type
        if not word:
            return self._default(lvalue, arg.format, arg.name)
        if arg.format and not (arg.format == 'X' and re.fullmatch(r'(be|BE)\d\d', word)):
            refuse(f"'{arg.format}' and ':{word}' both say how to show it")
        if word == 'text':
            return self._counted_text(lvalue, arg.length)
        if word == 'path':
            return self._file_path(lvalue, arg.word_at)
        if word == 'errno':
            return self._error(lvalue)
        match, size = KERNEL_TYPE.fullmatch(word), None
        if not match:
            return self._formatted(lvalue, word, arg.format)
        if word in ('string', 'ustring') and isinstance(type_, (Array, Struct)) and lvalue.how == 'memory':
            size = size_of(type_)  # not shown past its end
        return (self._typed(lvalue, match),), cut_format(size) if size else None

    def _default(self, lvalue: Lvalue, letter: str, name: str) -> Shown:
        """By the C type: the table in the README, 'What a type becomes'."""
        type_ = lvalue.type
        address = ADDRESSES.get(type_.name, '') if isinstance(type_, Struct) else ''
        word = next((word for prefix, word in PREFIX_FORMATS.items() if name.startswith(prefix)), address)
        if word and not letter and self._size(lvalue) == sum(FORMATS[word].sizes):
            return self._formatted(lvalue, word, '')
        if isinstance(type_, Array):
            if letter or not is_char(type_.element()):
                return self._array(lvalue, type_, letter)
            bounded = type_.length or 1  # char [1] is C's old way to say char []
            return (self._read_behind(lvalue, 'string'),), cut_format(bounded) if bounded > 1 else None
        if not letter and self._text_parts(lvalue):
            return self._counted_text(lvalue, None)
        if isinstance(type_, Struct) and not letter and self.complete(type_).variants().discriminant:
            return self._by_variant(lvalue, self.complete(type_))
        if isinstance(type_, Pointer) and not letter:
            if is_char(type_.target()):
                return (self._read_behind(lvalue, 'string'),), None
            if isinstance(type_.target(), Function) and self.kind != 'e' and not self.in_program:
                return (self._fetched(lvalue)._replace(kind='symbol'),), None
        scalar = self._scalar(lvalue)
        if not scalar and isinstance(type_, Struct) and not letter:
            return self._members(lvalue, self._defined(type_))
        fetch, format_ = self._number(scalar or self._refuse_whole(lvalue), letter)
        return (fetch,), format_

    def _members(self, lvalue: Lvalue, struct_: Struct) -> Shown:
        """The members of a struct that are numbers, arrays of such, or text within it, and pointers as
        numbers: all is read from one place. As many as leave room for other arguments (see limits)."""
        shown: dict[str, Shown] = {}
        missing, count, length = [], 0, 0
        for name in member_names(struct_):
            try:
                fetches, format_ = self._member_alone(self._member(lvalue, name))
            except InputError:
                missing.append(name)
                continue
            count, length = count + len(fetches), length + sum(len(fetch.text()) + 16 for fetch in fetches)
            if count > 100 or length > 3600:
                missing.append(name)
            else:
                shown[name] = fetches, format_
        if not shown:
            self._refuse_whole(lvalue)
        format_ = struct_format([(name, format_) for name, (_, format_) in shown.items()], missing)
        return tuple(fetch for fetches, _ in shown.values() for fetch in fetches), format_

    def _member_alone(self, lvalue: Lvalue) -> Shown:
        type_ = lvalue.type
        if isinstance(type_, Struct) and type_.name not in ADDRESSES and not self._scalar(lvalue):
            self._refuse_whole(lvalue)
        if isinstance(type_, Pointer) and is_char(type_.target()):
            fetch, format_ = self._number(lvalue, '')
            return (fetch,), format_
        return self._default(lvalue, '', '')

    @staticmethod
    def _size(lvalue: Lvalue) -> int:
        return size_of(lvalue.type) or 0 if lvalue.width is None else 0

    def _by_variant(self, lvalue: Lvalue, type_: Struct) -> Shown:
        """An enum of Rust: its discriminant, and the number that a variant holds."""
        discriminant, each = type_.variants()
        assert discriminant
        fetches, texts = [self._number(self._part_of(lvalue, discriminant), 'U')[0]], []
        for value, member in each:
            place = self._part_of(lvalue, member)
            inner = place.type.members() if isinstance(place.type, Struct) else ()
            scalar, held = self._scalar(place), ''
            if any(size_of(part.type()) for part in inner):
                only = [part for part in inner if size_of(part.type())]
                if not scalar and len(only) == 1:
                    scalar = self._scalar(self._part_of(place, only[0]))
                fetch, format_ = self._number(scalar, '') if scalar else (fetches[0], HEX)
                held = f'/{len(fetches)}' if not format_ else '/'
                fetches += [fetch] * (not format_)
            texts.append(f"{member.name}={'*' if value is None else value}{held}")
        return tuple(fetches), variant_format(','.join(texts))

    def _refuse_whole(self, lvalue: Lvalue) -> NoReturn:
        type_, name = lvalue.type, lvalue.name
        if isinstance(type_, Struct):
            members = first_of(member_names(self._defined(type_)), 8)
            refuse(f'{spell(type_)} is more than one value; name a member: {members}')
        if isinstance(type_, Void) and self.kind == 'e':
            refuse(f'the fields of this event are not known here; say its type: {name}:u32, {name}:string')
        if isinstance(type_, Void) and lvalue.how == 'memory' and lvalue.fetch.base.startswith('@'):
            refuse(f"{self.info.untold}no type is known for '{name}'; say one: @{name}:u64, "
                   f'!(struct T *)@{name}->member')
        refuse(f'{spell(type_)} is no value ftrace can fetch')

    def _number(self, lvalue: Lvalue, letter: str) -> tuple[Fetch, Format | None]:
        type_, format_ = lvalue.type, None
        if isinstance(type_, Float):
            return self._floating(lvalue, type_, letter)
        if isinstance(type_, Int) and type_.name in PRINTED:
            names = self.info.named('enum', PRINTED[type_.name])
            type_ = names._replace(size=type_.size, signed=type_.signed) if isinstance(names, Enum) else type_
        if isinstance(type_, Int) and type_.name in TELLING and lvalue.width is None:
            if letter == 'S' and type_.name in NETWORK_ORDER:
                refuse(f'{type_.name} is in network order and has no sign; :s{8 * type_.size} shows it raw')
            if not letter or type_.name in NETWORK_ORDER:
                (fetch,), format_ = self._formatted(lvalue, TELLING[type_.name], letter)
                return fetch, format_
        assert isinstance(type_, (Int, Enum, Pointer))
        if type_.size not in (1, 2, 4, 8):
            refuse(f'{spell(type_)} has {type_.size} bytes, and ftrace fetches 1, 2, 4 or 8')
        signed = letter == 'S' or not letter and not isinstance(type_, Pointer) and type_.signed
        fetch = self._fetched(lvalue) if lvalue.width is None else self._bits(lvalue, lvalue.width)
        width = bit_width(fetch.kind)  # of a bit-field, or a part of a register
        if width:
            format_ = signed_format(width) if signed else {'X': HEX}.get(letter)
        else:
            address = isinstance(type_, Pointer) or is_untyped(type_)
            unsigned = 'x' if letter == 'X' or address and not letter else 'u'
            fetch = fetch._replace(kind=f"{'s' if signed else unsigned}{8 * type_.size}")
        if isinstance(type_, Enum) and not letter:
            format_ = enum_format(type_, width)
        return fetch, format_

    def _floating(self, lvalue: Lvalue, type_: Float, letter: str) -> tuple[Fetch, Format | None]:
        if not type_.binary or type_.size not in (4, 8):
            refuse(f'surftrace shows float and double, and this is {spell(type_)}')
        if letter:
            refuse(f"'{letter}' is for integers: :x{8 * type_.size} shows the bits of a {spell(type_)}")
        (fetch,), format_ = self._formatted(lvalue, 'float' if type_.size == 4 else 'double', '')
        return fetch, format_

    def _bits(self, lvalue: Lvalue, width: int) -> Fetch:
        """The smallest aligned container that holds a bit-field, which never reaches beyond its storage unit
        (across the units of a packed struct: from its first byte on), counted from that container's bit 0
        (kernel/trace/trace_probe_tmpl.h: shift left, then right)."""
        if lvalue.how == 'pieces':
            fetch = self._piece(lvalue, width)
            return fetch if fetch.kind else fetch._replace(kind=f'b{width}@0/{self.arch.bits}')
        if lvalue.how != 'memory':
            refuse('a bit-field of what is not in memory')
        sizes, bit = (1, 2, 4, 8), lvalue.bit
        places = [(bit // (8 * size) * size, size) for size in sizes if size <= (size_of(lvalue.type) or 0)]
        for start, size in (*places, *((bit // 8, size) for size in sizes)):
            offset = bit - 8 * start
            if offset + width <= 8 * size:
                offset = offset if self.arch.order == 'little' else 8 * size - offset - width
                return lvalue._replace(bit=8 * start).read(f'b{width}@{offset}/{8 * size}')
        return refuse(f'a bit-field of {width} bits in more than 8 bytes')

    def _array(self, lvalue: Lvalue, type_: Array, letter: str) -> Shown:
        element = self._scalar(lvalue._replace(type=type_.element()))
        if isinstance(type_.element(), Array) or not element:
            refuse(f'{spell(type_)} is an array of more than numbers; name an element: [0]')
        if not type_.length or type_.length > 64:
            many = type_.length or 'an unknown number'
            refuse(f'ftrace fetches arrays of 1 to 64 elements, and this has {many}; name an element ([0]), '
                   'or say how many (:x8[16])')
        if lvalue.how != 'memory' or lvalue.space == 'u':
            refuse('ftrace fetches arrays of numbers from kernel memory only; name an element: [0]')
        fetch, format_ = self._number(element, letter)
        fetch = fetch._replace(kind=f'{fetch.kind}[{type_.length}]')
        return (fetch,), each(format_) if format_ else None

    def _typed(self, lvalue: Lvalue, match: re.Match[str]) -> Fetch:
        kind, base, type_, fetch = match[0], match['base'], lvalue.type, lvalue.fetch
        if self.in_program and base in ('symbol', 'symstr', '%pd', '%pD'):
            refuse(f'{base} is for the kernel; in a program an address is x{self.arch.bits}')
        if self.kind == 'e' and lvalue.how == 'value' and isinstance(type_, Void):
            return fetch._replace(kind=kind)  # a field nothing is known of: the kernel knows
        if fetch == Fetch('$comm') and self.kind != 'e':
            return fetch if kind == 'string' else refuse('$comm is a string')
        bits = int(match['bits'] or match['container'] or {'char': 8}.get(base, 0))
        if match['count'] or base in ('string', 'ustring'):
            read = self._read_behind(lvalue, kind)
            if match['count']:
                self._check_array(lvalue, kind, int(match['count']), bits or self.arch.bits)
            return read
        if match['width'] and not 0 < int(match['width']) <= bits - int(match['start']):
            refuse(f"{match['width']} bits from bit {match['start']} on are not in {bits} bits")
        scalar = lvalue if is_untyped(type_) else self._scalar(lvalue)
        fixed = lvalue.how == 'pieces' or fetch.base[:1] == '@' and not fetch.derefs
        if not scalar and isinstance(type_, Struct) and fixed and not lvalue.bit:
            scalar = lvalue._replace(type=self.word)  # the kernel's own %REG, $retval or @SYM
            if lvalue.how == 'pieces' and lvalue.fetch.base:
                scalar = Lvalue(self.word, 'value', lvalue.fetch, name=lvalue.name)
        if scalar and isinstance(scalar.type, Float) and kind != f'x{8 * scalar.type.size}':
            refuse(f'{spell(scalar.type)} is no integer; :x{8 * scalar.type.size} shows its bits')
        return self._narrowed(scalar or self._refuse_whole(lvalue), kind, bits)

    def _read_behind(self, lvalue: Lvalue, kind: str) -> Fetch:
        """A string or an array; what the kernel knows as a string ($comm, an event's field) as it is."""
        place = self._behind(lvalue, kind)
        if place.how == 'memory':
            return place._replace(space=place.space * (not kind.startswith('ustring'))).read(kind)
        return place.fetch._replace(kind='' if place.fetch.base == '$comm' and self.kind != 'e' else kind)

    def _behind(self, lvalue: Lvalue, kind: str) -> Lvalue:
        """Where a string or an array is: what an address points to, or the object itself where it is none."""
        type_, size, several = lvalue.type, size_of(lvalue.type), '[' in kind
        untyped = is_untyped(type_)
        word = isinstance(type_, Int) and size == self.arch.word
        if isinstance(type_, Pointer) or word and (lvalue.how != 'memory' or not untyped and not several):
            return self._loaded(lvalue)._replace(how='memory')
        known = lvalue.fetch.base[:1] in ('$', '\\') and isinstance(type_, Array)
        if lvalue.width is not None or lvalue.how != 'memory' and not known:
            refuse(f'{kind} needs something in memory')
        if not several and not untyped and not isinstance(type_, (Array, Struct)) and size != 1:
            refuse(f'{spell(type_)} is no text and no address of one')
        return lvalue

    def _check_array(self, lvalue: Lvalue, kind: str, count: int, bits: int) -> None:
        """Refuse an array that reaches beyond the C object it is asked of, or that the kernel cannot hold."""
        type_ = lvalue.type
        if not 1 <= count <= 64:
            refuse('the kernel takes arrays of 1 to 64 elements')
        open_ = isinstance(type_, Pointer) or is_untyped(type_) or lvalue.how == 'value'
        size = None if open_ else size_of(type_)
        if size and count * bits // 8 > size:
            refuse(f'{spell(type_)} has {size} bytes, {kind} would read on behind it')

    def _narrowed(self, lvalue: Lvalue, kind: str, wanted: int) -> Fetch:
        """A scalar by a fetch type of `wanted` bits, that is not wider than it."""
        type_, untyped, bits = lvalue.type, is_untyped(lvalue.type), 8 * (size_of(lvalue.type) or 0)
        if lvalue.width is not None:
            refuse(f"'{lvalue.name}' is a bit-field: S, U or X before it say how to show it")
        fetch = self._fetched(lvalue)
        if not untyped and wanted > bits:
            refuse(f'{spell(type_)} has {bits} bits, {kind} would read on behind it')
        if kind in ('symbol', 'symstr') and not untyped and bits != self.arch.bits:
            refuse(f'{spell(type_)} is no address')
        if 0 < wanted < bits and not untyped and lvalue.how == 'memory' and self.arch.order == 'big':
            fetch = lvalue.read(offset=(bits - wanted) // 8)
        if fetch.kind and kind != fetch.kind:
            refuse('it is a part of a register: S, U or X before it say how to show it')
        return fetch._replace(kind=kind)

    def _counted_text(self, lvalue: Lvalue, length: Expr | None) -> Shown:
        """A pointer and a length, the length an expression or, in a type that has both, a member."""
        size = None
        if length is None:
            whole = self.pointee(lvalue) if isinstance(lvalue.type, Pointer) else lvalue
            lvalue, counted = self._text_parts(whole) or refuse(
                f'{spell(whole.type)} carries no length: say it, as in %0:text(%1)')
        else:
            counted = self.value(length)
            size = size_of(lvalue.type) if isinstance(lvalue.type, Array) else None
        held = isinstance(counted.type, Array) and length is None
        count = self._object_of(lvalue, counted) if held else self._count(counted)
        type_ = lvalue.type
        element, text = innermost(type_), lvalue
        if not isinstance(type_, Array):
            text = self._behind(lvalue, 'text')
            element = type_.target() if isinstance(type_, Pointer) else type_
        odd = size_of(element) != 1 and not is_untyped(element)
        if text.how != 'memory' or text.space == 'u' or odd:
            refuse(f'text is bytes in memory that the probe can read as an array, and this is {spell(type_)}')
        chunks = tuple(text.read('x8[64]', 64 * i) for i in range(TEXT_CHUNKS))
        return (count, *chunks), STRING_OBJECT if held else text_format(size or None)

    def _count(self, length: Lvalue) -> Fetch:
        scalar = self._scalar(length)
        if not scalar or not isinstance(scalar.type, (Int, Enum)):
            refuse(f'the length is {spell(length.type)}, and not a number')
        fetch = self._number(scalar, '')[0]
        return fetch._replace(kind=re.sub('^x', 'u', fetch.kind))

    def _error(self, lvalue: Lvalue) -> Shown:
        """A number or a pointer that may be an error."""
        type_ = lvalue.type
        if not isinstance(type_, (Int, Pointer)) or type_.size not in (4, 8) or lvalue.width is not None:
            refuse(f'an error is an int, a long or a pointer, and this is {spell(type_)}')
        signed = isinstance(type_, Int) and type_.signed
        fetch, _ = self._number(lvalue, 'S' if signed else 'X')
        return (fetch,), error_format(fetch.kind)

    def _formatted(self, lvalue: Lvalue, word: str, letter: str) -> Shown:
        word = 'BE' + word[2:] if letter == 'X' and word[:2] == 'be' else word
        layout_ = FORMATS.get(word)
        if word in ('d', 'i', 'u', 'x', 'hex'):
            refuse('how a number is shown is a letter before it: S(x) signed, U(x) unsigned, X(x) '
                   'hexadecimal')
        if not layout_:
            known = near(word, ['string', 'ustring', 'symbol', 'symstr', 'u32', 'x64', *OWN_WORDS, *FORMATS])
            every = ("; the kernel's are u8-u64 s8-s64 x8-x64 char string ustring symbol symstr "
                     "b<width>@<offset>/<container>, surftrace's ip ip6 mac be16 be32 be64 float double dev "
                     'text path errno')
            refuse(f"unknown type '{word}'{known or every}")
        kinds, sizes, format_ = layout_.kinds, layout_.sizes, layout_.format(word, self.arch.order)
        wanted, size, untyped = sum(sizes), self._size(lvalue), is_untyped(lvalue.type)
        if isinstance(lvalue.type, Pointer) and wanted > 8:
            lvalue, size = self.pointee(lvalue), wanted
        if size != wanted and not untyped:
            refuse(f'{word} needs {wanted} bytes, and {spell(lvalue.type)} has {size}')
        if layout_.native and isinstance(lvalue.type, Pointer) and not isinstance(lvalue.type.target(), Void):
            refuse(f'{spell(lvalue.type)} is an address: * before it means what it points to')
        if lvalue.how == 'memory':
            return tuple(lvalue.read(kind, sum(sizes[:i])) for i, kind in enumerate(kinds)), format_
        floats = word in ('float', 'double')
        if len(kinds) > 1 or floats and not isinstance(lvalue.type, Float):
            refuse(f'{word} needs something in memory' + f': {NO_FLOATS}' * floats)
        fetch = self._fetched(lvalue)
        return (fetch if fetch.kind else fetch._replace(kind=kinds[0]),), format_


class InProgram(Resolver):
    """The same for a place in a program or library."""
    info: Program
    in_program = True
    refused = {kind: why for kind, why in Leaves.refused.items() if kind != 'fileoffset'}

    def _global_at(self, address: int) -> Fetch:
        """The memory at a link-time address of the same file. The kernel counts @+N from where the file's
        first byte would be if all of it were loaded as the probed instruction's part is (trace_uprobe.c,
        translate_user_vaddr)."""
        offset = self.info.executable.offset_of(self.target.address) or 0
        return Fetch(f'@+{address - (self.target.address - offset):#x}')

    def _kept_argument(self, parameter: Parameter, location: Location) -> Lvalue:
        return refuse("at return the argument's register holds something else: trace it at entry, with P")

    def _numbered(self, expr: Expr) -> Lvalue:
        return refuse('in programs the variables are $retval, $comm, $stack and $stackN; '
                      'an argument is %0, %1, ...')

    def _symbol_of(self, address: int) -> tuple[Fetch, int] | None:
        """Counted from the probe, but for what a library's users may have copies of."""
        known = self.info.symbol_at(address, False)
        return None if known and known.sort == 'exported' else (self._global_at(address), 0)

    def _symbol(self, name: str) -> Fetch:
        found = {symbol.address: symbol for symbol in self.info.symbols.symbols(name)}
        if len(found) != 1:
            refuse(f"{self.info.path} has {len(found) or 'no'} symbol{'s' * (len(found) > 1)} '{name}'")
        (address, symbol), = found.items()
        if symbol.sort == 'tls':
            refuse(f"'{name}' is a thread's own (TLS), and ftrace cannot tell whose to read")
        if symbol.sort == 'exported':
            refuse(f"'{name}' is exported: a program linked with this library may have a copy of it that is "
                   'used instead')
        return self._global_at(address)


class InUsdt(InProgram):
    """The same for a USDT probe."""

    def every(self, at: Span) -> list[Expr]:
        return [Expr('argument', at, f'%{i}', i) for i, _ in enumerate(self.target.operands or ())]

    def _argument(self, expr: Expr) -> Lvalue:
        """An operand as the compiler wrote it (facts: systemtap's sdt.h, and gas for each architecture)."""
        operands, word = self.target.operands or (), self.arch.word
        if expr.number >= len(operands):
            refuse(f"the probe has {len(operands)} argument{'s' * (len(operands) != 1)}, counted from %0")
        text = operands[expr.number]
        size, what = re.fullmatch(r'(?:(-?\d+f?)@)?(.*)', text).groups()  # type: ignore[union-attr]
        floating, size = (size or '').endswith('f'), (size or str(word)).rstrip('f')
        count, signed = abs(int(size)), size[0] == '-'
        if count not in (1, 2, 4, 8):
            refuse(f"this argument is '{text}': wider than a word, which ftrace cannot read")
        name = '' if count == word else f"{'us'[signed]}{8 * count}"
        place = self._operand_place(what, Int(name, count, signed))
        if not place or floating and place.fetch.base[0] == '\\':
            refuse(f"this argument is '{text}', and ftrace cannot read that")
        if floating:
            place = place._replace(type=Float({4: 'float', 8: 'double'}.get(count, text), count))
        elif count == word and place.how == 'memory':  # it may be an address
            place = place._replace(type=Int('s64', word, True) if signed else Pointer(word, Void))
        return place._replace(name=f'arg{expr.number}')

    def _operand_place(self, text: str, type_: Int) -> Lvalue | None:
        arch, x86 = self.arch, self.arch.name in ('x86_64', 'i386')
        mark = {'x86_64': r'\$', 'i386': r'\$', 'ppc64le': 'i'}.get(arch.name, '#?')
        constant = re.fullmatch(rf'{mark}(-?\d\w*)', text)
        if constant:
            with contextlib.suppress(ValueError):
                return Lvalue(type_, 'value', Fetch(f'\\{whole_number(constant[1])}'))
        if x86 and re.fullmatch(r'%[abcd]h', text):
            return Lvalue(type_, 'pieces', Fetch(''), 8, pieces=((Fetch(f'%{text[1]}x'), arch.word),))
        register = operand_register(arch, text[1:] if text[:1] in '%$' else text)
        if register and (text[:1] == '%' or not x86):
            return Lvalue(type_, 'value', Fetch('%' + register))
        memory = (re.fullmatch(r'(?P<offset>[-+]?\d+)?\(%?(?P<base>\w+)\)', text)
                  or re.fullmatch(r'\$(?P<base>\w+),(?P<offset>-?\d+)', text)  # loongarch64
                  or re.fullmatch(r'\[\$?(?P<base>\w+)(?:,\s*#?(?P<offset>-?\d+))?\]', text))
        if memory:
            base, offset = operand_register(arch, memory['base']), 8 * int(memory['offset'] or 0)
            return Lvalue(type_, 'memory', self._base(base), offset) if base else None
        linked = re.fullmatch(r'(?:([-+]?\d+)\+)?([A-Za-z_][\w.@]*)([-+]\d+)?(\(%rip\))?', text)
        found = self.info.symbols.symbols(linked[2]) if linked and x86 else []
        addresses = {symbol.address for symbol in found}
        if not linked or len(addresses) != 1 or found[0].sort in ('tls', 'exported'):
            return None
        address = found[0].address + int(linked[1] or 0) + int(linked[3] or 0)
        return Lvalue(type_, 'memory', self._global_at(address))

    def _name(self, expr: Expr) -> Lvalue:
        last = max(len(self.target.operands or ()) - 1, 0)
        return refuse(f"a USDT probe's arguments have numbers, not names: %0 to %{last}")


class InEvent(Resolver):
    """The same for a trace event with these fields; None where they are not known."""
    refused = {**Leaves.refused, 'argument': 'an event has named fields, not numbered arguments',
               'register': 'an event has no registers; name one of its fields'}

    def __init__(self, info: Module, fields: dict[str, EventField] | None = None) -> None:
        super().__init__(Target(info), 'e')
        self.fields = fields

    def every(self, at: Span) -> list[Expr]:
        if self.fields is None:
            refuse('the fields of this event are not known here', at)
        return [Expr('name', at, name) for name in self.fields]

    def _special(self, expr: Expr) -> Lvalue:
        own = self.fields is None or expr.name[1:] in self.fields  # its field comes first
        if expr.name in ('$comm', '$COMM') and not own:
            return super()._special(expr)
        if expr.name == '$current' and not own:
            refuse('an event probe has no $current; t TRACEPOINT and p FUNC have')
        return self._name(Expr('name', expr.at, expr.name[1:]))

    def _name(self, expr: Expr) -> Lvalue:
        fields, name = self.fields, expr.name
        if fields is not None and name not in fields:
            listed = otherwise(name) or f"; it has {', '.join(fields)}"
            refuse(f"the event has no field '{name}'{near(name, fields) or listed}")
        field = fields[name] if fields is not None else EventField(name, Void(), False)
        return Lvalue(CHARS if field.string else field.type, 'value', Fetch('$' + name), name=name)


class InTracepoint(Resolver):
    """The same for a raw tracepoint. What is called for it has data of its own in front of the arguments,
    which $argN does not count (kernel/trace/trace_probe.c, parse_probe_vars); on some architectures it is 0
    of what is on the stack (regs_get_kernel_argument)."""
    refused = {**Leaves.refused,
               'register': 'a raw tracepoint has no registers: %0, %1, ... are its arguments'}

    def _parameter(self, index: int) -> Lvalue:
        assert self.function
        data = Parameter('__data', lambda: Pointer(self.arch.word, Void))
        whole = self.function._replace(parameters=(data, *self.function.parameters))
        location, parameter = convention(self.arch, whole)[index + 1], whole.parameters[index + 1]
        number = self._register_number(parameter, location)
        if number >= 0:
            return self._whole(parameter.type(), Fetch(f'$arg{number}'), parameter.name)
        if location.how != 'memory' or self.arch.dwarf.get(location.number) != self.arch.stack_pointer:
            refuse('ftrace reads arguments of a tracepoint that are in one register each, or on the stack'
                   + f': {location.why}' * bool(location.why))
        return self._at_location(parameter, location)

    def _word_argument(self, index: int) -> Lvalue:
        place = super()._word_argument(index + 1)._replace(name=f'arg{index}')
        return place._replace(fetch=Fetch(f'$arg{index + 1}')) if place.how == 'value' else place


def resolver_in(target: Target, kind: str = 'p', abilities: frozenset[str] = frozenset()) -> Resolver:
    """The Resolver for a target that is no event."""
    if kind == 't':
        return InTracepoint(target, kind, abilities)
    if target.operands is not None:
        return InUsdt(target, kind, abilities)
    return (InProgram if isinstance(target.module, Program) else Resolver)(target, kind, abilities)


TIME = Field('dur', (Fetch('$dur', kind='u64'),), at=(-1, -1), when='dur')     # nothing is fetched for it


def time_field(arg: Arg) -> Field:
    """The Field of a time, $dur or $dur(NAME{,FIELD[=ITS]})."""
    if arg.format + arg.word:
        refuse('a time has its own type and format', arg.at)
    field, expr = TIME._replace(name=arg.name or 'dur', at=arg.at), arg.expr
    if expr.kind != 'since':
        return field
    pairs = [pair.partition('=') for pair in expr.member]
    since = Since(expr.name, tuple((here, there or here) for here, _, there in pairs))
    return field._replace(words=(f"$dur({','.join([expr.name, *expr.member])})",), since=since)


class InPair(Resolver):
    """The same for a return whose call was seen as well: what the return has not is fetched at the entry."""

    def __init__(self, entry: Resolver, back: Resolver, at_entry: frozenset[str]) -> None:
        super().__init__(back.target, 'r', back.abilities)
        self._entry, self._back, self._at_entry = entry, back, at_entry

    def field(self, arg: Arg) -> Field:
        """The Field of an argument; `when` says at which of the two."""
        if arg.expr.kind == 'special' and arg.expr.name == '$dur':
            return time_field(arg)
        if not arg.name or arg.name not in self._at_entry:
            try:
                return self._back.field(arg)
            except InputError:
                if any(part.kind == 'special' and part.name == '$retval' for part in arg.expr.parts()):
                    raise
        return self._entry.field(arg)._replace(when='entry')

    def guarded(self, field: Field, packet: Packet | None = None) -> Field:
        """The field with its guards, at the same of the two."""
        return (self._entry if field.when == 'entry' else self._back).guarded(field, packet)


def annotated(fields: list[Field], probe: Probe, resolver: Resolver) -> list[Field]:
    """The fields with what stands behind #! applied: formats, parts joined, packet headers."""
    for names, words, at in probe.words:
        parts = [field for name in names for field in fields if field.name == name]
        if len(parts) != len(names) or len(set(names)) != len(names):
            refuse(f"no argument is called {' or '.join(names)}", at)
        fetches = tuple(fetch for part in parts for fetch in part.fetches)
        field, packet = parts[0]._replace(fetches=fetches), None
        for word in re.split(r',(?![^(]*\))', words):
            header = re.fullmatch(r'(\w+)(\.data)?@(l[234])\+(\d{1,4})', word)
            if header and header[1] in HEADERS and fetches[0].derefs:
                data = Fetch(fetches[0].base, fetches[0].derefs[:-1])
                packet = Packet(data, header[1], header[3], int(header[4]), bool(header[2]))
            elif word == HIDDEN:
                field = field._replace(hidden=True)
            else:
                field = field._replace(format=_word_format(word, field, resolver, at))
        joined = resolver.guarded(field, packet)
        joined = joined.unshown() if field.hidden else joined
        fields = [joined if each is parts[0] else each for each in fields if each not in parts[1:]]
    return fields


def _word_format(word: str, field: Field, resolver: Resolver, at: Span) -> Format:
    if re.fullmatch(r'{.*}', word):
        return _members_format(word, field, resolver, at)
    format_, info = format_named(word, resolver.arch, field.kind), resolver.info
    if not format_ and re.fullmatch(r'enum\([\w:/.-]+\)', word):
        name = word[5:-1]
        type_ = info.named('enum', name, resolver.function) or info.named('', name, resolver.function)
        if isinstance(type_, Enum):
            format_ = enum_format(type_, bit_width(field.kind))
    if not format_:
        refuse(f"'{word}' is no format surftrace knows", at)
    format_ = each(format_) if re.fullmatch(r'[sux]\d+\[\d+\]', field.kind) else format_
    kinds = [fetch.kind or 'string' for fetch in field.fetches]
    if len(kinds) != len(format_.takes) or not all(map(re.fullmatch, format_.takes, kinds)):
        wanted = ' and '.join(FORMATS[word].kinds) if word in FORMATS else 'another type'
        refuse(f"{word} wants {wanted}, and this is {' and '.join(kinds)}", at)
    return format_


def _members_format(word: str, field: Field, resolver: Resolver, at: Span) -> Format:
    members, fetches = [], field.fetches
    for text in word[1:-1].split(';'):
        name, _, own = text.partition(':')
        count = len(FORMATS[own].kinds) if own in FORMATS else 1
        parts, fetches = field._replace(fetches=fetches[:count]), fetches[count:]
        if len(parts.fetches) < count:
            refuse(f"'{word}' has more members than there are arguments", at)
        members.append((name, _word_format(own, parts, resolver, at) if own else None))
    if fetches:
        refuse(f"'{word}' has fewer members than there are arguments", at)
    return struct_format(members)


# ---- Events ------------------------------------------------------------------------------------------------

class EventDef(NamedTuple):
    """One definition line of an event: its letter ('p', 'r' with its maxactive, 'e', 't', 'P', 'R'; 's': made
    of others), its place, its arguments, and what is fetched unseen behind them: guards and the seal."""
    letter: str
    name: str
    place: str
    args: tuple[tuple[str, Fetch], ...]
    unseen: tuple[tuple[str, Fetch], ...] = ()

    @property
    def file(self) -> str:
        """The file of tracefs that takes it."""
        files = {**dict.fromkeys('ets', 'dynamic_events'), 'P': 'uprobe_events', 'R': 'uprobe_events'}
        return files.get(self.letter, 'kprobe_events')

    def definition(self, group: str = '') -> str:
        """The line as the kernel reads it (kprobetrace, uprobetracer, eprobetrace, histogram.rst, 2.2)."""
        if self.letter == 's':
            fields = [f"{fetch.kind.replace('x', 'u') if fetch.base != '$comm' else 'char[]'} {name}"
                      for name, fetch in self.args]
            return f"s:{self.name} {'; '.join(fields)}"
        words = [f"{self.letter.lower()}:{group + '/' if group else ''}{self.name}", self.place]
        return ' '.join(words + [f'{name}={fetch.text()}' for name, fetch in (*self.args, *self.unseen)])


class Column(NamedTuple):
    """A column of a table, from a field of the event, or from what every record has (OF_RECORD)."""
    title: str
    how: str                                # of a key '', 'log2' or 'step'; of what is added up 'sum', 'avg'
    field: int = -1                         # the number of the field; -1: of the record itself
    step: int = 0
    numbers: bool = False                   # whether its values are numbers, which stand in their order
    unit: str = ''

    @property
    def adds(self) -> bool:
        """Tell whether it is added up."""
        return self.how in ('sum', 'avg')

    @property
    def is_stack(self) -> bool:
        """Tell whether it is the record's stack."""
        return self.title == 'stack' and self.field < 0

    def heading(self, title: str) -> str:
        """What stands above it."""
        return f'{title} ({self.unit})' if self.unit else title

    def source(self) -> str:
        """As it is written behind h:."""
        step = f',{self.step}' * (self.how == 'step')
        return f'{self.how}({self.title}{step})' if self.how else self.title


class Pair(NamedTuple):
    """What an event has to do with another one: an entry and its return, or what $dur(NAME) counts from. The
    event that ends has `fields` and `condition`, of a call both events have `stack`."""
    entry: str = ''                         # of a return: the event of the entries
    fields: tuple[Field, ...] = ()          # all that is shown, of both events, in the user's order
    condition: Filter | None = None         # the part of the filter that is judged when both are known
    stack: str = ''                         # the fetch-arg of the stack pointer, which is the same at both

    @property
    def ends(self) -> bool:
        """Tell whether it is that of an event with which something ends."""
        return bool(self.entry) or any(field.since for field in self.fields)


class Begin(NamedTuple):
    """What a time, $dur(NAME), counts from: the event and field that end it, the fields that both have."""
    event: str
    field: str
    fields: tuple[str, ...]
    counted: bool


class Event(NamedTuple):
    """A traced event. Our own has definitions (several where it has several places); the kernel's own has a
    system. `seal` is how its records end, '' where nothing seals them; `filter` is the kernel's text."""
    name: str
    system: str
    definitions: tuple[EventDef, ...]
    fields: tuple[Field, ...]
    seal: str
    filter: str
    annotation: str                         # what -S adds behind #!: formats, the filter as written
    probe: Probe
    arch: Arch
    program: Program | None = None
    columns: tuple[Column, ...] | None = None           # of one that is counted and not shown
    pair: Pair | None = None                # of the entries and returns that make pairs
    begins: tuple[Begin, ...] = ()
    next_task: Fetch | None = None          # unseen, of a probe of sched_switch: who runs behind it
    role: str = ''                          # in a tree: 'entry', 'return' of a call, a return 'alone', 'leaf'
    label: str = ''                         # the function or the event that it is of
    loop: bool = False                      # whether a loop begins with its function: see begins_loop()

    @property
    def head(self) -> bytes:
        """How its records begin; those of system calls look like C (print_syscall_enter)."""
        call = re.fullmatch(r'sys_(enter|exit)(_\w+)', self.name) if self.system == 'syscalls' else None
        if call:
            return f'sys{call[2]}{"(" if call[1] == "enter" else " -> "}'.encode()
        return f'{self.name}: '.encode()

    @property
    def counted(self) -> bool:
        """Tell whether it is counted, not shown."""
        return self.columns is not None

    @property
    def every_field(self) -> tuple[Field, ...]:
        """What is known of its records in the end: of pairs that of both."""
        return self.pair.fields if self.pair and self.pair.fields else self.fields

    @property
    def unshown(self) -> bool:
        """Tell whether its records serve others only: entries, and what times that are counted begin with."""
        only_begins = not self.counted and self.begins and all(begin.counted for begin in self.begins)
        return bool(only_begins or self.pair and not self.pair.ends and not self.role)

    def folder(self, group: str) -> str:
        """Where its files are in an instance, if it is an event of ours in that group."""
        return f'events/{self.system or group}/{self.name}'

    def lines(self, whole: bool = False) -> list[str]:
        """What -S prints; `whole`: with what is fetched unseen."""
        if not self.definitions:
            return [f'#! e {self.system}/{self.name} {self.annotation}'.rstrip()]
        unseen = '+'.join(name for name, _ in self.definitions[0].unseen) if whole else ''
        words = ' '.join(filter(None, [f'{unseen}:{UNSEEN_WORD}' * bool(unseen), self.annotation]))
        shown = [each if whole else each._replace(unseen=()) for each in self.definitions]
        return [definition.definition() + f' #! {words}' * bool(words) for definition in shown]


class Machine(NamedTuple):
    """The traced machine, as events are made for it; where it is another one (-S, -o) no file can be read."""
    kernel: Module                                      # types, symbols and modules of the kernel
    note: Callable[[str], None]                         # takes a sentence for the user
    read: Callable[[str], str] = lambda path: ''        # a file of its tracefs, '' where it cannot be read
    seal: int = 0                                       # a number nobody outside can know, 0: there is none
    program: Callable[[str], Program | None] = lambda name: None        # by its path or name
    program_names: Callable[[str], list[str]] = lambda typed: []      # of programs, libraries
    live: bool = False                                  # whether this process is to set the probes
    force: bool = False                                 # whether to do what may crash a program
    tree: bool = False                                  # whether calls are shown as a tree

    @property
    def abilities(self) -> frozenset[str]:
        """The ABILITIES that its tracefs' README, or that in its vmlinux, tells of; all where neither is."""
        return abilities_of(self.read('README') or readme_in(self.kernel.file))

    def event_names(self) -> Iterable[str]:
        """Every SYSTEM/EVENT: of the running kernel, else those that the file has."""
        return self.read('available_events').replace(':', '/').split() or event_calls(self.kernel)

    def functions(self) -> frozenset[str] | None:
        """The functions that ftrace lists as traceable, None where it lists none."""
        return first_words(self.read('available_filter_functions')) or None


ABILITIES = {                               # and the words of the README (kernel/trace/trace.c, readme_msg)
    '$arg': r'kernel return probes support:.*\$arg<N>',         # return probes keep the call's arguments
    'ref_ctr': 'ref_ctr_offset',            # semaphores are counted
    't': r't\[:\[<group>/',                 # raw tracepoints are traced
    '$current': r'\$current', 'this_cpu': r'this_cpu_ptr\('}


@functools.lru_cache(2)
def abilities_of(readme: str) -> frozenset[str]:
    """The ABILITIES that a README tells of, all where there is none."""
    return frozenset(word for word, mark in ABILITIES.items() if not readme or re.search(mark, readme))


@functools.lru_cache(2)
def readme_in(vmlinux: Executable | None) -> str:
    """The README that a kernel has in its tracefs, '' where no file tells."""
    found = vmlinux.symbols('readme_msg') if vmlinux else []
    return vmlinux.bytes_at(found[0].address, found[0].size).decode() if vmlinux and found else ''


@functools.lru_cache(2)
def first_words(text: str) -> frozenset[str]:
    """The first word of each line."""
    return frozenset(line.split()[0] for line in text.splitlines())


# Places: where probes are put


GLOB_CAP = 100                              # matches of a pattern that are traced; more are cut, with a note
COPY_CAP = 1000                             # copies of a function or line that are; more are cut, with a note


def locate(probe: Probe, machine: Machine) -> list[Target]:
    """The Targets of a line. Those that take no probe are left out with a note, unless none remains."""
    place, module = probe.place, module_of(probe.place, machine)
    found = targets_in(module, probe, machine)
    obstacles = '; '.join(sorted({target.obstacle for target in found} - {''}))
    possible = [target for target in found if not target.obstacle]
    if obstacles and possible:
        count = len(found) - len(possible)
        machine.note(f"{count} of the {len(found)} places of '{place.text}' are left out: {obstacles}")
    elif obstacles:
        name = f"'{found[0].name}'"
        name = name if len(found) == 1 else f"each of the {len(found)} places of '{place.text}'"
        machine.note(f'{name} is {obstacles}; the kernel will refuse a probe there')
    loops = [target.name for target in possible if target.loop]
    if loops:
        where = f' at {len(loops)} of {len(possible)} places' if len(possible) > 1 else ''
        names = first_of(sorted({*loops}), 5)
        machine.note(f'{names} begins with a loop{where}: each round of it is an event')
    return possible or found


def targets_in(module: Module, probe: Probe, machine: Machine) -> list[Target]:
    """The Targets of a line, whatever the kernel says of them."""
    place = probe.place
    if probe.kind == 't':
        names = capped(raw_tracepoints(place, machine), place.text, 'tracepoints', machine)
        return [tracepoint_target(name, machine.kernel) for name in names]
    if isinstance(module, Program):
        if probe.kind == 'R' and crashes_go(module, machine):
            refuse(f'{module.path} is a Go program: a return probe changes return addresses, and Go moves '
                   'its stacks, so it would crash. Probe the entry with P; --force does it all the same')
        if probe.kind == 'u':
            return usdt_targets(place, module, machine)
        if not place.function and place.line is None:
            return [offset_target(probe, module, machine)]
    if place.line is not None:
        return spot_targets(line_spots(place, module), probe, module, machine)
    symbols = functions_of(place, module, machine)
    if probe.kind in 'rR':
        symbols = with_plain_returns(symbols, place, machine)
    if symbols:
        return [target for symbol in symbols for target in function_targets(probe, symbol, module, machine)]
    return targets_without_function(probe, module, machine) or refuse_missing(place, module, machine)


# Functions that begin without a return address at their stack pointer, because no call leads there, and those
# that keep it or ask who called: argc is lost, longjmp ends in SIGILL, RTLD_NEXT finds nothing
ODD_RETURNS = regex(r'(__GI_)?(_start|_dl_start_user|_dl_runtime_\w+|__restore_rt|__morestack\w*'
                    r'|_*(sig)?setjmp|_*(get|swap)context|(__libc_)?dlv?sym|dlm?open|pthread_exit'
                    r'|_Unwind_\w+|__cxa_(re)?throw)|.*\.cold(\.\d+)?')


def with_plain_returns(symbols: Sequence[Symbol], place: Place, machine: Machine) -> list[Symbol]:
    """The functions that bear a return probe, which changes the address that they return to; a note has the
    others, unless none remains."""
    odd = [symbol.name for symbol in symbols if ODD_RETURNS.fullmatch(symbol.name)] * (not machine.force)
    plain = [symbol for symbol in symbols if symbol.name not in odd]
    if odd:
        why = ('no call leads there, or the address that it returns to means more: a return probe, which '
               f"changes that, would break it. Probe the entry with {'P' if place.object else 'p'}; --force "
               'does it all the same')
        if not plain:
            refuse(f'{first_of(odd, 5)}: {why}')
        machine.note(f"{len(odd)} of the {len(symbols)} functions of '{place.text}' are left out "
                     f'({first_of(odd, 5)}): {why}')
    return plain


def crashes_go(module: Module, machine: Machine) -> bool:
    """Tell whether a return probe would crash this program, and is not forced."""
    return isinstance(module, Program) and module.is_go and not machine.force


def bears_return(target: Target, machine: Machine) -> bool:
    """Tell whether a function in a tree has a return probe too."""
    table = target.module.symbols if isinstance(target.module, Program) else None
    symbol = table.symbol_at(target.address) if table else None
    is_odd = ODD_RETURNS.fullmatch(symbol.name if symbol else target.name)
    return not crashes_go(target.module, machine) and (machine.force or not is_odd)


def module_of(place: Place, machine: Machine) -> Module:
    """The kernel, its module, the program or the library that a place is in."""
    if not place.object:
        return machine.kernel.module(place.module)
    program = machine.program(place.object)
    if not program:
        way = in_this_folder(place, machine) or (
            ": a path, a program in $PATH or a library's soname, whole or up to .so, is looked for")
        refuse(f"no program or library '{place.object}'{way}", (place.at[0], place.at[0] + len(place.object)))
    return program


def program_named(name: str, machine: Machine) -> Program | None:
    """The program that a name which is no program's here may mean."""
    with contextlib.suppress(SurftraceError):
        return machine.program(name)
    return None


def in_this_folder(place: Place, machine: Machine) -> str:
    """That a program which is not looked for there is in the current folder."""
    here = '/' not in place.object and program_named(f'./{place.object}', machine)
    return f'; the one in this folder is ./{place.object}' if here else ''


def functions_of(place: Place, module: Module, machine: Machine) -> list[Symbol]:
    """The functions that a place names, else that match it; without an address where a module is awaited."""
    name, table = place.function, module.symbols
    if table is None and not place.module and module.function(name):
        return [Symbol(name, 0, 0, True)]
    named = table.functions(name) if table else []
    found = [symbol for symbol in named if place.module in ('', symbol.module)]
    if place.glob and not found:
        return matching(place, module, machine)
    if place.module and not found:
        return [awaited(place, module, machine)]
    if place.file == '*' and len(found) > 1:
        return all_of_several(place, found, module)
    one = one_of_several(place, found, module)
    return [one] if one else []


def functions_by_name(module: Module, name: str) -> dict[str, list[Symbol]]:
    """The functions of a kernel or a program, or of the module of that name where it is loaded."""
    if module.symbols is None:
        return {each: [Symbol(each, 0, 0, True, module=name)] for each in module.function_names()}
    table = module.symbols.function_symbols
    if not name:
        return table
    own = {each: [symbol for symbol in symbols if symbol.module == name] for each, symbols in table.items()}
    return {each: symbols for each, symbols in own.items() if symbols}


def matching_names(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern matches, those of C++ and Rust also as the source has them."""
    wanted = name_test(pattern)
    return sorted(name for name in names if wanted(name) or
                  name[:2] in ('_Z', '_R') and any(wanted(text) for text in spellings(demangled(name))))


def matching(place: Place, module: Module, machine: Machine) -> list[Symbol]:
    """The functions that can be traced and match, one an address; of the kernel none that share a name."""
    table = functions_by_name(module, place.module)
    functions = machine.functions() if not place.object else None
    found: dict[object, Symbol] = {}
    for name in matching_names(place.function, table):
        plain = place.object or len(table[name]) == 1 and '.' not in name
        if plain and (functions is None or name in functions):
            for symbol in table[name]:
                found.setdefault((symbol.module, symbol.address or name), symbol)
    if not found:
        where = f'in {module.path}' if place.object else 'that can be traced'
        refuse(f"no function {where} matches '{place.function}'")
    return capped(list(found.values()), place.function, 'functions', machine)


def capped(found: list[Any], pattern: str, what: str, machine: Machine) -> list[Any]:
    """The first GLOB_CAP of what a pattern matches."""
    if len(found) > GLOB_CAP:
        machine.note(f"'{pattern}' matches {len(found)} {what}; only the first {GLOB_CAP} are traced")
    return found[:GLOB_CAP]


def awaited(place: Place, module: Module, machine: Machine) -> Symbol:
    """The function of a module that need not be loaded: the kernel sets the probe when the module comes
    (trace_kprobe_module_callback in kernel/trace/trace_kprobe.c)."""
    name, function = place.module, place.function
    loaded = functions_by_name(module, name) if module.symbols else {}
    names = loaded or (module.file.function_symbols if module.file else {})
    if names and function not in names:
        refuse(f"the module {name} has no function '{function}'{near(function, names)}")
    if not module.loaded and not module.file:
        program = program_named(name, machine)
        if program and program.functions_named(function):
            refuse(f"'{name}' is no module here but {program.path}: P {name}:{function}")
    if module.loaded is False and module.file:
        machine.note(f"the module '{name}' is not loaded: the probe waits for it")
    elif module.loaded is False:
        machine.note(f"no module '{name}' is loaded, and none is installed for this kernel: the probe waits "
                     'for one of that name')
    return Symbol(function, 0, 0, True, module=name)


def all_of_several(place: Place, found: list[Symbol], module: Module) -> list[Symbol]:
    """All functions of a name: the kernel's at link-time addresses, which differ, and those of modules."""
    linked = [symbol for symbol in module.functions_named(place.function) if symbol.module == place.module]
    if not module.linked:
        refuse(f"'{place.function}' is there {len(found)} times, and only a vmlinux tells where each is")
    if place.module:
        one_of_several(place._replace(file=''), found, module)          # says why they cannot be told apart
    others = [symbol for symbol in found if symbol.module]
    if len({symbol.module for symbol in others}) < len(others):
        refuse(f"'{place.function}' is there several times in one module: the kernel would take the first")
    return [*linked, *others]


def linked_function(place: Place, module: Module) -> Symbol | None:
    """The function that a place names, at its link-time address if a file tells it; None without code."""
    return one_of_several(place, module.functions_named(place.function), module)


def one_of_several(place: Place, found: list[Symbol], module: Module) -> Symbol | None:
    """The function that a place means, of all that have its name; one of several at its link-time address."""
    if not found or len(found) == 1 and place.file in ('', '*'):
        return found[0] if found else None
    name, dwarf, count = place.function, module.dwarf, f"'{place.function}' is there {len(found)} times"
    modules = sorted({symbol.module for symbol in found})
    if isinstance(module, Program) and not place.file:
        ways = ', '.join(sorted(ways_to_write(place, found, module))[:6])
        refuse(f'{count}; write one of them behind the colon: {ways}')
    if place.module and not place.file:
        refuse(f'{count} in {place.module}, and the kernel would take the first')
    if len(modules) == len(found) > 1:
        refuse(f"{count}; say which: {', '.join(f'{each}:{name}' for each in modules if each)}")
    if not dwarf:
        refuse(f'{count}, and only DWARF tells which is in which file')
    compiled = module.functions_named(name)
    listed = ', '.join(sorted({dwarf.source_at(symbol.address) or '?' for symbol in compiled}))
    if not place.file:
        line = f':{place.line}' if place.line else ''
        refuse(f'{count}; say which: {name}@FILE{line} with one of {listed}')
    wanted = in_file(compiled, place.file, dwarf)
    if len(wanted) != 1:
        refuse(f"{len(wanted) or 'no'} '{name}' in {place.file}; it is in {listed}")
    return wanted[0]


def ways_to_write(place: Place, found: Sequence[Symbol], program: Program) -> Iterator[str]:
    """For each of a program's functions of one name what names it alone: parameters, file or offset."""
    line = f':{place.line}' if place.line else ''
    sources = [demangled(symbol.name) for symbol in found]
    dwarf = program.dwarf
    files = [dwarf.short_path(dwarf.source_at(symbol.address)) if dwarf else '' for symbol in found]
    for symbol, source, file in zip(found, sources, files):
        if source and sources.count(source) == 1:
            yield f'"{source}"'
        elif dwarf and file and len(in_file(found, file, dwarf)) == 1:
            yield f'{place.function}@{file}{line}'
        else:
            yield f'{program.executable.offset_of(symbol.address) or 0:#x}'


def in_file(symbols: Sequence[Symbol], file: str, dwarf: Dwarf) -> list[Symbol]:
    """Those of the source files whose path ends so."""
    return [symbol for symbol in symbols if ('/' + dwarf.source_at(symbol.address)).endswith('/' + file)]


def plain_name(name: str) -> str:
    """What is alike in the names that C's library has for one function: read, __read, __GI___libc_read."""
    name = re.sub(r'^_*(?:GI_+)?(?:libc_|IO_)?', '', demangled(name) or name.partition('@')[0])
    return re.sub(r'(64|_nocancel|\.localalias(\.\d+)?)$', '', name)


def function_targets(probe: Probe, symbol: Symbol, module: Module, machine: Machine) -> list[Target]:
    """A function's Target and those of its copies, inlined or with other parameters; a note has the rest."""
    place, module = probe.place, module if module.base or not symbol.module else module.module(symbol.module)
    own = function_target(probe, symbol, module, machine)
    if isinstance(module, Program) and not place.glob:
        spelled = sorted(module.symbols.names_at(symbol.address), key=len, reverse=True)
        names = {plain_name(name): name for name in spelled     # the shortest; not those of the library alone
                 if not re.match('_[A-QS-Y_]', name)}
        names.pop(plain_name(symbol.name), None)
        if names:
            others = first_of(sorted(demangled(name) or name for name in names.values()), 5)
            machine.note(f"'{own.name}' is at one address with {others}: calls of all are seen")
    if place.offset is not None:
        return [own]
    dwarf, link, table = module.dwarf, link_time(symbol, module), module.linked or module.symbols
    inlined = own.function.inlined or 0 if own.function else 0
    spots = dwarf.copies_near(link.address) if dwarf and link and place.object else []
    variants = table.copies_of(symbol.name) if table else []
    if dwarf and link:                                  # several files may have functions of a name
        variants = [variant for variant in variants if dwarf.same_source(link.address, variant.address)]
    if place.glob:                                      # those that match have events of their own
        variants = [variant for variant in variants if not name_test(place.function)(variant.name)]
    kernel_glob = place.glob and not place.object
    if not dwarf or probe.kind not in 'pP' or kernel_glob or names_registers(probe):
        inlined = len(spots) if place.object else inlined
        if inlined:
            places = f"{inlined} place{'s' * (inlined > 1)}"
            machine.note(f"'{symbol.name}' is also inlined at {places} of its file; calls there are not seen")
        note_unseen(symbol.name, variants, machine)
        return [own]
    if inlined and link and not place.object:
        spots = dwarf.copies(symbol.name, link.address)
    targets = copy_targets(own.name, spots, variants, probe, module, machine, [own])
    if len(targets) > 1 and not place.object and '+' not in own.place:  # `f` alone would be all of this again
        targets[0] = own._replace(place=f'{own.place}+0')
    return targets


def targets_without_function(probe: Probe, module: Module, machine: Machine) -> list[Target]:
    """The Targets of a function that is only there as copies; no variants where a register is named, which
    holds something else in them, or where several functions have that name."""
    place, dwarf, table = probe.place, module.dwarf, module.linked or module.symbols
    place = place._replace(file='') if place.file == '*' else place
    if not dwarf or place.offset is not None:
        return []
    spots = dwarf.copies(place.function, None, place.file) if probe.kind in 'pP' else []
    variants = table.copies_of(place.function) if table else []
    variants = in_file(variants, place.file, dwarf) if place.file else variants
    alike = all(dwarf.same_source(variants[0].address, other.address) for other in variants)
    if not alike or names_registers(probe):
        note_unseen(place.function, variants if spots else (), machine)
        variants = []
    return copy_targets(place.function, spots, variants, probe, module, machine)


def copy_targets(name: str, spots: Sequence[Spot], variants: Sequence[Symbol], probe: Probe, module: Module,
                 machine: Machine, own: Sequence[Target] = ()) -> list[Target]:
    """The Targets of a function and its copies, all by its name."""
    targets = spot_targets(spots, probe, module, machine)
    targets += [function_target(probe, variant, module, machine) for variant in variants]
    return [*own, *(target._replace(name=name) for target in targets)]


def names_registers(probe: Probe) -> bool:
    """Tell whether an argument names a register or a word of the stack."""
    parts = [part for arg in probe.args for part in arg.expr.parts()]
    return any(part.kind == 'register' or part.name[:4] in ('$sta', '$arg') for part in parts)


def note_unseen(name: str, variants: Sequence[Symbol], machine: Machine) -> None:
    """Note that a probe of a function does not see its copies with other parameters."""
    if variants:
        listed = ', '.join(sorted({variant.name for variant in variants}))
        machine.note(f"'{name}' is also there as {listed}, with parameters that the compiler changed; calls "
                     'of that are not seen')


def link_time(symbol: Symbol, module: Module) -> Symbol | None:
    """The symbol at its link-time address, where a file tells it."""
    found = module.linked.functions(symbol.name) if module.linked else []
    if symbol in found:
        return symbol
    return found[0] if len(found) == 1 else None


def function_target(probe: Probe, symbol: Symbol, module: Module, machine: Machine) -> Target:
    """The Target of a function, or of an instruction in it."""
    place, link = probe.place, link_time(symbol, module)
    offset = place.offset or 0
    if offset and link and not machine.force:
        check_boundary(link, place, module, bool(place.object))
    function = module.function(symbol.name, link and link.address, offset)
    unknown = function is None and is_changed_copy(symbol.name)         # its arguments are where nobody knows
    entry = not offset and not unknown
    if isinstance(module, Program):
        address = symbol.address + (offset or symbol.entry)
        text = program_place(module, address, machine)
        shown = demangled(symbol.name) or symbol.name
        code = [(symbol.address, symbol.address + symbol.size)]
        loop = not offset and not module.is_go and begins_loop(address, code, module)
        return Target(module, function, entry, address, None, text, shown, whole=not offset, loop=loop)
    here = (link or symbol)._replace(module=symbol.module)
    obstacle = obstacle_of(here, here.address + offset, module, machine)
    text = kernel_place(here, place.offset, module)
    return Target(module, function, entry, 0, None, text, symbol.name, obstacle, not offset)


CALL = regex(r'(call\w*|blx?|jalr?|brasl?)\b')            # not arm's blt, which jumps
# of x86, to what is near, or far
JUMP = regex(rb'(?s)(?=[\x70-\x7f\xe0-\xe3\xeb](.)|(?:\xe9|\x0f[\x80-\x8f])(.{4}))')


def begins_loop(address: int, ranges: Sequence[tuple[int, int]], module: Module) -> bool:
    """Tell whether code in those ranges jumps to that address, where a probe is then hit in every round: what
    may be such a jump of x86 is found by its bytes; capstone, where that is, tells."""
    executable = module.executable
    for start, end in ranges if executable else ():
        assert executable
        code = executable.bytes_at(start, end - start)
        jumps = ((match.end(group), match[group]) for match in JUMP.finditer(code)
                 for group in (1, 2) if match[group])
        may = any(start + behind + int.from_bytes(far, 'little', signed=True) == address
                  for behind, far in jumps)
        is_x86 = executable.arch.name in ('x86_64', 'i386')
        try:
            if (may or not is_x86) and any(each.target == address and not CALL.match(each.text)
                                           for each in disassembled(code, start, executable.arch)):
                return True
        except DisassemblyError:
            return is_x86
    return False


def kernel_place(symbol: Symbol, offset: int | None, module: Module) -> str:
    """[MODULE:]FUNC[+OFFSET] for the kernel; where several symbols have the name, also data, _text+OFFSET."""
    linked = module.linked if not module.base else None
    alike = linked.symbols(symbol.name) if linked else []
    start = linked.symbols('_text') if linked and len(alike) > 1 and symbol in alike else []
    if start:
        return f'_text+{symbol.address - start[0].address + (offset or 0)}'
    name = f'{symbol.module}:{symbol.name}' if symbol.module else symbol.name
    return name if offset is None else f'{name}+{offset}'


def spot_text(address: int, module: Module, prefix: str = '') -> str:
    """A link-time address as the kernel takes it, counted from its function; where no symbol tells that (the
    code of a weak function stays when another takes its place), from the start of the image."""
    symbol = module.symbol_at(address) or next(iter(module.functions_named('_text')), None)
    if not symbol:
        refuse(f'{address:#x} is where no function is')
    return kernel_place(symbol._replace(module=prefix), address - symbol.address, module)


def line_spots(place: Place, module: Module, every: bool = False) -> list[Spot]:
    """The places that FILE:LINE or FUNC:LINE means: the first in each copy of the function, or every one."""
    dwarf = module.dwarf
    if not dwarf:
        refuse('line numbers need DWARF')
    found = linked_function(place, module) if place.function else None
    file = place.file if not place.function else ''
    if '.' in place.function and not place.file and not found and dwarf.files_like(place.function):
        file = place.function                           # of a language whose ending the grammar does not know
    if file:
        spots = dwarf.line_spots(file, place.line or 0)
    else:
        spots = dwarf.function_line(place.function, found.address if found else None, place.line or 0)
    return spots if every else dwarf.first_of_each(spots)


def spot_targets(spots: Sequence[Spot], probe: Probe, module: Module, machine: Machine) -> list[Target]:
    """The Targets of places that DWARF tells."""
    place, dwarf = probe.place, module.dwarf
    assert dwarf
    if len(spots) > COPY_CAP:
        machine.note(f"'{place.text}' is at {len(spots)} places; only the first {COPY_CAP} are traced")
    if dwarf.entries.missing and any(spot.inlined for spot in spots):
        machine.note(f'{dwarf.unread}what is inlined there is not seen')
    targets = []
    for spot in spots[:COPY_CAP]:
        if isinstance(module, Program):
            text, name = program_place(module, spot.address, machine), place.text
        else:
            text, name = spot_text(spot.address, module, place.module), spot.function
        obstacle = obstacle_of(module.symbol_at(spot.address), spot.address, module, machine)
        function = dwarf.function_here(spot)
        loop = place.line is None and begins_loop(spot.address, spot.scope.ranges, module)
        targets.append(Target(module, function, False, spot.address, None, text, name, obstacle, loop=loop))
    return targets


NOT_TRACEABLE = 'not traceable (notrace)'
BLACKLISTED = "on the kernel's blacklist: kprobes themselves run through it"
PATCHED = 'on an instruction that the kernel itself rewrites (a jump label, a static call)'


def obstacle_of(symbol: Symbol | None, address: int, module: Module, machine: Machine) -> str:
    """Why no probe can be at an address of a function, '' where one can: by the kernel, else its vmlinux."""
    if isinstance(module, Program):
        return ''
    if not symbol:
        return 'where no function is'
    if re.search(rf'\t{re.escape(symbol.name)}$', machine.read('/sys/kernel/debug/kprobes/blacklist'), re.M):
        return BLACKLISTED
    vmlinux, traceable, reason = machine.kernel.executable, machine.functions(), ''
    if vmlinux and symbol.section and not symbol.module:
        reason = linked_obstacle(symbol, address, vmlinux)
    if traceable is not None and reason in ('', NOT_TRACEABLE):
        whole = symbol.name.partition('.')[0]
        names = (symbol.name, whole)
        listed = traceable.intersection(names)
        if not listed:
            listed = traceable.intersection(Kallsyms(encoded(machine.read('/proc/kallsyms'))).aliases(whole))
        reason = '' if listed else NOT_TRACEABLE
    return reason


def linked_obstacle(symbol: Symbol, address: int, vmlinux: Executable) -> str:
    """The same, by the tables that a kernel is linked with."""
    calls, black, spans, patched = obstacle_tables(vmlinux)

    def calls_ftrace(symbol: Symbol) -> bool:
        at = bisect.bisect_left(calls, symbol.address - vmlinux.arch.nops)
        return at < len(calls) and calls[at] < symbol.address + max(symbol.size, 1)
    if symbol.section.startswith(('.init', '.exit')):
        return 'gone when the kernel has booted (__init)'
    if symbol.address in black or any(start <= address < end for start, end in spans):
        return BLACKLISTED
    base = symbol.name.partition('.')[0]                # of f.cold, which has no call for ftrace of its own
    wholes = vmlinux.symbols(base) if base != symbol.name else []
    if calls and not any(map(calls_ftrace, [symbol, *wholes])):
        return NOT_TRACEABLE
    return PATCHED if address in patched else ''


@functools.lru_cache(4)
def obstacle_tables(vmlinux: Executable) -> tuple[list[int], set[int], list[tuple[int, int]], set[int]]:
    """Where ftrace works (kernel/trace/ftrace.c, __start_mcount_loc; a relocatable kernel's are filled in as
    it boots), the blacklist of kprobes, the sections that they run through (populate_kprobe_blacklist), and
    the instructions that the kernel rewrites (include/linux/jump_label.h, static_call_types.h)."""
    calls = sorted(filter(None, vmlinux.table('__start_mcount_loc', '__stop_mcount_loc')))
    black = set(vmlinux.table('__start_kprobe_blacklist', '__stop_kprobe_blacklist'))
    spans = []
    for name in ('noinstr', 'kprobes', 'entry', 'cpuidle'):
        starts, ends = (vmlinux.symbols(f'__{name}_text_{end}') for end in ('start', 'end'))
        spans += [(start.address, end.address) for start, end in zip(starts, ends)]
    labels = '__start___jump_table', '__stop___jump_table'
    arm = vmlinux.arch.name == 'arm'                    # whose entries are three words
    patched = set(vmlinux.table(*labels)[::3] if arm else vmlinux.table(*labels, f'ii{vmlinux.word}'))
    patched.update(vmlinux.table('__start_static_call_sites', '__stop_static_call_sites', 'ii'))
    return calls, black, spans, patched


def refuse_missing(place: Place, module: Module, machine: Machine) -> NoReturn:
    """Refuse a function that is not there: a copy with other parameters, inlined everywhere, or nowhere."""
    name, names, dwarf = place.function, list(module.function_names()), module.dwarf
    if isinstance(module, Program):
        refuse_other_symbols(place, module, machine)
    changed = [other for other in names if re.search(r'\.(isra|constprop|part|llvm)\.', other)]
    stems = [(other, other.partition('.')[0]) for other in changed]
    copies = sorted(other for other, stem in stems
                    if name == stem or '::' in name and name in spellings(demangled(stem)))
    if copies and '.llvm.' in copies[0]:
        refuse(f"'{name}' has been renamed by the compiler: {copies[0]}")
    if copies:
        refuse(f"'{name}' is there only as {', '.join(copies)}: the compiler changed its parameters in that "
               'copy. Name the copy; with DWARF its parameters are found where they are')
    inlined = list(dwarf.prototypes(name)) if dwarf and not place.object else []
    holders = [holder for prototype in inlined for holder in prototype.holders]
    if inlined and not holders:
        refuse(f"of '{name}' the compiler left no code: nothing calls it, or what calls it needs none")
    if holders:
        refuse(f"'{name}' is inlined everywhere it is called: there is no function to probe; probe one that "
               f'holds a copy: {first_of(holders, 3)}')
    if '::' in name:
        names += {text for other in names for text in spellings(demangled(other)) if '(' not in text}
    hint = near_system_call(name, names) or near(name, names)
    if isinstance(module, Program):
        stripped = not module.executable.contents('.symtab') and len(module.symbols.files) == 1
        hint = in_this_folder(place, machine) or hint or f': {module.untold}'.rstrip(' :;')
        hint = hint or ': its symbols are stripped, and no debug file for it is installed' * stripped
    elif not dwarf and not hint and module.function(name):
        hint = '; it may be inlined everywhere (only DWARF tells)'
    if not place.object:
        hint = in_a_module(place, machine) or hint
    refuse(f"{module.path if place.object else 'the kernel'} has no function '{name}'{hint}")


def near_system_call(name: str, names: Iterable[str]) -> str:
    """The function and the event of a system call that is named as in manuals, or as in older kernels."""
    call = re.sub('^_*(?:[a-z]+_)?sys_', '', name.lower())
    found = [other for other in names if re.fullmatch(f'__(?!ia32_|se_|do_)[a-z0-9]+_sys_{call}', other)]
    return f"; did you mean '{found[0]}', or the event 'syscalls/sys_enter_{call}'?" if found else ''


def in_a_module(place: Place, machine: Machine) -> str:
    """Which module has a function that the kernel has not: of those that its name begins with."""
    words = place.function.split('_')
    for count in range(len(words), 0, -1):
        name = '_'.join(words[:count])
        file = machine.kernel.module(name).file if name else None
        if file and place.function in file.function_symbols:
            return f'; it is in a module that is not loaded: {name}:{place.function}'
    return ''


def refuse_other_symbols(place: Place, program: Program, machine: Machine) -> None:
    """Refuse a name that a program has for something else than a function of its own."""
    name, symbols = place.function, program.symbols
    found = symbols.every_symbol(name)
    sorts = {symbol.sort for symbol in found}
    if 'ifunc' in sorts:
        stem = name.lstrip('_') + '_'
        others = sorted(other for other in symbols.function_symbols if other.lstrip('_').startswith(stem))
        way = ', whose names are not in this file; its debug package may have them'
        way = f' ({first_of(others, 8)}): probe that one' if others else way
        refuse(f"'{name}' is an IFUNC: the dynamic linker chooses one of several functions for it{way}")
    if sorts == {'undefined'}:
        libraries = ((soname, machine.program(soname)) for soname in program.executable.dynamic(DT_NEEDED))
        owners = (soname for soname, library in libraries if library and library.symbols.functions(name))
        where = next((f': it is in {one}, write {one}:{name}' for one in owners), '; it is in a library')
        refuse(f"{program.path} calls '{name}' and has it not{where}")
    if any(symbol.section and not symbol.code for symbol in found):
        refuse(f"'{name}' is data, not a function; @{name} fetches it")


def offset_target(probe: Probe, program: Program, machine: Machine) -> Target:
    """The Target at an offset in a program's file."""
    place, offset = probe.place, probe.place.offset or 0
    address = program.executable.code_at(offset)
    if address is None:
        refuse(f'{offset:#x} is not in a part of {program.path} that is loaded to be executed')
    symbol = program.symbols.symbol_at(address)
    notes = [note for note in program.executable.usdt_notes() if note.address == address]
    if symbol and not notes:
        behind = address - symbol.address
        inside = place._replace(function=symbol.name, offset=None if behind == symbol.entry else behind)
        if inside.offset and probe.kind == 'R':
            refuse('a return is that of a whole function: no offset or line')
        return function_target(probe._replace(place=inside), symbol, program, machine)
    if not notes and not machine.force:
        refuse(f'no symbol of {program.path} covers {offset:#x}, so nothing tells whether an instruction '
               'begins there; a probe inside one crashes the program. --force sets it all the same')
    text = program_place(program, address, machine, place.semaphore)
    name = next((f'{note.provider}:{note.name}' for note in notes), f'{offset:#x}')
    return Target(program, None, False, address, None, text, name)


def usdt_notes(place: Place, program: Program) -> list[UsdtNote]:
    """The USDT probes that a place's name or pattern matches, each of their sites."""
    notes = program.executable.usdt_notes()
    wanted = f'{place.system}:{place.function}' if place.system else place.function
    found = [note for note in notes if fnmatch.fnmatchcase(note.name, place.function)
             and fnmatch.fnmatchcase(note.provider, place.system or '*')]
    if not notes:
        refuse(f'{program.path} has no USDT probes (.note.stapsdt)')
    if not found:
        names = sorted({f'{note.provider}:{note.name}' for note in notes})
        hint = near(wanted, [*names, *(note.name for note in notes)]) or f'; it has {first_of(names, 12)}'
        refuse(f"{program.path} has no USDT probe '{wanted}'{hint}")
    return found


def usdt_targets(place: Place, program: Program, machine: Machine) -> list[Target]:
    """The sites of the USDT probes a u line means; their names are PROVIDER:NAME."""
    found = usdt_notes(place, program)
    providers = sorted({note.provider for note in found})
    if len(providers) > 1 and not place.system:
        refuse(f"several providers have '{place.function}': {', '.join(providers)}")
    if any(note.semaphore for note in found) and 'ref_ctr' not in machine.abilities:
        refuse('this probe counts who listens (a semaphore), and this kernel cannot count for it (Linux '
               '4.20)')
    targets = []
    for note in found:
        semaphore = program.executable.offset_of(note.semaphore) if note.semaphore else None
        text = program_place(program, note.address, machine, semaphore)
        operands, name = split_operands(note.operands), f'{note.provider}:{note.name}'
        targets.append(Target(program, None, False, note.address, operands, text, name))
    return targets


STUB = '__probestub_'                       # what a tracepoint calls for a probe (include/linux/tracepoint.h)


def raw_tracepoints(place: Place, machine: Machine) -> list[str]:
    """The raw tracepoints, of the kernel and the modules it has loaded, that a t line means."""
    if 't' not in machine.abilities:
        refuse('this kernel takes no probes of raw tracepoints (CONFIG_FPROBE_EVENTS, Linux 6.5); '
               'e SYSTEM/EVENT traces what it makes of one')
    table = machine.kernel.symbols
    names = table.beginning(STUB, True) if table else machine.kernel.function_names()
    known = [name[len(STUB):] for name in names if name.startswith(STUB)]
    found = sorted(fnmatch.filter(known, place.function))
    return found or refuse(f"no raw tracepoint '{place.function}'{near(place.function, known)}", place.at)


def tracepoint_target(name: str, kernel: Module) -> Target:
    """The Target of a raw tracepoint; its function has the parameters behind the one that is the probe's."""
    holders = [symbol.module for symbol in kernel.functions_named(STUB + name)]
    module = kernel.module(''.join(holders[:1]))
    stub = module.function(STUB + name)
    function = stub and stub._replace(name=name, parameters=stub.parameters[1:])
    return Target(module, function, place=name, name=name)


def check_boundary(symbol: Symbol, place: Place, module: Module, certain: bool = False) -> None:
    """Refuse an offset behind the function's end or inside an instruction. A row of the line table begins
    one; from the last before it on the code is disassembled. Where that is not possible the kernel will, for
    its own code (EILSEQ); in a program, which would crash, it has to be `certain`."""
    name, start, offset, executable = symbol.name, symbol.address, place.offset or 0, module.executable
    assert executable
    if symbol.size and offset >= symbol.size:
        refuse(f'{name} has {symbol.size} bytes: +{offset} is behind its end')
    rows = [row.address for row, _ in module.dwarf.rows_in(start, start + offset + 1)] if module.dwarf else []
    first = max(rows, default=start)
    if first == start + offset:
        return
    end = min(start + offset + 16, start + (symbol.size or offset + 16))
    code = executable.bytes_at(first, end - first)
    try:
        instructions = list(disassembled(code, first, executable.arch)) if code else []
    except DisassemblyError as error:
        if certain:
            refuse(f'whether an instruction begins at {name}+{offset} is not known, and a probe inside one '
                   f'crashes the program: {error}. --force sets it all the same')
        return
    places = [instruction.address - start for instruction in instructions]
    if offset not in places and (code or certain):
        nearest = sorted(sorted(places, key=lambda place: abs(place - offset))[:2])
        listed = ' and '.join(f'{name}+{place}' for place in nearest) or 'places nothing here tells'
        crash = ', and a probe there crashes the program' * certain
        refuse(f'{name}+{offset} is inside an instruction{crash}; the nearest begin at {listed}')


def program_place(program: Program, address: int, machine: Machine, semaphore: int | None = None) -> str:
    """PATH:OFFSET[(SEMAPHORE)], offsets in the file (uprobetracer.rst). In a live run the path is that of the
    file that was read, whatever has its name by then; else nothing in it may begin a comment or end a word
    (lib/ctype.c: the byte 0xa0 does, as in 'à')."""
    executable, path = program.executable, program.opened if machine.live else program.path
    offset = executable.offset_of(address)
    if offset is None or executable.code_at(offset) is None:
        refuse(f'{address:#x} is not in a part of {program.path} that is loaded to be executed')
    symbol = program.symbols.symbol_at(address) if executable.arch.name == 'arm' else None
    if executable.arch.name == 'arm' and (not symbol or symbol.sort == 'thumb') and not machine.force:
        refuse('this is Thumb code, or nothing tells that it is not, and Linux sets probes in programs in '
               'ARM code only (arch/arm/probes/uprobes/core.c)')
    if not machine.live and re.search(rb'[\t-\r #\xa0]', encoded(path)):
        refuse('the kernel takes no path with a blank, a # or a byte 0xa0 in it; make a link to it')
    return f'{path}:{offset:#x}' + (f'({semaphore:#x})' if semaphore else '')


def with_paths(text: str, events: Sequence[Event]) -> str:
    """A definition, or what the kernel says of one, as people read it: programs by their paths."""
    for program in (event.program for event in events if event.program):
        text = text.replace(f' {program.opened}:', f' {program.path}:')
    return text


def syscall_hint(probe: Probe, target: Target, arch: Arch) -> str:
    """How to write the arguments of a system call's wrapper, whose parameter is the caller's registers."""
    wrapper = re.match(r'__(x64|ia32|arm64|s390x?|riscv|powerpc)_(compat_)?sys_', target.name)
    bare = any(arg.expr.kind in ('argument', 'name') for arg in probe.args)
    if not wrapper or not arch.syscall or not bare:
        return ''
    ways = ', '.join(f'%0->{member}' for member in arch.syscall)
    return (f'%0 of {target.name} is a struct pt_regs *, the registers of the caller: its arguments are '
            f'{ways}; a string is user((char *)%0->{arch.syscall[1]})')


def convention_note(probe: Probe, target: Target) -> str:
    """What arguments are taken for where the debug information has not the function. pahole since 1.25 leaves
    those out whose parameters are not where they should be (scripts/pahole-flags.sh)."""
    function, dwarf, module = target.function, target.module.dwarf, target.module
    leaves = ('argument', 'name') if function else ('argument',)
    asked = any(part.kind in leaves for arg in probe.args for part in arg.expr.parts())
    settled = function and (not dwarf or any(parameter.location for parameter in function.parameters))
    if not asked or not module.sources or not target.entry or settled:
        return ''
    if dwarf and dwarf.function(target.name, target.address or None):
        return ''
    taken = 'arguments are taken for integers and pointers'
    taken = 'parameters are those that BTF tells' if function else taken
    return (f"{'DWARF' if dwarf else 'BTF'} tells nothing of '{target.name}': its {taken}, and if the "
            'compiler changed them they are elsewhere')


# The events of lines


def make_events(probes: Sequence[Probe], machine: Machine) -> list[Event]:
    """The events of all lines; those that give the same name are one event with several places."""
    made: dict[str, list[Event]] = {}
    heads: dict[bytes, Event] = {}
    names = {probe.event for probe in probes}
    for index, probe in enumerate(with_entries(probes, machine.tree)):
        name = probe.event or f'f{index}' + '_' * (f'f{index}' in names)
        with located(probe.text, probe.source, probe.place.at), finite():
            missing: dict[str, None] = {}
            for event in probe_events(probe, name, machine):
                missing.update(dict.fromkeys([*map(missing_note, event.fields), *unended_notes(event)]))
                other = heads.setdefault(event.head, event)
                if other.system != event.system and (other.definitions or event.definitions):
                    refuse(f"'{event.name}' is the name of a trace event that is traced too; another name, "
                           f'as in p:{event.name}_2, tells their lines apart')
                events = made.setdefault(f'{event.system}/{event.name}', [])
                if events and not event.definitions:
                    refuse(f'the event {event.system}/{event.name} is traced already')
                if events and signature(events[0]) != signature(event):
                    refuse(f"the event '{event.name}' has several places: they need the same kind, names, "
                           'types, formats and filter')
                events.append(event)
            for text in filter(None, missing):
                machine.note(text)
    whole = [events[0] if len(events) == 1 else assembled(events, machine.seal * bool(events[0].seal))
             for events in made.values()]
    returning = {event.program.path: event.program for event in whole
                 if event.program and event.definitions[0].letter[0] in 'rR'}
    for path, program in returning.items():
        for hazard in program.hazards:
            machine.note(f'{path} has {hazard}')
    return with_begins(in_tree(whole) if machine.tree else whole)


def with_begins(events: Sequence[Event]) -> list[Event]:
    """The events with what $dur(NAME) of others counts from."""
    begins: dict[int, list[Begin]] = {}
    for event in events:
        for field in event.pair.fields if event.pair else ():
            if not field.since:
                continue
            with located(event.probe.text, event.probe.source, field.at):
                if event.role:
                    refuse('with -t calls have their own times: $dur(NAME) is for a run without it')
                for i in beginnings(event, field.since, events):
                    there = tuple(there for _, there in field.since.fields)
                    begin = Begin(event.name, field.name, there, event.counted)
                    begins.setdefault(i, []).append(begin)
    return [event._replace(begins=tuple(begins.get(i, ()))) for i, event in enumerate(events)]


def beginnings(event: Event, since: Since, events: Sequence[Event]) -> list[int]:
    """The numbers of the events that a time counts from, whose fields have the types of those here."""
    found = [i for i, other in enumerate(events) if since.event in (other.name, other.probe.event)
             and not (other.pair and not other.pair.ends)]
    if not found:
        names = [other.probe.event or other.name for other in events]
        refuse(f"no other line has the name '{since.event}'{near(since.event, names)}: "
               f'p:{since.event} FUNC gives it to one')
    for here, there in since.fields:
        own = kinds_of(event, here)
        for other in (events[i] for i in found):
            if kinds_of(other, there) != own:
                refuse(f"'{here}' and '{there}' of {since.event} differ in type, {' '.join(own)} and "
                       f"{' '.join(kinds_of(other, there))}; a type behind one of them makes them alike")
    return found


def kinds_of(event: Event, name: str) -> list[str]:
    """The types of a field of an event, or of the record itself: what can be compared is alike in it."""
    fields = event.every_field
    found = [field for field in fields if field.name == name and field.when != 'dur']
    if not found and name in ('common_pid', 'cpu'):
        return [name]
    if not found:
        names = [field.name for field in fields]
        refuse(f"the line of {event.name} fetches no '{name}'{near(name, names)}: "
               'it is named there in front of h: and f:')
    return [re.sub(r'^x(?=\d)', 'u', fetch.kind or 'string') for fetch in found[0].fetches]


def missing_note(field: Field) -> str:
    """What is not shown of a struct."""
    names = field.format.missing if field.format else ()
    why = 'each more than one value, or without room'
    return f"'{field.name}' is shown without {first_of(names, 12)}: {why}" if names else ''


def unended_notes(event: Event) -> Iterator[str]:
    """What is to be known of patterns for text in an array: where it has no NUL, the kernel reads on."""
    rooms = {field.name: sized(field.format) for field in event.fields
             if field.format and field.format.word.startswith('cut(')}
    for compare in comparisons(event.probe.filter):
        start, room = re.split(r'[*?[]', compare.value)[0], rooms.get(compare.field, 0)
        decided = {start: room - 1, f'{start}*': room}.get(compare.value, -1)   # how long it may be, to be
        if room and compare.op == '~' and len(encoded(start)) > decided:        # found in the array alone
            yield (f"'{compare.field}' is an array of {room} bytes: one that is full, without a NUL, is "
                   'compared with what is behind it too (its beginning, ~"abc*", is not)')


AFTER = regex(r'(after|both)\((\w+)\)')


def with_entries(probes: Sequence[Probe], tree: bool) -> list[Probe]:
    """The probes; of those that -S prints as an entry and its return, NAME{+NAME}:after(ENTRY) behind #!, one
    that has both. both(ENTRY) is the same, but of a tree, where the one is the entry."""
    named = {(probe.event, probe.place.text): probe for probe in probes}
    made, entries = [], set()
    for probe in probes:
        own = tuple(words for words in probe.words if not AFTER.fullmatch(words[1]))
        for names, word, at in [words for words in probe.words if AFTER.fullmatch(words[1])]:
            entry = named.get((word.partition('(')[2][:-1], probe.place.text))
            if not entry or entry.kind not in 'pP' or probe.kind not in 'rR':
                raise InputError(f"'{word}' names no line that is an entry of this function", at, probe.text,
                                 probe.source)
            entries.add(entry)
            if tree and word.startswith('both'):
                probe = entry._replace(back=probe._replace(words=own))
                continue
            args = {arg.name: arg for arg in (*entry.args, *probe.args)}
            time = Arg('', '', Expr('special', at, '$dur'), '', at, at)
            shown = [args.get(name, time._replace(name=name)) for name in names]
            parts = [arg for arg in args.values() if arg not in shown]      # of fields of several fetch-args
            probe = probe._replace(args=(*shown, *parts), words=(*entry.words, *own), entry=entry)
        made.append(probe)
    return [probe for probe in made if probe not in entries]


@contextlib.contextmanager
def finite() -> Iterator[None]:
    """A line is never nested so deeply (DEEPEST), no C type is in itself; one in a damaged file may be."""
    try:
        yield
    except RecursionError:
        raise DebugInfoError('the debug information is damaged: it has a type that contains itself') from None


def signature(event: Event) -> object:
    """What the places of an event have in common: kind, names and types of arguments, how they are shown."""
    definition, part = event.definitions[0], (event.pair is not None, event.role)
    return definition.letter, [(name, fetch.kind) for name, fetch in definition.args], event.annotation, part


def assembled(events: Sequence[Event], seal: int) -> Event:
    """One event with the places of all; the guards of its fields and the seal are fetched unseen at each."""
    first = events[0]
    taken = {name for name, _ in first.definitions[0].args}
    names: dict[tuple[Fetch, ...], str] = {}            # of what is fetched at each place
    fields = []
    for same in zip(*(event.fields for event in events)):
        guards = []
        for column in guard_columns([field.guards for field in same]):
            guard = next(filter(None, column))
            good = Fetch(f'\\{guard.low}', kind=guard.fetch.kind)   # every place has the same arguments
            fetches = tuple(own.fetch if own else good for own in column)
            names[fetches] = names.get(fetches) or fresh_name('hdr' if guard.word else 'ptr', taken)
            guards.append(guard._replace(name=names[fetches]))
        fields.append(same[0]._replace(guards=tuple(guards)))
    pair = first.pair
    if pair and (pair.entry or not pair.ends):
        pair = pair._replace(stack=fresh_name('sp', taken))
        names[(Fetch('$stack', kind=f'x{first.arch.bits}'),) * len(events)] = pair.stack
    if first.next_task and all(event.next_task for event in events):
        names[(first.next_task,) * len(events)] = fresh_name('next', taken)
    end = fresh_name('end', taken) if seal else ''
    if seal:
        names[(Fetch(f'\\{seal}', kind='u32'),) * len(events)] = end
    unseen = [tuple((name, fetches[i]) for fetches, name in names.items()) for i in range(len(events))]
    definitions = dict.fromkeys(e.definitions[0]._replace(unseen=own) for e, own in zip(events, unseen))
    filter_ = FilterText(fields, {}).text(first.probe.filter) if first.probe.filter else ''
    limits(fields, next(iter(definitions)), filter_)
    return first._replace(definitions=tuple(definitions), fields=tuple(fields), filter=filter_, pair=pair,
                          seal=f' {end}={seal}' if seal else '', loop=any(event.loop for event in events))


def guard_columns(rows: Sequence[Sequence[Guard]]) -> list[list[Guard | None]]:
    """The guards of a field at several places side by side, from the last pointer on; None where a place has
    none. Where neighbours want other numbers, each place has columns of its own."""
    longest = max(map(len, rows))
    columns: list[list[Guard | None]] = [
        list(column) for column in zip(*([None] * (longest - len(row)) + [*row] for row in rows))]
    alike = [{guard._replace(fetch=Fetch('', kind=guard.fetch.kind), name='') for guard in column if guard}
             for column in columns]
    if all(len(guards) == 1 for guards in alike):
        return columns
    return [[guard if other is row else None for other in rows] for row in rows for guard in row]


def fresh_name(stem: str, taken: set[str]) -> str:
    """A name that begins so and is not taken, and now is."""
    name = next(name for name in (f'{stem}{i}' for i in itertools.count(1)) if name not in taken)
    taken.add(name)
    return name


def probe_events(probe: Probe, name: str, machine: Machine) -> list[Event]:
    """The events of one line, one a place; of a pattern each function has a name of its own. Places at which
    an argument is not available are left out with a note, unless none remains."""
    if probe.kind == 'e':
        found = matching_events(probe.place, machine)
        names = event_names(name, {each: each.partition('/')[2] for each in found})
        return [kernel_event(probe, names[each] if probe.place.glob else name, each, machine)
                for each in found]
    targets = locate(probe, machine)
    names = event_names(name, {target.name: target.name for target in targets})
    several = len({target.name for target in targets}) > 1 if probe.place.object else probe.place.glob
    events: list[Event] = []
    refusals: list[tuple[Target, InputError]] = []
    for target in targets:
        try:
            events += target_events(probe, names[target.name] if several else name, target, machine)
        except InputError as error:
            refusals.append((target, error))
    if refusals:
        count, (target, refusal) = len(targets), refusals[0]
        if not events:
            more = f' (the first of {count} places, {place_or_copy(target)}; the others have none either)'
            raise InputError(refusal.message + more * (count > 1), refusal.at)
        left = first_of([target.name if several else place_or_copy(target) for target, _ in refusals], 5)
        machine.note(f"{len(refusals)} of the {count} places of '{probe.place.text}' are left out ({left}): "
                     f'{refusal.message}')
    return named_by_kind(events)


def event_names(stem: str, wanted: Mapping[str, str]) -> dict[str, str]:
    """Names for the events of all that a pattern matches, made of these texts, each another one. The kernel
    takes 63 characters, of which some are left for what stands behind (f0_in)."""
    made: dict[str, str] = {}
    for each, text in wanted.items():
        whole = f"{stem}_{re.sub(r'[^A-Za-z0-9_]+', '_', text)}"
        names = itertools.chain([whole[:58]], (f'{whole[:54]}_{i}' for i in itertools.count(2)))
        made[each] = next(name for name in names if name not in made.values())
    return made


def place_or_copy(target: Target) -> str:
    """The name of a copy with a symbol of its own, by which it can be traced; else the place, in a program
    behind the function that it is in."""
    module = target.module
    symbol = module.symbols.symbol_at(target.address) if isinstance(module, Program) else None
    if not symbol:
        return target.place
    inside = f'+{target.address - symbol.address:#x}'
    return symbol.name + ('' if is_changed_copy(symbol.name) else inside)


def named_by_kind(events: Sequence[Event]) -> list[Event]:
    """The events; one that differs in its arguments from others of its name is renamed, since the kernel
    would not take them for one (a USDT probe may have an operand of four bytes here and of eight there)."""
    made: dict[str, Event] = {}
    renamed: list[Event] = []
    for event in events:
        if event.pair and event.pair.entry:             # it stands behind its entry
            entry = renamed[-1].name
            annotation = event.annotation.replace(f'({event.pair.entry})', f'({entry})')
            event = event._replace(pair=event.pair._replace(entry=entry), annotation=annotation)
        names = itertools.chain([event.name], (f'{event.name[:60]}_{i}' for i in itertools.count(2)))
        name = next(name for name in names if signature(made.setdefault(name, event)) == signature(event))
        definitions = tuple(definition._replace(name=name) for definition in event.definitions)
        renamed.append(event._replace(name=name, definitions=definitions))
    return renamed


def target_events(probe: Probe, name: str, target: Target, machine: Machine) -> list[Event]:
    """The event of a line at one place; before a return that needs something of its call the entry's."""
    hints = syscall_hint(probe, target, machine.kernel.arch), convention_note(probe, target)
    for hint in filter(None, hints):
        machine.note(hint)
    place, resolver = probe.place, resolver_at(target, probe, machine)
    probe = with_every(probe, resolver_in(target) if probe.kind in 'rR' else resolver, machine)
    letter = 'P' if probe.kind == 'u' else probe.kind + probe.maxactive
    if wants_pair(probe, target, machine):
        events = pair_events(probe, name, letter, target, machine)
    elif machine.tree and probe.kind in 'pP' and target.whole and bears_return(target, machine):
        events = call_events(probe, name, target, machine)
    else:
        if machine.tree and probe.kind in 'pP' and place.offset is place.line is None and not target.whole:
            name = f'{name[:58]}_copy'                  # beside the calls of the function's own code
        pair = Pair() if machine.tree and probe.kind not in 'tu' else None
        events = [own_event(probe, name, letter, target.place, resolver, machine, pair)]
    program = target.module if isinstance(target.module, Program) else None
    events = [event._replace(program=program, label=target.name, loop=target.loop) for event in events]
    return with_roles(events) if machine.tree else events


def with_every(probe: Probe, resolver: Resolver, machine: Machine) -> Probe:
    """The line with the parameters in the place of '*'; a note names those that cannot be fetched."""
    args = []
    for arg in probe.args:
        for expr in resolver.every(arg.at) if arg.expr.kind == 'every' else [arg.expr]:
            own = arg._replace(expr=expr)
            try:
                if expr is not arg.expr:
                    resolver.field(own)
                args.append(own)
            except InputError as refusal:
                place = '' if resolver.entry else f' at {resolver.target.place}'
                machine.note(f"'*' leaves '{expr.name}' out{place}: {refusal.message}")
    return probe._replace(args=tuple(args))


def resolver_at(target: Target, probe: Probe, machine: Machine) -> Resolver:
    """The Resolver of expressions at a target."""
    return resolver_in(target, {'r': 'r', 'R': 'r', 't': 't'}.get(probe.kind, 'p'), machine.abilities)


def matching_events(place: Place, machine: Machine) -> list[str]:
    """The SYSTEM/EVENT of an e line, or all that match."""
    wanted = f'{place.system}/{place.function}'
    if not place.system:
        names = list(machine.event_names())
        if any(name.startswith(f'{place.function}/') for name in names):
            refuse(f"{NO_SYSTEM}; all of that system's are e {place.function}/*")
        same = [name for name in names if fnmatch.fnmatchcase(name, f'*{wanted}')]
        refuse(NO_SYSTEM + near(same[0] if same else place.function, same or names))
    if not place.glob:
        known = machine.event_names()
        systems = {name.partition('/')[0] for name in known}    # of a vmlinux; its modules may have more
        missing = machine.read('available_events') or place.system in systems and wanted not in known
        if missing and not machine.read(f'events/{wanted}/format'):
            refuse(f"no event '{wanted}'{near(wanted, known)}")
        return [wanted]
    found = sorted(name for name in machine.event_names() if fnmatch.fnmatchcase(name, wanted))
    if not found:
        refuse(f"no event matches '{wanted}'")
    return capped(found, wanted, 'events', machine)


def fields_of_event(name: str, machine: Machine) -> dict[str, EventField] | None:
    """The fields of an event: as its format file tells, else as the struct of its class does."""
    text, fields = event_format(name, machine), {}
    if text:
        return with_printed(name, event_fields(text, machine.kernel.arch), text)
    members = event_members(name, machine)
    for field, member in members or ():
        type_ = member.type()
        string = isinstance(type_, Array) and is_char(type_.element())
        fields[field] = EventField(field, type_ if field == member.name else Void(), string)
    return None if members is None else with_printed(name, fields, *print_format(name, machine.kernel))


def event_format(name: str, machine: Machine) -> str:
    """The text of an event's format file; of a system call's, where it cannot be read, the same from its
    struct syscall_metadata in the vmlinux (kernel/trace/trace_syscalls.c, syscall_enter_define_fields)."""
    text, file = machine.read(f'events/{name}/format'), machine.kernel.file
    call = re.fullmatch(r'syscalls/sys_(enter|exit)(_\w+)', name)
    found = file.symbols(f'__syscall_meta_{call[2]}') if call and file else []
    struct_ = machine.kernel.named('struct', 'syscall_metadata') if found and not text else None
    if not call or not file or not isinstance(struct_, Struct):
        return text
    word = file.arch.word

    def number(name: str, size: int = 0) -> int:
        member = find_member(struct_, name)
        return number_at(file, found[0].address + member.bit // 8, size) if member else 0

    def texts(name: str) -> list[str]:
        places = range(0, number('nb_args', 4) * word, word)
        return [text_in(file, number_at(file, number(name) + at)) for at in places]
    fields = [('int', '__syscall_nr', 8, 4, 1)]
    if call[1] == 'exit':
        fields += [('long', 'ret', 8 + word, word, 1)]
    else:
        fields += [(type_, arg, 8 + word * i, word, 0)
                   for i, (type_, arg) in enumerate(zip(texts('types'), texts('args')), 1)]
    if not all(name for _, name, *_ in fields):         # a relocatable kernel's are filled in as it boots
        return ''
    return '\n'.join('field:{} {};\toffset:{};\tsize:{};\tsigned:{};'.format(*field) for field in fields)


RELATIVE = {'x86_64': 8, 'aarch64': 1027, 'riscv64': 3, 's390x': 12, 'ppc64le': 22, 'loongarch64': 3}  # elf.h


@functools.lru_cache(2)
def relocated(file: Executable) -> Mapping[int, int]:
    """The words, by their link-time addresses, that a relocatable kernel fills in as it boots."""
    kind, entry = RELATIVE.get(file.arch.name), struct.Struct(file.mark + 'QQQ')
    data = file.contents('.rela.dyn') if kind else b''
    with reading(file.path):
        return {place: addend for place, info, addend in entry.iter_unpack(data) if info == kind}


def number_at(file: Executable, address: int, size: int = 0) -> int:
    """The number of so many bytes (0: a word) at a link-time address, when the kernel has booted."""
    if size in (0, file.arch.word) and address in relocated(file):
        return relocated(file)[address]
    data = file.bytes_at(address, size or file.arch.word)
    return int.from_bytes(data, file.arch.order)  # type: ignore[arg-type]


def text_in(file: Executable, address: int) -> str:
    """The text at a link-time address."""
    return file.bytes_at(address, 64).split(b'\0')[0].decode(errors='replace')


INTS = ('int', 'pid_t', 'clockid_t', 'const clockid_t', 'timer_t', 'key_t', 'key_serial_t', 'mqd_t', 'rwf_t')


def event_fields(text: str, arch: Arch) -> dict[str, EventField]:
    """The fields in the text of a format file (Documentation/trace/events.rst), the common ones left out."""
    fields = {}
    line = r'field:([^;]+);\s*offset:\d+;\s*size:(\d+);\s*signed:(\d);'
    for declaration, size, signed in re.findall(line, text):
        parts = re.fullmatch(r'(.*?)\s*\b(\w+)\s*((?:\[.*\])?)', declaration.strip())
        words, name, array = parts.groups() if parts else ('', declaration, '')
        if name.startswith('common_'):
            continue
        several = bool(array or '[' in words)
        string = 'char' in words and 'unsigned' not in words and (several or '*' in words)
        unsigned = words in INTS and not several and signed == '0'      # an argument of a system call
        type_: Type = Int('int', 4, True) if unsigned else Int(words, int(size), signed == '1')
        if several:
            length = re.fullmatch(r'\[(\d+)\]', array)
            type_ = Array(lambda: Int('', 8, False), int(length[1]) if length else None)
        elif re.fullmatch(r'(?:const )?(struct \w+) \*', words):
            type_ = Int('', arch.word, False)
        elif '*' in words:
            type_ = Pointer(arch.word, lambda: Void())
        fields[name] = EventField(name, type_, string, unsigned)
    return fields


TABLE = regex(r'__print_(?P<how>symbolic|flags)(?:_u64)?\((?P<what>[^,]*),(?:\s*"[^"]*",)?'
              r'(?P<rows>(?:\s*{(?:[^{}"]|"[^"]*")*}\s*,?)+)')
CAST_OR_SUFFIX = regex(r'\(\s*[a-z_][\w ]*\)(?=\s*[\w(~])|\b(0[xX][\da-fA-F]+|\d+)[uUlL]+\b')


def with_printed(event: str, fields: dict[str, EventField], text: str,
                 named: Callable[[str], int] = whole_number) -> dict[str, EventField]:
    """The fields of an event; those that its print fmt shows by name, and always by the same table
    (__print_symbolic and __print_flags, include/trace/stages), with enumerations as their types. `named` has
    the numbers of names in the tables."""
    tables, record = list(TABLE.finditer(text)), re.compile(r'REC->(\w+)')
    read = collections.Counter(name for table in tables for name in set(record.findall(table['what'])))
    for table in tables:
        name = CAST_OR_SUFFIX.sub('', table['what']).strip().replace('REC->', '', 1)
        field, before = fields.get(name), text[:table.start()].rpartition(',')[2]
        always = re.fullmatch(r'\s*|[^:?]*\?\s*', before) and set(record.findall(before)) <= {name}
        if field and isinstance(field.type, (Int, Enum)) and always and read[name] == 1:
            size, signed = field.type.size, field.type.signed
            with contextlib.suppress(ValueError):       # of a name in the place of a number
                rows = functools.partial(tuple, printed_rows(table['rows'], signed, named))
                type_ = Enum(f'{event}.{name}', size, signed, rows, table['how'] == 'flags')
                fields[name] = field._replace(type=type_)
    return fields


def printed_rows(text: str, signed: bool, named: Callable[[str], int]) -> list[tuple[str, int]]:
    """The names and their numbers, '{ 1 << 3, "NAME" }, ...', for a field that is signed or not."""
    rows = ((label, computed(CAST_OR_SUFFIX.sub(r'\1', value), named))
            for value, label in re.findall(r'{([^"]*),\s*"([^"]*)"\s*}', text))
    return [(label, value if signed else value % (1 << 64)) for label, value in rows]


def print_format(event: str, info: Module) -> tuple[str, Callable[[str], int]]:
    """The text of an event's print fmt in a vmlinux, '' where that cannot be told, and the numbers of the
    names in it (struct trace_eval_map, include/linux/tracepoint-defs.h: system, name, number)."""
    file, (_, address) = info.file, event_calls(info).get(event, ('', 0))
    symbol = file.symbol_at(address, False) if file and address else None
    if not file or not symbol:
        return '', whole_number

    def named(name: str) -> int:
        maps = {number_at(file, pointer.address) for pointer in file.symbols(f'TRACE_SYSTEM_{name}')}
        numbers = {number_at(file, each + 2 * file.arch.word) for each in maps}
        return numbers.pop() if len(numbers) == 1 else whole_number(name)
    return file.bytes_at(address, symbol.size).decode(errors='replace'), named


def printed_type(machine: Machine, name: str) -> Type | None:
    """The type of a field of an event, 'SYSTEM/EVENT.FIELD', if it is printed by name."""
    event, _, field = name.partition('.')
    known = (fields_of_event(event, machine) or {}).get(field)
    return known.type if known and isinstance(known.type, Enum) else None


def event_members(name: str, machine: Machine) -> list[tuple[str, Member]] | None:
    """The fields of an event, by name, from the struct that include/trace/stages makes of its class; a member
    called __data_loc_NAME only says where the field is."""
    class_, _ = event_calls(machine.kernel).get(name, (name.rpartition('/')[2], 0))
    found = machine.kernel.named('struct', f'trace_event_raw_{class_}')
    if not isinstance(found, Struct):
        return None
    members = [member for member in found.members() if member.name not in ('ent', '__data')]
    return [(re.sub('^__data_loc_', '', member.name), member) for member in members]


@functools.lru_cache(2)
def event_calls(info: Module) -> dict[str, tuple[str, int]]:
    """SYSTEM/EVENT, its class and where its print fmt is, from a vmlinux: struct trace_event_call
    (include/linux/trace_events.h) has the event's name or its tracepoint, and its class, which has the
    system's name."""
    vmlinux, call = info.file, info.named('struct', 'trace_event_call')
    if not vmlinux or not isinstance(call, Struct):
        return {}
    class_, tracepoint, text = (find_member(call, name) for name in ('class', 'tp', 'print_fmt'))
    if not class_ or not tracepoint or not text:
        return {}

    def named(prefix: str) -> dict[int, str]:
        symbols = vmlinux.matching(lambda name: name.startswith(prefix))
        return {symbol.address: symbol.name[len(prefix):] for symbol in symbols}

    word = functools.partial(number_at, vmlinux)
    classes, tracepoints_ = named('event_class_'), named('__tracepoint_')
    found = {}
    for address in named('event_'):
        at, name = word(address + class_.bit // 8), word(address + tracepoint.bit // 8)
        if at in classes:
            own = tracepoints_.get(name) or text_in(vmlinux, name)
            found[f'{text_in(vmlinux, word(at))}/{own}'] = classes[at], word(address + text.bit // 8)
    return {name: call for name, call in found.items() if re.fullmatch(r'[\w-]+/\w+', name)}


def kernel_event(probe: Probe, name: str, event: str, machine: Machine) -> Event:
    """A trace event as it is, or with arguments an event probe on it."""
    fields = fields_of_event(event, machine)
    system, _, own = event.partition('/')
    probe = with_every(probe, InEvent(machine.kernel, fields), machine)
    if probe.args or not all(of_record(key, fields or ()) for key in probe.keys or ()):
        made = own_event(probe, name, 'e', event, InEvent(machine.kernel, fields), machine)
        return made._replace(label=own)
    for each in comparisons(probe.filter):
        if each.arg:
            refuse('an event as it is can be filtered by its fields alone; with an argument before f: (then '
                   'it is an event probe) expressions can stand here', each.at)
    filter_ = FilterText((), fields).text(probe.filter) if probe.filter else ''
    columns = None if probe.keys is None else tuple(column((), key, -1) for key in probe.keys)
    annotation = annotation_of((), probe, columns)
    return Event(own, system, (), (), '', filter_, annotation, probe, machine.kernel.arch, columns=columns)


def part_names(field: Field) -> tuple[str, ...]:
    """The names a field's parts are fetched under."""
    return (field.name, *(f'{field.name}_{i}' for i in range(2, len(field.fetches) + 1)))


def own_event(probe: Probe, name: str, letter: str, place: str, resolver: Resolver, machine: Machine,
              pair: Pair | None = None) -> Event:
    """An event of ours: fields in the user's order, then what is fetched unseen."""
    probe, fields, columns = looked_up(probe, resolver)
    own, in_kernel = fields, probe.filter
    if any(field.since for field in fields):
        in_kernel, condition = divided(probe.filter, fields)
        own, pair = [field for field in fields if not field.when], Pair('', tuple(fields), condition)
    return defined(probe._replace(filter=in_kernel), name, letter, place, own, resolver, machine,
                   annotation=annotation_of(fields, probe, columns), columns=columns, pair=pair,
                   next_task=next_task(resolver, place) if machine.live else None)


def next_task(resolver: Resolver, place: str) -> Fetch | None:
    """What tells, of a probe of sched_switch, whether surftrace itself is next (see of_others)."""
    if place == 'sched/sched_switch':
        return Fetch('$next_pid', kind='s32')
    if isinstance(resolver, InTracepoint) and place == 'sched_switch':
        with contextlib.suppress(InputError):           # nothing tells its arguments
            return resolver.field(Parser(TOKENS, 'next->pid', 0, 9).arg()).fetches[0]
    return None


def looked_up(probe: Probe, resolver: Resolver) -> tuple[Probe, list[Field], tuple[Column, ...] | None]:
    """A line whose filter has only names, what is fetched for it, and what it is counted by."""
    fields = annotated([resolver.field(arg) for arg in probe.args], probe, resolver)
    hidden = [field for field in fields if field.hidden]
    fields, keys = with_keys([field for field in fields if not field.hidden], probe, resolver)
    probe, fields = with_hidden(unique([*fields, *hidden], probe), probe, resolver)
    if probe.keys is None:
        return probe, fields, None
    return probe, fields, tuple(map(functools.partial(column, fields), probe.keys, keys))


def with_hidden(fields: list[Field], probe: Probe, resolver: Resolver) -> tuple[Probe, list[Field]]:
    """The line with what its filter compares by names, and the fields with what is fetched for that alone."""
    names: dict[str, str] = {}                          # by the left side
    for compare in unnamed(probe.filter, [field.name for field in fields]):
        if compare.field in names or not compare.arg and not is_here(compare, resolver):
            continue
        with located(at=compare.at):
            field = resolver.field(expression(compare))._replace(at=compare.at)
        if field.kind == 'symbol':                      # compared by its number
            field = field._replace(fetches=(field.fetches[0]._replace(kind=f'x{resolver.arch.bits}'),))
        same = [other.name for other in fields if other.is_as(field)]
        if not same:
            fields = unique([*fields, field if field.when == 'dur' else field.unshown()], probe)
        names[compare.field] = (same or [fields[-1].name])[0]
    if names and probe.filter:
        filter_ = mapped(probe.filter, lambda each: each._replace(field=names.get(each.field, each.field)))
        probe = probe._replace(filter=filter_)
    return probe, hidden_last(fields)


def hidden_last(fields: Iterable[Field]) -> list[Field]:
    """The fields, those that are not shown behind the others."""
    return sorted(fields, key=operator.attrgetter('hidden'))


def unnamed(filter_: Filter | None, names: Container[str]) -> Iterator[Compare]:
    """The comparisons in a filter whose left side is none of those names."""
    return (each for each in comparisons(filter_) if each.arg or each.field.split('.')[0] not in names)


def expression(compare: Compare) -> Arg:
    """The left side of a comparison as an argument."""
    at = compare.at
    return compare.arg or Arg('', '', Expr('name', at, compare.field), '', at, at)


def is_here(compare: Compare, resolver: Resolver) -> bool:
    """Tell whether a name is a parameter, variable or event's field; refuse one that every event has too."""
    name, function = compare.field, resolver.function
    variables = [*function.parameters, *function.locals] if function else []
    here = name in (resolver.fields or [variable.name for variable in variables])
    if here and name in GENERIC_FIELDS:
        try:
            resolver.field(expression(compare))
        except InputError:
            return False
        refuse(f"'{name}' is something every event has, and a variable here: {name.upper()} means the first; "
               'an argument before f: with another name has the second', compare.at)
    return here


def mapped(filter_: Filter, change: Callable[[Compare], Compare]) -> Filter:
    """The filter with each comparison changed."""
    if isinstance(filter_, Not):
        return Not(mapped(filter_.inner, change))
    if isinstance(filter_, Junction):
        return Junction(filter_.op, tuple(mapped(part, change) for part in filter_.parts))
    return change(filter_)


def defined(probe: Probe, name: str, letter: str, place: str, fields: Sequence[Field], resolver: Resolver,
            machine: Machine, **more: Any) -> Event:
    """An event with its definition at one place. Behind strings, but for an event probe's, stands the seal,
    by which the end of a record is told from a text that imitates it."""
    args = tuple(pair for field in fields for pair in zip(part_names(field), field.fetches))
    event = Event(name, '', (EventDef(letter, name, place, args),), tuple(fields), '', '', arch=resolver.arch,
                  probe=probe, **more)
    ends_in_doubt = letter != 'e' and any(is_string(fetch) for _, fetch in args)
    return assembled([event], machine.seal * ends_in_doubt)


# Entries and returns as pairs


def wants_pair(probe: Probe, target: Target, machine: Machine) -> bool:
    """Tell whether a line wants what only its function's entry knows: the time since, a parameter."""
    timed = wants_time(probe)
    if probe.kind not in 'rR':
        if timed:
            refuse('$dur is the time a call takes: a return has it (r, R); $dur(NAME) is the time since the '
                   'event of another line', timed)
        return False
    if timed or probe.entry:
        return True
    back, entry = resolver_at(target, probe, machine), resolver_in(target, 'p', machine.abilities)
    names = {*GENERIC_FIELDS}                           # what a filter means by a name, as far as is known

    def only_at_entry(arg: Arg) -> bool:
        try:
            names.add(back.field(arg).name)
        except InputError:
            with contextlib.suppress(InputError):
                entry.field(arg)
                return True
        return False
    args = [arg for arg in probe.all_args if arg.expr.kind != 'name' or arg.expr.name not in OF_RECORD]
    return any(map(only_at_entry, args)) or any(
        only_at_entry(expression(compare)) for compare in unnamed(probe.filter, names))


def wants_time(probe: Probe) -> Span | None:
    """Where a line names the time of a call, if it does."""
    args = (*probe.all_args, *map(expression, comparisons(probe.filter)))
    exprs = [part for arg in args for part in arg.expr.parts()]
    named = {arg.name or 'dur' * (arg.expr.kind == 'since') for arg in probe.all_args}
    spans = [expr.at for expr in exprs if (expr.kind, expr.name) == ('special', '$dur')]
    spans += [each.at for each in comparisons(probe.filter) if each.field == 'dur' and 'dur' not in named]
    return spans[0] if spans else None


def comparisons(filter_: Filter | None) -> Iterator[Compare]:
    """All in a filter."""
    if isinstance(filter_, Compare):
        yield filter_
    elif isinstance(filter_, Not):
        yield from comparisons(filter_.inner)
    elif filter_:
        for part in filter_.parts:
            yield from comparisons(part)


def pair_events(probe: Probe, name: str, letter: str, target: Target, machine: Machine) -> list[Event]:
    """The event of the entries, then that of the returns."""
    at_entry = frozenset(arg.name for arg in probe.entry.args) if probe.entry else frozenset()
    known = machine.abilities - {'$arg'}
    resolver = InPair(resolver_in(target, 'p', known), resolver_in(target, 'r', known), at_entry)
    probe, fields, columns = looked_up(probe, resolver)
    if wants_time(probe) and not any(field.when == 'dur' for field in fields):
        fields = hidden_last(unique([*fields, TIME._replace(at=(0, 1))], probe))
    in_kernel, condition = divided(probe.filter, fields)
    entry_name, entry_letter = f'{name[:60]}_in', 'P' if letter == 'R' else 'p'
    of_entry, own = ([field for field in fields if field.when == when] for when in ('entry', ''))
    entry = defined(probe._replace(filter=None), entry_name, entry_letter, target.place, of_entry, resolver,
                    machine, pair=Pair(), annotation=annotation_of(of_entry, probe, None, None))
    annotation = annotation_of([field for field in fields if field.when != 'entry'], probe, columns,
                               link_to_entry(fields, 'after', entry_name))
    event = defined(probe._replace(filter=in_kernel), name, letter, target.place, own, resolver, machine,
                    columns=columns, pair=Pair(entry_name, tuple(fields), condition), annotation=annotation)
    return [entry, event]


def link_to_entry(fields: Sequence[Field], word: str, entry_name: str) -> str:
    """The word behind #! at a return by which it finds its entry."""
    return f"{'+'.join(field.name for field in fields)}:{word}({entry_name})"


TIME_UNITS = {'ns': 1, 'us': 1000, 'ms': 1000000, 's': 1000000000}


def divided(filter_: Filter | None, fields: Sequence[Field]) -> tuple[Filter | None, Filter | None]:
    """The part of a return's filter that the kernel judges, and the part (joined with && at the top) that
    needs what only the pair has. Never is an entry filtered: its return would pair with an older one."""
    parts: tuple[Filter, ...] = (filter_,) if filter_ else ()
    if isinstance(filter_, Junction) and filter_.op == '&&':
        parts = filter_.parts
    own = {field.name for field in fields if not field.when}
    known = named_in(fields)
    kernel, ours = [], []
    for part in parts:
        names = [each.field.split('.')[0] for each in comparisons(part)]
        if all(name in own or name not in known for name in names):
            kernel.append(part)
        else:
            ours.append(judged_here(part, known, (
                "'{}' is no argument of this line: only those, common_pid and cpu can be compared in one "
                'part with what is known of the call (parts are joined with &&)')))

    def joined(parts: Sequence[Filter]) -> Filter | None:
        return Junction('&&', tuple(parts)) if len(parts) > 1 else next(iter(parts), None)
    return joined(kernel), joined(ours)


def judged_here(filter_: Filter, known: Mapping[str, Field], refusal: str) -> Filter:
    """A filter that surftrace judges, by these fields and what a record itself says exactly; times in ns."""
    for each in comparisons(filter_):
        if each.field not in known and each.field not in ('common_pid', 'cpu'):
            way = '; comm=$comm in front of f: fetches it' * (each.field == 'comm')
            refuse(refusal.format(each.field) + way, each.at)
        field = known.get(each.field)
        if field and field.kind == 'symbol':
            refuse(f"'{field.name}' comes as a name and no number: {field.name}=...:x64 fetches that",
                   each.at)
    filter_ = mapped(filter_, functools.partial(in_nanoseconds, known))
    FilterText([field._replace(name=name) for name, field in known.items()], {}).text(filter_)
    return filter_


def condition_of_call(filter_: Filter | None, fields: Sequence[Field]) -> Filter | None:
    """The filter of a whole call in a tree."""
    known = {field.name: field for field in fields}
    return filter_ and judged_here(filter_, known, (
        'with -t a filter takes or leaves whole calls, by what the line fetches at their entry, common_pid '
        "and cpu: '{}' is none of that"))


def named_in(fields: Sequence[Field]) -> dict[str, Field]:
    """The fields of a pair by the names that a filter has for them: 'dur' is also the first time."""
    times = [field for field in fields if field.when == 'dur']
    return {**dict(zip(['dur'], times)), **{field.name: field for field in fields}}


def in_nanoseconds(known: Mapping[str, Field], compare: Compare) -> Compare:
    """The comparison of a time with a number."""
    field = known.get(compare.field)
    if not field or field.when != 'dur':
        return compare
    time = re.fullmatch(r'(\d{1,9})(?:\.(\d{1,9}))?(ns|us|ms|s)', compare.value)
    if not time or compare.op in ('&', '~'):
        refuse('a time is compared with a number and its unit: ns, us, ms or s', compare.value_at)
    billionths = int(time[1] + (time[2] or '').ljust(9, '0'))       # not as a float: 1.001ms is 1001us
    return compare._replace(value=str(billionths * TIME_UNITS[time[3]] // 10**9))


def annotation_of(fields: Sequence[Field], probe: Probe, columns: Sequence[Column] | None,
                  entry: str | None = '') -> str:
    """What -S adds: words behind #!, what is counted by, the filter as written (None: a return has it)."""
    words = [f"{'+'.join(part_names(field))}:{','.join(field.words)}" for field in fields if field.words]
    words += [entry] if entry else []
    words += probe.stacks
    words = [f'={word}' if word[:2] in ('f:', 'h:') else word for word in words]    # not f: or h:
    counted = '' if columns is None else 'h:' + ' '.join(column.source() for column in columns)
    text = probe.text
    for each in reversed(list(comparisons(probe.filter))):      # expressions have names by now
        text = text[:each.at[0]] + each.field + text[each.at[1]:]
    filter_ = split_line(text, probe.place.at[1]).source(text, 'filter')
    return ' '.join(filter(None, [*words, counted, filter_ * (entry is not None)]))


# Calls in a tree


def call_events(probe: Probe, name: str, target: Target, machine: Machine) -> list[Event]:
    """The event of the entries, then that of the returns. A filter takes calls: it is judged here."""
    resolver, back = resolver_at(target, probe, machine), probe.back or probe
    named, of_entry, _ = looked_up(probe._replace(filter=back.filter), resolver)
    back = back._replace(filter=named.filter)
    condition = condition_of_call(back.filter, of_entry)
    values = [field._replace(at=(-1, -1)) for field in returned(probe, target, machine)]
    fields = unique([*of_entry, *values, TIME], probe)
    of_entry, values = fields[:len(of_entry)], fields[len(of_entry):-1]
    pair, kind = Pair('', tuple(of_entry), condition), {'p': 'r', 'P': 'R'}[probe.kind]
    entry = defined(probe._replace(filter=None), name, probe.kind, target.place, of_entry, resolver, machine,
                    pair=pair, role='entry', annotation=annotation_of(of_entry, probe, None, None))
    annotation = annotation_of(values, back, None, link_to_entry(fields, 'both', name))
    event = defined(probe._replace(filter=None, kind=kind), f'{name[:59]}_out', kind, target.place, values,
                    resolver, machine, pair=pair._replace(entry=name), role='return', annotation=annotation)
    return [entry, event]


def returned(probe: Probe, target: Target, machine: Machine) -> list[Field]:
    """What a call returns where that is a number or a pointer, as the debug information tells."""
    resolver, function = resolver_in(target, 'r', machine.abilities), target.function
    if probe.back:
        return annotated([resolver.field(arg) for arg in probe.back.args], probe.back, resolver)
    type_ = function.returns() if function and not function.changed else Void()
    if isinstance(type_, (Int, Enum, Pointer)):
        at = probe.place.at
        word, expr = '', Expr('special', at, '$retval')
        if isinstance(type_, Pointer):
            word = f'x{resolver.arch.bits}'
            expr = expr if type_.mark == '*' else Expr('addressof', at, inner=expr)
        with contextlib.suppress(InputError):
            return [resolver.field(Arg('retval', '', expr, word, at, at))]
    return []


def with_roles(events: Sequence[Event]) -> list[Event]:
    """The events of a target with what they are in a tree: nothing, the entries that only a return wants."""
    roles = [event.role or ('alone' if event.probe.kind in 'rR' else 'leaf') for event in events]
    roles = [role if each is events[-1] or role == 'entry' else '' for role, each in zip(roles, events)]
    return [event._replace(role=role) for role, event in zip(roles, events)]


USDT_END = regex(r'([\w-]+):([\w-]+?)(__|-|_)(entry|return|begin|end|start|done)')
BEGINS = {'return': 'entry', 'end': 'begin', 'done': 'start'}


def usdt_end(event: Event) -> tuple[tuple[str, ...], str]:
    """The call that a USDT probe is one end of by its name, and which end; () for any other event."""
    match = USDT_END.fullmatch(event.label) if event.program and event.role == 'leaf' else None
    if not match or not event.program:
        return (), ''
    first = BEGINS.get(match[4], match[4])
    call = event.program.path, f'{match[1]}:{match[2]}', match[3] + first
    return call, 'entry' if first == match[4] else 'return'


def in_tree(events: Sequence[Event]) -> list[Event]:
    """The events with their roles in a tree; USDT probes that differ in the end of a name are one call."""
    events = [event._replace(role=event.role or 'leaf' * (not event.pair)) for event in events]
    ends, made = [usdt_end(event) for event in events], []
    filters = {(end, event.filter) for end, event in zip(ends, events)}
    for (call, role), event in zip(ends, events):
        if call and {(call, 'entry'), (call, 'return')} <= set(ends):
            probe = event.probe
            with located(probe.text, probe.source, probe.place.at):
                if event.filter and ((call, 'entry'), event.filter) not in filters:
                    refuse('with -t a filter takes or leaves whole calls, and belongs to what begins them')
                pair = Pair('', event.fields, condition_of_call(probe.filter, event.fields))
            event = event._replace(role=role, label=call[1], filter='', pair=pair)
        made.append(event)
    return made


OF_RECORD = ('comm', 'common_pid', 'cpu', 'stack')


def of_record(key: Key, names: Container[str]) -> bool:
    """Tell whether a key is of the record itself: a word of ours, unless a field has that name."""
    arg, expr = key.arg, key.arg.expr
    bare = not (key.how or arg.name or arg.format or arg.word) and expr.kind == 'name'
    return bare and expr.name in OF_RECORD and expr.name not in names


def with_keys(fields: list[Field], probe: Probe, resolver: Resolver) -> tuple[list[Field], list[int]]:
    """The fields of a line with those of its keys behind them, and the field of each key, which may be one of
    the line. The task's name is fetched: that at a record's beginning is from a cache of 128 tasks."""
    fields, numbers, own = list(fields), [], resolver.fields or ()
    for key in probe.keys or ():
        names = [field.name for field in fields]
        arg, number, head = key.arg, -1, of_record(key, own)
        if arg.expr.kind == 'name' and arg.expr.name in names and not arg.format + arg.word:
            number = names.index(arg.expr.name)
        elif not head or arg.expr.name == 'comm' and (own or not isinstance(resolver, InEvent)):
            expr = arg.expr._replace(kind='special', name='$comm') if head else arg.expr
            field = resolver.field(arg._replace(expr=expr))
            alike = [i for i, other in enumerate(fields) if other.is_as(field)]
            same = [i for i in alike if arg.name in ('', fields[i].name)]
            number = same[0] if same else len(fields)
            fields += [] if same else [field]
        numbers.append(number)
    return fields, numbers


COUNTABLE = regex(r'(be|BE)\d\d|X|S\(\d+\)')    # formats of numbers


def column(fields: Sequence[Field], key: Key, number: int) -> Column:
    """The column of a key whose field is known."""
    if number < 0:
        return Column(key.arg.expr.name, '', numbers=key.arg.expr.name == 'cpu')
    field = fields[number]
    if field.format and field.format.word[0] == '{':
        refuse(f"'{field.name}' is a struct: count by a member of it", key.arg.at)
    countable = len(field.fetches) == 1 and re.fullmatch(INTEGER, field.kind) is not None and (
        not field.format or COUNTABLE.fullmatch(field.format.word) is not None)
    if key.how and not countable:
        refuse(f"'{field.name}' is no number, and {key.how}() wants one", key.arg.at)
    ordered = countable and (field.kind[0] != 'x' or bool(key.how))     # hexadecimal is a name, no amount
    return Column(field.name, key.how, number, key.step, ordered, 'us' if field.when == 'dur' else '')


def unique(fields: list[Field], probe: Probe) -> list[Field]:
    """The fields with names of their own: a name that was left out gives way to one that was written."""
    written = {arg.at: arg.name for arg in probe.all_args if arg.name}
    seen: set[str] = set()
    renamed = []
    for field in fields:
        first, taken, room = field.name, seen, 29 - (len(field.fetches) > 9)
        if field.at not in written:
            names_of_all = {*GENERIC_FIELDS, 'dur'} if field.hidden else RESERVED
            first, taken = field.name + '_' * (field.name in names_of_all), seen.union(written.values())
        names = itertools.chain([first[:room]], (f'{field.name[:room - 2]}_{i}' for i in itertools.count(2)))
        field = field._replace(name=next(name for name in names if name not in taken))
        seen.update(part_names(field))
        renamed.append(field)
    return renamed


def limits(fields: Sequence[Field], definition: EventDef, filter_: str) -> None:
    """The kernel's limits that hold everywhere (kernel/trace/trace_probe.h: MAX_TRACE_ARGS, FETCH_INSN_MAX;
    trace_events.c, event_filter_write: less than a page)."""
    if len(encoded(filter_)) > 4094:
        refuse(f'the filter becomes {len(filter_)} characters, with tests of pointers; the kernel takes 4094')
    count = len(definition.args) + len(definition.unseen)
    if count > 128:
        refuse(f'{count} arguments, with those that guard pointers; the kernel takes 128')
    line = len(definition.definition('surftrace_1234567_12'))
    if line > 4094:
        refuse(f'the definition becomes {line} characters; the kernel takes 4094')
    for fetch, at in ((fetch, field.at) for field in fields for fetch in field.fetches):
        if len(fetch.derefs) > FETCH_DEPTH:
            refuse(f'a chain of more than {FETCH_DEPTH} pointers is longer than the kernel takes', at)
        size = len(fetch.text())
        if size > 254:
            refuse(f'this becomes {size} characters; the kernel takes 254 (up to Linux 6.18, 63)', at)


# Filters


GENERIC_FIELDS = {
    'common_type': 'u16', 'common_flags': 'u8', 'common_preempt_count': 'u8', 'common_pid': 's32',
    'common_cpu': 'u32', 'cpu': 'u32', 'CPU': 'u32', 'comm': 'string', 'COMM': 'string',
    '__probe_ip': 'x64', '__probe_func': 'x64', '__probe_ret_ip': 'x64'}
TASK_NAME = 16                              # bytes, with a NUL (include/linux/sched.h, TASK_COMM_LEN)
OPPOSITE = {'==': '!=', '!=': '==', '<': '>=', '>=': '<', '>': '<=', '<=': '>'}
ORDERING = ('<', '<=', '>', '>=')


class Tested(NamedTuple):
    """A part of the kernel's filter: the tests that it needs to mean anything, its text, if || joins that."""
    tests: tuple[str, ...]
    text: str
    either: bool = False

    @property
    def factor(self) -> str:
        """The text as it may stand beside an &&."""
        return f'({self.text})' if self.either else self.text

    def whole(self) -> Tested:
        """The same with the tests in the text."""
        return Tested((), f"({'&&'.join((*self.tests, self.factor))})") if self.tests else self


class FilterText:
    """From a filter as the user wrote it to the kernel's (Documentation/trace/events.rst, 5): names looked
    up, strings quoted, addresses and enumerators made numbers, numbers held against the field's width, and
    each comparison of what is behind a pointer guarded. Negations are pushed down to the comparisons: a value
    that is not there is neither less than four nor not less than four. `event` has the fields of the kernel's
    own event, None where these are not known."""

    def __init__(self, fields: Sequence[Field], event: dict[str, EventField] | None) -> None:
        self._fields, self._event = {field.name: field for field in fields}, event
        for name, known in (event or {}).items():
            if isinstance(known.type, Enum):
                kind = f"{'us'[known.type.signed]}{8 * known.type.size}"
                own = Field(name, (Fetch(f'${name}', kind=kind),), enum_format(known.type))
                self._fields.setdefault(name, own)

    def text(self, filter_: Filter) -> str:
        """The kernel's text."""
        return self._tested(filter_, False).whole().text

    def _tested(self, filter_: Filter, negated: bool) -> Tested:
        """The part of the kernel's filter; parts that need the same tests share them."""
        if isinstance(filter_, Not):
            return self._tested(filter_.inner, not negated)
        if isinstance(filter_, Compare):
            with located(at=filter_.at):
                return self._compare(filter_, negated)
        either = (filter_.op == '||') != negated
        parts = [self._tested(part, negated) for part in filter_.parts]
        shared = parts[0].tests if len({part.tests for part in parts}) == 1 else ()
        parts = parts if shared else [part.whole() for part in parts]
        text = '||'.join(part.text for part in parts) if either else '&&'.join(part.factor for part in parts)
        return Tested(shared, text, either)

    def _compare(self, compare: Compare, negated: bool) -> Tested:
        """A comparison. A string is tested by ~"*" too: what could not be read has no length, and that needs
        one (trace_events_filter.c, regex_match_end); others compare what lay there."""
        op = OPPOSITE.get(compare.op, '') if negated else compare.op
        if not op:                                                      # & and ~ have no opposite
            tested = self._compare(compare, False)
            return tested._replace(text=f'!({tested.text})')
        name = compare.field.split('.')[0]
        field = self._fields.get(name)
        room = self._room(name, field)
        if room and op != '~' and len(encoded(compare.value)) >= room:
            refuse(f'the array holds {room} bytes, this is longer than what fits with a NUL',
                   compare.value_at)
        if not field:
            return Tested((), f'{compare.field}{op}{constant(compare, op, self._kind(name, compare))}')
        tests = [test for guard in field.guards for test in guard.tests()]
        tests += [f'{field.name}~"*"'] * (field.kind in STRINGS and field.fetches[0].base[0] != '\\')
        either = op == '!=' and len(field.fetches) > 1 and name == compare.field
        return Tested(tuple(tests), own_comparison(compare, op, field), either)

    def _room(self, name: str, field: Field | None) -> int:
        """The bytes of the array that a text is in, 0 where it is in none."""
        known = (self._event or {}).get(name)
        if field and field.format:
            return sized(field.format) if field.format.word.startswith('cut(') else 0
        if field and field.fetches[0]._replace(kind='') == Fetch('$comm'):
            return TASK_NAME
        if field or not known:
            return TASK_NAME * (not field and name in ('comm', 'COMM'))
        return known.type.length or 0 if known.string and isinstance(known.type, Array) else 0

    def _kind(self, name: str, compare: Compare) -> str:
        """The fetch type of a field of the kernel's own event, or of every event; '' where not known."""
        known = (self._event or {}).get(name)
        if not known:
            if self._event is not None and name not in GENERIC_FIELDS:
                names = list({**self._fields, **self._event})
                listed = f"; there are {', '.join(names[:12] or ['common_pid', 'comm', 'cpu'])}"
                hint = near(name, [*names, *GENERIC_FIELDS]) or listed
                if name in ('pid', 'tid', 'tgid'):
                    hint = '; common_pid is the thread, and -p PID chooses a process with all its threads'
                refuse(f"the event has no field '{name}'{hint}")
            return GENERIC_FIELDS.get(name, '')
        type_ = known.type
        if known.string or compare.field.endswith('.ustring'):
            return 'string'
        if known.unsigned and (compare.op in ORDERING or compare.value[:1] == '-'):
            refuse(f"the event has the int '{name}' as a word without a sign; an argument is one again: "
                   f'{name} f:{name}{compare.op}{compare.value}')
        if known.unsigned or isinstance(type_, Pointer):
            return 'u64'
        if isinstance(type_, Int) and type_.size in (1, 2, 4, 8):
            return f"{'s' if type_.signed else 'u'}{8 * type_.size}"
        return '' if isinstance(type_, Void) else 'array'


def own_comparison(compare: Compare, op: str, field: Field) -> str:
    """The comparison of a field of ours."""
    name, format_, kind = field.name, field.format, field.kind or 'string'
    word = format_.word.partition('(')[0] if format_ else ''
    if '.' in compare.field:
        return in_function(compare, op, kind)
    if format_ and word == 'packet':
        return begins(compare, op, field, sized(format_))
    if word[:1] == '{':
        refuse(f"'{name}' is a struct, and a filter compares numbers and texts: fetch the member by itself")
    if word == 'path' and '/' in compare.value[1:]:
        refuse(f"of a path the kernel compares the last name: {name}=={compare.value.rpartition('/')[2]}",
               compare.value_at)
    if not format_ or kind in STRINGS or kind[-1] == ']':
        return f'{name}{op}{constant(compare, op, kind)}'
    if word.startswith('text'):
        refuse(f"'{name}' is text that carries its length, and only the length can be compared: fetch it "
               'under a name of its own, as in len=%1 f:len>3')
    if compare.quoted or op == '~':
        refuse(f"'{name}' is shown as {format_.word}, and is no string to the kernel", compare.value_at)
    try:
        wanted = numbers_of(compare.value, format_.parse)
    except (ValueError, OverflowError) as error:
        hint = str(error) if str(error)[:1] == ';' else ''
        refuse(f"'{compare.value}' is no value of '{name}' ({word}){hint}", compare.value_at)
    if op in ORDERING and not format_.ordered:
        return ordered(compare, op, format_, wanted[0])
    if len(wanted) > 1 and op not in ('==', '!='):
        refuse(f"'{name}' can be compared only with == and !=")
    values = [in_range(compare, part.kind, value) for part, value in zip(field.fetches, wanted)]
    join = '&&' if op == '==' else '||'
    return join.join(f'{part}{op}{value}' for part, value in zip(part_names(field), values))


def sized(format_: Format) -> int:
    """N of a format cut(N) or packet(N)."""
    return int(format_.word.partition('(')[2][:-1])


def begins(compare: Compare, op: str, field: Field, before: int) -> str:
    """A comparison with a text in a packet, so many bytes in: behind the packet's end is no part of it."""
    if op != '~' or not re.fullmatch(r'[^*[]+\*', compare.value):
        refuse(f"'{field.name}' ends with the packet, and only its beginning can be compared, as in "
               '~"GET *"')
    length = before + len(encoded(compare.value[:-1]))
    return f'{part_names(field)[1]}>={length}&&{field.name}~{text_constant(compare, op)}'


def in_function(compare: Compare, op: str, kind: str) -> str:
    """x.function==f: whether an address is within a function (Linux 6.4)."""
    addresses = ('u64', 'x64', 's64', 'symbol')
    if not compare.field.endswith('.function') or kind not in addresses or op not in ('==', '!='):
        refuse('.function is for addresses, with == and !=')
    if not re.fullmatch(r'[\w.]+', compare.value):
        refuse("a function's name expected", compare.value_at)
    return f'{compare.field}{op}{compare.value}'


def ordered(compare: Compare, op: str, format_: Format, value: int) -> str:
    """Order on a signed bit-field, whose negative numbers the kernel sees as the large half."""
    name, below = compare.field, op[0] == '<'
    if not format_.signed:
        refuse(f"the kernel cannot order '{name}': it compares the bytes as they lie in memory; == and != "
               'work')
    half = 1 << format_.signed - 1
    join = '||' if (value < half) == below else '&&'
    return f"({name}{'>=' if below else '<'}{half}{join}{name}{op}{value})"


def constant(compare: Compare, op: str, kind: str) -> str:
    """The right side for a field of that fetch type."""
    name, value = compare.field, compare.value
    if '[' in kind or kind == 'array':
        refuse(f"'{name}' is an array, which the kernel's filters cannot compare; fetch one element")
    as_text = compare.quoted or op == '~' or re.match(r'(?!CPUS\{)[^\W\d]', value)
    if kind in STRINGS or as_text and not kind:
        return text_constant(compare, op)
    if not kind and re.search(r'[()|]|<<|>>', value):
        kind = 's64'                                    # computed: no text is written so
    if value.startswith('CPUS{') or name.endswith('.function') or not kind:
        return value if not re.search(r'[^\w{},.*?/:+-]', value) else text_constant(compare, op)
    if op == '~':
        refuse(f"'{name}' is a number; ~ is for strings")
    if compare.quoted and not (kind == 'char' and len(value) == 1):
        refuse(f"'{name}' is a number ({kind})", compare.value_at)
    try:
        number_ = ord(value) if compare.quoted else numbers_of(value, plain_number)[0]
    except ValueError:
        refuse(f"'{value}' is no number, and '{name}' is one ({kind})", compare.value_at)
    return str(in_range(compare, kind, number_))


def text_constant(compare: Compare, op: str) -> str:
    """The text, in quotes."""
    text, at = compare.value, compare.value_at
    if not compare.quoted and re.search(r'[()|]|<<|>>', text):
        refuse("a text with brackets, arrows or '|' needs quotes", at)
    if op not in ('==', '!=', '~'):
        refuse(f"'{compare.field}' is a string: ==, != and ~ (with *, ? and [a-z]) compare it")
    if op == '~':
        text = as_glob(text)
    if len(encoded(text)) > 255 or re.search('[\0\n]', text):
        refuse('a text is up to 255 bytes for the kernel, none of them NUL, and on one line', at)
    quote = '"' if '"' not in text else "'"
    if quote in text:
        refuse('the kernel cannot compare with a text that has both kinds of quotes', at)
    return f'{quote}{text}{quote}'


def as_glob(pattern: str) -> str:
    """The pattern as the kernel is to take it (filter_parse_regex): a ! in front negates, a digit makes it a
    text, and with a * there an array is looked at as a whole, whose text ends before (comm~"*sh"). Behind a
    \\ comes what stands for itself."""
    return re.sub(r'^(?=[!0-9])|^\*+(?=[^*?[\\])', r'\g<0>\\', pattern.replace('\\', '\\\\'))


def in_range(compare: Compare, kind: str, value: int) -> int:
    """The number, held against the field's width: the kernel cuts it silently."""
    name, at, equal = compare.field, compare.value_at, compare.op in ('==', '!=')
    match = re.match(r'([suxb])(\d+)', kind)
    bits = int(match[2]) if match else {'char': 8}.get(kind, 64)
    signed = match is not None and match[1] == 's'
    low, high = -(1 << bits - 1), 1 << bits - signed
    is_dump = '0x' in compare.value.lower() and (equal or compare.op == '&')
    if signed and is_dump and high <= value < 1 << bits:
        value -= 1 << bits
    if not signed and value < 0:
        if not equal or value < low:
            refuse(f"'{name}' has no sign; S before its expression makes it signed", at)
        value += 1 << bits
    if not low <= value < high:
        refuse(f"'{name}' has {bits} bits: it is never {compare.value}", at)
    return value


# ---- Counting ----------------------------------------------------------------------------------------------
# Counted events become rows of tables. What a table says is what a histogram of the kernel would say
# (Documentation/trace/histogram.rst): the same buckets, as many keys.

RowKey = tuple[Union[int, str], ...]        # the number of a bucket, or a text as it is shown
MOST_ROWS = 1 << 20                         # memory has an end, and more rows are no answer
BAR = 40                                    # characters of the longest bar


class Row:
    """The calls that have the same keys: each sum, and how many values of it could not be read."""

    def __init__(self, sums: int) -> None:
        self.calls, self.sums, self.unread = 0, [0] * sums, [0] * sums

    @property
    def weight(self) -> int:
        """What makes it large: what is added up first, else its calls."""
        return self.sums[0] if self.sums else self.calls

    def average(self, i: int) -> float | None:
        """The average of what could be read of such a column."""
        read = self.calls - self.unread[i]
        return self.sums[i] / read if read else None


class Table:
    """The rows of events that count by the same columns; of several events the name is the first key."""

    def __init__(self, events: Sequence[Event]) -> None:
        columns = events[0].columns or ()
        self.labels = told_apart(events, table_label)
        self.keys = [Column('event', '')] * (len(events) > 1)
        self.keys += [column for column in columns if not column.adds]
        self.sums = [column for column in columns if column.adds]
        self.unit = 'calls' if all(event.probe.kind in 'prPR' for event in events) else 'events'
        self.rows: dict[RowKey, Row] = {}
        self.outside = 0                                # calls that would have made too many rows

    def add(self, event: Event, texts: Sequence[str], times: int = 1,
            totals: Sequence[int | None] | None = None) -> None:
        """Count so many calls with these values, one for each column; `totals` are sums of unlike values."""
        columns = list(zip(event.columns or (), texts))
        key: RowKey = tuple(bucket(column, text) for column, text in columns if not column.adds)
        if len(self.labels) > 1:
            key = (self.labels[event.head], *key)
        row = self.rows.get(key)
        if not row:
            if len(self.rows) == MOST_ROWS:
                self.outside += times
                return
            row = self.rows[key] = Row(len(self.sums))
        row.calls += times
        if totals is None:
            values = [amount(text) for column, text in columns if column.adds]
            totals = [None if value is None else times * value for value in values]
        for i, total in enumerate(totals):
            row.sums[i] += total or 0
            row.unread[i] += times * (total is None)

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(row.calls for row in self.rows.values()) + self.outside

    def lines(self, top: int | None) -> list[str]:
        """The table, with the so many largest of its rows."""
        if not self.keys:
            row = self.rows.get((), Row(len(self.sums)))
            sums = [f'{column.source()} {text}' for column, text in zip(self.sums, self._amounts(row)[1:])]
            return [f'{next(iter(self.labels.values()))}: ' + ', '.join([f'{row.calls} {self.unit}', *sums])]
        shown = list(self._without_gaps(self._largest(top)))
        rows = [self.rows.get(key, Row(len(self.sums))) for key in shown]
        grid = [[column.heading(column.title) for column in self.keys] + [self.unit]
                + [column.heading(column.source()) for column in self.sums]]
        grid += [[*map(key_text, self.keys, key), *self._amounts(row)] for key, row in zip(shown, rows)]
        lines = self._drawn(grid, [0, *(row.weight for row in rows)])
        rest = self.calls - sum(row.calls for row in rows)
        more = f', {rest} of them in {len(self.rows.keys() - set(shown))} more rows' if rest else ''
        return [*lines, f'{self.calls} {self.unit}{more}']

    def objects(self, top: int | None) -> Iterator[dict[str, object]]:
        """The rows as keys and values for JSON."""
        for key in self._largest(top) if self.keys else [()]:
            row = self.rows.get(key, Row(len(self.sums)))
            sums: dict[str, object] = {}
            for i, column in enumerate(self.sums):
                sums[column.source()] = row.average(i) if column.how == 'avg' else row.sums[i]
                sums.update({f'unread {column.source()}': row.unread[i]} if row.unread[i] else {})
            several = len(self.labels) > 1
            own = zip(self.keys[several:], key[several:])
            keys = {column.source(): key_value(column, part) for column, part in own}
            event = key[0] if several else next(iter(self.labels.values()))
            yield {'event': event, 'keys': keys, self.unit: row.calls, **sums}

    def _amounts(self, row: Row) -> list[str]:
        """The numbers of a row: its calls, the sums and averages of what could be read."""
        texts = [str(row.calls)]
        for i, column in enumerate(self.sums):
            average = row.average(i)
            text = '-' if average is None else f'{average:.1f}'
            text = text if column.how == 'avg' else str(row.sums[i])
            texts.append(text + f' (+{row.unread[i]} not read)' * bool(row.unread[i]))
        return texts

    def _largest(self, top: int | None) -> list[RowKey]:
        """The keys of the largest rows, by column: numbers in order, then texts, the largest first."""
        keys = sorted(self.rows, key=lambda key: -self.rows[key].weight)[:top]
        weights: dict[RowKey, int] = collections.Counter()      # of the rows whose keys begin alike
        for key in keys:
            for end in range(1, len(key) + 1):
                weights[key[:end]] += self.rows[key].weight

        def place(begin: RowKey) -> tuple[bool, int, str]:
            last = begin[-1]
            return (False, last, '') if isinstance(last, int) else (True, -weights[begin], last)
        return sorted(keys, key=lambda key: [place(key[:end]) for end in range(1, len(key) + 1)])

    def _without_gaps(self, keys: Sequence[RowKey]) -> Iterator[RowKey]:
        """The keys, with the buckets of powers of two that nothing fell into between others."""
        before: RowKey = ()
        for key in keys:
            last, bound = key[-1], before[-1] if before and before[:-1] == key[:-1] else 0
            if self.keys[-1].how == 'log2' and isinstance(last, int) and isinstance(bound, int) and bound > 0:
                while 2 * bound < last:
                    bound *= 2
                    yield (*key[:-1], bound)
            yield key
            before = key

    def _drawn(self, grid: Sequence[Sequence[str]], weights: Sequence[int]) -> list[str]:
        """The lines of a grid, whose first row are titles, each with its bar; stacks stand below."""
        stack = next((i for i, column in enumerate(self.keys) if column.is_stack), None)
        left = [not column.numbers for column in self.keys] + [False] * (1 + len(self.sums))
        widths = [max(map(len, column)) for column in zip(*grid)]
        lines, most = [], max(weights)
        for number, (texts, weight) in enumerate(zip(grid, weights)):
            cells = [text.ljust(width) if is_left else text.rjust(width)
                     for i, (text, width, is_left) in enumerate(zip(texts, widths, left)) if i != stack]
            bar = '#' * (weight * BAR // most) if most > 0 else ''
            lines.append('  '.join(cells) + (f' |{bar}' if number else ''))
            if stack is not None and number:
                lines += [f'    {frame}' for frame in texts[stack].split('\n')]
        return lines


def by_stack(event: Event) -> bool:
    """Tell whether it is counted by the stack."""
    return any(column.is_stack for column in event.columns or ())


def told_apart(events: Sequence[Event], label: Callable[[Event], str]) -> dict[bytes, str]:
    """The labels of events, by their heads; behind their names where two would be alike."""
    alike = collections.Counter(map(label, events))
    return {event.head: f'{event.name} ' * (alike[label(event)] > 1) + label(event) for event in events}


def table_label(event: Event) -> str:
    """What an event is called in a table: its function, unless it was given a name."""
    place = event.probe.place
    if event.probe.event or not event.definitions:
        return event.name
    own = event.label if place.glob else ''
    if not place.object and event.probe.kind != 'e' and len(event.definitions) == 1:
        return event.definitions[0].place
    return own or place.function or place.text


def amount(text: str) -> int | None:
    """The number that is shown so; None where a value could not be read."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def bucket(column: Column, text: str) -> int | str:
    """What a value belongs to: itself; of powers of two the upper bound 2^n of (2^(n-1), 2^n], 0 with 1; of
    steps the lower. What is below 0 stands for itself."""
    value = amount(text) if column.numbers else None
    if value is None:
        return text
    if column.how == 'log2' and value >= 0:
        return 1 << (value - 1).bit_length() if value > 1 else 1
    return value - value % column.step if column.how == 'step' and value >= 0 else value


def bounds(column: Column, key: int) -> list[int]:
    """The least and the largest number of a bucket; of a number that stands for itself that alone."""
    if key < 0 or column.how not in ('log2', 'step'):
        return [key]
    if column.how == 'step':
        return [key, key + column.step - 1]
    return [key // 2 + 1 if key > 1 else 0, key]


def key_text(column: Column, key: int | str) -> str:
    """How a key is shown."""
    if isinstance(key, str):
        return key[1:-1] if column.title == 'comm' and column.field >= 0 and key[:1] == '"' else key
    return '-'.join(map(str, dict.fromkeys(bounds(column, key))))


def key_value(column: Column, key: int | str) -> object:
    """A key in JSON: of a bucket its bounds."""
    if isinstance(key, int):
        own = bounds(column, key)
        return own if len(own) > 1 else key
    if column.is_stack:
        return key.split('\n')
    return key if column.field < 0 and column.title in ('comm', 'event') else value_shown(key)


HEAD_GROUPS = {'comm': 'task', 'common_pid': 'pid', 'cpu': 'cpu'}   # in a record's head, and their groups
Groups = Union[re.Match[bytes], Mapping[str, bytes]]
Values = Union[Sequence[str], Mapping[int, str]]


def of_head(title: str, head: Groups) -> str:
    """The task's name, its number, the processor, as a record begins with them."""
    text = decoded(head[HEAD_GROUPS[title]]).strip() if title in HEAD_GROUPS else ''
    return text if title != 'cpu' else str(int(text))


def own_frames(event: Event, frames: Sequence[str]) -> Sequence[str]:
    """The frames from the probed function on, without those of the probe itself above it."""
    names = {re.sub(r'^.*:|\+\d+$', '', definition.place) for definition in event.definitions}
    first = next((i for i, frame in enumerate(frames[:12]) if re.sub(r'\+0x.*', '', frame) in names), 0)
    return frames[first:]


class Counting:
    """The tables of a run."""

    def __init__(self, events: Sequence[Event]) -> None:
        alike: dict[tuple[object, ...], list[Event]] = {}
        for event in filter(operator.attrgetter('counted'), events):
            layout = tuple(column[:2] + column[3:] for column in event.columns or ())
            alike.setdefault(layout, []).append(event)
        self.tables = [Table(same) for same in alike.values()]
        self._tables = {event.head: table
                        for same, table in zip(alike.values(), self.tables) for event in same}
        self.stacks = any(map(by_stack, events))

    def record(self, event: Event, head: Groups, values: Values, times: int = 1,
               totals: Sequence[int | None] | None = None) -> Callable[[Sequence[str]], None] | None:
        """Count a record of an event that is counted, or so many like it, by its head and by what is shown of
        each field; by its stack when what is returned is called with that."""
        columns, table = event.columns or (), self._tables[event.head]
        texts = []
        for column in columns:
            texts.append(values[column.field] if column.field >= 0 else of_head(column.title, head))
        if not by_stack(event):
            table.add(event, texts, times, totals)
            return None

        def with_stack(frames: Sequence[str]) -> None:
            stack = '\n'.join(own_frames(event, frames))
            table.add(event, [stack if column.is_stack else text for column, text in zip(columns, texts)])
        return with_stack

    def text(self, top: int | None = None, unsure: str = '') -> str:
        """All tables; `unsure` says what is missing in them."""
        lines: list[str] = []
        for table in self.tables:
            lines += [*[''] * bool(lines), *table.lines(top)]
            outside = [f'{table.outside} in more than {MOST_ROWS} rows'] if table.outside else []
            more = [unsure] * bool(unsure) + outside
            lines += ['at least: ' + ', '.join(more)] * bool(more)
        return ''.join(printable(line) + '\n' for line in lines)

    def clear(self) -> None:
        """Begin anew."""
        for table in self.tables:
            table.rows.clear()
            table.outside = 0


# Histograms: counted by the kernel


SMALLEST_HISTOGRAM, LARGEST_HISTOGRAM = 1 << 7, 1 << 17     # entries; trace_events_hist.c, parse_map_size
MOST_HISTOGRAMS = 9             # of an event: two keys behind pointers of their own
SURELY_ADDED = 1 << 32          # sums of numbers below it stay within 64 bits
NO_KEYS = ('hitcount', 'stacktrace', 'cpu', 'CPU')      # words of the kernel, not names of fields
HISTOGRAM = regex(rb'# event histogram\n#\n# trigger info: hist:\S+(?: if (?P<filter>.*))? \[\w+\]\n#\n\n'
                  rb'(?P<entries>(?s:.*?))\nTotals:\n'
                  rb' +Hits: (?P<hits>\d+)\n +Entries: \d+\n +Dropped: (?P<dropped>\d+)\n')


class Histogram(NamedTuple):
    """A histogram that the kernel keeps of an event (Documentation/trace/histogram.rst)."""
    event: Event
    filter: str                             # lets records in
    keys: tuple[Column, ...]
    sums: tuple[int, ...]                   # the numbers of fields
    words: Mapping[int, str]                # for the fields that these records could not read
    entries: int = SMALLEST_HISTOGRAM
    keeps: str = ''                         # variables beside each key, and what is done with them

    def folder(self, group: str) -> str:
        """The folder of the event, below an instance."""
        made = made_of_others(self.event)
        return f'events/synthetic/{made.name}' if made else self.event.folder(group)

    def trigger(self) -> str:
        """The line that makes it."""
        sums = ','.join(self.event.fields[number].name for number in self.sums)
        keys = ','.join(map(kernel_key, self.keys)) or 'common_type'
        values = ':vals=' * bool(sums) + sums + ':' * bool(self.keeps) + self.keeps
        line = f'hist:keys={keys}{values}:size={self.entries}'
        return f'{line} if {self.filter}' if self.filter else line

    @property
    def has_text(self) -> bool:
        """Tell whether its last key is a text."""
        return any(is_text(self.event, key) for key in self.keys)

    def pattern(self) -> re.Pattern[bytes]:
        """An entry in its file: the values of keys, the hits, the sums. A text is padded, and not escaped."""
        ways = {'log2': rb'~ 2\^(\d+) *', 'step': rb'~ (\d+)-\d+', 'text': rb'((?s:.{50}))'}
        keys = [ways.get('text' if is_text(self.event, key) else key.how, rb' *(\d+)') for key in self.keys]
        values = b', '.join(rb'[\w.]+: ' + key for key in keys or [rb' *\d+'])
        sums = rb' +\w+: +(\d+)' * len(self.sums)
        return re.compile(rb'^\{ ' + values + rb' \} hitcount: +(\d+)' + sums + rb' *$', re.M)


def made_of_others(event: Event) -> EventDef | None:
    """The definition of an event that is made of others, a synthetic one."""
    return next((made for made in event.definitions if made.letter == 's'), None)


class Case(NamedTuple):
    """Some of the records of an event, which a histogram counts."""
    tests: tuple[str, ...] = ()             # that tell them from others
    words: Mapping[int, str] = {}           # for the fields that they could not read
    alone: frozenset[int] = frozenset()     # the fields whose numbers stand for themselves


def is_text(event: Event, key: Column) -> bool:
    """Tell whether a key is a text."""
    return key.field >= 0 and is_string(event.fields[key.field].fetches[0])


def kernel_key(column: Column) -> str:
    """The kernel's name of a key."""
    name = 'common_cpu' if column.field < 0 and column.title == 'cpu' else column.title
    return name + {'log2': '.log2', 'step': f'.buckets={column.step}'}.get(column.how, '')


def histograms(event: Event, filters: Sequence[str]) -> list[Histogram]:
    """The histograms that count an event as its table does, each record in one. InputError: why not."""
    columns = event.columns or ()
    if event.pair or event.begins or event.role:
        refuse(f'{ONLY_HERE} by what was fetched at the entry of a call, or the time since')
    for column, key in zip(columns, event.probe.keys or ()):
        obstacle = not_for_histograms(event, column)
        if obstacle:
            refuse(f'{ONLY_HERE} by {obstacle}', key.arg.at)
    made = []
    for case in cases(event):
        own = [column for column in columns if column.field < 0 or column.field not in case.words]
        keys = keys_of(own, case.alone, event)
        sums = {column.field for column in own if column.adds} - {key.field for key in keys if not key.how}
        made.append(Histogram(event, all_of((*case.tests, *filters)), keys, tuple(sorted(sums)), case.words))
    for too_much, possible in (
            ('so many keys, with sums of what may be large', all(len(each.keys) <= 3 for each in made)),
            ('two texts', all(sum(is_text(event, key) for key in each.keys) < 2 for each in made)),
            ('so much that is behind pointers, or with so long a filter',
             len(made) <= MOST_HISTOGRAMS and all(len(each.trigger()) < 4000 for each in made))):
        if not possible:
            refuse(f'{ONLY_HERE} by {too_much}')
    return made


def all_of(tests: Iterable[str]) -> str:
    """A filter of all that are not empty."""
    tests = [test for test in tests if test]
    return '&&'.join(f'({test})' for test in tests) if len(tests) > 1 else ''.join(tests)


SINCE = 'all since the start'               # said of what is missing in the table of an interval
ONLY_HERE = 'only surftrace itself, not the kernel, can count'


def not_for_histograms(event: Event, column: Column) -> str:
    """What it is that the kernel does not count by as user space does: texts but the task's name, numbers in
    the memory of a program, which may not be there; '' where it does."""
    if column.field < 0:
        task = "the task of an event that is not ours; with an argument (comm=$comm h:comm) it is"
        return {'stack': 'the stack', 'comm': task}.get(column.title, '')
    field = event.fields[column.field]
    args = [arg for definition in event.definitions for arg in definition.args]
    fetches = [fetch for name, fetch in args if name == field.name]
    if column.title in NO_KEYS:
        return f"an argument called '{column.title}', a word of its own; another name (n=...) will do"
    if len(field.fetches) > 1 or any(guard.unless for guard in field.guards):
        return 'a value of several numbers'
    if all(fetch.base == '$comm' and not fetch.derefs for fetch in fetches):
        return ''
    in_program = event.definitions[0].letter[0] in 'PR'
    if any(space == 'u' or in_program for fetch in fetches for _, space in fetch.derefs):
        return 'the memory of a program, which need not be there'
    if any('(' in fetch.base for fetch in fetches) or not re.fullmatch(INTEGER, field.kind):
        return 'a value that is no plain number'
    wide = column.how == 'log2' and number_range(field)[1] >> event.arch.bits or column.step >> 63
    return 'buckets of such values' if wide or column.how and field.format else ''


def number_range(field: Field) -> tuple[int, int]:
    """The least and the largest number of its fetch type."""
    bits = int(re.split(r'\D', field.kind)[-1])
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if field.kind[0] == 's' else (0, (1 << bits) - 1)


def cases(event: Event) -> list[Case]:
    """The records of an event divided by what could not be read, and what the kernel cannot sort or add."""
    columns, found = event.columns or (), [Case()]
    numbers = sorted({column.field for column in columns if column.field >= 0})
    for guards in dict.fromkeys(event.fields[number].guards for number in numbers):
        same = [number for number in numbers if event.fields[number].guards == guards]
        found = [Case((*case.tests, test), {**case.words, **dict.fromkeys(same if word else (), word)})
                 for case in found for word, test in verdicts(guards).items()]
    for number in numbers:
        own = [column for column in columns if column.field == number]
        usual, others = usual_numbers(event.fields[number], own)
        for case in [case for case in found if usual and number not in case.words]:
            found.remove(case)
            found += [case._replace(tests=(*case.tests, usual)),
                      case._replace(tests=(*case.tests, others), alone=case.alone | {number})]
    return found


def usual_numbers(field: Field, columns: Sequence[Column]) -> tuple[str, str]:
    """Tests for the numbers of a field that the kernel sorts and adds up right, and for all others."""
    ways = {(column.how, column.step) for column in columns if not column.adds}
    if len(ways) > 1 or ('', 0) in ways:                # they stand for themselves
        return '', ''
    least, most = number_range(field)
    low, high = least, most
    for column in columns:
        large = column.adds and most >= SURELY_ADDED
        low = max(low, {'log2': 1, 'step': 0}.get(column.how, -SURELY_ADDED if large else least))
        high = min(high, SURELY_ADDED if large else most, 1 << 63 if column.how == 'log2' else most)
    usual = [f'{field.name}>={low}'] * (low > least) + [f'{field.name}<={high}'] * (high < most)
    others = [f'{field.name}<{low}'] * (low > least) + [f'{field.name}>{high}'] * (high < most)
    return '&&'.join(usual), '||'.join(others)


def verdicts(guards: Sequence[Guard]) -> dict[str, str]:
    """Tests for what is shown instead of a value, '' for itself: Guard.verdict as a filter has it."""
    before: list[str] = []
    found: dict[str, list[str]] = {'': []}
    for guard in guards:
        bad = f"!({'&&'.join(guard.tests())})"
        words = {'(null)': f'{guard.name}<4096', '(fault)': f'{guard.name}>4095&&{bad}'}
        if len(guard.tests()) == 1 and guard.low == 4096:
            del words['(fault)']                        # all other numbers are good
        for word, test in ({guard.word: bad} if guard.word else words).items():
            found.setdefault(word, []).append('&&'.join([*before, test]))
        before += [test for test in guard.tests() if test not in before]
    found[''] = ['&&'.join(before)]
    return {word: '||'.join(f'({test})' if len(tests) > 1 else test for test in tests)
            for word, tests in found.items()}


def keys_of(columns: Sequence[Column], alone: Container[int], event: Event) -> tuple[Column, ...]:
    """The keys of a histogram, a text last. What several columns sort by is one key, as a number."""
    ways: dict[tuple[int, str], set[tuple[str, int]]] = {}
    for column in columns:
        if not column.adds or column.field in alone:
            ways.setdefault((column.field, column.title), set()).add((column.how, column.step))
    keys = []
    for (number, title), hows in ways.items():
        how, step = next(iter(hows)) if len(hows) == 1 and number not in alone else ('', 0)
        keys.append(Column(title, how, number, step))
    return tuple(sorted(keys, key=functools.partial(is_text, event)))


PAIR_OF = '{}_pair'                        # a synthetic event has no group of its own


def timed(entry: Event, back: Event, filters: Sequence[str], group: str) -> list[Histogram]:
    """The histograms by which the kernel makes pairs of a function's entries and returns, and counts them.
    InputError: only user space can, and why. The first keeps, by task and place in its stack, when a call
    began and what was fetched then; the last makes an event of that and its own (histogram.rst, 2.2), which
    the others count. No entry is filtered: before a return came the entry of its call, and if that found no
    room, nothing is there; a time that was made is used up."""
    pair, popped, fields = back.pair or Pair(), back.arch.popped, kept_fields(back)
    several = len(entry.definitions) + len(back.definitions) > 2
    if popped is None or several or entry.begins or back.begins or not entry.pair:
        refuse(f'{ONLY_HERE} the times of calls {"at several places" if several else "here"}')
    made = EventDef('s', PAIR_OF.format(group), '', tuple((field.name, field.fetches[0]) for field in fields))
    whole = back._replace(fields=pair.fields, definitions=(made,), pair=None)
    whole_times = functools.partial(in_microseconds, named_in(pair.fields))
    exact = pair.condition and mapped(pair.condition, whole_times)
    condition = FilterText(fields, {}).text(exact) if exact else ''
    counted = histograms(whole, [condition])
    task = (Column('common_pid', ''),) * (back.definitions[0].letter == 'R')    # a kernel stack tells it
    less = f'-{popped}' * bool(popped)
    first, last = [(*task, Column(stack, '')) for stack in (entry.pair.stack, pair.stack + less)]
    kept = [f',kept_{field.name}={field.name}' for field in fields if field.when == 'entry']
    begins = f"began=common_timestamp.usecs{''.join(kept)}"
    ways = {'': '{}', 'entry': '$kept_{}', 'dur': '$took'}
    parts = ','.join([made.name, *(ways[field.when].format(field.name) for field in fields)])
    ends = f'took=common_timestamp.usecs-$began:onmatch({group}.{entry.name}).trace({parts})'
    return [Histogram(entry, '', first, (), {}, keeps=begins), *counted,
            Histogram(back, all_of(filters), last, (), {}, keeps=ends)]


def kept_fields(back: Event) -> list[Field]:
    """The fields of a pair that its keys and its filter want, which the kernel can keep as they were: numbers
    for which nothing had to be read, the task's name at the return, and a time, of which it makes pairs."""
    pair = back.pair or Pair()
    named = named_in(pair.fields)
    wanted = {pair.fields[column.field].name for column in back.columns or () if column.field >= 0}
    wanted |= {named[each.field].name for each in comparisons(pair.condition) if each.field in named}
    fields = [field for field in pair.fields if field.name in wanted]
    if back.loop:
        refuse(f'{ONLY_HERE} calls of a function that begins with a loop')
    if all(field.when != 'dur' for field in fields):
        refuse(f'{ONLY_HERE} by what was fetched at the entry of a call, without its time')
    for field in fields:
        fetch, number = field.fetches[0], re.fullmatch(r'[sux]\d+', field.kind)
        read = fetch.derefs or field.guards or field.since or '(' in fetch.base
        plain = len(field.fetches) == 1 and not read
        if not plain or not (number or fetch.base == '$comm' and not field.when):
            refuse(f"{ONLY_HERE} by '{field.name}' of a call: that is no plain number", field.at)
        if len(field.name) == 1 and not field.when:     # trace_events_hist.c, parse_action_params
            refuse(f"{ONLY_HERE} returns by a name of one letter, '{field.name}'", field.at)
    return fields


def in_microseconds(known: Mapping[str, Field], compare: Compare) -> Compare:
    """The same about times in whole microseconds, which is what the kernel has of them here."""
    field = known.get(compare.field)
    if not field or field.when != 'dur':
        return compare
    whole, rest = divmod(int(compare.value), 1000)
    if rest and compare.op in ('==', '!='):
        refuse(f'{ONLY_HERE} by times that are no whole microseconds', compare.value_at)
    more = rest > 0 and compare.op in ('<', '>=')
    return compare._replace(field=field.name, value=str(whole + more))


def as_shown(field: Field, value: int) -> str:
    """What is shown of a number that a histogram has, where all are unsigned and of 64 bits."""
    text = hex(value) if field.kind[0] == 'x' else str(signed(field, value))
    return field.format.show([text]) if field.format else text


def signed(field: Field, value: int) -> int:
    """The number that 64 bits are."""
    return value - (1 << 64) if field.kind[0] == 's' and value >> 63 else value


class Tally:
    """What the histograms of an event have counted, brought into its table as it grows: they are not cleared,
    since what came meanwhile would be lost. `dropped` are calls with keys that found no room, `unread` those
    in no entry that could be read. Pairs have found theirs in those that `keep` something; `alone` are those
    of the `returns` that were not made a pair, where no filter of pairs hides how many were."""

    def __init__(self, made: Sequence[Histogram], keep: Sequence[Histogram] = ()) -> None:
        self.event, self.histograms, self.keep = made[0].event, made, keep
        self.dropped = self.unread = self.returns = self.alone = self._hits = 0
        self.missing = False                            # whether the kernel did not show all of them
        self._patterns = {encoded(each.filter): (each, each.pattern()) for each in made}
        self._seen: dict[tuple[bytes, ...], list[int]] = {}

    def take(self, text: bytes, counting: Counting) -> int:
        """Count what is new in the file of the histograms; so many calls."""
        entries: dict[tuple[bytes, ...], list[int]] = {}
        found = [each for each in HISTOGRAM.finditer(text) if (each['filter'] or b'') in self._patterns]
        hits = 0
        for each in found:
            filter_ = each['filter'] or b''
            histogram, pattern = self._patterns[filter_]
            count = len(histogram.keys)
            for groups in pattern.findall(each['entries']):
                texts = groups if isinstance(groups, tuple) else (groups,)
                now = entries.setdefault((filter_, *texts[:count]), [0] * (len(texts) - count))
                # names may differ in blanks behind them
                now[:] = map(operator.add, now, map(int, texts[count:]))
            hits += int(each['hits'])
        self.missing = len(found) < len(self._patterns)
        self.dropped = sum(int(each['dropped']) for each in found)
        self._hits = hits + self.dropped
        self.unread = max(0, hits - sum(now[0] for now in entries.values()))
        return sum(self._count(key, now, counting) for key, now in entries.items())

    def take_kept(self, made: Histogram, text: bytes) -> None:
        """Take what was not made a pair, from the file of a histogram that keeps: what found no room, and the
        returns whose entry was not seen."""
        found, pair = list(HISTOGRAM.finditer(text)), made.event.pair or Pair()
        dropped = sum(int(each['dropped']) for each in found)
        self.dropped += dropped
        self._hits += dropped * (not pair.entry)        # entries, whose returns are known to make no pair
        if pair.entry and not pair.condition:
            self.returns = sum(int(each['hits']) for each in found)
            self.alone = max(0, self.returns - self._hits)

    def _count(self, key: tuple[bytes, ...], now: list[int], counting: Counting) -> int:
        """Count what an entry has more than before."""
        before = self._seen.get(key, [0] * len(now))
        self._seen[key] = now
        times, *sums = [(new - old) % (1 << 64) for new, old in zip(now, before)]
        if not any((times, *sums)):
            return 0
        histogram, fields = self._patterns[key[0]][0], self.event.fields
        values, head = dict(histogram.words), {}
        for column, text in zip(histogram.keys, key[1:]):
            if column.field < 0:
                head[HEAD_GROUPS[column.title]] = text
            elif is_text(self.event, column):
                values[column.field] = f'"{decoded(text.rstrip(b" "))}"'
            elif column.how == 'log2':
                values[column.field] = str(1 << int(text))      # no number of the field: 2^63 is no s64
            else:
                values[column.field] = as_shown(fields[column.field], int(text))
        added = {number: signed(fields[number], value) for number, value in zip(histogram.sums, sums)}
        totals = []
        for number in (column.field for column in self.event.columns or () if column.adds):
            value = amount(values.get(number, ''))
            alike = None if value is None else times * value
            totals.append(added.get(number, alike))
            values.setdefault(number, '')
        counting.record(self.event, head, values, times, totals)
        return times

    def losses(self) -> list[str]:
        """What is not in the table."""
        up_to = 'up to ' if self.keep else ''           # of entries also those whose returns are not wanted
        lost = [f'{up_to}{self.dropped} with keys that found no room in the kernel'] if self.dropped else []
        lost += [f'{self.unread} in entries that cannot be read'] if self.unread else []
        return lost + [f'what the kernel does not show of the histograms of {self.event.name}'] * self.missing


def tallies(made: Sequence[Histogram]) -> list[Tally]:
    """One for each event that is counted by histograms."""
    keep = [each for each in made if each.keeps]
    counted = [each for each in made if not each.keeps]
    alike = [list(same) for _, same in itertools.groupby(counted, lambda each: each.event.head)]
    return [Tally(same, keep if made_of_others(same[0].event) else ()) for same in alike]


# ---- Pairs -------------------------------------------------------------------------------------------------
# A return with the entry of its call: what was fetched there, and the time since.

class Reading(NamedTuple):
    """What came of a field: as it is shown, as the kernel printed its parts, if that means anything."""
    text: bytes
    parts: tuple[bytes, ...]
    sure: bool = True


class OpenCall(NamedTuple):
    """A call that has begun."""
    key: tuple[str, str]                    # the event of its entries, its function as the kernel prints it
    stack: int                              # where the stack pointer was, -1 where nothing tells
    program: bool                           # whether it is in a program
    time: int                               # when it began, in microseconds
    readings: Sequence[Reading] = ()        # what was fetched then
    shown: bool = False                     # in a tree

    def shares_stack(self, other: OpenCall) -> bool:
        """Tell whether both are on one stack; those of interrupts and coroutines are far away."""
        near = abs(self.stack - other.stack) < (1 << 23 if self.program else 1 << 14)
        return near and self.program == other.program and -1 not in (self.stack, other.stack)


DEEPEST_RETURN = 64             # of nested calls in a thread of a program; uprobes.h, MAX_URETPROBE_DEPTH


class OpenCalls:
    """The entries whose returns have not come. A pair has the same task, function and stack pointer; what is
    deeper in the stack than an entry or a return that comes is over, though its return was not seen. An entry
    that is read behind its return (of two processors' buffers the kernel reads the one that has something) is
    over too."""

    def __init__(self, doubtful: Callable[[re.Match[bytes]], bool]) -> None:
        self.seen: dict[str, int] = collections.Counter()   # entries and returns, by their event
        self.alone: dict[str, int] = collections.Counter()  # returns not shown: their entry is unknown
        self.too_deep = 0                               # calls whose returns the kernel does not see
        self.times = Times(doubtful)
        self._doubtful = doubtful                       # whether something may be lost around a record
        self._late: dict[tuple[bytes, tuple[str, str]], int] = {}       # when the last of these came
        self._open: dict[bytes, list[OpenCall]] = {}    # by task, the innermost last
        self._entered: set[str] = set()                   # events whose entries have come
        self._popped: dict[bool, int] = {}              # what a return takes from the stack, by `program`

    @staticmethod
    def _here(event: Event, head: re.Match[bytes], match: re.Match[bytes] | None, entry: str) -> OpenCall:
        """Where a record is, as a call."""
        letter = event.definitions[0].letter[0] if event.definitions else 'e'
        stack, function = -1, entry.encode()
        if match and event.pair and event.pair.stack:
            stack = int(match[event.pair.stack], 0)
            function = match[1].rpartition(b'<- ')[2].strip(b'()').partition(b'+')[0]
        return OpenCall((entry, function.decode()), stack, letter in 'PR', time_of(head))

    def _reach(self, head: re.Match[bytes], here: OpenCall) -> list[OpenCall]:
        """The calls that are open when that is reached: not what was deeper in its stack; when a program runs
        nothing of its task is in the kernel, and when what was interrupted runs, no interrupt."""
        calls, still, over = self._open.get(task_of(head), []), [], False
        last = max((i for i, call in enumerate(calls) if call.shares_stack(here)), default=len(calls))
        for i, call in enumerate(calls):
            if call.shares_stack(here):
                gone = call.stack < here.stack
            elif call.program:
                gone = over and call.stack < 0          # a USDT probe's, inside what is over
            else:
                gone = here.program or i > last
            over = over or gone and call.program
            still += [] if gone else [call]
        return still

    def pass_by(self, event: Event, head: re.Match[bytes], match: re.Match[bytes] | None = None) -> int:
        """How many calls that are shown an event is in."""
        here = self._here(event, head, match, event.name)
        return self._keep(head, self._reach(head, here))

    @staticmethod
    def _without(calls: Sequence[OpenCall], call: OpenCall) -> list[OpenCall]:
        """The calls without one that is over, those that it ended in, and USDT probes' inside it."""
        at = next(i for i, each in enumerate(calls) if each is call)
        return [*calls[:at], *(each for each in calls[at + 1:] if each.stack not in (call.stack, -1) or
                               each.key[1] == call.key[1])]

    def _keep(self, head: re.Match[bytes], calls: list[OpenCall]) -> int:
        if calls:
            self._open[task_of(head)] = calls
        else:
            self._open.pop(task_of(head), None)
        return sum(call.shown for call in calls)

    def enter(self, event: Event, head: re.Match[bytes], match: re.Match[bytes], readings: Sequence[Reading],
              shown: bool = False) -> int:
        """Keep an entry; how many calls that are shown it is in. One alike at that stack pointer is over, or
        this is another round of it."""
        here = self._here(event, head, match, event.name if event.pair and event.pair.stack else event.label)
        self.seen[event.name] += 1
        self._entered.add(here.key[0])
        calls = self._reach(head, here)
        alike = [call for call in calls if call[:2] == here[:2] and here.stack >= 0]
        if alike and event.loop:
            return self._keep(head, calls)
        for again in alike:
            calls = self._without(calls, again)
        over = self._late.pop((task_of(head), here.key), -1) >= here.time
        self.too_deep += here.program and sum(call.program for call in calls) >= DEEPEST_RETURN
        depth = sum(call.shown for call in calls)
        self._keep(head, calls if over else [*calls, here._replace(readings=readings, shown=shown)])
        return depth

    def leave(self, event: Event, head: re.Match[bytes], match: re.Match[bytes]
              ) -> tuple[OpenCall, int] | None:
        """The call that returns, and how long it took; None where its entry was not seen."""
        assert event.pair
        here = self._here(event, head, match, event.pair.entry or event.label)
        self.seen[event.name] += 1
        found = [call for call in self._open.get(task_of(head), ()) if call.key == here.key]
        stack, word = here.stack, event.arch.word
        if stack < 0:
            found = found[-1:]
        else:
            known = self._popped.get(here.program)
            popped = (0, word) if known is None else (known,)       # x86 returns by its stack
            found = [call for call in found if stack - call.stack in popped]
            here = here._replace(stack=found[0].stack if found else here.stack - word)
        if len(found) != 1 or self._doubtful(head):
            self._keep(head, [call for call in self._reach(head, here) if call not in found])
            self._late[task_of(head), here.key] = here.time
            if not self.stands_alone(event):
                self.alone[event.name] += 1
            return None
        call = found[0]
        if stack >= 0:
            self._popped[here.program] = stack - call.stack
        self._keep(head, self._without(self._reach(head, here), call))
        return call, here.time - call.time

    def stands_alone(self, event: Event) -> bool:
        """Tell whether a tree shows a return without its entry: if no filter takes calls, and some began."""
        pair = event.pair
        begun = pair and (pair.entry or event.label) in self._entered
        return bool(begun and pair and not pair.condition and event.role == 'return')

    def complete(self, event: Event, head: re.Match[bytes], match: re.Match[bytes],
                 readings: list[Reading]) -> list[Reading]:
        """What is known of what ends, in the order shown; [] for a return whose entry was not seen."""
        assert event.pair
        by_place = {'': iter(readings)}
        if event.pair.entry:
            left = self.leave(event, head, match)
            if not left:
                return []
            by_place.update(entry=iter(left[0].readings), dur=itertools.repeat(time_reading(left[1])))
        known = {field.name: next(by_place[field.when]) for field in event.pair.fields if not field.since}
        return [self.times.since(event, field, head, known) if field.since else known[field.name]
                for field in event.pair.fields]

    def begin(self, event: Event, head: re.Match[bytes], known: Mapping[str, Reading],
              let_through: bool = True) -> None:
        """Keep a record that times count from; one that its filter stops is none, but for its own times."""
        for begin in event.begins:
            if let_through or begin.event == event.name:
                self.times.begin(begin, event, head, known)
        if event.unshown:
            self.seen[event.name] += 1

    def lost(self) -> None:
        """Something was lost: it may have been a return and another entry of the same stack pointer."""
        self._open.clear()
        self._late.clear()
        self.times.lost()


class Times:
    """The events that times count from, $dur(NAME). Each is the beginning of one time for each that names
    it: one that ends again after an end, or without a beginning, has none."""
    MOST = 1 << 16                                      # that are kept; what begins and never ends has an end

    def __init__(self, doubtful: Callable[[re.Match[bytes]], bool]) -> None:
        self.given_up = 0
        self._doubtful = doubtful
        self._times: dict[tuple[object, ...], int] = {}     # when it began, the oldest first
        self._ended: dict[tuple[object, ...], int] = {}     # when an end came without a beginning

    @staticmethod
    def _key(begin: tuple[str, str], names: Iterable[str], head: re.Match[bytes],
             known: Mapping[str, Reading]) -> tuple[object, ...] | None:
        """What both ends have in common, None where it could not be read."""
        readings = [known.get(name) or Reading(b'', (of_head(name, head).encode(),)) for name in names]
        if not all(reading.sure for reading in readings):
            return None
        texts = [decoded(part) for reading in readings for part in reading.parts]
        values = [text if amount(text) is None else amount(text) for text in texts]     # in whichever base
        return (*begin, *values) if values else (*begin, task_of(head))

    def _keep(self, times: dict[tuple[object, ...], int], key: tuple[object, ...], time: int) -> bool:
        """Keep a time as the newest; whether the oldest had to go."""
        times.pop(key, None)
        times[key] = time
        if len(times) <= self.MOST:
            return False
        del times[next(iter(times))]
        return True

    def begin(self, begin: Begin, event: Event, head: re.Match[bytes], known: Mapping[str, Reading]) -> None:
        """Keep a record that others count from; not one that is read late, behind its end (of two processors'
        buffers the kernel reads the one that has something)."""
        key, time = self._key(begin[:2], begin.fields, head, known), time_of(head)
        if key and (self._ended.pop(key, -1) < time or begin.event == event.name):
            self.given_up += self._keep(self._times, key, time)

    def since(self, event: Event, field: Field, head: re.Match[bytes], known: Mapping[str, Reading]
              ) -> Reading:
        """The time since what begins this record."""
        assert field.since
        names = [here for here, _ in field.since.fields]
        key, time = self._key((event.name, field.name), names, head, known), time_of(head)
        if key and self._times.get(key, time + 1) <= time:
            began = self._times.pop(key)
            if not self._doubtful(head):
                return time_reading(time - began)
        if key:
            self._keep(self._ended, key, time)
        return Reading(f'(no {field.since.event})'.encode(), (b'0',), False)

    def lost(self) -> None:
        """Something was lost: an end, and the next beginning."""
        self._times.clear()
        self._ended.clear()


def task_of(head: re.Match[bytes]) -> bytes:
    """The thread of a record; each processor has an idle one, with the number 0."""
    return head['pid'] if head['pid'] != b'0' else head['cpu'] + b'/0'


def time_of(head: re.Match[bytes]) -> int:
    """When a record was written, in microseconds."""
    return int(head['time'].replace(b'.', b''))


def time_reading(microseconds: int) -> Reading:
    """A time as what came of a field, in nanoseconds."""
    return Reading(time_text(microseconds).encode(), (b'%d' % (1000 * microseconds),))


def time_text(microseconds: int) -> str:
    """A time, whole, in a unit that suits it."""
    for unit, size in (('s', 1000000), ('ms', 1000)):
        if microseconds >= size:
            whole, part = divmod(microseconds, size)
            return f'{whole}.{part:0{len(str(size)) - 1}}{unit}'
    return f'{microseconds}us'


def holds(filter_: Filter, known: Mapping[str, tuple[Field | None, Reading]], negated: bool = False) -> bool:
    """Judge a filter as the kernel does: of what could not be read nothing is true, its negation neither."""
    if isinstance(filter_, Not):
        return holds(filter_.inner, known, not negated)
    if isinstance(filter_, Junction):
        parts = (holds(part, known, negated) for part in filter_.parts)
        return all(parts) if (filter_.op == '&&') != negated else any(parts)
    field, reading = known[filter_.field]
    return reading.sure and compared(filter_, field, reading) != negated


def compared(compare: Compare, field: Field | None, reading: Reading) -> bool:
    """Judge a comparison with a value that could be read."""
    kind, op = field.kind or 'string' if field else 's64', compare.op
    if kind in STRINGS:
        is_path = field and field.format and field.format.word.startswith('path(')
        text, asked = (reading.parts[0] if is_path else reading.text)[1:-1], encoded(compare.value)
        if op == '~':
            return fnmatch.fnmatchcase(text, asked)                     # bytes: for the kernel ? is one
        return (text == asked) == (op == '==')
    parts = [ord(part[1:2]) if kind == 'char' else int(part, 0) for part in reading.parts]
    format_ = field.format if field else None
    if kind == 'char' and compare.quoted:
        wanted: tuple[int, ...] = (ord(compare.value),)
    else:
        wanted = numbers_of(compare.value, format_.parse if format_ else plain_number)
    if op in ('==', '!='):
        fetches = field.fetches if field else ()
        sizes = [bit_width(fetch.kind) or 8 * fetch.size() for fetch in fetches] or [64]
        alike = all((one - other) % (1 << size) == 0 for one, other, size in zip(parts, wanted, sizes))
        return alike == (op == '==')
    if format_ and format_.signed:
        parts, wanted = [extended(str(parts[0]), format_.signed)], (extended(str(wanted[0]), format_.signed),)
    compared_by = {'<': operator.lt, '<=': operator.le, '>': operator.gt, '>=': operator.ge,
                   '&': operator.and_}
    return bool(compared_by[op](parts[0], wanted[0]))


# ---- Decoding ----------------------------------------------------------------------------------------------
# The lines of trace_pipe.


# How records are shown


# What begins a record (kernel/trace/trace_output.c, trace_print_context): "%16s-%-7d ". The task's name is at
# most 15 bytes of any kind, too few for a head of its own; a frame of a user stack may read like one.
HEAD = (rb' (?P<task>(?s:.{15}))-(?=[\d ]{6})(?P<pid>\d+) +(?:\( *(?P<tgid>[\d-]+)\) +)?'
        rb'\[(?P<cpu>\d{3,})\] (?:\S{5} )? *(?P<time>\d+\.\d{6}): (?P<event>\w+(?:: |\(| -> ))?')
HEADS = regex(rb'^' + HEAD, re.M)
HEADS_AMONG_FRAMES = regex(rb'^(?! => (?:.*\[\+0x[0-9a-f]+\]| <[0-9a-f]+>|\?\?)$)' + HEAD, re.M)
WIDEST_LABEL = 24                           # the names of events that are shown in a column
TEMPLATE = regex(r'(?P<text>(?:[^{}]|\{\{|\}\})+)|\{(?P<name>\w+)(?::(?P<width>[<>^]?[1-9]\d{0,2}))?\}|[{}]')
NO_STACK = ['(no stack)']
BOLD, CYAN, PLAIN_AGAIN = b'\x1b[1m', b'\x1b[36m', b'\x1b[0m'
IN_COLOUR = regex(rb'"[^"]*"|\{[^}]*\}|(^| )(\w+)=')
FieldReadings = Sequence[tuple[Field, Reading]]
Cells = Sequence[bytes]


def visible(line: bytes) -> bytes:
    """printable() of the bytes of a line, whose end stays."""
    end = b'\n' * line.endswith(b'\n')
    return printable(decoded(line[:len(line) - len(end)])).encode() + end


def with_names(pairs: FieldReadings, before: bytes = b'', behind: bytes = b'') -> list[bytes]:
    """What is shown of each field; its name is between those two."""
    return [b'%s%s%s=%s' % (before, field.name.encode(), behind, visible(reading.text))
            for field, reading in pairs if not field.hidden]


class Raw:
    """The kernel's own lines, in which only values that cannot be trusted, and formats, are other."""
    in_blocks = True                                    # whether rows() shows plain records
    holds_stacks = False                                # whether an event is shown when its stack has come
    process_of: Callable[[int], int] = staticmethod(lambda tid: 0)      # of a thread; 0: see its record

    def label(self, event: Event) -> str:
        """What an event is called."""
        return event.name

    def titles(self) -> str:
        """What stands above the columns, where these are named."""
        return ''

    def head(self, head: re.Match[bytes]) -> bytes:
        """What a line begins with: the task, the processor, the time."""
        return visible(head[0][:head.start('event') - head.start()] if head['event'] else head[0])

    def line(self, head: re.Match[bytes], event: Event, place: bytes, pairs: FieldReadings) -> bytes:
        """A record: its place, or what the kernel prints of an event of its own; its values."""
        return b' '.join([visible(head[0] + place), *with_names(pairs)]) + b'\n'

    def rows(self, task: Cells, time: Cells, names: Cells, values: Cells) -> bytes:
        """Plain records, a line each: task and processor, time, name with place, values."""
        return interleaved(task, time, [b': '] * len(task), names, values, [b'\n'] * len(task))

    def remark(self, head: re.Match[bytes], text: bytes) -> bytes:
        """A word in the place of a record's values, or a record of nobody's."""
        return self.head(head) + (head['event'] or b'') + visible(text) + b'\n'

    def stack(self, head: re.Match[bytes], title: bytes, frames: Sequence[bytes]) -> bytes:
        """A stack; the title says whose."""
        return b''.join([self.remark(head, title), *(visible(frame) + b'\n' for frame in frames)])

    def with_stacks(self, shown: bytes, stacks: Mapping[str, Sequence[str]]) -> bytes:
        """What is shown of an event with its stacks, where it waits for them."""
        raise NotImplementedError

    def other(self, line: bytes) -> bytes:
        """A line that is no record, and no frame that belongs to one."""
        return visible(line) + b'\n'

    def tables(self, counting: Counting, top: int | None, unsure: str, time: str = '',
               begin: str = '') -> str:
        """The tables, with the time where they are not the last ones; `unsure` says what is missing."""
        return f'{begin}{time}\n' * bool(time) + counting.text(top, unsure) + '\n' * bool(time)

    def lost(self) -> None:
        """Something was lost: what comes need not belong to what came."""


class Text(Raw):
    """A line for people and pipes: the time, in seconds since the first record, since the one before (`clock`
    is 'delta'), or the time of day ('wall': `zero`, in microseconds, is added to a record's); the task with
    its number, the event, its place where that says more, the values."""

    _form = '%H:%M:%S.%%06d '                           # of the time of day, but for the microseconds

    def __init__(self, events: Sequence[Event], clock: str = '', zero: int = 0, cpu: bool = False,
                 colour: bool = False) -> None:
        self._events = {event.head: event for event in events}
        self._labels = told_apart([event for event in events if not event.unshown], line_label)
        self.places: Callable[[Event, bytes], tuple[str, str]] = caller_and_place
        self._clock, self._zero, self._cpu, self._colour = clock, zero, cpu, colour
        self._since: float | None = None                # the time of the first record, or the one before
        self._task = functools.lru_cache(1 << 12)(self._task_and_cpu)
        self._where = functools.lru_cache(1 << 12)(self._event_and_place)
        self._second = functools.lru_cache(8)(functools.partial(local_time, self._form))
        widths = [len(label) for label in self._labels.values() if len(label) <= WIDEST_LABEL]
        self._width = max(widths, default=0) + 1 if len(self._labels) > 1 else 0
        self._above: tuple[bytes, ...] = ()             # the task and processor of the line above

    def label(self, event: Event) -> str:
        return self._labels.get(event.head, event.name)

    def titles(self) -> str:
        time = 'TIME'.rjust(15 if self._clock == 'wall' else 10)
        return f"{time} {'TASK-PID':18} {'CPU   ' * self._cpu}EVENT\n"

    def head(self, head: re.Match[bytes]) -> bytes:
        time, = self._times([head['time']])
        return time + self._task(head[0][:head.start('time') - head.start()])

    def _process(self, thread: bytes, printed: bytes | None) -> int:
        """The process of a thread, 0 where nothing tells it or the kernel prints none; see WantedTasks."""
        known = int(printed) if printed and printed.isdigit() else 0
        return (self.process_of(int(thread)) or known) if printed else 0

    def _task_text(self, text: bytes) -> bytes:
        """A task, from what the kernel prints: NAME-THREAD(PROCESS), where these are two."""
        name, _, numbers = text.rpartition(b'-') if b'(' not in text[17:] else (text[:16], b'-', text[17:])
        thread, printed = re.findall(rb'(\d+) *(?:\( *([\d-]+)\))?', numbers)[0]
        process = b'%d' % self._process(thread, printed)
        more = b'' if process in (b'0', thread) else b'(%s)' % process
        return b'%s ' % visible(b'%s-%s%s' % (name.lstrip(b' '), thread, more)).ljust(18)

    def _task_and_cpu(self, text: bytes) -> bytes:
        task, _, cpu = text.rpartition(b'[')
        return self._task_text(task) + (b'[' + cpu.split(b' ')[0] + b' ') * self._cpu

    def line(self, head: re.Match[bytes], event: Event, place: bytes, pairs: FieldReadings) -> bytes:
        self._above = head['pid'], head['cpu']
        if not event.definitions:
            text = IN_COLOUR.sub(in_colour, visible(place)) if self._colour else visible(place)
            return self.head(head) + self._where(event.head) + text + b'\n'
        values = with_names(pairs, CYAN, PLAIN_AGAIN) if self._colour else with_names(pairs)
        return b' '.join([self.head(head) + self._where(event.head + place), *values]) + b'\n'

    def rows(self, task: Cells, time: Cells, names: Cells, values: Cells) -> bytes:
        if self._colour:
            values = list(map(functools.partial(IN_COLOUR.sub, in_colour), values))
        tasks, events = list(map(self._task, task)), list(map(self._where, names))
        return interleaved(self._times(time), tasks, events, values, [b'\n'] * len(task))

    def remark(self, head: re.Match[bytes], text: bytes) -> bytes:
        name = self._where(head['event']) if head['event'] else b''
        return self.head(head) + name.rstrip() + b' ' * bool(name) + visible(text) + b'\n'

    def stack(self, head: re.Match[bytes], title: bytes, frames: Sequence[bytes]) -> bytes:
        text = super().stack(head, title, frames)
        follows = self._above == (head['pid'], head['cpu'])
        self.lost()
        return text.partition(b'\n')[2] if follows else text

    def lost(self) -> None:
        self._above = ()

    def _times(self, times: Sequence[bytes]) -> Sequence[bytes]:
        """What is shown of times, with a blank behind it."""
        if self._clock == 'wall':
            return list(map(self._of_day, times))
        seconds = list(map(float, times))               # exact to the microsecond for 285 years
        since = seconds[0] if self._since is None else self._since
        self._since = seconds[-1] if self._clock == 'delta' else since
        before = [since, *seconds] if self._clock == 'delta' else itertools.repeat(since)
        all_at_once = b'%10.6f \n' * len(seconds) % tuple(map(operator.sub, seconds, before))
        return all_at_once.split(b'\n')[:-1]

    def _time(self, head: re.Match[bytes]) -> object:
        time, = self._times([head['time']])
        return decoded(time).strip(' ')

    def _known(self, head: re.Match[bytes], event: Event | None = None, place: bytes = b''
               ) -> dict[str, object]:
        """What is known of a record, and its event, by the names of --json and --format."""
        process = self._process(head['pid'], head['tgid'])
        known = {'time': self._time(head), 'comm': decoded(head['task']).lstrip(' '), 'pid': int(head['pid']),
                 **({'tgid': process} if process else {}), 'cpu': int(head['cpu']),
                 **({'event': self.label(event)} if event else {})}
        if event and not event.definitions:
            known['text'] = decoded(head['event'] + place)
        elif event and event.probe.kind != 'e':
            caller, known['function'] = self.places(event, place)
            known.update({'caller': caller} if caller else {})
        return known

    def _of_day(self, time: bytes) -> bytes:
        second, micros = divmod(int(time.replace(b'.', b'')) + self._zero, 1000000)
        return self._second(second) % micros

    def _event_and_place(self, text: bytes) -> bytes:
        """What is shown of the name of an event with its place."""
        event = self._events.get(text[:text.find(b': ') + 2])
        if not event:
            return text                                 # a system call, which looks like C
        label = f'{self._labels[event.head]}:'
        pad = ' ' * (self._width - len(label))
        kernels = text[len(event.head):] if event.definitions else b''
        place = shown_place(event, *self.places(event, kernels)) if kernels else ''
        texts = [label, pad, f' ({place})' if place else ' ' * (not event.definitions)]
        if event.definitions and not event.fields:
            texts[1:] = [''.join(texts[1:]).rstrip()]
        shown = [visible(encoded(each)) for each in texts]
        return b''.join([BOLD, shown[0], PLAIN_AGAIN, *shown[1:]] if self._colour else shown)


class Json(Text):
    """An object a line; its keys tell what it is: an event has `values`, one of the kernel's own `text`, what
    is none `lost`, `stack` or `error`."""
    in_blocks, holds_stacks = False, True
    _form = '%Y-%m-%dT%H:%M:%S.%%06d%z '                # with a colon in the zone: RFC 3339

    def __init__(self, events: Sequence[Event], clock: str = '', zero: int = 0) -> None:
        import json
        super().__init__(events, clock, zero)
        self._dumps = json.dumps

    def line(self, head: re.Match[bytes], event: Event, place: bytes, pairs: FieldReadings) -> bytes:
        known = self._known(head, event, place)
        if event.definitions:
            known['values'] = {field.name: typed(field, reading) for field, reading in pairs
                               if not field.hidden}
        return self._line(known)

    def remark(self, head: re.Match[bytes], text: bytes) -> bytes:
        event = self._events.get(head['event'] or b'')
        named = {'event': self.label(event)} if event else {}
        return self._line({**self._known(head), **named, 'error': decoded(text).strip('()')})

    def stack(self, head: re.Match[bytes], title: bytes, frames: Sequence[bytes]) -> bytes:
        lines = [decoded(frame).replace(' => ', '', 1) for frame in frames]
        return self._line({**self._known(head), 'user_stack' if b'user' in title else 'stack': lines})

    def with_stacks(self, shown: bytes, stacks: Mapping[str, Sequence[str]]) -> bytes:
        named = {{'kernel': 'stack', 'user': 'user_stack'}[kind]: None if frames == NO_STACK else frames
                 for kind, frames in stacks.items()}
        return b'%s, %s\n' % (shown[:-2], self._dumps(named).encode()[1:])

    def other(self, line: bytes) -> bytes:
        lost = re.match(rb'CPU:(\d+) \[LOST (?:(\d+) )?EVENTS\]', line)
        if lost:
            return self._line({'lost': int(lost[2]) if lost[2] else None, 'cpu': int(lost[1])})
        return self._line({'error': decoded(line)})

    def tables(self, counting: Counting, top: int | None, unsure: str, time: str = '',
               begin: str = '') -> str:
        more = {name: text for name, text in (('at', time), ('missing', unsure)) if text}
        rows = [{**row, **more} for table in counting.tables for row in table.objects(top)]
        return ''.join(self._dumps(row) + '\n' for row in rows)

    def _line(self, known: Mapping[str, object]) -> bytes:
        return self._dumps(known).encode() + b'\n'

    def _time(self, head: re.Match[bytes]) -> object:
        time, = self._times([head['time']])
        return f'{time[:-3].decode()}:{time[-3:-1].decode()}' if self._clock == 'wall' else float(time)


TEMPLATE_NAMES = ('time', 'task', 'comm', 'pid', 'tgid', 'cpu', 'event', 'function', 'caller', 'text')


class Template(Text):
    """Lines as --format wants them: {NAME} is a value of the event, else what is known of the record."""
    in_blocks = False

    def __init__(self, template: str, events: Sequence[Event], clock: str = '', zero: int = 0) -> None:
        super().__init__(events, clock, zero)
        pairs = [event.every_field for event in events if not event.unshown]
        self._named = {field.name for fields in pairs for field in fields if not field.hidden}
        self._parts = []
        for match in TEMPLATE.finditer(template):
            with located(template, '--format', (match.start(), match.end())):
                if not (match['text'] or match['name']):
                    refuse('{NAME} stands for a value, {NAME:>8} pads it; {{ and }} are braces')
                if match['name'] and match['name'] not in (*TEMPLATE_NAMES, *self._named):
                    names = dict.fromkeys((*sorted(self._named), *TEMPLATE_NAMES))
                    hint = near(match['name'], names) or f"; there are {', '.join(names)}"
                    refuse(f"nothing is called '{match['name']}'{hint}")
            text = (match['text'] or '').replace('{{', '{').replace('}}', '}')
            self._parts.append((text, match['name'], match['width'] or ''))

    def line(self, head: re.Match[bytes], event: Event, place: bytes, pairs: FieldReadings) -> bytes:
        self._above = head['pid'], head['cpu']
        task = self._task_text(head[0][:head.start('cpu') - head.start() - 1])
        known = {'task': decoded(task).strip(' '), 'text': decoded(b' '.join(with_names(pairs))),
                 **self._known(head, event, place), **dict.fromkeys(self._named, '')}
        known.update((field.name, decoded(reading.text)) for field, reading in pairs)
        parts = (text or format(printable(str(known.get(name, '')) or '-'), width)
                 for text, name, width in self._parts)
        return ''.join(parts).encode() + b'\n'


def interleaved(*columns: Cells) -> bytes:
    """The cells of columns of one length, row by row."""
    cells = [b''] * (len(columns) * len(columns[0]))
    for number, column in enumerate(columns):
        cells[number::len(columns)] = column
    return b''.join(cells)


def in_colour(match: re.Match[bytes]) -> bytes:
    """The name of a value, in colour; what is no name as it is."""
    return b'%s%s%s%s=' % (match[1], CYAN, match[2], PLAIN_AGAIN) if match[2] else match[0]


def local_time(form: str, second: int) -> bytes:
    """The time here, in a form of strftime."""
    import time
    return time.strftime(form, time.localtime(second)).encode()


def line_label(event: Event) -> str:
    """What an event is called: its name, else its function with its program, behind an arrow at a return."""
    if event.probe.event or not event.definitions:
        return event.name
    program = f" ({os.path.basename(event.program.path).split('.so')[0]})" if event.program else ''
    return '<- ' * (event.probe.kind in 'rR') + place_label(event) + program


def place_label(event: Event) -> str:
    """The function, or place in one, that the user has named."""
    place = event.probe.place
    if place.function and not place.glob and place.line is None:
        return f'{place.function}+{place.offset:#x}' if place.offset else place.function
    label = table_label(event)
    if event.program or len(event.definitions) > 1:
        return label
    return re.sub(r'\+(\d+)$', lambda offset: f'+{int(offset[1]):#x}', label.rpartition(':')[2])


def shown_place(event: Event, caller: str, here: str) -> str:
    """What a record's place says beyond the event: '' at its function's entry; of a return, who called."""
    if event.probe.kind in 'eu':
        return ''
    alike = here == place_label(event)
    if event.probe.kind in 'rR':
        return caller if alike and not event.probe.event else f'{caller} <- {here}'
    return '' if alike and not event.probe.event else here


def caller_and_place(event: Event, text: bytes) -> tuple[str, str]:
    """From where a function was called ('' but at a return), and where it was hit, as names with offsets."""
    *caller, here = text[1:-1].decode().split(' <- ')
    if not event.program:
        short = [re.sub(r'(?:\+0x0)?/0x[0-9a-f]+', '', each) for each in (*caller, here)]
        here = short[-1].partition(' [')[0]
        name, _, offset = here.partition('+')           # an entry that begins with endbr is probed behind it
        places = {definition.place.rpartition(':')[2] for definition in event.definitions}
        moved = offset and name in places and f'{name}+{int(offset, 16)}' not in places
        return ''.join(short[:-1]), name if moved else here
    bias = load_bias(event, int(here, 16))
    if bias is None:
        return ''.join(caller), here
    names = [function_and_offset(event.program, int(each, 16) - bias) or each for each in (*caller, here)]
    place = event.probe.place
    single = len(event.definitions) == 1 and place.function and place.line is None and event.probe.kind != 'u'
    return ''.join(names[:-1]), place_label(event) if single else names[-1]


def load_bias(event: Event, address: int) -> int | None:
    """How far from its link-time address a program is in memory, by the place of the event that is there;
    None where it may be one of several. Memory is mapped in pages."""
    assert event.program
    found = set()
    for definition in event.definitions:
        offset = re.search(r':(0x[0-9a-f]+)(?:\(0x[0-9a-f]+\))?$', definition.place)
        linked = event.program.executable.code_at(int(offset[1], 16)) if offset else None
        if linked is not None and (address - linked) % 4096 == 0:
            found.add(address - linked)
    return found.pop() if len(found) == 1 else None


def function_and_offset(program: Program, address: int, start: str = '') -> str:
    """function+0x12 for a link-time address in a program's code, with `start` for +0; '' without a name."""
    in_code = any(part.code and part.address <= address < part.address + part.size
                  for part in program.executable.segments)
    symbol = program.symbols.symbol_at(address) if in_code else None
    if not symbol:
        return ''
    name = demangled(symbol.name) or symbol.name
    return name + (f'+{address - symbol.address:#x}' if address != symbol.address else start)


def typed(field: Field, reading: Reading) -> object:
    """A value for JSON: a number, a text, an array, of a struct an object, None for (null), an object where
    there is no value."""
    text = decoded(reading.text)
    if not reading.sure or field.when == 'dur':
        return int(reading.parts[0]) // 1000 if reading.sure else missing(text)
    kinds = [fetch.kind for fetch in field.fetches]
    return typed_parts(field.format, kinds, [decoded(part) for part in reading.parts], text)


def typed_parts(format_: Format | None, kinds: list[str], parts: list[str], text: str = '') -> object:
    """The same of its parts, as the kernel prints them, and of what is shown."""
    if format_ and format_.members:
        values = {}
        for name, own in format_.members:
            count = len(own.takes) if own else 1
            values[name] = typed_parts(own, kinds[:count], parts[:count])
            kinds, parts = kinds[count:], parts[count:]
        return values
    text, (kind, _, length) = text or (format_.show(parts) if format_ else parts[0]), kinds[0].partition('[')
    if format_ and length and text[0] == '{':
        return [value_shown(each) for each in text[1:-1].split(',')]
    if format_:
        return value_shown(text)
    return elements(text[1:-1], kind, int(length[:-1])) if length else element(text, kind or 'string')


def element(text: str, kind: str) -> object:
    """A value of that fetch type, as the kernel prints it."""
    if kind in STRINGS or kind == 'char':
        return missing(text) if text == '(fault)' else text[1:-1]
    return text if kind == 'symbol' else int(text, 0)


def elements(text: str, kind: str, count: int) -> object:
    """Those of an array, without its braces; texts may hold anything."""
    if kind == 'char':
        return list(text[1::4])
    if kind not in STRINGS:
        return [element(each, kind) for each in text.split(',')]
    parts = re.split(r',(?=["(])', text)
    if len(parts) != count or not all(re.fullmatch(r'(?s)".*"|\(fault\)', part) for part in parts):
        return {'error': 'a string in it reads like other values', 'text': text}
    return [missing(part) if part[0] == '(' else part[1:-1] for part in parts]


# The records themselves


STACK = regex(rb'<(user )?stack trace>\n')
FRAME = regex(rb' => (/.*)\[\+0x([0-9a-f]+)\]')
# In the place of records: those that were overwritten, one whose text is longer than the kernel's own buffer
LOST = regex(rb'^(?:CPU:(\d+) \[LOST (?:(\d+) )?EVENTS\]|\[LINE TOO BIG\])\n', re.M)
BETWEEN = regex(rb'^(?:CPU:\d+ \[LOST .*|\[LINE TOO BIG\]| =>.*|<(?:user )?stack trace>)\n', re.M)
PLAIN = rb'[ -~]'                                       # what may go to a terminal without a look
FAST_PLACE = rb'\([ -(*-~]*\)'
PLAIN_HEAD = rb' %s[ -~]{15})-(?=[\d ]{6})%s\d+) +(?:\([ \d-]+\) +)?\[%s\d{3,})\] (?:\S{5} )? *'   # 3 groups
FAST_HEAD = rb'(?! =>)(' + PLAIN_HEAD % ((rb'(?:',) * 3) + rb')([\d.]+): '
UNFINISHED = 1 << 16                                    # bytes of a record whose end is still waited for


class Record(NamedTuple):
    """A record in a block."""
    head: re.Match[bytes]
    event: Event | None                     # that is traced
    text: bytes                             # from its head up to the next record
    whole: bool                             # whether its seal is in it
    last: bool                              # whether the block ends with it


class Awaited(NamedTuple):
    """A record of a task whose stacks of some kinds come next, and what counts by its own."""
    event: Event
    pid: bytes
    shown: bool                                         # not counted, nor stopped by a filter
    count_by: Callable[[Sequence[str]], None] | None
    kinds: set[str]
    held: list[bytes]                                   # what is shown of it when they have come
    stacks: dict[str, Sequence[str]]                    # those that have

    def give(self, kind: str, frames: Sequence[str]) -> None:
        """Give it a stack; what is counted is counted by the own one alone."""
        self.kinds.discard(kind)
        self.stacks[kind] = frames
        if self.count_by and kind == own_stack(self.event):
            self.count_by(frames)


MOST_AWAITED = 8                            # of a task and what interrupts it; kernel threads have no +ustack


def own_stack(event: Event) -> str:
    """Whose stack says something about it."""
    return 'user' if event.probe.kind in 'PRu' else 'kernel'


def stacks_of(event: Event, every: bool) -> frozenset[str]:
    """The kinds of stacks that are wanted of an event, where `every` event's own is to be shown."""
    own = [own_stack(event)] * (every or by_stack(event))
    return frozenset([*own, *(STACK_WORDS[word] for word in event.probe.stacks)])


def counted_values(pairs: FieldReadings) -> list[str]:
    """What a table shows of each field: times in microseconds."""
    return [str(int(reading.parts[0]) // 1000) if field.when == 'dur' and reading.sure else
            decoded(reading.text) for field, reading in pairs]


def judged(pair: Pair, head: re.Match[bytes], readings: Sequence[Reading]) -> bool:
    """Tell whether a pair is let through by the part of the filter that the kernel could not judge."""
    if not pair.condition:
        return True
    known: dict[str, tuple[Field | None, Reading]] = {
        'common_pid': (None, Reading(b'', (head['pid'],))),
        'cpu': (None, Reading(b'', (b'%d' % int(head['cpu']),)))}
    by_name = {field.name: (field, reading) for field, reading in zip(pair.fields, readings)}
    known.update((name, by_name[field.name]) for name, field in named_in(pair.fields).items())
    return holds(pair.condition, known)


UNSEEN = b'  (its entry was not seen)'


def called(event: Event, pairs: FieldReadings) -> bytes:
    """A function as a tree shows it, with what was fetched."""
    values = with_names(pairs)
    return encoded(event.label) + (b'(%s)' % b', '.join(values) if values else b'')


def result(event: Event, pairs: FieldReadings) -> bytes:
    """The same at its return, with what it returned."""
    if event.probe.kind in 'rR':
        return called(event, ()) + b''.join(b' = ' + reading.text for _, reading in pairs)
    return called(event, pairs)


class Gaps:
    """What was lost on a processor before a record of another one, and is told only behind it: with the next
    record of its own. A thread that was there meanwhile may have ended one call and begun another. `overruns`
    has what each processor has lost by now."""

    def __init__(self) -> None:
        self.overruns: Callable[[], Mapping[int, int]] = dict
        self.lost: Mapping[int, int] = {}               # when it was last asked
        self._told: dict[int, int] = {}
        self._records: Sequence[Record] = ()
        self._around: set[int] | None = None            # where the records begin that it is true of

    def read(self, records: Sequence[Record]) -> None:
        """Take the records of the next block."""
        self._records, self._around = records, None

    def tell(self, cpu: int, count: int) -> None:
        """So much of what that processor has lost is known."""
        self._told[cpu] = self._told.get(cpu, 0) + count

    def around(self, head: re.Match[bytes]) -> bool:
        """Tell whether something may be lost elsewhere, around that record."""
        if self._around is None:
            self._around = set()
            self.lost = self.overruns()
            gaps = {cpu for cpu, lost in self.lost.items() if lost > self._told.get(cpu, 0)}
            for record in reversed(self._records if gaps else ()):
                cpu = int(record.head['cpu'])
                gaps.update(int(lost[1]) for lost in LOST.finditer(record.text) if lost[1])
                if gaps - {cpu}:
                    self._around.add(record.head.start())
                gaps.discard(cpu)
        return head.start() in self._around


class WantedTasks:
    """The threads and processes whose records are shown, by their numbers; none: all. Until a thread has left
    its processor once, the kernel prints no process of it, or that of an older thread of its number."""

    def __init__(self, numbers: frozenset[int], process_of: Callable[[int], int]) -> None:
        self.numbers, self.process_of = numbers, functools.cache(process_of)
        self.forget = self.process_of.cache_clear       # the same number is another task, later

    def has(self, head: re.Match[bytes]) -> bool:
        """Tell whether a record is of such; one whose process nothing tells is."""
        pid, tgid = int(head['pid']), head['tgid'] or b'-'
        printed = int(tgid) if tgid.isdigit() else 0
        if not self.numbers or {pid, printed} & self.numbers:
            return True
        process = self.process_of(pid) or printed
        return not process or process in self.numbers


class Decoder:
    """Lines of trace_pipe, decoded: values that cannot be trusted replaced, formats applied, what is fetched
    unseen taken away, control characters made visible. `counts` are those shown of each event, `records` all
    that came, stacks and those of other tasks too, `too_big` those that the kernel could not print. What is
    counted goes into `counting`.

    A block in which every line is plain (an event of ours, its pointers good, no value to be rewritten) goes
    through one regular expression; any other goes record by record: a string may hold newlines and all that a
    record has, but not the seal at its end."""

    start = b''                                         # what stands before all that it shows

    def __init__(self, events: Sequence[Event], tasks: frozenset[int] = frozenset(),
                 function_at: Callable[[str, int], str] | None = None, stacks: bool = True,
                 view: Raw | None = None, process_of: Callable[[int], int] = lambda tid: 0) -> None:
        self.view, self.gaps = view or Raw(), Gaps()
        self.counting, self.calls = Counting(events), OpenCalls(self.gaps.around)
        self.counts = {event.name: 0 for event in events}
        self.records = self.too_big = 0
        self._events = {event.head: event for event in events}
        self._seals = {event.head: f'{event.seal}\n'.encode() for event in events if event.seal}
        self._patterns = {event.head: record_pattern(event) for event in events if event.definitions}
        self._inner = {event.head: inner_strings(event) for event in events if event.definitions}
        self._fast = re.compile(FAST_HEAD + rb'(?:' + rb'|'.join(map(fast_pattern, events)) + rb')\n')
        self._plain = counting_patterns(events)
        self._names = [event.name for event in events]
        self._tree = any(event.role for event in events)
        # each text of the last block, and the records that begin in it: their events, '' for what is none
        self._shown: Iterable[tuple[bytes, Sequence[str]]] = ()
        self._starts: list[str] = []                    # those of the text that is being made
        self._tasks = WantedTasks(tasks, process_of)
        self.view.process_of = self._tasks.process_of
        self._function_at = functools.lru_cache(1 << 16)(function_at) if function_at else None
        self._heads = HEADS_AMONG_FRAMES if function_at else HEADS
        self._stacks = stacks                           # whether they are shown
        self._takes_stacks = self.counting.stacks or stacks or any(event.probe.stacks for event in events)
        # those that the kernel records of each event
        self._kinds = {kind for event in events for kind in stacks_of(event, stacks)}
        # records whose stacks come next, by processor
        self._waiting: dict[int, list[Awaited]] = {}
        self._pending, self.waits = b'', False          # what is not whole yet; whether that is a stack

    def block(self, data: bytes, limit: int | None = None, more: bool = False) -> bytes:
        """Whole lines, decoded; no more than `limit` events of them. A stack ends where a record begins: the
        last one waits for that where there is `more`."""
        count = data.count(b'\n')
        simple = not (self._tasks.numbers or self._pending or self._takes_stacks)
        if simple and (limit is None or limit > count):
            if self._plain and self._count(data, count):
                self._shown = ()
                return b''
            if self.view.in_blocks:
                between, *columns = self._columns(data)
                if len(between) == count + 1 and not any(between):
                    return self._counted(columns)
        data, self._pending, self.waits = self._pending + data, b'', False
        self._tasks.forget()
        heads = list(self._heads.finditer(data))
        self._starts = []
        self._shown = out = [(self._between(data[:heads[0].start() if heads else len(data)]), self._starts)]
        last = None if limit is None else limit + sum(self.counts.values())
        records = list(self._split(data, heads))
        self.gaps.read(records)
        for record in records:
            over = last is not None and record.head['event'] and sum(self.counts.values()) >= last
            if over and not self.lacks_stacks():
                break
            self._starts = []
            out.append((self._passed_over(record) if over else self._decoded(record, more), self._starts))
        return b''.join(text for text, _ in out)

    def lacks_stacks(self) -> bool:
        """Tell whether a stack is still to come that is shown, or counted by, of an event that is."""
        return any((each.shown or each.count_by) and each.kinds & stacks_of(each.event, self._stacks)
                   for each in itertools.chain(*self._waiting.values()))

    def _passed_over(self, record: Record) -> bytes:
        """A record behind the last that is wanted, which may have a stack of its own."""
        return self._taken(record.head, record.event) if record.event else b''

    def _columns(self, data: bytes) -> list[list[bytes]]:
        """What is between plain records, and the groups of all of them by columns: None where a record is of
        another event. (To split is quicker than to find: no tuple is made of each record.)"""
        pieces, width = self._fast.split(data), self._fast.groups + 1
        return [pieces[number::width] for number in range(width)]

    def _counted(self, columns: Sequence[list[bytes]]) -> bytes:
        """Count plain records, and show them."""
        task, time, *events = columns
        if not task:
            return b''
        self.records += len(task)
        for name, column in zip(self._names, events[::2]):
            self.counts[name] += len(task) - column.count(None)     # type: ignore[arg-type]
        names, values = (functools.reduce(either, events[number::2]) for number in (0, 1))
        shown = self.view.rows(task, time, names, values)
        self._shown = self._rows(shown, events[::2])
        return shown

    def _rows(self, shown: bytes, names: Sequence[list[bytes]]) -> Iterator[tuple[bytes, Sequence[str]]]:
        """What take_back() asks for, of plain records."""
        for row, texts in zip(shown.splitlines(True), zip(*names)):
            yield row, [name for name, text in zip(self._names, texts) if text]

    def _count(self, data: bytes, lines: int) -> bool:
        """Count whole lines, if all of them are plain records."""
        found = [pattern.findall(data) for pattern in self._plain]
        if sum(map(len, found)) != lines:
            return False
        self.records += lines
        for pattern, rows in zip(self._plain, found):
            for row, times in collections.Counter(rows).items():
                texts = {name: row[number - 1] for name, number in pattern.groupindex.items()}
                event = self._events[texts['event']]
                self.counts[event.name] += times
                values = {int(name[1:]): text.decode() for name, text in texts.items() if name[0] == 'v'}
                self.counting.record(event, texts, values, times)
        return True

    def tables(self, top: int | None, unsure: str, time: str = '', begin: str = '') -> str:
        """The tables, see Raw; in them nothing can be taken back."""
        self._shown = ()
        return self.view.tables(self.counting, top, unsure, time, begin)

    def take_back(self, size: int) -> None:
        """Count no more what is in the last so many bytes that came, which could not be written."""
        for text, begun in reversed(list(self._shown)):
            if len(text) > size:
                break
            size -= len(text)
            self.records -= len(begun)
            for name in filter(None, begun):
                self.counts[name] -= 1

    def finish(self) -> bytes:
        """What is left of a record that never ended."""
        rest, self._pending = self._pending, b''
        out: list[tuple[bytes, Sequence[str]]] = []
        for record in self._split(rest, list(self._heads.finditer(rest))[:1]):
            self._starts = []
            shown = self._decoded(record, False) if self.waits else self._undecodable(record)
            out.append((shown, self._starts))
        for awaited in itertools.chain(*self._waiting.values()):
            self._starts = []
            out.append((self._give_up([awaited]), self._starts))
        self._waiting.clear()
        self._shown = [*self._shown, *out]
        return b''.join(text for text, _ in out)

    def _between(self, text: bytes) -> bytes:
        """What is no record: lost events, the lines of a stack."""
        out = []
        for line in text.split(b'\n')[:-1]:
            lost = LOST.match(line + b'\n')
            if lost:
                self.too_big += not lost[1]
                self.calls.lost()
                self.view.lost()
            if lost and lost[1]:
                self.gaps.tell(int(lost[1]), int(lost[2] or 0))
                out.append(self._give_up(self._waiting.pop(int(lost[1]), [])))
            out.append(self.view.other(self._frame(line)))
        return b''.join(out)

    def _frame(self, line: bytes) -> bytes:
        """A line of a user stack with its function (trace_output.c, seq_print_user_ip: file, offset)."""
        frame = FRAME.fullmatch(line) if self._function_at else None
        if not frame or not self._function_at:
            return line
        found = self._function_at(decoded(frame[1]), int(frame[2], 16))
        return b' => ' + encoded(found) + b' (' + frame[1] + b')' if found else line

    def _split(self, data: bytes, heads: Sequence[re.Match[bytes]]) -> Iterator[Record]:
        """The records of a block; one ends at the next head that is not in its strings."""
        following = 0
        while following < len(heads):
            head = heads[following]
            event = self._events.get(head['event'] or b'')
            seal = self._seals.get(head['event'] or b'', b'')
            sealed = data.find(seal, head.end())
            following += 1
            while following < len(heads) and heads[following].start() < sealed + len(seal):
                following += 1
            last = following == len(heads)
            end = len(data) if last else heads[following].start()
            yield Record(head, event, data[head.start():end], sealed >= 0, last)

    def _decoded(self, record: Record, more: bool) -> bytes:
        """A record, and what is between it and the next one."""
        event, text, start = record.event, record.text, len(record.head[0])
        if not event or not event.definitions:
            lost = LOST.search(text, start)
            end = lost.start() if lost else len(text)
            if self._takes_stacks and more and record.last and not lost and STACK.match(text, start):
                self._pending, self.waits = text, True
                return b''
            shown = self._kernel_record(record, text[start:end]) if self._is_wanted(record) else b''
            return shown + self._between(text[end:])
        match = self._patterns[event.head].match(text, start)
        if record.last and not (match and record.whole) and len(text) < UNFINISHED:
            self._pending = text
            return b''
        rest = text[match.end():] if match else b''
        sure = match and (event.seal or b'"' not in match[0] or not BETWEEN.sub(b'', rest))
        if not match or not sure or any(end.search(match[name]) for name, end in self._inner[event.head]):
            return self._undecodable(record)
        shown = self._probe_record(record.head, event, match) if self._is_wanted(record) else b''
        return shown + self._between(rest)

    def _probe_record(self, head: re.Match[bytes], event: Event, match: re.Match[bytes]) -> bytes:
        """A record of an event of ours, counted or as it is shown."""
        fields, readings = event.fields, readings_of(event, match)
        if event.role:
            return self._in_tree(head, event, match, readings)
        if event.pair and not event.pair.ends:
            self.calls.enter(event, head, match, readings)
            return self._taken(head, event)
        if event.pair:
            fields, readings = event.pair.fields, self.calls.complete(event, head, match, readings)
            if not readings:
                return self._taken(head, event)
        pairs = list(zip(fields, readings))
        let_through = not event.pair or judged(event.pair, head, readings)
        if event.begins:
            self.calls.begin(event, head, {field.name: reading for field, reading in pairs}, let_through)
        if event.unshown or not let_through:
            return self._taken(head, event)
        if event.counted:
            return self._taken(head, event, counted_values(pairs))
        return self._taken(head, event, (), self.view.line(head, event, match[1], pairs))

    def _in_tree(self, head: re.Match[bytes], event: Event, match: re.Match[bytes],
                 readings: list[Reading]) -> bytes:
        """A record of an event of ours as a line of a tree."""
        pair, depth, text = event.pair or Pair(), 0, b''
        pairs = list(zip(event.fields, readings))
        if event.role == 'entry':
            shown = judged(pair, head, readings)
            depth = self.calls.enter(event, head, match, readings, shown)
            text = b'-> ' + called(event, pairs) + b'()' * (not with_names(pairs))
        elif event.role == 'return':
            left = self.calls.leave(event, head, match)
            shown = left[0].shown if left else self.calls.stands_alone(event)
            depth = self.calls.pass_by(event, head) if left else 0
            text = b'<- ' + result(event, pairs) + (b'  ' + time_text(left[1]).encode() if left else UNSEEN)
        elif event.role == 'alone':
            if pair.entry:
                readings = self.calls.complete(event, head, match, readings)
                pairs = list(zip(pair.fields, readings))
            shown = not pair.entry or bool(readings) and judged(pair, head, readings)
            depth = self.calls.pass_by(event, head, match)
            text = b'<- ' + called(event, pairs)
        else:
            shown, depth = True, self.calls.pass_by(event, head, match)
            text = b' '.join([head['event'] + match[1], *with_names(pairs)])
        if not shown:
            return self._taken(head, event)
        return self._taken(head, event, (), self._in_column(head, depth, text))

    def _in_column(self, head: re.Match[bytes], depth: int, text: bytes) -> bytes:
        """A line of a tree, that deep."""
        return self.view.head(head) + b'  ' * depth + visible(text) + b'\n'

    def _taken(self, head: re.Match[bytes], event: Event, values: Values | None = None,
                 text: bytes = b'') -> bytes:
        """Take a record that is counted by its values or shown as this text, or without values neither. What
        becomes of its stack, which comes next unless an interrupt comes between, is settled too."""
        count_by = None
        if values is not None:
            self.counts[event.name] += 1
            count_by = self.counting.record(event, head, values) if event.counted else None
            text = b'' if event.counted else text
        begun = [event.name] * bool(text)
        if self._takes_stacks:
            waiting = self._waiting.setdefault(int(head['cpu']), [])
            same = [each for each in waiting if each.pid == head['pid']]
            others = [each for each in waiting if each.pid != head['pid']]
            held = [text] if text and self.view.holds_stacks and stacks_of(event, self._stacks) else []
            text = self._give_up(others + same[:1 - MOST_AWAITED]) + (b'' if held else text)
            begun = [] if held else begun
            shown = values is not None and not event.counted
            own = Awaited(event, head['pid'], shown, count_by, set(self._kinds), held, {})
            waiting[:] = [*same[1 - MOST_AWAITED:], own]
        self._starts += begun
        return text

    def _kernel_record(self, record: Record, rest: bytes) -> bytes:
        """A record of one of the kernel's own events, or a stack."""
        head = record.head
        if record.event:
            if record.event.begins:
                self.calls.begin(record.event, head, {})
            if record.event.unshown:
                return self._taken(head, record.event)
            rest, text = rest[:-1] if rest.endswith(b'\n') else rest, b''
            if self._tree:
                depth = self.calls.pass_by(record.event, head)
                text = self._in_column(head, depth, (head['event'] or b'') + rest)
            return self._taken(head, record.event, (), text or self.view.line(head, record.event, rest, ()))
        title, _, frames = rest.partition(b'\n')
        stack = STACK.match(rest)
        if not stack:
            self._starts += ['']
            return self.view.remark(head, title) + self._between(frames)
        kind, waiting = 'user' if stack[1] else 'kernel', self._waiting.get(int(head['cpu']), [])
        shown = [self._frame(line) for line in frames.split(b'\n') if line]
        own = [each for each in waiting if kind in each.kinds and each.pid == head['pid']]
        owner, wanted = own[-1] if own else None, self._stacks
        if owner:
            owner.give(kind, [decoded(frame[len(b' => '):]) for frame in shown])
            wanted = owner.shown and (wanted or kind in stacks_of(owner.event, False))
            waiting[:] = [each for each in waiting if each.kinds]
            kinds = stacks_of(owner.event, self._stacks)
            if owner.held and kind in kinds:
                return self._released(owner) if kinds <= set(owner.stacks) else b''
        self._starts += [''] * wanted
        return self.view.stack(head, title, shown) if wanted else b''

    def _give_up(self, awaited: Sequence[Awaited]) -> bytes:
        """No stack of these comes any more; what is shown of those that have waited for it."""
        for each in awaited:
            for kind in [*each.kinds]:
                each.give(kind, NO_STACK)
        return b''.join(self._released(each) for each in awaited if each.held)

    def _released(self, awaited: Awaited) -> bytes:
        """An event that has waited for its stacks."""
        self._starts += [awaited.event.name]
        return self.view.with_stacks(awaited.held.pop(), {
            kind: awaited.stacks[kind] for kind in sorted(stacks_of(awaited.event, self._stacks))})

    def _is_wanted(self, record: Record) -> bool:
        """Count a record; tell whether it is of a task that is to be shown."""
        self.records += 1
        return self._tasks.has(record.head)

    def _undecodable(self, record: Record) -> bytes:
        """A record whose end cannot be told from the text of its strings."""
        head, event = record.head, record.event
        if not self._is_wanted(record):
            return b''
        text = self.view.remark(head, b'(a string in it reads like other values: not decoded)')
        if not event:
            return text
        if event.begins or event.pair and not event.pair.ends and event.role in ('', 'entry'):
            self.calls.lost()
        if event.unshown:
            return self._taken(head, event)
        fields = event.every_field
        return self._taken(head, event, ['(not decoded)'] * len(fields), text)


def either(column: list[bytes], other: list[bytes]) -> list[bytes]:
    """Of two columns the cells that there are."""
    return [another if one is None else one for one, another in zip(column, other)]


# How the kernel prints a value (kernel/trace/trace_probe.c, PRINT_TYPE_FUNC): any, and one that is plain
VALUES = {'array': (rb'\{.*\}', rb'\{[^}"\n]*\}'), 'string': (rb'".*"|\(fault\)', rb'"[ !#-~]*"'),
          'char': (rb"'.'", rb'[!-~]+'), 'symbol': (rb'\S+(?: \[\w+\])?', rb'[!-~]+'),
          'hexadecimal': (rb'0x[0-9a-f]+',) * 2, 'decimal': (rb'-?\d+',) * 2}


def value_patterns(fetch: Fetch) -> tuple[bytes, bytes]:
    """The two of VALUES for a fetch type."""
    kind = fetch.kind or 'string'
    if kind[-1] == ']':
        return VALUES['array']
    if kind in STRINGS:
        return VALUES['string']
    return VALUES.get(kind) or VALUES['hexadecimal' if kind[0] == 'x' else 'decimal']


def record_pattern(event: Event) -> re.Pattern[bytes]:
    """What the kernel prints behind 'EVENT: ' (kernel/trace/trace_kprobe.c, print_kprobe_event). Of two
    readings the one with the longest last string is taken: the numbers behind it are the kernel's."""
    parts = [rb'(\([^)]*\))']
    for name, fetch in (*event.definitions[0].args, *event.definitions[0].unseen):
        parts.append(b' %s=(?P<%s>%s)' % (name.encode(), name.encode(), value_patterns(fetch)[0]))
    return re.compile(b''.join(parts) + rb'\n', re.S)


def inner_strings(event: Event) -> list[tuple[str, re.Pattern[bytes]]]:
    """The strings with another one behind them, and what could be the end of each and the next value: where
    a string holds that, the other one could be its rest. Each was matched as long as possible, but what is
    behind the last one is the kernel's."""
    args = event.definitions[0].args
    strings = [i for i, (_, fetch) in enumerate(args) if is_string(fetch)]
    return [(args[i][0], re.compile(rb'["}] ' + args[i + 1][0].encode() + b'=')) for i in strings[:-1]]


def readings_of(event: Event, match: re.Match[bytes]) -> list[Reading]:
    """The fields of a record."""
    readings = []
    for field in event.fields:
        names = part_names(field) if len(field.fetches) > 1 else (field.name,)
        parts = tuple(match[name] for name in names)
        word = distrust(field, match, parts[0]) if field.guards else ''
        if word or parts[0] == b'(fault)':
            readings.append(Reading(word.encode() or parts[0], parts, False))
        elif not field.format:
            readings.append(Reading(parts[0], parts))
        else:
            readings.append(Reading(encoded(field.format.show(list(map(decoded, parts)))), parts))
    return readings


def distrust(field: Field, match: re.Match[bytes], value: bytes) -> str:
    """The word to show instead of a value by its guards, '' where it can be trusted."""
    for guard in field.guards:
        if not value.startswith(tuple(map(str.encode, guard.unless))):
            word = guard.verdict(int(match[guard.name], 0))
            if word:
                return word
    return ''


def fast_pattern(event: Event) -> bytes:
    """A plain record of the event: the name with its place, and its values; where nothing is as plain, or
    more is to be done than to show it, what matches nothing."""
    if event.counted or event.pair or event.begins or event.role:
        return rb'(?!)()()'
    if not event.definitions:
        return rb'(%s)(%s*)' % (re.escape(event.head), PLAIN)
    return rb'(%s%s)(%s)%s' % (re.escape(event.head), FAST_PLACE, fast_values(event, ()), fast_unseen(event))


def fast_values(event: Event, named: Container[int]) -> bytes:
    """The values that are shown of a plain record; those of the named fields are groups, v0, v1, ..."""
    parts = []
    for number, field in enumerate(event.fields):
        format_ = field.format
        if field.hidden:
            continue
        if format_ and not format_.word.startswith('cut('):
            return rb'(?!)'
        for name, fetch in zip(part_names(field), field.fetches):
            value = value_patterns(fetch)[1]
            if format_:
                value = value.replace(b'*', b'{0,%d}' % sized(format_))
            value = rb'(?P<v%d>%s)' % (number, value) if number in named else value
            parts.append(rb' %s=%s' % (name.encode(), value))
    return b''.join(parts)


def fast_unseen(event: Event) -> bytes:
    """What is fetched unseen behind the values, where each can be trusted."""
    values = [b' %s=%s' % (name.encode(), value_patterns(fetch)[1]) for field in event.fields if field.hidden
              for name, fetch in zip(part_names(field), field.fetches)]
    guards: dict[str, list[Guard]] = {}
    for guard in (guard for field in event.fields for guard in field.guards):
        guards.setdefault(guard.name, []).append(guard)
    values += [b' %s=%s' % (name.encode(), good_pattern(same)) for name, same in guards.items()]
    values += [b' %s=-?[0-9]+' % name.encode() for name, fetch in event.definitions[0].unseen
               if fetch == event.next_task]
    return b''.join(values) + event.seal.encode()


def counting_patterns(events: Sequence[Event]) -> list[re.Pattern[bytes]]:
    """A pattern for the plain records of all events that differ in nothing but their names; its groups are
    what is counted by. None at all where not every event is counted, or one by its stack."""
    if any(not event.counted or event.pair or event.begins or by_stack(event) for event in events):
        return []
    names: dict[bytes, list[bytes]] = {}
    for event in events:
        columns = event.columns or ()
        of_record = {column.title for column in columns if column.field < 0}
        groups = tuple(rb'(?P<%s>' % name.encode() if title in of_record else rb'(?:'
                       for title, name in HEAD_GROUPS.items())
        fields = {column.field for column in columns}
        values = PLAIN + b'*'
        if event.definitions:
            values = FAST_PLACE + fast_values(event, fields) + fast_unseen(event)
        head = rb'^(?! =>)' + PLAIN_HEAD % groups + rb'[\d.]+: '
        pattern = head + rb'(?P<event>%s)()' + values.replace(b'%', b'%%') + rb'$'
        names.setdefault(pattern, []).append(re.escape(event.head))
    return [re.compile(pattern % b'|'.join(heads), re.M) for pattern, heads in names.items()]


def good_pattern(guards: Sequence[Guard]) -> bytes:
    """The text of a number that surely satisfies them all; others are looked at one by one."""
    low, high = max(guard.low for guard in guards), min(guard.high for guard in guards)
    if low == high:
        return str(low).encode() if guards[0].fetch.kind[0] != 'x' else hex(low).encode()
    if low == 4096:
        return rb'0x[1-9a-f][0-9a-f]{3,%d}' % (len(f'{high + 1:x}') - 2)
    digits = f'{low:x}'
    if high == 0xfffffffffffff000 and len(digits) == 16:
        stem = digits.rstrip('0')
        return rb'0x(?!f{13})' + stem.encode() + rb'[0-9a-f]{%d}' % (16 - len(stem))
    return rb'(?!)'


# ---- Listing -----------------------------------------------------------------------------------------------
# -L: lines of C, with comments; a kind of probe or of type has one function in LISTINGS. Then -F and -l.

COLUMN = 58                                 # where the comments of a layout begin
WAYS = ("-L 'p tcp_send*', 'p *(struct sk_buff *)', 'e sched/*', 't sched_*', 'struct task_struct', "
        "'struct task_struct.mm', 'enum pid_type', 'p wake_up_new_task %0->mm'")


def listing(text: str, machine: Machine) -> list[str]:
    """The lines for `-L TEXT`."""
    words = text.split(None, 1)
    if not words:
        refuse(f'what is to be listed? {WAYS}', (0, 1))
    kind = words[0].split(':')[0]
    if kind in LISTINGS and len(words) < 2:
        refuse(f"the name or pattern behind '{kind}' is missing: {WAYS}", (0, len(text)))
    name = re.match(r'\s*\S+\s+(\S+)', text)
    with located(text, at=name.span(1) if name else None), finite():
        return LISTINGS.get(kind, list_type)(text, machine)


# functions


def list_functions(text: str, machine: Machine) -> list[str]:
    """`p GLOB`, `P OBJ:GLOB`, `p *(struct sk_buff *)`, `u OBJ:GLOB`; or the types of a line's arguments."""
    taken = re.fullmatch(r'(\s*[pr]\S*\s+[^\s("]*)\(([^()]*)\)\s*', text)
    probe = parse_probe(re.sub(r'(^\s*[pr]\S*\s+|:)$', r'\1*', taken[1] if taken else text.rstrip()))
    place = probe.place
    if probe.args or place.offset is not None or place.line is not None:
        return list_expressions(probe, machine)
    module = module_of(place, machine)
    if probe.kind == 'u' and isinstance(module, Program):
        return usdt_lines(usdt_notes(place, module))
    lines = function_lines(place, unqualified(taken[2]) if taken else '', module, machine)
    if not lines and not taken and (place.object or not place.glob):
        functions_of(place, module, machine)            # may know better: it is in other files
        refuse_missing(place, module, machine)
    if not lines:
        with_type = f" with a parameter '{taken[2]}'" if taken else ''
        refuse(f"no function matches '{place.function}'{with_type}", place.at)
    return list(dict.fromkeys(lines))


def function_lines(place: Place, taken: str, module: Module, machine: Machine) -> list[str]:
    """The functions that a place's name or pattern matches and that take such a parameter, by name."""
    loaded = functions_by_name(module, place.module)
    table = loaded or (module.file.function_symbols if module.file else {})
    if place.module and not table:
        refuse(f"the module '{place.module}' is not loaded, and so none of its functions can be probed now",
               (place.at[0], place.at[0] + len(place.module)))
    prototypes: dict[str, dict[Prototype, None]] = {}

    def read(source: Module) -> None:
        for prototype in source.prototypes(base_name(place.function), taken):
            prototypes.setdefault(prototype.name, {})[prototype] = None
    read(module)
    bases = {base_name(name) for name in table}
    inlined = [name for name, known in prototypes.items()
               if name not in bases and any(prototype.inline for prototype in known)]
    names = [name for name in matching_names(place.function, [*table, *inlined])
             if not re.search(r'\.cold(\.|$)|@', name) and (not taken or base_name(name) in prototypes)]
    holders = {symbol.module for name in names for symbol in table.get(name, ())}
    for holder in sorted(holders - {'', place.module}):
        read(module.module(holder))
    lines = []
    for name in sorted(names, key=lambda name: (demangled(name), name)):
        known, symbols = list(prototypes.get(base_name(name), ())), table.get(name, [])
        if place.file and module.dwarf:
            known = [prototype for prototype in known if f'/{prototype.file}'.endswith(f'/{place.file}')]
            symbols = in_file(symbols, place.file, module.dwarf)
        unknown = [Prototype(name, demangled(name) or f'{name}()')] if symbols else []
        for prototype in known or unknown:
            comments = function_comments(name, prototype, len(known), symbols, module, machine)
            if place.module and not loaded:
                comments = [f"no probe: the module '{place.module}' is not loaded"]
            text = prototype.text.replace(f'{base_name(name)}(', f'{name}(', 1)
            lines.append(f"{text};{'  // ' * bool(comments)}{'; '.join(comments)}")
    return lines


def base_name(name: str) -> str:
    """The name without what a compiler's copy has behind it."""
    return name.partition('.')[0]


def function_comments(name: str, prototype: Prototype, known: int, symbols: Sequence[Symbol], module: Module,
                      machine: Machine) -> list[str]:
    """Why a function takes no probe, and what else is worth to know; `known` counts its prototypes."""
    holders = [holder for holder in prototype.holders if holder.split(' ')[0] != base_name(name)]
    inlined = f"inlined into {first_of(holders, 3)}" if holders else ''
    if not symbols:
        return [f"no probe: {inlined or 'inlined everywhere, or never called'}"]
    reasons = {obstacle_of(symbol, symbol.address, module, machine) for symbol in symbols}
    comments = [f'no probe: {reason}' for reason in reasons if reason and len(reasons) == 1]
    if not known and not demangled(name) and module.sources:
        comments.append('no prototype in the debug information')
    if name != base_name(name):
        where = 'DWARF tells where they are' if module.dwarf else 'name registers (%REG)'
        comments.append(f'the compiler changed its parameters in this copy: {where}')
    elif inlined:
        comments.append(f'also {inlined}')
    if len(symbols) > 1:
        way = f'{name}@FILE says which' if module.dwarf else 'only DWARF tells which'
        if module.dwarf and prototype.file and known > 1:
            way = f'write {name}@{prototype.file}'
        comments.append(f'{len(symbols)} functions have this name: {way}')
    modules = sorted({symbol.module for symbol in symbols} - {''})
    return comments + [f"in module {', '.join(modules)}"] * bool(modules)


def list_tracepoints(text: str, machine: Machine) -> list[str]:
    """`t GLOB`: raw tracepoints with their arguments; or the types of a line's arguments."""
    probe = parse_probe(text)
    if probe.args:
        return list_expressions(probe, machine)
    lines = []
    for name in raw_tracepoints(probe.place, machine):
        target = tracepoint_target(name, machine.kernel)
        text = declaration(target.function, name)[len('void '):] if target.function else f'{name}()'
        lines.append(f'{text};' + '  // no prototype in the debug information' * (not target.function))
    return lines


def usdt_lines(notes: Sequence[UsdtNote]) -> list[str]:
    """USDT probes with their operands at each place, and whether they count who listens."""
    places: dict[tuple[str, str], int] = {}
    for note in sorted(notes):
        counted = '  // counts who listens (semaphore)' * bool(note.semaphore)
        key = f'{note.provider}:{note.name}', f"({', '.join(split_operands(note.operands))});{counted}"
        places[key] = places.get(key, 0) + 1
    lines = []
    for (name, operands), count in places.items():
        mark = ';' if '//' in operands else '  //'
        lines.append(f'{name}{operands}' + f'{mark} {count} places' * (count > 1))
    return lines


def list_expressions(probe: Probe, machine: Machine) -> list[str]:
    """For each argument of a line what it is, and the layout of the struct it is or points to."""
    if probe.place.glob:
        refuse('a line with arguments names one function', probe.place.at)
    resolver, lines = resolver_at(locate(probe, machine)[0], probe, machine), []
    for arg in probe.args or refuse(f'what is to be listed? {WAYS}', probe.place.at):
        type_ = resolver.value(arg.expr).type
        lines += [f'// {probe.text[arg.at[0]:arg.at[1]]}: {spell(type_)}', *layout_below(type_, resolver)]
    return lines


# events


def list_events(text: str, machine: Machine) -> list[str]:
    """`e GLOB/GLOB`: each event with its fields."""
    match = re.match(r'\s*\S+\s+(\S+)', text)
    assert match
    wanted, names = match[1].replace(':', '/', 1), set(machine.event_names())
    if '/' not in wanted:
        wanted = f'*/{wanted}' if GLOB.search(wanted) else f'{wanted}/*'
    pattern = wanted
    if not names:                                       # BTF has no names of systems
        names = {f'*/{name}' for name in tracepoints(machine.kernel, '')}
        pattern = re.sub('^.*/', '*/', wanted)
    found = sorted(fnmatch.filter(names, pattern))
    if not found:
        refuse(f"no event matches '{wanted}'{near(wanted, names)}", match.span(1))
    return [line for name in found for line in (f'e {name}', *event_layout(name, machine))]


def tracepoints(info: Module, prefix: str) -> list[str]:
    """The tracepoints that begin so, by the typedefs that include/trace/bpf_probe.h makes of them."""
    return [name[len('btf_trace_'):] for name in info.type_names([''], f'btf_trace_{prefix}')]


def event_layout(name: str, machine: Machine) -> list[str]:
    """The fields of an event, as its format file declares them, else as the struct of its class does."""
    text = event_format(name, machine)
    if text:
        fields = re.findall(r'field:(?![^;]*\bcommon_\w+;)([^;]+);\s*offset:(\d+);\s*size:(\d+);', text)
        return [commented(f'    {declared};', f'{offset:>5} {size:>5}') for declared, offset, size in fields]
    members = event_members(name, machine)
    if members is None:
        return ['    // its fields are not in the debug information']
    lines = []
    for field, member in members:
        text = declaration(member.written(), field) if field == member.name else f'__data_loc {field}'
        lines.append(commented(f'    {text};', f'{member.bit // 8:5} {size_of(member.type()) or 0:5}'))
    return lines


# types


def list_type(text: str, machine: Machine) -> list[str]:
    """`struct NAME`, `union NAME`, `enum NAME`, a typedef, with a path down to a member; or a pattern."""
    match = re.match(rf'\s*(?:(struct|class|union|enum)\s+)?((?:[\w:*?\[\]]|{ARGUMENTS})+?)'
                     r'((?:(?:\.|->)\w*|\[\d+\])*)\s*$', text)
    if not match:
        refuse(f'a type, struct NAME or struct NAME.member expected; {WAYS}', (0, len(text)))
    keyword, name, path, info = match[1] or '', match[2], match[3], machine.kernel
    if GLOB.search(name) and not path:
        prefix = re.split(r'[*?\[]', name)[0]
        names = sorted(filter(name_test(name), set(info.type_names([keyword], prefix))))
        if not names:
            refuse(f"no {keyword or 'type'} matches '{name}'", match.span(2))
        return [f'{keyword} {found};'.lstrip() for found in names]
    type_ = info.named(keyword, name)
    if type_ is None:
        hint = near_type(info, f'{keyword} {name}'.strip()) or other_listing(name, machine) or f'; {WAYS}'
        refuse(f"no {keyword or 'type'} '{name}' in the debug information{hint}", match.span(2))
    if path:
        return member_layout(member_at(type_, path, match.start(3), info), info)
    if not isinstance(type_, (Struct, Enum)):
        return [f'typedef {spell(type_)} {name};']
    is_tag = keyword or isinstance(type_, Struct) and type_.keyword and type_.name == name
    return layout(type_, '' if is_tag else name)


def other_listing(name: str, machine: Machine) -> str:
    """How to list what has that name and is no type."""
    event = next((event for event in machine.event_names() if event.endswith(f'/{name}')), '')
    ways = (machine.kernel.functions_named(name) and 'p ' + name, event and 'e ' + event,
            program_named(name, machine) and f'P {name}:*')
    found = [f"-L '{way}'" for way in ways if way]
    return f"; did you mean {' or '.join(found)}?" if found else ''


def member_at(type_: Type, path: str, start: int, info: Module) -> Member:
    """The last member of a path like '.a->b[3]' at column `start`, its bit counted from the last pointer."""
    member, resolver = Member('', lambda: type_, 0), Resolver(Target(info))
    for match in re.finditer(r'(?:\.|->)(\w*)|\[(\d+)\]', path):
        at, owner, bit = (start + match.start(), start + match.end()), member.type(), member.bit
        if match[2]:
            if not isinstance(owner, (Array, Pointer)):
                refuse(f'{spell(owner)} has no elements', at)
            step = 8 * int(match[2]) * (size_of(bare(owner.written())) or 0)
            bit = step + bit * isinstance(owner, Array)
            member = Member(member.name + match[0], owner.written, bit)
            continue
        whole = pointed_to(owner)
        if not isinstance(whole, Struct):
            refuse(f'{spell(owner)} has no members', at)
        whole, name = resolver.complete(whole), match[1]
        found = find_member(whole, name)
        if not found:
            hint = near(name, member_names(whole))
            refuse(f"'{spell(whole)}' has no member '{name}'{hint}", (at[1] - len(name), at[1]))
        member = found._replace(bit=found.bit + bit * isinstance(owner, Struct))
    return member


def member_layout(member: Member, info: Module) -> list[str]:
    """One level down: a member, and the layout of what it is or points to unless that is in its own lines."""
    lines, below = member_lines(member, '', 0), pointed_to(member.type())
    is_shown = isinstance(below, (Struct, Enum)) and not below.name and not isinstance(member.type(), Pointer)
    return lines if is_shown else lines + layout_below(below, Resolver(Target(info)))


def pointed_to(type_: Type) -> Type:
    """What pointers and arrays lead to."""
    for _ in range(DEEPEST):
        if not isinstance(type_, (Pointer, Array)):
            break
        type_ = bare(type_.written())
    return type_


def layout_below(type_: Type, resolver: Resolver) -> list[str]:
    """The layout of what a type is or points to, if that has one."""
    type_ = pointed_to(type_)
    if isinstance(type_, Struct):
        return layout(resolver.complete(type_))
    return layout(type_) if isinstance(type_, Enum) else []


def layout(type_: Struct | Enum, alias: str = '') -> list[str]:
    """A struct, union or enum (or the typedef `alias` of it) as C, with what pahole shows: offsets and sizes
    in bytes, where bit-fields begin, holes."""
    head, tail = spell(type_), ';'
    if alias and type_.name == alias:                   # which is the typedef's name only
        head = 'enum' if isinstance(type_, Enum) else 'union' * is_union(type_) or 'struct'
    if alias:
        head, tail = f'typedef {head}', f' {alias};'
    if type_.size is None:
        return [f'{head};  // only declared: the debug information has no definition of it']
    if isinstance(type_, Enum):
        inside = [f'    {name} = {value},' for name, value in type_.enumerators()]
    else:
        inside = members_layout(type_, '    ', 0)
    return [commented(head + ' {', f'{type_.size} bytes'), *inside, '}' + tail]


def members_layout(struct_: Struct, indent: str, base: int) -> list[str]:
    """The members, their offsets counted from `base` bits on, with the holes between."""
    lines, end, union = [], 0, is_union(struct_)
    for member in struct_.members():
        if member.base == 'virtual':
            lines.append(commented(f'{indent}{declaration(member.written())};', 'virtual base'))
            continue
        lines += hole(indent, member.bit - end) if not union else []
        lines += member_lines(member, indent, base)
        bits = member.width if member.width is not None else 8 * size_within(member)
        end = max(end, member.bit + bits)
    rest = 'virtual bases' if has_virtual_base(struct_) else 'padding'
    return lines + (hole(indent, 8 * (struct_.size or 0) - end, rest) if not union and lines else [])


def is_union(struct_: Struct) -> bool:
    """Tell whether its members lie on one another; a typedef's own struct has no keyword."""
    offsets = [member.bit for member in struct_.members()]
    return struct_.keyword == 'union' or not struct_.keyword and len(offsets) > 1 and not any(offsets)


def hole(indent: str, bits: int, word: str = 'hole') -> list[str]:
    """A comment for bits nobody uses."""
    size = f'{bits} bits' if bits % 8 else f'{bits // 8} bytes'
    return [f'{indent}/* {word}: {size} */'] if bits > 0 else []


def member_lines(member: Member, indent: str, base: int) -> list[str]:
    """A member, and what is in it where it is of an anonymous struct or union."""
    type_, bit = member.type(), base + member.bit
    size, whole = size_within(member), innermost(type_)
    before, braces, after = declaration(member.written(), member.name).partition('{...}')
    place = f'{bit // 8:5} {size:5}'
    if member.width is not None:                        # its bit is counted in its type, as C declares it
        byte, bit_of_unit = divmod(bit, 8 * (size or 1))
        place = f'{byte * (size or 1):5}:{bit_of_unit:<2} {size:3}'
        after += f':{member.width}'
    if braces and isinstance(whole, Struct):
        inside = members_layout(whole, indent + '    ', bit)
        return [f'{indent}{before}{{', *inside, commented(f'{indent}}}{after};', place)]
    if braces and isinstance(whole, Enum):
        values = [f'{name} = {value}' for name, value in whole.enumerators()]
        braces = f'{{ {first_of(values, 8)} }}'
    return [commented(f'{indent}{before}{braces}{after};', place)]


def commented(text: str, comment: str) -> str:
    """The text and a comment, in columns."""
    return f'{text:<{COLUMN}} /* {comment} */'


LISTINGS: dict[str, Callable[[str, Machine], list[str]]] = {
    **dict.fromkeys(('p', 'r', 'P', 'R', 'u'), list_functions), 'e': list_events, 't': list_tracepoints,
    **dict.fromkeys(('struct', 'class', 'union', 'enum'), list_type)}


# inside a function: -F and -l


SOURCE_FOLDERS = ('/usr/src/linux', '/lib/modules/{release}/source', '/lib/modules/{release}/build')


def code_listing(place: Place, info: Module, release: str = '') -> list[str]:
    """-F: the instructions of a function with their offsets, the source lines they are of, and beside them
    the variables whose place changes there ('name=place'; '-name' where it is not available any more)."""
    symbol, code = function_code(place, info)
    dwarf, start = info.dwarf, symbol.address
    spot = dwarf.spot_at(start) if dwarf else None
    rows = dwarf.rows_in(start, start + symbol.size) if dwarf else []
    sources = {row.address: (path, row.line) for row, path in rows}
    changes = dwarf.changes_in(spot) if dwarf and spot else []
    lines, head, last = [code_head(symbol, len(code), spot, info)], '', -1
    shown: dict[str, str] = {}
    for instruction in disassembled(code, start, info.arch):
        address, moved = instruction.address, ''
        if dwarf and spot:
            here = spot._replace(address=address)
            if address in sources:
                line = source_line(*sources[address], dwarf.inlined_at(here), dwarf, release)
                lines += [line] * (line != head)
                head = line
            change = bisect.bisect(changes, address)
            if change != last:
                live = {name: where for name, _, where, why in variables(here, info) if not why}
                moved, shown, last = changed(shown, live), live, change
        text = instruction_text(instruction, symbol, info)
        lines.append(f"  {f'<+{address - start}>':8} {text:46} {moved}".rstrip())
    return lines


def function_code(place: Place, info: Module) -> tuple[Symbol, bytes]:
    """A function at its link-time address, and its code: a vmlinux's, else the running kernel's."""
    name, file, symbol = place.function, info.executable, linked_function(place, info)
    if not symbol:
        copies = info.dwarf.copies(name) if info.dwarf else []
        listed = f'; it is inlined at {len(copies)} places, which -l {name} lists' if copies else ''
        refuse(f"no function '{name}'{listed or near(name, info.function_names())}", place.at)
    symbol = symbol if symbol.size else symbol._replace(size=size_by_next(symbol, info))
    code = file.bytes_at(symbol.address, symbol.size) if file else b''
    if code:
        return symbol, code
    where = file.path if file else 'here'
    if not isinstance(info.symbols, Kallsyms):
        raise SurftraceError(f"{where} has no code of '{name}'")
    running = info.symbols.symbols(name)
    if not running or not running[0].address:
        raise SurftraceError(f"the code of '{name}' is not in {where}, and the running kernel's can be read "
                             'only by root')
    return symbol, running_code(running[0].address, symbol.size)


def size_by_next(symbol: Symbol, info: Module) -> int:
    """The bytes up to the next function, where the symbols have no sizes."""
    start, table = symbol.address, info.symbols.function_symbols if info.symbols else {}
    following = (symbol.address for symbols in table.values() for symbol in symbols if symbol.address > start)
    return min(min(following, default=start + 4096) - start, 1 << 16)


def code_head(symbol: Symbol, size: int, spot: Spot | None, info: Module) -> str:
    """What a listing begins with."""
    where, dwarf, parts = '', info.dwarf, set()
    if dwarf and spot:
        where = f', {dwarf.short_path(spot.file)}:{spot.line}'
        holders = [dwarf.executable.symbol_at(start) for start, _ in spot.scope.ranges]
        parts = {holder.name for holder in holders if holder} - {symbol.name}
    more = f"; the unlikely part is {', '.join(sorted(parts))}" if parts else ''
    return f'{symbol.name}{where}: {size} bytes{more}'


def instruction_text(instruction: Instruction, function: Symbol, info: Module) -> str:
    """An instruction with the names of what it jumps to, calls or reads."""
    target, data = instruction.target, instruction.data
    if target is None:
        read = info.symbol_at(data, False) if data is not None else None
        return f'{instruction.text} # {read.name}' if read else instruction.text
    if 0 <= target - function.address < function.size:
        return f'{instruction.text} <+{target - function.address}>'
    called = info.symbol_at(target)
    if not called:
        return f'{instruction.text} {target:#x}'
    inside = f'+{target - called.address}' if target != called.address else ''
    return f'{instruction.text} <{demangled(called.name) or called.name}{inside}>'


def changed(before: dict[str, str], after: dict[str, str]) -> str:
    """What is other in the second than in the first."""
    return ' '.join([f'{name}={place}' for name, place in after.items() if before.get(name) != place] +
                    [f'-{name}' for name in before if name not in after])


def variables(spot: Spot, info: Module) -> list[tuple[str, str, str, str]]:
    """(name, type, place, why there is none) of each variable that can be named at a place."""
    function = info.dwarf.function_here(spot) if info.dwarf else None
    if not function:
        return []
    resolver = resolver_in(Target(info, function, False, spot.address))
    table: dict[str, tuple[str, str, str, str]] = {}
    for variable in (*function.parameters, *function.locals):
        name = variable.name
        if name and name not in table:
            where, why = '', ''
            try:
                where = place_text(resolver.value(Expr('name', (0, 1), name)))
            except InputError as error:
                why = error.message.replace(f"'{name}' is not available here", 'not here', 1)
            table[name] = name, spell(variable.type()), where, why
    return list(table.values())


def place_text(lvalue: Lvalue) -> str:
    """Where an object is: a register, memory, a constant, or several of them."""
    fetch, offset = lvalue.fetch, lvalue.bit // 8
    if lvalue.how == 'memory':
        return fetch.at(offset).text()
    if lvalue.how == 'pieces':
        return '{' + ','.join(piece.text() if piece else '-' for piece, _ in lvalue.pieces) + '}'
    sign = '&' if fetch.base.startswith('@') and not fetch.derefs else ''
    return sign + fetch.text() + (f'{offset:+d}' if offset else '')


def source_line(path: str, number: int, inlined: str, dwarf: Dwarf, release: str) -> str:
    """A line of a source file: the file, the number, whose copy it is of, the text where that is found."""
    short = dwarf.short_path(path)
    lines = source_text(path, short, release)
    text = f'  {lines[number - 1].strip()}' if 0 < number <= len(lines) else ''
    return f"{short}:{number}{f' ({inlined}, inlined)' if inlined else ''}{text}"


@functools.cache
def source_text(path: str, short: str, release: str) -> list[str]:
    """The lines of a source file; none where it is not found."""
    for place in (path, *(os.path.join(folder.format(release=release), short) for folder in SOURCE_FOLDERS)):
        if os.path.isfile(place):
            with contextlib.suppress(DebugInfoError):
                return read_file(place).decode(errors='replace').splitlines()
    return []


def place_listing(place: Place, info: Module, release: str = '') -> list[str]:
    """-l: the addresses of a place, by function and copy, and the variables at those that are probed."""
    dwarf = info.dwarf
    if not dwarf:
        refuse('lines and variables need debug information with DWARF (-v names a file)', place.at)
    spots = listed_spots(place, info, dwarf)
    probed = {spot.address for spot in dwarf.first_of_each(spots)}
    lines, last = [], ('', 0)
    for spot in spots:
        if spot.file and (spot.file, spot.line) != last:
            last = spot.file, spot.line
            lines.append(source_line(*last, '', dwarf, release))
        copy = f'  (copy of {spot.function})' * spot.inlined
        skipped = '  (not probed)' * (spot.address not in probed)
        lines.append(f'  {spot_text(spot.address, info):40} {spot.address:#x}{copy}{skipped}')
        table = variables(spot, info) if not skipped else []
        name_width, type_width = (max((len(row[i]) for row in table), default=0) for i in (0, 1))
        lines += [f'      {name:{name_width}}  {type_:{type_width}}  {where or why}'
                  for name, type_, where, why in table]
    return lines


def listed_spots(place: Place, info: Module, dwarf: Dwarf) -> list[Spot]:
    """The places that -l lists: all of a line, an instruction, or where a function and its copies begin."""
    if place.line is not None:
        return line_spots(place, info, True)
    name, offset = place.function, place.offset or 0
    one = linked_function(place, info) if offset or place.file else None
    functions = [one] if one else info.functions_named(name)
    if one and offset:
        check_boundary(one, place, info)
    spots = [spot for symbol in functions for spot in [dwarf.spot_at(symbol.address + offset)] if spot]
    spots += [] if offset else dwarf.copies(name, None, place.file)
    if not spots:
        refuse(f"no function '{name}'{near(name, info.function_names())}", place.at)
    return spots


# ---- Completion --------------------------------------------------------------------------------------------
# What may follow in a line that is being typed. The line is ended with a name of ours, CURSOR, and parsed:
# where that turns up in the tree is what is being typed.

CURSOR = '__surftrace_cursor__'
MANY = 400                                  # more names than anybody reads: then their beginnings


class Offer(NamedTuple):
    """What may stand from a column on, to the end of what has been typed."""
    start: int
    names: tuple[str, ...]


def offered(text: str, start: int, names: Iterable[str]) -> Offer:
    """The names that go on as the text does from there; of very many, their beginnings up to the next '_'."""
    typed = text[start:]
    found = {name for name in names if name.startswith(typed) and name != typed}
    if len(found) > MANY:
        found = {name[:(name.find('_', len(typed)) + 1) or None] for name in found}
    return Offer(start, tuple(sorted(found)))


def completions(text: str, machine: Machine, listing_too: bool = False) -> Offer:
    """What may follow the beginning of a line (or of what -L lists); nothing where it is wrong or unknown."""
    with contextlib.suppress(SurftraceError), finite():
        return _completions(text, machine, listing_too)
    return Offer(len(text), ())


def _completions(text: str, machine: Machine, listing_too: bool) -> Offer:
    head = re.match(r'\s*([^\s\d:]+)\S*\s+(\S*)', text)
    if not head:
        kinds = LISTINGS if listing_too else PLACES
        return offered(text, len(text) - len(text.lstrip()), [f'{kind} ' for kind in kinds])
    kind = head[1]
    if listing_too and kind in LISTINGS and kind not in PLACES:
        return type_offer(text, head.start(2), kind, machine)
    if kind not in PLACES:
        return Offer(len(text), ())
    if head.end() == len(text):
        return PLACES[kind](text, head.start(2), machine)
    parts = split_line(text, head.end())
    if parts.filter < parts.end:
        return filter_offer(text, parts.filter + 2, machine)
    if parts.keys < parts.end:
        return key_offer(text, parts.keys + 2, machine)
    return argument_offer(text, machine)


# places


def function_offer(text: str, start: int, machine: Machine) -> Offer:
    """Functions, and modules before ':'."""
    symbols, typed = machine.kernel.symbols, text[start:]
    if symbols is None:
        return offered(text, start, machine.kernel.function_names())
    module, colon, _ = typed.partition(':')
    if colon:
        return offered(text, start + len(module) + 1, functions_by_name(machine.kernel, module))
    names = [name for name in symbols.beginning(typed, True) if '.' not in name and name[:6] != '__pfx_']
    return offered(text, start, [*names, *(f'{module}:' for module in symbols.modules)])


def event_offer(text: str, start: int, machine: Machine) -> Offer:
    """Events: SYSTEM/ first, then the names. A vmlinux or tracefs knows both; else there are the symbols
    of the names of systems (include/trace/stages/init.h), and tracepoints."""
    system, slash, typed = text[start:].partition('/')
    names, symbols = machine.event_names(), machine.kernel.symbols
    if names and slash:
        return offered(text, start, names)
    if not slash:
        ends = symbols.beginning('str__', False) if symbols and not names else ()
        found = [re.fullmatch(r'str__(.*)__trace_system_name', name) for name in ends]
        systems = {name.split('/')[0] for name in names} or {match[1] for match in found if match}
        return offered(text, start, [f'{system}/' for system in systems])
    known = tracepoints(machine.kernel, typed)
    own = [name for name in known if typed or name.startswith(f'{system}_')]
    return offered(text, start + len(system) + 1, own or known)


def tracepoint_offer(text: str, start: int, machine: Machine) -> Offer:
    """Raw tracepoints."""
    return offered(text, start, raw_tracepoints(Place('', (0, 0), '*'), machine))


def program_offer(text: str, start: int, machine: Machine) -> Offer:
    """Programs and libraries, and behind the colon functions, or USDT probes."""
    typed = text[start:].lstrip('"')
    start = len(text) - len(typed)
    for match in re.finditer('(?!^):', typed):
        program = machine.program(typed[:match.start()])
        if program:
            names = {name for name in program.symbols.function_symbols
                     if name[:2] not in ('_Z', '_R') and '@' not in name}
            if text.lstrip()[0] == 'u':
                names = {f'{note.provider}:{note.name}' for note in program.executable.usdt_notes()}
            return offered(text, start + match.end(), names)
    return offered(text, start, machine.program_names(typed))


PLACES: dict[str, Callable[[str, int, Machine], Offer]] = {
    'p': function_offer, 'r': function_offer, 'e': event_offer, 't': tracepoint_offer,
    'P': program_offer, 'R': program_offer, 'u': program_offer}


# arguments


TYPE_NAMES = [*(f'{letter}{bits}' for letter in 'usx' for bits in (8, 16, 32, 64)), 'char', 'string',
              'ustring', 'symbol', 'symstr', *(word for word in FORMATS if word.islower()), *OWN_WORDS]


def argument_offer(text: str, machine: Machine) -> Offer:
    """What may follow in the last argument."""
    start, closing = last_argument(text)
    node, at = node_at_cursor(text, start, closing), len(re.sub(r'\w*$', '', text))
    if node is None:
        return continued(text, start, closing, machine)
    if isinstance(node, TypeName):
        return type_word_offer(text, at, node, machine)
    if isinstance(node, Arg):
        return offered(text, at, TYPE_NAMES)
    return offered(text, at, names_for(node, text[start:at], resolver_for(text, machine)))


def key_offer(text: str, start: int, machine: Machine) -> Offer:
    """What may follow behind h:, an argument or a word of ours."""
    plain = re.sub(r'\b(log2|step|sum|avg)\(', lambda match: f'{"(":>{len(match[0])}}', text[start:])
    offer = argument_offer(f'{text[:start - 2]}  {plain}', machine)
    word = re.search(r'(?:^|\s)(\w*)$', text[start:])
    if not word:
        return offer
    own = offered(text, start + word.start(1), [*OF_RECORD, *(f'{how}(' for how in COUNTED_BY)])
    names = offer.names if offer.start == own.start else ()
    return Offer(own.start, tuple(sorted({*own.names, *names})))


def last_argument(text: str) -> tuple[int, str]:
    """The column behind the last blank outside brackets and quotes, and what closes the brackets there."""
    start, closing, quoted = 0, '', False
    for at, char in enumerate(text):
        quoted ^= char == '"'
        if char in '([' and not quoted:
            closing = (')' if char == '(' else ']') + closing
        elif char in ')]' and not quoted:
            closing = closing[1:]
        elif char.isspace() and not closing and not quoted:
            start = at + 1
    return start, closing


def node_at_cursor(text: str, start: int, closing: str) -> Expr | TypeName | Arg | None:
    """The expression, the type of a cast, or the argument (its type behind the colon) that the text ends in,
    with as little behind it as makes the argument whole; None where nothing does."""
    cast = f'{closing[:1]}%0{closing[1:]}'
    for ending in (closing, cast, f' *{cast}', f', m{closing}'):
        whole = text + CURSOR + ending
        try:
            arg = Parser(TOKENS, whole, start, len(whole)).arg()
        except InputError:
            continue
        for expr in arg.expr.parts():
            if any(CURSOR in word for word in (expr.name, expr.layer, *expr.member)):
                return expr
            if expr.type and CURSOR in expr.type.words:
                return expr.type  # type: ignore[no-any-return]
        if CURSOR in arg.word:
            return arg
    return None


def resolver_for(text: str, machine: Machine) -> Resolver:
    """A Resolver of the first place of a line, with the parameters where the calling convention has them."""
    head = re.match(r'\s*\S+\s+\S+', text)
    assert head
    probe = parse_probe(head[0])
    if probe.kind == 'e':
        event = f'{probe.place.system}/{probe.place.function}'
        return InEvent(machine.kernel, fields_of_event(event, machine) or {})
    machine = machine._replace(force=True, note=lambda text: None)
    resolver, function = resolver_at(locate(probe, machine)[0], probe, machine), None
    if resolver.function:
        parameters = (parameter._replace(location=None) for parameter in resolver.function.parameters)
        function = resolver.function._replace(parameters=tuple(parameters))
    resolver.function, resolver.abilities = function, resolver.abilities | {'$arg'}
    return resolver


def names_for(node: Expr, before: str, resolver: Resolver) -> Iterable[str]:
    """The names that may stand at the cursor, which is in that node; `before` is the argument up to there."""
    kind, info, function = node.kind, resolver.info, resolver.function
    parameters = function.parameters if function else ()
    if kind == 'memberof':
        return members_at(node, resolver)
    if kind == 'containerof':
        return names_of_members(resolver.type_named(node.type), '.'.join(('', *node.member[:-1])), info)
    if kind == 'packet':
        return HEADERS
    if kind == 'register':
        return [*resolver.arch.registers, *map(str, range(len(resolver.target.operands or parameters)))]
    if kind == 'special':
        current = '$current' in resolver.abilities and not resolver.in_program
        return ['comm', 'stack'] + ['current'] * current + ['retval', 'dur'] * (resolver.kind == 'r')
    if kind == 'global':
        typed = node.name.replace(CURSOR, '')
        return info.symbols.beginning(typed, False) if info.symbols and typed else ()
    names = [*(resolver.fields or ()), *(parameter.name for parameter in parameters)]
    names += ['$retval'] * (resolver.kind == 'r') + [f'{word}(' for word in FUNCTIONS if resolver.kind != 'e']
    if before.endswith('('):
        names += ['struct ', 'union ', 'enum ', 'unsigned ', 'char ', 'void ']
    return names + ['f:'] * (not before)


def members_at(node: Expr, resolver: Resolver) -> list[str]:
    """The members that may follow -> or '.'."""
    if node.inner.kind == 'packet':
        header = resolver.type_named(TypeName('struct ' + node.inner.name, 0, node.at))
        return [*(member_names(header) if isinstance(header, Struct) else ()), *PAYLOAD]
    inner = resolver.value(node.inner)
    if node.arrow:
        inner = resolver.pointee(inner)
    return member_names(resolver.complete(inner.type)) if isinstance(inner.type, Struct) else []


def names_of_members(type_: Type, path: str, info: Module) -> list[str]:
    """The names of the members behind a path, through pointers and arrays."""
    whole = pointed_to(member_at(type_, path, 0, info).type())
    return member_names(whole) if isinstance(whole, Struct) and whole.size is not None else []


def continued(text: str, start: int, closing: str, machine: Machine) -> Offer:
    """What may follow an expression that is whole: '->' behind a pointer to a struct, '.' behind a struct."""
    bare = text[:-1] if text.endswith('-') else text
    whole = bare + closing
    type_ = resolver_for(text, machine).value(Parser(TOKENS, whole, start, len(whole)).arg().expr).type
    arrow = isinstance(type_, Pointer) and isinstance(type_.target(), Struct)
    return offered(text, len(bare), ['->'] * arrow + ['.'] * isinstance(type_, Struct))


# types and filters


def type_word_offer(text: str, at: int, node: TypeName, machine: Machine) -> Offer:
    """The words of a cast."""
    keyword, _, word = node.words.replace(CURSOR, '').rpartition(' ')
    if re.search(r'@\(struct\s+\w*$', text):
        return offered(text, at, HEADERS)
    if keyword in ('struct', 'union', 'enum'):
        return offered(text, at, machine.kernel.type_names([keyword], word))
    words = ['struct ', 'union ', 'enum ', *(name for name in PLAIN_TYPES if ' ' not in name)]
    return offered(text, at, [*words, *machine.kernel.type_names([''], word)] if word else words)


def type_offer(text: str, start: int, keyword: str, machine: Machine) -> Offer:
    """For -L: the name of a type, and members behind it."""
    match = re.fullmatch(r'(\w*)((?:(?:\.|->)\w+|\[\d+\])*?)(?:(?:\.|->)(\w*))?', text[start:])
    if not match:
        return Offer(len(text), ())
    (name, path, member), info = match.groups(), machine.kernel
    if member is None:
        return offered(text, start, info.type_names([keyword], name))
    type_ = info.named(keyword, name)
    return offered(text, len(text) - len(member), names_of_members(type_, path, info) if type_ else ())


def filter_offer(text: str, start: int, machine: Machine) -> Offer:
    """Fields, and behind an operator the values of an enum; what an expression may go on with."""
    left = re.search(r'(?:->|[^\s&|!=<>~])*$', text[start:])
    if left and re.search(r'[^\w(]', left[0]):
        begin = start + left.start() + len(left[0]) - len(left[0].lstrip('('))
        return argument_offer(f"{text[:start - 2]}{' ' * (begin - start + 2)}{text[begin:]}", machine)
    at = len(re.sub(r'\w*$', '', text[start:])) + start
    resolver = resolver_for(text, machine)
    types = {field.name: field.type for field in (resolver.fields or {}).values()}
    for parameter in resolver.function.parameters if resolver.function else ():
        types[parameter.name] = parameter.type()
    with contextlib.suppress(InputError):
        probe = parse_probe(text[:start - 2])
        fields = unique([resolver.field(arg) for arg in probe.args], probe)
        for field, arg in zip(fields, probe.args):
            types[field.name] = resolver.value(arg.expr).type if field.format else Void()
    compared = re.search(r'(\w+)\s*(?:==|!=|<=|>=|<|>|~|(?<!&)&)\s*$', text[start:at])
    if not compared:
        return offered(text, at, [*types, *(name for name in GENERIC_FIELDS if name[:2] != '__')])
    type_ = types.get(compared[1])
    return offered(text, at, [name for name, _ in type_.enumerators()] if isinstance(type_, Enum) else ())


# ---- Plan --------------------------------------------------------------------------------------------------
# Paths are below tracefs. An undo of None: the change goes with the instance, or with an undo before it.

class Write(NamedTuple):
    """A line written; files of definitions are appended to. An optional file need not be there."""
    path: str
    text: str
    optional: bool = False


class Step(NamedTuple):
    """A change of the machine, and what undoes it; of the places of an event the kernel has to take one."""
    do: Write
    undo: Write | None
    event: str = ''                         # whose place is defined


class Run(NamedTuple):
    """The wishes of a run beside its events."""
    group: str                              # the name of its instance and of its group of events
    stacks: bool = False
    user_stacks: bool = False
    buffer_kb: int | None = None            # for each processor
    pids: tuple[int, ...] = ()              # thread ids to trace
    alone: bool = False                     # without those that they start
    own: tuple[int, ...] = ()               # and those of surftrace itself, which are left out
    entries: int = 0                        # of all histograms of the kernel together; 0: it counts nothing
    wall: bool = False                      # whether its clock is to tell the time of day
    tasks: int = 0                          # that there are, each with a stack in the kernel


# Else an instance begins with those that somebody has set for the whole machine (trace.c, trace_array_create)
TRACE_OPTIONS = {
    **dict.fromkeys(('context-info', 'overwrite', 'disable_on_free'), '1'),
    **dict.fromkeys(('bin', 'hex', 'raw', 'fields', 'sym-addr', 'sym-offset', 'stacktrace', 'userstacktrace',
                     'irq-info'), '0')}
OFF_AT_OPENING = 'options/latency-format'   # another one, which counts when trace_pipe is opened


def plan(events: Sequence[Event], run: Run, counted: Sequence[Histogram] | None = None) -> list[Step]:
    """Every change of a run between making its instance and removing it (a group without one may be swept),
    to be undone in reverse. Each filter comes before its enable; a probe is removed when its event is off."""
    instance, largest = f'instances/{run.group}', max(record_kb(event) for event in events)
    optional = {f'options/{name}': value for name, value in TRACE_OPTIONS.items()}
    optional['buffer_percent'] = '0'
    optional['buffer_subbuf_size_kb'] = str(largest) if largest > 4 else ''     # Linux 6.8, heeded since 7
    across = any(event.pair or event.role for event in events)      # a call may end on another processor
    needed = {'trace_clock': 'mono' * run.wall or 'global' * across,
              'buffer_size_kb': str(run.buffer_kb or ''), 'options/stacktrace': '1' * run.stacks,
              'options/userstacktrace': '1' * run.user_stacks, 'options/sym-userobj': '1' * run.user_stacks,
              'options/record-tgid': '1' * bool(run.pids),
              'options/event-fork': '1' * (bool(run.pids) > run.alone),
              'set_event_pid': ' '.join(map(str, run.pids))}
    steps = [Step(Write(f'{instance}/{path}', text, settings is optional), None)
             for settings in (optional, needed) for path, text in settings.items() if text]
    for event in events:
        for count, definition in enumerate(event.definitions):
            made = Write(definition.file, definition.definition(run.group))
            removal = Write(definition.file, f'-:{run.group}/{definition.name}')
            steps.append(Step(made, None if count else removal, definition.name))
    counted = run_histograms(events, run) if counted is None else counted
    steps += counting_steps(counted, run.group, f'{instance}/')
    for event in sorted(events, key=lambda event: event.role != 'return'):  # on before their entries
        folder = f'{instance}/{event.folder(run.group)}'
        filters = filters_of(event, run)
        if any(each.event.name == event.name for each in counted):
            continue
        if filters:
            text = ')&&('.join(filters)
            steps.append(Step(Write(f'{folder}/filter', f'({text})' if len(filters) > 1 else text), None))
        steps.append(Step(Write(f'{folder}/enable', '1'), Write(f'{folder}/enable', '0')))
    return steps


def counting_steps(histograms: Sequence[Histogram], group: str, folder: str = '') -> list[Step]:
    """What makes histograms, and the events that are made of others, in that folder of an instance; they need
    no enable, and their filters are their own."""
    steps = []
    for made in filter(None, dict.fromkeys(made_of_others(each.event) for each in histograms)):
        steps.append(Step(Write(made.file, made.definition()), Write(made.file, f'-:synthetic/{made.name}')))
    for each in histograms:
        file, text = f'{folder}{each.folder(group)}/trigger', each.trigger()
        steps.append(Step(Write(file, text), Write(file, f'!{text}')))
    return steps


def paused(trigger: Write) -> Write:
    """What stops a histogram. They go on where tracing is off, and then by another clock: a call that began
    before would take any time (trace_events.c, trace_event_buffer_lock_reserve, temp_buffer)."""
    keys, join, filter_ = trigger.text.partition(' if ')
    return trigger._replace(text=f'{keys}:pause{join}{filter_}')


def filters_of(event: Event, run: Run) -> list[str]:
    """What its records are filtered by."""
    return [text for text in (event.filter, of_others(event, run.own)) if text]


def run_histograms(events: Sequence[Event], run: Run) -> list[Histogram]:
    """The histograms of a run, each as large as it may be; those of a pair come first, not where its room is
    surely too small: there is one for each task that ever called, and place of its stack where it did."""
    pairs: list[Histogram] = []
    others: list[Histogram] = []
    for event in events:
        if run.entries and event.counted:
            with contextlib.suppress(InputError):
                (pairs if event.pair else others).extend(histograms_of(event, events, run))
    made = in_room(pairs + others, run.entries)
    in_kernel = any(each.event.definitions[0].letter[0] == 'r' for each in pairs)
    too_small = in_kernel and made[0].entries < run.tasks * PLACES_IN_STACK
    return in_room(others, run.entries) if too_small else made


PLACES_IN_STACK = 32                        # a few, which system calls move at random by up to 1 KB


def histograms_of(event: Event, events: Sequence[Event], run: Run) -> list[Histogram]:
    """Those of an event that is counted. InputError: only user space can, and why. A histogram with times
    sets the clock of its instance (hist_register_trigger), and for a moment nothing is recorded there: a call
    that returned then would lend its entry to the next. So there is one pair in a run."""
    filters = filters_of(event, run)
    if not event.pair or not event.pair.entry:
        return histograms(event, filters)
    pairs = [each for each in events if each.pair and each.pair.entry and each.counted]
    if len(pairs) > 1 or run.wall:
        refuse(f'{ONLY_HERE} the times of several lines, or beside the time of day')
    entry = next(each for each in events if event.pair and each.name == event.pair.entry)
    return timed(entry, event, filters, run.group or GROUPS[entry.definitions[0].file])


def in_room(made: Sequence[Histogram], entries: int) -> list[Histogram]:
    """The histograms with so many entries in all; texts take twice the memory."""
    shares = [1 + each.has_text for each in made if each.keys]
    share = entries // sum(shares) if shares else 0
    sizes = [1 << max(1, share if each.keys else 1).bit_length() - 1 for each in made]
    return [each._replace(entries=max(SMALLEST_HISTOGRAM, min(LARGEST_HISTOGRAM, size)))
            for each, size in zip(made, sizes)]


ENTRIES_ELSEWHERE = 1 << 14                 # of the histograms of -S and -o: 10 MB
GROUPS = {'kprobe_events': 'kprobes', 'uprobe_events': 'uprobes', 'dynamic_events': 'eprobes'}  # without one


def shown_lines(events: Sequence[Event], run: Run) -> list[str]:
    """What -S prints: definitions, and as comments what makes the kernel count, or why it cannot."""
    made, lines = run_histograms(events, run), []
    for event in events:
        own = [each for each in made if each.event.name == event.name]
        lines += event.lines(whole=bool(own))
        group = GROUPS[event.definitions[0].file] if event.definitions else ''
        lines += [f'# {shown_command(step.do)}' for step in counting_steps(own, group)]
        if event.counted and not own:
            try:
                histograms_of(event, events, run)
            except InputError as error:
                lines.append(f'# {event.name}: {error.message}')
    return lines


def record_kb(event: Event) -> int:
    """Estimate the KB of a record: 4 for each string (kernel/trace/trace_probe.h, MAX_STRING_SIZE), 4 for the
    rest; a kernel's own event likely has one string."""
    if not event.definitions:
        return 8
    kinds = [fetch.kind.rstrip(']').partition('[') for _, fetch in event.definitions[0].args]
    return 4 + 4 * sum(int(count or 1) for kind, _, count in kinds if kind in STRINGS)


# Whether it was an interrupt and not the task (include/linux/trace_events.h, trace_flag_type: 8 hard,
# 16 soft, 64 NMI). A kprobe's int3 looks like an NMI that interrupts itself (arch/x86/kernel/traps.c); no
# uprobe is in an interrupt.
IN_INTERRUPT = {'e': 'common_flags&88', 't': 'common_flags&88',
                'p': 'common_flags&16||common_flags&8&&!(common_flags&64)'}


def of_others(event: Event, own: Sequence[int]) -> str:
    """A filter that leaves out what these tasks do, of switches those between them and the idle task."""
    def is_other(field: str, tasks: Sequence[int]) -> str:
        return '&&'.join(f'{field}!={task}' for task in tasks)
    if not own:
        return ''
    unseen = {fetch: name for definition in event.definitions for name, fetch in definition.unseen}
    if event.next_task in unseen:
        return f'{is_other("common_pid", (0, *own))}||{is_other(unseen[event.next_task], (0, *own))}'
    if (event.system, event.name) == ('sched', 'sched_switch'):
        return f'{is_other("prev_pid", (0, *own))}||{is_other("next_pid", (0, *own))}'
    interrupt = IN_INTERRUPT.get(event.probe.kind.replace('r', 'p'))
    return is_other('common_pid', own) + (f'||{interrupt}' if interrupt else '')


GUARDS_IN_SCRIPT = '''
# A value behind a pointer means something only where {} beside it are good addresses, not 0x0.'''
GROUP_IN_SCRIPT = '\0'                      # the group in the plan of a script: no line of a user can hold it


def shell_quote(text: str) -> str:
    """Quote for any POSIX shell, with the group as its variable."""
    return '"' + re.sub(r'([\\"$`])', r'\\\1', text).replace(GROUP_IN_SCRIPT, '${group}') + '"'


def shell_command(write: Write) -> str:
    """A call of the functions put and maybe of the script."""
    return f"{'maybe' if write.optional else 'put'} {shell_quote(write.path)} {shell_quote(write.text)}"


def shown_command(write: Write, root: str = '') -> str:
    """The change as a command that one could type, in tracefs itself without its root."""
    quoted = "'" + write.text.replace("'", "'\\''") + "'"
    adds = write.path.endswith(('_events', '/trigger'))
    return f"echo {quoted} {'>>' if adds else '>'} {os.path.join(root, write.path)}"


SCRIPT = r'''#!/bin/sh
# Made by surftrace; it needs root, tracefs and nothing else. The lines it was made from:
{lines}
# Values come as the kernel prints them: enumerators, addresses and network byte order as raw numbers.{guards}
LC_ALL=C group= done=0 left={count} before= nap= over=
export LC_ALL

fail() {{ echo "$0: $*" >&2; exit 1; }}
put() {{
    case $1 in
        *_events | */trigger) printf '%s\n' "$2" >>"$tracefs/$1" ;;
        *) printf '%s\n' "$2" >"$tracefs/$1" ;;
    esac
}}
maybe() {{ [ ! -e "$tracefs/$1" ] || put "$1" "$2" 2>/dev/null || :; }}
place() {{       # one of several of an event, of which the kernel has to take one
    if put "$1" "$2" 2>/dev/null; then took=1; else echo "$0: left out, the kernel refuses it: $2" >&2; fi
}}
pipe() {{        # that descriptor is a pipe without a name
    fifo=${{TMPDIR:-/tmp}}/$group
    mkfifo "$fifo" && eval "exec $1<>\"\$fifo\"" && rm "$fifo"
}}
claim() {{       # before trace_pipe is open another surftrace may remove the instance as a dead run's
    read -r uuid </proc/sys/kernel/random/uuid
    group=surftrace_$$_${{uuid%%-*}}s
    mkdir "$tracefs/instances/$group" || fail "cannot make $tracefs/instances/$group"
    maybe "instances/$group/{off}" 0
    command exec 3<"$tracefs/instances/$group/trace_pipe"
}}
trace() {{ sed -n '/^[^#]/,$p' "$tracefs/instances/$group/trace"; }}        # what nobody has read
last() {{        # the lines that belong to this event are there soon; then nothing more is read
    echo 0 >"$tracefs/instances/$group/tracing_on"
    sleep 1
    kill "$reader" 2>/dev/null
}}
show() {{        # of the lines that come, $left events with what belongs to them
    while IFS= read -r line; do
        case $line in
            *": <stack trace>" | *": <user stack trace>") ;;
            " "???????????????-[0-9]*" ["[0-9][0-9][0-9]*"] "*.*": "*)
                [ "$left" -gt 0 ] || return 0
                left=$((left - 1))
                [ "$left" -gt 0 ] || last ;;
        esac
        printf '%s\n' "$line"
    done
}}
{tables}ending() {{
    trap '[ -z "$counter" ] || kill "$counter"' INT TERM HUP QUIT
    trap '' PIPE
{halt}    [ -z "$group" ] || echo 0 >"$tracefs/instances/$group/tracing_on"
    [ -z "$timer" ] || kill "$timer" 2>/dev/null
    [ -z "$nap" ] || kill "$nap" 2>/dev/null
    if [ -n "$reader" ]; then           # it ends by itself when all is written; not on every kernel
        {{ exec 3<&-; sleep 1 & trap "kill $!; exit" TERM; wait; kill "$reader"; }} >/dev/null 2>&1 &
        timer=$!
        wait "$reader" 2>/dev/null
        [ $? != 127 ] || wait "$timer"  # it is nobody's child where the shell that started it was killed
        kill "$timer" "$reader" 2>/dev/null
    fi
    if [ -n "$group" ] && [ -d "$tracefs/instances/$group" ]; then
        if [ -z "$counter" ]; then trace; else wait "$counter" 2>/dev/null; fi
{last}        exec 3<&-
{undo}
        for attempt in 1 2 3; do
            [ ! -d "$tracefs/instances/$group" ] || rmdir "$tracefs/instances/$group" 2>/dev/null || sleep 1
        done
    fi
    [ -z "$mounted" ] || umount "$tracefs" 2>/dev/null
    [ -z "$watch" ] || kill "$watch" 2>/dev/null
}}
undo() {{ "$@" 2>/dev/null || :; }}

[ "$(id -u)" = 0 ] || fail "root is needed"
tracefs= mounted=
mounts=$(awk '$3 == "tracefs" {{ print $2 }}' /proc/mounts)
for place in /sys/kernel/tracing /sys/kernel/debug/tracing $mounts; do
    if [ -z "$tracefs" ] && [ -e "$place/trace_pipe" ]; then tracefs=$place; fi
done
if [ -z "$tracefs" ]; then
    mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || fail "no tracefs, and none can be mounted"
    tracefs=/sys/kernel/tracing mounted=1
    echo "$0: tracefs mounted at $tracefs for this run" >&2
fi
{needs}
reader= counter= timer= watch=
trap ending EXIT
trap 'exit 0' INT TERM HUP QUIT PIPE
claim || claim || claim || fail "cannot keep an instance: another surftrace removes it"
{do}
{timer}if pipe 4; then         # which only this shell holds: when that is killed, its end comes all the same
    {{ exec 3<&- 4>&-; read -r reader; read -r end; ending; }} </proc/self/fd/4 >/dev/null 2>&1 &
    watch=$!
else
    exec 4>/dev/null
fi
{start}echo "tracing; Ctrl-C ends it" >&2
{wait}
exit 0
'''


# By dd: a cat that splices (busybox's) holds the lock of a pipe it writes to while it waits. Not by exec in a
# function, which takes from bash's that it ignores INT: bash waits for ever for what dies of the same one
DD = "sh -c 'echo $$ >&4; exec dd bs=64k 4>&-' <&3 4>&4 2>/dev/null"
READING = f'{DD} &\nreader=$!\n'
COUNTING = f'''pipe 5 || fail "cannot make a pipe"
{DD} >/proc/self/fd/5 5>&- &
reader=$!
{{ exec 3<&- 4>&- 5>&-; show && [ "$left" -gt 0 ] && trace | show; }} </proc/self/fd/5 2>/dev/null &
counter=$!
exec 5>&-
'''
# When the script was killed before that was watched for, another process may have its number by then
TIMER = '''{{
    exec 3<&-; sleep {} & trap "kill $!; exit" TERM; wait
    case $(ls -l "/proc/$$/fd/3") in *"/$group/trace_pipe") kill $$ ;; esac
}} >/dev/null 2>&1 &
timer=$!
'''


def in_seconds(seconds: float) -> str:
    """Spell it for people and for any sleep: without an exponent."""
    return f'{seconds:f}'.rstrip('0').rstrip('.')


UNTIL_THE_END = 'wait "${counter:-$reader}" 2>/dev/null'
HISTOGRAMS_NEEDED = '''triggers=$tracefs/instances/$group/events/sched/sched_switch/trigger
case $(sed '' "$triggers" "$tracefs/README") in
    *" hist"*.buckets=*) ;;
    *) fail "this kernel has no histograms (CONFIG_HIST_TRIGGERS, Linux 5.14): it cannot count by itself" ;;
esac
'''
EVERY_SO_OFTEN = '''while sleep {} 3<&- 4>&- & nap=$!; wait "$nap"; do
    if [ -t 1 ]; then printf '\\033[H\\033[2J'; fi
    trap 'over=1' INT TERM HUP QUIT PIPE       # not between a table and what the next one begins with
    date +%T
    table
    echo
    trap 'exit 0' INT TERM HUP QUIT PIPE
    [ -z "$over" ] || exit 0
done'''
# What histograms have counted becomes tables: numbers of 64 bits are three of seven digits, as awk's have 53.
TABLES = r'''tables='
function digits(text, i) { return ("1" substr(text, i, 7)) - 10000000 }    # not octal in any awk
function three(text, sign) {        # the digits of a number: high, middle, low
    sign = sub(/^-/, "", text) ? -1 : 1
    text = "000000000000000000000" text
    text = substr(text, length(text) - 20)
    high = sign * digits(text, 1); middle = sign * digits(text, 8); low = sign * digits(text, 15)
}
function floor(x, whole) { whole = int(x); return whole > x ? whole - 1 : whole }
function number(a, b, c, more, text) {
    more = floor(c / 10000000); c -= more * 10000000; b += more
    more = floor(b / 10000000); b -= more * 10000000; a += more
    if (a < 0) return "-" number(-a, -b, -c)
    text = sprintf("%.0f%07.0f%07.0f", a, b, c)
    sub(/^0+/, "", text)
    return text == "" ? "0" : text
}
function plus(text, more) { three(text); return number(high, middle, low + more) }
function below(a, b) { return length(a) < length(b) || length(a) == length(b) && (a "") < (b "") }
function signed(text, bits, a, b, c) {
    if (!bits || below(text, two[bits - 1])) return text
    three(two[bits]); a = high; b = middle; c = low
    three(text)
    return number(high - a, middle - b, low - c)
}
function hex(text, a, b, c, out) {
    three(text); a = high; b = middle; c = low
    do {
        b += a % 16 * 10000000; c += b % 16 * 10000000
        out = substr("0123456789abcdef", c % 16 + 1, 1) out
        a = int(a / 16); b = int(b / 16); c = int(c / 16)
    } while (a || b || c)
    return "0x" out
}
function power(n) { n += 0; return n > 1 ? plus(two[n - 1], 1) "-" two[n] : n ? "2" : "0-1" }
function range(text, step, i, rest) {
    for (i = 1; i <= length(text); i++) rest = (rest * 10 + substr(text, i, 1)) % step
    text = plus(text, -rest)
    return step > 1 ? text "-" plus(text, step - 1) : text
}
function visible(text, out, char) {
    for (; match(text, /[[:cntrl:]]/); text = substr(text, RSTART + 1)) {
        char = substr(text, RSTART, 1)
        out = out substr(text, 1, RSTART - 1) sprintf("\\x%02x", code[char])
    }
    return out text
}
function cell(item, part, text, n) {
    if (item ~ /^=/) return substr(item, 3)
    split(item, part, " "); text = value[part[2]]
    if (part[1] == "comm") return visible(text)
    if (part[1] == "text") return "\"" visible(text) "\""
    if (part[1] == "power") return power(substr(text, 3))
    if (part[1] == "range") { split(text, part, "-"); return part[1] == part[2] ? part[1] : text }
    if (part[1] == "hex") return hex(text)
    text = signed(text, part[3])
    if (part[1] == "number" || text ~ /^-/) return text
    if (part[1] == "to_range") return range(text, part[4])
    for (n = 0; n < 64 && below(two[n], text); n++);
    return power(n)
}
function entry(line, more, i, n, row, times, t, part) {
    line = substr($0, 3); t = item[2]; row = t
    for (i = 1; i <= item[4]; i++) {
        line = substr(line, index(line, ": ") + 2)
        if (i == item[4] && item[5]) {          # 50 characters of any kind
            while (length(line) < 50 && (getline more) > 0) line = line "\n" more
            value[i] = substr(line, 1, 50); sub(/ +$/, "", value[i]); line = substr(line, 51)
        } else {
            n = match(line, /[,}]/)
            value[i] = substr(line, 1, n - 1); gsub(/[ ~]/, "", value[i]); line = substr(line, n)
        }
    }
    sub(/^[ }]*hitcount: */, "", line)
    if (split(line, field, / +/) < 1 || field[1] !~ /^[0-9]+$/) return
    for (i = 1; i <= keys[t]; i++) row = row SUBSEP cell(item[5 + i])
    times = now ? field[1] : -field[1]
    hits += now * times; calls[row] += times
    for (i = 1; i <= sums[t]; i++) {
        split(item[5 + keys[t] + i], part, " ")
        if (part[1] == "unread") { unsure[row, i] += times; continue }
        three(signed(part[1] == "sum" ? field[2 * part[2] + 1] : value[part[2]], part[3]))
        n = part[1] != "sum" ? times : now ? 1 : -1
        highs[row, i] += n * high; middles[row, i] += n * middle; lows[row, i] += n * low
    }
}
function total(row, i) { return highs[row, i] * 100000000000000 + middles[row, i] * 10000000 + lows[row, i] }
function added(row, i, title, text, count) {
    text = number(highs[row, i], middles[row, i], lows[row, i])
    count = calls[row] - unsure[row, i]
    if (title ~ /^avg\(/) text = count ? sprintf("%.1f", total(row, i) / count) : "-"
    return unsure[row, i] ? text sprintf(" (+%.0f not read)", unsure[row, i]) : text
}
function later(a, b) { return weight[a] == weight[b] ? a > b : weight[a] < weight[b] }
function sink(i, n, j, row) {       # the last comes to the top of the heap
    for (; (j = 2 * i) <= n; i = j) {
        if (j < n && later(rows[j + 1], rows[j])) j++
        if (!later(rows[j], rows[i])) return
        row = rows[i]; rows[i] = rows[j]; rows[j] = row
    }
}
function show(t, title, n, i, j, row, sum, shown, part, grid, width, form, line, left) {
    split(titles[t], title)
    for (row in calls) if (index(row, t SUBSEP) == 1 && calls[row]) {
        rows[++n] = row; sum += calls[row]
        weight[row] = sums[t] ? total(row, 1) : calls[row]
    }
    for (i = int(n / 2); i >= 1; i--) sink(i, n)
    for (i = n; i > 1; i--) { row = rows[1]; rows[1] = rows[i]; rows[i] = row; sink(1, i - 1) }
    shown = top && top < n ? top : n + 0
    left = sum
    for (i = 0; i <= shown; i++) {
        row = rows[i]; split(row, part, SUBSEP)
        if (i) left -= calls[row]
        for (j = 1; j <= keys[t]; j++) grid[i, j] = i ? part[j + 1] : substr(title[4 + j], 2)
        grid[i, j] = i ? sprintf("%.0f", calls[row]) : title[3]
        for (j = 1; j <= sums[t]; j++) {
            line = title[4 + keys[t] + j]
            grid[i, keys[t] + 1 + j] = i ? added(row, j, line) : line
        }
        for (j = 1; j <= keys[t] + 1 + sums[t]; j++) {
            if (length(grid[i, j]) > width[j]) width[j] = length(grid[i, j])
            form[j] = (j > 1 ? "  %" : "%") (j <= keys[t] && title[4 + j] ~ /^</ ? "-" : "") width[j] "s"
        }
    }
    for (i = 0; i <= shown; i++) {
        line = ""
        for (j = 1; j <= keys[t] + 1 + sums[t]; j++) line = line sprintf(form[j], grid[i, j])
        row = weight[rows[1]] > 0 ? int(weight[rows[i]] * 40 / weight[rows[1]]) : 0
        print line (i ? " |" substr("########################################", 1, row) : "")
    }
    line = left ? sprintf(", %.0f of them in %d more rows", left, n - shown) : ""
    printf "%.0f %s%s\n", sum, title[3], line
    line = ""
    if (dropped[t]) line = sprintf(", %s%.0f with keys that found no room in the kernel", upto[t], dropped[t])
    if (last && unread[t] > 0) line = line sprintf(", %.0f in entries that cannot be read", unread[t])
    for (i in layout) {
        split(layout[i], part)
        if (part[2] == t && !(i in seen)) line = line ", what the kernel does not show of " part[3]
    }
    if (missed) line = line ", missed by the probes: " missed
    if (line) print "at least: " substr(line, 3) since
}
BEGIN {
    FS = "\t"
    for (i = 1; n <= 64; i *= 2) two[n++] = sprintf("%.0f", i)
    for (i = 1; i < 128; i++) code[sprintf("%c", i)] = i
}
/^table\t/ && !begun { count = $2; titles[count] = $0; keys[count] = $4; sums[count] = NF - 4 - $4; next }
/^histogram\t/ && !begun { i = $3; line = $0; getline filter; layout[i, filter] = line; next }
/^keeps\t/ && !begun { keeps[$3] = $2; upto[$2] = "up to "; next }
$0 == "before" || $0 == "now" { begun = 1; now = $0 == "now"; next }
/^event / { event = substr($0, 7); next }
/^# trigger info: / {
    i = index($0, " if "); filter = i ? substr($0, i + 4) : ""
    sub(/ \[[a-z]+\]$/, "", filter)
    known = (event, filter) in layout; hits = 0
    if (known) split(layout[event, filter], item)
    if (known && now) seen[event, filter] = 1
}
substr($0, 1, 2) == "{ " && known { entry() }
/^ +Hits: / && known && now { split($0, part, ": "); unread[item[2]] += part[2] - hits }
/^ +Dropped: / && now && (known || event in keeps) {
    split($0, part, ": "); dropped[known ? item[2] : keeps[event]] += part[2]
}
END { for (t = 1; t <= count; t++) { if (t > 1) print ""; show(t) } }
'
layout() {      # the tables; the histograms, each with its filter below it
    printf '%s\n' \
{layout}
}
counts() {      # what is read of it lasts, whatever signal comes
    trap '' INT TERM HUP QUIT
    for event in {events}; do
        echo "event $event"
        sed '' "$tracefs/instances/$group/events/$event/hist"
    done
    for event in {keeps}; do
        echo "event $event"
        sed '/^{/d' "$tracefs/instances/$group/events/$event/hist"
    done
}
missed() {      # what no probe saw: the rows of the profile are those of the definitions
    awk -v group="$group" '
        FNR == NR { split($1, part, "[:/]"); if (part[2] == group) name[FNR] = part[3]; next }
        FNR in name { missed[name[FNR]] += $3 }
        END { for (i in missed) if (missed[i]) { printf "%s%s %.0f", comma, i, missed[i]; comma = ", " } }
    ' "$tracefs/kprobe_events" "$tracefs/kprobe_profile" 2>/dev/null
}
table() {       # of what has come since the last one; what is missing, of all since the first
    now=$(counts)
    (
        trap '' INT TERM HUP QUIT
        { layout; echo before; printf '%s\n' "$before"; echo now; printf '%s\n' "$now"; } |
            awk -v top={top} -v last="$1" -v since='{since}' -v missed="$(missed)" "$tables"
    )
    before=$now
}
'''


def table_layout(events: Sequence[Event], made: Sequence[Histogram]) -> list[str]:
    """What a script is told of its tables (number, unit, keys, titles) and of what each histogram means for
    one: its event, how many keys it has, whether the last is a text, what stands in each column; the
    filter. Of one that keeps what pairs are made of only what found no room is in a table."""
    lines, numbers = [], {}
    for number, table in enumerate(Counting(events).tables, 1):
        keys = table.keys or [Column('event', '')]
        titles = ['<>'[key.numbers] + key.heading(key.title) for key in keys]
        titles += [column.heading(column.source()) for column in table.sums]
        lines.append('\t'.join(['table', str(number), table.unit, str(len(keys)), *titles]))
        numbers.update(dict.fromkeys(table.labels, (str(number), table)))
    for each in made:
        event, keys_ = each.folder(GROUP_IN_SCRIPT)[len('events/'):], str(len(each.keys) or 1)
        if each.keeps:                                  # of a pair, of which there is one
            of_pair = next(numbers[other.event.head] for other in made if made_of_others(other.event))
            lines.append('\t'.join(['keeps', of_pair[0], event]))
            continue
        number_, table = numbers[each.event.head]
        columns = each.event.columns or ()
        items = [f'= {table.labels[each.event.head]}'] * (len(table.labels) > 1 or not table.keys)
        with located(each.event.probe.text, each.event.probe.source, each.event.probe.place.at):
            items += [key_item(each, column) for column in columns if not column.adds]
        items += [sum_item(each, column) for column in columns if column.adds]
        lines.append('\t'.join(['histogram', number_, event, keys_, str(int(each.has_text)), *items]))
        lines.append(each.filter)
    return lines


def key_item(made: Histogram, column: Column) -> str:
    """What stands in a key's column: a word, or how, by which key, how many bits with a sign, what step."""
    if column.field in made.words:
        return f'= {made.words[column.field]}'
    number, key = next((number, key) for number, key in enumerate(made.keys, 1)
                       if (key.field, key.title) == (column.field, column.title))
    field = made.event.fields[column.field]
    if column.field < 0:
        return f'number {number}'
    if is_text(made.event, key):
        return f"{'comm' if column.title == 'comm' else 'text'} {number}"
    if key.how:
        return f"{'power' if key.how == 'log2' else 'range'} {number}"
    if column.how == 'step' and column.step > 9 * 10**14:
        refuse('a script cannot tell by so large steps')
    if not column.how and not field.format and field.kind[0] == 'x':
        return f'hex {number}'
    way = {'log2': 'to_power', 'step': 'to_range'}.get(column.how, 'number')
    return f'{way} {number} {sign_bits(field)} {column.step}'


def sum_item(made: Histogram, column: Column) -> str:
    """What is added to a column: a sum of the histogram, its key so many times, or it could not be read."""
    field = made.event.fields[column.field]
    if column.field in made.words:
        return 'unread'
    if column.field in made.sums:
        return f'sum {made.sums.index(column.field) + 1} {sign_bits(field)}'
    number = next(number for number, key in enumerate(made.keys, 1)
                  if key.field == column.field and not key.how)
    return f'times {number} {sign_bits(field)}'


def sign_bits(field: Field) -> int:
    """How many bits the kernel's number has that may be negative; 0: it is not."""
    return field.format.signed if field.format and field.format.signed else 64 * (field.kind[0] == 's')


def check_scriptable(events: Sequence[Event], run: Run, count: int | None) -> None:
    """Refuse what is done with the records that are read, by no script."""
    for event in events:
        with located(event.probe.text, event.probe.source, event.probe.place.at):
            if event.probe.stacks != events[0].probe.stacks:
                refuse('a script shows the stacks of all its lines, or of none')
            if event.counted:
                try:
                    histograms_of(event, events, run)
                except InputError as error:
                    refuse(f'{error.message}; a script leaves counting to the kernel', error.at)
                if count:
                    refuse('-n counts what is shown, and a script does not see what the kernel counts')
            elif event.pair and event.pair.ends:
                refuse('a script cannot show a pair of a return and its entry ($dur, and what only the entry '
                       'has): it can count them (h:), or show each by a line of its own')


def script(events: Sequence[Event], run: Run, seconds: float | None = None, count: int | None = None,
           interval: float | None = None, top: int | None = None) -> str:
    """A shell script that does the whole run: with any sh, mkdir, mkfifo, sed and dd; awk for tables."""
    pairs = any(event.pair for event in events)         # each task has many entries: PLACES_IN_STACK
    run = run._replace(group=GROUP_IN_SCRIPT, entries=ENTRIES_ELSEWHERE << 2 * pairs)
    check_scriptable(events, run, count)
    made = run_histograms(events, run)
    steps = plan(events, run, made)
    do = shell_steps(steps)
    halt = [f'    [ $done -lt {number} ] || {shell_command(paused(step.do)._replace(optional=True))}\n'
            for number, step in enumerate(steps, 1) if step.do.text.startswith('hist:')]
    undo = [f'        [ $done -lt {number} ] || undo {shell_command(step.undo)}'
            for number, step in enumerate(steps, 1) if step.undo]
    shown = [event for event in events if event.columns is None and not event.unshown]
    files = sorted({step.do.path for step in steps if step.do.path.endswith('_events')})
    unseen = ', '.join(dict.fromkeys(
        name for event in shown for definition in event.definitions for name, _ in definition.unseen))
    return SCRIPT.format(
        lines='\n'.join(dict.fromkeys('#   ' + printable(event.probe.text) for event in events)),
        guards=GUARDS_IN_SCRIPT.format(unseen) if unseen else '',
        needs='\n'.join(f'[ -e "$tracefs/{file}" ] || fail "this kernel has no {file}"' for file in files),
        tables=tables_in_script(events, made, top, interval) if made else '', off=OFF_AT_OPENING,
        halt=''.join(reversed(halt)), last='        [ -z "$reader" ] || table 1\n' * bool(made),
        do=HISTOGRAMS_NEEDED * bool(made) + '\n'.join(do), undo='\n'.join(reversed(undo)), count=count or 0,
        start=COUNTING if count else READING, timer=TIMER.format(in_seconds(seconds)) if seconds else '',
        wait=EVERY_SO_OFTEN.format(in_seconds(interval)) if interval else UNTIL_THE_END)


def shell_steps(steps: Sequence[Step]) -> list[str]:
    """The steps as commands. One that fails ends the script; of an event's places only if none is taken."""
    left = collections.Counter(step.event for step in steps)
    several = {event for event, count in left.items() if event and count > 1}
    commands = []
    for number, step in enumerate(steps, 1):
        done = f'done={number}; ' if step.undo else ''      # before the change: an interrupted one is undone
        command, failed = shell_command(step.do), f'cannot do: {step.do.text} > {step.do.path}'
        ends = f' || fail {shell_quote(failed)}'
        left[step.event] -= 1
        if step.event in several:
            done += 'took=; ' * (step.undo is not None)
            command, failed = f"place{command[len('put'):]}", f"the kernel takes no place of '{step.event}'"
            ends = f'; [ "$took" ] || fail {shell_quote(failed)}' * (not left[step.event])
        commands.append(done + command + ends)
    return commands


def tables_in_script(events: Sequence[Event], made: Sequence[Histogram], top: int | None,
                     interval: float | None) -> str:
    """The functions that show tables."""
    def of_events(wanted: Iterable[Histogram]) -> str:
        names = [each.folder(GROUP_IN_SCRIPT)[len('events/'):] for each in wanted]
        return ' '.join(map(shell_quote, dict.fromkeys(names)))
    parts = {'layout': ' \\\n'.join(f'        {shell_quote(line)}' for line in table_layout(events, made)),
             'events': of_events(each for each in made if not each.keeps),
             'keeps': of_events(each for each in made if each.keeps), 'top': str(top or 0),
             'since': f', {SINCE}' * bool(interval)}
    return re.sub(r'\{(layout|events|keeps|top|since)\}', lambda match: parts[match[1]], TABLES)


# ---- Tracefs -----------------------------------------------------------------------------------------------

TRACEFS_PLACES = ('/sys/kernel/tracing', '/sys/kernel/debug/tracing')
LOCKDOWN = '/sys/kernel/security/lockdown'


class Tracefs:
    """The kernel's tracing files; all that surftrace writes goes through here. They are found from the folder
    as it was opened, also where tracefs has been unmounted (umount -l) or covered since."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Let the folder go, so that it can be unmounted."""
        os.close(self._folder)

    def path(self, path: str) -> str:
        """Its path in the file system, for people."""
        return os.path.join(self.root, path)

    def has(self, path: str) -> bool:
        """Tell whether this kernel has the file."""
        return os.access(path, os.F_OK, dir_fd=self._folder)

    def open(self, path: str, flags: int) -> int:
        """A descriptor of a file."""
        with self._refusals(path):
            return os.open(path, flags, dir_fd=self._folder)

    def process_of(self, tid: int) -> int:
        """The process of a thread; where it has ended by what the kernel has kept of it, 0 if nothing."""
        found = (re.search(r'^Tgid:\s*(\d+)$', read_text(f'/proc/{tid}/status'), re.M)
                 or re.search(rf'^{tid} (\d+)$', self.read('saved_tgids'), re.M))
        return int(found[1]) if found else 0

    def read(self, path: str) -> str:
        """The text of a file, '' where it cannot be read."""
        try:
            with open(self.open(path, os.O_RDONLY), encoding='utf-8', errors='surrogateescape') as file:
                return file.read()
        except (OSError, TracefsError):
            return ''

    def names(self, path: str) -> list[str]:
        """The directories in a directory of such, [] where it cannot be read."""
        with contextlib.suppress(TracefsError):
            folder = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                return sorted(os.listdir(folder))
            finally:
                os.close(folder)
        return []

    def write(self, write: Write) -> None:
        """One write, as the kernel wants it: O_TRUNC deletes everybody's definitions, open('a') seeks."""
        flags = os.O_WRONLY | (os.O_APPEND if write.path.endswith('_events') else 0)
        ignored = (TracefsError,) if write.optional else ()
        with contextlib.suppress(*ignored), self._refusals(write.path):
            with open(self.open(write.path, flags), 'wb', buffering=0) as file:
                file.write(encoded(write.text) + b'\n')

    def mkdir(self, path: str) -> None:
        """A directory made; below instances/ that makes an instance."""
        with self._refusals(path):
            os.mkdir(path, dir_fd=self._folder)

    def rmdir(self, path: str) -> None:
        """A directory removed; an instance goes with its buffer and settings, unless a file of it is open."""
        with self._refusals(path):
            os.rmdir(path, dir_fd=self._folder)

    def lock(self, path: str) -> int:
        """A descriptor of the directory, locked while open; ENOENT: it is gone, EAGAIN: another has it."""
        folder = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with self._refusals(path):
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.stat(path, dir_fd=self._folder)      # it may have been removed before it was locked
            return folder
        except TracefsError:
            os.close(folder)
            raise

    @contextlib.contextmanager
    def _refusals(self, path: str) -> Iterator[None]:
        """Make an OSError a TracefsError about the file."""
        try:
            yield
        except OSError as error:
            raise TracefsError(f'{self.path(path)}: {error.strerror}', error.errno or 0, path) from error

    def last_error(self, path: str) -> tuple[str, str, int]:
        """The last entry of an error_log: the kernel's sentence, its command, the column in that, or -1."""
        entries = re.findall(r'^\[[^\]]*\] .*?: error: (.*)\n  Command: (.*)\n( *\^)?', self.read(path), re.M)
        sentence, command, mark = entries[-1] if entries else ('', '', '')
        return sentence, command, len(mark) - len('  Command: ^') if mark else -1


def mounted_tracefs() -> Tracefs | None:
    """Find tracefs where it is mounted."""
    for place in (*TRACEFS_PLACES, *re.findall(r'^\S+ (\S+) tracefs ', read_text('/proc/mounts'), re.M)):
        if os.path.exists(os.path.join(place, 'trace_pipe')):
            return Tracefs(place)
    return None


@contextlib.contextmanager
def tracefs_mounted(note: Callable[[str], None]) -> Iterator[Tracefs]:
    """Tracefs, mounted for the time of the run where it was not."""
    if os.geteuid() != 0:
        raise SurftraceError('tracing needs root: run it with sudo (-S and -o work without)')
    found = mounted_tracefs()
    if found:
        yield found
        return
    place = TRACEFS_PLACES[0]
    if not os.path.isdir(place):
        raise SurftraceError('this kernel has no tracefs (CONFIG_TRACING)')
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b'tracefs', place.encode(), b'tracefs', 0, None) != 0:
        raise SurftraceError(f'{place}: cannot mount tracefs: {os.strerror(ctypes.get_errno())}{lockdown()}')
    note(f'tracefs mounted at {place} for this run')
    tracefs = Tracefs(place)
    try:
        yield tracefs
    finally:
        tracefs.close()
        libc.umount2(place.encode(), 0)               # somebody else may use it by now: then it stays


def lockdown() -> str:
    """A note where the kernel is locked down to confidentiality, which forbids tracing."""
    return ('; the kernel is locked down (lockdown=confidentiality), which forbids tracing'
            if '[confidentiality]' in read_text(LOCKDOWN) else '')


class Instance(NamedTuple):
    """An instance that others see and do not remove."""
    group: str                              # its name, and that of the group of events: never used again
    lock: int                               # its directory, open and locked: the sign of life
    trace_pipe: int

    @property
    def path(self) -> str:
        """Its path below tracefs."""
        return f'instances/{self.group}'


GONE = (errno.ENOENT, errno.ENODEV)
OUR_NAME = r'surftrace_\d+_[0-9a-f]{8}s?'   # a process id, which other containers may have; s: a script's


def claim(tracefs: Tracefs, show: Callable[[str], None]) -> Instance:
    """Make this run's instance; another one where a sweep took it for a killed run's before it was locked."""
    chances = 10
    while True:
        group = f'surftrace_{os.getpid()}_{os.urandom(4).hex()}'
        path = f'instances/{group}'
        show(f'mkdir {tracefs.path(path)}')
        tracefs.mkdir(path)
        try:
            lock = tracefs.lock(path)
            tracefs.write(Write(f'{path}/{OFF_AT_OPENING}', '0', True))
            return Instance(group, lock, tracefs.open(f'{path}/trace_pipe', os.O_RDONLY | os.O_NONBLOCK))
        except TracefsError as error:
            with contextlib.suppress(TracefsError):
                tracefs.rmdir(path)
            chances -= 1
            if error.errno not in (*GONE, errno.EAGAIN) or not chances:
                raise


def sweep(tracefs: Tracefs) -> list[str]:
    """Remove what killed runs left, and say which. A living run has locked its instance; a script has its
    trace_pipe open: rmdir says EBUSY, as it does where there are pairs. A group without an instance is
    nobody's: that is made first, removed last."""
    swept = []
    for name in [name for name in tracefs.names('instances') if re.fullmatch(OUR_NAME, name)]:
        with contextlib.suppress(TracefsError):
            path = f'instances/{name}'
            lock = tracefs.lock(path)
            try:
                pair = tracefs.has(f'events/synthetic/{PAIR_OF.format(name)}')
                if pair and not (name.endswith('s') and is_open(f'{path}/trace_pipe')):
                    remove_triggers(tracefs, path)
                tracefs.rmdir(path)
                swept.append(name)
            finally:
                os.close(lock)
    for file in ('kprobe_events', 'uprobe_events', 'dynamic_events'):
        ours = re.findall(rf'^\w+:((?:synthetic/)?({OUR_NAME})[/_]\S+)', tracefs.read(file), re.M)
        for event, group in dict.fromkeys(ours):
            if not tracefs.has(f'instances/{group}'):
                with contextlib.suppress(TracefsError):
                    tracefs.write(Write(file, f'-:{event}'))
                    swept += [group] if group not in swept else []
    return swept


def is_open(path: str) -> bool:
    """Tell whether a process has a file open whose path ends so, or may have it: in a PID namespace not all
    processes are seen."""
    import glob
    for descriptor in glob.iglob('/proc/[0-9]*/fd/*'):
        with contextlib.suppress(OSError):              # a process that is gone
            if os.readlink(descriptor).endswith(f'/{path}'):
                return True
    return not has_kernels_pids('self')


def has_kernels_pids(*processes: str) -> bool | None:
    """Tell whether the first of them that /proc has is in the initial PID namespace (include/linux/proc_ns.h,
    PROC_PID_INIT_INO), and its number the kernel's own; None: /proc has none."""
    for process in processes:
        with contextlib.suppress(OSError):
            return os.stat(f'/proc/{process}/ns/pid').st_ino == 0xEFFFFFFC
    return None


def remove_triggers(tracefs: Tracefs, instance: str) -> None:
    """Remove those of our events in an instance, which would keep it or, of a synthetic event, that for ever
    (hist-triggers hold what they refer to). The kernel refuses in silence while another refers to one's
    variables, so all are removed twice. To open it so removes all triggers of an event."""
    group = os.path.basename(instance)
    folders = [f'{instance}/events/{system}/{event}' for system in (group, 'synthetic')
               for event in tracefs.names(f'{instance}/events/{system}') if system == group or group in event]
    for folder in folders * 2:
        with contextlib.suppress(TracefsError):
            os.close(tracefs.open(f'{folder}/trigger', os.O_WRONLY | os.O_TRUNC))


@contextlib.contextmanager
def session(tracefs: Tracefs, instance: Instance, steps: Sequence[Step], show: Callable[[str], None],
            refused: Callable[[Step, TracefsError], None], stop: Callable[[], bool],
            drain: Callable[[Sequence[str]], None], undone: dict[str, str]) -> Iterator[None]:
    """Do the steps; at the end, whatever happens, undo them in reverse, and remove the instance, in silence:
    `undone` gets each command and why it failed, or ''. `refused` raises an error where a step that failed
    ends the run. `stop` asks between steps whether to go on; `drain`, which may take as long as somebody
    reads, is called when no probe is armed any more, and before one is removed, which wipes the buffer. It is
    told what somebody else has changed."""
    undos = {f'rmdir {tracefs.path(instance.path)}': functools.partial(tracefs.rmdir, instance.path)}
    halts = [Write(f'{instance.path}/{file}', '0') for file in ('events/enable', 'tracing_on')]
    files = [f'{instance.path}/{file}' for file in ('tracing_on', 'trace_clock', 'set_event')]
    files += [step.do.path for step in steps if step.do.path.endswith('/filter')]
    set_up: dict[str, str] = {}
    try:
        for step in steps:
            if stop():
                break
            show(shown_command(step.do, tracefs.root))
            if step.do.text.startswith('hist:'):
                halts.insert(0, paused(step.do))
            if step.undo:                               # before the change: an interrupted one is undone too
                undos[shown_command(step.undo, tracefs.root)] = functools.partial(tracefs.write, step.undo)
            try:
                tracefs.write(step.do)
            except TracefsError as error:
                refused(step, error)
        set_up.update({file: tracefs.read(file) for file in files})
        yield
    finally:
        changed = [tracefs.path(file) for file, text in set_up.items() if tracefs.read(file) != text]
        for halt in halts:                              # in this order every hit is recorded
            with contextlib.suppress(TracefsError):
                tracefs.write(halt)
        try:
            drain(changed)
        finally:
            os.close(instance.trace_pipe)
            undo(dict(reversed(undos.items())), undone)
            os.close(instance.lock)


def undo(changes: Mapping[str, Callable[[], None]], undone: dict[str, str]) -> None:
    """Make the changes; `undone` gets the command of each and why it failed. What fails is tried again for a
    second, behind the others: an event that could not be switched off goes with its instance."""
    import time
    pending = list(changes)
    for attempt in range(20):
        time.sleep(0.05 if attempt else 0)
        for command in pending:
            undone[command] = ''
            try:
                changes[command]()
            except TracefsError as error:
                undone[command] = '' if error.errno in GONE else os.strerror(error.errno)
        pending = [command for command in pending if undone[command]]
        if not pending:
            break


def has_histograms(tracefs: Tracefs, instance: Instance) -> bool:
    """Tell whether this kernel has histograms (CONFIG_HIST_TRIGGERS), with all that is in Linux 5.14."""
    triggers = tracefs.read(f'{instance.path}/events/sched/sched_switch/trigger')
    return re.search(r'^# .*\bhist\b', triggers, re.M) is not None and '.buckets=' in tracefs.read('README')


def buffer_stats(tracefs: Tracefs, instance: str) -> dict[int, list[tuple[str, int]]]:
    """What is counted of the buffer of each processor."""
    folder, counts = f'{instance}/per_cpu', {}
    for cpu in tracefs.names(folder):
        found = re.findall(r'^([^:\n]+): (\d+)$', tracefs.read(f'{folder}/{cpu}/stats'), re.M)
        counts[int(cpu[len('cpu'):])] = [(name, int(count)) for name, count in found]
    return counts


def overruns(tracefs: Tracefs, instance: str) -> dict[int, int]:
    """What each processor has overwritten."""
    return {cpu: dict(counts).get('overrun', 0) for cpu, counts in buffer_stats(tracefs, instance).items()}


def buffer_counts(tracefs: Tracefs, instance: str) -> tuple[int, int]:
    """Records that were overwritten or dropped, and those that were read or still can be."""
    counts = [count for cpu in buffer_stats(tracefs, instance).values() for count in cpu]
    return (sum(count for name, count in counts if name in ('overrun', 'commit overrun', 'dropped events')),
            sum(count for name, count in counts if name in ('entries', 'read events')))


def probe_profile(tracefs: Tracefs, group: str) -> dict[str, tuple[int, int]]:
    """Hits and misses of each probe event of the group, all its places together.

    The profiles have no groups (trace_kprobe.c and trace_uprobe.c, probes_profile_seq_show): their rows are
    those of the definitions, in the same order. A new one comes last: where what is defined is the same
    before and after, so it was."""
    counts: dict[str, tuple[int, int]] = {}
    for kind in ('kprobe', 'uprobe'):
        defined, rows, after = '', '', None
        while defined != after:
            defined, rows = tracefs.read(f'{kind}_events'), tracefs.read(f'{kind}_profile')
            after = tracefs.read(f'{kind}_events')
        for definition, row in zip(defined.splitlines(), rows.splitlines()):
            ours = re.match(rf'\w+:{group}/(\S+)', definition)
            numbers = re.search(r' (\d+)(?: +(\d+))?$', row)
            if ours and numbers:
                hits, missed = counts.get(ours[1], (0, 0))
                counts[ours[1]] = hits + int(numbers[1]), missed + int(numbers[2] or 0)
    return counts


# ---- Recordings --------------------------------------------------------------------------------------------
# What trace_pipe gave in a run, with what it takes to decode that on any machine. A recording is text:
#
#     surftrace recording 1
#     # when and where; the definitions: for people
#     {"begin": {"Beginning": {...}}}   NamedTuples by name, with their fields but for what is usual; formats
#                                       and architectures by theirs
#     {"name": ["f0: (0x55..)", "main+0x3", "f"]}, {"name": ["/bin/sh+18", "main+0x12"]}   in programs, before
#     {"lost": [[0, 5]]}                by then, on a processor, where its Gaps have asked
#     {"text": [4096, 3735928559]}      so many bytes of the kernel's lines, which follow; the CRC of all but
#                                       such lines, to their end
#     {"end": [...]}                    the Results, if the run was not killed; last an empty text

RECORDING = b'surftrace recording 1\n'
LONGEST_LINE = 1 << 26


class Beginning(NamedTuple):
    """What is known as a recording begins: what makes its times those of the day, in microseconds, the most
    events to be shown, whether every event's stack is, the tasks that are."""
    zero: int
    most: int | None
    stacks: bool
    user_stacks: bool
    tasks: tuple[int, ...]
    events: tuple[Event, ...]


class Elsewhere(NamedTuple):
    """A program of another machine."""
    path: str


KEPT = {kind.__name__: kind for kind in (
    Beginning, Elsewhere, Run, Event, EventDef, Fetch, Field, Guard, Since, Pair, Compare, Not, Junction,
    Begin, Column, Probe, Place)}


def line_of(key: str, value: Any) -> bytes:
    """A line of a recording."""
    import json

    def plain(value: Any) -> Any:
        if isinstance(value, Probe):                    # what made the events of it is no longer asked for
            value = value._replace(args=(), filter=None, words=(), keys=None, entry=None, back=None)
        if isinstance(value, Compare):
            value = value._replace(arg=None)
        if isinstance(value, Arch):
            return value.name
        if isinstance(value, Format):
            return value.alone or value.word
        value = Elsewhere(value.path) if isinstance(value, Program) else value
        if hasattr(value, '_fields'):
            known, usual = value._asdict(), value._field_defaults
            return {type(value).__name__: {name: plain(each) for name, each in known.items()
                                           if name not in usual or each != usual[name]}}
        return [plain(each) for each in value] if isinstance(value, (tuple, list)) else value
    return json.dumps({key: plain(value)}).encode() + b'\n'


def read_back(line: bytes) -> Any:
    """What a line says; of the classes that are KEPT nothing is checked."""
    import json

    def tupled(value: Any) -> Any:
        return tuple(map(tupled, value)) if isinstance(value, list) else value

    def made(known: dict[str, Any]) -> Any:
        known = {name: tupled(value) for name, value in known.items()}
        return next((KEPT[name](**fields) for name, fields in known.items() if name in KEPT), known)
    return json.loads(line, object_hook=made)


def whole_event(event: Event) -> Event:
    """The event that was read back, with its formats; ValueError where a name is none."""
    event = event._replace(arch=arch_named(str(event.arch)))
    resolver = Resolver(Target(Module(event.arch, None, [])))
    args = [arg for definition in event.definitions for arg in (*definition.args, *definition.unseen)]
    names = [event.name, *(name for name, _ in args), *(field.name for field in event.every_field)]
    if not (all(re.fullmatch(r'[A-Za-z_]\w*', name, re.A) for name in names)   # they become parts of patterns
            and all(KERNEL_TYPE.fullmatch(fetch.kind or 'string') for _, fetch in args)
            and re.fullmatch(r'( \w+=\d+)?', event.seal, re.A)):
        raise ValueError(f'the names of {event.name}')

    def whole(fields: Sequence[Any]) -> tuple[Field, ...]:
        return tuple(field._replace(format=_word_format(field.format, field, resolver, field.at))
                     if field.format else field for field in fields)
    pair = event.pair and event.pair._replace(fields=whole(event.pair.fields))
    return event._replace(fields=whole(event.fields), pair=pair)


class Results:
    """What becomes of a run beside what its decoder counts (see Stream), and what is `unknown` of it; `since`
    says from when on, where its tables are of intervals."""

    def __init__(self, decoder: Decoder, most: int | None = None, top: int | None = None) -> None:
        self.decoder, self._most, self.top = decoder, most or sys.maxsize, top
        self.tallies: Sequence[Tally] = ()                      # of what the kernel counts
        self.profile: dict[str, tuple[int, int]] = {}
        self.lost = self.unshown = 0
        self.why = self.unknown = self.since = ''
        self.writes = not decoder.start                         # whether tables can be shown

    def left(self) -> int:
        """The number of events that are still wanted."""
        return self._most - sum(self.decoder.counts.values())


class Unshown(Text):
    """What is recorded is not shown; the places of events in programs are asked for, each once."""

    def line(self, head: re.Match[bytes], event: Event, place: bytes, pairs: FieldReadings) -> bytes:
        self._where(event.head + place)
        return b''

    def rows(self, task: Cells, time: Cells, names: Cells, values: Cells) -> bytes:
        for name in dict.fromkeys(names):
            self._where(name)
        return b''


class Recorder(Decoder):
    """A Decoder that shows a recording of what it decodes."""

    def __init__(self, beginning: Beginning, about: Sequence[str],
                 function_at: Callable[[str, int], str] | None) -> None:
        def named(path: str, behind: int) -> str:
            name = function_at(path, behind) if function_at else ''
            self._told.append(line_of('name', [f'{path}+{behind}', name]))
            return name

        def place(event: Event, text: bytes) -> tuple[str, str]:
            names = caller_and_place(event, text)
            if event.program:
                self._told.append(line_of('name', [decoded(event.head + text), *names]))
            return names
        view, self._told, self._sum = Unshown(beginning.events), [], 0      # type: Text, list[bytes], int
        view.places = place
        super().__init__(beginning.events, frozenset(beginning.tasks), named if function_at else None,
                         beginning.stacks, view)
        lines = ''.join(f'# {printable(text)}\n' for text in about)
        self.start = RECORDING + self._summed(lines.encode() + line_of('begin', beginning), b'')
        self._before = 0, dict(self.counts)             # what was counted before the last block

    def _summed(self, told: bytes, data: bytes) -> bytes:
        """What is told before the kernel's lines, and these."""
        self._sum = zlib.crc32(told + data, self._sum)
        return told + line_of('text', [len(data), self._sum]) + data

    def block(self, data: bytes, limit: int | None = None, more: bool = False) -> bytes:
        self._before = self.records, dict(self.counts)
        super().block(data, limit, more)
        lost = line_of('lost', [*self.gaps.lost.items()]) if self.gaps.lost else b''
        kept = self._summed(b''.join([*self._told, lost]), data)
        self._told, self.gaps.lost = [], {}
        return kept

    def finish(self) -> bytes:
        super().finish()
        return b''

    def take_back(self, size: int) -> None:
        if size:                                        # a part of a block is none
            self.records, self.counts = self._before

    def end(self, run: Run, results: Results) -> bytes:
        """What stands at the end; no event is in that."""
        self._before = self.records, self.counts
        profile = [[name, *counts] for name, counts in results.profile.items()]
        end = [run, results.lost, results.unshown, results.why, profile, results.unknown]
        return self._summed(line_of('end', end), b'')


class Recording:
    """A recording that is read; `about` are its lines for people."""

    def __init__(self, file: Any, path: str) -> None:
        self._file, self._path, self.run, self._sum = file, path, Run(''), 0
        self._names: dict[str, list[str]] = {}
        self.about: list[str] = []
        if file.readline(len(RECORDING)) != RECORDING:
            raise DebugInfoError(f'{path} is no recording of surftrace -w, or of another version')
        with reading(path), located(source=path):
            (began,) = itertools.islice(self._items(), 1)
            began = began['begin']
            self.beginning: Beginning = began._replace(events=tuple(map(whole_event, began.events)))

    def _items(self) -> Iterator[Any]:
        for line in iter(functools.partial(self._file.readline, LONGEST_LINE), b''):
            item = {} if line[:1] == b'#' else read_back(line)
            self.about += [decoded(line[2:-1])] * (not item)
            self._sum = zlib.crc32(b'' if 'text' in item else line, self._sum)
            if item:
                yield item

    def decoded(self, results: Results) -> Iterator[bytes]:
        """What is shown of it; then `run` and the results are known."""
        results.unknown, unended = 'what was lost is not known', True
        with reading(self._path):
            for item in self._items():
                if 'text' in item:
                    size, total = item['text']
                    data = self._file.read(min(size, LONGEST_LINE))
                    self._sum = zlib.crc32(data, self._sum)
                    if len(data) == size and self._sum != total:
                        raise ValueError('its sum is another')
                    yield results.decoder.block(data[:data.rfind(b'\n') + 1], results.left(), True)
                elif 'name' in item:
                    key, *names = item['name']
                    self._names[key] = names
                elif 'lost' in item:
                    results.decoder.gaps.overruns = functools.partial(dict, item['lost'])
                else:
                    run, lost, unshown, results.why, profile, unknown = item['end']
                    self.run, results.lost, results.unshown = Run(*run), int(lost), int(unshown)
                    results.profile = {name: (int(hits), int(missed)) for name, hits, missed in profile}
                    results.unknown, unended = str(unknown), False
            yield results.decoder.finish()
            if unended:
                raise EOFError('its end is missing')

    def decoder(self, view: Raw) -> Decoder:
        """What decodes it."""
        if isinstance(view, Text):
            view.places = self._place
        function_at = self._function_at if self.beginning.user_stacks else None
        began = self.beginning
        return Decoder(began.events, frozenset(began.tasks), function_at, began.stacks, view)

    def _place(self, event: Event, text: bytes) -> tuple[str, str]:
        """See caller_and_place()."""
        if not event.program:
            return caller_and_place(event, text)
        caller, here = self._names.get(decoded(event.head + text), ['', decoded(text)])
        return caller, here

    def _function_at(self, path: str, behind: int) -> str:
        """See frame_function()."""
        return self._names.get(f'{path}+{behind}', [''])[0]


# ---- Command line ------------------------------------------------------------------------------------------

PURPOSE = ('Trace functions and events of the kernel, functions and USDT probes of programs, with C '
           'expressions.')
EXAMPLES = (            # what stands behind surftrace, and what it does; those of -h first
    ("'p wake_up_new_task comm=%0->comm'", 'an argument, its member'),
    ("'p do_sys_openat2 user(filename)'", "a parameter, the user's string"),
    ("'r vfs_read count $retval $dur f:dur>10ms'", 'the return of slow calls alone'),
    ("'p vfs_read h:comm log2(count)'", 'a table: by whom, of what size'),
    ("'e sched/sched_switch f:prev_comm==bash'", 'a trace event'),
    ("'R bash:readline line=$retval:string'", "what a program's function returns"),
    ("-L 'p tcp_send*'", 'functions and their parameters'),
    ("'r do_sys_openat2 $retval f:retval<0'", 'failed calls alone'),
    ("-L 'struct task_struct'", 'a layout'),
    ("-d 5 -s 'p tcp_sendmsg size f:size>1000'", 'for five seconds, with kernel stacks'),
    ("'p wake_up_new_task comm=%0->comm users=S%0->mm->mm_users prio=%0->prio'", 'members through pointers'),
    ("'p ip_rcv src=@(struct iphdr *)%0->saddr:ip f:src==127.0.0.1'", 'a packet header in an sk_buff'),
    ('-F vfs_read', 'the code of a function: where to probe, what is available there'),
    ("'t sched_switch prev->comm next->prio f:comm==bash'",
     'a raw tracepoint: its arguments and what they lead to'),
    ("'p fs/namei.c:3861 name=pathname->name'", 'a line inside a function, its variables'),
    ("'P libc:fopen64 file=%0:string' -- id", 'a command and its children, from the first instruction on'),
    ("-p 1234 'P ./server:handle id=req->id name=req->user.name f:id>10'",
     "a program's function, its types from its debug information"),
    ("'u python3.11:function__entry file=!(char *)%0 func=!(char *)%1'", 'a USDT probe'),
    ("-S -v vmlinux 'p ...'", 'print the ftrace expressions, for another machine'),
    ("-o run.sh -v vmlinux 'p ...'", 'a shell script that does the whole run'))
LANGUAGE = r'''
A place is one of

- `FUNC`, `MODULE:FUNC`: the entry of a function (`p`), with DWARF of its inlined copies too, and of those
  with other parameters (`f.constprop.0`), not where a register is named; its return (`r`). A module that is
  not loaded is waited for.
- `FUNC+OFFSET`: an instruction inside, decimal or 0x; `FUNC+0` is the function without its copies.
- `FILE:LINE`: the first instruction of a line in each copy of its function; the end of a path is enough where
  it means one file; needs DWARF. `FUNC:LINE`: the same, counted from the function's declaration (0).
- `FUNC@FILE.c`, `OBJ:FUNC@FILE.c`: one of several functions of that name; needs DWARF.
  `FUNC@*`: all of them.
- `tcp_send*`: every function that matches, one event each (`f0_tcp_sendmsg`), at most 100.
- `SYSTEM/EVENT`, `SYSTEM:EVENT`: a trace event (`e`), or a pattern.
- `TRACEPOINT`: a raw tracepoint (`t`), or a pattern: what the kernel calls it with, of which a trace event
  shows only what its author chose. Linux 6.5, with CONFIG_FPROBE_EVENTS.
- `OBJ:FUNC`: the entry (`P`) or return (`R`) of a program's function. OBJ is a path, a program in `$PATH`
  (`bash`) or a library's soname, whole or up to `.so` (`libc`). C++ and Rust names are as in the source, in
  `"..."` where they have blanks; a pattern stands for all that match.
- `OBJ:FUNC+OFFSET`, `OBJ:0xOFFSET`: an instruction inside (`P`); the second counts in the file.
- `OBJ:PROVIDER:NAME`, `OBJ:NAME`: a USDT probe (`u`), at all its places.

Several lines give several events, `f0`, `f1`, ... unless they are named: `p:open do_sys_openat2 ...`. Lines
of the same name are one event with several places.

An expression is made of

- `%0 %1 ...`: the argument with that number, by the calling convention; beyond the registers, on the stack;
  of a USDT probe as the compiler placed it.
- `*`, alone: every parameter (of an event, every field), as an argument each.
- `name`: the parameter of that name; inside a function with DWARF the local variable (of the innermost block,
  then of what is inlined there); a static one, at entry too, or a global; with `e`, the event's field.
- `%di %x0 ...`: a register, by the kernel's name for it.
- `$retval $comm $stack $stackN $argN`: the kernel's variables; `$retval` has the function's return type.
- `$current`: the running task, as in `$current->real_parent->comm` (`p`, `r` and `t`; Linux 7.3).
- `$dur`: at a return, the time since the entry, to the microsecond. surftrace sets the probe at the entry
  too, and what the return does not know (parameters, `%0`) is fetched there, as it was when the call began. A
  kernel that keeps the arguments (Linux 6.9) has them at a return by themselves; what is behind them as it is
  at the return is `$arg1->m`.
- `$dur(NAME)`: the time since the last event of the line called NAME (`p:NAME ...`) of the same thread;
  `$dur(NAME,FIELD,FIELD=ITS)`: since the last one whose fields were what the fields of this line are, of any
  thread. The first event behind NAME ends the time; one that has no beginning shows `(no NAME)`. What a
  counted time begins with is not shown.
- `@symbol`, `@0xADDR`: the memory at a global (of the kernel, or of the program itself), or at an address.
- `this_cpu_read(x)`, `this_cpu_ptr(&x)->m`: a per-cpu variable, of the processor that the probe is hit on;
  `this_cpu_ptr(p->stats)->m` where a pointer is a per-cpu one (`p`, `r` and `t`; Linux 7.3).
- `user(x)`: `x` points to user memory.
- `a->b  a.b  a[3]  *a  &a->b`: as in C; anonymous structs and unions are looked through.
- `(struct T *)x->m`: as in C, casts the member; `((struct T *)x)->m` casts `x`, and so does `!(struct T
  *)x->m`.
- `(ns::T *)x`, `(Box<int, 3> *)x`: C++'s types, with or without `struct`: a name means what it does in the
  probed function. A cast to a base class, or back, moves the pointer; one of several bases that have a member
  is said so: `((Base *)x)->m`. A reference is what it refers to: `x.m`, `x` itself, and `&x` its address.
- `container_of(x, struct T, m)`: the enclosing struct.
- `@(struct iphdr *)l3%0->saddr`: a header in the packet of an sk_buff whose data points at layer l2, l3 (left
  out: l3) or l4: ethhdr iphdr ipv6hdr icmphdr tcphdr udphdr. Behind the header: `cdata sdata ldata qdata[n]`
  (1, 2, 4, 8 bytes), `Sdata[n]` a string, of which a filter can compare the beginning (`~"GET *"`).
- `+8(+240(%di)):u32`, `\5`: the kernel's own fetch-args, passed through.

| C type | becomes |
|---|---|
| integers, `_Bool` | `s8`-`s64`, `u8`-`u64` |
| enum; the kernel's `gfp_t`, and fields that an event itself prints so | its integer, shown by name or flags |
| pointer | `x64`; a pointer to a function: `symbol` |
| `char *`, `char []` | `string` |
| array of numbers | `TYPE[N]`, up to 64 |
| a struct or union of one scalar (`atomic_t`) | that scalar |
| bit-field | `b<width>@<offset>/<container>`; signed ones with their sign |
| Go's and D's `string`, Rust's `&str`, `String`, `std::string`, `std::string_view`, `qstr` | text with a length |
| an enum of Rust (`Option<u32>`, `Result`) | its variant: `Some(5)`, `None`; `Some(..)` of more than a number |
| `__be16 __be32 __be64` | the number in the machine's order, as with `:be16`; `:u16` is raw |
| the kernel's `dev_t` | `8:1`, as with `:dev`; `U(x)` is the number |
| `struct in_addr`, `in6_addr` | the address, as with `:ip`, `:ip6` |
| `float`, `double`, in memory | `x32`, `x64`, shown as the number; a filter cannot compare it |
| other structs (`*file`, `file->f_path`) | `{mnt=0x... dentry=0x...}`: numbers, arrays, text within it |
| `long double`, `__int128` | refused |

`:TYPE` behind an expression may be any fetch type of the kernel (`x32`, `string`, `ustring`, `symbol`,
`x8[6]`), or one of surftrace's: `ip ip6 mac be16 be32 be64 float double dev`;

- `text(LENGTH)`: a pointer to so many bytes, of which up to 256 are shown; a filter can compare only the
  length.
- `path`, of a `struct file`, `path` or `dentry`: `"/etc/passwd"`, from the root of the mount namespace on.
  `...` stands for names that are not fetched: at most 8 are on the file's own file system (6 since Linux
  7.3), 4 and 2 on those that it is mounted on. Of a dentry and of what has no path the file system is said:
  `"vda1:/etc/passwd"`, `"sockfs:TCP"`. A filter compares the last name, as the file's own file system has it.
- `errno`: -2 as `-ENOENT`, in values and filters; what is no error is a number.

A name that begins with `ip_`, `b16_ b32_ b64_` or `B16_ B32_ B64_` says the same as `:ip`, `:be16` ... and
`:be16` in hexadecimal.

A filter has `&& || ! ( )` and `== != < <= > >= & ~` (`~` with `*`, `?` and `[a-z]`). Strings may go without
quotes; addresses, numbers in network byte order and enumerators are written as they are shown. A number may
end in `k`, `M` or `G` (of 1024), and be computed of others and of enumerators by C's operators, without
blanks outside brackets: `f:size>4*4k&&gfp==GFP_KERNEL|__GFP_ZERO`. A time has its unit: `f:dur>10ms`
(`ns us ms s`). Beside the line's own names there are `common_pid`, `comm` and `cpu`. Any other expression may
stand on the left, and is fetched for the filter alone: `p vfs_read f:file->f_inode->i_ino==612&&count>4096`
(`-S` calls it `hidden`); not where an `e` line shows the event as it is.

`+stack` among the arguments shows the kernel's stack of each event of that line, `+ustack` the program's,
also where the kernel is traced; `-s` shows one of the two for every line.

A line with `h:` counts, and shows a table at the end. Behind it stand up to three keys and up to two of
`sum(x)` and `avg(x)`; without a key it counts the calls of each function. A key is an argument, or the name
of one in front of `h:`; a power of two, `log2(x)` (`5-8`: above 4, up to 8); `step(x,N)`, N numbers together;
`comm`, `common_pid`, `cpu` or `stack`. What is below 0 stands for itself, what could not be read is a row of
its own, `(null)` or `(fault)`. Numbers stand in their order, all else the largest first; times are
microseconds.
A kernel with histograms (Linux 5.14, CONFIG_HIST_TRIGGERS) counts by itself what it counts alike, at a tenth
of the cost: functions by numbers (not those behind a pointer to user memory), `comm`, `common_pid`, `cpu` and
sums, and one line by the time of calls (`$dur`) and plain numbers of both ends, at a quarter of it; without
`-n`, `-p` and `-s`. A note says so. What finds no room in its memory is said too. A script
of `-o` counts so alone, and prints its tables, the largest rows first, at the end or every `-i` seconds.

`-S` prints for each place the line exactly as the kernel takes it, and behind ` #! ` what the kernel cannot
be told. The kernel takes that for a comment; surftrace reads it back. Behind a line with `h:` stand the
commands that make the kernel count, or why it cannot, each as a comment (`# `) of its own.

`--json` prints an object a line. An event has its `time` in seconds (with `-T` the date and time), `comm`,
`pid` (of the thread), `tgid` (of its process, where that is known), `cpu`, `event`, `function`, at a return
`caller`, and `values`: numbers, texts (bytes that are no UTF-8 as `\udcXX`), arrays, of a struct an object.
`null` is `(null)`; `{"error": "fault"}` and the like stand where there is no value;
`{"text": ..., "more": ...}` is a text that is longer, or could not be read whole; `$dur` is in microseconds.
A trace event has the kernel's `text`. With `-s` there is a `stack` (of a program `user_stack`), `null` where
that was lost. A line of its own is `{"lost": 57, "cpu": 0}` (or `null`: nobody knows how many), and what
could not be printed or told has an `error`. A row of a table has `event`, `keys` (of `log2` and `step` the
bounds), `calls` or `events`, its sums, `at` with `-i`, and `missing` where it is less than all.

`--format` prints its text for each event, with values in the place of `{NAME}` as a line shows them, or of
`{time}`, `{task}`, `{comm}`, `{pid}`, `{tgid}`, `{cpu}`, `{event}`, `{function}`, `{caller}`, `{text}` (all
values), where no value is called so; `{comm:>8}` pads, `{{` is a brace, `-` stands for what an event has
not.
'''
SILENCE = 5.0                               # seconds without an event before a guess why


def checked(name: str, convert: Callable[[str], Any], good: Callable[[Any], object]) -> Callable[[str], Any]:
    """A type of options; argparse names it where a value is none."""
    def value(text: str) -> Any:
        found = convert(text)
        if not good(found):
            raise ValueError(text)
        return found
    value.__name__ = name
    return value


COUNT = checked('positive number', int, lambda number: 0 < number < 1 << 31)
OPTION_TYPES = {        # by what stands for the value in the help
    'PROCESS': checked('list of process ids and names', lambda text: tuple(text.split(',')), all),
    'TID[,TID]': checked('list of thread ids', lambda text: tuple(map(COUNT, text.split(','))), bool),
    'FILE': checked('file name', str, bool),                    # an unset variable is no option left out
    'HEX': checked('build-id', str.lower, lambda text: re.fullmatch('([0-9a-f]{2}){4,64}', text)),
    'SECONDS': checked('positive number', float, lambda number: 0 < number < 1 << 31),
    'N': COUNT, 'EVENTS': COUNT, 'KB': COUNT}
OPTIONS = {             # groups of (names, the value with ... if it may be repeated, what it is for)
    'what to trace': (
        ('lines', 'LINE', 'p FUNCTION, r FUNCTION (its return), e SYSTEM/EVENT, t TRACEPOINT, '
         'P PROGRAM:FUNCTION, R PROGRAM:FUNCTION, u PROGRAM:PROBE; what to fetch; f: and a filter. Behind '
         'all, -- COMMAND ARG...: run it, trace it and its children alone, and end with it'),
        ('-f --file', 'FILE...', "read lines from FILE ('-': standard input); # begins a comment"),
        ('-p --pid', 'PROCESS...', 'only these processes, with all their threads: ids, or names, of all that '
         'have one now (1234,nginx)'),
        ('-c --children', '', 'with -p: their children too'),
        ('--tid', 'TID[,TID]', 'only these threads'),
        ('--uid', 'USER', 'only the processes that this user has now, and their children'),
        ('--cgroup', 'PATH', 'only the processes that are now in this cgroup (of a service, a container), or '
         'below it, and their children')),
    'what to do instead': (
        ('-L --list', 'WHAT...', "list what there is: 'p tcp_send*', 'p *(struct sk_buff *)', 'e sched/*', "
         "'struct task_struct', 'struct task_struct.mm', 'enum pid_type'"),
        ('-S --show', '', 'print the ftrace expressions and do nothing; needs no root'),
        ('-F --disassemble', 'FUNC', 'print the code of a function: offsets, source lines, the variables '
         'that are available and where they are'),
        ('-l --line', 'PLACE',
         'print what FILE:LINE, FUNC:LINE or FUNC+OFFSET became: addresses, copies, variables'),
        ('-o --output', 'FILE',
         "write a shell script that does the run ('-': standard output), and do nothing"),
        ('--export-types', 'FILE',
         "write the kernel's types into a small file for a later -v (also .xz, .gz), and do nothing")),
    'where types are from': (
        ('-v --vmlinux', 'FILE...', 'debug information: a vmlinux with DWARF or BTF, a BTF file, or a folder '
         'of such, and files of modules (repeat it); where all lines are P, R and u, of the program'),
        ('-m --mode', '{auto,dwarf,btf,remote}', 'which debug information to use (auto); remote: from '
         'debuginfod servers, by the build-id alone'),
        ('-r --remote', 'URL...', 'with -m remote: a server, instead of $DEBUGINFOD_URLS'),
        ('--build-id', 'HEX', 'with -m remote: of another kernel than the running one, for -S and -o'),
        ('-a --arch', 'ARCH', 'architecture of the traced machine: ' + ', '.join(a.name for a in ARCHES))),
    'how to trace': (
        ('-t --tree', '', 'show calls as a tree: the entries and returns of p and P lines, and of USDT '
         'probes, indented, with times'),
        ('-s --stack', '', "show the stack of each event: the kernel's, of P, R and u the program's"),
        ('-d --duration', 'SECONDS', 'end after so many seconds'),
        ('-i --interval', 'SECONDS',
         'with h: a table every so many seconds, of the calls since the last one'),
        ('--top', 'N', 'with h: only the N largest rows'),
        ('-n --count', 'EVENTS', 'end after so many events'),
        ('--self', '', 'do not leave out what surftrace itself does'),
        ('-b --buffer', 'KB', 'size of the buffer of each processor'),
        ('-w --write', 'FILE',
         "keep what comes in a file ('-': standard output), and show nothing; -R shows it"),
        ('--force', '', 'set probes in programs that may crash them; with -o, overwrite what is no script of '
         'surftrace')),
    'how to show it': (
        ('-R --read', 'FILE', "show what -w has kept ('-': standard input), here or elsewhere, without root; "
         'also with -n and --top'),
        ('-T --time-of-day', '', 'the time of day of each event, to the microsecond, instead of the seconds '
         'since the first one'),
        ('--delta', '', 'the seconds since the event before'),
        ('--cpu', '', 'the processor of each event'),
        ('-H --header', '', 'titles above the columns'),
        ('--json', '', 'an object a line, with typed values'),
        ('--format', 'TEMPLATE', "lines like '{time} {comm} {pid} {file}', with the values' names"),
        ('--raw', '', "the kernel's own lines, with values that can be trusted"),
        ('-q --quiet', '', 'show events, notes and the summary, nothing else'),
        ('--verbose', '', 'show each change of the machine as a command, and what undoes it')),
    'help': (
        ('-h', '', 'show the options of every day'),
        ('--help', '', 'show this and exit'),
        ('--help-language', '', 'print what a LINE may be, whole'),
        ('--completion', '{bash,zsh,fish}', 'print what makes the shell complete lines: eval '
         '"$(surftrace --completion bash)"'),
        ('--version', '', "show program's version number and exit"))}


EVERY_DAY = '-L -S -v -p -t -s -d -n'.split()
USAGE = ('surftrace [options] LINE... [-- COMMAND ARG...]',
         'LINE: KIND[:EVENT] PLACE [[NAME=]EXPR[:TYPE]]... [h:KEYS] [f:FILTER]')


def examples(most: int | None = None) -> str:
    """The examples, so many of them, each on a line where there is room."""
    return '\n'.join(f'  {command:<43}' + f'\n{"":<45}' * (len(command) > 43) + f' {what}'
                     for command, what in EXAMPLES[:most])


def first_help() -> str:
    """What -h shows, on 80x24: the kinds of lines, examples, the options of every day in a few words."""
    import textwrap
    known = {names.split()[0]: (names.split(), value, purpose)
             for options in OPTIONS.values() for names, value, purpose in options}
    kinds = textwrap.wrap(f"KIND PLACE: {known['lines'][2].partition(';')[0]}", 78)
    rows = []
    for names, value, purpose in map(known.__getitem__, EVERY_DAY):
        words = ' '.join((', '.join(names), value.replace('...', ''))).strip()
        rows.append(f"  {words:<26}{re.split(r' ?[(:;]', purpose)[0]}")
    return '\n'.join((f'usage: {USAGE[0]}', USAGE[1], *kinds, '', 'surftrace ...', examples(7), '', *rows,
                      '--help shows all options, --help-language the whole language'))


def arguments() -> Any:
    """The argument parser."""
    import argparse
    parser = argparse.ArgumentParser(
        prog='surftrace', description=f'{PURPOSE}\n\nsurftrace ...\n{examples()}', usage='   '.join(USAGE),
        add_help=False, formatter_class=argparse.RawDescriptionHelpFormatter)
    for title, options in OPTIONS.items():
        group = parser.add_argument_group(title)
        for names, value, purpose in options:
            how: dict[str, Any] = {'action': 'help' if names == '--help' else 'store_true'}
            if value.startswith('{'):
                how = {'choices': value[1:-1].split(',')}
            elif value:
                word = value.replace('...', '')
                how = {'metavar': word, 'type': OPTION_TYPES.get(word, str)}
                how.update({'nargs': '*'} if names == 'lines' else {})
                how.update({'action': 'append', 'default': []} if value != word else {})
            group.add_argument(*names.split(), help=purpose, **how)
    parser.set_defaults(mode='auto', tid=(), command=())
    return parser


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
        signal.SIGALRM, signal.SIGXCPU)


def ends() -> list[signal.Signals]:
    """The signals that end a run: also those a shell ignores for what it starts in the background (as in perf
    and tcpdump), but not a HUP ignored by nohup."""
    return [name for name in ENDS if name in ENDS[:3] or signal.getsignal(name) != signal.SIG_IGN]


class Ending:
    """Signals arrive here and ask for an end. That interrupts, once, what only reads and prints; while the
    machine is being changed it waits, so that every change is followed by its undo."""

    def __init__(self) -> None:
        self.asked = False
        self.waits = False

    def _ask(self, *_: object) -> None:
        self.asked, waits, self.waits = True, self.waits, True
        if not waits:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Signals come here, also where they came blocked. Children are waited for, also where SIGCHLD came
        ignored."""
        self.asked = self.waits = False
        before = [(name, signal.signal(name, self._ask)) for name in ends()]
        before.append((signal.SIGCHLD, signal.signal(signal.SIGCHLD, signal.SIG_DFL)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
        try:
            yield
        finally:
            for name, handler in before:
                signal.signal(name, signal.SIG_IGN if __name__ == '__main__' else handler)  # while it exits

    @contextlib.contextmanager
    def waiting(self, waits: bool) -> Iterator[None]:
        """Let an end wait, or not, for a while."""
        before, self.waits = self.waits, waits
        try:
            yield
        finally:
            self.waits = before


ENDING = Ending()


def say(text: str) -> None:
    """A line for the user, and indented ones below it: no name from outside begins one. It cannot fail, and
    while the machine is being changed it waits for a reader only until an end is asked for."""
    data = '\n'.join(map(printable, re.split(r'\n(?=  )', text))).encode() + b'\n'
    with contextlib.suppress(OSError):
        while data:
            if writable(2, 100):
                data = data[os.write(2, data[:select.PIPE_BUF]):]
            elif ENDING.asked and ENDING.waits:
                break


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """Errors from within are those of standard output: nothing more goes there, also not at exit."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            raise
        raise SurftraceError(f'standard output: {error.strerror}') from None


def put_out(text: str | bytes) -> None:
    """A text on standard output, with an end of line where there is any; bytes as they are."""
    with standard_output():
        if isinstance(text, bytes):
            sys.stdout.buffer.write(text)
        else:
            print(text, end='' if text[-1:] in ('', '\n') else '\n')


def note(text: str) -> None:
    """Something the user ought to know."""
    say('surftrace: note: ' + text)


def read_lines(options: Any) -> list[Probe]:
    """The probes of the command line and of the files."""
    texts = [(line, '') for line in options.lines if line[:2] != '# ']
    for name in options.file:
        try:
            with open(0 if name == '-' else name, encoding='utf-8', errors='surrogateescape', newline='\n',
                      closefd=name != '-') as file:
                lines = file.read().split('\n')         # splitlines() takes more for an end of line
        except OSError as error:
            raise SurftraceError(f'{name}: {error.strerror}') from None
        source = 'standard input' if name == '-' else name
        texts += [(line, f'{source}:{number}') for number, line in enumerate(lines, 1)
                  if re.match(r'\s*(#! |[^#\s])', line)]
    if not texts:
        raise InputError('nothing to trace: give a line, as in surftrace '
                         "'p wake_up_new_task comm=%0->comm' (-h tells more)")
    probes = []
    for text, source in texts:
        with located(text, source):
            probes.append(parse_probe(text)._replace(source=source))
    return probes


def debug_info(options: Any, in_kernel: bool = True, probes: Sequence[Probe] = ()) -> Module:
    """The debug information of the kernel: of the files of -v, of servers, of the running one, or none."""
    here = os.uname()
    arch = arch_named(options.arch or here.machine)

    def running() -> Module:
        if arch != arch_named(here.machine):
            raise InputError(f'-a {arch.name}: name the vmlinux of that machine with -v')
        return running_debug_info(options.mode, arch, here.release)
    if not in_kernel:
        return Module(arch, None, [])
    if options.mode == 'remote':
        return remote_kernel(options, arch, probes)
    if options.vmlinux:
        given = arch if options.arch else None
        return given_debug_files(options.vmlinux, options.mode, given, arch, here.release, running)
    return running()


def remote_kernel(options: Any, arch: Arch, probes: Sequence[Probe]) -> Module:
    """Ask the servers of -m remote."""
    here, environ = arch_named(os.uname().machine), os.environ
    own = running_build_id(here)
    build_id = options.build_id or own
    running = build_id == own and arch == here
    urls = options.remote or [url for url in environ.get('DEBUGINFOD_URLS', '').split() if '://' in url]
    odd = next((url for url in urls if not re.match('https?://.', url)), '')
    for wrong, message in (
            (options.vmlinux, '-m remote and -v are two ways to the same'),
            (odd, f'{odd}: a server is http://... or https://...'),
            (not urls, 'no server to ask: name one with -r URL or in $DEBUGINFOD_URLS'),
            (build_id != own and not options.arch,
             '--build-id: say the architecture of that kernel with -a; BTF does not tell it'),
            (not (running or options.show or options.output),
             f'{build_id[:12]} is not the running kernel ({own[:12] or "which tells no build-id"}): '
             '-S and -o take it')):
        if wrong:
            raise InputError(message)
    if not build_id:
        raise SurftraceError('the running kernel tells no build-id (/sys/kernel/notes); give one: --build-id')
    cache = environ.get('DEBUGINFOD_CACHE_PATH') or os.path.join(
        environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'debuginfod_client')
    timeout = environ.get('DEBUGINFOD_TIMEOUT', '')
    seconds = float(timeout) if re.fullmatch(r'[1-9]\d{0,5}', timeout) else 90
    lines = any(probe.place.line is not None or probe.place.file for probe in probes)
    servers = Debuginfod(tuple(urls), cache, seconds, progress)
    return remote_debug_info(servers, build_id, arch, lines, running)


def progress(what: str, done: int, total: int) -> None:
    """Say on a terminal how many bytes of a file have come, of how many (0: unknown); -1: it has failed."""
    if sys.stderr.isatty():
        size = f' of {total / 1e6:.1f} MB' if total else ' MB'
        state = 'failed' if done < 0 else f'{done / 1e6:.1f}{size}'
        print(f'\r{what}: {state}', end='\n' if done in (-1, total) else '', file=sys.stderr, flush=True)


UNREAD = '{}: its DWARF is not read, pyelftools is not installed'


def machine_for(options: Any, kernel: Module, in_kernel: bool = False,
                tracefs: Tracefs | None = None) -> Machine:
    """The machine that the options choose: its kernel, the running one through tracefs, and the programs
    here, whose debug file -v names where nothing is traced in the kernel."""
    program = functools.cache(functools.partial(find_program, options, not in_kernel))
    if kernel.unread:
        note(UNREAD.format(kernel.unread))
    machine = Machine(kernel, note, program=program, program_names=program_names,
                      live=not (options.show or options.output), force=options.force, tree=options.tree)
    if isinstance(kernel.symbols, Kallsyms) or not (options.vmlinux or options.build_id):
        tracefs = tracefs or mounted_tracefs()          # else it is another machine
    kernel.printed = functools.cache(lambda name: printed_type(machine, name))
    if not tracefs:
        return machine
    sealing = machine.live and '\\imm-value' in tracefs.read('README')                  # Linux 5.4
    machine = machine._replace(read=functools.cache(tracefs.read),
                               seal=int.from_bytes(os.urandom(4), 'little') if sealing else 0)
    return machine


def program_names(typed: str) -> list[str]:
    """Files, programs in $PATH and libraries that begin so, each with the colon that is next."""
    folder, slash, name = typed.rpartition('/')
    if slash:
        with contextlib.suppress(OSError):
            return [f"{folder}/{entry.name}{'/' if entry.is_dir() else ':'}"
                    for entry in os.scandir(folder or '/') if entry.name.startswith(name)]
        return []
    found = {soname.split('.so')[0] for soname, _ in library_paths()}
    for place in folders_of_programs():
        with contextlib.suppress(OSError):
            found.update(os.listdir(place or '.'))
    return [f'{each}:' for each in found if each.startswith(name)]


def folders_of_programs() -> list[str]:
    """Those of $PATH."""
    return os.environ.get('PATH', os.defpath).split(os.pathsep)


def find_program(options: Any, debug_given: bool, name: str) -> Program | None:
    """Find a program or library: as the processes of -p have mapped it, else a path, in $PATH, a library.
    With -v and no probe in the kernel, -v names its debug file, or for -S and -o one from another machine."""
    inside = {identity(path): path for path in (
        object_of_process(pid, name) for pid in (() if options.uid else chosen(options))) if path}
    if len(inside) > 1:
        raise InputError(f"'{name}' is another file in each of these processes "
                         f"({', '.join(inside.values())}): trace them one by one")
    if len(options.vmlinux) > 1 and debug_given:
        raise InputError(f'-v {options.vmlinux[1]}: a program has one debug file')
    paths = list(inside.values()) or object_paths(name, folders_of_programs())
    given = Executable(options.vmlinux[0]) if options.vmlinux and debug_given else None
    if given and given.contents('.text') and (options.show or options.output):
        alike = os.path.basename(given.path) in {os.path.basename(path) for path in (name, *paths)}
        if alike or not paths and '/' in name:
            shown = os.path.abspath(name) if '/' in name else [*paths, given.path][0]
            return program_at(given.path, None, shown)
    programs = [program_at(path, given) for path in paths if read_file(path, 4) == b'\x7fELF']
    if paths and not programs:
        raise InputError(f"{paths[0]} is no ELF file: a script? Then name its interpreter")
    arch = arch_named(options.arch or os.uname().machine)
    programs = [program for program in programs if program.executable.arch == arch] or programs
    if len({program.path for program in programs}) > 1:
        found = ', '.join(program.path for program in programs)
        raise InputError(f"'{name}' may be {found}: name one by its path or soname")
    return checked_program(programs[0], given, options) if programs else None


@functools.cache
def process_ids(*lists: tuple[str, ...]) -> tuple[int, ...]:
    """The processes that -p means, in the order of its words; a name by the task's or the program's file."""
    found: dict[int, None] = {}
    for word in itertools.chain(*lists):
        is_id = word.isdigit() and os.path.exists(f'/proc/{word}')      # a thread's stands for its process
        called = [int(word)] if is_id else [pid for pid in processes() if word in names_of_process(pid)]
        if not called:
            raise SurftraceError(f'there is no process {word}')
        found.update(dict.fromkeys(called))
    return tuple(found)


def chosen(options: Any) -> tuple[int, ...]:
    """The processes that -p, --uid or --cgroup mean."""
    if not (options.uid or options.cgroup):
        return process_ids(*options.pid)
    if options.uid:
        found = processes_with('status', rf'^Uid:\t{user_id(options.uid)}\t')           # the real one
        nobody = f"user '{options.uid}' has no process; one that is to come: -- sudo -u {options.uid} COMMAND"
    else:
        path = path_in_cgroups(options.cgroup)
        found = processes_with('cgroup', rf'^\d+:[^:]*:{re.escape(path)}(/|$)')
        alike = [each for each in cgroups() if os.path.basename(path) in each]
        hint = near(path, cgroups()) or f'; there are {first_of(alike or cgroups(), 5)}'
        nobody = f"no process is in the cgroup '{path}'{hint}"
    if not found:
        raise SurftraceError(nobody)
    return found


@functools.cache
def processes_with(file: str, pattern: str) -> tuple[int, ...]:
    """Those whose file of that name has such a line."""
    return tuple(pid for pid in processes() if re.search(pattern, read_text(f'/proc/{pid}/{file}'), re.M))


def user_id(name: str) -> int:
    """The number of a user."""
    import pwd
    if re.fullmatch(r'[0-9]{1,10}', name):
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise SurftraceError(f"there is no user '{name}'{near(name, user_names())}") from None


def user_names() -> list[str]:
    """Of the users that are known here."""
    import pwd
    return [user.pw_name for user in pwd.getpwall()]


def path_in_cgroups(path: str) -> str:
    """A cgroup's path as /proc has it, '' for the root, from that or the one in the file system."""
    mounts = re.findall(r'^\S+ (\S+) cgroup2? ', read_text('/proc/mounts'), re.M)
    above = max((mount for mount in mounts if f'{path}/'.startswith(f'{mount}/')), default='', key=len)
    return f"/{path[len(above):].strip('/')}".rstrip('/')


@functools.cache
def cgroups() -> list[str]:
    """The cgroups that processes are in."""
    texts = [read_text(f'/proc/{pid}/cgroup') for pid in processes()]
    return sorted({path for text in texts for path in re.findall(r'^\d+:[^:]*:(/.+)$', text, re.M)})


def processes() -> list[int]:
    """All of this machine but ourselves."""
    return sorted(int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) != os.getpid())


def names_of_process(pid: int) -> list[str]:
    """Its first thread's name, up to 15 bytes long, and that of the file it runs."""
    names = [read_text(f'/proc/{pid}/comm')[:-1]]
    with contextlib.suppress(OSError):                  # a kernel thread runs none
        names.append(os.path.basename(os.readlink(f'/proc/{pid}/exe')).replace(' (deleted)', ''))
    return names


def checked_program(program: Program, given: Executable | None, options: Any) -> Program:
    """Refuse a program of which a live run would know wrong things."""
    if given and not is_debug_file_of(given, program.executable):
        raise InputError(f'{given.path} is not the debug file of {program.path}: their build-ids differ. For '
                         'another machine, with -S or -o, name a file that has the name of the program there')
    word = program.executable.arch.bits
    if word != arch_named(os.uname().machine).bits and not (options.show or options.output):
        raise SurftraceError(f'{program.path} has {word} bits and the kernel has not: ftrace would read its '
                             "pointers and its stack as the kernel's own are; -S and -o, for a machine of "
                             'its kind, take it')
    if program.unread:
        note(UNREAD.format(program.unread))
    return program


BASH_GLUE = r'''# surftrace's completion for bash: eval "$(surftrace --completion bash)"
_surftrace() {
    mapfile -t -d $'\013' COMPREPLY < <(COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT COMP_TYPE=$COMP_TYPE \
        _ARGCOMPLETE=1 _ARGCOMPLETE_SHELL=bash _ARGCOMPLETE_COMP_WORDBREAKS=$COMP_WORDBREAKS \
        "$1" 8>&1 9>/dev/null >/dev/null 2>&1 </dev/null)
}
_surftrace_sudo() {     # where bash-completion has nothing better for sudo
    local word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in *surftrace | *surftrace.py)
            compopt -o nospace +o default; _surftrace "$word"; return ;;
        esac
    done
}
complete -o nospace -F _surftrace surftrace surftrace.py
complete -p -D >/dev/null 2>&1 || complete -p sudo >/dev/null 2>&1 ||
    complete -o default -F _surftrace_sudo sudo
'''
ZSH_GLUE = r'''# surftrace's completion for zsh: eval "$(surftrace --completion zsh)" behind compinit
_surftrace() {
    local -a found
    local line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX"      # $BUFFER has lost an open quote by now
    found=("${(@ps:\013:)$(COMP_LINE=$line COMP_POINT=$#line _ARGCOMPLETE=1 _ARGCOMPLETE_SHELL=zsh_quoted \
        ${(Q)words[1]} 8>&1 9>/dev/null >/dev/null 2>&1 </dev/null)}")
    (( $#found > 1 )) || return 1
    local kept=$PREFIX[1,$(( $#PREFIX - found[1] ))]
    shift found
    if [[ -n $QIPREFIX ]]; then
        compadd -U -S '' -P "$kept" -- "${found[@]}"               # the quote stays open
    elif [[ $found[1] == \'* ]]; then
        compadd -Q -U -S '' -- "${found[@]}"
    else
        compadd -U -- "${(@)found:#*[/=]}"
        compadd -U -S '' -- "${(M@)found:#*[/=]}"
    fi
}
compdef _surftrace surftrace surftrace.py
'''
FISH_GLUE = r'''# surftrace's completion for fish: surftrace --completion fish | source
function __surftrace
    set -lx COMP_LINE (commandline -cp)
    set -lx COMP_POINT (string length -- "$COMP_LINE")
    set -lx COMP_TYPE 37        # a menu's: whole words, as fish compares them with what is typed
    set -lx _ARGCOMPLETE 1
    set -lx _ARGCOMPLETE_IFS \n
    set -lx _ARGCOMPLETE_SHELL fish
    set -lx _ARGCOMPLETE_SUPPRESS_SPACE 1
    set -l words (commandline -opc)
    $words[1] 8>&1 9>/dev/null 1>/dev/null 2>/dev/null
end
complete -c surftrace -f -a '(__surftrace)'
'''


def complete(parser: Any) -> int:
    """Tell a shell what may follow (argcomplete's protocol): words on file descriptor 8."""
    try:
        import argcomplete  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return 1
    asked: list[tuple[str, Offer]] = []
    shell = os.environ.get('_ARGCOMPLETE_SHELL', '')
    zsh = shell == 'zsh_quoted'
    finder: Any = argcomplete.CompletionFinder()  # type: ignore[attr-defined,unused-ignore]
    quoted_by_argcomplete = finder.quote_completions

    def lines(prefix: str, action: Any, parsed_args: Any, **_: Any) -> list[str]:
        with contextlib.suppress(SurftraceError):
            offer = completions(prefix, completion_machine(parsed_args), action.dest == 'list')
            names = tuple(name for name in offer.names if name.isprintable() and "'" not in name)
            asked.append((prefix, Offer(offer.start, names)))
            return [prefix[:offer.start] + name for name in names]
        return []

    def quoted(words: list[str], quote: str, at: int | None) -> list[str]:
        if shell == 'fish' and not quote:
            return words                                # it quotes by itself
        if asked and words:
            return in_quotes(*asked[-1], words, quote, zsh)
        return ['0', *words] if zsh else list(quoted_by_argcomplete(words, quote, at))
    names = {'uid': lambda **_: user_names(), 'cgroup': lambda **_: cgroups()}
    for action in parser._actions:
        action.completer = {'lines': lines, 'list': lines, **names}.get(action.dest)
    # leave out what stands before our own name: sudo, nice, variables
    line, point = os.environ['COMP_LINE'], int(os.environ['COMP_POINT'])
    command = re.search(r'(?:^|\s)(\S*surftrace(?:\.py)?)\s', line)
    start = command.start(1) if command else 0
    os.environ.update(COMP_LINE=line[start:], COMP_POINT=str(point - start))
    finder.quote_completions = quoted                   # a line is quoted, and the quote stays open
    finder(parser, always_complete_options=False)
    return 0


def in_quotes(prefix: str, offer: Offer, words: Sequence[str], quote: str, zsh: bool) -> list[str]:
    """A line's completions as the shell wants them. bash closes the quote behind a word that is the only one:
    it is offered twice, with and without a blank. Where nothing can be added it lists the last parts, kept
    from being inserted by one that begins otherwise."""
    if zsh and quote:
        return [str(len(prefix) - offer.start), *offer.names]
    if not quote:
        return ['0'] * zsh + [f"'{word}" for word in words]
    if quote == '"':
        words = [re.sub(r'(["$`\\])', r'\\\1', word) for word in words]
    if len(words) == 1:
        return [words[0], words[0] + ' ']
    lists = os.environ.get('COMP_TYPE', '9') in ('9', '33', '63', '64')
    return [*offer.names, ' '] if lists and os.path.commonprefix([*words]) == prefix else list(words)


def completion_machine(options: Any) -> Machine:
    """The machine for completion, without root: with BTF, which answers at once, where there is any."""
    options = arguments().parse_args([], options)                   # those left out have their defaults
    wanted = options.mode
    with contextlib.suppress(SurftraceError):
        options.mode = 'dwarf' if wanted == 'dwarf' else 'btf'
        return machine_for(options, debug_info(options))
    options.mode = wanted
    return machine_for(options, debug_info(options))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; 0 also after Ctrl-C, 1 the machine cannot do it, 2 what was typed is wrong."""
    global DEBUGGING
    DEBUGGING = bool(os.environ.get('SURFTRACE_DEBUG'))
    if '_ARGCOMPLETE' in os.environ:
        return complete(arguments())
    import gc
    with contextlib.suppress(KeyboardInterrupt), ENDING.heard(), contextlib.ExitStack() as ending:
        gc.disable()                    # a search for cycles takes a fifth of the time where all is in use;
        ending.callback(gc.enable)      # it goes on when events are followed
        try:
            check_descriptors()
            return run(parsed(argv))
        except BrokenPipeError:
            return 0
        except SurftraceError as error:
            say(f'surftrace: {error}')
            return error.status
        except OSError as error:
            say(f"surftrace: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
            return 1
    return 0


def check_descriptors() -> None:
    """Refuse a closed standard output; open the others, or a file opened later would be taken for one."""
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            closed.append(os.open(os.devnull, os.O_RDWR))
    if 2 in closed:
        sys.stderr = open(2, 'w', closefd=False)
    if 1 in closed:
        raise SurftraceError('standard output is closed')
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding='utf-8', errors='surrogateescape')      # see encoded()


def parsed(argv: Sequence[str] | None) -> Any:
    """Parse the options; help is printed and ends here."""
    words = sys.argv[1:] if argv is None else list(argv)
    end = words.index('--') if '--' in words else len(words)
    try:
        options = arguments().parse_args(words[:end])
    except SystemExit:
        with standard_output():
            pass                                        # what argparse has written leaves now, or never
        raise
    options.command = words[end + 1:]
    options.chosen = [name for name in ('pid', 'tid', 'uid', 'cgroup') if getattr(options, name)]
    if words[end:] == ['--']:
        raise InputError("a command belongs behind --, as in surftrace 'p vfs_read count' -- ls")
    return options


def run(options: Any) -> int:
    """Do what the options ask for."""
    if options.completion:
        import importlib.util
        if not importlib.util.find_spec('argcomplete'):
            raise SurftraceError('completion needs argcomplete for this Python (Debian: python3-argcomplete)')
        put_out({'bash': BASH_GLUE, 'zsh': ZSH_GLUE, 'fish': FISH_GLUE}[options.completion])
    elif options.version:
        put_out(f'surftrace {__version__}')
    elif options.h:
        put_out(first_help())
    elif options.help_language:
        page(f'```\n{GRAMMAR.strip()}\n```\n\n{LANGUAGE.strip()}'.split('\n'), printable)
    elif options.children and not options.pid or len(options.chosen) > 1:
        raise InputError('-c goes with -p; of -p, --tid, --uid and --cgroup only one is given')
    elif options.command and any((options.show, options.output, options.list, options.disassemble,
                                  options.line, options.export_types, options.chosen)):
        raise InputError('a command behind -- is run and traced alone: not with -p and the like, nor with '
                         '-S, -o and others that trace nothing')
    elif options.list:
        in_kernel = any(text.split(None, 1)[:1] not in (['P'], ['R'], ['u']) for text in options.list)
        machine = machine_for(options, debug_info(options, in_kernel), in_kernel)
        page([printable(line) for text in options.list for line in listing(text, machine)], coloured)
    elif options.disassemble or options.line:
        put_out('\n'.join(map(printable, inside(options))))
    elif (options.remote or options.build_id) and options.mode != 'remote':
        raise InputError('-r and --build-id go with -m remote: no server is asked unless you say so')
    elif options.export_types:
        export(options)
    elif options.read:
        return replay(options)
    else:
        return run_lines(options)
    return 0


def run_lines(options: Any) -> int:
    """One of the three readers of the plan: -S, -o, or the live run."""
    probes = read_lines(options)
    check_options(options, probes)
    in_kernel = any(probe.kind not in 'PRu' for probe in probes)
    kernel = debug_info(options, in_kernel, probes)
    if options.show or options.output:
        events = make_events(probes, machine_for(options, kernel, in_kernel))
        if options.show:
            shown = printable if sys.stdout.isatty() else str           # elsewhere it can be read back
            put_out('\n'.join(map(shown, shown_lines(events, Run('', entries=ENTRIES_ELSEWHERE)))))
        if options.output:
            save(options, script(events, wanted_run(options, events), options.duration, options.count,
                                 options.interval, options.top))
        return 0
    if options.vmlinux and in_kernel:
        notes = [check_same_kernel(kernel, kernel.path)] if kernel.path else []
        notes += [check_same_module(kernel, name, os.uname().release) for name in kernel.given]
        for text in filter(None, notes):
            note(text)
    with ENDING.waiting(True), tracefs_mounted(note) as tracefs:
        return trace(options, probes, machine_for(options, kernel, in_kernel, tracefs), tracefs)


def check_options(options: Any, probes: Sequence[Probe]) -> None:
    """Refuse options that do not go with the lines, and to write over a file that is no script."""
    if options.output and not options.force and not may_be_replaced(options.output):
        raise SurftraceError(f'{options.output} is there, and no script of surftrace: -o writes a script, '
                             'not a recording (for that, > FILE); --force overwrites it')
    ways = {'--raw': options.raw, '--json': options.json, '--format': options.format is not None}
    columns = {'--cpu': options.cpu, '-H': options.header}
    times = {'-T': options.time_of_day, '--delta': options.delta}
    given = [name for name, value in {**ways, **columns, **times}.items() if value]
    for wrong, message in (
            (options.output and given not in ([], ['--raw']), "a script shows the kernel's own lines"),
            (options.write and given, 'what -w keeps is shown by -R'),
            (sum(map(bool, ways.values())) > 1, 'one way to show an event'),
            (options.raw and len(given) > 1, "--raw are the kernel's own lines"),
            (not options.raw and any(ways.values()) and any(columns.values()), 'columns are of text'),
            (options.tree and any(ways.values()) and not options.raw, 'a tree is text'),
            (all(times.values()), 'one time is shown')):
        if wrong:
            raise InputError(f"{message}: {', '.join([*given, *['-t'] * options.tree])} do not go together")
    if options.write and (options.show or options.output or options.interval):
        raise InputError('-w keeps what a run gives: not with -S, -o or -i')
    if (options.interval or options.top and not options.read) and all(probe.keys is None for probe in probes):
        raise InputError('-i and --top are for tables: a line with h: counts')
    if options.tree and options.output:
        raise InputError('a script shows records as the kernel prints them, and cannot make a tree of them: '
                         'without -t it can be made')
    for probe in probes:
        if options.tree and probe.keys is not None:
            at = split_line(probe.text, probe.place.at[1]).keys, len(probe.text)
            raise InputError('-t shows each call, and a line with h: counts them', at, probe.text,
                             probe.source)


def has_colours() -> bool:
    """Tell whether standard output is a terminal with colours, and NO_COLOR (no-color.org) is not set."""
    environ = os.environ
    return sys.stdout.isatty() and not environ.get('NO_COLOR') and environ.get('TERM') != 'dumb'


def page(lines: Sequence[str], colour: Callable[[str], str]) -> None:
    """Print lines; on a terminal in colours, through $PAGER, or less, which ends if one screen is enough."""
    terminal = sys.stdout.isatty()
    if has_colours():
        lines = [colour(line) for line in lines]
    text = '\n'.join(lines) + '\n'
    if terminal:
        import shlex
        import subprocess
        with contextlib.suppress(OSError, ValueError):          # no such program, a quote left open
            command = shlex.split(os.environ.get('PAGER', '').strip() or 'less')
            environ = {'LESS': '-FRX', **os.environ}
            with subprocess.Popen(command, stdin=subprocess.PIPE, env=environ) as pager:
                with contextlib.suppress(KeyboardInterrupt):
                    pager.communicate(encoded(text))
            return
    put_out(text)


COLOURS = {'obstacle': '31', 'comment': '90', 'event': '1', 'function': '1', 'keyword': '36'}
COLOURED = regex(r'(?P<obstacle>// no probe:.*)|(?P<comment>//.*|/\*.*?\*/)|(?P<event>^e \S+)|'
                 r'(?P<function>\b[\w.]+(?=\())|(?P<keyword>\b(?:struct|union|enum|typedef|const|volatile|'
                 r'unsigned|signed|char|short|int|long|void|bool|_Bool)\b)')


def coloured(line: str) -> str:
    """A line of C in a terminal's colours."""
    return COLOURED.sub(lambda match: f"\x1b[{COLOURS[match.lastgroup or '']}m{match[0]}\x1b[0m", line)


def inside(options: Any) -> list[str]:
    """The lines of -F and -l."""
    release, lines = '' if options.vmlinux else os.uname().release, []
    for text, make in ((options.disassemble, code_listing), (options.line, place_listing)):
        if text:
            with located(text, at=(0, len(text))):
                place, module = listed_place(text, options)
                if make is code_listing and (place.offset or place.line is not None or place.glob):
                    refuse('-F takes a function; -l takes a place in it', place.at)
                if place.glob:
                    refuse('one place, not a pattern', place.at)
                lines += make(place, module, release)
    return lines


def listed_place(text: str, options: Any) -> tuple[Place, Module]:
    """The place that -F or -l names, in the kernel or in a program, and the module it is in."""
    at = (0, len(text))
    in_kernel = FILE_LINE_PATTERN.match(text) or re.fullmatch(r'[\w.]+(@[^:]*)?:\d+', text)
    if ':' in text[:-1] and not in_kernel:
        machine, place = machine_for(options, debug_info(options, False)), parse_place('P', text, at)
        if machine.program(place.object):
            return place, module_of(place, machine)
    place = parse_place('p', text, at)
    return place, debug_info(options).module(place.module)


def export(options: Any) -> None:
    """Write the types of the kernel into a file."""
    if options.lines or options.file or options.mode == 'remote':
        raise InputError('--export-types takes no lines, and types that are here: -v, or the running kernel')
    kernel, path = debug_info(options), options.export_types
    if kernel.given:
        raise InputError("--export-types is for a kernel's file; a module's BTF can be copied as it is")
    write_file(path, packed(exported_types(kernel), path), 0o666)


def save(options: Any, text: str) -> None:
    """Write the script into its file, executable."""
    if options.chosen:
        raise InputError('-p, --tid, --uid and --cgroup mean processes of this machine; a script cannot take '
                         'them along')
    if options.output == '-':
        put_out(text)
        return
    write_file(options.output, encoded(text), 0o777)
    note(f'{options.output} is a script that does the run')


def may_be_replaced(path: str) -> bool:
    """Tell whether nothing is lost by a script there: it is no file, an empty one, a script of ours."""
    ours = SCRIPT.partition(';')[0].encode()
    with contextlib.suppress(OSError):                  # writing will say it
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, 'rb') as file:
                return file.read(len(ours)) in (b'', ours)
    return True


def write_file(path: str, data: bytes, mode: int) -> None:
    """Write a file whole or not at all, with the old one's mode and owner; links and devices through."""
    temporary = f'{path}.{os.urandom(4).hex()}'
    try:
        old = os.lstat(path) if os.path.lexists(path) else None
        if old and not stat.S_ISREG(old.st_mode):
            with open(path, 'wb') as file:
                file.write(data)
            return
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), 'wb') as file:
            file.write(data)
            if old:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise SurftraceError(f'{path}: {error.strerror}') from None


def wanted_run(options: Any, events: Sequence[Event]) -> Run:
    """The Run that the options describe, without its group; a process stands for its threads."""
    if (options.chosen or options.command) and has_kernels_pids('1', 'self') is False:
        raise SurftraceError(
            '-p: in a PID namespace (a container) processes have other numbers than the kernel traces by (so '
            'with --tid, and a command behind --). Run surftrace outside, with the PID that the process has '
            'there, or in a container with --pid=host')
    threads = list(options.tid)
    for tid in threads:
        if not os.path.exists(f'/proc/{tid}'):
            raise SurftraceError(f'there is no thread {tid}')
    for pid in chosen(options):
        with contextlib.suppress(OSError):              # it has ended
            threads += [int(name) for name in os.listdir(f'/proc/{pid}/task')]
    if options.chosen and not threads:
        raise SurftraceError('the processes have ended')
    stacks = {kind for event in events for kind in stacks_of(event, options.stack)}
    return Run('', 'kernel' in stacks, 'user' in stacks, options.buffer, tuple(threads),
               wall=options.time_of_day or bool(options.write), alone=bool(options.tid))


def trace(options: Any, probes: Sequence[Probe], machine: Machine, tracefs: Tracefs) -> int:
    """Do a live run; the exit status. Where the kernel refuses to count for it, it begins anew without."""
    with ENDING.waiting(False):
        check_abilities(probes, tracefs)
        for name in sweep(tracefs):
            note(f'removed what the killed run {name} had left')
        events = make_events(probes, machine)
        tasks = re.search(r'/(\d+) ', read_text('/proc/loadavg'))
        run = wanted_run(options, events)._replace(entries=MOST_ENTRIES, tasks=int(tasks[1]) if tasks else 0)
        for name in (word for words in options.pid for word in words if not word.isdigit()):
            note(f"-p {name}: {', '.join(map(str, process_ids((name,))))}")
        if options.uid or options.cgroup:
            note(f'processes: {len(chosen(options))}, and their children. Those that come otherwise (a '
                 'login, the start of a service, docker exec) are not seen')
    undone: dict[str, str] = {}
    again: dict[str, str] = {}
    with contextlib.closing(Command(options.command)) as command:
        run = run._replace(pids=run.pids or command.processes)
        try:
            trace_events(options, events, run, machine, tracefs, undone, command)
        except NoHistogram as refusal:
            note(f'not counted by the kernel, which refuses a histogram: {refusal}')
            trace_events(options, events, run._replace(entries=0), machine, tracefs, again, command)
    return command.status or int(any((*undone.values(), *again.values())))


def trace_events(options: Any, events: Sequence[Event], run: Run, machine: Machine, tracefs: Tracefs,
                 undone: dict[str, str], command: Command) -> None:
    """Do a live run of these events."""
    decoder = decoder_of(options, events, run, machine, tracefs)
    refusals = Refusals(events, machine, tracefs)

    def show(command: str) -> None:
        if options.verbose:
            say(with_paths(command, events))
    with record_file(options) as output, contextlib.closing(Stream(
            tracefs, decoder, options.duration, options.count, options.interval, options.top,
            *output)) as stream:
        instance = claim(tracefs, show)
        entries = min(run.entries, entries_of_histograms(options, run, tracefs, instance))
        run = run._replace(group=instance.group, entries=entries)
        if has_kernels_pids('self') and not options.self:
            run = run._replace(own=(os.getpid(), stream.reader.process))
        made = run_histograms(events, run)
        stream.tallies, stream.unseen = tallies(made), functools.partial(unseen, events, run, stream)
        if len(made) < len(run_histograms(events, run._replace(tasks=0))):
            note(f'times are not counted by the kernel: it has no room for the calls of {run.tasks} tasks')
        try:
            with session(tracefs, instance, plan(events, run, made), show, refusals.take, stream.stopped,
                         stream.drain, undone):
                refusals.note()
                if not stream.stopped():
                    how_long = f' for {in_seconds(options.duration)} seconds' if options.duration else ''
                    begin(options, said_lines(events), f'tracing{command.name}{how_long}; Ctrl-C ends it')
                    stream.put(encoded(decoder.view.titles()) if options.header else b'')
                    stream.follow(instance, functools.partial(silence, events, run, tracefs),
                                  changes(events, machine.kernel).__next__, command)
        finally:
            with ENDING.waiting(False):
                say_undone(undone, show)
        if isinstance(decoder, Recorder):
            stream.write(decoder.end(run, stream))
    with ENDING.waiting(False):
        conclude(events, run, stream)
    if stream.failure:
        raise SurftraceError(stream.failure)


def decoder_of(options: Any, events: Sequence[Event], run: Run, machine: Machine, tracefs: Tracefs
               ) -> Decoder:
    """What makes of a run's records what is shown, or kept."""
    function_at = functools.partial(frame_function, machine.program) if run.user_stacks else None
    spread = options.children or options.uid or options.cgroup or options.command
    tasks = () if spread or run.alone else run.pids
    zero = time_of_day_offset() if run.wall else 0
    if options.write:
        import time
        here, now = os.uname(), time.strftime('%Y-%m-%d %H:%M:%S %z')
        about = f'{now} on {here.nodename}, Linux {here.release} {here.machine}, by surftrace {__version__}'
        beginning = Beginning(zero, options.count, options.stack, run.user_stacks, tasks, tuple(events))
        return Recorder(beginning, [about, *said_lines(events)], function_at)
    view = view_of(options, events, zero)
    return Decoder(events, frozenset(tasks), function_at, options.stack, view, tracefs.process_of)


@contextlib.contextmanager
def record_file(options: Any) -> Iterator[tuple[Any, ...]]:
    """The file of -w, open, and its name; () for standard output. What it holds is root's, as with perf."""
    if options.write in (None, '-'):
        yield ()
        return
    with ENDING.waiting(False):                         # a FIFO waits for its reader
        file = os.open(options.write, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        yield file, options.write
    finally:
        os.close(file)


def replay(options: Any) -> int:
    """Show a recording."""
    known = {*itertools.chain(*(names.split() for names, _, _ in OPTIONS['how to show it'])), '-n', '--top'}
    known = {action.dest for action in arguments()._actions if known & {*action.option_strings}}
    for name, value in vars(arguments().parse_args([])).items():
        if name not in known and (getattr(options, name) or None) != (value or None):
            raise InputError('-R shows what -w has kept: it goes with what says how to show it, -n and --top')
    with open(0 if options.read == '-' else options.read, 'rb', closefd=options.read != '-') as file:
        recording = Recording(file, options.read)
        with reading(options.read):
            began = recording.beginning
            options.tree = any(event.role for event in began.events)
            check_options(options, ())
            view = view_of(options, began.events, began.zero)
            most = min(filter(None, (options.count, began.most)), default=None)
            results = Results(recording.decoder(view), most, options.top)
        begin(options, recording.about[1:], f"recorded {''.join(recording.about[:1])}")
        put_out(view.titles() if options.header else '')
        try:
            for shown in recording.decoded(results):
                put_out(shown)
        finally:
            conclude(began.events, recording.run, results)
    return 0


def view_of(options: Any, events: Sequence[Event], zero: int) -> Raw:
    """How records are to be shown; `zero`, in microseconds, makes their times those of the day."""
    if options.raw:
        return Raw()
    clock = 'wall' if options.time_of_day else 'delta' * options.delta
    if options.json:
        return Json(events, clock, zero)
    if options.format is not None:
        return Template(options.format, events, clock, zero)
    return Text(events, clock, zero, options.cpu, has_colours())


def time_of_day_offset() -> int:
    """Microseconds from the kernel's clock 'mono', which is CLOCK_MONOTONIC, to the time of day: to less than
    one, until somebody sets the clock. A time namespace has a CLOCK_MONOTONIC of its own."""
    import time
    own = re.search(r'^monotonic +(-?\d+) +(\d+)', read_text('/proc/self/timens_offsets'), re.M)
    shift = int(own[1]) * 10**9 + int(own[2]) if own else 0
    found = []
    for _ in range(9):
        before, now, behind = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        found.append((behind - before, now - (before + behind) // 2 + shift))
    return (min(found)[1] + 500) // 1000


def said_lines(events: Sequence[Event]) -> list[str]:
    """What is traced, as the kernel takes it."""
    return [re.sub('^#! ', '', with_paths(line, [event])) for event in events for line in event.lines()]


def begin(options: Any, lines: Sequence[str], what: str) -> None:
    """Say what is traced, as the kernel takes it, and how it ends."""
    if not options.quiet:
        more = [f'... and {len(lines) - MOST_SAID} more (--verbose shows all)'] * (len(lines) > MOST_SAID)
        for line in [] if options.verbose else [*lines[:MOST_SAID], *more]:
            say(line)
        say(f'surftrace: {what}')


MOST_SAID = 8                               # definitions that are shown at the beginning
MOST_ENTRIES = 1 << 17                      # of all histograms of a run; 0: there are none


def entries_of_histograms(options: Any, run: Run, tracefs: Tracefs, instance: Instance) -> int:
    """So many entries at the most, of some 600 bytes each that the kernel takes at once, as leave most of the
    memory to others; none where each event is wanted here, or this kernel has no histograms."""
    if options.stack or run.pids or options.count or options.write or not has_histograms(tracefs, instance):
        return 0
    free = re.search(r'^MemAvailable: +(\d+) kB', read_text('/proc/meminfo'), re.M)
    return int(free[1]) // 16 if free else 0


def say_undone(undone: Mapping[str, str], show: Callable[[str], None]) -> None:
    """Show what was done at the end, and say what could not be."""
    for command, failure in undone.items():
        show(command)
        if failure:
            say(f'surftrace: not undone ({failure}); let the next run try, or do: {command}')


NEEDED = (      # kinds of lines, the file for their definitions, what has it
    ('pr', 'kprobe_events', 'kprobes for ftrace (CONFIG_KPROBE_EVENTS); -S shows what they would be, and '
                            'trace events (e SYSTEM/EVENT) work'),
    ('PRu', 'uprobe_events', 'uprobes for ftrace (CONFIG_UPROBE_EVENTS)'))


def check_abilities(probes: Sequence[Probe], tracefs: Tracefs) -> None:
    """Refuse early what this kernel was not built for."""
    if not os.access(tracefs.path('instances'), os.W_OK):
        raise SurftraceError(f'{tracefs.root}: tracing is not permitted here{lockdown()}')
    for kinds, file, what in NEEDED:
        if any(probe.kind in kinds for probe in probes) and not tracefs.has(file):
            raise SurftraceError(f'this kernel has no {what}')
    if any(probe.kind == 'e' and probe.args for probe in probes) and 'e[:' not in tracefs.read('README'):
        raise SurftraceError('this kernel has no event probes (CONFIG_EPROBE_EVENTS, Linux 5.15): '
                             'an e line can only filter')


def frame_function(program: Callable[[str], Program | None], path: str, behind: int) -> str:
    """function+0x12 for a place that many bytes behind where a file's code is mapped."""
    with contextlib.suppress(SurftraceError):
        found = program(path)
        code = [segment for segment in found.executable.segments if segment.code] if found else []
        if found and code:
            return function_and_offset(found, (code[0].address & -mmap.PAGESIZE) + behind, '+0x0')
    return ''


def executable_file(name: str) -> str:
    """The path of a command, looked for as a shell does; else its exit status is a shell's, too."""
    paths = [name] if '/' in name else [os.path.join(folder or '.', name) for folder in folders_of_programs()]
    found = [path for path in paths if os.path.exists(path)]
    good = [path for path in found if os.path.isfile(path) and os.access(path, os.X_OK)]
    if not good:
        error = SurftraceError(f"'{name}' cannot be executed" if found else f"there is no command '{name}'")
        error.status = 126 if found else 127
        raise error
    return good[0]


class Command:
    """The command that is traced, or none: a process that waits until all is set, and then becomes it. It
    waits before the probes are there, so nothing of the command is missed; when we end, it never begins.
    `status` is a shell's for how it ended."""

    def __init__(self, words: Sequence[str]) -> None:
        self.status, self.processes, self.name = 0, (), ''  # type: int, tuple[int, ...], str
        self._begun = False
        if not words:
            return
        path, (wait, self._go) = executable_file(words[0]), os.pipe()
        process = os.fork()
        if not process:
            os.close(self._go)
            become(path, words, wait)
        os.close(wait)
        self.processes, self.name = (process,), f" '{words[0]}' ({process})"

    def begin(self) -> None:
        """Let it begin."""
        self._begun = True
        if self.processes:
            os.write(self._go, b'!')

    def ended(self, how: int = os.WNOHANG) -> bool:
        """Tell whether it has ended; with 0, when it has."""
        for process in self.processes:
            ended, status = os.waitpid(process, how)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                self.processes, self.status = (), code if code >= 0 else 128 - code
                return True
        return False

    def close(self) -> None:
        """End it with us, as perf does, and wait for it: it is no longer traced, and may be interrupted."""
        if self.name:
            os.close(self._go)
        for process in () if self.ended() else self.processes:
            os.kill(process, signal.SIGTERM)
            with ENDING.waiting(False):
                if self._begun:
                    note(f'the command{self.name} ends with surftrace (SIGTERM)')
                self.ended(0)


def become(path: str, words: Sequence[str], wait: int) -> NoReturn:
    """Be a command's process: wait for a byte, not for the end, then execute it with signals as they were."""
    try:
        for name in (signal.SIGPIPE, signal.SIGXFSZ, *ends()):
            signal.signal(name, signal.SIG_DFL)
        if os.read(wait, 1):
            os.execv(path, list(words))
    except OSError as error:
        say(f'surftrace: {path}: {error.strerror}')
    finally:
        os._exit(126)


F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032     # linux/fcntl.h; in the module fcntl since Python 3.10


class Reader:
    """A process that reads trace_pipe on into a pipe: the kernel makes the text while it is read, which takes
    as long as decoding it. It is started before any probe could see it begin, and ends with us."""

    def __init__(self) -> None:
        import socket
        self.pipe, into = os.pipe()
        self._orders, orders = socket.socketpair()
        self.process = os.fork()
        if not self.process:
            os.close(self.pipe)
            self._orders.close()
            status = 1
            try:
                with contextlib.suppress(BrokenPipeError):              # nobody wants more
                    read_on(orders, into)
                status = 0
            finally:
                os._exit(status)
        os.close(into)
        orders.close()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.pipe, F_SETPIPE_SZ, 1 << 20)               # more than may be had by default

    def read(self, trace_pipe: int) -> None:
        """Begin to read that file."""
        import socket
        socket.send_fds(self._orders, [b'r'], [trace_pipe])

    def read_to_the_end(self) -> None:
        """Read what there is now, and no more: then the pipe ends."""
        with contextlib.suppress(OSError):                              # it has ended by itself
            self._orders.send(b'e')
        self._wake()

    def close(self) -> int:
        """End it, whatever it does; 0, or the status it had ended with, a signal below 0."""
        self._orders.close()
        os.close(self.pipe)
        self._wake()
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _wake(self) -> None:
        """Let it go on where it is stopped: Ctrl-Z stops it too; what makes us go on, maybe us alone."""
        changed = os.waitid(os.P_PID, self.process, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if changed and changed.si_code == os.CLD_STOPPED:
            os.kill(self.process, signal.SIGCONT)


def read_on(orders: Any, into: int) -> None:
    """Be a Reader's process: trace_pipe comes by the socket, then an order to read to the end; when nobody
    holds the other end of it, all is over. Signals are for whoever started it."""
    import socket
    for name in ENDS:
        signal.signal(name, signal.SIG_IGN)
    files = socket.recv_fds(orders, 1, 1)[1]
    poll, last = select.poll(), False
    for file in (orders, *files):
        poll.register(file, select.POLLIN)
    while files:
        data = b''
        with contextlib.suppress(OSError):                              # EAGAIN: nothing there
            data = os.read(files[0], 1 << 16)
        if not data and last:
            return
        if not data and orders.fileno() in dict(poll.poll(100)):
            last = True
            if not orders.recv(1):
                return
        while data:
            data = data[os.write(into, data):]


class Stream(Results):
    """trace_pipe, decoded, onto standard output, until an end is asked for: by a signal, the time, the count,
    a closed pipe.

    Every hit of a probe is accounted for: hits = shown + stopped by the filter + of others (-p) or of
    surftrace itself + `lost` + too large for the buffer + `decoder.too_big` + `unshown`, which were recorded
    and, `why`, not written. What the kernel does not count by itself (a filter's, of other processes, too
    large) is what is missing, and said as at most that."""

    def __init__(self, tracefs: Tracefs, decoder: Decoder, seconds: float | None = None,
                 count: int | None = None, interval: float | None = None, top: int | None = None,
                 output: int = 1, name: str = 'standard output') -> None:
        super().__init__(decoder, count, top)
        self.failure = ''
        self._tracefs, self._seconds, self._name = tracefs, seconds, name
        self._interval = self._next_tables = interval or float('inf')
        self.since = SINCE * bool(interval)
        self.unseen: Callable[[], str] = str                    # what is missing in the tables
        self._tables_asked = False                              # by QUIT (Ctrl-\)
        self._instance: Instance | None = None                  # what is read, from the start on
        self._rest, self._unwritten = b'', decoder.start
        self._stop = self._done = self._closed = self._in_line = False
        self._output, self.reader = output, Reader()
        self._reading = select.poll()
        self._reading.register(self.reader.pipe, select.POLLIN)
        mode = os.fstat(output).st_mode
        self._may_block = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(output)

    def close(self) -> None:
        """Let the reader go, and with it trace_pipe."""
        if not self._closed:
            self._closed = True
            status = self.reader.close()
            if status:
                self.why = ': the process that reads them is gone'
                how = f'was killed by signal {-status}' if status < 0 else 'failed'
                self.failure = f'the process that reads trace_pipe {how}'

    def stopped(self) -> bool:
        """Tell whether an end has been asked for, or nobody can be shown anything."""
        return self._stop or ENDING.asked

    def ended(self) -> bool:
        """Tell whether nothing more is to be read."""
        return self.stopped() or self._done or self.left() <= 0

    def follow(self, instance: Instance, silence: Callable[[], str], changes: Callable[[], list[str]],
               command: Command) -> None:
        """Let the command begin, read and write until the end; note when nothing comes, and what changes."""
        import gc
        import time
        start, spoken, looked = time.monotonic(), False, 0.0
        self._instance = instance
        self.decoder.gaps.overruns = functools.partial(overruns, self._tracefs, instance.path)
        self.reader.read(instance.trace_pipe)
        if self.tallies:
            note('counted by the kernel: ' + ', '.join(tally.event.name for tally in self.tallies))
        if self.decoder.counting.tables and not self.decoder.start:
            signal.signal(signal.SIGQUIT, self._ask_for_tables)
        gc.freeze()                                         # what there is stays; what comes may run for days
        gc.enable()
        command.begin()
        while not self.ended() and not command.ended():
            now = time.monotonic() - start
            if now >= looked + 1:
                looked = now
                for text in changes():
                    note(text)
            if self._seconds and now >= self._seconds:
                break
            self._show_tables(now)
            self._take(min(0.1, self._seconds - now if self._seconds else 0.1))
            if not spoken and now > SILENCE:
                spoken = True
                self._tally()
                if not sum(self.decoder.counts.values()):
                    say('surftrace: ' + silence())
        for text in changes():                              # of the last second
            note(text)

    def _ask_for_tables(self, *_: object) -> None:
        self._tables_asked = True

    def _show_tables(self, now: float) -> None:
        """Show the tables if asked for, and at each interval, on a terminal in place of the last ones."""
        due = now >= self._next_tables
        if self._unwritten or not (due or self._tables_asked):
            return
        import time
        assert self._instance
        self._tally()
        self.profile = probe_profile(self._tracefs, self._instance.group)
        self.lost, _ = buffer_counts(self._tracefs, self._instance.path)
        begin = '\033[H\033[2J' * (due and os.isatty(self._output))
        text = self.decoder.tables(self.top, self.unseen(), time.strftime('%H:%M:%S'), begin)
        self._unwritten += encoded(text)
        self._tables_asked = False
        if due:
            self.decoder.counting.clear()
        while now >= self._next_tables:
            self._next_tables += self._interval

    def _tally(self, last: bool = False) -> None:
        """Take over what the kernel has counted. At the end, when it counts no more, what does not add up is
        missing; before, it is what came while this was read."""
        def folder(made: Histogram) -> str:
            assert self._instance
            return f'{self._instance.path}/{made.folder(self._instance.group)}'

        for tally in self.tallies:
            text = encoded(self._tracefs.read(f'{folder(tally.histograms[0])}/hist'))
            self.decoder.counts[tally.event.name] += tally.take(text, self.decoder.counting)
            tally.unread *= last
            for made in tally.keep:
                tally.take_kept(made, encoded(self._tracefs.read(f'{folder(made)}/hist')))
            if last and tally.alone:
                self.decoder.calls.seen[tally.event.name] = tally.returns
                self.decoder.calls.alone[tally.event.name] = tally.alone

    def _take(self, seconds: float) -> None:
        """Read on, unless something waits to be written, and write what is taken."""
        if not self._unwritten and self._reading.poll(1000 * seconds):
            data = os.read(self.reader.pipe, 1 << 16)          # more is not quicker
            self._done = self._done or not data                         # the reader is at the end
            lines, end, rest = (self._rest + data).rpartition(b'\n')
            self._rest = rest
            self._unwritten = self.decoder.block(lines + end, self.left(), bool(data))
        elif self.decoder.waits and not self._unwritten:
            self._unwritten = self.decoder.block(b'', self.left())
        self._write()

    def _write(self) -> None:
        """Write what standard output takes now; what may block gets no more, in whole lines, so that the end
        is heard also when nobody reads. What it does not take when that was asked for is not shown."""
        try:
            while not self.why and writable(self._output, 100 if self._unwritten else 0) and self._unwritten:
                size = len(self._unwritten)
                if self._may_block:
                    size = self._unwritten.rfind(b'\n', 0, select.PIPE_BUF) + 1 or select.PIPE_BUF
                written = os.write(self._output, self._unwritten[:size])
                self._in_line = self._unwritten[written - 1:written] != b'\n'
                self._unwritten = self._unwritten[written:]
            if self._unwritten and self.stopped() and not self.why:
                if not (self._in_line and (widened(self._output) or writable(self._output, 1000))):
                    self.why = ': the output was not read'
        except BrokenPipeError:
            self.why = ': the output is closed'
        except OSError as error:
            self.why, self.failure = ': the output fails', f'{self._name}: {error.strerror}'
        if self.why:
            self._stop, self._done, self.writes = True, True, False
            self.decoder.take_back(len(self._unwritten))
            self._unwritten = b''

    def read_to_the_end(self) -> None:
        """Read what there is now, unless the end has come by the count or the output."""
        self.reader.read_to_the_end()
        while not self._done and (self.left() > 0 or self.decoder.lacks_stacks()):
            self._take(1)
        self.write(self.decoder.finish())

    def put(self, data: bytes) -> None:
        """Let these bytes be written before what comes."""
        self._unwritten += data

    def write(self, data: bytes) -> None:
        """Write these bytes too."""
        self.put(data)
        while self._unwritten:
            self._write()

    def drain(self, changed: Sequence[str] = ()) -> None:
        """Read the rest when recording has stopped, and count what became of all."""
        if changed:
            self.unknown = f"what is missing is not known: somebody has changed {', '.join(changed)}"
        with contextlib.closing(self):
            if self._instance:
                self._tally(last=True)
                self.profile = probe_profile(self._tracefs, self._instance.group)
                self.read_to_the_end()
        if self._instance:
            self.lost, recorded = buffer_counts(self._tracefs, self._instance.path)
            known = self.decoder.records + self.decoder.too_big
            self.unshown = max(0, recorded - known) if self.left() > 0 else 0


def widened(output: int) -> bool:
    """Try to give a pipe more room."""
    with contextlib.suppress(OSError):
        return fcntl.fcntl(output, F_SETPIPE_SZ, 2 * fcntl.fcntl(output, F_GETPIPE_SZ)) > 0
    return False


def writable(output: int, milliseconds: int) -> bool:
    """Tell whether the output takes data now; BrokenPipeError: nobody will ever read it."""
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    ready = poll.poll(milliseconds)
    if ready and ready[0][1] & (select.POLLERR | select.POLLHUP):
        raise BrokenPipeError
    return bool(ready)


def silence(events: Sequence[Event], run: Run, tracefs: Tracefs) -> str:
    """Guess why nothing comes."""
    hits = sum(hits for hits, _ in probe_profile(tracefs, run.group).values())
    reasons = []
    if hits:
        why = ' or '.join(withheld(events, run)) or 'but nothing was recorded'
        reasons.append(f'the probes were hit {hits} times, {why}')
    counted = read_text('/proc/sys/kernel/sched_schedstats').strip() != '0'
    if not counted and any(event.name.startswith('sched_stat_') for event in events):
        reasons.append('sched_stat_* events need sysctl kernel.sched_schedstats=1')
    if read_text('/sys/kernel/debug/kprobes/enabled').strip() == '0':
        reasons.append('kprobes are switched off (/sys/kernel/debug/kprobes/enabled)')
    for path in sorted({os.path.realpath(event.program.path) for event in events if event.program}):
        old = [str(pid) for pid in processes() if f'{path} (deleted)' in mapped_objects(pid)]
        if old:
            reasons.append(f'{path} has been replaced, and processes run the old copy: {", ".join(old[:5])}')
    return 'nothing yet: ' + ('; '.join(reasons) or 'the function may not be called now, be inlined where it '
                              'is, or the filter may let nothing through')


def changes(events: Sequence[Event], kernel: Module) -> Iterator[list[str]]:
    """Yield, each time, notes of what has changed: traced programs that are other files now (a probe stays
    with the inode), modules that have come as other builds than the files that their types are from."""
    programs = {event.program.path: event.program.executable.identity for event in events if event.program}
    named = {definition.place.partition(':')[0] for event in events for definition in event.definitions
             if definition.letter[0] in 'pr' and ':' in definition.place}
    awaited = {name: kernel.module(name).file for name in named if kernel.module(name).loaded is False}
    while True:
        other = [path for path, known in programs.items() if identity(path) != known]
        come = {name: awaited[name] for name in awaited if is_loaded(name)}
        programs = {path: known for path, known in programs.items() if path not in other}
        awaited = {name: file for name, file in awaited.items() if name not in come}
        notes = [f'{path} has been replaced, changed or removed; the probes stay in the old file and the '
                 'processes that run it. Start again to trace the new one' for path in other]
        for name, file in come.items():
            if file and running_build_id(kernel.arch, name) != file.build_id:
                notes.append(f"the module '{name}' that was loaded is another build than {file.path}: values "
                             'of it are read from the wrong places. Start again')
        yield notes


class NoHistogram(SurftraceError):
    """The kernel refuses to count, and says so."""


class Refusals:
    """What the kernel refuses: one of several places of an event, a histogram, or what ends a run."""

    def __init__(self, events: Sequence[Event], machine: Machine, tracefs: Tracefs) -> None:
        self._events = {definition.name: event for event in events for definition in event.definitions}
        self._machine, self._tracefs = machine, tracefs
        self._places: dict[str, dict[str, str]] = {}            # of an event, those refused and why

    def take(self, step: Step, error: TracefsError) -> None:
        """Keep why one of several places is refused; raise the user an error where none is left."""
        event = self._events.get(step.event)
        if step.do.path.endswith('/trigger') or step.do.text.startswith('s:'):
            log = re.sub('/events/.*', '/error_log', step.do.path)
            raise NoHistogram(self._tracefs.last_error(log)[0] or os.strerror(error.errno))
        if not event:
            raise SurftraceError(f'{error}{lockdown()}') from None
        text, (reason, column) = with_paths(step.do.text, [event]), self._reason(step.do, error)
        refused = self._places.setdefault(step.event, {})
        refused[step.do.text] = reason
        if len(refused) < len(event.definitions):
            return
        message = f"the kernel refuses '{text}': {reason}"
        if column < 0:
            raise SurftraceError(message) from None
        name = step.do.text[step.do.text.rfind(' ', 0, column + 1) + 1:].partition('=')[0]
        field = next((field for field in event.fields if name in part_names(field)), None)
        raise InputError(message, field.at if field else event.probe.place.at, event.probe.text) from None

    def _reason(self, write: Write, error: TracefsError) -> tuple[str, int]:
        """Why the kernel refuses a definition, and the column that it points at, -1 where it has not said."""
        said, command, column = self._tracefs.last_error('error_log')   # no other run's command has our group
        reason, column = (said, column) if write.text == command else (os.strerror(error.errno), -1)
        if write.text[:2] == 't:' and error.errno == errno.EEXIST:
            reason = 'the tracepoint has a probe already, and this kernel takes one at a time'
        if write.text[:2] == 'e:' and column < 0:           # README has e[: without them, too
            reason += ('; a kernel without event probes (CONFIG_EPROBE_EVENTS) says no more: without '
                       "arguments an e line shows the event's own fields")
        symbol = re.sub(r'\+\d+$', '', write.text.split(' ')[1].split(':')[-1])
        obstacle = ''
        if write.path == 'kprobe_events':
            obstacle = obstacle_of(Symbol(symbol, 0, 0, True), 0, self._machine.kernel, self._machine)
        return reason + (f"; '{symbol}' is {obstacle}" if obstacle else ''), column

    def note(self) -> None:
        """Say which places are left out."""
        for name, refused in self._places.items():
            event = self._events[name]
            places = [with_paths(f" {text.split(' ')[1]}", [event])[1:] for text in refused]
            self._machine.note(f"{len(places)} of the {len(event.definitions)} places of "
                               f"'{event.probe.place.text}' are left out ({first_of(places, 5)}), the kernel "
                               f"refuses them: {'; '.join(sorted(set(refused.values())))}")


def withheld(events: Sequence[Event], run: Run) -> list[str]:
    """Reasons for which hits of the probes may not be shown."""
    events = [event for event in events if event.definitions]
    conditions = [event.pair.condition for event in events if event.pair]
    reasons = {'stopped by the filter': any(event.filter for event in events) or any(conditions),
               'in other processes': bool(run.pids), 'in surftrace itself': bool(run.own),
               TOO_LARGE: any(map(may_be_too_large, events))}
    return [reason for reason, possible in reasons.items() if possible]


PAGE_KB = mmap.PAGESIZE >> 10
TOO_LARGE = f'larger than {PAGE_KB} KB'


def may_be_too_large(event: Event) -> bool:
    """Tell whether a record may exceed a page: the kernel drops it, also some that have buffer_subbuf_size_kb
    and do not heed it there (6.12 and 6.18, not 7.3)."""
    return record_kb(event) > PAGE_KB


def conclude(events: Sequence[Event], run: Run, stream: Results) -> None:
    """Show the tables, and what became of all."""
    try:
        if stream.decoder.counting.tables and stream.writes:
            put_out(stream.decoder.tables(stream.top, unseen(events, run, stream)))
    finally:
        for line in summary(events, run, stream):
            say(line)


def unseen(events: Sequence[Event], run: Run, stream: Results) -> str:
    """What is missing in the tables."""
    missing = losses(run, stream) + unpaired(events, stream) + missed_hits(stream.profile)
    return ', '.join(missing + [stream.since] * bool(missing and stream.since))


def losses(run: Run, stream: Results) -> list[str]:
    """Records that are not shown."""
    up_to = 'up to ' if run.stacks or run.user_stacks or run.pids else ''
    gone = [f'{up_to}{stream.lost} lost (a larger buffer: -b KB)'] if stream.lost else []
    gone += [f'{stream.decoder.too_big} too long for the kernel to print'] if stream.decoder.too_big else []
    gone += [text for tally in stream.tallies for text in tally.losses()]
    gone += [stream.unknown] * bool(stream.unknown)
    if stream.decoder.counting.tables and stream.why and not stream.writes:
        gone.append(f'not every table is shown{stream.why}')
    return gone + ([f'{up_to}{stream.unshown} recorded and not shown{stream.why}'] if stream.unshown else [])


def unpaired(events: Sequence[Event], stream: Results) -> list[str]:
    """Returns that are not shown, because they make no pair."""
    calls, view = stream.decoder.calls, stream.decoder.view
    names = {event.name: view.label(event).replace('<- ', '') for event in events}
    or_lost = ', or another one may have been lost' * bool(stream.lost)
    too_deep = [f'{calls.too_deep} returns are not shown: of calls nested more than {DEEPEST_RETURN} deep '
                'the kernel sees none'] if calls.too_deep else []
    alone = [f'{count} of {calls.seen[name]} returns of {names[name]} are not shown: their entry was not seen'
             f'{or_lost}' for name, count in calls.alone.items()]
    return alone + too_deep


def missed_hits(profile: dict[str, tuple[int, int]]) -> list[str]:
    """Hits that the probes did not see."""
    missed = [f'{name} {missed}' for name, (_, missed) in profile.items() if missed]
    return [f"missed by the probes: {', '.join(missed)}"] if missed else []


def summary(events: Sequence[Event], run: Run, stream: Results) -> list[str]:
    """Lines that say what came, what was lost, what was missed."""
    gone, hidden = losses(run, stream), unaccounted(events, run, stream)
    if not gone and not hidden:
        gone = ['none lost']
    shown = [event.name for event in events if not event.unshown]
    names = {event.name: stream.decoder.view.label(event) for event in events}
    counts = ', '.join(f'{names.get(name, name)} {count}'
                       for name, count in folded(shown, stream.decoder.counts))
    alone, begun = unpaired(events, stream), stream.decoder.calls.times
    if begun.given_up:
        alone.append(f'{begun.given_up} events that $dur() counts from were given up: more than {begun.MOST} '
                     'had no end')
    return [f"surftrace: {', '.join([f'{counts} events', *gone])}", *hidden,
            *(f'surftrace: {text}' for text in alone + missed_hits(stream.profile))]


def folded(names: Sequence[str], counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The counts by their names; of more than a few, those with none in one."""
    came = [(name, counts[name]) for name in names if counts[name]]
    none = len(names) - len(came)
    if none < 4:
        return [(name, counts[name]) for name in names]
    return [*came, (f'{none} others' if came else f'{none} functions', 0)]


def unaccounted(events: Sequence[Event], run: Run, stream: Results) -> list[str]:
    """A line about hits neither shown nor lost where a record may be too large, which no kernel counts."""
    probes = [event for event in events if event.name in stream.profile]
    if not any(map(may_be_too_large, probes)):
        return []
    hits = sum(stream.profile[event.name][0] for event in probes)
    decoder, left = stream.decoder, hits
    for event in probes:
        left -= decoder.calls.seen.get(event.name, decoder.counts[event.name])
    if len(probes) == len(events) and not run.stacks and not run.user_stacks:
        left -= stream.lost + stream.unshown + decoder.too_big
    why = ' or '.join(['after the last one'] * (stream.left() <= 0) + withheld(probes, run))
    return [f'surftrace: up to {left} of {hits} hits are not shown, {why}'] if left > 0 else []


if __name__ == '__main__':
    sys.exit(main())
