"""Which layer of a run's validated network is to blame: its noise by part, as data, as CSV and as a picture."""

from collections.abc import Sequence
from pathlib import Path

from evo_qnas.data.nests import rows
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.networks.quantization.network import QuantizedNetwork
from evo_qnas.networks.scoring.blame import DETAILED, FLOATS, Blame, blame, steps_of_blame, unrounded
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import find_network, open_run, restore_network
from evo_qnas.pipeline.validation import build_network
from evo_qnas.plots.blame import Bar, save_blame
from evo_qnas.progress import progress_bar
from evo_qnas.spreadsheets import frame_csv
from evo_qnas.summary import BlockChoice

# Examples of the search part on which noise is measured, and that on which activations are fitted anew.
EXAMPLES = 64
# Parts whose bars fit into a picture.
_BARS = 16


def blame_network(
    context: RunContext,
    choices: Sequence[BlockChoice],
    *,
    finetuned: QuantizedNetwork | None = None,
    examples: int = EXAMPLES,
    detailed: int = DETAILED,
) -> Blame:
    """What each part of a network of a run adds to the noise of its outputs, see `networks.scoring.blame.blame`.

    In floats is the teacher with the trained candidates of these choices. Examples are those of the search part, so
    that nothing is learnt from the test part.

    Args:
        context: the run.
        choices: of its blocks.
        finetuned: the network after fine-tuning, for the noise that it has; what fine-tuning moved on purpose counts
            as noise then. None for the network as calibrated.
        examples: on how many noise is measured; all there are where there are fewer.
        detailed: of how many parts all gains are worked out.

    Raises:
        CardError: fewer than 2 examples are asked for.
        NetworkError: the outputs are the same for every example.
    """
    if examples < 2:
        raise CardError(f"noise is measured on 2 examples or more, not on {examples}")
    search = context.splits.search
    inputs = search.take(slice(0, min(examples, len(search))))[0]
    calibration = rows(context.calibration, slice(0, examples))
    calibrated = build_network(context, choices)
    network = calibrated if finetuned is None else finetuned
    with progress_bar("parts blamed", steps_of_blame(network, detailed=detailed)) as advance:
        return blame(network, unrounded(calibrated), inputs, calibration, detailed=detailed, advance=advance)


def blame_stored(
    folder: Path,
    identity: str,
    *,
    finetuned: bool = False,
    examples: int = EXAMPLES,
    detailed: int = DETAILED,
    trust: bool = False,
) -> Blame:
    """The same of a validated network of a run folder.

    Args:
        folder: of the run.
        identity: of the network, or `teacher_int8`.
        finetuned: the network with the integers that were validated, instead of the one they were fine-tuned from.
        examples: see `blame_network`.
        detailed: see `blame_network`.
        trust: run the Python code that the folder's card names.

    Raises:
        CardError: the folder holds no such network.
    """
    context = open_run(folder, trust=trust)
    stored = find_network(context, identity)
    network = restore_network(context, stored) if finetuned else None
    return blame_network(context, stored.choices, finetuned=network, examples=examples, detailed=detailed)


def write_blame(found: Blame, path: Path, *, title: str) -> Path:
    """Writes the picture, and the CSV file of all parts beside it, whose path is given back.

    Args:
        found: to write.
        path: of the picture: .png, .svg or .pdf.
        title: above the picture.

    Raises:
        PictureError: the ending is none of these, or a file cannot be written.
    """
    bars = [
        Bar(
            label=f"{part.module or part.name}, {part.bits} bits",
            kind=part.kind,
            gain=part.gains[FLOATS] / found.noise if found.noise else 0.0,
            alone=part.at_output / found.noise if found.noise else 0.0,
        )
        for part in found.parts[:_BARS]
    ]
    save_blame(bars, path, title=title)
    table = path.with_suffix(".csv")
    write_text(table, frame_csv(found.to_dataframe()))
    return table
