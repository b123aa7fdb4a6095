-- What a forecast is made from: every user's last visit days, from all events up to the instant at which the data end.
-- prepare_forecast fills in the placeholders and uses the result instead of own_visits.sql in histories.sql.

WITH events AS (
    SELECT *
    FROM ${events}
    WHERE dt <= '${as_of_date}' AND event_time < TIMESTAMP '${as_of}' AND event_time >= TIMESTAMP '1990-01-01 00:00:00'
),

sends AS (
    SELECT *
    FROM "${database}".sends
    WHERE dt <= '${as_of_date}' AND send_at_utc < TIMESTAMP '${as_of}'
)

SELECT *
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY user_id ORDER BY visit_date DESC) AS days_back
    FROM (
        ${visits_without_pushes}
    )
    -- East of Greenwich the date to forecast may have begun.
    WHERE visit_date < '${forecast_date}'
)
WHERE days_back <= ${history_visit_days}
    -- One earlier day a week, of which only the UTC offset is read: it tells the user's time zone.
    OR (
        visit_date >= '${record_starts}'
        AND mod(date_diff('day', DATE '1970-01-01', CAST(visit_date AS date)), 7) = 0
    )
