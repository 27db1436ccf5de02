"""The interface of runtimes, and what there is: ONNX Runtime, TFLite, and those that other packages register.

A package adds its own by an entry point, see `evo_qnas.registry`, and tests it with `RuntimeContract`:

    [project.entry-points."evo_qnas.runtimes"]
    openvino = "my_package.openvino:OpenVinoRuntime"
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.capture.operations.operation import Operation
from evo_qnas.networks.export.common.latency import Latency, Timing
from evo_qnas.networks.export.common.packages import missing_of, require
from evo_qnas.networks.export.common.parts import Part
from evo_qnas.networks.export.facts import write_beside
from evo_qnas.networks.export.findings import CheckSettings, Kernels, Tolerance
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.registry import Registry
from evo_qnas.summary import Metric


class Runtime(ABC):
    """A runtime, or a compiler, to whose files quantized networks are exported.

    Contract: a module that defines one imports the runtime's packages inside its methods only, so that runtimes can be
    listed where they are not installed. A file depends on the network and the arguments of `write` alone. A compiler
    that runs nothing here sets `runs = False`, keeps `open` and `run` as they are, checks the file that it was given
    (or what it was made from), and may answer `measure` with its estimate. A family of devices is one class and an
    instance for each device.

    Attributes:
        name: under which it is registered.
        title: as people call it, in tables and sentences.
        about: one line for `evo-qnas list runtimes`.
        suffix: ending of its files, with the dot, in lower case.
        owns_suffix: a file name of that ending means this runtime where none is named; one runtime of an ending.
        packages: that it needs, named as for pip.
        install: what pip is asked for to get them.
        tolerance: of its checks.
        runs: its files can be opened and run here.
        made_from: name of the runtime from whose files its own are made, "" where they are not; a dry run, and the
            table of operations, ask that one instead.
    """

    name: str
    title: str
    about: str
    suffix: str
    owns_suffix: bool = True
    packages: tuple[str, ...]
    install: str
    tolerance: Tolerance
    runs: bool = True
    made_from: str = ""

    @abstractmethod
    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        """Writes a network's file: input `image` and output `logits`, float32.

        Args:
            network: calibrated or restored; stays unchanged.
            path: of the file.
            upsample: keep the up-sampling of logits at the end of the network, which else the file ends before: it is
                float work that can take as long as a small network, and often an application needs no full-size logits.

        Raises:
            NetworkError: the network is not calibrated, or an operation has no translation.
        """

    @abstractmethod
    def kernels(self, path: Path) -> Kernels:
        """The layers of a file by the kernels that run them.

        Raises:
            NetworkError: the file cannot be loaded.
        """

    @abstractmethod
    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        """Latency of one image for each file, all of them in turn in every round where the runtime can.

        Raises:
            NetworkError: there are too few rounds, or a file cannot be loaded.
        """

    @abstractmethod
    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        """The network's entry in `summary.json`: findings about a file that `write` wrote, see `check_file`.

        It holds `failures`: one sentence for each check that was not met.
        """

    def open(self, path: Path, *, threads: int = 1) -> Any:
        """A session of a file, for `run`.

        Raises:
            NetworkError: the file is missing or cannot be loaded, or this is a compiler.
        """
        raise NetworkError(f"{self.title} compiles files and runs none here: {path} cannot be opened")

    def run(self, session: Any, images: Any) -> Any:
        """The logits of any number of images, channels first as torch has them.

        A network of several inputs takes a mapping of arrays by the names of `input_names`; one of several outputs
        gives a mapping of arrays by the names of `output_names`.
        """
        raise NetworkError(f"{self.title} compiles files and runs none here")

    def codes(
        self, network: QuantizedNetwork, path: Path, inputs: Any
    ) -> Mapping[str, Shaped[np.ndarray, "n ..."]] | None:
        """The codes of a file by the names of the network's quantizers, as torch has them, and its outputs.

        By them `walk` says where a file differs from the reference; the outputs of the same run stand under
        `walk.output_key` of their names. None where this runtime cannot tell.

        Args:
            network: that the file holds.
            path: of the file.
            inputs: as `run` takes them.
        """
        return None

    def translates(self, operation: Operation) -> bool:
        """True where files can hold an operation, in some form; a runtime with tables of its own asks them too."""
        return self.name in operation.translations

    def accompany(self, path: Path, entry: Mapping[str, Any]) -> tuple[Path, ...]:
        """Writes examples of how a checked file is used beside it, and gives their paths; there are none by default.

        Args:
            path: of the file.
            entry: what `check` found.
        """
        return ()

    def describe(self, path: Path, facts: Facts) -> None:
        """Gives a file class names and preprocessing: in a JSON file beside it, where files cannot carry them."""
        write_beside(path, facts)

    def take_raw(self, path: Path, preprocessing: Mapping[str, Any]) -> None:
        """Lets a file take raw pixels, uint8 (n, h, w, c), in place of its images; `run` then takes them.

        Raises:
            NetworkError: it cannot, or the preprocessing is not known.
        """
        raise NetworkError(f"{self.title} files cannot hold the preprocessing: leave out raw_inputs")

    def usage(self, path: Path, facts: Facts) -> tuple[str, ...]:
        """Lines of Python that run a file with its runtime alone, from its folder; () where this runtime has none."""
        return ()

    def details(self, entry: Mapping[str, Any], metric: Metric) -> list[tuple[str, str]]:
        """Rows, name and text, that `evo-qnas export` shows of an entry of `check` beside those of every runtime.

        Args:
            entry: of `check`.
            metric: formats the metrics of the entry.
        """
        return []

    @final
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return missing_of(self.packages)

    @final
    def require(self, who: str) -> None:
        """Refusal to go on without the packages.

        Args:
            who: subject of the sentence.

        Raises:
            NetworkError: one is not installed.
        """
        require(who, self.packages, install=self.install)

    @final
    def versions(self) -> dict[str, str]:
        """Versions of the packages by name: what files and measurements depend on beside the network."""
        return {name: version(name) for name in self.packages}


class BlockRuntime(Runtime):
    """A runtime for which latency tables can be measured: it also writes blocks, the rest of a network, and floats."""

    @abstractmethod
    def write_part(self, network: QuantizedNetwork, path: Path, part: Part) -> None:
        """Writes a part of a network.

        Raises:
            NetworkError: as `write`, or nothing is left of the part.
        """

    @abstractmethod
    def write_float(
        self, network: nn.Module, example: Float[torch.Tensor, "n ..."], path: Path, *, upsample: bool = False
    ) -> None:
        """Writes a float network with BatchNorm folded.

        Raises:
            NetworkError: the network cannot be captured, or an operation has no translation.
        """

    @abstractmethod
    def write_idle(self, path: Path) -> None:
        """Writes a network that does nothing: what every run costs before a kernel starts."""

    @abstractmethod
    def compose(self, fixed: Path, blocks: Mapping[str, Path | None], path: Path) -> None:
        """Writes a whole network from the files of its parts.

        Args:
            fixed: of the fixed part, written with `Part(blocks=...)`.
            blocks: per block its file, written with `Part(codes=True)`; None where the block does nothing.
            path: of the whole network's file.

        Raises:
            NetworkError: the parts do not fit.
        """

    @abstractmethod
    def measuring_script(self) -> str:
        """The text of a script that stands alone and measures a folder of blocks on the device it is copied to."""


RUNTIMES: Registry[Runtime] = Registry(
    "runtime",
    "evo_qnas.runtimes",
    Runtime,
    {
        "onnx": "evo_qnas.networks.export.onnx.runtime:OnnxRuntime",
        "tflite": "evo_qnas.networks.export.tflite.runtime:TfliteRuntime",
        "ethos-u55-128": "evo_qnas.networks.export.ethos_u.runtime:U55_128",
        "ethos-u55-256": "evo_qnas.networks.export.ethos_u.runtime:U55_256",
        "ethos-u65-256": "evo_qnas.networks.export.ethos_u.runtime:U65_256",
        "ethos-u65-512": "evo_qnas.networks.export.ethos_u.runtime:U65_512",
        "openvino": "evo_qnas.networks.export.openvino.runtime:OpenVinoRuntime",
        "tflite-micro": "evo_qnas.networks.export.micro.runtime:MicroRuntime",
    },
    error=NetworkError,
)


def find_runtime(path: Path, name: str | None = None) -> Runtime:
    """The runtime of a file to write: the one called `name`, else the one that owns the ending of the file's name.

    Raises:
        NetworkError: there is no such runtime, or none or several own the ending.
    """
    if name is not None:
        return RUNTIMES.get(name)
    owners = {key: runtime for key, runtime in RUNTIMES.items() if runtime.owns_suffix}
    matching = [key for key, runtime in owners.items() if runtime.suffix == path.suffix.lower()]
    if len(matching) == 1:
        return owners[matching[0]]
    if matching:
        raise NetworkError(f"{path.name}: the runtimes {' and '.join(matching)} both own {path.suffix}; name one")
    endings = ", ".join(f"{runtime.suffix} ({key})" for key, runtime in owners.items())
    ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
    raise NetworkError(
        f"{path.name} {ending}, which no runtime writes unless it is named; endings with their runtimes: {endings}"
    )


def block_runtime(name: str) -> BlockRuntime:
    """The runtime called `name`, for latency tables.

    Raises:
        NetworkError: there is none, or it writes whole networks only.
    """
    runtime = RUNTIMES.get(name)
    if not isinstance(runtime, BlockRuntime):
        raise NetworkError(
            f"the runtime {name!r} writes whole networks only: latency tables need one that writes blocks"
        )
    return runtime
