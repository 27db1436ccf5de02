"""Arm's compiler Vela: a file compiled for one configuration of an NPU, and the compiler's account of it."""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import NetworkError

# The largest networks that were compiled took seconds; what takes many minutes hangs.
_LIMIT_SECONDS = 1800
_KIB = 1024
_SCRIPT = """
import sys
from ethosu.vela.vela import main
accelerator, folder, *files = sys.argv[1:]
for file in files:
    if main([file, "--accelerator-config", accelerator, "--output-dir", folder, "--verbose-performance"]):
        sys.exit(1)
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OnCpu:
    """An operator that stays on the processor beside the NPU.

    Attributes:
        operator: its kind.
        name: of what it gives.
        reason: why, in words.
    """

    operator: str
    name: str
    reason: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A compiled file and what the compiler says of it.

    Attributes:
        content: of the file.
        cycles: of the NPU for one image; operators on the processor are not in them.
        milliseconds: these cycles at the clock of the configuration.
        sram_bytes: working memory on the chip.
        constant_bytes: weights and biases as the file holds them, compressed.
        command_bytes: the NPU's commands.
        npu_operators: number of the file's operators on the NPU.
        on_cpu: the others.
        system: the compiler's system configuration and memory mode.
    """

    content: bytes
    cycles: int
    milliseconds: float
    sram_bytes: int
    constant_bytes: int
    command_bytes: int
    npu_operators: int
    on_cpu: tuple[OnCpu, ...]
    system: str

    def report(self) -> dict[str, Any]:
        """Everything but the content, as JSON has it."""
        entries = asdict(self)
        del entries["content"]
        return {**entries, "on_cpu": [asdict(each) for each in self.on_cpu]}


def compile_contents(contents: Sequence[bytes], accelerator: str) -> list[Compiled]:
    """TFLite files compiled for a configuration, with the compiler's own defaults of system and memory.

    The compiler runs in one process of its own for all of them, and a folder that is deleted.

    Args:
        contents: of files with integers at their ends.
        accelerator: as the compiler names it, `ethos-u65-256`.

    Raises:
        NetworkError: the compiler refuses a file, or takes longer than half an hour.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        names = [f"network{index}" for index in range(len(contents))]
        for name, content in zip(names, contents, strict=True):
            (folder / f"{name}.tflite").write_bytes(content)
        command = [
            sys.executable,
            "-c",
            _SCRIPT,
            accelerator,
            made,
            *(str(folder / f"{name}.tflite") for name in names),
        ]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise NetworkError(f"Vela did not compile the file for {accelerator} in {_LIMIT_SECONDS} s") from error
        if ended.returncode or not all((folder / f"{name}_vela.tflite").is_file() for name in names):
            lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
            raise NetworkError(f"Vela cannot compile the file for {accelerator}: {(lines or ['no reason given'])[-1]}")
        return [_compiled(folder, name, content) for name, content in zip(names, contents, strict=True)]


def _compiled(folder: Path, name: str, source: bytes) -> Compiled:
    content = (folder / f"{name}_vela.tflite").read_bytes()
    summary = _rows(next(folder.glob(f"{name}_summary_*.csv")))[0]
    left = [layer for layer in _rows(folder / f"{name}_per-layer.csv") if layer["Target"] == "CPU"]
    constants, commands = _npu_bytes(content)
    operators, floats = _operators_of(source)
    return Compiled(
        content=content,
        cycles=round(float(summary["cycles_total"])),
        milliseconds=float(summary["inference_time"]) * 1e3,
        sram_bytes=round(float(summary["sram_memory_used"]) * _KIB),
        constant_bytes=constants,
        command_bytes=commands,
        npu_operators=operators - len(left),
        on_cpu=tuple(
            OnCpu(
                operator=layer["Original Operator"],
                name=layer["Name"],
                reason="it reads or gives floats" if layer["Name"] in floats else "the NPU has no such operator",
            )
            for layer in left
        ),
        system=f"{summary['system_config']}, {summary['memory_mode']}",
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _npu_bytes(content: bytes) -> tuple[int, int]:
    """Bytes of constants and of commands of all operators of the NPU."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph, constants, commands = model.subgraphs[0], 0, 0
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].customCode in (b"ethos-u", "ethos-u"):
            stream, weights = (model.buffers[graph.tensors[int(i)].buffer].data for i in operator.inputs[:2])
            commands += 0 if stream is None else len(stream)
            constants += 0 if weights is None else len(weights)
    return constants, commands


def _operators_of(content: bytes) -> tuple[int, set[str]]:
    """Number of operators, and names of what those give that read or give floats."""
    from ai_edge_litert import schema_py_generated as schema

    graph: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content)).subgraphs[0]
    floats = {index for index, tensor in enumerate(graph.tensors) if tensor.type == schema.TensorType.FLOAT32}
    touching = [each for each in graph.operators if floats & {*map(int, each.inputs), *map(int, each.outputs)}]
    names = {graph.tensors[int(index)].name.decode() for each in touching for index in each.outputs}
    return len(graph.operators), names
