import type { Micros } from '../../../clock.ts'
import type { Postgres } from '../connection/postgres.ts'

/** What there is to know of a PostgreSQL server before trusting it with history and sources. */
export interface PostgresFacts {
  /** As the server writes it: `15.18 (Debian …)`. */
  readonly version: string
  readonly majorVersion: number
  /** Median of a few statements. */
  readonly latencyMs: number
  /** Of the connection as the server sees it; behind a pooler that is the pooler's. */
  readonly isEncrypted: boolean
  /** The server's clock against ours: positive when it is ahead. */
  readonly clockSkew: Micros
  /** Two transactions of one client ran on different connections of the server. */
  readonly isPooled: boolean
  readonly role: string
  readonly isSuperuser: boolean
  /** Roles it belongs to by which it may read files, run programs, stop others or read every table of the server. */
  readonly powers: readonly string[]
  /** May read what Fabra keeps: keys, history, runs. */
  readonly readsFabra: boolean
  /** May make the schema `fabra`, or it is there and may be written. */
  readonly mayKeepHistory: boolean
  /** Tables outside of Fabra's schema that the role may change. */
  readonly writableTables: number
  /** A server that takes no writes. */
  readonly isReplica: boolean
  readonly freeConnections: number
}

const PINGS = 5
const LIMIT = { timeoutMs: 5_000, readOnly: true }

const FACTS = `
SELECT current_setting('server_version'),
  current_setting('server_version_num')::int / 10000,
  COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
  current_user,
  COALESCE((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false),
  (SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname IN ('pg_read_server_files',
    'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend', 'pg_read_all_data', 'pg_write_all_data')),
  COALESCE(has_schema_privilege(to_regnamespace('fabra'), 'USAGE'), false),
  CASE WHEN to_regnamespace('fabra') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
    ELSE has_schema_privilege(to_regnamespace('fabra'), 'CREATE') OR NOT EXISTS (
      SELECT FROM pg_class WHERE relnamespace = to_regnamespace('fabra') AND relkind IN ('r', 'p')
        AND NOT has_table_privilege(oid, 'SELECT, INSERT')) END,
  (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND nspname NOT IN ('fabra', 'information_schema') AND nspname NOT LIKE 'pg\\_%'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')),
  pg_is_in_recovery(),
  current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')`

/** @throws SqlError unavailable, timeout */
export async function inspectPostgres(postgres: Postgres): Promise<PostgresFacts> {
  // The first connects, which says nothing of later statements.
  await postgres.run('SELECT 1', [], LIMIT)
  const pings: { readonly ms: number; readonly skew: Micros }[] = []
  const backends = new Set<string>()
  for (let i = 0; i < PINGS; i++) {
    const sentAt = now()
    const { rows } = await postgres.run('SELECT pg_backend_pid(), (extract(epoch FROM clock_timestamp()) * 1000000)::int8', [], LIMIT)
    const cameAt = now()
    backends.add(rows[0]?.[0] ?? '')
    pings.push({ ms: (cameAt - sentAt) / 1000, skew: Number(rows[0]?.[1]) - (sentAt + cameAt) / 2 })
  }
  pings.sort((a, b) => a.ms - b.ms)
  const { rows } = await postgres.run(FACTS, [], LIMIT)
  const [version, major, ssl, role, superuser, powers, readsFabra, keeps, writable, replica, free] = rows[0] ?? []
  return {
    version: version ?? '',
    majorVersion: Number(major),
    latencyMs: pings[Math.floor(PINGS / 2)]?.ms ?? 0,
    isEncrypted: ssl === 't',
    // The quickest says most exactly when it was asked.
    clockSkew: Math.round(pings[0]?.skew ?? 0),
    isPooled: backends.size > 1,
    role: role ?? '',
    isSuperuser: superuser === 't',
    powers: powers ? powers.split(' ') : [],
    readsFabra: readsFabra === 't',
    mayKeepHistory: keeps === 't',
    writableTables: Number(writable),
    isReplica: replica === 't',
    freeConnections: Number(free),
  }
}

function now(): Micros {
  return Math.round((performance.timeOrigin + performance.now()) * 1000)
}
