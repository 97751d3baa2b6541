"""What is in registers and memory when a program, run by qemu, first comes to given addresses: asked of qemu's debugger stub.

GDB's remote serial protocol, of which this is all that is needed (GDB manual, appendix E); registers have qemu's numbers
(gdb-xml/*.xml in its source).
"""
from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from imitation import Machine

import surftrace

BELOW, ABOVE, BEHIND = 256, 1024, 64        # bytes of memory round the stack pointer, and behind each register's value
X86_64 = 'ax bx cx dx si di bp sp'.split() + [f'r{i}' for i in range(8, 16)]


def register_numbers(arch: surftrace.Arch) -> dict[str, int]:
    """The registers by the kernel's names: qemu's numbers are mostly those of DWARF."""
    if arch.name == 'x86_64':
        return {name: number for number, name in enumerate([*X86_64, 'ip'])}
    shift = 2 if arch.name == 's390x' else 0                    # the program status word comes first
    return {name: number + shift for number, name in arch.dwarf.items()}


class Stub:
    """A connection to qemu, which waits at the program's first instruction."""

    def __init__(self, path: str, arch: surftrace.Arch) -> None:
        self.arch, self.numbers, self.seen = arch, register_numbers(arch), b''
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(300)
        self.socket.connect(path)
        self.ask('qXfer:features:read:target.xml:0,ffb')        # before that it tells no single register

    def ask(self, text: str) -> str:
        """The reply to a packet."""
        self.socket.sendall(f'${text}#{sum(text.encode()) & 255:02x}'.encode())
        while b'#' not in self.seen[:-2]:
            more = self.socket.recv(1 << 16)
            assert more, f'qemu is gone after {text}'
            self.seen += more
        reply, self.seen = self.seen.lstrip(b'+').split(b'#', 1)
        self.seen = self.seen[2:]
        self.socket.sendall(b'+')
        return reply.decode().lstrip('$')

    def memory(self, address: int, size: int) -> bytes:
        """As many of those bytes as there are."""
        for length in (size, 960, 640, 480, 320, 64, 16):
            reply = self.ask(f'm{address:x},{length:x}')
            if reply[:1] != 'E':
                return bytes.fromhex(reply)
        return b''

    def machine(self) -> Machine:
        """Everything now."""
        arch = self.arch
        registers = {name: int.from_bytes(bytes.fromhex(self.ask(f'p{number:x}')), arch.order) for name, number in self.numbers.items()}
        stack = registers[arch.stack_pointer] - BELOW
        pieces = {stack: BELOW + ABOVE, **{value: BEHIND for value in registers.values() if value != stack + BELOW}}
        return Machine(registers, {address: self.memory(address, size) for address, size in pieces.items()}, arch.word, arch.order,
                       arch.stack_pointer)

    def stops(self, addresses: list[int]) -> Iterator[int]:
        """The addresses as the program comes to them, each once."""
        size = {'x86_64': 1, 'i386': 1, 's390x': 2, 'riscv64': 2}.get(self.arch.name, 4)
        for address in addresses:
            assert self.ask(f'Z0,{address:x},{size}') == 'OK'
        pc = {'x86_64': 16, 'i386': 8, 'arm': 15, 's390x': 1, 'ppc64le': 64, 'loongarch64': 33}.get(self.arch.name, 32)
        for _ in addresses:
            stopped = self.ask('c')
            assert stopped.startswith('T05'), f'the program has come to none of the places that are left: {stopped}'
            address = int.from_bytes(bytes.fromhex(self.ask(f'p{pc:x}')), self.arch.order)
            yield address
            self.ask(f'z0,{address:x},{size}')


def machines_at(program: Path, qemu: str, arch: surftrace.Arch, addresses: list[int], folder: Path) -> dict[int, Machine]:
    """The machine as the program first comes to each of these addresses."""
    path = folder / 'stub'
    with subprocess.Popen([qemu, '-g', path, program]) as guest:
        try:
            stub = None
            while not stub:
                assert guest.poll() is None, f'{qemu} does not run {program}'
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):    # it is there before it listens
                    stub = Stub(str(path), arch)
                time.sleep(0.01)
            return {address: stub.machine() for address in stub.stops(addresses)}
        finally:
            guest.kill()
