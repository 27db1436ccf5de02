"""`blocks = "auto"`: the stages or layers of a network that may be replaced.

The rule: begin with what the network itself calls. What reads the network's input or gives its output is a stem or a
head and is left out, unless it has more than half of all multiplications: then it is replaced by what it calls in turn.
So is what cannot be a block, since it is called more than once, or takes or gives more than one tensor. While there are
fewer than 3 blocks, the one with the most multiplications is replaced by its parts; so is one that has more than half
of those of all blocks, where its parts are whole modules and no more than 12 blocks come of it. Blocks with less than
2 % of the multiplications are left out, and blocks of vectors where there are others; of more than 12 the 12 with the
most stay.
"""

from collections.abc import Mapping
from typing import final

from torch import nn

from evo_qnas.data.nests import Nest
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.submodules import Submodule, submodules

# Fewer blocks leave a search little to choose; of more, each is small, and candidates cost more than they tell. Chosen.
FEWEST, MOST = 3, 12
# A block with less cannot make a network noticeably smaller or faster. Chosen.
LEAST_SHARE = 0.02


def auto_blocks(model: nn.Module, example: Nest) -> tuple[str, ...]:
    """Names of the blocks that are found in a network, in the order in which they are called.

    Raises:
        NetworkError: there is none.
    """
    found = chosen_blocks(model, {part.name: part for part in submodules(model, example)})
    if not found:
        raise NetworkError(
            f'blocks.names = "auto" finds no block in {type(model).__name__}: name its submodules, see evo-qnas blocks'
        )
    return found


def chosen_blocks(model: nn.Module, parts: Mapping[str, Submodule]) -> tuple[str, ...]:
    """Names of the blocks that the rule chooses of a network's submodules."""
    return _Choice(model, parts).names()


@final
class _Choice:
    """The blocks so far."""

    def __init__(self, model: nn.Module, parts: Mapping[str, Submodule]) -> None:
        self._model, self._parts = model, parts
        self._order = list(parts)
        self._whole = sum(parts[name].macs for name in self._called_by(""))

    def names(self) -> tuple[str, ...]:
        """The blocks in the order of their calls."""
        blocks = self._usable(self._called_by(""))
        while True:
            larger = self._split(blocks)
            if larger is None:
                break
            blocks = larger
        total = sum(self._parts[name].macs for name in blocks)
        blocks = [name for name in blocks if self._parts[name].macs >= LEAST_SHARE * total]
        with_axes = [name for name in blocks if len(self._parts[name].outputs) > 1]
        blocks = with_axes or blocks
        largest = sorted(blocks, key=lambda name: -self._parts[name].macs)[:MOST]
        return tuple(name for name in self._order if name in largest)

    def _called_by(self, name: str) -> list[str]:
        """The submodules that a module calls itself, through containers that are not called."""
        found: list[str] = []
        for child, _ in self._model.get_submodule(name).named_children():
            full = f"{name}.{child}" if name else child
            found += [full] if full in self._parts else self._called_by(full)
        return sorted(found, key=self._order.index)

    def _usable(self, names: list[str]) -> list[str]:
        """Those that can be blocks; others are replaced by what they call."""
        found: list[str] = []
        for name in names:
            part = self._parts[name]
            end = part.takes_input or part.gives_output
            if part.possible and not end:
                found.append(name)
            elif 2 * part.macs > self._whole or not end:
                found += self._usable(self._called_by(name))
        return found

    def _split(self, blocks: list[str]) -> list[str] | None:
        """The blocks with one of them replaced by its parts, None where that is enough."""
        total = sum(self._parts[name].macs for name in blocks)
        for name in sorted(blocks, key=lambda name: -self._parts[name].macs):
            few, heavy = len(blocks) < FEWEST, 2 * self._parts[name].macs > total
            inner = self._usable(self._called_by(name)) if few or heavy else []
            whole = all(not self._parts[part].is_leaf for part in inner)
            if len(inner) > 1 and (few or (whole and len(blocks) + len(inner) - 1 <= MOST)):
                place = blocks.index(name)
                return [*blocks[:place], *inner, *blocks[place + 1 :]]
        return None
