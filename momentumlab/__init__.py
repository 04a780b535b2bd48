"""momentumlab: experiments with first-order optimizers on loss surfaces.

These functions do everything that the command line does; docs/python.md describes them::

    import momentumlab
    result = momentumlab.run("configs/ravine_beta_sweep.yaml", beta=[0.0, 0.5, 0.9])
    result.iterations, result.final_points, result.positions
    result.plot_trajectories()

=================================================  ==================================================================
name                                               content
=================================================  ==================================================================
`run`, `sweep`, `compare`, `tune`                  run experiments: a `Result`, a `Sweep`, a `ComparisonResult`
`predict`, `translate`, `check`, `explore`         predictions, conventions of libraries, contract tests, a page
`load`, `load_plugin`                              an `Experiment`, a file with your own classes
`open_run`, `list_runs`, `rerun`                   run folders
`surfaces`, `optimizers`, `schedules`              classes that can be given instead of names
`least_squares`, `logistic`, `softmax`, `mlp`      surfaces of your own arrays
=================================================  ==================================================================

The way of the data, and the module of each step::

    YAML + overrides ──► Experiment ──► Plan ──► executor ──► engine ──► Result ──► Report ──► table · figures · files
    config               experiment     plan     executor     engine     result     report     report, runs

Names are imported when they are first used, which keeps the command line fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from momentumlab import optimizers as optimizers
    from momentumlab import schedules as schedules
    from momentumlab import surfaces as surfaces
    from momentumlab.api import compare as compare
    from momentumlab.api import explore as explore
    from momentumlab.api import laboratory as laboratory
    from momentumlab.api import load as load
    from momentumlab.api import predict as predict
    from momentumlab.api import rerun as rerun
    from momentumlab.api import run as run
    from momentumlab.api import sweep as sweep
    from momentumlab.api import sweep_shard as sweep_shard
    from momentumlab.api import translate as translate
    from momentumlab.api import tune as tune
    from momentumlab.errors import ConfigError as ConfigError
    from momentumlab.errors import MomentumLabError as MomentumLabError
    from momentumlab.errors import PluginError as PluginError
    from momentumlab.experiment import Experiment as Experiment
    from momentumlab.optimizers import OPTIMIZERS as OPTIMIZERS
    from momentumlab.optimizers import Optimizer as Optimizer
    from momentumlab.plugins import load_plugin as load_plugin
    from momentumlab.report.figure_options import FigureOptions as FigureOptions
    from momentumlab.result import Result as Result
    from momentumlab.result import Status as Status
    from momentumlab.runs.read import open_run as open_run
    from momentumlab.runs.records import list_runs as list_runs
    from momentumlab.search import ComparisonResult as ComparisonResult
    from momentumlab.search.sweeps import Sweep as Sweep
    from momentumlab.surfaces import SURFACES as SURFACES
    from momentumlab.surfaces import Surface as Surface
    from momentumlab.surfaces.data.given_arrays import least_squares as least_squares
    from momentumlab.surfaces.data.given_arrays import logistic as logistic
    from momentumlab.surfaces.data.given_arrays import mlp as mlp
    from momentumlab.surfaces.data.given_arrays import softmax as softmax
    from momentumlab.testing.checking import check as check

__version__ = "0.1.0"

_PACKAGES = ("optimizers", "schedules", "surfaces")

_NAMES = {
    "api": (
        "compare",
        "explore",
        "laboratory",
        "load",
        "predict",
        "rerun",
        "run",
        "sweep",
        "sweep_shard",
        "translate",
        "tune",
    ),
    "errors": ("ConfigError", "MomentumLabError", "PluginError"),
    "experiment": ("Experiment",),
    "optimizers": ("OPTIMIZERS", "Optimizer"),
    "plugins": ("load_plugin",),
    "report.figure_options": ("FigureOptions",),
    "result": ("Result", "Status"),
    "runs.read": ("open_run",),
    "runs.records": ("list_runs",),
    "search": ("ComparisonResult",),
    "search.sweeps": ("Sweep",),
    "surfaces": ("SURFACES", "Surface"),
    "surfaces.data.given_arrays": ("least_squares", "logistic", "mlp", "softmax"),
    "testing.checking": ("check",),
}
"""The public names by the module that defines them."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_HOMES, *_PACKAGES]  # noqa: PLE0604 - names, as the table above


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"momentumlab.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'momentumlab' has no attribute '{name}'")
    return getattr(import_module(f"momentumlab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_PACKAGES})
