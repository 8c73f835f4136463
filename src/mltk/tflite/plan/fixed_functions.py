"""The fixed-point arithmetic of TensorFlow Lite's int8 kernels in exact Python integers, for tables of functions.

Source: gemmlowp's fixed point (https://github.com/google/gemmlowp/blob/master/fixedpoint/fixedpoint.h), which
TensorFlow Lite's reference kernels are made of; held to TFLM in tests/kernels. A number "with n fractional bits" is
an int32 that stands for itself divided by 2**n.
"""

_ONE = 2**31 - 1
_HIGHEST, _LOWEST = 2**31 - 1, -(2**31)
# exp(-2**i) with 31 fractional bits, i from -2.
_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def saturate(x: int) -> int:
    """Return the nearest int32."""
    return max(_LOWEST, min(_HIGHEST, x))


def multiply_high(x: int, y: int) -> int:
    """Return x * y / 2**31, a half rounded up."""
    return (x * y + 2**30) >> 31


def divide_by_power(x: int, bits: int) -> int:
    """Return x / 2**bits, a half rounded away from zero."""
    magnitude = (abs(x) + ((1 << bits) >> 1)) >> bits
    return magnitude if x >= 0 else -magnitude


def requantize(x: int, multiplier: int, shift: int) -> int:
    """Return x * multiplier * 2**(shift - 31)."""
    return divide_by_power(multiply_high(x << max(shift, 0), multiplier), max(-shift, 0))


def _exp_quarter(x: int) -> int:
    """exp(x) for x in [-1/4, 0): a series around -1/8, all with 31 fractional bits."""
    exp_minus_eighth, third = 1895147668, 715827883
    x += 1 << 28
    x2 = multiply_high(x, x)
    x3, x4 = multiply_high(x2, x), multiply_high(x2, x2)
    rest = divide_by_power(multiply_high(divide_by_power(x4, 2) + x3, third) + x2, 1)
    return exp_minus_eighth + multiply_high(exp_minus_eighth, x + rest)


def exp_negative(x: int, fraction_bits: int) -> int:
    """Return exp(x) with 31 fractional bits for x <= 0 with 26 to 30."""
    if x == 0:
        return _ONE
    quarter = 1 << (fraction_bits - 2)
    within = (x & (quarter - 1)) - quarter
    remainder = within - x
    result = _exp_quarter(within << (31 - fraction_bits))
    for place, factor in enumerate(_EXP_FACTORS[: 31 - fraction_bits + 2]):
        if remainder & (quarter << place):
            result = multiply_high(result, factor)
    return result


def _reciprocal_of_half(x: int) -> int:
    """Return 2 / (1 + x) with 29 fractional bits for x in [0, 1] with 31: three steps of Newton's method."""
    half_denominator = (x + _ONE + 1) >> 1
    estimate = 1515870810 + multiply_high(half_denominator, -1010580540)  # 48/17 - 32/17 * d
    for _ in range(3):
        error = (1 << 29) - multiply_high(half_denominator, estimate)
        estimate += saturate(multiply_high(estimate, error) * 4)
    return estimate


def logistic(x: int) -> int:
    """Return 1 / (1 + exp(-x)) with 31 fractional bits for x with 27."""
    if x == 0:
        return 1 << 30
    positive = saturate(_reciprocal_of_half(exp_negative(-abs(x), 27)) * 2)
    return positive if x > 0 else _ONE - positive


def tanh(x: int) -> int:
    """Return the hyperbolic tangent with 31 fractional bits for x with 27."""
    if x == 0:
        return 0
    # (1 - e) / (1 + e) with e = exp(-2 |x|): the doubling moves the point.
    result = saturate((_reciprocal_of_half(exp_negative(-abs(x), 26)) - (1 << 29)) * 4)
    return result if x > 0 else -result


def inverse_sqrt(x: int) -> tuple[int, int]:
    """Return (multiplier, shift) with 1 / sqrt(x) ~ multiplier * 2**(shift - 31), for x of 1 to 2**29 - 1."""
    if x <= 1:
        return _HIGHEST, 0
    pairs = (31 - x.bit_length()) // 2 - 1
    scaled = (x << (2 * pairs)) >> 1
    half = divide_by_power(scaled, 1)
    estimate = 1 << 28  # 1, with 28 fractional bits
    for _ in range(5):
        cube = saturate(multiply_high(multiply_high(estimate, estimate), estimate) << 6)
        three_halves = multiply_high((1 << 28) + (1 << 27), estimate)
        estimate = saturate((three_halves - multiply_high(half, cube)) << 3)
    estimate = multiply_high(estimate, 1518500250)  # sqrt(1/2)
    right = 11 - pairs
    return (estimate << -right, 0) if right < 0 else (estimate, -right)
