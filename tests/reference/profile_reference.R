# Profile and Wald intervals by lme4 for some of the models of lmm_cases.R -> profile_reference.json
#
#     Rscript tests/reference/profile_reference.R
#
# Models are fitted by maximum likelihood with tight tolerances, as profiles are of the deviance. Where lme4 cannot
# profile a model its message is kept. "points" are what lme4 computed, before its splines: value and zeta of every
# parameter on some points of its grid.

suppressPackageStartupMessages(library(lme4))

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
source(file.path(here, "lmm_cases.R"))
unbox <- jsonlite::unbox

profiled <- c(
    "sleepstudy_slope_reml", "sleepstudy_intercept_ml", "sleepstudy_double_bar", "sleepstudy_slope_only",
    "sleepstudy_quadratic_ml", "sleepstudy_log", "sleepstudy_scaled_response", "sleepstudy_no_intercept",
    "sleepstudy_aliased", "sleepstudy_offset", "sleepstudy_missing", "dyestuff_ml", "dyestuff2_ml",
    "penicillin_fixed_sample", "penicillin_ml", "penicillin_missing_ml", "pastes_nested", "pastes_labels_ml",
    "pastes_interaction", "pastes_crossed_ml", "cake_additive", "cake_slope", "cake_nested_ml", "cbpp_weights_ml",
    "cbpp_no_intercept_ml", "cbpp_offset_ml", "cbpp_weights_and_offset", "grouseticks_crossed", "grouseticks_nested_ml",
    "grouseticks_slope", "grouseticks_raw", "arabidopsis_double_bar"
)
tight <- lmerControl(optimizer = "nloptwrap", boundary.tol = 0.01,
                     optCtrl = list(xtol_rel = 1e-10, xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 100000))
level <- 0.95
grid_points <- 4    # kept on either side of the estimate
seconds <- 300

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
    parts <- list(quote(lmer), str2lang(case$formula), data = as.name(case$data), REML = FALSE, control = quote(tight))
    if (!is.null(case$weights)) parts$weights <- as.name(case$weights)
    if (!is.null(case$offset)) parts$offset <- as.name(case$offset)
    as.call(parts)
}

quiet <- function(expr) suppressMessages(suppressWarnings(expr))

points_of <- function(p, name) {
    rows <- p[p$.par == name, ]
    zeta <- rows$.zeta
    ok <- is.finite(zeta) & is.finite(rows[[name]]) & abs(zeta) < 3
    rows <- rows[ok, ]
    keep <- unique(round(seq(1, nrow(rows), length.out = min(nrow(rows), 2 * grid_points + 1))))
    list(x = rows[[name]][keep], zeta = rows$.zeta[keep])
}

reference_of <- function(case) {
    message(case$name)
    assign(case$data, prepared(case), envir = globalenv())
    m <- quiet(eval(call_of(case), globalenv()))
    wald <- confint(m, method = "Wald", level = level)
    out <- list(name = unbox(case$name), names = rownames(wald), deviance = unbox(deviance(m)),
                wald_lower = unname(wald[, 1]), wald_upper = unname(wald[, 2]))
    began <- proc.time()[[3]]
    p <- tryCatch({
        setTimeLimit(elapsed = seconds)
        quiet(profile(m, signames = TRUE))
    }, error = function(e) conditionMessage(e), finally = setTimeLimit())
    out$seconds <- unbox(round(proc.time()[[3]] - began, 2))
    if (is.character(p)) return(c(out, list(error = unbox(p))))
    ci <- tryCatch(quiet(confint(p, level = level)), error = function(e) conditionMessage(e))
    out$points <- sapply(rownames(wald), function(name) points_of(p, name), simplify = FALSE)
    if (is.character(ci)) return(c(out, list(error = unbox(ci))))
    c(out, list(lower = unname(ci[rownames(wald), 1]), upper = unname(ci[rownames(wald), 2])))
}

chosen <- Filter(function(case) case$name %in% profiled, cases)
stopifnot(length(chosen) == length(profiled))
versions <- list(R = unbox(as.character(getRversion())), lme4 = unbox(as.character(packageVersion("lme4"))))
text <- json_object(c(versions = as.character(json(versions)), level = as.character(json(unbox(level))),
                      cases = json_list(vapply(chosen, function(case) as.character(json(reference_of(case))), ""))))
write_text(text, file.path(here, "profile_reference.json"))
