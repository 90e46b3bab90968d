"""How the default codec's weights are made: `network`, then `loss`; `export` writes what the codec reads."""
