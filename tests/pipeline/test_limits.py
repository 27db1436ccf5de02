"""Devices as limits of a search: flash by the compiler's account, memory, schemes, and what is missing."""

from pathlib import Path

import numpy as np
import pytest

from evo_qnas.errors import CardError
from evo_qnas.networks.quantization.scheme import SCHEMES
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.limits import device_limits
from evo_qnas.pipeline.problems import expected_tables, problem_of
from evo_qnas.tables import Tables
from evo_qnas.tables.roofline import load_device
from tests.pipeline.conftest import SMALL

SHIPPED = ("cortex_m0", "cortex_m4", "cortex_m7", "ethos_u55", "ethos_u65")


def tables_of(*names: str) -> Tables:
    return Tables.from_arrays({name: [np.ones(2)] for name in names})


def test_limits_are_those_of_the_card(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    head = 'description = "d"\nmacs_per_second = {"8" = 1e9}\nbytes_per_second = 1e9\n'
    path.write_text(head, encoding="utf-8")
    assert device_limits(str(path), tables_of("score"), scheme="any") == []
    path.write_text(head + "flash_bytes = 9\nram_bytes = 4\n", encoding="utf-8")
    tables = tables_of("size_bytes", "peak_memory_bytes")
    assert device_limits(str(path), tables, scheme="any") == ["size_bytes <= 9", "peak_memory_bytes <= 4"]
    with pytest.raises(CardError, match=r"limits memory, which the section \[latency\] counts: add it$"):
        device_limits(str(path), tables_of("size_bytes"), scheme="any")


def test_what_a_device_cannot_take_is_said() -> None:
    tables = tables_of("size_bytes", "peak_memory_bytes")
    with pytest.raises(CardError, match=r"'ethos_u55' takes weights of per_channel, and .* is 'affine'"):
        device_limits("ethos_u55", tables, scheme="affine")
    text = (
        r"'ethos_u55' counts flash by its compiler: add the section \[compiled\] with runtimes = \[\"ethos-u55-128\"\]"
    )
    with pytest.raises(CardError, match=text):
        device_limits("ethos_u55", tables, scheme="per_channel")


@pytest.mark.parametrize("name", SHIPPED)
def test_devices_that_ship_name_schemes_that_there_are(name: str) -> None:
    device = load_device(name)
    assert set(device.schemes) <= set(SCHEMES.names())
    assert device.compiler


def test_a_search_for_a_device_has_its_limits(tmp_path: Path) -> None:
    changes = [*SMALL, 'search.device="cortex_m4"', 'compiled.runtimes=["tflite-micro"]', "latency.networks=4"]
    name, card = load_card("digits", changes=changes)
    context = RunContext(name=name, card=card, folder=tmp_path)
    problem = problem_of(context, expected_tables(context))
    assert tuple(limit.name for limit in problem.constraints) == (
        "flash_bytes@tflite-micro <= 524288",
        "peak_memory_bytes <= 131072",
    )
