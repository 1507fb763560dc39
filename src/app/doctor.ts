/** What stands in the way of production, found by asking the stores. Nothing is changed, and no address or password is repeated. */
import { dirname } from 'node:path'
import type { Config } from '../config/config.ts'
import type { Registry } from '../definition/model.ts'
import { problemText } from '../definition/problems.ts'
import { FabraError } from '../errors.ts'
import { SqlError } from '../store/ports/source-engine.ts'
import { createPostgresAdminStore } from '../store/postgres/admin-store.ts'
import { openPostgres } from '../store/postgres/connection/connection.ts'
import { inspectPostgres, type PostgresFacts } from '../store/postgres/inspect/inspect.ts'
import { inspectSources, type SourceFacts } from '../store/postgres/inspect/inspect-sources.ts'
import { migrationState } from '../store/postgres/schema/migrate.ts'
import { inspectRedis, type RedisFacts } from '../store/redis/inspect.ts'
import { openRedis } from '../store/redis/socket/connection.ts'
import { checkPlace, checkProject } from './checked-definitions.ts'
import { examineArchive } from './doctor-archive.ts'
import { examineFile } from './doctor-file.ts'
import type { Finding } from './finding.ts'

type Judge = (subject: string, state: Finding['state'], message: string, fix?: string) => void

const SLOW_MS = 5
const SKEW_MICROS = 1_000_000

/** @param files Definition files whose sources are looked at; none: they are left out. */
export async function examine(config: Config, files: readonly string[]): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  const judge: Judge = (subject, state, message, fix) =>
    findings.push({ subject, state, message, fix: state === 'ok' ? null : (fix ?? null) })
  judgeConfig(config, judge)
  if (config.postgresUrl === null) findings.push(...(await examineFile(config)))
  if (config.postgresUrl !== null) await examinePostgres('PostgreSQL', config.postgresUrl, config, judge)
  if (config.sourceUrl !== null) await examinePostgres('source database', config.sourceUrl, config, judge)
  if (files.length > 0) await examineDefinitions(config, files, judge)
  if (config.redisUrl !== null) await examineRedis(config.redisUrl, judge)
  findings.push(...(await examineArchive(config)))
  return findings
}

function judgeConfig({ env, postgresUrl, redisUrl }: Config, judge: Judge): void {
  const isProduction = env === 'production'
  judge('environment', 'ok', isProduction ? 'FABRA_ENV=production' : 'FABRA_ENV=development (laptop mode where an address is missing)')
  const absent = (name: string, what: string, example: string) =>
    judge(name, isProduction ? 'problem' : 'warning', `not set: ${what}`, `${name}=${example}`)
  if (postgresUrl === null)
    absent('FABRA_POSTGRES_URL', 'history is in the DuckDB file of this machine', 'postgres://user:password@host:5432/database')
  if (redisUrl === null) absent('FABRA_REDIS_URL', 'latest values are in the memory of this process', 'redis://host:6379')
}

async function examinePostgres(subject: string, url: string, config: Config, judge: Judge): Promise<void> {
  const isSource = subject !== 'PostgreSQL'
  try {
    const postgres = openPostgres({ url, applicationName: 'fabra doctor', maxConnections: 1 })
    try {
      const facts = await inspectPostgres(postgres)
      judgePostgres(subject, facts, judge)
      judgePowers(subject, facts, judge)
      if (isSource || config.sourceUrl === null) judgeSourceRole(isSource, facts, judge)
      if (isSource) return
      if (!facts.mayKeepHistory)
        judge(
          subject,
          'problem',
          `the role "${facts.role}" may not write the schema "fabra"`,
          `GRANT CREATE ON DATABASE … TO ${facts.role}, then: fabra migrate`,
        )
      const steps = await migrationState(postgres)
      const isBegun = steps.some(({ applied }) => applied)
      const pending = steps.filter(({ applied, finishes }) => !applied && !(finishes && isBegun))
      if (pending.length === 0) judge(subject, 'ok', 'the schema "fabra" is up to date')
      else
        judge(
          subject,
          'warning',
          `the schema "fabra" lacks ${pending.length === 1 ? 'a step' : `${pending.length} steps`}`,
          'fabra migrate (serve does it too)',
        )
      if (isBegun && steps.some(({ applied, finishes }) => finishes && !applied))
        judge(
          subject,
          'ok',
          'history is written as the version before writes it, in twice the bytes',
          'fabra migrate --finish, when no process of the version before runs any more',
        )
      if (pending.length === 0) await judgeKeys(config, createPostgresAdminStore(postgres).apiKeys(), judge)
      else await judgeKeys(config, Promise.resolve([]), judge)
    } finally {
      await postgres.close()
    }
  } catch (error) {
    judge(subject, 'problem', `cannot be used: ${reasonOf(error)}`, hintOf(error) ?? 'Check the address, the network and the password.')
  }
}

function judgePostgres(subject: string, facts: PostgresFacts, judge: Judge): void {
  judge(
    subject,
    'ok',
    `reachable, version ${facts.version.split(' ')[0]}, role "${facts.role}"${facts.isPooled ? ', behind a pooler in transaction mode' : ''}`,
  )
  if (facts.majorVersion < 14) judge(subject, 'problem', `version ${facts.majorVersion} is too old`, 'Use PostgreSQL 14 or newer.')
  const latency = `${facts.latencyMs.toFixed(1)} ms a statement`
  if (facts.latencyMs > SLOW_MS) judge(subject, 'warning', `${latency}: far away`, 'Run Fabra in the region of the database.')
  else judge(subject, 'ok', latency)
  if (facts.isEncrypted) judge(subject, 'ok', 'the connection is encrypted')
  else judge(subject, 'warning', 'the connection is not encrypted', 'Add ?sslmode=require to the address, unless the network is private.')
  judgeSkew(subject, facts.clockSkew, judge)
  if (facts.isReplica)
    judge(subject, subject === 'PostgreSQL' ? 'problem' : 'ok', 'it is a replica that takes no writes', 'Give the address of the primary.')
  if (facts.freeConnections < 20)
    judge(
      subject,
      'warning',
      `only ${facts.freeConnections} of its connections are free`,
      'Raise max_connections, or put PgBouncer before it (transaction mode works).',
    )
}

/** What no role of Fabra needs, and what a mistake in any SQL would then reach. */
function judgePowers(subject: string, { role, isSuperuser, powers }: PostgresFacts, judge: Judge): void {
  if (isSuperuser)
    judge(subject, 'warning', `Fabra connects as the superuser "${role}"`, 'Connect as an ordinary role that owns its database.')
  else if (powers.length > 0)
    judge(subject, 'warning', `the role "${role}" is a member of ${powers.join(', ')}`, `REVOKE ${powers.join(', ')} FROM ${role}`)
}

/** SQL of features runs with this role. */
function judgeSourceRole(isSource: boolean, facts: PostgresFacts, judge: Judge): void {
  const subject = isSource ? 'source database' : 'PostgreSQL'
  const fix = 'fabra migrate --source-role fabra_reader makes a role that may only SELECT, and prints the FABRA_SOURCE_URL to set.'
  if (facts.isSuperuser) judge(subject, 'warning', `SQL of features runs as the superuser "${facts.role}" (in read-only transactions)`, fix)
  else if (isSource && facts.readsFabra)
    judge(
      subject,
      'warning',
      `"${facts.role}" may read the schema "fabra", where API keys are`,
      `REVOKE ALL ON SCHEMA fabra FROM ${facts.role}`,
    )
  else if (facts.writableTables > 0)
    judge(
      subject,
      'warning',
      `SQL of features runs as "${facts.role}", which may change ${facts.writableTables} tables (in read-only transactions)`,
      fix,
    )
  else judge(subject, 'ok', `SQL of features runs as "${facts.role}", which may only read`)
}

function judgeSkew(subject: string, skew: number, judge: Judge): void {
  const text = `its clock is ${(Math.abs(skew) / 1000).toFixed(0)} ms ${skew < 0 ? 'behind' : 'ahead of'} this machine's`
  if (Math.abs(skew) > SKEW_MICROS) judge(subject, 'problem', text, 'Run an NTP client on both: ages and points in time depend on it.')
  else judge(subject, 'ok', text)
}

async function judgeKeys(config: Config, made: Promise<readonly { readonly revokedAt: number | null }[]>, judge: Judge): Promise<void> {
  const count = config.apiKeys.length + (await made).filter(({ revokedAt }) => revokedAt === null).length
  if (count > 0) judge('API keys', 'ok', `${count} in use`)
  else judge('API keys', config.env === 'production' ? 'problem' : 'warning', 'there is none', 'fabra keys create')
}

/** The definitions in the database that serving would use, and the tables of their sources. */
async function examineDefinitions(config: Config, files: readonly string[], judge: Judge): Promise<void> {
  const location = checkPlace(config, null)
  const { registry, problems, warnings } = await checkProject(files, location, config.python)
  for (const problem of problems) judge('definitions', 'problem', problemText(problem, dirname(files[0] ?? '')), 'fabra check')
  for (const warning of warnings) judge('definitions', 'warning', problemText(warning, dirname(files[0] ?? '')), 'fabra check')
  if (problems.length === 0 && location.kind !== 'unprepared')
    judge(
      'definitions',
      'ok',
      `${registry.features.size} ${registry.features.size === 1 ? 'feature' : 'features'}, prepared in ${location.kind === 'duckdb' ? 'DuckDB' : 'PostgreSQL'}`,
    )
  if (location.kind === 'postgres') await examineSources(location.sourceUrl ?? location.postgresUrl, registry, judge)
}

async function examineSources(url: string, { sources, entities }: Registry, judge: Judge): Promise<void> {
  const postgres = openPostgres({ url, applicationName: 'fabra doctor', maxConnections: 1 })
  try {
    const keys = [...entities.values()].map(({ key }) => key.map(({ name }) => name))
    for (const facts of await inspectSources(postgres, [...sources.values()], keys)) judgeSource(facts, judge)
  } catch (error) {
    judge('sources', 'problem', `cannot be looked at: ${reasonOf(error)}`, hintOf(error) ?? 'Check the address of the database.')
  } finally {
    await postgres.close()
  }
}

function judgeSource({ source, kind, mayRead, unindexed, untimed, future }: SourceFacts, judge: Judge): void {
  const subject = `source "${source}"`
  if (kind === 'missing') {
    judge(subject, 'warning', 'there is no such table yet', 'fabra serve makes it where the source has columns or a file.')
    return
  }
  if (!mayRead) {
    judge(subject, 'problem', 'SQL of features may not read it', `GRANT SELECT ON ${source} TO …`)
    return
  }
  for (const { columns, create } of unindexed)
    judge(subject, 'warning', `no index on (${columns.join(', ')}): every computation reads all rows`, create)
  if (unindexed.length === 0)
    judge(subject, 'ok', kind === 'view' ? 'a view: look at the indexes of its tables' : 'indexed by key and time')
  const never = (count: number | null, what: string, why: string) => {
    if (count !== null && count > 0) judge(subject, 'warning', `${count} ${count === 1 ? 'row' : 'rows'} ${what}`, why)
  }
  never(untimed, 'without a timestamp, which no feature ever sees', 'Give them a timestamp, or let the column be NOT NULL.')
  never(future, 'from the future, which are seen when their time comes', 'Check the clock and the time zone of what writes them.')
}

async function examineRedis(url: string, judge: Judge): Promise<void> {
  const subject = 'Redis'
  try {
    const redis = await openRedis({ url })
    try {
      judgeRedis(subject, await inspectRedis(redis), judge)
    } finally {
      await redis.close()
    }
  } catch (error) {
    judge(subject, 'problem', `cannot be used: ${reasonOf(error)}`, hintOf(error) ?? 'Check the address, the network and the password.')
  }
}

function judgeRedis(subject: string, facts: RedisFacts, judge: Judge): void {
  judge(subject, 'ok', `reachable, version ${facts.version}${facts.isCluster ? ', a cluster' : ''}`)
  const latency = `${facts.latencyMs.toFixed(1)} ms a command`
  if (facts.latencyMs > SLOW_MS) judge(subject, 'warning', `${latency}: far away`, 'Run Fabra in the region of Redis.')
  else judge(subject, 'ok', latency)
  if (facts.isEncrypted) judge(subject, 'ok', 'the connection is encrypted')
  else judge(subject, 'warning', 'the connection is not encrypted', 'Write rediss:// in the address, unless the network is private.')
  if (facts.missingCommands.length > 0)
    judge(
      subject,
      'problem',
      `the user may not run ${facts.missingCommands.join(', ')}`,
      'ACL SETUSER … ~fabra:* +@read +@write +@scripting +ping',
    )
  if (facts.evictionPolicy === null)
    judge(subject, 'warning', 'its eviction policy cannot be read', 'Make sure that maxmemory-policy is noeviction.')
  else if (facts.evictionPolicy !== 'noeviction')
    judge(
      subject,
      'problem',
      `maxmemory-policy is ${facts.evictionPolicy}: values vanish when memory is short`,
      'CONFIG SET maxmemory-policy noeviction',
    )
  else judge(subject, 'ok', 'nothing is evicted (noeviction)')
  if (facts.isPersistent === false)
    judge(
      subject,
      'warning',
      'it keeps nothing on disk: after its restart values are computed again, pushed ones come back from history',
      'appendonly yes',
    )
  else if (facts.isPersistent) judge(subject, 'ok', 'it keeps its data on disk')
  judgeSkew(subject, facts.clockSkew, judge)
}

function reasonOf(error: unknown): string {
  if (error instanceof SqlError) return error.message
  if (!(error instanceof FabraError)) throw error
  // What lies beneath is words of the driver without passwords, and this is the operator's own terminal.
  return error.cause instanceof Error ? `${error.message} ${error.cause.message}` : error.message
}

function hintOf(error: unknown): string | undefined {
  return error instanceof FabraError ? error.hint : undefined
}
