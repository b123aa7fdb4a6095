-- Sums per arm for the lift and its interval. A send is answered if the user visits within ${response_hours} hours; only
-- sends whose hours are over count.

WITH sends AS (
    SELECT user_id, arm, send_at_utc
    FROM "${database}".send_plans
    WHERE dt BETWEEN '${lift_starts}' AND '${forecast_date}'
        AND date_add('hour', ${response_hours}, send_at_utc) <= TIMESTAMP '${as_of}'
),

visited AS (
    SELECT user_id, event_time
    FROM "${database}".events
    WHERE dt BETWEEN '${lift_starts_minus_1}' AND '${forecast_date_plus_1}'
),

answered AS (
    SELECT
        sends.user_id,
        sends.arm,
        sends.send_at_utc,
        max(CASE WHEN visited.event_time IS NULL THEN 0 ELSE 1 END) AS answer
    FROM sends
    LEFT JOIN visited
        ON visited.user_id = sends.user_id
        AND visited.event_time >= sends.send_at_utc
        AND visited.event_time < date_add('hour', ${response_hours}, sends.send_at_utc)
    GROUP BY sends.user_id, sends.arm, sends.send_at_utc
),

users AS (
    SELECT arm, user_id, count(*) AS sends, sum(answer) AS responses
    FROM answered
    GROUP BY arm, user_id
)

SELECT
    arm,
    count(*) AS users,
    sum(sends) AS sends,
    sum(responses) AS responses,
    sum(sends * sends) AS sends_squared,
    sum(responses * responses) AS responses_squared,
    sum(sends * responses) AS sends_times_responses
FROM users
GROUP BY arm
ORDER BY arm
