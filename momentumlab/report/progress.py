"""Progress of a sweep on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from momentumlab.executor import OnBlock
from momentumlab.outcome import Outcome


@contextmanager
def progress(trials: int, *, wanted: bool = True) -> Iterator[OnBlock | None]:
    """Show a bar with finished trials, updates per second and the remaining time if stderr is a terminal.

    Parameters
    ----------
    trials
        The number of trials.
    wanted
        Whether to show a bar.
    """
    console = Console(stderr=True)
    if not (wanted and console.is_terminal):
        yield None
        return
    bar = Progress(
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} trials"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    updates = 0
    with bar:
        task = bar.add_task("", total=trials, rate="")

        def advance(block: Outcome) -> None:
            nonlocal updates
            updates += int(block.iterations.sum(dtype="int64"))
            elapsed = bar.tasks[0].elapsed or 1e-9
            bar.update(task, advance=len(block.losses), rate=f"{updates / elapsed / 1e6:,.0f} M updates/s")

        yield advance
