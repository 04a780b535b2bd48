"""Execute the notebooks of the documentation and write them: ``python docs/notebooks.py``.

A notebook is a Python file with cells that begin with ``# %%``, as Jupytext and VS Code read them. Its cells are
executed one after the other in this process, and stored with their outputs.
"""

import ast
import base64
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parent.parent
NOTEBOOKS = Path(__file__).parent / "notebooks"
WIDTH = 900
"""Figures are stored with at most this width in pixels."""

Cell = dict[str, Any]


def cells(text: str) -> list[Cell]:
    """Return the cells of a Python file, without outputs."""
    found = []
    for number, part in enumerate(re.split(r"^# %%", text, flags=re.MULTILINE)[1:]):
        heading, _, body = part.partition("\n")
        cell: Cell = {"id": f"cell-{number}", "metadata": {}}
        if "[markdown]" in heading:
            source = "\n".join(re.sub(r"^# ?", "", line) for line in body.strip().splitlines())
            found.append({**cell, "cell_type": "markdown", "source": source})
        else:
            found.append({**cell, "cell_type": "code", "source": body.strip(), "execution_count": None, "outputs": []})
    return found


def execute(source: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell and return its outputs: what it prints, and the value of its last expression."""
    *statements, last = ast.parse(source).body
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if not isinstance(last, ast.Expr):
            statements.append(last)
        exec(compile(ast.Module(statements, []), "<cell>", "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue()})
    if value is not None:
        outputs.append({"output_type": "display_data", "metadata": {}, "data": shown(value)})
    return outputs


def shown(value: Any) -> dict[str, str]:
    """Return the representations of a value that a notebook stores."""
    if hasattr(value, "_repr_png_"):
        return {"image/png": smaller(value._repr_png_()[0]), "text/plain": "<Figure>"}
    if hasattr(value, "_repr_html_"):
        return {"text/html": value._repr_html_(), "text/plain": f"<{type(value).__name__}>"}
    return {"text/plain": repr(value)}


def smaller(png: bytes) -> str:
    """Return a figure with at most `WIDTH` pixels and 256 colours, in base64."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.quantize(256).save(stream, "png", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def executed(path: Path) -> dict[str, Any]:
    """Return the notebook of a Python file with the outputs of its cells."""
    found = cells(path.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate((cell for cell in found if cell["cell_type"] == "code"), 1):
        cell.update(execution_count=number, outputs=execute(cell["source"], namespace))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": found,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def markdown(notebook: dict[str, Any]) -> str:
    """Return a notebook as a page of the site."""
    parts = []
    for cell in notebook["cells"]:
        is_code = cell["cell_type"] == "code"
        parts.append(f"```python\n{cell['source']}\n```" if is_code else cell["source"])
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(f"![output](data:image/png;base64,{data['image/png']})")
            elif "text/html" in data:
                # One line, or Markdown would format it. The text is the same: pages contain hashes of their scripts.
                parts.append(data["text/html"].replace("\n", "&#10;"))
            else:
                parts.append(f"```text\n{(data.get('text/plain') or output['text']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write all notebooks."""
    for path in sorted(NOTEBOOKS.glob("*.py")):
        target = path.with_suffix(".ipynb")
        target.write_text(json.dumps(executed(path), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
