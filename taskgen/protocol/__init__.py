"""The Taskloader protocol without I/O, for both of its roles.

``messages`` ← ``codec`` ← ``connection``; ``xml`` stands beside them and looks into frames.
"""

from taskgen.protocol.connection import TRANSITIONS, ClientConnection, ServerConnection, State
from taskgen.protocol.messages import (
    DEFAULT_PORT,
    MAX_FRAME_BYTES,
    MAX_NAME_BYTES,
    Available,
    Binary,
    Clear,
    ConnectionClosed,
    Frame,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescs,
    Start,
    Stop,
    Unknown,
    Word,
)
from taskgen.protocol.xml import (
    FrameContent,
    dict_to_xml,
    events_to_xml,
    parse_events,
    read_frame,
)

__all__ = [
    "DEFAULT_PORT",
    "MAX_FRAME_BYTES",
    "MAX_NAME_BYTES",
    "TRANSITIONS",
    "Available",
    "Binary",
    "Clear",
    "ClientConnection",
    "ConnectionClosed",
    "Frame",
    "FrameContent",
    "GetLive",
    "GetProfile",
    "GoSend",
    "Message",
    "Optimize",
    "Reboot",
    "SendBinaries",
    "SendDescs",
    "ServerConnection",
    "Start",
    "State",
    "Stop",
    "Unknown",
    "Word",
    "dict_to_xml",
    "events_to_xml",
    "parse_events",
    "read_frame",
]
