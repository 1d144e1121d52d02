"""The error that services raise when somebody may not do something."""


class NotAllowed(Exception):
    """The person may not do this. The message is for the log. Pages and the API answer 403 with their own text.

    Python's PermissionError is not used, because the operating system raises it for files.
    """
