"""Numbers as people read them: no more digits than their error allows."""

import math

# Beyond this many decimals no measurement of ours is exact. Chosen.
_MOST_DECIMALS = 9
# Width of a 95 % interval of a normal distribution, in standard errors to each side.
NORMAL = 1.96


def decimals_of(error: float) -> int:
    """Decimals that a value with this standard error deserves: one digit of the error, two where that begins with 1.

    Example:
        >>> decimals_of(0.38), decimals_of(0.012), decimals_of(25.0)
        (1, 3, 0)
    """
    power = math.floor(math.log10(error))
    first = round(error / 10.0**power, 1)
    return min(max(-power + (1 if first < 2 else 0), 0), _MOST_DECIMALS)


def significant(value: float, digits: int = 3) -> str:
    """A value without a known error, with so many digits and without an exponent.

    Example:
        >>> significant(0.0474702), significant(1234567.0), significant(13.5)
        ('0.0475', '1,234,567', '13.5')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return without_minus_zero(f"{value:,.{min(max(decimals, 0), _MOST_DECIMALS)}f}")


def with_error(value: float, error: float | None, *, spec: str = ".3g", signed: bool = False) -> str:
    """A value and its standard error, both to the decimals that the error deserves.

    Args:
        value: measured.
        error: its standard error; None, 0 and infinite ones are not shown.
        spec: format of a value whose error is not shown.
        signed: with a plus where it is positive.

    Example:
        >>> with_error(99.3333, 0.3836), with_error(-0.04, 0.3, signed=True), with_error(99.3333, None, spec=".2f")
        ('99.3 ± 0.4', '0.0 ± 0.3', '99.33')
    """
    plus = "+" if signed else ""
    if error is None or not math.isfinite(error) or error <= 0:
        return without_minus_zero(f"{value:{plus}{spec}}")
    decimals = decimals_of(error)
    shown = without_minus_zero(f"{value:{plus}.{decimals}f}")
    return f"{shown} ± {error:.{decimals}f}"


def percent(share: float) -> str:
    """A share in whole percent, with one decimal below one percent, never minus zero.

    Example:
        >>> percent(0.406), percent(-0.0002), percent(0.004)
        ('41 %', '0 %', '0.4 %')
    """
    return f"{without_minus_zero(f'{100 * share:.{1 if abs(share) < 0.01 else 0}f}').removesuffix('.0')} %"


def without_minus_zero(text: str) -> str:
    """A formatted number, without a sign where all its digits are zeros.

    Example:
        >>> without_minus_zero("-0.00"), without_minus_zero("-0.01")
        ('0.00', '-0.01')
    """
    return text.lstrip("+-") if text[:1] in "+-" and not text.strip("+-0.,") else text
