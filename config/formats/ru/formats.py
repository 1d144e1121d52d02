"""As Django has it, with the hour in two digits and after a comma, as in the other languages.

Dates stand without the abbreviation of "year": many end a sentence, where its full stop would come twice.
"""

TIME_FORMAT = "H:i"
DATE_FORMAT = "j E Y"
DATETIME_FORMAT = "j E Y, H:i"
MONTH_DAY_FORMAT = "j E"
SHORT_DATETIME_FORMAT = "d.m.Y, H:i"
