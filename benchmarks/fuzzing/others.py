"""Readers of bundles, labelled images, kept files of a run, values from elsewhere, and preferences."""

import json
import shutil
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn

import evo_qnas as eq
from benchmarks.fuzzing.images import SIZE, damaged_image, encoded
from benchmarks.fuzzing.networks import CARD, write_data
from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.tables import damaged_csv
from benchmarks.fuzzing.values import VALUES, Rng, any_of, damaged_bytes, damaged_json, damaged_text
from evo_qnas.archive import Archive
from evo_qnas.data import load_splits
from evo_qnas.data.card import DataCard
from evo_qnas.networks.bundle import Facts, write_bundle
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

# Would leave a file where it runs; texts of a graph become Python code of torch.fx.
_CODE = [
    "x=open('RAN', 'w')",
    "x, y=open('RAN', 'w')",
    "a\", open('RAN', 'w')) or (self, \"b",
    "a')\n    open('RAN', 'w')\n    ('",
    "lambda: open('RAN', 'w')",
    "__import__('os').mkdir('RAN')",
]


@final
class Bundles(Reader):
    """`graph.json` and `weights.safetensors` of a network."""

    name = "bundle"
    every = 0

    def make_good(self, folder: Path) -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2)).eval()
        inputs = torch.randn(4, 1, 8, 8)
        network = quantize(model, inputs[:2], Policy(fixed=Bits(weight=4, activation=8)))
        network.calibrate([inputs])
        (folder / "a").mkdir()
        save_weights(network.stored(), folder / "a" / "weights.safetensors", {"fingerprint": "f"})
        facts = Facts(classes=("a", "b"), preprocessing={"mean": [0.5], "std": [0.25]})
        write_bundle(network, folder / "a", fingerprint="f", facts=facts)

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copytree(good / "a", case / "a")
        graph, weights = case / "a" / "graph.json", case / "a" / "weights.safetensors"
        if rng.random() < 0.1:
            weights.write_bytes(damaged_bytes(weights.read_bytes(), rng))
            return "weights"
        content = json.loads(graph.read_text(encoding="utf-8"))
        if rng.random() < 0.3:
            content["in_spec"] = content["out_spec"] = None
        if rng.random() < 0.3:
            graph.write_bytes(_with_code(content, rng))
            return "code"
        graph.write_bytes(damaged_json(content, rng))
        return "graph"

    def read(self, case: Path) -> None:
        network = eq.load_network(case / "a")
        # Torch refuses what it likes: a graph can be whole and compute nonsense.
        with suppress(Exception):
            network(torch.zeros(1, 1, 8, 8))
        if (case / "RAN").exists():
            raise AssertionError("code of a stranger ran")


def _with_code(content: dict[str, Any], rng: Rng) -> bytes:
    """A graph with Python code in place of a text or a key."""
    code = any_of(_CODE, rng)
    text = json.dumps(content)
    texts = sorted({part for part in _texts(content) if part})
    return text.replace(json.dumps(any_of(texts, rng)), json.dumps(code), int(any_of((1, -1), rng))).encode()


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *_texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


@final
class LabelledImages(Reader):
    """A folder for each class, or `labels.csv`."""

    name = "image-folder"
    every = 0

    def make_good(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        for label in "abc":
            (folder / label).mkdir()
            for index in range(5):
                pixels = rng.integers(0, 255, SIZE).astype(np.uint8)
                (folder / label / f"i{index}.png").write_bytes(encoded("png", "RGB", pixels, rng))

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        data = case / "data"
        shutil.copytree(good, data)
        rows = ["file,label,part"]
        parts = ("train", "val", "test", "", "train")
        for label in "abc":
            rows += [f"{label}/i{at}.png,{label},{part}" for at, part in enumerate(parts)]
        text = "\n".join(rows) + "\n"
        chosen = data / any_of("abc", rng) / f"i{int(rng.integers(5))}.png"
        how = int(rng.integers(5))
        if how <= 1:
            damage = damaged_csv if rng.random() < 0.7 else damaged_text
            (data / "labels.csv").write_bytes(damage(text, rng))
            return "labels.csv"
        if how == 2:
            (data / any_of("abc", rng)).rename(
                data / any_of(("train", "val", "\x1b[2J", "a\nb", "caf\udce9", "x" * 240, ".a"), rng)
            )
            return "name"
        if how == 3:
            chosen.unlink()
            chosen.symlink_to(any_of((chosen, "/dev/zero", "/proc/self/mem", data, "nowhere", "/"), rng))
            return "link"
        chosen.write_bytes(damaged_image(chosen.read_bytes(), "png", rng))
        return "image"

    def read(self, case: Path) -> None:
        card = DataCard.model_validate({"name": "image_folder", "folder": case / "data"})
        load_splits(card, cache=case / "cache" if case.name.endswith("0") else None, jobs=1)


@final
class KeptFiles(Reader):
    """JSON files that a run left and finds again: `check.json`, scores, stamps, seconds."""

    name = "kept-files"
    every = 0
    _FILES = ("check.json", "check.json", "seconds.json", "blocks/*/choices.json", "blocks/*/in_context.json", "*.json")

    def make_good(self, folder: Path) -> None:
        write_data(folder / "data")
        card = CARD.replace("[search]", '[in_context]\nmeasure = "kl"\n[search]')
        (folder / "card.toml").write_text(card, encoding="utf-8")
        run_card(*self._card(folder), folder / "run", jobs=1, device="cpu", until="tables")

    def _card(self, folder: Path) -> Any:
        return load_card(str(folder / "card.toml"), changes=[f'data.folder="{folder / "data"}"'])

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        # The folder of the data is part of what files were made from.
        (case / "good").write_text(str(good), encoding="utf-8")
        shutil.copytree(good / "run", case / "run")
        found: list[Path] = []
        while not found:
            found = sorted((case / "run").glob(any_of(self._FILES, rng)))
        path = any_of(found, rng)
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = content.get("fingerprint")
        if kept is not None and rng.random() < 0.8:
            rest = {key: value for key, value in content.items() if key != "fingerprint"}
            text = damaged_json(rest, rng).decode("utf-8", "replace").strip()
            path.write_text(f'{{"fingerprint": {json.dumps(kept)}, {text[1:]}', encoding="utf-8", errors="replace")
        else:
            path.write_bytes(damaged_json(content, rng))
        if rng.random() < 0.6:
            # Scores are read again where the stamp of their tables is gone.
            (case / "run" / "blocks" / "tables.json").unlink()
        return path.name

    def read(self, case: Path) -> None:
        good = Path((case / "good").read_text(encoding="utf-8"))
        run_card(*self._card(good), case / "run", jobs=1, device="cpu", until="tables")
        for column in Tables.load(case / "run" / "tables.h5").columns.values():
            if not np.isfinite(np.concatenate(column.values)).all():
                raise AssertionError("a number that is none in tables")


class OfProblem(Reader):
    """What is handed to a problem of four blocks."""

    every = 0

    @cached_property
    def problem(self) -> TableProblem:
        return TableProblem(generate_tables(4, operators=3), ["score", "size_bytes"], constraints=["latency_ms <= 20"])

    def make_good(self, folder: Path) -> None:
        archive = eq.search(self.problem, evaluations=60, population=20, path=folder / "a.h5", progress=False)
        archive.to_dataframe().to_csv(folder / "a.csv", index=False)
        (folder / "text").write_text("size_bytes <= 30000", encoding="utf-8")


@final
class Elsewhere(OfProblem):
    """CSV of `Archive.from_dataframe`."""

    name = "evaluations-csv"

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        text = (good / "a.csv").read_text(encoding="utf-8")
        rows = text.splitlines()[: int(any_of((3, 20, 61), rng))]
        (case / "a.csv").write_bytes(damaged_csv("\n".join(rows) + "\n", rng))
        return "csv"

    def read(self, case: Path) -> None:
        archive = Archive.from_dataframe(self.problem, case / "a.csv", path=case / "out.h5")
        assert np.isfinite(archive.front.objectives).all()


# What a program may hand over in place of arrays.
_ODD: list[Any] = [
    *(value for value in VALUES if not (isinstance(value, str) and value.startswith("@"))),
    *(np.nan, np.inf, -np.inf, 1e308, -1e308, 2**64, 1j, b"a", object(), np.datetime64("2020"), np.array("a")),
    *(np.zeros((0, 4)), np.zeros((3, 0)), np.zeros(()), np.zeros((2, 2, 2)), np.ma.masked, [[1, 2], [3]]),
]


_NUMBERS = [float(value) for value in _ODD if isinstance(value, int | float)]


@final
class AskTell(OfProblem):
    """Genomes and values of `Archive.from_evaluations`, and of `tell`."""

    name = "evaluations"

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        (case / "seed").write_text(str(int(rng.integers(2**31))), encoding="utf-8")
        return "arrays"

    def read(self, case: Path) -> None:
        rng = np.random.default_rng(int((case / "seed").read_text(encoding="utf-8")))
        asked = eq.optimizer(self.problem, "nsga2", population=4, path=case / "a.h5")
        genomes = asked.ask(4)
        given: dict[str, Any] = dict(
            zip(("genomes", "objectives", "constraints"), (genomes, *self.problem.evaluate(genomes)), strict=True)
        )
        name = any_of(given, rng)
        given[name] = _odd(given[name], rng)
        if rng.random() < 0.5:
            Archive.from_evaluations(self.problem, **given, path=case / "b.h5")
        else:
            asked.tell(*given.values())
            assert np.isfinite(asked.archive.front.objectives).all()
            asked.ask(2)


def _odd(values: np.ndarray, rng: Rng) -> Any:
    how = int(rng.integers(6))
    if how == 0:
        return any_of(_ODD, rng)
    if how == 1:
        return values[: int(rng.integers(len(values)))]
    if how == 2:
        return values.astype(any_of(("f2", "c16", "U8", "O", "M8[s]", "bool", "u1", "i1"), rng))
    if how == 3:
        return any_of((values.T, values[:, :1], values.ravel(), values[None], values.tolist(), values[::-1]), rng)
    changed = values.astype(object)
    changed[int(rng.integers(len(values))), int(rng.integers(values.shape[1]))] = any_of(_ODD, rng)
    return changed if how == 4 else changed.tolist()


@final
class Preferences(OfProblem):
    """Limits, reference points and prices."""

    name = "preferences"
    every = 3
    _TEXTS = ("size_bytes <= 30000", "score=1.5", "size_bytes per score <= 2000", "score <= 0.6x")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copy(good / "a.h5", case)
        text = any_of(self._TEXTS, rng)
        if rng.random() < 0.3:
            text = text.replace(any_of(text.split(), rng), str(any_of(_ODD, rng))[:3000], 1)
        damaged = damaged_text(text, rng).decode("utf-8", "surrogateescape")[:5000].replace("\0", " ")
        (case / "text").write_text(damaged, encoding="utf-8", errors="surrogateescape")
        return text[:20]

    def _text(self, case: Path) -> str:
        return (case / "text").read_text(encoding="utf-8", errors="surrogateescape")

    def read(self, case: Path) -> None:
        archive, text = Archive.load(case / "a.h5"), self._text(case)
        rng = np.random.default_rng(len(text))
        how = int(rng.integers(4))
        if how == 0:
            archive.select(text)
        elif how == 1:
            archive.front.choose(trade_offs=text)
        elif how == 2:
            archive.front.choose({text: 1.0} if rng.random() < 0.2 else {"score": any_of(_NUMBERS, rng)})
        else:
            TableProblem(self.problem.tables, ["score", text] if rng.random() < 0.3 else ["score"], constraints=[text])

    def command(self, case: Path) -> list[str]:
        text = self._text(case)
        option = any_of(("--constraint", "--prefer", "--trade-off"), np.random.default_rng(len(text)))
        return ["front", str(case / "a.h5"), f"{option}={text}"]


OTHER_READERS: tuple[Reader, ...] = (
    *(Bundles(), LabelledImages(), KeptFiles()),
    *(Elsewhere(), AskTell(), Preferences()),
)
