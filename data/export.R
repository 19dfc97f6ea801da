# Writes the data sets of lme4 as CSV, with levels.json beside them, for mixedpy.datasets.
#
#     Rscript data/export.R              (from anywhere; writes beside this script)
#
# Needs lme4 and jsonlite. Numbers are written with the fewest of 15, 16 or 17 significant digits that read back to the
# same double. Large tables are compressed by R's gzfile(), which stores no name and no time, so that a second run
# gives the same bytes.

suppressPackageStartupMessages(library(lme4))

here <- dirname(normalizePath(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))))
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
    column <- list(name = name, type = if (is.factor(x)) "factor" else typeof(x))
    if (is.factor(x)) c(column, list(ordered = is.ordered(x), levels = I(levels(x)))) else column
}

summarise <- function(x) {
    if (is.factor(x)) list(counts = I(unname(c(table(x))))) else list(sum = sum(x), min = min(x), max = max(x), sd = sd(x))
}

tables <- list()
summaries <- list()
for (name in sets) {
    d <- get(name)
    stopifnot(!anyNA(d), is.null(unlist(lapply(d, attr, "contrasts"))))
    file <- paste0(name, if (name %in% compressed) ".csv.gz" else ".csv")
    con <- if (name %in% compressed) gzfile(file.path(here, file), "wb", compression = 9) else file(file.path(here, file), "wb")
    rows <- do.call(paste, c(lapply(unname(d), as_text), sep = ","))
    stopifnot(!grepl("[\"\n]", rows), lengths(regmatches(rows, gregexpr(",", rows))) == ncol(d) - 1)
    writeLines(c(paste(names(d), collapse = ","), rows), con)
    close(con)
    tables[[name]] <- list(file = file, rows = nrow(d), columns = unname(Map(describe, names(d), d)))
    summaries[[name]] <- lapply(d, summarise)
}

# JSON with one column (or one data set) per line: readable, and a change shows as a one-line difference.
json <- function(x) jsonlite::toJSON(x, auto_unbox = TRUE, digits = NA)
object <- function(values, indent) {
    pad <- strrep(" ", indent)
    paste0("{\n", paste0(pad, " \"", names(values), "\": ", values, collapse = ",\n"), "\n", pad, "}")
}
table_json <- function(t) {
    columns <- paste0("[\n   ", paste(vapply(t$columns, json, ""), collapse = ",\n   "), "\n  ]")
    object(c(file = json(t$file), rows = json(t$rows), columns = columns), 2)
}
write_text <- function(text, path) {
    con <- file(path, "wb")
    writeLines(text, con)
    close(con)
}

version <- as.character(packageVersion("lme4"))
write_text(object(c(source = json("R package lme4"), version = json(version),
                    tables = object(vapply(tables, table_json, ""), 1)), 0),
           file.path(here, "levels.json"))
write_text(object(vapply(summaries, json, ""), 0), file.path(here, "..", "tests", "reference", "datasets.json"))
