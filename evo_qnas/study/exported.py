"""A file that was written and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, final

from evo_qnas.data import Examples
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.export import Runtime, export, find_runtime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task, metric_value
from evo_qnas.summary import Metric


@final
@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """A network's file, what its checks found, and how it is run.

    Attributes:
        path: of the file.
        runtime: that wrote it.
        measure: the metric in words.
        entry: all findings, see `networks.export.export`.
        usage: lines of Python that run it from its folder.
    """

    path: Path
    runtime: Runtime
    measure: Metric
    entry: Mapping[str, Any]
    usage: tuple[str, ...]

    @property
    def metric(self) -> float:
        """Of the file in its runtime, on the test examples."""
        return float(self.entry["metric"])

    @property
    def torch_metric(self) -> float:
        """The same of the network computed in integers by torch."""
        return float(self.entry["torch_metric"])

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for each check that was not met."""
        return tuple(self.entry["failures"])

    def __str__(self) -> str:
        here, there = self.measure.format(self.metric), self.measure.format(self.torch_metric)
        first = (
            f"{self.path}: {self.measure.name} {here} in {self.runtime.title}, {there} in torch; "
            f"{self.entry['packed_bytes']:,} bytes in {self.entry['file_bytes']:,}"
        )
        return "\n".join([first, *(f"failed: {sentence}" for sentence in self.failures), *self.usage])

    def _repr_html_(self) -> str:
        """The same as text of a fixed width."""
        return f"<pre>{escape(str(self))}</pre>"


def export_file(
    network: QuantizedNetwork,
    path: str | Path,
    runtime: str | None,
    *,
    images: Examples,
    task: Task,
    facts: Facts,
    **settings: Any,
) -> ExportedFile:
    """The file of a network, after it was written and checked, see `networks.export.export`."""
    place, target = Path(path), find_runtime(Path(path), runtime)
    entry = export(network, place, target, images=images, task=task, facts=facts, **settings)
    usage = target.usage(place, facts)
    return ExportedFile(path=place, runtime=target, measure=metric_value(task), entry=entry, usage=usage)
