"""Archive files that other programs have written or annotated: tried in a process of their own first.

libhdf5 is not made for damaged files, some end the process that opens them. So what no seal vouches for is opened by a
child, and here only where that went well.
"""

import signal
import subprocess
import sys
import zlib
from pathlib import Path

from evo_qnas.files import SEAL_BYTES, Seal

# A file that takes longer to read is none that a search writes. Chosen, not measured.
_SECONDS = 120
_OUT_OF_TIME = {-getattr(signal, name) for name in ("SIGXCPU", "SIGKILL") if hasattr(signal, name)}
_CHILD = "import sys; from evo_qnas.archive.trial import main; sys.exit(main(sys.argv[1]))"


def annotated_seal(path: Path) -> Seal | None:
    """The seal of a file to which another program has added, and whose contents are what was sealed; else None."""
    with path.open("rb") as handle:
        try:
            seal = Seal.unpack(handle.read(SEAL_BYTES))
        except ValueError:
            return None
        if seal is None or handle.seek(0, 2) < seal.length:
            return None
        for offset, length, checksum in seal.extents:
            handle.seek(offset)
            if zlib.crc32(handle.read(length)) != checksum:
                return None
    return seal if trial(path) == "" else None


def trial(path: Path) -> str:
    """The reason for which a child could not read the file, a sentence; empty where it could.

    Where the file has a digest of its contents, that must fit too.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(path)], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "it could not be read in a process of its own"
    if done.returncode == 0:
        return ""
    if done.returncode in _OUT_OF_TIME:
        return "reading it takes longer than an archive of its size can take"
    lines = done.stdout.strip().splitlines()
    return lines[-1] if done.returncode == 2 and lines else "libhdf5 cannot read it"
