"""Validated networks of a run folder, restored and exported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from evo_qnas.cards import nearest, read_toml
from evo_qnas.data.nests import rows
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.export import export
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.networks.quantization.quantize import Policy, QuantizedNetwork, quantize
from evo_qnas.pipeline.cards.problem import load_card
from evo_qnas.pipeline.cards.trust import check_trusted, named_code, named_early
from evo_qnas.pipeline.context import RunContext, made_from
from evo_qnas.pipeline.validation.building import bits_of, modules_of
from evo_qnas.reading import read_json
from evo_qnas.summary import BlockChoice


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNetwork:
    """A validated network as files of a run folder have it.

    Attributes:
        id: its name.
        choices: of each block.
        fingerprint: what it was made from.
        weights: file of its integers.
    """

    id: str
    choices: tuple[BlockChoice, ...]
    fingerprint: str
    weights: Path


def find_network(context: RunContext, identity: str) -> StoredNetwork:
    """The validated network of this id; nothing but its `network.json` is read.

    Raises:
        CardError: there is no such network, its file is damaged, or its weights are missing or those of another one.
    """
    known = sorted(path.parent.name for path in context.paths.networks.glob("*/network.json"))
    if not known:
        raise CardError(f"{context.folder} holds no validated networks: finish its run first")
    if identity not in known:
        raise CardError(f"{context.folder} has no network {identity!r}; {nearest(identity, known)}")
    path = context.paths.network(identity) / "network.json"
    weights = path.with_name("weights.safetensors")
    try:
        entry = read_json(path, CardError)
        choices = tuple(BlockChoice.model_validate(row) for row in entry["blocks"])
        stored = StoredNetwork(id=identity, choices=choices, fingerprint=str(entry["fingerprint"]), weights=weights)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CardError(f"{path} is damaged: delete it and run the card again") from error
    if not made_from(weights, stored.fingerprint):
        raise CardError(f"{weights} does not belong to {path}: delete both and run the card again")
    return stored


def open_run(folder: Path, *, trust: bool = False) -> RunContext:
    """The run of a folder, from its resolved card.

    Args:
        folder: of the run.
        trust: run the Python code that its card names; a folder may come from a stranger.

    Raises:
        CardError: the folder holds no run, its card breaks a rule, or it names code and is not trusted.
    """
    card = folder / "card.toml"
    if not card.is_file():
        raise CardError(f"{folder} is no run folder: there is no {card}")
    check_trusted(named_early(read_toml(card)), card, trusted=trust)
    _, content = load_card(str(card))
    check_trusted(named_code(content), card, trusted=trust)
    return RunContext(name=folder.resolve().name, card=content, folder=folder.resolve())


def restore_network(context: RunContext, stored: StoredNetwork) -> QuantizedNetwork:
    """The network with its stored weights; modules only give the graph, so they are not calibrated.

    Raises:
        NetworkError: the stored weights do not fit.
    """
    choices = stored.choices
    policy = Policy(fixed=context.fixed_bits, blocks=bits_of(choices), scheme=context.card.quantization.scheme)
    example = rows(context.calibration, slice(0, 2))
    network = quantize(assemble(context.teacher, modules_of(context, choices)), example, policy)
    network.restore(load_weights(stored.weights)[0])
    return network


def export_stored(
    folder: Path,
    identity: str,
    path: Path,
    *,
    runtime: str | None = None,
    upsample: bool = False,
    raw_inputs: bool = False,
    trust: bool = False,
) -> dict[str, Any]:
    """Exports a validated network and checks it on the run's test images, see `export`.

    Args:
        folder: of the run.
        identity: of the network.
        path: file to write.
        runtime: name of the runtime; None for the one that owns the ending of `path`.
        upsample: keep the up-sampling of logits at the end of the network.
        raw_inputs: the file takes raw pixels.
        trust: see `open_run`.
    """
    context = open_run(folder, trust=trust)
    network = restore_network(context, find_network(context, identity))
    return export(
        network,
        path,
        runtime,
        images=context.splits.test,
        task=context.task,
        upsample=upsample,
        seed=context.card.seed,
        facts=context.facts,
        raw_inputs=raw_inputs,
    )
