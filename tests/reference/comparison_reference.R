# Tables of likelihood-ratio tests as lme4 prints them, and exact restricted tests by RLRsim
# -> comparison_reference.json
#
#     Rscript tests/reference/comparison_reference.R
#
# Models are fitted with tight tolerances. "text" is what print(anova(...)) writes with 80 columns, "message" what it
# says besides. Exact tests: exactRLRT(m, mA, m0) with m the model that has the tested term alone.

suppressPackageStartupMessages({
    library(lme4)
    library(RLRsim)
})

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
options(width = 80)
unbox <- jsonlite::unbox
tight <- lmerControl(optimizer = "nloptwrap", boundary.tol = 0.01, calc.derivs = FALSE,
                     optCtrl = list(xtol_rel = 1e-10, xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 100000))
VerbAgg$Y <- as.integer(VerbAgg$r2 == "Y")

# models: name = formula, in the order in which anova() gets them
table_of <- function(data, models, reml = FALSE, refit = TRUE, weights = NULL) {
    list(data = data, models = models, reml = reml, refit = refit, weights = weights)
}

tables <- list(
    table_of("sleepstudy", list(m0 = "Reaction ~ Days + (1 | Subject)", m1 = "Reaction ~ Days + (Days | Subject)")),
    table_of("sleepstudy", list(m0 = "Reaction ~ Days + (1 | Subject)", m1 = "Reaction ~ Days + (Days | Subject)"),
             reml = TRUE, refit = FALSE),
    table_of("sleepstudy", list(big = "Reaction ~ Days + (Days | Subject)", mid = "Reaction ~ Days + (Days || Subject)",
                                null = "Reaction ~ 1 + (1 | Subject)", small = "Reaction ~ Days + (1 | Subject)")),
    table_of("sleepstudy", list(null = "Reaction ~ 1 + (Days | Subject)", alt = "Reaction ~ Days + (Days | Subject)"),
             reml = TRUE),
    table_of("sleepstudy", list(a = "Reaction ~ Days + (Days | Subject)",
                                b = "Reaction ~ Days + I(Days^2) + (Days | Subject)",
                                c = "Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)")),
    table_of("sleepstudy", list(none = "Reaction ~ Days + (0 + Days | Subject)",
                                all = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)")),
    table_of("sleepstudy", list(logs = "log(Reaction) ~ Days + (1 | Subject)",
                                logslope = "log(Reaction) ~ Days + (Days | Subject)")),
    table_of("Penicillin", list(plate = "diameter ~ 1 + (1 | plate)", both = "diameter ~ 1 + (1 | plate) + (1 | sample)")),
    table_of("Penicillin", list(sample = "diameter ~ 1 + (1 | sample)",
                                both = "diameter ~ 1 + (1 | plate) + (1 | sample)"), reml = TRUE, refit = FALSE),
    table_of("Pastes", list(cask = "strength ~ 1 + (1 | batch:cask)", nested = "strength ~ 1 + (1 | batch/cask)")),
    table_of("Pastes", list(batch = "strength ~ 1 + (1 | batch)", nested = "strength ~ 1 + (1 | batch/cask)")),
    table_of("Pastes", list(cask = "strength ~ 1 + (1 | batch:cask)", nested = "strength ~ 1 + (1 | batch/cask)"),
             reml = TRUE, refit = FALSE),
    table_of("cake", list(main = "angle ~ recipe + temp + (1 | recipe:replicate)",
                          full = "angle ~ recipe * temp + (1 | recipe:replicate)")),
    table_of("cake", list(null = "angle ~ 1 + (1 | recipe:replicate)",
                          recipe = "angle ~ recipe + (1 | recipe:replicate)",
                          temp = "angle ~ recipe + temp + (1 | recipe:replicate)",
                          factor = "angle ~ recipe + temperature + (1 | recipe:replicate)")),
    table_of("cake", list(main = "angle ~ recipe + temp + (1 | recipe:replicate)",
                          full = "angle ~ recipe * temp + (1 | recipe:replicate)"), reml = TRUE),
    table_of("cake", list(replicate = "angle ~ recipe + temp + (1 | replicate)",
                          nested = "angle ~ recipe + temp + (1 | replicate/recipe)")),
    table_of("cbpp", list(g0 = "incidence/size ~ 1 + (1 | herd)", g1 = "incidence/size ~ period + (1 | herd)"),
             weights = "size"),
    table_of("cbpp", list(g0 = "sqrt(incidence) ~ 1 + (1 | herd)", g1 = "sqrt(incidence) ~ period + (1 | herd)")),
    table_of("grouseticks", list(brood = "log(TICKS + 1) ~ YEAR + HEIGHT + (1 | BROOD)",
                                 both = "log(TICKS + 1) ~ YEAR + HEIGHT + (1 | BROOD) + (1 | LOCATION)")),
    table_of("grouseticks", list(same = "log(TICKS + 1) ~ YEAR + cHEIGHT + (1 | LOCATION)",
                                 other = "log(TICKS + 1) ~ HEIGHT + YEAR + (1 | BROOD)")),
    table_of("Arabidopsis", list(a = "log(total.fruits + 1) ~ amd + (1 | popu)",
                                 b = "log(total.fruits + 1) ~ amd + status + (1 | popu)",
                                 c = "log(total.fruits + 1) ~ amd * status + (1 | popu) + (1 | gen)")),
    table_of("VerbAgg", list(id = "Y ~ Gender + btype + (1 | id)", cross = "Y ~ Gender + btype + (1 | id) + (1 | item)")),
    table_of("VerbAgg", list(one = "Y ~ Gender + btype + (1 | id) + (1 | item)",
                             two = "Y ~ Gender * btype + (1 | id) + (1 | item)")),
    table_of("Dyestuff2", list(none = "Yield ~ 1 + (1 | Batch)", x = "Yield ~ as.integer(Batch) + (1 | Batch)"))
)

made <- function(formula, spec) {
    parts <- list(quote(lmer), str2lang(formula), data = as.name(spec$data), REML = spec$reml, control = quote(tight))
    if (!is.null(spec$weights)) parts$weights <- as.name(spec$weights)
    suppressMessages(suppressWarnings(eval(as.call(parts), globalenv())))
}

table_reference <- function(spec) {
    for (name in names(spec$models)) assign(name, made(spec$models[[name]], spec), envir = globalenv())
    call <- as.call(c(list(quote(anova)), lapply(names(spec$models), as.name), list(refit = spec$refit)))
    said <- testthat::capture_messages(found <- eval(call, globalenv()))
    list(data = unbox(spec$data), names = names(spec$models), formulas = unlist(spec$models, use.names = FALSE),
         reml = unbox(spec$reml), refit = unbox(spec$refit),
         weights = if (!is.null(spec$weights)) unbox(spec$weights),
         message = unbox(sub("\n$", "", paste(said, collapse = ""))), text = capture.output(print(found)))
}

exact_of <- function(data, full, null = NULL, alone = full) list(data = data, full = full, null = null, alone = alone)
exacts <- list(
    exact_of("Dyestuff", "Yield ~ 1 + (1 | Batch)"),
    exact_of("Dyestuff2", "Yield ~ 1 + (1 | Batch)"),
    exact_of("sleepstudy", "Reaction ~ Days + (1 | Subject)"),
    exact_of("sleepstudy", "Reaction ~ Days + (0 + Days | Subject)"),
    exact_of("sleepstudy", "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
             "Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (0 + Days | Subject)"),
    exact_of("Pastes", "strength ~ 1 + (1 | batch:cask) + (1 | batch)", "strength ~ 1 + (1 | batch:cask)",
             "strength ~ 1 + (1 | batch)"),
    exact_of("Penicillin", "diameter ~ 1 + (1 | sample)"),
    exact_of("cake", "angle ~ recipe + temp + (1 | replicate)"),
    exact_of("cake", "angle ~ recipe + temp + (1 | replicate:recipe) + (1 | replicate)",
             "angle ~ recipe + temp + (1 | replicate:recipe)", "angle ~ recipe + temp + (1 | replicate)"),
    exact_of("cbpp", "sqrt(incidence) ~ period + (1 | herd)"),
    exact_of("grouseticks", "log(TICKS + 1) ~ YEAR + HEIGHT + (1 | BROOD) + (1 | LOCATION)",
             "log(TICKS + 1) ~ YEAR + HEIGHT + (1 | BROOD)", "log(TICKS + 1) ~ YEAR + HEIGHT + (1 | LOCATION)")
)
simulations <- 100000

exact_reference <- function(spec) {
    spec$reml <- TRUE
    full <- made(spec$full, spec)
    set.seed(1)
    found <- if (is.null(spec$null)) exactRLRT(full, nsim = simulations) else
        exactRLRT(made(spec$alone, spec), full, made(spec$null, spec), nsim = simulations)
    list(data = unbox(spec$data), full = unbox(spec$full), null = if (!is.null(spec$null)) unbox(spec$null),
         statistic = unbox(unname(found$statistic)), p = unbox(found$p.value))
}

versions <- list(R = unbox(as.character(getRversion())), lme4 = unbox(as.character(packageVersion("lme4"))),
                 RLRsim = unbox(as.character(packageVersion("RLRsim"))))
text <- json_object(c(
    versions = as.character(json(versions)), simulations = as.character(json(unbox(simulations))),
    tables = json_list(vapply(tables, function(spec) as.character(json(table_reference(spec))), "")),
    exact = json_list(vapply(exacts, function(spec) as.character(json(exact_reference(spec))), ""))
))
write_text(text, file.path(here, "comparison_reference.json"))
