"""Own how often one client may do what costs something; the rates are in settings (RELIABILITY R25, R29)."""

from rest_framework.throttling import AnonRateThrottle, UserRateThrottle


class UploadThrottle(UserRateThrottle):
    """Every upload costs a decode in a cage and a prediction."""

    scope = "upload"


class SignInThrottle(AnonRateThrottle):
    """Requests for a token, right or wrong; wrong passwords are counted by allauth as well."""

    scope = "anon"
