"""ONNX export of quantized networks, their parity with torch, their size and their latency. Needs the extra `onnx`.

- `export_network`: writes a network's ONNX file, checks it, gives its `onnx` entry of `summary.json`.
- `missing_packages`: what has to be installed for that.
- `translate`: from the captured graph to an ONNX model (`moves`, `floats`, `values`, `packed`, `builder`).
- `runtime`: sessions of ONNX Runtime and the kernels they use.
- `sizes`: what the bytes of a file are.
- `parity`: an exported network against torch and against the integer reference.
- `latency`: how long networks take, measured side by side.

Nothing here imports onnx or onnxruntime before it is called.
"""

from evo_qnas.networks.export.exporting import export_network, missing_packages

__all__ = ["export_network", "missing_packages"]
