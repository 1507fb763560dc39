import type { Micros } from '../../clock.ts'
import { parseDuration } from '../../definition/duration.ts'
import { type EntityKey, keyColumnsJson } from '../../definition/entity-key.ts'
import { takesInputs } from '../../definition/feature-traits.ts'
import type { Entity, Feature } from '../../definition/model.ts'
import { formatTime, parseTime } from '../../definition/time.ts'
import { FabraError, suggest } from '../../errors.ts'
import type { Plan } from '../../serving/plan.ts'
import type { Serving } from '../../serving/serving.ts'
import { pathOf, queryOf } from '../address.ts'
import { errorJson, JSON_HEADERS } from '../error-response.ts'
import type { KeyRows } from '../insight/insight.ts'
import { type Besides, createPastLooks, type PastLooks, soon } from '../insight/past-looks.ts'
import type { PastValue } from '../insight/past-values.ts'
import { keyHistory } from '../insight/value-history.ts'
import { entityFeaturesDoc } from '../openapi/reads.ts'
import type { HttpOptions } from '../options.ts'
import { checkEncoding, parameters, rowFromQuery } from '../query.ts'
import type { Call, Route } from '../route.ts'
import { valueFieldsJson } from '../value-json.ts'

/** Longest look back. */
const MOST_HISTORY: Micros = 400 * 86_400_000_000
const MOST_READS = 20

export function entityRoutes(options: HttpOptions): readonly Route[] {
  const looks = createPastLooks(options)
  return [
    {
      method: 'GET',
      path: '/v1/entities/:entity/:id',
      scope: 'read',
      confinable: true,
      docs: entityFeaturesDoc,
      isRead: true,
      answer: (call) => getEntity(options, looks, call),
    },
  ]
}

/** What is asked for besides the values of now. */
interface Page {
  /** Null: now. */
  readonly asOf: Micros | null
  /** How far back; null: without history. */
  readonly history: Micros | null
}

/** Every feature of one entity key. A feature that fails, or that needs inputs not given, says so in its own place. */
async function getEntity(options: HttpOptions, looks: PastLooks, call: Call): Promise<Response> {
  const serving = options.serving()
  const name = call.param('entity')
  const entity = serving.registry.entities.get(name)
  if (!entity)
    throw new FabraError('unknown_entity', `No entity "${name}".`, { hint: suggest(name, [...serving.registry.entities.keys()]) })
  const features = [...serving.registry.features.values()].filter((feature) => feature.entity === name)
  const { keyed, page } = keyedRequest(entity.key.length, call)
  const key = keyOf(serving, features, keyed)
  const now = options.clock.now()
  if (page.asOf !== null && page.asOf > now)
    throw new FabraError('invalid_input', 'as_of is in the future.', { hint: 'Leave it out for the values of now.' })
  const to = page.asOf ?? now
  const findBesides = () =>
    Promise.all([
      page.history !== null && key ? keyHistory(options, features, { key, from: to - page.history, to }) : null,
      page.history !== null && key ? options.insight.rowsOfKey(entity, key, to) : null,
    ])
  const [values, [history, sources]] =
    page.asOf !== null && key
      ? await past(looks, features, { entity, key, asOf: page.asOf }, { id: String(page.history), find: findBesides })
      : await withBesides(findBesides, () => present(options, features, { keyed, isLook: page.history !== null }, call))
  const parts = features.map((feature, i) => {
    const more = history ? `,"interval_ms":${intervalOf(options, feature)},${history.of(feature)}` : ''
    return `{"feature":${JSON.stringify(feature.name)},${values[i] ?? PENDING}${more}}`
  })
  const asOf = page.asOf === null ? '' : `,"as_of":"${formatTime(page.asOf)}"`
  const besides = history && key && sources ? `,"changes":${history.changes},${besidesJson(options, call, { entity, key, sources })}` : ''
  const columns = key ? keyColumnsJson(entity, key) : '{}'
  const open = values.filter((value) => value === undefined).length
  const pending = page.asOf === null && page.history === null ? '' : `,"pending":${open}`
  return new Response(`{"entity":${columns}${asOf}${pending},"features":[${parts.join(',')}]${besides}}\n`, { headers: JSON_HEADERS })
}

/** What is recorded is asked for first: behind statements of hundreds of values it would have to wait for them. */
async function withBesides<T, B>(besides: () => Promise<B>, values: () => Promise<T>): Promise<readonly [T, B]> {
  const found = besides()
  const [had, given] = await Promise.all([found, values()])
  return [given, had]
}

/** An entity without features has no plan that would read its key. */
function keyOf(serving: Serving, features: readonly Feature[], keyed: Request): EntityKey | undefined {
  const [first] = features
  if (!first) return undefined
  return rowFromQuery(forgiving(serving.planOne(first.name)), keyed).row.keys[0]
}

interface EntityRequest {
  readonly keyed: Request
  /** The page looks, which is no read of a model: it is not counted as one, and does not wait for what is slow. */
  readonly isLook: boolean
}

/** Of each feature; undefined: not computed yet. */
type FeatureTexts = readonly (string | undefined)[]

async function present(
  options: HttpOptions,
  features: readonly Feature[],
  { keyed, isLook }: EntityRequest,
  call: Call,
): Promise<FeatureTexts> {
  const serving = options.serving()
  const observer = isLook ? null : options.insight.observer
  const weight = observer?.begin(features.length) ?? 0
  const read = async (feature: Feature) => {
    const plan = serving.planOne(feature.name)
    const { row, maxAge } = rowFromQuery(forgiving(plan), keyed)
    const missing = [...plan.inputs.keys()].filter((input) => row.inputs?.[input] === undefined)
    if (missing.length > 0) return needsInputs(missing)
    const rows = [row]
    const results = await serving.engine.read(plan, rows, { maxAge, isLook })
    observer?.part(plan, rows, results, call, weight)
    const [result] = results
    const error = result?.errors?.find((candidate) => candidate !== undefined)
    if (error) return errorPart(error)
    if (!result) throw new FabraError('internal', 'The engine gave no result.')
    return valueFieldsJson(plan, result)
  }
  const parts = new Array<string | undefined>(features.length).fill(undefined)
  const done = Promise.all(
    features.map(async (feature, i) => {
      parts[i] = await read(feature)
    }),
  )
  // What comes later is stored, and there when it is asked for again.
  await (isLook ? soon(done) : done)
  return [...parts]
}

async function past<T>(
  looks: PastLooks,
  features: readonly Feature[],
  row: Parameters<PastLooks['look']>[1],
  besides: Besides<T>,
): Promise<readonly [FeatureTexts, T]> {
  const computed = features.filter((feature) => !takesInputs(feature))
  const found = await looks.look(computed, row, besides)
  const parts = features.map((feature) => {
    if (takesInputs(feature)) return `${needsInputs(Object.keys(feature.inputs))},"method":null`
    const value = found.values.get(feature.name)
    return value && pastPart(value, row.asOf)
  })
  return [parts, found.besides]
}

function pastPart({ value, status, method, eventAt, error }: PastValue, asOf: Micros): string {
  if (error) return `${errorPart(error)},"method":null`
  const age = eventAt === null ? 'null' : String(Math.max(0, Math.floor((asOf - eventAt) / 1000)))
  const time = eventAt === null ? 'null' : `"${formatTime(eventAt)}"`
  return `"value":${value},"status":"${status}","served_from":null,"freshness_ms":${age},"event_timestamp":${time},"method":"${method}"`
}

function intervalOf({ insight }: HttpOptions, { name, refresh }: Feature): number | null {
  if (refresh === null) return insight.changes.usualPushMs(name)
  return refresh.kind === 'interval' ? refresh.every / 1000 : null
}

function besidesJson(
  { insight }: HttpOptions,
  call: Call,
  { entity, key, sources }: { readonly entity: Entity; readonly key: EntityKey; readonly sources: readonly KeyRows[] },
): string {
  const sourceRows = sources.map(({ source, rows, rowsLimit, newestAt }) => ({
    source,
    rows,
    rows_limit: rowsLimit,
    newest_row_at: newestAt === null ? null : formatTime(newestAt),
  }))
  const reads = insight.samples.of(entity.name, key.encoded, MOST_READS).map((sample) => ({
    at: formatTime(sample.at),
    key: sample.caller,
    asked_for: sample.askedFor,
    rows: sample.rows,
    ms: Math.round(sample.ms * 1_000) / 1_000,
    states: { fresh: 0, stale: 0, missing: 0, default: 0, error: 0, ...sample.states },
  }))
  return `"sources":${JSON.stringify(sourceRows)},"last_reads":${call.may('admin') ? JSON.stringify(reads) : 'null'}`
}

/** `/v1/entities/User/u1` is `?entity_id=u1`; several key columns are given by name behind `-`. */
function keyedRequest(columns: number, call: Call): { readonly keyed: Request; readonly page: Page } {
  const { request } = call
  const id = call.param('id')
  const query = parameters(queryOf(request))
  const page = pageOf(query)
  if (columns > 1 && id !== '-') {
    throw new FabraError('invalid_key', 'This entity has several key columns.', {
      hint: 'Write - for the id and name the columns: /v1/entities/Pair/-?user_id=…&merchant_id=…',
    })
  }
  if (columns <= 1) {
    checkEncoding(pathOf(request))
    query.set('entity_id', id)
  }
  return { keyed: new Request(`http://localhost/?${query}`, { headers: request.headers, signal: request.signal }), page }
}

/** Takes its own parameters out: the others are columns of the key and inputs. @throws FabraError invalid_input, invalid_time */
function pageOf(query: URLSearchParams): Page {
  const [asOf, history] = [query.get('as_of'), query.get('history')]
  query.delete('as_of')
  query.delete('history')
  const back = history === null ? null : parseDuration(history)
  if (back === undefined || (back !== null && back > MOST_HISTORY))
    throw new FabraError('invalid_input', `history is no duration of up to 400 days: ${JSON.stringify(history?.slice(0, 40))}.`, {
      hint: 'Write history as "24h", "7d" or "30d".',
    })
  return { asOf: asOf === null ? null : parseTime(asOf), history: back }
}

/** The same plan with inputs optional: one address serves features with and without inputs. */
function forgiving(plan: Plan): Plan {
  return { ...plan, inputs: new Map() }
}

const NOTHING = '"value":null,"status":"missing","served_from":null,"freshness_ms":null,"event_timestamp":null'
const PENDING = `${NOTHING},"pending":true`

function needsInputs(inputs: readonly string[]): string {
  return `${NOTHING},"needs_inputs":${JSON.stringify(inputs)}`
}

function errorPart(error: FabraError): string {
  return `"value":null,"status":"error","served_from":null,"freshness_ms":null,"event_timestamp":null,"error":${JSON.stringify(errorJson(error))}`
}
