"""A pruned block computes what the whole one does whose weights of the channels that go are zeros."""

import copy

import cloudpickle
import pytest
import torch
from torch import fx, nn

from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.candidates.channels.baking import baked
from evo_qnas.networks.candidates.channels.families import families_of, kept_classes
from evo_qnas.networks.candidates.channels.labelling import labelled
from evo_qnas.networks.candidates.channels.rewriting import Cut, Ragged, kept_of_parameters
from evo_qnas.networks.candidates.channels.rules import RULES
from evo_qnas.networks.candidates.channels.tracing import trace
from evo_qnas.networks.candidates.pruning import families, pruned
from evo_qnas.networks.models.layers import inverted_residual
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from tests.networks.candidates.channels.random_blocks import Attention, random_block


@torch.no_grad()
def masked(block: nn.Module, narrow: nn.Module, keep: int, multiple: int) -> nn.Module:
    """The block with zeros for every weight that `narrow` has no more."""
    traced = trace(block, (8, 5, 6))
    assert traced is not None
    state = labelled(traced, RULES)
    sizes = {name: tensor.shape for name, tensor in narrow.named_parameters()}
    stays = torch.ones(len(state.classes), dtype=torch.bool)
    for family in families_of(state):
        kept = kept_classes(family, keep, multiple)
        alone = stays.clone()
        alone[family.classes] = torch.isin(family.classes, family.classes if kept is None else kept)
        try:
            changed = kept_of_parameters(Cut(state=state, stays=alone))
        except Ragged:
            continue
        whole = dict(block.named_parameters())
        if all(name in sizes and sizes[name] != whole[name].shape for name in changed if name in whole):
            stays &= alone
    made = copy.deepcopy(block)
    parameters = dict(made.named_parameters())
    for name, places in kept_of_parameters(Cut(state=state, stays=stays)).items():
        if name not in parameters:
            continue
        for axis, kept in enumerate(places):
            if kept is not None:
                gone = torch.ones(parameters[name].shape[axis], dtype=torch.bool)
                gone[kept] = False
                parameters[name].index_fill_(axis, torch.nonzero(gone).flatten(), 0.0)
    return made


@torch.no_grad()
@pytest.mark.parametrize(
    "seeds", [range(40), pytest.param(range(40, 400), marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_random_blocks_pruned_equal_the_masked_ones(seeds: range) -> None:
    maps = torch.randn(3, 8, 5, 6, generator=torch.Generator().manual_seed(0))
    narrowed = 0
    for seed in seeds:
        block = random_block(seed)
        keep, multiple = (25, 50, 75)[seed % 3], (1, 2, 4)[seed % 2]
        whole = block(maps.clone())  # some write in place
        narrow = pruned(block, keep, multiple, inputs=(8, 5, 6))
        assert torch.equal(block(maps.clone()), whole), f"block {seed} was changed"
        if narrow is None:
            continue
        narrowed += 1
        assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in block.parameters())
        plain = baked(block, (8, 5, 6))
        assert torch.allclose(plain(maps.clone()), whole, atol=1e-5 * float(whole.abs().max()))
        wanted = masked(plain, narrow, keep, multiple)(maps.clone())
        scale = float(wanted.abs().max())
        assert torch.allclose(narrow(maps.clone()), wanted, rtol=0.0, atol=1e-5 * scale), f"block {seed}"
    # Of the others every channel is tied to the input or output.
    assert narrowed > 0.7 * len(seeds)


def test_heads_go_as_a_whole() -> None:
    block = Attention(8, 4, scaled=True).eval()
    (heads,) = families(block, (8, 5, 6))
    assert (len(heads.classes), heads.channels, heads.residual) == (4, 6, True)
    narrow = pruned(block, 50, 1, inputs=(8, 5, 6))
    assert narrow is not None
    assert {name: tuple(p.shape) for name, p in narrow.named_parameters()} == {
        "qkv.weight": (12, 8),
        "qkv.bias": (12,),
        "out.weight": (8, 4),
        "out.bias": (8,),
    }
    for size in (1, 7):  # any batch
        assert narrow(torch.randn(size, 8, 5, 6)).shape == (size, 8, 5, 6)
    narrow.train()(torch.randn(2, 8, 5, 6)).square().sum().backward()
    assert all(p.grad is not None for p in narrow.parameters())


@pytest.mark.parametrize("keep", [25, 50, 75])
@pytest.mark.parametrize("stride", [1, 2])
def test_mobilenet_v2_blocks_keep_the_channels_of_the_formula(keep: int, stride: int) -> None:
    """Norm of the projecting weights times the spread of the filtered channel behind BatchNorm and ReLU6."""
    with torch.random.fork_rng():
        torch.manual_seed(keep)
        block = inverted_residual(8, 8, kernel=3, expansion=6, stride=stride).eval()
    body = block.body if stride == 1 else block
    expand, filtering, project = (module for module in body.modules() if isinstance(module, nn.Conv2d))
    norm = [module for module in body.modules() if isinstance(module, nn.BatchNorm2d)][1]
    nn.init.uniform_(norm.weight, -1.5, 1.5)
    nn.init.uniform_(norm.bias, -1.0, 3.0)
    deviations = torch.linspace(-4.0, 4.0, 129)
    share = torch.exp(-0.5 * deviations**2) / torch.exp(-0.5 * deviations**2).sum()
    values = (norm.bias[:, None] + norm.weight.abs()[:, None] * deviations).clamp(0.0, 6.0)
    mean = (values * share).sum(1, keepdim=True)
    importance = ((values - mean) ** 2 * share).sum(1).sqrt() * project.weight.flatten(1).norm(dim=0)
    count = round(48 * keep / 100 / 8) * 8
    kept = importance.topk(count).indices.sort().values
    narrow = pruned(block, keep)
    assert narrow is not None
    wanted = {
        "expand": expand.weight[kept],
        "filter": filtering.weight[kept],
        "project": project.weight[:, kept],
    }
    made = [module.weight for module in narrow.modules() if isinstance(module, nn.Conv2d)]
    for weight, (name, other) in zip(made, wanted.items(), strict=True):
        assert torch.equal(weight, other), name


@torch.no_grad()
def test_a_narrowed_attention_is_carried_pickled_and_quantized() -> None:
    """It is a graph of operations with the block's own layers, under their own names."""
    block = Attention(8, 4, scaled=True).eval()
    narrow = pruned(block, 50, 1, inputs=(8, 5, 6))
    again = pruned(block, 25, 1, inputs=(8, 5, 6))
    assert isinstance(narrow, fx.GraphModule)
    assert again is not None
    maps = torch.randn(3, 8, 5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cloudpickle.loads(cloudpickle.dumps(narrow))(maps), narrow(maps))
    assert set(narrow.state_dict()) == set(block.state_dict())
    other = pruned(Attention(8, 4, scaled=True).eval(), 50, 1, inputs=(8, 5, 6))
    assert other is not None
    other.load_state_dict(narrow.state_dict())
    assert torch.equal(other(maps), narrow(maps))
    network = assemble(nn.Sequential(nn.Conv2d(3, 8, 1), block, nn.Conv2d(8, 2, 1)), {"1": narrow})
    pixels = torch.randn(3, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    quantized = quantize(network, pixels, Policy(fixed=Bits(weight=8, activation=8)))
    quantized.calibrate([pixels])
    wanted = network(pixels)
    assert 0.0 < float((quantized(pixels) - wanted).norm() / wanted.norm()) < 0.05
    assert len(quantized.layers) == 4
