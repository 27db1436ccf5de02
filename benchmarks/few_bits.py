"""What calibration gains at few bits: noise in the logits and mIoU of the quantized teacher before any fine-tuning.

python benchmarks/few_bits.py RUN_FOLDER --bits 2 3 4        # of `evo-qnas run camvid`, with $EVO_QNAS_DATA set
"""

import argparse
import os
import sys
from pathlib import Path

import torch

from evo_qnas.data import Images
from evo_qnas.data.loading import load_splits
from evo_qnas.networks.models.teachers import build_teacher, load_teacher
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.tasks.segmentation import Segmentation
from evo_qnas.pipeline.cards.problem import load_card

WAYS = {
    "plain": (False, False),
    "weighted steps": (True, False),
    "corrected biases": (False, True),
    "both": (True, True),
}


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--every", type=int, default=3, help="take every so many images of the search split")
    options = parser.parse_args()
    _, card = load_card(str(options.run / "card.toml"))
    folder = Path(os.environ.get("EVO_QNAS_DATA", ".")) / "camvid"
    splits = load_splits(card.data.model_copy(update={"folder": folder}))
    teacher = load_teacher(
        build_teacher(card.teacher.architecture, card.teacher.parameters), options.run / "teacher.safetensors"
    )
    search = splits.search
    few = Images(
        pixels=search.pixels[:: options.every],
        labels=search.labels[:: options.every],
        mean=search.mean,
        std=search.std,
    )
    calibration, pixels = splits.train.take(slice(0, 32))[0], few.take(slice(None))[0]
    network = quantize(teacher, calibration[:2], Policy(fixed=Bits(weight=8, activation=8)))
    task = Segmentation()
    with torch.no_grad():
        wanted = torch.cat([teacher(part) for part in pixels.split(16)])
    print(f"{len(few)} images, float mIoU {task.metric(teacher, few):.4f}")
    for bits in options.bits:
        for name, (network.weighted_scales, network.corrected_biases) in WAYS.items():
            network.set_bits(Bits(weight=bits, activation=8))
            network.calibrate(calibration.split(16))
            with torch.no_grad():
                given = torch.cat([network(part) for part in pixels.split(16)])
            noise = float((given - wanted).square().mean() / wanted.var())
            print(f"| {bits} | {name} | {noise:.4f} | {task.metric(network, few):.4f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
