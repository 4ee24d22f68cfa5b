"""Runs when objects arrive (S3 -> SQS -> this function).

Registers new months as partitions, lets Athena make the report, and notes in S3 where it lies.
"""

import json
import os
import time
import urllib.parse

import boto3

DATABASE, TABLE, BUCKET = os.environ["DATABASE"], os.environ["TABLE"], os.environ["BUCKET"]
athena, glue, s3 = boto3.client("athena"), boto3.client("glue"), boto3.client("s3")

REPORT = f"""
SELECT carrier, origin, month,
       count(*) AS flights,
       sum(CASE WHEN dep_time IS NULL THEN 1 ELSE 0 END) AS cancelled,
       sum(CASE WHEN delayed THEN 1 ELSE 0 END) AS delayed,
       round(avg(dep_delay), 2) AS average_departure_delay,
       round(avg(arr_delay), 2) AS average_arrival_delay
FROM {TABLE}
GROUP BY carrier, origin, month
ORDER BY carrier, origin, month
"""


def handler(event, context):
    add_partitions({month for record in event["Records"] for month in months_in(json.loads(record["body"]))})
    query = athena.start_query_execution(
        QueryString=REPORT,
        QueryExecutionContext={"Database": DATABASE},
        ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/report/"},
    )["QueryExecutionId"]
    execution = wait_for(query)
    result = {
        "QueryExecutionId": query,
        "OutputLocation": execution["ResultConfiguration"]["OutputLocation"],
        "DataScannedInBytes": execution["Statistics"]["DataScannedInBytes"],
        "Flights": flights_in(query),
    }
    if result["Flights"] >= flights_so_far():  # two of these may run at once; the fuller report stays
        s3.put_object(Bucket=BUCKET, Key="report/latest.json", Body=json.dumps(result), ContentType="application/json")
    return result


def months_in(notification):
    for record in notification.get("Records", []):  # a test event has none
        key = urllib.parse.unquote_plus(record["s3"]["object"]["key"])
        if "month=" in key:
            yield key.split("month=")[1].split("/")[0]


def add_partitions(months):
    if not months:
        return
    storage = glue.get_table(DatabaseName=DATABASE, Name=TABLE)["Table"]["StorageDescriptor"]
    glue.batch_create_partition(  # months that are there already come back in Errors, which is fine
        DatabaseName=DATABASE,
        TableName=TABLE,
        PartitionInputList=[
            {
                "Values": [month],
                "StorageDescriptor": {**storage, "Location": f"{storage['Location'].rstrip('/')}/month={month}/"},
            }
            for month in sorted(months)
        ],
    )


def wait_for(query):
    while True:
        execution = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        state = execution["Status"]["State"]
        if state == "SUCCEEDED":
            return execution
        if state in ("FAILED", "CANCELLED"):
            raise RuntimeError(f"{state}: {execution['Status'].get('StateChangeReason')}")
        time.sleep(0.1)


def flights_in(query):
    total = 0
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        for row in page["ResultSet"]["Rows"]:
            count = row["Data"][3].get("VarCharValue")
            total += int(count) if count != "flights" else 0  # the first row repeats the column names
    return total


def flights_so_far():
    try:
        return json.load(s3.get_object(Bucket=BUCKET, Key="report/latest.json")["Body"])["Flights"]
    except s3.exceptions.NoSuchKey:
        return 0
