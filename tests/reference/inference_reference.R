# Tests and marginal means by lmerTest, pbkrtest and emmeans, conditional AIC by cAIC4, R2 by performance -> the files
# inference_*.json.
#
#     Rscript tests/reference/inference_reference.R [name of a case ...]
#
# Models of lmm_cases.R, and some more below, fitted tightly (lmm_fit.R): degrees of freedom follow theta, which default
# settings leave up to 1e-4 of a standard error off. Kenward and Roger's method is left out for more than 700 rows, for
# which pbkrtest needs n x n matrices, and for weights, which it ignores. What a package refuses is kept as its message.

suppressPackageStartupMessages({library(lme4); library(lmerTest); library(emmeans); library(cAIC4)})

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
source(file.path(here, "lmm_cases.R"))
source(file.path(here, "lmm_fit.R"))
options(width = 80)
emm_options(msg.interaction = FALSE, lmerTest.limit = 1e5)
unbox <- jsonlite::unbox
lmer <- lme4::lmer

left_out <- c("verbagg_four_effects", "verbagg_interaction_in_bar_ml", "insteval_slope_d", "insteval_by_service",
              "insteval_service_dept", "insteval_ordered_ml", "insteval_three_terms_ml")

with_contrasts <- function(case, ...) c(case, list(contrasts = list(...)))
rows <- function(condition) which(eval(substitute(condition), lme4::cake))

more <- list(
    case("insteval_service", "InstEval", "y ~ service + (1 | s) + (1 | d)"),
    with_contrasts(case("cake_sum", "cake", "angle ~ recipe * temperature + (1 | recipe:replicate)",
                        missing = list(angle = c(1, 8, 30, 31, 77, 200))), recipe = "sum", temperature = "treatment"),
    case("cake_unbalanced", "cake", "angle ~ recipe * temperature + (1 | replicate/recipe)",
         missing = list(angle = c(2, 3, 50:60, 101, 190:199))),
    case("cake_empty_cell", "cake", "angle ~ recipe * temperature + (1 | recipe:replicate)",
         missing = list(angle = rows(recipe == "A" & temperature == "175"))),
    case("cake_covariate", "cake", "angle ~ recipe * temp + recipe * I(temp^2) + (1 | recipe:replicate)",
         missing = list(angle = c(5, 6, 7, 120:130))),
    case("cake_no_main_effect", "cake", "angle ~ recipe:temp + recipe + (1 | recipe:replicate)"),
    case("grouseticks_interaction", "grouseticks", "log(TICKS + 1) ~ YEAR * HEIGHT + (1 | BROOD) + (1 | LOCATION)"),
    case("arabidopsis_three_way", "Arabidopsis",
         "sqrt(total.fruits) ~ nutrient * amd * status + (1 | popu) + (1 | gen)",
         derive = list(gen = c("factor", "gen"), nutrient = c("factor", "nutrient")))
)

printed <- c("sleepstudy_slope_reml", "sleepstudy_slope_ml", "sleepstudy_aliased", "sleepstudy_missing", "dyestuff_reml",
             "dyestuff2_reml", "penicillin_fixed_sample", "pastes_nested", "cake_interaction_reml", "cake_additive",
             "cake_slope", "cake_unbalanced", "cbpp_weights", "grouseticks_crossed", "arabidopsis_long_names",
             "verbagg_crossed", "insteval_service")

# formula, arguments of emmeans(), contrast() and adjustment
means <- list(
    list("cake_interaction_reml", ~ recipe),
    list("cake_interaction_reml", ~ recipe | temperature),
    list("cake_unbalanced", ~ recipe, contrast = "pairwise"),
    list("cake_unbalanced", ~ temperature, contrast = "pairwise"),
    list("cake_unbalanced", ~ temperature, contrast = "poly"),
    list("cake_unbalanced", ~ recipe | temperature, contrast = "pairwise", adjust = "bonferroni"),
    list("cake_unbalanced", ~ recipe, weights = "proportional", contrast = "trt.vs.ctrl"),
    list("cake_unbalanced", ~ recipe, weights = "cells", contrast = "pairwise", adjust = "none"),
    list("cake_unbalanced", ~ temperature, contrast = "pairwise", adjust = "scheffe"),
    list("cake_unbalanced", ~ recipe, weights = "outer", contrast = "eff"),
    list("cake_unbalanced", ~ recipe * temperature, contrast = "consec", adjust = "sidak"),
    list("cake_empty_cell", ~ recipe),
    list("cake_empty_cell", ~ recipe | temperature, contrast = "pairwise", adjust = "holm"),
    list("cake_covariate", ~ recipe, contrast = "pairwise", adjust = "none"),
    list("cake_covariate", ~ recipe | temp, at = list(temp = c(180, 200)), contrast = "pairwise", adjust = "hochberg"),
    list("cake_sum", ~ temperature, contrast = "consec", adjust = "BY"),
    list("grouseticks_interaction", ~ YEAR, type = "response"),
    list("grouseticks_interaction", ~ YEAR, contrast = "pairwise"),
    list("arabidopsis_three_way", ~ nutrient | status, type = "response", contrast = "pairwise"),
    list("sleepstudy_log", ~ Days, at = list(Days = c(0, 5, 9)), type = "response", contrast = "pairwise"),
    list("cbpp_weights", ~ period, contrast = "trt.vs.ctrl"),
    list("cbpp_offset_ml", ~ period, contrast = "pairwise"),
    list("cbpp_offset_ml", ~ 1),
    list("verbagg_crossed", ~ btype * Gender, contrast = "pairwise"),
    list("verbagg_crossed", ~ situ, weights = "proportional")
)

columns_of <- function(table) {
    table <- as.data.frame(table)
    lapply(as.list(table), function(x) I(if (is.numeric(x)) unname(x) else as.character(x)))
}
attempt <- function(expr) tryCatch(quiet(expr), error = function(e) unbox(conditionMessage(e)))
lines_of <- function(x) I(capture.output(print(x)))

anova_of <- function(m, ...) attempt({
    table <- anova(m, ...)
    c(list(term = I(rownames(table))), columns_of(table))
})

model_of <- function(case) {
    assign(case$data, prepared(case), envir = globalenv())
    call <- call_of(case)
    if (!is.null(case$contrasts))
        call$contrasts <- lapply(case$contrasts, function(name) paste0("contr.", name))
    as_lmerModLmerTest(fit_tightly(call)$model)
}

means_of <- function(m, request, ddf) attempt({
    arguments <- request[setdiff(names(request), c("", "contrast", "adjust", "type"))]
    grid <- do.call(emmeans, c(list(m, request[[2]], lmer.df = ddf), arguments))
    type <- if (is.null(request$type)) "link" else request$type
    out <- list(means = columns_of(summary(grid, type = type)))
    if (!is.null(request$contrast)) {
        found <- contrast(grid, request$contrast, by = grid@misc$by.vars)
        pieces <- list(found, type = type)
        if (!is.null(request$adjust)) pieces$adjust <- request$adjust
        out$contrasts <- columns_of(do.call(summary, pieces))
        out$intervals <- columns_of(do.call(confint, pieces))
    }
    out
})

reference_of <- function(case) {
    began <- proc.time()[[3]]
    m <- model_of(case)
    m4 <- as(m, "lmerMod")
    small <- nobs(m) <= 700
    kr <- isREML(m) && small && is.null(case$weights)
    coefficients <- coef(summary(m))
    out <- list(
        name = unbox(case$name), data = unbox(case$data), formula = unbox(case$formula), reml = unbox(case$reml),
        weights = if (!is.null(case$weights)) unbox(case$weights),
        offset = if (!is.null(case$offset)) unbox(case$offset),
        derive = if (length(case$derive)) case$derive else structure(list(), names = character()),
        missing = if (length(case$missing)) lapply(case$missing, function(rows) as.integer(rows) - 1L)
                  else structure(list(), names = character()),
        contrasts = if (length(case$contrasts)) lapply(case$contrasts, unbox) else structure(list(), names = character()),
        singular = unbox(isSingular(m)), criterion = unbox(criterion(m)),
        names = I(rownames(coefficients)), estimate = unname(coefficients[, "Estimate"]),
        satterthwaite = list(se = unname(coefficients[, "Std. Error"]), df = unname(coefficients[, "df"]),
                             t = unname(coefficients[, "t value"]), p = unname(coefficients[, "Pr(>|t|)"])),
        anova = list(I = anova_of(m, type = 1), II = anova_of(m, type = 2), III = anova_of(m, type = 3)))
    if (kr) {
        found <- coef(summary(m, ddf = "Kenward-Roger"))
        out$kenward_roger <- list(se = unname(found[, "Std. Error"]), df = unname(found[, "df"]),
                                  t = unname(found[, "t value"]), p = unname(found[, "Pr(>|t|)"]))
        out$anova_kr <- anova_of(m, type = 3, ddf = "Kenward-Roger")
    }
    out$drop1 <- attempt({
        table <- drop1(m)
        c(list(term = I(rownames(table))), columns_of(table))
    })
    if (small) {
        out$ranova <- attempt({
            table <- ranova(m)
            c(list(term = I(rownames(table))), columns_of(table))
        })
        out$caic <- attempt({
            found <- cAIC(m4)
            list(caic = unbox(as.numeric(found$caic)), df = unbox(as.numeric(found$df)),
                 loglik = unbox(as.numeric(found$loglikelihood)), refitted = unbox(isTRUE(found$new)))
        })
    }
    if (nobs(m) < 10000) {
        out$r2 <- attempt({
            found <- performance::r2_nakagawa(m4)
            list(marginal = unbox(unname(found$R2_marginal)), conditional = unbox(unname(found$R2_conditional)))
        })
        out$icc <- attempt({
            found <- performance::icc(m4)
            list(adjusted = unbox(found$ICC_adjusted), unadjusted = unbox(found$ICC_unadjusted))
        })
        out$icc_by_group <- attempt({
            found <- performance::icc(m4, by_group = TRUE)
            list(group = I(as.character(found$Group)), icc = I(found$ICC))
        })
    }
    if (case$name %in% printed) {
        texts <- list(summary = lines_of(summary(m)), anova = lines_of(anova(m)), anova2 = lines_of(anova(m, type = 2)))
        if (kr) {
            texts$summary_kr <- lines_of(summary(m, ddf = "Kenward-Roger"))
            texts$anova_kr <- lines_of(anova(m, ddf = "Kenward-Roger"))
        }
        if (small) texts$ranova <- lines_of(quiet(ranova(m)))
        texts$drop1 <- lines_of(drop1(m))
        out$printed <- texts
    }
    requests <- Filter(function(request) request[[1]] == case$name, means)
    if (length(requests)) out$means <- lapply(requests, function(request) {
        asked <- request[-(1:2)]
        by <- if (length(request[[2]][[2]]) > 1 && identical(request[[2]][[2]][[1]], as.name("|")))
            all.vars(request[[2]][[2]][[3]])
        over <- setdiff(all.vars(request[[2]]), by)
        list(over = I(over), by = I(as.character(by)),
             at = if (is.null(asked$at)) structure(list(), names = character()) else asked$at,
             weights = unbox(if (is.null(asked$weights)) "equal" else asked$weights),
             type = unbox(if (is.null(asked$type)) "link" else asked$type),
             contrast = if (!is.null(asked$contrast)) unbox(asked$contrast),
             adjust = if (!is.null(asked$adjust)) unbox(asked$adjust),
             satterthwaite = means_of(m, request, "satterthwaite"),
             kenward_roger = if (kr) means_of(m, request, "kenward-roger"))
    })
    cat(sprintf("%-32s %6.1f s\n", case$name, proc.time()[[3]] - began))
    as.character(json(out))
}

packages <- c("lme4", "lmerTest", "pbkrtest", "emmeans", "cAIC4", "performance", "Matrix", "nloptr", "minqa")
versions <- c(R = as.character(getRversion()), vapply(packages, function(p) as.character(packageVersion(p)), ""))

wanted <- commandArgs(TRUE)
chosen <- Filter(function(case) !case$name %in% left_out, c(cases, more))
if (length(wanted)) chosen <- Filter(function(case) case$name %in% wanted, chosen)
for (data in unique(vapply(chosen, `[[`, "", "data"))) {
    found <- vapply(Filter(function(case) case$data == data, chosen), reference_of, "")
    path <- file.path(here, paste0("inference_", tolower(data), if (length(wanted)) "_some", ".json"))
    write_text(json_object(c(versions = as.character(json(lapply(as.list(versions), unbox))),
                             cases = json_list(found, 1))), path)
}
