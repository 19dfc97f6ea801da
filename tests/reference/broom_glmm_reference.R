# Tables of broom.mixed for generalized fits, for tests/inference/test_tidy_glmm.py.
# Run: Rscript tests/reference/broom_glmm_reference.R
suppressPackageStartupMessages({
  library(lme4)
  library(broom.mixed)
  library(jsonlite)
})

control <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-11, optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
grouseticks$effort <- 1 + (seq_len(nrow(grouseticks)) %% 3) / 4
models <- list(
  shares = glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = control),
  counts = glmer(TICKS ~ YEAR + offset(log(effort)) + (1 | BROOD) + (1 | LOCATION), grouseticks, poisson, control = control),
  probit = glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial("probit"), control = control)
)

columns <- function(frame) lapply(as.list(as.data.frame(frame)), function(x) if (is.factor(x)) as.character(x) else x)
reference <- lapply(models, function(m) {
  added <- suppressWarnings(as.data.frame(augment(m)))
  list(
    fixed = columns(tidy(m, effects = "fixed", conf.int = TRUE)),
    default = columns(tidy(m)),
    ran_vals = columns(tidy(m, effects = "ran_vals", conf.int = TRUE)),
    ran_coefs = columns(tidy(m, effects = "ran_coefs")),
    glance = columns(glance(m)),
    augment = columns(added[seq_len(25), grepl("^\\.", names(added))])
  )
})
reference$versions <- list(
  R = as.character(getRversion()),
  lme4 = as.character(packageVersion("lme4")),
  broom.mixed = as.character(packageVersion("broom.mixed"))
)
folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
write_json(reference, file.path(folder, "broom_glmm_reference.json"), digits = 12, auto_unbox = TRUE, na = "null", pretty = FALSE)
