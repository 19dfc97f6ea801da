# Time lme4 on one table: Rscript lme4.R TABLE.csv FORMULA FACTORS REPEATS BUDGET
# FACTORS: names separated by commas. The rules of the clock are those of measure.py; reading the table is not timed.
# Prints a line "key value" for each time, the log-likelihood, the peak memory and the versions.

arguments <- commandArgs(trailingOnly = TRUE)
path <- arguments[[1]]
formula <- as.formula(arguments[[2]])
factors <- strsplit(arguments[[3]], ",")[[1]]
repeats <- as.integer(arguments[[4]])
budget <- as.numeric(arguments[[5]])

suppressPackageStartupMessages(library(lme4))
classes <- setNames(rep("character", length(factors)), factors)
table <- read.csv(path, colClasses = classes, na.strings = character())
for (name in factors) table[[name]] <- factor(table[[name]], levels = unique(table[[name]]))

say <- function(key, value) cat(key, format(value, digits = 17), "\n")

memory <- function(field) {
  if (!file.exists("/proc/self/status")) return(NA_real_)
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) * 1024 / 1e6
}

fit_once <- function() {
  start <- proc.time()[["elapsed"]]
  model <- suppressWarnings(suppressMessages(lmer(formula, table)))
  list(seconds = proc.time()[["elapsed"]] - start, loglik = as.numeric(logLik(model)))
}

# R's clock ticks in milliseconds: a fit that is shorter than a tenth of a second is timed by the dozen.
several <- function(times) {
  start <- proc.time()[["elapsed"]]
  for (i in seq_len(times)) suppressWarnings(suppressMessages(lmer(formula, table)))
  (proc.time()[["elapsed"]] - start) / times
}

invisible(gc())
if (file.exists("/proc/self/clear_refs")) cat("5", file = "/proc/self/clear_refs")
before <- memory("VmRSS")
first <- fit_once()
say("peak_mb", memory("VmHWM") - before)
say("loglik", first$loglik)
if (first$seconds > budget) {
  say("seconds", first$seconds)
} else {
  batch <- if (first$seconds < 0.1) 12 else 1
  spent <- 0
  done <- 0
  while (done == 0 || (done < repeats && spent < budget)) {
    seconds <- several(batch)
    say("seconds", seconds)
    spent <- spent + batch * seconds
    done <- done + 1
  }
}
cat("version", as.character(packageVersion("lme4")), "\n")
