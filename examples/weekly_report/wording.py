"""Numbers, days and currency names as the report writes them: the same everywhere."""

from __future__ import annotations

from datetime import date

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NARROW NO-BREAK SPACE}"

NAMES = {
    "AUD": "Australian dollar",
    "BGN": "Bulgarian lev",
    "BRL": "Brazilian real",
    "CAD": "Canadian dollar",
    "CHF": "Swiss franc",
    "CNY": "Chinese renminbi",
    "CYP": "Cypriot pound",
    "CZK": "Czech koruna",
    "DKK": "Danish krone",
    "EEK": "Estonian kroon",
    "GBP": "Pound sterling",
    "HKD": "Hong Kong dollar",
    "HRK": "Croatian kuna",
    "HUF": "Hungarian forint",
    "IDR": "Indonesian rupiah",
    "ILS": "Israeli shekel",
    "INR": "Indian rupee",
    "ISK": "Icelandic króna",
    "JPY": "Japanese yen",
    "KRW": "South Korean won",
    "LTL": "Lithuanian litas",
    "LVL": "Latvian lats",
    "MTL": "Maltese lira",
    "MXN": "Mexican peso",
    "MYR": "Malaysian ringgit",
    "NOK": "Norwegian krone",
    "NZD": "New Zealand dollar",
    "PHP": "Philippine peso",
    "PLN": "Polish złoty",
    "ROL": "Romanian leu (until 2005)",
    "RON": "Romanian leu",
    "RUB": "Russian rouble",
    "SEK": "Swedish krona",
    "SGD": "Singapore dollar",
    "SIT": "Slovenian tolar",
    "SKK": "Slovak koruna",
    "THB": "Thai baht",
    "TRL": "Turkish lira (until 2004)",
    "TRY": "Turkish lira",
    "USD": "US dollar",
    "ZAR": "South African rand",
}

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip  # strftime would follow the machine's locale


def name(code: str) -> str:
    """The currency's name, or its code where the list does not have it."""
    return NAMES.get(code, code)


def percent(value: float, places: int = 2) -> str:
    """A signed percentage: ``+1.62 %``; what rounds to zero has no sign."""
    return f"{signed(value * 100, places)}{SPACE}%"


def share(value: float, places: int = 1) -> str:
    """An unsigned percentage, for volatility."""
    return f"{value * 100:.{places}f}{SPACE}%"


def signed(value: float, places: int) -> str:
    """With a plus or a true minus sign; no sign for zero."""
    text = f"{abs(value):.{places}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else MINUS) + text


def rate(value: float) -> str:
    """A rate with the digits the ECB published."""
    return f"{value:.10g}"


def day(value: date) -> str:
    """``23 October 2026``."""
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


def day_range(first: date, last: date) -> str:
    """``19 to 25 October 2026``; months and years only where they differ."""
    if first == last:
        return day(last)
    head = str(first.day)
    if (first.year, first.month) != (last.year, last.month):
        head += f" {MONTHS[first.month - 1]}"
    if first.year != last.year:
        head += f" {first.year}"
    return f"{head} to {day(last)}"


def listing(words: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), *words[-1:]])


def plural(count: int, one: str, many: str) -> str:
    """``1 currency``, ``2 currencies``."""
    return f"{count} {one if count == 1 else many}"
