"""Predictors: values of networks from the few that were measured.

- `Predictor`: the interface; `PREDICTORS`: names and descriptions; `fit_predictor`: one by its name.
- `Features`: the inputs of a predictor: choices, their operators and bits, columns of tables.
- `Affine`, `Monotone`: of the sum of scores; `Gaussian`: ridge, pairwise terms, Gaussian process; `Ensemble`.
- `assess`, `choose`, `Assessment`: cross-validated Kendall tau with its interval, and the choice by it.
- `kendall`: the rank correlation of any two columns, with its interval.
"""

from evo_qnas.predict.assess import Assessment, Choice, assess, choose
from evo_qnas.predict.ensemble import Ensemble
from evo_qnas.predict.features import Features
from evo_qnas.predict.fitting import PREDICTORS, fit_predictor
from evo_qnas.predict.gaussian import Gaussian
from evo_qnas.predict.predictor import Predictor
from evo_qnas.predict.rank import Tau, kendall
from evo_qnas.predict.sums import Affine, Monotone

__all__ = [
    "PREDICTORS",
    "Affine",
    "Assessment",
    "Choice",
    "Ensemble",
    "Features",
    "Gaussian",
    "Monotone",
    "Predictor",
    "Tau",
    "assess",
    "choose",
    "fit_predictor",
    "kendall",
]
