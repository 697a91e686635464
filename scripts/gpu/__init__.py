"""The parts of scripts/gpu_check.py. What starts processes imports no framework."""
