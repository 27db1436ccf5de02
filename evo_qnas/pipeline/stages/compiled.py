"""Latency and flash of devices by a compiler's account; `[compiled]` of the card."""

from typing import final

from evo_qnas.networks.export import compiling_runtime
from evo_qnas.pipeline.context import RunContext, digest
from evo_qnas.pipeline.latency.compiled import compile_tables
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, refuse_without_packages, required


@final
class CompiledStage(Stage):
    """Leaves the columns of a compiler's account in `tables.h5`, and `compiled/`, which carry their fingerprints."""

    name = "compiled"
    about = "latency and flash of every choice by a compiler's account; with [compiled]"

    def asked_for(self, context: RunContext) -> bool:
        """True with the section `[compiled]`."""
        return context.card.compiled is not None

    def check(self, context: RunContext) -> None:
        """Refuses `[compiled]` where a runtime compiles nothing or its packages are missing."""
        for name in required(context.card.compiled, "[compiled] section").runtimes:
            refuse_without_packages("[compiled]", compiling_runtime(name))

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables and of the section."""
        settings = context.card.compiled
        return digest("compiled", context.fingerprints.tables, settings and settings.model_dump(mode="json"))

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the columns in its tables."""
        settings = required(context.card.compiled, "[compiled] section")
        tables = required(state.tables, "tables")
        return state.having(tables=compile_tables(context, tables, settings, jobs=resources.jobs))
