-- events -> visits: one row per user and LOCAL calendar day with at least one event.
-- Dialect: Athena engine version 3 (Trino). Local time is the UTC event time plus the event's own offset, so hours are
-- those of the user's clock, also when the clocks change or the user travels.

WITH local_events AS (
    SELECT
        user_id,
        event_time,
        hour(date_add('minute', utc_offset_minutes, event_time)) AS local_hour,
        CAST(date_add('minute', utc_offset_minutes, event_time) AS date) AS visit_date,
        utc_offset_minutes,
        page_type,
        platform
    FROM events
),

described_events AS (
    SELECT
        user_id,
        visit_date,
        local_hour,
        page_type,
        -- Time since the user's previous event, on any local day: a session may cross midnight. Events at one instant are
        -- ordered by offset, here and below, so that a rerun agrees.
        date_diff(
            'second',
            lag(event_time) OVER (PARTITION BY user_id ORDER BY event_time, utc_offset_minutes),
            event_time
        ) AS gap_s,
        -- First and last by instant, not by clock: on a day with two offsets the clock may have gone back.
        first_value(local_hour) OVER (
            PARTITION BY user_id, visit_date ORDER BY event_time, utc_offset_minutes
        ) AS day_first_hour,
        first_value(local_hour) OVER (
            PARTITION BY user_id, visit_date ORDER BY event_time DESC, utc_offset_minutes
        ) AS day_last_hour,
        -- A day has the platform and offset of its last event. Ties are broken by value, so that a rerun agrees.
        first_value(platform) OVER (
            PARTITION BY user_id, visit_date ORDER BY event_time DESC, platform
        ) AS day_platform,
        first_value(utc_offset_minutes) OVER (
            PARTITION BY user_id, visit_date ORDER BY event_time DESC, utc_offset_minutes
        ) AS day_utc_offset_minutes
    FROM local_events
)

SELECT
    user_id,
    CAST(visit_date AS varchar) AS visit_date,
    -- A gap of more than 30 minutes ends a session and is not time spent.
    coalesce(sum(CASE WHEN gap_s <= 1800 THEN gap_s END), 0) AS total_time_spent_s,
    count(*) AS total_page_views,
    count_if(page_type = 1) AS page_views_type_1,
    count_if(page_type = 2) AS page_views_type_2,
    count_if(page_type = 3) AS page_views_type_3,
    count_if(page_type = 4) AS page_views_type_4,
    max(day_first_hour) AS first_visit_hour,
    max(day_last_hour) AS last_visit_hour,
    -- Bit h is set when the user visited in local hour h.
    bitwise_or_agg(bitwise_left_shift(BIGINT '1', CAST(local_hour AS integer))) AS hourly_visits,
    max(day_platform) AS platform,
    max(day_utc_offset_minutes) AS utc_offset_minutes
FROM described_events
GROUP BY user_id, visit_date
ORDER BY user_id, visit_date
