"""The JSON schemas: current, valid, and of the same opinion as the loader about good and bad files."""

import base64
import contextlib
import json
import random
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

import momentumlab
from momentumlab.config import load_either, to_dict
from momentumlab.config.experiment_schema import experiment_schema
from momentumlab.config.yaml_reader import parse_yaml
from momentumlab.experiment import Comparison
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.report.schema import result_schema
from momentumlab.surfaces import SURFACES
from tests.conftest import ROOT, SHIPPED, Command
from tests.fuzz.inputs import KINDS, Case
from tests.test_config import BAD, GOOD

SCHEMA = jsonschema.Draft7Validator(experiment_schema())
PROPERTIES = experiment_schema()["properties"]

BEYOND_A_SCHEMA = {
    "the arguments of a call": r"linspace|geomspace|arange|tuned|grid\(|random\(|never|\(column|schedule|is outside",
    "expressions": r"\(character \d+\)|expression|has no value|have no values|has no '.*'; it has|variable",
    "numbers that JSON does not have": r"nan is not a finite number|inf is not a finite number",
    "hyperparameters of the chosen optimizers": "is not a hyperparameter of",
    "the dimension of a start": r"coordinates?, the start has",
    "the length of vectors": "the vectors of an axis must have the same length",
    "duplicates": "is listed twice with the same settings",
    "what an optimizer needs": "which .* does not have",
    "replicates without noise": "has no effect: gradients are exact",
    "data files": r"data|\.csv|\.npz|column",
    "the convergence criterion of an objective": "needs a convergence criterion",
}
"""Rules that only the loader checks, with patterns of its messages."""


def tree(text: str) -> Any:
    return parse_yaml(text, "x.yaml").plain()


def opinions(document: Any) -> tuple[bool, list[str]]:
    """Whether the schema accepts, and what the loader complains of."""
    try:
        load_either(document if isinstance(document, dict) else {"": document})
    except momentumlab.ConfigError as error:
        return SCHEMA.is_valid(document), [problem.message for problem in error.problems]
    return SCHEMA.is_valid(document), []


def assert_of_one_opinion(document: Any) -> tuple[bool, list[str]]:
    accepted, complaints = opinions(document)
    if accepted:
        excuses = [pattern for name, pattern in BEYOND_A_SCHEMA.items() if name != "the arguments of a call"]
        if re.search(r"\w\s*\(", str(document)) or has_different_bounds(document):
            excuses.append(BEYOND_A_SCHEMA["the arguments of a call"])
        for complaint in complaints:
            assert any(re.search(pattern, complaint) for pattern in excuses), (complaint, document)
    else:
        assert complaints, (document, [error.message for error in SCHEMA.iter_errors(document)])
    return accepted, complaints


def has_different_bounds(document: Any) -> bool:
    """Whether a hyperparameter of the top level has different bounds for different optimizers."""
    words = {word for cls in OPTIMIZERS.values() for p in cls.parameters() for word in p.words}
    given = words & document.keys() if isinstance(document, dict) else set()
    return any(len(PROPERTIES[word].get("anyOf", [0])) > 1 for word in given)


GOODS = [
    "learning_rate: 1e-3\nmomentum: [0.1, 0.2]",
    "lr: linspace(0.1, 0.2, 3)\nbeta: piecewise({0: 0.5, 5: 0.9})",
    "beta: [0.1, 'warmup(3, 0.5)']\ntolerance: null\nname: null",
    "nonsense: null\nstart: [[1, 2], [3, 4]]",
    "lr: tuned\nbeta: tuned(0.1, 0.9)\nbudget: 9\nzooms: 1\naccuracy: 1e-3",
    "start: grid(3, 3)\niterations: 1e2\ngradient_tolerance: 0\ntarget_loss: -5",
]

GOOD_SURFACES = [
    "{name: beale, rotate: [0, 30], shift: [1, 2]}",
    "{expression: x**2 + y**2, rotate: 30, shift: [1, 2]}",
    "[ravine, {name: rosenbrock, b: [10, 100]}]",
    "rosenbrock(b=10)",
]
GOODS_IN_FULL = [*(GOOD + good for good in GOODS), *(f"optimizer: sgd\nsurface: {each}" for each in GOOD_SURFACES)]


@pytest.mark.parametrize("text", [*GOODS_IN_FULL, *(path.read_text() for path in SHIPPED)])
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    assert opinions(tree(text)) == (True, [])


@pytest.mark.parametrize("text", [text for text, _ in BAD.values() if isinstance(text, str)])
def test_the_schema_refuses_what_the_loader_refuses(text: str) -> None:
    try:
        document = tree(text)
    except momentumlab.ConfigError:
        return  # no YAML at all
    assert opinions(document)[1]
    assert_of_one_opinion(document)


@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=pytest.mark.long)])
def test_the_schema_detects_most_invalid_configurations(count: int) -> None:
    refused, seen = [], []

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(KINDS["changed tree"])
    def look(case: Case) -> None:
        with contextlib.suppress(momentumlab.ConfigError, UnicodeDecodeError):
            accepted, complaints = assert_of_one_opinion(tree(base64.b64decode(case["file"]).decode()))
            refused.append(bool(complaints))
            seen.append(bool(complaints) and not accepted)

    look()
    assert sum(refused) > count / 3
    assert sum(seen) > 0.8 * sum(refused)


VALUES: list[Any] = [
    -1, 0, 0.5, 1, 2, True, None, "cosine(0.5, 0.4)", "tuned", "linspace(0.1, 0.5, 3)", [], [0.5], [[0.5]], [1, 2],
    [[1, 2], [3, 4]], "optax", ["gradient"], "nonsense",
]  # fmt: skip


def every_setting() -> list[Any]:
    """A document for every parameter, every way to say it and every kind of value."""
    documents: list[Any] = []
    for name in OPTIMIZERS:
        for word in [word for parameter in OPTIMIZERS[name].parameters() for word in parameter.words] + ["nonsense"]:
            for value in VALUES:
                documents.append({"surface": "ravine", "optimizer": {"name": name, word: value}})
                documents.append({"surface": "ravine", "optimizers": [name], word: value})
                documents.append({"surface": "ravine", "optimizers": [name, "sgd"], word: value})
    for name in SURFACES:
        for word in [parameter.name for parameter in SURFACES[name].parameters()] + ["nonsense", "view"]:
            documents += [{"surface": {"name": name, word: value}, "optimizer": "sgd"} for value in VALUES]
    return documents


@pytest.mark.parametrize("count", [50, pytest.param(None, marks=pytest.mark.long)])
def test_every_parameter_has_its_bounds_in_the_schema(count: int | None) -> None:
    documents = every_setting()
    for document in documents if count is None else random.Random(0).sample(documents, count):
        assert_of_one_opinion(document)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_resolved_configurations_are_accepted(path: Path) -> None:
    assert SCHEMA.is_valid(json.loads(json.dumps(to_dict(load_either(path)))))


@pytest.mark.parametrize(("name", "made"), [("experiment", experiment_schema), ("result", result_schema)])
def test_the_file_in_the_repository_is_what_the_command_prints(name: str, made: Any, command: Command) -> None:
    written = (ROOT / "docs" / "schema" / f"{name}.json").read_text()
    remedy = f"regenerate it with: momentumlab schema {name} > docs/schema/{name}.json"
    assert json.loads(command("schema", name).stdout) == json.loads(written) == made(), remedy
    jsonschema.validators.validator_for(made()).check_schema(made())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_name_the_schema_for_editors(path: Path) -> None:
    (target,) = re.findall(r"\A# yaml-language-server: \$schema=(\S+)$", path.read_text(), re.MULTILINE)
    assert (path.parent / target).resolve() == (ROOT / "docs" / "schema" / "experiment.json").resolve()


RESULTS: dict[str, dict[str, Any]] = {
    "a run": {"surface": "ravine", "optimizer": ["momentum", "sgd"], "iterations": 20},
    "divergence": {"surface": "ravine", "optimizer": "sgd", "lr": 100, "iterations": 500},
    "axes of the surface": {"surface": {"name": "ravine", "a": [0.1, 1]}, "optimizer": "aggmo", "iterations": 5},
    "schedules": {"surface": "ravine", "optimizer": "momentum", "lr": "cosine(0.1, 0.01)", "iterations": 5},
    "a sweep": {"surface": "ravine", "optimizer": "sgd", "lr": "linspace(0.01, 0.1, 120)", "iterations": 5},
    "a comparison": {"surface": ["ravine", "booth"], "optimizers": ["sgd", "adam"], "budget": 4, "iterations": 5},
}


@pytest.mark.parametrize("settings", RESULTS.values(), ids=RESULTS)
def test_every_result_matches_its_schema(settings: dict[str, Any], tmp_path: Path) -> None:
    if isinstance(load_either(settings), Comparison):
        momentumlab.compare(settings, out=tmp_path, plots=False)
    else:
        momentumlab.run(settings, out=tmp_path, plots=False)
    (path,) = tmp_path.glob("[0-9]*/result.json")
    document = json.loads(path.read_text())
    validator = jsonschema.Draft202012Validator(result_schema())
    assert complaints_without_unknown_keys(document) == []
    for name in ("experiment", "run_folder", "trials", "settings", "provenance", "notes"):
        assert not validator.is_valid({key: value for key, value in document.items() if key != name})
    for name in ("surface", "optimizer", "final_loss", "final_point", "status", "iterations", "start"):
        without = {key: value for key, value in document["trials"][0].items() if key != name}
        assert not validator.is_valid({**document, "trials": [without]})
    assert not validator.is_valid({**document, "trials": [{**document["trials"][0], "status": "unknown"}]})


def closed(schema: Any) -> Any:
    """The same schema, which refuses keys that it does not describe."""
    if isinstance(schema, dict):
        inner = {key: closed(value) for key, value in schema.items()}
        return {"additionalProperties": False, **inner} if isinstance(schema.get("properties"), dict) else inner
    return [closed(each) for each in schema] if isinstance(schema, list) else schema


def complaints_without_unknown_keys(document: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(closed(result_schema())).iter_errors(document)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--surface", "ravine", "--optimizer", "sgd,momentum", "--iterations", "3", "--steps"],
        ["run", "--surface", "logistic", "--optimizer", "sgd", "--iterations", "3"],
        ["run", "--surface", "ravine", "--optimizer", "sgd", "--noise", "0.1", "--replicates", "3"],
        ["sweep", "--surface", "ravine", "--optimizer", "sgd", "--lr", "linspace(0.01,0.1,150)", "--iterations", "3"],
        ["compare", "--surface", "ravine", "--optimizers", "sgd,momentum", "--budget", "4", "--iterations", "5"],
        ["tune", "--surface", "ravine", "--optimizer", "momentum", "--budget", "9", "--iterations", "5"],
    ],
    ids=lambda arguments: " ".join(arguments[:5]),
)
def test_every_key_of_the_printed_json_is_described(arguments: list[str], command: Command, tmp_path: Path) -> None:
    done = command(*arguments, "--no-plots", "--format", "json", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert complaints_without_unknown_keys(json.loads(done.stdout)) == []


def test_the_page_lists_the_rules_that_are_not_in_the_schema() -> None:
    page = " ".join((ROOT / "docs" / "experiments.md").read_text().split())
    for name in BEYOND_A_SCHEMA:
        assert name in page
