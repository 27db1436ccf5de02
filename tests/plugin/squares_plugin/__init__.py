"""A package of others that adds a part of every kind to evo_qnas: one file each, found by entry points."""
