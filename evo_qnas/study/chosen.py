"""A validated network of a study."""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import final

from torch import nn

from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.scoring.blame import Blame
from evo_qnas.pipeline.blame import EXAMPLES, blame_network
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import find_network, restore_network
from evo_qnas.study.exported import ExportedFile, export_file
from evo_qnas.study.words import sentences
from evo_qnas.summary import BlockChoice, Difference, RunSummary, ValidatedNetwork


@final
@dataclass(frozen=True, kw_only=True)
class ChosenNetwork:
    """A validated network: what was measured of it, its integers, and files of it.

    Attributes:
        context: the run.
        entry: all that the run found out about it.
        summary: of the run.
    """

    context: RunContext
    entry: ValidatedNetwork
    summary: RunSummary

    @property
    def id(self) -> str:
        """Name of its folder in `networks/`."""
        return self.entry.id

    @property
    def metric(self) -> float:
        """On the test examples, computed in integers."""
        return self.entry.metric

    @property
    def metric_stderr(self) -> float | None:
        """Its standard error, None where the metric is one number for all examples."""
        return self.entry.metric_stderr

    @property
    def size_bytes(self) -> int:
        """Bit-packed weights, scales and biases."""
        return self.entry.size_bytes

    @property
    def latency_ms(self) -> float | None:
        """Of one example on one thread, None where it was not measured."""
        return self.entry.latency_ms

    @property
    def blocks(self) -> tuple[BlockChoice, ...]:
        """Operator and bits of each block."""
        return self.entry.blocks

    @cached_property
    def quantized(self) -> QuantizedNetwork:
        """The network with quantizers that learn, as fine-tuning left it."""
        return restore_network(self.context, find_network(self.context, self.id))

    @cached_property
    def module(self) -> nn.Module:
        """The network as a device computes it, in integers."""
        return InIntegers(self.quantized)

    def export(
        self, path: str | Path, *, runtime: str | None = None, upsample: bool = False, raw_inputs: bool = False
    ) -> ExportedFile:
        """The file, after it was written and checked on the test examples; printed, it says how to run it.

        Args:
            path: of the file; its ending names the runtime.
            runtime: name of the runtime, where the ending does not say it.
            upsample: keep the up-sampling of logits at the end of the network.
            raw_inputs: the file takes raw pixels, uint8 (n, h, w, c), and holds the preprocessing of the study.
        """
        context = self.context
        return export_file(
            self.quantized,
            path,
            runtime,
            images=context.splits.test,
            task=context.task,
            facts=context.facts,
            upsample=upsample,
            seed=context.card.seed,
            raw_inputs=raw_inputs,
        )

    def blame(self, *, finetuned: bool = False, examples: int = EXAMPLES) -> Blame:
        """Which layer is to blame for what quantization costs, see `pipeline.blame.blame_network`.

        Args:
            finetuned: of the network as validated, with all that fine-tuning moved; else as quantized before it.
            examples: of the search part, on how many noise is measured.
        """
        network = self.quantized if finetuned else None
        return blame_network(self.context, self.blocks, finetuned=network, examples=examples)

    @property
    def minus_int8(self) -> Difference | None:
        """Its metric less that of the model in INT8, paired by example; None for that model itself."""
        return self.entry.minus_teacher_int8

    def __str__(self) -> str:
        return "\n".join(sentences(self.entry, self.summary))

    def _repr_html_(self) -> str:
        """The network and the choice of each block as a table."""
        cells = "".join(
            f"<tr><td>{escape(row.block)}</td><td>{escape(row.operator)}</td>"
            f"<td>{row.weight_bits or ''}</td><td>{row.activation_bits or ''}</td></tr>"
            for row in self.blocks
        )
        head = "<tr><th>block</th><th>operator</th><th>weight bits</th><th>activation bits</th></tr>"
        return f"<pre>{escape(str(self))}</pre><table>{head}{cells}</table>"
