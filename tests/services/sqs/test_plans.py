"""No statement on messages sorts or scans: what a queue costs does not grow with what waits in it."""

from __future__ import annotations

from lakebed.services.sqs import service
from tests.harness import ROOT, SCOPE, Harness


async def test_every_statement_on_messages_walks_an_index(harness: Harness) -> None:
    seen: list[str] = []
    harness.add(service)
    await harness.start()
    connection = harness.kernel.db._connection
    connection.set_trace_callback(seen.append)
    await harness.call("sqs", "CreateQueue", QueueName="q", Attributes={"MessageRetentionPeriod": "60"})
    queues, arn = harness.ports.queues, SCOPE.arn("sqs", "q")
    queues.subscribe(arn, "nobody")
    await queues.send(ROOT, arn, ["a", "b", "c"])
    taken = queues.receive(ROOT, arn, 2)
    queues.delete(ROOT, arn, [taken[0].receipt_handle])
    queues.release(arn, [taken[1].receipt_handle])
    await harness.call("sqs", "GetQueueAttributes", QueueUrl="http://h/000000000000/q", AttributeNames=["All"])
    await harness.clock.advance(1000)
    await harness.call("sqs", "PurgeQueue", QueueUrl="http://h/000000000000/q")
    await harness.clock.settle()
    connection.set_trace_callback(None)
    statements = [
        sql.replace("Inf", "9e999") for sql in dict.fromkeys(seen) if "sqs_message" in sql and not sql.startswith("--")
    ]
    assert len(statements) > 10
    for sql in statements:
        for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"):
            assert "TEMP B-TREE" not in row["detail"], sql
            assert "SCAN sqs_message" not in row["detail"], sql
