"""Recurrent networks step by step: one product of all inputs, then for each step one of the state and the cell."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

__all__ = ["gru", "lstm", "rnn_relu", "rnn_tanh"]

# From the gates of the input and the states to the states after the step; the first is the output.
_Cell = Callable[[torch.Tensor, list[torch.Tensor], list[torch.Tensor | None]], list[torch.Tensor]]


def gru(
    input: torch.Tensor,  # noqa: A002  # as torch calls it
    hx: torch.Tensor,
    params: Sequence[torch.Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of all steps and the last states, as `aten.gru.input` gives them in evaluation mode."""
    x, (states,) = _stack(input, [hx], params, _gru_cell, has_biases, num_layers, bidirectional, batch_first)
    return x, states


def lstm(
    input: torch.Tensor,  # noqa: A002  # as torch calls it
    hx: Sequence[torch.Tensor],
    params: Sequence[torch.Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs of all steps, the last states and the last cells, as `aten.lstm.input` gives them."""
    x, (states, cells) = _stack(input, list(hx), params, _lstm_cell, has_biases, num_layers, bidirectional, batch_first)
    return x, states, cells


def rnn_tanh(
    input: torch.Tensor,  # noqa: A002  # as torch calls it
    hx: torch.Tensor,
    params: Sequence[torch.Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of all steps and the last states, as `aten.rnn_tanh.input` gives them."""
    x, (states,) = _stack(
        input, [hx], params, _plain_cell(torch.tanh), has_biases, num_layers, bidirectional, batch_first
    )
    return x, states


def rnn_relu(
    input: torch.Tensor,  # noqa: A002  # as torch calls it
    hx: torch.Tensor,
    params: Sequence[torch.Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of all steps and the last states, as `aten.rnn_relu.input` gives them."""
    x, (states,) = _stack(
        input, [hx], params, _plain_cell(torch.relu), has_biases, num_layers, bidirectional, batch_first
    )
    return x, states


def _stack(
    x: torch.Tensor,
    states: list[torch.Tensor],
    params: Sequence[torch.Tensor],
    cell: _Cell,
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """All layers and directions: outputs, and each kind of state after the last step."""
    directions = 2 if bidirectional else 1
    each = len(params) // (num_layers * directions)
    time = 1 if batch_first and x.ndim == 3 else 0
    last: list[list[torch.Tensor]] = [[] for _ in states]
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            weights: list[torch.Tensor | None] = list(params[index * each : (index + 1) * each])
            if not has_biases:
                weights = [*weights[:2], None, None, *weights[2:]]
            start = [kind.select(0, index) for kind in states]
            output, ends = _layer(x, start, weights, cell, time, backwards=direction == 1)
            outputs.append(output)
            for kind, end in zip(last, ends, strict=True):
                kind.append(end)
        x = outputs[0] if directions == 1 else torch.cat(outputs, -1)
    return x, [torch.stack(kind) for kind in last]


def _layer(
    x: torch.Tensor,
    state: list[torch.Tensor],
    weights: list[torch.Tensor | None],
    cell: _Cell,
    time: int,
    *,
    backwards: bool,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """One layer in one direction."""
    assert weights[0] is not None  # the weights of the input are always there
    gates = functional.linear(x, weights[0], weights[2])
    steps = range(x.size(time))
    outputs = []
    for step in reversed(steps) if backwards else steps:
        state = cell(gates.select(time, step), state, weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs, time), state


def _gru_cell(gates: torch.Tensor, state: list[torch.Tensor], weights: list[torch.Tensor | None]) -> list[torch.Tensor]:
    (hidden,) = state
    of_input = gates.chunk(3, -1)
    of_hidden = _product(hidden, weights).chunk(3, -1)
    reset = torch.sigmoid(of_input[0] + of_hidden[0])
    update = torch.sigmoid(of_input[1] + of_hidden[1])
    new = torch.tanh(of_input[2] + reset * of_hidden[2])
    return [new + update * (hidden - new)]


def _lstm_cell(
    gates: torch.Tensor, state: list[torch.Tensor], weights: list[torch.Tensor | None]
) -> list[torch.Tensor]:
    hidden, memory = state
    entering, forgetting, new, leaving = (gates + _product(hidden, weights)).chunk(4, -1)
    memory = torch.sigmoid(forgetting) * memory + torch.sigmoid(entering) * torch.tanh(new)
    hidden = torch.sigmoid(leaving) * torch.tanh(memory)
    if len(weights) > 4 and weights[4] is not None:
        hidden = functional.linear(hidden, weights[4])
    return [hidden, memory]


def _plain_cell(function: Callable[[torch.Tensor], torch.Tensor]) -> _Cell:
    def cell(gates: torch.Tensor, state: list[torch.Tensor], weights: list[torch.Tensor | None]) -> list[torch.Tensor]:
        return [function(gates + _product(state[0], weights))]

    return cell


def _product(hidden: torch.Tensor, weights: list[torch.Tensor | None]) -> torch.Tensor:
    assert weights[1] is not None  # the weights of the state are always there
    return functional.linear(hidden, weights[1], weights[3])
