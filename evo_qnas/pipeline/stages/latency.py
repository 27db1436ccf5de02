"""Latency: blocks and whole networks measured in a runtime; `[latency]` of the card."""

from typing import final

from evo_qnas.networks.export import block_runtime
from evo_qnas.pipeline.context import RunContext, digest
from evo_qnas.pipeline.latency import measure_tables
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, refuse_without_packages, required


@final
class LatencyStage(Stage):
    """Leaves the columns of latency and memory in `tables.h5`, and `latency/`, which carry their fingerprints."""

    name = "latency"
    about = "measured latency and counted memory of every choice; with [latency]"

    def asked_for(self, context: RunContext) -> bool:
        """True with the section `[latency]`."""
        return context.card.latency is not None

    def check(self, context: RunContext) -> None:
        """Refuses `[latency]` where the runtime's packages are missing."""
        refuse_without_packages("[latency]", block_runtime(required(context.card.latency, "[latency] section").runtime))

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables and of the section."""
        settings = context.card.latency
        return digest("latency", context.fingerprints.tables, settings and settings.model_dump(mode="json"))

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the columns in its tables."""
        settings = required(context.card.latency, "[latency] section")
        tables = required(state.tables, "tables")
        return state.having(tables=measure_tables(context, tables, settings, jobs=resources.jobs))
