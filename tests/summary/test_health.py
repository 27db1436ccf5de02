"""Health checks of a run: each answers good, note and bad where it should, nothing of what was not measured."""

from pathlib import Path
from typing import Any

import pytest

from evo_qnas.summary import RunSummary, State, best_network, read_summary
from evo_qnas.summary.health import HEALTH_CHECKS, judge
from evo_qnas.testing import HealthCheckContract

REFERENCE = Path(__file__).resolve().parent.parent.parent / "results" / "reference"
SAME = {"metric": 0.0, "stderr": 0.0}
TIED = {"metric": -0.003, "stderr": 0.002}
LOST = {"metric": -0.03, "stderr": 0.002}


def run_of(name: str = "digits") -> RunSummary:
    found = read_summary(REFERENCE / name / "summary.json")
    assert found is not None
    return found


def changed(run: RunSummary, **changes: Any) -> RunSummary:
    return RunSummary.model_validate({**run.to_dict(), **changes})


def having(run: RunSummary, **changes: Any) -> RunSummary:
    """The run with attributes of every network replaced."""
    return changed(run, networks=[{**network.to_dict(), **changes} for network in run.networks])


def onnx(run: RunSummary, **changes: Any) -> RunSummary:
    return changed(run, networks=[{**n.to_dict(), "onnx": {**(n.onnx or {}), **changes}} for n in run.networks])


def answer(check: str, run: RunSummary) -> tuple[State, str]:
    found = HEALTH_CHECKS.get(check).judge(run)
    assert found is not None, check
    return found


class TestEveryCheck(HealthCheckContract):
    @pytest.fixture(autouse=True, params=list(HEALTH_CHECKS))
    def _name(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param

    def make_check(self) -> str:
        return str(self.name)


@pytest.mark.parametrize(
    ("run", "state", "says"),
    [
        (
            having(run_of(), minus_teacher_int8=TIED),
            State.GOOD,
            "b888235e is 50 % smaller than the INT8 teacher and not shown to be worse; accuracy -0.3 ± 0.2",
        ),
        (having(run_of(), minus_teacher_int8=TIED), State.GOOD, "within noise"),
        (
            having(run_of(), minus_teacher_int8=SAME),
            State.GOOD,
            "0.00 points against the INT8 teacher, within noise",
        ),
        (having(run_of(), minus_teacher_int8=LOST), State.BAD, "not beaten: b888235e is 50 % smaller, but loses"),
        (having(run_of(), size_bytes=91902), State.BAD, "is no smaller than it"),
        # Two errors of 0.0038 apart at the most where differences are not paired.
        (
            having(run_of(), metric=0.985),
            State.GOOD,
            "-0.8 ± 0.5 points (95 %: -1.9 to +0.2) against the INT8 teacher, within noise",
        ),
        (having(run_of(), metric=0.97), State.BAD, "-2.3 ± 0.5 points (95 %: -3.4 to -1.3) against the INT8 teacher."),
    ],
)
def test_baseline(run: RunSummary, state: State, says: str) -> None:
    found, text = answer("baseline", run)
    assert (found, says in text) == (state, True), text


def test_noise_says_how_small_a_difference_can_be_shown() -> None:
    # 1.96 standard errors of 0.2 points.
    state, text = answer("noise", having(run_of(), minus_teacher_int8=TIED))
    assert state is State.NOTE
    assert "below 0.39 points are within noise of 450 test examples: 7 of 7 validated networks are tied" in text
    assert answer("noise", having(run_of(), tied_with=()))[0] is State.GOOD
    assert "one number for all 450" in answer("noise", having(run_of(), metric_stderr=None))[1]


def test_a_score_is_trusted_where_its_interval_lies_above_zero() -> None:
    assert answer("score", run_of())[0] is State.GOOD
    tau = {"kendall_tau": 0.26, "networks": 24, "low": -0.06, "high": 0.58}
    state, text = answer("score", changed(run_of(), rank_correlation=tau))
    assert state is State.BAD
    assert "0.26 (95 %: -0.06 to 0.58) over 24 random networks holds 0" in text
    for few, low, found in ((4, 0.2, State.NOTE), (5, 0.2, State.GOOD), (9, -0.1, State.NOTE), (10, -0.1, State.BAD)):
        tau = {"kendall_tau": 0.3, "networks": few, "low": low, "high": 0.9}
        state, text = answer("score", changed(run_of(), rank_correlation=tau))
        assert state is found
        assert (f"{few} random networks are too few to say" in text) is (found is State.NOTE)
    constant = {"kendall_tau": None, "networks": 24, "low": None, "high": None}
    assert answer("score", changed(run_of(), rank_correlation=constant))[0] is State.NOTE


def test_export() -> None:
    assert answer("export", run_of()) == (State.GOOD, "Each of 7 ONNX files gives what its network in integers gives.")
    assert answer("export", having(run_of(), onnx={"failed": "no translation"}))[0] is State.BAD
    state, text = answer("export", onnx(run_of(), failures=["metric 0.5 against 0.6"]))
    assert (state, text) == (
        State.BAD,
        "The ONNX file of 954927b2 does not pass its checks: metric 0.5 against 0.6.",
    )
    assert (
        "least agreement with the networks in integers is 99.50%"
        in answer("export", onnx(run_of(), agreement=0.995))[1]
    )


def test_float_parts() -> None:
    assert answer("float_parts", run_of())[0] is State.GOOD
    state, text = answer("float_parts", onnx(run_of(), convolutions=29, integer_convolutions=27))
    assert state is State.NOTE
    assert "computes 2 of 29 convolutions" in text
    blocks = [{**block.to_dict(), "activation_bits": 32} for block in run_of().networks[0].blocks[:1]]
    assert "Kept in floats in some networks: stages.0." in answer("float_parts", having(run_of(), blocks=blocks))[1]


@pytest.mark.parametrize(
    ("whole", "state", "says"),
    [
        (0.1, State.GOOD, "2.0 times as fast"),
        (0.025, State.NOTE, "2.0 times as long"),
        (0.051, State.NOTE, "as fast as"),
    ],
)
def test_int8_latency(whole: float, state: State, says: str) -> None:
    teachers = {
        "teacher_float": {"metric": 0.9, "size_bytes": 400, "latency_ms": whole},
        "teacher_int8": {"metric": 0.9, "metric_before_finetune": 0.9, "size_bytes": 100, "latency_ms": 0.05},
    }
    found, text = answer("int8_latency", changed(run_of(), **teachers))
    assert (found, says in text) == (state, True), text


def test_few_bits_are_judged_by_a_network_that_kept_every_operator() -> None:
    """camvid's networks all have another pyramid: what they save in time is not due to bits."""
    state, text = answer("few_bits", run_of())
    assert state is State.NOTE
    assert text.startswith("3 to 4 bits save 41 % of the bytes and no time on this CPU, because its kernels hold 8-bit")
    state, text = answer("few_bits", having(run_of(), latency_ms=0.03))
    assert (state, "37 % of the time here" in text) == (State.GOOD, True)
    assert HEALTH_CHECKS.get("few_bits").judge(run_of("camvid")) is None


def test_the_best_network_is_the_smallest_within_one_standard_error_on_the_search_examples() -> None:
    run = run_of("camvid")  # INT8 0.64195; errors are 1.5 times those of the test examples
    best = best_network(run)
    assert best is not None
    assert best.id == "df6ff65a"
    assert min(n.size_bytes for n in run.networks) == best.size_bytes
    far = [{**n.to_dict(), "metric_search_split": 0.5 + 0.01 * at} for at, n in enumerate(run.networks)]
    leader = best_network(changed(run, networks=far))
    assert leader is not None
    assert leader.id == run.networks[-1].id
    assert best_network(changed(run, networks=[])) is None
    errors = {**run.metric.to_dict(), "maximize": False}
    low = best_network(changed(run, metric=errors, networks=far))
    assert low is not None
    assert low.id == best.id


def test_a_verdict_names_the_best_its_saving_its_interval_and_ties() -> None:
    verdict = judge(run_of("camvid"))
    assert verdict.network == "df6ff65a"
    assert verdict.headline == (
        "Best network df6ff65a: 61 % smaller than the INT8 teacher and 90 % smaller than the float one. Test mIoU: "
        "50.5 ± 0.8 % (95 %: 49.0 to 52.0); +0.16 ± 0.18 points (95 %: -0.19 to +0.51) against the INT8 teacher, "
        "within noise. The test examples do not tell it from 6b4e3669."
    )
    assert verdict.tied_with == ("6b4e3669",)
    assert [finding.check for finding in verdict.findings] == [
        "baseline",
        "noise",
        "score",
        "export",
        "float_parts",
        "int8_latency",
    ]
    assert judge(changed(run_of(), networks=[])).headline == "No network was validated."
