{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partitioned_by=['day'], format='parquet') }}
select id, amount, day from {{ ref('recent') }}
{% if is_incremental() %}
where day >= date '2026-01-01'
{% endif %}
