"""What an expression in a formula may contain: a closed list of functions and operators, checked before any use."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from mixedpy.errors import FormulaError
from mixedpy.formula.functions import FUNCTIONS, arguments
from mixedpy.formula.syntax import Binary, Call, Logical, Name, Node, Number, Paren, String, Unary, walk

__all__ = ["check_expression", "column_names"]

_OPERATORS = frozenset({"+", "-", "*", "/", "^", "%%", "%/%", "==", "!=", "<", ">", "<=", ">=", "&", "|"})
_CONTRASTS = ("treatment", "sum", "helmert", "poly", "sdif", "SAS")
_NOWHERE: frozenset[str] = frozenset()


def check_expression(node: Node, formula: str, functions: Collection[str] = _NOWHERE) -> None:
    """Refuse an expression that uses anything but columns, numbers, texts and the listed functions and operators.

    Parameters
    ----------
    node : Node
        An expression that stands for one variable of the model.
    formula : str
        The formula, for the caret.
    functions : collection of str
        Functions that the user added.

    Raises
    ------
    FormulaError
        With a caret under the function or operator that is not listed.
    """
    stack = [node]
    while stack:
        part = stack.pop()
        match part:
            case Call():
                stack += _check_call(part, formula, functions)
            case Binary():
                if part.operator not in _OPERATORS:
                    stop = part.at + len(part.operator)
                    raise FormulaError(_misplaced(part.operator), formula, part.at, stop)
                stack += (part.left, part.right)
            case Unary():
                stack.append(part.operand)
            case Paren():
                stack.append(part.inner)
            case _:
                pass


def column_names(node: Node) -> Iterator[Name]:
    """Visit the names below a node that stand for columns; an option such as ``contr.sum`` does not."""
    stack = [node]
    while stack:
        part = stack.pop()
        match part:
            case Name():
                yield part
            case Binary():
                stack += (part.right, part.left)
            case Unary():
                stack.append(part.operand)
            case Paren():
                stack.append(part.inner)
            case Call() if part.function in FUNCTIONS:
                options = FUNCTIONS[part.function].options
                stack += [a for name, a in reversed(arguments(part).items()) if name not in options]
            case Call():
                stack += reversed(part.arguments)
            case _:
                pass


def _misplaced(operator: str) -> str:
    if operator == "||":
        return "`||` belongs to a random term such as (1 || g), which is added with +; the logical or of columns is |"
    if operator == "&&":
        return "the logical and of columns is &"
    return f"`{operator}` has no meaning inside an expression; it combines terms outside functions"


def _check_call(call: Call, formula: str, functions: Collection[str]) -> list[Node]:
    """Check a call; return the arguments that are expressions themselves."""
    if call.function in functions:
        return list(call.arguments)
    signature = FUNCTIONS.get(call.function)
    if signature is None:
        raise FormulaError(_unknown(call, functions), formula, call.start, call.start + len(call.function))
    given = len(call.arguments)
    if not signature.required <= given <= len(signature.names):
        wanted = str(signature.required)
        if signature.required < len(signature.names):
            wanted = f"{wanted} to {len(signature.names)}"
        raise FormulaError(f"{call.function}() takes {wanted} argument(s), not {given}", formula, call.start, call.stop)
    for position, keyword in enumerate(call.keywords):
        argument = call.arguments[position]
        if keyword is not None and (keyword not in signature.names or keyword in call.keywords[:position]):
            problem = f"is given `{keyword}` twice"
            if keyword not in signature.names:
                near = difflib.get_close_matches(keyword, signature.names, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"its arguments are {', '.join(signature.names)}"
                problem = f"has no argument `{keyword}`; {hint}"
            raise FormulaError(f"{call.function}() {problem}", formula, argument.start, argument.stop)
    matched = arguments(call)
    if any(name not in matched for name in signature.data[: signature.required]):
        message = f"{call.function}() lacks its argument `{signature.data[0]}`; give a column"
        raise FormulaError(message, formula, call.start, call.stop)
    for name in signature.options:
        if name in matched:
            _check_option(call, name, matched[name], formula)
    return [matched[name] for name in signature.data if name in matched]


def _check_option(call: Call, name: str, value: Node, formula: str) -> None:
    if (call.function, name) == ("C", "contr"):
        text = value.name if isinstance(value, Name) else value.value if isinstance(value, String) else None
        if text is None or text.removeprefix("contr.") not in _CONTRASTS:
            known = ", ".join(f"contr.{known}" for known in _CONTRASTS)
            message = f"C() takes one of {known}; for a matrix use the argument contrasts= of the model"
            raise FormulaError(message, formula, value.start, value.stop)
        return
    for part in walk(value):
        vector = isinstance(part, Call) and part.function == "c" and not any(part.keywords)
        sign = isinstance(part, Unary) and part.operator in ("+", "-")
        if not (vector or sign or isinstance(part, Number | String | Logical | Paren)):
            message = (
                f"the argument `{name}` of {call.function}() is a constant: a number, a text, TRUE, FALSE or c(...)"
            )
            raise FormulaError(message, formula, part.start, part.stop)


def _unknown(call: Call, functions: Collection[str]) -> str:
    if call.function == "offset":
        return "offset() must be a term of its own in the fixed part, added with +"
    if call.function == "cbind":
        return "cbind(successes, failures) can only be the response, left of the ~"
    if call.function in ("us", "diag", "cs", "ar1"):
        return f"{call.function}() encloses a random term such as {call.function}(x | g), added with +"
    if call.function == "c":
        return "c() can only give the values of an option, such as knots = c(1, 2)"
    known = [*FUNCTIONS, *functions]
    near = difflib.get_close_matches(call.function, known, n=1)
    if near:
        return f"the function {call.function}() is not known; did you mean {near[0]}()?"
    return (
        f"the function {call.function}() is not known; known are {', '.join(known)} and offset; "
        "others are added by functions={name: function}"
    )
