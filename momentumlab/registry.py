"""Registries: classes by name."""

import dataclasses
import difflib
import importlib
import inspect
import itertools
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from momentumlab.errors import DeclarationError, PluginWarning, UnknownNameError

ENTRY_NAME = re.compile(r"[A-Za-z]\w*")

Entry = TypeVar("Entry")
Class = TypeVar("Class", bound=type[Any])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'momentum'?)`` if a known name is similar, else an empty string."""
    by_lower_case = {word.lower(): word for word in sorted(known)}
    lower = name.lower()[:100]
    near = sorted(difflib.get_close_matches(lower, by_lower_case, n=3, cutoff=0.6))
    if not near:
        return ""
    nearest = max(near, key=lambda word: difflib.SequenceMatcher(None, word, lower).ratio())
    return f" (did you mean '{by_lower_case[nearest]}'?)"


class Registry(Mapping[str, type[Entry]]):
    """Classes by name; names are found in any case.

    A decorator such as ``@surface("ravine")`` registers the decorated class. The families of the package are imported
    when one of their names is used (see `declare`), the modules of installed plug-ins when a name is not found or all
    entries are listed.

    Parameters
    ----------
    noun
        What an entry is, for messages: ``"surface"``.
    listed_as
        The plural of the noun, as in ``momentumlab list surfaces``.
    required
        The class attributes that every entry must have.
    group
        The entry-point group of installed plug-ins; empty if there can be none.
    """

    def __init__(self, noun: str, *, listed_as: str = "", required: tuple[str, ...] = (), group: str = "") -> None:
        self.noun = noun
        self.listed_as = listed_as or f"{noun}s"
        self.required = required
        self._group = group
        self._has_loaded_installed = not group
        self._classes: dict[str, type[Entry]] = {}
        self._aliases: dict[str, str] = {}
        self._modules: dict[str, str] = {}

    def declare(self, package: str, families: Mapping[str, Iterable[str]]) -> None:
        """Declare the names and aliases of each module of a package, which is imported when one of them is used."""
        for module, names in families.items():
            self._modules.update(dict.fromkeys(names, f"{package}.{module}"))

    def entry(self, name: str, *, aliases: tuple[str, ...] = (), **attributes: Any) -> Callable[[Class], Class]:
        """Return a decorator that registers a class under a name, which becomes its attribute ``name``.

        Parameters
        ----------
        name, aliases
            See `register`.
        **attributes
            Further attributes of the class.
        """

        def registered(cls: Class) -> Class:
            for key, value in {"name": name, **attributes}.items():
                setattr(cls, key, value)
            self.register(name, cls, aliases)
            return cls

        return registered

    def register(self, name: str, cls: type[Entry], aliases: tuple[str, ...] = ()) -> None:
        """Add a class under its name and aliases.

        A class that is defined again in a notebook or in ``__main__`` replaces the old one.

        Raises
        ------
        DeclarationError
            If a name is taken or could not be written in a configuration, or the class is incomplete.
        """
        for word in (name, *aliases):
            if not isinstance(word, str) or ENTRY_NAME.fullmatch(word) is None:
                raise DeclarationError(f"invalid {self.noun} name {word!r}: use letters, digits and _, a letter first")
            # The name may belong to this class already: a family declares its names before it is imported, and a cell
            # of a notebook defines its class again.
            known = self._classes.get(self._aliases.get(word, word))
            is_free = (
                self._modules.get(word, cls.__module__) == cls.__module__ if known is None else _replaces(cls, known)
            )
            if not is_free:
                raise DeclarationError(f"the {self.noun} name '{word}' is taken: choose another")
        if problems := "; ".join(self._missing(cls)):
            raise DeclarationError(f"the {self.noun} {cls.__name__} is incomplete: {problems}")
        if name in self._classes:
            self.forget(name)
        self._classes[name] = cls
        self._aliases.update(dict.fromkeys(aliases, name))

    def _missing(self, cls: type[Entry]) -> Iterator[str]:
        """Yield a description of each part that a class lacks."""
        if methods := sorted(getattr(cls, "__abstractmethods__", ())):
            yield f"define {' and '.join(methods)}"
        if attributes := [name for name in self.required if not hasattr(cls, name)]:
            yield f"set {' and '.join(attributes)}"
        fields = [name for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)]
        if fields or not dataclasses.is_dataclass(cls):
            yield f"write @dataclass(frozen=True, kw_only=True) between @{self.noun}(…) and the class"

    def forget(self, name: str) -> None:
        """Remove an entry and its aliases."""
        del self._classes[name]
        self._aliases = {alias: target for alias, target in self._aliases.items() if target != name}

    def load_installed(self) -> None:
        """Import installed plug-ins; one that cannot be imported leaves a `PluginWarning`."""
        if self._has_loaded_installed:
            return
        from importlib.metadata import entry_points

        self._has_loaded_installed = True
        for point in entry_points(group=self._group):
            try:
                point.load()
            except (Exception, SystemExit) as error:
                package = point.dist.name if point.dist else "?"
                reason = f"{type(error).__name__}: {error}"
                message = f"the installed plug-in '{point.name}' ({point.value}) of {package} is left out: {reason}"
                warnings.warn(message, PluginWarning, stacklevel=2)

    def is_installed(self, cls: type) -> bool:
        """Return whether the package of a class is an installed plug-in."""
        from importlib.metadata import entry_points

        packages = {point.module.partition(".")[0] for point in entry_points(group=self._group)}
        return cls.__module__.partition(".")[0] in packages

    def load_families(self) -> None:
        """Import all families of the package."""
        for module in dict.fromkeys(self._modules.values()):
            importlib.import_module(module)

    def canonical(self, name: str) -> str:
        """Return the entry's own name, given that name or an alias in any case.

        Raises
        ------
        UnknownNameError
            With a suggestion, if there is no such entry.
        """
        known = self._known(name)
        if known is None:
            # Only a name that the package does not have imports installed plug-ins, which may take seconds.
            self.load_installed()
            known = self._known(name)
        if known is None:
            hint = did_you_mean(name, self._words())
            remedy = f"'momentumlab list {self.listed_as}' shows all"
            raise UnknownNameError(f"unknown {self.noun} '{name}'{hint}; {remedy}")
        if known not in self._classes and known not in self._aliases:
            importlib.import_module(self._modules[known])  # which registers its classes
        return self._aliases.get(known, known)

    def _words(self) -> Iterator[str]:
        """Return all names and aliases, also those of families that are not imported."""
        return itertools.chain(self._modules, self._classes, self._aliases)

    def _known(self, name: str) -> str | None:
        """Return the name or alias that equals a given one, if possible in the same case; ``None`` if none does."""
        if name in self._modules or name in self._classes or name in self._aliases:
            return name
        return next((word for word in self._words() if word.lower() == name.lower()), None)

    def __getitem__(self, name: str) -> type[Entry]:
        return self._classes[self.canonical(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._known(name) is not None

    def __iter__(self) -> Iterator[str]:
        self.load_families()
        own = [name for name in self._modules if name in self._classes]
        return iter([*own, *(name for name in self._classes if name not in self._modules)])

    def __len__(self) -> int:
        self.load_families()
        return len(self._classes)

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the other names of an entry."""
        return tuple(alias for alias, target in self._aliases.items() if target == name)

    def plugins(self) -> dict[str, type[Entry]]:
        """Return the entries of plug-ins, without importing families."""
        return {name: cls for name, cls in self._classes.items() if cls.__module__.partition(".")[0] != "momentumlab"}

    def by_class_name(self, package: str, name: str) -> Any:
        """Return a family's module or an entry's class as an attribute of its package, for ``__getattr__``.

        Raises
        ------
        AttributeError
            If the package has neither.
        """
        if f"{package}.{name}" in self._modules.values():
            return importlib.import_module(f"{package}.{name}")
        if name[:1].isupper():
            for cls in self.values():
                if cls.__name__ == name:
                    return cls
        raise AttributeError(f"module '{package}' has no attribute '{name}'")


def _replaces(cls: type, known: type) -> bool:
    """Whether a class is a new definition of a known one: the same cell of a notebook, or the same line at a prompt."""
    module = sys.modules.get(cls.__module__)
    is_interactive = cls.__module__ == "__main__" or getattr(module, "__file__", None) is None
    return is_interactive and (cls.__module__, cls.__qualname__) == (known.__module__, known.__qualname__)


def title_of(cls: type) -> str:
    """Return the first line of a class's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def explanation_of(cls: type) -> str:
    """Return the docstring of a class without its first line."""
    return (inspect.getdoc(cls) or "").partition("\n")[2].strip()
