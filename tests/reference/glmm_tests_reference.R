# Wald chi-squares, single-term deletions, marginal means and joint tests of generalized models by car, lme4 and emmeans,
# and log-likelihoods without random effects by glm and glmmTMB
# -> glmm_tests_reference.json
#
#     Rscript tests/reference/glmm_tests_reference.R
#
# Estimates and their covariance matrix are written too, so that tests refer to the same numbers. Type III is that of
# Anova() for the model fitted with contrasts that sum to zero; its estimates are written as "sum".
suppressPackageStartupMessages({library(lme4); library(car); library(emmeans)})
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
options(width = 100)
unbox <- jsonlite::unbox
Arabidopsis$nutrient <- factor(Arabidopsis$nutrient)
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
cases <- list(
    cbpp = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", binomial(), "period"),
    cbpp_probit = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", binomial("probit"), "period"),
    cbpp_cloglog = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", binomial("cloglog"), "period"),
    ticks = list("grouseticks", "TICKS ~ YEAR * cHEIGHT + (1 | BROOD)", poisson(), "YEAR"),
    fruits = list("Arabidopsis", "total.fruits ~ nutrient * amd + status + (1 | gen)", poisson(), "nutrient | amd"))
fitted_by <- function(case, contrasts = NULL) {
    parts <- list(quote(glmer), str2lang(case[[2]]), data = as.name(case[[1]]), family = case[[3]], control = quote(tight))
    if (!is.null(contrasts)) parts$contrasts <- contrasts
    suppressMessages(suppressWarnings(eval(as.call(parts), globalenv())))
}
estimates <- function(m) list(names = names(fixef(m)), beta = unname(fixef(m)), vcov = unname(as.matrix(vcov(m))))
table_of <- function(a) { a <- a[rownames(a) != "(Intercept)", , drop = FALSE]
    list(terms = rownames(a), chisq = a$Chisq, df = a$Df, p = a[["Pr(>Chisq)"]]) }
numbers <- function(e, columns) { s <- as.data.frame(e); lapply(s[intersect(columns, names(s))], unname) }
means_columns <- c("emmean", "prob", "rate", "response", "SE", "asymp.LCL", "asymp.UCL")
contrast_columns <- c("contrast", "estimate", "odds.ratio", "ratio", "SE", "null", "z.ratio", "p.value", "asymp.LCL", "asymp.UCL")
entries <- character()
for (name in names(cases)) {
    case <- cases[[name]]
    m <- fitted_by(case)
    factors <- names(attr(model.matrix(m), "contrasts"))
    with_sum <- fitted_by(case, setNames(rep(list("contr.sum"), length(factors)), factors))
    dropped <- suppressMessages(suppressWarnings(drop1(m, test = "Chisq")))
    specs <- as.formula(paste("~", case[[4]]))
    means <- suppressMessages(emmeans(m, specs)); back <- suppressMessages(emmeans(m, specs, type = "response"))
    two <- suppressMessages(emmeans(m, specs, weights = "proportional"))
    L <- diag(length(fixef(m)))[2:3, ]
    joint <- linearHypothesis(m, L)
    alone <- glm(lme4::nobars(as.formula(case[[2]])), case[[3]], eval(as.name(case[[1]])))
    trends <- if (name == "ticks") numbers(emtrends(m, ~ YEAR, var = "cHEIGHT"), c("cHEIGHT.trend", "SE", "asymp.LCL", "asymp.UCL"))
    joints <- as.data.frame(joint_tests(m))
    entries[name] <- as.character(json(list(
        data = unbox(case[[1]]), formula = unbox(case[[2]]), family = unbox(case[[3]]$family), link = unbox(case[[3]]$link),
        specs = unbox(case[[4]]), estimates = estimates(m), sum = estimates(with_sum), factors = factors,
        type2 = table_of(Anova(m, type = 2)), type3 = table_of(Anova(with_sum, type = 3)),
        type2_text = capture.output(print(Anova(m, type = 2))),
        drop1 = list(terms = rownames(dropped), df = dropped$npar, aic = dropped$AIC, lrt = dropped$LRT,
                     p = dropped[["Pr(Chi)"]]), drop1_text = capture.output(print(dropped)),
        alone = unbox(as.numeric(logLik(alone))), trends = trends,
        joint_tests = list(terms = as.character(joints[["model term"]]), df = joints$df1, F = joints$F.ratio, p = joints$p.value),
        joint = list(chisq = unbox(joint$Chisq[2]), df = unbox(joint$Df[2]), p = unbox(joint[["Pr(>Chisq)"]][2])),
        means = numbers(means, means_columns), means_response = numbers(back, means_columns),
        means_proportional = numbers(two, means_columns),
        means_text = capture.output(print(means)), response_text = capture.output(print(back)),
        pairs = numbers(pairs(means), contrast_columns), pairs_response = numbers(pairs(back), contrast_columns),
        pairs_confint = numbers(confint(pairs(back)), contrast_columns),
        control = numbers(contrast(means, "trt.vs.ctrl", adjust = "bonferroni"), contrast_columns),
        pairs_text = capture.output(print(pairs(means))), pairs_response_text = capture.output(print(pairs(back))))))
    message(name)
}
alone_by <- function(...) unbox(as.numeric(logLik(glmmTMB::glmmTMB(TICKS ~ YEAR + cHEIGHT, ...))))
alone <- json(list(nbinom2 = alone_by(grouseticks, glmmTMB::nbinom2()), zeros = alone_by(grouseticks, poisson(), ziformula = ~ 1),
                   gamma = alone_by(subset(grouseticks, TICKS > 0), Gamma("log"))))
versions <- json(lapply(list(lme4 = "lme4", car = "car", emmeans = "emmeans", glmmTMB = "glmmTMB"), function(p) unbox(as.character(packageVersion(p)))))
write_text(json_object(c(versions = as.character(versions), alone = as.character(alone), cases = json_object(entries, 1))), file.path(here, "glmm_tests_reference.json"))
