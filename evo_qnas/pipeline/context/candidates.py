"""The candidate operators of a run: what the card offers, what fits, what was trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from torch import nn

from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import TEACHER, Operator, build_candidate, candidate_labels, load_operators
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.pipeline.cards.problem import Settings
from evo_qnas.pipeline.context.digests import seed_of
from evo_qnas.pipeline.context.paths import RunPaths


@final
@dataclass(frozen=True)
class Offers:
    """The candidate operators that a card offers.

    Attributes:
        card: the settings of the run.
        without: gives per block the labels that the dry run left out.
        only_in_codes: gives per block those that it left out in floats alone.
    """

    card: Settings
    without: Callable[[], Mapping[str, frozenset[str]]] = dict
    only_in_codes: Callable[[], Mapping[str, frozenset[str]]] = dict

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """All of them, without the teacher's own blocks.

        Raises:
            CardError: there is neither one nor a choice of bits, or one takes the name of the teacher's own block.
        """
        found: dict[str, Operator] = {}
        for operators in self._uses:
            for operator in operators:
                found.setdefault(operator.label, operator)
        bits = self.card.quantization
        if not found and not bits.float_bits and len(bits.weight_bits) * len(bits.activation_bits) < 2:
            raise CardError(
                f"there is nothing to choose: neither operators nor bits besides weight_bits = {bits.weight_bits} and "
                f"activation_bits = {bits.activation_bits}; name operators, see evo-qnas list operators, or more bits"
            )
        if TEACHER in found:
            raise CardError(f"an operator card gives the label {TEACHER!r}, which names the teacher's own block")
        return tuple(found.values())

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels of all operators."""
        return frozenset(operator.label for operator in self.operators)

    def operator(self, label: str) -> Operator:
        """The operator of this label."""
        return next(operator for operator in self.operators if operator.label == label)

    @cached_property
    def left_out(self) -> Mapping[str, frozenset[str]]:
        """Per block the labels that the dry run left out."""
        return self.without()

    @cached_property
    def left_out_in_floats(self) -> Mapping[str, frozenset[str]]:
        """Per block the labels that the dry run left out in floats alone."""
        return self.only_in_codes() if self.card.quantization.float_bits else {}

    def float_bits(self, block: str, label: str) -> tuple[int, ...]:
        """The widths of its parameters at which an operator, the teacher's own block too, is offered in floats."""
        if label in self.left_out_in_floats.get(block, frozenset()):
            return ()
        return tuple(self.card.quantization.float_bits)

    def of(self, block: str) -> tuple[Operator, ...]:
        """The operators offered for a block, fitting or not, without those left out; in the order of `operators`."""
        without = self.left_out.get(block, frozenset())
        return tuple(operator for operator in self.offered(block) if operator.label not in without)

    def offered(self, block: str) -> tuple[Operator, ...]:
        """The operators that the card offers for a block, those left out too."""
        labels = {
            operator.label
            for use, operators in zip(self.card.operators, self._uses, strict=True)
            if not use.blocks or block in use.blocks
            for operator in operators
        }
        return tuple(operator for operator in self.operators if operator.label in labels)

    @cached_property
    def _uses(self) -> tuple[tuple[Operator, ...], ...]:
        """The operators of each `[[operators]]` section."""
        return tuple(load_operators(use.card, use.parameters) for use in self.card.operators)


@final
@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Modules that may replace the blocks of a run.

    Attributes:
        card: the settings of the run.
        paths: of the run folder.
        offers: the operators of the card.
        shape: gives a block's shapes.
        own: gives the teacher's own block; before there is a trained teacher, that of a fresh one.
        taught: gives the trained teacher's own block.
        diverged: True where a candidate did not learn, and is left out.
    """

    card: Settings
    paths: RunPaths
    offers: Offers
    shape: Callable[[str], BlockShape]
    own: Callable[[str], nn.Module]
    taught: Callable[[str], nn.Module]
    diverged: Callable[[str, str], bool] = lambda _block, _operator: False

    def build(self, block: str, *, only: frozenset[str] | None = None) -> dict[str, nn.Module]:
        """Candidates of a block before they learn, by label; operators that do not fit its shapes are left out.

        Args:
            block: name.
            only: labels of those wanted; None for all.
        """
        modules = {}
        wanted = self.labels(block) if only is None else only
        for operator in self.offers.of(block):
            if operator.label not in wanted:
                continue
            seed = seed_of("candidate", self.card.seed, block, operator.label)
            module = build_candidate(
                operator,
                self.shape(block),
                seed=seed,
                block=self.own(block),
                inherited=self.card.distillation.inherit,
            )
            if module is not None:
                modules[operator.label] = module
        return modules

    def labels(self, block: str) -> tuple[str, ...]:
        """Labels of the operators that fit a block and learn; no weights are made for it."""
        fitting = candidate_labels(self.offers.of(block), self.shape(block), block=self.own(block))
        return tuple(label for label in fitting if not self.diverged(block, label))

    def weightless(self, block: str) -> frozenset[str]:
        """Labels of the operators of a block that have no parameters."""
        return frozenset(label for label, module in self.build(block).items() if not list(module.parameters()))

    def trained(self, block: str, operator: str) -> nn.Module:
        """A trained candidate, or the teacher's own block.

        Raises:
            CardError: the operator does not fit the block.
        """
        if operator == TEACHER:
            return self.taught(block)
        chosen = self.offers.operator(operator)
        module = build_candidate(chosen, self.shape(block), seed=0, block=self.taught(block))
        if module is None:
            raise CardError(f"operator {operator!r} does not fit block {block!r}")
        if list(module.parameters()):
            module.load_state_dict(load_weights(self.paths.candidate(block, operator))[0])
        return module.eval()
