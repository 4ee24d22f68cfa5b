"""No statement on events sorts or scans: reading a page costs the same in a full group as in an empty one."""

from __future__ import annotations

from lakebed.services.logs import service
from tests.harness import SCOPE, Harness


async def test_every_statement_on_events_walks_an_index(harness: Harness) -> None:
    seen: list[str] = []
    harness.add(service)
    await harness.start()
    connection = harness.kernel.db._connection
    connection.set_trace_callback(seen.append)
    harness.ports.logs.write(SCOPE, "g", "s", [(harness.clock.now(), "x")])
    await harness.call("logs", "PutRetentionPolicy", logGroupName="g", retentionInDays=1)
    for head in (True, False):
        await harness.call("logs", "GetLogEvents", logGroupName="g", logStreamName="s", startFromHead=head)
        await harness.call("logs", "FilterLogEvents", logGroupName="g", startFromHead=head)
    await harness.clock.advance(2 * 86_400)
    for order in ("LogStreamName", "LastEventTime"):
        for down in (True, False):
            await harness.call("logs", "DescribeLogStreams", logGroupName="g", orderBy=order, descending=down)
    await harness.call("logs", "DeleteLogGroup", logGroupName="g")
    await harness.clock.settle()
    connection.set_trace_callback(None)
    statements = [sql for sql in dict.fromkeys(seen) if "log_event" in sql or "log_stream" in sql]
    statements = [sql for sql in statements if not sql.startswith("--")]
    assert len(statements) > 8
    for sql in statements:
        for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"):
            assert "TEMP B-TREE" not in row["detail"], sql
            assert "SCAN log_" not in row["detail"], sql
