"""Which submodules have channels inside them, and blocks of single layers that follow each other."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import final

from torch import nn

from evo_qnas.data.nests import Nest
from evo_qnas.networks.candidates.spans import gives_the_same, is_chain, joined_spans, span_name, span_of
from evo_qnas.networks.candidates.submodules import Submodule

# Layers of a block of single layers: two have channels between them that may go, and more blocks leave more to choose.
_LAYERS = 2


def mixing_layers(module: nn.Module) -> int:
    """Number of layers that mix channels: those with matrices or filters of their own, filters of each channel aside.

    Example:
        >>> mixing_layers(nn.Sequential(nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8)))
        1
    """
    return sum(_mixes(part) for part in module.modules())


def _mixes(part: nn.Module) -> bool:
    if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and part.groups == part.in_channels > 1:
        return False
    return any(own.numel() > max(own.shape) for own in part.parameters(recurse=False) if own.ndim > 1)


def has_inside(module: nn.Module) -> bool:
    """True where a module has several layers that mix channels, so that there may be channels between them."""
    return mixing_layers(module) > 1


@final
class Chains:
    """Single layers of a network that follow each other, as blocks.

    Attributes:
        parts: the network's submodules, and the blocks of layers that were made so far.
        first: by name of such a block its first layer.
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, Submodule], example: Nest) -> None:
        self._model, self.parts, self._example = model, dict(parts), example
        self.first: dict[str, str] = {}
        self._known: dict[str, bool] = {}

    def joined(self, found: Sequence[str], called: Sequence[str], most: int) -> list[str]:
        """The blocks `found` of a module, in which single layers that follow each other have become `most` at most.

        Args:
            found: names of its blocks.
            called: names of all that it calls.
            most: number of blocks that may come of one run of layers.
        """
        made = {name: name for name in found}
        for run in self._runs(called, set(found)):
            layers = [place for place, name in enumerate(run) if self._mixes(name)]
            count = max(1, min(most, len(layers) // _LAYERS))
            cuts = [layers[index * len(layers) // count] for index in range(count)] + [len(run)]
            for start, end in pairwise(cuts):
                span = self._span(run[start:end]) if sum(map(self._mixes, run[start:end])) > 1 else None
                made |= {} if span is None else {name: span for name in run[start:end] if name in made}
        return list(dict.fromkeys(made[name] for name in found))

    def _runs(self, called: Sequence[str], found: set[str]) -> list[list[str]]:
        """Names of single layers that follow each other, and of what stands between and behind them."""
        runs: list[list[str]] = [[]]
        for name in called:
            part = self.parts[name]
            single = name in found and not has_inside(self._model.get_submodule(name))
            between = bool(runs[-1]) and not part.why_not and not part.macs and not part.gives_output
            if runs[-1] and not self._follows(part, self.parts[runs[-1][-1]]):
                runs.append([])
            if len(part.inputs) == len(part.outputs) and (single or (between and runs[-1])):
                runs[-1].append(name)
            elif runs[-1]:
                runs.append([])
        return [run for run in runs if sum(map(self._mixes, run)) > 1]

    def _mixes(self, name: str) -> bool:
        return mixing_layers(self._model.get_submodule(name)) > 0

    def _follows(self, part: Submodule, before: Submodule) -> bool:
        """True where a part takes what the other one gives, and stands beside it."""
        beside = part.name.rpartition(".")[0] == before.name.rpartition(".")[0]
        plain = part.signature is not None and part.signature.is_plain
        return beside and plain and part.takes == before.gives

    def _span(self, names: Sequence[str]) -> str | None:
        """The name of a block of layers, which becomes one of the parts; None where something else reads them."""
        container = names[0].rpartition(".")[0]
        name = span_name(self._model, container, [each.rpartition(".")[2] for each in names])
        found = span_of(self._model, name)
        if found is None or [_full(container, child) for child in found[1]] != list(names):
            return None  # in a list of layers, others stand between them
        if name not in self._known:
            alone = is_chain(self._model.get_submodule(container))
            joined = None if alone else joined_spans(self._model, [name])
            self._known[name] = joined is None or gives_the_same(joined, self._model, self._example)
        if not self._known[name]:
            return None
        self.first[name], self.parts[name] = names[0], _whole(name, [self.parts[each] for each in names])
        return name


def joined_layers(model: nn.Module, parts: Mapping[str, Submodule], name: str) -> Submodule | None:
    """Layers that follow each other as one part, by a name such as `features.4-8`; None of any other name."""
    found = span_of(model, name)
    names = [] if found is None else [_full(found[0], child) for child in found[1]]
    usable = names and all(each in parts and not parts[each].why_not for each in names)
    return _whole(name, [parts[each] for each in names]) if usable else None


def _full(container: str, child: str) -> str:
    return f"{container}.{child}" if container else child


def _whole(name: str, layers: Sequence[Submodule]) -> Submodule:
    """A part of layers that follow each other."""
    return Submodule(
        name=name,
        kind="Sequential",
        inputs=layers[0].inputs,
        outputs=layers[-1].outputs,
        parameters=sum(each.parameters for each in layers),
        macs=sum(each.macs for each in layers),
        is_leaf=False,
        takes_input=any(each.takes_input for each in layers),
        gives_output=any(each.gives_output for each in layers),
        why_not="",
        signature=layers[0].signature,
    )
