# Tables of broom.mixed for tests/inference/test_tidy.py. Run: Rscript tests/reference/broom_reference.R
suppressPackageStartupMessages({
  library(lme4)
  library(broom.mixed)
  library(jsonlite)
})

sleepstudy$half <- factor(ifelse(sleepstudy$Days > 4, "late", "early"))
Penicillin$w <- 1 + as.integer(Penicillin$plate) / 10
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
models <- list(
  slopes = lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = control),
  double_bar = lmer(Reaction ~ Days + (Days || Subject), sleepstudy, REML = FALSE, control = control),
  crossed = lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, weights = w, control = control),
  nested = lmer(strength ~ 1 + (1 | batch / cask), Pastes, control = control)
)

columns <- function(frame) lapply(as.list(as.data.frame(frame)), function(x) if (is.factor(x)) as.character(x) else x)
reference <- lapply(models, function(m) {
  added <- as.data.frame(augment(m))
  list(
    fixed = columns(tidy(m, effects = "fixed", conf.int = TRUE)),
    default = columns(tidy(m)),
    ran_pars = columns(tidy(m, effects = "ran_pars", scales = "vcov")),
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
write_json(reference, file.path(folder, "broom_reference.json"), digits = 12, auto_unbox = TRUE, na = "null", pretty = FALSE)
