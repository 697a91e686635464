"""The contestants of scripts/benchmark.py: each trains the same nets by the same mathematics, in a process of its own.

``python -m benchmarks.<contestant> --help`` (in scripts/) shows the options of one.
"""
