-- events, sends -> histories: one row per user with the visit days as parallel arrays ordered by date. Written as many Parquet
-- files in parallel, for data that is too large for a single CSV file.
--
-- A user is one row, so a user's whole history is in one file, and instances that share the files by S3 key
-- (ShardedByS3Key) never split a user's days.
--
-- Two placeholders: publishing the SQL fills in the text of own_visits.sql, starting the query the destination, an empty prefix.

UNLOAD (
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
        -- At least 64 files: enough for 20 instances, and below the 100 partitions that UNLOAD may write.
        mod(crc32(to_utf8(user_id)), 64) AS bucket
    FROM (
        ${own_visits}
    )
    GROUP BY user_id
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['bucket'])
