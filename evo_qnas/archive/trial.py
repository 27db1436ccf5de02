"""The child that opens an archive which no seal vouches for."""

import math
import time
from contextlib import suppress
from pathlib import Path

from evo_qnas.archive.digests import digest_of
from evo_qnas.archive.plain import read_plain
from evo_qnas.archive.reading import StoredFile
from evo_qnas.errors import EvoQnasError
from evo_qnas.files import SEAL_BYTES, Seal
from evo_qnas.tables.safe_hdf5 import DAMAGE, damage_text
from evo_qnas.terminal import say

# Seconds of the processor for any file, and for each byte: libhdf5 goes round in some damaged files for ever. Chosen
# for slow processors: a fast one reads 100 MB in 1 s.
_SECONDS, _SECONDS_PER_BYTE = 3.0, 1e-7


def main(name: str) -> int:
    """Reads the file; 0 where its contents are whole, else 2 with a sentence on standard output."""
    path = Path(name)
    limit_processor(_SECONDS + _SECONDS_PER_BYTE * path.stat().st_size)
    try:
        with path.open("rb") as handle:
            seal = Seal.unpack(handle.read(SEAL_BYTES))
        if seal is None:
            read_plain(path)
            return 0
        stored = StoredFile(path, seal)
        if stored.digest == digest_of(stored.run, stored.header, stored.tables(), stored.evaluations()):
            return 0
        say("its contents were changed by another program")
    except EvoQnasError as error:
        say(" ".join(str(error).split()))
    except DAMAGE as error:
        say(damage_text(error))
    return 2


def limit_processor(seconds: float) -> None:
    """Ends this process once it has used the processor for so much longer, where the system has such a limit."""
    with suppress(ImportError):
        import resource

        limit = math.ceil(time.process_time() + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
