"""Arm Ethos-U NPUs: TFLite files as Arm's compiler Vela makes them, with its account of cycles and memory.

- `runtime`: a runtime for each configuration, `ethos-u65-256` and others.
- `vela`: the compiler in a process of its own, and what it reports.
"""
