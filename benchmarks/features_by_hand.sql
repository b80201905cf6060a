-- The shop's features in plain DuckDB SQL: the history of items, then the features of shards. Their
-- values equal those of features/shop.py of a project; scale.py fills in the names in braces.
WITH by_day AS (
  SELECT item, (time - {start}) // 86400 AS day, count(*) AS shown, sum(click) AS clicks
  FROM '{all_impressions}' GROUP BY ALL
), days AS (SELECT day FROM by_day UNION SELECT day + 1 FROM by_day)
SELECT item, day,
  coalesce(sum(shown) OVER past, 0)::BIGINT AS item_shown,
  coalesce(sum(clicks) OVER past, 0)::BIGINT AS item_clicks
FROM (SELECT item FROM '{items}') CROSS JOIN days LEFT JOIN by_day USING (item, day)
WINDOW past AS (PARTITION BY item ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
ORDER BY item, day
;
WITH priced AS MATERIALIZED (
  SELECT item, category, list_price_cents,
    sum(list_price_cents) OVER same / count(*) OVER same AS category_price,
    floor((2000 * list_price_cents * count(*) OVER same + sum(list_price_cents) OVER same)
      / (2 * sum(list_price_cents) OVER same))::BIGINT AS ratio,
    dense_rank() OVER (ORDER BY category) - 1 AS shelf
  FROM '{items}' WINDOW same AS (PARTITION BY category)
), by_user AS (
  SELECT "user", time, count(*) AS shown, sum(click) AS clicks, sum(ratio * click) AS ratios
  FROM '{impressions}' JOIN priced USING (item) GROUP BY ALL
), user_past AS (
  SELECT "user", time, coalesce(sum(shown) OVER past, 0) AS user_shown,
    coalesce(sum(clicks) OVER past, 0) AS user_clicks, sum(ratios) OVER past AS user_ratio,
    max(time) OVER past AS user_last
  FROM by_user
  WINDOW past AS (PARTITION BY "user" ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), by_taste AS (
  SELECT "user", shelf, time, count(*) AS shown, sum(click) AS clicks
  FROM '{impressions}' JOIN priced USING (item) GROUP BY ALL
), taste_past AS (
  SELECT "user", shelf, time, coalesce(sum(shown) OVER past, 0) AS taste_shown,
    coalesce(sum(clicks) OVER past, 0) AS taste_clicks
  FROM by_taste
  WINDOW past AS (PARTITION BY "user", shelf ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), shown AS NOT MATERIALIZED (
  SELECT *, (time - {start}) // 86400 AS day FROM '{impressions}'
)
SELECT "user", visit, position, "user" * 65536 + visit AS slate, day, item, click,
  price_cents::DOUBLE AS price, 1 - price_cents / list_price_cents AS discount,
  list_price_cents / category_price AS relative_price,
  (time % 86400 // 3600)::DOUBLE AS hour, ((time // 86400 + 3) % 7)::DOUBLE AS weekday,
  device, segment, category, (day - joined_day)::DOUBLE AS tenure_days,
  user_shown::DOUBLE AS user_shown, (user_clicks + 1) / (user_shown + 12) AS user_rate,
  user_ratio / nullif(user_clicks, 0) / 1000 AS user_price_ratio,
  (time - user_last) / 86400 AS user_days_since,
  taste_shown::DOUBLE AS taste_shown, (taste_clicks + 1) / (taste_shown + 12) AS taste_rate,
  (taste_clicks + 1) / (taste_shown + 12) / ((user_clicks + 1) / (user_shown + 12)) AS taste_lift,
  item_shown::DOUBLE AS item_shown, (item_clicks + 1) / (item_shown + 12) AS item_rate
FROM shown JOIN priced USING (item) JOIN '{users}' USING ("user") JOIN '{history}' USING (item, day)
  JOIN user_past USING ("user", time) JOIN taste_past USING ("user", shelf, time)
ORDER BY "user", visit, position
;
