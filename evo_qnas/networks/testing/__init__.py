"""Contracts that extensions of the network half must meet, as test classes to inherit from."""
