"""Memory and images per second of a large image folder: reading it, and two epochs of block training on it.

    python benchmarks/image_folder.py FOLDER --images 100000 --workers 2

Makes so many different JPEG files of 224 x 224 pixels in FOLDER/train/CLASS (random colours on a grid of 8 x 8, made
large; about 4 KB each; files that are there stay), decodes them with `data.name = "image_folder"` into FOLDER/cache,
and trains one depthwise-separable candidate for one block of a small network for two epochs, the teacher run anew for
each batch. `private` is the largest sum of memory that only this process or its workers hold; `mapped` is the largest
that pages of the decoded file add to it, which the system takes back when it needs them.
"""

import argparse
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from evo_qnas.data.card import DataCard
from evo_qnas.data.loading import load_splits
from evo_qnas.networks.acceleration.devices import prepare_process
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.training.distill import distill
from evo_qnas.networks.training.features import TeacherFeatures, output_variance

SIDE, CLASSES, HELD_OUT = 224, 10, 100


def make(folder: Path, count: int) -> int:
    """Writes the files that are not there; gives the bytes of all."""
    total = 0
    for part, images in (("train", count), ("val", HELD_OUT), ("test", HELD_OUT)):
        for index in range(images):
            path = folder / part / f"class{index % CLASSES}" / f"{index:06d}.jpg"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng([len(part), index])
                grid = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                grid.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(path, quality=60)
            total += path.stat().st_size
    return total


class Watch(threading.Thread):
    """The largest memory of this process and its children, sampled."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.private, self.mapped, self.going = 0, 0, True

    def run(self) -> None:
        """Samples until it is stopped."""
        while self.going:
            sums = [self._of(process) for process in ("self", *self._children("self"))]
            self.private = max(self.private, sum(one[0] for one in sums))
            self.mapped = max(self.mapped, sum(one[1] for one in sums))
            time.sleep(0.2)

    def _children(self, process: str) -> list[str]:
        tasks = Path(f"/proc/{process}/task").glob("*/children")
        found = [child for task in tasks for child in _read(task).split()]
        return found + [grandchild for child in found for grandchild in self._children(child)]

    def _of(self, process: str) -> tuple[int, int]:
        """Bytes of anonymous memory and of mapped files, shared pages divided by those who share them."""
        lines = _read(Path(f"/proc/{process}/smaps_rollup")).splitlines()
        values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
        return values.get("Pss_Anon", 0), values.get("Pss_File", 0) + values.get("Pss_Shmem", 0)

    def stop(self) -> str:
        """The findings."""
        self.going = False
        self.join()
        return f"private {self.private / 2**30:.2f} GiB, mapped {self.mapped / 2**30:.2f} GiB"


def _read(path: Path) -> str:
    """The text of a file of /proc, "" where its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def network() -> nn.Module:
    """A stem that makes maps of 14 x 14, and the block."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 16, 4), (16, 32, 4)):
        layers += [nn.Conv2d(inputs, outputs, 5, stride, padding=2), nn.ReLU()]
    block = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())
    return nn.Sequential(*layers, block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES)).eval()


def main() -> int:
    """Prints a line for each part; 1 where private memory is above 4 GiB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    print(f"{options.images:,} images, {make(options.folder, options.images) / 2**20:,.0f} MiB", flush=True)
    most = 0
    watch, start = Watch(), time.perf_counter()
    watch.start()
    card = DataCard(name="image_folder", folder=options.folder)
    train = load_splits(card, cache=options.folder / "cache", jobs=options.workers).train
    seconds = time.perf_counter() - start
    print(f"decoded with {options.workers} workers: {len(train) / seconds:,.0f} images/s, {watch.stop()}", flush=True)
    most = watch.private
    prepare_process(1)
    torch.manual_seed(0)
    teacher = network()
    (shape,) = find_blocks(teacher, ["4"], train.take(slice(0, 2))[0])
    (operator,) = load_operators("depthwise_separable", {"kernel": [3], "depth": [1]})
    candidate = build_candidate(operator, shape, seed=0)
    assert candidate is not None
    watch, start = Watch(), time.perf_counter()
    watch.start()
    features = TeacherFeatures(teacher, "4", train, variance=output_variance(teacher, "4", train))
    steps = options.epochs * len(train) // options.batch
    distill({"one": candidate}, features, steps=steps, batch_size=options.batch, learning_rate=5e-3,
            weight_decay=1e-4, seed=0)  # fmt: skip
    seconds = time.perf_counter() - start
    seen = len(train) + steps * options.batch
    print(f"{options.epochs} epochs and one for the variance: {seen / seconds:,.0f} images/s, {watch.stop()}")
    return 0 if max(most, watch.private) < 4 * 2**30 else 1


if __name__ == "__main__":
    sys.exit(main())
