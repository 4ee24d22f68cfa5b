"""CloudWatch Logs Insights: its query language, compiled to one statement in the dialect of the SQL port.

``tokens`` reads the text, ``expressions`` compiles what stands inside a command, ``query`` the commands.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""
