"""The random generator of the compiled loops: xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Softw. 47, 36 (2021)).

Its state is four words, which `numpy.random.SeedSequence.generate_state` makes.
"""

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def next_word(s0: Any, s1: Any, s2: Any, s3: Any) -> Any:
    """Return a word of 64 random bits and the four words of the next state."""
    total = s0 + s3
    word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    shifted = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    return word, s0, s1, s2, s3


@njit(nogil=True, cache=True)
def uniform(generator: Any) -> Any:
    """Return a number uniform in (0, 1], of 53 bits; advances ``generator``, ``(4,)`` of uint64."""
    word, generator[0], generator[1], generator[2], generator[3] = next_word(
        generator[0], generator[1], generator[2], generator[3]
    )
    return (np.float64(word >> np.uint64(11)) + 1.0) * 2.0**-53
