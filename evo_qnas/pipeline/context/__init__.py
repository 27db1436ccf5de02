"""The context of a run: all that stages and worker processes build from settings and a workload.

- `RunContext`: settings, folder, data, teacher, blocks; made of the parts below.
- `Workload`, `CardWorkload`: model, data and task, of a card or live.
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
from evo_qnas.pipeline.context.workload import CardWorkload, Workload

__all__ = [
    "Candidates",
    "CardWorkload",
    "Fingerprints",
    "RunContext",
    "RunPaths",
    "Workload",
    "digest",
    "made_from",
    "read_json",
    "seed_of",
    "to_json",
]
