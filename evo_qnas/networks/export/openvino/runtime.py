"""ONNX files of standard operations in OpenVINO on the CPU."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.files import write_bytes
from evo_qnas.networks.capture.operations.operation import Operation
from evo_qnas.networks.export.checks import check_file, failures
from evo_qnas.networks.export.common.latency import Latency, Timing, measure_latency
from evo_qnas.networks.export.common.parts import Part
from evo_qnas.networks.export.findings import CheckSettings, Kernels, Tolerance
from evo_qnas.networks.export.onnx.compose import compose
from evo_qnas.networks.export.onnx.float_model import float_to_onnx
from evo_qnas.networks.export.onnx.idle import idle_model
from evo_qnas.networks.export.onnx.runtime import OnnxRuntime
from evo_qnas.networks.export.onnx.translate import part_to_onnx
from evo_qnas.networks.export.openvino.sessions import kernels, open_session, prepare, run
from evo_qnas.networks.export.openvino.standard import standard_model
from evo_qnas.networks.export.runtime import BlockRuntime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


@final
class OpenVinoRuntime(BlockRuntime):
    """ONNX files of standard operations in OpenVINO on the CPU.

    Weights take a byte each whatever their bits, see `standard_model`. Its kernels rescale sums in floats, fused with
    what follows, so a file gives other codes than ONNX Runtime by a step or two: the same answers, not the same bits.
    """

    name = "openvino"
    title = "OpenVINO"
    about = "ONNX files of standard operations with int8 weights, in integer kernels of OpenVINO on the CPU"
    suffix = ".onnx"
    owns_suffix = False
    made_from = "onnx"
    packages = ("openvino", "onnx")
    install = "evo-qnas[openvino]"
    tolerance = Tolerance(agreement=0.98, agreement_few_bits=0.98, metric=0.005, steps=1)

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        """Writes a network's ONNX file, see `to_onnx` and `standard_model`."""
        self.write_part(network, path, Part(upsample=upsample))

    def write_part(self, network: QuantizedNetwork, path: Path, part: Part) -> None:
        """Writes the ONNX file of a part, see `part_to_onnx`."""
        _save(standard_model(part_to_onnx(network, part)), path)

    def write_float(
        self, network: nn.Module, example: Float[torch.Tensor, "n ..."], path: Path, *, upsample: bool = False
    ) -> None:
        """Writes the ONNX file of a float network, see `float_to_onnx`."""
        _save(standard_model(float_to_onnx(network, example, upsample=upsample)), path)

    def write_idle(self, path: Path) -> None:
        """Writes the ONNX file of a network that does nothing."""
        _save(idle_model(), path)

    def compose(self, fixed: Path, blocks: Mapping[str, Path | None], path: Path) -> None:
        """Writes the ONNX file of a whole network from those of its parts, see `compose`."""
        import onnx

        models = {block: None if file is None else onnx.load(file) for block, file in blocks.items()}
        _save(standard_model(compose(onnx.load(fixed), models)), path)

    def measuring_script(self) -> str:
        """The text of `measure_blocks.py`."""
        return (Path(__file__).parent / "measure_blocks.py").read_text(encoding="utf-8")

    def open(self, path: Path, *, threads: int = 1) -> Any:
        """A compiled file, see `open_session`."""
        return open_session(path, threads=threads)

    def run(self, session: Any, images: Any) -> Any:
        """The logits of images, one after the other; arrays by name where there are several, see `run`."""
        return run(session, images)

    def translates(self, operation: Operation) -> bool:
        """True where an ONNX file can hold an operation."""
        return OnnxRuntime().translates(operation)

    def kernels(self, path: Path) -> Kernels:
        """The layers of the graph as OpenVINO runs it."""
        return kernels(path)

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        """Latency of each file, interleaved."""
        return measure_latency(files, timing, prepare)

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        """The findings of `check_file`."""
        entry = check_file(self, network, path, settings)
        return {**entry, "failures": failures(network, entry, self.tolerance, task=settings.task)}


def _save(model: Any, path: Path) -> None:
    write_bytes(path, model.SerializeToString(deterministic=True))
