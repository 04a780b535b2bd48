"""Run folders: written, listed, read, drawn again, compared, repeated, exported and removed.

============  ====================================================================
module        content
============  ====================================================================
`layout`      names of files, atomic writes, bounded reads, the lock
`records`     state of a run folder, without opening its data
`find`        runs by path, prefix or ``latest``, and by what they computed
`listing`     lists of runs
`inputs`      plug-ins and data that a run used: recorded, copied, found again
`identity`    identity of an experiment, hash of its numbers, versions
`write`       complete run folders, figures and other files
`unfinished`  sweeps and comparisons that can be resumed
`arrays`      ``.npz`` files, checked before anything is allocated
`read`        run folders as results
`plot`        figures, drawn again, and the experiment that a PNG carries
`compare`     several runs in one table and figure
`rerun`       a repeated run compared with the stored one
`export`      a run as one table in long form
`remove`      removal
============  ====================================================================

`layout`, `records`, `find` and `listing` import neither NumPy nor YAML, so that a list is fast.
"""
