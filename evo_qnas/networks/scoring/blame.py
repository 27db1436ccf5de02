"""Which layer of a quantized network is to blame: what each part's rounding does to its block and to the outputs.

A part is the weights of a layer, or the activations that one quantizer rounds. Two questions are asked of each, and
their answers differ where errors of several parts meet: what does its rounding alone do to the network in floats, and
what would the quantized network gain if this part alone were in floats, had more bits, or were fitted anew?

Source: the first is the sensitivity analysis of post-training quantization as in Nagel et al. 2021, A White Paper on
Neural Network Quantization, section 3.6 (there by the metric); here by the noise, which needs no labels, and with the
second beside it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, final

import torch

from evo_qnas.data.nests import Nest, parts
from evo_qnas.frames import DataFrame, data_frame, html_table
from evo_qnas.networks.quantization.network import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import MAX_BITS
from evo_qnas.networks.scoring.trials import Part, Trial, parts_of
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.progress import Advance

FLOATS, ANEW = "floats", "fitted anew"
# Gains are worked out for this many parts, those that floats would help most: the others have little to gain.
DETAILED = 10


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PartNoise:
    """What one part's rounding does; noise is squared error over the variance of the output in floats.

    Attributes:
        name: of the operation in the captured graph.
        module: path of the module that it comes from.
        block: that it belongs to, "" for the fixed part.
        kind: `weights` or `activations`.
        bits: of its codes.
        in_block: noise at the end of its block, where it alone is rounded; NaN in the fixed part.
        at_output: noise at the network's outputs, where it alone is rounded.
        gains: how much less noise the outputs of the quantized network would have, by what would change: `floats`,
            `fitted anew` (the same bits, codes found again), `5 bits` and so on; below 0 where there would be more.
    """

    name: str
    module: str
    block: str
    kind: str
    bits: int
    in_block: float
    at_output: float
    gains: Mapping[str, float]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlockNoise:
    """What one block's rounding does.

    Attributes:
        block: its name, "" for the fixed part.
        noise: at its end, in the quantized network, of its own rounding and of all before it; NaN of the fixed part.
        in_block: noise at its end, where it alone is rounded; NaN of the fixed part.
        at_output: noise at the network's outputs, where it alone is rounded.
        gain: how much less noise the outputs of the quantized network would have if it were in floats.
    """

    block: str
    noise: float
    in_block: float
    at_output: float
    gain: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Noise of a quantized network, part by part.

    Attributes:
        noise: at the outputs of the quantized network, against the same network in floats.
        parts: those whose floats would gain most first.
        blocks: likewise.
        examples: on how many it was measured.
    """

    noise: float
    parts: tuple[PartNoise, ...]
    blocks: tuple[BlockNoise, ...]
    examples: int

    def to_dataframe(self) -> DataFrame:
        """A row for each part, in the same order; gains that were not worked out are NaN."""
        what = ("module", "name", "block", "kind", "bits", "in_block", "at_output")
        gains = list(dict.fromkeys(name for part in self.parts for name in part.gains))
        rows = [
            [*(getattr(part, name) for name in what), *(part.gains.get(name, float("nan")) for name in gains)]
            for part in self.parts
        ]
        return data_frame(rows, [*what, *(f"gain: {name}" for name in gains)])

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it; None for a noise that there is not."""
        return {
            "noise": self.noise,
            "examples": self.examples,
            "blocks": [_plain(row) for row in self.blocks],
            "parts": [_plain(row) for row in self.parts],
        }

    @property
    def sentence(self) -> str:
        """The part that is most to blame."""
        worst = self.parts[0]
        share = worst.gains[FLOATS] / self.noise if self.noise else 0.0
        where = worst.module or worst.name
        return (
            f"noise {self.noise:.3g} of the outputs' variance over {self.examples} examples; most to blame: "
            f"{worst.kind} of {where}, {worst.bits} bits, which in floats would take away {share:.0%} of it"
        )

    def __str__(self) -> str:
        """The sentence, and a line for each of the parts that floats would help most."""
        table: list[tuple[str, ...]] = [("part", "bits", "in block", "at end", "gone in floats")]
        for part in self.parts[:DETAILED]:
            share = f"{round(100.0 * part.gains[FLOATS] / self.noise)}%" if self.noise else ""
            noises = ("" if math.isnan(noise) else f"{noise:.2g}" for noise in (part.in_block, part.at_output))
            table.append((part.module or part.name, f"{part.kind[0]}{part.bits}", *noises, share))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = (
            "  ".join(
                [name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(row, widths[1:], strict=True))]
            )
            for name, *row in table
        )
        return "\n".join([self.sentence, *lines])

    def _repr_html_(self) -> str:
        """The sentence, and the parts that floats would help most."""
        shown = self.to_dataframe().head(DETAILED)
        rows = [[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row] for row in shown.values]
        return html_table(list(shown.columns), rows, self.sentence)


@torch.no_grad()
def blame(
    network: QuantizedNetwork,
    floats: QuantizedNetwork,
    inputs: Nest,
    calibration: Nest,
    *,
    detailed: int = DETAILED,
    advance: Advance = lambda _steps: None,
) -> Blame:
    """What each part of a quantized network adds to the noise of its outputs.

    Args:
        network: calibrated or restored; stays unchanged.
        floats: the same network with its float weights, see `unrounded`; stays unchanged.
        inputs: of the examples on which noise is measured.
        calibration: inputs on which activations are fitted anew.
        detailed: of how many parts all gains are worked out; of the others that of floats.
        advance: is called with 1 for each part and block.

    Raises:
        NetworkError: the two networks are not the same but for their roundings, or the outputs never differ.
    """
    trial = Trial(network, floats, parts(inputs, evaluation_batch(inputs)))
    trial.watch(parts(calibration, evaluation_batch(calibration)))
    whole, ends = trial.noise(trial.parts, trial.ends)
    found = []
    for part in trial.parts:
        alone, at_end = trial.noise([part], [part.block])
        gain = whole - trial.noise([other for other in trial.parts if other is not part])[0]
        found.append(_answer(part, alone, at_end[part.block], gain))
        advance(1)
    found.sort(key=lambda answer: -answer.gains[FLOATS])
    known = {(part.kind, part.name): part for part in trial.parts}
    for index, answer in enumerate(found[:detailed]):
        part = known[answer.kind, answer.name]
        found[index] = replace(answer, gains=_gains(trial, part, whole, answer.gains[FLOATS]))
        advance(1)
    blocks = []
    for name in dict.fromkeys(part.block for part in trial.parts):
        alone, at_end = trial.noise([part for part in trial.parts if part.block == name], [name])
        gain = whole - trial.noise([part for part in trial.parts if part.block != name])[0]
        blocks.append(
            BlockNoise(
                block=name, noise=ends.get(name, float("nan")), in_block=at_end[name], at_output=alone, gain=gain
            )
        )
        advance(1)
    blocks.sort(key=lambda row: -row.gain)
    return Blame(noise=whole, parts=tuple(found), blocks=tuple(blocks), examples=trial.examples)


def _plain(row: PartNoise | BlockNoise) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in asdict(row).items()
    }


def unrounded(network: QuantizedNetwork) -> QuantizedNetwork:
    """A copy of a calibrated network with the float weights that it was calibrated from, and nothing rounded."""
    floats = network.clone()
    for layer in floats.layers:
        layer.correct(None)
        layer.replace(None)
        layer.active = False
    for quantizer in floats.quantizers:
        quantizer.active = False
    return floats


def steps_of_blame(network: QuantizedNetwork, *, detailed: int = DETAILED) -> int:
    """How often `blame` calls `advance`."""
    found = parts_of(network)
    return len(found) + min(detailed, len(found)) + len({part.block for part in found})


def _gains(trial: Trial, part: Part, whole: float, floats: float) -> dict[str, float]:
    """Gains of a part by what would change."""
    changes: dict[str, Callable[[], None]] = {ANEW: partial(trial.fit_anew, part, part.bits)}
    for bits in range(part.bits + 1, MAX_BITS + 1):
        changes[f"{bits} bits"] = partial(trial.fit_anew, part, bits)
    found = {FLOATS: floats}
    for name, change in changes.items():
        with trial.changed(part):
            change()
            found[name] = whole - trial.measured(())[0]
    return found


def _answer(part: Part, at_output: float, in_block: float, gain: float) -> PartNoise:
    return PartNoise(
        name=part.name,
        module=part.module,
        block=part.block,
        kind=part.kind,
        bits=part.bits,
        in_block=in_block,
        at_output=at_output,
        gains={FLOATS: gain},
    )
