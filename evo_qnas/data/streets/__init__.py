"""Street scenes with the 19 classes of Cityscapes, generated: for machines without data, and for tests.

- `draw_scene`: one scene; `load_streets`: a data set of them.
- `layout`, `light`, `camera`: what a scene is drawn from.
- `backdrop`, `ground`, `fronts`, `houses`: sky, road and sidewalks, what lines the street.
- `traffic`, `walkways`, `painting`: what drives, stands and walks; `vehicles`, `bystanders` its sprites.
- `canvas`, `drawing`, `materials`, `textures`, `sampler`: how it is painted and drawn.
"""

from evo_qnas.data.streets.loading import load_streets
from evo_qnas.data.streets.scene import draw_scene

__all__ = ["draw_scene", "load_streets"]
