"""Operations of SQS, by what they are on: queues, messages, batches of messages, the queue's policy."""
