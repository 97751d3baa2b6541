"""Writes a cpio archive, the format of an initramfs ("newc"): no cpio program, no root, no files on disk needed."""
from __future__ import annotations

import io
import stat
from collections.abc import Mapping


def initramfs(files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> bytes:
    """An archive of FILES, {path: content}, all of them executable, and of empty FOLDERS."""
    parents = {path.rsplit('/', 1)[0] for path in files if '/' in path}   # one level deep is all that is needed here
    out = io.BytesIO()
    for path in sorted({*folders, *parents}):
        _entry(out, path, stat.S_IFDIR | 0o755, b'')
    for path, content in files.items():
        _entry(out, path, stat.S_IFREG | 0o755, content)
    _entry(out, 'TRAILER!!!', 0, b'')
    return out.getvalue()


def _entry(out: io.BytesIO, path: str, mode: int, content: bytes) -> None:
    name = path.encode() + b'\0'
    # magic; then inode, mode, uid, gid, links, mtime, size, device and rdevice (2 each), length of the name, checksum
    fields = (out.tell(), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    out.write(b'070701' + b''.join(b'%08X' % field for field in fields))
    for part in (name, content):
        out.write(part)
        out.write(b'\0' * (-out.tell() % 4))
