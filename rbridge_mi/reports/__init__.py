"""What a paper prints.

===============  ==================================================================
`table`          `table`, models side by side, and its arguments
`table_numbers`  their numbers, matched by name, and the order of the rows
`table_texts`    the texts of these: cells, labels, notes
`numbers`        how one number is written
`layout`         a table of texts in plain text, Markdown, HTML and LaTeX
`for_maketables` models as maketables reads them
===============  ==================================================================
"""
