# How the models of lmm_cases.R are fitted: `fit_tightly(call_of(case))` after `prepared(case)` has been assigned.
#
# The optimum. lme4's default settings stop early on some of these models, so each is fitted by the default, by
# nloptwrap and by bobyqa with tight tolerances, and by nloptwrap from smaller and larger starting values; the lowest
# is refined by nloptwrap once more, and that fit is the reference. "attempts" keeps the criterion of each, so that a
# reader sees where lme4's default stays above the optimum. (nloptwrap leaves nloptr's xtol_rel at 1e-4 unless told
# otherwise; this stops it before ftol_abs and xtol_abs are met.)

# boundary.tol: lmer tries zero for every variance parameter below it, and keeps zero where that is no worse.
tight_nlopt <- lmerControl(optimizer = "nloptwrap", boundary.tol = 0.01,
                           optCtrl = list(xtol_rel = 1e-10, xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 100000))
tight_bobyqa <- lmerControl(optimizer = "bobyqa", boundary.tol = 0.01,
                            optCtrl = list(rhoend = 1e-9, maxfun = 100000))

derived <- function(recipe, d) {
    x <- d[[recipe[2]]]
    switch(recipe[1],
           factor = factor(x), codes = as.integer(x), equals = as.integer(x == recipe[3]), log = log(x),
           stop("unknown operation ", recipe[1]))
}

prepared <- function(case) {
    d <- get(case$data, envir = as.environment("package:lme4"))
    for (column in names(case$missing)) d[case$missing[[column]], column] <- NA
    for (column in names(case$derive)) d[[column]] <- derived(case$derive[[column]], d)
    d
}

call_of <- function(case) {
    parts <- list(quote(lmer), str2lang(case$formula), data = as.name(case$data))
    if (!case$reml) parts$REML <- FALSE
    if (!is.null(case$weights)) parts$weights <- as.name(case$weights)
    if (!is.null(case$offset)) parts$offset <- as.name(case$offset)
    as.call(parts)
}

with_arguments <- function(call, ...) as.call(c(as.list(call), list(...)))
criterion <- function(m) if (isREML(m)) REMLcrit(m) else deviance(m)
quiet <- function(expr) suppressMessages(suppressWarnings(expr))

fit_tightly <- function(call) {
    run <- function(...) quiet(eval(with_arguments(call, ...), globalenv()))
    default <- run()
    start <- as.numeric(getME(default, "lower") == 0)
    fits <- list(default = default, nloptwrap = run(control = tight_nlopt), bobyqa = run(control = tight_bobyqa),
                 small_start = run(control = tight_nlopt, start = 0.2 * start),
                 large_start = run(control = tight_nlopt, start = 3 * start))
    best <- fits[[which.min(vapply(fits, criterion, 0))]]
    fits$refined <- run(control = tight_nlopt, start = getME(best, "theta"))
    values <- vapply(fits, criterion, 0)
    stopifnot(values["refined"] <= min(values) + 1e-8)
    m <- fits$refined
    m@call$control <- m@call$start <- NULL
    list(model = m, attempts = values, start = start)
}
