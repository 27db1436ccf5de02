"""Digests of what functions and objects depend on, equal in every process.

- `digest`: of a callable, an instance or any value.
- `library_of`: the installed library that a module belongs to, with its version.
"""

from evo_qnas.fingerprints.digest import digest
from evo_qnas.fingerprints.libraries import library_of

__all__ = ["digest", "library_of"]
