# Profile confidence limits of generalized models by lme4 -> glmm_profile_reference.json
# Run: Rscript glmm_profile_reference.R    (R, lme4, jsonlite; reads glmm_simulated.csv, writes beside itself)
suppressPackageStartupMessages(library(lme4))
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
sim <- read.csv(file.path(here, "glmm_simulated.csv"))
sim$g <- factor(sim$g); sim$h <- factor(sim$h)
tight <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-11, optCtrl = list(rhoend = 1e-8, maxfun = 1e5))
cases <- list(cbpp = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", "binomial", 1),
              cbpp_9 = list("cbpp", "cbind(incidence, size - incidence) ~ period + (1 | herd)", "binomial", 9),
              counts = list("simulated", "count ~ x + z + (1 | g) + (1 | h)", "poisson", 1),
              binary = list("simulated", "binary ~ x + z + (1 | g)", "binomial", 1))
entries <- character()
for (name in names(cases)) {
    case <- cases[[name]]
    d <- if (case[[1]] == "cbpp") cbpp else sim
    m <- suppressMessages(suppressWarnings(glmer(as.formula(case[[2]]), d, get(case[[3]])(), nAGQ = case[[4]], control = tight)))
    p <- suppressMessages(suppressWarnings(profile(m, devtol = 1e-4)))
    ci <- suppressMessages(suppressWarnings(confint(p)))
    entries[name] <- as.character(json(list(data = unbox(case[[1]]), formula = unbox(case[[2]]), family = unbox(case[[3]]),
        nagq = unbox(case[[4]]), names = rownames(ci), lower = unname(ci[, 1]), upper = unname(ci[, 2]))))
    message(name)
}
write_text(json_object(c(lme4 = as.character(json(unbox(as.character(packageVersion("lme4"))))), cases = json_object(entries, 1))),
           file.path(here, "glmm_profile_reference.json"))
