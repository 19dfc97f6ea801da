# Leverage, studentized residuals, case deletion and principal components as lme4 has them, and cluster means as
# datawizard has them. Writes diagnostics_reference.json.
#
#     Rscript tests/reference/diagnostics_reference.R

suppressPackageStartupMessages(library(lme4))

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
quiet <- function(expr) suppressMessages(suppressWarnings(expr))
rows_of <- function(x) unname(lapply(seq_len(nrow(x)), function(i) unname(x[i, ])))

tight <- lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE,
                     optCtrl = list(xtol_rel = 1e-10, xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 100000))
sleepstudy$w <- rep(c(0.5, 1, 2, 1.5), length.out = 180)
cases <- list(
    list(name = "slope", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", group = "Subject"),
    list(name = "slope_weighted", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", weights = "w"),
    list(name = "slope_ml", data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)", reml = FALSE,
         group = "Subject"),
    list(name = "independent", data = "sleepstudy", formula = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"),
    list(name = "crossed", data = "Penicillin", formula = "diameter ~ 1 + (1 | plate) + (1 | sample)", group = "sample"),
    list(name = "nested", data = "Pastes", formula = "strength ~ 1 + (1 | batch/cask)", group = "batch"),
    list(name = "factor", data = "cake", formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"))

# HLMdiag's leverages by their definitions, with the n x n matrices (Demidenko & Stukel 2005; Nobre & Singer 2011)
parts_of_leverage <- function(m) {
    X <- getME(m, "X")
    W <- weights(m)
    ZSZ <- as.matrix(crossprod(getME(m, "A")))
    if (any(W != 1)) ZSZ <- as.matrix(t(getME(m, "Zt")) %*% tcrossprod(getME(m, "Lambda")) %*% getME(m, "Zt"))
    Vinv <- solve(ZSZ + diag(1 / W))
    H1 <- X %*% solve(t(X) %*% Vinv %*% X) %*% t(X) %*% Vinv
    H2 <- ZSZ %*% Vinv %*% (diag(nrow(X)) - H1)
    list(fixef = unname(diag(H1)), ranef = unname(diag(H2)), ranef_uc = unname(diag(ZSZ)))
}

reference_of <- function(case) {
    data <- get(case$data)
    data$.w <- if (is.null(case$weights)) rep(1, nrow(data)) else data[[case$weights]]
    reml <- !isFALSE(case$reml)
    m <- quiet(eval(bquote(lmer(.(as.formula(case$formula)), data, weights = .w, REML = .(reml), control = tight))))
    pca <- rePCA(m)
    out <- list(name = unbox(case$name), data = unbox(case$data), formula = unbox(case$formula), reml = unbox(reml),
                weights = if (!is.null(case$weights)) unbox(case$weights),
                group = if (!is.null(case$group)) unbox(case$group),
                hatvalues = unname(hatvalues(m)), rstudent = unname(rstudent(m)))
    if (is.null(case$weights)) stopifnot(all.equal(out$hatvalues, Reduce(`+`, parts_of_leverage(m)[1:2])))
    out <- c(out, parts_of_leverage(m))
    out$pca <- lapply(pca, function(p) list(sd = I(unname(p$sdev)), rotation = rows_of(abs(p$rotation))))
    if (!is.null(case$group)) {
        groups <- levels(data[[case$group]])
        without <- lapply(groups, function(level) {
            # lme4's influence() does the same with its default optimizer; this one ends nearer to the optimum
            rest <- droplevels(data[data[[case$group]] != level, ])
            quiet(eval(bquote(lmer(.(as.formula(case$formula)), rest, weights = .w, REML = .(reml), control = tight))))
        })
        V <- as.matrix(vcov(m))
        d <- lapply(without, function(r) fixef(m) - fixef(r))
        p <- length(fixef(m))
        relative <- lapply(without, function(r) solve(V, as.matrix(vcov(r))))
        out$refits <- list(
            levels = groups, fixef = rows_of(do.call(rbind, lapply(without, fixef))),
            sigma = vapply(without, sigma, 0),
            cooks_distance = vapply(d, function(v) drop(v %*% solve(V, v)) / p, 0),
            mdffits = mapply(function(v, r) drop(v %*% solve(as.matrix(vcov(r)), v)) / p, d, without),
            covtrace = vapply(relative, function(r) abs(sum(diag(r)) - p), 0),
            covratio = vapply(relative, det, 0))
        inf <- quiet(influence(m, groups = case$group, data = data))
        out$lme4_cooks_distance <- unname(cooks.distance(inf))
    }
    cat(case$name, if (!is.null(case$group)) max(abs(out$lme4_cooks_distance / out$refits$cooks_distance - 1)), "\n")
    json_object(vapply(out, json, ""), 2)
}

set.seed(1)
clusters <- data.frame(x = round(rnorm(20), 3), z = round(runif(20), 3), g = rep(letters[1:4], each = 5))
clusters$x[c(3, 8)] <- NA
split <- datawizard::demean(clusters, select = c("x", "z"), group = "g")
demeaned <- list(data = as.list(clusters), x_between = as.numeric(split$x_between), x_within = as.numeric(split$x_within),
                 z_between = as.numeric(split$z_between), z_within = as.numeric(split$z_within))

version_of <- function(package) json(unbox(as.character(packageVersion(package))))
versions <- c(R = json(unbox(as.character(getRversion()))), vapply(c("lme4", "datawizard"), version_of, ""))
write_text(json_object(c(versions = json_object(versions, 1), cases = json_list(vapply(cases, reference_of, ""), 1),
                         demean = json_object(vapply(demeaned, json, ""), 1))),
           file.path(here, "diagnostics_reference.json"))
