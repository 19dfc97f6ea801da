"""Formula text -> syntax tree: a tokenizer and a precedence parser that keep the position of everything."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from mixedpy.errors import FormulaError
from mixedpy.formula.syntax import Binary, Call, Logical, Name, Node, Number, Paren, String, Unary

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "parse_sides"]

MAX_LENGTH = 20_000
"""Longest formula that is read, in characters; it bounds the work an untrusted formula can cause."""

MAX_DEPTH = 100
"""Deepest nesting of parentheses, calls, signs and powers."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
      | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*)
      | (?P<quoted>`[^`]*`)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator>%[^%\s]*%|\*\*|\|\||&&|[<>=!]=|[-+*/:^|&!<>=~(),])""",
    re.VERBOSE,
)

# Binding power of the binary operators, R's precedence (see ?Syntax in R).
_POWER = {
    "|": 1, "||": 1, "&": 2, "&&": 2, "==": 4, "!=": 4, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5,
    "*": 6, "/": 6, "%in%": 7, "%%": 7, "%/%": 7, ":": 8, "^": 10,
}  # fmt: skip
_SIGN_POWER = 9
_NOT_POWER = 3
_CONSTANTS = {"TRUE": True, "FALSE": False}
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_CLOSERS = frozenset({")", ",", "end"})


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    stop: int


def _tokenize(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _cannot_read(text, at)
        kind = found.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, found.group(), at, found.end()))
        at = found.end()
    tokens.append(_Token("end", "", len(text), len(text)))
    return tokens


def _cannot_read(text: str, at: int) -> FormulaError:
    character = text[at]
    if character in "`\"'":
        return FormulaError(f"the quote {character} is never closed; add the closing {character}", text, at, at + 1)
    if character == "%":
        return FormulaError("a % operator must be written whole, such as %in% or %%", text, at, at + 1)
    return FormulaError(
        f"{character!r} is not part of the formula language; put a column name that contains it in `backticks`",
        text,
        at,
        at + 1,
    )


class _Parser:
    """Precedence climbing over the tokens of one formula."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokenize(text)
        self.position = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def advance(self) -> _Token:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def error(self, message: str, token: _Token) -> FormulaError:
        return FormulaError(message, self.text, token.start, token.stop)

    def expression(self, power: int = 1) -> Node:
        left = self.operand()
        while True:
            token = self.token
            operator = "^" if token.text == "**" else token.text
            if token.kind != "operator" or _POWER.get(operator, 0) < power:
                return left
            binding = _POWER[operator]
            self.advance()
            # The power associates to the right and takes a sign in its exponent; the others associate to the left.
            right = self.nested(binding if operator == "^" else binding + 1, token)
            left = Binary(operator, left, right, token.start, left.start, right.stop)
            if operator in _COMPARISONS and self.token.text in _COMPARISONS:
                raise self.error("comparisons cannot be chained; use parentheses or two terms", self.token)

    def nested(self, power: int, opener: _Token) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"the formula is nested more than {MAX_DEPTH} deep; write it with fewer levels", opener)
        node = self.expression(power)
        self.depth -= 1
        return node

    def operand(self) -> Node:
        token = self.advance()
        match token.kind:
            case "number":
                return self.number(token)
            case "string":
                value = re.sub(r"\\(.)", r"\1", token.text[1:-1])
                return String(value, token.start, token.stop)
            case "quoted":
                if len(token.text) == 2:
                    raise self.error("the backticks hold no name; write the column name between them", token)
                return Name(token.text[1:-1], token.start, token.stop)
            case "name":
                return self.name_or_call(token)
            case _:
                if token.text in ("+", "-", "!"):
                    operand = self.nested(_NOT_POWER if token.text == "!" else _SIGN_POWER, token)
                    return Unary(token.text, operand, token.start, operand.stop)
                if token.text == "(":
                    inner = self.nested(1, token)
                    return Paren(inner, token.start, self.close(token).stop)
        raise self.missing_operand(token)

    def number(self, token: _Token) -> Node:
        value = float(token.text.removesuffix("L"))
        integer = token.text.endswith("L")
        if not math.isfinite(value) or (integer and not value.is_integer()):
            wanted = "a whole number before the L" if integer else "a smaller one"
            raise self.error(f"the number {token.text} cannot be used; write {wanted}", token)
        return Number(value, integer, token.start, token.stop)

    def name_or_call(self, token: _Token) -> Node:
        if self.token.text == "(" and self.token.kind == "operator":
            return self.call(token)
        if token.text.startswith("__") or ".__" in token.text:
            raise self.error(f"`{token.text}` is not a column name; a formula cannot reach attributes", token)
        if token.text in _CONSTANTS:
            return Logical(_CONSTANTS[token.text], token.start, token.stop)
        return Name(token.text, token.start, token.stop)

    def call(self, function: _Token) -> Node:
        opener = self.advance()
        arguments: list[Node] = []
        keywords: list[str | None] = []
        while self.token.text != ")" or arguments:
            keyword = None
            if self.token.kind == "name" and self.tokens[self.position + 1].text == "=":
                keyword = self.advance().text
                self.advance()
            arguments.append(self.nested(1, opener))
            keywords.append(keyword)
            if self.token.text != ",":
                break
            self.advance()
        stop = self.close(opener).stop
        return Call(function.text, tuple(arguments), tuple(keywords), function.start, stop)

    def close(self, opener: _Token) -> _Token:
        if self.token.text == ")" and self.token.kind == "operator":
            return self.advance()
        if self.token.kind == "end" or self.token.text == "~":
            raise self.error("this parenthesis is never closed; add a )", opener)
        raise self.unexpected(self.token)

    def missing_operand(self, token: _Token) -> FormulaError:
        before = self.tokens[self.position - 2] if self.position > 1 else None
        ends = token.kind == "end" or token.text in (")", ",", "~")
        if before is not None and before.text == "(" and token.text == ")":
            return self.error("there is nothing between the parentheses", token)
        if before is not None and ends and before.text in _POWER | {"**": 10}:
            return self.error(f"nothing follows `{before.text}`; give its right-hand side or leave it out", before)
        if before is not None and token.kind == "end" and before.text == "(":
            return self.error("this parenthesis is never closed; add a )", before)
        if token.text == ")":
            return self.error("this parenthesis closes nothing; remove it or add the opening (", token)
        if token.text in ("|", "||"):
            return self.error(f"nothing stands before `{token.text}`; write 1 for an intercept or name a column", token)
        if token.kind == "end":
            return self.error("the formula ends where a term was expected", token)
        return self.error(f"`{token.text}` stands where a column, number or function was expected", token)

    def unexpected(self, token: _Token) -> FormulaError:
        if token.text == ")":
            return self.error("this parenthesis closes nothing; remove it or add the opening (", token)
        if token.text == "~":
            return self.error("a formula has one ~ only, between the response and the terms", token)
        if token.text == "=":
            return self.error("`=` only names an argument of a function; to compare, write ==", token)
        if token.kind == "operator" and token.text not in _COMPARISONS:
            return self.error(f"the operator `{token.text}` is not known here", token)
        return self.error(f"`{token.text}` follows without an operator; put + or another operator before it", token)


def parse_sides(text: str) -> tuple[Node, Node]:
    """Parse ``response ~ terms`` into the syntax trees of its two sides.

    Parameters
    ----------
    text : str
        The formula.

    Returns
    -------
    tuple of Node
        Left and right side.

    Raises
    ------
    FormulaError
        With a caret under what cannot be read.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula has {len(text)} characters; at most {MAX_LENGTH} are read")
    parser = _Parser(text)
    tildes = [token for token in parser.tokens if token.text == "~" and token.kind == "operator"]
    if not tildes:
        raise FormulaError(
            "the formula has no ~; write the response, then ~, then the terms, such as y ~ x + (1 | g)",
            text,
            0,
            len(text),
        )
    if parser.token is tildes[0]:
        raise parser.error("there is no response before the ~; write the column to be modelled", tildes[0])
    left = parser.expression()
    if parser.token is not tildes[0]:
        raise parser.unexpected(parser.token)
    parser.advance()
    if parser.token.kind == "end":
        raise parser.error("there are no terms after the ~; write at least one such as (1 | g)", tildes[0])
    right = parser.expression()
    if parser.token.kind != "end":
        raise parser.unexpected(parser.token)
    return left, right
