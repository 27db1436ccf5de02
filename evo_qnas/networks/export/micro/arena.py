"""The memory that LiteRT for Microcontrollers works in: its arena, as it reports it and as it follows from a file."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.micro.interpreters import ARENA_BYTES

# Loading is a matter of milliseconds; what takes minutes hangs.
_LIMIT_SECONDS = 300
_ALIGNMENT = 16
_PREPARE_NOTHING = ("MAXIMUM", "MINIMUM", "RESHAPE", "QUANTIZE", "CONCATENATION", "MAX_POOL_2D", "TRANSPOSE")
_SCRIPT = """
import sys
from tflite_micro.python.tflite_micro.runtime import Interpreter
Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2])).print_allocations()
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Numbers of the forecast on a processor of 64 bits, read off the interpreter's reports.

    These were of the nine networks of the digits run and four random ones; the forecast is within 2 % on all of them
    (`benchmarks/runtimes.py`). Pointers of a microcontroller are half as long, so that its arena is smaller by some of
    what stands for tensors and operators.

    Attributes:
        channel: bytes of each output channel with a scale of its own: a multiplier and a shift.
        tensor: bytes of each tensor.
        operator: bytes of each operator, its entry in the list of nodes.
        kernel: bytes that an operator's kernel prepares, where it prepares any.
        start: bytes of the interpreter itself.
    """

    channel: int = 8
    tensor: int = 24
    operator: int = 64
    kernel: int = 90
    start: int = 1150


TUNING = Tuning()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """Bytes of working memory.

    Attributes:
        activations: most bytes of tensors that live at once, as they are laid out.
        persistent: what lives as long as the interpreter: scales of channels, entries of tensors and operators.
    """

    activations: int
    persistent: int

    @property
    def total(self) -> int:
        """Bytes of the whole arena."""
        return self.activations + self.persistent


def measured_arena(path: Path) -> Arena:
    """The arena as the interpreter reports it, in a process of its own: the report goes to its standard error.

    Raises:
        NetworkError: the file cannot be loaded.
    """
    command = [sys.executable, "-c", _SCRIPT, str(path), str(ARENA_BYTES)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NetworkError(f"LiteRT for Microcontrollers did not load {path} in {_LIMIT_SECONDS} s") from error
    found = [re.search(rf"Arena allocation {part} (\d+) bytes", made.stderr) for part in ("head", "tail")]
    if made.returncode or None in found:
        reason = made.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise NetworkError(f"LiteRT for Microcontrollers cannot load {path}: {reason[0]}")
    head, tail = (int(each[1]) for each in found if each is not None)
    return Arena(activations=head, persistent=tail)


def foretold_arena(content: bytes) -> Arena:
    """The arena as it follows from a file: tensors that live at once, and what channels, tensors and operators take.

    Tensors live from the operator that makes them to the last one that reads them, as the runtime plans them; a copy
    with a border, which some strided convolutions need, is one more of them than `peak_memory_bytes` counts.
    """
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph, idle = model.subgraphs[0], {getattr(schema.BuiltinOperator, name) for name in _PREPARE_NOTHING}
    widths = {schema.TensorType.FLOAT32: 4, schema.TensorType.INT32: 4, schema.TensorType.INT64: 8}
    made = {int(tensor): 0 for tensor in graph.inputs}
    read: dict[int, int] = {}
    for step, operator in enumerate(graph.operators):
        made |= {int(tensor): step for tensor in operator.outputs}
        read |= {int(tensor): step for tensor in operator.inputs}
    read |= {int(tensor): len(graph.operators) for tensor in graph.outputs}
    sizes = {
        index: prod(int(size) for size in tensor.shape) * widths.get(tensor.type, 1)
        for index, tensor in enumerate(graph.tensors)
        if index in made
    }
    lives = [(sizes[index], made[index], read.get(index, made[index])) for index in sizes]
    channels = sum(_channels(graph.tensors[int(index)]) for each in graph.operators for index in each.inputs[1:2])
    fixed = TUNING.start + TUNING.tensor * len(graph.tensors) + TUNING.operator * len(graph.operators)
    fixed += TUNING.kernel * sum(
        model.operatorCodes[each.opcodeIndex].builtinCode not in idle for each in graph.operators
    )
    return Arena(activations=planned_bytes(lives), persistent=fixed + TUNING.channel * channels)


def planned_bytes(lives: Sequence[tuple[int, int, int]]) -> int:
    """Bytes of a plan that lays out the largest tensors first, each at the lowest place that is free while it lives.

    Of tensors of one size the last one comes first.

    Source: the greedy planner of TensorFlow Lite Micro, `micro/memory_planner/greedy_memory_planner.cc`.

    Args:
        lives: of each tensor its bytes, the step that makes it and the last one that reads it.

    Example:
        >>> planned_bytes([(64, 0, 1), (32, 1, 2), (64, 2, 3)])
        96
    """
    laid: list[tuple[int, int, int, int]] = []
    for size, first, last in sorted(lives, key=lambda life: life[0])[::-1]:
        rounded, start = -(-size // _ALIGNMENT) * _ALIGNMENT, 0
        for place, end, other_first, other_last in sorted(laid):
            if other_last < first or last < other_first:
                continue
            if start + rounded <= place:
                break
            start = max(start, end)
        laid.append((start, start + rounded, first, last))
    return max((end for _, end, _, _ in laid), default=0)


def _channels(tensor: Any) -> int:
    """Number of scales of weights, 0 of another tensor."""
    scales = getattr(tensor.quantization, "scale", None)
    return 0 if scales is None or len(scales) < 2 else len(scales)
