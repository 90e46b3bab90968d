"""What a user can ask for, one module a verb, the same from Python and from the command line.

Everything they share is below, in `pipeline`. Read `compress` first.
"""
