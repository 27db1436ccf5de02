"""Everything of a card that can be wrong, found before the first second of training."""

import json
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import tomlkit
import torch

from evo_qnas.data.nests import call, leaves
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.checking import QuantizabilityReport
from evo_qnas.pipeline.context import RunContext, to_json
from evo_qnas.pipeline.dry_run import dry_run, keep
from evo_qnas.pipeline.found_blocks import with_blocks
from evo_qnas.pipeline.metric_trial import try_metric
from evo_qnas.pipeline.stages import Stage, ordered_stages
from evo_qnas.progress import announce


def check_card(context: RunContext, *, anew: bool) -> RunContext:
    """Checks data, blocks, operators and the settings of every stage, and claims the run folder for this card.

    Gives the run with the blocks that are found, and without the candidates that the dry run leaves out.

    Raises:
        CardError: a rule is broken, or the folder holds a run of another card and `anew` is not set.
        DataError: the images are missing or malformed.
        NetworkError: the teacher, a block or an operator does not fit, or could not end.
        ProblemError: an objective or limit names nothing.
    """
    _ = context.fingerprints.teacher
    _check_data(context)
    context = with_blocks(context)
    stages = [stage for stage in ordered_stages() if stage.asked_for(context)]
    for stage in stages:
        stage.check(context)
    _refuse_other(context, anew=anew)
    announce("what this card needs is tried before anything is trained")
    report = dry_run(context)
    report.require()
    keep(context, report)
    if report.left_out:
        # A fresh one: this one may have listed the candidates that are left out now.
        context = replace(context)
        for stage in stages:
            stage.check(context)
    _claim(context, stages, anew=anew)
    return context


def try_card(context: RunContext) -> QuantizabilityReport:
    """What the dry run of a card finds; nothing is written but caches of data.

    Raises:
        CardError: a rule is broken.
        DataError: the images are missing or malformed.
        NetworkError: the teacher, a block or an operator does not fit.
        ProblemError: an objective or limit names nothing.
    """
    _ = context.fingerprints.teacher
    _check_data(context)
    context = with_blocks(context)
    for stage in ordered_stages():
        if stage.asked_for(context):
            stage.check(context)
    return dry_run(context)


def _check_data(context: RunContext) -> None:
    """Refuses data of no use, a teacher that cannot take them, and a metric that does not work on its outputs."""
    if not len(context.splits.train):
        raise CardError("the train split is empty: lower data.search_share or data.test_share")
    if len(context.splits.search) < 2:
        raise CardError(
            f"the search split has {len(context.splits.search)} images: scores need two for their standard error: "
            "raise data.search_share, or add images"
        )
    _check_teacher(context)
    try_metric(context)


def _check_teacher(context: RunContext) -> None:
    """Refuses a teacher that cannot take the images, or whose outputs do not fit the classes."""
    example = context.example
    try:
        with torch.no_grad():
            outputs = call(context.untrained.eval(), example)
    except (RuntimeError, TypeError, ValueError) as error:
        shapes = " and ".join(str(tuple(leaf.shape[1:])) for leaf in leaves(example))
        raise NetworkError(f"the teacher cannot take images of shape {shapes}: {str(error).splitlines()[0]}") from error
    context.task.check_outputs(outputs, context.splits)


def _refuse_other(context: RunContext, *, anew: bool) -> None:
    """Refuses a folder that holds a run of another card, before anything is written there."""
    if context.paths.card.is_file() and not anew:
        changes = list(_changes(_card_there(context), dict(context.description)))
        if changes:
            raise _other(context, changes, [])


def _other(context: RunContext, changes: list[str], stages: list[str]) -> CardError:
    folder, anew = (
        ("-o (folder=..)", "--anew (run(anew=True))") if context.live is None else ("folder=..", "run(anew=True)")
    )
    return CardError(
        f"{context.folder} holds a run {_difference(changes, stages)}: give another folder with {folder}, "
        f"or {anew} to make again what depends on it"
    )


def _claim(context: RunContext, stages: list[Stage], *, anew: bool) -> None:
    """Writes `card.toml` and `stages.json`, or holds the card against the one that is there."""
    content = dict(context.description)
    fingerprints = {stage.name: stage.fingerprint(context) for stage in stages}
    if context.paths.card.is_file():
        changes = list(_changes(_card_there(context), content))
        known = _known(context)
        other = [name for name, value in fingerprints.items() if known.get(name, value) != value]
        if not changes and not other and known:
            return
        if not anew:
            raise _other(context, changes, other)
        _remove_stale(context, {name for name, value in fingerprints.items() if known.get(name) != value})
    write_text(context.paths.stages, to_json(fingerprints))
    text = f"# The resolved card of this run: evo-qnas run {context.name}\n{tomlkit.dumps(content)}"
    write_text(context.paths.card, text)


def _difference(changes: list[str], stages: list[str]) -> str:
    """The way in which the run of a folder is another one."""
    if changes:
        return f"of another card ({'; '.join(changes[:3])}{'; ...' if len(changes) > 3 else ''})"
    if stages:
        return f"of this card, made from other files (what changed decides on: {', '.join(stages)})"
    return "of another version of evo_qnas"


def _card_there(context: RunContext) -> dict[str, Any]:
    """The card of the run that the folder holds; empty where it cannot be read."""
    try:
        return tomllib.loads(context.paths.card.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _known(context: RunContext) -> dict[str, Any]:
    """The fingerprints of the run that the folder holds."""
    try:
        content = json.loads(context.paths.stages.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _remove_stale(context: RunContext, names: set[str]) -> None:
    """Removes outputs of the stages that are to be made again, and of those that the card no longer asks for."""
    for stage in ordered_stages():
        if stage.name in names or not stage.asked_for(context):
            for pattern in stage.outputs:
                for path in context.folder.glob(pattern):
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    context.paths.seconds.unlink(missing_ok=True)


def _changes(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """One text for each value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            yield from _changes(before.get(name), after.get(name), f"{key}.{name}" if key else name)
    elif before != after:
        yield f"{key} was {before!r}, is {after!r}"
