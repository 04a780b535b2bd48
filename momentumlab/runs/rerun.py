"""From what a person names, a run or a picture, to its repetition."""

from pathlib import Path

from momentumlab.config import load_text
from momentumlab.experiment import Comparison
from momentumlab.plan import MAX_SEARCHED, MAX_TRIALS, check_size
from momentumlab.runs.find import find
from momentumlab.runs.header import RUN
from momentumlab.runs.png import Picture, is_picture, read_picture
from momentumlab.runs.read import load_run
from momentumlab.runs.run import Run, RunStatus, read_run
from momentumlab.runs.verdict import Repetition, held_against, held_against_digest, run_again


def repeat(text: str, out: Path, *, keep: bool, plots: bool, command_line: str | None) -> tuple[str, Repetition]:
    """Run something once more, and hold it against what was kept.

    Parameters
    ----------
    text
        A run (see `find`), or the path of a picture. Of a picture whose run folder is still there, beside it or in
        ``out``, that folder's numbers are what counts.
    out
        Where run folders are, and where that of the repetition goes.
    keep
        Whether it is to have one.
    plots
        Whether with figures.
    command_line
        What it tells of how it was made.

    Returns
    -------
    what, repetition
        With what the repetition was compared, and how.

    Raises
    ------
    ConfigError
        If there is no such run or picture.
    OutputError
        If the run folder cannot be read, or the new one not be written.
    """
    target = out if keep else None
    picture = read_picture(Path(text)) if is_picture(Path(text)) else None
    run = _folder_of(picture, out) if picture else find([text], out)[0]
    if run is not None:
        kept = load_run(run)
        again = run_again(kept.experiment, kept.kind, out=target, plots=plots, command_line=command_line)
        return str(run.path), held_against(kept, *again)
    assert picture is not None
    experiment = load_text(picture.experiment, str(picture.path))
    comparing = isinstance(experiment, Comparison)
    for each in experiment.experiments if isinstance(experiment, Comparison) else (experiment,):
        check_size(each, MAX_SEARCHED if comparing else MAX_TRIALS, place=str(picture.path))
    kind = str(picture.told.get("kind", RUN))
    again = run_again(experiment, kind, out=target, plots=plots, command_line=command_line)
    return str(picture.path), held_against_digest(picture.told, *again)


def _folder_of(picture: Picture, out: Path) -> Run | None:
    """The run folder from which a picture comes, if it is still there."""
    name = Path(str(picture.told.get("run_folder", ""))).name
    places = [picture.path.resolve().parent, *([out / name] if name else [])]
    for place in places:
        run = read_run(place)
        if run is not None and run.status is RunStatus.COMPLETE and run.header.get("digest") == picture.told["digest"]:
            return run
    return None
