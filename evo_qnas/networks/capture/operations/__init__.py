"""Operations of ATen: one registry of what each of them means, a file for each family.

- `operation`: `Operation`, and the roles that operations have in a network.
- `registry`: `OPERATIONS`, ours and those of other packages, and questions to it.
- `integers`: values of a network in integers, in which meanings are written.
- Families: `layers`, `activations`, `layout`, `arithmetic`, `pooling`, `resizing`, `norms`, `products`, `masks`,
  `creation`, `functions`.
- `upsampling`: bilinear up-sampling as runtimes compute it.
"""
