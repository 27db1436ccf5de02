"""Export of quantized networks to files of runtimes, their parity with torch, their size and their latency.

- `export`: writes a network's file for a runtime, checks it, gives its entry of `summary.json`.
- `Runtime`, `BlockRuntime`, `CompilingRuntime`: the interfaces, and their values `Kernels`, `Tolerance`,
  `CheckSettings`, `Part`, `Timing`, `Latency`, `Footprint`. A package adds its own by the entry points
  `evo_qnas.runtimes`; `RuntimeContract` tests it.
- `RUNTIMES`, `find_runtime`, `block_runtime`, `compiling_runtime`: the runtimes by name, or by the ending of a file.
- `check_file`, `failures`, `rows_of`: checks that all runtimes share, and how they are shown.
- `onnx`: ONNX files and ONNX Runtime, extra `onnx`. `tflite`: TFLite files and LiteRT, extra `tflite`.
- `openvino`: ONNX files of standard operations in OpenVINO, extra `openvino`.
- `micro`: TFLite files in LiteRT for Microcontrollers, extra `micro`. `ethos_u`: the same for Arm's NPUs, extra
  `ethos-u`.
- `common`: arguments of operations, limits of codes, layout operations, parity, latency.

Nothing here imports onnx, onnxruntime or ai_edge_litert before it is called.
"""

from evo_qnas.networks.export.checks import check_file, failures, rows_of
from evo_qnas.networks.export.common.latency import Latency, Timing
from evo_qnas.networks.export.common.parts import Part
from evo_qnas.networks.export.compiling import CompilingRuntime, compiling_runtime
from evo_qnas.networks.export.exporting import export
from evo_qnas.networks.export.findings import CheckSettings, Footprint, Kernels, Tolerance
from evo_qnas.networks.export.runtime import RUNTIMES, BlockRuntime, Runtime, block_runtime, find_runtime

__all__ = [
    "RUNTIMES",
    "BlockRuntime",
    "CheckSettings",
    "CompilingRuntime",
    "Footprint",
    "Kernels",
    "Latency",
    "Part",
    "Runtime",
    "Timing",
    "Tolerance",
    "block_runtime",
    "check_file",
    "compiling_runtime",
    "export",
    "failures",
    "find_runtime",
    "rows_of",
]
