"""Contracts that a task, operator or data source of your own must meet, as test classes to inherit from."""
