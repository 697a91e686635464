"""The one error for what a person can mend: an option, a data file, a configuration."""


class Invalid(ValueError):
    """A value that breaks a rule. Scripts print its one line and exit with code 2."""


def require(holds: object, name: str, value: object, rule: str) -> None:
    """Raise ``Invalid`` with the text "NAME (VALUE) must be RULE", the name in backticks, unless ``holds``."""
    if not holds:
        raise Invalid(f"`{name}` ({value}) must be {rule}")
