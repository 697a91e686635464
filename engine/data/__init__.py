"""Data: batch ``k`` is a pure function of ``(seed, k)``."""
