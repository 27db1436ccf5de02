"""A dry run: what a network, its blocks and their candidate operators become, known before anything is trained.

- `QuantizabilityReport` and its parts: what is found.
- `check`: the dry run of a live network; `DryRun`: that of blocks and candidates that were already built.
- `trial`: one network through capture, quantization, calibration, a step of fine-tuning and every runtime.
- `census`: the operations of a quantized network; `lines`: the line of code from which one comes.
- `gradients`: functions with a gradient of their own; `structure`: candidates that differ in widths alone.
"""

from evo_qnas.networks.checking.check import check
from evo_qnas.networks.checking.dry_run import DryRun
from evo_qnas.networks.checking.report import LeftOut, OperationRow, QuantizabilityReport, Refusal

__all__ = ["DryRun", "LeftOut", "OperationRow", "QuantizabilityReport", "Refusal", "check"]
