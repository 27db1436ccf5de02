"""Training of blocks and chosen networks: distillation of candidates, refinement, fine-tuning.

Teachers are trained by their task, see `networks.tasks`.
"""
