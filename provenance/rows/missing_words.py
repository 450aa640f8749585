"""Words that mean a missing value, or may mean one: the one list that all others are taken from."""

ONLY_MISSING = frozenset(("\\N", "#N/A", "<NA>"))
"""Of MySQL, Excel and pandas: they mean nothing else in any column."""

_READ = "NA N/A n/a null NULL Null None none nan NaN NIL"
READ_AS_MISSING = ONLY_MISSING | frozenset(_READ.split())
"""What other readers take for a missing value in a column of text, too (ASSAY-I031)."""

_NO_CATEGORY = r"""
N/A n/a N.A. n.a. NaN nan NaT NULL null - -- --- ? ?? . .. #NA #N/A! #NULL! #VALUE! #REF!
#DIV/0! #NAME? #NUM! <null> (null) [null] undefined tbd TBD
"""
NO_CATEGORY = ONLY_MISSING | frozenset(_NO_CATEGORY.split())
"""No legitimate category is called so; one may be called `None`, `unknown` or `NA`."""

_MAYBE = "na NAN NONE nil N.A n.a missing Missing MISSING unknown Unknown UNKNOWN void #"
MAYBE_MISSING = READ_AS_MISSING | NO_CATEGORY | frozenset(_MAYBE.split())
"""What may mean a missing value where numbers or dates are expected."""
