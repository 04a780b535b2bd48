"""``translate`` through the real command: what is printed, as a table and as data, and what is refused."""

import re

import pytest

from momentumlab.cli.options import PROOF_SCHEDULES
from momentumlab.conventions import CONVENTIONS, MomentumConvention
from momentumlab.conventions.proof import SCHEDULE_WORDS, SCHEDULES
from tests.conftest import Command
from tests.test_cli import strict_json

MOMENTUM = [name for name, cls in CONVENTIONS.items() if issubclass(cls, MomentumConvention)]
HINT = "'momentumlab list conventions' shows all"
LISTED = "is more than one value; translate takes one at a time"


def flat(text: str) -> str:
    """The text without its line breaks: notes are as wide as the terminal."""
    return re.sub(r"\s+", " ", text)


def test_the_main_translation(command: Command) -> None:
    done = command("translate", "--from", "keras", "--to", "torch", "--lr", "0.01", "--beta", "0.9")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("keras → torch: the same path as long as lr is constant\n")
    for part in (
        "v ← β v − lr·g, x ← x + v",
        "v ← β v + g, x ← x − lr·v",
        "keras keras.optimizers.SGD(learning_rate=0.01, momentum=0.9)",
        "torch torch.optim.SGD(params, lr=0.01, momentum=0.9)",
        "When lr changes, keras keeps the old lr for past gradients",
        "if the velocity of torch is multiplied by lr before / lr now",
    ):
        assert part in flat(done.stdout), part
    rows = {line[:20].strip(): line.split()[-2:] for line in done.stdout.splitlines() if "e-" in line}
    assert [float(number) < 1e-14 for number in rows["lr constant"]] == [True, True]
    halved = next(line for line in done.stdout.splitlines() if line.startswith("lr halved after step 100  "))
    assert all(1e-3 < float(number) < 1 for number in halved.split()[-2:])


@pytest.mark.parametrize(
    ("arguments", "title", "parts"),
    [
        (
            "--from torch --to keras --dampening 0.3",
            "torch → keras: not exact; the nearest with the same step in the long run",
            ["does not dampen the first gradient", "1.429 times as much", "learning_rate=0.007", "gradient zero"],
        ),
        (
            "--from qhm --nu 0.7 --beta 0.99 --to torch",
            "qhm → torch: not exact; the nearest with the same step in the long run",
            ["by the factor 0.02257 from its first to its second step", "only be β = 0.99 or β²/(1 + β) = 0.4925"],
        ),
        (
            "--from qhm --nu 0.9 --lr 1 --to pytorch",
            "qhm → torch: the same path, also when lr changes",
            ["torch.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True)"],
        ),
        (
            "--from torch --nesterov --to sutskever",
            "torch → sutskever: the same path as long as lr is constant",
            ["v ← β v − lr·∇f(θ + β v), θ ← θ + v", "The parameters of torch are the look-ahead point of sutskever"],
        ),
        (
            "--from two_sequence --to sutskever",
            "two_sequence → sutskever: the same path, also when lr changes",
            ["Both store the same point", "what is stored, lr constant"],
        ),
        (
            "--from debiased --to ema",
            "ema_debiased → ema: not exact; the nearest with the same step in the long run",
            ["divides by 1 − βᵗ", "lr / (1 − βᵗ) in step t of ema gives the same path", "debias=True"],
        ),
    ],
)
def test_what_is_said_of_others(command: Command, arguments: str, title: str, parts: list[str]) -> None:
    done = command("translate", *arguments.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == title
    for part in parts:
        assert part in flat(done.stdout), part


def test_all_conventions_at_once_fit_80_columns(command: Command) -> None:
    done = command("translate", "--from", "torch", "--nesterov", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout == command("translate", "--from", "torch", "--nesterov", "--to", "all", COLUMNS="80").stdout
    table = [line.split() for line in done.stdout.splitlines()[2 : 2 + len(MOMENTUM)]]
    assert sorted(row[0] for row in table) == sorted(MOMENTUM)
    rows = {row[0]: " ".join(row) for row in table}
    assert rows["keras"].endswith("constant lr only")
    assert rows["qhm"].endswith("e-16 exact")
    assert rows["ema"].endswith("not exact")


def test_data_are_the_same_for_one_and_for_all(command: Command) -> None:
    one = strict_json(command("translate", "--from", "keras", "--to", "ema", "--format", "json").stdout)
    every = strict_json(command("translate", "--from", "keras", "--format", "json").stdout)
    assert one["from"] == every["from"]
    assert one["translations"] == [found for found in every["translations"] if found["to"]["convention"] == "ema"]
    (found,) = one["translations"]
    assert found["to"]["hyperparameters"] == {"lr": 0.1, "beta": 0.9}
    assert found["to"]["call"] == "optax.chain(optax.ema(0.9, debias=False), optax.scale_by_learning_rate(0.1))"
    assert (found["exact"], found["survives_changing_lr"], found["why_not"]) == (True, False, [])
    assert [check["question"] for check in found["checks"]][:2] == ["lr constant", "lr halved after step 100"]
    assert set(found["checks"][0]["differences"]) == {"ravine", "rosenbrock"}
    assert [translation["to"]["convention"] for translation in every["translations"]] == [
        name for name in MOMENTUM if name != "keras"
    ]


def test_the_schedule_is_the_one_that_is_asked_for(command: Command) -> None:
    measured = {}
    for name in PROOF_SCHEDULES:
        arguments = ["translate", "--from", "torch", "--to", "keras", "--schedule", name, "--format", "json"]
        (found,) = strict_json(command(*arguments).stdout)["translations"]
        assert found["checks"][1]["question"] == SCHEDULE_WORDS[name]
        measured[name] = found["checks"][1]["differences"]["ravine"]
    assert len(set(measured.values())) == len(PROOF_SCHEDULES)


def test_schedules_have_one_list_of_names() -> None:
    assert list(PROOF_SCHEDULES) == list(SCHEDULES) == list(SCHEDULE_WORDS)


@pytest.mark.parametrize(
    ("arguments", "complaints"),
    [
        (
            "--from kers --to tor",
            [
                f"--from: unknown convention 'kers' (did you mean 'keras'?); {HINT}",
                f"--to: unknown convention 'tor' (did you mean 'torch'?); {HINT}",
            ],
        ),
        (
            "--from ema --lr 0.1,0.2 --beta 1 --nesterov",
            [
                f"--lr: '0.1,0.2' {LISTED}",
                "--beta: 1 is outside 0 ≤ beta ≤ 0.999999",
                "--nesterov: ema has no nesterov; it has lr, beta",
            ],
        ),
        ("--from torch --lr 0", ["--lr: 0 is outside 1e-30 ≤ lr ≤ 1e+30"]),
        ("--from torch --lr 1e999", ["--lr: inf is not a finite number"]),
        ("--from torch --lr nan", ["--lr: nan is not a finite number"]),
        ("--from torch --beta=-1", ["--beta: -1 is outside 0 ≤ beta ≤ 0.999999"]),
        ("--from torch --lr=", ["--lr: a value is missing"]),
        ("--from torch --lr linspace(0,1,3)", [f"--lr: 'linspace(0,1,3)' {LISTED}"]),
        ("--from torch --dampening 1", ["--dampening: 1 is outside 0 ≤ dampening < 1"]),
        ("--from keras --nu 0.5", ["--nu: keras has no nu; it has lr, beta, nesterov"]),
        (
            "--from torch --nesterov --dampening 0.1",
            ["--nesterov: PyTorch refuses Nesterov's method with dampening; leave out one of the two"],
        ),
        (
            "--from torch --nesterov --beta 0",
            ["--nesterov: PyTorch refuses Nesterov's method without momentum; give a larger beta"],
        ),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_option(command: Command, arguments: str, complaints: list[str]) -> None:
    done = command("translate", *arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == complaints


def test_conventions_are_listed_and_shown(command: Command) -> None:
    entries = strict_json(command("list", "conventions", "--format", "json").stdout)
    assert [entry["name"] for entry in entries] == sorted(CONVENTIONS)
    text = command("show", "convention", "tf2").stdout
    for part in ("tf2, lr_inside", "v ← β v − lr·g,  x ← x + v", "keras.optimizers.SGD", "0.9"):
        assert part in text
