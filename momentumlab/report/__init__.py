"""What people and programs get from a `Result`: one module per output, each takes a result and nothing else.

==============  ================================================================
module          output
==============  ================================================================
`table`         the table in a terminal or a notebook
`steps`         every iteration of a trial
`data`          JSON and CSV
`contest`       the tables of a comparison
`contest_data`  a comparison as JSON and CSV
`translation`   ``translate``
`figures`       all figures; the only part that loads matplotlib
`catalogue`     ``list`` and ``show``
`labels`        how trials are called in all of these
==============  ================================================================
"""
