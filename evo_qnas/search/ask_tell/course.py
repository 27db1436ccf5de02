"""The course of a search whose answers come from outside: which networks are handed out after which answers."""

from collections import deque
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.loop import IDLE_ASKS
from evo_qnas.search.values import limit_scale, violation_of

# Tells the generator of filled-in networks from that of the algorithm, which must not see how often it was used.
_FILL = 0xF111
_ORDER = 0x0DE5


@final
class Course:
    """An algorithm that works a generation at a time, asked for any number of networks and answered in any order.

    The networks of a generation are handed out in their order. Asked for more, the next generation begins: its
    algorithm is told the answers that are there, and what is pending as failed, once at least half of the generation
    was answered; late answers follow with the next generation where the algorithm takes such
    (`Optimizer.takes_others`). Before that, random networks that were not tried yet fill in. Answered before more is
    asked for, in whatever order, a generation is told whole: then the course is that of `search`.

    An asynchronous search is `steady`: as soon as all of a generation is handed out the next one begins, where the
    algorithm takes late answers, and a generation is handed out in a random order, so that what is late of it is no
    particular part of it.

    All of it is a function of the algorithm, the seed, and the order of asks and answers; a course is gone through
    again by the same calls.
    """

    def __init__(
        self, optimizer: Optimizer, context: SearchContext, *, budget: int | None, fills: bool, steady: bool = False
    ) -> None:
        """Starts before the first ask.

        Args:
            optimizer: new, of `context`.
            context: new.
            budget: networks that are handed out or answered at most; None for no end.
            fills: random networks may fill in.
            steady: no generation waits for its last answers.
        """
        self._steady = steady
        self._order = np.random.default_rng([context.seed, _ORDER])
        self._inner = optimizer
        self._space = context.space
        self._visited = context.visited
        self._whole = context.problem.space
        self._rng = np.random.default_rng([context.seed, _FILL])
        self._budget = budget
        self._fills = fills
        self._m, self._k = len(context.problem.objectives), len(context.problem.constraints)
        self._answers: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._pending: dict[bytes, None] = {}
        self._queue: deque[bytes] = deque()
        self._genes: np.ndarray | None = None
        self._keys: list[bytes] = []
        self._waiting: set[bytes] = set()
        self._late: list[bytes] = []
        self._scale: np.ndarray | None = None
        self._idle = 0
        self.generation = 0
        self._begun = False
        self.stop_reason = ""

    @property
    def pending(self) -> Int[np.ndarray, "n blocks"]:
        """Networks that were handed out and not answered, in order."""
        return self._genomes(list(self._pending))

    def is_pending(self, key: bytes) -> bool:
        """True where this genome was handed out and not answered."""
        return key in self._pending

    def is_answered(self, key: bytes) -> bool:
        """True where this genome was answered."""
        return key in self._answers

    def ask(self, n: int) -> Int[np.ndarray, "got blocks"]:
        """The next networks; fewer where nothing is left to try, or not before answers come, or the budget is spent."""
        out: list[bytes] = []
        while len(out) < n and not self._spent():
            if not self._queue and not self._refill(n - len(out)):
                break
            while self._queue and len(out) < n and not self._spent():
                key = self._queue.popleft()
                if key not in self._answers:
                    self._pending[key] = None
                    out.append(key)
        return self._genomes(out)

    def answer(self, key: bytes, objectives: Float[np.ndarray, " m"], excess: Float[np.ndarray, " k"]) -> None:
        """Takes the values of one network, asked for or not; of one that was answered before nothing is taken.

        Args:
            key: the genome's bytes, int64.
            objectives: minimised; NaN where the evaluation failed.
            excess: of each constraint.
        """
        if key in self._answers:
            return
        self._answers[key] = objectives, excess
        handed_out = key in self._pending
        self._pending.pop(key, None)
        if key in self._waiting:
            self._waiting.discard(key)
            return
        if handed_out:
            self._late.append(key)
            return
        genes = self._encoded(key)
        if genes is not None:
            self._visited.add(genes)
            self._late.append(key)

    def reopen(self) -> None:
        """Hands out again what is pending: whoever had it is gone."""
        self._queue.extendleft(reversed(self._pending))
        self._pending.clear()

    def _spent(self) -> bool:
        spent = self._budget is not None and len(self._answers) + len(self._pending) >= self._budget
        if spent:
            self.stop_reason = "budget"
        return spent

    def _refill(self, n: int) -> bool:
        """Puts networks into the queue; False where there are none now."""
        if self._must_wait():
            return self._fill(n)
        while not self.stop_reason or self.stop_reason == "budget":
            if self._genes is not None:
                self._close(self._genes)
            genes = self._inner.ask()
            if not len(genes):
                self.stop_reason = self._inner.stop_reason or "exhausted"
                break
            self._open(genes)
            if self._queue:
                return True
            if self._must_wait():
                return self._fill(n)
            if self._visited.full or self._idle >= IDLE_ASKS:
                self.stop_reason = "exhausted" if self._visited.full else "nothing new"
        return False

    def _must_wait(self) -> bool:
        """True where too few of the generation were answered for the next one to begin."""
        if self._steady and self._inner.takes_others and self._scale is not None:
            return 0 < len(self._waiting) == len(self._keys)
        return 2 * len(self._waiting) > len(self._keys)

    def _fill(self, n: int) -> bool:
        """Random networks that were not tried yet."""
        if not self._fills:
            return False
        genes = self._visited.random(self._rng, n)
        if len(genes):
            self._visited.add(genes)
            self._queue.extend(self._keys_of(genes))
        return bool(len(genes))

    def _open(self, genes: Int[np.ndarray, "n genes"]) -> None:
        """Begins a generation."""
        self._visited.add(genes)
        self._genes, self._keys = genes, self._keys_of(genes)
        fresh = [key for key in dict.fromkeys(self._keys) if key not in self._answers and key not in self._pending]
        self._waiting = {key for key in self._keys if key not in self._answers}
        if self._steady:
            fresh = [fresh[at] for at in self._order.permutation(len(fresh))]
        self._queue.extend(fresh)
        self._idle = 0 if fresh else self._idle + 1
        if fresh:
            self.generation += int(self._begun)
            self._begun = True

    def _close(self, genes: Int[np.ndarray, "n genes"]) -> None:
        """Tells the algorithm the answers of the generation, then late ones."""
        self._genes = None
        keys, rows = self._keys, [genes]
        if self._scale is None:
            known = [self._answers[key][1] for key in keys if key in self._answers]
            self._scale = limit_scale(np.array(known).reshape(len(known), self._k))
        if self._inner.takes_others and self._late:
            keys = keys + self._late
            encoded = self._space.encode(self._genomes(self._late))
            rows.append(encoded.astype(genes.dtype, copy=False))
        self._late = []
        self._waiting = set()
        nothing = np.full(self._m, np.nan), np.full(self._k, np.nan)
        values = [self._answers.get(key, nothing) for key in keys]
        objectives = np.array([value for value, _ in values]).reshape(len(keys), self._m)
        excess = np.array([value for _, value in values]).reshape(len(keys), self._k)
        failed = ~np.isfinite(objectives).all(axis=1)
        violation = np.where(failed, np.inf, violation_of(excess, self._scale))
        self._inner.tell_with_limits(
            genes if len(rows) == 1 else np.concatenate(rows),
            np.where(failed[:, None], np.inf, objectives),
            violation,
            np.where(failed[:, None], np.inf, excess),
        )

    def _keys_of(self, genes: Int[np.ndarray, "n genes"]) -> list[bytes]:
        return [genome.tobytes() for genome in self._space.decode(genes).astype(np.int64, copy=False)]

    def _genomes(self, keys: list[bytes]) -> Int[np.ndarray, "n blocks"]:
        flat = np.frombuffer(b"".join(keys), dtype=np.int64)
        return flat.reshape(len(keys), len(self._whole.blocks)).copy()

    def _encoded(self, key: bytes) -> Int[np.ndarray, "1 genes"] | None:
        """Gene values of a genome; None where it is none of those that the algorithm may try."""
        try:
            return self._space.encode(self._genomes([key]))
        except ProblemError:
            return None
