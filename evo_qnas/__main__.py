"""`python -m evo_qnas`: the command line."""

from evo_qnas.cli import main

main()
