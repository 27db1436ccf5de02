"""Exporting a validated network of a run folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evo_qnas.cards import nearest
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.export import export
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.networks.quantization.quantize import Policy, QuantizedNetwork, quantize
from evo_qnas.pipeline.cards.problem import load_card
from evo_qnas.pipeline.context import RunContext, made_from
from evo_qnas.pipeline.validation.building import bits_of, modules_of
from evo_qnas.summary import BlockChoice


def stored_network(folder: Path, identity: str) -> tuple[RunContext, QuantizedNetwork, dict[str, Any]]:
    """A validated network as it was stored, with its run and its `network.json`.

    Raises:
        CardError: the folder holds no run, or no such network.
        NetworkError: the stored weights are missing or do not fit.
    """
    context = open_run(folder)
    networks = context.paths.networks
    known = sorted(path.parent.name for path in networks.glob("*/network.json"))
    if not known:
        raise CardError(f"{folder} holds no validated networks: finish its evo-qnas run first")
    if identity not in known:
        raise CardError(f"{folder} has no network {identity!r}; {nearest(identity, known)}")
    path = networks / identity / "network.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        choices = [BlockChoice.model_validate(row) for row in entry["blocks"]]
        fingerprint = entry["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CardError(f"{path} is damaged: delete it and run the card again") from error
    weights = networks / identity / "weights.safetensors"
    if not made_from(weights, fingerprint):
        raise CardError(f"{weights} does not belong to {path}: delete both and run the card again")
    return context, restore_network(context, choices, weights), entry


def open_run(folder: Path) -> RunContext:
    """The run of a folder, from its resolved card.

    Raises:
        CardError: the folder holds no run, or its card breaks a rule.
    """
    card = folder / "card.toml"
    if not card.is_file():
        raise CardError(f"{folder} is no run folder: there is no {card}")
    _, content = load_card(str(card))
    return RunContext(name=folder.resolve().name, card=content, folder=folder.resolve())


def restore_network(context: RunContext, choices: Sequence[BlockChoice], weights: Path) -> QuantizedNetwork:
    """The network of these choices with stored weights; modules only give the graph, so they are not calibrated."""
    policy = Policy(fixed=context.fixed_bits, blocks=bits_of(choices), scheme=context.card.quantization.scheme)
    network = quantize(assemble(context.teacher, modules_of(context, choices)), context.calibration[:2], policy)
    network.restore(load_weights(weights)[0])
    return network


def export_stored(
    folder: Path, identity: str, path: Path, *, runtime: str | None = None, upsample: bool = False
) -> dict[str, Any]:
    """Exports a validated network and checks it on the run's test images, see `export`.

    Args:
        folder: of the run.
        identity: of the network.
        path: file to write.
        runtime: name of the runtime; None for the one that owns the ending of `path`.
        upsample: keep the up-sampling of logits at the end of the network.
    """
    context, network, _ = stored_network(folder, identity)
    images, seed = context.splits.test, context.card.seed
    return export(network, path, runtime, images=images, task=context.task, upsample=upsample, seed=seed)
