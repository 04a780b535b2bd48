"""Hypothesis strategies for cases: plain data, so that a finding can be written down and repeated."""

import base64
import functools
import json
from random import Random
from typing import Any

import yaml
from hypothesis import strategies as st

from momentumlab.config.yaml_reader import parse_yaml
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES
from tests.conftest import CONFIGS, SHIPPED

Case = dict[str, Any]

EXTRA = [
    "surface: &s {name: ravine, a: [0.1, 1]}\noptimizer: {name: momentum, lr: &l [0.1, 0.2], beta: 0.5}\nlr: *l\n",
    "surface: {name: quadratic, eigenvalues: [[1, 2], [3, 4]]}\noptimizers:\n- adam\n- {name: sgd, nesterov: true}\n",
    "surface: rosenbrock\noptimizer: momentum\nlr: warmup(5, cosine(0.1, 0.001))\nbeta: piecewise({0: 0.5, 9: 0.9})\n",
    "surface: [ravine, booth]\noptimizers: [sgd, adam]\nlr: tuned\nobjective: final_loss\nbudget: 4\nzooms: 1\n",
]
SMALL = [*(path.read_text() for path in CONFIGS), *EXTRA]
TEXTS = [*(path.read_text() for path in SHIPPED), *EXTRA]

NUMBERS = [
    "0", "-0", "1", "-1", "0.1", "1e-3", "1e308", "-1e308", "1e309", "1e-320", "1e-400", ".nan", ".inf", "-.inf", "nan",
    "9" * 30, "9" * 400, "1e99999", "0x10", "010", "1_000", "1:30", "1e5", "2.5", "1e15", "100000001", "-1e-9", "٣", "½",
]  # fmt: skip
WORDS = [
    "", "null", "~", "true", "no", "ravine", "booth", "momentum", "adam", "sgd", "tuned", "tuned(0, 2)", "surface", "lr",
    "beta", "name", "start", "iterations", "tolerance", "view", "expression", "optimizer", "optimizers", "a", "dialect",
    "optax", "*a", "&a", "<<", "!!python/name:os.system", "!!binary aGk=", "%s", "{0}", "{", "}", "[", "]", "\t", "\n",
    "\x00", "\x1b[31m", "\u202e", "\ufeff", "🎢", "\ud800", "é" * 60, "x" * 3000, "../../x", "/etc/passwd", "# comment",
    "a: b", "- a", "? a", "|", ">", "'", '"', "x**2", "x**2+y**2", "CON", "nul.txt", ".", "..", "0", "grid(3, 3)",
    "random(2)", "linspace(0, 1, 3)", "geomspace(1, 2, 3)", "arange(0, 1, 0.5)", "final_loss", "--set", "-1,1",
]  # fmt: skip
TOKENS = [
    *"()[]{},:=+-*/^.%!<>|&~@;?'\" \t", "**", "..", " on ", " by ", "x", "y", "z", "a", "lambda", "__import__", "pi", "e",
    "exp", "log", "sin", "cos", "sqrt", "abs", "min", "max", "where", "inf", "nan", "i", "I", "x1", "x2", "x99", "lr", "0",
    "1", "2", "0.5", "1e9", "1e-9", "100", "99999", "linspace", "geomspace", "arange", "grid", "random", "tuned", "seed=",
    *SCHEDULES,
]  # fmt: skip
FORMULAS = [
    "x**2/16 + 9*y**2", "(x**2 - 1)**2 + a*x", "sin(x)*cos(y)", "exp(-x**2)", "sqrt(x**2 + 1)", "abs(x) + y**2",
    "log(1 + x**2)", "x**4 - x**2 on -2..2", "x*y on -1..1 by -2..2", "(1 - x)**2 + 100*(y - x**2)**2", "x**2**2",
]  # fmt: skip
CALLS = [
    "linspace(0, 0.99, 5)", "geomspace(1e-3, 1, 5)", "arange(0, 1, 0.25)", "grid(3, 4)", "random(3, seed=1)",
    "random(5, dimension=2)", "tuned(0.01, 1)", "cosine(0.1, 0.001)", "linear(0.1, 0.01)", "warmup(10, cosine(0.1, 0.01))",
    "piecewise({0: 0.9, 50: 0.5})", "step(0.1, 10, 0.5)", "exponential(0.1, 0.9)", "polynomial(0.1, 0.01, power=2)",
    "inverse(0.1, 10)", "onecycle(0.1)", "nesterov_sequence()", "warmup(3, warmup(3, cosine(0.1, 0.01)))",
]  # fmt: skip
TEXT_KEYS = ("lr", "beta", "start", "surface", "optimizer", "iterations", "tolerance", "target_loss", "surface.a")
COMMANDS = [
    ["list", "surfaces"], ["list", "optimizers"], ["list", "schedules"], ["show", "surface"], ["show", "optimizer"],
    ["show", "schedule"], ["predict"], ["validate"], ["translate"], ["run", "--no-plots"], ["compare", "--no-plots"],
    ["sweep", "--no-plots", "--workers", "1"], ["tune", "--no-plots"], ["--help"], ["nonsense"],
]  # fmt: skip
OPTIONS = [
    "--lr", "--beta", "--start", "--surface", "--optimizer", "--optimizers", "--iterations", "--tolerance", "--set",
    "--name", "--format", "--tag", "--max-trials", "--target-loss", "--record", "--quiet", "--steps", "--seed", "--starts",
    "--from", "--to", "--over", "--budget", "--zooms", "--accuracy", "--objective", "--theory",
]  # fmt: skip


def some(random: Random, kinds: list[str]) -> str:
    return kinds[random.randrange(len(kinds))]


def damaged(random: Random, content: bytes) -> bytes:
    """The same with a few bytes changed, cut out, repeated or put in."""
    pieces = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        at = random.randrange(len(pieces) + 1)
        length = random.choice((1, 1, 2, 5, 20, 100))
        match random.randrange(6):
            case 0:
                del pieces[at : at + length]
            case 1:
                pieces[at:at] = random.randbytes(length)
            case 2:
                pieces[at : at + length] = random.randbytes(length)
            case 3:
                pieces[at:at] = pieces[at : at + length] * random.choice((1, 2, 50))
            case 4:
                pieces[at:at] = some(random, WORDS + NUMBERS).encode(errors="surrogatepass")
            case _ if pieces:
                at %= len(pieces)
                pieces[at] ^= 1 << random.randrange(8)
    return bytes(pieces)


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """A text with a few tokens put in, taken away or repeated."""
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        text = (
            text[:at]
            + draw(st.sampled_from(TOKENS + NUMBERS)) * draw(st.sampled_from([1, 1, 30]))
            + text[at + length :]
        )
    return text


CALL_TEXTS = st.one_of(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=20).map("".join),
    st.sampled_from(CALLS + FORMULAS),
    st.sampled_from(CALLS + FORMULAS).flatmap(edited),
)
"""Axes, schedules, starts and expressions, good or broken."""

SCALARS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 0.5, 1e-3, 1e300, -1e300, 10**40, float("nan"), float("inf"), 100, 1e-310]),
    st.sampled_from([None, True, False]),
    st.sampled_from(WORDS),
    CALL_TEXTS,
    st.sampled_from([*SURFACES, *OPTIMIZERS]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
"""Any plain data."""


@st.composite
def mutated(draw: st.DrawFn, tree: Any) -> Any:
    """A tree with one of its values replaced, removed, wrapped or repeated."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(list(tree)))
        match draw(st.integers(0, 5)):
            case 0:
                return {**tree, draw(st.sampled_from(WORDS)): draw(VALUES)}
            case 1:
                return {k: v for k, v in tree.items() if k != key}
            case 2:
                return {(draw(st.sampled_from(WORDS)) if k == key else k): v for k, v in tree.items()}
            case _:
                return {**tree, key: draw(mutated(tree[key]))}
    if isinstance(tree, list) and tree and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(tree) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                return [*tree[:at], *tree[at + 1 :]]
            case 1:
                return [*tree, *tree]
            case _:
                return [*tree[:at], draw(mutated(tree[at])), *tree[at + 1 :]]
    return draw(VALUES | st.sampled_from([[tree], {"name": tree}, [tree, tree]]))


@functools.cache
def tree_of(text: str) -> Any:
    return parse_yaml(text, "x.yaml").plain()


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """A shipped configuration with some values replaced."""
    tree = tree_of(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 3))):
        tree = draw(mutated(tree))
    return tree


def a_file(content: str | bytes) -> str:
    return base64.b64encode(content.encode(errors="surrogatepass") if isinstance(content, str) else content).decode()


def yaml_file(tree: Any) -> str:
    return a_file(yaml.safe_dump(tree, allow_unicode=True, default_flow_style=None))


def nested(depth: int, brackets: tuple[str, str], aliases: int, size: int) -> list[str]:
    """Texts of great depth, many aliases, and size."""
    opening, closing = brackets
    named = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else '1'}]" for i in range(aliases)]
    base = "surface: ravine\noptimizer: sgd\n"
    return [
        f"{base}lr: {opening * depth}{closing * depth}\n",
        "\n".join([*named, base, f"lr: *a{max(0, aliases - 1)}"]),
        f"{base}lr: [{'0.1, ' * size}]\n",
        f"{base}{'k' * size}: 1\n",
        f"{base}start: [{'[1, 2], ' * min(size, 20_000)}]\n",
        f"surface: '{'(' * depth}x{')' * depth}'\noptimizer: sgd\n",
        f"surface: '{'x+' * depth}x**2'\noptimizer: sgd\n",
        f"{base}lr: {'warmup(1, ' * depth}0.1{')' * depth}\n",
    ]


NESTED = st.builds(
    nested,
    st.sampled_from([5, 19, 20, 21, 100, 3000]),
    st.sampled_from([("[", "]"), ("{", "}"), ("{a: ", "}"), ("[a, ", "]"), ("? ", ""), ("- ", "")]),
    st.integers(0, 11),
    st.sampled_from([10, 30_000, 70_000]),
).flatmap(st.sampled_from)

KEYS = [*TEXT_KEYS, "optimizers.0.lr", "optimizers.9", "surface.name", "name", "a.b.c", "", ".", "beta.0", "view"]
SETTINGS = st.dictionaries(
    st.sampled_from([*KEYS, *WORDS]), CALL_TEXTS | st.sampled_from(NUMBERS + WORDS), min_size=1, max_size=4
) | st.dictionaries(
    st.sampled_from(TEXT_KEYS), st.sampled_from(["0.1", "0.5", "1", "ravine", "sgd", *CALLS]), min_size=1
)


@st.composite
def commands(draw: st.DrawFn) -> Case:
    """A command line."""
    arguments = [*draw(st.sampled_from(COMMANDS))]
    texts = CALL_TEXTS | st.sampled_from(WORDS) | st.sampled_from(NUMBERS) | st.sampled_from([*OPTIMIZERS])
    for _ in range(draw(st.integers(0, 4))):
        text, option = draw(texts), draw(st.sampled_from(OPTIONS))
        arguments += draw(st.sampled_from([[option, text], [f"{option}={text}"], [text], [option]]))
    files = SMALL if "predict" in arguments else TEXTS  # a quarter of a million predictions take longer
    return {"file": a_file(draw(st.sampled_from(files))), "command": arguments}


NAMES = st.sampled_from([*WORDS, "n" * 300]) | st.text(st.characters(max_codepoint=0x3000), min_size=20, max_size=20)
PARTS = ["partial.json", "experiment.yaml", "blocks/0.npz", "blocks/1.npz", "blocks/99999999999.npz", "result.json"]
CHANGES = st.one_of(
    st.fixed_dictionaries(
        {"how": st.sampled_from(["damaged", "removed", "empty", "random", "folder"]), "seed": st.integers(0, 10**9)}
    ),
    st.fixed_dictionaries({"how": st.just("json"), "json": VALUES}),
    st.fixed_dictionaries(
        {
            "how": st.just("header"),
            "shape": st.sampled_from([[10**12], [10**6, 10**6], [-1], [0], [3, 10**9], [2**63]]),
            "type": st.sampled_from(["<f8", "|O", "<U10", "|V8", "<i4"]),
        }
    ),
)
MEMBERS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["block_trials", "complete", "experiment", "other"]),
    st.sampled_from([0, -1, 1, True, 10**12, "5", None, 1.5, [], {}, 2**18]) | VALUES,
    min_size=1,
    max_size=1,
)

DATA_TEXTS = ["x,z,y\n1,0,2\n2,1,3\n3,0,4.5\n4,1,4\n", "a;b;y\n1;2;no\n2;3;yes\n4;4;no\n", "x\ty\n1\t0\n2\t1\n3\t0\n"]
CELLS = [*NUMBERS, *WORDS, ",", ";", '"', '""', "\r", "\r\n", "\n\n", "x,y\n", "1,5", "NA", "inf", "\ufeff"]


@st.composite
def tables(draw: st.DrawFn) -> Case:
    """A configuration whose data file is damaged as bytes, or has other cells."""
    text = draw(st.sampled_from(DATA_TEXTS))
    for _ in range(draw(st.integers(0, 2))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        text = text[:at] + draw(st.sampled_from(CELLS) | st.sampled_from("0123456789.")) + text[at + length :]
    content = text.encode(errors="surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        content = damaged(Random(draw(st.integers(0, 2**32))), content)
    model = draw(st.sampled_from(["least_squares", "logistic", "softmax", "mlp"]))
    surface: dict[str, Any] = {"name": model, "data": "t.csv"}
    for key in draw(
        st.just([]) | st.lists(st.sampled_from(["target", "ignore", "batch_size", "standardise"]), max_size=2)
    ):
        surface[key] = draw(st.sampled_from(["x", "y", "x,z", 2, True, *WORDS[:20]]))
    return {"file": yaml_file({"surface": surface, "optimizer": "sgd"}), "files": {"t.csv": a_file(content)}}


RECORD_KEYS = [
    "format", "kind", "name", "started", "trials", "optimizers", "surfaces", "plugins", "data", "identity", "best_loss",
    "recorded", "strides", "digest", "origin", "files", "process", "block_trials", "experiment_sha256", "notes",
    "provenance", "settings",
]  # fmt: skip
RECORD_VALUES = st.one_of(
    VALUES,
    st.sampled_from([
        [{"file": "/etc/passwd", "sha256": "0", "copy": "../../x"}], [{"file": "a.py", "sha256": "0"}], {"../x": 1},
        {"/etc/passwd": 1}, "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-23:59", 10**400, [10**12], "sweep",
        "comparison", "run", {"host": "x", "pid": 1}, [[[[]]]], {"experiment.yaml": 0},
    ]),
)  # fmt: skip
FOLDER_PARTS = [
    "run.json", "run.json", "partial.json", "result.json", "experiment.yaml", "summary.csv", "trajectories.npz",
    "sweep.npz", "search.npz", "best.yaml", "data-1-t.csv", "loss.png", ".lock", "blocks", "blocks/0.npz", "notes.txt",
    ".run.json.1.part",
]  # fmt: skip
FOLDER_CHANGES = st.one_of(
    CHANGES,
    st.fixed_dictionaries({"how": st.sampled_from(["fifo", "link", "sparse", "locked away"])}),
    st.fixed_dictionaries(
        {
            "how": st.just("members"),
            "members": st.dictionaries(st.sampled_from(RECORD_KEYS), RECORD_VALUES, min_size=1, max_size=2),
        }
    ),
)
OPERATIONS = [
    ["list"], ["list", "--format", "json"], ["list", "--format", "csv"], ["list", "--since", "1d", "--name", "r*"],
    ["show", "RUN"], ["show", "RUN", "--format", "json"], ["show", "RUN", "--steps"], ["compare", "RUN", "HEALTHY"],
    ["export", "RUN"], ["export", "RUN", "--to", "OUT/export.csv"], ["rerun", "RUN"], ["rerun", "RUN/loss.png"],
    ["plot", "RUN", "--only", "loss", "--to", "OUT/figures"], ["rm", "RUN", "--yes"], ["clean", "--yes"],
    ["clean", "--partial", "--yes"], ["show", "latest"],
]  # fmt: skip
FOLDER_CASES = st.fixed_dictionaries(
    {
        "template": st.sampled_from(["run", "sweep", "comparison", "data", "unfinished"]),
        "damage": st.dictionaries(st.sampled_from(FOLDER_PARTS), FOLDER_CHANGES, min_size=1, max_size=2),
        "forgets sizes": st.booleans(),
        "operations": st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=3),
    }
)

REQUEST: dict[str, Any] = {
    "settings": {"surface": "ravine", "optimizer": "momentum", "lr": "0.1", "beta": "0.5", "iterations": "20"},
    "pins": [{"optimizer": "adam", "lr": "0.3"}],
    "chosen": {"lr": "0.05"},
    "view": 1,
    "map": True,
    "fit": False,
    "moving": False,
    "tab": "tab",
    "number": 1,
}
LIVE_KEYS = [
    "lr", "beta", "start", "iterations", "tolerance", "patience", "gradient_tolerance", "target_loss", "noise", "surface",
    "replicates", "seed", "optimizer", "surface.a", "surface.data", "surface.name", "dampening", "plugin", "name", "",
]  # fmt: skip
LIVE_TEXTS = st.one_of(
    CALL_TEXTS,
    st.sampled_from(NUMBERS + WORDS),
    st.sampled_from([*SURFACES, *OPTIMIZERS]),
    st.sampled_from(
        ["20", "1000000", "[[1, 2], [3, 4]]", "two_moons", "two_moons(10**9)", "gaussian(0.1)", "[0.1, 0.2]"]
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> Case:
    """A request to the live server: with other settings, another structure, or damaged bytes."""
    body: Any = REQUEST
    if draw(st.booleans()):
        changes = draw(st.dictionaries(st.sampled_from(LIVE_KEYS), LIVE_TEXTS, max_size=3))
        body = {**body, "settings": {**body["settings"], **changes}}
    else:
        body = draw(mutated(body))
    paths = ["/answer"] * 6 + ["/configuration", "/page", "/", "/etc/passwd", "//", "/answer?x=1"]
    seed = draw(st.integers(0, 2**32)) if draw(st.integers(0, 4)) == 0 else None
    return {"request": json.dumps(body), "path": draw(st.sampled_from(paths)), "seed": seed}


KINDS: dict[str, st.SearchStrategy[Case]] = {
    "request": requests(),
    "damaged file": st.builds(
        lambda seed, text: {"file": a_file(damaged(Random(seed), text.encode()))},
        st.integers(0, 2**32),
        st.sampled_from(TEXTS),
    ),
    "changed tree": trees().map(lambda tree: {"file": yaml_file(tree)}),
    "nested file": NESTED.map(lambda text: {"file": a_file(text)}),
    "overrides": st.fixed_dictionaries({"file": st.sampled_from(TEXTS).map(a_file), "settings": SETTINGS}),
    "texts": st.builds(
        lambda iterations, key, text: {
            "mapping": {"surface": "ravine", "optimizer": "momentum", "iterations": iterations, key: text}
        },
        st.sampled_from([0, 1, 10, 1000]),
        st.sampled_from(TEXT_KEYS[:5]),
        CALL_TEXTS,
    ),
    "table": tables(),
    "run folder": FOLDER_CASES,
    "command": commands(),
    "run": st.builds(
        lambda tree, name: {"file": yaml_file(tree), "command": ["run", "--no-plots"], "name": name},
        st.sampled_from(TEXTS).map(tree_of) | trees(),
        NAMES,
    ),
    "sweep folder": st.fixed_dictionaries(
        {"changes": st.dictionaries(st.sampled_from(PARTS), CHANGES, min_size=1, max_size=2)}
    )
    | st.fixed_dictionaries(
        {
            "changes": st.fixed_dictionaries(
                {"partial.json": st.fixed_dictionaries({"how": st.just("members"), "members": MEMBERS})}
            )
        }
    ),
}


def as_json(case: Case) -> str:
    return json.dumps(case, indent=1)
