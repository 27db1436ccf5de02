"""Quantizers, calibration, stored integers and their costs."""
