"""The one exception that speaks to a person."""


class UserError(Exception):
    """Something the user can mend; the message says what, where and how.

    Command lines print it without a traceback and exit with status 1.
    """
