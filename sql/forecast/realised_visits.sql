-- What was expected of the last dates that are over everywhere, and what came of it: users who came, and sends in whose
-- hour the user visited, by date and by the log odds of the forecast. The plan corrects its forecasts, so what it expected
-- of a send is another number. Users who had never come before, and dates from before there were such chances, do not
-- count, nor do users who got a push (unpushed_forecasts.sql).

WITH events AS (
    SELECT *
    FROM ${events}
    WHERE dt BETWEEN '${closed_starts_minus_1}' AND '${closed_ends_plus_1}'
),

visits AS (
    ${visits}
),

forecasts AS (
    SELECT user_id, dt, CAST(visit_probability AS double) AS chance, visit_hour
    FROM (
        ${unpushed_forecasts}
    )
    WHERE visit_probability IS NOT NULL
),

sends AS (
    SELECT
        plans.user_id,
        plans.dt,
        plans.send_hour,
        CAST(plans.chance AS double) AS expected,
        forecasts.chance * element_at(forecasts.visit_hour, CAST(plans.send_hour AS integer) + 1) AS chance
    FROM "${database}".send_plans AS plans
    INNER JOIN forecasts ON forecasts.user_id = plans.user_id AND forecasts.dt = plans.dt
    WHERE plans.dt BETWEEN '${closed_starts}' AND '${closed_ends}' AND plans.visit_probability IS NOT NULL
)

SELECT
    'visitors' AS outcome,
    forecasts.dt,
    CAST(floor(4 * ln(greatest(chance, 1e-6) / greatest(1 - chance, 1e-6))) AS integer) AS quarter_of_log_odds,
    count(*) AS "rows",
    sum(chance) AS forecast,
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
    CAST(floor(4 * ln(greatest(chance, 1e-6) / greatest(1 - chance, 1e-6))) AS integer) AS quarter_of_log_odds,
    count(*) AS "rows",
    sum(chance) AS forecast,
    sum(expected) AS expected,
    sum(expected * (1 - expected)) AS variance,
    coalesce(sum(bitwise_and(bitwise_right_shift(visits.hourly_visits, send_hour), 1)), 0) AS realised
FROM sends
LEFT JOIN visits ON visits.user_id = sends.user_id AND visits.visit_date = sends.dt
GROUP BY 2, 3

ORDER BY outcome, dt, quarter_of_log_odds
