-- Sums per arm, third and outcome for the lift of a campaign: users with n sends, y of which had the outcome, and z = n times
-- the probability of coming as it was at the user's first send. Later probabilities have seen the pushes. A user stays
-- in the first arm. Sends count as soon as 24 hours and the response hours are closed. The outcome "sent" has the dates
-- since the user's first send as n, and the sends as y. The thirds are those of the users of the experiment's first date,
-- by that probability, so that nobody changes from one to another.

WITH recorded AS (
    SELECT
        user_id,
        arm,
        dt,
        send_at_utc,
        withheld,
        idempotency_key,
        coalesce(CAST(visit_probability AS double), 0) AS chance
    FROM "${database}".sends
    WHERE campaign = '${lift_campaign}' AND salt = '${lift_salt}' AND dt <= '${forecast_date}'
),

bounds AS (
    SELECT
        max(CASE WHEN third = 1 THEN chance END) AS of_first,
        max(CASE WHEN third = 2 THEN chance END) AS of_second
    FROM (
        SELECT chance, ntile(3) OVER (ORDER BY chance) AS third
        FROM recorded
        WHERE dt = (SELECT min(dt) FROM recorded)
    )
),

first_sends AS (
    SELECT
        user_id,
        arm,
        chance,
        dt,
        CASE WHEN chance <= of_first THEN 1 WHEN chance <= of_second THEN 2 ELSE 3 END AS third
    FROM (
        SELECT user_id, min_by(arm, dt) AS arm, min_by(chance, dt) AS chance, greatest(min(dt), '${lift_starts}') AS dt
        FROM recorded
        GROUP BY user_id
    )
    CROSS JOIN bounds
),

closed AS (
    SELECT *
    FROM recorded
    WHERE dt >= '${lift_starts}'
        AND date_add('hour', greatest(24, ${response_hours}), send_at_utc) <= TIMESTAMP '${as_of}'
),

visited AS (
    SELECT
        user_id,
        event_time,
        CAST(CAST(date_add('minute', utc_offset_minutes, event_time) AS date) AS varchar) AS visit_date
    FROM ${events}
    WHERE dt BETWEEN '${lift_starts_minus_1}' AND '${as_of_date}'
),

-- The next visit after each send by one pass over both in the order of time: a join would pair all of a user's.
in_order AS (
    SELECT
        idempotency_key,
        min(event_time) OVER (
            PARTITION BY user_id ORDER BY at_utc, is_visit ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS next_visit
    FROM (
        SELECT user_id, idempotency_key, send_at_utc AS at_utc, 0 AS is_visit, NULL AS event_time
        FROM closed
        UNION ALL
        SELECT user_id, NULL, event_time, 1, event_time
        FROM visited
    ) AS sends_and_visits
),

reports AS (
    SELECT
        idempotency_key,
        max(CASE status WHEN 'opened' THEN 1 END) AS opened,
        max(CASE status WHEN 'opted_out' THEN 1 END) AS opted_out
    FROM "${database}".push_reports
    WHERE status IN ('opened', 'opted_out') AND dt BETWEEN '${lift_starts_minus_1}' AND '${as_of_date}'
    GROUP BY idempotency_key
),

users AS (
    SELECT
        first_sends.arm,
        first_sends.third,
        first_sends.chance,
        date_diff('day', CAST(first_sends.dt AS date), CAST(last_date.dt AS date)) + 1 AS dates,
        count(*) AS sends,
        count(CASE WHEN closed.withheld IS NULL THEN 1 END) AS pushes,
        count(days.visit_date) AS visited_date,
        count(CASE WHEN in_order.next_visit < date_add('hour', 24, closed.send_at_utc) THEN 1 END) AS visited_24_hours,
        count(CASE WHEN in_order.next_visit < date_add('hour', ${response_hours}, closed.send_at_utc) THEN 1 END) AS hit,
        count(reports.opened) AS opened,
        count(reports.opted_out) AS opted_out
    FROM closed
    INNER JOIN first_sends ON first_sends.user_id = closed.user_id
    INNER JOIN in_order ON in_order.idempotency_key = closed.idempotency_key
    CROSS JOIN (SELECT max(dt) AS dt FROM closed) AS last_date
    LEFT JOIN (SELECT DISTINCT user_id, visit_date FROM visited) AS days
        ON days.user_id = closed.user_id AND days.visit_date = closed.dt
    LEFT JOIN reports ON reports.idempotency_key = closed.idempotency_key
    GROUP BY closed.user_id, first_sends.arm, first_sends.third, first_sends.chance, first_sends.dt, last_date.dt
),

counts AS (
    SELECT
        arm,
        third,
        outcome,
        dates,
        pushes,
        chance,
        CASE outcome WHEN 'sent' THEN dates ELSE sends END AS n,
        CASE outcome
            WHEN 'sent' THEN sends
            WHEN 'visited_date' THEN visited_date
            WHEN 'visited_24_hours' THEN visited_24_hours
            WHEN 'hit' THEN hit
            WHEN 'opened' THEN opened
            ELSE opted_out
        END AS y
    FROM users
    CROSS JOIN (
        VALUES ('sent'), ('visited_date'), ('visited_24_hours'), ('hit'), ('opened'), ('opted_out')
    ) AS outcomes (outcome)
)

SELECT
    arm,
    third,
    outcome,
    min(chance) AS lowest_chance,
    max(chance) AS highest_chance,
    max(dates) AS dates,
    sum(pushes) AS pushes,
    count(*) AS users,
    sum(n) AS sends,
    sum(y) AS outcomes,
    sum(n * chance) AS predicted,
    sum(n * n) AS sends_squared,
    sum(y * y) AS outcomes_squared,
    sum(n * y) AS sends_times_outcomes,
    sum(n * n * chance * chance) AS predicted_squared,
    sum(n * n * chance) AS sends_times_predicted,
    sum(n * y * chance) AS outcomes_times_predicted
FROM counts
GROUP BY arm, third, outcome
ORDER BY arm, third, outcome
