# The random part on scales without bounds, with its sampling covariance.

# Log standard deviations, Fisher's z of correlations and log sigma, in the order of
# as.data.frame(VarCorr(fit)), with their joint sampling covariance: twice the inverse of the
# (restricted) deviance's second derivatives in theta and log sigma, carried over by the delta
# method; in a generalised model there is no sigma, and the derivatives are those in theta and the
# coefficients. What lies on the boundary gets no value there, and is held where it is for the others.
random_curvature <- function(fit) {
  no_scale(fit, "the random part's curvature")
  linear <- lme4::isLMM(fit)
  table <- as.data.frame(lme4::VarCorr(fit))
  sigma <- stats::sigma(fit)
  tol <- singular_tolerance()
  factors <- lapply(lme4::getME(fit, "Tlist"), canonical_factor, tol)
  theta <- unlist(lapply(factors, function(factor) factor[lower.tri(factor, diag = TRUE)]))
  free <- which(unlist(lapply(factors, function(factor) {
    open <- lower.tri(factor, diag = TRUE) & rep(diag(factor) > 0, each = nrow(factor))
    open[rowSums(factor^2) == 0, ] <- FALSE
    open[lower.tri(factor, diag = TRUE)]
  })))
  covariance <- if (linear) {
    curvature_covariance(fit, theta, free, sigma)
  } else {
    generalised_covariance(fit, theta, free)
  }
  slopes <- random_slopes(factors, sigma, linear)
  jacobian <- slopes$jacobian[, c(free, if (linear) length(theta) + 1L), drop = FALSE]
  link <- jacobian %*% covariance %*% t(jacobian)
  link[slopes$boundary, ] <- link[, slopes$boundary] <- NA
  list(
    grp = table$grp, var1 = table$var1, var2 = table$var2,
    value = slopes$value, boundary = slopes$boundary, link_vcov = link,
    definite = !anyNA(covariance)
  )
}

# Below which lme4's isSingular() counts a diagonal theta as 0.
singular_tolerance <- function() eval(formals(lme4::isSingular)$tol, asNamespace("lme4"))

# A term's relative Cholesky factor of the same covariance matrix, in which every diagonal theta that
# isSingular() counts as 0 is 0, and its column, too: plane rotations carry what stands below it into
# the columns behind. A row of zeros is a standard deviation of 0; any other row with a 0 on the
# diagonal belongs to an effect that the earlier ones determine.
canonical_factor <- function(factor, tol) {
  factor[sqrt(rowSums(factor^2)) < tol, ] <- 0
  k <- nrow(factor)
  for (j in seq_len(k)) {
    if (factor[j, j] >= tol) next
    factor[j, j] <- 0
    for (i in seq_len(k)[seq_len(k) > j]) {
      length <- sqrt(factor[i, i]^2 + factor[i, j]^2)
      if (length == 0) next
      turn <- rbind(c(factor[i, i], -factor[i, j]), c(factor[i, j], factor[i, i])) / length
      factor[, c(i, j)] <- factor[, c(i, j)] %*% turn
      factor[i, j] <- 0
    }
  }
  factor
}

# Per row of as.data.frame(VarCorr(fit)): the value, whether it lies on the boundary, and the
# derivatives of its log (SDs) or Fisher's z (correlations) in theta and log sigma.
random_slopes <- function(factors, sigma, has_sigma = TRUE) {
  lengths <- vapply(factors, function(factor) nrow(factor) * (nrow(factor) + 1L) / 2L, 0)
  before <- cumsum(c(0, lengths))
  total <- sum(lengths)
  rows <- list()
  add <- function(value, boundary, slope) {
    rows[[length(rows) + 1L]] <<- list(value = value, boundary = boundary, slope = slope)
  }
  for (term in seq_along(factors)) {
    factor <- factors[[term]]
    k <- nrow(factor)
    position <- matrix(0, k, k)
    position[lower.tri(position, diag = TRUE)] <- before[term] + seq_len(lengths[term])
    norm <- sqrt(rowSums(factor^2))
    for (i in seq_len(k)) {
      slope <- numeric(total + 1L)
      slope[position[i, seq_len(i)]] <- factor[i, seq_len(i)] / norm[i]^2
      slope[total + 1L] <- 1
      add(norm[i] * sigma, norm[i] == 0, slope)
    }
    for (j in seq_len(k)) {
      for (i in seq_len(k)[seq_len(k) > j]) {
        a <- factor[i, ] / norm[i]
        b <- factor[j, ] / norm[j]
        cor <- sum(a * b)
        slope <- numeric(total + 1L)
        slope[position[i, seq_len(i)]] <- ((b - cor * a) / norm[i])[seq_len(i)]
        slope[position[j, seq_len(j)]] <- ((a - cor * b) / norm[j])[seq_len(j)]
        # The later effect, or either's standard deviation, has a theta that counts as 0.
        add(cor, factor[i, i] == 0 || norm[j] == 0, slope / (1 - cor^2))
      }
    }
  }
  if (has_sigma) add(sigma, FALSE, c(numeric(total), 1))
  list(
    value = vapply(rows, `[[`, 0, "value"),
    boundary = vapply(rows, `[[`, NA, "boundary"),
    jacobian = do.call(rbind, lapply(rows, `[[`, "slope"))
  )
}

# Covariance matrix of the free thetas and log sigma; NA where the deviance isn't convex there.
curvature_covariance <- function(fit, theta, free, sigma) {
  n <- stats::nobs(fit)
  reml <- lme4::isREML(fit)
  df <- if (reml) n - ncol(lme4::getME(fit, "X")) else n
  parts <- deviance_parts(fit)
  # With sigma held: the deviance but for constants, and the penalized residual sum of squares.
  at <- function(x) {
    theta[free] <- x
    at_theta <- parts(theta)
    logdet <- at_theta$ldL2 + if (reml) at_theta$ldRX2 else 0
    c(logdet + at_theta$pwrss / sigma^2, at_theta$pwrss / sigma^2)
  }
  derivatives <- second_derivatives(at, theta[free])
  k <- length(free)
  hessian <- matrix(0, k + 1L, k + 1L)
  hessian[seq_len(k), seq_len(k)] <- derivatives$hessian
  hessian[seq_len(k), k + 1L] <- hessian[k + 1L, seq_len(k)] <- -2 * derivatives$gradient
  hessian[k + 1L, k + 1L] <- 4 * df
  inverse_of_half(hessian)
}

# Covariance matrix of the free thetas of a generalised fit, whose coefficients are estimated along;
# NA where the deviance isn't convex there.
generalised_covariance <- function(fit, theta, free) {
  beta <- unname(lme4::fixef(fit))
  k <- length(free)
  deviance <- generalised_deviance(fit)
  at <- function(x) c(deviance(replace(theta, free, x[seq_len(k)]), x[-seq_len(k)]), 0)
  if (k == 0L) return(matrix(0, 0L, 0L))
  hessian <- second_derivatives(at, c(theta[free], beta))$hessian
  inverse_of_half(hessian)[seq_len(k), seq_len(k), drop = FALSE]
}

# Twice the inverse of second derivatives; NA where they are not positive definite.
inverse_of_half <- function(hessian) {
  scale <- sqrt(abs(diag(hessian)))
  unit <- hessian / outer(scale, scale)
  convex <- all(is.finite(unit)) &&
    all(eigen(unit, symmetric = TRUE, only.values = TRUE)$values > 1e-10)
  if (!convex) return(matrix(NA_real_, nrow(hessian), nrow(hessian)))
  2 * solve(unit) / outer(scale, scale)
}

# Second derivatives of the first and first derivatives of the second value of `f`, by central
# differences with Richardson's extrapolation; steps are a fraction of each standard error.
second_derivatives <- function(f, x) {
  k <- length(x)
  middle <- f(x)
  moved <- function(i, by) f(replace(x, i, x[i] + by))
  step <- 1e-2 * pmax(abs(x), 1e-2)
  for (pass in 1:2) {
    curvature <- vapply(seq_len(k), function(i) {
      (moved(i, step[i])[1L] + moved(i, -step[i])[1L] - 2 * middle[1L]) / step[i]^2
    }, 0)
    error <- sqrt(2 / pmax(curvature, 1e-12))
    step <- pmin(0.2 * error, 0.25 * pmax(abs(x), 0.1 * error))
  }
  rough <- lapply(c(1, 1 / 2), function(part) {
    h <- step * part
    hessian <- matrix(0, k, k)
    gradient <- numeric(k)
    for (i in seq_len(k)) {
      up <- moved(i, h[i])
      down <- moved(i, -h[i])
      hessian[i, i] <- (up[1L] + down[1L] - 2 * middle[1L]) / h[i]^2
      gradient[i] <- (up[2L] - down[2L]) / (2 * h[i])
      for (j in seq_len(i - 1L)) {
        corner <- function(a, b) f(replace(x, c(i, j), x[c(i, j)] + c(a * h[i], b * h[j])))[1L]
        hessian[i, j] <- hessian[j, i] <-
          (corner(1, 1) + corner(-1, -1) - corner(1, -1) - corner(-1, 1)) / (4 * h[i] * h[j])
      }
    }
    list(hessian = hessian, gradient = gradient)
  })
  list(
    hessian = (4 * rough[[2L]]$hessian - rough[[1L]]$hessian) / 3,
    gradient = (4 * rough[[2L]]$gradient - rough[[1L]]$gradient) / 3
  )
}
