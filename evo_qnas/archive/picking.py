"""Picks among the evaluations of an archive."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Int

from evo_qnas.archive.choosing import diverse_rows, selected_rows
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import Front
from evo_qnas.archive.header import Header
from evo_qnas.archive.preferring import knee_of
from evo_qnas.errors import ArchiveError
from evo_qnas.tables import Tables


class Picking(ABC):
    """Evaluations of which networks are picked; `Archive` is one.

    Attributes:
        header: of the search.
        tables: that it was run on, or None.
        evaluations: all of them.
        front: the non-dominated feasible ones.
    """

    @property
    @abstractmethod
    def header(self) -> Header:
        """The search."""

    @property
    @abstractmethod
    def tables(self) -> Tables | None:
        """The tables the search was run on, or None where it had none."""

    @property
    @abstractmethod
    def evaluations(self) -> Evaluations:
        """All evaluations in order, objectives minimised."""

    @property
    @abstractmethod
    def front(self) -> Front:
        """The non-dominated feasible networks, sorted by the objectives."""

    @property
    @abstractmethod
    def _name(self) -> str:
        """The archive, in messages."""

    @abstractmethod
    def chosen(self, rows: Int[np.ndarray, " n"]) -> Front:
        """Some of the evaluations, by their rows, as the user reads them."""

    def select(self, *limits: str, best: str | None = None) -> Front:
        """The front of the feasible networks that also meet `limits`; with `best` the one network best in that.

        Args:
            limits: texts such as `size_bytes <= 30000`, of objectives or any column of the tables.
            best: an objective or column; a column's own direction says whether less or more is better.

        Raises:
            ArchiveError: a limit cannot be read, a name is unknown, or no evaluated network meets the limits.
        """
        return self.chosen(selected_rows(self.header, self.tables, self.evaluations, limits, best))

    def knee(self) -> Front:
        """The one network of the front where giving up one objective starts to buy little of the others.

        Raises:
            ArchiveError: the front is empty.
        """
        rows = self._front_rows()
        return self.chosen(rows[[knee_of(self.evaluations.objectives[rows])]])

    def diverse(self, k: int, *, min_difference: float = 0.2) -> Front:
        """At most `k` good networks, the knee first, any two differing in at least that share of their blocks.

        Near-front networks stand in where the front has too few that differ.

        Raises:
            ArchiveError: the front is empty, or a number is out of range.
        """
        return self.chosen(diverse_rows(self.evaluations, self._front_rows(), k, min_difference))

    def _front_rows(self) -> Int[np.ndarray, " n"]:
        if not len(self.front):
            raise ArchiveError(f"the front of {self._name} is empty: no evaluated network meets all limits")
        return self.front.rows
