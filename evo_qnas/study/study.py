"""`Study`: the whole method on live objects, or on a card."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from evo_qnas.archive import Archive
from evo_qnas.archive.front import Front
from evo_qnas.cards import Card
from evo_qnas.errors import CardError
from evo_qnas.networks.checking import QuantizabilityReport
from evo_qnas.networks.tasks.measured import AnyMetric
from evo_qnas.pipeline.cards.problem import OperatorUse, load_card
from evo_qnas.pipeline.check import try_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.run import LAST, device_of, run_stages
from evo_qnas.pipeline.stages import RunState
from evo_qnas.pipeline.stages.base import required
from evo_qnas.report import write_report
from evo_qnas.study.blocks import found_blocks
from evo_qnas.study.chosen import ChosenNetwork
from evo_qnas.study.inputs import reading_of
from evo_qnas.study.limits import best_of
from evo_qnas.study.live import LiveWorkload
from evo_qnas.study.making import settings_of, splits_of, task_of, workload_of
from evo_qnas.study.showing import html_of, say_end, text_of, title_of
from evo_qnas.summary import RunSummary
from evo_qnas.tables import Tables

Section = Card | Mapping[str, Any] | None


@final
class Study:
    """A run of the whole method: candidates, tables, search, validated networks, files.

    Every result is kept in `folder`; the same script goes on where it was interrupted, and is refused where model,
    data, metric or settings have changed.

    Attributes:
        context: the run, as stages see it.
        state: what the stages have given so far.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        train: Any,
        search: Any = None,
        test: Any = None,
        inputs: Callable[[Any], Any] | None = None,
        targets: Callable[[Any], Any] | str | None = "auto",
        metric: AnyMetric | None = None,
        maximize: bool | None = None,
        loss: Callable[[Any, Any], torch.Tensor] | None = None,
        match: Any = "auto",
        blocks: Sequence[str] | str = "auto",
        operators: Sequence[str | OperatorUse] = ("pruned", "identity"),
        weight_bits: Sequence[int] = (2, 4, 8),
        activation_bits: Sequence[int] = (8,),
        float_bits: Sequence[int] = (),
        keep_float: Sequence[str] = (),
        folder: str | Path,
        seed: int = 0,
        device: str = "auto",
        spool_gib: float = 8.0,
        classes: Sequence[str] = (),
        preprocessing: Mapping[str, Any] | None = None,
        quantization: Section = None,
        distillation: Section = None,
        refinement: Section = None,
        in_context: Section = None,
        fisher: Section = None,
        latency: Section = None,
        predictor: Section = None,
        search_settings: Section = None,
        searches: Mapping[str, Any] | None = None,
        validation: Section = None,
        finetuning: Section = None,
    ) -> None:
        """Reads a few examples and calls the model once; nothing is trained yet.

        Args:
            model: trained; stays as it is.
            train: a data set, a `DataLoader`, an iterable of batches, arrays, or anything with `len` and `[index]`.
            search: the same, to score choices on; a fifth of train where absent.
            test: the same, to validate on; a fifth of train where absent.
            inputs: from a collated batch to what the model is called with: a tensor, a tuple of arguments or a dict of
                keyword arguments; the first part of a batch where absent.
            targets: from a collated batch to what metric and loss get; `auto` is the second part of a batch, None says
                that there are no labels, and the metric is agreement with the model.
            metric: one of `evo_qnas.metrics`, or `metric(predict, data)`, which gives a number or one for each example.
            maximize: a larger metric is a better one; as the metric says where absent.
            loss: of outputs and targets; without one networks are fine-tuned on the model's outputs alone.
            match: distance of outputs from the model's: `auto`, `kl`, `mse`, a function, or one of these per output.
            blocks: names of submodules that may be replaced, or `auto`.
            operators: candidates, see `operator`; none leaves the choice of bits alone.
            weight_bits: that a block may take.
            activation_bits: that a block may take.
            float_bits: 16, 32 or both: a block may be computed in floats too, its parameters stored at so many bits.
            keep_float: names of submodules outside the blocks, with `*` for any text, that stay in floats.
            folder: of the run.
            seed: of everything that is drawn.
            device: `auto`, `cpu` or `cuda`.
            classes: names in the order of the outputs, for those who get a network.
            preprocessing: how raw inputs become those of the model, see `data.Splits`, for the same.
            spool_gib: most that a stream of batches may take on disk.
            quantization: section of that name in cards, as a dict or a value of `pipeline.cards`; so all that follow.
            distillation: how candidates learn.
            refinement: of candidates at few bits, before they are scored.
            in_context: a second score, inside the whole network.
            fisher: a score by gradients of the network's outputs.
            latency: how choices are timed, for the column `latency_ms`; without it only the float teacher and finished
                networks are timed, for summary and report, where the extra `onnx` is installed.
            predictor: of further rounds.
            search_settings: the section `[search]`.
            searches: the sections `[searches.NAME]`, by name.
            validation: which networks are validated.
            finetuning: of validated networks.

        Raises:
            EvoQnasError: one sentence that names the argument, its value and the way out.
        """
        place, own = Path(folder).resolve(), copy.deepcopy(model).cpu().eval()
        reading = reading_of(inputs, targets)
        budget = int(spool_gib * 2**30)
        splits = splits_of(train, search, test, reading, folder=place, seed=seed, budget_bytes=budget)
        splits = replace(splits, classes=tuple(classes), preprocessing=preprocessing)
        task = task_of(own, splits, metric=metric, maximize=maximize, loss=loss, match=match)
        sections: dict[str, Any] = {
            "quantization": quantization,
            "distillation": distillation,
            "refinement": refinement,
            "in_context": in_context,
            "fisher": fisher,
            "latency": latency,
            "predictor": predictor,
            "search": search_settings,
            "searches": searches,
            "validation": validation,
            "finetuning": finetuning,
        }
        settings = settings_of(
            task,
            blocks=found_blocks(own, blocks, splits),
            operators=operators,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            float_bits=float_bits,
            keep_float=keep_float,
            seed=seed,
            sections=sections,
        )
        live = workload_of(own, splits, reading, task, place)
        self._start(RunContext(name=place.name, card=settings, folder=place, device=device_of(device), live=live))

    def _start(self, context: RunContext) -> None:
        self.context = context
        self.state = RunState()

    @classmethod
    def from_card(
        cls,
        name: str,
        *,
        changes: Sequence[str] = (),
        folder: str | Path | None = None,
        seed: int | None = None,
        device: str = "auto",
    ) -> "Study":
        """The study that a card describes.

        Args:
            name: of a card, or path of one.
            changes: `section.key=value` each, as of `evo-qnas run --set`.
            folder: of the run; `results/NAME` where absent.
            seed: in place of the card's.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            CardError: the card is missing or breaks a rule.
        """
        stem, card = load_card(name, changes=list(changes), seed=seed)
        place = Path(folder) if folder is not None else Path("results") / stem
        study = cls.__new__(cls)
        study._start(RunContext(name=stem, card=card, folder=place.resolve(), device=device_of(device)))
        return study

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.context.folder

    def run(
        self, until: str = LAST, *, jobs: int | None = None, cluster: str | None = None, anew: bool = False
    ) -> "Study":
        """The study itself, after all stages up to one of them; what is there is kept.

        Args:
            until: last stage, see `evo-qnas list stages`.
            jobs: worker processes; all cores where absent. The results do not depend on it.
            cluster: workers of a Dask cluster, `dask://host:port`.
            anew: make again what was made from something else, instead of refusing it.
        """
        try:
            self.state, _ = run_stages(self.context, jobs=jobs, cluster=cluster, until=until, anew=anew)
        finally:
            if isinstance(self.context.live, LiveWorkload):
                self.context.live.withdraw()
            # A fresh one: this one may have listed candidates that were left out.
            self.context = replace(self.context)
        say_end(self.context, self.state.summary)
        return self

    def check(self) -> QuantizabilityReport:
        """What becomes of the model and of every candidate in each runtime, before anything is trained."""
        return try_card(self.context)

    @property
    def tables(self) -> Tables:
        """Score and costs of every choice; made where they are not there."""
        return required(self.state.tables or self.run("tables").state.tables, "tables")

    @property
    def latency(self) -> Tables:
        """The tables with measured latency; needs the section `latency`."""
        if self.context.card.latency is None:
            raise CardError("nothing is timed in this study: give latency={} or its settings")
        if self.state.tables is None or "latency_ms" not in self.state.tables.columns:
            self.run("latency")
        return required(self.state.tables, "tables")

    @property
    def archive(self) -> Archive:
        """Every evaluation of the search; made where it is not there."""
        return required(self.state.archive or self.run("search").state.archive, "archive")

    @property
    def front(self) -> Front:
        """The networks of the search that no other beats."""
        return self.archive.front

    @property
    def summary(self) -> RunSummary:
        """All that a finished run found; made where it is not there."""
        return required(self.state.summary or self.run().state.summary, "summary")

    @property
    def is_finished(self) -> bool:
        """True after all stages."""
        return self.state.summary is not None

    def best(self, *limits: str) -> ChosenNetwork:
        """The network with the best metric on the search examples within limits; `.metric` is on the test examples.

        Args:
            limits: such as `size_bytes <= 0.6x`, a share of the teacher in INT8, or `latency_ms <= 4`.

        Raises:
            ProblemError: no validated network meets them.
        """
        summary = self.summary
        chosen = best_of(summary.networks, summary.teacher_int8, limits, maximize=summary.metric.maximize)
        return ChosenNetwork(context=self.context, entry=chosen, summary=summary)

    def network(self, identity: str) -> ChosenNetwork:
        """The validated network of this id.

        Raises:
            CardError: there is none.
        """
        summary = self.summary
        known = {network.id: network for network in summary.networks}
        if identity not in known:
            raise CardError(f"there is no validated network {identity!r}; there are: {', '.join(known) or 'none'}")
        return ChosenNetwork(context=self.context, entry=known[identity], summary=summary)

    def report(self, path: str | Path) -> Path:
        """The path of a page about the run, in one file."""
        _ = self.summary
        write_report(self.folder, Path(path))
        return Path(path)

    def __repr__(self) -> str:
        return f"<{title_of(self.context)}>"

    def __str__(self) -> str:
        return text_of(self.context, self.state.summary)

    def _repr_html_(self) -> str:
        """The validated networks as a table, once there are any."""
        return html_of(self.context, self.state.summary)
