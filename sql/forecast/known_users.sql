-- Users of the last published forecasts: users who are absent for long stay known. A rerun of a date reads earlier dates,
-- not its own.

UNLOAD (
    SELECT
        user_id,
        platform,
        utc_offset_minutes,
        time_zone,
        last_visit_date
    FROM "${database}".visit_forecasts
    WHERE dt = (
        SELECT max(dt)
        FROM "${database}".visit_forecasts
        WHERE dt >= '${known_since}' AND dt < '${forecast_date}'
    )
)
TO '${destination}'
WITH (format = 'PARQUET', compression = 'SNAPPY')
