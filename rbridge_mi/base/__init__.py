"""What every other folder may use: checks of arguments, the glossary of tables, reports as text."""
