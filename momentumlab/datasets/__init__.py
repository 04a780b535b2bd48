"""Data sets: CSV and NPZ files, the bundled tables and generated ones, and the design matrices built from them.

===============  =================================================================
module           content
===============  =================================================================
`builtin`        bundled tables (iris, wine, digits) and generators (two_moons)
`data_table`     `DataTable`, reading of data files, CSV
`npz_files`      NPZ archives
`design_matrix`  features and targets: columns selected, standardised, classes coded
===============  =================================================================
"""

from momentumlab.datasets.builtin import BUILT_IN, is_built_in
from momentumlab.datasets.data_table import DataTable
from momentumlab.datasets.design_matrix import DesignMatrix, DesignOptions, design_matrix

__all__ = ["BUILT_IN", "DataTable", "DesignMatrix", "DesignOptions", "design_matrix", "is_built_in"]
