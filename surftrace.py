#!/usr/bin/env python3
# /// script
# requires-python = ">=3.9"
# dependencies = ["pyelftools>=0.29"]
# ///
"""surftrace: trace the functions and events of the kernel and of programs with C expressions, through ftrace alone.

    text --parse--> Probe --resolve(types, arch)--> Field --> EventDef --plan--> [Step(do, undo), ...]
    "p wake_up.."   (AST)                     "+2976(%di):string"              |       |       |
                                                                           session  script    -S
                                                                           tracefs   sh      print
                                                                              |
                                                  trace_pipe line --decode--> stdout

The file is a row of rooms, each under a banner. A room uses only the rooms above it. Printing, argv, the environment
and exiting live in the last room; writing to tracefs lives in Tracefs; everything else is values in, values out.

Words: a Probe and its Args are what the user wrote; a Fetch is what the kernel reads (a fetch-arg of
Documentation/trace/kprobetrace.rst); a Field is one value shown, made of one or more Fetches; an EventDef is the
definition line; an Lvalue is a place while walking C; TypeInfo is the interface of Dwarf and Btf; a Check is a
condition without which a fetched number means nothing; Steps are changes of the machine, each with its undo.
"""
from __future__ import annotations

import bisect
import contextlib
import fnmatch
import functools
import io
import ipaddress
import mmap
import os
import queue
import re
import select
import stat
import struct
import sys
import threading
import zlib
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

__version__ = '0.1.0'


# ---- Errors ------------------------------------------------------------------------------------------------

Span = Tuple[int, int]      # columns [start, end) in the line the user wrote


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
    """What was typed is wrong (exit status 2). `at` is the span in `line`; `source` names the file the line is from."""
    status = 2

    def __init__(self, message: str, at: Optional[Span] = None, line: str = '', source: str = '') -> None:
        super().__init__(message)
        self.message, self.at, self.line, self.source = message, at, line, source

    def __str__(self) -> str:
        text = f'{self.source}: {self.message}' if self.source else self.message
        return text + caret(self.line, self.at) if self.line and self.at else text


def caret(line: str, at: Span, width: int = 100) -> str:
    """The line and, below the span, a caret; a long line is cut to a window round it."""
    start, end = min(at[0], len(line)), max(at[0] + 1, min(at[1], len(line)))
    left = max(0, start - width // 2) if len(line) > width else 0
    shown = printable(line[left:left + width])
    marks = '^' + '~' * (min(end, left + width) - start - 1)
    return f'\n  {shown}\n  {" " * (start - left)}{marks}'


def printable(text: str) -> str:
    """The text with whatever a terminal would obey, or that is no character, replaced by '?', column for column."""
    return ''.join(c if c.isprintable() else '?' for c in text)


@contextlib.contextmanager
def located(line: str, source: str = '') -> Iterator[None]:
    """Errors from within are about this line."""
    try:
        yield
    except InputError as error:
        raise InputError(error.message, error.at, error.line or line, error.source or source) from None


def near(word: str, names: Iterable[str]) -> str:
    """'; did you mean ...?' with the names most like the word, or nothing. Of a kernel's hundred thousand, those that begin
    or end alike are looked at."""
    import difflib
    names = list(names)
    if len(names) > 5000:
        names = [name for name in names if (name[:2] == word[:2] or name[-4:] == word[-4:]) and 2 * abs(len(name) - len(word)) < len(word)]
    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.7)
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ''


# ---- Architectures -----------------------------------------------------------------------------------------

class Arch(NamedTuple):
    """What differs between processors, as data. Register names are the kernel's (regs_query_register_offset)."""
    name: str
    machine: int                            # e_machine of ELF
    bits: int
    order: str                              # byte order, 'little' or 'big'
    registers: FrozenSet[str]
    arguments: Tuple[str, ...]              # registers of the integer arguments, in the kernel's calling convention
    stack: int                              # bytes from the stack pointer at entry to the first stack argument
    stack_pointer: str
    dwarf: Dict[int, str]                   # DWARF register number -> kernel name
    kernel_from: int                        # the lowest address the kernel has anything at
    syscall: Tuple[str, ...] = ()           # members of pt_regs that hold a system call's arguments
    by_value: str = ''                      # whose rules for structs passed by value are known: 'sysv', 'aapcs64'
    nops: int = 0                           # bytes of no-ops for ftrace (gcc -fpatchable-function-entry, arch/*/Makefile) that
                                            # a function's symbol stands before, and its DWARF behind

    @property
    def word(self) -> int:
        """Bytes of a register."""
        return self.bits // 8

    @property
    def last_address(self) -> int:
        """The highest address that is not an error pointer (include/linux/err.h: MAX_ERRNO is 4095)."""
        return (1 << self.bits) - 4096


def _names(text: str) -> FrozenSet[str]:
    """'r0..r3 pc' -> {r0, r1, r2, r3, pc}"""
    found: List[str] = []
    for word in text.split():
        run = re.fullmatch(r'(\D+)(\d+)\.\.\D+(\d+)', word)
        found += [f'{run[1]}{i}' for i in range(int(run[2]), int(run[3]) + 1)] if run else [word]
    return frozenset(found)


def _numbered(text: str, start: int = 0) -> Dict[int, str]:
    """'ax dx' -> {0: 'ax', 1: 'dx'}; '-' leaves a number out."""
    return {number: name for number, name in enumerate(text.split(), start) if name != '-'}


def _run(prefix: str, first: int, last: int) -> str:
    return ' '.join(f'{prefix}{i}' for i in range(first, last + 1))


ARCHES: Tuple[Arch, ...] = (
    # arch/x86/kernel/ptrace.c, arch/x86/include/asm/ptrace.h; System V AMD64 ABI figure 3.36 (DWARF), 3.2.3 (arguments);
    # Documentation/arch/x86/x86_64/mm.rst: with five levels the kernel begins at 0xff00...
    Arch('x86_64', 62, 64, 'little', _names('r8..r15 bx cx dx si di bp ax orig_ax ip cs flags sp ss'),
         ('di', 'si', 'dx', 'cx', 'r8', 'r9'), 8, 'sp', _numbered('ax dx cx bx si di bp sp ' + _run('r', 8, 15) + ' ip'),
         0xff00 << 48, ('di', 'si', 'dx', 'r10', 'r8', 'r9'), 'sysv'),
    # the same files; the kernel is built with -mregparm=3 (arch/x86/Makefile)
    Arch('i386', 3, 32, 'little', _names('bx cx dx si di bp ax orig_ax ip cs ds es fs gs flags sp ss'),
         ('ax', 'dx', 'cx'), 4, 'sp', _numbered('ax cx dx bx sp bp si di ip'), 4096, ('bx', 'cx', 'dx', 'si', 'di', 'bp')),
    # arch/arm64/kernel/ptrace.c; aadwarf64, aapcs64. Pointers may be tagged in bits 56-59 (KASAN)
    Arch('aarch64', 183, 64, 'little', _names('x0..x30 lr sp pc pstate'), tuple(_run('x', 0, 7).split()), 0, 'sp',
         _numbered(_run('x', 0, 30) + ' sp'), 0xf000 << 48, tuple(f'regs[{i}]' for i in range(6)), 'aapcs64', 8),
    # arch/arm/kernel/ptrace.c; aadwarf32, aapcs32
    Arch('arm', 40, 32, 'little', _names('r0..r10 fp ip sp lr pc cpsr ORIG_r0'), ('r0', 'r1', 'r2', 'r3'), 0, 'sp',
         _numbered(_run('r', 0, 10) + ' fp ip sp lr pc'), 4096, tuple(f'uregs[{i}]' for i in range(6))),
    # arch/riscv/kernel/ptrace.c; riscv-elf-psabi-doc
    Arch('riscv64', 243, 64, 'little', _names('epc ra sp gp tp t0..t6 s0..s11 a0..a7 status badaddr cause orig_a0'),
         tuple(_run('a', 0, 7).split()), 0, 'sp',
         _numbered('- ra sp gp tp t0 t1 t2 s0 s1 ' + _run('a', 0, 7) + ' ' + _run('s', 2, 11) + ' t3 t4 t5 t6'),
         0xff00 << 48, ('orig_a0', 'a1', 'a2', 'a3', 'a4', 'a5'), nops=16),
    # arch/s390/kernel/ptrace.c; s390x ELF ABI: arguments in r2-r6, then at 160(%r15). User and kernel have separate spaces
    Arch('s390x', 22, 64, 'big', _names('r0..r15'), ('r2', 'r3', 'r4', 'r5', 'r6'), 160, 'r15',
         _numbered(_run('r', 0, 15)), 4096, ('orig_gpr2', 'gprs[3]', 'gprs[4]', 'gprs[5]', 'gprs[6]', 'gprs[7]')),
    # arch/powerpc/kernel/ptrace/ptrace.c; OpenPOWER ELF v2: r3-r10, then the parameter save area 32 bytes up
    Arch('ppc64le', 21, 64, 'little', _names('r0..r31 gpr0..gpr31 nip msr ctr link xer ccr softe trap dar dsisr'),
         tuple(_run('r', 3, 10).split()), 96, 'r1', _numbered(_run('r', 0, 31)), 0xc000 << 48,
         tuple(f'gpr[{i}]' for i in range(3, 9))),
    # arch/loongarch/kernel/ptrace.c; LoongArch ELF psABI. The direct map begins at 0x8000...
    Arch('loongarch64', 258, 64, 'little',
         _names('r0..r31 orig_a0 csr_era csr_badvaddr csr_crmd csr_prmd csr_euen csr_ecfg csr_estat'),
         tuple(_run('r', 4, 11).split()), 0, 'r3', _numbered(_run('r', 0, 31)), 0x8000 << 48,
         ('orig_a0', 'regs[5]', 'regs[6]', 'regs[7]', 'regs[8]', 'regs[9]'), nops=8),
)

ARCH_ALIASES = {'amd64': 'x86_64', 'x86-64': 'x86_64', 'i486': 'i386', 'i586': 'i386', 'i686': 'i386', 'x86': 'i386',
                'arm64': 'aarch64', 'armv6l': 'arm', 'armv7l': 'arm', 'armhf': 'arm', 'riscv': 'riscv64',
                's390': 's390x', 'ppc64el': 'ppc64le', 'loongarch': 'loongarch64'}


def arch_named(name: str) -> Arch:
    """The architecture called that by uname -m, Debian or the kernel's source."""
    wanted = ARCH_ALIASES.get(name, name)
    for arch in ARCHES:
        if arch.name == wanted:
            return arch
    raise InputError(f"unknown architecture '{name}'; known are {', '.join(arch.name for arch in ARCHES)}")


# ---- Types -------------------------------------------------------------------------------------------------
# C after typedefs and qualifiers are gone. What would make the graph of types infinite is a function without arguments
# that gives the next type: a backend reads a struct's members when somebody asks.

class Void(NamedTuple):
    """No value, or a type nothing is known of."""
    name: str = 'void'


class Int(NamedTuple):
    """An integer, a character or a _Bool; size in bytes. With no name: a register's word, of no C type yet."""
    name: str
    size: int
    signed: bool


class Float(NamedTuple):
    """A floating-point number; no fetch type of ftrace can hold one."""
    name: str
    size: int


class Enum(NamedTuple):
    """An enumeration; `enumerators()` gives (name, value) in the order of the source."""
    name: str
    size: int
    signed: bool
    enumerators: Callable[[], Tuple[Tuple[str, int], ...]]


class Pointer(NamedTuple):
    """A pointer of `size` bytes to `target()`."""
    size: int
    target: Callable[[], Type]


class Array(NamedTuple):
    """An array of `length` elements; None where the type does not say (`char name[]`)."""
    element: Callable[[], Type]
    length: Optional[int]


class Struct(NamedTuple):
    """A struct, union or class. `size` is None where only a declaration is known; `members()` then raises. `passed` is how
    an argument of this type is passed where C++ leaves C's rules: by 'reference', or by 'value' as ever; '' is not known."""
    keyword: str
    name: str
    size: Optional[int]
    members: Callable[[], Tuple[Member, ...]]
    passed: Callable[[], str] = str


class Location(NamedTuple):
    """Where a parameter is at the probed instruction, in DWARF's words.

    how: 'register' (number), 'frame' (offset from the call frame address), 'memory' (number, offset), 'address' (offset),
    'constant' (offset is the value), 'pieces' (a Location and a size in bytes each), 'gone' (why).
    """
    how: str
    number: int = 0
    offset: int = 0
    pieces: Tuple[Tuple[Location, int], ...] = ()
    why: str = ''


class Parameter(NamedTuple):
    """A parameter of a function; its location is None where only the calling convention tells it."""
    name: str
    type: Callable[[], Type]
    location: Optional[Location] = None


class Function(NamedTuple):
    """A function's prototype; `inlined` counts the copies of it within other functions, None where nobody counted. `language`
    is '' for C, whose calling convention the psABI tells; 'C++', 'Rust' and 'Go' add to it or have their own. `changed` tells
    that the compiler changed how this one is called."""
    name: str
    returns: Callable[[], Type]
    parameters: Tuple[Parameter, ...]
    variadic: bool = False
    inlined: Optional[int] = None
    language: str = ''
    changed: bool = False


Type = Union[Void, Int, Float, Enum, Pointer, Array, Struct, Function]


class Member(NamedTuple):
    """A member, `bit` bits from the start of its struct (for a bit-field as the ABI counts: from the least significant
    bit on little-endian machines, from the most significant on big-endian); width in bits, None if not a bit-field."""
    name: str
    type: Callable[[], Type]
    bit: int
    width: Optional[int] = None


def spell(type_: Type) -> str:
    """The type as one would say it in C."""
    if isinstance(type_, Pointer):
        target = type_.target()
        return spell(target) + ('*' if isinstance(target, Pointer) else ' *')
    if isinstance(type_, Array):
        return f'{spell(innermost(type_))} {_dimensions(type_)}'
    if isinstance(type_, Struct):
        return f"{type_.keyword} {type_.name or '<anonymous>'}".strip()
    if isinstance(type_, Enum):
        return f"enum {type_.name or '<anonymous>'}"
    if isinstance(type_, Function):
        return f"{spell(type_.returns())} ({', '.join(spell(p.type()) for p in type_.parameters)})"
    return type_.name or 'a word of no known type'


def _dimensions(array: Array) -> str:
    element = array.element()
    return f"[{'' if array.length is None else array.length}]" + (_dimensions(element) if isinstance(element, Array) else '')


def innermost(type_: Type) -> Type:
    """The type itself, of an array (of arrays) that of its elements."""
    return innermost(type_.element()) if isinstance(type_, Array) else type_


def size_of(type_: Type) -> Optional[int]:
    """sizeof in bytes; None where C would not tell either."""
    if isinstance(type_, Array):
        element = size_of(type_.element())
        return None if element is None or type_.length is None else element * type_.length
    return None if isinstance(type_, (Void, Function)) else type_.size


def find_member(struct_: Struct, name: str) -> Optional[Member]:
    """The member of that name, its bit counted from `struct_`, also within anonymous structs and unions."""
    for member in struct_.members():
        if member.name == name:
            return member
        if not member.name:
            inner = member.type()
            found = find_member(inner, name) if isinstance(inner, Struct) else None
            if found:
                return found._replace(bit=found.bit + member.bit)
    return None


def member_names(struct_: Struct) -> List[str]:
    """The names find_member knows."""
    names: List[str] = []
    for member in struct_.members():
        inner = None if member.name else member.type()
        names += [member.name] if member.name else member_names(inner) if isinstance(inner, Struct) else []
    return names


def shape(type_: Type) -> object:
    """A value that is equal for types that are laid out alike, looking one level into structs."""
    if isinstance(type_, Struct):
        return (type_.keyword, type_.size, tuple((m.name, m.bit, m.width) for m in type_.members()))
    if isinstance(type_, Enum):
        return (type_.size, type_.enumerators())
    return spell(type_)


class Variable(NamedTuple):
    """A global variable."""
    name: str
    type: Type
    per_cpu: bool = False


class TypeInfo:
    """What debug information can be asked, whatever its format. Nothing found is None; damage is DebugInfoError."""
    path = ''
    arch: Arch

    def function(self, name: str, address: Optional[int] = None, offset: int = 0) -> Optional[Function]:
        """The function of that name (at that link-time address), parameters located `offset` bytes into it."""
        raise NotImplementedError

    def named(self, keyword: str, name: str, scope: str = '') -> Optional[Type]:
        """The struct, union or enum (`keyword`), or typedef or base type ('') of that name, as the source file of the
        function `scope` sees it."""
        raise NotImplementedError

    def variable(self, name: str) -> Optional[Variable]:
        """The global variable of that name."""
        raise NotImplementedError

    def function_names(self) -> Iterable[str]:
        """Names of functions, for globs and for near misses."""
        return ()


def is_changed_copy(name: str) -> bool:
    """Whether the symbol is one that gcc gives to a copy with other parameters, or to a part of a function."""
    return re.search(r'\.(isra|constprop|part|cold)(\.|$)', name) is not None


# C's own type names and those of the kernel's include/uapi/asm-generic/int-ll64.h and of stdint.h: (bytes, signed);
# 0 bytes is the machine's word.
PLAIN_TYPES: Dict[str, Tuple[int, bool]] = {
    'char': (1, True), 'signed char': (1, True), 'unsigned char': (1, False), 'bool': (1, False), '_Bool': (1, False),
    'short': (2, True), 'unsigned short': (2, False), 'int': (4, True), 'unsigned int': (4, False),
    'long': (0, True), 'unsigned long': (0, False), 'long long': (8, True), 'unsigned long long': (8, False),
    'size_t': (0, False), 'ssize_t': (0, True), 'uintptr_t': (0, False), 'intptr_t': (0, True),
    **{f'{prefix}{letter}{bits}': (bits // 8, letter == 's')
       for prefix in ('', '__') for letter in 'us' for bits in (8, 16, 32, 64)},
    **{f'{letter}int{bits}_t': (bits // 8, not letter) for letter in ('u', '') for bits in (8, 16, 32, 64)},
    **{f'__{end}{bits}': (bits // 8, False) for end in ('be', 'le') for bits in (16, 32, 64)},
}


def plain_type(words: str, arch: Arch) -> Optional[Type]:
    """The type C itself gives these words ('unsigned long int' as well as 'unsigned long'), or None."""
    if words == 'void':
        return Void()
    parts = words.split()
    if len(parts) > 1 or parts[0] in ('unsigned', 'signed'):
        sign = 'unsigned ' if 'unsigned' in parts else 'signed ' if parts[-1] == 'char' and 'signed' in parts else ''
        rest = [part for part in parts if part not in ('signed', 'unsigned')]
        core = [part for part in rest if part != 'int'] if len(rest) > 1 else rest
        words = sign + (' '.join(core) or 'int')
    found = PLAIN_TYPES.get(words)
    if not found:
        return None
    signed = found[1] and not (words == 'char' and arch.name not in ('x86_64', 'i386'))    # plain char, by each psABI
    return Int(words, found[0] or arch.word, signed)


# ---- ELF files ---------------------------------------------------------------------------------------------

class Symbol(NamedTuple):
    """A symbol: its link-time address (or the running one, from kallsyms), section or module, whether it is code, and what is
    special about it: 'ifunc', 'tls', 'undefined', 'exported' data that a program may have a copy of, an 'old' version."""
    name: str
    address: int
    size: int
    code: bool
    section: str = ''
    module: str = ''
    sort: str = ''


class Section(NamedTuple):
    """Where a section is in its file and in memory, in bytes."""
    name: str
    offset: int
    size: int
    address: int
    kind: str
    compressed: bool
    code: bool


class Segment(NamedTuple):
    """What of a file is loaded where, in bytes (PT_LOAD)."""
    offset: int
    address: int
    size: int
    code: bool


class UsdtNote(NamedTuple):
    """A site of a USDT probe: link-time addresses of its instruction and of its semaphore (0: none), its operands as the
    compiler wrote them."""
    provider: str
    name: str
    address: int
    semaphore: int
    operands: str


class SymbolTable(NamedTuple):
    """Entries, their names, and for dynamic symbols their versions (u16 each)."""
    entries: bytes
    names: bytes
    versions: bytes


class Slice(io.RawIOBase):
    """A section as a stream, which is inflated when it is read, if it is compressed; else there is no copy of it."""

    def __init__(self, contents: Callable[[], memoryview], size: int) -> None:
        self._contents, self._size, self._at = contents, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._contents()[self._at:self._at + len(buffer)]
        buffer[:len(part)] = part
        self._at += len(part)
        return len(part)


# What pyelftools and struct raise on a damaged file; anything else is a defect of ours.
DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError, RecursionError,
          EOFError, MemoryError, NotImplementedError, struct.error, zlib.error)


@contextlib.contextmanager
def damage_in(path: str) -> Iterator[None]:
    """Whatever reading a file raises that is damaged, or cannot be read, is about that file."""
    try:
        yield
    except OSError as error:
        raise DebugInfoError(f'{path}: {error.strerror}') from None
    except DAMAGE as error:
        raise DebugInfoError(f'{path}: the file is damaged, or not what it seems ({error or type(error).__name__})') from error


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Whatever reading a debug file raises is about that file."""
    try:
        from elftools.common.exceptions import DWARFError, ELFError
        from elftools.construct import ConstructError
    except ImportError:
        raise SurftraceError(f'{path}: reading ELF and DWARF needs pyelftools (pip install pyelftools, or your '
                             "distribution's python3-pyelftools); BTF needs nothing: -m btf") from None
    try:
        yield
    except SurftraceError:
        raise
    except OSError as error:
        raise DebugInfoError(f'{path}: {error.strerror}') from None
    except (DWARFError, ELFError, ConstructError, *DAMAGE) as error:
        raise DebugInfoError(f'{path}: the file is damaged, or not what it seems ({error or type(error).__name__})'
                             ) from error


class Executable:
    """An ELF file, mapped (or its bytes): sections, segments, symbols, build-id, USDT notes."""

    def __init__(self, path: str, data: bytes = b'') -> None:
        self.path = path
        with reading(path):
            from elftools.elf.elffile import ELFFile
            self.identity = identity(path)
            self._map: Union[bytes, mmap.mmap] = data or mapped(path)
            self.elf = ELFFile(io.BytesIO(data) if data else self._map)  # type: ignore[arg-type]
            self.is_object = self.elf.header['e_type'] == 'ET_REL'
            headers = list(self.elf.iter_sections())
            places = object_addresses(headers) if self.is_object else [section['sh_addr'] for section in headers]
            found = [Section(section.name, section['sh_offset'], section['sh_size'], place, section['sh_type'],
                             bool(section['sh_flags'] & 0x800), bool(section['sh_flags'] & 4))
                     for section, place in zip(headers, places)]
            self.sections = {section.name: section for section in found}
            self._numbered_sections = found
            self._inflated = functools.lru_cache(None)(self._inflate)
            self._relocated = functools.lru_cache(None)(self._relocate)
            self.arch = self._arch()

    def _arch(self) -> Arch:
        header = self.elf.header
        number = struct.unpack(('<' if self.elf.little_endian else '>') + 'H', self._map[18:20])[0]
        order = 'little' if self.elf.little_endian else 'big'
        for arch in ARCHES:
            if (arch.machine, arch.bits, arch.order) == (number, self.elf.elfclass, order):
                return arch
        raise DebugInfoError(f"{self.path}: a file for {header['e_machine']}, {order}-endian, {self.elf.elfclass} bits: "
                             f"no architecture surftrace knows")

    def contents(self, name: str) -> memoryview:
        """The bytes of a section, inflated where it is compressed, a debug section of an object file relocated; empty when
        there is none of that name."""
        if self.is_object and name.startswith('.debug_') and {'.rela' + name, '.rel' + name} & set(self.sections):
            return self._relocated(name)
        return self._stored(name)

    def _stored(self, name: str) -> memoryview:
        """The bytes of a section as contents(), not relocated."""
        section = self.sections.get(name)
        if not section or section.kind == 'SHT_NOBITS':
            old = '.z' + name[1:]                           # how debug sections were compressed before ELF had a way
            return self._inflated(old) if name.startswith('.debug_') and old in self.sections else memoryview(b'')
        if section.compressed:
            return self._inflated(name)
        if section.offset + section.size > len(self._map):
            raise DebugInfoError(f'{self.path}: cut short: section {name} ends behind the end of the file')
        return memoryview(self._map)[section.offset:section.offset + section.size]

    def _inflate(self, name: str) -> memoryview:
        with reading(self.path):
            if name.startswith('.zdebug_'):                 # 'ZLIB', the size in eight bytes, the stream
                return memoryview(zlib.decompress(self.contents(name)[12:]))
            section: Any = self.elf.get_section_by_name(name)
            return memoryview(section.data())

    def _relocate(self, name: str) -> memoryview:
        """A copy of a debug section of an object file with its relocations applied: what a linker would have done. A kernel
        module is such a file, and all that refers to a string, an abbreviation or an address is 0 in it without them."""
        with reading(self.path):
            data, values, known = bytearray(self._stored(name)), self._symbol_values, RELOCATIONS[self.arch.name]
            mark, has_addends = self._symbol_format.format[0], '.rela' + name in self.sections
            wide = self.arch.bits == 64
            entry = struct.Struct(mark + ('QQ' + 'q' * has_addends if wide else 'II' + 'i' * has_addends))
            numbers = {bits: struct.Struct(mark + code) for bits, code in ((8, 'B'), (16, 'H'), (32, 'I'), (64, 'Q'))}
            for fields in entry.iter_unpack(self._stored(('.rela' if has_addends else '.rel') + name)):
                at, symbol, kind = fields[0], fields[1] >> (32 if wide else 8), fields[1] & (0xffffffff if wide else 0xff)
                if kind:                                                    # 0 is R_*_NONE everywhere
                    if kind not in known:
                        raise ValueError(f'{name} has relocations of the unknown type {kind}')
                    how, bits = known[kind]
                    number_ = numbers[bits]
                    had = number_.unpack_from(data, at)[0] if how in '+-' or not has_addends else 0
                    value = values[symbol] + (fields[2] if has_addends else had)
                    value = had + value if how == '+' else had - value if how == '-' else value - at if how == 'p' else value
                    number_.pack_into(data, at, value & (1 << bits) - 1)
            return memoryview(data)

    @functools.cached_property
    def _symbol_values(self) -> List[int]:
        """The value of each entry of .symtab, for relocations; what is in another file is 0."""
        name, section, value = (0, 3, 4) if self.arch.bits == 64 else (0, 5, 1)
        bases = [part.address for part in self._numbered_sections]
        return [fields[value] + (bases[fields[section]] if fields[section] < len(bases) else 0)
                for fields in self._symbol_format.iter_unpack(self._stored('.symtab'))]

    @functools.cached_property
    def module(self) -> str:
        """The name of the kernel module this is the file of, or the debug file; '' if it is none."""
        if not self.is_object:
            return ''
        file = os.path.basename(self.path)
        return self.module_info.get('name', '') or re.sub(r'\.ko\b.*|\.debug$|\.o$', '', file).replace('-', '_')

    @functools.cached_property
    def module_info(self) -> Dict[str, str]:
        """What a module says of itself (.modinfo): its name, the release it is for (vermagic); a debug file has none of it."""
        words = bytes(self.contents('.modinfo')).decode(errors='replace').split('\0')
        return dict(reversed([(word.partition('=')[0], word.partition('=')[2]) for word in words if '=' in word]))

    def size(self, name: str) -> int:
        """The bytes contents() will give, without inflating anything."""
        section, old = self.sections.get(name), self.sections.get('.z' + name[1:])
        if section and section.compressed:
            with reading(self.path):
                header: Any = self.elf.get_section_by_name(name)
                return int(header.data_size)
        if not section and old and name.startswith('.debug_'):
            return int.from_bytes(self.contents(old.name)[4:12], 'big')
        return section.size if section and section.kind != 'SHT_NOBITS' else 0

    @functools.cached_property
    def build_id(self) -> str:
        """The GNU build-id in hexadecimal, '' when the linker left none."""
        for section in self.sections.values():
            if section.kind == 'SHT_NOTE':
                found = build_id_of(bytes(self.contents(section.name)), self.arch.order)
                if found:
                    return found
        return ''

    @functools.cached_property
    def _symbol_format(self) -> struct.Struct:
        """Elf64_Sym: name, info, other, section, value, size; Elf32_Sym: name, value, size, info, other, section."""
        return struct.Struct(('<' if self.arch.order == 'little' else '>') +
                             ('IBBHQQ' if self.arch.bits == 64 else 'IIIBBH'))

    @functools.cached_property
    def _tables(self) -> List[SymbolTable]:
        return [SymbolTable(bytes(self.contents(entries)), bytes(self.contents(names)), bytes(self.contents(versions)))
                for entries, names, versions in (('.symtab', '.strtab', ''), ('.dynsym', '.dynstr', '.gnu.version'))]

    def _symbol(self, name: str, table: SymbolTable, at: int) -> Symbol:
        fields = self._symbol_format.unpack_from(table.entries, at)
        info, index, value, size = (fields[1], fields[3], fields[4], fields[5]) if self.arch.bits == 64 else (
            fields[3], fields[5], fields[1], fields[2])
        found = self._numbered_sections[index] if index < len(self._numbered_sections) else None
        version = at // self._symbol_format.size * 2
        sort = {6: 'tls', 10: 'ifunc'}.get(info & 15, '')
        if index == 0 or index >= 0xff00 and index != 0xfff1:       # undefined, common and the like; 0xfff1 is absolute
            sort = 'undefined'
        elif int.from_bytes(table.versions[version:version + 2], self.arch.order) & 0x8000:  # type: ignore[arg-type]
            sort = sort or 'old'
        elif table.versions and info & 15 == 1 and self._is_library:
            sort = 'exported'
        value += found.address if found and self.is_object else 0
        return Symbol(name, value, size, info & 15 in (0, 2) and found is not None and found.code, found.name if found else '',
                      sort=sort)

    @functools.cached_property
    def _is_library(self) -> bool:
        """Whether other files link against it: whoever does may have a copy of its data (R_*_COPY)."""
        section: Any = self.elf.get_section_by_name('.dynamic')
        return bool(section) and any(tag.entry.d_tag == 'DT_SONAME' for tag in section.iter_tags())

    @functools.cached_property
    def needed(self) -> List[str]:
        """The sonames of the libraries it is linked with."""
        section: Any = self.elf.get_section_by_name('.dynamic')
        with reading(self.path):
            return [tag.needed for tag in section.iter_tags() if tag.entry.d_tag == 'DT_NEEDED'] if section else []

    def every_symbol(self, name: str) -> List[Symbol]:
        """The symbols of that name, also undefined ones. One search for the name's bytes, one for its offset: no table is
        built."""
        found, size = [], self._symbol_format.size
        for table in self._tables:
            for text in occurrences(table.names, name.encode() + b'\0'):
                number = struct.pack(self._symbol_format.format[0] + 'I', text)
                found += [self._symbol(name, table, at) for at in occurrences(table.entries, number) if at % size == 0]
        return sorted(set(found), key=lambda symbol: symbol.address)

    def symbols(self, name: str) -> List[Symbol]:
        """The defined symbols of that name; an old version only where there is no other."""
        found = [symbol for symbol in self.every_symbol(name) if symbol.sort != 'undefined']
        return [symbol for symbol in found if symbol.sort != 'old'] or found

    @functools.cached_property
    def function_symbols(self) -> Dict[str, List[Symbol]]:
        """Every defined function, by name; a pass over the whole table."""
        found: Dict[str, List[Symbol]] = {}
        for table in self._tables:
            for at in range(0, len(table.entries), self._symbol_format.size):
                start = self._symbol_format.unpack_from(table.entries, at)[0]
                name = table.names[start:table.names.find(b'\0', start)].decode(errors='replace')
                if name and name[:6] != '__pfx_':                       # the padding before a function
                    symbol = self._symbol(name, table, at)
                    if symbol.code and symbol.sort != 'undefined' and symbol not in found.setdefault(name, []):
                        found[name].append(symbol)
        return {name: symbols for name, symbols in found.items() if symbols}

    @functools.cached_property
    def descriptor(self) -> int:
        """A file descriptor for the file, kept open as long as this process lives."""
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    @functools.cached_property
    def segments(self) -> List[Segment]:
        """The parts that are loaded."""
        with reading(self.path):
            return [Segment(s['p_offset'], s['p_vaddr'], s['p_filesz'], bool(s['p_flags'] & 1))
                    for s in self.elf.iter_segments() if s['p_type'] == 'PT_LOAD']

    def offset_of(self, address: int) -> Optional[int]:
        """Where in the file is what is loaded at that address."""
        return next((address - s.address + s.offset for s in self.segments if s.address <= address < s.address + s.size), None)

    def code_at(self, offset: int) -> Optional[int]:
        """The address at which the code at that place of the file is loaded."""
        return next((offset - s.offset + s.address for s in self.segments if s.code and s.offset <= offset < s.offset + s.size), None)

    def bytes_at(self, address: int, size: int) -> bytes:
        """What the file has for these addresses."""
        offset = self.offset_of(address)
        return b'' if offset is None else bytes(memoryview(self._map)[offset:offset + size])

    def names_in(self, section: str) -> List[str]:
        """The names of what .symtab has in a section whose name has that in it."""
        table, found = self._tables[0], []
        parts = {number for number, part in enumerate(self._numbered_sections) if section in part.name}
        index = 3 if self.arch.bits == 64 else 5
        for fields in self._symbol_format.iter_unpack(table.entries):
            if fields[index] in parts:
                found.append(table.names[fields[0]:table.names.index(b'\0', fields[0])].decode(errors='replace'))
        return [name for name in found if name]

    def usdt_notes(self) -> List[UsdtNote]:
        """The sites of USDT probes (.note.stapsdt; https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation)."""
        notes, word = bytes(self.contents('.note.stapsdt')), 'Q' if self.arch.bits == 64 else 'I'
        base = self.sections.get('.stapsdt.base')
        mark = '<' if self.arch.order == 'little' else '>'
        found = []
        with reading(self.path):
            for name, kind, text in notes_in(notes, self.arch.order):
                if name == b'stapsdt\0' and kind == 3:
                    address, linked, semaphore = struct.unpack_from(mark + 3 * word, text)
                    moved = base.address - linked if base and linked else 0
                    words = [part.decode(errors='replace') for part in text[3 * self.arch.word:].split(b'\0')]
                    found.append(UsdtNote(words[0], words[1], address + moved, semaphore + moved if semaphore else 0,
                                          words[2] if len(words) > 2 else ''))
        return found

    def named_in_source(self, name: str) -> List[Symbol]:
        """The functions whose name in C++ or Rust is that, with its parameters or without them."""
        last = re.search(r'(\w+)[^\w:]*$', without_parameters(name).partition('<')[0])
        piece = f'{len(last[1])}{last[1]}' if last and 'operator' not in name else ''
        return [symbol for mangled, symbols in self.function_symbols.items() if mangled[:2] in ('_Z', '_R') and piece in mangled
                and name in spellings(demangled(mangled)) for symbol in symbols]

    @functools.cached_property
    def _by_address(self) -> Tuple[List[int], List[Symbol]]:
        symbols = sorted((symbol for symbols in self.function_symbols.values() for symbol in symbols),
                         key=lambda symbol: (symbol.address, symbol.size))
        return [symbol.address for symbol in symbols], symbols

    def function_at(self, address: int) -> Optional[Symbol]:
        """The function that has the address, by the symbols' sizes."""
        addresses, symbols = self._by_address
        at = bisect.bisect(addresses, address)
        return next((symbol for symbol in reversed(symbols[max(0, at - 8):at]) if address < symbol.address + symbol.size), None)


def identity(path: str) -> Tuple[int, int]:
    """What tells a file from another of its name: device and inode; (0, 0) where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


# How the relocations of debug sections are computed: (how, bits) by their number; '=' is symbol plus addend, 'p' that from
# its own place, '+' and '-' that added to or taken from what is there (RISC-V and LoongArch write differences so).
# From the psABI of each; names in include/elf/*.h of binutils.
RELOCATIONS: Dict[str, Dict[int, Tuple[str, int]]] = {
    'x86_64': {1: ('=', 64), 10: ('=', 32), 11: ('=', 32), 2: ('p', 32), 24: ('p', 64), 17: ('=', 64), 21: ('=', 32)},
    'i386': {1: ('=', 32), 2: ('p', 32)},
    'aarch64': {257: ('=', 64), 258: ('=', 32), 259: ('=', 16), 260: ('p', 64), 261: ('p', 32)},
    'arm': {2: ('=', 32), 3: ('p', 32)},
    'riscv64': {1: ('=', 32), 2: ('=', 64), 57: ('p', 32), 54: ('=', 8), 55: ('=', 16), 56: ('=', 32),
                **{33 + i: ('+', 8 << i) for i in range(4)}, **{37 + i: ('-', 8 << i) for i in range(4)}},
    's390x': {4: ('=', 32), 22: ('=', 64), 5: ('p', 32), 23: ('p', 64)},
    'ppc64le': {1: ('=', 32), 38: ('=', 64), 26: ('p', 32), 44: ('p', 64)},
    'loongarch64': {1: ('=', 32), 2: ('=', 64), 99: ('p', 32), 47: ('+', 8), 48: ('+', 16), 50: ('+', 32), 51: ('+', 64),
                    52: ('-', 8), 53: ('-', 16), 55: ('-', 32), 56: ('-', 64)},
}


def object_addresses(sections: Sequence[Any]) -> List[int]:
    """An address for each section of an object file, where all begin at 0: those that are loaded in a row, so that each
    address is in one of them; the others at 0, since what refers to them counts from their start."""
    found, at = [], 0x1000
    for section in sections:
        if section['sh_flags'] & 2:                                         # SHF_ALLOC
            at = -(-at // max(1, section['sh_addralign'])) * max(1, section['sh_addralign'])
            found.append(at)
            at += section['sh_size']
        else:
            found.append(0)
    return found


def unpacked(path: str) -> bytes:
    """What a file compressed as .gz, .xz or .zst holds; b'' for one that is not compressed."""
    with damage_in(path), open(path, 'rb') as file:
        head = file.read(6)
        file.seek(0)
        if head[:2] == b'\x1f\x8b':
            return zlib.decompress(file.read(), 31)                         # 31: with gzip's header
        if head == b'\xfd7zXZ\0':
            import lzma
            try:
                return lzma.decompress(file.read())
            except lzma.LZMAError as error:
                raise ValueError(str(error)) from error
        return unpacked_zstd(path, file.read()) if head[:4] == b'\x28\xb5\x2f\xfd' else b''


def unpacked_zstd(path: str, data: bytes) -> bytes:
    """What a zstd frame holds, by Python's own library (3.14) or the machine's (zstd.h: the simple API)."""
    with contextlib.suppress(ImportError):
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]
        return bytes(zstd.decompress(data))
    import ctypes
    try:
        library = ctypes.CDLL('libzstd.so.1')
    except OSError:
        raise DebugInfoError(f'{path}: to read zstd, libzstd.so.1 or Python 3.14 is needed; or unpack it with zstd -d') from None
    library.ZSTD_getFrameContentSize.restype = library.ZSTD_decompress.restype = ctypes.c_ulonglong
    size = library.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    size = size if size < 1 << 40 else 32 * len(data)                       # -1: it does not say; -2: it is none
    buffer = ctypes.create_string_buffer(size or 1)
    got = library.ZSTD_decompress(buffer, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    if got > size:                                                          # an error code is a number close to 2**64
        raise ValueError('damaged zstd')
    return buffer.raw[:got]


def executable_at(path: str) -> Executable:
    """The ELF file there, unpacked where it is compressed."""
    return Executable(path, unpacked(path))


def mapped(path: str) -> mmap.mmap:
    """The file, to be read without reading it."""
    with open(path, 'rb') as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def occurrences(data: Any, wanted: bytes) -> Iterator[int]:
    """Where the bytes stand; linkers merge the tails of strings, so they may stand within longer ones."""
    return (match.start() for match in re.finditer(re.escape(wanted), data))


def uleb128(data: Union[bytes, memoryview], at: int) -> Tuple[int, int]:
    """An unsigned LEB128 number (DWARF 5, 7.6) and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def notes_in(notes: bytes, order: str) -> Iterator[Tuple[bytes, int, bytes]]:
    """(name, type, descriptor) of each note of a SHT_NOTE section."""
    at, head = 0, struct.Struct('<III' if order == 'little' else '>III')
    while at + 12 <= len(notes):
        name_size, size, kind = head.unpack_from(notes, at)
        name_at, text_at = at + 12, at + 12 + (name_size + 3 & ~3)
        yield notes[name_at:name_at + name_size], kind, notes[text_at:text_at + size]
        at = text_at + (size + 3 & ~3)


def build_id_of(notes: bytes, order: str) -> str:
    """The descriptor of the note 'GNU' of type 3 (NT_GNU_BUILD_ID), in hexadecimal, or ''."""
    return next((text.hex() for name, kind, text in notes_in(notes, order) if name == b'GNU\0' and kind == 3), '')


def instruction_starts(arch: Arch, code: bytes, address: int) -> Optional[List[int]]:
    """The addresses at which an instruction of this code begins; None where nothing here can tell."""
    if arch.name in ('aarch64', 'ppc64le', 'loongarch64'):
        return list(range(address, address + len(code), 4))
    try:
        import capstone  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    modes = {'x86_64': (capstone.CS_ARCH_X86, capstone.CS_MODE_64), 'i386': (capstone.CS_ARCH_X86, capstone.CS_MODE_32)}
    if arch.name not in modes:
        return None
    return [start for start, _, _, _ in capstone.Cs(*modes[arch.name]).disasm_lite(code, address)]


def elf_of(arch: Arch, sections: Sequence[Tuple[str, int, bytes]]) -> bytes:
    """An ELF file that has nothing but these sections (name, type, bytes), for that architecture (ELF gABI)."""
    mark, wide = '<' if arch.order == 'little' else '>', arch.bits == 64
    names, every = b'\0', [('', 0, b''), *sections, ('.shstrtab', 3, b'')]
    headers, contents, start = b'', b'', 64 if wide else 52
    for name, kind, data in every:
        at, names = len(names), names + name.encode() + b'\0' if name else names
        data = names if kind == 3 else data
        contents += bytes(-len(contents) % 4)
        fields = (at if name else 0, kind, 0, 0, start + len(contents) if kind else 0, len(data), 0, 0, 4 if kind else 0, 0)
        headers += struct.pack(mark + ('IIQQQQIIQQ' if wide else '10I'), *fields)
        contents += data
    contents += bytes(-(start + len(contents)) % 8)
    head = b'\x7fELF' + bytes([2 if wide else 1, 1 if mark == '<' else 2, 1]) + bytes(9)
    return head + struct.pack(mark + ('HHIQQQIHHHHHH' if wide else 'HHIIIIIHHHHHH'), 2, arch.machine, 1, 0, 0, start + len(contents),
                              0, start, 0, 0, len(headers) // len(every), len(every), len(every) - 1) + contents + headers


def build_id_note(build_id: str, order: str) -> bytes:
    """The note that build_id_of() reads."""
    text = bytes.fromhex(build_id)
    return struct.pack('<III' if order == 'little' else '>III', 4, len(text), 3) + b'GNU\0' + text + bytes(-len(text) % 4)


# names of C++ and Rust


@functools.lru_cache(None)
def _cxa_demangle() -> Optional[Callable[[str], str]]:
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
        status = ctypes.c_int()
        text = library.__cxa_demangle(name.encode(), None, None, ctypes.byref(status))
        if not text:
            return ''
        try:
            return ctypes.string_at(text).decode(errors='replace')
        finally:
            release(text)
    return demangle


RUST_ESCAPES = {'SP': '@', 'BP': '*', 'RF': '&', 'LT': '<', 'GT': '>', 'LP': '(', 'RP': ')', 'C': ','}


def demangled(name: str) -> str:
    """A C++ or Rust name as its source has it, '' for one that is not mangled. Of Rust's newer mangling (RFC 2603) only plain
    paths are read; of its older one (C++'s, with a hash behind it) the hash is left out."""
    if name.startswith('_R'):
        path = re.fullmatch(r'_R(?:N[a-zA-Z])*C(?:s[0-9a-zA-Z]*_)?((?:(?:s[0-9a-zA-Z]*_)?\d+_?[A-Za-z_]\w*)+)', name)
        return '::'.join(_identifiers(path[1])) if path else ''
    demangle = _cxa_demangle() if name.startswith('_Z') else None
    text = demangle(name) if demangle else ''
    rust = re.fullmatch(r'(.*)::h[0-9a-f]{16}', text)
    if not rust:
        return text
    text = re.sub(r'\$(\w+)\$', lambda match: RUST_ESCAPES.get(match[1]) or _rust_character(match), rust[1])
    return re.sub(r'(^|::)_<', r'\1<', text.replace('..', '::'))


def _rust_character(match: re.Match[str]) -> str:
    """$u20$ is the character with that number."""
    return chr(int(match[1][1:], 16)) if re.fullmatch('u[0-9a-f]{1,5}', match[1]) else match[0]


def _identifiers(text: str) -> List[str]:
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


def spellings(name: str) -> Set[str]:
    """What one may write for a demangled name: with and without parameters, a template's result, an ABI tag."""
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


def library_paths() -> List[Tuple[str, str]]:
    """(soname, path) of every library the dynamic linker knows (glibc: sysdeps/generic/dl-cache.h; the new format, which may
    stand behind the old one)."""
    try:
        with open('/etc/ld.so.cache', 'rb') as file:
            data = file.read()
    except OSError:
        return []
    start, found = data.find(b'glibc-ld.so.cache1.1'), []
    if start < 0:
        return []
    count = struct.unpack_from('=I', data, start + 20)[0]
    for at in range(start + 48, min(start + 48 + 24 * count, len(data) - 23), 24):
        name, path = struct.unpack_from('=II', data, at + 4)
        found.append(tuple(data[start + p:data.index(b'\0', start + p)].decode(errors='replace') for p in (name, path)))
    return found  # type: ignore[return-value]


def is_library(file: str, name: str) -> bool:
    """Whether that is the file's soname, whole or without what is behind .so ('libc' is libc.so.6, in old files libc-2.31.so)."""
    return file == name or re.fullmatch(re.escape(name) + r'(-[\d.]+)?\.so(\.[\w.]+)?', file) is not None


def mapped_objects(pid: int) -> List[str]:
    """The files a process has mapped to execute, as /proc/PID/maps has them."""
    try:
        with open(f'/proc/{pid}/maps', errors='surrogateescape') as file:
            found = re.findall(r'^\S+ \S\Sx\S \S+ \S+ [1-9]\d* +(/.*)$', file.read(), re.M)
    except OSError:
        return []
    return list(dict.fromkeys(found))


def object_of_process(pid: int, name: str) -> Optional[str]:
    """What a process calls so, as a path that is good here: the same file through its root, where that is another."""
    for path in mapped_objects(pid):
        inside = path[:-len(' (deleted)')] if path.endswith(' (deleted)') else path
        base = os.path.basename(inside)
        if inside == name or '/' not in name and (base == name or is_library(base, name)):
            if inside != path:
                raise SurftraceError(f"process {pid} runs a '{base}' that has been deleted or replaced since; start it again, or "
                                     'name the new file by its path without -p')
            through = f'/proc/{pid}/root{inside}'
            with contextlib.suppress(OSError):
                return inside if os.path.samefile(inside, through) else through
            return through
    return None


def object_paths(name: str, folders: Sequence[str]) -> List[str]:
    """The files that may be meant: a path, a program in one of the folders, a library by its soname."""
    if '/' in name:
        return [os.path.abspath(name)] if os.path.isfile(name) else []
    programs = [path for path in (os.path.join(folder or '.', name) for folder in folders)
                if os.path.isfile(path) and os.access(path, os.X_OK)]
    return [os.path.abspath(path) for path in programs[:1]] or list(dict.fromkeys(
        path for soname, path in library_paths() if is_library(soname, name)))


# ---- DWARF -------------------------------------------------------------------------------------------------

STRUCT_TAGS = {'DW_TAG_structure_type': 'struct', 'DW_TAG_class_type': 'class', 'DW_TAG_union_type': 'union'}
KEYWORD_TAGS = {'struct': ('DW_TAG_structure_type', 'DW_TAG_class_type'), 'union': ('DW_TAG_union_type',),
                'enum': ('DW_TAG_enumeration_type',), '': ('DW_TAG_typedef', 'DW_TAG_base_type')}
QUALIFIER_TAGS = {'DW_TAG_typedef', 'DW_TAG_const_type', 'DW_TAG_volatile_type', 'DW_TAG_restrict_type',
                  'DW_TAG_atomic_type', 'DW_TAG_immutable_type', 'DW_TAG_packed_type', 'DW_TAG_shared_type'}
DEBUG_SECTIONS = ('info', 'aranges', 'abbrev', 'frame', 'str', 'loc', 'ranges', 'line', 'pubtypes', 'pubnames', 'addr',
                  'str_offsets', 'line_str', 'loclists', 'rnglists', 'sup', 'types')
FUNCTION_TAGS = ('DW_TAG_subprogram',)
DEFINITION_TAGS = {**STRUCT_TAGS, 'DW_TAG_class_type': 'struct', 'DW_TAG_enumeration_type': 'enum'}
# DWARF 5 table 7.17, and those added since (https://dwarfstd.org/languages.html); C and what is like it is ''
LANGUAGES = {4: 'C++', 0x1a: 'C++', 0x21: 'C++', 0x2b: 'C++', 0x3a: 'C++', 0x16: 'Go', 0x1c: 'Rust'}
# Tag, attributes, the first that takes room, its form; entry_layout() of them.
Abbreviation = Tuple[str, Tuple[str, ...], str, str, Tuple[Union[int, str], ...]]
# DWARF 5, 7.5.6: how many bytes an attribute of a form takes, or what tells it.
FORM_BYTES: Dict[str, Union[int, str]] = {
    **dict.fromkeys('flag_present implicit_const'.split(), 0),
    **dict.fromkeys('data1 ref1 flag strx1 addrx1'.split(), 1), **dict.fromkeys('data2 ref2 strx2 addrx2'.split(), 2),
    **dict.fromkeys('strx3 addrx3'.split(), 3), **dict.fromkeys('data8 ref8 ref_sig8 ref_sup8'.split(), 8), 'data16': 16,
    **dict.fromkeys('data4 ref4 strx4 addrx4 strp line_strp sec_offset ref_addr strp_sup ref_sup4 GNU_strp_alt GNU_ref_alt'.split(), 4),
    **dict.fromkeys('udata sdata ref_udata strx addrx loclistx rnglistx GNU_addr_index GNU_str_index'.split(), 'number'),
    'string': 'string', 'exprloc': 'block', 'block': 'block', 'block1': 'B', 'block2': 'H', 'block4': 'I'}
NO_BYTES = {f'DW_FORM_{form}' for form, size in FORM_BYTES.items() if size == 0}


@functools.lru_cache(None)
def entry_layout(pairs: Tuple[Tuple[str, str], ...], word: int) -> Tuple[Union[int, str], ...]:
    """How long an entry with these (attribute, form) is: bytes in a row, 'sibling', and what is as long as it says."""
    layout: List[Union[int, str]] = []
    for name, form in pairs:
        size: Union[int, str] = word if form == 'DW_FORM_addr' else FORM_BYTES.get(form[len('DW_FORM_'):], 'unknown')
        if name == 'DW_AT_sibling' and form == 'DW_FORM_ref4':
            layout.append('sibling')
        elif layout and isinstance(size, int) and isinstance(layout[-1], int):
            layout[-1] += size
        else:
            layout.append(size)
    return tuple(layout)


class Survey(NamedTuple):
    """What all units have, from one pass: offsets of definitions of each named struct, union and enum, one for each that differs
    in its size, line, column, first member or the length of its entry; of each function's prototypes; and the functions whose
    calling convention the compiler changed."""
    definitions: Dict[Tuple[str, str], Dict[object, int]]
    functions: Dict[str, List[int]]
    changed: Set[str]


class Dwarf(TypeInfo):
    """DWARF 2 to 5 of one file. No index is built and no unit read whole: gcc and clang begin an entry with its name or
    its origin, so the entry is found by searching for the four bytes of that reference, and checked by its abbreviation.
    """

    def __init__(self, executable: Executable, shared: Optional[Dwarf] = None) -> None:
        self.executable, self.path, self.arch = executable, executable.path, executable.arch
        self._types: Dict[Tuple[bool, int], Type] = {}
        self._surveyed: Dict[Tuple[str, str], List[int]] = {}
        self._abbreviations = functools.lru_cache(None)(self._read_abbreviations)
        self._outer_entries = functools.lru_cache(None)(self._read_outer_entries)
        self._tagged_entries = functools.lru_cache(None)(self._read_tagged)
        with reading(self.path):
            self._open()
        if shared:
            self._dwarf.supplementary_dwarfinfo = shared._dwarf

    def _open(self) -> None:
        from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
        sections: Dict[str, Any] = dict.fromkeys(('eh_frame_sec', 'gnu_debugaltlink_sec'))
        for name in DEBUG_SECTIONS:
            size = self.executable.size('.debug_' + name)
            stream = Slice(functools.partial(self.executable.contents, '.debug_' + name), size)
            sections[f'debug_{name}_sec'] = DebugSectionDescriptor(
                io.BufferedReader(stream, 4096), '.debug_' + name, 0, size, 0) if size else None
        self._info = self.executable.contents('.debug_info')
        if not self._info:
            raise DebugInfoError(f'{self.path}: no DWARF in this file (no .debug_info)')
        known = DWARFInfo.__init__.__code__.co_varnames                 # older releases know fewer sections
        self._dwarf: Any = DWARFInfo(DwarfConfig(self.arch.order == 'little', '', self.arch.word),
                                     **{name: section for name, section in sections.items() if name in known})
        self._mark = '<' if self.arch.order == 'little' else '>'
        self._locations = self._dwarf.location_lists()

    @functools.cached_property
    def _strings(self) -> memoryview:
        return self.executable.contents('.debug_str')

    # units

    @functools.cached_property
    def _unit_offsets(self) -> List[int]:
        """Where each unit begins in .debug_info."""
        offsets, at, end = [], 0, len(self._info)
        while at + 12 <= end:
            offsets.append(at)
            length = struct.unpack_from(self._mark + 'I', self._info, at)[0]
            at += 4 + length if length < 0xfffffff0 else 12 + struct.unpack_from(self._mark + 'Q', self._info, at + 4)[0]
        return offsets

    def _unit_holding(self, offset: int) -> int:
        """Where the unit begins that has this offset of .debug_info."""
        return self._unit_offsets[bisect.bisect(self._unit_offsets, offset) - 1]

    @functools.cached_property
    def _address_ranges(self) -> List[Tuple[int, int, int]]:
        """(first address, end, unit offset), sorted; from .debug_aranges, else from the units' own ranges."""
        table, data, at = [], self.executable.contents('.debug_aranges'), 0
        pair = struct.Struct(self._mark + ('QQ' if self.arch.bits == 64 else 'II'))
        while at + 12 <= len(data):
            length, _, unit, size = struct.unpack_from(self._mark + 'IHIB', data, at)
            first = at + 12 + (-12 % (2 * size or 1))
            end = min(at + 4 + length, len(data))
            for start, extent in pair.iter_unpack(data[first:end - (end - first) % pair.size] if size == pair.size // 2 else b''):
                if extent:
                    table.append((start, start + extent, unit))
            at += 4 + length
        return sorted(table or self._unit_ranges())

    def _unit_ranges(self) -> Iterator[Tuple[int, int, int]]:
        for offset in self._unit_offsets:
            top = self._dwarf.get_CU_at(offset).get_top_DIE()
            for start, end in self._ranges(top):
                yield start, end, offset

    def _ranges(self, die: Any) -> List[Tuple[int, int]]:
        """The address ranges of an entry: one from low_pc and high_pc, or its range list."""
        low, high = die.attributes.get('DW_AT_low_pc'), die.attributes.get('DW_AT_high_pc')
        if high:
            return [(low.value, high.value if high.form == 'DW_FORM_addr' else low.value + high.value)]
        ranges = die.attributes.get('DW_AT_ranges')
        if not ranges:
            return []
        base, found = low.value if low else self._base(die), []
        for entry in self._dwarf.range_lists().get_range_list_at_offset(ranges.value, die.cu):
            if hasattr(entry, 'base_address'):
                base = entry.base_address
            else:
                found.append((entry.begin_offset, entry.end_offset) if getattr(entry, 'is_absolute', False)
                             else (base + entry.begin_offset, base + entry.end_offset))
        return found

    @staticmethod
    def _base(die: Any) -> int:
        low = die.cu.get_top_DIE().attributes.get('DW_AT_low_pc')
        return low.value if low else 0

    def _unit_at(self, address: int) -> Optional[Any]:
        """The unit whose code is at that address, or behind the no-ops there."""
        for place in (address, address + self.arch.nops):
            at = bisect.bisect(self._address_ranges, (place, 1 << 64, 0)) - 1
            if at >= 0 and place < self._address_ranges[at][1]:
                return self._dwarf.get_CU_at(self._address_ranges[at][2])
        return None

    def source_at(self, address: int) -> str:
        """The path, as compiled, of the source file whose unit holds the address; '' if no unit does."""
        with reading(self.path):
            unit = self._unit_at(address)
            return self._text(unit.get_top_DIE(), 'DW_AT_name') if unit else ''

    # entries

    @staticmethod
    def _text(die: Any, attribute: str) -> str:
        value = die.attributes.get(attribute)
        return value.value.decode(errors='replace') if value and isinstance(value.value, bytes) else ''

    def _by_name(self, name: str, tags: Sequence[str], unit: Optional[Any] = None, defined: bool = False) -> Iterator[Any]:
        """The entries of that name in the unit, or in all; a name of three letters stands in the entry itself. `defined`
        leaves declarations out."""
        if unit is not None and not self._is_gnu(unit):
            for at in self._tagged(unit, tags):
                die = unit.get_DIE_from_refaddr(at)
                if self._text(die, 'DW_AT_name') == name and not (defined and 'DW_AT_declaration' in die.attributes):
                    yield die
            return
        if len(name) < 4:
            yield from self._beginning(name.encode() + b'\0', ('DW_AT_name',), 'DW_FORM_string', tags, unit, defined)
        for at in self._string_offsets(name):
            found = False
            for die in self._beginning(struct.pack(self._mark + 'I', at), ('DW_AT_name',), 'DW_FORM_strp', tags, unit, defined):
                found = True
                yield die
            if found and unit is not None or unit is None and not self.executable.is_object:    # ld -r merges no strings
                return

    def _string_offsets(self, name: str) -> List[int]:
        """Where .debug_str has the name, first the one place that a linker which merges strings refers to. That is the whole
        string where there is one; else the tail of its neighbour in the order of reversed strings (bfd/merge.c; LLVM's
        StringTableBuilder does the same)."""
        def reversed_head(at: int) -> bytes:
            head = bytes(self._strings[max(0, at - 256):at])
            return head[head.rfind(b'\0') + 1:][::-1]
        return sorted(occurrences(self._strings, name.encode() + b'\0'), key=reversed_head)

    def _beginning(self, pattern: bytes, attributes: Sequence[str], form: str, tags: Sequence[str], unit: Optional[Any],
                   defined: bool = False) -> Iterator[Any]:
        """The entries with one of the tags whose first attribute that takes room is one of these, in that form, with these
        bytes."""
        start, end = (unit.cu_die_offset, unit.cu_offset + unit.size) if unit is not None else (0, len(self._info))
        for at in occurrences(self._info[start:end], pattern):
            holder = unit.cu_offset if unit is not None else self._unit_holding(start + at)
            offset = self._entry_before(holder, start + at, attributes, form, tags, defined)
            held = self._dwarf.get_CU_at(holder) if offset else None
            if held and offset and self._is_entry(held, offset):
                yield held.get_DIE_from_refaddr(offset)

    def _entry_before(self, unit: int, at: int, attributes: Sequence[str], form: str, tags: Sequence[str], defined: bool
                      ) -> Optional[int]:
        """Where the entry begins whose abbreviation code, one to three bytes of ULEB128, ends where the attribute begins."""
        for size in (1, 2, 3):
            code = bytes(self._info[at - size:at])
            if len(code) < size or code[-1] & 0x80 or not all(byte & 0x80 for byte in code[:-1]):
                continue
            tag, names, first, first_form, _ = self._abbreviations(unit).get(uleb128(code, 0)[0], ('', (), '', '', ()))
            if tag in tags and first in attributes and first_form == form and not (defined and 'DW_AT_declaration' in names):
                return at - size
        return None

    def _read_abbreviations(self, unit: int) -> Dict[int, Abbreviation]:
        """The unit's abbreviations. pyelftools reads a table whole and with care, which is for the few units an answer comes
        from, not for all that have a name."""
        from elftools.dwarf.enums import ENUM_DW_AT, ENUM_DW_FORM, ENUM_DW_TAG
        names, forms, tags = ({number: name for name, number in table.items() if isinstance(number, int)}
                              for table in (ENUM_DW_AT, ENUM_DW_FORM, ENUM_DW_TAG))
        at = struct.unpack_from(self._mark + 'I', self._info, unit + (
            8 if struct.unpack_from(self._mark + 'H', self._info, unit + 4)[0] >= 5 else 6))[0]
        data, found = self._abbreviation_bytes, {}
        code, at = uleb128(data, at)
        while code:
            tag, at = uleb128(data, at)
            at += 1                                                     # whether it has children
            pairs: List[Tuple[str, str]] = []
            while True:
                name, at = uleb128(data, at)
                form, at = uleb128(data, at)
                if form == 0x21:                                        # DW_FORM_implicit_const: the value stands here
                    at = uleb128(data, at)[1]
                if not name and not form:
                    break
                pairs.append((names.get(name, ''), forms.get(form, '')))
            first = next((pair for pair in pairs if pair[1] not in NO_BYTES), ('', ''))
            found[code] = (tags.get(tag, ''), tuple(pair[0] for pair in pairs), *first, entry_layout(tuple(pairs), self.arch.word))
            code, at = uleb128(data, at)
        return found

    @functools.cached_property
    def _abbreviation_bytes(self) -> bytes:
        return bytes(self.executable.contents('.debug_abbrev'))

    def _is_entry(self, unit: Any, wanted: int) -> bool:
        """Whether an entry begins there, and not bytes that look like one (a kernel has 20,000 such)."""
        entries = self._outer_entries(unit.cu_offset, unit.cu_die_offset, unit.cu_offset + unit.size)
        outer = entries[bisect.bisect(entries, wanted) - 1]
        return next((at for at in self._entries(unit.cu_offset, outer, wanted) if at >= wanted), -1) == wanted

    def _entries(self, unit: int, at: int, end: int) -> Iterator[int]:
        """Where the unit's entries begin from there on; those inside one that names a sibling before the end are left out."""
        info, table = self._info, self._abbreviations(unit)
        while at < end:
            code, behind = uleb128(info, at)
            if code:
                yield at
                sibling, behind = self._extent(table[code][4], behind)
                behind = unit + sibling if behind <= unit + sibling <= end else behind
            at = behind
        yield at

    def _read_outer_entries(self, unit: int, start: int, end: int) -> List[int]:
        return list(self._entries(unit, start, end))

    def _extent(self, layout: Tuple[Union[int, str], ...], at: int) -> Tuple[int, int]:
        """Of an entry whose attributes begin there: (its sibling's place in the unit, 0 if it names none; where they end)."""
        info, sibling = self._info, 0
        for part in layout:
            if isinstance(part, int):
                at += part
            elif part == 'sibling':
                sibling = struct.unpack_from(self._mark + 'I', info, at)[0]
                at += 4
            elif part == 'string':
                while info[at]:
                    at += 1
                at += 1
            elif part == 'number':
                at = uleb128(info, at)[1]
            elif part == 'block':
                size, at = uleb128(info, at)
                at += size
            else:                                                       # a block with a length of 'B', 'H' or 'I'
                at += struct.calcsize('<' + part) + struct.unpack_from(self._mark + part, info, at)[0]
        return sibling, at

    def _children(self, die: Any) -> Iterator[Any]:
        """The entries below; a sibling reference that leads back is damage, not a loop."""
        last = die.offset
        for child in die.iter_children():
            if child.offset <= last:
                raise DebugInfoError(f'{self.path}: damaged: entries in a circle at {last:#x}')
            last = child.offset
            yield child

    # functions

    def function(self, name: str, address: Optional[int] = None, offset: int = 0) -> Optional[Function]:
        """See TypeInfo; a compiler's copy (`f.isra.0`) has the prototype of the source and its own locations."""
        with reading(self.path):
            if address is None:
                found = [symbol for symbol in self.executable.symbols(name) if symbol.code]
                if len(found) != 1:
                    return None
                address = found[0].address
            source, concrete, inlined = self._found(name, address)
            if source is None or concrete is None:
                return None
            pc = max(address + offset, self._low(concrete) or 0)
            return self._function(name, source, concrete, pc, offset == 0, inlined)

    def _found(self, name: str, address: int) -> Tuple[Optional[Any], Optional[Any], Optional[int]]:
        """The function at that address: the entry that has its prototype, the one that has its code, and at how many places it
        is inlined. In C it is found by its name; where the symbol's is another (C++, Rust, Go), by its address."""
        unit = self._unit_at(address)
        if unit is None:
            return None, None, None
        for die in self._by_name(name.split('.')[0], FUNCTION_TAGS, unit) if self._is_gnu(unit) else ():
            concrete, inlined = self._concrete(die, address)
            if concrete is not None:
                return die, concrete, inlined
        for offset in self._tagged(unit, FUNCTION_TAGS):
            concrete = unit.get_DIE_from_refaddr(offset)
            if self._begins(concrete, address):
                source = concrete
                while 'DW_AT_abstract_origin' in source.attributes:
                    source = source.get_DIE_from_attribute('DW_AT_abstract_origin')
                alone = source is concrete or source.cu.cu_offset != concrete.cu.cu_offset      # LTO: its copies are in other units
                return source, concrete, None if alone else self._concrete(source, address)[1]
        return None, None, None

    def _tagged(self, unit: Any, tags: Sequence[str]) -> List[int]:
        return self._tagged_entries(unit.cu_offset, unit.cu_die_offset, unit.cu_offset + unit.size, tuple(tags))

    def _read_tagged(self, unit: int, at: int, end: int, tags: Sequence[str]) -> List[int]:
        """Where the unit's entries with one of these tags begin, also those within others; functions only with their code."""
        table, found = self._abbreviations(unit), []
        while at < end:
            code, behind = uleb128(self._info, at)
            if code:
                tag, names, _, _, layout = table[code]
                if tag in tags and (tag not in FUNCTION_TAGS or 'DW_AT_low_pc' in names or 'DW_AT_ranges' in names):
                    found.append(at)
                behind = self._extent(layout, behind)[1]
            at = behind
        return found

    def _concrete(self, die: Any, address: int) -> Tuple[Optional[Any], Optional[int]]:
        """The entry with code at that address among the named one and those it is the origin of; and how many of
        those are copies inlined into other functions."""
        if self._begins(die, address):
            return die, 0
        reference = struct.pack(self._mark + 'I', die.offset - die.cu.cu_offset)
        concrete, inlined = None, 0
        for user in self._beginning(reference, ('DW_AT_abstract_origin', 'DW_AT_specification'), 'DW_FORM_ref4',
                                    (*FUNCTION_TAGS, 'DW_TAG_inlined_subroutine'), die.cu):
            inlined += user.tag == 'DW_TAG_inlined_subroutine'
            if user.tag == 'DW_TAG_subprogram':
                found = user if self._begins(user, address) else self._concrete(user, address)[0] if (
                    'DW_AT_inline' in user.attributes) else None
                concrete = concrete or found
        return concrete, inlined

    def _begins(self, die: Any, address: int) -> bool:
        """Whether the function's symbol is at that address."""
        return self._low(die) in (address, address + self.arch.nops)

    def _low(self, die: Any) -> Optional[int]:
        """Where the function's code begins; of one that is split (f, f.cold) the first range is the part with the entry."""
        return next((start for start, _ in self._ranges(die)), None)

    def inlined_into(self, name: str) -> List[str]:
        """The source files that define a function of that name as inline, for a name that is no symbol."""
        with reading(self.path):
            return sorted({self._text(die.cu.get_top_DIE(), 'DW_AT_name') for die in self._by_name(name, FUNCTION_TAGS)
                           if 'DW_AT_inline' in die.attributes})

    def _function(self, name: str, source: Any, concrete: Any, pc: int, entry: bool, inlined: Optional[int]) -> Function:
        places = {self._origin(child).offset: child for child in self._children(concrete)
                  if child.tag == 'DW_TAG_formal_parameter'}
        parameters, variadic, frame = [], False, self._frame_base(concrete)
        language = self._language(concrete.cu)
        for child in self._children(source):
            variadic = variadic or child.tag == 'DW_TAG_unspecified_parameters'
            if child.tag == 'DW_TAG_formal_parameter' and not self._is_result(child):
                place = places.get(child.offset)
                location = self._location(place, pc, frame, entry) if place is not None else Location(
                    'gone', why='the compiler removed it')
                parameters.append(Parameter(self._text(self._origin(child), 'DW_AT_name'),
                                            self._lazy_type(self._origin(child)), location))
        changed = is_changed_copy(name) or getattr(concrete.attributes.get('DW_AT_calling_convention'), 'value', 0) == 3    # nocall
        if entry and parameters and all(p.location and p.location.how == 'gone' for p in parameters) and not changed:
            parameters = [parameter._replace(location=None) for parameter in parameters]
        return Function(name, self._lazy_type(self._origin(source)), tuple(parameters), variadic, inlined, language, changed)

    @staticmethod
    def _is_result(die: Any) -> bool:
        """Go has its results among the parameters, marked."""
        mark = die.attributes.get('DW_AT_variable_parameter')
        return bool(mark and mark.value)

    @staticmethod
    def _language(unit: Any) -> str:
        return LANGUAGES.get(getattr(unit.get_top_DIE().attributes.get('DW_AT_language'), 'value', 0), '')

    def _origin(self, die: Any) -> Any:
        """The entry this one is a copy of, to the end of the chain."""
        for _ in range(8):
            link = next((a for a in ('DW_AT_abstract_origin', 'DW_AT_specification') if a in die.attributes), None)
            if not link:
                break
            die = die.get_DIE_from_attribute(link)
        return die

    def _frame_base(self, die: Any) -> str:
        base = die.attributes.get('DW_AT_frame_base')
        operations = self._operations(die.cu, base.value) if base and isinstance(base.value, list) else []
        return operations[0].op_name if len(operations) == 1 else ''

    @staticmethod
    def _operations(unit: Any, expression: Any) -> List[Any]:
        from elftools.dwarf.dwarf_expr import DWARFExprParser
        return DWARFExprParser(unit.structs).parse_expr(expression)

    def _location(self, die: Any, pc: int, frame: str, entry: bool) -> Optional[Location]:
        """Where a parameter is at `pc`; None where only the calling convention tells it. At entry the first range that begins
        there counts, though it be empty: what follows it at the same address is after the first statement."""
        from elftools.dwarf.locationlists import LocationParser
        attribute = die.attributes.get('DW_AT_location')
        if attribute is None:
            value = die.attributes.get('DW_AT_const_value')
            return Location('constant', offset=value.value) if value and isinstance(value.value, int) else Location(
                'gone', why='the compiler left no place for it')
        parsed: Any = LocationParser(self._locations).parse_from_attribute(attribute, die.cu['version'], die)
        if not isinstance(parsed, list):
            return self._only_place(self._place(self._operations(die.cu, parsed.loc_expr), frame), die.cu, entry)
        base = self._base(die)
        for item in parsed:
            if type(item).__name__ == 'BaseAddressEntry':
                base = item.base_address
            elif type(item).__name__ == 'LocationEntry':
                start = 0 if item.is_absolute else base
                first = entry and start + item.begin_offset == pc
                if first or start + item.begin_offset <= pc < start + item.end_offset:
                    return self._place(self._operations(die.cu, item.loc_expr), frame)
        return Location('gone', why='the compiler has it nowhere at this instruction')

    def _only_place(self, found: Location, unit: Any, entry: bool) -> Optional[Location]:
        """The one place a parameter has in the whole function. In the function's own frame it is only after the first
        instructions; and where gcc cannot follow variables through a function (ip_rt_update_pmtu in every x86 kernel), it
        names the register each is moved to at some time: that is true at entry of arguments' registers alone."""
        moved = found.how == 'memory' or found.how == 'register' and self.arch.dwarf.get(found.number) not in self.arch.arguments
        if moved and self._is_gnu(unit):
            return None if entry else Location('gone', why='the compiler did not say from where on it is in its place')
        at_home = found.how == 'frame' and (found.offset < 0 or self._language(unit) == 'Go') or found.how == 'gone'
        return None if entry and at_home else found

    @staticmethod
    def _is_gnu(unit: Any) -> bool:
        """Whether gcc, or gas, made the unit."""
        return b'GNU' in getattr(unit.get_top_DIE().attributes.get('DW_AT_producer'), 'value', b'')

    def _place(self, operations: List[Any], frame: str) -> Location:
        """A Location from a DWARF expression; what is more than one of the simple forms is 'gone' with its operations."""
        names = [operation.op_name for operation in operations]
        if 'DW_OP_piece' in names:
            return self._pieces(operations, frame)
        if names and names[-1] == 'DW_OP_stack_value':
            inner = self._place(operations[:-1], frame)
            if inner.how == 'address':
                return Location('constant', offset=inner.offset)
            if names[:-1] and names[0] in ('DW_OP_entry_value', 'DW_OP_GNU_entry_value') and len(names) == 2:
                return Location('gone', why='only its value at entry is known')
        if len(operations) == 1:
            return self._simple_place(operations[0], frame)
        return Location('gone', why=f"it is computed ({' '.join(names) or 'optimised out'})")

    @staticmethod
    def _simple_place(operation: Any, frame: str) -> Location:
        name, arguments = operation.op_name, operation.args
        if re.fullmatch(r'DW_OP_reg\d+', name):
            return Location('register', number=int(name[9:]))
        if re.fullmatch(r'DW_OP_breg\d+', name):
            return Location('memory', number=int(name[10:]), offset=arguments[0])
        if name == 'DW_OP_regx':
            return Location('register', number=arguments[0])
        if name == 'DW_OP_fbreg' and frame == 'DW_OP_call_frame_cfa':
            return Location('frame', offset=arguments[0])
        if name == 'DW_OP_addr' or re.fullmatch(r'DW_OP_(lit\d+|const\d[us]|const[us])', name):
            return Location('address', offset=arguments[0] if arguments else int(name[9:]))
        if name == 'DW_OP_implicit_value':
            return Location('constant', offset=int.from_bytes(bytes(arguments[0]), 'little'))
        return Location('gone', why=f'DWARF has it as {name}')

    def _pieces(self, operations: List[Any], frame: str) -> Location:
        pieces: List[Tuple[Location, int]] = []
        part: List[Any] = []
        for operation in operations:
            if operation.op_name == 'DW_OP_piece':
                pieces.append((self._place(part, frame), int(operation.args[0])))
                part = []
            else:
                part.append(operation)
        return Location('pieces', pieces=tuple(pieces))

    # types

    def _lazy_type(self, die: Any) -> Callable[[], Type]:
        """The type that an entry's DW_AT_type refers to, read when asked for."""
        def read() -> Type:
            with reading(self.path):
                return self._type(die.get_DIE_from_attribute('DW_AT_type')) if 'DW_AT_type' in die.attributes else Void()
        return read

    def _type(self, die: Any) -> Type:
        alias = ''
        for _ in range(64):
            if die.tag not in QUALIFIER_TAGS:
                break
            alias = self._text(die, 'DW_AT_name') or alias
            if 'DW_AT_type' not in die.attributes:
                return Void()
            die = die.get_DIE_from_attribute('DW_AT_type')
        key = (die.dwarfinfo is self._dwarf, die.offset)
        if key not in self._types:
            self._types[key] = self._read_type(die, alias)
        return self._types[key]

    def _read_type(self, die: Any, alias: str) -> Type:
        """A type that is neither typedef nor qualifier; an anonymous one takes the name of its typedef."""
        name, size = self._text(die, 'DW_AT_name'), getattr(die.attributes.get('DW_AT_byte_size'), 'value', None)
        number: int = size or 0
        if die.tag in STRUCT_TAGS:
            if 'DW_AT_declaration' in die.attributes:
                return self._declared(STRUCT_TAGS[die.tag], name, die)
            return Struct(STRUCT_TAGS[die.tag] if name or not alias else '', name or alias, size, self._lazy_members(die),
                          functools.partial(self._passed, die))
        if die.tag == 'DW_TAG_base_type':
            encoding = getattr(die.attributes.get('DW_AT_encoding'), 'value', 0)      # DWARF 5 table 7.11
            if encoding in (3, 4, 9, 0xf):
                return Float(name, number)
            return Int(name, number, encoding in (5, 6, 0xd))
        if die.tag in ('DW_TAG_pointer_type', 'DW_TAG_reference_type', 'DW_TAG_rvalue_reference_type'):
            return Pointer(size or die.cu['address_size'], self._lazy_type(die))
        if die.tag == 'DW_TAG_enumeration_type':
            return self._enum(die, name or alias, size)
        if die.tag == 'DW_TAG_array_type':
            return self._array(die)
        if die.tag == 'DW_TAG_subroutine_type':
            parameters = tuple(Parameter('', self._lazy_type(child)) for child in self._children(die)
                               if child.tag == 'DW_TAG_formal_parameter')
            return Function('', self._lazy_type(die), parameters)
        return Void(name or die.tag[len('DW_TAG_'):])

    def _passed(self, die: Any) -> str:
        """How C++ passes an object of this class (Itanium C++ ABI, 3.1.1): by reference where it has a copy or move constructor
        or a destructor that is not trivial, of its own or of what it holds. Clang says it; gcc leaves it to be found out."""
        said = getattr(die.attributes.get('DW_AT_calling_convention'), 'value', 0)           # DWARF 5 table 7.18
        if said in (4, 5):
            return 'reference' if said == 4 else 'value'
        with reading(self.path):
            found = {self._passed_by(child, die) for child in self._children(die)}
        return next((word for word in ('reference', '', 'value') if word in found), 'value')

    def _passed_by(self, child: Any, owner: Any) -> str:
        """What one entry of a class says of it: 'reference', 'value' (nothing against it), or '' for what is not known."""
        virtual = getattr(child.attributes.get('DW_AT_virtuality'), 'value', 0)
        if virtual or self._text(child, 'DW_AT_name').startswith('_vptr'):
            return 'reference'
        if child.tag in ('DW_TAG_member', 'DW_TAG_inheritance') and 'DW_AT_external' not in child.attributes:
            type_ = innermost(self._lazy_type(child)())
            return type_.passed() if isinstance(type_, Struct) else 'value'
        if child.tag not in FUNCTION_TAGS or not self._copies_or_ends(child, owner) or 'DW_AT_artificial' in child.attributes:
            return 'value'
        if 'DW_AT_deleted' in child.attributes or child.cu['version'] < 5:      # DW_AT_defaulted came with DWARF 5
            return ''
        return 'value' if getattr(child.attributes.get('DW_AT_defaulted'), 'value', 0) == 1 else 'reference'

    def _copies_or_ends(self, function: Any, owner: Any) -> bool:
        """Whether it is a class's destructor, or a constructor from another object of the class."""
        name = self._text(function, 'DW_AT_name')
        if name != self._text(owner, 'DW_AT_name').partition('<')[0]:
            return name.startswith('~')
        other = next((child for child in self._children(function) if child.tag == 'DW_TAG_formal_parameter'
                      and 'DW_AT_artificial' not in child.attributes), None)
        while other is not None and other.offset != owner.offset and 'DW_AT_type' in other.attributes:
            other = other.get_DIE_from_attribute('DW_AT_type')
        return other is not None and other.offset == owner.offset

    def _declared(self, keyword: str, name: str, die: Any) -> Type:
        """A type this unit only declares: the one definition that the other units have."""
        if self._surveyed:
            offsets = self._surveyed.get((keyword, name), [])
            found = self._type(self._entry_at(offsets[0])) if len(offsets) == 1 else None
        else:
            found = self._definition(keyword, name, None)
        if isinstance(found, Struct):
            return found

        def none() -> NoReturn:
            raise DebugInfoError(f"'{keyword} {name}' is declared, but defined nowhere in {self.path}")
        return Struct(keyword, name, None, none)

    def _enum(self, die: Any, name: str, size: Optional[int]) -> Enum:
        def enumerators() -> Tuple[Tuple[str, int], ...]:
            with reading(self.path):
                return tuple((self._text(child, 'DW_AT_name'), child.attributes['DW_AT_const_value'].value)
                             for child in self._children(die) if child.tag == 'DW_TAG_enumerator')
        return Enum(name, size or 4, any(value < 0 for _, value in enumerators()), enumerators)

    def _array(self, die: Any) -> Type:
        """Nested Arrays, the first dimension outermost."""
        element, counts = self._lazy_type(die), []
        for child in self._children(die):
            if child.tag == 'DW_TAG_subrange_type':
                count, bound = child.attributes.get('DW_AT_count'), child.attributes.get('DW_AT_upper_bound')
                number = count.value if count else bound.value + 1 if bound and isinstance(bound.value, int) else None
                counts.append(number if isinstance(number, int) and number < 1 << 32 else None)
        whole: Type = Array(element, counts.pop() or None if counts else None)      # [0] is C's old [], as BTF has it too
        while counts:
            whole = Array(functools.partial(_the, whole), counts.pop())
        return whole

    def _lazy_members(self, die: Any) -> Callable[[], Tuple[Member, ...]]:
        @functools.lru_cache(None)
        def members() -> Tuple[Member, ...]:
            with reading(self.path):
                return tuple(self._member(child) for child in self._children(die)
                             if child.tag in ('DW_TAG_member', 'DW_TAG_inheritance')
                             and 'DW_AT_external' not in child.attributes)
        return members

    def _member(self, die: Any) -> Member:
        width = die.attributes.get('DW_AT_bit_size')
        return Member(self._text(die, 'DW_AT_name'), self._lazy_type(die), self._member_bit(die), width and width.value)

    def _member_bit(self, die: Any) -> int:
        """DWARF 5, 5.7.6: data_bit_offset counts from the start of the struct; the older bit_offset from the most
        significant bit of the storage unit at data_member_location."""
        attributes = die.attributes
        if 'DW_AT_data_bit_offset' in attributes:
            return int(attributes['DW_AT_data_bit_offset'].value)
        place = attributes.get('DW_AT_data_member_location')
        start = 0 if place is None else place.value
        if isinstance(start, list):                                 # DWARF 2: an expression, DW_OP_plus_uconst
            start = self._operations(die.cu, start)[0].args[0]
        if 'DW_AT_bit_offset' not in attributes:
            return 8 * int(start)
        storage = attributes.get('DW_AT_byte_size')
        size = storage.value if storage else size_of(self._lazy_type(die)()) or 0
        from_top, width = attributes['DW_AT_bit_offset'].value, attributes['DW_AT_bit_size'].value
        return int(8 * start + (8 * size - from_top - width if self.arch.order == 'little' else from_top))

    def named(self, keyword: str, name: str, scope: str = '') -> Optional[Type]:
        """See TypeInfo. Definitions that differ between source files are refused unless the scope has its own."""
        with reading(self.path):
            found = [symbol for symbol in self.executable.symbols(scope) if symbol.code] if scope else []
            unit = self._unit_at(found[0].address) if len(found) == 1 else None
            if (keyword, name) == ('', 'char'):
                return self._char(unit)
            return (self._definition(keyword, name, unit) if unit is not None else None) or self._definition(keyword, name)

    def _char(self, unit: Optional[Any]) -> Optional[Type]:
        """Plain char, whose sign is the compiler's option (Linux has been built with -funsigned-char since 6.2). Compilers
        do not begin a base type with its name, but put it among the first entries of a unit."""
        for offset in [unit.cu_offset] if unit is not None else self._unit_offsets[:8]:
            for _, die in zip(range(1000), self._children(self._dwarf.get_CU_at(offset).get_top_DIE())):
                if die.tag == 'DW_TAG_base_type' and self._text(die, 'DW_AT_name') == 'char':
                    return self._type(die)
        return None

    def _definition(self, keyword: str, name: str, unit: Optional[Any] = None) -> Optional[Type]:
        found = self._by_name(name, KEYWORD_TAGS[keyword], unit, defined=True)
        if unit is not None:
            die = next(found, None)
            return self._type(die) if die is not None else None
        return self._one_of(keyword, name, list(self._sample(found)))

    @staticmethod
    def _sample(dies: Iterator[Any]) -> Iterator[Any]:
        """Entries enough to see whether the definitions differ: a header's struct stands in a thousand units, one that
        a source file has for itself in few."""
        seen: Set[object] = set()
        for count, die in enumerate(dies):
            key = tuple(getattr(die.attributes.get(a), 'value', None) for a in ('DW_AT_byte_size', 'DW_AT_decl_line'))
            if key not in seen:
                seen.add(key)
                yield die
            if count >= 7:
                return

    def survey(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Survey:
        """One pass over the outermost entries of all units (a quarter of a minute for a kernel); `progress` is told bytes. A
        declaration is from then on looked up in it."""
        found = Survey({}, {}, set())
        seen: Set[object] = set()
        with reading(self.path):
            for count, offset in enumerate(self._unit_offsets):
                if count % 64 == 0:
                    self._open()                                            # pyelftools keeps every entry it has read
                unit = self._dwarf.get_CU_at(offset)
                places = self._outer_entries(offset, unit.cu_die_offset, offset + unit.size)
                for at, end in zip(places, places[1:]):
                    code, behind = uleb128(self._info, at)
                    tag, names = self._abbreviations(offset)[code][:2] if code else ('', ())
                    if tag in FUNCTION_TAGS or tag in DEFINITION_TAGS and 'DW_AT_declaration' not in names and 'DW_AT_name' in names:
                        # of a definition the bytes of its name, size and line, as far as they are there, and its length
                        mark = (tag, bytes(self._info[behind:behind + 8]), end - at)
                        if tag in FUNCTION_TAGS or mark not in seen:
                            seen.add(mark)
                            self._survey_entry(unit.get_DIE_from_refaddr(at), end - at, found)
                self._outer_entries.cache_clear()
                progress(offset + unit.size, len(self._info))
            self._surveyed = {key: self._distinct(list(offsets.values())) for key, offsets in found.definitions.items()}
        return found

    def _survey_entry(self, die: Any, length: int, found: Survey) -> None:
        if die.tag in DEFINITION_TAGS:
            told = ('DW_AT_byte_size', 'DW_AT_decl_line', 'DW_AT_decl_column')
            mark = (length, *(getattr(die.attributes.get(attribute), 'value', None) for attribute in told),
                    self._name_at(die.cu.cu_offset, die.offset + die.size) if die.has_children else b'')
            key = (DEFINITION_TAGS[die.tag], self._text(die, 'DW_AT_name'))
            found.definitions.setdefault(key, {}).setdefault(mark, die.offset)
        elif 'DW_AT_declaration' not in die.attributes:
            source = die
            while 'DW_AT_abstract_origin' in source.attributes:
                source = source.get_DIE_from_attribute('DW_AT_abstract_origin')
            name = self._text(source, 'DW_AT_name')
            if getattr(die.attributes.get('DW_AT_calling_convention'), 'value', 0) == 3:
                found.changed.add(name)
            if source is die and name:
                found.functions.setdefault(name, []).append(die.offset)

    def _name_at(self, unit: int, at: int) -> bytes:
        """The name, or 50 bytes of it, of the entry there that begins with one; else b''."""
        code, at = uleb128(self._info, at)
        first, form = self._abbreviations(unit)[code][2:4] if code else ('', '')
        if (first, form) != ('DW_AT_name', 'DW_FORM_strp'):
            return bytes(self._info[at:at + 50]).split(b'\0')[0] if (first, form) == ('DW_AT_name', 'DW_FORM_string') else b''
        start = struct.unpack_from(self._mark + 'I', self._info, at)[0]
        return bytes(self._strings[start:start + 50]).split(b'\0')[0]

    def _distinct(self, offsets: List[int]) -> List[int]:
        """One offset for each layout."""
        if len(offsets) == 1:
            return offsets
        shapes: Dict[object, int] = {}
        for offset in offsets:
            shapes.setdefault(shape(self._type(self._entry_at(offset))), offset)
        return list(shapes.values())

    def _entry_at(self, offset: int) -> Any:
        return self._dwarf.get_CU_at(self._unit_holding(offset)).get_DIE_from_refaddr(offset)

    def is_ambiguous(self, keyword: str, name: str) -> bool:
        """Whether the survey found several layouts of that name."""
        return len(self._surveyed.get((keyword, name), ())) > 1

    def prototype_at(self, offset: int) -> Function:
        """The prototype of the function that has its entry there, without places."""
        with reading(self.path):
            die = self._entry_at(offset)
            parameters = [child for child in self._children(die) if child.tag == 'DW_TAG_formal_parameter']
            return Function(self._text(die, 'DW_AT_name'), self._lazy_type(die), tuple(
                Parameter(self._text(self._origin(child), 'DW_AT_name'), self._lazy_type(self._origin(child))) for child in parameters),
                any(child.tag == 'DW_TAG_unspecified_parameters' for child in self._children(die)))

    def _one_of(self, keyword: str, name: str, dies: List[Any]) -> Optional[Type]:
        types = [self._type(die) for die in dies]
        if len({shape(type_) for type_ in types}) > 1:
            files = sorted({self._text(die.cu.get_top_DIE(), 'DW_AT_name') for die in dies})
            raise InputError(f"'{(keyword + ' ' + name).strip()}' is defined differently in {', '.join(files[:4])}; reach it "
                             f'through a member or a parameter of that type')
        return types[0] if types else None

    def variable(self, name: str) -> Optional[Variable]:
        """See TypeInfo; a name that several files have for variables of their own gives None."""
        with reading(self.path):
            symbols = [symbol for symbol in self.executable.symbols(name) if not symbol.code]
            if len(symbols) != 1:
                return None
            per_cpu = 'percpu' in symbols[0].section
            for count, die in enumerate(self._by_name(name, ('DW_TAG_variable',))):
                if self._is_at(die, symbols[0].address):
                    return Variable(name, self._lazy_type(self._origin(die))(), per_cpu)
                if count > 64:
                    break
            return Variable(name, Void(), per_cpu)

    def _is_at(self, die: Any, address: int) -> bool:
        """Whether the variable is the one at that address: by its location, or as a declaration of the global one."""
        location = die.attributes.get('DW_AT_location')
        if location is None:
            return 'DW_AT_external' in die.attributes and 'DW_AT_type' in die.attributes
        operations = self._operations(die.cu, location.value) if isinstance(location.value, list) else []
        return len(operations) == 1 and operations[0].op_name == 'DW_OP_addr' and operations[0].args[0] == address

    def function_names(self) -> Iterable[str]:
        """See TypeInfo: those with a symbol."""
        return self.executable.function_symbols

    # lines

    def line_offset(self, name: str, address: int, line: int) -> int:
        """The offset into the function of the first statement that begins `line` lines below its declaration."""
        with reading(self.path):
            unit = self._unit_at(address)
            for die in self._by_name(name.split('.')[0], FUNCTION_TAGS, unit) if unit is not None else ():
                concrete = self._concrete(die, address)[0]
                if concrete is not None:
                    return self._line_in(die, self._ranges(concrete)[:1], address, line)
        raise InputError(f"{name}: no line numbers for this function in {self.path}")

    def _line_in(self, die: Any, ranges: List[Tuple[int, int]], address: int, line: int) -> int:
        first, file = die.attributes['DW_AT_decl_line'].value, die.attributes['DW_AT_decl_file'].value
        program = self._dwarf.line_program_for_CU(die.cu)
        rows = [entry.state for entry in program.get_entries() if entry.state] if program else []
        lines: Dict[int, int] = {}
        for row in rows:
            if row.is_stmt and row.file == file and not row.end_sequence and any(a <= row.address < b for a, b in ranges):
                lines[row.line] = min(lines.get(row.line, row.address), row.address)
        if line == 0:
            return 0
        if first + line not in lines:
            offered = sorted(lines, key=lambda number: abs(number - first - line))[:3]
            raise InputError(f'line {line} of this function (line {first + line} of its file) has no code; lines that have: '
                             + ', '.join(str(number - first) for number in sorted(offered)))
        return int(lines[first + line] - address)


def _the(type_: Type) -> Type:
    return type_


# ---- BTF ---------------------------------------------------------------------------------------------------

# include/uapi/linux/btf.h: bytes behind the 12 of struct btf_type, and bytes for each of its vlen elements.
BTF_KINDS = ('void int ptr array struct union enum fwd typedef volatile const restrict func func_proto var datasec '
             'float decl_tag type_tag enum64').split()
BTF_EXTRA = {'int': (4, 0), 'array': (12, 0), 'struct': (0, 12), 'union': (0, 12), 'enum': (0, 8), 'func_proto': (0, 8),
             'var': (4, 0), 'datasec': (0, 12), 'decl_tag': (4, 0), 'enum64': (0, 12)}
BTF_TRANSPARENT = {'typedef', 'volatile', 'const', 'restrict', 'type_tag'}


class Btf(TypeInfo):
    """BTF (Documentation/bpf/btf.rst) of a kernel, or of a module on top of its kernel's. One pass over the types gives
    where each begins; names are searched for when asked for."""

    def __init__(self, data: bytes, path: str, arch: Arch, base: Optional[Btf] = None) -> None:
        self.path, self.arch, self._base = path, arch, base
        if len(data) < 24 or data[:2] not in (b'\x9f\xeb', b'\xeb\x9f'):
            raise DebugInfoError(f'{path}: no BTF (its first two bytes are not eb9f)')
        self._mark = '<' if data[:2] == b'\x9f\xeb' else '>'
        version, _, header, types, types_size, strings, strings_size = struct.unpack_from(self._mark + 'BBIIIII', data, 2)
        if version != 1 or header < 24 or max(types + types_size, strings + strings_size) + header > len(data):
            raise DebugInfoError(f'{path}: BTF of version {version} that is damaged or cut short')
        self._data = data[header + types:header + types + types_size]
        self._strings = data[header + strings:header + strings + strings_size]
        self._first_id: int = base._first_id + len(base._offsets) if base else 1
        self._first_string: int = base._first_string + len(base._strings) if base else 0
        self._types: Dict[int, Type] = {}
        self.bytes: Callable[[], bytes] = lambda: data                      # the whole, as it was given
        with self._reading():
            self._offsets: List[int] = self._index()
            if base:
                self._check_base(base)

    def _check_base(self, base: Btf) -> None:
        """Refuse BTF made on top of another: its numbers would mean other types. On the right one each name of its own begins
        where one of its strings does, and each function has a prototype."""
        for at in self._offsets:
            name, info, type_ = self._words[at:at + 3]
            start = name - self._first_string
            before = self._strings[start - 1:start] if start > 0 else base._strings[name - 1:name] if start < 0 < name else b'\0'
            kind = BTF_KINDS[info >> 24 & 0x1f]
            if before != b'\0' or kind == 'func' and self._head(type_)[0] != 'func_proto':
                raise DebugInfoError(f'{self.path}: its BTF was made for another kernel than that of {base.path}')

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise DebugInfoError(f'{self.path}: damaged BTF ({error or type(error).__name__})') from error

    def _index(self) -> List[int]:
        """Where each type begins, in words of four bytes."""
        import array
        words = array.array('I', self._data[:len(self._data) & ~3])
        if (self._mark == '<') != (sys.byteorder == 'little'):
            words.byteswap()
        self._words = words
        fixed = [3 + BTF_EXTRA.get(kind, (0, 0))[0] // 4 for kind in BTF_KINDS]
        each = [BTF_EXTRA.get(kind, (0, 0))[1] // 4 for kind in BTF_KINDS]
        offsets, at, end = [], 0, len(words)
        while at < end:
            offsets.append(at)
            info = words[at + 1]
            kind = info >> 24 & 0x1f
            at += fixed[kind] + (info & 0xffff) * each[kind]
        if at != end:
            raise ValueError('its last type is cut short')
        return offsets

    # one type

    def _at(self, number: int) -> Tuple[Btf, int]:
        """Who holds the type of that number, and where."""
        if number < self._first_id and self._base:
            return self._base._at(number)
        if not 0 < number - self._first_id + 1 <= len(self._offsets):
            raise ValueError(f'no type has the number {number}')
        return self, self._offsets[number - self._first_id]

    def _string(self, offset: int) -> str:
        if offset < self._first_string and self._base:
            return self._base._string(offset)
        start = offset - self._first_string
        return self._strings[start:self._strings.index(b'\0', start)].decode(errors='replace')

    def _head(self, number: int) -> Tuple[str, str, int, bool, int]:
        """(kind, name, vlen, kind_flag, size or type)"""
        if number == 0:
            return 'void', '', 0, False, 0
        holder, at = self._at(number)
        name, info, value = holder._words[at:at + 3]
        return BTF_KINDS[info >> 24 & 0x1f], holder._string(name), info & 0xffff, bool(info >> 31), value

    def _lazy(self, number: int) -> Callable[[], Type]:
        return functools.partial(self._type, number)

    def _type(self, number: int) -> Type:
        with self._reading():
            if number not in self._types:
                alias, wanted = '', number
                for _ in range(64):
                    kind, name, _vlen, _flag, below = self._head(wanted)
                    if kind not in BTF_TRANSPARENT:
                        break
                    alias, wanted = (name if kind == 'typedef' else alias), below
                kept = self._base if isinstance(self._base, DistilledBtf) and wanted < self._first_id else None
                self._types[number] = (kept or self)._read_type(wanted, alias)
            return self._types[number]

    def _read_type(self, number: int, alias: str) -> Type:
        kind, name, vlen, flag, value = self._head(number)
        if kind == 'int':
            holder, at = self._at(number)
            encoding = holder._words[at + 3] >> 24
            if re.search(r'\b(float|double|_Float\d+x?)\b', name):      # pahole without --btf_gen_floats calls them integers
                return Float(name, value)
            return Int(name, value, bool(encoding & 1) or name == 'signed char' or name == 'char' and self._plain_char_signed())
        if kind in ('struct', 'union'):
            keyword = kind if name or not alias else ''
            return Struct(keyword, name or alias, value, functools.lru_cache(None)(
                functools.partial(self._members, number)))
        if kind == 'ptr':
            return Pointer(self.arch.word, self._lazy(value))
        if kind == 'array':
            holder, at = self._at(number)
            return Array(self._lazy(holder._words[at + 3]), holder._words[at + 5] or None)
        if kind in ('enum', 'enum64'):
            return Enum(name or alias, value, flag or any(v < 0 for _, v in self._enumerators(number)),
                        functools.partial(self._enumerators, number))
        if kind == 'float':
            return Float(name, value)
        if kind == 'fwd':
            return self._forward('union' if flag else 'struct', name)
        if kind == 'func_proto':
            return self._prototype('', number)
        return Void()

    def _plain_char_signed(self) -> bool:
        """Whether a char without the flag has a sign. Where `signed char` has the flag, pahole knew: it has none (Linux has been
        built with -funsigned-char since 6.2); else it is as always on this architecture."""
        for number in self._numbered('signed char', ('int',)):
            holder, at = self._at(number)
            if holder._words[at + 3] >> 24 & 1:
                return False
        plain = plain_type('char', self.arch)
        return isinstance(plain, Int) and plain.signed

    def _forward(self, keyword: str, name: str) -> Type:
        """A declaration: its definition if this or the base BTF has one."""
        found = self.named(keyword, name)
        if found:
            return found

        def none() -> NoReturn:
            raise DebugInfoError(f"'{keyword} {name}' is declared, but defined nowhere in {self.path}")
        return Struct(keyword, name, None, none)

    def _members(self, number: int) -> Tuple[Member, ...]:
        """With kind_flag, offset >> 24 is the width of a bit-field and the rest its bit; else all of it is the bit."""
        with self._reading():
            _, _, vlen, flag, _ = self._head(number)
            holder, at = self._at(number)
            members = []
            for i in range(at + 3, at + 3 + 3 * vlen, 3):
                name, type_, offset = holder._words[i:i + 3]
                width = offset >> 24 if flag else 0
                bit = offset & 0xffffff if flag else offset
                if not flag:
                    width, bit = self._old_bit_field(type_, bit)
                members.append(Member(holder._string(name), self._lazy(type_), bit, width or None))
            return tuple(members)

    def _old_bit_field(self, number: int, bit: int) -> Tuple[int, int]:
        """Without kind_flag a bit-field's width and shift stand in its INT (btf.rst, 2.2.4)."""
        for _ in range(64):
            kind, _, _, _, below = self._head(number)
            if kind not in BTF_TRANSPARENT:
                break
            number = below
        if kind != 'int':
            return 0, bit
        holder, at = self._at(number)
        encoding, size = holder._words[at + 3], below
        width, shift = encoding & 0xff, encoding >> 16 & 0xff
        return (width, bit + shift) if width != 8 * size or bit % 8 else (0, bit)

    def _enumerators(self, number: int) -> Tuple[Tuple[str, int], ...]:
        with self._reading():
            kind, _, vlen, flag, _ = self._head(number)
            holder, at = self._at(number)
            step, bits = (2, 32) if kind == 'enum' else (3, 64)
            raw = [(holder._string(holder._words[i]), holder._words[i + 1] | (holder._words[i + 2] << 32 if step == 3 else 0))
                   for i in range(at + 3, at + 3 + step * vlen, step)]
            signed = flag or any(value == 0xffffffff for _, value in raw)   # before Linux 6.0 only -1 told that one is signed
            return tuple((name, value - (1 << bits) if signed and value >> bits - 1 else value) for name, value in raw)

    # by name

    def _numbered(self, name: str, kinds: Tuple[str, ...], own: bool = False) -> Iterator[int]:
        """The numbers of the types of that name and of one of those kinds; its own only, or those of its base too."""
        if self._base and self._strings.startswith(name.encode() + b'\0'):
            yield from self._users(self._first_string, kinds)
        for text in occurrences(self._strings, b'\0' + name.encode() + b'\0'):
            yield from self._users(text + 1 + self._first_string, kinds)
        if self._base:
            base_text = self._base._strings.find(b'\0' + name.encode() + b'\0')
            if base_text >= 0:
                yield from self._users(base_text + 1 + self._base._first_string, kinds)
            yield from self._base._numbered(name, kinds) if not own else ()

    def _users(self, text: int, kinds: Tuple[str, ...]) -> Iterator[int]:
        for at in occurrences(self._data, struct.pack(self._mark + 'I', text)):
            index = bisect.bisect_left(self._offsets, at // 4)
            if at % 4 == 0 and index < len(self._offsets) and self._offsets[index] == at // 4:
                number = self._first_id + index
                if self._head(number)[0] in kinds:
                    yield number

    def function(self, name: str, address: Optional[int] = None, offset: int = 0) -> Optional[Function]:
        """See TypeInfo. BTF has no addresses: the prototype is that of the source, so a compiler's copy (`f.isra.0`) or
        a place inside the function has no parameters that could be trusted."""
        with self._reading():
            found = [self._head(number)[4] for number in self._numbered(name.split('.')[0], ('func',), True)]
            if not found:
                return None
            function = self._prototype(name, found[0])
            prototypes = [self._prototype(name, number) for number in set(found)]
            why = ('BTF has two functions of that name' if len({spell(p) for p in prototypes}) > 1 else
                   'the compiler changed the parameters of this copy, and only DWARF tells how' if is_changed_copy(name) else
                   'only DWARF tells where it is inside a function' if offset else '')
            lost = Location('gone', why=why) if why else None
            return function._replace(parameters=tuple(p._replace(location=lost) for p in function.parameters))

    def _prototype(self, name: str, number: int) -> Function:
        _, _, vlen, _, returns = self._head(number)
        holder, at = self._at(number)
        pairs = [holder._words[i:i + 2] for i in range(at + 3, at + 3 + 2 * vlen, 2)]
        variadic = bool(pairs) and tuple(pairs[-1]) == (0, 0)
        parameters = tuple(Parameter(holder._string(n), self._lazy(t)) for n, t in (pairs[:-1] if variadic else pairs))
        return Function(name, self._lazy(returns), parameters, variadic)

    def named(self, keyword: str, name: str, scope: str = '') -> Optional[Type]:
        """See TypeInfo; two definitions of one name that differ are refused, since BTF does not say whose they are."""
        with self._reading():
            kinds = {'enum': ('enum', 'enum64'), '': ('typedef', 'int', 'float')}.get(keyword, (keyword,))
            types = [self._type(number) for number in self._numbered(name, kinds)]
            if len({shape(type_) for type_ in types}) > 1:
                raise InputError(f"'{(keyword + ' ' + name).strip()}' has several definitions in the kernel, and BTF does not "
                                 'say which file has which; reach it through a member or a parameter of that type')
            return types[0] if types else None

    def variable(self, name: str) -> Optional[Variable]:
        """See TypeInfo; BTF has only the per-cpu ones, unless the kernel was built to have all."""
        with self._reading():
            for number in self._numbered(name, ('var',)):
                return Variable(name, self._type(self._head(number)[4]), self._is_per_cpu(number))
        return None

    def _is_per_cpu(self, variable: int) -> bool:
        for at in self._offsets:
            info = self._words[at + 1]
            if BTF_KINDS[info >> 24 & 0x1f] == 'datasec' and 'percpu' in self._string(self._words[at]):
                members = self._words[at + 3:at + 3 + 3 * (info & 0xffff):3]
                if variable in members:
                    return True
        return False

    def function_names(self) -> Iterable[str]:
        """See TypeInfo."""
        with self._reading():
            func = BTF_KINDS.index('func')
            return [self._string(self._words[at]) for at in self._offsets if self._words[at + 1] >> 24 & 0x1f == func]


class DistilledBtf(Btf):
    """What a module built outside the kernel's tree knows of its kernel's types (.BTF.base, Linux 6.11): names and sizes. The
    definitions are those that the kernel itself has, where name and size agree."""

    def __init__(self, data: bytes, path: str, arch: Arch, kernel: Btf) -> None:
        super().__init__(data, path, arch)
        self._kernel = kernel

    def _read_type(self, number: int, alias: str) -> Type:
        kind, name, vlen, flag, value = self._head(number)
        if kind not in ('struct', 'union', 'enum', 'enum64', 'fwd') or not name or vlen:
            return super()._read_type(number, alias)
        keyword = 'enum' if kind[:4] == 'enum' else kind if kind != 'fwd' else 'union' if flag else 'struct'
        kinds = {'enum': ('enum', 'enum64')}.get(keyword, (keyword,))
        types = [self._kernel._type(found) for found in self._kernel._numbered(name, kinds)]
        if kind == 'fwd' and not types:
            return super()._read_type(number, alias)
        fitting = [type_ for type_ in types if kind == 'fwd' or size_of(type_) == value]
        if not fitting or len({shape(type_) for type_ in fitting}) > 1:
            raise DebugInfoError(f"{self.path}: the module was built with a '{keyword} {name}' that {self._kernel.path} "
                                 f"{'has several of' if fitting else 'does not have'}")
        return fitting[0]


class BtfWriter:
    """Types and functions as BTF. A struct, union or enum of a name is written once, where there is one of that name; of
    several that differ, each function keeps those it names itself, and inside other types such a name is only declared, so
    that nobody is sent to the wrong one."""

    def __init__(self, arch: Arch, ambiguous: Callable[[str, str], bool]) -> None:
        self._mark, self._ambiguous = '<' if arch.order == 'little' else '>', ambiguous
        self._strings, self._string_bytes = {'': 0}, bytearray(b'\0')
        self._numbers: Dict[object, int] = {}
        self._types: List[bytes] = []
        self._open: List[Tuple[int, Struct]] = []
        self._write('int', 'signed char', 1, [1 << 24 | 8])             # tells that plain char is as its own flag says
        self._index = self._write('int', 'unsigned int', 4, [32])

    def add(self, type_: Type, inside: bool = False) -> int:
        """The number of a type; `inside`: met in a struct."""
        if isinstance(type_, Void):
            return 0
        if isinstance(type_, Int):
            bits = type_.signed << 24 | (type_.name in ('_Bool', 'bool')) << 26 | 8 * type_.size
            return self._write('int', type_.name, type_.size, [bits])
        if isinstance(type_, Float):
            return self._write('float', type_.name, type_.size, [])
        if isinstance(type_, Pointer):
            return self._write('ptr', '', self._pointee(type_.target(), inside), [])
        if isinstance(type_, Array):
            return self._write('array', '', 0, [self.add(type_.element(), inside), self._index, type_.length or 0])
        if isinstance(type_, Function):
            return self._prototype(type_, inside)
        return self._enum(type_) if isinstance(type_, Enum) else self._struct(type_)

    def function(self, name: str, prototype: int) -> None:
        """A function with that prototype."""
        self._write('func', name, prototype, [], 1)

    def per_cpu(self, names: Iterable[str]) -> None:
        """Per-cpu variables, of no type: they have to be known as what they are."""
        numbers = [self._write('var', name, 0, [1]) for name in names]
        if numbers and len(numbers) <= 0xffff:
            self._write('datasec', '.data..percpu', 0, [word for number_ in numbers for word in (number_, 0, 0)], len(numbers))

    def close(self) -> None:
        """Write the members of all structs that have been met."""
        while self._open:
            number_, type_ = self._open.pop()
            self._types[number_ - 1] = self._members(type_)

    def finish(self) -> bytes:
        """The whole."""
        self.close()
        types = b''.join(self._types)
        header = struct.pack(self._mark + 'HBBIIIII', 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(self._string_bytes))
        return header + types + bytes(self._string_bytes)

    def _pointee(self, type_: Type, inside: bool) -> int:
        named = isinstance(type_, (Struct, Enum)) and type_.name
        keyword = type_.keyword if isinstance(type_, Struct) else 'enum'
        if inside and named and isinstance(type_, Struct) and keyword and self._ambiguous(keyword, type_.name):
            return self._write('fwd', type_.name, 0, [], 0, keyword == 'union')
        return self.add(type_, inside)

    def _prototype(self, function: Function, inside: bool) -> int:
        words: List[int] = []
        for parameter in function.parameters:
            words += [self._string(parameter.name), self._pointee(parameter.type(), inside)]
        words += [0, 0] if function.variadic else []
        return self._write('func_proto', '', self.add(function.returns(), inside), words, len(words) // 2)

    def _enum(self, type_: Enum) -> int:
        values = type_.enumerators()[:0xffff]
        if type_.size == 8:
            words = [word for name, value in values for word in (self._string(name), value & 0xffffffff, value >> 32 & 0xffffffff)]
            return self._write('enum64', type_.name, 8, words, len(values), type_.signed)
        words = [word for name, value in values for word in (self._string(name), value & 0xffffffff)]
        return self._write('enum', type_.name, type_.size, words, len(values), type_.signed)

    def _struct(self, type_: Struct) -> int:
        """Its number; its members are written later, since they may lead back to it."""
        union = type_.keyword == 'union'
        if type_.size is None:
            return self._write('fwd', type_.name, 0, [], 0, union) if type_.name else 0
        several = not type_.keyword or self._ambiguous(type_.keyword, type_.name)
        key: object = (type_.keyword, type_.name, layout_of(type_) if several else None) if type_.name else type_
        if key not in self._numbers:
            self._types.append(b'')
            self._numbers[key] = len(self._types)
            self._open.append((len(self._types), type_))
        number_ = self._numbers[key]
        return number_ if type_.keyword else self._write('typedef', type_.name, number_, []) if type_.name else number_

    def _members(self, type_: Struct) -> bytes:
        members = type_.members()
        flag = any(member.width is not None for member in members)
        if len(members) > 0xffff or flag and any(member.bit >= 1 << 24 for member in members):      # more than BTF can say
            return self._record('fwd', type_.name, 0, [], 0, type_.keyword == 'union')
        words = [word for member in members for word in (
            self._string(member.name), self.add(member.type(), True), (member.width or 0) << 24 | member.bit)]
        name = type_.name if type_.keyword else ''
        return self._record('union' if type_.keyword == 'union' else 'struct', name, type_.size or 0, words, len(members), flag)

    def _write(self, kind: str, name: str, value: int, words: List[int], count: int = 0, flag: bool = False) -> int:
        record = self._record(kind, name, value, words, count, flag)
        if record not in self._numbers:
            self._types.append(record)
            self._numbers[record] = len(self._types)
        return self._numbers[record]

    def _record(self, kind: str, name: str, value: int, words: List[int], count: int, flag: bool) -> bytes:
        info = BTF_KINDS.index(kind) << 24 | count | flag << 31
        return struct.pack(f'{self._mark}{3 + len(words)}I', self._string(name), info, value, *words)

    def _string(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = len(self._string_bytes)
            self._string_bytes += text.encode() + b'\0'
        return self._strings[text]


def layout_of(type_: Struct) -> object:
    """A value that is equal for structs whose members have the same names, places and types by name."""
    return type_.size, tuple((m.name, m.bit, m.width, spell(m.type()), layout_of(inner) if isinstance(inner := innermost(m.type()), Struct)
                              and not inner.name and inner.size is not None else size_of(inner)) for m in type_.members())


def btf_of(dwarf: Dwarf, progress: Callable[[int, int], None] = lambda done, total: None) -> bytes:
    """The prototypes of a kernel's functions and the types they lead to, as BTF. Lost, beside what BTF cannot hold (places in
    functions and lines, the types of globals): typedefs, qualifiers, types that no function leads to, and functions of which
    several have one name and not one prototype, or whose parameters the compiler changed."""
    survey, symbols = dwarf.survey(progress), {name.split('.')[0] for name in dwarf.executable.function_symbols}
    writer = BtfWriter(dwarf.arch, dwarf.is_ambiguous)
    for name, offsets in survey.functions.items():
        if name in symbols and name not in survey.changed:
            prototypes = {writer.add(dwarf.prototype_at(offset)) for offset in offsets}
            writer.close()
            if len(prototypes) == 1:
                writer.function(name, prototypes.pop())
    writer.per_cpu(dwarf.executable.names_in('percpu'))
    return writer.finish()


def is_split_btf(data: bytes) -> bool:
    """Whether it is BTF on top of another: its strings do not begin with the empty one, which the other has."""
    if len(data) < 24 or data[:2] not in (b'\x9f\xeb', b'\xeb\x9f'):
        return False
    header, strings = (struct.unpack_from('<I' if data[:1] == b'\x9f' else '>I', data, at)[0] for at in (4, 16))
    return data[header + strings:header + strings + 1] not in (b'\0', b'')


# ---- Debug info --------------------------------------------------------------------------------------------

RUNNING_BTF = '/sys/kernel/btf/vmlinux'
VMLINUX_PLACES = ('/usr/lib/debug/boot/vmlinux-{release}', '/usr/lib/debug/lib/modules/{release}/vmlinux',
                  '/lib/modules/{release}/vmlinux', '/lib/modules/{release}/build/vmlinux', '/boot/vmlinux-{release}',
                  '/usr/lib/debug/boot/vmlinux-{release}.debug', '/usr/lib/debug/vmlinux-{release}',
                  '/usr/lib/debug/.build-id/{id2}/{id38}.debug')


class Kallsyms:
    """The running kernel's symbols. Addresses are 0 to whoever may not see them; names are always there."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def symbols(self, name: str) -> List[Symbol]:
        """The symbols of that name, functions and data, of the kernel and of loaded modules."""
        line = re.compile(rb'^([0-9a-f]+) (\w) ' + re.escape(name.encode()) + rb'(?:\t\[([^\]]+)\])?$', re.M)
        spans = (self._data.rfind(b'\n', 0, at) + 1 for at in occurrences(self._data, b' ' + name.encode())
                 if self._data[at + len(name) + 1:at + len(name) + 2] in (b'\n', b'\t', b''))
        found = [line.match(self._data, start) for start in spans]
        return [Symbol(name, int(match[1], 16), 0, match[2] in b'tTwW', module=(match[3] or b'').decode())
                for match in found if match]

    @functools.cached_property
    def function_symbols(self) -> Dict[str, List[Symbol]]:
        """Every function, by name."""
        table: Dict[str, List[Symbol]] = {}
        for address, name, module in re.findall(rb'^(\w+) [tTwW] (\S+)(?:\t\[(\S+)\])?$', self._data, re.M):
            text = name.decode(errors='replace')
            if not text.startswith('__pfx_'):                       # the padding before a function, never to be probed
                table.setdefault(text, []).append(Symbol(text, int(address, 16), 0, True, module=module.decode()))
        return table


class KernelModule(NamedTuple):
    """What is known of a module: sources of types in the order to be asked, its file (None: not found), and whether it is
    loaded (None: its kernel is not the running one)."""
    sources: Tuple[Callable[[], TypeInfo], ...] = ()
    file: Optional[Executable] = None
    loaded: Optional[bool] = None


class KernelSymbols:
    """The symbols of the files of a kernel and of its modules."""

    def __init__(self, kernel: Optional[Executable], modules: Dict[str, Executable]) -> None:
        self._kernel, self._modules = kernel, modules

    def symbols(self, name: str) -> List[Symbol]:
        """The symbols of that name, those of a module with its name."""
        return [*(self._kernel.symbols(name) if self._kernel else ()), *(symbol._replace(module=module) for module, file in
                self._modules.items() for symbol in file.symbols(name))]

    @functools.cached_property
    def function_symbols(self) -> Dict[str, List[Symbol]]:
        """Every function, by name."""
        found = {name: list(symbols) for name, symbols in (self._kernel.function_symbols if self._kernel else {}).items()}
        for module, file in self._modules.items():
            for name, symbols in file.function_symbols.items():
                found.setdefault(name, []).extend(symbol._replace(module=module) for symbol in symbols)
        return found


class DebugInfo(TypeInfo):
    """What is known of one kernel: its symbols, and sources of types in the order to be asked; a source is opened when
    the ones before it had no answer. `build_id` is that of the file it is from, '' where it says none."""

    def __init__(self, arch: Arch, symbols: Union[Kallsyms, KernelSymbols, Executable, ProgramSymbols, None],
                 sources: Sequence[Callable[[], TypeInfo]], modules: Callable[[str], KernelModule] = lambda module: KernelModule(),
                 build_id: str = '') -> None:
        self.arch, self.symbols, self.build_id = arch, symbols, build_id
        self._sources = [functools.lru_cache(None)(source) for source in sources]
        self.module: Callable[[str], KernelModule] = functools.lru_cache(None)(modules)
        self.given: Tuple[str, ...] = ()                # modules whose files were named

    def for_module(self, module: str) -> DebugInfo:
        """What is known of a module: functions and variables of its own, types its own and then the kernel's."""
        return ModuleInfo(self, self.module(module)) if module else self

    @functools.cached_property
    def btf(self) -> Optional[Btf]:
        """The BTF among the sources."""
        return next((source for source in (s() for s in self._sources) if isinstance(source, Btf)), None)

    def _first(self, ask: Callable[[TypeInfo], Any]) -> Any:
        for source in self._sources:
            answer = ask(source())
            if answer is not None:
                return answer
        return None

    def function(self, name: str, address: Optional[int] = None, offset: int = 0) -> Optional[Function]:
        """See TypeInfo; `address` is for DWARF only, the others have none."""
        found: Optional[Function] = self._first(lambda source: source.function(name, address, offset))
        return found

    def named(self, keyword: str, name: str, scope: str = '') -> Optional[Type]:
        """See TypeInfo."""
        found: Optional[Type] = self._first(lambda source: source.named(keyword, name, scope))
        return found

    def variable(self, name: str) -> Optional[Variable]:
        """See TypeInfo."""
        found: Optional[Variable] = self._first(lambda source: source.variable(name))
        return found

    def function_names(self) -> Iterable[str]:
        """See TypeInfo."""
        if self.symbols is not None:
            return self.symbols.function_symbols
        return sorted({name for source in self._sources for name in source().function_names()})

    @functools.cached_property
    def dwarf(self) -> Optional[Dwarf]:
        """The DWARF among the sources."""
        return next((source for source in (s() for s in self._sources) if isinstance(source, Dwarf)), None)


class ModuleInfo(DebugInfo):
    """What is known of one module of a kernel. A function of the kernel that has the name of one of the module's is another."""

    def __init__(self, kernel: DebugInfo, module: KernelModule) -> None:
        super().__init__(kernel.arch, kernel.symbols, [*module.sources, *kernel._sources], kernel.module)
        self._own = self._sources[:len(module.sources)]

    def function(self, name: str, address: Optional[int] = None, offset: int = 0) -> Optional[Function]:
        """See TypeInfo."""
        answers = (source().function(name, address, offset) for source in self._own)
        return next((answer for answer in answers if answer), None)

    @functools.cached_property
    def dwarf(self) -> Optional[Dwarf]:
        """The module's DWARF."""
        return next((source for source in (s() for s in self._own) if isinstance(source, Dwarf)), None)


def _same(source: TypeInfo) -> TypeInfo:
    return source


def read_file(path: str, size: int = -1) -> bytes:
    """The bytes of a file that debug information is in, or its first ones."""
    try:
        with open(path, 'rb') as file:
            return file.read(size)
    except OSError as error:
        raise DebugInfoError(f'{path}: {error.strerror}') from None


def running_build_id(arch: Arch) -> str:
    """The running kernel's build-id, from /sys/kernel/notes."""
    try:
        return build_id_of(read_file('/sys/kernel/notes'), arch.order)
    except DebugInfoError:
        return ''


def find_vmlinux(arch: Arch, release: str) -> Optional[Executable]:
    """A vmlinux with DWARF of exactly the running kernel, where distributions put it."""
    wanted = running_build_id(arch)
    for place in VMLINUX_PLACES if wanted else ():
        path = place.format(release=release, id2=wanted[:2], id38=wanted[2:])
        if os.path.exists(path):
            with contextlib.suppress(SurftraceError):
                executable = Executable(path)
                if executable.build_id == wanted and '.debug_info' in executable.sections:
                    return executable
    return None


def given_debug_info(path: str, mode: str, arch: Optional[Arch], machine: Arch) -> DebugInfo:
    """The debug information of one file: an ELF with DWARF or .BTF, or raw BTF (of the architecture said, else of this
    machine)."""
    inside = unpacked(path)
    head = inside[:4] or read_head(path)
    if head[:2] in (b'\x9f\xeb', b'\xeb\x9f'):
        if mode == 'dwarf':
            raise InputError(f'{path} is BTF, but -m dwarf was asked for')
        return DebugInfo(arch or machine, None, [lambda: Btf(inside or read_file(path), path, arch or machine)])
    if head != b'\x7fELF':
        raise DebugInfoError(f'{path}: neither an ELF file nor BTF')
    executable = Executable(path, inside)
    if arch and arch != executable.arch:
        raise InputError(f'{path} is for {executable.arch.name}, but -a {arch.name} was asked for')
    sources: List[Callable[[], TypeInfo]] = []
    if mode != 'btf' and '.debug_info' in executable.sections:
        sources.append(lambda: Dwarf(executable))
    if mode != 'dwarf' and '.BTF' in executable.sections:
        sources.append(lambda: Btf(bytes(executable.contents('.BTF')), path, executable.arch))
    if not sources:
        wanted = {'auto': 'debug information: neither .debug_info nor .BTF', 'dwarf': 'DWARF', 'btf': 'BTF'}[mode]
        raise DebugInfoError(f'{path}: has no {wanted}')
    return DebugInfo(executable.arch, executable if '.symtab' in executable.sections else None, sources,
                     build_id=executable.build_id)


def read_head(path: str) -> bytes:
    """The first four bytes of a file."""
    try:
        with open(path, 'rb') as file:
            return file.read(4)
    except OSError as error:
        raise DebugInfoError(f'{path}: {error.strerror}') from None


def running_debug_info(mode: str, machine: Arch, release: str) -> DebugInfo:
    """The running kernel's: a vmlinux of the same build-id in the usual places, and the BTF the kernel carries."""
    sources: List[Callable[[], TypeInfo]] = []
    executable = find_vmlinux(machine, release) if mode not in ('btf', 'remote') else None
    if executable:
        found = executable
        sources.append(lambda: Dwarf(found))
    has_btf = mode != 'dwarf' and os.path.exists(RUNNING_BTF)
    base = functools.lru_cache(None)(lambda: Btf(read_file(RUNNING_BTF), RUNNING_BTF, machine))
    if has_btf:
        sources.append(base)
    return DebugInfo(machine, running_symbols(), sources or [functools.partial(_no_types, mode, release)],
                     functools.partial(running_module, mode, machine, release, base if has_btf else None), running_build_id(machine))


def running_symbols() -> Optional[Kallsyms]:
    """The running kernel's."""
    return Kallsyms(read_file('/proc/kallsyms')) if os.path.exists('/proc/kallsyms') else None


def _no_types(mode: str, release: str) -> TypeInfo:
    missing = {'auto': f'neither a vmlinux with debug information nor {RUNNING_BTF}', 'btf': f'no {RUNNING_BTF}',
               'dwarf': 'no vmlinux with debug information'}[mode]
    raise SurftraceError(f'{missing} for the running kernel {release}; install its debug package (Debian: '
                         f'linux-image-{release}-dbg) or name a file with -v')


# modules


MODULES_LOADED = '/sys/module'
MODULE_FOLDERS = ('/usr/lib/debug/lib/modules/{release}', '/usr/lib/debug/usr/lib/modules/{release}', '/lib/modules/{release}')
MODULE_ENDINGS = ('.ko.debug', '.ko', '.ko.xz', '.ko.zst', '.ko.gz')


def loaded_build_id(module: str, arch: Arch) -> str:
    """The build-id of a module that is loaded, '' where it has none."""
    try:
        return build_id_of(read_file(f'{MODULES_LOADED}/{module}/notes/.note.gnu.build-id'), arch.order)
    except DebugInfoError:
        return ''


def installed_modules(release: str) -> Dict[str, str]:
    """The modules of a release by name, as paths below its folder without .ko (modules.dep(5)); a '-' in a file's name is '_' in
    the module's."""
    path = MODULE_FOLDERS[-1].format(release=release) + '/modules.dep'
    listed = read_file(path).decode(errors='replace') if os.path.exists(path) else ''
    stems = re.findall(r'^(.*?)\.ko(?:\.\w+)?:', listed, re.M)
    return {os.path.basename(stem).replace('-', '_'): stem for stem in stems}


def module_paths(module: str, release: str) -> List[str]:
    """Where the files of a module are that distributions install, debug files first."""
    stem = installed_modules(release).get(module)
    places = [f'{folder.format(release=release)}/{stem}{ending}' for folder in MODULE_FOLDERS for ending in MODULE_ENDINGS] if stem else []
    return [place for place in places if os.path.isfile(place)]


def installed_module(module: str, arch: Arch, release: str) -> Tuple[Optional[Executable], Optional[Executable]]:
    """(the file with DWARF, the file that would be loaded) of a module: those of the build-id that the loaded one has, or of the
    one that is installed for this release."""
    files = []
    for path in module_paths(module, release):
        with contextlib.suppress(SurftraceError):
            files.append(executable_at(path))
    installed = MODULE_FOLDERS[-1].format(release=release) + '/'
    whole = next((file for file in files if file.path.startswith(installed)
                  and file.module_info.get('vermagic', '').split(' ')[0] == release), None)
    wanted = loaded_build_id(module, arch) if os.path.isdir(f'{MODULES_LOADED}/{module}') else whole.build_id if whole else ''
    linked = f'{DEBUG_FOLDER}/.build-id/{wanted[:2]}/{wanted[2:]}.debug'
    if wanted and os.path.isfile(linked):
        with contextlib.suppress(SurftraceError):
            files.append(executable_at(linked))
    same = [file for file in files if wanted and file.build_id == wanted]
    return next((file for file in same if file.size('.debug_info')), None), whole if whole in same else None


def running_module(mode: str, arch: Arch, release: str, base: Optional[Callable[[], Btf]], module: str) -> KernelModule:
    """A module of the running kernel: the DWARF of its file, and the BTF that the kernel has of it, or of one that is not loaded
    its file has."""
    loaded = os.path.isdir(f'{MODULES_LOADED}/{module}')
    debug, whole = installed_module(module, arch, release)
    path = os.path.join(os.path.dirname(RUNNING_BTF), module)
    sources: List[Callable[[], TypeInfo]] = [lambda: Dwarf(debug)] if debug and mode not in ('btf', 'remote') else []
    if base and os.path.exists(path):
        sources.append(lambda: Btf(read_file(path), path, arch, base()))
    elif base and whole and not loaded and whole.size('.BTF'):
        sources.append(lambda: module_btf(whole, base()))
    return KernelModule(tuple(functools.lru_cache(None)(source) for source in sources), whole or debug, loaded)


def module_btf(file: Executable, kernel: Btf) -> Btf:
    """The BTF in a module's file, on top of its kernel's, or of what it kept of that (.BTF.base)."""
    kept = bytes(file.contents('.BTF.base'))
    base = DistilledBtf(kept, f'{file.path} (.BTF.base)', file.arch, kernel) if kept else kernel
    return Btf(bytes(file.contents('.BTF')), file.path, file.arch, base)


# files given by name


def given_debug_files(paths: Sequence[str], mode: str, arch: Optional[Arch], machine: Arch, release: str,
                      running: Callable[[], DebugInfo]) -> DebugInfo:
    """The debug information of the files of -v: one of a kernel (or a folder that has it), else that of the running one; and
    those of modules."""
    paths = [file_of_release(path, release) if os.path.isdir(path) else path for path in paths]
    split = [path for path in paths if is_split_btf(read_file(path) if read_head(path)[:2] in (b'\x9f\xeb', b'\xeb\x9f') else b'')]
    objects = {path: executable_at(path) for path in paths if path not in split and is_object_file(path)}
    kernels = [path for path in paths if path not in objects and path not in split]
    if len(kernels) > 1:
        raise InputError(f"-v {kernels[1]}: {kernels[0]} is a kernel's file too; one kernel and its modules can be named")
    info = given_debug_info(kernels[0], mode, arch, machine) if kernels else running()
    info.path = ''.join(kernels)
    for path, file in objects.items():
        if file.arch != info.arch:
            raise InputError(f'{path} is for {file.arch.name}, and the kernel for {info.arch.name}')
    given = {file.module: given_module(file, mode, info) for file in objects.values()}
    for path in split:
        name = os.path.basename(path).split('.')[0].replace('-', '_')
        given[name] = KernelModule((functools.lru_cache(None)(functools.partial(_split_btf, path, info)),))
    return with_modules(info, given) if given else info


def is_object_file(path: str) -> bool:
    """Whether it is an ELF file that is not linked, as a module is."""
    head = (unpacked(path) or read_file(path, 18))[:18]
    return head[:4] == b'\x7fELF' and int.from_bytes(head[16:18], 'little' if head[5:6] == b'\1' else 'big') == 1     # ET_REL


def _split_btf(path: str, info: DebugInfo) -> Btf:
    if not info.btf:
        raise DebugInfoError(f"{path}: the BTF of a module is on top of its kernel's, and that is not known here; name it with -v too")
    return Btf(read_file(path), path, info.arch, info.btf)


def given_module(file: Executable, mode: str, kernel: DebugInfo) -> KernelModule:
    """The module whose file was named."""
    def btf() -> TypeInfo:
        if not kernel.btf:
            raise DebugInfoError(f"{file.path}: its BTF is on top of its kernel's, and that is not known here; name it with -v too")
        return module_btf(file, kernel.btf)
    if mode != 'btf' and file.size('.debug_info'):
        return KernelModule((functools.lru_cache(None)(lambda: Dwarf(file)),), file)
    if mode == 'dwarf' or not file.size('.BTF'):
        wanted = {'dwarf': 'DWARF', 'btf': 'BTF'}.get(mode, 'debug information: neither .debug_info nor .BTF')
        raise DebugInfoError(f'{file.path}: has no {wanted}')
    return KernelModule((functools.lru_cache(None)(btf),), file)


def with_modules(info: DebugInfo, given: Dict[str, KernelModule]) -> DebugInfo:
    """The kernel with these modules, whatever else is known of them; the running kernel's symbols stay those it has."""
    files = {name: module.file for name, module in given.items() if module.file}
    symbols = info.symbols
    if symbols is None or isinstance(symbols, Executable):
        symbols = KernelSymbols(symbols, files) if symbols else None

    def module(name: str) -> KernelModule:
        return given[name]._replace(loaded=info.module(name).loaded) if name in given else info.module(name)
    found = DebugInfo(info.arch, symbols, info._sources, module, info.build_id)
    found.given, found.path = tuple(given), info.path
    return found


def file_of_release(folder: str, release: str) -> str:
    """The file in a folder of kernels' files whose name has that release (vmlinux-6.1.0, 6.1.0.btf), or the only one."""
    try:
        listed_names = sorted(os.listdir(folder))
    except OSError as error:
        raise DebugInfoError(f'{folder}: {error.strerror}') from None
    names = [name for name in listed_names if os.path.isfile(os.path.join(folder, name))]
    fitting = [name for name in names if re.search(rf'(?<![\w.]){re.escape(release)}(?=$|\.(btf|debug|elf|gz|xz|zst))', name)]
    if len(fitting) != 1 and (fitting or len(names) != 1):
        listed = ', '.join((fitting or names)[:6]) or 'nothing'
        raise DebugInfoError(f"-v {folder}: {len(fitting) or 'no'} file{'s' * (len(fitting) != 1)} there for {release}; there is {listed}")
    return os.path.join(folder, (fitting or names)[0])


# debuginfod


class DebuginfodCache:
    """The folder in which the clients of debuginfod keep what they have fetched (debuginfod_find_debuginfo(3)):
    BUILDID/debuginfo, BUILDID/section-NAME. A file gets its name when it is whole and has been looked at; surftrace writes
    nothing else anywhere but below tracefs."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, build_id: str, what: str) -> str:
        """Where 'debuginfo' or 'section/NAME' of a build-id is kept."""
        return os.path.join(self.folder, build_id, what.replace('/', '-'))

    def add(self, build_id: str, what: str, receive: Callable[[Any], None], check: Callable[[str], None]) -> str:
        """The path of the file that `receive` writes, if `check` finds nothing wrong with it; whatever goes wrong, no part of it
        stays."""
        import tempfile
        path, temporary = self.path(build_id, what), ''
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + '.', dir=os.path.dirname(path))
            with os.fdopen(descriptor, 'wb') as file:
                receive(file)
            check(temporary)
            os.replace(temporary, path)
        except OSError as error:
            raise DebugInfoError(f'{path}: {error.strerror or error}') from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        return path


class Debuginfod(NamedTuple):
    """The servers to be asked, in order, and how: seconds in which less than 100 kB is a stall; `progress` is told (what,
    bytes so far, bytes in all or 0), and -1 bytes when it broke. They learn a build-id and a section's name, no more."""
    urls: Tuple[str, ...]
    cache: DebuginfodCache
    timeout: float
    progress: Callable[[str, int, int], None]

    def find(self, build_id: str, what: str, check: Callable[[str], None], reasons: List[str]) -> Optional[str]:
        """The path of that file, None where no server has it; why each has not is added to `reasons`."""
        path = self.cache.path(build_id, what)
        if os.path.exists(path) and os.path.getsize(path):              # an empty one says that nobody had it then
            with contextlib.suppress(DebugInfoError):
                check(path)
                return path
        for url in self.urls:
            address = f"{url.rstrip('/')}/buildid/{build_id}/{what}"
            try:
                return self.cache.add(build_id, what, functools.partial(self._receive, address, what), check)
            except DebugInfoError as error:
                self.progress(what, -1, 0)
                reasons.append(str(error).replace(self.cache.path(build_id, what), url))
        return None

    def _receive(self, address: str, what: str, file: Any) -> None:
        """What is at the address, into the file; when it breaks, the rest is asked for, as long as there is any progress."""
        import http.client
        while True:
            before = file.tell()
            try:
                self._receive_from(address, what, file)
                return
            except (OSError, http.client.HTTPException, ValueError) as error:
                if getattr(error, 'code', 0) == 404:
                    raise DebugInfoError(f'{address}: not there') from None
                if file.tell() <= before or getattr(error, 'code', 0):
                    reason = getattr(error, 'reason', error)
                    raise DebugInfoError(f'{address}: {getattr(reason, "strerror", "") or reason or "broken off"}') from None

    def _receive_from(self, address: str, what: str, file: Any) -> None:
        """One request, for what is behind the end of the file; a server that sends the whole again is taken at its word."""
        import time
        import urllib.request
        headers = {'User-Agent': f'surftrace/{__version__}', **({'Range': f'bytes={file.tell()}-'} if file.tell() else {})}
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=self.timeout) as response:
            if file.tell() and (response.status != 206 or
                                not str(response.headers.get('Content-Range')).startswith(f'bytes {file.tell()}-')):
                file.seek(0)
                file.truncate()
            length = response.headers.get('Content-Length')
            total, mark, since = file.tell() + int(length) if length else 0, file.tell(), time.monotonic()
            while True:
                data = response.read1(1 << 16)
                if not data:
                    break
                file.write(data)
                self.progress(what, file.tell(), total)
                if time.monotonic() - since > self.timeout:
                    if file.tell() - mark < 100_000:
                        raise DebugInfoError(f'{address}: less than 100 kB in {self.timeout:g} seconds')
                    mark, since = file.tell(), time.monotonic()
            if total and file.tell() != total:
                raise ValueError(f'broken off after {file.tell()} of {total} bytes')
        if not total:
            self.progress(what, file.tell(), file.tell())


def remote_debug_info(servers: Debuginfod, build_id: str, arch: Arch, lines: bool, running: bool) -> DebugInfo:
    """The kernel of that build-id, by debuginfod: its .BTF, unless `lines` needs DWARF; else its whole debug file."""
    reasons: List[str] = []
    symbols, modules = running_symbols() if running else None, functools.partial(remote_module, servers, arch)
    path = servers.find(build_id, 'section/.BTF', lambda path: _check_btf(path, arch), reasons) if not lines else None
    if path:
        found = path
        base = functools.lru_cache(None)(lambda: Btf(read_file(found), found, arch))
        return DebugInfo(arch, symbols, [base], functools.partial(modules, base) if running else lambda module: KernelModule(),
                         build_id)
    path = servers.find(build_id, 'debuginfo', functools.partial(_check_debug_file, build_id), reasons)
    if not path:
        raise SurftraceError(f'no debuginfod server has the debug information of {build_id}:' + ''.join(
            f'\n  {printable(reason)}' for reason in reasons))
    executable = Executable(path)
    if executable.arch != arch:
        raise InputError(f'{build_id} is a kernel for {executable.arch.name}, and not {arch.name}; say so with -a')
    return DebugInfo(arch, symbols or executable, [lambda: Dwarf(executable)],
                     functools.partial(modules, None) if running else lambda module: KernelModule(), build_id)


def remote_module(servers: Debuginfod, arch: Arch, base: Optional[Callable[[], Btf]], module: str) -> KernelModule:
    """A module of the running kernel: the BTF that the kernel has of it, else its debug file by debuginfod."""
    path, build_id = os.path.join(os.path.dirname(RUNNING_BTF), module), loaded_build_id(module, arch)
    loaded = os.path.isdir(f'{MODULES_LOADED}/{module}')
    if base and os.path.exists(path):
        return KernelModule((functools.lru_cache(None)(lambda: Btf(read_file(path), path, arch, base())),), None, loaded)
    found = servers.find(build_id, 'debuginfo', functools.partial(_check_debug_file, build_id), []) if build_id else None
    if not found:
        return KernelModule((), None, loaded)
    file = Executable(found)
    return KernelModule((functools.lru_cache(None)(lambda: Dwarf(file)),), file, loaded)


def _check_btf(path: str, arch: Arch) -> None:
    Btf(read_file(path), path, arch)


def _check_debug_file(build_id: str, path: str) -> None:
    """Refuse what is not whole, or not what was asked for."""
    executable = Executable(path)
    if executable.build_id != build_id:
        raise DebugInfoError(f'{path}: sent a file of another build-id ({executable.build_id})')
    for name in executable.sections:
        executable.contents(name) if not executable.sections[name].compressed else executable.size(name)
    if not executable.size('.debug_info'):
        raise DebugInfoError(f'{path}: no DWARF in this file (no .debug_info)')


# programs


DEBUG_FOLDER = '/usr/lib/debug'


class ProgramSymbols:
    """The symbols of a program: its own, then those that its debug files kept."""

    def __init__(self, files: Sequence[Executable]) -> None:
        self.files = files

    def symbols(self, name: str) -> List[Symbol]:
        """The defined symbols of that name, one of several at an address."""
        return self._first(lambda file: file.symbols(name))

    def every_symbol(self, name: str) -> List[Symbol]:
        """Also the undefined ones."""
        return self._first(lambda file: file.every_symbol(name))

    def named_in_source(self, name: str) -> List[Symbol]:
        """The functions of that name in C++ or Rust."""
        return self._first(lambda file: file.named_in_source(name))

    def function_at(self, address: int) -> Optional[Symbol]:
        """The function that has the address."""
        return next((found for found in (file.function_at(address) for file in self.files) if found), None)

    def _first(self, ask: Callable[[Executable], List[Symbol]]) -> List[Symbol]:
        found: Dict[Tuple[int, str], Symbol] = {}
        for file in self.files:
            for symbol in ask(file):
                found.setdefault((symbol.address, symbol.name), symbol)
        return sorted(found.values(), key=lambda symbol: symbol.address)

    @functools.cached_property
    def function_symbols(self) -> Dict[str, List[Symbol]]:
        """Every function, by name."""
        found: Dict[str, List[Symbol]] = {}
        for file in reversed(self.files):
            found.update(file.function_symbols)
        return found


class Program(NamedTuple):
    """A program or library that is traced: its file as it is to be shown, and what is known of it."""
    path: str
    executable: Executable
    info: DebugInfo
    symbols: ProgramSymbols

    @property
    def is_go(self) -> bool:
        """Whether it is Go's, whose stacks move: a return address put there by the kernel would crash it."""
        return '.gopclntab' in self.executable.sections or '.note.go.buildid' in self.executable.sections


def program_at(path: str, debug: Optional[Executable] = None) -> Program:
    """The program in that file, with its debug file (the one given, else where distributions put it)."""
    executable = Executable(path)
    if not executable.segments:
        raise DebugInfoError(f'{path}: nothing in this file is ever loaded: an object file, or a debug file?')
    files = [executable, *([debug] if debug else debug_files(executable))]
    sources: List[Callable[[], TypeInfo]] = []
    for file in files:
        if file.size('.debug_info'):
            shared = [Dwarf(other) for other in shared_debug_files(file)]
            sources += [functools.partial(Dwarf, file, *shared), *(functools.partial(_same, other) for other in shared)]
    arch = executable.arch if executable.arch.name != 'i386' else executable.arch._replace(arguments=())   # all on the stack
    symbols = ProgramSymbols(files)
    return Program(path, executable, DebugInfo(arch, symbols, sources), symbols)


def debug_files(executable: Executable) -> List[Executable]:
    """The separate debug file (GDB manual, 18.3: by build-id, then by .gnu_debuglink), and MiniDebugInfo."""
    found, id_ = [], executable.build_id
    folder = os.path.dirname(os.path.realpath(executable.path))
    root = re.match(r'/proc/\d+/root|', executable.path)
    places = [f'{root[0] if root else ""}{DEBUG_FOLDER}/.build-id/{id_[:2]}/{id_[2:]}.debug'] if id_ else []
    link = bytes(executable.contents('.gnu_debuglink')).partition(b'\0')[0].decode(errors='replace')
    if link and '/' not in link:
        places += [f'{folder}/{link}', f'{folder}/.debug/{link}', f'{DEBUG_FOLDER}{folder}/{link}']
    for place in places:
        if os.path.isfile(place) and os.path.realpath(place) != os.path.realpath(executable.path):
            with contextlib.suppress(SurftraceError):
                other = Executable(place)
                if is_debug_file_of(other, executable):
                    found.append(other)
                    break
    packed = bytes(executable.contents('.gnu_debugdata'))
    if packed:
        import lzma
        with contextlib.suppress(SurftraceError, lzma.LZMAError):
            found.append(Executable(f'{executable.path} (.gnu_debugdata)', lzma.decompress(packed)))
    return found


def is_debug_file_of(other: Executable, executable: Executable) -> bool:
    """By the build-id, or where there is none by the checksum beside the name in .gnu_debuglink."""
    if executable.build_id or other.build_id:
        return executable.build_id == other.build_id
    link = bytes(executable.contents('.gnu_debuglink'))
    return link[-4:] == zlib.crc32(read_file(other.path)).to_bytes(4, executable.arch.order)  # type: ignore[arg-type]


def shared_debug_files(executable: Executable) -> List[Executable]:
    """The file that dwz moved what several debug files have in common to (.gnu_debugaltlink: its path, its build-id)."""
    path = bytes(executable.contents('.gnu_debugaltlink')).partition(b'\0')[0].decode(errors='replace')
    place = os.path.join(os.path.dirname(os.path.realpath(executable.path)), path)
    if not path or not os.path.isfile(place):
        return []
    with contextlib.suppress(SurftraceError):
        return [Executable(place)]
    return []


def exported_types(info: DebugInfo, progress: Callable[[str, int, int], None]) -> bytes:
    """The types of a kernel as a file that -v takes: an ELF file of its BTF, with the build-id by which it is known again. That
    is the BTF of the kernel as it is, or, where there is none, what btf_of() makes of the DWARF (and loses)."""
    btf, dwarf = info.btf, info.dwarf
    if btf:
        data = btf.bytes()
    elif dwarf:
        data = btf_of(dwarf, functools.partial(progress, 'DWARF'))
    else:
        raise DebugInfoError('no types of a kernel to write')
    note_ = [('.note.gnu.build-id', 7, build_id_note(info.build_id, info.arch.order))] if info.build_id else []      # SHT_NOTE
    return elf_of(info.arch, [('.BTF', 1, data), *note_])                                                       # SHT_PROGBITS


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


def check_same_kernel(info: DebugInfo, path: str) -> str:
    """Refuse the file of another kernel than the running one: its offsets would read the wrong members. A word where nothing
    tells whether it is."""
    running, given, btf = running_build_id(info.arch), info.build_id, info.btf
    if given and running:
        if given != running:
            raise SurftraceError(f'{path} is of another kernel (build-id {given[:12]}) than the running one '
                                 f'({running[:12]}): what it says would be read from the wrong places. -S and -o take it')
    elif btf and os.path.exists(RUNNING_BTF):
        if btf.bytes() != read_file(RUNNING_BTF):
            raise SurftraceError(f'{path} is not the BTF of the running kernel; -S and -o take it')
    else:
        return f'nothing tells whether {path} is of the running kernel; if it is not, values are read from the wrong places'
    return ''


def check_same_modules(info: DebugInfo, names: Iterable[str], release: str) -> List[str]:
    """Refuse a module's file of another build than the one that is loaded, or would be; a word for each that nothing tells it
    of."""
    words = []
    for name in names:
        file = info.module(name).file
        if not file:
            words.append(f"nothing tells whether the BTF given for '{name}' is of the module that is loaded")
            continue
        loaded, installed = loaded_build_id(name, info.arch), installed_module(name, info.arch, release)[1]
        wanted, magic = loaded or (installed.build_id if installed else ''), file.module_info.get('vermagic', '').split(' ')[0]
        if wanted and file.build_id and wanted != file.build_id or not wanted and magic and magic != release:
            raise SurftraceError(f"{file.path} is of another build of '{name}' ({file.build_id[:12] or magic}) than the one that is "
                                 f"{'loaded' if loaded else 'installed'} here ({wanted[:12] or release}): what it says would be read "
                                 'from the wrong places. -S and -o take it')
        if not (wanted and file.build_id) and not magic:
            words.append(f"nothing tells whether {file.path} is of the module '{name}' that will be loaded")
    return words


# ---- Expressions -------------------------------------------------------------------------------------------
#
#   line    := KIND[:EVENT] PLACE { ARG } [f:FILTER]      a word that begins with f: is the filter, to the end of the line
#   KIND    := p kprobe | r[MAXACTIVE] kretprobe | e trace event | P uprobe | R uretprobe | u USDT probe
#   ARG     := [NAME=][FORMAT]EXPR[:TYPE]                 ends at a blank outside ( ) [ ] " " once EXPR is complete
#   FORMAT  := S | U | X                                  only before a character that cannot continue a name
#   EXPR    := (* | &) EXPR | (CTYPE)EXPR | POSTFIX
#   POSTFIX := ATOM { ->m | .m | [n] } | !(CTYPE)ATOM { ->m | .m | [n] } | @(struct HEADER *)[l2|l3|l4]ATOM { ->m | .m | [n] }
#   ATOM    := %N | %REG | $VAR | NAME | @SYM[+-N] | @0xADDR | (EXPR) | container_of(EXPR, CTYPE, member) | user(EXPR) | RAW
#   RAW     := [+|-][u]N(EXPR) | \N | @+N
#   FILTER  := AND { || AND }      AND := NOT { && NOT }      NOT := ! NOT | ( FILTER ) | FIELD OP VALUE
#   OP      := == != < <= > >= & ~
#
# Behind ' #! ' surftrace tells itself what the kernel cannot be told: WORDS := { NAME{+NAME}:WORD } [f:FILTER]

class Argument(NamedTuple):
    """%N: the argument with that number."""
    number: int
    at: Span


class Register(NamedTuple):
    """%REG"""
    name: str
    at: Span


class Special(NamedTuple):
    """$retval, $comm, $stack, $stackN, $argN; in an event's probe $FIELD."""
    name: str
    at: Span


class Name(NamedTuple):
    """A parameter, or an event's field."""
    name: str
    at: Span


class Global(NamedTuple):
    """@SYM[+-N]: the memory at a kernel symbol."""
    name: str
    offset: int
    at: Span


class Address(NamedTuple):
    """@0xADDR: the memory at an address."""
    number: int
    at: Span


class Immediate(NamedTuple):
    """\\N or \\"text", for the kernel as it stands."""
    text: str
    at: Span


class FileOffset(NamedTuple):
    """@+N: the memory at an offset that the kernel counts from a program's probe."""
    number: int
    at: Span


class Offset(NamedTuple):
    """[+|-][u]N(EXPR): the kernel's own dereference."""
    offset: int
    user: bool
    inner: Expr
    at: Span


class MemberOf(NamedTuple):
    """a->m or a.m"""
    inner: Expr
    name: str
    arrow: bool
    at: Span                # of the member's name


class Index(NamedTuple):
    """a[n]"""
    inner: Expr
    number: int
    at: Span                # of [n]


class Dereference(NamedTuple):
    """*a"""
    inner: Expr
    at: Span


class AddressOf(NamedTuple):
    """&a"""
    inner: Expr
    at: Span


class TypeName(NamedTuple):
    """A type as written: 'struct task_struct' and the number of stars behind it."""
    words: str
    stars: int
    at: Span


class Cast(NamedTuple):
    """(CTYPE)a"""
    type: TypeName
    inner: Expr
    at: Span


class ContainerOf(NamedTuple):
    """container_of(a, CTYPE, member)"""
    inner: Expr
    type: TypeName
    member: Tuple[str, ...]
    at: Span


class UserMemory(NamedTuple):
    """user(a): a points to user memory."""
    inner: Expr
    at: Span


class Packet(NamedTuple):
    """@(struct HEADER *)LAYERa: a header in the sk_buff a, whose data points at LAYER."""
    header: str
    layer: str
    inner: Expr
    at: Span


Expr = Union[Argument, Register, Special, Name, Global, Address, Immediate, FileOffset, Offset, MemberOf, Index, Dereference,
             AddressOf, Cast, ContainerOf, UserMemory, Packet]


class Arg(NamedTuple):
    """One argument as written; `word` is the type behind its colon, `length` what stands in the brackets of text(LENGTH)."""
    name: str
    format: str
    expr: Expr
    word: str
    at: Span
    word_at: Span
    length: Optional[Expr] = None


class Compare(NamedTuple):
    """FIELD OP VALUE; a quoted value has lost its quotes."""
    field: str
    op: str
    value: str
    quoted: bool
    at: Span                # of the field
    value_at: Span


class Not(NamedTuple):
    """!a"""
    inner: Filter


class Junction(NamedTuple):
    """a && b && ..., or the same with ||."""
    op: str
    parts: Tuple[Filter, ...]


Filter = Union[Compare, Not, Junction]


class Place(NamedTuple):
    """Where a probe is put; which parts are there depends on the kind and the form. Of P, R and u only the text is known
    here: files tell what of it names one."""
    text: str
    at: Span
    function: str = ''
    module: str = ''
    offset: int = 0
    line: Optional[int] = None
    file: str = ''
    glob: bool = False
    system: str = ''


class Probe(NamedTuple):
    """One line, as written: `words` are what stands behind #!, (names, word, span) each."""
    text: str
    kind: str
    event: str
    maxactive: str
    place: Place
    args: Tuple[Arg, ...]
    filter: Optional[Filter]
    words: Tuple[Tuple[Tuple[str, ...], str, Span], ...] = ()


class Token(NamedTuple):
    """A piece of a line: its group in the pattern, its text, its columns."""
    kind: str
    text: str
    at: Span


NUMBER = r'(?:0[xX][0-9a-fA-F]+|\d+)'
TOKENS = re.compile(rf'''
    (?P<blank>\s+)
  | (?P<immediate>\\(?:[-+]?{NUMBER}|"[^"\s]*"))
  | (?P<register>%[A-Za-z_]\w*)  | (?P<argument>%\d+)  | (?P<special>\$\w+\*?)
  | (?P<fileoffset>@\+{NUMBER})  | (?P<address>@{NUMBER})
  | (?P<symbol>@[A-Za-z_]\w*(?:\.\d+)*(?:[-+]{NUMBER})?)
  | (?P<raw>[-+]u?{NUMBER}(?=\())
  | (?P<number>{NUMBER})         | (?P<name>[A-Za-z_]\w*)
  | (?P<mark>->|[-+()\[\].*&!,:=@/])
''', re.X | re.A)
FILTER_TOKENS = re.compile(r'''
    (?P<blank>\s+)
  | (?P<mark>&&|\|\||==|!=|<=|>=|[<>&~!()])
  | (?P<string>"[^"]*"|'[^']*')
  | (?P<word>CPUS\{[^}]*\}|[^\s()&|!=<>~"']+)
''', re.X)
TYPE_WORDS = {'struct', 'union', 'enum', 'const', 'volatile', 'unsigned', 'signed', 'char', 'short', 'int', 'long', 'void',
              'bool', '_Bool', 'float', 'double', 'class'}
KIND_PATTERN = re.compile(r'\s*(?P<kind>[prePRu])(?P<maxactive>\d*)(?::(?:(?P<group>[\w-]+)/)?(?P<event>[^\s/]*))?(?=\s|$)',
                          re.A)
KINDS = 'p kprobe, r kretprobe, e trace event, P uprobe, R uretprobe, u USDT probe'
# How the kernel itself writes a place in a program (uprobetracer.rst), with the offset of a semaphore
PROGRAM_PLACE = re.compile(r'(?P<path>/.*):(?P<offset>0[xX][0-9a-fA-F]+|\d+)(?:\((?P<semaphore>0[xX][0-9a-fA-F]+|\d+)\))?')
PLACE_PATTERN = re.compile(r'''(?:(?P<module>[\w-]+):(?=\D))?(?P<function>[A-Za-z_.*?\[][\w.*?\[\]!^$-]*)
                               (?:@(?P<file>[\w./+-]+?))?(?:\+(?P<offset>0[xX][0-9a-fA-F]+|\d+))?(?::(?P<line>\d+))?$''', re.X)
DEEPEST = 64                                # levels of an expression or a filter
RESERVED = {'common_type', 'common_flags', 'common_preempt_count', 'common_pid', 'common_tgid', '__probe_ip', '__probe_ret_ip',
            '__probe_func'}


def whole_number(text: str) -> int:
    """A number in C's notation, where 010 is eight."""
    if not re.fullmatch(r'[-+]?(0[xX][0-9a-fA-F]+|[0-9]+)', text):
        raise ValueError(text)
    return int(text, 8) if re.match(r'[-+]?0[0-9]', text) else int(text, 0)


def tokens(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[Token]:
    """The pieces of text[start:end], blanks left out."""
    while start < end:
        match = pattern.match(text, start, end)
        if not match:
            raise InputError('this character means nothing here', (start, start + 1))
        if match.lastgroup != 'blank':
            yield Token(match.lastgroup or '', match[0], match.span())
        start = match.end()


class Parser:
    """A cursor over the tokens of a line; one method a construct of the grammar above."""

    def __init__(self, pattern: re.Pattern[str], text: str, start: int, end: int) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._tokens = list(tokens(pattern, text, start, end))
        self._end = self._tokens[-1].at[1] if self._tokens else start

    @property
    def here(self) -> Token:
        """The next token; at the end one that equals nothing."""
        return self._tokens[self._at] if self._at < len(self._tokens) else Token('end', '', (self._end, self._end + 1))

    def spaced(self) -> bool:
        """Whether a blank stands before the next token."""
        return self._at > 0 and self.here.at[0] > self._tokens[self._at - 1].at[1]

    def ahead(self, count: int = 1) -> Token:
        """A token further on."""
        at = self._at + count
        return self._tokens[at] if at < len(self._tokens) else Token('end', '', (self._end, self._end + 1))

    def take(self) -> Token:
        """The next token, passed."""
        token = self.here
        self._at += 1
        return token

    def accept(self, *texts: str) -> Optional[Token]:
        """The next token if it is one of these, passed."""
        return self.take() if self.here.text in texts and self.here.kind != 'end' else None

    def expect(self, text: str, why: str) -> Token:
        """The next token, which has to be this."""
        return self.accept(text) or self.fail(f"'{text}' expected {why}")

    def fail(self, message: str, at: Optional[Span] = None) -> NoReturn:
        """Refuse the line at the next token."""
        raise InputError(message if self.here.kind != 'end' or at else f'{message}, but nothing follows', at or self.here.at)

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
        if self.here.kind == 'name' and self.ahead().text == '=':
            name = self.take().text
            self.take()
        if self.here.kind == 'name' and self.here.text in 'SUX' and self.ahead().at[0] == self.here.at[1] and (
                self.ahead().text in ('!', '@', '(', '*', '&') or self.ahead().kind in (
                    'argument', 'register', 'special', 'symbol', 'address', 'raw', 'immediate', 'fileoffset')):
            format_ = self.take().text
        expr = self.expr()
        if self.here.text in ('->', '.', '[') and self.here.kind == 'mark':
            self.fail(f"a blank ends an argument, and '{self.here.text}' cannot begin one: no blank before it")
        word, word_at, length = '', self.here.at, None
        if self.here.text == ':' and not self.spaced():
            self.take()
            counted = self.here.text == 'text' and self.ahead().text == '(' and self.ahead().at[0] == self.here.at[1]
            word, word_at, length = self.counted_text() if counted else (*self.type_word(), None)
        if self.here.kind != 'end' and not self.spaced():
            self.fail('the argument is complete before this')
        return Arg(name, format_, expr, word, self.span(start), word_at, length)

    def counted_text(self) -> Tuple[str, Span, Expr]:
        """text(LENGTH)"""
        start = self.take().at
        self.take()
        length = self.expr()
        self.expect(')', 'behind the length, as in text(%1)')
        return 'text', self.span(start), length

    def type_word(self) -> Tuple[str, Span]:
        """What stands behind the colon, up to the next blank outside brackets."""
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
            return Dereference(self.expr(), self.span(start))
        if self.accept('&'):
            return AddressOf(self.expr(), self.span(start))
        if self.here.text == '(' and self.at_type():
            self.take()
            type_ = self.type_name()
            self.expect(')', 'after the type')
            return Cast(type_, self.expr(), self.span(start))
        return self.postfix()

    def postfix(self) -> Expr:
        """POSTFIX: the three ways to begin, then members and elements."""
        start = self.here.at
        if self.accept('!'):
            self.expect('(', "after '!': !(struct T *)x->member")
            type_ = self.type_name()
            self.expect(')', 'after the type')
            inner: Expr = Cast(type_, self.atom(), self.span(start))
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
                inner = Index(inner, self.number(index, index.text), self.span(mark.at))
            elif self.here.kind != 'name' or self.spaced():
                self.fail(f"a member's name expected after '{mark.text}'")
            else:
                token = self.take()
                inner = MemberOf(inner, token.text, mark.text == '->', token.at)
        return inner

    def packet(self) -> Packet:
        """@(struct HEADER *)[l2|l3|l4]ATOM"""
        start = self.take().at
        self.expect('(', "after '@': @(struct iphdr *)l3%0->saddr")
        type_ = self.type_name()
        self.expect(')', 'after the header')
        layer = self.take().text if self.here.text in ('l2', 'l3', 'l4') else 'l3'
        if not type_.words.startswith('struct ') or type_.stars != 1:
            self.fail('a pointer to a packet header expected, as in @(struct iphdr *)', type_.at)
        return Packet(type_.words[7:], layer, self.atom(), self.span(start))

    def at_type(self) -> bool:
        """Whether the bracket here opens a cast: a type's word, or a name and then stars, or a name whose bracket closes
        before something that begins an EXPR."""
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
        maker = getattr(self, '_atom_' + self.here.kind, None)
        if not maker:
            self.fail('an expression expected (%0, a parameter, %di, $retval, @symbol, ...)')
        return maker(self.take())  # type: ignore[no-any-return]

    def _atom_argument(self, token: Token) -> Expr:
        return Argument(self.number(token, token.text[1:]), token.at)

    @staticmethod
    def _atom_register(token: Token) -> Expr:
        return Register(token.text[1:], token.at)

    @staticmethod
    def _atom_special(token: Token) -> Expr:
        return Special(token.text, token.at)

    def _atom_symbol(self, token: Token) -> Expr:
        name, sign, number = re.fullmatch(r'@([\w.]+)([-+]?)(\w*)', token.text).groups()  # type: ignore[union-attr]
        return Global(name, self.number(token, sign + number) if sign else 0, token.at)

    def _atom_address(self, token: Token) -> Expr:
        return Address(self.number(token, token.text[1:]), token.at)

    @staticmethod
    def _atom_immediate(token: Token) -> Expr:
        return Immediate(token.text, token.at)

    def _atom_fileoffset(self, token: Token) -> Expr:
        return FileOffset(self.number(token, token.text[2:]), token.at)

    def _atom_raw(self, token: Token) -> Expr:
        sign, user, number = re.fullmatch(r'([-+])(u?)(\w+)', token.text).groups()  # type: ignore[union-attr]
        self.expect('(', 'after the offset')
        inner = self.expr()
        self.expect(')', 'to close the bracket')
        return Offset(self.number(token, sign + number), bool(user), inner, self.span(token.at))

    def _atom_name(self, token: Token) -> Expr:
        if self.here.text != '(' or self.spaced():
            return Name(token.text, token.at)
        if token.text not in ('container_of', 'user'):
            self.fail(f"'{token.text}' is no function surftrace knows; container_of(x, struct T, member) and user(x) are",
                      token.at)
        self.take()
        inner = self.expr()
        if token.text == 'user':
            self.expect(')', 'to close user(')
            return UserMemory(inner, self.span(token.at))
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
        return ContainerOf(inner, type_, tuple(path), self.span(token.at))

    # filters

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
        if self.accept('!'):
            inner: Filter = Not(self.negation())
        elif self.accept('('):
            inner = self.filter()
            self.expect(')', 'to close the bracket')
        else:
            inner = self.comparison()
        self._depth -= 1
        return inner

    def comparison(self) -> Compare:
        """FIELD OP VALUE"""
        if self.here.kind != 'word':
            self.fail("a field's name expected in the filter")
        field = self.take()
        if not re.fullmatch(r'[A-Za-z_]\w*(\.(ustring|function))?', field.text):
            self.fail("the left side of a comparison is a field's name", field.at)
        if self.here.text not in ('==', '!=', '<', '<=', '>', '>=', '&', '~') or self.here.kind != 'mark':
            self.fail('an operator expected: == != < <= > >= & ~')
        op = self.take().text
        if self.here.kind not in ('word', 'string'):
            self.fail('a value expected')
        value = self.take()
        quoted = value.kind == 'string'
        return Compare(field.text, op, value.text[1:-1] if quoted else value.text, quoted, field.at, value.at)

    def finish(self) -> None:
        """Refuse whatever is left."""
        if self.here.kind != 'end':
            self.fail('the filter is complete before this; join comparisons with && or ||')


def parse_filter(text: str, start: int, end: int) -> Filter:
    """The filter in text[start:end]."""
    parser = Parser(FILTER_TOKENS, text, start, end)
    parsed = parser.filter()
    parser.finish()
    return parsed


def split_line(text: str, start: int) -> Tuple[int, int, int]:
    """Where the arguments end, where the words behind #! begin and end; the filter follows these (-1: none), found as the
    first word that begins with f:, outside quotes."""
    depth, quote, words, at = 0, '', -1, start
    while at < len(text):
        char = text[at]
        if quote:
            quote = '' if char == quote else quote
        elif char == '"':
            quote = char
        elif char in '([':
            depth += 1
        elif char in ')]':
            depth -= 1
        elif text[at - 1].isspace() and depth <= 0:
            if text.startswith('f:', at):
                return (words if words >= 0 else at), words, at
            if words < 0 and re.match(r'#!(\s|$)', text[at:at + 3]):
                words = at
        at += 1
    return (words if words >= 0 else len(text)), words, -1


def parse_probe(text: str) -> Probe:
    """The AST of one line."""
    comment = re.match(r'\s*#!\s+', text)                        # a line for surftrace only: an event that needs no definition
    head = KIND_PATTERN.match(text, comment.end() if comment else 0)
    if not head:
        start = len(text) - len(text.lstrip())
        raise InputError(f'a line begins with the kind of probe: {KINDS}', (start, start + max(1, len(text.split(' ')[0]))))
    event = head['event'] or ''
    if event and (not re.fullmatch(r'[A-Za-z_]\w{0,62}', event, re.A) or event in ('enable', 'filter')):
        raise InputError("an event's name is letters, digits and _, and neither 'enable' nor 'filter'", head.span('event'))
    word = re.compile(r'\s*((?:"[^"]*"|[^\s"])*)').match(text, head.end())
    assert word
    kind = head['kind'].upper() if head['kind'] in 'pr' and PROGRAM_PLACE.fullmatch(word[1]) else head['kind']
    if head['maxactive'] and kind != 'r':
        raise InputError('only r takes a number (of calls followed at once)', head.span('maxactive'))
    place = parse_place(kind, word[1], word.span(1))
    end, words, filter_at = split_line(text, word.end())
    parser, args = Parser(TOKENS, text, word.end(), end), []
    while parser.here.kind != 'end':
        args.append(parser.arg())
    parsed = parse_filter(text, filter_at + 2, len(text.rstrip())) if filter_at >= 0 else None
    told = parse_words(text, words + 2, filter_at if filter_at >= 0 else len(text)) if words >= 0 else ()
    probe = Probe(text, kind, event, head['maxactive'], place, tuple(args), parsed, told)
    check_names(probe)
    return probe


def parse_place(kind: str, text: str, at: Span) -> Place:
    """PLACE"""
    if kind == 'e':
        event = re.fullmatch(r'([\w*?\[\]-]+)[/:.]([\w*?\[\]-]+)', text)
        if not event:
            raise InputError('an event is SYSTEM/EVENT, as in e sched/sched_switch', (at[0], max(at[1], at[0] + 1)))
        return Place(text, at, event[2], system=event[1], glob=bool(re.search(r'[*?\[]', text)))
    if kind in 'PRu':
        form = {'P': 'OBJ:FUNC', 'R': 'OBJ:FUNC', 'u': 'OBJ:PROVIDER:NAME'}[kind]
        if ':' not in text[:-1]:
            raise InputError(f'{form} expected, OBJ being a path, a program in $PATH or a library (libc)', (at[0], max(at[1], at[0] + 1)))
        return Place(text, at)
    if '@' not in text and re.search(r'(/|\.(c|h|S|rs)):\d+$', text) or '/' in text.split('@')[0]:
        raise InputError('FILE:LINE is not in this version; write FUNCTION:LINE, counted from its declaration', at)
    match = PLACE_PATTERN.match(text)
    if not match:
        raise InputError('a function expected: FUNC, FUNC+OFFSET, FUNC:LINE, FUNC@FILE.c, MODULE:FUNC, or a pattern (tcp_*)',
                         (at[0], max(at[1], at[0] + 1)))
    try:
        offset, line = whole_number(match['offset'] or '0'), int(match['line']) if match['line'] else None
    except ValueError:
        raise InputError('no number is so long, or begins with 0 and has an 8 or a 9', at) from None
    if kind == 'r' and (offset or line is not None):
        raise InputError('a return is that of a whole function: no offset or line', (at[0], at[1]))
    if offset and line is not None:
        raise InputError('an offset or a line, not both', at)
    glob = bool(re.search(r'[*?\[]', match['function']))
    if glob and (offset or line is not None or match['file']):
        raise InputError('a pattern stands for whole functions: no offset, line or file', at)
    return Place(text, at, match['function'], match['module'] or '', offset, line, match['file'] or '', glob)


def parse_words(text: str, start: int, end: int) -> Tuple[Tuple[Tuple[str, ...], str, Span], ...]:
    """WORDS behind #!"""
    told = []
    for match in re.finditer(r'\S+', text[start:end]):
        at = (start + match.start(), start + match.end())
        pair = re.fullmatch(r'=?(\w+(?:\+\w+)*):(\S+)', match[0])
        if not pair:
            raise InputError('NAME:FORMAT expected behind #!', at)
        told.append((tuple(pair[1].split('+')), pair[2], at))
    return tuple(told)


def check_names(probe: Probe) -> None:
    """Refuse the names of arguments that the kernel would refuse, or that would hide one of its own fields."""
    seen: Dict[str, Span] = {}
    for arg in probe.args:
        if arg.name in RESERVED:
            raise InputError(f"'{arg.name}' is a field every event has; choose another name", arg.at)
        if len(arg.name) > 31:
            raise InputError("the kernel takes names of up to 31 characters", arg.at)
        if arg.name and arg.name in seen:
            raise InputError(f"'{arg.name}' is there already", arg.at)
        seen[arg.name] = arg.at


# ---- Formats -----------------------------------------------------------------------------------------------

class Format(NamedTuple):
    """How a field looks to a person; `show` and `parse` are inverse. Values are what trace_pipe prints, a text for each
    part; `kinds` are the fetch types of the parts, none where the C type decides; `size` the bytes it wants, 0 for any.
    """
    word: str                                               # its name, in a TYPE and behind #!
    kinds: Tuple[str, ...]
    size: int
    show: Callable[[Sequence[str]], str]
    parse: Callable[[str], Tuple[int, ...]]                 # ValueError where the text is no such value
    ordered: bool = False                                   # whether < means the same for what the kernel compares
    signed: int = 0                                         # bits of a signed bit-field, which the kernel takes as unsigned


def number(text: str) -> int:
    """An integer as the kernel prints it."""
    return int(text, 0)


def ip_format(word: str, order: Any) -> Format:
    """An IPv4 address, as it lies in memory."""
    return Format(word, ('u32',), 4, lambda values: str(ipaddress.IPv4Address(number(values[0]).to_bytes(4, order))),
                  lambda text: (int.from_bytes(ipaddress.IPv4Address(text).packed, order),))


def ip6_format(word: str, order: Any) -> Format:
    """An IPv6 address, fetched as two words of 64 bits: a filter of the kernel cannot compare arrays."""
    def parse(text: str) -> Tuple[int, ...]:
        packed = ipaddress.IPv6Address(text).packed
        return int.from_bytes(packed[:8], order), int.from_bytes(packed[8:], order)
    return Format(word, ('x64', 'x64'), 16, lambda values: str(ipaddress.IPv6Address(
        b''.join(number(value).to_bytes(8, order) for value in values))), parse)


def mac_format(word: str, order: Any) -> Format:
    """An Ethernet address, fetched as four bytes and two."""
    def parse(text: str) -> Tuple[int, ...]:
        packed = bytes(int(byte, 16) for byte in text.split(':'))
        if len(packed) != 6:
            raise ValueError(text)
        return int.from_bytes(packed[:4], order), int.from_bytes(packed[4:], order)
    return Format(word, ('x32', 'x16'), 6, lambda values: ':'.join(
        f'{byte:02x}' for byte in number(values[0]).to_bytes(4, order) + number(values[1]).to_bytes(2, order)), parse)


def big_endian_format(word: str, order: Any) -> Format:
    """A number in network byte order: be16 shown in decimal, BE16 in hexadecimal."""
    size = int(word[2:]) // 8

    def swap(value: int) -> int:
        return int.from_bytes(value.to_bytes(size, order), 'big')
    return Format(word, (f'u{8 * size}',), size, lambda values: f"{swap(number(values[0])):{'#x' if word[0] == 'B' else 'd'}}",
                  lambda text: (swap(whole_number(text)),), order == 'big')


def hex_format(word: str, order: Any) -> Format:
    """A number in hexadecimal where no fetch type of the kernel prints it so (bit-fields)."""
    return Format(word, (), 0, lambda values: f'{number(values[0]):#x}', lambda text: (whole_number(text),), True)


def cut_format(word: str, order: Any) -> Format:
    """The string in an array of that many bytes: one that fills its array has no NUL, and the kernel reads on."""
    count = int(word[4:-1])

    def show(values: Sequence[str]) -> str:
        if len(values[0]) <= count + 2 or values[0][0] != '"':      # as many characters are at least as many bytes
            raw = values[0].encode('utf-8', 'surrogateescape')
            if len(raw) <= count + 2 or raw[:1] != b'"':
                return values[0]
        raw = values[0].encode('utf-8', 'surrogateescape')
        return raw[:count + 1].decode('utf-8', 'surrogateescape') + '"'
    return Format(word, (), 0, show, _no_number)


def _no_number(text: str) -> Tuple[int, ...]:
    raise ValueError(text)


def signed_format(word: str, order: Any) -> Format:
    """A signed bit-field of that many bits; the kernel's are always unsigned."""
    width = int(word[2:-1])
    return Format(word, (), 0, lambda values: str(extended(values[0], width)), lambda text: (cut_to(text, width),),
                  signed=width)


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


def enum_format(word: str, values: Tuple[Tuple[str, int], ...], width: int = 0) -> Format:
    """An enumerator's name; the number where it has none. `width` is that of a bit-field."""
    names = {value: name for name, value in reversed(values)}
    numbers = {name: str(value) for name, value in values}
    if width and min(names, default=0) < 0:
        def show(shown: Sequence[str]) -> str:
            value = extended(shown[0], width)
            return names.get(value, str(value))
        return Format(word, (), 0, show, lambda text: (cut_to(numbers.get(text, text), width),), signed=width)
    return Format(word, (), 0, lambda shown: names.get(number(shown[0]), shown[0]),
                  lambda text: (whole_number(numbers.get(text, text)),), True)


TEXT_CHUNKS = 4                             # of 64 bytes, the longest array ftrace fetches


def text_format(word: str, order: Any) -> Format:
    """Counted text: its length and up to 256 bytes of it. A byte that cannot be read becomes 0 and those behind it are old
    (copy_from_user in kernel/trace/trace_uprobe.c), so what is behind a zero is not shown."""
    def show(values: Sequence[str]) -> str:
        length = number(values[0])
        if not 0 <= length < 1 << 31:
            return f'(no text: its length is {length})'
        data = bytes(int(byte, 16) for part in values[1:] for byte in part[1:-1].split(','))
        whole, more = data[:length].split(b'\0')[0], ''
        if len(whole) < min(length, len(data)):
            more = f' ({length - len(whole)} more, from a NUL or an unreadable byte on)'
        elif length > len(data):
            more = f'... ({length} bytes)'
        return '"' + whole.decode('utf-8', 'surrogateescape') + '"' + more
    return Format(word, (), 0, show, _no_number)


FORMATS: Dict[str, Callable[[str, Any], Format]] = {
    'ip': ip_format, 'ip6': ip6_format, 'mac': mac_format, 'X': hex_format, 'text': text_format,
    **{f'{end}{bits}': big_endian_format for end in ('be', 'BE') for bits in (16, 32, 64)}}
PREFIX_FORMATS = {'ip_': 'ip', **{f'{letter}{bits}_': f'{end}{bits}'
                                  for letter, end in (('b', 'be'), ('B', 'BE')) for bits in (16, 32, 64)}}
FORMAT_PATTERNS = ((re.compile(r'cut\(\d{1,9}\)'), cut_format), (re.compile(r'S\([1-9]\d?\)'), signed_format))


def bit_width(kind: str) -> int:
    """The bits of a fetch type that is a bit-field, else 0."""
    return int(kind[1:kind.index('@')]) if '@' in kind else 0


def format_named(word: str, order: str, kind: str = '') -> Optional[Format]:
    """The format of that word, for a value of that fetch type, if it is one that needs no C type to explain it."""
    if word in FORMATS:
        return FORMATS[word](word, order)
    if re.fullmatch(r'enum\((\w+=-?\d{1,20})(,\w+=-?\d{1,20})*\)', word):
        pairs = (pair.split('=') for pair in word[5:-1].split(','))
        return enum_format(word, tuple((name, int(value)) for name, value in pairs), bit_width(kind))
    return next((make(word, order) for pattern, make in FORMAT_PATTERNS if pattern.fullmatch(word)), None)


# ---- Resolve -----------------------------------------------------------------------------------------------

class Fetch(NamedTuple):
    """A fetch-arg: a base, dereferences (offset, whether of user memory) from the inside out, and a fetch type.

    A base is '%di', '$retval', '\\5': a value; or '@symbol', '@0x..': an address, which the first dereference reads.
    """
    base: str
    derefs: Tuple[Tuple[int, bool], ...] = ()
    kind: str = ''

    def at(self, offset: int, user: bool = False) -> Fetch:
        """What is in memory that many bytes from where this points."""
        return self._replace(derefs=(*self.derefs, (offset, user)))

    def text(self) -> str:
        """As the kernel reads it (kprobetrace.rst, FETCHARGS)."""
        text, derefs = self.base, self.derefs
        if text.startswith('@') and derefs:
            offset, derefs = derefs[0][0], derefs[1:]
            plus = '+' if text[1] == '+' else ''
            text = f'@{plus}{int(text[1:], 0) + offset:#x}' if plus or text[1].isdigit() else f'{text}{offset:+d}' if offset else text
        for offset, user in derefs:
            text = f"{'-' if offset < 0 else '+'}{'u' if user else ''}{abs(offset)}({text})"
        return f'{text}:{self.kind}' if self.kind else text

    def pointers(self) -> List[Tuple[Fetch, bool]]:
        """What its dereferences start from, the register first, and whether each points to user memory; the stack
        pointer and fixed addresses can always be read."""
        fixed = self.base.startswith('@') or self.base in ('$stack', '%sp')
        return [(Fetch(self.base, self.derefs[:i]), self.derefs[i][1]) for i in range(int(fixed), len(self.derefs))]


class Check(NamedTuple):
    """A number fetched beside a field, unseen: only from `low` to `high` the field's value means something; else `word` is
    shown, or for a pointer ('') whether it is null."""
    fetch: Fetch
    low: int
    high: int
    word: str = ''

    def verdict(self, value: int) -> str:
        """What to show instead of the field, '' when it can be trusted."""
        if self.low <= value <= self.high:
            return ''
        return self.word or ('(null)' if value < 4096 else '(fault)')


class Field(NamedTuple):
    """One value shown: its fetches (more than one where a format has parts), its format (None: as the kernel prints it),
    and the checks, outermost pointer first."""
    name: str
    fetches: Tuple[Fetch, ...]
    format: Optional[Format]
    checks: Tuple[Check, ...]
    words: Tuple[str, ...] = ()             # what -S tells of it behind #!
    at: Span = (0, 1)

    @property
    def kind(self) -> str:
        """The fetch type of its first part."""
        return self.fetches[0].kind


class Lvalue(NamedTuple):
    """A place while walking C: an object of a type, `bit` bits from
    'memory': the address that `fetch` gives; 'value': the value that it gives (a pointer's bits / 8 are added to it);
    'pieces': the first of several registers. `width` is a bit-field's."""
    type: Type
    how: str
    fetch: Fetch
    bit: int = 0
    width: Optional[int] = None
    user: bool = False
    pieces: Tuple[Tuple[Optional[Fetch], int], ...] = ()
    name: str = ''
    checks: Tuple[Check, ...] = ()
    words: Tuple[str, ...] = ()


class EventField(NamedTuple):
    """A field of a trace event, from its format file: `string` for what the kernel prints as text."""
    name: str
    type: Type
    string: bool


KERNEL_TYPE = re.compile(r'(?:[sux](?:8|16|32|64)|char|u?string|symbol|symstr|b\d{1,3}@\d{1,3}/(?:8|16|32|64)|%p[dD])(?:\[\d{1,9}\])?')
STRINGS = ('string', 'ustring', 'symstr', '%pd', '%pD')


def is_char(type_: Type) -> bool:
    """Plain char: what C writes text in (Rust's has four bytes)."""
    return isinstance(type_, Int) and type_.name == 'char' and type_.size == 1


def is_untyped(type_: Type) -> bool:
    """Whether nothing is known of what is there: a register's word, or memory at an address."""
    return isinstance(type_, Void) or isinstance(type_, Int) and not type_.name


def refuse(message: str, at: Span) -> NoReturn:
    """Refuse an expression there."""
    raise InputError(message, at)


# Where arguments are when only the prototype is known


def convention(arch: Arch, function: Function) -> List[Location]:
    """The Location of each parameter at entry, by the calling convention of integers and pointers; from the first one that
    the convention's simple part does not settle, 'gone' with the reason."""
    numbers = {name: number_ for number_, name in reversed(sorted(arch.dwarf.items()))}
    if function.language == 'Go':
        why = 'Go has its own calling convention, and DWARF tells no place for it here'
        return [Location('gone', why=why)] * len(function.parameters)
    registers, used, stack = [numbers[name] for name in arch.arguments], _hidden_pointer(arch, function), 0
    if function.variadic and arch.name == 'i386':
        registers = []                                                  # gcc's regparm is not for them
    places: List[Location] = []
    why = '' if used >= 0 else 'the function returns a struct, which moves its arguments'
    for parameter in function.parameters:
        type_, size = parameter.type(), size_of(parameter.type())
        if why:
            places.append(Location('gone', why=why))
        elif isinstance(type_, Float):
            places.append(Location('gone', why='it is a floating-point number, and ftrace reads no such registers'))
            in_register = bool(arch.by_value) and type_.size <= 8 and sum(isinstance(p.type(), Float) for p in function.parameters) <= 8
            why = '' if in_register else 'it comes after a floating-point argument'
        elif isinstance(type_, (Struct, Array)) or (size or 0) > arch.word:
            place, words = _passed(arch, function.language, type_, size, registers[used:])
            in_memory = place.how == 'stack'
            places.append(_on_stack(arch, numbers, stack, (size or 0)) if in_memory else place)
            why = place.why and 'it comes after an argument whose place is not settled'
            used, stack = used + (0 if in_memory else words), stack + (words if in_memory else 0)
        elif used < len(registers):
            places.append(Location('register', number=registers[used]))
            used += 1
        else:
            places.append(_on_stack(arch, numbers, stack, size or arch.word))
            stack += 1
    return places


def _on_stack(arch: Arch, numbers: Dict[str, int], word: int, size: int) -> Location:
    """The argument in that word of the stack; big-endian machines put a narrow one at the word's end."""
    pad = arch.word - size if arch.order == 'big' and size < arch.word else 0
    return Location('memory', number=numbers[arch.stack_pointer], offset=arch.stack + word * arch.word + pad)


def _hidden_pointer(arch: Arch, function: Function) -> int:
    """Registers taken by the address of a struct to be returned; -1 where that is not settled here."""
    returns = function.returns()
    if not isinstance(returns, Struct) or function.language == 'Rust' and rust_words(returns):
        return 0
    if function.language == 'Rust' or function.language == 'C++' and not returns.passed() and (returns.size or 0) <= 16:
        return -1
    if function.language == 'C++' and returns.passed() == 'reference':
        return 1 if arch.by_value == 'sysv' else 0 if arch.by_value == 'aapcs64' else -1
    if arch.by_value == 'aapcs64':
        return 0                                                        # in x8, no argument's register
    if arch.by_value != 'sysv' or returns.size is None or _has_float(returns) or _is_packed(returns):
        return -1
    return int(returns.size > 16)


def rust_words(type_: Type) -> int:
    """The registers a Rust value takes where that is plain (rustc_ty_utils::abi, ScalarPair): one for a number or pointer, also
    as the only member of a struct, two for a reference that carries a length; 0 where it is not settled."""
    if not isinstance(type_, Struct):
        return int(not isinstance(type_, (Array, Float)) and (size_of(type_) or 0) <= 8)
    members = [member for member in type_.members() if size_of(member.type()) != 0] if type_.size else []
    if [member.name for member in members] == ['data_ptr', 'length']:
        return 2
    return rust_words(members[0].type()) if len(members) == 1 and size_of(members[0].type()) == type_.size else 0


def _passed(arch: Arch, language: str, type_: Type, size: Optional[int], free: List[int]) -> Tuple[Location, int]:
    """Where a struct or a double word is passed, by the rules of the language, and how many words it takes."""
    if language == 'Rust':
        words = rust_words(type_)
        if not words or words > len(free):
            return Location('gone', why=f'where Rust passes {spell(type_)} here is not settled'), 0
        return Location('pieces', pieces=tuple((Location('register', number=free[i]), arch.word) for i in range(words))), words
    if language == 'C++' and isinstance(type_, Struct) and type_.passed() != 'value':
        if type_.passed() == 'reference' and free:
            return Location('memory', number=free[0]), 1
        return Location('gone', why=f'whether C++ passes {spell(type_)} by value or by reference is not known (DWARF 5 tells)'), 0
    return _by_value(arch, type_, size, free)


def _has_float(type_: Type) -> bool:
    if isinstance(type_, Struct):
        return any(_has_float(member.type()) for member in type_.members())
    return isinstance(type_, Float) or isinstance(type_, Array) and _has_float(type_.element())


def _by_value(arch: Arch, type_: Type, size: Optional[int], free: List[int]) -> Tuple[Location, int]:
    """Where a struct or a double word is passed ('stack' where in memory there), and how many words it takes."""
    words = -(-(size or 0) // arch.word)
    if not arch.by_value or not isinstance(type_, Struct) or size is None or _has_float(type_) or _is_packed(type_):
        return Location('gone', why=f"it is {spell(type_)} by value: DWARF would tell its place, the calling convention "
                        f"known here does not"), 0
    if size == 0:
        return Location('gone', why='it is empty'), 0
    if size > 16:
        if arch.by_value == 'aapcs64':
            return (Location('memory', number=free[0]), 1) if free else (Location('gone', why='its address is on the stack'), 0)
        return Location('stack'), words
    if words > len(free):
        return (Location('stack'), words) if arch.by_value == 'sysv' else (
            Location('gone', why='it lies on the stack, and so do those after it'), 0)
    return Location('pieces', pieces=tuple((Location('register', number=free[i]), arch.word) for i in range(words))), words


def _is_packed(struct_: Struct) -> bool:
    """Whether a member is not aligned to its size, or is wider than a register, which aligns the struct to 16: such a struct
    is passed in memory, or by rules of its own."""
    for member in struct_.members():
        type_ = innermost(member.type())
        if _alignment(type_) > 8 or isinstance(type_, Struct) and _is_packed(type_):
            return True
        if member.width is None and member.bit % (8 * _alignment(type_)):
            return True
    return False


def _alignment(type_: Type) -> int:
    """The bytes a type is aligned to where nobody says otherwise."""
    type_ = innermost(type_)
    if isinstance(type_, Struct):
        return max((_alignment(member.type()) for member in type_.members()), default=1)
    return size_of(type_) or 1


# Packet headers


class Header(NamedTuple):
    """A packet header: its layer, its bytes without options, and what says that it is there: the EtherType or the IPv4
    protocol number before it (RFC 791, include/uapi/linux/if_ether.h, in.h)."""
    layer: str
    size: int
    number: int


HEADERS = {'ethhdr': Header('l2', 14, 0), 'iphdr': Header('l3', 20, 0x0800), 'ipv6hdr': Header('l3', 40, 0x86dd),
           'icmphdr': Header('l4', 8, 1), 'tcphdr': Header('l4', 20, 6), 'udphdr': Header('l4', 8, 17)}
PAYLOAD = {'cdata': 1, 'sdata': 2, 'ldata': 4, 'qdata': 8, 'Sdata': 0}


def header_offset(header: str, layer: str) -> int:
    """Bytes from skb->data, which points at `layer`, to the header: an Ethernet header has 14 bytes, an IPv4 header 20 when
    it has no options (which is checked at run time)."""
    wanted = HEADERS[header].layer
    return (14 if layer == 'l2' and wanted != 'l2' else 0) + (20 if layer != 'l4' and wanted == 'l4' else 0)


def header_checks(data: Fetch, header: str, layer: str, payload: bool, order: Any) -> Tuple[Check, ...]:
    """What must hold for the header to be where header_offset says, `data` being skb->data."""
    word, wanted, ip = f'(no {header})', HEADERS[header], 14 if layer == 'l2' else 0

    def byte(offset: int, low: int, high: int, kind: str = 'u8') -> Check:
        return Check(data.at(offset)._replace(kind=kind), low, high, word)
    checks = []
    if layer == 'l2' and wanted.layer != 'l2':
        ether = int.from_bytes((wanted.number if wanted.layer == 'l3' else 0x0800).to_bytes(2, 'big'), order)
        checks.append(byte(12, ether, ether, 'u16'))
    if wanted.layer == 'l3':
        version = 0x60 if header == 'ipv6hdr' else 0x40
        checks.append(byte(ip, version + 5, version + 5) if payload and version == 0x40 else byte(ip, version, version + 15))
    if wanted.layer == 'l4' and layer != 'l4':                          # no options, that protocol, the first fragment
        checks += [byte(ip, 0x45, 0x45), byte(ip + 9, wanted.number, wanted.number), byte(ip + 7, 0, 0),
                   byte(ip + 6, 0, 0, 'b5@0/8')]
    if payload and header == 'tcphdr':
        checks.append(byte(header_offset(header, layer) + 12, 0x50, 0x5f))
    return tuple(checks)


def skb_text(expr: Expr) -> str:
    """The expression as one would write it, where it is a plain one."""
    return f'%{expr.number}' if isinstance(expr, Argument) else expr.name if isinstance(expr, Name) else 'x'


# Texts that carry their length: (the type's name, the member that is or points to the text, the one that is its length)
TEXT_TYPES: Tuple[Tuple[str, str, str], ...] = (
    (r'string', 'str', 'len'), (r'\[\]uint8', 'array', 'len'),                                    # Go
    (r'&(mut )?(str|\[u8\])', 'data_ptr', 'length'),                                           # Rust
    (r'String', 'vec.buf.ptr.pointer.pointer', 'vec.len'), (r'String', 'vec.buf.inner.ptr.pointer.pointer', 'vec.len'),
    (r'(std::)?(\w+::)*basic_string_view<char,.*', '_M_str', '_M_len'),                           # libstdc++
    (r'(std::)?(\w+::)*basic_string<char,.*', '_M_dataplus._M_p', '_M_string_length'),
    (r'qstr', 'name', 'len'), (r'Symbol', '_body', '_length'))                                    # the kernel; HotSpot


def text_members(type_: Struct) -> Optional[Tuple[str, str]]:
    """The paths to the text and to its length in a type that is text."""
    for pattern, text, length in TEXT_TYPES:
        if re.fullmatch(pattern, type_.name) and _path_in(type_, text) and _path_in(type_, length):
            return text, length
    return None


def _path_in(type_: Type, path: str) -> bool:
    for name in path.split('.'):
        found = find_member(type_, name) if isinstance(type_, Struct) and type_.size is not None else None
        if not found:
            return False
        type_ = found.type()
    return True


# Programs


class Site(NamedTuple):
    """A place in a program: the link-time address of the instruction, and of a USDT probe its operands, 'N@OP' each."""
    program: Program
    address: int
    operands: Optional[Tuple[str, ...]] = None

    def global_at(self, address: int) -> Fetch:
        """The memory at a link-time address of the same file. The kernel counts @+N from where the file's first byte would be
        if all of it were loaded as the probed instruction's part is (trace_uprobe.c, translate_user_vaddr)."""
        offset = self.program.executable.offset_of(self.address) or 0
        return Fetch(f'@+{address - (self.address - offset):#x}')


def split_operands(text: str) -> Tuple[str, ...]:
    """The operands of a USDT note; those of some architectures have blanks within."""
    return tuple(re.findall(r'(?:-?\d+f?@)?\S(?:\[[^\]]*\]|(?!\s+-?\d+f?@).)*', text.strip()))


X86_BYTES = {f'{name}l': f'{name}x' for name in 'abcd'}
X86_NAMES = {**X86_BYTES, **{f'{prefix}{name}{suffix}': name for name in ('ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp')
                             for prefix, suffix in (('r', ''), ('e', ''), ('', ''), ('', 'l'))},
             **{f'r{i}{suffix}': f'r{i}' for i in range(8, 16) for suffix in ('', 'd', 'w', 'b')}}


def operand_register(arch: Arch, name: str) -> str:
    """The kernel's name for a register as an assembler writes it, '' for one that ftrace cannot read."""
    if arch.name in ('x86_64', 'i386'):
        name = X86_NAMES.get(name, '')
    elif arch.name == 'aarch64' and re.fullmatch(r'w\d+', name):
        name = 'x' + name[1:]
    return name if name in arch.registers else ''


class Resolver:
    """From expressions to fields, for one place. `entry` says whether the place is a function's first instruction;
    `abilities` what a return probe may read ('$arg': the kernel keeps the arguments of the call); `kind` is 'p', 'r' or 'e',
    and with a `site` the place is one in a program."""

    def __init__(self, info: DebugInfo, kind: str, function: Optional[Function] = None, entry: bool = True,
                 abilities: FrozenSet[str] = frozenset(), fields: Optional[Dict[str, EventField]] = None,
                 site: Optional[Site] = None) -> None:
        self.info, self.arch, self.kind, self.function, self.entry = info, info.arch, kind, function, entry
        self.abilities, self.fields, self.site = abilities, fields, site
        self.scope = function.name if function else ''
        self.word = Int('', self.arch.word, False)

    # walking C

    def value(self, expr: Expr) -> Lvalue:
        """The place an expression names."""
        walk: Callable[[Any], Lvalue] = getattr(self, '_' + type(expr).__name__.lower())
        return walk(expr)

    def _argument(self, expr: Argument) -> Lvalue:
        if self.kind == 'e':
            refuse("an event has named fields, not numbered arguments", expr.at)
        if self.site and self.site.operands is not None:
            return self._operand(self.site, self.site.operands, expr)
        if not self.function:
            return self._word_argument(expr)
        parameters = self.function.parameters
        if expr.number >= len(parameters):
            many = 'no parameters' if not parameters else 'one parameter, %0' if len(parameters) == 1 else (
                f'{len(parameters)} parameters, %0 to %{len(parameters) - 1}')
            more = '; where further arguments of a variadic function are is not known' if self.function.variadic else ''
            refuse(f"{self.function.name} has {many}{more}", expr.at)
        return self._parameter(expr.number, expr.at)

    def _word_argument(self, expr: Argument) -> Lvalue:
        """An argument of a function nothing is known of, as a word: the place it has if all are integers or pointers."""
        if self.kind == 'r' or not self.entry:
            refuse('no debug information for this function tells where its arguments are here; name a register (%REG)', expr.at)
        beyond, name = expr.number - len(self.arch.arguments), f'arg{expr.number}'
        if beyond < 0:
            return Lvalue(self.word, 'value', Fetch('%' + self.arch.arguments[expr.number]), name=name)
        return Lvalue(self.word, 'memory', Fetch('$stack'), 8 * (self.arch.stack + beyond * self.arch.word), name=name)

    def _operand(self, site: Site, operands: Tuple[str, ...], expr: Argument) -> Lvalue:
        """%N of a USDT probe: an operand as the compiler wrote it (facts: systemtap's sdt.h, and gas for each architecture)."""
        if expr.number >= len(operands):
            refuse(f"the probe has {len(operands)} argument{'s' * (len(operands) != 1)}, counted from %0", expr.at)
        text = operands[expr.number]
        size, what = re.fullmatch(r'(?:(-?\d+f?)@)?(.*)', text).groups()  # type: ignore[union-attr]
        if size and (size.endswith('f') or abs(int(size)) not in (1, 2, 4, 8)):
            refuse(f"this argument is '{text}': a floating-point number or wider than a word, which ftrace cannot read", expr.at)
        count, signed = abs(int(size)) if size else self.arch.word, bool(size) and size[0] == '-'
        type_ = Int('' if count == self.arch.word else f"{'s' if signed else 'u'}{8 * count}", count, signed)
        place = self._operand_place(site, what, type_)
        if not place:
            refuse(f"this argument is '{text}', and ftrace cannot read that", expr.at)
        return place._replace(name=f'arg{expr.number}')

    def _operand_place(self, site: Site, text: str, type_: Int) -> Optional[Lvalue]:
        x86 = self.arch.name in ('x86_64', 'i386')
        constant = re.fullmatch(r'\$(-?\w+)' if x86 else r'[#i]?(-?\d\w*)', text)
        if constant:
            with contextlib.suppress(ValueError):
                return Lvalue(type_, 'value', Fetch(f'\\{whole_number(constant[1])}'))
        if x86 and re.fullmatch(r'%[abcd]h', text):
            return Lvalue(type_, 'pieces', Fetch(''), 8, pieces=((Fetch(f'%{text[1]}x'), self.arch.word),))
        register = operand_register(self.arch, text[1:] if text[:1] in '%$' else text)
        if register and (text[:1] == '%' or not x86):
            return Lvalue(type_, 'value', Fetch('%' + register))
        memory = re.fullmatch(r'([-+]?\d+)?\(%?(\w+)\)', text) or re.fullmatch(r'\[\$?(\w+)(?:,\s*#?(-?\d+))?\]', text)
        if memory:
            name, offset = (memory[2], memory[1]) if text[0] != '[' else (memory[1], memory[2])
            base = operand_register(self.arch, name)
            stack = base == self.arch.stack_pointer
            return Lvalue(type_, 'memory', Fetch('$stack' if stack else '%' + base), 8 * int(offset or 0)) if base else None
        linked = re.fullmatch(r'(?:([-+]?\d+)\+)?([A-Za-z_][\w.@]*)([-+]\d+)?(\(%rip\))?', text) if x86 else None
        found = site.program.symbols.symbols(linked[2]) if linked else []
        if not linked or len({symbol.address for symbol in found}) != 1 or found[0].sort in ('tls', 'exported'):
            return None
        return Lvalue(type_, 'memory', site.global_at(found[0].address + int(linked[1] or 0) + int(linked[3] or 0)))

    def _parameter(self, index: int, at: Span) -> Lvalue:
        assert self.function
        parameter = self.function.parameters[index]
        location = parameter.location
        if location is None:
            if not self.entry:
                refuse(f"'{parameter.name}' is known only at the function's entry; name a register (%REG)", at)
            if self.function.changed:
                refuse(f"where '{parameter.name}' is at the entry of this copy, DWARF does not tell; name a register (%REG)", at)
        ours = convention(self.arch, self.function)[index] if self.entry and not self.function.changed else None
        if location is None or location.how in ('memory', 'pieces') and ours and ours.how != 'gone':
            location = ours
        assert location
        if self.kind == 'r':
            return self._kept_argument(parameter, location, at)
        return self._placed(parameter, location, at)

    def _kept_argument(self, parameter: Parameter, location: Location, at: Span) -> Lvalue:
        """An argument when the function returns: its register is used up, so only what the kernel kept of the call."""
        if self.site:
            refuse("at return the argument's register holds something else: trace it at entry, with P", at)
        if '$arg' not in self.abilities:
            refuse("at return the argument's register holds something else, and this kernel keeps no arguments ($argN in return "
                   "probes: Linux 6.9); trace it at entry with p", at)
        location = location.pieces[0][0] if len(location.pieces) == 1 else location
        name, type_ = self.arch.dwarf.get(location.number, '') if location.how == 'register' else '', parameter.type()
        if name not in self.arch.arguments or not (size_of(type_) or 99) <= self.arch.word:
            refuse("the kernel keeps only arguments passed in one register each; trace it at entry with p", at)
        fetch = Fetch(f'$arg{self.arch.arguments.index(name) + 1}')
        if isinstance(type_, Struct):
            return Lvalue(type_, 'pieces', fetch, pieces=((fetch, self.arch.word),), name=parameter.name)
        return Lvalue(type_, 'value', fetch, name=parameter.name)

    def _placed(self, parameter: Parameter, location: Location, at: Span) -> Lvalue:
        """The parameter at its Location."""
        type_, name = parameter.type(), parameter.name
        if isinstance(type_, Float):
            refuse(f"'{name}' is a {spell(type_)}: ftrace reads no floating-point numbers", at)
        if location.how == 'register' and location.number in self.arch.dwarf:
            fetch = Fetch('%' + self.arch.dwarf[location.number])
            if isinstance(type_, Struct):
                return Lvalue(type_, 'pieces', fetch, pieces=((fetch, type_.size or self.arch.word),), name=name)
            return Lvalue(type_, 'value', fetch, name=name)
        if location.how == 'frame' and self.entry:
            # the frame address is the stack pointer before the call: x86 has pushed the return address since
            shift = {'x86_64': 8, 'i386': 4, 's390x': 160}.get(self.arch.name, 0)
            return Lvalue(type_, 'memory', Fetch('$stack'), 8 * (location.offset + shift), name=name)
        if location.how == 'memory' and location.number in self.arch.dwarf:
            base = self.arch.dwarf[location.number]
            return Lvalue(type_, 'memory', Fetch('$stack' if base == self.arch.stack_pointer else '%' + base),
                          8 * location.offset, name=name)
        if location.how == 'constant':
            return Lvalue(type_, 'value', Fetch(f'\\{location.offset}'), name=name)
        if location.how == 'pieces':
            pieces = tuple((Fetch('%' + self.arch.dwarf[place.number]) if place.how == 'register' and place.number in
                            self.arch.dwarf else None, size) for place, size in location.pieces)
            return Lvalue(type_, 'pieces', Fetch(''), pieces=pieces, name=name)
        return refuse(f"'{name}' cannot be had here: {location.why or 'ftrace cannot read where it is'}", at)

    def _register(self, expr: Register) -> Lvalue:
        if self.kind == 'e':
            refuse('an event has no registers; name one of its fields', expr.at)
        if expr.name not in self.arch.registers:
            refuse(f"{self.arch.name} has no register '%{expr.name}' for ftrace{near(expr.name, self.arch.registers)}", expr.at)
        return Lvalue(self.word, 'value', Fetch('%' + expr.name), name=expr.name)

    def _special(self, expr: Special) -> Lvalue:
        name = expr.name
        own = self.kind == 'e' and (self.fields is None or name[1:] in self.fields)     # an event's field comes first
        if name in ('$comm', '$COMM') and not own:
            return Lvalue(Array(lambda: Int('char', 1, True), None), 'value', Fetch('$comm'), name='comm')
        if self.kind == 'e':
            return self._name(Name(name[1:], expr.at))
        if name == '$retval':
            return self._returned(expr.at)
        if re.fullmatch(r'\$stack\d*', name):
            return Lvalue(self.word, 'value', Fetch(name), name=name[1:])
        match = re.fullmatch(r'\$arg([1-9]\d?)', name)
        if self.site:
            refuse('in programs the variables are $retval, $comm, $stack and $stackN; an argument is %0, %1, ...', expr.at)
        if not match:
            refuse('the variables are $retval, $comm, $stack, $stackN and $argN', expr.at)
        if not self.entry:
            refuse(f"{name} is an argument only at the function's entry; name a register (%REG)", expr.at)
        if self.kind == 'r' and '$arg' not in self.abilities:
            refuse('this kernel has no $argN in return probes (Linux 6.9)', expr.at)
        word = Lvalue(self.word, 'value', Fetch(name), name=name[1:])
        return self._counted(int(match[1]), word, expr.at) if self.function else word

    def _counted(self, number: int, word: Lvalue, at: Span) -> Lvalue:
        """$argN counts registers: it is the parameter with that number where that is in the register with that number. At
        return it is the only way to write the others as well, for who says the type (as -S does)."""
        register = ''.join(self.arch.arguments[number - 1:number])
        if self.kind == 'r' and register and number > len(self.function.parameters if self.function else ()):
            return word
        lvalue = self._argument(Argument(number - 1, at)) if self.kind != 'r' else self._at_return(number - 1, at)
        if lvalue.how == 'value' and lvalue.fetch in (Fetch('%' + register), word.fetch):
            return lvalue._replace(fetch=word.fetch)
        if self.kind == 'r' and register:
            return word
        refuse(f"{word.fetch.base} counts registers, and this argument is not in the one it means; write %{number - 1}", at)

    def _at_return(self, index: int, at: Span) -> Lvalue:
        try:
            return self._argument(Argument(index, at))
        except InputError:                              # passed in no register
            return Lvalue(Void(), 'memory', Fetch(''))

    def _returned(self, at: Span) -> Lvalue:
        if self.kind != 'r':
            refuse(f"$retval is there when a function returns: use {'R' if self.site else 'r'}", at)
        fetch = Fetch('$retval')
        if not self.function:
            return Lvalue(self.word, 'value', fetch, name='retval')
        type_ = self.function.returns()
        if isinstance(type_, Void):
            refuse(f'{self.function.name} returns nothing', at)
        if isinstance(type_, Float):
            refuse(f'{self.function.name} returns a {spell(type_)}: ftrace reads no floating-point numbers', at)
        if isinstance(type_, Struct):
            passed = type_.passed() if self.function.language == 'C++' else '' if self.function.language else 'value'
            if passed == 'reference' and self.arch.by_value == 'sysv':
                return Lvalue(type_, 'memory', fetch, name='retval')
            if self.arch.by_value != 'sysv' or _has_float(type_) or _is_packed(type_) or not passed:
                refuse(f'{self.function.name} returns {spell(type_)} by value: where it is then is not settled', at)
            if (type_.size or 0) > 16:
                return Lvalue(type_, 'memory', fetch, name='retval')
            return Lvalue(type_, 'pieces', fetch, pieces=((fetch, 8), (None, 8)), name='retval')
        if (size_of(type_) or 0) > self.arch.word:
            refuse(f'{self.function.name} returns {spell(type_)}: wider than a register', at)
        return Lvalue(type_, 'value', fetch, name='retval')

    def _name(self, expr: Name) -> Lvalue:
        if self.kind == 'e':
            fields = self.fields
            if fields is not None and expr.name not in fields:
                refuse(f"the event has no field '{expr.name}'{near(expr.name, fields)}; it has {', '.join(fields)}", expr.at)
            field = fields[expr.name] if fields is not None else EventField(expr.name, Void(), False)
            type_ = Array(lambda: Int('char', 1, True), None) if field.string else field.type
            return Lvalue(type_, 'value', Fetch('$' + expr.name), name=expr.name)
        if self.site and self.site.operands is not None:
            refuse(f"a USDT probe's arguments have numbers, not names: %0 to %{max(len(self.site.operands) - 1, 0)}", expr.at)
        if not self.function:
            refuse(f"no debug information for this function: '{expr.name}' cannot be looked up; %0 or a register (%REG) can",
                   expr.at)
        names = [parameter.name for parameter in self.function.parameters]
        if expr.name not in names:
            more = f"; its parameters are {', '.join(names)}" if names else '; it has no parameters'
            refuse(f"{self.function.name} has no parameter '{expr.name}'{near(expr.name, names) or more}"
                   f" (a global is @{expr.name})", expr.at)
        return self._parameter(names.index(expr.name), expr.at)

    def _global(self, expr: Global) -> Lvalue:
        if self.site:
            return self._own_global(self.site, expr)
        variable = self.info.variable(expr.name)
        if variable and variable.per_cpu:
            refuse(f"'{expr.name}' is a per-cpu variable: each processor has its own, and ftrace cannot tell whose to read", expr.at)
        symbols = self.info.symbols.symbols(expr.name) if self.info.symbols else None
        if symbols is not None and not symbols:
            refuse(f"the kernel has no symbol '{expr.name}'", expr.at)
        if symbols and len(symbols) > 1:
            refuse(f"'{expr.name}' is the name of {len(symbols)} symbols, and the kernel would take the first", expr.at)
        type_ = variable.type if variable and not expr.offset else Void()
        return Lvalue(type_, 'memory', Fetch('@' + expr.name), 8 * expr.offset, name=expr.name)

    def _own_global(self, site: Site, expr: Global) -> Lvalue:
        """A global of the program or library itself."""
        found = {symbol.address: symbol for symbol in site.program.symbols.symbols(expr.name)}
        if len(found) != 1:
            refuse(f"{site.program.path} has {'no' if not found else len(found)} symbol{'s' * (len(found) > 1)} '{expr.name}'", expr.at)
        symbol = next(iter(found.values()))
        if symbol.sort == 'tls':
            refuse(f"'{expr.name}' is a thread's own (TLS), and ftrace cannot tell whose to read", expr.at)
        if symbol.sort == 'exported':
            refuse(f"'{expr.name}' is exported: a program linked with this library may have a copy of it that is used instead", expr.at)
        variable = self.info.variable(expr.name)
        type_ = variable.type if variable and not expr.offset else Void()
        return Lvalue(type_, 'memory', site.global_at(symbol.address), 8 * expr.offset, name=expr.name)

    def _fileoffset(self, expr: FileOffset) -> Lvalue:
        if not self.site:
            refuse('@+OFFSET is for programs (P, R); in the kernel write @symbol', expr.at)
        return Lvalue(Void(), 'memory', Fetch(f'@+{expr.number:#x}'), name='mem')

    def _address(self, expr: Address) -> Lvalue:
        return Lvalue(Void(), 'memory', Fetch(f'@{expr.number:#x}'), name='mem')

    def _immediate(self, expr: Immediate) -> Lvalue:
        text = expr.text[1:].startswith('"')
        if text and self.site:
            refuse('the kernel shows (fault) for a text written here when the probe is in a program', expr.at)
        return Lvalue(Array(lambda: Int('char', 1, True), None) if text else self.word, 'value', Fetch(expr.text), name='imm')

    def _offset(self, expr: Offset) -> Lvalue:
        inner = self.value(expr.inner)
        if isinstance(expr.inner, Special) and inner.how == 'memory':       # $retval of a struct is where it lies
            inner = Lvalue(self.word, 'value', inner.fetch)
        lvalue = self._address_in(inner, expr.at)
        return Lvalue(self.word, 'memory', lvalue.fetch, lvalue.bit + 8 * expr.offset, user=expr.user or lvalue.user, name='mem')

    def _address_in(self, lvalue: Lvalue, at: Span) -> Lvalue:
        """The value of what is to be used as an address: a pointer, or an integer as wide as one."""
        type_ = lvalue.type
        wide = isinstance(type_, (Pointer, Void)) or isinstance(type_, Int) and type_.size == self.arch.word
        if not wide and not (isinstance(type_, Array) and self.kind == 'e'):
            way = ': & before it gives its address' if lvalue.how == 'memory' and lvalue.width is None else ''
            refuse(f'{spell(type_)} is no address{way}', at)
        return self._loaded(lvalue, at)

    def _loaded(self, lvalue: Lvalue, at: Span) -> Lvalue:
        """The value of a pointer (or of what is used as one): 'value', its bit what is to be added to it."""
        if lvalue.how == 'value':
            return lvalue
        if lvalue.width is not None:
            refuse('a bit-field is no address', at)
        if lvalue.how == 'memory':
            return lvalue._replace(how='value', fetch=lvalue.fetch.at(lvalue.bit // 8, lvalue.user), bit=0)
        fetch = self._piece(lvalue, self.arch.bits, at)
        return lvalue._replace(how='value', fetch=fetch, bit=0)

    def _piece(self, lvalue: Lvalue, bits: int, at: Span) -> Fetch:
        """The one register that holds these bits of an object in registers; with a bit-field's kind where it is a part."""
        start = 0
        for fetch, size in lvalue.pieces:
            if start <= lvalue.bit and lvalue.bit + bits <= start + 8 * size:
                if fetch is None:
                    break
                if self.arch.order == 'big' and bits != 8 * size:
                    break
                if lvalue.bit == start:
                    return fetch
                return fetch._replace(kind=f'b{bits}@{lvalue.bit - start}/{self.arch.bits}')
            start += 8 * size
        return refuse('this part of the value is in no single register that ftrace can read', at)

    def _pointee(self, lvalue: Lvalue, at: Span) -> Lvalue:
        """*lvalue"""
        type_ = lvalue.type
        if isinstance(type_, Array):
            if lvalue.how != 'memory':
                refuse(f'{spell(type_)} is not in memory', at)
            return lvalue._replace(type=type_.element())
        if not isinstance(type_, Pointer):
            hint = ': write !(struct T *) before it' if is_untyped(type_) else ''
            refuse(f"no pointer, but {spell(type_)}{hint}", at)
        loaded = self._loaded(lvalue, at)
        return Lvalue(type_.target(), 'memory', loaded.fetch, loaded.bit, user=loaded.user, name=lvalue.name,
                      checks=lvalue.checks, words=lvalue.words)

    def _memberof(self, expr: MemberOf) -> Lvalue:
        if isinstance(expr.inner, Packet) and expr.name in PAYLOAD:
            return self._payload(expr.inner, expr.name, expr.arrow, expr.at)
        inner = self.value(expr.inner)
        if expr.arrow:
            inner = self._pointee(inner, expr.at)
        elif isinstance(inner.type, Pointer):
            refuse(f"{spell(inner.type)} is a pointer: write ->{expr.name}", expr.at)
        return self._member(inner, expr.name, expr.at)

    def _member(self, inner: Lvalue, name: str, at: Span) -> Lvalue:
        type_ = inner.type
        if not isinstance(type_, Struct):
            way = ': write *x before ->' if isinstance(type_, Pointer) else (
                ': cast the pointer first, ((struct T *)x)->m' if isinstance(type_, Void) else '')
            refuse(f"{spell(type_)} has no members{way}", at)
        type_ = self._defined(type_, at)
        found = find_member(type_, name)
        if not found:
            refuse(f"'{spell(type_)}' has no member '{name}'{near(name, member_names(type_))}", at)
        return inner._replace(type=found.type(), bit=inner.bit + found.bit, width=found.width, name=name)

    def _complete(self, type_: Struct) -> Struct:
        """The struct with its members, where one source of types only declares it, from another."""
        if type_.size is None and type_.name:
            found = self.info.named(type_.keyword, type_.name, self.scope)
            if isinstance(found, Struct):
                return found
        return type_

    def _defined(self, type_: Struct, at: Span) -> Struct:
        """The struct, refused where nothing tells its members."""
        found = self._complete(type_)
        if found.size is None:
            refuse(f'{spell(type_)} is declared, but the debug information has no definition of it; cast to a type it has', at)
        return found

    def _index(self, expr: Index) -> Lvalue:
        inner = self.value(expr.inner)
        if isinstance(inner.type, Array) and inner.type.length is not None and expr.number >= inner.type.length:
            refuse(f'the array has {inner.type.length} elements, the last is [{inner.type.length - 1}]', expr.at)
        if isinstance(inner.type, Array) and inner.how == 'pieces':
            size = size_of(inner.type.element())
            return inner._replace(type=inner.type.element(), bit=inner.bit + 8 * expr.number * (size or 1))
        element = self._pointee(inner, expr.at)
        size = size_of(element.type)
        if not size:
            refuse(f"{spell(element.type)} has no size to step by", expr.at)
        return element._replace(bit=element.bit + 8 * size * expr.number)

    def _dereference(self, expr: Dereference) -> Lvalue:
        return self._pointee(self.value(expr.inner), expr.at)

    def _addressof(self, expr: AddressOf) -> Lvalue:
        inner = self.value(expr.inner)
        if inner.how != 'memory' or inner.width is not None:
            refuse('only what is in memory, and no bit-field, has an address', expr.at)
        type_ = inner.type
        return inner._replace(type=Pointer(self.arch.word, functools.partial(_the, type_)), how='value')

    def type_named(self, name: TypeName) -> Type:
        """The C type a TypeName means, stars included."""
        keyword, _, rest = name.words.rpartition(' ')
        if keyword in ('struct', 'union', 'enum', 'class'):
            with self._about(name):
                found = self.info.named(keyword, rest, self.scope)
        else:
            found = plain_type(name.words, self.arch) if name.words != 'char' else None
            with self._about(name):
                found = found or self.info.named('', name.words, self.scope) or plain_type(name.words, self.arch)
        if not found:
            refuse(f"no type '{name.words}' in the debug information", name.at)
        for _ in range(name.stars):
            found = Pointer(self.arch.word, functools.partial(_the, found))
        return found

    @staticmethod
    @contextlib.contextmanager
    def _about(node: Any) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise InputError(error.message, error.at or node.at) from None

    def _cast(self, expr: Cast) -> Lvalue:
        inner: Lvalue = self.value(expr.inner)
        type_ = self.type_named(expr.type)
        known = not is_untyped(inner.type)
        if isinstance(type_, (Struct, Void, Float, Array)):
            refuse(f'{spell(type_)} is nothing a value could become; a pointer to it would be ({spell(type_)} *)', expr.type.at)
        if isinstance(inner.type, Array) and isinstance(type_, Pointer) and (inner.how == 'memory' or self.kind == 'e'):
            return inner._replace(type=type_, how='value')                  # an array becomes its address
        if isinstance(inner.type, (Struct, Array, Float)):
            scalar = self._scalar(inner)
            if not scalar:
                refuse(f'{spell(inner.type)} cannot be cast', expr.at)
            inner = scalar
        if known and isinstance(type_, Pointer) and (size_of(inner.type) or 0) < self.arch.word:
            refuse(f'{spell(inner.type)} is too narrow for a pointer', expr.at)
        if known and isinstance(type_, Int) and type_.name in ('bool', '_Bool') and spell(inner.type) not in ('bool', '_Bool'):
            refuse(f'{spell(inner.type)} as {type_.name} is 0 or 1, which ftrace cannot compute; compare it in the filter', expr.at)
        return self._resized(inner, type_, expr.at) if known else inner._replace(type=type_)

    def _resized(self, inner: Lvalue, type_: Type, at: Span) -> Lvalue:
        """A scalar as one of another size: a narrower one is its low bits; a wider one has its value, unless a negative
        number would become a large one."""
        had, bits = 8 * (size_of(inner.type) or 0), 8 * (size_of(type_) or 0)
        had = had if inner.width is None else inner.width
        if bits > had:
            signed = isinstance(inner.type, (Int, Enum)) and inner.type.signed
            if signed and isinstance(type_, (Int, Enum)) and not type_.signed:
                refuse(f'{spell(inner.type)} as {spell(type_)} makes large numbers of negative ones, which ftrace cannot do', at)
            return inner
        if self.arch.order == 'big' and inner.how == 'memory':
            inner = inner._replace(bit=inner.bit + had - bits)
        return inner._replace(type=type_, width=inner.width and bits)

    def _containerof(self, expr: ContainerOf) -> Lvalue:
        inner: Lvalue = self._address_in(self.value(expr.inner), expr.at)
        type_ = self.type_named(expr.type)
        if not isinstance(type_, Struct) or not expr.member:
            refuse('container_of(x, struct T, member) needs a struct and one of its members', expr.type.at)
        place = Lvalue(type_, 'memory', inner.fetch)
        for name in expr.member:
            place = self._member(place, name, expr.at)
        had = inner.type.target() if isinstance(inner.type, Pointer) else place.type
        if not isinstance(had, Void) and spell(had) != spell(place.type):
            refuse(f"this points to {spell(had)}, and '{'.'.join(expr.member)}' of {spell(type_)} is {spell(place.type)}", expr.at)
        return inner._replace(type=Pointer(self.arch.word, functools.partial(_the, type_)), bit=inner.bit - place.bit)

    def _usermemory(self, expr: UserMemory) -> Lvalue:
        lvalue = self._address_in(self.value(expr.inner), expr.at)
        return lvalue._replace(user=not self.site)                      # a program's probe reads no other memory

    def _packet(self, expr: Packet) -> Lvalue:
        """A pointer to the header, with the checks that it is there."""
        if expr.header not in HEADERS:
            refuse(f"'{expr.header}' is no packet header surftrace knows; they are {', '.join(HEADERS)}", expr.at)
        if expr.layer > HEADERS[expr.header].layer:
            refuse(f'with skb->data at {expr.layer}, {expr.header} lies before it, and how far is not known; reach it through '
                   f'%0->head and an offset, or probe a function where data points at {HEADERS[expr.header].layer}', expr.at)
        skb = self.value(expr.inner)
        if isinstance(skb.type, Int) and not skb.type.name:
            skb = skb._replace(type=self.type_named(TypeName('struct sk_buff', 1, expr.at)))
        if not isinstance(skb.type, Pointer) or spell(skb.type.target()) != 'struct sk_buff':
            way = f': write (*{skb_text(expr.inner)})' if spell(skb.type) == 'struct sk_buff **' else ''
            refuse(f'a struct sk_buff * is needed, and this is {spell(skb.type)}{way}', expr.inner.at)
        data = self._loaded(self._member(self._pointee(skb, expr.at), 'data', expr.at), expr.at)
        type_ = self.type_named(TypeName('struct ' + expr.header, 1, expr.at))
        return Lvalue(type_, 'value', data.fetch, 8 * header_offset(expr.header, expr.layer), name=expr.header,
                      checks=header_checks(data.fetch, expr.header, expr.layer, False, self.arch.order),
                      words=(f'{expr.header}@{expr.layer}',))

    def _payload(self, packet: Packet, name: str, arrow: bool, at: Span) -> Lvalue:
        """cdata, sdata, ... behind a header: an array of as many bytes each as there may be."""
        header = self._packet(packet)
        if not arrow:
            refuse(f'write ->{name}', at)
        size = PAYLOAD[name]
        element: Type = Int({1: 'u8', 2: 'u16', 4: 'u32', 8: 'u64'}[size], size, False) if size else Int('char', 1, True)
        checks = header_checks(header.fetch, packet.header, packet.layer, True, self.arch.order)
        whole: Type = Array(functools.partial(_the, element), None)
        if not size:
            whole = Array(functools.partial(_the, Array(functools.partial(_the, element), 1)), None)
        return header._replace(type=whole, how='memory', bit=header.bit + 8 * HEADERS[packet.header].size, name=name,
                               checks=checks, words=(f'{packet.header}.data@{packet.layer}',))

    # from a place to a field

    def field(self, arg: Arg) -> Field:
        """What the kernel is asked for an argument, and how the answer is shown."""
        lvalue = self.value(arg.expr)
        name = arg.name or lvalue.name or 'arg'
        if lvalue.words and lvalue.how == 'value':
            refuse('name a member of the header, with ->', arg.at)
        if lvalue.fetch.base[:4] == '$arg' and not lvalue.fetch.derefs and lvalue.type == self.word and self.function and not arg.word:
            refuse(f'{lvalue.fetch.base} counts registers, and none of the parameters is in that one alone; say a type', arg.at)
        format_: Optional[Format]
        if arg.word == 'text':
            fetches, format_ = self._counted_text(lvalue, arg.length, arg.word_at)
        elif arg.word and not KERNEL_TYPE.fullmatch(arg.word):
            fetches, format_ = self._formatted(lvalue, arg.word, arg.format, arg.word_at)
        elif arg.word:
            fetches, format_ = (self._typed(lvalue, arg.word, arg.word_at),), self._cut(lvalue, arg.word)
            if arg.format:
                refuse(f"'{arg.format}' and ':{arg.word}' both say how to show it", arg.word_at)
        else:
            fetches, format_ = self._default(lvalue, arg.format, arg.name, arg.at)
        return self.checked(Field(name, fetches, format_, lvalue.checks, lvalue.words, arg.at))

    def checked(self, field: Field) -> Field:
        """The field with a check for each pointer it goes through; a string says (fault) itself."""
        checks: List[Check] = []
        for fetch in (*field.fetches, *(check.fetch for check in field.checks)):
            if fetch.kind.split('[')[0] not in STRINGS:
                checks += [self._pointer_check(pointer, user) for pointer, user in fetch.pointers()]
        if any(abs(offset) >= 1 << 31 for fetch in field.fetches for offset, _ in fetch.derefs):
            refuse('the offset is wider than any kernel object', field.at)
        words = (field.format.word,) if field.format else ()
        return field._replace(checks=(*dict.fromkeys(checks), *field.checks), words=words + field.words)

    def _pointer_check(self, pointer: Fetch, user: bool) -> Check:
        top = (1 << self.arch.bits - 1) - 1 if self.arch.bits == 64 else self.arch.last_address
        pointer = pointer._replace(kind=f'x{self.arch.bits}')
        return Check(pointer, 4096, top) if user or self.site else Check(pointer, self.arch.kernel_from, self.arch.last_address)

    def _default(self, lvalue: Lvalue, letter: str, name: str, at: Span) -> Tuple[Tuple[Fetch, ...], Optional[Format]]:
        """By the C type: the table in the README, 'What a type becomes'."""
        prefixed = next((word for prefix, word in PREFIX_FORMATS.items() if name.startswith(prefix)), '')
        if prefixed and not letter and self._size(lvalue) == FORMATS[prefixed](prefixed, self.arch.order).size:
            return self._formatted(lvalue, prefixed, '', at)
        type_ = lvalue.type
        if isinstance(type_, Array) and not (is_char(type_.element()) and not letter):
            return (self._array(lvalue, letter, at),), None
        if isinstance(type_, Array):
            bounded = (type_.length or 0) > 1                               # char [1] is C's old way to say char []
            return (self._text(lvalue, at),), cut_format(f'cut({type_.length})', self.arch.order) if bounded else None
        if isinstance(type_, Pointer) and is_char(type_.target()) and not letter:
            return (self._text(self._pointee(lvalue, at), at),), None
        if isinstance(type_, Struct) and not letter and text_members(type_):
            return self._counted_text(lvalue, None, at)
        if isinstance(type_, Pointer) and isinstance(type_.target(), Function) and not letter and self.kind != 'e' and not self.site:
            return (self._fetched(lvalue, at)._replace(kind='symbol'),), None
        scalar = self._scalar(lvalue)
        if not scalar:
            self._refuse_whole(lvalue, at)
        return self._number(scalar, letter, at)

    def _size(self, lvalue: Lvalue) -> int:
        return size_of(lvalue.type) or 0 if lvalue.width is None else 0

    def _refuse_whole(self, lvalue: Lvalue, at: Span) -> NoReturn:
        type_ = lvalue.type
        if isinstance(type_, Struct):
            members = member_names(self._defined(type_, at))
            refuse(f"{spell(type_)} is more than one value; name a member: {', '.join(members[:8])}"
                   f"{', ...' if len(members) > 8 else ''}", at)
        if isinstance(type_, Float):
            refuse(f'{spell(type_)}: ftrace reads no floating-point numbers', at)
        if isinstance(type_, Void) and self.kind == 'e':
            refuse(f"the fields of this event are not known here; say its type: {lvalue.name}:u32, {lvalue.name}:string", at)
        if isinstance(type_, Void) and lvalue.how == 'memory' and lvalue.fetch.base.startswith('@'):
            refuse(f"no type is known for '{lvalue.name}'; say one: @{lvalue.name}:u64, !(struct T *)@{lvalue.name}->member", at)
        refuse(f'{spell(type_)} is no value ftrace can fetch', at)

    def _scalar(self, lvalue: Lvalue) -> Optional[Lvalue]:
        """The one scalar that a struct or union of one member holds (atomic_t, kuid_t), or the scalar itself."""
        for _ in range(16):
            type_ = lvalue.type
            if not isinstance(type_, Struct):
                break
            type_ = self._complete(type_)
            members = type_.members() if type_.size is not None else ()
            inner = members[0].type() if len(members) == 1 else None
            if inner is None or members[0].width is not None or size_of(inner) != type_.size:
                return None
            lvalue = lvalue._replace(type=inner, bit=lvalue.bit + members[0].bit)
        return lvalue if isinstance(lvalue.type, (Int, Enum, Pointer)) else None

    def _fetched(self, lvalue: Lvalue, at: Span) -> Fetch:
        """The fetch of a scalar that is no bit-field; its kind is left open."""
        if lvalue.how == 'value':
            if lvalue.bit:
                refuse(f"ftrace cannot add: this is {lvalue.fetch.text()} {lvalue.bit // 8:+d}; trace the pointer alone, or a "
                       f"member it points to", at)
            if lvalue.fetch.base.startswith('@') and not lvalue.fetch.derefs:
                refuse('ftrace reads what is at a symbol; the address itself is in /proc/kallsyms', at)
            return lvalue.fetch
        if lvalue.how == 'memory':
            return lvalue.fetch.at(lvalue.bit // 8, lvalue.user)
        return self._piece(lvalue, 8 * (size_of(lvalue.type) or 0), at)

    def _number(self, lvalue: Lvalue, letter: str, at: Span) -> Tuple[Tuple[Fetch, ...], Optional[Format]]:
        """An integer, enumerator, pointer or bit-field."""
        type_ = lvalue.type
        assert isinstance(type_, (Int, Enum, Pointer))
        if type_.size not in (1, 2, 4, 8):
            refuse(f'{spell(type_)} has {type_.size} bytes, and ftrace fetches 1, 2, 4 or 8', at)
        signed = letter == 'S' or not letter and not isinstance(type_, Pointer) and type_.signed
        fetch = self._bits(lvalue, at) if lvalue.width is not None else self._fetched(lvalue, at)
        if fetch.kind:                                                      # a bit-field, or a part of a register
            width = bit_width(fetch.kind)
            format_ = signed_format(f'S({width})', '') if signed else hex_format('X', '') if letter == 'X' else None
        else:
            shown = 's' if signed else 'x' if letter == 'X' or not letter and (
                isinstance(type_, Pointer) or isinstance(type_, Int) and not type_.name) else 'u'
            fetch, format_ = fetch._replace(kind=f'{shown}{8 * type_.size}'), None
        if isinstance(type_, Enum) and not letter:
            format_ = self._enum(type_, fetch.kind)
        return (fetch,), format_

    @staticmethod
    def _enum(type_: Enum, kind: str) -> Format:
        """By name, so that -S is short; an anonymous one carries its enumerators."""
        values = type_.enumerators()
        word = type_.name or ','.join(f'{name}={value}' for name, value in values)
        return enum_format(f'enum({word})', values, bit_width(kind))

    def _bits(self, lvalue: Lvalue, at: Span) -> Fetch:
        """A bit-field: read the smallest aligned container that holds it, which never reaches beyond its storage unit (in a
        packed struct one may be across the units: then the smallest from its first byte on), and count from that
        container's bit 0 (kernel/trace/trace_probe_tmpl.h: shift left, then right)."""
        width = lvalue.width or 0
        if lvalue.how == 'pieces':
            fetch = self._piece(lvalue, width, at)
            return fetch if fetch.kind else fetch._replace(kind=f'b{width}@0/{self.arch.bits}')
        if lvalue.how != 'memory':
            refuse('a bit-field of what is not in memory', at)
        units = [size for size in (1, 2, 4, 8) if size <= (size_of(lvalue.type) or 0)]
        places = [(lvalue.bit // (8 * size) * size, size) for size in units] + [(lvalue.bit // 8, size) for size in (1, 2, 4, 8)]
        for start, size in places:
            offset = lvalue.bit - 8 * start
            if offset + width <= 8 * size:
                offset = offset if self.arch.order == 'little' else 8 * size - offset - width
                return lvalue.fetch.at(start, lvalue.user)._replace(kind=f'b{width}@{offset}/{8 * size}')
        return refuse(f'a bit-field of {width} bits in more than 8 bytes', at)

    def _array(self, lvalue: Lvalue, letter: str, at: Span) -> Fetch:
        """TYPE[N] for an array of scalars."""
        type_ = lvalue.type
        assert isinstance(type_, Array)
        element = self._scalar(lvalue._replace(type=type_.element()))
        if isinstance(type_.element(), Array) or not element:
            refuse(f'{spell(type_)} is an array of more than numbers; name an element: [0]', at)
        if not type_.length or type_.length > 64:
            refuse(f"ftrace fetches arrays of 1 to 64 elements, and this has {type_.length or 'an unknown number'}; name an element "
                   f'([0]), or say how many (:x8[16])', at)
        if lvalue.how != 'memory' or lvalue.user:
            refuse('ftrace fetches arrays of numbers from kernel memory only; name an element: [0]', at)
        fetches, _ = self._number(element._replace(how='memory'), letter, at)
        return fetches[0]._replace(kind=f'{fetches[0].kind}[{type_.length}]')

    def _text(self, lvalue: Lvalue, at: Span) -> Fetch:
        """The string at a place in memory; what the kernel itself knows as one ($comm, an event's field) as it is."""
        if lvalue.how == 'memory':
            return lvalue.fetch.at(lvalue.bit // 8, lvalue.user)._replace(kind='string')
        if lvalue.how == 'value' and not lvalue.bit and lvalue.fetch.base[0] in '$\\':
            return lvalue.fetch._replace(kind='' if lvalue.fetch.base == '$comm' and self.kind != 'e' else 'string')
        return refuse('a string in registers: ftrace cannot read it', at)

    def _typed(self, lvalue: Lvalue, kind: str, at: Span) -> Fetch:
        """One of the kernel's fetch types, asked for by name."""
        base, type_ = kind.split('[')[0], lvalue.type
        untyped = is_untyped(type_)
        if self.site and base in ('symbol', 'symstr', '%pd', '%pD'):
            refuse(f'{base} is for the kernel; in a program an address is x{self.arch.bits}', at)
        if self.kind == 'e' and lvalue.how == 'value' and isinstance(type_, Void):
            return lvalue.fetch._replace(kind=kind)                         # a field nothing is known of: the kernel knows
        if lvalue.fetch.base == '$comm' and not lvalue.fetch.derefs and self.kind != 'e':
            return lvalue.fetch if kind == 'string' else refuse('$comm is a string', at)
        if base in ('string', 'ustring') or '[' in kind:
            place = self._behind(lvalue, kind, at)
            self._fits_array(lvalue, kind, at)
            return place.fetch.at(place.bit // 8, place.user and base != 'ustring')._replace(kind=kind) if (
                place.how == 'memory') else place.fetch._replace(kind=kind)
        scalar = lvalue if untyped else self._scalar(lvalue)
        if not scalar and isinstance(type_, Struct) and not lvalue.bit and (
                lvalue.how == 'pieces' or lvalue.fetch.base[:1] == '@' and not lvalue.fetch.derefs):
            untyped, scalar = True, lvalue._replace(type=self.word)     # the kernel's own %REG, $retval or @SYM
        if not scalar:
            self._refuse_whole(lvalue, at)
        return self._narrowed(scalar, kind, untyped, at)

    def _behind(self, lvalue: Lvalue, kind: str, at: Span) -> Lvalue:
        """What a string or an array is read from: what an address points to, or the object itself where it is none."""
        type_, size = lvalue.type, size_of(lvalue.type)
        untyped = is_untyped(type_)
        word = isinstance(type_, Int) and size == self.arch.word
        if isinstance(type_, Pointer) or word and (lvalue.how != 'memory' or not untyped and '[' not in kind):
            return self._loaded(lvalue, at)._replace(how='memory')
        known = lvalue.fetch.base[:1] in ('$', '\\') and isinstance(type_, Array)
        if lvalue.width is not None or lvalue.how != 'memory' and not known:
            refuse(f'{kind} needs something in memory', at)
        if '[' not in kind and not untyped and not isinstance(type_, (Array, Struct)) and size != 1:
            refuse(f'{spell(type_)} is no text and no address of one', at)
        return lvalue

    def _fits_array(self, lvalue: Lvalue, kind: str, at: Span) -> None:
        """Refuse an array that reaches beyond the C object it is asked of, or that the kernel cannot hold."""
        match = re.fullmatch(r'(?:[sux](\d+)|b\d+@\d+/(\d+)|(char)|.*)\[(\d+)\]', kind)
        untyped = isinstance(lvalue.type, Pointer) or is_untyped(lvalue.type)
        if not match:
            return
        count, size = int(match[4]), None if untyped or lvalue.how == 'value' else size_of(lvalue.type)
        bits = 8 if match[3] else int(match[1] or match[2] or self.arch.bits)
        if not 1 <= count <= 64:
            refuse('the kernel takes arrays of 1 to 64 elements', at)
        if size and count * bits // 8 > size:
            refuse(f'{spell(lvalue.type)} has {size} bytes, {kind} would read on behind it', at)

    def _counted_text(self, lvalue: Lvalue, length: Optional[Expr], at: Span) -> Tuple[Tuple[Fetch, ...], Format]:
        """A pointer and a length, the length an expression or, in a type that has both, a member."""
        if length is None:
            lvalue, counted = self._text_by_type(lvalue, at)
        else:
            counted = self.value(length)
        scalar = self._scalar(counted)
        if not scalar or not isinstance(scalar.type, (Int, Enum)):
            refuse(f'the length is {spell(counted.type)}, and not a number', at)
        count, _ = self._number(scalar, '', at)
        text = lvalue if isinstance(lvalue.type, Array) else self._behind(lvalue, 'text', at)
        if text.how != 'memory' or text.user or size_of(innermost(text.type) if isinstance(text.type, Array) else self._element(text)) != 1:
            refuse(f'text is bytes in memory that the probe can read as an array, and this is {spell(lvalue.type)}', at)
        chunks = tuple(text.fetch.at(text.bit // 8 + 64 * i)._replace(kind='x8[64]') for i in range(TEXT_CHUNKS))
        return (count[0]._replace(kind=re.sub('^x', 'u', count[0].kind)), *chunks), text_format('text', self.arch.order)

    @staticmethod
    def _element(lvalue: Lvalue) -> Type:
        """What a pointer to text points to; a plain word may be one."""
        target = lvalue.type.target() if isinstance(lvalue.type, Pointer) else lvalue.type
        return Int('char', 1, True) if is_untyped(target) else target

    def _text_by_type(self, lvalue: Lvalue, at: Span) -> Tuple[Lvalue, Lvalue]:
        """(the text, its length) of a type that is known to be text."""
        if isinstance(lvalue.type, Pointer):
            lvalue = self._pointee(lvalue, at)
        paths = text_members(lvalue.type) if isinstance(lvalue.type, Struct) else None
        if not paths:
            refuse(f'{spell(lvalue.type)} carries no length: say it, as in %0:text(%1)', at)
        found = []
        for path in paths:
            place = lvalue
            for name in path.split('.'):
                place = self._member(place, name, at)
            found.append(place)
        return found[0], found[1]

    def _cut(self, lvalue: Lvalue, kind: str) -> Optional[Format]:
        """How a string is shown that is asked of an array or struct in memory: not past its end."""
        size = size_of(lvalue.type) if isinstance(lvalue.type, (Array, Struct)) and lvalue.how == 'memory' else None
        return cut_format(f'cut({size})', self.arch.order) if size and kind in ('string', 'ustring') else None

    def _narrowed(self, lvalue: Lvalue, kind: str, untyped: bool, at: Span) -> Fetch:
        """A scalar by a fetch type that is not wider than it."""
        if lvalue.width is not None:
            refuse(f"'{lvalue.name}' is a bit-field: S, U or X before it say how to show it", at)
        fetch = self._fetched(lvalue, at)
        bits = 8 * (size_of(lvalue.type) or 0)
        match = re.fullmatch(r'[sux](\d+)|b(\d+)@(\d+)/(\d+)', kind)
        wanted = int(match[1] or match[4]) if match else 0
        if match and match[2] and not 0 < int(match[2]) <= wanted - int(match[3]):
            refuse(f'{match[2]} bits from bit {match[3]} on are not in {wanted} bits', at)
        if not untyped and wanted > bits:
            refuse(f'{spell(lvalue.type)} has {bits} bits, {kind} would read on behind it', at)
        if kind in ('symbol', 'symstr') and not untyped and bits != self.arch.bits:
            refuse(f'{spell(lvalue.type)} is no address', at)
        if match and wanted < bits and not untyped and lvalue.how == 'memory' and self.arch.order == 'big':
            fetch = lvalue.fetch.at((lvalue.bit + bits - wanted) // 8, lvalue.user)
        if fetch.kind and kind != fetch.kind:
            refuse('it is a part of a register: S, U or X before it say how to show it', at)
        return fetch._replace(kind=kind)

    def _formatted(self, lvalue: Lvalue, word: str, letter: str, at: Span) -> Tuple[Tuple[Fetch, ...], Format]:
        """One of surftrace's own types."""
        word = 'BE' + word[2:] if letter == 'X' and word[:2] == 'be' else word
        format_ = FORMATS[word](word, self.arch.order) if word in FORMATS and word != 'X' else None
        if not format_:
            refuse(f"unknown type '{word}'{near(word, ['string', 'ustring', 'symbol', 'symstr', 'u32', 'x64', *FORMATS])}: the "
                   f"kernel's are u8-u64 s8-s64 x8-x64 char string ustring symbol symstr b<width>@<offset>/<container>, "
                   f"surftrace's ip ip6 mac be16 be32 be64", at)
        if letter and not (letter == 'X' and word[:2] == 'BE'):
            refuse(f"'{letter}' and ':{word}' both say how to show it", at)
        untyped = is_untyped(lvalue.type)
        size = self._size(lvalue)
        if isinstance(lvalue.type, Pointer) and format_.size > 8:
            lvalue, size = self._pointee(lvalue, at), format_.size
        if size != format_.size and not untyped:
            refuse(f'{word} needs {format_.size} bytes, and {spell(lvalue.type)} has {size}', at)
        if len(format_.kinds) == 1 and lvalue.how != 'memory':
            fetch = self._fetched(lvalue, at)
            return (fetch if fetch.kind else fetch._replace(kind=format_.kinds[0]),), format_
        if lvalue.how != 'memory':
            refuse(f'{word} needs something in memory', at)
        fetches, offset = [], lvalue.bit // 8
        for kind in format_.kinds:
            fetches.append(lvalue.fetch.at(offset, lvalue.user)._replace(kind=kind))
            offset += int(kind[1:]) // 8
        return tuple(fetches), format_


def told(fields: List[Field], probe: Probe, resolver: Resolver) -> List[Field]:
    """The fields with what stands behind #! applied: formats, parts joined, packet headers."""
    for names, words, at in probe.words:
        found = [field for name in names for field in fields if field.name == name]
        if len(found) != len(names) or len(set(names)) != len(names):
            refuse(f"no argument is called {' or '.join(names)}", at)
        field = found[0]._replace(fetches=tuple(fetch for part in found for fetch in part.fetches), words=(), checks=())
        for word in re.split(r',(?![^(]*\))', words):
            header = re.fullmatch(r'(\w+)(\.data)?@(l[234])', word)
            if header and header[1] in HEADERS and field.fetches[0].derefs:
                last = field.fetches[0]
                data = Fetch(last.base, last.derefs[:-1])
                field = field._replace(words=(*field.words, word), checks=header_checks(
                    data, header[1], header[3], bool(header[2]), resolver.arch.order))
                continue
            field = field._replace(format=_word_format(word, field, resolver, at))
        joined = resolver.checked(field)
        fields = [joined if f is found[0] else f for f in fields if f is found[0] or f not in found]
    return fields


def _word_format(word: str, field: Field, resolver: Resolver, at: Span) -> Format:
    found = format_named(word, resolver.arch.order, field.kind)
    if not found and re.fullmatch(r'enum\(\w+\)', word):
        type_ = resolver.info.named('enum', word[5:-1], resolver.scope) or resolver.info.named('', word[5:-1], resolver.scope)
        found = enum_format(word, type_.enumerators(), bit_width(field.kind)) if isinstance(type_, Enum) else None
    if not found:
        refuse(f"'{word}' is no format surftrace knows", at)
    kinds = [fetch.kind or 'string' for fetch in field.fetches]
    number_, cut, signed = r'[sux]\d+|b\d+@\d+/\d+', r'u?string|symstr|%p[dD]', r'b%s@\d+/\d+'
    wanted = [rf'[ux]{kind[1:]}|b{kind[1:]}@\d+/\d+' for kind in found.kinds] or (
        [number_, *[r'x8\[64\]'] * TEXT_CHUNKS] if word == 'text' else []) or [
        cut if word.startswith('cut(') else signed % word[2:-1] if word.startswith('S(') else number_]
    if len(kinds) != len(wanted) or not all(map(re.fullmatch, wanted, kinds)):
        refuse(f"{word} wants {' and '.join(found.kinds) or 'another type'}, and this is {' and '.join(kinds)}", at)
    return found


# ---- Events ------------------------------------------------------------------------------------------------

class EventDef(NamedTuple):
    """One definition line of an event: letter 'p', 'r' (with its maxactive), 'e', 'P' or 'R', its place, its arguments."""
    letter: str
    name: str
    place: str
    args: Tuple[Tuple[str, Fetch], ...]

    @property
    def file(self) -> str:
        """The file of tracefs that takes it."""
        return {'e': 'dynamic_events', 'P': 'uprobe_events', 'R': 'uprobe_events'}.get(self.letter, 'kprobe_events')

    def definition(self, group: str = '') -> str:
        """As the kernel reads it (kprobetrace.rst, uprobetracer.rst, eprobetrace.rst)."""
        words = [f"{self.letter.lower()}:{group + '/' if group else ''}{self.name}", self.place]
        return ' '.join(words + [f'{name}={fetch.text()}' for name, fetch in self.args])

    def argument_at(self, column: int, group: str) -> Optional[int]:
        """The index of the argument at that column of the definition."""
        words = self.definition(group).split(' ')
        index = len(self.definition(group)[:column + 1].split(' ')) - 1
        return index - 2 if 2 <= index < len(words) else None


class Event(NamedTuple):
    """A traced event. Our own has definitions (several where it has several places); the kernel's own has a system.
    `hidden` are the checks and the names they are fetched under; `filter` is the kernel's text."""
    name: str
    system: str
    definitions: Tuple[EventDef, ...]
    fields: Tuple[Field, ...]
    hidden: Tuple[Tuple[str, Check], ...]
    filter: str
    told: str                               # what -S adds: the words behind #!, the filter as the user wrote it
    probe: Probe
    program: Optional[Program] = None

    def lines(self) -> List[str]:
        """What -S prints."""
        if not self.definitions:
            return [f'#! e {self.system}/{self.name}' + (f' {self.told}' if self.told else '')]
        shown = len(self.definitions[0].args) - len(self.hidden)
        return [definition._replace(args=definition.args[:shown]).definition() + (f' #! {self.told}' if self.told else '')
                for definition in self.definitions]


class Target(NamedTuple):
    """One place a probe is put at: as the kernel is told, what is known of the function, and where it is in a program."""
    place: str
    name: str
    function: Optional[Function]
    entry: bool
    site: Optional[Site] = None


class Kernel(NamedTuple):
    """What the traced kernel is asked while events are made; a kernel elsewhere (-S, -o) gives no formats or names."""
    info: DebugInfo
    abilities: FrozenSet[str]
    event_format: Callable[[str, str], Optional[str]]       # the text of events/SYSTEM/NAME/format
    event_names: Callable[[], List[str]]                    # every SYSTEM/NAME
    functions: Callable[[], Optional[FrozenSet[str]]]       # those ftrace lists as traceable
    note: Callable[[str], None]                             # a word for the user
    seal: int = 0                                           # a number that nobody outside can know, 0 where there is none
    program: Callable[[str], Optional[Program]] = lambda name: None     # what a path or name means, None if nothing
    live: bool = False                                      # whether the probes are to be set, by this process
    force: bool = False                                     # whether to do what may crash a program


GLOB_CAP = 100                              # a pattern that matches more functions than this is cut, with a word


# where


def function_targets(probe: Probe, kernel: Kernel) -> List[Target]:
    """The places of a p or r line; a module's file may have a '-' where its name has '_'."""
    place = probe.place._replace(module=probe.place.module.replace('-', '_'))
    probe = probe._replace(place=place)
    if place.glob:
        return [one_target(probe._replace(place=place._replace(function=name)), kernel) for name in matching(place, kernel)]
    return [one_target(probe, kernel)]


def matching(place: Place, kernel: Kernel) -> List[str]:
    """The functions a pattern stands for, at most GLOB_CAP of them."""
    functions = kernel.functions()
    names = sorted(name for name in kernel.info.function_names() if fnmatch.fnmatchcase(name, place.function)
                   and (functions is None or name in functions) and '.' not in name)
    if kernel.info.symbols is not None:                         # one of several functions of a name has to be chosen by its file
        table = kernel.info.symbols.function_symbols
        names = [name for name in names if len(table[name]) == 1 and place.module in ('', table[name][0].module)]
    if not names:
        refuse(f"no function that can be traced matches '{place.function}'", place.at)
    if len(names) > GLOB_CAP:
        kernel.note(f"'{place.function}' matches {len(names)} functions; only the first {GLOB_CAP} are traced")
    return names[:GLOB_CAP]


def one_target(probe: Probe, kernel: Kernel) -> Target:
    """The place of a p or r line whose function is named."""
    place, symbols = probe.place, kernel.info.symbols
    found = [symbol for symbol in symbols.symbols(place.function) if symbol.code] if symbols is not None else []
    if place.module:
        return module_target(probe, [symbol for symbol in found if symbol.module == place.module], kernel)
    if symbols is None:
        if not kernel.info.function(place.function):
            refuse(f"no function '{place.function}'{near(place.function, kernel.info.function_names())}", place.at)
        return placed(probe, place.function, None, '', kernel)
    if not found:
        absent(place, kernel)
    if len(found) > 1 or place.file:
        return chosen(probe, found, kernel)
    return placed(probe, place.function, None, found[0].module, kernel)


def module_target(probe: Probe, found: List[Symbol], kernel: Kernel) -> Target:
    """The place of a p or r line in a module that is named. It need not be loaded: the kernel takes the probe and sets it when
    the module comes (trace_kprobe_module_callback in kernel/trace/trace_kprobe.c)."""
    place, module = probe.place, kernel.info.module(probe.place.module)
    table = kernel.info.symbols.function_symbols if kernel.info.symbols and not found else {}
    names = [name for name, symbols in table.items() if any(symbol.module == place.module for symbol in symbols)] or (
        module.file.function_symbols if module.file else ())
    if len(found) > 1:
        refuse(f"'{place.function}' is there {len(found)} times in {place.module}, and the kernel would take the first", place.at)
    if names and not found and place.function not in names:
        refuse(f"the module {place.module} has no function '{place.function}'{near(place.function, names)}", place.at)
    if module.loaded is False and not names and not module.file:
        kernel.note(f"no module '{place.module}' is loaded, and none is installed for this kernel: the probe waits for one of that name")
    elif module.loaded is False:
        kernel.note(f"the module '{place.module}' is not loaded: the probe waits for it")
    return placed(probe, place.function, None, place.module, kernel)


def absent(place: Place, kernel: Kernel) -> NoReturn:
    """Say why a function is not there: only as a compiler's copy, inlined everywhere, or not at all."""
    name, names = place.function, list(kernel.info.function_names())
    copies = [other for other in names if re.fullmatch(re.escape(name) + r'\.(isra|constprop|part)\.\d+.*', other)]
    if copies:
        refuse(f"'{name}' is there only as {', '.join(sorted(copies))}: the compiler changed its parameters in that copy. Name "
               f'the copy; with DWARF its parameters are found where they are', place.at)
    if any(other.startswith(f'{name}.llvm.') for other in names):
        refuse(f"'{name}' has been renamed by the compiler: {next(o for o in names if o.startswith(name + '.llvm.'))}", place.at)
    dwarf = kernel.info.dwarf
    files = dwarf.inlined_into(name) if dwarf else []
    if files:
        refuse(f"'{name}' is inlined everywhere it is called ({', '.join(files[:3])}{', ...' if len(files) > 3 else ''}): there is "
               f'no function to probe; probe one that calls it', place.at)
    hint = '' if dwarf else '; it may be inlined everywhere (only DWARF tells)' if kernel.info.function(name) else ''
    refuse(f"the kernel has no function '{name}'{near(name, names) or hint}", place.at)


def chosen(probe: Probe, found: List[Symbol], kernel: Kernel) -> Target:
    """The one of several functions of a name that FUNC@FILE means, as _text+N: the kernel takes no file names."""
    place, dwarf = probe.place, kernel.info.dwarf
    modules = sorted({symbol.module for symbol in found})
    if len(modules) == len(found) > 1:
        refuse(f"'{place.function}' is there {len(found)} times; say which: "
               f"{', '.join(f'{module}:{place.function}' for module in modules if module)}", place.at)
    if not dwarf:
        refuse(f"'{place.function}' is there {len(found)} times, and only DWARF tells which is in which file", place.at)
    compiled = [symbol for symbol in dwarf.executable.symbols(place.function) if symbol.code]
    sources = {symbol: dwarf.source_at(symbol.address) for symbol in compiled}
    wanted = [symbol for symbol in compiled if place.file and ('/' + sources[symbol]).endswith('/' + place.file)]
    listed = ', '.join(sorted({source or '?' for source in sources.values()}))
    if not place.file:
        refuse(f"'{place.function}' is there {len(found)} times; say which: {place.function}@FILE with one of {listed}", place.at)
    if len(wanted) != 1:
        refuse(f"{len(wanted) or 'no'} '{place.function}' in {place.file}; it is in {listed}", place.at)
    start = dwarf.executable.symbols('_text')
    if len(compiled) == 1 or not start:
        return placed(probe, place.function, wanted[0].address, '', kernel)
    target = placed(probe, place.function, wanted[0].address, '', kernel)
    offset = wanted[0].address - start[0].address + (int(target.place.partition('+')[2] or 0))
    return target._replace(place=f'_text+{offset}')


def placed(probe: Probe, name: str, address: Optional[int], module: str, kernel: Kernel) -> Target:
    """The Target of a function that is one."""
    place, info = probe.place, kernel.info.for_module(module)
    offset = place.offset
    if place.line is not None:
        dwarf = info.dwarf
        if not dwarf:
            refuse('line numbers need DWARF', place.at)
        if address is None:
            compiled = [symbol for symbol in dwarf.executable.symbols(name) if symbol.code]
            address = compiled[0].address if len(compiled) == 1 else None
        if address is None:
            refuse(f"'{name}' is not one function in {dwarf.path}", place.at)
        with Resolver._about(place):
            offset = dwarf.line_offset(name, address, place.line)
    function = info.function(name, address, offset)
    if function and function.inlined:
        kernel.note(f"'{name}' is also inlined at {function.inlined} place{'s' * (function.inlined > 1)} of its file; calls there "
                    f'are not seen')
    text = f"{module + ':' if module else ''}{name}{f'+{offset}' if offset else ''}"
    copy = function is None and is_changed_copy(name)                             # whose arguments are where nobody knows
    return Target(text, name, function, offset == 0 and not copy)


# where: programs


def split_object(place: Place, kernel: Kernel) -> Tuple[Program, str]:
    """What the shortest part of the text before a colon names, and what is behind it; either may be quoted, or the whole."""
    quoted = re.fullmatch(r'"([^"]*)"(:.*)?', place.text)
    text = place.text if not quoted else f'{quoted[1]}{quoted[2] or ""}'
    for match in re.finditer(':', text):
        with Resolver._about(place):
            program = kernel.program(text[:match.start()]) if match.start() else None
        if program:
            rest = text[match.end():]
            return program, f'"{rest}"' if quoted and not quoted[2] else rest
    name = place.text.partition(':')[0]
    refuse(f"no program or library '{name}': a path, a program in $PATH or a library's soname, whole or up to .so, is looked for",
           (place.at[0], place.at[0] + len(name)))


def kernel_path(program: Program, kernel: Kernel, at: Span) -> str:
    """The program's path in a definition, in which words end at blanks and # begins a comment: a process may name such a
    file by a descriptor of its own, which is looked up while the definition is written."""
    if not re.search(r'[\s#]', program.path):
        return program.path
    if kernel.live:
        return f'/proc/{os.getpid()}/fd/{program.executable.descriptor}'
    refuse('the kernel takes no path with a blank or a # in it; make a link to it', at)


def site_place(site: Site, kernel: Kernel, at: Span, semaphore: int = 0) -> str:
    """PATH:OFFSET[(SEMAPHORE)], offsets in the file (uprobetracer.rst)."""
    executable = site.program.executable
    offset = executable.offset_of(site.address)
    if offset is None or executable.code_at(offset) is None:
        refuse(f'{site.address:#x} is not in a part of {site.program.path} that is loaded to be executed', at)
    counter = executable.offset_of(semaphore) if semaphore else None
    return f'{kernel_path(site.program, kernel, at)}:{offset:#x}' + (f'({counter:#x})' if counter is not None else '')


def program_targets(probe: Probe, kernel: Kernel) -> List[Target]:
    """The places of a P or R line: several where FUNC is a pattern."""
    place = probe.place
    program, rest = split_object(place, kernel)
    if program.is_go and probe.kind == 'R' and not kernel.force:
        refuse(f'{program.path} is a Go program: a return probe changes return addresses, and Go moves its stacks, so it would '
               f'crash. Probe the entry with P; --force does it all the same', place.at)
    raw = re.fullmatch(r'(0[xX][0-9a-fA-F]+|\d+)(?:\((\w+)\))?', rest)
    if raw:
        return [raw_target(probe, program, int(raw[1], 0), int(raw[2] or '0', 0), kernel)]
    name, quoted = (rest[1:-1], True) if re.fullmatch('"[^"]*"', rest) else (rest, False)
    found, offset = named_functions(name, program), 0
    split = re.fullmatch(r'(.+)\+(0[xX][0-9a-fA-F]+|\d+)', rest) if not found else None
    if split:
        name, offset = split[1].strip('"'), whole_number(split[2])
        found = named_functions(name, program)
    if not found and not quoted and not offset and re.search(r'[*?\[]', name):
        return [function_target(probe, program, symbol, 0, kernel) for symbol in matching_functions(name, program, place, kernel)]
    if not found:
        absent_in_program(name, program, place, kernel)
    if len(found) > 1:
        ways = {f'"{demangled(s.name)}"' if demangled(s.name) else f'{program.executable.offset_of(s.address) or 0:#x}' for s in found}
        refuse(f"'{name}' is there {len(found)} times; write one of them behind the colon: {', '.join(sorted(ways)[:6])}", place.at)
    if offset and probe.kind == 'R':
        refuse('a return is that of a whole function: no offset', place.at)
    return [function_target(probe, program, found[0], offset, kernel)]


def named_functions(name: str, program: Program) -> List[Symbol]:
    """The functions of that name, one an address: the symbol's, else that of the source in C++ and Rust."""
    found = [symbol for symbol in program.symbols.symbols(name) if symbol.code] or program.symbols.named_in_source(name)
    return list({symbol.address: symbol for symbol in found}.values())


def matching_functions(pattern: str, program: Program, place: Place, kernel: Kernel) -> List[Symbol]:
    """The functions a pattern stands for, one an address, at most GLOB_CAP of them."""
    found: Dict[int, Symbol] = {}
    for name, symbols in sorted(program.symbols.function_symbols.items()):
        source = demangled(name) if '::' in pattern or '<' in pattern else ''
        if any(fnmatch.fnmatchcase(text, pattern) for text in ({name} | spellings(source))):
            for symbol in symbols:
                found.setdefault(symbol.address, symbol)
    if not found:
        refuse(f"no function in {program.path} matches '{pattern}'", place.at)
    if len(found) > GLOB_CAP:
        kernel.note(f"'{pattern}' matches {len(found)} functions; only the first {GLOB_CAP} are traced")
    return list(found.values())[:GLOB_CAP]


def absent_in_program(name: str, program: Program, place: Place, kernel: Kernel) -> NoReturn:
    """Say why a function is not there: another file's, chosen at run time, no function, or not at all."""
    found = program.symbols.every_symbol(name)
    sorts = {symbol.sort for symbol in found}
    if 'ifunc' in sorts:
        others = sorted(other for other in program.symbols.function_symbols if other.lstrip('_').startswith(name.lstrip('_') + '_'))
        refuse(f"'{name}' is an IFUNC: the dynamic linker chooses one of several functions for it"
               + (f" ({', '.join(others[:8])}{', ...' if len(others) > 8 else ''}): probe that one" if others else ', whose names '
                  "are not in this file; its debug package may have them"), place.at)
    if sorts == {'undefined'}:
        owner = next((soname for soname in program.executable.needed for other in [kernel.program(soname)]
                      if other and named_functions(name, other)), '')
        refuse(f"{program.path} calls '{name}' and has it not"
               + (f': it is in {owner}, write {owner}:{name}' if owner else '; it is in a library'), place.at)
    if any(symbol.section and not symbol.code for symbol in found):
        refuse(f"'{name}' is data, not a function; @{name} fetches it", place.at)
    files = program.info.dwarf.inlined_into(name) if program.info.dwarf else []
    if files:
        refuse(f"'{name}' is inlined everywhere it is called ({', '.join(files[:3])}): there is no function to probe; probe one that "
               'calls it', place.at)
    names = program.symbols.function_symbols
    stems = {other: other.partition('.')[0] for other in names if '.' in other}
    copies = [other for other, stem in stems.items() if name == stem or name in spellings(demangled(stem))]
    if copies:
        refuse(f"'{name}' is there only as {', '.join(sorted(copies))}: the compiler changed its parameters in that copy. Name the copy; "
               'with debug information its parameters are found where they are', place.at)
    sources = {without_parameters(demangled(other)) for other in names} if '::' in name else set()
    known = near(name, [*names, *sources])
    stripped = '' if known or program.executable.contents('.symtab') or len(program.symbols.files) > 1 else (
        ': its symbols are stripped, and no debug file for it is installed')
    refuse(f"{program.path} has no function '{name}'{known or stripped}", place.at)


def function_target(probe: Probe, program: Program, symbol: Symbol, offset: int, kernel: Kernel) -> Target:
    """The Target of a function of a program, or of a place inside it."""
    site = Site(program, symbol.address + offset)
    function = program.info.function(symbol.name, symbol.address, offset)
    if offset:
        check_boundary(probe, program, symbol, offset, kernel)
    if function and function.inlined:
        kernel.note(f"'{symbol.name}' is also inlined at {function.inlined} place{'s' * (function.inlined > 1)} of its file; calls "
                    f'there are not seen')
    name = demangled(symbol.name) or symbol.name
    return Target(site_place(site, kernel, probe.place.at), name, function, not offset, site)


def raw_target(probe: Probe, program: Program, offset: int, semaphore: int, kernel: Kernel) -> Target:
    """The Target at an offset in the file."""
    address = program.executable.code_at(offset)
    if address is None:
        refuse(f'{offset:#x} is not in a part of {program.path} that is loaded to be executed', probe.place.at)
    site = Site(program, address)
    text = site_place(site, kernel, probe.place.at) + (f'({semaphore:#x})' if semaphore else '')
    if any(note.address == address for note in program.executable.usdt_notes()):
        return Target(text, f'{offset:#x}', None, False, site)
    symbol = program.symbols.function_at(address)
    if symbol and symbol.address == address:
        return function_target(probe, program, symbol, 0, kernel)
    if symbol:
        return function_target(probe, program, symbol, address - symbol.address, kernel)
    if not kernel.force:
        refuse(f'no symbol of {program.path} covers {offset:#x}, so nothing tells whether an instruction begins there; a probe '
               'inside one crashes the program. --force sets it all the same', probe.place.at)
    return Target(text, f'{offset:#x}', None, False, site)


def check_boundary(probe: Probe, program: Program, symbol: Symbol, offset: int, kernel: Kernel) -> None:
    """Refuse a place that is not the first byte of an instruction, which would crash the program."""
    if kernel.force:
        return
    if symbol.size and offset >= symbol.size:
        refuse(f"'{symbol.name}' has {symbol.size} bytes, +{offset} is behind it", probe.place.at)
    code = program.executable.bytes_at(symbol.address, symbol.size)
    starts = instruction_starts(program.executable.arch, code, symbol.address)
    if starts is None:
        refuse(f'whether an instruction begins at {symbol.name}+{offset} is not known, as Python has no capstone here (pip install '
               'capstone); a probe inside one crashes the program. --force sets it all the same', probe.place.at)
    if symbol.address + offset not in starts:
        at = bisect.bisect(starts, symbol.address + offset)
        around = [f'+{start - symbol.address}' for start in starts[max(0, at - 1):at + 1]]
        refuse(f'no instruction begins at {symbol.name}+{offset}, and a probe inside one crashes the program; the nearest are '
               f"{' and '.join(around) or 'not known'}", probe.place.at)


def usdt_targets(probe: Probe, kernel: Kernel) -> List[Target]:
    """The sites of the USDT probes a u line means; their names are PROVIDER:NAME."""
    place = probe.place
    program, rest = split_object(place, kernel)
    notes = program.executable.usdt_notes()
    provider, _, name = rest.rpartition(':')
    found = [note for note in notes if fnmatch.fnmatchcase(note.name, name) and fnmatch.fnmatchcase(note.provider, provider or '*')]
    names = sorted({f'{note.provider}:{note.name}' for note in notes})
    if not notes:
        refuse(f'{program.path} has no USDT probes (.note.stapsdt)', place.at)
    if not found:
        listed = f"; it has {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
        known = near(rest, [*names, *(text.partition(':')[2] for text in names)])
        refuse(f"{program.path} has no USDT probe '{rest}'{known or listed}", place.at)
    if len({note.provider for note in found}) > 1 and not provider:
        refuse(f"several providers have '{name}': {', '.join(sorted({note.provider for note in found}))}", place.at)
    if any(note.semaphore for note in found) and 'ref_ctr' not in kernel.abilities:
        refuse('this probe counts who listens (a semaphore), and this kernel cannot count for it (Linux 4.20)', place.at)
    return [usdt_target(note, program, kernel, place.at) for note in found]


def usdt_target(note: UsdtNote, program: Program, kernel: Kernel, at: Span) -> Target:
    """The Target of one site."""
    site = Site(program, note.address, split_operands(note.operands))
    return Target(site_place(site, kernel, at, note.semaphore), f'{note.provider}:{note.name}', None, False, site)


def syscall_hint(probe: Probe, target: Target, arch: Arch) -> str:
    """For a system call's wrapper, whose one parameter holds the registers of the user, what to write for an argument."""
    if not re.match(r'__(x64|ia32|arm64|s390x?|riscv|powerpc)_(compat_)?sys_', target.name) or not arch.syscall:
        return ''
    bare = [arg for arg in probe.args if isinstance(arg.expr, (Argument, Name))]
    ways = ', '.join(f'%0->{member}' for member in arch.syscall)
    return (f"%0 of {target.name} is a struct pt_regs *, the registers of the caller: its arguments are {ways}; a string is "
            f'user((char *)%0->{arch.syscall[1]})') if bare else ''


# what


def make_events(probes: Sequence[Tuple[Probe, str]], kernel: Kernel) -> List[Event]:
    """The events of all lines; (probe, source) each. Lines that give the same name are one event with several places."""
    made: Dict[str, Event] = {}
    for index, (probe, source) in enumerate(probes):
        with located(probe.text, source), finite():
            for event in probe_events(probe, index, kernel):
                key = f'{event.system}/{event.name}'
                made[key] = merged(made[key], event) if key in made else event
    return list(made.values())


@contextlib.contextmanager
def finite() -> Iterator[None]:
    """A line is never nested so deeply (DEEPEST), a C type never contains itself; what a damaged file has may."""
    try:
        yield
    except RecursionError:
        raise DebugInfoError('the debug information is damaged: it has a type that contains itself') from None


def merged(first: Event, second: Event) -> Event:
    """One event of two that have a name in common: the kernel wants the same arguments, by name and type."""
    if not first.definitions or not second.definitions:
        refuse(f"the event {first.system}/{first.name} is traced already", second.probe.place.at)
    if signature(first) != signature(second):
        refuse(f"the event '{first.name}' has several places: they need the same kind, names, types, formats, pointers and filter",
               second.probe.place.at)
    return first._replace(definitions=first.definitions + second.definitions)


def signature(event: Event) -> object:
    """What two events have in common whose places the kernel takes for one event, and whose records are shown alike."""
    return ([(name, fetch.kind) for name, fetch in event.definitions[0].args], event.definitions[0].letter, event.filter, event.told,
            [check._replace(fetch=Fetch('')) for _, check in event.hidden],
            [[[check._replace(fetch=Fetch('')) for check in field.checks], field.name] for field in event.fields])


def probe_events(probe: Probe, index: int, kernel: Kernel) -> List[Event]:
    """The events of one line: several where its place is a pattern."""
    name = probe.event or f'f{index}'
    if probe.kind == 'e':
        return [kernel_event(probe, name, system, event, kernel) for system, event in matching_events(probe.place, kernel)]
    targets = {'P': program_targets, 'R': program_targets, 'u': usdt_targets}.get(probe.kind, function_targets)(probe, kernel)
    several = probe.place.glob or len({target.name for target in targets}) > 1
    events, refusals = [], []
    for target in targets:
        try:
            own = f"{name}_{re.sub(r'[^A-Za-z0-9_]+', '_', target.name)}"[:63] if several else name
            events.append(target_event(probe, own, target, kernel))
        except InputError as error:
            refusals.append((target.place if probe.kind == 'u' else target.name, error))
    if not events:
        raise refusals[0][1]
    if refusals:
        kernel.note(f"{len(refusals)} of the {len(targets)} places of '{probe.place.text}' are left out, as they have no such "
                    f"arguments: {', '.join(left for left, _ in refusals[:5])}{', ...' if len(refusals) > 5 else ''}")
    return of_one_kind(events)


def of_one_kind(events: Sequence[Event]) -> List[Event]:
    """The events with those of a name made one, as far as the kernel takes them for one: the same arguments, by name and
    type; what differs gets a number."""
    made: Dict[str, Event] = {}
    for event in events:
        names = (event.name, *(f'{event.name[:60]}_{i}' for i in range(2, 1000)))
        name = next(name for name in names if name not in made or signature(made[name]) == signature(event))
        renamed = event._replace(name=name, definitions=tuple(d._replace(name=name) for d in event.definitions))
        made[name] = merged(made[name], renamed) if name in made else renamed
    return list(made.values())


def target_event(probe: Probe, name: str, target: Target, kernel: Kernel) -> Event:
    """The event of a p or r line at one place."""
    hint = syscall_hint(probe, target, kernel.info.arch)
    if hint:
        kernel.note(hint)
    if target.site:
        info = target.site.program.info
    else:
        info = kernel.info.for_module(target.place.partition(':')[0] if ':' in target.place else '')
    resolver = Resolver(info, 'r' if probe.kind in 'rR' else 'p', target.function, target.entry, kernel.abilities, site=target.site)
    letter = 'P' if probe.kind == 'u' else probe.kind + probe.maxactive
    event = own_event(probe, name, letter, target.place, resolver, kernel.seal)
    return event._replace(program=target.site and target.site.program)


def matching_events(place: Place, kernel: Kernel) -> List[Tuple[str, str]]:
    """(system, event) of an e line."""
    if not place.glob:
        if kernel.event_format(place.system, place.function) is None and kernel.event_names():
            refuse(f"no event '{place.system}/{place.function}'"
                   f"{near(f'{place.system}/{place.function}', kernel.event_names())}", place.at)
        return [(place.system, place.function)]
    pattern = f'{place.system}/{place.function}'
    found = [name for name in kernel.event_names() if fnmatch.fnmatchcase(name, pattern)]
    if not found:
        refuse(f"no event matches '{pattern}'", place.at)
    if len(found) > GLOB_CAP:
        kernel.note(f"'{pattern}' matches {len(found)} events; only the first {GLOB_CAP} are traced")
    return [(name.split('/')[0], name.split('/')[1]) for name in sorted(found)[:GLOB_CAP]]


def event_fields(text: str, arch: Arch) -> Dict[str, EventField]:
    """The fields in the text of a format file (Documentation/trace/events.rst), the common ones left out."""
    fields = {}
    for declaration, size, signed in re.findall(r'field:([^;]+);\s*offset:\d+;\s*size:(\d+);\s*signed:(\d);', text):
        parts = re.fullmatch(r'(.*?)\s*\b(\w+)\s*((?:\[.*\])?)', declaration.strip())
        words, name, array = parts.groups() if parts else ('', declaration, '')
        if name.startswith('common_'):
            continue
        string = 'char' in words and bool(array or '[' in words or '*' in words) and 'unsigned' not in words
        pointer = re.fullmatch(r'(?:const )?(struct \w+) \*', words)
        type_: Type = Int(words, int(size), signed == '1')
        if array or '[' in words:
            type_ = Array(lambda: Int('', 8, False), None)
        elif '*' in words:
            type_ = Pointer(arch.word, lambda: Void()) if not pointer else Int('', arch.word, False)
        fields[name] = EventField(name, type_, string)
    return fields


def raw_event_fields(event: str, info: DebugInfo) -> Optional[Dict[str, EventField]]:
    """The fields of an event of a kernel elsewhere, from the struct that include/trace/stages makes of it: an event of a
    class of its own has one of its name."""
    found = info.named('struct', f'trace_event_raw_{event}')
    if not isinstance(found, Struct):
        return None
    fields = {}
    for member in found.members():
        type_, name = member.type(), re.sub('^__data_loc_', '', member.name)
        if member.name not in ('ent', '__data'):
            string = isinstance(type_, Array) and is_char(type_.element())
            fields[name] = EventField(name, Void() if name != member.name else type_, string)
    return fields


def kernel_event(probe: Probe, name: str, system: str, event: str, kernel: Kernel) -> Event:
    """A trace event as it is, or with arguments an event probe on it."""
    text = kernel.event_format(system, event)
    fields = event_fields(text, kernel.info.arch) if text else raw_event_fields(event, kernel.info)
    if not probe.args:
        filter_ = FilterText((), (), fields, kernel.info.arch).text(probe.filter) if probe.filter else ''
        return Event(event, system, (), (), (), filter_, filter_source(probe), probe)
    resolver = Resolver(kernel.info, 'e', fields=fields)
    own = f'{name}_{event}'[:63] if probe.place.glob else name
    return own_event(probe, own, 'e', f'{system}/{event}', resolver)


def filter_source(probe: Probe) -> str:
    """The filter as it was written, with its f:."""
    at = split_line(probe.text, probe.place.at[1])[2]
    return re.sub(r'\s*\n\s*', ' ', probe.text[at:].strip()) if at >= 0 else ''     # none of them in quotes: _string


def part_names(field: Field) -> Tuple[str, ...]:
    """The names a field's parts are fetched under."""
    return (field.name, *(f'{field.name}_{i}' for i in range(2, len(field.fetches) + 1)))


def own_event(probe: Probe, name: str, letter: str, place: str, resolver: Resolver, seal: int = 0) -> Event:
    """An event of ours: fields in the user's order, then what is fetched unseen. Behind strings that is also the seal, by
    which the end of a record is told from a text that imitates it."""
    fields = unique(told([resolver.field(arg) for arg in probe.args], probe, resolver), probe)
    taken = {part for field in fields for part in part_names(field)}
    hidden: List[Tuple[str, Check]] = []
    sealed = seal and any((fetch.kind or 'string').split('[')[0] in STRINGS for field in fields for fetch in field.fetches)
    for check in (*dict.fromkeys(check for field in fields for check in field.checks), *[sealed_with(seal)] * bool(sealed)):
        stem = 'hdr' if check.word else 'ptr' if check.low != check.high else 'end'
        fresh = (f'{stem}{i}' for i in range(1, 999))
        label = next(label for label in fresh if label not in taken)
        taken.add(label)
        hidden.append((label, check))
    args = [pair for field in fields for pair in zip(part_names(field), field.fetches)]
    args += [(label, check.fetch) for label, check in hidden]
    limits(probe, fields, args)
    words = [f"{'+'.join(part_names(field))}:{','.join(field.words)}" for field in fields if field.words]
    words = [f'={word}' if word.startswith('f:') else word for word in words]       # f: would be the filter
    filter_ = FilterText(fields, hidden, {}, resolver.arch).text(probe.filter) if probe.filter else ''
    source = filter_source(probe)
    return Event(name, '', (EventDef(letter, name, place, tuple(args)),), tuple(fields), tuple(hidden), filter_,
                 ' '.join(words + [source] * bool(source)), probe)


def sealed_with(seal: int) -> Check:
    """The check of a number that the probe itself puts at the end."""
    return Check(Fetch(f'\\{seal}', kind='u32'), seal, seal)


def unique(fields: List[Field], probe: Probe) -> List[Field]:
    """The fields with names of their own: a name that was left out gives way to one that was written."""
    written = {arg.name for arg in probe.args if arg.name}
    seen: Set[str] = set()
    out: List[Field] = []
    given = [arg.name for arg in probe.args]
    for field in fields:
        name, own = field.name, field.name in given
        name = name if own or name not in RESERVED else f'{name}_'
        name, count = name[:29], 1
        while not own and (name in written or name in seen) or name in seen:
            count += 1
            name = f'{field.name[:27]}_{count}'
        seen.update(part_names(field._replace(name=name)))
        out.append(field._replace(name=name))
    return out


def limits(probe: Probe, fields: Sequence[Field], args: Sequence[Tuple[str, Fetch]]) -> None:
    """The kernel's limits that hold everywhere (kernel/trace/trace_probe.h: MAX_TRACE_ARGS, FETCH_INSN_MAX)."""
    if len(args) > 128:
        refuse(f'{len(args)} arguments, with those that guard pointers; the kernel takes 128', probe.place.at)
    for field in fields:
        for fetch in field.fetches:
            if len(fetch.derefs) > 13:
                refuse('a chain of more than 13 pointers is longer than the kernel takes', field.at)
            if len(fetch.text()) > 254:
                refuse(f'this becomes {len(fetch.text())} characters; the kernel takes 254 (up to Linux 6.18, 63)', field.at)


# which: filters


GENERIC_FIELDS = {'common_type': 'u16', 'common_flags': 'u8', 'common_preempt_count': 'u8', 'common_pid': 's32', 'comm': 'string',
                  'COMM': 'string', 'cpu': 'u32', 'CPU': 'u32', 'common_cpu': 'u32', '__probe_ip': 'x64', '__probe_func': 'x64',
                  '__probe_ret_ip': 'x64'}
OPPOSITE = {'==': '!=', '!=': '==', '<': '>=', '>=': '<', '>': '<=', '<=': '>'}
ORDERING = ('<', '<=', '>', '>=')


class FilterText:
    """From a filter as the user wrote it to the kernel's (Documentation/trace/events.rst, 5): names looked up, strings
    quoted, addresses and enumerators made numbers, numbers held against the field's width, and each comparison of what is
    behind a pointer guarded. Negations are pushed down to the comparisons: a value that is not there is neither less than
    four nor not less than four."""

    def __init__(self, fields: Sequence[Field], hidden: Sequence[Tuple[str, Check]],
                 event: Optional[Dict[str, EventField]], arch: Arch) -> None:
        self._fields = {field.name: field for field in fields}
        self._labels = {check: label for label, check in hidden}
        self._event, self._arch = event, arch           # None: the fields of this event are not known here

    def text(self, filter_: Filter, negated: bool = False) -> str:
        """The kernel's text."""
        if isinstance(filter_, Not):
            return self.text(filter_.inner, not negated)
        if isinstance(filter_, Compare):
            return self._compare(filter_, negated)
        op = filter_.op if not negated else '&&' if filter_.op == '||' else '||'
        parts = [self.text(part, negated) for part in filter_.parts]
        return op.join(f'({part})' if op == '&&' and _splits(part, '||') else part for part in parts)

    def _compare(self, compare: Compare, negated: bool) -> str:
        op = OPPOSITE.get(compare.op) if negated else compare.op
        field = self._fields.get(compare.field.split('.')[0])
        if op is None:                                                  # & and ~ have no opposite
            return self._guarded(field, f'!({self._plain(compare, compare.op, field)})')
        return self._guarded(field, self._plain(compare, op, field))

    def _guarded(self, field: Optional[Field], text: str) -> str:
        """The comparison behind the checks of its field."""
        if not field or not field.checks:
            return text
        guards = [self._guard(check) for check in field.checks]
        return f"({'&&'.join(guards)}&&{f'({text})' if _splits(text, '||') else text})"

    def _guard(self, check: Check) -> str:
        label = self._labels[check]
        if check.low == check.high:
            return f'{label}=={check.low}'
        low = f'{label}>={check.low:#x}' if check.low > 4096 or check.word else f'{label}>{check.low - 1}'
        return f'{low}&&{label}<={check.high:#x}'

    def _plain(self, compare: Compare, op: str, field: Optional[Field]) -> str:
        if field:
            return self._own_field(compare, op, field)
        name = compare.field.split('.')[0]
        known = self._event.get(name) if self._event else None
        if known:
            kind = 'string' if known.string or compare.field.endswith('.ustring') else self._kind(known.type)
            return f'{compare.field}{op}{self._constant(compare, op, kind)}'
        if name not in GENERIC_FIELDS and self._event is not None:
            names = [*self._fields, *self._event]
            listed = f"; there are {', '.join(names[:12] or ['common_pid', 'comm', 'cpu'])}"
            refuse(f"the event has no field '{name}'{near(name, [*names, *GENERIC_FIELDS]) or listed}", compare.at)
        kind = GENERIC_FIELDS.get(name, '')
        return f'{compare.field}{op}{self._constant(compare, op, kind)}'

    @staticmethod
    def _kind(type_: Type) -> str:
        if isinstance(type_, Void):
            return ''
        return f"{'s' if type_.signed else 'u'}{8 * type_.size}" if isinstance(type_, Int) and type_.size in (1, 2, 4, 8) else (
            'u64' if isinstance(type_, Pointer) else 'array')

    def _own_field(self, compare: Compare, op: str, field: Field) -> str:
        name, format_, kind = field.name, field.format, field.kind or 'string'
        if '.' in compare.field:
            return self._in_function(compare, op, kind)
        if kind in STRINGS:
            self._fits(compare, op, format_)
        if not format_ or kind in STRINGS:
            return f'{name}{op}{self._constant(compare, op, kind)}'
        if compare.quoted or op == '~':
            refuse(f"'{name}' is shown as {format_.word}, and is no string to the kernel", compare.value_at)
        try:
            numbers = format_.parse(compare.value)
        except (ValueError, OverflowError):
            refuse(f"'{compare.value}' is no value of '{name}' ({format_.word.split('(')[0]})", compare.value_at)
        if op in ORDERING and not format_.ordered:
            return self._ordered(compare, op, name, format_, numbers[0])
        if len(numbers) > 1 and op not in ('==', '!='):
            refuse(f"'{name}' can be compared only with == and !=", compare.at)
        numbers = tuple(self._in_range(compare, part.kind, value) for part, value in zip(field.fetches, numbers))
        join = '&&' if op == '==' else '||'
        return join.join(f'{part}{op}{value}' for part, value in zip(part_names(field), numbers))

    @staticmethod
    def _in_function(compare: Compare, op: str, kind: str) -> str:
        """x.function==f: whether an address is within a function (Linux 6.4)."""
        if not compare.field.endswith('.function') or kind not in ('u64', 'x64', 's64', 'symbol') or op not in ('==', '!='):
            refuse('.function is for addresses, with == and !=', compare.at)
        if not re.fullmatch(r'[\w.]+', compare.value):
            refuse("a function's name expected", compare.value_at)
        return f'{compare.field}{op}{compare.value}'

    @staticmethod
    def _fits(compare: Compare, op: str, format_: Optional[Format]) -> None:
        """A string in an array of N bytes that fills it is read on by the kernel, and so is never equal."""
        size = len(compare.value.encode('utf-8', 'surrogateescape'))
        if format_ and format_.word.startswith('cut(') and op != '~' and size >= int(format_.word[4:-1]):
            refuse(f'the array holds {format_.word[4:-1]} bytes, this is longer than what fits with a NUL', compare.value_at)

    @staticmethod
    def _ordered(compare: Compare, op: str, name: str, format_: Format, value: int) -> str:
        """Order on a signed bit-field, whose negative numbers the kernel sees as the large half."""
        if not format_.signed:
            refuse(f"the kernel cannot order '{name}': it compares the bytes as they lie in memory; == and != work", compare.at)
        half = 1 << format_.signed - 1
        if value < half:                                                # compared with a number that is not negative
            return f'({name}>={half}||{name}{op}{value})' if op[0] == '<' else f'({name}<{half}&&{name}{op}{value})'
        return f'({name}>={half}&&{name}{op}{value})' if op[0] == '<' else f'({name}<{half}||{name}{op}{value})'

    def _constant(self, compare: Compare, op: str, kind: str) -> str:
        """The right side for a field of that fetch type."""
        if '[' in kind or kind == 'array':
            refuse(f"'{compare.field}' is an array, which the kernel's filters cannot compare; fetch one element", compare.at)
        if kind in STRINGS or compare.quoted and not kind:
            return self._string(compare, op)
        if compare.value.startswith('CPUS{') or compare.field.endswith('.function') or not kind:
            return compare.value if not re.search(r'[^\w{},.*?/:+-]', compare.value) else self._string(compare, op)
        if op == '~':
            refuse(f"'{compare.field}' is a number; ~ is for strings", compare.at)
        if compare.quoted and not (kind == 'char' and len(compare.value) == 1):
            refuse(f"'{compare.field}' is a number ({kind})", compare.value_at)
        try:
            value = ord(compare.value) if compare.quoted else whole_number(compare.value)
        except ValueError:
            refuse(f"'{compare.value}' is no number, and '{compare.field}' is one ({kind})", compare.value_at)
        return str(self._in_range(compare, kind, value))

    @staticmethod
    def _string(compare: Compare, op: str) -> str:
        if op not in ('==', '!=', '~'):
            refuse(f"'{compare.field}' is a string: ==, != and ~ (with * and ?) compare it", compare.at)
        if len(compare.value.encode('utf-8', 'surrogateescape')) > 255 or re.search('[\0\n]', compare.value):
            refuse('a text is up to 255 bytes for the kernel, none of them NUL, and on one line', compare.value_at)
        quote = '"' if '"' not in compare.value else "'"
        if quote in compare.value:
            refuse('the kernel cannot compare with a text that has both kinds of quotes', compare.value_at)
        return f'{quote}{compare.value}{quote}'

    @staticmethod
    def _in_range(compare: Compare, kind: str, value: int) -> int:
        """The number, held against the field's width: the kernel cuts it without a word."""
        match = re.match(r'([suxb])(\d+)', kind)
        bits, signed = int(match[2]) if match else 8 if kind == 'char' else 64, bool(match and match[1] == 's')
        low, high = -(1 << bits - 1), 1 << bits - 1 if signed else 1 << bits
        if signed and high <= value < 1 << bits and compare.op in ('==', '!=', '&') and '0x' in compare.value.lower():
            value -= 1 << bits                                          # its bits, as one reads them in a dump
        if not signed and value < 0:
            if compare.op not in ('==', '!=') or value < low:
                refuse(f"'{compare.field}' has no sign; S before its expression makes it signed", compare.value_at)
            value += 1 << bits
        if not low <= value < high:
            refuse(f"'{compare.field}' has {bits} bits: it is never {compare.value}", compare.value_at)
        return value


def _splits(text: str, op: str) -> bool:
    """Whether the text has the operator outside brackets and quotes."""
    bare = re.sub(r'"[^"]*"|\'[^\']*\'', '', text)
    while '(' in bare:
        bare, before = re.sub(r'\([^()]*\)', '', bare), bare
        if bare == before:
            break
    return op in bare


# the lines of trace_pipe


# What begins a record (kernel/trace/trace_output.c, trace_print_context): the task's name has at most 15 bytes, of any kind
HEAD = re.compile(rb'^(?! =>) *(?s:.{0,15})-(?P<pid>\d+) +(?:\( *(?P<tgid>[\d-]+)\) +)?\[\d+\] (?:\S{5} )? *[\d.]+: '
                  rb'(?:(?P<event>\w+): )?', re.M)
LOST = re.compile(rb'^CPU:\d+ \[LOST (?:(\d+) )?EVENTS\]\n', re.M)
FRAME = re.compile(rb' => +(/.*)\[\+0x([0-9a-f]+)\]')
BETWEEN = re.compile(rb'^(?:CPU:\d+ \[LOST .*| =>.*|<(?:user )?stack trace>)\n', re.M)
PLAIN = rb'[ -~]'                                       # what may go to a terminal without a look
NO_COLON = rb'[ -9;-~]'


class Decoder:
    """Lines of trace_pipe, decoded: values that cannot be trusted replaced, formats applied, what is fetched unseen taken
    away, control characters made visible. A block in which every line is plain (an event of ours, its pointers good, no
    value to be rewritten) goes through one regular expression; any other goes record by record: a string may hold newlines
    and all that a record has, but not the seal at its end."""

    def __init__(self, events: Sequence[Event], tasks: FrozenSet[int] = frozenset(),
                 function_at: Optional[Callable[[str, int], str]] = None) -> None:
        self.counts = {event.name: 0 for event in events}
        self.lost = 0
        self._events = {event.name: event for event in events}
        self._records = {event.name: record_pattern(event) for event in events if event.definitions}
        self._seals = {event.name: seal_text(event) for event in events}
        self._fast = re.compile(rb'^(?:' + rb'|'.join(fast_pattern(event) for event in events) + rb')$', re.M)
        self._names = list(self._events)
        self._tasks = tasks                             # threads and processes to be shown; none: all
        self._function_at = functools.lru_cache(1 << 16)(function_at) if function_at else None      # of a user stack
        self._pending = b''                             # records that are not whole yet

    def block(self, data: bytes, limit: Optional[int] = None) -> bytes:
        """Whole lines, decoded; no more than `limit` events of them."""
        count = data.count(b'\n')
        if not self._tasks and not self._pending and (limit is None or limit > count):
            found = self._fast.findall(data)
            if len(found) == count:
                return self._counted(found)
        data, self._pending = self._pending + data, b''
        heads = list(HEAD.finditer(data))
        out = [self._between(data[:heads[0].start() if heads else len(data)])]
        at, last = 0, None if limit is None else limit + sum(self.counts.values())
        while at < len(heads) and (last is None or sum(self.counts.values()) < last or not heads[at]['event']):
            text, at = self._record(data, heads, at)
            out.append(text)
        return b''.join(out)

    def _counted(self, found: List[Any]) -> bytes:
        if len(self._names) == 1:
            self.counts[self._names[0]] += len(found)
            return b'\n'.join(found) + b'\n' if found else b''
        for name, column in zip(self._names, zip(*found)):
            self.counts[name] += len(found) - column.count(b'')
        return b''.join(map(b''.join, zip(map(b''.join, found), (b'\n',) * len(found))))

    def finish(self) -> bytes:
        """What is left of a record that never ended."""
        rest, self._pending = self._pending, b''
        head = HEAD.match(rest)
        return self._if_wanted(head, self._broken(head)) if head else b''

    def _between(self, text: bytes) -> bytes:
        """What is no record: lost events, the lines of a stack."""
        self.lost += sum(int(count or 1) for count in LOST.findall(text))
        return b''.join(visible(self._frame(line) + b'\n') for line in text.split(b'\n')[:-1])

    def _frame(self, line: bytes) -> bytes:
        """A line of a user stack with the function in it (trace_output.c, seq_print_user_ip: the file, and how far behind the
        start of its mapping)."""
        frame = FRAME.fullmatch(line) if self._function_at else None
        if not frame or not self._function_at:
            return line
        found = self._function_at(frame[1].decode('utf-8', 'surrogateescape'), int(frame[2], 16))
        return b' => ' + found.encode('utf-8', 'surrogateescape') + b' (' + frame[1] + b')' if found else line

    def _record(self, data: bytes, heads: Sequence[re.Match[bytes]], at: int) -> Tuple[bytes, int]:
        """The record at that head, and which head is next."""
        head, name, next_ = heads[at], (heads[at]['event'] or b'').decode(), at + 1
        end = heads[next_].start() if next_ < len(heads) else len(data)
        if name not in self._records:
            lost = LOST.search(data, head.end(), end)
            stop = lost.start() if lost else end
            whole = visible(data[head.start():stop]) if name in self._events else self._between(data[head.start():stop])
            return self._if_wanted(head, whole) + self._between(data[stop:end]), next_
        sealed = data.find(self._seals[name], head.end()) + len(self._seals[name])
        while next_ < len(heads) and heads[next_].start() < sealed:         # heads in a string
            next_ += 1
            end = heads[next_].start() if next_ < len(heads) else len(data)
        match = self._records[name].match(data, head.end(), end)
        if next_ == len(heads) and (not match or sealed < head.end()) and len(data) - head.start() < 1 << 16:
            self._pending = data[head.start():]
            return b'', next_
        if not match or BETWEEN.sub(b'', data[match.end():end]) or ambiguous(self._events[name], match):
            return self._if_wanted(head, self._broken(head)), next_
        shown = visible(head[0]) + visible(match[1]) + decoded(self._events[name], match) + b'\n'
        return self._if_wanted(head, shown) + self._between(data[match.end():end]), next_

    def _if_wanted(self, head: re.Match[bytes], text: bytes) -> bytes:
        """The text of a record and its place in the count, if it is of a task that is to be shown."""
        tasks = {int(head['pid']), int(head['tgid']) if (head['tgid'] or b'-').isdigit() else 0}
        if self._tasks and not tasks & self._tasks:
            return b''
        name = (head['event'] or b'').decode()
        if name in self.counts:
            self.counts[name] += 1
        return text

    def _broken(self, head: re.Match[bytes]) -> bytes:
        """A record whose end cannot be told from the text of its strings."""
        return visible(head[0]) + b'(a string in it reads like other values: not decoded)\n'


def record_pattern(event: Event) -> re.Pattern[bytes]:
    """What the kernel prints behind 'EVENT: ' (kernel/trace/trace_kprobe.c, print_kprobe_event): the place, each argument. Of
    two readings the one in which the last string is longest is taken, since the numbers behind it are the kernel's."""
    parts = [rb'(\([^)]*\))']
    for name, fetch in event.definitions[0].args:
        parts.append(rb' ' + name.encode() + rb'=(' + value_pattern(fetch) + rb')')
    return re.compile(b''.join(parts) + rb'\n', re.S)


def seal_text(event: Event) -> bytes:
    """How a record of the event ends, b'' where it has no seal."""
    return b''.join(f' {label}={check.low}\n'.encode() for label, check in event.hidden if check == sealed_with(check.low))


def ambiguous(event: Event, match: re.Match[bytes]) -> bool:
    """Whether a string holds what could be its end and the next value, with another string behind it that could be the
    rest: each was matched as long as possible, but what is behind the last one is the kernel's."""
    args = event.definitions[0].args
    strings = [i for i, (_, fetch) in enumerate(args) if (fetch.kind or 'string').split('[')[0] in STRINGS]
    return any(re.search(rb'["}] ' + args[i + 1][0].encode() + b'=', match[i + 2]) for i in strings[:-1])


def value_pattern(fetch: Fetch) -> bytes:
    """How the kernel prints a value of that fetch type (kernel/trace/trace_probe.c, PRINT_TYPE_FUNC)."""
    kind = fetch.kind.split('[')[0] or 'string'
    if fetch.kind.endswith(']'):
        return rb'\{.*\}'
    if kind in STRINGS:
        return rb'".*"|\(fault\)'
    if kind in ('symbol', 'char'):
        return rb"'.'" if kind == 'char' else rb'\S+(?: \[\w+\])?'
    return rb'0x[0-9a-f]+' if kind[0] == 'x' else rb'-?\d+'


def decoded(event: Event, match: re.Match[bytes]) -> bytes:
    """The fields of a record as they are shown."""
    values = [match[i] for i in range(2, len(event.definitions[0].args) + 2)]
    shown, at = [], 0
    numbers = {check: int(values[len(values) - len(event.hidden) + i], 0) for i, (_, check) in enumerate(event.hidden)}
    for field in event.fields:
        parts = values[at:at + len(field.fetches)]
        at += len(field.fetches)
        empty = field.format is not None and field.format.word == 'text' and parts[0] == b'0'     # then the pointer may be any
        checks = field.checks[:-1] if empty else field.checks
        verdict = next((word for word in (check.verdict(numbers[check]) for check in checks) if word), '')
        text = verdict.encode() if verdict else parts[0] if not field.format or parts[0] == b'(fault)' else field.format.show(
            [part.decode('utf-8', 'surrogateescape') for part in parts]).encode('utf-8', 'surrogateescape')
        shown.append(b' ' + field.name.encode() + b'=' + visible(text))
    return b''.join(shown)


def fast_pattern(event: Event) -> bytes:
    """A whole line of the event that needs nothing but its unseen part taken away; for an event of ours with formats that
    rewrite, one that matches nothing."""
    head = rb'(' + NO_COLON + rb'*: ' + event.name.encode() + rb': '
    if not event.definitions:
        return head + PLAIN + rb'*)'
    parts, at, args = [rb'\([ -(*-~]*\)'], 0, event.definitions[0].args
    for field in event.fields:
        cut = int(field.format.word[4:-1]) if field.format and field.format.word.startswith('cut(') else None
        if field.format and cut is None:
            return rb'(?!)()'
        for name, fetch in args[at:at + len(field.fetches)]:
            text = rb'"[ !#-~]{0,%d}"' % cut if cut is not None else rb'"[ !#-~]*"'
            kind = fetch.kind.split('[')[0] or 'string'
            strict = text if kind in STRINGS else value_pattern(fetch) if kind not in ('symbol', 'char') else rb'[!-~]+'
            parts.append(rb' ' + name.encode() + rb'=' + (rb'\{[^}"\n]*\}' if fetch.kind.endswith(']') else strict))
        at += len(field.fetches)
    tail = b''.join(rb' ' + label.encode() + rb'=' + good_pattern(check) for label, check in event.hidden)
    return head + b''.join(parts) + rb')' + tail


def good_pattern(check: Check) -> bytes:
    """The text of a value that is surely within the bounds; others are looked at one by one."""
    if check.low == check.high:
        return str(check.low).encode() if check.fetch.kind[0] != 'x' else hex(check.low).encode()
    if (check.low, check.high) == (4096, (1 << 63) - 1):
        return rb'0x[1-9a-f][0-9a-f]{3,14}'
    digits = f'{check.low:x}'
    if check.high == 0xfffffffffffff000 and len(digits) == 16:
        stem = digits.rstrip('0')
        return rb'0x(?!f{13})' + stem.encode() + rb'[0-9a-f]{%d}' % (16 - len(stem))
    return rb'(?!)'


CONTROL = re.compile(rb'[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\n(?!\Z)')


def visible(line: bytes) -> bytes:
    """The line with control characters, which a terminal would obey, written as \\xNN; a last newline stays."""
    if not CONTROL.search(line):
        return line
    return CONTROL.sub(lambda match: b''.join(b'\\x%02x' % byte for byte in match[0]), line)


# ---- Plan --------------------------------------------------------------------------------------------------
# Paths are below tracefs. An undo of None: the change goes with the instance, or with an undo before it.

class Mkdir(NamedTuple):
    """A directory made; below instances/ that makes an instance."""
    path: str


class Rmdir(NamedTuple):
    """A directory removed; an instance goes with its buffer, filters and settings."""
    path: str


class Write(NamedTuple):
    """A line written; files of definitions are appended to. An optional one is left out where the file is not there."""
    path: str
    text: str
    optional: bool = False


class Open(NamedTuple):
    """A file opened for reading and held: an instance whose trace_pipe is open cannot be removed, which tells other runs
    that this one lives."""
    path: str


class Close(NamedTuple):
    """A held file let go."""
    path: str


Change = Union[Mkdir, Rmdir, Write, Open, Close]


class Step(NamedTuple):
    """A change of the machine, and what undoes it."""
    do: Change
    undo: Optional[Change]


class Run(NamedTuple):
    """What a run wants beside its events."""
    group: str                              # the name of its instance and of its group of events
    stacks: bool = False
    user_stacks: bool = False
    buffer_kb: Optional[int] = None         # for each processor
    pids: Tuple[int, ...] = ()              # thread ids to trace, those they start included


def plan(events: Sequence[Event], run: Run) -> List[Step]:
    """Every change of a run, in order; undone in reverse. The instance comes first and goes last, so that whoever finds a
    group without one may sweep it away; each filter comes before its enable; a probe is removed when its event is off."""
    instance = f'instances/{run.group}'
    steps = [Step(Mkdir(instance), Rmdir(instance)), Step(Open(f'{instance}/trace_pipe'), Close(f'{instance}/trace_pipe'))]
    settings = [('options/irq-info', '0'), ('buffer_percent', '0'), ('options/disable_on_free', '1')]
    wanted = [('buffer_size_kb', str(run.buffer_kb))] if run.buffer_kb else []
    wanted += [('options/stacktrace', '1')] if run.stacks else []
    wanted += [('options/userstacktrace', '1'), ('options/sym-userobj', '1')] if run.user_stacks else []
    if run.pids:
        wanted += [('options/record-tgid', '1'), ('options/event-fork', '1'), ('set_event_pid', ' '.join(map(str, run.pids)))]
    steps += [Step(Write(f'{instance}/{path}', text, True), None) for path, text in settings]
    steps += [Step(Write(f'{instance}/{path}', text), None) for path, text in wanted]
    for event in events:
        for count, definition in enumerate(event.definitions):
            removal = Write(definition.file, f'-:{run.group}/{definition.name}')
            steps.append(Step(Write(definition.file, definition.definition(run.group)), None if count else removal))
    for event in events:
        folder = f'{instance}/events/{event.system or run.group}/{event.name}'
        if event.filter:
            steps.append(Step(Write(f'{folder}/filter', event.filter), None))
        steps.append(Step(Write(f'{folder}/enable', '1'), Write(f'{folder}/enable', '0')))
    return steps


GROUP_IN_SCRIPT = '\0'                      # stands for the group in the plan of a script: no line of a user can hold it


def shell_quote(text: str) -> str:
    """The text in double quotes for any POSIX shell, the group as its variable."""
    return '"' + re.sub(r'([\\"$`])', r'\\\1', text).replace(GROUP_IN_SCRIPT, '$group') + '"'


def shell_command(change: Change) -> str:
    """The change as a command of the script, in whose functions the rest lies."""
    path = shell_quote(change.path)
    if isinstance(change, Write):
        return f"{'maybe' if change.optional else 'put'} {path} {shell_quote(change.text)}"
    return {Mkdir: f'mkdir "$tracefs"/{path}', Rmdir: f'rmdir "$tracefs"/{path}', Open: f'exec 3<"$tracefs"/{path}',
            Close: 'exec 3<&-'}[type(change)]


def shown_command(change: Change, root: str) -> str:
    """The change as a command one could type."""
    path = f'{root}/{change.path}'
    if isinstance(change, Write):
        quoted = "'" + change.text.replace("'", "'\\''") + "'"
        return f"echo {quoted} {'>>' if change.path.endswith('_events') else '>'} {path}"
    return {Mkdir: f'mkdir {path}', Rmdir: f'rmdir {path}', Open: f'exec 3< {path}', Close: 'exec 3<&-'}[type(change)]


SCRIPT = r'''#!/bin/sh
# Made by surftrace; it needs root, tracefs and nothing else. The lines it was made from:
{lines}
# Values come as the kernel prints them: enumerators as numbers, addresses and network byte order as raw numbers.{guards}
group=surftrace_$$
done=0

fail() {{ echo "$0: $*" >&2; exit 1; }}
put() {{
    case $1 in
        *_events) printf '%s\n' "$2" >>"$tracefs/$1" ;;
        *) printf '%s\n' "$2" >"$tracefs/$1" ;;
    esac
}}
maybe() {{ [ ! -e "$tracefs/$1" ] || put "$1" "$2" 2>/dev/null || :; }}
ending() {{
    trap '' INT TERM HUP PIPE
    for child in $reader $timer; do kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; done
    if [ $done -ge 1 ]; then
        echo 0 >"$tracefs/instances/$group/tracing_on"
        sed '/^#/d' "$tracefs/instances/$group/trace"
    fi
{undo}
    [ -z "$mounted" ] || umount "$tracefs" 2>/dev/null
}}
undo() {{ "$@" 2>/dev/null || :; }}

[ "$(id -u)" = 0 ] || fail "root is needed"
tracefs= mounted=
for place in /sys/kernel/tracing /sys/kernel/debug/tracing $(awk '$3 == "tracefs" {{ print $2 }}' /proc/mounts); do
    if [ -z "$tracefs" ] && [ -e "$place/trace_pipe" ]; then tracefs=$place; fi
done
if [ -z "$tracefs" ]; then
    mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || fail "no tracefs, and none can be mounted"
    tracefs=/sys/kernel/tracing mounted=1
    echo "$0: tracefs mounted at $tracefs for this run" >&2
fi
{needs}
[ ! -d "$tracefs/instances/$group" ] || fail "$tracefs/instances/$group is there already"
reader= timer=
trap ending EXIT
trap 'exit 0' INT TERM HUP PIPE
{do}
echo "tracing; Ctrl-C ends it" >&2
{read}
reader=$!
{timer}wait "$reader" 2>/dev/null
exit 0
'''


def script(events: Sequence[Event], run: Run, seconds: Optional[float] = None, count: Optional[int] = None) -> str:
    """The plan as a shell script that does the whole run: sh of any kind, with mkdir, printf, sed and cat."""
    steps = plan(events, run._replace(group=GROUP_IN_SCRIPT))
    do, undo = [], []
    for number, step in enumerate(steps, 1):
        done = f'done={number}; ' if step.undo else ''          # before the change: an interrupted one is undone as well
        do.append(f'{done}{shell_command(step.do)} || fail {shell_quote("cannot do: " + shell_text(step.do))}')
        if step.undo:
            again = '' if isinstance(step.undo, Close) else 'undo '     # a redirection of a function is undone with it
            undo.append(f'    [ $done -lt {number} ] || {again}{shell_command(step.undo)}')
    lines = '\n'.join(dict.fromkeys('#   ' + printable(event.probe.text) for event in events))
    hidden = sorted({label for event in events for label, _ in event.hidden})
    guards = f"\n# A value behind a pointer means something only where {', '.join(hidden)} beside it are good addresses, not 0x0." \
        if hidden else ''
    files = sorted({definition.file for event in events for definition in event.definitions})
    needs = '\n'.join(f'[ -e "$tracefs/{file}" ] || fail "this kernel has no {file}"' for file in files)
    reader = f'head -n {count} <&3 &' if count else 'cat <&3 &'
    timer = f'(sleep {seconds:g}; kill "$reader") 2>/dev/null &\ntimer=$!\n' if seconds else ''
    return SCRIPT.format(lines=lines, guards=guards, undo='\n'.join(reversed(undo)), needs=needs, do='\n'.join(do),
                         read=reader, timer=timer)


def shell_text(change: Change) -> str:
    """The change in words, for a message."""
    return f'{change.text} > {change.path}' if isinstance(change, Write) else f'{type(change).__name__.lower()} {change.path}'


# ---- Tracefs -----------------------------------------------------------------------------------------------

TRACEFS_PLACES = ('/sys/kernel/tracing', '/sys/kernel/debug/tracing')
LOCKDOWN = '/sys/kernel/security/lockdown'


class Tracefs:
    """The kernel's tracing files: every write surftrace makes goes through here."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.held: Dict[str, int] = {}                  # path -> file descriptor

    def path(self, path: str) -> str:
        """Where it is in the file system."""
        return os.path.join(self.root, path)

    def has(self, path: str) -> bool:
        """Whether this kernel has the file."""
        return os.path.exists(self.path(path))

    def read(self, path: str) -> str:
        """The text of a file, '' where it cannot be read."""
        try:
            with open(self.path(path), encoding='utf-8', errors='surrogateescape') as file:
                return file.read()
        except OSError:
            return ''

    def names(self, path: str) -> List[str]:
        """The directories below one, [] where it cannot be read."""
        try:
            return sorted(entry.name for entry in os.scandir(self.path(path)) if entry.is_dir())
        except OSError:
            return []

    def apply(self, change: Change) -> None:
        """Make the change; TracefsError says why not."""
        try:
            if isinstance(change, Write):
                if not change.optional:
                    self._write(change.path, change.text)
                elif self.has(change.path):
                    with contextlib.suppress(OSError):
                        self._write(change.path, change.text)
            elif isinstance(change, Mkdir):
                os.mkdir(self.path(change.path))
            elif isinstance(change, Rmdir):
                os.rmdir(self.path(change.path))
            elif isinstance(change, Open):
                self.held[change.path] = os.open(self.path(change.path), os.O_RDONLY | os.O_NONBLOCK)
            else:
                os.close(self.held.pop(change.path))
        except OSError as error:
            raise TracefsError(f'{self.path(change.path)}: {error.strerror}', error.errno or 0, change.path) from error

    def _write(self, path: str, text: str) -> None:
        """One write, as the kernel wants it; never with O_TRUNC, which would delete everybody's definitions, and never by
        open('a'), which seeks."""
        file = os.open(self.path(path), os.O_WRONLY | (os.O_APPEND if path.endswith('_events') else 0))
        try:
            os.write(file, text.encode('utf-8', 'surrogateescape') + b'\n')
        finally:
            os.close(file)

    def last_error(self, path: str) -> Tuple[str, str, int]:
        """The last entry of an error_log: the kernel's sentence, the command it is about, the column in it (-1: none)."""
        entries = re.findall(r'^\[[^\]]*\] (.*?): error: (.*)\n  Command: (.*)\n(?: *\^)?', self.read(path), re.M)
        carets = re.findall(r'^  Command: .*\n( *)\^', self.read(path), re.M)
        if not entries:
            return '', '', -1
        return entries[-1][1], entries[-1][2], len(carets[-1]) - 11 if len(carets) == len(entries) else -1


def mounted_tracefs() -> Optional[Tracefs]:
    """Tracefs where it is mounted."""
    mounts = read_text('/proc/mounts')
    found = [line.split()[1] for line in mounts.splitlines() if line.split()[2:3] == ['tracefs']]
    for place in (*TRACEFS_PLACES, *found):
        if os.path.exists(os.path.join(place, 'trace_pipe')):
            return Tracefs(place)
    return None


def read_text(path: str) -> str:
    """A small text file, '' where it cannot be read."""
    try:
        with open(path, encoding='utf-8', errors='surrogateescape') as file:
            return file.read()
    except OSError:
        return ''


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
    try:
        yield Tracefs(place)
    finally:
        libc.umount2(place.encode(), 0)               # somebody else may use it by now: then it stays


def lockdown() -> str:
    """A word when the kernel is locked down to confidentiality, which forbids tracing."""
    return ('; the kernel is locked down (lockdown=confidentiality), which forbids tracing'
            if '[confidentiality]' in read_text(LOCKDOWN) else '')


def free_group(tracefs: Tracefs) -> str:
    """The name of this run's instance and group: by the process id, which another container may have too."""
    base = f'surftrace_{os.getpid()}'
    return next(name for name in (base, *(f'{base}_{i}' for i in range(2, 100))) if not tracefs.has(f'instances/{name}'))


def sweep(tracefs: Tracefs) -> List[str]:
    """Remove what killed runs left, and say which. A living run holds its trace_pipe, so its instance cannot be removed; a
    group without an instance has nobody, since a run makes the instance first and removes it last."""
    swept = []
    for name in tracefs.names('instances'):
        if re.fullmatch(r'surftrace_\d+(_\d+)?', name):
            with contextlib.suppress(TracefsError):
                tracefs.apply(Rmdir(f'instances/{name}'))
                swept.append(name)
    for file in ('kprobe_events', 'uprobe_events', 'dynamic_events'):
        for group, event in dict.fromkeys(re.findall(r'^\w+:(surftrace_\d+(?:_\d+)?)/(\S+)', tracefs.read(file), re.M)):
            if not tracefs.has(f'instances/{group}'):
                with contextlib.suppress(TracefsError):
                    tracefs.apply(Write(file, f'-:{group}/{event}'))
                    swept += [group] if group not in swept else []
    return swept


@contextlib.contextmanager
def session(tracefs: Tracefs, steps: Sequence[Step], show: Callable[[Change], None], stop: Callable[[], bool],
            drain: Callable[[], None], note: Callable[[str], None]) -> Iterator[None]:
    """The steps done; at the end, whatever happens, undone in reverse. `stop` asks between steps whether to go on; `drain`
    is called when recording has been stopped and before anything else is undone, since removing a probe wipes the buffer."""
    undone: List[Change] = []
    try:
        for step in steps:
            if stop():
                break
            show(step.do)
            if step.undo and not isinstance(step.do, (Mkdir, Open)):
                undone.append(step.undo)                # before the change: an interrupted one is undone as well
            tracefs.apply(step.do)
            if step.undo and isinstance(step.do, (Mkdir, Open)):
                undone.append(step.undo)                # after it: a failed one made nothing, and the name may be another's
        yield
    finally:
        instance = next((change.path for change in undone if isinstance(change, Rmdir)), '')
        with contextlib.suppress(TracefsError):
            if instance:
                tracefs.apply(Write(f'{instance}/tracing_on', '0'))
        try:
            drain()
        finally:
            for change in reversed(undone):
                show(change)
                undo(tracefs, change, note)


def undo(tracefs: Tracefs, change: Change, note: Callable[[str], None]) -> None:
    """One change undone; busy is tried again for a while, gone already is fine, and nothing stops the others."""
    import errno
    import time
    for attempt in range(20):
        try:
            tracefs.apply(change)
            return
        except TracefsError as error:
            if error.errno == errno.ENOENT:
                return
            if error.errno != errno.EBUSY or attempt == 19:
                note(f'could not undo: {error}')
                return
        time.sleep(0.05)


def lost_events(tracefs: Tracefs, instance: str) -> int:
    """Events overwritten in the buffer before they were read, or dropped, on all processors."""
    stats = ''.join(tracefs.read(f'{instance}/per_cpu/{cpu}/stats') for cpu in tracefs.names(f'{instance}/per_cpu'))
    return sum(int(count) for count in re.findall(r'^(?:overrun|dropped events): (\d+)', stats, re.M))


def probe_profile(tracefs: Tracefs) -> Dict[str, Tuple[int, int]]:
    """Hits and misses of each probe event, by name (kprobe_profile; uprobe_profile, which has no misses); names of other groups
    may be among them."""
    kprobes = re.findall(r'^ *(\S+) +(\d+) +(\d+)$', tracefs.read('kprobe_profile'), re.M)
    uprobes = re.findall(r'^ *\S.* (\S+) +(\d+)$', tracefs.read('uprobe_profile'), re.M)
    return {name: (int(hits), int(missed)) for name, hits, missed in (*kprobes, *((name, hits, 0) for name, hits in uprobes))}


# ---- Command line ------------------------------------------------------------------------------------------

DESCRIPTION = 'Trace functions and events of the kernel, functions and USDT probes of programs, with C expressions.'
EXAMPLES = '''\
examples:
  surftrace 'p wake_up_new_task comm=%0->comm users=S%0->mm->mm_users'
                                            a function's argument, its members
  surftrace 'r do_sys_openat2 fd=$retval'   what a function returns
  surftrace 'p do_sys_openat2 file=user(filename) f:file~"/etc/*"'
                                            a parameter by name, a string of the user's, a filter
  surftrace -d 5 -s 'p tcp_sendmsg size f:size>1000'
                                            for five seconds, with kernel stacks
  surftrace 'e sched/sched_switch f:prev_comm==bash'
                                            a trace event
  surftrace 'p ip_rcv src=@(struct iphdr *)%0->saddr:ip f:src==127.0.0.1'
                                            a packet header in an sk_buff
  surftrace 'R bash:readline line=!(char *)$retval'
                                            what a program's function returns
  surftrace -p 1234 'P ./server:handle id=req->id name=req->user.name f:id>10'
                                            a program's function, its types from its debug information
  surftrace 'u python3.11:function__entry file=!(char *)%0 func=!(char *)%1'
                                            a USDT probe
  surftrace -S -v vmlinux 'p ...'           print the ftrace expressions, for another machine
  surftrace -o run.sh -v vmlinux 'p ...'    a shell script that does the whole run
'''
SILENCE = 5.0                               # seconds without an event before a word about it


def arguments() -> Any:
    """The argument parser."""
    import argparse

    class Formatter(argparse.RawDescriptionHelpFormatter):
        """Examples as they stand."""
    parser = argparse.ArgumentParser(prog='surftrace', description=DESCRIPTION, epilog=EXAMPLES, formatter_class=Formatter,
                                     usage='surftrace [options] LINE...   LINE: KIND[:EVENT] PLACE [[NAME=]EXPR[:TYPE]]... [f:FILTER]')
    parser.add_argument('lines', nargs='*', metavar='LINE', help='a probe: p FUNCTION, r FUNCTION, e SYSTEM/EVENT, P PROGRAM:FUNCTION, '
                        'R PROGRAM:FUNCTION, u PROGRAM:PROBE; what to fetch; f: and a filter')
    add = parser.add_argument
    add('-f', '--file', metavar='FILE', action='append', default=[], help="read lines from FILE ('-': standard input); # begins a comment")
    _type_options(add)
    add('-S', '--show', action='store_true', help='print the ftrace expressions and do nothing; needs no root')
    add('-o', '--output', metavar='FILE', type=_file_name,
        help="write a shell script that does the run ('-': standard output), and do nothing")
    add('--export-types', metavar='FILE', type=_file_name,
        help="write the kernel's types into a small file for a later -v (also .xz, .gz), and do nothing")
    add('-s', '--stack', action='store_true', help='show the stack of each event: the kernel\'s, of P, R and u the program\'s')
    add('-d', '--duration', metavar='SECONDS', type=_positive(float), help='end after so many seconds')
    add('-n', '--count', metavar='EVENTS', type=_positive(int), help='end after so many events')
    add('-p', '--pid', metavar='PID[,PID]', type=_pids, default=(), help='only these processes, with all their threads')
    add('-c', '--children', action='store_true', help='with -p: their children too')
    add('-b', '--buffer', metavar='KB', type=_positive(int), help='size of the buffer of each processor')
    add('-q', '--quiet', action='store_true', help='do not show the commands')
    add('--force', action='store_true', help='set probes in programs that may crash them')
    add('--version', action='version', version=f'surftrace {__version__}')
    return parser


def _type_options(add: Callable[..., Any]) -> None:
    """Those that say where types are from."""
    add('-v', '--vmlinux', metavar='FILE', type=_file_name, action='append', default=[],
        help='debug information: a vmlinux with DWARF or BTF, a BTF file, or a folder of such, and files of modules (repeat it); '
        'where all lines are P, R and u, of the program')
    add('-m', '--mode', choices=('auto', 'dwarf', 'btf', 'remote'), default='auto',
        help='which debug information to use (auto); remote: from debuginfod servers, by the build-id alone')
    add('-r', '--remote', metavar='URL', action='append', default=[], help='with -m remote: a server, instead of $DEBUGINFOD_URLS')
    add('--build-id', metavar='HEX', type=_build_id, help='with -m remote: of another kernel than the running one, for -S and -o')
    add('-a', '--arch', metavar='ARCH', help=f"architecture of the traced machine: {', '.join(arch.name for arch in ARCHES)}")


def _positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = kind(text)
        if not 0 < value < 1 << 31:
            raise ValueError(text)
        return value
    convert.__name__ = 'positive number'
    return convert


def _pids(text: str) -> Tuple[int, ...]:
    return tuple(_positive(int)(part) for part in text.split(','))


_pids.__name__ = 'list of process ids'


def _build_id(text: str) -> str:
    if not re.fullmatch(r'([0-9a-fA-F]{2}){4,64}', text):       # it becomes a folder's name
        raise ValueError(text)
    return text.lower()


_build_id.__name__ = 'build-id'


def _file_name(text: str) -> str:
    if not text:                                        # an unset variable is no option left out
        raise ValueError(text)
    return text


_file_name.__name__ = 'file name'


def say(text: str) -> None:
    """A line for the user, apart from the events."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Something the user ought to know."""
    say('surftrace: note: ' + printable(text))


def read_lines(options: Any) -> List[Tuple[Probe, str]]:
    """The probes of the command line and of the files, with where each is from."""
    texts = [(line, '') for line in options.lines]
    for name in options.file:
        try:
            with open(0 if name == '-' else name, encoding='utf-8', errors='surrogateescape', newline='\n',
                      closefd=name != '-') as file:
                lines = file.read().split('\n')             # not splitlines(): a string may hold what it takes for an end
        except OSError as error:
            raise SurftraceError(f'{name}: {error.strerror}') from None
        label = 'standard input' if name == '-' else name
        texts += [(line, f'{label}:{number}') for number, line in enumerate(lines, 1)
                  if line.strip() and (not line.lstrip().startswith('#') or line.lstrip().startswith('#! '))]
    if not texts:
        raise InputError('nothing to trace: give a line, as in surftrace \'p wake_up_new_task comm=%0->comm\' (-h tells more)')
    probes = []
    for text, source in texts:
        with located(text, source):
            probes.append((parse_probe(text), source))
    return probes


def debug_info(options: Any, probes: Sequence[Tuple[Probe, str]]) -> DebugInfo:
    """The kernel's debug information that the options choose; none is looked for where all probes are in programs."""
    uname = os.uname()
    arch = arch_named(options.arch) if options.arch else None
    if all(probe.kind in 'PRu' for probe, _ in probes):
        return DebugInfo(arch or arch_named(uname.machine), None, [])
    if options.mode == 'remote':
        return remote_kernel(options, arch, arch_named(uname.machine), probes)
    return kernel_debug_info(options, arch, uname.machine, uname.release)


def remote_kernel(options: Any, arch: Optional[Arch], machine: Arch, probes: Sequence[Tuple[Probe, str]]) -> DebugInfo:
    """The debug information of -m remote."""
    environ, own = os.environ, running_build_id(machine)
    build_id = options.build_id or own
    urls = options.remote or [url for url in environ.get('DEBUGINFOD_URLS', '').split() if '://' in url]
    wrong = next((url for url in urls if not re.match('https?://.', url)), '')
    if options.vmlinux or wrong or not urls:
        raise InputError('-m remote and -v are two ways to the same' if options.vmlinux else
                         f'{wrong}: a server is http://... or https://...' if wrong else
                         'no server to ask: name one with -r URL or in $DEBUGINFOD_URLS')
    if not build_id:
        raise SurftraceError('the running kernel tells no build-id (/sys/kernel/notes); give it with --build-id')
    if build_id != own and not arch:
        raise InputError('--build-id: say the architecture of that kernel with -a; BTF does not tell it')
    if (build_id != own or arch not in (None, machine)) and not (options.show or options.output):
        raise InputError(f'{build_id[:12]} is not the running kernel ({own[:12] or "which tells no build-id"}): -S and -o take it')
    cache = environ.get('DEBUGINFOD_CACHE_PATH') or os.path.join(
        environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'debuginfod_client')
    seconds = environ.get('DEBUGINFOD_TIMEOUT', '')
    servers = Debuginfod(tuple(urls), DebuginfodCache(cache), float(seconds) if re.fullmatch(r'[1-9]\d{0,5}', seconds) else 90, progress())
    lines = any(probe.place.line is not None or probe.place.file for probe, _ in probes)
    return remote_debug_info(servers, build_id, arch or machine, lines, build_id == own and arch in (None, machine))


def progress() -> Callable[[str, int, int], None]:
    """A bar on the terminal for what is fetched; where there is none, nothing."""
    shown = 0

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        if done < 0:
            print(end='\n' if shown else '', file=sys.stderr, flush=True)
            shown = 0
        elif done - shown >= 1 << 18 or not shown or done == total:
            shown = done if done != total else 0
            part = 30 * done // max(total, done)
            size = f'{done / 1e6:.1f} of {total / 1e6:.1f} MB' if total else f'{done / 1e6:.1f} MB'
            print(f"\r{what} [{'#' * part}{' ' * (30 - part)}] {size} ", end='' if shown else '\n', file=sys.stderr, flush=True)
    return show if sys.stderr.isatty() else lambda what, done, total: None


def kernel_debug_info(options: Any, arch: Optional[Arch], machine_name: str, release: str) -> DebugInfo:
    """What -v names, else the running kernel's."""
    def running() -> DebugInfo:
        machine = arch_named(machine_name)
        if arch and arch != machine:
            raise InputError(f'-a {arch.name}: name the vmlinux of that machine with -v')
        return running_debug_info(options.mode, machine, release)
    if not options.vmlinux:
        return running()
    return given_debug_files(options.vmlinux, options.mode, arch, arch or arch_named(machine_name), release, running)


def kernel_of(info: DebugInfo, tracefs: Optional[Tracefs], options: Any, probes: Sequence[Tuple[Probe, str]]) -> Kernel:
    """What can be asked of the traced kernel: the running one through tracefs, another through its debug information."""
    in_kernel = any(probe.kind not in 'PRu' for probe, _ in probes)
    elsewhere = in_kernel and bool(options.vmlinux or options.build_id) and not isinstance(info.symbols, Kallsyms)
    running, shown = not elsewhere, bool(options.show or options.output)
    readme = tracefs.read('README') if tracefs else ''
    kept = re.search(r'kernel return probes support:.*\$arg<N>', readme) is not None or not running
    counted = not tracefs or shown or 'ref_ctr_offset' in readme
    abilities = frozenset(['$arg'] * kept + ['ref_ctr'] * counted)
    kernel = Kernel(info, abilities, lambda system, name: None, lambda: [], lambda: None, note, live=not shown, force=options.force,
                    program=functools.lru_cache(None)(functools.partial(find_program, options, not in_kernel)))
    if not tracefs or not running or not tracefs.has('events'):
        return kernel
    found = tracefs

    def functions() -> Optional[FrozenSet[str]]:
        return frozenset(line.split()[0] for line in found.read('available_filter_functions').splitlines()) or None

    def event_names() -> List[str]:
        return found.read('available_events').replace(':', '/').split()
    return kernel._replace(event_format=lambda system, name: found.read(f'events/{system}/{name}/format') or None,
                           event_names=event_names, functions=functools.lru_cache(None)(functions))


def find_program(options: Any, debug_given: bool, name: str) -> Optional[Program]:
    """The program or library of that name: of the processes of -p what they have mapped, else a path, what is in $PATH, a
    library. With -v and no probe in the kernel, -v names its debug file, or a copy of the file of another machine."""
    inside = [path for path in (object_of_process(pid, name) for pid in options.pid) if path]
    paths = inside[:1] or object_paths(name, os.environ.get('PATH', os.defpath).split(os.pathsep))
    if len(options.vmlinux) > 1 and debug_given:
        raise InputError(f'-v {options.vmlinux[1]}: a program has one debug file')
    given = executable_at(options.vmlinux[0]) if options.vmlinux and debug_given else None
    if given and given.contents('.text') and (options.show or options.output) and (paths or name.startswith('/')):
        return program_at(given.path)._replace(path=os.path.abspath(name) if '/' in name else paths[0])
    programs = [program_at(path, given) for path in paths if read_head(path) == b'\x7fELF']
    if paths and not programs:
        raise InputError(f"{paths[0]} is no ELF file: a script? Then name its interpreter")
    if len(programs) > 1:
        machine = os.uname().machine
        programs = [program for program in programs if program.executable.arch == arch_named(options.arch or machine)] or programs
    if len({program.path for program in programs}) > 1:
        raise InputError(f"'{name}' may be {', '.join(program.path for program in programs)}: name one by its path or soname")
    return checked_program(programs[0], given, options) if programs else None


def checked_program(program: Program, given: Optional[Executable], options: Any) -> Program:
    """The program, refused where what is known of it would be wrong in a live run."""
    if given and not is_debug_file_of(given, program.executable):
        raise InputError(f'{given.path} is not the debug file of {program.path}: their build-ids differ')
    word = program.executable.arch.bits
    if word != arch_named(os.uname().machine).bits and not (options.show or options.output):
        raise SurftraceError(f'{program.path} has {word} bits and the kernel has not: ftrace would read its pointers and its stack as '
                             "the kernel's own are; -S and -o, for a machine of its kind, take it")
    return program


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The program; its exit status: 0 also after Ctrl-C, 1 this machine cannot do it, 2 what was typed is wrong."""
    options = arguments().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='surrogateescape')    # bytes that are no UTF-8 leave as they came
    try:
        return run(options)
    except SurftraceError as error:
        say(f'surftrace: {error}')
        return error.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # nothing more can be said there, also not at exit
        return 0
    except KeyboardInterrupt:
        return 0


def run(options: Any) -> int:
    """One of the three readers of the plan: -S, -o, or the session."""
    if options.children and not options.pid:
        raise InputError('-c goes with -p PID')
    if (options.remote or options.build_id) and options.mode != 'remote':
        raise InputError('-r and --build-id go with -m remote: no server is asked unless you say so')
    if options.export_types:
        return export(options)
    probes = read_lines(options)
    info = debug_info(options, probes)
    if options.show or options.output:
        tracefs = mounted_tracefs() if not (options.vmlinux or options.build_id) else None
        events = make_events(probes, kernel_of(info, tracefs, options, probes))
        if options.show:
            print('\n'.join(line for event in events for line in event.lines()), flush=True)
        return save(options, script(events, wanted_run(options, '', events), options.duration, options.count)) if options.output else 0
    if options.vmlinux and any(probe.kind not in 'PRu' for probe, _ in probes):
        check_given(options, info)
    with tracefs_mounted(note) as tracefs:
        return trace(options, probes, info, tracefs)


def export(options: Any) -> int:
    """The types of the kernel into a file."""
    if options.lines or options.file or options.mode == 'remote':
        raise InputError('--export-types takes no lines, and types that are here: -v, or the running kernel')
    uname, path = os.uname(), options.export_types
    info = kernel_debug_info(options, arch_named(options.arch) if options.arch else None, uname.machine, uname.release)
    if info.given:
        raise InputError("--export-types is for a kernel's file; a module's BTF can be copied as it is")
    data = packed(exported_types(info, progress()), path)
    try:
        with open(path, 'wb') as file:
            file.write(data)
    except OSError as error:
        raise SurftraceError(f'{path}: {error.strerror}') from None
    return 0


def check_given(options: Any, info: DebugInfo) -> None:
    """Refuse files of -v that are not the running kernel's and its modules'."""
    release = os.uname().release
    word = check_same_kernel(info, info.path) if info.path else ''
    if word:
        note(word)
    for word in check_same_modules(info, info.given, release):
        note(word)


def save(options: Any, text: str) -> int:
    """The script into its file, executable."""
    if options.pid:
        raise InputError('-p names processes of this machine; a script cannot take them along')
    if options.output == '-':
        print(text, end='', flush=True)
        return 0
    try:
        with open(options.output, 'w', encoding='utf-8', errors='surrogateescape') as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o755)
    except OSError as error:
        raise SurftraceError(f'{options.output}: {error.strerror}') from None
    return 0


def wanted_run(options: Any, group: str, events: Sequence[Event]) -> Run:
    """The Run the options describe; a process stands for its threads."""
    in_programs = [event.probe.kind in 'PRu' for event in events]
    threads: List[int] = []
    for pid in options.pid:
        try:
            threads += [int(name) for name in os.listdir(f'/proc/{pid}/task')]
        except OSError:
            raise SurftraceError(f'there is no process {pid}') from None
    return Run(group, options.stack and not all(in_programs), options.stack and any(in_programs), options.buffer, tuple(threads))


def trace(options: Any, probes: Sequence[Tuple[Probe, str]], info: DebugInfo, tracefs: Tracefs) -> int:
    """The live run."""
    check_abilities(probes, tracefs)
    for name in sweep(tracefs):
        note(f'removed what the killed run {name} had left')
    kernel = kernel_of(info, tracefs, options, probes)
    if '\\imm-value' in tracefs.read('README'):                         # Linux 5.4
        kernel = kernel._replace(seal=int.from_bytes(os.urandom(4), 'little'))
    events = make_events(probes, kernel)
    wanted = wanted_run(options, free_group(tracefs), events)
    decoder = Decoder(events, frozenset(wanted.pids) if not options.children else frozenset(),
                      functools.partial(frame_function, kernel.program) if wanted.user_stacks else None)
    stream = Stream(tracefs, f'instances/{wanted.group}', decoder, options.duration, options.count)
    show = (lambda change: None) if options.quiet else (lambda change: say(shown_command(change, tracefs.root)))
    log = tracefs.last_error('error_log')
    with stream.signals():
        try:
            with session(tracefs, plan(events, wanted), show, stream.stopped, stream.drain, note):
                if not stream.stopped():
                    say('surftrace: tracing' + (f' for {options.duration:g} seconds' if options.duration else '') + '; Ctrl-C ends it')
                    changes, arrivals = changes_of(events), arrivals_of(events, info)
                    stream.follow(functools.partial(silence, events, tracefs), lambda: changes() + arrivals())
                    stream.profile = probe_profile(tracefs)
        except TracefsError as error:
            raise explained(error, events, wanted, tracefs, log) from None
    say(summary(events, stream))
    return 0


def check_abilities(probes: Sequence[Tuple[Probe, str]], tracefs: Tracefs) -> None:
    """Refuse early what this kernel was not built for."""
    if not os.access(tracefs.path('instances'), os.W_OK):
        raise SurftraceError(f'{tracefs.root}: tracing is not permitted here{lockdown()}')
    kprobes = [probe for probe, _ in probes if probe.kind in 'pr']
    if kprobes and not tracefs.has('kprobe_events'):
        raise SurftraceError('this kernel has no kprobes for ftrace (CONFIG_KPROBE_EVENTS); -S shows what they would be, and trace '
                             'events (e SYSTEM/EVENT) work')
    if any(probe.kind in 'PRu' for probe, _ in probes) and not tracefs.has('uprobe_events'):
        raise SurftraceError('this kernel has no uprobes for ftrace (CONFIG_UPROBE_EVENTS)')
    if any(probe.kind == 'e' and probe.args for probe, _ in probes) and 'e[:' not in tracefs.read('README'):
        raise SurftraceError('this kernel has no event probes (CONFIG_EPROBE_EVENTS, Linux 5.15): an e line can only filter')


def frame_function(program: Callable[[str], Optional[Program]], path: str, behind: int) -> str:
    """function+0x12 for a place that many bytes behind where a file's code is mapped."""
    with contextlib.suppress(SurftraceError):
        found = program(path)
        segment = next((segment for segment in found.executable.segments if segment.code), None) if found else None
        if found and segment:
            address = (segment.address & ~0xfff) + behind
            symbol = found.symbols.function_at(address)
            return f'{demangled(symbol.name) or symbol.name}+{address - symbol.address:#x}' if symbol else ''
    return ''


class Stream:
    """trace_pipe, decoded, onto standard output, until told to stop: by a signal, the time, the count, a closed pipe. The
    kernel makes the text while it is read, so a thread of its own reads on while the last blocks are decoded."""

    def __init__(self, tracefs: Tracefs, instance: str, decoder: Decoder, seconds: Optional[float], count: Optional[int],
                 output: int = 1) -> None:
        self.decoder, self.lost, self.profile = decoder, 0, {}  # type: Decoder, int, Dict[str, Tuple[int, int]]
        self._tracefs, self._instance, self._seconds, self._count = tracefs, instance, seconds, count
        self._rest, self._stop, self._closed, self._last, self._output = b'', False, False, False, output
        self._blocks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._go = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._piece = select.PIPE_BUF if stat.S_ISFIFO(os.fstat(output).st_mode) else 1 << 20

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """INT, TERM, HUP and QUIT ask for an end; nothing is interrupted, so that every change is followed by its undo. The
        reader is started here, before any probe could see a thread of ours begin."""
        import signal
        self._reader.start()

        def ask(*_: object) -> None:
            self._stop = True
            self._blocks.put(b'')       # up to Python 3.12 get(timeout) waits for ever when a signal comes as its time is over
        names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        before = [(name, signal.signal(name, ask)) for name in names if signal.getsignal(name) != signal.SIG_IGN]
        try:
            yield
        finally:
            for name, handler in before:
                signal.signal(name, handler)
            self._closed = True
            self._go.set()

    def stopped(self) -> bool:
        """Whether an end has been asked for."""
        return self._stop

    def follow(self, silence: Callable[[], str], changes: Callable[[], List[str]]) -> None:
        """Read and write until the end; a word when nothing comes, and once a second when what is traced changed."""
        import time
        start, spoken, looked = time.monotonic(), False, 0.0
        self._go.set()
        while not self._stop:
            now = time.monotonic() - start
            if now >= looked + 1:
                looked = now
                for text in changes():
                    note(text)
            if self._seconds and now >= self._seconds:
                break
            self._take(min(0.1, self._seconds - now if self._seconds else 0.1))
            if not spoken and now > SILENCE:
                spoken = True
                if not sum(self.decoder.counts.values()):
                    say('surftrace: ' + silence())

    def _read(self) -> None:
        """The reader: blocks as the kernel gives them; an empty one when there are no more."""
        import time
        self._go.wait()
        if self._closed:
            return
        pipe = self._tracefs.held[f'{self._instance}/trace_pipe']
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while not self._closed:
            data = b''
            with contextlib.suppress(BlockingIOError):
                data = os.read(pipe, 1 << 16)
            if data:
                self._blocks.put(data)
            elif self._last:
                break
            else:
                poll.poll(100)
            while self._blocks.qsize() > 1000 and not self._closed:     # whoever reads us is slow: the rest stays in the kernel
                time.sleep(0.01)
        self._blocks.put(b'')

    def _take(self, seconds: float) -> bool:
        """What has been read decoded and written; False when there was nothing, or it was the last."""
        try:
            blocks = [self._rest, self._blocks.get(timeout=seconds)]
        except queue.Empty:
            self._write(b'')
            return False
        while blocks[-1] and len(blocks) < 16 and not self._blocks.empty():
            blocks.append(self._blocks.get())
        whole = b''.join(blocks)
        end = whole.rfind(b'\n') + 1
        self._rest = whole[end:]
        left = None if self._count is None else self._count - sum(self.decoder.counts.values())
        self._write(self.decoder.block(whole[:end], left))
        if self._count is not None and sum(self.decoder.counts.values()) >= self._count:
            self._stop = self._closed = True
        return bool(blocks[-1])

    def _write(self, data: bytes) -> None:
        """To standard output; a pipe gets no more than it takes without blocking, so that a signal is heard also when nobody
        reads."""
        try:
            free = writable(self._output, 0)
            while data and not self._closed:
                if free:
                    data = data[os.write(self._output, data[:self._piece]):]
                elif self._stop:
                    self._closed = True
                free = not data or writable(self._output, 100)
        except BrokenPipeError:
            self._stop = self._closed = True

    def read_to_the_end(self) -> None:
        """What there is now, and no more."""
        self._last = True
        self._go.set()
        if not self._reader.ident:
            self._reader.start()
        while not self._closed and (self._take(1) or self._reader.is_alive() or not self._blocks.empty()):
            pass                                            # an empty block may also be a signal's

    def drain(self) -> None:
        """What is still in the buffer when recording has stopped, unless the end was asked by count or a closed pipe."""
        if not self._go.is_set():
            return
        self.lost = lost_events(self._tracefs, self._instance)
        self.read_to_the_end()
        self._write(self.decoder.finish())
        self._closed = True
        while self._reader.is_alive():                      # it may wait for room
            with contextlib.suppress(queue.Empty):
                self._blocks.get(timeout=0.05)


def writable(output: int, milliseconds: int) -> bool:
    """Whether the output takes data now; BrokenPipeError when nobody will ever read it."""
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    ready = poll.poll(milliseconds)
    if ready and ready[0][1] & (select.POLLERR | select.POLLHUP):
        raise BrokenPipeError
    return bool(ready)


def silence(events: Sequence[Event], tracefs: Tracefs) -> str:
    """What might be the reason that nothing comes."""
    profile = probe_profile(tracefs)
    hits = sum(profile.get(event.name, (0, 0))[0] for event in events if event.definitions)
    reasons = []
    if hits:
        reasons.append(f'the probes were hit {hits} times, the filter let none through')
    if any(event.name.startswith('sched_stat_') for event in events) and read_text('/proc/sys/kernel/sched_schedstats').strip() == '0':
        reasons.append('sched_stat_* events need sysctl kernel.sched_schedstats=1')
    if read_text('/sys/kernel/debug/kprobes/enabled').strip() == '0':
        reasons.append('kprobes are switched off (/sys/kernel/debug/kprobes/enabled)')
    for path in sorted({os.path.realpath(event.program.path) for event in events if event.program}):
        old = runs_old_copy(path)
        if old:
            reasons.append(f'{path} has been replaced, and processes run the old copy: {", ".join(map(str, old[:5]))}')
    return 'nothing yet: ' + ('; '.join(reasons) or 'the function may not be called now, be inlined where it is, or the filter '
                              'may let nothing through')


def changes_of(events: Sequence[Event]) -> Callable[[], List[str]]:
    """A function that tells, once each, which of the traced programs is another file now: a probe stays with the inode."""
    files = {event.program.path: event.program.executable.identity for event in events if event.program}

    def changes() -> List[str]:
        other = [path for path, known in files.items() if identity(path) != known]
        for path in other:
            del files[path]
        return [f'{path} has been replaced or removed; the probes stay with the old file and the processes that run it. Start '
                'again to trace the new one' for path in other]
    return changes


def arrivals_of(events: Sequence[Event], info: DebugInfo) -> Callable[[], List[str]]:
    """A function that tells, once each, which module that was waited for has come as another build than the file that its types
    are from."""
    names = {definition.place.partition(':')[0] for event in events for definition in event.definitions
             if definition.letter[0] in 'pr' and ':' in definition.place}
    files = {name: info.module(name).file for name in names if info.module(name).loaded is False}

    def arrivals() -> List[str]:
        come = {name: file for name, file in files.items() if os.path.isdir(f'{MODULES_LOADED}/{name}')}
        for name in come:
            del files[name]
        return [f"the module '{name}' that was loaded is another build than {file.path}: values of it are read from the wrong places. "
                'Start again' for name, file in come.items() if file and loaded_build_id(name, info.arch) != file.build_id]
    return arrivals


def runs_old_copy(path: str) -> List[int]:
    """The processes that run a file of that name which has been replaced since."""
    return [int(pid) for pid in os.listdir('/proc') if pid.isdigit() and f'{path} (deleted)' in mapped_objects(int(pid))]


def explained(error: TracefsError, events: Sequence[Event], wanted: Run, tracefs: Tracefs, log: Tuple[str, str, int]) -> SurftraceError:
    """The kernel's refusal in the user's terms: its own words, at the user's argument where it names one, and what else
    could be found out."""
    definitions = [(event, definition) for event in events for definition in event.definitions]
    latest = tracefs.last_error('error_log')
    for event, definition in definitions:
        text = definition.definition(wanted.group)
        if error.path == definition.file and latest != log and latest[1] == text:
            index = definition.argument_at(latest[2], wanted.group) if latest[2] >= 0 else None
            names = [name for name, _ in definition.args]
            field = next((f for f in event.fields if index is not None and names[index] in part_names(f)), None)
            symbol = re.sub(r'\+\d+$', '', definition.place.split(':')[-1])
            message = f"the kernel refuses '{text}': {latest[0]}{why_not(symbol, tracefs)}"
            return InputError(message, field.at if field else event.probe.place.at, event.probe.text)
    failed = [d.definition(wanted.group) for _, d in definitions if error.path == d.file]
    reason = f'{error}{lockdown()}'
    if len(failed) == 1:
        symbol = re.sub(r'\+\d+$', '', definitions[0][1].place.split(':')[-1])
        reason = f"the kernel refuses '{failed[0]}': {os.strerror(error.errno)}{why_not(symbol, tracefs)}"
    return SurftraceError(reason)


def why_not(symbol: str, tracefs: Tracefs) -> str:
    """Why a function cannot be probed, where files tell."""
    if re.search(rf'\t{re.escape(symbol)}$', read_text('/sys/kernel/debug/kprobes/blacklist'), re.M):
        return f"; '{symbol}' is on the kernel's blacklist: kprobes themselves run through it"
    listed = tracefs.read('available_filter_functions')
    if listed and not re.search(rf'^{re.escape(symbol)}(\s|$)', listed, re.M):
        return f"; '{symbol}' is not traceable (notrace), and this kernel takes probes only where ftrace works"
    return ''


def summary(events: Sequence[Event], stream: Stream) -> str:
    """What came, what was lost, what was missed."""
    counts = ', '.join(f'{name} {count}' for name, count in stream.decoder.counts.items())
    missed = {event.name: stream.profile.get(event.name, (0, 0))[1] for event in events if event.definitions}
    lines = [f'surftrace: {counts} events' + (f', {stream.lost} lost (a larger buffer: -b KB)' if stream.lost else ', none lost')]
    if any(missed.values()):
        lines.append('surftrace: missed by the probes: ' + ', '.join(f'{name} {count}' for name, count in missed.items() if count))
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
