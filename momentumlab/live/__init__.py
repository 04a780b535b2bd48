"""The live laboratory: a local server with which a page in the browser runs the engine.

===============  =======================================================================
module           content
===============  =======================================================================
`laboratory`     answers to requests: settings in, trajectories and maps out; no network
`server`         HTTP on 127.0.0.1: tokens, limits, connections
===============  =======================================================================
"""

from momentumlab.live.server import LiveServer

__all__ = ["LiveServer"]
