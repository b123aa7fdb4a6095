-- Visits in a forecast's window: visits.sql on the partitions of the window only. prepare_forecast fills in the
-- placeholders and uses the result instead of visits.sql in histories.sql.

WITH events AS (
    SELECT *
    FROM "${database}".events
    -- A local day overlaps the UTC dates around it.
    WHERE dt BETWEEN '${window_starts_minus_1}' AND '${forecast_date_plus_1}'
)

SELECT *
FROM (
    ${visits}
)
-- Visits on the forecast date itself are not history.
WHERE visit_date >= '${window_starts}' AND visit_date < '${forecast_date}'
