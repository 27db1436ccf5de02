"""One network through capture, quantization, calibration, a step of fine-tuning and every runtime."""

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from torch import nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from evo_qnas.data.nests import Nest, call, leaves
from evo_qnas.errors import NetworkError
from evo_qnas.networks.checking.census import node_named, operation_name, target_of
from evo_qnas.networks.checking.lines import line_of_error, line_of_trace
from evo_qnas.networks.checking.report import Refusal
from evo_qnas.networks.export import Runtime
from evo_qnas.networks.quantization.quantize import Policy, QuantizedNetwork, quantize
from evo_qnas.networks.training.optimizers import quantized_optimizer

WAYS = {
    "running": "it must run in evaluation mode on the examples as they are",
    "capture": "write it without a decision that depends on values (a fixed number of rounds, torch.where), or keep "
    "that part outside the network",
    "gradient": "fine-tuning would follow another one: write it in torch's own operations, or register an operation of "
    "your own (docs/extending.md, Operation)",
    "operation": "replace it by operations that evo-qnas list operations names, keep that part outside the network, or "
    "register the operation with its translation (docs/extending.md, Operation)",
    "learning": "write it so that gradients pass, such as without changing a tensor in place",
}
# Rates of the one step: that it can be made is what is asked, not where it leads. Chosen.
_RATE = 1e-5
_NAMES = re.compile(r"\((\w+)\)|\b(?:of|layer) (\w+)")

Distance = Callable[[Any, Any], torch.Tensor]


@final
@dataclass(slots=True, kw_only=True)
class Trial:
    """What became of a network.

    Attributes:
        network: in words.
        quantized: None where it cannot be quantized.
        refusal: of any runtime whatever; None where there is none.
        refused: by runtime.
        nodes: by runtime the reason for the node that it refused, by the name of the node.
    """

    network: str
    quantized: QuantizedNetwork | None = None
    refusal: Refusal | None = None
    refused: dict[str, Refusal] = field(default_factory=dict)
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)


def try_network(
    network: str,
    module: nn.Module,
    example: Nest,
    policy: Policy,
    *,
    runtimes: Mapping[str, Runtime],
    folder: Path,
    distance: Distance | None = None,
) -> Trial:
    """What becomes of a network; the module stays unchanged.

    Args:
        network: in words, for refusals.
        module: in evaluation mode.
        example: two inputs.
        policy: bits of its parts.
        runtimes: to translate to, by name.
        folder: for their files.
        distance: of outputs from the module's own, for the step of fine-tuning; None for the mean square.
    """
    trial = Trial(network=network)
    step = "capture"
    try:
        with quiet():
            trial.quantized = quantize(module, example, policy)
            step = "quantization"
            trial.quantized.calibrate([example])
            step = "learning"
            _learn(trial.quantized, module, example, distance or mean_square)
    # The network is a user's: anything may come out of it, and out of torch.
    except Exception as error:
        trial.refusal = _refusal(network, error, step, trial.quantized)
        return trial
    if not trial.quantized.layers and not trial.quantized.float_parts:
        return trial  # nothing to export: it costs nothing and changes nothing
    for name, runtime in runtimes.items():
        try:
            with quiet():
                _through(trial.quantized, example, runtime, folder / f"network{runtime.suffix}")
        except Exception as error:  # files go through libraries of others, which raise what they like
            refusal = _refusal(network, error, "operation", trial.quantized, runtime)
            trial.refused[name] = refusal
            node = _node(trial.quantized, str(error))
            trial.nodes[name] = {} if node is None else {node: refusal.reason}
    return trial


def mean_square(outputs: Any, targets: Any) -> torch.Tensor:
    """Mean square of the differences of all tensors that a network gives."""
    pairs = zip(leaves(outputs), leaves(targets), strict=True)
    parts = [(one - other).square().mean() for one, other in pairs if torch.is_floating_point(one)]
    return torch.stack(parts).sum()


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which torch says nothing: what there is to say, the report says."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _learn(network: QuantizedNetwork, module: nn.Module, example: Nest, distance: Distance) -> None:
    """One step of fine-tuning.

    Raises:
        NetworkError: it leaves what is no number.
    """
    with torch.no_grad():
        targets = call(module, example)
    optimizer, _ = quantized_optimizer([network], learning_rate=_RATE, step_learning_rate=_RATE, steps=1)
    with torch.enable_grad():
        loss = distance(call(network, example), targets)
    if not loss.requires_grad:
        return  # a network without layers has nothing to learn
    loss.mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _through(network: QuantizedNetwork, example: Nest, runtime: Runtime, path: Path) -> None:
    """Writes a network's file, opens and runs it, as far as the runtime can."""
    runtime.write(network, path)
    if not runtime.runs:
        return
    session = runtime.open(path)
    if isinstance(example, torch.Tensor):
        runtime.run(session, example.numpy(force=True))


def _refusal(
    network: str, error: Exception, step: str, quantized: QuantizedNetwork | None, runtime: Runtime | None = None
) -> Refusal:
    """The error in words, with the operation and the line of code that it comes from."""
    text = str(error).strip()
    node = None if quantized is None else _node(quantized, text)
    operation, line = "", line_of_error(error)
    if quantized is not None and node is not None:
        found = node_named(quantized, [node])
        if found is not None:
            operation = operation_name(target_of(quantized, found))
            line = line_of_trace(found.meta.get("stack_trace")) or line
    reason = (text.splitlines() or [""])[0]
    if not isinstance(error, NetworkError):
        reason = f"{type(error).__name__}: {reason}"
    elif isinstance(error.__cause__, GuardOnDataDependentSymNode):
        reason = f"it decides by values that it computes, {reason}"
    return Refusal(
        network=network,
        operation=operation,
        reason=reason,
        line=line,
        way_out=WAYS.get(step, ""),
        runtime="" if runtime is None else runtime.title,
    )


def _node(network: QuantizedNetwork, text: str) -> str | None:
    """The name of the node that an error text names."""
    names = [name for pair in _NAMES.findall(text) for name in pair if name]
    found = node_named(network, names)
    for node in network.graph.graph.nodes if found is None else ():
        if node.op == "call_function" and str(node.target) in text:
            found = node
    return None if found is None else found.name
