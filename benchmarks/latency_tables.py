"""How well latency tables predict whole networks: held-out networks, the plain sum beside them, a second measurement.

    python benchmarks/latency_tables.py --card streets -o results/latency       # about two minutes
    python benchmarks/latency_tables.py --card camvid --rounds 60

Latency does not depend on what weights were learned, so nothing is trained: the card's teacher and candidates have
fresh weights. Blocks and 68 whole random networks are timed in the same rounds; 20 of the networks are held out. Then
all blocks are timed a second time, in rounds of another order.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import nn

from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.export import RUNTIMES, Timing
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.cards.latency import LatencyCard
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.jobs import default_jobs
from evo_qnas.pipeline.latency import Measurement, measure_tables
from evo_qnas.pipeline.latency.precision import INT8
from evo_qnas.pipeline.latency.units import UnitFile
from evo_qnas.tables import Block, Tables


def macs_of(module: nn.Module, inputs: tuple[int, ...]) -> float:
    """Multiplications of a module's convolutions for one image."""
    found: list[int] = []

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        found.append(int(layer.weight.numel() * output[0, 0].numel()))  # type: ignore[union-attr,operator]

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        module.eval()(torch.zeros(2, *inputs))
    for hook in hooks:
        hook.remove()
    return float(sum(found))


def untrained(context: RunContext) -> Tables:
    """Writes fresh weights of teacher and candidates; gives tables of all choices with their multiplications."""
    if not context.paths.teacher.is_file():
        save_weights(
            context.workload.new_model().state_dict(),
            context.paths.teacher,
            {"fingerprint": context.fingerprints.teacher},
        )
    bits, blocks, macs = context.card.quantization, [], []
    pairs = [(weight, activation) for weight in bits.weight_bits for activation in bits.activation_bits]
    for shape in context.shapes:
        modules = {TEACHER: context.teacher.get_submodule(shape.name), **context.candidates.build(shape.name)}
        rows: list[tuple[str, int, int, float]] = []
        for name, module in modules.items():
            path = context.paths.candidate(shape.name, name)
            if name != TEACHER and not path.is_file():
                save_weights(module.state_dict() or {"none": torch.zeros(1)}, path, {"fingerprint": "fresh"})
            cost = macs_of(module, shape.inputs)
            rows += [(name, *pair, cost) for pair in (pairs if list(module.parameters()) else [(0, 0)])]
        blocks.append(
            Block(
                name=shape.name,
                operators=tuple(row[0] for row in rows),
                weight_bits=np.array([row[1] for row in rows], dtype=np.int64),
                activation_bits=np.array([row[2] for row in rows], dtype=np.int64),
            )
        )
        macs.append(np.array([row[3] for row in rows]))
    whole = {"teacher_int8": [block.labels.index((TEACHER, 8, 8)) for block in blocks]}
    return Tables.from_arrays({"macs": macs}, blocks=blocks, baselines=whole)


def second_measurement(context: RunContext, tables: Tables, settings: LatencyCard) -> dict[str, float]:
    """Kendall's tau between the blocks' times in the first measurement and in a new one."""
    lines = (context.folder / "latency" / "rounds.jsonl").read_text().splitlines()
    names = json.loads(lines[0])["names"]
    first = dict(zip(names, np.quantile([json.loads(line) for line in lines[1:]], 0.1, axis=0), strict=True))
    units = Measurement(context=context, tables=tables, settings=settings).units(INT8)
    writer = UnitFile(context, settings.runtime)
    files = {name: writer.path(unit) for name, unit in units.items() if unit.block and name in first}
    record = context.folder / "latency" / "second.jsonl"
    second = RUNTIMES.get("onnx").measure(
        files, Timing(seed=1, rounds=settings.rounds, threads=settings.threads, record=record)
    )
    pairs = {name: (first[name], second[name].milliseconds) for name in files}
    found = {"all blocks": stats.kendalltau(*np.array(list(pairs.values())).T).statistic}
    for block in tables.blocks:
        rows = [pair for name, pair in pairs.items() if units[name].block == block.name]
        found[block.name] = stats.kendalltau(*np.array(rows).T).statistic
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="camvid")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--networks", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/latency"))
    parser.add_argument("--jobs", type=int, default=default_jobs())
    parser.add_argument("--set", action="append", default=[], dest="changes")
    given = parser.parse_args()
    name, card = load_card(given.card, changes=given.changes)
    context = RunContext(name=name, card=card, folder=given.output.resolve())
    tables = untrained(context)
    settings = LatencyCard(rounds=given.rounds, networks=given.networks, held_out=given.held_out)
    made = measure_tables(context, tables, settings, jobs=given.jobs, output=context.folder / "tables.h5")
    column = made.columns["latency_ms"]
    print(column.source)
    for key, value in column.details.items():
        print(f"  {key}: {value}")
    print("Kendall tau of two measurements:", second_measurement(context, tables, settings))


if __name__ == "__main__":
    main()
