# Parametric bootstrap of likelihood-ratio tests by pbkrtest -> parametric_bootstrap.json
#
#     Rscript tests/reference/parametric_bootstrap.R
#
# PBmodcomp refits both models by maximum likelihood, simulates from the smaller and fits both to every data set. "p" is
# its p value, "extreme" of "samples" statistics were as large as the observed one (statistics below zero it leaves out).

suppressPackageStartupMessages({
    library(lme4)
    library(pbkrtest)
})

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
simulations <- 4000

pair <- function(data, smaller, larger, family = NULL, weights = NULL)
    list(data = data, smaller = smaller, larger = larger, family = family, weights = weights)
pairs <- list(
    pair("sleepstudy", "Reaction ~ Days + (Days | Subject)", "Reaction ~ Days + I(Days^2) + (Days | Subject)"),
    pair("Pastes", "strength ~ 1 + (1 | batch:cask)", "strength ~ 1 + (1 | batch) + (1 | batch:cask)"),
    pair("cake", "angle ~ temp + (1 | replicate:recipe)", "angle ~ recipe + temp + (1 | replicate:recipe)"),
    pair("cbpp", "sqrt(incidence) ~ 1 + (1 | herd)", "sqrt(incidence) ~ period + (1 | herd)"),
    pair("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)",
         "diameter ~ as.integer(plate) + (1 | plate) + (1 | sample)"),
    pair("cbpp", "incidence/size ~ 1 + (1 | herd)", "incidence/size ~ I(as.integer(period) == 3) + (1 | herd)",
         family = "binomial", weights = "size")
)

made <- function(formula, spec) {
    parts <- list(if (is.null(spec$family)) quote(lmer) else quote(glmer), str2lang(formula), data = as.name(spec$data))
    if (!is.null(spec$family)) parts$family <- spec$family else parts$REML <- FALSE
    if (!is.null(spec$weights)) parts$weights <- as.name(spec$weights)
    suppressMessages(suppressWarnings(eval(as.call(parts), globalenv())))
}

reference <- function(spec) {
    larger <- made(spec$larger, spec)
    smaller <- made(spec$smaller, spec)
    count <- if (is.null(spec$family)) simulations else simulations / 4
    found <- suppressMessages(suppressWarnings(PBmodcomp(larger, smaller, nsim = count, seed = 1)))
    list(data = unbox(spec$data), smaller = unbox(spec$smaller), larger = unbox(spec$larger),
         family = if (!is.null(spec$family)) unbox(spec$family), weights = if (!is.null(spec$weights)) unbox(spec$weights),
         statistic = unbox(found$test["LRT", "stat"]), p = unbox(found$test["PBtest", "p.value"]),
         samples = unbox(unname(found$samples["npos"])), extreme = unbox(found$n.extreme))
}

versions <- list(R = unbox(as.character(getRversion())), lme4 = unbox(as.character(packageVersion("lme4"))),
                 pbkrtest = unbox(as.character(packageVersion("pbkrtest"))))
text <- json_object(c(
    versions = as.character(json(versions)),
    pairs = json_list(vapply(pairs, function(spec) as.character(json(reference(spec))), ""))
))
write_text(text, file.path(here, "parametric_bootstrap.json"))
