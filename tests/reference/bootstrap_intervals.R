# Studentized bootstrap intervals on transformed scales by the R package boot -> bootstrap_intervals.json
#
#     Rscript tests/reference/bootstrap_intervals.R
#
# Replicates and their standard errors are drawn here and kept in the file; limits are those of boot.ci(type = "stud")
# with h the logarithm or atanh, at three levels.

suppressPackageStartupMessages(library(boot))

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
source(file.path(here, "json.R"))
unbox <- jsonlite::unbox
set.seed(20)
count <- 230
levels <- c(0.5, 0.9, 0.95)

scales <- list(
    log = list(h = log, hdot = function(x) 1 / x, hinv = exp, at = 0.8, error = 0.15,
               t = 0.8 * exp(rnorm(count, -0.02, 0.2)), errors = 0.15 * exp(rnorm(count, 0, 0.1))),
    atanh = list(h = atanh, hdot = function(x) 1 / (1 - x^2), hinv = tanh, at = -0.6, error = 0.2,
                 t = tanh(rnorm(count, atanh(-0.6), 0.3)), errors = 0.2 * exp(rnorm(count, 0, 0.1))),
    identity = list(h = function(x) x, hdot = function(x) 1 + 0 * x, hinv = function(x) x, at = 3, error = 1.1,
                    t = rnorm(count, 3.1, 1), errors = 1.1 * exp(rnorm(count, 0, 0.1)))
)

reference_of <- function(name) {
    s <- scales[[name]]
    b <- structure(list(t0 = c(s$at, s$error^2), t = cbind(s$t, s$errors^2), R = count, data = 0, sim = "parametric",
                        call = quote(boot())), class = "boot")
    found <- boot.ci(b, conf = levels, type = "stud", index = 1:2, h = s$h, hdot = s$hdot, hinv = s$hinv)
    limits <- found$student[, 4:5]
    as.character(json(list(scale = unbox(name), estimate = unbox(s$at), error = unbox(s$error), replicates = s$t,
                           errors = s$errors, levels = levels, lower = unname(limits[, 1]), upper = unname(limits[, 2]))))
}

versions <- list(R = unbox(as.character(getRversion())), boot = unbox(as.character(packageVersion("boot"))))
write_text(json_object(c(versions = as.character(json(versions)),
                         intervals = json_list(vapply(names(scales), reference_of, ""), 1))),
           file.path(here, "bootstrap_intervals.json"))
