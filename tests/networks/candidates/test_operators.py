from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import Operator, build_candidate, load_operators

SAME = BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6))
DOWN = BlockShape(name="b", inputs=(8, 6, 6), outputs=(12, 3, 3))

PYTHON_CARD = """
from torch import nn

LABEL = "pool_{size}"
DEFAULTS = {"size": [1, 3]}


def build(shape, *, size):
    if shape.inputs[0] != shape.outputs[0]:
        return None
    return nn.AvgPool2d(size, stride=1, padding=size // 2)
"""


def test_a_card_gives_one_operator_for_each_combination() -> None:
    made = load_operators("inverted_residual", {"kernel": [3, 5], "expansion": [2], "depth": [1, 2]})
    assert [operator.label for operator in made] == ["ir_k3_e2_d1", "ir_k3_e2_d2", "ir_k5_e2_d1", "ir_k5_e2_d2"]


@pytest.mark.parametrize("card", ["inverted_residual", "fused_inverted_residual", "depthwise_separable"])
@pytest.mark.parametrize("shape", [SAME, DOWN])
def test_every_shipped_operator_fits_blocks_with_and_without_stride(card: str, shape: BlockShape) -> None:
    for operator in load_operators(card, {}):
        module = build_candidate(operator, shape, seed=0)
        assert module is not None
        assert module(torch.zeros(2, *shape.inputs)).shape[1:] == shape.outputs


def test_kernel_expansion_and_depth_do_what_they_say() -> None:
    (operator,) = load_operators("inverted_residual", {"kernel": [5], "expansion": [4], "depth": [2]})
    module = build_candidate(operator, SAME, seed=0)
    assert module is not None
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 6
    assert {(m.kernel_size, m.groups) for m in convolutions} == {((1, 1), 1), ((5, 5), 32)}


def test_identity_is_offered_only_where_shapes_allow() -> None:
    (operator,) = load_operators("identity", {})
    assert isinstance(build_candidate(operator, SAME, seed=0), nn.Identity)
    assert build_candidate(operator, DOWN, seed=0) is None


def test_weights_depend_on_the_seed_alone() -> None:
    one, other = load_operators("inverted_residual", {"kernel": [3], "expansion": [2, 4], "depth": [1]})
    alone = build_candidate(one, SAME, seed=5)
    state = torch.get_rng_state()
    build_candidate(other, SAME, seed=6)
    again = build_candidate(one, SAME, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert alone is not None
    assert again is not None
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), again.parameters(), strict=True))


def test_a_python_card_adds_an_operator_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "pooling.py"
    path.write_text(PYTHON_CARD)
    made = load_operators(str(path), {"size": [3]})
    assert [operator.label for operator in made] == ["pool_3"]
    assert isinstance(build_candidate(made[0], SAME, seed=0), nn.AvgPool2d)
    assert build_candidate(made[0], DOWN, seed=0) is None


def test_bad_cards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="no card 'inverted_residul' in operators/blocks/; the nearest are: inverted"):
        load_operators("inverted_residul", {})
    with pytest.raises(CardError, match="no parameter 'kernl'; the nearest are: kernel"):
        load_operators("inverted_residual", {"kernl": [3]})
    with pytest.raises(CardError, match="kernel is empty"):
        load_operators("inverted_residual", {"kernel": []})
    lacking = tmp_path / "lacking.py"
    lacking.write_text("LABEL = 'x'\n")
    with pytest.raises(CardError, match="lacks DEFAULTS, build"):
        load_operators(str(lacking), {})
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(CardError, match="fails on import: ZeroDivisionError"):
        load_operators(str(broken), {})


def test_an_operator_of_another_shape_is_refused() -> None:
    wrong = Operator(label="wrong", builder=lambda _shape: nn.Conv2d(8, 9, 1), parameters={})
    with pytest.raises(NetworkError, match=r"'wrong' gives \(9, 6, 6\) for block 'b', which needs \(8, 6, 6\)"):
        build_candidate(wrong, SAME, seed=0)
    failing = Operator(label="failing", builder=lambda _shape: nn.Conv2d(7, 8, 1), parameters={})
    with pytest.raises(NetworkError, match="'failing' cannot be built for block 'b'"):
        build_candidate(failing, SAME, seed=0)
