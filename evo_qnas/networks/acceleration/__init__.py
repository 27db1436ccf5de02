"""Faster training: own gradients, formats and precision, the device."""
