"""Hostile and odd input, made at random: a few seconds in the suite, any length by ``python -m tests.fuzz``.

=========  ==========================================================================
module     part
=========  ==========================================================================
`inputs`   makes a case of every kind from a source of randomness
`judge`    runs a case and says what is wrong: an error that nobody meant, a hang, memory, a file where none may be
=========  ==========================================================================
"""
