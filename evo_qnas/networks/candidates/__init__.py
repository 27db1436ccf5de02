"""Blocks of a teacher and the candidate operators that may replace them."""
