"""Layers, teachers, and weights in files."""
