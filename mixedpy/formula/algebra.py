"""The algebra of terms: ``a * b``, ``(a + b)^2``, ``a / b``, ``- a``, ``0 +`` as R's ``terms`` reads them.

A term is a set of variables, kept as the bits of an integer in the order in which the formula first names them; R
writes the variables of an interaction in that order, whichever way they were typed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mixedpy.errors import FormulaError
from mixedpy.formula.deparse import deparse
from mixedpy.formula.expressions import check_expression
from mixedpy.formula.syntax import Binary, Call, Logical, Name, Node, Number, Paren, String, Unary, left_spine

__all__ = ["MAX_TERMS", "Terms", "expand"]

MAX_TERMS = 20_000
"""Most terms that a formula may expand to."""

_MOST_PRODUCTS = 500_000
"""Most products of terms formed on the way, repeated ones counted: it bounds the time that a formula can take."""

_ALGEBRA = frozenset({"+", "-", "*", "/", ":", "^", "%in%"})


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one side: R's ``terms`` object without the coding.

    Attributes
    ----------
    variables : tuple of Node
        Distinct variables in order of first appearance; a variable is a column or an expression.
    names : tuple of str
        Their texts, as R prints them.
    terms : tuple of tuple of int
        The terms as positions in ``variables``, lower orders first, otherwise as written.
    intercept : bool
        Whether the model has an intercept.
    offsets : tuple of Node
        The arguments of the ``offset()`` terms.
    """

    variables: tuple[Node, ...]
    names: tuple[str, ...]
    terms: tuple[tuple[int, ...], ...]
    intercept: bool
    offsets: tuple[Node, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The terms' texts, such as ``a:b``."""
        return tuple(":".join(self.names[v] for v in term) for term in self.terms)


def expand(
    node: Node | None, formula: str, *, dot: Sequence[str] | None = None, functions: Collection[str] = ()
) -> Terms:
    """Expand an expression of terms.

    Parameters
    ----------
    node : Node or None
        One side of a formula, or the left side of a bar, without bars; None is the intercept alone.
    formula : str
        The formula, for the caret.
    dot : sequence of str, optional
        The columns that ``.`` stands for.
    functions : collection of str
        Functions that the user added.

    Returns
    -------
    Terms
        The distinct terms.

    Raises
    ------
    FormulaError
        Where the algebra has no meaning.
    """
    expansion = _Expansion(formula, dot, functions)
    return expansion.finish([] if node is None else expansion.encode(node))


class _Expansion:
    """The state of one expansion: variables met so far and, as in R, one intercept switch for the whole formula."""

    def __init__(self, formula: str, dot: Sequence[str] | None, functions: Collection[str]) -> None:
        self.functions = functions
        self.formula = formula
        self.dot = dot
        self.formed = 0
        self.intercept = True
        self.deleting = False
        self.variables: list[Node] = []
        self.bits: dict[str, int] = {}

    def error(self, message: str, node: Node) -> FormulaError:
        return FormulaError(message, self.formula, node.start, node.stop)

    def encode(self, node: Node) -> list[int]:
        match node:
            case Paren():
                return self.encode(node.inner)
            case Number():
                if node.value not in (0.0, 1.0):
                    raise self.error("a number other than 0 and 1 is no term; to compute, wrap it: I(2 * x)", node)
                self.intercept = (node.value == 1.0) != self.deleting
                return []
            case String():
                raise self.error("a text is no term; write the column name without quotes or in `backticks`", node)
            case Logical():
                raise self.error("TRUE and FALSE are no terms; a column of that name stands in `backticks`", node)
            case Unary() if node.operator != "!":
                return self.encode(node.operand) if node.operator == "+" else self.delete([], node.operand)
            case Binary() if node.operator in _ALGEBRA:
                first, chain = left_spine(node, _ALGEBRA)
                terms = self.encode(first)
                for operation in chain:
                    terms = self.apply(operation, terms)
                return terms
            case Name(name="."):
                return [self.install(Name(name, node.start, node.stop)) for name in self.dotted(node)]
            case _:
                return [self.install(node)]

    def dotted(self, node: Node) -> Sequence[str]:
        if self.dot is None:
            raise self.error("`.` cannot be used here; name the columns", node)
        return self.dot

    def install(self, node: Node) -> int:
        check_expression(_offset_argument(node) or node, self.formula, self.functions)
        name = deparse(node)
        if name not in self.bits:
            self.bits[name] = 1 << len(self.variables)
            self.variables.append(node)
        return self.bits[name]

    def apply(self, operation: Binary, left: list[int]) -> list[int]:
        if operation.operator == "-":
            return self.delete(left, operation.right)
        if operation.operator == "^":
            return self.power(left, operation)
        right = self.encode(operation.right)
        match operation.operator:
            case "+":
                return left + right
            case ":":
                return self.products(left, right, operation)
            case "*":
                return list(dict.fromkeys(left + right + self.products(left, right, operation)))
            case "/":
                return left + self.products([_union(left)], right, operation)
            case _:  # %in%
                return self.products(left, [_union(right)], operation)

    def products(self, left: list[int], right: list[int], operation: Binary) -> list[int]:
        self.formed += len(left) * len(right)
        if len(left) * len(right) > MAX_TERMS or self.formed > _MOST_PRODUCTS:
            raise FormulaError(
                f"`{operation.operator}` makes more than {MAX_TERMS} terms; write those that are wanted",
                self.formula,
                operation.start,
                operation.stop,
            )
        return list(dict.fromkeys(a | b for a in left for b in right))

    def power(self, left: list[int], operation: Binary) -> list[int]:
        exponent = operation.right
        if not isinstance(exponent, Number) or exponent.value < 1 or exponent.value != int(exponent.value):
            raise self.error(
                "the exponent of a term is a whole number from 1; for the power of a column write I(x^2)", exponent
            )
        terms = left
        for _ in range(min(int(exponent.value), len(left)) - 1):
            terms = list(dict.fromkeys(terms + self.products(terms, left, operation)))
        return terms

    def delete(self, left: list[int], node: Node) -> list[int]:
        self.deleting = not self.deleting
        gone = set(self.encode(node))
        self.deleting = not self.deleting
        return [term for term in left if term not in gone]

    def finish(self, encoded: list[int]) -> Terms:
        offsets = [v for v in self.variables if _offset_argument(v) is not None]
        if not offsets:
            return self.terms(encoded, ())
        bits = [self.bits[deparse(v)] for v in offsets]
        for offset, bit in zip(offsets, bits, strict=True):
            if any(term & bit and term != bit for term in encoded):
                raise self.error("offset() cannot be part of an interaction; add it with +", offset)
        kept = (_offset_argument(v) for v, bit in zip(offsets, bits, strict=True) if bit in encoded)
        return self.terms([term for term in encoded if term not in bits], tuple(filter(None, kept)))

    def terms(self, encoded: list[int], offsets: tuple[Node, ...]) -> Terms:
        members = [_members(term) for term in dict.fromkeys(encoded)]
        return Terms(
            variables=tuple(self.variables),
            names=tuple(self.bits),
            terms=tuple(sorted(members, key=len)),
            intercept=self.intercept,
            offsets=offsets,
        )


def _offset_argument(node: Node) -> Node | None:
    """What a call of ``offset`` with one argument adds; None for any other node."""
    if isinstance(node, Call) and node.function == "offset" and len(node.arguments) == 1:
        return node.arguments[0]
    return None


def _union(terms: list[int]) -> int:
    bits = 0
    for term in terms:
        bits |= term
    return bits


def _members(term: int) -> tuple[int, ...]:
    return tuple(v for v in range(term.bit_length()) if term >> v & 1)
