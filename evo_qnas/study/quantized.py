"""Post-training quantization, without a search."""

import copy
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import torch
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.live import LiveExamples, Subset, examples_of
from evo_qnas.data.nests import call, parts, rows
from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.export.checks import stored_bytes
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.quantization.policy import check_kept
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork
from evo_qnas.networks.quantization.quantize import quantize as quantized
from evo_qnas.networks.quantization.recipe import DEFAULT_ROUNDING, Recipe
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.tasks.measured import MeasuredTask
from evo_qnas.study.exported import ExportedFile, export_file
from evo_qnas.study.inputs import reading_of
from evo_qnas.study.making import agreement_task


@final
class PostTrainingNetwork(nn.Module):
    """A network quantized after training; called, it computes in integers.

    Attributes:
        quantized: the network with quantizers that learn.
        model: the float model.
    """

    def __init__(self, network: QuantizedNetwork, model: nn.Module, data: Examples, task: MeasuredTask) -> None:
        super().__init__()
        self.quantized, self.model = network, model
        self._integers, self._data, self._task = InIntegers(network), data, task
        self.eval()

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Outputs as the model gives them, float32 values of integer codes."""
        return self._integers(*inputs, **named)

    @property
    def size_bytes(self) -> int:
        """Bit-packed weights, scales and biases."""
        return stored_bytes(self.quantized)

    def parity(self, data: Any = None) -> float:
        """Agreement with the float model, 0..1: share of equal classes of logits, of explained variance of numbers.

        Args:
            data: as `quantize` takes them; those of the calibration where absent.
        """
        return self._task.metric(self._integers, self._data if data is None else _opened(data, self._data))

    def export(self, path: str | Path, *, runtime: str | None = None) -> ExportedFile:
        """The file, after it was written and checked; printed, it says how to run it.

        Args:
            path: of the file; its ending names the runtime.
            runtime: name of the runtime, where the ending does not say it.
        """
        return export_file(self.quantized, path, runtime, images=self._data, task=self._task, facts=Facts())

    def _repr_html_(self) -> str:
        """The network in a line."""
        return f"<p>{escape(type(self.model).__name__)}, quantized after training: {self.size_bytes:,} bytes</p>"


def quantize(
    model: nn.Module,
    data: Any,
    *,
    inputs: Callable[[Any], Any] | None = None,
    weight_bits: int = 8,
    activation_bits: int = 8,
    keep_float: Sequence[str] = (),
    match: Any = "auto",
    calibration_examples: int = 256,
    scheme: str = DEFAULT_SCHEME,
    rounding: str = DEFAULT_ROUNDING,
    equalized: bool = False,
) -> PostTrainingNetwork:
    """A model quantized after training: in a second or two, and no training.

    Args:
        model: trained; stays as it is.
        data: a data set, a `DataLoader`, arrays, or anything that `Study` takes; a few hundred examples are enough.
        inputs: from a collated batch to what the model is called with; the first part of a batch where absent.
        weight_bits: of all layers, 2..8.
        activation_bits: of all activations, 2..8.
        keep_float: names of submodules, with `*` for any text, that stay in floats.
        match: how outputs are compared, as in `Study`.
        calibration_examples: that ranges are fitted to.
        scheme: name of the quantization scheme.
        rounding: how codes of weights are found; `compensated` pays at few bits, and takes longer.
        equalized: rescale the channels between two layers first, where only a ReLU or nothing is between.

    Raises:
        NetworkError: the model cannot be captured.
    """
    plain = copy.deepcopy(model).cpu().eval()
    with TemporaryDirectory() as folder:
        examples = examples_of(data, reading_of(inputs, None), folder=Path(folder))
    task = agreement_task(plain, examples, match=match)
    count = min(len(examples), calibration_examples)
    calibration = examples.take(torch.linspace(0, len(examples) - 1, count).round().long())[0]
    check_kept(plain, [], keep_float)
    bits = Bits(weight=weight_bits, activation=activation_bits, keep_float=tuple(keep_float))
    policy = Policy(fixed=bits, scheme=scheme, recipe=Recipe(rounding=rounding, equalized=equalized))
    network = quantized(plain, rows(calibration, slice(0, 2)), policy)
    with torch.no_grad():
        call(plain, rows(calibration, slice(0, 1)))
    network.calibrate(parts(calibration, evaluation_batch(calibration)))
    return PostTrainingNetwork(network, plain, examples, task)


def _opened(data: Any, like: Examples) -> Examples:
    """Further data, read as the first were."""
    if not isinstance(like, LiveExamples):
        raise NetworkError("parity on other data needs the network to be made from data that are read as they are")
    if isinstance(data, LiveExamples | Subset):
        return data
    with TemporaryDirectory() as folder:
        return examples_of(data, like.reading, folder=Path(folder))
