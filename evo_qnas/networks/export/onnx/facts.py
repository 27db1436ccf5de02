"""ONNX files that carry class names and preprocessing, and files that take raw pixels."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.files import write_bytes
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.export.facts import constants_of, entries_of, in_words

RAW = "pixels"


def note(path: Path, facts: Facts) -> None:
    """Adds the facts to the metadata of a file, each as JSON under its name."""
    import onnx

    model = onnx.load(path)
    for key, value in entries_of(facts).items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    _save(model, path)


def take_raw(path: Path, preprocessing: Mapping[str, Any]) -> None:
    """Lets a file take `pixels`, uint8 (n, h, w, c), in place of its images."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph, (divide, mean, std) = model.graph, constants_of(preprocessing)
    shape = [size.dim_value or size.dim_param for size in graph.input[0].type.tensor_type.shape.dim]
    (count, channels, height, width), name = shape, graph.input[0].name
    steps = [("Div", divide), ("Sub", mean), ("Div", std)]
    nodes, last = [helper.make_node("Cast", [RAW], ["pixels_float"], to=TensorProto.FLOAT)], "pixels_float"
    for index, (operation, values) in enumerate(steps):
        if values == 1.0:
            continue
        constant, made = f"preprocessing_{index}", f"pixels_{index}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), constant))
        nodes.append(helper.make_node(operation, [last, constant], [made]))
        last = made
    nodes.append(helper.make_node("Transpose", [last], [name], perm=[0, 3, 1, 2]))
    rest = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend([*nodes, *rest])
    graph.input.append(helper.make_tensor_value_info(RAW, TensorProto.UINT8, [count, height, width, channels]))
    onnx.checker.check_model(model, full_check=True)
    _save(model, path)


def usage(path: Path, facts: Facts) -> tuple[str, ...]:
    """Four lines of Python that run a file."""
    import onnx

    inputs = onnx.load(path, load_external_data=False).graph.input
    given = ", ".join(f'"{entry.name}": {_example(entry)}' for entry in inputs)
    words = "" if [entry.name for entry in inputs] == [RAW] else in_words(facts)
    return (
        "import numpy, onnxruntime",
        'options = onnxruntime.SessionOptions(); options.add_session_config_entry("session.x64quantprecision", "1")',
        f'session = onnxruntime.InferenceSession("{path.name}", options)',
        f"outputs = session.run(None, {{{given}}})" + (f"  # {words}" if words else ""),
    )


def _example(entry: Any) -> str:
    """Zeros as an input takes them, one example."""
    from onnx import helper

    kind = entry.type.tensor_type
    shape = tuple(size.dim_value or 1 for size in kind.shape.dim)
    return f'numpy.zeros({shape}, "{helper.tensor_dtype_to_np_dtype(kind.elem_type)}")'


def _save(model: Any, path: Path) -> None:
    write_bytes(path, model.SerializeToString(deterministic=True))
