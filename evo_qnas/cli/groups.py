"""Headings under which the command line's help lists its verbs."""

NETWORKS = "From a network to files for a device"
SEARCHES = "From tables to a front"
LOOKING = "Looking at what is there"
