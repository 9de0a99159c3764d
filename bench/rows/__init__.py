"""The rows of bench/table.py: a module each, whose `measure` returns the lines that the table prints."""
