"""The interactive page of an experiment."""

from momentumlab.report.page.document import PageTooLargeError, page

__all__ = ["PageTooLargeError", "page"]
