import { hostname, userInfo } from 'node:os'
import type { AuditStore } from '../../app/open-stores.ts'
import { systemClock } from '../../clock.ts'

/** Keeps in the audit log that a key was made or ended. Told after it is done: what was done stays done where it cannot be told. */
export type TellOfKey = (
  action: 'key.create' | 'key.rotate' | 'key.revoke',
  id: string,
  detail: Readonly<Record<string, string>>,
) => Promise<void>

/** @param audit Null: keys are kept nowhere, and so is this. */
export function keyTeller(audit: AuditStore | null): TellOfKey {
  return async (action, id, detail) => {
    const by = { kind: 'user', name: `${userName()}@${hostname()}`, id: null }
    const body = JSON.stringify({ by, rows: null, requests: 1, request_id: null, detail })
    const record = { id: `${action}:${crypto.randomUUID()}`, at: systemClock(0).now(), action, subject: id, result: 'ok', body }
    await audit?.addAudit([record])
  }
}

/** A container's user need not have a name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
