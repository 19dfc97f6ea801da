# Fits the models of lmm_cases.R with lme4 and writes what lme4 says of them, one JSON file per data set.
#
#     Rscript tests/reference/lmm_reference.R [data set ...]
#
# How the optimum is found, see lmm_fit.R. "attempts" keeps the criterion of each attempt, so that a reader sees where
# lme4's default stays above the optimum.
#
# Print-outs are those of print(m), print(summary(m)) and print(VarCorr(m)), 80 columns, with package lme4 alone; the
# stored call holds formula, data, REML, weights and offset, as typed at the prompt.

suppressPackageStartupMessages(library(lme4))

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
source(file.path(here, "lmm_cases.R"))
source(file.path(here, "lmm_fit.R"))
options(width = 80)
unbox <- jsonlite::unbox

shown_levels <- 50     # of each end, of grouping factors with more than
all_levels <- 300      # levels
shown_rows <- 20

rows_of <- function(x) unname(lapply(seq_len(nrow(x)), function(i) unname(x[i, ])))
named <- function(x) lapply(as.list(x), unbox)
head_of <- function(x) unname(head(x, shown_rows))

modes_of <- function(m) {
    re <- ranef(m, condVar = TRUE)
    one <- function(group) {
        values <- as.matrix(re[[group]])
        blocks <- attr(re[[group]], "postVar")
        if (!is.list(blocks)) blocks <- list(blocks)
        J <- nrow(values)
        keep <- if (J <= all_levels) seq_len(J) else c(seq_len(shown_levels), J - rev(seq_len(shown_levels)) + 1)
        list(levels = rownames(values)[keep], n_levels = unbox(J), effects = I(colnames(values)),
             modes = rows_of(values[keep, , drop = FALSE]),
             condvar = unname(lapply(blocks, function(v) lapply(keep, function(j) rows_of(matrix(v[, , j], nrow(v)))))))
    }
    sapply(names(re), one, simplify = FALSE)
}

terms_of <- function(m) {
    group <- names(m@cnms)
    unname(Map(function(g, effects) list(group = unbox(g), effects = effects, n_levels = unbox(nlevels(m@flist[[g]]))),
               group, m@cnms))
}

printed_of <- function(m) {
    summary_text <- NULL
    message_text <- testthat::capture_messages(summary_text <- capture.output(print(summary(m))))
    list(print = capture.output(print(m)), summary = summary_text, varcorr = capture.output(print(VarCorr(m))),
         summary_message = strsplit(paste(message_text, collapse = ""), "\n")[[1]])
}

reference_of <- function(case) {
    assign(case$data, prepared(case), envir = globalenv())
    call <- call_of(case)
    found <- fit_tightly(call)
    m <- found$model
    devfun <- quiet(eval(with_arguments(call, devFunOnly = TRUE), globalenv()))
    theta <- unname(getME(m, "theta"))
    fixed <- 0.7 * theta + 0.1
    vcov <- as.matrix(vcov(m))
    cmp <- getME(m, "devcomp")$cmp
    vc <- as.data.frame(VarCorr(m))
    out <- list(
        name = unbox(case$name), data = unbox(case$data), formula = unbox(case$formula), reml = unbox(case$reml),
        weights = if (!is.null(case$weights)) unbox(case$weights),
        offset = if (!is.null(case$offset)) unbox(case$offset),
        derive = if (length(case$derive)) case$derive else structure(list(), names = character()),
        missing = if (length(case$missing)) lapply(case$missing, function(rows) as.integer(rows) - 1L)
                  else structure(list(), names = character()),
        criterion = unbox(criterion(m)), attempts = named(found$attempts),
        at_fixed_theta = list(theta = fixed, criterion = unbox(devfun(fixed))),
        at_start = list(theta = found$start, criterion = unbox(devfun(found$start))),
        loglik = unbox(c(logLik(m))), aic = unbox(AIC(m)), bic = unbox(BIC(m)),
        ml_deviance = unbox(deviance(m, REML = FALSE)),
        df_resid = unbox(df.residual(m)), npar = unbox(attr(logLik(m), "df")), nobs = unbox(nobs(m)),
        devcomp = named(cmp[!is.na(cmp)]),
        terms = terms_of(m), theta = theta, theta_names = names(getME(m, "theta")),
        fixef_names = names(fixef(m)), fixef = unname(fixef(m)), se = unname(sqrt(diag(vcov))), vcov = rows_of(vcov),
        t = unname(coef(summary(m))[, "t value"]),
        dropped = I(as.character(names(attr(getME(m, "X"), "col.dropped")))),
        sigma = unbox(sigma(m)), varcorr = as.list(vc), ngrps = named(ngrps(m)), singular = unbox(isSingular(m)),
        messages = I(as.character(m@optinfo$conv$lme4$messages)),
        fitted = head_of(fitted(m)), rows = head_of(names(fitted(m))),
        residuals = list(response = head_of(residuals(m, "response")), pearson = head_of(residuals(m, "pearson")),
                         scaled = head_of(residuals(m, "pearson", scaled = TRUE))),
        scaled_quantiles = unname(quantile(residuals(m, "pearson", scaled = TRUE))),
        ranef = modes_of(m))
    lines <- vapply(out, json, "")
    if (case$printed) {
        as_list <- function(text) json_list(vapply(text, function(line) json(unbox(line)), ""), 4)
        lines["printed"] <- json_object(vapply(printed_of(m), as_list, ""), 3)
    }
    cat(sprintf("%-32s %-14.4f default +%.1e%s %s\n", case$name, criterion(m), found$attempts["default"] - criterion(m),
                if (isSingular(m)) " singular" else "", paste(m@optinfo$conv$lme4$messages, collapse = "; ")))
    rm(list = case$data, envir = globalenv())
    json_object(lines, 2)
}

versions <- vapply(list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
                        Matrix = as.character(packageVersion("Matrix")),
                        nloptr = as.character(packageVersion("nloptr")),
                        minqa = as.character(packageVersion("minqa"))), function(v) json(unbox(v)), "")

wanted <- commandArgs(TRUE)
for (data in unique(vapply(cases, `[[`, "", "data"))) {
    if (length(wanted) && !data %in% wanted) next
    found <- vapply(Filter(function(case) case$data == data, cases), reference_of, "")
    write_text(json_object(c(versions = json_object(versions, 1), cases = json_list(found, 1))),
               file.path(here, paste0("lmm_", tolower(data), ".json")))
}
