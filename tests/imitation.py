"""What the kernel does with what surftrace tells it, imitated: fetch-args read from registers and memory, and printed
(kernel/trace/trace_probe_tmpl.h, trace_probe.c); filters (trace_events_filter.c); the lines of trace_pipe (trace_output.c).
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, Union

Value = Union[int, bytes, None]     # a number, a string; None where it could not be read

STALE = (-8137409 & (1 << 64) - 1).to_bytes(8, 'little')    # what the ring buffer had where nothing was written
WORD = (1 << 64) - 1


class Fault(Exception):
    """An address that cannot be read."""


class Machine(NamedTuple):
    """Registers by the kernel's names, and pieces of memory by their addresses; x86-64's words unless said otherwise."""
    registers: Mapping[str, int]
    memory: Mapping[int, bytes]
    word: int = 8
    order: Literal['little', 'big'] = 'little'
    stack: str = 'sp'

    def read(self, address: int, size: int) -> bytes:
        """The bytes there."""
        for start, data in self.memory.items():
            if start <= address and address + size <= start + len(data):
                return data[address - start:address - start + size]
        raise Fault(hex(address))

    def fetch(self, text: str) -> Value | list[int]:
        """The value of a fetch-arg with a type."""
        try:
            return self._fetch(*text.rsplit(':', 1))
        except Fault:
            return None

    def _fetch(self, source: str, kind: str) -> Value | list[int]:
        base, count = re.fullmatch(r'(.*?)(?:\[(\d+)\])?', kind).groups()
        place = dereference(source)
        if base in ('string', 'ustring'):
            return self._string(self._address(place))
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
        while (byte := self.read(address + len(text), 1)) != b'\0':
            text += byte
        return text


def dereference(source: str) -> re.Match[str] | None:
    """The offset and the inner part of '+8(%di)'; of '@0x1000' nothing."""
    match = re.fullmatch(r'([+-]u?\d+)\((.*)\)', source)
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


def printed(kind: str, value: Value | list[int]) -> bytes:
    """The value as trace_pipe has it; a number that could not be read is whatever was there."""
    if isinstance(value, list):
        return b'{%s}' % b','.join(printed(kind.partition('[')[0], part) for part in value)
    if isinstance(value, bytes):
        return b'"%s"' % value
    if value is None:
        return b'(fault)' if kind in ('string', 'ustring') else printed(kind, number(kind, STALE))
    return b'%#x' % value if kind[0] == 'x' or kind == 'symbol' else b'%d' % value


def record(event: str, fields: Sequence[tuple[str, str, Value]], comm: bytes = b'bash', pid: int = 77, tgid: str = '',
           place: str = 'f+0x0/0x40') -> bytes:
    """The line of an event in trace_pipe; of each field its name, fetch type and value."""
    shown = b''.join(b' %s=%s' % (name.encode(), printed(kind, value)) for name, kind, value in fields)
    group = f'({tgid:>7}) ' if tgid else ''
    return b'%16s-%-7d %s[001]   421.123456: %s: (%s)%s\n' % (comm, pid, group.encode(), event.encode(), place.encode(), shown)


# ---- filters

TOKEN = re.compile(r'\s*(?:(&&|\|\||==|!=|<=|>=|[<>&~!()])|("[^"]*"|\'[^\']*\')|([^\s&|!=<>~()"\']+))')


def passes(text: str, values: Mapping[str, tuple[str, Value]]) -> bool:
    """Whether the kernel's filter lets a record through; of each field its fetch type and value."""
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
    return (_text_passes if kind in ('string', 'ustring') else _number_passes)(kind, value, op, constant)


def _text_passes(kind: str, value: bytes | None, op: str, constant: str) -> bool:
    """A predicate on a string; one that could not be read is equal to nothing."""
    assert op in ('==', '!=', '~') and constant[0] in '"\'' and constant[-1] == constant[0], (op, constant)
    have, want = None if value is None else value.decode('utf-8', 'surrogateescape'), constant[1:-1]
    equal = value is not None and (fnmatchcase(have, want) if op == '~' else have == want)
    return not equal if op == '!=' else equal


def _number_passes(kind: str, value: int, op: str, constant: str) -> bool:
    """A predicate on a number: both sides in the type of the field."""
    want = int(constant, 8) if re.fullmatch(r'0[0-7]+', constant) else int(constant, 0)
    bits, signed = width(kind), kind[0] == 's' and kind != 'symbol'
    assert signed or want >= 0, f'no negative number for a field without a sign: {constant}'
    want &= (1 << bits) - 1
    want -= (want >> bits - 1 << bits) if signed else 0
    return {'==': value == want, '!=': value != want, '<': value < want, '<=': value <= want, '>': value > want,
            '>=': value >= want, '&': bool(value & want)}[op]
