"""Files that are either whole or absent: write aside, flush to disk, rename."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a path to write to; it becomes `path` in one step when the block ends without an error.

    A kill at any moment leaves either the old file or the new one. The aside file is named after the process, so that
    two processes never write into one.

    Args:
        path: the file to replace; missing parent folders are made.
        sync: flush the file to the disk before the rename, so that it also survives a power loss.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield aside
        if sync:
            with aside.open("rb+") as handle:
                os.fsync(handle.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` as UTF-8 in one step (see `replacing`)."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes `content` in one step (see `replacing`)."""
    with replacing(path) as aside:
        aside.write_bytes(content)
