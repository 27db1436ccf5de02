"""Do the files give what the integers give."""

from typing import final

from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State


@final
class ExportCheck(HealthCheck):
    """Bad where a network has no file or a check of its file was not met; else good."""

    about = "does each exported file give what the network in integers gives"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        entries = {network.id: network.onnx for network in run.networks if network.onnx is not None}
        if not entries:
            return None
        for name, entry in entries.items():
            if entry.get("failed"):
                return State.BAD, f"Network {name} has no ONNX file: {str(entry['failed']).rstrip('.')}."
            failures = [str(text).rstrip(".") for text in entry.get("failures") or ()]
            if failures:
                return State.BAD, f"The ONNX file of {name} does not pass its checks: {'; '.join(failures)}."
        agreement = min(float(entry.get("agreement") or 0.0) for entry in entries.values())
        if agreement < 1.0:
            return State.NOTE, (
                f"Of {len(entries)} ONNX files each passes its checks; "
                f"the least agreement with the networks in integers is {agreement:.2%}."
            )
        return State.GOOD, f"Each of {len(entries)} ONNX files gives what its network in integers gives."
