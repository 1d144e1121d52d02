"""How dates and numbers are written in each language (Django's FORMAT_MODULE_PATH); what is not here, as Django has it.

Templates and code name a format ("DATE_FORMAT"), never spell one: "j F Y" is wrong in two of three languages.
"""
