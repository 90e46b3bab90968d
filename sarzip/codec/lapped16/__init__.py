"""The default: lapped transform, integer hyperprior, trellis, rANS. Diagram and reading order in `codec`."""
