"""Texts of a stranger's file are not repeated whole in a message."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from evo_qnas.errors import TableError
from evo_qnas.tables import Tables


def test_a_text_of_thousands_of_letters_gives_a_short_sentence(tmp_path: Path) -> None:
    sealed, plain = tmp_path / "sealed.h5", tmp_path / "plain.h5"
    Tables.from_arrays({"score": [np.array([1.0, 2.0])] * 2}).save(sealed)
    with h5py.File(sealed) as one, h5py.File(plain, "w") as other:
        for name in one:
            one.copy(name, other)
        for name, value in one.attrs.items():
            other.attrs[name] = value
        other["blocks/001/columns/score"].attrs["unit"] = "é" * 9000
    with pytest.raises(TableError, match="column 'score'") as caught:
        Tables.load(plain)
    assert len(str(caught.value)) < 500
