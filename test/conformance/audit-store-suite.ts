import { beforeEach, describe, expect, test } from 'bun:test'
import { AUDIT_KEPT_DAYS, type AuditRecord, type AuditStore } from '../../src/store/ports/audit-store.ts'

const NOW = 1_767_225_600_000_000
const DAY = 86_400_000_000

/** What every store of the audit log promises. `factory` gives an empty one each time. */
export function auditStoreSuite(name: string, factory: () => Promise<AuditStore>): void {
  describe(`audit store: ${name}`, () => {
    let store: AuditStore
    beforeEach(async () => {
      store = await factory()
    })

    test('records come back exactly, newest first, page by page, and each is kept once', async () => {
      const records = [
        record('a', NOW, { subject: null, body: '{"odd":"it\'s \\\\ é😀"}' }),
        record('b', NOW, { action: 'rows.append', result: 'invalid_input' }),
        record('c', NOW + 1),
        record('d', NOW - 1),
      ]
      await store.addAudit(records)
      await store.addAudit([record('a', NOW + 5, { body: '{"another":1}' }), record('e', NOW - 2)])
      await store.addAudit([])
      const ids = async (filter: Partial<Parameters<AuditStore['audit']>[0]>) =>
        (await store.audit({ limit: 9, ...filter })).map(({ id }) => id)
      expect((await store.audit({ limit: 9 }))[2]).toEqual(records[0] as AuditRecord)
      expect(await ids({})).toEqual(['c', 'b', 'a', 'd', 'e'])
      expect(await ids({ limit: 2 })).toEqual(['c', 'b'])
      expect(await ids({ before: { at: NOW, id: 'b' } })).toEqual(['a', 'd', 'e'])
      expect(await ids({ since: NOW })).toEqual(['c', 'b', 'a'])
      expect(await ids({ action: 'rows.append' })).toEqual(['b'])
      expect(await ids({ subject: 'score', limit: 2, before: { at: NOW, id: 'b' } })).toEqual(['d', 'e'])
    })

    test('what is older than a year before the newest goes', async () => {
      const long = AUDIT_KEPT_DAYS * DAY
      await store.addAudit([record('old', NOW - long - 1), record('young', NOW - long), record('new', NOW)])
      // A process looks for what is too old when it has added some, and at its first.
      expect((await store.audit({ limit: 9 })).map(({ id }) => id)).toEqual(['new', 'young'])
    })
  })
}

function record(id: string, at: number, facts: Partial<AuditRecord> = {}): AuditRecord {
  return { id, at, action: 'values.push', subject: 'score', result: 'ok', body: '{}', ...facts }
}
