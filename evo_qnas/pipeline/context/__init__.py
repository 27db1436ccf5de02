"""The context of a run: all that stages and worker processes build from a card alone.

- `RunContext`: card, folder, data, teacher, blocks; made of the parts below.
- `RunPaths`: where the files of a run folder lie.
- `Fingerprints`: what each of them depends on.
- `Candidates`: the candidate operators of each block.
- `digest`, `seed_of`: digests and seeds of JSON-able values.
- `made_from`, `read_json`, `to_json`: files that carry a fingerprint.
"""

from evo_qnas.pipeline.context.candidates import Candidates
from evo_qnas.pipeline.context.context import RunContext
from evo_qnas.pipeline.context.digests import digest, seed_of
from evo_qnas.pipeline.context.files import made_from, read_json, to_json
from evo_qnas.pipeline.context.fingerprints import Fingerprints
from evo_qnas.pipeline.context.paths import RunPaths

__all__ = [
    "Candidates",
    "Fingerprints",
    "RunContext",
    "RunPaths",
    "digest",
    "made_from",
    "read_json",
    "seed_of",
    "to_json",
]
