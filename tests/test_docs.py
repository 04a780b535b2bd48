"""Every command, configuration and program in the documentation runs as printed."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from momentumlab import __version__
from momentumlab.surfaces import SURFACES
from tests.conftest import ROOT, Command
from tests.test_cli import COMMANDS

CLASSIC = ROOT / "configs" / "ravine_beta_sweep.yaml"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[Any]:
    found = []
    for page in PAGES:
        for i, block in enumerate(
            re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
        ):
            found.append(pytest.param(textwrap.dedent(block), id=f"{page.stem}-{i}"))
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what a person finds beside the README."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


def environment(programs: Path) -> dict[str, str]:
    return {"PATH": f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"}


def abridged(block: str) -> str:
    """Return the commands with less work and without figures, which other tests draw."""
    block = re.sub(r"(momentumlab (?:run|sweep|compare|tune)) ", r"\1 --no-plots ", block)
    block = re.sub(r"--starts \d+", "--starts 4", block)
    block = re.sub(r"((?:atlas|digits|mlp)\.yaml)", r"\1 --iterations 30", block)
    return re.sub(r"((?:linspace|geomspace)\([^,]+,[^,]+),\s*\d\d+\)", r"\1, 7)", block)


@pytest.mark.parametrize("is_whole", [False, pytest.param(True, marks=pytest.mark.long)], ids=["abridged", "whole"])
@pytest.mark.parametrize("block", blocks("sh"))
def test_commands_run(block: str, is_whole: bool, clone: Path, programs: Path) -> None:
    if "python3 -m venv" in block:  # the two set-up lines: those that .ci/run and a fresh clone try
        assert block.count("\n") == 1
        return
    (page, *_) = (text for text in map(Path.read_text, PAGES) if block in text)
    for name, content in re.findall(r"^cat > (\S+) << 'END'\n(.*?)^END$", page, re.DOTALL | re.MULTILINE):
        (clone / name).write_text(content)  # an earlier block of the page writes it
    script = block if is_whole else abridged(block)
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=clone, capture_output=True, text=True, env=environment(programs), check=False
    )
    notes = [] if is_whole else [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert (done.returncode, done.stderr.splitlines()) == (0, notes)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    """A folder with the files that the examples of the help texts name."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "configs", folder / "configs")
    for arguments in (["new", "--surface-plugin", "my_surface.py"], ["run", "configs/parabola.yaml", "--theory"]):
        subprocess.run([programs / "momentumlab", *arguments], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_examples_of_a_help_text_run(path: tuple[str, ...], prepared: Path, programs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "examples", symlinks=True)
    # A live page is served until Ctrl-C.
    script = re.sub(r"(momentumlab explore\b(?!.*--save).*)", r"\1 --save page.html", abridged(COMMANDS[path].epilog))
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=folder, capture_output=True, text=True,
        env=environment(programs), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("note: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize("block", blocks("yaml"))
def test_configurations_run(block: str, clone: Path, command: Command) -> None:
    (clone / "block.yaml").write_text(block)
    done = command("run", "block.yaml", "--no-plots", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", blocks("python"))
def test_programs_run(block: str, clone: Path, programs: Path) -> None:
    done = subprocess.run([programs / "python", "-c", block], cwd=clone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_table_in_the_readme_is_the_one_that_is_printed(command: Command) -> None:
    printed = command("run", CLASSIC, "--no-plots", COLUMNS="80").stdout.splitlines()
    (shown,) = re.findall(r"^```text\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert [line.rstrip() for line in printed[:-1]] == shown.splitlines()


@pytest.mark.parametrize("noun", ["optimizers", "surfaces"])
def test_the_page_of_a_catalogue_is_current(noun: str, command: Command) -> None:
    written = (ROOT / "docs" / f"{noun}.md").read_text()
    assert written.partition("<!-- made")[2].partition("-->")[2].strip() == (
        command("list", noun, "--format", "markdown").stdout.strip()
    ), "run the command in its comment"


def test_every_surface_has_a_small_picture() -> None:
    pictures = {path.stem: path for path in (ROOT / "docs" / "surfaces").iterdir()}
    assert set(pictures) == set(SURFACES), "run python docs/thumbnails.py"
    for path in pictures.values():
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG")
        assert int.from_bytes(content[16:20]) == 320  # the width, as PNG's first chunk has it
        assert len(content) < 25_000


def test_the_animation_of_the_readme_is_small() -> None:
    assert "docs/images/ravine_race.gif" in (ROOT / "README.md").read_text()
    content = (ROOT / "docs" / "images" / "ravine_race.gif").read_bytes()
    assert content.startswith(b"GIF89a")
    assert len(content) < 500_000


def test_the_documentation_counts_the_surfaces_right() -> None:
    assert len(SURFACES) == 62
    for page in ("README.md", "CHANGELOG.md", "docs/surfaces.md"):
        assert "sixty-two" in (ROOT / page).read_text().lower()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (line,) = re.findall(r"^python3 -m venv .*pytest$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert line in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_changelog_has_an_entry_for_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_site_lists_every_page() -> None:
    pages = re.findall(r"\w+\.md", (ROOT / "mkdocs.yml").read_text())
    generated = {"index.md", "changelog.md", "learn.md", "research.md"}
    assert sorted(pages) == sorted({path.name for path in (ROOT / "docs").glob("*.md")} | generated)
