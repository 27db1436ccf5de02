"""A network that does nothing: what every run costs before a kernel starts."""

from typing import Any

from evo_qnas.networks.export.onnx.builder import GraphBuilder


def idle_model() -> Any:
    """An ONNX model that gives its input, one code, back."""
    builder = GraphBuilder()
    builder.expose("input", "image", "UINT8", (1, 1, 1))
    builder.node("Identity", "image", output="logits")
    builder.expose("output", "logits", "UINT8", (1, 1, 1))
    return builder.model(functions=[])
