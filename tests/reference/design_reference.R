# What R makes of formulas: columns of X, effects of Z, levels, order of terms -> design_reference.json
# Run: Rscript design_reference.R   (R, lme4, MASS, splines and jsonlite; writes beside itself)
suppressMessages({library(lme4); library(MASS); library(splines); library(jsonlite)})
invisible(Sys.setlocale("LC_COLLATE", "C"))
set.seed(20240511)

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))
n <- 60
pick <- function(levels) sample(rep(levels, length.out = n))
small <- data.frame(
  y = round(rnorm(n), 3), x = round(runif(n, 0.5, 4), 2), z = round(rnorm(n), 2), w = round(runif(n, 0.5, 2), 2),
  k = pick(0:4), Sepal.Length = round(runif(n, 4, 8), 1),
  f = factor(pick(c("b", "a", "c")), levels = c("b", "a", "c")), h = factor(pick(c("no", "yes"))),
  u = factor(pick(c("p", "q", "r")), levels = c("p", "unused", "q", "r")),
  o = factor(pick(1:5), ordered = TRUE), l = pick(c(TRUE, FALSE)), s = pick(c("b", "A", "a", "B")),
  g = factor(pick(paste0("g", 1:6))), d = pick(c(10, 9, 2.5, 1)), j = factor(pick(c("j1", "j2", "j3", "j4"))),
  m = factor(pick(c("m1", "m2"))), stringsAsFactors = FALSE)
small$v <- small$f
small$v[small$h == "no"] <- "b"
small$holes <- replace(small$x, c(3, 17, 40), NA)
small$fholes <- replace(small$f, c(3, 5), NA)

custom <- matrix(c(-1, 0, 1, 1, -2, 1), 3)
cases <- list(
  list("y ~ x + (1 | g)"), list("y ~ 1 + (1 | g)"), list("y ~ (1 | g)"), list("y ~ 0 + x + (1 | g)"),
  list("y ~ x - 1 + (x | g)"), list("y ~ f + (1 | g)"), list("y ~ 0 + f + (1 | g)"), list("y ~ x * f + (1 | g)"),
  list("y ~ f * x + (1 | g)"), list("y ~ x:f + (1 | g)"), list("y ~ 0 + x:f + (1 | g)"), list("y ~ f:h + (1 | g)"),
  list("y ~ f * h + (1 | g)"), list("y ~ 0 + f * h + (1 | g)"), list("y ~ 0 + x + f + h + (1 | g)"),
  list("y ~ f / x + (1 | g)"), list("y ~ f / h + (1 | g)"), list("y ~ (f + h + x)^2 + (1 | g)"),
  list("y ~ (f + h) / x + (1 | g)"), list("y ~ h %in% f + (1 | g)"), list("y ~ f + h %in% f + (1 | g)"),
  list("y ~ f * h * x - f:h:x + (1 | g)"), list("y ~ f * h - f + (1 | g)"), list("y ~ f:x + x + (1 | g)"),
  list("y ~ h:f + f + (1 | g)"), list("y ~ f + f:h:x + (1 | g)"), list("y ~ f:h + f:h:x + (1 | g)"),
  list("y ~ x + f:h + x:f:h + (1 | g)"), list("y ~ 0 + h:f + x + (1 | g)"), list("y ~ o + (1 | g)"),
  list("y ~ 0 + o + (1 | g)"), list("y ~ o * h + (1 | g)"), list("y ~ o:x + (1 | g)"), list("y ~ l + (1 | g)"),
  list("y ~ 0 + l + (1 | g)"), list("y ~ l * x + (1 | g)"), list("y ~ s + (1 | g)"), list("y ~ u + (1 | g)"),
  list("y ~ u * h + (1 | u)"), list("y ~ I(x^2) + x + (1 | g)"), list("y ~ x + I(x**2) + (1 | g)"),
  list("y ~ log(x) + log(x, 2) + log10(x + 1) + (1 | g)"), list("y ~ exp(z) * sqrt(x) + abs(z) + (1 | g)"),
  list("y ~ I(x > 2) + (1 | g)"), list("y ~ (x > 2) + (f == 'a') + (1 | g)"), list("y ~ I(x - 2 * z / 3) + (1 | g)"),
  list("y ~ I(-x^2) + I(k %% 2) + (1 | g)"), list("y ~ factor(k) + (1 | g)"), list("y ~ factor(k) * x + (1 | g)"),
  list("y ~ Sepal.Length + `Sepal.Length`:x + (1 | g)"), list("log(x + 1) ~ z + (1 | g)"), list("I(y / 2) ~ z + (1 | g)"),
  list("y ~ x + offset(z) + (1 | g)"), list("y ~ x + offset(2 * z) + offset(w) + (1 | g)"),
  list("y ~ sin(2 * pi * x / 4) + cos(2 * pi * x / 4) + (1 | g)"), list("y ~ x + x:z + z + I(x * z) + (1 | g)"),
  list("y ~ x + I(2 * x) + z + (1 | g)"), list("y ~ f + v + (1 | g)"), list("y ~ f * v + (1 | g)"),
  list("y ~ f + h + f:h + I(h == 'yes') + (1 | g)"), list("y ~ a1 + (1 | g)", rename = c(x = "a1")),
  list("y ~ f + (1 | g)", contrasts = list(f = "contr.sum")), list("y ~ f * h + (f | g)", contrasts = list(f = "contr.sum")),
  list("y ~ f * x + (1 | g)", contrasts = list(f = "contr.helmert", h = NULL)), list("y ~ f + (1 | g)", contrasts = list(f = "contr.poly")),
  list("y ~ o + (1 | g)", contrasts = list(o = "contr.treatment")), list("y ~ f + o + (1 | g)", contrasts = list(f = "contr.sdif", o = "contr.sdif")),
  list("y ~ f * h + (1 | g)", contrasts = list(f = custom)), list("y ~ 0 + f * h + (1 | g)", contrasts = list(f = "contr.sum", h = "contr.sum")),
  list("y ~ l + (1 | g)", contrasts = list(l = "contr.sum")), list("y ~ s + (1 | g)", contrasts = list(s = "contr.sum")),
  list("y ~ x + (x | g)"), list("y ~ x + (0 + x | g)"), list("y ~ x + (-1 + x | g)"), list("y ~ x + (x || g)"),
  list("y ~ x + (x - 1 | g)"), list("y ~ x + (f | g)"), list("y ~ x + (0 + f | g)"), list("y ~ x + (f || g)"),
  list("y ~ x + (x * h | g)"), list("y ~ x + (x * h || g)"), list("y ~ x + (x:h | g)"), list("y ~ x + (o | m)"),
  list("y ~ x + (l | g)"), list("y ~ x + (s | m)"), list("y ~ x + (0 + f:h | m)"), list("y ~ x + (0 + x + f || g)"),
  list("y ~ x + (I(x^2) + x | g)"), list("y ~ x + (log(x) || g)"), list("y ~ x + (0 + x | g) + (1 | g)"),
  list("y ~ x + (1 | m/j)"), list("y ~ x + (1 | h/m/f)"), list("y ~ x + (x | m/j)"), list("y ~ x + (x || m/j)"),
  list("y ~ x + (1 | m:j)"), list("y ~ x + (1 | j:m)"), list("y ~ x + (1 | h:m:j)"), list("y ~ x + (1 | g) + (1 | j)"),
  list("y ~ x + (1 | j) + (1 | g)"), list("y ~ x + (1 | m) + (1 | j) + (1 | g)"), list("y ~ x + (1 | h) + (1 | m) + (1 | g)"),
  list("y ~ x + (x | j) + (1 | g) + (0 + z | j)"), list("y ~ (x | g) + x * f"), list("y ~ x + (1 | d)"), list("y ~ x + (1 | k)"),
  list("y ~ x + (1 | s)"), list("y ~ x + (1 | l) + (1 | d)"), list("y ~ x + (1 | u)"), list("y ~ x + (1 | u:h)"),
  list("y ~ x + (1 | d:h)"), list("y ~ x + (1 | s:f)"), list("y ~ x + (1 | f/(h:m))"), list("y ~ x + ((1 | g) + (0 + x | g))"),
  list("y ~ holes + (1 | g)"), list("y ~ x + (holes | g)"), list("y ~ fholes * holes + (1 | g)"), list("y ~ x + (1 | fholes)"),
  list("y ~ x + (1 | fholes:h)"), list("log(holes) ~ x + (1 | g)"), list("y ~ x - holes + holes + (1 | g)"),
  list("y ~ . + (1 | g)", columns = c("y", "x", "f", "z", "g")), list("y ~ . - z + (1 | g)", columns = c("y", "x", "f", "z", "g")),
  list("y ~ .^2 + (1 | j)", columns = c("y", "x", "h", "j")), list("y ~ x * (f - 1) + (1 | g)"), list("y ~ x + (0 + f) + (1 | g)"),
  list("y ~ (1 + x)^2 + (1 | g)"), list("y ~ x / (1 + f) + (1 | g)"), list("y ~ x %in% (f + h) + (1 | g)"), list("y ~ (x + z):(f + h) + (1 | g)"),
  list("y ~ poly(x, 2) + (1 | g)"), list("y ~ poly(x, 3) * h + (1 | g)"), list("y ~ poly(x, 2, raw = TRUE) + (1 | g)"),
  list("y ~ poly(x, 1) + (1 | g)"), list("y ~ poly(x, degree = 2):f + z + (1 | g)"), list("y ~ poly(log(x), 2) + (1 | g)"),
  list("y ~ scale(x) + (1 | g)"), list("y ~ scale(x, scale = FALSE) * f + (1 | g)"), list("y ~ scale(x, center = FALSE) + (1 | g)"),
  list("y ~ scale(log(x)) + I(scale(z)^2) + (1 | g)"), list("y ~ scale(x, center = 2, scale = 0.5) + (1 | g)"),
  list("scale(y) ~ x + (1 | g)"), list("y ~ x + offset(scale(z)) + (1 | g)"),
  list("y ~ bs(x) + (1 | g)"), list("y ~ bs(x, df = 5) + (1 | g)"), list("y ~ bs(x, knots = c(1, 2)) + (1 | g)"),
  list("y ~ bs(x, degree = 2, df = 4) * h + (1 | g)"), list("y ~ 0 + bs(x, df = 5, intercept = TRUE) + (1 | g)"),
  list("y ~ bs(x, df = 4, Boundary.knots = c(0, 5)) + (1 | g)"), list("y ~ bs(x, 4, degree = 1) + (1 | g)"),
  list("y ~ ns(x) + (1 | g)"), list("y ~ ns(x, df = 3) + (1 | g)"), list("y ~ ns(x, knots = c(1.5, 2.5)) + (1 | g)"),
  list("y ~ 0 + ns(x, df = 4, intercept = TRUE) + (1 | g)"), list("y ~ ns(x, 3):f + (1 | g)"),
  list("y ~ ns(x, df = 2, Boundary.knots = c(1, 3)) + (1 | g)"),
  list("y ~ C(f, contr.sum) + (1 | g)"), list("y ~ C(f, contr.helmert):x + z + (1 | g)"), list("y ~ C(f, sum) * h + (1 | g)"),
  list("y ~ C(o, contr.treatment) + (1 | g)"), list("y ~ C(o, poly, 1) + (1 | g)"), list("y ~ C(f, contr.SAS) + (1 | g)"),
  list('y ~ C(f, "contr.SAS") + C(h, "contr.sum") + (1 | g)'), list("y ~ C(f, contr.treatment) + (1 | g)"),
  list("y ~ C(f, treatment):h + x + (1 | g)"), list("y ~ C(f, SAS) + (1 | g)"), list("y ~ C(f, contr.sdif) + (1 | g)"), list("y ~ C(f) + (1 | g)"), list("y ~ 0 + C(f, contr.sum) + (1 | g)"), list("y ~ C(factor(k), contr.sum) + (1 | g)"),
  list("y ~ x + (poly(x, 2) | g)"), list("y ~ x + (scale(x) | g)"), list("y ~ x + (scale(x) || g)"), list("y ~ x + (0 + bs(x, df = 4) | m)"),
  list("y ~ ns(x, 2) + (ns(x, 2) | m)"), list("y ~ x + (C(f, contr.sum) | g)"), list("y ~ x + (poly(x, 2):h | m)"),
  list('y ~ x + (dummy(f, "b") | g)'), list('y ~ x + (0 + dummy(f, "a") | g)'), list("y ~ x + (dummy(f) | g)"),
  list('y ~ x + (0 + dummy(f, c("a", "c")) | m)'), list('y ~ x + dummy(h, "yes") + (1 | g)'),
  list("y ~ x + (1 | interaction(m, h))"), list("y ~ x + (1 | interaction(j, m))"), list("y ~ x + (1 | interaction(h, m, j))"),
  list("y ~ interaction(f, h) + (1 | g)"), list("y ~ x + (1 | factor(k))"), list("y ~ x + (1 | factor(k):h)"),
  list("y ~ x + (1 | k > 2)"), list("y ~ x + (x | I(k > 2))"),
  list("y ~ I(l & x > 2) + (1 | g)"), list("y ~ I(!l) + (1 | g)"),
  list('y ~ (f == "a" & !l) + (1 | g)'), list("y ~ I(k & 1) + (1 | g)"),
  list("y ~ I(k %/% 2) + (1 | g)"), list('y ~ relevel(f, ref = "a") + (1 | g)'), list("y ~ ordered(k) + (1 | g)"),
  list('y ~ factor(f, levels = c("c", "b", "a")) + (1 | g)'), list('y ~ f + (relevel(f, "c") | g)'),
  list("y ~ poly(x, 2) + holes + (1 | g)"), list("y ~ scale(x) + fholes + (1 | g)"), list("y ~ scale(holes) + (1 | g)"),
  list("y ~ bs(holes, df = 4) + (1 | g)"), list("y ~ ns(holes, df = 3) + fholes + (1 | g)"), list("y ~ x + (scale(x) | fholes)"),
  list("y ~ log(base = 2, x) + (1 | g)"), list("y ~ `Sepal.Length` + I(`Sepal.Length`^2) + (1 | g)"),
  list("y ~ (f + h + z)^2 - f:h + (1 | g)"), list("y ~ f * poly(x, 2) - f + (1 | g)"), list("y ~ x + (1 | l & (k > 1))"),
  list("y ~ `my x` * f + (`my x` | `gr oup`)", rename = c(x = "my x", g = "gr oup")),
  list("y ~ x + `an f` + (1 | `gr oup`:h) + (0 + `an f` | j)", rename = c(f = "an f", g = "gr oup")),
  list("y ~ x + (1 | m:`gr oup`) + (x | `gr oup`)", rename = c(g = "gr oup")))

control <- lmerControl(check.rankX = "silent.drop.cols")
probe <- function(m) sqrt(seq_len(m))
one <- function(case) {
  data <- small
  if (!is.null(case$rename)) names(data)[match(names(case$rename), names(data))] <- case$rename
  if (!is.null(case$columns)) data <- data[case$columns]
  contrasts <- Filter(Negate(is.null), case$contrasts)
  formula <- as.formula(case[[1]])
  # lme4's model frame has the expressions of the bars, not their columns; it finds those in the global environment
  list2env(data, globalenv())
  parsed <- suppressWarnings(lFormula(formula, data, contrasts = if (length(contrasts)) contrasts, control = control))
  re <- parsed$reTrms
  X <- parsed$X
  full <- suppressWarnings(lFormula(formula, data, contrasts = if (length(contrasts)) contrasts,
                                    control = lmerControl(check.rankX = "ignore")))$X
  groups <- re$flist[attr(re$flist, "assign")]
  list(formula = case[[1]], contrasts = contrasts, columns = case$columns, rename = as.list(case$rename),
       text = paste(deparse(as.formula(case[[1]]), width.cutoff = 500), collapse = ""),
       expanded = paste(deparse(parsed$formula, width.cutoff = 500), collapse = ""),
       nobs = nrow(X), fixed = I(colnames(X)), assign = I(attr(full, "assign")[match(colnames(X), colnames(full))]),
       dropped = I(setdiff(colnames(full), colnames(X))),
       X_probe = I(drop(crossprod(X, probe(nrow(X))))), X_row = I(unname(X[7, ])),
       offset = { o <- model.offset(parsed$fr); if (is.null(o)) NULL else I(as.vector(unname(o))) },
       y_sum = sum(model.response(parsed$fr) * probe(nrow(X))),
       groups = I(names(re$cnms)), effects = unname(lapply(re$cnms, I)), levels = unname(lapply(groups, function(g) I(levels(g)))),
       Z_probe = unname(lapply(re$Ztlist, function(Zt) I(as.vector(Zt %*% probe(ncol(Zt)))))),
       theta_lower = I(ifelse(is.finite(re$lower), "0", "-Inf")))
}
columns <- lapply(small, function(v) list(
  type = if (is.ordered(v)) "ordered" else if (is.factor(v)) "factor" else typeof(v),
  levels = if (is.factor(v)) I(levels(v)) else NULL, values = if (is.factor(v)) I(as.character(v)) else I(v)))
names_of_terms <- lapply(
  c("a * b", "(a + b + c)^2 - a:b", "(1 + a)^2", "(a - 1) * b", "a * b * a", "x - x", "(0 + a) * b", "(a + b)/c", "a/(b + c)",
    "a/b/c", "b:a + a", "a + b:a", "a %in% b", "a + b %in% c", "a * b - b:a", "a:b + b:a", "a + 0 + 1", "1 - 1 + a", "(a * b)^2",
    "a * (b - 1)", "a + (b - 1)", "a - (b - 1)", "a/(1 + b)", "(a + b):(c + d)", "a * b:c", "-a + b", "+a", "a:1", "a * 1", "a/1",
    "a %in% (b + c)", "0 + a - 0", "a + (-1)", "a + offset(z)", "log(x):a + a", "a + (b + c)^2 - 1 - b", "a/(b * c)", "a:b:c + a"),
  function(text) { t <- terms(as.formula(paste("y ~", text)))
    list(text = text, intercept = attr(t, "intercept") == 1, labels = I(attr(t, "term.labels"))) })
out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))),
            columns = columns, custom_contrasts = custom, algebra = names_of_terms, cases = lapply(cases, one))
write_json(out, file.path(here, "design_reference.json"), digits = NA, auto_unbox = TRUE, null = "null", na = "null")
