"""Full-integer TFLite files in LiteRT for Microcontrollers."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

from evo_qnas.files import write_bytes
from evo_qnas.networks.capture.operations.operation import Operation
from evo_qnas.networks.export.checks import check_file, failures
from evo_qnas.networks.export.common.latency import Latency, Timing, measure_latency
from evo_qnas.networks.export.common.parity import InRuntime, agreement_of
from evo_qnas.networks.export.compiling import CompilingRuntime
from evo_qnas.networks.export.findings import CheckSettings, Footprint, Kernels, Tolerance
from evo_qnas.networks.export.micro.arena import foretold_arena, measured_arena
from evo_qnas.networks.export.micro.firmware import write_firmware
from evo_qnas.networks.export.micro.interpreters import open_micro, open_reference, prepare, run
from evo_qnas.networks.export.tflite.integer_ends import with_integer_ends
from evo_qnas.networks.export.tflite.interpreters import kernels
from evo_qnas.networks.export.tflite.runtime import TfliteRuntime
from evo_qnas.networks.export.tflite.translate import to_tflite
from evo_qnas.networks.integer.memory import peak_memory
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.summary import Metric


@final
class MicroRuntime(CompilingRuntime):
    """Full-integer TFLite files in the interpreter for microcontrollers, which runs here with its reference kernels.

    Inputs and outputs of a file are int8 codes: `run` makes them of floats and floats of them. Its kernels round in
    fixed point as LiteRT's reference kernels do (bit for bit but for sums of a linear layer, of which one in thousands
    falls the other way), and by a step or two in another way than ONNX Runtime.
    """

    name = "tflite-micro"
    title = "LiteRT for Microcontrollers"
    about = "TFLite files in integers from end to end, run and measured in memory as a microcontroller does"
    suffix = ".tflite"
    owns_suffix = False
    made_from = "tflite"
    estimates = False
    packages = ("tflite-micro", "ai-edge-litert")
    install = "evo-qnas[micro]"
    tolerance = Tolerance(agreement=0.98, agreement_few_bits=0.98, metric=0.005, steps=1)

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        """Writes a network's TFLite file with integers at its ends."""
        write_bytes(path, with_integer_ends(to_tflite(network, upsample=upsample)))

    def open(self, path: Path, *, threads: int = 1) -> Any:
        """An interpreter; it has one thread."""
        return open_micro(path)

    def run(self, session: Any, images: Any) -> Any:
        """The logits of images, one after the other; arrays by name where there are several, see `run`."""
        return run(session, images)

    def footprints(self, networks: Iterable[QuantizedNetwork]) -> list[Footprint]:
        """Bytes of the files of networks or blocks: a weight takes a byte whatever its bits."""
        sizes = [len(with_integer_ends(to_tflite(network))) for network in networks]
        return [Footprint(milliseconds=0.0, flash_bytes=size, file_bytes=size, outside=0) for size in sizes]

    def translates(self, operation: Operation) -> bool:
        """True where a TFLite file can hold an operation; the interpreter has kernels for most of them."""
        return TfliteRuntime().translates(operation)

    def kernels(self, path: Path) -> Kernels:
        """The layers of a file by the types of their tensors."""
        return kernels(path.read_bytes())

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        """Latency of each file in the reference kernels of this machine, which says nothing about a device."""
        return measure_latency(files, timing, prepare)

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        """The findings of `check_file`, and more.

        Beside them: `litert_steps` (the most steps of a code by which an output differs from that of LiteRT's reference
        kernels on the images; 0 where they are the same bits), `arena_bytes` with its
        part `arena_activation_bytes` as the interpreter reports them, `foretold_arena_bytes` and
        `foretold_activation_bytes` as they follow from the file, and `peak_memory_bytes` of the tables.
        """
        entry = check_file(self, network, path, settings)
        measured, foretold = measured_arena(path), foretold_arena(path.read_bytes())
        entry |= {
            "litert_steps": _steps_apart(network, path, settings),
            "arena_bytes": measured.total,
            "arena_activation_bytes": measured.activations,
            "foretold_arena_bytes": foretold.total,
            "foretold_activation_bytes": foretold.activations,
            "peak_memory_bytes": peak_memory(network),
        }
        sentences = failures(network, entry, self.tolerance, task=settings.task)
        if entry["litert_steps"] > 1:
            sentences.append(f"outputs are {entry['litert_steps']} steps from those of LiteRT's reference kernels")
        return {**entry, "failures": sentences}

    def accompany(self, path: Path, entry: Mapping[str, Any]) -> tuple[Path, ...]:
        """A C++ main, the file as an array and a CMake file, see `write_firmware`."""
        return write_firmware(path, arena_bytes=int(entry["arena_bytes"]))

    def details(self, entry: Mapping[str, Any], metric: Metric) -> list[tuple[str, str]]:
        """Rows of what this runtime's `check` adds."""
        arena, foretold = entry["arena_bytes"], entry["foretold_arena_bytes"]
        steps = entry["litert_steps"]
        activations = f"{entry['arena_activation_bytes']:,} B, {entry['foretold_activation_bytes']:,} B foretold"
        return [
            ("equals LiteRT's reference kernels", f"to {steps} step of a code" if steps else "bit for bit"),
            ("arena", f"{arena:,} B, {foretold:,} B foretold ({foretold / arena - 1:+.1%})"),
            ("of it tensors", f"{activations}, {entry['peak_memory_bytes']:,} B in the tables"),
        ]


def _steps_apart(network: QuantizedNetwork, path: Path, settings: CheckSettings) -> int:
    """The most steps of a code between outputs here and of LiteRT's reference kernels."""
    mine, litert = open_micro(path), open_reference(path)
    first, second = (InRuntime(partial(run, session), network) for session in (mine, litert))
    _, difference = agreement_of(first, second, settings.images, task=settings.task)
    finest = min((end.step for end in mine.outputs if end.step), default=0.0)
    return round(difference / finest) if finest else int(difference > 0)
