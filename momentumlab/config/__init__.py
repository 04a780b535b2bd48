"""Read YAML and overrides into an `Experiment` or a `Comparison`; every problem is reported at once, with its place.

====================  ==========================================================
module                step
====================  ==========================================================
`yaml_reader`         text to a tree of nodes that know their places
`configuration`       the tree in normal form, and overriding of its settings
`values`              ``linspace(0, 1, 5)``, ``tuned``, ``grid(50, 50)``, noise
`settings`            ``iterations``, ``tolerance``, ``seed``, ``budget``, …
`axes`                the values of parameters and starts
`expressions`         surfaces by expression, view, rotation and shift
`components`          surfaces and optimizers by name, with the axes of their parameters
`resolve`             a configuration to an `Experiment`
`resolve_comparison`  a configuration to a `Comparison`
`load`                all of these for a file, a mapping or an experiment
`dump`                an experiment to YAML
`requirements`        comments that name required plug-ins
`experiment_schema`   the JSON schema of a configuration
====================  ==========================================================
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
from momentumlab.config.yaml_reader import ConfigNode, node_of

__all__ = [
    "ConfigNode",
    "load_comparison",
    "load_either",
    "load_experiment",
    "load_text",
    "node_of",
    "settings_from_text",
    "starter",
    "to_dict",
    "to_yaml",
]
