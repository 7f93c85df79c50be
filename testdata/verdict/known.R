# Writes the numbers of R's own rank tests to known.csv: Rscript known.R > known.csv
# Each case is two samples, paired or not, as d = log(baseline/candidate): p of "greater", estimate, one-sided bounds.
options(warn = 2, digits = 15) # a tie would make R approximate, with a warning
set.seed(1945)
cat("kind,level,baseline,candidate,p,estimate,lower,upper\n")
row <- function(kind, level, baseline, candidate) {
  paired <- kind == "pairs"
  test <- function(alternative, conf.level) wilcox.test(log(baseline), log(candidate), paired = paired, exact = TRUE,
    alternative = alternative, conf.int = TRUE, conf.level = conf.level, digits.rank = 12)
  greater <- test("greater", 1 - level)
  less <- test("less", 1 - level)
  numbers <- function(x) paste(format(x, digits = 12, trim = TRUE, scientific = FALSE), collapse = " ")
  cat(kind, level, numbers(baseline), numbers(candidate), format(greater$p.value, digits = 12), numbers(greater$estimate),
      numbers(greater$conf.int[1]), numbers(less$conf.int[2]), sep = ",")
  cat("\n")
}
for (level in c(0.05, 0.01)) {
  for (n in c(7, 8, 10, 12, 20, 40)) {
    machine <- exp(rnorm(n, sd = 0.1))
    row("pairs", level, round(1000 * machine * exp(rnorm(n, sd = 0.02)), 4),
        round(1000 * machine * exp(rnorm(n, mean = -0.01, sd = 0.02)), 4))
    # Heavy tails.
    row("pairs", level, round(1000 * exp(0.01 * rt(n, df = 2)), 4), round(990 * exp(0.01 * rt(n, df = 2)), 4))
  }
  for (n in list(c(6, 6), c(5, 9), c(10, 10), c(20, 15), c(40, 30)))
    row("groups", level, round(1000 * exp(rnorm(n[1], sd = 0.02)), 4), round(985 * exp(rnorm(n[2], sd = 0.02)), 4))
}
