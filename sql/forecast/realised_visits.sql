-- What was expected of the last dates that are over everywhere, and what came of it: users who came, by date and by the
-- log odds that they were given, and sends in whose hour the user visited. Users who had never come before, and dates
-- from before there were such chances, do not count.

WITH events AS (
    SELECT *
    FROM "${database}".events
    WHERE dt BETWEEN '${closed_starts_minus_1}' AND '${closed_ends_plus_1}'
),

visits AS (
    ${visits}
),

forecasts AS (
    SELECT user_id, dt, CAST(visit_probability AS double) AS chance
    FROM "${database}".visit_forecasts
    WHERE dt BETWEEN '${closed_starts}' AND '${closed_ends}' AND visit_probability IS NOT NULL
),

sends AS (
    SELECT user_id, dt, send_hour, CAST(chance AS double) AS chance
    FROM "${database}".send_plans
    WHERE dt BETWEEN '${closed_starts}' AND '${closed_ends}' AND visit_probability IS NOT NULL
)

SELECT
    'visitors' AS outcome,
    forecasts.dt,
    CAST(floor(4 * ln(greatest(chance, 1e-6) / greatest(1 - chance, 1e-6))) AS integer) AS quarter_of_log_odds,
    count(*) AS "rows",
    sum(chance) AS expected,
    sum(chance * (1 - chance)) AS variance,
    count(visits.user_id) AS realised
FROM forecasts
LEFT JOIN visits ON visits.user_id = forecasts.user_id AND visits.visit_date = forecasts.dt
GROUP BY 2, 3

UNION ALL

SELECT
    'sends' AS outcome,
    sends.dt,
    NULL AS quarter_of_log_odds,
    count(*) AS "rows",
    sum(chance) AS expected,
    sum(chance * (1 - chance)) AS variance,
    coalesce(sum(bitwise_and(bitwise_right_shift(visits.hourly_visits, send_hour), 1)), 0) AS realised
FROM sends
LEFT JOIN visits ON visits.user_id = sends.user_id AND visits.visit_date = sends.dt
GROUP BY 2

ORDER BY outcome, dt, quarter_of_log_odds
