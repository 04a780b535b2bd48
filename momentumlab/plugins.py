"""Load surfaces, optimizers and schedules from a user's Python file, and report errors in it.

A plug-in is Python that a user chose to run, by ``--plugin`` or `load_plugin`; a configuration cannot name one.
"""

import contextlib
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from momentumlab import stopping
from momentumlab.datasets.in_memory import is_in_memory
from momentumlab.errors import (
    ConfigError,
    DeclarationError,
    MomentumLabError,
    PluginError,
    Problem,
    Problems,
    os_reason,
)
from momentumlab.noise import NOISE_MODELS
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.registry import Registry
from momentumlab.schedules import SCHEDULES
from momentumlab.surfaces import SURFACES

REGISTRIES: dict[str, Registry[Any]] = {each.noun: each for each in (SURFACES, OPTIMIZERS, SCHEDULES, NOISE_MODELS)}
"""The registries to which a plug-in may add, by their noun."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A file whose classes are in the registries.

    Attributes
    ----------
    path
        The absolute path.
    sha256
        The checksum of its content.
    module
        The name of the Python module.
    entries
        The entries that it added: the noun of the registry, and the name.
    content
        The text of the file as it was loaded, which is sent to other machines.
    """

    path: Path
    sha256: str
    module: str
    entries: tuple[tuple[str, str], ...]
    content: bytes = field(repr=False)


_LOADED: dict[Path, Plugin] = {}


def loaded_plugins() -> tuple[Plugin, ...]:
    """Return the loaded plug-ins in the order of loading."""
    return tuple(_LOADED.values())


def load_plugin(path: str | os.PathLike[str], *, sha256: str | None = None, content: bytes | None = None) -> Plugin:
    """Add the classes of a file to the registries; a file that has changed is loaded again.

    Output of the file goes to stderr.

    Parameters
    ----------
    path
        The file.
    sha256
        Required SHA-256 of its content; any content is loaded if it is None.
    content
        The content, if the file need not exist here: worker processes of other machines receive it.

    Raises
    ------
    ConfigError
        If it cannot be read, is not valid Python, raises an exception, or adds no entry. Then the registries are
        unchanged.
    """
    import hashlib  # 20 ms, which a run without plug-ins saves

    full = Path(os.path.abspath(path))  # noqa: PTH100 — without '..', and without following links
    content = _content(path) if content is None else content
    found = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, found):
        raise ConfigError.at(os.fspath(path), "has changed")
    if full in _LOADED:
        if _LOADED[full].sha256 == found:
            return _LOADED[full]
        _unload(_LOADED.pop(full))
    before = set(_entries())
    # Two files may have the same name, so the module's name contains a checksum of the path.
    module = f"plugin_{re.sub(r'[^A-Za-z0-9_]', '_', full.stem)}_{hashlib.sha256(os.fsencode(full)).hexdigest()[:12]}"
    plugin = Plugin(path=full, sha256=found, module=module, entries=(), content=content)
    try:
        _execute(plugin, content, shown=os.fspath(path))
        plugin = replace(plugin, entries=tuple(entry for entry in _entries() if entry not in before))
        if not plugin.entries:
            message = "it adds no surface, optimizer or schedule: write @surface(…), @optimizer(…) above a class"
            raise ConfigError.at(os.fspath(path), message)
    except BaseException:
        # The file may have registered some classes before it failed.
        _unload(replace(plugin, entries=tuple(set(_entries()) - before)))
        raise
    _LOADED[full] = plugin
    return plugin


def load_plugins(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Add the classes of several files, and report the problems of all of them.

    Raises
    ------
    ConfigError
        With the problems of all files; see `load_plugin`.
    """
    problems = Problems()
    for path in paths:
        with problems.collecting():
            load_plugin(path)
    problems.check()


def unload_plugin(path: str | os.PathLike[str]) -> None:
    """Remove the classes of a file from the registries if it was loaded; for tests."""
    plugin = _LOADED.pop(Path(os.path.abspath(path)), None)  # noqa: PTH100
    if plugin is not None:
        _unload(plugin)


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error).lower()  # a NUL in the path
        raise ConfigError.at(os.fspath(path), reason) from None


class _Loader(SourceFileLoader):
    """Executes the content whose checksum was computed, and writes no ``__pycache__``."""

    content: bytes

    def get_data(self, path: str) -> bytes:
        return self.content

    def path_stats(self, path: str) -> Any:
        raise OSError  # Python then neither looks for compiled code nor writes it


def _execute(plugin: Plugin, content: bytes, *, shown: str) -> None:
    loader = _Loader(plugin.module, str(plugin.path))
    loader.content = content
    spec = spec_from_file_location(plugin.module, plugin.path, loader=loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[plugin.module] = module
    try:
        with contextlib.redirect_stdout(sys.stderr):
            loader.exec_module(module)
    except SyntaxError as error:
        place, text = error.filename or shown, (error.text or "").strip()
        place = shown if place == str(plugin.path) else place
        line = f"{place}:{error.lineno or 1}:{error.offset or 1}"
        raise ConfigError.at(line, f"{error.msg}{f': {text}' if text else ''}") from None
    except BaseException as error:
        if stopping.is_signal(error):
            raise
        lines = [number for frame, number in _frames(error) if frame.f_code.co_filename == str(plugin.path)]
        what = str(error) if isinstance(error, DeclarationError) else described(error)
        raise ConfigError.at(f"{shown}:{lines[-1]}" if lines else shown, what) from None


def _entries() -> Iterator[tuple[str, str]]:
    return ((registry.noun, name) for registry in REGISTRIES.values() for name in registry.plugins())


def _unload(plugin: Plugin) -> None:
    for noun, name in plugin.entries:
        REGISTRIES[noun].forget(name)
    sys.modules.pop(plugin.module, None)


class Plugins:
    """The plug-ins of this process; unpickling the object in another process loads them there.

    Parameters
    ----------
    problems
        The plug-ins that could not be loaded.
    """

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the paths, checksums and contents of the files."""
        return _plugins_of, (tuple((str(each.path), each.sha256, each.content) for each in _LOADED.values()),)

    def require(self) -> None:
        """Check that all plug-ins are loaded.

        Raises
        ------
        ConfigError
            If one could not be loaded or differs from that of the sending process.
        """
        if self.problems:
            raise ConfigError(self.problems)


def _plugins_of(files: Iterable[tuple[str, str, bytes]]) -> Plugins:
    """Load the plug-ins that are not loaded; the others stay as they are even if their files have changed."""
    problems = Problems()  # raised here they would break the process that unpickles
    for path, sha256, content in files:
        with problems.collecting():
            plugin = _LOADED.get(Path(path)) or load_plugin(path, content=content)
            if plugin.sha256 != sha256:
                raise ConfigError.at(path, "it was changed during the run")
    return Plugins(problems)


def needed_plugins(nouns_and_names: Iterable[tuple[str, str]]) -> list[Plugin]:
    """Return the loaded plug-ins that some of these entries come from."""
    wanted = set(nouns_and_names)
    return [plugin for plugin in _LOADED.values() if wanted & set(plugin.entries)]


def python_entries(nouns_and_names: Iterable[tuple[str, str]]) -> list[tuple[str, str, str | None]]:
    """Return which of these entries exist in this process only, with the module that defines each.

    These are functions, arrays, and classes that come neither from this package, nor from the file of a plug-in, nor
    from an installed one. Other processes do not have them.
    """
    in_files = {entry for plugin in _LOADED.values() for entry in plugin.entries}
    found: list[tuple[str, str, str | None]] = []
    for noun, name in nouns_and_names:
        if noun == "data":
            found.append((noun, name, None))
            continue
        cls = REGISTRIES[noun].plugins().get(name)
        if cls is not None and (noun, name) not in in_files and not REGISTRIES[noun].is_installed(cls):
            found.append((noun, name, cls.__module__))
    return found


def is_defined(noun: str, name: str) -> bool:
    """Return whether this process has an entry, or data that were given as arrays."""
    if noun == "data":
        return is_in_memory(name)
    return noun in REGISTRIES and name in REGISTRIES[noun]


# Errors while a plug-in's code runs


def described(error: BaseException) -> str:
    """Describe an exception in one line: ``ZeroDivisionError: division by zero``."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_foreign(cls: type) -> bool:
    """Return whether a class or one of its bases was written outside this package."""
    modules = {base.__module__ for base in cls.__mro__}
    return any(module.split(".")[0] not in ("momentumlab", "abc", "typing", "builtins") for module in modules)


def raised_at(error: BaseException) -> str | None:
    """Return the line of a user's code that raised an exception, ``my_lab.py:12 in Valley.gradient``.

    Users' code is what belongs neither to this package nor, unless a class in a registry comes from it, to Python's
    library or an installed package. ``None`` if the traceback holds no such code.
    """
    places = [(frame.f_code, line) for frame, line in _frames(error) if _is_users(frame)]
    if not places:
        return None
    code, line = places[-1]
    return f"{shown_path(code.co_filename)}:{line} in {code.co_qualname}"


def _is_users(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    package = module.partition(".")[0]
    if package == "momentumlab":
        return False
    if any(
        package == cls.__module__.partition(".")[0]
        for registry in REGISTRIES.values()
        for cls in registry.plugins().values()
    ):
        return True
    # Packages may also be in the folder of the user, of the system, or of another environment on the path.
    file = frame.f_code.co_filename
    standard = {f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib")}
    return not file.startswith(("<frozen", *standard)) and not {"site-packages", "dist-packages"} & {*Path(file).parts}


def plugin_error(
    error: BaseException, *, classes: Iterable[type] = (), context: Callable[[], str] | None = None
) -> PluginError | None:
    """Return the error that replaces an exception raised by a user's code; ``None`` for other exceptions.

    Parameters
    ----------
    error
        Any exception, SystemExit and a KeyboardInterrupt that no signal raised included.
    classes
        Classes of which one is responsible even if the exception was raised in this package, if it is a user's class.
    context
        Returns where the program was, such as ``trial 3, iteration 18``.
    """
    if isinstance(error, MomentumLabError) or stopping.is_signal(error):
        return None
    place = raised_at(error)
    if place is None:
        foreign = [cls for cls in classes if is_foreign(cls)]
        if not foreign:
            return None
        place = " and ".join(map(defined_at, foreign))
    where = f" ({context()})" if context is not None else ""
    return PluginError(f"{place}: {described(error)}{where}", error)


@contextlib.contextmanager
def attribute_errors() -> Iterator[None]:
    """Turn exceptions of users' code into `PluginError`."""
    try:
        yield
    except BaseException as error:
        found = plugin_error(error)
        if found is None:
            raise
        raise found from error


def defined_at(code: Any) -> str:
    """Return the place of a user's class or method, ``my_lab.py:12 in Valley.gradient``."""
    if isinstance(code, type):
        module = sys.modules.get(code.__module__)
        return f"{shown_path(getattr(module, '__file__', None) or code.__module__)} in {code.__qualname__}"
    code = code.__code__
    return f"{shown_path(code.co_filename)}:{code.co_firstlineno} in {code.co_qualname}"


def shown_path(path: str) -> str:
    """Return a path relative to the current directory if it is inside it."""
    with contextlib.suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    step: TracebackType | None = error.__traceback__
    while step is not None:
        yield step.tb_frame, step.tb_lineno
        step = step.tb_next
