{{ config(materialized='table', format='parquet', write_compression='zstd') }}
select customer, count(*) as orders, sum(amount) as amount from {{ ref('recent') }} group by 1
