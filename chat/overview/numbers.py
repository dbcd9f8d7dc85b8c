"""Figures as people read them."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _


def whole(number: float | Decimal) -> str:
    return number_format(round(number), 0, use_l10n=True, force_grouping=True)


def compact(number: float | Decimal) -> str:
    """Return a count with three digits that say something: 950, 12.3k, 1.20M."""
    for size, unit in ((10**9, _("%sbn")), (10**6, _("%sM")), (10**3, _("%sk"))):
        if number >= size * (10 if size == 10**3 else 1):
            part = Decimal(number) / size
            return unit % number_format(part, 0 if part >= 100 or part == round(part) else 1 if part >= 10 else 2)
    return whole(number)


def amount(money: float | Decimal) -> str:
    """Return an amount with two digits after the point, or more where it is so small that they would say nothing."""
    money = Decimal(money)
    digits = 4 if 0 < money < Decimal("0.1") else 2
    return number_format(money, digits, use_l10n=True, force_grouping=True)


def money(sum_: float | Decimal) -> str:
    return f"{amount(sum_)} {settings.CHAT_CURRENCY}"


def time_and_unit(time: float | None) -> tuple[str, str]:
    """Return a time in milliseconds, or in seconds where it is long; a dash where there is none."""
    if time is None:
        return "–", ""
    return (number_format(time / 1000, 1), _("s")) if time >= 10_000 else (whole(time), _("ms"))


def milliseconds(time: float | None) -> str:
    return " ".join(time_and_unit(time)).rstrip()


def percent(share: float | Decimal) -> str:
    return _("%s %%") % whole(share * 100)
