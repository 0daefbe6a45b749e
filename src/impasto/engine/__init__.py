"""The optimisation: pixels, objective, loop, scales, memory, checkpoints."""
