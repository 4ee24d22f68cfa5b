{% snapshot held %}
{{ config(unique_key='id', strategy='check', check_cols=['amount'], table_type='iceberg', target_schema='shop') }}
select id, customer, amount + {{ var('round') }} * (case when id = 1 then 1 else 0 end) as amount from {{ ref('recent') }}
{% endsnapshot %}
