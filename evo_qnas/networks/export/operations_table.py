"""The documentation's table of operations, from the registry and what each runtime translates.

`python -m evo_qnas.networks.export.operations_table docs/operations.md` writes it.
"""

import sys
from pathlib import Path

from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.networks.capture.operations.registry import OPERATIONS
from evo_qnas.networks.export.runtime import RUNTIMES

_HEAD = """# Operations

What a quantized network may consist of, and how each part is computed. Written by
`python -m evo_qnas.networks.export.operations_table docs/operations.md`; a test compares it with the registry.

- **integers**: sums of products of codes and one multiplication, or another integer kernel. ONNX Runtime gives the
  codes of the reference bit for bit. Arguments without an integer kernel (a mean over odd axes, a number for a tensor)
  are computed in floats.
- **codes**: values are moved or chosen, nothing is computed; the result has the scale of its input.
- **limits**: the quantizer behind it cuts its codes.
- **weights in integers**: rows or sums of integer weights times their scales, in floats.
- **floats**: computed in float32 between two quantizers; the codes behind it may be one step off in a file.
- **folded**: becomes a part of the layer beside it where it can, else it is computed in floats.

An operation that is not here is taken apart by torch's own rules. What is left is computed in floats, and translated
to ONNX by torch's own exporter (extra `onnx-fallback`), or refused with its name and the line it comes from; how to add
one of your own is in [extending.md](extending.md#operation).
"""
_MEANINGS = {
    Role.CONVOLUTION: "integers",
    Role.LINEAR: "integers",
    Role.TRANSPOSED_CONVOLUTION: "weights in integers",
    Role.EMBEDDING: "weights in integers",
    Role.NORMALIZATION: "folded",
    Role.LAYOUT: "codes",
    Role.ACTIVATION: "limits",
    Role.SHAPE: "a number",
}


def meaning_of(operation: Operation) -> str:
    """How an operation is computed: one of the words that the table explains."""
    return _MEANINGS.get(operation.role) or ("floats" if operation.integer is None else "integers")


def operations_table() -> str:
    """The page in Markdown."""
    runtimes = [runtime for runtime in map(RUNTIMES.get, RUNTIMES.ours) if not runtime.made_from]
    titles = [runtime.title for runtime in runtimes]
    lines = [f"| operation | role | computed in | {' | '.join(titles)} | of `torch.ops` |"]
    lines.append("|---" * (len(titles) + 4) + "|")
    for name in OPERATIONS.ours:
        operation = OPERATIONS.get(name)
        known = ["yes" if runtime.translates(operation) else "no" for runtime in runtimes]
        overloads = ", ".join(f"`{overload}`" for overload in operation.overloads)
        cells = [name, operation.role.value, meaning_of(operation), *known, overloads]
        lines.append(f"| {' | '.join(cells)} |")
    return f"{_HEAD}\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(operations_table(), encoding="utf-8")
