"""`blocks = "auto"`: the stages or layers of a network that may be replaced.

The rule: begin with what the network itself calls. What reads the network's input or gives its output is a stem or a
head and is left out, unless it has more than half of all multiplications: then it is replaced by what it calls in turn.
So is what cannot be a block, since it is called more than once, or takes or gives more than one tensor; constants
beside it and a container around it do not count.

Blocks are to have an inside, channels between layers of theirs that may go. Single layers of a module that follow each
other become blocks of two, see `spans`. Where fewer than 3 blocks have an inside, stems and heads give those of their
parts that have one. While there are fewer than 3 blocks, the one with the most multiplications is replaced by its
parts; so is one that has more than half of those of all blocks, where no more than 12 blocks come of it; in both cases
where several of its parts have an inside, with more than half of their multiplications. Blocks with less than 2 % of
the multiplications are left out, and blocks of vectors where others have at least half; of more than 12 the 12 with the
most stay.
"""

from collections.abc import Mapping
from typing import final

from torch import nn

from evo_qnas.data.nests import Nest
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.chains import Chains, has_inside
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
    found = chosen_blocks(model, {part.name: part for part in submodules(model, example)}, example)
    if not found:
        raise NetworkError(
            f'blocks.names = "auto" finds no block in {type(model).__name__}: name its submodules, see evo-qnas blocks'
        )
    return tuple(found)


def chosen_blocks(model: nn.Module, parts: Mapping[str, Submodule], example: Nest) -> dict[str, Submodule]:
    """The blocks that the rule chooses of a network's submodules, by name; layers that were joined are among them."""
    return _Choice(model, parts, example).blocks()


@final
class _Choice:
    """The blocks so far."""

    def __init__(self, model: nn.Module, parts: Mapping[str, Submodule], example: Nest) -> None:
        self._model, self._chains = model, Chains(model, parts, example)
        self._order = list(parts)
        self._whole = sum(parts[name].macs for name in self._called_by(""))

    def blocks(self) -> dict[str, Submodule]:
        """The blocks in the order of their calls."""
        blocks = self._opened(self._inner(""))
        while True:
            larger = self._split(blocks)
            if larger is None:
                break
            blocks = larger
        parts = self._chains.parts
        total = sum(parts[name].macs for name in blocks)
        blocks = [name for name in blocks if parts[name].macs >= LEAST_SHARE * total]
        with_axes = [name for name in blocks if len(parts[name].outputs) > 1]
        if 2 * sum(parts[name].macs for name in with_axes) >= sum(parts[name].macs for name in blocks):
            blocks = with_axes
        largest = sorted(blocks, key=lambda name: -parts[name].macs)[:MOST]
        return {name: parts[name] for name in sorted(largest, key=self._place)}

    def _place(self, name: str) -> int:
        """Where a block is called; one of joined layers where its first layer is."""
        return self._order.index(self._chains.first.get(name, name))

    def _called_by(self, name: str) -> list[str]:
        """The submodules that a module calls itself, through containers that are not called."""
        found: list[str] = []
        for child, _ in self._model.get_submodule(name).named_children():
            full = _full(name, child)
            found += [full] if full in self._chains.parts else self._called_by(full)
        return sorted(found, key=self._order.index)

    def _inner(self, name: str, *, ends: bool = False) -> list[str]:
        """The blocks inside a module, single layers joined."""
        called = self._called_by(name)
        return self._chains.joined(self._usable(called, ends=ends), called, MOST)

    def _usable(self, names: list[str], *, ends: bool) -> list[str]:
        """Those that can be blocks; others are replaced by what they call, stems and heads where `ends` says so."""
        found: list[str] = []
        for name in names:
            part = self._chains.parts[name]
            end = part.takes_input or part.gives_output
            if part.possible and not end:
                found.append(name)
            elif 2 * part.macs > self._whole or not end or ends:
                found += self._inner(name, ends=ends)
        return found

    def _opened(self, blocks: list[str]) -> list[str]:
        """The blocks, and those with an inside of stems and heads where there are few."""
        if sum(map(self._has_inside, blocks)) >= FEWEST:
            return blocks
        more = [name for name in self._inner("", ends=True) if name not in blocks and self._has_inside(name)]
        return sorted({*blocks, *more}, key=self._place)

    def _has_inside(self, name: str) -> bool:
        return name in self._chains.first or has_inside(self._model.get_submodule(name))

    def _several(self, name: str) -> list[str]:
        """The blocks inside a module; where one alone has an inside, as the body of a stage has, its blocks for it."""
        inner = self._inner(name)
        (only, *others) = [part for part in inner if self._has_inside(part)] or [""]
        if not only or others or only in self._chains.first:
            return inner
        place = inner.index(only)
        return [*inner[:place], *self._inner(only), *inner[place + 1 :]]

    def _split(self, blocks: list[str]) -> list[str] | None:
        """The blocks with one of them replaced by its parts, None where that is enough."""
        parts = self._chains.parts
        total = sum(parts[name].macs for name in blocks)
        for name in sorted(
            (name for name in blocks if name not in self._chains.first), key=lambda name: -parts[name].macs
        ):
            few, heavy = len(blocks) < FEWEST, 2 * parts[name].macs > total
            inner = self._several(name) if few or heavy else []
            whole = [part for part in inner if self._has_inside(part)]
            most = 2 * sum(parts[part].macs for part in whole) > sum(parts[part].macs for part in inner)
            if len(whole) > 1 and most and (few or len(blocks) + len(inner) - 1 <= MOST):
                place = blocks.index(name)
                return [*blocks[:place], *inner, *blocks[place + 1 :]]
        return None


def _full(container: str, child: str) -> str:
    return f"{container}.{child}" if container else child
