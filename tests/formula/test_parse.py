"""Reading formulas: R's deparse, the expansion of bars, carets, and refusal of all that could run code."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixedpy.errors import FormulaError
from mixedpy.formula import parse
from mixedpy.formula.algebra import MAX_TERMS
from mixedpy.formula.deparse import number_text
from mixedpy.formula.parser import MAX_DEPTH, MAX_LENGTH

# Formula as typed, R's deparse of it.
TEXTS = [
    ("Reaction~Days+(Days|Subject)", "Reaction ~ Days + (Days | Subject)"),
    ("  y  ~  x+( 1|g )  ", "y ~ x + (1 | g)"),
    ("y~a/b+(1|g)", "y ~ a/b + (1 | g)"),
    ("y~a*b-a:b+(1|g)", "y ~ a * b - a:b + (1 | g)"),
    ("y~(a+b)^2+(1|g)", "y ~ (a + b)^2 + (1 | g)"),
    ("y~(a+b)**2+(1|g)", "y ~ (a + b)^2 + (1 | g)"),
    ("y~I(x**2)+(1|g)", "y ~ I(x^2) + (1 | g)"),
    ("y~-1+x+(1|g)", "y ~ -1 + x + (1 | g)"),
    ("y~x%in%b+(1|g)", "y ~ x %in% b + (1 | g)"),
    ("y~(1|g/h)", "y ~ (1 | g/h)"),
    ("y~(1|g:h)", "y ~ (1 | g:h)"),
    ("log(y+1)~I(x^2)+(x||g)", "log(y + 1) ~ I(x^2) + (x || g)"),
    ("y~`a b`+`x`+(1|g)", "y ~ `a b` + x + (1 | g)"),
    ("y~log(x,base=2)+(1|g)", "y ~ log(x, base = 2) + (1 | g)"),
    ("y~I(100000*x)+I(x*0.10)+I(x-1e-5)+(1|g)", "y ~ I(1e+05 * x) + I(x * 0.1) + I(x - 1e-05) + (1 | g)"),
    ("y~I(x+1L)+(1|g)", "y ~ I(x + 1L) + (1 | g)"),
    ("y~I(-x^2)+(1|g)", "y ~ I(-x^2) + (1 | g)"),
    ("y~I(x>=2)+(1|g)", "y ~ I(x >= 2) + (1 | g)"),
    ("y~I(a%%2)+(1|g)", "y ~ I(a%%2) + (1 | g)"),
    ("y~(f=='b')+(1|g)", 'y ~ (f == "b") + (1 | g)'),
    ("y~I((x))+(1|g)", "y ~ I((x)) + (1 | g)"),
    ("y~I(2*-3*x)+(1|g)", "y ~ I(2 * -3 * x) + (1 | g)"),
    ("y~I(x/2-1)+(1|g)", "y ~ I(x/2 - 1) + (1 | g)"),
    ("y~I(x*0.0001)+I(x*123456.7)+(1|g)", "y ~ I(x * 1e-04) + I(x * 123456.7) + (1 | g)"),
    ("y~.+(1|g)", "y ~ . + (1 | g)"),
    ("y~.-x+(1|g)", "y ~ . - x + (1 | g)"),
    ("Sepal.Length~Petal.Width+(1|Species)", "Sepal.Length ~ Petal.Width + (1 | Species)"),
    ("y~x+\n (1|g)", "y ~ x + (1 | g)"),
    ("y~((1|g)+(0+x|g))", "y ~ ((1 | g) + (0 + x | g))"),
    ("y~+(1|g)", "y ~ +(1 | g)"),
    ("y~I(a|b)+I(!a&b)+(1|g)", "y ~ I(a | b) + I(!a & b) + (1 | g)"),
    ("y~(!a)+(1|g)", "y ~ (!a) + (1 | g)"),
    ("y~I(a%/%2)+(1|g)", "y ~ I(a%/%2) + (1 | g)"),
    ("y~x+cs(1+x|g,hom=TRUE)", "y ~ x + cs(1 + x | g, hom = TRUE)"),
    ("y~x+us((x|g))+diag(0+f|g/h)", "y ~ x + us((x | g)) + diag(0 + f | g/h)"),
    (
        "y~poly(x,2,raw=FALSE)+bs(x,knots=c(1,2.5))+(1|g)",
        "y ~ poly(x, 2, raw = FALSE) + bs(x, knots = c(1, 2.5)) + (1 | g)",
    ),
    ("y~C(f,contr.sum)+(dummy(f,'b')|g)", 'y ~ C(f, contr.sum) + (dummy(f, "b") | g)'),
    ("cbind(a,b-a)~x+(1|interaction(f,g))", "cbind(a, b - a) ~ x + (1 | interaction(f, g))"),
    ("y~`TRUE`+(1|f*g)", "y ~ `TRUE` + (1 | f * g)"),
]

# Formula, the bars as lme4 expands them: (group, intercept, labels of the effects).
BARS = [
    ("(1|g)", [("g", True, ())]),
    ("(x|g)", [("g", True, ("x",))]),
    ("(0+x|g)", [("g", False, ("x",))]),
    ("(-1+x|g)", [("g", False, ("x",))]),
    ("(x-1|g)", [("g", False, ("x",))]),
    ("(x*f|g)", [("g", True, ("x", "f", "x:f"))]),
    ("(x||g)", [("g", True, ()), ("g", False, ("x",))]),
    ("(0+x||g)", [("g", False, ("x",))]),
    ("(x*f||g)", [("g", True, ()), ("g", False, ("x",)), ("g", False, ("f",)), ("g", False, ("x:f",))]),
    ("(1|g/h)", [("h:g", True, ()), ("g", True, ())]),
    ("(1|g/h/k)", [("k:(h:g)", True, ()), ("h:g", True, ()), ("g", True, ())]),
    ("(1|f/(g:h))", [("(g:h):f", True, ()), ("f", True, ())]),
    ("(1|g:h)", [("g:h", True, ())]),
    ("(1|g:h:k)", [("g:h:k", True, ())]),
    ("(x||g/h)", [("h:g", True, ()), ("g", True, ()), ("h:g", False, ("x",)), ("g", False, ("x",))]),
    ("(1|f*g)", [("f", True, ()), ("g", True, ()), ("f:g", True, ())]),
    ("(1|(f*g))", [("f", True, ()), ("g", True, ()), ("f:g", True, ())]),
    ("(1|interaction(f,g))", [("interaction(f, g)", True, ())]),
    ("(dummy(f,'b')|g)", [("g", True, ('dummy(f, "b")',))]),
    ("cs(x|g)", [("g", True, ("x",))]),
    ("ar1(0+f|g/h,hom=FALSE)", [("h:g", False, ("f",)), ("g", False, ("f",))]),
    ("(1|a)+(1|b)", [("a", True, ()), ("b", True, ())]),
    ("x+((1|a)+z)+(x|b)", [("a", True, ()), ("b", True, ("x",))]),
]

# Formula, what the caret stands under, a word of the message.
MISTAKES = [
    ("Reaction Days (Days | Subject)", "Reaction Days (Days | Subject)", "no ~"),
    ("~ x + (1 | g)", "~", "no response"),
    ("y ~", "~", "no terms"),
    ("y ~ x + (1 | g", "(", "never closed"),
    ("y ~ x) + (1 | g)", ")", "closes nothing"),
    ("y ~ x + 1 | g", "|", "parentheses"),
    ("y ~ x || g", "||", "parentheses"),
    ("y ~ (x | )", "|", "nothing follows"),
    ("y ~ ( | g)", "|", "nothing stands before"),
    ("y ~ x + + (1 | g) +", "+", "nothing follows"),
    ("y ~ x + () + (1 | g)", ")", "nothing between"),
    ("y ~ x ~ (1 | g)", "~", "one ~"),
    ("y ~ x z + (1 | g)", "z", "without an operator"),
    ("y ~ x + (1 | g) * x", "|", "added"),
    ("y ~ x - (1 | g)", "|", "subtracted"),
    ("y ~ x + (1 | g | h)", "|", "one bar"),
    ("y ~ x + (0 | g)", "0", "no effect"),
    ("y ~ x + (1 | g + h)", "+", "grouping factor"),
    ("y ~ x + (1 | 2)", "2", "grouping factor"),
    ("y ~ x", "x", "no random effects terms"),
    ("y ~ 2 * x + (1 | g)", "2", "I(2 * x)"),
    ("y ~ x^0.5 + (1 | g)", "0.5", "I(x^2)"),
    ("y ~ 'x' + (1 | g)", "'x'", "backticks"),
    ("y ~ lgo(x) + (1 | g)", "lgo", "did you mean log()"),
    ("y ~ spline(x) + (1 | g)", "spline", "not known"),
    ("y ~ log(x, 2, 3) + (1 | g)", "log(x, 2, 3)", "takes 1 to 2"),
    ("y ~ log(x, bass = 2) + (1 | g)", "2", "bass"),
    ("y ~ sqrt() + (1 | g)", "sqrt()", "takes 1"),
    ("y ~ x = 2 + (1 | g)", "=", "=="),
    ("y ~ I(a < b < c) + (1 | g)", "<", "chained"),
    ("y ~ I(a:b) + (1 | g)", ":", "outside functions"),
    ("y ~ I(a || b) + (1 | g)", "||", "logical or"),
    ("y ~ I(a && b) + (1 | g)", "&&", "logical and"),
    ("y ~ a & b + (1 | g)", "|", "added"),
    ("y ~ x + cs(x || g)", "||", "single bar"),
    ("y ~ x + cs(x | g | h)", "|", "single bar"),
    ("y ~ x + cs(x | g, hom = 1)", "1", "hom = TRUE"),
    ("y ~ x + us(x | g, hom = TRUE)", "TRUE", "no further argument"),
    ("y ~ ar1(x) + (1 | g)", "ar1", "encloses a random term"),
    ("y ~ x * cs(x | g)", "cs(x | g)", "added"),
    ("y ~ TRUE + (1 | g)", "TRUE", "backticks"),
    ("y ~ x + (1 | TRUE)", "TRUE", "grouping factor"),
    ("y ~ poly(x, degree = k) + (1 | g)", "k", "constant"),
    ("y ~ poly(x, grade = 2) + (1 | g)", "2", "grade"),
    ("y ~ poly(x, degre = 2) + (1 | g)", "2", "did you mean `degree`?"),
    ("y ~ poly(x, degree = 2, degree = 3) + (1 | g)", "3", "twice"),
    ("y ~ poly(degree = 2) + (1 | g)", "poly(degree = 2)", "lacks its argument `x`"),
    ("y ~ C(f, contr.some) + (1 | g)", "contr.some", "contr.sum"),
    ("y ~ cbind(a, b) + (1 | g)", "cbind", "response"),
    ("cbind(a, b, c) ~ x + (1 | g)", "cbind(a, b, c)", "two columns"),
    ("y ~ c(1, 2) + (1 | g)", "c", "option"),
    ("y ~ a %o% b + (1 | g)", "%o%", "not known"),
    ("y ~ a % b + (1 | g)", "%", "%in%"),
    ("y ~ `x + (1 | g)", "`", "never closed"),
    ("y ~ `` + (1 | g)", "``", "no name"),
    ("y ~ x * offset(z) + (1 | g)", "offset(z)", "interaction"),
    ("y ~ log(offset(z)) + (1 | g)", "offset", "term of its own"),
    ("y ~ x + (offset(z) | g)", "offset(z)", "fixed part"),
    (". ~ x + (1 | g)", ".", "response"),
    ("y ~ x + (. | g)", ".", "name the columns"),
    ("y ~ 1e999 + (1 | g)", "1e999", "cannot be used"),
]

HOSTILE = [
    "y ~ __import__('os').system('id') + (1 | g)",
    "y ~ ().__class__.__bases__ + (1 | g)",
    "y ~ x.__class__ + (1 | g)",
    "y ~ __builtins__ + (1 | g)",
    "y ~ open('f') + (1 | g)",
    "y ~ eval('1') + (1 | g)",
    "y ~ exec('1') + (1 | g)",
    "y ~ np.load('f') + (1 | g)",
    "y ~ numpy.fromfile('f') + (1 | g)",
    "y ~ getattr(x, 'y') + (1 | g)",
    "y ~ (lambda: 1)() + (1 | g)",
    "y ~ [a for a in b] + (1 | g)",
    "y ~ {x} + (1 | g)",
    "y ~ f'{x}' + (1 | g)",
    "y ~ (x := 1) + (1 | g)",
    "y ~ x[0] + (1 | g)",
    "y ~ x; import os",
    "y ~ x @ z + (1 | g)",
    "y ~ x if z else w + (1 | g)",
    "y ~ print(x) + (1 | g)",
    "y ~ $(id) + (1 | g)",
    "y ~ x + (1 | __import__('os'))",
    "y ~ x + (open('f') | g)",
    "open('f') ~ x + (1 | g)",
    "y ~ log(open('f')) + (1 | g)",
    "y ~ I(log.__self__) + (1 | g)",
    "y ~ x\\n + (1 | g)",
    "y ~ x & z + (1 | g)",
    "y ~ log(*x) + (1 | g)",
    "y ~ log(**x) + (1 | g)",
    "y ~ await x + (1 | g)",
    "y ~ not x + (1 | g)",
    "y ~ x.y.z() + (1 | g)",
    "y ~ I()(x) + (1 | g)",
    "y ~ log(log)(x) + (1 | g)",
    "y ~ \0 + (1 | g)",
    "y ~ os.system('id') + (1 | g)",
    "y ~ subprocess.run(['id']) + (1 | g)",
    "y ~ np.save('f', x) + (1 | g)",
    "y ~ np.loadtxt('f') + (1 | g)",
    "y ~ np.memmap('f') + (1 | g)",
    "y ~ np.core.multiarray.fromfile('f') + (1 | g)",
    "y ~ pd.read_pickle('f') + (1 | g)",
    "y ~ pickle.loads(x) + (1 | g)",
    "y ~ globals()['x'] + (1 | g)",
    "y ~ locals() + (1 | g)",
    "y ~ vars() + (1 | g)",
    "y ~ dir(x) + (1 | g)",
    "y ~ type(x) + (1 | g)",
    "y ~ object() + (1 | g)",
    "y ~ compile('1', 'f', 'eval') + (1 | g)",
    "y ~ input() + (1 | g)",
    "y ~ breakpoint() + (1 | g)",
    "y ~ help() + (1 | g)",
    "y ~ setattr(x, 'y', 1) + (1 | g)",
    "y ~ system('id') + (1 | g)",
    "y ~ library(lme4) + (1 | g)",
    "y ~ source('f') + (1 | g)",
    "y ~ get('x') + (1 | g)",
    "y ~ {function(x) x}(1) + (1 | g)",
    "y ~ function(x) x + (1 | g)",
    "y ~ (yield x) + (1 | g)",
    "y ~ x.__dict__ + (1 | g)",
    "y ~ I(x.__class__.__mro__) + (1 | g)",
    "y ~ ''.join(x) + (1 | g)",
    "y ~ x -> z + (1 | g)",
    "y ~ x <- 1 + (1 | g)",
    "y ~ x$y + (1 | g)",
    "y ~ x::y + (1 | g)",
    "y ~ base::system('id') + (1 | g)",
    "y ~ a %o% b + (1 | g)",
    "y ~ x |> log + (1 | g)",
    "y ~ \\(x) x + (1 | g)",
    "y ~ {x: 1 for x in z} + (1 | g)",
    "y ~ *x + (1 | g)",
    "y ~ # comment + (1 | g)",
    "import os; y ~ x + (1 | g)",
    "y ~ x + (1 | os.environ('HOME'))",
    "y ~ x + (getattr(x, '__class__') | g)",
    "y ~ offset(open('f')) + (1 | g)",
    "y ~ poly(x, degree = open('f')) + (1 | g)",
    "y ~ bs(x, knots = eval('1')) + (1 | g)",
    "y ~ C(f, __import__('os')) + (1 | g)",
    "y ~ C(f, os.system) + (1 | g)",
    "y ~ scale(x, center = x.__class__) + (1 | g)",
    "y ~ dummy(f, f'{x}') + (1 | g)",
    "y ~ cs(x | g, hom = __import__('os')) + (1 | g)",
    "y ~ cs(open('f') | g)",
    "y ~ ar1(x | open('f'))",
    "cbind(open('f'), x) ~ x + (1 | g)",
    "y ~ interaction(f, eval(x)) + (1 | g)",
    "y ~ c(open('f')) + (1 | g)",
    "y ~ `x`.real + (1 | g)",
    "y ~ `x`() + (1 | g)",
]


@pytest.mark.parametrize(("typed", "wanted"), TEXTS)
def test_text_is_rs_deparse_and_a_fixed_point(typed: str, wanted: str) -> None:
    formula = parse(typed)
    assert str(formula) == wanted
    again = parse(wanted)
    assert str(again) == wanted
    assert again == formula
    assert again.bars == formula.bars


@pytest.mark.parametrize(("random", "wanted"), BARS)
def test_bars_expand_as_in_lme4(random: str, wanted: list[tuple[str, bool, tuple[str, ...]]]) -> None:
    bars = parse(f"y ~ 1 + {random}").bars
    assert [(bar.name, bar.effects.intercept, bar.effects.labels) for bar in bars] == wanted


@pytest.mark.parametrize("random", [random for random, _ in BARS])
def test_expanded_text_means_the_same(random: str) -> None:
    formula = parse(f"y ~ {random}")
    again = parse(formula.expanded)
    assert "||" not in formula.expanded
    assert again.expanded == formula.expanded
    assert [(b.name, b.effects.intercept, b.effects.labels) for b in again.bars] == [
        (b.name, b.effects.intercept, b.effects.labels) for b in formula.bars
    ]


@pytest.mark.parametrize(("formula", "under", "word"), MISTAKES)
def test_mistakes_are_pointed_at(formula: str, under: str, word: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(formula)
    error = caught.value
    assert error.start is not None
    assert word in error.message
    assert formula[error.start : error.stop] == under
    _, shown, caret = str(error).split("\n")
    assert shown[caret.index("^") : caret.index("^") + len(under)] == under
    assert caret.count("^") == len(under)


@pytest.mark.parametrize("formula", HOSTILE)
def test_hostile_formulas_are_refused(formula: str) -> None:
    with pytest.raises(FormulaError):
        parse(formula)


def test_the_corpus_is_large_enough() -> None:
    assert len(set(HOSTILE)) >= 90


@pytest.mark.parametrize("formula", HOSTILE)
def test_added_functions_open_no_door(formula: str) -> None:
    with pytest.raises(FormulaError):
        parse(formula, {"mine"})


def test_only_functions_that_were_added_may_be_called() -> None:
    assert (
        str(parse("y ~ mine(x, k = 2) + (mine(x) | mine(g))", {"mine"})) == "y ~ mine(x, k = 2) + (mine(x) | mine(g))"
    )
    with pytest.raises(FormulaError, match=r"did you mean mine\(\)\?"):
        parse("y ~ mime(x) + (1 | g)", {"mine"})
    with pytest.raises(FormulaError, match="functions="):
        parse("y ~ mine(x) + (1 | g)")
    with pytest.raises(FormulaError, match="attributes"):
        parse("y ~ mine(x.__class__) + (1 | g)", {"mine"})


LONG = [
    "x" * 100_000,
    "y ~ " + "x + " * 25_000 + "(1 | g)",
    "y ~ " + "(" * 50_000 + "x" + ")" * 50_000,
    "y ~ " + "-" * 100_000 + "x",
    "y ~ " + "I(" * 50_000,
    "y ~ " + "x:" * 50_000 + "x + (1 | g)",
    "y ~ " + "x*" * 9_000 + "x + (1 | g)",
    "y ~ (" + "+".join(f"x{k}" for k in range(900)) + ")^2 + (1 | g)",
    "y ~ " + "/".join(f"x{k}" for k in range(2_500)) + " + (1 | g)",
    "y ~ x + (1 | " + "*".join(f"x{k}" for k in range(2_500)) + ")",
    "y ~ x + (1 | " + "/".join(f"x{k}" for k in range(2_500)) + ")",
    "y ~ " + "'" * 99_999,
    "y ~ " + "`" * 99_999,
    "y ~ " + "%" * 99_999,
    "y ~ " + "9" * 100_000 + " + (1 | g)",
    "y ~ " + "!" * 19_000 + "x",
    "y ~ " + "a|" * 9_000 + "a",
    "y ~ (" + "+".join(f"x{k}" for k in range(1_600)) + ")" + "*y" * 4_000 + " + (1 | g)",
    "y ~ (" + "+".join(f"x{k}" for k in range(1_600)) + ")" + "-y" * 4_000 + " + (1 | g)",
    "y ~ (" + "+".join(f"x{k}" for k in range(1_600)) + ")" + "/y" * 4_000 + " + (1 | g)",
    "y ~ (" + "+".join(f"x{k}" for k in range(140)) + ")" + "^2" * 4_000 + " + (1 | g)",
    "y ~ x" + "^2" * 9_000 + " + (1 | g)",
]


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:18])
def test_long_texts_are_refused_or_of_bounded_size(text: str) -> None:
    try:
        formula = parse(text)
    except FormulaError:
        return
    assert len(formula.fixed_terms().terms) <= MAX_TERMS
    assert len(formula.bars) <= MAX_TERMS


def test_offsets_are_set_apart() -> None:
    terms = parse("y ~ x + offset(log(z)) + (1 | g)").fixed_terms()
    assert terms.labels == ("x",)
    assert len(terms.offsets) == 1


def test_bars_leave_the_fixed_part_as_typed() -> None:
    assert parse("y ~ (1 | g) - 1 + x").fixed_terms().intercept is False
    assert parse("y ~ (1 | g)").fixed_terms().intercept is True
    assert parse("y ~ a + (1 | g) + b").fixed_terms().labels == ("a", "b")


def test_a_formula_is_a_text() -> None:
    with pytest.raises(FormulaError, match="not a int"):
        parse(3)  # type: ignore[arg-type]


def test_long_and_deep_texts_end() -> None:
    with pytest.raises(FormulaError, match="at most"):
        parse("y ~ " + "x + " * MAX_LENGTH + "(1 | g)")
    for opener in ("(", "-", "log(", "x^"):
        with pytest.raises(FormulaError, match="deep"):
            parse("y ~ " + opener * (MAX_DEPTH + 1) + "x")
    many = parse("y ~ " + " + ".join(f"x{k}" for k in range(1500)) + " + (1 | g)")
    assert len(many.fixed_terms().terms) == 1500
    assert str(parse(str(many))) == str(many)
    for explosion in ("*".join(string.ascii_lowercase), "(" + "+".join(string.ascii_lowercase) + ")^9"):
        with pytest.raises(FormulaError, match="more than"):
            parse(f"y ~ {explosion} + (1 | g)")


WORDS = [
    "&",
    "!",
    "cs(",
    "TRUE",
    "c(",
    "poly(",
    ", ",
    " = ",
    "(1|f*g)",
    "||",
    "**",
    "%in%",
    "log",
    "I(",
    "(1|g)",
    "offset(",
    "~",
    "y ~ ",
]
ALPHABET = st.sampled_from([*"yxgf~+-*/:^()|=<>%,.`'_ 0129eL", '"', *WORDS])


@given(st.lists(ALPHABET, max_size=25).map("".join))
@settings(max_examples=400)
def test_only_formula_errors_escape(text: str) -> None:
    try:
        formula = parse(text)
    except FormulaError:
        return
    assert str(parse(str(formula))) == str(formula)
    assert parse(str(formula)).bars == formula.bars


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for formula in (text, f"y ~ {text} + (1 | g)"):
        try:
            read = parse(formula)
        except FormulaError:
            continue
        assert str(parse(str(read))) == str(read)


def _sums() -> st.SearchStrategy[str]:
    names = st.sampled_from("abcd")
    joined = lambda inner: st.tuples(inner, st.sampled_from([" + ", ":", " * ", "/"]), inner).map(  # noqa: E731
        lambda parts: f"({''.join(parts)})"
    )
    return st.recursive(names, joined, max_leaves=6)


@given(_sums(), _sums())
def test_algebra_agrees_with_formulaic(first: str, second: str) -> None:
    """An independent reader of the same algebra; it takes no part in the package."""
    formulaic = pytest.importorskip("formulaic.parser")
    text = f"{first} + {second}"
    wanted = formulaic.DefaultFormulaParser().get_terms(text)
    terms = parse(f"y ~ {text} + (1 | g)").fixed_terms()
    expected = {frozenset(str(f.expr) for f in term.factors) - {"1"} for term in wanted} - {frozenset()}
    assert {frozenset(terms.names[v] for v in term) for term in terms.terms} == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_text_keeps_fifteen_digits(value: float) -> None:
    assert float(number_text(value)) == pytest.approx(value, rel=1e-14, abs=0)
