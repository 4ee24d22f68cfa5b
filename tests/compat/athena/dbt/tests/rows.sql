-- What must be there after both rounds; a row here is a failure.
with found as (
  select 'days' as name, (select count(*) from {{ ref('days') }}) as n, 5 as wanted
  union all select 'events', (select count(*) from {{ ref('events') }}), 6
  union all select 'customers', (select count(*) from {{ ref('customers') }}), 4
  union all select 'bob', (select cast(amount as bigint) from {{ ref('customers') }} where customer = 'bob'), 7
  union all select 'held', (select count(*) from {{ ref('held') }}), 7
  union all select 'held now', (select count(*) from {{ ref('held') }} where dbt_valid_to is null), 6
)
select * from found where n <> wanted
