"""Cores, memory, threads, files, URLs, pipes. No pixels."""
