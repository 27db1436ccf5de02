"""The teacher: trained on the spot, or the user's weights."""

from typing import final

from torch import nn

from evo_qnas.networks.acceleration.devices import prepare_process
from evo_qnas.networks.models.teachers import start_teacher
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.pipeline.cards.learning import TeacherCard
from evo_qnas.pipeline.context import RunContext, made_from, seed_of
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.progress import progress_bar


@final
class TeacherStage(Stage):
    """Leaves `teacher.safetensors`, which carries its fingerprint."""

    name = "teacher"
    about = "the float network that is compressed: trained, or loaded"

    def fingerprint(self, context: RunContext) -> str:
        """The teacher's."""
        return context.fingerprints.teacher

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state as it is."""
        make_teacher(context)
        return state


def make_teacher(context: RunContext) -> None:
    """`teacher.safetensors`, unless it is there."""
    path, fingerprint = context.paths.teacher, context.fingerprints.teacher
    if made_from(path, fingerprint):
        return
    teacher, recipe = context.workload.trained_model(), context.workload.recipe
    if teacher is None:
        teacher = context.workload.new_model()
        _train(context, teacher, required(recipe, "recipe to train the teacher by"))
    save_weights(teacher.state_dict(), path, {"fingerprint": fingerprint})


def _train(context: RunContext, teacher: nn.Module, recipe: TeacherCard) -> None:
    """Trains a teacher with every core: there is one job."""
    settings, label, start = recipe.training.values, "teacher", recipe.start
    if start is not None:
        fitting, known = start_teacher(teacher, start)
        label = f"teacher, from {fitting} of {known} tensors of {start.name}"
    prepare_process(recipe.threads or context.card.threads)
    with progress_bar(label, context.task.training_steps(settings, len(context.splits.train))) as advance:
        context.task.train_teacher(
            teacher,
            context.splits,
            settings,
            seed=seed_of("teacher order", context.card.seed),
            device=context.device,
            checkpoint=context.paths.checkpoint,
            fingerprint=context.fingerprints.teacher,
            advance=advance,
        )
