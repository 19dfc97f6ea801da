# Writes the data sets of lme4 as CSV, with levels.json beside them, for mixedpy.datasets.
#
#     Rscript data/export.R              (from anywhere; writes beside this script)
#
# Needs lme4 and jsonlite. Numbers are written with the fewest of 15, 16 or 17 significant digits that read back to the
# same double. Large tables are compressed by R's gzfile(), which stores no name and no time, so that a second run
# gives the same bytes.

suppressPackageStartupMessages(library(lme4))

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
reference <- file.path(here, "..", "tests", "reference")
source(file.path(reference, "json.R"))

sets <- c("Arabidopsis", "cake", "cbpp", "Dyestuff", "Dyestuff2", "grouseticks", "InstEval", "Pastes", "Penicillin",
          "sleepstudy", "VerbAgg")
compressed <- c("InstEval", "VerbAgg")

shortest <- function(x) {
    text <- formatC(x, digits = 15, width = 1, format = "g")
    for (digits in 16:17) {
        wrong <- as.numeric(text) != x
        text[wrong] <- formatC(x[wrong], digits = digits, width = 1, format = "g")
    }
    stopifnot(as.numeric(text) == x)
    text
}

as_text <- function(x) if (is.factor(x)) as.character(x) else if (is.integer(x)) format(x, trim = TRUE) else shortest(x)

describe <- function(name, x) {
    column <- list(name = unbox(name), type = unbox(if (is.factor(x)) "factor" else typeof(x)))
    json(if (is.factor(x)) c(column, list(ordered = unbox(is.ordered(x)), levels = levels(x))) else column)
}

summarise <- function(x) {
    if (is.factor(x)) list(counts = c(table(x, dnn = NULL)))
    else lapply(list(sum = sum(x), min = min(x), max = max(x), sd = sd(x)), unbox)
}

unbox <- jsonlite::unbox
tables <- summaries <- character()
for (name in sets) {
    d <- get(name)
    stopifnot(!anyNA(d), is.null(unlist(lapply(d, attr, "contrasts"))))
    zip <- name %in% compressed
    target <- paste0(name, if (zip) ".csv.gz" else ".csv")
    rows <- do.call(paste, c(lapply(unname(d), as_text), sep = ","))
    stopifnot(!grepl("[\"\n]", rows), lengths(regmatches(rows, gregexpr(",", rows))) == ncol(d) - 1)
    con <- if (zip) gzfile(file.path(here, target), "wb", compression = 9) else file(file.path(here, target), "wb")
    writeLines(c(paste(names(d), collapse = ","), rows), con)
    close(con)
    columns <- json_list(mapply(describe, names(d), d), 3)
    tables[name] <- json_object(c(file = json(unbox(target)), rows = json(unbox(nrow(d))), columns = columns), 2)
    summaries[name] <- json(lapply(d, summarise))
}

version <- as.character(packageVersion("lme4"))
write_text(json_object(c(source = json(unbox("R package lme4")), version = json(unbox(version)),
                         tables = json_object(tables, 1))),
           file.path(here, "levels.json"))
write_text(json_object(summaries), file.path(reference, "datasets.json"))
