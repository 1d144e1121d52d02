"""How dates and numbers are written in each language (Django's FORMAT_MODULE_PATH). The rest is as in Django.

Templates and code name a format ("DATE_FORMAT") and never write one: "j F Y" is wrong in two of three languages.
"""
