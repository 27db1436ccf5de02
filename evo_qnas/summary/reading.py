"""Reading `summary.json` and `networks/random.json`: every value is one that a run writes, or the file is refused."""

import json
from pathlib import Path
from typing import Any, TypeVar, final

from pydantic import BaseModel, ValidationError

from evo_qnas.errors import PictureError
from evo_qnas.reading import read_json
from evo_qnas.summary.network import Value
from evo_qnas.summary.run import RunSummary

Model = TypeVar("Model", bound=BaseModel)

# Numbers beyond this become infinite in pictures. Chosen.
_LARGEST = 1e100


@final
class RandomNetworks(Value):
    """The content of `networks/random.json`.

    Attributes:
        fingerprint: of what it was made from.
        genomes: of the random networks.
        metric: of each before fine-tuning, on the search images.
    """

    fingerprint: str = ""
    genomes: tuple[tuple[int, ...], ...]
    metric: tuple[float, ...]


def read_summary(path: Path) -> RunSummary | None:
    """The content of a `summary.json`, None where there is none.

    Raises:
        PictureError: the file is no JSON, or lacks what a run writes.
    """
    summary = read_value(path, RunSummary, "a run")
    if summary is not None:
        for index, network in enumerate(summary.networks):
            if len(network.genome) != len(network.blocks) or min(network.genome, default=0) < 0:
                raise _lacking(path, "a run", f"networks.{index}.genome: one choice of each block is needed")
            for key in ("metric", "file_bytes"):
                if not isinstance((network.onnx or {}).get(key), int | float | None):
                    raise _lacking(path, "a run", f"networks.{index}.onnx.{key}: a number is needed")
        tau = summary.rank_correlation
        if tau is not None and tau.kendall_tau is not None and None in (tau.low, tau.high):
            raise _lacking(path, "a run", "rank_correlation: a tau needs the ends of its interval")
    return summary


def read_random(path: Path) -> RandomNetworks | None:
    """The content of a `random.json`, None where there is none.

    Raises:
        PictureError: the file is no JSON, or lacks what a run writes.
    """
    random = read_value(path, RandomNetworks, "a run")
    if random is not None:
        lengths = {len(genome) for genome in random.genomes}
        if len(lengths) > 1 or len(random.genomes) != len(random.metric):
            raise _lacking(path, "a run", "one metric for each genome, and genomes of one length are needed")
    return random


def read_value(path: Path, model: type[Model], writer: str) -> Model | None:
    """The value in a JSON file, None where there is none; texts are no numbers, and numbers are finite.

    Args:
        path: the file.
        model: of the value.
        writer: what writes such files, for the error.

    Raises:
        PictureError: the file is no JSON, or no value of the model.
    """
    if not path.is_file():
        return None
    content = read_json(path, PictureError)
    if not isinstance(content, dict):
        raise PictureError(f"{path} must hold a JSON object, found {type(content).__name__}")
    _check_numbers(path, writer, content, "")
    try:
        return model.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise _lacking(path, writer, f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def _check_numbers(path: Path, writer: str, value: Any, where: str) -> None:
    """Refuses numbers that would become infinite where they are drawn."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_numbers(path, writer, inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_numbers(path, writer, inner, f"{where}.{index}")
    elif isinstance(value, float) and abs(value) > _LARGEST:
        raise _lacking(path, writer, f"{where[1:]}: {value:g} is beyond all measurements")


def _lacking(path: Path, writer: str, what: str) -> PictureError:
    return PictureError(f"the {path.name} of {path.resolve().parent.name} lacks what {writer} writes: {what[:500]}")
