# SPDX-License-Identifier: Apache-2.0
"""Exact arithmetic: sums of products, and the one rule for ratios (half to even at 12 decimals).

Spark's decimals have 38 digits and round silently where a product has more (price times quantity
would have 57). So prices and quantities become integers first:

    price    = p / 10^8                      p < 10^18
    quantity = whole + part / 10^12          part < 10^12
    price * quantity = (p * whole) / 10^8 + (p * part) / 10^20

Both products and their sums fit in 38 digits, and where a sum does not, ANSI mode fails the job by
name instead of rounding. What is left for Python are the few divisions of finished sums. No double
is involved anywhere."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Optional

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql.types import DecimalType

PRICE_DECIMALS = 8
QUANTITY_DECIMALS = 12
QUOTE_DECIMALS = 16
RATIO_DECIMALS = 12

PRICE = DecimalType(18, PRICE_DECIMALS)
QUANTITY = DecimalType(38, QUANTITY_DECIMALS)
QUOTE = DecimalType(38, QUOTE_DECIMALS)
RATIO = DecimalType(38, RATIO_DECIMALS)
INTEGER = DecimalType(38, 0)

_WIDE = Context(prec=80)
_DIGITS_MAX = 38


# ---- columns ----


def price_integer(price: Column) -> Column:
    """A DECIMAL(18,8) as an integer of its eighth decimal."""
    return (price * f.lit(10**PRICE_DECIMALS).cast("decimal(9,0)")).cast("decimal(18,0)")


def quantity_whole(quantity: Column) -> Column:
    """The digits before the point of a quantity that is not negative."""
    return f.floor(quantity).cast("decimal(19,0)")


def quantity_part(quantity: Column) -> Column:
    """The digits behind the point, as an integer of the twelfth decimal."""
    rest = quantity % f.lit(1).cast("decimal(1,0)")
    return (rest * f.lit(10**QUANTITY_DECIMALS).cast("decimal(13,0)")).cast("decimal(12,0)")


def quote_sums(price: Column, quantity: Column) -> tuple[Column, Column]:
    """The two sums that make a quote volume: of 10^-8 and of 10^-20."""
    integer = price_integer(price)
    return (
        f.sum(integer * quantity_whole(quantity)).cast(INTEGER),
        f.sum(integer * quantity_part(quantity)).cast(INTEGER),
    )


# ---- finished sums ----


def scaled(value: int, decimals: int) -> Decimal:
    """value / 10^decimals; OverflowError where that has more digits than a DECIMAL holds."""
    if abs(value) >= 10**_DIGITS_MAX:
        raise OverflowError(f"{value} / 10^{decimals} has more than {_DIGITS_MAX} digits")
    return Decimal(value).scaleb(-decimals, _WIDE)


def half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator as an integer, a half to the even one."""
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    quotient, rest = divmod(abs(numerator), abs(denominator))
    twice = 2 * rest - abs(denominator)
    return sign * (quotient + (twice > 0 or (twice == 0 and quotient % 2 == 1)))


def ratio(numerator: Optional[Decimal], denominator: Optional[Decimal]) -> Optional[Decimal]:
    """Half to even at 12 decimals; None without a denominator, or where it is 0."""
    if numerator is None or not denominator:
        return None
    top, below = int(numerator.scaleb(40, _WIDE)), int(denominator.scaleb(40, _WIDE))
    return scaled(half_even(top * 10**RATIO_DECIMALS, below), RATIO_DECIMALS)


def quote_volume(eighths: Optional[Decimal], twentieths: Optional[Decimal]) -> Optional[Decimal]:
    """The quote volume of both sums of quote_sums(); OverflowError where 16 decimals do not hold
    it, since nothing is rounded."""
    if eighths is None or twentieths is None:
        return None
    value = int(eighths) * 10**12 + int(twentieths)
    unit = 10 ** (20 - QUOTE_DECIMALS)
    if value % unit != 0:
        raise OverflowError(f"quote volume {value} / 10^20 has more than {QUOTE_DECIMALS} decimals")
    return scaled(value // unit, QUOTE_DECIMALS)


# Rows that are already summed up: a few thousand a day. Plain Python workers need no pandas.
ratio_of = f.udf(ratio, RATIO, useArrow=False)
quote_volume_of = f.udf(quote_volume, QUOTE, useArrow=False)
