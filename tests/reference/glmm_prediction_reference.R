# Predictions of glmmTMB with standard errors, for tests/models/test_glmm_prediction.py.
# Run: Rscript tests/reference/glmm_prediction_reference.R   (reads glmm_simulated.csv, writes beside itself)
#
# glmmTMB's errors of conditional predictions count the uncertainty of the covariance parameters, ours take them as known.
suppressPackageStartupMessages(library(glmmTMB))
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
sim <- read.csv(file.path(here, "glmm_simulated.csv"))
sim$g <- factor(sim$g); sim$h <- factor(sim$h)
data("cbpp", package = "lme4")
models <- list(
    shares = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", "binomial", "~0", binomial()),
    counts = list("simulated", "count ~ x + z + (x | g) + (1 | h)", "poisson", "~0", poisson()),
    inverse = list("simulated", "positive ~ x + (1 | g)", "gamma(log)", "~0", Gamma("log")),
    zeros = list("simulated", "inflated ~ x + (1 | g)", "nbinom2", "~ z", nbinom2()))
entries <- character()
for (name in names(models)) {
    case <- models[[name]]
    d <- if (case[[1]] == "cbpp") cbpp else sim
    m <- glmmTMB(as.formula(case[[2]]), d, case[[5]], ziformula = as.formula(case[[4]]))
    new <- head(d, 40)
    of <- function(...) { p <- predict(m, newdata = new, se.fit = TRUE, ...); list(fit = unname(p$fit), se = unname(p$se.fit)) }
    entries[name] <- as.character(json(list(data = unbox(case[[1]]), formula = unbox(case[[2]]), family = unbox(case[[3]]),
        ziformula = unbox(case[[4]]), link = of(type = "link"), population = of(type = "link", re.form = NA),
        response = of(type = "response"), mean = of(type = "response", re.form = NA))))
    message(name)
}
versions <- json(list(R = unbox(as.character(getRversion())), glmmTMB = unbox(as.character(packageVersion("glmmTMB")))))
write_text(json_object(c(versions = as.character(versions), cases = json_object(entries, 1))), file.path(here, "glmm_prediction_reference.json"))
