"""Channels inside a block that nothing outside sees: which of them go together, and the block without some of them."""
