"""Who speaks to whom: with partners at distances of 1, 2, 4, ..., so that each of n has but log2(n) of them."""


def levels(count: int) -> int:
    """Of a tree of as many of ``count`` workers as are a power of two."""
    return count.bit_length() - 1


def partners(rank: int, count: int) -> list[int]:
    """Those to whom worker ``rank`` is connected: sums, gathering, broadcasts and beats need no others."""
    return [rank ^ (1 << level) for level in range((count - 1).bit_length()) if rank ^ (1 << level) < count]
