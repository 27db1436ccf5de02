"""OpenVINO: ONNX files of standard operations, in its integer kernels on the CPU.

- `runtime`: the runtime `openvino`.
- `standard`: ONNX files without functions of ours, for readers that know none.
- `sessions`: compiled files and their kernels.
"""
