-- Outcome of the forecasts of the last completed date: log loss of the first-visit hour in nats, and the share of best
-- hours with a visit. Only forecasts by the model count, as in the evaluation.

WITH events AS (
    SELECT *
    FROM "${database}".events
    WHERE dt BETWEEN '${outcome_date_minus_1}' AND '${outcome_date_plus_1}'
),

visits AS (
    ${visits}
)

SELECT
    count(*) AS "rows",
    avg(-ln(greatest(element_at(forecast.first_visit_hour, CAST(visit.first_visit_hour AS integer) + 1), 1e-12))) AS log_loss,
    avg(CAST(bitwise_and(bitwise_right_shift(visit.hourly_visits, forecast.best_hour), 1) AS double)) AS best_hour_hit_rate
FROM "${database}".visit_forecasts AS forecast
INNER JOIN visits AS visit ON visit.user_id = forecast.user_id AND visit.visit_date = forecast.dt
WHERE forecast.dt = '${outcome_date}' AND forecast.source = 'model'
