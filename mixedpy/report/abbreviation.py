"""Short names that stay distinct: R's ``abbreviate``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

__all__ = ["abbreviate"]

_VOWELS = frozenset("aeiou")


def _starts_word(text: list[str], i: int) -> bool:
    return text[i - 1].isspace()


def _ends_word(text: list[str], i: int) -> bool:
    return not text[i - 1].isspace() and (i + 1 == len(text) or text[i + 1].isspace())


def _is_vowel(text: list[str], i: int) -> bool:
    return text[i] in _VOWELS


def _is_lower(text: list[str], i: int) -> bool:
    return text[i].islower()


_PASSES: tuple[Callable[[list[str], int], bool], ...] = (
    lambda text, i: _is_vowel(text, i) and _ends_word(text, i),
    lambda text, i: _is_vowel(text, i) and not _starts_word(text, i),
    lambda text, i: _is_lower(text, i) and _ends_word(text, i),
    lambda text, i: _is_lower(text, i) and not _starts_word(text, i),
    lambda text, i: not _starts_word(text, i) and not text[i].isspace(),
)


def _shorten(name: str, minlength: int) -> str:
    """Drop characters from the right until ``minlength`` are left that are not blanks; the first one always stays."""
    text = list(name)
    if len(text) <= minlength:
        return name
    blanks = sum(c.isspace() for c in text[1:])
    for droppable in _PASSES:
        for i in range(len(text) - 1, 0, -1):
            if len(text) - blanks <= minlength:
                break
            if droppable(text, i):
                del text[i]
    if len(text) > minlength:
        text = [text[0], *(c for c in text[1:] if not c.isspace())]
    return "".join(text)


def abbreviate(names: Iterable[str], minlength: int = 4, *, strict: bool = False) -> list[str]:
    """Abbreviate names to at least ``minlength`` characters such that different names stay different.

    From the right, and never the first character, these are dropped until the name is short enough: lower-case vowels
    that end a word, other lower-case vowels that do not start one, lower-case letters likewise, then any character
    that does not start a word. Names whose abbreviations coincide are abbreviated anew one character longer.

    Parameters
    ----------
    names : iterable of str
        Names; leading and trailing blanks are ignored, equal names get equal abbreviations.
    minlength : int
        Length aimed at; shorter names stay.
    strict : bool
        Whether to keep to ``minlength`` even if abbreviations coincide.

    Returns
    -------
    list of str
        The abbreviations, in the order of ``names``.

    Examples
    --------
    >>> abbreviate(["(Intercept)", "Days", "service1:dept10", "service1:dept11"], 6)
    ['(Intr)', 'Days', 'sr1:10', 'sr1:11']
    """
    stripped = [name.strip(" ") for name in names]
    if minlength <= 0:
        return [""] * len(stripped)
    distinct = list(dict.fromkeys(stripped))
    short = {name: _shorten(name, minlength) for name in distinct}
    while not strict:
        repeated = _repeated([short[name] for name in distinct])
        if not repeated:
            break
        minlength += 1
        for name in distinct:
            if short[name] in repeated:
                short[name] = _shorten(name, minlength)
    return [short[name] for name in stripped]


def _repeated(items: list[str]) -> frozenset[str]:
    return frozenset(item for item, count in Counter(items).items() if count > 1)
