"""A course gone through again: the recorded asks between the recorded answers."""

import numpy as np

from evo_qnas.archive import Evaluations, Recorder
from evo_qnas.errors import ArchiveError
from evo_qnas.search.ask_tell.course import Course


def replay(course: Course, recorder: Recorder) -> Evaluations:
    """What an earlier run recorded, gone through by a new course and taken down again; what was pending is next.

    Raises:
        ArchiveError: the course asks for other networks than it did.
    """
    known, at, allowed = recorder.recorded, 0, 0
    for count, networks in [*recorder.asks.tolist(), [len(known), None]]:
        for row in range(at, min(int(count), len(known))):
            key = known.genomes[row].astype(np.int64).tobytes()
            if row >= allowed and not course.is_pending(key):
                raise ArchiveError(
                    f"the archive cannot be continued: evaluation {row} is of a network that is not asked for now "
                    "(other versions of evo_qnas, numpy or pymoo than those recorded?); use another path, or start "
                    "anew (resume=False)"
                )
            course.answer(key, known.objectives[row], known.constraints[row])
        at = int(count)
        if networks is None:
            break
        if networks > 0:
            course.ask(networks)
        elif networks == 0:
            course.reopen()
        else:
            allowed = at - networks
    recorder.append(known)
    if len(course.pending):
        recorder.ask(0)
        course.reopen()
    return known
