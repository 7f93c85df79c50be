# Writes tails of the null distributions of R to tails.csv: Rscript tails.R > tails.csv
# n2 is 0 for the signed-rank distribution of n1 pairs.
cat("n1,n2,t,p\n")
line <- function(n1, n2, t, p) cat(n1, n2, t, format(p, digits = 15), sep = ",", fill = TRUE)
for (n in c(1, 2, 5, 10, 25, 50, 100, 200, 250, 400)) {
  sigma <- sqrt(n * (n + 1) * (2 * n + 1) / 24)
  for (z in c(-1, 0, 1, 1.6449, 2.3263, 3.0902, 3.7190)) {
    t <- ceiling(n * (n + 1) / 4 + z * sigma)
    if (t >= 0 && t <= n * (n + 1) / 2) line(n, 0, t, psignrank(t - 1, n, lower.tail = FALSE))
  }
}
for (n in list(c(1, 1), c(3, 3), c(5, 9), c(10, 10), c(20, 30), c(50, 50), c(51, 51), c(60, 80))) {
  sigma <- sqrt(n[1] * n[2] * (n[1] + n[2] + 1) / 12)
  for (z in c(-1, 0, 1, 1.6449, 2.3263, 3.0902, 3.7190)) {
    u <- ceiling(n[1] * n[2] / 2 + z * sigma)
    if (u >= 0 && u <= n[1] * n[2]) line(n[1], n[2], u, pwilcox(u - 1, n[1], n[2], lower.tail = FALSE))
  }
}
