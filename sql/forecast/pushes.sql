-- Pushes of all campaigns to each user around the forecast date, and users who opted out. Pushes are those of the plans
-- that stand: such a plan may be handed over at any moment, and its rows stay where its run wrote them. The workflow
-- fills in the names of these runs instead of the braces.

WITH pushes AS (
    SELECT
        user_id,
        CAST(to_unixtime(send_at_utc) AS bigint) / 60 AS minute,
        date_diff('day', DATE '1970-01-01', CAST(send_at_local AS date)) AS day
    FROM "${database}".plans_by_run
    WHERE run IN ({}) AND CAST(send_at_local AS date) BETWEEN DATE '${near_starts}' AND DATE '${near_ends}'
),

pushed AS (
    SELECT
        user_id,
        array_join(array_agg(minute ORDER BY minute), ' ') AS pushed_at,
        array_join(array_agg(day ORDER BY day), ' ') AS pushed_on
    FROM pushes
    GROUP BY user_id
),

opted_out AS (
    SELECT DISTINCT user_id
    FROM "${database}".push_reports
    WHERE status = 'opted_out'
)

SELECT
    coalesce(pushed.user_id, opted_out.user_id) AS user_id,
    pushed.pushed_at,
    pushed.pushed_on,
    CASE WHEN opted_out.user_id IS NULL THEN 0 ELSE 1 END AS opted_out
FROM pushed
FULL OUTER JOIN opted_out ON opted_out.user_id = pushed.user_id
