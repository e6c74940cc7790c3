-- The example database. Runs once, as the superuser, in the database `orders`.

create table customers (
  id integer primary key generated always as identity,
  name text not null,
  email text not null unique,
  country char(2) not null
);
create table orders (
  id integer primary key generated always as identity,
  customer_id integer not null references customers,
  placed_at timestamptz not null,
  total_cents integer not null check (total_cents > 0),
  status text not null check (status in ('paid', 'shipped', 'delivered', 'disputed', 'refunded'))
);
create table payments (
  id integer primary key generated always as identity,
  order_id integer not null references orders,
  method text not null check (method in ('card', 'transfer', 'wallet')),
  amount_cents integer not null check (amount_cents > 0),
  captured_at timestamptz not null
);

insert into customers (name, email, country)
select first || ' ' || last, lower(first || '.' || last) || '@example.org', country
from unnest(
  array['Ada', 'Bram', 'Chidi', 'Dilek', 'Elena', 'Farid', 'Greta', 'Hiro', 'Ines', 'Jonas', 'Kemi', 'Lars'],
  array['Lind', 'Visser', 'Okafor', 'Aydin', 'Rossi', 'Haddad', 'Weber', 'Tanaka', 'Costa', 'Berg', 'Bello', 'Holm'],
  array['SE', 'NL', 'NG', 'TR', 'IT', 'LB', 'DE', 'JP', 'PT', 'NO', 'NG', 'DK']
) as people (first, last, country);

insert into orders (customer_id, placed_at, total_cents, status)
select 1 + n % 12, timestamptz '2026-01-05 09:00Z' + n * interval '7 hours', 1500 + (n * 7919) % 24000,
  (array['paid', 'shipped', 'delivered', 'delivered', 'delivered', 'disputed', 'refunded'])[1 + n % 7]
from generate_series(1, 120) as n;

insert into payments (order_id, method, amount_cents, captured_at)
select id, (array['card', 'card', 'transfer', 'wallet'])[1 + id % 4], total_cents, placed_at + interval '2 minutes' from orders;

-- A login gets nothing but what its group role has: PUBLIC's defaults would let it connect elsewhere and make temporary tables.
revoke all on database orders, postgres, template1 from public;
revoke all on schema public from public;

-- One group role for each policy; a minted login is a member of it and owns no right of its own.
create role orders_reader nologin;
grant connect on database orders to orders_reader;
grant usage on schema public to orders_reader;
grant select on all tables in schema public to orders_reader;

-- What OpenBao logs in as: it may make logins and put them in that group, and read nothing itself.
create role openbao login createrole noinherit password :'openbao_password';
grant connect on database orders to openbao;
grant orders_reader to openbao with admin option;

create schema mayfly;
grant usage on schema mayfly to openbao;

-- Ends a minted login for certain. OpenBao runs revocation statements in one transaction, so a plain DROP ROLE that fails
-- would undo the lock with it: anybody with a grant option could keep a login alive by granting it one right (DROP OWNED
-- leaves what a foreign grantor gave, and DROP ROLE then refuses). Here the lock stands whatever becomes of the drop.
-- It runs with its owner's rights, so that OpenBao needs none over other people's sessions and objects.
create function mayfly.end_login(login name) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_roles where rolname = login) then
    return;
  end if;
  if login not like 'v-token-lse-%' or exists (select from pg_roles where rolname = login and (rolsuper or rolcreaterole)) then
    raise exception 'not a login made for a lease: %', login;
  end if;
  execute format('alter role %I nologin password null', login);
  -- Waits (2 s at most for each) until the session has really gone, so that an answer means it is cut.
  perform pg_terminate_backend(pid, 2000) from pg_stat_activity where usename = login;
  begin
    execute format('drop owned by %I', login);
    execute format('drop role %I', login);
  exception when dependent_objects_still_exist then
    raise warning 'login % is locked, but a right granted by somebody else keeps its name', login;
  end;
end
$$;
revoke all on function mayfly.end_login(name) from public;
grant execute on function mayfly.end_login(name) to openbao;
