"""What pages do: each action through its form, over a real house, and what came of it."""

from __future__ import annotations

import gzip
import html
import json
import re
from collections.abc import Iterator

import pytest

from lakebed.cli.pytest_plugin import RunningLakebed
from lakebed.console.app import _ACTIONS
from tests.console.furnished import BUCKET, FUNCTION, Browser, run, wait_for


@pytest.fixture
def token(browser: Browser) -> str:
    return re.findall(r'name="lb-token" content="(\w+)"', browser.get("/console/sqs")[1])[0]


def post(browser: Browser, action: str, token: str, **form: str) -> tuple[int, str, str]:
    """Status, text and address of where the form led."""
    assert action in _ACTIONS
    own = {"Origin": browser.base, "Sec-Fetch-Site": "same-origin"}
    status, text, answer = browser.post(f"/console/{action}", form | {"token": token}, own)
    return status, text, answer.url


@pytest.mark.parametrize("action", sorted(_ACTIONS))
def test_nothing_is_done_without_the_pages_token(browser: Browser, action: str) -> None:
    assert post(browser, action, "")[0] == 403
    assert post(browser, action, "guess")[0] == 403


@pytest.mark.parametrize("action", sorted(_ACTIONS))
def test_an_empty_form_is_answered_with_a_page(browser: Browser, token: str, action: str) -> None:
    status, text, _ = post(browser, action, token)
    assert 400 <= status < 500
    assert 'role="alert"' in text


def test_a_message_is_sent(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    sqs = furnished.client("sqs")
    url = sqs.create_queue(QueueName="sent-to")["QueueUrl"]
    status, text, where = post(browser, "sqs/send", token, url=url, body="<b>hello</b>", delay="0")
    assert (status, "sent=" in where) == (200, True)
    message = sqs.receive_message(QueueUrl=url)["Messages"][0]
    assert message["Body"] == "<b>hello</b>"
    assert message["MessageId"] in text
    assert "Send dead letters back" not in text


@pytest.fixture
def dead(furnished: RunningLakebed) -> Iterator[tuple[str, str]]:
    """A queue's address and its dead letters', with one message that failed."""
    sqs = furnished.client("sqs")
    letters = sqs.create_queue(QueueName="letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=letters, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    source = sqs.create_queue(QueueName="source", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})[
        "QueueUrl"
    ]
    sqs.send_message(QueueUrl=source, MessageBody="failed")
    for _ in range(2):
        sqs.receive_message(QueueUrl=source)
    yield source, letters
    for url in (source, letters):
        sqs.delete_queue(QueueUrl=url)


def test_dead_letters_go_back(furnished: RunningLakebed, browser: Browser, token: str, dead: tuple[str, str]) -> None:
    source, letters = dead
    page = browser.get(f"/console/sqs/queue?url={letters}")[1]
    assert "Send dead letters back" in page
    arn = html.unescape(re.findall(r'name="arn" value="([^"]+)"', page)[0])
    assert post(browser, "sqs/redrive", token, url=letters, arn=arn)[0] == 200
    furnished.settle()
    assert furnished.client("sqs").receive_message(QueueUrl=source)["Messages"][0]["Body"] == "failed"


def test_a_function_is_tried(browser: Browser, token: str) -> None:
    status, text, _ = post(browser, "lambda/test", token, function=FUNCTION, event='{"a": 1}')
    assert status == 200
    assert re.search(r"<pre[^>]*>1</pre>", text)
    assert "REPORT RequestId" in text
    assert "On AWS this would cost" in text
    assert "{&#34;a&#34;: 1}" in text  # the event stays in the field


def test_a_topic_takes_what_is_published(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    sns, sqs = furnished.client("sns"), furnished.client("sqs")
    topic, url = sns.create_topic(Name="told")["TopicArn"], sqs.create_queue(QueueName="hears")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allowed]})})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    status, text, _ = post(browser, "sns/publish", token, topic=topic, message="news", subject="s")
    assert status == 200
    assert arn in text
    furnished.settle()
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "news"


def test_metrics_are_drawn(furnished: RunningLakebed, browser: Browser) -> None:
    cloudwatch = furnished.client("cloudwatch")
    cloudwatch.put_metric_data(
        Namespace="App",
        MetricData=[{"MetricName": "Orders", "Value": 3, "Dimensions": [{"Name": "Shop", "Value": "<i>"}]}],
    )
    assert "namespace=App" in browser.get("/console/metrics")[1]
    page = browser.get("/console/metrics?namespace=App")[1]
    link = html.unescape(re.findall(r'<a href="([^"]+)">Draw</a>', page)[0])
    drawn = browser.get(link)[1]
    option = json.loads(re.findall(r'<lb-chart[^>]*><script type="application/json">(.*?)</script>', drawn)[0])
    assert option["series"][0]["name"] == "Orders <i>"
    assert [point[1] for point in option["series"][0]["data"]] == [3.0]
    assert "Take away" in drawn
    for broken in ("[1]", "[[]]", "{", '["x"]', '["[\\"a\\",1]"]', "null"):
        assert browser.get(f"/console/metrics?namespace=App&draw={broken}")[0] == 200


def test_alarms_tell_why(furnished: RunningLakebed, browser: Browser) -> None:
    cloudwatch = furnished.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="<b>late</b>", Namespace="App", MetricName="Orders", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="<b>late</b>", StateValue="ALARM", StateReason="tried")
    listing = browser.get("/console/alarms")[1]
    assert "Sum(Orders) &gt; 1, 1 of 1 × 60 s" in listing
    page = browser.get("/console/alarms/alarm?alarm=%3Cb%3Elate%3C/b%3E")[1]
    assert "tried" in page
    assert "Alarm updated from INSUFFICIENT_DATA to ALARM" in page.replace("&#34;", '"')
    assert browser.get("/console/alarms/alarm?alarm=nope")[0] == 200


def athena_form(**more: str) -> dict[str, str]:
    return {"sql": "SELECT 1 AS one; ", "output": f"s3://{BUCKET}/results/", "database": "lake"} | more


def test_a_query_is_saved_found_and_deleted(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    status, text, where = post(browser, "athena/save", token, **athena_form(name="kept <i>"))
    assert status == 200
    assert "SELECT 1 AS one" in text
    saved = re.findall(r"saved=([\w-]+)", where)[0]
    assert furnished.client("athena").get_named_query(NamedQueryId=saved)["NamedQuery"]["Name"] == "kept <i>"
    assert saved not in post(browser, "athena/forget", token, saved=saved)[1]


def test_only_what_is_selected_runs_and_parameters_go_with_it(
    furnished: RunningLakebed, browser: Browser, token: str
) -> None:
    form = athena_form(sql="SELECT nonsense; SELECT ? AS two", selection="SELECT ? AS two", parameters="'a'\n")
    _, _, where = post(browser, "athena/run", token, **form)
    query = re.findall(r"query=([\w-]+)", where)[0]
    assert wait_for(furnished, query) == "SUCCEEDED"
    rows = furnished.client("athena").get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    assert [row["Data"][0]["VarCharValue"] for row in rows] == ["two", "a"]


def test_a_query_becomes_a_view(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    _, _, where = post(browser, "athena/view", token, **athena_form(name="lake.one_row"))
    assert wait_for(furnished, re.findall(r"query=([\w-]+)", where)[0]) == "SUCCEEDED"
    assert (
        furnished.client("glue").get_table(DatabaseName="lake", Name="one_row")["Table"]["TableType"] == "VIRTUAL_VIEW"
    )


def test_a_message_is_published_and_retained(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    form = {"topic": "towers/<i>", "payload": "7", "qos": "1", "retain": "yes"}
    status, text, _ = post(browser, "iot/publish", token, **form)
    assert status == 200
    assert "towers/&lt;i&gt;" in text.partition("Retained")[2]
    assert furnished.client("iot-data").get_retained_message(topic="towers/<i>")["payload"] == b"7"


def test_a_pattern_is_tried(browser: Browser, token: str) -> None:
    pattern = '{"source": ["a"], "detail": {"n": [{"numeric": [">", 1]}]}}'
    for event, verdict in (
        ('{"source": "a", "detail": {"n": 2}}', "It matches."),
        ('{"source": "b"}', "It does not match."),
    ):
        status, text, _ = post(browser, "events/try", token, pattern=pattern, event=event)
        assert (status, verdict in text) == (200, True)
    assert post(browser, "events/try", token, pattern="{", event="{}")[0] == 400


def test_an_event_is_sent(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    sqs, events = furnished.client("sqs"), furnished.client("events")
    url = sqs.create_queue(QueueName="told-of")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allowed]})})
    events.put_rule(Name="sent", EventPattern='{"source": ["mine"]}')
    events.put_targets(Rule="sent", Targets=[{"Id": "1", "Arn": arn}])
    form = {"source": "mine", "kind": "k", "detail": '{"a": 1}', "bus": "default"}
    assert post(browser, "events/send", token, **form)[0] == 200
    furnished.settle()
    body = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    assert (body["detail-type"], body["detail"]) == ("k", {"a": 1})
    assert post(browser, "events/send", token, **(form | {"detail": "no"}))[0] == 400


def test_messages_are_looked_at_and_left(furnished: RunningLakebed, browser: Browser) -> None:
    sqs = furnished.client("sqs")
    url = sqs.create_queue(QueueName="peeked")["QueueUrl"]
    kind = {"kind": {"DataType": "String", "StringValue": "<i>order</i>"}}
    sqs.send_message(QueueUrl=url, MessageBody='{"text": "<b>first</b>"}', MessageAttributes=kind)
    sqs.send_message(QueueUrl=url, MessageBody="second", DelaySeconds=60)
    for _ in range(2):
        page = browser.get(f"/console/sqs/queue?url={url}")[1]
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    assert "&lt;i&gt;order&lt;/i&gt; (String)" in page
    assert "delayed" in page
    taken = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert [(one["Body"], one["Attributes"]["ApproximateReceiveCount"]) for one in taken] == [
        ('{"text": "<b>first</b>"}', "1")
    ]
    assert "in flight" in browser.get(f"/console/sqs/queue?url={url}")[1]


def test_a_rule_is_tried(browser: Browser, token: str) -> None:
    form = {"sql": "SELECT a + 1 AS b FROM 'x/+' WHERE a > 1", "topic": "x/y", "payload": '{"a": 2}'}
    for changed, told in (
        ({}, "&#34;b&#34;: 3"),
        ({"payload": '{"a": 1}'}, "WHERE does not hold"),
        ({"topic": "z"}, "not one that FROM names"),
        ({"sql": "SELECT FROM"}, "SqlParseException"),
        ({"sql": "SELECT aws_lambda('arn:aws:lambda:us-east-1:000000000000:function:worker', *) AS b FROM 'x/+'"},
         "A trial calls no function"),
    ):  # fmt: skip
        status, text, _ = post(browser, "iot/try", token, **(form | changed))
        assert (status, told in text) == (200, True), (changed, text)


def test_an_object_goes_up_and_away(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    page = browser.get(f"/console/s3/upload?bucket={BUCKET}&prefix=up/")[1]
    fields = {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
    }
    assert fields["success_action_redirect"] == f"{browser.base}/console/s3/object"
    status, text = upload(browser, fields | {"key": "up/${filename}", "Content-Type": "text/csv"})
    assert (status, "s3://landing/up/&lt;i&gt;.csv" in text) == (200, True)
    body = furnished.client("s3").get_object(Bucket=BUCKET, Key="up/<i>.csv")
    assert (body["Body"].read(), body["ContentType"]) == (b"a,b\n1,2\n", "text/csv")
    assert upload(browser, fields | {"key": "elsewhere/${filename}", "Content-Type": "text/csv"})[0] == 403
    status, text, where = post(browser, "s3/delete", token, bucket=BUCKET, key="up/<i>.csv")
    assert (status, "prefix=up%2F" in where, "Nothing below this prefix" in text) == (200, True, True)
    assert "Contents" not in furnished.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="up/")


def upload(browser: Browser, fields: dict[str, str]) -> tuple[int, str]:
    parts = [
        f'--xx\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    parts.append(
        '--xx\r\nContent-Disposition: form-data; name="file"; filename="<i>.csv"\r\n\r\na,b\n1,2\n\r\n--xx--\r\n'
    )
    own = {"Origin": browser.base, "Content-Type": "multipart/form-data; boundary=xx"}
    return browser.send(f"/{BUCKET}", "".join(parts).encode(), own)[:2]


def test_gzip_is_looked_into(furnished: RunningLakebed, browser: Browser) -> None:
    s3 = furnished.client("s3")
    s3.put_object(Bucket=BUCKET, Key="z/a.csv.gz", Body=gzip.compress(b"name,n\n<b>x</b>,2\n"))
    s3.put_object(Bucket=BUCKET, Key="z/bomb.json.gz", Body=gzip.compress(b" " * 50_000_000))
    assert "<td>&lt;b&gt;x&lt;/b&gt;</td>" in browser.get(f"/console/s3/object?bucket={BUCKET}&key=z/a.csv.gz")[1]
    assert len(browser.get(f"/console/s3/object?bucket={BUCKET}&key=z/bomb.json.gz")[1]) < 200_000


def test_a_table_tells_its_snapshots_and_its_lineage(furnished: RunningLakebed, browser: Browser) -> None:
    page = browser.get("/console/catalog/table?database=lake&table=ice")[1]
    told = page.partition("Snapshots")[2]
    assert "2 kept" in told
    then = [html.unescape(one) for one in re.findall(r'href="([^"]+snapshot=[^"]+)"', told)]
    editor = html.unescape(browser.get(then[-1])[1])
    sql = re.findall(r"<textarea[^>]*>(SELECT[^<]*)</textarea>", editor)[0]
    rows = furnished.client("athena").get_query_results(QueryExecutionId=run(furnished, sql))["ResultSet"]["Rows"]
    assert len(rows) == 3  # the header, and both rows, as before the DELETE
    writers, _, readers = page.partition("Written by")[2].partition("Read by")
    assert "INSERT INTO lake.ice" in writers
    assert "DELETE FROM lake.ice" in writers
    assert "SELECT * FROM lake.ice" in readers
    assert "over_ice</a></td><td>view" in readers


def test_a_tables_columns_are_profiled(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    page = browser.get("/console/catalog/table?database=lake&table=ice")[1]
    asked = [html.unescape(one) for one in re.findall(r'name="sql" value="([^"]+)"', page)]
    assert len(asked) == 5
    for sql in asked:
        query = run(furnished, sql)
        if "about_distinct" in sql:
            rows = furnished.client("athena").get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
            told = [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows[1:]]
            assert told == [["id", "1", "0", "1", "1", "1"], ["name", "1", "0", "1", "<b>a</b>", "<b>a</b>"]]


def test_schemas_tell_what_changed(browser: Browser) -> None:
    page = browser.get("/console/schemas/schema?registry=shared&schema=orders")[1]
    assert "Version 2" in page
    link = html.unescape(re.findall(r'href="([^"]*since=1[^"]*)"', page)[0])
    changed = browser.get(link)[1]
    assert "From version 1 to version 2" in changed
    assert '<span class="added">' in changed


def test_a_table_is_told_what_would_save(furnished: RunningLakebed, browser: Browser) -> None:
    page = browser.get("/console/catalog/advice?database=lake&table=lines")[1]
    assert "less scanned: " in page
    assert "partitioned by day" in page
    draft = html.unescape(re.findall(r'href="([^"]+draft=[^"]+)"', page)[0])
    sql = html.unescape(re.findall(r"<textarea[^>]*>(CREATE TABLE[^<]*)</textarea>", browser.get(draft)[1])[0])
    run(furnished, sql)
    query = run(furnished, "SELECT count(note) FROM lake.lines")
    assert f"athena/advice?query={query}" in browser.get(f"/console/athena?query={query}")[1]
    assert "lake.lines" in browser.get(f"/console/athena/advice?query={query}")[1]


def test_a_function_tells_its_versions_and_its_cost(furnished: RunningLakebed, browser: Browser) -> None:
    functions = furnished.client("lambda")
    version = functions.publish_version(FunctionName=FUNCTION)["Version"]
    functions.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion=version)
    address = functions.create_function_url_config(FunctionName=FUNCTION, AuthType="NONE")["FunctionUrl"]
    functions.invoke(FunctionName=FUNCTION, Payload=b"{}")
    page = browser.get(f"/console/lambda/function?function={FUNCTION}")[1]
    assert f"<td><code>{version}</code></td><td>live</td>" in page
    assert address in page
    assert "at 128 MB, the last 30 days" in page


def test_streams_of_other_kinds_are_told(furnished: RunningLakebed, browser: Browser) -> None:
    role = "arn:aws:iam::000000000000:role/all"
    backup = {"RoleARN": role, "BucketARN": f"arn:aws:s3:::{BUCKET}"}
    endpoint = {"EndpointConfiguration": {"Url": "https://example.com/<b>"}, "S3Configuration": backup, "RoleARN": role}
    furnished.client("firehose").create_delivery_stream(
        DeliveryStreamName="to-web", HttpEndpointDestinationConfiguration=endpoint
    )
    page = browser.get("/console/firehose/stream?stream=to-web")[1]
    assert "https://example.com/&lt;b&gt;" in page
    assert "CloudWatchLoggingOptions are off" in page
    furnished.client("kinesis").create_stream(StreamName="on-demand", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    page = browser.get("/console/kinesis/stream?stream=on-demand")[1]
    assert "a month of a stream on demand" in page
    assert page.partition("Shard map")[2].count("style=") == 4


def test_a_crawler_is_started_and_its_run_is_told(furnished: RunningLakebed, browser: Browser, token: str) -> None:
    furnished.client("s3").put_object(Bucket=BUCKET, Key="crawled/a.json", Body=b'{"carrier": "UA", "n": 1}\n')
    assert post(browser, "crawlers/start", token, crawler="finds")[0] == 200
    glue = furnished.client("glue")
    for _ in range(200):
        if glue.get_crawler(Name="finds")["Crawler"]["State"] == "READY":
            break
        furnished.settle()
    text = browser.get("/console/crawlers/crawler?crawler=finds")[1]
    assert "COMPLETED" in text
    assert glue.get_table(DatabaseName="lake", Name="crawled")["Table"]["Parameters"]["classification"] == "json"
    assert post(browser, "crawlers/stop", token, crawler="finds")[0] == 400
