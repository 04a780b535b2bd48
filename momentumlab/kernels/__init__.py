"""Kernels compiled from the code of optimizers and surfaces (needs numba, the extra ``fast``).

===========  ==========================================================================================
module       responsibility
===========  ==========================================================================================
`tracer`     arrays that record what functions of NumPy arrays compute
`graph`      the recorded operations on scalars
`recording`  one iteration and the start of a trial, from the unchanged classes
`writer`     the source code of a kernel, readable and plain Python
`compiler`   machine code by numba, kept in the cache folder
`runner`     the arrays that a kernel reads and writes
`dispatch`   the choice between NumPy and kernels; threads
===========  ==========================================================================================
"""
