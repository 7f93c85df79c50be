"""Exceptions."""


class Error(Exception):
  pass


class Setup:

  class MissingExecutableError(Error):
    pass

  class InvalidFlagConfigurationError(Error):
    pass


class VirtualMachine:

  class RemoteCommandError(Error):
    pass


class VmUtil:

  class ThreadException(Error):
    pass


class Benchmarks:

  class PrepareException(Error):
    pass

  class RunError(Error):
    pass

  class UnsupportedConfigError(Error):
    pass


class Resource:

  class CleanupError(Error):
    pass
