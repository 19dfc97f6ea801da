# Covariance structures that nlme fits as well -> structures_reference.json
# Run: Rscript structures_reference.R   (R, nlme and jsonlite; writes beside itself)
suppressMessages({library(nlme); library(jsonlite)})
set.seed(99)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)[1]))

subjects <- 60; m <- 5
series <- function(R, sd, noise, copies = 1) {
  d <- expand.grid(copy = seq_len(copies), t = seq_len(m), g = seq_len(subjects))
  b <- t(t(chol(R)) %*% matrix(rnorm(m * subjects), m)) * sd
  d$x <- round(rnorm(nrow(d)), 3)
  d$y <- round(2 + 0.7 * d$x + b[cbind(d$g, d$t)] + rnorm(nrow(d), sd = noise), 4)
  d$f <- factor(d$t); d$g <- factor(sprintf("s%02d", d$g)); d
}
lag <- abs(outer(1:m, 1:m, "-"))
cs <- function(r) ifelse(lag == 0, 1, r)
data <- list(ar1 = series(0.85^lag, 1.5, 0.9), pure = series(0.6^lag, 1.2, 0), cs = series(cs(0.5), 1.2, 0.6), negative = series(cs(-0.15), 1.2, 0.3), repeated = series(cs(0.3), 1.2, 0.6, copies = 2))

row <- function(name, formula, against, fit, ...) list(data = name, formula = formula, against = against, reml = fit$method == "REML",
  loglik = as.numeric(logLik(fit)), beta = I(unname(if (inherits(fit, "lme")) fixef(fit) else coef(fit))),
  se = I(unname(sqrt(diag(vcov(fit))))), ...)
# of one subject's first m rows, in order of t
marginal <- function(fit) { V <- getVarCov(fit, individual = "s01"); I(as.vector(unclass(V))[1:m]) }
cases <- list()
for (method in c("REML", "ML")) {
  # gls: corExp with a nugget is an autoregression and independent errors; corCompSymm is compound symmetry and independent errors
  ar <- gls(y ~ x, data$ar1, correlation = corExp(c(2, 0.3), form = ~ t | g, nugget = TRUE), method = method, control = glsControl(tolerance = 1e-10, msTol = 1e-12))
  cases <- c(cases, list(row("ar1", "y ~ x + ar1(0 + f | g)", "gls corExp(nugget)", ar, first_row = marginal(ar))))
  for (name in c("cs", "negative")) {
    both <- gls(y ~ x, data[[name]], correlation = corCompSymm(form = ~ 1 | g), method = method, control = glsControl(tolerance = 1e-10, msTol = 1e-12))
    cases <- c(cases, list(row(name, "y ~ x + cs(0 + f | g, hom = TRUE)", "gls corCompSymm", both, first_row = marginal(both))))
  }
  pd <- lme(y ~ x, data$repeated, random = list(g = pdCompSymm(~ 0 + f)), method = method, control = lmeControl(tolerance = 1e-10, msTol = 1e-12))
  V <- getVarCov(pd)
  cases <- c(cases, list(row("repeated", "y ~ x + cs(0 + f | g, hom = TRUE)", "lme pdCompSymm", pd,
                             sd = sqrt(V[1, 1]), rho = V[1, 2] / V[1, 1], sigma = pd$sigma)))
  # without independent errors there is only the autoregression: the residual variance of the mixed model is zero
  pure <- gls(y ~ x, data$pure, correlation = corAR1(form = ~ t | g), method = method, control = glsControl(tolerance = 1e-10, msTol = 1e-12))
  cases <- c(cases, list(row("pure", "y ~ x + ar1(0 + f | g)", "gls corAR1", pure, first_row = marginal(pure))))
}
out <- list(versions = list(R = R.version.string, nlme = as.character(packageVersion("nlme"))),
            data = lapply(data, function(d) list(g = as.character(d$g), f = as.character(d$f), x = d$x, y = d$y)), cases = cases)
write_json(out, file.path(here, "structures_reference.json"), digits = NA, auto_unbox = TRUE, null = "null", na = "null")
