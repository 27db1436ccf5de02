"""The metric of networks as assembled and calibrated, on the search images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from evo_qnas.files import write_text
from evo_qnas.pipeline.context import RunContext, digest, read_json, to_json
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.validation.building import build_network
from evo_qnas.summary import BlockChoice

Choices = Sequence[BlockChoice]


@final
@dataclass(frozen=True)
class MeasureBefore:
    """The metric of one network before fine-tuning; sent to worker processes."""

    context: RunContext

    def __call__(self, choices: Choices) -> float:
        """The metric on the search images."""
        return self.context.task.metric(build_network(self.context, choices), self.context.splits.search)


def measure_before(context: RunContext, networks: Sequence[Choices], *, jobs: int) -> list[float]:
    """The metric of assembled and calibrated networks on the search images, in their order.

    Metrics are kept in `networks/measured.json`.
    """
    path = context.paths.networks / "measured.json"
    fingerprint = digest("measured", context.fingerprints.tables)
    known = dict((read_json(path, fingerprint) or {"metric": {}})["metric"])
    names = [digest([choice.to_dict() for choice in choices]) for choices in networks]
    missing = [index for index, name in enumerate(names) if name not in known]
    items = [networks[index] for index in missing]
    if items:
        values = in_jobs(MeasureBefore(context), items, context=context, jobs=jobs, label="networks measured")
        known |= {names[index]: value for index, value in zip(missing, values, strict=True)}
        write_text(path, to_json({"fingerprint": fingerprint, "metric": known}))
    return [float(known[name]) for name in names]
