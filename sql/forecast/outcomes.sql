-- Outcomes of the forecasts of the last week that is over everywhere: log loss of the first-visit hour in nats, and the
-- share of best hours with a visit. Only forecasts by the model count, as in the evaluation, of users without a push on
-- the date.

WITH events AS (
    SELECT *
    FROM ${events}
    WHERE dt BETWEEN '${week_starts_minus_1}' AND '${closed_ends_plus_1}'
),

visits AS (
    ${visits}
),

judged AS (
    SELECT
        forecast.user_id,
        -ln(greatest(element_at(forecast.first_visit_hour, CAST(visit.first_visit_hour AS integer) + 1), 1e-12)) AS loss,
        bitwise_and(bitwise_right_shift(visit.hourly_visits, forecast.best_hour), 1) AS hit
    FROM (
        ${unpushed_forecasts}
    ) AS forecast
    INNER JOIN visits AS visit ON visit.user_id = forecast.user_id AND visit.visit_date = forecast.dt
    WHERE forecast.dt >= '${week_starts}' AND forecast.source = 'model'
)

SELECT
    count(*) AS "rows",
    count(DISTINCT user_id) AS users,
    avg(loss) AS log_loss,
    stddev_samp(loss) AS log_loss_deviation,
    avg(CAST(hit AS double)) AS best_hour_hit_rate
FROM judged
