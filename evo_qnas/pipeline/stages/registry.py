"""The stages of a run in their order, ours and those of other packages."""

from evo_qnas.errors import CardError, PluginError
from evo_qnas.pipeline.stages.base import Stage
from evo_qnas.registry import Registry

_HERE = "evo_qnas.pipeline.stages"

REGISTRY: Registry[Stage] = Registry(
    "stage",
    "evo_qnas.stages",
    Stage,
    {
        "teacher": f"{_HERE}.teacher:TeacherStage",
        "blocks": f"{_HERE}.blocks:BlocksStage",
        "tables": f"{_HERE}.tables:TablesStage",
        "fisher": f"{_HERE}.fisher:FisherStage",
        "in_context": f"{_HERE}.in_context:InContextStage",
        "latency": f"{_HERE}.latency:LatencyStage",
        "compiled": f"{_HERE}.compiled:CompiledStage",
        "search": f"{_HERE}.search:SearchStage",
        "networks": f"{_HERE}.networks:NetworksStage",
        "rounds": f"{_HERE}.rounds:RoundsStage",
        "ranking": f"{_HERE}.ranking:RankingStage",
        "rank_correlation": f"{_HERE}.rank_correlation:RankCorrelationStage",
        "export": f"{_HERE}.export:ExportStage",
        "summary": f"{_HERE}.summary:SummaryStage",
    },
    error=CardError,
)


def ordered_stages() -> tuple[Stage, ...]:
    """All stages in the order in which they run.

    Raises:
        PluginError: a stage of another package cannot be used, or follows one that there is not.
    """
    stages = [REGISTRY.get(name) for name in REGISTRY.ours]
    waiting = [REGISTRY.get(name) for name in REGISTRY.names() if name not in REGISTRY.ours]
    while waiting:
        names = [stage.name for stage in stages]
        fitting = [stage for stage in waiting if stage.after in names]
        if not fitting:
            first = waiting[0]
            raise PluginError(
                f"stage {first.name!r} comes after {first.after!r}, which is no stage; there are: {', '.join(names)}"
            )
        # Backwards, so that of several stages after the same one the first by name comes first.
        for stage in reversed(fitting):
            stages.insert(names.index(stage.after) + 1, stage)
            names = [other.name for other in stages]
        waiting = [stage for stage in waiting if stage not in fitting]
    return tuple(stages)


def milestones() -> tuple[str, ...]:
    """The names that `--until` takes, in order."""
    return tuple(stage.name for stage in ordered_stages() if not stage.part_of)


def stages_until(name: str) -> tuple[Stage, ...]:
    """The stages up to `name` and what belongs to it.

    Raises:
        CardError: there is no such stage.
    """
    names = milestones()
    if name not in names:
        raise CardError(f"--until {name!r}: the stages are {', '.join(names)}")
    stages = ordered_stages()
    last = max(index for index, stage in enumerate(stages) if name in {stage.name, stage.part_of})
    return stages[: last + 1]
