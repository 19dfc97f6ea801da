# Fits generalized linear mixed models with lme4 and glmmTMB and writes what they say, one entry per model.
#
#     Rscript tests/reference/glmm_reference.R [folder of toxoplasmosis.csv]      # -> glmm_reference.json, glmm_simulated.csv
#
# lme4 serves for binomial, Poisson and Gaussian responses; glmmTMB for the families with a dispersion or zeros of their
# own, and for links that are not canonical, where it takes observed weights and lme4 expected ones. lme4's dispersion
# families (Gamma, inverse Gaussian) are not used: its deviance takes the dispersion as a by-product of the fit, so that its
# optimum is not that of the likelihood.
#
# lme4 is run with tight tolerances by bobyqa and nloptwrap, each from the other's end; the lowest deviance is kept. At
# nAGQ > 1 its log-likelihood lacks that of the saturated model, which is added. Standard errors are those of the inverse
# joint Hessian; lme4 finds it by differences, glmmTMB exactly, and where both fit the same model both are kept.

suppressPackageStartupMessages({library(lme4); library(glmmTMB)})
here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
options(width = 80)
unbox <- jsonlite::unbox
folder <- commandArgs(TRUE)
quiet <- function(expr) suppressMessages(suppressWarnings(expr))

set.seed(20260101)
n <- 600
sim <- data.frame(g = rep(1:40, each = 15), h = sample(1:12, n, TRUE), x = round(rnorm(n), 3), z = round(rnorm(n), 3),
                  exposure = round(runif(n, 0.5, 2), 2), m = sample(2:12, n, TRUE))
b <- 0.6 * rnorm(40)[sim$g] + 0.35 * rnorm(40)[sim$g] * sim$x + 0.4 * rnorm(12)[sim$h]
eta <- 0.3 + 0.5 * sim$x - 0.3 * sim$z + b
sim$binary <- rbinom(n, 1, plogis(eta))
sim$successes <- rbinom(n, sim$m, plogis(eta - 0.5))
sim$count <- rpois(n, sim$exposure * exp(eta))
sim$overdispersed <- rnbinom(n, mu = exp(eta), size = 1.5)
sim$linear <- rnbinom(n, mu = exp(eta), size = exp(eta) / 1.2)
sim$positive <- round(rgamma(n, 3, 3 / exp(eta)), 4) + 1e-4
sim$level <- round(exp(1 + 0.3 * eta) + rnorm(n, 0, 0.5), 4)
sim$share <- round(pmin(pmax(rbeta(n, 5 * plogis(eta), 5 * plogis(-eta)), 1e-4), 1 - 1e-4), 5)
sim$clustered <- rbinom(n, sim$m, rbeta(n, 4 * plogis(eta), 4 * plogis(-eta)))
sim$inflated <- ifelse(runif(n) < plogis(-1 + 0.6 * sim$z), 0, rpois(n, exp(eta + 0.5)))
sim$inflated_nb <- ifelse(runif(n) < 0.25, 0, rnbinom(n, mu = exp(eta + 1), size = 2))
positive <- qpois(runif(n, dpois(0, exp(eta)), 1), exp(eta))
sim$hurdled <- ifelse(runif(n) < plogis(-0.6 + 0.5 * sim$x), 0, positive)
positive <- qnbinom(runif(n, dnbinom(0, mu = exp(eta), size = 2), 1), mu = exp(eta), size = 2)
sim$hurdled_nb <- ifelse(runif(n) < 0.4, 0, positive)
write.csv(sim, file.path(here, "glmm_simulated.csv"), row.names = FALSE)
simulated <- read.csv(file.path(here, "glmm_simulated.csv"))
simulated$g <- factor(simulated$g); simulated$h <- factor(simulated$h)
toxo <- if (length(folder)) read.csv(file.path(folder[1], "toxoplasmosis.csv")) else NULL
if (!is.null(toxo)) { toxo$city <- factor(seq_len(nrow(toxo))); toxo$rainfall <- (toxo$rain - 1800) / 300 }

cases <- list()
add <- function(name, data, formula, family = "binomial", ...) {
    cases[[name]] <<- c(list(name = name, data = data, formula = formula, family = family), list(...))
}
herd <- "cbind(incidence, size - incidence) ~ period + (1 | herd)"
add("cbpp", "cbpp", herd); add("cbpp_9", "cbpp", herd, nagq = 9); add("cbpp_25", "cbpp", herd, nagq = 25)
for (link in c("probit", "cloglog")) add(paste0("cbpp_", link), "cbpp", herd, link = link, program = "glmmTMB")
for (link in c("probit", "cloglog", "cauchit", "log")) add(paste0("cbpp_", link, "_expected"), "cbpp", herd, link = link, expected = TRUE)
add("cbpp_0", "cbpp", herd, nagq = 0)
add("verbagg", "VerbAgg", "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)")
add("verbagg_small", "VerbAgg", "r2 ~ situ + (1 | id) + (1 | item)")
add("verbagg_slopes", "VerbAgg", "r2 ~ btype + situ + mode + (mode | id) + (1 | item)")
add("verbagg_0", "VerbAgg", "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", nagq = 0)
ticks <- "TICKS ~ YEAR + scale(HEIGHT) + "
add("ticks", "grouseticks", paste0(ticks, "(1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"), "poisson")
add("ticks_brood", "grouseticks", paste0(ticks, "(1 | BROOD)"), "poisson")
add("ticks_brood_9", "grouseticks", paste0(ticks, "(1 | BROOD)"), "poisson", nagq = 9)
add("ticks_brood_25", "grouseticks", paste0(ticks, "(1 | BROOD)"), "poisson", nagq = 25)
add("ticks_nb2", "grouseticks", paste0(ticks, "(1 | BROOD) + (1 | LOCATION)"), "nbinom2")
add("ticks_nb1", "grouseticks", paste0(ticks, "(1 | BROOD) + (1 | LOCATION)"), "nbinom1")
fruits <- "total.fruits ~ nutrient * amd + rack + status + "
add("fruits", "Arabidopsis", paste0(fruits, "(1 | popu) + (1 | gen)"), "poisson")
add("fruits_slope", "Arabidopsis", paste0(fruits, "(nutrient | gen)"), "poisson")
add("fruits_nb2", "Arabidopsis", paste0(fruits, "(1 | popu) + (1 | gen)"), "nbinom2")
add("fruits_zip", "Arabidopsis", paste0(fruits, "(1 | popu) + (1 | gen)"), "poisson", ziformula = "~ 1")
add("fruits_zip_x", "Arabidopsis", paste0(fruits, "(1 | gen)"), "poisson", ziformula = "~ amd + status")
add("fruits_zinb", "Arabidopsis", paste0(fruits, "(1 | gen)"), "nbinom2", ziformula = "~ 1")
add("fruits_hurdle", "Arabidopsis", paste0(fruits, "(1 | gen)"), "hurdle_poisson", ziformula = "~ amd")
for (k in c(1, 9, 25)) add(paste0("toxo_", k), "toxoplasmosis", "cbind(r, m - r) ~ poly(rainfall, 3) + (1 | city)", nagq = k)
add("binary", "simulated", "binary ~ x + z + (x | g)")
add("binary_9", "simulated", "binary ~ x + z + (1 | g)", nagq = 9)
add("binary_25", "simulated", "binary ~ x + z + (1 | g)", nagq = 25)
add("binary_crossed", "simulated", "binary ~ x + z + (x | g) + (1 | h)")
add("binary_double", "simulated", "binary ~ x + z + (x || g)")
add("successes", "simulated", "cbind(successes, m - successes) ~ x * z + (x | g) + (1 | h)")
add("count_offset", "simulated", "count ~ x + z + offset(log(exposure)) + (x | g)", "poisson")
add("count_crossed", "simulated", "count ~ x + z + offset(log(exposure)) + (x | g) + (1 | h)", "poisson")
add("nb2", "simulated", "overdispersed ~ x + z + (x | g)", "nbinom2")
add("nb2_crossed", "simulated", "overdispersed ~ x + z + (1 | g) + (1 | h)", "nbinom2")
add("nb1", "simulated", "linear ~ x + z + (1 | g)", "nbinom1")
add("gamma", "simulated", "positive ~ x + z + (x | g)", "gamma", link = "log")
add("gamma_crossed", "simulated", "positive ~ x + z + (1 | g) + (1 | h)", "gamma", link = "log")
add("gaussian_log", "simulated", "level ~ x + z + (1 | g)", "gaussian", link = "log", program = "glmmTMB")
add("gaussian_identity", "simulated", "level ~ x + z + (x | g) + (1 | h)", "gaussian", link = "identity", program = "glmmTMB")
add("beta", "simulated", "share ~ x + z + (x | g)", "beta", link = "logit")
add("beta_crossed", "simulated", "share ~ x + z + (1 | g) + (1 | h)", "beta", link = "logit")
add("beta_binomial", "simulated", "cbind(clustered, m - clustered) ~ x + z + (1 | g)", "beta_binomial")
add("zip", "simulated", "inflated ~ x + z + (1 | g)", "poisson", ziformula = "~ z")
add("zinb", "simulated", "inflated_nb ~ x + (1 | g)", "nbinom2", ziformula = "~ 1")
add("hurdle", "simulated", "hurdled ~ x + z + (1 | g)", "hurdle_poisson", ziformula = "~ x")
add("hurdle_nb", "simulated", "hurdled_nb ~ x + z + (1 | g)", "hurdle_nbinom2", ziformula = "~ 1")

data_of <- function(name) switch(name, simulated = simulated, toxoplasmosis = toxo, get(name, envir = as.environment("package:lme4")))
or <- function(a, b) if (is.null(a)) b else a

sds <- function(vc) lapply(vc, function(v) list(sd = unname(attr(v, "stddev")), corr = unname(attr(v, "correlation")[lower.tri(attr(v, "correlation"))])))

run_lme4 <- function(case, d) {
    family <- switch(case$family, binomial = binomial(or(case$link, "logit")), poisson = poisson(or(case$link, "log")),
                     gaussian = gaussian(or(case$link, "identity")))
    nagq <- or(case$nagq, 1)
    formula <- as.formula(case$formula)
    controls <- list(glmerControl(optimizer = "bobyqa", tolPwrss = 1e-11, optCtrl = list(rhoend = 1e-9, maxfun = 1e5)),
                     glmerControl(optimizer = "nloptwrap", tolPwrss = 1e-11, optCtrl = list(xtol_rel = 1e-11, xtol_abs = 1e-11, ftol_abs = 1e-12, maxeval = 1e5)))
    best <- NULL
    for (control in controls) {
        m <- quiet(try(glmer(formula, d, family, nAGQ = nagq, control = control), silent = TRUE))
        if (inherits(m, "try-error")) next
        if (is.null(best) || deviance_of(m) < deviance_of(best)) best <- m
    }
    start <- list(theta = getME(best, "theta"), fixef = fixef(best))
    for (control in controls) {
        if (nagq == 0) break
        m <- quiet(try(glmer(formula, d, family, nAGQ = nagq, control = control, start = start), silent = TRUE))
        if (!inherits(m, "try-error") && deviance_of(m) < deviance_of(best)) best <- m
    }
    saturated <- 0
    if (nagq > 1) {
        y <- best@resp$y; w <- weights(best)
        saturated <- if (case$family == "binomial") sum(dbinom(round(w * y), w, y, log = TRUE)) else sum(dpois(y, y, log = TRUE))
    }
    best@call <- as.call(list(quote(glmer), formula = str2lang(case$formula), data = as.name(case$data)))
    x <- suppressMessages(summary(best))
    u <- as.data.frame(ranef(best, condVar = TRUE))
    u <- u[u$grpvar == u$grpvar[1] & u$term == u$term[1], ]
    list(program = unbox("lme4"), loglik = unbox(as.numeric(logLik(best)) + saturated), fixef = unname(fixef(best)),
         se = unname(sqrt(diag(as.matrix(vcov(best))))), names = names(fixef(best)), random = sds(VarCorr(best)),
         modes = head(u$condval, 10), condsd = head(u$condsd, 10), levels = as.character(head(u$grp, 10)),
         fitted = head(unname(fitted(best)), 10), pearson = head(unname(residuals(best, "pearson")), 10),
         print = capture.output(print(best)), summary = suppressMessages(capture.output(print(x))),
         deviance_residuals = head(unname(residuals(best, "deviance")), 10))
}
deviance_of <- function(m) -2 * as.numeric(logLik(m))

run_tmb <- function(case, d) {
    link <- case$link
    family <- switch(case$family, binomial = binomial(or(link, "logit")), poisson = poisson(or(link, "log")),
                     gaussian = gaussian(or(link, "identity")), gamma = Gamma(or(link, "inverse")), nbinom2 = nbinom2(), nbinom1 = nbinom1(),
                     beta = beta_family(or(link, "logit")), beta_binomial = betabinomial(or(link, "logit")),
                     hurdle_poisson = truncated_poisson(), hurdle_nbinom2 = truncated_nbinom2())
    zi <- as.formula(or(case$ziformula, "~ 0"))
    control <- glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 4000, rel.tol = 1e-14, x.tol = 1e-12))
    m <- quiet(glmmTMB(as.formula(case$formula), d, family, ziformula = zi, control = control))
    other <- quiet(try(glmmTMB(as.formula(case$formula), d, family, ziformula = zi,
        control = glmmTMBControl(optimizer = optim, optArgs = list(method = "BFGS"), optCtrl = list(reltol = 1e-15, maxit = 2000))), silent = TRUE))
    if (!inherits(other, "try-error") && isTRUE(logLik(other) > logLik(m))) m <- other
    b <- fixef(m)
    full <- vcov(m, full = TRUE)
    out <- list(program = unbox("glmmTMB"), loglik = unbox(as.numeric(logLik(m))), fixef = unname(b$cond),
         se = unname(sqrt(diag(vcov(m)$cond))), names = names(b$cond), random = sds(VarCorr(m)$cond), sigma = unbox(sigma(m)),
         converged = unbox(m$fit$convergence == 0 && isTRUE(m$sdr$pdHess)))
    if (length(b$zi)) out <- c(out, list(zi = unname(b$zi), zi_se = unname(sqrt(diag(vcov(m)$zi)))))
    out
}

entries <- character()
for (case in cases) {
    d <- data_of(case$data)
    if (is.null(d)) { message("skipped ", case$name); next }
    tmb_only <- identical(case$program, "glmmTMB") || !case$family %in% c("binomial", "poisson", "gaussian") || !is.null(case$ziformula)
    results <- list()
    if (!tmb_only) results$lme4 <- run_lme4(case, d)
    if (tmb_only || (or(case$nagq, 1) == 1 && is.null(case$expected))) results$glmmTMB <- run_tmb(case, d)
    head <- list(data = unbox(case$data), formula = unbox(case$formula), family = unbox(case$family), link = unbox(or(case$link, NA)),
                 nagq = unbox(or(case$nagq, 1)), expected = unbox(!is.null(case$expected)), ziformula = unbox(or(case$ziformula, NA)))
    entries[case$name] <- as.character(json(c(head, list(results = results))))
    message(case$name, ": ", paste(sapply(results, function(r) sprintf("%s %.6f", r$program, r$loglik)), collapse = ", "))
}
versions <- json(list(R = unbox(paste(R.version$major, R.version$minor, sep = ".")), lme4 = unbox(as.character(packageVersion("lme4"))),
                      glmmTMB = unbox(as.character(packageVersion("glmmTMB")))))
write_text(json_object(c(versions = as.character(versions), cases = json_object(entries, 1))), file.path(here, "glmm_reference.json"))
