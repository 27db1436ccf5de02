"""The child that opens an archive which no seal vouches for."""

from pathlib import Path

from evo_qnas.archive.digests import digest_of
from evo_qnas.archive.plain import read_plain
from evo_qnas.archive.reading import StoredFile
from evo_qnas.errors import EvoQnasError
from evo_qnas.files import SEAL_BYTES, Seal
from evo_qnas.tables.safe_hdf5 import DAMAGE, damage_text
from evo_qnas.terminal import say


def main(name: str) -> int:
    """Reads the file; 0 where its contents are whole, else 2 with a sentence on standard output."""
    path = Path(name)
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
