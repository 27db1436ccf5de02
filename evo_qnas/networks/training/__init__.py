"""Training: teachers, distillation of candidates, refinement, fine-tuning."""
