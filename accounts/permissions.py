"""What a service raises when somebody may not do something."""


class NotAllowed(Exception):
    """The person may not do this. The message is for the log; pages and the API answer 403 in words of their own.

    Not Python's PermissionError: that is what the operating system says of files.
    """
