"""Russian: as in Django, but with a comma before the time and two digits for the hour, as in the other languages.

Dates have no abbreviation of "year" at the end: many dates end a sentence, which would then have two full stops.
"""

TIME_FORMAT = "H:i"
DATE_FORMAT = "j E Y"
DATETIME_FORMAT = "j E Y, H:i"
MONTH_DAY_FORMAT = "j E"
SHORT_DATETIME_FORMAT = "d.m.Y, H:i"
