-- SPDX-License-Identifier: GPL-2.0-only
-- Some 100000 rows with indexes, changed, sorted and looked through.
create table item(id integer primary key, name text, weight real, data blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
insert into item select i, printf('name%d', i * 7919 % 200003), i / 3.0, zeroblob(i % 200) from n;
create index item_name on item(name);
update item set name = name || 'x' where id % 5 = 0;
delete from item where id % 7 = 0;
select count(*), sum(length(data)), min(name), max(name) from item;
select substr(name, 1, 6), count(*), group_concat(id % 10, '') from
	(select * from item where id % 50 = 1 order by name) group by 1 order by 1;
select count(distinct a.name) from item a join item b on a.name = b.name || 'x';
vacuum;
pragma integrity_check;
