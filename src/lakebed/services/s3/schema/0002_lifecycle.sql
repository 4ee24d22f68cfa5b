ALTER TABLE s3_bucket ADD COLUMN lifecycle BLOB;
