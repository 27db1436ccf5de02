"""Readers of the network half: weights, cards, arrays of images, networks of a run folder."""

import io
import json
import pickle
import shutil
import struct
import tomllib
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import tomlkit
import torch
from safetensors.torch import save

from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.tables import damaged_npz
from benchmarks.fuzzing.values import VALUES, Rng, any_of, damaged_bytes, damaged_json, damaged_toml
from evo_qnas.data import load_splits
from evo_qnas.data.card import DataCard
from evo_qnas.networks.models.teachers import build_teacher, load_teacher, start_teacher
from evo_qnas.networks.models.weights import load_weights, read_metadata, save_weights
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.check import check_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import find_network, open_run

CARD = """
task = "classification"
[data]
name = "arrays"
folder = "data"
[teacher]
architecture = "inverted_residual_classifier"
[teacher.parameters]
channels = 1
classes = 3
stem = 4
head = 8
stages = [
  { channels = 4, expansion = 1, depth = 1, stride = 1 },
  { channels = 4, expansion = 2, depth = 1, stride = 2 },
]
[teacher.training]
epochs = 1
batch_size = 16
learning_rate = 5e-3
weight_decay = 1e-3
shift_pixels = 1
label_smoothing = 0.05
[blocks]
names = ["stages.0", "stages.1"]
[[operators]]
card = "inverted_residual"
kernel = [3]
expansion = [1, 2]
depth = [1]
[[operators]]
card = "depthwise_separable"
kernel = [3]
depth = [1]
[quantization]
weight_bits = [2, 4, 8]
activation_bits = [8]
calibration_images = 16
[distillation]
steps = 4
batch_size = 8
learning_rate = 5e-3
weight_decay = 1e-4
[search]
objectives = ["score", "size_bytes"]
constraints = ["size_bytes <= 100000"]
algorithm = "nsga2"
evaluations = 60
population = 20
ties = [["stages.0", "stages.1"]]
pins = { "stages.0" = { weight_bits = 8 } }
[validation]
size_shares = [0.8]
random_networks = 4
[finetuning]
epochs = 1
batch_size = 8
learning_rate = 1e-3
step_learning_rate = 1e-2
"""


def image_arrays(seed: int, count: int = 24) -> dict[str, np.ndarray]:
    """Small normalised images of three classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 3
    pixels = rng.normal(size=(count, 1, 8, 8)).astype(np.float32) + labels[:, None, None, None]
    return {"pixels": pixels.astype(np.float32), "labels": labels}


def write_data(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, part in enumerate(("train", "search", "test")):
        np.savez(folder / f"{part}.npz", **image_arrays(seed))


@final
class Arrays(Reader):
    """Images and labels in `.npz`."""

    name = "arrays"

    def make_good(self, folder: Path) -> None:
        write_data(folder / "data")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copytree(good / "data", case / "data")
        return damaged_npz(image_arrays(0), case / "data" / f"{any_of(('train', 'search', 'test'), rng)}.npz", rng)

    def read(self, case: Path) -> None:
        splits = load_splits(DataCard(name="arrays", folder=case / "data"), cache=None, jobs=1)
        splits.train.take(slice(0, 2))


class Weights(Reader):
    """Weights of a teacher."""

    suffix: str

    @cached_property
    def parameters(self) -> dict[str, Any]:
        return dict(tomllib.loads(CARD)["teacher"]["parameters"])

    def make_good(self, folder: Path) -> None:
        teacher = build_teacher("inverted_residual_classifier", self.parameters)
        save_weights(teacher.state_dict(), folder / "teacher.safetensors", {"fingerprint": "a"})
        torch.save(teacher.state_dict(), folder / "teacher.pt")

    def read(self, case: Path) -> None:
        path = case / f"teacher{self.suffix}"
        if self.suffix == ".safetensors":
            read_metadata(path)
        fresh = build_teacher("inverted_residual_classifier", self.parameters)
        start_teacher(fresh, path)
        load_teacher(fresh, path)


def damaged_tensors(tensors: dict[str, torch.Tensor], rng: Rng, *, odd: bool) -> dict[Any, Any]:
    """Tensors with other names, shapes, kinds or values; `odd` ones too that safetensors cannot hold."""
    changed: dict[Any, Any] = dict(tensors)
    for _ in range(int(rng.integers(1, 4))):
        name = any_of(changed, rng)
        value = changed[name]
        if not isinstance(value, torch.Tensor) or value.is_nested or value.is_quantized or value.numel() > 10**6:
            continue
        options: list[Any] = [
            value.to(any_of((torch.float16, torch.float64, torch.int8, torch.bool, torch.bfloat16), rng)),
            value.reshape(-1),
            value[None],
            torch.full_like(value, any_of((-1, 0, 10**9), rng)),
            value.double() * any_of((float("nan"), float("inf"), 1e38, 1e300), rng),
            value.new_empty((0, *value.shape[1:])),
        ]
        if odd:
            options += [
                torch.empty(value.shape, device="meta"),
                value.float().to_sparse(),
                value.to(torch.complex64),
                torch.zeros((), dtype=value.dtype).expand(value.shape),
                torch.zeros(1).expand(10**9),
                torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
                None,
                "text",
                [value],
                {"a": value},
                value.float().requires_grad_() * 1,
                torch.nn.Parameter(value.float()),
                torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
            ]
        changed[name] = any_of(options, rng)
    if rng.random() < 0.2:
        changed.pop(any_of(changed, rng))
    if rng.random() < 0.2:
        changed[any_of(("", "\x1b[2J", "x" * 5000, "a\nb"), rng) if rng.random() < 0.7 or not odd else 5] = torch.ones(
            2
        )
    return changed


@final
class Safetensors(Weights):
    """Weights in safetensors."""

    name = "safetensors"
    suffix = ".safetensors"

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        target, raw = case / "teacher.safetensors", (good / "teacher.safetensors").read_bytes()
        how = int(rng.integers(4))
        if how == 0:
            target.write_bytes(damaged_bytes(raw, rng))
            return "bytes"
        if how == 1:
            length = struct.unpack("<Q", raw[:8])[0]
            head = damaged_json(json.loads(raw[8 : 8 + length]), rng)
            told = len(head) if rng.random() < 0.9 else int(any_of((0, 2**63, 2**64 - 1, 10**9), rng))
            target.write_bytes(struct.pack("<Q", told) + head + raw[8 + length :])
            return "head"
        if how == 2:
            own = damaged_json({"fingerprint": "a", "b": "c"}, rng).decode("utf-8", "replace")
            target.write_bytes(save(load_weights(good / "teacher.safetensors")[0], metadata={"evo_qnas": own}))
            return "metadata"
        changed = damaged_tensors(load_weights(good / "teacher.safetensors")[0], rng, odd=False)
        target.write_bytes(save({key: value.contiguous() for key, value in changed.items()}))
        return "tensors"


class _Evil:
    """What would run code where a pickle is trusted."""

    def __reduce__(self) -> Any:
        return print, ("code of a stranger ran",)


@final
class Pt(Weights):
    """State dicts of torch."""

    name = "pt"
    suffix = ".pt"

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        target, raw = case / "teacher.pt", (good / "teacher.pt").read_bytes()
        how = int(rng.integers(5))
        if how == 0:
            target.write_bytes(damaged_bytes(raw, rng))
            return "bytes"
        if how == 1:
            target.write_bytes(_zip_changed(raw, rng))
            return "members"
        if how == 2:
            content = any_of(
                ([1], {"state_dict": [1]}, _Evil(), {"a": _Evil()}, {"state_dict": {"state_dict": {}}}, None, "x"), rng
            )
            if rng.random() < 0.5:
                target.write_bytes(pickle.dumps(content, protocol=int(rng.integers(0, 5))))
            else:
                torch.save(content, target)
            return "content"
        tensors = torch.load(good / "teacher.pt", weights_only=True)
        changed: Any = damaged_tensors(tensors, rng, odd=True)
        if rng.random() < 0.2:
            changed = {"state_dict": changed, "epoch": 3}
        torch.save(changed, target, _use_new_zipfile_serialization=bool(rng.random() < 0.7))
        return "tensors"


def _zip_changed(raw: bytes, rng: Rng) -> bytes:
    """The zip of `torch.save` with one member damaged, and right checksums."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as file, zipfile.ZipFile(out, "w") as made:
        names = file.namelist()
        chosen = any_of(names, rng) if rng.random() < 0.4 else next(name for name in names if name.endswith("data.pkl"))
        for name in names:
            content = file.read(name)
            made.writestr(name, damaged_bytes(content, rng) if name == chosen else content)
    return out.getvalue()


# Values of cards that would ask for hours or gigabytes rightly are left out.
_CARD_VALUES = [value for value in VALUES if not (isinstance(value, int) and 1000 < abs(value) < 2**31)]


@final
class ProblemCards(Reader):
    """Problem cards, as far as `run` reads them before it trains."""

    name = "card"
    every = 0

    def make_good(self, folder: Path) -> None:
        write_data(folder / "data")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copytree(good / "data", case / "data")
        (case / "card.toml").write_bytes(damaged_toml(tomllib.loads(CARD), rng, hostile=_CARD_VALUES))
        return "toml"

    def read(self, case: Path) -> None:
        name, card = load_card(str(case / "card.toml"))
        check_card(RunContext(name=name, card=card, folder=case / "run"), anew=False)


OTHER_CARDS: dict[str, str] = {
    "devices": 'description = "a"\nmacs_per_second = { "8" = 1e9, "4" = 2e9 }\nbytes_per_second = 1e9\n'
    "start_us = 1.0\n",
    "variation": 'description = "a"\ncrossover = 0.9\nuniform = 0.5\npoints = 2\nmutated_genes = 1.0\nwhole = 1.0\n'
    "operator = 1.0\nbits = 1.0\nmating_neighbourhood = 4\n",
    "suite": 'kind = "suite"\ntitle = "a"\nalgorithms = ["nsga2"]\nagainst = "nsga2"\n[[cases]]\nname = "a"\n'
    'about = "b"\nevaluations = 10\n[cases.source]\nkind = "generated"\nblocks = 3\noperators = 2\n'
    "weight_bits = [4, 8]\nactivation_bits = [8]\n"
    'objectives = ["score", "size_bytes"]\nconstraints = ["latency_ms <= 4"]\n'
    '[cases.front]\nby = "sums"\nguarantee = 0.9\n',
}


@final
class OtherCards(Reader):
    """Cards of devices, recipes and suites; a recipe is also searched with."""

    name = "other-cards"

    def make_good(self, folder: Path) -> None:
        from evo_qnas.tables.generate import generate_tables

        generate_tables(4, operators=3).save(folder / "tables.h5")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        kind = any_of(OTHER_CARDS, rng)
        (case / f"{kind}.toml").write_bytes(damaged_toml(tomllib.loads(OTHER_CARDS[kind]), rng))
        shutil.copy(good / "tables.h5", case)
        return kind

    def read(self, case: Path) -> None:
        from evo_qnas.compare.suite import load_suite
        from evo_qnas.problem import TableProblem
        from evo_qnas.search import search
        from evo_qnas.tables import Tables
        from evo_qnas.tables.roofline import load_device

        if (case / "devices.toml").is_file():
            load_device(str(case / "devices.toml"))
        elif (case / "suite.toml").is_file():
            load_suite(str(case / "suite.toml"))
        else:
            problem = TableProblem(Tables.load(case / "tables.h5"))
            recipe: Any = str(case / "variation.toml")
            search(problem, evaluations=60, population=20, variation=recipe, progress=False)

    def command(self, case: Path) -> list[str] | None:
        if (case / "variation.toml").is_file():
            recipe = ["--variation", str(case / "variation.toml"), "--evaluations", "60"]
            return ["search", str(case / "tables.h5"), *recipe, "-o", str(case / "out.h5")]
        if (case / "suite.toml").is_file():
            few = ["--evaluations", "10", "--seeds", "1", "--jobs", "1", "--pictures", "none"]
            return ["compare", str(case / "suite.toml"), *few, "-o", str(case / "compared")]
        return None


NETWORK: dict[str, Any] = {
    "fingerprint": "f",
    "id": "a",
    "blocks": [
        {"block": "stages.0", "operator": "teacher", "weight_bits": 8, "activation_bits": 8},
        {"block": "stages.1", "operator": "teacher", "weight_bits": 4, "activation_bits": 8},
    ],
    "metric": 0.5,
}


@final
class Networks(Reader):
    """`network.json` and `card.toml` of a run folder, as `export` reads them."""

    name = "network"

    def make_good(self, folder: Path) -> None:
        write_data(folder / "data")
        (folder / "networks" / "a").mkdir(parents=True)
        (folder / "card.toml").write_text(CARD, encoding="utf-8")
        save_weights({"a": torch.zeros(2)}, folder / "networks" / "a" / "weights.safetensors", {"fingerprint": "f"})
        (folder / "networks" / "a" / "network.json").write_text(json.dumps(NETWORK), encoding="utf-8")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copytree(good, case, dirs_exist_ok=True)
        inner = case / "networks" / "a"
        how = int(rng.integers(3))
        if how == 0:
            (case / "card.toml").write_bytes(damaged_toml(tomlkit.loads(CARD).unwrap(), rng, hostile=_CARD_VALUES))
            return "card.toml"
        if how == 1:
            weights = inner / "weights.safetensors"
            weights.write_bytes(damaged_bytes(weights.read_bytes(), rng))
            return "weights"
        (inner / "network.json").write_bytes(damaged_json(NETWORK, rng))
        return "network.json"

    def read(self, case: Path) -> None:
        find_network(open_run(case), "a")

    def command(self, case: Path) -> list[str]:
        return ["export", str(case), "--network", "a", "-o", str(case / "a.onnx")]


NETWORK_READERS: tuple[Reader, ...] = (Arrays(), Safetensors(), Pt(), ProblemCards(), OtherCards(), Networks())
