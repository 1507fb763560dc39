import type { Command } from 'commander'
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { yesOption } from '../may-write.ts'
import { table } from '../output.ts'

interface Audit {
  readonly entries: readonly AuditEntry[]
  /** `--before` of the next page; null: this is the last. */
  readonly next: string | null
}

interface AuditEntry {
  readonly at: string
  readonly action: string
  readonly subject: string | null
  readonly by: { readonly kind: string; readonly name: string | null }
  readonly rows: number | null
  readonly requests: number
  readonly result: string
  readonly request_id: string | null
}

interface AuditLogOptions {
  readonly action?: string
  readonly subject?: string
  readonly since?: string
  readonly before?: string
  readonly limit: string
}

const HELP = `
Pushes, appended rows, forgotten keys, refreshes, changed definitions, starts, API
keys and changes of the schema: who, when, how many rows, what came of it, in
which request. Values are never kept; of what was forgotten, the SHA-256 of its key.

Examples:
  $ fabra audit-log
  $ fabra audit-log --action entity.forget --since 2026-01-31T00:00:00Z
  $ fabra audit-log --subject score --limit 1000 --json`

export function auditLogCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('audit-log')
    .description('who wrote or administered what, newest first')
    .option('--action <action>', 'only this: values.push, entity.forget, key.create, …')
    .option('--subject <name>', 'only of this feature, source, entity or API key')
    .option('--since <time>', 'only what happened since this time')
    .option('-n, --limit <count>', 'at most this many', '50')
    .option('--before <place>', 'the next page: what the one before ended with')
    .addOption(yesOption())
    .addHelpText('after', HELP)
    .action(async ({ limit, ...options }: AuditLogOptions) => {
      const given = Object.entries(options).filter((option): option is [string, string] => typeof option[1] === 'string')
      const query = new URLSearchParams([...given, ['limit', limit]])
      const client = await connect([], host, { cold: true })
      try {
        const page = (await client.get(`/v1/audit?${query}`)) as Audit
        if (context.json) context.stdout(`${JSON.stringify(page)}\n`)
        else {
          context.stdout(auditTable(page.entries))
          if (page.next !== null) context.stderr(`There is more: --before ${page.next}\n`)
        }
      } finally {
        await client.close()
      }
    })
}

function auditTable(entries: readonly AuditEntry[]): string {
  const rows = entries.map(({ at, action, subject, by, rows: count, requests, result, request_id: request }) => [
    at.slice(0, 19).replace('T', ' '),
    action,
    subject ?? '',
    by.name ?? by.kind,
    count === null ? '' : String(count),
    requests === 1 ? result : `${result} (${requests} requests)`,
    request ?? '',
  ])
  return table([['WHEN (UTC)', 'WHAT', 'OF', 'WHO', 'ROWS', 'RESULT', 'REQUEST'], ...rows])
}
