"""What a picture carries: the experiment that it shows, and with what that was run."""

import json
from collections.abc import Mapping, Sequence

from momentumlab.config.dump import to_yaml
from momentumlab.experiment import Comparison, Experiment
from momentumlab.result import Result
from momentumlab.runs.header import digest

EXPERIMENT, RUN = "momentumlab:experiment", "momentumlab:run"
"""The keywords of a PNG's texts: the experiment as YAML, and as JSON what else there is to know."""

VERSIONS = ("momentumlab", "numpy", "python", "platform")
"""On what the last bits of numbers may depend."""


def stamp(
    experiment: Experiment | Comparison,
    results: Sequence[Result],
    *,
    folder: str,
    kind: str,
    provenance: Mapping[str, object],
) -> dict[str, str]:
    """The texts of a picture, by keyword.

    Parameters
    ----------
    experiment
        What was run.
    results
        All trials of it.
    folder
        The name of the run folder.
    kind
        What kind of run folder it is; see `momentumlab.runs.header`.
    provenance
        With what it was run, as ``result.json`` has it.
    """
    told = {"run_folder": folder, "kind": kind, "digest": digest(results)}
    versions = {name: provenance.get(name) for name in VERSIONS}
    return {
        "Software": f"momentumlab {versions['momentumlab']}",
        EXPERIMENT: to_yaml(experiment),
        RUN: json.dumps({**told, **versions}, ensure_ascii=False),
    }
