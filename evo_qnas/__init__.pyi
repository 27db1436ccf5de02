from evo_qnas.archive import Archive as Archive
from evo_qnas.compare import compare as compare
from evo_qnas.pareto import certificate as certificate, exact_front as exact_front
from evo_qnas.problem import ConstraintInfo as ConstraintInfo, Networks as Networks, ObjectiveInfo as ObjectiveInfo, Problem as Problem, TableProblem as TableProblem, objective as objective
from evo_qnas.search import ALGORITHMS as ALGORITHMS, search as search
from evo_qnas.spaces import Space as Space
from evo_qnas.tables import Block as Block, Column as Column, Finding as Finding, Tables as Tables
from evo_qnas import metrics as metrics
from evo_qnas.study import ChosenNetwork as ChosenNetwork, Study as Study, compress as compress, load_network as load_network, operator as operator, quantize as quantize
