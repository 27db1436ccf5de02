"""A network as a program of torch.export: its arguments, a batch of any size, and errors with the user's line."""

import contextlib
import inspect
import io
import linecache
import logging
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

import evo_qnas
from evo_qnas.errors import NetworkError

__all__ = ["FAILURES", "Example", "arguments_of_example", "batch_size", "export_program", "refusal", "without_warnings"]

# A tensor is the one argument of a network; a tuple holds its positional arguments, a mapping those by name.
Example = torch.Tensor | tuple[Any, ...] | Mapping[str, Any]

# What tracing raises where a network cannot be traced, whatever of it fails.
FAILURES = (
    *(RuntimeError, ValueError, TypeError, AssertionError, AttributeError, KeyError, IndexError),
    torch._dynamo.exc.TorchDynamoException,
)
_OURS = (str(Path(torch.__file__).parent), str(Path(evo_qnas.__file__).parent))
_WAY_OUT = (
    "rewrite it without control flow or sizes that depend on values, or keep this part outside the network"
    " (outside the named blocks and the wrapped module)"
)


def arguments_of_example(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional arguments and those by name that an example stands for."""
    if isinstance(example, Mapping):
        return (), dict(example)
    return (tuple(example), {}) if isinstance(example, (tuple, list)) else ((example,), {})


def batch_size(arguments: Any) -> int:
    """The first size of the first tensor that has axes, 1 where there is none."""
    tensors = [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor) and leaf.ndim]
    return len(tensors[0]) if tensors else 1


def export_program(network: nn.Module, example: Example) -> tuple[Any, int | None]:
    """The program of a network in evaluation mode, and the size of its batch: None for any.

    Where the program would depend on the number of examples, it is made for one.

    Raises:
        NetworkError: torch.export cannot trace the network.
    """
    arguments, keywords = arguments_of_example(example)
    count = batch_size((arguments, keywords))

    def resized(size: int) -> Any:
        def part(leaf: Any) -> Any:
            if not _batched(leaf, count):
                return leaf
            return torch.cat([leaf] * size)[:size] if count < size else leaf[:size] if size == 1 else leaf

        return pytree.tree_map(part, (arguments, keywords))

    names = _names(network, len(arguments))
    any_size = pytree.tree_map(lambda leaf: {0: torch.export.Dim.DYNAMIC} if _batched(leaf, count) else None, arguments)
    by_name = pytree.tree_map(lambda leaf: {0: torch.export.Dim.DYNAMIC} if _batched(leaf, count) else None, keywords)
    shapes = any_size if not keywords else {**dict(zip(names, any_size, strict=True)), **by_name}
    with _tracing(network):
        try:
            batch = resized(2)
            return torch.export.export(network, batch[0], batch[1], dynamic_shapes=shapes), None
        except FAILURES:
            pass
        try:
            single = resized(1)
            return torch.export.export(network, single[0], single[1]), 1
        except FAILURES as error:
            raise refusal(network, error) from error


def _names(network: nn.Module, count: int) -> list[str]:
    return list(inspect.signature(network.forward).parameters)[:count]


def _batched(leaf: Any, count: int) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.ndim > 0 and len(leaf) == count


@contextmanager
def _tracing(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and attention by its operations instead of one fused kernel that has none."""
    network.eval()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with without_warnings():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Inside, what torch and the network warn of while they are traced is not shown."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        # torch prints what it had traced before a failure.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def refusal(network: nn.Module, error: Exception) -> NetworkError:
    """The error of a network that cannot be traced: what, at which line of the user's code, and the way out."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return NetworkError(f"torch.export cannot capture {type(network).__name__}: {first}{_place(error)}: {_WAY_OUT}")


def _place(error: BaseException) -> str:
    """The innermost line of an error that is neither torch's nor ours."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        inside = frame.filename.startswith(_OURS) or frame.filename.startswith("<")
        if not inside and "/site-packages/torch/" not in frame.filename and frame.lineno is not None:
            line = linecache.getline(frame.filename, frame.lineno).strip()
            place = f", at {Path(frame.filename).name}:{frame.lineno} `{line}`"
    return place
