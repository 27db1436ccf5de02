"""A stage: the number of weights of the teacher, in a file of its own."""

from typing import final

from evo_qnas.files import write_text
from evo_qnas.pipeline.context import RunContext, digest
from evo_qnas.pipeline.stages import Resources, RunState, Stage


@final
class CountStage(Stage):
    about = "the number of weights of the teacher"
    name = "count"
    after = "teacher"
    outputs = ("count.txt",)

    def fingerprint(self, context: RunContext) -> str:
        return digest("count", context.fingerprints.teacher)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        path = context.folder / "count.txt"
        if not path.is_file():
            write_text(path, str(sum(parameter.numel() for parameter in context.teacher.parameters())))
        return state
