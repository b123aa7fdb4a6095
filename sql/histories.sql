-- events -> histories: one row per user, whose visit days lie in parallel lists ordered by date. Written as Parquet, many
-- files at once, where one CSV of all visits would be too much for one writer and one reader.
--
-- A user is one row, so a user's whole history lies in exactly one file. Whoever shares the files out by S3 key
-- (ShardedByS3Key) therefore never parts a user's days, however UNLOAD cuts its files.
--
-- Two names in braces are filled in: the text of visits.sql when the SQL is published, and the destination, a prefix
-- with nothing under it, when the query is started.

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
        -- 64 files at least: enough to share among 20 instances, below the 100 partitions that UNLOAD may write.
        mod(crc32(to_utf8(user_id)), 64) AS bucket
    FROM (
        ${visits}
    )
    GROUP BY user_id
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['bucket'])
