"""Numbers as the reference's profiles print them: 404.6k, 6.1m, 112.3M."""

_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9))


def with_prefix(value: float) -> str:
    """Return a number with one decimal and its prefix: '684.0k' for 684004, '360.0u' for 0.00036, '0' for nothing."""
    if value == 0:
        return "0"
    for unit, size in _UNITS:
        if abs(value) >= size * 0.99995:  # what rounds to 1000.0 takes the next prefix
            return f"{value / size:.1f}{unit}"
    return f"{value:.1e}"


def plain(value: float) -> str:
    """Return a number as it is: integers whole, others with six digits."""
    return str(value) if isinstance(value, int) else f"{value:.6g}"
