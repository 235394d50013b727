"""What a session cannot be asked."""

from hfengine.errors import ExitCode, HfengineError


class NotReplayable(HfengineError):
    """The journal does not hold what running the session again needs: says what and why."""

    exit_code = ExitCode.USAGE


class NoSession(HfengineError):
    """There is no such session: says where was looked and what there is."""

    exit_code = ExitCode.USAGE
