# The data sets of the parity suite, from lme4, nlme, mice and Amelia, or drawn from a seed.

# Returns a frame by its name, or NULL if the package that it comes from is not installed.
parity_data <- function(name) {
  recipe <- recipes[[name]]
  if (is.null(recipe)) stop("no recipe for data set '", name, "'", call. = FALSE)
  frame <- tryCatch(recipe(), packageNotFoundError = function(condition) NULL)
  if (is.null(frame)) return(NULL)
  # Only plain columns: the other attributes of nlme's frames (groups, units) would not reach Python.
  plain <- lapply(frame, function(x) {
    if (is.factor(x)) {
      return(factor(as.character(x), levels = levels(x), ordered = is.ordered(x)))
    }
    if (inherits(x, c("Date", "POSIXct"))) x else as.vector(x)
  })
  data.frame(plain, check.names = FALSE, stringsAsFactors = FALSE)
}

from <- function(package, name) {
  env <- new.env()
  loadNamespace(package)
  utils::data(list = name, package = package, envir = env)
  as.data.frame(env[[name]])
}

recipes <- list(
  sleepstudy = function() from("lme4", "sleepstudy"),
  sleepstudy_plus = function() {
    d <- from("lme4", "sleepstudy")
    set.seed(11)
    d$w <- round(runif(nrow(d), 0.5, 2), 3)
    d$off <- rnorm(nrow(d), sd = 5)
    d$keep <- d$Days > 1
    d$half <- rep(c("early", "late"), length.out = nrow(d))
    d$days_f <- factor(d$Days)
    d$days_o <- factor(d$Days, ordered = TRUE)
    d$twice <- 2 * d$Days
    d$tiny <- d$Days * 1e-7 + 1e4
    d[["sleep loss, days"]] <- d$Days
    d
  },
  Penicillin = function() from("lme4", "Penicillin"),
  Pastes = function() from("lme4", "Pastes"),
  cake = function() from("lme4", "cake"),
  Dyestuff = function() from("lme4", "Dyestuff"),
  Dyestuff2 = function() from("lme4", "Dyestuff2"),
  InstEval = function() {
    d <- from("lme4", "InstEval")
    d[as.integer(d$s) <= 60L, ]  # most levels of d are then unused, but remain
  },
  Arabidopsis = function() {
    d <- from("lme4", "Arabidopsis")
    d$reg <- as.character(d$reg)
    d$fruits <- as.numeric(d$total.fruits)
    d[seq(1, nrow(d), by = 3), ]
  },
  grouseticks = function() {
    d <- from("lme4", "grouseticks")
    d$TICKS <- as.numeric(d$TICKS)
    d
  },
  cbpp = function() {
    d <- from("lme4", "cbpp")
    d$rate <- d$incidence / d$size
    d
  },
  VerbAgg = function() {
    d <- from("lme4", "VerbAgg")
    d$score <- as.numeric(d$resp)
    d[as.integer(d$id) <= 40L, ]
  },
  Oats = function() from("nlme", "Oats"),
  Orthodont = function() from("nlme", "Orthodont"),
  Machines = function() from("nlme", "Machines"),
  Rail = function() from("nlme", "Rail"),
  Pixel = function() from("nlme", "Pixel"),
  Oxboys = function() from("nlme", "Oxboys"),
  Alfalfa = function() from("nlme", "Alfalfa"),
  Assay = function() from("nlme", "Assay"),
  ergoStool = function() from("nlme", "ergoStool"),
  RatPupWeight = function() from("nlme", "RatPupWeight"),
  Gasoline = function() from("nlme", "Gasoline"),
  bdf = function() {
    d <- from("nlme", "bdf")
    d <- d[as.integer(as.character(d$schoolNR)) <= 60L, ]
    d[c("schoolNR", "langPOST", "IQ.ver.cen", "ses", "sex", "Minority", "denomina")]
  },
  BodyWeight = function() from("nlme", "BodyWeight"),
  hsb = function() {
    pupils <- from("nlme", "MathAchieve")
    schools <- from("nlme", "MathAchSchool")
    school <- match(as.character(pupils$School), as.character(schools$School))
    data.frame(
      schid = as.character(pupils$School), minority = as.numeric(pupils$Minority == "Yes"),
      female = as.numeric(pupils$Sex == "Female"), ses = pupils$SES, mathach = pupils$MathAch,
      size = schools$Size[school], schtype = as.numeric(schools$Sector[school] == "Catholic"),
      meanses = pupils$MEANSES
    )
  },
  hsb_holes = function() {
    d <- recipes$hsb()
    set.seed(21)
    for (name in c("minority", "female", "ses", "size")) d[[name]][sample(nrow(d), 359)] <- NA
    d[seq(1, nrow(d), by = 3), ]
  },
  popmis = function() {
    d <- from("mice", "popmis")
    d[d$school <= 40, ]
  },
  potthoffroy = function() {
    d <- from("mice", "potthoffroy")
    stats::reshape(d,
      direction = "long", varying = list(c("d8", "d10", "d12", "d14")), v.names = "distance",
      timevar = "age", times = c(8, 10, 12, 14), idvar = "id"
    )
  },
  toenail2 = function() {
    d <- from("mice", "toenail2")
    d <- d[d$visit <= 4, ]
    d$score <- as.numeric(d$outcome == "moderate or severe") + d$time / 10
    d
  },
  brandsma = function() {
    d <- from("mice", "brandsma")
    d[d$sch <= 40, c("sch", "pup", "iqv", "iqp", "sex", "ses", "lpr", "lpo")]
  },
  nhanes = function() from("mice", "nhanes"),
  nhanes2 = function() from("mice", "nhanes2"),
  boys = function() {
    d <- from("mice", "boys")
    d[d$age > 8, c("age", "hgt", "wgt", "gen", "reg")]
  },
  boys_bmi = function() {
    d <- from("mice", "boys")
    d[seq(1, nrow(d), by = 3), c("age", "hgt", "wgt", "bmi", "hc", "gen", "tv")]
  },
  # Pupils in schools, with holes at both levels.
  schools_holes = function() {
    set.seed(73)
    of <- rep(sprintf("s%02d", 20:1), each = 9L)
    u <- rnorm(20L)[match(of, unique(of))]
    w <- round(rnorm(20L), 2)[match(of, unique(of))]
    x <- rnorm(180L) + u / 2
    d <- data.frame(school = of, x = x, y = 1 + x / 2 + u + w / 2 + rnorm(180L), w = w,
                    kind = factor(c("low", "high")[1 + (x + rnorm(180L) > 0)], c("low", "high")))
    d$yes <- d$y + rnorm(180L) > 1
    d$number <- match(of, unique(of))
    d$size <- factor(c("small", "large")[1 + d$number %% 2L], c("small", "large"))
    for (name in c("x", "y", "kind", "yes")) d[[name]][sample(180L, 25L)] <- NA
    d$w[d$number %in% c(4L, 11L)] <- NA
    d$size[c(3L, 50L, 51L, 120L)] <- NA
    d
  },
  # Every type of column that a formula may name.
  types = function() {
    set.seed(31)
    n <- 240L
    d <- data.frame(
      y = rnorm(n, 10), number = rnorm(n), count = sample(0:9, n, TRUE),
      text = sample(c("lo", "Mid", "hi"), n, TRUE), flag = runif(n) < 0.4,
      day = as.Date("2020-02-27") + sample(0:400, n, TRUE),
      kind = factor(sample(c("x", "y", "z"), n, TRUE), levels = c("z", "x", "never", "y")),
      dose = factor(sample(c("none", "some", "much"), n, TRUE), c("none", "some", "much"),
                    ordered = TRUE),
      group = sample(sprintf("g%d", 1:14), n, TRUE), block = sample(1:12, n, TRUE)
    )
    d$y <- d$y + 0.3 * d$number + (match(d$group, unique(d$group)) - 7) / 6 + 0.2 * d$flag
    d$pos <- rlnorm(n)
    d$half <- d$block > 6
    d$o_group <- factor(d$group, sprintf("g%d", 14:1), ordered = TRUE)
    d
  },
  types_holes = function() {
    d <- recipes$types()
    set.seed(32)
    for (name in c("y", "number", "count", "text", "flag", "kind", "dose", "group", "day")) {
      d[[name]][sample(nrow(d), 9L)] <- NA
    }
    d
  },
  # Levels whose order by code point differs from that of a dictionary.
  sorted = function() {
    levels <- c("b", "A", "a", "B", "_x", "\u00e9t\u00e9", "eta", "z", "\u00c4rger", "zz", "10", "9",
                "a b", "a-b", "ab")
    set.seed(41)
    d <- data.frame(group = sample(levels, 200, TRUE), word = sample(levels[1:6], 200, TRUE))
    d$x <- rnorm(200)
    d$y <- d$x / 2 + match(d$group, levels) / 5 + rnorm(200)
    d
  },
  # Levels that are unusual as text: spaces, other alphabets, the empty text, "NA".
  odd = function() {
    levels <- c(" ", "", "NA", "two words", "trailing ", "\u6771\u4eac", "\u00e5\u00df\u00e7",
                "\u0416\u0443\u043a", "\U0001f40c", "a:b", "(Intercept)", "1e5", "TRUE", "quo\"te",
                "tick`", "back\\slash")
    set.seed(51)
    d <- data.frame(group = sample(levels, 260, TRUE), word = sample(levels[c(3, 2, 6, 8)], 260, TRUE))
    d$x <- rnorm(260)
    d$y <- d$x + match(d$group, levels) / 4 + rnorm(260)
    d$f <- factor(d$word, levels = levels[c(8, 6, 3, 2, 1)])
    d
  },
  noise = function() {
    set.seed(61)
    d <- data.frame(g = rep(1:12, each = 6), x = rep(1:6, 12), y = rnorm(72))
    d$h <- rep(c("p", "q", "r"), 24)
    d
  },
  wide_scale = function() {
    set.seed(62)
    d <- data.frame(g = factor(rep(1:15, each = 8)), x = runif(120, 1e5, 9e5), z = runif(120) * 1e-5)
    d$y <- d$x * 1e-5 + rnorm(15)[d$g] + rnorm(120)
    d
  },
  # A column with a variance below 1e-4, which depends on others.
  wide_scale_holes = function() {
    set.seed(74)
    d <- data.frame(x = rnorm(90L), z = rnorm(90L, 5))
    d$y <- (d$x + rnorm(90L) / 3) / 1000
    for (name in c("x", "y")) d[[name]][sample(90L, 12L)] <- NA
    d
  },
  # Two columns with holes in the same rows.
  nhanes_blocks = function() {
    d <- from("mice", "nhanes")
    d <- d[!is.na(d$hyp), ]
    d[is.na(d$bmi) | is.na(d$chl), c("bmi", "chl")] <- NA
    d
  },
  # For generalised models: truth values, counts, shares and durations, in groups.
  toenail = function() {
    d <- from("mice", "toenail")
    d[d$ID <= 160L, ]
  },
  bacteria = function() from("MASS", "bacteria"),
  epil = function() {
    d <- from("MASS", "epil")
    d$weeks <- 2
    d
  },
  Insurance = function() from("MASS", "Insurance"),
  snails = function() {
    d <- from("MASS", "snails")
    d$batch <- paste0(d$Species, d$Temp, "/", d$Rel.Hum)
    d$died <- d$Deaths / d$N
    d
  },
  Ovary = function() from("nlme", "Ovary"),
  Oxide = function() from("nlme", "Oxide"),
  Dialyzer = function() {
    d <- from("nlme", "Dialyzer")
    d[d$rate > 0, ]
  },
  Milk = function() {
    d <- from("nlme", "Milk")
    d[d$Time <= 6, ]
  },
  Soybean = function() from("nlme", "Soybean"),
  Wafer = function() from("nlme", "Wafer"),
  # Whether pupils are in the upper third, as a truth value, a text and a factor.
  hsb_high = function() {
    d <- recipes$hsb()
    d <- d[seq(2, nrow(d), by = 5), ]
    d$high <- d$mathach > 18
    d$group <- ifelse(d$high, "high", "other")
    d$f_high <- factor(d$group, c("other", "high"))
    d$sector <- ifelse(d$schtype == 1, "Catholic", "public")
    d
  },
  # Women in districts, as in the surveys of contraception, with holes.
  districts_holes = function() {
    set.seed(91)
    n <- 700L
    district <- sample(sprintf("d%02d", 1:35), n, TRUE)
    u <- rnorm(35L, sd = 0.7)[match(district, sprintf("d%02d", 1:35))]
    d <- data.frame(district = district, age = round(rnorm(n, sd = 9), 1), urban = runif(n) < 0.3,
                    children = factor(sample(c("0", "1", "2", "3+"), n, TRUE)))
    eta <- -0.5 + 0.8 * d$urban - (d$age / 12)^2 + 0.4 * (d$children != "0") + u
    d$uses <- runif(n) < stats::plogis(eta)
    d$keep <- d$age > -15
    for (name in c("age", "urban", "children")) d[[name]][sample(n, 20L)] <- NA
    d
  },
  # Counts in plots within sites, which vary more than Poisson's; the area is an exposure.
  plots = function() {
    set.seed(92)
    d <- expand.grid(visit = 1:5, plot = letters[1:4], site = 101:115, KEEP.OUT.ATTRS = FALSE)
    n <- nrow(d)
    d$plot <- as.character(d$plot)
    d$cover <- round(runif(n), 2)
    d$soil <- factor(sample(c("sand", "clay", "peat"), 15L, TRUE), c("peat", "sand", "clay"))[d$site - 100L]
    d$burnt <- runif(n) < 0.4
    d$area <- sample(c(1, 2, 5), n, TRUE)
    d$log_area <- log(d$area)
    mean <- d$area * exp(0.3 + d$cover - 0.5 * d$burnt + rnorm(15L, sd = 0.5)[d$site - 100L])
    d$seen <- stats::rnbinom(n, size = 1.5, mu = mean)
    d$none <- stats::rpois(n, mean) * (runif(n) < 0.2)
    d$found <- stats::rbinom(n, 12L, stats::plogis(d$cover - 1 + rnorm(15L, sd = 0.6)[d$site - 100L]))
    d$missed <- 12L - d$found
    d$tried <- 12
    d$share <- d$found / 12
    d$row <- factor(seq_len(n))
    d$start <- pmax(d$seen, 0.5)
    d$eta <- log(d$start)
    d
  },
  # Durations of tasks by workers who meet all machines: positive, skewed.
  tasks = function() {
    set.seed(93)
    d <- expand.grid(worker = sprintf("w%02d", 12:1), machine = c("m1", "m2", "m3", "m4", "m5", "m6"),
                     turn = 1:5, KEEP.OUT.ATTRS = FALSE)
    n <- nrow(d)
    d$load <- round(runif(n, 0, 2), 2)
    d$shift <- sample(c("early", "late"), n, TRUE)
    eta <- 1 + 0.4 * d$load + rnorm(12L, sd = 0.3)[d$worker] + rnorm(6L, sd = 0.2)[d$machine]
    d$hours <- stats::rgamma(n, shape = 4, rate = 4 / exp(eta))
    d$speed <- 1 / d$hours
    d$weight <- sample(1:3, n, TRUE)
    d
  },
  # A truth value that a number and a group predict without error, so that estimates have no end.
  separated = function() {
    set.seed(94)
    d <- data.frame(g = rep(letters[1:10], each = 12L), x = rnorm(120L))
    d$y <- as.numeric(d$x > 0)
    d$all <- as.numeric(d$g %in% letters[1:5])
    d$z <- d$x * 1e5 + 1e6
    d$twice <- 2 * d$x
    d$few <- as.numeric(seq_len(120L) %% 40L == 0L)
    d
  },
  # For amelia().
  africa = function() from("Amelia", "africa"),
  freetrade = function() from("Amelia", "freetrade"),
  mixed_holes = function() {
    set.seed(71)
    n <- 150L
    d <- data.frame(
      id = sprintf("r%03d", seq_len(n)), a = rnorm(n), b = rnorm(n, 5), skew = rlnorm(n),
      root = rpois(n, 6) + 0.0, share = runif(n, 0.05, 0.95), likert = sample(1:5, n, TRUE),
      kind = sample(c("u", "v", "w"), n, TRUE),
      size = factor(sample(c("S", "M", "L"), n, TRUE), c("S", "M", "L"), ordered = TRUE),
      yes = runif(n) < 0.5, whole = sample(20:60, n, TRUE)
    )
    d$b <- d$b + d$a
    d$whole <- as.integer(d$whole + round(4 * d$a))
    for (name in names(d)[-1L]) d[[name]][sample(n, 10L)] <- NA
    d
  },
  # Two levels, both with holes: numbers, text, categories and truth values; groups called by text.
  school_holes = function() {
    set.seed(73)
    groups <- 18L
    g <- rep(seq_len(groups), each = 7L)
    n <- length(g)
    u <- rnorm(groups)
    z <- round(rnorm(groups), 2)
    x <- rnorm(n) + u[g] / 2
    w <- rpois(n, 4) + 0L
    d <- data.frame(
      school = sprintf("s%02d", (g * 7L) %% 19L), y = 1 + x + z[g] / 2 + u[g] + rnorm(n), x = x,
      w = w, one = rnorm(n), text = ifelse(x + rnorm(n) > 0, "up", "Down"),
      kind = factor(sample(c("p", "q", "r"), n, TRUE), c("r", "p", "q")),
      yes = runif(n) < 0.5 + x / 9, code = sample(c(0, 1), n, TRUE), z = z[g],
      sector = factor(sample(c("A", "B"), groups, TRUE))[g], size = (u + rnorm(groups))[g],
      passed = x + u[g] + rnorm(n) > 0
    )
    for (name in c("y", "x", "w", "text", "kind", "yes", "code")) d[[name]][sample(n, 11L)] <- NA
    d$z[d$school %in% c("s02", "s07")] <- NA
    d$sector[d$school %in% c("s09", "s14")] <- NA
    d
  },
  numbers_holes = function() {
    set.seed(72)
    d <- data.frame(a = rnorm(120), b = rnorm(120), c = rnorm(120))
    d$d <- d$a + d$b + rnorm(120) / 3
    for (name in names(d)) d[[name]][sample(120, 12L)] <- NA
    d
  },
  # For imputers of clustered data: pupils in schools, in no order.
  pupils_holes = function() {
    set.seed(81)
    schools <- 24L
    n <- 6L * schools
    school <- sample(rep(seq_len(schools), each = 6L))
    d <- data.frame(
      school = sprintf("s%02d", school), x = rnorm(n), z = rnorm(n),
      half = ifelse(school %% 2L == 0L, "even", "odd"),
      form = factor(sample(c("u", "v", "w"), n, TRUE), c("w", "u", "v"))
    )
    d$code <- school * 3L
    d$y1 <- d$x + rnorm(schools)[school] + rnorm(n)
    d$y2 <- d$y1 / 2 + d$z + rnorm(n)
    d$kind <- factor(sample(c("p", "q", "r"), n, TRUE), c("r", "p", "q"))
    d$word <- sample(c("low", "mid", "high"), n, TRUE)
    d$yes <- d$y1 + rnorm(n) > 0
    d$whole <- as.integer(round(5 + d$y1))
    d$size <- (rnorm(schools) + 3)[school]
    d$budget <- (d$size + rnorm(schools)[school])
    d$sector <- factor(rep_len(c("b", "a"), schools), c("b", "a"))[school]
    for (name in c("y1", "y2", "kind", "word", "yes", "whole")) d[[name]][sample(n, 14L)] <- NA
    d$budget[school %in% c(2L, 9L, 17L)] <- NA
    d$sector[school %in% c(3L, 9L, 20L)] <- NA
    d
  }
)
