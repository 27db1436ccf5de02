"""Names of networks, made of their genomes."""

import hashlib
import json
from collections.abc import Sequence


def network_id(genome: Sequence[int]) -> str:
    """Eight hex digits of a genome: the same network has the same name in every run.

    Example:
        >>> network_id([0, 3, 1])
        'e56aa131'
    """
    return hashlib.sha256(json.dumps([int(value) for value in genome]).encode()).hexdigest()[:8]
