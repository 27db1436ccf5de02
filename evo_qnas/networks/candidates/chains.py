"""Which submodules have channels inside them, and blocks of single layers that follow each other."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import final

from torch import nn

from evo_qnas.networks.candidates.spans import is_chain, span_name, span_of
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
    """Single layers of a network that follow each other in a `Sequential`, as blocks.

    Attributes:
        parts: the network's submodules, and the blocks of layers that were made so far.
        first: by name of such a block its first layer.
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, Submodule]) -> None:
        self._model, self.parts = model, dict(parts)
        self.first: dict[str, str] = {}

    def joined(self, container: str, found: Sequence[str], most: int) -> list[str]:
        """The blocks `found` of a container, in which single layers that follow each other have become `most` at most.

        Args:
            container: name of the module that calls them.
            found: names of its blocks.
            most: number of blocks that may come of one run of layers.
        """
        whole = self._model.get_submodule(container)
        if not is_chain(whole):
            return list(found)
        made = {name: name for name in found}
        for run in self._runs(container, list(whole._modules), set(found)):
            layers = [place for place, name in enumerate(run) if name in made]
            count = max(1, min(most, len(layers) // _LAYERS))
            cuts = [layers[index * len(layers) // count] for index in range(count)] + [len(run)]
            for start, end in pairwise(cuts):
                if sum(name in made for name in run[start:end]) > 1:
                    span = self._span(container, run[start:end])
                    made |= {name: span for name in run[start:end] if name in made}
        return list(dict.fromkeys(made[name] for name in found))

    def _runs(self, container: str, children: Sequence[str], found: set[str]) -> list[list[str]]:
        """Names of single layers that follow each other, and of what stands between and behind them."""
        runs: list[list[str]] = [[]]
        for child in children:
            name = f"{container}.{child}" if container else child
            part = self.parts.get(name)
            between = part is not None and not part.why_not and not part.macs and not part.gives_output
            single = name in found and not has_inside(self._model.get_submodule(name))
            same_axes = part is not None and len(part.inputs) == len(part.outputs)
            if same_axes and (single or (between and runs[-1])):
                runs[-1].append(name)
            elif runs[-1]:
                runs.append([])
        return [run for run in runs if sum(name in found for name in run) > 1]

    def _span(self, container: str, names: Sequence[str]) -> str:
        """The name of a block of layers, which becomes one of the parts."""
        name = span_name(container, *(names[place].rpartition(".")[2] for place in (0, -1)))
        self.first[name], self.parts[name] = names[0], _whole(name, [self.parts[each] for each in names])
        return name


def joined_layers(model: nn.Module, parts: Mapping[str, Submodule], name: str) -> Submodule | None:
    """Layers of a `Sequential` as one part, by a name such as `features.4-8`; None of any other name."""
    found = span_of(model, name)
    names = [] if found is None else [f"{found[0]}.{child}" if found[0] else child for child in found[1]]
    usable = names and all(each in parts and not parts[each].why_not for each in names)
    return _whole(name, [parts[each] for each in names]) if usable else None


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
