"""Operations of CloudWatch: metrics, their data, alarms, dashboards, tags."""
