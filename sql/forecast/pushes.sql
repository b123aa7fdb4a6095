-- Pushes of all campaigns to each user around the forecast date, and users who opted out. Pushes are those of the plans
-- that stand: such a plan may be handed over at any moment, and its rows stay where its run wrote them. The workflow
-- fills in the names of these runs instead of the braces.

WITH pushes AS (
    SELECT
        user_id,
        array_join(array_agg(CAST(to_unixtime(send_at_utc) AS bigint) / 60), ' ') AS pushed_at,
        array_join(array_agg(date_diff('day', DATE '1970-01-01', CAST(send_at_local AS date))), ' ') AS pushed_on
    FROM "${database}".plans_by_run
    WHERE run IN ({}) AND CAST(send_at_local AS date) BETWEEN DATE '${near_starts}' AND DATE '${near_ends}'
    GROUP BY user_id
),

opted_out AS (
    SELECT DISTINCT user_id
    FROM "${database}".push_reports
    WHERE status = 'opted_out'
)

SELECT
    coalesce(pushes.user_id, opted_out.user_id) AS user_id,
    pushes.pushed_at,
    pushes.pushed_on,
    CASE WHEN opted_out.user_id IS NULL THEN 0 ELSE 1 END AS opted_out
FROM pushes
FULL OUTER JOIN opted_out ON opted_out.user_id = pushes.user_id
