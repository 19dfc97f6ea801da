# Columns and predictions for new data: bases and contrasts frozen at the fit -> new_data_reference.json
# Run: Rscript new_data_reference.R   (R, lme4, splines, MASS, mgcv and jsonlite; writes beside itself)
suppressMessages({library(lme4); library(splines); library(MASS); library(mgcv); library(jsonlite)})
invisible(Sys.setlocale("LC_COLLATE", "C"))
set.seed(4711)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))

n <- 240
d <- data.frame(g = factor(rep(sprintf("g%02d", 1:12), length.out = n)), x = round(runif(n, 1, 5), 3), z = round(rnorm(n, 10, 3), 3),
                f = factor(sample(rep(c("b", "a", "c"), length.out = n)), levels = c("b", "a", "c")),
                o = factor(sample(rep(1:4, length.out = n)), ordered = TRUE), l = sample(rep(c(TRUE, FALSE), length.out = n)))
level <- as.integer(d$g)
effects <- matrix(rnorm(12 * 6), 12)
d$y <- round(3 + sin(d$x) + effects[level, 1] + effects[level, 2] * (d$x - 3) + effects[level, 3] * (d$x - 3)^2 +
             effects[level, 4] * (d$f == "a") + effects[level, 5] * (d$f == "c") + 0.5 * effects[level, 6] * (d$z - 10) +
             as.integer(d$o) + rnorm(n, sd = 0.5), 3)
d$holes <- replace(d$z, c(5, 50, 77), NA)
new <- data.frame(g = factor(c("g03", "g01", "g12", "g05", "g05", "g07", "g02", "g11")), x = c(0.2, 1, 2.25, 3.3, 4.999, 5, 5.5, 7),
                  z = c(9, 10, 12.5, 3, 10, 11, 8, 20), f = factor(c("c", "a", "a", "b", "c", "b", "a", "c")),
                  o = factor(c(2, 1, 4, 4, 3, 2, 1, 1), levels = 1:4, ordered = TRUE), l = c(TRUE, FALSE, TRUE, TRUE, FALSE, FALSE, TRUE, FALSE))
new$holes <- new$z

# fixed part, left side of the bar
cases <- list(
  c("poly(x, 2)", "1"), c("poly(x, 3, raw = TRUE)", "1"), c("poly(log(x), 2) * l", "1"), c("x", "poly(x, 2)"), c("poly(x, 2)", "0 + poly(x, 2)"),
  c("bs(x, df = 5)", "1"), c("bs(x, knots = c(2, 3, 4))", "1"), c("bs(x, df = 4, degree = 2)", "1"), c("x", "bs(x, df = 3)"),
  c("bs(x, df = 5, Boundary.knots = c(0, 6))", "1"), c("ns(x, df = 3)", "1"), c("ns(x, knots = c(2, 3.5))", "1"),
  c("ns(x, df = 4):f", "1"), c("0 + ns(x, df = 3, intercept = TRUE)", "1"), c("x", "ns(x, df = 2)"), c("scale(x) * f", "1"),
  c("scale(x, scale = FALSE) + scale(z, center = FALSE)", "1"), c("x", "scale(x)"), c("z", "scale(z) + scale(x)"), c("scale(x) + holes", "1"),
  c("poly(x, 2) + holes", "poly(x, 2)"), c("f * x", "f"), c("C(f, contr.sum) * x", "1"), c("x", "C(f, contr.sum)"), c("x", "C(f, contr.helmert)"),
  c("o + x", "1"), c("x", "0 + f"), c("C(o, contr.treatment) + l", "1"), c("f + x", "dummy(f, \"a\")"), c("I(x > 2) * f", "1"),
  c("f * o", "x"), c("offset(z) + x", "1"))
contrasts_of <- list("f * x" = list(f = "contr.sum"), "f * o" = list(f = "contr.helmert", o = "contr.sdif"))

columns <- function(side, contrasts) {
  fit <- lm(as.formula(paste("y ~", side)), d, contrasts = contrasts)
  terms <- delete.response(terms(fit))
  frame <- model.frame(terms, new, xlev = fit$xlevels)
  unclass(model.matrix(terms, frame, contrasts.arg = fit$contrasts))
}
plain <- function(m) unname(lapply(seq_len(nrow(m)), function(i) I(unname(m[i, ]))))
one <- function(case) {
  contrasts <- contrasts_of[[case[1]]]
  formula <- as.formula(sprintf("y ~ %s + (%s | g)", case[1], case[2]))
  # lme4 may stop above the optimum: the lowest of several optimizers, each run again from where it stopped
  fits <- lapply(c("bobyqa", "Nelder_Mead", "nlminbwrap", "nloptwrap"), function(optimizer) suppressWarnings({
    fit <- lmer(formula, d, contrasts = contrasts, control = lmerControl(optimizer = optimizer, optCtrl = list()))
    for (k in 1:3) fit <- update(fit, start = getME(fit, "theta") + 0.01)
    fit
  }))
  fit <- fits[[which.min(sapply(fits, REMLcrit))]]
  X <- columns(case[1], contrasts)
  Z <- columns(case[2], NULL)
  # lme4 1.1 evaluates some bases of a bar anew in the new data; the modes times frozen columns are what is wanted
  modes <- as.matrix(ranef(fit)$g)[as.character(new$g), , drop = FALSE]
  fixed <- predict(fit, new, re.form = NA)
  list(formula = sprintf("y ~ %s + (%s | g)", case[1], case[2]), contrasts = contrasts, singular = isSingular(fit),
       fixed = I(colnames(X)), effects = I(colnames(Z)), X = plain(X), Z = plain(Z), criterion = REMLcrit(fit), sigma = sigma(fit),
       predict_fixed = I(as.vector(fixed)), predict = I(as.vector(fixed + rowSums(Z * modes))))
}
smooths <- lapply(list(list(k = 5), list(k = 4), list(k = 5, knots = c(1, 2, 3, 4, 5))), function(s) {
  given <- if (is.null(s$knots)) NULL else list(x = s$knots)
  inside <- new[new$x >= 1 & new$x <= 5, ]
  sm <- smoothCon(s(x, bs = "cr", k = s$k), d, knots = given, absorb.cons = TRUE)[[1]]
  list(k = s$k, knots = s$knots, X = plain(sm$X[1:10, ]), new = plain(PredictMat(sm, inside)))
})
levels_of <- function(data) lapply(data, function(v) list(
  type = if (is.ordered(v)) "ordered" else if (is.factor(v)) "factor" else typeof(v),
  levels = if (is.factor(v)) I(levels(v)) else NULL, values = if (is.factor(v)) I(as.character(v)) else I(v)))
out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), mgcv = as.character(packageVersion("mgcv"))),
            columns = levels_of(d), new = levels_of(new), cases = lapply(cases, one), smooths = smooths)
write_json(out, file.path(here, "new_data_reference.json"), digits = NA, auto_unbox = TRUE, null = "null", na = "null")
