"""The outer loop: plain Python, once per call of the compiled loop."""
