"""Registries: import of families on demand, names in any case, and reserved names."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

import momentumlab
from momentumlab import optimizers, schedules, surfaces
from momentumlab.errors import DeclarationError, UnknownNameError
from momentumlab.noise import Gaussian
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.parameters import parameter
from momentumlab.registry import Registry
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES

PACKAGES = [(surfaces, SURFACES), (optimizers, OPTIMIZERS), (schedules, SCHEDULES)]


@pytest.mark.parametrize(("package", "registry"), PACKAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_table_of_families_is_what_the_modules_register(package: Any, registry: Registry[Any]) -> None:
    declared = {name: f"{package.__name__}.{module}" for module, names in package.FAMILIES.items() for name in names}
    own = {name: cls for name, cls in registry.items() if name not in registry.plugins()}
    registered = {word: cls.__module__ for name, cls in own.items() for word in (name, *registry.aliases(name))}
    assert registered == declared


def test_a_run_imports_only_the_families_that_it_names() -> None:
    program = """
import json, sys, momentumlab
momentumlab.run(surface="ravine", optimizer="momentum", iterations=1)
print(json.dumps([name for name in sys.modules if name.startswith("momentumlab.")]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    families = {f"{package.__name__}.{module}" for package, _ in PACKAGES for module in package.FAMILIES}
    assert loaded & families == {"momentumlab.surfaces.quadratics", "momentumlab.optimizers.momentum"}


@pytest.mark.parametrize("name", ["adam", "Adam", "ADAM", "NAG", "Heavy_Ball"])
def test_names_are_accepted_in_any_case(name: str) -> None:
    assert OPTIMIZERS.canonical(name) == OPTIMIZERS.canonical(name.lower())
    assert momentumlab.load(surface="Ravine", optimizer=name).optimizers[0].name == OPTIMIZERS.canonical(name.lower())


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown optimizer 'adm' \(did you mean 'adam'\?\)"):
        OPTIMIZERS["adm"]


def define(name: str, *, qualname: str, module: str) -> type[Any]:
    @dataclass(frozen=True, kw_only=True)
    class Entry:
        """An entry."""

        size: float = parameter(1.0, doc="size")

    Entry.__qualname__, Entry.__module__, Entry.__name__ = qualname, module, name
    return Entry


def test_a_class_that_is_defined_again_in_a_notebook_replaces_the_old_one() -> None:
    registry: Registry[Any] = Registry("entry")
    registry.register("mine", define("Mine", qualname="Mine", module="__main__"), aliases=("own",))
    again = define("Mine", qualname="Mine", module="__main__")
    registry.register("mine", again)
    assert registry["mine"] is again
    assert "own" not in registry
    for qualname, module in (("Other", "__main__"), ("Mine", "json"), ("Entry", "json")):
        with pytest.raises(DeclarationError, match="the entry name 'mine' is taken"):
            registry.register("mine", define("Mine", qualname=qualname, module=module))


def test_names_of_families_that_are_not_imported_are_reserved() -> None:
    registry: Registry[Any] = Registry("entry")
    registry.declare("json", {"decoder": ("theirs",)})
    with pytest.raises(DeclarationError, match="'theirs' is taken"):
        registry.register("theirs", define("Theirs", qualname="Theirs", module="__main__"))


def test_classes_are_attributes_of_their_packages() -> None:
    assert surfaces.Ravine is SURFACES["ravine"]
    assert optimizers.Adam is OPTIMIZERS["adam"]
    assert schedules.Cosine is SCHEDULES["cosine"]
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = surfaces.Nonsense


def test_python_objects_are_accepted_as_settings() -> None:
    experiment = momentumlab.load(
        surface=surfaces.Ravine(a=0.05),
        optimizer=[optimizers.Momentum(beta=0.3), "adam"],
        lr=[0.1, schedules.Cosine(0.1, 0.01)],
        noise=Gaussian(deviation=0.1),
    )
    assert experiment.surface.first == {"a": 0.05, "b": 9.0}
    assert experiment.optimizers[0].first["beta"] == 0.3
    assert [str(value) for value in experiment.optimizers[1].axes["lr"].values] == ["0.1", "cosine(0.1, 0.01)"]
    assert experiment.noise == Gaussian(deviation=0.1)
    assert momentumlab.load(experiment) == experiment


def test_an_object_of_a_class_that_is_not_registered_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Steeper(surfaces.Ravine):  # type: ignore[misc]
        """A subclass has the name of its base, but is another class."""

    with pytest.raises(momentumlab.ConfigError, match="argument surface: Steeper is not registered"):
        momentumlab.load(surface=Steeper(), optimizer="sgd")
