-- events, sends -> events: without the visits that pushes caused, as well as one can know. Otherwise the model would learn
-- its own pushes as the users' habits.
--
-- A session that begins within two hours of a push was caused by it, or the user would have come anyway. How many would,
-- the sends show that were withheld at random (arm no_push). So of the pushes with a session only such a share keeps
-- them: the share of the withheld sends with a session, over that of the pushes with one, among sends of about the same
-- chance whose users did, or did not, come at another time of the date too. Which ones keep them, a hash decides: a rerun
-- agrees. Without sends all events are kept, and without withheld ones too.

WITH timed AS (
    SELECT
        *,
        lag(event_time) OVER (PARTITION BY user_id ORDER BY event_time) AS previous_time
    FROM events
),

-- As in visits.sql, a gap of more than 30 minutes ends a session.
in_sessions AS (
    SELECT
        *,
        max(
            CASE WHEN previous_time IS NULL OR date_diff('second', previous_time, event_time) > 1800 THEN event_time END
        ) OVER (PARTITION BY user_id ORDER BY event_time) AS session_start
    FROM timed
),

sessions AS (
    SELECT
        user_id,
        session_start,
        CAST(
            CAST(date_add('minute', min_by(utc_offset_minutes, event_time), session_start) AS date) AS varchar
        ) AS start_date
    FROM in_sessions
    GROUP BY user_id, session_start
),

followed AS (
    SELECT
        sends.idempotency_key,
        sends.user_id,
        sends.dt,
        sends.send_at_utc,
        sends.withheld IS NOT NULL AS is_withheld,
        -- Groups of sends by the log odds of their chance, in steps of a half.
        CAST(floor(2 * ln(greatest(sends.chance, 1e-6) / greatest(1 - sends.chance, 1e-6))) AS integer) AS odds,
        count_if(
            sessions.session_start >= sends.send_at_utc
            AND sessions.session_start < date_add('hour', 2, sends.send_at_utc)
        ) AS responses,
        count(sessions.session_start) AS all_sessions
    FROM sends
    LEFT JOIN sessions ON sessions.user_id = sends.user_id AND sessions.start_date = sends.dt
    WHERE sends.chance IS NOT NULL AND (sends.withheld IS NULL OR sends.withheld = 'no_push')
    GROUP BY 1, 2, 3, 4, 5, 6
),

counted AS (
    SELECT
        all_sessions > responses AS came_otherwise,
        odds,
        count_if(is_withheld) AS withheld,
        count_if(is_withheld AND responses > 0) AS withheld_with,
        count_if(NOT is_withheld) AS pushed,
        count_if(NOT is_withheld AND responses > 0) AS pushed_with
    FROM followed
    GROUP BY 1, 2
),

-- Shares of all sends lend a group as much as 50 withheld sends would say, and "pushes cause nothing" as much as 20.
shares AS (
    SELECT
        came_otherwise,
        odds,
        pushed_with / CAST(pushed AS double) AS pushed_share,
        withheld,
        withheld_with,
        (sum(withheld_with) OVER whole + 20 * sum(pushed_with) OVER whole / CAST(sum(pushed) OVER whole AS double))
        / (sum(withheld) OVER whole + 20)
        / (sum(pushed_with) OVER whole / CAST(sum(pushed) OVER whole AS double)) AS kept_of_all
    FROM counted
    WHERE pushed_with > 0
    WINDOW whole AS (PARTITION BY came_otherwise)
)

SELECT 1
