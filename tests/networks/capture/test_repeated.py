"""What depends on the number of examples alone becomes one row, repeated."""

import torch
from torch import nn

from evo_qnas.networks.capture.graph import capture


class Masked(nn.Module):
    """A causal mask made by way of the batch size, and a parameter that is repeated for every example."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.layer = nn.Parameter(torch.ones(1, 1, 4)), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(x.shape[0])[:, None, None] * 0
        mask = rows + torch.arange(5)[:, None] >= torch.arange(5)[None]
        y = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.layer(y).masked_fill(~mask.any(-1, keepdim=True), 0.0) + mask.float().sum(-1, keepdim=True)


class Numbered(nn.Module):
    """Adds another number to every example."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.arange(x.shape[0])[:, None]


def test_a_mask_is_one_row_and_a_parameter_stays() -> None:
    network, x = Masked(), torch.randn(3, 4, 4)
    graph = capture(network, x)
    targets = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    assert not any("arange" in target for target in targets)
    kept = {str(node.target): graph for node in graph.graph.nodes if node.op == "get_attr"}
    assert any(name.startswith("repeated_") for name in kept)
    assert "token" in kept
    for examples in (x, torch.randn(7, 4, 4)):
        torch.testing.assert_close(graph(examples), network(examples))


def test_what_differs_between_examples_stays() -> None:
    network = Numbered()
    graph = capture(network, torch.randn(3, 4))
    assert not any(node.op == "get_attr" for node in graph.graph.nodes)
    examples = torch.randn(7, 4)
    torch.testing.assert_close(graph(examples), network(examples))
