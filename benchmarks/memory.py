"""Peak activation memory as tables count it, beside what allocators need: ONNX Runtime's arena, a planned arena.

    python benchmarks/memory.py --card camvid

For the teacher of a card and networks with one operator in every block: `counted` is `peak_memory` (codes, one byte
each), `planned` an arena whose offsets are chosen greedily by size, as TensorFlow Lite Micro plans its arena, and
`ONNX Runtime` the largest rise of the bytes requested from its arena while the exported network runs one image, as its
profile tells (memory patterns off).
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from evo_qnas.networks.candidates.blocks import assemble, find_blocks
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.export.onnx.translate import to_onnx
from evo_qnas.networks.integer.memory import Tensor, peak_memory, tensors_of
from evo_qnas.networks.models.teachers import build_teacher
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.pipeline import load_card


def planned(tensors: Sequence[Tensor]) -> int:
    """Size of an arena with the largest tensors placed first, each in the lowest gap that fits.

    Source: TensorFlow Lite Micro, GreedyMemoryPlanner; Pisarchyk and Lee 2020, greedy by size.
    """
    placed: list[tuple[int, Tensor]] = []
    for tensor in sorted(tensors, key=lambda item: -item.size):
        beside = sorted(
            (start, start + other.size)
            for start, other in placed
            if other.made <= tensor.last and tensor.made <= other.last
        )
        at = 0
        for start, end in beside:
            if at + tensor.size <= start:
                break
            at = max(at, end)
        placed.append((at, tensor))
    return max(start + tensor.size for start, tensor in placed)


def in_runtime(network: QuantizedNetwork, image: torch.Tensor) -> int:
    """The largest rise of the arena's requested bytes over a run of one image."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(to_onnx(network).SerializeToString())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = False
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        session.run(None, {"image": image.numpy()})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [
        event["args"]
        for event in events
        if event.get("cat") == "Node" and "mem_bytes_requested_in_use" in event["args"]
    ]
    used = [int(node["mem_bytes_requested_in_use"]) for node in nodes]
    before = used[0] - int(nodes[0]["mem_requested_in_use_delta"])
    return max(used) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="camvid")
    parser.add_argument("--size", type=int, nargs=2, default=(180, 240), metavar=("HEIGHT", "WIDTH"))
    given = parser.parse_args()
    _, card = load_card(given.card)
    teacher = build_teacher(card.teacher.architecture, card.teacher.parameters).eval()
    images = torch.randn(2, card.teacher.parameters["channels"], *given.size)
    shapes = find_blocks(teacher, card.blocks.names, images)
    eight = Bits(weight=8, activation=8)
    operators = {
        operator.label: operator for use in card.operators for operator in load_operators(use.card, use.parameters)
    }
    print("operator, counted, planned, ONNX Runtime (bytes), planned / counted, ONNX Runtime / counted")
    for label in ["teacher", *operators]:
        modules = {}
        for shape in shapes if label != "teacher" else ():
            module = build_candidate(operators[label], shape, seed=0)
            if module is not None:
                modules[shape.name] = module
        network = quantize(assemble(teacher, modules), images, Policy(fixed=eight))
        network.calibrate([images])
        counted, arena = peak_memory(network), planned(tensors_of(network))
        used = in_runtime(network, images[:1])
        print(f"{label}, {counted}, {arena}, {used}, {arena / counted:.3f}, {used / counted:.3f}", flush=True)


if __name__ == "__main__":
    main()
