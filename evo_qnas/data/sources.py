"""The interface of data sources and their registry."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Splits
from evo_qnas.errors import DataError
from evo_qnas.registry import Registry


class DataSource(ABC):
    """One data set, or one layout of data sets, that a card can name.

    An entry of `DATA_SOURCES` or of the entry points `evo_qnas.data_sources`; has no state, so that worker processes
    make their own. What it must keep is tested by `networks.testing.data_sources.DataSourceContract`.

    Attributes:
        about: one line for `evo-qnas list datasets`.
        keys: keys of `[data]`, besides `name`, that the source uses; any other is refused. A source that is not our own
            uses `options` for what `DataCard` has no key for.
    """

    about: str
    keys: frozenset[str]

    @abstractmethod
    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """The parts of the data set; equal cards give equal ones on every machine.

        Args:
            card: with no keys besides `keys`.
            cache: folder for decoded data, whose names must tell all that they depend on; None decodes into memory.
            jobs: processes that decode.

        Raises:
            DataError: a key does not fit, or a file is missing or malformed.
        """


DATA_SOURCES: Registry[DataSource] = Registry(
    "data set",
    "evo_qnas.data_sources",
    DataSource,
    {
        "digits": "evo_qnas.data.digits:Digits",
        "arrays": "evo_qnas.data.arrays:Arrays",
        "camvid": "evo_qnas.data.camvid:CamVid",
        "cityscapes": "evo_qnas.data.cityscapes:Cityscapes",
        "streets": "evo_qnas.data.streets.loading:Streets",
        "folder": "evo_qnas.data.folder:Folder",
        "image_folder": "evo_qnas.data.image_folder:ImageFolder",
    },
    error=DataError,
)


@final
class _Abouts(Mapping[str, str]):
    """One line about each data source by name."""

    def __getitem__(self, name: str) -> str:
        if name not in DATA_SOURCES:
            raise KeyError(name)
        return DATA_SOURCES.get(name).about

    def __iter__(self) -> Iterator[str]:
        return iter(DATA_SOURCES)

    def __len__(self) -> int:
        return len(DATA_SOURCES.names())


DATASETS: Mapping[str, str] = _Abouts()
