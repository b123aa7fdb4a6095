-- events -> recent histories: one row per user who came within the window, as in histories.sql but for the days before
-- the forecast date only. Athena reads the partitions of the window, not all history.
--
-- The braces are filled in by the function prepare_forecast.

UNLOAD (
    WITH events AS (
        SELECT *
        FROM "${database}".events
        -- A local day touches the UTC dates around it.
        WHERE dt BETWEEN '${window_starts_minus_1}' AND '${forecast_date_plus_1}'
    )
    SELECT
        user_id,
        array_agg(CAST(visit_date AS date) ORDER BY visit_date) AS visit_date,
        array_agg(total_time_spent_s ORDER BY visit_date) AS total_time_spent_s,
        array_agg(total_page_views ORDER BY visit_date) AS total_page_views,
        array_agg(page_views_type_1 ORDER BY visit_date) AS page_views_type_1,
        array_agg(page_views_type_2 ORDER BY visit_date) AS page_views_type_2,
        array_agg(page_views_type_3 ORDER BY visit_date) AS page_views_type_3,
        array_agg(page_views_type_4 ORDER BY visit_date) AS page_views_type_4,
        array_agg(first_visit_hour ORDER BY visit_date) AS first_visit_hour,
        array_agg(last_visit_hour ORDER BY visit_date) AS last_visit_hour,
        array_agg(hourly_visits ORDER BY visit_date) AS hourly_visits,
        array_agg(platform ORDER BY visit_date) AS platform,
        array_agg(utc_offset_minutes ORDER BY visit_date) AS utc_offset_minutes,
        mod(crc32(to_utf8(user_id)), 64) AS bucket
    FROM (
        ${visits}
    )
    -- Where the forecast date has begun already, its first visits are not history.
    WHERE visit_date >= '${window_starts}' AND visit_date < '${forecast_date}'
    GROUP BY user_id
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['bucket'])
