/** What only shows when the definitions stand side by side: names that mean nothing, circles, clashes. */
import { FabraError } from '../errors.ts'
import type { Named } from './collect.ts'
import { draftOf, type FeatureDraft } from './draft.ts'
import type { Feature, Problem } from './model.ts'
import { resolveRef } from './refs.ts'
import { show } from './show.ts'
import { formatPlace } from './source-location.ts'

type Complain = (message: string, hint: string) => void

/** The name behind a member of a feature set or of `uses`: a feature, or a name. */
export function memberName(given: unknown, names: ReadonlyMap<unknown, string>, complain: Complain): string | null {
  if (typeof given === 'string') return given
  const name = names.get(given)
  if (name !== undefined) return name
  const draft = draftOf(given)
  if (draft?.kind === 'feature') {
    const where = draft.location === null ? '' : ` (${formatPlace(draft.location)})`
    complain(`it names a feature${where} that is not exported.`, 'Write "export" before that feature.')
  } else if (draft !== undefined)
    complain(`it names the ${draft.kind.replace('_', ' ')} ${show(draft.name)}, which is no feature.`, 'Name features.')
  else if (given === undefined) complain('it names something undefined.', 'Define a feature above the place where it is named.')
  else complain(`it names ${show(given)}, which is no feature.`, 'Give features, or names such as "spend.avg_30d".')
  return null
}

export function resolves(features: ReadonlyMap<string, Feature>, name: string, complain: Complain): boolean {
  try {
    resolveRef(features, name)
    return true
  } catch (error) {
    if (!(error instanceof FabraError)) throw error
    complain(`it names ${show(name)}. ${error.message}`, error.hint ?? '')
    return false
  }
}

/** Names as given, of features and columns. */
export function usesOf(one: Named<FeatureDraft>, names: ReadonlyMap<unknown, string>, problems: Problem[]): readonly string[] {
  const add: Complain = (message, hint) =>
    void problems.push({ location: one.location, subject: one.subject, message: `uses: ${message}`, hint })
  return [...new Set(one.draft.uses.map((given) => memberName(given, names, add)).filter((name) => name !== null))]
}

export function checkUses(
  all: readonly Named<FeatureDraft>[],
  features: ReadonlyMap<string, Feature>,
  uses: ReadonlyMap<string, readonly string[]>,
  problems: Problem[],
): void {
  for (const one of all) {
    const add: Complain = (message, hint) =>
      void problems.push({ location: one.location, subject: one.subject, message: `uses: ${message}`, hint })
    for (const name of uses.get(one.name) ?? []) {
      if (!resolves(features, name, add)) continue
      const [own, other] = [features.get(one.name)?.entity, features.get(partOf(name))?.entity]
      if (own !== other && own !== '' && other !== '') {
        add(`${show(name)} describes ${other}, not ${own}.`, 'A feature is made of features of the same entity.')
      }
    }
  }
}

export function partOf(name: string): string {
  return name.split('.')[0] ?? name
}

export function checkFeature(one: Named<FeatureDraft>, problems: Problem[]): void {
  const add: Complain = (message, hint) => void problems.push({ location: one.location, subject: one.subject, message, hint })
  const { entity } = one.draft
  const draft = draftOf(entity)
  if (draft?.kind !== 'entity') return
  const key = draft.key.map((column) => column.name)
  const owner = draft.name ?? ''
  if (key.includes(one.name))
    add(`its name is a key column of ${owner}; a training set would have two columns of that name.`, 'Rename the feature.')
  for (const input of Object.keys(one.draft.inputs)) {
    if (key.includes(input))
      add(`the input "${input}" is a key column of ${owner}.`, 'Rename the input; functions get the key as their first argument.')
    if (input === one.name) add(`the input "${input}" has the feature's own name.`, 'Rename one of them.')
  }
  for (const { name } of one.draft.columns) {
    if (name !== null && key.includes(name)) add(`the column "${name}" is a key column of ${owner}.`, 'Rename the column.')
  }
}

/** Each circle is told once, at its first feature. */
export function checkCycles(all: readonly Named<FeatureDraft>[], uses: ReadonlyMap<string, readonly string[]>, problems: Problem[]): void {
  const done = new Set<string>()
  const visit = (name: string, path: readonly string[]): void => {
    const start = path.indexOf(name)
    if (start !== -1) {
      const one = all.find((feature) => feature.name === name)
      const circle = [...path.slice(start), name].join(' → ')
      if (one)
        problems.push({
          location: one.location,
          subject: one.subject,
          message: `uses goes round in a circle: ${circle}.`,
          hint: 'Break it: take one of them out of uses.',
        })
      return
    }
    if (done.has(name)) return
    for (const part of uses.get(name) ?? []) visit(partOf(part), [...path, name])
    done.add(name)
  }
  for (const one of all) visit(one.name, [])
}
