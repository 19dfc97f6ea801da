# Literal tables of R's number and name formatting -> format_reference.json
# Run: Rscript format_reference.R   (R and jsonlite; writes beside itself)
suppressMessages(library(jsonlite))
options(width = 80, digits = 7, scipen = 0, OutDec = ".")
set.seed(20240229)

exact <- function(x) ifelse(is.nan(x), "NaN", ifelse(is.na(x), "NA", sprintf("%.17g", x)))

vectors <- list(
  c(24.7366, 5.9221, 25.5918), c(612.1001, 35.07171, 654.94), c(0, 13.806), c(0, 0, 0), 0, 1, -1, 100, 123456, 1e5,
  1e15, 123456789, 1234567.8, 0.1, 0.15, 0.25, 0.35, 1.005, 2.675, 9996, 99996, 9.9996, 99.9996, 999999.6, 0.99996,
  c(1e-10, 1), c(1e-5, 1), c(1e-4, 1), c(0.0001, 123.456), 1e-99, 1e-100, 1e-300, 5e-324, 1e99, 1e100, 1.5e300,
  1.7976931348623157e308, c(1e-300, 1e300), c(NA, 1.5, 20), c(NaN, 1.5, 20), c(Inf, 1.5), c(-Inf, 1.5), c(NA, NA_real_),
  c(NaN, NA, Inf, -Inf), c(-0.0, 1), c(-1e-20, 1), c(1, 2, 3), c(10, 200, 3000), c(1e5, 1e6), c(100000, 123456),
  c(-0.138, 1, 0.5), c(-3.9536, -0.4634, 0.0231, 0.4634, 5.1793), c(1e-15, 1e-3), c(1234.5678, 0.00012345),
  c(0.5, 0.05, 0.005), 1/3, c(1/3, 2/3, 100/3), 22/7 * 10^(-12:12), 10^(-8:8), 2^(-30:30), 0.12345675, 1234567.5,
  12345.675, 0.00099995, 9.5, 99.5, 999.5, 9999.5, 99999.5, 999999.5, 0.95, 0.095, 0.0095, 3e22, 1e23, 123456e-20)
for (k in seq(-12, 12, by = 2)) for (r in 1:6) vectors[[length(vectors) + 1]] <- rnorm(sample(1:6, 1)) * 10^k
for (r in 1:80) vectors[[length(vectors) + 1]] <- rnorm(sample(2:8, 1)) * 10^runif(1, -6, 6) * 10^runif(1, -3, 3)
for (r in 1:60) vectors[[length(vectors) + 1]] <- round(rnorm(sample(1:5, 1)) * 10^sample(0:5, 1), sample(0:4, 1))
for (r in 1:40) vectors[[length(vectors) + 1]] <- exp(runif(sample(1:4, 1), -40, 40)) * sample(c(-1, 1), 1)
for (r in 1:60) vectors[[length(vectors) + 1]] <- (sample(1:999999, 1) + 0.5) * 10^-sample(0:9, 1)

format_digits <- c(1, 3, 4, 5, 6, 7, 15)
format_cases <- lapply(vectors, function(x)
  list(x = I(exact(x)), text = setNames(lapply(format_digits, function(d) I(format(x, digits = d))), format_digits)))
nsmall_cases <- list()
for (x in vectors[1:120]) for (nsmall in c(1, 2, 3))
  nsmall_cases[[length(nsmall_cases) + 1]] <-
    list(x = I(exact(x)), nsmall = nsmall, text = I(format(round(x, nsmall), nsmall = nsmall)))

pool <- c(unlist(vectors), rnorm(300) * 10^runif(300, -5, 8), (sample(1:99999, 300) + 0.5) / 10^sample(0:6, 300, TRUE))
pool <- pool[is.finite(pool) & abs(pool) < 1e305]
pool <- pool[seq(1, length(pool), by = 2)]
round_cases <- lapply(c(0:8, 12, -1, -3), function(d) list(digits = d, value = exact(round(pool, d))))
signif_cases <- lapply(c(1:7, 12), function(d) list(digits = d, value = exact(signif(pool, d))))
zap_cases <- list()
for (x in vectors[seq(1, length(vectors), by = 2)]) for (digits in c(3, 5, 7))
  zap_cases[[length(zap_cases) + 1]] <- list(x = I(exact(x)), digits = digits, value = I(exact(zapsmall(x, digits))))
cat_cases <- list(seven = sapply(pool, function(v) capture.output(cat(v))), fifteen = as.character(pool))

fg_cases <- list(text = sapply(pool, function(v) formatC(v, format = "fg", width = 1, digits = 7)))
c_cases <- list()
for (kind in c("f", "e", "g")) for (digits in c(0, 2, 5))
  c_cases[[length(c_cases) + 1]] <-
    list(kind = kind, digits = digits, width = 9,
         text = formatC(pool[1:200], format = kind, digits = digits, width = 9))
probs <- c(0, 0.025, 0.05, 0.25, 0.5, 0.75, 0.975, 0.995, 1, 1/3, 0.0001)
percent <- list(x = exact(probs), text = names(quantile(1:10, probs)))

pvalue_cases <- lapply(
  list(c(0.5, 0.04), 1e-20, c(1e-20, 0.03), c(1e-20, 1e-17), c(0.00001, 0.5, 1), 3.26e-6, c(1e-300, 3.26e-6), c(0.9999, 1),
       c(2.3e-5, 4.1e-4, 0.0123, 0.51), c(NA, 0.5), c(1e-16, 0.1234567, NA), 0, c(0, 0.2), c(0.00012, 0.00034)),
  function(p) list(x = I(exact(p)), text3 = I(format.pval(p, digits = 3)), text1 = I(format.pval(p, digits = 1)),
                   text5 = I(format.pval(p, digits = 5))))

names_sets <- list(
  c("(Intercept)", "Days"), c("(Intercept)", "recipeB", "recipeC", "temperature.L", "temperature.Q", "temperature.C",
    "temperature^4", "temperature^5", "recipeB:temperature.L", "recipeC:temperature.L", "recipeB:temperature.Q",
    "recipeC:temperature.Q", "recipeB:temperature.C", "recipeC:temperature.C", "recipeB:temperature^4",
    "recipeC:temperature^4", "recipeB:temperature^5", "recipeC:temperature^5"),
  c("(Intercept)", "service1", paste0("dept", c(15, 5, 10, 12, 6, 7, 4, 8, 9, 14, 1, 3, 11, 2)),
    paste0("service1:dept", c(15, 5, 10, 12, 6, 7, 4, 8, 9, 14, 1, 3, 11, 2))),
  c("(Intercept)", "I(x^2)", "log(x + 1)", "poly(x, 3)1", "poly(x, 3)2", "poly(x, 3)3", "ns(age, df = 3)1"),
  c("aeiou", "AEIOU", "bcdfg", "a", "", "ae ou", "hello world", "the quick brown fox", "  padded  ", "UPPER lower Mixed"),
  c("treatmentHigh", "treatmentHigher", "treatmentHighest", "treatmentLow", "treatmentLower"),
  c("x1", "x2", "x1", "x_long_name_one", "x_long_name_two", "x_long_name_one"),
  c("sexFemale:age_group[18,25)", "sexFemale:age_group[25,40)", "sexFemale:age_group[40,65)"),
  state.name, rownames(mtcars), c("income per head", "income per house", "in come", "ends e", "ends a e"),
  as.vector(outer(c("armA", "armB", "armC"), c("visitWeek 4", "visitWeek 8", "visitWeek 12"), paste, sep = ":")))
abbreviate_cases <- list()
for (s in names_sets) for (minlength in c(1, 3, 4, 6, 8, 11, 15)) for (strict in c(FALSE, TRUE))
  abbreviate_cases[[length(abbreviate_cases) + 1]] <-
    list(names = I(s), minlength = minlength, strict = strict, text = I(unname(abbreviate(s, minlength, strict = strict))))

# Coefficient tables, as lme4 (three columns) and lmerTest (five columns) print them.
coef_cases <- list()
add_table <- function(m) {
  coef_cases[[length(coef_cases) + 1]] <<-
    list(names = I(rownames(m)), columns = colnames(m), values = lapply(seq_len(ncol(m)), function(j) I(exact(m[, j]))),
         text = I(capture.output(printCoefmat(m, digits = 4))), digits = 4)
}
for (r in 1:40) {
  p <- sample(1:6, 1)
  scale <- 10^runif(1, -7, 6)
  estimate <- rnorm(p) * scale * 10^runif(p, -2, 2)
  se <- abs(rnorm(p)) * scale * 10^runif(1, -3, 1)
  if (r %% 10 == 0) estimate[1] <- 0
  t <- estimate / se
  m <- cbind(Estimate = estimate, "Std. Error" = se, "t value" = t)
  rownames(m) <- c("(Intercept)", "x", "treatmentHigh", "I(x^2)", "z:x", "poly(x, 2)1")[1:p]
  add_table(m)
  df <- exp(runif(p, 1, 8))
  m5 <- cbind(m[, 1:2, drop = FALSE], df = df, "t value" = t, "Pr(>|t|)" = 2 * pt(abs(t), df, lower.tail = FALSE))
  add_table(m5)
  if (r %% 7 == 0) { m5[1, 5] <- NA; m5[1, 3] <- NA; add_table(m5) }
  m4 <- cbind(m[, 1:2, drop = FALSE], "z value" = t, "Pr(>|z|)" = 2 * pnorm(abs(t), lower.tail = FALSE))
  add_table(m4)
}

# Deparsed formulas, cut into lines.
formulas <- c(
  "y ~ x + (1 | g)",
  "Reaction ~ aaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + ccccccccccccccccccccc + dddd + (1 + eeeeeeeeee + fffffffffffffffffffff + ggggggggggggggggggggg + hhhh | iiii)",
  "cos(aaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + cccccccccccccccccc) ~ ddddddddddddddd + (eeeeeeeeeee | iiii)",
  "y ~ poly(aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccc, degree = 3, raw = TRUE, simple = FALSE) + ddddddddddddddddd:eeeeeeeeeeeeeeee:fffffffffff + g * h",
  "log(response_time) ~ condition * block_number + scale(age, center = TRUE, scale = FALSE) + (1 + condition | participant) + (1 | item/list)",
  "y ~ x - 1 + I((aaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb)^2 + cccccccccccccccccccccccccc) + `odd name + here` + (1 | `a b`)",
  "y ~ f(\"a + b, c\", -x) + aaaaaaaaaaaaaaaaaaaaaaa:bbbbbbbbbbbbbbbbbbbbb + (0 + aaaaaaaaaaaaaaaaaaaaaaaaaaaa | g) + (0 + bbbbbbbbbbbbbbbbbbbbbbbb || h)",
  "y ~ (aaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbb + ccccccccccccccccccccccccccccc)^2 + ddddddddddddddd %in% eeeeeeeeeeeeeeeeeeeee + (1 | g)",
  "y ~ a * bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb * ccccccccccccccccccccccccccccccccccccc * dddddddddddddddd + e + (1 | g:h)",
  "y ~ ifelse(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx > 3 & zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz == \"level\", 1, 0) + !w + (1 | g)",
  "y ~ data$x[1:3, \"col\"] + stats::poly(x, 2) + zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz + yyyyyyyyyyyyyyyyyyyyyyyyyyyy + (1 | g)")
words <- c("age", "treatment", "block_number", "I(x^2)", "log(dose + 1)", "a:b", "s1 * s2", "poly(time, 3)", "(time | id)", "(1 | site/id)",
           "ns(age, df = 4)", "cos(2 * pi * t / 24)", "(1 + x + z || g)", "factor(group, levels = c(\"a\", \"b\"))")
for (r in 1:60) formulas <- c(formulas, paste("y ~", paste(sample(words, sample(3:11, 1), TRUE), collapse = " + ")))
# Of each formula the text on one line, R's lines, and what cat(fill = TRUE) makes of them.
formula_cases <- lapply(formulas, function(s) {
  f <- as.formula(s)
  list(formula = paste(deparse(f, width.cutoff = 500L), collapse = " "), lines = I(deparse(f)),
       filled = I(capture.output(cat("Formula:", deparse(f), fill = TRUE))))
})

fill_cases <- lapply(1:40, function(r) {
  items <- c("Number of obs: 100, groups: ",
             paste0(strrep("g", sample(1:25, sample(1:5, 1), TRUE)), ", ", sample(1:1000, 1), collapse = "; "))
  list(items = items, text = I(capture.output(cat(items, fill = TRUE))))
})

# Widths: cat counts bytes, print counts columns of the terminal.
wide <- c("caf\u00e9", "\u6570\u636e", "e\u0301t\u00e9", "na\u00efve:x", "plain")
for (n in 1:12) {
  items <- c("Number of obs: 100, groups: ", strrep("\u00e9", 15 + 3 * n))
  fill_cases[[length(fill_cases) + 1]] <- list(items = items, text = I(capture.output(cat(items, fill = TRUE))))
}
wide_cases <- list(
  names = wide, vector = capture.output(print(setNames(c("1", "2", "3", "4", "5"), wide), quote = FALSE)),
  left = capture.output(print(matrix(rep(wide, 2), 5, dimnames = list(wide, wide[2:3])), quote = FALSE)),
  right = capture.output(print(matrix(rep(wide, 2), 5, dimnames = list(wide, wide[2:3])), quote = FALSE, right = TRUE)))

write_json(list(
  r_version = R.version.string, pool = exact(pool), format = format_cases, nsmall = nsmall_cases, round = round_cases, signif = signif_cases,
  zapsmall = zap_cases, cat = cat_cases, fg = fg_cases, c = c_cases, percent = percent, pvalue = pvalue_cases,
  abbreviate = abbreviate_cases, coef = coef_cases, formula = formula_cases, fill = fill_cases, wide = wide_cases),
  "format_reference.json", auto_unbox = TRUE, digits = NA, na = "string")
