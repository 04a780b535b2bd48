"""YAML and overrides to an `Experiment` or a `Comparison`; every problem at once, each with its place.

=============  =================================================================
module         step
=============  =================================================================
`tree`         text to a tree of values that know their place
`overrides`    settings from the command line, laid over the tree
`grammar`      ``linspace(0, 1, 5)``, ``grid(50, 50)``
`schedules`    ``warmup(10, cosine(0.1, 0.001))``
`validation`   pydantic models, made from what the catalogues declare
`resolve`      the tree to an `Experiment`
`comparison`   the tree to a `Comparison`
`dump`         either back to YAML
`needs`        the comments that name plug-ins
`schema`       the JSON schema of a configuration
=============  =================================================================
"""

from momentumlab.config.dump import to_dict, to_yaml
from momentumlab.config.load import (
    load_comparison,
    load_either,
    load_experiment,
    load_text,
    settings_from_text,
    starter,
)

__all__ = [
    "load_comparison",
    "load_either",
    "load_experiment",
    "load_text",
    "settings_from_text",
    "starter",
    "to_dict",
    "to_yaml",
]
