"""Output: a `Report` is a result plus everything derived from it; each other module renders one.

===================  ============================================================
module               content
===================  ============================================================
`reports`            `Report` and `ComparisonReport`
`final_state`        accuracy and curvature at the final points of a data problem
`labels`             names of trials in tables, legends and titles
`table`              the `Table` type and its renderers
`columns`            columns that several tables have
`result_table`       table of a run, and of all its iterations
`sweep_table`        table of a sweep
`comparison_table`   tables of a comparison
`prediction_table`   ``predict``
`response_table`     ``show optimizer NAME --response``
`translation_table`  ``translate``
`entries`            ``list`` and ``show``
`data`               JSON and CSV of runs and sweeps
`comparison_data`    JSON and CSV of comparisons
`figure_files`       which figures a run folder gets, by file name
`figures`            all figures; the only part that imports matplotlib
===================  ============================================================

Reports are imported on first use: ``momentumlab runs`` needs tables, but not NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from momentumlab.report.reports import ComparisonReport as ComparisonReport
    from momentumlab.report.reports import Report as Report
    from momentumlab.report.reports import report_of as report_of
    from momentumlab.report.table import Table

__all__ = ["ComparisonReport", "Report", "report_of", "result_tables"]


def result_tables(report: "Report") -> "list[Table]":
    """Return the table of a run, or those of a sweep."""
    if report.is_sweep:
        from momentumlab.report.sweep_table import sweep_tables

        return sweep_tables(report)
    from momentumlab.report.result_table import result_table

    return [result_table(report)]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'momentumlab.report' has no attribute '{name}'")
    return getattr(import_module("momentumlab.report.reports"), name)
