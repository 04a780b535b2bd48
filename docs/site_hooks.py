"""Build steps of the site: the README and the changelog become pages, and links out of docs/ lead to them."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent

PAGES = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}
"""Pages that exist outside docs/, by their names on the site."""

TARGETS = {"CHANGELOG.md": "changelog.md", "README.md": "index.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside docs/."""
    for name, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
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
