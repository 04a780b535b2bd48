"""The example configurations that are installed with the package."""

from pathlib import Path

import pytest

import momentumlab
from momentumlab.config.examples import example, examples, summary
from momentumlab.errors import ConfigError
from tests.conftest import ROOT, Command


def test_every_shipped_configuration_is_an_example_with_a_description() -> None:
    paths = examples()
    assert set(paths.values()) == set((ROOT / "configs").rglob("*.yaml"))
    assert paths["zoo/restart"] == ROOT / "configs" / "zoo" / "restart.yaml"
    for path in paths.values():
        assert summary(path).endswith((".", "?"))


def test_a_copy_of_an_example_gives_the_numbers_of_the_original(command: Command, tmp_path: Path) -> None:
    assert command("new", "mine.yaml", "--example", "parabola").returncode == 0
    (copy,) = tmp_path.rglob("mine.yaml")
    assert "schema.json" not in copy.read_text()  # its path would lead nowhere
    original = momentumlab.run(ROOT / "configs" / "parabola.yaml")
    assert momentumlab.run(copy).final_losses.tobytes() == original.final_losses.tobytes()


def test_an_unknown_example_is_refused_with_a_suggestion(command: Command) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'parabola'\?"):
        example("parabla")
    refused = command("new", "--example", "parabola")
    assert refused.returncode == 2
    assert "give the file to write" in refused.stderr
