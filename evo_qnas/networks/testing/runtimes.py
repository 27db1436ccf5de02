"""The contract of runtimes, as a test class."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.common.latency import Timing
from evo_qnas.networks.export.common.walk import walk
from evo_qnas.networks.export.exporting import export
from evo_qnas.networks.export.runtime import Runtime
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.tasks.base import metric_value
from evo_qnas.networks.tasks.classification import Classification

_SHAPE, _CLASSES, _IMAGES = (3, 8, 8), 4, 32
_TASK = Classification()


class RuntimeContract(ABC):
    """Tests that every runtime must pass; inherit and say how one is made, pytest finds the rest.

    Where its packages are not installed, the tests that write files are skipped.

    Example:
        >>> class TestMine(RuntimeContract):
        ...     def make_runtime(self):
        ...         return ...
    """

    bits = ((8, 8), (3, 5))

    @abstractmethod
    def make_runtime(self) -> Runtime:
        """The runtime."""

    def make_network(self, bits: tuple[int, int]) -> QuantizedNetwork:
        """A calibrated network of two convolutions and a linear layer.

        Args:
            bits: of weights and activations.
        """
        with torch.random.fork_rng():
            torch.manual_seed(5)
            layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU6(), nn.Conv2d(6, 6, 1), nn.ReLU(), nn.Flatten()]
            network = nn.Sequential(*layers, nn.Linear(6 * 8 * 8, _CLASSES)).eval()
        sample = self.images()
        made = quantize(network, sample[:2], Policy(fixed=Bits(weight=bits[0], activation=bits[1])))
        made.calibrate([sample])
        return made

    def images(self) -> torch.Tensor:
        """Random images."""
        return torch.randn(_IMAGES, *_SHAPE, generator=torch.Generator().manual_seed(6))

    def ready(self) -> Runtime:
        """The runtime, where its packages are installed; the test is skipped elsewhere."""
        runtime = self.make_runtime()
        if runtime.missing():
            pytest.skip(f"needs {' and '.join(runtime.missing())}: pip install '{runtime.install}'")
        return runtime

    def written(self, runtime: Runtime, folder: Path, bits: tuple[int, int] = (8, 8)) -> Path:
        """The file of the network at these bits."""
        path = folder / f"network{runtime.suffix}"
        runtime.write(self.make_network(bits), path)
        return path

    def test_it_says_what_it_is(self) -> None:
        """Names and texts for lists and sentences, an ending, packages, and tolerances that are shares."""
        runtime = self.make_runtime()
        assert all((runtime.name, runtime.title, runtime.about, runtime.install))
        assert "\n" not in runtime.about
        assert runtime.suffix.startswith(".")
        assert runtime.suffix == runtime.suffix.lower()
        assert all(isinstance(name, str) for name in runtime.packages)
        assert 0 <= runtime.tolerance.agreement_few_bits <= runtime.tolerance.agreement <= 1
        assert runtime.tolerance.metric >= 0
        assert runtime.tolerance.steps >= 0

    def test_files_give_the_logits_of_torch_in_integers(self, tmp_path: Path) -> None:
        """Within the tolerance, at 8 bits and at few, on images that leave the calibrated range."""
        runtime = self.ready()
        for bits in self.bits if runtime.runs else ():
            network, images = self.make_network(bits), self.images() * 1.5
            logits = runtime.run(runtime.open(self.written(runtime, tmp_path, bits)), images.numpy())
            reference = run_in_integers(network, images).numpy()
            agreement = _TASK.agreement(torch.from_numpy(logits), torch.from_numpy(reference))
            assert logits.shape == reference.shape
            assert logits.dtype == np.float32
            distance = np.rint(np.abs(logits - reference) / float(network.quantizers[-1].scale().detach()))
            assert distance.max() <= runtime.tolerance.steps
            least = runtime.tolerance.agreement if bits[1] == 8 else runtime.tolerance.agreement_few_bits
            assert agreement.double().mean() >= least

    def test_codes_are_those_of_the_reference(self, tmp_path: Path) -> None:
        """Every code of the file, where the runtime tells them, is within the tolerance of what the reference makes."""
        runtime = self.ready()
        network, images = self.make_network((8, 8)), self.images()
        codes = runtime.codes(network, self.written(runtime, tmp_path), images.numpy()) if runtime.runs else None
        if codes is not None:
            found = walk(network, codes, images, steps=runtime.tolerance.steps)
            assert found.compared > 0
            assert found.differing == {}

    def test_images_do_not_depend_on_each_other(self, tmp_path: Path) -> None:
        """One image gives the same logits alone as among others."""
        runtime = self.ready()
        if runtime.runs:
            session, images = runtime.open(self.written(runtime, tmp_path)), self.images().numpy()[:3]
            alone = [runtime.run(session, images[index : index + 1]) for index in range(3)]
            assert np.array_equal(np.concatenate(alone), runtime.run(session, images))

    def test_the_same_network_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """A file depends on nothing but the network."""
        runtime = self.ready()
        first = self.written(runtime, tmp_path).read_bytes()
        assert self.written(runtime, tmp_path).read_bytes() == first

    def test_kernels_are_those_of_the_layers(self, tmp_path: Path) -> None:
        """No more integer kernels than layers, and no more layers than the network has."""
        runtime = self.ready()
        used = runtime.kernels(self.written(runtime, tmp_path))
        assert 0 <= used.integer_convolutions <= used.convolutions <= 2
        assert 0 <= used.integer_linear <= used.linear <= 3

    def test_several_files_are_measured(self, tmp_path: Path) -> None:
        """Every file has a latency by its name."""
        runtime = self.ready()
        path = self.written(runtime, tmp_path)
        latencies = runtime.measure({"a": path, "b": path}, Timing(seed=0, rounds=10))
        assert list(latencies) == ["a", "b"]
        assert all(latency.milliseconds > 0 <= latency.spread for latency in latencies.values())

    def test_an_export_is_checked(self, tmp_path: Path) -> None:
        """The entry of a good file has what every entry has, and no failures."""
        runtime, network, pixels = self.ready(), self.make_network((8, 8)), self.images()
        images = Images(pixels=pixels, labels=run_in_integers(network, pixels).argmax(1))
        path = tmp_path / f"network{runtime.suffix}"
        entry = export(network, path, runtime, images=images, task=_TASK, latency=False)
        assert entry["failures"] == []
        assert entry["torch_metric"] == 1.0
        assert abs(entry["metric"] - 1.0) <= runtime.tolerance.metric
        assert entry["latency_ms"] is None
        assert entry["packed_bytes"] > 0 < entry["file_bytes"]
        assert all(isinstance(text, str) for row in runtime.details(entry, metric_value(_TASK)) for text in row)

    def test_what_cannot_be_exported_is_refused(self, tmp_path: Path) -> None:
        """A network without steps, a file that is not there, and missing packages, by one sentence each."""
        runtime, images = self.ready(), self.images()
        loose = quantize(nn.Conv2d(3, 2, 1).eval(), images[:2], Policy(fixed=Bits(weight=8, activation=8)))
        with pytest.raises(NetworkError, match=r"the network is not calibrated"):
            runtime.write(loose, tmp_path / f"loose{runtime.suffix}")
        with pytest.raises(NetworkError, match=r"absent"):
            runtime.open(tmp_path / f"absent{runtime.suffix}")

    def test_missing_packages_are_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sentence names the packages and the way out, and nothing is written."""
        runtime = self.make_runtime()
        monkeypatch.setattr(runtime, "packages", ("evo-qnas-no-such-package",))
        assert runtime.missing() == ("evo-qnas-no-such-package",)
        images = Images(pixels=self.images(), labels=torch.zeros(_IMAGES, dtype=torch.int64))
        path = tmp_path / f"network{runtime.suffix}"
        with pytest.raises(NetworkError, match=r"needs evo-qnas-no-such-package, not installed here: pip install '.+'"):
            export(self.make_network((8, 8)), path, runtime, images=images, task=_TASK)
        assert not path.exists()
