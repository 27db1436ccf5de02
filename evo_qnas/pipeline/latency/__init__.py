"""Latency of choices and networks: what is timed, how, and what tables get from it.

- `measure_tables`: tables with measured and calibrated latency.
- `units`: blocks, fixed part and networks as files; `measurement`: timing them; `calibration`: on whole networks.
- `precision`: INT8 and FP32; `counted`: columns that need no measurement.
- `export_blocks`: the blocks in a folder, for a device of the user's.
"""

from evo_qnas.pipeline.latency.export_blocks import export_blocks
from evo_qnas.pipeline.latency.measurement import Measurement, check_measurable, measure_tables

__all__ = ["Measurement", "check_measurable", "export_blocks", "measure_tables"]
