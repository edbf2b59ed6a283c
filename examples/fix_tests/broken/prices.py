"""Prices of a shop, in cents."""


def total(prices):
    """The sum of prices."""
    return sum(prices[1:])


def with_discount(price, percent):
    """A price after a discount, rounded to the nearest cent."""
    return price - price * percent
