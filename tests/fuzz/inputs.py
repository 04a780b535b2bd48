"""Cases made at random: plain data, so that a finding can be written down and tried again."""

import base64
import functools
import json
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

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


def some(random: Random, kinds: list[Any]) -> Any:
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


def value(random: Random, depth: int = 0) -> Any:
    """Any plain data."""
    match random.randrange(8 if depth < 3 else 5):
        case 0:
            return random.choice(
                [0, 1, -1, 2, 0.5, 1e-3, 1e300, -1e300, 10**40, float("nan"), float("inf"), 100, 1e-310]
            )
        case 1:
            return random.choice([None, True, False])
        case 2:
            return some(random, WORDS)
        case 3:
            return call(random)
        case 4:
            return some(random, [*SURFACES, *OPTIMIZERS])
        case 5 | 6:
            return [value(random, depth + 1) for _ in range(random.choice((0, 1, 2, 3, 7)))]
        case _:
            return {some(random, WORDS): value(random, depth + 1) for _ in range(random.choice((0, 1, 2, 4)))}


def mutated(random: Random, tree: Any) -> Any:
    """The same tree with one of its values replaced, taken away, wrapped or doubled."""
    if isinstance(tree, dict) and tree and random.random() < 0.8:
        key = random.choice(list(tree))
        match random.randrange(6):
            case 0:
                return {**tree, some(random, WORDS): value(random)}
            case 1:
                return {k: v for k, v in tree.items() if k != key}
            case 2:
                return {(some(random, WORDS) if k == key else k): v for k, v in tree.items()}
            case _:
                return {**tree, key: mutated(random, tree[key])}
    if isinstance(tree, list) and tree and random.random() < 0.8:
        at = random.randrange(len(tree))
        match random.randrange(4):
            case 0:
                return [*tree[:at], *tree[at + 1 :]]
            case 1:
                return [*tree, *tree]
            case _:
                return [*tree[:at], mutated(random, tree[at]), *tree[at + 1 :]]
    return random.choice([value(random), [tree], {"name": tree}, [tree, tree]])


def call(random: Random) -> str:
    """An axis, a schedule, starts or an expression, good or broken."""
    match random.randrange(4):
        case 0:
            return "".join(some(random, TOKENS) for _ in range(random.choice((1, 3, 8, 20))))
        case 1:
            return str(some(random, CALLS + FORMULAS))
        case _:
            text = str(some(random, CALLS + FORMULAS))
            for _ in range(random.choice((1, 1, 2, 4))):
                at, length = random.randrange(len(text) + 1), random.choice((0, 1, 2))
                text = text[:at] + some(random, TOKENS + NUMBERS) * random.choice((1, 1, 30)) + text[at + length :]
            return text


def yaml_of(tree: Any) -> str:
    text: str = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=None)
    return text


def a_file(content: bytes) -> str:
    return base64.b64encode(content).decode()


@functools.cache
def tree_of(text: str) -> Any:
    return parse_yaml(text, "x.yaml").plain()


def damaged_file(random: Random) -> Case:
    """A configuration with damaged bytes."""
    return {"file": a_file(damaged(random, some(random, TEXTS).encode()))}


def changed_tree(random: Random) -> Case:
    """A configuration of which some values are others."""
    tree = tree_of(some(random, TEXTS))
    for _ in range(random.choice((1, 1, 2, 4))):
        tree = mutated(random, tree)
    return {"file": a_file(yaml_of(tree).encode(errors="surrogatepass"))}


def nested_file(random: Random) -> Case:
    """Depth, aliases, and size."""
    depth = random.choice((5, 19, 20, 21, 100, 3000))
    opening, closing = random.choice(("[]", "{}", ("{a: ", "}"), ("[a, ", "]"), ("? ", ""), ("- ", "")))
    aliases = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else '1'}]" for i in range(random.randrange(12))]
    text = random.choice(
        (
            f"surface: ravine\nlr: {opening * depth}{closing * depth}\noptimizer: sgd\n",
            "\n".join([*aliases, "surface: ravine", "optimizer: sgd", f"lr: *a{max(0, len(aliases) - 1)}"]),
            f"surface: ravine\noptimizer: sgd\nlr: [{'0.1, ' * random.choice((10, 30_000, 70_000))}]\n",
            f"surface: ravine\noptimizer: sgd\n{'k' * random.choice((1, 100_000))}: 1\n",
            f"surface: ravine\noptimizer: sgd\nstart: [{'[1, 2], ' * random.choice((3, 20_000))}]\n",
            f"surface: '{'(' * depth}x{')' * depth}'\noptimizer: sgd\n",
            f"surface: '{'x+' * depth}x**2'\noptimizer: sgd\n",
            f"surface: ravine\noptimizer: sgd\nlr: {'warmup(1, ' * depth}0.1{')' * depth}\n",
        )
    )
    return {"file": a_file(text.encode())}


def overrides(random: Random) -> Case:
    """Settings as they are typed."""
    keys = [*TEXT_KEYS, "optimizers.0.lr", "optimizers.9", "surface.name", "name", "a.b.c", "", ".", "beta.0", "view"]
    settings = {
        random.choice([*keys, some(random, WORDS)]): random.choice([call(random), some(random, NUMBERS + WORDS)])
        for _ in range(random.choice((1, 1, 2, 4)))
    }
    return {"file": a_file(some(random, TEXTS).encode()), "settings": settings}


def grammar_texts(random: Random) -> Case:
    """Axes, schedules, starts and expressions in their places."""
    base = {"surface": "ravine", "optimizer": "momentum", "iterations": random.choice((0, 1, 10, 1000))}
    return {"mapping": {**base, random.choice(TEXT_KEYS[:5]): call(random)}}


def commands(random: Random) -> Case:
    """A command line."""
    arguments = [*some(random, COMMANDS)]
    for _ in range(random.choice((0, 1, 2, 4))):
        text = random.choice([call(random), some(random, WORDS), some(random, NUMBERS), some(random, list(OPTIMIZERS))])
        option = some(random, OPTIONS)
        arguments += random.choice(([option, text], [f"{option}={text}"], [text], [option]))
    texts = SMALL if "predict" in arguments else TEXTS  # a quarter of a million predictions take longer
    return {"file": a_file(some(random, texts).encode()), "command": arguments}


def runs(random: Random) -> Case:
    """A small experiment, with any name."""
    tree = tree_of(some(random, TEXTS))
    if random.random() < 0.7:
        tree = mutated(random, tree)
    name = random.choice([some(random, WORDS), "".join(chr(random.randrange(1, 0x3000)) for _ in range(20)), "n" * 300])
    return {
        "file": a_file(yaml_of(tree).encode(errors="surrogatepass")),
        "command": ["run", "--no-plots"],
        "name": name,
    }


PARTS = ["partial.json", "experiment.yaml", "blocks/0.npz", "blocks/1.npz", "blocks/99999999999.npz", "result.json"]


def sweep_folders(random: Random) -> Case:
    """The folder of an interrupted sweep in which something is damaged, missing, or something else."""
    changes: dict[str, dict[str, Any]] = {}
    for _ in range(random.choice((1, 1, 2))):
        part = random.choice(PARTS[:3] if random.random() < 0.8 else PARTS)
        change: dict[str, Any] = {"seed": random.randrange(10**9)}
        change["how"] = random.choice(["damaged", "damaged", "removed", "empty", "random", "folder", "json", "header"])
        if change["how"] == "json":
            change["json"] = value(random)
        if change["how"] == "header":
            change["shape"] = random.choice([[10**12], [10**6, 10**6], [-1], [0], [3, 10**9], [2**63]])
            change["type"] = random.choice(["<f8", "|O", "<U10", "|V8", "<i4"])
        changes[part] = change
    if random.random() < 0.3:
        changes["partial.json"] = {
            "how": "members",
            "members": {
                random.choice(["block_trials", "complete", "experiment", "other"]): random.choice(
                    [0, -1, 1, True, 10**12, "5", None, 1.5, [], {}, 2**18, value(random)]
                )
            },
        }
    return {"changes": changes}


KINDS: dict[str, Callable[[Random], Case]] = {
    "damaged file": damaged_file,
    "changed tree": changed_tree,
    "nested file": nested_file,
    "overrides": overrides,
    "texts": grammar_texts,
    "command": commands,
    "run": runs,
    "sweep folder": sweep_folders,
}

SHARES = {"nested file": 1, "run": 3, "sweep folder": 3, "command": 3}
"""How often a kind comes in the long script, of those that take longer; others come 30 times."""


def as_json(case: Case) -> str:
    return json.dumps(case, indent=1)
