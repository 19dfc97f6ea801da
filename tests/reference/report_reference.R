# Whole print-outs of fits by lme4 and lmerTest, with the numbers that went into them -> report_reference.json
# Run: Rscript report_reference.R   (R, lme4, lmerTest, pbkrtest, jsonlite; writes beside itself)
suppressMessages({library(lme4); library(jsonlite)})
options(width = 80, digits = 7, scipen = 0, OutDec = ".")

exact <- function(x) I(unname(ifelse(is.nan(x), "NaN", ifelse(is.na(x), "NA", sprintf("%.17g", x)))))
one_line <- function(x) if (is.null(x)) NULL else paste(deparse(x, width.cutoff = 500L), collapse = " ")

fits <- list()
record <- function(name, m, tests = NULL, show = NULL) {
  messages <- unlist(m@optinfo$conv$lme4$messages)
  stopifnot(all(grepl("singular", messages)))
  vc <- VarCorr(m)
  # R sends the note on correlations that are not shown to the standard error stream; here it is caught apart.
  note <- character()
  catching <- function(expr) withCallingHandlers(capture.output(expr), message = function(c) {
    note <<- strsplit(conditionMessage(c), "\n", fixed = TRUE)[[1]]
    invokeRestart("muffleMessage")
  })
  summarize <- function() if (!is.null(show)) summary(m, correlation = show) else if (is.null(tests)) summary(m) else lmerTest:::summary.lmerModLmerTest(m, ddf = tests)
  # The note names the printed object; it is called x, the name under which the console prints.
  x <- suppressMessages(summarize())
  coefficients <- coef(x)
  correlation <- if (length(fixef(m)) > 1) x$vcov@factors$correlation
  criteria <- x$AICtab
  glm <- is(m, "glmerMod")
  family <- if (glm) m@resp$family
  fits[[length(fits) + 1]] <<- list(
    name = name,
    reml = isREML(m), formula = one_line(m@call$formula), data = one_line(m@call$data),
    weights = one_line(m@call$weights), offset = one_line(m@call$offset),
    family = family$family, link = family$link, nagq = if (glm) m@devcomp$dims[["nAGQ"]] else 1,
    criteria = setNames(as.list(exact(criteria)), names(criteria)),
    residuals = exact(quantile(residuals(m, "pearson", scaled = TRUE), na.rm = TRUE)),
    terms = unname(lapply(names(vc), function(g) list(name = g, effects = I(colnames(vc[[g]])), sd = exact(attr(vc[[g]], "stddev")),
      corr = exact(attr(vc[[g]], "correlation"))))),
    sigma = if (attr(vc, "useSc")) exact(attr(vc, "sc"))[[1]],
    nobs = nobs(m), groups = as.list(x$ngrps), singular = length(messages) > 0,
    dropped = length(attr(m@pp$X, "col.dropped")),
    names = I(as.character(names(fixef(m)))), columns = I(as.character(colnames(coefficients))),
    coefficients = lapply(seq_len(ncol(coefficients)), function(j) exact(coefficients[, j])),
    correlation = if (!is.null(correlation)) exact(as.matrix(correlation)),
    tests = tests,
    print = capture.output(print(as(m, if (glm) "glmerMod" else "lmerMod"))),
    summary = catching(print(x, correlation = show)),
    varcorr = I(capture.output(print(vc))),
    varcorr3 = I(capture.output(print(vc, digits = 3, comp = c("Variance", "Std.Dev.")))),
    note = I(note))
}
data(cbpp, grouseticks)
sleep <- sleepstudy
set.seed(1)
sleep$w <- round(runif(180, 0.5, 2), 2)
sleep$o <- sleep$Days / 10
sleep$twice <- 2 * sleep$Days
sleep$plus <- sleep$Days + 1
sleep$missing <- replace(sleep$Days, c(3, 50, 51), NA)
sleep$tiny <- sleep$Reaction * 1e-7
sleep$huge <- sleep$Reaction * 1e6
sleep$week <- factor(sleep$Days > 4, labels = c("first", "second"))
sleep$subject_identifier <- sleep$Subject
sleep$half_of_the_sample <- factor(as.integer(sleep$Subject) %% 6)
sleep$day_of_the_observation <- factor(sleep$Days)

record("sleepstudy_reml", lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
record("sleepstudy_ml", lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE))
record("sleepstudy_independent", lmer(Reaction ~ Days + (Days || Subject), sleepstudy))
record("weights_offset", lmer(Reaction ~ Days + (1 | Subject), sleep, weights = w, offset = o))
record("rank_deficient", lmer(Reaction ~ Days + twice + (1 | Subject), sleep))
record("rank_deficient_twice_ml", lmer(Reaction ~ Days + twice + plus + (1 | Subject), sleep, REML = FALSE))
record("missing_rows", lmer(Reaction ~ missing + (1 | Subject), sleep))
record("no_fixed_effects", lmer(Reaction ~ 0 + (Days | Subject), sleep))
record("tiny", lmer(tiny ~ Days + (1 | Subject), sleep))
record("huge", lmer(huge ~ Days + (Days | Subject), sleep, REML = FALSE))
record("no_intercept", lmer(Reaction ~ 0 + week + week:Days + (1 | Subject), sleep))
record("cake", lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake))
record("cake_correlation", lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake), show = TRUE)
record("cake_ml", lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake, REML = FALSE))
record("penicillin", lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
record("pastes", lmer(strength ~ 1 + (1 | batch/cask), Pastes))
record("pastes_ml", lmer(strength ~ 1 + (1 | batch/cask), Pastes, REML = FALSE))
record("dyestuff", lmer(Yield ~ 1 + (1 | Batch), Dyestuff))
record("dyestuff2_reml", lmer(Yield ~ 1 + (1 | Batch), Dyestuff2))
record("dyestuff2_ml", lmer(Yield ~ 1 + (1 | Batch), Dyestuff2, REML = FALSE))
some <- subset(InstEval, as.integer(s) %% 20 == 0)
record("insteval", lmer(y ~ service * dept + (1 | s) + (1 | d), some))
record("insteval_correlation", lmer(y ~ service * dept + (1 | s) + (1 | d), some), show = TRUE)
record("insteval_without", lmer(y ~ service + lectage + (1 | s), some), show = FALSE)
record("insteval_ml", lmer(y ~ service + lectage + studage + (1 | s) + (1 | d) + (1 | dept:service), some, REML = FALSE))
record("long_groups", suppressMessages(lmer(Reaction ~ poly(Days, 2) + (1 | subject_identifier) + (1 | half_of_the_sample) +
  (1 | day_of_the_observation), sleep)))
record("long_formula", suppressMessages(lmer(log(Reaction) ~ scale(Days, center = TRUE, scale = FALSE) + I(Days^2) + week +
  scale(Days, center = TRUE, scale = FALSE):week + (1 | subject_identifier) + (1 | half_of_the_sample), sleep)))

# Four correlated effects beside one of a single effect; names of the effects as factors give them.
set.seed(7)
four <- expand.grid(rep = 1:4, arm = factor(c("a", "b", "c", "d")), site = factor(1:30))
four$clinic <- factor(1 + (as.integer(four$site) * 7 + four$rep) %% 9)
b <- matrix(rnorm(30 * 4), 30) %*% chol(0.6 * diag(4) + 0.4) * 2
u <- rnorm(9)
four$y <- 10 + b[cbind(as.integer(four$site), as.integer(four$arm))] + u[four$clinic] + rnorm(nrow(four))
record("four_effects", lmer(y ~ arm + (arm | site) + (1 | clinic), four))
record("four_effects_ml", lmer(y ~ arm + (0 + arm | site) + (1 | clinic), four, REML = FALSE))
# Singular fits: a correlation of minus one, no variance at all in a term of two effects, and a dropped column besides.
flat <- expand.grid(rep = 1:5, x = 0:3, g = factor(1:12))
fan <- rnorm(12)
# Drawn anew until the estimate lies on the boundary.
repeat {
  flat$crossing <- 3 + fan[flat$g] - 0.5 * fan[flat$g] * flat$x + rnorm(nrow(flat))
  m <- suppressMessages(lmer(crossing ~ x + (x | g), flat))
  if (isSingular(m) && all(attr(VarCorr(m)$g, "stddev") > 0.1)) break
}
noise <- rnorm(nrow(flat))
flat$noise <- noise - ave(noise, flat$g) + rnorm(12, sd = 0.01)[flat$g]
flat$both <- flat$noise - flat$x * ave(flat$noise * (flat$x - 1.5), flat$g) / 1.25 + 1.5 * ave(flat$noise * (flat$x - 1.5), flat$g) / 1.25
quiet <- suppressMessages
record("singular_correlation", quiet(lmer(crossing ~ x + (x | g), flat)))
record("singular_nothing", quiet(lmer(both ~ x + (x | g), flat)))
record("singular_rank_deficient", quiet(lmer(both ~ x + I(2 * x) + (x || g), flat)))
record("satterthwaite_reml", lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy), "Satterthwaite")
record("satterthwaite_ml", lmerTest::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE), "Satterthwaite")
record("satterthwaite_cake", lmerTest::lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake), "Satterthwaite")
record("satterthwaite_intercept", lmerTest::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin), "Satterthwaite")
record("satterthwaite_insteval", lmerTest::lmer(y ~ service * dept + (1 | s) + (1 | d), some), "Satterthwaite")
record("satterthwaite_nothing", lmerTest::lmer(y ~ rep + (1 | site), four), "Satterthwaite")
record("kenward_roger", lmerTest::lmer(Reaction ~ week + Days + (1 | Subject), sleep), "Kenward-Roger")
record("binomial", glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, family = binomial))
record("binomial_quadrature", glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, family = binomial, nAGQ = 9))
record("poisson", suppressWarnings(glmer(TICKS ~ YEAR + scale(HEIGHT) + (1 | BROOD), grouseticks, family = poisson)))

write_json(list(r_version = R.version.string, lme4 = as.character(packageVersion("lme4")),
                lmerTest = as.character(packageVersion("lmerTest")), fits = fits),
           "report_reference.json", auto_unbox = TRUE, digits = NA, null = "null", pretty = FALSE)
