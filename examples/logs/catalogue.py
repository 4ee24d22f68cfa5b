"""Tables and questions for the logs that AWS services write, in Athena's SQL.

Each entry has the DDL, with ``{location}`` for the prefix the log lies under, and a few saved queries. The formats are those
of the services' own documentation, the page each entry names.
"""

# ruff: noqa: E501 - log lines and statements are kept whole

from __future__ import annotations

from typing import NamedTuple


class Log(NamedTuple):
    """One kind of log: its table's DDL and its queries by name."""

    table: str
    source: str
    ddl: str
    queries: dict[str, str]


VPC = Log(
    "vpc_flow_logs", "https://docs.aws.amazon.com/athena/latest/ug/vpc-flow-logs.html",
    """CREATE EXTERNAL TABLE vpc_flow_logs (
  version int, account_id string, interface_id string, srcaddr string, dstaddr string, srcport int, dstport int,
  protocol bigint, packets bigint, bytes bigint, start bigint, `end` bigint, action string, log_status string)
ROW FORMAT DELIMITED FIELDS TERMINATED BY ' '
LOCATION '{location}' TBLPROPERTIES ('skip.header.line.count'='1')""",
    {
        "rejected": "SELECT srcaddr, dstport, count(*) AS times FROM vpc_flow_logs WHERE action = 'REJECT' "
                    "GROUP BY srcaddr, dstport ORDER BY times DESC, srcaddr, dstport LIMIT 10",
        "bytes by source": "SELECT srcaddr, sum(bytes) AS total FROM vpc_flow_logs GROUP BY srcaddr ORDER BY total DESC LIMIT 10",
    },
)  # fmt: skip
ALB = Log(
    "alb_logs", "https://docs.aws.amazon.com/athena/latest/ug/application-load-balancer-logs.html",
    r"""CREATE EXTERNAL TABLE alb_logs (
  type string, time string, elb string, client_ip string, client_port int, target_ip string, target_port int,
  request_processing_time double, target_processing_time double, response_processing_time double, elb_status_code int,
  target_status_code string, received_bytes bigint, sent_bytes bigint, request_verb string, request_url string,
  request_proto string, user_agent string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'
WITH SERDEPROPERTIES ('serialization.format'='1', 'input.regex'='([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) ([-.0-9]*) (|[-0-9]*) (-|[-0-9]*) ([-0-9]*) ([-0-9]*) "([^ ]*) (.*) (- |[^ ]*)" "([^"]*)".*')
LOCATION '{location}'""",
    {
        "errors": "SELECT request_url, elb_status_code, count(*) AS times FROM alb_logs WHERE elb_status_code >= 500 "
                  "GROUP BY 1, 2 ORDER BY times DESC, request_url LIMIT 10",
        "slowest": "SELECT request_url, max(target_processing_time) AS seconds FROM alb_logs GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    },
)  # fmt: skip
NLB = Log(
    "nlb_tls_logs", "https://docs.aws.amazon.com/athena/latest/ug/networkloadbalancer-classic-logs.html",
    """CREATE EXTERNAL TABLE nlb_tls_logs (
  type string, version string, time string, elb string, listener string, client string, destination string,
  connection_time int, tls_handshake_time string, received_bytes bigint, sent_bytes bigint)
ROW FORMAT DELIMITED FIELDS TERMINATED BY ' ' LOCATION '{location}'""",
    {"bytes by client": "SELECT split_part(client, ':', 1) AS client_ip, sum(received_bytes) FROM nlb_tls_logs GROUP BY 1 ORDER BY 2 DESC"},
)  # fmt: skip
ELB = Log(
    "elb_logs", "https://docs.aws.amazon.com/athena/latest/ug/elasticloadbalancer-classic-logs.html",
    r"""CREATE EXTERNAL TABLE elb_logs (
  time string, elb_name string, request_ip string, request_port int, backend string, elb_status int, received bigint,
  sent bigint, verb string, url string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'
WITH SERDEPROPERTIES ('input.regex'='([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*) [-.0-9]* [-.0-9]* [-.0-9]* (|[-0-9]*) [-0-9]* ([-0-9]*) ([-0-9]*) "([^ ]*) ([^ ]*) .*')
LOCATION '{location}'""",
    {"requests by status": "SELECT elb_status, count(*) FROM elb_logs GROUP BY 1 ORDER BY 1"},
)  # fmt: skip
CLOUDTRAIL = Log(
    "cloudtrail_logs", "https://docs.aws.amazon.com/athena/latest/ug/cloudtrail-logs.html",
    """CREATE EXTERNAL TABLE cloudtrail_logs (
  eventversion string,
  useridentity struct<type:string,principalid:string,arn:string,accountid:string,username:string>,
  eventtime string, eventsource string, eventname string, awsregion string, sourceipaddress string, useragent string,
  errorcode string, errormessage string, requestparameters string, responseelements string)
ROW FORMAT SERDE 'com.amazon.emr.hive.serde.CloudTrailSerde'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat' LOCATION '{location}'""",
    {
        "denied": "SELECT useridentity.username, eventname, count(*) AS times FROM cloudtrail_logs "
                  "WHERE errorcode = 'AccessDenied' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        "buckets": "SELECT json_extract_scalar(requestparameters, '$.bucketName') AS bucket, count(*) FROM cloudtrail_logs "
                   "WHERE eventsource = 's3.amazonaws.com' GROUP BY 1 ORDER BY 2 DESC, 1",
    },
)  # fmt: skip
CLOUDFRONT = Log(
    "cloudfront_logs", "https://docs.aws.amazon.com/athena/latest/ug/cloudfront-logs.html",
    """CREATE EXTERNAL TABLE cloudfront_logs (
  `date` date, time string, x_edge_location string, sc_bytes bigint, c_ip string, cs_method string, cs_host string,
  cs_uri_stem string, sc_status int, cs_referrer string, cs_user_agent string)
ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' LOCATION '{location}' TBLPROPERTIES ('skip.header.line.count'='2')""",
    {"bytes by day": 'SELECT "date", sum(sc_bytes) FROM cloudfront_logs GROUP BY 1 ORDER BY 1'},
)  # fmt: skip
S3 = Log(
    "s3_access_logs", "https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-s3-access-logs-to-identify-requests.html",
    r"""CREATE EXTERNAL TABLE s3_access_logs (
  bucketowner string, bucket_name string, requestdatetime string, remoteip string, requester string, requestid string,
  operation string, key string, request_uri string, httpstatus string, errorcode string, bytessent bigint)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'
WITH SERDEPROPERTIES ('input.regex'='([^ ]*) ([^ ]*) \\[(.*?)\\] ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ("[^"]*"|-) (-|[0-9]*) ([^ ]*) ([^ ]*).*')
LOCATION '{location}'""",
    {
        "deleted": "SELECT key, requester FROM s3_access_logs WHERE operation = 'REST.DELETE.OBJECT' ORDER BY key",
        "by day": "SELECT date(parse_datetime(requestdatetime, 'dd/MMM/yyyy:HH:mm:ss Z')) AS day, count(*) FROM s3_access_logs "
                  "GROUP BY 1 ORDER BY 1",
    },
)  # fmt: skip
WAF = Log(
    "waf_logs", "https://docs.aws.amazon.com/athena/latest/ug/waf-logs.html",
    """CREATE EXTERNAL TABLE waf_logs (
  `timestamp` bigint, formatversion int, webaclid string, terminatingruleid string, action string,
  httprequest struct<clientip:string,country:string,uri:string,httpmethod:string,headers:array<struct<name:string,value:string>>>)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION '{location}'""",
    {
        "blocked": "SELECT httprequest.clientip, count(*) FROM waf_logs WHERE action = 'BLOCK' GROUP BY 1 ORDER BY 2 DESC, 1",
        "agents": "SELECT h.value, count(*) FROM waf_logs CROSS JOIN UNNEST(httprequest.headers) AS h (name, value) "
                  "WHERE lower(h.name) = 'user-agent' GROUP BY 1 ORDER BY 2 DESC, 1",
    },
)  # fmt: skip
LOGS = (VPC, ALB, NLB, ELB, CLOUDTRAIL, CLOUDFRONT, S3, WAF)
