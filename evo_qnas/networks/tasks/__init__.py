"""Tasks of networks: how a teacher learns, what is lost, what is measured, and how sure that is.

- `base`: `Task`, the interface, and `TASKS`, the registry.
- `classification`, `segmentation`: our own.
- `settings`: how teachers and chosen networks are trained.
- `teaching`, `validated_training`: the training loops that tasks share.
- `uncertainty`: standard errors of metrics and of their differences.
"""
