"""Column statistics: kept as engines give them, and computed by task runs with the SQL engine.

https://docs.aws.amazon.com/glue/latest/dg/column-statistics.html
"""
