"""ONNX files and ONNX Runtime. Needs the extra `onnx`.

- `runtime`: the runtime.
- `translate`: from the captured graph to a model (`quantized`, `layout`, `floats`, `values`, `packed`, `builder`).
- `float_model`: float networks; `compose`: networks from models of their parts; `idle`: a network without kernels.
- `sessions`: sessions of ONNX Runtime and the kernels they use; `sizes`: the bytes of a file.
- `measure_blocks`: a script to copy to a device.
"""
