"""Rate, fidelity and speed beside the classical codecs: `run` measures, `codecs` and `peers` are measured."""
