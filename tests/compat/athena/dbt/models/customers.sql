{{ config(materialized='incremental', incremental_strategy='merge', unique_key='customer', table_type='iceberg', format='parquet') }}
select customer, max(day) as last_day, sum(amount) as amount from {{ ref('recent') }} group by customer
