"""Operations of CloudWatch Logs: groups with their tags, streams, events."""
