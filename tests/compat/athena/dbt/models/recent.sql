{{ config(materialized='view') }}
-- what a source system would hold in each round
select id, customer, amount, day from {{ ref('orders') }}
{% if var('round') == 1 %}
where day < date '2026-01-03'
{% else %}
where id <> 2
union all
select 6, 'dee', 1.0, date '2026-01-03'
{% endif %}
