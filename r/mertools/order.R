# Sorts texts by this R's locale, as dplyr 1.0 sorts the groups of merTools' tables. `fit` is unused:
# it is the first argument of every function that Python calls through a fit.
sorted_texts <- function(fit, texts) sort(texts)
