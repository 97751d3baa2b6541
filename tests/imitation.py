"""What the kernel does with what surftrace tells it, imitated: fetch-args read from registers and memory, and printed
(kernel/trace/trace_probe_tmpl.h, trace_probe.c); filters (trace_events_filter.c); the lines of trace_pipe (trace_output.c).

What cannot be read is as bad as it can be. A number keeps what the buffer had there. So does a string whose last step fails,
but its length is 0, by which it is printed as (fault); a filter compares the old bytes. Where an earlier step fails, a string
has the place and the length that were prepared for it: those of the string that comes next.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, Union

Value = Union[int, bytes, None]     # a number, a string; None: a number that could not be read, a string of which an earlier step failed

STALE = (-8137409 & (1 << 64) - 1).to_bytes(8, 'little')    # what the ring buffer had where nothing was written
WORD = (1 << 64) - 1


class Fault(Exception):
    """An address that cannot be read."""


class Old(bytes):
    """What lay where a string was to be, of which the last step failed."""


class Machine(NamedTuple):
    """Registers by the kernel's names, and pieces of memory by their addresses; x86-64's words unless said otherwise."""
    registers: Mapping[str, int]
    memory: Mapping[int, bytes]
    word: int = 8
    order: Literal['little', 'big'] = 'little'
    stack: str = 'sp'
    old: bytes = b'/old'

    def read(self, address: int, size: int) -> bytes:
        """The bytes there."""
        for start, data in self.memory.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start:address - start + size]
        raise Fault(hex(address))

    def fetch(self, text: str) -> Value | list[Value]:
        """The value of a fetch-arg with a type."""
        try:
            return b'bash' if text == '$comm' else self._fetch(*text.rsplit(':', 1))
        except Fault:
            return None

    def _fetch(self, source: str, kind: str) -> Value | list[Value]:
        base, count = re.fullmatch(r'(.*?)(?:\[(\d+)\])?', kind).groups()
        place = dereference(source)
        if base == '%pd':
            return self._string(self._word(f'+40({source})'))
        if base == 'symstr':
            return b'%#x' % self._word(source)
        if base in ('string', 'ustring'):
            address = self._address(place)
            return [self._string(self._word(f'+{8 * i}(\\{address})')) for i in range(int(count))] if count else self._string(address)
        if not place:
            size = width(base, self.word) // 8
            return number(base, (self._word(source) & (1 << 8 * size) - 1).to_bytes(size, self.order), self.order)
        address, size = self._address(place), width(base, self.word) // 8
        values = [number(base, self.read(address + size * i, size), self.order) for i in range(int(count or 1))]
        return values if count else values[0]

    def _word(self, source: str) -> int:
        place, stack = dereference(source), re.fullmatch(r'\$stack(\d+)', source)
        if place or stack:
            address = self._address(place) if place else self.registers[self.stack] + self.word * int(stack[1])
            return int.from_bytes(self.read(address, self.word), self.order)
        if source[0] == '\\':
            return int(source[1:], 0) & WORD
        return self.registers[{'$stack': self.stack, '$retval': 'ax'}.get(source, source[1:])]

    def _address(self, place: re.Match[str]) -> int:
        return self._word(place[2]) + int(place[1]) & (1 << 8 * self.word) - 1

    def _string(self, address: int) -> bytes:
        text = b''
        try:
            while (byte := self.read(address + len(text), 1)) != b'\0':
                text += byte
        except Fault:
            return Old(self.old)
        return text


def dereference(source: str) -> re.Match[str] | None:
    """The offset and the inner part of '+8(%di)', and of '@0x1000', which is '+0(\\0x1000)'."""
    match = re.fullmatch(r'([+-]u?\d+)\((.*)\)', re.sub(r'^@(.*)', r'+0(\\\1)', source))
    return match and re.fullmatch(r'(.*) (.*)', f"{match[1].replace('u', '')} {match[2]}")


def width(kind: str, word: int = 8) -> int:
    """The bits that are read for a fetch type."""
    return 8 * word if kind == 'symbol' else 8 if kind == 'char' else int(re.search(r'(\d+)$', kind)[1])


def number(kind: str, data: bytes, order: Literal['little', 'big'] = 'little') -> int:
    """The number that a fetch type makes of those bytes."""
    bits = width(kind)
    value = int.from_bytes(data[:bits // 8], order)
    field = re.fullmatch(r'b(\d+)@(\d+)/\d+', kind)
    if field:                                               # __parse_bitfield_probe_arg: shifted left, then right
        left = bits - (int(field[1]) + int(field[2]))
        return (value << left & (1 << bits) - 1) >> left + int(field[2])
    return value - (1 << bits) if kind[0] == 's' and kind != 'symbol' and value >> bits - 1 else value


def settled(fields: Sequence[tuple[str, str, Value | list[Value]]]) -> list[tuple[str, str, Value | list[Value]]]:
    """The fields of a record as they are stored: of a string with an earlier fault, the next string."""
    out, after = [], b'/next'
    for name, kind, value in reversed(fields):
        if value is None and is_string(kind):
            value = [after, after] if kind.endswith(']') else after
        elif is_string(kind):
            after = next((text for text in (value if isinstance(value, list) else [value]) if not isinstance(text, Old)), after)
        out.append((name, kind, value))
    return out[::-1]


def is_string(kind: str) -> bool:
    """Whether a fetch type is a string or an array of them."""
    return kind.partition('[')[0] in ('string', 'ustring', 'symstr', '%pd') or kind == 'char[16]'


def printed(kind: str, value: Value | list[Value]) -> bytes:
    """The value as trace_pipe has it; a number that could not be read is whatever was there."""
    if isinstance(value, list):
        return b'{%s}' % b','.join(printed(kind.partition('[')[0], part) for part in value)
    if isinstance(value, bytes):
        return b'(fault)' if isinstance(value, Old) else b'"%s"' % value
    if value is None and kind.endswith(']'):
        return b'{%s}' % printed(kind.partition('[')[0], value)
    if value is None:
        return printed(kind, number(kind, STALE))
    return b'%#x' % value if kind[0] == 'x' or kind == 'symbol' else b'%d' % value


def record(event: str, fields: Sequence[tuple[str, str, Value]], comm: bytes = b'bash', pid: int = 77, tgid: str = '',
           place: str = 'f+0x0/0x40') -> bytes:
    """The line of an event in trace_pipe; of each field its name, fetch type and value."""
    shown = b''.join(b' %s=%s' % (name.encode(), printed(kind, value)) for name, kind, value in settled(fields))
    group = f'({tgid:>7}) ' if tgid else ''
    return b'%16s-%-7d %s[001]   421.123456: %s: (%s)%s\n' % (comm, pid, group.encode(), event.encode(), place.encode(), shown)


# ---- filters

TOKEN = re.compile(r'\s*(?:(&&|\|\||==|!=|<=|>=|[<>&~!()])|("[^"]*"|\'[^\']*\')|([^\s&|!=<>~()"\']+))')


def passes(text: str, values: Mapping[str, tuple[str, Value]]) -> bool:
    """Whether the kernel's filter lets a record through; of each field its fetch type and value, in the record's order."""
    values = {name: (kind, value) for name, kind, value in settled([(name, *rest) for name, rest in values.items()])}
    tokens = [match.group(match.lastindex) for match in TOKEN.finditer(text)]
    assert ''.join(tokens) == re.sub(r'\s', '', text) or '"' in text or "'" in text, text
    result = _any(tokens, values)
    assert not tokens, f'{tokens} is left of {text}'
    return result


def _any(tokens: list[str], values: Mapping[str, tuple[str, Value]]) -> bool:
    result = _all(tokens, values)
    while tokens[:1] == ['||']:
        tokens.pop(0)
        result |= _all(tokens, values)
    return result


def _all(tokens: list[str], values: Mapping[str, tuple[str, Value]]) -> bool:
    result = _one(tokens, values)
    while tokens[:1] == ['&&']:
        tokens.pop(0)
        result &= _one(tokens, values)
    return result


def _one(tokens: list[str], values: Mapping[str, tuple[str, Value]]) -> bool:
    first = tokens.pop(0)
    if first == '!':
        return not _one(tokens, values)
    if first == '(':
        result = _any(tokens, values)
        assert tokens.pop(0) == ')'
        return result
    op, constant = tokens.pop(0), tokens.pop(0)
    kind, value = values[first]
    return (_text_passes if is_string(kind) else _number_passes)(kind, value, op, constant)


def _text_passes(kind: str, value: bytes | None, op: str, constant: str) -> bool:
    """A predicate on a string; of one that could not be read, on the bytes that lay there, but for ~"*", which wants a length."""
    assert op in ('==', '!=', '~') and constant[0] in '"\'' and constant[-1] == constant[0], (op, constant)
    have, want = (text.decode('latin-1') for text in (value, constant[1:-1].encode('utf-8', 'surrogateescape')))    # bytes to the kernel
    if op == '~' and want == '*' and isinstance(value, Old):
        return False
    equal = _matches(have, want, kind == 'char[16]') if op == '~' else have == want
    return not equal if op == '!=' else equal


def _matches(text: str, pattern: str, array: bool) -> bool:
    """A pattern (kernel/trace/ftrace.c, filter_parse_regex; trace_events_filter.c, regex_match_end, regex_match_middle; lib/glob.c).
    Behind the text in an array lies an older one."""
    if pattern[:1] == '!':
        return not _matches(text, pattern[1:], array)
    if pattern[:1].isdigit():                               # MATCH_INDEX, for which it says: should not happen
        return text == pattern
    inner = re.fullmatch(r'\*([^*?[\\]+)(\*?)', pattern)
    if array and inner:
        bytes_ = f'{text}\0'.ljust(16, 'b')
        return inner[1] in bytes_ if inner[2] else bytes_[:15].endswith(inner[1])
    return fnmatchcase(text, re.sub(r'\\(.)', lambda quoted: f'[{quoted[1]}]' if quoted[1] in '*?[' else quoted[1], pattern))


def _number_passes(kind: str, value: int | None, op: str, constant: str) -> bool:
    """A predicate on a number: both sides in the type of the field."""
    value = number(kind, STALE) if value is None else value
    want = int(constant, 8) if re.fullmatch(r'0[0-7]+', constant) else int(constant, 0)
    bits, signed = width(kind), kind[0] == 's' and kind != 'symbol'
    assert signed or want >= 0, f'no negative number for a field without a sign: {constant}'
    want &= (1 << bits) - 1
    want -= (want >> bits - 1 << bits) if signed else 0
    return {'==': value == want, '!=': value != want, '<': value < want, '<=': value <= want, '>': value > want,
            '>=': value >= want, '&': bool(value & want)}[op]
