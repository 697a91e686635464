"""The kit for testing loss maths and loss strategies, ours and yours."""

from engine.testing.maths import (
    assert_finite,
    assert_gradients_match_finite_differences,
    assert_matches_reference,
    assert_plans_agree,
    assert_second_order_gradients,
)
from engine.testing.phase import Tried, try_phase
from engine.testing.strategy import assert_per_example, assert_resumes, assert_same_under_plans

__all__ = [
    "Tried",
    "assert_finite",
    "assert_gradients_match_finite_differences",
    "assert_matches_reference",
    "assert_per_example",
    "assert_plans_agree",
    "assert_resumes",
    "assert_same_under_plans",
    "assert_second_order_gradients",
    "try_phase",
]
