"""Networks as graphs: any nesting of tensors, nothing in place, nothing unknown that torch can take apart."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.exporting import Example, arguments_of_example
from evo_qnas.networks.capture.graph import ATEN, capture, float_part_name, static_batch
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.pieces import in_pieces
from evo_qnas.networks.capture.signature import input_names, output_names
from evo_qnas.networks.capture.sizes import shape_of_one


def same(network: nn.Module, example: Example, other: Example | None = None) -> fx.GraphModule:
    """The graph of a network, which gives what the network gives for both examples."""
    graph = capture(network, example)
    for each in (example, other):
        if each is not None:
            arguments, keywords = arguments_of_example(each)
            given, wanted = graph(*arguments, **keywords), network(*arguments, **keywords)
            leaves, structure = pytree.tree_flatten(given)
            targets, nesting = pytree.tree_flatten(wanted)
            assert structure == nesting
            for leaf, target in zip(leaves, targets, strict=True):
                same_leaf = leaf is target if target is None else torch.allclose(leaf, target, atol=1e-5)
                assert same_leaf
    return graph


def targets(graph: fx.GraphModule) -> list[Any]:
    return [node.target for node in graph.graph.nodes if node.op == "call_function"]


class _Several(nn.Module):
    """Takes tokens, a pair and an optional mask; gives a dict with a list in it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.layer = nn.Embedding(10, 4), nn.Linear(4, 4)

    def forward(self, ids: torch.Tensor, pair: Any, mask: torch.Tensor | None = None) -> dict[str, Any]:
        first, second = pair
        y = self.layer(self.rows(ids) + first["q"] + second)
        y = y if mask is None else y.masked_fill(mask, 0.0)
        return {"all": y, "parts": [y.sum(1), None]}


def example(count: int) -> tuple[Any, ...]:
    torch.manual_seed(count)
    return torch.randint(0, 10, (count,)), ({"q": torch.randn(count, 4)}, torch.randn(count, 4))


def test_networks_take_and_give_any_nesting_at_any_batch_size() -> None:
    graph = same(_Several(), example(2), example(5))
    assert static_batch(graph) is None
    assert list(input_names(graph).values()) == ["ids", "pair_0_q", "pair_1"]
    assert output_names(graph) == ["all", "parts.0", ""]


def test_arguments_may_have_names() -> None:
    def named(count: int) -> Mapping[str, Any]:
        ids, pair = example(count)
        return {"ids": ids, "pair": pair, "mask": torch.rand(count, 4) > 0.5}

    assert list(input_names(same(_Several(), named(2), named(3))).values())[-1] == "mask"


class _DictOfOne(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        return {"one": [x * 2.0]}


def test_a_dict_of_one_output_stays_a_dict() -> None:
    graph = same(_DictOfOne(), torch.randn(2, 3), torch.randn(4, 3))
    assert output_names(graph) == ["logits"]
    assert list(input_names(graph).values()) == ["image"]


@dataclass
class _Result:
    logits: torch.Tensor
    extra: torch.Tensor


class _GivesDataclass(nn.Module):
    def forward(self, x: torch.Tensor) -> _Result:
        return _Result(logits=x + 1.0, extra=x.sum(1))


def test_dataclasses_that_torch_knows_are_outputs() -> None:
    torch.export.register_dataclass(_Result)
    graph = capture(_GivesDataclass(), torch.zeros(2, 3))
    assert torch.equal(graph(torch.zeros(4, 3)).logits, torch.ones(4, 3))
    assert output_names(graph) == ["logits", "extra"]


class _InPlace(nn.Module):
    """Writes into a part of a tensor, within a context without gradients, and reads the size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            table = torch.arange(4).float()[None] * x[:, :1]
        y = self.layer(x)
        y[:, 0] = 0
        z = y + table
        z.add_(1)
        return z * 2, y.view(y.size(0), -1)


def test_nothing_writes_in_place() -> None:
    graph = same(_InPlace(), torch.randn(2, 4), torch.randn(5, 4))
    assert not any(target._schema.is_mutable for target in targets(graph) if isinstance(target, torch._ops.OpOverload))


@pytest.mark.parametrize("module", [nn.Hardswish(inplace=True), nn.SiLU(inplace=True), nn.Mish(inplace=True)])
def test_activations_in_place_become_plain(module: nn.Module) -> None:
    graph = same(nn.Sequential(nn.Conv2d(2, 3, 1), module), torch.randn(2, 2, 3, 3))
    assert not any(target._schema.is_mutable for target in targets(graph))


class _Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pairwise_distance(x, x + 1.0) + torch.logaddexp(x, 2 * x).sum(1)


def test_operations_that_nobody_registered_are_taken_apart() -> None:
    graph = same(_Unknown(), torch.randn(2, 4), torch.randn(3, 4))
    unknown = [target for target in targets(graph) if operation_of(target) is None]
    assert ATEN.pairwise_distance.default not in unknown


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    "module",
    [
        nn.GRU(5, 6, batch_first=True, bidirectional=True),
        nn.GRU(5, 6, num_layers=2, bias=False),
        nn.LSTM(5, 6, num_layers=2, batch_first=True),
        nn.LSTM(5, 6, proj_size=3, bidirectional=True, batch_first=True),
        nn.RNN(5, 6, batch_first=True),
        nn.RNN(5, 6, nonlinearity="relu", batch_first=True),
    ],
    ids=str,
)
def test_recurrent_modules_become_steps(module: nn.RNNBase) -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
            result: tuple[torch.Tensor, Any] = self.inner(x if module.batch_first else x.transpose(0, 1))
            return result

    graph = same(Outer().eval(), torch.randn(2, 3, 5), torch.randn(4, 3, 5))
    assert not {ATEN.gru.input, ATEN.lstm.input, ATEN.rnn_tanh.input} & set(targets(graph))


def test_attention_is_captured_by_its_operations() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.inner(x, x, x)[0]
            return result

    same(Attends().eval(), torch.randn(2, 5, 8), torch.randn(3, 5, 8))
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    assert torch.backends.mha.get_fastpath_enabled()
    graph = same(encoder, torch.randn(2, 5, 8), torch.randn(3, 5, 8))
    assert not any("_transformer_encoder_layer" in str(target) for target in targets(graph))
    assert torch.backends.mha.get_fastpath_enabled()


class _Loop(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[row : row + 1] * 2.0 for row in range(len(x))])


def test_where_torch_fixes_the_batch_the_graph_is_of_one_example() -> None:
    graph = same(_Loop(), torch.randn(1, 3))
    assert static_batch(graph) == 1
    given = in_pieces(lambda arguments, _: graph(*arguments), 1, (torch.ones(3, 3),), {})
    assert torch.equal(given, torch.full((3, 3), 2.0))


def test_pieces_are_filled_up_and_cut_off_again() -> None:
    seen = []

    def run(arguments: tuple[Any, ...], _: dict[str, Any]) -> Any:
        seen.append(len(arguments[0]))
        return {"rows": arguments[0] + 1, "twice": arguments[0].repeat(2, 1), "number": 3}

    given = in_pieces(run, 2, (torch.arange(3.0).view(3, 1), "text"), {})
    assert seen == [2, 2]
    assert given["rows"].flatten().tolist() == [1.0, 2.0, 3.0]
    assert given["number"] == 3


class _Products(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.shift = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.shift, x, self.matrix) + x @ self.matrix


def test_products_with_constant_matrices_are_linear_layers() -> None:
    graph = same(_Products(), torch.randn(2, 3), torch.randn(5, 3))
    assert targets(graph).count(ATEN.linear.default) == 2
    names = {float_part_name(node) for node in graph.graph.nodes if node.op == "get_attr"}
    assert names == {"float.shift", "float.transposed_matrix"}


class _Filled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, torch.zeros(x.size(0), 2), torch.ones_like(x), x.new_full((x.size(0), 1), 7.0)], dim=1)


def test_tensors_of_one_number_are_spread_over_the_batch() -> None:
    graph = same(_Filled(), torch.randn(2, 3), torch.randn(4, 3))
    assert {target for target in targets(graph) if "zeros" in str(target) or "full" in str(target)} == set()


class _Slices(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 0].float()


def test_slices_of_everything_and_casts_to_the_same_type_are_gone() -> None:
    assert targets(same(_Slices(), torch.randn(2, 3, 4))) == [ATEN.select.int]


def test_sizes_of_one_example_count_windows_of_a_batch() -> None:
    class Windows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(x.size(0) * 4, 3) + 1.0

    graph = capture(Windows(), torch.zeros(2, 12))
    (last,) = [node for node in graph.graph.nodes if node.target is ATEN.add.Tensor]
    assert shape_of_one(last) == (4, 3)


class _DependsOnValues(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while x.sum() > 0:
            x = x - 1
        return x


def test_what_cannot_be_captured_is_named_with_its_line_and_the_way_out(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        NetworkError,
        match=r"cannot capture _DependsOnValues: .*, at test_capture.py:\d+ `while x.sum\(\) > 0:`: rewrite it",
    ):
        capture(_DependsOnValues(), torch.zeros(2, 3))
    assert not re.search(r"\S", capfd.readouterr().err)
