import { useSignal } from '@preact/signals'
import type { Definition as DefinitionAnswer, DefinitionVersion } from '../../../http/wire.ts'
import { useData } from '../../core/data.ts'
import { may } from '../../core/session.ts'
import { Code, Diff } from '../../parts/code.tsx'
import { Mark } from '../../parts/mark.tsx'
import { Note, Waiting } from '../../parts/note.tsx'
import { Ago } from '../../parts/time.tsx'

type View = 'written' | 'duckdb' | 'postgres'

export function Definition({ feature }: { feature: string }) {
  const definition = useData<DefinitionAnswer>(`/v1/features/${encodeURIComponent(feature)}/definition`, 30_000)
  const view = useSignal<View>('written')
  const { value } = definition
  const engines: readonly [View, string][] = value?.sql
    ? [
        ['written', 'as written'],
        ['duckdb', 'DuckDB'],
        ['postgres', 'PostgreSQL'],
      ]
    : []
  return (
    <section class="flush" aria-labelledby="definition">
      <div class="sec">
        <h2 id="definition">Definition</h2>
        {value?.text && (
          <span class="small mono">
            {value.text.file}:{value.text.line}
          </span>
        )}
        {engines.length > 0 && (
          <span class="right seg" role="group" aria-label="text of">
            {engines.map(([name, title]) => (
              <button
                key={name}
                aria-pressed={view.value === name}
                onClick={() => {
                  view.value = name
                }}
              >
                {title}
              </button>
            ))}
          </span>
        )}
      </div>
      {value ? <Text of={value} view={view.value} /> : <Waiting on={definition} />}
      {value && <VersionList of={value.versions} />}
    </section>
  )
}

function Text({ of, view }: { of: DefinitionAnswer; view: View }) {
  const { text, sql, fault } = of
  const shown =
    view === 'written' || !sql
      ? text && { lines: text.lines, from: text.line, language: text.language }
      : { lines: sql[view].split('\n'), from: 1, language: 'sql' }
  const isOfFault = fault !== null && view === 'written' && fault.file === text?.file
  if (!shown) {
    return may('admin') ? (
      <Note title="The file cannot be read any more.">What was loaded from it is served on.</Note>
    ) : (
      <Note title="This key may not see the text." command="fabra keys create --name me --scopes read,admin">
        Texts of definitions need the scope admin.
      </Note>
    )
  }
  return (
    <>
      <Code {...shown} fault={isOfFault ? fault.line : null} label="text of the definition" />
      {fault && (
        <p class="small flush8">
          <Mark of="error" />{' '}
          <span class="mono">
            {fault.file}:{fault.line}
          </span>{' '}
          {fault.code && <b>{fault.code}</b>} {fault.message}
        </p>
      )}
    </>
  )
}

function VersionList({ of }: { of: readonly DefinitionVersion[] }) {
  const open = useSignal<string | null>(of.length > 1 ? (of[0]?.version ?? null) : null)
  return (
    <>
      <h3 class="flush8">versions</h3>
      <table aria-label="versions">
        <tbody>
          {of.map((version, i) => {
            const before = of[i + 1]
            const isOpen = open.value === version.version && before !== undefined
            return (
              <>
                <tr key={version.version} class={isOpen ? 'open' : ''}>
                  <td class="w7">{version.number === null ? '–' : i === 0 ? <b>v{version.number}</b> : `v${version.number}`}</td>
                  <td class="w12">
                    <Ago of={version.since} short /> ago
                  </td>
                  <td class="soft mono" title={version.version}>
                    {version.version.slice(0, 12)}
                  </td>
                  <td class="num">
                    {before && (
                      <button
                        class="plain soft"
                        aria-expanded={isOpen}
                        onClick={() => {
                          open.value = isOpen ? null : version.version
                        }}
                      >
                        what changed
                      </button>
                    )}
                  </td>
                </tr>
                {isOpen && (
                  <tr class="detail">
                    <td colSpan={4}>
                      <Changed before={before} after={version} />
                    </td>
                  </tr>
                )}
              </>
            )
          })}
        </tbody>
      </table>
    </>
  )
}

function Changed({ before, after }: { before: DefinitionVersion; after: DefinitionVersion }) {
  if (!before.text || !after.text) return <p class="soft">The text of the earlier version was not kept.</p>
  return <Diff before={before.text.lines} after={after.text.lines} />
}
