"""Digests of what callables depend on, and objectives that are no plain functions."""

import functools
import importlib
import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from evo_qnas.errors import ProblemError
from evo_qnas.fingerprints import digest, library_of
from evo_qnas.problem import Networks, TableProblem, objective
from tests.problem.changing import KINDS, forget_helpers, made_function
from tests.problem.made import made_tables

TABLES = made_tables()
GENOMES = np.zeros((2, 3), dtype=np.int64)


@pytest.fixture(autouse=True)
def _helpers() -> Iterator[None]:
    """The module of helpers vanishes after each test."""
    yield
    forget_helpers()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_callable_depends_on_changes_its_digest(kind: str) -> None:
    first, same = (digest(made_function(kind, 2)) for _ in range(2))
    other = digest(made_function(kind, -2))
    assert first == same
    assert first != other


@pytest.mark.parametrize("kind", KINDS)
def test_calls_leave_the_digest_alone(kind: str) -> None:
    """Counters and stores of results are no inputs."""
    value = made_function(kind, 2)
    before = digest(value)
    value(Networks(tables=TABLES, genomes=GENOMES))
    assert digest(value) == before


def test_a_list_that_is_no_store_is_an_input() -> None:
    weights = [1.0, 2.0]

    def value(networks: Networks) -> np.ndarray:
        return weights[0] * np.ones(len(networks))

    before = digest(value)
    weights[0] = 3.0
    assert digest(value) != before


class Linked:
    def __init__(self, value: float) -> None:
        self.value = value
        self.next: Linked | None = None

    def __call__(self, networks: Networks) -> np.ndarray:
        return np.full(len(networks), self.value)

    def set_value(self, value: float) -> None:
        self.value = value


def ring(values: list[float]) -> Linked:
    parts = [Linked(value) for value in values]
    for part, following in zip(parts, [*parts[1:], parts[0]], strict=True):
        part.next = following
    return parts[0]


def test_cycles_end() -> None:
    assert digest(ring([1, 2, 3])) == digest(ring([1, 2, 3]))
    assert digest(ring([1, 2, 3])) != digest(ring([1, 2, 4]))
    loop: list[Any] = [1]
    loop.append(loop)
    assert digest(loop) == digest(loop)


def test_a_method_that_no_call_reaches_makes_no_attribute_a_store() -> None:
    one = Linked(1.0)
    before = digest(one)
    one.set_value(2.0)
    assert digest(one) != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("a", b"a"),
        (["ab", "c"], ["a", "bc"]),
        ([1, [2]], [[1], 2]),
        ((1,), [1]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({1, 2}, {1, 3}),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(2), np.zeros(2, dtype=np.float32)),
        (np.ma.masked_array([1, 2], mask=[0, 1]), np.ma.masked_array([1, 2], mask=[1, 0])),
        (np.array([1, None]), np.array([2, None])),
        (deque([1]), deque([2])),
        (OrderedDict(a=1), OrderedDict(a=2)),
        (Path("a"), Path("b")),
        (functools.partial(max, 1), functools.partial(min, 1)),
        (np.exp, np.log),
        ([].append, [1].append),
        (np.float64(1), np.float64(2)),
    ],
)
def test_values_are_told_apart(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)
    assert digest(one) == digest(one)


def test_nothing_is_hashed_by_its_address() -> None:
    for make in (object, threading.Lock, lambda: np.random.default_rng(3), lambda: iter([1]), lambda: {object()}):
        assert digest(make()) == digest(make())


def test_order_in_memory_and_in_mappings_does_not_count() -> None:
    grid = np.arange(6.0).reshape(2, 3)
    assert digest(grid) == digest(np.asfortranarray(grid))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_comments_docstrings_and_lines_do_not_count() -> None:
    plain: dict[str, Any] = {}
    noted: dict[str, Any] = {}
    exec("def f(x):\n    'One.'\n    return x + 1\n", plain)
    exec("\n\n# A comment.\ndef f(x):\n    'Another.'\n    # More.\n    return x + 1\n", noted)
    assert digest(plain["f"]) == digest(noted["f"])


def test_libraries_count_by_name_and_version() -> None:
    assert library_of("numpy.linalg") == f"numpy {np.__version__}"
    assert library_of("json") == f"python {sys.version_info.major}.{sys.version_info.minor}"
    assert library_of("tests.problem.changing") is None
    assert library_of("__mp_main__") is None


SCRIPT = """
import functools, json, multiprocessing, sys, threading
import numpy as np
from joblib import Parallel, delayed
from evo_qnas.fingerprints import digest
import mine

NAMES = {"one", "two", "three", "four", "five"}
TABLE = {name: np.arange(3) for name in NAMES}

class Scaled:
    factor = 3.0
    def __init__(self):
        self.names = set(NAMES)
    def __call__(self, networks):
        return self.factor * mine.scaled(len(self.names & NAMES)) * TABLE["one"].sum()

def plain(networks, names=frozenset(NAMES)):
    return mine.scaled(2) if "one" in names else even(3)

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)

def make(factor):
    return lambda networks: factor * plain(networks)

def digests(values):
    return [digest(value) for value in values]

VALUES = [Scaled(), Scaled().__call__, plain, make(2.0), functools.partial(plain, names=NAMES), even]

if __name__ == "__main__":
    found = {"script": digests(VALUES)}
    thread = threading.Thread(target=lambda: found.update(thread=digests(VALUES)))
    thread.start()
    thread.join()
    found["loky"] = Parallel(n_jobs=2)(delayed(digests)(VALUES) for _ in range(2))[1]
    plain_values = [value for value in VALUES if value is not VALUES[3]]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found["spawned"] = pool.apply(digests, [plain_values])
    found["spawned"].insert(3, found["script"][3])
    print(json.dumps(found))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text("WEIGHT = 4\ndef scaled(x):\n    return WEIGHT * x\n")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def run(arguments: list[str], seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_scripts_threads_and_spawned_workers_agree(script: Path) -> None:
    first, again = (json.loads(run([str(script)], seed)) for seed in ("1", "2"))
    assert len(set(first["script"])) == 6
    for found in (first, again):
        assert found == dict.fromkeys(("script", "thread", "loky", "spawned"), first["script"])


@pytest.mark.skipif(importlib.util.find_spec("ipykernel") is None, reason="needs ipykernel, a notebook's kernel")
def test_a_notebook_kernel_agrees_with_itself(script: Path) -> None:
    start_new_kernel = importlib.import_module("jupyter_client.manager").start_new_kernel

    cell = SCRIPT.partition('\nif __name__ == "__main__":')[0]

    def digests() -> list[str]:
        texts: list[str] = []
        manager, client = start_new_kernel(cwd=str(script.parent))
        try:
            for code in (cell, cell, "print(json.dumps(digests(VALUES)))"):
                client.execute_interactive(
                    code, output_hook=lambda message: texts.append(message["content"].get("text", "")), timeout=60
                )
            found: list[str] = json.loads("".join(texts).strip().splitlines()[-1])
            return found
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    assert digests() == digests()


def total(networks: Networks, factor: float = 1.0) -> np.ndarray:
    return factor * networks.column("score").sum(axis=1)


class Scaled:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, networks: Networks) -> np.ndarray:
        return self.factor * total(networks)

    def value(self, networks: Networks) -> np.ndarray:
        return self(networks)


@pytest.mark.parametrize(
    ("function", "name", "reference"),
    [
        (functools.partial(total, factor=2.0), "total", "partial(total)"),
        (functools.partial(Scaled(1.0), **{}), "Scaled", "partial(Scaled())"),
        (Scaled(2.0), "Scaled", "Scaled()"),
        (Scaled(2.0).value, "value", "Scaled().value"),
        (total, "total", "total"),
    ],
)
@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("per_network", [True, False])
def test_callables_of_all_kinds_are_objectives(
    function: Any, name: str, reference: str, bare: bool, per_network: bool
) -> None:
    plain = objective(function) if bare else function
    made = objective(per_network=True)(function) if per_network else plain
    problem = TableProblem(TABLES, [made, "cost"], [objective(name="excess")(function)])
    assert problem.objectives[0].name == name
    assert problem.describe()["objectives"][0] == f"tests.problem.test_callables:{reference}"
    assert_array_equal(problem.evaluate(GENOMES)[0][:, 0], function(Networks(tables=TABLES, genomes=GENOMES)))
    if reference != "total":
        with pytest.raises(ProblemError, match=r"objective 'tests.problem.test_callables:.*' cannot be imported"):
            TableProblem.from_description(TABLES, problem.describe(), trusted=True)


def test_two_partials_of_one_function_are_two_objectives() -> None:
    parts = [objective(name=f"times{factor}")(functools.partial(total, factor=factor)) for factor in (1.0, 2.0)]
    values = TableProblem(TABLES, parts).evaluate(GENOMES)[0]
    assert_array_equal(values[:, 1], 2 * values[:, 0])
    turned = [objective(name=part.name)(other.function) for part, other in zip(parts, parts[::-1], strict=True)]
    assert TableProblem(TABLES, parts).fingerprint != TableProblem(TABLES, turned).fingerprint


def test_results_of_a_slow_function_are_forgotten_where_it_changes() -> None:
    scaled = Scaled(1.0)
    problem = TableProblem(TABLES, [objective(name="mine", per_network=True)(scaled)])
    first, before = problem.evaluate(GENOMES)[0], problem.fingerprint
    scaled.factor = 3.0
    assert_array_equal(problem.evaluate(GENOMES)[0], 3.0 * first)
    assert problem.fingerprint != before


def test_a_spawned_process_names_the_main_module_like_the_first() -> None:
    assert multiprocessing.current_process().name
    renamed = type("Own", (), {"__module__": "__mp_main__", "__call__": lambda self, networks: 0})
    assert objective(renamed()).reference == "__main__:Own()"
