"""Scores of every choice, per block and inside the teacher."""
