/**
 * Three million flights in the United States in the first half of 2001, as airlines reported them to the Bureau of
 * Transportation Statistics. The file comes with the npm package vega-datasets. To look at an ordinary Thursday noon:
 *
 *     fabra serve examples/flights.ts --clock 2001-03-15T12:00:00Z
 *     curl 'http://127.0.0.1:8000/v1/features/departures_1h?entity_id=ATL'
 *
 * Three things to know about the data. Times are the airport's own local time without a zone: read as UTC here, which is
 * right for every question about one airport, and wrong for comparing airports. `delay` is in minutes and negative when
 * early, with a few absurd values (−1116) left as they came. The file ends on 2001-07-01.
 */
import { entity, feature, featureSet, source } from "fabra";

export const Airport = entity("Airport", { key: "origin" });

export const flights = source("flights", {
  timestamp: "date",
  file: "../node_modules/vega-datasets/data/flights-3m.parquet",
});

/** Departures in the last hour, counted in the request. */
export const departures_1h = feature({
  entity: Airport,
  refresh: 0,
  type: "int",
  sql: `SELECT COUNT(*) FROM flights
        WHERE origin = $origin AND date > NOW() - INTERVAL '1 hour'`,
});

/** Mean delay of the last day's flights, in minutes. Null where nothing departed. */
export const mean_delay_24h = feature({
  entity: Airport,
  refresh: "5m",
  type: "float",
  sql: `SELECT AVG(delay) FROM flights
        WHERE origin = $origin AND date > NOW() - INTERVAL '24 hours'`,
});

/** The last week: how many flights, and the share of them more than 15 minutes late. */
export const week = feature({
  entity: Airport,
  refresh: "1h",
  columns: { flights: "int", delayed_share: "float" },
  sql: `SELECT COUNT(*) AS flights, AVG((delay > 15)::INT) AS delayed_share FROM flights
        WHERE origin = $origin AND date > NOW() - INTERVAL '7 days'`,
});

/** Where most of the last day's flights went; ties go to the first name in the alphabet. */
export const busiest_route_24h = feature({
  entity: Airport,
  refresh: "15m",
  type: "string",
  default: "none",
  sql: `SELECT destination FROM flights
        WHERE origin = $origin AND date > NOW() - INTERVAL '24 hours'
        GROUP BY destination ORDER BY COUNT(*) DESC, destination LIMIT 1`,
});

/** Is this hour busier than usual? 1 is an average hour of the last week. */
export const rush = feature({ entity: Airport, refresh: 0, type: "float" }, async (airport, { get }) => {
  const usual = ((await get<number>("week.flights")) ?? 0) / (7 * 24);
  return ((await get(departures_1h)) ?? 0) / Math.max(usual, 1);
});

export const delay_model = featureSet("delay_model", [departures_1h, mean_delay_24h, week, busiest_route_24h, rush]);
