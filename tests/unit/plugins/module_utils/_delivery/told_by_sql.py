# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same figures as _delivery, computed by another way: in SQL, from the raw documents. Nothing of the product is used here.

Each table is one definition of docs/delivery.md. h is the number of a history: all of them are in one database.
"""

from __future__ import annotations

import json
import math
import sqlite3
import typing as t

# raw(h, pos, doc), ghost(h, digest, at), incident(h, id, version, at, fix), sha(h, digest, sha), edge(h, sha, parent), made(h, sha, at),
# revert(h, sha, of), published(h, digest, at), win(h, since, until, now). Times are seconds since the epoch.
_TABLES = """
create table raw(h, pos, doc); create table ghost(h, digest, at); create table incident(h, id, version, at, fix);
create table sha(h, digest, sha); create table edge(h, sha, parent); create table made(h, sha, at); create table revert(h, sha, of);
create table published(h, digest, at); create table win(h, since, until, now);
"""

_STEPS = """
-- The reports that count: readable, no rehearsal, each id by its last report.
create table good as select h, pos, doc, doc->>'id' as id from raw
  where doc->>'damaged' is null and doc->>'schema' = 1 and doc->>'digest' is not null and doc->>'check' = 0;
create index good_i on good(h, id);
create table r as
  select h, row_number() over (partition by h order by pos) - 1 as i, id, doc, doc->>'kind' as kind, doc->>'version' as version,
    doc->>'digest' as digest, coalesce(doc->'stable_before'->>'digest', '') as before, coalesce(doc->'stable_after'->>'digest', '') as after,
    cast(strftime('%s', doc->>'begun') as real) as begun, cast(strftime('%s', doc->>'ended') as real) as ended,
    doc->>'succeeded' as won, doc->>'blame' as blame, doc->>'strategy' as strategy, json_array_length(doc, '$.balancers') as balancers
  from good g where pos = (select max(pos) from good g2 where g2.h = g.h and g2.id = g.id);
create unique index r_i on r(h, i);

-- Rows and steps; the clock of a server is moved to where its steps fit.
create table row0 as select r.h, r.i, x.value->>'host' as host, x.value->>'outcome' as outcome, x.value->>'color' is not null as two,
  x.value as doc, r.begun, r.ended from r, json_each(r.doc, '$.rows') x;
create index row0_i on row0(h, i, host);
create table step0 as select h, i, host, two, begun, ended, s.key as k, s.value->>'step' as step, s.value->>'start' as a,
  (s.value->>'start') + (s.value->>'seconds') as b, coalesce(s.value->>'ok', 1) as ok from row0, json_each(row0.doc, '$.steps') s;
create table clock as select h, i, host, begun, ended,
  min(case when step not in ('drain', 'join', 'bake') then a end) as own_a, max(case when step not in ('drain', 'join', 'bake') then b end) as own_b,
  min(case when step = 'drain' and ok then b end) as drained,
  min(case when step not in ('drain', 'join', 'bake') and (case when two then step = 'stop' else step not in ('stage', 'return') end) then a end) as after
  from step0 group by h, i, host;
create table shift as select h, i, host, case
  when own_a is null then 0.0
  when drained is not null and after is not null and after < drained - 1 then drained - after
  when own_a < begun - 1 then begun - own_a
  when own_b > ended + 2 then ended + 1 - own_b
  else 0.0 end as by from clock;
create index shift_i on shift(h, i, host);
create table step as select s.h, s.i, s.host, s.k, s.step, s.ok,
  s.a + case when s.step in ('drain', 'join', 'bake') then 0 else f.by end as a,
  s.b + case when s.step in ('drain', 'join', 'bake') then 0 else f.by end as b
  from step0 s join shift f using (h, i, host);
create index step_i on step(h, i, host, k);

-- A server is met when it joins well after a boot or gate that went well, before a way back; where nothing shields it, when it has booted.
create table shield as select h, i, balancers > 0 or strategy = 'blue_green'
  or exists (select 1 from step where step.h = r.h and step.i = r.i and step.step in ('drain', 'join')) as shielded from r;
create index shield_i on shield(h, i);
create table candidate as select s.h, s.i, s.host, s.k, s.b from step s join shield using (h, i)
  where not exists (select 1 from step e where e.h = s.h and e.i = s.i and e.host = s.host and e.k < s.k and e.step = 'return') and (
    (s.step = 'join' and s.ok and (select e.ok from step e where e.h = s.h and e.i = s.i and e.host = s.host and e.k < s.k
      and e.step in ('boot', 'gate') order by e.k desc limit 1))
    or (s.step = 'boot' and s.ok and not shielded));
create table joined as select h, i, host, b as at from (
  select *, row_number() over (partition by h, i, host order by k) as n from candidate) where n = 1;
create index joined_i on joined(h, i, host);
create table back as select j.h, j.i, j.host, coalesce(
    (select max(s.b) from step s where s.h = j.h and s.i = j.i and s.host = j.host and s.step = 'drain' and s.ok and s.b >= j.at),
    (select s.a from step s where s.h = j.h and s.i = j.i and s.host = j.host and s.step = 'return' order by s.k limit 1)) as at
  from joined j join row0 using (h, i, host) where row0.outcome in ('returned', 'stranded');
create table away as select h, i, host, (
  select case when s.step = 'return' then null when s.step = 'drain' then s.b else s.a end from step s
    where s.h = row0.h and s.i = row0.i and s.host = row0.host and (s.step = 'return' or (s.step = 'drain' and s.ok) or s.step in ('stop', 'activate'))
    order by case when s.step in ('stop', 'activate') then 1 else 0 end, s.k limit 1) as at from row0;

create index away_i on away(h, i, host); create index back_i on back(h, i, host);
-- What became of each attempt.
create table v as select r.h, r.i, r.id, r.version, r.digest, r.ended, case
  when won and after = digest then 'landed'
  when after <> before then 'unclear'
  when not blame then 'stopped'
  when exists (select 1 from joined j where j.h = r.h and j.i = r.i) then 'met'
  else 'caught' end as outcome from r where kind = 'rollout' and digest <> before;
create unique index v_i on v(h, i);

-- What was stable, moment by moment; the age of a release is the first moment in which it was.
create table moment as
  select h, 2 * i as o, i, nullif(case kind when 'rollback' then digest else before end, '') as digest, kind = 'rollback' as told from r
  union all select h, 2 * i + 1, i, digest, 0 from r where kind = 'rollout' and digest <> before and after = digest;
create index moment_i on moment(h, o);
create table follow as select m.*, (select p.digest from moment p where p.h = m.h and p.o < m.o and p.digest is not null
  order by p.o desc limit 1) as former from moment m where digest is not null;
create table age as select h, digest, min(o) as o from follow group by h, digest;
create index age_i on age(h, digest); create index follow_i on follow(h, i);
create table undo as select f.h, f.i, f.o % 2 as kind, (select max(v.i) from v where v.h = f.h and v.i < f.i and v.outcome = 'landed'
    and v.digest = f.former) as bad
  from follow f left join age a on a.h = f.h and a.digest = f.digest left join age b on b.h = f.h and b.digest = f.former
  where former is not null and f.former <> f.digest and (told or a.o < b.o);

-- Whose commit it is: of the first that had it. Claims are made in the order of the history.
create index sha_i on sha(h, digest);
create table claim as
  select r.h, 4 * r.i as o, -1 as i, s.sha from r join sha s on s.h = r.h and s.digest = r.before
  union all select r.h, 4 * r.i + 1, -1, s.sha from r join sha s on s.h = r.h and s.digest = r.after
    where not exists (select 1 from v where v.h = r.h and v.i = r.i and v.outcome = 'landed')
  union all select v.h, 4 * v.i + 2, v.i, s.sha from v join sha s on s.h = v.h and s.digest = v.digest where v.outcome = 'landed';
create index edge_i on edge(h, sha); create unique index made_i on made(h, sha); create index published_i on published(h, digest);
create table reach as with recursive up(h, o, i, sha) as (
    select c.h, c.o, c.i, c.sha from claim c join made m on m.h = c.h and m.sha = c.sha
    union select up.h, up.o, up.i, e.parent from up join edge e on e.h = up.h and e.sha = up.sha
  ) select h, sha, i, min(o) as o from up group by h, sha;
create index reach_i on reach(h, i); create unique index reach_s on reach(h, sha);
create table clear as select v.h, v.i from v join r using (h, i) where v.outcome = 'landed' and r.before <> ''
  and exists (select 1 from sha s join made m on m.h = s.h and m.sha = s.sha where s.h = v.h and s.digest = r.digest)
  and exists (select 1 from sha s join made m on m.h = s.h and m.sha = s.sha where s.h = v.h and s.digest = r.before);
create unique index clear_i on clear(h, i);

create table reverted as select x.h, a.i as bad, b.i as good from revert x join reach a on a.h = x.h and a.sha = x.of
  join reach b on b.h = x.h and b.sha = x.sha where b.i >= 0 and b.i > a.i;

create table named as select n.h, n.id, n.fix, (select max(v.i) from v where v.h = n.h and v.version = n.version
    and v.outcome in ('landed', 'met') and (n.at = '' or v.outcome = 'met' or v.ended <= cast(strftime('%s', n.at) as real))) as bad from incident n;
create table fixed as select n.h, n.bad, (select min(v.i) from v where v.h = n.h and v.outcome = 'landed' and v.version = n.fix and v.i > n.bad) as good
  from named n where bad is not null;

create table reason as
  select h, i, 'failed on servers that people used' as why, null as good from v where outcome = 'met'
  union select h, bad, case kind when 0 then 'rolled back' else 'replaced by a former release' end, i from undo where bad is not null
  union select g.h, v.i, 'became a ghost', null from ghost g join v on v.h = g.h and v.i = (select max(i) from v w where w.h = g.h and w.digest = g.digest
      and w.outcome = 'landed') where coalesce(cast(strftime('%s', g.at) as real) >= v.ended, 1)
  union select reverted.h, bad, 'its commit was reverted', good from reverted join clear on clear.h = reverted.h and clear.i = reverted.bad
  union select h, bad, 'named by an incident', good from fixed;
"""

_VERDICTS = """
create index reason_i on reason(h, i); create index win_i on win(h);
create table failed as select v.h, v.i, (select min(good) from reason q where q.h = v.h and q.i = v.i) as good,
    case when v.outcome = 'met' then v.i else (select min(good) from reason q where q.h = v.h and q.i = v.i
      and q.why in ('rolled back', 'replaced by a former release')) end as at
  from v where v.outcome in ('landed', 'met') and exists (select 1 from reason q where q.h = v.h and q.i = v.i);
create index failed_i on failed(h, i);
create table repair as
  select f.h, f.i, 'a former release again' as why from follow f join v on v.h = f.h and v.i = f.i and v.outcome = 'landed'
    join age a on a.h = f.h and a.digest = f.digest join age b on b.h = f.h and b.digest = f.former
    where f.o % 2 = 1 and a.o < b.o
  union select reverted.h, good, 'reverts a commit' from reverted join clear on clear.h = reverted.h and clear.i = reverted.good
  union select h, good, 'the fix of an incident' from fixed where good is not null
  union select f.h, (select min(v.i) from v where v.h = f.h and v.outcome = 'landed' and v.i > f.at), 'the first one after a failure' from failed f
    where f.at is not null and exists (select 1 from v where v.h = f.h and v.outcome = 'landed' and v.i > f.at);

create table later as select f.h, f.i, j.host, max(j.at, coalesce(b.at, (
    select case when w.at is not null then w.at else o.begun end from r o
      left join row0 x on x.h = o.h and x.i = o.i and x.host = j.host left join away w on w.h = o.h and w.i = o.i and w.host = j.host
      where o.h = f.h and o.i >= max(f.i + 1, coalesce(f.good, 0)) and o.digest <> v.digest
        and not exists (select 1 from json_each(o.doc, '$.drift') d where d.value->>'host' = j.host)
        and (w.at is not null or (x.host is null and o.won) or x.outcome = 'unchanged')
      order by o.i limit 1))) as gone, j.at as came
  from failed f join v using (h, i) join joined j using (h, i) left join back b using (h, i, host);

create index repair_i on repair(h, i); create index later_i on later(h, i);
create table inside as select v.* from v join win using (h) where (since is null or v.ended >= since) and (until is null or v.ended < until);
create index inside_i on inside(h, i);
create table lead as select v.h, v.id, c.sha, r.ended - m.at as seconds, m.at as made, p.at as published, r.begun,
    (select min(j.at) from joined j where j.h = v.h and j.i = v.i) as first, r.ended
  from inside v join clear using (h, i) join r using (h, i) join reach c on c.h = v.h and c.i = v.i join made m on m.h = v.h and m.sha = c.sha
  left join published p on p.h = v.h and p.digest = r.digest
  where v.outcome = 'landed' and (select count(*) from edge e where e.h = c.h and e.sha = c.sha) < 2;
"""


class Sql:
    def __init__(self, histories: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        self.db = sqlite3.connect(":memory:")
        self.db.executescript(_TABLES)
        for h, one in enumerate(histories):
            for pos, doc in enumerate(one["raw"]):
                self.db.execute("insert into raw values (?, ?, ?)", (h, pos, json.dumps(doc)))
            for table in ("ghost", "incident", "sha", "edge", "made", "revert", "published", "win"):
                for row in one[table]:
                    marks = ",".join("?" * (len(row) + 1))
                    self.db.execute("insert into %s values (%s)" % (table, marks), (h, *row))
        self.db.executescript(_STEPS)
        self.db.executescript(_VERDICTS)

    def rows(self, text: str) -> dict[int, list[tuple[t.Any, ...]]]:
        """By history."""
        found: dict[int, list[tuple[t.Any, ...]]] = {}
        for h, *row in self.db.execute(text):
            found.setdefault(h, []).append(tuple(row))
        return found


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """By solving its equation: where a share p would be 1.96 of its own standard deviations away from what was seen."""
    if not n:
        return None, None
    z = 1.959963984540054
    a, b, c = n + z * z, -(2 * hits + z * z), hits * hits / n
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return max((-b - root) / (2 * a), 0.0), min((-b + root) / (2 * a), 1.0)
