-- events table, sends -> visits: what training reads. Rows of a wrong clock or without an identifier are left out;
-- event_counts.sql counts them, and the run is refused if they are many.

WITH events AS (
    SELECT *
    FROM ${events}
    WHERE event_time >= TIMESTAMP '1990-01-01 00:00:00'
        AND event_time <= date_add('day', 1, CAST(current_timestamp AS timestamp))
        AND length(user_id) <= 256
        AND regexp_like(user_id, '[^\p{Z}\p{Cc}]')
        AND NOT regexp_like(user_id, '\p{Cc}')
)

SELECT *
FROM (
    ${visits_without_pushes}
)
ORDER BY user_id, visit_date
