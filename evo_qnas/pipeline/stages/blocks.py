"""The candidates of every block, distilled from the teacher."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from evo_qnas.errors import DivergenceError
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.networks.training.correction import correct
from evo_qnas.networks.training.distill import candidate_steps, distill
from evo_qnas.pipeline.context import RunContext, made_from, seed_of
from evo_qnas.pipeline.features import features_of, map_features
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage
from evo_qnas.progress import progress_bar

logger = logging.getLogger(__name__)


@final
class BlocksStage(Stage):
    """Leaves `blocks/<block>/<operator>.safetensors`, which carry their fingerprints."""

    name = "blocks"
    about = "every candidate operator of every block, distilled from the teacher's"

    def fingerprint(self, context: RunContext) -> str:
        """That of all candidates."""
        return context.fingerprints.blocks

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state as it is."""
        make_blocks(context, jobs=resources.jobs)
        return state


def make_blocks(context: RunContext, *, jobs: int) -> None:
    """`blocks/<block>/<operator>.safetensors`: every candidate of every block, unless it is there."""
    waiting = [shape.name for shape in context.shapes if _missing(context, shape.name)]
    if waiting:
        map_features(context, waiting)
        in_jobs(_Distillation(context), waiting, context=context, jobs=jobs, label="blocks distilled", names=waiting)
        shutil.rmtree(context.paths.features, ignore_errors=True)
    _look_at_diverged(context)


def _look_at_diverged(context: RunContext) -> None:
    """Says which candidates did not learn.

    Raises:
        DivergenceError: not one learnt.
    """
    reasons = context.diverged
    if not reasons:
        return
    if not any(_learnt(context, shape.name) for shape in context.shapes):
        raise DivergenceError(
            f"{reasons[0].sentence}; nor has any other learnt: lower distillation.learning_rate = "
            f"{context.card.distillation.learning_rate:g}"
        )
    for each in reasons:
        logger.warning("%s", each.sentence)


def _learnt(context: RunContext, block: str) -> bool:
    """True where an operator of a block has learnt, be it that a later stage left it out."""
    labels = frozenset(operator.label for operator in context.candidates.offers.of(block))
    modules = context.candidates.build(block, only=labels)
    return any(_is_trained(context, block, label) for label, module in modules.items() if list(module.parameters()))


def _missing(context: RunContext, block: str) -> frozenset[str]:
    """Operators of a block whose candidate is not trained yet."""
    return frozenset(label for label in context.candidates.labels(block) if not _is_trained(context, block, label))


def _is_trained(context: RunContext, block: str, label: str) -> bool:
    return made_from(context.paths.candidate(block, label), context.fingerprints.candidate(block, label))


@dataclass(frozen=True)
class _Distillation:
    """Distils one block; sent to worker processes, which build everything else from the card."""

    context: RunContext

    def __call__(self, block: str) -> None:
        context, settings = self.context, self.context.card.distillation
        candidates = context.candidates.build(block, only=_missing(context, block))
        features = features_of(context, block)
        if settings.correct:
            own = context.candidates.taught(block)
            for module in candidates.values():
                correct(module, own, features, device=context.device)
        with progress_bar(
            f"{block}", candidate_steps(list(candidates.values()), settings.steps), show=False
        ) as advance:
            try:
                losses = distill(
                    candidates,
                    features,
                    **settings.model_dump(exclude={"features", "inherit", "correct"}),
                    seed=seed_of("distillation", context.card.seed, block),
                    device=context.device,
                    advance=advance,
                )
            except DivergenceError as error:
                losses = dict(error.losses)
                for label, reason in error.diverged.items():
                    context.leave_out(block, label, reason)
        self._keep(block, candidates, losses)

    def _keep(self, block: str, candidates: Mapping[str, nn.Module], losses: Mapping[str, float]) -> None:
        """Writes the candidates that learnt, or have nothing to learn."""
        context = self.context
        for label, module in candidates.items():
            if label not in losses and list(module.parameters()):
                continue
            fingerprint = context.fingerprints.candidate(block, label)
            # An identity has no weights; a marker tensor keeps its file valid.
            tensors = module.state_dict() or {"none": torch.zeros(1)}
            metadata = {"fingerprint": fingerprint, "loss": repr(losses.get(label))}
            save_weights(tensors, context.paths.candidate(block, label), metadata)
