# Predictions of lme4 fits with the standard errors of the joint errors of fixed and random effects, by hand; the same
# models in glmmTMB, merTools' simulated intervals, and lmerTest's degrees of freedom of the fixed part. Writes prediction_reference.json.
#
#     Rscript tests/reference/prediction_reference.R
#
# By hand: the rows to predict are stacked under the data with weight zero, so that levels without data join the random
# effects, and the coefficient matrix of Henderson's mixed-model equations is inverted whole.
#
# glmmTMB's standard errors also carry the uncertainty of the covariance parameters (delta method), so that they are
# slightly larger; those of "glmmTMB_held", with the covariance parameters held at their estimates, do not. merTools
# draws fixed and random effects independently of each other.

suppressPackageStartupMessages({library(lme4); library(glmmTMB); library(merTools)})

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
quiet <- function(expr) suppressMessages(suppressWarnings(expr))

tight <- lmerControl(optimizer = "nloptwrap",
                     optCtrl = list(xtol_rel = 1e-10, xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 100000))
draws <- 20000

sleepstudy$w <- rep(c(0.5, 1, 2, 1.5), length.out = 180)
pastes_new <- data.frame(batch = c("A", "A", "C", "new"), cask = c("a", "b", "new", "a"))
cases <- list(
    list(name = "slope", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)",
         new = data.frame(Days = c(0, 4.5, 9, 20, 5), Subject = c("308", "309", "372", "308", "new"))),
    list(name = "slope_weighted", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", weights = "w",
         new = data.frame(Days = c(0, 4.5, 9, 20, 5), Subject = c("308", "309", "372", "308", "new"),
                          w = c(1, 2, 3, 4, 5))),
    list(name = "slope_independent", data = "sleepstudy",
         formula = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
         new = data.frame(Days = c(0, 9, 5), Subject = c("308", "309", "new"))),
    list(name = "crossed", data = "Penicillin", formula = "diameter ~ 1 + (1 | plate) + (1 | sample)",
         new = data.frame(plate = c("a", "b", "new", "x", "new"), sample = c("A", "F", "C", "new", "new"))),
    list(name = "nested", data = "Pastes", formula = "strength ~ 1 + (1 | batch/cask)", new = pastes_new),
    list(name = "factor", data = "cake", formula = "angle ~ recipe * temperature + (1 | recipe:replicate)",
         new = data.frame(recipe = c("A", "B", "C"), temperature = c("175", "205", "225"),
                          replicate = c("1", "15", "99"))))

# Rows of Z of every term on the stacked table, levels of the fit first
stacked_terms <- function(m, table) {
    re <- lapply(findbars(formula(m)), function(bar) {
        g <- interaction(lapply(all.vars(bar[[3]]), function(v) table[[v]]), sep = ":", drop = TRUE, lex.order = TRUE)
        Z <- model.matrix(as.formula(call("~", bar[[2]])), table)
        list(group = deparse(bar[[3]]), g = g, Z = Z)
    })
    vc <- VarCorr(m)
    names(re) <- vapply(re, `[[`, "", "group")
    used <- list()
    lapply(seq_along(vc), function(i) {
        effects <- rownames(vc[[i]])
        base <- sub("\\.[0-9]+$", "", names(vc)[i])
        found <- Filter(function(r) r$group == base && identical(colnames(r$Z), effects), re)[[1]]
        J <- nlevels(found$g)
        Z <- matrix(0, nrow(table), J * length(effects))
        first <- (as.integer(found$g) - 1) * length(effects)
        for (a in seq_along(effects)) Z[cbind(seq_len(nrow(table)), first + a)] <- found$Z[, a]
        list(Z = Z, Sigma = unclass(vc[[i]])[effects, effects, drop = FALSE], J = J, group = base)
    })
}

rows_of <- function(x) unname(lapply(seq_len(nrow(x)), function(i) unname(x[i, ])))

reference_of <- function(case) {
    data <- get(case$data)
    weights <- if (is.null(case$weights)) rep(1, nrow(data)) else data[[case$weights]]
    data$.w <- weights
    m <- quiet(eval(bquote(lmer(.(as.formula(case$formula)), data, weights = .w, control = tight))))
    s2 <- sigma(m)^2
    shown <- data[c(1, 7, 50), , drop = FALSE]
    new <- case$new
    for (v in setdiff(names(data), names(new))) new[[v]] <- data[[v]][1]
    shown <- rbind(shown[names(data)], new[names(data)])
    table <- rbind(data, shown)
    for (v in names(data)) if (is.factor(data[[v]])) {
        texts <- as.character(table[[v]])
        fixed <- v %in% all.vars(nobars(formula(m)))
        levels <- if (fixed) levels(data[[v]]) else unique(c(levels(data[[v]]), texts))
        table[[v]] <- factor(texts, levels = levels, ordered = fixed && is.ordered(data[[v]]))
    }
    n <- nrow(data)
    W <- c(weights, rep(0, nrow(shown)))
    X <- model.matrix(nobars(formula(m))[-2], table)
    terms <- stacked_terms(m, table)
    Z <- do.call(cbind, lapply(terms, `[[`, "Z"))
    Ginv <- as.matrix(Matrix::bdiag(lapply(terms, function(t) kronecker(diag(t$J), solve(t$Sigma)))))
    XZ <- cbind(X, Z)
    C <- crossprod(XZ, W * XZ) / s2
    own <- ncol(X) + seq_len(ncol(Z))
    C[own, own] <- C[own, own] + Ginv
    V <- solve(C)
    estimate <- V %*% crossprod(XZ, W * c(model.response(model.frame(m)), rep(0, nrow(shown)))) / s2
    at <- n + seq_len(nrow(shown))
    sd_of <- function(c) sqrt(rowSums((c %*% V) * c))
    population <- XZ
    population[, own] <- 0
    prior_of <- function(t) rowSums((t$Z[at, ] %*% kronecker(diag(t$J), t$Sigma)) * t$Z[at, ])
    prior <- rowSums(do.call(cbind, lapply(terms, prior_of)))
    conditional <- unname(drop(XZ[at, ] %*% estimate))
    stopifnot(all.equal(conditional, unname(predict(m, shown, allow.new.levels = TRUE)), tolerance = 1e-5))
    data$.w <- weights
    tmb <- quiet(eval(bquote(glmmTMB(.(as.formula(case$formula)), data, REML = TRUE, weights = .w))))
    # the same with the covariance parameters held at their estimates: no uncertainty but that of the equations
    best <- tmb$obj$env$last.par.best
    held <- split(unname(best), names(best))[c("theta", "betad")]
    fixed <- quiet(eval(bquote(glmmTMB(.(as.formula(case$formula)), data, weights = .w, start = held,
                                       map = lapply(held, function(v) factor(rep(NA, length(v))))))))
    tmb_says <- function(tmb, ...) {
        p <- quiet(predict(tmb, shown, se.fit = TRUE, allow.new.levels = TRUE, ...))
        list(fit = unname(p$fit), se = unname(p$se.fit))
    }
    weighted <- !is.null(case$weights)   # glmmTMB's weights multiply the log-likelihood: another model
    out <- list(name = unbox(case$name), data = unbox(case$data), formula = unbox(case$formula),
                weights = if (weighted) unbox(case$weights),
                shown = I(as.integer(c(1, 7, 50)) - 1L), new = as.list(case$new),
                sigma = unbox(sigma(m)), theta = I(unname(getME(m, "theta"))),
                conditional = list(fit = conditional, se = unname(sd_of(XZ[at, , drop = FALSE]))),
                population = list(fit = unname(predict(m, shown, re.form = NA)),
                                  se = unname(sd_of(population[at, , drop = FALSE]))),
                prior_variance = unname(prior))
    if (!weighted) {
        out$glmmTMB <- list(conditional = tmb_says(tmb), population = tmb_says(tmb, re.form = NA))
        out$glmmTMB_held <- list(conditional = tmb_says(fixed), population = tmb_says(fixed, re.form = NA))
    }
    tested <- quiet(lmerTest::as_lmerModLmerTest(m))
    df_of <- function(i) lmerTest::contest1D(tested, X[i, ])$df
    out$population$df <- vapply(at, df_of, 0)
    if (case$name %in% c("slope", "crossed")) {
        seen <- 1:3   # merTools' new levels have effects of exactly zero
        p <- quiet(predictInterval(m, shown[seen, ], level = 0.95, n.sims = draws, which = "full", stat = "median",
                                   include.resid.var = TRUE, seed = 1))
        # the variance merTools simulates: x'Var(beta)x + z'Var(b | y, beta)z per term, independent, + sigma^2
        re <- ranef(m, condVar = TRUE)
        post <- rep(0, 3)
        for (g in names(re)) {
            v <- attr(re[[g]], "postVar")
            z <- if (dim(v)[1] == 2) cbind(1, shown$Days[seen]) else matrix(1, 3, 1)
            j <- match(as.character(shown[[g]][seen]), rownames(re[[g]]))
            post <- post + vapply(seen, function(i) drop(z[i, ] %*% v[, , j[i]] %*% z[i, ]), 0)
        }
        out$merTools <- list(draws = unbox(draws), fit = p$fit, lower = p$lwr, upper = p$upr,
                             independent_variance = unname(sd_of(population[at[seen], , drop = FALSE])^2 + post))
    }
    cat(case$name, "glmmTMB / by hand:", if (!weighted) range(out$glmmTMB$conditional$se / out$conditional$se),
        "with covariance parameters held:",
        if (!weighted) range(out$glmmTMB_held$conditional$se / out$conditional$se), "\n")
    json_object(vapply(out, json, ""), 2)
}

version_of <- function(package) json(unbox(as.character(packageVersion(package))))
versions <- vapply(c("lme4", "glmmTMB", "merTools", "lmerTest", "Matrix"), version_of, "")
versions <- c(R = json(unbox(as.character(getRversion()))), versions)
write_text(json_object(c(versions = json_object(versions, 1), cases = json_list(vapply(cases, reference_of, ""), 1))),
           file.path(here, "prediction_reference.json"))
