import type { AdminStore } from '../../app/open-stores.ts'
import { createApiKey } from '../../auth/api-key.ts'
import type { Config } from '../../config/config.ts'
import { formatTime } from '../../definition/time.ts'
import { FabraError } from '../../errors.ts'
import type { CliContext } from '../context.ts'
import { boundsJson, durationOf, minuteText, needsPostgres } from './key-texts.ts'
import type { TellOfKey } from './tell-of-key.ts'

export interface RotateOptions {
  readonly overlap: string
}

interface Rotating {
  readonly context: CliContext
  readonly withAdmin: <T>(work: (admin: AdminStore | null, config: Config, tell: TellOfKey) => Promise<T>) => Promise<T>
}

/** The new key is durable before the old one is given an end, so that at no moment there is none. */
export async function rotateKey(id: string, options: RotateOptions, { context, withAdmin }: Rotating): Promise<void> {
  const now = context.clock.now()
  const endsAt = now + durationOf(options.overlap, '--overlap')
  const made = await withAdmin(async (admin, _, tell) => {
    if (!admin) throw needsPostgres()
    const old = (await admin.apiKeys()).find((key) => key.id === id)
    if (!old || old.revokedAt !== null || (old.expiresAt !== null && old.expiresAt <= now))
      throw new FabraError('not_found', `No key "${id}" is good.`, { hint: '"fabra keys list" shows every key.' })
    // One that was to live for 90 days is followed by one that does.
    const expiresAt = old.expiresAt === null ? null : now + old.expiresAt - old.createdAt
    const created = createApiKey(old.name, old.scopes, now, { ...old, expiresAt })
    await admin.addApiKey(created.kept)
    await admin.expireApiKey(id, endsAt)
    await tell('key.rotate', id, { name: old.name, successor: created.kept.id, good_until: formatTime(endsAt) })
    return created
  })
  const { kept, key } = made
  if (context.json) {
    const more = { id: kept.id, name: kept.name, scopes: kept.scopes, ...boundsJson(kept) }
    context.stdout(`${JSON.stringify({ key, ...more, replaces: id, replaced_until: formatTime(endsAt) })}\n`)
    return
  }
  context.stdout(`${key}\n`)
  context.stderr(
    `Key ${kept.id} (${kept.name}) may do what ${id} may, which is good until ${minuteText(formatTime(endsAt))} UTC.\nIt is shown only now.\n`,
  )
}
