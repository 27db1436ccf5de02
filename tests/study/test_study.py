"""A whole study on made data: results, resuming, workers, and refusal of what has changed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import evo_qnas as eq
from evo_qnas.errors import CardError, DataError, NetworkError, ProblemError
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.study import Study
from evo_qnas.study.limits import best_of
from tests.study.conftest import FAST, Convolutions, fitted, squared


@pytest.fixture(scope="session")
def regression(images: torch.Tensor) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """A model for numbers such as 0.7, and its data."""
    targets = images.mean(dim=(1, 2, 3)) * 4.0 + 0.7
    torch.manual_seed(0)
    return fitted(Convolutions(1), images, targets, squared), (images, targets)


def made(regression: Any, folder: Path, **changes: Any) -> Study:
    model, data = regression
    settings: dict[str, Any] = {
        "metric": eq.metrics.root_mean_squared_error,
        "loss": squared,
        "blocks": ["first", "second"],
        "operators": ["identity", eq.operator("depthwise_separable", kernel=3, depth=1)],
        **FAST,
    }
    return eq.Study(model, train=data, folder=folder, **{**settings, **changes})


@pytest.fixture(scope="session")
def finished(regression: Any, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return made(regression, tmp_path_factory.mktemp("study") / "run").run(jobs=1)


def files_of(folder: Path) -> dict[str, bytes]:
    """Weights of a run, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def test_the_front_has_networks_and_the_best_one_is_within_its_limit(finished: Study) -> None:
    frame = finished.front.to_dataframe()
    assert {"score", "size_bytes", "first", "second"} <= set(frame.columns)
    assert finished.tables.names == ("first", "second")
    whole = finished.summary.teacher_int8
    assert whole is not None
    best = finished.best("size_bytes <= 0.9x")
    assert best.size_bytes <= 0.9 * whole.size_bytes
    fitting = [network for network in finished.summary.networks if network.size_bytes <= 0.9 * whole.size_bytes]
    (chosen,) = [network for network in fitting if network.id == best.id]
    assert chosen.metric_search_split == min(network.metric_search_split for network in fitting)
    assert best.metric == chosen.metric
    assert best.metric_stderr is not None
    assert 0.0 < best.metric_stderr < 1.0


def test_the_test_examples_choose_nothing(finished: Study) -> None:
    """Two networks of which one is better on the search examples, the other on the test examples."""
    (network, *_) = finished.summary.networks
    one = network.having(id="one", metric=0.9, metric_search_split=0.1)
    other = network.having(id="other", metric=0.1, metric_search_split=0.9)
    assert best_of([one, other], None, [], maximize=True).id == "other"
    assert best_of([one, other], None, ["metric <= 0.5"], maximize=True).id == "one"


@pytest.mark.parametrize(
    ("limit", "match"),
    [
        ("size_bytes <= 10", r"no validated network meets size_bytes <= 10: the smallest has \d"),
        ("latency <= 0.6x", r"the limit 'latency <= 0.6x' is on 'latency'; the nearest are: latency_ms"),
        ("size_bytes below 4", r"the limit 'size_bytes below 4' cannot be read: write it as 'size_bytes <= 0\.6x'"),
    ],
)
def test_limits_that_cannot_be_met_or_read(finished: Study, limit: str, match: str) -> None:
    with pytest.raises(ProblemError, match=match):
        finished.best(limit)


def test_a_network_says_how_it_does_against_int8(finished: Study) -> None:
    best, whole = finished.best("size_bytes <= 0.9x"), finished.summary.teacher_int8
    assert whole is not None
    first, models, lead = str(best).splitlines()
    assert first.startswith(f"network {best.id}: RMSE ")
    assert "% less than INT8)" in first
    assert "in float; in INT8, after the same fine-tuning, " in models
    assert models.endswith(f" and {whole.size_bytes:,} bytes")
    assert best.minus_int8 is not None
    low, high = best.minus_int8.interval or (0.0, 0.0)
    assert low < best.minus_int8.metric < high
    shown = [finished.summary.metric.difference(end, best.minus_int8.stderr).split()[0] for end in (low, high)]
    assert lead.endswith(f"95 % interval {shown[0]} .. {shown[1]} (paired)")


def test_float_targets_stay_as_they_are(finished: Study, regression: Any) -> None:
    _, targets = finished.context.splits.train.take(slice(0, 8))
    assert targets.dtype is torch.float32
    assert bool((targets != targets.round()).any())


def test_the_module_is_what_the_file_gives(finished: Study, images: torch.Tensor, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    best = finished.best()
    exported = best.export(tmp_path / "best.onnx")
    assert exported.failures == ()
    assert exported.metric == exported.torch_metric == best.metric
    assert str(exported).splitlines()[1:] == list(exported.usage)
    session = onnxruntime.InferenceSession(str(tmp_path / "best.onnx"))
    (there,) = session.run(None, {session.get_inputs()[0].name: images[:5].numpy()})
    assert np.array_equal(there, best.module(images[:5]).numpy())


def test_a_network_is_loaded_in_a_process_that_has_nothing_else(
    finished: Study, images: torch.Tensor, tmp_path: Path
) -> None:
    best = finished.best()
    alone = tmp_path / "networks" / best.id
    alone.mkdir(parents=True)
    for name in ("graph.json", "weights.safetensors"):
        (alone / name).write_bytes((finished.folder / "networks" / best.id / name).read_bytes())
    torch.save(images[:5], tmp_path / "inputs.pt")
    code = (
        "import sys, torch, evo_qnas as eq; inputs = torch.load('inputs.pt', weights_only=True);"
        f"torch.save(eq.load_network('.', {best.id!r})(inputs), 'outputs.pt')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(eq.__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    outputs = torch.load(tmp_path / "outputs.pt", weights_only=True)
    assert torch.equal(outputs, best.module(images[:5]))


@pytest.mark.slow
def test_workers_and_a_second_run_change_nothing(finished: Study, regression: Any, tmp_path: Path) -> None:
    other = made(regression, tmp_path / "run").run("networks", jobs=2)
    assert files_of(other.folder) == files_of(finished.folder)
    assert not (other.folder / "workers").exists()
    before = {path: path.stat().st_mtime_ns for path in other.folder.rglob("*.safetensors")}
    made(regression, tmp_path / "run").run("networks", jobs=2)
    assert {path: path.stat().st_mtime_ns for path in other.folder.rglob("*.safetensors")} == before


def scaled(factor: float) -> Callable[[Any, Any], float]:
    def error(predict: Any, data: Any) -> float:
        parts = [(predict(inputs)[:, 0] - targets).abs() for inputs, targets in data.batches()]
        return factor * float(torch.cat(parts).mean())

    return error


def test_a_changed_closure_model_or_data_set_is_refused_by_name(regression: Any, tmp_path: Path) -> None:
    model, (inputs, targets) = regression
    first = made(regression, tmp_path, metric=scaled(1.0), maximize=False).run("teacher", jobs=1)
    made(regression, tmp_path, metric=scaled(1.0), maximize=False).run("teacher", jobs=1)
    with pytest.raises(CardError, match=r"workload\.metric was '\w+', is '\w+'"):
        made(regression, tmp_path, metric=scaled(2.0), maximize=False).run("teacher", jobs=1)
    with pytest.raises(CardError, match=r"workload\.(search|test|train) was"):
        made((model, (inputs, targets + 0.5)), tmp_path, metric=scaled(1.0), maximize=False).run("teacher", jobs=1)
    other = fitted(Convolutions(1), inputs, targets, squared, steps=1)
    with pytest.raises(CardError, match=r"workload\.model was"):
        made((other, (inputs, targets)), tmp_path, metric=scaled(1.0), maximize=False).run("teacher", jobs=1)
    assert load_weights(first.context.paths.teacher)[0].keys() == model.state_dict().keys()


def test_the_mode_of_a_model_does_not_count(regression: Any, tmp_path: Path) -> None:
    model, data = regression
    digests = []
    for training in (False, True):
        model.train(training)
        digests.append(made((model, data), tmp_path).context.workload.digests["model"])
    model.eval()
    assert digests[0] == digests[1]


def test_loaders_give_what_arrays_give(regression: Any, tmp_path: Path) -> None:
    model, data = regression
    loader = DataLoader(TensorDataset(*data), batch_size=7, shuffle=True)
    one, two = made(regression, tmp_path), made((model, loader), tmp_path)
    assert one.context.workload.digests == two.context.workload.digests


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"metric": None}, NetworkError, r"metric is missing: give one of evo_qnas\.metrics"),
        ({"targets": None}, NetworkError, r"a loss needs targets, and there are none"),
        ({"inputs": lambda batch: batch[1]}, NetworkError, r"the model cannot be called with inputs of shape \(\)"),
        ({"match": "cosine"}, NetworkError, r"match = 'cosine': choose 'auto', 'kl', 'mse' or a function"),
        ({"finetuning": {"epoch": 3}}, CardError, r"study: unknown key 'finetuning\.epoch'; the nearest are: epochs"),
        ({"search": 3}, DataError, r"int is no data: give a Dataset, a DataLoader, arrays"),
    ],
)
def test_arguments_that_cannot_be_meant(
    regression: Any, tmp_path: Path, changes: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        made(regression, tmp_path, **changes)


def test_a_study_is_shown_before_and_after_it_ran(finished: Study, regression: Any, tmp_path: Path) -> None:
    assert "nothing is validated yet" in made(regression, tmp_path)._repr_html_()
    assert finished.best().id in finished._repr_html_()
    assert "RMSE" in repr(finished)
    assert "depthwise" in finished.best()._repr_html_() or "teacher" in finished.best()._repr_html_()
    assert finished.report(tmp_path / "mine.html").read_text().startswith("<!")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("stem.0.weight", float("nan"), r"the model's weights 'stem\.0\.weight' have NaN or infinity"),
        ("stem.0.weight", float("inf"), r"the model's weights 'stem\.0\.weight' have NaN or infinity"),
        ("stem.1.running_var", -1.0, r"the model's 'stem\.1\.running_var' is a variance and has values below 0"),
    ],
)
def test_models_whose_weights_are_no_numbers(images: torch.Tensor, name: str, value: float, match: str) -> None:
    model = Convolutions(1)
    model.stem = nn.Sequential(model.stem[0], nn.BatchNorm2d(8), nn.ReLU())
    model.state_dict()[name].view(-1)[0] = value
    with pytest.raises(NetworkError, match=match):
        made((model, (images, images.mean(dim=(1, 2, 3)))), Path("absent"))
    assert not Path("absent").exists()
