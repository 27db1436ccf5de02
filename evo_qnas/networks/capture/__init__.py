"""Networks as flat graphs of ATen operations."""
