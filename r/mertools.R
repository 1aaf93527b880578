# Texts in the order of this R's locale, in which dplyr 1.0 sorts the groups of merTools' tables.
# The fit isn't looked at: functions that a fit is asked through take it first.
sorted_texts <- function(fit, texts) sort(texts)
