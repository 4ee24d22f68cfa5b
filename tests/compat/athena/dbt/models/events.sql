{{ config(materialized='incremental', incremental_strategy='append', format='parquet') }}
select id, {{ var('round') }} as seen from {{ ref('recent') }}
{% if is_incremental() %}
where id > (select max(id) from {{ this }})
{% endif %}
