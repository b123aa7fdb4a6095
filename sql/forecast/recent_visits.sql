-- The visits of a forecast's window: visits.sql on the partitions that can hold them, not on all history.
-- prepare_forecast fills the braces in, and puts the whole in the place of visits.sql in histories.sql.

WITH events AS (
    SELECT *
    FROM "${database}".events
    -- A local day touches the UTC dates around it.
    WHERE dt BETWEEN '${window_starts_minus_1}' AND '${forecast_date_plus_1}'
)

SELECT *
FROM (
    ${visits}
)
-- Where the forecast date has begun already, its first visits are not history.
WHERE visit_date >= '${window_starts}' AND visit_date < '${forecast_date}'
