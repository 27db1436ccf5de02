"""Stages of one architecture of the zoo, from a float network to checked files."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode
from zoo_entry import Entry
from zoo_task import Picks

from evo_qnas.data import Images
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.export import export
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.training.optimizers import quantized_optimizer

EXAMPLES = 8  # calibrate, and are what files are checked on
FINETUNING = 4  # examples of the fine-tuning step
STAGES = ("cut", "quantize", "finetune", "macs", "onnx", "size", "tflite")
# Submodules that are tried as blocks, and how many are enough.
_TRIED, _ENOUGH = 40, 4
# Floats that a graph may keep beside the stored tensors: limits, epsilons, shares.
_SMALL_CONSTANT = 64


@final
class Chosen(nn.Module):
    """A network of which one output is chosen."""

    def __init__(self, network: nn.Module, path: tuple[str | int, ...]) -> None:
        super().__init__()
        self.network, self.path = network, path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The chosen output."""
        output: Any = self.network(x)
        for key in self.path:
            output = output[key]
        chosen: torch.Tensor = output
        return chosen


def build(entry: Entry) -> tuple[nn.Module, torch.Tensor]:
    """The network with seeded weights, in evaluation mode, and its examples."""
    torch.manual_seed(0)
    network = entry.build()
    examples = _examples(entry, np.random.default_rng(0))
    settle(network, examples)
    return (Chosen(network, entry.output) if entry.output else network).eval(), examples


def _examples(entry: Entry, rng: np.random.Generator) -> torch.Tensor:
    """Numbers of words, or smooth patterns with noise, each example another."""
    shape = (EXAMPLES, *entry.shape)
    if entry.tokens:
        return torch.from_numpy(rng.integers(0, entry.tokens, shape))
    noise = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
    if len(entry.shape) == 1:
        time_axis = np.arange(entry.shape[0]) / entry.shape[0]
        tones = np.sin(2 * np.pi * rng.uniform(2, entry.shape[0] / 8, (EXAMPLES, 1)) * time_axis)
        return torch.from_numpy(tones.astype(np.float32)) + 0.2 * noise
    flat = shape if len(shape) == 4 else (EXAMPLES, 1, *shape[1:])
    coarse = torch.from_numpy(rng.normal(size=(*flat[:2], 4, 4)).astype(np.float32))
    smooth = functional.interpolate(coarse, size=flat[2:], mode="bilinear").reshape(shape)
    return 1.2 * smooth + 0.3 * noise


@torch.no_grad()
def settle(network: nn.Module, examples: torch.Tensor) -> None:
    """Gives BatchNorms the statistics of the examples, as every network has them that ever was trained."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    network.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    network(examples)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


def cut(network: nn.Module, examples: torch.Tensor) -> str:
    """The first submodules with weights that can be a block."""
    found: list[str] = []
    tried = [name for name, module in network.named_modules() if name and any(True for _ in module.parameters())]
    for name in tried[:_TRIED]:
        try:
            find_blocks(network, [name], examples[:2])
        except ValueError:
            continue
        found.append(name)
        if len(found) == _ENOUGH:
            break
    if not found:
        raise ValueError(f"none of {len(tried[:_TRIED])} submodules takes one tensor and gives one")
    return ", ".join(found)


def finetune_step(network: QuantizedNetwork, teacher: nn.Module, examples: torch.Tensor) -> str:
    """One step of a clone towards the float outputs; refuses parameters without finite gradients."""
    learner = network.clone()
    optimizer, _ = quantized_optimizer([learner], learning_rate=1e-4, step_learning_rate=1e-4, steps=2)
    learner.train()
    with torch.no_grad():
        targets = teacher(examples)
    loss = functional.mse_loss(learner(examples), targets)
    loss.backward()
    learning = [p for group in optimizer.param_groups for p in group["params"]]
    everything = {name: p for name, p in learner.named_parameters() if p.requires_grad}
    missing = [name for name, p in everything.items() if not any(p is one for one in learning)]
    if missing:
        raise ValueError(f"{len(missing)} of {len(everything)} parameters do not learn: {missing[0]}")
    without = [name for name, p in everything.items() if p.grad is None]
    if without:
        raise ValueError(f"{len(without)} of {len(everything)} parameters have no gradient: {without[0]}")
    broken = [name for name, p in everything.items() if not bool(p.grad.isfinite().all())]  # type: ignore[union-attr]
    if broken:
        raise ValueError(f"{len(broken)} of {len(everything)} gradients are not finite: {broken[0]}")
    optimizer.step()
    return f"{len(everything)} parameters"


def check_macs(quantized: QuantizedNetwork, network: nn.Module, examples: torch.Tensor) -> str:
    """Multiplications of one example by torch's own counter, which must be ours and those that are done once.

    Of a network of which one output is chosen, those that lead to that output count.
    """
    ours, once = costs_of(quantized, 8).macs, quantized.folded_macs
    counts = _counted(network, examples)
    if sum(counts.values()) != ours + once and isinstance(network, Chosen):
        program: Any = torch.export.export(network, (examples[:1],)).module()
        program.graph.eliminate_dead_code()
        program.recompile()
        counts = _counted(program, examples)
    theirs = sum(counts.values())
    if ours + once != theirs:
        raise ValueError(f"{ours:,} multiplications and {once:,} once, torch counts {theirs:,}: {counts}")
    return f"{ours:,}" + (f" and {once:,} at capture alone" if once else "")


def _counted(network: nn.Module, examples: torch.Tensor) -> dict[str, int]:
    """Multiplications of one example by operation, as torch counts them."""
    counter = FlopCounterMode(display=False)
    # Fused kernels of attention and recurrent layers are counted by the products they stand for.
    with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
        network(examples[:1])
    return {str(name): flops // 2 for name, flops in counter.get_flop_counts().get("Global", {}).items()}


def check_size(quantized: QuantizedNetwork, path: Path) -> str:
    """Bytes of the stored tensors in an ONNX file, read by the onnx package alone, which must be `size_bytes`.

    Everything else in the file are constants of the graph, none of them a large float.
    """
    import onnx

    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    stored = quantized.stored()
    absent = sorted(set(stored) - set(tensors))
    if absent:
        raise ValueError(f"{len(absent)} of {len(stored)} stored tensors are not in the file: {absent[0]}")
    in_file = sum(int(tensors[name].nbytes) for name in stored)
    size = costs_of(quantized, 8).size_bytes
    if in_file != size:
        raise ValueError(f"{in_file:,} bytes of tensors in the file, size_bytes {size:,}")
    others = {name: values for name, values in tensors.items() if name not in stored}
    floats = {n: v.size for n, v in others.items() if v.dtype.kind == "f" and v.size > _SMALL_CONSTANT}
    if floats:
        raise ValueError(f"{len(floats)} large floats in the file are not counted: {floats}")
    return f"{size:,} B, constants {sum(values.nbytes for values in others.values()):,} B"


def check_file(quantized: QuantizedNetwork, images: Images, runtime: str, path: Path, axis: int) -> str:
    """The checks of an exported file, all of which must be met."""
    entry = export(quantized, path, runtime, images=images, task=Picks(axis), upsample=True, latency=False)
    if entry["failures"]:
        raise ValueError("; ".join(entry["failures"]))
    kernels = f"{entry['integer_convolutions']} of {entry['convolutions']} convolutions in integers"
    apart = entry["max_abs_diff"] / max(float(images.labels.amax() - images.labels.amin()), np.finfo(np.float32).tiny)
    codes = "no codes compared" if entry["floats"] is None else f"{entry['floats']['compared']:,} codes right"
    return f"{codes}, agreement {entry['agreement']:.4f}, outputs {apart:.2%} of their range apart at most, {kernels}"


@final
class Run:
    """Findings of the stages of one network, handed over after each.

    Attributes:
        findings: per stage its seconds and what it found, or its error.
    """

    def __init__(self, keep: Callable[[Mapping[str, Any]], None]) -> None:
        self.findings: dict[str, Any] = {}
        self._keep = keep

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Takes the time of a stage and keeps its error; the stages behind it go on."""
        finding: dict[str, Any] = {"ok": False}
        start = time.perf_counter()
        try:
            yield finding
            finding["ok"] = True
        except Exception as error:  # whatever a network of others brings up is a finding
            finding["error"] = f"{type(error).__name__}: {_short(error)}"
            finding["where"] = _where(error)
        finding["seconds"] = round(time.perf_counter() - start, 2)
        self.findings[name] = finding
        self._keep(self.findings)


def run_stages(entry: Entry, folder: Path, keep: Callable[[Mapping[str, Any]], None]) -> None:
    """All stages of one network; files go to `folder`."""
    run = Run(keep)
    with run.stage("build") as finding:
        network, examples = build(entry)
        finding["note"] = f"{sum(p.numel() for p in network.parameters()):,} parameters"
    if not run.findings["build"]["ok"]:
        return
    with run.stage("cut") as finding:
        finding["note"] = cut(network, examples)
    with run.stage("quantize") as finding, torch.no_grad():
        quantized = quantize(network, examples[:2], Policy(fixed=Bits(weight=8, activation=8)))
        quantized.calibrate([examples])
        images = Images(pixels=examples, labels=network(examples))
        nearness = Picks(entry.axis).metric(quantized, images)
        finding["note"] = f"{nearness:.4f} of the float outputs' range"
    if not run.findings["quantize"]["ok"]:
        return
    with run.stage("finetune") as finding:
        finding["note"] = finetune_step(quantized, network, examples[:FINETUNING])
    with run.stage("macs") as finding:
        finding["note"] = check_macs(quantized, network, examples)
    for runtime in ("onnx", "tflite"):
        path = folder / f"{entry.name}.{runtime}"
        with run.stage(runtime) as finding:
            finding["note"] = check_file(quantized, images, runtime, path, entry.axis)
        if runtime == "onnx":
            with run.stage("size") as finding:
                finding["note"] = check_size(quantized, path)
        path.unlink(missing_ok=True)


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    # Where a file of this run lies is of no use to others.
    return re.sub(r"(?<![\w.])(?:/[\w.-]+)+/(?=[\w.-]+)", "", " ".join(line.strip() for line in lines[:6]))[:600]


def _where(error: BaseException) -> str:
    """File and line of our own code from which an error came."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "evo_qnas" in file:
            place = f"{file[file.rindex('evo_qnas') :]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
