"""Data sets in files of other programs: Stata's, SPSS's and R's, CSV, Parquet and Feather.

Here files become frames and frames files; `ImputedData` is made of them one folder above. No file
runs anything while it is read, but for R objects that R reads itself, on request (``trusted``).

``files``          paths, formats, unpacking within bounds, writing as a whole or not at all
``data_sets``      what a reader gives: data sets side by side, or under each other
``tables``         CSV, Parquet and Feather
``labelled``       columns of Stata and SPSS: numbers with labels, formats and missing values
``stata``          Stata's layouts of multiple imputations
``spss``           SPSS's
``r_parser``       rdata's parser, with the kinds of objects that it lacks
``r_tree``         R's serialization as a tree of plain values, by the package rdata
``r_columns``      R's vectors and data frames as pandas'
``r_imputations``  the objects of mice, Amelia and mitml
``trusted``        R objects that R reads
``r_written``      R objects that R writes
"""
