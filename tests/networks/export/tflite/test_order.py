"""Axes of tensors in the file: random chains of moves against numpy."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.interpreters import interpreter_of
from evo_qnas.networks.export.tflite.moves import (
    concatenated,
    copied,
    gathered,
    in_order,
    permuted,
    reshaped,
    reversed_along,
    sliced,
    tiled,
)
from evo_qnas.networks.export.tflite.numbers import binary, constant, reduced
from evo_qnas.networks.export.tflite.values import Tensor, identity

_MOST_AXES, _MANY = 6, 200


def _factors(data: st.DataObject, count: int) -> list[int]:
    """A shape of as many values."""
    shape: list[int] = []
    while count > 1 and len(shape) < _MOST_AXES - 1:
        size = data.draw(st.sampled_from([d for d in range(1, count + 1) if count % d == 0]), label="size")
        shape.append(size)
        count //= size
    return [*shape, count]


def _moved(data: st.DataObject, builder: TfliteBuilder, tensor: Tensor, array: Any) -> tuple[Tensor, Any]:
    """One move more, in the file and in numpy."""
    axis = data.draw(st.integers(0, array.ndim - 1), label="axis")
    kind = data.draw(st.sampled_from(sorted(_MOVES)), label="kind")
    return _MOVES[kind](data, builder, tensor, array, axis) or (tensor, array)


def _permuted(data: Any, _builder: Any, tensor: Tensor, array: Any, _axis: int) -> Any:
    order = data.draw(st.permutations(range(array.ndim)))
    return permuted(tensor, order), array.transpose(order)


def _viewed(data: Any, builder: Any, tensor: Tensor, array: Any, _axis: int) -> Any:
    shape = _factors(data, array.size)
    return reshaped(builder, tensor, shape), array.reshape(shape)


def _sliced(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    size = array.shape[axis]
    return size > 1 and (sliced(builder, tensor, axis, 1, size), array.take(range(1, size), axis))


def _flipped(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    return reversed_along(builder, tensor, axis), np.flip(array, axis)


def _joined(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    turned = reversed_along(builder, tensor, axis)
    both = np.concatenate([array, np.flip(array, axis)], axis)
    return array.size < _MANY and (concatenated(builder, [tensor, turned], axis), both)


def _taken(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    places = [array.shape[axis] - 1, 0]
    return gathered(builder, tensor, axis, places), array.take(places, axis)


def _averaged(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    mean = array.mean(axis, dtype=np.float32)
    return array.ndim > 2 and (reduced(builder, "MEAN", tensor, [axis], keep=False), mean)


def _added(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    numbers = np.arange(array.shape[axis], dtype=np.float32).reshape([-1] + [1] * (array.ndim - 1 - axis))
    return binary(builder, "ADD", tensor, constant(numbers)), array + numbers


def _spread(_data: Any, builder: Any, tensor: Tensor, array: Any, _axis: int) -> Any:
    shape = (2, *array.shape)
    fits = array.ndim < _MOST_AXES and array.size < _MANY
    return fits and (copied(builder, tensor, shape), np.broadcast_to(array, shape))


def _tiled(_data: Any, builder: Any, tensor: Tensor, array: Any, axis: int) -> Any:
    times = [2 if place == axis else 1 for place in range(array.ndim)]
    return array.size < _MANY and (tiled(builder, tensor, times), np.tile(array, times))


_MOVES = {
    "permute": _permuted,
    "view": _viewed,
    "slice": _sliced,
    "flip": _flipped,
    "cat": _joined,
    "take": _taken,
    "mean": _averaged,
    "add": _added,
    "more": _spread,
    "tile": _tiled,
}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_chains_of_moves_are_those_of_numpy(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4), label="shape"))
    order = tuple(data.draw(st.permutations(range(len(shape))), label="order"))
    array: Any = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    builder = TfliteBuilder()
    source = Tensor(tensor=-1, shape=shape, order=order, kind="FLOAT32")
    source = Tensor(tensor=builder.tensor("x", source.stored, "FLOAT32"), shape=shape, order=order, kind="FLOAT32")
    tensor, target = source, array
    for _ in range(data.draw(st.integers(1, 6), label="moves")):
        tensor, target = _moved(data, builder, tensor, target)
        assert tensor.shape == target.shape
    tensor = binary(builder, "ADD", in_order(builder, tensor, identity(target.ndim)), 0.0)
    interpreter = interpreter_of(builder.content(inputs={"x": source.tensor}, outputs={"y": tensor.tensor}))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], array.transpose(order))
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found.reshape(target.shape), target, atol=1e-5)
