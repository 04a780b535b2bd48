"""The interactive page of an experiment."""

from momentumlab.report.page.document import Page, PageTooLargeError, page

__all__ = ["Page", "PageTooLargeError", "page"]
