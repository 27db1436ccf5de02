"""Validated networks: which are picked, how they are built and measured, how they rank.

- `picks`: networks of a front that are worth validating.
- `building`: a quantized network from the choices of its blocks.
- `validation`: fine-tuning and validating it; `measuring`: its metric as assembled.
- `ranking`: validated networks against each other; `correlation`: of score and metric.
"""

from evo_qnas.pipeline.validation.building import build_network, choices_of
from evo_qnas.pipeline.validation.correlation import kendall, rank_correlation
from evo_qnas.pipeline.validation.measuring import measure_before
from evo_qnas.pipeline.validation.picks import BASELINE, pick
from evo_qnas.pipeline.validation.ranking import keep_validated, ranked
from evo_qnas.pipeline.validation.validation import Validation, finetuning_settings, stored_outcomes, validate_picks

__all__ = [
    "BASELINE",
    "Validation",
    "build_network",
    "choices_of",
    "finetuning_settings",
    "keep_validated",
    "kendall",
    "measure_before",
    "pick",
    "rank_correlation",
    "ranked",
    "stored_outcomes",
    "validate_picks",
]
