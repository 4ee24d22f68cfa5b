"""Operations of SNS, by what they are on: topics, subscriptions, publications, the topic's policy."""
