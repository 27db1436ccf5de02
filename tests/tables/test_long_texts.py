"""Texts of a stranger's file are not repeated whole in a message."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from evo_qnas.errors import TableError
from evo_qnas.tables import Tables, safe_hdf5
from evo_qnas.tables.safe_hdf5 import SafeReader


def test_a_text_of_thousands_of_letters_gives_a_short_sentence(tmp_path: Path) -> None:
    sealed, plain = tmp_path / "sealed.h5", tmp_path / "plain.h5"
    Tables.from_arrays({"score": [np.array([1.0, 2.0])] * 2}).save(sealed)
    with h5py.File(sealed) as one, h5py.File(plain, "w") as other:
        for name in one:
            one.copy(name, other)
        for name, value in one.attrs.items():
            other.attrs[name] = value
        other["column"][0] = other["column"].asstr()[0].replace("minimize", "é" * 9000)
    with pytest.raises(TableError, match="column 'score'") as caught:
        Tables.load(plain)
    assert len(str(caught.value)) < 500


def test_texts_are_read_up_to_the_longest_that_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_hdf5, "_MOST_TEXT", 8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for length in (8, 9):
            file.attrs[f"a{length}"] = "x" * length
            file.create_dataset(f"d{length}", data=["x" * length], dtype=h5py.string_dtype())
    with h5py.File(tmp_path / "a.h5") as file:
        reader = SafeReader(origin="a.h5", what="tables", error=TableError, file=file)
        assert reader.text_attribute(file, "a8") == reader.texts(file, "d8")[0] == "x" * 8
        with pytest.raises(TableError, match=r"the attribute 'a9' of / must be text"):
            reader.text_attribute(file, "a9")
        with pytest.raises(TableError, match=r"/d9 declares texts that are longer than the file"):
            reader.texts(file, "d9")
