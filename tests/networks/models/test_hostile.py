"""Weights and parameters of teachers that no network can have."""

import math
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from evo_qnas.errors import NetworkError
from evo_qnas.networks.models.teachers import build_teacher, load_teacher, start_teacher
from evo_qnas.networks.models.weights import load_weights, read_metadata, save_weights

GOOD: dict[str, Any] = {
    "channels": 1,
    "classes": 4,
    "stem": 8,
    "stages": [{"channels": 8, "expansion": 2, "depth": 1, "stride": 1}],
    "head": 16,
}
NAME = "inverted_residual_classifier"
VARIANCE = "stem.1.running_var"


def damaged(name: str, value: float) -> dict[str, torch.Tensor]:
    tensors = {key: tensor.clone() for key, tensor in build_teacher(NAME, GOOD).state_dict().items()}
    tensors[name].view(-1)[0] = value
    return tensors


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("stem.0.weight", math.nan, r"tensor 'stem\.0\.weight' has NaN or infinity"),
        ("stem.0.weight", math.inf, r"tensor 'stem\.0\.weight' has NaN or infinity"),
        (VARIANCE, -1.0, r"running_var' is a variance and has negative values"),
    ],
)
def test_weights_that_are_no_numbers(tmp_path: Path, suffix: str, name: str, value: float, match: str) -> None:
    path = tmp_path / f"teacher{suffix}"
    if suffix == ".pt":
        torch.save(damaged(name, value), path)
    else:
        save_weights(damaged(name, value), path, {})
    for read in (load_teacher, start_teacher):
        with pytest.raises(NetworkError, match=match):
            read(build_teacher(NAME, GOOD), path)


@pytest.mark.parametrize(
    ("tensor", "match"),
    [
        (torch.empty(8, device="meta"), "has no values"),
        (torch.zeros(8, dtype=torch.complex64), r"has the kind torch\.complex64"),
        (torch.zeros(8).to_sparse(), r"has the kind torch\.float32, torch\.sparse_coo"),
    ],
)
def test_tensors_that_are_no_weights(tmp_path: Path, tensor: torch.Tensor, match: str) -> None:
    path = tmp_path / "teacher.pt"
    torch.save({**build_teacher(NAME, GOOD).state_dict(), VARIANCE: tensor}, path)
    for read in (load_teacher, start_teacher):
        with pytest.raises(NetworkError, match=match):
            read(build_teacher(NAME, GOOD), path)


def test_keys_that_are_no_names(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(2)}, tmp_path / "teacher.pt")
    with pytest.raises(NetworkError, match="holds no state dict"):
        load_teacher(build_teacher(NAME, GOOD), tmp_path / "teacher.pt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"stem": -3}, r"teacher\.parameters\.stem must be from 1 to 65,536"),
        ({"stem": 10**9}, r"teacher\.parameters\.stem must be from 1"),
        ({"classes": 0}, r"teacher\.parameters\.classes must be from 1"),
        ({"head": 65_536, "classes": 65_536}, r"would take 16 GiB of weights"),
        (
            {"stages": [{"channels": 8, "expansion": 2, "depth": 10**9, "stride": 1}]},
            r"0\.depth must be from 1",
        ),
        ({"stages": [{"channels": 8}]}, r"does not accept its parameters: 'depth'"),
        ({"stages": 5}, r"does not accept its parameters"),
        ({"stem": "eight"}, r"does not accept its parameters"),
        ({"stem": 2.5}, r"does not accept its parameters"),
    ],
)
def test_parameters_that_no_network_has(change: dict[str, Any], match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        build_teacher(NAME, GOOD | change)


@pytest.mark.parametrize("name", [":x", ".:x", "..a:b", "math:", ":"])
def test_architectures_without_a_module(name: str) -> None:
    with pytest.raises(NetworkError, match=r"needs the form 'module:object'"):
        build_teacher(name, {})


@pytest.mark.parametrize(("name", "match"), [("math:pi", "is a float, not a"), ("a b:c", "cannot be imported")])
def test_architectures_that_are_none(name: str, match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        build_teacher(name, {})


def test_the_check_of_sizes_draws_nothing() -> None:
    torch.manual_seed(3)
    one = build_teacher(NAME, GOOD).state_dict()
    torch.manual_seed(3)
    from evo_qnas.networks.models.teachers import InvertedResidualClassifier

    other = InvertedResidualClassifier(**GOOD).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("text", ["[" * 200_000, "1" * 5000, '{"a": "\\ud800"}'])
def test_metadata_of_others_are_none_of_ours(tmp_path: Path, text: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata={"evo_qnas": text})
    assert list(load_weights(path)[0]) == ["a"]
    assert "fingerprint" not in (read_metadata(path) or {})


def test_nested_tensors_have_no_shape(tmp_path: Path) -> None:
    state = build_teacher(NAME, GOOD).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
        torch.save({**state, VARIANCE: nested}, tmp_path / "teacher.pt")
        for read in (load_teacher, start_teacher):
            with pytest.raises(NetworkError, match="holds no state dict"):
                read(build_teacher(NAME, GOOD), tmp_path / "teacher.pt")


def test_pickles_that_end_within_a_number(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "teacher.pt", "w") as made:
        for name in whole.namelist():
            made.writestr(name, b"\x80\x02X\x01" if name.endswith("data.pkl") else whole.read(name))
    with pytest.raises(NetworkError, match="is no state dict of tensors"):
        load_teacher(build_teacher(NAME, GOOD), tmp_path / "teacher.pt")
