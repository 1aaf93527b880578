# merTools' `hsb` frame, computed from two data sets of nlme.
load_hsb <- function() {
  pupils <- as.data.frame(nlme::MathAchieve)
  schools <- as.data.frame(nlme::MathAchSchool)
  school <- match(as.character(pupils$School), as.character(schools$School))
  data.frame(
    schid = as.character(pupils$School),
    minority = as.numeric(pupils$Minority == "Yes"),
    female = as.numeric(pupils$Sex == "Female"),
    ses = as.numeric(pupils$SES),
    mathach = as.numeric(pupils$MathAch),
    size = as.numeric(schools$Size[school]),
    schtype = as.numeric(schools$Sector[school] == "Catholic"),
    meanses = as.numeric(pupils$MEANSES),
    stringsAsFactors = FALSE
  )
}
