"""Columns by a compiler's account: what is compiled for which choice, how they fit whole networks, what is kept."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest

from evo_qnas import registry
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.export import (
    RUNTIMES,
    CheckSettings,
    CompilingRuntime,
    Footprint,
    Kernels,
    Latency,
    Timing,
    Tolerance,
)
from evo_qnas.networks.export.checks import stored_bytes
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.latency.compiled import compile_tables, compiled_bits
from evo_qnas.pipeline.stages.compiled import CompiledStage
from evo_qnas.pipeline.stored import open_run
from evo_qnas.tables import Block, Tables
from tests.pipeline.conftest import SMALL

COMPILED = ['compiled.runtimes=["counter"]', "compiled.networks=6", "compiled.held_out=3"]
HEADER = 1000


@final
class Counter(CompilingRuntime):
    """A compiler whose files are the stored tensors behind a header, and that takes a microsecond a layer."""

    name = "counter"
    title = "the counter"
    about = "counts bytes and layers"
    suffix = ".counted"
    packages = ()
    install = "counter"
    tolerance = Tolerance(agreement=1.0, agreement_few_bits=1.0, metric=0.0, steps=0)
    runs = False
    calls = 0

    def footprints(self, networks: Iterable[QuantizedNetwork]) -> list[Footprint]:
        return [self._footprint(network) for network in networks]

    def _footprint(self, network: QuantizedNetwork) -> Footprint:
        type(self).calls += 1
        stored, layers = stored_bytes(network), len(network.layers)
        return Footprint(milliseconds=1e-3 * layers, flash_bytes=stored, file_bytes=stored + HEADER, outside=0)

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        path.write_bytes(b"")

    def kernels(self, path: Path) -> Kernels:
        return Kernels(convolutions=0, integer_convolutions=0, linear=0, integer_linear=0)

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        return {name: Latency(milliseconds=1.0, spread=0.0, rounds=0) for name in files}

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        return {"failures": []}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    """Another package that registers the compiler."""
    entries = [EntryPoint(name="counter", value=f"{__name__}:Counter", group=RUNTIMES.group)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "entry_points", lambda group: entries if group == RUNTIMES.group else [])
        registry._entries.cache_clear()
        yield
    registry._entries.cache_clear()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    folder = tmp_path_factory.mktemp("run")
    name, card = load_card("digits", changes=[*SMALL, *COMPILED, "quantization.weight_bits=[4,8]"], seed=5)
    run_card(name, card, folder, jobs=1, until="compiled")
    return folder, Tables.load(folder / "tables.h5")


def test_columns_are_those_of_whole_networks(made: tuple[Path, Tables]) -> None:
    _, tables = made
    flash, time = tables.columns["flash_bytes@counter"], tables.columns["latency_ms@counter"]
    assert (flash.unit, time.unit) == ("bytes", "ms")
    for column in (flash, time):
        assert "compiled for the counter" in column.source
        assert (column.details["networks"], column.details["held_out_networks"]) == (6, 3)
        assert column.details["held_out_error"] < 0.02
    # Bytes add up, and the file's header stands in the fixed part.
    genomes = np.stack([np.zeros(2, dtype=np.int64), tables.choices - 1])
    size = tables.total("size_bytes", genomes)
    np.testing.assert_allclose(tables.total("flash_bytes@counter", genomes), size + HEADER, rtol=0.02)


def test_few_bits_take_less_flash_and_the_same_time(made: tuple[Path, Tables]) -> None:
    _, tables = made
    for index, block in enumerate(tables.blocks):
        for label in block.labels:
            if label[1] != 8:
                continue
            few = block.labels.index((label[0], 4, label[2]))
            flash, time = (tables.columns[f"{kind}@counter"].values[index] for kind in ("flash_bytes", "latency_ms"))
            assert flash[few] < 0.8 * flash[block.labels.index(label)]
            assert time[few] == time[block.labels.index(label)]


def test_accounts_are_kept(made: tuple[Path, Tables]) -> None:
    folder, tables = made
    context, before = open_run(folder), Counter.calls
    settings = context.card.compiled
    assert settings is not None
    assert compile_tables(context, tables, settings, jobs=1).columns.keys() == tables.columns.keys()
    (folder / "compiled" / "compiled.json").unlink()
    again = compile_tables(context, tables, settings, jobs=1)
    assert again.columns["flash_bytes@counter"].fixed == tables.columns["flash_bytes@counter"].fixed
    assert Counter.calls == before
    damaged = sorted((folder / "compiled" / "counter").glob("*.json"))[0]
    damaged.write_text(damaged.read_text(encoding="utf-8").replace("flash_bytes", "flush_bytes"), encoding="utf-8")
    (folder / "compiled" / "compiled.json").unlink()
    again = compile_tables(context, tables, settings, jobs=1)
    assert again.columns["flash_bytes@counter"].fixed == tables.columns["flash_bytes@counter"].fixed
    assert Counter.calls > before


def test_activations_below_eight_bits_share_an_account() -> None:
    labels = [("a", 4, 4), ("a", 4, 6), ("a", 4, 8), ("a", 8, 6), ("identity", 0, 0)]
    block = Block(
        name="b",
        operators=tuple(label[0] for label in labels),
        weight_bits=np.array([label[1] for label in labels]),
        activation_bits=np.array([label[2] for label in labels]),
    )
    assert [compiled_bits(block)[label] for label in labels] == [
        ("a", 4, 4),
        ("a", 4, 4),
        ("a", 4, 8),
        ("a", 8, 4),
        ("identity", 0, 0),
    ]


def test_a_search_may_name_the_columns_and_what_is_missing_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = ['search.objectives=["score", "flash_bytes@counter"]', 'search.constraints=["latency_ms@counter <= 1"]']
    name, card = load_card("digits", changes=[*SMALL, *COMPILED, *search], seed=5)
    monkeypatch.setattr(Counter, "packages", ("evo-qnas-no-such-package",))
    with pytest.raises(CardError, match=r"^\[compiled\] of the card needs evo-qnas-no-such-package, not inst"):
        run_card(name, card, tmp_path, jobs=1)
    assert not (tmp_path / "teacher.safetensors").exists()


def test_a_runtime_that_compiles_nothing_is_refused(tmp_path: Path) -> None:
    name, card = load_card("digits", changes=[*SMALL, 'compiled.runtimes=["tflite"]'], seed=5)
    with pytest.raises(NetworkError, match=r"^the runtime 'tflite' compiles nothing"):
        run_card(name, card, tmp_path, jobs=1)
    assert CompiledStage().name == "compiled"
