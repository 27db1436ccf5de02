"""Contracts that extensions of the network side must meet, as test classes to inherit from; they need pytest."""
