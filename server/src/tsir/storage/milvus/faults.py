"""What an error of Milvus means: wait and try again, or give up."""

from __future__ import annotations

import re

from tsir.errors import StoreRefused, StoreUnavailable, TsirError

TRANSIENT_CODES = frozenset(
    {
        2,  # service unavailable; also pymilvus' own code where nobody listens
        3,  # out of memory
        4,  # too many requests
        7,  # disk limit
        8,  # rate limit
        9,  # quota exceeded, writing is denied
        11,  # the clocks of its parts lag
        12,  # resources insufficient
        103,  # collection not fully loaded
        106,  # collection is recovering
        201,  # partition not loaded
        202,  # partition not fully loaded
        *(400, 401),  # replica not found, not available
        *(500, 501, 503),  # channel not found, lacking, not available
        *(600, 601, 602),  # segment not found, not loaded, lacking
        700,  # no index: one process is building it (`VectorStore.set_index`) while another asks
        *(901, 902, 903, 904),  # node not found, offline, lacking, another one
        *(1001, 1002),  # its storage does not read or write
        1302,  # its message queue
        *(10_000, 10_001),  # cancelled, timed out
    }
)
"""Of Milvus 2.3 and later. Code 1 is "not ready" of a server, and anything unexpected in Milvus Lite and in pymilvus itself; code 65535 is
anything unexpected in a server: of those the text must tell."""

TRANSIENT_TEXTS = re.compile(
    # A server that starts, stops, or has lost one of its parts.
    "not ready|abnormal|not healthy|unhealthy|service unavailable|server unavailable|empty grpc client|find no available"
    "|nodes? not enough|node offline|node not match|no available node|channel not available|channel lacks|segment lacks|no shard leader"
    "|shard delegator not found|not fully loaded|collection is loaded|recovering|server is (closed|stopp)|node is (down|stopp)"
    # Connections: of ours, and of its parts to each other.
    "|connection (refused|reset|error|closed)|broken pipe|socket closed|stream removed|rst_stream|goaway|transport is closing"
    "|failed to connect|channel (is )?closed|closed channel|create connection first|open local milvus failed"
    "|deadline exceeded|context cancell?ed|timed out|lag too large|etcdserver"
    # Overload, and a full disk.
    "|rate limit|quota|memory limit|too many requests|too many open files|no space left|disk (is )?full|cannot allocate memory",
    re.IGNORECASE,
)

REFUSED_CODES = frozenset({6, 11, 35, 100, 200})
"""Of Milvus Lite: a wrong argument, and what is not there, or there already."""

TRANSIENT_STATES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED")
"""Of gRPC. RESOURCE_EXHAUSTED may also be a message that is too large, INTERNAL and UNKNOWN a broken stream: their text must tell."""


def transient(error: Exception) -> bool:
    """Whether the same call may succeed later, as far as is known."""
    from grpc import RpcError, StatusCode  # type: ignore[import-untyped]
    from pymilvus import exceptions

    code = getattr(error, "code", None)
    if isinstance(error, RpcError):
        code = code() if callable(code) else None
    if isinstance(code, StatusCode):
        return code.name in TRANSIENT_STATES or bool(TRANSIENT_TEXTS.search(text_of(error)))
    if isinstance(error, (exceptions.DataNotMatchException, exceptions.ParamError)):  # pymilvus did not even ask
        return False
    if isinstance(error, (exceptions.MilvusUnavailableException, exceptions.ConnectError, exceptions.ConnectionNotExistException)):
        return True
    if isinstance(error, (ConnectionError, TimeoutError)) or getattr(error, "retriable", False):
        return True
    return code in TRANSIENT_CODES or bool(TRANSIENT_TEXTS.search(text_of(error)))


def unasked(error: BaseException | None) -> bool:
    """Whether something was refused for what it is, before anything was written."""
    from pymilvus import exceptions

    if isinstance(error, (exceptions.DataNotMatchException, exceptions.ParamError)):
        return True
    return getattr(error, "code", None) in REFUSED_CODES


def text_of(error: Exception) -> str:
    """What the error says, without the frame that its class puts around it."""
    from grpc import RpcError

    details = getattr(error, "details", None)
    if isinstance(error, RpcError) and callable(details):
        return str(details() or error)
    return str(getattr(error, "message", "") or error)


def fault(error: Exception, where: str) -> TsirError:
    """StoreUnavailable for what may pass, StoreRefused for anything else. `where` names the Milvus: "Milvus Lite"."""
    reason = text_of(error).strip().split("\n")[0][:300] or type(error).__name__
    if transient(error):
        return StoreUnavailable(f"{where} does not answer as it should: {reason}")
    return StoreRefused(f"{where} refuses, and would again: {reason}")
