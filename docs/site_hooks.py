"""Build steps of the site: README, changelog and notebooks become pages, and links out of docs/ lead to them."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import markdown

ROOT = Path(__file__).parent.parent

PAGES = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}
"""Pages that exist outside docs/, by their names on the site."""

TARGETS = {"CHANGELOG.md": "changelog.md", "README.md": "index.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside docs/."""
    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        page = markdown(json.loads(path.read_text(encoding="utf-8")))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links to files of the repository at their pages; a file without a page becomes plain text."""

    def link(found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        path = target.partition("#")[0].removeprefix("../")
        if path in TARGETS:
            return f"[{text}]({TARGETS[path]})"
        is_outside = target.startswith("../") or (page.file.src_uri in PAGES and not files.get_file_from_path(path))
        return text if is_outside and not target.startswith(("http", "#")) else found[0]

    return re.sub(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)", link, markdown)
