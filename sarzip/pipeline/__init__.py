"""From a source to frames and back, group by group with bounded memory.

Read `band`, then `encode` and `decode`.
"""
