"""The dry run of a card: what could not end is known before anything is trained, kept in `check.json`."""

import logging
from collections.abc import Sequence

from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import Operator, build_candidate, misfits
from evo_qnas.networks.checking import DryRun, LeftOut, QuantizabilityReport
from evo_qnas.networks.export import RUNTIMES
from evo_qnas.networks.quantization.policy import check_kept
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.pipeline.context import RunContext, read_json, seed_of, to_json

EXPORTED = "onnx"  # the runtime whose files a run leaves

logger = logging.getLogger(__name__)


def dry_run(context: RunContext) -> QuantizabilityReport:
    """What the dry run of a run finds, from `check.json` where that was made from the same; nothing is written.

    Raises:
        NetworkError: an operator cannot be built for any block that it is offered for.
    """
    known = read_json(context.paths.check, context.dry_run_fingerprint)
    if known is not None:
        try:
            return QuantizabilityReport.from_dict(known["report"])
        except (KeyError, ValueError):
            pass
    return _made(context)


def keep(context: RunContext, report: QuantizabilityReport) -> None:
    """Writes `check.json`, unless it is there; says what is left out."""
    if read_json(context.paths.check, context.dry_run_fingerprint) is None:
        content = {"fingerprint": context.dry_run_fingerprint, "report": report.to_dict()}
        write_text(context.paths.check, to_json(content))
    for each in report.left_out:
        logger.warning("%s", each.sentence)


def _made(context: RunContext) -> QuantizabilityReport:
    """The dry run itself."""
    modules: dict[str, dict[str, nn.Module]] = {}
    left_out: list[LeftOut] = []
    broken: dict[str, list[LeftOut]] = {}
    unfit: dict[str, list[LeftOut]] = {}
    offers = context.candidates.offers
    for shape in context.shapes:
        operators, own = offers.offered(shape.name), block_of(context.untrained, shape.name)
        found = misfits(operators, shape, block=own)
        for label, misfit in found.items():
            if misfit is not None:
                kind = broken if misfit.broken else unfit
                kind.setdefault(label, []).append(LeftOut(block=shape.name, operator=label, reason=misfit.reason))
        fitting = [operator for operator in operators if found[operator.label] is None]
        modules[shape.name] = _built(context, shape.name, fitting)
    for errors in broken.values():
        left_out += errors
    # One that fits some block is left out of the others as a matter of course; one that fits none may be a mistake.
    for label, reasons in unfit.items():
        if not any(label in modules[name] for name in modules):
            left_out += reasons
    quantization = context.card.quantization
    check_kept(context.untrained, [shape.name for shape in context.shapes], quantization.keep_float)
    latency, compiled = context.card.latency, context.card.compiled
    names = () if compiled is None else compiled.runtimes
    compilers = [RUNTIMES.get(name).made_from or name for name in names]
    report = DryRun(
        teacher=context.untrained.eval(),
        example=context.example,
        fixed=context.fixed_bits,
        few=Bits(weight=min(quantization.weight_bits), activation=min(quantization.activation_bits)),
        shapes=context.shapes,
        candidates=modules,
        scheme=quantization.scheme,
        float_bits=quantization.float_bits,
        binding=tuple(dict.fromkeys([EXPORTED, *([] if latency is None else [latency.runtime]), *compilers])),
        distance=lambda outputs, targets: context.task.match(outputs, targets).mean(),
        left_out=left_out,
    ).report()
    for label, errors in broken.items():
        if report.fits and len(errors) == sum(label in {each.label for each in offers.offered(n)} for n in modules):
            raise NetworkError(errors[0].reason)
    return report


def _built(context: RunContext, block: str, operators: Sequence[Operator]) -> dict[str, nn.Module]:
    """Candidates of a block with fresh weights, by label."""
    modules = {}
    for operator in operators:
        seed = seed_of("candidate", context.card.seed, block, operator.label)
        own = block_of(context.untrained, block)
        module = build_candidate(operator, context.shape(block), seed=seed, block=own)
        if module is not None:
            modules[operator.label] = module
    return modules
