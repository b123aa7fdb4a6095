-- Users of the last published forecasts, with the time of their last push: users who are absent for long stay known, and
-- nobody gets two pushes within the minimum gap. A rerun of a date reads earlier dates, not its own.

UNLOAD (
    SELECT
        known.user_id,
        known.platform,
        known.utc_offset_minutes,
        known.time_zone,
        known.last_visit_date,
        pushed.last_push_at
    FROM "${database}".visit_forecasts AS known
    LEFT JOIN (
        SELECT user_id, max(send_at_utc) AS last_push_at
        FROM "${database}".send_plans
        WHERE dt >= '${pushes_since}' AND dt < '${forecast_date}'
        GROUP BY user_id
    ) AS pushed ON pushed.user_id = known.user_id
    WHERE known.dt = (
        SELECT max(dt)
        FROM "${database}".visit_forecasts
        WHERE dt >= '${known_since}' AND dt < '${forecast_date}'
    )
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'SNAPPY')
