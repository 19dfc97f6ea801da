"""A long formula on several lines, cut where R's deparser cuts it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mixedpy.errors import FormulaError

__all__ = ["formula_lines"]

_CUTOFF = 60

# Binding power of R's binary operators; those in _SPACED have blanks around them and may end a line.
_POWER = {
    "~": 1, "||": 2, "|": 2, "&&": 3, "&": 3, "==": 5, "!=": 5, "<": 5, ">": 5, "<=": 5, ">=": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "%": 8, ":": 9, "^": 11, "$": 12, "@": 12, "::": 13, ":::": 13,
}  # fmt: skip
_SPACED = frozenset(["~", "||", "|", "&&", "&", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*"])
_UNARY_POWER = {"!": 4, "-": 10, "+": 10, "~": 1}
_CLOSING = {"(": ")", "[": "]", "[[": "]]", "{": "}"}

_TOKEN = re.compile(
    r"""\s*(?:(?P<atom>`[^`]*`|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\d.]*\d[\d.]*(?:[eE][+-]?\d+)?L?|[^\W\d_][\w.]*
    |\.[\w.]*)|(?P<op>%[^%]*%|:::|::|\|\||&&|==|!=|<=|>=|\[\[|\]\]|[-+*/^:~|&<>!$@()\[\]{},=]))""",
    re.VERBOSE,
)


def formula_lines(formula: str) -> list[str]:
    """Cut a formula into the lines of R's deparser.

    A line ends after an operator with blanks around it, or after a comma, once it has more than 60 characters. What
    follows is indented by four blanks for each enclosing operator or argument list in which a line has ended.

    Parameters
    ----------
    formula : str
        The formula on one line, spaced as R deparses it.

    Returns
    -------
    list of str
        The lines; every line but the last ends in a blank.

    Raises
    ------
    FormulaError
        If brackets do not match or a character is not part of R's language.

    Examples
    --------
    >>> formula_lines("Reaction ~ Days + (Days | Subject)")
    ['Reaction ~ Days + (Days | Subject)']
    """
    writer = _Writer(formula, _tokens(formula))
    writer.expression(0)
    if writer.position < len(writer.tokens):
        raise writer.error("an operator or the end of the formula")
    return [*writer.lines, writer.line]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    is_operator: bool
    start: int


def _tokens(formula: str) -> list[_Token]:
    tokens, position, end = [], 0, len(formula.rstrip())
    while position < end:
        match = _TOKEN.match(formula, position)
        if match is None:
            raise FormulaError(f"unexpected {formula[position]!r} in the formula to print", formula, position)
        kind = match.lastgroup or "op"
        tokens.append(_Token(match[kind], kind == "op", match.start(kind)))
        position = match.end()
    return tokens


@dataclass(slots=True)
class _Writer:
    """Reads tokens by operator precedence and writes lines as it goes."""

    formula: str
    tokens: list[_Token]
    position: int = 0
    lines: list[str] = field(default_factory=list)
    line: str = ""
    indent: int = 0

    def error(self, wanted: str) -> FormulaError:
        if self.position < len(self.tokens):
            token = self.tokens[self.position]
            message = f"saw {token.text!r} where the formula to print needs {wanted}"
            return FormulaError(message, self.formula, token.start, token.start + len(token.text))
        return FormulaError(f"the formula to print ends where it needs {wanted}", self.formula, len(self.formula))

    def peek(self) -> str | None:
        """Text of the next token if it is an operator."""
        token = self.tokens[self.position] if self.position < len(self.tokens) else None
        return token.text if token is not None and token.is_operator else None

    def write(self, text: str) -> None:
        if not self.line and self.lines:
            self.line = "    " * min(self.indent, 4) + "  " * max(self.indent - 4, 0)
        self.line += text

    def end_line(self, broken: bool) -> bool:
        """End the line if it is long; the first end within a node indents the rest of the node."""
        if len(self.line.encode()) <= _CUTOFF:
            return broken
        self.lines.append(self.line)
        self.line = ""
        self.indent += not broken
        return True

    def expression(self, least: int) -> None:
        self.prefix()
        while (op := self.peek()) is not None:
            if op in _CLOSING and op != "{":
                self.bracket()
                continue
            power = _POWER.get("%" if op.startswith("%") else op, -1)
            if power < max(least, 0) or power == -1:
                return
            self.position += 1
            broken = False
            if op in _SPACED:
                self.write(f" {op} ")
                broken = self.end_line(False)
            else:
                self.write(f" {op} " if op.startswith("%") else op)
            self.expression(power if op == "^" else power + 1)
            self.indent -= broken

    def prefix(self) -> None:
        op = self.peek()
        if op in _UNARY_POWER:
            self.position += 1
            self.write(op)
            self.expression(_UNARY_POWER[op])
        elif op == "(":
            self.bracket()
        elif op is not None or self.position == len(self.tokens):
            raise self.error("a name, a number or an opening parenthesis")
        else:
            self.write(self.tokens[self.position].text)
            self.position += 1

    def bracket(self) -> None:
        opening = self.tokens[self.position].text
        self.write(opening)
        self.position += 1
        broken = False
        while (op := self.peek()) != _CLOSING[opening]:
            if op == ",":
                self.write(", ")
                self.position += 1
                broken = self.end_line(broken)
            elif op == "=":
                self.write(" = ")
                self.position += 1
            elif op is None and self.position == len(self.tokens):
                raise self.error(f"{_CLOSING[opening]!r}")
            else:
                self.expression(0)
        self.write(_CLOSING[opening])
        self.position += 1
        self.indent -= broken
