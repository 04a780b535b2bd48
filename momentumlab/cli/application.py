"""The application: how commands are registered, how their help is laid out, and how mistakes in arguments are reported.

Help is plain text in groups: Typer's panels load Rich, and cut the names of options at 80 columns.
"""

import difflib
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from momentumlab import __version__
from momentumlab.cli.streams import complain, reported

RUNNING, LOOKING, PREPARING = "Run experiments", "Look things up", "Prepare experiments"
DEBUG = "MOMENTUMLAB_DEBUG"
MOST_UNGROUPED = 12
"""Help pages with more arguments and options than this group them."""

CommandLineError: Any = typer.BadParameter.__mro__[2]
"""The base of what Typer raises for wrong arguments; the module that defines it depends on Typer's version."""

Function = TypeVar("Function", bound=Callable[..., None])


def normalized(token: str) -> str:
    """Return the name of an option or a command as declared: ``--Gradient_Tolerance`` is ``--gradient-tolerance``."""
    return token.lower().replace("_", "-")


class Command(TyperCommand):
    """A command whose hyperparameters can also be written as options: ``--beta1 0.9`` for ``--set beta1=0.9``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; an unknown option that is a hyperparameter becomes a setting."""
        while True:
            try:
                return super().parse_args(ctx, list(args))
            except CommandLineError as error:
                error.ctx = error.ctx or ctx
                if type(error).__name__ != "NoSuchOption" or not any(each.name == "settings" for each in self.params):
                    raise
                rewritten = _with_setting(error.option_name, args)
                if rewritten is None:
                    raise
                args = rewritten

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the text after the name of the command in the first line of its help."""
        arguments = [each for each in self.get_params(ctx) if each.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_metavar, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options; if there are many options, in their groups."""
        sections: dict[str, list[tuple[str, str]]] = {}
        parameters = self.get_params(ctx)
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                sections.setdefault("Arguments", []).append((_metavar(parameter), getattr(parameter, "help", "") or ""))
            elif record := parameter.get_help_record(ctx):
                group = getattr(parameter, "rich_help_panel", None) if len(parameters) > MOST_UNGROUPED else None
                sections.setdefault(group or "Options", []).append(record)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows, col_max=27)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, each on a line of its own."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Commands(TyperGroup):
    """A group of commands. Every expected error is one line on stderr and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and end the process with its exit code."""
        try:
            with reported():
                try:
                    code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
                except CommandLineError as error:
                    code = _report_usage(error)
        except typer.Exit as end:
            code = end.exit_code
        except typer.Abort:
            complain("aborted")
            code = 1
        if standalone_mode:
            sys.exit(code or 0)
        return code

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Signals and closed pipes are handled here, because Click would handle them outside."""
        with reported():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in their groups."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            summary = (command.help or "").strip().partition("\n\n")[0].replace("\n", " ")
            sections.setdefault(command.rich_help_panel or "Commands", []).append((name, summary))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def command(
    parent: typer.Typer, name: str | None = None, *, group: str, examples: Sequence[str] = ()
) -> Callable[[Function], Function]:
    """Register a function as a command, in a group of the help page and with examples at its end."""
    return parent.command(name, cls=Command, rich_help_panel=group, epilog="\n".join(examples))


def _metavar(argument: Any) -> str:
    """Return the name of an argument in messages and help, as declared."""
    return str(argument.metavar or argument.name.upper())


def _named(parameter: Any) -> str:
    """Return the name of an argument or an option for a message."""
    return _metavar(parameter) if parameter.param_type_name == "argument" else str(parameter.opts[0])


def _with_setting(option: str, args: list[str]) -> list[str] | None:
    """The arguments with a hyperparameter's own option written as ``--set``; ``None`` if it is not a hyperparameter."""
    from momentumlab.optimizers import OPTIMIZERS
    from momentumlab.plugins import load_plugins

    # A plug-in's hyperparameters count, but the callback of --plugin runs after parsing.
    load_plugins(file for flag, file in itertools.pairwise(args) if flag == "--plugin")
    key = option.lstrip("-").replace("-", "_")
    if not any(key in parameter.words for name in OPTIMIZERS for parameter in OPTIMIZERS[name].settings()):
        return None
    number = next(i for i, each in enumerate(args) if normalized(each.partition("=")[0]) == normalized(option))
    _, has_value, value = args[number].partition("=")
    rest = args[number + 1 :]
    if not has_value:
        if not rest:
            raise typer.BadParameter(f"needs a value: {option} VALUE", param_hint=option)
        value, *rest = rest
    return [*args[:number], "--set", f"{key}={value}", *rest]


def _report_usage(error: Any) -> int:
    """Print what is wrong with the arguments in one line; the exit code."""
    context = error.ctx
    path = context.command_path if context is not None else "momentumlab"
    text = error.format_message()
    option = getattr(error, "option_name", None)
    match type(error).__name__:
        case "NoArgsIsHelpError":
            print(text)
        case "NoSuchOption":
            complain(_unknown_option(str(option), context))
        case "MissingParameter":
            complain(f"{_named(error.param)}: is missing; see '{path} --help'")
        case "BadParameter":
            complain(f"{error.param_hint or _named(error.param)}: {error.message}")
        case "BadOptionUsage" if "requires" in text:
            complain(f"{option}: needs a value; see '{path} --help'")
        case "BadOptionUsage":
            complain(f"{option}: does not take a value")
        case _ if text.startswith("No such command"):
            name = text.split("'")[1] if text.count("'") > 1 else text
            complain(f"unknown command '{name}'{_suggestion(name, context.command.commands)}; see '{path} --help'")
        case _ if "unexpected extra argument" in text:
            complain(f"unexpected argument: {text.rpartition('(')[2].rstrip(').')}; see '{path} --help'")
        case _:
            text = text[:1].lower() + text[1:].rstrip(".")
            complain(f"{text}; see '{path} --help'")
    return 2


def _unknown_option(option: str, context: Any) -> str:
    """Return a message for an option that the command does not have but another may have."""
    if option in ("--debug", "--allow-import"):
        return f"{option}: goes before the command: momentumlab {option} …"
    root = context.find_root().command
    others = getattr(root, "commands", {})
    owners = [name for name, each in others.items() if any(option in parameter.opts for parameter in each.params)]
    own = [name for parameter in context.command.params for name in parameter.opts if name.startswith("-")]
    # The exact name of another command's option is a better answer than a vaguely similar one of this command.
    similar = _suggestion(option, own, cutoff=0.75 if owners else 0.72)
    if owners and not similar:
        *most, last = owners
        others_do = f"{', '.join(most)} and {last} do" if most else f"{last} does"
        return f"{option}: '{context.command_path}' does not have this option; {others_do}"
    return f"unknown option '{option}'{similar}; see '{context.command_path} --help'"


def _suggestion(name: str, known: Sequence[str] | dict[str, Any], cutoff: float = 0.6) -> str:
    typed = name.lower()
    close = difflib.get_close_matches(typed, list(known), n=3, cutoff=cutoff)
    if not close:
        return ""
    # One wrong letter is more common than a surplus one: 'runz' is 'runs', although 'run' has the higher ratio.
    replaced = [each for each in close if sum(map(str.__ne__, each, typed)) == 1 and len(each) == len(typed)]
    return f" (did you mean '{(replaced or close)[0]}'?)"


app = typer.Typer(
    name="momentumlab",
    cls=Commands,
    help="A laboratory for first-order optimizers: see how they move, why, and which hyperparameters work best.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": normalized},
)


def show_version(wanted: bool) -> None:
    """Print the version (``--version``)."""
    if wanted:
        print(f"momentumlab {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show the traceback of an internal error (or set {DEBUG}=1).")
    ] = False,
    allow_import: Annotated[
        bool,
        typer.Option("--allow-import", help="Let names such as package.module:Class import that module."),
    ] = False,
) -> None:
    """Accept the options that precede the command."""
    if debug:
        os.environ[DEBUG] = "1"
    if allow_import:
        from momentumlab.imports import ALLOW_IMPORT

        os.environ[ALLOW_IMPORT] = "1"
