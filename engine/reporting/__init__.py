"""Reporting: turns a run's numbers and pictures into what people look at."""
