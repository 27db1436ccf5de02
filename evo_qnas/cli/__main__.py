"""`python -m evo_qnas.cli`."""

from evo_qnas.cli import main

main()
