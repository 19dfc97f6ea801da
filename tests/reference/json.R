# JSON with one entry per line: readable, and a change shows as a one-line difference. Numbers have 15 significant
# digits.

# Scalars must be marked with jsonlite::unbox(); every other vector becomes a list, also one of length one.
json <- function(x) jsonlite::toJSON(x, digits = NA, na = "null", null = "null")

json_object <- function(values, indent = 0) {
    pad <- strrep(" ", indent)
    paste0("{\n", paste0(pad, " \"", names(values), "\": ", values, collapse = ",\n"), "\n", pad, "}")
}

json_list <- function(values, indent = 0) {
    pad <- strrep(" ", indent)
    paste0("[\n", paste0(pad, " ", values, collapse = ",\n"), "\n", pad, "]")
}

write_text <- function(text, path) {
    con <- file(path, "wb")
    writeLines(text, con)
    close(con)
}
