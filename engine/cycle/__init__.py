"""The inner loop: traced code only."""
