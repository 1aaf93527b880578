"""What R is started with: its home, its startup files, its locale; by one rule, wherever."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rbridge_mi import rdoor
from rbridge_mi.errors import RNotFoundError
from rbridge_mi.rdoor import startup

pytestmark = [pytest.mark.r, pytest.mark.processes]

BEGIN = """
    import os, warnings
    import numpy as np, pandas as pd
    import rbridge_mi as rb
    from rbridge_mi import cli, rdoor
    from rbridge_mi.doctor import diagnose
    from rbridge_mi.testing import run_r
    warnings.simplefilter("ignore")

    def r(text):
        return rdoor.call("base::eval", rdoor.call_object("base::str2lang", text)).value

    data = pd.DataFrame({"y": np.arange(30.0) % 7, "g": list("abcdef") * 5})
    model = rb.Lmer("y ~ 1 + (1 | g)")
"""


def python(folder: Path, program: str, **environment: str) -> str:
    """What a program prints in a process of its own, which must end well and in silence."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BEGIN) + textwrap.dedent(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=180,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(x for x in sys.path if x),
            **environment,
        },
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
    return done.stdout


# -- R's home --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("/nonexistent", "is no folder"),
        ("/", "has no etc/Renviron"),
        ("half", "has no library/base/R/base"),
        ("older", "an R 3.0.0, but rpy2 is built against R "),
    ],
)
def test_a_home_that_is_none_is_an_error_and_not_the_end(
    home: str, said: str, tmp_path: Path
) -> None:
    """R itself would end this process, here and in the processes that isolation starts."""
    whole = Path(str(rdoor.call("base::R.home").value[0])) / "library"
    for name in ("half", "older"):
        (tmp_path / name / "etc").mkdir(parents=True)
        (tmp_path / name / "etc" / "Renviron").touch()
    library = tmp_path / "older" / "library"
    library.mkdir()
    for package in whole.iterdir():
        if package.name != "base":
            (library / package.name).symlink_to(package)
    (library / "base" / "R").mkdir(parents=True)
    (library / "base" / "R" / "base").touch()
    (library / "base" / "DESCRIPTION").write_text("Package: base\nVersion: 3.0.0\n")
    printed = python(
        tmp_path,
        """
        for ask in (lambda: model.fit(data), lambda: model.fit(data, isolate=True)):
            try:
                ask()
            except rb.RNotFoundError as error:
                print(error)
        print(diagnose().report())
        """,
        R_HOME=home,  # relative ones are taken from the working directory
    )
    assert printed.count(said) == 3
    assert printed.count("nset R_HOME") == 3


def test_an_r_that_does_not_work_is_an_error(tmp_path: Path) -> None:
    false = tmp_path / "R"
    false.write_text("#!/bin/sh\necho not today >&2; exit 3\n")
    false.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    printed = python(tmp_path, "print(diagnose().report())", PATH=path, R_HOME="")
    assert "is no R that works" in printed
    assert "not today" in printed


def test_variables_that_would_make_half_an_r(tmp_path: Path) -> None:
    """An empty R_HOME is as good as none, and the default packages are always there."""
    python(
        tmp_path,
        """
        before = dict(os.environ)
        assert r("stats::sd(c(1, 3)) > 1")[0] and "package:stats" in r("search()")
        assert r("file.exists(file.path(R.home(), 'etc', 'Renviron'))")[0]
        assert r("nzchar(R.home()) && Sys.getenv('R_HOME') == R.home()")[0]
        assert model.fit(data, isolate=True) == model.fit(data)
        assert dict(os.environ) == before
        """,
        R_HOME="",
        R_DEFAULT_PACKAGES="NULL",
        R_TESTS=str(tmp_path / "nothing.R"),
        R_LIBS=str(tmp_path / "nowhere"),
    )


def test_an_r_that_the_user_started_without_packages_is_refused(tmp_path: Path) -> None:
    printed = python(
        tmp_path,
        """
        import rpy2.rinterface
        rpy2.rinterface.initr()
        try:
            model.fit(data)
        except rb.RNotFoundError as error:
            print(error)
        """,
        R_DEFAULT_PACKAGES="utils",
    )
    assert "without its default packages (methods" in printed


def test_a_missing_package_says_where_r_looked(tmp_path: Path) -> None:
    printed = python(
        tmp_path,
        """
        try:
            rdoor.require_package("noSuchPackage", "This")
        except rb.RPackageError as error:
            print(error)
        """,
        R_LIBS=str(tmp_path),
    )
    assert f"R looks for packages in {tmp_path}," in printed


# -- startup files ---------------------------------------------------------------------------

END_R = "cat('x', file = '{mark}', append = TRUE); quit('no')\n"


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A folder and a home whose startup files each leave a mark and end R, or set a variable."""
    for name in ("here", "home"):
        place = tmp_path / name
        place.mkdir()
        (place / ".Rprofile").write_text(END_R.format(mark=place / "ran"))
        (place / ".Renviron").write_text(f"STARTUP_MARK={name}\nR_TESTS={place}/.Rprofile\n")
        (place / ".RData").write_bytes(b"no workspace")
    (tmp_path / "here" / "job.toml").write_text(
        '[data]\npath = "d.csv"\ncolumns = {y = "float", g = "text"}\n'
        '[imputation]\nengine = "none"\n[model]\nformula = "y ~ 1 + (1 | g)"\n'
    )
    return tmp_path


def test_no_startup_file_of_the_user_or_of_the_folder_is_read(places: Path) -> None:
    """Not here, not in an isolated process or a worker, and not by the Rscript of parity."""
    home = places / "home"
    python(
        places / "here",
        """
        data.to_csv("d.csv", index=False)
        assert cli.main(["run", "job.toml", "--check"]) == 0
        one = model.fit(data)
        assert model.fit(data, isolate=True) == one
        twice = model.fit(rb.ImputedData.from_frames([data, data]), n_jobs=2)
        assert twice[0].beta.equals(one.beta)
        assert run_r('x <- Sys.getenv("STARTUP_MARK")')["x"] == ""
        assert r("Sys.getenv('STARTUP_MARK')")[0] == ""
        assert diagnose().r["startup files"] == "the installation's alone"
        """,
        HOME=str(home),
        R_PROFILE=str(home / ".Rprofile"),
        R_ENVIRON=str(home / ".Renviron"),
        R_PROFILE_USER=str(home / ".Rprofile"),
        R_ENVIRON_USER=str(home / ".Renviron"),
    )
    assert not list(places.rglob("ran"))


def test_the_users_packages_are_found_all_the_same(tmp_path: Path) -> None:
    """A folder of packages is no startup file: R_LIBS_USER counts, as for Rscript --vanilla."""
    library = tmp_path / "library"
    library.mkdir()
    code = "cat(.libPaths(), sep = '\\n')"
    printed = python(
        tmp_path, "print(*r('.libPaths()'), sep='\\n')", R_LIBS_USER=str(library)
    ).splitlines()
    plain = subprocess.run(
        ["Rscript", "--no-init-file", "-e", code],
        env={**os.environ, "R_LIBS_USER": str(library), "R_ENVIRON_USER": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed == plain.stdout.splitlines()
    assert printed[0] == str(library)


def test_the_users_startup_files_are_read_where_that_is_asked_for(places: Path) -> None:
    (places / "here" / ".Rprofile").write_text(
        "options(startup.mark = Sys.getenv('STARTUP_MARK'))\n"
    )
    (places / "here" / ".Renviron").write_text("STARTUP_MARK=here\n")
    python(
        places / "here",
        """
        assert r("getOption('startup.mark')")[0] == "here"
        assert "STARTUP_MARK" not in os.environ
        assert run_r("x <- getOption('startup.mark')")["x"] == "here"
        assert "and the user's" in diagnose().r["startup files"]
        """,
        HOME=str(places / "home"),
        RBRIDGE_R_STARTUP="user",
    )


def test_startup_files_that_end_r_are_an_error(places: Path) -> None:
    program = """
        for ask in (lambda: r("1"), lambda: run_r("1")):
            try:
                ask()
            except rb.RBridgeError as error:
                print(error)
    """
    home = str(places / "home")
    printed = python(places / "here", program, HOME=home, RBRIDGE_R_STARTUP="user")
    assert "R does not start with the user's startup files" in printed
    assert "unset RBRIDGE_R_STARTUP" in printed
    printed = python(places / "here", program, HOME=home, RBRIDGE_R_STARTUP="yes")
    assert printed.count("RBRIDGE_R_STARTUP is 'yes': set it to 'user'") == 2


# -- the locale ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "xx_YY.UTF-8"},
        {"LC_ALL": "", "LC_CTYPE": "POSIX", "LANG": "C", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["C", "one that is not installed", "LC_CTYPE alone"],
)
def test_text_is_utf_8_in_every_locale(environment: dict[str, str], tmp_path: Path) -> None:
    python(
        tmp_path,
        """
        import locale
        before = dict(os.environ)
        data = pd.DataFrame({
            "größe": np.arange(30.0) % 7, "f": ["äpfel", "øl", "字"] * 10, "g": list("abcdef") * 5,
        })
        model = rb.Lmer("größe ~ f + (1 | g)")
        fit = model.fit(data)
        assert fit.fixef()["term"].tolist() == ["(Intercept)", "føl", "f字"]
        assert model.fit(data, isolate=True) == fit
        assert list(run_r("x <- levels(factor(d$f))", d=data)["x"]) == ["äpfel", "øl", "字"]
        assert r("Sys.getlocale('LC_COLLATE')")[0] == "C"
        assert locale.localeconv()["decimal_point"] == "."
        assert dict(os.environ) == before
        """,
        **environment,
    )


def test_an_r_that_the_user_started_in_the_c_locale_gets_utf_8(tmp_path: Path) -> None:
    python(
        tmp_path,
        """
        import rpy2.rinterface
        rpy2.rinterface.initr()
        fit = rb.Lmer("größe ~ 1 + (1 | g)").fit(data.rename(columns={"y": "größe"}))
        assert fit.formula.startswith("größe")
        """,
        LC_ALL="C",
    )


def test_the_locale_is_left_alone_where_it_will_do() -> None:
    given = {"LANG": "C.UTF-8", "HOME": "/x"}
    found = startup.start_environment(given)
    assert {k: v for k, v in found.items() if k.startswith("L")} == {"LANG": "C.UTF-8"}


def test_a_locale_of_another_codeset_keeps_its_other_categories() -> None:
    found = startup.start_environment({"LC_ALL": "POSIX", "LANG": "C.UTF-8"})
    assert "LC_ALL" not in found
    assert found["LC_CTYPE"] == "C.UTF-8"
    assert found["LC_COLLATE"] == found["LC_TIME"] == "POSIX"


def test_without_any_utf_8_locale_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "codeset", lambda name: "ANSI_X3.4-1968")
    with pytest.raises(RNotFoundError, match=r"no UTF-8 locale.*locales-all"):
        startup.start_environment({})


def test_names_of_locales_are_asked_of_the_system() -> None:
    assert startup.codeset("C.UTF-8") == "UTF-8"
    assert startup.codeset("C") not in (None, "UTF-8")
    assert startup.codeset("xx_YY.UTF-8") is None
