"""A folder of exported blocks, to be measured on a device of the user's."""

import csv
import io
from pathlib import Path

from evo_qnas.files import write_bytes, write_text
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.latency.precision import INT8
from evo_qnas.pipeline.latency.units import Unit, UnitFile, grouped, timed_bits
from evo_qnas.spreadsheets import marked
from evo_qnas.tables import Tables
from evo_qnas.tables.measured import FIXED

SCRIPT, MANIFEST = "measure_blocks.py", "manifest.csv"


def export_blocks(context: RunContext, tables: Tables, folder: Path, *, jobs: int, runtime: str = "onnx") -> int:
    """Writes every choice's block as ONNX with codes in and out, a manifest and the script that measures them.

    Choices whose kernels are the same share a file: all weight bits, and all activation bits below 8. An operator that
    does nothing has a row without a file. Gives the number of files.

    Raises:
        NetworkError: an operation has no translation.
    """
    writer, units = UnitFile(context, runtime), _units(tables)
    groups = grouped(units)
    in_jobs(writer, groups, context=context, jobs=jobs, label="blocks exported")
    rows, count = [], 0
    for unit, (weight, activation) in units.items():
        source = writer.path(unit)
        block, operator = (FIXED, "") if unit.fixed else (unit.block, unit.operator)
        label = "fixed" if unit.fixed else f"{block}_{operator}_a{unit.bits[1]}"
        name = f"{count:04d}_{label}{writer.writer.suffix}" if source.is_file() else ""
        if name:
            write_bytes(folder / name, source.read_bytes())
            count += 1
        rows.append([name, marked(block), marked(operator), weight, activation])
    text = io.StringIO()
    header = ["file", "block", "operator", "weight_bits", "activation_bits"]
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(folder / MANIFEST, text.getvalue())
    write_text(folder / SCRIPT, writer.writer.measuring_script())
    return count


def _units(tables: Tables) -> dict[Unit, tuple[str, str]]:
    """Units to export, with the weight and activation bits for which each stands in a CSV of measurements."""
    found = {Unit(precision=INT8, fixed=True): ("", "")}
    for block in tables.blocks:
        for (operator, _, activation), bits in timed_bits(block).items():
            few = "<8" if 0 < activation < 8 else str(activation)
            found[Unit(precision=INT8, block=block.name, operator=operator, bits=bits)] = ("*", few)
    return found
