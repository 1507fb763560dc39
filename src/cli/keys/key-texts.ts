/** How keys are written for people, for programs and for FABRA_API_KEYS, and what they may be bound to. */
import type { ApiKey } from '../../app/open-stores.ts'
import { parseDuration } from '../../definition/duration.ts'
import { formatTime, parseTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'

type Bounds = Pick<ApiKey, 'allowed' | 'rate' | 'expiresAt'>

export interface BoundOptions {
  readonly features?: string
  readonly entities?: string
  readonly rate?: string
  readonly expires?: string
}

/** @throws FabraError bad_usage */
export function parseBounds({ features, entities, rate, expires }: BoundOptions, now: number): Bounds {
  const isConfined = features !== undefined || entities !== undefined
  return {
    allowed: isConfined ? { features: namesOf(features, '--features'), entities: namesOf(entities, '--entities') } : null,
    rate: rate === undefined ? null : rateOf(rate),
    expiresAt: expires === undefined ? null : endOf(expires, now),
  }
}

function namesOf(text: string | undefined, option: string): string[] | null {
  if (text === undefined) return null
  const names = text.split(',').map((name) => name.trim())
  const wrong = names.find((name) => !/^\w+$/.test(name))
  if (wrong === undefined) return names
  throw new FabraError('bad_usage', `${option}: "${wrong.slice(0, 80)}" is no name.`, {
    hint: 'Write names with commas between, such as score,spend; a feature is seen with all of its columns.',
  })
}

function rateOf(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new FabraError('bad_usage', `--rate "${text.slice(0, 40)}" is no number of requests a second.`, {
    hint: 'Write a whole number, such as 100.',
  })
}

function endOf(text: string, now: number): number {
  const at = /^\d+[a-z]+$/.test(text) ? now + durationOf(text, '--expires') : timeOf(text)
  if (at > now) return at
  throw new FabraError('bad_usage', `--expires "${text}" has passed already.`, { hint: 'Write a time that is to come, or 90d.' })
}

/** In microseconds. @throws FabraError bad_usage */
export function durationOf(text: string, option: string): number {
  const micros = parseDuration(text)
  if (micros !== undefined) return micros
  throw new FabraError('bad_usage', `${option} "${text.slice(0, 40)}" is no duration.`, { hint: 'Write 12h or 7d.' })
}

function timeOf(text: string): number {
  try {
    return parseTime(text)
  } catch (cause) {
    throw new FabraError('bad_usage', `--expires "${text.slice(0, 40)}" is no time.`, { cause, hint: 'Write 90d or 2027-01-31T00:00:00Z.' })
  }
}

/** For FABRA_API_KEYS. */
export function entryOf({ hash, scopes, allowed, rate, expiresAt }: ApiKey): string {
  const names = (what: string, list: readonly string[] | null | undefined) => (list ? `;${what}=${list.join('+')}` : '')
  const until = expiresAt === null ? '' : `;until=${formatTime(Math.floor(expiresAt / 1e6) * 1e6).replace(/\.\d+Z$/, 'Z')}`
  return `${hash}:${scopes.join('+')}${names('features', allowed?.features)}${names('entities', allowed?.entities)}${rate === null ? '' : `;rate=${rate}`}${until}`
}

/** Behind what a key may do. */
export function boundsText({ allowed, rate, expiresAt }: Bounds): string {
  const sees = [...(allowed?.features ?? []), ...(allowed?.entities ?? [])]
  const confined = allowed === null ? '' : `, which sees ${sees.join(', ')} alone`
  return `${confined}${rate === null ? '' : `, ${rate} requests a second`}${expiresAt === null ? '' : `, good until ${minuteText(formatTime(expiresAt))}`}`
}

export function boundsJson({ allowed, rate, expiresAt }: Bounds) {
  return {
    features: allowed?.features ?? null,
    entities: allowed?.entities ?? null,
    rate,
    expires_at: expiresAt === null ? null : formatTime(expiresAt),
  }
}

export function keyJson(key: ApiKey) {
  const { id, name, scopes, createdAt, revokedAt, lastUsedAt } = key
  return {
    id,
    name,
    scopes,
    ...boundsJson(key),
    created_at: formatTime(createdAt),
    revoked_at: revokedAt === null ? null : formatTime(revokedAt),
    last_used_at: lastUsedAt === null ? null : formatTime(lastUsedAt),
  }
}

export function minuteText(time: string | null): string {
  return time?.slice(0, 16).replace('T', ' ') ?? ''
}

interface Noted {
  readonly features: readonly string[] | null
  readonly entities: readonly string[] | null
  readonly rate: number | null
  readonly expires_at: string | null
  readonly revoked_at: string | null
}

/** @param now As times are written, all in UTC. */
export function noteText({ features, entities, rate, expires_at, revoked_at }: Noted, now: string): string {
  const sees = [...(features ?? []), ...(entities ?? [])]
  return [
    ...(revoked_at === null ? [] : [`revoked ${revoked_at.slice(0, 10)}`]),
    ...(expires_at === null ? [] : [`${expires_at <= now ? 'ended' : 'until'} ${minuteText(expires_at)}`]),
    ...(rate === null ? [] : [`${rate}/s`]),
    ...(features === null && entities === null ? [] : [`sees ${sees.join(', ')}`]),
  ].join(', ')
}

export function needsPostgres(): FabraError {
  return new FabraError('invalid_config', 'Keys are kept in PostgreSQL, and FABRA_POSTGRES_URL is not set.', {
    hint: 'Set it to the address that your servers use.',
  })
}
