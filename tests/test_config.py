"""Reading of YAML and overrides: accepted input, refused input, and the places of errors."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import momentumlab
from momentumlab.calls import read_scalar
from momentumlab.config import load_either, load_experiment, settings_from_text, to_dict, to_yaml
from momentumlab.config.yaml_reader import parse_setting, parse_yaml
from momentumlab.experiment import Grid, Points, Random
from momentumlab.plan import make_plan

GOOD = "surface: ravine\noptimizer: momentum\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes x.yaml and gives its relative path."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> Path:
        path = Path("x.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def overridden(path: Path, **options: str) -> momentumlab.Experiment:
    return load_experiment(path, settings_from_text({key: (f"--{key}", text) for key, text in options.items()}))


# Numbers and axes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-2", -2),
        ("1_000", 1000),
        ("010", 10),
        ("3.", 3.0),
        ("+1.5e+2", 150.0),
    ],
)
def test_common_spellings_of_numbers_are_read(text: str, value: float) -> None:
    assert read_scalar(text) == value
    assert type(read_scalar(text)) is type(value)


@pytest.mark.parametrize("text", ["1e-3x", "e5", "0x10", "1:30", "yes", "no", "on", "1__0", "-", "."])
def test_other_words_are_strings(text: str) -> None:
    assert read_scalar(text) == text


def test_a_word_of_many_digits_is_read_quickly() -> None:
    clock = time.process_time()
    assert read_scalar("9" * 100_000 + "x") == "9" * 100_000 + "x"
    assert time.process_time() - clock < 0.5  # it took minutes, when what matched was tried in every other way


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_reads_back_exactly(number: float) -> None:
    assert parse_setting(repr(number), "--lr", "lr").plain() == number


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("linspace(0, 1, 5)", [0, 0.25, 0.5, 0.75, 1]),
        ("geomspace(1e-4,1,5)", [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        ("arange(0, 1, 0.25)", [0, 0.25, 0.5, 0.75]),
        ("linspace(start=0, stop=1, count=3)", [0, 0.5, 1]),
        ("linspace(2, 1, 1)", [2]),
        ("arange(1, 0, -0.5)", [1, 0.5]),
    ],
)
def test_axis_calls_give_the_values_of_numpy(text: str, values: list[float]) -> None:
    axis = load_experiment({"surface": "ravine", "optimizer": "sgd", "lr": text}).optimizers[0].axes["lr"]
    assert axis.values == pytest.approx(values)
    assert axis.spelling == text


def test_yaml_and_the_command_line_read_the_same_lists(config: Any) -> None:
    path = config(GOOD + "beta: [0, 0.8, 0.9]\n")
    written = load_experiment(path).optimizers[0].axes["beta"].values
    assert written == overridden(path, beta="0,0.8,0.9").optimizers[0].axes["beta"].values == (0.0, 0.8, 0.9)
    assert overridden(path, beta="[0, 0.8, 0.9]").optimizers[0].axes["beta"].values == written


# Starts


def test_starts_may_be_a_point_points_a_grid_or_random(config: Any) -> None:
    path = config(GOOD)
    assert load_experiment(path).starts == Points(points=((-2.4, 0.2),))
    assert overridden(path, start="-1,1").starts == Points(points=((-1, 1),))
    assert overridden(path, start="[[1, 2], [3, 4]]").starts == Points(points=((1, 2), (3, 4)))
    assert overridden(path, start="grid(3, 2)").starts == Grid(counts=(3, 2))
    assert overridden(path, start="random(5, seed=2)").starts == Random(count=5, seed=2, dimension=2)
    assert overridden(path, surface="parabola", start="5").starts == Points(points=((5,),))
    assert overridden(path, surface="parabola", start="[[5], [6]]").starts == Points(points=((5,), (6,)))


def test_a_grid_covers_the_window_and_random_starts_repeat() -> None:
    surface: Any = SimpleNamespace(window=lambda dim: ((-3.0, 3.0), (0.0, 1.0)))
    assert Grid(counts=(3, 2)).array(surface).T.tolist() == [[-3, 0], [-3, 1], [0, 0], [0, 1], [3, 0], [3, 1]]
    drawn = Random(count=1000, seed=1, dimension=2).array(surface)
    assert drawn.tolist() == Random(count=1000, seed=1, dimension=2).array(surface).tolist()
    assert drawn.tolist() != Random(count=1000, seed=2, dimension=2).array(surface).tolist()
    assert (drawn.min(axis=1) >= [-3, 0]).all()
    assert (drawn.max(axis=1) <= [3, 1]).all()
    assert np.ptp(drawn, axis=1) == pytest.approx([6, 1], rel=0.02)


# Which optimizers get a hyperparameter


def test_a_top_level_hyperparameter_applies_to_optimizers_that_do_not_set_it(config: Any) -> None:
    path = config(
        "surface: ravine\nlr: 0.1\nbeta: 0.5\noptimizers: [sgd, {name: momentum, lr: 0.2}, {name: nag, momentum: 0.7}]"
    )
    sgd, momentum, nesterov = load_experiment(path).optimizers
    assert sgd.first["lr"] == 0.1
    assert (momentum.first["lr"], momentum.first["beta"]) == (0.2, 0.5)
    assert (nesterov.name, nesterov.first["lr"], nesterov.first["beta"]) == ("nesterov", 0.1, 0.7)


def test_an_override_replaces_the_settings_of_single_optimizers(config: Any) -> None:
    path = config(
        "surface: ravine\noptimizers: [{name: sgd, lr: 1}, {name: momentum, learning_rate: 2, momentum: 0.3}]"
    )
    sgd, momentum = overridden(path, lr="0.5", beta="0.1").optimizers
    assert (sgd.first["lr"], momentum.first["lr"], momentum.first["beta"]) == (0.5, 0.5, 0.1)


def test_an_override_may_name_a_nested_setting(config: Any) -> None:
    path = config(GOOD + "lr: 0.1")
    assert overridden(path, **{"surface.a": "0.5"}).surface.first == {"a": 0.5, "b": 9.0}
    assert overridden(path, **{"optimizer.beta": "0.5"}).optimizers[0].first["beta"] == 0.5
    path = config("surface: {name: ravine, b: 2}\noptimizers: [sgd, momentum]")
    assert overridden(path, **{"optimizers.1.beta": "0.3"}).optimizers[1].first["beta"] == 0.3
    assert overridden(path, **{"surface.a": "0.5"}).surface.first == {"a": 0.5, "b": 2}
    assert overridden(path, surface="booth").surface.name == "booth"


def test_every_spelling_of_entries_can_be_overridden(config: Any) -> None:
    """One entry or a list of one, singular or plural, short or as a mapping; the order of the options has no effect."""
    for surface in (
        "rosenbrock(b=10)",
        "[rosenbrock(b=10)]",
        "{name: rosenbrock, b: 10}",
        "[{name: rosenbrock, b: 10}]",
    ):
        for optimizers in ("optimizer: sgd", "optimizer: [{name: sgd}]", "optimizers: sgd", "optimizers: [sgd]"):
            path = config(f"surface: {surface}\n{optimizers}\n")
            for lr in ("optimizer.lr", "optimizers.lr", "optimizers.0.lr", "optimizer.0.lr"):
                experiment = overridden(path, **{"surface.b": "3", lr: "0.2"})
                assert experiment.surface.first == {"b": 3}
                assert experiment.optimizers[0].first["lr"] == 0.2
            experiment = overridden(path, **{"optimizer.beta": "0.3", "optimizers": "momentum"})
            assert experiment.optimizers[0].first["beta"] == 0.3
    message = "--surface.a: there are 2 surfaces: write surfaces.0.a for the first of them"
    with pytest.raises(momentumlab.ConfigError, match=message):
        overridden(config("surface: [ravine, booth]\noptimizer: sgd"), **{"surface.a": "1"})


def test_an_optimizer_on_the_command_line_replaces_those_of_the_file(config: Any) -> None:
    path = config("surface: ravine\noptimizers: [adam, adagrad]")
    assert [choice.name for choice in overridden(path, optimizer="sgd,momentum").optimizers] == ["sgd", "momentum"]
    path = config(GOOD + "beta: 0.5")
    assert overridden(path, optimizer="adam", beta="null").optimizers[0].name == "adam"


def test_keyword_arguments_override_like_options() -> None:
    experiment = momentumlab.load(
        {"surface": "ravine", "optimizer": "momentum"}, beta=np.linspace(0, 0.5, 3), settings={"surface.a": 0.5}
    )
    assert experiment.optimizers[0].axes["beta"].values == (0, 0.25, 0.5)
    assert experiment.surface.first["a"] == 0.5
    assert momentumlab.load(experiment, iterations=7).stopping.iterations == 7


# There and back


@pytest.mark.parametrize(
    "settings",
    [
        {
            "surface": "ravine",
            "optimizer": "adam",
            "lr": "geomspace(1e-4, 1, 7)",
            "start": "grid(3, 4)",
            "tolerance": 1e-10,
        },
        {"surface": {"name": "quadratic", "eigenvalues": [[1, 2], [3, 4]], "rotation": 1 / 3}, "optimizer": "sgd"},
        {
            "surface": "rosenbrock",
            "optimizers": ["sgd", {"name": "momentum", "beta": [0.1, 0.2]}],
            "start": "random(4)",
        },
        {
            "surface": "parabola",
            "optimizer": "nag",
            "start": [[0.1], [1e-300]],
            "target_loss": -0.0,
            "name": "ünï: [x]",
        },
    ],
)
def test_a_resolved_experiment_reads_back_as_itself(settings: dict[str, Any], config: Any) -> None:
    experiment = load_experiment(settings)
    assert load_experiment(config(to_yaml(experiment))) == experiment
    assert load_experiment(to_dict(experiment)) == experiment


# Bad input: one clear error with the place, and every problem at once


BAD = {
    "empty file": ("", "x.yaml:1:1: an experiment is a mapping such as 'surface: ravine', but this is empty"),
    "list at top level": ("- surface: ravine", "x.yaml:1:1: an experiment is a mapping"),
    "text at top level": ("ravine", "x.yaml:1:1: an experiment is a mapping"),
    "unknown key": (GOOD + "iteratoins: 5", "x.yaml:3:1: unknown key 'iteratoins' (did you mean 'iterations'?)"),
    "unknown surface": (
        "surface: ravin\noptimizer: sgd",
        "x.yaml:1:10: surface: unknown surface 'ravin' (did you mean 'ravine'?)",
    ),
    "unknown optimizer": (
        "surface: ravine\noptimizer: momentun",
        "x.yaml:2:12: optimizer: unknown optimizer 'momentun' (did you mean 'momentum'?)",
    ),
    "unknown parameter": (
        "surface: {name: ravine, c: 1}\noptimizer: sgd",
        "x.yaml:1:25: ravine has no 'c'; it has a, b",
    ),
    "no surface": ("optimizer: sgd", "x.yaml:1:1: there is no 'surface'"),
    "no optimizer": ("surface: ravine", "x.yaml:1:1: there is no 'optimizer'"),
    "two ways to choose": (GOOD + "optimizers: [sgd]", "both 'optimizer' and 'optimizers' are given"),
    "no optimizers": ("surface: ravine\noptimizers: []", "x.yaml:2:13: optimizers: has no values"),
    "nameless optimizer": ("surface: ravine\noptimizer: {lr: 1}", "x.yaml:2:12: optimizer: write the optimizer's name"),
    "text for a number": (GOOD + "lr: fast", "x.yaml:3:5: lr: 'fast' is not a number"),
    "quoted number": (GOOD + "lr: '0.1'", "x.yaml:3:6: lr: '0.1' is not a number; write numbers without quotes"),
    "flag for a number": (GOOD + "lr: true", "x.yaml:3:5: lr: true is not a number"),
    "null in a list": (GOOD + "lr: [0.1, null]", "x.yaml:3:11: lr[1]: null is not a number"),
    "mapping for a number": (GOOD + "lr: {a: 1}", "x.yaml:3:5: lr: {'a': 1} is not a number"),
    "nan": (GOOD + "lr: .nan", "x.yaml:3:5: lr: nan is not a finite number"),
    "infinity": (GOOD + "lr: [0.1, .inf]", "x.yaml:3:11: lr[1]: inf is not a finite number"),
    "infinite tolerance": (GOOD + "tolerance: .inf", "x.yaml:3:12: tolerance: inf is not a finite number"),
    "negative lr": (GOOD + "lr: -0.1", "x.yaml:3:5: lr: -0.1 is outside 0 ≤ lr"),
    "beta of one": (GOOD + "beta: [0.0, 0.5, 1]", "x.yaml:3:18: beta[2]: 1 is outside 0 ≤ beta < 1"),
    "beta above one": (GOOD + "beta: 1.2", "x.yaml:3:7: beta: 1.2 is outside 0 ≤ beta < 1"),
    "beta out of an axis": (GOOD + "beta: linspace(0, 1, 3)", "x.yaml:3:7: beta: 1 is outside 0 ≤ beta < 1"),
    "start of a wrong dimension": (
        GOOD + "start: [1, 2, 3]",
        "x.yaml:3:8: start: the surface ravine has 2 coordinates, the start has 3",
    ),
    "starts of several dimensions": (
        GOOD + "start: [[1, 2], [3]]",
        "x.yaml:3:8: start: the surface ravine has 2 coordinates, the start has 1",
    ),
    "one coordinate for rosenbrock": (
        "surface: rosenbrock\noptimizer: sgd\nstart: [1]",
        "has 2 or more coordinates, the start has 1",
    ),
    "text in a start": (GOOD + "start: [1, b]", "x.yaml:3:12: start[1]: 'b' is not a number"),
    "nan in a start": (GOOD + "start: [[1, 2], [.nan, 1]]", "x.yaml:3:18: start[1][0]: nan is not a finite number"),
    "no start": (GOOD + "start: []", "x.yaml:3:8: start: the surface ravine has 2 coordinates, the start has 0"),
    "unknown start": (GOOD + "start: middle", "x.yaml:3:8: start: invalid start 'middle': write [x, y]"),
    "bad grid": (GOOD + "start: grid(2.5, 2)", "x.yaml:3:13: start: grid(): counts = 2.5 is not a whole number"),
    "negative iterations": (GOOD + "iterations: -1", "x.yaml:3:13: iterations: -1 is outside 0 ≤ iterations"),
    "half an iteration": (GOOD + "iterations: 1.5", "x.yaml:3:13: iterations: 1.5 is not a whole number"),
    "text for iterations": (GOOD + "iterations: many", "x.yaml:3:13: iterations: 'many' is not a whole number"),
    "negative tolerance": (GOOD + "tolerance: -1e-9", "x.yaml:3:12: tolerance: -1e-09 is outside 0 ≤ tolerance"),
    "empty list": (GOOD + "beta: []", "x.yaml:3:7: beta: has no values"),
    "name of a number": (GOOD + "name: 5", "x.yaml:3:7: name: 5 is not text"),
    "long name": (GOOD + f"name: {'x' * 101}", "x.yaml:3:7: name: is longer than 100 characters"),
    "hyperparameter that none has": (
        "surface: ravine\noptimizers: [sgd, adam]\nbeta: 0.9",
        "x.yaml:3:1: 'beta' is not a hyperparameter of sgd or adam (did you mean 'beta1'?); leave it out",
    ),
    "alias beside its name": (GOOD + "beta: 0.5\nmomentum: 0.5", "x.yaml:4:1: 'beta' is given twice"),
    "vectors of several lengths": (
        "surface: {name: quadratic, eigenvalues: [[1, 2], [3]]}\noptimizer: sgd",
        "the vectors of an axis must have the same length",
    ),
    "unknown axis": (
        GOOD + "lr: linspce(0, 1, 3)",
        "x.yaml:3:5: lr: unknown axis or schedule 'linspce' (did you mean 'linspace'?)",
    ),
    "axis without a count": (GOOD + "lr: linspace(0, 1)", "x.yaml:3:5: lr: linspace(start, stop, count) lacks count"),
    "axis with too much": (GOOD + "lr: linspace(0, 1, 2, 3)", "takes 3 arguments, not 4"),
    "axis with words": (GOOD + "lr: linspace(a, b, c)", "x.yaml:3:14: lr: linspace(): start = 'a' is not a number"),
    "axis that never arrives": (GOOD + "lr: arange(0, 1, -0.1)", "a step of -0.1 never leads from 0 to 1"),
    "axis through zero": (GOOD + "lr: geomspace(0, 1, 5)", "geomspace(): start = 0 is outside 0 < start"),
    "endless axis": (GOOD + "lr: linspace(0, 1, 1e15)", "linspace(): count = 1e+15 is outside 1 ≤ count ≤ 1,000,000"),
    "invalid yaml": (GOOD + "lr: [0.1", "not valid YAML"),
    "tabs": (GOOD + "\tlr: 0.1", "x.yaml:3:1: not valid YAML"),
    "repeated key": (GOOD + "optimizer: sgd", "x.yaml:3:1: the key 'optimizer' is given twice (first at x.yaml:2:1)"),
    "two documents": (GOOD + "---\n" + GOOD, "x.yaml:3:1: a second document begins here"),
    "python object": (GOOD + "lr: !!python/object/apply:os.system ['echo hacked']", "x.yaml:3:5: the tag"),
    "custom tag": ("!secret {surface: ravine}", "x.yaml:1:1: the tag"),
    "recursive alias": (GOOD + "lr: &a [*a]", "the alias *a has no anchor before it"),
    "deep nesting": (GOOD + "lr: " + "[" * 5000 + "]" * 5000, "nested more than 20 deep"),
    "key that is a list": ("? [a]\n: 1", "x.yaml:1:3: a key must be a word"),
    "control characters": ("surface: \x01", "x.yaml: not valid YAML"),
    "binary": (b"\xff\xfe\x00\x01\x80", "x.yaml: not a text file: byte 0 is not UTF-8"),
    "large file": (b"#" * 1_000_001, "x.yaml: larger than 1,000,000 bytes"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_reported_at_its_place(text: str | bytes, message: str, config: Any) -> None:
    with pytest.raises(momentumlab.ConfigError) as caught:
        load_experiment(config(text))
    assert message in str(caught.value)


def test_calls_are_read_inside_braces_and_brackets(config: Any) -> None:
    path = config("surface: ravine\noptimizers: [{name: momentum, lr: linspace(0.01, 0.03, 3), beta: 0.5}, sgd]\n")
    momentum, _ = load_experiment(path).optimizers
    assert momentum.axes["lr"].values == tuple(np.linspace(0.01, 0.03, 3))
    assert momentum.axes["beta"].values == (0.5,)
    with pytest.raises(momentumlab.ConfigError, match=r"x.yaml:2:28: '\(' in 'linspace\(0' is not closed"):
        load_experiment(config("surface: ravine\noptimizer: {name: sgd, lr: linspace(0, b: 2}"))


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable() and "\x85" not in text))
def test_any_name_reads_back_from_the_resolved_experiment(name: str) -> None:
    experiment = load_experiment({"surface": "ravine", "optimizer": "sgd", "name": name})
    root = parse_yaml(to_yaml(experiment), "experiment.yaml")
    assert load_experiment(root.plain()) == experiment


@pytest.mark.parametrize(
    "text",
    ["arange(0, 1, 1e-320)", "arange(-1e308, 1e308, 1)", "linspace(-1e308, 1e308, 5)", "geomspace(1e-320, 1e308, 3)"],
)
def test_axes_that_overflow_are_refused_without_a_warning(text: str) -> None:
    with pytest.raises(momentumlab.ConfigError):
        load_experiment({"surface": "saddle", "optimizer": "sgd", "lr": text, "start": ["x"]})


@pytest.mark.parametrize("text", ["geomspace({}, 1, 5)", "linspace(0, {}, 5)", "tuned(1, {})", "arange(0, {0}, {0})"])
def test_long_integers_are_accepted_as_floats(text: str) -> None:
    load_either({"surface": "ravine", "optimizer": "sgd", "lr": text.format(10**40)})


def test_a_seed_may_be_large() -> None:
    experiment = load_experiment({"surface": "ravine", "optimizer": "sgd", "start": "random(3, seed=20261120)"})
    assert experiment.starts == Random(count=3, seed=20261120, dimension=2)


def test_a_problem_behind_an_alias_has_the_name_of_its_new_place(config: Any) -> None:
    with pytest.raises(momentumlab.ConfigError, match=r"x.yaml:3:18: beta\[1\]: 2 is outside 0 ≤ beta < 1"):
        load_experiment(config("surface: ravine\noptimizer: momentum\nlr: &rates [0.1, 2]\nbeta: *rates\n"))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("surface: ravine\nlrr: 1\n", 2),
        ("surfce: ravine\noptimiser: momentum\n", 4),
        ("surface: ravin\noptimizer: sgd\nstart: [1, x]\nlr: y\n", 3),
        ("surface: ravine\nlr: [a, b]\noptimizers: [{name: sgd, lr: 0.1}]\n", 2),
        ("surface: ravine\nbeta: 7\noptimizers: [{name: momentum, beta: 0.1}]\n", 1),
    ],
)
def test_one_problem_does_not_hide_another(text: str, count: int, config: Any) -> None:
    with pytest.raises(momentumlab.ConfigError) as caught:
        load_experiment(config(text))
    assert len(caught.value.problems) == count


def test_sources_that_are_not_experiments_are_refused() -> None:
    endless: list[Any] = [0.1]
    endless.append(endless)
    for wrong in ({"lr": endless}, {"lr": b"0.1"}):
        with pytest.raises(momentumlab.ConfigError):
            momentumlab.load({"surface": "ravine", "optimizer": "sgd", **wrong})
    with pytest.raises(momentumlab.ConfigError, match="an experiment is a path, a mapping or an Experiment, not 5"):
        momentumlab.load(5)  # type: ignore[arg-type]


def test_an_alias_bomb_is_refused(config: Any) -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    with pytest.raises(momentumlab.ConfigError, match="more than 200,000 values"):
        load_experiment(config("\n".join(lines)))


def test_ordinary_aliases_work(config: Any) -> None:
    experiment = load_experiment(
        config("surface: ravine\nlr: &rates [0.1, 0.2]\noptimizers: [{name: sgd, lr: *rates}]")
    )
    assert experiment.optimizers[0].axes["lr"].values == (0.1, 0.2)


def test_all_problems_are_reported_in_the_order_of_the_file(config: Any) -> None:
    text = "lrr: 1\nsurface: ravin\niterations: -1\noptimizer: {name: adam, beta1: 1.5, eps: 0}\nlr: -2\n"
    with pytest.raises(momentumlab.ConfigError) as caught:
        load_experiment(config(text))
    places = [problem.place for problem in caught.value.problems]
    assert places == ["x.yaml:1:1", "x.yaml:2:10", "x.yaml:3:13", "x.yaml:4:32", "x.yaml:4:42", "x.yaml:5:5"]


def test_a_problem_of_an_override_names_the_option(config: Any) -> None:
    path = config(GOOD)
    with pytest.raises(momentumlab.ConfigError, match=r"^--beta: beta\[1\]: 1.5 is outside 0 ≤ beta < 1$"):
        overridden(path, beta="0.5,1.5")
    with pytest.raises(momentumlab.ConfigError, match="--iterations: 'x' is not a whole number"):
        overridden(path, iterations="x")
    with pytest.raises(momentumlab.ConfigError, match="--optimizers.5.lr: no entry '5': the first of "):
        overridden(config("surface: ravine\noptimizers: [sgd]"), **{"optimizers.5.lr": "1"})
    with pytest.raises(momentumlab.ConfigError, match="--lr.x: 'lr' has no settings such as 'x'"):
        overridden(config(GOOD + "lr: 0.1"), **{"lr.x": "1"})


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(momentumlab.ConfigError, match=r"none\.yaml: no such file"):
        load_experiment(tmp_path / "none.yaml")
    with pytest.raises(momentumlab.ConfigError, match="is a directory"):
        load_experiment(tmp_path)
    with pytest.raises(momentumlab.ConfigError, match="null"):
        load_experiment("a\0b")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("surface: ravine\n[]{}&*!|>'\"-?,#%@`\t0.1e"), max_size=60))
def test_any_text_is_read_or_refused_with_a_config_error(text: str) -> None:
    try:
        tree = parse_yaml(text, "x.yaml").plain()
        load_experiment({"surface": "ravine", "optimizer": "sgd", **(tree if isinstance(tree, dict) else {})})
        make_plan(load_experiment({"surface": "ravine", "optimizer": "sgd", "lr": text}), max_trials=1000)
        make_plan(load_experiment({"surface": text, "optimizer": text, "start": text}), max_trials=1000)
    except momentumlab.ConfigError:
        pass  # any other exception is the failure that this test looks for


@pytest.mark.parametrize("given", ["sepal_length, sepal_width", ["sepal_length", "sepal_width"]])
def test_a_list_of_ignored_columns_is_one_value(given: Any) -> None:
    settings: dict[str, Any] = {"surface": {"name": "softmax", "data": "iris", "ignore": given}, "optimizer": "sgd"}
    experiment = load_experiment(settings)
    assert experiment.trials == 1
    assert experiment.dimension == (2 + 1) * 3
    (typed,) = settings_from_text({"surface.ignore": ("--set surface.ignore", "sepal_length,sepal_width")})
    assert load_experiment({"surface": {"name": "softmax", "data": "iris"}, "optimizer": "sgd"}, [typed]).dimension == 9


def test_a_wrong_call_has_the_same_message_in_yaml_and_options(config: Any) -> None:
    """In YAML at its line and column, on the command line and in Python with its column in the text."""
    message = "unknown axis or schedule 'cosin' (did you mean 'cosine'?)"
    for text, place in (
        ("lr: cosin(0.1)", "x.yaml:3:5"),
        ("lr: 'cosin(0.1)'", "x.yaml:3:6"),
        ("lr: [0.1, cosin(0.1, 0)]", "x.yaml:3:11"),
        ("lr: warmup(5, cosin(0.1))", "x.yaml:3:15"),
    ):
        with pytest.raises(momentumlab.ConfigError) as caught:
            load_experiment(config(GOOD + text))
        (problem,) = caught.value.problems
        assert problem.place == place
        assert "'cosin' (did you mean 'cosine'?)" in problem.message
    with pytest.raises(momentumlab.ConfigError) as typed:
        overridden(config(GOOD), lr="cosin(0.1)")
    with pytest.raises(momentumlab.ConfigError) as called:
        momentumlab.load(surface="ravine", optimizer="momentum", lr="cosin(0.1)")
    assert str(typed.value).startswith(f"--lr: {message}")
    assert str(called.value).startswith(f"argument lr: {message}")
    assert str(typed.value).endswith("(column 1)")


@pytest.mark.parametrize(
    ("key", "optimizer", "suggestion"), [("momentum", "adam", "beta1"), ("beta", "adam", "beta1"), ("mu", "sgd", "")]
)
def test_a_key_of_another_optimizer_gets_the_suggestion_of_a_similar_parameter(
    key: str, optimizer: str, suggestion: str
) -> None:
    with pytest.raises(momentumlab.ConfigError) as caught:
        momentumlab.load(settings={"surface": "ravine", "optimizer": optimizer, key: 0.9})
    assert (f"did you mean '{suggestion}'?" in str(caught.value)) == bool(suggestion)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("text", ["0,9", "1,5"])
def test_a_possible_decimal_comma_is_mentioned(text: str, config: Any) -> None:
    with pytest.raises(momentumlab.ConfigError, match=f"write a decimal point: {text.replace(',', '.')}"):
        overridden(config(GOOD), beta=text)
