"""Ridge regression over networks as a Gaussian process: kernel, shrinkage and scale chosen by leaving one out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy
from jaxtyping import Float, Int

from evo_qnas.errors import PredictorError
from evo_qnas.predict.features import Features
from evo_qnas.predict.kernels import MENUS, Parts, Weights, own, usable
from evo_qnas.predict.predictor import Predictor
from evo_qnas.predict.warping import Warp, warps

# From next to nothing to thirty times the kernel's part, half a decade apart. Chosen, not measured.
_SHRINKAGES = 10.0 ** np.arange(-6.0, 1.6, 0.5)
# Decimals of log densities that are compared.
_DIGITS = 6
# Share of the largest variance added to the diagonal, where rounding would leave no Cholesky factor.
_JITTER = 1e-8
# Networks predicted at once: 32 MB for each thousand of measured ones.
_CHUNK = 4096


@final
@dataclass(frozen=True, kw_only=True)
class Gaussian(Predictor):
    """A Gaussian process over genes; with a linear kernel it is ridge regression, with products its pairwise terms.

    Attributes:
        features: of the networks.
        genes: (k, genes), those it was fitted to.
        weights: of the kernel's parts.
        warp: the scale it works in.
        shrinkage: variance of a network's own part, that nothing predicts, as a share of `scale`.
        scale: variance of the kernel's part.
        lower: (k, k), Cholesky factor of the kernel with the shrinkage on its diagonal.
        answer: (k,), the inverse of that matrix x warped values.
        density: log density of each value given all others, summed; what was chosen by.

    Source: Rasmussen & Williams 2006, equations 2.25, 2.26 and 5.10 to 5.12.
    """

    features: Features
    genes: Int[np.ndarray, "k genes"]
    weights: Weights
    warp: Warp
    shrinkage: float
    scale: float
    lower: Float[np.ndarray, "k k"]
    answer: Float[np.ndarray, " k"]
    density: float

    @classmethod
    def fit(
        cls,
        features: Features,
        genes: Int[np.ndarray, "k genes"],
        values: Float[np.ndarray, " k"],
        *,
        kernels: Sequence[Weights] = MENUS["kernel"],
        warped: bool = True,
    ) -> "Gaussian":
        """The kernel, shrinkage and scale under which every value is best predicted by all others.

        Args:
            features: of the networks.
            genes: measured networks, no two the same.
            values: what was measured, finite.
            kernels: to choose from, see `evo_qnas.predict.kernels`.
            warped: logarithmic scales may be chosen.
        """
        choices = usable(kernels, features)
        if not choices:
            raise PredictorError("no kernel is left to choose: those of sums need tables")
        parts = Parts.between(features, genes, genes, {name for weights in choices for name in weights})
        scales = warps(values)[: None if warped else 1]
        targets = np.stack([warp(values) for warp in scales], axis=1)
        gains = np.array([warp.gain for warp in scales])
        tried = [_left_out(parts.kernel(weights), targets) + gains for weights in choices]
        # Rounded, so that kernels that are worth the same are not separated by rounding, which depends on the machine.
        place = int(np.argmax(np.round(np.stack(tried), _DIGITS)))
        index, row, column = (int(part) for part in np.unravel_index(place, (len(choices), *tried[0].shape)))
        weights, shrinkage, density = choices[index], float(_SHRINKAGES[row]), float(tried[index][row, column])
        lower = scipy.linalg.cholesky(parts.kernel(weights) + shrinkage * np.eye(len(genes)), lower=True)
        inverse = scipy.linalg.cho_solve((lower, True), np.eye(len(genes)))
        answer = inverse @ targets[:, column]
        return cls(
            features=features,
            genes=genes,
            weights=weights,
            warp=scales[column],
            shrinkage=shrinkage,
            scale=float((answer**2 / np.diag(inverse)).mean()),
            lower=lower,
            answer=answer,
            density=density,
        )

    def predict(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """See `Predictor.predict`: the median, and half of what lies within one standard deviation of it."""
        middle, spread = self._marginals(genes)
        low, high = self.warp.back(middle - spread), self.warp.back(middle + spread)
        return self.warp.back(middle), 0.5 * (high - low)

    def _marginals(self, genes: Int[np.ndarray, "n genes"]) -> tuple[np.ndarray, np.ndarray]:
        """(n,) mean and standard deviation in the warped scale."""
        middle, spread = np.empty(len(genes)), np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            rows = slice(start, start + _CHUNK)
            cross = Parts.between(self.features, genes[rows], self.genes, self.weights).kernel(self.weights)
            middle[rows] = cross @ self.answer
            known = (scipy.linalg.solve_triangular(self.lower, cross.T, lower=True) ** 2).sum(axis=0)
            left = np.maximum(own(self.features, genes[rows], self.weights) - known, 0.0)
            spread[rows] = np.sqrt((left + self.shrinkage) * self.scale)
        return middle, spread

    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool = True
    ) -> Float[np.ndarray, "count n"]:
        """See `Predictor.draws`."""
        noise = rng.standard_normal((count, len(genes)))
        if not joint:
            middle, spread = self._marginals(genes)
            return self.warp.back(middle + spread * noise)
        cross = Parts.between(self.features, genes, self.genes, self.weights).kernel(self.weights)
        among = Parts.between(self.features, genes, genes, self.weights).kernel(self.weights)
        known = scipy.linalg.solve_triangular(self.lower, cross.T, lower=True)
        own_part = (self.shrinkage + _JITTER * float(among.max())) * np.eye(len(genes))
        lower = scipy.linalg.cholesky(among - known.T @ known + own_part, lower=True)
        return self.warp.back(cross @ self.answer + np.sqrt(self.scale) * noise @ lower.T)


def _left_out(kernel: Float[np.ndarray, "k k"], targets: Float[np.ndarray, "k w"]) -> Float[np.ndarray, "shrinkages w"]:
    """Log density of each target given all others, summed, per shrinkage and scale; the variance at its best."""
    eigenvalues, vectors = np.linalg.eigh(kernel)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    turned, squares = vectors.T @ targets, vectors**2
    density = np.empty((len(_SHRINKAGES), targets.shape[1]))
    for row, shrinkage in enumerate(_SHRINKAGES):
        factor = 1.0 / (eigenvalues + shrinkage)
        answer = vectors @ (turned * factor[:, None])
        precision = squares @ factor
        # Each residual is answer / precision with variance scale / precision.
        scale = np.maximum((answer**2 / precision[:, None]).mean(axis=0), np.finfo(np.float64).tiny)
        density[row] = 0.5 * np.log(precision).sum() - 0.5 * len(targets) * (np.log(2.0 * np.pi * scale) + 1.0)
    return density
