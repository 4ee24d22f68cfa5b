"""The lake's knowledge that Athena, Glue and Firehose share: types, table formats, locations, and Athena's SQL."""
