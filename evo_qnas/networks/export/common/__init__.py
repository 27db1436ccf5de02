"""What all runtimes share: parity, latency, packages."""
