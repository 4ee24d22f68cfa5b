"""``docs/services/athena-functions.md``: the functions of Athena's engine version 3 by family, and which the compiler knows.

The families are those of https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html and Trino's pages; whether a
function is built is asked of the compiler's own tables. Run: ``python -m tools.athena_functions``.
"""

# ruff: noqa: E501, ISC004 - lists of names

from __future__ import annotations

from pathlib import Path

from lakebed.lake.sql.aggregates import AGGREGATES, WINDOWS
from lakebed.lake.sql.functions import SPECIAL
from lakebed.lake.sql.scalars import TABLE

# Grammar rather than functions, or handled by nodes of their own.
_GRAMMAR = {"cast", "try_cast", "extract", "position", "current_time", "localtime", "if", "row"} - {
    "current_time",
    "localtime",
}
FAMILIES: dict[str, str] = {
    "Aggregate": "any_value arbitrary array_agg avg bool_and bool_or checksum count count_if every geometric_mean listagg max "
    "max_by min min_by sum bitwise_and_agg bitwise_or_agg bitwise_xor_agg histogram map_agg map_union multimap_agg "
    "approx_distinct approx_most_frequent approx_percentile approx_set merge numeric_histogram qdigest_agg tdigest_agg corr "
    "covar_pop covar_samp kurtosis regr_intercept regr_slope skewness stddev stddev_pop stddev_samp variance var_pop var_samp "
    "reduce_agg grouping entropy",
    "Array": "all_match any_match array_distinct array_intersect array_union array_except array_histogram array_join array_max "
    "array_min array_position array_remove array_sort arrays_overlap cardinality combinations contains contains_sequence "
    "element_at filter flatten ngrams none_match reduce repeat reverse sequence shuffle slice transform trim_array zip zip_with",
    "Binary": "crc32 from_base32 from_base64 from_base64url from_big_endian_32 from_big_endian_64 from_hex from_ieee754_32 "
    "from_ieee754_64 hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 md5 murmur3 sha1 sha256 sha512 spooky_hash_v2_32 "
    "spooky_hash_v2_64 to_base32 to_base64 to_base64url to_big_endian_32 to_big_endian_64 to_hex to_ieee754_32 to_ieee754_64 "
    "xxhash64",
    "Bitwise": "bit_count bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
    "bitwise_right_shift_arithmetic bitwise_xor",
    "Color": "bar color render rgb",
    "Conditional and conversion": "coalesce format format_number greatest if least nullif parse_data_size try try_cast typeof cast",
    "Date and time": "at_timezone current_date current_time current_timestamp current_timezone date date_add date_diff "
    "date_format date_parse date_trunc day day_of_month day_of_week day_of_year dow doy extract format_datetime "
    "from_iso8601_date from_iso8601_timestamp from_iso8601_timestamp_nanos from_unixtime from_unixtime_nanos hour "
    "human_readable_seconds last_day_of_month localtime localtimestamp millisecond minute month now parse_datetime "
    "parse_duration quarter second timezone_hour timezone_minute to_iso8601 to_milliseconds to_unixtime week week_of_year "
    "with_timezone year year_of_week yow",
    "Geospatial": "ST_Area ST_AsText ST_Buffer ST_Contains ST_Distance ST_GeometryFromText ST_Intersects ST_Point ST_Polygon "
    "ST_Within bing_tile great_circle_distance to_spherical_geography",
    "JSON": "is_json_scalar json_array_contains json_array_get json_array_length json_exists json_extract json_extract_scalar "
    "json_format json_parse json_query json_size json_value json_array json_object",
    "Map": "map map_concat map_entries map_filter map_from_entries map_keys map_values map_zip_with multimap_from_entries "
    "transform_keys transform_values",
    "Math": "abs acos asin atan atan2 beta_cdf cbrt ceil ceiling cos cosh cosine_similarity degrees e exp floor from_base "
    "infinity inverse_beta_cdf inverse_normal_cdf is_finite is_infinite is_nan ln log log10 log2 mod nan normal_cdf pi pow "
    "power radians rand random round sign sin sinh sqrt t_cdf t_pdf tan tanh to_base truncate width_bucket "
    "wilson_interval_lower wilson_interval_upper",
    "Regular expression": "regexp_count regexp_extract regexp_extract_all regexp_like regexp_position regexp_replace regexp_split",
    "String": "chr codepoint concat concat_ws format from_utf8 hamming_distance length levenshtein_distance lower lpad ltrim "
    "luhn_check normalize position replace reverse rpad rtrim soundex split split_part split_to_map split_to_multimap "
    "starts_with strpos substr substring to_utf8 translate trim upper word_stem",
    "Teradata": "char2hexint index to_char to_date to_timestamp",
    "URL": "url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter url_extract_path url_extract_port "
    "url_extract_protocol url_extract_query",
    "UUID and session": "uuid current_user current_catalog current_schema version",
    "Window": "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number",
}


def known() -> set[str]:
    """Every name the compiler has a rule for."""
    return (
        {line.split(" ", 1)[0] for line in TABLE.strip().splitlines()}
        | set(SPECIAL)
        | set(AGGREGATES)
        | set(WINDOWS)
        | _GRAMMAR
    )


def page() -> str:
    """The page."""
    built = known()
    lines = ["# Athena's functions", "", "Generated by `python -m tools.athena_functions`. What is refused is refused by its name: "
             "FUNCTION_NOT_FOUND or NOT_SUPPORTED. A name that is built may refuse some of its forms: docs/deviations/athena.md.",
             "", "| Family | Built | Refused by name |", "| --- | --- | --- |"]  # fmt: skip
    total = right = 0
    for family, names in FAMILIES.items():
        listed = sorted(set(names.split()))
        yes = [name for name in listed if name.lower() in built]
        total, right = total + len(listed), right + len(yes)
        lines.append(
            f"| {family} | {', '.join(yes)} | {', '.join(name for name in listed if name.lower() not in built)} |"
        )
    return "\n".join([*lines, "", f"{right} of {total} names are built.", ""])


if __name__ == "__main__":
    Path("docs/services/athena-functions.md").write_text(page(), encoding="utf-8")
