-- events, sends -> visits, as visits.sql makes them, but only those that no push caused.

WITH events AS (
    ${own_events}
)

SELECT *
FROM (
    ${visits}
)
ORDER BY user_id, visit_date
