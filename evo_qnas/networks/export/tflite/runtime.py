"""TFLite files and LiteRT."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Shaped

from evo_qnas.files import write_bytes
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.networks.export.checks import check_file, failures
from evo_qnas.networks.export.common.latency import Latency, Timing, measure_latency
from evo_qnas.networks.export.common.parity import other_session
from evo_qnas.networks.export.findings import CheckSettings, Kernels, Tolerance
from evo_qnas.networks.export.runtime import Runtime
from evo_qnas.networks.export.tflite.decompose import DECOMPOSED
from evo_qnas.networks.export.tflite.interpreters import kernels, open_interpreter, prepare, run
from evo_qnas.networks.export.tflite.layout import MOVE_TABLE
from evo_qnas.networks.export.tflite.operations import OPERATION_TABLE
from evo_qnas.networks.export.tflite.translate import FLOAT_TABLE, Translation, to_tflite
from evo_qnas.networks.export.tflite.usage import usage
from evo_qnas.networks.export.tflite.watching import arranged, codes_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.summary import Metric

# Roles that need no table: layers and what folds into them, and numbers.
_LAYERS = frozenset(
    {
        *(Role.CONVOLUTION, Role.TRANSPOSED_CONVOLUTION, Role.LINEAR, Role.EMBEDDING),
        *(Role.ACTIVATION, Role.SHAPE),
    }
)


@final
class TfliteRuntime(Runtime):
    """TFLite files in LiteRT on the CPU.

    Its kernels round additions, means and changes of a step in fixed point, each build in its own way, so a file gives
    other codes than ONNX Runtime by a step or two: the same answers, not the same bits. The tolerance allows for that.
    """

    name = "tflite"
    title = "TFLite"
    about = "TFLite files with int8 codes, in LiteRT with XNNPACK"
    suffix = ".tflite"
    packages = ("ai-edge-litert",)
    install = "evo-qnas[tflite]"
    tolerance = Tolerance(agreement=0.98, agreement_few_bits=0.98, metric=0.005, steps=1)

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        """Writes a network's TFLite file, see `to_tflite`."""
        write_bytes(path, to_tflite(network, upsample=upsample))

    def open(self, path: Path, *, threads: int = 1) -> Any:
        """An interpreter with the runtime's own choice of kernels."""
        return open_interpreter(path, threads=threads)

    def run(self, session: Any, images: Any) -> Any:
        """The logits of images, one after the other; arrays by name where there are several, see `run`."""
        return run(session, images)

    def codes(
        self, network: QuantizedNetwork, path: Path, inputs: Any
    ) -> Mapping[str, Shaped[np.ndarray, "n ..."]] | None:
        """The codes of a file, from a copy of it that has them as outputs.

        None where the file is not what `write` gives of the network, or the copy gives other outputs than the file.
        """
        content = path.read_bytes()
        each = list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]
        for upsample in (False, True):
            translation = Translation(network, upsample)
            if translation.content() == content:
                tensors = arranged(network.graph, translation.codes, each)
                codes = codes_of(content, tensors, each)
                plain = codes_of(content, {}, each)
                return codes if all(np.array_equal(codes[key], array) for key, array in plain.items()) else None
        return None

    def translates(self, operation: Operation) -> bool:
        """True for layers, what has a translation in a table or of its own, and what is taken apart into such."""
        tables = (OPERATION_TABLE, MOVE_TABLE, FLOAT_TABLE, DECOMPOSED)
        known = any(overload in table for overload in operation.overloads for table in tables)
        return operation.role in _LAYERS or known or super().translates(operation)

    def usage(self, path: Path, facts: Facts) -> tuple[str, ...]:
        """Four lines, see `usage`."""
        return usage(path, facts)

    def kernels(self, path: Path) -> Kernels:
        """The layers of a file by the types of their tensors, which decide on their kernels."""
        return kernels(path.read_bytes())

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        """Latency of each file, interleaved, with the runtime's own choice of kernels."""
        return measure_latency(files, timing, prepare)

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        """The findings of `check_file`, and `plain_kernels`.

        These are metric and agreement without XNNPACK, as a device without it computes.
        """
        entry = check_file(self, network, path, settings)
        plain = partial(run, open_interpreter(path, delegate=False))
        entry["plain_kernels"] = other_session(network, plain, settings.images, task=settings.task)
        return {**entry, "failures": failures(network, entry, self.tolerance, task=settings.task)}

    def details(self, entry: Mapping[str, Any], metric: Metric) -> list[tuple[str, str]]:
        """A row of what LiteRT's `check` adds."""
        plain = entry["plain_kernels"]
        text = f"agreement {plain['agreement']:.2%}, {metric.name} {metric.format(plain['metric'])}"
        return [("without XNNPACK", text)]
