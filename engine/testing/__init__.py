"""The kit for testing loss maths and loss strategies, ours and yours."""

from engine.testing.maths import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
    assert_second_order_gradients,
)
from engine.testing.phase import Tried, try_phase

__all__ = [
    "Tried",
    "assert_finite",
    "assert_gradients_match_finite_differences",
    "assert_matches_reference",
    "assert_plans_agree",
    "assert_second_order_gradients",
    "try_phase",
]
