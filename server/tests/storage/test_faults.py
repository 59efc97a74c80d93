"""Errors of Milvus and pymilvus: which of them pass by themselves.

Most were recorded from Milvus Lite 3.2.2 and Milvus 2.3.5 while they were used wrongly, killed, stopped, frozen, started again, and had a
full disk; quotas and keys, which a test's server does not have, are as Milvus documents them.
"""

from __future__ import annotations

import pytest
from pymilvus.exceptions import DataNotMatchException, DescribeCollectionException, MilvusException

from tsir.errors import StoreRefused, StoreUnavailable
from tsir.storage.milvus.faults import fault, transient


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1, "service not ready[standalone=1]: Abnormal"),
        (1, "[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        (1, "Unexpected error, message=<Cannot invoke RPC: Channel closed!>"),
        (1, "should create connection first."),
        (2, "Fail connecting to server on 127.0.0.1:19530, illegal connection params or server unavailable"),
        (9, "quota exceeded[reason=disk quota exceeded]"),
        (503, "failed to query: channel lacks[channel=channel not subscribed]: channel not available[channel=by-dev-rootcoord-dml_0v0]"),
        (700, "index not found[collection=a]"),
        (65535, "nodes not enough"),
        (65535, "empty grpc client: find no available rootcoord, check rootcoord state"),
        (65535, 'empty grpc client: failed to connect 127.0.0.1:1, reason: connection error: desc = "transport: error while dialing"'),
        (65535, "index cannot be dropped, collection is loaded, please release it first"),
    ],
)
def test_what_passes_by_itself_is_waited_for(code: int, said: str) -> None:
    assert transient(MilvusException(code, said))
    error = fault(MilvusException(code, said), "Milvus")
    assert isinstance(error, StoreUnavailable)
    assert error.retry_after


@pytest.mark.parametrize(
    "error",
    [
        MilvusException(1, "unknown index_type: 'NOPE'"),
        MilvusException(6, "vector field 'vector' expected dim 4, got 5"),
        MilvusException(6, "VARCHAR field 'format' value length 200 exceeds max_length=8"),
        MilvusException(65535, "the length(5) of float data should divide the dim(4)"),
        MilvusException(65535, "value 'NaN' is not a number or infinity"),
        MilvusException(65535, "failed to create query plan: cannot parse expression: nofield == 3, error: field nofield not exist"),
        MilvusException(
            65535,
            "failed to search/query delegator 1 for channel by-dev-rootcoord-dml_0_4707v0: fail to Search, QueryNode ID=1, "
            'reason=worker(1) query failed: Assert "field_meta.get_sizeof() == element.line_sizeof_" at /core/src/query/Plan.cpp:48',
        ),
        MilvusException(1100, "Invalid collection name: a b c. collection name can only contain numbers, letters and underscores"),
        MilvusException(1400, "auth check failure, please check api key is correct"),
        DataNotMatchException(message="Insert missed an field `width` to collection without set nullable==true or set default_value"),
        DataNotMatchException(message="Attempt to insert an unexpected field `zzz` to collection without enabling dynamic field"),
        DescribeCollectionException(65535, "something that nobody has seen before"),
        ValueError("something that nobody has seen before"),
    ],
)
def test_what_would_fail_again_is_refused_with_its_sentence(error: Exception) -> None:
    assert not transient(error)
    found = fault(error, "Milvus at http://here")
    assert isinstance(found, StoreRefused)
    assert str(found).startswith("Milvus at http://here refuses, and would again: ")
    assert found.retry_after is None


def test_only_the_first_line_is_told() -> None:
    said = "unknown field 'nofield' at column 1\n  nofield == 3\n  ^^^^^^^"
    assert str(fault(MilvusException(6, said), "Milvus")).endswith(": unknown field 'nofield' at column 1")
