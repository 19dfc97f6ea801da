# The linear mixed models of the reference. A case is
#
#     case(name, data, formula, reml =, weights =, offset =, derive =, missing =, printed =)
#
# weights, offset: a column.
# derive:  columns made before fitting, list(new = c(operation, column, ...)), operations
#            "factor" (of an integer column), "codes" (1, 2, ... of a factor), "equals" (1 where the column is the
#            level), "log" (of a column).
# missing: list(column = rows set to NA), rows counted from 1.
# printed: whether the print-outs are kept.

case <- function(name, data, formula, reml = TRUE, weights = NULL, offset = NULL, derive = list(), missing = list(),
                 printed = FALSE) {
    list(name = name, data = data, formula = formula, reml = reml, weights = weights, offset = offset, derive = derive,
         missing = missing, printed = printed)
}

is_yes <- list(Y = c("equals", "r2", "Y"))
as_factors <- list(gen = c("factor", "gen"), rack = c("factor", "rack"), nutrient = c("factor", "nutrient"))

cases <- list(
    # --- sleepstudy: one grouping factor, one numeric slope
    case("sleepstudy_slope_reml", "sleepstudy", "Reaction ~ Days + (Days | Subject)", printed = TRUE),
    case("sleepstudy_slope_ml", "sleepstudy", "Reaction ~ Days + (Days | Subject)", reml = FALSE, printed = TRUE),
    case("sleepstudy_intercept_reml", "sleepstudy", "Reaction ~ Days + (1 | Subject)", printed = TRUE),
    case("sleepstudy_intercept_ml", "sleepstudy", "Reaction ~ Days + (1 | Subject)", reml = FALSE),
    case("sleepstudy_double_bar", "sleepstudy", "Reaction ~ Days + (Days || Subject)", printed = TRUE),
    case("sleepstudy_split_terms_ml", "sleepstudy", "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
         reml = FALSE),
    case("sleepstudy_slope_only", "sleepstudy", "Reaction ~ Days + (0 + Days | Subject)", printed = TRUE),
    case("sleepstudy_quadratic_ml", "sleepstudy", "Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)",
         reml = FALSE),
    case("sleepstudy_log", "sleepstudy", "log(Reaction) ~ Days + (Days | Subject)"),
    case("sleepstudy_scaled_response", "sleepstudy", "I(1000/Reaction) ~ Days + (Days | Subject)", printed = TRUE),
    case("sleepstudy_no_intercept", "sleepstudy", "Reaction ~ 0 + Days + (1 | Subject)", printed = TRUE),
    case("sleepstudy_aliased", "sleepstudy", "Reaction ~ Days + I(2 * Days) + (Days | Subject)", printed = TRUE),
    case("sleepstudy_offset", "sleepstudy", "Reaction ~ 1 + (Days | Subject)", offset = "Days", printed = TRUE),
    case("sleepstudy_missing", "sleepstudy", "Reaction ~ Days + (Days | Subject)", printed = TRUE,
         missing = list(Reaction = c(1, 17, 33, 180), Days = c(2, 33, 100), Subject = c(150, 151))),

    # --- Dyestuff, Dyestuff2: one variance, the second estimated as zero
    case("dyestuff_reml", "Dyestuff", "Yield ~ 1 + (1 | Batch)", printed = TRUE),
    case("dyestuff_ml", "Dyestuff", "Yield ~ 1 + (1 | Batch)", reml = FALSE, printed = TRUE),
    case("dyestuff2_reml", "Dyestuff2", "Yield ~ 1 + (1 | Batch)", printed = TRUE),
    case("dyestuff2_ml", "Dyestuff2", "Yield ~ 1 + (1 | Batch)", reml = FALSE, printed = TRUE),

    # --- Penicillin: crossed and balanced
    case("penicillin_reml", "Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", printed = TRUE),
    case("penicillin_ml", "Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", reml = FALSE),
    case("penicillin_fixed_sample", "Penicillin", "diameter ~ 0 + sample + (1 | plate)", printed = TRUE),
    case("penicillin_missing_ml", "Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", reml = FALSE,
         missing = list(diameter = c(3, 50, 144), plate = c(10, 11, 12))),

    # --- Pastes: nested
    case("pastes_nested", "Pastes", "strength ~ 1 + (1 | batch/cask)", printed = TRUE),
    case("pastes_labels_ml", "Pastes", "strength ~ 1 + (1 | sample) + (1 | batch)", reml = FALSE),
    case("pastes_interaction", "Pastes", "strength ~ 1 + (1 | batch:cask)"),
    case("pastes_crossed_ml", "Pastes", "strength ~ 1 + (1 | batch) + (1 | cask)", reml = FALSE, printed = TRUE),
    case("pastes_redundant_label", "Pastes", "strength ~ 1 + (1 | batch/sample)"),

    # --- InstEval: large and crossed
    case("insteval_crossed", "InstEval", "y ~ 1 + (1 | s) + (1 | d)", printed = TRUE),
    case("insteval_service_dept", "InstEval", "y ~ service * dept + (1 | s) + (1 | d)", printed = TRUE),
    case("insteval_three_terms_ml", "InstEval", "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)", reml = FALSE),
    case("insteval_ordered_ml", "InstEval", "y ~ studage + lectage + service + (1 | s) + (1 | d)", reml = FALSE),
    case("insteval_slope_d", "InstEval", "y ~ service + (1 | s) + (service | d)", printed = TRUE),
    case("insteval_slope_s_only", "InstEval", "y ~ service + (service | s)"),
    case("insteval_by_service", "InstEval", "y ~ 0 + service + (0 + service | d) + (1 | dept)"),

    # --- cake: split plot, ordered factor
    case("cake_interaction_ml", "cake", "angle ~ recipe * temperature + (1 | recipe:replicate)",
         reml = FALSE, printed = TRUE),
    case("cake_interaction_reml", "cake", "angle ~ recipe * temperature + (1 | recipe:replicate)"),
    case("cake_additive", "cake", "angle ~ recipe + temperature + (1 | recipe:replicate)", printed = TRUE),
    case("cake_slope", "cake", "angle ~ recipe + temp + (temp | recipe:replicate)", printed = TRUE),
    case("cake_nested_ml", "cake", "angle ~ recipe + temp + (1 | replicate/recipe)", reml = FALSE),
    case("cake_recipe_by_replicate", "cake", "angle ~ recipe * temp + (0 + recipe | replicate)"),
    case("cake_interaction_in_bar_ml", "cake", "angle ~ recipe * I(temp - 200) + (recipe:I(temp - 200) | replicate)",
         reml = FALSE),

    # --- VerbAgg: crossed subjects and items, factors
    case("verbagg_crossed", "VerbAgg", "Y ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", derive = is_yes,
         printed = TRUE),
    case("verbagg_four_effects", "VerbAgg", "Y ~ btype + situ + (btype + situ | id) + (1 | item)", derive = is_yes,
         printed = TRUE),
    case("verbagg_interaction_in_bar_ml", "VerbAgg", "Y ~ situ * mode + (situ * mode | id)",
         reml = FALSE, derive = is_yes,
         printed = TRUE),
    case("verbagg_pairs_ml", "VerbAgg", "Y ~ (Anger + Gender + btype + situ)^2 + (1 | id) + (1 | item)", reml = FALSE,
         derive = is_yes, printed = TRUE),
    case("verbagg_items", "VerbAgg", "Y ~ item * Gender + (1 | id)", derive = is_yes, printed = TRUE),
    case("verbagg_factor_slope", "VerbAgg", "Y ~ 0 + btype + (0 + situ | id) + (1 | item)", derive = is_yes),
    case("verbagg_two_slopes", "VerbAgg", "Y ~ mode + Gender + (mode | id) + (0 + Gender | item)", derive = is_yes),
    case("verbagg_weights_ml", "VerbAgg", "response ~ Gender + btype + (1 | id) + (1 | item)",
         reml = FALSE, weights = "Anger",
         derive = list(response = c("codes", "resp"))),
    case("verbagg_missing", "VerbAgg", "response ~ Anger + situ + (situ | id) + (1 | item)",
         derive = list(response = c("codes", "resp")),
         missing = list(Anger = 101:130, id = c(7000, 7001), item = 7584, resp = 1)),

    # --- cbpp: prior weights, offset
    case("cbpp_weights", "cbpp", "incidence/size ~ period + (1 | herd)", weights = "size", printed = TRUE),
    case("cbpp_weights_ml", "cbpp", "incidence/size ~ period + (1 | herd)",
         reml = FALSE, weights = "size", printed = TRUE),
    case("cbpp_no_intercept_ml", "cbpp", "sqrt(incidence) ~ 0 + period + (1 | herd)", reml = FALSE),
    case("cbpp_offset_ml", "cbpp", "log(incidence + 1) ~ period + (1 | herd)", reml = FALSE, offset = "lsize",
         derive = list(lsize = c("log", "size")), printed = TRUE),
    case("cbpp_weights_and_offset", "cbpp", "log(incidence + 1) ~ period + (1 | herd)",
         weights = "size", offset = "lsize",
         derive = list(lsize = c("log", "size")), printed = TRUE),
    case("cbpp_weights_missing", "cbpp", "incidence/size ~ period + (1 | herd)", weights = "size",
         missing = list(incidence = c(4, 30), size = 11)),

    # --- grouseticks: nested broods, skewed response
    case("grouseticks_crossed", "grouseticks", "log(TICKS + 1) ~ YEAR + HEIGHT + (1 | BROOD) + (1 | LOCATION)",
         printed = TRUE),
    case("grouseticks_nested_ml", "grouseticks", "log(TICKS + 1) ~ YEAR + cHEIGHT + (1 | LOCATION/BROOD)",
         reml = FALSE,
         printed = TRUE),
    case("grouseticks_slope", "grouseticks", "sqrt(TICKS) ~ YEAR * cHEIGHT + (cHEIGHT | LOCATION)", printed = TRUE),
    case("grouseticks_year_slopes_ml", "grouseticks", "log(TICKS + 1) ~ YEAR + cHEIGHT + (YEAR | LOCATION)",
         reml = FALSE),
    case("grouseticks_raw", "grouseticks", "TICKS ~ YEAR + I(cHEIGHT/100) + (1 | BROOD)"),

    # --- Arabidopsis: nested populations, integer and factor grouping columns
    case("arabidopsis_long_names", "Arabidopsis",
         "log(total.fruits + 1) ~ nutrient * amd + rack + status + (1 | popu) + (1 | gen)", derive = as_factors,
         printed = TRUE),
    case("arabidopsis_four_effects_ml", "Arabidopsis",
         "log(total.fruits + 1) ~ nutrient * amd + rack + status + (nutrient * amd | gen)", reml = FALSE,
         derive = as_factors, printed = TRUE),
    case("arabidopsis_three_levels", "Arabidopsis", "log(total.fruits + 1) ~ nutrient + amd + (1 | reg/popu/gen)",
         printed = TRUE),
    case("arabidopsis_aliased_ml", "Arabidopsis", "log(total.fruits + 1) ~ reg + popu + amd + (1 | gen)",
         reml = FALSE,
         printed = TRUE),
    case("arabidopsis_double_bar", "Arabidopsis", "sqrt(total.fruits) ~ nutrient + status + (nutrient || gen)"),
    case("arabidopsis_weights_missing", "Arabidopsis", "log(total.fruits + 1) ~ nutrient * status + (1 | popu/gen)",
         weights = "rack", missing = list(total.fruits = 1:5, status = c(100, 200), popu = 625, rack = 400),
         printed = TRUE),
    case("arabidopsis_several_terms_ml", "Arabidopsis",
         "log(total.fruits + 1) ~ reg + nutrient + (0 + nutrient | popu) + (1 | popu:gen) + (1 | status)", reml = FALSE)
)
