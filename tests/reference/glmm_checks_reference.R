# R^2, intraclass correlation, overdispersion and Wald chi-squares of generalized models -> glmm_checks_reference.json
# Run: Rscript glmm_checks_reference.R    (R, lme4, performance, car, jsonlite; reads glmm_simulated.csv, writes beside itself)
#
# The null model of performance is refitted with lme4's default settings, hence the modest tolerance of the test.
suppressPackageStartupMessages({library(lme4)})
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
sim <- read.csv(file.path(here, "glmm_simulated.csv"))
sim$g <- factor(sim$g); sim$h <- factor(sim$h); sim$row <- factor(seq_len(nrow(sim)))
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-11, optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
cases <- list(
    cbpp = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", binomial()),
    probit = list("simulated", "binary ~ x + z + (1 | g)", binomial("probit")),
    cloglog = list("simulated", "binary ~ x + z + (1 | g)", binomial("cloglog")),
    binary = list("simulated", "binary ~ x * z + (x | g)", binomial()),
    counts = list("simulated", "count ~ x * z + (1 | g) + (1 | h)", poisson()),
    scattered = list("simulated", "overdispersed ~ x + z + (1 | g) + (1 | row)", poisson()))
entries <- character()
for (name in names(cases)) {
    case <- cases[[name]]
    d <- if (case[[1]] == "cbpp") cbpp else sim
    m <- suppressMessages(suppressWarnings(glmer(as.formula(case[[2]]), d, case[[3]], control = tight)))
    r2 <- suppressMessages(suppressWarnings(performance::r2_nakagawa(m)))
    icc <- suppressMessages(suppressWarnings(performance::icc(m)))
    test <- function(type) { a <- car::Anova(m, type = type); a <- a[rownames(a) != "(Intercept)", , drop = FALSE]; a$Chisq }
    entries[name] <- as.character(json(list(data = unbox(case[[1]]), formula = unbox(case[[2]]), family = unbox(case[[3]]$family),
        link = unbox(case[[3]]$link), r2 = c(r2[[2]], r2[[1]]), icc = unbox(icc$ICC_adjusted),
        pearson = unbox(sum(residuals(m, "pearson")^2)), df = unbox(df.residual(m)),
        terms = attr(terms(m), "term.labels"), chisq2 = test(2), chisq3 = test(3))))
    message(name)
}
versions <- json(lapply(list(lme4 = "lme4", performance = "performance", insight = "insight", car = "car"),
                        function(p) unbox(as.character(packageVersion(p)))))
write_text(json_object(c(versions = as.character(versions), cases = json_object(entries, 1))), file.path(here, "glmm_checks_reference.json"))
