# Marginal means, slopes and joint tests as the R package emmeans prints them, deletions as lmerTest prints them
# -> emmeans_reference.json
#
#     Rscript tests/reference/emmeans_reference.R
#
# Models are fitted tightly (lmm_fit.R) to data sets of lme4 with the columns below added, which are kept in the file. A
# request is a chain of calls, the first on the model; "text" has the messages, then what print() writes, with 80
# columns and without blank lines, "columns" the table's columns in full.

suppressPackageStartupMessages({library(lme4); library(lmerTest); library(emmeans)})

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
source(file.path(here, "lmm_fit.R"))
options(width = 80)
emm_options(lmer.df = "satterthwaite", lmerTest.limit = 1e5)
unbox <- jsonlite::unbox
lmer <- lme4::lmer
none <- structure(list(), names = character())

added <- list(
    sleepstudy = with(lme4::sleepstudy, data.frame(
        w = ifelse(Days < 5, 3, 1), e = exp(Days / 5), o1 = Days / 2, half = ifelse(Days < 7, "a", "b"),
        k = ifelse(as.integer(as.character(Subject)) %% 3 == 0, "p", "q"), late = Days > 4,
        third = (Days %% 3) - 1)),
    cake = data.frame(z = sin(seq_len(nrow(lme4::cake))))
)

model <- function(name, data, formula, reml = TRUE, weights = NULL, offset = NULL, drop = NULL)
    list(name = name, data = data, formula = formula, reml = reml, weights = weights, offset = offset, drop = drop)

rows <- function(condition) which(eval(substitute(condition), lme4::cake))
some <- c(1, 8, 30, 31, 50:60, 77, 101, 190:199)

models <- list(
    model("weighted", "sleepstudy", "Reaction ~ half + k + (1 | Subject)", weights = "w"),
    model("offset_formula", "sleepstudy", "Reaction ~ half + offset(log(e)) + (1 | Subject)"),
    model("offset_both", "sleepstudy", "Reaction ~ half + offset(log(e)) + (1 | Subject)", offset = "o1"),
    model("offset_log", "sleepstudy", "log(Reaction) ~ half + offset(log(e)) + (1 | Subject)"),
    model("slopes", "sleepstudy", "Reaction ~ half * Days + k + (1 | Subject)"),
    model("logarithm", "sleepstudy", "log(Reaction) ~ half * Days + k + (1 | Subject)"),
    model("root", "sleepstudy", "sqrt(Reaction) ~ half + k + (1 | Subject)"),
    model("scaled", "sleepstudy", "scale(Reaction) ~ half + k + (1 | Subject)"),
    model("labels", "sleepstudy", "Reaction ~ factor(third) + late + (1 | Subject)"),
    model("parabola", "sleepstudy", "Reaction ~ poly(Days, 2) * k + (1 | Subject)"),
    model("unbalanced", "cake", "angle ~ recipe * temperature + (1 | replicate:recipe)", drop = some),
    model("covariate", "cake", "angle ~ recipe * temp * z + (1 | replicate:recipe)", drop = some),
    model("empty", "cake", "angle ~ recipe * temperature + (1 | replicate:recipe)",
          drop = rows(recipe == "A" & temperature == "175")),
    model("double_bar", "sleepstudy", "Reaction ~ Days + (Days || Subject)")
)

# calls: the function of R with its arguments, the first argument being what the call before gave
em <- function(...) list("emmeans", ...)
tr <- function(...) list("emtrends", ...)
jt <- function(...) list("joint_tests", ...)
pr <- function(...) list("pairs", ...)
cn <- function(...) list("contrast", ...)
ci <- function(...) list("confint", ...)
te <- function(...) list("test", ...)
ask <- function(model, ..., ddf = "satterthwaite") list(model = model, calls = list(...), ddf = ddf)

requests <- list(
    ask("weighted", em(~ k, weights = "proportional")), ask("weighted", em(~ k, weights = "outer")),
    ask("weighted", em(~ k, weights = "cells")), ask("weighted", em(~ half, weights = "cells"), pr()),
    ask("offset_formula", em(~ 1)), ask("offset_formula", em(~ half)), ask("offset_both", em(~ half)),
    ask("offset_both", em(~ half), pr()), ask("offset_log", em(~ half, type = "response")),
    ask("slopes", em(~ half)), ask("slopes", em(~ half | k)), ask("slopes", em(~ k)), ask("slopes", em(~ 1)),
    ask("slopes", em(~ half), pr()), ask("slopes", em(~ half * k), pr(), ci()),
    ask("slopes", em(pairwise ~ half)), ask("slopes", em(pairwise ~ half | k)), ask("slopes", em(trt.vs.ctrl ~ half * k)),
    ask("slopes", em(~ half), te(null = 300, adjust = "bonferroni")),
    ask("slopes", em(~ half * k), te(null = 300, adjust = "tukey")), ask("slopes", em(~ half * k), pr(), te(null = 5)),
    ask("slopes", em(~ half), te(null = 300, joint = TRUE)), ask("slopes", em(~ half | k), te(joint = TRUE)),
    ask("slopes", em(~ half * k), pr(), te(joint = TRUE)),
    ask("slopes", tr(~ half, var = "Days")), ask("slopes", tr(pairwise ~ half, var = "Days")),
    ask("slopes", tr(~ half | k, var = "Days")), ask("slopes", tr(~ k, var = "Days")), ask("slopes", tr(~ 1, var = "Days")),
    ask("slopes", tr(~ half, var = "Days"), te(null = 10)),
    ask("slopes", jt()), ask("slopes", jt(by = "k")),
    ask("slopes", em(~ half), ddf = "asymptotic"), ask("slopes", em(~ half * k), pr(), ddf = "asymptotic"),
    ask("slopes", em(~ half), te(null = 290), ddf = "asymptotic"),
    ask("slopes", tr(pairwise ~ half, var = "Days"), ddf = "kenward-roger"),
    ask("slopes", jt(), ddf = "kenward-roger"), ask("slopes", jt(), ddf = "asymptotic"),
    ask("logarithm", em(~ half, type = "response"), te(null = log(300))), ask("logarithm", em(pairwise ~ k, type = "response")),
    ask("logarithm", em(~ half * k, type = "response"), pr()), ask("logarithm", em(~ half * k, type = "response"), cn("eff")),
    ask("logarithm", em(~ half * k, type = "response"), pr(), te(null = 0.1)),
    ask("logarithm", em(~ k), pr()), ask("logarithm", tr(pairwise ~ half, var = "Days")),
    ask("root", em(~ half * k, type = "response")), ask("root", em(~ half * k, type = "response"), pr()),
    ask("scaled", em(~ half)), ask("scaled", em(~ half, type = "response")), ask("scaled", em(~ half, type = "response"), pr()),
    ask("labels", em(~ third)), ask("labels", em(~ late)), ask("labels", em(~ third * late), pr(), ci(adjust = "bonferroni")),
    ask("labels", jt()),
    ask("parabola", em(~ Days | k, at = list(Days = c(0, 2.5, 9)))), ask("parabola", jt()),
    ask("unbalanced", em(~ recipe)), ask("unbalanced", em(~ recipe, adjust = "bonferroni")),
    ask("unbalanced", em(~ recipe, adjust = "tukey")), ask("unbalanced", em(~ recipe, adjust = "scheffe")),
    ask("unbalanced", em(~ recipe), cn("consec", adjust = "BY")), ask("unbalanced", em(~ recipe), pr(), ci()),
    ask("unbalanced", em(~ recipe, weights = "proportional")),
    ask("unbalanced", jt()), ask("unbalanced", jt(by = "recipe")), ask("unbalanced", jt(), ddf = "kenward-roger"),
    ask("covariate", jt()), ask("covariate", jt(by = "recipe")), ask("covariate", tr(pairwise ~ recipe, var = "temp")),
    ask("covariate", tr(~ recipe | z, var = "temp", at = list(z = c(-0.5, 0.5)))), ask("covariate", em(~ recipe)),
    ask("empty", em(~ recipe)), ask("empty", jt()),
    ask("unbalanced", list("drop1")), ask("double_bar", list("drop1"))
)

prepared_with <- function(spec) {
    d <- cbind(get(spec$data, envir = as.environment("package:lme4")), added[[spec$data]])
    if (length(spec$drop)) d <- d[-spec$drop, ]
    d
}

fitted_models <- list()
for (spec in models) {
    assign(spec$data, prepared_with(spec), envir = globalenv())
    m <- as_lmerModLmerTest(fit_tightly(call_of(spec))$model)
    assign("current", prepared_with(spec), envir = globalenv())
    m@call$data <- quote(current)
    fitted_models[[spec$name]] <- list(model = m, spec = spec)
}

evaluated <- function(request, m) {
    value <- m
    for (step in request$calls) {
        f <- get(if (step[[1]] == "pairs") "contrast" else step[[1]])
        arguments <- step[-1]
        if (step[[1]] == "pairs") arguments <- c(list("pairwise"), arguments)
        value <- do.call(f, c(list(value), arguments))
    }
    value
}

columns_of <- function(value) {
    if (inherits(value, "emm_list")) return(lapply(unclass(value), columns_of))
    if (inherits(value, "emmGrid")) value <- summary(value)
    lapply(as.list(as.data.frame(value)), function(x) I(if (is.numeric(x)) unname(x) else as.character(x)))
}

reference_of <- function(request) {
    entry <- fitted_models[[request$model]]
    assign("current", prepared_with(entry$spec), envir = globalenv())
    emm_options(lmer.df = request$ddf)
    value <- NULL
    said <- testthat::capture_messages(text <- capture.output(print(value <- evaluated(request, entry$model))))
    lines <- unlist(strsplit(c(said, text), "\n"))
    calls <- lapply(request$calls, function(step) {
        arguments <- lapply(step[-1], function(x) if (inherits(x, "formula")) unbox(deparse(x)) else
            if (is.list(x)) lapply(x, I) else unbox(x))
        positional <- if (is.null(names(arguments))) rep("", length(arguments)) else names(arguments)
        list(name = unbox(step[[1]]), positional = I(unname(arguments[positional == ""])),
             named = if (any(positional != "")) arguments[positional != ""] else none)
    })
    as.character(json(list(model = unbox(request$model), ddf = unbox(request$ddf), calls = I(calls),
                           text = I(sub(" +$", "", lines[grepl("[^ ]", lines)])), columns = columns_of(value))))
}

described <- function(entry) {
    spec <- entry$spec
    as.character(json(list(
        name = unbox(spec$name), data = unbox(spec$data), formula = unbox(spec$formula), reml = unbox(spec$reml),
        weights = if (!is.null(spec$weights)) unbox(spec$weights),
        offset = if (!is.null(spec$offset)) unbox(spec$offset), drop = I(as.integer(spec$drop) - 1L))))
}

packages <- c("lme4", "lmerTest", "pbkrtest", "emmeans")
versions <- c(R = as.character(getRversion()), vapply(packages, function(p) as.character(packageVersion(p)), ""))
tables <- lapply(added, function(columns) as.character(json(as.list(columns))))
write_text(json_object(c(
    versions = as.character(json(lapply(as.list(versions), unbox))),
    added = json_object(unlist(tables), 1),
    models = json_list(vapply(fitted_models, described, ""), 1),
    requests = json_list(vapply(requests, reference_of, ""), 1)
)), file.path(here, "emmeans_reference.json"))
