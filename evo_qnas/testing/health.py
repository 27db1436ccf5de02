"""The contract of health checks of runs."""

from abc import ABC, abstractmethod

from evo_qnas.summary import FloatTeacher, Metric, RunSummary, SearchSummary, State
from evo_qnas.summary.health import HEALTH_CHECKS, HealthCheck


class HealthCheckContract(ABC):
    """Tests that every health check of runs must pass; inherit and say which one, pytest finds the rest.

    Example:
        >>> class TestMine(HealthCheckContract):
        ...     def make_check(self):
        ...         return ...
    """

    @abstractmethod
    def make_check(self) -> HealthCheck | str:
        """A new health check, or the name under which it is registered."""

    def _check(self) -> HealthCheck:
        made = self.make_check()
        return HEALTH_CHECKS.get(made) if isinstance(made, str) else made

    def test_says_what_it_asks(self) -> None:
        """`about` is one plain line."""
        about = self._check().about
        assert about.strip()
        assert "\n" not in about

    def test_takes_a_run_that_measured_nothing(self) -> None:
        """Parts of a summary that are None raise nothing; an answer is a state and a sentence."""
        answer = self._check().judge(_BARE)
        if answer is not None:
            assert isinstance(answer[0], State)
            assert answer[1].endswith(".")


_BARE = RunSummary(
    card="bare",
    task="classification",
    metric=Metric(name="accuracy", maximize=True, unit="%"),
    seconds={},
    teacher_float=FloatTeacher(metric=0.5, size_bytes=4, latency_ms=None),
    teacher_int8=None,
    networks=(),
    rank_correlation=None,
    rounds=(),
    search=SearchSummary(algorithm="nsga2", evaluations=1, front=0, hypervolume_share=None, certificate="none"),
    searches={},
    images={},
    versions={},
    hardware={},
    seed=0,
)
