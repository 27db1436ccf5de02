"""The contract of data sources, as a test class."""

from abc import ABC, abstractmethod
from pathlib import Path

import pytest
import torch

from evo_qnas.data import DATA_SOURCES, DATASETS, DataCard, Examples, Splits, load_splits
from evo_qnas.errors import DataError


class DataSourceContract(ABC):
    """Tests that every data source must pass; inherit and say which card to load, pytest finds the rest.

    Example:
        >>> class TestMine(DataSourceContract):
        ...     def make_card(self, folder):
        ...         return DataCard(name="mine", options={"rate": 16_000})
    """

    @abstractmethod
    def make_card(self, folder: Path) -> DataCard:
        """A card of a small data set; what it needs of files is written into the empty `folder`."""

    def parts(self, splits: Splits) -> tuple[Examples, Examples, Examples]:
        """The three parts."""
        return splits.train, splits.search, splits.test

    def assert_same(self, one: Splits, other: Splits) -> None:
        """Fails where two loads differ."""
        assert one.classes == other.classes
        for mine, theirs in zip(self.parts(one), self.parts(other), strict=True):
            for a, b in zip(mine.take(slice(0, None)), theirs.take(slice(0, None)), strict=True):
                assert torch.equal(a, b)

    def test_it_is_registered_with_a_line(self, tmp_path: Path) -> None:
        """The card names an entry of the registry, which says in one line what it is."""
        name = self.make_card(tmp_path).name
        assert name in DATA_SOURCES
        assert DATASETS[name]
        assert "\n" not in DATASETS[name]
        assert "name" not in DATA_SOURCES.get(name).keys

    def test_there_are_three_parts_of_one_shape(self, tmp_path: Path) -> None:
        """Each part has examples with as many labels; inputs are finite, of one shape and type."""
        splits = load_splits(self.make_card(tmp_path))
        shapes = set()
        for part in self.parts(splits):
            inputs, labels = part.take(slice(0, 2))
            assert len(part) == len(part.take(slice(0, None))[1]) > 0
            assert len(inputs) == len(labels)
            assert bool(torch.isfinite(inputs).all())
            shapes.add((tuple(inputs.shape[1:]), inputs.dtype, tuple(labels.shape[1:]), labels.dtype))
        assert len(shapes) == 1

    def test_equal_cards_give_equal_data(self, tmp_path: Path) -> None:
        """Loading again gives the same, with a cache and from it too."""
        card = self.make_card(tmp_path)
        first = load_splits(card)
        self.assert_same(first, load_splits(card))
        for _ in range(2):
            self.assert_same(first, load_splits(card, cache=tmp_path / "cache"))

    def test_keys_of_other_sources_are_refused(self, tmp_path: Path) -> None:
        """A key that the source does not use gets one sentence."""
        card = self.make_card(tmp_path)
        for key, value in {"test_share": 0.5, "image_folder": "x", "options": {"x": 1}}.items():
            if key not in DATA_SOURCES.get(card.name).keys:
                odd = DataCard.model_validate({**card.model_dump(exclude_unset=True), key: value})
                with pytest.raises(DataError, match=rf"data.{key} says nothing about '{card.name}': remove it"):
                    load_splits(odd)
