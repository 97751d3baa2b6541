"""Runs inside gdb, never under pytest: what is in registers and memory when each of some functions is entered.

    GDB_ENTRIES=ORDER gdb-multiarch -nx -batch PROGRAM -x gdb_entries.py

ORDER is JSON: {"remote": where qemu waits for gdb, "addresses": of the functions, "registers": {our name: gdb's}, "stack":
gdb's name of the stack pointer, "pointers": gdb's names of registers whose memory is wanted, "mask": a register's, "out": a
file}. For each entry one line of JSON: the address, the registers, pieces of memory in hexadecimal.
"""
import json
import os

import gdb

BELOW, STACK = 256, 1024    # bytes below and above the stack pointer


def register(name, mask):
    """A register's value as a number."""
    return int(gdb.parse_and_eval(f'${name}').cast(gdb.lookup_type('unsigned long long'))) & mask


def memory(address, size):
    """As many of those bytes as there are."""
    for length in (size, 960, 640, 480, 320, 64, 16):
        try:
            return bytes(gdb.selected_inferior().read_memory(address, length)).hex()
        except gdb.error:
            continue
    return ''


def entries(order):
    """One line for each time a function is entered, until the program ends."""
    gdb.execute(f"target remote {order['remote']}", to_string=True)
    for address in order['addresses']:
        gdb.Breakpoint(f'*{address:#x}', internal=True)
    with open(order['out'], 'w') as out:
        for _ in order['addresses']:
            gdb.execute('continue', to_string=True)
            registers = {ours: register(theirs, order['mask']) for ours, theirs in order['registers'].items()}
            pieces = {registers['pc']: '', register(order['stack'], order['mask']) - BELOW: BELOW + STACK}
            pieces.update({register(name, order['mask']): 64 for name in order['pointers'] if name != order['stack']})
            found = {address: memory(address, size) for address, size in pieces.items() if size}
            print(json.dumps({'pc': registers['pc'], 'registers': registers, 'memory': found}), file=out)
    gdb.execute('kill', to_string=True)


gdb.execute('set pagination off')
entries(json.loads(os.environ['GDB_ENTRIES']))
