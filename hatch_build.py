"""Metadata that depends on where the project has its home: absolute links in its page, and addresses.

`EVO_QNAS_HOME` is the address of the repository, as GitHub Actions know it. Without it links stay as they are.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)\s]+)\)")


class HomeMetadataHook(MetadataHookInterface):
    """The README with absolute links, and the project's addresses."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets `readme` and `urls`."""
        home = os.environ.get("EVO_QNAS_HOME", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, home) if home else text}
        metadata["urls"] = {"Method": "https://arxiv.org/abs/2401.12350"}
        if home:
            pages = {"Changelog": "blob/main/CHANGELOG.md", "Documentation": "blob/main/docs/index.md"}
            metadata["urls"] |= {"Homepage": home, "Issues": f"{home}/issues"}
            metadata["urls"] |= {name: f"{home}/{path}" for name, path in pages.items()}


def absolute(text: str, home: str) -> str:
    """A page whose links and pictures lead to the repository at `home`."""
    return LINK.sub(lambda link: f"{link[1]}[{link[2]}]({home}/{'raw' if link[1] else 'blob'}/main/{link[3]})", text)
