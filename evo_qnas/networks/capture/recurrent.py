"""Recurrent networks step by step: one product of all inputs, then for each step one of the state and the cell.

Each function takes what the operation of ATEN of its name takes (input, states, weights, has_biases, num_layers,
dropout, train, bidirectional, batch_first) and gives what that gives in evaluation mode.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

__all__ = ["gru", "lstm", "rnn_relu", "rnn_tanh"]

# Weights of the input and of the states, their biases, and of the projection of an LSTM.
_Weights = Sequence[torch.Tensor | None]
# From the gates of the input and the states to the states after the step; the first is the output.
_Cell = Callable[[torch.Tensor, list[torch.Tensor], _Weights], list[torch.Tensor]]


def gru(x: torch.Tensor, hx: torch.Tensor, params: Sequence[torch.Tensor], *settings: Any) -> tuple[torch.Tensor, ...]:
    """Outputs of all steps and the last states."""
    outputs, states = _stack(x, [hx], params, _gru_cell, settings)
    return outputs, *states


def lstm(
    x: torch.Tensor, hx: Sequence[torch.Tensor], params: Sequence[torch.Tensor], *settings: Any
) -> tuple[torch.Tensor, ...]:
    """Outputs of all steps, the last states and the last cells."""
    outputs, states = _stack(x, list(hx), params, _lstm_cell, settings)
    return outputs, *states


def rnn_tanh(
    x: torch.Tensor, hx: torch.Tensor, params: Sequence[torch.Tensor], *settings: Any
) -> tuple[torch.Tensor, ...]:
    """Outputs of all steps and the last states."""
    outputs, states = _stack(x, [hx], params, _plain_cell(torch.tanh), settings)
    return outputs, *states


def rnn_relu(
    x: torch.Tensor, hx: torch.Tensor, params: Sequence[torch.Tensor], *settings: Any
) -> tuple[torch.Tensor, ...]:
    """Outputs of all steps and the last states."""
    outputs, states = _stack(x, [hx], params, _plain_cell(torch.relu), settings)
    return outputs, *states


def _stack(
    x: torch.Tensor, states: list[torch.Tensor], params: Sequence[torch.Tensor], cell: _Cell, settings: Sequence[Any]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """All layers and directions: outputs, and each kind of state after the last step."""
    has_biases, num_layers, _dropout, _train, bidirectional, batch_first = settings
    directions = 2 if bidirectional else 1
    each = len(params) // (num_layers * directions)
    time = 1 if batch_first and x.ndim == 3 else 0
    last: list[list[torch.Tensor]] = [[] for _ in states]
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            weights: _Weights = params[index * each : (index + 1) * each]
            if not has_biases:
                weights = [*weights[:2], None, None, *weights[2:]]
            start = [kind.select(0, index) for kind in states]
            output, ends = _layer(x, start, weights, (cell, time, direction == 1))
            outputs.append(output)
            for kind, end in zip(last, ends, strict=True):
                kind.append(end)
        x = outputs[0] if directions == 1 else torch.cat(outputs, -1)
    return x, [torch.stack(kind) for kind in last]


def _layer(
    x: torch.Tensor, state: list[torch.Tensor], weights: _Weights, how: tuple[_Cell, int, bool]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """One layer in one direction."""
    cell, time, backwards = how
    gates = _linear(x, weights[0], weights[2])
    steps = range(x.size(time))
    outputs = []
    for step in reversed(steps) if backwards else steps:
        state = cell(gates.select(time, step), state, weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if backwards else outputs, time), state


def _gru_cell(gates: torch.Tensor, state: list[torch.Tensor], weights: _Weights) -> list[torch.Tensor]:
    (hidden,) = state
    of_input = gates.chunk(3, -1)
    of_hidden = _linear(hidden, weights[1], weights[3]).chunk(3, -1)
    reset = torch.sigmoid(of_input[0] + of_hidden[0])
    update = torch.sigmoid(of_input[1] + of_hidden[1])
    new = torch.tanh(of_input[2] + reset * of_hidden[2])
    return [new + update * (hidden - new)]


def _lstm_cell(gates: torch.Tensor, state: list[torch.Tensor], weights: _Weights) -> list[torch.Tensor]:
    hidden, memory = state
    entering, forgetting, new, leaving = (gates + _linear(hidden, weights[1], weights[3])).chunk(4, -1)
    memory = torch.sigmoid(forgetting) * memory + torch.sigmoid(entering) * torch.tanh(new)
    hidden = torch.sigmoid(leaving) * torch.tanh(memory)
    if len(weights) > 4:
        hidden = _linear(hidden, weights[4], None)
    return [hidden, memory]


def _plain_cell(function: Callable[[torch.Tensor], torch.Tensor]) -> _Cell:
    def cell(gates: torch.Tensor, state: list[torch.Tensor], weights: _Weights) -> list[torch.Tensor]:
        return [function(gates + _linear(state[0], weights[1], weights[3]))]

    return cell


def _linear(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    result: torch.Tensor = functional.linear(x, weight, bias)  # type: ignore[arg-type]  # weights are there, biases may not be
    return result
