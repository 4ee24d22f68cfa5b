"""Macros every engine instance carries: Trino functions that DuckDB lacks or answers differently.

Names begin with ``lb_`` so that no user's function can be taken for one: the compiler emits them, users cannot.
"""

# ruff: noqa: E501 - SQL reads worse when it is broken

from __future__ import annotations

import re

_SCALARS = {
    "lb_java(x)": """CASE WHEN x IS NULL THEN NULL WHEN isnan(x) THEN 'NaN'
      WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END
      WHEN x = 0 OR (abs(x) >= 1e-3 AND abs(x) < 1e7) THEN CAST(x AS VARCHAR)
      ELSE lb_scientific(CAST(x AS VARCHAR)) END""",
    "lb_stamp(x)": """CAST(CAST(x AS DATE) AS VARCHAR) || strftime(x, ' %H:%M:%S.') || lpad(CAST(millisecond(x) % 1000 AS VARCHAR), 3, '0')""",
    "lb_hexes(x)": "trim(regexp_replace(lower(hex(x)), '(..)', '\\1 ', 'g'))",
    "lb_day_interval(x)": """CASE WHEN epoch(x) < 0 THEN '-' ELSE '' END || CAST(abs(CAST(round(epoch(x)*1000) AS BIGINT)) // 86400000 AS VARCHAR) || ' ' ||
      lpad(CAST(abs(CAST(round(epoch(x)*1000) AS BIGINT)) // 3600000 % 24 AS VARCHAR), 2, '0') || ':' || lpad(CAST(abs(CAST(round(epoch(x)*1000) AS BIGINT)) // 60000 % 60 AS VARCHAR), 2, '0') || ':' ||
      lpad(CAST(abs(CAST(round(epoch(x)*1000) AS BIGINT)) // 1000 % 60 AS VARCHAR), 2, '0') || '.' || lpad(CAST(abs(CAST(round(epoch(x)*1000) AS BIGINT)) % 1000 AS VARCHAR), 3, '0')""",
    "lb_months(x)": "CAST(datepart('year', x) * 12 + datepart('month', x) AS BIGINT)",
    "lb_month_interval(x)": "CASE WHEN lb_months(x) < 0 THEN '-' ELSE '' END || CAST(abs(lb_months(x)) // 12 AS VARCHAR) || '-' || CAST(abs(lb_months(x)) % 12 AS VARCHAR)",
    "lb_substr(s, b)": "CASE WHEN b = 0 OR b > length(s) OR -b > length(s) THEN left(s, 0) WHEN b > 0 THEN substr(s, b) ELSE right(s, -b) END",
    "lb_substr3(s, b, n)": "left(lb_substr(s, b), greatest(n, 0))",
    "lb_split_part(s, d, n)": "CASE WHEN n > len(string_split(s, d)) THEN NULL ELSE string_split(s, d)[n] END",
    "lb_split_limit(s, d, n)": "CASE WHEN len(string_split(s, d)) <= n THEN string_split(s, d) ELSE list_concat(list_slice(string_split(s, d), 1, n - 1), [array_to_string(list_slice(string_split(s, d), n, len(string_split(s, d))), d)]) END",
    "lb_group(s, p, g)": "CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p, g) ELSE NULL END",
    "lb_scalar(j, p)": """CASE WHEN NOT json_valid(j) OR json_extract(j, p) IS NULL OR json_type(j, p) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE json_extract_string(j, p) END""",
    "lb_json_at(j, p)": "CASE WHEN NOT json_valid(j) THEN NULL ELSE CAST(json_extract(j, p) AS VARCHAR) END",
    "lb_element(a, i)": "CASE WHEN i = 0 THEN a[lb_fail('SQL array indices start at 1')] ELSE a[i] END",
    "lb_at(a, i)": "CASE WHEN a IS NULL OR i IS NULL THEN NULL WHEN i < 1 OR i > len(a) THEN a[lb_fail('Array subscript must be less than or equal to array length: ' || CAST(i AS VARCHAR) || ' > ' || CAST(len(a) AS VARCHAR))] ELSE a[i] END",
    "lb_map_at(m, k)": "CASE WHEN m IS NULL OR k IS NULL THEN NULL WHEN NOT map_contains(m, k) THEN map_values(m)[lb_fail('Key not present in map: ' || CAST(k AS VARCHAR))] ELSE m[k] END",
    "lb_fail(told)": "CAST('lb!' || told AS INTEGER)",
    "lb_any(a)": "CASE WHEN a IS NULL THEN NULL WHEN list_contains(a, true) THEN true WHEN len(list_filter(a, lambda v: v IS NULL)) > 0 THEN NULL ELSE false END",
    "lb_all(a)": "CASE WHEN a IS NULL THEN NULL WHEN list_contains(a, false) THEN false WHEN len(list_filter(a, lambda v: v IS NULL)) > 0 THEN NULL ELSE true END",
    "lb_none(a)": "CASE WHEN a IS NULL THEN NULL WHEN list_contains(a, true) THEN false WHEN len(list_filter(a, lambda v: v IS NULL)) > 0 THEN NULL ELSE true END",
    "lb_overlap(a, b)": "CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN list_has_any(list_filter(a, lambda v: v IS NOT NULL), list_filter(b, lambda v: v IS NOT NULL)) THEN true WHEN (len(a) > 0 AND len(b) > 0) AND len(list_filter(list_concat(a, b), lambda v: v IS NULL)) > 0 THEN NULL ELSE false END",
    "lb_before(c, tie)": "CASE WHEN c = -1 THEN true WHEN c = 0 THEN tie WHEN c = 1 THEN false ELSE lb_fail('Lambda comparator must return either -1, 0, or 1') = 0 END",
    "lb_ngrams(a, n)": "CASE WHEN n < 1 THEN [a[lb_fail('N must be positive'):1]] WHEN n >= len(a) THEN [a] ELSE list_transform(range(1, len(a) - n + 2), lambda i: list_slice(a, i, i + n - 1)) END",
    "lb_contains_sequence(a, b)": "CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE len(b) = 0 OR len(list_filter(range(1, greatest(len(a) - len(b) + 2, 1)), lambda i: list_slice(a, i, i + len(b) - 1) = b)) > 0 END",
    "lb_milliseconds(x)": "date_trunc('millisecond', x + to_microseconds(500))",
    "lb_iso8601(v)": "CASE WHEN regexp_full_match(v, '[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-]00:?00)?)?') THEN lb_milliseconds(CAST(CASE WHEN length(v) = 10 THEN v WHEN regexp_matches(v, 'T[0-9]{2}:[0-9]{2}(Z|[+-]|$)') THEN left(v, 16) || ':00' || substr(v, 17) ELSE v END AS TIMESTAMPTZ)) WHEN v IS NULL THEN NULL ELSE to_timestamp(lb_fail('from_iso8601_timestamp of a column reads UTC only here, not ' || v)) END",
    "lb_pattern(p)": "CASE WHEN regexp_matches(p, '[(][?](?:[=!>]|<[=!])|\\\\[1-9]|\\\\k<|[*+?}][+]') THEN left(p, lb_fail('look-around, back references and possessive quantifiers are not built')) ELSE regexp_replace(p, '[(][?]<([A-Za-z])', '(?P<\\1', 'g') END",
    "lb_group_maybe(s, p, g)": "CASE WHEN NOT regexp_matches(s, p) THEN NULL WHEN regexp_extract(s, p, g) = '' THEN left(s, lb_fail('an empty group cannot be told from one that took no part')) ELSE regexp_extract(s, p, g) END",
    "lb_luhn(s)": "CASE WHEN s IS NULL THEN NULL WHEN NOT regexp_full_match(s, '[0-9]+') THEN lb_fail('Input contains non-digit characters: ' || s) = 0 ELSE list_sum(list_transform(string_split(reverse(s), ''), lambda d, i: CASE WHEN i % 2 = 1 THEN CAST(d AS INTEGER) WHEN CAST(d AS INTEGER) > 4 THEN CAST(d AS INTEGER) * 2 - 9 ELSE CAST(d AS INTEGER) * 2 END)) % 10 = 0 END",
    "lb_places(s, p)": "CASE WHEN p = '' THEN [1] ELSE list_filter(range(1, length(s) - length(p) + 2), lambda i: substr(s, i, length(p)) = p) END",
    "lb_strpos(s, p, n)": "CASE WHEN n = 0 THEN lb_fail('Instance cannot be zero') ELSE coalesce(lb_places(s, p)[n], CASE WHEN s IS NULL OR p IS NULL OR n IS NULL THEN NULL ELSE 0 END) END",
    "lb_nonempty(d)": "CASE WHEN d = '' THEN left(d, lb_fail('The delimiter may not be the empty string')) ELSE d END",
    "lb_plural(n, unit)": "CASE WHEN n = 0 THEN NULL WHEN n = 1 THEN '1 ' || unit ELSE CAST(n AS VARCHAR) || ' ' || unit || 's' END",
    "lb_seconds(n)": "CASE WHEN n IS NULL THEN NULL WHEN n = 0 THEN '0 seconds' ELSE concat_ws(', ', lb_plural(n // 604800, 'week'), lb_plural(n // 86400 % 7, 'day'), lb_plural(n // 3600 % 24, 'hour'), lb_plural(n // 60 % 60, 'minute'), lb_plural(n % 60, 'second')) END",
    "lb_base(n, r)": "CASE WHEN r < 2 OR r > 36 THEN lower(to_base(abs(n), lb_fail('Radix must be between 2 and 36'))) ELSE CASE WHEN n < 0 THEN '-' ELSE '' END || lower(to_base(abs(n), r)) END",
    "lb_iso_date(v)": "CASE WHEN regexp_full_match(v, '[0-9]{4}-W[0-9]{2}(-[1-7])?') THEN CAST(date_trunc('week', CAST(left(v, 4) || '-01-04' AS DATE)) + to_days((CAST(substr(v, 7, 2) AS INTEGER) - 1) * 7 + CASE WHEN length(v) > 8 THEN CAST(right(v, 1) AS INTEGER) - 1 ELSE 0 END) AS DATE) WHEN regexp_full_match(v, '[0-9]{4}-[0-9]{3}') THEN CAST(CAST(left(v, 4) || '-01-01' AS DATE) + CAST(right(v, 3) AS INTEGER) - 1 AS DATE) ELSE CAST(v AS DATE) END",
    "lb_match_places(s, p)": "list_transform(range(1, len(regexp_extract_all(s, p)) + 1), lambda i: struct_pack(at := 1 + CAST(list_sum(list_transform(list_slice(regexp_split_to_array(s, p), 1, i), lambda g: length(g))) AS BIGINT) + coalesce(CAST(list_sum(list_transform(list_slice(regexp_extract_all(s, p), 1, i - 1), lambda m: length(m))) AS BIGINT), 0), size := length(regexp_extract_all(s, p)[i])))",
    "lb_nth_place(s, p, b, n)": "CASE WHEN s IS NULL OR p IS NULL OR b IS NULL OR n IS NULL THEN NULL WHEN b < 1 OR n < 1 THEN lb_fail('start position and occurrence must be positive') WHEN regexp_matches('', p) OR len(list_filter(lb_match_places(s, p), lambda w: w.at < b AND w.at + w.size > b)) > 0 THEN lb_fail('this form of regexp_position is not built') ELSE coalesce(list_filter(lb_match_places(s, p), lambda w: w.at >= b)[n].at, -1) END",
    "lb_url_value(v)": "CASE WHEN contains(v, '%') OR contains(v, '+') THEN left(v, lb_fail('url_extract_parameter of an escaped value is not built')) ELSE v END",
    "lb_url_parameter(u, n)": "lb_url_value(list_transform(list_filter(string_split(regexp_extract(u, '^[^?#]*[?]([^#]*)', 1), '&'), lambda w: split_part(w, '=', 1) = n AND w <> ''), lambda w: CASE WHEN contains(w, '=') THEN substr(w, strpos(w, '=') + 1) ELSE '' END)[1])",
    "lb_week_of(x)": "CAST(week(x) AS BIGINT)",
    "lb_div(a, b)": "CAST(CASE WHEN (a < 0) <> (b < 0) THEN -((abs(CAST(a AS HUGEINT)) * 2 + abs(CAST(b AS HUGEINT))) // (abs(CAST(b AS HUGEINT)) * 2)) ELSE (abs(CAST(a AS HUGEINT)) * 2 + abs(CAST(b AS HUGEINT))) // (abs(CAST(b AS HUGEINT)) * 2) END AS HUGEINT)",
    "lb_distinct(a)": "list_filter(a, lambda v, i: list_position(list_slice(a, 1, i - 1), v) IS NULL AND (v IS NOT NULL OR len(list_filter(list_slice(a, 1, i - 1), lambda w: w IS NULL)) = 0))",
    "lb_list_max(a)": "CASE WHEN len(list_filter(a, lambda v: v IS NULL)) > 0 THEN NULL ELSE list_max(a) END",
    "lb_list_min(a)": "CASE WHEN len(list_filter(a, lambda v: v IS NULL)) > 0 THEN NULL ELSE list_min(a) END",
    "lb_slice(a, s, n)": "CASE WHEN s = 0 THEN list_slice(a, lb_fail('SQL array indices start at 1'), 1) WHEN s > 0 THEN list_slice(a, s, s + n - 1) ELSE list_slice(a, len(a) + s + 1, len(a) + s + n) END",
    "lb_json_parse(x)": "CASE WHEN x IS NULL THEN NULL WHEN json_valid(x) THEN CAST(json(x) AS VARCHAR) ELSE left(x, lb_fail('Cannot convert value to JSON: ' || x)) END",
    "lb_multimap(e)": "CASE WHEN e IS NULL OR len(e) = 0 THEN NULL ELSE map_from_entries(list_transform(list_distinct(list_transform(e, lambda w: w.key)), lambda k: struct_pack(key := k, value := list_transform(list_filter(e, lambda w: w.key = k), lambda w: w.value)))) END",
    "lb_first_keys(e)": "CASE WHEN e IS NULL OR len(e) = 0 THEN NULL ELSE map_from_entries(list_filter(e, lambda v, i: list_position(list_transform(e, lambda w: w.key), v.key) = i)) END",
}  # fmt: skip

_MACROS: tuple[str, ...] = (
    """CREATE MACRO lb_digits(sign, digits, exponent) AS sign || left(digits, 1) || '.' ||
      CASE WHEN rtrim(substr(digits, 2), '0') = '' THEN '0' ELSE rtrim(substr(digits, 2), '0') END || 'E' || CAST(exponent AS VARCHAR)""",
    """CREATE MACRO lb_scientific_of(m) AS lb_digits(m.sign, ltrim(m.whole || coalesce(m.part, ''), '0'),
      len(m.whole) + coalesce(TRY_CAST(m.exponent AS INTEGER), 0) - 1
      - (len(m.whole || coalesce(m.part, '')) - len(ltrim(m.whole || coalesce(m.part, ''), '0'))))""",
    """CREATE MACRO lb_scientific(t) AS lb_scientific_of(regexp_extract(t, '^(-?)([0-9]+)(?:\\.([0-9]+))?(?:e([+-]?[0-9]+))?$',
      ['sign', 'whole', 'part', 'exponent']))""",
    *(f"CREATE MACRO {head} AS {body}" for head, body in _SCALARS.items()),
)
_BY_NAME = {re.match(r"CREATE MACRO (\w+)", text).group(1): text for text in _MACROS}  # type: ignore[union-attr]  # all begin so


def needed(sql: str) -> list[str]:
    """The statements that make the macros a text calls, and those they call, in order; making all costs 25 ms."""
    wanted: dict[str, None] = {}

    def visit(text: str) -> None:
        for name in re.findall(r"\blb_\w+(?=\()", text):
            if name in _BY_NAME and name not in wanted:
                visit(_BY_NAME[name].split(" AS ", 1)[1])
                wanted[name] = None

    visit(sql)
    return [_BY_NAME[name] for name in wanted]
