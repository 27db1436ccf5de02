"""The network side: teachers, blocks, candidates, quantization. Needs torch.

- `blocks`: cutting a teacher and assembling networks.
- `layers`, `operators`: candidate operators from cards.
- `teachers`, `training`: teachers of our own and their training.
- `features`, `distill`, `noise`: the teacher's feature maps, block-wise distillation and its loss.
- `depthwise`, `fake_quantize`: gradients that are fast on a CPU.
- `graph`, `quantize`, `quantizers`, `packing`: capture, quantization, stored integers.
- `scores`, `costs`: tables of choices.
- `finetune`: quantization-aware fine-tuning.
- `weights`: safetensors.
"""
