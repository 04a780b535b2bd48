"""The notebooks of the documentation: every cell runs, and the stored outputs are those of the cells."""

import base64
import importlib.util
import io
import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import ROOT

SOURCES = sorted((ROOT / "docs" / "notebooks").glob("*.py"))
EXECUTE = """
import json, sys
from pathlib import Path
sys.path.insert(0, {docs!r})
import notebooks
print(json.dumps(notebooks.executed(Path({source!r}))))
"""


def stored(source: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    return notebook


def outputs(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kind of each output, with its text if that is short enough to be the same on every system."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            kind = next(iter(output.get("data", {"stdout": ""})))
            found.append((kind, output.get("text", "")))
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_give_the_stored_outputs(source: Path, programs: Path, tmp_path: Path) -> None:
    program = EXECUTE.format(docs=str(ROOT / "docs"), source=str(source))
    done = subprocess.run(
        [programs / "python", "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    executed, written = json.loads(done.stdout), stored(source)
    remedy = "run python docs/notebooks.py"
    assert [cell["source"] for cell in executed["cells"]] == [cell["source"] for cell in written["cells"]], remedy
    assert outputs(executed) == outputs(written), remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_has_figures_and_a_page(source: Path) -> None:
    assert source.with_suffix(".ipynb").stat().st_size < 1.6e6
    data = [
        output["data"] for cell in stored(source)["cells"] for output in cell.get("outputs", ()) if "data" in output
    ]
    figures = [Image.open(io.BytesIO(base64.b64decode(each["image/png"]))) for each in data if "image/png" in each]
    assert figures
    assert all(400 <= figure.width <= 900 for figure in figures)
    (frame,) = [each["text/html"] for each in data if each.get("text/html", "").startswith("<iframe")]
    assert "srcdoc=" in frame


class Frames(HTMLParser):
    """Collects the documents of the frames of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.documents: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "iframe":
            self.documents.append(dict(attrs)["srcdoc"])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_site_embeds_the_page_of_a_notebook_unchanged(source: Path) -> None:
    """The page contains hashes of its style and its script: a browser executes neither if a character differs."""
    specification = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
    assert specification is not None
    assert specification.loader is not None
    notebooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(notebooks)
    (line,) = [line for line in notebooks.markdown(stored(source)).splitlines() if line.startswith("<iframe")]
    shown = [output.get("data", {}) for cell in stored(source)["cells"] for output in cell.get("outputs", ())]
    html = "".join(data.get("text/html", "") for data in shown)
    assert Frames(line).documents == Frames(html).documents != []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_kernel_of_jupyter(source: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    kinds = [
        sorted(output.get("data", {"stdout": ""})) for cell in notebook.cells for output in cell.get("outputs", ())
    ]
    assert any("image/png" in kind for kind in kinds)
    assert "text/html" in kinds[-1]
