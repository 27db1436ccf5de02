"""Digests and seeds of JSON-able values, the same in every process."""

import hashlib
import json


def digest(*parts: object) -> str:
    """A hex digest of JSON-able values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def seed_of(*parts: object) -> int:
    """A 60-bit seed drawn from JSON-able values, so that no two uses share a random stream."""
    return int(digest(*parts)[:15], 16)
