"""ONNX export of quantized networks, their parity with torch, their size and their latency. Needs the extra `onnx`.

- `export_network`: writes a network's ONNX file, checks it, gives its `onnx` entry of `summary.json`.
- `missing_packages`, `require_packages`: what has to be installed for that.
- `tflite`: the same for TFLite, with the extra of that name.
- `measure_blocks`: a script to copy to a device.
- `compose`: networks from the models of their parts; `float_model`: float networks.
- `translate`: from the captured graph to an ONNX model (`moves`, `floats`, `values`, `packed`, `builder`).
- `runtime`: sessions of ONNX Runtime and the kernels they use.
- `sizes`: what the bytes of a file are.
- `parity`: an exported network against torch and against the integer reference.
- `latency`: how long networks take, measured side by side.

Nothing here imports onnx or onnxruntime before it is called.
"""

from pathlib import Path

from evo_qnas.networks.export.onnx.exporting import export_network, missing_packages, require_packages

__all__ = ["export_network", "measure_blocks_script", "missing_packages", "require_packages"]


def measure_blocks_script() -> str:
    """The text of the script that measures exported blocks on a device; it stands alone."""
    return (Path(__file__).parent / "common" / "measure_blocks.py").read_text(encoding="utf-8")
