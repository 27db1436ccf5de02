"""Training that diverges is named with its step and the way out; what learnt beside it is kept."""

import copy
import math

import pytest
import torch
from torch import nn

from evo_qnas.data import Images, Splits
from evo_qnas.errors import DivergenceError
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.tasks.divergence import LossWatch
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.training.distill import block_features, distill
from evo_qnas.networks.training.features import StoredFeatures
from evo_qnas.networks.training.finetune import finetune
from evo_qnas.networks.training.refine import Refinement, refine

DISTILLATION = {"steps": 12, "batch_size": 16, "learning_rate": 1e-2, "weight_decay": 0.0, "seed": 0}


class Wrong(nn.Module):
    """A convolution whose outputs are no numbers from its fifth call on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer, self.calls = nn.Conv2d(channels, channels, 1), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        made: torch.Tensor = self.layer(x) * (math.nan if self.calls >= 5 else 1.0)
        return made


@pytest.mark.parametrize("validated", [False, True])
def test_a_teacher_whose_loss_is_no_number(teacher: nn.Module, labelled: Images, validated: bool) -> None:
    from evo_qnas.networks.tasks.validated_training import teach_validated

    task = Classification()
    splits = Splits(train=labelled, search=labelled, test=labelled, classes=("0", "1", "2", "3"))
    settings = TeacherSettings(epochs=4, batch_size=32, learning_rate=1e30, weight_decay=0.0)

    def train() -> None:
        if validated:
            teach_validated(teacher, labelled, labelled, settings, task=task, loss_of=lambda _: task.loss, seed=0)
        else:
            task.train_teacher(teacher, splits, settings, seed=0)

    with pytest.raises(
        DivergenceError, match=r"the teacher is \w+ in step \d+: lower teacher\.training\.learning_rate = 1e\+30"
    ):
        train()


def test_one_candidate_that_diverges_leaves_the_others_as_they_are(teacher: nn.Module, images: torch.Tensor) -> None:
    inputs, targets = block_features(teacher, "stages.1", images)
    features = StoredFeatures(inputs, inputs)
    good = nn.Conv2d(inputs.shape[1], inputs.shape[1], 1)
    alone = copy.deepcopy(good)
    losses = distill({"good": alone}, features, **DISTILLATION)
    with pytest.raises(DivergenceError, match=r"operator 'wrong' is no number in step 5 of 12: lower dist") as caught:
        distill({"wrong": Wrong(inputs.shape[1]), "good": good}, features, **DISTILLATION)
    assert caught.value.losses == losses
    assert torch.equal(good.weight, alone.weight)
    assert targets.isfinite().all()


def test_fine_tuning_that_diverges(teacher: nn.Module, labelled: Images) -> None:
    network = quantize(teacher, labelled.pixels[:2], Policy(fixed=Bits(weight=4, activation=8)))
    network.calibrate([labelled.pixels[:64]])
    settings = FinetuningSettings(
        epochs=3, batch_size=32, learning_rate=1e-3, step_learning_rate=1e30, temperature=2.0, teacher_share=0.5
    )
    rates = r"lower finetuning\.learning_rate = 0\.001 or step_learning_rate = 1e\+30"
    with pytest.raises(DivergenceError, match=rf"the loss of the fine-tuned network is \w+ in step \d+: {rates}"):
        finetune(network, teacher, labelled, settings, task=Classification(), seed=0)


def test_refinement_that_diverges(teacher: nn.Module, images: torch.Tensor) -> None:
    inputs, targets = block_features(teacher, "stages.1", images)
    block = teacher.get_submodule("stages.1")
    network = quantize(block, inputs[:2], Policy(fixed=Bits(weight=4, activation=8)))
    network.calibrate([inputs])
    settings = Refinement(steps=6, batch_size=16, learning_rate=1e-3, step_learning_rate=1e30)
    with pytest.raises(DivergenceError, match=r"refinement at 4 bits gives no numbers .*: lower refinement\.learning"):
        refine({4: network}, StoredFeatures(inputs, targets), settings, seed=0)


def test_weights_that_are_no_numbers_after_the_last_step() -> None:
    network = nn.Linear(2, 2)
    watch = LossWatch("the teacher", "lower the rate")
    watch.add(torch.tensor(1.0))
    watch.finish(network)
    with torch.no_grad():
        network.weight[0, 0] = math.inf
    with pytest.raises(DivergenceError, match=r"the teacher has weights that are no numbers .*: lower the rate"):
        watch.finish(network)
