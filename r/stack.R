# The versions of this R and of its parts.

# The R installation: versions, linear algebra, locale, and the packages asked for ("" if absent).
describe_stack <- function(packages) {
  list(
    r = as.character(getRversion()),
    platform = R.version$platform,
    home = R.home(),
    library = .libPaths(),
    blas = unname(extSoftVersion()[["BLAS"]]),
    lapack = La_library(),
    lapack_version = La_version(),
    collate = Sys.getlocale("LC_COLLATE"),
    ctype = Sys.getlocale("LC_CTYPE"),
    packages = packages,
    versions = vapply(packages, function(name) {
      if (nzchar(system.file(package = name))) utils::packageDescription(name)$Version else ""
    }, "")
  )
}

# The file of a package's compiled code; "" if there is none, or R has it loaded already.
unloaded_library <- function(package) {
  if (isNamespaceLoaded(package)) "" else
    system.file("libs", paste0(package, .Platform$dynlib.ext), package = package)
}
