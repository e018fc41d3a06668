"""The errors a person is meant to read: one clear line each, shown by the command line without a traceback."""


class ShopgraphError(Exception):
    """Something the caller can mend; the message says what happened, where, and what to do."""


class ConfigurationError(ShopgraphError):
    """A setting is missing, malformed or names something that is not there."""


class ServiceError(ShopgraphError):
    """A local or remote server could not be started, reached or used."""


class OverdueError(ServiceError):
    """A server that answers, and took longer over this than is waited for."""


class InputError(ShopgraphError):
    """A file or request that cannot be used at all; single bad rows are rejects, not errors."""


class QueryError(ShopgraphError):
    """A named query file breaks the rules of its header, or is called against its declared mode."""


class PublishError(ShopgraphError):
    """A release that failed its checks; what served before still serves."""


class BusyError(ShopgraphError):
    """Another run holds the lock this one needs."""


class ResourceError(ShopgraphError):
    """The machine has too little of something (memory) for what was asked of it."""
