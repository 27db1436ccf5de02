"""Files for Arm Ethos-U NPUs, with the compiler's estimate of latency and memory."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_bytes, write_text
from evo_qnas.networks.capture.operations.operation import Operation
from evo_qnas.networks.export.checks import entry_of, failures
from evo_qnas.networks.export.common.latency import Latency, Timing
from evo_qnas.networks.export.common.parity import compare
from evo_qnas.networks.export.compiling import CompilingRuntime
from evo_qnas.networks.export.ethos_u.vela import Compiled, compile_contents
from evo_qnas.networks.export.findings import CheckSettings, Footprint, Kernels, Tolerance
from evo_qnas.networks.export.micro.interpreters import open_reference, run
from evo_qnas.networks.export.tflite.integer_ends import with_integer_ends
from evo_qnas.networks.export.tflite.interpreters import kernels
from evo_qnas.networks.export.tflite.runtime import TfliteRuntime
from evo_qnas.networks.export.tflite.translate import to_tflite
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.reading import read_json
from evo_qnas.summary import Metric

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "TransposeConv")


@final
class EthosURuntime(CompilingRuntime):
    """TFLite files compiled by Arm's Vela for one configuration of an Ethos-U NPU.

    Weights are stored compressed, so that few bits take less flash. Nothing runs here: what is checked is the file that
    was compiled, in LiteRT's reference kernels, whose bits the NPU is made to give; latency is the compiler's estimate
    at its own defaults of clock and memory. The compiler's account lies beside a file, in `FILE.vela.json`.

    Args:
        family: of NPUs.
        units: multiplications a cycle.
    """

    suffix = ".tflite"
    owns_suffix = False
    made_from = "tflite"
    packages = ("ethos-u-vela", "ai-edge-litert")
    install = "evo-qnas[ethos-u]"
    tolerance = Tolerance(agreement=0.98, agreement_few_bits=0.98, metric=0.005, steps=1)
    runs = False

    def __init__(self, family: str, units: int) -> None:
        self.name = f"ethos-{family.lower()}-{units}"
        self.title = f"Ethos-{family}-{units}"
        self.about = f"TFLite files compiled by Arm's Vela for {self.title}, with its estimate of time and flash"

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        """Writes a network's compiled file, and the compiler's account beside it."""
        source = with_integer_ends(to_tflite(network, upsample=upsample))
        (compiled,) = compile_contents([source], self.name)
        write_bytes(path, compiled.content)
        entries = {**compiled.report(), "layers": _layers(source, compiled)}
        write_text(_account_path(path), json.dumps(entries, indent=1) + "\n")

    def footprints(self, networks: Iterable[QuantizedNetwork]) -> list[Footprint]:
        """Milliseconds and bytes of networks or blocks as the compiler counts them."""
        contents = [with_integer_ends(to_tflite(network)) for network in networks]
        return [
            Footprint(
                milliseconds=compiled.milliseconds,
                flash_bytes=compiled.constant_bytes + compiled.command_bytes,
                file_bytes=len(compiled.content),
                outside=len(compiled.on_cpu),
            )
            for compiled in (compile_contents(contents, self.name) if contents else [])
        ]

    def translates(self, operation: Operation) -> bool:
        """True where a TFLite file can hold an operation; what the NPU lacks stays on the processor."""
        return TfliteRuntime().translates(operation)

    def kernels(self, path: Path) -> Kernels:
        """The layers of a file, and those of them on the NPU."""
        return Kernels(**self._account(path)["layers"])

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        """The compiler's estimate for each file."""
        times = {name: float(self._account(path)["milliseconds"]) for name, path in files.items()}
        return {name: Latency(milliseconds=time, spread=0.0, rounds=0) for name, time in times.items()}

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        """The findings of `check_file` of the file that was compiled, and more.

        Beside them, of the compiler's account: `cycles`, `sram_bytes`, `constant_bytes`, `command_bytes`,
        `npu_operators`, `cpu_operators` (of each its kind, name and reason), `system`.
        """
        account, content = self._account(path), path.read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "source.tflite"
            source.write_bytes(with_integer_ends(to_tflite(network)))
            parity = compare(network, partial(run, open_reference(source)), settings.images, task=settings.task)
        time = self.measure({"": path}, Timing(seed=0))[""] if settings.latency else None
        entry = entry_of(network, content, parity=parity, used=self.kernels(path), time=time)
        names = ("cycles", "sram_bytes", "constant_bytes", "command_bytes", "npu_operators", "system")
        entry |= {name: account[name] for name in names} | {"cpu_operators": account["on_cpu"]}
        return {**entry, "failures": failures(network, entry, self.tolerance, task=settings.task)}

    def details(self, entry: Mapping[str, Any], metric: Metric) -> list[tuple[str, str]]:
        """Rows of the compiler's account."""
        left = entry["cpu_operators"]
        rows = [
            ("by the compiler's estimate", f"{entry['cycles']:,} cycles, {entry['system']}"),
            ("weights and commands", f"{entry['constant_bytes']:,} B + {entry['command_bytes']:,} B"),
            ("memory on the chip", f"{entry['sram_bytes']:,} B"),
            ("operators on the NPU", f"{entry['npu_operators']} of {entry['npu_operators'] + len(left)}"),
        ]
        return rows + [(f"on the processor: {each['operator']}", f"{each['name']}, {each['reason']}") for each in left]

    def _account(self, path: Path) -> dict[str, Any]:
        content = read_json(_account_path(path), NetworkError)
        if not isinstance(content, dict):
            raise NetworkError(f"{_account_path(path)} is no account of a compiler: export the network again")
        return content


def _account_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.vela.json")


def _layers(source: bytes, compiled: Compiled) -> dict[str, int]:
    """Counts of `Kernels`: layers of the source, and those of them on the NPU."""
    found = kernels(source)
    left = [each.operator for each in compiled.on_cpu]
    convolutions = sum(kind in _CONVOLUTIONS for kind in left)
    return {
        "convolutions": found.convolutions,
        "integer_convolutions": found.convolutions - convolutions,
        "linear": found.linear,
        "integer_linear": found.linear - left.count("FullyConnected"),
    }


U55_128 = EthosURuntime("U55", 128)
U55_256 = EthosURuntime("U55", 256)
U65_256 = EthosURuntime("U65", 256)
U65_512 = EthosURuntime("U65", 512)
