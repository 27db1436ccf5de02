"""Networks written as data and read back: the same integers, and refusal of what does not belong together."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle import Facts, read_bundle, write_bundle
from evo_qnas.networks.bundle.arguments import argument_json, argument_of, target_of, target_text
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize

INPUTS = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Mixed(nn.Module):
    """Layers, additions, pooling, concatenation, a float part and an up-sampling at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.second = nn.Conv2d(8, 8, 3, 2, padding=1, groups=2)
        self.scale = nn.Parameter(torch.full((1, 8, 1, 1), 0.5))
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = nn.functional.max_pool2d(x, 2) + self.second(x) * self.scale
        x = torch.cat([x, nn.functional.hardswish(x)], dim=1)
        return nn.functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)


def quantized(model: nn.Module, inputs: torch.Tensor = INPUTS) -> QuantizedNetwork:
    network = quantize(model.eval(), inputs[:2], Policy(fixed=Bits(weight=5, activation=7)))
    network.calibrate([inputs])
    return network


def written(network: QuantizedNetwork, folder: Path, facts: Facts | None = None) -> Path:
    save_weights(network.stored(), folder / "weights.safetensors", {"fingerprint": "f"})
    write_bundle(network, folder, fingerprint="f", facts=facts)
    return folder


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Mixed(), INPUTS),
        (nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 2)), torch.randn(5, 7)),
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2)), torch.randn(5, 2, 8)),
    ],
    ids=["mixed", "linear", "sound"],
)
def test_a_network_read_back_gives_the_same(model: nn.Module, inputs: torch.Tensor, tmp_path: Path) -> None:
    network = quantized(model, inputs)
    facts = Facts(classes=("a", "b"), preprocessing={"mean": [0.5], "std": [0.25]})
    read, known = read_bundle(written(network, tmp_path, facts))
    assert known == facts
    assert torch.equal(InIntegers(read)(inputs), InIntegers(network)(inputs))
    assert torch.equal(read(inputs), network(inputs))
    assert [layer.name for layer in read.layers] == [layer.name for layer in network.layers]
    stored, again = network.stored(), read.stored()
    assert stored.keys() == again.keys()
    assert all(torch.equal(stored[name], again[name]) for name in stored)


def test_a_bundle_written_again_is_the_same_text(tmp_path: Path) -> None:
    written(quantized(Mixed()), tmp_path / "a")
    read, _ = read_bundle(tmp_path / "a")
    written(read, tmp_path / "b")
    one, two = (json.loads((tmp_path / name / "graph.json").read_text()) for name in "ab")
    for content in (one, two):
        for node in content["nodes"]:
            node.pop("shape", None)  # the batch is any number before, one example afterwards
    assert one == two


def test_arguments_survive() -> None:
    values: list[object] = [
        1,
        2.5,
        True,
        None,
        "constant",
        [1, [2]],
        float("inf"),
        torch.float32,
        torch.contiguous_format,
    ]
    values += [torch.contiguous_format, torch.strided, slice(1, None, 2)]
    assert [argument_of(json.loads(json.dumps(argument_json(value))), {}) for value in values] == values
    for target in (torch.ops.aten.relu.default, torch.ops.aten.add.Tensor):
        assert target_of(target_text(target)) is target


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("aten.no_such.default", r"this version of torch has no operation 'aten\.no_such\.default'"),
        ("os.system.default", r"no operation 'os\.system\.default'|is no operation of torch"),
        ("builtins.eval", r"'builtins\.eval'"),
    ],
)
def test_names_that_are_no_operations(text: str, match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        target_of(text)


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"holds no network: there is no graph\.json"):
        read_bundle(tmp_path)
    folder = written(quantized(Mixed()), tmp_path / "one")
    shutil.copytree(folder, tmp_path / "two")
    save_weights({"x": torch.zeros(1)}, tmp_path / "two" / "weights.safetensors", {"fingerprint": "g"})
    with pytest.raises(NetworkError, match=r"does not belong to .*graph\.json: copy both from one run"):
        read_bundle(tmp_path / "two")
    content = json.loads((folder / "graph.json").read_text())
    content["nodes"][3]["arguments"] = [{"node": "nobody"}]
    (folder / "graph.json").write_text(json.dumps(content))
    with pytest.raises(NetworkError, match=r"the bundle's graph names 'nobody', which is not there"):
        read_bundle(folder)
    (folder / "graph.json").write_text(json.dumps({**content, "version": 9}))
    with pytest.raises(NetworkError, match=r"is of version 9, this evo_qnas reads 1"):
        read_bundle(folder)


class Twice(nn.Module):
    """A layer that is called twice, weights that are tied, a recurrent network, a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.words = nn.Linear(6, 6), nn.Embedding(5, 6)
        self.steps = nn.GRU(6, 6, batch_first=True)

    def forward(self, x: torch.Tensor, words: torch.Tensor) -> dict[str, torch.Tensor]:
        x = torch.relu(self.layer(torch.relu(self.layer(x)))) + self.words(words)
        steps, _ = self.steps(x)
        return {"same": nn.functional.linear(steps, self.words.weight), "last": steps[:, -1]}


def test_shared_weights_several_inputs_and_nested_outputs_are_read_back(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = (torch.randn(4, 3, 6, generator=generator), torch.randint(0, 5, (4, 3), generator=generator))
    network = quantize(Twice().eval(), inputs, Policy(fixed=Bits(weight=8, activation=8)))
    network.calibrate([inputs])
    read, _ = read_bundle(written(network, tmp_path))
    one, two = InIntegers(read)(*inputs), InIntegers(network)(*inputs)
    assert one.keys() == two.keys() == {"same", "last"}
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [layer.shared for layer in read.layers] == [layer.shared for layer in network.layers]
    assert read.stored().keys() == network.stored().keys()


CODE = "x=open('ran', 'w')"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("nodes", 0, "target"), CODE),
        (("nodes", 0, "name"), CODE),
        (("nodes", 0, "target"), "lambda"),
        (("nodes", 1, "target"), 'a", open("ran", "w")) or (self, "b'),
        (("nodes", 1, "op"), "call_method"),
        (("nodes", 1, "keywords"), {CODE: 1}),
        (("arguments",), [CODE]),
        (("modules", CODE), None),
        (("floats", CODE), None),
        (("in_spec",), '[1, {"type": null, "context": "{\\"__enum__\\": true}", "children_spec": []}]'),
    ],
)
def test_texts_of_a_graph_never_become_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[str | int, ...], text: object
) -> None:
    """torch.fx writes names as they are into a function, and compiles it: a default value runs at once."""
    monkeypatch.chdir(tmp_path)
    path = written(quantized(nn.Sequential(nn.Linear(7, 9)), torch.randn(5, 7)), tmp_path / "a") / "graph.json"
    content = json.loads(path.read_text())
    content["in_spec"] = content["out_spec"] = None
    at = content
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = text
    path.write_text(json.dumps(content))
    with pytest.raises(
        NetworkError, match=r"the bundle's graph (holds (.* where a name should be|a node of the kind)|nests)"
    ):
        read_bundle(path.parent)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (("classes",), None, r"classes must be a list of names"),
        (("classes",), [1], r"classes must be a list of names"),
        (("preprocessing",), [], r"preprocessing a table or null"),
        (("modules", "layer_linear", "bits"), 2.5, r"holds 2\.5 bits: 2 to 8 are possible"),
        (("modules", "layer_linear", "bits"), 9, r"holds 9 bits: 2 to 8 are possible"),
        (
            ("modules", "layer_linear", "shape"),
            [9, 6],
            r"linear\.codes has the shape \(40,\), a layer of \(9, 6\) needs",
        ),
        (
            ("modules", "layer_linear", "shape"),
            [7, 9],
            r"linear\.scale has the shape \(9,\), a layer of \(7, 9\) needs",
        ),
        (("modules", "layer_linear", "outputs"), 8, r"linear\.bias has the shape \(9,\), .* needs \(8,\)"),
    ],
)
def test_values_of_a_graph_are_checked(tmp_path: Path, place: tuple[str, ...], value: object, match: str) -> None:
    path = written(quantized(nn.Sequential(nn.Linear(7, 9)), torch.randn(5, 7)), tmp_path) / "graph.json"
    content = json.loads(path.read_text())
    at = content
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(NetworkError, match=match):
        read_bundle(tmp_path)
