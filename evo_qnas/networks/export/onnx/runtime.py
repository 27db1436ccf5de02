"""ONNX files and ONNX Runtime."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import nn

from evo_qnas.files import write_bytes
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.networks.export.checks import check_file, failures, stored_bytes
from evo_qnas.networks.export.common.latency import Latency, Timing, measure_latency
from evo_qnas.networks.export.common.parity import equals_reference, float_agreement, other_session, same_logits
from evo_qnas.networks.export.common.parts import Part
from evo_qnas.networks.export.common.walk import output_key
from evo_qnas.networks.export.findings import CheckSettings, Kernels, Tolerance
from evo_qnas.networks.export.onnx.compose import compose
from evo_qnas.networks.export.onnx.facts import note, take_raw, usage
from evo_qnas.networks.export.onnx.float_model import float_to_onnx
from evo_qnas.networks.export.onnx.floats import CASTS, FLOAT_TABLE
from evo_qnas.networks.export.onnx.idle import idle_model
from evo_qnas.networks.export.onnx.layout import FILLED_TABLE, LAYOUT_TABLE
from evo_qnas.networks.export.onnx.sessions import kernels, open_session, prepare, run, run_exposed
from evo_qnas.networks.export.onnx.sizes import file_sizes
from evo_qnas.networks.export.onnx.translate import names_of_codes, part_to_onnx
from evo_qnas.networks.export.runtime import BlockRuntime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.summary import Metric

# Roles that need no table: layers and what folds into them, and numbers.
_LAYERS = frozenset(
    {
        Role.CONVOLUTION,
        Role.TRANSPOSED_CONVOLUTION,
        Role.LINEAR,
        Role.EMBEDDING,
        Role.NORMALIZATION,
        Role.ACTIVATION,
        Role.SHAPE,
    }
)


@final
class OnnxRuntime(BlockRuntime):
    """ONNX files in ONNX Runtime on the CPU.

    Logits are those of torch in integers bit for bit on most networks, so little is tolerated: below 8 bits one step of
    a code is larger, so a tie rounded the other way moves a logit further.
    """

    name = "onnx"
    title = "ONNX Runtime"
    about = "ONNX files with packed integer weights, in integer kernels of ONNX Runtime"
    suffix = ".onnx"
    packages = ("onnx", "onnxruntime")
    install = "evo-qnas[onnx]"
    tolerance = Tolerance(agreement=0.999, agreement_few_bits=0.998, metric=0.002, steps=0)

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        """Writes a network's ONNX file, see `to_onnx`."""
        self.write_part(network, path, Part(upsample=upsample))

    def write_part(self, network: QuantizedNetwork, path: Path, part: Part) -> None:
        """Writes the ONNX file of a part, see `part_to_onnx`."""
        _save(part_to_onnx(network, part), path)

    def write_float(
        self, network: nn.Module, example: Float[torch.Tensor, "n ..."], path: Path, *, upsample: bool = False
    ) -> None:
        """Writes the ONNX file of a float network, see `float_to_onnx`."""
        _save(float_to_onnx(network, example, upsample=upsample), path)

    def write_idle(self, path: Path) -> None:
        """Writes the ONNX file of a network that does nothing."""
        _save(idle_model(), path)

    def compose(self, fixed: Path, blocks: Mapping[str, Path | None], path: Path) -> None:
        """Writes the ONNX file of a whole network from those of its parts, see `compose`."""
        import onnx

        models = {block: None if file is None else onnx.load(file) for block, file in blocks.items()}
        _save(compose(onnx.load(fixed), models), path)

    def measuring_script(self) -> str:
        """The text of `measure_blocks.py`."""
        return (Path(__file__).parent / "measure_blocks.py").read_text(encoding="utf-8")

    def open(self, path: Path, *, threads: int = 1) -> Any:
        """A session of ONNX Runtime with exact sums, see `open_session`."""
        return open_session(path, threads=threads)

    def run(self, session: Any, images: Any) -> Any:
        """The logits of images, computed in batches; arrays by name where there are several, see `run`."""
        return run(session, images)

    def codes(
        self, network: QuantizedNetwork, path: Path, inputs: Any
    ) -> Mapping[str, Shaped[np.ndarray, "n ..."]] | None:
        """The codes of a file, from a session of a copy of it that has them as outputs.

        None where that session gives other logits than the file's own.
        """
        session = open_session(path)
        feed = dict(inputs) if isinstance(inputs, Mapping) else {session.get_inputs()[0].name: inputs}
        codes, outputs = run_exposed(path, names_of_codes(network), feed)
        plain = session.run(None, feed)
        if not all(map(np.array_equal, plain, outputs)):
            return None
        names = [output_key(output.name) for output in session.get_outputs()]
        return codes | dict(zip(names, outputs, strict=True))

    def translates(self, operation: Operation) -> bool:
        """True for layers, and where a table or the operation itself has a translation."""
        tables = (FLOAT_TABLE, LAYOUT_TABLE, FILLED_TABLE, CASTS)
        known = any(overload in table for overload in operation.overloads for table in tables)
        return operation.role in _LAYERS or known or super().translates(operation)

    def describe(self, path: Path, facts: Facts) -> None:
        """Metadata of the file, see `note`."""
        note(path, facts)

    def take_raw(self, path: Path, preprocessing: Mapping[str, Any]) -> None:
        """First nodes of the file, see `take_raw`."""
        take_raw(path, preprocessing)

    def usage(self, path: Path, facts: Facts) -> tuple[str, ...]:
        """Four lines, see `usage`."""
        return usage(path, facts)

    def kernels(self, path: Path) -> Kernels:
        """The layers of the graph as ONNX Runtime optimises it."""
        return kernels(path)

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        """Latency of each file, interleaved, as a session of the defaults runs it."""
        return measure_latency(files, timing, prepare)

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        """The findings of `check_file`, and more.

        Beside them: `float_agreement` (with the float network that is trained, see there),
        `default_session` (metric and agreement as a session without `session.x64quantprecision` gives them here),
        `reference_equal` (bit for bit on random inputs, None where the network computes in floats), `constant_bytes`
        and `graph_bytes` of the file, `logits` (classes and map size that the file gives). `packed_bytes` is counted
        in the file.
        """
        images, task, exact = settings.images, settings.task, open_session(path)
        logits_of = partial(run, exact)
        entry = check_file(self, network, path, settings)
        plain = {"metric": entry["metric"], "agreement": entry["agreement"]}
        default = partial(run, open_session(path, exact=False))
        if not same_logits(network, logits_of, default, images):
            plain = other_session(network, default, images, task=task)
        sizes = file_sizes(path)
        entry |= {
            "float_agreement": float_agreement(network, logits_of, images, task=task),
            "default_session": plain,
            "reference_equal": equals_reference(network, logits_of, images, np.random.default_rng(settings.seed)),
            "packed_bytes": sizes.packed,
            "constant_bytes": sizes.constants,
            "graph_bytes": sizes.graph,
            "logits": [int(size) for size in exact.get_outputs()[0].shape[1:]],
        }
        sentences = failures(network, entry, self.tolerance, task=task) + own_failures(network, entry)
        return {**entry, "failures": sentences}

    def details(self, entry: Mapping[str, Any], metric: Metric) -> list[tuple[str, str]]:
        """Rows of what ONNX Runtime's `check` adds."""
        texts = {True: "bit for bit", False: "no", None: "but for operations in floats"}
        rows = [
            ("agreement with the float network of the training", f"{entry['float_agreement']:.2%}"),
            ("equals the integer reference", texts[entry["reference_equal"]]),
            ("logits of one image", " x ".join(str(size) for size in entry["logits"])),
            ("constants and graph", f"{entry['constant_bytes']:,} B + {entry['graph_bytes']:,} B"),
        ]
        plain = entry["default_session"]
        if plain["agreement"] < entry["agreement"]:
            text = f"agreement {plain['agreement']:.2%}, {metric.name} {metric.format(plain['metric'])}"
            rows.append(("without session.x64quantprecision", f"{text} on this processor"))
        return rows


def _save(model: Any, path: Path) -> None:
    write_bytes(path, model.SerializeToString(deterministic=True))


def own_failures(network: QuantizedNetwork, entry: Mapping[str, Any]) -> list[str]:
    """Sentences of the checks that only ONNX files pass through."""
    sentences = []
    stored = stored_bytes(network)
    if entry["packed_bytes"] != stored:
        sentences.append(f"the file packs {entry['packed_bytes']} bytes of tensors, size_bytes is {stored}")
    if entry["reference_equal"] is False:
        sentences.append("ONNX Runtime and the integer reference differ on random inputs")
    return sentences
