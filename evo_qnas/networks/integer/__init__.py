"""Quantized networks in integers: the reference, their memory and their kernels."""
