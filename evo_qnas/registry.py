"""Registries: what there is of a kind, by name, ours and that of other packages.

A kind (tasks, runtimes, schemes, operations, algorithms, data sources, stages) has one `Registry`. Ours are named by
`"module:object"` and are imported when first asked for; a package of others adds its own by an entry point:

    [project.entry-points."evo_qnas.tasks"]
    keypoints = "my_package.keypoints:Keypoints"

An entry that is a class is made once, without arguments.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, final

from evo_qnas.cards import nearest
from evo_qnas.errors import EvoQnasError, PluginError

T = TypeVar("T")

# An EntryPoint: that of importlib_metadata, another class, in a process in which a library imported the backport.
Entry = Any


@final
class Registry(Generic[T]):
    """The entries of one kind by name.

    Example:
        >>> from evo_qnas.errors import SearchError
        >>> numbers = Registry("number", "evo_qnas.doc_numbers", int, {"two": "operator:index"}, error=SearchError)
        >>> numbers.names()
        ('two',)
        >>> numbers.get("tow")
        Traceback (most recent call last):
            ...
        evo_qnas.errors.SearchError: there is no number 'tow'; the nearest are: two
    """

    def __init__(
        self, what: str, group: str, kind: type[Any], ours: Mapping[str, str], *, error: type[EvoQnasError]
    ) -> None:
        """An entry must be an instance of `kind`, or a subclass of it that is made without arguments.

        Args:
            what: the kind in one word, for error texts.
            group: of the entry points by which packages of others add theirs.
            kind: the interface that every entry meets.
            ours: `"module:object"` by name, in the order in which they are listed.
            error: what is raised where a name is not known.
        """
        self.what, self.group, self._kind, self._ours, self._error = what, group, kind, dict(ours), error
        self._made: dict[str, T] = {}

    @property
    def ours(self) -> tuple[str, ...]:
        """The names of evo_qnas's own entries, in their order."""
        return tuple(self._ours)

    def names(self) -> tuple[str, ...]:
        """All names, ours first, then those of other packages in alphabetical order; nothing is imported."""
        return (*self._ours, *sorted(self._theirs()))

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def items(self) -> Iterator[tuple[str, T]]:
        """All entries by name; imports them."""
        return ((name, self.get(name)) for name in self.names())

    def get(self, name: str) -> T:
        """The entry called `name`.

        Raises:
            EvoQnasError: of the registry's own kind where there is no such name.
            PluginError: a package's entry cannot be imported, or does not meet the interface.
        """
        if name not in self._made:
            self._made[name] = self._load(name)
        return self._made[name]

    def require(self, name: str) -> str:
        """`name`, where there is such an entry; nothing is imported.

        Raises:
            EvoQnasError: of the registry's own kind where there is none.
        """
        if name not in self:
            raise self._error(f"there is no {self.what} {name!r}; {nearest(name, list(self.names()))}")
        return name

    def _load(self, name: str) -> T:
        self.require(name)
        entry = self._theirs().get(name)
        if entry is None:
            module, _, attribute = self._ours[name].partition(":")
            found: Any = getattr(import_module(module), attribute)
        else:
            found = self._imported(entry)
        if isinstance(found, type) and issubclass(found, self._kind):
            found = found()
        if not isinstance(found, self._kind):
            origin = self._ours[name] if entry is None else entry.value
            raise PluginError(
                f"{self.what} {name!r} ({origin}) is a {type(found).__name__}: it must be a {self._kind.__name__}, "
                "or a subclass of it that is made without arguments"
            )
        made: T = found
        return made

    def _imported(self, entry: Entry) -> Any:
        try:
            return entry.load()
        except Exception as error:
            raise PluginError(
                f"{self.what} {entry.name!r} of {_package(entry)} cannot be imported from {entry.value}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _theirs(self) -> dict[str, Entry]:
        """Entry points of other packages by name."""
        found: dict[str, Entry] = {}
        for entry in _entries(self.group):
            if entry.name in self._ours:
                raise PluginError(
                    f"{_package(entry)} registers the {self.what} {entry.name!r}, a name of evo_qnas's own: "
                    f"give it another name in [project.entry-points.{self.group!r}]"
                )
            other: Entry = found.setdefault(entry.name, entry)
            if other.value != entry.value:
                raise PluginError(
                    f"{_package(other)} and {_package(entry)} both register the {self.what} {entry.name!r}: remove one"
                )
        return found


def _package(entry: Entry) -> str:
    return "a package" if entry.dist is None else f"the package {entry.dist.name}"


@cache
def _entries(group: str) -> tuple[Entry, ...]:
    """Entry points of a group; a process looks once."""
    return tuple(entry_points(group=group))
