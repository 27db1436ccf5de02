"""Parts that all runtimes share: arguments of operations, limits of codes, parity, latency, packages."""
