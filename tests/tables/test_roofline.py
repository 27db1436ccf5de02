"""The roofline model by hand, and cards that break a rule."""

from pathlib import Path

import pytest

from evo_qnas.cards import list_cards
from evo_qnas.errors import CardError
from evo_qnas.tables.roofline import DeviceCard, load_device, roofline_ms


def device(**changes: object) -> DeviceCard:
    values = {"description": "d", "macs_per_second": {"8": 1e9, "4": 2e9}, "bytes_per_second": 1e9, "start_us": 0.0}
    return DeviceCard.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("kernels", "bits", "wanted"),
    [
        ([(4_000_000, 1000, 1000)], (8, 8), 4.0),
        ([(4_000_000, 1000, 1000)], (4, 4), 2.0),
        ([(4_000_000, 1000, 1000)], (2, 8), 4.0),
        ([(4_000_000, 1000, 1000)], (2, 3), 2.0),
        # Bound by bytes: weights packed, activations a byte each.
        ([(1000, 4_000_000, 500_000)], (8, 8), 4.5),
        ([(1000, 4_000_000, 500_000)], (4, 8), 2.5),
        ([(4_000_000, 0, 0), (0, 0, 1_000_000)], (8, 8), 5.0),
        ([], (8, 8), 0.0),
    ],
)
def test_the_slower_of_computing_and_moving(
    kernels: list[tuple[int, int, int]], bits: tuple[int, int], wanted: float
) -> None:
    assert roofline_ms(device(), kernels, *bits) == pytest.approx(wanted)
    assert roofline_ms(device(start_us=100.0), kernels, *bits) == pytest.approx(wanted + 0.1 * len(kernels))


def test_floats_need_a_speed_of_their_own() -> None:
    with pytest.raises(CardError, match=r"^the device 'd' names no speed at 32 bits: add one to its macs_per_second"):
        roofline_ms(device(), [(1, 1, 1)], 16, 32)
    both = device(macs_per_second={"8": 1e9, "32": 1e8})
    assert roofline_ms(both, [(1_000_000, 0, 0)], 16, 32) == pytest.approx(10.0)
    assert roofline_ms(both, [(0, 1_000_000, 0)], 16, 32) == pytest.approx(2.0)


def test_the_cards_that_ship_can_be_read() -> None:
    assert {"cortex_m7", "edge_gpu"} <= set(list_cards("devices"))
    for name in list_cards("devices"):
        assert load_device(name).description


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('macs_per_second = {"4" = 1e9}', "name the speed at 8 bits"),
        ('macs_per_second = {"8" = 0.0}', "greater than 0"),
        ('macs_per_second = {"eight" = 1.0}', "bit-widths from 1 to 64, not 'eight'"),
        ('macs_per_second = {"8" = 1e9}\nwatts = 3', "unknown key 'watts'"),
        ('macs_per_second = {"8" = 1e9}\nstart_us = nan', "start_us"),
    ],
)
def test_odd_device_cards_get_one_sentence(line: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(f'description = "d"\nbytes_per_second = 1e9\n{line}\n')
    with pytest.raises(CardError, match=text):
        load_device(str(path))
    with pytest.raises(CardError, match="there is no card 'cortex_m8' in devices/; the nearest are: cortex_m7"):
        load_device("cortex_m8")
