"""BTF written by hand (include/uapi/linux/btf.h), for what no compiler of today emits."""
from __future__ import annotations

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, PROTO, VAR, DATASEC, FLOAT = range(1, 17)
ENUM64 = 19
KFLAG = 1 << 31
WORDS = {STRUCT: 3, UNION: 3, ENUM: 2, PROTO: 2, DATASEC: 3, ENUM64: 3}         # of each element


def btf(*types: tuple) -> bytes:
    """BTF of types (kind, name, size or type, then words), numbered from 1; each other text in the words is a name."""
    strings, words = b'\0', []

    def offset(name: str) -> int:
        nonlocal strings
        strings += name.encode() + b'\0'
        return len(strings) - len(name) - 1 if name else 0
    for kind, name, value, *more in types:
        count = len(more) // WORDS[kind & ~KFLAG] if kind & ~KFLAG in WORDS else 0
        words += [offset(name), (kind & ~KFLAG) << 24 | kind & KFLAG | count, value,
                  *(offset(word) if isinstance(word, str) else word for word in more)]
    data = b''.join(word.to_bytes(4, 'little') for word in words)
    header = [0x1eb9f, 24, 0, len(data), len(data), len(strings)]
    return b''.join(word.to_bytes(4, 'little') for word in header) + data + strings
