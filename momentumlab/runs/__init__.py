"""Runs that were made: found, listed, read, drawn again, put side by side, repeated, exported, removed.

=============  ================================================================
module         part
=============  ================================================================
`runs`         what a run folder says of itself, without opening its data
`finding`      a run by path, prefix or ``latest``, and by what it computed
`listing`      which runs, as table, JSON or CSV
`arrays`       ``.npz`` files, checked before anything is allocated
`loading`      a run folder as results
`drawing`      its figures again
`pictures`     the experiment in a picture
`side_by_side` several runs in one table and one figure
`repetition`   the same once more, held against what was kept
`repeating`    what a person names, repeated
`export`       one table in long form
`removing`     what may be removed, and how
=============  ================================================================

`runs`, `finding` and `listing` load neither NumPy nor YAML: a list is quick.
"""
